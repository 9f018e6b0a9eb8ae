//! All that lies in the table and in the bucket, as it lies there: for tests that look whether anything is left, and
//! whether what is there fits together. A service never reads like this.

use serde_json::Value;

use crate::{Result, Store, StoreError};

/// Every item of the table, with its keys, as JSON.
///
/// # Errors
/// [`StoreError`].
pub async fn items(store: &Store) -> Result<Vec<Value>> {
    let mut pages = store
        .dynamo
        .scan()
        .table_name(store.table()?)
        .consistent_read(true)
        .into_paginator()
        .items()
        .send();
    let mut found = Vec::new();
    while let Some(item) = pages.next().await {
        let item = item.map_err(|error| StoreError::from_sdk("Scan", &error))?;
        let corrupt = |error: serde_dynamo::Error| StoreError::Corrupt {
            what: "an item".to_owned(),
            reason: error.to_string(),
        };
        found.push(serde_dynamo::from_item(item).map_err(corrupt)?);
    }
    Ok(found)
}

/// The bytes of an object of the bucket.
///
/// # Errors
/// [`StoreError`], also if there is no such object.
pub async fn object(store: &Store, key: &str) -> Result<Vec<u8>> {
    let found = store.get_object(key).await?;
    found.ok_or_else(|| StoreError::Corrupt {
        what: key.to_owned(),
        reason: "there is no such object".to_owned(),
    })
}
