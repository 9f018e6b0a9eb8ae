//! What stops a run, and how an error of the browser becomes a failure that a person understands.

use browser::Error;
use domain::FailureCode;
use domain::definition::EvaluationError;

use crate::host::Interrupted;

/// Why the run does not go on to its next step.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It found nothing to do.
    NoAction { reason: String },
    /// It failed.
    Failed(Fault),
    /// It must not go on here.
    Interrupted(Interrupted),
}

/// A failure before it is known where it happened.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) code: FailureCode,
    pub(crate) message: String,
    pub(crate) retryable: bool,
    pub(crate) custom_code: Option<String>,
    /// Whether a person needs to know on which page it happened.
    pub(crate) is_about_page: bool,
    /// Which of the limits around was exceeded, until the step that has it as its own has ended.
    pub(crate) exceeded: Option<usize>,
}

impl Fault {
    /// A failure that comes again if the run is executed again.
    pub(crate) fn lasting(code: FailureCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retryable: false,
            custom_code: None,
            is_about_page: false,
            exceeded: None,
        }
    }

    /// A failure that may have gone by then.
    pub(crate) fn passing(code: FailureCode, message: impl Into<String>) -> Self {
        Self {
            retryable: true,
            ..Self::lasting(code, message)
        }
    }

    /// What an error of the browser means, with the code that a time-out has for this step.
    pub(crate) fn from_browser(error: &Error, timed_out: FailureCode) -> Self {
        let message = error.to_string();
        let fault = match error {
            Error::Closed | Error::Crashed | Error::NoExecutable { .. } | Error::Launch { .. } => {
                Self::passing(FailureCode::BrowserCrashed, message)
            }
            Error::TimedOut { .. } => Self::passing(timed_out, message),
            // The site did that: the browser lives, and other tabs of it, and doing the same again would end the same way.
            Error::Detached => {
                let message = "the tab was closed; `tab: close` goes on in the one before";
                Self::lasting(FailureCode::ElementNotActionable, message)
            }
            Error::NotFound { .. } => Self::passing(FailureCode::ElementNotFound, message),
            Error::Ambiguous { .. } => Self::lasting(FailureCode::ElementNotFound, message),
            Error::NotActionable { .. } | Error::DocumentReplaced => {
                Self::passing(FailureCode::ElementNotActionable, message)
            }
            Error::Navigation { .. } => Self::passing(FailureCode::NavigationFailed, message),
            Error::OriginRefused { origin } => {
                let message = format!(
                    "the page led to {origin}, which is not among the workflow's allowedOrigins; \
                     add it there if runs may go to it"
                );
                Self::lasting(FailureCode::AddressBlocked, message)
            }
            Error::Download { .. } => Self::passing(FailureCode::DownloadFailed, message),
            Error::DownloadExcess { .. } => Self::lasting(FailureCode::DownloadFailed, message),
            Error::BadSelector { .. } | Error::Script { .. } => {
                Self::lasting(FailureCode::WorkflowInvalid, message)
            }
            _ => {
                tracing::error!(%error, "the browser refused a call");
                Self::passing(FailureCode::Internal, "the browser refused a call")
            }
        };
        let is_about_page = matches!(
            error,
            Error::TimedOut { .. }
                | Error::NotFound { .. }
                | Error::Ambiguous { .. }
                | Error::NotActionable { .. }
        );
        Self {
            is_about_page,
            ..fault
        }
    }

    /// Whether the run can go on after it, if the workflow says so.
    pub(crate) fn can_be_passed_over(&self) -> bool {
        let is_for_nobody = matches!(
            self.code,
            FailureCode::BrowserCrashed | FailureCode::Internal
        );
        // The time of a state, or of a group around, is no matter of a step in it.
        !is_for_nobody && self.exceeded.is_none()
    }

    /// Whether doing the same again can help.
    pub(crate) fn can_be_retried(&self) -> bool {
        match self.code {
            FailureCode::DownloadFailed | FailureCode::NavigationFailed => self.retryable,
            FailureCode::AssertionFailed
            | FailureCode::ElementNotActionable
            | FailureCode::ElementNotFound
            | FailureCode::ExtractionFailed => true,
            _ => false,
        }
    }

    /// Whether the browser can't be used any more.
    pub(crate) fn is_the_browsers_end(&self) -> bool {
        self.code == FailureCode::BrowserCrashed
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

impl From<Interrupted> for Stop {
    fn from(interrupted: Interrupted) -> Self {
        Self::Interrupted(interrupted)
    }
}

impl From<EvaluationError> for Stop {
    fn from(error: EvaluationError) -> Self {
        Self::Failed(Fault::lasting(
            FailureCode::WorkflowInvalid,
            error.to_string(),
        ))
    }
}
