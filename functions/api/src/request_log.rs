//! One line per request: method, path, status and time, with ids; never a body, never a key.

use std::fmt::Display;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use tracing::field::{Empty, display};
use tracing::{Instrument, Span};

/// Logs each request when it has been answered.
pub(crate) async fn log(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    // The path's own text can hold anything; its pattern can't.
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched", MatchedPath::as_str)
        .to_owned();
    let request_id = uuid::Uuid::from_bytes(store::fresh_random())
        .simple()
        .to_string();
    let id = id_in(request.uri().path());
    let span = tracing::info_span!(
        "request",
        request_id,
        %method,
        path,
        organization_id = Empty,
        api_key_id = Empty,
        run_id = Empty,
        workflow_id = Empty,
        artifact_id = Empty,
        endpoint_id = Empty,
        resource_id = Empty
    );
    if let Some(id) = id {
        span.record(field_of(&path), id);
    }
    async move {
        let mut response = next.run(request).await;
        let headers = response.headers_mut();
        // So that whoever reports a problem can name the line of the log.
        if let Ok(value) = HeaderValue::from_str(&request_id) {
            headers.insert("x-request-id", value);
        }
        // Answers repeat texts of their callers, and no browser may take one for a page.
        headers.insert(
            "x-content-type-options",
            HeaderValue::from_static("nosniff"),
        );
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            status = response.status().as_u16(),
            took_ms,
            "Answered a request"
        );
        response
    }
    .instrument(span)
    .await
}

/// Adds to the line of the request that is being answered what it has made, whose id no path has.
pub(crate) fn made(field: &'static str, id: impl Display) {
    Span::current().record(field, display(id));
}

/// The id in a path, if it has one. Nothing else of the path is logged: it can hold anything.
fn id_in(path: &str) -> Option<String> {
    let mut segments = path.split('/');
    let id = segments.find_map(|segment| uuid::Uuid::try_parse(segment).ok())?;
    Some(id.hyphenated().to_string())
}

/// What the id in a path is called in all logs, by the path's pattern.
fn field_of(path: &str) -> &'static str {
    match path.split('/').nth(1) {
        Some("workflow-runs") => "run_id",
        Some("workflows") => "workflow_id",
        Some("artifacts") => "artifact_id",
        Some("webhook-endpoints") => "endpoint_id",
        _ => "resource_id",
    }
}
