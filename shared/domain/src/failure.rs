//! Why a run could not complete: a closed list of codes, and the failure that a run carries.

use serde::{Deserialize, Serialize};

/// Why a run ended as `FAILED`. The list is closed: clients may match on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FailureCode {
    /// Somebody cancelled the run.
    Canceled,
    /// The worker that executed the run stopped renewing its lease.
    WorkerLost,
    /// The run used up its working time. Waiting for a person does not count.
    DeadlineExceeded,
    /// No worker took the run within its time in the queue.
    QueueTimeout,
    /// Nobody answered an input request in time.
    UserInputTimeout,
    /// The site refused what the person had answered, as often as the workflow allows.
    UserInputRejected,
    /// No element matched a locator in time, or too many did.
    ElementNotFound,
    /// An element was there, but could not be acted on in time.
    ElementNotActionable,
    /// A page could not be opened.
    NavigationFailed,
    /// An `assert` step, or a `waitFor` step, did not see what it names.
    AssertionFailed,
    /// Records could not be read from the page.
    ExtractionFailed,
    /// A download did not arrive whole.
    DownloadFailed,
    /// The browser or its page died.
    BrowserCrashed,
    /// The run wanted to go to an address that is not allowed.
    AddressBlocked,
    /// A `fail` step ended the run; its own code is in `customCode`.
    WorkflowFailed,
    /// The workflow asks for something that the run does not have, or an expression failed.
    WorkflowInvalid,
    /// The job run stopped before this run's turn came.
    JobRunStopped,
    /// A defect of the service. The message says nothing internal; the logs do.
    Internal,
}

impl FailureCode {
    /// The word on the wire and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Canceled => "CANCELED",
            Self::WorkerLost => "WORKER_LOST",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::QueueTimeout => "QUEUE_TIMEOUT",
            Self::UserInputTimeout => "USER_INPUT_TIMEOUT",
            Self::UserInputRejected => "USER_INPUT_REJECTED",
            Self::ElementNotFound => "ELEMENT_NOT_FOUND",
            Self::ElementNotActionable => "ELEMENT_NOT_ACTIONABLE",
            Self::NavigationFailed => "NAVIGATION_FAILED",
            Self::AssertionFailed => "ASSERTION_FAILED",
            Self::ExtractionFailed => "EXTRACTION_FAILED",
            Self::DownloadFailed => "DOWNLOAD_FAILED",
            Self::BrowserCrashed => "BROWSER_CRASHED",
            Self::AddressBlocked => "ADDRESS_BLOCKED",
            Self::WorkflowFailed => "WORKFLOW_FAILED",
            Self::WorkflowInvalid => "WORKFLOW_INVALID",
            Self::JobRunStopped => "JOB_RUN_STOPPED",
            Self::Internal => "INTERNAL",
        }
    }
}

/// What a run that `FAILED` says about it, on the wire as it is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// From the closed list.
    pub code: FailureCode,
    /// For a person: what was awaited, and what was there instead. Never holds a secret.
    pub message: String,
    /// The state in which it failed, if one had begun.
    pub state: Option<String>,
    /// The step that failed, such as `signing_in/steps/2 (click)`.
    pub step: Option<String>,
    /// Whether the same run, created again, may succeed.
    pub retryable: bool,
    /// The code of a `fail` step.
    pub custom_code: Option<String>,
}

impl Failure {
    /// A failure that no state or step caused.
    #[must_use]
    pub fn outside_of_steps(code: FailureCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            state: None,
            step: None,
            retryable: false,
            custom_code: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FailureCode;

    #[test]
    fn the_word_of_a_code_is_the_one_on_the_wire() {
        let named = |code: FailureCode| serde_json::from_value(code.as_str().into());
        assert_eq!(
            named(FailureCode::Canceled).ok(),
            Some(FailureCode::Canceled)
        );
        assert_eq!(
            named(FailureCode::WorkerLost).ok(),
            Some(FailureCode::WorkerLost)
        );
        assert_eq!(
            named(FailureCode::DeadlineExceeded).ok(),
            Some(FailureCode::DeadlineExceeded)
        );
        assert_eq!(
            named(FailureCode::QueueTimeout).ok(),
            Some(FailureCode::QueueTimeout)
        );
        assert_eq!(
            named(FailureCode::UserInputTimeout).ok(),
            Some(FailureCode::UserInputTimeout)
        );
        assert_eq!(
            named(FailureCode::UserInputRejected).ok(),
            Some(FailureCode::UserInputRejected)
        );
        assert_eq!(
            named(FailureCode::ElementNotFound).ok(),
            Some(FailureCode::ElementNotFound)
        );
        assert_eq!(
            named(FailureCode::ElementNotActionable).ok(),
            Some(FailureCode::ElementNotActionable)
        );
        assert_eq!(
            named(FailureCode::NavigationFailed).ok(),
            Some(FailureCode::NavigationFailed)
        );
        assert_eq!(
            named(FailureCode::AssertionFailed).ok(),
            Some(FailureCode::AssertionFailed)
        );
        assert_eq!(
            named(FailureCode::ExtractionFailed).ok(),
            Some(FailureCode::ExtractionFailed)
        );
        assert_eq!(
            named(FailureCode::DownloadFailed).ok(),
            Some(FailureCode::DownloadFailed)
        );
        assert_eq!(
            named(FailureCode::BrowserCrashed).ok(),
            Some(FailureCode::BrowserCrashed)
        );
        assert_eq!(
            named(FailureCode::AddressBlocked).ok(),
            Some(FailureCode::AddressBlocked)
        );
        assert_eq!(
            named(FailureCode::WorkflowFailed).ok(),
            Some(FailureCode::WorkflowFailed)
        );
        assert_eq!(
            named(FailureCode::WorkflowInvalid).ok(),
            Some(FailureCode::WorkflowInvalid)
        );
        assert_eq!(
            named(FailureCode::JobRunStopped).ok(),
            Some(FailureCode::JobRunStopped)
        );
        assert_eq!(
            named(FailureCode::Internal).ok(),
            Some(FailureCode::Internal)
        );
    }
}
