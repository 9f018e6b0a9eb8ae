//! What is known of one page from its events: frames, documents, contexts, navigations, its end.
//!
//! It only listens and remembers (and answers what would otherwise stop the page, such as a
//! dialog); it starts nothing of its own accord.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::{Either, select};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::Error;
use crate::connection::{Call, Connection, Failure, Listener};
use crate::deadline::Deadline;
use crate::frames::{Context, DOCUMENTS, End, Frame, Navigation, State};
use crate::helper::{SCRIPT, WORLD};
use crate::tabs::Tabs;

/// One page, with the sessions of its own and of its cross-origin frames.
pub(crate) struct Target {
    pub(crate) connection: Connection,
    pub(crate) session: String,
    pub(crate) main_frame: String,
    pub(crate) tabs: Arc<Tabs>,
    /// Whether it is a page of this client's own, whose requests never leave the browser.
    is_hidden: bool,
    /// The answers to what the page's own session was told first.
    preparing: tokio::sync::Mutex<Vec<Call>>,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

impl Target {
    pub(crate) fn new(
        tabs: Arc<Tabs>,
        is_hidden: bool,
        session: String,
        main_frame: String,
    ) -> Self {
        let mut state = State::default();
        state.frame_mut(&main_frame, &session);
        Self {
            connection: tabs.connection.clone(),
            session,
            main_frame,
            tabs,
            is_hidden,
            preparing: tokio::sync::Mutex::default(),
            state: Mutex::new(state),
            changed: watch::Sender::default(),
        }
    }

    /// Tells the page's own session what every session is told, and lets the page go on.
    pub(crate) fn prepare(&self, shared: Vec<(&'static str, Value)>) {
        let calls = setup(shared)
            .map(|(method, params)| self.connection.start(&self.session, method, params))
            .collect();
        self.connection
            .tell(&self.session, "Runtime.runIfWaitingForDebugger", json!({}));
        // Nobody else knows the page yet.
        if let Ok(mut preparing) = self.preparing.try_lock() {
            *preparing = calls;
        }
    }

    /// Waits until the page's own session has done what it was told first.
    pub(crate) async fn prepared(&self, deadline: Deadline) -> Result<(), Error> {
        let mut preparing = self.preparing.lock().await;
        while let Some(call) = preparing.pop() {
            match call.wait(deadline).await {
                Err(error) if is_in_effect(&error) => {}
                other => drop(other?),
            }
        }
        Ok(())
    }

    /// The sessions of the page and of its cross-origin frames.
    pub(crate) fn sessions(&self) -> Vec<String> {
        let of_frames = self.look(|state| state.sessions.clone());
        std::iter::once(self.session.clone())
            .chain(of_frames)
            .collect()
    }

    /// Whether the page can't be used any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.look(|state| state.end.is_some())
    }

    /// Whether the page has gone, with its browser or alone. One that crashed is still there.
    pub(crate) fn has_detached(&self) -> bool {
        self.look(|state| matches!(state.end, Some(End::Detached | End::Closed)))
    }

    /// Waits until the page has gone.
    pub(crate) async fn gone(&self, deadline: Deadline) -> Result<(), Error> {
        let mut changes = self.changed.subscribe();
        loop {
            changes.mark_unchanged();
            match self.look(|state| state.end) {
                Some(End::Detached) => return Ok(()),
                Some(End::Closed) => return Err(Error::Closed),
                None | Some(End::Crashed) => {}
            }
            if deadline.wait(changes.changed()).await.is_none() {
                return Err(Error::TimedOut {
                    awaited: "the page to close".to_owned(),
                    after: deadline.allowed(),
                    found: "it is still there".to_owned(),
                });
            }
        }
    }

    /// Ends, with why, when the page crashes or a page was kept from going somewhere, and never if
    /// neither happens.
    pub(crate) async fn trouble(&self) -> Error {
        let mut changes = self.changed.subscribe();
        loop {
            changes.mark_unchanged();
            if let Err(refused) = self.tabs.report_refusal() {
                return refused;
            }
            if self.look(|state| state.end == Some(End::Crashed)) {
                return Error::Crashed;
            }
            // The sender lives as long as this page.
            let _ = changes.changed().await;
        }
    }

    /// Waits until the page crashes.
    pub(crate) async fn crashed(&self) {
        let mut changes = self.changed.subscribe();
        let has_crashed = |(): &()| self.look(|state| state.end == Some(End::Crashed));
        // The sender lives as long as this page.
        let _ = changes.wait_for(has_crashed).await;
    }

    /// Has everybody who waits look again.
    pub(crate) fn wake(&self) {
        self.changed.send_replace(());
    }

    /// Fails if a navigation under way leads where it must not: waits until the browser has asked
    /// for its first document, or has no need to.
    pub(crate) async fn admitted(&self, deadline: Deadline) -> Result<(), Error> {
        if !self.tabs.keeps_to_origins() {
            return Ok(());
        }
        loop {
            self.tabs.report_refusal()?;
            let pending = self.look(|state| {
                let frame = state.frame(&self.main_frame)?;
                frame.navigation.clone().filter(|_| !frame.is_admitted)
            });
            let Some(pending) = pending else {
                return Ok(());
            };
            let moved = self.moves_on(&self.main_frame, &pending, |it| it.is_admitted, deadline);
            match moved.await {
                Ok(()) => {}
                Err(Error::OriginRefused { origin }) => {
                    return Err(Error::OriginRefused { origin });
                }
                // Whatever else there is to say, what follows says it.
                Err(_) => return Ok(()),
            }
        }
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
            self.tabs.report_refusal()?;
            {
                let state = self.state();
                state.check()?;
                if let Some(found) = look(&state) {
                    return Ok(found);
                }
            }
            if deadline.wait(changes.changed()).await.is_none() {
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
            self.tabs.report_refusal()?;
            let pending = self.look(|state| {
                state.check()?;
                Ok::<_, Error>(state.frame(frame).and_then(|it| it.navigation.clone()))
            })?;
            let Some(pending) = pending else {
                return Ok(());
            };
            self.moves_on(frame, &pending, |_| false, deadline).await?;
        }
    }

    /// Waits until there is news of a navigation of the frame: it is over or has started, there is
    /// another one, or this is so of the frame. One that was only requested is news, too, once it
    /// is known that it is not going to start.
    async fn moves_on(
        &self,
        frame: &str,
        before: &Navigation,
        is_news: impl Fn(&Frame) -> bool,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let awaited = format!("the navigation to {}", before.url);
        let news = |state: &State| {
            let is_same = |it: &Frame| it.navigation.as_ref() == Some(before) && !is_news(it);
            (!state.frame(frame).is_some_and(is_same)).then_some(())
        };
        if before.has_started {
            return self.until(deadline, &awaited, news).await;
        }
        let moment = deadline.within(before.time_to_start());
        match self.until(moment, &awaited, news).await {
            Err(Error::TimedOut { .. }) if !deadline.has_passed() => {}
            other => return other,
        }
        // The page answers when it has done what it was at when it requested the navigation, and the
        // browser hears of the navigation before it hears the answer; not so right after a form is sent,
        // which is why it is asked only now.
        let question = json!({"expression": "0"});
        let connection = &self.connection;
        let asked = pin!(connection.call(&before.session, "Runtime.evaluate", question, deadline));
        let news = pin!(self.until(deadline, &awaited, news));
        match select(asked, news).await {
            Either::Right((news, _)) => news,
            Either::Left((Err(Error::TimedOut { .. }), news)) => news.await,
            Either::Left(_) => {
                self.state().forget_request(frame, before);
                self.wake();
                Ok(())
            }
        }
    }

    /// The isolated world of a frame's present document.
    pub(crate) fn context(&self, frame: &str) -> Option<Context> {
        self.look(|state| state.context(frame))?.ok()
    }

    /// The page's own world of a frame's present document.
    pub(crate) fn page_context(&self, frame: &str) -> Option<Context> {
        self.look(|state| state.frame(frame)?.page_context.clone())
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
        self.state().forget_navigation(frame);
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
        let mut state = self.state();
        // A page that crashed may close later; that is the last that is heard of it.
        if state
            .end
            .is_none_or(|before| before == End::Crashed && end != End::Crashed)
        {
            state.end = Some(end);
        }
        drop(state);
        self.changed.send_replace(());
    }

    fn hear_frame(&self, session: &str, method: &str, params: &Value) {
        if let Some(origin) = params["frame"]["securityOrigin"].as_str()
            && !self.is_hidden
        {
            self.tabs.visit(origin);
            self.leave_if_refused(&params["frame"]);
        }
        if self.state().hear_frame(session, method, params) {
            self.changed.send_replace(());
        }
    }

    /// What a service worker answers is not asked for before: such a document goes when it has come.
    fn leave_if_refused(&self, document: &Value) {
        let url = document["url"].as_str().unwrap_or_default();
        if document["id"] == *self.main_frame && !self.tabs.admit(url) {
            let nothing = json!({"url": "about:blank"});
            self.connection
                .tell(&self.session, "Page.navigate", nothing);
        }
    }

    fn hear_context(&self, session: &str, method: &str, params: &Value) {
        self.state().hear_context(session, method, params);
        self.changed.send_replace(());
    }

    fn hear_target(self: &Arc<Self>, method: &str, params: &Value) {
        let session = params["sessionId"].as_str().unwrap_or_default();
        if method == "Target.attachedToTarget" && params["targetInfo"]["type"] != "iframe" {
            self.connection
                .tell(session, "Runtime.runIfWaitingForDebugger", json!({}));
            return;
        }
        if method == "Target.attachedToTarget" {
            let frame = params["targetInfo"]["targetId"]
                .as_str()
                .unwrap_or_default();
            self.connection.listen(session, Arc::new(Arc::clone(self)));
            {
                let mut state = self.state();
                state.sessions.push(session.to_owned());
                state.frame_mut(frame, session).context = None;
            }
            // What is switched on from here on is told twice rather than not at all.
            for (method, params) in setup(self.tabs.setup()) {
                self.connection.tell(session, method, params);
            }
            self.connection
                .tell(session, "Runtime.runIfWaitingForDebugger", json!({}));
        } else {
            self.connection.forget(
                session,
                &Failure::Refused("Inspected target navigated or closed".to_owned()),
            );
            let mut state = self.state();
            state.sessions.retain(|known| known != session);
            state.forget_contexts(|context| context.session == session);
        }
        self.changed.send_replace(());
    }

    fn hear_dialog(&self, session: &str, params: &Value) {
        let answer = self.tabs.dialogs().answer(params);
        self.connection
            .tell(session, "Page.handleJavaScriptDialog", answer);
    }

    /// A request that waits for a word from here: on its way, or asked for a password.
    fn hear_request(&self, session: &str, method: &str, params: &Value) {
        let request = &params["requestId"];
        if method == "Fetch.requestPaused" {
            let (method, params) = if self.is_hidden {
                let html = json!([{"name": "Content-Type", "value": "text/html"}]);
                let empty =
                    json!({"requestId": request, "responseCode": 200, "responseHeaders": html});
                ("Fetch.fulfillRequest", empty)
            } else if self.admit(params) {
                ("Fetch.continueRequest", json!({"requestId": request}))
            } else {
                let reason = "BlockedByClient";
                let params = json!({"requestId": request, "errorReason": reason});
                ("Fetch.failRequest", params)
            };
            self.connection.tell(session, method, params);
            return;
        }
        let challenge = &params["authChallenge"];
        let origin = challenge["origin"].as_str().unwrap_or_default();
        let is_again = !self.note_authentication(request.as_str().unwrap_or_default());
        let known = self
            .tabs
            .credentials_for(origin)
            .filter(|_| challenge["source"] != "Proxy" && !is_again);
        let answer = match known {
            Some(known) => json!({
                "response": "ProvideCredentials",
                "username": known.username,
                "password": known.password,
            }),
            None => json!({"response": "CancelAuth"}),
        };
        let params = json!({"requestId": request, "authChallengeResponse": answer});
        self.connection
            .tell(session, "Fetch.continueWithAuth", params);
    }

    /// Says whether a request may be made: only a document of the page itself may not.
    fn admit(&self, params: &Value) -> bool {
        if params["resourceType"] != "Document" || params["frameId"] != *self.main_frame {
            return true;
        }
        let url = params["request"]["url"].as_str().unwrap_or_default();
        let is_admitted = self.tabs.admit(url);
        if is_admitted {
            self.state().admit(&self.main_frame);
            self.wake();
        }
        is_admitted
    }

    /// Notes that a request was answered; says whether it was not before.
    fn note_authentication(&self, request: &str) -> bool {
        let mut state = self.state();
        if state.authenticated.iter().any(|known| known == request) {
            return false;
        }
        if state.authenticated.len() == DOCUMENTS {
            state.authenticated.pop_front();
        }
        state.authenticated.push_back(request.to_owned());
        true
    }
}

/// Whether this is only the refusal of a language that another page in the same process has set:
/// it holds for the process, and all pages have the same one.
pub(crate) fn is_in_effect(error: &Error) -> bool {
    matches!(error, Error::Protocol { message, .. } if message.contains("already in effect"))
}

/// What every session, of a page or of a cross-origin frame, is told first.
fn setup(shared: Vec<(&'static str, Value)>) -> impl Iterator<Item = (&'static str, Value)> {
    let script = json!({
        "source": SCRIPT,
        "worldName": WORLD,
        "runImmediately": true,
    });
    let frames = json!({
        "autoAttach": true,
        "waitForDebuggerOnStart": true,
        "flatten": true,
        // Workers stand still too until they are told to go on, so they must be attached as well.
        "filter": [{"type": "iframe"}, {"type": "worker"}],
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
    .chain(shared)
}

/// What the connection holds; a page and its frames' sessions share one.
impl Listener for Arc<Target> {
    fn hear(&self, session: &str, method: &str, params: &Value) {
        self.tabs
            .feed
            .publish(&self.main_frame, session, method, params);
        match method {
            "Inspector.targetCrashed" if session == self.session => {
                self.end(End::Crashed);
                self.connection.fail_calls(session, &Failure::Crashed);
            }
            "Inspector.targetCrashed" => {
                self.state().crash(session);
                self.changed.send_replace(());
                self.connection.fail_calls(session, &Failure::Crashed);
            }
            "Page.javascriptDialogOpening" => self.hear_dialog(session, params),
            "Fetch.requestPaused" | "Fetch.authRequired" => {
                self.hear_request(session, method, params);
            }
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

#[cfg(test)]
pub(crate) mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::connection::tests::{Wire, wire};
    use crate::download::Downloads;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// Longer than anything waits that is not held up by something.
    const LONG: Duration = Duration::from_secs(1);

    /// A page of which only what it tells and answers is there.
    pub(crate) async fn page(wire: &mut Wire) -> Arc<Target> {
        let downloads = Arc::new(Downloads::new(PathBuf::new(), 0, 0));
        let tabs = Arc::new(Tabs::new(wire.connection.clone(), downloads, Vec::new()));
        drop(tabs.attach_all());
        let info = json!({"targetId": "f", "type": "page"});
        let params = json!({"sessionId": "s", "targetInfo": info});
        wire.say(json!({"method": "Target.attachedToTarget", "params": params}))
            .await;
        let opened = tabs.opened_after(0, None, Deadline::after(PATIENCE));
        let target = opened.await.expect("a page");
        while wire.asked().await["method"] != "Runtime.runIfWaitingForDebugger" {}
        target
    }

    fn event(method: &str, params: &Value) -> Value {
        json!({"sessionId": "s", "method": method, "params": params})
    }

    pub(crate) fn requested() -> Value {
        let params = json!({"frameId": "f", "url": "http://a.test/", "disposition": "currentTab"});
        event("Page.frameRequestedNavigation", &params)
    }

    fn started() -> Value {
        let params =
            json!({"frameId": "f", "url": "http://a.test/", "navigationType": "differentDocument"});
        event("Page.frameStartedNavigating", &params)
    }

    /// Says something, and waits until it was heard.
    pub(crate) async fn tell(wire: &mut Wire, target: &Target, message: Value) {
        let mut changes = target.changed.subscribe();
        wire.say(message).await;
        changes.changed().await.expect("the page is there");
    }

    #[tokio::test]
    async fn a_navigation_that_was_requested_is_waited_for_until_the_page_says_that_none_started() {
        let mut wire = wire();
        let target = page(&mut wire).await;
        for starts in [true, false] {
            tell(&mut wire, &target, requested()).await;
            let mut settling = pin!(target.settle("f", Deadline::after(PATIENCE)));
            let asked = tokio::select! {
                settled = &mut settling => panic!("nobody asked: {settled:?}"),
                asked = wire.asked() => asked,
            };
            assert_eq!(asked["method"], "Runtime.evaluate");
            if starts {
                wire.say(started()).await;
            }
            let answer = json!({"id": asked["id"], "sessionId": "s", "result": {}});
            wire.say(answer).await;
            if starts {
                assert!(timeout(LONG, &mut settling).await.is_err());
                let stopped = event("Page.frameStoppedLoading", &json!({"frameId": "f"}));
                wire.say(stopped).await;
            }
            settling.await.expect("it is settled");
        }
    }

    #[tokio::test]
    async fn what_a_frame_requested_whose_process_crashed_is_not_waited_for() {
        let mut wire = wire();
        let target = page(&mut wire).await;
        let info = json!({"targetId": "g", "type": "iframe"});
        let attached = json!({"sessionId": "t", "targetInfo": info});
        tell(
            &mut wire,
            &target,
            event("Target.attachedToTarget", &attached),
        )
        .await;
        let params = json!({"frameId": "g", "url": "http://a.test/", "disposition": "currentTab"});
        let said = [
            ("Page.frameRequestedNavigation", params),
            ("Inspector.targetCrashed", json!({})),
        ];
        for (method, params) in said {
            let message = json!({"sessionId": "t", "method": method, "params": params});
            tell(&mut wire, &target, message).await;
        }
        let settled = target.settle("g", Deadline::after(PATIENCE)).await;
        settled.expect("it is settled");
    }

    #[tokio::test]
    async fn where_a_navigation_leads_is_waited_for_once_it_has_started() {
        let mut wire = wire();
        let target = page(&mut wire).await;
        target.tabs.set_origins(&["http://home.test".to_owned()]);
        tell(&mut wire, &target, started()).await;
        let mut admitted = pin!(target.admitted(Deadline::after(PATIENCE)));
        assert!(timeout(LONG, &mut admitted).await.is_err());
        let params = json!({"requestId": "r", "resourceType": "Document", "frameId": "f", "request": {"url": "http://a.test/"}});
        wire.say(event("Fetch.requestPaused", &params)).await;
        let refused = admitted.await;
        assert!(
            matches!(refused, Err(Error::OriginRefused { .. })),
            "{refused:?}"
        );
    }
}
