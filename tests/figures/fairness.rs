//! How long one organization's run waits behind ten thousand of another one's.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use domain::RunId;
use domain::run::{Run, Status};
use localstack::fixture::Fixture;
use localstack::pollers;
use localstack::resources::settings_of;
use platform::configuration::{Environment, Resources, Runner};
use runner::Orders;
use serde_json::{Value, json};
use store::local::stream::StreamReader;
use store::{PageSize, RunFilter, Store, TimeWindow};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::EMPTY;
use crate::in_process::{Organization, Service};
use crate::scripted::Scripted;

/// How many runs the large organization has.
const BACKLOG: usize = 10_000;

/// How many clients create them.
const CLIENTS: usize = 32;

/// How many runs of the small organization are timed, one after the other.
const RUNS: usize = 10;

const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Prints the time from a creation to the run's end, on a runner with two slots and a browser that follows a script: with
/// nothing else to do, and behind the backlog.
pub(crate) async fn report() {
    let fixture = Fixture::start().await.expect("a fixture");
    let service = Service::on(fixture.store.clone());
    let small = service.organization().await;
    let large = service.organization().await;
    let (of_small, of_large) = (
        workflow(&service, &small).await,
        workflow(&service, &large).await,
    );

    let environment: Environment = settings_of(&fixture.outputs).into_iter().collect();
    let resources = Resources::read(&environment).expect("resources");
    let settings = Runner::read(&environment).expect("settings");
    let store = Store::new(&fixture.connection, resources);
    let limit = Resources::default().concurrent_runs() as usize;
    let sessions = Box::new(Scripted::new());
    let orders = Orders::from(CancellationToken::new());
    let mut beside = JoinSet::new();
    let reader = StreamReader::new(&fixture.connection, &fixture.outputs["TableStreamArn"]);
    beside.spawn(pollers::feed_dispatcher(store.clone(), reader));
    beside.spawn(runner::run(
        settings,
        store.clone(),
        sessions,
        orders.clone(),
    ));

    let mut alone = Vec::new();
    for _ in 0..RUNS {
        alone.push(time(&service, &small, &of_small).await);
    }
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (service, large, of_large) = (service.clone(), large.clone(), of_large.clone());
        clients.spawn(async move {
            for _ in 0..BACKLOG / CLIENTS {
                create(&service, &large, &of_large).await;
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.expect("a client ends well");
    }
    let mut behind = Vec::new();
    for _ in 0..RUNS {
        behind.push(time(&service, &small, &of_small).await);
    }
    let pending = RunFilter::Status(Status::Pending);
    let (window, size) = (TimeWindow::default(), PageSize::DEFAULT);
    let backlog = store
        .list_runs(large.id, &pending, window, None, size)
        .await;
    let backlog = backlog.expect("the store answers");
    assert!(
        backlog.next.is_some(),
        "the backlog was worked off before it could be measured"
    );
    println!(
        "a run of one organization, from its creation to its end: {:.0} ms at the median with nothing else to do, {:.0} ms \
         behind {BACKLOG} runs of another one, of which {limit} at most are in the queue or in work; two slots",
        median(&mut alone),
        median(&mut behind)
    );
    orders.stop.cancel();
}

async fn workflow(service: &Service, organization: &Organization) -> Value {
    let body = Some(("application/yaml", EMPTY.to_owned()));
    let answer = service
        .call(
            organization,
            "POST",
            "/workflows",
            body,
            StatusCode::CREATED,
        )
        .await;
    answer["id"].clone()
}

async fn create(service: &Service, organization: &Organization, workflow: &Value) -> RunId {
    let body = json!({ "workflowId": workflow }).to_string();
    let body = Some(("application/json", body));
    let answer = service
        .call(
            organization,
            "POST",
            "/workflow-runs",
            body,
            StatusCode::CREATED,
        )
        .await;
    answer["id"]
        .as_str()
        .and_then(|id| id.parse().ok())
        .expect("an id")
}

/// From asking for a run until it has ended.
async fn time(service: &Service, organization: &Organization, workflow: &Value) -> Duration {
    let began = Instant::now();
    let id = create(service, organization, workflow).await;
    loop {
        let run: Run = service
            .store
            .run(id)
            .await
            .expect("the store answers")
            .expect("the run exists");
        if run.status().is_final() {
            return began.elapsed();
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1000.0
}
