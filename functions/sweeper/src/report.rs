//! What a sweep found and did, as numbers.

use std::time::Duration;

use platform::telemetry::metrics::Measurement;
use serde::Serialize;

/// What was done about one overdue item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// Nothing: somebody else was faster, and the index lags.
    Nothing,
    /// A ready run was put into the queue again.
    RunEnqueued,
    /// Runs that waited for their organization's turn were admitted to the queue: an end went unheard.
    RunsAdmitted,
    /// A run still waits for its organization's turn.
    StillWaiting,
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
    /// See [`Done::RunsAdmitted`].
    pub runs_admitted: u32,
    /// See [`Done::StillWaiting`].
    pub still_waiting: u32,
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
    /// How many of those were set aside, since they will fail again: each is tried later and later.
    pub set_aside: u32,
    /// What there was no time for, at least: what is behind it was not counted.
    pub left_over: u32,
}

impl Report {
    pub(crate) fn count(&mut self, done: Done) {
        let counter = match done {
            Done::Nothing => &mut self.nothing,
            Done::RunEnqueued => &mut self.runs_enqueued,
            Done::RunsAdmitted => &mut self.runs_admitted,
            Done::StillWaiting => &mut self.still_waiting,
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
            runs_admitted: self.runs_admitted + other.runs_admitted,
            still_waiting: self.still_waiting + other.still_waiting,
            queue_deadlines: self.queue_deadlines + other.queue_deadlines,
            work_deadlines: self.work_deadlines + other.work_deadlines,
            questions_expired: self.questions_expired + other.questions_expired,
            leases_alive: self.leases_alive + other.leases_alive,
            leases_expired: self.leases_expired + other.leases_expired,
            runs_concluded: self.runs_concluded + other.runs_concluded,
            job_runs_reconciled: self.job_runs_reconciled + other.job_runs_reconciled,
            deliveries_enqueued: self.deliveries_enqueued + other.deliveries_enqueued,
            failed: self.failed + other.failed,
            set_aside: self.set_aside + other.set_aside,
            left_over: self.left_over + other.left_over,
        }
    }

    /// The same for whoever operates the service. Zeros too: a sweep that finds nothing is a sign of life.
    pub(crate) fn measurement(&self, took: Duration) -> Measurement {
        Measurement::duration("SweepTime", took)
            .and_count("SweptRunsEnqueued", self.runs_enqueued.into())
            .and_count("SweptRunsAdmitted", self.runs_admitted.into())
            .and_count("SweptQueueDeadlines", self.queue_deadlines.into())
            .and_count("SweptWorkDeadlines", self.work_deadlines.into())
            .and_count("SweptQuestionsExpired", self.questions_expired.into())
            .and_count("SweptLeasesExpired", self.leases_expired.into())
            .and_count("SweptRunsConcluded", self.runs_concluded.into())
            .and_count("SweptJobRuns", self.job_runs_reconciled.into())
            .and_count("SweptDeliveriesEnqueued", self.deliveries_enqueued.into())
            .and_count("SweepFailures", self.failed.into())
            .and_count("SweepSetAside", self.set_aside.into())
            .and_count("SweepLeftOver", self.left_over.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_find_of_a_sweep_has_a_metric_of_its_own_but_what_needed_nothing() {
        let all = [
            Done::Nothing,
            Done::RunEnqueued,
            Done::RunsAdmitted,
            Done::StillWaiting,
            Done::QueueDeadline,
            Done::WorkDeadline,
            Done::QuestionExpired,
            Done::LeaseAlive,
            Done::LeaseExpired,
            Done::RunConcluded,
            Done::JobRunReconciled,
            Done::DeliveryEnqueued,
        ];
        let measured_after = |done: &[Done]| {
            let mut report = Report::default();
            for done in done {
                report.count(*done);
            }
            report.measurement(Duration::ZERO)
        };
        let unmeasured: Vec<Done> = all
            .into_iter()
            .filter(|done| measured_after(&[*done]) == measured_after(&[]))
            .collect();
        assert_eq!(
            unmeasured,
            [Done::Nothing, Done::StillWaiting, Done::LeaseAlive]
        );
        let measured: Vec<Measurement> = all
            .into_iter()
            .filter(|done| !unmeasured.contains(done))
            .map(|done| measured_after(&[done]))
            .collect();
        for (index, one) in measured.iter().enumerate() {
            assert!(
                !measured[..index].contains(one),
                "{one:?} is counted as another"
            );
        }
    }
}
