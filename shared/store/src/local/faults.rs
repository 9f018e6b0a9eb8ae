//! A table to which the way is bad for one operation.

use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_sdk_dynamodb::config::interceptors::{
    BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::{Storable, StoreReplace};

use super::intercepted;
use crate::Store;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The same store, whose first call of an operation such as `PutItem` is carried out, and its answer lost: the SDK tries
/// it again.
#[must_use]
pub fn losing_an_answer(store: &Store, operation: &'static str) -> Store {
    let lost = LosesAnAnswer {
        operation,
        is_over: AtomicBool::new(false),
    };
    intercepted(store, lost)
}

/// The same store, whose calls of an operation don't get through.
#[must_use]
pub fn cut_off_from(store: &Store, operation: &'static str) -> Store {
    intercepted(store, CutOff(operation))
}

/// The same store, whose calls of an operation go to a URL instead of the table: to somebody who listens and never
/// answers, or to nobody.
#[must_use]
pub fn sent_elsewhere(store: &Store, operation: &'static str, url: &str) -> Store {
    let url = url.to_owned();
    intercepted(store, SentElsewhere { operation, url })
}

fn is_of(operation: &str, request: &HttpRequest) -> bool {
    let target = request.headers().get("x-amz-target").unwrap_or_default();
    target.rsplit('.').next() == Some(operation)
}

#[derive(Debug)]
struct LosesAnAnswer {
    operation: &'static str,
    is_over: AtomicBool,
}

/// Whether the answer to a try gets lost; kept from its request to its answer.
#[derive(Debug)]
struct IsLost(bool);

impl Storable for IsLost {
    type Storer = StoreReplace<Self>;
}

impl Intercept for LosesAnAnswer {
    fn name(&self) -> &'static str {
        "LosesAnAnswer"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        state: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let is_lost =
            is_of(self.operation, context.request()) && !self.is_over.swap(true, Ordering::SeqCst);
        state.interceptor_state().store_put(IsLost(is_lost));
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        state: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if state.load::<IsLost>().is_some_and(|answer| answer.0) {
            *context.response_mut() = HttpResponse::new(503.try_into()?, SdkBody::empty());
        }
        Ok(())
    }
}

#[derive(Debug)]
struct CutOff(&'static str);

impl Intercept for CutOff {
    fn name(&self) -> &'static str {
        "CutOff"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if is_of(self.0, context.request()) {
            return Err("there is no way".into());
        }
        Ok(())
    }
}

#[derive(Debug)]
struct SentElsewhere {
    operation: &'static str,
    url: String,
}

impl Intercept for SentElsewhere {
    fn name(&self) -> &'static str {
        "SentElsewhere"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if is_of(self.operation, context.request()) {
            context.request_mut().set_uri(self.url.as_str())?;
        }
        Ok(())
    }
}
