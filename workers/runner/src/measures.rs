//! What a runner says about itself once a minute, for whoever operates the service.

use std::time::Duration;

use platform::telemetry::metrics::Measurement;

use crate::Worker;

const EVERY: Duration = Duration::from_secs(60);

/// Measures how busy the runner is, once a minute, for ever.
pub(crate) async fn occupancy(worker: &Worker) {
    loop {
        tokio::time::sleep(EVERY).await;
        let waiting_slots = worker.settings.waiting_slots as usize;
        let waiting = waiting_slots.saturating_sub(worker.waiting.available_permits());
        measurement(*worker.possessions.count().borrow(), waiting).emit();
    }
}

/// Each run in hand has one slot or the other.
fn measurement(in_hand: usize, waiting: usize) -> Measurement {
    Measurement::count("SlotsInUse", in_hand.saturating_sub(waiting) as u64)
        .and_count("WaitingSlotsInUse", waiting as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_in_hand_is_counted_in_the_slot_that_it_has() {
        assert_eq!(
            measurement(5, 3),
            Measurement::count("SlotsInUse", 2).and_count("WaitingSlotsInUse", 3)
        );
    }
}
