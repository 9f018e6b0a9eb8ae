//! The queues. A message is a hint; the item that it names is the truth. Each says whose it is, so that SQS keeps those of
//! an organization that takes more than its share of the receivers behind those of the others ("fair queues").

use std::time::Duration;

use domain::run::Run;
use domain::{OrganizationId, RunId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Delivery, Result, Store, StoreError};

/// What the run queue carries: a run that may be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunMessage {
    /// The run.
    pub run_id: RunId,
    /// Its tenant.
    pub org_id: OrganizationId,
}

impl RunMessage {
    /// That this run may be claimed.
    #[must_use]
    pub fn about(run: &Run) -> Self {
        Self {
            run_id: run.id,
            org_id: run.organization_id,
        }
    }
}

/// A wait in the seconds that SQS counts, rounded up: a message that comes too early would be held back again.
fn whole_seconds(wait: Duration, most: i32) -> i32 {
    i32::try_from(wait.as_millis().div_ceil(1000)).map_or(most, |seconds| seconds.min(most))
}

/// Which queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// Runs that may be claimed.
    Runs,
    /// Webhook deliveries that are due.
    Deliveries,
}

/// A message that was received and is invisible to others for a while.
#[derive(Debug, Clone)]
pub struct QueueMessage {
    /// Its id.
    pub id: String,
    /// The body.
    pub body: String,
    /// What deletes it.
    pub receipt: String,
    /// How often it has been received, this time included.
    pub received: u32,
}

impl Store {
    pub(crate) fn queue_url(&self, queue: Queue) -> Result<&str> {
        Ok(match queue {
            Queue::Runs => self.resources.run_queue_url()?,
            Queue::Deliveries => self.resources.delivery_queue_url()?,
        })
    }

    /// Puts a run into the queue.
    ///
    /// # Errors
    /// [`StoreError`]. The run's `dueAt` makes the sweeper do it again.
    pub async fn enqueue_run(&self, message: RunMessage) -> Result<()> {
        self.enqueue_run_later(message, Duration::ZERO).await
    }

    /// Puts a run into the queue, to be seen once it may be claimed: at once, or when it has waited to be executed again.
    ///
    /// # Errors
    /// [`StoreError`]. The run's `dueAt` makes the sweeper do it again.
    pub async fn enqueue_ready_run(&self, run: &Run, now: Timestamp) -> Result<()> {
        let wait = run.waits_for_retry(now);
        self.enqueue_run_later(RunMessage::about(run), wait).await
    }

    /// Puts a run into the queue, to be seen after a delay of at most 15 minutes, which is what SQS allows.
    ///
    /// # Errors
    /// [`StoreError`]. The run's `dueAt` makes the sweeper do it again.
    pub async fn enqueue_run_later(&self, message: RunMessage, delay: Duration) -> Result<()> {
        self.send(Queue::Runs, message.org_id, &message, delay)
            .await
    }

    /// Puts a delivery into the queue, to be seen after a delay of at most 15 minutes, which is what SQS allows.
    ///
    /// # Errors
    /// [`StoreError`]. The delivery's `dueAt` makes the sweeper do it again.
    pub async fn enqueue_delivery(&self, delivery: &Delivery, delay: Duration) -> Result<()> {
        let of = delivery.organization_id;
        self.send(Queue::Deliveries, of, &delivery.key, delay).await
    }

    async fn send(
        &self,
        queue: Queue,
        organization_id: OrganizationId,
        message: &impl Serialize,
        delay: Duration,
    ) -> Result<()> {
        let body = serde_json::to_string(message).map_err(|error| StoreError::Corrupt {
            what: "a message".to_owned(),
            reason: error.to_string(),
        })?;
        let seconds = whole_seconds(delay, 900);
        self.sqs
            .send_message()
            .queue_url(self.queue_url(queue)?)
            .message_body(body)
            .message_group_id(organization_id.to_string())
            .set_delay_seconds((seconds > 0).then_some(seconds))
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("SendMessage", &error))?;
        Ok(())
    }

    /// Receives at most `limit` (1 to 10) messages, waiting up to `wait` (at most 20 s) for the first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn receive(
        &self,
        queue: Queue,
        limit: i32,
        wait: Duration,
    ) -> Result<Vec<QueueMessage>> {
        let answer = self
            .sqs
            .receive_message()
            .queue_url(self.queue_url(queue)?)
            .max_number_of_messages(limit.clamp(1, 10))
            .wait_time_seconds(i32::try_from(wait.as_secs().min(20)).unwrap_or(20))
            .message_system_attribute_names(
                aws_sdk_sqs::types::MessageSystemAttributeName::ApproximateReceiveCount,
            )
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("ReceiveMessage", &error))?;
        let received = |message: &aws_sdk_sqs::types::Message| {
            let name = aws_sdk_sqs::types::MessageSystemAttributeName::ApproximateReceiveCount;
            message
                .attributes()
                .and_then(|all| all.get(&name))
                .and_then(|count| count.parse().ok())
                .unwrap_or(1)
        };
        Ok(answer
            .messages
            .unwrap_or_default()
            .into_iter()
            .map(|message| QueueMessage {
                received: received(&message),
                id: message.message_id.unwrap_or_default(),
                body: message.body.unwrap_or_default(),
                receipt: message.receipt_handle.unwrap_or_default(),
            })
            .collect())
    }

    /// Deletes a message: what it asked for is done, or is safe elsewhere.
    ///
    /// # Errors
    /// [`StoreError`]. The message then comes back, which does nothing.
    pub async fn delete_message(&self, queue: Queue, message: &QueueMessage) -> Result<()> {
        self.sqs
            .delete_message()
            .queue_url(self.queue_url(queue)?)
            .receipt_handle(&message.receipt)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("DeleteMessage", &error))?;
        Ok(())
    }

    /// Makes a received message visible again, now: for a receiver that can't take it after all. A message that is
    /// returned too often goes to the dead-letter queue, by the queue's own redrive policy.
    ///
    /// # Errors
    /// [`StoreError`]. The message then comes back later.
    pub async fn return_message(&self, queue: Queue, message: &QueueMessage) -> Result<()> {
        self.return_message_in(queue, message, Duration::ZERO).await
    }

    /// Makes a received message visible again after a while, for a receiver to which it came too early.
    ///
    /// # Errors
    /// [`StoreError`]. The message then comes back at another time.
    pub async fn return_message_in(
        &self,
        queue: Queue,
        message: &QueueMessage,
        wait: Duration,
    ) -> Result<()> {
        self.sqs
            .change_message_visibility()
            .queue_url(self.queue_url(queue)?)
            .receipt_handle(&message.receipt)
            .visibility_timeout(whole_seconds(wait, 900))
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("ChangeMessageVisibility", &error))?;
        Ok(())
    }
}
