//! What must not be seen on a picture: it is looked for in the texts and fields of all frames, and covered there.
//!
//! The pages' texts come here, and only places go back: what is looked for never enters a page.

use std::ops::Range;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::deadline::Deadline;
use crate::frame::Scope;
use crate::page::{Page, value};
use crate::{Error, Redaction};

/// How deep closed shadow roots in closed ones are looked for.
const DEEPEST: usize = 4;

/// What a document shows, in its order.
#[derive(Deserialize)]
struct Showing {
    texts: Vec<String>,
    fields: Vec<String>,
}

impl Page {
    /// From now on, what has a place in this redaction ([`Redaction::with_places`]) is covered on pictures and left out
    /// of prints, of this page and of all others of the browser; a field that it is entered into is covered for good.
    /// Texts of pages go through it before messages quote them. What a page draws itself, as an image, on a canvas or by
    /// a style sheet, can't be found.
    pub fn redact(&self, redaction: Redaction) {
        self.target.tabs.set_redaction(redaction);
    }

    /// Whether pictures must not show this.
    pub(crate) fn must_conceal(&self, text: &str) -> bool {
        !self.target.tabs.redaction().places(text).is_empty()
    }

    /// Covers what must not be seen in all frames; adds the documents to those that are to be uncovered.
    pub(crate) async fn cover_found(
        &self,
        is_printed: bool,
        covered: &mut Vec<Scope>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let redaction = self.target.tabs.redaction();
        if !redaction.knows_places() {
            return Ok(());
        }
        for frame in self.target.look(|state| state.frames()) {
            let found = self
                .cover_in(&frame, &redaction, is_printed, covered, deadline)
                .await;
            let is_there = || self.target.look(|state| state.frame(&frame).is_some());
            match found {
                // What can't be looked at must not be on a picture, unless it has gone or shows nothing any more.
                Err(Error::DocumentReplaced | Error::TimedOut { .. }) if !is_there() => {}
                Err(Error::Crashed) if frame != self.target.main_frame => {}
                found => found?,
            }
        }
        Ok(())
    }

    async fn cover_in(
        &self,
        frame: &str,
        redaction: &Redaction,
        is_printed: bool,
        covered: &mut Vec<Scope>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let scope = self.frame_scope(frame, deadline).await?;
        self.enter_closed_roots(&scope, deadline).await?;
        let showing: String = self.ask(&scope, "showing", &json!([]), deadline).await?;
        let showing: Showing =
            serde_json::from_str(&showing).map_err(|error| Error::unreadable("showing", &error))?;
        let places = |pieces: &[String]| {
            let joined = pieces.concat();
            by_piece(pieces, &redaction.places(&joined))
        };
        let texts = places(&showing.texts);
        let mut fields: Vec<usize> = places(&showing.fields)
            .iter()
            .map(|place| place.0)
            .collect();
        fields.dedup();
        covered.push(scope.clone());
        let arguments = json!([texts, fields, is_printed]);
        let done: Value = self.ask(&scope, "coverFound", &arguments, deadline).await?;
        drop(done);
        Ok(())
    }
}

impl Page {
    /// Hands closed shadow roots to the helper script, those in closed ones too: no script can find them by itself.
    async fn enter_closed_roots(&self, scope: &Scope, deadline: Deadline) -> Result<(), Error> {
        for _ in 0..DEEPEST {
            let roots = self.closed_roots(scope, deadline).await?;
            let Some(first) = roots.first() else {
                return Ok(());
            };
            let roots: Vec<_> = roots.iter().map(|root| json!({"objectId": root})).collect();
            let params = json!({
                "objectId": first,
                "functionDeclaration": "function (...roots) { return legwork.enter(...roots) }",
                "arguments": roots,
                "returnByValue": true,
            });
            let entered = self
                .call_at(scope, "Runtime.callFunctionOn", params, deadline)
                .await?;
            if value(entered)? != Value::Bool(true) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The closed shadow roots of elements that may have one, as objects in the world of the helper script.
    async fn closed_roots(&self, scope: &Scope, deadline: Deadline) -> Result<Vec<String>, Error> {
        let params = json!({
            "expression": "legwork.possibleHosts()",
            "uniqueContextId": scope.context.id,
        });
        let hosts = self
            .call_at(scope, "Runtime.evaluate", params, deadline)
            .await?;
        let params = json!({"objectId": hosts["result"]["objectId"], "ownProperties": true});
        let hosts = self
            .call_at(scope, "Runtime.getProperties", params, deadline)
            .await?;
        let connection = &self.target.connection;
        let session = &scope.context.session;
        let start = |method: &str, params| connection.start(session, method, params);
        let hosts = hosts["result"].as_array().into_iter().flatten();
        let descriptions: Vec<_> = hosts
            .filter_map(|host| host["value"]["objectId"].as_str())
            .map(|host| start("DOM.describeNode", json!({"objectId": host})))
            .collect();
        let mut resolved = Vec::new();
        for description in descriptions {
            let description = description.wait(deadline).await?;
            let roots = description["node"]["shadowRoots"].as_array();
            for root in roots.into_iter().flatten() {
                if root["shadowRootType"] == "closed" {
                    let params = json!({
                        "backendNodeId": root["backendNodeId"],
                        "executionContextId": scope.context.number,
                    });
                    resolved.push(start("DOM.resolveNode", params));
                }
            }
        }
        let mut roots = Vec::new();
        for root in resolved {
            let root = root.wait(deadline).await?;
            roots.extend(root["object"]["objectId"].as_str().map(str::to_owned));
        }
        Ok(roots)
    }

    async fn call_at(
        &self,
        scope: &Scope,
        method: &str,
        params: Value,
        deadline: Deadline,
    ) -> Result<Value, Error> {
        let connection = &self.target.connection;
        connection
            .call(&scope.context.session, method, params, deadline)
            .await
    }
}

/// Places in texts that stand one behind the other, as the index of a text with a start and an end in it, which are
/// counted as JavaScript does.
fn by_piece(pieces: &[String], places: &[Range<usize>]) -> Vec<(usize, usize, usize)> {
    let mut places = places.iter().peekable();
    let mut found = Vec::new();
    let mut begin = 0;
    for (index, piece) in pieces.iter().enumerate() {
        if piece.is_empty() {
            continue;
        }
        let end = begin + piece.len();
        while let Some(place) = places.peek()
            && place.start < end
        {
            let units = |at: usize| piece[..at - begin].encode_utf16().count();
            found.push((
                index,
                units(place.start.max(begin)),
                units(place.end.min(end)),
            ));
            if place.end > end {
                break;
            }
            places.next();
        }
        begin = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_over_several_texts_is_a_place_in_each() {
        let pieces = ["a😀b", "", "c", "def"].map(str::to_owned);
        assert_eq!(by_piece(&pieces, &[]), []);
        assert_eq!(
            by_piece(&pieces, &[0..1, 5..8, 9..10]),
            [(0, 0, 1), (0, 3, 4), (2, 0, 1), (3, 0, 1), (3, 2, 3)]
        );
    }
}
