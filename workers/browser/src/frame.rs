//! Which document a locator is looked up in, and where that document lies on the page.
//!
//! A frame of another origin lives in another process and has a session of its own; from here on
//! up nobody can tell the difference.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::deadline::Deadline;
use crate::frames::Context;
use crate::helper::{SCRIPT, WORLD};
use crate::page::{Page, millis, value};
use crate::words::shorten;
use crate::{Error, Locator};

/// How long after its document the browser may take to tell of the helper script's context in it.
/// Making another one at once would cost two round trips and the script once more.
const TELLING_OF_A_CONTEXT: Duration = Duration::from_millis(100);

/// One document, by the context of the helper script in it.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) frame: String,
    pub(crate) context: Context,
    /// The iframe elements on the way from the page, outermost first.
    owners: Vec<Owner>,
}

/// An iframe element, held in the document that it stands in.
#[derive(Clone, Debug)]
struct Owner {
    session: String,
    object: String,
    locator: String,
}

/// Where a point of a frame's document lies in the document around it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Placement {
    x: f64,
    y: f64,
    covered_by: Option<String>,
}

/// What a strict look for one element found.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Found<T> {
    /// Exactly one, and this of it.
    One(T),
    /// None in time.
    None(String),
    /// Several.
    Many {
        count: usize,
        candidates: Vec<String>,
    },
    /// One, with which nothing could be done in time.
    Unready(String),
}

impl<T> Found<T> {
    /// The value, or the error that says what was there instead.
    pub(crate) fn one(self, locator: &Locator, deadline: Deadline) -> Result<T, Error> {
        match self {
            Self::One(value) => Ok(value),
            Self::None(found) => Err(Error::NotFound {
                locator: locator.to_string(),
                after: deadline.allowed(),
                found,
            }),
            Self::Many { count, candidates } => Err(Error::Ambiguous {
                locator: locator.to_string(),
                count,
                candidates,
            }),
            Self::Unready(reason) => Err(Error::NotActionable {
                locator: locator.to_string(),
                after: deadline.allowed(),
                reason,
            }),
        }
    }
}

impl Page {
    /// The main frame's document.
    pub(crate) async fn main_scope(&self, deadline: Deadline) -> Result<Scope, Error> {
        self.frame_scope(&self.target.main_frame, deadline).await
    }

    /// The present document of a frame, by the frame's id: for questions that need not know where it lies.
    pub(crate) async fn frame_scope(
        &self,
        frame: &str,
        deadline: Deadline,
    ) -> Result<Scope, Error> {
        Ok(Scope {
            context: self.context(frame, deadline).await?,
            frame: frame.to_owned(),
            owners: Vec::new(),
        })
    }

    /// The document in which this locator is resolved. Its iframe is waited for as long as
    /// `patience` says, but never longer than the deadline.
    pub(crate) async fn scope(
        &self,
        locator: &Locator,
        patience: Duration,
        deadline: Deadline,
    ) -> Result<Scope, Error> {
        if !locator.lives_in_one_document() {
            return Err(Error::BadSelector {
                selector: locator.to_string(),
                message: "all alternatives must be in the same frame".to_owned(),
            });
        }
        let Some(owner) = locator.document() else {
            return self.main_scope(deadline).await;
        };
        let outer = Box::pin(self.scope(owner, patience, deadline)).await?;
        let object = self.hold(&outer, owner, patience, deadline).await?;
        let description = self
            .target
            .connection
            .call(
                &outer.context.session,
                "DOM.describeNode",
                json!({"objectId": object}),
                deadline,
            )
            .await?;
        let node = &description["node"];
        let Some(frame) = node["frameId"].as_str().map(str::to_owned) else {
            if matches!(node["localName"].as_str(), Some("iframe" | "frame")) {
                // It was taken out of the page a moment ago; what comes in its place is looked for.
                return Err(Error::DocumentReplaced);
            }
            return Err(Error::NotActionable {
                locator: owner.to_string(),
                after: deadline.allowed(),
                reason: "it is not an iframe".to_owned(),
            });
        };
        self.target.settle(&frame, deadline).await?;
        let mut owners = outer.owners;
        owners.push(Owner {
            session: outer.context.session,
            object,
            locator: owner.to_string(),
        });
        Ok(Scope {
            context: self.context(&frame, deadline).await?,
            frame,
            owners,
        })
    }

    /// Moves a point of the scope's document to the page's coordinates, and finds out whether
    /// anything covers it there; `Err` in the answer names what does.
    pub(crate) async fn place(
        &self,
        scope: &Scope,
        point: (f64, f64),
        deadline: Deadline,
    ) -> Result<Result<(f64, f64), String>, Error> {
        let (mut x, mut y) = point;
        for owner in scope.owners.iter().rev() {
            let placement: Placement = self
                .ask_owner(owner, "place", json!([x, y]), deadline)
                .await?;
            if let Some(cover) = placement.covered_by {
                return Ok(Err(format!(
                    "{cover} covers the frame {} there",
                    owner.locator
                )));
            }
            (x, y) = (placement.x, placement.y);
        }
        Ok(Ok((x, y)))
    }

    /// Where the documents of a scope begin, each in the one around it, innermost first.
    pub(crate) async fn origins<T: DeserializeOwned>(
        &self,
        scope: &Scope,
        deadline: Deadline,
    ) -> Result<Vec<T>, Error> {
        let mut origins = Vec::new();
        for owner in scope.owners.iter().rev() {
            let answer = self.ask_owner(owner, "origin", json!([]), deadline).await?;
            origins.push(answer);
        }
        Ok(origins)
    }

    /// Calls a function of the helper script with an iframe's element.
    async fn ask_owner<T: DeserializeOwned>(
        &self,
        owner: &Owner,
        function: &str,
        arguments: Value,
        deadline: Deadline,
    ) -> Result<T, Error> {
        let declaration =
            format!("function (...rest) {{ return legwork.{function}(this, ...rest) }}");
        let arguments = arguments.as_array().into_iter().flatten();
        let arguments: Vec<Value> = arguments.map(|value| json!({"value": value})).collect();
        let params = json!({
            "objectId": owner.object,
            "functionDeclaration": declaration,
            "arguments": arguments,
            "returnByValue": true,
        });
        let connection = &self.target.connection;
        let answer = connection
            .call(&owner.session, "Runtime.callFunctionOn", params, deadline)
            .await?;
        let mut value = value(answer)?;
        shorten(&mut value, &self.target.tabs.redaction());
        serde_json::from_value(value).map_err(|error| Error::unreadable(function, &error))
    }

    /// Waits for one element and gives the object that stands for it in the protocol.
    pub(crate) async fn hold(
        &self,
        scope: &Scope,
        locator: &Locator,
        patience: Duration,
        deadline: Deadline,
    ) -> Result<String, Error> {
        let arguments = json!([locator, millis(patience.min(deadline.remaining()))]);
        let found: Found<()> = self.ask(scope, "hold", &arguments, deadline).await?;
        found.one(locator, deadline)?;
        self.held(scope, deadline).await
    }

    /// The object that stands for the element that the helper script holds.
    pub(crate) async fn held(&self, scope: &Scope, deadline: Deadline) -> Result<String, Error> {
        let params = json!({"expression": "legwork.held", "uniqueContextId": scope.context.id});
        let answer = self
            .target
            .connection
            .call(&scope.context.session, "Runtime.evaluate", params, deadline)
            .await?;
        let object = &answer["result"]["objectId"];
        object
            .as_str()
            .map(str::to_owned)
            .ok_or(Error::DocumentReplaced)
    }

    /// The helper script's context of a frame. It is there as soon as the document is; where the
    /// browser did not make one by itself, it is made here.
    async fn context(&self, frame: &str, deadline: Deadline) -> Result<Context, Error> {
        loop {
            let moment = Deadline::after(TELLING_OF_A_CONTEXT.min(deadline.remaining()));
            let told = self
                .target
                .until(moment, "a context", |state| state.context(frame));
            match told.await {
                Err(Error::TimedOut { .. }) => {}
                told => return told.flatten(),
            }
            if deadline.has_passed() {
                return Err(Error::TimedOut {
                    awaited: "a document".to_owned(),
                    after: deadline.allowed(),
                    found: "the frame has none".to_owned(),
                });
            }
            match self.make_context(frame, deadline).await {
                Ok(()) => {}
                Err(Error::DocumentReplaced | Error::Protocol { .. }) => self.pause().await,
                Err(error) => return Err(error),
            }
        }
    }

    async fn make_context(&self, frame: &str, deadline: Deadline) -> Result<(), Error> {
        let session = self.target.session_of(frame);
        let params = json!({"frameId": frame, "worldName": WORLD});
        let connection = &self.target.connection;
        let answer = connection
            .call(&session, "Page.createIsolatedWorld", params, deadline)
            .await?;
        let context: &Value = &answer["executionContextId"];
        let params = json!({"expression": SCRIPT, "contextId": context});
        connection
            .call(&session, "Runtime.evaluate", params, deadline)
            .await?;
        Ok(())
    }
}
