//! Feeds the functions' handlers as Lambda's event source mappings and EventBridge Scheduler do on AWS: batches,
//! partial answers, order within a shard, retries, dead-letter queues by the queues' own redrive policy.

use std::time::Duration;

use aws_lambda_events::event::dynamodb::Event;
use aws_lambda_events::event::sqs::SqsEvent;
use serde_json::json;
use store::local::stream::StreamReader;
use store::{Queue, QueueMessage, Store};
use tokio::time::{MissedTickBehavior, interval, sleep};

/// How often the stream is read. AWS reads it four times a second.
const READ_STREAM_EVERY: Duration = Duration::from_millis(100);

/// How often new shards are looked for, in reads.
const FIND_SHARDS_EVERY: u32 = 50;

/// As `MaximumRetryAttempts` of the mapping in template.yaml.
const RETRIES: u32 = 10;

/// How long to wait after something did not work.
const PAUSE: Duration = Duration::from_secs(1);

/// Feeds the dispatcher from the table's stream, for ever.
pub async fn feed_dispatcher(store: Store, mut reader: StreamReader) {
    let mut reads: u32 = 0;
    let mut ticks = interval(READ_STREAM_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if reads.is_multiple_of(FIND_SHARDS_EVERY)
            && let Err(error) = reader.find_shards().await
        {
            tracing::warn!(%error, "The stream's shards could not be listed");
            sleep(PAUSE).await;
            continue;
        }
        reads = reads.wrapping_add(1);
        match reader.read().await {
            Ok(batches) => {
                for batch in batches {
                    dispatch(&store, batch.event).await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "The stream could not be read");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Hands a batch over, again from its first failure on, until all is handled or given up.
async fn dispatch(store: &Store, mut event: Event) {
    let mut tries = 0;
    while !event.records.is_empty() {
        let answer = dispatcher::handle(store, event.clone()).await;
        let Some(failure) = answer.batch_item_failures.first() else {
            return;
        };
        // An empty identifier fails the whole batch.
        let failed = event
            .records
            .iter()
            .position(|record| record.change.sequence_number == failure.item_identifier)
            .unwrap_or_default();
        event.records.drain(..failed);
        tries = if failed > 0 { 1 } else { tries + 1 };
        if tries > RETRIES {
            let given_up = event.records.remove(0);
            tracing::error!(
                sequence_number = given_up.change.sequence_number,
                "Gave up on a change; the sweeper will find what it owes"
            );
            tries = 0;
        }
        sleep(PAUSE).await;
    }
}

/// Feeds the deliverer from its queue, for ever.
pub async fn feed_deliverer(context: deliverer::Context) {
    loop {
        let messages = match context
            .store
            .receive(Queue::Deliveries, 10, Duration::from_secs(20))
            .await
        {
            Ok(messages) if messages.is_empty() => continue,
            Ok(messages) => messages,
            Err(error) => {
                tracing::warn!(%error, "The delivery queue could not be read");
                sleep(PAUSE).await;
                continue;
            }
        };
        let answer = deliverer::handle(&context, as_lambda_sees_them(&messages)).await;
        for message in messages {
            let has_failed = answer
                .batch_item_failures
                .iter()
                .any(|failure| failure.item_identifier == message.id);
            if has_failed {
                continue;
            }
            if let Err(error) = context
                .store
                .delete_message(Queue::Deliveries, &message)
                .await
            {
                tracing::warn!(%error, "A delivery's message could not be deleted; it comes back");
            }
        }
    }
}

fn as_lambda_sees_them(messages: &[QueueMessage]) -> SqsEvent {
    let records: Vec<_> = messages
        .iter()
        .map(|message| {
            json!({
                "messageId": message.id,
                "receiptHandle": message.receipt,
                "body": message.body,
                "attributes": { "ApproximateReceiveCount": message.received.to_string() },
                "messageAttributes": {},
                "eventSource": "aws:sqs",
            })
        })
        .collect();
    serde_json::from_value(json!({ "Records": records })).unwrap_or_default()
}

/// Invokes the sweeper at a steady pace, for ever.
pub async fn feed_sweeper(store: Store, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        sweeper::handle(&store, store::now()).await;
    }
}
