//! Scripts of the caller's: in the page's own world, where its variables are, or in the isolated
//! one, which the page can neither see nor disturb.

use std::time::Duration;

use serde_json::{Value, json};

use crate::deadline::Deadline;
use crate::page::{Page, millis, value};
use crate::{Error, Locator};

/// A function of the caller's, with what it is called with.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    /// An expression that gives a function, such as `(a, b) => a + b`. It may be asynchronous.
    pub function: String,
    /// Its arguments.
    pub arguments: Vec<Value>,
    /// Where it runs.
    pub world: World,
    /// The iframe in whose document it runs; the page's own document, if absent.
    pub frame: Option<Locator>,
}

/// Which variables a script sees. The document is the same in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum World {
    /// Those of the page.
    #[default]
    Page,
    /// Only its own: the page can't replace what it uses, nor notice it.
    Isolated,
}

impl Script {
    /// A function in the page's own world, without arguments.
    pub fn new(function: impl Into<String>) -> Self {
        Self {
            function: function.into(),
            arguments: Vec::new(),
            world: World::Page,
            frame: None,
        }
    }
}

impl Page {
    /// Evaluates an expression of the caller's in the page's own world, awaits it if it is a
    /// promise, and gives its value as JSON. It is stopped at the time-out.
    ///
    /// # Errors
    ///
    /// [`Error::Script`] if it throws or its promise is rejected, [`Error::TimedOut`] if it does
    /// not end, [`Error::DocumentReplaced`] if the page navigates away under it: it may have had
    /// effects, so it is not evaluated again.
    pub async fn evaluate(&self, expression: &str, timeout: Duration) -> Result<Value, Error> {
        let deadline = Deadline::after(timeout);
        self.settled(deadline).await?;
        self.run_in(&self.target.session, None, expression, deadline)
            .await
    }

    /// Checks the syntax of an expression, without evaluating it.
    ///
    /// # Errors
    ///
    /// [`Error::Script`] with what V8 says about it.
    pub async fn check_syntax(&self, expression: &str, timeout: Duration) -> Result<(), Error> {
        let params = json!({ "expression": expression, "sourceURL": "", "persistScript": false });
        let connection = &self.target.connection;
        let (session, deadline) = (&self.target.session, Deadline::after(timeout));
        let answer = connection.call(session, "Runtime.compileScript", params, deadline);
        value(answer.await?).map(drop)
    }

    /// Calls a function of the caller's, awaits what it gives if that is a promise, and gives its
    /// value as JSON.
    ///
    /// # Errors
    ///
    /// As for [`Page::evaluate`]; [`Error::NotFound`] if its frame is not there.
    pub async fn run(&self, script: &Script, timeout: Duration) -> Result<Value, Error> {
        let deadline = Deadline::after(timeout);
        self.settled(deadline).await?;
        let scope = match &script.frame {
            None => self.main_scope(deadline).await?,
            Some(frame) => {
                let inside = Locator::css(":root").in_frame(frame.clone());
                self.scope(&inside, deadline.allowed(), deadline).await?
            }
        };
        let context = match script.world {
            World::Isolated => scope.context,
            World::Page => self
                .target
                .page_context(&scope.frame)
                .ok_or(Error::DocumentReplaced)?,
        };
        // JSON is JavaScript.
        let arguments = Value::from(script.arguments.clone());
        let expression = format!("({})(...{arguments})", script.function);
        self.run_in(&context.session, Some(&context.id), &expression, deadline)
            .await
    }

    async fn run_in(
        &self,
        session: &str,
        context: Option<&str>,
        expression: &str,
        deadline: Deadline,
    ) -> Result<Value, Error> {
        let mut params = json!({
            "expression": expression,
            "awaitPromise": true,
            "returnByValue": true,
            "userGesture": true,
            "timeout": millis(deadline.remaining()),
        });
        if let Some(context) = context {
            params["uniqueContextId"] = context.into();
        }
        let connection = &self.target.connection;
        let answer = connection
            .call(session, "Runtime.evaluate", params, deadline)
            .await;
        match answer {
            Ok(answer) => value(answer),
            // What was stopped at its time-out is told in several ways.
            Err(Error::Protocol { message, .. })
                if message.contains("terminated") || deadline.has_passed() =>
            {
                Err(timed_out(deadline))
            }
            Err(Error::TimedOut { .. }) => Err(timed_out(deadline)),
            Err(Error::Protocol { message, .. }) if message.contains("reference chain") => {
                Err(Error::Script {
                    message: "its value refers to itself, or is nested too deep".to_owned(),
                })
            }
            Err(error) => Err(error),
        }
    }
}

fn timed_out(deadline: Deadline) -> Error {
    Error::TimedOut {
        awaited: "a script to end".to_owned(),
        after: deadline.allowed(),
        found: "it was still running".to_owned(),
    }
}
