//! What the API does with workflows, artifacts, secrets, keys and lists, as a client sees it.

use std::collections::BTreeSet;

use api::{Api, router};
use axum::body::Body;
use domain::run::{Event, Run};
use domain::wire::ArtifactType;
use domain::{ArtifactId, RunId};
use platform::addresses::AllowAddresses;
use platform::configuration::Limits;
use serde_json::{Value, json};
use store::{ArtifactBody, NewArtifact, Transition, fresh_id, now};

use crate::api::{Answer, Caller};

fn definition(name: &str) -> Value {
    json!({ "definition": { "name": name, "states": [
        { "name": "waiting", "steps": [{ "waitFor": { "time": "1s" } }] }
    ] } })
}

fn ids(answer: &Answer) -> Vec<String> {
    let data = answer.body["data"].as_array().expect("a page");
    let id = |entry: &Value| entry["id"].as_str().expect("an id").to_owned();
    data.iter().map(id).collect()
}

pub(crate) fn id_of(answer: &Answer) -> String {
    answer.body["id"].as_str().expect("an id").to_owned()
}

fn parameters(answer: &Answer) -> Vec<&str> {
    let errors = answer.body["errors"].as_array().expect("errors");
    errors
        .iter()
        .filter_map(|error| error["parameter"].as_str())
        .collect()
}

/// All entries of a list, page by page.
async fn walk(caller: &Caller, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = caller.get(&format!("{path}limit=2{cursor}")).await;
        assert_eq!(page.status, 200, "{}", page.body);
        found.extend(ids(&page));
        assert_eq!(page.body["hasMore"], !page.body["nextCursor"].is_null());
        match page.body["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

#[tokio::test]
async fn the_list_of_runs_is_read_in_pages_newest_first_and_without_values() {
    let caller = Caller::start().await;
    let workflow = caller.workflow().await;
    let mut created = Vec::new();
    for _ in 0..5 {
        created.push(id_of(&caller.run(&workflow).await));
    }
    created.sort_unstable();
    created.reverse();
    assert_eq!(walk(&caller, "/workflow-runs?").await, created);
    assert_eq!(
        walk(&caller, &format!("/workflow-runs?workflowId={workflow}&")).await,
        created
    );
    caller
        .post(&format!("/workflow-runs/{}/cancel", created[0]), &json!({}))
        .await;
    assert_eq!(
        walk(&caller, "/workflow-runs?status=FAILED&").await,
        created[..1]
    );
    assert_eq!(
        walk(&caller, "/workflow-runs?status=PENDING&").await,
        created[1..]
    );

    let page = caller.get("/workflow-runs?limit=1").await;
    let run = page.body["data"][0].as_object().expect("a run");
    for left_out in ["input", "output", "stateHistory"] {
        assert!(!run.contains_key(left_out), "{left_out}");
    }
    assert!(run["jobRunId"].is_null() && run["failure"]["code"] == "CANCELED");
    assert!(caller.another().await.get("/workflow-runs").await.body["data"] == json!([]));
}

#[tokio::test]
async fn a_list_can_be_narrowed_to_a_time() {
    let caller = Caller::start().await;
    let workflow = caller.workflow().await;
    let first = caller.run(&workflow).await;
    let created_at = first.body["createdAt"].as_str().expect("a time");
    let at = |name: &str| format!("/workflow-runs?{name}={created_at}");
    assert_eq!(ids(&caller.get(&at("createdAfter")).await), [id_of(&first)]);
    assert!(ids(&caller.get(&at("createdBefore")).await).is_empty());
    let later = "/workflow-runs?createdAfter=2100-01-01T00:00:00Z";
    assert!(ids(&caller.get(later).await).is_empty());
    let workflows = format!("/workflows?createdBefore={created_at}");
    assert_eq!(ids(&caller.get(&workflows).await), [workflow]);
}

#[tokio::test]
async fn wrong_parameters_are_all_named_and_none_is_ignored() {
    let caller = Caller::start().await;
    let some = "019ab0c8-7e10-7d3a-9c52-0f6f4c1b2a3d";
    for (query, expected) in [
        ("limit=0", vec!["limit"]),
        ("limit=101&stauts=FAILED", vec!["limit", "stauts"]),
        ("limit=1&limit=2", vec!["limit"]),
        ("status=CANCELED", vec!["status"]),
        ("status=failed", vec!["status"]),
        (
            "workflowId=x&createdAfter=yesterday",
            vec!["workflowId", "createdAfter"],
        ),
        (
            &format!("status=FAILED&workflowId={some}&jobRunId={some}"),
            vec!["workflowId", "jobRunId"],
        ),
    ] {
        let answer = caller.get(&format!("/workflow-runs?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert_eq!(answer.body["code"], "invalid_parameter");
        assert_eq!(parameters(&answer), expected, "{query}");
    }
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_list_and_filters_and_shows_no_tenant() {
    let caller = Caller::start().await;
    let workflow = caller.workflow().await;
    caller.run(&workflow).await;
    caller.run(&workflow).await;
    let page = caller.get("/workflow-runs?limit=1").await;
    let cursor = page.body["nextCursor"].as_str().expect("a cursor");
    for other in [
        format!("/workflow-runs?status=PENDING&cursor={cursor}"),
        format!("/workflow-runs?createdAfter=2026-01-01T00:00:00Z&cursor={cursor}"),
        format!("/workflows?cursor={cursor}"),
        "/workflow-runs?cursor=nonsense".to_owned(),
    ] {
        let answer = caller.get(&other).await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (400, &json!("invalid_cursor")),
            "{other}"
        );
    }
    // Another organization may hold it, and sees its own runs with it: none.
    let another = caller.another().await;
    let answer = another
        .get(&format!("/workflow-runs?cursor={cursor}"))
        .await;
    assert_eq!((answer.status, ids(&answer).len()), (200, 0));
}

#[tokio::test]
async fn each_save_of_a_workflow_is_a_version_and_a_run_keeps_the_one_it_started_with() {
    let caller = Caller::start().await;
    let created = caller.post("/workflows", &definition("First")).await;
    let path = format!("/workflows/{}", id_of(&created));
    let run = caller
        .post("/workflow-runs", &json!({ "workflowId": id_of(&created) }))
        .await;
    let saved = caller.put(&path, None, &definition("Second")).await;
    assert_eq!(saved.status, 200, "{}", saved.body);
    assert_eq!(
        (&saved.body["version"], &saved.body["name"]),
        (&json!(2), &json!("Second"))
    );
    assert_eq!(saved.headers["etag"], "\"2\"");
    assert_eq!(saved.body["createdAt"], created.body["createdAt"]);
    assert_eq!(caller.get(&path).await.body, saved.body);

    let versions = caller.get(&format!("{path}/versions")).await;
    let numbers: Vec<&Value> = versions.body["data"]
        .as_array()
        .expect("a page")
        .iter()
        .map(|version| &version["version"])
        .collect();
    assert_eq!(numbers, [2, 1]);
    let first = caller.get(&format!("{path}/versions/1")).await;
    assert_eq!(first.body["definition"]["name"], "First");
    for none in ["0", "3", "x", "4294967296"] {
        assert_eq!(
            caller.get(&format!("{path}/versions/{none}")).await.status,
            404,
            "{none}"
        );
    }
    let run = caller.get(&format!("/workflow-runs/{}", id_of(&run))).await;
    assert_eq!(run.body["workflowVersion"], 1);
    let old = json!({ "workflowId": id_of(&created), "workflowVersion": 1 });
    assert_eq!(caller.post("/workflow-runs", &old).await.status, 201);
    let none = json!({ "workflowId": id_of(&created), "workflowVersion": 3 });
    let refused = caller.post("/workflow-runs", &none).await;
    assert_eq!(refused.body["errors"][0]["pointer"], "/workflowVersion");
}

#[tokio::test]
async fn a_version_is_saved_only_on_top_of_the_one_that_if_match_names() {
    let caller = Caller::start().await;
    let created = caller.post("/workflows", &definition("First")).await;
    let path = format!("/workflows/{}", id_of(&created));
    let tag = caller.get(&path).await.headers["etag"]
        .to_str()
        .expect("text")
        .to_owned();
    let saved = caller.put(&path, Some(&tag), &definition("Second")).await;
    assert_eq!(saved.status, 200);
    let late = caller.put(&path, Some(&tag), &definition("Third")).await;
    assert_eq!(
        (late.status, &late.body["code"]),
        (412, &json!("version_changed"))
    );
    assert_eq!(caller.get(&path).await.body["version"], 2);
}

#[tokio::test]
async fn a_deleted_workflow_is_gone_and_its_runs_are_not() {
    let caller = Caller::start().await;
    let created = caller.post("/workflows", &definition("Gone")).await;
    let path = format!("/workflows/{}", id_of(&created));
    let run = caller
        .post("/workflow-runs", &json!({ "workflowId": id_of(&created) }))
        .await;
    let run_path = format!("/workflow-runs/{}", id_of(&run));
    assert_eq!(caller.delete(&path).await.status, 204);
    for answer in [
        caller.get(&path).await,
        caller.get(&format!("{path}/versions")).await,
        caller.get(&format!("{path}/versions/1")).await,
        caller.put(&path, None, &definition("Again")).await,
        caller.delete(&path).await,
        caller
            .post("/workflow-runs", &json!({ "workflowId": id_of(&created) }))
            .await,
    ] {
        assert_eq!(answer.status, 404, "{}", answer.body);
    }
    assert!(ids(&caller.get("/workflows").await).is_empty());
    assert_eq!(caller.get(&run_path).await.body["status"], "PENDING");
    caller.post(&format!("{run_path}/cancel"), &json!({})).await;
    let retried = caller.post(&format!("{run_path}/retry"), &json!({})).await;
    assert_eq!(
        (retried.status, &retried.body["code"]),
        (409, &json!("workflow_deleted"))
    );
}

#[tokio::test]
async fn a_definition_is_checked_without_being_saved_and_always_with_200() {
    let caller = Caller::start().await;
    let good = caller
        .post("/workflows/validate", &definition("Good"))
        .await;
    assert_eq!(
        (good.status, good.body),
        (200, json!({ "valid": true, "errors": [] }))
    );
    let wrong = json!({ "definition": { "name": "x", "states": [
        { "name": "one", "steps": [{ "clik": "a" }, { "goto": 7 }] }
    ] } });
    let checked = caller.post("/workflows/validate", &wrong).await;
    assert_eq!(
        (checked.status, &checked.body["valid"]),
        (200, &json!(false))
    );
    let errors = checked.body["errors"].as_array().expect("errors");
    assert!(errors.len() >= 2, "all at once: {errors:?}");
    assert_eq!(errors[0]["suggestion"], "click");
    assert!(
        errors[0]["pointer"]
            .as_str()
            .expect("a pointer")
            .starts_with("/definition/states/0/steps/0")
    );
    let refused = caller.post("/workflows", &wrong).await;
    assert_eq!(
        (refused.status, &refused.body["errors"]),
        (422, &checked.body["errors"])
    );

    let yaml = caller
        .request("POST", "/workflows/validate")
        .body(Body::from(
            "name: x\nstates:\n  - name: one\n    steps: [{ clik: a }]\n",
        ));
    let yaml = caller
        .send_as("application/yaml", yaml.expect("a request"))
        .await;
    assert_eq!(
        (yaml.status, &yaml.body["errors"][0]["line"]),
        (200, &json!(4))
    );
    assert!(ids(&caller.get("/workflows").await).is_empty());
}

async fn begun(caller: &Caller) -> Run {
    let workflow = caller.workflow().await;
    let id: RunId = id_of(&caller.run(&workflow).await).parse().expect("an id");
    let run = caller
        .store
        .run(id)
        .await
        .expect("the store answers")
        .expect("a run");
    let claimed = Event::Claimed {
        worker_id: "test".to_owned(),
        lease: std::time::Duration::from_secs(30),
    };
    match caller
        .store
        .transition(run, &claimed, now())
        .await
        .expect("the store answers")
    {
        Transition::Committed(run) => *run,
        Transition::Rejected { why, .. } => panic!("{why}"),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is a customer's side, and the URL is the emulator's"
)]
async fn fetch(url: &str) -> (axum::http::HeaderMap, String) {
    let answer = reqwest::get(url).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    (answer.headers().clone(), answer.text().await.expect("text"))
}

#[tokio::test]
async fn an_artifact_has_its_metadata_a_url_under_its_name_and_content_behind_a_redirect() {
    let caller = Caller::start().await;
    let run = begun(&caller).await;
    let new = NewArtifact {
        id: fresh_id(ArtifactId::new, now()),
        artifact_type: ArtifactType::Download,
        name: "Gehälter.csv".to_owned(),
        content_type: "text/csv".to_owned(),
        body: ArtifactBody::Bytes(b"name\nAda\n".to_vec()),
        state_name: Some("asking".to_owned()),
    };
    let id = new.id;
    caller
        .store
        .put_artifact(&run, 1, new)
        .await
        .expect("it is stored");

    let path = format!("/artifacts/{id}");
    let artifact = caller.get(&path).await;
    assert_eq!(artifact.status, 200, "{}", artifact.body);
    let list = caller
        .get(&format!("/workflow-runs/{}/artifacts", run.id))
        .await;
    for answer in [&artifact, &list] {
        // The URL in it is a credential.
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
    let body = &artifact.body;
    assert_eq!(body["workflowRunId"], run.id.to_string());
    assert_eq!(
        (&body["type"], &body["name"]),
        (&json!("download"), &json!("Gehälter.csv"))
    );
    assert_eq!(
        (&body["contentType"], &body["sizeBytes"]),
        (&json!("text/csv"), &json!(9))
    );
    assert_eq!(body["stateName"], "asking");
    assert_eq!(
        body["sha256"],
        "b97998758a2ee1f0237f7924feb7558fff4749725019a5974f26b109d1bf36c3"
    );
    assert!(body["downloadUrlExpiresAt"].as_str() > body["createdAt"].as_str());

    let redirect = caller.get(&format!("{path}/content")).await;
    assert_eq!(redirect.status, 302);
    assert_eq!(redirect.headers["cache-control"], "no-store");
    for url in [
        redirect.headers["location"].to_str().expect("text"),
        body["downloadUrl"].as_str().expect("a URL"),
    ] {
        let (headers, bytes) = fetch(url).await;
        assert_eq!(bytes, "name\nAda\n");
        assert_eq!(
            headers["content-disposition"],
            "attachment; filename=\"Geh_lter.csv\"; filename*=UTF-8''Geh%C3%A4lter.csv"
        );
    }
    let another = caller.another().await;
    for path in [
        path.clone(),
        format!("{path}/content"),
        format!("/artifacts/{}", run.id),
        "/artifacts/x".to_owned(),
    ] {
        assert_eq!(another.get(&path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn secrets_are_listed_by_name_and_deleted_and_never_shown() {
    let caller = Caller::start().await;
    for name in ["beta", "alpha", "gamma"] {
        let set = caller
            .put(
                &format!("/secrets/{name}"),
                None,
                &json!({ "value": "canary-7f3a" }),
            )
            .await;
        assert_eq!(set.status, 204);
    }
    let mut names = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = caller.get(&format!("/secrets?limit=2{cursor}")).await;
        assert!(!page.body.to_string().contains("canary"));
        for secret in page.body["data"].as_array().expect("a page") {
            assert!(secret["updatedAt"].is_string());
            names.push(secret["name"].as_str().expect("a name").to_owned());
        }
        match page.body["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(names, ["alpha", "beta", "gamma"]);
    assert_eq!(caller.delete("/secrets/beta").await.status, 204);
    assert_eq!(caller.delete("/secrets/beta").await.status, 404);
    assert_eq!(caller.delete("/secrets/no%20name").await.status, 404);
    let wrong = caller
        .put("/secrets/no-name", None, &json!({ "value": "x" }))
        .await;
    assert_eq!(
        (wrong.status, &wrong.body["code"]),
        (400, &json!("bad_request"))
    );
    assert_eq!(
        caller.get("/secrets/alpha").await.status,
        405,
        "nobody can read a value"
    );
}

#[tokio::test]
async fn an_api_key_is_shown_once_does_what_its_role_allows_and_is_refused_when_deleted() {
    let caller = Caller::start().await;
    let asked = json!({ "name": "nightly", "role": "operator", "userId": "bot" });
    let made = caller.keyed_at("/api-keys", "k1", &asked).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let key = made.body["key"].as_str().expect("a key").to_owned();
    let again = caller.keyed_at("/api-keys", "k1", &asked).await;
    assert_eq!((again.status, &again.body["key"]), (201, &Value::Null));
    assert_eq!(again.body["id"], made.body["id"]);

    let workflow = caller.workflow().await;
    let operator = Caller {
        key,
        ..caller.clone()
    };
    let run = operator.run(&workflow).await;
    assert_eq!(
        (run.status, &run.body["createdByUserId"]),
        (201, &json!("bot"))
    );
    assert_eq!(
        operator.post("/workflows", &definition("x")).await.status,
        403
    );
    assert_eq!(operator.get("/api-keys").await.status, 403);

    let list = caller.get("/api-keys").await;
    assert!(!list.body.to_string().contains("\"key\""));
    let listed = list.body["data"]
        .as_array()
        .expect("a page")
        .iter()
        .find(|listed| listed["id"] == made.body["id"])
        .expect("it is listed");
    assert_eq!(
        (&listed["name"], &listed["role"]),
        (&json!("nightly"), &json!("operator"))
    );
    assert!(listed["lastUsedAt"].is_string(), "it was used: {listed}");

    let path = format!("/api-keys/{}", id_of(&made));
    assert_eq!(caller.another().await.delete(&path).await.status, 404);
    assert_eq!(caller.delete(&path).await.status, 204);
    assert_eq!(operator.get("/workflows").await.status, 401);
    assert_eq!(caller.delete(&path).await.status, 404);
    let own = list.body["data"]
        .as_array()
        .expect("a page")
        .iter()
        .find(|key| key["role"] == "admin");
    let own = own.expect("the caller's own")["id"]
        .as_str()
        .expect("an id");
    let last = caller.delete(&format!("/api-keys/{own}")).await;
    assert_eq!(
        (last.status, &last.body["code"]),
        (409, &json!("last_admin_key"))
    );
    for (wrong, pointer) in [
        (
            json!({ "name": "", "role": "viewer", "userId": "x" }),
            "/name",
        ),
        (
            json!({ "name": "x", "role": "owner", "userId": "x" }),
            "/role",
        ),
        (json!({ "name": "x", "role": "viewer" }), "/userId"),
    ] {
        let answer = caller.post("/api-keys", &wrong).await;
        assert_eq!(
            (answer.status, &answer.body["errors"][0]["pointer"]),
            (422, &json!(pointer)),
            "{}",
            answer.body
        );
    }
}

#[tokio::test]
async fn an_organization_that_asks_for_too_much_is_told_when_to_ask_again_and_others_go_on() {
    let caller = Caller::start().await;
    let limits = Limits {
        requests_per_second: 100_000,
        runs_per_second: 1,
    };
    let limited = |limits| {
        router(Api::new(
            caller.store.clone(),
            AllowAddresses::PublicOnly,
            limits,
        ))
    };
    // Two processes share the allowance of ten seconds; a window may end in between, which gives it once more.
    let processes = [limited(limits), limited(limits)].map(|router| Caller {
        router,
        ..caller.clone()
    });
    let workflow = caller.workflow().await;
    let mut created = BTreeSet::new();
    let mut refused = None;
    for number in 0..40 {
        let answer = processes[number % 2].run(&workflow).await;
        match answer.status {
            201 => assert!(created.insert(id_of(&answer))),
            429 => {
                refused = Some(answer);
                break;
            }
            other => panic!("{other}: {}", answer.body),
        }
    }
    let refused = refused.expect("ten a window are allowed");
    assert!((10..=20).contains(&created.len()), "{}", created.len());
    assert_eq!(refused.body["code"], "rate_limited");
    let seconds: u32 = refused.headers["retry-after"]
        .to_str()
        .expect("text")
        .parse()
        .expect("a number");
    assert!((1..=10).contains(&seconds), "{seconds}");
    assert_eq!(
        walk(&caller, "/workflow-runs?").await.len(),
        created.len(),
        "nothing else was written"
    );

    let another = Caller {
        router: processes[0].router.clone(),
        ..caller.another().await
    };
    let workflow = another.workflow().await;
    assert_eq!(another.run(&workflow).await.status, 201);

    let requests = Limits {
        requests_per_second: 1,
        runs_per_second: 1,
    };
    let caller = Caller {
        router: limited(requests),
        ..caller.another().await
    };
    let mut answered = 0;
    while caller.get("/workflows").await.status == 200 {
        answered += 1;
        assert!(answered <= 120, "sixty a minute are allowed");
    }
    assert!(answered >= 60, "{answered}");
}

#[tokio::test]
async fn what_a_path_has_not_is_told_with_what_it_has() {
    let caller = Caller::start().await;
    let answer = caller.delete("/workflow-runs").await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (405, &json!("method_not_allowed"))
    );
    let allow = answer.headers["allow"].to_str().expect("text");
    let allowed: BTreeSet<&str> = allow.split(',').collect();
    assert_eq!(allowed, BTreeSet::from(["GET", "HEAD", "POST"]));
    assert_eq!(caller.get("/nothing").await.body["code"], "no_such_path");
}

#[tokio::test]
async fn the_description_is_served_without_a_key_and_the_page_needs_no_other_host() {
    let caller = Caller {
        key: String::new(),
        ..Caller::start().await
    };
    let document = caller.get("/openapi.json").await;
    assert_eq!(document.body["openapi"], "3.1.0");
    let request = caller
        .request("GET", "/docs")
        .body(Body::empty())
        .expect("a request");
    let (headers, page) = caller.send_for_text(request).await;
    assert_eq!(headers["content-type"], "text/html; charset=utf-8");
    assert!(
        headers["content-security-policy"]
            .to_str()
            .expect("text")
            .starts_with("default-src 'none'")
    );
    assert!(!page.contains("http://") && !page.contains("https://"));
    assert!(
        page.contains("fetch(\"openapi.json\")"),
        "relative, so that it works behind a stage"
    );
}

#[tokio::test]
async fn an_input_is_an_object_and_nothing_in_a_body_is_given_twice() {
    let caller = Caller::start().await;
    let created = caller.post("/workflows", &definition("Any")).await;
    let with = |input: Value| json!({ "workflowId": id_of(&created), "input": input });
    for (input, status) in [
        (json!({ "anything": 1 }), 201),
        (Value::Null, 201),
        (json!(5), 422),
        (json!("x"), 422),
        (json!([]), 422),
    ] {
        let answer = caller.post("/workflow-runs", &with(input)).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        if status == 422 {
            assert_eq!(answer.body["errors"][0]["pointer"], "/input");
        }
    }
    let twice = format!(
        r#"{{"workflowId": "{}", "input": {{"a": {{"b": 1, "b": 2}}}}}}"#,
        id_of(&created)
    );
    let request = caller
        .request("POST", "/workflow-runs")
        .body(Body::from(twice));
    let answer = caller
        .send_as("application/json", request.expect("a request"))
        .await;
    assert_eq!(
        (answer.status, &answer.body["errors"][0]["pointer"]),
        (422, &json!("/input/a/b"))
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_bad_request_and_one_that_is_too_long_says_so() {
    let caller = Caller::start().await;
    let cut = Body::from_stream(futures::stream::iter([
        Ok(axum::body::Bytes::from_static(b"{\"definition\"")),
        Err(std::io::Error::other("cut")),
    ]));
    let request = caller
        .request("POST", "/workflows")
        .body(cut)
        .expect("a request");
    let answer = caller.send_as("application/json", request).await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (400, &json!("bad_request"))
    );
    for (bytes, status) in [(api::BODY_BYTES, 400), (api::BODY_BYTES + 1, 413)] {
        let request = caller
            .request("POST", "/workflows")
            .body(Body::from(vec![b'x'; bytes]));
        let answer = caller
            .send_as("application/json", request.expect("a request"))
            .await;
        assert_eq!(answer.status, status, "{bytes}: {}", answer.body);
    }
}

#[tokio::test]
async fn every_call_that_creates_can_be_repeated_with_its_key_and_makes_one_thing() {
    let caller = Caller::start().await;
    let workflow = caller.workflow().await;
    let run = id_of(&caller.run(&workflow).await);
    caller
        .post(&format!("/workflow-runs/{run}/cancel"), &json!({}))
        .await;
    let retry = format!("/workflow-runs/{run}/retry");
    let endpoint = json!({ "url": "https://example.com/hook" });
    let key = json!({ "name": "x", "role": "viewer", "userId": "x" });
    let input = json!({ "workflowId": workflow, "input": { "month": "2026-11" } });
    for (path, body) in [
        ("/workflows", definition("Once")),
        ("/workflow-runs", input),
        (retry.as_str(), json!({})),
        ("/webhook-endpoints", endpoint),
        ("/api-keys", key),
    ] {
        let first = caller.keyed_at(path, "again", &body).await;
        let second = caller.keyed_at(path, "again", &body).await;
        assert_eq!(
            (first.status, second.status),
            (201, 201),
            "{path}: {}",
            second.body
        );
        assert_eq!(first.body["id"], second.body["id"], "{path}");
        for once in ["key", "secret"] {
            assert!(
                second.body.get(once).is_none_or(Value::is_null),
                "{path}: {once}"
            );
        }
        let other = caller.keyed_at(path, "another", &body).await;
        assert_ne!(first.body["id"], other.body["id"], "{path}");
    }
    // What the first call made is gone, so there is nothing to answer with.
    let first = caller
        .keyed_at("/workflows", "again", &definition("Once"))
        .await;
    caller
        .delete(&format!("/workflows/{}", id_of(&first)))
        .await;
    let gone = caller
        .keyed_at("/workflows", "again", &definition("Once"))
        .await;
    assert_eq!(
        (gone.status, &gone.body["code"]),
        (404, &json!("not_found"))
    );
}

#[tokio::test]
async fn a_call_that_takes_no_body_refuses_one() {
    let caller = Caller::start().await;
    let workflow = caller.workflow().await;
    let run = id_of(&caller.run(&workflow).await);
    let path = format!("/workflow-runs/{run}/cancel");
    let answer = caller.post(&path, &json!({ "reason": "x" })).await;
    assert_eq!(
        (answer.status, &answer.body["errors"][0]["pointer"]),
        (422, &json!("/reason"))
    );
    assert_eq!(caller.post(&path, &json!({})).await.status, 200);
}
