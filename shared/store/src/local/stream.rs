//! Reads the table's stream by hand, as Lambda's event source mapping does on AWS: shard by shard, in order.

use std::collections::BTreeMap;

use aws_lambda_events::event::dynamodb::Event;
use aws_sdk_dynamodbstreams::types::{Record, ShardIteratorType};
use serde_json::json;

use crate::{Connection, Result, StoreError};

/// A reader of one stream. It forgets where it was when it is dropped: the next one begins at the trim horizon, since
/// what reads it must bear a record twice anyway.
#[derive(Debug)]
pub struct StreamReader {
    client: aws_sdk_dynamodbstreams::Client,
    stream_arn: String,
    /// Where each shard is read next; none when it is closed and read to its end.
    iterators: BTreeMap<String, Option<String>>,
}

/// What was read from one shard. It must be handled before the next batch of the same shard is.
#[derive(Debug)]
pub struct Batch {
    /// As Lambda would hand it over.
    pub event: Event,
}

impl StreamReader {
    /// A reader of a stream, from its oldest record on.
    #[must_use]
    pub fn new(connection: &Connection, stream_arn: &str) -> Self {
        Self {
            client: aws_sdk_dynamodbstreams::Client::new(connection.sdk_config()),
            stream_arn: stream_arn.to_owned(),
            iterators: BTreeMap::new(),
        }
    }

    /// Looks for shards that are new. Cheap enough for each second, and not needed more often.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_shards(&mut self) -> Result<()> {
        let answer = self
            .client
            .describe_stream()
            .stream_arn(&self.stream_arn)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("DescribeStream", &error))?;
        let shards = answer
            .stream_description
            .and_then(|stream| stream.shards)
            .unwrap_or_default();
        for shard_id in shards.into_iter().filter_map(|shard| shard.shard_id) {
            if self.iterators.contains_key(&shard_id) {
                continue;
            }
            let answer = self
                .client
                .get_shard_iterator()
                .stream_arn(&self.stream_arn)
                .shard_id(&shard_id)
                .shard_iterator_type(ShardIteratorType::TrimHorizon)
                .send()
                .await
                .map_err(|error| StoreError::from_sdk("GetShardIterator", &error))?;
            self.iterators.insert(shard_id, answer.shard_iterator);
        }
        Ok(())
    }

    /// The next batches, at most one of each shard. Only what template.yaml's filter lets through is in them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn read(&mut self) -> Result<Vec<Batch>> {
        let mut batches = Vec::new();
        for iterator in self.iterators.values_mut() {
            let Some(current) = iterator.clone() else {
                continue;
            };
            let answer = self
                .client
                .get_records()
                .shard_iterator(current)
                .limit(100)
                .send()
                .await
                .map_err(|error| StoreError::from_sdk("GetRecords", &error))?;
            *iterator = answer.next_shard_iterator;
            let records: Vec<_> = answer
                .records
                .unwrap_or_default()
                .into_iter()
                .filter(passes_the_filter)
                .map(as_lambda_sees_it)
                .collect();
            if records.is_empty() {
                continue;
            }
            let event = serde_json::from_value(json!({ "Records": records })).map_err(|error| {
                StoreError::Corrupt {
                    what: "a stream record".to_owned(),
                    reason: error.to_string(),
                }
            })?;
            batches.push(Batch { event });
        }
        Ok(batches)
    }
}

/// The same rule as the `FilterCriteria` of the dispatcher's event source mapping in template.yaml.
fn passes_the_filter(record: &Record) -> bool {
    use aws_sdk_dynamodbstreams::types::OperationType::{Insert, Modify};
    let is_change = matches!(record.event_name(), Some(Insert | Modify));
    let sort_key = record
        .dynamodb()
        .and_then(|data| data.keys())
        .and_then(|keys| keys.get("sk"));
    is_change
        && sort_key
            .and_then(|sk| sk.as_s().ok())
            .is_some_and(|sk| sk == "RUN" || sk == "JOBRUN")
}

fn as_lambda_sees_it(record: Record) -> serde_json::Value {
    let data = record
        .dynamodb
        .unwrap_or_else(|| aws_sdk_dynamodbstreams::types::StreamRecord::builder().build());
    let image = |image: Option<std::collections::HashMap<_, _>>| {
        serde_json::to_value(serde_dynamo::Item::from(image.unwrap_or_default()))
            .unwrap_or_default()
    };
    json!({
        "eventID": record.event_id,
        "eventName": record.event_name.map(|name| name.as_str().to_owned()),
        "eventSource": "aws:dynamodb",
        "eventVersion": "1.1",
        "awsRegion": record.aws_region,
        "dynamodb": {
            "ApproximateCreationDateTime": data.approximate_creation_date_time.map_or(0, |time| time.secs()),
            "Keys": image(data.keys),
            "NewImage": image(data.new_image),
            "OldImage": image(data.old_image),
            "SequenceNumber": data.sequence_number,
            "SizeBytes": data.size_bytes.unwrap_or_default(),
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    })
}
