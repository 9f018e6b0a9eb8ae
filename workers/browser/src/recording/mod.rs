//! Recording what a browser's pages do: console, page errors, network, pictures, copies of the DOM.
//!
//! It listens and keeps, within bounds; it changes nothing in a page. Everything that is text goes
//! through the caller's [`Redaction`] before it is kept, whole, so that no limit cuts a secret in
//! two. What it can't keep it counts, and says so.
//!
//! [`Browser::record`] hears all pages of a browser, popups and frames too, until
//! [`Recording::finish`]. Values of cookies and credentials are withheld from the HAR whatever the
//! redaction says; bodies are in it only if they are asked for, are text, and are small enough.
//! What goes through WebSockets is not recorded. [`crate::Page::dom_copy`] writes the DOM down with
//! its frames, shadow roots and fields; [`crate::Page::screencast`] keeps the last pictures, which
//! nothing can redact.
//!
//! ```no_run
//! # async fn example(browser: &browser::Browser) {
//! use browser::{RecordingOptions, Redaction};
//!
//! let recording = browser.record(RecordingOptions {
//!     redaction: Redaction::by(|text| text.replace("swordfish", "•••")),
//!     max_body_bytes: 64 * 1024,
//!     ..RecordingOptions::default()
//! });
//! // … what the pages do …
//! let recorded = recording.finish().await;
//! for error in recorded.page_errors {
//!     tracing::info!(text = error.text, "the page threw");
//! }
//! # }
//! ```

mod console;
mod har;
mod network;
mod redaction;
mod screencast;
mod snapshot;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures::stream::{FuturesUnordered, StreamExt};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

pub use console::{ConsoleMessage, PageError};
pub use redaction::Redaction;
pub use screencast::{Frame, Screencast, ScreencastOptions};

use crate::connection::Connection;
use crate::deadline::Deadline;
use crate::feed::{Event, Subscription};
use crate::tabs::{Domain, Tabs};
use crate::{Browser, Page};
use console::Console;
use network::Network;

/// What a recording hears.
const INTERESTS: &[&str] = &[
    "Runtime.consoleAPICalled",
    "Runtime.exceptionThrown",
    "Log.entryAdded",
    "Network.requestWillBeSent",
    "Network.requestWillBeSentExtraInfo",
    "Network.requestServedFromCache",
    "Network.responseReceived",
    "Network.responseReceivedExtraInfo",
    "Network.dataReceived",
    "Network.loadingFinished",
    "Network.loadingFailed",
    "Target.detachedFromTarget",
];

/// How many events a recording may fall behind.
const MAILBOX: usize = 8192;

/// How long the browser may take to hand over one body, and all bodies and headers that are still on
/// their way when a recording ends.
const REST: std::time::Duration = std::time::Duration::from_secs(2);

/// What is recorded, and how much of it.
#[derive(Clone, Debug)]
pub struct RecordingOptions {
    /// What all text goes through before it is kept.
    pub redaction: Redaction,
    /// Whether requests and their answers are recorded.
    pub network: bool,
    /// How many bytes of each body of an answer are kept; none, if zero. Larger bodies are left out
    /// whole, and so are bodies that are no text.
    pub max_body_bytes: usize,
    /// How many bytes of bodies are kept in all.
    pub max_total_body_bytes: usize,
    /// How many requests are kept.
    pub max_requests: usize,
    /// How many console messages and how many page errors are kept.
    pub max_messages: usize,
}

impl Default for RecordingOptions {
    /// Console, page errors, and network without bodies; nothing is redacted.
    fn default() -> Self {
        Self {
            redaction: Redaction::default(),
            network: true,
            max_body_bytes: 0,
            max_total_body_bytes: 16 * 1024 * 1024,
            max_requests: 2000,
            max_messages: 1000,
        }
    }
}

/// A recording that is going on. Dropping it forgets what was recorded.
pub struct Recording {
    stop: oneshot::Sender<()>,
    task: JoinSet<Recorded>,
    _domains: Vec<Domain>,
}

/// What was recorded.
#[derive(Debug, Default)]
pub struct Recorded {
    /// What the pages wrote to the console, and what the browser wrote there about them.
    pub console: Vec<ConsoleMessage>,
    /// Exceptions that nobody in the page caught.
    pub page_errors: Vec<PageError>,
    /// The requests as HAR 1.2, if the network was recorded.
    pub har: Option<Value>,
    /// How many messages, errors and requests did not fit.
    pub left_out: u64,
}

impl Browser {
    /// Records all pages of this browser, those to come too, until [`Recording::finish`].
    pub fn record(&self, options: RecordingOptions) -> Recording {
        Recording::begin(self.tabs(), options)
    }
}

impl Page {
    /// Records all pages of this page's browser, as [`Browser::record`] does.
    pub fn record(&self, options: RecordingOptions) -> Recording {
        Recording::begin(&self.target.tabs, options)
    }
}

impl Recording {
    fn begin(tabs: &Arc<Tabs>, options: RecordingOptions) -> Self {
        // Subscribed first, so that nothing that the browser tells when it is switched on is missed.
        let subscription = tabs.feed.subscribe(None, INTERESTS, MAILBOX);
        let mut domains = vec![tabs.switch_on("Log.enable")];
        if options.network {
            domains.push(tabs.switch_on("Network.enable"));
        }
        let (stop, stopped) = oneshot::channel();
        let mut task = JoinSet::new();
        let recorder = Recorder::new(tabs, options);
        task.spawn(recorder.record(subscription, stopped));
        Recording {
            stop,
            task,
            _domains: domains,
        }
    }

    /// Ends the recording and gives what it has. Requests without an end are in it without one.
    pub async fn finish(mut self) -> Recorded {
        // If the recorder has ended with its browser, it needs no telling.
        let _ = self.stop.send(());
        match self.task.join_next().await {
            Some(Ok(recorded)) => recorded,
            Some(Err(error)) => {
                tracing::error!(%error, "a recording was lost");
                Recorded::default()
            }
            None => Recorded::default(),
        }
    }
}

/// A body that the browser was asked for: the entry it belongs to, and its text.
type Body = Pin<Box<dyn Future<Output = (usize, Option<String>)> + Send>>;

struct Recorder {
    connection: Connection,
    console: Console,
    network: Option<Network>,
}

impl Recorder {
    fn new(tabs: &Arc<Tabs>, options: RecordingOptions) -> Self {
        Self {
            connection: tabs.connection.clone(),
            console: Console::new(options.redaction.clone(), options.max_messages),
            network: options.network.then(|| Network::new(options)),
        }
    }

    async fn record(
        mut self,
        mut subscription: Subscription,
        mut stopped: oneshot::Receiver<()>,
    ) -> Recorded {
        let mut bodies: FuturesUnordered<Body> = FuturesUnordered::new();
        loop {
            tokio::select! {
                event = subscription.next() => match event {
                    Some(event) => bodies.extend(self.hear(&event)),
                    None => break,
                },
                Some((entry, text)) = bodies.next() => self.keep_body(entry, text),
                // A recording that was dropped ends its task, so this is the word to stop.
                _ = &mut stopped => break,
            }
        }
        while let Some(event) = subscription.next_now() {
            bodies.extend(self.hear(&event));
        }
        let rest = Deadline::after(REST);
        while !bodies.is_empty() || self.network.as_ref().is_some_and(Network::is_waiting) {
            tokio::select! {
                // Of what has only begun since, nothing is asked for.
                event = subscription.next() => match event {
                    Some(event) => drop(self.hear(&event)),
                    None => break,
                },
                Some((entry, text)) = bodies.next() => self.keep_body(entry, text),
                () = tokio::time::sleep_until(rest.at()) => break,
            }
        }
        if let Some(network) = &mut self.network {
            network.finish();
        }
        let left_out = subscription.missed()
            + self.console.left_out
            + self.network.as_ref().map_or(0, |network| network.left_out);
        Recorded {
            console: self.console.messages,
            page_errors: self.console.errors,
            har: self.network.map(|network| har::write(&network)),
            left_out,
        }
    }

    fn hear(&mut self, event: &Event) -> Option<Body> {
        if event.method.starts_with("Runtime.") || event.method.starts_with("Log.") {
            self.console.hear(event);
            return None;
        }
        let entry = self.network.as_mut()?.hear(event)?;
        let connection = self.connection.clone();
        let session = event.session.clone();
        let params = json!({"requestId": event.params["requestId"]});
        Some(Box::pin(async move {
            let deadline = Deadline::after(REST);
            let answer = connection
                .call(&session, "Network.getResponseBody", params, deadline)
                .await;
            let text = answer.ok().and_then(|mut answer| {
                // What is no text can't be redacted.
                if answer["base64Encoded"] == true {
                    return None;
                }
                match answer["body"].take() {
                    Value::String(text) => Some(text),
                    _ => None,
                }
            });
            (entry, text)
        }))
    }

    fn keep_body(&mut self, entry: usize, text: Option<String>) {
        if let (Some(network), Some(text)) = (&mut self.network, text) {
            network.keep_body(entry, &text);
        }
    }
}
