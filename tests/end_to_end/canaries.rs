//! Values of secrets, looked for in everything that a stack keeps, says and sends.

use serde_json::{Value, json};
use store::local::everything;

use crate::stack::{ROSTER, Stack};

const EMAIL: &str = "hr-2fa+canary@example.com";
const PASSWORD: &str = "correct-horse-battery";

/// The sample, which keeps its traffic, and fails at its end: so it leaves everything that a run can leave.
fn workflow() -> String {
    let fails = "  - name: failing
    steps:
      - goto: \"{{ input.baseUrl }}/employees\"
      - pdf:
      - assert: { hasText: nowhere, message: This is not there }
output:";
    format!(
        "har: always\n{}",
        ROSTER.replace("\noutput:", &format!("\n{fails}"))
    )
}

#[test]
fn no_value_of_a_secret_is_in_the_table_the_bucket_the_logs_an_answer_or_a_webhook() {
    let logs = tempfile::NamedTempFile::new().expect("a file");
    let mut stack = Stack::start_with_logs(&[("LEGWORK_LOG", "debug")], logs.reopen().expect("it"));
    for (name, value) in [("hr_user", EMAIL), ("hr_password", PASSWORD)] {
        let body = json!({ "value": value });
        let path = format!("/secrets/{name}");
        assert_eq!(stack.call("apiKey", "PUT", &path, Some(&body)).0, 204);
    }
    let types = [
        "workflow_run.created",
        "workflow_run.state_changed",
        "workflow_run.awaiting_user_input",
        "workflow_run.user_input_received",
        "workflow_run.failed",
    ];
    let hook = json!({ "url": format!("{}/hook", stack.setting("webhookReceiverUrl")), "eventTypes": types });
    let created = stack.call("apiKey", "POST", "/webhook-endpoints", Some(&hook));
    assert_eq!(created.0, 201, "{}", created.1);
    let id = stack.register(&workflow());
    let run = stack.create_run(&id, "2fa=on");
    let asking = stack.run_when(&run, "the run asks for the code", |run| {
        run["status"] == "AWAITING_USER_INPUT"
    });
    let picture = asking["inputRequest"]["screenshotArtifactId"]
        .as_str()
        .expect("the person sees the page");
    let (status, picture) = stack.call("apiKey", "GET", &format!("/artifacts/{picture}"), None);
    assert_eq!((status, &picture["type"]), (200, &json!("screenshot")));
    let phone = stack.practice_site(&format!("/phone/{EMAIL}"));
    let code = phone["code"].as_str().expect("a code").to_owned();
    let answer =
        json!({ "inputRequestId": asking["inputRequest"]["id"], "values": { "code": code } });
    let answered = stack.call(
        "apiKey",
        "POST",
        &format!("/workflow-runs/{run}/user-input"),
        Some(&answer),
    );
    assert_eq!(answered.0, 200, "{}", answered.1);
    let ended = stack.run_when(&run, "the run has ended", |run| {
        run["completedAt"] != Value::Null
    });
    assert_eq!(ended["failure"]["code"], "ASSERTION_FAILED", "{ended}");
    stack.until("its end was told", |stack| {
        stack
            .webhooks()
            .iter()
            .any(|webhook| webhook.to_string().contains("workflow_run.failed"))
            .then_some(())
    });

    let mut places = vec![
        ("an answer", asking.to_string()),
        ("an answer", answered.1.to_string()),
        ("an answer", ended.to_string()),
        ("a webhook", json!(stack.webhooks()).to_string()),
    ];
    let (items, objects) = stack.everything();
    let kinds: Vec<_> = items
        .iter()
        .filter_map(|item| item["artifactType"].as_str())
        .collect();
    for kind in [
        "extracted_data",
        "download",
        "screenshot",
        "pdf",
        "log",
        "har",
        "dom",
    ] {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }
    places.extend(items.iter().map(|item| ("the table", item.to_string())));
    for object in objects {
        places.push(("the bucket", String::from_utf8_lossy(&object).into_owned()));
    }
    stack.stop();
    let said = std::fs::read_to_string(logs.path()).expect("the logs");
    assert!(said.contains(&run), "the logs are those of the run");
    places.push(("the logs", said));

    // Six digits alone could be part of any number.
    let codes = [("\"", "\""), ("=", ""), (">", "<"), (": ", "")];
    let codes = codes.map(|(before, after)| format!("{before}{code}{after}"));
    let encoded = EMAIL.replace('+', "%2B").replace('@', "%40");
    for (place, text) in &places {
        for value in [EMAIL, &encoded, PASSWORD]
            .into_iter()
            .chain(codes.iter().map(String::as_str))
        {
            let found = text.find(value).map(|at| {
                let near = at.saturating_sub(80)..(at + 80).min(text.len());
                String::from_utf8_lossy(&text.as_bytes()[near]).into_owned()
            });
            assert!(found.is_none(), "{value} is in {place}: {found:?}");
        }
    }
}

impl Stack {
    /// All items of the table, and all objects that they name.
    fn everything(&self) -> (Vec<Value>, Vec<Vec<u8>>) {
        let setting = |name: &str| self.setting(name);
        let resources = [
            ("LEGWORK_TABLE", setting("tableName")),
            ("LEGWORK_ARTIFACT_BUCKET", setting("artifactBucket")),
        ];
        let resources = platform::configuration::Resources::read(&resources.into_iter().collect());
        self.block_on(async {
            let connection = store::Connection::to_emulator(
                &setting("awsEndpointUrl"),
                &setting("awsRegion"),
                &setting("awsAccessKeyId"),
                &setting("awsSecretAccessKey"),
            )
            .await;
            let store = store::Store::new(&connection, resources.expect("settings"));
            let items = everything::items(&store).await.expect("the table");
            let mut objects = Vec::new();
            for key in items.iter().filter_map(|item| item["objectKey"].as_str()) {
                objects.push(everything::object(&store, key).await.expect("an object"));
            }
            (items, objects)
        })
    }
}
