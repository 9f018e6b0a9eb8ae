//! One line per request: method, path, status and time, with ids; never a body, never a key.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

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
    let resource_id = resource_of(request.uri().path());
    let request_id = uuid::Uuid::from_bytes(store::fresh_random())
        .simple()
        .to_string();
    let span = tracing::info_span!("request", request_id, %method, path, resource_id, organization_id = tracing::field::Empty, api_key_id = tracing::field::Empty);
    async move {
        let mut response = next.run(request).await;
        // So that whoever reports a problem can name the line of the log.
        if let Ok(value) = HeaderValue::from_str(&request_id) {
            response.headers_mut().insert("x-request-id", value);
        }
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

/// The id in a path, if it has one. Nothing else of the path is logged: it can hold anything.
fn resource_of(path: &str) -> Option<String> {
    let mut segments = path.split('/');
    let id = segments.find_map(|segment| uuid::Uuid::try_parse(segment).ok())?;
    Some(id.hyphenated().to_string())
}
