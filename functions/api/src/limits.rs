//! How much an organization may ask for: counted in the table, since a bound per process means nothing on Lambda.
//!
//! Each process takes shares of an organization's allowance and spends them by itself. A share doubles each time
//! within a window, so that a busy process seldom asks the table, and an idle one leaves the allowance to others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::{OrganizationId, Timestamp};
use platform::configuration;
use store::{Allowance, AllowanceKind, Store};

use crate::Problem;

/// A process takes at most this part of an allowance at once.
const LARGEST_SHARE: u32 = 50;

/// How many organizations' shares are remembered before the old ones are dropped.
const MOST_SHARES: usize = 10_000;

/// What this process may still spend, by organization.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    settings: configuration::Limits,
    shares: Arc<Mutex<HashMap<(OrganizationId, AllowanceKind), Share>>>,
}

#[derive(Debug, Clone, Copy)]
struct Share {
    window_start: Timestamp,
    left: u32,
    /// How much was taken from the table the last time; 0 if it had nothing left.
    last_taken: u32,
}

impl Limits {
    pub(crate) fn new(settings: configuration::Limits) -> Self {
        Self {
            settings,
            shares: Arc::default(),
        }
    }

    /// Spends one of an organization's requests or creates.
    pub(crate) async fn spend(
        &self,
        store: &Store,
        organization_id: OrganizationId,
        kind: AllowanceKind,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let (per_second, window) = match kind {
            AllowanceKind::Requests => (self.settings.requests_per_second, Duration::from_secs(60)),
            AllowanceKind::Creates => (self.settings.runs_per_second, Duration::from_secs(10)),
        };
        let window_millis = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
        let window_start =
            Timestamp::from_millis(now.as_millis() - now.as_millis() % window_millis);
        let limit = per_second.saturating_mul(u32::try_from(window.as_secs()).unwrap_or(1));

        let next = match self.spend_own(organization_id, kind, window_start) {
            Own::Spent => return Ok(()),
            Own::Take(last_taken) => (last_taken * 2).clamp(1, (limit / LARGEST_SHARE).max(1)),
            Own::Exhausted => {
                return Err(refused(kind, per_second, window_start.plus(window), now));
            }
        };
        let take =
            |amount| store.take_allowance(organization_id, kind, window_start, amount, limit);
        let taken = match take(next).await? {
            Allowance::Taken => next,
            // Others have taken the most of it: what is left may be too little for a share, but enough for one.
            Allowance::Exhausted { left } if left > 0 && next > 1 => match take(1).await? {
                Allowance::Taken => 1,
                Allowance::Exhausted { .. } => 0,
            },
            Allowance::Exhausted { .. } => 0,
        };
        self.remember(organization_id, kind, window_start, taken);
        if taken == 0 {
            return Err(refused(kind, per_second, window_start.plus(window), now));
        }
        Ok(())
    }

    fn spend_own(
        &self,
        organization_id: OrganizationId,
        kind: AllowanceKind,
        window_start: Timestamp,
    ) -> Own {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        match shares.get_mut(&(organization_id, kind)) {
            Some(share) if share.window_start != window_start => Own::Take(0),
            None => Own::Take(0),
            Some(share) if share.left > 0 => {
                share.left -= 1;
                Own::Spent
            }
            Some(share) if share.last_taken == 0 => Own::Exhausted,
            Some(share) => Own::Take(share.last_taken),
        }
    }

    fn remember(
        &self,
        organization_id: OrganizationId,
        kind: AllowanceKind,
        window_start: Timestamp,
        taken: u32,
    ) {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if shares.len() >= MOST_SHARES {
            shares.retain(|(_, of_kind), share| {
                *of_kind != kind || share.window_start == window_start
            });
        }
        let share = shares.entry((organization_id, kind)).or_insert(Share {
            window_start,
            left: 0,
            last_taken: 0,
        });
        if share.window_start != window_start {
            share.window_start = window_start;
            share.left = 0;
        }
        // Two requests may have taken a share at the same time; the second one adds to the first one's.
        share.left += taken.saturating_sub(1);
        share.last_taken = taken;
    }
}

enum Own {
    Spent,
    /// Nothing is left of the last share, which was this large.
    Take(u32),
    /// Nothing is left in the table.
    Exhausted,
}

fn refused(kind: AllowanceKind, per_second: u32, again_at: Timestamp, now: Timestamp) -> Problem {
    let what = match kind {
        AllowanceKind::Requests => "make more requests",
        AllowanceKind::Creates => "create more workflow runs",
    };
    let wait = again_at.since(now).as_millis().div_ceil(1000);
    let detail = format!(
        "the organization may not {what} than {per_second} a second on average; ask again in {wait} s"
    );
    Problem::rate_limited(detail, u32::try_from(wait).unwrap_or(60).max(1))
}
