//! The immutable versions of a workflow. Each has two items: a small one for lists, and one with the definition, which is
//! kept as JSON text, as it was given. A page of versions then costs the same whatever the definitions' size: reading
//! costs by the size of the items, whatever part of them is asked for.

use domain::{OrganizationId, Timestamp, WorkflowId};
use serde::{Deserialize, Serialize};

use crate::item::{Item, encode};
use crate::lists::Between;
use crate::pages::Span;
use crate::{NewVersion, Page, PageSize, Result, Store, keys};

/// One version of a workflow's definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowVersion {
    /// The definition as JSON text.
    pub definition: String,
    /// When it was saved.
    pub created_at: Timestamp,
    /// Who saved it.
    pub created_by_user_id: String,
}

/// A version as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionSummary {
    /// Its number, from 1 without gaps.
    pub version: u32,
    /// When it was saved.
    pub created_at: Timestamp,
    /// Who saved it.
    pub created_by_user_id: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VersionItem {
    version: u32,
    created_at: i64,
    created_by: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DefinitionItem {
    definition: String,
    created_at: i64,
    created_by: String,
}

/// The items of a version.
pub(crate) fn encode_version(id: WorkflowId, version: u32, new: &NewVersion) -> Result<Vec<Item>> {
    let created_at = new.at.as_millis();
    let definition = DefinitionItem {
        definition: new.definition.clone(),
        created_at,
        created_by: new.user_id.clone(),
    };
    let summary = VersionItem {
        version,
        created_at,
        created_by: new.user_id.clone(),
    };
    Ok(vec![
        encode(&keys::definition(id, version), definition)?,
        encode(&keys::workflow_version(id, version), summary)?,
    ])
}

impl Store {
    /// Reads a version of a workflow that the caller has already found to be theirs. The versions of a deleted workflow
    /// are still there, for its runs and for their retries.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn workflow_version(
        &self,
        id: WorkflowId,
        version: u32,
    ) -> Result<Option<WorkflowVersion>> {
        let item: Option<DefinitionItem> = self.get(&keys::definition(id, version)).await?;
        Ok(item.map(|item| WorkflowVersion {
            definition: item.definition,
            created_at: Timestamp::from_millis(item.created_at),
            created_by_user_id: item.created_by,
        }))
    }

    /// A page of a workflow's versions, newest first, from those before a number. None if an organization has no such
    /// workflow.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_workflow_versions(
        &self,
        organization_id: OrganizationId,
        id: WorkflowId,
        before: Option<u32>,
        size: PageSize,
    ) -> Result<Option<Page<VersionSummary, u32>>> {
        let Some(workflow) = self.workflow_of(organization_id, id).await? else {
            return Ok(None);
        };
        // Never above the head's: what is saved beside this comes with the next look.
        let latest = before.map_or(workflow.version, |before| {
            before.saturating_sub(1).min(workflow.version)
        });
        let span = Span {
            low: keys::workflow_version(id, 0).sk,
            high: keys::workflow_version(id, latest).sk,
        };
        let partition = keys::workflow_version(id, latest).pk;
        let found: Vec<VersionItem> = self
            .items_between(&partition, Between::descending(&span), size)
            .await?;
        let page = Page::cut(found, size, |item| item.version);
        Ok(Some(page.show(|item| {
            Some(VersionSummary {
                version: item.version,
                created_at: Timestamp::from_millis(item.created_at),
                created_by_user_id: item.created_by,
            })
        })))
    }
}
