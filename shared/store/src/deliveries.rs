//! Webhook deliveries: one event for one endpoint, an item beside its run, with its body fixed when it was written.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::webhook::{EventType, RunEvent};
use domain::{DeliveryId, OrganizationId, RunId, Timestamp, WebhookEndpointId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::item::{Item, Put, encode, number};
use crate::keys::Key;
use crate::{Result, Store, keys};

/// Names a delivery in the queue and in the table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeliveryKey {
    /// The run that it tells of.
    pub run_id: RunId,
    /// Its sort key beside the run.
    pub key: String,
}

impl DeliveryKey {
    /// The name of what tells an endpoint of an event.
    #[must_use]
    pub fn new(run_id: RunId, event: RunEvent, endpoint_id: WebhookEndpointId) -> Self {
        let key = keys::delivery_sort(event.sequence, event.event_type.as_str(), endpoint_id);
        Self { run_id, key }
    }
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeliveryStatus {
    /// Still to be made, or made again.
    Pending,
    /// The receiver answered with 2xx.
    Succeeded,
    /// Given up.
    Failed,
}

/// One POST of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// When it began, in milliseconds since 1970.
    pub at: i64,
    /// The HTTP status that came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
    /// Why none came back, or the beginning of an answer that was no success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// One event for one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The `webhook-id`: the same for all attempts, and for the same event derived again.
    pub id: DeliveryId,
    /// Where its item is.
    pub key: DeliveryKey,
    /// The tenant.
    pub organization_id: OrganizationId,
    /// Who is to hear of it.
    pub endpoint_id: WebhookEndpointId,
    /// What it is about.
    pub event_type: EventType,
    /// The body, byte for byte as it is signed and sent.
    pub body: String,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// Every attempt so far.
    pub attempts: Vec<Attempt>,
    /// Why it was given up.
    pub failure: Option<String>,
    /// No attempt is made before this: a message that comes earlier does nothing.
    pub next_attempt_at: Timestamp,
    /// How often the sweeper has put it into the queue since its last attempt.
    pub enqueued_again: u32,
    /// When the sweeper must look at it: some time after the next attempt, if a message for that is in the queue.
    pub due_at: Option<Timestamp>,
    /// When it was written.
    pub created_at: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeliveryItem {
    id: DeliveryId,
    organization_id: OrganizationId,
    endpoint_id: WebhookEndpointId,
    event_type: EventType,
    body: String,
    delivery_status: DeliveryStatus,
    attempts: Vec<Attempt>,
    /// The number of attempts, which a write is conditional on.
    attempted: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    next_attempt_at: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    enqueued_again: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_shard: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_at: Option<i64>,
    created_at: i64,
}

impl Delivery {
    /// A delivery whose first attempt is to be made now. Its id is derived from run, sequence, type and endpoint.
    #[must_use]
    pub fn new(
        organization_id: OrganizationId,
        run_id: RunId,
        endpoint_id: WebhookEndpointId,
        event: RunEvent,
        body: String,
        due_at: Timestamp,
        now: Timestamp,
    ) -> Self {
        let key = DeliveryKey::new(run_id, event, endpoint_id);
        let digest = Sha256::digest(format!("{run_id}/{}", key.key));
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        // RFC 9562, section 5.8: version 8 is for ids that are made in a way of one's own.
        let id = uuid::Builder::from_custom_bytes(bytes).into_uuid();
        Self {
            id: DeliveryId::from(id),
            key,
            organization_id,
            endpoint_id,
            event_type: event.event_type,
            body,
            status: DeliveryStatus::Pending,
            attempts: Vec::new(),
            failure: None,
            next_attempt_at: now,
            enqueued_again: 0,
            due_at: Some(due_at),
            created_at: now,
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

fn key_of(key: &DeliveryKey) -> Key {
    Key {
        pk: keys::run_partition(key.run_id),
        sk: key.key.clone(),
    }
}

fn encode_delivery(delivery: &Delivery) -> Result<Item> {
    let id = delivery.id.as_uuid();
    let item = DeliveryItem {
        id: delivery.id,
        organization_id: delivery.organization_id,
        endpoint_id: delivery.endpoint_id,
        event_type: delivery.event_type,
        body: delivery.body.clone(),
        delivery_status: delivery.status,
        attempts: delivery.attempts.clone(),
        attempted: delivery.attempts.len(),
        failure: delivery.failure.clone(),
        next_attempt_at: delivery.next_attempt_at.as_millis(),
        enqueued_again: delivery.enqueued_again,
        due_shard: delivery.due_at.map(|_| keys::due_shard(id)),
        due_key: delivery.due_at.map(keys::due_key),
        due_at: delivery.due_at.map(Timestamp::as_millis),
        created_at: delivery.created_at.as_millis(),
    };
    encode(&key_of(&delivery.key), item)
}

fn decode_delivery(key: DeliveryKey, item: DeliveryItem) -> Delivery {
    Delivery {
        id: item.id,
        key,
        organization_id: item.organization_id,
        endpoint_id: item.endpoint_id,
        event_type: item.event_type,
        body: item.body,
        status: item.delivery_status,
        attempts: item.attempts,
        failure: item.failure,
        next_attempt_at: Timestamp::from_millis(item.next_attempt_at),
        enqueued_again: item.enqueued_again,
        due_at: item.due_at.map(Timestamp::from_millis),
        created_at: Timestamp::from_millis(item.created_at),
    }
}

impl Store {
    /// Writes a delivery unless it is there already; `false` if it is.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn put_new_delivery(&self, delivery: &Delivery) -> Result<bool> {
        Ok(matches!(
            self.put_new(encode_delivery(delivery)?).await?,
            Put::Written
        ))
    }

    /// Which deliveries of a run are written.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn delivery_keys(&self, run_id: RunId) -> Result<HashSet<DeliveryKey>> {
        let items = self
            .query_prefix(
                &keys::run_partition(run_id),
                keys::DELIVERY_PREFIX,
                Some("sk"),
            )
            .await?;
        let key = |mut item: Item| match item.remove("sk") {
            Some(AttributeValue::S(key)) => Some(DeliveryKey { run_id, key }),
            _ => None,
        };
        Ok(items.into_iter().filter_map(key).collect())
    }

    /// Reads a delivery.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn delivery(&self, key: &DeliveryKey) -> Result<Option<Delivery>> {
        let item: Option<DeliveryItem> = self.get(&key_of(key)).await?;
        Ok(item.map(|item| decode_delivery(key.clone(), item)))
    }

    /// Writes what became of an attempt, or when the delivery is due next. `false` if another attempt was written
    /// since this delivery was read.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn update_delivery(
        &self,
        delivery: &Delivery,
        attempts_before: usize,
    ) -> Result<bool> {
        let values = HashMap::from([(":attempted".to_owned(), number(attempts_before))]);
        let put = self
            .put_if(encode_delivery(delivery)?, "attempted = :attempted", values)
            .await?;
        if matches!(put, Put::Written) {
            return Ok(true);
        }
        // Perhaps it was this very write that got through before, and only its answer got lost.
        let there = self.delivery(&delivery.key).await?;
        Ok(there.is_some_and(|there| there.attempts == delivery.attempts))
    }
}
