//! Brings a job run to where its workflow runs say that it should be. The decisions are the domain's
//! ([`domain::job_run::reconcile`]); this carries them out, by writes that any number of callers may make at once.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::definition::Definition;
use domain::job_run::{JobRun, ManagedRun, Plan, reconcile};
use domain::run::{Event, NewRun, Policy, Run};
use domain::{JobRunId, RunId};
use serde_json::Value;
use store::{JustNow, Result, Store, StoreError, Transition, fresh_commit, now};

/// When the sweeper looks at an open job run again, should every change of its runs go unheard.
pub const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(5 * 60);

/// After so many rounds without an end, the rest is left to the next caller. A job run needs three: create, release,
/// and see that nothing is left to do.
const ROUNDS: u32 = 8;

/// Creates what is missing, releases and stops whose turn it is, and writes where the job run stands, until nothing is
/// left to do. Answers the job run as it is then; nothing if there is none.
///
/// # Errors
/// [`StoreError`]; what is done stays done, and doing it again does the rest.
pub async fn reconcile_job_run(store: &Store, id: JobRunId) -> Result<Option<JobRun>> {
    for _ in 0..ROUNDS {
        let Some(job_run) = store.job_run(id).await? else {
            tracing::error!(job_run_id = %id, "A job run is named that doesn't exist");
            return Ok(None);
        };
        if job_run.status.is_final() {
            return Ok(Some(job_run));
        }
        let ids: Vec<RunId> = job_run.runs.iter().map(|managed| managed.run_id).collect();
        let runs = store.runs(&ids).await?;
        let plan = reconcile(&job_run, &runs);
        if is_settled(&plan, &job_run) {
            return Ok(Some(job_run));
        }
        carry_out(store, &job_run, &runs, &plan).await?;
    }
    tracing::warn!(job_run_id = %id, rounds = ROUNDS, "A job run keeps changing; the sweeper will look at it again");
    store.job_run(id).await
}

fn is_settled(plan: &Plan<'_>, job_run: &JobRun) -> bool {
    plan.missing.is_empty()
        && plan.release.is_empty()
        && plan.stop.is_empty()
        && stands(plan, job_run)
}

fn stands(plan: &Plan<'_>, job_run: &JobRun) -> bool {
    plan.status == job_run.status && plan.current == job_run.current_workflow_run_id
}

async fn carry_out(store: &Store, job_run: &JobRun, runs: &[Run], plan: &Plan<'_>) -> Result<()> {
    for managed in &plan.missing {
        create_held(store, job_run, managed).await?;
    }
    for run in runs.iter().filter(|run| plan.release.contains(&run.id)) {
        release(store, run).await?;
    }
    for run in runs.iter().filter(|run| plan.stop.contains(&run.id)) {
        // One that was released or cancelled meanwhile is seen as it is in the next round.
        store
            .transition(run.clone(), &Event::JobRunStopped, now())
            .await?;
    }
    if stands(plan, job_run) {
        return Ok(());
    }
    let at = now();
    let next = JobRun {
        status: plan.status,
        current_workflow_run_id: plan.current,
        sequence: job_run.sequence + 1,
        updated_at: at,
        due_at: (!plan.status.is_final()).then(|| at.plus(LOOK_AGAIN_AFTER)),
        ..job_run.clone()
    };
    if store.update_job_run(&next).await? {
        tracing::info!(job_run_id = %next.id, status = %next.status, "A job run has moved on");
    }
    Ok(())
}

async fn create_held(store: &Store, job_run: &JobRun, managed: &ManagedRun) -> Result<()> {
    let input: Value =
        serde_json::from_str(&managed.input).map_err(|error| StoreError::Corrupt {
            what: format!(
                "the input of run {} of job run {}",
                managed.run_id, job_run.id
            ),
            reason: error.to_string(),
        })?;
    let definition = definition_of(store, managed).await?;
    let policy = definition.as_ref().map_or_else(Policy::default, Policy::of);
    let input = completed(definition.as_ref(), input);
    let new = NewRun {
        id: managed.run_id,
        organization_id: job_run.organization_id,
        workflow_id: managed.workflow_id,
        workflow_version: managed.workflow_version,
        job_run_id: Some(job_run.id),
        retry_of_run_id: None,
        created_by_user_id: job_run.created_by_user_id.clone(),
        metadata: BTreeMap::new(),
        secret_bindings: BTreeMap::new(),
        policy,
        trace_parent: None,
    };
    // The id was fixed with the job run, so that of several callers one creates it.
    store
        .create_run(&Run::create(new, now(), fresh_commit()), &input, None)
        .await?;
    Ok(())
}

/// What the run executes. Where there is none that can be read, the run is created all the same: its worker says what
/// is wrong in the run's own failure, which a job run that hangs would not.
async fn definition_of(store: &Store, managed: &ManagedRun) -> Result<Option<Definition>> {
    let version = store
        .workflow_version(managed.workflow_id, managed.workflow_version)
        .await?;
    let definition = version
        .and_then(|version| serde_json::from_str(&version.definition).ok())
        .and_then(|json| Definition::parse_json(&json).ok());
    if definition.is_none() {
        let (workflow_id, version) = (managed.workflow_id, managed.workflow_version);
        tracing::error!(%workflow_id, version, run_id = %managed.run_id, "A saved definition can't be read");
    }
    Ok(definition)
}

/// The input with the defaults of the version that is executed. One that this version does not take stays as it is.
fn completed(definition: Option<&Definition>, input: Value) -> Value {
    definition
        .and_then(|definition| definition.input.as_ref())
        .and_then(|schema| schema.complete(input.clone()).ok())
        .unwrap_or(input)
}

/// Lets a run go: within its organization, it is admitted to the queue as every other, when there is room.
async fn release(store: &Store, run: &Run) -> Result<()> {
    let released = store
        .transition(run.clone(), &Event::Released, now())
        .await?;
    if let Transition::Committed(run) = released {
        store
            .admit_waiting(run.organization_id, JustNow::Waits(run.id), now())
            .await?;
    }
    Ok(())
}
