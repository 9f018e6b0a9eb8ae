//! Lost answers and late requests: what a worker finds when it asks again, and what a heartbeat can't do any more.

use domain::run::{Event, InputRequest, Policy, Rejected, Run};
use domain::{InputRequestId, Timestamp};
use store::{Lease, Transition, fresh_commit, fresh_id, now};

use crate::setting::{Setting, in_seconds, seconds_ago};

fn asked(run: &Run, at: Timestamp) -> Event {
    Event::AskedUser {
        attempt: run.attempt,
        request: InputRequest {
            id: fresh_id(InputRequestId::new, at),
            prompt: "Code".to_owned(),
            message: None,
            screenshot_artifact_id: None,
            fields: Vec::new(),
            expires_at: in_seconds(60),
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
    let (event, commit) = (asked(&run, at), fresh_commit());
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
    let (early, late) = (in_seconds(30), in_seconds(40));
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
    let at = seconds_ago(40);
    let run = setting.run_created_at(at, Policy::default()).await;
    let run = setting.claimed(run, at).await;
    assert!(renewed(&setting, &run, seconds_ago(1)).await);
    let ended = setting.store.end_lease(run.clone(), now()).await;
    assert!(matches!(ended, Ok(Transition::Committed(_))), "{ended:?}");
    assert!(!renewed(&setting, &run, in_seconds(30)).await);
    // The next attempt's can.
    let fresh = setting.fresh(&run).await;
    let next = setting.claimed(fresh, now()).await;
    assert!(renewed(&setting, &next, in_seconds(30)).await);
}

#[tokio::test]
async fn a_lease_that_was_renewed_while_it_was_looked_at_is_not_ended() {
    let setting = Setting::start().await;
    let at = seconds_ago(40);
    let run = setting.run_created_at(at, Policy::default()).await;
    let run = setting.claimed(run, at).await;
    assert!(renewed(&setting, &run, in_seconds(30)).await);
    let ended = setting.store.end_lease(run.clone(), now()).await;
    let why = match ended.expect("the store answers") {
        Transition::Rejected { why, .. } => Some(why),
        Transition::Committed(_) => None,
    };
    assert_eq!(why, Some(Rejected::NotDue));
    assert_eq!(setting.fresh(&run).await, run);
}
