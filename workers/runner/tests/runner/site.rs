//! A site that answers when the test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::setting::in_time;

pub(crate) struct Site {
    pub(crate) url: String,
    arrived: Mutex<mpsc::UnboundedReceiver<Visit>>,
    visits: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

/// A request that waits for its answer.
pub(crate) struct Visit {
    let_go: oneshot::Sender<()>,
    given_up: oneshot::Receiver<()>,
}

#[derive(Clone)]
struct Door {
    arriving: mpsc::UnboundedSender<Visit>,
    visits: Arc<AtomicUsize>,
}

impl Site {
    pub(crate) async fn start() -> Self {
        let (arriving, arrived) = mpsc::unbounded_channel();
        let visits = Arc::new(AtomicUsize::new(0));
        let door = Door {
            arriving,
            visits: Arc::clone(&visits),
        };
        let router = Router::new().route("/", get(visit)).with_state(door);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self {
            url,
            arrived: Mutex::new(arrived),
            visits,
            _serving: serving,
        }
    }

    /// The next visit that arrives.
    pub(crate) async fn visit(&self) -> Visit {
        let mut arrived = self.arrived.lock().await;
        in_time("a visit", arrived.recv())
            .await
            .expect("the site serves")
    }

    /// How many have arrived so far.
    pub(crate) fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }
}

impl Visit {
    /// Answers it.
    pub(crate) fn let_go(self) {
        self.let_go.send(()).expect("the visitor waits");
    }

    /// Waits until the visitor has hung up.
    pub(crate) async fn given_up(self) {
        in_time("hanging up", self.given_up)
            .await
            .expect_err("the site never says so itself");
    }
}

async fn visit(State(door): State<Door>) -> &'static str {
    let (let_go, may_go) = oneshot::channel();
    // Dropped with this future, which the server drops when the visitor hangs up.
    let (_here, given_up) = oneshot::channel();
    door.visits.fetch_add(1, Ordering::SeqCst);
    let visit = Visit { let_go, given_up };
    door.arriving.send(visit).expect("the test is there");
    // A visit that the test has dropped is never answered.
    if may_go.await.is_err() {
        std::future::pending::<()>().await;
    }
    "welcome"
}
