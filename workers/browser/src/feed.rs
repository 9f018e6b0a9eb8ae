//! Events of the protocol, handed on to whoever subscribed to them: recordings, and waits for
//! responses.
//!
//! A subscriber names what it wants to hear, and has a bounded mailbox. One that does not empty
//! it in time misses events, and is told how many; it never holds up the reading of the pipe.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::mpsc;

/// An event of the protocol, as it came.
#[derive(Debug)]
pub(crate) struct Event {
    /// The page it belongs to, by the id of its main frame; empty for events of the browser.
    pub(crate) page: String,
    /// The session, of the page or of a cross-origin frame in it; calls about what the event names
    /// go there.
    pub(crate) session: String,
    pub(crate) method: String,
    pub(crate) params: Value,
}

/// All who have subscribed to events of one browser.
#[derive(Default)]
pub(crate) struct Feed {
    subscribers: Mutex<Vec<Subscriber>>,
}

struct Subscriber {
    page: Option<String>,
    interests: &'static [&'static str],
    mailbox: mpsc::Sender<Arc<Event>>,
    missed: Arc<AtomicU64>,
}

/// Gets events until it is dropped.
pub(crate) struct Subscription {
    mailbox: mpsc::Receiver<Arc<Event>>,
    missed: Arc<AtomicU64>,
}

impl Feed {
    /// Subscribes to events of one page (with its frames), or of all pages that are there and will
    /// be. An interest is a method (`Network.responseReceived`) or, with a dot at its end, a whole
    /// domain (`Network.`). The domain itself must be switched on: see `Tabs::switch_on`.
    pub(crate) fn subscribe(
        &self,
        page: Option<&str>,
        interests: &'static [&'static str],
        capacity: usize,
    ) -> Subscription {
        let (sender, mailbox) = mpsc::channel(capacity);
        let missed = Arc::new(AtomicU64::new(0));
        self.subscribers().push(Subscriber {
            page: page.map(str::to_owned),
            interests,
            mailbox: sender,
            missed: Arc::clone(&missed),
        });
        Subscription { mailbox, missed }
    }

    /// Hands an event to those who want it.
    pub(crate) fn publish(&self, page: &str, session: &str, method: &str, params: &Value) {
        let mut subscribers = self.subscribers();
        if subscribers.is_empty() {
            return;
        }
        let mut event = None;
        subscribers.retain(|subscriber| {
            if !subscriber.wants(page, method) {
                return !subscriber.mailbox.is_closed();
            }
            let event = event.get_or_insert_with(|| {
                Arc::new(Event {
                    page: page.to_owned(),
                    session: session.to_owned(),
                    method: method.to_owned(),
                    params: params.clone(),
                })
            });
            match subscriber.mailbox.try_send(Arc::clone(event)) {
                Ok(()) => true,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    subscriber.missed.fetch_add(1, Ordering::Relaxed);
                    true
                }
                Err(mpsc::error::TrySendError::Closed(_)) => false,
            }
        });
    }

    /// The browser has gone: subscribers get what is in their mailboxes, and then the end.
    pub(crate) fn close(&self) {
        self.subscribers().clear();
    }

    fn subscribers(&self) -> MutexGuard<'_, Vec<Subscriber>> {
        self.subscribers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscriber {
    fn wants(&self, page: &str, method: &str) -> bool {
        let is_its_page = self.page.as_deref().is_none_or(|wanted| wanted == page);
        is_its_page
            && self.interests.iter().any(|interest| {
                *interest == method || (interest.ends_with('.') && method.starts_with(interest))
            })
    }
}

impl Subscription {
    /// The next event; nothing when the browser has gone.
    pub(crate) async fn next(&mut self) -> Option<Arc<Event>> {
        self.mailbox.recv().await
    }

    /// An event that has come already.
    pub(crate) fn next_now(&mut self) -> Option<Arc<Event>> {
        self.mailbox.try_recv().ok()
    }

    /// How many events did not fit into the mailbox so far.
    pub(crate) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_subscriber_hears_what_it_wants_of_its_page_and_is_told_what_it_missed() {
        let feed = Feed::default();
        let mut one = feed.subscribe(Some("a"), &["Network.", "Log.entryAdded"], 2);
        let mut all = feed.subscribe(None, &["Network.loadingFailed"], 8);
        feed.publish("a", "s", "Page.loadEventFired", &json!({}));
        feed.publish("b", "s", "Network.loadingFailed", &json!({"n": 1}));
        for n in 2..5 {
            feed.publish("a", "s", "Network.loadingFailed", &json!({"n": n}));
        }
        feed.close();
        let mut heard = Vec::new();
        while let Some(event) = one.next().await {
            heard.push(event.params["n"].as_u64());
        }
        assert_eq!(heard, [Some(2), Some(3)]);
        assert_eq!(one.missed(), 1);
        let mut count = 0;
        while all.next().await.is_some() {
            count += 1;
        }
        assert_eq!(count, 4);
    }
}
