//! The run as the model keeps it: what decides its future, with times relative to the present. To change it, the real
//! [`Run`] is made from it, the real [`Run::apply`] is called, and the answer is read back.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;
use std::time::Duration;

use domain::run::{
    Backoff, CommitId, Event, Finish, HistoryEntry, InputRequest, NewRun, Phase, Policy, Rejected,
    Run, Timings,
};
use domain::{Failure, FailureCode, InputRequestId, OrganizationId, RunId, Timestamp, WorkflowId};

use crate::explorer::{Broken, Quick};

/// Points in time and durations. A minute is the shortest time that the domain itself knows: after one, a ready run
/// is put into the queue again.
pub(crate) type Ticks = i8;
const TICK_MILLIS: i64 = 60_000;
const PRESENT_MILLIS: i64 = 30_000_000 * TICK_MILLIS;

pub(crate) const LEASE: Ticks = 2;
pub(crate) const WORK_TIME: Ticks = 3;
pub(crate) const QUEUE_TIME: Ticks = 2;
pub(crate) const QUESTION: Ticks = 1;
/// How long a living worker has after a deadline before the sweeper says so.
pub(crate) const WORKERS_TIME: Ticks = 1;
pub(crate) const RETRY_WAIT: Ticks = 1;
/// The oldest reading of a clock that a request under way carries: no request is under way for longer than that.
pub(crate) const OLDEST: Ticks = -1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Place {
    Ready {
        since: Ticks,
        again: u8,
    },
    Working {
        has_begun: bool,
        deadline: Ticks,
    },
    /// One attempt asks at most once, so that the attempt names the question.
    Awaiting {
        expires_at: Ticks,
        work_left: Ticks,
    },
    Completed,
    Failed(Code),
}

/// The failures that the protocol itself knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Code {
    Canceled,
    WorkerLost,
    DeadlineExceeded,
    QueueTimeout,
    UserInputTimeout,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Stored {
    pub(crate) place: Place,
    pub(crate) attempt: u8,
    pub(crate) executions: u8,
    pub(crate) work_used: Ticks,
    pub(crate) due_at: Option<Ticks>,
    pub(crate) updated_at: Ticks,
    /// Which of the commit ids that somebody still waits for are in the history: a bit for each.
    pub(crate) commits: u8,
}

/// What a write does to the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum What {
    Claim,
    Enter,
    Ask,
    Answer,
    Complete,
    /// Nobody answered, and the worker goes on.
    GoOnUnanswered,
    GiveBack,
    EndLease,
    ExpireQuestion,
    PassWorkDeadline,
    PassQueueDeadline,
    Cancel,
}

type Question = (Stored, u8, What, u8, Ticks);
type Answer = Result<Result<Stored, Rejected>, Broken>;

pub(crate) fn policy(max_attempts: u8) -> Policy {
    Policy {
        max_attempts: max_attempts.into(),
        backoff: Backoff {
            delay: duration(RETRY_WAIT),
            ..Backoff::default()
        },
        work_time: duration(WORK_TIME),
        queue_time: duration(QUEUE_TIME),
    }
}

pub(crate) fn created(max_attempts: u8, attempt: u8) -> Stored {
    let mut run = Run::create(new(policy(max_attempts)), timestamp(0), CommitId(0));
    run.attempt = attempt.into();
    pack(&run)
}

impl Stored {
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.place, Place::Completed | Place::Failed(_))
    }

    /// Nobody has to look at it any more.
    pub(crate) fn is_settled(&self) -> bool {
        self.has_ended() && self.due_at.is_none()
    }

    /// What the real transition function makes of it, asked once for each question: it is pure.
    pub(crate) fn apply(
        &self,
        max_attempts: u8,
        what: What,
        attempt: u8,
        now: Ticks,
    ) -> Result<Result<Self, Rejected>, Broken> {
        thread_local! {
            static KNOWN: RefCell<HashMap<Question, Answer, BuildHasherDefault<Quick>>> = RefCell::default();
        }
        let uncommitted = Self {
            commits: 0,
            ..*self
        };
        let answer = KNOWN.with_borrow_mut(|known| {
            known
                .entry((uncommitted, max_attempts, what, attempt, now))
                .or_insert_with(|| uncommitted.ask(max_attempts, what, attempt, now))
                .clone()
        })?;
        Ok(answer.map(|next| Self {
            commits: self.commits,
            ..next
        }))
    }

    fn ask(&self, max_attempts: u8, what: What, attempt: u8, now: Ticks) -> Answer {
        let run = self.unpack(policy(max_attempts));
        let event = event(what, attempt, now);
        let commit = CommitId(1);
        let next = match run.apply(&event, timestamp(now), commit) {
            Ok(next) => next,
            Err(rejected) => return Ok(Err(rejected)),
        };
        if self.has_ended() {
            return Err(Broken("a finished run has changed"));
        }
        let recorded = next.history.last().map(|entry| entry.sequence);
        if next.sequence != run.sequence + 1
            || recorded != Some(next.sequence)
            || next.history.len() != run.history.len() + 1
        {
            return Err(Broken("the sequence did not grow by one"));
        }
        if !next.has_commit(commit) {
            return Err(Broken("a commit is not in the history"));
        }
        if next.executions > u32::from(max_attempts) {
            return Err(Broken("the run is executed too often"));
        }
        Ok(Ok(pack(&next)))
    }

    /// What it is after the sweeper has put it into the queue again.
    pub(crate) fn enqueued_again(&self, max_attempts: u8, now: Ticks) -> Self {
        let run = self.unpack(policy(max_attempts));
        let mut next = pack(&run.enqueued_again(timestamp(now)));
        next.commits = self.commits;
        next
    }

    /// The same a tick later.
    pub(crate) fn later(&self) -> Self {
        let mut run = *self;
        match &mut run.place {
            Place::Ready { since, .. } => *since -= 1,
            Place::Working { deadline, .. } => *deadline -= 1,
            Place::Awaiting { expires_at, .. } => *expires_at -= 1,
            Place::Completed | Place::Failed(_) => {}
        }
        run.updated_at -= 1;
        run.due_at = run.due_at.map(|due_at| due_at - 1);
        run.normal()
    }

    /// Without what no longer matters: how long ago a time has passed that nobody can be before any more, and what a
    /// finished run was.
    fn normal(mut self) -> Self {
        match &mut self.place {
            Place::Ready { since, .. } => *since = (*since).max(OLDEST - QUEUE_TIME),
            Place::Working { deadline: time, .. }
            | Place::Awaiting {
                expires_at: time, ..
            } => *time = (*time).max(OLDEST),
            Place::Completed | Place::Failed(_) => {
                self.attempt = 0;
                self.executions = 0;
                self.work_used = 0;
                self.updated_at = OLDEST;
                self.due_at = self.due_at.map(|_| OLDEST);
            }
        }
        self.updated_at = self.updated_at.max(OLDEST);
        self.due_at = self.due_at.map(|due_at| due_at.max(OLDEST));
        self
    }

    fn unpack(&self, policy: Policy) -> Run {
        let mut run = Run::create(new(policy), timestamp(0), CommitId(0));
        run.phase = match self.place {
            Place::Ready { since, again } => Phase::Ready {
                since: timestamp(since),
                is_admitted: true,
                enqueued_again: again.into(),
            },
            Place::Working {
                has_begun,
                deadline,
            } => Phase::InProgress {
                worker_id: String::new(),
                has_begun,
                work_deadline: timestamp(deadline),
            },
            Place::Awaiting {
                expires_at,
                work_left,
            } => Phase::AwaitingUserInput {
                worker_id: String::new(),
                request: question(self.attempt, timestamp(expires_at)),
                work_left: duration(work_left),
            },
            Place::Completed => Phase::Completed,
            Place::Failed(code) => Phase::Failed(Failure::outside_of_steps(code.real(), "")),
        };
        run.attempt = self.attempt.into();
        run.executions = self.executions.into();
        run.work_used = duration(self.work_used);
        run.due_at = self.due_at.map(timestamp);
        run.sequence = 1000;
        run.history = vec![HistoryEntry {
            sequence: run.sequence,
            status: run.status(),
            state_name: None,
            attempt: run.attempt,
            at: timestamp(self.updated_at),
            commit: CommitId(0),
            skipped: Vec::new(),
            not_before: None,
            is_unanswered: false,
        }];
        run
    }
}

fn pack(run: &Run) -> Stored {
    let place = match &run.phase {
        Phase::Ready {
            since,
            enqueued_again,
            is_admitted: _,
        } => Place::Ready {
            since: ticks(*since),
            again: small(*enqueued_again),
        },
        Phase::InProgress {
            has_begun,
            work_deadline,
            ..
        } => Place::Working {
            has_begun: *has_begun,
            deadline: ticks(*work_deadline),
        },
        Phase::AwaitingUserInput {
            request, work_left, ..
        } => Place::Awaiting {
            expires_at: ticks(request.expires_at),
            work_left: ticks_of(*work_left),
        },
        Phase::Completed => Place::Completed,
        Phase::Failed(failure) => Place::Failed(Code::of(failure.code)),
        Phase::Held | Phase::CompletedWithNoActionTaken { .. } => {
            unreachable!("nothing in the model leads to {:?}", run.phase)
        }
    };
    Stored {
        place,
        attempt: small(run.attempt),
        executions: small(run.executions),
        work_used: ticks_of(run.work_used),
        due_at: run.due_at.map(ticks),
        updated_at: ticks(run.updated_at()),
        commits: 0,
    }
    .normal()
}

impl Code {
    fn real(self) -> FailureCode {
        match self {
            Self::Canceled => FailureCode::Canceled,
            Self::WorkerLost => FailureCode::WorkerLost,
            Self::DeadlineExceeded => FailureCode::DeadlineExceeded,
            Self::QueueTimeout => FailureCode::QueueTimeout,
            Self::UserInputTimeout => FailureCode::UserInputTimeout,
        }
    }

    fn of(real: FailureCode) -> Self {
        let all = [
            Self::Canceled,
            Self::WorkerLost,
            Self::DeadlineExceeded,
            Self::QueueTimeout,
            Self::UserInputTimeout,
        ];
        all.into_iter()
            .find(|code| code.real() == real)
            .expect("a failure that the model knows")
    }
}

fn event(what: What, attempt: u8, now: Ticks) -> Event {
    let request_id = question_id(attempt);
    let attempt = u32::from(attempt);
    match what {
        What::Claim => Event::Claimed {
            worker_id: String::new(),
            lease: duration(LEASE),
        },
        What::Enter => Event::EnteredState {
            attempt,
            name: String::new(),
            skipped: Vec::new(),
        },
        What::Ask => Event::AskedUser {
            attempt,
            request: question(small(attempt), timestamp(now + QUESTION)),
        },
        What::Answer => Event::Answered { request_id },
        What::Complete => Event::Finished {
            attempt,
            finish: Finish::Completed,
            timings: Timings::default(),
            skipped: Vec::new(),
        },
        What::GoOnUnanswered => Event::WentOnUnanswered {
            attempt,
            request_id,
        },
        What::GiveBack => Event::GaveBack { attempt },
        What::EndLease => Event::LeaseExpired { attempt },
        What::ExpireQuestion => Event::QuestionExpired { request_id },
        What::PassWorkDeadline => Event::WorkDeadlinePassed,
        What::PassQueueDeadline => Event::QueueDeadlinePassed,
        What::Cancel => Event::Canceled,
    }
}

fn new(policy: Policy) -> NewRun {
    let now = timestamp(0);
    NewRun {
        id: RunId::new(now, [1; 10]),
        organization_id: OrganizationId::new(now, [2; 10]),
        workflow_id: WorkflowId::new(now, [3; 10]),
        workflow_version: 1,
        job_run_id: None,
        retry_of_run_id: None,
        created_by_user_id: String::new(),
        metadata: BTreeMap::new(),
        secret_bindings: BTreeMap::new(),
        policy,
        trace_parent: None,
    }
}

fn question(attempt: u8, expires_at: Timestamp) -> InputRequest {
    InputRequest {
        id: question_id(attempt),
        prompt: String::new(),
        message: None,
        screenshot_artifact_id: None,
        fields: Vec::new(),
        expires_at,
        tries_left: 1,
    }
}

fn question_id(attempt: u8) -> InputRequestId {
    InputRequestId::new(timestamp(0), [attempt; 10])
}

fn timestamp(ticks: Ticks) -> Timestamp {
    Timestamp::from_millis(PRESENT_MILLIS + i64::from(ticks) * TICK_MILLIS)
}

fn ticks(time: Timestamp) -> Ticks {
    whole_ticks(time.as_millis() - PRESENT_MILLIS)
}

fn duration(ticks: Ticks) -> Duration {
    Duration::from_millis(u64::try_from(i64::from(ticks) * TICK_MILLIS).unwrap_or_default())
}

fn ticks_of(duration: Duration) -> Ticks {
    whole_ticks(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}

fn whole_ticks(millis: i64) -> Ticks {
    assert_eq!(millis % TICK_MILLIS, 0, "the model knows whole ticks only");
    Ticks::try_from(millis / TICK_MILLIS).expect("a time near the present")
}

fn small(number: u32) -> u8 {
    u8::try_from(number).expect("a small number")
}
