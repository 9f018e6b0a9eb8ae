//! A table that answers in parts, as the real one does when it is busy or the items are large, and an emulator never:
//! each BatchGetItem reads one of its keys and gives the others back as unprocessed.

use std::collections::HashMap;

use aws_sdk_dynamodb::config::interceptors::{
    BeforeSerializationInterceptorContextMut, FinalizerInterceptorContextMut,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemInput, BatchGetItemOutput};
use aws_sdk_dynamodb::types::KeysAndAttributes;
use aws_smithy_types::config_bag::{Storable, StoreReplace};

use super::intercepted;
use crate::Store;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The same store on a table that answers in parts.
#[must_use]
pub fn answering_in_parts(store: &Store) -> Store {
    intercepted(store, OneKey)
}

#[derive(Debug)]
struct OneKey;

/// The keys that a request doesn't get to, by table.
#[derive(Debug)]
struct Rest(HashMap<String, KeysAndAttributes>);

impl Storable for Rest {
    type Storer = StoreReplace<Self>;
}

impl Intercept for OneKey {
    fn name(&self) -> &'static str {
        "OneKey"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        state: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(read) = context.input_mut().downcast_mut::<BatchGetItemInput>() else {
            return Ok(());
        };
        let mut rest = HashMap::new();
        for (table, asked) in read.request_items.iter_mut().flatten() {
            let left = asked.keys.split_off(1.min(asked.keys.len()));
            if !left.is_empty() {
                let mut unprocessed = asked.clone();
                unprocessed.keys = left;
                rest.insert(table.clone(), unprocessed);
            }
        }
        state.interceptor_state().store_put(Rest(rest));
        Ok(())
    }

    fn modify_before_attempt_completion(
        &self,
        context: &mut FinalizerInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        state: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(Ok(output)) = context.output_or_error_mut()
            && let Some(read) = output.downcast_mut::<BatchGetItemOutput>()
            && let Some(Rest(rest)) = state.load::<Rest>()
        {
            read.unprocessed_keys = Some(rest.clone());
        }
        Ok(())
    }
}
