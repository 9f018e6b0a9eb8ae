//! Going to a URL, and knowing whether the page got there.

use std::time::Duration;

use serde_json::json;

use crate::Error;
use crate::deadline::Deadline;
use crate::page::Page;
use crate::target::Frame;

/// How long after an aborted navigation the news of a crash may take.
const TELLING_OF_A_CRASH: Duration = Duration::from_millis(500);

impl Page {
    /// Goes to a URL and waits for the load event. A URL that turns out to be a download is
    /// reached when the download begins.
    ///
    /// # Errors
    ///
    /// [`Error::Navigation`] with Chromium's reason if the page can't be loaded;
    /// [`Error::TimedOut`] if the load event does not come in time.
    pub async fn goto(&self, url: &str, timeout: Duration) -> Result<(), Error> {
        let deadline = Deadline::after(timeout);
        let target = &self.target;
        let answer = target
            .connection
            .call(
                &target.session,
                "Page.navigate",
                json!({"url": url}),
                deadline,
            )
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(Error::TimedOut { after, .. }) => {
                return Err(Error::TimedOut {
                    awaited: format!("{url} to answer"),
                    after,
                    found: "no answer had come".to_owned(),
                });
            }
            Err(Error::Protocol { message, .. }) => {
                return Err(Error::Navigation {
                    url: url.to_owned(),
                    reason: message,
                });
            }
            Err(error) => return Err(error),
        };
        if answer["isDownload"].as_bool() == Some(true) {
            return Ok(());
        }
        if let Some(reason) = answer["errorText"].as_str().filter(|text| !text.is_empty()) {
            if reason == "net::ERR_ABORTED" {
                self.not_crashed().await?;
            }
            return Err(Error::Navigation {
                url: url.to_owned(),
                reason: reason.to_owned(),
            });
        }
        // Without a new document (a fragment) there is nothing to wait for.
        let Some(loader) = answer["loaderId"].as_str() else {
            return Ok(());
        };
        let awaited = format!("the load event of {url}");
        // If the document sends the page elsewhere before it has loaded, the next one counts.
        target
            .until(deadline, &awaited, |state| {
                let frame = state.frame(&target.main_frame)?;
                (frame.has_shown(loader) && frame.is_loaded).then_some(())
            })
            .await
    }

    /// Loads the page again and waits for the load event.
    ///
    /// # Errors
    ///
    /// As for [`Page::goto`].
    pub async fn reload(&self, timeout: Duration) -> Result<(), Error> {
        let deadline = Deadline::after(timeout);
        self.settled(deadline).await?;
        let before = self.document();
        let target = &self.target;
        target
            .connection
            .call(&target.session, "Page.reload", json!({}), deadline)
            .await?;
        self.loaded_after(&before, "the page to load again", deadline)
            .await
    }

    /// Goes back one entry of the page's history and waits for the load event.
    ///
    /// # Errors
    ///
    /// As for [`Page::goto`]; [`Error::Navigation`] if there is nothing to go back to.
    pub async fn back(&self, timeout: Duration) -> Result<(), Error> {
        let deadline = Deadline::after(timeout);
        self.settled(deadline).await?;
        let target = &self.target;
        let call = |method, params| {
            target
                .connection
                .call(&target.session, method, params, deadline)
        };
        let history = call("Page.getNavigationHistory", json!({})).await?;
        let entry = history["currentIndex"]
            .as_u64()
            .and_then(|index| usize::try_from(index).ok()?.checked_sub(1))
            .and_then(|index| history["entries"].get(index));
        let Some(entry) = entry else {
            return Err(Error::Navigation {
                url: "the page before".to_owned(),
                reason: "there is none".to_owned(),
            });
        };
        let url = entry["url"].as_str().unwrap_or_default();
        let params = json!({"entryId": entry["id"]});
        call("Page.navigateToHistoryEntry", params).await?;
        // A step back within one document makes no new one: the URL decides.
        let awaited = format!("the page to be back at {url}");
        target
            .until(deadline, &awaited, |state| {
                let frame = state.frame(&target.main_frame)?;
                (frame.url == url && frame.is_loaded).then_some(())
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

    /// A crash aborts the navigation first and is told a moment later.
    async fn not_crashed(&self) -> Result<(), Error> {
        let moment = Deadline::after(TELLING_OF_A_CRASH);
        let told = self.target.until(moment, "a crash", |_| None::<()>).await;
        match told {
            Err(Error::TimedOut { .. }) => Ok(()),
            other => other,
        }
    }

    fn document(&self) -> Option<String> {
        self.target
            .look(|state| state.frame(&self.target.main_frame)?.document())
    }

    async fn loaded_after(
        &self,
        before: &Option<String>,
        awaited: &str,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let target = &self.target;
        target
            .until(deadline, awaited, |state| {
                let frame = state.frame(&target.main_frame)?;
                (frame.document() != *before && frame.is_loaded).then_some(())
            })
            .await?;
        self.reached()
    }
}
