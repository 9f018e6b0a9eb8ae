//! The pages of a browser beside the first one: popups, new tabs, who opened them, closing them.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};
use serde_json::json;

use crate::Error;
use crate::deadline::Deadline;
use crate::page::{Page, QUESTION};
use crate::tabs::Tabs;
use crate::target::Target;

impl Page {
    /// The open pages of this page's browser, in the order in which they were opened.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] if the browser has gone.
    pub async fn pages(&self) -> Result<Vec<Page>, Error> {
        let deadline = Deadline::after(QUESTION);
        let mut pages = Vec::new();
        for target in self.target.tabs.pages() {
            match Page::of(target, deadline).await {
                Ok(page) => pages.push(page),
                // It was closed a moment ago.
                Err(Error::Detached | Error::Crashed) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(pages)
    }

    /// The page that opened this one, if it is still there.
    pub fn opener(&self) -> Option<Page> {
        let target = self.target.tabs.opener_of(&self.target.main_frame)?;
        Some(Page { target })
    }

    /// Whether both are handles of one page.
    pub fn is_same_as(&self, other: &Page) -> bool {
        Arc::ptr_eq(&self.target, &other.target)
    }

    /// Whether the page is still there: not closed, not crashed.
    pub fn is_open(&self) -> bool {
        !self.target.has_ended()
    }

    /// Whether the page was closed: by this client, by its site, or with its browser. One that
    /// crashed is still there.
    pub fn is_closed(&self) -> bool {
        self.target.has_detached()
    }

    /// Waits until the page has crashed or the browser has gone, and says which. That the page is
    /// closed does not end it.
    pub async fn gone(&self) -> Error {
        let crashed = pin!(self.target.crashed());
        match select(crashed, pin!(self.target.tabs.closed())).await {
            Either::Left(_) => Error::Crashed,
            Either::Right(_) => Error::Closed,
        }
    }

    /// Opens a new, empty page beside this one.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] if the browser has gone.
    pub async fn open_page(&self) -> Result<Page, Error> {
        let deadline = Deadline::after(QUESTION);
        let target = self.target.tabs.open(deadline).await?;
        Page::of(target, deadline).await
    }

    /// Registers for the next page that this one opens. Call it before the action that opens it,
    /// and wait on what it gives after it.
    pub fn expect_page(&self) -> PageWaiter {
        PageWaiter {
            tabs: Arc::clone(&self.target.tabs),
            opener: Arc::clone(&self.target),
            after: self.target.tabs.last_number(),
        }
    }

    /// Closes the page, without asking it, and waits until it has gone. Closing a page that has
    /// gone is no error.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] if the browser has gone, [`Error::TimedOut`] if the page does not go.
    pub async fn close(&self, timeout: Duration) -> Result<(), Error> {
        let deadline = Deadline::after(timeout);
        let target = &self.target;
        if target.has_detached() {
            return Ok(());
        }
        let params = json!({"targetId": target.main_frame});
        let call = target.connection.start("", "Target.closeTarget", params);
        match call.wait(deadline).await {
            // It is going already.
            Ok(_) | Err(Error::Protocol { .. } | Error::DocumentReplaced) => {}
            Err(error) => return Err(error),
        }
        target.gone(deadline).await
    }

    /// Makes this page the one in front, which is the one that animates and has the focus.
    ///
    /// # Errors
    ///
    /// As for every question: the page or the browser has gone, or it does not answer.
    pub async fn bring_to_front(&self) -> Result<(), Error> {
        let deadline = Deadline::after(QUESTION);
        self.call("Page.bringToFront", json!({}), deadline)
            .await
            .map(drop)
    }
}

/// Waits for a page that an action is about to open.
pub struct PageWaiter {
    tabs: Arc<Tabs>,
    opener: Arc<Target>,
    after: u64,
}

impl PageWaiter {
    /// Waits until the page is there. It may still be loading: what is done in it waits for that.
    /// A popup that has closed itself already is given too; what is done in it is
    /// [`Error::Detached`].
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] if none opens, [`Error::Crashed`] if the page that was to open it has,
    /// [`Error::Closed`] if the browser has gone.
    pub async fn wait(self, timeout: Duration) -> Result<Page, Error> {
        let deadline = Deadline::after(timeout);
        let opener = &self.opener;
        let opened = pin!(
            self.tabs
                .opened_after(self.after, Some(&opener.main_frame), deadline)
        );
        // One that has closed may have opened it before.
        let target = match select(opened, pin!(opener.trouble())).await {
            Either::Left((opened, _)) => opened?,
            Either::Right((trouble, _)) => return Err(trouble),
        };
        match target.prepared(deadline).await {
            Ok(()) | Err(Error::Detached) => Ok(Page { target }),
            Err(error) => Err(error),
        }
    }
}
