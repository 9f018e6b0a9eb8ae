//! API keys, and the organization that each belongs to. Only a key's hash is kept.

use std::fmt;

use domain::{OrganizationId, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::idempotency::hex;
use crate::item::encode;
use crate::{Result, Store, fresh_random, keys, now};

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

/// Who is asking, as their key says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The tenant.
    pub organization_id: OrganizationId,
    /// The user whom what is created is attributed to.
    pub user_id: String,
    /// What they may do.
    pub role: Role,
}

/// A key that was just made. It can't be read again.
pub struct NewApiKey {
    /// The key itself.
    pub key: String,
}

impl fmt::Debug for NewApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewApiKey(…)")
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiKeyItem {
    organization_id: OrganizationId,
    user_id: String,
    role: Role,
    name: String,
    created_at: i64,
}

fn hash(key: &str) -> String {
    // A key has 256 random bits, so a plain hash can't be searched for it.
    hex(&Sha256::digest(key))
}

impl Store {
    /// Makes a key for an organization.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn create_api_key(
        &self,
        organization_id: OrganizationId,
        user_id: &str,
        role: Role,
        name: &str,
    ) -> Result<NewApiKey> {
        let key = format!("lw_{}", hex(&fresh_random::<32>()));
        let item = ApiKeyItem {
            organization_id,
            user_id: user_id.to_owned(),
            role,
            name: name.to_owned(),
            created_at: Timestamp::as_millis(now()),
        };
        self.put(encode(&keys::api_key(&hash(&key)), item)?).await?;
        Ok(NewApiKey { key })
    }

    /// Who a key belongs to.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn api_key(&self, key: &str) -> Result<Option<ApiKey>> {
        let item: Option<ApiKeyItem> = self.get(&keys::api_key(&hash(key))).await?;
        Ok(item.map(|item| ApiKey {
            organization_id: item.organization_id,
            user_id: item.user_id,
            role: item.role,
        }))
    }
}
