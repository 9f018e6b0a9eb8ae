//! The frames of a page: their documents, how far these have come, where scripts run in them, what
//! is on its way. It follows the events, and does nothing else.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::helper::WORLD;
use crate::{Error, LoadState};

/// A navigation that was requested usually starts long before this. If it has not by then, the page is
/// asked.
const REQUEST_TO_START: Duration = Duration::from_millis(500);

/// How many of a frame's past documents are remembered.
pub(crate) const DOCUMENTS: usize = 16;

/// All that is known of a page.
#[derive(Default)]
pub(crate) struct State {
    frames: HashMap<String, Frame>,
    /// Of cross-origin frames.
    pub(crate) sessions: Vec<String>,
    /// Requests that a name and a password were given for.
    pub(crate) authenticated: VecDeque<String>,
    pub(crate) end: Option<End>,
}

/// How a page ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    Crashed,
    Detached,
}

/// One frame and its present document.
#[derive(Default)]
pub(crate) struct Frame {
    pub(crate) session: String,
    pub(crate) url: String,
    /// What could not be loaded, when the document is an error page.
    pub(crate) unreachable: Option<String>,
    documents: VecDeque<String>,
    pub(crate) is_interactive: bool,
    pub(crate) is_loaded: bool,
    is_idle: bool,
    /// Whether its process has crashed; until it has another document.
    has_crashed: bool,
    /// The helper script's.
    pub(crate) context: Option<Context>,
    /// The page's own.
    pub(crate) page_context: Option<Context>,
    pub(crate) navigation: Option<Navigation>,
    /// Whether the document on its way has been asked for, and may be.
    pub(crate) is_admitted: bool,
}

/// Where the helper script of one document runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) session: String,
    pub(crate) id: String,
    /// The other name that the protocol has for it, which a few methods take.
    pub(crate) number: i64,
}

/// A document on its way.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Navigation {
    pub(crate) url: String,
    /// Where it was told of.
    pub(crate) session: String,
    since: Instant,
    pub(crate) has_started: bool,
}

impl Navigation {
    fn new(session: &str, url: &str, has_started: bool) -> Self {
        Self {
            url: url.to_owned(),
            session: session.to_owned(),
            since: Instant::now(),
            has_started,
        }
    }

    /// How long one that was requested may still take to start, before the page is asked.
    pub(crate) fn time_to_start(&self) -> Duration {
        REQUEST_TO_START.saturating_sub(self.since.elapsed())
    }
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
        self.navigation.is_some()
    }
}

impl State {
    pub(crate) fn frame(&self, id: &str) -> Option<&Frame> {
        self.frames.get(id)
    }

    /// The isolated world of a frame's present document, once it is there, and an error if it
    /// won't be.
    pub(crate) fn context(&self, frame: &str) -> Option<Result<Context, Error>> {
        let frame = self.frame(frame)?;
        if frame.has_crashed {
            return Some(Err(Error::Crashed));
        }
        frame.context.clone().map(Ok)
    }

    /// The process of a cross-origin frame, and of those in it, has crashed. What it requested does not start
    /// any more.
    pub(crate) fn crash(&mut self, session: &str) {
        for frame in self.frames.values_mut() {
            let context = frame.context.as_ref();
            frame.has_crashed |= context.is_some_and(|context| context.session == session);
            let navigation = &mut frame.navigation;
            navigation.take_if(|known| known.session == session && !known.has_started);
        }
    }

    /// The ids of all frames.
    pub(crate) fn frames(&self) -> Vec<String> {
        self.frames.keys().cloned().collect()
    }

    pub(crate) fn frame_mut(&mut self, id: &str, session: &str) -> &mut Frame {
        let frame = self.frames.entry(id.to_owned()).or_default();
        session.clone_into(&mut frame.session);
        frame
    }

    pub(crate) fn forget_contexts(&mut self, gone: impl Fn(&Context) -> bool) {
        for frame in self.frames.values_mut() {
            frame.context.take_if(|context| gone(context));
            frame.page_context.take_if(|context| gone(context));
        }
    }

    /// A download came of the navigation of this frame: no document will.
    pub(crate) fn forget_navigation(&mut self, frame: &str) {
        if let Some(frame) = self.frames.get_mut(frame) {
            frame.navigation = None;
        }
    }

    /// This navigation of a frame is not going to start.
    pub(crate) fn forget_request(&mut self, frame: &str, request: &Navigation) {
        if let Some(frame) = self.frames.get_mut(frame) {
            frame.navigation.take_if(|known| known == request);
        }
    }

    /// The document on its way to this frame was asked for, and may be.
    pub(crate) fn admit(&mut self, frame: &str) {
        if let Some(frame) = self.frames.get_mut(frame) {
            frame.is_admitted = true;
        }
    }

    /// Hears an event about frames; says whether it changed anything.
    pub(crate) fn hear_frame(&mut self, session: &str, method: &str, params: &Value) -> bool {
        let text = |name: &str| params[name].as_str().unwrap_or_default();
        match method {
            "Page.frameNavigated" => {
                let frame = &params["frame"];
                let text = |name: &str| frame[name].as_str().unwrap_or_default();
                if frame["parentId"].is_null() {
                    // The frames of the document before are gone with it, also where Chromium keeps that for a way
                    // back and says nothing of them: they would never become idle.
                    self.frames.retain(|id, _| id == text("id"));
                }
                let known = self.frame_mut(text("id"), session);
                // The fragment is told apart, and belongs to the URL as everybody else tells it.
                known.url = format!("{}{}", text("url"), text("urlFragment"));
                known.unreachable = frame["unreachableUrl"].as_str().map(str::to_owned);
                known.navigation = None;
                known.is_interactive = false;
                known.is_loaded = false;
                known.is_idle = false;
                known.has_crashed = false;
                known.documents.push_back(text("loaderId").to_owned());
                if known.documents.len() > DOCUMENTS {
                    known.documents.pop_front();
                }
            }
            "Page.navigatedWithinDocument" => {
                let known = self.frame_mut(text("frameId"), session);
                text("url").clone_into(&mut known.url);
                known
                    .navigation
                    .take_if(|navigation| !navigation.has_started);
            }
            "Page.frameAttached" => {
                self.frame_mut(text("frameId"), session);
            }
            "Page.frameDetached" => {
                // A swap only moves the frame to another process: its own session tells the rest.
                if text("reason") != "swap" {
                    self.frames.remove(text("frameId"));
                }
            }
            "Page.frameRequestedNavigation" => {
                if text("disposition") == "currentTab" && makes_document(text("url")) {
                    let frame = self.frame_mut(text("frameId"), session);
                    frame.is_admitted = false;
                    frame.navigation = Some(Navigation::new(session, text("url"), false));
                }
            }
            "Page.frameStartedNavigating" => {
                let kind = text("navigationType");
                if !kind.ends_with("ameDocument") && makes_document(text("url")) {
                    let frame = self.frame_mut(text("frameId"), session);
                    frame.is_admitted = false;
                    frame.navigation = Some(Navigation::new(session, text("url"), true));
                }
            }
            "Page.frameStoppedLoading" => {
                let frame = self.frame_mut(text("frameId"), session);
                frame.navigation = None;
            }
            "Page.lifecycleEvent" => {
                let Some(frame) = self.frames.get_mut(text("frameId")) else {
                    return false;
                };
                let loader = text("loaderId");
                if frame.documents.back().is_some_and(|last| last != loader) {
                    return false;
                }
                match text("name") {
                    "DOMContentLoaded" => frame.is_interactive = true,
                    "load" => frame.is_loaded = true,
                    "networkIdle" => frame.is_idle = true,
                    _ => return false,
                }
            }
            _ => return false,
        }
        true
    }

    /// Hears an event about the contexts in which scripts run.
    pub(crate) fn hear_context(&mut self, session: &str, method: &str, params: &Value) {
        match method {
            "Runtime.executionContextCreated" => {
                let context = &params["context"];
                let frame = context["auxData"]["frameId"].as_str();
                let id = context["uniqueId"].as_str();
                if let (Some(frame), Some(id)) = (frame, id) {
                    let known = Some(Context {
                        session: session.to_owned(),
                        id: id.to_owned(),
                        number: context["id"].as_i64().unwrap_or_default(),
                    });
                    let frame = self.frame_mut(frame, session);
                    if context["name"] == WORLD {
                        frame.context = known;
                    } else if context["auxData"]["isDefault"] == true {
                        frame.page_context = known;
                    }
                }
            }
            "Runtime.executionContextDestroyed" => {
                let id = params["executionContextUniqueId"]
                    .as_str()
                    .unwrap_or_default();
                self.forget_contexts(|context| context.id == id);
            }
            _ => self.forget_contexts(|context| context.session == session),
        }
    }

    /// Whether a frame's document has come this far.
    pub(crate) fn has_reached(&self, frame: &str, state: LoadState) -> bool {
        let Some(frame) = self.frame(frame) else {
            return false;
        };
        match state {
            LoadState::Committed => true,
            LoadState::DomContentLoaded => frame.is_interactive,
            LoadState::Loaded => frame.is_loaded,
            LoadState::NetworkIdle => {
                frame.is_loaded
                    && self
                        .frames
                        .values()
                        .all(|frame| frame.is_idle || frame.documents.is_empty())
            }
        }
    }

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
