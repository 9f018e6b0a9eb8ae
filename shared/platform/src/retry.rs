//! How long to wait before trying again: exponential delays with full jitter, as an iterator.
//!
//! It never sleeps and never decides how often: callers take as many delays as they have tries.

use std::time::Duration;

/// The policy: the n-th delay lies between zero and `first` doubled n times, at most `cap`. Full
/// jitter spreads callers that failed together better than a small one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Backoff {
    /// The upper bound of the first delay.
    pub first: Duration,
    /// The upper bound of every delay.
    pub cap: Duration,
}

impl Backoff {
    /// The delays, without end. `random` gives numbers from 0 up to 1; [`random_fraction`] is the
    /// one to use outside tests.
    pub fn delays<R: FnMut() -> f64>(self, random: R) -> Delays<R> {
        Delays {
            bound: self.first.min(self.cap),
            cap: self.cap,
            random,
        }
    }
}

/// An endless iterator of delays; see [`Backoff::delays`].
#[derive(Clone, Debug)]
pub struct Delays<R> {
    bound: Duration,
    cap: Duration,
    random: R,
}

impl<R: FnMut() -> f64> Iterator for Delays<R> {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let delay = self.bound.mul_f64((self.random)().clamp(0.0, 1.0));
        self.bound = self.bound.saturating_mul(2).min(self.cap);
        Some(delay)
    }
}

/// A random number from 0 up to 1, from the operating system; 1, the longest wait, should the
/// system have none to give.
#[must_use]
pub fn random_fraction() -> f64 {
    getrandom::u32().map_or(1.0, |bits| f64::from(bits) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BACKOFF: Backoff = Backoff {
        first: Duration::from_millis(100),
        cap: Duration::from_millis(500),
    };

    #[test]
    fn delays_double_up_to_the_cap_and_stay_there() {
        let bounds: Vec<u128> = BACKOFF
            .delays(|| 1.0)
            .take(5)
            .map(|delay| delay.as_millis())
            .collect();
        assert_eq!(bounds, [100, 200, 400, 500, 500]);
    }

    #[test]
    fn delays_go_on_without_overflowing() {
        let endless = Backoff {
            first: Duration::from_secs(1),
            cap: Duration::MAX,
        };
        assert!(endless.delays(|| 0.5).nth(200).is_some());
    }

    #[test]
    fn random_fractions_lie_within_their_bounds_and_differ() {
        let fractions: Vec<f64> = (0..64).map(|_| random_fraction()).collect();
        assert!(
            fractions
                .iter()
                .all(|fraction| (0.0..=1.0).contains(fraction))
        );
        assert!(fractions.iter().any(|fraction| *fraction != fractions[0]));
    }

    proptest! {
        #[test]
        fn a_delay_lies_between_zero_and_its_bound(fraction in 0.0..=1.0, nth in 0_usize..20) {
            let delay = BACKOFF.delays(|| fraction).nth(nth).expect("endless");
            let bound = BACKOFF.delays(|| 1.0).nth(nth).expect("endless");
            prop_assert!(delay <= bound);
            prop_assert!(delay.as_secs_f64() >= bound.as_secs_f64() * fraction * 0.999);
        }
    }
}
