//! The deployment: template.yaml and the real `bootstrap` binaries on the emulator, with runs that go the whole way
//! from API Gateway to the customer's receiver.
//!
//! The stack on one machine feeds the functions itself, so this is where triggers, filters, environments and the
//! functions' own mains are tried. It shows nothing of policies: the emulator does not enforce them.

mod functions;
mod service;

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Context, ensure};
use domain::job_run::OnFailure;
use domain::run::Status;
use domain::webhook::EventType;
use domain::{JobId, JobRunId, OrganizationId, WorkflowId};
use platform::webhook_signature::Secret;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::{Job, JobWorkflow, fresh_id, now};

use crate::service::{Body, Service};

const ROSTER: &str = include_str!("../../examples/employee-roster.yaml");

/// The practice site's account; docs/practice-site.md has them all.
const EMAIL: &str = "hr@example.com";
const PASSWORD: &str = "correct-horse-battery";

#[tokio::test(flavor = "multi_thread")]
async fn every_deployed_function_does_its_part() {
    let began = Instant::now();
    let mut took = String::new();
    let mut say = |what: &str| {
        took.push_str(&format!(
            "{:6.1} s: {what}\n",
            began.elapsed().as_secs_f64()
        ))
    };
    let mut service = Service::deploy(&mut say)
        .await
        .expect("the service can be deployed");
    let outcome = go_the_whole_way(&mut service, &mut say).await;
    let logs = if outcome.is_err() {
        service.logs_of_all().await
    } else {
        String::new()
    };
    let stopped = service.stop().await;
    if let Err(error) = outcome {
        panic!("{error:#}\n\nUntil then:\n{took}{logs}");
    }
    stopped.expect("everything stops");
    show(&took);
}

#[expect(
    clippy::print_stdout,
    reason = "how long each part took, for who asks with --nocapture"
)]
fn show(took: &str) {
    println!("{took}");
}

/// What the customer of the test knows.
struct Customer {
    organization: OrganizationId,
    workflow: WorkflowId,
    secret: Secret,
}

async fn go_the_whole_way(service: &mut Service, say: &mut impl FnMut(&str)) -> anyhow::Result<()> {
    let customer = register(service).await.context("registering")?;
    say("secrets, workflow and webhook endpoint are registered");
    a_run_completes_and_every_change_of_it_arrives(service, &customer)
        .await
        .context("a run with a question")?;
    say("a run went the whole way");
    an_occurrence_of_a_job_runs_its_workflows_in_order(service, &customer)
        .await
        .context("a job run")?;
    say("a job run went the whole way");
    let swept = async || {
        Ok(service
            .function_log("SweeperLogGroup")
            .await?
            .iter()
            .any(|line| line.contains("Swept"))
            .then_some(()))
    };
    service
        .until("the schedule invoked the sweeper", swept)
        .await?;
    say("the schedule had invoked the sweeper");
    a_run_of_a_dead_runner_is_ended_by_the_sweeper(service, &customer)
        .await
        .context("a lost run")?;
    say("a lost run was ended");
    Ok(())
}

async fn register(service: &mut Service) -> anyhow::Result<Customer> {
    let (organization, key) = service.make_first_key().await?;
    service.key = key;
    for (name, value) in [("hr_user", EMAIL), ("hr_password", PASSWORD)] {
        let body = Body::Json(json!({ "value": value }));
        service
            .call(Method::PUT, &format!("/secrets/{name}"), body, 204)
            .await?;
    }
    let workflow = service
        .call(Method::POST, "/workflows", Body::Yaml(ROSTER), 201)
        .await?;
    let types: Vec<&str> = EventType::ALL
        .iter()
        .map(|event_type| event_type.as_str())
        .collect();
    let body = json!({ "url": format!("{}/hook", service.receiver_url), "eventTypes": types });
    let endpoint = service
        .call(Method::POST, "/webhook-endpoints", Body::Json(body), 201)
        .await?;
    Ok(Customer {
        organization,
        workflow: text(&workflow["id"])?.parse()?,
        secret: Secret::parse(text(&endpoint["secret"])?)?,
    })
}

async fn a_run_completes_and_every_change_of_it_arrives(
    service: &Service,
    customer: &Customer,
) -> anyhow::Result<()> {
    let id = create_run(service, customer, "2fa=on").await?;
    let asking = run_when(service, &id, "the run asks", |run| {
        run["status"] == "AWAITING_USER_INPUT"
    })
    .await?;
    // Of a run that has not ended, only the stream can have told.
    every_change_arrives(service, customer, &asking).await?;

    let phone: Value = serde_json::from_slice(
        &service
            .fetch(&format!("{}/phone/{EMAIL}", service.site_url))
            .await?,
    )?;
    let answer = json!({ "inputRequestId": asking["inputRequest"]["id"], "values": { "code": phone["code"] } });
    service
        .call(
            Method::POST,
            &format!("/workflow-runs/{id}/user-input"),
            Body::Json(answer),
            200,
        )
        .await?;
    let run = run_when(service, &id, "the run has ended", has_ended).await?;
    ensure!(run["status"] == "COMPLETED", "the run is {run:#}");
    let employees = service
        .fetch(&format!(
            "{}/with/2fa=on/api/employees.json",
            service.site_url
        ))
        .await?;
    let employees: Vec<Value> = serde_json::from_slice(&employees)?;
    ensure!(
        run["output"]["count"] == employees.len(),
        "the site has {} employees; {run:#}",
        employees.len()
    );

    let list = service
        .call(
            Method::GET,
            &format!("/workflow-runs/{id}/artifacts"),
            Body::None,
            200,
        )
        .await?;
    let mut names = BTreeSet::new();
    for artifact in list["data"].as_array().context("a list of artifacts")? {
        let bytes = service.fetch(text(&artifact["downloadUrl"])?).await?;
        let sha256 = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>();
        ensure!(
            artifact["sha256"] == sha256,
            "{artifact:#} has {} other bytes",
            bytes.len()
        );
        names.insert(text(&artifact["name"])?);
    }
    let expected = BTreeSet::from(["employees-export.csv", "employees.json", "employees.png"]);
    ensure!(
        names.is_superset(&expected),
        "the artifacts are only {names:?}"
    );
    every_change_arrives(service, customer, &run).await
}

async fn an_occurrence_of_a_job_runs_its_workflows_in_order(
    service: &Service,
    customer: &Customer,
) -> anyhow::Result<()> {
    let base_url = format!("{}/with/empty=on", service.site_url);
    // One fits an item, and the other one is put into the bucket by whoever creates the run.
    let fits = json!({ "baseUrl": base_url });
    let too_large = json!({ "baseUrl": base_url, "notes": "x".repeat(110 * 1024) });
    let workflow = |order, input: &Value| JobWorkflow {
        workflow_id: customer.workflow,
        input: input.to_string(),
        order,
        output_name: None,
    };
    let job = Job {
        id: fresh_id(JobId::new, now()),
        organization_id: customer.organization,
        name: "Two empty months".to_owned(),
        workflows: vec![workflow(1, &fits), workflow(2, &too_large)],
        on_failure: OnFailure::Stop,
        created_by_user_id: "deployer".to_owned(),
        created_at: now(),
        generation: 1,
    };
    service.store.create_job(&job).await?;
    let occurrence =
        json!({ "jobId": job.id, "scheduledTime": "2026-11-23T04:00:00Z", "generation": 1 });
    let first = service.invoke("JobTriggerFunction", &occurrence).await?;
    let again = service.invoke("JobTriggerFunction", &occurrence).await?;
    ensure!(
        first["created"] == true && again["created"] == false,
        "it answered {first}, then {again}"
    );
    ensure!(
        first["jobRunId"] == again["jobRunId"],
        "one occurrence made two job runs: {first}, {again}"
    );

    let id: JobRunId = text(&first["jobRunId"])?.parse()?;
    let ended = async || {
        let job_run = service
            .store
            .job_run(id)
            .await?
            .context("the job run is not there")?;
        Ok(job_run.status.is_final().then_some(job_run))
    };
    let job_run = service.until("the job run has ended", ended).await?;
    ensure!(
        job_run.status == Status::CompletedWithNoActionTaken,
        "it is {job_run:#?}"
    );
    let mut earlier_ended = String::new();
    for managed in &job_run.runs {
        let run = read_run(service, &managed.run_id.to_string()).await?;
        ensure!(
            run["status"] == "COMPLETED_WITH_NO_ACTION_TAKEN",
            "its run is {run:#}"
        );
        ensure!(
            text(&run["startedAt"])? >= earlier_ended.as_str(),
            "{run:#} began before {earlier_ended}"
        );
        earlier_ended = text(&run["completedAt"])?.to_owned();
        every_change_arrives(service, customer, &run).await?;
    }
    Ok(())
}

async fn a_run_of_a_dead_runner_is_ended_by_the_sweeper(
    service: &mut Service,
    customer: &Customer,
) -> anyhow::Result<()> {
    let id = create_run(service, customer, "slow=30000").await?;
    run_when(service, &id, "the run is in its first state", |run| {
        run["currentStateName"] == "signing_in"
    })
    .await?;
    service.kill_runner().await?;
    let ended = async || {
        service.invoke("SweeperFunction", &json!({})).await?;
        let run = read_run(service, &id).await?;
        Ok(has_ended(&run).then_some(run))
    };
    let run = service
        .until("the sweeper has ended the run", ended)
        .await?;
    ensure!(
        run["failure"]["code"] == "WORKER_LOST",
        "the run is {run:#}"
    );
    every_change_arrives(service, customer, &run).await
}

async fn create_run(
    service: &Service,
    customer: &Customer,
    switches: &str,
) -> anyhow::Result<String> {
    let input = json!({ "baseUrl": format!("{}/with/{switches}", service.site_url) });
    let body = json!({ "workflowId": customer.workflow, "input": input });
    let run = service
        .call(Method::POST, "/workflow-runs", Body::Json(body), 201)
        .await?;
    Ok(text(&run["id"])?.to_owned())
}

async fn read_run(service: &Service, id: &str) -> anyhow::Result<Value> {
    service
        .call(
            Method::GET,
            &format!("/workflow-runs/{id}"),
            Body::None,
            200,
        )
        .await
}

/// Waits until a run fulfils a condition; one that has ended will not any more.
async fn run_when(
    service: &Service,
    id: &str,
    what: &str,
    holds: impl Fn(&Value) -> bool,
) -> anyhow::Result<Value> {
    let look = async || {
        let run = read_run(service, id).await?;
        let fulfilled = holds(&run);
        ensure!(
            fulfilled || !has_ended(&run),
            "waited until {what}, but it has ended: {run:#}"
        );
        Ok(fulfilled.then_some(run))
    };
    service.until(what, look).await
}

fn has_ended(run: &Value) -> bool {
    !run["completedAt"].is_null()
}

/// Every change of a run, as it was read, must arrive, each signed.
async fn every_change_arrives(
    service: &Service,
    customer: &Customer,
    run: &Value,
) -> anyhow::Result<()> {
    let history = run["stateHistory"].as_array().context("a history")?;
    let expected: BTreeSet<u64> = history
        .iter()
        .filter_map(|entry| entry["sequence"].as_u64())
        .collect();
    ensure!(
        expected.len() == history.len(),
        "the history repeats a sequence: {run:#}"
    );
    let mut arrived = BTreeSet::new();
    let look = async || {
        for webhook in service.webhooks().await? {
            let body: Value = serde_json::from_str(&webhook.body)?;
            if body["data"]["id"] == run["id"] {
                webhook
                    .verify(&customer.secret)
                    .with_context(|| format!("of {body:#}"))?;
                arrived.extend(body["data"]["sequence"].as_u64());
            }
        }
        Ok((arrived == expected).then_some(()))
    };
    let outcome = service.until("all webhooks have arrived", look).await;
    outcome.with_context(|| format!("those of the changes {arrived:?} arrived, of {expected:?}"))
}

fn text(value: &Value) -> anyhow::Result<&str> {
    value
        .as_str()
        .with_context(|| format!("{value} is no text"))
}
