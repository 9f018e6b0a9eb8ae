//! Reading runs: one, or a page of a list.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::run::{Run, Status};
use domain::wire::{RunSummary, RunView};
use domain::{JobRunId, RunId, WorkflowId};
use store::RunFilter;
use utoipa::IntoParams;

use crate::caller::Caller;
use crate::headers::is_known;
use crate::page::{Page, PageRequest};
use crate::parameters::{PageParameters, Parameters, WindowParameters};
use crate::runs::{answer, describe, entity_tag, find, find_run};
use crate::segment::Segment;
use crate::{Api, Problem};

/// What the list of runs can be narrowed to.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "it only describes the parameters")]
pub(crate) struct FilterParameters {
    /// Only runs with this status. At most one of `status`, `workflowId` and `jobRunId` may be given.
    status: Option<Status>,
    /// Only runs of this workflow.
    workflow_id: Option<WorkflowId>,
    /// Only runs of this job run.
    job_run_id: Option<JobRunId>,
}

/// List workflow runs
///
/// Newest first, without `input`, `output` and `stateHistory`. A run whose status changes while the list is read is
/// left out of the list of its old status, so a page may have fewer entries than `limit` while `hasMore` is true.
#[utoipa::path(
    get, path = "/workflow-runs", operation_id = "listWorkflowRuns", tag = "Workflow runs",
    params(FilterParameters, WindowParameters, PageParameters),
    responses((status = 200, description = "A page of runs.", body = Page<RunSummary>))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Caller,
    mut parameters: Parameters,
) -> Result<Json<Page<RunSummary>>, Problem> {
    let filter = read_filter(&mut parameters);
    let window = parameters.window();
    let asked = PageRequest::read(parameters, format!("runs {filter:?} {window:?}"))?;
    let found = api
        .store
        .list_runs(
            caller.organization_id,
            &filter,
            window,
            asked.after,
            asked.limit,
        )
        .await?;
    Ok(Json(asked.page(found, |run: Run| RunSummary::of(&run))))
}

fn read_filter(parameters: &mut Parameters) -> RunFilter {
    let status = parameters.text("status").and_then(|text| {
        match Status::ALL.iter().find(|status| status.as_str() == text) {
            Some(status) => Some(RunFilter::Status(*status)),
            None => {
                let known: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
                parameters.refuse("status", format!("must be one of {}", known.join(", ")));
                None
            }
        }
    });
    let workflow = parameters.value("workflowId").map(RunFilter::Workflow);
    let job_run = parameters.value("jobRunId").map(RunFilter::JobRun);
    let mut given = [
        ("status", status),
        ("workflowId", workflow),
        ("jobRunId", job_run),
    ]
    .into_iter()
    .filter_map(|(name, filter)| Some((name, filter?)));
    let Some((first, filter)) = given.next() else {
        return RunFilter::All;
    };
    for (name, _) in given {
        parameters.refuse(name, format!("can't be given together with {first}"));
    }
    filter
}

/// Read a workflow run
///
/// Cheap to poll: with `If-None-Match`, a run that has not changed is answered with 304 and without a body, and
/// `Retry-After` says when to ask again while the run has not ended. A run has ended when its status is `COMPLETED`,
/// `COMPLETED_WITH_NO_ACTION_TAKEN` or `FAILED`; it never changes after that.
#[utoipa::path(
    get, path = "/workflow-runs/{id}", operation_id = "getWorkflowRun", tag = "Workflow runs",
    params(
        ("id" = RunId, Path, description = "The run's id."),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the answer before.", example = "\"7\"")
    ),
    responses(
        (status = 200, description = "The run.", body = RunView, headers(
            ("etag" = String, description = "The run's sequence number."),
            ("retry-after" = u32, description = "In how many seconds to ask again; absent when the run has ended.")
        )),
        (status = 304, description = "The run has not changed since the answer that `If-None-Match` names.", headers(
            ("etag" = String, description = "The run's sequence number."),
            ("retry-after" = u32, description = "In how many seconds to ask again; absent when the run has ended.")
        ))
    )
)]
pub(crate) async fn read(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    // What has not changed is known from the run alone; its values may be large, and in the bucket.
    if headers.contains_key(header::IF_NONE_MATCH) {
        let run = find_run(&api, &caller, &id).await?;
        if is_known(&headers, &entity_tag(&run)) {
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            describe(&run, response.headers_mut());
            return Ok(response);
        }
    }
    let found = find(&api, &caller, &id).await?;
    let view = RunView::whole(&found.run, found.input, found.output);
    Ok(answer(StatusCode::OK, &found.run, view))
}
