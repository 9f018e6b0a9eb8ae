//! Items and the small calls that every entity needs.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::keys::Key;
use crate::{Result, Store, StoreError};

/// An item as the SDK has it.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// An entity with the keys of its item.
#[derive(Debug, Serialize, serde::Deserialize)]
pub(crate) struct Keyed<T> {
    pub(crate) pk: String,
    pub(crate) sk: String,
    #[serde(flatten)]
    pub(crate) entity: T,
}

/// What became of a write that had a condition.
#[derive(Debug)]
pub(crate) enum Put {
    Written,
    /// The condition did not hold.
    Refused,
}

pub(crate) fn string(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(crate) fn encode<T: Serialize>(key: &Key, entity: T) -> Result<Item> {
    serde_dynamo::to_item(Keyed {
        pk: key.pk.clone(),
        sk: key.sk.clone(),
        entity,
    })
    .map_err(|error| StoreError::Corrupt {
        what: format!("{} / {}", key.pk, key.sk),
        reason: error.to_string(),
    })
}

pub(crate) fn decode<T: DeserializeOwned>(item: Item) -> Result<T> {
    let name = |key: &str| {
        item.get(key)
            .and_then(|value| value.as_s().ok())
            .cloned()
            .unwrap_or_default()
    };
    let what = format!("{} / {}", name("pk"), name("sk"));
    serde_dynamo::from_item(item).map_err(|error| StoreError::Corrupt {
        what,
        reason: error.to_string(),
    })
}

fn sequence_name() -> HashMap<String, String> {
    HashMap::from([("#sequence".to_owned(), "sequence".to_owned())])
}

impl Key {
    pub(crate) fn to_attributes(&self) -> Item {
        HashMap::from([
            ("pk".to_owned(), string(&self.pk)),
            ("sk".to_owned(), string(&self.sk)),
        ])
    }
}

impl Store {
    /// Reads one item, as it is now.
    pub(crate) async fn get<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>> {
        let answer = self
            .dynamo
            .get_item()
            .table_name(self.table()?)
            .set_key(Some(key.to_attributes()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("GetItem", &error))?;
        answer.item.map(decode).transpose()
    }

    /// Writes one item, whatever was there.
    pub(crate) async fn put(&self, item: Item) -> Result<()> {
        self.dynamo
            .put_item()
            .table_name(self.table()?)
            .set_item(Some(item))
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("PutItem", &error))?;
        Ok(())
    }

    /// Writes one item if there is none with its key.
    pub(crate) async fn put_new(&self, item: Item) -> Result<Put> {
        self.put_if(item, "attribute_not_exists(pk)", Item::new())
            .await
    }

    /// Writes one item on a condition about what is there. A condition writes the sequence as `#sequence`, since that
    /// is one of the table's reserved words.
    pub(crate) async fn put_if(&self, item: Item, condition: &str, values: Item) -> Result<Put> {
        let answer = self
            .dynamo
            .put_item()
            .table_name(self.table()?)
            .set_item(Some(item))
            .condition_expression(condition)
            .set_expression_attribute_names(condition.contains("#sequence").then(sequence_name))
            .set_expression_attribute_values((!values.is_empty()).then_some(values))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(Put::Written),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(Put::Refused),
                _ => Err(StoreError::from_sdk("PutItem", &error)),
            },
        }
    }

    /// All items of a partition whose sort key begins with a prefix, whole or only some of their attributes.
    pub(crate) async fn query_prefix(
        &self,
        pk: &str,
        prefix: &str,
        attributes: Option<&str>,
    ) -> Result<Vec<Item>> {
        let mut pages = self
            .dynamo
            .query()
            .table_name(self.table()?)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", string(pk))
            .expression_attribute_values(":prefix", string(prefix))
            .set_projection_expression(attributes.map(str::to_owned))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut found = Vec::new();
        while let Some(item) = pages.next().await {
            found.push(item.map_err(|error| StoreError::from_sdk("Query", &error))?);
        }
        Ok(found)
    }

    /// Reads items by their keys, at most 100, until all have been processed: one answer has no more than 16 MB, and a
    /// table that is busy reads only some of them. Gives up where several requests in a row bring nothing at all.
    pub(crate) async fn batch_get<'a>(
        &self,
        keys: impl Iterator<Item = &'a Key>,
    ) -> Result<HashMap<Key, Item>> {
        let table = self.table()?;
        let mut wanted: Vec<HashMap<String, AttributeValue>> =
            keys.map(Key::to_attributes).collect();
        let mut found = HashMap::with_capacity(wanted.len());
        let mut fruitless = 0;
        while !wanted.is_empty() {
            let asked = wanted.len();
            let request = KeysAndAttributes::builder()
                .set_keys(Some(std::mem::take(&mut wanted)))
                .consistent_read(true)
                .build()
                .map_err(|error| StoreError::Fault {
                    operation: "BatchGetItem",
                    reason: error.to_string(),
                })?;
            let answer = self
                .dynamo
                .batch_get_item()
                .request_items(table, request)
                .send()
                .await
                .map_err(|error| StoreError::from_sdk("BatchGetItem", &error))?;
            for item in answer
                .responses
                .unwrap_or_default()
                .remove(table)
                .unwrap_or_default()
            {
                let part = |name: &str| {
                    item.get(name)
                        .and_then(|value| value.as_s().ok())
                        .cloned()
                        .unwrap_or_default()
                };
                found.insert(
                    Key {
                        pk: part("pk"),
                        sk: part("sk"),
                    },
                    item,
                );
            }
            if let Some(rest) = answer.unprocessed_keys.unwrap_or_default().remove(table) {
                wanted = rest.keys;
            }
            if wanted.len() < asked {
                fruitless = 0;
                continue;
            }
            fruitless += 1;
            if fruitless > 5 {
                return Err(StoreError::Busy {
                    operation: "BatchGetItem",
                    reason: "no key was processed".to_owned(),
                });
            }
            tokio::time::sleep(std::time::Duration::from_millis(50 << fruitless)).await;
        }
        Ok(found)
    }
}
