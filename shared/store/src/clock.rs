//! The clock that commits are stamped with, and the randomness of ids. The domain has neither.

use std::time::{SystemTime, UNIX_EPOCH};

use domain::Timestamp;
use domain::run::CommitId;

/// The wall clock, to the millisecond.
#[must_use]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// Bytes from the operating system's generator.
///
/// # Panics
/// If the operating system has no randomness to give, which nothing could go on without.
#[must_use]
pub fn fresh_random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}

/// A fresh UUIDv7 of any kind: `fresh_id(RunId::new, now())`.
pub fn fresh_id<Id>(new: impl FnOnce(Timestamp, [u8; 10]) -> Id, now: Timestamp) -> Id {
    new(now, fresh_random())
}

/// A fresh commit id.
#[must_use]
pub fn fresh_commit() -> CommitId {
    CommitId(u32::from_be_bytes(fresh_random()))
}
