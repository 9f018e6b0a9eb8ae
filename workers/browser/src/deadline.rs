//! A point in time that remembers how long was allowed, so that errors can say it.

use std::pin::pin;
use std::time::Duration;

use futures::FutureExt;
use tokio::time::{Instant, timeout, timeout_at};

/// How many turns longer than the page itself the wire waits for the page's answer: the page's own
/// report of what it found is better than "no answer". Only a page that does not answer uses them
/// up; a page on a busy machine needs some of them.
const GRACE: u32 = 10;

/// How long such a turn is. It is over only once this process has run again, so that a machine that
/// stood still for seconds does not take the page's second away.
const TURN: Duration = Duration::from_millis(100);

/// No operation takes longer than this, whatever it is allowed: a point in time that far away
/// can always be told.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// When an operation must be over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    allowed: Duration,
    grace: u32,
}

impl Deadline {
    pub(crate) fn after(allowed: Duration) -> Self {
        Self {
            at: Instant::now() + allowed.min(LONGEST),
            allowed,
            grace: 0,
        }
    }

    /// This deadline, or this long from now if that is earlier.
    pub(crate) fn within(self, longest: Duration) -> Self {
        Self {
            at: self.at.min(Instant::now() + longest),
            ..self
        }
    }

    /// How long was allowed in all.
    pub(crate) fn allowed(self) -> Duration {
        self.allowed
    }

    pub(crate) fn at(self) -> Instant {
        self.at
    }

    pub(crate) fn remaining(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    pub(crate) fn has_passed(self) -> bool {
        self.remaining().is_zero()
    }

    /// The same deadline with the time that an answer needs to travel.
    pub(crate) fn with_grace(self) -> Self {
        Self {
            grace: GRACE,
            ..self
        }
    }

    /// What comes of a future, unless this deadline passes first.
    pub(crate) async fn wait<T>(self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        let mut ended = timeout_at(self.at, &mut future).await;
        for _ in 0..self.grace {
            if ended.is_ok() {
                break;
            }
            ended = timeout(TURN, &mut future).await;
        }
        if let Ok(done) = ended {
            return Some(done);
        }
        // If this process stood still meanwhile, what came in time may still lie in the pipe: its
        // reader goes first.
        tokio::task::yield_now().await;
        future.now_or_never()
    }
}
