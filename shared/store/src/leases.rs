//! The lease of a run: an item of its own without indexes, so that a heartbeat costs one write unit and touches no
//! index. A run without a lease item lives on its claim.

use std::collections::HashMap;

use domain::{RunId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::item::{Put, encode, number};
use crate::{Result, Store, keys};

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
    /// Renews a lease. `false` if a later attempt has one: the caller's is over.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn renew_lease(&self, id: RunId, lease: Lease) -> Result<bool> {
        let item = encode(&keys::lease(id), lease)?;
        let values = HashMap::from([(":attempt".to_owned(), number(lease.attempt))]);
        let put = self
            .put_if(
                item,
                "attribute_not_exists(pk) OR attempt <= :attempt",
                values,
            )
            .await?;
        Ok(matches!(put, Put::Written))
    }

    /// Reads a run's lease.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn lease(&self, id: RunId) -> Result<Option<Lease>> {
        self.get(&keys::lease(id)).await
    }
}
