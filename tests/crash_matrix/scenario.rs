//! What is killed, and on whose way.

use std::time::Duration;

use crate::chaos::roles::{Records, Role};
use crate::chaos::stage::Stage;

/// A way, and the process that is killed on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// A run is asked for, and its question answered; the API dies.
    Api,
    /// A runner dies with a run whose workflow says that it may be executed twice.
    RunnerWithRetry,
    /// A runner dies with a run that may be executed once.
    RunnerWithoutRetry,
    /// The dispatcher dies; the stream gives its records again.
    Dispatcher,
    /// The dispatcher dies, and what it had in hand is lost.
    DispatcherThatLosesRecords,
    /// The same with a job of two workflows.
    DispatcherOfAJob,
    /// The deliverer dies.
    Deliverer,
    /// The sweeper dies among debts of every kind.
    Sweeper,
}

/// A run that does everything that leaves something: uses a secret, asks, extracts, returns.
const EVERYTHING: &str = r#"
name: Everything
retry: { maxAttempts: ATTEMPTS }
input:
  type: object
  properties: { site: { type: string } }
  required: [site]
states:
  - name: signing_in
    steps:
      - goto: "{{ input.site }}/login"
      - fill: { label: Password, value: "{{ secrets.password }}" }
  - name: entering_code
    steps:
      - askUser: { prompt: Code sent to your phone, as: code, timeout: 5m }
      - fill: { label: Code, value: "{{ answers.code }}" }
  - name: extracting
    steps:
      - extract: { rows: tr, fields: { name: td }, as: people }
output: { count: "{{ people | length }}" }
"#;

/// A run that asks nobody.
pub(crate) const ALONE: &str = r#"
name: Alone
retry: { maxAttempts: 2 }
input:
  type: object
  properties: { site: { type: string } }
  required: [site]
states:
  - name: extracting
    steps:
      - goto: "{{ input.site }}/login"
      - extract: { rows: tr, fields: { name: td }, as: people }
output: { count: "{{ people | length }}" }
"#;

impl Scenario {
    pub(crate) const ALL: [Self; 8] = [
        Self::Api,
        Self::RunnerWithRetry,
        Self::RunnerWithoutRetry,
        Self::Dispatcher,
        Self::DispatcherThatLosesRecords,
        Self::DispatcherOfAJob,
        Self::Deliverer,
        Self::Sweeper,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::RunnerWithRetry => "runner with retry",
            Self::RunnerWithoutRetry => "runner without retry",
            Self::Dispatcher => "dispatcher",
            Self::DispatcherThatLosesRecords => "dispatcher that loses records",
            Self::DispatcherOfAJob => "dispatcher of a job",
            Self::Deliverer => "deliverer",
            Self::Sweeper => "sweeper",
        }
    }

    /// Whether the short form has it: that records come again is easier to bear than that they are lost.
    pub(crate) fn is_in_the_short_form(self) -> bool {
        self != Self::Dispatcher
    }

    /// The process that dies.
    pub(crate) fn victim(self, stage: &Stage, died: bool) -> Role {
        let dispatcher = |records| Role::Dispatcher {
            stream_arn: stage.stream_arn().to_owned(),
            records,
        };
        match self {
            Self::Api => Role::Api,
            Self::RunnerWithRetry | Self::RunnerWithoutRetry => Role::Runner,
            Self::DispatcherThatLosesRecords if died => dispatcher(Records::New),
            Self::Dispatcher | Self::DispatcherThatLosesRecords | Self::DispatcherOfAJob => {
                dispatcher(Records::All)
            }
            Self::Deliverer => Role::Deliverer,
            Self::Sweeper => Role::Sweeper {
                ahead: Duration::from_secs(61),
            },
        }
    }

    pub(crate) fn kills_the_runner(self) -> bool {
        matches!(self, Self::RunnerWithRetry | Self::RunnerWithoutRetry)
    }

    /// How often the run may be executed.
    pub(crate) fn max_attempts(self) -> u32 {
        if self == Self::RunnerWithoutRetry {
            1
        } else {
            2
        }
    }

    pub(crate) fn workflow(self) -> String {
        match self {
            Self::DispatcherOfAJob | Self::Sweeper => ALONE.to_owned(),
            _ => EVERYTHING.replace("ATTEMPTS", &self.max_attempts().to_string()),
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
            Self::Deliverer => &[
                "SQS ReceiveMessage deliveries with a message",
                "DynamoDB PutItem DLV#workflow_run.completed",
                "SQS DeleteMessage deliveries",
            ],
            Self::Sweeper => &[
                "SQS SendMessage runs",
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
