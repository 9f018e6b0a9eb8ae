//! A page: the handle that callers hold, and how the helper script in it is asked.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::connection::Connection;
use crate::deadline::Deadline;
use crate::download::Downloads;
use crate::frame::Scope;
use crate::target::{HELPER, Target, WORLD};
use crate::{DownloadWaiter, Error};

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
    /// Attaches to the page with this target id and prepares it.
    pub(crate) async fn attach(
        connection: &Connection,
        target_id: &str,
        downloads: Arc<Downloads>,
        setup: Vec<(&'static str, Value)>,
        deadline: Deadline,
    ) -> Result<Self, Error> {
        let params = json!({"targetId": target_id, "flatten": true});
        let answer = connection
            .call("", "Target.attachToTarget", params, deadline)
            .await?;
        let session = answer["sessionId"].as_str().unwrap_or_default().to_owned();
        // The id of a page's main frame is the id of its target.
        let target = Arc::new(Target::new(
            connection.clone(),
            session,
            target_id.to_owned(),
            downloads,
            setup,
        ));
        connection.listen(&target.session, Arc::new(Arc::clone(&target)));
        let calls: Vec<_> = target
            .setup()
            .map(|(method, params)| connection.start(&target.session, method, params))
            .collect();
        for call in calls {
            call.wait(deadline).await?;
        }
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

    /// Evaluates an expression of the caller's in the page's own world, awaits it if it is a
    /// promise, and gives its value as JSON. It is stopped at the time-out.
    ///
    /// # Errors
    ///
    /// [`Error::Script`] if it throws, [`Error::TimedOut`] if it does not end,
    /// [`Error::DocumentReplaced`] if the page navigates away under it: it may have had effects,
    /// so it is not evaluated again.
    pub async fn evaluate(&self, expression: &str, timeout: Duration) -> Result<Value, Error> {
        let deadline = Deadline::after(timeout);
        self.settled(deadline).await?;
        let params = json!({
            "expression": expression,
            "awaitPromise": true,
            "returnByValue": true,
            "userGesture": true,
            "timeout": millis(timeout),
        });
        let answer = self
            .target
            .connection
            .call(&self.target.session, "Runtime.evaluate", params, deadline)
            .await;
        match answer {
            Ok(answer) => value(answer),
            Err(Error::Protocol { message, .. }) if message.contains("terminated") => {
                Err(timed_out_script(deadline))
            }
            Err(Error::TimedOut { .. }) => Err(timed_out_script(deadline)),
            Err(error) => Err(error),
        }
    }

    /// Registers for the next download. Call it before the action that starts the download, and
    /// wait on what it gives after it.
    pub fn expect_download(&self) -> DownloadWaiter {
        self.target.downloads.expect()
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
            .until(Deadline::after(PARSING), "the document", |state| {
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
            match self.ask(&scope, function, &arguments, deadline).await {
                Err(Error::DocumentReplaced) if !deadline.has_passed() => self.pause().await,
                other => return other,
            }
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
        let value = match value(answer) {
            Err(Error::Script { message }) if message.contains("legwork is not defined") => {
                return self.bring_helper(scope, deadline).await;
            }
            other => other?,
        };
        serde_json::from_value(value).map_err(|error| Error::Protocol {
            method: format!("{WORLD}.{function}"),
            message: error.to_string(),
        })
    }

    /// Brings the helper script to a document that the browser did not run it in. What failed for
    /// the lack of it is to be asked again.
    async fn bring_helper<T>(&self, scope: &Scope, deadline: Deadline) -> Result<T, Error> {
        let params = json!({"expression": HELPER, "uniqueContextId": scope.context.id});
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

fn timed_out_script(deadline: Deadline) -> Error {
    Error::TimedOut {
        awaited: "a script to end".to_owned(),
        after: deadline.allowed(),
        found: "it was still running".to_owned(),
    }
}
