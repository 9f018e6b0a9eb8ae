//! The transitions of a run, as one exhaustive match.

use std::time::Duration;

use super::{
    ATTEMPTS_THAT_NEVER_BEGAN, CommitId, HISTORY_ENTRIES, InputRequest, Phase, Run, SkippedState,
    Status, Timings,
};
use crate::{Failure, FailureCode, InputRequestId, Timestamp};

/// How soon what an ended run owes is looked at, should nobody hear of its end.
const CONCLUDED_WITHIN: Duration = Duration::from_secs(30);

/// Something that happened, and may change a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The job run says that it is this run's turn.
    Released,
    /// A worker wants to execute it.
    Claimed {
        /// Which worker.
        worker_id: String,
        /// For how long the claim stands without a heartbeat.
        lease: Duration,
    },
    /// The worker is about to execute the first step of a state.
    EnteredState {
        /// The worker's attempt.
        attempt: u32,
        /// The state's name.
        name: String,
        /// The states that were skipped before it.
        skipped: Vec<SkippedState>,
    },
    /// The worker asks a person.
    AskedUser {
        /// The worker's attempt.
        attempt: u32,
        /// What it asks.
        request: InputRequest,
    },
    /// A person answered.
    Answered {
        /// Which question.
        request_id: InputRequestId,
    },
    /// Nobody answered in time by the worker's clock, and it goes on: to what the workflow does then, or to the run's end.
    WentOnUnanswered {
        /// The worker's attempt.
        attempt: u32,
        /// Which question.
        request_id: InputRequestId,
    },
    /// The worker has executed everything, or can't go on.
    Finished {
        /// The worker's attempt.
        attempt: u32,
        /// How it ended.
        finish: Finish,
        /// How long its parts took.
        timings: Timings,
        /// The states that were skipped at the end.
        skipped: Vec<SkippedState>,
    },
    /// The worker gives it back, because it must stop.
    GaveBack {
        /// The worker's attempt.
        attempt: u32,
    },
    /// The sweeper found that the worker's lease is over.
    LeaseExpired {
        /// The attempt whose lease it is.
        attempt: u32,
    },
    /// The sweeper found that nobody answered in time, and that the worker does not say so.
    QuestionExpired {
        /// Which question.
        request_id: InputRequestId,
    },
    /// Its working time is used up.
    WorkDeadlinePassed,
    /// Its time in the queue is over.
    QueueDeadlinePassed,
    /// Somebody cancelled it.
    Canceled,
    /// Its job run stopped before its turn came.
    JobRunStopped,
}

/// How a run ended in its worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finish {
    /// With work done.
    Completed,
    /// With nothing to do.
    NoActionTaken {
        /// Why there was nothing to do.
        reason: String,
    },
    /// It could not complete.
    Failed(Failure),
}

/// Why an event can't change a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// A finished run never changes again.
    #[error("the run has ended as {0}")]
    Ended(Status),
    /// Another worker has it, or had it since.
    #[error("attempt {given} is over: the run is at attempt {current}")]
    StaleAttempt {
        /// The attempt that the event names.
        given: u32,
        /// The run's.
        current: u32,
    },
    /// The event belongs to another status.
    #[error("the run is {0}")]
    WrongStatus(Status),
    /// Its turn has not come.
    #[error("the run is held until its job run releases it")]
    Held,
    /// Its organization has as many runs in work as it may.
    #[error("the run waits until another one of its organization has ended")]
    NotAdmitted,
    /// The answer, or its deadline, is about another question than the one that is open.
    #[error("the run waits for the answer to another question")]
    OtherQuestion,
    /// What the event says to be over is not over yet.
    #[error("it is not due yet")]
    NotDue,
    /// The history has no room for another change that isn't the last one.
    #[error("the run has changed {HISTORY_ENTRIES} times, which is the most that it may")]
    HistoryFull,
}

impl Event {
    /// The states that were skipped before it.
    pub(super) fn skipped(&self) -> &[SkippedState] {
        match self {
            Self::EnteredState { skipped, .. } | Self::Finished { skipped, .. } => skipped,
            Self::Released
            | Self::Claimed { .. }
            | Self::AskedUser { .. }
            | Self::Answered { .. }
            | Self::WentOnUnanswered { .. }
            | Self::GaveBack { .. }
            | Self::LeaseExpired { .. }
            | Self::QuestionExpired { .. }
            | Self::WorkDeadlinePassed
            | Self::QueueDeadlinePassed
            | Self::Canceled
            | Self::JobRunStopped => &[],
        }
    }
}

impl Run {
    /// What the run is after an event, or why the event can't change it. Pure: the caller commits the answer on the
    /// condition that the run's sequence is still the one that this was computed from.
    ///
    /// # Errors
    /// [`Rejected`] says why nothing changes.
    pub fn apply(&self, event: &Event, now: Timestamp, commit: CommitId) -> Result<Self, Rejected> {
        if self.status().is_final() {
            return Err(Rejected::Ended(self.status()));
        }
        // Clocks of several machines are read for one run. Its own time never runs backwards, or working time that was
        // used would come back.
        let now = now.max(self.updated_at());
        let mut run = self.clone();
        match (&self.phase, event) {
            // Its turn has come within its job; within its organization, it waits to be admitted as every other.
            (Phase::Held, Event::Released) => {
                run.phase = Phase::Ready {
                    since: now,
                    is_admitted: false,
                    enqueued_again: 0,
                };
                run.due_at = run.ready_due_at();
            }
            (Phase::Held | Phase::Ready { .. }, Event::JobRunStopped) => {
                run.fail(
                    Failure::outside_of_steps(
                        FailureCode::JobRunStopped,
                        "the job run stopped before its turn",
                    ),
                    now,
                );
            }

            (Phase::Held, Event::Claimed { .. }) => return Err(Rejected::Held),
            (
                Phase::Ready {
                    is_admitted: false, ..
                },
                Event::Claimed { .. },
            ) => return Err(Rejected::NotAdmitted),
            (Phase::Ready { since, .. }, Event::Claimed { .. })
                if now >= since.plus(self.policy.queue_time) =>
            {
                // The sweeper will say so; a worker that comes just before it must not begin.
                return Err(Rejected::NotDue);
            }
            // It waits to be executed again, and a message that comes early is no reason to do so.
            (Phase::Ready { since, .. }, Event::Claimed { .. }) if now < *since => {
                return Err(Rejected::NotDue);
            }
            (Phase::Ready { .. }, Event::Claimed { worker_id, lease }) => {
                let work_left = self.policy.work_time.saturating_sub(self.work_used);
                run.attempt += 1;
                run.started_at = self.started_at.or(Some(now));
                // While a worker has it, it is due at the end of the lease, and no sooner: a deadline moves while a person is
                // waited for, and a lease that nobody has renewed yet would seem to be over. The worker itself keeps to
                // the deadlines; the sweeper, if it must, does so a minute later.
                run.due_at = Some(now.plus(*lease));
                run.phase = Phase::InProgress {
                    worker_id: worker_id.clone(),
                    has_begun: false,
                    work_deadline: now.plus(work_left),
                };
            }

            (
                Phase::InProgress {
                    worker_id,
                    has_begun,
                    work_deadline,
                },
                Event::EnteredState { attempt, name, .. },
            ) => {
                self.fence(*attempt)?;
                if !has_begun {
                    run.executions += 1;
                }
                run.current_state_name = Some(name.clone());
                run.phase = Phase::InProgress {
                    worker_id: worker_id.clone(),
                    has_begun: true,
                    work_deadline: *work_deadline,
                };
            }
            // A step asks: before the first state there is nobody who could.
            (
                Phase::InProgress {
                    worker_id,
                    has_begun: true,
                    work_deadline,
                },
                Event::AskedUser { attempt, request },
            ) => {
                self.fence(*attempt)?;
                run.phase = Phase::AwaitingUserInput {
                    worker_id: worker_id.clone(),
                    request: request.clone(),
                    work_left: work_deadline.since(now),
                };
            }
            (
                Phase::AwaitingUserInput {
                    request,
                    worker_id,
                    work_left,
                },
                Event::Answered { request_id },
            ) => {
                request.is(*request_id)?;
                if now >= request.expires_at {
                    return Err(Rejected::NotDue);
                }
                run.go_on(worker_id, *work_left, now);
            }
            // Whoever is first, this or the answer, has won: the other one finds nobody waiting.
            (
                Phase::AwaitingUserInput {
                    request,
                    worker_id,
                    work_left,
                },
                Event::WentOnUnanswered {
                    attempt,
                    request_id,
                },
            ) => {
                self.fence(*attempt)?;
                request.is(*request_id)?;
                run.go_on(worker_id, *work_left, now);
            }
            (Phase::AwaitingUserInput { request, .. }, Event::QuestionExpired { request_id }) => {
                request.is(*request_id)?;
                if now < request.expires_at {
                    return Err(Rejected::NotDue);
                }
                let message = format!(
                    "nobody answered \"{}\" by {}",
                    request.prompt, request.expires_at
                );
                run.fail(
                    Failure::outside_of_steps(FailureCode::UserInputTimeout, message),
                    now,
                );
            }

            (
                Phase::InProgress { .. },
                Event::Finished {
                    attempt,
                    finish,
                    timings,
                    ..
                },
            ) => {
                self.fence(*attempt)?;
                run.timings = Some(timings.clone());
                match finish {
                    Finish::Completed => run.end(Phase::Completed, now),
                    Finish::NoActionTaken { reason } => {
                        run.end(
                            Phase::CompletedWithNoActionTaken {
                                reason: reason.clone(),
                            },
                            now,
                        );
                    }
                    Finish::Failed(failure) => run.fail_or_execute_again(failure, now),
                }
            }
            // A run can fail while it waits (its browser may die); it can't complete without the answer.
            (
                Phase::AwaitingUserInput { .. },
                Event::Finished {
                    attempt,
                    finish: Finish::Failed(failure),
                    timings,
                    ..
                },
            ) => {
                self.fence(*attempt)?;
                run.timings = Some(timings.clone());
                run.fail_or_execute_again(failure, now);
            }

            (
                Phase::InProgress { .. } | Phase::AwaitingUserInput { .. },
                Event::GaveBack { attempt },
            ) => {
                self.fence(*attempt)?;
                run.lose_worker(now, "its worker was stopped");
            }
            (
                Phase::InProgress { .. } | Phase::AwaitingUserInput { .. },
                Event::LeaseExpired { attempt },
            ) => {
                self.fence(*attempt)?;
                run.lose_worker(now, "its worker stopped renewing its lease");
            }

            (Phase::InProgress { work_deadline, .. }, Event::WorkDeadlinePassed) => {
                if now < *work_deadline {
                    return Err(Rejected::NotDue);
                }
                run.exceed_deadline(now);
            }
            (Phase::Ready { since, .. }, Event::QueueDeadlinePassed) => {
                if now < since.plus(self.policy.queue_time) {
                    return Err(Rejected::NotDue);
                }
                let message = format!(
                    "no worker took the run within {} s",
                    self.policy.queue_time.as_secs()
                );
                let failure = Failure {
                    retryable: true,
                    ..Failure::outside_of_steps(FailureCode::QueueTimeout, message)
                };
                run.fail(failure, now);
            }

            (_, Event::Canceled) => run.fail(
                Failure::outside_of_steps(FailureCode::Canceled, "the run was cancelled"),
                now,
            ),

            (
                _,
                Event::Released
                | Event::JobRunStopped
                | Event::Claimed { .. }
                | Event::Answered { .. }
                | Event::QuestionExpired { .. }
                | Event::WorkDeadlinePassed
                | Event::QueueDeadlinePassed,
            ) => return Err(Rejected::WrongStatus(self.status())),
            (
                _,
                Event::EnteredState { attempt, .. }
                | Event::AskedUser { attempt, .. }
                | Event::WentOnUnanswered { attempt, .. }
                | Event::Finished { attempt, .. }
                | Event::GaveBack { attempt }
                | Event::LeaseExpired { attempt },
            ) => {
                self.fence(*attempt)?;
                return Err(Rejected::WrongStatus(self.status()));
            }
        }
        // The last entry is kept for the end, so that a run can always end.
        if run.history.len() + 1 >= HISTORY_ENTRIES && !run.status().is_final() {
            return Err(Rejected::HistoryFull);
        }
        run.record(now, commit, Some(event));
        Ok(run)
    }

    fn fence(&self, given: u32) -> Result<(), Rejected> {
        if given == self.attempt {
            Ok(())
        } else {
            Err(Rejected::StaleAttempt {
                given,
                current: self.attempt,
            })
        }
    }

    /// Its worker goes on with it, after a question.
    fn go_on(&mut self, worker_id: &str, work_left: Duration, now: Timestamp) {
        self.phase = Phase::InProgress {
            worker_id: worker_id.to_owned(),
            has_begun: true,
            work_deadline: now.plus(work_left),
        };
    }

    fn end(&mut self, phase: Phase, now: Timestamp) {
        self.phase = phase;
        // What has ended is due, because its events are still owed. Where it is due soon anyway it stays so: each move in
        // the index costs as much as two writes.
        let is_soon = |due_at: &Timestamp| *due_at <= now.plus(CONCLUDED_WITHIN);
        self.due_at = Some(self.due_at.filter(is_soon).unwrap_or(now));
    }

    fn fail(&mut self, failure: Failure, now: Timestamp) {
        let failure = Failure {
            state: failure.state.or_else(|| self.current_state_name.clone()),
            ..failure
        };
        self.end(Phase::Failed(failure), now);
    }

    /// A browser that died is as lost as a worker: what it was doing is unknown, and was no answer of the site. Every
    /// other failure is one that the run itself has found, and ends it.
    fn fail_or_execute_again(&mut self, failure: &Failure, now: Timestamp) {
        if failure.code != FailureCode::BrowserCrashed || !self.execute_again(now) {
            self.fail(failure.clone(), now);
        }
    }

    /// Makes it ready for another worker, if it may have one; `false` if it may not. Before its first step it may be given
    /// to another one; after that the site may have been changed, and only the workflow can say that it may be executed
    /// again. Without working time left, no worker could do anything.
    fn execute_again(&mut self, now: Timestamp) -> bool {
        let Some((has_begun, work_left)) = self.attempt_so_far(now) else {
            return false;
        };
        // An attempt that had not begun was no execution, and makes nobody wait; how often that may be is bounded.
        let (may, wait) = if has_begun {
            let may = self.executions < self.policy.max_attempts;
            (may, self.policy.backoff.after(self.executions))
        } else {
            let may = self.attempt - self.executions < ATTEMPTS_THAT_NEVER_BEGAN;
            (may, Duration::ZERO)
        };
        if !may || work_left.is_zero() {
            return false;
        }
        // The wait is neither working time nor time in the queue.
        self.timings = None;
        self.work_used = self.policy.work_time.saturating_sub(work_left);
        self.phase = Phase::Ready {
            since: now.plus(wait),
            is_admitted: true,
            enqueued_again: 0,
        };
        self.due_at = self.ready_due_at();
        true
    }

    /// Whether the present attempt has begun its first step, and how much working time is left; nothing if no worker has
    /// the run.
    fn attempt_so_far(&self, now: Timestamp) -> Option<(bool, Duration)> {
        match &self.phase {
            Phase::InProgress {
                has_begun,
                work_deadline,
                ..
            } => Some((*has_begun, work_deadline.since(now))),
            Phase::AwaitingUserInput { work_left, .. } => Some((true, *work_left)),
            Phase::Held
            | Phase::Ready { .. }
            | Phase::Completed
            | Phase::CompletedWithNoActionTaken { .. }
            | Phase::Failed(_) => None,
        }
    }

    fn exceed_deadline(&mut self, now: Timestamp) {
        let message = format!(
            "the run has worked for {} s, which is all that it may",
            self.policy.work_time.as_secs()
        );
        self.fail(
            Failure::outside_of_steps(FailureCode::DeadlineExceeded, message),
            now,
        );
    }

    /// What becomes of a run whose worker is gone.
    fn lose_worker(&mut self, now: Timestamp, how: &str) {
        if self.execute_again(now) {
            return;
        }
        let Some((has_begun, work_left)) = self.attempt_so_far(now) else {
            return;
        };
        if work_left.is_zero() {
            self.exceed_deadline(now);
            return;
        }
        let when = match self.phase {
            Phase::AwaitingUserInput { .. } => " while the run waited for a person",
            _ => "",
        };
        let message = if has_begun {
            format!(
                "{how}{when}, during execution {} of at most {}",
                self.executions, self.policy.max_attempts
            )
        } else {
            format!("{how} before its first step, {ATTEMPTS_THAT_NEVER_BEGAN} times")
        };
        let failure = Failure {
            retryable: true,
            ..Failure::outside_of_steps(FailureCode::WorkerLost, message)
        };
        self.fail(failure, now);
    }
}

impl InputRequest {
    fn is(&self, id: InputRequestId) -> Result<(), Rejected> {
        if self.id == id {
            Ok(())
        } else {
            Err(Rejected::OtherQuestion)
        }
    }
}
