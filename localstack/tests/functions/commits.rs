//! Lost answers and late requests: what a worker finds when it asks again, and what a heartbeat can't do any more.

use std::collections::HashMap;

use std::time::Duration;

use domain::run::{Event, Finish, InputRequest, Policy, Rejected, Run};
use domain::{InputRequestId, OrganizationId, Timestamp};
use serde_json::{Value, json};
use store::local::early_reads::reading_early;
use store::{Lease, StoreError, Transition, fresh_id, next_commit, now};

use crate::setting::Setting;

fn asked(run: &Run, at: Timestamp) -> Event {
    Event::AskedUser {
        attempt: run.attempt,
        request: InputRequest {
            id: fresh_id(InputRequestId::new, at),
            prompt: "Code".to_owned(),
            message: None,
            screenshot_artifact_id: None,
            fields: Vec::new(),
            expires_at: at.plus(Duration::from_secs(60)),
            tries_left: 1,
        },
    }
}

async fn renewed(setting: &Setting, run: &Run, expires_at: Timestamp) -> bool {
    let lease = Lease {
        attempt: run.attempt,
        expires_at,
    };
    let renewed = setting.store.renew_lease(run.id, lease).await;
    renewed.expect("the store answers")
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_found_by_asking_again() {
    let setting = Setting::start().await;
    let at = now();
    let run = setting.run_created_at(at, Policy::default()).await;
    let run = setting.begun(run, at).await;
    let (event, commit) = (asked(&run, at), next_commit(&run));
    let store = &setting.store;
    let first = store.transition_as(run.clone(), &event, at, commit).await;
    assert!(matches!(first, Ok(Transition::Committed(_))), "{first:?}");
    // The worker has not heard of it: from the run as it knew it, and from the run as it may have read it meanwhile.
    for known in [run.clone(), setting.fresh(&run).await] {
        let again = store.transition_as(known, &event, now(), commit).await;
        assert!(matches!(again, Ok(Transition::Committed(_))), "{again:?}");
    }
    assert_eq!(setting.fresh(&run).await.sequence, run.sequence + 1);
}

#[tokio::test]
async fn a_heartbeat_that_was_long_under_way_shortens_no_lease() {
    let setting = Setting::start().await;
    let run = setting.run_created_at(now(), Policy::default()).await;
    let run = setting.claimed(run, now()).await;
    let (early, late) = (setting.at(30), setting.at(40));
    assert!(renewed(&setting, &run, late).await);
    assert!(
        renewed(&setting, &run, early).await,
        "the worker still has the lease"
    );
    let lease = setting
        .store
        .lease(run.id)
        .await
        .expect("the store answers");
    assert_eq!(lease.map(|lease| lease.expires_at), Some(late));
}

#[tokio::test]
async fn a_lease_that_was_ended_can_not_be_renewed() {
    let setting = Setting::start().await;
    let at = setting.at(-40);
    let run = setting.run_created_at(at, Policy::default()).await;
    let run = setting.claimed(run, at).await;
    assert!(renewed(&setting, &run, setting.at(-1)).await);
    let ended = setting.store.end_lease(run.clone(), setting.at(0)).await;
    assert!(matches!(ended, Ok(Transition::Committed(_))), "{ended:?}");
    assert!(!renewed(&setting, &run, setting.at(30)).await);
    // The next attempt's can.
    let fresh = setting.fresh(&run).await;
    let next = setting.claimed(fresh, setting.at(0)).await;
    assert!(renewed(&setting, &next, setting.at(30)).await);
}

#[tokio::test]
async fn a_lease_that_was_renewed_while_it_was_looked_at_is_not_ended() {
    let setting = Setting::start().await;
    let at = setting.at(-40);
    let run = setting.run_created_at(at, Policy::default()).await;
    let run = setting.claimed(run, at).await;
    assert!(renewed(&setting, &run, setting.at(30)).await);
    let ended = setting.store.end_lease(run.clone(), setting.at(0)).await;
    let why = match ended.expect("the store answers") {
        Transition::Rejected { why, .. } => Some(why),
        Transition::Committed(_) => None,
    };
    assert_eq!(why, Some(Rejected::NotDue));
    assert_eq!(setting.fresh(&run).await, run);
}

/// What the run's organization reads as its output, alone and together with others.
async fn output_of(setting: &Setting, run: &Run) -> Option<Value> {
    let (store, of) = (&setting.store, setting.organization_id);
    let found = store.run_with_values_of(of, run.id).await;
    let alone = found.expect("the store answers").and_then(|run| run.output);
    let outputs = store.run_outputs_of(of, &[run.id]).await;
    let together = outputs.expect("the store answers").remove(&run.id);
    assert_eq!(alone, together);
    alone
}

#[tokio::test]
async fn an_output_counts_once_its_attempt_has_completed_and_no_earlier_attempt_replaces_it() {
    let setting = Setting::start().await;
    let retried = Policy {
        max_attempts: 2,
        ..Policy::default()
    };
    let run = setting.run_created_at(setting.at(-60), retried).await;
    let run = setting.begun(run, setting.at(-50)).await;
    let put = async |attempt, output: &Value| {
        let put = setting.store.put_run_output(&run, attempt, output).await;
        put.expect("the store answers");
    };
    let large = json!({ "count": "2".repeat(200_000) });
    put(1, &json!({ "count": 1 })).await;
    assert_eq!(output_of(&setting, &run).await, None);

    put(2, &large).await;
    put(1, &json!({ "count": 1 })).await;
    // The attempt that completes wrote nothing: what the later one did write is none of its own.
    let other = setting.run_created_at(now(), Policy::default()).await;
    let other = setting.begun(other, now()).await;
    let written = setting.store.put_run_output(&other, 2, &large).await;
    written.expect("the store answers");
    let other = setting.finished(other, Finish::Completed, now()).await;
    assert_eq!(output_of(&setting, &other).await, None);

    let run = setting
        .commit(run.clone(), Event::GaveBack { attempt: 1 }, now())
        .await;
    let ready = setting.at(3600);
    let run = setting.begun(run, ready).await;
    let run = setting.finished(run, Finish::Completed, ready).await;
    assert_eq!(run.attempt, 2);
    assert_eq!(output_of(&setting, &run).await, Some(large));
    let stranger = fresh_id(OrganizationId::new, now());
    let theirs = setting.store.run_outputs_of(stranger, &[run.id]).await;
    assert_eq!(theirs.expect("the store answers"), HashMap::new());
}

#[tokio::test]
async fn an_output_that_is_gone_is_null_to_readers_and_not_taken_for_none_by_later_runs_of_its_job()
{
    let setting = Setting::start().await;
    let run = setting.run_created_at(now(), Policy::default()).await;
    let run = setting.begun(run, now()).await;
    let large = json!({ "count": "2".repeat(200_000) });
    let written = setting.store.put_run_output(&run, 1, &large).await;
    written.expect("the store answers");
    let run = setting.finished(run, Finish::Completed, now()).await;
    assert_eq!(output_of(&setting, &run).await, Some(large));

    let pk = format!("RUN#{}", run.id);
    let key = store::local::attribute(&setting.store, &pk, "OUTPUT", "objectKey").await;
    let key = key
        .expect("the store answers")
        .expect("it is in the bucket");
    let deleted = store::local::delete_object(&setting.store, &key).await;
    deleted.expect("the bucket answers");
    let (store, of) = (&setting.store, setting.organization_id);
    let found = store.run_with_values_of(of, run.id).await;
    let found = found.expect("the store answers").expect("the run is there");
    assert_eq!(found.output, None);
    let outputs = store.run_outputs_of(of, &[run.id]).await;
    assert!(
        matches!(outputs, Err(StoreError::Corrupt { .. })),
        "{outputs:?}"
    );
}

#[tokio::test]
async fn a_run_that_is_seen_completed_has_its_output_however_early_that_was_looked_for() {
    let setting = Setting::start().await;
    let run = setting.run_created_at(now(), Policy::default()).await;
    let run = setting.begun(run, now()).await;
    let output = json!({ "count": 1 });
    let put = setting.store.put_run_output(&run, run.attempt, &output);
    put.await.expect("the store answers");
    let run = setting.finished(run, Finish::Completed, now()).await;

    let store = reading_early(&setting.store, "OUTPUT");
    let found = store
        .run_with_values_of(setting.organization_id, run.id)
        .await;
    let found = found.expect("the store answers").expect("the run exists");
    assert_eq!(
        (found.run.sequence, found.output),
        (run.sequence, Some(output))
    );
}
