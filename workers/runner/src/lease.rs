//! The heartbeat of one run.

use std::time::Duration;

use domain::RunId;
use platform::telemetry::metrics::Measurement;
use store::{Lease, Store, now};
use tokio::time::{Instant, sleep};

/// How soon a heartbeat that failed is tried again.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How often the clocks are looked at: a timer does not know that the machine has slept.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A moment, by this process's monotonic clock and by the machine's time since its start. The former stands still while
/// the machine sleeps; the latter is known on Linux only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    at: Instant,
    since_start: Option<Duration>,
}

impl Moment {
    /// This one.
    pub(crate) fn now() -> Self {
        Self {
            since_start: since_start(),
            at: Instant::now(),
        }
    }

    /// How much time has passed from this moment to a later one, whether the machine was awake or not.
    fn until(self, later: Self) -> Duration {
        let awake = later.at.saturating_duration_since(self.at);
        match (self.since_start, later.since_start) {
            (Some(then), Some(later)) => awake.max(later.saturating_sub(then)),
            _ => awake,
        }
    }
}

/// `/proc/uptime` begins with `CLOCK_BOOTTIME` in seconds, to the hundredth.
fn since_start() -> Option<Duration> {
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// Renews a run's lease until it is lost, and returns then: a later attempt has it, or its end has come by this
/// process's own monotonic clock, whatever anybody's wall clock says. It is a future beside the work in one `select!`,
/// so that there is no way out of a run on which it goes on.
pub(crate) async fn keep(
    store: &Store,
    run_id: RunId,
    attempt: u32,
    claimed: Moment,
    lease: Duration,
    every: Duration,
) {
    let renew = || {
        let expires_at = now().plus(lease);
        let renewed = Lease {
            attempt,
            expires_at,
        };
        store.renew_lease(run_id, renewed)
    };
    keep_by(Moment::now, renew, claimed, lease, every).await;
}

async fn keep_by<R: Future<Output = store::Result<bool>>>(
    clock: impl Fn() -> Moment,
    renew: impl Fn() -> R,
    claimed: Moment,
    lease: Duration,
    every: Duration,
) {
    let mut renewed = claimed;
    let mut beat_after = every;
    loop {
        tokio::select! {
            biased;
            () = passed(&clock, renewed, lease) => {
                tracing::warn!("The lease ended, because it could not be renewed");
                return;
            }
            () = passed(&clock, renewed, beat_after) => {}
        }
        let asked = clock();
        let answer = tokio::select! {
            biased;
            () = passed(&clock, renewed, lease) => continue,
            answer = renew() => answer,
        };
        match answer {
            Ok(true) => {
                renewed = asked;
                beat_after = every;
            }
            Ok(false) => {
                tracing::warn!("The lease was ended, or a later attempt has one");
                return;
            }
            Err(error) => {
                Measurement::count("HeartbeatsFailed", 1).emit();
                tracing::warn!(%error, "The lease could not be renewed");
                beat_after = renewed.until(clock()) + TRY_AGAIN_AFTER;
            }
        }
    }
}

/// Waits until so much time has passed since a moment; at most a second longer, if the machine sleeps meanwhile.
async fn passed(clock: impl Fn() -> Moment, since: Moment, time: Duration) {
    loop {
        let left = time.saturating_sub(since.until(clock()));
        if left.is_zero() {
            return;
        }
        sleep(left.min(LOOK_EVERY)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const LEASE: Duration = Duration::from_secs(3600);

    fn moment(at: Instant, since_start_secs: u64) -> Moment {
        Moment {
            at,
            since_start: Some(Duration::from_secs(since_start_secs)),
        }
    }

    #[test]
    fn the_time_in_which_the_machine_slept_counts() {
        let began = Instant::now();
        let later = began + Duration::from_secs(3);
        let slept = moment(began, 10).until(moment(later, 73));
        assert_eq!(slept, Duration::from_secs(63));
        // The time since the machine's start is coarse, and must not make the lease longer.
        let awake = moment(began, 10).until(moment(later, 12));
        assert_eq!(awake, Duration::from_secs(3));
        assert!(cfg!(not(target_os = "linux")) || Moment::now().since_start.is_some());
    }

    #[tokio::test]
    async fn a_lease_is_over_soon_after_a_machine_wakes_that_slept_for_longer() {
        let began = Instant::now();
        let looks = Cell::new(0_u64);
        // It sleeps after somebody has looked for the second time.
        let clock = || {
            looks.set(looks.get() + 1);
            let slept = if looks.get() > 2 {
                2 * LEASE.as_secs()
            } else {
                0
            };
            moment(Instant::now(), 10 + slept)
        };
        let never = std::future::pending::<store::Result<bool>>;
        let kept = keep_by(clock, never, moment(began, 10), LEASE, LEASE / 3);
        let ended = tokio::time::timeout(Duration::from_secs(60), kept).await;
        assert!(ended.is_ok(), "it went on, {looks:?}");
    }
}
