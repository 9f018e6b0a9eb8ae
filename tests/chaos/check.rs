//! What must hold of everything that lies in the table and in the bucket, and that arrived at the customer, once the
//! service is quiet: nothing lost, nothing stuck, nothing twice.
//!
//! It says all that doesn't hold, and asks nothing of the service's own opinion where the bytes can say it.

use std::collections::BTreeMap;

use domain::job_run::JobRun;
use domain::run::{Phase, Run, Status};
use domain::webhook::events_of;
use domain::wire::ArtifactType;
use domain::{FailureCode, RunId};
use serde_json::Value;
use sha2::{Digest, Sha256};
use store::{Artifact, PageSize, Store};

use crate::chaos::stage::Stage;

/// All that is wrong; nothing if the service has kept what it promises.
pub(crate) async fn violations(stage: &Stage) -> anyhow::Result<Vec<String>> {
    let store = stage.store();
    let items = store::local::everything::items(store).await?;
    let mut wrong = Vec::new();
    nothing_is_due(&items, &mut wrong);
    let runs = runs_among(store, &items).await?;
    for run in &runs {
        its_history_is_whole(run, &mut wrong);
        it_kept_its_policy(run, &mut wrong);
        its_lease_is_its_own(run, &items, &mut wrong);
        its_answers_were_used(stage, run, &mut wrong);
        its_artifacts_have_their_bytes(store, run, &items, &mut wrong).await?;
    }
    its_events_arrived(stage, &runs, &items, &mut wrong);
    for item in items.iter().filter(|item| item["sk"] == "JOBRUN") {
        let job_run = serde_json::from_value(item.clone())?;
        it_led_its_runs(stage, &job_run, &runs, &mut wrong);
    }
    Ok(wrong)
}

/// Every run of the table.
pub(crate) async fn runs(store: &Store) -> anyhow::Result<Vec<Run>> {
    let items = store::local::everything::items(store).await?;
    runs_among(store, &items).await
}

async fn runs_among(store: &Store, items: &[Value]) -> anyhow::Result<Vec<Run>> {
    let mut ids = Vec::new();
    for item in items.iter().filter(|item| item["sk"] == "RUN") {
        let id = text(item, "pk").trim_start_matches("RUN#");
        ids.push(
            id.parse::<RunId>()
                .map_err(|_| anyhow::anyhow!("{id} is no run's id"))?,
        );
    }
    Ok(store.runs(&ids).await?)
}

fn text<'i>(item: &'i Value, attribute: &str) -> &'i str {
    item[attribute].as_str().unwrap_or_default()
}

fn beside<'i>(run: &Run, items: &'i [Value], prefix: &str) -> impl Iterator<Item = &'i Value> {
    let (pk, prefix) = (format!("RUN#{}", run.id), prefix.to_owned());
    items
        .iter()
        .filter(move |item| text(item, "pk") == pk && text(item, "sk").starts_with(&prefix))
}

fn nothing_is_due(items: &[Value], wrong: &mut Vec<String>) {
    for item in items {
        let is_due = ["dueAt", "dueKey", "dueShard"]
            .iter()
            .any(|due| !item[due].is_null());
        if is_due {
            wrong.push(format!(
                "{} / {} is still due, as {}",
                text(item, "pk"),
                text(item, "sk"),
                item["status"]
                    .as_str()
                    .unwrap_or(text(item, "deliveryStatus")),
            ));
        }
    }
}

fn its_history_is_whole(run: &Run, wrong: &mut Vec<String>) {
    let mut say = |what: String| wrong.push(format!("run {}: {what}", run.id));
    if !run.status().is_final() {
        say(format!("it has not ended, it is {}", run.status()));
    }
    let ends = run.history.iter().filter(|entry| entry.status.is_final());
    let ends = ends.count();
    if ends > 1 {
        say(format!("it has ended {ends} times"));
    }
    let sequences: Vec<u64> = run.history.iter().map(|entry| entry.sequence).collect();
    if !sequences.iter().copied().eq(1..=run.sequence) {
        say(format!(
            "its sequence is {}, its history has {sequences:?}",
            run.sequence
        ));
    }
    let last = run.history.last();
    if last.map(|entry| (entry.status, entry.attempt, entry.state_name.clone()))
        != Some((run.status(), run.attempt, run.current_state_name.clone()))
    {
        say(format!("it is not what its last change says: {last:?}"));
    }
    for pair in run.history.windows(2) {
        let [before, after] = pair else { continue };
        if !may_become(before.status, after.status) {
            say(format!(
                "it went from {} to {}",
                before.status, after.status
            ));
        }
        let is_claim = before.status == Status::Pending && after.status == Status::InProgress;
        if after.attempt != before.attempt + u32::from(is_claim) {
            say(format!(
                "change {} is of attempt {} after attempt {}",
                after.sequence, after.attempt, before.attempt
            ));
        }
        if after.at < before.at {
            say(format!(
                "change {} was before the one before",
                after.sequence
            ));
        }
    }
}

/// As the table of design.md says.
fn may_become(before: Status, after: Status) -> bool {
    use Status::{
        AwaitingUserInput, Completed, CompletedWithNoActionTaken, Failed, InProgress, Pending,
    };
    match before {
        // A held run is released as pending.
        Pending => matches!(after, Pending | InProgress | Failed),
        InProgress => true,
        AwaitingUserInput => matches!(after, InProgress | Failed | Pending),
        Completed | CompletedWithNoActionTaken | Failed => false,
    }
}

fn it_kept_its_policy(run: &Run, wrong: &mut Vec<String>) {
    if run.executions > run.policy.max_attempts {
        wrong.push(format!(
            "run {}: it was executed {} times, its workflow allows {}",
            run.id, run.executions, run.policy.max_attempts
        ));
    }
}

/// A lease is never of an attempt that the run has not had.
fn its_lease_is_its_own(run: &Run, items: &[Value], wrong: &mut Vec<String>) {
    for lease in beside(run, items, "LEASE") {
        if lease["attempt"].as_u64() > Some(u64::from(run.attempt)) {
            wrong.push(format!("run {}: its lease is {lease}", run.id));
        }
    }
}

/// A person who was told that the answer is taken is not told that nobody answered.
fn its_answers_were_used(stage: &Stage, run: &Run, wrong: &mut Vec<String>) {
    let id = run.id.to_string();
    let answers = stage.world.answers().into_iter();
    for answer in answers.filter(|answer| answer.run_id == id && answer.is_accepted) {
        let mut since = run
            .history
            .iter()
            .filter(|entry| entry.sequence > answer.asked_at);
        let is_answered = since
            .next()
            .is_some_and(|entry| entry.status == Status::InProgress && !entry.is_unanswered);
        let asks_again = since.any(|entry| entry.status == Status::AwaitingUserInput);
        let is_timed_out = matches!(&run.phase, Phase::Failed(failure) if failure.code == FailureCode::UserInputTimeout);
        if !is_answered || (is_timed_out && !asks_again) {
            wrong.push(format!(
                "run {id}: an answer to what it asked in change {} was accepted, and not used",
                answer.asked_at
            ));
        }
    }
}

async fn its_artifacts_have_their_bytes(
    store: &Store,
    run: &Run,
    items: &[Value],
    wrong: &mut Vec<String>,
) -> anyhow::Result<()> {
    let shown: Vec<Artifact> = store
        .list_artifacts(run, None, PageSize::new(100).unwrap_or(PageSize::DEFAULT))
        .await?
        .items;
    for artifact in &shown {
        let id = artifact.id.to_string();
        let item = beside(run, items, "ARTIFACT#").find(|item| item["id"] == id);
        let key = item.map_or("", |item| text(item, "objectKey"));
        let what = format!("run {}: artifact {} ({key})", run.id, artifact.name);
        let bytes = match store::local::everything::object(store, key).await {
            Ok(bytes) => bytes,
            Err(error) => {
                wrong.push(format!("{what}: its bytes can't be read: {error}"));
                continue;
            }
        };
        let hash = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>();
        if bytes.len() as u64 != artifact.size_bytes || hash != artifact.sha256 {
            wrong.push(format!("{what}: its bytes are others than its item says"));
        }
        let found = store.artifact_of(run.organization_id, artifact.id).await?;
        if found.as_ref() != Some(artifact) {
            wrong.push(format!("{what}: it is not found by its id"));
        }
    }
    if run.status() == Status::Completed {
        // Its log is the last thing that an execution leaves.
        let is_log = |artifact: &&Artifact| {
            artifact.attempt == run.attempt && artifact.artifact_type == ArtifactType::Log
        };
        let logs = shown.iter().filter(is_log).count();
        if logs != 1 {
            wrong.push(format!("run {}: it completed with {logs} logs", run.id));
        }
        let values = store
            .run_with_values_of(run.organization_id, run.id)
            .await?;
        if values.and_then(|values| values.output).is_none() {
            wrong.push(format!(
                "run {}: it completed, and its output is lost",
                run.id
            ));
        }
    }
    Ok(())
}

fn its_events_arrived(stage: &Stage, runs: &[Run], items: &[Value], wrong: &mut Vec<String>) {
    let mut bodies: BTreeMap<String, String> = BTreeMap::new();
    for webhook in stage.world.webhooks() {
        let id = webhook
            .headers
            .get("webhook-id")
            .cloned()
            .unwrap_or_default();
        if let Err(error) = webhook.verify(&stage.endpoint_secret) {
            wrong.push(format!("webhook {id}: its signature doesn't fit: {error}"));
        }
        let first = bodies
            .entry(id.clone())
            .or_insert_with(|| webhook.body.clone());
        if *first != webhook.body {
            wrong.push(format!("webhook {id} came with two bodies"));
        }
    }
    let mut owed = 0;
    for run in runs {
        for event in events_of(run) {
            owed += 1;
            let sort = format!(
                "DLV#{:06}#{}#{}",
                event.sequence,
                event.event_type.as_str(),
                stage.endpoint_id
            );
            let what = format!(
                "run {}: {} ({})",
                run.id,
                event.event_type.as_str(),
                event.sequence
            );
            let Some(delivery) = beside(run, items, &sort).next() else {
                wrong.push(format!("{what}: nobody was to be told"));
                continue;
            };
            if delivery["deliveryStatus"] != "SUCCEEDED" {
                wrong.push(format!(
                    "{what}: its delivery is {}",
                    delivery["deliveryStatus"]
                ));
            }
            match bodies.get(text(delivery, "id")) {
                None => wrong.push(format!("{what}: it never arrived")),
                Some(body) if body != text(delivery, "body") => {
                    wrong.push(format!("{what}: it arrived with another body"));
                }
                Some(_) => {}
            }
        }
    }
    if bodies.len() > owed {
        wrong.push(format!(
            "{} events arrived, and {owed} happened",
            bodies.len()
        ));
    }
}

fn it_led_its_runs(stage: &Stage, job_run: &JobRun, runs: &[Run], wrong: &mut Vec<String>) {
    let mut say = |what: String| wrong.push(format!("job run {}: {what}", job_run.id));
    if !job_run.status.is_final() {
        say(format!("it has not ended, it is {}", job_run.status));
    }
    let mine: Vec<&Run> = runs
        .iter()
        .filter(|run| run.job_run_id == Some(job_run.id))
        .collect();
    if mine.len() != job_run.runs.len() {
        say(format!(
            "it has {} runs of {}",
            mine.len(),
            job_run.runs.len()
        ));
    }
    let plan = domain::job_run::reconcile(
        job_run,
        &mine.iter().map(|run| (*run).clone()).collect::<Vec<_>>(),
    );
    if plan.status != job_run.status {
        say(format!(
            "it is {}, and its runs say {}",
            job_run.status, plan.status
        ));
    }
    let order_of = |run: &Run| {
        let managed = job_run.runs.iter().find(|managed| managed.run_id == run.id);
        managed.map_or(0, |managed| managed.order)
    };
    for earlier in &mine {
        for later in mine.iter().filter(|run| order_of(run) > order_of(earlier)) {
            let (Some(ended), Some(started)) = (earlier.completed_at(), later.started_at) else {
                continue;
            };
            if started.plus(stage.clocks_differ_by) < ended {
                say(format!(
                    "run {} began before run {} had ended",
                    later.id, earlier.id
                ));
            }
        }
    }
}
