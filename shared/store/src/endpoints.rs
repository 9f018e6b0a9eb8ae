//! Webhook endpoints. Their signing secrets are sealed with the webhooks' own key.
//!
//! An item counts an organization's endpoints that are enabled: each event is written once for each of them, so their
//! number bounds what one change of a run costs.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::webhook::EventType;
use domain::{OrganizationId, Timestamp, WebhookEndpointId};
use serde::{Deserialize, Serialize};

use crate::item::{decode, encode, number, string};
use crate::secrets::Context;
use crate::transactions::{Transacted, Write};
use crate::{IdempotencyKey, Replay, Result, Store, StoreError, keys};

/// How many endpoints an organization has at most that are enabled.
pub const MOST_WEBHOOK_ENDPOINTS: u32 = 20;

/// Where a customer wants to hear of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookEndpoint {
    /// Its id.
    pub id: WebhookEndpointId,
    /// The tenant.
    pub organization_id: OrganizationId,
    /// Where deliveries are posted to.
    pub url: String,
    /// What it wants to hear of.
    pub event_types: Vec<EventType>,
    /// The customer's own note.
    pub description: Option<String>,
    /// Whether deliveries are made.
    pub enabled: bool,
    /// Events before this are none of its business.
    pub created_at: Timestamp,
    sealed_secret: String,
}

/// An endpoint to be registered.
#[derive(Debug, Clone)]
pub struct NewWebhookEndpoint {
    /// Its id.
    pub id: WebhookEndpointId,
    /// The tenant.
    pub organization_id: OrganizationId,
    /// Where deliveries are posted to.
    pub url: String,
    /// What it wants to hear of.
    pub event_types: Vec<EventType>,
    /// The customer's own note.
    pub description: Option<String>,
    /// When it is registered.
    pub created_at: Timestamp,
}

/// What became of registering an endpoint.
#[derive(Debug)]
pub enum CreatedWebhookEndpoint {
    /// It is registered.
    Created,
    /// The idempotency key was used before.
    Replayed(Replay),
    /// The organization has [`MOST_WEBHOOK_ENDPOINTS`] that are enabled.
    TooMany,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EndpointItem {
    id: WebhookEndpointId,
    organization_id: OrganizationId,
    url: String,
    event_types: Vec<EventType>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    enabled: bool,
    created_at: i64,
    sealed_secret: String,
}

impl From<EndpointItem> for WebhookEndpoint {
    fn from(item: EndpointItem) -> Self {
        Self {
            id: item.id,
            organization_id: item.organization_id,
            url: item.url,
            event_types: item.event_types,
            description: item.description,
            enabled: item.enabled,
            created_at: Timestamp::from_millis(item.created_at),
            sealed_secret: item.sealed_secret,
        }
    }
}

fn context(organization_id: OrganizationId, id: WebhookEndpointId) -> Context {
    Context::new(organization_id, "webhook", &id.to_string())
}

impl Store {
    /// Registers an endpoint with its signing secret.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_webhook_endpoint(
        &self,
        new: &NewWebhookEndpoint,
        secret: &str,
        key: Option<&IdempotencyKey>,
    ) -> Result<CreatedWebhookEndpoint> {
        let context = context(new.organization_id, new.id);
        let sealed_secret = self
            .seal(self.webhook_key()?, &context, secret.as_bytes())
            .await?;
        let item = EndpointItem {
            id: new.id,
            organization_id: new.organization_id,
            url: new.url.clone(),
            event_types: new.event_types.clone(),
            description: new.description.clone(),
            enabled: true,
            created_at: new.created_at.as_millis(),
            sealed_secret,
        };
        let item = encode(&keys::endpoint(new.organization_id, new.id), item)?;
        let counting = self
            .updating(&keys::endpoint_count(new.organization_id))?
            .update_expression("ADD endpointCount :one")
            .condition_expression("attribute_not_exists(endpointCount) OR endpointCount < :most")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":most", number(MOST_WEBHOOK_ENDPOINTS));
        let mut writes = vec![counting.write()?, self.putting(item)?.write()?];
        if let Some(key) = key {
            // First, as with API keys: a replay is a replay, however many endpoints there are.
            writes.insert(0, self.remembering(key, &new.id.to_string())?);
        }
        match (self.transact(writes).await?, key) {
            (Transacted::Written, _) => Ok(CreatedWebhookEndpoint::Created),
            (Transacted::Refused { write: 0, there }, Some(key)) => self
                .replay_of(key, there)
                .await
                .map(CreatedWebhookEndpoint::Replayed),
            (Transacted::Refused { .. }, _) => Ok(CreatedWebhookEndpoint::TooMany),
        }
    }

    /// All endpoints of an organization, enabled or not. One that can't be read must not hide the others.
    ///
    /// # Errors
    /// [`StoreError`], if they could not be asked for.
    pub async fn each_webhook_endpoint(
        &self,
        organization_id: OrganizationId,
    ) -> Result<Vec<Result<WebhookEndpoint>>> {
        let items = self
            .query_prefix(
                &keys::organization(organization_id),
                keys::ENDPOINT_PREFIX,
                None,
            )
            .await?;
        let read = |item| decode::<EndpointItem>(item).map(WebhookEndpoint::from);
        Ok(items.into_iter().map(read).collect())
    }

    /// One endpoint of an organization.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn webhook_endpoint(
        &self,
        organization_id: OrganizationId,
        id: WebhookEndpointId,
    ) -> Result<Option<WebhookEndpoint>> {
        let item: Option<EndpointItem> = self.get(&keys::endpoint(organization_id, id)).await?;
        Ok(item.map(WebhookEndpoint::from))
    }

    /// Stops all deliveries to an endpoint, as its server has asked, and makes room for another one. Does nothing if the
    /// endpoint has been deleted or disabled, or has another URL by now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn disable_webhook_endpoint(&self, endpoint: &WebhookEndpoint) -> Result<()> {
        let disabling = self
            .updating(&keys::endpoint(endpoint.organization_id, endpoint.id))?
            .update_expression("SET #enabled = :disabled")
            .condition_expression("#url = :url AND #enabled = :enabled")
            .expression_attribute_names("#enabled", "enabled")
            .expression_attribute_names("#url", "url")
            .expression_attribute_values(":url", string(&endpoint.url))
            .expression_attribute_values(":enabled", AttributeValue::Bool(true))
            .expression_attribute_values(":disabled", AttributeValue::Bool(false));
        let counting = self
            .updating(&keys::endpoint_count(endpoint.organization_id))?
            .update_expression("ADD endpointCount :less")
            .expression_attribute_values(":less", number(-1));
        let writes = vec![disabling.write()?, counting.write()?];
        self.transact(writes).await.map(drop)
    }

    /// The signing secret of an endpoint, for the deliverer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn webhook_secret(&self, endpoint: &WebhookEndpoint) -> Result<String> {
        let context = context(endpoint.organization_id, endpoint.id);
        let plain = self
            .open(self.webhook_key()?, &context, &endpoint.sealed_secret)
            .await?;
        String::from_utf8(plain).map_err(|_| StoreError::Corrupt {
            what: format!("the secret of webhook endpoint {}", endpoint.id),
            reason: "it is not text".to_owned(),
        })
    }
}
