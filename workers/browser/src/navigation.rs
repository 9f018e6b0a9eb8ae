//! Going to a URL, and knowing whether the page got there.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};
use serde_json::{Value, json};

use crate::Error;
use crate::deadline::Deadline;
use crate::feed::{Event, Subscription};
use crate::frames::Frame;
use crate::page::Page;
use crate::response::status_of;
use crate::tabs::Domain;

/// How long after an aborted navigation the news of a crash may take, before the page is asked.
const TELLING_OF_A_CRASH: Duration = Duration::from_millis(500);

/// How long a page may take to answer that it has not crashed.
const ANSWERING: Duration = Duration::from_secs(2);

/// What tells of the way to a document.
const WAY: &[&str] = &["Network.requestWillBeSent", "Network.responseReceived"];

/// How many answers are noted on the way: what comes later than so many is not the document.
const WAY_MAILBOX: usize = 4096;

/// How far a document has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LoadState {
    /// The answer has begun to come, and the old document has gone.
    Committed,
    /// It has been parsed whole, and its deferred scripts have run (`DOMContentLoaded`).
    DomContentLoaded,
    /// Its pictures, styles and frames have come too (`load`).
    Loaded,
    /// No request was under way for half a second, in the page and all its frames. A page that
    /// always asks for something never gets there; wait for what you need instead.
    NetworkIdle,
}

impl fmt::Display for LoadState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Committed => "the first bytes",
            Self::DomContentLoaded => "the whole document",
            Self::Loaded => "the load event",
            Self::NetworkIdle => "the idle network",
        })
    }
}

/// Where a navigation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The document's URL.
    pub url: String,
    /// The HTTP status of the document; nothing if it did not come over HTTP, or from the page's
    /// cache of documents.
    pub status: Option<u16>,
    /// The HTTP redirects that led to it, first to last. What scripts did is not among them.
    pub redirects: Vec<Redirect>,
}

/// One step of a chain of redirects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The URL that sent the browser elsewhere.
    pub url: String,
    /// With which status.
    pub status: u16,
}

impl Page {
    /// Goes to a URL and waits for the load event. A URL that turns out to be a download is
    /// reached when the download begins. Where the page itself goes elsewhere at the same moment,
    /// because of a click before, say, this is asked for once more, and wins.
    ///
    /// # Errors
    ///
    /// [`Error::Navigation`] with Chromium's reason, and the URL that redirects led to, if the page
    /// can't be loaded, and for files of this machine, which are no pages; [`Error::TimedOut`] if the load event does not come in time.
    pub async fn goto(&self, url: &str, timeout: Duration) -> Result<Arrival, Error> {
        self.goto_until(url, LoadState::Loaded, timeout).await
    }

    /// Goes to a URL and waits until its document has come as far as this.
    ///
    /// # Errors
    ///
    /// As for [`Page::goto`].
    pub async fn goto_until(
        &self,
        url: &str,
        state: LoadState,
        timeout: Duration,
    ) -> Result<Arrival, Error> {
        let deadline = Deadline::after(timeout);
        if let Some(scheme) = local_scheme(url) {
            return Err(Error::Navigation {
                url: url.to_owned(),
                reason: format!("pages of the scheme {scheme} are this machine's own"),
            });
        }
        self.target.tabs.report_refusal()?;
        let mut way = self.watch_way();
        let mut answer = self.navigate(url, deadline).await?;
        if is_aborted(&answer) {
            self.target.tabs.report_refusal()?;
            self.not_crashed(deadline).await?;
            // The page began to go elsewhere a moment later, and its navigation took the place of
            // this one. It was begun before: what was asked for last counts.
            if way.was_overtaken(answer["loaderId"].as_str()) {
                way = self.watch_way();
                answer = self.navigate(url, deadline).await?;
                if is_aborted(&answer) {
                    self.not_crashed(deadline).await?;
                }
            }
        }
        if answer["isDownload"].as_bool() == Some(true) {
            return Ok(way.arrival(url, None));
        }
        if let Some(reason) = error_text(&answer) {
            self.target.tabs.report_refusal()?;
            return Err(Error::Navigation {
                url: way.last_url(answer["loaderId"].as_str(), url),
                reason: reason.to_owned(),
            });
        }
        // Without a new document (a fragment) there is nothing to wait for.
        let Some(loader) = answer["loaderId"].as_str() else {
            return Ok(way.arrival(url, None));
        };
        // If the document sends the page elsewhere before it has loaded, the next one counts.
        self.reaches(state, url, |frame| frame.has_shown(loader), deadline)
            .await?;
        Ok(way.arrival(&self.whereabouts(), self.document().as_deref()))
    }

    /// Has the browser go to a URL; gives its answer, which comes when the document does.
    async fn navigate(&self, url: &str, deadline: Deadline) -> Result<Value, Error> {
        let answer = self
            .call("Page.navigate", json!({"url": url}), deadline)
            .await;
        answer.map_err(|error| match error {
            Error::TimedOut { after, .. } => Error::TimedOut {
                awaited: format!("{url} to answer"),
                after,
                found: "no answer had come".to_owned(),
            },
            Error::Protocol { message, .. } => Error::Navigation {
                url: url.to_owned(),
                reason: message,
            },
            error => error,
        })
    }

    /// Loads the page again and waits for the load event.
    ///
    /// # Errors
    ///
    /// As for [`Page::goto`].
    pub async fn reload(&self, timeout: Duration) -> Result<Arrival, Error> {
        let deadline = Deadline::after(timeout);
        self.settled(deadline).await?;
        let mut way = self.watch_way();
        let before = loop {
            let before = self.document();
            // Refused, as in `travel`, unless the document went because it is loaded again.
            let asked = self.call("Page.reload", json!({}), deadline).await;
            if let Some(asked) = self.unless_replaced(asked, &"the page", deadline).await {
                asked?;
                break before;
            }
            self.settled(deadline).await?;
            if self.document() != before {
                break before;
            }
        };
        let url = self.whereabouts();
        let is_new = |frame: &Frame| frame.document() != before;
        self.reaches(LoadState::Loaded, &url, is_new, deadline)
            .await?;
        self.reached()?;
        Ok(way.arrival(&self.whereabouts(), self.document().as_deref()))
    }

    /// Goes back one entry of the page's history and waits for the load event.
    ///
    /// # Errors
    ///
    /// As for [`Page::goto`]; [`Error::Navigation`] if there is nothing to go back to.
    pub async fn back(&self, timeout: Duration) -> Result<Arrival, Error> {
        self.travel(-1, "the page before", timeout).await
    }

    /// Goes forward one entry of the page's history and waits for the load event.
    ///
    /// # Errors
    ///
    /// As for [`Page::goto`]; [`Error::Navigation`] if there is nothing to go forward to.
    pub async fn forward(&self, timeout: Duration) -> Result<Arrival, Error> {
        self.travel(1, "the page after", timeout).await
    }

    async fn travel(
        &self,
        entries: i64,
        whereto: &str,
        timeout: Duration,
    ) -> Result<Arrival, Error> {
        let deadline = Deadline::after(timeout);
        let mut way = self.watch_way();
        let (url, before) = loop {
            self.settled(deadline).await?;
            // A document is told of a moment before the browser makes it the page's own. Until then
            // it refuses both calls, so nothing has happened.
            let left = self.leave_for(entries, whereto, deadline).await;
            if let Some(left) = self.unless_replaced(left, &whereto, deadline).await {
                break left?;
            }
        };
        // A step within one document makes no new one: the URL decides. A document that is loaded
        // again may send the page elsewhere.
        let is_there = |frame: &Frame| frame.url == url || frame.document() != before;
        self.reaches(LoadState::Loaded, &url, is_there, deadline)
            .await?;
        Ok(way.arrival(&self.whereabouts(), self.document().as_deref()))
    }

    /// Has the browser go so many entries of the page's history; gives the URL of that entry, and
    /// the document before.
    async fn leave_for(
        &self,
        entries: i64,
        whereto: &str,
        deadline: Deadline,
    ) -> Result<(String, Option<String>), Error> {
        let before = self.document();
        let history = self
            .call("Page.getNavigationHistory", json!({}), deadline)
            .await?;
        let entry = history["currentIndex"]
            .as_i64()
            .and_then(|index| usize::try_from(index + entries).ok())
            .and_then(|index| history["entries"].get(index));
        let Some(entry) = entry else {
            return Err(Error::Navigation {
                url: whereto.to_owned(),
                reason: "there is none".to_owned(),
            });
        };
        let params = json!({"entryId": entry["id"]});
        self.call("Page.navigateToHistoryEntry", params, deadline)
            .await?;
        Ok((entry["url"].as_str().unwrap_or_default().to_owned(), before))
    }

    /// Waits until the main frame is at what was wanted, and has come as far as this.
    async fn reaches(
        &self,
        state: LoadState,
        url: &str,
        is_there: impl Fn(&Frame) -> bool,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let target = &self.target;
        let awaited = format!("{state} of {url}");
        target
            .until(deadline, &awaited, |known| {
                let frame = known.frame(&target.main_frame)?;
                (is_there(frame) && known.has_reached(&target.main_frame, state)).then_some(())
            })
            .await
    }

    /// Fails at once if the page's document is an error page: nothing that is awaited will come.
    pub(crate) fn reached(&self) -> Result<(), Error> {
        let unreachable = self.target.look(|state| {
            state
                .frame(&self.target.main_frame)
                .and_then(|frame| frame.unreachable.clone())
        });
        match unreachable {
            None => Ok(()),
            Some(url) => Err(Error::Navigation {
                url,
                reason: "the browser shows its error page".to_owned(),
            }),
        }
    }

    /// Waits until the page or this frame of it begins to navigate.
    pub(crate) async fn navigating(&self, frame: &str, deadline: Deadline) -> Result<(), Error> {
        let target = &self.target;
        target
            .until(deadline.with_grace(), "the page to answer", |state| {
                [frame, &target.main_frame]
                    .iter()
                    .any(|id| state.frame(id).is_some_and(Frame::is_navigating))
                    .then_some(())
            })
            .await
    }

    /// A crash aborts the navigation first and is told a moment later. A page that is about to crash
    /// does not answer any more.
    async fn not_crashed(&self, deadline: Deadline) -> Result<(), Error> {
        let moment = Deadline::after(TELLING_OF_A_CRASH);
        let told = self.target.until(moment, "a crash", |_| None::<()>).await;
        if !matches!(told, Err(Error::TimedOut { .. })) {
            return told;
        }
        let deadline = deadline.within(ANSWERING).with_grace();
        let question = json!({"expression": "0"});
        let asked = pin!(self.call("Runtime.evaluate", question, deadline));
        // A page that goes elsewhere may answer only when it is there.
        let gone = pin!(self.target.until(deadline, "a crash", |state| {
            let frame = state.frame(&self.target.main_frame)?;
            let navigation = frame.navigation.as_ref();
            // One that was only requested may have come to nothing long ago.
            navigation.is_some_and(|it| it.has_started).then_some(())
        }));
        match select(asked, gone).await {
            Either::Left((Err(error @ (Error::Crashed | Error::Closed | Error::Detached)), _)) => {
                Err(error)
            }
            Either::Left(_) | Either::Right((Err(Error::TimedOut { .. }), _)) => Ok(()),
            Either::Right((gone, _)) => gone,
        }
    }

    /// The main frame's present document, by its loader.
    pub(crate) fn document(&self) -> Option<String> {
        self.target
            .look(|state| state.frame(&self.target.main_frame)?.document())
    }

    fn whereabouts(&self) -> String {
        self.target.look(|state| {
            let frame = state.frame(&self.target.main_frame);
            frame.map_or_else(String::new, |frame| frame.url.clone())
        })
    }

    /// From here on, the answers to navigations are noted.
    fn watch_way(&self) -> Way {
        let tabs = &self.target.tabs;
        Way {
            frame: self.target.main_frame.clone(),
            subscription: tabs
                .feed
                .subscribe(Some(&self.target.main_frame), WAY, WAY_MAILBOX),
            events: Vec::new(),
            _network: tabs.switch_on("Network.enable"),
        }
    }
}

/// Why a navigation failed, if it did.
fn error_text(answer: &Value) -> Option<&str> {
    answer["errorText"].as_str().filter(|text| !text.is_empty())
}

fn is_aborted(answer: &Value) -> bool {
    error_text(answer) == Some("net::ERR_ABORTED") && answer["isDownload"].as_bool() != Some(true)
}

/// The scheme of a URL that would show this machine's files, read as browsers read it: spaces
/// before it don't count, nor do line ends and tabs anywhere.
fn local_scheme(url: &str) -> Option<&'static str> {
    let url: String = url
        .trim_start_matches(|c: char| c <= ' ')
        .chars()
        .filter(|c| !matches!(c, '\t' | '\n' | '\r'))
        .collect();
    let (scheme, _) = url.split_once(':')?;
    ["file", "filesystem", "view-source", "content"]
        .into_iter()
        .find(|local| scheme.eq_ignore_ascii_case(local))
}

/// Notes the answers that lead to a document.
struct Way {
    frame: String,
    subscription: Subscription,
    events: Vec<Arc<Event>>,
    _network: Domain,
}

impl Way {
    /// Notes what has come by now.
    fn note(&mut self) {
        let subscription = &mut self.subscription;
        self.events
            .extend(std::iter::from_fn(|| subscription.next_now()));
    }

    /// Whether the frame began to go elsewhere than to the document with this loader.
    fn was_overtaken(&mut self, loader: Option<&str>) -> bool {
        self.note();
        self.events.iter().any(|event| {
            let params = &event.params;
            params["frameId"] == *self.frame
                && params["type"] == "Document"
                && params["requestId"].as_str() != loader
        })
    }

    /// The last URL that was asked for on the way to the document with this loader: redirects may
    /// have led away from the first one.
    fn last_url(&mut self, loader: Option<&str>, first: &str) -> String {
        let mut last = first.to_owned();
        self.note();
        for event in &self.events {
            if let Some(url) = event.params["request"]["url"].as_str()
                && event.params["requestId"].as_str() == loader
            {
                url.clone_into(&mut last);
            }
        }
        last
    }

    /// What is known of the way to the document with this loader.
    fn arrival(&mut self, url: &str, loader: Option<&str>) -> Arrival {
        let mut arrival = Arrival {
            url: url.to_owned(),
            status: None,
            redirects: Vec::new(),
        };
        self.note();
        for event in &self.events {
            let params = &event.params;
            // The request for a document has the id of the document's loader.
            if params["frameId"] != *self.frame || params["requestId"].as_str() != loader {
                continue;
            }
            if let Some(redirect) = params.get("redirectResponse") {
                arrival.redirects.push(Redirect {
                    url: redirect["url"].as_str().unwrap_or_default().to_owned(),
                    status: status_of(redirect),
                });
            }
            if let Some(response) = params.get("response") {
                arrival.status = Some(status_of(response)).filter(|status| *status > 0);
            }
        }
        arrival
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::tests::wire;
    use crate::target::tests::{page, requested, tell};

    const PATIENCE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_page_that_ends_after_an_aborted_navigation_says_how_also_where_one_was_requested_before()
     {
        let session = json!({"sessionId": "s"});
        let ends = [
            json!({"sessionId": "s", "method": "Inspector.targetCrashed", "params": {}}),
            json!({"method": "Target.detachedFromTarget", "params": session}),
        ];
        let mut said = Vec::new();
        for end in ends {
            let mut wire = wire();
            let target = page(&mut wire).await;
            tell(&mut wire, &target, requested()).await;
            let page = Page { target };
            let mut going = pin!(page.goto("http://b.test/", PATIENCE));
            for awaited in ["Page.navigate", "Runtime.evaluate"] {
                let asked = loop {
                    let asked = tokio::select! {
                        went = &mut going => panic!("nobody asked: {went:?}"),
                        asked = wire.asked() => asked,
                    };
                    if asked["method"] == awaited {
                        break asked;
                    }
                };
                if awaited == "Page.navigate" {
                    let aborted = json!({"loaderId": "l", "errorText": "net::ERR_ABORTED"});
                    let answer = json!({"id": asked["id"], "sessionId": "s", "result": aborted});
                    wire.say(answer).await;
                }
            }
            wire.say(end).await;
            said.push(going.await.expect_err("the page has gone"));
        }
        assert!(
            matches!(said[..], [Error::Crashed, Error::Detached]),
            "{said:?}"
        );
    }
}
