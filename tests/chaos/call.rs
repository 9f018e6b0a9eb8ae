//! One call of AWS, as the proxy sees it go by: which service, which operation, and what it touches.

use std::collections::BTreeSet;
use std::fmt;

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

/// What a receive is called that brought a message: only that changes anything.
const WITH_MESSAGE: &str = " with a message";

/// A request to AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// `DynamoDB`, `Streams`, `SQS`, `S3` or `KMS`.
    pub(crate) service: &'static str,
    /// As AWS calls it, such as `PutItem`.
    pub(crate) operation: String,
    /// The kind of what it reads or writes: of an item its sort key without ids, of a run also its status; of a queue
    /// its name.
    pub(crate) touches: String,
}

/// An answer of AWS.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn read(head: &Parts, body: &[u8]) -> Self {
        let target = head.headers.get("x-amz-target");
        let target = target.and_then(|target| target.to_str().ok());
        let Some((api, operation)) = target.and_then(|target| target.split_once('.')) else {
            return Self::of_bucket(head);
        };
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let (service, touches) = match api.split('_').next().unwrap_or_default() {
            "DynamoDB" => ("DynamoDB", items_of(operation, &body)),
            "DynamoDBStreams" => ("Streams", String::new()),
            "AmazonSQS" => ("SQS", queue_of(&body)),
            "TrentService" => ("KMS", String::new()),
            _ => ("AWS", String::new()),
        };
        Self {
            service,
            operation: operation.to_owned(),
            touches,
        }
    }

    fn of_bucket(head: &Parts) -> Self {
        let operation = match head.method {
            Method::PUT => "PutObject",
            Method::GET => "GetObject",
            _ => head.method.as_str(),
        };
        Self {
            service: "S3",
            operation: operation.to_owned(),
            touches: String::new(),
        }
    }

    /// What the call is called once its answer is known.
    pub(crate) fn name_with(&self, answer: &Answer) -> String {
        let brought = self.operation == "ReceiveMessage"
            && answer.json()["Messages"]
                .as_array()
                .is_some_and(|messages| !messages.is_empty());
        format!("{self}{}", if brought { WITH_MESSAGE } else { "" })
    }

    /// Whether a process makes it again and again while nothing happens, as often as its time lets it: nothing depends
    /// on how often that is.
    pub(crate) fn is_poll(name: &str) -> bool {
        (name.starts_with("SQS ReceiveMessage") && !name.ends_with(WITH_MESSAGE))
            || name.starts_with("Streams ")
            || name == "DynamoDB Query due"
            || name == "DynamoDB BatchGetItem RUN"
    }

    /// Whether it changes something at AWS.
    pub(crate) fn is_effect(name: &str) -> bool {
        let reads = [
            "GetItem",
            "BatchGetItem",
            "Query",
            "Decrypt",
            "Encrypt",
            "GetObject",
        ];
        !reads
            .iter()
            .any(|read| name.split(' ').nth(1) == Some(read))
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.service, self.operation)?;
        if self.touches.is_empty() {
            return Ok(());
        }
        write!(f, " {}", self.touches)
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

fn items_of(operation: &str, body: &Value) -> String {
    match operation {
        "PutItem" => kind_of_item(&body["Item"]),
        "Query" => {
            let values = &body["ExpressionAttributeValues"];
            match body["IndexName"].as_str() {
                Some(index) => index.to_owned(),
                None => without_ids(values[":prefix"]["S"].as_str().unwrap_or_default()),
            }
        }
        "BatchGetItem" => {
            let tables = body["RequestItems"].as_object().into_iter().flatten();
            let keys = tables.flat_map(|(_, table)| table["Keys"].as_array().into_iter().flatten());
            let kinds: BTreeSet<String> = keys.map(kind_of_item).collect();
            Vec::from_iter(kinds).join(" ")
        }
        "TransactWriteItems" => {
            let writes = body["TransactItems"].as_array().into_iter().flatten();
            let kinds = writes.map(|write| {
                let (put, update, delete) = (&write["Put"], &write["Update"], &write["Delete"]);
                let key = [&put["Item"], &update["Key"], &delete["Key"]];
                key.into_iter()
                    .find(|key| !key.is_null())
                    .map(kind_of_item)
                    .unwrap_or_default()
            });
            Vec::from_iter(kinds).join(" ")
        }
        _ => kind_of_item(&body["Key"]),
    }
}

/// The kind of an item or of a key.
fn kind_of_item(item: &Value) -> String {
    let kind = without_ids(item["sk"]["S"].as_str().unwrap_or_default());
    match item["status"]["S"].as_str() {
        Some(status) => format!("{kind} {status}"),
        None => kind,
    }
}

/// A sort key without what differs from run to run: `DLV#000003#workflow_run.started#…` is `DLV#workflow_run.started`.
fn without_ids(sort_key: &str) -> String {
    let mut parts = sort_key.split('#');
    let kind = parts.next().unwrap_or_default();
    match (kind, parts.nth(1)) {
        ("DLV", Some(event_type)) => format!("DLV#{event_type}"),
        _ if sort_key.contains('#') => format!("{kind}#"),
        _ => kind.to_owned(),
    }
}

fn queue_of(body: &Value) -> String {
    let url = body["QueueUrl"].as_str().unwrap_or_default();
    let name = url.rsplit('/').next().unwrap_or_default();
    if name.contains("Delivery") {
        "deliveries".to_owned()
    } else {
        "runs".to_owned()
    }
}
