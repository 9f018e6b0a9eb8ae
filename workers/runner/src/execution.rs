//! One run, from its claim to its end: the engine's work, beside everything that may end it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use domain::definition::{Definition, Secret};
use domain::run::{Event, Finish, Phase, Run, SkippedState, Timings};
use domain::{Failure, FailureCode};
use engine::{CLEANING_UP, Cut, Inputs, Interrupted, Outcome, Report};
use platform::retry::random_fraction;
use platform::telemetry::metrics::Measurement;
use platform::upstream::Upstream;
use serde_json::Value;
use store::{RunMessage, StoreError, Transition, next_commit, now};
use tokio::sync::OwnedSemaphorePermit;

use crate::Worker;
use crate::host::{RunHost, TRY_AGAIN, persist};
use crate::intake::Claimed;
use crate::lease;
use crate::outputs::outputs_for;
use crate::possession::Possession;
use crate::sessions::Held;
use crate::upstream::upstream;

/// How long a run that is cut may take beside its cleaning up: for what a failure leaves.
const CUTTING: Duration = Duration::from_secs(20);

/// How the work on a run ended here.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each run, and most of them are the large one"
)]
enum End {
    /// It has an outcome, which is to be committed.
    Finished {
        finish: Finish,
        timings: Timings,
        skipped: Vec<SkippedState>,
    },
    /// Its working time is used up.
    OutOfTime,
    /// It must be given back: it can't be executed here, and may be elsewhere.
    GiveBack { why: String, wait: bool },
    /// It belongs to nobody here any more: nothing may be written.
    Gone,
}

/// Executes a claimed run. When this returns, nothing of it is left here.
pub(crate) async fn execute(worker: &Worker, claimed: Claimed) {
    let Claimed {
        run,
        at: claimed_at,
        slot,
    } = claimed;
    let possession = worker.possessions.take(run.clone());
    let settings = &worker.settings;
    let mut lease = std::pin::pin!(lease::keep(
        &worker.store,
        run.id,
        run.attempt,
        claimed_at,
        settings.lease,
        settings.heartbeat,
    ));
    let mut held = None;
    // Whatever says that the run is not this worker's any more comes before what the worker would still do.
    let end = tokio::select! {
        biased;
        () = &mut lease => {
            tracing::warn!("Stopped working on the run: its lease is over");
            return;
        }
        () = is_lost(&possession) => {
            tracing::info!(status = %possession.run().status(), "The run ended, or was taken away");
            return;
        }
        end = end_of_work(worker, &possession, slot, &mut held) => end,
    };
    // From here on, a run that is not this worker's any more may be so by this very commit, whose answer is still under
    // way. Should it be somebody else's doing, the commit is refused.
    let ended = tokio::select! {
        biased;
        () = lease => {
            tracing::warn!("Stopped committing the run's end: its lease is over");
            return;
        }
        ended = commit_end(worker, &possession, end) => ended,
    };
    // Outside of both: what is still to be done needs neither the run nor its lease.
    if let Some((run, wait)) = ended {
        enqueue_again(worker, &run, wait).await;
    }
    if let Some(held) = held {
        held.close().await;
    }
}

/// Returns when the work on a run that is not this worker's any more must end: at once, but for a run that was ended from
/// outside, whose workflow may have to clean up at the site.
async fn is_lost(possession: &Possession<'_>) {
    let run = possession.until(|run| possession.is_lost(run)).await;
    if possession.was_ended_from_outside(&run) {
        tokio::time::sleep(CLEANING_UP + CUTTING).await;
    }
}

/// Returns when a run ends from outside, whatever it is doing.
async fn cut(possession: &Possession<'_>) -> Cut {
    tokio::select! {
        () = deadline(possession) => Cut::DeadlineExceeded,
        _ = possession.until(|run| possession.was_ended_from_outside(run)) => Cut::Canceled,
    }
}

/// Does the work, until it ends by itself or must.
async fn end_of_work(
    worker: &Worker,
    possession: &Possession<'_>,
    slot: OwnedSemaphorePermit,
    held: &mut Option<Box<dyn Held>>,
) -> End {
    tokio::select! {
        end = work(worker, possession, slot, held) => end,
        () = overtime(possession) => End::OutOfTime,
        () = must_stop(worker, possession) => End::GiveBack { why: "the runner stops".to_owned(), wait: false },
    }
}

/// Commits what came of the work. Answers the run as it is then, and whether it should wait before somebody else takes
/// it; nothing if that was not this worker's to say.
async fn commit_end(worker: &Worker, possession: &Possession<'_>, end: End) -> Option<(Run, bool)> {
    let attempt = possession.attempt();
    let (event, wait) = match end {
        End::Gone => return None,
        End::OutOfTime => (Event::WorkDeadlinePassed, false),
        End::Finished {
            finish,
            timings,
            skipped,
        } => {
            let event = Event::Finished {
                attempt,
                finish,
                timings,
                skipped,
            };
            (event, false)
        }
        End::GiveBack { why, wait } => {
            tracing::warn!(why, "Giving the run back");
            (Event::GaveBack { attempt }, wait)
        }
    };
    let run = commit(worker, possession, &event).await?;
    tracing::info!(status = %run.status(), "The work on the run has ended");
    Some((run, wait))
}

/// Puts a run that is ready again into the queue, for when it may be claimed. With `wait` it is seen only after a while, which grows with the attempts
/// that never began: what was missing here (a browser, the table) may be missing everywhere for a moment, and the
/// attempts are numbered.
async fn enqueue_again(worker: &Worker, run: &Run, wait: bool) {
    if !matches!(run.phase, Phase::Ready { .. }) {
        return;
    }
    let never_began = run.attempt.saturating_sub(run.executions).min(5);
    let delay = Duration::from_secs(if wait { 1 << never_began } else { 0 })
        .max(run.waits_for_retry(now()));
    let message = RunMessage::about(run);
    if let Err(error) = worker.store.enqueue_run_later(message, delay).await {
        tracing::warn!(%error, "The run could not be enqueued; the sweeper will do it");
    }
}

/// Returns when the run must be left because the runner stops: at once if it has not begun its first step, else
/// after the time that runs have to finish.
async fn must_stop(worker: &Worker, possession: &Possession<'_>) {
    worker.orders.stop.cancelled().await;
    tokio::select! {
        () = possession.has_not_begun() => {}
        () = tokio::time::sleep(worker.settings.stop_timeout) => {}
    }
}

/// Returns when a run that has used up its working time has not ended in the time that it has for that.
async fn overtime(possession: &Possession<'_>) {
    deadline(possession).await;
    tokio::time::sleep(CLEANING_UP + CUTTING).await;
}

/// Returns when the run's working time is used up. While it waits for a person, the clock stands still.
async fn deadline(possession: &Possession<'_>) {
    loop {
        let run = possession
            .until(|run| matches!(run.phase, Phase::InProgress { .. }))
            .await;
        let Phase::InProgress { work_deadline, .. } = run.phase else {
            continue;
        };
        let seen = run.sequence;
        tokio::select! {
            () = tokio::time::sleep(work_deadline.since(now())) => return,
            _ = possession.until(|run| run.sequence > seen) => {}
        }
    }
}

/// Commits the run's end here; `None` if it was not this worker's to say.
async fn commit(worker: &Worker, possession: &Possession<'_>, event: &Event) -> Option<Run> {
    let mut delays = TRY_AGAIN.delays(random_fraction);
    // The same for each try: one whose answer got lost may have been committed.
    let commit = next_commit(&possession.run());
    loop {
        match worker
            .store
            .transition_as(possession.run(), event, now(), commit)
            .await
        {
            Ok(Transition::Committed(run)) => return Some(*run),
            Ok(Transition::Rejected { why, .. }) => {
                tracing::info!(%why, "The run's end was not this worker's to say");
                return None;
            }
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "The run's end could not be committed; trying again");
                tokio::time::sleep(delays.next().unwrap_or(TRY_AGAIN.cap)).await;
            }
            Err(error) => {
                let error = format!("{:#}", anyhow::Error::from(error));
                tracing::error!(
                    error,
                    "The run's end can't be committed; its lease will end"
                );
                return None;
            }
        }
    }
}

/// Does the work. The browser that it takes is left to the caller, who closes it once the end is committed: nobody
/// should wait for that.
async fn work(
    worker: &Worker,
    possession: &Possession<'_>,
    slot: OwnedSemaphorePermit,
    held: &mut Option<Box<dyn Held>>,
) -> End {
    let run = possession.run();
    let queued = now().since(run.created_at);
    let mut delays = TRY_AGAIN.delays(random_fraction);
    let prepared = loop {
        match prepare(worker, &run).await {
            // What is away here is away everywhere: giving the run back would only use up its attempts. The lease bounds
            // how long this goes on, and its working time.
            Err(Unprepared::Store(error)) if error.is_transient() => {
                tracing::warn!(%error, "The run can't be prepared; trying again");
                tokio::time::sleep(delays.next().unwrap_or(TRY_AGAIN.cap)).await;
            }
            prepared => break prepared,
        }
    };
    let (definition, inputs, upstream) = match prepared {
        Ok(prepared) => prepared,
        Err(Unprepared::Failed(failure)) => {
            let timings = timings(&run, queued, Duration::ZERO, None);
            return End::Finished {
                finish: Finish::Failed(failure),
                timings,
                skipped: Vec::new(),
            };
        }
        Err(Unprepared::Store(error)) => {
            return End::GiveBack {
                why: error.to_string(),
                wait: true,
            };
        }
    };

    let browser_asked = Instant::now();
    let session = match worker.sessions.open(&definition.browser, upstream).await {
        Ok(session) => {
            worker.without_browser.store(0, Ordering::Relaxed);
            session
        }
        Err(error) => {
            worker.without_browser.fetch_add(1, Ordering::Relaxed);
            return End::GiveBack {
                why: format!("{:#}", anyhow::Error::from(error)),
                wait: true,
            };
        }
    };
    let mut browser = session.browser;
    let held = held.insert(session.held);
    let browser_start = browser_asked.elapsed();

    let mut host = RunHost {
        worker,
        possession,
        held: held.as_ref(),
        slot: Some(slot),
    };
    let report = engine::execute(
        &definition,
        inputs,
        browser.as_mut(),
        &mut host,
        cut(possession),
    )
    .await;
    match report {
        Ok(report) => {
            let timings = timings(&run, queued, browser_start, Some(&report));
            conclude(worker, possession, report, timings).await
        }
        Err(Interrupted::Fault(error)) => {
            let error = format!("{:#}", anyhow::Error::from_boxed(error));
            tracing::error!(error, "The run can't go on");
            let failure = Failure::outside_of_steps(
                FailureCode::Internal,
                "the service failed; the failure has been recorded",
            );
            let timings = timings(&run, queued, browser_start, None);
            End::Finished {
                finish: Finish::Failed(failure),
                timings,
                skipped: Vec::new(),
            }
        }
        Err(interrupted) => {
            tracing::info!(%interrupted, "The run was interrupted");
            End::Gone
        }
    }
}

/// Stores what the run returned, before the commit that ends it: success is complete.
async fn conclude(
    worker: &Worker,
    possession: &Possession<'_>,
    report: Report,
    timings: Timings,
) -> End {
    let finish = match report.outcome {
        Outcome::Completed { output } => {
            if let Some(output) = output {
                let run = possession.run();
                let (store, attempt) = (&worker.store, possession.attempt());
                // All the work is done: a call that fails in passing must not cost it.
                let stored = persist(|| store.put_run_output(&run, attempt, &output)).await;
                if let Err(error) = stored {
                    tracing::error!(%error, "The run's output could not be stored");
                    let failure = Failure {
                        retryable: true,
                        ..Failure::outside_of_steps(
                            FailureCode::Internal,
                            "the run's output could not be stored",
                        )
                    };
                    return End::Finished {
                        finish: Finish::Failed(failure),
                        timings,
                        skipped: Vec::new(),
                    };
                }
            }
            Finish::Completed
        }
        Outcome::NoAction { reason } => Finish::NoActionTaken { reason },
        Outcome::Failed(failure) => {
            if failure.code == FailureCode::BrowserCrashed {
                Measurement::count("BrowserCrashes", 1).emit();
            }
            Finish::Failed(failure)
        }
    };
    End::Finished {
        finish,
        timings,
        skipped: report.skipped,
    }
}

/// Why a run can't begin.
enum Unprepared {
    /// It never can: it ends.
    Failed(Failure),
    /// AWS did not answer: it may later, here or elsewhere.
    Store(StoreError),
}

impl Unprepared {
    /// What was stored for the run is not there as it was stored: no other worker would find it otherwise, and somebody
    /// must look at it.
    fn spoilt(why: &str) -> Self {
        tracing::error!(why, "A run can't begin");
        Self::Failed(Failure::outside_of_steps(
            FailureCode::Internal,
            "what was stored for the run can't be read; the failure has been recorded",
        ))
    }
}

impl From<StoreError> for Unprepared {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt { .. } => Self::spoilt(&error.to_string()),
            StoreError::Busy { .. } | StoreError::Fault { .. } | StoreError::NotConfigured(_) => {
                Self::Store(error)
            }
        }
    }
}

async fn prepare(
    worker: &Worker,
    run: &Run,
) -> Result<(Definition, Inputs, Option<Upstream>), Unprepared> {
    let invalid = |message: String| {
        Unprepared::Failed(Failure::outside_of_steps(
            FailureCode::WorkflowInvalid,
            message,
        ))
    };
    let version = worker
        .store
        .workflow_version(run.workflow_id, run.workflow_version)
        .await?
        .ok_or_else(|| {
            invalid(format!(
                "version {} of the workflow does not exist any more",
                run.workflow_version
            ))
        })?;
    let json: Value = serde_json::from_str(&version.definition)
        .map_err(|error| invalid(format!("the saved definition can't be read: {error}")))?;
    let definition = Definition::parse_json(&json).map_err(|errors| {
        let first = errors.first().map(ToString::to_string).unwrap_or_default();
        invalid(format!("the saved definition can't be read: {first}"))
    })?;
    let input = worker
        .store
        .run_input(run.id)
        .await?
        // Each run was written with one. Without it, the run would do something else than it was asked for.
        .ok_or_else(|| Unprepared::spoilt("the run's input is gone"))?;

    // The definition's names stand for the organization's secrets, under the same name where nothing is bound.
    let bound = |name: &String| run.secret_bindings.get(name).unwrap_or(name).clone();
    let names: Vec<String> = definition.secret_names().iter().map(bound).collect();
    let opened = worker
        .store
        .open_secrets(run.organization_id, &names)
        .await?;
    let missing: Vec<String> = names
        .into_iter()
        .filter(|name| !opened.contains_key(name))
        .collect();
    if !missing.is_empty() {
        return Err(invalid(format!(
            "the organization has no secret named {}",
            missing.join(", ")
        )));
    }
    let secrets = definition
        .secret_names()
        .iter()
        .filter_map(|name| Some((name.clone(), Secret::new(opened.get(&bound(name))?.clone()))))
        .collect();
    let inputs = Inputs {
        input,
        secrets,
        outputs: outputs_for(&worker.store, run).await?,
    };
    let upstream = upstream(&definition, &inputs).map_err(|why| invalid(why.to_string()))?;
    Ok((definition, inputs, upstream))
}

fn timings(
    run: &Run,
    queued: Duration,
    browser_start: Duration,
    report: Option<&Report>,
) -> Timings {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut timings = Timings {
        queued: millis(queued),
        browser_start: millis(browser_start),
        total: millis(now().since(run.created_at)),
        ..Timings::default()
    };
    if let Some(report) = report {
        timings.states = report
            .state_timings
            .iter()
            .map(|(name, took)| (name.clone(), millis(*took)))
            .collect();
        timings.awaiting_user = millis(report.awaiting_user);
        timings.artifacts = millis(report.artifacts);
    }
    timings
}
