//! The runner: takes runs from the queue, drives a browser through each, stores what they produce.
//!
//! The way of a run through the files: [`intake`] receives and claims, [`browsers`] has a browser ready, [`execution`]
//! executes beside the lease and whatever else may end it, [`host`] writes what the engine asks for. Nothing about a
//! run lives only here: what isn't committed didn't happen.

mod browsers;
mod execution;
mod host;
mod intake;
mod lease;
mod possession;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use platform::addresses::AllowAddresses;
use platform::configuration::{Environment, Logs, Outgoing, Resources, Runner as Settings};
use store::{Connection, Store};
use tokio_util::sync::CancellationToken;

use crate::browsers::Browsers;
use crate::possession::Possessions;

/// What all runs of a runner share.
struct Worker {
    /// For the logs and for the run's item; unique to this process.
    id: String,
    settings: Settings,
    store: Store,
    browsers: Browsers,
    possessions: Possessions,
    /// How many runs may wait for a person without a working slot.
    waiting: Arc<tokio::sync::Semaphore>,
    stop: CancellationToken,
}

/// Runs until it is told to stop, then ends what it has begun and gives back the rest.
///
/// # Errors
/// When it can't begin: no browser, no scratch folder.
pub async fn run(
    settings: Settings,
    store: Store,
    allow_addresses: AllowAddresses,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let executable: PathBuf = match &settings.chromium {
        Some(path) => path.clone(),
        None => browser::find_executable()?,
    };
    std::fs::create_dir_all(&settings.scratch_dir).with_context(|| {
        format!(
            "the scratch folder {} can't be made",
            settings.scratch_dir.display()
        )
    })?;
    let removed = browser::remove_leftovers(&settings.scratch_dir)?;
    if removed > 0 {
        tracing::info!(removed, "Removed what a dead runner's browsers had left");
    }
    let browsers = Browsers::new(
        executable,
        settings.scratch_dir.clone(),
        settings.browser_pool,
        allow_addresses,
    );
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
        browsers,
        stop,
    });
    tracing::info!(
        worker_id = worker.id,
        slots = worker.settings.slots,
        "The runner takes runs"
    );
    // Neither the pool nor the look at the table outlives the intake: both end when it returns.
    tokio::select! {
        () = worker.browsers.keep_ready() => {}
        () = worker.possessions.follow(&worker.store) => {}
        () = intake::take_runs(&worker) => {}
    }
    worker.browsers.close().await;
    tracing::info!(worker_id = worker.id, "The runner has stopped");
    Ok(())
}

/// The runner as a process of its own: settings from the environment, stops on SIGTERM and SIGINT, and when `orphaned`
/// completes.
///
/// # Errors
/// When it can't begin.
pub async fn main(orphaned: impl Future<Output = ()>) -> anyhow::Result<()> {
    let environment = Environment::from_process();
    platform::telemetry::init(&Logs::read(&environment)?)?;
    let shutdown = platform::shutdown::Shutdown::on_signals()?;
    let stop = shutdown.token();
    let store = Store::new(
        &Connection::from_environment().await,
        Resources::read(&environment)?,
    );
    let allow_addresses = Outgoing::read(&environment)?.allow_addresses;
    let settings = Settings::read(&environment)?;
    let scratch_dir = settings.scratch_dir.clone();
    let running = run(settings, store, allow_addresses, stop.clone());
    let mut is_orphan = false;
    let orphaned = async {
        orphaned.await;
        tracing::warn!("Whoever started the runner is gone");
        is_orphan = true;
        stop.cancel();
        std::future::pending().await
    };
    let ended = tokio::select! {
        ended = running => ended,
        () = orphaned => Ok(()),
    };
    if is_orphan {
        // Nobody else is left to remove it. The last of several runners finds it empty.
        let _ = std::fs::remove_dir(scratch_dir);
    }
    ended
}
