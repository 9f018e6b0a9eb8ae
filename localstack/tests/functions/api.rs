//! The API, asked as API Gateway asks it, over the emulator.

use api::{Api, router};
use axum::body::{Body, Bytes, to_bytes};
use axum::http::response::Parts;
use axum::http::{HeaderMap, Request, Response};
use domain::OrganizationId;
use domain::run::{Event, InputField, InputRequest};
use domain::{InputRequestId, RunId, Timestamp};
use localstack::default_keys;
use localstack::fixture::Fixture;
use platform::addresses::AllowAddresses;
use platform::configuration::{Environment, Limits, Resources};
use serde_json::{Value, json};
use store::local::early_reads::reading_early;
use store::local::meter::metered;
use store::{Queue, Role, Store, Transition, fresh_id, now};
use tower::ServiceExt;

use crate::api_resources::id_of;

const WORKFLOW: &str = "
name: Asks
input:
  type: object
  properties: { month: { type: string, pattern: '^[0-9]{4}-[0-9]{2}$' } }
  required: [month]
  additionalProperties: false
states:
  - name: asking
    steps:
      - askUser: { prompt: Code, as: code }
";

/// What no test reaches.
pub(crate) const NO_LIMITS: Limits = Limits {
    requests_per_second: 100_000,
    runs_per_second: 100_000,
};

fn router_on(store: Store) -> axum::Router {
    router(Api::new(store, AllowAddresses::PublicOnly, NO_LIMITS))
}

/// A client of the API, and what only a test may see of it.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) router: axum::Router,
    pub(crate) store: Store,
    pub(crate) organization_id: OrganizationId,
    pub(crate) key: String,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Caller {
    pub(crate) async fn start() -> Self {
        let fixture = Fixture::start().await.expect("a fixture");
        Self::on(fixture.store).await
    }

    async fn on(store: Store) -> Self {
        let organization_id = fresh_id(OrganizationId::new, now());
        let key = default_keys::renew(&store, organization_id, "user", Role::Admin)
            .await
            .expect("a key");
        Self {
            router: router_on(store.clone()),
            store,
            organization_id,
            key,
        }
    }

    /// The same caller, of an API that has this store.
    pub(crate) fn asking(&self, store: Store) -> Self {
        Self {
            router: router_on(store),
            ..self.clone()
        }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", "application/json")
    }

    /// A caller of another organization, with its own admin key.
    pub(crate) async fn another(&self) -> Self {
        Self {
            router: self.router.clone(),
            ..Self::on(self.store.clone()).await
        }
    }

    /// The headers and the text of an answer.
    pub(crate) async fn send_for_text(&self, request: Request<Body>) -> (HeaderMap, String) {
        let (parts, bytes) = self.exchange(request).await;
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        (parts.headers, text)
    }

    async fn exchange(&self, request: Request<Body>) -> (Parts, Bytes) {
        let answer: Response<Body> = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("the router answers");
        let (parts, body) = answer.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.expect("a body");
        (parts, bytes)
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, bytes) = self.exchange(request).await;
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).expect("JSON")
        };
        let is_problem = parts.status.is_client_error() || parts.status.is_server_error();
        if is_problem {
            assert_eq!(parts.headers["content-type"], "application/problem+json");
            assert_eq!(body["status"], parts.status.as_u16());
        }
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        }
    }

    /// Sends a request with another media type.
    pub(crate) async fn send_as(&self, media_type: &str, mut request: Request<Body>) -> Answer {
        let value = media_type.parse().expect("a value");
        request.headers_mut().insert("content-type", value);
        self.send(request).await
    }

    pub(crate) async fn put(&self, path: &str, if_match: Option<&str>, body: &Value) -> Answer {
        let mut request = self.request("PUT", path);
        if let Some(tag) = if_match {
            request = request.header("if-match", tag);
        }
        let request = request.body(Body::from(body.to_string()));
        self.send(request.expect("a request")).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        let request = self.request("DELETE", path).body(Body::empty());
        self.send(request.expect("a request")).await
    }

    pub(crate) async fn keyed_at(&self, path: &str, key: &str, body: &Value) -> Answer {
        let request = self.request("POST", path).header("idempotency-key", key);
        let request = request.body(Body::from(body.to_string()));
        self.send(request.expect("a request")).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(
            self.request("POST", path)
                .body(Body::from(body.to_string()))
                .expect("a request"),
        )
        .await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(
            self.request("GET", path)
                .body(Body::empty())
                .expect("a request"),
        )
        .await
    }

    pub(crate) async fn workflow(&self) -> String {
        let request = self
            .request("POST", "/workflows")
            .body(Body::from(WORKFLOW));
        let answer = self
            .send_as("application/yaml", request.expect("a request"))
            .await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body["id"].as_str().expect("an id").to_owned()
    }

    pub(crate) async fn run(&self, workflow: &str) -> Answer {
        self.post(
            "/workflow-runs",
            &json!({ "workflowId": workflow, "input": { "month": "2026-11" } }),
        )
        .await
    }

    async fn keyed(&self, key: &str, body: &Value) -> Answer {
        self.keyed_at("/workflow-runs", key, body).await
    }

    /// Does to a run what a worker would do, up to its question.
    async fn ask(&self, id: &str) -> InputRequest {
        self.ask_until(id, now().plus(std::time::Duration::from_secs(60)))
            .await
    }

    /// The same, with a question that can be answered until a time.
    async fn ask_until(&self, id: &str, expires_at: Timestamp) -> InputRequest {
        let id: RunId = id.parse().expect("an id");
        let mut run = self
            .store
            .run(id)
            .await
            .expect("the store answers")
            .expect("the run is there");
        let attempt = run.attempt + 1;
        let request = InputRequest {
            id: fresh_id(InputRequestId::new, now()),
            prompt: "Code".to_owned(),
            message: None,
            screenshot_artifact_id: None,
            fields: vec![InputField {
                name: "code".to_owned(),
                kind: "code".to_owned(),
                label: "Code".to_owned(),
                options: Vec::new(),
            }],
            expires_at,
            tries_left: 1,
        };
        let lease = std::time::Duration::from_secs(30);
        for event in [
            Event::Claimed {
                worker_id: "test".to_owned(),
                lease,
            },
            Event::EnteredState {
                attempt,
                name: "asking".to_owned(),
                skipped: Vec::new(),
            },
            Event::AskedUser {
                attempt,
                request: request.clone(),
            },
        ] {
            // One that waits to be executed again is claimed when it may be.
            let at = now().plus(run.waits_for_retry(now()));
            run = match self
                .store
                .transition(run, &event, at)
                .await
                .expect("the store answers")
            {
                Transition::Committed(run) => *run,
                Transition::Rejected { why, .. } => panic!("{why}"),
            };
        }
        request
    }
}

#[tokio::test]
async fn a_run_is_created_with_its_location_and_read_back_whole() {
    let caller = Caller::start().await;
    let workflow = caller.workflow().await;
    let created = caller.run(&workflow).await;
    assert_eq!(created.status, 201);
    let id = created.body["id"].as_str().expect("an id");
    assert_eq!(created.headers["location"], format!("/workflow-runs/{id}"));
    let read = caller.get(&format!("/workflow-runs/{id}")).await;
    assert_eq!(read.body, created.body);
    assert_eq!(read.body["status"], "PENDING");
    assert_eq!(read.body["input"], json!({ "month": "2026-11" }));
    assert_eq!(read.body["createdByUserId"], "user");
    assert_eq!(read.body["output"], Value::Null);
    assert!(
        read.body
            .as_object()
            .expect("an object")
            .contains_key("failure"),
        "null, not absent"
    );
    let messages = caller
        .store
        .receive(Queue::Runs, 1, std::time::Duration::from_secs(5))
        .await
        .expect("a queue");
    assert!(messages[0].body.contains(id));
}

#[tokio::test]
async fn an_input_that_is_too_large_for_the_table_is_kept_in_the_bucket() {
    let caller = Caller::start().await;
    let definition = json!({ "definition": { "name": "Any", "states": [{ "name": "a", "steps": [{ "waitFor": { "time": "1s" } }] }] } });
    let workflow = caller.post("/workflows", &definition).await.body["id"].clone();
    let input = json!({ "text": "x".repeat(500_000) });
    let created = caller
        .post(
            "/workflow-runs",
            &json!({ "workflowId": workflow, "input": input }),
        )
        .await;
    assert_eq!(created.status, 201);
    let id = created.body["id"].as_str().expect("an id").to_owned();
    assert_eq!(
        caller.get(&format!("/workflow-runs/{id}")).await.body["input"],
        input
    );
    let read = caller
        .store
        .run_input(id.parse().expect("an id"))
        .await
        .expect("the store answers");
    assert_eq!(read, Some(input), "and its worker reads it");
}

#[tokio::test]
async fn a_large_input_that_is_gone_is_null_to_readers_and_nothing_is_run_again_without_it() {
    let caller = Caller::start().await;
    let definition = json!({ "definition": { "name": "Any", "states": [{ "name": "a", "steps": [{ "waitFor": { "time": "1s" } }] }] } });
    let workflow = caller.post("/workflows", &definition).await.body["id"].clone();
    let input = json!({ "text": "x".repeat(110 * 1024) });
    let asked = json!({ "workflowId": workflow, "input": input });
    let id = id_of(&caller.post("/workflow-runs", &asked).await);
    let run = format!("/workflow-runs/{id}");
    let object_key =
        store::local::attribute(&caller.store, &format!("RUN#{id}"), "INPUT", "objectKey").await;
    let object_key = object_key.expect("the store answers");
    let object_key = object_key.expect("it is in the bucket");
    store::local::delete_object(&caller.store, &object_key)
        .await
        .expect("the object is deleted");

    let read = caller.get(&run).await;
    assert_eq!((read.status, &read.body["input"]), (200, &Value::Null));
    let canceled = caller.post(&format!("{run}/cancel"), &Value::Null).await;
    assert_eq!(
        (canceled.status, &canceled.body["status"]),
        (200, &json!("FAILED"))
    );
    let retried = caller.post(&format!("{run}/retry"), &Value::Null).await;
    assert_eq!(
        (retried.status, &retried.body["code"]),
        (409, &json!("run_input_gone"))
    );
    // Its worker takes it for one whose input was never there.
    let read = caller.store.run_input(id.parse().expect("an id")).await;
    assert_eq!(read.expect("the store answers"), None);
}

#[tokio::test]
async fn a_client_that_polls_is_told_when_to_ask_again_and_gets_304_while_nothing_changes() {
    let caller = Caller::start().await;
    let workflow = caller.workflow().await;
    let id = caller.run(&workflow).await.body["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let read = caller.get(&format!("/workflow-runs/{id}")).await;
    assert_eq!(read.headers["retry-after"], "2");
    let tag = read.headers["etag"].clone();
    let ask = |tag: axum::http::HeaderValue| {
        caller
            .request("GET", &format!("/workflow-runs/{id}"))
            .header("if-none-match", tag)
            .body(Body::empty())
    };
    let unchanged = caller.send(ask(tag.clone()).expect("a request")).await;
    assert_eq!((unchanged.status, unchanged.body), (304, Value::Null));
    caller.ask(&id).await;
    assert_eq!(caller.send(ask(tag).expect("a request")).await.status, 200);
}

#[tokio::test]
async fn the_same_idempotency_key_makes_one_run_also_at_the_same_moment_and_another_body_is_refused()
 {
    let caller = Caller::start().await;
    let workflow = caller.workflow().await;
    let body = json!({ "workflowId": workflow, "input": { "month": "2026-11" } });
    let together = tokio::join!(
        caller.keyed("k", &body),
        caller.keyed("k", &body),
        caller.keyed("k", &body),
        caller.keyed("k", &body)
    );
    let answers = [together.0, together.1, together.2, together.3];
    let again = caller.keyed("k", &body).await;
    assert_eq!(again.status, 201);
    for answer in &answers {
        assert_eq!(
            (answer.status, &answer.body["id"]),
            (201, &again.body["id"])
        );
    }
    let other = caller
        .keyed(
            "k",
            &json!({ "workflowId": workflow, "input": { "month": "2026-12" } }),
        )
        .await;
    assert_eq!(
        (other.status, &other.body["code"]),
        (422, &json!("idempotency_key_reused"))
    );
    assert_ne!(
        caller.keyed("other", &body).await.body["id"],
        again.body["id"]
    );
}

#[tokio::test]
async fn a_repetition_that_is_too_early_to_see_its_run_is_told_to_come_again() {
    let caller = Caller::start().await;
    let workflow = caller.workflow().await;
    let body = json!({ "workflowId": workflow, "input": { "month": "2026-11" } });
    let created = caller.keyed("k", &body).await;
    let early = caller.asking(reading_early(&caller.store, "RUN"));
    let answer = early.keyed("k", &body).await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (503, &json!("unavailable"))
    );
    assert_eq!(answer.headers["retry-after"], "1");
    let answer = early.keyed("k", &body).await;
    assert_eq!(
        (answer.status, &answer.body["id"]),
        (201, &created.body["id"])
    );
}

#[tokio::test]
async fn a_version_that_can_be_read_a_moment_later_than_its_workflow_is_not_denied() {
    let caller = Caller::start().await;
    let workflow = caller.workflow().await;
    let path = format!("/workflows/{workflow}");
    let too_early = || caller.asking(reading_early(&caller.store, "DEFINITION#000001"));
    for early in [
        too_early().get(&path).await,
        too_early().get(&format!("{path}/versions/1")).await,
        too_early().run(&workflow).await,
    ] {
        assert_eq!(
            (early.status, &early.body["code"]),
            (503, &json!("unavailable"))
        );
    }
    // One that there is not is denied.
    let absent = caller.get(&format!("{path}/versions/2")).await;
    assert_eq!(absent.status, 404);
}

#[tokio::test]
async fn a_run_whose_message_cannot_be_sent_is_created_all_the_same() {
    let fixture = Fixture::start().await.expect("a fixture");
    let sends = Caller::on(fixture.store).await;
    let workflow = sends.workflow().await;
    // The same table, and a queue that does not exist.
    let resources: Environment = [
        ("LEGWORK_TABLE", fixture.outputs["TableName"].as_str()),
        (
            "LEGWORK_RUN_QUEUE_URL",
            "http://127.0.0.1:9/000000000000/none",
        ),
    ]
    .into_iter()
    .collect();
    let store = Store::new(
        &fixture.connection,
        Resources::read(&resources).expect("resources"),
    );
    let router = router(Api::new(store, AllowAddresses::PublicOnly, NO_LIMITS));
    let caller = Caller { router, ..sends };
    let created = caller.run(&workflow).await;
    assert_eq!(created.status, 201);
    let id: RunId = created.body["id"]
        .as_str()
        .expect("an id")
        .parse()
        .expect("an id");
    let run = caller
        .store
        .run(id)
        .await
        .expect("the store answers")
        .expect("the run is there");
    assert!(run.due_at.is_some(), "the sweeper finds it");
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_with_its_place() {
    let caller = Caller::start().await;
    let workflow = caller.workflow().await;
    let bad = json!({ "workflowId": workflow, "input": { "month": "November", "year": 1 } });
    let answer = caller.post("/workflow-runs", &bad).await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (422, &json!("validation_failed"))
    );
    let pointers: Vec<&str> = answer.body["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .filter_map(|error| error["pointer"].as_str())
        .collect();
    assert!(pointers.contains(&"/input/month"), "{pointers:?}");

    let unknown = caller
        .post(
            "/workflow-runs",
            &json!({ "workflowId": workflow, "inputs": {} }),
        )
        .await;
    assert_eq!(unknown.status, 422);
    assert!(
        unknown.body["detail"]
            .as_str()
            .expect("a detail")
            .contains("inputs"),
        "{}",
        unknown.body
    );

    let raw = |body: &'static str, content_type: &'static str| {
        let request = Request::builder()
            .method("POST")
            .uri("/workflow-runs")
            .header("authorization", format!("Bearer {}", caller.key))
            .header("content-type", content_type);
        request.body(Body::from(body)).expect("a request")
    };
    let broken = caller
        .send(raw("{\n  \"workflowId\": ,", "application/json"))
        .await;
    assert_eq!(
        (broken.status, &broken.body["code"]),
        (400, &json!("invalid_json"))
    );
    assert!(
        broken.body["detail"]
            .as_str()
            .expect("a detail")
            .contains("line 2"),
        "{}",
        broken.body
    );
    assert_eq!(caller.send(raw("{}", "text/plain")).await.status, 415);
    for no_object in ["[]", "null", "\"text\"", " 1"] {
        let answer = caller.send(raw(no_object, "application/json")).await;
        assert_eq!(
            (answer.status, &answer.body["detail"]),
            (422, &json!("the body must be a JSON object"))
        );
    }
    let long = Body::from(vec![b' '; api::BODY_BYTES + 1]);
    assert_eq!(
        caller
            .send(
                caller
                    .request("POST", "/workflow-runs")
                    .body(long)
                    .expect("a request")
            )
            .await
            .status,
        413
    );
    assert_eq!(
        caller
            .send(
                caller
                    .request("DELETE", "/health")
                    .body(Body::empty())
                    .expect("a request")
            )
            .await
            .status,
        405
    );
    assert_eq!(caller.get("/nothing").await.status, 404);
    assert_eq!(caller.get("/workflow-runs/1").await.status, 404);
    assert_eq!(caller.get("/workflow-runs/%ff").await.status, 400);

    let definition = json!({ "definition": { "name": "x", "states": [{ "name": "a", "steps": [{ "clik": "b" }] }] } });
    let answer = caller.post("/workflows", &definition).await;
    assert_eq!(answer.status, 422);
    let error = &answer.body["errors"][0];
    assert!(
        error["pointer"]
            .as_str()
            .expect("a pointer")
            .starts_with("/definition/states/0/steps/0"),
        "{error}"
    );
    assert_eq!(error["suggestion"], "click");
}

#[tokio::test]
async fn without_a_known_key_nothing_is_said() {
    let caller = Caller::start().await;
    for header in [
        None,
        Some("Bearer wrong"),
        Some("Basic abc"),
        Some("Bearer"),
    ] {
        let mut request = Request::builder().uri("/workflow-runs/x");
        if let Some(header) = header {
            request = request.header("authorization", header);
        }
        let answer = caller
            .send(request.body(Body::empty()).expect("a request"))
            .await;
        assert_eq!(answer.status, 401, "{header:?}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
}

#[tokio::test]
async fn an_answer_is_taken_once_for_the_question_that_is_open_and_only_whole() {
    let caller = Caller::start().await;
    let workflow = caller.workflow().await;
    let id = caller.run(&workflow).await.body["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let path = format!("/workflow-runs/{id}/user-input");
    let none = json!({ "inputRequestId": id, "values": { "code": "123456" } });
    assert_eq!(
        caller.post(&path, &none).await.body["code"],
        "input_not_awaited"
    );

    let request = caller.ask(&id).await;
    assert_eq!(
        caller.post(&path, &none).await.status,
        409,
        "another question's answer"
    );
    for wrong in [
        json!({}),
        json!({ "code": " " }),
        json!({ "code": "1", "pin": "2" }),
        // As JSON, these are six bytes each, and KMS takes 4,096 in all.
        json!({ "code": "\u{1}".repeat(700) }),
    ] {
        let body = json!({ "inputRequestId": request.id, "values": wrong });
        assert_eq!(caller.post(&path, &body).await.status, 422);
    }
    let body = json!({ "inputRequestId": request.id, "values": { "code": "canary-424242" } });
    let answered = caller.post(&path, &body).await;
    assert_eq!(
        (answered.status, &answered.body["status"]),
        (200, &json!("IN_PROGRESS"))
    );
    assert!(
        !answered.body.to_string().contains("canary"),
        "an answer is a secret"
    );
    assert_eq!(
        caller.post(&path, &body).await.status,
        409,
        "it is taken once"
    );

    let run = caller
        .store
        .run(id.parse().expect("an id"))
        .await
        .expect("the store answers")
        .expect("the run");
    let taken = caller
        .store
        .take_answer(&run, request.id)
        .await
        .expect("the store answers")
        .expect("an answer");
    assert_eq!(taken["code"], "canary-424242");
    assert_eq!(
        caller
            .store
            .take_answer(&run, request.id)
            .await
            .expect("the store answers"),
        None,
        "and used once"
    );
}

#[tokio::test]
async fn of_two_answers_at_the_same_moment_one_is_taken() {
    let caller = Caller::start().await;
    let workflow = caller.workflow().await;
    let id = id_of(&caller.run(&workflow).await);
    let request = caller.ask(&id).await;
    let path = format!("/workflow-runs/{id}/user-input");
    let body = |code: &str| json!({ "inputRequestId": request.id, "values": { "code": code } });
    let (one, other) = (body("111111"), body("222222"));
    let (first, second) = tokio::join!(caller.post(&path, &one), caller.post(&path, &other));
    let taken = match (first.status, second.status) {
        (200, 409) => "111111",
        (409, 200) => "222222",
        both => panic!("{both:?}"),
    };
    let run = caller.store.run(id.parse().expect("an id")).await;
    let run = run.expect("the store answers").expect("the run");
    let answer = caller.store.take_answer(&run, request.id).await;
    let answer = answer.expect("the store answers").expect("an answer");
    assert_eq!(
        answer["code"], taken,
        "the one that was refused left nothing"
    );
}

#[tokio::test]
async fn an_answer_that_comes_too_late_or_was_meant_for_an_earlier_attempt_is_a_conflict() {
    let caller = Caller::start().await;
    let workflow = caller.workflow().await;
    let answer = async |id: &str, request: InputRequestId| {
        let body = json!({ "inputRequestId": request, "values": { "code": "123456" } });
        let path = format!("/workflow-runs/{id}/user-input");
        let answer = caller.post(&path, &body).await;
        (
            answer.status,
            answer.body["code"].as_str().map(str::to_owned),
        )
    };
    let not_awaited = (409, Some("input_not_awaited".to_owned()));

    let late = id_of(&caller.run(&workflow).await);
    let request = caller.ask_until(&late, now()).await;
    assert_eq!(answer(&late, request.id).await, not_awaited);

    // A worker asks, and gives the run back; the next one asks again.
    let definition = json!({ "definition": {
        "name": "Asks again",
        "retry": { "maxAttempts": 2 },
        "states": [{ "name": "asking", "steps": [{ "askUser": { "prompt": "Code", "as": "code" } }] }],
    } });
    let workflow_of_two = id_of(&caller.post("/workflows", &definition).await);
    let body = json!({ "workflowId": workflow_of_two });
    let again = id_of(&caller.post("/workflow-runs", &body).await);
    let first = caller.ask(&again).await;
    let run = caller.store.run(again.parse().expect("an id")).await;
    let run = run.expect("the store answers").expect("the run");
    let given_back = Event::GaveBack { attempt: 1 };
    caller
        .store
        .transition(run, &given_back, now())
        .await
        .expect("the store answers");
    let second = caller.ask(&again).await;
    assert_eq!(answer(&again, first.id).await, not_awaited);
    assert_eq!(answer(&again, second.id).await, (200, None));

    let canceled = id_of(&caller.run(&workflow).await);
    let request = caller.ask(&canceled).await;
    caller
        .post(&format!("/workflow-runs/{canceled}/cancel"), &json!({}))
        .await;
    let ended = (409, Some("run_ended".to_owned()));
    assert_eq!(answer(&canceled, request.id).await, ended);
}

#[tokio::test]
async fn what_is_shown_once_is_not_lost_by_a_read_after_its_write() {
    let caller = Caller::start().await;
    let (store, meter) = metered(&caller.store);
    let caller = caller.asking(store);
    let endpoint = json!({ "url": "https://example.com/hook", "description": "ours" });
    let api_key = json!({ "name": "nightly", "role": "operator", "userId": "bot" });
    for (path, body, shown_once) in [
        ("/webhook-endpoints", endpoint, "secret"),
        ("/api-keys", api_key, "key"),
    ] {
        meter.reset();
        let mut made = caller.keyed_at(path, "k", &body).await;
        assert_eq!(made.status, 201, "{}", made.body);
        // Who asks.
        assert_eq!(meter.usage().requests["GetItem"], 1, "{path}");
        // It is what a repetition reads, but for that.
        assert!(made.body[shown_once].take().is_string());
        let again = caller.keyed_at(path, "k", &body).await;
        assert_eq!((again.status, again.body), (201, made.body));
    }
}

#[tokio::test]
async fn a_webhook_endpoint_shows_its_secret_once_and_must_be_reachable_from_outside() {
    let caller = Caller::start().await;
    let body = json!({ "url": "https://example.com/hook" });
    let request = |body: &Value| {
        let request = caller
            .request("POST", "/webhook-endpoints")
            .header("idempotency-key", "k");
        request
            .body(Body::from(body.to_string()))
            .expect("a request")
    };
    let first = caller.send(request(&body)).await;
    assert_eq!(first.status, 201);
    assert!(
        first.body["secret"]
            .as_str()
            .expect("a secret")
            .starts_with("whsec_")
    );
    assert_eq!(
        first.body["eventTypes"].as_array().expect("types").len(),
        4,
        "by default what ends or awaits"
    );
    let replayed = caller.send(request(&body)).await;
    assert_eq!(
        (replayed.status, &replayed.body["secret"]),
        (201, &Value::Null)
    );
    assert_eq!(replayed.body["id"], first.body["id"]);

    for url in [
        "http://example.com/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/",
        "https://user:password@example.com/",
        "ftp://x/",
        "x",
    ] {
        let answer = caller
            .post("/webhook-endpoints", &json!({ "url": url }))
            .await;
        assert_eq!(
            (answer.status, &answer.body["errors"][0]["pointer"]),
            (422, &json!("/url")),
            "{url}"
        );
    }
}

#[tokio::test]
async fn an_organization_has_at_most_twenty_webhook_endpoints_also_when_they_are_made_at_once() {
    let caller = Caller::start().await;
    let body = json!({ "url": "https://example.com/hook" });
    let path = "/webhook-endpoints";
    let first = caller.keyed_at(path, "first", &body).await;
    assert_eq!(first.status, 201);
    let at_once = (0..24).map(async |_| caller.post(path, &body).await);
    let answers = futures::future::join_all(at_once).await;
    let mut made = 1;
    for answer in answers {
        match answer.status {
            201 => made += 1,
            status => assert_eq!(
                (status, &answer.body["code"]),
                (409, &json!("too_many_webhook_endpoints"))
            ),
        }
    }
    assert_eq!(made, 20);
    let listed = caller.store.each_webhook_endpoint(caller.organization_id);
    let mut listed = listed.await.expect("the store answers");
    assert_eq!(listed.len(), 20);
    // One whose server says that it is gone makes room for one, however often it says so.
    let gone = listed.remove(0).expect("it can be read");
    for _ in 0..2 {
        let disabled = caller.store.disable_webhook_endpoint(&gone).await;
        disabled.expect("the store answers");
    }
    assert_eq!(caller.post(path, &body).await.status, 201);
    assert_eq!(caller.post(path, &body).await.status, 409);
    // What was made before is found again, and another organization has its own.
    let again = caller.keyed_at(path, "first", &body).await;
    assert_eq!((again.status, &again.body["id"]), (201, &first.body["id"]));
    assert_eq!(caller.another().await.post(path, &body).await.status, 201);
}

#[tokio::test]
async fn a_secret_is_set_and_opened_only_by_a_worker_of_its_organization() {
    let caller = Caller::start().await;
    let body = Body::from(json!({ "value": "hunter2-canary" }).to_string());
    let set = caller
        .send(
            caller
                .request("PUT", "/secrets/hr_user")
                .body(body)
                .expect("a request"),
        )
        .await;
    assert_eq!((set.status, set.body), (204, Value::Null));
    let names = ["hr_user".to_owned()];
    let opened = caller
        .store
        .open_secrets(caller.organization_id, &names)
        .await
        .expect("the store answers");
    assert_eq!(opened["hr_user"], "hunter2-canary");
    let other = fresh_id(OrganizationId::new, now());
    assert!(
        caller
            .store
            .open_secrets(other, &names)
            .await
            .expect("the store answers")
            .is_empty()
    );
}

#[tokio::test]
async fn a_cancelled_run_has_failed_in_the_answer_itself_and_an_ended_one_is_refused() {
    let caller = Caller::start().await;
    let workflow = caller.workflow().await;
    let id = caller.run(&workflow).await.body["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    caller.ask(&id).await;
    let path = format!("/workflow-runs/{id}/cancel");
    let cancelled = caller.post(&path, &Value::Null).await;
    assert_eq!(
        (cancelled.status, &cancelled.body["status"]),
        (200, &json!("FAILED"))
    );
    assert_eq!(cancelled.body["failure"]["code"], "CANCELED");
    assert_eq!(cancelled.body["failure"]["state"], "asking");
    let again = caller.post(&path, &Value::Null).await;
    assert_eq!(
        (again.status, &again.body["code"]),
        (409, &json!("run_ended"))
    );
    assert!(
        again.body["detail"]
            .as_str()
            .expect("a detail")
            .contains("FAILED")
    );
}

#[tokio::test]
async fn a_retry_is_a_new_run_of_the_same_version_and_input_and_only_of_an_ended_run() {
    let caller = Caller::start().await;
    let workflow = caller.workflow().await;
    let first = caller.run(&workflow).await.body;
    let id = first["id"].as_str().expect("an id").to_owned();
    let path = format!("/workflow-runs/{id}/retry");
    let early = caller.post(&path, &Value::Null).await;
    assert_eq!(
        (early.status, &early.body["code"]),
        (409, &json!("run_not_ended"))
    );

    caller
        .post(&format!("/workflow-runs/{id}/cancel"), &Value::Null)
        .await;
    let retried = caller.post(&path, &Value::Null).await;
    assert_eq!(retried.status, 201);
    assert_ne!(retried.body["id"], first["id"]);
    assert_eq!(retried.body["retryOfRunId"], first["id"]);
    assert_eq!(retried.body["status"], "PENDING");
    for same in ["workflowId", "workflowVersion", "input", "metadata"] {
        assert_eq!(retried.body[same], first[same]);
    }
}

#[tokio::test]
async fn a_run_has_the_defaults_of_its_input_and_so_does_its_retry() {
    let caller = Caller::start().await;
    let definition = json!({
        "name": "Pages",
        "input": { "properties": {
            "month": { "type": "string", "default": "2026-05" },
            "page": { "properties": { "size": { "type": "integer", "default": 20 } } },
        } },
        "states": [{ "name": "a", "steps": [{ "back": null }] }],
    });
    let workflow = caller
        .post("/workflows", &json!({ "definition": definition }))
        .await;
    let asked = json!({ "workflowId": workflow.body["id"], "input": { "page": {} } });
    let effective = json!({ "month": "2026-05", "page": { "size": 20 } });
    let run = caller.keyed("one", &asked).await;
    assert_eq!((run.status, &run.body["input"]), (201, &effective));
    // The key stands for what was sent, not for what was made of it.
    let again = caller.keyed("one", &asked).await;
    assert_eq!((again.status, &again.body), (201, &run.body));
    let whole = json!({ "workflowId": workflow.body["id"], "input": effective });
    assert_eq!(caller.keyed("one", &whole).await.status, 422);

    let id = run.body["id"].as_str().expect("an id");
    let canceled = caller
        .post(&format!("/workflow-runs/{id}/cancel"), &Value::Null)
        .await;
    assert_eq!(canceled.status, 200, "{}", canceled.body);
    let retried = caller
        .post(&format!("/workflow-runs/{id}/retry"), &Value::Null)
        .await;
    assert_eq!((retried.status, &retried.body["input"]), (201, &effective));
}

#[tokio::test]
async fn a_workflow_whose_input_schema_cannot_be_used_is_not_saved() {
    let caller = Caller::start().await;
    let states = json!([{ "name": "a", "steps": [{ "waitFor": { "time": "1s" } }] }]);
    for (input, pointer) in [
        (json!({ "type": "bogus" }), "/type"),
        (
            json!({ "type": "object", "properties": { "a": { "type": "string", "pattern": "(" } } }),
            "",
        ),
        (json!({ "$ref": "https://example.com/schema.json" }), ""),
    ] {
        let body = json!({ "definition": { "name": "x", "input": input, "states": states } });
        let answer = caller.post("/workflows", &body).await;
        assert_eq!(answer.status, 422, "{input}");
        assert_eq!(
            answer.body["errors"][0]["pointer"],
            format!("/definition/input{pointer}"),
            "{}",
            answer.body
        );
    }
}
