//! Values of secrets, looked for in everything that a stack keeps, says and sends.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use store::local::everything;

use crate::stack::{ROSTER, Stack};

const EMAIL: &str = "hr-2fa+canary@example.com";
const PASSWORD: &str = "correct-horse-battery";

/// What the author of a workflow could try: a script that encodes what is in the fields, sends it about, shows it, and
/// gives it back.
const ENCODES: &str = r#"(() => {
          const s = [...document.querySelectorAll('input')].map((field) => field.value).filter(Boolean).join(' ');
          const b = btoa(s), h = [...s].map((c) => c.charCodeAt(0).toString(16)).join(''), r = [...s].reverse().join('');
          fetch('/' + h + '?' + new URLSearchParams({ s, b, h, r }), { headers: { 'x-basic': 'Basic ' + b } });
          console.log(s, b, h, r);
          document.title = b;
          document.cookie = 'seen=' + encodeURIComponent(s);
          const shown = document.createElement('div');
          shown.innerHTML = [...s].map((c) => `<b>${c}</b>`).join('');
          shown.title = h;
          document.body.append(shown);
          return [s, b, h, r, shown.innerHTML, s.slice(0, 12), s.slice(12)];
        })()"#;

/// The sample, which keeps its traffic, and fails at its end: so it leaves everything that a run can leave.
fn workflow() -> String {
    let clicks = "      - click: { role: button, name: Sign in }";
    let encodes = format!(
        "      - evaluate:
          script: |
            {}
          as: seen
      - set: {{ written: \"{{{{ seen[5] }}}}{{{{ seen[6] }}}}\" }}
      - screenshot: {{ fileName: \"{{{{ seen[2] }}}}.png\" }}
      - pdf:
      - click: {{ css: \"b, input\" }}
        timeout: 100ms
        onError: {{ as: ambiguous }}
{clicks}",
        ENCODES.replace('\n', "\n    ")
    );
    let fails = "  - name: failing
    steps:
      - goto: \"{{ input.baseUrl }}/employees\"
      - pdf:
      - assert: { hasText: nowhere, message: \"This is not there: {{ seen | join(' ') }} {{ written }} {{ ambiguous.message }}\" }
output:";
    assert!(ROSTER.contains(clicks), "the sample signs in");
    format!(
        "har: always\n{}",
        ROSTER
            .replacen(clicks, &encodes, 1)
            .replace("\noutput:", &format!("\n{fails}"))
    )
}

/// A value as a text could hold it, in small letters. Of Base64, what is the value's alone, wherever in it that begins.
fn shapes(value: &str) -> Vec<String> {
    let base64 = (0..3).map(|before| {
        let encoded = STANDARD.encode(format!("{}{value}", "x".repeat(before)));
        encoded[(before * 8).div_ceil(6)..(before + value.len()) * 8 / 6].to_owned()
    });
    let parts = |before: &str, after: &str| -> String {
        value
            .chars()
            .map(|c| format!("{before}{c}{after}"))
            .collect()
    };
    let shapes = [
        value.to_owned(),
        value.replace('+', "%2B").replace('@', "%40"),
        value.replace('+', "%252B").replace('@', "%2540"),
        value.chars().rev().collect(),
        value.bytes().map(|byte| format!("{byte:02x}")).collect(),
        parts("<b>", "</b>"),
        parts("&lt;b&gt;", "&lt;/b&gt;"),
    ];
    shapes
        .into_iter()
        .chain(base64)
        .map(|shape| shape.to_lowercase())
        .collect()
}

/// Where a text has a code. It must end there: a longer number is another one.
fn place_of_code(code: &str, text: &str) -> Option<usize> {
    let goes_on = |end: usize| text[end..].starts_with(|c: char| c.is_ascii_digit());
    let mut found = text.match_indices(code).map(|(at, _)| at);
    found.find(|at| !goes_on(at + code.len()))
}

#[test]
fn a_number_that_begins_as_a_code_does_is_another_one() {
    assert_eq!(place_of_code(": 123456", "a: 1234567, b: 123456"), Some(13));
    assert_eq!(place_of_code(": 123456", "{a: 123456}"), Some(2));
    assert_eq!(place_of_code(": 123456", "a: 1234567, b: 123456789"), None);
}

#[test]
fn no_value_of_a_secret_is_in_the_table_the_bucket_the_logs_an_answer_or_a_webhook() {
    let logs = tempfile::NamedTempFile::new().expect("a file");
    let mut stack = Stack::start_with_logs(&[("LEGWORK_LOG", "trace")], logs.reopen().expect("it"));
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
    let message = ended["failure"]["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("This is not there: •••"), "{message}");
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
    let codes = ["\"", "=", ">", ": "].map(|before| format!("{before}{code}"));
    let values: Vec<String> = [EMAIL, PASSWORD].into_iter().flat_map(shapes).collect();
    for (place, text) in &places {
        let text = text.to_lowercase();
        let of_values = values.iter().map(|value| (value, text.find(value)));
        let of_codes = codes.iter().map(|code| (code, place_of_code(code, &text)));
        for (value, found) in of_values.chain(of_codes) {
            let found = found.map(|at| {
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
