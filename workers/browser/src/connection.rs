//! The pipe to one browser: calls out, answers and events in, each message ended by a NUL byte.
//!
//! It knows no method of the protocol and never waits without a deadline. When the pipe ends,
//! every call in flight fails at once. How much of a message is kept does not depend on the page:
//! what a page writes to its console, say, comes here whole, whoever wants it.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::deadline::Deadline;
use crate::{Error, halves};

/// Larger events are not heard: none that this client needs comes near, but for requests that are
/// paused.
const MOST_EVENT_BYTES: usize = 16 * 1024 * 1024;

/// A larger answer fails its call, and a larger request that is paused stays so. The largest answer
/// that is wanted is a picture of 1,280 by 16,384 pixels, no two of which are the same.
const MOST_ANSWER_BYTES: usize = 128 * 1024 * 1024;

/// Room for the next part of a message, and how much stays between two messages.
const ROOM: usize = 64 * 1024;

/// Who hears the events of a session. Events are delivered in the order of the wire, and before
/// the answers that follow them.
pub(crate) trait Listener: Send + Sync {
    /// An event of a session.
    fn hear(&self, session: &str, method: &str, params: &Value);
    /// The connection has ended.
    fn lose(&self);
}

/// A handle of the connection; clones share it.
#[derive(Clone)]
pub(crate) struct Connection {
    shared: Arc<Shared>,
}

struct Shared {
    outgoing: mpsc::UnboundedSender<Vec<u8>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    closed: bool,
    last_id: u64,
    pending: HashMap<u64, Pending>,
    /// By session; the empty name is the browser itself.
    listeners: HashMap<String, Arc<dyn Listener>>,
}

struct Pending {
    session: String,
    answer: oneshot::Sender<Result<Value, Failure>>,
}

/// Why a call has no result.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    Closed,
    Crashed,
    Detached,
    Refused(String),
}

#[derive(Deserialize)]
struct Message {
    id: Option<u64>,
    method: Option<String>,
    #[serde(default)]
    params: Value,
    #[serde(default)]
    result: Value,
    error: Option<Refusal>,
    #[serde(rename = "sessionId", default)]
    session: String,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
    #[serde(default)]
    data: Value,
}

impl Connection {
    /// Takes the ends of the two pipes; the tasks that serve them live in `tasks`.
    pub(crate) fn open(
        to_browser: OwnedFd,
        from_browser: OwnedFd,
        tasks: &mut JoinSet<()>,
    ) -> std::io::Result<Self> {
        let writer = pipe::Sender::from_owned_fd(to_browser)?;
        let reader = pipe::Receiver::from_owned_fd(from_browser)?;
        let (outgoing, messages) = mpsc::unbounded_channel();
        let connection = Self {
            shared: Arc::new(Shared {
                outgoing,
                state: Mutex::default(),
            }),
        };
        tasks.spawn(write(writer, messages));
        tasks.spawn(connection.clone().read(reader));
        Ok(connection)
    }

    /// Sends a call now and gives what its answer can be awaited with, so that calls can be
    /// pipelined.
    pub(crate) fn start(&self, session: &str, method: &str, params: Value) -> Call {
        let (sender, answer) = oneshot::channel();
        let mut state = self.state();
        state.last_id += 1;
        let id = state.last_id;
        let call = Call {
            connection: self.clone(),
            id,
            method: method.to_owned(),
            answer,
        };
        if state.closed {
            drop(state);
            // Nobody listens any more only if the caller dropped the call already.
            let _ = sender.send(Err(Failure::Closed));
            return call;
        }
        state.pending.insert(
            id,
            Pending {
                session: session.to_owned(),
                answer: sender,
            },
        );
        let mut message = json!({"id": id, "method": method, "params": params});
        if !session.is_empty() {
            message["sessionId"] = session.into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        // Sent under the lock, so that ids and bytes have the same order. If the writer has gone,
        // the reader finds the end of the pipe and fails the call.
        let _ = self.shared.outgoing.send(bytes);
        call
    }

    /// Sends a call whose answer nobody needs.
    pub(crate) fn tell(&self, session: &str, method: &str, params: Value) {
        drop(self.start(session, method, params));
    }

    /// Calls and waits for the answer.
    pub(crate) async fn call(
        &self,
        session: &str,
        method: &str,
        params: Value,
        deadline: Deadline,
    ) -> Result<Value, Error> {
        self.start(session, method, params).wait(deadline).await
    }

    /// From now on, `listener` hears the events of `session`.
    pub(crate) fn listen(&self, session: &str, listener: Arc<dyn Listener>) {
        let mut state = self.state();
        if state.closed {
            drop(state);
            listener.lose();
            return;
        }
        state.listeners.insert(session.to_owned(), listener);
    }

    /// Nobody hears the events of `session` any more, and its calls in flight fail.
    pub(crate) fn forget(&self, session: &str, failure: &Failure) {
        self.state().listeners.remove(session);
        self.fail_calls(session, failure);
    }

    /// Fails the calls in flight of one session.
    pub(crate) fn fail_calls(&self, session: &str, failure: &Failure) {
        let mut state = self.state();
        let ids: Vec<u64> = state
            .pending
            .iter()
            .filter(|(_, pending)| pending.session == session)
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            if let Some(pending) = state.pending.remove(&id) {
                let _ = pending.answer.send(Err(failure.clone()));
            }
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Ends the connection: every call in flight fails, every listener is told, once.
    pub(crate) fn close(&self) {
        let (pending, listeners) = {
            let mut state = self.state();
            state.closed = true;
            (
                std::mem::take(&mut state.pending),
                std::mem::take(&mut state.listeners),
            )
        };
        for (_, call) in pending {
            let _ = call.answer.send(Err(Failure::Closed));
        }
        for (_, listener) in listeners {
            listener.lose();
        }
    }

    async fn read(self, mut pipe: pipe::Receiver) {
        let mut buffer = Vec::with_capacity(ROOM);
        let mut scanned = 0;
        let mut is_skipping = false;
        loop {
            match pipe.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            let mut start = 0;
            while let Some(length) = buffer[scanned..].iter().position(|byte| *byte == 0) {
                let end = scanned + length;
                if !std::mem::take(&mut is_skipping) {
                    self.accept(&buffer[start..end]);
                }
                start = end + 1;
                scanned = start;
            }
            buffer.drain(..start);
            if is_skipping || self.is_too_large(&buffer) {
                is_skipping = true;
                buffer.clear();
            }
            scanned = buffer.len();
            if buffer.len() < ROOM {
                buffer.shrink_to(2 * ROOM);
            }
            // Long answers (pictures) arrive in many pieces.
            buffer.reserve(ROOM);
        }
        self.close();
    }

    /// Whether so much of a message has come that the rest of it is passed over. If it is an answer,
    /// its call fails.
    fn is_too_large(&self, begun: &[u8]) -> bool {
        let id = id_of_answer(begun);
        // A request that is paused comes with its body, and waits until this client lets it go on.
        let is_awaited = id.is_some() || begun.starts_with(br#"{"method":"Fetch."#);
        let most = if is_awaited {
            MOST_ANSWER_BYTES
        } else {
            MOST_EVENT_BYTES
        };
        if begun.len() <= most {
            return false;
        }
        if id.is_none() {
            tracing::warn!("the browser sent an event that is too large, which is passed over");
        }
        if let Some(pending) = id.and_then(|id| self.state().pending.remove(&id)) {
            let message = format!("the answer has more than {MOST_ANSWER_BYTES} bytes");
            let _ = pending.answer.send(Err(Failure::Refused(message)));
        }
        true
    }

    fn accept(&self, bytes: &[u8]) {
        let message: Message = match halves::read(bytes) {
            Ok(message) => message,
            Err(error) => {
                tracing::warn!(%error, "the browser sent a message that can't be read");
                return;
            }
        };
        if let Some(id) = message.id {
            let Some(pending) = self.state().pending.remove(&id) else {
                return;
            };
            let answer = match message.error {
                None => Ok(message.result),
                Some(refusal) => Err(Failure::Refused(match refusal.data.as_str() {
                    Some(data) => format!("{} ({data})", refusal.message),
                    None => refusal.message,
                })),
            };
            let _ = pending.answer.send(answer);
        } else if let Some(method) = message.method {
            let listener = self.state().listeners.get(&message.session).cloned();
            if let Some(listener) = listener {
                listener.hear(&message.session, &method, &message.params);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The id of the call that a message answers, of which only the beginning need have come.
fn id_of_answer(begun: &[u8]) -> Option<u64> {
    let rest = begun.strip_prefix(br#"{"id":"#)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
    String::from_utf8(digits.copied().collect())
        .ok()?
        .parse()
        .ok()
}

async fn write(mut pipe: pipe::Sender, mut messages: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(message) = messages.recv().await {
        if pipe.write_all(&message).await.is_err() {
            return;
        }
    }
}

/// A call that was sent. Dropping it forgets its answer.
pub(crate) struct Call {
    connection: Connection,
    id: u64,
    method: String,
    answer: oneshot::Receiver<Result<Value, Failure>>,
}

impl Call {
    /// Waits for the answer, until the deadline.
    pub(crate) async fn wait(mut self, deadline: Deadline) -> Result<Value, Error> {
        match deadline.wait(&mut self.answer).await {
            Some(Ok(Ok(result))) => Ok(result),
            Some(Ok(Err(failure))) => Err(match failure {
                Failure::Closed => Error::Closed,
                Failure::Crashed => Error::Crashed,
                Failure::Detached => Error::Detached,
                Failure::Refused(message) => Error::from_protocol(&self.method, &message),
            }),
            Some(Err(_)) => Err(Error::Closed),
            None => Err(Error::TimedOut {
                awaited: format!("an answer to {}", self.method),
                after: deadline.allowed(),
                found: "the page did not answer; its main thread may be busy".to_owned(),
            }),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.connection.state().pending.remove(&self.id);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::pin::pin;
    use std::time::Duration;

    use tokio::io::{AsyncBufReadExt, BufReader};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// A connection, and the other ends of its pipes.
    pub(crate) struct Wire {
        pub(crate) connection: Connection,
        asked: BufReader<pipe::Receiver>,
        answers: pipe::Sender,
        _tasks: JoinSet<()>,
    }

    impl Wire {
        /// The next call.
        pub(crate) async fn asked(&mut self) -> Value {
            let mut message = Vec::new();
            let read = self.asked.read_until(0, &mut message);
            read.await.expect("a call");
            serde_json::from_slice(&message[..message.len() - 1]).expect("JSON")
        }

        /// Sends an answer or an event.
        pub(crate) async fn say(&mut self, message: Value) {
            let message = format!("{message}\0");
            let written = self.answers.write_all(message.as_bytes());
            written.await.expect("a reader");
        }
    }

    pub(crate) fn wire() -> Wire {
        let (asked, to_browser) = std::io::pipe().expect("a pipe");
        let (from_browser, answers) = std::io::pipe().expect("a pipe");
        let mut tasks = JoinSet::new();
        Wire {
            connection: Connection::open(to_browser.into(), from_browser.into(), &mut tasks)
                .expect("a connection"),
            asked: BufReader::new(pipe::Receiver::from_owned_fd(asked.into()).expect("a pipe")),
            answers: pipe::Sender::from_owned_fd(answers.into()).expect("a pipe"),
            _tasks: tasks,
        }
    }

    #[tokio::test]
    async fn what_is_unknown_broken_or_in_pieces_does_not_disturb_an_answer() {
        let mut wire = wire();
        let call = wire.connection.start("s", "Page.enable", json!({}));
        let asked = wire.asked().await;
        assert_eq!(asked["sessionId"], "s");
        let said = format!(
            concat!(
                r#"{{"method": "New.event", "params": {{"x": [1]}}, "sessionId": "s", "new": 1}}"#,
                "\0no JSON\0\0[]\0{{\"id\": 999, \"result\": {{}}}}\0",
                r#"{{"id": {}, "sessionId": "s", "result": {{"new": 1}}, "more": null}}"#,
                "\0"
            ),
            asked["id"]
        );
        // The reader gets it byte by byte.
        for byte in said.as_bytes() {
            wire.answers.write_all(&[*byte]).await.expect("a reader");
        }
        let answer = call.wait(Deadline::after(PATIENCE)).await;
        assert_eq!(answer.expect("an answer"), json!({"new": 1}));
    }

    /// Notes which events there were.
    #[derive(Default)]
    struct Noting(Mutex<Vec<String>>);

    impl Listener for Noting {
        fn hear(&self, _: &str, method: &str, _: &Value) {
            let mut heard = self.0.lock().expect("nobody panics with it");
            heard.push(method.to_owned());
        }

        fn lose(&self) {}
    }

    #[tokio::test]
    async fn what_is_too_large_is_passed_over_and_what_follows_it_is_heard() {
        let mut wire = wire();
        let listener = Arc::new(Noting::default());
        let heard: Arc<dyn Listener> = Arc::clone(&listener) as _;
        wire.connection.listen("", heard);
        let call = |method| wire.connection.start("", method, json!({}));
        let calls = ["A.large", "A.tooLarge", "A.small"].map(call);
        let ids = [1, 2, 3];
        let event = |method: &str, size: usize| {
            format!(
                r#"{{"method":"{method}","params":{{"x":"{}"}}}}"#,
                "x".repeat(size)
            )
        };
        let answer = |id: u64, size: usize| {
            format!(r#"{{"id":{id},"result":{{"x":"{}"}}}}"#, "x".repeat(size))
        };
        let said = [
            event("E.large", MOST_EVENT_BYTES - ROOM),
            event("E.tooLarge", MOST_EVENT_BYTES + 4 * ROOM),
            event("Fetch.needed", MOST_EVENT_BYTES + 4 * ROOM),
            event("Fetch.tooLarge", MOST_ANSWER_BYTES + 4 * ROOM),
            event("E.small", 1),
            answer(ids[0], MOST_EVENT_BYTES + 4 * ROOM),
            answer(ids[1], MOST_ANSWER_BYTES + 4 * ROOM),
            answer(ids[2], 1),
        ];
        for message in said {
            let message = format!("{message}\0");
            let written = wire.answers.write_all(message.as_bytes());
            written.await.expect("a reader");
        }
        let mut came = Vec::new();
        for call in calls {
            came.push(call.wait(Deadline::after(PATIENCE)).await.is_ok());
        }
        assert_eq!(came, [true, false, true]);
        let heard = listener.0.lock().expect("nobody panics with it");
        assert_eq!(*heard, ["E.large", "Fetch.needed", "E.small"]);
    }

    #[tokio::test]
    async fn a_call_without_an_answer_ends_by_its_deadline_and_is_forgotten() {
        let wire = wire();
        let call = wire.connection.start("", "Browser.getVersion", json!({}));
        let failed = call.wait(Deadline::after(Duration::from_millis(10))).await;
        let failed = failed.expect_err("nobody answers");
        assert!(matches!(failed, Error::TimedOut { .. }), "{failed:?}");
        assert!(wire.connection.state().pending.is_empty());
    }

    #[tokio::test]
    async fn an_answer_that_came_in_time_counts_also_where_this_process_stood_still_past_the_deadline()
     {
        let mut wire = wire();
        let call = wire.connection.start("", "Browser.getVersion", json!({}));
        let asked = wire.asked().await;
        let mut waiting = pin!(call.wait(Deadline::after(Duration::from_millis(100))));
        assert!(futures::poll!(&mut waiting).is_pending());
        let answer = format!("{}\0", json!({"id": asked["id"], "result": {}}));
        let written = wire.answers.try_write(answer.as_bytes());
        assert_eq!(written.expect("room"), answer.len());
        stand_still(Duration::from_millis(200));
        assert_eq!(waiting.await.expect("an answer"), json!({}));
    }

    #[tokio::test]
    async fn a_machine_that_stood_still_leaves_the_other_end_its_time_to_answer() {
        let mut wire = wire();
        let call = wire.connection.start("", "Browser.getVersion", json!({}));
        let soon = Deadline::after(Duration::from_millis(10)).with_grace();
        let mut waiting = pin!(call.wait(soon));
        assert!(futures::poll!(&mut waiting).is_pending());
        stand_still(Duration::from_millis(1500));
        // The other end stood still, too: it answers when it has read what it is asked.
        let answering = async {
            let asked = wire.asked().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            wire.say(json!({"id": asked["id"], "result": {}})).await;
        };
        let (answer, ()) = tokio::join!(waiting, answering);
        assert_eq!(answer.expect("an answer"), json!({}));
    }

    #[expect(clippy::disallowed_methods, reason = "it is to block the runtime")]
    fn stand_still(duration: Duration) {
        std::thread::sleep(duration);
    }

    #[tokio::test]
    async fn the_end_of_the_pipe_fails_calls_in_flight_and_those_to_come() {
        let wire = wire();
        let call = wire.connection.start("", "Browser.getVersion", json!({}));
        drop(wire.answers);
        let next = |call: Call| call.wait(Deadline::after(PATIENCE));
        for call in [call, wire.connection.start("", "Browser.close", json!({}))] {
            let failed = next(call).await.expect_err("nobody is there");
            assert!(matches!(failed, Error::Closed), "{failed:?}");
        }
    }
}
