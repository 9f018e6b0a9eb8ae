//! Artifacts: what a run produced, with URLs to read it.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use domain::wire::ArtifactType;
use domain::{ArtifactId, RunId, Timestamp};
use serde::Serialize;

use crate::caller::Caller;
use crate::segment::Segment;
use crate::{Api, Problem, runs};

/// For how long a download URL works.
const URL_VALID_FOR: Duration = Duration::from_secs(15 * 60);

/// An artifact as clients see it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ArtifactView {
    id: ArtifactId,
    workflow_run_id: RunId,
    #[serde(rename = "type")]
    artifact_type: ArtifactType,
    name: String,
    content_type: String,
    size_bytes: u64,
    sha256: String,
    state_name: Option<String>,
    created_at: Timestamp,
    download_url: String,
    download_url_expires_at: Timestamp,
}

/// A page of a list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page<T> {
    data: Vec<T>,
    has_more: bool,
    next_cursor: Option<String>,
}

/// `GET /workflow-runs/{id}/artifacts`: all of them at once, oldest first; a run has few.
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
) -> Result<Json<Page<ArtifactView>>, Problem> {
    let run = runs::find_run(&api, &caller, &id).await?;
    let mut data = Vec::new();
    for artifact in api.store.artifacts(&run).await? {
        let url = api.store.presign_artifact(&artifact, URL_VALID_FOR).await?;
        data.push(ArtifactView {
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
        });
    }
    Ok(Json(Page {
        data,
        has_more: false,
        next_cursor: None,
    }))
}
