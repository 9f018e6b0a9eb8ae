//! Headers that several calls take or give, as the published description names them.

use axum::http::{HeaderMap, HeaderName, header};
use utoipa::IntoParams;

/// The header of every call that creates something.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it only describes the header")]
pub(crate) struct IdempotencyKeyHeader {
    /// Makes the call safe to repeat: for 24 hours, the same key with the same body gives the same resource, and with
    /// another body is refused.
    #[param(
        min_length = 1,
        max_length = 255,
        pattern = "^[ -~]*$",
        example = "create-roster-2026-11"
    )]
    #[param(rename = "Idempotency-Key")]
    idempotency_key: Option<String>,
}

/// What `If-Match` asks of the version that there is.
pub(crate) enum Precondition {
    /// `*`: whatever it is.
    AnyVersion,
    /// It is the one that is named.
    ThisVersion,
    /// It is another one.
    Other,
}

/// Reads `If-Match` (RFC 9110, section 13.1.1), which compares strongly: a weak tag is never the same.
pub(crate) fn precondition(headers: &HeaderMap, tag: &str) -> Precondition {
    let mut result = Precondition::Other;
    for given in tags(headers, header::IF_MATCH) {
        match given {
            "*" => return Precondition::AnyVersion,
            _ if given == tag => result = Precondition::ThisVersion,
            _ => {}
        }
    }
    result
}

/// Whether the client has what this tag names already: `If-None-Match` (RFC 9110, section 13.1.2), which compares weakly.
pub(crate) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    tags(headers, header::IF_NONE_MATCH)
        .any(|given| given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag)
}

fn tags(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|tags| tags.split(','))
        .map(str::trim)
}
