//! How long it takes from the death of a runner until what it had in hand is ended, or ready for another one, with all
//! settings as they are by default.

use std::time::Duration;

use domain::Timestamp;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::stack::{Stack, signal};

/// How many runners are killed, one after the other, each at another moment between two sweeps.
const ROUNDS: u32 = 4;

/// How much later after the sweep before than the last one: a round ends with a sweep.
const LATER_EACH_TIME: Duration = Duration::from_secs(15);

/// By default: a lease of 30 s, and a sweep each minute.
const LEASE_AND_SWEEP_SECONDS: f64 = 90.0;

fn workflow(retry: &str) -> String {
    format!(
        "name: Long\n{retry}states:\n  - name: waiting\n    steps:\n      - waitFor: {{ time: 10m }}\n"
    )
}

pub(crate) fn report() {
    let mut stack = Stack::start_by_default();
    let without = stack.register(&workflow(""));
    let with = stack.register(&workflow("retry: { maxAttempts: 2 }\n"));
    let mut worst = 0_f64;
    for round in 0..ROUNDS {
        let later = LATER_EACH_TIME * round;
        stack.block_on(async move { tokio::time::sleep(later).await });
        let [ends, is_retried] = [&without, &with].map(|workflow| begin(&mut stack, workflow));
        let runner = stack.workers()[0];
        signal(runner, Signal::KILL);
        let killed_at = store::now();
        let ended = after_loss(&mut stack, &ends, killed_at, "FAILED");
        let ready = after_loss(&mut stack, &is_retried, killed_at, "PENDING");
        println!(
            "killed runner {}: a run without retry FAILED after {ended:.1} s, one with retry PENDING again after \
             {ready:.1} s",
            round + 1
        );
        worst = worst.max(ended).max(ready);
        let (status, _) = stack.call(
            "apiKey",
            "POST",
            &format!("/workflow-runs/{is_retried}/cancel"),
            None,
        );
        assert_eq!(status, 200);
    }
    println!(
        "the longest was {worst:.1} s; the lease and one sweep are {LEASE_AND_SWEEP_SECONDS:.0} s"
    );
    assert!(stack.stop().success());
}

/// Creates a run and waits until it is in its step.
fn begin(stack: &mut Stack, workflow: &str) -> String {
    let body = json!({ "workflowId": workflow });
    let (status, run) = stack.call("apiKey", "POST", "/workflow-runs", Some(&body));
    assert_eq!(status, 201, "{run}");
    let id = run["id"].as_str().expect("an id").to_owned();
    stack.run_when(&id, "the run is in its step", |run| {
        run["currentStateName"] == "waiting"
    });
    id
}

/// How many seconds after its runner's death the run was taken from it, by its timeline.
fn after_loss(stack: &mut Stack, id: &str, killed_at: Timestamp, status: &str) -> f64 {
    let taken = |run: &Value| {
        let history = run["stateHistory"].as_array().expect("a history");
        let entries = history.iter().map(|entry| {
            let at = entry["at"].as_str().expect("a time");
            let at: Timestamp = at.parse().expect("a time");
            (entry["status"] == status, at)
        });
        entries
            .filter(|(is_it, at)| *is_it && *at > killed_at)
            .map(|(_, at)| at)
            .next()
    };
    let run = stack.run_within(
        Duration::from_secs(180),
        id,
        "the run is taken from its runner",
        |run| taken(run).is_some(),
    );
    let at = taken(&run).expect("it was there a moment ago");
    at.since(killed_at).as_secs_f64()
}
