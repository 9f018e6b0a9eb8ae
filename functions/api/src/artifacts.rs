//! Artifacts: what a run produced, with URLs to read it.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::wire::ArtifactType;
use domain::{ArtifactId, RunId, Timestamp};
use serde::Serialize;
use store::Artifact;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::page::{Page, PageRequest};
use crate::parameters::{PageParameters, Parameters};
use crate::segment::Segment;
use crate::{Api, Problem, runs};

/// For how long a download URL works.
const URL_VALID_FOR: Duration = Duration::from_secs(15 * 60);

/// Bytes that a run produced.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Artifact)]
pub(crate) struct ArtifactView {
    /// Its id.
    id: ArtifactId,
    /// The run that produced it.
    workflow_run_id: RunId,
    /// What it is.
    #[serde(rename = "type")]
    artifact_type: ArtifactType,
    /// Its file name, unique in the run.
    name: String,
    /// Its media type.
    content_type: String,
    /// Its length in bytes.
    size_bytes: u64,
    /// The SHA-256 of its bytes, in lower-case hexadecimal.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    sha256: String,
    /// The state that produced it; null if none did.
    state_name: Option<String>,
    /// When it was stored.
    created_at: Timestamp,
    /// A URL that gives the bytes to anybody who has it, under the artifact's name, for 15 minutes.
    #[schema(format = Uri)]
    download_url: String,
    /// Until when `downloadUrl` works.
    download_url_expires_at: Timestamp,
}

/// List the artifacts of a workflow run
///
/// Newest first.
#[utoipa::path(
    get, path = "/workflow-runs/{id}/artifacts", operation_id = "listWorkflowRunArtifacts", tag = "Artifacts",
    params(("id" = RunId, Path, description = "The run's id."), PageParameters),
    responses((status = 200, description = "A page of artifacts.", body = Page<ArtifactView>))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let asked = PageRequest::read(parameters, format!("artifacts {id}"))?;
    let run = runs::find_run(&api, &caller, &id).await?;
    let found = api
        .store
        .list_artifacts(&run, asked.after, asked.limit)
        .await?;
    let mut views = Vec::with_capacity(found.items.len());
    for artifact in found.items {
        views.push(view(&api, artifact).await?);
    }
    let found = store::Page {
        items: views,
        next: found.next,
    };
    Ok(not_stored(Json(asked.page(found, |view| view))))
}

/// Read an artifact
///
/// Its metadata, with a URL that gives its bytes for a while.
#[utoipa::path(
    get, path = "/artifacts/{id}", operation_id = "getArtifact", tag = "Artifacts",
    params(("id" = ArtifactId, Path, description = "The artifact's id.")),
    responses((status = 200, description = "The artifact.", body = ArtifactView))
)]
pub(crate) async fn read(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let artifact = find(&api, &caller, &id).await?;
    Ok(not_stored(Json(view(&api, artifact).await?)))
}

/// Download an artifact
///
/// Redirects to a URL that gives the bytes. Don't send the API key there: most clients leave it out when they follow a
/// redirect to another host.
#[utoipa::path(
    get, path = "/artifacts/{id}/content", operation_id = "downloadArtifact", tag = "Artifacts",
    params(("id" = ArtifactId, Path, description = "The artifact's id.")),
    responses((status = 302, description = "`Location` gives the bytes, under the artifact's name.",
        headers(("location" = String, description = "A URL that works for 15 minutes."))))
)]
pub(crate) async fn content(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let artifact = find(&api, &caller, &id).await?;
    let url = api.store.presign_artifact(&artifact, URL_VALID_FOR).await?;
    let location = [(header::LOCATION, url.url)];
    Ok(not_stored((StatusCode::FOUND, location)))
}

/// An answer with a URL in it, which is a credential for a while: no cache may keep it.
fn not_stored(answer: impl IntoResponse) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], answer).into_response()
}

async fn find(api: &Api, caller: &Caller, id: &str) -> Result<Artifact, Problem> {
    let not_found = || Problem::not_found("artifact", id);
    let parsed: ArtifactId = id.parse().map_err(|_| not_found())?;
    api.store
        .artifact_of(caller.organization_id, parsed)
        .await?
        .ok_or_else(not_found)
}

async fn view(api: &Api, artifact: Artifact) -> Result<ArtifactView, Problem> {
    let url = api.store.presign_artifact(&artifact, URL_VALID_FOR).await?;
    Ok(ArtifactView {
        id: artifact.id,
        workflow_run_id: artifact.run_id,
        artifact_type: artifact.artifact_type,
        name: artifact.name,
        content_type: artifact.content_type,
        size_bytes: artifact.size_bytes,
        sha256: artifact.sha256,
        state_name: artifact.state_name,
        created_at: artifact.created_at,
        download_url: url.url,
        download_url_expires_at: url.expires_at,
    })
}
