//! Finds, each minute, everything that is overdue, and does what is due: the certainty behind the queue and the
//! stream, either of which may lose something.
//!
//! Two sweeps at once do no harm: whatever changes a run is a conditional write, and a message that is sent twice does
//! nothing the second time. A sweep keeps nothing in mind from one minute to the next.

mod deliveries;
mod job_runs;
mod report;
mod runs;

use std::time::Duration;

use domain::Timestamp;
use futures::StreamExt;
use futures::stream;
use store::{DUE_SHARDS, DueItem, Result, Store};
use tokio::time::Instant;

pub use report::{Done, Report};

/// The most items of one shard that a sweep looks at. What is left over is the oldest of the next sweep.
const ITEMS_PER_SHARD: i32 = 250;

/// How many shards are swept at the same time.
const SHARDS_AT_ONCE: usize = 8;

/// After this time a sweep begins nothing new, so that it ends by itself before its function's time-out ends it.
const BEGINS_NOTHING_AFTER: Duration = Duration::from_secs(40);

/// Does all that is due at a time, and answers with what it found.
pub async fn handle(store: &Store, now: Timestamp) -> Report {
    let until = Instant::now() + BEGINS_NOTHING_AFTER;
    let report = stream::iter(0..DUE_SHARDS)
        .map(|shard| sweep_shard(store, shard, now, until))
        .buffer_unordered(SHARDS_AT_ONCE)
        .fold(Report::default(), async |total, shard| total.plus(&shard))
        .await;
    tracing::info!(?report, "Swept");
    report
}

async fn sweep_shard(store: &Store, shard: u8, now: Timestamp, until: Instant) -> Report {
    let mut report = Report::default();
    let due = match store.due(shard, now, ITEMS_PER_SHARD).await {
        Ok(due) => due,
        Err(error) => {
            tracing::error!(shard, %error, "A shard of the due index could not be read");
            report.failed += 1;
            return report;
        }
    };
    for item in due {
        if Instant::now() >= until {
            report.left_over += 1;
            continue;
        }
        match sweep_item(store, &item, now).await {
            Ok(done) => report.count(done),
            // One that fails must not keep the sweep from the others; it stays due.
            Err(error) => {
                tracing::error!(?item, %error, "Something overdue could not be dealt with");
                report.failed += 1;
            }
        }
    }
    report
}

async fn sweep_item(store: &Store, item: &DueItem, now: Timestamp) -> Result<Done> {
    match item {
        DueItem::Run(id) => runs::sweep(store, *id, now).await,
        DueItem::JobRun(id) => job_runs::sweep(store, *id, now).await,
        DueItem::Delivery(key) => deliveries::sweep(store, key, now).await,
    }
}
