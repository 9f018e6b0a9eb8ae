//! The runners: child processes, as they are containers on AWS. One that dies is started again.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, sleep, timeout};

/// How long a runner that is told to stop may take before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// A runner that died this soon after its start is started again only after a pause, so that a broken one doesn't
/// spin.
const TOO_SOON: Duration = Duration::from_secs(2);

/// How a runner is started: this very executable, run again with another subcommand.
#[derive(Debug, Clone)]
pub struct RunnerCommand {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments. The runner must stop when its standard input ends, so that none outlives the stack.
    pub arguments: Vec<String>,
}

/// The runner processes.
#[derive(Debug)]
pub(crate) struct Runners {
    command: RunnerCommand,
    environment: Vec<(String, String)>,
    log_dir: PathBuf,
    running: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// Held only so that it stays open: waiting for the child closes a standard input that is still the child's.
    _stdin: Option<ChildStdin>,
    started: Instant,
}

impl Runners {
    pub(crate) fn start(
        command: RunnerCommand,
        environment: Vec<(String, String)>,
        log_dir: &Path,
        count: usize,
    ) -> anyhow::Result<Self> {
        let mut runners = Self {
            command,
            environment,
            log_dir: log_dir.to_owned(),
            running: Vec::new(),
        };
        for number in 0..count {
            let running = runners.spawn(number)?;
            runners.running.push(running);
        }
        Ok(runners)
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        self.running
            .iter()
            .filter_map(|running| running.child.id())
            .collect()
    }

    /// Waits until a runner has died and was started again.
    pub(crate) async fn replace_a_dead_one(&mut self) -> anyhow::Result<()> {
        if self.running.is_empty() {
            return std::future::pending().await;
        }
        let deaths = self
            .running
            .iter_mut()
            .enumerate()
            .map(|(number, running)| Box::pin(async move { (number, running.child.wait().await) }));
        let ((number, status), ..) = futures::future::select_all(deaths).await;
        let status = status.context("a runner can't be waited for")?;
        let lived = self.running[number].started.elapsed();
        let lived_ms = lived.as_millis();
        if status.success() {
            // It was told to drain or to stop.
            tracing::info!(
                number,
                lived_ms,
                "A runner has stopped; starting another one"
            );
        } else {
            tracing::warn!(number, %status, lived_ms, "A runner died; starting it again");
        }
        if lived < TOO_SOON {
            sleep(TOO_SOON).await;
        }
        self.running[number] = self.spawn(number)?;
        Ok(())
    }

    /// Asks all to stop, and kills those that don't in time.
    pub(crate) async fn stop(mut self) {
        for running in &self.running {
            if let Some(pid) = running
                .child
                .id()
                .and_then(|id| Pid::from_raw(id.cast_signed()))
            {
                // One that is gone already needs no signal.
                let _ = kill_process(pid, Signal::TERM);
            }
        }
        for running in &mut self.running {
            if timeout(STOP_WITHIN, running.child.wait()).await.is_err() {
                tracing::warn!("A runner did not stop in time, and is killed");
                if let Err(error) = running.child.kill().await {
                    tracing::warn!(%error, "A runner could not be killed");
                }
            }
        }
    }

    fn spawn(&self, number: usize) -> anyhow::Result<Running> {
        let log = self.log_dir.join(format!("runner-{}.log", number + 1));
        let log: File = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("{} can't be written", log.display()))?;
        let mut child = Command::new(&self.command.program)
            .args(&self.command.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A Ctrl-C in the terminal is for the stack, which stops its runners itself.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| {
                format!(
                    "the runner {} did not start",
                    self.command.program.display()
                )
            })?;
        let stdin = child.stdin.take();
        Ok(Running {
            child,
            _stdin: stdin,
            started: Instant::now(),
        })
    }
}
