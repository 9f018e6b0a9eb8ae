//! The calls for programs beside the browser: what a checker compares with, the pretend phone,
//! the switches of the whole site. They answer in JSON and are never slow or flaky.

use std::sync::Arc;

use axum::Json;
use axum::extract::{OriginalUri, Path, RawPathParams, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::sessions::Site;

/// Whose phone is looked at.
#[derive(Deserialize)]
pub(crate) struct PhoneOwner {
    email: String,
}

/// Says that the site answers.
pub(crate) async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// The employees that the roster shows in the same place, as JSON.
pub(crate) async fn employees(
    State(site): State<Arc<Site>>,
    OriginalUri(uri): OriginalUri,
    path_params: RawPathParams,
    headers: HeaderMap,
) -> Response {
    match crate::visit::switches_for(&site, uri.path(), &path_params, &headers) {
        Ok(switches) => Json(crate::roster::listed(switches)).into_response(),
        Err(reason) => bad_request(&reason),
    }
}

/// What the phone of an account shows.
pub(crate) async fn show_phone(
    State(site): State<Arc<Site>>,
    Path(owner): Path<PhoneOwner>,
) -> Response {
    match site.phone(&owner.email) {
        Some(phone) => Json(phone).into_response(),
        None => {
            let error = json!({ "error": "no code was sent to this phone" });
            (StatusCode::NOT_FOUND, Json(error)).into_response()
        }
    }
}

/// The switches of the whole site.
pub(crate) async fn show_switches(State(site): State<Arc<Site>>) -> Json<Value> {
    Json(site.switches().to_json())
}

/// Changes switches of the whole site, all of those named or none.
pub(crate) async fn set_switches(
    State(site): State<Arc<Site>>,
    Json(changes): Json<Map<String, Value>>,
) -> Response {
    match site.change_switches(|switches| switches.with_json(&changes)) {
        Ok(switches) => Json(switches.to_json()).into_response(),
        Err(reason) => bad_request(&reason),
    }
}

fn bad_request(reason: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": reason }))).into_response()
}
