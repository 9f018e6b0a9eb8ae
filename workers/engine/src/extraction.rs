//! Reads records from a page and from those that follow it, and keeps them as a variable and as artifacts. How the
//! pages follow each other has a module of its own.

use std::collections::HashSet;
use std::sync::Arc;

use browser::{Error, Field, Rows};
use domain::FailureCode;
use domain::definition::{EvaluationError, Extract, FieldKind, FieldSpec, Read};
use domain::wire::ArtifactType;
use serde_json::Value;

use crate::artifacts::{records_as_csv, records_as_json, schema_of_records};
use crate::cells::convert;
use crate::execution::Execution;
use crate::failures::{Fault, Stop};
use crate::host::ArtifactBody;
use crate::mask::Mask;
use crate::resolution::Resolver;

/// How many bytes the cells of one `extract` may have.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// How many bad cells a failure names.
const MOST_BAD_CELLS: usize = 5;

/// The values of one row, in the order of the fields.
pub(crate) type Record = Vec<Value>;

/// What the browser reads for a field.
pub(crate) fn field(
    name: &str,
    spec: &FieldSpec,
    resolver: &Resolver<'_>,
) -> Result<Field, EvaluationError> {
    let locator = spec
        .locator
        .as_ref()
        .map(|locator| resolver.locator(locator))
        .transpose()?;
    let read = match &spec.read {
        Read::Text => browser::Read::Text,
        Read::Html => browser::Read::Html,
        Read::Attribute(name) => browser::Read::Attribute(name.clone()),
        Read::Value => browser::Read::Value,
        Read::Checked => browser::Read::Checked,
    };
    let read = if spec.is_list {
        browser::Read::Each(Box::new(read))
    } else {
        read
    };
    Ok(Field {
        name: name.to_owned(),
        locator,
        read,
    })
}

pub(crate) fn failed(error: &Error) -> Stop {
    Fault::from_browser(error, FailureCode::ExtractionFailed).into()
}

pub(crate) fn refused(message: impl Into<String>) -> Stop {
    Fault::lasting(FailureCode::ExtractionFailed, message).into()
}

impl Execution<'_> {
    /// Keeps records as a variable and as artifacts.
    pub(crate) async fn keep_records(
        &mut self,
        extract: &Extract,
        records: Vec<Record>,
    ) -> Result<(), Stop> {
        let stem = match &extract.file_name {
            Some(template) => self.file_name(template)?,
            None => extract.variable.clone(),
        };
        let names: Vec<&str> = extract.fields.keys().map(String::as_str).collect();
        self.note.found = Some(format!("{} records", records.len()));
        let csv = records_as_csv(&names, &records).map_err(|error| refused(error.to_string()))?;
        let json = records_as_json(&names, &records).map_err(|error| refused(error.to_string()))?;
        let schema = schema_of_records(&extract.fields);
        self.scope.set_records(&extract.variable, &names, &records);
        for (ending, bytes) in [("json", json), ("csv", csv), ("schema.json", schema)] {
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
pub(crate) struct Collector<'e> {
    extract: &'e Extract,
    mask: Arc<Mask>,
    limit: usize,
    keys: HashSet<String>,
    records: Vec<Record>,
    bad_cells: Vec<String>,
    bad_cell_count: usize,
    size_bytes: usize,
}

impl<'e> Collector<'e> {
    pub(crate) fn new(extract: &'e Extract, mask: Arc<Mask>, limit: usize) -> Self {
        Self {
            extract,
            mask,
            limit,
            keys: HashSet::new(),
            records: Vec::new(),
            bad_cells: Vec::new(),
            bad_cell_count: 0,
            size_bytes: 0,
        }
    }

    /// Whether no more records are wanted.
    pub(crate) fn is_full(&self) -> bool {
        self.records.len() >= self.limit
    }

    /// Takes rows, of which the first is number `first`, counted from 1.
    pub(crate) fn take(&mut self, page: usize, first: usize, rows: Rows) -> Result<(), Stop> {
        let base = self.mask.apply(&rows.base);
        for (index, row) in rows.cells.into_iter().enumerate() {
            if self.is_full() {
                break;
            }
            let mut record = Record::with_capacity(row.len());
            for ((name, spec), cell) in self.extract.fields.iter().zip(row) {
                self.size_bytes += cell.as_ref().map_or(0, String::len);
                let cell = cell.map(|cell| self.mask.apply(&cell));
                let value = convert(cell, spec, &base).unwrap_or_else(|why| {
                    self.bad_cell_count += 1;
                    if self.bad_cells.len() < MOST_BAD_CELLS {
                        let row = first + index;
                        self.bad_cells
                            .push(format!("page {page}, row {row}, {name}: {why}"));
                    }
                    Value::Null
                });
                // A number or a date may be a secret only as it is kept.
                let value = match value {
                    Value::String(_) if spec.kind == FieldKind::Text => value,
                    Value::Array(_) => self.mask.apply_to_read(value),
                    other => self.mask.apply_to_value(other),
                };
                record.push(value);
            }
            if self.is_new(&record) {
                self.records.push(record);
            }
        }
        if self.size_bytes > MOST_BYTES {
            return Err(refused(format!(
                "the records have more than {MOST_BYTES} bytes"
            )));
        }
        Ok(())
    }

    /// Whether no record before has the same key.
    fn is_new(&mut self, record: &Record) -> bool {
        let Extract {
            fields, unique_by, ..
        } = self.extract;
        if unique_by.is_empty() {
            return true;
        }
        let key: Vec<_> = unique_by
            .iter()
            .map(|name| record.get(fields.get_index_of(name)?))
            .collect();
        let key = serde_json::to_string(&key).unwrap_or_default();
        self.keys.insert(key)
    }

    pub(crate) fn finish(mut self) -> Result<Vec<Record>, Stop> {
        if self.bad_cell_count == 0 {
            self.mask.apply_to_records(&mut self.records);
            return Ok(self.records);
        }
        let shown = self.bad_cells.join("; ");
        let cells = match self.bad_cell_count {
            1 => "1 bad cell".to_owned(),
            count => format!("{count} bad cells"),
        };
        Err(refused(format!("{cells}: {shown}")))
    }
}
