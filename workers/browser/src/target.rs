//! What is known of one page from its events: frames, documents, contexts, navigations, its end.
//!
//! It only listens and remembers (and answers what would otherwise stop the page, such as a
//! dialog); it starts nothing of its own accord.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Error;
use crate::connection::{Connection, Failure, Listener};
use crate::deadline::Deadline;
use crate::download::Downloads;

/// The name of the isolated world in which the helper script runs.
pub(crate) const WORLD: &str = "legwork";

/// The helper script.
pub(crate) const HELPER: &str = include_str!("helper.js");

/// A navigation that was requested but not started by then is not going to start.
const REQUEST_TO_START: Duration = Duration::from_millis(500);

/// How many of a frame's past documents are remembered.
const DOCUMENTS: usize = 16;

/// One page, with the sessions of its own and of its cross-origin frames.
pub(crate) struct Target {
    pub(crate) connection: Connection,
    pub(crate) session: String,
    pub(crate) main_frame: String,
    pub(crate) downloads: Arc<Downloads>,
    setup: Vec<(&'static str, Value)>,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
pub(crate) struct State {
    frames: HashMap<String, Frame>,
    end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Closed,
    Crashed,
    Detached,
}

/// One frame and its present document.
#[derive(Default)]
pub(crate) struct Frame {
    session: String,
    pub(crate) url: String,
    /// What could not be loaded, when the document is an error page.
    pub(crate) unreachable: Option<String>,
    documents: VecDeque<String>,
    pub(crate) is_interactive: bool,
    pub(crate) is_loaded: bool,
    context: Option<Context>,
    navigation: Option<Navigation>,
}

/// Where the helper script of one document runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) session: String,
    pub(crate) id: String,
}

struct Navigation {
    url: String,
    since: Instant,
    has_started: bool,
}

impl Frame {
    /// Whether this loader's document is, or was lately, the frame's.
    pub(crate) fn has_shown(&self, loader: &str) -> bool {
        self.documents.iter().any(|document| document == loader)
    }

    /// The present document, by its loader.
    pub(crate) fn document(&self) -> Option<String> {
        self.documents.back().cloned()
    }

    /// Whether the present document has been parsed whole. A frame that has not navigated yet has
    /// its first, empty document.
    pub(crate) fn is_readable(&self) -> bool {
        self.documents.is_empty() || self.is_interactive
    }

    /// Whether a new document is on its way.
    pub(crate) fn is_navigating(&self) -> bool {
        self.navigation
            .as_ref()
            .is_some_and(|n| n.has_started || n.since.elapsed() < REQUEST_TO_START)
    }
}

impl State {
    pub(crate) fn frame(&self, id: &str) -> Option<&Frame> {
        self.frames.get(id)
    }

    fn frame_mut(&mut self, id: &str, session: &str) -> &mut Frame {
        let frame = self.frames.entry(id.to_owned()).or_default();
        session.clone_into(&mut frame.session);
        frame
    }

    fn forget_contexts(&mut self, gone: impl Fn(&Context) -> bool) {
        for frame in self.frames.values_mut() {
            frame.context.take_if(|context| gone(context));
        }
    }
}

impl Target {
    pub(crate) fn new(
        connection: Connection,
        session: String,
        main_frame: String,
        downloads: Arc<Downloads>,
        setup: Vec<(&'static str, Value)>,
    ) -> Self {
        let mut state = State::default();
        state.frame_mut(&main_frame, &session);
        Self {
            connection,
            session,
            main_frame,
            downloads,
            setup,
            state: Mutex::new(state),
            changed: watch::Sender::default(),
        }
    }

    /// What every session, of the page or of a cross-origin frame, is told first.
    pub(crate) fn setup(&self) -> impl Iterator<Item = (&'static str, Value)> {
        let script = json!({
            "source": HELPER,
            "worldName": WORLD,
            "runImmediately": true,
        });
        let frames = json!({
            "autoAttach": true,
            "waitForDebuggerOnStart": true,
            "flatten": true,
            "filter": [{"type": "iframe"}],
        });
        [
            ("Inspector.enable", json!({})),
            ("Page.enable", json!({})),
            ("Page.setLifecycleEventsEnabled", json!({"enabled": true})),
            ("Runtime.enable", json!({})),
            ("Page.addScriptToEvaluateOnNewDocument", script),
            ("Target.setAutoAttach", frames),
        ]
        .into_iter()
        .chain(self.setup.iter().cloned())
    }

    /// Looks at what is known now.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state())
    }

    /// Waits until `look` finds something. Fails at once when the page ends.
    pub(crate) async fn until<T>(
        &self,
        deadline: Deadline,
        awaited: &str,
        mut look: impl FnMut(&State) -> Option<T>,
    ) -> Result<T, Error> {
        let mut changes = self.changed.subscribe();
        loop {
            changes.mark_unchanged();
            {
                let state = self.state();
                state.check()?;
                if let Some(found) = look(&state) {
                    return Ok(found);
                }
            }
            if tokio::time::timeout_at(deadline.at(), changes.changed())
                .await
                .is_err()
            {
                let url = self.look(|state| {
                    state
                        .frame(&self.main_frame)
                        .map_or_else(String::new, |frame| frame.url.clone())
                });
                return Err(Error::TimedOut {
                    awaited: awaited.to_owned(),
                    after: deadline.allowed(),
                    // Without query and fragment, in which tokens travel.
                    found: format!(
                        "the page is at {}",
                        url.split(['?', '#']).next().unwrap_or_default()
                    ),
                });
            }
        }
    }

    /// Waits until no navigation of the frame is under way, so that nothing is done to a document
    /// that is about to go.
    pub(crate) async fn settle(&self, frame: &str, deadline: Deadline) -> Result<(), Error> {
        loop {
            let pending = self.look(|state| {
                state.check()?;
                Ok::<_, Error>(state.frame(frame).and_then(|frame| {
                    let navigation = frame.navigation.as_ref()?;
                    frame
                        .is_navigating()
                        .then(|| (navigation.url.clone(), navigation.has_started))
                }))
            })?;
            let Some((url, has_started)) = pending else {
                return Ok(());
            };
            let awaited = format!("the navigation to {url}");
            let arrived = self.until(deadline, &awaited, |state| {
                let frame = state.frame(frame)?;
                let same = frame.navigation.as_ref().is_some_and(|n| {
                    n.url == url && n.has_started == has_started && frame.is_navigating()
                });
                (!same).then_some(())
            });
            if has_started {
                arrived.await?;
            } else if let Ok(answer) = tokio::time::timeout(REQUEST_TO_START, arrived).await {
                answer?;
            }
        }
    }

    /// The isolated world of a frame's present document.
    pub(crate) fn context(&self, frame: &str) -> Option<Context> {
        self.look(|state| state.frame(frame)?.context.clone())
    }

    /// The session that a frame's document belongs to.
    pub(crate) fn session_of(&self, frame: &str) -> String {
        self.look(|state| {
            state
                .frame(frame)
                .map_or_else(|| self.session.clone(), |frame| frame.session.clone())
        })
    }

    /// A download came of the navigation of this frame: no document will.
    pub(crate) fn navigation_became_download(&self, frame: &str) {
        if let Some(frame) = self.state().frames.get_mut(frame) {
            frame.navigation = None;
        }
        self.changed.send_replace(());
    }

    /// The page has gone, though the browser is still there.
    pub(crate) fn detach(&self) {
        self.end(End::Detached);
        self.connection.forget(&self.session, &Failure::Detached);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, end: End) {
        self.state().end.get_or_insert(end);
        self.changed.send_replace(());
    }

    fn hear_frame(&self, session: &str, method: &str, params: &Value) {
        let text = |name: &str| params[name].as_str().unwrap_or_default();
        let mut state = self.state();
        match method {
            "Page.frameNavigated" => {
                let frame = &params["frame"];
                let text = |name: &str| frame[name].as_str().unwrap_or_default();
                let known = state.frame_mut(text("id"), session);
                text("url").clone_into(&mut known.url);
                known.unreachable = frame["unreachableUrl"].as_str().map(str::to_owned);
                known.navigation = None;
                known.is_interactive = false;
                known.is_loaded = false;
                known.documents.push_back(text("loaderId").to_owned());
                if known.documents.len() > DOCUMENTS {
                    known.documents.pop_front();
                }
            }
            "Page.navigatedWithinDocument" => {
                let known = state.frame_mut(text("frameId"), session);
                text("url").clone_into(&mut known.url);
                known
                    .navigation
                    .take_if(|navigation| !navigation.has_started);
            }
            "Page.frameAttached" => {
                state.frame_mut(text("frameId"), session);
            }
            "Page.frameDetached" => {
                // A swap only moves the frame to another process: its own session tells the rest.
                if text("reason") != "swap" {
                    state.frames.remove(text("frameId"));
                }
            }
            "Page.frameRequestedNavigation" => {
                if text("disposition") == "currentTab" && makes_document(text("url")) {
                    let frame = state.frame_mut(text("frameId"), session);
                    frame.navigation = Some(Navigation {
                        url: text("url").to_owned(),
                        since: Instant::now(),
                        has_started: false,
                    });
                }
            }
            "Page.frameStartedNavigating" => {
                let kind = text("navigationType");
                if !kind.ends_with("ameDocument") && makes_document(text("url")) {
                    let frame = state.frame_mut(text("frameId"), session);
                    frame.navigation = Some(Navigation {
                        url: text("url").to_owned(),
                        since: Instant::now(),
                        has_started: true,
                    });
                }
            }
            "Page.frameStoppedLoading" => {
                let frame = state.frame_mut(text("frameId"), session);
                frame.navigation = None;
            }
            "Page.lifecycleEvent" => {
                let Some(frame) = state.frames.get_mut(text("frameId")) else {
                    return;
                };
                let loader = text("loaderId");
                if frame.documents.back().is_some_and(|last| last != loader) {
                    return;
                }
                match text("name") {
                    "DOMContentLoaded" => frame.is_interactive = true,
                    "load" => frame.is_loaded = true,
                    _ => return,
                }
            }
            _ => return,
        }
        drop(state);
        self.changed.send_replace(());
    }

    fn hear_context(&self, session: &str, method: &str, params: &Value) {
        let mut state = self.state();
        match method {
            "Runtime.executionContextCreated" => {
                let context = &params["context"];
                let frame = context["auxData"]["frameId"].as_str();
                if let (Some(WORLD), Some(frame), Some(id)) = (
                    context["name"].as_str(),
                    frame,
                    context["uniqueId"].as_str(),
                ) {
                    let context = Context {
                        session: session.to_owned(),
                        id: id.to_owned(),
                    };
                    state.frame_mut(frame, session).context = Some(context);
                }
            }
            "Runtime.executionContextDestroyed" => {
                let id = params["executionContextUniqueId"]
                    .as_str()
                    .unwrap_or_default();
                state.forget_contexts(|context| context.id == id);
            }
            _ => state.forget_contexts(|context| context.session == session),
        }
        drop(state);
        self.changed.send_replace(());
    }

    fn hear_target(self: &Arc<Self>, method: &str, params: &Value) {
        let session = params["sessionId"].as_str().unwrap_or_default();
        if method == "Target.attachedToTarget" {
            let frame = params["targetInfo"]["targetId"]
                .as_str()
                .unwrap_or_default();
            self.connection.listen(session, Arc::new(Arc::clone(self)));
            for (method, params) in self.setup() {
                self.connection.tell(session, method, params);
            }
            self.connection
                .tell(session, "Runtime.runIfWaitingForDebugger", json!({}));
            let mut state = self.state();
            state.frame_mut(frame, session).context = None;
        } else {
            self.connection.forget(
                session,
                &Failure::Refused("Inspected target navigated or closed".to_owned()),
            );
            self.state()
                .forget_contexts(|context| context.session == session);
        }
        self.changed.send_replace(());
    }

    fn hear_dialog(&self, session: &str, params: &Value) {
        let kind = params["type"].as_str().unwrap_or_default();
        tracing::debug!(kind, "a dialog was dismissed");
        // A dialog stops the page until it is answered. Leaving a page is allowed, the rest is
        // dismissed.
        self.connection.tell(
            session,
            "Page.handleJavaScriptDialog",
            json!({"accept": kind == "beforeunload"}),
        );
    }
}

impl State {
    /// Fails if the page has ended.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.end {
            None => Ok(()),
            Some(End::Closed) => Err(Error::Closed),
            Some(End::Crashed) => Err(Error::Crashed),
            Some(End::Detached) => Err(Error::Detached),
        }
    }
}

/// Whether a navigation to this URL ends with a new document in the frame.
fn makes_document(url: &str) -> bool {
    let scheme = url.split(':').next().unwrap_or_default();
    ["http", "https", "file", "data", "about", "blob", "chrome"].contains(&scheme)
}

/// What the connection holds; a page and its frames' sessions share one.
impl Listener for Arc<Target> {
    fn hear(&self, session: &str, method: &str, params: &Value) {
        match method {
            "Inspector.targetCrashed" if session == self.session => {
                self.end(End::Crashed);
                self.connection.fail_calls(session, &Failure::Crashed);
            }
            "Inspector.targetCrashed" => self.connection.fail_calls(session, &Failure::Crashed),
            "Page.javascriptDialogOpening" => self.hear_dialog(session, params),
            "Runtime.executionContextCreated"
            | "Runtime.executionContextDestroyed"
            | "Runtime.executionContextsCleared" => self.hear_context(session, method, params),
            "Target.attachedToTarget" | "Target.detachedFromTarget" => {
                self.hear_target(method, params);
            }
            _ => self.hear_frame(session, method, params),
        }
    }

    fn lose(&self) {
        self.end(End::Closed);
    }
}
