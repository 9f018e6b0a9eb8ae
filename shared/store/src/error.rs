//! What can go wrong with the store, named by what the caller does next.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// An answer of the store.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// AWS is throttling, slow or away: the same call may succeed later.
    #[error("{operation} did not get through ({reason}); it may later")]
    Busy {
        /// What was called.
        operation: &'static str,
        /// What AWS said, or what became of the connection.
        reason: String,
    },
    /// What is stored can't be read back. Somebody must look at it.
    #[error("{what} can't be read: {reason}")]
    Corrupt {
        /// Which item.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// AWS refused the call; the same call will be refused again.
    #[error("{operation} was refused: {reason}")]
    Fault {
        /// What was called.
        operation: &'static str,
        /// What AWS said.
        reason: String,
    },
    /// A resource that this process was not told of.
    #[error("a resource is not named in this process's environment")]
    NotConfigured(#[from] platform::configuration::SettingError),
}

impl StoreError {
    /// Sorts an SDK's error by what the caller can do about it.
    pub(crate) fn from_sdk<E, R>(operation: &'static str, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + std::fmt::Debug,
        R: std::fmt::Debug,
    {
        let Some(service) = error.as_service_error() else {
            return Self::Busy {
                operation,
                reason: connection_reason(error),
            };
        };
        let code = service.code().unwrap_or("no code");
        let reason = format!("{code}: {}", service.message().unwrap_or("no message"));
        match code {
            "ProvisionedThroughputExceededException"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "RequestThrottled"
            | "TransactionInProgressException"
            | "TransactionConflictException"
            | "InternalServerError"
            | "InternalError"
            | "ServiceUnavailable"
            | "SlowDown"
            | "KMSInternalException"
            | "DependencyTimeoutException" => Self::Busy { operation, reason },
            _ => Self::Fault { operation, reason },
        }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }
}

fn connection_reason<E, R>(error: &SdkError<E, R>) -> String {
    match error {
        SdkError::TimeoutError(_) => "timed out".to_owned(),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => "timed out".to_owned(),
        SdkError::DispatchFailure(failure) => {
            let cause = failure
                .as_connector_error()
                .map(ToString::to_string)
                .unwrap_or_default();
            format!("no connection: {cause}")
        }
        SdkError::ResponseError(_) => "the answer can't be read".to_owned(),
        SdkError::ConstructionFailure(_) => "the request can't be built".to_owned(),
        _ => "unknown".to_owned(),
    }
}
