//! Transactions: several writes, all of them or none. Never a read: what a transaction decides by is in its conditions.

use std::time::Duration;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::builders::{DeleteBuilder, PutBuilder, UpdateBuilder};
use aws_sdk_dynamodb::types::{
    Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};

use crate::item::Item;
use crate::keys::Key;
use crate::{Result, Store, StoreError, fresh_random};

const OPERATION: &str = "TransactWriteItems";

/// How often a transaction is tried again that met another one.
const CONFLICTS: u32 = 6;

/// What became of a transaction.
#[derive(Debug)]
pub(crate) enum Transacted {
    /// All of it is written.
    Written,
    /// A condition did not hold, and nothing is written.
    Refused {
        /// Which of the writes it was: the first one whose condition did not hold.
        write: usize,
        /// What stands there, if anything does.
        there: Option<Item>,
    },
}

/// A write that is ready to become a part of a transaction.
pub(crate) trait Write {
    /// Finishes it.
    fn write(self) -> Result<TransactWriteItem>;
}

fn fault(error: BuildError) -> StoreError {
    StoreError::Fault {
        operation: OPERATION,
        reason: error.to_string(),
    }
}

impl Write for PutBuilder {
    fn write(self) -> Result<TransactWriteItem> {
        let put = self
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(fault)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

impl Write for UpdateBuilder {
    fn write(self) -> Result<TransactWriteItem> {
        let update = self
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(fault)?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

impl Write for DeleteBuilder {
    fn write(self) -> Result<TransactWriteItem> {
        let delete = self
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(fault)?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }
}

/// The condition that there is no item yet.
pub(crate) trait IfNew {
    /// Sets it.
    fn if_new(self) -> Self;
}

impl IfNew for PutBuilder {
    fn if_new(self) -> Self {
        self.condition_expression("attribute_not_exists(pk)")
    }
}

impl Store {
    /// Begins a write of a whole item.
    pub(crate) fn putting(&self, item: Item) -> Result<PutBuilder> {
        Ok(Put::builder()
            .table_name(self.table()?)
            .set_item(Some(item)))
    }

    /// Begins a change of an item.
    pub(crate) fn updating(&self, key: &Key) -> Result<UpdateBuilder> {
        Ok(Update::builder()
            .table_name(self.table()?)
            .set_key(Some(key.to_attributes())))
    }

    /// Begins a deletion.
    pub(crate) fn deleting(&self, key: &Key) -> Result<DeleteBuilder> {
        Ok(Delete::builder()
            .table_name(self.table()?)
            .set_key(Some(key.to_attributes())))
    }

    /// One transaction of at most 100 writes. Where another transaction holds an item, it is tried again a few times.
    pub(crate) async fn transact(&self, writes: Vec<TransactWriteItem>) -> Result<Transacted> {
        let mut conflicts = 0;
        loop {
            let answer = self
                .dynamo
                .transact_write_items()
                .set_transact_items(Some(writes.clone()))
                .send()
                .await;
            let Err(error) = answer else {
                return Ok(Transacted::Written);
            };
            let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) =
                error.as_service_error()
            else {
                return Err(StoreError::from_sdk(OPERATION, &error));
            };
            let reasons = canceled.cancellation_reasons();
            let first = |code: &str| {
                reasons
                    .iter()
                    .position(|reason| reason.code() == Some(code))
            };
            if let Some(write) = first("ConditionalCheckFailed") {
                let there = reasons[write].item().filter(|item| !item.is_empty());
                return Ok(Transacted::Refused {
                    write,
                    there: there.cloned(),
                });
            }
            if first("TransactionConflict").is_some() && conflicts < CONFLICTS {
                tokio::time::sleep(pause(conflicts)).await;
                conflicts += 1;
                continue;
            }
            let busy = [
                "TransactionConflict",
                "ThrottlingError",
                "ProvisionedThroughputExceeded",
            ];
            return Err(match busy.into_iter().find(|code| first(code).is_some()) {
                Some(code) => StoreError::Busy {
                    operation: OPERATION,
                    reason: code.to_owned(),
                },
                None => StoreError::from_sdk(OPERATION, &error),
            });
        }
    }
}

/// Between half and the whole of 20 ms, 40 ms and so on, so that two that met don't meet again.
pub(crate) fn pause(conflicts: u32) -> Duration {
    let longest = Duration::from_millis(20 << conflicts.min(CONFLICTS));
    let [random] = fresh_random::<1>();
    longest / 2 + longest / 2 * u32::from(random) / 255
}
