//! What an operator sees of a stack.

use serde_json::{Value, json};

use crate::stack::Stack;

const EMPTY: &str =
    "name: Empty\nstates:\n  - name: beginning\n    steps:\n      - set: { begun: true }\n";

/// The lines of a log, as JSON; a last one that isn't whole yet is left out.
fn lines_of(stack: &Stack, log: &str) -> Vec<Value> {
    let path = stack.folder().join(".legwork/logs").join(log);
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    whole
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn is_metric(line: &Value) -> bool {
    line.get("_aws").is_some()
}

#[test]
fn runs_sweeps_and_deliveries_are_measured_beside_the_logs_and_can_be_told_from_them() {
    let mut stack = Stack::start(&[]);
    let workflow = stack.register(EMPTY);
    let hook = json!({ "url": format!("{}/hook", stack.setting("webhookReceiverUrl")) });
    let (status, _) = stack.call("apiKey", "POST", "/webhook-endpoints", Some(&hook));
    assert_eq!(status, 201);
    let body = json!({ "workflowId": workflow });
    let (status, run) = stack.call("apiKey", "POST", "/workflow-runs", Some(&body));
    assert_eq!(status, 201, "{run}");

    stack.until("the runner has measured the run", |stack| {
        let lines = lines_of(stack, "runner-1.log");
        let is_picked_up = lines.iter().any(|line| line["PickUpLatency"].is_u64());
        let has_ended = lines
            .iter()
            .any(|line| line["RunsByStatus"] == 1 && line["Status"] == "COMPLETED");
        (is_picked_up && has_ended).then_some(())
    });
    stack.until("sweeps and the delivery are measured", |stack| {
        let lines = lines_of(stack, "metrics.log");
        assert!(lines.iter().all(is_metric), "{lines:?}");
        let is_swept = lines.iter().any(|line| line["SweepTime"].is_u64());
        let is_delivered = lines
            .iter()
            .any(|line| line["DeliveryAttempts"] == 1 && line["Outcome"] == "Succeeded");
        (is_swept && is_delivered).then_some(())
    });
    // A line is one or the other.
    for line in lines_of(&stack, "runner-1.log") {
        assert_ne!(is_metric(&line), line.get("level").is_some(), "{line}");
    }
    assert!(stack.stop().success());
}
