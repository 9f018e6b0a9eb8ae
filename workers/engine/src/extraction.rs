//! Reads records from a page and from those that follow it, and keeps them as a variable and as artifacts.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use browser::{Condition, Error, Field, Locator};
use domain::FailureCode;
use domain::definition::{EvaluationError, Extract, FieldSpec, Read, Scope};
use domain::wire::ArtifactType;
use serde_json::{Map, Value};
use tokio::time::Instant;
use url::Url;

use crate::artifacts::{records_as_csv, records_as_json};
use crate::cells::convert;
use crate::execution::Execution;
use crate::failures::{Fault, Stop};
use crate::host::ArtifactBody;
use crate::resolution::{Resolved, resolve_condition, resolve_locator};

/// How often rows are read again while they are about to change.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How many bytes the cells of one `extract` may have.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// How many bad cells a failure names.
const MOST_BAD_CELLS: usize = 5;

type Rows = Vec<Vec<Option<String>>>;

/// What the browser reads for a field.
pub(crate) fn field(name: &str, spec: &FieldSpec, scope: &Scope) -> Result<Field, EvaluationError> {
    let locator = spec
        .locator
        .as_ref()
        .map(|locator| resolve_locator(locator, scope))
        .transpose()?;
    let read = match &spec.read {
        Read::Text => browser::Read::Text,
        Read::Html => browser::Read::Html,
        Read::Attribute(name) => browser::Read::Attribute(name.clone()),
        Read::Value => browser::Read::Value,
        Read::Checked => browser::Read::Checked,
    };
    Ok(Field {
        name: name.to_owned(),
        locator,
        read,
    })
}

fn failed(error: &Error) -> Stop {
    Fault::from_browser(error, FailureCode::ExtractionFailed).into()
}

fn refused(message: impl Into<String>) -> Stop {
    Fault::lasting(FailureCode::ExtractionFailed, message).into()
}

fn fingerprint(rows: &Rows) -> u64 {
    let mut hasher = DefaultHasher::new();
    rows.hash(&mut hasher);
    hasher.finish()
}

impl Execution<'_> {
    /// Reads all pages; each has the step's time for itself.
    pub(crate) async fn extract(
        &mut self,
        extract: &Extract,
        timeout: Duration,
    ) -> Result<(), Stop> {
        let rows_locator = self.locate(&extract.rows)?;
        let next_page = extract
            .next_page
            .as_ref()
            .map(|next| self.locate(next))
            .transpose()?;
        let fields = extract
            .fields
            .iter()
            .map(|(name, spec)| field(name, spec, &self.scope))
            .collect::<Result<Vec<_>, _>>()?;
        let mut reader = Reader {
            extract,
            records: Vec::new(),
            bad_cells: Vec::new(),
            size_bytes: 0,
        };
        let mut seen = HashSet::new();
        let mut previous: Option<Rows> = None;
        for page in 1.. {
            let deadline = Instant::now() + self.allow(timeout)?;
            let rows = self
                .read_page(extract, &rows_locator, &fields, previous.as_ref(), deadline)
                .await?;
            if !seen.insert(fingerprint(&rows)) {
                return Err(refused(format!(
                    "page {page} shows the rows of an earlier page again"
                )));
            }
            let url = self.browser.url().await.map_err(|error| failed(&error))?;
            reader.take_page(page, &rows, Url::parse(&url).ok().as_ref())?;
            let Some(next) = &next_page else { break };
            if !self.has_next(next).await? {
                break;
            }
            if page >= extract.max_pages {
                return Err(refused(format!(
                    "there are more than {} pages: raise maxPages",
                    extract.max_pages
                )));
            }
            previous = Some(rows);
            let left = deadline.saturating_duration_since(Instant::now());
            self.browser
                .click(next, left)
                .await
                .map_err(|error| failed(&error))?;
        }
        self.keep_records(extract, reader.finish()?).await
    }

    /// Reads the rows of the page that is there. After `previous`, they must be others than those.
    async fn read_page(
        &mut self,
        extract: &Extract,
        rows_locator: &Locator,
        fields: &[Field],
        previous: Option<&Rows>,
        deadline: Instant,
    ) -> Result<Rows, Stop> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let awaited = match &extract.ready {
                Some(ready) => resolve_condition(ready, &self.scope)?,
                // Without `ready`, no rows means: not yet.
                None => Resolved::Page(Condition::Visible(rows_locator.clone())),
            };
            if let Resolved::Page(awaited) = awaited {
                self.browser
                    .wait_for(&awaited, left)
                    .await
                    .map_err(|error| failed(&error))?;
            }
            match (self.browser.read_rows(rows_locator, fields).await, previous) {
                (Ok(rows), None) => return Ok(rows),
                (Ok(rows), Some(previous)) if !rows.is_empty() && rows != *previous => {
                    return Ok(rows);
                }
                (Ok(_) | Err(Error::DocumentReplaced), _) => {}
                (Err(error), _) => return Err(failed(&error)),
            }
            if Instant::now() >= deadline {
                return Err(refused(
                    "the rows did not change after the click on the next page",
                ));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Whether there is a next page: the last one has no link to it, or a disabled one.
    async fn has_next(&mut self, next: &Locator) -> Result<bool, Stop> {
        if !self.holds(&Condition::Visible(next.clone())).await? {
            return Ok(false);
        }
        self.browser
            .is_enabled(next)
            .await
            .map_err(|error| failed(&error))
    }

    async fn keep_records(
        &mut self,
        extract: &Extract,
        records: Vec<Map<String, Value>>,
    ) -> Result<(), Stop> {
        let stem = match &extract.file_name {
            Some(template) => self.file_name(template)?,
            None => extract.variable.clone(),
        };
        let names = extract.fields.keys().map(String::as_str);
        let csv = records_as_csv(names, &records).map_err(|error| refused(error.to_string()))?;
        let json = records_as_json(&records);
        let value = Value::Array(records.into_iter().map(Value::Object).collect());
        self.scope.set(&extract.variable, &value);
        for (ending, bytes) in [("json", json), ("csv", csv)] {
            let name = format!("{stem}.{ending}");
            self.store(
                ArtifactType::ExtractedData,
                &name,
                ArtifactBody::Bytes(bytes),
            )
            .await?;
        }
        Ok(())
    }
}

/// Collects records, and what is wrong with their cells.
struct Reader<'e> {
    extract: &'e Extract,
    records: Vec<Map<String, Value>>,
    bad_cells: Vec<String>,
    size_bytes: usize,
}

impl Reader<'_> {
    fn take_page(&mut self, page: usize, rows: &Rows, url: Option<&Url>) -> Result<(), Stop> {
        for (index, row) in rows.iter().enumerate() {
            let mut record = Map::new();
            for ((name, spec), cell) in self.extract.fields.iter().zip(row) {
                self.size_bytes += cell.as_ref().map_or(0, String::len);
                let value = convert(cell.as_deref(), spec, url).unwrap_or_else(|why| {
                    self.bad_cells
                        .push(format!("page {page}, row {}, {name}: {why}", index + 1));
                    Value::Null
                });
                record.insert(name.clone(), value);
            }
            self.records.push(record);
        }
        if self.size_bytes > MOST_BYTES {
            return Err(refused(format!(
                "the records have more than {MOST_BYTES} bytes"
            )));
        }
        Ok(())
    }

    fn finish(self) -> Result<Vec<Map<String, Value>>, Stop> {
        if self.bad_cells.is_empty() {
            return Ok(self.records);
        }
        let count = self.bad_cells.len();
        let shown = self.bad_cells[..count.min(MOST_BAD_CELLS)].join("; ");
        Err(refused(format!("{count} bad cells: {shown}")))
    }
}
