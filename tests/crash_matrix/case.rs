//! One case: one process, killed at one boundary, on resources of its own.

use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::time::Duration;

use anyhow::Context;
use domain::run::{Phase, Run, Status};
use domain::{FailureCode, WorkflowId};
use platform::configuration::{Environment, Runner};
use store::{Job, RunMessage, Store, now};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::chaos::call::Call;
use crate::chaos::check;
use crate::chaos::customer::{Answers, Customer, Learns};
use crate::chaos::policy::{Boundary, KillAt, Quiet};
use crate::chaos::process::Process;
use crate::chaos::proxy::{Proxy, Seen};
use crate::chaos::roles::{self, Records};
use crate::chaos::stage::{self, Stage};
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
/// time. A question and a run's working time are not over by then, but where nobody is to answer.
const FURTHEST_AHEAD: u32 = 4;

/// The same among debts: a job run is looked at again after 5 minutes, and no question here is open that long.
const FURTHEST_AHEAD_AMONG_DEBTS: u32 = 6;

/// The lease of the runner that dies, in seconds: over when the sweeper comes.
const LEASE: u32 = 30;

/// The lease of a runner that lives, in seconds: not over when the sweeper comes, although it is told another time.
const LONG_LEASE: u32 = 3600;

/// What became of a case in which everything holds.
#[derive(Debug)]
pub(crate) struct Went {
    /// The victim's calls.
    pub(crate) calls: Vec<Seen>,
    /// Whether it has died.
    pub(crate) has_died: bool,
}

/// Goes through a scenario, with a death or without. An error says what does not hold.
pub(crate) async fn go(scenario: Scenario, boundary: Option<Boundary>) -> anyhow::Result<Went> {
    let stage = Stage::set(scenario.concurrent_runs()).await?;
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
    let has_died = went.with_context(|| story(&stage, &proxy))?;
    Ok(Went {
        calls: proxy.seen(),
        has_died,
    })
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

/// Answers whether the victim has died.
async fn go_on(
    scenario: Scenario,
    stage: &Stage,
    proxy: &Proxy,
    dies: bool,
) -> anyhow::Result<bool> {
    let store = stage.store();
    let workflow_id = stage.save_workflow(&scenario.workflow()).await?;
    let site = &stage.world.site_url;
    let job = stage
        .save_job(&[(workflow_id, 1), (workflow_id, 2)], site)
        .await?;
    if scenario == Scenario::Sweeper {
        debts::run_up(stage, workflow_id, &job).await?;
    }
    let (api_url, api) = watch::channel(String::new());
    let mut parts = JoinSet::new();
    start_parts(scenario, stage, &api_url, &mut parts).await?;
    let log_file = stage.log_file("victim");
    let start = async |died: bool| {
        let lease = if died { LONG_LEASE } else { LEASE };
        let settings = stage.settings(lease, 1);
        let role = scenario.victim(stage, &job, died);
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
    let mut asking = pin!(ask(scenario, stage, proxy, workflow_id, &job, &customer));
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
                if scenario.victim_ends_by_itself() && ended.success() {
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
                let is_at_work = scenario.victim_ends_by_itself() && victim_lives;
                // Nothing that goes well needs the sweeper.
                let is_its_turn = scenario == Scenario::Sweeper
                    || (has_died && looked.is_multiple_of(SWEEPS_EVERY));
                if is_its_turn && !is_at_work {
                    sweeps += 1;
                    let furthest = if scenario == Scenario::Sweeper {
                        FURTHEST_AHEAD_AMONG_DEBTS
                    } else {
                        FURTHEST_AHEAD
                    };
                    let ahead = OVERDUE_AFTER * sweeps.min(furthest);
                    sweeper::handle(store, Stage::ahead(ahead)).await;
                }
                let calls = calls_that_count(proxy);
                let is_well = calls == counted
                    && !is_asking
                    && !is_at_work
                    && check::violations(stage).await?.is_empty();
                counted = calls;
                quiet = if is_well { quiet + 1 } else { 0 };
                // One that has ended by itself has passed its boundary by.
                let is_settled = has_died == dies || !victim_lives;
                if quiet >= if is_settled { QUIET_FOR } else { QUIET_TOO_LONG } {
                    break;
                }
            }
        }
    }
    ended_as_it_should(scenario, stage, store, has_died).await?;
    Ok(has_died)
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
    if !scenario.kills_the_api() {
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
    // The sweeper must make up for the stream all by itself.
    if !scenario.kills_the_dispatcher() && scenario != Scenario::Sweeper {
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
    job: &Job,
    customer: &Customer,
) -> anyhow::Result<()> {
    let has_seen = |name: &str| {
        let is_awaited = |seen: &Seen| seen.name == name || seen.became.starts_with("killed");
        proxy.seen().iter().any(is_awaited)
    };
    let accompany = async |run: &str, learns, answers| {
        customer.accompany(&stage.world, run, learns, answers).await
    };
    let create = async |key| {
        let body = stage.run_of(workflow_id);
        customer.create_run(key, &body).await
    };
    match scenario {
        Scenario::DispatcherOfAJob => {
            job_trigger::start_job(stage.store(), job, "customer", None).await?;
        }
        Scenario::JobTrigger | Scenario::Sweeper => {}
        Scenario::Api => {
            accompany(
                &create("one key").await?,
                Learns::ByWebhook,
                Answers::AtOnce,
            )
            .await?
        }
        Scenario::ApiThatCancelsAndRetries => {
            let run = create("one key").await?;
            customer.await_question(&stage.world, &run).await?;
            customer.cancel(&run).await?;
            let again = customer.retry("another key", &run).await?;
            accompany(&again, Learns::ByWebhook, Answers::AtOnce).await?;
        }
        Scenario::RunnerAtTheLimit => {
            let run = create("one key").await?;
            customer.await_question(&stage.world, &run).await?;
            // As when two are created at the same moment, and both are counted as the one that fits.
            let policy = stage::policy_of(&scenario.workflow())?;
            let other = stage.write_run(workflow_id, policy, &[], now()).await?;
            stage.store().enqueue_run(RunMessage::about(&other)).await?;
            let answers = Answers::When(&|| has_seen("DynamoDB PutItem RUN PENDING"));
            let other = other.id.to_string();
            tokio::try_join!(
                accompany(&run, Learns::ByPolling, answers),
                accompany(&other, Learns::ByPolling, answers),
            )?;
        }
        Scenario::DispatcherAtTheLimit => {
            let run = create("one key").await?;
            let other = create("another key").await?;
            tokio::try_join!(
                accompany(&run, Learns::ByPolling, Answers::AtOnce),
                accompany(&other, Learns::ByPolling, Answers::AtOnce),
            )?;
        }
        // A runner's heartbeat is one of its boundaries: the person thinks until one was seen, or until the runner has
        // died.
        Scenario::RunnerWithRetry | Scenario::RunnerWithoutRetry => {
            let answers = Answers::When(&|| has_seen("DynamoDB PutItem LEASE"));
            accompany(&create("one key").await?, Learns::ByPolling, answers).await?;
        }
        Scenario::RunnerThatNobodyAnswers => {
            accompany(&create("one key").await?, Learns::ByPolling, Answers::Never).await?;
        }
        Scenario::Dispatcher | Scenario::DispatcherThatLosesRecords | Scenario::Deliverer => {
            accompany(
                &create("one key").await?,
                Learns::ByPolling,
                Answers::AtOnce,
            )
            .await?;
        }
    }
    Ok(())
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
    anyhow::ensure!(
        runs.len() == scenario.runs(),
        "{} runs were asked for, and there are {}",
        scenario.runs(),
        runs.len()
    );
    let executions: u32 = runs.iter().map(|run| run.executions).sum();
    for (page, times) in stage.world.visits() {
        anyhow::ensure!(
            times <= executions,
            "{page} was visited {times} times in {executions} executions"
        );
    }
    if scenario == Scenario::ApiThatCancelsAndRetries {
        return is_cancelled_and_retried(&runs);
    }
    let runner_dies = dies && scenario.kills_the_runner();
    if scenario == Scenario::RunnerThatNobodyAnswers {
        return nobody_has_answered(stage, &runs, runner_dies);
    }
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

/// The run ended because nobody answered. If its runner lives, it has gone on each time, and has signed out.
fn nobody_has_answered(stage: &Stage, runs: &[Run], runner_dies: bool) -> anyhow::Result<()> {
    for run in runs {
        anyhow::ensure!(
            matches!(&run.phase, Phase::Failed(failure) if failure.code == FailureCode::UserInputTimeout),
            "the run ended as {:?}",
            run.phase
        );
        let went_on = run.history.iter().filter(|entry| entry.is_unanswered);
        let signed_out = stage.world.visits().contains_key("/site/logout");
        anyhow::ensure!(
            runner_dies || (went_on.count(), run.attempt, signed_out) == (2, 1, true),
            "the run did not go on as it should: {:?}",
            run.history
        );
    }
    Ok(())
}

/// The first run was cancelled and stayed so; the other one was made of it, and completed.
fn is_cancelled_and_retried(runs: &[Run]) -> anyhow::Result<()> {
    let (again, first): (Vec<&Run>, Vec<&Run>) =
        runs.iter().partition(|run| run.retry_of_run_id.is_some());
    let [first, again] = [first, again].map(|runs| runs.first().copied());
    let (Some(first), Some(again)) = (first, again) else {
        anyhow::bail!("no run was made of another one");
    };
    anyhow::ensure!(
        matches!(&first.phase, Phase::Failed(failure) if failure.code == FailureCode::Canceled),
        "the run that was cancelled ended as {:?}",
        first.phase
    );
    anyhow::ensure!(
        again.retry_of_run_id == Some(first.id) && again.status() == Status::Completed,
        "the run that was made of it ended as {:?}",
        again.phase
    );
    Ok(())
}
