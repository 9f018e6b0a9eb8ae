//! Errors as RFC 9457 problem documents, with a code from a closed list.
//!
//! What a caller reads says what they can do. What went wrong inside is logged once, here, and never shown.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use domain::definition::Rule;
use serde::Serialize;
use store::StoreError;
use utoipa::ToSchema;

pub use crate::code::Code;

/// One wrong field of a body, or one wrong parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldError {
    /// A JSON pointer (RFC 6901) into the body; `null` for a parameter.
    pub pointer: Option<String>,
    /// The name of the query parameter, if it is one.
    pub parameter: Option<String>,
    /// What is wrong with it.
    pub message: String,
    /// The rule of the workflow language that is broken, such as `unknown-step`; null for anything but definitions.
    pub rule: Option<Rule>,
    /// What was probably meant.
    pub suggestion: Option<String>,
    /// The line in a YAML body, from 1.
    pub line: Option<usize>,
    /// The column in a YAML body, from 1.
    pub column: Option<usize>,
}

impl FieldError {
    /// A wrong field of a body.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            pointer: Some(pointer.into()),
            message: message.into(),
            ..Self::default()
        }
    }

    /// A wrong query parameter.
    pub fn of_parameter(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            parameter: Some(name.into()),
            message: message.into(),
            ..Self::default()
        }
    }
}

/// A key of an object as a JSON pointer's token (RFC 6901, section 3).
pub(crate) fn pointer_token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// An answer that says why not.
#[derive(Debug, Clone)]
pub struct Problem {
    code: Code,
    detail: String,
    errors: Vec<FieldError>,
    retry_after_seconds: Option<u32>,
}

/// A problem document (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemView {
    /// Always `about:blank`: `code` tells the kinds apart.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    /// The same for every problem of the code.
    pub(crate) title: &'static str,
    /// The answer's status.
    pub(crate) status: u16,
    /// From the closed list.
    pub(crate) code: Code,
    /// What happened this time, for a person.
    pub(crate) detail: String,
    /// One entry for each wrong field or parameter; empty if none is to blame.
    pub(crate) errors: Vec<FieldError>,
}

impl Problem {
    /// A problem that no single field causes.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_seconds: None,
        }
    }

    /// A problem of some fields of the body.
    #[must_use]
    pub fn of_fields(errors: Vec<FieldError>) -> Self {
        Self::with_errors(Code::ValidationFailed, "fields", errors)
    }

    /// A problem of some query parameters.
    #[must_use]
    pub fn of_parameters(errors: Vec<FieldError>) -> Self {
        Self::with_errors(Code::InvalidParameter, "parameters", errors)
    }

    fn with_errors(code: Code, of_what: &str, errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [only] => match only.parameter.as_ref().or(only.pointer.as_ref()) {
                Some(place) if !place.is_empty() => format!("{place}: {}", only.message),
                _ => only.message.clone(),
            },
            several => format!("{} {of_what} are wrong; see errors", several.len()),
        };
        Self {
            errors,
            ..Self::new(code, detail)
        }
    }

    /// A resource that does not exist, or is another tenant's: nobody can tell the two apart.
    #[must_use]
    pub fn not_found(what: &str, id: impl std::fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("there is no {what} {id}"))
    }

    /// The cursor is not one that the list gave.
    pub(crate) fn invalid_cursor() -> Self {
        let detail =
            "the cursor is not one that this list gave for these filters; begin again without it";
        Self::new(Code::InvalidCursor, detail)
    }

    /// Something in here is broken; the cause has been logged.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(Code::Internal, "the failure has been recorded")
    }

    /// What is needed for the answer does not answer itself.
    #[must_use]
    pub fn unavailable() -> Self {
        Self {
            retry_after_seconds: Some(1),
            ..Self::new(Code::Unavailable, "try again in a moment")
        }
    }

    /// The organization has used up what it may do for now.
    #[must_use]
    pub fn rate_limited(detail: impl Into<String>, retry_after_seconds: u32) -> Self {
        Self {
            retry_after_seconds: Some(retry_after_seconds),
            ..Self::new(Code::RateLimited, detail)
        }
    }
}

#[cfg(test)]
impl Problem {
    /// The places in the body that are wrong.
    pub(crate) fn pointers(&self) -> Vec<&str> {
        let pointers = self.errors.iter().map(|error| error.pointer.as_deref());
        pointers.flatten().collect()
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        // The kinds differ in who can act: a busy store asks the caller to wait, the rest asks us to look.
        if error.is_transient() {
            tracing::warn!(%error, "The store can't be reached");
            return Self::unavailable();
        }
        tracing::error!(
            error = format!("{:#}", anyhow::Error::from(error)),
            "A request failed by a defect"
        );
        Self::internal()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let document = ProblemView {
            kind: "about:blank",
            title: self.code.title(),
            status: status.as_u16(),
            code: self.code,
            detail: self.detail,
            errors: self.errors,
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if self.code == Code::Unauthenticated {
            // RFC 9110, section 11.6.1: a 401 says how to authenticate.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

pub(crate) async fn no_such_path() -> Problem {
    Problem::new(Code::NoSuchPath, "the paths are listed in /openapi.json")
}

pub(crate) async fn no_such_method(method: axum::http::Method) -> Problem {
    Problem::new(
        Code::MethodNotAllowed,
        format!("{method} is not a method of this path"),
    )
}
