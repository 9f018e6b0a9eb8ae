//! Which runs of an organization are let into the queue, so that one with ten thousand of them does not starve another.
//!
//! What stands where is seen in an index, which lags. So there are two questions. How many have a place? What the index
//! shows is believed as long as it leaves room for one of those that wait; where it leaves none, the runs themselves
//! decide, since some of them may have ended. And who is let in? Those that wait and are the oldest, as the runs
//! themselves say. The store looks, and asks here.

use crate::RunId;
use crate::run::{Phase, Run};

/// How many runs of an organization may have a place in the queue or with a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub usize);

impl Limit {
    /// Whether so many leave room for one more.
    #[must_use]
    pub fn leaves_room(self, taken: usize) -> bool {
        taken < self.0
    }

    /// Which of some runs are let in: the oldest that wait, as many as there is room for. `counted` have a place. The runs
    /// are those that the index shows as waiting: one that was let in a moment ago has its place already, although
    /// nobody has counted it yet.
    #[must_use]
    pub fn admits<'r>(self, counted: &[RunId], seen_waiting: &'r [Run]) -> Vec<&'r Run> {
        let has_new_place = |run: &&Run| run.has_place() && !counted.contains(&run.id);
        let let_in_before = seen_waiting.iter().filter(has_new_place).count();
        let room = self.0.saturating_sub(counted.len() + let_in_before);
        let mut waiting: Vec<&Run> = seen_waiting
            .iter()
            .filter(|run| run.waits_for_admission())
            .collect();
        waiting.sort_by_key(|run| run.id);
        waiting.dedup_by_key(|run| run.id);
        waiting.truncate(room);
        waiting
    }
}

impl Run {
    /// Whether it is ready and was not admitted to the queue yet.
    #[must_use]
    pub fn waits_for_admission(&self) -> bool {
        matches!(
            self.phase,
            Phase::Ready {
                is_admitted: false,
                ..
            }
        )
    }

    /// Whether a worker has it. One that waits for a person has its browser.
    #[must_use]
    pub fn is_in_work(&self) -> bool {
        matches!(
            self.phase,
            Phase::InProgress { .. } | Phase::AwaitingUserInput { .. }
        )
    }

    /// Whether it has one of its organization's places: in the queue, or with a worker.
    #[must_use]
    pub fn has_place(&self) -> bool {
        self.is_in_work()
            || matches!(
                self.phase,
                Phase::Ready {
                    is_admitted: true,
                    ..
                }
            )
    }
}
