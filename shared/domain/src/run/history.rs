//! The timeline of a run.

use serde::{Deserialize, Serialize};

use super::{Event, Run, Status};
use crate::Timestamp;

/// Made at random for each commit and kept with its history entry: a caller whose answer got lost, and that finds its
/// own commit id in the fresh item, did commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommitId(pub u32);

/// How long the reason for a skipped state may be, in characters: it is kept in the run's item.
const MOST_REASON_CHARS: usize = 200;

/// A state that was not executed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SkippedState {
    /// Its name.
    pub name: String,
    /// Why: what did not hold.
    pub reason: String,
}

impl SkippedState {
    /// A skipped state; a long reason is cut.
    #[must_use]
    pub fn new(name: impl Into<String>, reason: &str) -> Self {
        let mut cut: String = reason.chars().take(MOST_REASON_CHARS).collect();
        if cut.len() < reason.len() {
            cut.pop();
            cut.push('…');
        }
        Self {
            name: name.into(),
            reason: cut,
        }
    }
}

/// One change of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Grows by exactly one each time.
    pub sequence: u64,
    /// The status after the change.
    pub status: Status,
    /// The state after the change.
    pub state_name: Option<String>,
    /// The attempt after the change.
    pub attempt: u32,
    /// When it was made.
    pub at: Timestamp,
    /// Which commit made it.
    pub commit: CommitId,
    /// The states that were skipped since the change before.
    pub skipped: Vec<SkippedState>,
    /// Until when the run waits before it is executed again, if it does.
    pub not_before: Option<Timestamp>,
    /// Whether it goes on because nobody answered its question in time.
    pub is_unanswered: bool,
}

impl Run {
    /// Appends what the run is now to its history, as the next change. `now` is not earlier than the last one; there is an
    /// event for each but the first.
    pub(super) fn record(&mut self, now: Timestamp, commit: CommitId, event: Option<&Event>) {
        self.sequence += 1;
        let wait = self.waits_for_retry(now);
        self.history.push(HistoryEntry {
            sequence: self.sequence,
            status: self.status(),
            state_name: self.current_state_name.clone(),
            attempt: self.attempt,
            at: now,
            commit,
            skipped: event.map(Event::skipped).unwrap_or_default().to_vec(),
            not_before: (!wait.is_zero()).then(|| now.plus(wait)),
            is_unanswered: matches!(event, Some(Event::WentOnUnanswered { .. })),
        });
    }

    /// Whether a commit with this id is part of the run's history.
    #[must_use]
    pub fn has_commit(&self, commit: CommitId) -> bool {
        self.history.iter().any(|entry| entry.commit == commit)
    }
}
