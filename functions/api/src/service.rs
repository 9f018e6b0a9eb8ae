//! The service about itself: whether it is there, its description for programs and for people. These need no key.

use axum::Json;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

/// The published description. A test holds it against the code.
const OPENAPI: &str = include_str!("../openapi.json");

/// A page that shows the description. It needs no other host.
const PAGE: &str = include_str!("docs.html");

/// The page may run its own script and read from where it came, and nothing else.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// That the service is there.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`.
    status: &'static str,
}

/// Ask whether the service is there
///
/// It asks nothing of AWS: an outage there must not make a load balancer end processes that can still say so. Needs no
/// key.
#[utoipa::path(
    get, path = "/health", operation_id = "getHealth", tag = "Service", security(()),
    responses((status = 200, description = "The service is there.", body = Health))
)]
pub(crate) async fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Read this description
///
/// As OpenAPI 3.1. Needs no key.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "getOpenApi", tag = "Service", security(()),
    responses((status = 200, description = "This document.", body = Object))
)]
pub(crate) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}

/// Read this description as a page
///
/// Needs no key.
#[utoipa::path(
    get, path = "/docs", operation_id = "getDocs", tag = "Service", security(()),
    responses((status = 200, description = "A page for people.", body = String, content_type = "text/html"))
)]
pub(crate) async fn docs() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
    ];
    (headers, PAGE)
}
