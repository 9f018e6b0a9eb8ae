//! What all actions have in common: waiting until the element can be acted on, sending the events,
//! letting the page handle them.
//!
//! A step is done once: if the page navigates away or closes while the events are handled, it is
//! not done again.

use std::pin::pin;

use futures::future::{Either, select};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::deadline::Deadline;
use crate::frame::{Found, Scope};
use crate::page::{Page, millis};
use crate::{Error, Locator};

/// What an element must be ready for.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Prepare {
    kind: &'static str,
    position: Option<(f64, f64)>,
    /// How often the page around a frame hid the point that it was at: then it is scrolled to.
    hidden: u32,
    /// Whether pictures are to cover the element from now on.
    conceals: bool,
}

impl Prepare {
    /// For the mouse: `mouse`, `hover` (which may be over something disabled), `check` (where a
    /// label may stand for its box).
    pub(crate) fn mouse(kind: &'static str, position: Option<(f64, f64)>) -> Self {
        Self {
            kind,
            position,
            hidden: 0,
            conceals: false,
        }
    }

    /// For keys: `focus`, `fill` (which also selects what is there).
    pub(crate) fn focus(kind: &'static str) -> Self {
        Self {
            kind,
            position: None,
            hidden: 0,
            conceals: false,
        }
    }

    /// The same, for something that pictures must not show.
    pub(crate) fn concealing(self, conceals: bool) -> Self {
        Self { conceals, ..self }
    }

    /// The same, once more, because the page around its frame hid the point.
    pub(crate) fn hidden_again(&mut self) {
        self.hidden += 1;
    }
}

/// An element that can be acted on now.
#[derive(Deserialize)]
pub(crate) struct Ready {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) takes: Takes,
}

/// How a field gets its value.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Takes {
    /// By text.
    Text,
    /// By text that is a number.
    Number,
    /// By a choice: a date, a colour.
    Choice,
    /// It was not asked for that.
    Nothing,
}

/// How one try to act ended.
pub(crate) enum Tried {
    Done,
    /// Something else got the events, and kept the page from seeing them.
    Missed(String),
}

impl Page {
    /// Waits for the one element to be ready, again if the document is replaced meanwhile.
    pub(crate) async fn prepare(
        &self,
        locator: &Locator,
        prepare: Prepare,
        deadline: Deadline,
    ) -> Result<(Scope, Ready), Error> {
        loop {
            let prepared = async {
                self.settled(deadline).await?;
                self.reached()?;
                let scope = self.scope(locator, deadline.allowed(), deadline).await?;
                let arguments = json!([locator, prepare, millis(deadline.remaining())]);
                let found: Found<Ready> = self.ask(&scope, "prepare", &arguments, deadline).await?;
                Ok((scope, found.one(locator, deadline)?))
            };
            let prepared = self
                .unless_replaced(prepared.await, locator, deadline)
                .await;
            match prepared {
                None => {}
                Some(Err(Error::TimedOut { after, found, .. })) => {
                    return Err(Error::TimedOut {
                        awaited: format!("{locator} to be ready"),
                        after,
                        found,
                    });
                }
                Some(other) => return other,
            }
        }
    }

    /// Sends input events all at once and lets the page handle them. Gives what got them if it
    /// was not the element that was prepared.
    pub(crate) async fn send(
        &self,
        scope: &Scope,
        events: Vec<(&'static str, Value)>,
        deadline: Deadline,
    ) -> Result<Option<String>, Error> {
        let connection = &self.target.connection;
        let sent: Vec<_> = events
            .into_iter()
            .map(|(method, params)| connection.start(&self.target.session, method, params))
            .collect();
        for call in sent {
            match call.wait(deadline.with_grace()).await {
                Ok(_) => {}
                // The events were handled: they made the document go away, or closed the page.
                Err(Error::DocumentReplaced | Error::Detached) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        // While a navigation is under way, Chromium holds back what is sent to the old document.
        let none = json!([]);
        let finished = pin!(self.ask(scope, "finish", &none, deadline));
        let navigating = pin!(self.navigating(&scope.frame, deadline));
        let missed = match select(finished, navigating).await {
            Either::Left((Err(Error::DocumentReplaced | Error::Detached), _))
            | Either::Right((Ok(()) | Err(Error::Detached), _)) => None,
            Either::Left((finished, _)) => finished?,
            Either::Right((Err(error), _)) => return Err(error),
        };
        self.target.admitted(deadline).await?;
        Ok(missed)
    }
}
