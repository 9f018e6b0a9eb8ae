//! Starts one job run for one occurrence of a job's schedule, however often the schedule fires for it.
//!
//! It writes the job run's item and nothing else: that item lists what is to be created, and the dispatcher, who hears
//! of it by the stream, creates and releases the workflow runs.

mod start;

use domain::{JobId, JobRunId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Result, Store};

pub use start::{StartError, Started, start_job};

/// What a job's schedule sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Occurrence {
    /// Which job.
    pub job_id: JobId,
    /// When the schedule says that it starts: `<aws.scheduler.scheduled-time>`.
    pub scheduled_time: Timestamp,
    /// The job's generation when the schedule was written.
    pub generation: u64,
}

/// What became of an occurrence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// It has a job run.
    #[serde(rename_all = "camelCase")]
    Started {
        /// The job run.
        job_run_id: JobRunId,
        /// Whether this call created it; `false` if the occurrence had fired before.
        created: bool,
    },
    /// It has none, and trying again is of no use.
    Refused {
        /// Why not.
        refused: Refusal,
    },
}

/// Why an occurrence starts nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Refusal {
    /// There is no such job.
    UnknownJob,
    /// The schedule has been changed since; the changed one fires by itself.
    OldGeneration,
    /// A workflow of the job is gone.
    UnknownWorkflow,
}

/// Starts the job run of an occurrence.
///
/// # Errors
/// [`store::StoreError`]; the invocation is then tried again, which creates no second job run.
pub async fn handle(store: &Store, occurrence: Occurrence) -> Result<Answer> {
    let job_id = occurrence.job_id;
    let Some(job) = store.job(job_id).await? else {
        tracing::error!(%job_id, "A schedule fired for a job that doesn't exist");
        return Ok(Answer::Refused {
            refused: Refusal::UnknownJob,
        });
    };
    if occurrence.generation < job.generation {
        let (given, current) = (occurrence.generation, job.generation);
        tracing::warn!(%job_id, given, current, "A schedule fired that has been replaced");
        return Ok(Answer::Refused {
            refused: Refusal::OldGeneration,
        });
    }
    match start_job(
        store,
        &job,
        &job.created_by_user_id,
        Some(occurrence.scheduled_time),
    )
    .await
    {
        Ok(Started {
            job_run_id,
            created,
        }) => Ok(Answer::Started {
            job_run_id,
            created,
        }),
        Err(StartError::Store(error)) => Err(error),
        Err(error @ StartError::UnknownWorkflow(_)) => {
            tracing::error!(%job_id, %error, "A schedule fired for a job that can't be started");
            Ok(Answer::Refused {
                refused: Refusal::UnknownWorkflow,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_occurrence_is_read_as_the_scheduler_sends_it() {
        let read = |scheduled_time: &str| {
            let job_id = "019a9f6e-0d3a-7b6c-8a53-3f1f0c6f2b11";
            serde_json::from_value::<Occurrence>(
                json!({ "jobId": job_id, "scheduledTime": scheduled_time, "generation": 3 }),
            )
        };
        let occurrence =
            read("2026-11-23T04:00:00Z").expect("whole seconds, as the scheduler writes them");
        assert_eq!(
            occurrence.scheduled_time.to_string(),
            "2026-11-23T04:00:00.000Z"
        );
        assert!(read("<aws.scheduler.scheduled-time>").is_err());
    }

    #[test]
    fn a_refusal_says_why() {
        let refused = serde_json::to_value(Answer::Refused {
            refused: Refusal::OldGeneration,
        });
        assert_eq!(
            refused.expect("JSON"),
            json!({ "refused": "OLD_GENERATION" })
        );
    }
}
