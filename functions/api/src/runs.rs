//! Workflow runs: create, read, cancel, retry.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::definition::Definition;
use domain::run::{Event, NewRun, Policy, Run};
use domain::wire::RunView;
use domain::{RunId, WorkflowId};
use serde::Deserialize;
use serde_json::Value;
use store::{
    CreatedRun, IdempotencyKey, Role, RunMessage, RunWithValues, Transition, fresh_commit,
    fresh_id, now,
};

use crate::body::Body;
use crate::caller::Caller;
use crate::problem::FieldError;
use crate::segment::Segment;
use crate::{Api, Code, Problem, idempotency, input_schema, secrets};

/// When a client that polls should ask again, in seconds.
const POLL_AGAIN_AFTER_SECONDS: &str = "2";

/// How many strings of their own a caller may give.
const METADATA_ENTRIES: usize = 16;
const METADATA_KEY_CHARS: usize = 64;
const METADATA_VALUE_CHARS: usize = 256;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreateRun {
    workflow_id: WorkflowId,
    workflow_version: Option<u32>,
    input: Option<Value>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(default)]
    secret_bindings: BTreeMap<String, String>,
}

/// `POST /workflow-runs`.
pub(crate) async fn create(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    caller.must_be(Role::Operator)?;
    let asked: CreateRun = body.json()?;
    let key = idempotency::key_of(&headers, &caller, "POST /workflow-runs", &body.bytes)?;
    if let Some(key) = &key
        && let Some(replay) = api.store.replay(key).await?
    {
        return answer_with(&api, &caller, idempotency::replayed(replay)?).await;
    }

    let (version, definition) = find_definition(&api, &caller, &asked).await?;
    let input = asked
        .input
        .clone()
        .unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    let mut errors = check_metadata(&asked.metadata);
    errors.extend(check_bindings(&asked.secret_bindings, &definition));
    errors.extend(check_input(&input, &definition)?);
    if !errors.is_empty() {
        return Err(Problem::of_fields(errors));
    }

    let new = NewRun {
        id: fresh_id(RunId::new, now()),
        organization_id: caller.organization_id,
        workflow_id: asked.workflow_id,
        workflow_version: version,
        job_run_id: None,
        retry_of_run_id: None,
        created_by_user_id: caller.user_id.clone(),
        metadata: asked.metadata,
        secret_bindings: asked.secret_bindings,
        policy: Policy::of(&definition),
        trace_parent: trace_parent(&headers),
    };
    begin(&api, &caller, new, input, key.as_ref()).await
}

/// `POST /workflow-runs/{id}/cancel`.
pub(crate) async fn cancel(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    caller.must_be(Role::Operator)?;
    let run = find_run(&api, &caller, &id).await?;
    match api.store.transition(run, &Event::Canceled, now()).await? {
        Transition::Committed(run) => {
            tracing::info!(run_id = %run.id, "Cancelled a run");
            let (run, view) = show(&api, &caller, run.id).await?;
            let mut response = Json(view).into_response();
            describe(&run, response.headers_mut());
            Ok(response)
        }
        Transition::Rejected { run, .. } => Err(Problem::new(
            Code::RunEnded,
            format!("the run has ended as {}", run.status()),
        )),
    }
}

/// `POST /workflow-runs/{id}/retry`: a new run of the same version with the same input.
pub(crate) async fn retry(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    caller.must_be(Role::Operator)?;
    let operation = format!("POST /workflow-runs/{id}/retry");
    let key = idempotency::key_of(&headers, &caller, &operation, b"")?;
    if let Some(key) = &key
        && let Some(replay) = api.store.replay(key).await?
    {
        return answer_with(&api, &caller, idempotency::replayed(replay)?).await;
    }
    let earlier = find(&api, &caller, &id).await?;
    let run = earlier.run;
    if !run.status().is_final() {
        let detail = format!(
            "the run is {}; only a run that has ended can be retried",
            run.status()
        );
        return Err(Problem::new(Code::RunNotEnded, detail));
    }
    let new = NewRun {
        id: fresh_id(RunId::new, now()),
        organization_id: caller.organization_id,
        workflow_id: run.workflow_id,
        workflow_version: run.workflow_version,
        // A job run manages the runs that it has planned, and no others.
        job_run_id: None,
        retry_of_run_id: Some(run.id),
        created_by_user_id: caller.user_id.clone(),
        metadata: run.metadata,
        secret_bindings: run.secret_bindings,
        policy: run.policy,
        trace_parent: trace_parent(&headers),
    };
    begin(
        &api,
        &caller,
        new,
        earlier.input.unwrap_or_default(),
        key.as_ref(),
    )
    .await
}

/// Writes a new run, puts it into the queue, and answers with it.
async fn begin(
    api: &Api,
    caller: &Caller,
    new: NewRun,
    input: Value,
    key: Option<&IdempotencyKey>,
) -> Result<Response, Problem> {
    let run = Run::create(new, now(), fresh_commit());
    if let CreatedRun::Replayed(replay) = api.store.create_run(&run, &input, key).await? {
        return answer_with(api, caller, idempotency::replayed(replay)?).await;
    }
    let message = RunMessage {
        run_id: run.id,
        org_id: run.organization_id,
    };
    if let Err(error) = api.store.enqueue_run(message).await {
        // The run is written, and its dueAt makes the sweeper enqueue it: the caller has what they asked for.
        tracing::warn!(run_id = %run.id, %error, "A run could not be enqueued; the sweeper will do it");
    }
    tracing::info!(run_id = %run.id, workflow_id = %run.workflow_id, "Created a run");
    Ok(created(&run, RunView::whole(&run, Some(input), None)))
}

/// The W3C trace context of a request: 55 characters; whatever is longer is none.
fn trace_parent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    Some(text.chars().take(55).collect())
}

/// The caller's run by the id that a path gives, without its values.
pub(crate) async fn find_run(api: &Api, caller: &Caller, id: &str) -> Result<Run, Problem> {
    let not_found = || Problem::not_found("workflow run", id);
    let parsed: RunId = id.parse().map_err(|_| not_found())?;
    api.store
        .run_of(caller.organization_id, parsed)
        .await?
        .ok_or_else(not_found)
}

/// The same with its input and output.
async fn find(api: &Api, caller: &Caller, id: &str) -> Result<RunWithValues, Problem> {
    let not_found = || Problem::not_found("workflow run", id);
    let parsed: RunId = id.parse().map_err(|_| not_found())?;
    api.store
        .run_with_values_of(caller.organization_id, parsed)
        .await?
        .ok_or_else(not_found)
}

/// `GET /workflow-runs/{id}`.
pub(crate) async fn read(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let found = find(&api, &caller, &id).await?;
    let is_known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|tags| {
            tags.split(',')
                .any(|tag| tag.trim().trim_start_matches("W/") == entity_tag(&found.run))
        });
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Json(RunView::whole(&found.run, found.input, found.output)).into_response()
    };
    describe(&found.run, response.headers_mut());
    Ok(response)
}

/// A run as an answer to a call that has just read or changed it.
pub(crate) async fn show(api: &Api, caller: &Caller, id: RunId) -> Result<(Run, RunView), Problem> {
    let found = find(api, caller, &id.to_string()).await?;
    let view = RunView::whole(&found.run, found.input, found.output);
    Ok((found.run, view))
}

/// The headers of a run: its version, and when to ask again.
pub(crate) fn describe(run: &Run, headers: &mut HeaderMap) {
    if let Ok(tag) = HeaderValue::from_str(&entity_tag(run)) {
        headers.insert(header::ETAG, tag);
    }
    if !run.status().is_final() {
        headers.insert(
            header::RETRY_AFTER,
            HeaderValue::from_static(POLL_AGAIN_AFTER_SECONDS),
        );
    }
}

async fn answer_with(api: &Api, caller: &Caller, id: RunId) -> Result<Response, Problem> {
    let (run, view) = show(api, caller, id).await?;
    Ok(created(&run, view))
}

fn created(run: &Run, view: RunView) -> Response {
    let location = format!("/workflow-runs/{}", run.id);
    let mut response = (
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(view),
    )
        .into_response();
    describe(run, response.headers_mut());
    response
}

fn entity_tag(run: &Run) -> String {
    format!("\"{}\"", run.sequence)
}

async fn find_definition(
    api: &Api,
    caller: &Caller,
    asked: &CreateRun,
) -> Result<(u32, Definition), Problem> {
    let id = asked.workflow_id;
    let workflow = api
        .store
        .workflow_of(caller.organization_id, id)
        .await?
        .ok_or_else(|| Problem::not_found("workflow", &id.to_string()))?;
    let number = asked.workflow_version.unwrap_or(workflow.version);
    let version = api
        .store
        .workflow_version(id, number)
        .await?
        .ok_or_else(|| {
            let message = format!(
                "the workflow has no version {number}; its latest is {}",
                workflow.version
            );
            Problem::of_fields(vec![FieldError::new("/workflowVersion", message)])
        })?;
    let json: Value = serde_json::from_str(&version.definition).unwrap_or_default();
    let definition = Definition::parse_json(&json).map_err(|errors| {
        tracing::error!(workflow_id = %id, version = number, errors = errors.len(), "A saved definition can't be read");
        Problem::new(Code::Internal, "the failure has been recorded")
    })?;
    Ok((number, definition))
}

fn check_metadata(metadata: &BTreeMap<String, String>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if metadata.len() > METADATA_ENTRIES {
        let message = format!(
            "at most {METADATA_ENTRIES} entries, found {}",
            metadata.len()
        );
        errors.push(FieldError::new("/metadata", message));
    }
    for (key, value) in metadata {
        let pointer = format!("/metadata/{}", key.replace('~', "~0").replace('/', "~1"));
        if key.is_empty() || key.chars().count() > METADATA_KEY_CHARS {
            errors.push(FieldError::new(
                &pointer,
                format!("a key has 1 to {METADATA_KEY_CHARS} characters"),
            ));
        }
        if value.chars().count() > METADATA_VALUE_CHARS {
            errors.push(FieldError::new(
                &pointer,
                format!("a value has at most {METADATA_VALUE_CHARS} characters"),
            ));
        }
    }
    errors
}

fn check_bindings(bindings: &BTreeMap<String, String>, definition: &Definition) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (name, secret) in bindings {
        let pointer = format!(
            "/secretBindings/{}",
            name.replace('~', "~0").replace('/', "~1")
        );
        if !definition.secret_names().contains(name) {
            errors.push(FieldError::new(
                &pointer,
                "the workflow uses no secret of this name",
            ));
        } else if !secrets::is_name(secret) {
            errors.push(FieldError::new(&pointer, "this is no name of a secret"));
        }
    }
    errors
}

fn check_input(input: &Value, definition: &Definition) -> Result<Vec<FieldError>, Problem> {
    let Some(schema) = &definition.input else {
        return Ok(Vec::new());
    };
    let validator = input_schema::validator(schema).map_err(|why| {
        Problem::of_fields(vec![FieldError::new(
            "/workflowId",
            format!("its input schema: {why}"),
        )])
    })?;
    Ok(input_schema::errors_of(&validator, input))
}
