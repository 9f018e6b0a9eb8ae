//! What API Gateway puts before every path: the stage, unless it is `$default`, and the key of a domain's mapping.
//!
//! The router knows neither. Both are taken off on the way in, and put before `Location` on the way out.

use std::convert::Infallible;

use axum::Router;
use axum::http::{HeaderValue, Uri, header};
use axum::response::Response;
use lambda_http::request::RequestContext;
use lambda_http::tower::ServiceExt;
use lambda_http::{Request, RequestExt};

/// Answers a request that came through API Gateway. `mapping` is the path of the domain's API mapping, such as `/v1`;
/// empty if there is none.
///
/// # Errors
/// Never: every error is an answer.
pub async fn answer(
    router: Router,
    mapping: &str,
    mut request: Request,
) -> Result<Response, Infallible> {
    let stage = stage_of(&request);
    // The runtime puts the stage before every path, also where the client's URL doesn't have it.
    let (in_url, _) = taken_off(request.raw_http_path(), &stage);
    let (_, path) = taken_off(request.uri().path(), &stage);
    let (of_mapping, path) = taken_off(path, mapping);
    let prefix = format!("{in_url}{of_mapping}");
    let path = if path.is_empty() { "/" } else { path };
    let with_query = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    // A path that is none stays as it is, and no route has it.
    if let Ok(uri) = Uri::try_from(with_query) {
        *request.uri_mut() = uri;
    }
    let mut response = router.oneshot(request).await?;
    let location = response.headers().get(header::LOCATION);
    let location = location.and_then(|location| location.to_str().ok());
    if let Some(own) = location
        .filter(|location| location.starts_with('/'))
        .map(str::to_owned)
        && let Ok(location) = HeaderValue::from_str(&format!("{prefix}{own}"))
    {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// The stage as a path; empty if it adds none.
fn stage_of(request: &Request) -> String {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => match context.stage.as_deref() {
            None | Some("$default") => String::new(),
            Some(stage) => format!("/{stage}"),
        },
        _ => String::new(),
    }
}

/// A prefix that a path has, and the rest of it; the prefix ends where one of the path's segments does.
fn taken_off<'a>(path: &'a str, prefix: &'a str) -> (&'a str, &'a str) {
    match path.strip_prefix(prefix) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => (prefix, rest),
        _ => ("", path),
    }
}
