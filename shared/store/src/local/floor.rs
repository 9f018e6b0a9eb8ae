//! The emulator's own limits, by bare calls of the SDK: what nothing that is built on it could beat.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::item::string;
use crate::{Result, Store, StoreError};

/// How long it takes to write, `times` times, two items into the table and a message into the run queue: the writes of
/// one new run, without indexes and without any of the reads before them. `at_once` of them run side by side.
///
/// # Errors
/// [`StoreError`].
pub async fn raw_creates(store: &Store, times: usize, at_once: usize) -> Result<Duration> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut writers: JoinSet<Result<()>> = JoinSet::new();
    let began = Instant::now();
    for _ in 0..at_once {
        let (store, next) = (store.clone(), Arc::clone(&next));
        writers.spawn(async move {
            while next.fetch_add(1, Ordering::Relaxed) < times {
                raw_create(&store).await?;
            }
            Ok(())
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.map_err(|error| StoreError::Fault {
            operation: "raw_creates",
            reason: error.to_string(),
        })??;
    }
    Ok(began.elapsed())
}

async fn raw_create(store: &Store) -> Result<()> {
    let partition = format!("FLOOR#{:032x}", u128::from_be_bytes(crate::fresh_random()));
    // About as long as a new run's item, and its input's.
    for (sort, length) in [("INPUT", 50), ("RUN", 800)] {
        store
            .dynamo
            .put_item()
            .table_name(store.table()?)
            .item("pk", string(&partition))
            .item("sk", string(sort))
            .item("value", string("x".repeat(length)))
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("PutItem", &error))?;
    }
    store
        .sqs
        .send_message()
        .queue_url(store.resources.run_queue_url()?)
        .message_body("{}")
        .send()
        .await
        .map_err(|error| StoreError::from_sdk("SendMessage", &error))?;
    Ok(())
}
