//! A copy of a page's DOM as one HTML document: frames and open shadow roots are in it, scripts and
//! passwords are not.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::Redaction;
use crate::deadline::Deadline;
use crate::frames::Context;
use crate::page::{QUESTION, value};
use crate::{Error, Page};

const SCRIPT: &str = include_str!("snapshot.js");

/// Frames deeper than this are left out.
const DEEPEST: usize = 8;

/// No more frames than these are copied.
const MOST_FRAMES: usize = 100;

/// A copy larger than this ends there, in bytes.
const LARGEST: usize = 32 * 1024 * 1024;

/// What is done while a copy is made.
struct Copying<'a> {
    redaction: &'a Redaction,
    with_values: bool,
    deadline: Deadline,
    frames: usize,
    bytes: usize,
}

impl Page {
    /// The page's DOM as it is now, as HTML that shows the same when it is opened: with what is in
    /// its fields (but never in those for passwords, one-time codes and card numbers), its frames
    /// (as `srcdoc`) and its open shadow roots (as templates), without scripts.
    ///
    /// Each text and each attribute's value goes through the redaction, before it is escaped.
    ///
    /// # Errors
    ///
    /// As for every question: the page or the browser has gone, or it does not answer.
    pub async fn dom_copy(&self, redaction: &Redaction) -> Result<String, Error> {
        self.copy_with(redaction, true).await
    }

    /// The same copy without what is in fields that people type into, and without a redaction.
    ///
    /// # Errors
    ///
    /// As for [`Page::dom_copy`].
    pub async fn dom_snapshot(&self) -> Result<String, Error> {
        self.copy_with(&Redaction::default(), false).await
    }

    async fn copy_with(&self, redaction: &Redaction, with_values: bool) -> Result<String, Error> {
        let deadline = Deadline::after(QUESTION);
        self.settled(deadline).await?;
        loop {
            let mut copying = Copying {
                redaction,
                with_values,
                deadline,
                frames: 0,
                bytes: 0,
            };
            let scope = self.main_scope(deadline).await?;
            let copied = self.copy(&scope.context, 0, &mut copying).await;
            if let Some(copied) = self.unless_replaced(copied, &"a copy", deadline).await {
                return copied;
            }
        }
    }

    fn copy<'a>(
        &'a self,
        context: &'a Context,
        depth: usize,
        copying: &'a mut Copying<'_>,
    ) -> BoxFuture<'a, Result<String, Error>> {
        async move {
            let params = json!({
                "expression": format!("({SCRIPT})({})", copying.with_values),
                "uniqueContextId": context.id,
                "returnByValue": true,
            });
            let pieces = value(self.call_in(context, params, copying.deadline).await?)?;
            let mut html = String::new();
            for piece in pieces.as_array().into_iter().flatten() {
                let text = piece[1].as_str().unwrap_or_default();
                let begun = html.len();
                match piece[0].as_u64() {
                    Some(0) => html.push_str(text),
                    Some(1 | 2) => html.push_str(&escape(&copying.redaction.apply(text))),
                    Some(4) => {
                        let text = copying.redaction.apply(text);
                        html.push_str(&text.replace("</", "<\\/"));
                    }
                    _ => {
                        let frame = self.copy_frame(context, text, depth, copying).await?;
                        html.push_str(&escape(&frame));
                    }
                }
                copying.bytes += html.len() - begun;
                if copying.bytes > LARGEST {
                    html.push_str("<!-- the rest is left out: the page is too large -->");
                    break;
                }
            }
            Ok(html)
        }
        .boxed()
    }

    /// The document in a frame; a frame that has just gone, or one too many, is empty.
    async fn copy_frame(
        &self,
        outer: &Context,
        index: &str,
        depth: usize,
        copying: &mut Copying<'_>,
    ) -> Result<String, Error> {
        copying.frames += 1;
        if depth == DEEPEST || copying.frames > MOST_FRAMES {
            return Ok("(left out: there are too many frames)".to_owned());
        }
        let params = json!({
            "expression": format!("legworkSnapshotFrames[{index}]"),
            "uniqueContextId": outer.id,
        });
        let held = self.call_in(outer, params, copying.deadline).await?;
        let params = json!({"objectId": held["result"]["objectId"]});
        let described = self
            .target
            .connection
            .call(&outer.session, "DOM.describeNode", params, copying.deadline)
            .await?;
        let frame = described["node"]["frameId"].as_str();
        let Some(context) = frame.and_then(|frame| self.target.context(frame)) else {
            return Ok(String::new());
        };
        match self.copy(&context, depth + 1, copying).await {
            Err(Error::DocumentReplaced) => Ok(String::new()),
            other => other,
        }
    }

    async fn call_in(
        &self,
        context: &Context,
        params: Value,
        deadline: Deadline,
    ) -> Result<Value, Error> {
        self.target
            .connection
            .call(&context.session, "Runtime.evaluate", params, deadline)
            .await
    }
}

/// A text as HTML, also inside of quotes.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
