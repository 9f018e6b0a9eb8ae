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
    shards: BTreeMap<String, Shard>,
}

/// Where a shard is read next.
#[derive(Debug, Default)]
struct Shard {
    place: Place,
    /// The last record that was read.
    read_up_to: Option<String>,
}

#[derive(Debug, Default)]
enum Place {
    /// Has to be asked for: it is new, or an iterator was not taken, as one that is older than a quarter of an hour.
    #[default]
    Unknown,
    At(String),
    /// It is closed, and read to its end.
    End,
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
            shards: BTreeMap::new(),
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
            self.shards.entry(shard_id).or_default();
        }
        Ok(())
    }

    /// The next batches, at most one of each shard. Only what template.yaml's filter lets through is in them. A shard that
    /// can't be read is read from where it was the next time, and keeps nothing from the others.
    ///
    /// # Errors
    /// [`StoreError`], if there is nothing of another shard to go on with.
    pub async fn read(&mut self) -> Result<Vec<Batch>> {
        let mut batches = Vec::new();
        let mut failed = None;
        for (id, shard) in &mut self.shards {
            match next(&self.client, &self.stream_arn, id, shard).await {
                Ok(batch) => batches.extend(batch),
                Err(error) => {
                    shard.place = Place::Unknown;
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error) if batches.is_empty() => Err(error),
            _ => Ok(batches),
        }
    }

    /// Makes all iterators ones that are not taken any more, as those of a machine that has slept, for tests.
    pub fn sleep_long(&mut self) {
        for shard in self.shards.values_mut() {
            if let Place::At(iterator) = &mut shard.place {
                *iterator = "expired".to_owned();
            }
        }
    }
}

/// From where a shard is read on: behind what was read, or from its oldest record, if that was not taken.
async fn iterator(
    client: &aws_sdk_dynamodbstreams::Client,
    stream_arn: &str,
    id: &str,
    shard: &mut Shard,
) -> Result<Option<String>> {
    let from = match &shard.read_up_to {
        None => ShardIteratorType::TrimHorizon,
        Some(_) => ShardIteratorType::AfterSequenceNumber,
    };
    let answer = client
        .get_shard_iterator()
        .stream_arn(stream_arn)
        .shard_id(id)
        .shard_iterator_type(from)
        .set_sequence_number(shard.read_up_to.clone())
        .send()
        .await;
    let answer = answer.map_err(|error| StoreError::from_sdk("GetShardIterator", &error));
    if answer.as_ref().is_err_and(|error| !error.is_transient()) {
        shard.read_up_to = None;
    }
    Ok(answer?.shard_iterator)
}

async fn next(
    client: &aws_sdk_dynamodbstreams::Client,
    stream_arn: &str,
    id: &str,
    shard: &mut Shard,
) -> Result<Option<Batch>> {
    let iterator = match &shard.place {
        Place::End => return Ok(None),
        Place::At(iterator) => iterator.clone(),
        Place::Unknown => match iterator(client, stream_arn, id, shard).await? {
            Some(iterator) => iterator,
            None => {
                shard.place = Place::End;
                return Ok(None);
            }
        },
    };
    let answer = client
        .get_records()
        .shard_iterator(iterator)
        .limit(100)
        .send()
        .await
        .map_err(|error| StoreError::from_sdk("GetRecords", &error))?;
    shard.place = answer.next_shard_iterator.map_or(Place::End, Place::At);
    let records = answer.records.unwrap_or_default();
    let number = |record: &Record| record.dynamodb()?.sequence_number().map(str::to_owned);
    if let Some(last) = records.last().and_then(number) {
        shard.read_up_to = Some(last);
    }
    let records: Vec<_> = records
        .into_iter()
        .filter(passes_the_filter)
        .map(as_lambda_sees_it)
        .collect();
    if records.is_empty() {
        return Ok(None);
    }
    let event = serde_json::from_value(json!({ "Records": records })).map_err(|error| {
        StoreError::Corrupt {
            what: "a stream record".to_owned(),
            reason: error.to_string(),
        }
    })?;
    Ok(Some(Batch { event }))
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
