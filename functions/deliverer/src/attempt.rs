//! One attempt of a delivery, from the message that names it to the write that says what became of it.

use std::time::Duration;

use domain::Timestamp;
use platform::retry::random_fraction;
use platform::telemetry::metrics::Measurement;
use platform::webhook_signature::Secret;
use store::{Attempt, Delivery, DeliveryKey, DeliveryStatus, Result, WebhookEndpoint, now};
use url::Url;

use crate::exchange::{Exchange, Verdict};
use crate::{Context, schedule};

/// A message may come this much early: SQS delays by whole seconds.
const EARLY: Duration = Duration::from_secs(1);

/// The longest delay that SQS gives a message. What is due later is enqueued by the sweeper.
const LONGEST_DELAY: Duration = Duration::from_secs(15 * 60);

/// How long after a delayed message the sweeper looks whether it was lost.
const LOOK_AFTER: Duration = Duration::from_secs(60);

/// Makes the attempt that a message asks for, if there is one to be made.
pub(crate) async fn make(context: &Context, key: &DeliveryKey) -> Result<()> {
    let Some(delivery) = context.store.delivery(key).await? else {
        tracing::warn!(run_id = %key.run_id, key = key.key, "A message names a delivery that doesn't exist");
        return Ok(());
    };
    let begun_at = now();
    // A second message about the same attempt, or one that another delay has overtaken.
    if delivery.status != DeliveryStatus::Pending || delivery.next_attempt_at > begun_at.plus(EARLY)
    {
        return Ok(());
    }
    match receiver_of(context, &delivery).await? {
        Ok(receiver) => {
            let exchange = Exchange::make(
                &context.client,
                &receiver.url,
                &receiver.secret,
                &delivery,
                begun_at,
            )
            .await;
            record(context, delivery, &receiver.endpoint, exchange).await
        }
        Err(why) => give_up(context, delivery, why).await,
    }
}

/// Where a delivery goes to, with all that an exchange needs.
struct Receiver {
    endpoint: WebhookEndpoint,
    url: Url,
    secret: Secret,
}

/// Finds the receiver, or says why there is none.
async fn receiver_of(
    context: &Context,
    delivery: &Delivery,
) -> Result<Result<Receiver, &'static str>> {
    let Some(endpoint) = context
        .store
        .webhook_endpoint(delivery.organization_id, delivery.endpoint_id)
        .await?
    else {
        return Ok(Err("the endpoint was deleted"));
    };
    if !endpoint.enabled {
        return Ok(Err("the endpoint is disabled"));
    }
    let Ok(url) = Url::parse(&endpoint.url) else {
        return Ok(Err("the endpoint's URL can't be read"));
    };
    let Ok(secret) = Secret::parse(&context.store.webhook_secret(&endpoint).await?) else {
        return Ok(Err("the endpoint's secret can't be read"));
    };
    Ok(Ok(Receiver {
        endpoint,
        url,
        secret,
    }))
}

/// Writes what became of an exchange, and sees to the next attempt if there is to be one.
async fn record(
    context: &Context,
    before: Delivery,
    endpoint: &WebhookEndpoint,
    exchange: Exchange,
) -> Result<()> {
    if exchange.verdict == Verdict::Gone {
        // Before the delivery is over: as long as it isn't, its message comes back, and the server is asked again.
        context.store.disable_webhook_endpoint(endpoint).await?;
        tracing::warn!(endpoint_id = %endpoint.id, "An endpoint is disabled: its server answered 410");
    }
    let at = now();
    let attempts_before = before.attempts.len();
    let delivery = after(
        before,
        &exchange.attempt,
        exchange.verdict,
        at,
        random_fraction(),
    );
    if !context
        .store
        .update_delivery(&delivery, attempts_before)
        .await?
    {
        tracing::warn!(delivery_id = %delivery.id, "Another attempt of the same delivery was written first");
        return Ok(());
    }
    tracing::info!(
        delivery_id = %delivery.id,
        endpoint_id = %delivery.endpoint_id,
        run_id = %delivery.key.run_id,
        attempt = delivery.attempts.len(),
        status_code = exchange.attempt.status_code,
        error = exchange.attempt.error,
        took_ms = exchange.attempt.took_ms,
        outcome = ?delivery.status,
        "Made an attempt of a delivery"
    );
    measurement(&delivery, exchange.attempt.took_ms, at).emit();
    let delay = delivery.next_attempt_at.since(at);
    if delivery.status == DeliveryStatus::Pending
        && delay <= LONGEST_DELAY
        && let Err(error) = context.store.enqueue_delivery(&delivery, delay).await
    {
        tracing::warn!(delivery_id = %delivery.id, %error, "A delivery could not be enqueued; the sweeper will do it");
    }
    Ok(())
}

/// What became of an attempt, for whoever operates the service; for the last one also how long the event was on its way.
fn measurement(delivery: &Delivery, took_ms: u64, at: Timestamp) -> Measurement {
    let measured = Measurement::count("DeliveryAttempts", 1)
        .and_duration("ExchangeTime", Duration::from_millis(took_ms));
    match delivery.status {
        DeliveryStatus::Succeeded => measured
            .and_duration("DeliveryLatency", at.since(delivery.created_at))
            .of("Outcome", "Succeeded"),
        DeliveryStatus::Pending => measured.of("Outcome", "ToBeRetried"),
        DeliveryStatus::Failed => measured.of("Outcome", "GivenUp"),
    }
}

/// A delivery after an attempt.
fn after(
    mut delivery: Delivery,
    attempt: &Attempt,
    verdict: Verdict,
    at: Timestamp,
    jitter: f64,
) -> Delivery {
    delivery.attempts.push(attempt.clone());
    let (status, failure) = match verdict {
        Verdict::Accepted => (DeliveryStatus::Succeeded, None),
        Verdict::Gone => (
            DeliveryStatus::Failed,
            Some("the receiver answered 410 Gone".to_owned()),
        ),
        Verdict::Refused { retry_after } => {
            match schedule::delay_after(delivery.attempts.len(), retry_after, jitter) {
                Some(delay) => {
                    delivery.next_attempt_at = at.plus(delay);
                    delivery.enqueued_again = 0;
                    delivery.due_at = Some(if delay <= LONGEST_DELAY {
                        delivery.next_attempt_at.plus(LOOK_AFTER)
                    } else {
                        delivery.next_attempt_at
                    });
                    return delivery;
                }
                None => (
                    DeliveryStatus::Failed,
                    Some(format!("{} attempts have failed", delivery.attempts.len())),
                ),
            }
        }
    };
    Delivery {
        status,
        failure,
        due_at: None,
        ..delivery
    }
}

/// Ends a delivery without an attempt.
async fn give_up(context: &Context, delivery: Delivery, why: &str) -> Result<()> {
    let attempts = delivery.attempts.len();
    tracing::warn!(delivery_id = %delivery.id, endpoint_id = %delivery.endpoint_id, why, "Gave up a delivery");
    let ended = Delivery {
        status: DeliveryStatus::Failed,
        failure: Some(why.to_owned()),
        due_at: None,
        ..delivery
    };
    context.store.update_delivery(&ended, attempts).await?;
    Measurement::count("DeliveriesWithoutReceiver", 1).emit();
    Ok(())
}

#[cfg(test)]
mod tests {
    use domain::webhook::{EventType, RunEvent};
    use domain::{OrganizationId, RunId, WebhookEndpointId};

    use super::*;

    fn at() -> Timestamp {
        Timestamp::from_millis(1_000_000)
    }

    fn delivery() -> Delivery {
        let event = RunEvent {
            event_type: EventType::RunCompleted,
            sequence: 5,
            at: at(),
        };
        Delivery::new(
            OrganizationId::new(at(), [1; 10]),
            RunId::new(at(), [2; 10]),
            WebhookEndpointId::new(at(), [3; 10]),
            event,
            "{}".to_owned(),
            at(),
            at(),
        )
    }

    fn attempt() -> Attempt {
        Attempt {
            at: 0,
            status_code: None,
            error: None,
            took_ms: 1,
        }
    }

    fn refused_times(times: usize) -> Delivery {
        let refused = Verdict::Refused { retry_after: None };
        (0..times).fold(delivery(), |delivery, _| {
            after(delivery, &attempt(), refused, at(), 0.5)
        })
    }

    #[test]
    fn an_accepted_delivery_is_due_no_more() {
        let delivery = after(delivery(), &attempt(), Verdict::Accepted, at(), 0.5);
        assert_eq!(
            (delivery.status, delivery.due_at, delivery.failure),
            (DeliveryStatus::Succeeded, None, None)
        );
    }

    #[test]
    fn the_sweeper_looks_after_a_delayed_message_and_at_the_time_itself_where_there_is_none() {
        let soon = refused_times(1);
        assert_eq!(soon.next_attempt_at, at().plus(Duration::from_secs(5)));
        assert_eq!(soon.due_at, Some(at().plus(Duration::from_secs(65))));
        let late = refused_times(3);
        assert_eq!(
            late.next_attempt_at,
            at().plus(Duration::from_secs(30 * 60))
        );
        assert_eq!(late.due_at, Some(late.next_attempt_at));
    }

    #[test]
    fn an_attempt_is_measured_by_its_outcome_and_the_last_one_with_the_time_since_the_event() {
        let (took_ms, later) = (20, at().plus(Duration::from_secs(3)));
        let attempts = || {
            Measurement::count("DeliveryAttempts", 1)
                .and_duration("ExchangeTime", Duration::from_millis(took_ms))
        };
        let accepted = after(delivery(), &attempt(), Verdict::Accepted, at(), 0.5);
        assert_eq!(
            measurement(&accepted, took_ms, later),
            attempts()
                .and_duration("DeliveryLatency", Duration::from_secs(3))
                .of("Outcome", "Succeeded")
        );
        assert_eq!(
            measurement(&refused_times(1), took_ms, later),
            attempts().of("Outcome", "ToBeRetried")
        );
        assert_eq!(
            measurement(&refused_times(10), took_ms, later),
            attempts().of("Outcome", "GivenUp")
        );
    }

    #[test]
    fn a_delivery_is_given_up_after_its_tenth_attempt_and_says_so() {
        assert_eq!(refused_times(9).status, DeliveryStatus::Pending);
        let last = refused_times(10);
        assert_eq!((last.status, last.due_at), (DeliveryStatus::Failed, None));
        assert_eq!(last.failure.as_deref(), Some("10 attempts have failed"));
    }
}
