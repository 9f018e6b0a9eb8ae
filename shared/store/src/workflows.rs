//! Workflows: the head item, which says what the latest version is. Its versions are in `workflow_versions`. A deleted
//! workflow leaves its head behind, so that a run that exists keeps its version and a second deletion finds nothing.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use domain::{OrganizationId, Timestamp, WorkflowId};
use serde::{Deserialize, Serialize};

use crate::item::{Item, decode, encode, number, string};
use crate::lists::Listing;
use crate::pages::Span;
use crate::transactions::{IfNew, Transacted, Write, pause};
use crate::{
    IdempotencyKey, Page, PageSize, Replay, Result, Store, StoreError, TimeWindow, keys, now,
};

/// How often a version is tried to be saved while others save theirs.
const SAVES: u32 = 20;

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

impl Workflow {
    /// Whether a version of this number was saved. It may be read a moment later than this: they are written in one
    /// transaction, and read item by item.
    #[must_use]
    pub fn has_version(&self, number: u32) -> bool {
        (1..=self.version).contains(&number)
    }
}

/// A workflow to be saved for the first time.
#[derive(Debug, Clone)]
pub struct NewWorkflow {
    /// The workflow; its version is 1.
    pub workflow: Workflow,
    /// The definition as JSON text.
    pub definition: String,
}

/// A version to be saved of a workflow that exists.
#[derive(Debug, Clone)]
pub struct NewVersion {
    /// The name that its definition gives.
    pub name: String,
    /// The definition as JSON text.
    pub definition: String,
    /// Who saves it.
    pub user_id: String,
    /// When.
    pub at: Timestamp,
}

/// What became of saving a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SavedVersion {
    /// It is saved; this is the workflow now.
    Saved(Workflow),
    /// There is no such workflow.
    Absent,
    /// The latest version is another one than the caller expected.
    Stale {
        /// The latest version.
        version: u32,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WorkflowItem {
    id: WorkflowId,
    /// Only while it isn't deleted: lists don't see it then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by_organization: Option<String>,
    organization_id: OrganizationId,
    name: String,
    version: u32,
    created_at: i64,
    updated_at: i64,
    created_by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deleted_at: Option<i64>,
}

impl WorkflowItem {
    fn new(workflow: &Workflow) -> Self {
        Self {
            id: workflow.id,
            by_organization: Some(keys::workflows_of(workflow.organization_id)),
            organization_id: workflow.organization_id,
            name: workflow.name.clone(),
            version: workflow.version,
            created_at: workflow.created_at.as_millis(),
            updated_at: workflow.updated_at.as_millis(),
            created_by: workflow.created_by_user_id.clone(),
            deleted_at: None,
        }
    }

    /// The workflow, if it is there for an organization.
    fn shown_to(self, organization_id: OrganizationId) -> Option<Workflow> {
        let is_shown = self.organization_id == organization_id && self.deleted_at.is_none();
        is_shown.then(|| Workflow {
            id: self.id,
            organization_id: self.organization_id,
            name: self.name,
            version: self.version,
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
            created_by_user_id: self.created_by,
        })
    }
}

fn encode_head(workflow: &Workflow) -> Result<Item> {
    encode(&keys::workflow(workflow.id), WorkflowItem::new(workflow))
}

impl Store {
    /// Saves a new workflow, whole or not at all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_workflow(
        &self,
        new: &NewWorkflow,
        key: Option<&IdempotencyKey>,
    ) -> Result<Option<Replay>> {
        let workflow = &new.workflow;
        let version = NewVersion {
            name: workflow.name.clone(),
            definition: new.definition.clone(),
            user_id: workflow.created_by_user_id.clone(),
            at: workflow.created_at,
        };
        let mut items =
            crate::workflow_versions::encode_version(workflow.id, workflow.version, &version)?;
        // The head last: a workflow that can be seen has its definition.
        items.push(encode_head(workflow)?);
        if let Some(key) = key {
            return self
                .put_with_idempotency(key, &workflow.id.to_string(), items)
                .await;
        }
        for item in items {
            self.put(item).await?;
        }
        Ok(None)
    }

    /// Reads a workflow for a caller: another tenant's workflow is none, and a deleted one neither.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn workflow_of(
        &self,
        organization_id: OrganizationId,
        id: WorkflowId,
    ) -> Result<Option<Workflow>> {
        let item: Option<WorkflowItem> = self.get(&keys::workflow(id)).await?;
        Ok(item.and_then(|item| item.shown_to(organization_id)))
    }

    /// A page of an organization's workflows, newest first, from those that are older than `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_workflows(
        &self,
        organization_id: OrganizationId,
        window: TimeWindow,
        after: Option<WorkflowId>,
        size: PageSize,
    ) -> Result<Page<Workflow, WorkflowId>> {
        let Some(span) = Span::older_than(after.map(|id| id.as_uuid()), window) else {
            return Ok(Page::empty());
        };
        let listing = Listing {
            index: keys::BY_ORGANIZATION,
            partition: keys::workflows_of(organization_id),
        };
        let page = self.page_of_index(listing, &span, size).await?;
        let mut items = self
            .batch_get(page.items.iter().map(|(key, _)| key))
            .await?;
        let mut workflows = Vec::with_capacity(page.items.len());
        for (key, _) in &page.items {
            let Some(item) = items.remove(key) else {
                continue;
            };
            workflows.extend(decode::<WorkflowItem>(item)?.shown_to(organization_id));
        }
        Ok(Page {
            items: workflows,
            next: page.next.map(WorkflowId::from),
        })
    }

    /// Saves the next version of a workflow. With `expected_version` only if that is the latest one; without, whatever
    /// is the latest one by then: of two that are saved at once both are kept, one after the other.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_workflow_version(
        &self,
        organization_id: OrganizationId,
        id: WorkflowId,
        expected_version: Option<u32>,
        new: &NewVersion,
    ) -> Result<SavedVersion> {
        for refused in 0..SAVES {
            let Some(latest) = self.workflow_of(organization_id, id).await? else {
                return Ok(SavedVersion::Absent);
            };
            if expected_version.is_some_and(|expected| expected != latest.version) {
                return Ok(SavedVersion::Stale {
                    version: latest.version,
                });
            }
            let next = Workflow {
                name: new.name.clone(),
                version: latest.version + 1,
                updated_at: new.at,
                ..latest
            };
            let head = self
                .putting(encode_head(&next)?)?
                .condition_expression("#version = :from AND attribute_not_exists(deletedAt)")
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":from", number(latest.version));
            let mut writes = vec![head.write()?];
            for item in crate::workflow_versions::encode_version(id, next.version, new)? {
                writes.push(self.putting(item)?.if_new().write()?);
            }
            match self.transact(writes).await? {
                Transacted::Written => return Ok(SavedVersion::Saved(next)),
                Transacted::Refused { write: 0, .. } => tokio::time::sleep(pause(refused)).await,
                Transacted::Refused { .. } => {
                    return Err(StoreError::Corrupt {
                        what: format!("workflow {id}"),
                        reason: format!("it has a version {} already", next.version),
                    });
                }
            }
        }
        Err(StoreError::Busy {
            operation: "saving a version",
            reason: "others save versions of the same workflow".to_owned(),
        })
    }

    /// Deletes a workflow: from here on there is none for any caller, and no run is created of it. Its versions stay
    /// for the runs that have them. `false` if there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_workflow(
        &self,
        organization_id: OrganizationId,
        id: WorkflowId,
    ) -> Result<bool> {
        let at = now().as_millis();
        let answer = self
            .dynamo
            .update_item()
            .table_name(self.table()?)
            .set_key(Some(keys::workflow(id).to_attributes()))
            .update_expression("SET deletedAt = :now REMOVE byOrganization")
            .condition_expression(
                "organizationId = :organization AND attribute_not_exists(deletedAt)",
            )
            .expression_attribute_values(":organization", string(organization_id.to_string()))
            .expression_attribute_values(":now", number(at))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match answer {
            Ok(_) => return Ok(true),
            Err(error) => error,
        };
        let Some(UpdateItemError::ConditionalCheckFailedException(refused)) =
            error.as_service_error()
        else {
            return Err(StoreError::from_sdk("UpdateItem", &error));
        };
        // Perhaps it was this very call that got through before, and only its answer got lost.
        let there: Option<WorkflowItem> = refused.item.clone().map(decode).transpose()?;
        Ok(there.is_some_and(|there| {
            there.organization_id == organization_id && there.deleted_at == Some(at)
        }))
    }
}
