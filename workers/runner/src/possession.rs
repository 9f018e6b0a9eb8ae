//! The runs in a runner's hands, as the table has them.
//!
//! What can change from outside (a cancellation, an answer, the loss of the lease) is read once a second, for all of
//! them in one request; and for those that wait for a person once more in between, so that an answer is not only seen
//! within a second, but its run goes on.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::run::{Phase, Run, Status};
use domain::{FailureCode, RunId};
use store::Store;
use tokio::sync::watch;

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// All runs in hand.
#[derive(Default)]
pub(crate) struct Possessions {
    /// With the attempt: the same runner may have a run again before it has let go of it.
    all: Mutex<HashMap<RunId, (u32, watch::Sender<Run>)>>,
    count: watch::Sender<usize>,
}

/// One run in hand. Dropping it forgets the run.
pub(crate) struct Possession<'p> {
    attempt: u32,
    id: RunId,
    newest: watch::Sender<Run>,
    /// Held while a state is being entered.
    entering: tokio::sync::Mutex<()>,
    all: &'p Possessions,
}

impl Possessions {
    /// Takes a run that was just claimed into hand.
    pub(crate) fn take(&self, run: Run) -> Possession<'_> {
        let (id, attempt) = (run.id, run.attempt);
        let newest = watch::Sender::new(run);
        self.lock().insert(id, (attempt, newest.clone()));
        self.tell();
        Possession {
            attempt,
            id,
            newest,
            entering: tokio::sync::Mutex::new(()),
            all: self,
        }
    }

    /// Reads all runs in hand again, for ever.
    pub(crate) async fn follow(&self, store: &Store) {
        loop {
            tokio::time::sleep(LOOK_EVERY / 2).await;
            self.look(store, |run| run.status() == Status::AwaitingUserInput)
                .await;
            tokio::time::sleep(LOOK_EVERY / 2).await;
            self.look(store, |_| true).await;
        }
    }

    /// Reads some of the runs in hand again, by how they were seen last.
    async fn look(&self, store: &Store, is_meant: impl Fn(&Run) -> bool) {
        let ids: Vec<RunId> = {
            let all = self.lock();
            let meant = all
                .iter()
                .filter(|(_, (_, newest))| is_meant(&newest.borrow()));
            meant.map(|(id, _)| *id).collect()
        };
        if ids.is_empty() {
            return;
        }
        match store.each_run(&ids).await {
            Ok(runs) => {
                for (id, run) in runs {
                    match (run, self.lock().get(&id)) {
                        (Ok(run), Some((_, sender))) => see(sender, run),
                        (Ok(_), None) => {}
                        (Err(error), _) => {
                            tracing::error!(run_id = %id, %error, "A run in hand can't be read");
                        }
                    }
                }
            }
            // The leases bound what can go wrong meanwhile.
            Err(error) => tracing::warn!(%error, "The runs in hand could not be read"),
        }
    }

    /// How many they are.
    pub(crate) fn count(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }

    fn tell(&self) {
        let all = self.lock();
        self.count.send_replace(all.len());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, (u32, watch::Sender<Run>)>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn see(sender: &watch::Sender<Run>, run: Run) {
    sender.send_if_modified(|known| {
        let is_newer = run.sequence > known.sequence;
        if is_newer {
            *known = run;
        }
        is_newer
    });
}

impl Possession<'_> {
    /// The fence that every write names.
    pub(crate) fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The run as it was seen last.
    pub(crate) fn run(&self) -> Run {
        self.newest.borrow().clone()
    }

    /// Says that the run is this now; what is older than what is known is ignored.
    pub(crate) fn see(&self, run: Run) {
        see(&self.newest, run);
    }

    /// Says that a state is being entered, as long as the guard lives: the run may have begun by that, and is not seen so
    /// yet.
    pub(crate) async fn entering(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.entering.lock().await
    }

    /// Waits until the run is known not to have begun its first step: it is not about to, either. A run that has, never is.
    pub(crate) async fn has_not_begun(&self) {
        drop(self.entering.lock().await);
        let has_not_begun = matches!(
            self.newest.borrow().phase,
            Phase::InProgress {
                has_begun: false,
                ..
            }
        );
        if !has_not_begun {
            std::future::pending().await
        }
    }

    /// Waits until the run, as it is seen, fulfils a condition.
    pub(crate) async fn until(&self, condition: impl Fn(&Run) -> bool) -> Run {
        let mut newest = self.newest.subscribe();
        let found = newest
            .wait_for(|run| condition(run))
            .await
            .map(|run| run.clone());
        match found {
            Ok(run) => run,
            // The sender is this possession's own, so it can't be gone.
            Err(_) => std::future::pending().await,
        }
    }

    /// Whether the run was ended from outside while this attempt had it: somebody cancelled it, or the sweeper was faster
    /// at a deadline. Whoever lost its lease is not meant: it may not act any more.
    pub(crate) fn was_ended_from_outside(&self, run: &Run) -> bool {
        let Phase::Failed(failure) = &run.phase else {
            return false;
        };
        let from_outside = matches!(
            failure.code,
            FailureCode::Canceled | FailureCode::DeadlineExceeded | FailureCode::UserInputTimeout
        );
        from_outside && run.attempt == self.attempt
    }

    /// Whether the run is not this attempt's any more: it has ended, or was given to somebody else.
    pub(crate) fn is_lost(&self, run: &Run) -> bool {
        run.attempt != self.attempt || run.status().is_final() || run.status() == Status::Pending
    }
}

impl Drop for Possession<'_> {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        if all
            .get(&self.id)
            .is_some_and(|(attempt, _)| *attempt == self.attempt)
        {
            all.remove(&self.id);
        }
        drop(all);
        self.all.tell();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use domain::run::{CommitId, NewRun, Policy};
    use domain::{OrganizationId, Timestamp, WorkflowId};

    use super::*;

    /// A run in an attempt of this runner.
    fn run(attempt: u32) -> Run {
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
        Run {
            attempt,
            ..Run::create(new, at, CommitId(1))
        }
    }

    /// Which look a cancellation or an answer is seen by, the runner's tests count: how long that takes, no test can
    /// measure on a machine that may stand still.
    #[test]
    fn the_runs_in_hand_are_looked_at_once_a_second() {
        assert!(LOOK_EVERY <= Duration::from_secs(1), "{LOOK_EVERY:?}");
    }

    #[test]
    fn letting_go_of_an_earlier_attempt_forgets_no_later_one() {
        let all = Possessions::default();
        let earlier = all.take(run(1));
        let later = all.take(run(2));
        drop(earlier);
        assert_eq!(*all.count().borrow(), 1);
        drop(later);
        assert_eq!(*all.count().borrow(), 0);
    }
}
