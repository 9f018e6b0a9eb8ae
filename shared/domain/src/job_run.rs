//! The job run: one execution of a job, which creates and manages one workflow run for each workflow of the job.
//!
//! [`reconcile`] is level-triggered: it looks at where everything stands and says what is still to be done, so that
//! it doesn't matter who calls it, or how often.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::run::{Phase, Run, Status};
use crate::{JobId, JobRunId, OrganizationId, RunId, Timestamp, WorkflowId};

/// What becomes of the later workflows when one has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// The ones whose turn has not come end as failed, with `JOB_RUN_STOPPED`.
    #[default]
    Stop,
    /// They go on.
    Continue,
}

/// A workflow run that a job run manages, as it was planned when the job run was created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManagedRun {
    /// Its id, fixed before it exists, so that it can be created only once.
    pub run_id: RunId,
    /// What it executes.
    pub workflow_id: WorkflowId,
    /// The version that was the latest when the job run was created.
    pub workflow_version: u32,
    /// Ascending; the same number means side by side.
    pub order: u32,
    /// Its input, as JSON text.
    pub input: String,
    /// The name by which the workflows of later groups read its output.
    #[serde(rename = "as", default, skip_serializing_if = "Option::is_none")]
    pub output_name: Option<String>,
}

/// One execution of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobRun {
    /// Its id.
    pub id: JobRunId,
    /// The tenant.
    pub organization_id: OrganizationId,
    /// The job.
    pub job_id: JobId,
    /// Who asked for it; for a scheduled one, the job's creator.
    pub created_by_user_id: String,
    /// The occurrence of the schedule that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_at: Option<Timestamp>,
    /// What becomes of the later workflows when one has failed.
    pub on_failure: OnFailure,
    /// Its workflow runs.
    pub runs: Vec<ManagedRun>,
    /// Where it stands.
    pub status: Status,
    /// The first workflow run that is not over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_workflow_run_id: Option<RunId>,
    /// The number of changes so far.
    pub sequence: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// When somebody must look at it again; none when it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
}

impl JobRun {
    /// The workflow runs whose outputs one of them can read, by the names that the job gives them: those of earlier
    /// groups, which have ended when it begins. Its siblings, whose end it can't count on, are not among them.
    #[must_use]
    pub fn read_by(&self, reader: RunId) -> BTreeMap<&str, RunId> {
        let Some(reader) = self.runs.iter().find(|managed| managed.run_id == reader) else {
            return BTreeMap::new();
        };
        let mut earlier: Vec<&ManagedRun> = self
            .runs
            .iter()
            .filter(|managed| managed.order < reader.order)
            .collect();
        // Of two with one name, the later one's output is the one that is left.
        earlier.sort_by_key(|managed| managed.order);
        earlier
            .into_iter()
            .filter_map(|managed| Some((managed.output_name.as_deref()?, managed.run_id)))
            .collect()
    }
}

/// What is still to be done for a job run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan<'a> {
    /// Workflow runs that don't exist yet; they are created held.
    pub missing: Vec<&'a ManagedRun>,
    /// Held runs whose turn has come.
    pub release: Vec<RunId>,
    /// Held runs whose turn will never come.
    pub stop: Vec<RunId>,
    /// Where the job run stands now.
    pub status: Status,
    /// The first workflow run that is not over.
    pub current: Option<RunId>,
}

/// What is to be done for a job run, given its workflow runs as they are now.
#[must_use]
pub fn reconcile<'a>(job_run: &'a JobRun, runs: &[Run]) -> Plan<'a> {
    let find = |managed: &ManagedRun| runs.iter().find(|run| run.id == managed.run_id);
    let mut ordered: Vec<&ManagedRun> = job_run.runs.iter().collect();
    ordered.sort_by_key(|managed| managed.order);
    let missing: Vec<&ManagedRun> = ordered
        .iter()
        .copied()
        .filter(|managed| find(managed).is_none())
        .collect();
    let failed = runs.iter().any(|run| run.status() == Status::Failed);
    let stopped = failed && job_run.on_failure == OnFailure::Stop;
    let is_open = |managed: &ManagedRun| find(managed).is_none_or(|run| !run.status().is_final());
    let is_held = |managed: &ManagedRun| find(managed).is_some_and(|run| run.phase == Phase::Held);
    let current = ordered.iter().copied().find(|managed| is_open(managed));

    let mut release = Vec::new();
    let mut stop = Vec::new();
    if let Some(current) = current {
        // Siblings of a run that has begun finish, also after a stop: a group is released as a whole or not at all.
        let group_has_begun = ordered
            .iter()
            .filter(|managed| managed.order == current.order)
            .any(|managed| find(managed).is_some_and(|run| run.phase != Phase::Held));
        for managed in ordered.iter().copied().filter(|managed| is_held(managed)) {
            if managed.order == current.order && (!stopped || group_has_begun) && missing.is_empty()
            {
                release.push(managed.run_id);
            } else if stopped {
                stop.push(managed.run_id);
            }
        }
    }
    let is_in = |status: Status| runs.iter().any(|run| run.status() == status);
    let status = if current.is_none() {
        if failed {
            Status::Failed
        } else if runs
            .iter()
            .all(|run| run.status() == Status::CompletedWithNoActionTaken)
        {
            Status::CompletedWithNoActionTaken
        } else {
            Status::Completed
        }
    } else if is_in(Status::AwaitingUserInput) {
        Status::AwaitingUserInput
    } else if job_run.status != Status::Pending
        || runs
            .iter()
            .any(|run| run.sequence > 1 && run.status() != Status::Pending)
    {
        // What has begun stays so, also while its run waits to be executed again.
        Status::InProgress
    } else {
        Status::Pending
    };
    Plan {
        missing,
        release,
        stop,
        status,
        current: current.map(|managed| managed.run_id),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::run::{CommitId, Event, Finish, InputRequest, NewRun, Policy, Timings};
    use crate::{Failure, FailureCode, InputRequestId};

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn job_run(orders: &[u32], on_failure: OnFailure) -> JobRun {
        let id = |n: usize| [u8::try_from(n).expect("few runs"); 10];
        JobRun {
            id: JobRunId::new(at(0), [0; 10]),
            organization_id: OrganizationId::new(at(0), [0; 10]),
            job_id: JobId::new(at(0), [0; 10]),
            created_by_user_id: "u".to_owned(),
            scheduled_at: None,
            on_failure,
            runs: orders
                .iter()
                .enumerate()
                .map(|(n, order)| ManagedRun {
                    run_id: RunId::new(at(1), id(n)),
                    workflow_id: WorkflowId::new(at(1), id(n)),
                    workflow_version: 1,
                    order: *order,
                    input: "null".to_owned(),
                    output_name: None,
                })
                .collect(),
            status: Status::Pending,
            current_workflow_run_id: None,
            sequence: 1,
            created_at: at(0),
            updated_at: at(0),
            due_at: None,
        }
    }

    fn held(job_run: &JobRun, n: usize) -> Run {
        let managed = &job_run.runs[n];
        let new = NewRun {
            id: managed.run_id,
            organization_id: job_run.organization_id,
            workflow_id: managed.workflow_id,
            workflow_version: 1,
            job_run_id: Some(job_run.id),
            retry_of_run_id: None,
            created_by_user_id: "u".to_owned(),
            metadata: BTreeMap::new(),
            secret_bindings: BTreeMap::new(),
            policy: Policy::default(),
            trace_parent: None,
        };
        Run::create(new, at(2), CommitId(0))
    }

    fn ended(run: &Run, finish: Finish) -> Run {
        let claim = Event::Claimed {
            worker_id: "w".to_owned(),
            lease: Duration::from_secs(30),
        };
        let finished = Event::Finished {
            attempt: 1,
            finish,
            timings: Timings::default(),
            skipped: Vec::new(),
        };
        let apply = |run: &Run, event: &Event| {
            run.apply(event, at(3), CommitId(0))
                .expect("each event is legal here")
        };
        let admitted = apply(run, &Event::Released).admitted(true, at(3));
        apply(&apply(&admitted, &claim), &finished)
    }

    #[test]
    fn a_group_is_released_only_when_the_one_before_is_over() {
        let job_run = job_run(&[1, 1, 2], OnFailure::Stop);
        let mut runs: Vec<Run> = (0..3).map(|n| held(&job_run, n)).collect();
        assert_eq!(reconcile(&job_run, &runs).release, [runs[0].id, runs[1].id]);
        runs[0] = ended(&runs[0], Finish::Completed);
        assert_eq!(reconcile(&job_run, &runs).release, [runs[1].id]);
        runs[1] = ended(&runs[1], Finish::Completed);
        assert_eq!(reconcile(&job_run, &runs).release, [runs[2].id]);
    }

    #[test]
    fn after_a_failure_the_rest_is_stopped_or_goes_on_as_the_job_says() {
        let failure = Finish::Failed(Failure::outside_of_steps(
            FailureCode::NavigationFailed,
            "no",
        ));
        for (on_failure, goes_on) in [(OnFailure::Stop, false), (OnFailure::Continue, true)] {
            let job_run = job_run(&[1, 2], on_failure);
            let runs = [
                ended(&held(&job_run, 0), failure.clone()),
                held(&job_run, 1),
            ];
            let plan = reconcile(&job_run, &runs);
            assert_eq!(plan.release.is_empty(), !goes_on);
            assert_eq!(plan.stop.is_empty(), goes_on);
        }
    }

    #[test]
    fn it_ends_only_after_all_its_runs_and_took_no_action_only_if_none_did() {
        let none = || Finish::NoActionTaken {
            reason: "empty".to_owned(),
        };
        let job_run = job_run(&[1, 2], OnFailure::Stop);
        let (first, second) = (held(&job_run, 0), held(&job_run, 1));
        assert!(
            !reconcile(&job_run, &[ended(&first, none()), second.clone()])
                .status
                .is_final()
        );
        let all_none = [ended(&first, none()), ended(&second, none())];
        assert_eq!(
            reconcile(&job_run, &all_none).status,
            Status::CompletedWithNoActionTaken
        );
        let mixed = [ended(&first, none()), ended(&second, Finish::Completed)];
        assert_eq!(reconcile(&job_run, &mixed).status, Status::Completed);
    }

    #[test]
    fn it_awaits_a_person_only_while_one_of_its_runs_does() {
        let mut job_run = job_run(&[1, 1], OnFailure::Stop);
        let claim = Event::Claimed {
            worker_id: "w".to_owned(),
            lease: Duration::from_secs(30),
        };
        let ask = Event::AskedUser {
            attempt: 1,
            request: InputRequest {
                id: InputRequestId::new(at(3), [0; 10]),
                prompt: "Code".to_owned(),
                message: None,
                screenshot_artifact_id: None,
                fields: Vec::new(),
                expires_at: at(60_000),
                tries_left: 1,
            },
        };
        let apply = |run: &Run, event: &Event| {
            run.apply(event, at(3), CommitId(0))
                .expect("each event is legal here")
        };
        let begin = Event::EnteredState {
            attempt: 1,
            name: "signing_in".to_owned(),
            skipped: Vec::new(),
        };
        let mut first = held(&job_run, 0);
        first.policy.max_attempts = 2;
        let ready = apply(&first, &Event::Released).admitted(true, at(3));
        let asking = apply(&apply(&apply(&ready, &claim), &begin), &ask);
        let plan = reconcile(&job_run, &[asking.clone(), held(&job_run, 1)]).status;
        assert_eq!(plan, Status::AwaitingUserInput);
        job_run.status = plan;
        // Its worker stops: nobody is asked any more, and nobody is at work yet.
        let given_back = apply(&asking, &Event::GaveBack { attempt: 1 });
        assert_eq!(given_back.status(), Status::Pending);
        let plan = reconcile(&job_run, &[given_back, held(&job_run, 1)]).status;
        assert_eq!(plan, Status::InProgress);
    }

    #[test]
    fn a_run_reads_the_named_outputs_of_earlier_groups_and_no_others() {
        let mut job_run = job_run(&[2, 1, 1, 3, 2], OnFailure::Stop);
        let id = |n: usize| RunId::new(at(1), [u8::try_from(n).expect("few runs"); 10]);
        for (n, name) in [(0, "second"), (1, "first"), (3, "third"), (4, "first")] {
            job_run.runs[n].output_name = Some(name.to_owned());
        }
        // The one without a name is read by nobody, and none reads its own group's.
        assert_eq!(job_run.read_by(id(0)), BTreeMap::from([("first", id(1))]));
        assert_eq!(job_run.read_by(id(1)), BTreeMap::new());
        assert_eq!(
            job_run.read_by(id(3)),
            BTreeMap::from([("first", id(4)), ("second", id(0))])
        );
        assert_eq!(job_run.read_by(id(9)), BTreeMap::new());
    }

    #[test]
    fn what_is_missing_is_created_before_anything_is_released() {
        let job_run = job_run(&[1, 2], OnFailure::Stop);
        let plan = reconcile(&job_run, &[held(&job_run, 0)]);
        assert_eq!(plan.missing, [&job_run.runs[1]]);
        assert!(plan.release.is_empty());
    }
}
