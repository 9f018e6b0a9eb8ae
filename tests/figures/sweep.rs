//! How soon 10,000 overdue items are swept, on the emulator.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::run::{Event, NewRun, Policy, Run};
use domain::{OrganizationId, RunId, Timestamp, WorkflowId};
use localstack::fixture::Fixture;
use serde_json::Value;
use store::{Store, fresh_commit, fresh_id, now};
use tokio::task::JoinSet;

const ITEMS: usize = 10_000;

/// How many writers make what is overdue.
const WRITERS: usize = 32;

/// How often the emulator's own pace is taken, and how many do so side by side: as many as there are shards.
const FLOOR: usize = 1_000;
const SHARDS: usize = 16;

/// When all of it was created.
const AGE_MILLIS: i64 = 10 * 60 * 1000;

/// Prints how long sweeps take until nothing is overdue any more: a third are runs whose message was lost, a third runs
/// whose worker is dead, a third ended runs whose events nobody has heard.
pub(crate) async fn report() {
    let fixture = Fixture::start().await.expect("a fixture");
    let store = Arc::new(fixture.store);
    let next = Arc::new(AtomicUsize::new(0));
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (store, next) = (Arc::clone(&store), Arc::clone(&next));
        writers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= ITEMS {
                    return;
                }
                make_overdue(&store, number).await;
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.expect("a writer ends well");
    }

    let began = Instant::now();
    let (mut done, mut sweeps) = (0, 0);
    while done < ITEMS {
        let report = sweeper::handle(&store, now()).await;
        sweeps += 1;
        assert_eq!(report.failed, 0, "{report:?}");
        done += (report.runs_enqueued + report.leases_expired + report.runs_concluded) as usize;
    }
    let took = began.elapsed();
    // What the emulator takes at most on this machine at this moment: two writes and a message, again and again.
    let floor = store::local::floor::raw_creates(&store, FLOOR, SHARDS).await;
    let floor = floor.expect("the emulator answers").as_secs_f64() / FLOOR as f64;
    println!(
        "{ITEMS} overdue items, in {sweeps} sweeps: {:.1} s, {:.0} a second; the emulator alone would take {:.1} s for \
         two PutItem and a SendMessage for each",
        took.as_secs_f64(),
        ITEMS as f64 / took.as_secs_f64(),
        floor * ITEMS as f64
    );
}

async fn make_overdue(store: &Store, number: usize) {
    let at = Timestamp::from_millis(now().as_millis() - AGE_MILLIS);
    let new = NewRun {
        id: fresh_id(RunId::new, at),
        organization_id: fresh_id(OrganizationId::new, at),
        workflow_id: fresh_id(WorkflowId::new, at),
        workflow_version: 1,
        job_run_id: None,
        retry_of_run_id: None,
        created_by_user_id: "figures".to_owned(),
        metadata: BTreeMap::new(),
        secret_bindings: BTreeMap::new(),
        policy: Policy::default(),
        trace_parent: None,
    };
    let run = Run::create(new, at, fresh_commit());
    let created = store.create_run(&run, &Value::Null, None).await;
    created.expect("the run is written");
    let event = match number % 3 {
        0 => return,
        1 => Event::Claimed {
            worker_id: "dead".to_owned(),
            lease: Duration::from_secs(30),
        },
        _ => Event::Canceled,
    };
    let committed = store.transition(run, &event, at).await;
    committed.expect("the run is written");
}
