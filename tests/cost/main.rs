//! What a plain run costs, counted from its calls: three states, one artifact, one webhook. All of it is real but the
//! Lambda service: the router, a runner with Chromium, the dispatcher on the table's stream, the deliverer and a
//! receiver. docs/cost.md has the numbers, and this holds them.

use std::collections::BTreeMap;
use std::time::Duration;

use api::{Api, router};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use axum::routing::post;
use domain::run::{Run, Status};
use domain::{ApiKeyId, OrganizationId, RunId};
use localstack::fixture::Fixture;
use platform::addresses::AllowAddresses;
use platform::configuration::{Environment, Limits, Runner};
use platform::guarded_http::GuardedClient;
use serde_json::{Value, json};
use store::local::meter::{Usage, metered};
use store::local::stream::StreamReader;
use store::{CreatedApiKey, NewApiKey, Queue, Role, Store, fresh_id, now};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// The most that design and page allow.
const MOST_WRITE_UNITS: f64 = 30.0;

/// How long the run may take here.
const PATIENCE: Duration = Duration::from_secs(90);

const PLAIN: &str = r#"
name: Plain run
input:
  type: object
  properties: { baseUrl: { type: string, format: uri } }
  required: [baseUrl]
states:
  - name: opening_the_site
    steps:
      - goto: "{{ input.baseUrl }}/login"
  - name: reading_the_title
    steps:
      - evaluate: { script: "document.title", as: title }
  - name: taking_a_picture
    steps:
      - screenshot: { fileName: login.png }
output: { title: "{{ title }}" }
"#;

/// What one part of the service asked for, without what depends on how long the run takes.
struct Part {
    name: &'static str,
    write_units: f64,
    read_units: f64,
    requests: BTreeMap<&'static str, u64>,
}

impl Part {
    /// What depends on time has a line of its own on the page, and is left out: long polls, looks (each a strongly
    /// consistent read of one run), and small writes.
    fn of(name: &'static str, usage: Usage, looks: &str, writes: u64) -> Self {
        let mut requests = usage.requests;
        let looks = requests.remove(looks).unwrap_or_default();
        requests.remove("ReceiveMessage");
        Self {
            name,
            write_units: usage.write_units - writes as f64,
            read_units: usage.read_units - looks as f64,
            requests,
        }
    }

    fn times(&self, operations: &[&str]) -> u64 {
        operations
            .iter()
            .filter_map(|operation| self.requests.get(operation))
            .sum()
    }

    /// The line of docs/cost.md.
    fn row(&self) -> String {
        format!(
            "| {} | {} | {} | {} | {} | {} |",
            self.name,
            self.write_units,
            self.read_units,
            self.times(&["SendMessage", "DeleteMessage"]),
            self.times(&["PutObject", "GetObject"]),
            self.times(&["Encrypt", "Decrypt"]),
        )
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_run_costs_what_the_page_says_and_at_most_30_write_units() {
    let fixture = Fixture::start().await.expect("a fixture");
    let mut tasks = JoinSet::new();
    let site = serve_site(&mut tasks).await;
    let receiver = serve_receiver(&mut tasks).await;

    let (api_store, api_meter) = metered(&fixture.store);
    let limits = Limits::read(&Environment::default()).expect("defaults");
    let api = router(Api::new(api_store, AllowAddresses::AndLoopback, limits));
    let key = key_of_an_admin(&fixture.store).await;
    let endpoint = json!({ "url": receiver }).to_string();
    call(
        &api,
        &key,
        "/webhook-endpoints",
        "application/json",
        endpoint,
    )
    .await;
    let workflow = call(
        &api,
        &key,
        "/workflows",
        "application/yaml",
        PLAIN.to_owned(),
    )
    .await;
    // The share of the allowance is taken, and the key's use is written down, for many requests at once.
    let body = json!({ "workflowId": workflow["id"], "input": { "baseUrl": site } }).to_string();
    let warm_up = call(
        &api,
        &key,
        "/workflow-runs",
        "application/json",
        body.clone(),
    )
    .await;
    cancel(&fixture.store, &warm_up).await;
    let mut stream = StreamReader::new(&fixture.connection, &fixture.outputs["TableStreamArn"]);
    dispatch(&fixture.store, &mut stream).await;
    take_all(&fixture.store, Queue::Runs).await;
    take_all(&fixture.store, Queue::Deliveries).await;
    api_meter.reset();

    let run = call(&api, &key, "/workflow-runs", "application/json", body).await;
    let usage = api_meter.usage();
    // Shares of allowances, each for many requests.
    let shares = usage.requests.get("UpdateItem").copied();
    let mut parts = vec![Part::of("api", usage, "", shares.unwrap_or_default())];

    let (runner_store, runner_meter) = metered(&fixture.store);
    let ended = execute(runner_store, &fixture.store, id_of(&run)).await;
    assert_eq!(ended.status(), Status::Completed, "{:?}", ended.phase);
    let beats = heartbeats_of(&fixture.store, &ended).await;
    parts.push(Part::of(
        "runner",
        runner_meter.usage(),
        "BatchGetItem",
        beats,
    ));

    let (dispatcher_store, dispatcher_meter) = metered(&fixture.store);
    dispatch(&dispatcher_store, &mut stream).await;
    parts.push(Part::of("dispatcher", dispatcher_meter.usage(), "", 0));

    let (deliverer_store, deliverer_meter) = metered(&fixture.store);
    assert_eq!(deliver(deliverer_store).await, 1, "one webhook");
    parts.push(Part::of("deliverer", deliverer_meter.usage(), "", 0));
    let settled = fixture.store.run(id_of(&run)).await.expect("it answers");
    assert_eq!(
        settled.and_then(|run| run.due_at),
        None,
        "nothing is owed any more"
    );

    let all = total(&parts);
    let rows: Vec<String> = parts.iter().chain([&all]).map(Part::row).collect();
    let page = include_str!("../../docs/cost.md");
    let missing: Vec<&String> = rows
        .iter()
        .filter(|row| !page.contains(row.as_str()))
        .collect();
    let requests: Vec<_> = parts
        .iter()
        .map(|part| (part.name, &part.requests))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/cost.md has to say:\n{}\n{requests:?}",
        rows.join("\n")
    );
    assert!(all.write_units <= MOST_WRITE_UNITS, "{rows:?}");
}

fn total(parts: &[Part]) -> Part {
    let mut requests = BTreeMap::new();
    for (operation, times) in parts.iter().flat_map(|part| &part.requests) {
        *requests.entry(*operation).or_default() += times;
    }
    Part {
        name: "in all",
        write_units: parts.iter().map(|part| part.write_units).sum(),
        read_units: parts.iter().map(|part| part.read_units).sum(),
        requests,
    }
}

async fn serve_site(tasks: &mut JoinSet<()>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tasks.spawn(async move {
        let served = practice_site::serve(listener, std::future::pending()).await;
        served.expect("the site is served");
    });
    url
}

async fn serve_receiver(tasks: &mut JoinSet<()>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    tasks.spawn(async move {
        let router = Router::new().route("/", post(async || StatusCode::NO_CONTENT));
        axum::serve(listener, router)
            .await
            .expect("the receiver is served");
    });
    url
}

async fn key_of_an_admin(store: &Store) -> String {
    let new = NewApiKey {
        id: fresh_id(ApiKeyId::new, now()),
        organization_id: fresh_id(OrganizationId::new, now()),
        name: "cost".to_owned(),
        role: Role::Admin,
        user_id: "cost".to_owned(),
        created_at: now(),
    };
    let created = store.create_api_key(&new, None).await;
    let CreatedApiKey::Created(text) = created.expect("the store answers") else {
        panic!("no key was made");
    };
    text.key
}

async fn call(api: &Router, key: &str, path: &str, content_type: &str, body: String) -> Value {
    let request = Request::post(path)
        .header("authorization", format!("Bearer {key}"))
        .header("content-type", content_type)
        .body(Body::from(body))
        .expect("a request");
    let answer = api.clone().oneshot(request).await;
    let answer = answer.expect("the router always answers");
    let status = answer.status();
    let bytes = to_bytes(answer.into_body(), usize::MAX).await;
    let bytes = bytes.expect("the answer is whole");
    assert_eq!(
        status,
        StatusCode::CREATED,
        "{}",
        String::from_utf8_lossy(&bytes)
    );
    serde_json::from_slice(&bytes).expect("the answer is JSON")
}

fn id_of(run: &Value) -> RunId {
    serde_json::from_value(run["id"].clone()).expect("an id")
}

async fn cancel(store: &Store, run: &Value) {
    let run = store.run(id_of(run)).await.expect("the store answers");
    let run = run.expect("the run exists");
    let canceled = store
        .transition(run, &domain::run::Event::Canceled, now())
        .await;
    canceled.expect("the store answers");
}

/// Takes every message from a queue.
async fn take_all(store: &Store, queue: Queue) -> Vec<String> {
    let mut bodies = Vec::new();
    loop {
        let messages = store.receive(queue, 10, Duration::ZERO).await;
        let messages = messages.expect("the queue answers");
        if messages.is_empty() {
            return bodies;
        }
        for message in messages {
            let deleted = store.delete_message(queue, &message).await;
            deleted.expect("the queue answers");
            bodies.push(message.body);
        }
    }
}

/// Lets a runner with a real browser execute the run, and gives the run as it is then.
async fn execute(runner_store: Store, store: &Store, id: RunId) -> Run {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let chromium = browser::find_or_install(&mut |_| {}).await;
    let chromium = chromium.expect("a browser").to_string_lossy().into_owned();
    let scratch_dir = scratch.path().to_string_lossy().into_owned();
    let settings = Runner::read(&Environment::from_iter([
        ("LEGWORK_CHROMIUM", chromium.as_str()),
        ("LEGWORK_SCRATCH_DIR", scratch_dir.as_str()),
    ]))
    .expect("settings");
    let sessions = runner::chromium(&settings, AllowAddresses::AndLoopback).expect("a browser");
    let stop = CancellationToken::new();
    // Boxed: without optimization, a runner inside of all the rest is too much for a test's stack.
    let running = Box::pin(runner::run(settings, runner_store, sessions, stop.clone()));
    let ended = async {
        loop {
            let run = store.run(id).await.expect("the store answers");
            let run = run.expect("the run exists");
            if run.status().is_final() {
                stop.cancel();
                return run;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let both = async { tokio::join!(running, ended).1 };
    tokio::time::timeout(PATIENCE, both)
        .await
        .expect("the run ends")
}

/// How often a run's lease was renewed; mostly never, because the run is short.
async fn heartbeats_of(store: &Store, run: &Run) -> u64 {
    let settings = Runner::read(&Environment::default()).expect("defaults");
    let Some(lease) = store.lease(run.id).await.expect("the store answers") else {
        return 0;
    };
    let claimed_at = run.started_at.expect("it was claimed");
    let renewed_after = lease.expires_at.since(claimed_at) - settings.lease;
    // The first beat is due some time after the runner asked for the run, which is a moment before the claim.
    let beats = renewed_after.as_secs_f64() / settings.heartbeat.as_secs_f64();
    beats.round() as u64
}

/// Hands what is new in the stream to the dispatcher, as the event source mapping does.
async fn dispatch(store: &Store, stream: &mut StreamReader) {
    stream.find_shards().await.expect("the stream has shards");
    loop {
        let batches = stream.read().await.expect("the stream can be read");
        if batches.is_empty() {
            return;
        }
        for batch in batches {
            let answer = dispatcher::handle(store, batch.event).await;
            assert_eq!(answer.batch_item_failures, []);
        }
    }
}

/// Makes the deliveries whose messages are in the queue, and says how many they were.
async fn deliver(store: Store) -> usize {
    let bodies = take_all(&store, Queue::Deliveries).await;
    let records: Vec<Value> = bodies
        .iter()
        .map(|body| json!({ "messageId": "1", "body": body }))
        .collect();
    let event = serde_json::from_value(json!({ "Records": records })).expect("an event");
    let client = GuardedClient::new(AllowAddresses::AndLoopback, deliverer::EXCHANGE_TIMEOUT);
    let context = deliverer::Context {
        store,
        client: client.expect("a client"),
    };
    let answer = deliverer::handle(&context, event).await;
    assert_eq!(answer.batch_item_failures, []);
    bodies.len()
}
