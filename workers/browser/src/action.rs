//! Acting on elements as a person would: real mouse and keyboard events, after waiting until the
//! element can receive them.
//!
//! A step is done once: if the page navigates away while the events are handled, it is not done
//! again.

use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::deadline::Deadline;
use crate::frame::{Found, Scope};
use crate::keyboard::KeyPress;
use crate::page::{Page, millis};
use crate::{Error, Locator};

/// An element that can be acted on now.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ready {
    x: f64,
    y: f64,
    /// Whether its value is chosen (a date, a colour) and not typed.
    is_chosen: bool,
}

/// How one try to act ended.
enum Tried {
    Done,
    /// Something else got the events, and kept the page from seeing them.
    Missed(String),
}

impl Page {
    /// Clicks the element in its middle, once it is visible, still, enabled and uncovered.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Ambiguous`] and [`Error::NotActionable`] say what is wrong
    /// with the element; others that the page or the browser has gone.
    pub async fn click(&self, locator: &Locator, timeout: Duration) -> Result<(), Error> {
        self.act(locator, "mouse", 1, timeout).await
    }

    /// Clicks the element twice, as a double click.
    ///
    /// # Errors
    ///
    /// As for [`Page::click`].
    pub async fn double_click(&self, locator: &Locator, timeout: Duration) -> Result<(), Error> {
        self.act(locator, "mouse", 2, timeout).await
    }

    /// Moves the mouse over the element.
    ///
    /// # Errors
    ///
    /// As for [`Page::click`].
    pub async fn hover(&self, locator: &Locator, timeout: Duration) -> Result<(), Error> {
        self.act(locator, "hover", 0, timeout).await
    }

    /// Replaces the text of a field: gives it the focus, selects what is in it, inserts the value.
    /// An empty value clears it. The value is never logged.
    ///
    /// # Errors
    ///
    /// As for [`Page::click`]; a read-only field, or an element that takes no text, is
    /// [`Error::NotActionable`].
    pub async fn fill(
        &self,
        locator: &Locator,
        value: &str,
        timeout: Duration,
    ) -> Result<(), Error> {
        let deadline = Deadline::after(timeout);
        let (scope, ready) = self.prepare(locator, "fill", deadline).await?;
        if ready.is_chosen {
            let problem: Option<String> = self
                .ask(&scope, "choose", &json!([value]), deadline)
                .await?;
            return match problem {
                None => Ok(()),
                Some(reason) => Err(Error::NotActionable {
                    locator: locator.to_string(),
                    after: deadline.allowed(),
                    reason,
                }),
            };
        }
        let events = if value.is_empty() {
            KeyPress::parse("Delete")?.events().into()
        } else {
            vec![("Input.insertText", json!({"text": value}))]
        };
        self.send(&scope, events, deadline).await.map(drop)
    }

    /// Presses a key, with modifiers if wanted (`Enter`, `Tab`, `Control+A`), on what has the
    /// focus.
    ///
    /// # Errors
    ///
    /// [`Error::BadSelector`] for a key that does not exist.
    pub async fn press(&self, key: &str, timeout: Duration) -> Result<(), Error> {
        let deadline = Deadline::after(timeout);
        let press = KeyPress::parse(key)?;
        self.settled(deadline).await?;
        let scope = self.main_scope(deadline).await?;
        let events = press.events().into();
        self.send(&scope, events, deadline).await.map(drop)
    }

    async fn act(
        &self,
        locator: &Locator,
        kind: &str,
        clicks: u32,
        timeout: Duration,
    ) -> Result<(), Error> {
        let deadline = Deadline::after(timeout);
        loop {
            let reason = match self.try_mouse(locator, kind, clicks, deadline).await? {
                Tried::Done => return Ok(()),
                Tried::Missed(reason) => reason,
            };
            if deadline.has_passed() {
                return Err(Error::NotActionable {
                    locator: locator.to_string(),
                    after: deadline.allowed(),
                    reason,
                });
            }
            self.pause().await;
        }
    }

    async fn try_mouse(
        &self,
        locator: &Locator,
        kind: &str,
        clicks: u32,
        deadline: Deadline,
    ) -> Result<Tried, Error> {
        let (scope, ready) = self.prepare(locator, kind, deadline).await?;
        let (x, y) = match self.place(&scope, (ready.x, ready.y), deadline).await {
            Ok(Ok(point)) => point,
            Ok(Err(cover)) => return Ok(Tried::Missed(cover)),
            // Nothing was done yet: the frame went away, and is looked for anew.
            Err(Error::DocumentReplaced) => {
                return Ok(Tried::Missed("its frame was replaced".to_owned()));
            }
            Err(error) => return Err(error),
        };
        let missed = self
            .send(&scope, mouse_events(x, y, clicks), deadline)
            .await?;
        Ok(missed.map_or(Tried::Done, |by| {
            Tried::Missed(format!("{by} got the click instead"))
        }))
    }

    /// Waits for the one element to be ready, again if the document is replaced meanwhile.
    async fn prepare(
        &self,
        locator: &Locator,
        kind: &str,
        deadline: Deadline,
    ) -> Result<(Scope, Ready), Error> {
        loop {
            let prepared = async {
                self.settled(deadline).await?;
                self.reached()?;
                let scope = self.scope(locator, deadline.allowed(), deadline).await?;
                let arguments = json!([locator, kind, millis(deadline.remaining())]);
                let found: Found<Ready> = self.ask(&scope, "prepare", &arguments, deadline).await?;
                Ok((scope, found.one(locator, deadline)?))
            };
            match prepared.await {
                Err(Error::DocumentReplaced) if !deadline.has_passed() => self.pause().await,
                other => return other,
            }
        }
    }

    /// Sends input events all at once and lets the page handle them. Gives what got them if it
    /// was not the element that was prepared.
    async fn send(
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
            match call.wait(deadline).await {
                Ok(_) => {}
                // The events were handled: they made the page go away.
                Err(Error::DocumentReplaced) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        // While a navigation is under way, Chromium holds back what is sent to the old document.
        let none = json!([]);
        let finished = pin!(self.ask(scope, "finish", &none, deadline));
        let navigating = pin!(self.navigating(&scope.frame, deadline));
        match select(finished, navigating).await {
            Either::Left((Err(Error::DocumentReplaced), _)) | Either::Right((Ok(()), _)) => {
                Ok(None)
            }
            Either::Left((finished, _)) => finished,
            Either::Right((Err(error), _)) => Err(error),
        }
    }
}

fn mouse_events(x: f64, y: f64, clicks: u32) -> Vec<(&'static str, Value)> {
    let event = |kind: &str, button: &str, buttons: u32, count: u32| {
        let params = json!({
            "type": kind, "x": x, "y": y,
            "button": button, "buttons": buttons, "clickCount": count,
        });
        ("Input.dispatchMouseEvent", params)
    };
    let mut events = vec![event("mouseMoved", "none", 0, 0)];
    for count in 1..=clicks {
        events.push(event("mousePressed", "left", 1, count));
        events.push(event("mouseReleased", "left", 0, count));
    }
    events
}
