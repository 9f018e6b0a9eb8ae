//! A point in time that remembers how long was allowed, so that errors can say it.

use std::time::Duration;

use tokio::time::Instant;

/// How much longer than the page itself the wire waits for the page's answer: the page's own
/// report of what it found is better than "no answer". Only a page that does not answer uses it
/// up; a page on a busy machine needs some of it.
const GRACE: Duration = Duration::from_secs(1);

/// No operation takes longer than this, whatever it is allowed: a point in time that far away
/// can always be told.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// When an operation must be over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    allowed: Duration,
}

impl Deadline {
    pub(crate) fn after(allowed: Duration) -> Self {
        Self {
            at: Instant::now() + allowed.min(LONGEST),
            allowed,
        }
    }

    /// This deadline, or this long from now if that is earlier.
    pub(crate) fn within(self, longest: Duration) -> Self {
        Self {
            at: self.at.min(Instant::now() + longest),
            allowed: self.allowed,
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
