//! The API behind API Gateway: real events of its payload format 2.0, through the same adapter as on Lambda.

use api::gateway;
use lambda_http::request::LambdaRequest;
use lambda_http::tower::ServiceExt;
use lambda_http::{Adapter, service_fn};
use lambda_http::{Context, LambdaEvent};
use serde_json::{Value, json};

use crate::api::Caller;

const DEFINITION: &str =
    "name: Waits\nstates:\n  - name: waiting\n    steps: [{ waitFor: { time: 1s } }]\n";

struct Gateway {
    router: axum::Router,
    key: String,
}

impl Gateway {
    async fn start() -> Self {
        let Caller { router, key, .. } = Caller::start().await;
        Self { router, key }
    }

    /// What API Gateway would send for a call, and what it would get.
    async fn call(&self, mapping: &'static str, event: Value) -> Value {
        let router = self.router.clone();
        let service = service_fn(move |request| {
            let router = router.clone();
            async move { gateway::answer(router, mapping, request).await }
        });
        let request: LambdaRequest = serde_json::from_value(event).expect("an event");
        let answer = Adapter::from(service)
            .oneshot(LambdaEvent::new(request, Context::default()))
            .await
            .expect("it never fails");
        serde_json::to_value(answer).expect("JSON")
    }

    /// An event as API Gateway makes it.
    fn event(&self, stage: &str, method: &str, raw_path: &str, query: &str) -> Value {
        json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": raw_path,
            "rawQueryString": query,
            "cookies": ["a=1", "b=2"],
            "headers": {
                "accept": "*/*",
                "authorization": format!("Bearer {}", self.key),
                "content-type": "application/json",
                "host": "abcdefghij.execute-api.eu-west-1.amazonaws.com",
                "x-forwarded-for": "203.0.113.7",
                "x-forwarded-proto": "https",
            },
            "requestContext": {
                "accountId": "123456789012",
                "apiId": "abcdefghij",
                "domainName": "abcdefghij.execute-api.eu-west-1.amazonaws.com",
                "domainPrefix": "abcdefghij",
                "http": {
                    "method": method,
                    "path": raw_path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": "203.0.113.7",
                    "userAgent": "curl/8.9.1",
                },
                "requestId": "JKJaXmPLvHcESHA=",
                "routeKey": "$default",
                "stage": stage,
                "time": "23/Nov/2026:09:00:00 +0000",
                "timeEpoch": 1_795_424_400_000_i64,
            },
            "isBase64Encoded": false,
        })
    }
}

fn body_of(answer: &Value) -> Value {
    let text = answer["body"].as_str().expect("a body as text");
    serde_json::from_str(text).expect("JSON")
}

#[tokio::test]
async fn a_body_in_base64_is_read_as_the_bytes_that_it_stands_for() {
    let gateway = Gateway::start().await;
    let mut event = gateway.event("$default", "POST", "/workflows", "");
    event["headers"]["content-type"] = json!("application/yaml");
    event["isBase64Encoded"] = json!(true);
    event["body"] = json!(base64_of(DEFINITION));
    let answer = gateway.call("", event).await;
    assert_eq!(answer["statusCode"], 201, "{answer}");
    assert_eq!(body_of(&answer)["name"], "Waits");
    assert_eq!(answer["isBase64Encoded"], false);
    assert_eq!(answer["headers"]["content-type"], "application/json");
}

#[tokio::test]
async fn a_stage_is_before_every_path_and_before_every_location() {
    let gateway = Gateway::start().await;
    let create = |stage: &str, raw_path: &str| {
        let mut event = gateway.event(stage, "POST", raw_path, "");
        event["body"] = json!(
            json!({ "definition": { "name": "x", "states": [
            { "name": "waiting", "steps": [{ "waitFor": { "time": "1s" } }] }
        ] } })
            .to_string()
        );
        event
    };
    for (stage, mapping, raw_path, prefix) in [
        ("$default", "", "/workflows", "/workflows/"),
        ("prod", "", "/prod/workflows", "/prod/workflows/"),
        // Behind a domain's mapping, the URL has its path, and not the stage.
        ("prod", "/v1", "/v1/workflows", "/v1/workflows/"),
        ("$default", "/v1", "/v1/workflows", "/v1/workflows/"),
        // A stage that has the name of a resource.
        (
            "workflows",
            "",
            "/workflows/workflows",
            "/workflows/workflows/",
        ),
    ] {
        let answer = gateway.call(mapping, create(stage, raw_path)).await;
        assert_eq!(answer["statusCode"], 201, "{stage} {raw_path}: {answer}");
        let location = answer["headers"]["location"].as_str().expect("a location");
        let id = location
            .strip_prefix(prefix)
            .unwrap_or_else(|| panic!("{location}"));
        assert_eq!(body_of(&answer)["id"], id);
        let read = gateway.event(stage, "GET", location, "");
        assert_eq!(
            gateway.call(mapping, read).await["statusCode"],
            200,
            "{location}"
        );
    }
    let other = gateway.event("prod", "GET", "/production/health", "");
    assert_eq!(gateway.call("", other).await["statusCode"], 404);
}

#[tokio::test]
async fn a_header_with_several_values_and_a_query_with_a_name_twice_arrive_whole() {
    let gateway = Gateway::start().await;
    let mut event = gateway.event("$default", "POST", "/workflows", "");
    event["body"] = json!(
        json!({ "definition": { "name": "x", "states": [
        { "name": "waiting", "steps": [{ "waitFor": { "time": "1s" } }] }
    ] } })
        .to_string()
    );
    let created = gateway.call("", event).await;
    let path = created["headers"]["location"]
        .as_str()
        .expect("a location")
        .to_owned();
    // API Gateway joins the values of a header with commas.
    let mut event = gateway.event("$default", "GET", &path, "");
    event["headers"]["if-none-match"] = json!("\"7\",W/\"1\"");
    let answer = gateway.call("", event).await;
    assert_eq!(answer["statusCode"], 304, "{answer}");
    assert_eq!(answer["headers"]["etag"], "\"1\"");

    let event = gateway.event(
        "$default",
        "GET",
        "/workflow-runs",
        "limit=1&limit=2&stauts=FAILED",
    );
    let answer = gateway.call("", event).await;
    assert_eq!(answer["statusCode"], 400, "{answer}");
    let body = body_of(&answer);
    let names: Vec<&str> = body["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .filter_map(|error| error["parameter"].as_str())
        .collect();
    assert_eq!(names, ["limit", "stauts"]);
}

#[tokio::test]
async fn a_path_that_is_no_text_and_one_that_is_no_path_are_answers_too() {
    let gateway = Gateway::start().await;
    for (raw_path, status) in [
        ("/workflows/%ff", 400),
        ("/a b", 404),
        ("", 404),
        ("//", 404),
    ] {
        let answer = gateway
            .call("", gateway.event("$default", "GET", raw_path, ""))
            .await;
        assert_eq!(answer["statusCode"], status, "{raw_path}: {answer}");
        assert_eq!(
            answer["headers"]["content-type"],
            "application/problem+json"
        );
    }
}

fn base64_of(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}
