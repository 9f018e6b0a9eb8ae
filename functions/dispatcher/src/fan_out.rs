//! One delivery for each event of a run and each endpoint that wants to hear of it. It writes and enqueues deliveries;
//! it never makes one.

use std::collections::HashSet;
use std::time::Duration;

use domain::run::Run;
use domain::webhook::{RunEvent, body_of, events_of};
use store::{Delivery, DeliveryKey, Result, Store, StoreError, WebhookEndpoint, now};

/// When the sweeper looks at a delivery that was enqueued at once.
const LOOK_AFTER: Duration = Duration::from_secs(60);

/// Writes the deliveries of a run that are missing, and enqueues them, to every endpoint that can be read. For a run that
/// goes on these are the ones of its last change; for one that has ended, those of all its changes, so that a stream
/// record that was lost on the way loses no event. Answers how many were missing.
///
/// # Errors
/// [`StoreError`], also if an endpoint can't be read; what is written then stays, and doing it again writes the rest.
pub async fn fan_out(store: &Store, run: &Run) -> Result<usize> {
    let mut events = events_of(run);
    if !run.status().is_final() {
        events.retain(|event| event.sequence == run.sequence);
    }
    if events.is_empty() {
        return Ok(0);
    }
    let mut endpoints = Vec::new();
    let mut unreadable = None;
    for endpoint in store.each_webhook_endpoint(run.organization_id).await? {
        match endpoint {
            Ok(endpoint) => endpoints.push(endpoint),
            Err(error) => unreadable = Some(error),
        }
    }
    let wanted: Vec<_> = events
        .iter()
        .flat_map(|event| endpoints.iter().map(move |endpoint| (*event, endpoint)))
        .filter(|(event, endpoint)| wants(endpoint, *event))
        .collect();
    // At its end most of them are there, and a write that is refused costs as much as one that is not.
    let there = if run.status().is_final() && wanted.len() > 1 {
        store.delivery_keys(run.id).await?
    } else {
        HashSet::new()
    };
    let mut written = 0;
    for (event, endpoint) in wanted {
        if there.contains(&DeliveryKey::new(run.id, event, endpoint.id)) {
            continue;
        }
        if deliver_later(store, run, event, endpoint).await? {
            written += 1;
        }
    }
    // What it wants to hear of, nobody knows until it is mended: the run owes it that.
    match unreadable {
        Some(error) => Err(error),
        None => Ok(written),
    }
}

fn wants(endpoint: &WebhookEndpoint, event: RunEvent) -> bool {
    endpoint.enabled
        && endpoint.created_at <= event.at
        && endpoint.event_types.contains(&event.event_type)
}

/// Writes and enqueues one delivery; `false` if it is there already, in which case somebody has it in hand.
async fn deliver_later(
    store: &Store,
    run: &Run,
    event: RunEvent,
    endpoint: &WebhookEndpoint,
) -> Result<bool> {
    let body =
        serde_json::to_string(&body_of(run, event)).map_err(|error| StoreError::Corrupt {
            what: format!(
                "the webhook for change {} of run {}",
                event.sequence, run.id
            ),
            reason: error.to_string(),
        })?;
    let at = now();
    let delivery = Delivery::new(
        run.organization_id,
        run.id,
        endpoint.id,
        event,
        body,
        at.plus(LOOK_AFTER),
        at,
    );
    if !store.put_new_delivery(&delivery).await? {
        return Ok(false);
    }
    if let Err(error) = store.enqueue_delivery(&delivery, Duration::ZERO).await {
        tracing::warn!(delivery_id = %delivery.id, %error, "A delivery could not be enqueued; the sweeper will do it");
    }
    Ok(true)
}
