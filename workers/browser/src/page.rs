//! A page: the handle that callers hold, and how the helper script in it is asked.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::deadline::Deadline;
use crate::frame::Scope;
use crate::frames::State;
use crate::helper::SCRIPT;
use crate::target::Target;
use crate::words::shorten;
use crate::{Download, DownloadWaiter, Error};

/// How long a question that has no time-out of its own may take.
pub(crate) const QUESTION: Duration = Duration::from_secs(30);

/// How long a document that has begun to come may take to be parsed.
const PARSING: Duration = Duration::from_secs(5);

/// One page of a browser. Clones are the same page.
#[derive(Clone)]
pub struct Page {
    pub(crate) target: Arc<Target>,
}

impl Page {
    /// The page of a target, once it is prepared.
    pub(crate) async fn of(target: Arc<Target>, deadline: Deadline) -> Result<Self, Error> {
        target.prepared(deadline).await?;
        Ok(Self { target })
    }

    /// Where the page is.
    ///
    /// # Errors
    ///
    /// As for every question: the page or the browser has gone, or it does not answer.
    pub async fn url(&self) -> Result<String, Error> {
        self.settled(Deadline::after(QUESTION)).await?;
        self.ask_document("url", json!([]), Deadline::after(QUESTION))
            .await
    }

    /// The document's title.
    ///
    /// # Errors
    ///
    /// As for every question: the page or the browser has gone, or it does not answer.
    pub async fn title(&self) -> Result<String, Error> {
        self.settled(Deadline::after(QUESTION)).await?;
        self.ask_document("title", json!([]), Deadline::after(QUESTION))
            .await
    }

    /// Calls a method of the DevTools protocol in the page's own session, for what this client has
    /// no method for. What it switches on or changes, the client does not know of.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] if the browser refuses; [`Error::TimedOut`] without an answer.
    pub async fn protocol(
        &self,
        method: &str,
        params: Value,
        timeout: Duration,
    ) -> Result<Value, Error> {
        self.call(method, params, Deadline::after(timeout)).await
    }

    /// The browser's own folder, which goes when the browser goes, whatever becomes of this process:
    /// the place for files that are to be uploaded.
    pub fn folder(&self) -> &Path {
        self.target.tabs.downloads.browser_folder()
    }

    /// Registers for the next download. Call it before the action that starts the download, and
    /// wait on what it gives after it.
    pub fn expect_download(&self) -> DownloadWaiter {
        self.target.tabs.downloads.expect(Arc::clone(&self.target))
    }

    /// Removes a finished download that nobody needs any more, before the browser goes.
    pub fn discard(&self, download: &Download) {
        self.target.tabs.downloads.discard(download);
    }

    /// Calls a method in the page's own session.
    pub(crate) async fn call(
        &self,
        method: &str,
        params: Value,
        deadline: Deadline,
    ) -> Result<Value, Error> {
        let target = &self.target;
        // Of a page that has gone, the browser knows only that there is no such session.
        target.look(State::check)?;
        target
            .connection
            .call(&target.session, method, params, deadline)
            .await
    }

    /// Waits for a navigation of the main frame that is under way.
    pub(crate) async fn settled(&self, deadline: Deadline) -> Result<(), Error> {
        self.target.settle(&self.target.main_frame, deadline).await
    }

    /// Waits for a navigation under way, and then until the document has been parsed: what is
    /// looked at once must not be half a document.
    pub(crate) async fn readable(&self, deadline: Deadline) -> Result<(), Error> {
        self.settled(deadline).await?;
        let parsed = self
            .target
            .until(deadline.within(PARSING), "the document", |state| {
                let frame = state.frame(&self.target.main_frame)?;
                frame.is_readable().then_some(())
            })
            .await;
        match parsed {
            // A document without an end is read as far as it came.
            Err(Error::TimedOut { .. }) => Ok(()),
            other => other,
        }
    }

    /// Asks the main frame's document, again if it is replaced meanwhile.
    pub(crate) async fn ask_document<T: DeserializeOwned>(
        &self,
        function: &str,
        arguments: Value,
        deadline: Deadline,
    ) -> Result<T, Error> {
        loop {
            let scope = self.main_scope(deadline).await?;
            let answer = self.ask(&scope, function, &arguments, deadline).await;
            if let Some(answer) = self.unless_replaced(answer, &"an answer", deadline).await {
                return answer;
            }
        }
    }

    /// An answer, unless the document was replaced while it was asked: then, in a moment, it is to
    /// be asked again. Once the deadline has passed, that is a time-out like any other.
    pub(crate) async fn unless_replaced<T>(
        &self,
        answer: Result<T, Error>,
        awaited: &impl Display,
        deadline: Deadline,
    ) -> Option<Result<T, Error>> {
        match answer {
            Err(Error::DocumentReplaced) if deadline.has_passed() => Some(Err(Error::TimedOut {
                awaited: awaited.to_string(),
                after: deadline.allowed(),
                found: "the document was being replaced".to_owned(),
            })),
            Err(Error::DocumentReplaced) => {
                self.pause().await;
                None
            }
            answer => Some(answer),
        }
    }

    /// Lets the events that explain a failed question arrive before it is asked again.
    pub(crate) async fn pause(&self) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    /// Calls a function of the helper script in one document.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        scope: &Scope,
        function: &str,
        arguments: &Value,
        deadline: Deadline,
    ) -> Result<T, Error> {
        let answer = self
            .start(scope, function, arguments)
            .wait(deadline.with_grace())
            .await?;
        let mut value = match value(answer) {
            Err(Error::Script { message }) if message.contains("legwork is not defined") => {
                return self.bring_helper(scope, deadline).await;
            }
            other => other?,
        };
        if function != "readRows" {
            shorten(&mut value, &self.target.tabs.redaction());
        }
        serde_json::from_value(value).map_err(|error| Error::unreadable(function, &error))
    }

    /// Brings the helper script to a document that the browser did not run it in. What failed for
    /// the lack of it is to be asked again.
    async fn bring_helper<T>(&self, scope: &Scope, deadline: Deadline) -> Result<T, Error> {
        let params = json!({"expression": SCRIPT, "uniqueContextId": scope.context.id});
        let connection = &self.target.connection;
        connection
            .call(&scope.context.session, "Runtime.evaluate", params, deadline)
            .await?;
        Err(Error::DocumentReplaced)
    }

    /// Sends a call of a function of the helper script, without waiting for the answer.
    pub(crate) fn start(
        &self,
        scope: &Scope,
        function: &str,
        arguments: &Value,
    ) -> crate::connection::Call {
        let params = json!({
            "expression": format!("legwork.{function}(...{arguments})"),
            "uniqueContextId": scope.context.id,
            "awaitPromise": true,
            "returnByValue": true,
        });
        self.target
            .connection
            .start(&scope.context.session, "Runtime.evaluate", params)
    }
}

/// The value in an answer to `Runtime.evaluate`, or the exception in it.
pub(crate) fn value(mut answer: Value) -> Result<Value, Error> {
    if let Some(details) = answer.get("exceptionDetails") {
        let thrown = &details["exception"];
        let message = thrown["description"]
            .as_str()
            .or_else(|| thrown["value"].as_str())
            .or_else(|| details["text"].as_str())
            .unwrap_or("it threw something");
        let first = message.lines().next().unwrap_or_default();
        if let Some((selector, reason)) = first
            .split_once("BadSelector: ")
            .and_then(|(_, rest)| rest.split_once(": "))
        {
            return Err(Error::BadSelector {
                selector: selector.to_owned(),
                message: reason.to_owned(),
            });
        }
        return Err(Error::Script {
            message: first.to_owned(),
        });
    }
    Ok(answer["result"]["value"].take())
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::FutureExt;

    use super::*;
    use crate::Locator;
    use crate::connection::tests::wire;
    use crate::helper::WORLD;
    use crate::target::tests::{page, tell};

    #[tokio::test]
    async fn a_document_that_is_replaced_past_the_deadline_is_a_time_out() {
        const ALLOWED: Duration = Duration::from_millis(50);
        let mut wire = wire();
        let target = page(&mut wire).await;
        let context = json!({"name": WORLD, "uniqueId": "c", "id": 1, "auxData": {"frameId": "f"}});
        let params = json!({"context": context});
        let created = json!({"sessionId": "s", "method": "Runtime.executionContextCreated", "params": params});
        tell(&mut wire, &target, created).await;
        let page = Page { target };
        let locator = Locator::css("p");
        let actions = [
            page.text(&locator, ALLOWED)
                .map(|read| read.map(drop))
                .boxed(),
            page.click(&locator, ALLOWED).boxed(),
        ];
        for action in actions {
            let mut action = pin!(action);
            let asked = tokio::select! {
                ended = &mut action => panic!("nobody asked: {ended:?}"),
                asked = wire.asked() => asked,
            };
            tokio::time::sleep(ALLOWED).await;
            let gone = json!({"message": "Cannot find default execution context"});
            let answer = json!({"id": asked["id"], "sessionId": "s", "error": gone});
            wire.say(answer).await;
            let failed = action.await.expect_err("the document has gone");
            let Error::TimedOut { awaited, .. } = failed else {
                panic!("{failed:?}")
            };
            assert!(awaited.contains("css=p"), "{awaited}");
        }
    }
}
