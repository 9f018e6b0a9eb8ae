//! Workflows: a head item, and an item for each immutable version. A definition is kept as JSON text, as it was given.

use domain::{OrganizationId, Timestamp, WorkflowId};
use serde::{Deserialize, Serialize};

use crate::item::encode;
use crate::{IdempotencyKey, Replay, Result, Store, keys};

/// A workflow, without its definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workflow {
    /// Its id, over all versions.
    pub id: WorkflowId,
    /// The tenant.
    pub organization_id: OrganizationId,
    /// The name that its latest definition gives.
    pub name: String,
    /// The latest version.
    pub version: u32,
    /// When its first version was saved.
    pub created_at: Timestamp,
    /// When its latest version was saved.
    pub updated_at: Timestamp,
    /// Who saved the first one.
    pub created_by_user_id: String,
}

/// One version of a workflow's definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowVersion {
    /// The definition as JSON text.
    pub definition: String,
    /// When it was saved.
    pub created_at: Timestamp,
}

/// A workflow to be saved for the first time.
#[derive(Debug, Clone)]
pub struct NewWorkflow {
    /// The workflow; its version is 1.
    pub workflow: Workflow,
    /// The definition as JSON text.
    pub definition: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WorkflowItem {
    id: WorkflowId,
    by_organization: String,
    organization_id: OrganizationId,
    name: String,
    version: u32,
    created_at: i64,
    updated_at: i64,
    created_by: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VersionItem {
    definition: String,
    created_at: i64,
}

impl Store {
    /// Saves a new workflow, whole or not at all.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn create_workflow(
        &self,
        new: &NewWorkflow,
        key: Option<&IdempotencyKey>,
    ) -> Result<Option<Replay>> {
        let workflow = &new.workflow;
        let head = WorkflowItem {
            id: workflow.id,
            by_organization: format!(
                "{}#WORKFLOWS",
                keys::by_organization(workflow.organization_id)
            ),
            organization_id: workflow.organization_id,
            name: workflow.name.clone(),
            version: workflow.version,
            created_at: workflow.created_at.as_millis(),
            updated_at: workflow.updated_at.as_millis(),
            created_by: workflow.created_by_user_id.clone(),
        };
        let head = encode(&keys::workflow(workflow.id), head)?;
        let version = VersionItem {
            definition: new.definition.clone(),
            created_at: workflow.created_at.as_millis(),
        };
        let version = encode(
            &keys::workflow_version(workflow.id, workflow.version),
            version,
        )?;
        if let Some(key) = key {
            return self
                .put_with_idempotency(key, &workflow.id.to_string(), vec![version, head])
                .await;
        }
        // The version first: a workflow that can be seen has its definition.
        self.put(version).await?;
        self.put(head).await?;
        Ok(None)
    }

    /// Reads a workflow for a caller: another tenant's workflow is none.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn workflow_of(
        &self,
        organization_id: OrganizationId,
        id: WorkflowId,
    ) -> Result<Option<Workflow>> {
        let item: Option<WorkflowItem> = self.get(&keys::workflow(id)).await?;
        Ok(item
            .filter(|item| item.organization_id == organization_id)
            .map(|item| Workflow {
                id: item.id,
                organization_id: item.organization_id,
                name: item.name,
                version: item.version,
                created_at: Timestamp::from_millis(item.created_at),
                updated_at: Timestamp::from_millis(item.updated_at),
                created_by_user_id: item.created_by,
            }))
    }

    /// Reads a version of a workflow that the caller has already found to be theirs.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn workflow_version(
        &self,
        id: WorkflowId,
        version: u32,
    ) -> Result<Option<WorkflowVersion>> {
        let item: Option<VersionItem> = self.get(&keys::workflow_version(id, version)).await?;
        Ok(item.map(|item| WorkflowVersion {
            definition: item.definition,
            created_at: Timestamp::from_millis(item.created_at),
        }))
    }
}
