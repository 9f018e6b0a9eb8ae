//! What a test begins with, and the steps that it takes.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lambda_events::event::sqs::SqsEvent;
use domain::run::{Event, Finish, NewRun, Policy, Run, Timings};
use domain::webhook::EventType;
use domain::{OrganizationId, RunId, Timestamp, WebhookEndpointId, WorkflowId};
use localstack::fixture::Fixture;
use platform::addresses::AllowAddresses;
use platform::guarded_http::GuardedClient;
use platform::webhook_signature::Secret;
use serde_json::{Value, json};
use store::local::stream::StreamReader;
use store::{
    Delivery, DeliveryKey, NewWebhookEndpoint, Queue, QueueMessage, RunMessage, Store, Transition,
    fresh_commit, fresh_id, now,
};

/// The lease that runs are claimed with here.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// One organization on resources of its own.
pub(crate) struct Setting {
    pub(crate) store: Store,
    pub(crate) organization_id: OrganizationId,
    stream: StreamReader,
    began: Timestamp,
}

impl Setting {
    pub(crate) async fn start() -> Self {
        let fixture = Fixture::start().await.expect("a fixture");
        let stream = StreamReader::new(&fixture.connection, &fixture.outputs["TableStreamArn"]);
        Self {
            store: fixture.store,
            organization_id: fresh_id(OrganizationId::new, now()),
            stream,
            began: now(),
        }
    }

    /// A time so many seconds after the test began, or before. All times that a test compares are of this one reading of
    /// the clock: how long the machine takes from one to the next is nothing to them.
    pub(crate) fn at(&self, seconds: i64) -> Timestamp {
        Timestamp::from_millis(self.began.as_millis() + seconds * 1000)
    }

    /// A run as it was created at a time, written and not enqueued: its message is lost.
    pub(crate) async fn run_created_at(&self, at: Timestamp, policy: Policy) -> Run {
        self.run_of(fresh_id(RunId::new, at), at, policy).await
    }

    /// The same, with an id of the test's choice.
    pub(crate) async fn run_of(&self, id: RunId, at: Timestamp, policy: Policy) -> Run {
        let new = NewRun {
            id,
            organization_id: self.organization_id,
            workflow_id: fresh_id(WorkflowId::new, at),
            workflow_version: 1,
            job_run_id: None,
            retry_of_run_id: None,
            created_by_user_id: "user".to_owned(),
            metadata: BTreeMap::new(),
            secret_bindings: BTreeMap::new(),
            policy,
            trace_parent: None,
        };
        let run = Run::create(new, at, fresh_commit());
        self.store
            .create_run(&run, &Value::Null, None)
            .await
            .expect("the run is written");
        run
    }

    /// Commits an event, which must be legal.
    pub(crate) async fn commit(&self, run: Run, event: Event, at: Timestamp) -> Run {
        match self
            .store
            .transition(run, &event, at)
            .await
            .expect("the store answers")
        {
            Transition::Committed(run) => *run,
            Transition::Rejected { why, .. } => panic!("{event:?} was rejected: {why}"),
        }
    }

    pub(crate) async fn claimed(&self, run: Run, at: Timestamp) -> Run {
        self.commit(
            run,
            Event::Claimed {
                worker_id: "worker".to_owned(),
                lease: LEASE,
            },
            at,
        )
        .await
    }

    pub(crate) async fn begun(&self, run: Run, at: Timestamp) -> Run {
        let run = self.claimed(run, at).await;
        let attempt = run.attempt;
        self.commit(
            run,
            Event::EnteredState {
                attempt,
                name: "signing_in".to_owned(),
                skipped: Vec::new(),
            },
            at,
        )
        .await
    }

    pub(crate) async fn finished(&self, run: Run, finish: Finish, at: Timestamp) -> Run {
        let attempt = run.attempt;
        self.commit(
            run,
            Event::Finished {
                attempt,
                finish,
                timings: Timings::default(),
                skipped: Vec::new(),
            },
            at,
        )
        .await
    }

    pub(crate) async fn fresh(&self, run: &Run) -> Run {
        self.store
            .run(run.id)
            .await
            .expect("the store answers")
            .expect("the run exists")
    }

    /// Writes one attribute of an item behind the store's back.
    pub(crate) async fn set_attribute(&self, pk: &str, sk: &str, attribute: &str, value: &str) {
        store::local::set_attribute(&self.store, pk, sk, attribute, value)
            .await
            .expect("the attribute is written");
    }

    /// An endpoint that was registered an hour ago, with its secret.
    pub(crate) async fn endpoint(
        &self,
        url: &str,
        event_types: &[EventType],
    ) -> (WebhookEndpointId, Secret) {
        let at = Timestamp::from_millis(now().as_millis() - 3_600_000);
        let id = fresh_id(WebhookEndpointId::new, at);
        let new = NewWebhookEndpoint {
            id,
            organization_id: self.organization_id,
            url: url.to_owned(),
            event_types: event_types.to_vec(),
            description: None,
            created_at: at,
        };
        let secret = Secret::generate().expect("random bytes");
        self.store
            .create_webhook_endpoint(&new, &secret.reveal(), None)
            .await
            .expect("the endpoint is written");
        (id, secret)
    }

    /// Hands everything that is new in the stream to the dispatcher, batch by batch, until nothing is new.
    pub(crate) async fn dispatch(&mut self) {
        self.stream
            .find_shards()
            .await
            .expect("the stream has shards");
        loop {
            let batches = self.stream.read().await.expect("the stream can be read");
            if batches.is_empty() {
                return;
            }
            for batch in batches {
                let answer = dispatcher::handle(&self.store, batch.event).await;
                assert_eq!(answer.batch_item_failures, []);
            }
        }
    }

    /// What a reader does once that has slept for longer than its iterators are good for: it is refused, and finds out where
    /// it was.
    pub(crate) async fn sleep_long(&mut self) {
        self.stream.sleep_long();
        let refused = self.stream.read().await;
        assert!(refused.is_err(), "{refused:?}");
    }

    /// Loses everything that is new in the stream.
    pub(crate) async fn lose_stream_records(&mut self) {
        self.stream
            .find_shards()
            .await
            .expect("the stream has shards");
        while !self
            .stream
            .read()
            .await
            .expect("the stream can be read")
            .is_empty()
        {}
    }

    /// How many records of the stream are new that its mapping would hand to the dispatcher.
    pub(crate) async fn unheard_changes(&mut self) -> usize {
        self.stream
            .find_shards()
            .await
            .expect("the stream has shards");
        let mut changes = 0;
        loop {
            let batches = self.stream.read().await.expect("the stream can be read");
            if batches.is_empty() {
                return changes;
            }
            changes += batches
                .iter()
                .map(|batch| batch.event.records.len())
                .sum::<usize>();
        }
    }

    /// Takes every message from a queue.
    pub(crate) async fn take(&self, queue: Queue) -> Vec<QueueMessage> {
        let mut taken = Vec::new();
        loop {
            let messages = self
                .store
                .receive(queue, 10, Duration::ZERO)
                .await
                .expect("the queue answers");
            if messages.is_empty() {
                return taken;
            }
            for message in messages {
                self.store
                    .delete_message(queue, &message)
                    .await
                    .expect("the queue answers");
                taken.push(message);
            }
        }
    }

    /// Takes the runs that the run queue names.
    pub(crate) async fn take_runs(&self) -> Vec<RunId> {
        let read = |message: QueueMessage| -> RunId {
            let message: RunMessage =
                serde_json::from_str(&message.body).expect("a message about a run");
            assert_eq!(message.org_id, self.organization_id);
            message.run_id
        };
        self.take(Queue::Runs).await.into_iter().map(read).collect()
    }

    /// Takes the deliveries that their queue names.
    pub(crate) async fn take_deliveries(&self) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        for message in self.take(Queue::Deliveries).await {
            let key: DeliveryKey =
                serde_json::from_str(&message.body).expect("a message about a delivery");
            deliveries.push(self.delivery(&key).await);
        }
        deliveries
    }

    pub(crate) async fn delivery(&self, key: &DeliveryKey) -> Delivery {
        self.store
            .delivery(key)
            .await
            .expect("the store answers")
            .expect("the delivery exists")
    }

    pub(crate) fn deliverer(&self) -> deliverer::Context {
        let client = GuardedClient::new(AllowAddresses::AndLoopback, deliverer::EXCHANGE_TIMEOUT)
            .expect("a client");
        deliverer::Context {
            store: self.store.clone(),
            client,
        }
    }
}

/// What Lambda hands over for messages with these bodies; their ids are 0, 1, …
pub(crate) fn sqs_event(bodies: &[String]) -> SqsEvent {
    let records: Vec<Value> = bodies
        .iter()
        .enumerate()
        .map(|(id, body)| json!({ "messageId": id.to_string(), "body": body }))
        .collect();
    serde_json::from_value(json!({ "Records": records })).expect("an event")
}

/// The body of a message about a delivery.
pub(crate) fn message_about(delivery: &Delivery) -> String {
    serde_json::to_string(&delivery.key).expect("JSON")
}

/// The last moment before another.
pub(crate) fn just_before(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_millis() - 1)
}
