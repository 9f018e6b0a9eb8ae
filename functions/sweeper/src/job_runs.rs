//! Job runs that nobody has looked at for a while.

use dispatcher::{LOOK_AGAIN_AFTER, reconcile_job_run};
use domain::job_run::JobRun;
use domain::{JobRunId, Timestamp};
use store::{Result, Store};

use crate::Done;

/// Brings a job run to where it should be, and says when it is looked at again.
pub(crate) async fn sweep(store: &Store, id: JobRunId, now: Timestamp) -> Result<Done> {
    let Some(job_run) = reconcile_job_run(store, id).await? else {
        return Ok(Done::Nothing);
    };
    if job_run.due_at.is_some_and(|due_at| due_at <= now) {
        store
            .postpone_job_run(&JobRun {
                due_at: Some(now.plus(LOOK_AGAIN_AFTER)),
                ..job_run
            })
            .await?;
    }
    Ok(Done::JobRunReconciled)
}
