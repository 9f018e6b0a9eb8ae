//! How soon the answer to a question wakes its run, and how exactly a question that nobody answers ends at its deadline,
//! with all settings as they are by default.

use std::time::Duration;

use domain::Timestamp;
use serde_json::{Value, json};

use crate::percentile;
use crate::stack::Stack;

/// How many runs are answered, one after the other.
const ANSWERED: usize = 20;

/// How many runs nobody answers, all at the same time: as many as a runner holds.
const UNANSWERED: usize = 8;

fn workflow(timeout: &str) -> String {
    format!(
        "name: Asks\nstates:\n  - name: asking\n    steps:\n      - askUser: {{ prompt: Code, as: code, timeout: {timeout} }}\n  \
         - name: answered\n    steps:\n      - set: {{ done: true }}\n"
    )
}

pub(crate) fn report() {
    let mut stack = Stack::start_by_default();
    let asks = stack.register(&workflow("10m"));
    let mut wakes = Vec::new();
    for _ in 0..ANSWERED {
        let id = begin(&stack, &asks);
        let run = stack.run_when(&id, "the run asks", |run| {
            run["status"] == "AWAITING_USER_INPUT"
        });
        let answer = json!({
            "inputRequestId": run["inputRequest"]["id"],
            "values": { "code": "123456" },
        });
        let path = format!("/workflow-runs/{id}/user-input");
        let (status, answered) = stack.call("apiKey", "POST", &path, Some(&answer));
        assert_eq!(status, 200, "{answered}");
        let run = stack.run_when(&id, "the run has ended", has_ended);
        let history = run["stateHistory"].as_array().expect("a history");
        let asked = history
            .iter()
            .position(|entry| entry["status"] == "AWAITING_USER_INPUT")
            .expect("it has asked");
        let woken = history
            .iter()
            .find(|entry| entry["stateName"] == "answered")
            .expect("it went on");
        wakes.push(time(&woken["at"]).since(time(&history[asked + 1]["at"])));
    }
    println!(
        "from an answer's commit to the next state of its run, {ANSWERED} runs: p50 {:.0} ms, longest {:.0} ms",
        percentile(&mut wakes, 50),
        percentile(&mut wakes, 100)
    );

    let asks = stack.register(&workflow("3s"));
    let ids: Vec<String> = (0..UNANSWERED).map(|_| begin(&stack, &asks)).collect();
    let mut late = Vec::new();
    for id in &ids {
        let run = stack.run_when(id, "the run has ended", has_ended);
        assert_eq!(run["failure"]["code"], "USER_INPUT_TIMEOUT", "{run}");
        let history = run["stateHistory"].as_array().expect("a history");
        let asked = history
            .iter()
            .find(|entry| entry["status"] == "AWAITING_USER_INPUT")
            .expect("it has asked");
        let deadline = time(&asked["at"]).plus(Duration::from_secs(3));
        let ended = time(&run["completedAt"]);
        assert!(ended >= deadline, "it ended before its deadline: {run}");
        late.push(ended.since(deadline));
    }
    println!(
        "from a question's deadline to the end of its run, {UNANSWERED} runs at the same time: p50 {:.0} ms, longest {:.0} ms",
        percentile(&mut late, 50),
        percentile(&mut late, 100)
    );
    assert!(stack.stop().success());
}

fn begin(stack: &Stack, workflow: &str) -> String {
    let body = json!({ "workflowId": workflow });
    let (status, run) = stack.call("apiKey", "POST", "/workflow-runs", Some(&body));
    assert_eq!(status, 201, "{run}");
    run["id"].as_str().expect("an id").to_owned()
}

fn has_ended(run: &Value) -> bool {
    run["completedAt"] != Value::Null
}

fn time(value: &Value) -> Timestamp {
    let text = value.as_str().expect("a time");
    text.parse().expect("a time")
}
