//! What can go wrong with the store, named by what the caller does next.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};

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
    pub(crate) fn from_sdk<E>(operation: &'static str, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::fmt::Debug,
    {
        // A 5xx is the service's own failure whatever it calls it, and 429 says so itself; a proxy or a load balancer in
        // between gives neither a code nor a message.
        let is_theirs = error.raw_response().is_some_and(|response| {
            let status = response.status();
            status.is_server_error() || status.as_u16() == 429
        });
        let Some(service) = error.as_service_error() else {
            return Self::Busy {
                operation,
                reason: connection_reason(error),
            };
        };
        let code = service.code().unwrap_or("no code");
        let reason = format!("{code}: {}", service.message().unwrap_or("no message"));
        // What the SDK itself tries again (`aws_runtime::retries::classifiers`), and what it leaves to its caller.
        match code {
            "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "TooManyRequestsException"
            | "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "BandwidthLimitExceeded"
            | "PriorRequestNotComplete"
            | "RequestTimeout"
            | "RequestTimeoutException"
            | "TransactionInProgressException"
            | "TransactionConflictException"
            | "InternalServerError"
            | "InternalError"
            | "ServiceUnavailable"
            | "SlowDown"
            | "KMSInternalException"
            | "DependencyTimeoutException" => Self::Busy { operation, reason },
            _ if is_theirs => Self::Busy { operation, reason },
            _ => Self::Fault { operation, reason },
        }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }
}

/// What came of an update that is to do nothing where its condition does not hold.
pub(crate) fn updated_or_not(
    answer: Result<UpdateItemOutput, SdkError<UpdateItemError>>,
) -> Result<()> {
    match answer {
        Ok(_) => Ok(()),
        Err(error) => match error.as_service_error() {
            Some(failed) if failed.is_conditional_check_failed_exception() => Ok(()),
            _ => Err(StoreError::from_sdk("UpdateItem", &error)),
        },
    }
}

fn connection_reason<E>(error: &SdkError<E>) -> String {
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

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::config::http::HttpResponse;
    use aws_sdk_dynamodb::error::ErrorMetadata;
    use aws_sdk_dynamodb::operation::put_item::PutItemError;
    use aws_sdk_s3::primitives::SdkBody;

    use super::*;

    fn sorted(status: u16, code: Option<&str>) -> StoreError {
        let mut metadata = ErrorMetadata::builder();
        if let Some(code) = code {
            metadata = metadata.code(code);
        }
        let status = status.try_into().expect("a status");
        let response = HttpResponse::new(status, SdkBody::empty());
        let error = SdkError::service_error(PutItemError::generic(metadata.build()), response);
        StoreError::from_sdk("PutItem", &error)
    }

    #[test]
    fn what_is_aws_s_own_failure_may_pass_and_what_it_refuses_does_not() {
        for (status, code) in [
            (503, None),
            (502, Some("BadGateway")),
            (429, None),
            (400, Some("ThrottlingException")),
            // What S3 says of an upload that came too slowly for it, and KMS or SQS of too many requests.
            (400, Some("RequestTimeout")),
            (400, Some("TooManyRequestsException")),
        ] {
            assert!(sorted(status, code).is_transient(), "{status} {code:?}");
        }
        for (status, code) in [(400, Some("ValidationException")), (403, None)] {
            assert!(!sorted(status, code).is_transient(), "{status} {code:?}");
        }
    }
}
