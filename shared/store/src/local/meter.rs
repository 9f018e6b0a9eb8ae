//! What the store's calls cost, counted from outside: an interceptor of the SDK, so that what is counted is what runs.
//! It changes no call but for asking what it cost.
//!
//! Write units are what the table says, indexes included. Read units are computed from the items that came back, by
//! the rules of DynamoDB's guide ("Item sizes and formats", "DynamoDB read consistency"), since an emulator doesn't
//! tell them: an item that was not found counts as the smallest one, and a projection is not seen through.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextMut,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemInput, BatchGetItemOutput};
use aws_sdk_dynamodb::operation::delete_item::{DeleteItemInput, DeleteItemOutput};
use aws_sdk_dynamodb::operation::get_item::{GetItemInput, GetItemOutput};
use aws_sdk_dynamodb::operation::put_item::{PutItemInput, PutItemOutput};
use aws_sdk_dynamodb::operation::query::{QueryInput, QueryOutput};
use aws_sdk_dynamodb::operation::transact_write_items::{
    TransactWriteItemsInput, TransactWriteItemsOutput,
};
use aws_sdk_dynamodb::operation::update_item::{UpdateItemInput, UpdateItemOutput};
use aws_sdk_dynamodb::types::{AttributeValue, ConsumedCapacity, ReturnConsumedCapacity};
use aws_sdk_kms::operation::decrypt::DecryptInput;
use aws_sdk_kms::operation::encrypt::EncryptInput;
use aws_sdk_s3::operation::get_object::GetObjectInput;
use aws_sdk_s3::operation::put_object::PutObjectInput;
use aws_sdk_sqs::operation::delete_message::DeleteMessageInput;
use aws_sdk_sqs::operation::receive_message::ReceiveMessageInput;
use aws_sdk_sqs::operation::send_message::SendMessageInput;
use aws_smithy_types::config_bag::{Storable, StoreReplace};

use crate::Store;
use crate::item::Item;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What calls have cost.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    /// How many calls of each operation were made, whatever became of them.
    pub requests: BTreeMap<&'static str, u64>,
    /// Read request units.
    pub read_units: f64,
    /// Write request units of the writes that went through.
    pub write_units: f64,
}

/// Counts the calls of one store.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Mutex<Usage>>);

impl Meter {
    /// What has been counted since the last reset.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Begins again with nothing.
    pub fn reset(&self) {
        self.count(|usage| *usage = Usage::default());
    }

    fn count(&self, count: impl FnOnce(&mut Usage)) {
        count(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The same store, whose calls are counted. The store that was given isn't.
#[must_use]
pub fn metered(store: &Store) -> (Store, Meter) {
    let meter = Meter::default();
    let dynamo = store.dynamo.config().to_builder();
    let sqs = store.sqs.config().to_builder();
    let s3 = store.s3.config().to_builder();
    let kms = store.kms.config().to_builder();
    let metered = Store {
        dynamo: aws_sdk_dynamodb::Client::from_conf(dynamo.interceptor(meter.clone()).build()),
        sqs: aws_sdk_sqs::Client::from_conf(sqs.interceptor(meter.clone()).build()),
        s3: aws_sdk_s3::Client::from_conf(s3.interceptor(meter.clone()).build()),
        kms: aws_sdk_kms::Client::from_conf(kms.interceptor(meter.clone()).build()),
        resources: store.resources.clone(),
    };
    (metered, meter)
}

/// Whether a read is strongly consistent; kept from the request to the answer.
#[derive(Debug, Clone, Copy)]
struct Consistent(bool);

impl Storable for Consistent {
    type Storer = StoreReplace<Self>;
}

impl Intercept for Meter {
    fn name(&self) -> &'static str {
        "Meter"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        state: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input_mut();
        let mut consistent = None;
        let operation = if let Some(read) = input.downcast_ref::<GetItemInput>() {
            consistent = read.consistent_read;
            "GetItem"
        } else if let Some(read) = input.downcast_ref::<QueryInput>() {
            consistent = read.consistent_read;
            "Query"
        } else if let Some(read) = input.downcast_ref::<BatchGetItemInput>() {
            let mut tables = read.request_items.iter().flat_map(|tables| tables.values());
            consistent = tables.next().and_then(|table| table.consistent_read);
            "BatchGetItem"
        } else if let Some(write) = input.downcast_mut::<PutItemInput>() {
            write.return_consumed_capacity = Some(ReturnConsumedCapacity::Total);
            "PutItem"
        } else if let Some(write) = input.downcast_mut::<UpdateItemInput>() {
            write.return_consumed_capacity = Some(ReturnConsumedCapacity::Total);
            "UpdateItem"
        } else if let Some(write) = input.downcast_mut::<DeleteItemInput>() {
            write.return_consumed_capacity = Some(ReturnConsumedCapacity::Total);
            "DeleteItem"
        } else if let Some(write) = input.downcast_mut::<TransactWriteItemsInput>() {
            write.return_consumed_capacity = Some(ReturnConsumedCapacity::Total);
            "TransactWriteItems"
        } else if input.downcast_ref::<SendMessageInput>().is_some() {
            "SendMessage"
        } else if input.downcast_ref::<ReceiveMessageInput>().is_some() {
            "ReceiveMessage"
        } else if input.downcast_ref::<DeleteMessageInput>().is_some() {
            "DeleteMessage"
        } else if input.downcast_ref::<PutObjectInput>().is_some() {
            "PutObject"
        } else if input.downcast_ref::<GetObjectInput>().is_some() {
            "GetObject"
        } else if input.downcast_ref::<EncryptInput>().is_some() {
            "Encrypt"
        } else if input.downcast_ref::<DecryptInput>().is_some() {
            "Decrypt"
        } else {
            "another operation"
        };
        state
            .interceptor_state()
            .store_put(Consistent(consistent.unwrap_or(false)));
        self.count(|usage| *usage.requests.entry(operation).or_default() += 1);
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        state: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Ok(output) = context.output_or_error() else {
            return Ok(());
        };
        let consistent = state.load::<Consistent>().is_some_and(|read| read.0);
        let mut capacities: &[ConsumedCapacity] = &[];
        if let Some(read) = output.downcast_ref::<GetItemOutput>() {
            self.count_read(consistent, read.item.iter().map(size_of).sum());
        } else if let Some(read) = output.downcast_ref::<QueryOutput>() {
            // A query's items count together, those of a batch each by itself.
            self.count_read(consistent, read.items().iter().map(size_of).sum());
        } else if let Some(read) = output.downcast_ref::<BatchGetItemOutput>() {
            let tables = read.responses.iter().flat_map(|tables| tables.values());
            for item in tables.flatten() {
                self.count_read(consistent, size_of(item));
            }
        } else if let Some(write) = output.downcast_ref::<PutItemOutput>() {
            capacities = write.consumed_capacity.as_slice();
        } else if let Some(write) = output.downcast_ref::<UpdateItemOutput>() {
            capacities = write.consumed_capacity.as_slice();
        } else if let Some(write) = output.downcast_ref::<DeleteItemOutput>() {
            capacities = write.consumed_capacity.as_slice();
        } else if let Some(write) = output.downcast_ref::<TransactWriteItemsOutput>() {
            capacities = write.consumed_capacity();
        }
        let units: f64 = capacities
            .iter()
            .filter_map(ConsumedCapacity::capacity_units)
            .sum();
        self.count(|usage| usage.write_units += units);
        Ok(())
    }
}

impl Meter {
    /// A unit is up to 4 KB, strongly consistent; half of that otherwise.
    fn count_read(&self, consistent: bool, bytes: usize) {
        let blocks = u32::try_from(bytes.div_ceil(4096).max(1)).unwrap_or(u32::MAX);
        let unit = if consistent { 1.0 } else { 0.5 };
        self.count(|usage| usage.read_units += f64::from(blocks) * unit);
    }
}

fn size_of(item: &Item) -> usize {
    item.iter()
        .map(|(name, value)| name.len() + size_of_value(value))
        .sum()
}

fn size_of_value(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::Ss(texts) => texts.iter().map(String::len).sum(),
        AttributeValue::Ns(numbers) => numbers.iter().map(|n| n.len().div_ceil(2) + 1).sum(),
        AttributeValue::Bs(blobs) => blobs.iter().map(|blob| blob.as_ref().len()).sum(),
        AttributeValue::L(values) => 3 + values.iter().map(|v| 1 + size_of_value(v)).sum::<usize>(),
        AttributeValue::M(entries) => {
            let size = |(name, value): (&String, _)| 1 + name.len() + size_of_value(value);
            3 + entries.iter().map(size).sum::<usize>()
        }
        _ => 1,
    }
}
