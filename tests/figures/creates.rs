//! How many runs a second are created through the router, beside what the emulator could take at most.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use axum::http::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;

use crate::EMPTY;
use crate::in_process::{Organization, Service};

const CREATES: usize = 2_000;

/// How many clients create at once.
const CLIENTS: usize = 32;

/// How often both are measured, by turns; the best of each counts, since the machine can only take away.
const ROUNDS: usize = 3;

/// Prints creates a second through the router and of the emulator alone.
pub(crate) async fn report() {
    let service = Arc::new(Service::start().await);
    let organization = service.organization().await;
    let workflow = service
        .call(
            &organization,
            "POST",
            "/workflows",
            Some(("application/yaml", EMPTY.to_owned())),
            StatusCode::CREATED,
        )
        .await;
    let body =
        json!({ "workflowId": workflow["id"], "metadata": { "customer": "4711" } }).to_string();
    // Connections are made and the first shares of the limits are taken before anything counts.
    creates_a_second(&service, &organization, &body, CLIENTS * 4).await;

    let (mut own, mut floor) = (0_f64, 0_f64);
    for _ in 0..ROUNDS {
        own = own.max(creates_a_second(&service, &organization, &body, CREATES).await);
        let took = store::local::floor::raw_creates(&service.store, CREATES, CLIENTS).await;
        let took = took.expect("the emulator answers").as_secs_f64();
        floor = floor.max(CREATES as f64 / took);
    }
    println!(
        "POST /workflow-runs through the router, {CLIENTS} at once: {own:.0} a second; the emulator alone takes \
         {floor:.0} times two PutItem and a SendMessage a second; ratio {:.2}",
        own / floor
    );
}

async fn creates_a_second(
    service: &Arc<Service>,
    organization: &Organization,
    body: &str,
    creates: usize,
) -> f64 {
    let next = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    let began = Instant::now();
    for _ in 0..CLIENTS {
        let (service, next) = (Arc::clone(service), Arc::clone(&next));
        let (organization, body) = (organization.clone(), body.to_owned());
        clients.spawn(async move {
            while next.fetch_add(1, Ordering::Relaxed) < creates {
                let body = Some(("application/json", body.clone()));
                service
                    .call(
                        &organization,
                        "POST",
                        "/workflow-runs",
                        body,
                        StatusCode::CREATED,
                    )
                    .await;
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.expect("a client ends well");
    }
    creates as f64 / began.elapsed().as_secs_f64()
}
