//! Text and keys: filling, typing, pressing, the focus. What is typed is never logged.

use std::time::Duration;

use serde_json::json;

use crate::action::{Prepare, Takes};
use crate::deadline::Deadline;
use crate::keyboard::{KeyPress, keys_of};
use crate::page::Page;
use crate::{Error, Locator};

impl Page {
    /// Replaces the text of a field: gives it the focus, selects what is in it, inserts the value.
    /// An empty value clears it. A date, a time, a colour or a slider is set to the value, with
    /// the events of a choice.
    ///
    /// # Errors
    ///
    /// As for [`Page::click`]; a read-only field, an element that takes no text, or a value that
    /// the field does not take, is [`Error::NotActionable`].
    pub async fn fill(
        &self,
        locator: &Locator,
        value: &str,
        timeout: Duration,
    ) -> Result<(), Error> {
        let deadline = Deadline::after(timeout);
        let refuse = |reason: String| Error::NotActionable {
            locator: locator.to_string(),
            after: deadline.allowed(),
            reason,
        };
        let prepare = Prepare::focus("fill").concealing(self.must_conceal(value));
        let (scope, ready) = self.prepare(locator, prepare, deadline).await?;
        match ready.takes {
            Takes::Choice => {
                let problem: Option<String> = self
                    .ask(&scope, "choose", &json!([value]), deadline)
                    .await?;
                return problem.map_or(Ok(()), |reason| Err(refuse(reason)));
            }
            Takes::Number if !value.is_empty() && value.trim().parse::<f64>().is_err() => {
                return Err(refuse(
                    "an input of type number takes only numbers".to_owned(),
                ));
            }
            Takes::Number | Takes::Text | Takes::Nothing => {}
        }
        let events = if value.is_empty() {
            KeyPress::parse("Delete")?.events().into()
        } else {
            vec![("Input.insertText", json!({"text": value}))]
        };
        self.send(&scope, events, deadline).await.map(drop)
    }

    /// Empties a field.
    ///
    /// # Errors
    ///
    /// As for [`Page::fill`].
    pub async fn clear(&self, locator: &Locator, timeout: Duration) -> Result<(), Error> {
        self.fill(locator, "", timeout).await
    }

    /// Gives an element the focus.
    ///
    /// # Errors
    ///
    /// As for [`Page::click`]; an element that does not take it is [`Error::NotActionable`].
    pub async fn focus(&self, locator: &Locator, timeout: Duration) -> Result<(), Error> {
        let prepare = Prepare::focus("focus");
        self.prepare(locator, prepare, Deadline::after(timeout))
            .await
            .map(drop)
    }

    /// Types a text after what is in a field, key by key, as a person would: for pages that look
    /// at keys. With a delay, that long is waited after each key.
    ///
    /// # Errors
    ///
    /// As for [`Page::focus`]; [`Error::TimedOut`] if the time is over before the text.
    pub async fn type_text(
        &self,
        locator: &Locator,
        text: &str,
        delay: Duration,
        timeout: Duration,
    ) -> Result<(), Error> {
        let deadline = Deadline::after(timeout);
        let prepare = Prepare::focus("focus").concealing(self.must_conceal(text));
        let (scope, _) = self.prepare(locator, prepare, deadline).await?;
        if delay.is_zero() {
            let events = text.chars().flat_map(keys_of).collect();
            return self.send(&scope, events, deadline).await.map(drop);
        }
        let total = text.chars().count();
        for (typed, character) in text.chars().enumerate() {
            let events = keys_of(character);
            self.send(&scope, events, deadline).await?;
            if deadline.remaining() < delay {
                return Err(Error::TimedOut {
                    awaited: "a text to be typed".to_owned(),
                    after: deadline.allowed(),
                    found: format!("{} of {total} characters were", typed + 1),
                });
            }
            tokio::time::sleep(delay).await;
        }
        Ok(())
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

    /// Gives an element the focus, and presses a key on it.
    ///
    /// # Errors
    ///
    /// As for [`Page::press`] and [`Page::focus`].
    pub async fn press_on(
        &self,
        locator: &Locator,
        key: &str,
        timeout: Duration,
    ) -> Result<(), Error> {
        let deadline = Deadline::after(timeout);
        let press = KeyPress::parse(key)?;
        let prepare = Prepare::focus("focus");
        let (scope, _) = self.prepare(locator, prepare, deadline).await?;
        let events = press.events().into();
        self.send(&scope, events, deadline).await.map(drop)
    }
}
