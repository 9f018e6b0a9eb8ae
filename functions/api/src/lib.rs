//! The HTTP API: one axum router, served by `lambda_http` on AWS and directly on one machine.
//!
//! A handler reads the tenant from the caller's key, and gives it to every read of the store. It never drives a
//! browser and never contacts a customer's server.

mod api_keys;
mod artifacts;
mod body;
mod caller;
mod code;
pub mod gateway;
mod headers;
mod idempotency;
mod limits;
#[cfg(test)]
mod openapi;
mod page;
mod parameters;
mod problem;
mod request_log;
mod runs;
mod secrets;
mod segment;
mod service;
mod versions;
mod webhook_endpoints;
mod workflows;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use platform::addresses::AllowAddresses;
use platform::configuration;
use store::Store;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::limits::Limits;
use crate::versions::Versions;
pub use problem::{Code, Problem};

/// The longest body that a request may have, in bytes.
pub const BODY_BYTES: usize = 1024 * 1024;

/// What the handlers share.
#[derive(Debug, Clone)]
pub struct Api {
    store: Store,
    allow_addresses: AllowAddresses,
    limits: Limits,
    versions: Versions,
}

impl Api {
    /// An API that keeps everything in `store`, lets webhook endpoints have the addresses that `allow_addresses` says,
    /// and lets each organization do as much as `limits` says.
    #[must_use]
    pub fn new(
        store: Store,
        allow_addresses: AllowAddresses,
        limits: configuration::Limits,
    ) -> Self {
        Self {
            store,
            allow_addresses,
            limits: Limits::new(limits),
            versions: Versions::default(),
        }
    }
}

/// Builds the router.
pub fn router(api: Api) -> Router {
    let (router, _) = routes().split_for_parts();
    router
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(axum::middleware::from_fn(request_log::log))
        .with_state(api)
}

/// Every operation, with its description.
fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(runs::create::create, runs::read::list))
        .routes(routes!(runs::read::read))
        .routes(routes!(runs::cancel::cancel))
        .routes(routes!(runs::create::retry))
        .routes(routes!(runs::user_input::answer_question))
        .routes(routes!(artifacts::list))
        .routes(routes!(artifacts::read))
        .routes(routes!(artifacts::content))
        .routes(routes!(workflows::create, workflows::list))
        .routes(routes!(workflows::validate))
        .routes(routes!(
            workflows::read,
            workflows::update,
            workflows::delete
        ))
        .routes(routes!(workflows::list_versions))
        .routes(routes!(workflows::read_version))
        .routes(routes!(webhook_endpoints::create))
        .routes(routes!(secrets::list))
        .routes(routes!(secrets::set, secrets::delete))
        .routes(routes!(api_keys::create, api_keys::list))
        .routes(routes!(api_keys::delete))
        .routes(routes!(service::health))
        .routes(routes!(service::openapi))
        .routes(routes!(service::docs))
}
