//! What came of a run: run.json, in the words of the API, and what a person reads.

use std::path::Path;
use std::time::{Duration, Instant};

use domain::definition::Definition;
use domain::run::{Status, Timings};
use domain::wire::ArtifactType;
use engine::{Outcome, Report};
use serde::Serialize;
use serde_json::{Value, json};

use crate::display;

/// An artifact, as the API shows it, where it has no id.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Artifact {
    #[serde(rename = "type")]
    pub(super) artifact_type: ArtifactType,
    pub(super) name: String,
    pub(super) content_type: String,
    pub(super) size_bytes: u64,
    pub(super) sha256: String,
    pub(super) state_name: Option<String>,
}

/// When a run began.
pub(super) struct Started(Instant);

impl Started {
    pub(super) fn now() -> Self {
        Self(Instant::now())
    }
}

/// The run as `GET /workflow-runs/{id}` would show it, as far as a run alone has it.
pub(super) fn of(
    definition: &Definition,
    report: &Report,
    state: Option<String>,
    artifacts: Vec<Artifact>,
    started: Started,
) -> Value {
    let (status, output, failure, reason) = match &report.outcome {
        Outcome::Completed { output } => (Status::Completed, output.as_ref(), None, None),
        Outcome::NoAction { reason } => {
            let status = Status::CompletedWithNoActionTaken;
            (status, None, None, Some(reason))
        }
        Outcome::Failed(failure) => (Status::Failed, None, Some(failure), None),
    };
    let timings = Timings {
        states: report
            .state_timings
            .iter()
            .map(|(name, took)| (name.clone(), millis(*took)))
            .collect(),
        awaiting_user: millis(report.awaiting_user),
        artifacts: millis(report.artifacts),
        total: millis(started.0.elapsed()),
        ..Timings::default()
    };
    json!({
        "workflowName": definition.name,
        "status": status,
        "currentStateName": state,
        "output": output,
        "failure": failure,
        "noActionReason": reason,
        "timings": timings,
        "artifacts": artifacts,
    })
}

/// Says how it ended: the output on standard output, everything else beside it.
pub(super) fn show(outcome: &Outcome, folder: &Path) {
    match outcome {
        Outcome::Completed { output } => {
            display::note("COMPLETED");
            if let Some(output) = output {
                display::line(&format!("{output:#}"));
            }
        }
        Outcome::NoAction { reason } => {
            display::note(&format!("COMPLETED_WITH_NO_ACTION_TAKEN: {reason}"));
        }
        Outcome::Failed(failure) => {
            let code = match &failure.custom_code {
                Some(custom) => custom.clone(),
                None => json!(failure.code).as_str().unwrap_or_default().to_owned(),
            };
            display::note(&format!("FAILED ({code}): {}", failure.message));
            if let Some(step) = &failure.step {
                display::note(&format!("  in {step}"));
            }
        }
    }
    display::note(&format!("Everything is in {}", folder.display()));
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
