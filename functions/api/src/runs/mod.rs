//! Workflow runs: create and retry, list and read, cancel, answer.

pub(crate) mod cancel;
pub(crate) mod create;
pub(crate) mod read;
pub(crate) mod user_input;

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::RunId;
use domain::run::Run;
use domain::wire::RunView;
use store::RunWithValues;

use crate::caller::Caller;
use crate::{Api, Problem};

/// When a client that polls should ask again, in seconds.
const POLL_AGAIN_AFTER_SECONDS: &str = "2";

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

/// A run as the answer to a call that has just read or changed it.
async fn show(api: &Api, caller: &Caller, id: RunId) -> Result<Response, Problem> {
    let found = find(api, caller, &id.to_string()).await?;
    Ok(answer(
        StatusCode::OK,
        &found.run,
        RunView::whole(&found.run, found.input, found.output),
    ))
}

/// A run with the headers that go with it: its version, and when to ask again.
fn answer(status: StatusCode, run: &Run, view: RunView) -> Response {
    let mut response = (status, Json(view)).into_response();
    describe(run, response.headers_mut());
    response
}

fn describe(run: &Run, headers: &mut HeaderMap) {
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

/// Each change of a run has a sequence number, so that names the version of what a client has.
fn entity_tag(run: &Run) -> String {
    format!("\"{}\"", run.sequence)
}
