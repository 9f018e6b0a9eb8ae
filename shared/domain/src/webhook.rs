//! Which events a run's changes are, and what a webhook says about them.

use serde::{Deserialize, Serialize};

use crate::run::{Run, Status};
use crate::wire::RunView;
use crate::{Timestamp, WebhookEndpointId};

/// What a webhook can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum EventType {
    /// A run was created.
    #[serde(rename = "workflow_run.created")]
    RunCreated,
    /// A worker took a run for the first time.
    #[serde(rename = "workflow_run.started")]
    RunStarted,
    /// A run entered a state, or went back to waiting for a worker, or on to another one.
    #[serde(rename = "workflow_run.state_changed")]
    RunStateChanged,
    /// A run asks a person.
    #[serde(rename = "workflow_run.awaiting_user_input")]
    RunAwaitingUserInput,
    /// A person answered.
    #[serde(rename = "workflow_run.user_input_received")]
    RunUserInputReceived,
    /// A run finished, with work done.
    #[serde(rename = "workflow_run.completed")]
    RunCompleted,
    /// A run finished, and found nothing to do.
    #[serde(rename = "workflow_run.completed_with_no_action_taken")]
    RunCompletedWithNoActionTaken,
    /// A run could not complete.
    #[serde(rename = "workflow_run.failed")]
    RunFailed,
}

impl EventType {
    /// Every type that an endpoint can subscribe to.
    pub const ALL: [Self; 8] = [
        Self::RunCreated,
        Self::RunStarted,
        Self::RunStateChanged,
        Self::RunAwaitingUserInput,
        Self::RunUserInputReceived,
        Self::RunCompleted,
        Self::RunCompletedWithNoActionTaken,
        Self::RunFailed,
    ];

    /// What an endpoint gets that names no types: what ends or awaits.
    pub const DEFAULT: [Self; 4] = [
        Self::RunAwaitingUserInput,
        Self::RunCompleted,
        Self::RunCompletedWithNoActionTaken,
        Self::RunFailed,
    ];

    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RunCreated => "workflow_run.created",
            Self::RunStarted => "workflow_run.started",
            Self::RunStateChanged => "workflow_run.state_changed",
            Self::RunAwaitingUserInput => "workflow_run.awaiting_user_input",
            Self::RunUserInputReceived => "workflow_run.user_input_received",
            Self::RunCompleted => "workflow_run.completed",
            Self::RunCompletedWithNoActionTaken => "workflow_run.completed_with_no_action_taken",
            Self::RunFailed => "workflow_run.failed",
        }
    }
}

/// One event about one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunEvent {
    /// What it is about.
    pub event_type: EventType,
    /// The change that it tells of.
    pub sequence: u64,
    /// When that was.
    pub at: Timestamp,
}

/// The body of a webhook, as Standard Webhooks 1.0 lays it out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WebhookBody<T> {
    /// What it is about.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// When that happened.
    pub timestamp: Timestamp,
    /// The resource as it was then.
    pub data: T,
}

/// Where a customer wants to hear of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The endpoint.
    pub endpoint_id: WebhookEndpointId,
    /// What it wants to hear of.
    pub event_types: Vec<EventType>,
}

/// All events of a run so far: one for each change, so that whoever subscribes to all types sees each sequence.
/// Derived from the history alone, so that they can be derived again at any time.
#[must_use]
pub fn events_of(run: &Run) -> Vec<RunEvent> {
    let mut has_started = false;
    let mut before = None;
    let mut events = Vec::with_capacity(run.history.len());
    for entry in &run.history {
        let event_type = match (before, entry.status) {
            (None, _) => EventType::RunCreated,
            (Some(Status::Pending), Status::InProgress) if !has_started => {
                has_started = true;
                EventType::RunStarted
            }
            (Some(Status::AwaitingUserInput), Status::InProgress) if !entry.is_unanswered => {
                EventType::RunUserInputReceived
            }
            (_, Status::Pending | Status::InProgress) => EventType::RunStateChanged,
            (_, Status::AwaitingUserInput) => EventType::RunAwaitingUserInput,
            (_, Status::Completed) => EventType::RunCompleted,
            (_, Status::CompletedWithNoActionTaken) => EventType::RunCompletedWithNoActionTaken,
            (_, Status::Failed) => EventType::RunFailed,
        };
        events.push(RunEvent {
            event_type,
            sequence: entry.sequence,
            at: entry.at,
        });
        before = Some(entry.status);
    }
    events
}

/// What a webhook says of an event: the run as it was at that change, without input, output and signed URLs.
#[must_use]
pub fn body_of(run: &Run, event: RunEvent) -> WebhookBody<RunView> {
    WebhookBody {
        event_type: event.event_type,
        timestamp: event.at,
        data: RunView::at(run, event.sequence),
    }
}
