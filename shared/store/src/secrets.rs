//! Secrets: encrypted by KMS under an encryption context that names the organization, the kind and the name, so that
//! a sealed value can't be moved to another place and opened there.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_kms::primitives::Blob;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::{OrganizationId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::item::encode;
use crate::lists::Between;
use crate::pages::Span;
use crate::{Page, PageSize, Result, Store, StoreError, keys, now};

/// What a sealed value is bound to (KMS calls it the encryption context).
#[derive(Debug, Clone)]
pub(crate) struct Context(HashMap<String, String>);

impl Context {
    pub(crate) fn new(organization_id: OrganizationId, kind: &str, name: &str) -> Self {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let organization_id = organization_id.to_string();
        Self(HashMap::from([
            pair("organization", &organization_id),
            pair("kind", kind),
            pair("name", name),
        ]))
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SecretItem {
    name: String,
    sealed: String,
    updated_at: i64,
}

/// A secret as lists show it: nothing of its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSummary {
    /// Its name.
    pub name: String,
    /// When it was set last.
    pub updated_at: Timestamp,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SummaryItem {
    sk: String,
    updated_at: i64,
}

impl Store {
    /// Encrypts a value. At most 4 KB, which is what KMS takes.
    pub(crate) async fn seal(&self, key: &str, context: &Context, plain: &[u8]) -> Result<String> {
        let answer = self
            .kms
            .encrypt()
            .key_id(key)
            .set_encryption_context(Some(context.0.clone()))
            .plaintext(Blob::new(plain))
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("Encrypt", &error))?;
        let sealed = answer.ciphertext_blob.ok_or(StoreError::Fault {
            operation: "Encrypt",
            reason: "the answer holds no ciphertext".to_owned(),
        })?;
        Ok(STANDARD.encode(sealed))
    }

    /// Decrypts a value, if it was sealed for just this place.
    pub(crate) async fn open(&self, key: &str, context: &Context, sealed: &str) -> Result<Vec<u8>> {
        let sealed = STANDARD
            .decode(sealed)
            .map_err(|error| StoreError::Corrupt {
                what: "a sealed value".to_owned(),
                reason: error.to_string(),
            })?;
        let answer = self
            .kms
            .decrypt()
            .key_id(key)
            .set_encryption_context(Some(context.0.clone()))
            .ciphertext_blob(Blob::new(sealed))
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("Decrypt", &error))?;
        let plain = answer.plaintext.ok_or(StoreError::Fault {
            operation: "Decrypt",
            reason: "the answer holds no plaintext".to_owned(),
        })?;
        Ok(plain.into_inner())
    }

    /// Sets a secret of an organization. Nobody can read it back but a worker that uses it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_secret(
        &self,
        organization_id: OrganizationId,
        name: &str,
        value: &str,
    ) -> Result<()> {
        let context = Context::new(organization_id, "secret", name);
        let sealed = self
            .seal(self.secrets_key()?, &context, value.as_bytes())
            .await?;
        let item = SecretItem {
            name: name.to_owned(),
            sealed,
            updated_at: now().as_millis(),
        };
        self.put(encode(&keys::secret(organization_id, name), item)?)
            .await
    }

    /// A page of an organization's secrets, by name, from those whose names come after one. What is sealed doesn't
    /// leave the table.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_secrets(
        &self,
        organization_id: OrganizationId,
        after: Option<&str>,
        size: PageSize,
    ) -> Result<Page<SecretSummary, String>> {
        let span = Span {
            // "!" sorts before everything that a name is made of, and "~" after it.
            low: after.map_or_else(String::new, |after| format!("{after}!")),
            high: "~".to_owned(),
        };
        let span = span.behind(keys::SECRET_PREFIX);
        let found: Vec<SummaryItem> = self
            .items_between(
                &keys::organization(organization_id),
                Between::ascending(&span, "sk, updatedAt"),
                size,
            )
            .await?;
        let name = |item: &SummaryItem| {
            let name = item.sk.strip_prefix(keys::SECRET_PREFIX);
            name.unwrap_or_default().to_owned()
        };
        Ok(Page::cut(found, size, name).show(|item| {
            Some(SecretSummary {
                name: name(&item),
                updated_at: Timestamp::from_millis(item.updated_at),
            })
        }))
    }

    /// Deletes a secret of an organization. `false` if there is none.
    ///
    /// # Errors
    /// [`StoreError`]; whether it was deleted is then unknown, and asking again is safe.
    pub async fn delete_secret(&self, organization_id: OrganizationId, name: &str) -> Result<bool> {
        let answer = self
            .dynamo
            .delete_item()
            .table_name(self.table()?)
            .set_key(Some(keys::secret(organization_id, name).to_attributes()))
            .condition_expression("attribute_exists(pk)")
            .send()
            .await;
        match answer {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(StoreError::from_sdk("DeleteItem", &error)),
            },
        }
    }

    /// Opens the secrets that a run uses. Those that the organization doesn't have are left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_secrets(
        &self,
        organization_id: OrganizationId,
        names: &[String],
    ) -> Result<BTreeMap<String, String>> {
        let mut opened = BTreeMap::new();
        for name in names {
            let Some(item) = self
                .get::<SecretItem>(&keys::secret(organization_id, name))
                .await?
            else {
                continue;
            };
            let context = Context::new(organization_id, "secret", name);
            let plain = self
                .open(self.secrets_key()?, &context, &item.sealed)
                .await?;
            let plain = String::from_utf8(plain).map_err(|_| StoreError::Corrupt {
                what: format!("secret {name}"),
                reason: "it is not text".to_owned(),
            })?;
            opened.insert(name.clone(), plain);
        }
        Ok(opened)
    }
}
