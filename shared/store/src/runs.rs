//! Workflow runs: creating, reading, and the one function that commits a transition.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use aws_sdk_dynamodb::types::builders::PutBuilder;
use aws_sdk_s3::primitives::ByteStream;
use domain::run::{CommitId, Event, Rejected, Run, Status};
use domain::{OrganizationId, RunId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::updated_or_not;
use crate::item::{Item, Put, encode, number};
use crate::run_item::{decode_run, encode_run};
use crate::transactions::{Transacted, Write};
use crate::{IdempotencyKey, Replay, Result, Store, StoreError, keys, measures, next_commit};

/// What became of a commit.
#[derive(Debug)]
pub enum Commit {
    /// It is written.
    Committed,
    /// The run was changed before; this is the run as it is now.
    Stale(Box<Run>),
    /// What is beside the run says that it is not due.
    NotDue,
}

/// What became of an event.
#[derive(Debug)]
pub enum Transition {
    /// The run has changed, and is this now.
    Committed(Box<Run>),
    /// The run can't be changed by the event.
    Rejected {
        /// The run as it is.
        run: Box<Run>,
        /// Why not.
        why: Rejected,
    },
}

/// What became of creating a run.
#[derive(Debug, PartialEq, Eq)]
pub enum CreatedRun {
    /// It is written.
    Created,
    /// The idempotency key was used before.
    Replayed(Replay),
}

/// A run with what it was given and what it returned.
#[derive(Debug)]
pub struct RunWithValues {
    /// The run.
    pub run: Run,
    /// Its input, unless it is gone.
    pub input: Option<Value>,
    /// Its output, if it completed and it is not gone.
    pub output: Option<Value>,
}

/// A JSON value beside a run. It is text, since the table's own maps forget how a number was written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ValueItem {
    /// Which attempt wrote it; 0 is the caller.
    attempt: u32,
    /// The value, or where in the bucket it is when it is too large for an item.
    #[serde(flatten)]
    place: ValuePlace,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum ValuePlace {
    Json(String),
    ObjectKey(String),
}

/// The longest JSON text that is kept in the table; an item holds 400 KB in all.
const LONGEST_IN_TABLE: usize = 100 * 1024;

impl Store {
    /// Writes a new run with its input; with an idempotency key in one transaction.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is written then that a reader could see.
    pub async fn create_run(
        &self,
        run: &Run,
        input: &Value,
        key: Option<&IdempotencyKey>,
    ) -> Result<CreatedRun> {
        let input = self.place_value(run, 0, "input", input).await?;
        let input = encode(&keys::run_input(run.id), input)?;
        let run_item = encode_run(run)?;
        let Some(key) = key else {
            // The input first: a run that can be seen has its input. Should this process die between the two, the
            // input belongs to no run, and nobody ever sees it.
            self.put(input).await?;
            return match self.put_new(run_item).await? {
                // Refused means that an earlier try of the same call got through: nobody else has this id.
                Put::Refused => Ok(CreatedRun::Created),
                Put::Written => {
                    measures::became(run).emit();
                    Ok(CreatedRun::Created)
                }
            };
        };
        let id = run.id.to_string();
        match self
            .put_with_idempotency(key, &id, vec![run_item, input])
            .await?
        {
            None => {
                measures::became(run).emit();
                Ok(CreatedRun::Created)
            }
            Some(replay) => Ok(CreatedRun::Replayed(replay)),
        }
    }

    /// Reads a run, whoever's it is: for the service's own work, never for a caller.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn run(&self, id: RunId) -> Result<Option<Run>> {
        let answer = self
            .dynamo
            .get_item()
            .table_name(self.table()?)
            .set_key(Some(keys::run(id).to_attributes()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("GetItem", &error))?;
        answer.item.map(decode_run).transpose()
    }

    /// Reads a run for a caller: another tenant's run is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn run_of(&self, organization_id: OrganizationId, id: RunId) -> Result<Option<Run>> {
        Ok(self
            .run(id)
            .await?
            .filter(|run| run.organization_id == organization_id))
    }

    /// Reads a run with its input and output for a caller, in one request; in two, if it completed and seems to have no output.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn run_with_values_of(
        &self,
        organization_id: OrganizationId,
        id: RunId,
    ) -> Result<Option<RunWithValues>> {
        let mut items = self
            .batch_get([keys::run(id), keys::run_input(id), keys::run_output(id)].iter())
            .await?;
        let Some(run) = items.remove(&keys::run(id)) else {
            return Ok(None);
        };
        let run = decode_run(run)?;
        if run.organization_id != organization_id {
            return Ok(None);
        }
        let input = items
            .remove(&keys::run_input(id))
            .map(decode_value)
            .transpose()?;
        let output = items
            .remove(&keys::run_output(id))
            .map(decode_value)
            .transpose()?;
        let output = match output.filter(|value| counts(value, &run)) {
            // The items of a batch are read each by itself, this one perhaps before its worker wrote it and ended the run.
            // Of a run that is seen completed, a second look is the last word.
            None if run.status() == Status::Completed => {
                let output: Option<ValueItem> = self.get(&keys::run_output(id)).await?;
                output.filter(|value| counts(value, &run))
            }
            found => found,
        };
        let input = self.read_value(input).await?;
        let output = self.read_value(output).await?;
        Ok(Some(RunWithValues { run, input, output }))
    }

    /// Reads a run's input, for the worker that executes it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn run_input(&self, id: RunId) -> Result<Option<Value>> {
        let item: Option<ValueItem> = self.get(&keys::run_input(id)).await?;
        self.read_value(item).await
    }

    /// Reads what several runs of an organization returned, that have ended before. Those that have no output are left
    /// out: that are not its, or have not completed, or return nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn run_outputs_of(
        &self,
        organization_id: OrganizationId,
        ids: &[RunId],
    ) -> Result<HashMap<RunId, Value>> {
        let mut outputs = HashMap::new();
        // Two items for each.
        for chunk in ids.chunks(50) {
            let keys: Vec<_> = chunk
                .iter()
                .flat_map(|id| [keys::run(*id), keys::run_output(*id)])
                .collect();
            let mut items = self.batch_get(keys.iter()).await?;
            for id in chunk {
                let run = items.remove(&keys::run(*id)).map(decode_run).transpose()?;
                let output = items.remove(&keys::run_output(*id)).map(decode_value);
                let (Some(run), Some(output)) = (run, output.transpose()?) else {
                    continue;
                };
                if run.organization_id != organization_id || !counts(&output, &run) {
                    continue;
                }
                // Left out, it would be taken for one of a run that returns nothing.
                let gone = || StoreError::Corrupt {
                    what: format!("the output of run {id}"),
                    reason: "it is not in the bucket any more".to_owned(),
                };
                let output = self.read_value(Some(output)).await?.ok_or_else(gone)?;
                outputs.insert(*id, output);
            }
        }
        Ok(outputs)
    }

    async fn place_value(
        &self,
        run: &Run,
        attempt: u32,
        name: &str,
        value: &Value,
    ) -> Result<ValueItem> {
        let json = value.to_string();
        if json.len() <= LONGEST_IN_TABLE {
            return Ok(ValueItem {
                attempt,
                place: ValuePlace::Json(json),
            });
        }
        let object_key = keys::value_object(run, attempt, name);
        self.put_object(
            &object_key,
            "application/json",
            ByteStream::from(json.into_bytes()),
        )
        .await?;
        Ok(ValueItem {
            attempt,
            place: ValuePlace::ObjectKey(object_key),
        })
    }

    async fn read_value(&self, item: Option<ValueItem>) -> Result<Option<Value>> {
        let Some(item) = item else { return Ok(None) };
        let json = match item.place {
            ValuePlace::Json(json) => json.into_bytes(),
            ValuePlace::ObjectKey(object_key) => match self.get_object(&object_key).await? {
                Some(json) => json,
                // Nothing of the service deletes it, so somebody else has: it is as gone as an item that was deleted.
                None => return Ok(None),
            },
        };
        let value = serde_json::from_slice(&json).map_err(|error| StoreError::Corrupt {
            what: "a run's value".to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Some(value))
    }

    /// Reads several runs in as few requests as possible; those that don't exist are left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn runs(&self, ids: &[RunId]) -> Result<Vec<Run>> {
        let found = self.each_run(ids).await?;
        found.into_iter().map(|(_, run)| run).collect()
    }

    /// The same, where one that can't be read must not hide the others.
    ///
    /// # Errors
    /// [`StoreError`], if none of them could be asked for.
    pub async fn each_run(&self, ids: &[RunId]) -> Result<Vec<(RunId, Result<Run>)>> {
        let mut found = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(100) {
            let keys: Vec<_> = chunk.iter().map(|id| keys::run(*id)).collect();
            let mut items = self.batch_get(keys.iter()).await?;
            for (id, key) in chunk.iter().zip(&keys) {
                if let Some(item) = items.remove(key) {
                    found.push((*id, decode_run(item)));
                }
            }
        }
        Ok(found)
    }

    /// Writes what a run returned, before the commit that ends it: readers ignore it until then.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_run_output(&self, run: &Run, attempt: u32, output: &Value) -> Result<()> {
        let item = encode(
            &keys::run_output(run.id),
            self.place_value(run, attempt, "output", output).await?,
        )?;
        // An attempt that is over must not replace what a later one has written.
        let values = HashMap::from([(":attempt".to_owned(), number(attempt))]);
        self.put_if(
            item,
            "attribute_not_exists(pk) OR attempt <= :attempt",
            values,
        )
        .await?;
        Ok(())
    }

    /// Applies an event to a run and commits it; where somebody else was faster, applies it again to what is there.
    ///
    /// # Errors
    /// [`StoreError`]; whether the transition was committed is then unknown, and asking again is safe.
    pub async fn transition(&self, run: Run, event: &Event, now: Timestamp) -> Result<Transition> {
        let commit = next_commit(&run);
        self.transition_as(run, event, now, commit).await
    }

    /// The same, for a caller that asks again where it got no answer: with the same commit id each time, of
    /// [`next_commit`]. If an earlier try got through after all, that is found, and the event is not applied a second time.
    ///
    /// # Errors
    /// [`StoreError`]; whether the transition was committed is then unknown, and asking again is safe.
    pub async fn transition_as(
        &self,
        run: Run,
        event: &Event,
        now: Timestamp,
        commit: CommitId,
    ) -> Result<Transition> {
        self.transition_with(run, event, now, commit, Vec::new())
            .await
    }

    /// The same, with what is written in the same transaction. Where a condition of that does not hold, the event is not
    /// due.
    pub(crate) async fn transition_with(
        &self,
        run: Run,
        event: &Event,
        now: Timestamp,
        commit: CommitId,
        beside: Vec<PutBuilder>,
    ) -> Result<Transition> {
        let mut run = Box::new(run);
        loop {
            if run.has_commit(commit) {
                return Ok(Transition::Committed(run));
            }
            let next = match run.apply(event, now, commit) {
                Ok(next) => next,
                Err(why) => return Ok(Transition::Rejected { run, why }),
            };
            match self.commit_run(&next, beside.clone()).await? {
                Commit::Committed => {
                    for measured in measures::of(&run, event, &next, now) {
                        measured.emit();
                    }
                    return Ok(Transition::Committed(Box::new(next)));
                }
                Commit::Stale(fresh) => run = fresh,
                Commit::NotDue => {
                    let why = Rejected::NotDue;
                    return Ok(Transition::Rejected { run, why });
                }
            }
        }
    }

    /// Commits a transition: the only place that does. Written only if the run's sequence is still the one that the
    /// transition was computed from.
    ///
    /// # Errors
    /// [`StoreError`]; whether it was committed is then unknown.
    async fn commit_run(&self, next: &Run, beside: Vec<PutBuilder>) -> Result<Commit> {
        const CONDITION: &str = "#sequence = :from";
        let item = encode_run(next)?;
        let from = number(next.sequence.saturating_sub(1));
        let refused = if beside.is_empty() {
            let answer = self
                .dynamo
                .put_item()
                .table_name(self.table()?)
                .set_item(Some(item))
                .condition_expression(CONDITION)
                .expression_attribute_names("#sequence", "sequence")
                .expression_attribute_values(":from", from)
                .return_values_on_condition_check_failure(
                    ReturnValuesOnConditionCheckFailure::AllOld,
                )
                .send()
                .await;
            match answer {
                Ok(_) => return Ok(Commit::Committed),
                Err(error) => match error.as_service_error() {
                    Some(aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(
                        failed,
                    )) => failed.item.clone(),
                    _ => return Err(StoreError::from_sdk("PutItem", &error)),
                },
            }
        } else {
            let run = self
                .putting(item)?
                .condition_expression(CONDITION)
                .expression_attribute_names("#sequence", "sequence")
                .expression_attribute_values(":from", from);
            let mut writes = vec![run.write()?];
            for put in beside {
                writes.push(put.write()?);
            }
            match self.transact(writes).await? {
                Transacted::Written => return Ok(Commit::Committed),
                Transacted::Refused { write: 0, there } => there,
                Transacted::Refused { .. } => return Ok(Commit::NotDue),
            }
        };
        let Some(fresh) = refused else {
            return Err(StoreError::Fault {
                operation: "PutItem",
                reason: format!("run {} is gone", next.id),
            });
        };
        // Perhaps it was this very commit, and only its answer got lost: the caller finds its commit id then.
        Ok(Commit::Stale(Box::new(decode_run(fresh)?)))
    }

    /// Writes when somebody must look at a run again, how often it was put into the queue, whether it is admitted to it.
    /// Not a change of the run: the condition holds it to the run as it was read, its `dueAt` included, which each of
    /// these writes moves. `false` if somebody has changed it since.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn postpone_run(&self, read: &Run, postponed: &Run) -> Result<bool> {
        let mut values = HashMap::from([(":sequence".to_owned(), number(read.sequence))]);
        let condition = match read.due_at {
            None => "#sequence = :sequence AND attribute_not_exists(dueAt)",
            Some(due_at) => {
                values.insert(":dueAt".to_owned(), number(due_at.as_millis()));
                "#sequence = :sequence AND dueAt = :dueAt"
            }
        };
        let put = self
            .put_if(encode_run(postponed)?, condition, values)
            .await?;
        Ok(matches!(put, Put::Written))
    }

    /// Takes a finished run from the due index, once all its events are written down. Does nothing if the run has
    /// changed since.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn settle_run(&self, run: &Run) -> Result<()> {
        let answer = self
            .dynamo
            .update_item()
            .table_name(self.table()?)
            .set_key(Some(keys::run(run.id).to_attributes()))
            .update_expression("REMOVE dueShard, dueKey, dueAt")
            .condition_expression("#sequence = :sequence")
            .expression_attribute_names("#sequence", "sequence")
            .expression_attribute_values(":sequence", number(run.sequence))
            .send()
            .await;
        updated_or_not(answer)
    }
}

/// Whether a run's output is one: only the attempt that ended the run as completed has an output that counts.
fn counts(output: &ValueItem, run: &Run) -> bool {
    output.attempt == run.attempt && run.status() == Status::Completed
}

fn decode_value(item: Item) -> Result<ValueItem> {
    crate::item::decode(item)
}
