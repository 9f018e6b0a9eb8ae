//! `legwork run`: the engine alone, on this machine: no AWS, no queue, no table. What the run produces is put into a
//! folder, and what it asks is asked at the prompt.

mod folder;
mod inputs;
mod prompt;
mod record;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use domain::definition::{BrowserSettings, Definition};
use domain::{Failure, FailureCode};
use engine::{Cut, Interrupted, Outcome, Report};
use platform::addresses::AllowAddresses;
use platform::configuration::{Environment, Runner};
use platform::upstream::Upstream;
use tokio::sync::watch;

use crate::{display, excerpt, quiet_logs, signals, validate};
use folder::Folder;

/// The workflow, its input or its secrets are not as they must be: nothing was run.
const NOT_RUN: u8 = 2;
/// The run ended with no action taken.
const NO_ACTION: u8 = 3;
/// Somebody pressed Ctrl-C, or ended the program in another way.
const INTERRUPTED: u8 = 130;

/// What `run` takes.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The workflow's definition, in YAML or JSON.
    file: PathBuf,
    /// One property of the run's input; may be given several times. The value is text, or JSON where the input's schema
    /// wants something else.
    #[arg(long = "input", value_name = "NAME=VALUE")]
    inputs: Vec<String>,
    /// The run's whole input, as a JSON file; `--input` adds to it.
    #[arg(long, value_name = "FILE")]
    input_file: Option<PathBuf>,
    /// The values of secrets by their names, as a JSON file. What is not in it is taken from LEGWORK_SECRET_NAME, or
    /// asked for at the prompt.
    #[arg(long, value_name = "FILE")]
    secrets_file: Option<PathBuf>,
    /// Where the run's record (run.json) and its artifacts are put: a new folder, or an empty one.
    #[arg(long, value_name = "DIR", default_value = "legwork-run")]
    out: PathBuf,
    /// Lets the browser reach this machine itself (127.0.0.0/8 and ::1), which it otherwise never does.
    #[arg(long)]
    allow_loopback: bool,
}

/// Executes a definition. An error means that nothing was run.
pub(crate) async fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    quiet_logs()?;
    let environment = Environment::from_process();
    let text = validate::read(&arguments.file)?;
    let definition = match Definition::parse_yaml(&text) {
        Ok(definition) => definition,
        Err(errors) => {
            let name = arguments.file.display().to_string();
            for error in &errors {
                display::note(&excerpt::show(error, &name, &text));
            }
            return Ok(ExitCode::from(NOT_RUN));
        }
    };
    let input = inputs::input(
        &definition,
        &arguments.inputs,
        arguments.input_file.as_deref(),
    )?;
    let signals = signals()?;
    let stop = signals.token();
    let secrets = inputs::secrets(&definition, arguments.secrets_file.as_deref(), &environment);
    let secrets = tokio::select! {
        secrets = secrets => secrets?,
        () = stop.cancelled() => return Ok(ExitCode::from(INTERRUPTED)),
    };
    let inputs = engine::Inputs {
        input,
        secrets,
        outputs: serde_json::json!({}),
    };
    let upstream = runner::upstream(&definition, &inputs)?;
    let folder = Folder::make(&arguments.out)?;

    let scratch = tempfile::tempdir().context("no folder for the browser can be made")?;
    let mut settings = Runner::read(&environment)?;
    settings.scratch_dir = scratch.path().to_owned();
    settings.browser_pool = 0;
    let addresses = if arguments.allow_loopback {
        AllowAddresses::AndLoopback
    } else {
        AllowAddresses::PublicOnly
    };
    let session = session(settings, addresses, &definition.browser, upstream);
    let runner::Session { mut browser, held } = tokio::select! {
        session = session => session?,
        () = stop.cancelled() => return Ok(ExitCode::from(INTERRUPTED)),
    };

    let is_asking = watch::Sender::new(false);
    let mut host = folder.host(held.as_ref(), is_asking.clone());
    let started = record::Started::now();
    let cut = async {
        tokio::select! {
            () = stop.cancelled() => {
                display::note("Ending the run; press Ctrl-C again to end it at once");
                Cut::Stopped
            }
            () = worked_for(definition.deadline, is_asking.subscribe()) => Cut::DeadlineExceeded,
        }
    };
    let ended = tokio::select! {
        // First, so that it listens by the time at which somebody is told to press Ctrl-C again.
        biased;
        () = stopped_twice(&stop) => None,
        ended = engine::execute(&definition, inputs, browser.as_mut(), &mut host, cut) => Some(ended),
    };
    let (artifacts, state) = host.into_parts();
    held.close().await;
    let report = match ended {
        Some(Ok(report)) => report,
        // A question that nobody can answer, or a folder that can't be written.
        Some(Err(interrupted)) => {
            let why = match interrupted {
                Interrupted::Fault(error) => format!("{:#}", anyhow::Error::from_boxed(error)),
                Interrupted::TakenAway | Interrupted::Canceled => interrupted.to_string(),
            };
            unsaid(FailureCode::Internal, why, state.clone())
        }
        None => unsaid(
            FailureCode::Canceled,
            "the run was ended at once".to_owned(),
            state.clone(),
        ),
    };
    let code = match &report.outcome {
        Outcome::Completed { .. } => ExitCode::SUCCESS,
        Outcome::NoAction { .. } => ExitCode::from(NO_ACTION),
        Outcome::Failed(failure) if failure.code == FailureCode::Canceled => {
            ExitCode::from(INTERRUPTED)
        }
        Outcome::Failed(_) => ExitCode::FAILURE,
    };
    let record = record::of(&definition, &report, state, artifacts, started);
    folder.write_record(&record)?;
    record::show(&report.outcome, &arguments.out);
    Ok(code)
}

/// What is said of a run that could not even say how it ended.
fn unsaid(code: FailureCode, message: String, state: Option<String>) -> Report {
    let failure = Failure {
        state,
        ..Failure::outside_of_steps(code, message)
    };
    Report {
        outcome: Outcome::Failed(failure),
        state_timings: Vec::new(),
        awaiting_user: Duration::ZERO,
        artifacts: Duration::ZERO,
        skipped: Vec::new(),
    }
}

/// Starts a browser, after having looked for one, or installed it.
async fn session(
    mut settings: Runner,
    addresses: AllowAddresses,
    browser: &BrowserSettings,
    upstream: Option<Upstream>,
) -> anyhow::Result<runner::Session> {
    if settings.chromium.is_none() {
        let executable = browser::find_or_install(&mut |text| display::note(text)).await?;
        settings.chromium = Some(executable);
    }
    let sessions = runner::chromium(&settings, addresses)?;
    let session = sessions.open(browser, upstream).await;
    session.context("the browser did not start")
}

/// Returns when the run has worked for so long. While it asks somebody, the clock stands still.
async fn worked_for(time: Duration, mut is_asking: watch::Receiver<bool>) {
    let mut left = time;
    loop {
        if is_asking.wait_for(|asking| !asking).await.is_err() {
            return std::future::pending().await;
        }
        let began = tokio::time::Instant::now();
        tokio::select! {
            () = tokio::time::sleep(left) => return,
            _ = is_asking.wait_for(|asking| *asking) => {}
        }
        left = left.saturating_sub(began.elapsed());
    }
}

/// Returns when somebody who has asked the run to end asks again.
async fn stopped_twice(stop: &tokio_util::sync::CancellationToken) {
    stop.cancelled().await;
    // The first listener has heard its signal, and hears no more.
    match signals() {
        Ok(again) => again.token().cancelled().await,
        Err(_) => std::future::pending().await,
    }
}
