//! Messages as they are, for tests: what no part of the service would send, and what it gave up.

use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};

use crate::{Connection, Queue, Result, Store, StoreError};

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

/// Receives whose messages those are by their groups, waiting a second for the first. They stay in the queue.
///
/// # Errors
/// [`StoreError`].
pub async fn groups(store: &Store, queue: Queue) -> Result<Vec<Option<String>>> {
    let group = MessageSystemAttributeName::MessageGroupId;
    let answer = store
        .sqs
        .receive_message()
        .queue_url(store.queue_url(queue)?)
        .max_number_of_messages(10)
        .wait_time_seconds(1)
        .message_system_attribute_names(group.clone())
        .send()
        .await
        .map_err(|error| StoreError::from_sdk("ReceiveMessage", &error))?;
    let messages = answer.messages.unwrap_or_default().into_iter();
    Ok(messages
        .map(|message| message.attributes?.remove(&group))
        .collect())
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

/// The URL of the queue to which a queue's own redrive policy gives what was received too often.
///
/// # Errors
/// [`StoreError`], also if the queue has no such policy.
pub async fn dead_letter_queue_of(connection: &Connection, queue_url: &str) -> Result<String> {
    let sqs = aws_sdk_sqs::Client::new(connection.sdk_config());
    let answer = sqs
        .get_queue_attributes()
        .queue_url(queue_url)
        .attribute_names(QueueAttributeName::RedrivePolicy)
        .send()
        .await
        .map_err(|error| StoreError::from_sdk("GetQueueAttributes", &error))?;
    let attributes = answer.attributes.unwrap_or_default();
    let policy = attributes.get(&QueueAttributeName::RedrivePolicy);
    let policy: serde_json::Value = policy
        .and_then(|policy| serde_json::from_str(policy).ok())
        .unwrap_or_default();
    let arn = policy["deadLetterTargetArn"].as_str().unwrap_or_default();
    let answer = sqs
        .get_queue_url()
        .queue_name(arn.rsplit(':').next().unwrap_or_default())
        .send()
        .await
        .map_err(|error| StoreError::from_sdk("GetQueueUrl", &error))?;
    Ok(answer.queue_url.unwrap_or_default())
}

/// Moves all that a dead-letter queue has back to its queue, as an operator's redrive does (`StartMessageMoveTask`, which
/// the emulator doesn't have): each is sent first and deleted afterwards. Answers how many those were.
///
/// # Errors
/// [`StoreError`].
pub async fn redrive(connection: &Connection, queue_url: &str) -> Result<usize> {
    let sqs = aws_sdk_sqs::Client::new(connection.sdk_config());
    let from = dead_letter_queue_of(connection, queue_url).await?;
    // All are received before the first is sent: what is given up again at once would be received once more.
    let mut all = Vec::new();
    loop {
        let answer = sqs
            .receive_message()
            .queue_url(&from)
            .max_number_of_messages(10)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("ReceiveMessage", &error))?;
        let messages = answer.messages.unwrap_or_default();
        if messages.is_empty() {
            break;
        }
        all.extend(messages);
    }
    for message in &all {
        send(connection, queue_url, message.body().unwrap_or_default()).await?;
        sqs.delete_message()
            .queue_url(&from)
            .receipt_handle(message.receipt_handle().unwrap_or_default())
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("DeleteMessage", &error))?;
    }
    Ok(all.len())
}

/// Sets after how many seconds a message comes back that was received and not deleted.
///
/// # Errors
/// [`StoreError`].
pub async fn set_visibility(connection: &Connection, queue_url: &str, seconds: u32) -> Result<()> {
    let sqs = aws_sdk_sqs::Client::new(connection.sdk_config());
    sqs.set_queue_attributes()
        .queue_url(queue_url)
        .attributes(QueueAttributeName::VisibilityTimeout, seconds.to_string())
        .send()
        .await
        .map(drop)
        .map_err(|error| StoreError::from_sdk("SetQueueAttributes", &error))
}
