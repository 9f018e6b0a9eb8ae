//! Turns changes of runs, as the table's stream tells of them, into webhook deliveries, and moves job runs on.
//!
//! It never contacts a customer's server, so that a slow one can't hold up the stream. All that it does may be done
//! again: the stream gives a record at least once, and the sweeper calls the same functions for records that got lost.

mod change;
mod fan_out;
mod job_runs;

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use domain::run::Run;
use platform::telemetry::metrics::Measurement;
use store::{JustNow, Result, Store, now};

use change::Change;

pub use fan_out::fan_out;
pub use job_runs::{LOOK_AGAIN_AFTER, reconcile_job_run};

/// Handles a batch of stream records in their order. It stops at the first one that AWS did not answer for, and answers
/// with its sequence number: Lambda comes back with that one and all after it, cuts the batch in two, and at last puts
/// what fails for an hour into the failure queue.
///
/// What would fail again is passed over, since all that is behind it in its shard, whosever it is, would wait for that
/// in vain. The sweeper owns it: every run and job run that is open, or has ended and owes anything, is due.
pub async fn handle(store: &Store, event: Event) -> DynamoDbEventResponse {
    let mut answer = DynamoDbEventResponse::default();
    for record in event.records {
        // Without a sequence number, Lambda can only be told that all of the batch failed, by an empty one.
        let sequence_number = record.change.sequence_number.clone().unwrap_or_default();
        let Err(error) = handle_record(store, record).await else {
            continue;
        };
        if error.is_transient() {
            tracing::error!(sequence_number, %error, "A change could not be dispatched");
            let mut failure = DynamoDbBatchItemFailure::default();
            failure.item_identifier = Some(sequence_number);
            answer.batch_item_failures.push(failure);
            break;
        }
        tracing::error!(sequence_number, %error, "A change was passed over that can't be dispatched");
        Measurement::count("ChangesPassedOver", 1).emit();
    }
    answer
}

async fn handle_record(store: &Store, record: EventRecord) -> Result<()> {
    match Change::read(record)? {
        Change::None => Ok(()),
        Change::JobRun(id) => reconcile_job_run(store, id).await.map(drop),
        Change::Run { run, .. } if run.status().is_final() => conclude(store, &run).await.map(drop),
        Change::Run {
            run,
            status_changed,
        } => {
            let told = fan_out(store, &run).await;
            // Its job run must not wait for an endpoint that can't be read.
            if status_changed && let Some(id) = run.job_run_id {
                reconcile_job_run(store, id).await?;
            }
            told.map(drop)
        }
    }
}

/// Does all that a run owes when it has ended: lets those in that waited for its end, writes every delivery that is
/// missing, moves its job run on, and only then takes it from the due index. Answers how many deliveries were missing.
///
/// # Errors
/// [`store::StoreError`]; the run then stays due, and the sweeper does it again.
pub async fn conclude(store: &Store, run: &Run) -> Result<usize> {
    // An endpoint that can't be read must hold up nothing else: neither those that wait for room nor the job run.
    store
        .admit_waiting(run.organization_id, JustNow::Ended(run.id), now())
        .await?;
    let told = fan_out(store, run).await;
    if let Some(id) = run.job_run_id {
        reconcile_job_run(store, id).await?;
    }
    let written = told?;
    store.settle_run(run).await?;
    Ok(written)
}
