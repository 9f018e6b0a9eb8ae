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
use store::{JustNow, PageSize, RunFilter, Store, TimeWindow, fresh_commit, now};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::EMPTY;
use crate::in_process::{Organization, Service};
use crate::lists::fill;
use crate::scripted::Scripted;

/// How many runs the large organization has.
const BACKLOG: usize = 10_000;

/// How many runs of the small organization are timed, one after the other.
const RUNS: usize = 30;

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
    // Written as the API writes those that must wait; then the sweeper lets in the first ones, and each end the next.
    let workflow_id = of_large.as_str().and_then(|id| id.parse().ok());
    let workflow_id = workflow_id.expect("an id");
    fill(&store, large.id, workflow_id, BACKLOG, |new| {
        Run::create(new, now(), fresh_commit()).admitted(false, now())
    })
    .await;
    let admitted = store.admit_waiting(large.id, JustNow::Nothing, now()).await;
    assert!(
        matches!(admitted, Ok(count) if count == limit),
        "{admitted:?}"
    );
    let pending = RunFilter::Status(Status::Pending);
    let completed = RunFilter::Status(Status::Completed);
    let (window, size) = (TimeWindow::default(), PageSize::DEFAULT);
    let list = async |filter| {
        let listed = store.list_runs(large.id, filter, window, None, size).await;
        listed.expect("the store answers")
    };
    // The dispatcher hears of what was written before it hears of the first ends.
    while list(&completed).await.items.len() <= limit {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    let mut behind = Vec::new();
    for _ in 0..RUNS {
        behind.push(time(&service, &small, &of_small).await);
    }
    assert!(
        list(&pending).await.next.is_some(),
        "the backlog was worked off before it could be measured"
    );
    orders.stop.cancel();
    beside.shutdown().await;
    let mut looks = Vec::new();
    for _ in 0..RUNS {
        let began = Instant::now();
        store.room(large.id).await.expect("the store answers");
        looks.push(began.elapsed());
    }
    println!(
        "a run of one organization, from its creation to its end: {:.0} ms at the median with nothing else to do, {:.0} ms \
         behind {BACKLOG} runs of another one, of which {limit} at most are in the queue or in work; two slots. The emulator alone takes {:.0} ms by then to look for room once",
        median(&mut alone),
        median(&mut behind),
        median(&mut looks)
    );
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
