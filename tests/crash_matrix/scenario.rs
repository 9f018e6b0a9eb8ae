//! What is killed, and on whose way.

use std::time::Duration;

use store::Job;

use crate::chaos::call::Call;
use crate::chaos::policy::Side;
use crate::chaos::roles::{Records, Role};
use crate::chaos::stage::Stage;
use crate::chaos::workflows;
use crate::matrix::Extent;

/// A way, and the process that is killed on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// A run is asked for, and its question answered; the API dies.
    Api,
    /// A run is cancelled while it asks a person, and then retried.
    ApiThatCancelsAndRetries,
    /// A runner dies with a run whose workflow says that it may be executed twice.
    RunnerWithRetry,
    /// A runner dies with a run that may be executed once.
    RunnerWithoutRetry,
    /// A runner dies when it has been given more runs than their organization may have in work.
    RunnerAtTheLimit,
    /// A runner dies when nobody has answered its run in time.
    RunnerThatNobodyAnswers,
    /// The dispatcher dies; the stream gives its records again.
    Dispatcher,
    /// The dispatcher dies, and what it had in hand is lost.
    DispatcherThatLosesRecords,
    /// The same with a job of two workflows.
    DispatcherOfAJob,
    /// The dispatcher dies when a run has ended for which another one waits.
    DispatcherAtTheLimit,
    /// The deliverer dies.
    Deliverer,
    /// The job-trigger dies, and the schedule invokes it again for the same occurrence.
    JobTrigger,
    /// The sweeper dies among debts of every kind.
    Sweeper,
}

impl Scenario {
    pub(crate) const ALL: [Self; 13] = [
        Self::Api,
        Self::ApiThatCancelsAndRetries,
        Self::RunnerWithRetry,
        Self::RunnerWithoutRetry,
        Self::RunnerAtTheLimit,
        Self::RunnerThatNobodyAnswers,
        Self::Dispatcher,
        Self::DispatcherThatLosesRecords,
        Self::DispatcherOfAJob,
        Self::DispatcherAtTheLimit,
        Self::Deliverer,
        Self::JobTrigger,
        Self::Sweeper,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::ApiThatCancelsAndRetries => "api that cancels and retries",
            Self::RunnerWithRetry => "runner with retry",
            Self::RunnerWithoutRetry => "runner without retry",
            Self::RunnerAtTheLimit => "runner at the limit",
            Self::RunnerThatNobodyAnswers => "runner that nobody answers",
            Self::Dispatcher => "dispatcher",
            Self::DispatcherThatLosesRecords => "dispatcher that loses records",
            Self::DispatcherOfAJob => "dispatcher of a job",
            Self::DispatcherAtTheLimit => "dispatcher at the limit",
            Self::Deliverer => "deliverer",
            Self::JobTrigger => "job-trigger",
            Self::Sweeper => "sweeper",
        }
    }

    /// Whether the short form has it: that records come again is easier to bear than that they are lost.
    pub(crate) fn is_in_the_short_form(self) -> bool {
        self != Self::Dispatcher
    }

    /// The process that dies. The job is the one of the scenarios that have one.
    pub(crate) fn victim(self, stage: &Stage, job: &Job, died: bool) -> Role {
        let dispatcher = |records| Role::Dispatcher {
            stream_arn: stage.stream_arn().to_owned(),
            records,
        };
        match self {
            Self::Api | Self::ApiThatCancelsAndRetries => Role::Api,
            Self::RunnerWithRetry
            | Self::RunnerWithoutRetry
            | Self::RunnerAtTheLimit
            | Self::RunnerThatNobodyAnswers => Role::Runner,
            Self::DispatcherThatLosesRecords if died => dispatcher(Records::New),
            Self::Dispatcher
            | Self::DispatcherThatLosesRecords
            | Self::DispatcherOfAJob
            | Self::DispatcherAtTheLimit => dispatcher(Records::All),
            Self::Deliverer => Role::Deliverer,
            Self::JobTrigger => Role::trigger(job, job.created_at),
            Self::Sweeper => Role::Sweeper {
                ahead: Duration::from_secs(61),
            },
        }
    }

    pub(crate) fn kills_the_api(self) -> bool {
        matches!(self, Self::Api | Self::ApiThatCancelsAndRetries)
    }

    pub(crate) fn kills_the_runner(self) -> bool {
        matches!(
            self,
            Self::RunnerWithRetry
                | Self::RunnerWithoutRetry
                | Self::RunnerAtTheLimit
                | Self::RunnerThatNobodyAnswers
        )
    }

    pub(crate) fn kills_the_dispatcher(self) -> bool {
        matches!(
            self,
            Self::Dispatcher
                | Self::DispatcherThatLosesRecords
                | Self::DispatcherOfAJob
                | Self::DispatcherAtTheLimit
        )
    }

    /// Whether the process that dies does one thing and ends, if nobody kills it.
    pub(crate) fn victim_ends_by_itself(self) -> bool {
        matches!(self, Self::JobTrigger | Self::Sweeper)
    }

    /// How many runs of the organization may be queued or in work at the same time.
    pub(crate) fn concurrent_runs(self) -> u32 {
        match self {
            Self::RunnerAtTheLimit | Self::DispatcherAtTheLimit => 1,
            _ => 20,
        }
    }

    /// How many runs there are in the end; the sweeper's have a count of their own.
    pub(crate) fn runs(self) -> usize {
        match self {
            Self::ApiThatCancelsAndRetries
            | Self::RunnerAtTheLimit
            | Self::DispatcherOfAJob
            | Self::DispatcherAtTheLimit
            | Self::JobTrigger => 2,
            _ => 1,
        }
    }

    /// The runs' workflow. A run that is executed again does not wait: what takes its worker away is the test.
    pub(crate) fn workflow(self) -> String {
        const AT_ONCE: &str = "0s";
        match self {
            Self::DispatcherOfAJob | Self::JobTrigger | Self::Sweeper => {
                workflows::alone(2, AT_ONCE)
            }
            Self::RunnerWithoutRetry => workflows::everything(1, AT_ONCE),
            Self::RunnerThatNobodyAnswers => workflows::hurried(2, AT_ONCE),
            _ => workflows::everything(2, AT_ONCE),
        }
    }

    /// Whether a call is one at which its process is killed on one side, in one form of the matrix.
    pub(crate) fn kills_at(self, call: &str, side: Side, extent: Extent) -> bool {
        if let Some(own) = self.own_calls()
            && !own.contains(&call)
        {
            return false;
        }
        // Deliveries are gone through in the scenarios of a single run.
        let is_of_a_delivery = call.contains("DLV#") || call.ends_with(" deliveries");
        if self == Self::DispatcherOfAJob && extent == Extent::Short && is_of_a_delivery {
            return false;
        }
        match (extent, side) {
            (Extent::Full, Side::Before) => !call.starts_with("SQS ReceiveMessage"),
            (Extent::Full, Side::After) => true,
            // Between a delivery's last read and its write is the POST, which no call of AWS stands for.
            (Extent::Short, Side::Before) => {
                self == Self::Deliverer && call.starts_with("DynamoDB PutItem DLV")
            }
            (Extent::Short, Side::After) => Call::is_effect(call),
        }
    }

    /// The call behind which the boundaries begin, in a scenario whose way begins like another one's.
    pub(crate) fn begins_after(self) -> Option<&'static str> {
        match self {
            Self::RunnerThatNobodyAnswers => Some("DynamoDB PutItem RUN AWAITING_USER_INPUT"),
            _ => None,
        }
    }

    /// The calls for which a scenario is there that is otherwise like another one, which has all others.
    fn own_calls(self) -> Option<&'static [&'static str]> {
        match self {
            Self::ApiThatCancelsAndRetries => Some(&[
                "DynamoDB GetItem RUN",
                "DynamoDB PutItem RUN FAILED",
                "DynamoDB BatchGetItem INPUT OUTPUT RUN",
                "DynamoDB TransactWriteItems IDEMPOTENCY RUN PENDING INPUT",
                "SQS SendMessage runs",
            ]),
            Self::RunnerAtTheLimit => Some(&[
                "DynamoDB GetItem RUN",
                "DynamoDB Query byStatus",
                "DynamoDB PutItem RUN PENDING",
                "SQS DeleteMessage runs",
            ]),
            Self::RunnerThatNobodyAnswers => Some(&[
                "DynamoDB PutItem RUN IN_PROGRESS",
                "DynamoDB PutItem RUN AWAITING_USER_INPUT",
                "DynamoDB PutItem RUN FAILED",
            ]),
            Self::DispatcherAtTheLimit => Some(&[
                "DynamoDB Query byStatus",
                "DynamoDB PutItem RUN PENDING",
                "SQS SendMessage runs",
                "DynamoDB UpdateItem RUN",
            ]),
            _ => None,
        }
    }

    /// The calls that must be among the boundaries, or the matrix has lost what it is for.
    pub(crate) fn must_cover(self) -> &'static [&'static str] {
        match self {
            Self::Api => &[
                "DynamoDB TransactWriteItems IDEMPOTENCY RUN PENDING INPUT",
                "SQS SendMessage runs",
                "DynamoDB TransactWriteItems RUN IN_PROGRESS ANSWER#",
            ],
            Self::ApiThatCancelsAndRetries => &[
                "DynamoDB PutItem RUN FAILED",
                "DynamoDB TransactWriteItems IDEMPOTENCY RUN PENDING INPUT",
                "SQS SendMessage runs",
            ],
            Self::RunnerWithRetry | Self::RunnerWithoutRetry => &[
                "SQS ReceiveMessage runs with a message",
                "DynamoDB PutItem RUN IN_PROGRESS",
                "SQS DeleteMessage runs",
                "DynamoDB PutItem LEASE",
                "DynamoDB PutItem RUN AWAITING_USER_INPUT",
                "DynamoDB DeleteItem ANSWER#",
                "S3 PutObject",
                "DynamoDB PutItem ARTIFACT",
                "DynamoDB PutItem ARTIFACT#",
                "DynamoDB PutItem OUTPUT",
                "DynamoDB PutItem RUN COMPLETED",
            ],
            Self::RunnerAtTheLimit => &["DynamoDB PutItem RUN PENDING", "SQS DeleteMessage runs"],
            Self::RunnerThatNobodyAnswers => &[
                "DynamoDB PutItem RUN IN_PROGRESS",
                "DynamoDB PutItem RUN AWAITING_USER_INPUT",
                "DynamoDB PutItem RUN FAILED",
            ],
            Self::Dispatcher | Self::DispatcherThatLosesRecords => &[
                "DynamoDB PutItem DLV#workflow_run.created",
                "DynamoDB PutItem DLV#workflow_run.awaiting_user_input",
                "DynamoDB PutItem DLV#workflow_run.completed",
                "SQS SendMessage deliveries",
                "DynamoDB UpdateItem RUN",
            ],
            Self::DispatcherOfAJob => &[
                "DynamoDB PutItem RUN PENDING",
                "SQS SendMessage runs",
                "DynamoDB PutItem JOBRUN IN_PROGRESS",
                "DynamoDB PutItem JOBRUN COMPLETED",
            ],
            Self::DispatcherAtTheLimit => &["DynamoDB PutItem RUN PENDING", "SQS SendMessage runs"],
            Self::Deliverer => &[
                "SQS ReceiveMessage deliveries with a message",
                "DynamoDB PutItem DLV#workflow_run.completed",
                "SQS DeleteMessage deliveries",
            ],
            Self::JobTrigger => &["DynamoDB TransactWriteItems OCCURRENCE# JOBRUN PENDING"],
            Self::Sweeper => &[
                "SQS SendMessage runs",
                "DynamoDB TransactWriteItems RUN PENDING LEASE",
                "DynamoDB TransactWriteItems RUN FAILED LEASE",
                "SQS SendMessage deliveries",
                "DynamoDB PutItem RUN PENDING",
                "DynamoDB PutItem RUN FAILED",
                "DynamoDB PutItem DLV#workflow_run.completed_with_no_action_taken",
                "DynamoDB PutItem JOBRUN PENDING",
                "DynamoDB UpdateItem RUN",
            ],
        }
    }
}
