//! The HTTP interface that AWS Lambda offers to the process of a custom runtime, as far as a cold start needs it: it
//! hands out one event, and takes the answer to it. It never checks what the answer says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// What a function said, and when that had arrived.
pub(crate) enum Said {
    Answer(Instant, Value),
    Failure(String),
}

#[derive(Clone)]
struct Desk {
    event: Arc<Mutex<Option<Value>>>,
    said: mpsc::UnboundedSender<Said>,
}

/// One function's counterpart. Dropping it ends its server.
pub(crate) struct RuntimeApi {
    pub(crate) address: SocketAddr,
    said: mpsc::UnboundedReceiver<Said>,
    _stop: oneshot::Sender<()>,
}

impl RuntimeApi {
    /// Listens on a port of its own, with one event to hand out.
    pub(crate) async fn listen(tasks: &mut tokio::task::JoinSet<()>, event: Value) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let (sender, said) = mpsc::unbounded_channel();
        let desk = Desk {
            event: Arc::new(Mutex::new(Some(event))),
            said: sender,
        };
        let runtime = Router::new()
            .route("/invocation/next", get(next))
            .route("/invocation/{id}/response", post(answered))
            .route("/invocation/{id}/error", post(failed))
            .route("/init/error", post(failed))
            .with_state(desk);
        let router = Router::new().nest("/2018-06-01/runtime", runtime);
        let (stop, stopped) = oneshot::channel::<()>();
        tasks.spawn(async move {
            tokio::select! {
                served = axum::serve(listener, router) => served.expect("the server goes on"),
                _ = stopped => {}
            }
        });
        Self {
            address,
            said,
            _stop: stop,
        }
    }

    /// The next thing that the function says.
    pub(crate) async fn said(&mut self) -> Said {
        self.said.recv().await.expect("the server is there")
    }
}

async fn next(State(desk): State<Desk>) -> Response {
    let event = desk.event.lock().expect("nobody panics with it").take();
    let Some(event) = event else {
        // Lambda freezes a process that waits for work.
        return std::future::pending().await;
    };
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", "first".to_owned()),
        ("lambda-runtime-deadline-ms", "4102444800000".to_owned()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:eu-central-1:000000000000:function:api".to_owned(),
        ),
    ];
    (headers, event.to_string()).into_response()
}

async fn answered(State(desk): State<Desk>, body: Bytes) -> StatusCode {
    let now = Instant::now();
    let said = match serde_json::from_slice(&body) {
        Ok(answer) => Said::Answer(now, answer),
        Err(error) => Said::Failure(format!("the answer is not JSON: {error}")),
    };
    // Whoever no longer listens has what they wanted.
    let _ = desk.said.send(said);
    StatusCode::ACCEPTED
}

async fn failed(State(desk): State<Desk>, body: Bytes) -> StatusCode {
    let text = String::from_utf8_lossy(&body).into_owned();
    let _ = desk.said.send(Said::Failure(text));
    StatusCode::ACCEPTED
}
