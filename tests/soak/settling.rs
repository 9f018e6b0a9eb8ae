//! Once it is quiet, everything must become well. How long that takes is a matter of the machine; that it does not is
//! found by looks that find nothing better, and never by a clock alone.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use domain::job_run::JobRun;
use domain::run::{Run, Status};
use domain::{JobRunId, RunId};
use store::{DUE_SHARDS, Delivery, DeliveryKey, DeliveryStatus, DueItem, Store, now};

use crate::chaos::check;
use crate::chaos::policy::Quiet;
use crate::chaos::proxy::Proxy;
use crate::chaos::stage::Stage;
use crate::{Created, Customers, SWEEPS_EVERY, lock, parts};

/// What isn't well after so many sweeps in a row that found everything overdue, and made nothing better, is stuck.
const SWEEPS_IN_VAIN: u32 = 60;

/// The sweeper leaves nothing alone for longer than an hour: what is due later than that is nobody's to wait for.
const LONGEST_WAIT: Duration = Duration::from_secs(61 * 60);

/// What is due then is due at all.
const EVER: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// How far everything has come: the changes of all runs, the webhooks that have arrived (one that comes again is no
/// progress, and could come for ever), and the customers who still ask.
type Standing = (u64, usize, usize);

/// Sweeps until everything is well and every customer is through, or until nothing gets better any more; answers what
/// isn't well.
pub(crate) async fn settle(
    stage: &Stage,
    created: &Created,
    customers: &mut Customers,
) -> anyhow::Result<Vec<String>> {
    let proxy = Arc::new(Proxy::start(stage.aws_url()?).await?);
    proxy.set_policy(Quiet);
    let mut before = None;
    let mut in_vain = 0;
    loop {
        let standing = look(stage, created, customers).await?;
        let is_better = before != Some(standing);
        before = Some(standing);
        let is_worth_waiting = is_better || let_time_pass(stage).await?;
        in_vain = if is_worth_waiting { 0 } else { in_vain + 1 };
        parts::sweep(stage, &proxy, Duration::ZERO).await?;
        // The whole check reads everything that there is: it is worth it only when nothing is due.
        let is_stuck = in_vain > SWEEPS_IN_VAIN;
        let may_be_well = customers.hear()? == 0 && due(stage, EVER).await?.is_empty();
        if is_stuck || may_be_well {
            let wrong = check::violations(stage).await?;
            if is_stuck || wrong.is_empty() {
                return Ok(wrong);
            }
        }
        tokio::time::sleep(SWEEPS_EVERY).await;
    }
}

async fn look(
    stage: &Stage,
    created: &Created,
    customers: &mut Customers,
) -> anyhow::Result<Standing> {
    let ids = lock(created).clone();
    let runs = stage.store().runs(&ids).await?;
    let webhooks = stage.world.webhooks();
    let webhooks: HashSet<_> = webhooks
        .iter()
        .map(|webhook| webhook.headers.get("webhook-id"))
        .collect();
    Ok((
        runs.iter().map(|run| run.sequence).sum(),
        webhooks.len(),
        customers.hear()?,
    ))
}

/// Has what nobody works on be overdue now, instead of waiting for that long; answers whether something waits for a time
/// of its own, before which nobody may take it.
///
/// Each of these writes depends on what was read, so that it comes too late for a run or a job run that somebody begins
/// to work on in the meantime. A sweeper's clock that is ahead would end that one's lease as well, and by that clock the
/// run would be executed again. A delivery doesn't show that it is being made: it may be made twice by this, with the
/// same id and body.
async fn let_time_pass(stage: &Stage) -> anyhow::Result<bool> {
    let mut something_waits = false;
    // What the sweeper has set aside is overdue by its `dueAt`, and still not found: the index alone tells.
    let overdue = due(stage, Duration::ZERO).await?;
    let mut later = due(stage, LONGEST_WAIT).await?;
    later.retain(|item| !overdue.contains(item));
    for item in later {
        something_waits |= match item {
            DueItem::Run(id) => run_is_overdue(stage.store(), id).await?,
            DueItem::JobRun(id) => job_run_is_overdue(stage.store(), id).await?,
            DueItem::Delivery(key) => delivery_is_overdue(stage.store(), &key).await?,
        };
    }
    Ok(something_waits)
}

async fn run_is_overdue(store: &Store, id: RunId) -> anyhow::Result<bool> {
    let Some(run) = store.run(id).await? else {
        return Ok(false);
    };
    let at = now();
    // Whether the worker of a run lives is for its lease to say, which is a short one.
    let is_in_work = run.status() != Status::Pending && !run.status().is_final();
    if run.due_at.is_none_or(|due_at| is_in_work && due_at > at) {
        return Ok(false);
    }
    if !run.waits_for_retry(at).is_zero() {
        return Ok(true);
    }
    let overdue = Run {
        due_at: Some(at),
        ..run.clone()
    };
    store.postpone_run(&run, &overdue).await?;
    Ok(false)
}

async fn job_run_is_overdue(store: &Store, id: JobRunId) -> anyhow::Result<bool> {
    if let Some(job_run) = store.job_run(id).await?
        && job_run.due_at.is_some()
    {
        let overdue = JobRun {
            due_at: Some(now()),
            ..job_run
        };
        store.postpone_job_run(&overdue).await?;
    }
    Ok(false)
}

async fn delivery_is_overdue(store: &Store, key: &DeliveryKey) -> anyhow::Result<bool> {
    let Some(delivery) = store.delivery(key).await? else {
        return Ok(false);
    };
    let at = now();
    if delivery.status != DeliveryStatus::Pending || delivery.due_at.is_none() {
        return Ok(false);
    }
    if delivery.next_attempt_at > at {
        return Ok(true);
    }
    let attempts = delivery.attempts.len();
    let overdue = Delivery {
        due_at: Some(at),
        ..delivery
    };
    store.update_delivery(&overdue, attempts).await?;
    Ok(false)
}

/// All that will be due within a time.
async fn due(stage: &Stage, within: Duration) -> anyhow::Result<Vec<DueItem>> {
    let until = now().plus(within);
    let mut found = Vec::new();
    for shard in 0..DUE_SHARDS {
        let mut mark = None;
        loop {
            let page = stage.store().due(shard, until, mark, 250).await?;
            found.extend(page.items);
            mark = page.next;
            if mark.is_none() {
                break;
            }
        }
    }
    Ok(found)
}
