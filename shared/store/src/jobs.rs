//! Jobs and job runs.

use std::collections::HashMap;

use domain::job_run::{JobRun, OnFailure};
use domain::{JobId, JobRunId, OrganizationId, Timestamp, WorkflowId};
use serde::{Deserialize, Serialize};

use crate::item::{Item, Put, encode, number};
use crate::transactions::{IfNew, Transacted, Write};
use crate::{Result, Store, keys};

/// One workflow of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobWorkflow {
    /// What to run.
    pub workflow_id: WorkflowId,
    /// With what, as JSON text.
    pub input: String,
    /// When: ascending; the same number means side by side.
    pub order: u32,
    /// The name by which the workflows of later groups read its output; nobody does, without one.
    #[serde(rename = "as", default, skip_serializing_if = "Option::is_none")]
    pub output_name: Option<String>,
}

/// An ordered list of workflows that run together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The tenant.
    pub organization_id: OrganizationId,
    /// Its name.
    pub name: String,
    /// What it runs.
    pub workflows: Vec<JobWorkflow>,
    /// What becomes of the later ones when one has failed.
    pub on_failure: OnFailure,
    /// Who made it.
    pub created_by_user_id: String,
    /// When.
    pub created_at: Timestamp,
    /// Grows with each change of the schedule: a schedule that fires with an older one is refused.
    pub generation: u64,
}

/// A job to be saved for the first time.
pub type NewJob = Job;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct JobRunItem {
    #[serde(flatten)]
    job_run: JobRun,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_shard: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_key: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OccurrenceItem {
    job_run_id: JobRunId,
}

fn encode_job_run(job_run: &JobRun) -> Result<Item> {
    let id = job_run.id.as_uuid();
    let item = JobRunItem {
        due_shard: job_run.due_at.map(|_| keys::due_shard(id)),
        due_key: job_run.due_at.map(keys::due_key),
        job_run: job_run.clone(),
    };
    let mut item = encode(&keys::job_run(job_run.id), item)?;
    let list = format!("{}#JOBRUNS", keys::by_organization(job_run.organization_id));
    item.insert(keys::BY_ORGANIZATION.to_owned(), crate::item::string(list));
    Ok(item)
}

impl Store {
    /// Saves a new job.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn create_job(&self, job: &NewJob) -> Result<()> {
        self.put(encode(&keys::job(job.id), job)?).await
    }

    /// Reads a job, whoever's it is: for the service's own work, never for a caller.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn job(&self, id: JobId) -> Result<Option<Job>> {
        self.get(&keys::job(id)).await
    }

    /// Writes a new job run; for an occurrence of a schedule in one transaction with it, so that an occurrence makes
    /// one job run however often it fires. Answers the job run that the occurrence has, if it is another one.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn create_job_run(&self, job_run: &JobRun) -> Result<Option<JobRunId>> {
        let item = encode_job_run(job_run)?;
        let Some(scheduled_at) = job_run.scheduled_at else {
            self.put_new(item).await?;
            return Ok(None);
        };
        let key = keys::occurrence(job_run.job_id, scheduled_at);
        let occurrence = encode(
            &key,
            OccurrenceItem {
                job_run_id: job_run.id,
            },
        )?;
        let writes = vec![
            self.putting(occurrence)?.if_new().write()?,
            self.putting(item)?.write()?,
        ];
        match self.transact(writes).await? {
            Transacted::Written => Ok(None),
            Transacted::Refused { .. } => {
                let earlier: Option<OccurrenceItem> = self.get(&key).await?;
                Ok(earlier
                    .map(|item| item.job_run_id)
                    .filter(|id| *id != job_run.id))
            }
        }
    }

    /// Reads a job run, whoever's it is: for the service's own work, never for a caller.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn job_run(&self, id: JobRunId) -> Result<Option<JobRun>> {
        let item: Option<JobRunItem> = self.get(&keys::job_run(id)).await?;
        Ok(item.map(|item| item.job_run))
    }

    /// Writes a job run's next change. `false` if somebody else changed it first.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn update_job_run(&self, next: &JobRun) -> Result<bool> {
        let values = HashMap::from([(":from".to_owned(), number(next.sequence.saturating_sub(1)))]);
        let put = self
            .put_if(encode_job_run(next)?, "#sequence = :from", values)
            .await?;
        Ok(matches!(put, Put::Written))
    }
    /// Writes when somebody must look at a job run again. Not a change of the job run: the condition holds it to the
    /// job run as it was read. `false` if somebody has changed it since.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn postpone_job_run(&self, postponed: &JobRun) -> Result<bool> {
        let values = HashMap::from([(":sequence".to_owned(), number(postponed.sequence))]);
        let put = self
            .put_if(encode_job_run(postponed)?, "#sequence = :sequence", values)
            .await?;
        Ok(matches!(put, Put::Written))
    }
}
