//! The verbs that decide and repeat: `if`, `forEach`, `retry`, `frame`.

use std::time::Duration;

use browser::{Field, Locator};
use domain::FailureCode;
use domain::definition::{self, ForEach, Items, RetryPolicy, Step, When};
use serde_json::{Value, json};

use crate::execution::Execution;
use crate::failures::{Fault, Stop};

/// The waits before the attempts after the first one.
pub(crate) fn waits(policy: RetryPolicy) -> impl Iterator<Item = Duration> {
    (1..policy.max_attempts).map(move |attempts| policy.backoff.wait_after(attempts))
}

impl Execution<'_> {
    pub(crate) async fn if_else(
        &mut self,
        when: &When,
        then: &[Step],
        otherwise: &[Step],
        position: &str,
    ) -> Result<(), Stop> {
        let (branch, steps) = if self.check(when).await? {
            ("then", then)
        } else {
            ("else", otherwise)
        };
        self.note.found = Some(branch.to_owned());
        Box::pin(self.execute_steps(&format!("{position}/{branch}"), steps)).await
    }

    pub(crate) async fn retry_group(
        &mut self,
        policy: RetryPolicy,
        steps: &[Step],
        position: &str,
    ) -> Result<(), Stop> {
        let mut waits = waits(policy);
        loop {
            match Box::pin(self.execute_steps(position, steps)).await {
                Ok(()) => return Ok(()),
                Err(stop) => self.wait_for_retry(stop, &mut waits, position).await?,
            }
        }
    }

    /// Does steps inside of an iframe. What the frame is within, the frames around included, is found anew by each step.
    pub(crate) async fn in_frame(
        &mut self,
        frame: &definition::Locator,
        steps: &[Step],
        position: &str,
    ) -> Result<(), Stop> {
        let frame = self.locate(frame)?;
        let outer = self.frame.replace(frame);
        let result = Box::pin(self.execute_steps(position, steps)).await;
        self.frame = outer;
        result
    }

    pub(crate) async fn for_each(&mut self, each: &ForEach, position: &str) -> Result<(), Stop> {
        let (items, base) = match &each.items {
            Items::List(data) => (list(data.value(&self.scope)?)?, None),
            Items::Elements(locator) => {
                let base = self.locate(locator)?;
                (self.elements_of(&base).await?, Some(base))
            }
        };
        self.note.found = Some(format!("{} items", items.len()));
        if items.len() > each.max_items as usize {
            let message = format!(
                "there are {} items, and the loop takes {}: raise maxItems",
                items.len(),
                each.max_items
            );
            return Err(Fault::lasting(FailureCode::WorkflowFailed, message).into());
        }
        let mut result = Ok(());
        for (number, item) in items.into_iter().enumerate() {
            self.scope.set(&each.variable, &item);
            if let Some(index) = &each.index {
                self.scope.set(index, &json!(number));
            }
            if let Some(base) = &base {
                let nth = base.nth.or(Some(number));
                let element = Locator {
                    nth,
                    ..base.clone()
                };
                self.elements.insert(each.variable.clone(), element);
            }
            let turn = format!("{position}[{number}]");
            result = Box::pin(self.execute_steps(&turn, &each.steps)).await;
            if result.is_err() {
                break;
            }
        }
        for name in std::iter::once(&each.variable).chain(&each.index) {
            self.scope.forget(name);
        }
        self.elements.remove(&each.variable);
        result
    }

    /// The elements that match now, each with its number and its text.
    async fn elements_of(&mut self, base: &Locator) -> Result<Vec<Value>, Stop> {
        let text = Field {
            name: "text".to_owned(),
            locator: None,
            read: browser::Read::Text,
        };
        let rows = self.browser.read_rows(base, &[text]).await;
        let rows =
            rows.map_err(|error| Fault::from_browser(&error, FailureCode::ElementNotFound))?;
        let mask = self.mask();
        Ok(rows
            .cells
            .into_iter()
            .enumerate()
            .map(|(index, row)| {
                let text = row.into_iter().next().flatten();
                let text = text.map(|text| mask.apply(&text));
                json!({"index": index, "text": text})
            })
            .collect())
    }
}

fn list(value: Value) -> Result<Vec<Value>, Stop> {
    match value {
        Value::Array(items) => Ok(items),
        _ => Err(Fault::lasting(
            FailureCode::WorkflowInvalid,
            "`forEach` goes over a list, and this is none",
        )
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use domain::run::Backoff;

    use super::*;

    #[test]
    fn waits_grow_to_their_bound_and_end() {
        let policy = |doubles| RetryPolicy {
            max_attempts: 5,
            backoff: Backoff {
                delay: Duration::from_secs(1),
                doubles,
                max_delay: Duration::from_secs(3),
            },
        };
        let seconds = |policy| waits(policy).map(|wait| wait.as_secs()).collect::<Vec<_>>();
        assert_eq!(seconds(policy(true)), [1, 2, 3, 3]);
        assert_eq!(seconds(policy(false)), [1, 1, 1, 1]);
    }
}
