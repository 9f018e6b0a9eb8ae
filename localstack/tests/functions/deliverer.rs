use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use domain::run::Policy;
use domain::webhook::EventType;
use platform::webhook_signature::{SignedHeaders, header, verify};
use serde_json::json;
use store::local::faults::{cut_off_from, losing_an_answer};
use store::{Delivery, DeliveryStatus, Queue, Store, now};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::nobody::closed_address;
use crate::setting::{Setting, just_before, message_about, sqs_event};

/// A server of a customer's: it answers with the given statuses, one after the other, and keeps what it got.
struct Receiver {
    url: String,
    received: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    _server: JoinSet<()>,
}

impl Receiver {
    async fn answering(statuses: &[u16]) -> Self {
        let mut left = statuses.to_vec();
        left.reverse();
        let left = Arc::new(Mutex::new(left));
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = received.clone();
        let answer = async move |headers: HeaderMap, body: Bytes| {
            kept.lock().expect("no panic").push((headers, body));
            let status = left
                .lock()
                .expect("no panic")
                .pop()
                .expect("no more requests than answers");
            (
                StatusCode::from_u16(status).expect("a status"),
                "what the receiver says",
            )
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(answer);
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self {
            url,
            received,
            _server: server,
        }
    }

    fn received(&self) -> Vec<(HeaderMap, Bytes)> {
        self.received.lock().expect("no panic").clone()
    }
}

/// A delivery to a receiver, fanned out by the dispatcher.
async fn delivery_to(
    setting: &mut Setting,
    url: &str,
) -> (Delivery, platform::webhook_signature::Secret) {
    let (_, secret) = setting.endpoint(url, &[EventType::RunCreated]).await;
    setting.run_created_at(now(), Policy::default()).await;
    setting.dispatch().await;
    (setting.take_deliveries().await.remove(0), secret)
}

async fn deliver(setting: &Setting, delivery: &Delivery) -> Delivery {
    deliver_with(setting, setting.store.clone(), delivery).await
}

/// The same with another store.
async fn deliver_with(setting: &Setting, store: Store, delivery: &Delivery) -> Delivery {
    assert_eq!(try_to_deliver(setting, store, delivery).await, 0);
    setting.delivery(&delivery.key).await
}

/// How many messages come back.
async fn try_to_deliver(setting: &Setting, store: Store, delivery: &Delivery) -> usize {
    let context = deliverer::Context {
        store,
        ..setting.deliverer()
    };
    let answer = deliverer::handle(&context, sqs_event(&[message_about(delivery)])).await;
    answer.batch_item_failures.len()
}

/// Whether deliveries are made to the only endpoint that there is.
async fn is_enabled(setting: &Setting) -> bool {
    let endpoints = setting
        .store
        .each_webhook_endpoint(setting.organization_id)
        .await
        .expect("the store answers");
    endpoints[0].as_ref().expect("it can be read").enabled
}

#[tokio::test]
async fn a_delivery_is_signed_so_that_its_receiver_can_verify_it() {
    let mut setting = Setting::start().await;
    let receiver = Receiver::answering(&[200]).await;
    let (delivery, secret) = delivery_to(&mut setting, &receiver.url).await;
    let delivered = deliver(&setting, &delivery).await;
    assert_eq!(
        (delivered.status, delivered.due_at),
        (DeliveryStatus::Succeeded, None)
    );
    assert_eq!(delivered.attempts[0].status_code, Some(200));

    let (headers, body) = receiver.received().remove(0);
    let text = |name: &str| headers[name].to_str().expect("text");
    let signed = SignedHeaders {
        id: text(header::ID),
        timestamp: text(header::TIMESTAMP),
        signature: text(header::SIGNATURE),
    };
    assert_eq!(verify(&secret, signed, &body, now().as_seconds()), Ok(()));
    assert_eq!(signed.id, delivery.id.to_string());
    assert_eq!(body, delivery.body);
    assert_eq!(text("content-type"), "application/json");
}

#[tokio::test]
async fn a_refused_delivery_is_tried_again_with_the_same_id_and_body() {
    let mut setting = Setting::start().await;
    let receiver = Receiver::answering(&[500, 204]).await;
    let (delivery, _) = delivery_to(&mut setting, &receiver.url).await;
    let refused = deliver(&setting, &delivery).await;
    assert_eq!(refused.status, DeliveryStatus::Pending);
    assert_eq!(refused.attempts[0].status_code, Some(500));
    assert_eq!(
        refused.attempts[0].error.as_deref(),
        Some("what the receiver says")
    );
    let wait = refused.next_attempt_at.as_millis() - refused.attempts[0].at;
    assert!(wait >= 4500, "{wait} ms");

    let next_attempt_is = async |next_attempt_at| {
        let moved = Delivery {
            next_attempt_at,
            ..refused.clone()
        };
        let written = setting.store.update_delivery(&moved, 1).await;
        assert!(written.expect("the store answers"));
    };
    // A message that comes before its time does nothing.
    next_attempt_is(setting.at(3600)).await;
    assert_eq!(deliver(&setting, &refused).await.attempts.len(), 1);

    // Its time comes.
    next_attempt_is(setting.at(0)).await;
    let delivered = deliver(&setting, &refused).await;
    assert_eq!(delivered.status, DeliveryStatus::Succeeded);
    let received = receiver.received();
    assert_eq!(received[0].0[header::ID], received[1].0[header::ID]);
    assert_eq!(received[0].1, received[1].1);
}

#[tokio::test]
async fn a_receiver_that_cannot_be_reached_is_tried_again_and_the_reason_is_kept() {
    let mut setting = Setting::start().await;
    let (_closed, address) = closed_address();
    let (delivery, _) = delivery_to(&mut setting, &format!("http://{address}/?token=canary")).await;
    let refused = deliver(&setting, &delivery).await;
    assert_eq!(refused.status, DeliveryStatus::Pending);
    let error = refused.attempts[0].error.clone().expect("a reason");
    assert_eq!(error, "CONNECT_FAILED: could not connect to 127.0.0.1");
}

#[tokio::test]
async fn a_second_message_about_a_delivery_that_was_made_does_nothing() {
    let mut setting = Setting::start().await;
    let receiver = Receiver::answering(&[200]).await;
    let (delivery, _) = delivery_to(&mut setting, &receiver.url).await;
    deliver(&setting, &delivery).await;
    assert_eq!(deliver(&setting, &delivery).await.attempts.len(), 1);
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_disabled_and_its_other_deliveries_are_given_up() {
    let mut setting = Setting::start().await;
    let receiver = Receiver::answering(&[410]).await;
    let (delivery, _) = delivery_to(&mut setting, &receiver.url).await;
    setting.run_created_at(now(), Policy::default()).await;
    setting.dispatch().await;
    let other = setting.take_deliveries().await.remove(0);

    let gone = deliver(&setting, &delivery).await;
    assert_eq!((gone.status, gone.due_at), (DeliveryStatus::Failed, None));
    assert!(!is_enabled(&setting).await);
    let other = deliver(&setting, &other).await;
    assert_eq!(other.status, DeliveryStatus::Failed);
    assert_eq!(other.failure.as_deref(), Some("the endpoint is disabled"));
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_disabled_before_its_delivery_is_over() {
    let mut setting = Setting::start().await;
    let receiver = Receiver::answering(&[410, 410]).await;
    let (delivery, _) = delivery_to(&mut setting, &receiver.url).await;
    let cut_off = cut_off_from(&setting.store, "TransactWriteItems");
    assert_eq!(try_to_deliver(&setting, cut_off, &delivery).await, 1);
    assert!(is_enabled(&setting).await);
    // The message comes back.
    let gone = deliver(&setting, &delivery).await;
    assert_eq!(gone.status, DeliveryStatus::Failed);
    assert!(!is_enabled(&setting).await);
}

#[tokio::test]
async fn an_attempt_whose_write_was_not_answered_is_followed_by_the_next_one_all_the_same() {
    let mut setting = Setting::start().await;
    let receiver = Receiver::answering(&[503]).await;
    let (delivery, _) = delivery_to(&mut setting, &receiver.url).await;
    let losing = losing_an_answer(&setting.store, "PutItem");
    let refused = deliver_with(&setting, losing, &delivery).await;
    assert_eq!(
        (refused.status, refused.attempts.len()),
        (DeliveryStatus::Pending, 1)
    );
    let wait = Duration::from_secs(20);
    let messages = setting.store.receive(Queue::Deliveries, 1, wait).await;
    let messages = messages.expect("the queue answers");
    assert_eq!(
        messages.first().map(|message| &message.body),
        Some(&message_about(&delivery))
    );
}

#[tokio::test]
async fn a_body_that_names_no_delivery_fails_alone() {
    let mut setting = Setting::start().await;
    let receiver = Receiver::answering(&[200]).await;
    let (delivery, _) = delivery_to(&mut setting, &receiver.url).await;
    let event = sqs_event(&[
        "not JSON".to_owned(),
        message_about(&delivery),
        "{}".to_owned(),
    ]);
    let answer = deliverer::handle(&setting.deliverer(), event).await;
    let answer = serde_json::to_value(answer).expect("JSON");
    assert_eq!(
        answer,
        json!({ "batchItemFailures": [{ "itemIdentifier": "0" }, { "itemIdentifier": "2" }] })
    );
    assert_eq!(
        setting.delivery(&delivery.key).await.status,
        DeliveryStatus::Succeeded
    );
}

#[tokio::test]
async fn a_retry_within_minutes_waits_in_the_queue_and_the_sweeper_leaves_it_there() {
    let mut setting = Setting::start().await;
    let receiver = Receiver::answering(&[503]).await;
    let (delivery, _) = delivery_to(&mut setting, &receiver.url).await;
    let refused = deliver(&setting, &delivery).await;
    let wait = Duration::from_secs(20);
    let messages = setting.store.receive(Queue::Deliveries, 1, wait).await;
    let messages = messages.expect("the queue answers");
    assert_eq!(messages[0].body, message_about(&delivery));
    let enqueued_at = async |at| {
        sweeper::handle(&setting.store, at)
            .await
            .deliveries_enqueued
    };
    let due_at = refused.due_at.expect("it is due");
    assert!(due_at > refused.next_attempt_at);
    assert_eq!(enqueued_at(just_before(due_at)).await, 0);
    assert_eq!(enqueued_at(due_at).await, 1);
}
