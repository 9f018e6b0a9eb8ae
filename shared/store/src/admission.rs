//! How many runs of one organization may be queued or in work at the same time, so that one with ten thousand of them
//! does not starve another. What is over the limit is written, but not enqueued; each end admits the oldest that wait,
//! and the sweeper does so behind it. What runs is counted from the index by status, never by a counter that can drift.
//! The rules are [`domain::admission`]'s.

use domain::admission::Limit;
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

/// What has a place: in work, or in the queue.
const WITH_PLACE: [Standing; 3] = [IN_WORK[0], IN_WORK[1], Standing::Queued];

/// How many of those that wait are read beside those that there is room for: some may have been admitted or have ended
/// since, and one that can't be read must not keep out those behind it.
const READ_AHEAD: usize = 5;

/// How often that is done. What is behind so many that don't wait any more is left to the next look.
const MOST_READS: usize = 20;

/// What a caller knows of the moment, and the index need not show yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JustNow {
    /// Nothing.
    Nothing,
    /// This run has ended.
    Ended(RunId),
    /// This run waits.
    Waits(RunId),
}

/// Whether a new run of an organization may go into the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Room {
    /// It may.
    Free,
    /// It may not: these have all places, or, where they are fewer than the limit, others wait already.
    Taken(Vec<RunId>),
}

impl Store {
    fn limit(&self) -> Limit {
        Limit(self.resources.concurrent_runs() as usize)
    }

    /// Whether a new run of an organization may go into the queue at once. Two that ask at the same moment may both hear
    /// yes: [`Store::may_work`] is asked again when a run is claimed. Who hears no writes the run as one that waits, and
    /// then asks [`Store::admit_written`] whether that is still true.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn room(&self, organization_id: OrganizationId) -> Result<Room> {
        let limit = self.limit();
        // Nobody goes ahead of those that wait: where runs are created all the time, their turn would never come. And
        // where many are created at once, the queue alone is full. So one look tells, mostly.
        let (waiting, mut counted) = futures::try_join!(
            self.standing(organization_id, &[Standing::Waiting], 1, None),
            self.standing(organization_id, &[Standing::Queued], limit.0, None),
        )?;
        if !waiting.is_empty() || !limit.leaves_room(counted.len()) {
            return Ok(Room::Taken(counted));
        }
        counted.extend(
            self.standing(organization_id, &IN_WORK, limit.0, None)
                .await?,
        );
        counted.sort_unstable();
        counted.dedup();
        Ok(if limit.leaves_room(counted.len()) {
            Room::Free
        } else {
            Room::Taken(counted)
        })
    }

    /// For whoever has just written a run as one that waits, because of [`Room::Taken`]: lets in the oldest that wait, if
    /// there is room by now. The last one may have ended between the count and the write, and have seen nobody wait.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn admit_written(&self, run: &Run, taken_by: &[RunId], now: Timestamp) -> Result<()> {
        let was_full = !self.limit().leaves_room(taken_by.len());
        if self.is_behind_another(run).await? || (was_full && self.are_there(run, taken_by).await?)
        {
            return Ok(());
        }
        self.admit_waiting(run.organization_id, JustNow::Waits(run.id), now)
            .await
            .map(drop)
    }

    /// Whether an older one waits: who lets that in lets in this one in its turn. While many wait, this is all that the
    /// writer of one more has to know. (Who puts a run back gives up its place, and has to look for whom that is.)
    async fn is_behind_another(&self, run: &Run) -> Result<bool> {
        let mut oldest = self
            .standing(run.organization_id, &[Standing::Waiting], 1, None)
            .await?;
        oldest.retain(|oldest| *oldest < run.id);
        let oldest = self.readable(run.organization_id, &oldest).await?;
        Ok(oldest.iter().any(Run::waits_for_admission))
    }

    /// Whether so many runs still have their places that there is no room.
    async fn are_there(&self, run: &Run, taken_by: &[RunId]) -> Result<bool> {
        let there = Box::pin(self.readable(run.organization_id, taken_by)).await?;
        let still_there = there.iter().filter(|run| run.has_place()).count();
        Ok(!self.limit().leaves_room(still_there))
    }

    /// Whether an organization may have one more run in work.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn may_work(&self, organization_id: OrganizationId) -> Result<bool> {
        let limit = self.limit();
        let mut counted = self.shown(organization_id, &IN_WORK, None).await?;
        if !limit.leaves_room(counted.len()) {
            counted = self
                .themselves(organization_id, &counted, Run::is_in_work)
                .await?;
        }
        Ok(limit.leaves_room(counted.len()))
    }

    /// Lets the oldest waiting runs of an organization into the queue, as many as there is room for, and answers how
    /// many those were.
    ///
    /// Whoever notices first does it: callers that do it at the same time admit the same runs, and a second message does
    /// nothing.
    ///
    /// # Errors
    /// [`StoreError`]; whoever is admitted stays admitted.
    pub async fn admit_waiting(
        &self,
        organization_id: OrganizationId,
        just_now: JustNow,
        now: Timestamp,
    ) -> Result<usize> {
        let (ended, waits) = match just_now {
            JustNow::Nothing => (None, None),
            JustNow::Ended(id) => (Some(id), None),
            JustNow::Waits(id) => (None, Some(id)),
        };
        // Nearly always nobody waits: one cheap look tells.
        if waits.is_none()
            && self
                .standing(organization_id, &[Standing::Waiting], 1, None)
                .await?
                .is_empty()
        {
            return Ok(0);
        }
        // What is rarely gone into takes no room in what is made each time.
        Box::pin(self.let_in(organization_id, ended, waits, now)).await
    }

    async fn let_in(
        &self,
        organization_id: OrganizationId,
        ended: Option<RunId>,
        waits: Option<RunId>,
        now: Timestamp,
    ) -> Result<usize> {
        let mut admitted = 0;
        loop {
            let chosen = self.chosen(organization_id, ended, waits).await?;
            let mut by_itself = 0;
            for run in &chosen {
                by_itself += usize::from(self.admit(run, now).await?);
            }
            admitted += by_itself;
            // Where somebody else was faster, that one may not have seen all the room that there is.
            if by_itself == chosen.len() {
                return Ok(admitted);
            }
        }
    }

    /// Which of those that wait there is room for. What the index shows as having a place is believed while it leaves room
    /// for at least one of them.
    async fn chosen(
        &self,
        organization_id: OrganizationId,
        ended: Option<RunId>,
        waits: Option<RunId>,
    ) -> Result<Vec<Run>> {
        let limit = self.limit();
        let shown = self.shown(organization_id, &WITH_PLACE, ended).await?;
        if limit.leaves_room(shown.len()) {
            let seen = self
                .oldest_waiting(organization_id, shown.len(), waits)
                .await?;
            let chosen = limit.admits(&shown, &seen);
            if !chosen.is_empty() || !seen.iter().any(Run::waits_for_admission) {
                return Ok(chosen.into_iter().cloned().collect());
            }
        }
        let counted = self
            .themselves(organization_id, &shown, Run::has_place)
            .await?;
        if !limit.leaves_room(counted.len()) {
            return Ok(Vec::new());
        }
        let seen = self
            .oldest_waiting(organization_id, counted.len(), waits)
            .await?;
        let chosen = limit.admits(&counted, &seen);
        Ok(chosen.into_iter().cloned().collect())
    }

    /// Runs that the index shows as waiting, the oldest first, until those that wait are as many as there is room for
    /// beside so many others; and one that waits for certain, if one is given.
    async fn oldest_waiting(
        &self,
        organization_id: OrganizationId,
        taken: usize,
        waits: Option<RunId>,
    ) -> Result<Vec<Run>> {
        let waiting = [Standing::Waiting];
        let room = self.limit().0.saturating_sub(taken);
        let page = room + READ_AHEAD;
        let mut ids = self.standing(organization_id, &waiting, page, None).await?;
        let mut behind = ids.last().copied().filter(|_| ids.len() == page);
        ids.extend(waits);
        let mut seen = self.readable(organization_id, &ids).await?;
        for _ in 1..MOST_READS {
            let waiting_there = seen.iter().filter(|run| run.waits_for_admission());
            let is_enough = waiting_there.count() >= room;
            let Some(last) = behind.filter(|_| !is_enough) else {
                break;
            };
            let ids = self
                .standing(organization_id, &waiting, page, Some(last))
                .await?;
            behind = ids.last().copied().filter(|_| ids.len() == page);
            seen.extend(self.readable(organization_id, &ids).await?);
        }
        Ok(seen)
    }

    /// Lets one waiting run into the queue. Answers whether it did: somebody else may have been faster.
    ///
    /// It writes first and enqueues afterwards: the claim of a run that is not admitted is refused. Should the send fail,
    /// the run is due in a minute.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn admit(&self, run: &Run, now: Timestamp) -> Result<bool> {
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

    /// The runs that the index shows as standing in one of these ways, but for one.
    async fn shown(
        &self,
        organization_id: OrganizationId,
        standings: &[Standing],
        but: Option<RunId>,
    ) -> Result<Vec<RunId>> {
        // Twice the limit, because some of those that the index shows may have ended.
        let most = self.limit().0 * 2;
        let mut shown = self
            .standing(organization_id, standings, most, None)
            .await?;
        shown.retain(|id| Some(*id) != but);
        // One that moves from one standing to another may be seen in both.
        shown.sort_unstable();
        shown.dedup();
        Ok(shown)
    }

    /// Which of some runs count, as they themselves say. One that can't be read does not: nobody can work on it.
    async fn themselves(
        &self,
        organization_id: OrganizationId,
        shown: &[RunId],
        counts: impl Fn(&Run) -> bool,
    ) -> Result<Vec<RunId>> {
        let runs = Box::pin(self.readable(organization_id, shown)).await?;
        let counted = runs.iter().filter(|run| counts(run));
        Ok(counted.map(|run| run.id).collect())
    }

    /// Those of an organization's runs that can be read.
    async fn readable(&self, organization_id: OrganizationId, ids: &[RunId]) -> Result<Vec<Run>> {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let runs = self.each_run(&ids).await?.into_iter();
        let readable = runs.filter_map(|(run_id, run)| match run {
            Ok(run) => Some(run),
            Err(error) => {
                tracing::error!(%run_id, %error, "A run of the index by status can't be read, and is left out");
                None
            }
        });
        Ok(readable
            .filter(|run| run.organization_id == organization_id)
            .collect())
    }

    /// The oldest runs that stand in one of these ways, at most `most` of each; those behind one, if one is given. One
    /// answer has so many: the limit is bounded so that it does.
    async fn standing(
        &self,
        organization_id: OrganizationId,
        standings: &[Standing],
        most: usize,
        behind: Option<RunId>,
    ) -> Result<Vec<RunId>> {
        // A key can't be empty, and every id is greater than this.
        let behind = behind.map_or_else(|| "0".to_owned(), |id| id.to_string());
        let queries = standings.iter().map(async |standing| {
            let answer = self
                .dynamo
                .query()
                .table_name(self.table()?)
                .index_name(keys::BY_STATUS)
                .key_condition_expression("#partition = :partition AND #id > :behind")
                .expression_attribute_names("#partition", keys::BY_STATUS)
                .expression_attribute_names("#id", "id")
                .expression_attribute_values(
                    ":partition",
                    string(keys::by_status(organization_id, *standing)),
                )
                .expression_attribute_values(":behind", string(&behind))
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

#[cfg(test)]
mod tests {
    use platform::configuration::Resources;

    use super::*;

    /// What a query reads at most for one answer.
    const ANSWER_BYTES: usize = 1024 * 1024;

    #[test]
    fn twice_the_greatest_limit_is_counted_with_one_query() {
        let (organization_id, run_id) = (Uuid::nil().into(), Uuid::nil().into());
        let key = keys::run(run_id);
        let most = 2 * Resources::MOST_CONCURRENT_RUNS as usize;
        for standing in WITH_PLACE {
            let partition = keys::by_status(organization_id, standing);
            let id = run_id.to_string();
            let entry = [
                "pk",
                &key.pk,
                "sk",
                &key.sk,
                keys::BY_STATUS,
                &partition,
                "id",
                &id,
            ];
            let bytes: usize = entry.iter().map(|text| text.len()).sum();
            assert!(
                bytes * most <= ANSWER_BYTES,
                "{bytes} bytes for {standing:?}"
            );
        }
    }
}
