//! What the API logs: one line for each request, with ids, and nothing that a caller sent.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use serde_json::{Value, json};
use tracing::subscriber::NoSubscriber;

use crate::api::Caller;

/// What was written, line by line.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn take(&self) -> String {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8(std::mem::take(&mut *written)).expect("text")
    }
}

/// The one line that says that a request was answered.
fn answered(log: &str) -> Value {
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("Answered a request"))
        .collect();
    let [line] = lines.as_slice() else {
        panic!("one line for each request: {lines:?}");
    };
    serde_json::from_str(line).expect("a line is JSON")
}

#[tokio::test]
async fn each_request_is_one_line_with_its_ids_and_nothing_that_was_sent() {
    let caller = Caller::start().await;
    let workflow = caller.workflow().await;
    // Of a single subscriber, whoever comes first to a place that logs asks its own thread's whether it wants to hear of
    // it, and that is remembered for all threads: another test's, which has none, would turn the place off. Of two, both
    // are asked.
    let _other = tracing::Dispatch::new(NoSubscriber::default());
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        // No function logs more, whatever its settings say.
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(move || writer.clone())
        .finish();
    // The test's runtime has one thread, so this is for all that it does and for no other test.
    let _guard = tracing::subscriber::set_default(subscriber);

    let body = json!({
        "workflowId": workflow,
        "input": { "month": "2026-11" },
        "metadata": { "customer": "canary-metadata" },
    });
    let created = caller
        .keyed_at("/workflow-runs", "canary-idempotency", &body)
        .await;
    let log = lines.take();
    let line = answered(&log);
    assert_eq!(line["fields"]["status"], 201);
    let span = &line["span"];
    assert_eq!(
        (&span["method"], &span["path"]),
        (&json!("POST"), &json!("/workflow-runs"))
    );
    assert_eq!(
        span["request_id"],
        created.headers["x-request-id"].to_str().expect("text")
    );
    assert_eq!(span["organization_id"], caller.organization_id.to_string());
    assert!(span["api_key_id"].is_string(), "{line}");
    let run = created.body["id"].as_str().expect("an id");
    assert_eq!(
        (&span["run_id"], &span["workflow_id"]),
        (&json!(run), &json!(workflow)),
        "what was made is named"
    );
    assert_eq!(
        log.matches(r#""level":"INFO""#).count(),
        1,
        "and nothing else is said of a request that went well: {log}"
    );
    assert!(
        !log.contains("canary") && !log.contains(&caller.key),
        "{log}"
    );

    caller
        .get(&format!("/workflow-runs/{run}?canary=canary"))
        .await;
    let log = lines.take();
    assert_eq!(answered(&log)["span"]["run_id"], run);
    assert!(!log.contains("canary"), "{log}");

    let set = caller
        .put(
            "/secrets/hr_user",
            None,
            &json!({ "value": "canary-secret" }),
        )
        .await;
    assert_eq!(set.status, 204);
    caller
        .put(
            "/secrets/hr_user",
            None,
            &json!({ "value": 4_242_424_242_u64 }),
        )
        .await;
    let unknown = caller
        .request("POST", "/canary-path")
        .body(Body::from("{canary"))
        .expect("a request");
    caller.send_for_text(unknown).await;
    let log = lines.take();
    assert!(
        log.contains("unmatched"),
        "a path that is none has no pattern"
    );
    assert!(
        !log.contains("canary") && !log.contains("4242424242") && !log.contains(&caller.key),
        "{log}"
    );
}
