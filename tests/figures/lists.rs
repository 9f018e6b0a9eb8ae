//! What a page of 50 runs costs an organization that has few runs, and one that has many.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use domain::run::{NewRun, Policy, Run};
use domain::{OrganizationId, RunId, WorkflowId};
use serde_json::json;
use store::local::meter::{Usage, metered};
use store::{PageSize, RunFilter, Store, TimeWindow, fresh_commit, fresh_id, now};
use tokio::task::JoinSet;

use crate::in_process::{Organization, Service};
use crate::percentile;

const FEW: usize = 1_000;
const PAGE: u32 = 50;

/// How many pages are timed for each organization, by turns.
const PAGES: usize = 50;

/// How many runs are written at once.
const WRITERS: usize = 16;

/// Fills both organizations, and prints what a page of each costs.
pub(crate) async fn report(many: usize) {
    let service = Service::start().await;
    let small = service.organization().await;
    let large = service.organization().await;
    fill(&service.store, small.id, a_workflow(), FEW, created).await;
    let took = fill(&service.store, large.id, a_workflow(), many, created).await;
    println!("{many} runs were written in {:.0} s", took.as_secs_f64());

    let few_cost = cost_of_a_page(&service.store, small.id).await;
    let many_cost = cost_of_a_page(&service.store, large.id).await;
    println!("a page of {PAGE} runs, with {FEW} runs in the organization: {few_cost:?}");
    println!("a page of {PAGE} runs, with {many} runs in the organization: {many_cost:?}");
    assert_eq!(
        few_cost, many_cost,
        "the cost of a page depends on how many runs there are"
    );

    let mut took = [Vec::new(), Vec::new()];
    for round in 0..=PAGES {
        for (organization, took) in [&small, &large].into_iter().zip(&mut took) {
            let took_now = time_a_page(&service, organization).await;
            if round > 0 {
                took.push(took_now);
            }
        }
    }
    let [mut few_took, mut many_took] = took;
    println!(
        "GET /workflow-runs?limit={PAGE} through the router, p50 of {PAGES}: {:.1} ms and {:.1} ms",
        percentile(&mut few_took, 50),
        percentile(&mut many_took, 50)
    );
}

fn a_workflow() -> WorkflowId {
    fresh_id(WorkflowId::new, now())
}

fn created(new: NewRun) -> Run {
    Run::create(new, now(), fresh_commit())
}

/// Writes so many runs, as they are made, and says how long that took.
pub(crate) async fn fill(
    store: &Store,
    organization_id: OrganizationId,
    workflow_id: WorkflowId,
    runs: usize,
    make: fn(NewRun) -> Run,
) -> Duration {
    let began = Instant::now();
    let next = Arc::new(AtomicUsize::new(0));
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (store, next) = (store.clone(), Arc::clone(&next));
        writers.spawn(async move {
            while next.fetch_add(1, Ordering::Relaxed) < runs {
                let run = make(new_run(organization_id, workflow_id));
                let written = store.create_run(&run, &json!({}), None).await;
                written.expect("the run is written");
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.expect("a writer ends well");
    }
    began.elapsed()
}

fn new_run(organization_id: OrganizationId, workflow_id: WorkflowId) -> NewRun {
    NewRun {
        id: fresh_id(RunId::new, now()),
        organization_id,
        workflow_id,
        workflow_version: 1,
        job_run_id: None,
        retry_of_run_id: None,
        created_by_user_id: "figures".to_owned(),
        metadata: [("customer".to_owned(), "4711".to_owned())].into(),
        secret_bindings: std::collections::BTreeMap::new(),
        policy: Policy::default(),
        trace_parent: None,
    }
}

async fn cost_of_a_page(store: &Store, organization_id: OrganizationId) -> Usage {
    let (store, meter) = metered(store);
    let size = PageSize::new(PAGE).expect("a size of a page");
    let page = store
        .list_runs(
            organization_id,
            &RunFilter::All,
            TimeWindow::default(),
            None,
            size,
        )
        .await
        .expect("the store answers");
    assert_eq!(page.items.len(), PAGE as usize);
    assert!(page.next.is_some());
    meter.usage()
}

async fn time_a_page(service: &Service, organization: &Organization) -> Duration {
    let path = format!("/workflow-runs?limit={PAGE}");
    let began = Instant::now();
    let page = service
        .call(organization, "GET", &path, None, StatusCode::OK)
        .await;
    let took = began.elapsed();
    assert_eq!(page["data"].as_array().map(Vec::len), Some(PAGE as usize));
    took
}
