//! When the next attempt of a delivery is made. It reads no clock and makes no random number.

use std::time::Duration;

/// The delays between attempts: ten attempts in about three days.
const DELAYS: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 60 * 60),
    Duration::from_secs(5 * 60 * 60),
    Duration::from_secs(10 * 60 * 60),
    Duration::from_secs(14 * 60 * 60),
    Duration::from_secs(20 * 60 * 60),
    Duration::from_secs(24 * 60 * 60),
];

/// A receiver can put the next attempt off by as much as this, and not further.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// How far a delay is spread, either way, so that deliveries that failed together don't come back together.
const JITTER: f64 = 0.1;

/// How long to wait after this many failed attempts; nothing when there were enough. A receiver's `Retry-After` can
/// make it longer, never shorter. `random` is a number from 0 to 1.
pub(crate) fn delay_after(
    attempts: usize,
    retry_after: Option<Duration>,
    random: f64,
) -> Option<Duration> {
    let delay = DELAYS.get(attempts.checked_sub(1)?)?;
    let spread = delay.mul_f64(1.0 - JITTER + 2.0 * JITTER * random.clamp(0.0, 1.0));
    Some(spread.max(retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn there_are_ten_attempts_and_no_more() {
        let delays: Vec<u64> = (1..)
            .map_while(|attempts| delay_after(attempts, None, 0.5))
            .map(|delay| delay.as_secs())
            .collect();
        assert_eq!(
            delays,
            [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]
        );
    }

    #[test]
    fn a_receiver_can_ask_for_more_time_within_bounds_and_never_for_less() {
        let after = |seconds| {
            delay_after(2, Some(Duration::from_secs(seconds)), 0.5).expect("a second attempt")
        };
        assert_eq!(after(10), Duration::from_secs(300));
        assert_eq!(after(600), Duration::from_secs(600));
        assert_eq!(after(u64::MAX), LONGEST_RETRY_AFTER);
    }

    proptest! {
        #[test]
        fn a_delay_is_spread_by_a_tenth_at_most(attempts in 1_usize..=9, random in 0.0..=1.0) {
            let delay = delay_after(attempts, None, random).expect("not the last");
            let middle = DELAYS[attempts - 1];
            prop_assert!(delay >= middle.mul_f64(0.899) && delay <= middle.mul_f64(1.101));
        }
    }
}
