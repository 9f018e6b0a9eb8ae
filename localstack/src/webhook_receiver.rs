//! Receives webhooks on loopback and shows them as they came, so that a developer sees what a customer would.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::routing::{any, get};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::Timestamp;
use platform::webhook_signature::{self, Secret, SignedHeaders, VerifyError};
use serde::{Deserialize, Serialize};

/// How many are kept; the oldest go first.
const KEPT: usize = 1000;

/// A webhook as it arrived.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceivedWebhook {
    /// When.
    pub received_at: Timestamp,
    /// The method.
    pub method: String,
    /// The path, with its query.
    pub path: String,
    /// All headers, with lower-case names.
    pub headers: BTreeMap<String, String>,
    /// The body, byte for byte, in base64.
    pub body_base64: String,
    /// The body as text.
    pub body: String,
}

impl ReceivedWebhook {
    /// Checks its Standard Webhooks signature, as its receiver would have when it arrived.
    ///
    /// # Errors
    /// Why it must not be trusted.
    pub fn verify(&self, secret: &Secret) -> Result<(), VerifyError> {
        let header = |name: &str| {
            self.headers
                .get(name)
                .map(String::as_str)
                .unwrap_or_default()
        };
        let headers = SignedHeaders {
            id: header(webhook_signature::header::ID),
            timestamp: header(webhook_signature::header::TIMESTAMP),
            signature: header(webhook_signature::header::SIGNATURE),
        };
        // What is no base64 becomes a body that no signature fits.
        let body = STANDARD.decode(&self.body_base64).unwrap_or_default();
        webhook_signature::verify(secret, headers, &body, self.received_at.as_seconds())
    }
}

type Received = Arc<Mutex<Vec<ReceivedWebhook>>>;

/// `POST /…` takes a webhook, `POST /status/{code}` takes it and answers with that status, `GET /received` lists.
#[must_use = "it receives nothing until it is served"]
pub fn router() -> Router {
    Router::new()
        .route("/received", get(list))
        .route("/status/{code}", any(take_with_status))
        .fallback(take)
        .with_state(Received::default())
}

async fn list(State(received): State<Received>) -> Json<serde_json::Value> {
    let received = received
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    Json(serde_json::json!({ "data": received }))
}

async fn take(
    State(received): State<Received>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let webhook = ReceivedWebhook {
        received_at: store::now(),
        method: method.to_string(),
        path: uri
            .path_and_query()
            .map(ToString::to_string)
            .unwrap_or_default(),
        headers: headers
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect(),
        body_base64: STANDARD.encode(&body),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
    if received.len() == KEPT {
        received.remove(0);
    }
    received.push(webhook);
    StatusCode::NO_CONTENT
}

async fn take_with_status(
    state: State<Received>,
    Path(code): Path<u16>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    take(state, method, uri, headers, body).await;
    StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_REQUEST)
}
