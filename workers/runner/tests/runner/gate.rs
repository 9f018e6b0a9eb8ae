//! A gate before AWS (here the emulator), through which a runner's calls go: while it is closed to an operation, that is
//! answered as AWS answers when it has no room, or when the caller may not do it, or waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::http;
use crate::setting::in_time;

pub(crate) struct Gate {
    pub(crate) url: String,
    guard: Arc<Guard>,
    _serving: JoinSet<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Open,
    Refuses(&'static str),
    Denies(&'static str),
    Holds(&'static str, &'static str),
    LosesAnswers(&'static str, &'static str),
    Hides(&'static str),
}

struct Guard {
    upstream: String,
    door: watch::Sender<Door>,
    held: watch::Sender<usize>,
    refused: watch::Sender<usize>,
    passed: watch::Sender<HashMap<String, usize>>,
    passing: Mutex<JoinSet<()>>,
}

impl Gate {
    pub(crate) async fn before(upstream: &str) -> Self {
        let guard = Arc::new(Guard {
            upstream: upstream.trim_end_matches('/').to_owned(),
            door: watch::Sender::new(Door::Open),
            held: watch::Sender::new(0),
            refused: watch::Sender::new(0),
            passed: watch::Sender::default(),
            passing: Mutex::default(),
        });
        let router = Router::new().fallback(pass).with_state(Arc::clone(&guard));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self {
            url,
            guard,
            _serving: serving,
        }
    }

    /// Closes it to an operation, such as `TrentService.Decrypt`.
    pub(crate) fn close_to(&self, operation: &'static str) {
        self.guard.door.send_replace(Door::Refuses(operation));
    }

    /// Answers that the caller has no right to an operation.
    pub(crate) fn deny(&self, operation: &'static str) {
        self.guard.door.send_replace(Door::Denies(operation));
    }

    /// Has the calls of an operation wait until it is open again, or closed in another way.
    pub(crate) fn hold(&self, operation: &'static str) {
        self.hold_those_with(operation, "");
    }

    /// The same with those calls only that have a text in their body.
    pub(crate) fn hold_those_with(&self, operation: &'static str, text: &'static str) {
        self.guard.door.send_replace(Door::Holds(operation, text));
    }

    /// Hands on the calls of an operation, and keeps the answers to those that have a text in their body until it is open
    /// again; then they get lost.
    pub(crate) fn lose_answers(&self, operation: &'static str, text: &'static str) {
        self.guard
            .door
            .send_replace(Door::LosesAnswers(operation, text));
    }

    /// Answers a read of an item whose key has a text as if the item were not there yet.
    pub(crate) fn hide(&self, text: &'static str) {
        self.guard.door.send_replace(Door::Hides(text));
    }

    /// Waits until it holds a call, or the answer to one.
    pub(crate) async fn holds_one(&self) {
        let mut held = self.guard.held.subscribe();
        let waiting = held.wait_for(|held| *held > 0);
        in_time("a call to hold", waiting)
            .await
            .expect("the gate is there");
    }

    pub(crate) fn open(&self) {
        self.guard.door.send_replace(Door::Open);
    }

    /// Waits until so many calls of an operation have passed; the answer to the last one may be a while under way.
    pub(crate) async fn has_passed(&self, operation: &str, calls: usize) {
        let mut passed = self.guard.passed.subscribe();
        let waiting = passed.wait_for(|passed| passed.get(operation) >= Some(&calls));
        in_time("a call", waiting).await.expect("the gate is there");
    }

    /// How many calls of an operation have passed.
    pub(crate) fn passes(&self, operation: &str) -> usize {
        let passed = self.guard.passed.borrow();
        passed.get(operation).copied().unwrap_or_default()
    }

    /// Waits until it has refused so many calls, or hidden an item from them.
    pub(crate) async fn has_refused(&self, calls: usize) {
        let mut refused = self.guard.refused.subscribe();
        let waiting = refused.wait_for(|refused| *refused >= calls);
        in_time("a refusal", waiting)
            .await
            .expect("the gate is there");
    }
}

impl Guard {
    async fn until_open(&self) {
        let mut door = self.door.subscribe();
        let opened = door.wait_for(|door| *door == Door::Open);
        opened.await.expect("the gate is there");
    }

    async fn until_it_is_no_more(&self, as_it_was: Door) -> Door {
        let mut door = self.door.subscribe();
        let changed = door.wait_for(|door| *door != as_it_was);
        *changed.await.expect("the gate is there")
    }

    async fn ask(&self, head: Parts, body: Bytes) -> Response {
        let url = format!("{}{}", self.upstream, head.uri);
        let answer = http::client()
            .request(head.method, url)
            .headers(head.headers)
            .body(body)
            .send()
            .await
            .expect("the emulator answers");
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        headers.remove(header::TRANSFER_ENCODING);
        let body: Bytes = answer.bytes().await.expect("a body");
        (status, headers, Body::from(body)).into_response()
    }
}

/// Hands a call on, and goes on with it even if whoever made it hangs up: AWS doesn't notice that at once either.
async fn pass(State(guard): State<Arc<Guard>>, request: Request) -> Response {
    let operation = request
        .headers()
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let mut door = *guard.door.borrow();
    match door {
        Door::Refuses(closed_to) if operation == closed_to => {
            guard.refused.send_modify(|refused| *refused += 1);
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        Door::Denies(closed_to) if operation == closed_to => {
            guard.refused.send_modify(|refused| *refused += 1);
            let body = r#"{"__type": "AccessDeniedException", "message": "not allowed"}"#;
            return (StatusCode::BAD_REQUEST, body).into_response();
        }
        Door::Open
        | Door::Refuses(_)
        | Door::Denies(_)
        | Door::Holds(..)
        | Door::LosesAnswers(..)
        | Door::Hides(_) => {}
    }
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX)
        .await
        .expect("a body");
    let has = |text| String::from_utf8_lossy(&body).contains(text);
    if let Door::Holds(closed_to, text) = door
        && operation == closed_to
        && has(text)
    {
        guard.held.send_modify(|held| *held += 1);
        door = guard.until_it_is_no_more(door).await;
    }
    if let Door::LosesAnswers(asked, text) = door
        && operation == asked
        && has(text)
    {
        guard.ask(head, body).await;
        guard.held.send_modify(|held| *held += 1);
        guard.until_open().await;
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if let Door::Hides(text) = door
        && operation == "DynamoDB_20120810.GetItem"
        && has(text)
    {
        guard.refused.send_modify(|refused| *refused += 1);
        return "{}".into_response();
    }
    let (sender, answer) = oneshot::channel();
    let asking = Arc::clone(&guard);
    guard
        .passing
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .spawn(async move {
            asking.passed.send_modify(|passed| {
                *passed.entry(operation).or_default() += 1;
            });
            let answer = asking.ask(head, body).await;
            // Whoever asked may have hung up.
            let _ = sender.send(answer);
        });
    answer.await.expect("the emulator answers")
}
