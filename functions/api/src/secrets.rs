//! Secrets: set, listed by name, deleted; never read back.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use domain::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Role, SecretSummary};
use utoipa::ToSchema;

use crate::body::Body;
use crate::caller::Caller;
use crate::page::{Page, PageRequest};
use crate::parameters::{PageParameters, Parameters};
use crate::problem::FieldError;
use crate::segment::Segment;
use crate::{Api, Code, Problem};

/// What KMS encrypts at most in one call.
const LONGEST_VALUE_BYTES: usize = 4096;

/// A secret's value.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SetSecret {
    /// 1 to 4096 bytes. Nobody can read it back but a worker that uses it.
    #[schema(min_length = 1, max_length = 4096)]
    value: String,
}

/// A secret as a list shows it: never with its value.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Secret)]
pub(crate) struct SecretView {
    /// What definitions and secret bindings call it.
    name: String,
    /// When its value was set.
    updated_at: Timestamp,
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

/// Set a secret
///
/// Creates the secret, or replaces its value; runs that begin later use the new one. Needs the role admin.
#[utoipa::path(
    put, path = "/secrets/{name}", operation_id = "setSecret", tag = "Secrets",
    params(("name" = String, Path, description = "1 to 64 letters, digits and underscores, the first one a letter.",
        pattern = "^[A-Za-z][A-Za-z0-9_]{0,63}$", example = "hr_password")),
    request_body(content = SetSecret, content_type = "application/json"),
    responses((status = 204, description = "The value is set."))
)]
pub(crate) async fn set(
    State(api): State<Api>,
    caller: Caller,
    Segment(name): Segment,
    body: Body,
) -> Result<StatusCode, Problem> {
    caller.must_be(Role::Admin)?;
    if !is_name(&name) {
        let detail =
            "a secret's name has 1 to 64 letters, digits and underscores, and begins with a letter";
        return Err(Problem::new(Code::BadRequest, detail));
    }
    let SetSecret { value } = body.json()?;
    if value.is_empty() || value.len() > LONGEST_VALUE_BYTES {
        let message = format!("a secret's value has 1 to {LONGEST_VALUE_BYTES} bytes");
        return Err(Problem::of_fields(vec![FieldError::new("/value", message)]));
    }
    api.store
        .put_secret(caller.organization_id, &name, &value)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List secrets
///
/// Their names, in alphabetical order. Values can't be read.
#[utoipa::path(
    get, path = "/secrets", operation_id = "listSecrets", tag = "Secrets",
    params(PageParameters),
    responses((status = 200, description = "A page of secrets.", body = Page<SecretView>))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Json<Page<SecretView>>, Problem> {
    let asked = PageRequest::<String>::read(parameters, "secrets".to_owned())?;
    // A cursor can be forged, since nothing depends on it; but a key of the table has a longest length.
    if asked.after.as_deref().is_some_and(|name| !is_name(name)) {
        return Err(Problem::invalid_cursor());
    }
    let found = api
        .store
        .list_secrets(caller.organization_id, asked.after.as_deref(), asked.limit)
        .await?;
    Ok(Json(asked.page(found, |secret: SecretSummary| {
        SecretView {
            name: secret.name,
            updated_at: secret.updated_at,
        }
    })))
}

/// Delete a secret
///
/// Runs that begin later and need it will fail. Needs the role admin.
#[utoipa::path(
    delete, path = "/secrets/{name}", operation_id = "deleteSecret", tag = "Secrets",
    params(("name" = String, Path, description = "The secret's name.", example = "hr_password")),
    responses((status = 204, description = "The secret is gone."))
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Segment(name): Segment,
) -> Result<StatusCode, Problem> {
    caller.must_be(Role::Admin)?;
    let is_deleted = is_name(&name)
        && api
            .store
            .delete_secret(caller.organization_id, &name)
            .await?;
    if is_deleted {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("secret", name))
    }
}
