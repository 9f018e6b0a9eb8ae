//! What template.yaml's functions and runners are told of its resources, from the outputs of a stack.

use std::collections::BTreeMap;

/// Each setting, with the output that gives it.
const SETTINGS: [(&str, &str); 6] = [
    ("LEGWORK_TABLE", "TableName"),
    ("LEGWORK_RUN_QUEUE_URL", "RunQueueUrl"),
    ("LEGWORK_DELIVERY_QUEUE_URL", "DeliveryQueueUrl"),
    ("LEGWORK_ARTIFACT_BUCKET", "ArtifactBucketName"),
    ("LEGWORK_SECRETS_KEY_ID", "SecretsKeyArn"),
    ("LEGWORK_WEBHOOK_KEY_ID", "WebhookKeyArn"),
];

/// The settings that a stack's outputs give; whoever needs one that is missing says so by its name.
#[must_use]
pub fn settings_of(outputs: &BTreeMap<String, String>) -> Vec<(String, String)> {
    SETTINGS
        .iter()
        .filter_map(|(setting, output)| {
            Some(((*setting).to_owned(), outputs.get(*output)?.clone()))
        })
        .collect()
}
