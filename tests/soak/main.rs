//! The soak: customers ask for runs and answer their questions while, by chance, processes of the service and browsers
//! are killed, calls of AWS fail, answers get lost, messages come twice and late, stream records are lost, and the
//! sweeper's clock is ahead. Then it becomes quiet, the sweeper sweeps on, and everything must be as [`chaos::check`]
//! says: nothing lost, nothing stuck, nothing twice.
//!
//! `cargo test -p cli --test soak` is the short form. `LEGWORK_SOAK_RUNS`, `LEGWORK_SOAK_SECONDS` make it long, and
//! `LEGWORK_SOAK_SEED` throws the dice of an earlier one again: each thrower has a die of its own, so that the same
//! faults hit the same calls of each process, as far as the processes make the same calls. The executable is its own
//! harness, since it is also the processes that are killed.
//!
//! Clocks: what a process reads is the machine's clock, and no setting moves it, since a setting that did could be set
//! in production. The sweeper takes its time as an argument, so its clock is what is moved here: it runs ahead of the
//! runners', for up to half a lease and, once it is quiet, for far more. Between two machines, only the difference
//! counts. What clocks of workers can do is in the model (`shared/domain/tests/protocol`).
#![expect(clippy::print_stdout, reason = "the report is the result")]

#[path = "../chaos/mod.rs"]
#[expect(dead_code, reason = "the crash matrix uses what this doesn't")]
mod chaos;

mod dice;
mod faults;
mod parts;
mod report;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::{RunId, WorkflowId};
use platform::configuration::Environment;
use serde_json::{Value, json};
use store::{DUE_SHARDS, RunMessage};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::chaos::check;
use crate::chaos::customer::{Customer, Learns};
use crate::chaos::policy::Quiet;
use crate::chaos::proxy::Proxy;
use crate::chaos::roles::{self, Records, Role};
use crate::chaos::stage::Stage;
use crate::dice::Dice;
use crate::faults::{Caused, Chance};
use crate::parts::Part;

/// Asks a person, uses a secret, and may be executed three times.
const ASKING: &str = r#"
name: Asking
retry: { maxAttempts: 3 }
input:
  type: object
  properties: { site: { type: string } }
  required: [site]
states:
  - name: signing_in
    steps:
      - goto: "{{ input.site }}/login"
      - fill: { label: Password, value: "{{ secrets.password }}" }
  - name: entering_code
    steps:
      - askUser: { prompt: Code sent to your phone, as: code, timeout: 5m }
      - fill: { label: Code, value: "{{ answers.code }}" }
  - name: extracting
    steps:
      - extract: { rows: tr, fields: { name: td }, as: people }
output: { count: "{{ people | length }}" }
"#;

/// Asks nobody, and may be executed once.
const ONCE: &str = r#"
name: Once
input:
  type: object
  properties: { site: { type: string } }
  required: [site]
states:
  - name: extracting
    steps:
      - goto: "{{ input.site }}/login"
      - extract: { rows: tr, fields: { name: td }, as: people }
output: { count: "{{ people | length }}" }
"#;

/// How long it may take until all is well, once it is quiet.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often the sweeper comes.
const SWEEPS_EVERY: Duration = Duration::from_secs(2);
/// How far its clock is ahead at most while there is chaos: half a lease.
const AHEAD_MILLIS: u64 = 3000;
/// What it is told once it is quiet, instead of waiting for that long: after this, what is lost is overdue.
const OVERDUE_AFTER: Duration = Duration::from_secs(61);
/// How many sweeps come before that, so that those that live can end.
const SWEEPS_IN_TIME: u32 = 4;
/// How far ahead it goes, in the same steps.
const FURTHEST_AHEAD: u32 = 20;

fn main() -> ExitCode {
    if let Some(ended) = roles::play_if_asked() {
        return ended;
    }
    let environment = Environment::from_process();
    let number = |name: &str, default: u64| -> anyhow::Result<u64> {
        environment
            .get(name)
            .map_or(Ok(default), |text| Ok(text.parse()?))
    };
    let soaked = (|| {
        let plan = Plan {
            runs: number("LEGWORK_SOAK_RUNS", 40)?,
            seconds: number("LEGWORK_SOAK_SECONDS", 15)?,
            seed: number("LEGWORK_SOAK_SEED", 1)?,
        };
        tokio::runtime::Runtime::new()?.block_on(soak(plan))
    })();
    match soaked {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("the soak could not be made: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// How much of it.
#[derive(Debug, Clone, Copy)]
struct Plan {
    runs: u64,
    seconds: u64,
    seed: u64,
}

/// Soaks, prints the report, and answers whether everything holds.
async fn soak(plan: Plan) -> anyhow::Result<bool> {
    let began = Instant::now();
    let stage = Arc::new(Stage::set().await?);
    let caused = Caused::default();
    let (api_url, api) = watch::channel(String::new());
    let stop = CancellationToken::new();
    let parts = parts(&stage, plan.seed, &caused).await?;
    let mut living = JoinSet::new();
    for (number, part) in (0..).zip(&parts) {
        let (part, stage, stop) = (Arc::clone(part), Arc::clone(&stage), stop.clone());
        let (api_url, dice) = (api_url.clone(), Dice::new(plan.seed, 100 + number));
        living.spawn(async move { part.live(&stage, &api_url, dice, stop).await });
    }

    let asking = stage.save_workflow(ASKING).await?;
    let once = stage.save_workflow(ONCE).await?;
    let customer = Customer::new(api, stage.api_key.clone());
    let created: Created = Arc::default();
    let mut customers = JoinSet::new();
    for number in 0..plan.runs {
        let workflow_id = if number % 2 == 0 { asking } else { once };
        let (stage, customer) = (Arc::clone(&stage), customer.clone());
        let created = Arc::clone(&created);
        let at = Duration::from_millis(plan.seconds * 900 * number / plan.runs.max(1));
        customers.spawn(async move {
            tokio::time::sleep(at).await;
            ask(&stage, &customer, workflow_id, number, &created).await
        });
    }

    let chaos = chaos(&stage, &parts, &created, plan, &caused);
    let quiet = async {
        for part in &parts {
            part.calm();
        }
        settle(&stage).await
    };
    let became = async {
        // A sweep that can't even be started or doesn't end is a finding; that the time is over is not.
        if let Ok(ended) = timeout(Duration::from_secs(plan.seconds), chaos).await {
            ended?;
        }
        println!(
            "the chaos is over after {:.0} s",
            began.elapsed().as_secs_f64()
        );
        quiet.await
    };
    let mut wrong = tokio::select! {
        wrong = became => wrong?,
        Some(ended) = living.join_next() => {
            ended??;
            anyhow::bail!("a part of the service ended by itself");
        }
    };
    stop.cancel();
    let mut asked = Vec::new();
    while let Ok(Some(ended)) = timeout(Duration::from_secs(30), customers.join_next()).await {
        match ended? {
            Ok(run) => asked.push(run),
            Err(error) => wrong.push(format!("a customer: {error:#}")),
        }
    }
    while let Some(ended) = living.join_next().await {
        ended??;
    }
    if asked.len() as u64 != plan.runs {
        wrong.push(format!(
            "{} of {} customers have seen their run end",
            asked.len(),
            plan.runs
        ));
    }
    report::print(&stage, &asked, &caused, &wrong, began.elapsed(), plan.seed).await
}

async fn parts(stage: &Stage, seed: u64, caused: &Caused) -> anyhow::Result<Vec<Arc<Part>>> {
    let dispatcher = Role::Dispatcher {
        stream_arn: stage.stream_arn().to_owned(),
        records: Records::All,
    };
    let roles = [
        ("api", Role::Api),
        ("runner", Role::Runner),
        ("runner", Role::Runner),
        ("runner with Chromium", Role::RunnerWithChromium),
        ("dispatcher", dispatcher),
        ("deliverer", Role::Deliverer),
    ];
    let mut parts = Vec::new();
    for (number, (name, role)) in (0..).zip(roles) {
        let chance = Chance::new(Dice::new(seed, number), name, caused.clone());
        parts.push(Arc::new(
            Part::new(stage, name, role, number, chance).await?,
        ));
    }
    Ok(parts)
}

/// A run that was asked for, and the pages that are its own.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) run: RunId,
    pub(crate) site: String,
}

/// The runs that there are.
type Created = Arc<Mutex<Vec<RunId>>>;

fn lock(created: &Created) -> MutexGuard<'_, Vec<RunId>> {
    created.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a customer does: asks for a run under one key, answers its questions, sees it end.
async fn ask(
    stage: &Stage,
    customer: &Customer,
    workflow_id: WorkflowId,
    number: u64,
    created: &Created,
) -> anyhow::Result<Asked> {
    let site = format!("{}/{number}", stage.world.site_url);
    let mut body: Value = stage.run_of(workflow_id);
    body["input"] = json!({ "site": site });
    let id = customer.create_run(&format!("run {number}"), &body).await?;
    let run = id
        .parse()
        .map_err(|_| anyhow::anyhow!("{id} is no run's id"))?;
    lock(created).push(run);
    customer
        .accompany(&stage.world, &id, Learns::ByPolling, &|| true)
        .await?;
    let path = format!("/site/{number}/login");
    Ok(Asked { run, site: path })
}

/// Sweeps by a clock that is ahead, sends messages that nobody has asked for, and kills browsers, until it is dropped.
async fn chaos(
    stage: &Stage,
    parts: &[Arc<Part>],
    created: &Created,
    plan: Plan,
    caused: &Caused,
) -> anyhow::Result<()> {
    let mut dice = Dice::new(plan.seed, 1000);
    let chance = Chance::new(Dice::new(plan.seed, 1001), "sweeper", caused.clone());
    let proxy = Arc::new(Proxy::start(stage.aws_url()?).await?);
    proxy.set_policy(chance);
    loop {
        let ahead = Duration::from_millis(dice.below(AHEAD_MILLIS));
        parts::sweep(stage, &proxy, ahead).await?;
        caused.count("sweep by a clock that is ahead");
        let runs = lock(created).clone();
        for _ in 0..3 {
            let chosen = usize::try_from(dice.below(runs.len() as u64))?;
            let Some(run_id) = runs.get(chosen) else {
                break;
            };
            let message = RunMessage {
                run_id: *run_id,
                org_id: stage.organization_id,
            };
            let late = Duration::from_secs(dice.below(3));
            stage.store().enqueue_run_later(message, late).await?;
            caused.count("message twice, or late");
        }
        if dice.below(2) == 0 {
            for part in parts {
                part.kill_a_browser(&mut dice, caused);
            }
        }
        tokio::time::sleep(SWEEPS_EVERY).await;
    }
}

/// Sweeps until everything is well, or for too long; answers what isn't.
async fn settle(stage: &Stage) -> anyhow::Result<Vec<String>> {
    let began = Instant::now();
    let proxy = Arc::new(Proxy::start(stage.aws_url()?).await?);
    proxy.set_policy(Quiet);
    let mut sweeps = 0_u32;
    loop {
        let late = sweeps.saturating_sub(SWEEPS_IN_TIME).min(FURTHEST_AHEAD);
        parts::sweep(stage, &proxy, OVERDUE_AFTER * late).await?;
        sweeps += 1;
        // The whole check reads everything that there is: it is worth it only when nothing is due.
        let is_over = began.elapsed() > PATIENCE;
        if is_over || !is_anything_due(stage).await? {
            let wrong = check::violations(stage).await?;
            if is_over || wrong.is_empty() {
                return Ok(wrong);
            }
        }
        tokio::time::sleep(SWEEPS_EVERY).await;
    }
}

/// Whether anything will ever be due.
async fn is_anything_due(stage: &Stage) -> anyhow::Result<bool> {
    let ever = Stage::ahead(Duration::from_secs(366 * 24 * 60 * 60));
    for shard in 0..DUE_SHARDS {
        let page = stage.store().due(shard, ever, None, 1).await?;
        if !page.items.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
