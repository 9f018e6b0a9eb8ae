//! Deliveries that are overdue: their message was lost, or they were too far away for a delayed one.

use domain::Timestamp;
use domain::run::enqueue_again_after;
use store::{Delivery, DeliveryKey, DeliveryStatus, Result, Store};

use crate::Done;

/// Enqueues an overdue delivery, each time later. As with runs, first the message, then the write.
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
        .enqueue_delivery(&delivery, delivery.next_attempt_at.since(now))
        .await?;
    let attempts = delivery.attempts.len();
    let enqueued_again = delivery.enqueued_again.saturating_add(1);
    let postponed = Delivery {
        due_at: Some(now.plus(enqueue_again_after(enqueued_again))),
        enqueued_again,
        ..delivery
    };
    store.update_delivery(&postponed, attempts).await?;
    Ok(Done::DeliveryEnqueued)
}
