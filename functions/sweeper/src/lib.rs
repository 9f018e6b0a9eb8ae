//! Finds, each minute, everything that is overdue, and does what is due: the certainty behind the queue and the
//! stream, either of which may lose something.
//!
//! Two sweeps at once do no harm: whatever changes a run is a conditional write, and a message that is sent twice does
//! nothing the second time. A sweep keeps nothing in mind from one minute to the next.

mod deliveries;
mod job_runs;
mod report;
mod runs;

use std::collections::HashMap;
use std::time::Duration;

use domain::run::Run;
use domain::{RunId, Timestamp};
use futures::StreamExt;
use futures::stream;
use store::{DUE_SHARDS, DueItem, Result, Store};
use tokio::time::Instant;

use crate::runs::Admitting;

pub use report::{Done, Report};

/// How many items of one shard are asked for at once.
const ITEMS_PER_PAGE: i32 = 250;

/// How many runs are read together. What is done about one of them is a write on a condition, so that it does no harm if
/// another has changed it since.
const RUNS_AT_ONCE: usize = 25;

/// The most pages of one shard that a sweep looks at: 40,000 items of all shards. What is left over is the oldest of the
/// next sweep.
const PAGES_PER_SHARD: u32 = 10;

/// After this time a sweep begins nothing new, so that it ends by itself before its function's time-out ends it.
const BEGINS_NOTHING_AFTER: Duration = Duration::from_secs(40);

/// How long something is left alone that can't be dealt with. It is found in each five minutes, so that the alarm on it
/// stays.
const SET_ASIDE_FOR: Duration = Duration::from_secs(3 * 60);

/// Does all that is due at a time, and answers with what it found.
pub async fn handle(store: &Store, now: Timestamp) -> Report {
    handle_within(store, now, BEGINS_NOTHING_AFTER).await
}

/// The same, but that it begins nothing new after some time; what is left over is due all the same.
pub async fn handle_within(store: &Store, now: Timestamp, time: Duration) -> Report {
    let began = Instant::now();
    let until = began + time;
    let admitting = &Admitting::default();
    let report = stream::iter(0..DUE_SHARDS)
        .map(|shard| sweep_shard(store, shard, admitting, now, until))
        .buffer_unordered(DUE_SHARDS.into())
        .fold(Report::default(), async |total, shard| total.plus(&shard))
        .await;
    report.measurement(began.elapsed()).emit();
    tracing::info!(?report, "Swept");
    report
}

async fn sweep_shard(
    store: &Store,
    shard: u8,
    admitting: &Admitting,
    now: Timestamp,
    until: Instant,
) -> Report {
    let mut report = Report::default();
    let mut mark = None;
    for _ in 0..PAGES_PER_SHARD {
        let page = match store.due(shard, now, mark, ITEMS_PER_PAGE).await {
            Ok(page) => page,
            Err(error) => {
                tracing::error!(shard, %error, "A shard of the due index could not be read");
                report.failed += 1;
                return report;
            }
        };
        for items in page.items.chunks(RUNS_AT_ONCE) {
            if Instant::now() >= until {
                report.left_over += u32::try_from(items.len()).unwrap_or(u32::MAX);
                continue;
            }
            let mut runs = read_runs(store, items).await;
            for item in items {
                if Instant::now() >= until {
                    report.left_over += 1;
                    continue;
                }
                match sweep_item(store, item, &mut runs, admitting, now).await {
                    Ok(done) => report.count(done),
                    // One that fails must not keep the sweep from the others.
                    Err(error) => {
                        tracing::error!(?item, %error, "Something overdue could not be dealt with");
                        report.failed += 1;
                        if !error.is_transient() {
                            set_aside(store, item, now).await;
                        }
                    }
                }
            }
        }
        // From a mark on, so that what can't be dealt with and stays due doesn't hide what is behind it.
        match page.next {
            None => return report,
            Some(_) if Instant::now() >= until => break,
            next => mark = next,
        }
    }
    // At least one more is due, or may be: nobody has looked.
    report.left_over += 1;
    report
}

/// What fails each time must not be what every sweep begins with: with enough of it, one organization's would use up the
/// pages and the time of everybody's.
async fn set_aside(store: &Store, item: &DueItem, now: Timestamp) {
    let until = now.plus(SET_ASIDE_FOR);
    if let Err(error) = store.set_aside(item, now, until).await {
        tracing::warn!(?item, %error, "What could not be dealt with stays the first of the next sweep");
    }
}

/// The runs among some items, in one request: most of what is due are runs, and each is looked at.
async fn read_runs(store: &Store, items: &[DueItem]) -> Result<HashMap<RunId, Result<Run>>> {
    let ids: Vec<RunId> = items
        .iter()
        .filter_map(|item| match item {
            DueItem::Run(id) => Some(*id),
            DueItem::JobRun(_) | DueItem::Delivery(_) => None,
        })
        .collect();
    Ok(store.each_run(&ids).await?.into_iter().collect())
}

async fn sweep_item(
    store: &Store,
    item: &DueItem,
    runs: &mut Result<HashMap<RunId, Result<Run>>>,
    admitting: &Admitting,
    now: Timestamp,
) -> Result<Done> {
    match item {
        DueItem::Run(id) => {
            let run = match runs {
                Ok(runs) => runs.remove(id).transpose()?,
                // They could not be read together: each says by itself what is wrong.
                Err(_) => store.run(*id).await?,
            };
            match run {
                None => Ok(Done::Nothing),
                Some(run) => runs::sweep(store, run, admitting, now).await,
            }
        }
        DueItem::JobRun(id) => job_runs::sweep(store, *id, now).await,
        DueItem::Delivery(key) => deliveries::sweep(store, key, now).await,
    }
}
