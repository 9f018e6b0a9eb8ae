//! Reading what is on the page; it changes nothing there.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::deadline::Deadline;
use crate::frame::Found;
use crate::page::{Page, QUESTION, millis};
use crate::{Error, Locator, halves};

/// One field of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// What the caller calls it.
    #[serde(skip)]
    pub name: String,
    /// The first match inside the row; the row itself, if absent.
    pub locator: Option<Locator>,
    /// What of it is read.
    pub read: Read,
}

/// What of an element is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Read {
    /// The text as it is shown, without white space around it.
    Text,
    /// The HTML inside of it.
    Html,
    /// An attribute.
    Attribute(String),
    /// `true` or `false`: whether it is checked.
    Checked,
    /// The present value of a field.
    Value,
    /// This of every match inside the row, as a JSON list.
    Each(Box<Read>),
}

/// The fields of rows, as they were read at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Rows {
    /// One cell for each field of each row; `None` where its element is missing.
    pub cells: Vec<Vec<Option<String>>>,
    /// What their document says links are relative to. It may change while the rows stay as they are.
    pub base: String,
}

impl Page {
    /// How many elements match, now, after a navigation under way.
    ///
    /// # Errors
    ///
    /// As for every question: the page or the browser has gone, or it does not answer.
    pub async fn count(&self, locator: &Locator) -> Result<usize, Error> {
        let counted = self.ask_once(locator, "count", json!([locator])).await;
        match counted {
            // What is in a frame that is not there is not there.
            Err(Error::NotFound { .. }) => Ok(0),
            other => other,
        }
    }

    /// The text of one element as it is shown, once the element is there.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Ambiguous`].
    pub async fn text(&self, locator: &Locator, timeout: Duration) -> Result<String, Error> {
        self.read_one(locator, "text", None, Deadline::after(timeout))
            .await
    }

    /// An attribute of one element, once the element is there; nothing if it has none.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Ambiguous`].
    pub async fn attribute(
        &self,
        locator: &Locator,
        name: &str,
        timeout: Duration,
    ) -> Result<Option<String>, Error> {
        self.read_one(
            locator,
            "attribute",
            Some(name.into()),
            Deadline::after(timeout),
        )
        .await
    }

    /// Whether one element, which must be there, is enabled.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] at once, [`Error::Ambiguous`].
    pub async fn is_enabled(&self, locator: &Locator) -> Result<bool, Error> {
        let found: Found<bool> = self
            .ask_once(locator, "isEnabled", json!([locator, 0]))
            .await?;
        found.one(locator, Deadline::after(Duration::ZERO))
    }

    /// Reads the fields of all rows that match, in one round trip; a field that is not in a row is
    /// `None`. No rows is no error: wait for the table first.
    ///
    /// # Errors
    ///
    /// [`Error::BadSelector`]; otherwise as for every question.
    pub async fn read_rows(&self, rows: &Locator, fields: &[Field]) -> Result<Rows, Error> {
        let read: String = self
            .ask_once(rows, "readRows", json!([rows, fields]))
            .await?;
        halves::read(read.as_bytes()).map_err(|error| Error::unreadable("readRows", &error))
    }

    /// Asks the document of a locator once it has been parsed, without waiting for elements.
    async fn ask_once<T: serde::de::DeserializeOwned>(
        &self,
        locator: &Locator,
        function: &str,
        arguments: Value,
    ) -> Result<T, Error> {
        let deadline = Deadline::after(QUESTION);
        loop {
            let answer = async {
                self.readable(deadline).await?;
                let scope = self.scope(locator, Duration::ZERO, deadline).await?;
                self.ask(&scope, function, &arguments, deadline).await
            };
            let answer = answer.await;
            if let Some(answer) = self.unless_replaced(answer, locator, deadline).await {
                return answer;
            }
        }
    }

    /// Waits for one element and reads something of it.
    pub(crate) async fn read_one<T: serde::de::DeserializeOwned>(
        &self,
        locator: &Locator,
        function: &str,
        argument: Option<Value>,
        deadline: Deadline,
    ) -> Result<T, Error> {
        loop {
            let answer = async {
                self.settled(deadline).await?;
                self.reached()?;
                let scope = self.scope(locator, deadline.allowed(), deadline).await?;
                let left = millis(deadline.remaining());
                let arguments = match &argument {
                    None => json!([locator, left]),
                    Some(argument) => json!([locator, argument, left]),
                };
                let found: Found<T> = self.ask(&scope, function, &arguments, deadline).await?;
                found.one(locator, deadline)
            };
            let answer = answer.await;
            if let Some(answer) = self.unless_replaced(answer, locator, deadline).await {
                return answer;
            }
        }
    }
}
