//! A table that some call does not reach: it goes elsewhere, to somebody who listens and never answers, or to nobody.

use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};

use crate::Store;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The same store, whose calls of an operation, such as `PutItem`, go to a URL instead of the table.
#[must_use]
pub fn sent_elsewhere(store: &Store, operation: &'static str, url: &str) -> Store {
    let elsewhere = Elsewhere {
        operation,
        url: url.to_owned(),
    };
    let config = store.dynamo.config().to_builder().interceptor(elsewhere);
    Store {
        dynamo: aws_sdk_dynamodb::Client::from_conf(config.build()),
        ..store.clone()
    }
}

#[derive(Debug)]
struct Elsewhere {
    operation: &'static str,
    url: String,
}

impl Intercept for Elsewhere {
    fn name(&self) -> &'static str {
        "Elsewhere"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        if target.rsplit('.').next() == Some(self.operation) {
            request.set_uri(self.url.as_str())?;
        }
        Ok(())
    }
}
