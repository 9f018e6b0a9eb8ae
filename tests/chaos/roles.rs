//! The parts of the service as processes: the test's own executable, run again, with the code of the real functions and
//! of the real runner in it.
//!
//! Only what is beside the service is the test's own: how a process is told what it is, and a browser that follows a
//! script.

use std::os::fd::AsFd;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use api::{Api, router};
use domain::Timestamp;
use localstack::pollers;
use platform::addresses::AllowAddresses;
use platform::configuration::{Environment, Limits, Logs, Resources, Runner};
use platform::guarded_http::GuardedClient;
use serde_json::json;
use store::local::stream::StreamReader;
use store::{Connection, Job, Store, now};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::net::unix::pipe;
use tokio_util::sync::CancellationToken;

use crate::chaos::scripted::Scripted;

/// The argument that makes the executable a part of the service.
const PLAY: &str = "--play";

/// The customer of the tests and what they stand for is on loopback.
const ALLOW_ADDRESSES: AllowAddresses = AllowAddresses::AndLoopback;

/// How long a part waits after something did not work.
const PAUSE: Duration = Duration::from_secs(1);

/// A part of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    /// Says on standard output where it serves.
    Api,
    Runner,
    /// A runner whose browsers are real.
    RunnerWithChromium,
    Dispatcher {
        stream_arn: String,
        records: Records,
    },
    Deliverer,
    /// Starts a job run for an occurrence, as the schedule sends it, and ends.
    JobTrigger {
        occurrence: String,
    },
    /// Sweeps once, at a time that is so far ahead of the clock, and ends.
    Sweeper {
        ahead: Duration,
    },
}

/// What a dispatcher begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Records {
    /// All that the stream has: what another one has handled comes again.
    All,
    /// Only what is new: what another one had in hand is lost.
    New,
}

impl Role {
    /// The job-trigger with an occurrence of a job's schedule.
    pub(crate) fn trigger(job: &Job, scheduled_at: Timestamp) -> Self {
        let occurrence = json!({
            "jobId": job.id,
            "scheduledTime": scheduled_at,
            "generation": job.generation,
        });
        Self::JobTrigger {
            occurrence: occurrence.to_string(),
        }
    }

    /// What the executable is started with.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![PLAY.to_owned()];
        match self {
            Self::Api => arguments.push("api".to_owned()),
            Self::Runner => arguments.push("runner".to_owned()),
            Self::RunnerWithChromium => arguments.push("chromium".to_owned()),
            Self::Dispatcher {
                stream_arn,
                records,
            } => {
                let records = match records {
                    Records::All => "all",
                    Records::New => "new",
                };
                arguments.extend(["dispatcher", stream_arn, records].map(str::to_owned));
            }
            Self::Deliverer => arguments.push("deliverer".to_owned()),
            Self::JobTrigger { occurrence } => {
                arguments.extend(["job-trigger", occurrence].map(str::to_owned));
            }
            Self::Sweeper { ahead } => {
                arguments.extend(["sweeper".to_owned(), ahead.as_millis().to_string()]);
            }
        }
        arguments
    }

    fn parse(arguments: &[String]) -> anyhow::Result<Self> {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Ok(match arguments.as_slice() {
            ["api"] => Self::Api,
            ["runner"] => Self::Runner,
            ["chromium"] => Self::RunnerWithChromium,
            ["dispatcher", stream_arn, records @ ("all" | "new")] => Self::Dispatcher {
                stream_arn: (*stream_arn).to_owned(),
                records: if *records == "all" {
                    Records::All
                } else {
                    Records::New
                },
            },
            ["deliverer"] => Self::Deliverer,
            ["job-trigger", occurrence] => Self::JobTrigger {
                occurrence: (*occurrence).to_owned(),
            },
            ["sweeper", ahead] => Self::Sweeper {
                ahead: Duration::from_millis(ahead.parse()?),
            },
            other => anyhow::bail!("there is no part of the service called {other:?}"),
        })
    }
}

/// Plays a part of the service if that is what this process was started for; else the caller goes on as a test.
pub(crate) fn play_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next()? != PLAY {
        return None;
    }
    match play(&arguments.collect::<Vec<_>>()) {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "A part of the service ended");
            Some(ExitCode::FAILURE)
        }
    }
}

#[tokio::main]
async fn play(arguments: &[String]) -> anyhow::Result<()> {
    let environment = Environment::from_process();
    platform::telemetry::init(&Logs::read(&environment)?)?;
    let role = Role::parse(arguments)?;
    let connection = Connection::from_environment().await;
    let store = Store::new(&connection, Resources::read(&environment)?);
    let mut orphaned = pin!(orphaned());
    let playing = async {
        match role {
            Role::Api => {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                announce(&format!("http://{}", listener.local_addr()?))?;
                serve_api(store, listener).await
            }
            Role::Runner => {
                let stop = platform::shutdown::Shutdown::on_signals()?.token();
                run(store, Runner::read(&environment)?, stop).await
            }
            Role::RunnerWithChromium => {
                let stop = platform::shutdown::Shutdown::on_signals()?.token();
                let settings = Runner::read(&environment)?;
                let sessions = runner::chromium(&settings, ALLOW_ADDRESSES)?;
                runner::run(settings, store, sessions, stop).await;
                Ok(())
            }
            Role::Dispatcher {
                stream_arn,
                records,
            } => dispatch(store, &connection, &stream_arn, records).await,
            Role::Deliverer => deliver(store).await,
            Role::JobTrigger { occurrence } => {
                let occurrence = serde_json::from_str(&occurrence)?;
                let answer = job_trigger::handle(&store, occurrence).await?;
                anyhow::ensure!(
                    matches!(answer, job_trigger::Answer::Started { .. }),
                    "the occurrence started nothing: {answer:?}"
                );
                Ok(())
            }
            Role::Sweeper { ahead } => {
                sweeper::handle(&store, now().plus(ahead)).await;
                Ok(())
            }
        }
    };
    tokio::select! {
        ended = playing => ended,
        () = &mut orphaned => Ok(()),
    }
}

/// Completes when whoever started this process is gone: standard input is a pipe whose other end it holds.
async fn orphaned() {
    let pipe = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .and_then(pipe::Receiver::from_owned_fd);
    if let Ok(mut pipe) = pipe {
        let mut nothing = [0];
        // An error means the same as the end.
        let _ = pipe.read(&mut nothing).await;
    }
}

#[expect(
    clippy::print_stdout,
    reason = "whoever started this process reads where it serves"
)]
fn announce(url: &str) -> anyhow::Result<()> {
    use std::io::Write;
    println!("{url}");
    std::io::stdout().flush().context("nobody listens")
}

/// Serves the API, for ever.
pub(crate) async fn serve_api(store: Store, listener: TcpListener) -> anyhow::Result<()> {
    let limits = Limits {
        requests_per_second: 100_000,
        runs_per_second: 100_000,
    };
    let api = router(Api::new(store, ALLOW_ADDRESSES, limits));
    axum::serve(listener, api).await.context("the API ended")
}

/// Takes runs from the queue, with a browser that follows a script, until it is to stop.
pub(crate) async fn run(
    store: Store,
    settings: Runner,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    runner::run(settings, store, Box::new(Scripted::new()), stop).await;
    Ok(())
}

/// Reads the table's stream, for ever.
pub(crate) async fn dispatch(
    store: Store,
    connection: &Connection,
    stream_arn: &str,
    records: Records,
) -> anyhow::Result<()> {
    let mut reader = StreamReader::new(connection, stream_arn);
    if records == Records::New {
        while let Err(error) = pass_by(&mut reader).await {
            tracing::warn!(%error, "The stream could not be read");
            tokio::time::sleep(PAUSE).await;
        }
    }
    pollers::feed_dispatcher(store, reader).await;
    Ok(())
}

async fn pass_by(reader: &mut StreamReader) -> store::Result<()> {
    reader.find_shards().await?;
    while !reader.read().await?.is_empty() {}
    Ok(())
}

/// Makes deliveries, for ever.
pub(crate) async fn deliver(store: Store) -> anyhow::Result<()> {
    let client = GuardedClient::new(ALLOW_ADDRESSES, deliverer::EXCHANGE_TIMEOUT)?;
    pollers::feed_deliverer(deliverer::Context { store, client }).await;
    Ok(())
}
