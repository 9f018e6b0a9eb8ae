//! Waiting for conditions: an observer in the page tells, nothing is polled over the wire.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Either, select, try_join_all};
use futures::stream::{FuturesUnordered, StreamExt};
use serde::Deserialize;
use serde_json::json;

use crate::deadline::Deadline;
use crate::page::{Page, QUESTION, millis};
use crate::{Condition, Error, LoadState, Locator};

/// The page is asked anew after this long, so that what it says about why it still waits is fresh,
/// and a wait that nobody needs any more ends.
const SLICE: Duration = Duration::from_secs(2);

/// How much longer than it means to a waiting script may take.
const MARGIN: Duration = Duration::from_millis(250);

#[derive(Deserialize)]
struct Waited {
    holds: bool,
    found: String,
}

impl Page {
    /// Waits until a condition holds, over navigations too.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] says what was there instead; [`Error::Navigation`] comes at once if the
    /// page turns into the browser's error page.
    pub async fn wait_for(&self, condition: &Condition, timeout: Duration) -> Result<(), Error> {
        self.wait(condition, Deadline::after(timeout)).await
    }

    /// Whether a condition holds now, after a navigation under way.
    ///
    /// # Errors
    ///
    /// As for every question: the page or the browser has gone, or it does not answer.
    pub async fn holds(&self, condition: &Condition) -> Result<bool, Error> {
        self.holds_by(condition, Deadline::after(QUESTION)).await
    }

    async fn holds_by(&self, condition: &Condition, deadline: Deadline) -> Result<bool, Error> {
        loop {
            self.readable(deadline).await?;
            let held = self.check(condition, deadline).await;
            if let Some(held) = self.unless_replaced(held, condition, deadline).await {
                return held;
            }
        }
    }

    fn check<'a>(
        &'a self,
        condition: &'a Condition,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        async move {
            if condition.lives_in_main_document() {
                return self.check_in(None, condition, deadline).await;
            }
            match condition {
                // It is not happening at this moment.
                Condition::Response(_) | Condition::Download => Ok(false),
                Condition::Reached(state) => {
                    let main = &self.target.main_frame;
                    Ok(self.target.look(|known| known.has_reached(main, *state)))
                }
                Condition::Expression(expression) => {
                    let value = self
                        .evaluate(&truth(expression), deadline.remaining())
                        .await?;
                    Ok(value.as_bool() == Some(true))
                }
                Condition::Any(parts) => {
                    for part in parts {
                        if self.check(part, deadline).await? {
                            return Ok(true);
                        }
                    }
                    Ok(false)
                }
                Condition::All(parts) => {
                    for part in parts {
                        if !self.check(part, deadline).await? {
                            return Ok(false);
                        }
                    }
                    Ok(true)
                }
                _ => {
                    self.check_in(condition.locator(), condition, deadline)
                        .await
                }
            }
        }
        .boxed()
    }

    /// Looks once in one document. What is in a frame that is not there is not there.
    async fn check_in(
        &self,
        locator: Option<&Locator>,
        condition: &Condition,
        deadline: Deadline,
    ) -> Result<bool, Error> {
        let scope = match locator {
            None => self.main_scope(deadline).await,
            Some(locator) => self.scope(locator, Duration::ZERO, deadline).await,
        };
        let scope = match scope {
            Err(Error::NotFound { .. }) => return Ok(condition.is_absence()),
            other => other?,
        };
        let waited: Waited = self
            .ask(&scope, "wait", &json!([condition, 0]), deadline)
            .await?;
        Ok(waited.holds)
    }

    fn wait<'a>(
        &'a self,
        condition: &'a Condition,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            if condition.lives_in_main_document() {
                return self.wait_in(None, condition, deadline).await;
            }
            match condition {
                Condition::Reached(state) => self.wait_for_state(*state, deadline).await,
                Condition::Response(pattern) => {
                    let waiter = self.expect_response(pattern.clone())?;
                    waiter.wait(deadline.remaining()).await.map(drop)
                }
                Condition::Download => {
                    let waiter = self.expect_download();
                    waiter.wait(deadline.remaining()).await.map(drop)
                }
                Condition::Expression(expression) => {
                    self.wait_for_expression(expression, condition, deadline)
                        .await
                }
                Condition::Any(parts) => self.wait_for_any(parts, condition, deadline).await,
                Condition::All(parts) => self.wait_for_all(parts, condition, deadline).await,
                _ => self.wait_in(condition.locator(), condition, deadline).await,
            }
        }
        .boxed()
    }

    async fn wait_in(
        &self,
        locator: Option<&Locator>,
        condition: &Condition,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let mut found = "the document was being replaced".to_owned();
        loop {
            let slice = SLICE.min(deadline.remaining());
            let waited = async {
                self.settled(deadline).await?;
                self.reached()?;
                let scope = match locator {
                    None => self.main_scope(deadline).await?,
                    Some(locator) => self.scope(locator, slice, deadline).await?,
                };
                let arguments = json!([condition, millis(slice)]);
                let asked = pin!(self.ask::<Waited>(&scope, "wait", &arguments, deadline));
                // What happens to another page is not seen in this one.
                match select(asked, pin!(self.target.trouble())).await {
                    Either::Left((waited, _)) => waited,
                    Either::Right((trouble, _)) => Err(trouble),
                }
            };
            match waited.await {
                Ok(waited) if waited.holds => return Ok(()),
                Ok(waited) => found = waited.found,
                Err(Error::DocumentReplaced) => self.pause().await,
                Err(Error::NotFound { locator, .. }) => {
                    if condition.is_absence() {
                        return Ok(());
                    }
                    found = format!("there is no frame {locator}");
                }
                Err(Error::TimedOut { found: why, .. }) => {
                    return Err(timed_out(condition, deadline, why));
                }
                Err(error) => return Err(error),
            }
            if deadline.has_passed() {
                return Err(timed_out(condition, deadline, found));
            }
        }
    }

    async fn wait_for_expression(
        &self,
        expression: &str,
        condition: &Condition,
        deadline: Deadline,
    ) -> Result<(), Error> {
        loop {
            let slice = SLICE.min(deadline.remaining());
            self.settled(deadline).await?;
            self.reached()?;
            let script = await_truth(expression, slice);
            match self.evaluate(&script, slice + MARGIN).await {
                Ok(value) if value.as_bool() == Some(true) => return Ok(()),
                Ok(_) | Err(Error::TimedOut { .. }) => {}
                Err(Error::DocumentReplaced) => self.pause().await,
                Err(error) => return Err(error),
            }
            if deadline.has_passed() {
                return Err(timed_out(condition, deadline, "it was not true".to_owned()));
            }
        }
    }

    async fn wait_for_state(&self, state: LoadState, deadline: Deadline) -> Result<(), Error> {
        self.settled(deadline).await?;
        self.reached()?;
        let main = &self.target.main_frame;
        let awaited = state.to_string();
        self.target
            .until(deadline, &awaited, |known| {
                known.has_reached(main, state).then_some(())
            })
            .await
    }

    async fn wait_for_all(
        &self,
        parts: &[Condition],
        condition: &Condition,
        deadline: Deadline,
    ) -> Result<(), Error> {
        // What happens is listened for from the first moment on, side by side.
        let (events, states): (Vec<_>, Vec<_>) = parts.iter().partition(|part| part.is_event());
        try_join_all(events.into_iter().map(|part| self.wait(part, deadline))).await?;
        loop {
            for part in &states {
                self.wait(part, deadline).await?;
            }
            // The first may have ceased to hold while the last was awaited.
            let mut all_hold = true;
            for part in &states {
                all_hold = all_hold
                    && match self.holds_by(part, deadline).await {
                        Err(Error::TimedOut { found, .. }) => {
                            return Err(timed_out(condition, deadline, found));
                        }
                        other => other?,
                    };
            }
            if all_hold {
                return Ok(());
            }
            if deadline.has_passed() {
                let found = "not all held at the same time".to_owned();
                return Err(timed_out(condition, deadline, found));
            }
            self.pause().await;
        }
    }

    async fn wait_for_any(
        &self,
        parts: &[Condition],
        condition: &Condition,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let mut waits: FuturesUnordered<_> = parts
            .iter()
            .enumerate()
            .map(async |(index, part)| (index, self.wait(part, deadline).await))
            .collect();
        let mut reasons = BTreeMap::new();
        while let Some((index, waited)) = waits.next().await {
            match waited {
                Err(Error::TimedOut { found, .. }) => drop(reasons.insert(index, found)),
                other => return other,
            }
        }
        // In the order of the parts, whichever of them ended first.
        let reasons = Vec::from_iter(reasons.into_values());
        Err(timed_out(condition, deadline, reasons.join("; ")))
    }
}

fn timed_out(condition: &Condition, deadline: Deadline, found: String) -> Error {
    Error::TimedOut {
        awaited: condition.to_string(),
        after: deadline.allowed(),
        found,
    }
}

/// A script that gives whether an expression is truthy.
fn truth(expression: &str) -> String {
    format!("(async () => Boolean(await (\n{expression}\n)))()")
}

/// A script that waits in the page's own world until an expression is truthy.
fn await_truth(expression: &str, slice: Duration) -> String {
    format!(
        "(async () => {{
            const end = performance.now() + {};
            do {{
                if (await (\n{expression}\n)) return true;
                await new Promise((resolve) => {{
                    const timer = setTimeout(resolve, 50);
                    requestAnimationFrame(() => {{ clearTimeout(timer); resolve(); }});
                }});
            }} while (performance.now() < end);
            return false;
        }})()",
        millis(slice)
    )
}
