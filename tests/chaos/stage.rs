//! Resources of their own, an organization on them with a workflow, a secret and an endpoint, and the world outside.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use domain::definition::Definition;
use domain::job_run::OnFailure;
use domain::run::{NewRun, Policy, Run};
use domain::webhook::EventType;
use domain::{JobId, OrganizationId, RunId, Timestamp, WebhookEndpointId, WorkflowId};
use localstack::fixture::Fixture;
use localstack::{default_keys, settings_of};
use platform::configuration::{Environment, Resources};
use platform::webhook_signature::Secret;
use serde_json::{Value, json};
use store::{
    Job, JobWorkflow, NewWebhookEndpoint, NewWorkflow, Role, Store, Workflow, fresh_commit,
    fresh_id, now,
};

use crate::chaos::world::World;

/// How long the endpoint has been there: longer than clocks differ.
const ENDPOINT_IS_OLD: i64 = 60_000;

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
    /// How many runs of the organization may be queued or in work at the same time.
    concurrent_runs: u32,
    /// By how much the clocks of the service's processes differ at most.
    pub(crate) clocks_differ_by: Duration,
    scratch: tempfile::TempDir,
}

impl Stage {
    /// With an endpoint that wants to hear of everything, and a limit of concurrent runs.
    pub(crate) async fn set(concurrent_runs: u32) -> anyhow::Result<Self> {
        let mut fixture = Fixture::start().await?;
        let mut settings = settings_of(&fixture.outputs);
        settings.push(limit(concurrent_runs));
        let resources = Resources::read(&settings.into_iter().collect::<Environment>())?;
        fixture.store = Store::new(&fixture.connection, resources);
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
            created_at: Timestamp::from_millis(at.as_millis() - ENDPOINT_IS_OLD),
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
            concurrent_runs,
            clocks_differ_by: Duration::ZERO,
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

    /// A folder for whatever goes with the test.
    pub(crate) fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// A file for the logs of a process.
    pub(crate) fn log_file(&self, name: &str) -> PathBuf {
        self.scratch.path().join(format!("{name}.log"))
    }

    /// What a process of the service is told, all but where AWS is. A lease and its heartbeat are in seconds.
    pub(crate) fn settings(&self, lease: u32, heartbeat: u32) -> Vec<(String, String)> {
        let mut settings = settings_of(&self.fixture.outputs);
        settings.push(limit(self.concurrent_runs));
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
        let definition = definition_of(yaml)?;
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

    /// Writes a run as somebody would have created it at a time, and tells nobody of it.
    pub(crate) async fn write_run(
        &self,
        workflow_id: WorkflowId,
        policy: Policy,
        metadata: &[(&str, &str)],
        at: Timestamp,
    ) -> anyhow::Result<Run> {
        let text = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let new = NewRun {
            id: fresh_id(RunId::new, at),
            organization_id: self.organization_id,
            workflow_id,
            workflow_version: 1,
            job_run_id: None,
            retry_of_run_id: None,
            created_by_user_id: "customer".to_owned(),
            metadata: metadata.iter().map(text).collect(),
            secret_bindings: [].into(),
            policy,
            trace_parent: None,
        };
        let run = Run::create(new, at, fresh_commit());
        let input = json!({ "site": self.world.site_url });
        self.store().create_run(&run, &input, None).await?;
        Ok(run)
    }

    /// Saves a job of some workflows, each with its order, that go to a site.
    pub(crate) async fn save_job(
        &self,
        workflows: &[(WorkflowId, u32)],
        site: &str,
    ) -> anyhow::Result<Job> {
        let workflow = |&(workflow_id, order): &(WorkflowId, u32)| JobWorkflow {
            workflow_id,
            input: json!({ "site": site }).to_string(),
            order,
            output_name: None,
        };
        let job = Job {
            id: fresh_id(JobId::new, now()),
            organization_id: self.organization_id,
            name: "Several workflows".to_owned(),
            workflows: workflows.iter().map(workflow).collect(),
            on_failure: OnFailure::Stop,
            created_by_user_id: "customer".to_owned(),
            created_at: now(),
            generation: 1,
        };
        self.store().create_job(&job).await?;
        Ok(job)
    }

    /// A time that is so far ahead.
    pub(crate) fn ahead(by: Duration) -> domain::Timestamp {
        now().plus(by)
    }
}

fn limit(concurrent_runs: u32) -> (String, String) {
    (
        "LEGWORK_CONCURRENT_RUNS".to_owned(),
        concurrent_runs.to_string(),
    )
}

/// The policy of the runs of a workflow.
pub(crate) fn policy_of(yaml: &str) -> anyhow::Result<Policy> {
    Ok(Policy::of(&definition_of(yaml)?))
}

fn definition_of(yaml: &str) -> anyhow::Result<Definition> {
    Definition::parse_yaml(yaml)
        .map_err(|problems| anyhow::anyhow!("the definition is wrong: {problems:?}"))
}
