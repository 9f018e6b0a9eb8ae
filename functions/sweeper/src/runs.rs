//! What is due for a run, by where it stands. The index only names the run; the item, and then the condition of each
//! write, decide.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::run::{Event, Phase, Run};
use domain::{OrganizationId, Timestamp};
use store::{JustNow, Result, RunMessage, Store, Transition};

use crate::Done;

/// How long a worker that lives has after a deadline to do itself what its workflow says then, or to store what a failure
/// leaves and end the run: longer than it ever takes.
const WORKERS_TIME: Duration = Duration::from_secs(60);

/// Does what is due for a run, as it was read a moment ago. `admitting` holds the organizations whose waiting runs this sweep has looked at already.
pub(crate) async fn sweep(
    store: &Store,
    run: Run,
    admitting: &Admitting,
    now: Timestamp,
) -> Result<Done> {
    if run.due_at.is_none_or(|due_at| due_at > now) {
        return Ok(Done::Nothing);
    }
    match &run.phase {
        Phase::Held => Ok(Done::Nothing),
        Phase::Ready { .. } if run.queue_deadline().is_some_and(|deadline| now >= deadline) => {
            end(
                store,
                run,
                Event::QueueDeadlinePassed,
                Done::QueueDeadline,
                now,
            )
            .await
        }
        Phase::Ready {
            is_admitted: false, ..
        } => admit(store, &run, admitting, now).await,
        Phase::Ready { .. } => enqueue_again(store, &run, now).await,
        Phase::InProgress { work_deadline, .. } => {
            let passed = (Event::WorkDeadlinePassed, Done::WorkDeadline);
            let deadline = *work_deadline;
            look_at_worker(store, run, deadline, passed, now).await
        }
        Phase::AwaitingUserInput { request, .. } => {
            let request_id = request.id;
            let passed = (Event::QuestionExpired { request_id }, Done::QuestionExpired);
            let deadline = request.expires_at;
            let done = look_at_worker(store, run.clone(), deadline, passed, now).await?;
            if done == Done::LeaseAlive {
                // The person who is to answer may hear of the question by this event alone, and can't wait for the run's
                // end.
                dispatcher::fan_out(store, &run).await?;
            }
            Ok(done)
        }
        Phase::Completed | Phase::CompletedWithNoActionTaken { .. } | Phase::Failed(_) => {
            dispatcher::conclude(store, &run).await?;
            Ok(Done::RunConcluded)
        }
    }
}

/// The organizations whose waiting runs a sweep has admitted: once for each, however many of them are due.
#[derive(Debug, Default)]
pub(crate) struct Admitting(Mutex<HashSet<OrganizationId>>);

impl Admitting {
    fn begin(&self, id: OrganizationId) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(id)
    }
}

/// Each end admits those that wait and is due until it has done so, and who begins to wait is due in a minute. So a run that
/// waits for longer means that its organization is busy. It is looked at again, each time later.
async fn admit(store: &Store, run: &Run, admitting: &Admitting, now: Timestamp) -> Result<Done> {
    let mut admitted = 0;
    let mut looked_at = run.enqueued_again(now);
    if admitting.begin(run.organization_id) {
        admitted = store
            .admit_waiting(run.organization_id, JustNow::Waits(run.id), now)
            .await?;
        // One of those that are found due is looked at each minute, for what nobody is told: a limit that was raised.
        looked_at = run.admitted(false, now);
    }
    // One that was admitted just now is not what was read any more, and this write is refused.
    store.postpone_run(run, &looked_at).await?;
    Ok(if admitted > 0 {
        Done::RunsAdmitted
    } else {
        Done::StillWaiting
    })
}

/// Enqueues first and writes afterwards: should this process die between the two, the next sweep sends a second
/// message, which does nothing. The other order would lose the message until the run is due again, an hour later.
async fn enqueue_again(store: &Store, run: &Run, now: Timestamp) -> Result<Done> {
    store.enqueue_run(RunMessage::about(run)).await?;
    store.postpone_run(run, &run.enqueued_again(now)).await?;
    tracing::info!(run_id = %run.id, "No worker has taken a run; it is in the queue again");
    Ok(Done::RunEnqueued)
}

/// A run that a worker has is due at the end of the lease that the worker claimed it with. If it has renewed that
/// since, the run is looked at again when the renewed one ends; if not, the worker is lost, or what it would have had to
/// say itself by now is said here: that the time of the run, or of its question, has passed.
async fn look_at_worker(
    store: &Store,
    run: Run,
    deadline: Timestamp,
    passed: (Event, Done),
    now: Timestamp,
) -> Result<Done> {
    let attempt = run.attempt;
    let lease = store
        .lease(run.id)
        .await?
        .filter(|lease| lease.attempt == attempt && lease.expires_at > now);
    let latest = deadline.plus(WORKERS_TIME);
    if let Some(lease) = lease
        && now < latest
    {
        let postponed = Run {
            due_at: Some(lease.expires_at.min(latest)),
            ..run.clone()
        };
        store.postpone_run(&run, &postponed).await?;
        return Ok(Done::LeaseAlive);
    }
    if now >= deadline {
        let (event, done) = passed;
        return end(store, run, event, done, now).await;
    }
    match store.end_lease(run, now).await? {
        Transition::Rejected { .. } => Ok(Done::Nothing),
        Transition::Committed(run) => {
            tracing::warn!(run_id = %run.id, attempt, status = %run.status(), "A run has lost its worker");
            if matches!(run.phase, Phase::Ready { .. })
                && let Err(error) = store.enqueue_ready_run(&run, now).await
            {
                tracing::warn!(run_id = %run.id, %error, "A run could not be enqueued; a later sweep will do it");
            }
            Ok(Done::LeaseExpired)
        }
    }
}

/// Commits what ends the run. The stream tells the dispatcher, and if it doesn't, the run is due again at once.
async fn end(store: &Store, run: Run, event: Event, done: Done, now: Timestamp) -> Result<Done> {
    match store.transition(run, &event, now).await? {
        Transition::Rejected { .. } => Ok(Done::Nothing),
        Transition::Committed(run) => {
            tracing::warn!(run_id = %run.id, ?event, "A run's time was over");
            Ok(done)
        }
    }
}
