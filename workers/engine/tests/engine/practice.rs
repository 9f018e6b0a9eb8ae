//! The sample over real Chromium, on the practice site.

use std::collections::{BTreeMap, HashMap};

use crate::guide;
use async_trait::async_trait;
use browser::{Browser, LaunchOptions, find_or_install};
use domain::FailureCode;
use domain::definition::{Definition, Secret};
use domain::run::SkippedState;
use engine::{
    Answer, ArtifactBody, Host, Inputs, Interrupted, NewArtifact, Outcome, Question, Report,
    execute,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const SAMPLE: &str = include_str!("../../../../examples/employee-roster.yaml");
const PASSWORD: &str = "correct-horse-battery";

/// A practice site of the test's own, which ends with it.
struct Site {
    address: String,
    _server: JoinSet<std::io::Result<()>>,
}

impl Site {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let mut server = JoinSet::new();
        server.spawn(practice_site::serve(listener, std::future::pending()));
        Self {
            address,
            _server: server,
        }
    }

    async fn get(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(&self.address).await.expect("the site");
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.address
        );
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
    }
}

/// A host that looks up the code on the pretend phone, and keeps the artifacts' bytes.
struct PhoneOwner<'s> {
    site: &'s Site,
    email: &'static str,
    artifacts: HashMap<String, Vec<u8>>,
}

#[async_trait]
impl Host for PhoneOwner<'_> {
    async fn enter_state(&mut self, _: &str, _: Vec<SkippedState>) -> Result<(), Interrupted> {
        Ok(())
    }

    async fn ask_user(
        &mut self,
        question: Question,
        screenshot: Option<NewArtifact>,
    ) -> Result<Answer, Interrupted> {
        let screenshot = screenshot.expect("the person sees the page");
        assert_eq!(screenshot.name, "question.png");
        self.store_artifact(screenshot).await?;
        let phone = self.site.get(&format!("/phone/{}", self.email)).await;
        let code = phone["code"].as_str().expect("a code");
        Ok(Answer::Given(BTreeMap::from([(
            question.fields[0].name.clone(),
            Secret::new(code),
        )])))
    }

    async fn store_artifact(&mut self, artifact: NewArtifact) -> Result<(), Interrupted> {
        let bytes = match artifact.body {
            ArtifactBody::Bytes(bytes) => bytes,
            ArtifactBody::File(path) => tokio::fs::read(path)
                .await
                .expect("the file is there while it is stored"),
        };
        self.artifacts.insert(artifact.name, bytes);
        Ok(())
    }
}

/// Runs a definition in a browser of its own. The switches are a prefix such as `/with/empty=on`.
async fn run(
    yaml: &str,
    site: &Site,
    switches: &str,
    email: &'static str,
    password: &str,
) -> (Report, HashMap<String, Vec<u8>>) {
    let definition = Definition::parse_yaml(yaml).unwrap_or_else(|errors| panic!("{errors:#?}"));
    let scratch = tempfile::tempdir().expect("a folder");
    let executable = find_or_install(&mut |_| {}).await.expect("a browser");
    let browser = Browser::launch(&LaunchOptions::new(executable, scratch.path()))
        .await
        .expect("it starts");
    let page = browser.page().await.expect("a page");
    let mut tabs = engine::Chromium::new(page);
    let mut host = PhoneOwner {
        site,
        email,
        artifacts: HashMap::new(),
    };
    let secrets = [("hr_user", email), ("hr_password", password)];
    let inputs = Inputs {
        input: json!({"baseUrl": format!("http://{}{switches}", site.address)}),
        secrets: secrets
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Secret::new(value)))
            .collect(),
        outputs: json!({}),
    };
    let report = execute(
        &definition,
        inputs,
        &mut tabs,
        &mut host,
        std::future::pending(),
    )
    .await
    .expect("not interrupted");
    browser.close().await;
    (report, host.artifacts)
}

fn text(artifacts: &HashMap<String, Vec<u8>>, name: &str) -> String {
    let bytes = artifacts
        .get(name)
        .unwrap_or_else(|| panic!("{name} is not among {:?}", artifacts.keys()));
    String::from_utf8(bytes.clone()).expect("text")
}

#[tokio::test]
async fn the_sample_reads_every_employee_of_the_practice_site() {
    let site = Site::start().await;
    let (report, artifacts) = run(
        SAMPLE,
        &site,
        "/with/late=100,next=disabled",
        "hr-2fa@example.com",
        PASSWORD,
    )
    .await;
    let log = text(&artifacts, "log.jsonl");
    assert_eq!(
        report.outcome,
        Outcome::Completed {
            output: Some(json!({"count": 47}))
        },
        "{log}"
    );
    let states: Vec<_> = report
        .state_timings
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        states,
        [
            "signing_in",
            "entering_2fa_code",
            "extracting_employee_records",
            "downloading_csv"
        ]
    );

    let read: Value = serde_json::from_str(&text(&artifacts, "employees.json")).expect("JSON");
    let truth = site.get("/api/employees.json").await;
    let (read, truth) = (
        read.as_array().expect("records"),
        truth.as_array().expect("records"),
    );
    assert_eq!(read.len(), truth.len());
    for (read, truth) in read.iter().zip(truth) {
        for field in ["name", "email", "department"] {
            assert_eq!(read[field], truth[field]);
        }
        assert_eq!(read["salary"].as_f64(), truth["salary"].as_f64(), "{read}");
    }
    let export = text(&artifacts, "employees-export.csv");
    assert!(
        export.starts_with("name,") || export.to_lowercase().contains("email"),
        "{export}"
    );
    for picture in ["employees.png", "question.png"] {
        assert!(artifacts[picture].starts_with(b"\x89PNG"), "{picture}");
    }
    assert!(!log.contains(PASSWORD));
}

#[tokio::test]
async fn an_empty_month_ends_with_no_action() {
    let site = Site::start().await;
    let (report, artifacts) =
        run(SAMPLE, &site, "/with/empty=on", "hr@example.com", PASSWORD).await;
    let log = text(&artifacts, "log.jsonl");
    assert_eq!(
        report.outcome,
        Outcome::NoAction {
            reason: "No employees are listed".to_owned()
        },
        "{log}"
    );
    assert!(log.contains("state_skipped"), "nobody was asked for a code");
}

#[tokio::test]
async fn a_wrong_password_fails_where_the_next_page_is_awaited() {
    let site = Site::start().await;
    let yaml = SAMPLE.replace(
        "- waitFor: { any:",
        // Enough for the way from the click to the page that says no.
        "- timeout: 5s\n        waitFor: { any:",
    );
    let wrong = "wrong-horse-battery";
    let (report, artifacts) = run(&yaml, &site, "", "hr@example.com", wrong).await;
    let Outcome::Failed(failure) = report.outcome else {
        panic!("{:?}", report.outcome)
    };
    assert_eq!(failure.code, FailureCode::AssertionFailed);
    assert_eq!(
        failure.step.as_deref(),
        Some("signing_in/steps/4 (waitFor)")
    );
    assert!(
        failure.message.contains("Verification code") && failure.message.contains("/login)"),
        "{}",
        failure.message
    );
    assert!(artifacts["failure.png"].starts_with(b"\x89PNG"));
    let dom = text(&artifacts, "failure.html");
    assert!(
        dom.contains("Sign in") && !dom.contains(wrong) && !dom.contains("hr@example.com"),
        "{dom}"
    );
}

#[tokio::test]
async fn every_whole_workflow_of_the_guide_runs_on_the_practice_site() {
    let site = Site::start().await;
    let mut count = 0;
    let mut needs_a_proxy = Vec::new();
    for example in guide::examples().filter(|example| example.starts_with("name:")) {
        let definition =
            Definition::parse_yaml(example).unwrap_or_else(|errors| panic!("{errors:#?}"));
        // A run's proxy is set up by the worker, not by the engine; that it is one is held in `worker`.
        if definition.proxy.is_some() {
            needs_a_proxy.push(definition.name);
            continue;
        }
        let yaml = example.replace(
            "https://example.com",
            &format!("http://{}/login", site.address),
        );
        let email = if yaml.contains("askUser") {
            "hr-2fa@example.com"
        } else {
            "hr@example.com"
        };
        let (report, artifacts) = run(&yaml, &site, "", email, PASSWORD).await;
        let log = text(&artifacts, "log.jsonl");
        let is_completed = matches!(report.outcome, Outcome::Completed { .. });
        assert!(is_completed, "{yaml}\n{log}");
        // Each of its states has something to do there.
        assert!(!log.contains("_skipped"), "{yaml}\n{log}");
        count += 1;
    }
    assert!(count >= 3, "{count}");
    assert_eq!(needs_a_proxy, ["Prices abroad"]);
}
