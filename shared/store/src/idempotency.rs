//! Idempotency keys: the same key and body give the same answer for 24 hours.

use std::time::Duration;

use aws_sdk_dynamodb::types::TransactWriteItem;
use domain::OrganizationId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::item::{Item, decode, encode, number};
use crate::transactions::{Transacted, Write};
use crate::{Result, Store, keys, now};

/// For how long a key is remembered.
const REMEMBERED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// What a caller sent as `Idempotency-Key`, with what it was sent for. Only hashes are kept.
#[derive(Debug, Clone)]
pub struct IdempotencyKey {
    organization_id: OrganizationId,
    key_hash: String,
    body_hash: String,
}

/// What an earlier request with the same key did.
#[derive(Debug, PartialEq, Eq)]
pub enum Replay {
    /// The same request; it made the resource with this id.
    Same {
        /// The resource's id.
        resource_id: String,
    },
    /// A request with another body.
    OtherBody,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct IdempotencyItem {
    body_hash: String,
    resource_id: String,
    /// Seconds since 1970. The table deletes lazily, so readers compare too.
    ttl: i64,
}

impl IdempotencyKey {
    /// A key of an organization, for an operation such as `POST /workflow-runs`, with the request's body.
    #[must_use]
    pub fn new(organization_id: OrganizationId, operation: &str, key: &str, body: &[u8]) -> Self {
        let key_hash = hex(&Sha256::digest(format!("{operation}\n{key}")));
        Self {
            organization_id,
            key_hash,
            body_hash: hex(&Sha256::digest(body)),
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

impl Store {
    /// Looks up what an idempotency key was used for, before doing work that a replay needs not do.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn replay(&self, key: &IdempotencyKey) -> Result<Option<Replay>> {
        let item: Option<IdempotencyItem> = self
            .get(&keys::idempotency(key.organization_id, &key.key_hash))
            .await?;
        Ok(item
            .filter(|item| item.ttl > now().as_seconds())
            .map(|item| item.compare(key)))
    }

    /// Writes new items together with the idempotency item. `Some` if the key was used before; nothing is written
    /// then.
    pub(crate) async fn put_with_idempotency(
        &self,
        key: &IdempotencyKey,
        resource_id: &str,
        items: Vec<Item>,
    ) -> Result<Option<Replay>> {
        let mut writes = vec![self.remembering(key, resource_id)?];
        for item in items {
            writes.push(self.putting(item)?.write()?);
        }
        // The same key at the same moment: one transaction goes through, and the other one finds it then.
        match self.transact(writes).await? {
            Transacted::Written => Ok(None),
            Transacted::Refused { there, .. } => self.replay_of(key, there).await.map(Some),
        }
    }

    /// The write that remembers an idempotency key, refused if the key was used before.
    pub(crate) fn remembering(
        &self,
        key: &IdempotencyKey,
        resource_id: &str,
    ) -> Result<TransactWriteItem> {
        let at = now();
        let item = IdempotencyItem {
            body_hash: key.body_hash.clone(),
            resource_id: resource_id.to_owned(),
            ttl: at.plus(REMEMBERED_FOR).as_seconds(),
        };
        let item = encode(&keys::idempotency(key.organization_id, &key.key_hash), item)?;
        self.putting(item)?
            .condition_expression("attribute_not_exists(pk) OR #ttl <= :now")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":now", number(at.as_seconds()))
            .write()
    }

    /// What the idempotency item says that refused a write, given what the refusal brought along.
    pub(crate) async fn replay_of(
        &self,
        key: &IdempotencyKey,
        there: Option<Item>,
    ) -> Result<Replay> {
        match there {
            Some(there) => Ok(decode::<IdempotencyItem>(there)?.compare(key)),
            None => Ok(self.replay(key).await?.unwrap_or(Replay::OtherBody)),
        }
    }
}

impl IdempotencyItem {
    fn compare(self, key: &IdempotencyKey) -> Replay {
        if self.body_hash == key.body_hash {
            Replay::Same {
                resource_id: self.resource_id,
            }
        } else {
            Replay::OtherBody
        }
    }
}
