//! The soak: customers ask for runs and answer their questions, at once, in the last moment or never, while, by chance,
//! processes of the service and browsers are killed, calls of AWS fail, answers get lost, messages come twice and late,
//! stream records are lost, and the sweeper's clock is ahead. Then it becomes quiet, the sweeper sweeps on, and everything
//! must be as [`chaos::check`] says: nothing lost, nothing stuck, nothing twice.
//!
//! `cargo test -p cli --test soak` is the short form. `LEGWORK_SOAK_RUNS`, `LEGWORK_SOAK_SECONDS` make it long, and
//! `LEGWORK_SOAK_SEED` throws the dice of an earlier one again: each thrower has a die of its own, so that the same
//! faults hit the same calls of each process, as far as the processes make the same calls. The executable is its own
//! harness, since it is also the processes that are killed.
//!
//! Clocks: each process reads one that is ahead or behind by chance ([`clocks`]); the sweeper's is ahead by up to a third
//! of a lease more, and right once it is quiet.
#![expect(clippy::print_stdout, reason = "the report is the result")]

#[path = "../chaos/mod.rs"]
#[expect(dead_code, reason = "the crash matrix uses what this doesn't")]
mod chaos;

mod clocks;
mod dice;
mod faults;
mod parts;
mod report;
mod settling;

use std::collections::HashSet;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use domain::{RunId, WorkflowId};
use platform::configuration::Environment;
use serde_json::{Value, json};
use store::RunMessage;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::chaos::customer::{Answers, Customer, Learns};
use crate::chaos::proxy::Proxy;
use crate::chaos::roles::{self, Records, Role};
use crate::chaos::stage::Stage;
use crate::chaos::workflows;
use crate::clocks::Clocks;
use crate::dice::Dice;
use crate::faults::{Caused, Chance};
use crate::parts::Part;

/// How many runs may be queued or in work at the same time: fewer than are asked for, so that some wait.
const CONCURRENT_RUNS: u32 = 6;
/// Of so many customers, one has a job of several workflows.
const JOB_ONE_OF: u64 = 8;
/// Of so many customers, one has a run that does not wait for answers for long, and never answers; and two have one and
/// answer in the last moment, by up to so much before it.
const HURRIED_ONE_OF: u64 = 16;
const LAST_MOMENT_MILLIS: u64 = 1500;
/// How long a run waits before it is executed again.
const RETRY_DELAY: &str = "1s";
/// How often the sweeper comes.
const SWEEPS_EVERY: Duration = Duration::from_secs(2);
/// How far its clock is ahead at most while there is chaos: a third of a lease.
const AHEAD_MILLIS: u64 = 2000;

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
            outage: number("LEGWORK_SOAK_OUTAGE_SECONDS", 3)?,
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
    /// How many customers; most have one run.
    runs: u64,
    /// How long the chaos lasts.
    seconds: u64,
    seed: u64,
    /// For how long AWS is down, in the middle of it.
    outage: u64,
}

/// Soaks, prints the report, and answers whether everything holds.
async fn soak(plan: Plan) -> anyhow::Result<bool> {
    let began = Instant::now();
    let mut stage = Stage::set(CONCURRENT_RUNS).await?;
    stage.clocks_differ_by = Duration::from_millis(2 * clocks::OFF_BY_MILLIS.unsigned_abs());
    let stage = Arc::new(stage);
    let clocks = Clocks::build(stage.folder()).await?;
    let caused = Caused::default();
    let (api_url, api) = watch::channel(String::new());
    let stop = CancellationToken::new();
    let parts = parts(&stage, plan.seed, &caused).await?;
    let mut living = JoinSet::new();
    for (number, part) in (0..).zip(&parts) {
        let (part, stage, stop) = (Arc::clone(part), Arc::clone(&stage), stop.clone());
        let (api_url, clocks) = (api_url.clone(), clocks.clone());
        let dice = Dice::new(plan.seed, 100 + number);
        living.spawn(async move { part.live(&stage, &api_url, &clocks, dice, stop).await });
    }

    let workflows = Workflows {
        asking: stage
            .save_workflow(&workflows::everything(3, RETRY_DELAY))
            .await?,
        alone: stage
            .save_workflow(&workflows::alone(3, RETRY_DELAY))
            .await?,
        once: stage
            .save_workflow(&workflows::alone(1, RETRY_DELAY))
            .await?,
        hurried: stage
            .save_workflow(&workflows::hurried(3, RETRY_DELAY))
            .await?,
    };
    let customer = Customer::new(api, stage.api_key.clone());
    let created: Created = Arc::default();
    let mut customers = Customers::default();
    for number in 0..plan.runs {
        let (stage, customer) = (Arc::clone(&stage), customer.clone());
        let (created, caused) = (Arc::clone(&created), caused.clone());
        let at = Duration::from_millis(plan.seconds * 900 * number / plan.runs.max(1));
        customers.asking.spawn(async move {
            tokio::time::sleep(at).await;
            if number % JOB_ONE_OF == JOB_ONE_OF - 1 {
                let chance =
                    Chance::new(Dice::new(plan.seed, 2000 + number), "job-trigger", caused);
                return run_job(&stage, &customer, workflows, number, chance, &created).await;
            }
            let (workflow_id, answers) = match number % HURRIED_ONE_OF {
                2 => (workflows.hurried, Answers::Never),
                6 | 14 => {
                    let before = Dice::new(plan.seed, 3000 + number).below(LAST_MOMENT_MILLIS);
                    let before = Duration::from_millis(before);
                    (workflows.hurried, Answers::AtTheLastMoment(before))
                }
                even if even % 2 == 0 => (workflows.asking, Answers::AtOnce),
                _ => (workflows.once, Answers::Never),
            };
            ask(&stage, &customer, workflow_id, answers, number, &created).await
        });
    }

    let mut waited = HashSet::new();
    let chaos = chaos(&stage, &parts, &created, plan, &caused, &mut waited);
    let quiet = async {
        for part in &parts {
            part.calm();
        }
        settling::settle(&stage, &created, &mut customers).await
    };
    let became = async {
        // A sweep that can't even be started or doesn't end is a finding; that the time is over is not.
        if let Ok(ended) = timeout(Duration::from_secs(plan.seconds), chaos).await {
            ended?;
        }
        caused.set_outage(false);
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
    while let Some(ended) = living.join_next().await {
        ended??;
    }
    let Customers { asked, failed, .. } = customers;
    wrong.extend(failed);
    if asked.len() as u64 != plan.runs {
        wrong.push(format!(
            "{} of {} customers have seen their run end",
            asked.len(),
            plan.runs
        ));
    }
    println!(
        "\nseed {}, {} customers, {:.0} s; {} runs were seen to wait because {CONCURRENT_RUNS} others were queued or in work",
        plan.seed,
        plan.runs,
        began.elapsed().as_secs_f64(),
        waited.len()
    );
    let created = lock(&created).clone();
    report::print(&stage, workflows, &asked, &created, &caused, &wrong).await
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

/// What there are runs of.
#[derive(Debug, Clone, Copy)]
struct Workflows {
    /// Does not wait for answers for long, and may be executed three times.
    hurried: WorkflowId,
    /// Asks a person, uses a secret, and may be executed three times.
    asking: WorkflowId,
    /// Asks nobody, and may be executed three times.
    alone: WorkflowId,
    /// Asks nobody, and may be executed once.
    once: WorkflowId,
}

/// What one customer asked for, and the page that is its own.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) runs: Vec<RunId>,
    pub(crate) page: String,
}

/// The customers who still ask, and what those say who are through.
#[derive(Debug, Default)]
pub(crate) struct Customers {
    asking: JoinSet<anyhow::Result<Asked>>,
    asked: Vec<Asked>,
    failed: Vec<String>,
}

impl Customers {
    /// Hears those who are through by now; answers how many are not.
    fn hear(&mut self) -> anyhow::Result<usize> {
        while let Some(ended) = self.asking.try_join_next() {
            match ended? {
                Ok(asked) => self.asked.push(asked),
                Err(error) => self.failed.push(format!("a customer: {error:#}")),
            }
        }
        Ok(self.asking.len())
    }
}

/// The runs that there are.
type Created = Arc<Mutex<Vec<RunId>>>;

fn lock(created: &Created) -> MutexGuard<'_, Vec<RunId>> {
    created.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a customer does: asks for a run under one key, answers its questions or doesn't, sees it end.
async fn ask(
    stage: &Stage,
    customer: &Customer,
    workflow_id: WorkflowId,
    answers: Answers<'_>,
    number: u64,
    created: &Created,
) -> anyhow::Result<Asked> {
    let site = site_of(stage, number);
    let mut body: Value = stage.run_of(workflow_id);
    body["input"] = json!({ "site": site });
    let id = customer.create_run(&format!("run {number}"), &body).await?;
    let run = id
        .parse()
        .map_err(|_| anyhow::anyhow!("{id} is no run's id"))?;
    lock(created).push(run);
    customer
        .accompany(&stage.world, &id, Learns::ByPolling, answers)
        .await?;
    Ok(Asked {
        runs: vec![run],
        page: page_of(number),
    })
}

/// The same with a job of three workflows, two of them side by side, whose schedule fires.
async fn run_job(
    stage: &Stage,
    customer: &Customer,
    workflows: Workflows,
    number: u64,
    chance: Chance,
    created: &Created,
) -> anyhow::Result<Asked> {
    let groups = [
        (workflows.asking, 1),
        (workflows.alone, 1),
        (workflows.alone, 2),
    ];
    let job = stage.save_job(&groups, &site_of(stage, number)).await?;
    let scheduled_at = store::now();
    parts::fire(stage, &job, scheduled_at, chance).await?;
    // It fires once more, as schedules may; whoever asks is told which job run there is.
    let started =
        job_trigger::start_job(stage.store(), &job, "customer", Some(scheduled_at)).await?;
    anyhow::ensure!(!started.created, "one occurrence made two job runs");
    let job_run = stage.store().job_run(started.job_run_id).await?;
    let job_run = job_run.context("a job run that was started is there")?;
    let runs: Vec<RunId> = job_run.runs.iter().map(|managed| managed.run_id).collect();
    lock(created).extend(&runs);
    let accompanied = runs.iter().map(async |run| {
        let id = run.to_string();
        customer.await_run(&id).await?;
        customer
            .accompany(&stage.world, &id, Learns::ByPolling, Answers::AtOnce)
            .await
    });
    futures::future::try_join_all(accompanied).await?;
    Ok(Asked {
        runs,
        page: page_of(number),
    })
}

fn site_of(stage: &Stage, number: u64) -> String {
    format!("{}/{number}", stage.world.site_url)
}

fn page_of(number: u64) -> String {
    format!("/site/{number}/{}", workflows::PAGE)
}

/// Sweeps by a clock that is ahead, sends messages that nobody has asked for, kills browsers, and once has AWS refuse
/// everything, until it is dropped. It notes which runs it saw waiting for their organization's others.
async fn chaos(
    stage: &Stage,
    parts: &[Arc<Part>],
    created: &Created,
    plan: Plan,
    caused: &Caused,
    waited: &mut HashSet<RunId>,
) -> anyhow::Result<()> {
    let outage = async {
        let middle = plan.seconds.saturating_sub(plan.outage) / 2;
        tokio::time::sleep(Duration::from_secs(middle)).await;
        caused.set_outage(true);
        tokio::time::sleep(Duration::from_secs(plan.outage)).await;
        caused.set_outage(false);
        Ok(())
    };
    let rest = cause_faults(stage, parts, created, plan, caused, waited);
    tokio::try_join!(outage, rest).map(drop)
}

async fn cause_faults(
    stage: &Stage,
    parts: &[Arc<Part>],
    created: &Created,
    plan: Plan,
    caused: &Caused,
    waited: &mut HashSet<RunId>,
) -> anyhow::Result<()> {
    let mut dice = Dice::new(plan.seed, 1000);
    let chance = Chance::new(Dice::new(plan.seed, 1001), "sweeper", caused.clone());
    let proxy = Arc::new(Proxy::start(stage.aws_url()?).await?);
    proxy.set_policy(chance);
    loop {
        let ahead = Duration::from_millis(dice.below(AHEAD_MILLIS));
        parts::sweep(stage, &proxy, ahead).await?;
        caused.count("sweep by a clock that is ahead");
        let ids = lock(created).clone();
        let runs = stage.store().runs(&ids).await?;
        waited.extend(
            runs.iter()
                .filter(|run| run.waits_for_admission())
                .map(|run| run.id),
        );
        for _ in 0..3 {
            let chosen = usize::try_from(dice.below(ids.len() as u64))?;
            let Some(run_id) = ids.get(chosen) else {
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
