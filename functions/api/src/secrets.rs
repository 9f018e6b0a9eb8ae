//! Secrets: set, never read back.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use store::Role;

use crate::body::Body;
use crate::caller::Caller;
use crate::problem::FieldError;
use crate::segment::Segment;
use crate::{Api, Problem};

/// What KMS encrypts at most in one call.
const LONGEST_VALUE_BYTES: usize = 4096;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SetSecret {
    value: String,
}

/// Whether a text is a name as the workflow language has them: `hr_user`.
pub(crate) fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && text.len() <= 64
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `PUT /secrets/{name}`.
pub(crate) async fn set(
    State(api): State<Api>,
    caller: Caller,
    Segment(name): Segment,
    body: Body,
) -> Result<StatusCode, Problem> {
    caller.must_be(Role::Admin)?;
    let SetSecret { value } = body.json()?;
    if !is_name(&name) {
        let message =
            "a secret's name has 1 to 64 letters, digits and underscores, and begins with a letter";
        return Err(Problem::of_fields(vec![FieldError::new("", message)]));
    }
    if value.is_empty() || value.len() > LONGEST_VALUE_BYTES {
        let message = format!("a secret's value has 1 to {LONGEST_VALUE_BYTES} bytes");
        return Err(Problem::of_fields(vec![FieldError::new("/value", message)]));
    }
    api.store
        .put_secret(caller.organization_id, &name, &value)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
