//! The workflow run: the heart of Legwork.
//!
//! [`Run::apply`] is the only thing that changes a run. It does no I/O and reads no clock; the store commits what it
//! returns by a conditional write on the sequence that it was computed from.

mod history;
mod transition;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use history::{CommitId, HistoryEntry, SkippedState};
pub use transition::{Event, Finish, Rejected};

use crate::definition::Definition;
use crate::{
    ArtifactId, Failure, InputRequestId, JobRunId, OrganizationId, RunId, Timestamp, WorkflowId,
};

/// How often a run may be given to a worker that then never begins its first step. Without a bound, a run that kills
/// its worker at the browser's start would go round for ever.
pub const ATTEMPTS_THAT_NEVER_BEGAN: u32 = 5;

/// The most entries that a run's history may have; a definition that could need more is refused when it is saved.
pub const HISTORY_ENTRIES: usize = 200;

/// After how long a ready run that no worker took is put into the queue again: each time later, so that a backlog
/// doesn't multiply itself.
const ENQUEUE_AGAIN_AFTER: [Duration; 4] = [
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(60 * 60),
];

/// After how long something whose message nobody took is put into its queue again, when that has been done so many times
/// already: each time later.
#[must_use]
pub fn enqueue_again_after(times: u32) -> Duration {
    let times = usize::try_from(times).unwrap_or(usize::MAX);
    ENQUEUE_AGAIN_AFTER[times.min(ENQUEUE_AGAIN_AFTER.len() - 1)]
}

/// What a client sees of where a run stands. There are six, and no others: clients poll until they see one of the
/// three last ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RunStatus))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Created, usually queued, not started.
    Pending,
    /// A worker executes it.
    InProgress,
    /// It asked a person for something.
    AwaitingUserInput,
    /// Finished, with work done.
    Completed,
    /// Finished, and found nothing to do.
    CompletedWithNoActionTaken,
    /// Could not complete.
    Failed,
}

impl Status {
    /// Every status, in the order of a run's life.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::InProgress,
        Self::AwaitingUserInput,
        Self::Completed,
        Self::CompletedWithNoActionTaken,
        Self::Failed,
    ];

    /// Whether a run in this status never changes again.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Pending | Self::InProgress | Self::AwaitingUserInput => false,
            Self::Completed | Self::CompletedWithNoActionTaken | Self::Failed => true,
        }
    }

    /// The word on the wire and in keys.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::InProgress => "IN_PROGRESS",
            Self::AwaitingUserInput => "AWAITING_USER_INPUT",
            Self::Completed => "COMPLETED",
            Self::CompletedWithNoActionTaken => "COMPLETED_WITH_NO_ACTION_TAKEN",
            Self::Failed => "FAILED",
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a person is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct InputField {
    /// The key under which the answer gives it, and the workflow reads it.
    pub name: String,
    /// `code`, `password`, `text`, `choice` or `confirmation`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What to write beside the field.
    pub label: String,
    /// Among what to choose, if `type` is `choice`; else empty.
    #[serde(default)]
    pub options: Vec<String>,
}

impl InputField {
    /// Whether a value is one of those that the field offers; any is, where it offers none.
    #[must_use]
    pub fn offers(&self, value: &str) -> bool {
        match self.kind.as_str() {
            "choice" => self.options.iter().any(|option| option == value),
            "confirmation" => matches!(value, "yes" | "no"),
            _ => true,
        }
    }
}

/// A question that a run asks a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct InputRequest {
    /// An answer names it, so that the answer to an earlier question can't be taken for this one's.
    pub id: InputRequestId,
    /// What the person reads.
    pub prompt: String,
    /// What was wrong with the answer before, such as `That code was wrong`; null at the first try.
    #[serde(default)]
    pub message: Option<String>,
    /// A picture of the page on which the run waits, for the person; null if the browser gave none.
    #[serde(default)]
    pub screenshot_artifact_id: Option<ArtifactId>,
    /// What is asked for.
    pub fields: Vec<InputField>,
    /// When the run stops waiting.
    pub expires_at: Timestamp,
    /// How many more times this can be answered, this time included.
    pub tries_left: u32,
}

/// What was fixed about a run's execution when it was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How often the run may be executed in all; 1 means never again after its first step has begun.
    pub max_attempts: u32,
    /// How long it waits before it is executed again.
    pub backoff: Backoff,
    /// How long the run may work, over all its attempts, without the time in which it waits for a person.
    pub work_time: Duration,
    /// How long the run may be ready without a worker taking it.
    pub queue_time: Duration,
}

impl Policy {
    /// What a workflow's definition says about executing it.
    #[must_use]
    pub fn of(definition: &Definition) -> Self {
        Self {
            max_attempts: definition.retry.max_attempts,
            backoff: definition.retry.backoff,
            work_time: definition.deadline,
            ..Self::default()
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_attempts: 1,
            backoff: Backoff::default(),
            work_time: Duration::from_secs(15 * 60),
            queue_time: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// How long to wait before something is done again: what made it fail may make it fail the next time too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first time.
    pub delay: Duration,
    /// Whether each wait is twice as long as the one before.
    pub doubles: bool,
    /// The longest wait.
    pub max_delay: Duration,
}

impl Backoff {
    /// No wait of a run may be longer than this, which is the longest that a message of the queue can be delayed.
    pub const LONGEST: Duration = Duration::from_secs(15 * 60);

    /// How long to wait after so many times.
    #[must_use]
    pub fn wait_after(&self, times: u32) -> Duration {
        let doubled = if self.doubles {
            times.saturating_sub(1).min(31)
        } else {
            0
        };
        self.delay.saturating_mul(1 << doubled).min(self.max_delay)
    }

    /// How long a run waits after so many executions.
    #[must_use]
    pub fn after(&self, executions: u32) -> Duration {
        self.wait_after(executions).min(Self::LONGEST)
    }
}

/// That of a run.
impl Default for Backoff {
    fn default() -> Self {
        Self {
            delay: Duration::from_secs(10),
            doubles: true,
            max_delay: Duration::from_secs(5 * 60),
        }
    }
}

/// How long the parts of a run took, in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Timings {
    /// From creation to the claim of the attempt that ended the run.
    pub queued: u64,
    /// How long the run waited for its browser.
    pub browser_start: u64,
    /// Each state that was executed.
    pub states: indexmap::IndexMap<String, u64>,
    /// Waiting for a person.
    pub awaiting_user: u64,
    /// Storing artifacts.
    pub artifacts: u64,
    /// From creation to the end.
    pub total: u64,
}

/// Where a run stands, with what only exists there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Belongs to a job run, and its turn has not come. Only its job run releases it.
    Held,
    /// May be claimed.
    Ready {
        /// Since when it may be claimed. Of a run that waits to be executed again, that is still to come.
        since: Timestamp,
        /// Whether it was admitted to the queue. One over its organization's limit of concurrent runs is not, until
        /// another one ends.
        is_admitted: bool,
        /// How often the sweeper has found that no worker had taken it.
        enqueued_again: u32,
    },
    /// A worker has it.
    InProgress {
        /// Which one, for the logs.
        worker_id: String,
        /// Whether this attempt has begun its first step: from then on the site may have been changed.
        has_begun: bool,
        /// When its working time is used up.
        work_deadline: Timestamp,
    },
    /// A worker has it, and waits for a person.
    AwaitingUserInput {
        /// Which one, for the logs.
        worker_id: String,
        /// What it asked.
        request: InputRequest,
        /// How much working time was left when it asked.
        work_left: Duration,
    },
    /// Finished, with work done.
    Completed,
    /// Finished, and found nothing to do.
    CompletedWithNoActionTaken {
        /// Why there was nothing to do.
        reason: String,
    },
    /// Could not complete.
    Failed(Failure),
}

/// One execution of one workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The tenant.
    pub organization_id: OrganizationId,
    /// What it executes.
    pub workflow_id: WorkflowId,
    /// The version that it started with, and keeps.
    pub workflow_version: u32,
    /// The job run that manages it.
    pub job_run_id: Option<JobRunId>,
    /// The run that this one is a retry of.
    pub retry_of_run_id: Option<RunId>,
    /// Who asked for it.
    pub created_by_user_id: String,
    /// The caller's own strings.
    pub metadata: BTreeMap<String, String>,
    /// Which of the organization's secrets stand for the names in the definition.
    pub secret_bindings: BTreeMap<String, String>,
    /// What was fixed about its execution.
    pub policy: Policy,
    /// The W3C trace context of the request that created it.
    pub trace_parent: Option<String>,
    /// Where it stands.
    pub phase: Phase,
    /// The state being executed; the last one when the run has ended.
    pub current_state_name: Option<String>,
    /// The number of changes so far; the history's last entry has it.
    pub sequence: u64,
    /// The fence: each claim makes a new one, and a worker with an older one can change nothing.
    pub attempt: u32,
    /// How many attempts have begun their first step.
    pub executions: u32,
    /// Working time that earlier attempts have used.
    pub work_used: Duration,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was claimed for the first time.
    pub started_at: Option<Timestamp>,
    /// Every change, oldest first.
    pub history: Vec<HistoryEntry>,
    /// When somebody must look at it again; none while it is held, and when all that it owed is done.
    pub due_at: Option<Timestamp>,
    /// How long its parts took, once it has ended in a worker.
    pub timings: Option<Timings>,
}

/// What a run is created from.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Its id.
    pub id: RunId,
    /// The tenant.
    pub organization_id: OrganizationId,
    /// What to execute.
    pub workflow_id: WorkflowId,
    /// The version to execute.
    pub workflow_version: u32,
    /// The job run that manages it: the run is held until that one releases it.
    pub job_run_id: Option<JobRunId>,
    /// The run that this one is a retry of.
    pub retry_of_run_id: Option<RunId>,
    /// Who asks for it.
    pub created_by_user_id: String,
    /// The caller's own strings.
    pub metadata: BTreeMap<String, String>,
    /// Which of the organization's secrets stand for the names in the definition.
    pub secret_bindings: BTreeMap<String, String>,
    /// What is fixed about its execution.
    pub policy: Policy,
    /// The W3C trace context of the request.
    pub trace_parent: Option<String>,
}

impl Run {
    /// Creates a run: ready to be claimed, or held if a job run manages it.
    #[must_use]
    pub fn create(new: NewRun, now: Timestamp, commit: CommitId) -> Self {
        let phase = if new.job_run_id.is_some() {
            Phase::Held
        } else {
            Phase::Ready {
                since: now,
                is_admitted: true,
                enqueued_again: 0,
            }
        };
        let mut run = Self {
            id: new.id,
            organization_id: new.organization_id,
            workflow_id: new.workflow_id,
            workflow_version: new.workflow_version,
            job_run_id: new.job_run_id,
            retry_of_run_id: new.retry_of_run_id,
            created_by_user_id: new.created_by_user_id,
            metadata: new.metadata,
            secret_bindings: new.secret_bindings,
            policy: new.policy,
            trace_parent: new.trace_parent,
            phase,
            current_state_name: None,
            sequence: 0,
            attempt: 0,
            executions: 0,
            work_used: Duration::ZERO,
            created_at: now,
            started_at: None,
            history: Vec::new(),
            due_at: None,
            timings: None,
        };
        run.due_at = run.ready_due_at();
        run.record(now, commit, None);
        run
    }

    /// The status that clients see.
    #[must_use]
    pub fn status(&self) -> Status {
        match self.phase {
            Phase::Held | Phase::Ready { .. } => Status::Pending,
            Phase::InProgress { .. } => Status::InProgress,
            Phase::AwaitingUserInput { .. } => Status::AwaitingUserInput,
            Phase::Completed => Status::Completed,
            Phase::CompletedWithNoActionTaken { .. } => Status::CompletedWithNoActionTaken,
            Phase::Failed(_) => Status::Failed,
        }
    }

    /// When it changed last.
    #[must_use]
    pub fn updated_at(&self) -> Timestamp {
        self.history
            .last()
            .map_or(self.created_at, |entry| entry.at)
    }

    /// When it ended.
    #[must_use]
    pub fn completed_at(&self) -> Option<Timestamp> {
        self.status().is_final().then(|| self.updated_at())
    }

    /// When its time in the queue is over, while it is ready.
    #[must_use]
    pub fn queue_deadline(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Ready { since, .. } => Some(since.plus(self.policy.queue_time)),
            Phase::Held
            | Phase::InProgress { .. }
            | Phase::AwaitingUserInput { .. }
            | Phase::Completed
            | Phase::CompletedWithNoActionTaken { .. }
            | Phase::Failed(_) => None,
        }
    }

    /// The same run after the sweeper has put it into the queue again, or has found that it still waits to be admitted:
    /// only `dueAt` and the count change, neither of which is a change of the run that anybody is told about.
    #[must_use]
    pub fn enqueued_again(&self, now: Timestamp) -> Self {
        let mut run = self.clone();
        if let Phase::Ready {
            since,
            is_admitted,
            enqueued_again,
        } = self.phase
        {
            run.phase = Phase::Ready {
                since,
                is_admitted,
                enqueued_again: enqueued_again.saturating_add(1),
            };
            let again = now.plus(enqueue_again_after(enqueued_again.saturating_add(1)));
            run.due_at = Some(again.min(since.plus(self.policy.queue_time)));
        }
        run
    }

    /// The same run admitted to the queue, or not: like [`Run::enqueued_again`] no change of the run that anybody is told
    /// about. Only a ready run can be either.
    #[must_use]
    pub fn admitted(&self, is_admitted: bool, now: Timestamp) -> Self {
        let mut run = self.clone();
        if let Phase::Ready { since, .. } = self.phase {
            run.phase = Phase::Ready {
                since,
                is_admitted,
                enqueued_again: 0,
            };
            let again = now.plus(ENQUEUE_AGAIN_AFTER[0]);
            run.due_at = Some(again.min(since.plus(self.policy.queue_time)));
        }
        run
    }

    /// How long it must still wait before it is executed again; zero if it need not wait.
    #[must_use]
    pub fn waits_for_retry(&self, now: Timestamp) -> Duration {
        match self.phase {
            Phase::Ready { since, .. } => since.since(now.max(self.updated_at())),
            Phase::Held
            | Phase::InProgress { .. }
            | Phase::AwaitingUserInput { .. }
            | Phase::Completed
            | Phase::CompletedWithNoActionTaken { .. }
            | Phase::Failed(_) => Duration::ZERO,
        }
    }

    /// Whether an artifact that an attempt wrote at a time is one that readers see: what an attempt wrote after it had
    /// ended is not.
    #[must_use]
    pub fn shows_artifact_of(&self, attempt: u32, at: Timestamp) -> bool {
        if attempt > self.attempt {
            return false;
        }
        // A worker ends its run after all that it wrote, whatever its clock did meanwhile.
        if attempt == self.attempt && self.timings.is_some() {
            return true;
        }
        // An attempt ended with the first later entry that is of another attempt, is ready again, or is final.
        let end = self
            .history
            .iter()
            .filter(|entry| entry.attempt >= attempt)
            .find(|entry| {
                entry.attempt > attempt
                    || entry.status == Status::Pending
                    || entry.status.is_final()
            })
            .map(|entry| entry.at);
        end.is_none_or(|end| at <= end)
    }

    fn ready_due_at(&self) -> Option<Timestamp> {
        let Phase::Ready { since, .. } = self.phase else {
            return None;
        };
        Some(since.plus(ENQUEUE_AGAIN_AFTER[0].min(self.policy.queue_time)))
    }
}
