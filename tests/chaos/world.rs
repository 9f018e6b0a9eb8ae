//! What is outside of the service: a site that workflows go to, and a customer's server that webhooks come to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Html;
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use localstack::ReceivedWebhook;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The outside. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct World {
    /// Where webhooks come to.
    pub(crate) hook_url: String,
    /// Where workflows go to.
    pub(crate) site_url: String,
    seen: Arc<Seen>,
    _serving: JoinSet<()>,
}

/// An answer that a customer gave to a question of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) run_id: String,
    /// The run's sequence when it asked.
    pub(crate) asked_at: u64,
    /// Whether the service has said that it was taken. If not, it may have been, and that have got lost.
    pub(crate) is_accepted: bool,
}

#[derive(Debug, Default)]
struct Seen {
    webhooks: Mutex<Vec<ReceivedWebhook>>,
    visits: Mutex<BTreeMap<String, u32>>,
    answers: Mutex<Vec<Answer>>,
    /// How many webhooks there are.
    arrived: watch::Sender<usize>,
}

impl World {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let seen = Arc::new(Seen::default());
        let router = Router::new()
            .route("/hook", post(receive))
            .route("/site/{*page}", get(visit))
            .with_state(Arc::clone(&seen));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "The outside has ended");
            }
        });
        Ok(Self {
            hook_url: format!("{url}/hook"),
            site_url: format!("{url}/site"),
            seen,
            _serving: serving,
        })
    }

    /// Every webhook that has arrived.
    pub(crate) fn webhooks(&self) -> Vec<ReceivedWebhook> {
        lock(&self.seen.webhooks).clone()
    }

    /// Changes with each webhook that arrives.
    pub(crate) fn arrivals(&self) -> watch::Receiver<usize> {
        self.seen.arrived.subscribe()
    }

    /// Every answer that a customer gave.
    pub(crate) fn answers(&self) -> Vec<Answer> {
        lock(&self.seen.answers).clone()
    }

    pub(crate) fn note(&self, answer: Answer) {
        lock(&self.seen.answers).push(answer);
    }

    /// Every page that was asked for, and how often.
    pub(crate) fn visits(&self) -> BTreeMap<String, u32> {
        lock(&self.seen.visits).clone()
    }
}

async fn receive(
    State(seen): State<Arc<Seen>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let webhook = ReceivedWebhook {
        received_at: store::now(),
        method: method.to_string(),
        path: uri.to_string(),
        headers: headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
            .collect(),
        body_base64: STANDARD.encode(&body),
        body: text(&body),
    };
    lock(&seen.webhooks).push(webhook);
    seen.arrived.send_modify(|arrived| *arrived += 1);
    StatusCode::NO_CONTENT
}

/// Every page is the same: for browsers that are real, with what workflows here look for.
const PAGE: &str = "<!doctype html><title>A page</title><label>Password <input type=password></label>\
    <label>Code <input></label><table><tr><td>Ada</td></tr></table>";

async fn visit(State(seen): State<Arc<Seen>>, uri: Uri) -> Html<&'static str> {
    *lock(&seen.visits).entry(uri.path().to_owned()).or_default() += 1;
    Html(PAGE)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
