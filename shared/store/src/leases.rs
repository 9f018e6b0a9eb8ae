//! The lease of a run: an item of its own without indexes, so that a heartbeat costs one write unit and touches no
//! index. A run without a lease item lives on its claim.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use domain::run::{Event, Run};
use domain::{RunId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::item::{decode, encode, number};
use crate::{Result, Store, StoreError, Transition, keys, next_commit};

/// What the item of a lease that was ended says, in milliseconds: long ago.
const ENDED_MILLIS: i64 = 0;

/// What a worker says every few seconds: I still have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// Whose lease it is.
    pub attempt: u32,
    /// Until when it stands; stored in milliseconds since 1970.
    #[serde(with = "millis")]
    pub expires_at: Timestamp,
}

mod millis {
    use domain::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        time: &Timestamp,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.as_millis())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(Timestamp::from_millis)
    }
}

impl Store {
    /// Renews a lease. `false` if it is over: it was ended, or a later attempt has one.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn renew_lease(&self, id: RunId, lease: Lease) -> Result<bool> {
        // A heartbeat that was long under way must not replace a later one: the lease would be over before its worker
        // knows. And one that was ended can't come back.
        let answer = self
            .dynamo
            .put_item()
            .table_name(self.table()?)
            .set_item(Some(encode(&keys::lease(id), lease)?))
            .condition_expression(
                "attribute_not_exists(pk) OR attempt < :attempt \
                 OR (attempt = :attempt AND expiresAt > :ended AND expiresAt <= :expires)",
            )
            .expression_attribute_values(":attempt", number(lease.attempt))
            .expression_attribute_values(":ended", number(ENDED_MILLIS))
            .expression_attribute_values(":expires", number(lease.expires_at.as_millis()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match answer {
            Ok(_) => return Ok(true),
            Err(error) => error,
        };
        let Some(PutItemError::ConditionalCheckFailedException(refused)) = error.as_service_error()
        else {
            return Err(StoreError::from_sdk("PutItem", &error));
        };
        let there: Option<Lease> = refused.item.clone().map(decode).transpose()?;
        Ok(there.is_some_and(|there| {
            there.attempt == lease.attempt && there.expires_at >= lease.expires_at
        }))
    }

    /// Ends the lease of a run's attempt, which is over at `now`: its item in one transaction with the run. If it was
    /// renewed while that was found out, the run is not due.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn end_lease(&self, run: Run, now: Timestamp) -> Result<Transition> {
        let attempt = run.attempt;
        let ended = Lease {
            attempt,
            expires_at: Timestamp::from_millis(ENDED_MILLIS),
        };
        let ended = self
            .putting(encode(&keys::lease(run.id), ended)?)?
            .condition_expression(
                "attribute_not_exists(pk) OR attempt < :attempt OR expiresAt <= :now",
            )
            .expression_attribute_values(":attempt", number(attempt))
            .expression_attribute_values(":now", number(now.as_millis()));
        let event = Event::LeaseExpired { attempt };
        let commit = next_commit(&run);
        self.transition_with(run, &event, now, commit, vec![ended])
            .await
    }

    /// Reads a run's lease.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn lease(&self, id: RunId) -> Result<Option<Lease>> {
        self.get(&keys::lease(id)).await
    }
}
