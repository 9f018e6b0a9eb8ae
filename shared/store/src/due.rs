//! The due index: everything that somebody must look at again, by the time at which that is.

use std::ops::RangeInclusive;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{JobRunId, RunId, Timestamp};

use crate::error::updated_or_not;
use crate::item::{Item, string};
use crate::keys::Key;
use crate::{DeliveryKey, Result, Store, StoreError, keys};

/// Into how many partitions the index is cut.
pub const DUE_SHARDS: u8 = 16;

/// Something that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DueItem {
    /// A workflow run.
    Run(RunId),
    /// A job run.
    JobRun(JobRunId),
    /// A webhook delivery.
    Delivery(DeliveryKey),
}

/// Some of what is due in a shard, the oldest first.
#[derive(Debug)]
pub struct DuePage {
    /// What is due.
    pub items: Vec<DueItem>,
    /// Where there is more, if there is.
    pub next: Option<DueMark>,
}

/// Where a page of due items ended.
#[derive(Debug)]
pub struct DueMark(Item);

impl Store {
    /// The oldest due items of a shard, or those after a mark, at most `limit`. The index lags, and gives only keys: the
    /// item decides. A key that can't be read is logged and left out, so that it can't hide the others.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due(
        &self,
        shard: u8,
        now: Timestamp,
        after: Option<DueMark>,
        limit: i32,
    ) -> Result<DuePage> {
        let answer = self
            .dynamo
            .query()
            .table_name(self.table()?)
            .index_name(keys::DUE_INDEX)
            .key_condition_expression("dueShard = :shard AND dueKey <= :until")
            .expression_attribute_values(":shard", string(format!("DUE#{shard}")))
            .expression_attribute_values(":until", string(keys::due_key(now)))
            .limit(limit)
            .set_exclusive_start_key(after.map(|mark| mark.0))
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("Query", &error))?;
        let readable = |item| match parse(item) {
            Ok(due) => Some(due),
            Err(error) => {
                tracing::error!(shard, %error, "Something is due that can't be");
                None
            }
        };
        let items = answer.items.unwrap_or_default();
        Ok(DuePage {
            items: items.into_iter().filter_map(readable).collect(),
            next: answer.last_evaluated_key.map(DueMark),
        })
    }
}

impl DueItem {
    fn key(&self) -> Key {
        match self {
            Self::Run(id) => keys::run(*id),
            Self::JobRun(id) => keys::job_run(*id),
            Self::Delivery(delivery) => Key {
                pk: keys::run_partition(delivery.run_id),
                sk: delivery.key.clone(),
            },
        }
    }
}

impl Store {
    /// Has somebody look at something again later that can't be dealt with, whatever is wrong with it: after as long
    /// again as it has been overdue by now, within bounds. It moves in the index alone: `dueAt` goes on telling since
    /// when it is due. Does nothing if it is not due any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_aside(
        &self,
        item: &DueItem,
        now: Timestamp,
        bounds: RangeInclusive<Duration>,
    ) -> Result<()> {
        let overdue = self
            .due_since(item)
            .await?
            .map_or(Duration::ZERO, |due_at| now.since(due_at));
        let until = now.plus(overdue.clamp(*bounds.start(), *bounds.end()));
        let answer = self
            .dynamo
            .update_item()
            .table_name(self.table()?)
            .set_key(Some(item.key().to_attributes()))
            .update_expression("SET dueKey = :until")
            .condition_expression("dueKey <= :now")
            .expression_attribute_values(":until", string(keys::due_key(until)))
            .expression_attribute_values(":now", string(keys::due_key(now)))
            .send()
            .await;
        updated_or_not(answer)
    }

    /// Since when something is due; nothing if that can't be read either.
    async fn due_since(&self, item: &DueItem) -> Result<Option<Timestamp>> {
        let answer = self
            .dynamo
            .get_item()
            .table_name(self.table()?)
            .set_key(Some(item.key().to_attributes()))
            .projection_expression("dueAt")
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("GetItem", &error))?;
        let due_at = answer.item.and_then(|mut item| item.remove("dueAt"));
        Ok(match due_at {
            Some(AttributeValue::N(millis)) => millis.parse().ok().map(Timestamp::from_millis),
            _ => None,
        })
    }
}

fn parse(item: Item) -> Result<DueItem> {
    let part = |name: &str| {
        item.get(name)
            .and_then(|value| value.as_s().ok())
            .map_or("", String::as_str)
    };
    let (pk, sk) = (part("pk"), part("sk"));
    let unknown = || StoreError::Corrupt {
        what: format!("{pk} / {sk}"),
        reason: "nothing of this kind can be due".to_owned(),
    };
    if let Some(id) = pk.strip_prefix("JOBRUN#") {
        return id.parse().map(DueItem::JobRun).map_err(|_| unknown());
    }
    let run_id: RunId = pk
        .strip_prefix("RUN#")
        .and_then(|id| id.parse().ok())
        .ok_or_else(unknown)?;
    if sk == "RUN" {
        return Ok(DueItem::Run(run_id));
    }
    if sk.starts_with(keys::DELIVERY_PREFIX) {
        return Ok(DueItem::Delivery(DeliveryKey {
            run_id,
            key: sk.to_owned(),
        }));
    }
    Err(unknown())
}
