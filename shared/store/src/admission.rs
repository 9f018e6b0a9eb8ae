//! How many runs of one organization may be queued or in work at the same time, so that one with ten thousand of them
//! does not starve another. What is over the limit is written, but not enqueued; each end admits the oldest that wait,
//! and the sweeper does so behind it. What runs is counted from the index by status, never by a counter that can drift.

use domain::run::{Phase, Run, Status};
use domain::{OrganizationId, RunId, Timestamp};
use uuid::Uuid;

use crate::item::string;
use crate::{Result, RunMessage, Store, StoreError, keys};

/// How a run stands in the index by status: its status, but that PENDING has three partitions, so that neither those that
/// wait nor those that are held hide those that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// PENDING, and in the queue.
    Queued,
    /// PENDING, and not admitted to the queue yet.
    Waiting,
    /// PENDING, and held by its job run.
    Held,
    /// Any other status.
    As(Status),
}

impl Standing {
    pub(crate) fn of(run: &Run) -> Self {
        match run.phase {
            Phase::Held => Self::Held,
            Phase::Ready {
                is_admitted: false, ..
            } => Self::Waiting,
            Phase::Ready { .. } => Self::Queued,
            Phase::InProgress { .. }
            | Phase::AwaitingUserInput { .. }
            | Phase::Completed
            | Phase::CompletedWithNoActionTaken { .. }
            | Phase::Failed(_) => Self::As(run.status()),
        }
    }

    /// All that clients see as one status.
    pub(crate) fn of_status(status: Status) -> &'static [Self] {
        match status {
            Status::Pending => &[Self::Queued, Self::Waiting, Self::Held],
            Status::InProgress => &[Self::As(Status::InProgress)],
            Status::AwaitingUserInput => &[Self::As(Status::AwaitingUserInput)],
            Status::Completed => &[Self::As(Status::Completed)],
            Status::CompletedWithNoActionTaken => &[Self::As(Status::CompletedWithNoActionTaken)],
            Status::Failed => &[Self::As(Status::Failed)],
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "PENDING",
            Self::Waiting => "PENDING#WAITING",
            Self::Held => "PENDING#HELD",
            Self::As(status) => status.as_str(),
        }
    }
}

/// In work: a worker has it.
const IN_WORK: [Standing; 2] = [
    Standing::As(Status::InProgress),
    Standing::As(Status::AwaitingUserInput),
];

/// What counts against the limit: in work, or in the queue.
const ADMITTED: [Standing; 3] = [IN_WORK[0], IN_WORK[1], Standing::Queued];

impl Store {
    /// Whether an organization may have one more run in the queue. Two that ask at the same moment may both hear yes;
    /// [`Store::may_work`] is asked again when a run is claimed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn has_room(&self, organization_id: OrganizationId) -> Result<bool> {
        let limit = self.resources.concurrent_runs() as usize;
        // Where many are created at once, the queue alone is full, and one look tells.
        let queued = self
            .standing(organization_id, &[Standing::Queued], limit)
            .await?;
        if queued.len() >= limit {
            return Ok(false);
        }
        let in_work = self.standing(organization_id, &IN_WORK, limit).await?;
        Ok(queued.len() + in_work.len() < limit)
    }

    /// Whether an organization may have one more run in work.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn may_work(&self, organization_id: OrganizationId) -> Result<bool> {
        let limit = self.resources.concurrent_runs() as usize;
        let counted = self.standing(organization_id, &IN_WORK, limit).await?;
        Ok(counted.len() < limit)
    }

    /// Lets the oldest waiting runs of an organization into the queue, as many as there is room for, and answers how
    /// many those were. `ended` is a run that has just ended, and that the index may still count.
    ///
    /// Whoever notices first does it: callers that do it at the same time admit the same runs, and a second message does
    /// nothing.
    ///
    /// # Errors
    /// [`StoreError`]; whoever is admitted stays admitted.
    pub async fn admit_waiting(
        &self,
        organization_id: OrganizationId,
        ended: Option<RunId>,
        now: Timestamp,
    ) -> Result<usize> {
        let limit = self.resources.concurrent_runs() as usize;
        let waiting = [Standing::Waiting];
        // Nearly always nobody waits: one cheap look tells.
        if self
            .standing(organization_id, &waiting, 1)
            .await?
            .is_empty()
        {
            return Ok(0);
        }
        let mut counted = self.standing(organization_id, &ADMITTED, limit + 1).await?;
        if let Some(ended) = ended {
            counted.retain(|id| *id != ended);
        }
        let room = limit.saturating_sub(counted.len());
        if room == 0 {
            return Ok(0);
        }
        let oldest = self.standing(organization_id, &waiting, room).await?;
        let mut admitted = 0;
        for run in self.runs(&oldest).await? {
            // The index lags: one that was admitted a moment ago takes its room all the same.
            if run.waits_for_admission() && run.organization_id == organization_id {
                admitted += usize::from(self.admit(&run, now).await?);
            }
        }
        Ok(admitted)
    }

    /// Lets one waiting run into the queue. Answers whether it did: somebody else may have been faster.
    ///
    /// It writes first and enqueues afterwards: the claim of a run that is not admitted is refused. Should the send fail,
    /// the run is due in a minute.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn admit(&self, run: &Run, now: Timestamp) -> Result<bool> {
        let mut run = run.clone();
        while !self.postpone_run(&run, &run.admitted(true, now)).await? {
            // The sweeper may have looked at it meanwhile, and have left it waiting.
            match self.run(run.id).await? {
                Some(fresh) if fresh.waits_for_admission() => run = fresh,
                _ => return Ok(false),
            }
        }
        let message = RunMessage::about(&run);
        if let Err(error) = self.enqueue_run(message).await {
            tracing::warn!(run_id = %run.id, %error, "A run could not be enqueued; the sweeper will do it");
        }
        Ok(true)
    }

    /// The oldest runs that stand in one of these ways, at most `most` of each.
    async fn standing(
        &self,
        organization_id: OrganizationId,
        standings: &[Standing],
        most: usize,
    ) -> Result<Vec<RunId>> {
        let queries = standings.iter().map(async |standing| {
            let answer = self
                .dynamo
                .query()
                .table_name(self.table()?)
                .index_name(keys::BY_STATUS)
                .key_condition_expression("#partition = :partition")
                .expression_attribute_names("#partition", keys::BY_STATUS)
                .expression_attribute_values(
                    ":partition",
                    string(keys::by_status(organization_id, *standing)),
                )
                .limit(i32::try_from(most).unwrap_or(i32::MAX))
                .send()
                .await
                .map_err(|error| StoreError::from_sdk("Query", &error))?;
            let ids = answer
                .items
                .unwrap_or_default()
                .into_iter()
                .filter_map(|item| {
                    let id = item.get("id")?.as_s().ok()?;
                    Uuid::try_parse(id).ok().map(RunId::from)
                });
            Ok::<_, StoreError>(ids.collect::<Vec<RunId>>())
        });
        let found = futures::future::try_join_all(queries).await?;
        Ok(found.into_iter().flatten().collect())
    }
}
