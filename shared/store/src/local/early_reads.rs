//! A table of which one item is read just before it is written, and everything else just after that: DynamoDB reads each
//! item of a BatchGetItem by itself, and shows what one transaction wrote item by item to all but TransactGetItems.

use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_dynamodb::config::interceptors::FinalizerInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemOutput;
use aws_sdk_dynamodb::operation::get_item::GetItemOutput;

use super::intercepted;
use crate::Store;
use crate::item::Item;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The same store, whose first read of an item with this sort key doesn't find it.
#[must_use]
pub fn reading_early(store: &Store, sort_key: &'static str) -> Store {
    let early = Early {
        sort_key,
        is_over: AtomicBool::new(false),
    };
    intercepted(store, early)
}

#[derive(Debug)]
struct Early {
    sort_key: &'static str,
    is_over: AtomicBool,
}

impl Early {
    fn hides(&self, item: &Item) -> bool {
        let sort_key = item.get("sk").and_then(|value| value.as_s().ok());
        sort_key.is_some_and(|found| found == self.sort_key)
            && !self.is_over.swap(true, Ordering::SeqCst)
    }
}

impl Intercept for Early {
    fn name(&self) -> &'static str {
        "Early"
    }

    fn modify_before_attempt_completion(
        &self,
        context: &mut FinalizerInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(Ok(output)) = context.output_or_error_mut() else {
            return Ok(());
        };
        if let Some(read) = output.downcast_mut::<GetItemOutput>() {
            read.item.take_if(|item| self.hides(item));
        } else if let Some(read) = output.downcast_mut::<BatchGetItemOutput>() {
            for items in read
                .responses
                .iter_mut()
                .flat_map(|tables| tables.values_mut())
            {
                items.retain(|item| !self.hides(item));
            }
        }
        Ok(())
    }
}
