//! `legwork demo`: the main job end to end, with real parts, checked by what the practice site itself shows.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use domain::run::Status;
use domain::webhook::EventType;
use domain::wire::{HistoryView, RunView};
use localstack::{LocalFile, ReceivedWebhook, Stack};
use platform::webhook_signature::Secret;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::client::{Artifact, Client};
use crate::{display, quiet_logs, signals, stack_options};

const WORKFLOW: &str = include_str!("../../examples/employee-roster.yaml");

/// The practice site's account; docs/practice-site.md has them all.
const EMAIL: &str = "hr@example.com";
const PASSWORD: &str = "correct-horse-battery";

/// How often a run is asked for; a customer would heed `Retry-After`, but a person is watching.
const POLL_EVERY: Duration = Duration::from_millis(100);

/// How long one run may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the demo; 0 only if all of it was right.
pub(crate) async fn main() -> anyhow::Result<ExitCode> {
    quiet_logs()?;
    let signals = signals()?;
    let stop = signals.token();
    let options = stack_options()?;
    let project_dir = options.project_dir.clone();
    let began = Instant::now();
    display::line("Starting Legwork on this machine");
    let mut say = |text: &str| display::line(text);
    let mut stack = tokio::select! {
        started = Stack::start(options, &mut say) => started?,
        () = stop.cancelled() => return Ok(ExitCode::from(130)),
    };
    display::line(&format!(
        "Ready after {:.1} s",
        began.elapsed().as_secs_f64()
    ));

    let local = stack.local().clone();
    let never = CancellationToken::new();
    let ended = tokio::select! {
        ended = show(&local, &project_dir) => ended.map(Some),
        watched = stack.watch(&never) => watched.map(|()| None),
        () = stop.cancelled() => Ok(None),
    };
    stack.stop().await;
    match ended? {
        None => Ok(ExitCode::from(130)),
        Some(true) => {
            display::line("\nEverything was right");
            Ok(ExitCode::SUCCESS)
        }
        Some(false) => bail!("something was not right; the lines marked FAIL say what"),
    }
}

/// What a run left, with whether it was right.
struct Checks(bool);

impl Checks {
    fn that(&mut self, what: &str, holds: bool) {
        display::check(what, holds);
        self.0 &= holds;
    }
}

async fn show(local: &LocalFile, project_dir: &Path) -> anyhow::Result<bool> {
    let client = Client::new(&local.api_url, &local.api_key)?;
    display::line(&format!(
        "  API {}, practice site {}",
        local.api_url, local.practice_site_url
    ));
    client.set_secret("hr_user", EMAIL).await?;
    client.set_secret("hr_password", PASSWORD).await?;
    let types: Vec<&str> = EventType::ALL
        .iter()
        .map(|event_type| event_type.as_str())
        .collect();
    let url = format!("{}/legwork-demo", local.webhook_receiver_url);
    let secret = Secret::parse(&client.create_webhook_endpoint(&url, &types).await?)?;
    let workflow = client.create_workflow(WORKFLOW).await?;
    display::line(&format!(
        "  workflow \"Employee roster\" {workflow}, secrets and webhook endpoint registered"
    ));

    let mut checks = Checks(true);
    display::heading(
        "A run that signs in, answers a 2FA question, extracts records and downloads a file",
    );
    let site = format!("{}/with/2fa=on", local.practice_site_url);
    let run = execute(&client, &workflow, &site).await?;
    checks.that(
        "the run is COMPLETED",
        run.summary.status == Status::Completed,
    );
    let folder = project_dir
        .join(".legwork/demo")
        .join(run.summary.id.to_string());
    check_artifacts(&client, &run, &site, &folder, &mut checks).await?;
    check_webhooks(&client, local, &secret, &run, &mut checks).await?;
    show_timings(&run);

    display::heading("A run that finds nothing to do: an empty month");
    let site = format!("{}/with/empty=on", local.practice_site_url);
    let run = execute(&client, &workflow, &site).await?;
    let is_none = run.summary.status == Status::CompletedWithNoActionTaken;
    checks.that("the run is COMPLETED_WITH_NO_ACTION_TAKEN", is_none);
    let reason = run.summary.no_action_reason.clone().unwrap_or_default();
    checks.that(&format!("it says why: \"{reason}\""), !reason.is_empty());
    check_webhooks(&client, local, &secret, &run, &mut checks).await?;

    display::heading("Where everything is");
    display::line(&format!("  the run's artifacts   {}", folder.display()));
    display::line(&format!(
        "  logs                  {}",
        project_dir.join(".legwork/logs").display()
    ));
    display::line("  to try it yourself    cargo run -- up");
    Ok(checks.0)
}

/// Creates a run and follows it to its end, answering its question.
async fn execute(client: &Client, workflow: &str, base_url: &str) -> anyhow::Result<RunView> {
    let body = json!({
        "workflowId": workflow,
        "input": { "baseUrl": base_url },
        "metadata": { "from": "legwork demo" },
    });
    let key = format!(
        "demo-{}",
        store::fresh_random::<8>()
            .map(|byte| format!("{byte:02x}"))
            .concat()
    );
    let created = client.create_run(&body, &key).await?;
    let again = client.create_run(&body, &key).await?;
    if again.summary.id != created.summary.id {
        bail!("the same Idempotency-Key made two runs");
    }
    let id = created.summary.id.to_string();
    let progress = display::Progress::begin();
    let began = Instant::now();
    let (mut run, mut shown, mut answered) = (created, 0, None);
    loop {
        for entry in run
            .state_history
            .iter()
            .filter(|entry| entry.sequence > shown)
        {
            progress.say(&timeline(&run, entry));
        }
        shown = run.summary.sequence;
        progress.now(
            run.summary
                .current_state_name
                .as_deref()
                .unwrap_or("waiting for a runner"),
        );
        if run.summary.status.is_final() {
            return Ok(run);
        }
        if let Some(request) = &run.summary.input_request
            && answered != Some(request.id)
        {
            answered = Some(request.id);
            let code = read_phone(client, base_url).await?;
            progress.say(&format!(
                "           answering \"{}\" with {code}",
                request.prompt
            ));
            let values = request
                .fields
                .iter()
                .map(|field| (field.name.clone(), code.clone()))
                .collect();
            client.answer(&id, &request.id.to_string(), &values).await?;
        }
        if began.elapsed() > PATIENCE {
            bail!("the run {id} did not end within {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(POLL_EVERY).await;
        if let Some(newer) = client.run(&id, Some(shown)).await? {
            run = newer;
        }
    }
}

fn timeline(run: &RunView, entry: &HistoryView) -> String {
    let after = entry.at.since(run.summary.created_at).as_secs_f64();
    let state = entry.state_name.as_deref().unwrap_or("-");
    format!(
        "  {after:>6.2} s  {:>2}  {:<32} {state}",
        entry.sequence,
        entry.status.as_str()
    )
}

/// The practice site's pretend phone, which shows the code that was sent last.
async fn read_phone(client: &Client, base_url: &str) -> anyhow::Result<String> {
    #[derive(Deserialize)]
    struct Phone {
        code: String,
    }
    let phone: Phone = client
        .fetch_json(&format!("{}/phone/{EMAIL}", origin(base_url)?))
        .await?;
    Ok(phone.code)
}

fn origin(url: &str) -> anyhow::Result<String> {
    Ok(url::Url::parse(url)?.origin().ascii_serialization())
}

async fn check_artifacts(
    client: &Client,
    run: &RunView,
    site: &str,
    folder: &PathBuf,
    checks: &mut Checks,
) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("{} can't be made", folder.display()))?;
    let artifacts = client.artifacts(&run.summary.id.to_string()).await?;
    let mut bytes_of = BTreeMap::new();
    display::line("  artifacts:");
    for artifact in &artifacts {
        let bytes = client.fetch(&artifact.download_url).await?;
        display::line(&describe(artifact));
        let is_whole = bytes.len() as u64 == artifact.size_bytes
            && hex(&Sha256::digest(&bytes)) == artifact.sha256;
        if !is_whole {
            checks.that(
                &format!(
                    "{} has the length and the SHA-256 that the API says",
                    artifact.name
                ),
                false,
            );
        }
        fs::write(folder.join(&artifact.name), &bytes)?;
        bytes_of.insert(artifact.name.clone(), bytes);
    }
    checks.that(
        "every artifact has the length and the SHA-256 that the API says",
        !artifacts.is_empty() && checks.0,
    );

    let truth: Vec<BTreeMap<String, Value>> = client
        .fetch_json(&format!("{site}/api/employees.json"))
        .await?;
    let get = |name: &str| bytes_of.get(name).map(Vec::as_slice).unwrap_or_default();
    let records: Value = serde_json::from_slice(get("employees.json")).unwrap_or_default();
    let shown = people(records.as_array().map(Vec::as_slice).unwrap_or_default());
    let site_shows: Vec<Value> = truth.iter().map(|person| json!(person)).collect();
    let expected = people(&site_shows);
    checks.that(
        &format!(
            "the {} extracted records are what the site shows",
            shown.len()
        ),
        !expected.is_empty() && shown == expected,
    );
    checks.that(
        &format!(
            "the downloaded CSV has the site's {} employees",
            expected.len()
        ),
        csv_people(get("employees-export.csv")).is_ok_and(|exported| exported == expected),
    );
    let picture = get("employees.png");
    checks.that(
        "the screenshot is a PNG",
        picture.starts_with(b"\x89PNG\r\n\x1a\n"),
    );
    let count = run
        .output
        .as_ref()
        .and_then(|output| output.get("count"))
        .and_then(Value::as_u64);
    checks.that(
        "the run's output counts them",
        count == Some(expected.len() as u64),
    );
    Ok(())
}

fn describe(artifact: &Artifact) -> String {
    format!(
        "    {:<24} {:<15} {:>8} bytes  sha256 {}…  {}",
        artifact.name,
        artifact.artifact_type,
        artifact.size_bytes,
        artifact.sha256.get(..12).unwrap_or_default(),
        artifact.state_name.as_deref().unwrap_or("-"),
    )
}

/// Email, name and salary in cents of each, in the order of the email: names are not unique on the site.
type People = Vec<(String, String, i64)>;

#[expect(
    clippy::cast_possible_truncation,
    reason = "a salary in cents is far below the limits"
)]
fn cents(salary: f64) -> i64 {
    (salary * 100.0).round() as i64
}

fn people(records: &[Value]) -> People {
    let text = |record: &Value, key: &str| {
        record
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let mut people: People = records
        .iter()
        .map(|record| {
            let salary = record
                .get("salary")
                .and_then(Value::as_f64)
                .unwrap_or(f64::NAN);
            (text(record, "email"), text(record, "name"), cents(salary))
        })
        .collect();
    people.sort();
    people
}

fn csv_people(bytes: &[u8]) -> anyhow::Result<People> {
    let mut reader = csv::Reader::from_reader(bytes);
    let headers = reader.headers()?.clone();
    let column = |name: &str| {
        let found = headers
            .iter()
            .position(|header| header.eq_ignore_ascii_case(name));
        found.with_context(|| format!("the CSV has no column {name}"))
    };
    let (email, name, salary) = (column("email")?, column("name")?, column("salary")?);
    let mut people = People::new();
    for record in reader.records() {
        let record = record?;
        let text = |column: usize| record.get(column).unwrap_or_default().to_owned();
        people.push((text(email), text(name), cents(text(salary).parse()?)));
    }
    people.sort();
    Ok(people)
}

/// Every change of the run must have arrived, each signed.
async fn check_webhooks(
    client: &Client,
    local: &LocalFile,
    secret: &Secret,
    run: &RunView,
    checks: &mut Checks,
) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Received {
        data: Vec<ReceivedWebhook>,
    }
    let id = run.summary.id.to_string();
    let expected: Vec<u64> = run
        .state_history
        .iter()
        .map(|entry| entry.sequence)
        .collect();
    let began = Instant::now();
    loop {
        let url = format!("{}/received", local.webhook_receiver_url);
        let received: Received = client.fetch_json(&url).await?;
        let mut sequences = Vec::new();
        let mut types = Vec::new();
        let mut all_signed = true;
        for webhook in &received.data {
            let body: Value = serde_json::from_str(&webhook.body).unwrap_or_default();
            if body.pointer("/data/id").and_then(Value::as_str) != Some(id.as_str()) {
                continue;
            }
            sequences.extend(body.pointer("/data/sequence").and_then(Value::as_u64));
            types.extend(body.get("type").and_then(Value::as_str).map(str::to_owned));
            all_signed &= webhook.verify(secret).is_ok();
        }
        sequences.sort_unstable();
        sequences.dedup();
        if sequences == expected || began.elapsed() > Duration::from_secs(20) {
            checks.that(
                &format!(
                    "{} webhooks arrived, one for each change, and nothing is missing",
                    types.len()
                ),
                sequences == expected,
            );
            checks.that(
                "each has a valid Standard Webhooks signature",
                all_signed && !types.is_empty(),
            );
            return Ok(());
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

fn show_timings(run: &RunView) {
    let Some(timings) = &run.summary.timings else {
        return;
    };
    display::line("  timings in ms:");
    display::line(&format!(
        "    queued {}, browser {}, waiting for a person {}, artifacts {}, total {}",
        timings.queued,
        timings.browser_start,
        timings.awaiting_user,
        timings.artifacts,
        timings.total
    ));
    for (state, took) in &timings.states {
        display::line(&format!("    {state:<32} {took:>6}"));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
