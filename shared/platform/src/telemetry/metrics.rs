//! Metrics for whoever operates Legwork, in CloudWatch's embedded metric format: one JSON object a line, of which
//! CloudWatch Logs makes metrics, so that there is nothing to call and nothing to wait for. docs/operations.md lists
//! them.
//!
//! Logs go to standard error and metrics to standard output; where both end up in one place, a metric's line begins
//! with `{"_aws":`, and no line of a log does. A process that did not say where its metrics go has none. Nothing here
//! ever fails the caller: a line that can't be written is lost.

use std::io::{self, Write};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// The namespace of every metric.
pub const NAMESPACE: &str = "Legwork";

/// Something that was counted or measured once.
///
/// Each combination of values of its dimensions is a metric that costs money each month. Their type keeps ids out: a
/// value is one of those that the code names.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "nothing is written before `emit`"]
pub struct Measurement {
    dimensions: Vec<(&'static str, &'static str)>,
    values: Vec<(&'static str, &'static str, Value)>,
}

impl Measurement {
    /// How often something happened, or how much of it there is.
    pub fn count(name: &'static str, count: u64) -> Self {
        Self {
            dimensions: Vec::new(),
            values: Vec::new(),
        }
        .and_count(name, count)
    }

    /// How long something took.
    pub fn duration(name: &'static str, took: Duration) -> Self {
        Self {
            dimensions: Vec::new(),
            values: Vec::new(),
        }
        .and_duration(name, took)
    }

    /// A further count, with the same dimensions.
    pub fn and_count(mut self, name: &'static str, count: u64) -> Self {
        self.values.push((name, "Count", count.into()));
        self
    }

    /// A further duration, with the same dimensions.
    pub fn and_duration(mut self, name: &'static str, took: Duration) -> Self {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.values.push((name, "Milliseconds", millis.into()));
        self
    }

    /// Of which kind all of it is.
    pub fn of(mut self, dimension: &'static str, value: &'static str) -> Self {
        self.dimensions.push((dimension, value));
        self
    }

    /// Writes it, if this process has said where to.
    pub fn emit(&self) {
        let Some(sink) = SINK.get() else { return };
        let mut line = self.document(Timestamp::now()).to_string();
        line.push('\n');
        let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
        // One write, so that lines of several threads and processes don't mix.
        let _ = sink.write_all(line.as_bytes());
        let _ = sink.flush();
    }

    /// As CloudWatch's "Specification: Embedded metric format" wants it.
    fn document(&self, at: Timestamp) -> Value {
        let names: Vec<&str> = self.dimensions.iter().map(|(name, _)| *name).collect();
        let metrics: Vec<Value> = self
            .values
            .iter()
            .map(|(name, unit, _)| json!({ "Name": name, "Unit": unit }))
            .collect();
        let metadata = json!({
            "Timestamp": at.as_millisecond(),
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [names],
                "Metrics": metrics,
            }],
        });
        let mut document = Map::from_iter([("_aws".to_owned(), metadata)]);
        for (name, value) in &self.dimensions {
            document.insert((*name).to_owned(), (*value).into());
        }
        for (name, _, value) in &self.values {
            document.insert((*name).to_owned(), value.clone());
        }
        Value::Object(document)
    }
}

static SINK: OnceLock<Mutex<Box<dyn Write + Send>>> = OnceLock::new();

/// Writes the metrics of this process to its standard output, which on AWS is its log. Whoever said so first counts.
pub fn to_standard_output() {
    to(io::stdout());
}

/// Writes the metrics of this process to a place of its own, where standard output is for people. Whoever said so
/// first counts.
pub fn to(sink: impl Write + Send + 'static) {
    let _ = SINK.set(Mutex::new(Box::new(sink)));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The schema of CloudWatch's specification, and what its text says beyond it.
    fn check(document: &Value) -> Result<(), String> {
        let schema = json!({
            "type": "object",
            "required": ["_aws"],
            "properties": { "_aws": {
                "type": "object",
                "required": ["Timestamp", "CloudWatchMetrics"],
                "additionalProperties": false,
                "properties": {
                    "Timestamp": { "type": "integer" },
                    "CloudWatchMetrics": { "type": "array", "items": {
                        "type": "object",
                        "required": ["Namespace", "Dimensions", "Metrics"],
                        "additionalProperties": false,
                        "properties": {
                            "Namespace": { "type": "string", "minLength": 1, "maxLength": 1024 },
                            "Dimensions": { "type": "array", "minItems": 1, "items": {
                                "type": "array", "maxItems": 30,
                                "items": { "type": "string", "minLength": 1, "maxLength": 250 },
                            } },
                            "Metrics": { "type": "array", "maxItems": 100, "items": {
                                "type": "object",
                                "required": ["Name"],
                                "additionalProperties": false,
                                "properties": {
                                    "Name": { "type": "string", "minLength": 1, "maxLength": 1024 },
                                    "Unit": { "enum": ["Count", "Milliseconds"] },
                                },
                            } },
                        },
                    } },
                },
            } },
        });
        jsonschema::validate(&schema, document).map_err(|error| error.to_string())?;
        for directive in document["_aws"]["CloudWatchMetrics"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let dimensions = directive["Dimensions"].as_array().into_iter().flatten();
            for name in dimensions.flat_map(|set| set.as_array().into_iter().flatten()) {
                let target = &document[name.as_str().unwrap_or_default()];
                if !target
                    .as_str()
                    .is_some_and(|text| !text.is_empty() && text.len() <= 1024)
                {
                    return Err(format!("the dimension {name} is {target}"));
                }
            }
            for metric in directive["Metrics"].as_array().into_iter().flatten() {
                let target = &document[metric["Name"].as_str().unwrap_or_default()];
                if !target.is_number() {
                    return Err(format!("the metric {metric} is {target}"));
                }
            }
        }
        Ok(())
    }

    fn at() -> Timestamp {
        Timestamp::from_millisecond(1_574_109_732_004).expect("a time")
    }

    #[test]
    fn a_measurement_is_a_document_of_the_embedded_metric_format() {
        let document = Measurement::count("DeliveryAttempts", 1)
            .and_duration("DeliveryLatency", Duration::from_millis(1500))
            .of("Outcome", "Succeeded")
            .document(at());
        assert_eq!(check(&document), Ok(()));
        assert_eq!(
            document,
            json!({
                "_aws": {
                    "Timestamp": 1_574_109_732_004_u64,
                    "CloudWatchMetrics": [{
                        "Namespace": "Legwork",
                        "Dimensions": [["Outcome"]],
                        "Metrics": [
                            { "Name": "DeliveryAttempts", "Unit": "Count" },
                            { "Name": "DeliveryLatency", "Unit": "Milliseconds" },
                        ],
                    }],
                },
                "Outcome": "Succeeded",
                "DeliveryAttempts": 1,
                "DeliveryLatency": 1500,
            })
        );
    }

    #[test]
    fn a_measurement_without_dimensions_has_one_empty_set_of_them() {
        let document = Measurement::count("LeasesLost", 0).document(at());
        assert_eq!(check(&document), Ok(()));
        assert_eq!(
            document["_aws"]["CloudWatchMetrics"][0]["Dimensions"],
            json!([[]])
        );
    }

    #[test]
    fn the_check_refuses_what_the_specification_refuses() {
        let whole = Measurement::count("A", 1).of("Kind", "b").document(at());
        let without = |path: &str| {
            let mut document = whole.clone();
            let (parent, name) = path.rsplit_once('/').expect("a path");
            let parent = document.pointer_mut(parent).expect("it is there");
            parent.as_object_mut().expect("a map").remove(name);
            check(&document)
        };
        for path in [
            "/_aws",
            "/_aws/Timestamp",
            "/_aws/CloudWatchMetrics/0/Dimensions",
            "/Kind",
            "/A",
        ] {
            without(path).expect_err(path);
        }
    }
}
