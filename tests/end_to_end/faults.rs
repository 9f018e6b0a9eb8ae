//! Faults, caused for real.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::stack::{Stack, assert_nothing_is_left, processes_of, signal};

/// A lease that ends soon, so that the tests need not wait for the thirty seconds of the default, but not because a machine
/// that is busy stands still for a few seconds.
const SHORT_LEASE: [(&str, &str); 2] = [
    ("LEGWORK_LEASE_SECONDS", "8"),
    ("LEGWORK_HEARTBEAT_SECONDS", "1"),
];

fn sequences(run: &Value) -> Vec<u64> {
    let history = run["stateHistory"].as_array().expect("a history");
    history
        .iter()
        .map(|entry| entry["sequence"].as_u64().expect("a number"))
        .collect()
}

#[test]
fn a_killed_runner_leaves_a_run_that_ends_failed_as_worker_lost_and_is_replaced() {
    let mut stack = Stack::start(&SHORT_LEASE);
    let workflow = stack.register_sample();
    let hook = json!({ "url": format!("{}/hook", stack.setting("webhookReceiverUrl")) });
    assert_eq!(
        stack
            .call("apiKey", "POST", "/webhook-endpoints", Some(&hook))
            .0,
        201
    );
    let id = stack.create_run(&workflow, "slow=30000");
    stack.run_when(&id, "the run is in its first state", |run| {
        run["currentStateName"] == "signing_in"
    });

    let killed = stack.workers()[0];
    signal(killed, Signal::KILL);
    let run = stack.run_when(&id, "the run has ended", |run| {
        run["completedAt"] != Value::Null
    });
    assert_eq!(run["status"], "FAILED");
    assert_eq!(run["failure"]["code"], "WORKER_LOST");
    assert_eq!(run["failure"]["retryable"], true);
    assert_eq!(run["failure"]["state"], "signing_in");
    assert_eq!(
        sequences(&run),
        (1..=run["sequence"].as_u64().expect("a number")).collect::<Vec<_>>()
    );

    // Its end is told as any other end is.
    stack.until("the webhook of the end has arrived", |stack| {
        stack
            .webhooks()
            .iter()
            .any(|webhook| {
                let body: Value =
                    serde_json::from_str(webhook["body"].as_str().unwrap_or_default())
                        .unwrap_or_default();
                body["type"] == "workflow_run.failed" && body["data"]["id"] == id.as_str()
            })
            .then_some(())
    });

    // And the service goes on with another runner.
    stack.until("another runner is there", |stack| {
        stack
            .workers()
            .first()
            .is_some_and(|pid| *pid != killed)
            .then_some(())
    });
    let next = stack.create_run(&workflow, "empty=on");
    let next = stack.run_when(&next, "the next run has ended", |run| {
        run["completedAt"] != Value::Null
    });
    assert_eq!(next["status"], "COMPLETED_WITH_NO_ACTION_TAKEN");
}

#[test]
fn ctrl_c_while_a_run_waits_for_a_person_leaves_nothing_behind() {
    let mut stack = Stack::start(&[]);
    let workflow = stack.register_sample();
    let id = stack.create_run(&workflow, "2fa=on");
    stack.run_when(&id, "the run waits for a person", |run| {
        run["status"] == "AWAITING_USER_INPUT"
    });
    let folder = stack.folder().to_owned();
    assert_ne!(
        processes_of(&folder),
        Vec::<String>::new(),
        "a browser is at work"
    );

    assert!(stack.stop().success());
    assert_nothing_is_left(&folder);
}

#[test]
fn a_question_that_nobody_answers_fails_the_run_with_its_state_and_step() {
    let mut stack = Stack::start(&[]);
    let asking = "name: Asking\nstates:\n  - name: asking\n    steps:\n      - askUser: { prompt: Code, as: code, timeout: 1s }\n";
    let workflow = stack.register(asking);
    let (status, run) = stack.call(
        "apiKey",
        "POST",
        "/workflow-runs",
        Some(&json!({ "workflowId": workflow })),
    );
    assert_eq!(status, 201);
    let id = run["id"].as_str().expect("an id").to_owned();
    let waiting = stack.run_when(&id, "the run asks", |run| {
        run["sequence"].as_u64() >= Some(4)
    });
    let run = stack.run_when(&id, "the run has ended", |run| {
        run["completedAt"] != Value::Null
    });
    assert_eq!(run["failure"]["code"], "USER_INPUT_TIMEOUT");
    assert_eq!(run["failure"]["state"], "asking");

    // Too late is too late, and says so.
    let request = &waiting["inputRequest"]["id"];
    let request = if request.is_null() {
        json!("019a9f6e-0d3a-7b6c-8a53-3f1f0c6f2b11")
    } else {
        request.clone()
    };
    let answer = json!({ "inputRequestId": request, "values": { "code": "123456" } });
    let (status, problem) = stack.call(
        "apiKey",
        "POST",
        &format!("/workflow-runs/{id}/user-input"),
        Some(&answer),
    );
    assert_eq!((status, &problem["code"]), (409, &json!("run_ended")));
}

#[test]
fn the_browser_of_a_cancelled_run_stops_and_the_run_stays_cancelled() {
    let mut stack = Stack::start(&[("LEGWORK_BROWSER_POOL", "0")]);
    let workflow = stack.register_sample();
    let id = stack.create_run(&workflow, "slow=30000");
    stack.run_when(&id, "the run is in its first state", |run| {
        run["currentStateName"] == "signing_in"
    });
    let browsers = |stack: &Stack| {
        let processes = processes_of(stack.folder());
        processes
            .iter()
            .filter(|line| line.contains("--user-data-dir"))
            .count()
    };
    assert_ne!(browsers(&stack), 0);
    let (status, run) = stack.call(
        "apiKey",
        "POST",
        &format!("/workflow-runs/{id}/cancel"),
        None,
    );
    assert_eq!((status, &run["failure"]["code"]), (200, &json!("CANCELED")));
    // The page would take 30 s; the browser doesn't.
    let cancelled = std::time::Instant::now();
    stack.until("the browser is gone", |stack| {
        (browsers(stack) == 0).then_some(())
    });
    assert!(
        // Its runner looks once a second; the rest is for a machine that does ten other things. Only where the run is
        // not cut does the browser wait for the page.
        cancelled.elapsed().as_secs() < 20,
        "the browser worked on for a run that had ended"
    );
    assert_eq!(
        stack.run(&id)["sequence"],
        run["sequence"],
        "a finished run never changes again"
    );
}
