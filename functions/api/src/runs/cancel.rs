//! Cancelling a run.

use axum::extract::State;
use axum::response::Response;
use domain::RunId;
use domain::run::Event;
use domain::wire::RunView;
use store::{Role, Transition, now};

use crate::body::Body;
use crate::caller::Caller;
use crate::problem::ProblemView;
use crate::runs::{find_run, show};
use crate::segment::Segment;
use crate::{Api, Code, Problem};

/// Cancel a workflow run
///
/// The run is `FAILED` with the code `CANCELED` in the answer itself; its browser stops within about a second. A
/// cancelled run is `FAILED`, and not a status of its own, so that clients that wait for the end see it. Needs the role
/// operator.
#[utoipa::path(
    post, path = "/workflow-runs/{id}/cancel", operation_id = "cancelWorkflowRun", tag = "Workflow runs",
    params(("id" = RunId, Path, description = "The run's id.")),
    responses(
        (status = 200, description = "The run, cancelled.", body = RunView,
            headers(("etag" = String, description = "The run's sequence number."))),
        (status = 409, description = "`run_ended`: the run has ended before; `detail` says as what.",
            body = ProblemView, content_type = "application/problem+json")
    )
)]
pub(crate) async fn cancel(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
    body: Body,
) -> Result<Response, Problem> {
    caller.must_be(Role::Operator)?;
    body.nothing()?;
    let run = find_run(&api, &caller, &id).await?;
    match api.store.transition(run, &Event::Canceled, now()).await? {
        Transition::Committed(run) => show(&api, &caller, run.id).await,
        Transition::Rejected { run, .. } => Err(Problem::new(
            Code::RunEnded,
            format!("the run has ended as {}", run.status()),
        )),
    }
}
