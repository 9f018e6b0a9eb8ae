//! What only the stack on one machine needs. None of it is built into a function or a worker.

pub mod deploy;
pub mod early_reads;
pub mod everything;
pub mod faults;
pub mod floor;
pub mod messages;
pub mod meter;
pub mod partial_answers;
pub mod stream;

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::config::Intercept;

use crate::item::string;
use crate::keys::Key;
use crate::{Connection, Result, Store, StoreError};

/// The same store, whose calls of the table something stands before.
fn intercepted(store: &Store, interceptor: impl Intercept + 'static) -> Store {
    let config = store.dynamo.config().to_builder().interceptor(interceptor);
    Store {
        dynamo: aws_sdk_dynamodb::Client::from_conf(config.build()),
        ..store.clone()
    }
}

/// How long messages take from being sent until a long poll that waits already has them, on a queue of its own: the
/// floor under everything that a queue starts. A few of them, one after the other.
///
/// # Errors
/// [`StoreError`].
pub async fn queue_floor(connection: &Connection, messages: usize) -> Result<Vec<Duration>> {
    let sqs = aws_sdk_sqs::Client::new(connection.sdk_config());
    let name = format!(
        "legwork-floor-{:08x}",
        u32::from_be_bytes(crate::fresh_random())
    );
    let queue = sqs.create_queue().queue_name(name).send().await;
    let queue = queue
        .map_err(|error| StoreError::from_sdk("CreateQueue", &error))?
        .queue_url
        .unwrap_or_default();
    let mut took = Vec::with_capacity(messages);
    for _ in 0..messages {
        let received = async {
            let poll = sqs
                .receive_message()
                .queue_url(&queue)
                .wait_time_seconds(20)
                .send()
                .await;
            poll.map(|_| Instant::now())
                .map_err(|error| StoreError::from_sdk("ReceiveMessage", &error))
        };
        let sent = async {
            // The long poll must be waiting already when the message comes.
            tokio::time::sleep(Duration::from_millis(137)).await;
            let sent = sqs
                .send_message()
                .queue_url(&queue)
                .message_body("{}")
                .send()
                .await;
            sent.map(|_| Instant::now())
                .map_err(|error| StoreError::from_sdk("SendMessage", &error))
        };
        let (received, sent) = tokio::try_join!(received, sent)?;
        took.push(received.saturating_duration_since(sent));
        sqs.purge_queue()
            .queue_url(&queue)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("PurgeQueue", &error))?;
    }
    sqs.delete_queue()
        .queue_url(&queue)
        .send()
        .await
        .map_err(|error| StoreError::from_sdk("DeleteQueue", &error))?;
    Ok(took)
}

/// Writes one attribute of an item behind the store's back, for tests: so an index that lags looks, and an item that
/// somebody has damaged.
///
/// # Errors
/// [`StoreError`].
pub async fn set_attribute(
    store: &Store,
    pk: &str,
    sk: &str,
    attribute: &str,
    value: &str,
) -> Result<()> {
    let key = Key {
        pk: pk.to_owned(),
        sk: sk.to_owned(),
    };
    store
        .dynamo
        .update_item()
        .table_name(store.table()?)
        .set_key(Some(key.to_attributes()))
        .update_expression("SET #attribute = :value")
        .expression_attribute_names("#attribute", attribute)
        .expression_attribute_values(":value", string(value))
        .send()
        .await
        .map_err(|error| StoreError::from_sdk("UpdateItem", &error))?;
    Ok(())
}

/// Reads one attribute of an item as it lies in the table, for tests; none if there is no such text.
///
/// # Errors
/// [`StoreError`].
pub async fn attribute(
    store: &Store,
    pk: &str,
    sk: &str,
    attribute: &str,
) -> Result<Option<String>> {
    let key = Key {
        pk: pk.to_owned(),
        sk: sk.to_owned(),
    };
    let answer = store
        .dynamo
        .get_item()
        .table_name(store.table()?)
        .set_key(Some(key.to_attributes()))
        .consistent_read(true)
        .send()
        .await
        .map_err(|error| StoreError::from_sdk("GetItem", &error))?;
    let value = answer.item.and_then(|mut item| item.remove(attribute));
    Ok(value.and_then(|value| value.as_s().ok().cloned()))
}

/// Deletes an object of the bucket behind the store's back, for tests.
///
/// # Errors
/// [`StoreError`].
pub async fn delete_object(store: &Store, key: &str) -> Result<()> {
    store
        .s3
        .delete_object()
        .bucket(store.bucket()?)
        .key(key)
        .send()
        .await
        .map_err(|error| StoreError::from_sdk("DeleteObject", &error))?;
    Ok(())
}

/// Deletes an item behind the store's back, for tests.
///
/// # Errors
/// [`StoreError`].
pub async fn delete(store: &Store, pk: &str, sk: &str) -> Result<()> {
    let key = Key {
        pk: pk.to_owned(),
        sk: sk.to_owned(),
    };
    store
        .dynamo
        .delete_item()
        .table_name(store.table()?)
        .set_key(Some(key.to_attributes()))
        .send()
        .await
        .map_err(|error| StoreError::from_sdk("DeleteItem", &error))?;
    Ok(())
}
