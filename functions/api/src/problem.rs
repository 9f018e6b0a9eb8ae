//! Errors as RFC 9457 problem documents, with a code from a closed list.
//!
//! What a caller reads says what they can do. What went wrong inside is logged once, here, and never shown.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use store::StoreError;

/// What kind of error it is. The list is closed and documented in docs/api.md: clients may match on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The request is not well-formed.
    BadRequest,
    /// The body is not JSON.
    InvalidJson,
    /// No key, or one that is not known.
    Unauthenticated,
    /// The key's role does not allow it.
    Forbidden,
    /// There is no such path.
    NoSuchPath,
    /// The path has no such method.
    MethodNotAllowed,
    /// There is no such resource, or it is another tenant's.
    NotFound,
    /// The body is longer than it may be.
    BodyTooLarge,
    /// The body has another media type than the call takes.
    UnsupportedMediaType,
    /// Some fields are wrong; `errors` says which.
    ValidationFailed,
    /// The idempotency key was used for another body.
    IdempotencyKeyReused,
    /// The run does not wait for this answer.
    InputNotAwaited,
    /// The run has ended.
    RunEnded,
    /// The run has not ended yet.
    RunNotEnded,
    /// The service can't answer for the moment.
    Unavailable,
    /// A defect of the service.
    Internal,
}

impl Code {
    fn status(self) -> StatusCode {
        match self {
            Self::BadRequest | Self::InvalidJson => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NoSuchPath | Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::ValidationFailed | Self::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::InputNotAwaited | Self::RunEnded | Self::RunNotEnded => StatusCode::CONFLICT,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::BadRequest => "The request is not well-formed",
            Self::InvalidJson => "The body is not JSON",
            Self::Unauthenticated => "A known API key is needed",
            Self::Forbidden => "The API key's role does not allow this",
            Self::NoSuchPath => "There is no such path",
            Self::MethodNotAllowed => "The path has no such method",
            Self::NotFound => "There is no such resource",
            Self::BodyTooLarge => "The body is too large",
            Self::UnsupportedMediaType => "The body has the wrong media type",
            Self::ValidationFailed => "Some fields are wrong",
            Self::IdempotencyKeyReused => "The idempotency key was used for another request",
            Self::InputNotAwaited => "The run does not wait for this answer",
            Self::RunEnded => "The run has ended",
            Self::RunNotEnded => "The run has not ended yet",
            Self::Unavailable => "The service can't answer for the moment",
            Self::Internal => "The service failed",
        }
    }
}

/// One wrong field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldError {
    /// A JSON pointer (RFC 6901) into the body.
    pub pointer: String,
    /// What is wrong with it.
    pub message: String,
    /// What was probably meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
    /// The line in a YAML body, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column in a YAML body, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
}

impl FieldError {
    /// A wrong field of a JSON body.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            message: message.into(),
            suggestion: None,
            line: None,
            column: None,
        }
    }
}

/// An answer that says why not.
#[derive(Debug, Clone)]
pub struct Problem {
    code: Code,
    detail: String,
    errors: Vec<FieldError>,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    code: Code,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl Problem {
    /// A problem that no single field causes.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
        }
    }

    /// A problem of some fields.
    #[must_use]
    pub fn of_fields(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [only] if only.pointer.is_empty() => only.message.clone(),
            [only] => format!("{}: {}", only.pointer, only.message),
            several => format!("{} fields are wrong; see errors", several.len()),
        };
        Self {
            code: Code::ValidationFailed,
            detail,
            errors,
        }
    }

    /// A resource that does not exist, or is another tenant's: nobody can tell the two apart.
    #[must_use]
    pub fn not_found(what: &str, id: &str) -> Self {
        Self::new(Code::NotFound, format!("there is no {what} {id}"))
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        // The kinds differ in who can act: a busy store asks the caller to wait, the rest asks us to look.
        if error.is_transient() {
            tracing::warn!(%error, "The store can't be reached");
            return Self::new(Code::Unavailable, "try again in a moment");
        }
        tracing::error!(
            error = format!("{:#}", anyhow::Error::from(error)),
            "A request failed by a defect"
        );
        Self::new(Code::Internal, "the failure has been recorded")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let document = Document {
            kind: "about:blank",
            title: self.code.title(),
            status: status.as_u16(),
            code: self.code,
            detail: &self.detail,
            errors: &self.errors,
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        match self.code {
            // RFC 9110, section 11.6.1: a 401 says how to authenticate.
            Code::Unauthenticated => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Code::Unavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

pub(crate) async fn no_such_path() -> Problem {
    Problem::new(Code::NoSuchPath, "the paths are listed in docs/api.md")
}

pub(crate) async fn no_such_method(method: axum::http::Method) -> Problem {
    Problem::new(
        Code::MethodNotAllowed,
        format!("{method} is not a method of this path"),
    )
}
