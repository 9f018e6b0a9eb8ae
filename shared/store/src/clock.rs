//! The clock that commits are stamped with, and the randomness of ids. The domain has neither.

use std::time::{SystemTime, UNIX_EPOCH};

use domain::Timestamp;
use domain::run::{CommitId, Run};

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

/// The commit id of a new run's creation.
#[must_use]
pub fn fresh_commit() -> CommitId {
    CommitId(u32::from_be_bytes(fresh_random()))
}

/// A commit id for a run's next change. None of those in its history: what has one of these is taken for a change that got
/// through before, and 32 bits are too few to leave that to luck.
#[must_use]
pub fn next_commit(run: &Run) -> CommitId {
    unused(run, fresh_commit)
}

fn unused(run: &Run, mut draw: impl FnMut() -> CommitId) -> CommitId {
    loop {
        let commit = draw();
        if !run.has_commit(commit) {
            return commit;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use domain::run::{NewRun, Policy};
    use domain::{OrganizationId, RunId, WorkflowId};

    use super::*;

    #[test]
    fn the_commit_id_of_a_change_is_none_of_the_run_s_earlier_ones() {
        let at = Timestamp::from_millis(0);
        let new = NewRun {
            id: RunId::new(at, [1; 10]),
            organization_id: OrganizationId::new(at, [2; 10]),
            workflow_id: WorkflowId::new(at, [3; 10]),
            workflow_version: 1,
            job_run_id: None,
            retry_of_run_id: None,
            created_by_user_id: "user".to_owned(),
            metadata: BTreeMap::new(),
            secret_bindings: BTreeMap::new(),
            policy: Policy::default(),
            trace_parent: None,
        };
        let run = Run::create(new, at, CommitId(7));
        let mut drawn = [7, 7, 8].map(CommitId).into_iter();
        let commit = unused(&run, || drawn.next().expect("no more than three draws"));
        assert_eq!(commit, CommitId(8));
    }
}
