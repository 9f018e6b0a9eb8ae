//! Allowances: how much an organization may still do in a window of time, counted over all processes. Who asks takes
//! a share for several requests at once, so that not every request writes here.

use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use domain::{OrganizationId, Timestamp};
use serde::Deserialize;

use crate::item::{Item, decode, number};
use crate::{Result, Store, StoreError, keys};

/// For how long a window's count is kept after the window's start; a window may be at most as long.
const KEPT_FOR: Duration = Duration::from_secs(60 * 60);

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AllowanceKind {
    /// Requests of any kind.
    Requests,
    /// Requests that create a run.
    Creates,
}

impl AllowanceKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "REQUESTS",
            Self::Creates => "CREATES",
        }
    }
}

/// What became of asking for a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// The whole share is the caller's.
    Taken,
    /// There is less than that, and nothing was taken.
    Exhausted {
        /// What is left.
        left: u32,
    },
}

#[derive(Deserialize)]
struct TakenItem {
    taken: u32,
}

impl Store {
    /// Takes a share of what an organization may do in the window that begins at `window_start`, which is at most an
    /// hour long. Whoever takes at the same time, the shares never sum up to more than `limit`.
    ///
    /// # Errors
    /// [`StoreError`]; whether the share was taken is then unknown.
    pub async fn take_allowance(
        &self,
        organization_id: OrganizationId,
        kind: AllowanceKind,
        window_start: Timestamp,
        amount: u32,
        limit: u32,
    ) -> Result<Allowance> {
        let key = keys::allowance(organization_id, kind.as_str(), window_start);
        let Some(most) = limit.checked_sub(amount) else {
            let taken = self.get::<TakenItem>(&key).await?;
            return Ok(exhausted(limit, taken));
        };
        let answer = self
            .dynamo
            .update_item()
            .table_name(self.table()?)
            .set_key(Some(key.to_attributes()))
            .update_expression("SET #ttl = :ttl ADD taken :amount")
            .condition_expression("attribute_not_exists(taken) OR taken <= :most")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":ttl", number(window_start.plus(KEPT_FOR).as_seconds()))
            .expression_attribute_values(":amount", number(amount))
            .expression_attribute_values(":most", number(most))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = answer else {
            return Ok(Allowance::Taken);
        };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                let there: Option<Item> = failed.item.clone();
                Ok(exhausted(limit, there.map(decode).transpose()?))
            }
            _ => Err(StoreError::from_sdk("UpdateItem", &error)),
        }
    }
}

fn exhausted(limit: u32, there: Option<TakenItem>) -> Allowance {
    let taken = there.map_or(0, |item| item.taken);
    Allowance::Exhausted {
        left: limit.saturating_sub(taken),
    }
}
