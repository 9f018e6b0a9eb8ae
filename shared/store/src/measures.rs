//! What a committed transition says to whoever operates Legwork. Every transition passes here, whoever made it, so that
//! a run's change of status is counted once and in one place. It changes nothing and never fails.

use domain::Timestamp;
use domain::run::{Event, Phase, Run};
use platform::telemetry::metrics::Measurement;

/// That a run has this status now, and had another one before, or was just created.
pub(crate) fn became(run: &Run) -> Measurement {
    Measurement::count("RunsByStatus", 1).of("Status", run.status().as_str())
}

/// The measurements of one transition.
pub(crate) fn of(before: &Run, event: &Event, after: &Run, now: Timestamp) -> Vec<Measurement> {
    let mut measured = Vec::new();
    match (&before.phase, event) {
        (Phase::Ready { since, .. }, Event::Claimed { .. }) => {
            measured.push(Measurement::duration("PickUpLatency", now.since(*since)));
        }
        (_, Event::LeaseExpired { .. }) => measured.push(Measurement::count("LeasesLost", 1)),
        (_, Event::GaveBack { .. }) => measured.push(Measurement::count("RunsGivenBack", 1)),
        _ => {}
    }
    if after.status() != before.status() {
        measured.push(became(after));
    }
    if let Phase::Failed(failure) = &after.phase {
        measured.push(Measurement::count("RunsFailed", 1).of("FailureCode", failure.code.as_str()));
    }
    measured
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use domain::run::{Finish, NewRun, Policy, Timings};
    use domain::{FailureCode, OrganizationId, RunId, WorkflowId};

    use super::*;
    use crate::fresh_commit;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn created() -> Run {
        let new = NewRun {
            id: RunId::new(at(0), [1; 10]),
            organization_id: OrganizationId::new(at(0), [2; 10]),
            workflow_id: WorkflowId::new(at(0), [3; 10]),
            workflow_version: 1,
            job_run_id: None,
            retry_of_run_id: None,
            created_by_user_id: "user".to_owned(),
            metadata: BTreeMap::new(),
            secret_bindings: BTreeMap::new(),
            policy: Policy::default(),
            trace_parent: None,
        };
        Run::create(new, at(0), fresh_commit())
    }

    fn claim() -> Event {
        Event::Claimed {
            worker_id: "worker".to_owned(),
            lease: Duration::from_secs(30),
        }
    }

    fn by_status(status: &'static str) -> Measurement {
        Measurement::count("RunsByStatus", 1).of("Status", status)
    }

    /// Applies an event, and says what is measured about it.
    fn measure(before: &Run, event: &Event, now: Timestamp) -> (Run, Vec<Measurement>) {
        let after = before
            .apply(event, now, fresh_commit())
            .expect("the event is legal");
        let measured = of(before, event, &after, now);
        (after, measured)
    }

    #[test]
    fn a_claim_says_how_long_the_run_was_ready() {
        let (_, measured) = measure(&created(), &claim(), at(7));
        assert_eq!(
            measured,
            [
                Measurement::duration("PickUpLatency", Duration::from_secs(7)),
                by_status("IN_PROGRESS"),
            ]
        );
    }

    #[test]
    fn each_change_of_status_is_counted_and_a_failure_by_its_code_too() {
        let (run, _) = measure(&created(), &claim(), at(1));
        let attempt = run.attempt;
        let entered = Event::EnteredState {
            attempt,
            name: "signing_in".to_owned(),
            skipped: Vec::new(),
        };
        let (run, measured) = measure(&run, &entered, at(2));
        assert_eq!(measured, []);
        let finished = Event::Finished {
            attempt,
            finish: Finish::Completed,
            skipped: Vec::new(),
            timings: Timings::default(),
        };
        assert_eq!(measure(&run, &finished, at(3)).1, [by_status("COMPLETED")]);

        let failed = |code: FailureCode| {
            Measurement::count("RunsFailed", 1).of("FailureCode", code.as_str())
        };
        assert_eq!(
            measure(&run, &Event::Canceled, at(3)).1,
            [by_status("FAILED"), failed(FailureCode::Canceled)]
        );
        assert_eq!(
            measure(&run, &Event::LeaseExpired { attempt }, at(40)).1,
            [
                Measurement::count("LeasesLost", 1),
                by_status("FAILED"),
                failed(FailureCode::WorkerLost)
            ]
        );
    }
}
