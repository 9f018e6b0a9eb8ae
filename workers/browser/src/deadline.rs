//! A point in time that remembers how long was allowed, so that errors can say it.

use std::time::Duration;

use tokio::time::Instant;

/// How much longer than the page itself the wire waits for the page's answer: the page's own
/// report of what it found is better than "no answer".
const GRACE: Duration = Duration::from_millis(250);

/// When an operation must be over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    allowed: Duration,
}

impl Deadline {
    pub(crate) fn after(allowed: Duration) -> Self {
        Self {
            at: Instant::now() + allowed,
            allowed,
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
            at: self.at + GRACE,
            allowed: self.allowed,
        }
    }
}
