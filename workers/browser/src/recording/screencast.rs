//! A page as a series of pictures.
//!
//! Pictures can't be redacted: what is to be hidden on them must be hidden in the page.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::console::time;
use crate::connection::Connection;
use crate::deadline::Deadline;
use crate::feed::{Event, Subscription};
use crate::target::Target;
use crate::{Error, Page};

/// How many frames may wait to be taken. The browser sends the next one only after the last one was
/// acknowledged, so these are few.
const MAILBOX: usize = 16;

/// How long the browser may take to begin.
const START: Duration = Duration::from_secs(10);

/// What a screencast keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScreencastOptions {
    /// Frames are scaled down to fit into this width and height, in pixels.
    pub largest: (u32, u32),
    /// How good the JPEGs are, from 0 to 100.
    pub quality: u8,
    /// How many frames are kept: the last ones.
    pub max_frames: usize,
    /// How many bytes they have in all, at most.
    pub max_bytes: usize,
}

impl Default for ScreencastOptions {
    /// The last 200 frames of 800 by 600, up to 16 MiB.
    fn default() -> Self {
        Self {
            largest: (800, 600),
            quality: 60,
            max_frames: 200,
            max_bytes: 16 * 1024 * 1024,
        }
    }
}

/// One picture of a screencast.
#[derive(Clone, Debug)]
pub struct Frame {
    /// When the page looked like this.
    pub at: Timestamp,
    /// The picture.
    pub jpeg: Vec<u8>,
}

/// A screencast that is going on. Dropping it forgets its frames; the page goes on sending until
/// it closes, but not more than one frame.
pub struct Screencast {
    stop: oneshot::Sender<()>,
    /// Whether there is a frame.
    first: oneshot::Receiver<()>,
    task: JoinSet<VecDeque<Frame>>,
    target: Arc<Target>,
}

impl Page {
    /// Begins to keep what the page looks like, each time that it changes.
    ///
    /// # Errors
    ///
    /// The page or the browser has gone, or it does not answer.
    pub async fn screencast(&self, options: ScreencastOptions) -> Result<Screencast, Error> {
        let target = &self.target;
        let connection = target.connection.clone();
        let subscription = target.tabs.feed.subscribe(
            Some(&target.main_frame),
            &["Page.screencastFrame"],
            MAILBOX,
        );
        let params = json!({
            "format": "jpeg",
            "quality": options.quality,
            "maxWidth": options.largest.0,
            "maxHeight": options.largest.1,
        });
        let (stop, stopped) = oneshot::channel();
        let (came, first) = oneshot::channel();
        let mut task = JoinSet::new();
        let keeper = Keeper {
            connection: connection.clone(),
            options,
            first: Some(came),
            frames: VecDeque::new(),
            bytes: 0,
        };
        task.spawn(keeper.keep(subscription, stopped));
        connection
            .call(
                &target.session,
                "Page.startScreencast",
                params,
                Deadline::after(START),
            )
            .await?;
        Ok(Screencast {
            stop,
            first,
            task,
            target: Arc::clone(target),
        })
    }
}

impl Screencast {
    /// Ends the screencast and gives its last frames, the oldest first; at least one, unless the page
    /// has gone, draws nothing for 10 s, or the limits leave no room: the browser sends what the page
    /// looks like at the beginning a moment later.
    pub async fn finish(mut self) -> Vec<Frame> {
        let target = &self.target;
        // A page that was kept from going somewhere tells that to who acts on it.
        tokio::select! {
            _ = &mut self.first => {}
            _ = target.gone(Deadline::after(START)) => {}
            () = target.crashed() => {}
        }
        let stopped = target
            .connection
            .call(
                &target.session,
                "Page.stopScreencast",
                json!({}),
                Deadline::after(START),
            )
            .await;
        if let Err(error) = stopped {
            tracing::debug!(%error, "a page went away in the middle of its screencast");
        }
        // A keeper that has ended with its browser needs no telling.
        let _ = self.stop.send(());
        let kept = self.task.join_next().await;
        kept.and_then(Result::ok).unwrap_or_default().into()
    }
}

struct Keeper {
    connection: Connection,
    options: ScreencastOptions,
    /// Told of the first frame.
    first: Option<oneshot::Sender<()>>,
    frames: VecDeque<Frame>,
    bytes: usize,
}

impl Keeper {
    async fn keep(
        mut self,
        mut subscription: Subscription,
        mut stopped: oneshot::Receiver<()>,
    ) -> VecDeque<Frame> {
        loop {
            tokio::select! {
                event = subscription.next() => match event {
                    Some(event) => self.take(&event),
                    None => break,
                },
                _ = &mut stopped => break,
            }
        }
        while let Some(event) = subscription.next_now() {
            self.take(&event);
        }
        self.frames
    }

    fn take(&mut self, event: &Event) {
        let params = &event.params;
        self.connection.tell(
            &event.session,
            "Page.screencastFrameAck",
            json!({"sessionId": params["sessionId"]}),
        );
        let Ok(jpeg) = STANDARD.decode(params["data"].as_str().unwrap_or_default()) else {
            return;
        };
        let seconds = params["metadata"]["timestamp"].as_f64();
        let at = seconds.map_or_else(Timestamp::now, time);
        self.bytes += jpeg.len();
        // The browser encodes several frames at a time, and sends the one that is done first.
        let place = self.frames.partition_point(|earlier| earlier.at <= at);
        self.frames.insert(place, Frame { at, jpeg });
        if let Some(first) = self.first.take() {
            // Nobody hears of it if the screencast was dropped.
            let _ = first.send(());
        }
        while self.frames.len() > self.options.max_frames || self.bytes > self.options.max_bytes {
            let Some(oldest) = self.frames.pop_front() else {
                break;
            };
            self.bytes -= oldest.jpeg.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;
    use crate::connection::tests::wire;
    use crate::target::tests::page;

    #[tokio::test]
    async fn frames_that_come_out_of_order_are_kept_in_order_and_the_oldest_goes_first() {
        let wire = wire();
        let mut keeper = Keeper {
            connection: wire.connection.clone(),
            options: ScreencastOptions {
                max_frames: 3,
                ..ScreencastOptions::default()
            },
            first: None,
            frames: VecDeque::new(),
            bytes: 0,
        };
        for second in [2, 1, 4, 3, 0] {
            let params = json!({"data": "", "metadata": {"timestamp": second}});
            keeper.take(&Event {
                page: "f".to_owned(),
                session: "s".to_owned(),
                method: "Page.screencastFrame".to_owned(),
                params,
            });
        }
        let kept = keeper.frames.iter().map(|frame| frame.at.as_second());
        assert_eq!(Vec::from_iter(kept), [2, 3, 4]);
    }

    #[tokio::test]
    async fn its_end_leaves_a_refused_origin_to_who_acts_on_the_page() {
        let mut wire = wire();
        let target = page(&mut wire).await;
        target.tabs.set_origins(&["http://home.test".to_owned()]);
        let page = Page { target };
        let refused = json!({"requestId": "r", "resourceType": "Document", "frameId": "f", "request": {"url": "http://a.test/"}});
        let screencast = {
            let mut beginning = pin!(page.screencast(ScreencastOptions::default()));
            let asked = tokio::select! {
                begun = &mut beginning => panic!("nobody asked: {:?}", begun.err()),
                asked = wire.asked() => asked,
            };
            // Heard before the answer.
            let message =
                json!({"sessionId": "s", "method": "Fetch.requestPaused", "params": refused});
            wire.say(message).await;
            wire.say(json!({"id": asked["id"], "sessionId": "s", "result": {}}))
                .await;
            beginning.await.expect("a screencast")
        };
        let mut finishing = pin!(screencast.finish());
        assert!(futures::poll!(&mut finishing).is_pending());
        let frame = json!({"data": "", "metadata": {"timestamp": 1}, "sessionId": 1});
        let message = json!({"sessionId": "s", "method": "Page.screencastFrame", "params": frame});
        wire.say(message).await;
        let frames = loop {
            let asked = tokio::select! {
                frames = &mut finishing => break frames,
                asked = wire.asked() => asked,
            };
            wire.say(json!({"id": asked["id"], "sessionId": "s", "result": {}}))
                .await;
        };
        assert_eq!(frames.len(), 1);
        let refused = page.target.tabs.report_refusal();
        assert!(
            matches!(refused, Err(Error::OriginRefused { .. })),
            "{refused:?}"
        );
    }
}
