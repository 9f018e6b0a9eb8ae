//! Creating runs: as the caller asks, or again as an earlier one.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use domain::definition::Definition;
use domain::run::{NewRun, Policy, Run};
use domain::wire::RunView;
use domain::{RunId, WorkflowId};
use serde::Deserialize;
use serde_json::Value;
use store::{
    AllowanceKind, CreatedRun, IdempotencyKey, Replay, Role, Room, RunMessage, fresh_commit,
    fresh_id, now,
};
use utoipa::ToSchema;

use crate::body::Body;
use crate::caller::Caller;
use crate::headers::IdempotencyKeyHeader;
use crate::problem::{FieldError, ProblemView, pointer_token};
use crate::runs::{answer, find};
use crate::segment::Segment;
use crate::{Api, Code, Problem, idempotency, request_log, secrets, workflows};

/// How many strings of their own a caller may give.
const METADATA_ENTRIES: usize = 16;
const METADATA_KEY_CHARS: usize = 64;
const METADATA_VALUE_CHARS: usize = 256;

/// A workflow run to be created.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = CreateWorkflowRun)]
pub(crate) struct CreateRun {
    /// The workflow to execute.
    workflow_id: WorkflowId,
    /// Its version; the latest one if it is left out.
    #[schema(minimum = 1)]
    workflow_version: Option<u32>,
    /// What the workflow's input schema asks for; `{}` if it is left out. The run's `input` has the schema's defaults, too.
    #[schema(value_type = Option<Object>)]
    input: Option<Value>,
    /// Up to 16 strings of your own, echoed in the run and in webhooks. A key has 1 to 64 characters, a value at most
    /// 256.
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    /// Which secret of the organization stands for which name in the definition. A name that is left out stands for
    /// the secret of the same name.
    #[serde(default)]
    secret_bindings: BTreeMap<String, String>,
}

/// Create a workflow run
///
/// The run begins as `PENDING` and is queued at once. Needs the role operator.
#[utoipa::path(
    post, path = "/workflow-runs", operation_id = "createWorkflowRun", tag = "Workflow runs",
    params(IdempotencyKeyHeader),
    request_body(content = CreateRun, content_type = "application/json"),
    responses((status = 201, description = "The run was created.", body = RunView, headers(
        ("location" = String, description = "Where it can be read."),
        ("etag" = String, description = "The run's sequence number."),
        ("retry-after" = u32, description = "In how many seconds to ask for it.")
    )))
)]
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
        return answer_again(&api, &caller, replay).await;
    }

    let (number, definition) = find_version(&api, &caller, &asked).await?;
    let input = match asked.input.clone() {
        None | Some(Value::Null) => Value::Object(serde_json::Map::new()),
        Some(input) => input,
    };
    let mut errors = check_metadata(&asked.metadata);
    errors.extend(check_bindings(&asked.secret_bindings, &definition));
    let input = match complete_input(input, &definition) {
        Ok(input) if errors.is_empty() => input,
        Ok(_) => return Err(Problem::of_fields(errors)),
        Err(more) => {
            errors.extend(more);
            return Err(Problem::of_fields(errors));
        }
    };

    let new = NewRun {
        id: fresh_id(RunId::new, now()),
        organization_id: caller.organization_id,
        workflow_id: asked.workflow_id,
        workflow_version: number,
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

/// Run a workflow run again
///
/// Creates a new run of the same version with the same input, metadata and secret bindings; its `retryOfRunId` names the
/// earlier one, which must have ended. A run of a job run is retried by itself: the job run doesn't change. Needs the
/// role operator.
#[utoipa::path(
    post, path = "/workflow-runs/{id}/retry", operation_id = "retryWorkflowRun", tag = "Workflow runs",
    params(("id" = RunId, Path, description = "The id of the earlier run."), IdempotencyKeyHeader),
    responses(
        (status = 201, description = "The new run was created.", body = RunView, headers(
            ("location" = String, description = "Where it can be read."),
            ("etag" = String, description = "The run's sequence number."),
            ("retry-after" = u32, description = "In how many seconds to ask for it.")
        )),
        (status = 409, description = "`run_not_ended`: the earlier run has not ended. `workflow_deleted`: its workflow was deleted. `run_input_gone`: its input was deleted.",
            body = ProblemView, content_type = "application/problem+json")
    )
)]
pub(crate) async fn retry(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    Segment(id): Segment,
    body: Body,
) -> Result<Response, Problem> {
    caller.must_be(Role::Operator)?;
    body.nothing()?;
    let operation = format!("POST /workflow-runs/{id}/retry");
    let key = idempotency::key_of(&headers, &caller, &operation, b"")?;
    if let Some(key) = &key
        && let Some(replay) = api.store.replay(key).await?
    {
        return answer_again(&api, &caller, replay).await;
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
    if api
        .store
        .workflow_of(caller.organization_id, run.workflow_id)
        .await?
        .is_none()
    {
        let detail = "the run's workflow was deleted; a deleted workflow is not run again";
        return Err(Problem::new(Code::WorkflowDeleted, detail));
    }
    let Some(input) = earlier.input else {
        let detail = "the run's input was deleted; it can't be run again as it was";
        return Err(Problem::new(Code::RunInputGone, detail));
    };
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
    begin(&api, &caller, new, input, key.as_ref()).await
}

/// Writes a new run, puts it into the queue, and answers with it.
async fn begin(
    api: &Api,
    caller: &Caller,
    new: NewRun,
    input: Value,
    key: Option<&IdempotencyKey>,
) -> Result<Response, Problem> {
    let at = now();
    let spent = api.limits.spend(
        &api.store,
        caller.organization_id,
        AllowanceKind::Creates,
        at,
    );
    let (spent, room) = tokio::join!(spent, api.store.room(caller.organization_id));
    spent?;
    let mut run = Run::create(new, at, fresh_commit());
    let room = room?;
    if room != Room::Free {
        run = run.admitted(false, at);
    }
    if let CreatedRun::Replayed(replay) = api.store.create_run(&run, &input, key).await? {
        return answer_again(api, caller, replay).await;
    }
    let enqueued = match room {
        Room::Free => api.store.enqueue_run(RunMessage::about(&run)).await,
        // It is enqueued when another one ends.
        Room::Taken(by) => api.store.admit_written(&run, &by, at).await,
    };
    if let Err(error) = enqueued {
        // The run is written, and its dueAt makes the sweeper enqueue it: the caller has what they asked for.
        tracing::warn!(run_id = %run.id, %error, "A run could not be enqueued; the sweeper will do it");
    }
    request_log::made("run_id", run.id);
    request_log::made("workflow_id", run.workflow_id);
    Ok(created(&run, RunView::whole(&run, Some(input), None)))
}

/// The trace context of a request (W3C Trace Context, section 3.2), in the only version that there is; anything else
/// is none.
fn trace_parent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let is_hex = |part: &str| {
        part.bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let mut parts = text.split('-');
    let lengths = [2, 32, 16, 2];
    let is_right = lengths.iter().all(|length| {
        parts
            .next()
            .is_some_and(|part| part.len() == *length && is_hex(part))
    });
    (is_right && parts.next().is_none() && text.starts_with("00-")).then(|| text.to_owned())
}

/// The answer to a call that has been made before.
async fn answer_again(api: &Api, caller: &Caller, replay: Replay) -> Result<Response, Problem> {
    let id: RunId = idempotency::replayed(replay)?;
    request_log::made("run_id", id);
    let found = api
        .store
        .run_with_values_of(caller.organization_id, id)
        .await?;
    // It is there: what one transaction wrote can be read item by item, and the run may come last.
    let found = found.ok_or_else(Problem::unavailable)?;
    let view = RunView::whole(&found.run, found.input, found.output);
    Ok(created(&found.run, view))
}

fn created(run: &Run, view: RunView) -> Response {
    let mut response = answer(StatusCode::CREATED, run, view);
    if let Ok(location) = HeaderValue::from_str(&format!("/workflow-runs/{}", run.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

async fn find_version(
    api: &Api,
    caller: &Caller,
    asked: &CreateRun,
) -> Result<(u32, Arc<Definition>), Problem> {
    let id = asked.workflow_id;
    let workflow = workflows::find(api, caller, id).await?;
    let number = asked.workflow_version.unwrap_or(workflow.version);
    if !workflow.has_version(number) {
        let message = format!(
            "the workflow has no version {number}; its latest is {}",
            workflow.version
        );
        let error = FieldError::new("/workflowVersion", message);
        return Err(Problem::of_fields(vec![error]));
    }
    let definition = api.versions.read(&api.store, id, number).await?;
    Ok((number, definition.ok_or_else(Problem::unavailable)?))
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
        let pointer = format!("/metadata/{}", pointer_token(key));
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
        let pointer = format!("/secretBindings/{}", pointer_token(name));
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

/// The input as the run has it, or what is wrong with it.
fn complete_input(input: Value, definition: &Definition) -> Result<Value, Vec<FieldError>> {
    if !input.is_object() {
        let error = FieldError::new("/input", "an input is an object");
        return Err(vec![error]);
    }
    let Some(schema) = &definition.input else {
        return Ok(input);
    };
    let completed = schema.complete(input);
    completed.map_err(|errors| {
        errors
            .into_iter()
            .map(|error| FieldError::new(format!("/input{}", error.pointer), error.message))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_context_that_is_none_is_not_kept() {
        let kept = |text: &str| {
            let mut headers = HeaderMap::new();
            let value = HeaderValue::from_bytes(text.as_bytes()).expect("a value");
            headers.insert("traceparent", value);
            trace_parent(&headers)
        };
        let right = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(kept(right).as_deref(), Some(right));
        for wrong in [
            "",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            &"x".repeat(55),
        ] {
            assert_eq!(kept(wrong), None, "{wrong}");
        }
    }
}
