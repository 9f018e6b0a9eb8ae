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
use std::ops::RangeInclusive;
use std::time::Duration;

use domain::run::Run;
use domain::{RunId, Timestamp};
use futures::StreamExt;
use futures::stream;
use store::{DUE_SHARDS, DueItem, Result, Store, StoreError};
use tokio::time::{Instant, timeout, timeout_at};

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

/// How much time a sweep has, so that it ends by itself before its function's time-out ends it.
const TIME: Time = Time {
    to_begin: Duration::from_secs(40),
    to_end: Duration::from_secs(50),
};

/// How long setting something aside may take, which may be the last that a sweep does.
const SETS_ASIDE_WITHIN: Duration = Duration::from_secs(3);

/// A sweep has ended after this time, whatever hangs.
pub const ENDS_WITHIN: Duration = TIME.to_end.saturating_add(SETS_ASIDE_WITHIN);

/// For how long something is left alone that can't be dealt with: for as long again as it has been overdue. It is found
/// in each hour, so that the alarm on it stays.
const SET_ASIDE_FOR: RangeInclusive<Duration> =
    Duration::from_secs(3 * 60)..=Duration::from_secs(45 * 60);

/// How much time a sweep has.
#[derive(Debug, Clone, Copy)]
pub struct Time {
    /// After this time it begins nothing new; what is left over is due all the same.
    pub to_begin: Duration,
    /// After this time it lets go of what it has begun: all of it may be done twice, so any of it may be done by half.
    /// A call of AWS that hangs would outlast the function otherwise.
    pub to_end: Duration,
}

/// The same as moments.
#[derive(Debug, Clone, Copy)]
struct Until {
    begin: Instant,
    end: Instant,
}

/// Does all that is due at a time, and answers with what it found.
pub async fn handle(store: &Store, now: Timestamp) -> Report {
    handle_within(store, now, TIME).await
}

/// The same in another time.
pub async fn handle_within(store: &Store, now: Timestamp, time: Time) -> Report {
    let began = Instant::now();
    let until = Until {
        begin: began + time.to_begin,
        end: began + time.to_end,
    };
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
    until: Until,
) -> Report {
    let mut report = Report::default();
    let mut mark = None;
    for _ in 0..PAGES_PER_SHARD {
        let page = match by(until.end, store.due(shard, now, mark, ITEMS_PER_PAGE)).await {
            Ok(page) => page,
            Err(error) => {
                tracing::error!(shard, %error, "A shard of the due index could not be read");
                report.failed += 1;
                return report;
            }
        };
        for items in page.items.chunks(RUNS_AT_ONCE) {
            if Instant::now() >= until.begin {
                report.left_over += u32::try_from(items.len()).unwrap_or(u32::MAX);
                continue;
            }
            let mut runs = by(until.end, read_runs(store, items)).await;
            for item in items {
                if Instant::now() >= until.begin {
                    report.left_over += 1;
                    continue;
                }
                let swept = sweep_item(store, item, &mut runs, admitting, now);
                match by(until.end, swept).await {
                    Ok(done) => report.count(done),
                    // One that fails must not keep the sweep from the others.
                    Err(error) => {
                        tracing::error!(?item, %error, "Something overdue could not be dealt with");
                        report.failed += 1;
                        report.set_aside += u32::from(!error.is_transient());
                        // Nor must the next sweep begin with one that takes longer than a sweep has.
                        if !error.is_transient() || Instant::now() >= until.end {
                            set_aside(store, item, now).await;
                        }
                    }
                }
            }
        }
        // From a mark on, so that what can't be dealt with and stays due doesn't hide what is behind it.
        match page.next {
            None => return report,
            Some(_) if Instant::now() >= until.begin => break,
            next => mark = next,
        }
    }
    // At least one more is due, or may be: nobody has looked.
    report.left_over += 1;
    report
}

/// What comes of something if it is done by a time; nothing comes of the rest of it otherwise.
async fn by<T>(end: Instant, doing: impl Future<Output = Result<T>>) -> Result<T> {
    let late = || StoreError::Busy {
        operation: "what was begun",
        reason: "the sweep's time is over".to_owned(),
    };
    timeout_at(end, doing).await.map_err(|_| late())?
}

/// What fails each time must not be what every sweep begins with: with enough of it, one organization's would use up the
/// pages and the time of everybody's.
async fn set_aside(store: &Store, item: &DueItem, now: Timestamp) {
    let setting = store.set_aside(item, now, SET_ASIDE_FOR);
    let problem = match timeout(SETS_ASIDE_WITHIN, setting).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it took too long".to_owned(),
    };
    tracing::warn!(
        ?item,
        problem,
        "What could not be dealt with stays the first of the next sweep"
    );
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
