//! Names and bytes of the artifacts that a run makes.

use std::borrow::Cow;
use std::collections::HashSet;

use domain::definition::{FieldKind, FieldSpec, is_file_name};
use indexmap::IndexMap;
use serde::Serializer as _;
use serde_json::{Map, Value, json};

use crate::cells::has_time;
use crate::extraction::Record;

/// The artifact names that a run has used.
#[derive(Default)]
pub(crate) struct ArtifactNames(HashSet<String>);

impl ArtifactNames {
    /// Makes a name usable and unique: `a.csv`, `a-2.csv`, `a-3.csv`.
    pub(crate) fn claim(&mut self, wanted: &str) -> String {
        let name = clean(wanted);
        let (stem, ending) = match name.rsplit_once('.') {
            Some((stem, ending)) if !stem.is_empty() => (stem, format!(".{ending}")),
            _ => (name.as_str(), String::new()),
        };
        let mut unique = name.clone();
        let mut number = 2;
        while !self.0.insert(unique.clone()) {
            unique = format!("{stem}-{number}{ending}");
            number += 1;
        }
        unique
    }
}

/// Takes out of a site's file name what can't be in one.
fn clean(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut clean: String = last.chars().filter(|c| !c.is_control()).collect();
    while clean.len() > 190 {
        clean.remove(0);
    }
    if is_file_name(&clean) {
        clean
    } else {
        "download".to_owned()
    }
}

/// The media type that a file's ending stands for.
pub(crate) fn content_type(name: &str) -> &'static str {
    let ending = name
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_ascii_lowercase())
        .unwrap_or_default();
    match ending.as_str() {
        "csv" => "text/csv",
        "json" => "application/json",
        "html" | "htm" => "text/html",
        "txt" => "text/plain",
        "xml" => "application/xml",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "zip" => "application/zip",
        "xls" => "application/vnd.ms-excel",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        _ => "application/octet-stream",
    }
}

/// Records as a JSON array, one record on a line.
pub(crate) fn records_as_json(names: &[&str], records: &[Record]) -> serde_json::Result<Vec<u8>> {
    let mut json = Vec::new();
    for (index, record) in records.iter().enumerate() {
        json.extend_from_slice(if index == 0 { b"[\n" } else { b",\n" });
        serde_json::Serializer::new(&mut json).collect_map(names.iter().zip(record))?;
    }
    json.extend_from_slice(if json.is_empty() { b"[]\n" } else { b"\n]\n" });
    Ok(json)
}

/// Records as CSV (RFC 4180) with a line of names. What has no value is empty.
pub(crate) fn records_as_csv(names: &[&str], records: &[Record]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    writer.write_record(names)?;
    for record in records {
        writer.write_record(record.iter().map(|value| match value {
            Value::Null => Cow::Borrowed(&b""[..]),
            Value::String(text) => Cow::Borrowed(text.as_bytes()),
            other => Cow::Owned(other.to_string().into_bytes()),
        }))?;
    }
    writer
        .into_inner()
        .map_err(|error| csv::Error::from(error.into_error()))
}

/// The JSON Schema (draft 2020-12) of records with these fields.
pub(crate) fn schema_of_records(fields: &IndexMap<String, FieldSpec>) -> Vec<u8> {
    let properties: Map<_, _> = fields
        .iter()
        .map(|(name, spec)| (name.clone(), schema_of_field(spec)))
        .collect();
    let names: Vec<_> = fields.keys().collect();
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "array",
        "items": {
            "type": "object",
            "properties": properties,
            "required": names,
            "additionalProperties": false,
        },
    });
    format!("{schema:#}\n").into_bytes()
}

fn schema_of_field(spec: &FieldSpec) -> Value {
    let (kind, format) = match &spec.kind {
        FieldKind::Text => ("string", None),
        FieldKind::Number(_) => ("number", None),
        FieldKind::Date { .. } => ("string", Some("date")),
        FieldKind::Boolean => ("boolean", None),
        FieldKind::Link => ("string", Some("uri")),
    };
    let mut schema = if spec.is_list {
        json!({"type": "array", "items": {"type": [kind, "null"]}})
    } else if spec.required {
        json!({"type": kind})
    } else {
        json!({"type": [kind, "null"]})
    };
    let has_time = matches!(&spec.kind, FieldKind::Date { format } if has_time(format));
    if let Some(format) = format.filter(|_| !spec.is_list && !has_time) {
        schema["format"] = format.into();
    }
    // A default may be of any type, and is one of what the field can be.
    match &spec.default {
        Some(default) => json!({"anyOf": [schema, {"const": default}]}),
        None => schema,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_csv_has_each_text_as_it_is_also_what_a_spreadsheet_would_take_for_more() {
        let texts = [
            "a, \"b\"",
            "two\nlines\r\n",
            "=1+1",
            "+49 30",
            "-",
            "@x",
            " é ",
        ];
        let records: Vec<Record> = texts
            .iter()
            .map(|text| vec![json!(text), json!(null), json!(-1.5), json!([true, ","])])
            .collect();
        let names = ["text", "nothing", "of, \"it\"", "list"];
        let csv = records_as_csv(&names, &records).expect("a CSV");
        let mut reader = csv::Reader::from_reader(csv.as_slice());
        assert_eq!(reader.headers().expect("names"), &names[..]);
        for (row, text) in reader.records().zip(texts) {
            assert_eq!(row.expect("a row"), [text, "", "-1.5", "[true,\",\"]"][..]);
        }
    }

    #[test]
    fn names_are_unique_and_stay_in_their_folder() {
        let mut names = ArtifactNames::default();
        assert_eq!(names.claim("a.csv"), "a.csv");
        assert_eq!(names.claim("a.csv"), "a-2.csv");
        assert_eq!(names.claim("../../etc/passwd"), "passwd");
        assert_eq!(names.claim(".."), "download");
        assert_eq!(names.claim(""), "download-2");
    }
}
