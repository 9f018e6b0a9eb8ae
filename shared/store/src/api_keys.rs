//! API keys, and the organization that each belongs to. Only a key's hash is kept: a key is shown once, when it is made.
//!
//! A key has two items, one that is found by the key's hash and holds everything, and one that says that the
//! organization has it; they come and go in one transaction. A third item counts an organization's keys, so that their
//! number is bounded and the last admin's stays, whoever makes and deletes keys at the same time.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use domain::{ApiKeyId, OrganizationId, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::idempotency::hex;
use crate::item::{Item, decode, encode, number};
use crate::keys::Key;
use crate::lists::Between;
use crate::pages::Span;
use crate::transactions::{IfNew, Transacted, Write};
use crate::{
    IdempotencyKey, Page, PageSize, Replay, Result, Store, StoreError, TimeWindow, fresh_random,
    keys,
};

/// How many keys an organization has at most.
pub const MOST_API_KEYS: u32 = 100;

/// How old the last use of a key must be before another one is written down.
const USE_NOTED_EVERY_MILLIS: i64 = 15 * 60 * 1000;

/// How long writing down a use may take. A request waits for it at its end, and it isn't worth more.
const USE_NOTED_WITHIN: Duration = Duration::from_millis(500);

/// What the holder of a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Read.
    Viewer,
    /// Also run, cancel and answer.
    Operator,
    /// Also change workflows, secrets, endpoints and keys.
    Admin,
}

/// A key, as far as it is known: who holds it, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// The tenant.
    pub organization_id: OrganizationId,
    /// What people call it.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// The user whom what is created is attributed to.
    pub user_id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was used last, to about a quarter of an hour.
    pub last_used_at: Option<Timestamp>,
    hash: String,
}

/// A key to be made.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// The tenant.
    pub organization_id: OrganizationId,
    /// What people call it.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// The user whom what is created is attributed to.
    pub user_id: String,
    /// When it is made.
    pub created_at: Timestamp,
}

/// A key that was just made. It can't be read again.
pub struct ApiKeyText {
    /// The key itself.
    pub key: String,
}

impl fmt::Debug for ApiKeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeyText(…)")
    }
}

/// What became of making a key.
#[derive(Debug)]
pub enum CreatedApiKey {
    /// It is made, and shown this once.
    Created(ApiKeyText),
    /// The idempotency key was used before. The API key that was made then isn't shown again.
    Replayed(Replay),
    /// The organization has [`MOST_API_KEYS`].
    TooMany,
}

/// What became of deleting a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletedApiKey {
    /// It is refused from here on.
    Deleted,
    /// The organization has no such key.
    Absent,
    /// It is the organization's only one that may make others, and stays.
    LastAdmin,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiKeyItem {
    id: ApiKeyId,
    organization_id: OrganizationId,
    user_id: String,
    role: Role,
    name: String,
    created_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_used_at: Option<i64>,
}

/// That an organization has a key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OwnedItem {
    id: ApiKeyId,
    hash: String,
}

fn hash(key: &str) -> String {
    // A key has 256 random bits, so a plain hash can't be searched for it.
    hex(&Sha256::digest(key))
}

impl ApiKeyItem {
    fn with_hash(self, hash: String) -> ApiKey {
        ApiKey {
            id: self.id,
            organization_id: self.organization_id,
            name: self.name,
            role: self.role,
            user_id: self.user_id,
            created_at: Timestamp::from_millis(self.created_at),
            last_used_at: self.last_used_at.map(Timestamp::from_millis),
            hash,
        }
    }
}

impl Store {
    /// Makes a key for an organization.
    ///
    /// # Errors
    /// [`StoreError`]; whether it was made is then unknown, but nobody knows it.
    pub async fn create_api_key(
        &self,
        new: &NewApiKey,
        idempotency: Option<&IdempotencyKey>,
    ) -> Result<CreatedApiKey> {
        let key = format!("lw_{}", hex(&fresh_random::<32>()));
        let hash = hash(&key);
        let item = ApiKeyItem {
            id: new.id,
            organization_id: new.organization_id,
            user_id: new.user_id.clone(),
            role: new.role,
            name: new.name.clone(),
            created_at: new.created_at.as_millis(),
            last_used_at: None,
        };
        let lookup = encode(&keys::api_key(&hash), item)?;
        let owned = encode(
            &keys::api_key_of(new.organization_id, new.id),
            OwnedItem { id: new.id, hash },
        )?;
        let counting = self
            .counting(new.organization_id, new.role, 1)?
            .condition_expression("attribute_not_exists(keyCount) OR keyCount < :most")
            .expression_attribute_values(":most", number(MOST_API_KEYS));
        let mut writes = vec![
            counting.write()?,
            self.putting(lookup)?.if_new().write()?,
            self.putting(owned)?.if_new().write()?,
        ];
        if let Some(idempotency) = idempotency {
            // First, since the first refusal is the one that is told: a replay is a replay, however many keys there are.
            writes.insert(0, self.remembering(idempotency, &new.id.to_string())?);
        }
        match (self.transact(writes).await?, idempotency) {
            (Transacted::Written, _) => Ok(CreatedApiKey::Created(ApiKeyText { key })),
            (Transacted::Refused { write: 0, there }, Some(idempotency)) => self
                .replay_of(idempotency, there)
                .await
                .map(CreatedApiKey::Replayed),
            (Transacted::Refused { .. }, _) => Ok(CreatedApiKey::TooMany),
        }
    }

    /// The write that counts a key more or less.
    fn counting(
        &self,
        organization_id: OrganizationId,
        role: Role,
        more: i32,
    ) -> Result<aws_sdk_dynamodb::types::builders::UpdateBuilder> {
        let admins = if role == Role::Admin { more } else { 0 };
        Ok(self
            .updating(&keys::api_key_count(organization_id))?
            .update_expression("ADD keyCount :more, adminCount :admins")
            .expression_attribute_values(":more", number(more))
            .expression_attribute_values(":admins", number(admins)))
    }

    /// Who holds a key. None if there is no such key, or no longer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn api_key(&self, key: &str) -> Result<Option<ApiKey>> {
        let hash = hash(key);
        let item: Option<ApiKeyItem> = self.get(&keys::api_key(&hash)).await?;
        Ok(item.map(|item| item.with_hash(hash)))
    }

    /// One key of an organization.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn api_key_by_id(
        &self,
        organization_id: OrganizationId,
        id: ApiKeyId,
    ) -> Result<Option<ApiKey>> {
        let Some(OwnedItem { hash, .. }) = self.get(&keys::api_key_of(organization_id, id)).await?
        else {
            return Ok(None);
        };
        let item: Option<ApiKeyItem> = self.get(&keys::api_key(&hash)).await?;
        Ok(item.map(|item| item.with_hash(hash)))
    }

    /// A page of an organization's keys, newest first, from those that are older than `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_api_keys(
        &self,
        organization_id: OrganizationId,
        after: Option<ApiKeyId>,
        size: PageSize,
    ) -> Result<Page<ApiKey, ApiKeyId>> {
        let after = after.map(|id| id.as_uuid());
        let Some(span) = Span::older_than(after, TimeWindow::default()) else {
            return Ok(Page::empty());
        };
        let span = span.behind(keys::API_KEY_PREFIX);
        let found: Vec<OwnedItem> = self
            .items_between(
                &keys::organization(organization_id),
                Between::descending(&span),
                size,
            )
            .await?;
        let page = Page::cut(found, size, |owned| owned.id);
        let lookups: Vec<Key> = page
            .items
            .iter()
            .map(|owned| keys::api_key(&owned.hash))
            .collect();
        let mut items: HashMap<Key, Item> = self.batch_get(lookups.iter()).await?;
        let mut shown = Vec::with_capacity(page.items.len());
        for (owned, lookup) in page.items.into_iter().zip(&lookups) {
            // It may have been deleted between the two reads.
            if let Some(item) = items.remove(lookup) {
                shown.push(decode::<ApiKeyItem>(item)?.with_hash(owned.hash));
            }
        }
        Ok(Page {
            items: shown,
            next: page.next,
        })
    }

    /// Deletes a key of an organization: it is refused from here on. The last key of an admin stays, since nobody could
    /// make another one then.
    ///
    /// # Errors
    /// [`StoreError`]; whether it was deleted is then unknown, and asking again is safe.
    pub async fn delete_api_key(
        &self,
        organization_id: OrganizationId,
        id: ApiKeyId,
    ) -> Result<DeletedApiKey> {
        let Some(found) = self.api_key_by_id(organization_id, id).await? else {
            return Ok(DeletedApiKey::Absent);
        };
        let mut counting = self.counting(organization_id, found.role, -1)?;
        if found.role == Role::Admin {
            counting = counting
                .condition_expression("adminCount > :one")
                .expression_attribute_values(":one", number(1));
        }
        let owned = keys::api_key_of(organization_id, id);
        let writes = vec![
            self.deleting(&owned)?
                .condition_expression("attribute_exists(pk)")
                .write()?,
            self.deleting(&keys::api_key(&found.hash))?.write()?,
            counting.write()?,
        ];
        Ok(match self.transact(writes).await? {
            Transacted::Written => DeletedApiKey::Deleted,
            Transacted::Refused { write: 0, .. } => DeletedApiKey::Absent,
            Transacted::Refused { .. } => DeletedApiKey::LastAdmin,
        })
    }

    /// Writes down that a key is used, at most once in a quarter of an hour. It never fails: what goes wrong is logged,
    /// and the next use is another chance. Awaited, since a function stands still after its answer, but bounded to half
    /// a second.
    pub async fn note_api_key_use(&self, key: &ApiKey, now: Timestamp) {
        self.note_api_key_use_within(key, now, USE_NOTED_WITHIN)
            .await;
    }

    /// The same within another time.
    pub async fn note_api_key_use_within(&self, key: &ApiKey, now: Timestamp, within: Duration) {
        let noted_before = now.as_millis() - USE_NOTED_EVERY_MILLIS;
        if key
            .last_used_at
            .is_some_and(|last| last.as_millis() > noted_before)
        {
            return;
        }
        let noted = tokio::time::timeout(within, self.write_use(key, now)).await;
        let problem = match noted {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it took longer than {} ms", within.as_millis()),
        };
        tracing::warn!(
            organization_id = %key.organization_id,
            api_key_id = %key.id,
            problem,
            "The use of an API key was not written down"
        );
    }

    async fn write_use(&self, key: &ApiKey, now: Timestamp) -> Result<()> {
        let noted_before = now.as_millis() - USE_NOTED_EVERY_MILLIS;
        let answer = self
            .dynamo
            .update_item()
            .table_name(self.table()?)
            .set_key(Some(keys::api_key(&key.hash).to_attributes()))
            .update_expression("SET lastUsedAt = :now")
            // A key that has been deleted must not come back as an item without a holder.
            .condition_expression(
                "attribute_exists(pk) AND (attribute_not_exists(lastUsedAt) OR lastUsedAt <= :before)",
            )
            .expression_attribute_values(":now", number(now.as_millis()))
            .expression_attribute_values(":before", number(noted_before))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(StoreError::from_sdk("UpdateItem", &error)),
            },
        }
    }
}
