//! What a person answered: encrypted, beside the run, written in the transaction that makes the run go on.

use std::collections::BTreeMap;

use domain::run::{Event, Run};
use domain::{InputRequestId, OrganizationId, RunId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::item::encode;
use crate::secrets::Context;
use crate::{Result, Store, StoreError, Transition, keys, next_commit};

/// After how long an answer that nobody fetched is deleted.
const KEPT_FOR: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

#[derive(Debug, Serialize, Deserialize)]
struct AnswerItem {
    /// Base64 of the encrypted JSON map.
    sealed: String,
    ttl: i64,
}

fn context(organization_id: OrganizationId, run: RunId, request: InputRequestId) -> Context {
    Context::new(organization_id, "answer", &format!("{run}/{request}"))
}

impl Store {
    /// Records the answer to a run's question and makes the run go on, in one transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn answer_run(
        &self,
        run: Run,
        request: InputRequestId,
        values: &BTreeMap<String, String>,
        now: Timestamp,
    ) -> Result<Transition> {
        let event = Event::Answered {
            request_id: request,
        };
        let commit = next_commit(&run);
        // Nothing is encrypted for an answer that can't be taken anyway.
        if let Err(why) = run.apply(&event, now, commit) {
            return Ok(Transition::Rejected {
                run: Box::new(run),
                why,
            });
        }
        let plain = serde_json::to_vec(values).map_err(|error| StoreError::Corrupt {
            what: "an answer".to_owned(),
            reason: error.to_string(),
        })?;
        let sealed = self
            .seal(
                self.secrets_key()?,
                &context(run.organization_id, run.id, request),
                &plain,
            )
            .await?;
        let item = AnswerItem {
            sealed,
            ttl: now.plus(KEPT_FOR).as_seconds(),
        };
        let item = encode(&keys::answer(run.id, request), item)?;
        let beside = vec![self.putting(item)?];
        self.transition_with(run, &event, now, commit, beside).await
    }

    /// Takes the answer to a question: reads it and deletes it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_answer(
        &self,
        run: &Run,
        request: InputRequestId,
    ) -> Result<Option<BTreeMap<String, String>>> {
        let key = keys::answer(run.id, request);
        let Some(item) = self.get::<AnswerItem>(&key).await? else {
            return Ok(None);
        };
        let plain = self
            .open(
                self.secrets_key()?,
                &context(run.organization_id, run.id, request),
                &item.sealed,
            )
            .await?;
        let values = serde_json::from_slice(&plain).map_err(|error| StoreError::Corrupt {
            what: "an answer".to_owned(),
            reason: error.to_string(),
        })?;
        let deleted = self
            .dynamo
            .delete_item()
            .table_name(self.table()?)
            .set_key(Some(key.to_attributes()))
            .send()
            .await;
        if let Err(error) = deleted {
            // The run goes on all the same: the question is closed, so nobody asks for this answer again, and the
            // table deletes it in time.
            let error = StoreError::from_sdk("DeleteItem", &error);
            tracing::warn!(run_id = %run.id, %error, "An answer that was taken could not be deleted");
        }
        Ok(Some(values))
    }
}
