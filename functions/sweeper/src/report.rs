//! What a sweep found and did, as numbers.

use serde::Serialize;

/// What was done about one overdue item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// Nothing: somebody else was faster, and the index lags.
    Nothing,
    /// A ready run was put into the queue again.
    RunEnqueued,
    /// A run failed, because no worker took it in time.
    QueueDeadline,
    /// A run failed, because its working time is used up.
    WorkDeadline,
    /// A run failed, because nobody answered in time.
    QuestionExpired,
    /// A run's worker is alive; it is looked at again when its lease ends.
    LeaseAlive,
    /// A run lost its worker: it is ready again, or has failed.
    LeaseExpired,
    /// What an ended run still owed is done.
    RunConcluded,
    /// A job run was brought to where it should be.
    JobRunReconciled,
    /// A delivery was put into the queue again.
    DeliveryEnqueued,
}

/// How often a sweep did what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// See [`Done::Nothing`].
    pub nothing: u32,
    /// See [`Done::RunEnqueued`].
    pub runs_enqueued: u32,
    /// See [`Done::QueueDeadline`].
    pub queue_deadlines: u32,
    /// See [`Done::WorkDeadline`].
    pub work_deadlines: u32,
    /// See [`Done::QuestionExpired`].
    pub questions_expired: u32,
    /// See [`Done::LeaseAlive`].
    pub leases_alive: u32,
    /// See [`Done::LeaseExpired`].
    pub leases_expired: u32,
    /// See [`Done::RunConcluded`].
    pub runs_concluded: u32,
    /// See [`Done::JobRunReconciled`].
    pub job_runs_reconciled: u32,
    /// See [`Done::DeliveryEnqueued`].
    pub deliveries_enqueued: u32,
    /// What could not be dealt with; the log says what and why.
    pub failed: u32,
    /// What there was no time for.
    pub left_over: u32,
}

impl Report {
    pub(crate) fn count(&mut self, done: Done) {
        let counter = match done {
            Done::Nothing => &mut self.nothing,
            Done::RunEnqueued => &mut self.runs_enqueued,
            Done::QueueDeadline => &mut self.queue_deadlines,
            Done::WorkDeadline => &mut self.work_deadlines,
            Done::QuestionExpired => &mut self.questions_expired,
            Done::LeaseAlive => &mut self.leases_alive,
            Done::LeaseExpired => &mut self.leases_expired,
            Done::RunConcluded => &mut self.runs_concluded,
            Done::JobRunReconciled => &mut self.job_runs_reconciled,
            Done::DeliveryEnqueued => &mut self.deliveries_enqueued,
        };
        *counter += 1;
    }

    pub(crate) fn plus(self, other: &Self) -> Self {
        Self {
            nothing: self.nothing + other.nothing,
            runs_enqueued: self.runs_enqueued + other.runs_enqueued,
            queue_deadlines: self.queue_deadlines + other.queue_deadlines,
            work_deadlines: self.work_deadlines + other.work_deadlines,
            questions_expired: self.questions_expired + other.questions_expired,
            leases_alive: self.leases_alive + other.leases_alive,
            leases_expired: self.leases_expired + other.leases_expired,
            runs_concluded: self.runs_concluded + other.runs_concluded,
            job_runs_reconciled: self.job_runs_reconciled + other.job_runs_reconciled,
            deliveries_enqueued: self.deliveries_enqueued + other.deliveries_enqueued,
            failed: self.failed + other.failed,
            left_over: self.left_over + other.left_over,
        }
    }
}
