use domain::run::{Event, Finish, Policy};
use domain::webhook::EventType;
use domain::{JobRunId, OrganizationId};
use serde_json::{Value, json};
use store::local::faults::sent_elsewhere;
use store::local::messages::groups;
use store::local::meter::metered;
use store::{Queue, RunMessage, fresh_id, now};

use crate::setting::Setting;

fn types(deliveries: &[store::Delivery]) -> Vec<EventType> {
    let mut types: Vec<EventType> = deliveries
        .iter()
        .map(|delivery| delivery.event_type)
        .collect();
    types.sort();
    types
}

#[tokio::test]
async fn every_message_tells_its_queue_whose_it_is() {
    let mut setting = Setting::start().await;
    setting
        .endpoint("http://127.0.0.1:9/all", &EventType::ALL)
        .await;
    let run = setting.run_created_at(now(), Policy::default()).await;
    let enqueued = setting.store.enqueue_run(RunMessage::about(&run)).await;
    enqueued.expect("the queue answers");
    setting.dispatch().await;
    for queue in [Queue::Runs, Queue::Deliveries] {
        let found = groups(&setting.store, queue).await;
        let expected = [Some(setting.organization_id.to_string())];
        assert_eq!(found.expect("the queue answers"), expected, "{queue:?}");
    }
}

#[tokio::test]
async fn each_change_makes_one_delivery_for_each_endpoint_that_wants_it() {
    let mut setting = Setting::start().await;
    let (all, _) = setting
        .endpoint("http://127.0.0.1:9/all", &EventType::ALL)
        .await;
    let (end, _) = setting
        .endpoint("http://127.0.0.1:9/end", &EventType::DEFAULT)
        .await;
    let at = setting.at(-10);
    let run = setting.run_created_at(at, Policy::default()).await;
    let run = setting.begun(run, at).await;
    setting.dispatch().await;
    let deliveries = setting.take_deliveries().await;
    assert_eq!(
        types(&deliveries),
        [
            EventType::RunCreated,
            EventType::RunStarted,
            EventType::RunStateChanged
        ]
    );
    assert!(
        deliveries
            .iter()
            .all(|delivery| delivery.endpoint_id == all)
    );

    setting.finished(run, Finish::Completed, at).await;
    setting.dispatch().await;
    let deliveries = setting.take_deliveries().await;
    assert_eq!(types(&deliveries), [EventType::RunCompleted; 2]);
    let mut told: Vec<_> = deliveries
        .iter()
        .map(|delivery| delivery.endpoint_id)
        .collect();
    told.sort();
    let mut both = [all, end];
    both.sort();
    assert_eq!(told, both);
}

#[tokio::test]
async fn the_same_records_again_make_no_second_delivery() {
    let mut setting = Setting::start().await;
    setting
        .endpoint("http://127.0.0.1:9/", &EventType::ALL)
        .await;
    let at = setting.at(-10);
    let run = setting.run_created_at(at, Policy::default()).await;
    let run = setting.begun(run, at).await;
    let run = setting.finished(run, Finish::Completed, at).await;
    setting.dispatch().await;
    assert_eq!(setting.take_deliveries().await.len(), 4);
    assert_eq!(
        dispatcher::conclude(&setting.store, &run)
            .await
            .expect("the store answers"),
        0
    );
    assert_eq!(setting.take_deliveries().await.len(), 0);
}

#[tokio::test]
async fn an_ended_run_is_due_no_more_once_its_events_are_written() {
    let mut setting = Setting::start().await;
    let at = setting.at(-10);
    let run = setting.run_created_at(at, Policy::default()).await;
    let run = setting.begun(run, at).await;
    let run = setting.finished(run, Finish::Completed, at).await;
    assert!(setting.fresh(&run).await.due_at.is_some());
    setting.dispatch().await;
    assert_eq!(setting.fresh(&run).await.due_at, None);
}

#[tokio::test]
async fn an_end_lets_in_who_waits_also_where_an_endpoint_can_not_be_read() {
    let setting = Setting::start().await;
    let (endpoint, _) = setting
        .endpoint("http://127.0.0.1:9/", &EventType::DEFAULT)
        .await;
    let pk = format!("ORG#{}", setting.organization_id);
    let sk = format!("ENDPOINT#{endpoint}");
    setting
        .set_attribute(&pk, &sk, "eventTypes", "broken")
        .await;
    let at = setting.at(-10);
    let mut in_work = Vec::new();
    // As many as an organization may have.
    for _ in 0..10 {
        let run = setting.run_created_at(at, Policy::default()).await;
        in_work.push(setting.begun(run, at).await);
    }
    let behind = setting.run_created_at(at, Policy::default()).await;
    let waiting = behind.admitted(false, at);
    let written = setting.store.postpone_run(&behind, &waiting).await;
    assert!(written.expect("the store answers"));

    let ended = in_work.pop().expect("there are ten");
    let ended = setting.finished(ended, Finish::Completed, at).await;
    assert!(dispatcher::conclude(&setting.store, &ended).await.is_err());
    assert_eq!(setting.take_runs().await, [behind.id]);
    // Its events are still owed.
    let due_at = setting.fresh(&ended).await.due_at;
    assert!(due_at.is_some_and(|due_at| due_at < setting.at(30)));
}

#[tokio::test]
async fn a_webhook_tells_of_the_run_as_it_was_at_that_change() {
    let mut setting = Setting::start().await;
    setting
        .endpoint("http://127.0.0.1:9/", &[EventType::RunStarted])
        .await;
    let at = setting.at(-10);
    let run = setting.run_created_at(at, Policy::default()).await;
    let run = setting.begun(run, at).await;
    setting.lose_stream_records().await;
    setting.finished(run, Finish::Completed, at).await;
    setting.dispatch().await;
    let deliveries = setting.take_deliveries().await;
    let body: Value = serde_json::from_str(&deliveries[0].body).expect("JSON");
    assert_eq!(body["type"], json!("workflow_run.started"));
    assert_eq!(body["data"]["status"], json!("IN_PROGRESS"));
    assert_eq!(body["data"]["sequence"], json!(2));
    assert_eq!(body["data"]["completedAt"], Value::Null);
    assert_eq!(body["data"].get("input"), None);
}

#[tokio::test]
async fn an_endpoint_hears_nothing_of_what_was_before_it_or_while_it_is_disabled() {
    let mut setting = Setting::start().await;
    setting
        .endpoint("http://127.0.0.1:9/", &EventType::ALL)
        .await;
    // The endpoint was registered an hour ago.
    setting
        .run_created_at(setting.at(-2 * 3600), Policy::default())
        .await;
    setting.dispatch().await;
    assert_eq!(setting.take_deliveries().await, []);

    let endpoints = setting
        .store
        .each_webhook_endpoint(setting.organization_id)
        .await;
    let endpoint = endpoints.expect("the store answers").remove(0);
    let endpoint = endpoint.expect("it can be read");
    setting
        .store
        .disable_webhook_endpoint(&endpoint)
        .await
        .expect("the store answers");
    setting
        .run_created_at(setting.at(-10), Policy::default())
        .await;
    setting.dispatch().await;
    assert_eq!(setting.take_deliveries().await, []);
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_read_holds_up_no_other_one_and_is_told_once_it_is_mended() {
    let setting = Setting::start().await;
    let (damaged, _) = setting
        .endpoint("http://127.0.0.1:9/", &EventType::DEFAULT)
        .await;
    let (whole, _) = setting
        .endpoint("http://127.0.0.1:9/", &EventType::DEFAULT)
        .await;
    let at = setting.at(-10);
    let run = setting.run_created_at(at, Policy::default()).await;
    let run = setting.begun(run, at).await;
    let run = setting.finished(run, Finish::Completed, at).await;
    let pk = format!("ORG#{}", setting.organization_id);
    let sk = format!("ENDPOINT#{damaged}");
    let set_id = async |value| setting.set_attribute(&pk, &sk, "id", value).await;

    set_id("no id").await;
    let concluded = dispatcher::conclude(&setting.store, &run).await;
    assert!(
        matches!(concluded, Err(store::StoreError::Corrupt { .. })),
        "{concluded:?}"
    );
    let told = setting.take_deliveries().await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].endpoint_id, whole);
    assert!(setting.fresh(&run).await.due_at.is_some());

    set_id(&damaged.to_string()).await;
    let concluded = dispatcher::conclude(&setting.store, &run).await;
    assert_eq!(concluded.expect("all can be read"), 1);
    let told = setting.take_deliveries().await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].endpoint_id, damaged);
    assert_eq!(setting.fresh(&run).await.due_at, None);
}

#[tokio::test]
async fn a_stream_reader_that_slept_for_long_goes_on_where_it_was() {
    let mut setting = Setting::start().await;
    setting
        .endpoint("http://127.0.0.1:9/", &EventType::ALL)
        .await;
    let at = setting.at(-10);
    let run = setting.run_created_at(at, Policy::default()).await;
    setting.dispatch().await;
    let run = setting.claimed(run, at).await;
    setting.sleep_long().await;
    assert_eq!(setting.unheard_changes().await, 1);
    setting.finished(run, Finish::Completed, at).await;
    setting.dispatch().await;
    assert_eq!(setting.take_deliveries().await.len(), 3);
}

#[tokio::test]
async fn at_a_runs_end_only_the_deliveries_that_are_missing_are_written() {
    let mut setting = Setting::start().await;
    setting
        .endpoint("http://127.0.0.1:9/", &EventType::ALL)
        .await;
    let at = setting.at(-10);
    let run = setting.run_created_at(at, Policy::default()).await;
    let run = setting.claimed(run, at).await;
    setting.dispatch().await;
    let run = setting.finished(run, Finish::Completed, at).await;
    let (store, meter) = metered(&setting.store);
    let written = dispatcher::conclude(&store, &run).await;
    assert_eq!(written.expect("all can be read"), 1);
    assert_eq!(meter.usage().requests["PutItem"], 1);
    assert_eq!(setting.take_deliveries().await.len(), 3);
}

#[tokio::test]
async fn a_run_that_goes_on_tells_only_of_its_last_change() {
    let mut setting = Setting::start().await;
    setting
        .endpoint("http://127.0.0.1:9/", &EventType::ALL)
        .await;
    let at = setting.at(-10);
    let run = setting.run_created_at(at, Policy::default()).await;
    let run = setting.claimed(run, at).await;
    setting.lose_stream_records().await;
    let attempt = run.attempt;
    setting
        .commit(
            run,
            Event::EnteredState {
                attempt,
                name: "signing_in".to_owned(),
                skipped: Vec::new(),
            },
            at,
        )
        .await;
    setting.dispatch().await;
    assert_eq!(
        types(&setting.take_deliveries().await),
        [EventType::RunStateChanged]
    );
}

#[tokio::test]
async fn what_can_not_be_dispatched_is_passed_over_and_holds_up_nobody_behind_it() {
    let mut setting = Setting::start().await;
    let (damaged, _) = setting
        .endpoint("http://127.0.0.1:9/", &EventType::ALL)
        .await;
    let pk = format!("ORG#{}", setting.organization_id);
    let sk = format!("ENDPOINT#{damaged}");
    setting.set_attribute(&pk, &sk, "id", "no id").await;
    let at = setting.at(-10);
    let run = setting.run_created_at(at, Policy::default()).await;
    let run = setting.begun(run, at).await;
    let ended = setting.finished(run, Finish::Completed, at).await;
    let unreadable = setting.run_created_at(at, Policy::default()).await;
    let pk = format!("RUN#{}", unreadable.id);
    setting.set_attribute(&pk, "RUN", "sequence", "none").await;
    // Another organization's run comes last in the same batch.
    let ours = setting.organization_id;
    setting.organization_id = fresh_id(OrganizationId::new, at);
    setting
        .endpoint("http://127.0.0.1:9/", &[EventType::RunCreated])
        .await;
    setting.run_created_at(at, Policy::default()).await;

    // No record is named as one that failed.
    setting.dispatch().await;
    assert_eq!(
        types(&setting.take_deliveries().await),
        [EventType::RunCreated]
    );
    // Both stay due.
    setting.organization_id = ours;
    assert!(setting.fresh(&ended).await.due_at.is_some());
    let swept = sweeper::handle(&setting.store, setting.at(60)).await;
    assert_eq!(swept.set_aside, 2, "{swept:?}");
}

#[tokio::test]
async fn a_change_for_which_the_table_does_not_answer_is_named_and_stops_the_batch() {
    let setting = Setting::start().await;
    let record = |sequence_number: &str| {
        let pk = format!("JOBRUN#{}", fresh_id(JobRunId::new, now()));
        let keys = json!({ "pk": { "S": pk }, "sk": { "S": "JOBRUN" } });
        json!({
            "eventID": sequence_number,
            "eventName": "INSERT",
            "awsRegion": "eu-central-1",
            "dynamodb": {
                "Keys": keys,
                "NewImage": keys,
                "SequenceNumber": sequence_number,
                "SizeBytes": 1,
                "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
        })
    };
    let event = json!({ "Records": [record("41"), record("42")] });
    // Nobody listens there.
    let away = sent_elsewhere(&setting.store, "GetItem", "http://127.0.0.1:9/");
    let answer = dispatcher::handle(&away, serde_json::from_value(event).expect("an event")).await;
    assert_eq!(
        serde_json::to_value(answer).expect("JSON"),
        json!({ "batchItemFailures": [{ "itemIdentifier": "41" }] })
    );
}
