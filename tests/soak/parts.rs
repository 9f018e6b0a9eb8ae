//! The service's processes, each started again whenever it has died.

use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use domain::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use store::Job;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::chaos::policy::Quiet;
use crate::chaos::process::Process;
use crate::chaos::proxy::Proxy;
use crate::chaos::roles::{Records, Role};
use crate::chaos::stage::Stage;
use crate::clocks::Clocks;
use crate::dice::Dice;
use crate::faults::{Caused, Chance};

/// The lease of a run, and how often it is renewed, in seconds: short, so that a soak sees many of them end.
const LEASE: u32 = 6;
const HEARTBEAT: u32 = 1;

/// How long a part that has died stays away, at most.
const AWAY_MILLIS: u64 = 1000;

/// When a schedule invokes a function again that has failed.
const FIRES_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// A sweep ends by itself long before ([`sweeper::ENDS_WITHIN`]), whatever its machine does meanwhile.
const SWEEP_ENDS_WITHIN: Duration = sweeper::ENDS_WITHIN.saturating_mul(3);

/// A part of the service, over all its lives.
#[derive(Debug)]
pub(crate) struct Part {
    name: &'static str,
    role: Role,
    proxy: Proxy,
    log: String,
    /// The process that lives now.
    pid: watch::Sender<Option<u32>>,
}

impl Part {
    pub(crate) async fn new(
        stage: &Stage,
        name: &'static str,
        role: Role,
        number: u64,
        chance: Chance,
    ) -> anyhow::Result<Self> {
        let proxy = Proxy::start(stage.aws_url()?).await?;
        proxy.set_policy(chance);
        Ok(Self {
            name,
            role,
            proxy,
            log: format!("{name}-{number}"),
            pid: watch::Sender::new(None),
        })
    }

    /// From here on, nothing goes wrong with its calls.
    pub(crate) fn calm(&self) {
        self.proxy.set_policy(Quiet);
    }

    /// Starts it, and starts it again, until it is to stop.
    pub(crate) async fn live(
        &self,
        stage: &Stage,
        api_url: &watch::Sender<String>,
        clocks: &Clocks,
        mut dice: Dice,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut settings = stage.settings(LEASE, HEARTBEAT);
        let scratch = tempfile::tempdir()?;
        settings.push((
            "LEGWORK_SCRATCH_DIR".to_owned(),
            scratch.path().display().to_string(),
        ));
        let mut role = self.role.clone();
        let log_file = stage.log_file(&self.log);
        loop {
            let mut settings = settings.clone();
            settings.extend(clocks.off_by_chance(&mut dice));
            // An API that dies before it has said where it serves is started again, too.
            let started = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                started = Process::start(&role, &settings, &self.proxy, &log_file) => started,
            };
            if let Ok(mut process) = started {
                self.pid.send_replace(process.id());
                if let Some(url) = &process.url {
                    api_url.send_replace(url.clone());
                }
                let ended = tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    ended = process.ended() => ended?,
                };
                self.pid.send_replace(None);
                anyhow::ensure!(
                    ended.signal() == Some(9),
                    "{} ended by itself: {ended}; its log is\n{}",
                    self.name,
                    std::fs::read_to_string(&log_file).unwrap_or_default()
                );
            }
            self.proxy.client_has_ended();
            if let Role::Dispatcher { records, .. } = &mut role {
                // The stream gives everything again, or what it has given by now is lost.
                *records = if dice.below(2) == 0 {
                    Records::All
                } else {
                    Records::New
                };
            }
            tokio::time::sleep(Duration::from_millis(dice.below(AWAY_MILLIS))).await;
        }
    }

    /// Kills one of the browsers that it has, if it has any.
    pub(crate) fn kill_a_browser(&self, dice: &mut Dice, caused: &Caused) {
        let Some(pid) = *self.pid.borrow() else {
            return;
        };
        let browsers = children_of(pid);
        let count = u64::try_from(browsers.len()).unwrap_or_default();
        let chosen = usize::try_from(dice.below(count)).unwrap_or_default();
        if let Some(browser) = browsers.get(chosen)
            && let Some(browser) = Pid::from_raw(browser.cast_signed())
            && kill_process(browser, Signal::KILL).is_ok()
        {
            caused.count("browser killed");
        }
    }
}

/// The processes that a process has started, as the kernel says.
fn children_of(pid: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    threads
        .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("children")).ok())
        .flat_map(|children| {
            children
                .split_whitespace()
                .filter_map(|child| child.parse().ok())
                .collect::<Vec<u32>>()
        })
        .collect()
}

/// Sweeps as a process of its own, by a clock that is so far ahead, and may die of it.
pub(crate) async fn sweep(
    stage: &Stage,
    proxy: &Arc<Proxy>,
    ahead: Duration,
) -> anyhow::Result<()> {
    let settings = stage.settings(LEASE, HEARTBEAT);
    let role = Role::Sweeper { ahead };
    let mut process = Process::start(&role, &settings, proxy, &stage.log_file("sweeper")).await?;
    let ended = timeout(SWEEP_ENDS_WITHIN, process.ended()).await;
    proxy.client_has_ended();
    ended.context("a sweep did not end in time")??;
    Ok(())
}

/// Has the schedule of a job fire, until the job-trigger has heard of it.
pub(crate) async fn fire(
    stage: &Stage,
    job: &Job,
    scheduled_at: Timestamp,
    chance: Chance,
) -> anyhow::Result<()> {
    let proxy = Proxy::start(stage.aws_url()?).await?;
    proxy.set_policy(chance);
    let settings = stage.settings(LEASE, HEARTBEAT);
    let role = Role::trigger(job, scheduled_at);
    let log_file = stage.log_file("job-trigger");
    loop {
        let ended = Process::start(&role, &settings, &proxy, &log_file)
            .await?
            .ended()
            .await?;
        proxy.client_has_ended();
        if ended.success() {
            return Ok(());
        }
        tokio::time::sleep(FIRES_AGAIN_AFTER).await;
    }
}
