//! API keys: made, listed, deleted. A key is shown once; only its hash is kept.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::{ApiKeyId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{ApiKey, CreatedApiKey, DeletedApiKey, MOST_API_KEYS, NewApiKey, Role, fresh_id, now};
use utoipa::ToSchema;

use crate::body::Body;
use crate::caller::Caller;
use crate::headers::IdempotencyKeyHeader;
use crate::page::{Page, PageRequest};
use crate::parameters::{PageParameters, Parameters};
use crate::problem::{FieldError, ProblemView};
use crate::segment::Segment;
use crate::{Api, Code, Problem, idempotency, request_log};

const LONGEST_NAME_CHARS: usize = 100;

/// What the holder of a key may do.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Role)]
pub(crate) enum RoleView {
    /// Read everything but the values of secrets.
    Viewer,
    /// Also create, cancel, retry and answer runs.
    Operator,
    /// Also change workflows, secrets, webhook endpoints and API keys.
    Admin,
}

/// An API key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CreateApiKey {
    /// What it is for: 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// What its holder may do.
    role: RoleView,
    /// The user whom what is created with the key is attributed to: 1 to 100 characters of your own.
    #[schema(min_length = 1, max_length = 100)]
    user_id: String,
}

/// An API key, without the key itself.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ApiKey)]
pub(crate) struct ApiKeyView {
    /// Its id, which is not the key.
    id: ApiKeyId,
    /// What it is for.
    name: String,
    /// What its holder may do.
    role: RoleView,
    /// The user whom what is created with it is attributed to.
    user_id: String,
    /// When it was made.
    created_at: Timestamp,
    /// When it was last used, to a quarter of an hour; null if it never was.
    last_used_at: Option<Timestamp>,
}

/// An API key that was just made.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CreatedApiKey)]
pub(crate) struct CreatedApiKeyView {
    #[serde(flatten)]
    api_key: ApiKeyView,
    /// The key, for the `Authorization` header. It is shown this once: null when the call is repeated with the same
    /// `Idempotency-Key`.
    key: Option<String>,
}

impl From<Role> for RoleView {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => Self::Viewer,
            Role::Operator => Self::Operator,
            Role::Admin => Self::Admin,
        }
    }
}

impl From<RoleView> for Role {
    fn from(role: RoleView) -> Self {
        match role {
            RoleView::Viewer => Self::Viewer,
            RoleView::Operator => Self::Operator,
            RoleView::Admin => Self::Admin,
        }
    }
}

/// Make an API key
///
/// The key is in the answer, once. Needs the role admin.
#[utoipa::path(
    post, path = "/api-keys", operation_id = "createApiKey", tag = "API keys",
    params(IdempotencyKeyHeader),
    request_body(content = CreateApiKey, content_type = "application/json"),
    responses(
        (status = 201, description = "The key was made.", body = CreatedApiKeyView),
        (status = 409, description = "`too_many_api_keys`: the organization has 100 keys.",
            body = ProblemView, content_type = "application/problem+json")
    )
)]
pub(crate) async fn create(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    caller.must_be(Role::Admin)?;
    let asked: CreateApiKey = body.json()?;
    check(&asked)?;
    let key = idempotency::key_of(&headers, &caller, "POST /api-keys", &body.bytes)?;
    let at = now();
    let new = NewApiKey {
        id: fresh_id(ApiKeyId::new, at),
        organization_id: caller.organization_id,
        name: asked.name,
        role: asked.role.into(),
        user_id: asked.user_id,
        created_at: at,
    };
    let body = match api.store.create_api_key(&new, key.as_ref()).await? {
        // Nothing is read: what goes wrong from here on would lose the key.
        CreatedApiKey::Created(text) => CreatedApiKeyView {
            api_key: ApiKeyView {
                id: new.id,
                name: new.name,
                role: new.role.into(),
                user_id: new.user_id,
                created_at: new.created_at,
                last_used_at: None,
            },
            key: Some(text.key),
        },
        CreatedApiKey::Replayed(replay) => {
            let id = idempotency::replayed(replay)?;
            let api_key = api.store.api_key_by_id(caller.organization_id, id).await?;
            let api_key = api_key.ok_or_else(|| Problem::not_found("API key", id))?;
            CreatedApiKeyView {
                api_key: view(api_key),
                key: None,
            }
        }
        CreatedApiKey::TooMany => {
            let detail =
                format!("an organization has at most {MOST_API_KEYS} API keys; delete some first");
            return Err(Problem::new(Code::TooManyApiKeys, detail));
        }
    };
    request_log::made("resource_id", body.api_key.id);
    // The body holds a credential: no cache may keep it.
    Ok((
        StatusCode::CREATED,
        [(header::CACHE_CONTROL, "no-store")],
        Json(body),
    )
        .into_response())
}

/// List API keys
///
/// Newest first; never with the keys themselves. Needs the role admin.
#[utoipa::path(
    get, path = "/api-keys", operation_id = "listApiKeys", tag = "API keys",
    params(PageParameters),
    responses((status = 200, description = "A page of API keys.", body = Page<ApiKeyView>))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Json<Page<ApiKeyView>>, Problem> {
    caller.must_be(Role::Admin)?;
    let asked = PageRequest::read(parameters, "api-keys".to_owned())?;
    let found = api
        .store
        .list_api_keys(caller.organization_id, asked.after, asked.limit)
        .await?;
    Ok(Json(asked.page(found, view)))
}

/// Delete an API key
///
/// It is refused from then on. Needs the role admin.
#[utoipa::path(
    delete, path = "/api-keys/{id}", operation_id = "deleteApiKey", tag = "API keys",
    params(("id" = ApiKeyId, Path, description = "The key's id, which is not the key.")),
    responses(
        (status = 204, description = "The key is gone."),
        (status = 409, description = "`last_admin_key`: it is the organization's last key with the role admin.",
            body = ProblemView, content_type = "application/problem+json")
    )
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
) -> Result<StatusCode, Problem> {
    caller.must_be(Role::Admin)?;
    let not_found = || Problem::not_found("API key", &id);
    let parsed: ApiKeyId = id.parse().map_err(|_| not_found())?;
    match api
        .store
        .delete_api_key(caller.organization_id, parsed)
        .await?
    {
        DeletedApiKey::Deleted => Ok(StatusCode::NO_CONTENT),
        DeletedApiKey::Absent => Err(not_found()),
        DeletedApiKey::LastAdmin => Err(Problem::new(
            Code::LastAdminKey,
            "without a key with the role admin, nobody could make another one",
        )),
    }
}

fn view(key: ApiKey) -> ApiKeyView {
    ApiKeyView {
        id: key.id,
        name: key.name,
        role: key.role.into(),
        user_id: key.user_id,
        created_at: key.created_at,
        last_used_at: key.last_used_at,
    }
}

fn check(asked: &CreateApiKey) -> Result<(), Problem> {
    let mut errors = Vec::new();
    for (pointer, text) in [("/name", &asked.name), ("/userId", &asked.user_id)] {
        if !(1..=LONGEST_NAME_CHARS).contains(&text.chars().count()) {
            let message = format!("must have 1 to {LONGEST_NAME_CHARS} characters");
            errors.push(FieldError::new(pointer, message));
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Problem::of_fields(errors))
    }
}
