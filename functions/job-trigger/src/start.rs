//! Making a job run of a job: for an occurrence of its schedule, or because somebody asks for it.

use std::time::Duration;

use domain::job_run::{JobRun, ManagedRun};
use domain::run::Status;
use domain::{JobRunId, RunId, Timestamp, WorkflowId};
use store::{Job, Store, StoreError, fresh_id, now};

/// When the sweeper looks at a job run that the dispatcher may not have heard of.
const LOOK_AFTER: Duration = Duration::from_secs(60);

/// A job run that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started {
    /// Its id.
    pub job_run_id: JobRunId,
    /// Whether this call created it; `false` if the occurrence already had it.
    pub created: bool,
}

/// Why there is no job run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The job names a workflow that its organization doesn't have: correct the job.
    #[error("workflow {0} doesn't exist")]
    UnknownWorkflow(WorkflowId),
    /// The store could not be read or written: see the error's own kind.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Creates a job run, with the latest version of each workflow. For an occurrence of the schedule (`scheduled_at`) that
/// has a job run already, it answers with that one.
///
/// # Errors
/// See [`StartError`]; nothing is created then, or, if the answer of the last write got lost, perhaps all of it.
pub async fn start_job(
    store: &Store,
    job: &Job,
    user_id: &str,
    scheduled_at: Option<Timestamp>,
) -> Result<Started, StartError> {
    let at = now();
    let mut runs = Vec::with_capacity(job.workflows.len());
    for planned in &job.workflows {
        let workflow_id = planned.workflow_id;
        let workflow = store.workflow_of(job.organization_id, workflow_id).await?;
        let workflow = workflow.ok_or(StartError::UnknownWorkflow(workflow_id))?;
        runs.push(ManagedRun {
            run_id: fresh_id(RunId::new, at),
            workflow_id,
            workflow_version: workflow.version,
            order: planned.order,
            input: planned.input.clone(),
            output_name: planned.output_name.clone(),
        });
    }
    let job_run = JobRun {
        id: fresh_id(JobRunId::new, at),
        organization_id: job.organization_id,
        job_id: job.id,
        created_by_user_id: user_id.to_owned(),
        scheduled_at,
        on_failure: job.on_failure,
        runs,
        status: Status::Pending,
        current_workflow_run_id: None,
        sequence: 1,
        created_at: at,
        updated_at: at,
        due_at: Some(at.plus(LOOK_AFTER)),
    };
    if let Some(earlier) = store.create_job_run(&job_run).await? {
        return Ok(Started {
            job_run_id: earlier,
            created: false,
        });
    }
    tracing::info!(job_run_id = %job_run.id, job_id = %job.id, "Started a job run");
    Ok(Started {
        job_run_id: job_run.id,
        created: true,
    })
}
