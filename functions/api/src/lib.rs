//! The HTTP API: one axum router, served by `lambda_http` on AWS and directly on one machine.
//!
//! A handler reads the tenant from the caller's key, and gives it to every read of the store. It never drives a
//! browser and never contacts a customer's server.

mod artifacts;
mod body;
mod caller;
mod idempotency;
mod input_schema;
mod problem;
mod request_log;
mod runs;
mod secrets;
mod segment;
mod user_input;
mod webhook_endpoints;
mod workflows;

use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use platform::addresses::AllowAddresses;
use store::Store;

pub use problem::{Code, Problem};

/// The longest body that a request may have, in bytes.
pub const BODY_BYTES: usize = 1024 * 1024;

/// What the handlers share.
#[derive(Debug, Clone)]
pub struct Api {
    /// Where everything is kept.
    pub store: Store,
    /// Which addresses a webhook endpoint may have.
    pub allow_addresses: AllowAddresses,
}

/// Builds the router.
pub fn router(api: Api) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/workflows", post(workflows::create))
        .route("/workflows/{id}", get(workflows::read))
        .route("/workflow-runs", post(runs::create))
        .route("/workflow-runs/{id}", get(runs::read))
        .route("/workflow-runs/{id}/cancel", post(runs::cancel))
        .route("/workflow-runs/{id}/retry", post(runs::retry))
        .route("/workflow-runs/{id}/user-input", post(user_input::answer))
        .route("/workflow-runs/{id}/artifacts", get(artifacts::list))
        .route("/webhook-endpoints", post(webhook_endpoints::create))
        .route("/secrets/{name}", put(secrets::set))
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(axum::middleware::from_fn(request_log::log))
        .with_state(api)
}

/// Answers as long as the process does. It asks nothing of AWS: an outage there must not make a load balancer end
/// processes that can still say so.
async fn health() -> Json<serde_json::Value> {
    Json(serde_json::json!({ "status": "ok" }))
}
