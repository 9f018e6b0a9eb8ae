//! One client in a process of its own, told what to do through its standard input, and measured from outside.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::processes::{cpu_ms, peak_memory_kib};
use crate::worker::{Opened, Ran};

/// What a browser still does of its own accord after it has started is over by then.
const SETTLING: Duration = Duration::from_millis(300);

/// Longer than any client takes for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// The process of a client.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

/// What one run cost.
pub(crate) struct Run {
    /// From the first call to the last check of the last browser.
    pub(crate) wall_ms: f64,
    /// Of the client and of its browsers.
    pub(crate) cpu_ms: f64,
    /// Of these, the client's.
    pub(crate) client_cpu_ms: f64,
    /// Until the browsers were ready.
    pub(crate) start_ms: f64,
    pub(crate) steps: Vec<(String, f64)>,
}

impl Peer {
    pub(crate) async fn start(
        name: &'static str,
        program: &str,
        arguments: &[&str],
    ) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{program} can't be started"))?;
        let input = child.stdin.take().context("a pipe was asked for")?;
        let output = child.stdout.take().context("a pipe was asked for")?;
        Ok(Self {
            name,
            child,
            input,
            output: BufReader::new(output).lines(),
        })
    }

    pub(crate) async fn open(&mut self, count: usize) -> anyhow::Result<Vec<Opened>> {
        self.tell(&format!("open {count}")).await
    }

    pub(crate) async fn close(&mut self) -> anyhow::Result<()> {
        self.tell("close").await
    }

    /// Starts as many browsers, does the scenario in all of them at once, and ends them.
    pub(crate) async fn run(&mut self, crowd: usize) -> anyhow::Result<Run> {
        let begun = Instant::now();
        self.open(crowd).await?;
        let start_ms = begun.elapsed().as_secs_f64() * 1000.0;
        tokio::time::sleep(SETTLING).await;
        let own = self.process()?;
        let before = (cpu_ms(own)?, self.own_cpu_ms()?);
        let ran: Ran = self.tell("run").await?;
        let after = (cpu_ms(own)?, self.own_cpu_ms()?);
        self.close().await?;
        Ok(Run {
            wall_ms: ran.wall_ms,
            cpu_ms: after.0 - before.0,
            client_cpu_ms: after.1 - before.1,
            start_ms,
            steps: ran.steps,
        })
    }

    pub(crate) fn peak_memory_kib(&self) -> anyhow::Result<u64> {
        peak_memory_kib(self.process()?)
    }

    fn own_cpu_ms(&self) -> anyhow::Result<f64> {
        crate::processes::own_cpu_ms(self.process()?)
    }

    fn process(&self) -> anyhow::Result<u32> {
        self.child.id().context("the client lives")
    }

    async fn tell<T: DeserializeOwned>(&mut self, command: &str) -> anyhow::Result<T> {
        self.input
            .write_all(format!("{command}\n").as_bytes())
            .await?;
        let line = tokio::time::timeout(PATIENCE, self.output.next_line())
            .await
            .with_context(|| format!("{} does not answer to `{command}`", self.name))??;
        let line = line.with_context(|| format!("{} ended at `{command}`", self.name))?;
        serde_json::from_str(&line).with_context(|| format!("{} said {line}", self.name))
    }
}
