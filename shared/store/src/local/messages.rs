//! Messages as they are, for tests: what no part of the service would send, and what it gave up.

use aws_sdk_sqs::types::QueueAttributeName;

use crate::{Connection, Result, StoreError};

/// Sends a body of any form.
///
/// # Errors
/// [`StoreError`].
pub async fn send(connection: &Connection, queue_url: &str, body: &str) -> Result<()> {
    let sqs = aws_sdk_sqs::Client::new(connection.sdk_config());
    let sent = sqs
        .send_message()
        .queue_url(queue_url)
        .message_body(body)
        .send()
        .await;
    sent.map(drop)
        .map_err(|error| StoreError::from_sdk("SendMessage", &error))
}

/// Receives bodies, waiting a second for the first. They stay in the queue, and come back later.
///
/// # Errors
/// [`StoreError`].
pub async fn receive(connection: &Connection, queue_url: &str) -> Result<Vec<String>> {
    let sqs = aws_sdk_sqs::Client::new(connection.sdk_config());
    let answer = sqs
        .receive_message()
        .queue_url(queue_url)
        .max_number_of_messages(10)
        .wait_time_seconds(1)
        .send()
        .await
        .map_err(|error| StoreError::from_sdk("ReceiveMessage", &error))?;
    let messages = answer.messages.unwrap_or_default().into_iter();
    Ok(messages.filter_map(|message| message.body).collect())
}

/// How many messages a queue has, those in somebody's hand included.
///
/// # Errors
/// [`StoreError`].
pub async fn count(connection: &Connection, queue_url: &str) -> Result<u32> {
    let sqs = aws_sdk_sqs::Client::new(connection.sdk_config());
    let counted = [
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
    ];
    let answer = sqs
        .get_queue_attributes()
        .queue_url(queue_url)
        .set_attribute_names(Some(counted.to_vec()))
        .send()
        .await
        .map_err(|error| StoreError::from_sdk("GetQueueAttributes", &error))?;
    let attributes = answer.attributes.unwrap_or_default();
    Ok(counted
        .iter()
        .filter_map(|name| attributes.get(name)?.parse::<u32>().ok())
        .sum())
}
