//! Takes runs from the queue: a free slot first, then a message, then the claim.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::run::{Event, Finish, Phase, Run, Timings};
use domain::{Failure, FailureCode};
use platform::telemetry::metrics::Measurement;
use store::{JustNow, Queue, QueueMessage, RunMessage, StoreError, Transition, now};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{Id, JoinSet};
use tracing::Instrument;

use crate::lease::Moment;
use crate::{Worker, execution};

/// How long one receive waits for a message at most, which is the longest that SQS allows, and at least. In between, it
/// waits as long as the runner has for stopping, since it is not given up then.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// How long to wait before the next message after something failed (the queue, the table, a browser's start), growing up
/// to the last one.
const BACK_OFF: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(15),
];

/// A run that was claimed, with what executing it needs.
pub(crate) struct Claimed {
    pub(crate) run: Run,
    /// When the claim was made, before it was asked for.
    pub(crate) at: Moment,
    /// Dropping it frees the slot, also when the run panics.
    pub(crate) slot: OwnedSemaphorePermit,
}

/// How long the last writes of runs may take after the stop time-out, before they are left to their leases.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// Takes runs until the worker is to stop or to drain, then waits for those that it has.
pub(crate) async fn take_runs(worker: &Arc<Worker>) {
    let slots = Arc::new(Semaphore::new(worker.settings.slots as usize));
    let mut running = JoinSet::new();
    let mut in_hand: HashMap<Id, Run> = HashMap::new();
    let mut failures = 0_usize;
    let is_receiving = AtomicBool::new(false);
    // Kept over the rounds of the loop: a receive that is given up halfway hides its message for a while.
    let mut next = Box::pin(next_message(worker, &slots, failures, &is_receiving));
    loop {
        let received = tokio::select! {
            biased;
            () = worker.orders.drain.cancelled() => break,
            Some(ended) = running.join_next_with_id(), if !running.is_empty() => {
                bury(worker, &mut in_hand, ended).await;
                continue;
            }
            received = &mut next => received,
        };
        match received {
            Ok(None) => failures = 0,
            Ok(Some((message, slot))) => match claim(worker, message, slot).await {
                Ok(claimed) => {
                    failures = 0;
                    if let Some(claimed) = claimed {
                        let run = claimed.run.clone();
                        let (run_id, organization_id, attempt) =
                            (run.id, run.organization_id, run.attempt);
                        let span = tracing::info_span!("run", %run_id, %organization_id, attempt);
                        let worker = Arc::clone(worker);
                        let task = running.spawn(
                            async move { execution::execute(&worker, claimed).await }
                                .instrument(span),
                        );
                        in_hand.insert(task.id(), run);
                    }
                }
                Err(error) => {
                    // One item that can't be read is no reason to leave the others alone.
                    let is_of_one = matches!(error, StoreError::Corrupt { .. });
                    failures += usize::from(!is_of_one);
                    Measurement::count("ClaimsFailed", 1).emit();
                    tracing::warn!(%error, failures, "A run could not be claimed; its message comes back");
                }
            },
            Err(error) => {
                failures += 1;
                Measurement::count("ReceivesFailed", 1).emit();
                tracing::warn!(%error, failures, "The run queue could not be read");
            }
        }
        next.set(next_message(worker, &slots, failures, &is_receiving));
    }
    tracing::info!(in_hand = in_hand.len(), "The runner takes no more runs");
    let last_message = async {
        if is_receiving.load(Ordering::Relaxed) {
            hand_back(worker, next).await;
        }
    };
    let last_runs = async {
        while let Some(ended) = running.join_next_with_id().await {
            bury(worker, &mut in_hand, ended).await;
        }
    };
    tokio::join!(last_message, last_runs);
}

/// Returns when whoever told the runner to stop would kill it soon, and then it could clean up nothing.
pub(crate) async fn too_late(worker: &Worker) {
    worker.orders.stop.cancelled().await;
    tokio::time::sleep(worker.settings.stop_timeout + LAST_WRITES).await;
}

/// Waits for the answer to the receive that is open, and returns the message that it brings: whoever hung up would hide
/// it from other runners for as long as a receiver may take.
async fn hand_back(worker: &Worker, receiving: impl Future<Output = Received>) {
    if let Ok(Some((message, _))) = receiving.await
        && let Err(error) = worker.store.return_message(Queue::Runs, &message).await
    {
        tracing::warn!(%error, "A message could not be returned");
    }
}

/// What a receive brings.
type Received = store::Result<Option<(QueueMessage, OwnedSemaphorePermit)>>;

/// Waits for a free slot, then for a message; says while it waits for that. `None` after a wait in which none came.
async fn next_message(
    worker: &Worker,
    slots: &Arc<Semaphore>,
    failures: usize,
    is_receiving: &AtomicBool,
) -> Received {
    let slot = match Arc::clone(slots).acquire_owned().await {
        Ok(slot) => slot,
        // Nobody closes the semaphore.
        Err(_) => std::future::pending().await,
    };
    // Where something does not work, other runners should have the runs: this one would only use up their attempts, or
    // the times that a message may be received.
    let failures = failures.max(worker.without_browser.load(Ordering::Relaxed));
    if failures > 0 {
        tokio::time::sleep(BACK_OFF[failures.min(BACK_OFF.len()) - 1]).await;
    }
    let wait = worker
        .settings
        .stop_timeout
        .clamp(SHORTEST_WAIT, LONGEST_WAIT);
    is_receiving.store(true, Ordering::Relaxed);
    let messages = worker.store.receive(Queue::Runs, 1, wait).await;
    is_receiving.store(false, Ordering::Relaxed);
    Ok(messages?.into_iter().next().map(|message| (message, slot)))
}

/// Claims the run that a message names. The message goes as soon as the claim is committed, or can't be: from there
/// on the lease is what recovers the run. Where AWS fails, the message stays and comes back.
///
/// # Errors
/// What the store says.
async fn claim(
    worker: &Worker,
    message: QueueMessage,
    slot: OwnedSemaphorePermit,
) -> store::Result<Option<Claimed>> {
    let Ok(named) = serde_json::from_str::<RunMessage>(&message.body) else {
        // Returned as often as the queue's redrive policy allows, it goes to the dead-letter queue, where it alarms.
        tracing::error!(
            message_id = message.id,
            received = message.received,
            "A message can't be parsed"
        );
        if let Err(error) = worker.store.return_message(Queue::Runs, &message).await {
            tracing::warn!(%error, "A message could not be returned");
        }
        return Ok(None);
    };
    let at = Moment::now();
    let (run, may_work) = tokio::try_join!(
        worker.store.run(named.run_id),
        worker.store.may_work(named.org_id)
    )?;
    let Some(run) = run.filter(|run| run.organization_id == named.org_id) else {
        tracing::warn!(run_id = %named.run_id, "A message names a run that does not exist");
        acknowledge(worker, &message).await;
        return Ok(None);
    };
    let wait = run.waits_for_retry(now());
    if !wait.is_zero() {
        // Its clock may be a little ahead of this one's, or the message may be another one than that of its retry.
        worker
            .store
            .return_message_in(Queue::Runs, &message, wait)
            .await?;
        return Ok(None);
    }
    if !may_work && matches!(run.phase, Phase::Ready { .. }) {
        let_wait(worker, &run).await?;
        acknowledge(worker, &message).await;
        return Ok(None);
    }
    let event = Event::Claimed {
        worker_id: worker.id.clone(),
        lease: worker.settings.lease,
    };
    let transition = worker.store.transition(run, &event, now()).await?;
    acknowledge(worker, &message).await;
    Ok(match transition {
        Transition::Committed(run) => Some(Claimed {
            run: *run,
            at,
            slot,
        }),
        Transition::Rejected { run, why } => {
            tracing::debug!(run_id = %run.id, %why, "A message came too often or too late");
            None
        }
    })
}

/// Takes a run that is over its organization's limit out of the queue. Many that were created at the same moment may all
/// have been counted as the last one that fits; here it shows.
async fn let_wait(worker: &Worker, run: &Run) -> store::Result<()> {
    let at = now();
    worker
        .store
        .postpone_run(run, &run.admitted(false, at))
        .await?;
    tracing::info!(run_id = %run.id, organization_id = %run.organization_id, "A run waits: its organization has as many in work as it may");
    // One of those may have ended between the count and the write, and have seen nobody wait.
    worker
        .store
        .admit_waiting(run.organization_id, JustNow::Waits(run.id), at)
        .await
        .map(drop)
}

async fn acknowledge(worker: &Worker, message: &QueueMessage) {
    if let Err(error) = worker.store.delete_message(Queue::Runs, message).await {
        // It comes back, and then finds the run claimed.
        tracing::warn!(%error, "A message could not be deleted");
    }
}

/// Forgets a run that has ended here. One that panicked is failed: a panic is a defect, and only of this run.
async fn bury(
    worker: &Worker,
    in_hand: &mut HashMap<Id, Run>,
    ended: Result<(Id, ()), tokio::task::JoinError>,
) {
    let error = match ended {
        Ok((id, ())) => {
            in_hand.remove(&id);
            return;
        }
        Err(error) => error,
    };
    let Some(run) = in_hand.remove(&error.id()) else {
        return;
    };
    tracing::error!(run_id = %run.id, attempt = run.attempt, "A run panicked");
    let failure = Failure::outside_of_steps(
        FailureCode::Internal,
        "the service failed; the failure has been recorded",
    );
    let (run_id, attempt) = (run.id, run.attempt);
    let event = Event::Finished {
        attempt,
        finish: Finish::Failed(failure),
        timings: Timings::default(),
        skipped: Vec::new(),
    };
    if let Err(error) = worker.store.transition(run, &event, now()).await {
        // Its lease ends, and the sweeper does the rest.
        tracing::warn!(%run_id, %error, "A run that panicked could not be failed");
    }
}
