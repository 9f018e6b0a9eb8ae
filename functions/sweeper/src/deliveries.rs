//! Deliveries that are overdue: their message was lost, or they were too far away for a delayed one.

use std::time::Duration;

use domain::Timestamp;
use store::{Delivery, DeliveryKey, DeliveryStatus, Result, Store};

use crate::Done;

/// When a delivery that was enqueued is looked at again.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(5 * 60);

/// Enqueues an overdue delivery. As with runs, first the message, then the write.
pub(crate) async fn sweep(store: &Store, key: &DeliveryKey, now: Timestamp) -> Result<Done> {
    let Some(delivery) = store.delivery(key).await? else {
        return Ok(Done::Nothing);
    };
    if delivery.status != DeliveryStatus::Pending
        || delivery.due_at.is_none_or(|due_at| due_at > now)
    {
        return Ok(Done::Nothing);
    }
    store
        .enqueue_delivery(key, delivery.next_attempt_at.since(now))
        .await?;
    let attempts = delivery.attempts.len();
    let postponed = Delivery {
        due_at: Some(now.plus(LOOK_AGAIN_AFTER)),
        ..delivery
    };
    store.update_delivery(&postponed, attempts).await?;
    Ok(Done::DeliveryEnqueued)
}
