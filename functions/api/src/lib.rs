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
mod guard;
mod headers;
mod idempotency;
mod limits;
#[cfg(test)]
mod openapi;
mod operations;
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

use crate::limits::Limits;
use crate::versions::Versions;
pub use guard::ANSWER_WITHIN;
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
    operations::routes()
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(axum::middleware::from_fn(guard::answer))
        .layer(axum::middleware::from_fn(request_log::log))
        .with_state(api)
}
