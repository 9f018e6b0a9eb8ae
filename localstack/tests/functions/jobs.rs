use std::time::Duration;

use domain::job_run::{JobRun, OnFailure};
use domain::run::{Finish, Phase, Run, Status};
use domain::webhook::EventType;
use domain::{Failure, FailureCode, JobId, Timestamp, WorkflowId};
use job_trigger::{Answer, Occurrence, Refusal};
use serde_json::json;
use store::{Job, JobWorkflow, NewWorkflow, Workflow, fresh_id, now};

use crate::setting::{Setting, just_before};

/// A workflow whose runs may be executed three times.
async fn workflow(setting: &Setting) -> WorkflowId {
    let at = now();
    let definition = json!({
        "name": "Look",
        "retry": { "maxAttempts": 3 },
        "input": { "properties": { "month": { "default": "May" } } },
        "states": [{ "name": "looking", "steps": [{ "goto": "https://example.com/" }] }],
    });
    let workflow = Workflow {
        id: fresh_id(WorkflowId::new, at),
        organization_id: setting.organization_id,
        name: "Look".to_owned(),
        version: 1,
        created_at: at,
        updated_at: at,
        created_by_user_id: "user".to_owned(),
    };
    let id = workflow.id;
    let new = NewWorkflow {
        workflow,
        definition: definition.to_string(),
    };
    setting
        .store
        .create_workflow(&new, None)
        .await
        .expect("the workflow is written");
    id
}

async fn job(setting: &Setting, orders: &[u32], on_failure: OnFailure) -> Job {
    let mut workflows = Vec::new();
    for order in orders {
        let input = json!({ "order": order }).to_string();
        workflows.push(JobWorkflow {
            workflow_id: workflow(setting).await,
            input,
            order: *order,
            output_name: None,
        });
    }
    let job = Job {
        id: fresh_id(JobId::new, now()),
        organization_id: setting.organization_id,
        name: "Look twice".to_owned(),
        workflows,
        on_failure,
        created_by_user_id: "creator".to_owned(),
        created_at: now(),
        generation: 3,
    };
    setting
        .store
        .create_job(&job)
        .await
        .expect("the job is written");
    job
}

async fn trigger(
    setting: &Setting,
    job_id: JobId,
    generation: u64,
    scheduled_time: Timestamp,
) -> Answer {
    let occurrence = Occurrence {
        job_id,
        scheduled_time,
        generation,
    };
    job_trigger::handle(&setting.store, occurrence)
        .await
        .expect("the store answers")
}

/// Triggers the job once and answers its job run.
async fn started(setting: &Setting, job: &Job) -> JobRun {
    let Answer::Started {
        job_run_id,
        created: true,
    } = trigger(setting, job.id, job.generation, now()).await
    else {
        panic!("the job was not started")
    };
    setting
        .store
        .job_run(job_run_id)
        .await
        .expect("the store answers")
        .expect("the job run exists")
}

async fn fresh(setting: &Setting, job_run: &JobRun) -> JobRun {
    setting
        .store
        .job_run(job_run.id)
        .await
        .expect("the store answers")
        .expect("the job run exists")
}

async fn runs(setting: &Setting, job_run: &JobRun) -> Vec<Run> {
    let ids: Vec<_> = job_run.runs.iter().map(|managed| managed.run_id).collect();
    setting.store.runs(&ids).await.expect("the store answers")
}

#[tokio::test]
async fn an_occurrence_makes_one_job_run_and_the_next_one_another() {
    let setting = Setting::start().await;
    let job = job(&setting, &[1], OnFailure::Stop).await;
    let at = setting.at(0);
    let Answer::Started {
        job_run_id: first,
        created: true,
    } = trigger(&setting, job.id, 3, at).await
    else {
        panic!("the job was not started")
    };
    assert_eq!(
        trigger(&setting, job.id, 3, at).await,
        Answer::Started {
            job_run_id: first,
            created: false
        }
    );
    let Answer::Started {
        job_run_id: second,
        created: true,
    } = trigger(&setting, job.id, 3, setting.at(60)).await
    else {
        panic!("the job was not started again")
    };
    assert_ne!(first, second);
}

#[tokio::test]
async fn an_unknown_job_and_an_old_generation_are_refused() {
    let setting = Setting::start().await;
    let job = job(&setting, &[1], OnFailure::Stop).await;
    let unknown = trigger(&setting, fresh_id(JobId::new, now()), 3, now()).await;
    assert_eq!(
        unknown,
        Answer::Refused {
            refused: Refusal::UnknownJob
        }
    );
    let old = trigger(&setting, job.id, 2, now()).await;
    assert_eq!(
        old,
        Answer::Refused {
            refused: Refusal::OldGeneration
        }
    );
}

#[tokio::test]
async fn a_job_of_two_workflows_releases_the_second_after_the_first() {
    let mut setting = Setting::start().await;
    let job = job(&setting, &[1, 2], OnFailure::Stop).await;
    let job_run = started(&setting, &job).await;
    setting.dispatch().await;
    let [first, second] = <[Run; 2]>::try_from(runs(&setting, &job_run).await).expect("two runs");
    assert!(
        matches!(first.phase, Phase::Ready { .. }),
        "{:?}",
        first.phase
    );
    assert_eq!(second.phase, Phase::Held);
    assert_eq!(setting.take_runs().await, [first.id]);
    // What the definition and the job say has reached the run.
    assert_eq!(first.policy.max_attempts, 3);
    assert_eq!(first.created_by_user_id, "creator");
    let input = setting
        .store
        .run_input(first.id)
        .await
        .expect("the store answers");
    assert_eq!(input, Some(json!({ "order": 1, "month": "May" })));
    assert_eq!(
        fresh(&setting, &job_run).await.current_workflow_run_id,
        Some(first.id)
    );

    let first = setting.begun(first, now()).await;
    setting.dispatch().await;
    assert_eq!(fresh(&setting, &job_run).await.status, Status::InProgress);
    assert_eq!(setting.take_runs().await, []);

    setting.finished(first, Finish::Completed, now()).await;
    setting.dispatch().await;
    assert_eq!(setting.take_runs().await, [second.id]);
    assert_eq!(
        fresh(&setting, &job_run).await.current_workflow_run_id,
        Some(second.id)
    );

    let second = setting.fresh(&second).await;
    let second = setting.begun(second, now()).await;
    setting.finished(second, Finish::Completed, now()).await;
    setting.dispatch().await;
    let ended = fresh(&setting, &job_run).await;
    assert_eq!(
        (ended.status, ended.current_workflow_run_id, ended.due_at),
        (Status::Completed, None, None)
    );
}

#[tokio::test]
async fn a_job_run_goes_on_beside_an_endpoint_that_cannot_be_read() {
    let mut setting = Setting::start().await;
    let (endpoint, _) = setting
        .endpoint("http://127.0.0.1:9/", &EventType::ALL)
        .await;
    let job = job(&setting, &[1, 2], OnFailure::Stop).await;
    let job_run = started(&setting, &job).await;
    setting.dispatch().await;
    let first = runs(&setting, &job_run).await.remove(0);
    let first = setting.begun(first, now()).await;
    let first = setting.finished(first, Finish::Completed, now()).await;
    let pk = format!("ORG#{}", setting.organization_id);
    let sk = format!("ENDPOINT#{endpoint}");
    setting.set_attribute(&pk, &sk, "id", "no id").await;

    let concluded = dispatcher::conclude(&setting.store, &first).await;
    assert!(concluded.is_err(), "{concluded:?}");
    let second = job_run.runs[1].run_id;
    assert_eq!(
        fresh(&setting, &job_run).await.current_workflow_run_id,
        Some(second)
    );
}

#[tokio::test]
async fn after_a_failure_the_rest_of_a_job_that_stops_fails_as_stopped() {
    let mut setting = Setting::start().await;
    let job = job(&setting, &[1, 2], OnFailure::Stop).await;
    let job_run = started(&setting, &job).await;
    setting.dispatch().await;
    let first = runs(&setting, &job_run).await.remove(0);
    let first = setting.begun(first, now()).await;
    let failure = Failure::outside_of_steps(FailureCode::NavigationFailed, "no page");
    setting
        .finished(first, Finish::Failed(failure), now())
        .await;
    setting.dispatch().await;
    let second = runs(&setting, &job_run).await.remove(1);
    let Phase::Failed(failure) = second.phase else {
        panic!("{:?}", second.phase)
    };
    assert_eq!(failure.code, FailureCode::JobRunStopped);
    assert_eq!(fresh(&setting, &job_run).await.status, Status::Failed);
}

#[tokio::test]
async fn a_job_run_that_the_dispatcher_never_heard_of_is_brought_on_by_the_sweeper() {
    let setting = Setting::start().await;
    let job = job(&setting, &[1], OnFailure::Stop).await;
    let job_run = started(&setting, &job).await;
    let due_at = async || {
        let due_at = fresh(&setting, &job_run).await.due_at;
        due_at.expect("an open job run is due some day")
    };
    let reconciled_at = async |at| {
        sweeper::handle(&setting.store, at)
            .await
            .job_runs_reconciled
    };
    let first = due_at().await;
    assert_eq!(first, job_run.created_at.plus(Duration::from_secs(60)));
    assert_eq!(reconciled_at(just_before(first)).await, 0);
    assert_eq!(reconciled_at(first).await, 1);
    assert_eq!(setting.take_runs().await, [job_run.runs[0].run_id]);
    let second = due_at().await;
    assert!(second.since(first) > Duration::from_secs(60), "{second}");

    // Nothing has changed by then: it is only looked at, and then left alone for a while.
    assert_eq!(reconciled_at(second).await, 1);
    assert_eq!(reconciled_at(second).await, 0);
    assert_eq!(fresh(&setting, &job_run).await.sequence, 2);
}
