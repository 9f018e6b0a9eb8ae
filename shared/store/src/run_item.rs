//! How a run is laid out in its item. The item stays near 1 KB, because each write costs by the KB: ids and history
//! entries are compact, and input, output, lease, answers, artifacts and deliveries are items beside it.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::run::{
    Backoff, CommitId, HistoryEntry, InputRequest, Phase, Policy, Run, SkippedState, Status,
    Timings,
};
use domain::{Failure, JobRunId, OrganizationId, RunId, Timestamp, WorkflowId};
use serde::{Deserialize, Serialize};

use crate::admission::Standing;
use crate::item::{Item, decode, encode};
use crate::{Result, StoreError, keys};

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunItem {
    id: RunId,
    by_organization: String,
    by_status: String,
    by_workflow: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_shard: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_at: Option<i64>,
    organization_id: OrganizationId,
    workflow_id: WorkflowId,
    workflow_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    job_run_id: Option<JobRunId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_of_run_id: Option<RunId>,
    created_by: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    secret_bindings: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace_parent: Option<String>,
    policy: PolicyItem,
    status: Status,
    /// What only exists in the status.
    phase: PhaseItem,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    sequence: u64,
    attempt: u32,
    executions: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    work_used: u64,
    created_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    started_at: Option<i64>,
    history: Vec<EntryItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timings: Option<TimingsItem>,
}

/// Executions, working time, time in the queue; and what is waited before an execution (first, whether it doubles,
/// longest), left out where it is the default.
#[derive(Debug, Serialize, Deserialize)]
struct PolicyItem(
    u32,
    u64,
    u64,
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<(u64, bool, u64)>,
);

/// Queued, browser, awaiting, artifacts, total, and the states as pairs: the table's maps forget their order.
#[derive(Debug, Serialize, Deserialize)]
struct TimingsItem(u64, u64, u64, u64, u64, Vec<(String, u64)>);

/// Sequence, status, state, attempt, time, commit, and what an entry rarely has: a list, since names would cost more than
/// the values.
#[derive(Debug, Serialize, Deserialize)]
struct EntryItem(
    u64,
    Status,
    Option<String>,
    u32,
    i64,
    CommitId,
    /// Left out where it has nothing of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    Option<RareItem>,
);

/// What few entries of a history have.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RareItem {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    skipped: Vec<SkippedState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<i64>,
    #[serde(default, skip_serializing_if = "is_false")]
    unanswered: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum PhaseItem {
    Held,
    Ready {
        since: i64,
        /// Left out where it is true, as it nearly always is.
        #[serde(default = "yes", skip_serializing_if = "is_true")]
        admitted: bool,
        again: u32,
    },
    InProgress {
        worker: String,
        begun: bool,
        deadline: i64,
    },
    Awaiting {
        worker: String,
        request: InputRequest,
        work_left: u64,
    },
    Completed,
    NoAction {
        reason: String,
    },
    Failed {
        failure: Failure,
    },
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

fn yes() -> bool {
    true
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_true(value: &bool) -> bool {
    *value
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_false(value: &bool) -> bool {
    !*value
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn encode_run(run: &Run) -> Result<Item> {
    let id = run.id.as_uuid();
    let item = RunItem {
        id: run.id,
        by_organization: keys::by_organization(run.organization_id),
        by_status: keys::by_status(run.organization_id, Standing::of(run)),
        by_workflow: keys::by_workflow(run.organization_id, run.workflow_id),
        due_shard: run.due_at.map(|_| keys::due_shard(id)),
        due_key: run.due_at.map(keys::due_key),
        due_at: run.due_at.map(Timestamp::as_millis),
        organization_id: run.organization_id,
        workflow_id: run.workflow_id,
        workflow_version: run.workflow_version,
        job_run_id: run.job_run_id,
        retry_of_run_id: run.retry_of_run_id,
        created_by: run.created_by_user_id.clone(),
        metadata: run.metadata.clone(),
        secret_bindings: run.secret_bindings.clone(),
        trace_parent: run.trace_parent.clone(),
        policy: encode_policy(&run.policy),
        status: run.status(),
        phase: encode_phase(&run.phase),
        state: run.current_state_name.clone(),
        sequence: run.sequence,
        attempt: run.attempt,
        executions: run.executions,
        work_used: millis(run.work_used),
        created_at: run.created_at.as_millis(),
        started_at: run.started_at.map(Timestamp::as_millis),
        history: run
            .history
            .iter()
            .map(|entry| {
                let state = entry.state_name.clone();
                let rare = RareItem {
                    skipped: entry.skipped.clone(),
                    not_before: entry.not_before.map(Timestamp::as_millis),
                    unanswered: entry.is_unanswered,
                };
                EntryItem(
                    entry.sequence,
                    entry.status,
                    state,
                    entry.attempt,
                    entry.at.as_millis(),
                    entry.commit,
                    (rare != RareItem::default()).then_some(rare),
                )
            })
            .collect(),
        timings: run.timings.as_ref().map(encode_timings),
    };
    encode(&keys::run(run.id), item)
}

fn encode_policy(policy: &Policy) -> PolicyItem {
    let Backoff {
        delay,
        doubles,
        max_delay,
    } = policy.backoff;
    let backoff =
        (policy.backoff != Backoff::default()).then(|| (millis(delay), doubles, millis(max_delay)));
    PolicyItem(
        policy.max_attempts,
        millis(policy.work_time),
        millis(policy.queue_time),
        backoff,
    )
}

fn decode_policy(item: &PolicyItem) -> Policy {
    let PolicyItem(max_attempts, work_time, queue_time, backoff) = item;
    Policy {
        max_attempts: *max_attempts,
        backoff: backoff.map_or_else(Backoff::default, |(delay, doubles, max_delay)| Backoff {
            delay: Duration::from_millis(delay),
            doubles,
            max_delay: Duration::from_millis(max_delay),
        }),
        work_time: Duration::from_millis(*work_time),
        queue_time: Duration::from_millis(*queue_time),
    }
}

fn encode_timings(timings: &Timings) -> TimingsItem {
    let states = timings
        .states
        .iter()
        .map(|(name, took)| (name.clone(), *took))
        .collect();
    let Timings {
        queued,
        browser_start,
        awaiting_user,
        artifacts,
        total,
        ..
    } = *timings;
    TimingsItem(
        queued,
        browser_start,
        awaiting_user,
        artifacts,
        total,
        states,
    )
}

fn decode_timings(item: TimingsItem) -> Timings {
    let TimingsItem(queued, browser_start, awaiting_user, artifacts, total, states) = item;
    Timings {
        queued,
        browser_start,
        states: states.into_iter().collect(),
        awaiting_user,
        artifacts,
        total,
    }
}

fn encode_phase(phase: &Phase) -> PhaseItem {
    match phase {
        Phase::Held => PhaseItem::Held,
        Phase::Ready {
            since,
            is_admitted,
            enqueued_again,
        } => PhaseItem::Ready {
            since: since.as_millis(),
            admitted: *is_admitted,
            again: *enqueued_again,
        },
        Phase::InProgress {
            worker_id,
            has_begun,
            work_deadline,
        } => PhaseItem::InProgress {
            worker: worker_id.clone(),
            begun: *has_begun,
            deadline: work_deadline.as_millis(),
        },
        Phase::AwaitingUserInput {
            worker_id,
            request,
            work_left,
        } => PhaseItem::Awaiting {
            worker: worker_id.clone(),
            request: request.clone(),
            work_left: millis(*work_left),
        },
        Phase::Completed => PhaseItem::Completed,
        Phase::CompletedWithNoActionTaken { reason } => PhaseItem::NoAction {
            reason: reason.clone(),
        },
        Phase::Failed(failure) => PhaseItem::Failed {
            failure: failure.clone(),
        },
    }
}

fn decode_phase(phase: PhaseItem) -> Phase {
    match phase {
        PhaseItem::Held => Phase::Held,
        PhaseItem::Ready {
            since,
            admitted,
            again,
        } => Phase::Ready {
            since: Timestamp::from_millis(since),
            is_admitted: admitted,
            enqueued_again: again,
        },
        PhaseItem::InProgress {
            worker,
            begun,
            deadline,
        } => Phase::InProgress {
            worker_id: worker,
            has_begun: begun,
            work_deadline: Timestamp::from_millis(deadline),
        },
        PhaseItem::Awaiting {
            worker,
            request,
            work_left,
        } => Phase::AwaitingUserInput {
            worker_id: worker,
            request,
            work_left: Duration::from_millis(work_left),
        },
        PhaseItem::Completed => Phase::Completed,
        PhaseItem::NoAction { reason } => Phase::CompletedWithNoActionTaken { reason },
        PhaseItem::Failed { failure } => Phase::Failed(failure),
    }
}

/// Reads a run from its item, as the table or its stream gives it.
///
/// # Errors
/// [`StoreError::Corrupt`] if that is no run's item.
pub fn decode_run(item: Item) -> Result<Run> {
    let item: RunItem = decode(item)?;
    let run = Run {
        id: item.id,
        organization_id: item.organization_id,
        workflow_id: item.workflow_id,
        workflow_version: item.workflow_version,
        job_run_id: item.job_run_id,
        retry_of_run_id: item.retry_of_run_id,
        created_by_user_id: item.created_by,
        metadata: item.metadata,
        secret_bindings: item.secret_bindings,
        policy: decode_policy(&item.policy),
        trace_parent: item.trace_parent,
        phase: decode_phase(item.phase),
        current_state_name: item.state,
        sequence: item.sequence,
        attempt: item.attempt,
        executions: item.executions,
        work_used: Duration::from_millis(item.work_used),
        created_at: Timestamp::from_millis(item.created_at),
        started_at: item.started_at.map(Timestamp::from_millis),
        history: item
            .history
            .into_iter()
            .map(
                |EntryItem(sequence, status, state_name, attempt, at, commit, rare)| {
                    let rare = rare.unwrap_or_default();
                    HistoryEntry {
                        sequence,
                        status,
                        state_name,
                        attempt,
                        at: Timestamp::from_millis(at),
                        commit,
                        skipped: rare.skipped,
                        not_before: rare.not_before.map(Timestamp::from_millis),
                        is_unanswered: rare.unanswered,
                    }
                },
            )
            .collect(),
        due_at: item.due_at.map(Timestamp::from_millis),
        timings: item.timings.map(decode_timings),
    };
    if run.status() != item.status {
        return Err(StoreError::Corrupt {
            what: format!("run {}", run.id),
            reason: format!(
                "its status is {} but its phase says {}",
                item.status,
                run.status()
            ),
        });
    }
    Ok(run)
}
