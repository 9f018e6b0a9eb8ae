//! What a run of a job run reads as `outputs`: what the workflows before it have returned.

use domain::run::Run;
use serde_json::{Map, Value};
use store::{Result, Store};

/// How many times a run may have been retried, one retry of another, and still find the job run of the first one.
const MOST_RETRIES: usize = 20;

/// The outputs that a run can read, by the names that its job gives them. A retry reads what its first run read: it is
/// no part of the job run, and the job run's earlier groups have ended and change no more.
pub(crate) async fn outputs_for(store: &Store, run: &Run) -> Result<Value> {
    let mut outputs = Map::new();
    let Some(first) = first_of(store, run).await? else {
        return Ok(Value::Object(outputs));
    };
    let Some(job_run_id) = first.job_run_id else {
        return Ok(Value::Object(outputs));
    };
    let job_run = store.job_run(job_run_id).await?;
    let Some(job_run) = job_run.filter(|found| found.organization_id == run.organization_id) else {
        return Ok(Value::Object(outputs));
    };
    let named = job_run.read_by(first.id);
    let ids: Vec<_> = named.values().copied().collect();
    let mut found = store.run_outputs_of(run.organization_id, &ids).await?;
    for (name, id) in named {
        if let Some(output) = found.remove(&id) {
            outputs.insert(name.to_owned(), output);
        }
    }
    Ok(Value::Object(outputs))
}

/// The run that was no retry, of which this one is a retry, or itself.
async fn first_of(store: &Store, run: &Run) -> Result<Option<Run>> {
    let mut first = run.clone();
    for _ in 0..MOST_RETRIES {
        let Some(earlier) = first.retry_of_run_id else {
            return Ok(Some(first));
        };
        match store.run_of(run.organization_id, earlier).await? {
            Some(earlier) => first = earlier,
            None => return Ok(None),
        }
    }
    Ok(None)
}
