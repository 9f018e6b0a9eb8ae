//! The runner: takes runs from the queue, drives a browser through each, stores what they produce.
//!
//! The way of a run through the files: [`intake`] receives and claims, [`browsers`] has one ready, [`execution`]
//! executes beside the lease and whatever else may end it, [`host`] writes what the engine asks for. Nothing about a
//! run lives only here: what isn't committed didn't happen.

mod browsers;
mod execution;
mod host;
mod intake;
mod lease;
mod measures;
mod outputs;
mod possession;
mod protection;
mod sessions;
mod upstream;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use platform::configuration::{Environment, Logs, Outgoing, Resources, Runner as Settings};
use platform::task_protection::TaskProtection;
use store::{Connection, Store};
use tokio_util::sync::CancellationToken;

pub use crate::browsers::chromium;
use crate::possession::Possessions;
pub use crate::sessions::{Held, NoSession, Session, Sessions};
pub use crate::upstream::upstream;

/// What all runs of a runner share.
struct Worker {
    /// For the logs and for the run's item; unique to this process.
    id: String,
    settings: Settings,
    store: Store,
    sessions: Box<dyn Sessions>,
    possessions: Possessions,
    /// How many runs may wait for a person without a working slot.
    waiting: Arc<tokio::sync::Semaphore>,
    /// How many runs in a row found no browser here.
    without_browser: AtomicUsize,
    orders: Orders,
}

/// What a runner is told from outside.
#[derive(Debug, Clone)]
pub struct Orders {
    /// To take nothing new, to end what fits into the stop time-out, and to give back the rest.
    pub stop: CancellationToken,
    /// To take nothing new, and to end what it has, however long that takes.
    pub drain: CancellationToken,
}

impl From<CancellationToken> for Orders {
    fn from(stop: CancellationToken) -> Self {
        Self {
            drain: stop.child_token(),
            stop,
        }
    }
}

/// Runs until it is told to stop or to drain, or has worked as long as its settings say; then ends what it has begun.
pub async fn run(
    settings: Settings,
    store: Store,
    sessions: Box<dyn Sessions>,
    orders: impl Into<Orders>,
) {
    let protection =
        settings
            .ecs_agent
            .as_ref()
            .and_then(|agent| match TaskProtection::new(agent) {
                Ok(protection) => Some(protection),
                Err(error) => {
                    tracing::warn!(%error, "The task can't be protected");
                    None
                }
            });
    let worker = Arc::new(Worker {
        id: format!(
            "{}-{:08x}",
            std::process::id(),
            u32::from_be_bytes(store::fresh_random())
        ),
        waiting: Arc::new(tokio::sync::Semaphore::new(settings.waiting_slots as usize)),
        possessions: Possessions::default(),
        settings,
        store,
        sessions,
        without_browser: AtomicUsize::new(0),
        orders: orders.into(),
    });
    tracing::info!(
        worker_id = worker.id,
        slots = worker.settings.slots,
        "The runner takes runs"
    );
    // Neither the pool nor the looks at the table and at the slots outlive the intake: all end when it returns.
    tokio::select! {
        () = worker.sessions.keep_ready() => {}
        () = worker.possessions.follow(&worker.store) => {}
        () = measures::occupancy(&worker) => {}
        () = drain_in_time(&worker) => {}
        () = protect(&worker, protection.as_ref()) => {}
        () = intake::take_runs(&worker) => {}
        () = intake::too_late(&worker) => {
            tracing::error!(
                in_hand = *worker.possessions.count().borrow(),
                "Left runs to their leases: they could not be ended in time"
            );
        }
    }
    worker.sessions.close().await;
    if let Some(protection) = &protection
        && let Err(error) = protection.release().await
    {
        tracing::warn!(%error, "The task's protection could not be given up; it ends by itself");
    }
    tracing::info!(worker_id = worker.id, "The runner has stopped");
}

/// Drains the runner once it has worked as long as its settings say; never returns. Runners that were started together
/// don't drain together: up to a tenth of the time is taken off at random.
async fn drain_in_time(worker: &Worker) {
    if let Some(after) = worker.settings.drain_after {
        let early = after.mul_f64(0.1 * platform::retry::random_fraction());
        tokio::time::sleep(after.saturating_sub(early)).await;
        tracing::info!("The runner has worked as long as it should; draining");
        worker.orders.drain.cancel();
    }
    std::future::pending().await
}

async fn protect(worker: &Worker, protection: Option<&TaskProtection>) {
    match protection {
        None => std::future::pending().await,
        Some(protection) => {
            let in_hand = worker.possessions.count();
            protection::keep(
                protection,
                in_hand,
                &worker.orders.drain,
                protection::IDLE_FOR,
                protection::ASK_AGAIN_AFTER,
            )
            .await;
        }
    }
}

/// The runner as a process of its own: settings from the environment, stops on SIGTERM and SIGINT, and when `orphaned`
/// completes; drains on SIGUSR1.
///
/// # Errors
/// When it can't begin.
pub async fn main(orphaned: impl Future<Output = ()>) -> anyhow::Result<()> {
    let environment = Environment::from_process();
    platform::telemetry::init(&Logs::read(&environment)?)?;
    platform::telemetry::metrics::to_standard_output();
    let shutdown = platform::shutdown::Shutdown::on_signals()?;
    let stop = shutdown.token();
    let store = Store::new(
        &Connection::from_environment().await,
        Resources::read(&environment)?,
    );
    let allow_addresses = Outgoing::read(&environment)?.allow_addresses;
    let settings = Settings::read(&environment)?;
    let scratch_dir = settings.scratch_dir.clone();
    let sessions = chromium(&settings, allow_addresses)?;
    let orders = Orders {
        stop: stop.clone(),
        drain: shutdown.drain_token(),
    };
    let running = run(settings, store, sessions, orders);
    let mut is_orphan = false;
    let orphaned = async {
        orphaned.await;
        tracing::warn!("Whoever started the runner is gone");
        is_orphan = true;
        stop.cancel();
        std::future::pending().await
    };
    tokio::select! {
        () = running => {}
        () = orphaned => {}
    }
    if is_orphan {
        // Nobody else is left to remove it. The last of several runners finds it empty.
        let _ = std::fs::remove_dir(scratch_dir);
    }
    Ok(())
}
