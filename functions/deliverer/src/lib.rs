//! Makes webhook deliveries: one signed POST and one conditional write for each message, which end the delivery or say
//! when the next attempt is due.
//!
//! It never makes a body (that was fixed when the event was fanned out), never follows a redirect, and contacts no
//! address that the guarded client refuses.

mod attempt;
mod exchange;
mod retry_after;
mod schedule;

use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures::future::join_all;
use platform::guarded_http::GuardedClient;
use store::{DeliveryKey, Store, StoreError};

/// How long one exchange with a receiver may take, from the name's resolution to the end of its answer.
pub const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a message may take in all: the exchange, and the reads and writes around it.
const RECORD_TIMEOUT: Duration = Duration::from_secs(30);

/// What an attempt needs.
#[derive(Debug, Clone)]
pub struct Context {
    /// Where deliveries, endpoints and their secrets are.
    pub store: Store,
    /// What contacts the receivers; its time-out is [`EXCHANGE_TIMEOUT`].
    pub client: GuardedClient,
}

/// Why a message could not be handled. It then comes back, and goes to the dead-letter queue when it has come back too
/// often.
#[derive(Debug, thiserror::Error)]
enum Undelivered {
    /// The message names no delivery.
    #[error("the body names no delivery")]
    Unreadable(#[source] serde_json::Error),
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Neither of the two answered in time.
    #[error("no end within {} s", RECORD_TIMEOUT.as_secs())]
    TimedOut,
}

/// Handles a batch of messages, all at the same time, each under its own time-out. A message that fails fails alone. A
/// receiver that doesn't answer, or answers with an error, is no failure of the message: the delivery's item has that.
pub async fn handle(context: &Context, event: SqsEvent) -> SqsBatchResponse {
    let outcomes = join_all(
        event
            .records
            .iter()
            .map(|message| handle_message(context, message)),
    )
    .await;
    let mut answer = SqsBatchResponse::default();
    for (message, outcome) in event.records.iter().zip(outcomes) {
        let message_id = message.message_id.as_deref().unwrap_or_default();
        if let Err(error) = outcome {
            tracing::error!(message_id, %error, "A message about a delivery could not be handled");
            answer.add_failure(message_id);
        }
    }
    answer
}

async fn handle_message(context: &Context, message: &SqsMessage) -> Result<(), Undelivered> {
    let body = message.body.as_deref().unwrap_or_default();
    let key: DeliveryKey = serde_json::from_str(body).map_err(Undelivered::Unreadable)?;
    let made = tokio::time::timeout(RECORD_TIMEOUT, attempt::make(context, &key)).await;
    Ok(made.map_err(|_| Undelivered::TimedOut)??)
}
