//! The keys of every entity in the one table. docs/storage.md says what each is read for.

use domain::run::Run;
use domain::{
    ApiKeyId, ArtifactId, InputRequestId, JobId, JobRunId, OrganizationId, RunId, Timestamp,
    WebhookEndpointId, WorkflowId,
};
use uuid::Uuid;

use crate::admission::Standing;

/// Partition and sort key of an item.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

/// The names of the indexes; each is also the name of its partition attribute, but for the due index.
pub(crate) const BY_ORGANIZATION: &str = "byOrganization";
pub(crate) const BY_STATUS: &str = "byStatus";
pub(crate) const BY_WORKFLOW: &str = "byWorkflow";
pub(crate) const DUE_INDEX: &str = "due";

fn key(pk: String, sk: impl Into<String>) -> Key {
    Key { pk, sk: sk.into() }
}

pub(crate) fn run_partition(id: RunId) -> String {
    format!("RUN#{id}")
}

pub(crate) fn run(id: RunId) -> Key {
    key(run_partition(id), "RUN")
}

pub(crate) fn run_input(id: RunId) -> Key {
    key(run_partition(id), "INPUT")
}

pub(crate) fn run_output(id: RunId) -> Key {
    key(run_partition(id), "OUTPUT")
}

pub(crate) fn lease(id: RunId) -> Key {
    key(run_partition(id), "LEASE")
}

pub(crate) fn answer(id: RunId, request: InputRequestId) -> Key {
    key(run_partition(id), format!("ANSWER#{request}"))
}

pub(crate) const ARTIFACT_PREFIX: &str = "ARTIFACT#";

pub(crate) fn artifact(run: RunId, id: ArtifactId) -> Key {
    key(run_partition(run), format!("{ARTIFACT_PREFIX}{id}"))
}

/// Where an artifact is, for whoever knows only its id.
pub(crate) fn artifact_pointer(id: ArtifactId) -> Key {
    key(format!("{ARTIFACT_PREFIX}{id}"), "ARTIFACT")
}

pub(crate) const DELIVERY_PREFIX: &str = "DLV#";

pub(crate) fn delivery_sort(
    sequence: u64,
    event_type: &str,
    endpoint: WebhookEndpointId,
) -> String {
    format!("{DELIVERY_PREFIX}{sequence:06}#{event_type}#{endpoint}")
}

pub(crate) fn workflow(id: WorkflowId) -> Key {
    key(format!("WORKFLOW#{id}"), "WORKFLOW")
}

pub(crate) const VERSION_PREFIX: &str = "VERSION#";

/// When and by whom a version was saved: what its list shows, without the definition's bytes.
pub(crate) fn workflow_version(id: WorkflowId, version: u32) -> Key {
    key(
        format!("WORKFLOW#{id}"),
        format!("{VERSION_PREFIX}{version:06}"),
    )
}

pub(crate) fn definition(id: WorkflowId, version: u32) -> Key {
    key(format!("WORKFLOW#{id}"), format!("DEFINITION#{version:06}"))
}

pub(crate) fn organization(id: OrganizationId) -> String {
    format!("ORG#{id}")
}

pub(crate) const ENDPOINT_PREFIX: &str = "ENDPOINT#";

pub(crate) fn endpoint(organization_id: OrganizationId, id: WebhookEndpointId) -> Key {
    key(
        organization(organization_id),
        format!("{ENDPOINT_PREFIX}{id}"),
    )
}

/// How many endpoints of an organization are enabled.
pub(crate) fn endpoint_count(organization_id: OrganizationId) -> Key {
    key(organization(organization_id), "ENDPOINTS")
}

pub(crate) const SECRET_PREFIX: &str = "SECRET#";

pub(crate) fn secret(organization_id: OrganizationId, name: &str) -> Key {
    key(
        organization(organization_id),
        format!("{SECRET_PREFIX}{name}"),
    )
}

pub(crate) const API_KEY_PREFIX: &str = "APIKEY#";

/// That an organization has a key, and which hash it has.
pub(crate) fn api_key_of(organization_id: OrganizationId, id: ApiKeyId) -> Key {
    key(
        organization(organization_id),
        format!("{API_KEY_PREFIX}{id}"),
    )
}

/// How many keys an organization has.
pub(crate) fn api_key_count(organization_id: OrganizationId) -> Key {
    key(organization(organization_id), "APIKEYS")
}

pub(crate) fn allowance(id: OrganizationId, kind: &str, window_start: Timestamp) -> Key {
    key(
        format!("ALLOWANCE#{id}#{kind}#{}", window_start.as_millis()),
        "ALLOWANCE",
    )
}

/// The key itself, as it is looked up by whoever sends it.
pub(crate) fn api_key(hash: &str) -> Key {
    key(format!("KEY#{hash}"), "KEY")
}

pub(crate) fn idempotency(organization_id: OrganizationId, hash: &str) -> Key {
    key(
        format!("IDEMPOTENCY#{organization_id}#{hash}"),
        "IDEMPOTENCY",
    )
}

pub(crate) fn job(id: JobId) -> Key {
    key(format!("JOB#{id}"), "JOB")
}

pub(crate) fn job_run(id: JobRunId) -> Key {
    key(format!("JOBRUN#{id}"), "JOBRUN")
}

pub(crate) fn occurrence(id: JobId, scheduled_at: Timestamp) -> Key {
    key(format!("JOB#{id}"), format!("OCCURRENCE#{scheduled_at}"))
}

pub(crate) fn by_organization(id: OrganizationId) -> String {
    organization(id)
}

pub(crate) fn workflows_of(id: OrganizationId) -> String {
    format!("ORG#{id}#WORKFLOWS")
}

pub(crate) fn by_status(id: OrganizationId, standing: Standing) -> String {
    let standing = standing.as_str();
    format!("ORG#{id}#STATUS#{standing}")
}

pub(crate) fn by_workflow(id: OrganizationId, workflow: WorkflowId) -> String {
    format!("ORG#{id}#WORKFLOW#{workflow}")
}

/// Where an artifact's bytes are in the bucket. What begins like this expires; template.yaml says when.
pub(crate) fn artifact_object(run: &Run, attempt: u32, id: ArtifactId) -> String {
    format!(
        "artifacts/{}/{}/{attempt}/{id}",
        run.organization_id, run.id
    )
}

/// Where a run's input or output is in the bucket that is too large for an item. It stays as long as those that are not.
pub(crate) fn value_object(run: &Run, attempt: u32, name: &str) -> String {
    format!(
        "values/{}/{}/{attempt}/{name}.json",
        run.organization_id, run.id
    )
}

/// The shard of the due index: random bits of the id, so that no shard gets hot.
pub(crate) fn due_shard(id: Uuid) -> String {
    format!("DUE#{}", id.as_bytes()[15] & 0x0f)
}

/// Sorts by the time at which the item is due. Nothing else is needed: an index takes any number of items with one key.
pub(crate) fn due_key(due_at: Timestamp) -> String {
    format!("{:013}", due_at.as_millis())
}
