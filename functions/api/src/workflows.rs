//! Workflows: save, read, list, change, delete, check. Every save makes a new version; versions never change.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::definition::{Definition, ValidationError};
use domain::{Timestamp, WorkflowId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{NewVersion, NewWorkflow, Role, SavedVersion, VersionSummary, Workflow, fresh_id, now};
use utoipa::ToSchema;

use crate::body::Body;
use crate::caller::Caller;
use crate::headers::{IdempotencyKeyHeader, Precondition, is_known, precondition};
use crate::page::{Page, PageRequest};
use crate::parameters::{PageParameters, Parameters, WindowParameters};
use crate::problem::FieldError;
use crate::segment::{Segment, Segments};
use crate::{Api, Code, Problem, idempotency, request_log};

/// A workflow to be saved.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SaveWorkflow {
    /// The definition in the workflow language.
    #[schema(value_type = Object)]
    definition: Value,
}

/// A workflow with its latest definition.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Workflow)]
pub(crate) struct WorkflowView {
    #[serde(flatten)]
    summary: WorkflowSummary,
    /// The definition of the version.
    #[schema(value_type = Object)]
    definition: Value,
}

/// A workflow as a list shows it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WorkflowSummary {
    /// Its id, over all versions.
    id: WorkflowId,
    /// The name that the definition gives.
    name: String,
    /// The version, from 1.
    version: u32,
    /// When its first version was saved.
    created_at: Timestamp,
    /// When this version was saved.
    updated_at: Timestamp,
    /// Who saved the first version.
    created_by_user_id: String,
}

/// A version of a workflow as a list shows it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WorkflowVersionSummary)]
pub(crate) struct VersionView {
    /// Its number, from 1.
    version: u32,
    /// When it was saved.
    created_at: Timestamp,
    /// Who saved it.
    created_by_user_id: String,
}

/// A version of a workflow with its definition.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WorkflowVersion)]
pub(crate) struct WholeVersionView {
    #[serde(flatten)]
    summary: VersionView,
    /// The definition as it was saved.
    #[schema(value_type = Object)]
    definition: Value,
}

/// What is wrong with a definition.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Validation)]
pub(crate) struct ValidationView {
    /// Whether it could be saved as it is.
    valid: bool,
    /// Everything that is wrong with it.
    errors: Vec<FieldError>,
}

/// Save a new workflow
///
/// The body is `{"definition": …}`, or the YAML itself as `application/yaml`. Needs the role admin.
#[utoipa::path(
    post, path = "/workflows", operation_id = "createWorkflow", tag = "Workflows",
    params(IdempotencyKeyHeader),
    request_body(content((SaveWorkflow = "application/json"), (String = "application/yaml"))),
    responses((status = 201, description = "The workflow was saved as version 1.", body = WorkflowView,
        headers(
            ("location" = String, description = "Where it can be read."),
            ("etag" = String, description = "The version, for `If-Match`.")
        )))
)]
pub(crate) async fn create(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    caller.must_be(Role::Admin)?;
    let (definition, text) = parse(&body)?;
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
        definition: text,
    };
    let id = match api.store.create_workflow(&new, key.as_ref()).await? {
        None => id,
        Some(replay) => idempotency::replayed(replay)?,
    };
    request_log::made("workflow_id", id);
    let workflow = find(&api, &caller, id).await?;
    let location = format!("/workflows/{id}");
    let headers = [
        (header::LOCATION, location),
        (header::ETAG, entity_tag(workflow.version)),
    ];
    let body = Json(whole(&api, workflow).await?);
    Ok((StatusCode::CREATED, headers, body).into_response())
}

/// List workflows
///
/// Newest first.
#[utoipa::path(
    get, path = "/workflows", operation_id = "listWorkflows", tag = "Workflows",
    params(WindowParameters, PageParameters),
    responses((status = 200, description = "A page of workflows.", body = Page<WorkflowSummary>))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Caller,
    mut parameters: Parameters,
) -> Result<Json<Page<WorkflowSummary>>, Problem> {
    let window = parameters.window();
    let asked = PageRequest::read(parameters, format!("workflows {window:?}"))?;
    let found = api
        .store
        .list_workflows(caller.organization_id, window, asked.after, asked.limit)
        .await?;
    Ok(Json(asked.page(found, summary)))
}

/// Read a workflow
///
/// With its latest definition.
#[utoipa::path(
    get, path = "/workflows/{id}", operation_id = "getWorkflow", tag = "Workflows",
    params(
        ("id" = WorkflowId, Path, description = "The workflow's id."),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the answer before.", example = "\"1\"")
    ),
    responses(
        (status = 200, description = "The workflow.", body = WorkflowView,
            headers(("etag" = String, description = "The version, for `If-Match`."))),
        (status = 304, description = "It is still the version that `If-None-Match` names.")
    )
)]
pub(crate) async fn read(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let workflow = find_by_text(&api, &caller, &id).await?;
    let tag = entity_tag(workflow.version);
    if is_known(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    Ok(([(header::ETAG, tag)], Json(whole(&api, workflow).await?)).into_response())
}

/// Save a new version of a workflow
///
/// Runs that exist keep the version that they started with. With `If-Match`, the version is saved only on top of the
/// version named there. Needs the role admin.
#[utoipa::path(
    put, path = "/workflows/{id}", operation_id = "updateWorkflow", tag = "Workflows",
    params(
        ("id" = WorkflowId, Path, description = "The workflow's id."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the version that the new one is made from.",
            example = "\"1\"")
    ),
    request_body(content((SaveWorkflow = "application/json"), (String = "application/yaml"))),
    responses(
        (status = 200, description = "The new version was saved.", body = WorkflowView,
            headers(("etag" = String, description = "The version, for `If-Match`."))),
        (status = 412, description = "`version_changed`: the workflow is another version than `If-Match` names.",
            body = crate::problem::ProblemView, content_type = "application/problem+json")
    )
)]
pub(crate) async fn update(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    Segment(id): Segment,
    body: Body,
) -> Result<Response, Problem> {
    caller.must_be(Role::Admin)?;
    let (definition, text) = parse(&body)?;
    let workflow = find_by_text(&api, &caller, &id).await?;
    let changed = |version: u32| {
        let detail = format!("the workflow is version {version} by now");
        Problem::new(Code::VersionChanged, detail)
    };
    let expected = if headers.contains_key(header::IF_MATCH) {
        match precondition(&headers, &entity_tag(workflow.version)) {
            Precondition::AnyVersion => None,
            Precondition::ThisVersion => Some(workflow.version),
            Precondition::Other => return Err(changed(workflow.version)),
        }
    } else {
        None
    };
    let new = NewVersion {
        name: definition.name.clone(),
        definition: text,
        user_id: caller.user_id.clone(),
        at: now(),
    };
    let saved = api
        .store
        .save_workflow_version(caller.organization_id, workflow.id, expected, &new)
        .await?;
    match saved {
        SavedVersion::Saved(workflow) => {
            let tag = entity_tag(workflow.version);
            Ok(([(header::ETAG, tag)], Json(whole(&api, workflow).await?)).into_response())
        }
        SavedVersion::Absent => Err(Problem::not_found("workflow", id)),
        SavedVersion::Stale { version } => Err(changed(version)),
    }
}

/// Delete a workflow
///
/// Runs that exist keep their version and go on; no new ones can be made. Needs the role admin.
#[utoipa::path(
    delete, path = "/workflows/{id}", operation_id = "deleteWorkflow", tag = "Workflows",
    params(("id" = WorkflowId, Path, description = "The workflow's id.")),
    responses((status = 204, description = "The workflow is gone."))
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
) -> Result<StatusCode, Problem> {
    caller.must_be(Role::Admin)?;
    let not_found = || Problem::not_found("workflow", &id);
    let parsed = id.parse().map_err(|_| not_found())?;
    let is_deleted = api
        .store
        .delete_workflow(caller.organization_id, parsed)
        .await?;
    if is_deleted {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(not_found())
    }
}

/// List the versions of a workflow
///
/// Newest first, without their definitions.
#[utoipa::path(
    get, path = "/workflows/{id}/versions", operation_id = "listWorkflowVersions", tag = "Workflows",
    params(("id" = WorkflowId, Path, description = "The workflow's id."), PageParameters),
    responses((status = 200, description = "A page of versions.", body = Page<VersionView>))
)]
pub(crate) async fn list_versions(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
    parameters: Parameters,
) -> Result<Json<Page<VersionView>>, Problem> {
    let asked = PageRequest::read(parameters, format!("versions {id}"))?;
    let not_found = || Problem::not_found("workflow", &id);
    let parsed = id.parse().map_err(|_| not_found())?;
    let found = api
        .store
        .list_workflow_versions(caller.organization_id, parsed, asked.after, asked.limit)
        .await?
        .ok_or_else(not_found)?;
    Ok(Json(asked.page(found, |version: VersionSummary| {
        VersionView {
            version: version.version,
            created_at: version.created_at,
            created_by_user_id: version.created_by_user_id,
        }
    })))
}

/// Read a version of a workflow
#[utoipa::path(
    get, path = "/workflows/{id}/versions/{version}", operation_id = "getWorkflowVersion", tag = "Workflows",
    params(
        ("id" = WorkflowId, Path, description = "The workflow's id."),
        ("version" = u32, Path, description = "The version's number, from 1.")
    ),
    responses((status = 200, description = "The version.", body = WholeVersionView))
)]
pub(crate) async fn read_version(
    State(api): State<Api>,
    caller: Caller,
    Segments((id, version)): Segments<(String, String)>,
) -> Result<Json<WholeVersionView>, Problem> {
    let workflow = find_by_text(&api, &caller, &id).await?;
    let not_found = || Problem::not_found("version", &version);
    // One number has one spelling.
    let number: Option<u32> = version.parse().ok();
    let number = number
        .filter(|number| number.to_string() == version)
        .ok_or_else(not_found)?;
    if !workflow.has_version(number) {
        return Err(not_found());
    }
    let found = api.store.workflow_version(workflow.id, number).await?;
    let found = found.ok_or_else(Problem::unavailable)?;
    Ok(Json(WholeVersionView {
        summary: VersionView {
            version: number,
            created_at: found.created_at,
            created_by_user_id: found.created_by_user_id,
        },
        definition: definition_of(&found.definition)?,
    }))
}

/// Check a definition
///
/// Finds everything that is wrong with it, without saving it. Answers 200 for every body that holds a definition, right
/// or wrong: `valid` says whether it could be saved. The body is as for saving it.
#[utoipa::path(
    post, path = "/workflows/validate", operation_id = "validateWorkflow", tag = "Workflows",
    request_body(content((SaveWorkflow = "application/json"), (String = "application/yaml"))),
    responses((status = 200, description = "What was found.", body = ValidationView))
)]
pub(crate) async fn validate(_caller: Caller, body: Body) -> Result<Json<ValidationView>, Problem> {
    let errors = match check(&body)? {
        Ok(_) => Vec::new(),
        Err(errors) => errors,
    };
    Ok(Json(ValidationView {
        valid: errors.is_empty(),
        errors,
    }))
}

/// The caller's workflow by the id that a path gives.
async fn find_by_text(api: &Api, caller: &Caller, id: &str) -> Result<Workflow, Problem> {
    let parsed = id.parse().map_err(|_| Problem::not_found("workflow", id))?;
    find(api, caller, parsed).await
}

/// The caller's workflow.
pub(crate) async fn find(api: &Api, caller: &Caller, id: WorkflowId) -> Result<Workflow, Problem> {
    api.store
        .workflow_of(caller.organization_id, id)
        .await?
        .ok_or_else(|| Problem::not_found("workflow", id))
}

fn summary(workflow: Workflow) -> WorkflowSummary {
    WorkflowSummary {
        id: workflow.id,
        name: workflow.name,
        version: workflow.version,
        created_at: workflow.created_at,
        updated_at: workflow.updated_at,
        created_by_user_id: workflow.created_by_user_id,
    }
}

async fn whole(api: &Api, workflow: Workflow) -> Result<WorkflowView, Problem> {
    let version = api
        .store
        .workflow_version(workflow.id, workflow.version)
        .await?
        .ok_or_else(Problem::unavailable)?;
    Ok(WorkflowView {
        definition: definition_of(&version.definition)?,
        summary: summary(workflow),
    })
}

fn definition_of(text: &str) -> Result<Value, Problem> {
    serde_json::from_str(text).map_err(|error| {
        tracing::error!(%error, "A saved definition is no JSON");
        Problem::internal()
    })
}

fn entity_tag(version: u32) -> String {
    format!("\"{version}\"")
}

/// Reads a definition, or everything that is wrong with it. What is wrong with the request itself is a problem.
fn check(body: &Body) -> Result<Result<Definition, Vec<FieldError>>, Problem> {
    let (parsed, prefix) = match body.media_type.as_str() {
        "application/json" => {
            let SaveWorkflow { definition } = body.json()?;
            (Definition::parse_json(&definition), "/definition")
        }
        // RFC 9512 registers the first; the others were used before it.
        "application/yaml" | "application/x-yaml" | "text/yaml" => {
            let Ok(text) = std::str::from_utf8(&body.bytes) else {
                return Ok(Err(vec![FieldError::new("", "the YAML is not UTF-8")]));
            };
            (Definition::parse_yaml(text), "")
        }
        _ => return Err(body.unsupported("application/json or application/yaml")),
    };
    Ok(parsed.map_err(|errors| of_definition(errors, prefix)))
}

/// A definition that can be saved, with its text.
fn parse(body: &Body) -> Result<(Definition, String), Problem> {
    let definition = check(body)?.map_err(Problem::of_fields)?;
    let text = definition.to_json().to_string();
    Ok((definition, text))
}

fn of_definition(errors: Vec<ValidationError>, prefix: &str) -> Vec<FieldError> {
    let errors = errors.into_iter().map(|error| FieldError {
        pointer: Some(format!("{prefix}{}", error.place.pointer)),
        parameter: None,
        message: error.message,
        rule: Some(error.rule),
        suggestion: error.suggestion,
        line: error.place.line,
        column: error.place.column,
    });
    errors.collect()
}
