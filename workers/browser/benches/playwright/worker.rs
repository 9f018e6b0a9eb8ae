//! The process of one client: it does as its standard input says, and answers on its standard output, one line each.
//!
//! `open N` starts N browsers, `run` does the scenario in all of them at once, `close` ends them. Each client is a
//! process of its own, so that its CPU time and its memory are its own.

use std::io::Write as _;
use std::time::Instant;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::{floor, ours};

/// What is uploaded.
pub(crate) const UPLOAD: &str = "Smile please!";

/// A browser that was started.
#[derive(Serialize, Deserialize)]
pub(crate) struct Opened {
    /// Its main process.
    pub(crate) process: u32,
}

/// What `run` answers.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ran {
    /// Until the last of the browsers had done the scenario.
    pub(crate) wall_ms: f64,
    /// The steps of the first one.
    pub(crate) steps: Vec<(String, f64)>,
}

/// How long each step took.
pub(crate) struct Steps {
    since: Instant,
    ended: Vec<(String, f64)>,
}

impl Steps {
    pub(crate) fn begin() -> Self {
        Self {
            since: Instant::now(),
            ended: Vec::new(),
        }
    }

    pub(crate) fn end(&mut self, name: &str) {
        let now = Instant::now();
        self.ended.push((name.to_owned(), millis(now - self.since)));
        self.since = now;
    }
}

fn millis(duration: std::time::Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// What each Rust client can do.
enum Session {
    Ours(ours::Session),
    Floor(floor::Session),
}

impl Session {
    async fn run(&mut self, site: &str) -> anyhow::Result<Steps> {
        match self {
            Self::Ours(session) => session.run(site).await,
            Self::Floor(session) => session.run(site).await,
        }
    }
}

/// Serves until the standard input ends.
pub(crate) async fn serve(
    kind: &str,
    site: &str,
    executable: &str,
    flags: &[String],
) -> anyhow::Result<()> {
    let mut sessions = Vec::new();
    // Between two commands there is nothing to do, so waiting for one may block this thread.
    for line in std::io::stdin().lines() {
        let line = line?;
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("open", count) => {
                let mut opened = Vec::new();
                for _ in 0..count.parse()? {
                    let (session, process) = match kind {
                        "ours" => {
                            let session = ours::Session::open(executable).await?;
                            let opened = session.opened();
                            (Session::Ours(session), opened)
                        }
                        "floor" => {
                            let session = floor::Session::open(executable, flags).await?;
                            let opened = session.opened();
                            (Session::Floor(session), opened)
                        }
                        other => bail!("there is no client {other}"),
                    };
                    sessions.push(session);
                    opened.push(process);
                }
                say(&opened)?;
            }
            ("run", "") => {
                let begun = Instant::now();
                let mut runs = JoinSet::new();
                for (index, mut session) in sessions.drain(..).enumerate() {
                    let site = site.to_owned();
                    runs.spawn(async move {
                        let steps = session.run(&site).await;
                        (index, session, steps)
                    });
                }
                let mut first = Vec::new();
                while let Some(run) = runs.join_next().await {
                    let (index, session, steps) = run.context("the scenario panicked")?;
                    sessions.push(session);
                    let steps = steps?;
                    if index == 0 {
                        first = steps.ended;
                    }
                }
                say(&Ran {
                    wall_ms: millis(begun.elapsed()),
                    steps: first,
                })?;
            }
            ("close", "") => {
                for session in sessions.drain(..) {
                    match session {
                        Session::Ours(session) => session.close().await,
                        Session::Floor(session) => session.close().await?,
                    }
                }
                say(&())?;
            }
            _ => bail!("{line:?} is no command"),
        }
    }
    Ok(())
}

fn say(answer: &impl Serialize) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    serde_json::to_writer(&mut output, answer)?;
    output.write_all(b"\n")?;
    output.flush()?;
    Ok(())
}
