//! How a run looks on the wire, field by field. Clients depend on each of them.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::run::{
    CommitId, Event, Finish, InputField, InputRequest, NewRun, Policy, Run, SkippedState, Timings,
};
use domain::webhook::{body_of, events_of};
use domain::wire::RunView;
use domain::{
    ArtifactId, Failure, FailureCode, InputRequestId, OrganizationId, RunId, Timestamp, WorkflowId,
};
use serde_json::{Value, json};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_795_424_400_000 + seconds * 1_000)
}

fn created() -> Run {
    let new = NewRun {
        id: RunId::new(at(0), [1; 10]),
        organization_id: OrganizationId::new(at(0), [2; 10]),
        workflow_id: WorkflowId::new(at(0), [3; 10]),
        workflow_version: 7,
        job_run_id: None,
        retry_of_run_id: None,
        created_by_user_id: "user-1".to_owned(),
        metadata: BTreeMap::new(),
        secret_bindings: BTreeMap::from([("hr_user".to_owned(), "canary".to_owned())]),
        policy: Policy::default(),
        trace_parent: Some("canary".to_owned()),
    };
    Run::create(new, at(0), CommitId(1))
}

fn apply(run: &Run, event: &Event, seconds: i64) -> Run {
    run.apply(event, at(seconds), CommitId(2))
        .expect("each event is legal here")
}

fn in_a_state() -> Run {
    let claim = Event::Claimed {
        worker_id: "canary".to_owned(),
        lease: Duration::from_secs(30),
    };
    let claimed = apply(&created(), &claim, 1);
    apply(
        &claimed,
        &Event::EnteredState {
            attempt: 1,
            name: "signing_in".to_owned(),
            skipped: vec![SkippedState::new(
                "accepting_cookies",
                "visible css=#cookies",
            )],
        },
        2,
    )
}

fn wire(run: &Run) -> Value {
    serde_json::to_value(RunView::whole(run, None, None)).expect("a view is JSON")
}

#[test]
fn a_new_run_has_every_field_and_null_where_there_is_nothing() {
    let expected = json!({
        "id": "01a207a2-3280-7101-8101-010101010101",
        "workflowId": "01a207a2-3280-7303-8303-030303030303",
        "workflowVersion": 7,
        "jobRunId": null,
        "createdByUserId": "user-1",
        "status": "PENDING",
        "currentStateName": null,
        "createdAt": "2026-11-23T09:00:00.000Z",
        "updatedAt": "2026-11-23T09:00:00.000Z",
        "startedAt": null,
        "completedAt": null,
        "input": null,
        "output": null,
        "metadata": {},
        "failure": null,
        "noActionReason": null,
        "inputRequest": null,
        "stateHistory": [
            {"sequence": 1, "status": "PENDING", "stateName": null, "attempt": 0, "at": "2026-11-23T09:00:00.000Z", "skippedStates": [], "notBefore": null},
        ],
        "attempt": 0,
        "sequence": 1,
        "retryOfRunId": null,
        "timings": null,
    });
    assert_eq!(wire(&created()), expected);
}

#[test]
fn the_timeline_says_which_states_were_skipped_and_why() {
    let history = wire(&in_a_state())["stateHistory"].clone();
    assert_eq!(history[1]["skippedStates"], json!([]));
    assert_eq!(history[2]["stateName"], "signing_in");
    assert_eq!(
        history[2]["skippedStates"],
        json!([{"name": "accepting_cookies", "reason": "visible css=#cookies"}])
    );
    let long = SkippedState::new("a", &"ä".repeat(201));
    assert_eq!(long.reason.chars().count(), 200);
    assert!(long.reason.ends_with('…'));
}

#[test]
fn a_failed_run_says_why_and_where() {
    let failure = Failure {
        code: FailureCode::WorkflowFailed,
        message: "the account is locked".to_owned(),
        state: None,
        step: Some("signing_in/steps/2 (fail)".to_owned()),
        retryable: false,
        custom_code: Some("LOCKED".to_owned()),
    };
    let timings = Timings {
        queued: 1,
        browser_start: 2,
        states: [("signing_in".to_owned(), 3)].into_iter().collect(),
        awaiting_user: 4,
        artifacts: 5,
        total: 6,
    };
    let finished = Event::Finished {
        attempt: 1,
        finish: Finish::Failed(failure),
        timings,
        skipped: Vec::new(),
    };
    let run = wire(&apply(&in_a_state(), &finished, 3));
    let expected = json!({
        "code": "WORKFLOW_FAILED",
        "message": "the account is locked",
        "state": "signing_in",
        "step": "signing_in/steps/2 (fail)",
        "retryable": false,
        "customCode": "LOCKED",
    });
    assert_eq!(run["failure"], expected);
    let expected = json!({
        "queued": 1, "browserStart": 2, "states": {"signing_in": 3}, "awaitingUser": 4, "artifacts": 5, "total": 6,
    });
    assert_eq!(run["timings"], expected);
    let times =
        ["createdAt", "startedAt", "completedAt", "updatedAt"].map(|name| run[name].clone());
    assert_eq!(times, [at(0), at(1), at(3), at(3)].map(|time| json!(time)));
    assert_eq!(run["currentStateName"], "signing_in");
    assert_eq!(run["stateHistory"].as_array().map(Vec::len), Some(4));
}

#[test]
fn a_waiting_run_shows_its_question() {
    let request = InputRequest {
        id: InputRequestId::new(at(3), [4; 10]),
        prompt: "Code sent to your phone".to_owned(),
        message: Some("That code was wrong".to_owned()),
        screenshot_artifact_id: Some(ArtifactId::new(at(2), [5; 10])),
        fields: vec![InputField {
            name: "code".to_owned(),
            kind: "code".to_owned(),
            label: "Code".to_owned(),
            options: Vec::new(),
        }],
        expires_at: at(303),
        tries_left: 1,
    };
    let run = wire(&apply(
        &in_a_state(),
        &Event::AskedUser {
            attempt: 1,
            request: request.clone(),
        },
        3,
    ));
    let expected = json!({
        "id": request.id.to_string(),
        "prompt": "Code sent to your phone",
        "message": "That code was wrong",
        "screenshotArtifactId": ArtifactId::new(at(2), [5; 10]).to_string(),
        "fields": [{"name": "code", "type": "code", "label": "Code", "options": []}],
        "expiresAt": "2026-11-23T09:05:03.000Z",
        "triesLeft": 1,
    });
    assert_eq!(run["inputRequest"], expected);
    assert_eq!(run["status"], "AWAITING_USER_INPUT");
}

#[test]
fn a_run_with_nothing_to_do_says_why() {
    let finish = Finish::NoActionTaken {
        reason: "No employees listed".to_owned(),
    };
    let run = wire(&apply(
        &in_a_state(),
        &Event::Finished {
            attempt: 1,
            finish,
            timings: Timings::default(),
            skipped: Vec::new(),
        },
        3,
    ));
    assert_eq!(run["status"], "COMPLETED_WITH_NO_ACTION_TAKEN");
    assert_eq!(run["noActionReason"], "No employees listed");
    assert_eq!(run["failure"], Value::Null);
}

#[test]
fn nothing_internal_is_on_the_wire() {
    let run = in_a_state();
    let body = body_of(&run, *events_of(&run).last().expect("it was created"));
    let text = wire(&run).to_string() + &serde_json::to_string(&body).expect("a body is JSON");
    assert!(!text.contains("canary"), "{text}");
    assert!(!text.contains("commit"), "{text}");
}
