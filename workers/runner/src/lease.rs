//! The heartbeat of one run.

use std::time::Duration;

use domain::RunId;
use platform::telemetry::metrics::Measurement;
use store::{Lease, Store, now};
use tokio::time::{Instant, sleep_until};

/// How soon a heartbeat that failed is tried again.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Renews a run's lease until it is lost, and returns then: a later attempt has it, or its end has come by this
/// process's own monotonic clock, whatever anybody's wall clock says. It is a future beside the work in one `select!`,
/// so that there is no way out of a run on which it goes on.
pub(crate) async fn keep(
    store: &Store,
    run_id: RunId,
    attempt: u32,
    claimed_at: Instant,
    lease: Duration,
    every: Duration,
) {
    let mut ends_at = claimed_at + lease;
    let mut beat_at = claimed_at + every;
    loop {
        // The end comes first: a process that stood still for longer than its lease must not renew it.
        tokio::select! {
            biased;
            () = sleep_until(ends_at) => {
                tracing::warn!("The lease ended, because it could not be renewed");
                return;
            }
            () = sleep_until(beat_at) => {}
        }
        let asked_at = Instant::now();
        let renewal = store.renew_lease(
            run_id,
            Lease {
                attempt,
                expires_at: now().plus(lease),
            },
        );
        let renewed = tokio::select! {
            biased;
            () = sleep_until(ends_at) => continue,
            renewed = renewal => renewed,
        };
        match renewed {
            Ok(true) => {
                ends_at = asked_at + lease;
                beat_at = asked_at + every;
            }
            Ok(false) => {
                tracing::warn!("The lease was ended, or a later attempt has one");
                return;
            }
            Err(error) => {
                Measurement::count("HeartbeatsFailed", 1).emit();
                tracing::warn!(%error, "The lease could not be renewed");
                beat_at = Instant::now() + TRY_AGAIN_AFTER;
            }
        }
    }
}
