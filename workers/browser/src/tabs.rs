//! What the pages of one browser have in common: the list of them, what each of their sessions is
//! told, downloads, and the feed of events.
//!
//! A page that the browser opens (a popup, a new tab) is held until its session has been told
//! everything, so that nothing in it runs unseen.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::connection::{Call, Connection, Listener};
use crate::deadline::Deadline;
use crate::dialog::Dialogs;
use crate::download::Downloads;
use crate::feed::Feed;
use crate::origins::{interception, origin_of};
use crate::target::{Target, is_in_effect};
use crate::{Error, HttpCredentials, Redaction};

/// How many pages that have closed are remembered, so that who waits for a popup can be told that
/// it came and went.
const REMEMBERED: usize = 32;

/// How many origins are remembered.
const ORIGINS: usize = 200;

/// All pages of one browser.
pub(crate) struct Tabs {
    pub(crate) connection: Connection,
    pub(crate) downloads: Arc<Downloads>,
    pub(crate) feed: Feed,
    dialogs: Mutex<Dialogs>,
    /// Held while a page is asked for that nobody's script opens.
    opening: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    /// In the order in which they were opened; the last closed ones too.
    pages: VecDeque<Tab>,
    last_number: u64,
    /// What each session is told when it begins, by method.
    setup: Vec<(&'static str, Value)>,
    /// How many need each domain.
    domains: HashMap<&'static str, usize>,
    credentials: Option<HttpCredentials>,
    /// Where pages may go; anywhere if there is none.
    origins: Vec<String>,
    /// What must not be seen on pictures, nor in messages.
    redaction: Redaction,
    /// The first origin that a page was kept from, until a call of the client's reports it.
    refused: Option<String>,
    /// The origins that pages and frames were at.
    visited: BTreeSet<String>,
    /// Whether the next page without an opener is one that nobody is to see.
    hides_next: bool,
    is_closed: bool,
}

#[derive(Clone)]
struct Tab {
    number: u64,
    opener: Option<String>,
    is_hidden: bool,
    target: Arc<Target>,
}

impl State {
    /// Whether a page's action may be what has led to something in a frame: it is a frame of the
    /// page, or of one that it opened, or of the one that opened it. Of a frame that nobody knows,
    /// nobody can say.
    fn may_have_caused(&self, page: &Target, frame: &str) -> bool {
        let of = |id: &str| self.pages.iter().find(|tab| tab.target.main_frame == id);
        let owner = of(frame).or_else(|| {
            let mut tabs = self.pages.iter();
            tabs.find(|tab| tab.target.look(|state| state.frame(frame).is_some()))
        });
        let descends = |tab: Option<&Tab>, from: &str| {
            std::iter::successors(tab, |tab| of(tab.opener.as_deref()?))
                .any(|tab| tab.target.main_frame == from)
        };
        owner.is_none_or(|owner| {
            descends(Some(owner), &page.main_frame)
                || descends(of(&page.main_frame), &owner.target.main_frame)
        })
    }

    fn setup(&self) -> Vec<(&'static str, Value)> {
        let domains = self.domains.keys().map(|enable| (*enable, json!({})));
        domains.chain(self.setup.iter().cloned()).collect()
    }
}

impl Tabs {
    pub(crate) fn new(
        connection: Connection,
        downloads: Arc<Downloads>,
        setup: Vec<(&'static str, Value)>,
    ) -> Self {
        Self {
            connection,
            downloads,
            feed: Feed::default(),
            dialogs: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            state: Mutex::new(State {
                setup,
                ..State::default()
            }),
            changed: watch::Sender::default(),
        }
    }

    /// Asks the browser to attach every page, those that are there and those to come.
    pub(crate) fn attach_all(self: &Arc<Self>) -> Call {
        self.connection.listen("", Arc::new(Arc::clone(self)));
        let params = json!({
            "autoAttach": true,
            "waitForDebuggerOnStart": true,
            "flatten": true,
            "filter": [{"type": "page"}],
        });
        self.connection.start("", "Target.setAutoAttach", params)
    }

    /// What each session is told when it begins.
    pub(crate) fn setup(&self) -> Vec<(&'static str, Value)> {
        self.state().setup()
    }

    /// Switches a domain on (by its method `….enable`) in all sessions, those to come too, until
    /// the guard is dropped. Calls that follow in a session come after it.
    pub(crate) fn switch_on(self: &Arc<Self>, enable: &'static str) -> Domain {
        let mut state = self.state();
        let users = state.domains.entry(enable).or_default();
        *users += 1;
        let is_first = *users == 1;
        drop(state);
        if is_first {
            drop(self.start_in_all(enable, &json!({})));
        }
        Domain {
            tabs: Arc::clone(self),
            enable,
        }
    }

    /// Sends a call to every session that is there.
    fn start_in_all(&self, method: &str, params: &Value) -> Vec<Call> {
        let mut calls = Vec::new();
        for page in self.pages() {
            for session in page.sessions() {
                calls.push(self.connection.start(&session, method, params.clone()));
            }
        }
        calls
    }

    /// Tells every session, those to come too, in place of what was told by the same method
    /// before. Waits for the pages; what frames of them can't do, they leave.
    pub(crate) async fn apply(
        &self,
        method: &'static str,
        params: Value,
        deadline: Deadline,
    ) -> Result<(), Error> {
        {
            let mut state = self.state();
            state.setup.retain(|(known, _)| *known != method);
            state.setup.push((method, params.clone()));
        }
        let told = self.tell_pages(method, &params, deadline).await;
        if let Err(Error::Protocol { .. }) = told {
            // What the browser refused is not told to those to come.
            self.state().setup.retain(|(known, _)| *known != method);
        }
        told
    }

    /// Sessions to come are not told this any more; those that are there are told the opposite.
    pub(crate) async fn withdraw(
        &self,
        method: &str,
        opposite: &str,
        deadline: Deadline,
    ) -> Result<(), Error> {
        self.state().setup.retain(|(known, _)| *known != method);
        self.tell_pages(opposite, &json!({}), deadline).await
    }

    async fn tell_pages(
        &self,
        method: &str,
        params: &Value,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let mut calls = Vec::new();
        for page in self.pages() {
            for session in page.sessions() {
                let call = self.connection.start(&session, method, params.clone());
                calls.push((session == page.session, call));
            }
        }
        for (is_page, call) in calls {
            match call.wait(deadline).await {
                // It went meanwhile.
                Ok(_) | Err(Error::Detached | Error::Crashed | Error::DocumentReplaced) => {}
                Err(error) if is_page && !is_in_effect(&error) => return Err(error),
                Err(_) => {}
            }
        }
        Ok(())
    }

    pub(crate) fn dialogs(&self) -> MutexGuard<'_, Dialogs> {
        self.dialogs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_credentials(&self, credentials: Option<HttpCredentials>) {
        self.state().credentials = credentials;
    }

    /// The name and the password for an origin.
    pub(crate) fn credentials_for(&self, origin: &str) -> Option<HttpCredentials> {
        let state = self.state();
        let known = state.credentials.as_ref();
        known.filter(|known| known.origin == origin).cloned()
    }

    pub(crate) fn set_redaction(&self, redaction: Redaction) {
        self.state().redaction = redaction;
    }

    /// What must not be seen on pictures, nor in messages.
    pub(crate) fn redaction(&self) -> Redaction {
        self.state().redaction.clone()
    }

    pub(crate) fn set_origins(&self, origins: &[String]) {
        origins.clone_into(&mut self.state().origins);
    }

    /// Which requests wait for a word from here; none, if nothing needs that.
    pub(crate) fn interception(&self) -> Option<Value> {
        let state = self.state();
        interception(&state.origins, state.credentials.as_ref())
    }

    /// Whether only some origins are allowed.
    pub(crate) fn keeps_to_origins(&self) -> bool {
        !self.state().origins.is_empty()
    }

    /// Says whether a page may go to this URL; notes it if not, and tells everybody who waits.
    pub(crate) fn admit(&self, url: &str) -> bool {
        let Some(origin) = origin_of(url) else {
            return true;
        };
        {
            let mut state = self.state();
            if state.origins.is_empty() || state.origins.contains(&origin) {
                return true;
            }
            state.refused.get_or_insert(origin);
        }
        for page in self.pages() {
            page.wake();
        }
        false
    }

    /// Fails, once, after a page was kept from going somewhere.
    pub(crate) fn report_refusal(&self) -> Result<(), Error> {
        match self.state().refused.take() {
            None => Ok(()),
            Some(origin) => Err(Error::OriginRefused { origin }),
        }
    }

    /// Notes that a page or a frame is at this origin.
    pub(crate) fn visit(&self, origin: &str) {
        let mut state = self.state();
        if origin.starts_with("http") && state.visited.len() < ORIGINS {
            state.visited.insert(origin.to_owned());
        }
    }

    /// The origins that pages and frames were at.
    pub(crate) fn visited(&self) -> Vec<String> {
        self.state().visited.iter().cloned().collect()
    }

    /// Has the browser give a download up, and remove what has come of it.
    pub(crate) fn cancel_download(&self, guid: &str) {
        let params = json!({"guid": guid});
        self.connection.tell("", "Browser.cancelDownload", params);
    }

    /// The pages that are open.
    pub(crate) fn pages(&self) -> Vec<Arc<Target>> {
        let state = self.state();
        let open = state
            .pages
            .iter()
            .filter(|tab| !tab.is_hidden && !tab.target.has_ended());
        open.map(|tab| Arc::clone(&tab.target)).collect()
    }

    /// Waits until the browser has gone.
    pub(crate) async fn closed(&self) {
        let mut changes = self.changed.subscribe();
        // The sender lives as long as this list.
        let _ = changes.wait_for(|()| self.state().is_closed).await;
    }

    /// The number of the last page that was opened.
    pub(crate) fn last_number(&self) -> u64 {
        self.state().last_number
    }

    /// The page that opened this one.
    pub(crate) fn opener_of(&self, page: &str) -> Option<Arc<Target>> {
        let state = self.state();
        let of = |id: &str| state.pages.iter().find(|tab| tab.target.main_frame == id);
        let opener = of(page)?.opener.as_deref()?;
        Some(Arc::clone(&of(opener)?.target)).filter(|target| !target.has_ended())
    }

    /// Opens an empty page.
    pub(crate) async fn open(&self, deadline: Deadline) -> Result<Arc<Target>, Error> {
        let _alone = self.opening.lock().await;
        self.create(deadline).await
    }

    /// Opens an empty page that is in no list, and whose requests never leave the browser.
    pub(crate) async fn open_hidden(&self, deadline: Deadline) -> Result<Arc<Target>, Error> {
        let _alone = self.opening.lock().await;
        self.state().hides_next = true;
        let opened = self.create(deadline).await;
        self.state().hides_next = false;
        opened
    }

    async fn create(&self, deadline: Deadline) -> Result<Arc<Target>, Error> {
        let params = json!({"url": "about:blank"});
        let answer = self
            .connection
            .call("", "Target.createTarget", params, deadline)
            .await?;
        // The news of a page comes before the answer to who asked for it.
        let found = {
            let state = self.state();
            let mut tabs = state.pages.iter();
            tabs.find(|tab| answer["targetId"] == *tab.target.main_frame)
                .map(|tab| Arc::clone(&tab.target))
        };
        found.ok_or(Error::Detached)
    }

    /// Waits for the first page that was opened after the page with this number, by this opener
    /// if one is named.
    pub(crate) async fn opened_after(
        &self,
        number: u64,
        opener: Option<&str>,
        deadline: Deadline,
    ) -> Result<Arc<Target>, Error> {
        let mut changes = self.changed.subscribe();
        loop {
            changes.mark_unchanged();
            {
                let state = self.state();
                if state.is_closed {
                    return Err(Error::Closed);
                }
                let found = state.pages.iter().find(|tab| {
                    tab.number > number
                        && !tab.is_hidden
                        && (opener.is_none() || tab.opener.as_deref() == opener)
                });
                if let Some(tab) = found {
                    return Ok(Arc::clone(&tab.target));
                }
            }
            if deadline.wait(changes.changed()).await.is_none() {
                return Err(Error::TimedOut {
                    awaited: "a page to open".to_owned(),
                    after: deadline.allowed(),
                    found: "none opened".to_owned(),
                });
            }
        }
    }

    fn attach(self: &Arc<Self>, params: &Value) {
        let info = &params["targetInfo"];
        if info["type"] != "page" {
            return;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let opener = info["openerId"].as_str().map(str::to_owned);
        let is_hidden = opener.is_none() && std::mem::take(&mut self.state().hides_next);
        let target = Arc::new(Target::new(
            Arc::clone(self),
            is_hidden,
            text(&params["sessionId"]),
            text(&info["targetId"]),
        ));
        self.connection
            .listen(&target.session, Arc::new(Arc::clone(&target)));
        // Under the lock, so that what is switched on meanwhile is not missed.
        let mut state = self.state();
        target.prepare(state.setup());
        state.last_number += 1;
        let number = state.last_number;
        state.pages.push_back(Tab {
            number,
            opener,
            is_hidden,
            target,
        });
        if state.pages.len() > REMEMBERED
            && let Some(ended) = state.pages.iter().position(|tab| tab.target.has_ended())
        {
            state.pages.remove(ended);
        }
        drop(state);
        self.changed.send_replace(());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener for Arc<Tabs> {
    fn hear(&self, session: &str, method: &str, params: &Value) {
        self.feed.publish("", session, method, params);
        let text = |name: &str| params[name].as_str().unwrap_or_default();
        match method {
            "Browser.downloadWillBegin" => {
                let frame = text("frameId");
                for page in self.pages() {
                    page.navigation_became_download(frame);
                }
                let may_be_of = |page: &Target| self.state().may_have_caused(page, frame);
                if self.downloads.begin(params, may_be_of) {
                    self.cancel_download(text("guid"));
                }
            }
            "Browser.downloadProgress" if self.downloads.progress(params) => {
                self.cancel_download(text("guid"));
            }
            "Target.attachedToTarget" => self.attach(params),
            "Target.detachedFromTarget" => {
                let gone = {
                    let state = self.state();
                    let mut tabs = state.pages.iter();
                    tabs.find(|tab| params["sessionId"] == *tab.target.session)
                        .map(|tab| Arc::clone(&tab.target))
                };
                if let Some(target) = gone {
                    target.detach();
                }
            }
            _ => {}
        }
    }

    fn lose(&self) {
        self.downloads.close();
        self.feed.close();
        let mut state = self.state();
        state.is_closed = true;
        // Pages hold this list, and it holds them: here that ends.
        state.pages.clear();
        drop(state);
        self.changed.send_replace(());
    }
}

/// Keeps a domain of the protocol switched on.
pub(crate) struct Domain {
    tabs: Arc<Tabs>,
    enable: &'static str,
}

impl Drop for Domain {
    fn drop(&mut self) {
        let mut state = self.tabs.state();
        let Some(users) = state.domains.get_mut(self.enable) else {
            return;
        };
        *users -= 1;
        if *users > 0 {
            return;
        }
        state.domains.remove(self.enable);
        // A setting that needs the domain keeps it on.
        if state.setup.iter().any(|(known, _)| *known == self.enable) {
            return;
        }
        drop(state);
        let disable = self.enable.replace(".enable", ".disable");
        drop(self.tabs.start_in_all(&disable, &json!({})));
    }
}
