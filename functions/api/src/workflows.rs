//! Workflows: save and read.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::definition::{Definition, ValidationError};
use domain::{Timestamp, WorkflowId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{NewWorkflow, Role, Workflow, fresh_id, now};

use crate::body::Body;
use crate::caller::Caller;
use crate::problem::FieldError;
use crate::segment::Segment;
use crate::{Api, Problem, idempotency, input_schema};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreateWorkflow {
    definition: Value,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WorkflowView {
    id: WorkflowId,
    name: String,
    version: u32,
    definition: Value,
    created_at: Timestamp,
    updated_at: Timestamp,
    created_by_user_id: String,
}

/// `POST /workflows`.
pub(crate) async fn create(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    caller.must_be(Role::Admin)?;
    let definition = parse(&body)?;
    let key = idempotency::key_of(&headers, &caller, "POST /workflows", &body.bytes)?;
    let at = now();
    let id = fresh_id(WorkflowId::new, at);
    let new = NewWorkflow {
        workflow: Workflow {
            id,
            organization_id: caller.organization_id,
            name: definition.name.clone(),
            version: 1,
            created_at: at,
            updated_at: at,
            created_by_user_id: caller.user_id.clone(),
        },
        definition: definition.to_json().to_string(),
    };
    let id = match api.store.create_workflow(&new, key.as_ref()).await? {
        None => id,
        Some(replay) => idempotency::replayed(replay)?,
    };
    let view = view_of(&api, &caller, id).await?;
    let location = format!("/workflows/{id}");
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(view),
    )
        .into_response())
}

/// `GET /workflows/{id}`.
pub(crate) async fn read(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let parsed = id
        .parse()
        .map_err(|_| Problem::not_found("workflow", &id))?;
    Ok(Json(view_of(&api, &caller, parsed).await?).into_response())
}

async fn view_of(api: &Api, caller: &Caller, id: WorkflowId) -> Result<WorkflowView, Problem> {
    let not_found = || Problem::not_found("workflow", &id.to_string());
    let workflow = api
        .store
        .workflow_of(caller.organization_id, id)
        .await?
        .ok_or_else(not_found)?;
    let version = api
        .store
        .workflow_version(id, workflow.version)
        .await?
        .ok_or_else(not_found)?;
    Ok(WorkflowView {
        id,
        name: workflow.name,
        version: workflow.version,
        definition: serde_json::from_str(&version.definition).unwrap_or_default(),
        created_at: workflow.created_at,
        updated_at: workflow.updated_at,
        created_by_user_id: workflow.created_by_user_id,
    })
}

fn parse(body: &Body) -> Result<Definition, Problem> {
    let is_yaml = matches!(
        body.media_type.as_str(),
        "application/yaml" | "application/x-yaml" | "text/yaml"
    );
    let (parsed, prefix) = if is_yaml {
        let text = std::str::from_utf8(&body.bytes)
            .map_err(|_| Problem::of_fields(vec![FieldError::new("", "the YAML is not UTF-8")]))?;
        (Definition::parse_yaml(text), "")
    } else {
        let CreateWorkflow { definition } = body.json()?;
        (Definition::parse_json(&definition), "/definition")
    };
    let definition = parsed.map_err(|errors| of_definition(errors, prefix))?;
    if let Some(schema) = &definition.input
        && let Err(why) = input_schema::validator(schema)
    {
        return Err(Problem::of_fields(vec![FieldError::new(
            format!("{prefix}/input"),
            why,
        )]));
    }
    Ok(definition)
}

fn of_definition(errors: Vec<ValidationError>, prefix: &str) -> Problem {
    let errors = errors.into_iter().map(|error| FieldError {
        pointer: format!("{prefix}{}", error.place.pointer),
        message: error.message,
        suggestion: error.suggestion,
        line: error.place.line,
        column: error.place.column,
    });
    Problem::of_fields(errors.collect())
}
