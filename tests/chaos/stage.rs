//! Resources of their own, an organization on them with a workflow, a secret and an endpoint, and the world outside.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use domain::definition::Definition;
use domain::webhook::EventType;
use domain::{OrganizationId, WebhookEndpointId, WorkflowId};
use localstack::fixture::Fixture;
use localstack::{default_keys, settings_of};
use platform::webhook_signature::Secret;
use serde_json::{Value, json};
use store::{NewWebhookEndpoint, NewWorkflow, Role, Store, Workflow, fresh_id, now};

use crate::chaos::world::World;

/// The secret that workflows here use.
const SECRET: &str = "password";

/// Where a test begins.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) fixture: Fixture,
    pub(crate) organization_id: OrganizationId,
    pub(crate) api_key: String,
    pub(crate) endpoint_id: WebhookEndpointId,
    pub(crate) endpoint_secret: Secret,
    pub(crate) world: World,
    scratch: tempfile::TempDir,
}

impl Stage {
    /// With an endpoint that wants to hear of everything.
    pub(crate) async fn set() -> anyhow::Result<Self> {
        let fixture = Fixture::start().await?;
        let world = World::start().await?;
        let store = &fixture.store;
        let at = now();
        let organization_id = fresh_id(OrganizationId::new, at);
        let api_key = default_keys::renew(store, organization_id, "customer", Role::Admin).await?;
        store
            .put_secret(organization_id, SECRET, "correct-horse-battery")
            .await?;
        let endpoint_id = fresh_id(WebhookEndpointId::new, at);
        let endpoint_secret = Secret::generate()?;
        let endpoint = NewWebhookEndpoint {
            id: endpoint_id,
            organization_id,
            url: world.hook_url.clone(),
            event_types: EventType::ALL.to_vec(),
            description: None,
            created_at: at,
        };
        store
            .create_webhook_endpoint(&endpoint, &endpoint_secret.reveal(), None)
            .await?;
        Ok(Self {
            fixture,
            organization_id,
            api_key,
            endpoint_id,
            endpoint_secret,
            world,
            scratch: tempfile::tempdir()?,
        })
    }

    pub(crate) fn store(&self) -> &Store {
        &self.fixture.store
    }

    pub(crate) fn aws_url(&self) -> anyhow::Result<&str> {
        let config = self.fixture.connection.sdk_config();
        config.endpoint_url().context("the emulator has a URL")
    }

    pub(crate) fn stream_arn(&self) -> &str {
        &self.fixture.outputs["TableStreamArn"]
    }

    /// A file for the logs of a process.
    pub(crate) fn log_file(&self, name: &str) -> PathBuf {
        self.scratch.path().join(format!("{name}.log"))
    }

    /// What a process of the service is told, all but where AWS is. A lease and its heartbeat are in seconds.
    pub(crate) fn settings(&self, lease: u32, heartbeat: u32) -> Vec<(String, String)> {
        let mut settings = settings_of(&self.fixture.outputs);
        let more = [
            ("AWS_REGION", "eu-central-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("LEGWORK_ALLOW_ADDRESSES", "loopback".to_owned()),
            ("LEGWORK_LEASE_SECONDS", lease.to_string()),
            ("LEGWORK_HEARTBEAT_SECONDS", heartbeat.to_string()),
        ];
        settings.extend(more.map(|(name, value)| (name.to_owned(), value)));
        settings
    }

    /// Saves a workflow; answers its id.
    pub(crate) async fn save_workflow(&self, yaml: &str) -> anyhow::Result<WorkflowId> {
        let definition = Definition::parse_yaml(yaml)
            .map_err(|problems| anyhow::anyhow!("the definition is wrong: {problems:?}"))?;
        let at = now();
        let workflow = Workflow {
            id: fresh_id(WorkflowId::new, at),
            organization_id: self.organization_id,
            name: definition.name.clone(),
            version: 1,
            created_at: at,
            updated_at: at,
            created_by_user_id: "customer".to_owned(),
        };
        let new = NewWorkflow {
            definition: definition.to_json().to_string(),
            workflow,
        };
        self.store().create_workflow(&new, None).await?;
        Ok(new.workflow.id)
    }

    /// What a customer sends to create a run.
    pub(crate) fn run_of(&self, workflow_id: WorkflowId) -> Value {
        json!({
            "workflowId": workflow_id,
            "input": { "site": self.world.site_url },
            "metadata": BTreeMap::from([("asked", "by a test")]),
        })
    }

    /// A time that is so far ahead.
    pub(crate) fn ahead(by: Duration) -> domain::Timestamp {
        now().plus(by)
    }
}
