//! What clients see: the resources as the API and the webhooks show them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::run::{InputRequest, Phase, Run, SkippedState, Status, Timings};
use crate::{Failure, JobRunId, RunId, Timestamp, WorkflowId};

/// One line of a run's timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = StateChange))]
#[serde(rename_all = "camelCase")]
pub struct HistoryView {
    /// Grows by exactly one each time.
    pub sequence: u64,
    /// The status after the change.
    pub status: Status,
    /// The state after the change.
    pub state_name: Option<String>,
    /// The attempt after the change.
    pub attempt: u32,
    /// When it was made.
    pub at: Timestamp,
    /// The states that were skipped since the change before, and why; almost always none.
    #[serde(default)]
    pub skipped_states: Vec<SkippedState>,
    /// Until when the run waits before it is executed again; null if it does not wait.
    #[serde(default)]
    pub not_before: Option<Timestamp>,
}

/// A workflow run as a list shows it. A field without a value is `null`, not absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = WorkflowRunSummary))]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    /// The run's id.
    pub id: RunId,
    /// The workflow that it executes.
    pub workflow_id: WorkflowId,
    /// The workflow's version that it started with, and keeps.
    pub workflow_version: u32,
    /// The job run that created and manages it; null if none did.
    pub job_run_id: Option<JobRunId>,
    /// The user of the API key that it was created with; for a scheduled job run, the job's creator.
    pub created_by_user_id: String,
    /// Where it stands.
    pub status: Status,
    /// The name of the state being executed: null before the first one, never a skipped one, and the last one when the
    /// run has ended.
    pub current_state_name: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// When a worker took it for the first time; null until then.
    pub started_at: Option<Timestamp>,
    /// When it ended; null until then.
    pub completed_at: Option<Timestamp>,
    /// The caller's own strings, as they were given.
    pub metadata: BTreeMap<String, String>,
    /// Why it failed; null unless the status is `FAILED`.
    pub failure: Option<Failure>,
    /// Why there was nothing to do; null unless the status is `COMPLETED_WITH_NO_ACTION_TAKEN`.
    pub no_action_reason: Option<String>,
    /// What it asks a person; null unless the status is `AWAITING_USER_INPUT`.
    pub input_request: Option<InputRequest>,
    /// How often a worker has taken it; 0 before the first time.
    pub attempt: u32,
    /// The number of its last change; grows by exactly one with each.
    pub sequence: u64,
    /// The run that it is a retry of; null if it is none.
    pub retry_of_run_id: Option<RunId>,
    /// How long its parts took, in milliseconds; null until it has ended in a worker.
    pub timings: Option<Timings>,
}

/// A workflow run, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = WorkflowRun))]
#[serde(rename_all = "camelCase")]
pub struct RunView {
    /// What a list shows too.
    #[serde(flatten)]
    pub summary: RunSummary,
    /// What the caller gave. Left out of webhooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// What the definition's `output` names; null until the run has completed. Left out of webhooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Every change so far, oldest first.
    pub state_history: Vec<HistoryView>,
}

impl RunSummary {
    /// A run as it is now.
    #[must_use]
    pub fn of(run: &Run) -> Self {
        let (failure, no_action_reason, input_request) = match &run.phase {
            Phase::Failed(failure) => (Some(failure.clone()), None, None),
            Phase::CompletedWithNoActionTaken { reason } => (None, Some(reason.clone()), None),
            Phase::AwaitingUserInput { request, .. } => (None, None, Some(request.clone())),
            Phase::Held | Phase::Ready { .. } | Phase::InProgress { .. } | Phase::Completed => {
                (None, None, None)
            }
        };
        Self {
            id: run.id,
            workflow_id: run.workflow_id,
            workflow_version: run.workflow_version,
            job_run_id: run.job_run_id,
            created_by_user_id: run.created_by_user_id.clone(),
            status: run.status(),
            current_state_name: run.current_state_name.clone(),
            created_at: run.created_at,
            updated_at: run.updated_at(),
            started_at: run.started_at,
            completed_at: run.completed_at(),
            metadata: run.metadata.clone(),
            failure,
            no_action_reason,
            input_request,
            attempt: run.attempt,
            sequence: run.sequence,
            retry_of_run_id: run.retry_of_run_id,
            timings: run.timings.clone(),
        }
    }
}

impl RunView {
    /// A run with what it was given and what it returned; `null` on the wire where there is nothing.
    #[must_use]
    pub fn whole(run: &Run, input: Option<Value>, output: Option<Value>) -> Self {
        Self {
            input: Some(input.unwrap_or(Value::Null)),
            output: Some(output.unwrap_or(Value::Null)),
            ..Self::at(run, run.sequence)
        }
    }

    /// A run as it was at a change, as far as its history tells, without its input and output.
    #[must_use]
    pub fn at(run: &Run, sequence: u64) -> Self {
        let state_history: Vec<HistoryView> = run
            .history
            .iter()
            .filter(|entry| entry.sequence <= sequence)
            .map(|entry| HistoryView {
                sequence: entry.sequence,
                status: entry.status,
                state_name: entry.state_name.clone(),
                attempt: entry.attempt,
                at: entry.at,
                skipped_states: entry.skipped.clone(),
                not_before: entry.not_before,
            })
            .collect();
        let mut summary = RunSummary::of(run);
        if let Some(last) = state_history.last().filter(|_| sequence < run.sequence) {
            let first_claim = state_history
                .iter()
                .find(|entry| entry.status == Status::InProgress);
            summary.status = last.status;
            summary.current_state_name.clone_from(&last.state_name);
            summary.updated_at = last.at;
            summary.started_at = first_claim.map(|entry| entry.at);
            summary.completed_at = None;
            summary.attempt = last.attempt;
            summary.sequence = last.sequence;
            summary.failure = None;
            summary.no_action_reason = None;
            summary.input_request = None;
            summary.timings = None;
        }
        Self {
            summary,
            input: None,
            output: None,
            state_history,
        }
    }
}

/// What an artifact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ArtifactType {
    /// Records that an `extract` step read, as JSON or CSV.
    ExtractedData,
    /// A file that the site sent.
    Download,
    /// A picture of a page.
    Screenshot,
    /// A page as PDF.
    Pdf,
    /// The run's own log.
    Log,
    /// The network traffic, as HAR 1.2.
    Har,
    /// A page's document.
    Dom,
}
