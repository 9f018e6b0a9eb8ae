//! The closed list of what can be wrong, as clients read it in `code`. docs/api.md explains each one.

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

macro_rules! codes {
    ($($(#[doc = $meaning:literal])+ $name:ident = $status:ident, $title:literal;)+) => {
        /// What kind of error it is. The list is closed: clients may match on it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        #[schema(as = ProblemCode)]
        pub enum Code {
            $($(#[doc = $meaning])+ $name,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The status of the answer.
            #[must_use]
            pub fn status(self) -> StatusCode {
                match self {
                    $(Self::$name => StatusCode::$status,)+
                }
            }

            /// The same for every problem of the code.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)+
                }
            }

            /// When it is answered.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($meaning),+).trim_ascii(),)+
                }
            }
        }
    };
}

codes! {
    /// The request is not well-formed; `detail` says what is wrong with it.
    BadRequest = BAD_REQUEST, "The request is not well-formed";
    /// The body is not JSON; `detail` has the line and the column.
    InvalidJson = BAD_REQUEST, "The body is not JSON";
    /// Some query parameters are wrong, not known, or don't go together; `errors` says which.
    InvalidParameter = BAD_REQUEST, "Some query parameters are wrong";
    /// The cursor is not one that this list gave for these filters.
    InvalidCursor = BAD_REQUEST, "The cursor belongs to another list";
    /// The request has no API key, or one that is not known.
    Unauthenticated = UNAUTHORIZED, "A known API key is needed";
    /// The role of the API key does not allow the call.
    Forbidden = FORBIDDEN, "The API key's role does not allow this";
    /// There is no such path.
    NoSuchPath = NOT_FOUND, "There is no such path";
    /// There is no such resource, or it is another organization's: nobody can tell the two apart.
    NotFound = NOT_FOUND, "There is no such resource";
    /// The path has no such method; `Allow` lists those that it has.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "The path has no such method";
    /// The run asks nobody, asks something else by now, or no longer waits.
    InputNotAwaited = CONFLICT, "The run does not wait for this answer";
    /// The run has ended; `detail` says as what.
    RunEnded = CONFLICT, "The run has ended";
    /// The run has not ended yet, and only a run that has can be retried.
    RunNotEnded = CONFLICT, "The run has not ended yet";
    /// The input of the run was deleted, and without it the run would be another one.
    RunInputGone = CONFLICT, "The run's input is gone";
    /// The workflow of the run was deleted.
    WorkflowDeleted = CONFLICT, "The workflow was deleted";
    /// The organization has as many API keys as it may have.
    TooManyApiKeys = CONFLICT, "There are too many API keys";
    /// The organization has as many webhook endpoints as it may have.
    TooManyWebhookEndpoints = CONFLICT, "There are too many webhook endpoints";
    /// It is the last API key with the role admin, and without one nobody could make another.
    LastAdminKey = CONFLICT, "The last admin key can't be deleted";
    /// The workflow is no longer the version that `If-Match` names.
    VersionChanged = PRECONDITION_FAILED, "The workflow has changed meanwhile";
    /// The body is longer than it may be.
    BodyTooLarge = PAYLOAD_TOO_LARGE, "The body is too large";
    /// The body has another media type than the call takes.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "The body has the wrong media type";
    /// Some fields of the body are wrong; `errors` says which, with a JSON pointer each.
    ValidationFailed = UNPROCESSABLE_ENTITY, "Some fields are wrong";
    /// The `Idempotency-Key` was used for another body within the last 24 hours.
    IdempotencyKeyReused = UNPROCESSABLE_ENTITY, "The idempotency key was used for another request";
    /// The organization has made more requests or runs than it may; `Retry-After` says when to ask again.
    RateLimited = TOO_MANY_REQUESTS, "Too many requests";
    /// A defect of the service. It has been recorded; `x-request-id` names the record.
    Internal = INTERNAL_SERVER_ERROR, "The service failed";
    /// The service can't answer for the moment; `Retry-After` says when to ask again.
    Unavailable = SERVICE_UNAVAILABLE, "The service can't answer for the moment";
}

impl Code {
    /// The word on the wire.
    #[must_use]
    pub fn word(self) -> String {
        let name = format!("{self:?}");
        let mut word = String::with_capacity(name.len() + 4);
        for c in name.chars() {
            if c.is_ascii_uppercase() && !word.is_empty() {
                word.push('_');
            }
            word.push(c.to_ascii_lowercase());
        }
        word
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn the_word_of_a_code_is_the_one_on_the_wire() {
        for code in Code::ALL {
            assert_eq!(serde_json::json!(code), code.word());
        }
    }
}
