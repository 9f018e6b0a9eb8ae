//! One case: one process, killed at one boundary, on resources of its own.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::time::Duration;

use anyhow::Context;
use domain::job_run::OnFailure;
use domain::run::{Phase, Status};
use domain::{FailureCode, JobId, WorkflowId};
use platform::configuration::{Environment, Runner};
use store::{Job, JobWorkflow, Store, fresh_id, now};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::chaos::call::Call;
use crate::chaos::check;
use crate::chaos::customer::{Customer, Learns};
use crate::chaos::policy::{Boundary, KillAt, Quiet};
use crate::chaos::process::Process;
use crate::chaos::proxy::{Proxy, Seen};
use crate::chaos::roles::{self, Records};
use crate::chaos::stage::Stage;
use crate::debts;
use crate::scenario::Scenario;

/// How long a case may take. All that it waits for is a second's look and queues of an emulator.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often it is looked whether all is well.
const LOOKS_EVERY: Duration = Duration::from_millis(300);

/// For how many looks all must be well, and the victim do nothing, until nothing more is expected of it.
const QUIET_FOR: u32 = 3;

/// The same for a victim whose boundary has not come yet.
const QUIET_TOO_LONG: u32 = 20;

/// How often the sweeper comes again once something has died, in looks; where nobody else leads a job on, each time.
const SWEEPS_EVERY: u32 = 5;

/// What the sweeper is told, instead of waiting that long: after this, what is lost is overdue.
const OVERDUE_AFTER: Duration = Duration::from_secs(61);

/// How many times as far ahead a sweep looks at most: what a sweep makes ready is overdue as long after that sweep's own
/// time. A question and a run's working time are not over by then.
const FURTHEST_AHEAD: u32 = 4;

/// The lease of the runner that dies, in seconds: over when the sweeper comes.
const LEASE: u32 = 30;

/// The lease of a runner that lives, in seconds: not over when the sweeper comes, although it is told another time.
const LONG_LEASE: u32 = 3600;

/// Goes through a scenario, with a death or without, and answers the victim's calls. An error says what does not hold.
pub(crate) async fn go(
    scenario: Scenario,
    boundary: Option<Boundary>,
) -> anyhow::Result<Vec<Seen>> {
    let stage = Stage::set().await?;
    let proxy = Proxy::start(stage.aws_url()?).await?;
    let dies = boundary.is_some();
    if let Some(boundary) = boundary {
        proxy.set_policy(KillAt::new(boundary));
    }
    let went = timeout(PATIENCE, go_on(scenario, &stage, &proxy, dies)).await;
    let went = match went {
        Ok(went) => went,
        Err(_) => {
            let wrong = check::violations(&stage).await?;
            Err(anyhow::anyhow!(
                "it isn't well after {} s: {}",
                PATIENCE.as_secs(),
                wrong.join("; ")
            ))
        }
    };
    went.with_context(|| story(&stage, &proxy))?;
    Ok(proxy.seen())
}

/// What a person needs to see why a case does not hold.
fn story(stage: &Stage, proxy: &Proxy) -> String {
    let log = std::fs::read_to_string(stage.log_file("victim")).unwrap_or_default();
    let calls = proxy.seen().into_iter();
    let calls: Vec<String> = calls
        .map(|seen| format!("  {}: {}", seen.name, seen.became))
        .collect();
    format!("the calls were\n{}\nthe log is\n{log}", calls.join("\n"))
}

async fn go_on(scenario: Scenario, stage: &Stage, proxy: &Proxy, dies: bool) -> anyhow::Result<()> {
    let store = stage.store();
    let workflow_id = stage.save_workflow(&scenario.workflow()).await?;
    if scenario == Scenario::Sweeper {
        debts::run_up(stage, workflow_id).await?;
    }
    let (api_url, api) = watch::channel(String::new());
    let mut parts = JoinSet::new();
    start_parts(scenario, stage, &api_url, &mut parts).await?;
    let log_file = stage.log_file("victim");
    let start = async |died: bool| {
        let lease = if died { LONG_LEASE } else { LEASE };
        let settings = stage.settings(lease, 1);
        let role = scenario.victim(stage, died);
        let process = Process::start(&role, &settings, proxy, &log_file).await?;
        if let Some(url) = &process.url {
            api_url.send_replace(url.clone());
        }
        anyhow::Ok(process)
    };
    let mut victim = start(false).await?;
    let mut victim_lives = true;
    let mut has_died = false;

    let customer = Customer::new(api, stage.api_key.clone());
    let mut asking = pin!(ask(scenario, stage, proxy, workflow_id, &customer));
    let mut is_asking = true;
    let mut looked = 0_u32;
    let mut sweeps = 0;
    let (mut quiet, mut counted) = (0, 0);
    let mut looks = interval(LOOKS_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            ended = victim.ended(), if victim_lives => {
                proxy.client_has_ended();
                let ended = ended?;
                if scenario == Scenario::Sweeper && ended.success() {
                    victim_lives = false;
                    continue;
                }
                anyhow::ensure!(ended.signal() == Some(9) && !has_died, "the victim ended by itself: {ended}");
                has_died = true;
                if scenario != Scenario::Sweeper {
                    sweeper::handle(store, Stage::ahead(OVERDUE_AFTER)).await;
                    sweeps += 1;
                }
                proxy.set_policy(Quiet);
                victim = start(true).await?;
            }
            asked = &mut asking, if is_asking => {
                asked?;
                is_asking = false;
            }
            Some(part) = parts.join_next() => {
                let part: anyhow::Result<()> = part?;
                part?;
                anyhow::bail!("a part of the service ended by itself");
            }
            _ = looks.tick() => {
                looked += 1;
                let sweeper_is_at_work = scenario == Scenario::Sweeper && victim_lives;
                // Nothing that goes well needs the sweeper.
                let is_its_turn = scenario == Scenario::Sweeper
                    || (has_died && looked.is_multiple_of(SWEEPS_EVERY));
                if is_its_turn && !sweeper_is_at_work {
                    sweeps += 1;
                    let ahead = OVERDUE_AFTER * sweeps.min(FURTHEST_AHEAD);
                    sweeper::handle(store, Stage::ahead(ahead)).await;
                }
                let calls = calls_that_count(proxy);
                let is_well = calls == counted
                    && !is_asking
                    && !sweeper_is_at_work
                    && check::violations(stage).await?.is_empty();
                counted = calls;
                quiet = if is_well { quiet + 1 } else { 0 };
                if quiet >= if has_died == dies { QUIET_FOR } else { QUIET_TOO_LONG } {
                    break;
                }
            }
        }
    }
    anyhow::ensure!(has_died == dies, "the boundary was never reached");
    ended_as_it_should(scenario, stage, store, dies).await
}

fn calls_that_count(proxy: &Proxy) -> usize {
    let seen = proxy.seen();
    let counts = seen.iter().filter(|seen| !Call::is_poll(&seen.name));
    counts.count()
}

/// Starts what isn't the victim, in this process: the same code, fed in the same way.
async fn start_parts(
    scenario: Scenario,
    stage: &Stage,
    api_url: &watch::Sender<String>,
    parts: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let store = stage.store();
    if scenario != Scenario::Api {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        api_url.send_replace(format!("http://{}", listener.local_addr()?));
        parts.spawn(roles::serve_api(store.clone(), listener));
    }
    if !scenario.kills_the_runner() {
        let settings = stage.settings(LONG_LEASE, 10);
        let settings = Runner::read(&settings.into_iter().collect::<Environment>())?;
        parts.spawn(roles::run(
            store.clone(),
            settings,
            CancellationToken::new(),
        ));
    }
    if !matches!(
        scenario,
        // The sweeper must make up for the stream all by itself.
        Scenario::Sweeper
            | Scenario::Dispatcher
            | Scenario::DispatcherThatLosesRecords
            | Scenario::DispatcherOfAJob
    ) {
        let connection = stage.fixture.connection.clone();
        let (store, stream_arn) = (store.clone(), stage.stream_arn().to_owned());
        parts.spawn(
            async move { roles::dispatch(store, &connection, &stream_arn, Records::All).await },
        );
    }
    if scenario != Scenario::Deliverer {
        parts.spawn(roles::deliver(store.clone()));
    }
    Ok(())
}

/// What the customer does, until all that was asked for has ended.
async fn ask(
    scenario: Scenario,
    stage: &Stage,
    proxy: &Proxy,
    workflow_id: WorkflowId,
    customer: &Customer,
) -> anyhow::Result<()> {
    match scenario {
        Scenario::DispatcherOfAJob => {
            let job = job_of_two(stage, workflow_id);
            stage.store().create_job(&job).await?;
            job_trigger::start_job(stage.store(), &job, "customer", None).await?;
            Ok(())
        }
        Scenario::Sweeper => Ok(()),
        _ => {
            let learns = if scenario == Scenario::Api {
                Learns::ByWebhook
            } else {
                Learns::ByPolling
            };
            let run = customer
                .create_run("one key", &stage.run_of(workflow_id))
                .await?;
            // A runner's heartbeat is one of its boundaries: the person thinks until one was seen, or until the runner
            // has died.
            let may_answer = || {
                let is_awaited = |seen: &Seen| {
                    seen.name == "DynamoDB PutItem LEASE" || seen.became.starts_with("killed")
                };
                !scenario.kills_the_runner() || proxy.seen().iter().any(is_awaited)
            };
            customer
                .accompany(&stage.world, &run, learns, &may_answer)
                .await?;
            Ok(())
        }
    }
}

pub(crate) fn job_of_two(stage: &Stage, workflow_id: WorkflowId) -> Job {
    let workflow = |order| JobWorkflow {
        workflow_id,
        input: serde_json::json!({ "site": stage.world.site_url }).to_string(),
        order,
    };
    Job {
        id: fresh_id(JobId::new, now()),
        organization_id: stage.organization_id,
        name: "Two workflows".to_owned(),
        workflows: vec![workflow(1), workflow(2)],
        on_failure: OnFailure::Stop,
        created_by_user_id: "customer".to_owned(),
        created_at: now(),
        generation: 1,
    }
}

/// What was asked for has become what it should, and was not done more often than it may be.
async fn ended_as_it_should(
    scenario: Scenario,
    stage: &Stage,
    store: &Store,
    dies: bool,
) -> anyhow::Result<()> {
    let runs = check::runs(store).await?;
    if scenario == Scenario::Sweeper {
        return debts::are_paid(&runs);
    }
    let asked_for = if scenario == Scenario::DispatcherOfAJob {
        2
    } else {
        1
    };
    anyhow::ensure!(
        runs.len() == asked_for,
        "{asked_for} runs were asked for, and there are {}",
        runs.len()
    );
    let visits: BTreeMap<String, u32> =
        stage
            .world
            .visits()
            .into_iter()
            .fold(BTreeMap::new(), |mut visits, page| {
                *visits.entry(page).or_default() += 1;
                visits
            });
    let executions: u32 = runs.iter().map(|run| run.executions).sum();
    for (page, times) in &visits {
        anyhow::ensure!(
            *times <= executions,
            "{page} was visited {times} times in {executions} executions"
        );
    }
    let runner_dies = dies && scenario.kills_the_runner();
    for run in &runs {
        let is_lost =
            matches!(&run.phase, Phase::Failed(failure) if failure.code == FailureCode::WorkerLost);
        let may_be_lost = runner_dies && scenario == Scenario::RunnerWithoutRetry;
        anyhow::ensure!(
            run.status() == Status::Completed || (may_be_lost && is_lost && run.executions == 1),
            "the run ended as {:?}, after {} executions",
            run.phase,
            run.executions
        );
        anyhow::ensure!(
            runner_dies || run.attempt == 1,
            "the run had {} attempts, although its runner lives",
            run.attempt
        );
    }
    Ok(())
}
