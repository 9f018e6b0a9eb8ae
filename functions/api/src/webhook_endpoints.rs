//! Webhook endpoints: register.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::webhook::EventType;
use domain::{Timestamp, WebhookEndpointId};
use platform::guarded_http::GuardedClient;
use platform::webhook_signature::Secret;
use serde::{Deserialize, Serialize};
use store::{
    CreatedWebhookEndpoint, MOST_WEBHOOK_ENDPOINTS, NewWebhookEndpoint, Role, WebhookEndpoint,
    fresh_id, now,
};
use url::Url;
use utoipa::ToSchema;

use crate::body::Body;
use crate::caller::Caller;
use crate::headers::IdempotencyKeyHeader;
use crate::problem::{FieldError, ProblemView};
use crate::{Api, Code, Problem, idempotency, request_log};

const LONGEST_URL: usize = 2048;
const LONGEST_DESCRIPTION_CHARS: usize = 256;

/// A webhook endpoint to be registered.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = CreateWebhookEndpoint)]
pub(crate) struct CreateEndpoint {
    /// Where events are posted to: an https URL of a public host, without user and password, of at most 2048 bytes.
    #[schema(format = Uri, max_length = 2048)]
    url: String,
    /// Which events it gets; by default those of runs that end or ask somebody.
    #[schema(min_items = 1)]
    event_types: Option<Vec<EventType>>,
    /// A note of your own, at most 256 characters.
    #[schema(max_length = 256)]
    description: Option<String>,
}

/// A webhook endpoint that was just registered.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CreatedWebhookEndpoint)]
pub(crate) struct EndpointView {
    /// Its id.
    id: WebhookEndpointId,
    /// Where events are posted to.
    url: String,
    /// Which events it gets.
    event_types: Vec<EventType>,
    /// Your note.
    description: Option<String>,
    /// Whether it gets events.
    enabled: bool,
    /// When it was registered.
    created_at: Timestamp,
    /// What signatures are made with (Standard Webhooks). It is shown this once: null when the call is repeated with
    /// the same `Idempotency-Key`.
    secret: Option<String>,
}

/// Register a webhook endpoint
///
/// The secret that signatures are made with is in the answer, once. Needs the role admin.
#[utoipa::path(
    post, path = "/webhook-endpoints", operation_id = "createWebhookEndpoint", tag = "Webhook endpoints",
    params(IdempotencyKeyHeader),
    request_body(content = CreateEndpoint, content_type = "application/json"),
    responses(
        (status = 201, description = "The endpoint was registered.", body = EndpointView),
        (status = 409, description = "`too_many_webhook_endpoints`: the organization has 20 endpoints that are enabled.",
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
    let asked: CreateEndpoint = body.json()?;
    check(&api, &asked)?;
    let key = idempotency::key_of(&headers, &caller, "POST /webhook-endpoints", &body.bytes)?;
    let at = now();
    let mut event_types = asked
        .event_types
        .unwrap_or_else(|| EventType::DEFAULT.to_vec());
    event_types.sort_unstable();
    event_types.dedup();
    let new = NewWebhookEndpoint {
        id: fresh_id(WebhookEndpointId::new, at),
        organization_id: caller.organization_id,
        url: asked.url,
        event_types,
        description: asked.description,
        created_at: at,
    };
    let secret = Secret::generate().map_err(|error| {
        tracing::error!(%error, "The operating system gives no randomness");
        Problem::internal()
    })?;
    let secret = secret.reveal();
    let created = api
        .store
        .create_webhook_endpoint(&new, &secret, key.as_ref())
        .await?;
    let view = match created {
        // Nothing is read: what goes wrong from here on would lose the secret.
        CreatedWebhookEndpoint::Created => EndpointView {
            id: new.id,
            url: new.url,
            event_types: new.event_types,
            description: new.description,
            enabled: true,
            created_at: new.created_at,
            secret: Some(secret),
        },
        CreatedWebhookEndpoint::Replayed(replay) => {
            let id = idempotency::replayed(replay)?;
            let endpoint = api.store.webhook_endpoint(caller.organization_id, id);
            let endpoint = endpoint.await?;
            without_secret(endpoint.ok_or_else(|| Problem::not_found("webhook endpoint", id))?)
        }
        CreatedWebhookEndpoint::TooMany => {
            let detail =
                format!("an organization has at most {MOST_WEBHOOK_ENDPOINTS} webhook endpoints");
            return Err(Problem::new(Code::TooManyWebhookEndpoints, detail));
        }
    };
    request_log::made("endpoint_id", view.id);
    // The body holds a credential: no cache may keep it.
    Ok((
        StatusCode::CREATED,
        [(header::CACHE_CONTROL, "no-store")],
        Json(view),
    )
        .into_response())
}

fn without_secret(endpoint: WebhookEndpoint) -> EndpointView {
    EndpointView {
        id: endpoint.id,
        url: endpoint.url,
        event_types: endpoint.event_types,
        description: endpoint.description,
        enabled: endpoint.enabled,
        created_at: endpoint.created_at,
        secret: None,
    }
}

fn check(api: &Api, asked: &CreateEndpoint) -> Result<(), Problem> {
    let mut errors = Vec::new();
    match Url::parse(&asked.url) {
        Err(error) => errors.push(FieldError::new("/url", format!("this is no URL: {error}"))),
        Ok(_) if asked.url.len() > LONGEST_URL => {
            errors.push(FieldError::new(
                "/url",
                format!("a URL has at most {LONGEST_URL} bytes"),
            ));
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            errors.push(FieldError::new(
                "/url",
                "a URL has no user and no password: a webhook's signature says who sent it",
            ));
        }
        // What the name resolves to is checked at each delivery; this refuses what can never be delivered.
        Ok(url) => {
            if let Err(error) = GuardedClient::check_url(api.allow_addresses, &url) {
                errors.push(FieldError::new("/url", error.to_string()));
            }
        }
    }
    if asked.event_types.as_ref().is_some_and(Vec::is_empty) {
        errors.push(FieldError::new(
            "/eventTypes",
            "name at least one type, or leave it out for the default",
        ));
    }
    if asked
        .description
        .as_ref()
        .is_some_and(|text| text.chars().count() > LONGEST_DESCRIPTION_CHARS)
    {
        let message = format!("a description has at most {LONGEST_DESCRIPTION_CHARS} characters");
        errors.push(FieldError::new("/description", message));
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Problem::of_fields(errors))
    }
}
