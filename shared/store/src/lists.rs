//! Lists: a page of runs, and what every list that comes from an index has in common. An index gives ids, the item
//! decides what is shown; a page costs one Query and one BatchGetItem, however much there is.

use domain::run::{Run, Status};
use domain::{JobRunId, OrganizationId, RunId, WorkflowId};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::admission::Standing;
use crate::item::{Item, decode, string};
use crate::keys::Key;
use crate::pages::Span;
use crate::run_item::decode_run;
use crate::{Page, PageSize, Result, Store, StoreError, TimeWindow, keys};

/// Which runs a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunFilter {
    /// All of the organization.
    All,
    /// Those that have a status now.
    Status(Status),
    /// Those of a workflow, whatever version.
    Workflow(WorkflowId),
    /// Those of a job run.
    JobRun(JobRunId),
}

impl RunFilter {
    /// Whether a run belongs into the list, as its item says.
    fn shows(self, run: &Run) -> bool {
        match self {
            Self::All => true,
            Self::Status(status) => run.status() == status,
            Self::Workflow(id) => run.workflow_id == id,
            Self::JobRun(id) => run.job_run_id == Some(id),
        }
    }
}

/// An index whose sort key is the id.
#[derive(Debug, Clone)]
pub(crate) struct Listing {
    /// The index, which is also the name of its partition's attribute.
    pub(crate) index: &'static str,
    pub(crate) partition: String,
}

impl Store {
    /// A page of an organization's runs, newest first, from those that are older than `after`. A run that isn't what
    /// the index said any more is left out. A run that can't be read is logged and left out, so that it can't hide the
    /// others.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_runs(
        &self,
        organization_id: OrganizationId,
        filter: &RunFilter,
        window: TimeWindow,
        after: Option<RunId>,
        size: PageSize,
    ) -> Result<Page<Run, RunId>> {
        let Some(span) = Span::older_than(after.map(|id| id.as_uuid()), window) else {
            return Ok(Page::empty());
        };
        let listing = |index, partition| Listing { index, partition };
        let listing = match filter {
            RunFilter::All => listing(
                keys::BY_ORGANIZATION,
                keys::by_organization(organization_id),
            ),
            RunFilter::Status(status) => {
                let standings = Standing::of_status(*status);
                let page = self
                    .page_of_standings(organization_id, standings, &span, size)
                    .await?;
                return self.runs_of(organization_id, *filter, page).await;
            }
            RunFilter::Workflow(id) => {
                listing(keys::BY_WORKFLOW, keys::by_workflow(organization_id, *id))
            }
            RunFilter::JobRun(id) => {
                let page = self
                    .page_of_job_run(organization_id, *id, &span, size)
                    .await?;
                return self.runs_of(organization_id, *filter, page).await;
            }
        };
        let page = self.page_of_index(listing, &span, size).await?;
        let page = Page {
            items: page.items.into_iter().map(|(_, id)| id.into()).collect(),
            next: page.next.map(RunId::from),
        };
        self.runs_of(organization_id, *filter, page).await
    }

    /// The ids of a page of runs that stand in one of several ways, each of which is a partition of its own.
    async fn page_of_standings(
        &self,
        organization_id: OrganizationId,
        standings: &[Standing],
        span: &Span,
        size: PageSize,
    ) -> Result<Page<RunId, RunId>> {
        let pages = standings.iter().map(|standing| {
            let listing = Listing {
                index: keys::BY_STATUS,
                partition: keys::by_status(organization_id, *standing),
            };
            self.page_of_index(listing, span, size)
        });
        let pages = futures::future::try_join_all(pages).await?;
        let is_there_more = pages.iter().any(|page| page.next.is_some());
        let mut ids: Vec<RunId> = pages
            .into_iter()
            .flat_map(|page| page.items)
            .map(|(_, id)| id.into())
            .collect();
        // A run that changes between two of the reads may be in both.
        ids.sort_unstable_by(|one, other| other.cmp(one));
        ids.dedup();
        let mut page = Page::cut(ids, size, |id| *id);
        if page.next.is_none() && is_there_more {
            page.next = page.items.last().copied();
        }
        Ok(page)
    }

    /// The ids of a page of a job run's runs. Its own item lists them, so there is no index.
    async fn page_of_job_run(
        &self,
        organization_id: OrganizationId,
        id: JobRunId,
        span: &Span,
        size: PageSize,
    ) -> Result<Page<RunId, RunId>> {
        let job_run = self.job_run(id).await?;
        let Some(job_run) = job_run.filter(|found| found.organization_id == organization_id) else {
            return Ok(Page::empty());
        };
        let mut ids: Vec<RunId> = job_run
            .runs
            .iter()
            .map(|managed| managed.run_id)
            .filter(|id| span.holds(id.as_uuid()))
            .collect();
        ids.sort_unstable_by(|one, other| other.cmp(one));
        ids.dedup();
        Ok(Page::cut(ids, size, |id| *id))
    }

    async fn runs_of(
        &self,
        organization_id: OrganizationId,
        filter: RunFilter,
        page: Page<RunId, RunId>,
    ) -> Result<Page<Run, RunId>> {
        let keys: Vec<Key> = page.items.iter().map(|id| keys::run(*id)).collect();
        let mut items = self.batch_get(keys.iter()).await?;
        let mut read = |id: RunId| {
            let item = items.remove(&keys::run(id))?;
            decode_run(item)
                .inspect_err(|error| {
                    tracing::error!(run_id = %id, %error, "A run is left out of a list");
                })
                .ok()
        };
        Ok(page.show(|id| {
            read(id).filter(|run| run.organization_id == organization_id && filter.shows(run))
        }))
    }

    /// The keys and ids that an index has in a span, newest first.
    pub(crate) async fn page_of_index(
        &self,
        listing: Listing,
        span: &Span,
        size: PageSize,
    ) -> Result<Page<(Key, Uuid), Uuid>> {
        let answer = self
            .dynamo
            .query()
            .table_name(self.table()?)
            .index_name(listing.index)
            .key_condition_expression("#partition = :partition AND #id BETWEEN :low AND :high")
            .expression_attribute_names("#partition", listing.index)
            .expression_attribute_names("#id", "id")
            .expression_attribute_values(":partition", string(listing.partition))
            .expression_attribute_values(":low", string(&span.low))
            .expression_attribute_values(":high", string(&span.high))
            .scan_index_forward(false)
            .limit(size.and_one())
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("Query", &error))?;
        let found = answer.items.unwrap_or_default();
        let found: Vec<(Key, Uuid)> = found.into_iter().map(parse).collect::<Result<_>>()?;
        Ok(Page::cut(found, size, |(_, id)| *id))
    }

    /// The items of a partition whose sort keys are in a span: one more than a page has, if there are as many.
    pub(crate) async fn items_between<T: DeserializeOwned>(
        &self,
        pk: &str,
        between: Between<'_>,
        size: PageSize,
    ) -> Result<Vec<T>> {
        let span = between.span;
        if span.low > span.high {
            return Ok(Vec::new());
        }
        let answer = self
            .dynamo
            .query()
            .table_name(self.table()?)
            .key_condition_expression("pk = :pk AND sk BETWEEN :low AND :high")
            .expression_attribute_values(":pk", string(pk))
            .expression_attribute_values(":low", string(&span.low))
            .expression_attribute_values(":high", string(&span.high))
            .set_projection_expression(between.attributes.map(str::to_owned))
            .scan_index_forward(between.is_ascending)
            .consistent_read(true)
            .limit(size.and_one())
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("Query", &error))?;
        let items = answer.items.unwrap_or_default();
        items.into_iter().map(decode).collect()
    }
}

/// Which part of a partition is read, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Between<'a> {
    span: &'a Span,
    is_ascending: bool,
    attributes: Option<&'static str>,
}

impl<'a> Between<'a> {
    /// From the greatest sort key down.
    pub(crate) fn descending(span: &'a Span) -> Self {
        Self {
            span,
            is_ascending: false,
            attributes: None,
        }
    }

    /// From the least sort key up, some attributes only.
    pub(crate) fn ascending(span: &'a Span, attributes: &'static str) -> Self {
        Self {
            span,
            is_ascending: true,
            attributes: Some(attributes),
        }
    }
}

fn parse(item: Item) -> Result<(Key, Uuid)> {
    let part = |name: &str| {
        item.get(name)
            .and_then(|value| value.as_s().ok())
            .map_or("", String::as_str)
    };
    let (pk, sk) = (part("pk").to_owned(), part("sk").to_owned());
    let id = Uuid::try_parse(part("id")).map_err(|error| StoreError::Corrupt {
        what: format!("{pk} / {sk}"),
        reason: format!("its id in an index is none: {error}"),
    })?;
    Ok((Key { pk, sk }, id))
}
