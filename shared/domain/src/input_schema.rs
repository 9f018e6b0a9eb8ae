//! The JSON Schema of a workflow's input: tried when a workflow is checked, used when a run is created.
//!
//! Whoever saves a workflow writes the schema, and it is executed on every input; so what a schema may cost is bounded
//! before it is built: no reference leads outside or round in a circle, patterns match in linear time, and the size of
//! the schema times the size of an input has a limit.

mod defaults;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

/// How many subschemas a schema has at most, each reference counted as what it refers to.
const MOST_SUBSCHEMAS: usize = 2_000;

/// How deep a schema is nested at most, references included.
const DEEPEST: usize = 64;

/// How many `unevaluatedProperties` and `unevaluatedItems` a schema has at most: each evaluates its part once more.
const MOST_UNEVALUATED: usize = 4;

/// The size of a schema times the size of an input.
const MOST_WORK: usize = 20_000_000;

/// How many errors of one input are reported, and how long their texts are at most.
const MOST_ERRORS: usize = 100;
const LONGEST_TEXT_CHARS: usize = 300;

/// What a reference may be instead of a JSON pointer into the same schema.
const UNSUPPORTED: &[&str] = &[
    "$anchor",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$recursiveAnchor",
    "$recursiveRef",
];

/// The drafts that a schema may say to be of; without `$schema` it is of the last one.
const DRAFTS: &[&str] = &[
    "http://json-schema.org/draft-04/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-07/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
];

/// The types of JSON Schema.
pub(crate) const TYPES: &[&str] = &[
    "array", "boolean", "integer", "null", "number", "object", "string",
];

/// A schema that inputs can be checked against.
#[derive(Debug)]
pub struct InputSchema {
    schema: Value,
    validator: Validator,
    size: usize,
}

pub use defaults::wrong_defaults;

/// Something wrong with an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputError {
    /// A JSON pointer (RFC 6901) into the input; the input itself is the empty one.
    pub pointer: String,
    /// What is wrong with it. It does not repeat the value.
    pub message: String,
}

impl InputSchema {
    /// Builds what checks inputs.
    ///
    /// # Errors
    /// What is wrong with the schema, for the person who wrote it, each with its JSON pointer into the schema: it is
    /// none, or asks for more than a schema may.
    pub fn new(schema: &Value) -> Result<Self, Vec<(String, String)>> {
        let of_all = |message| vec![(String::new(), message)];
        let size = bounded_size(schema).map_err(of_all)?;
        let wrong = departures(schema);
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Self {
            schema: schema.clone(),
            validator: build(schema).map_err(of_all)?,
            size,
        })
    }

    /// The schema itself.
    #[must_use]
    pub fn as_json(&self) -> &Value {
        &self.schema
    }

    /// An input as a run has it: with the schema's defaults where nothing was given.
    ///
    /// # Errors
    /// What is wrong with the input. Of very many errors the first hundred.
    pub fn complete(&self, mut input: Value) -> Result<Value, Vec<InputError>> {
        let too_large = || InputError {
            pointer: String::new(),
            message: "this input is too large to be checked against the workflow's schema"
                .to_owned(),
        };
        // Before the defaults and after them: filling them in goes through all of it, too.
        if self.is_too_large(&input)
            || !defaults::fill(&self.schema, &mut input)
            || self.is_too_large(&input)
        {
            return Err(vec![too_large()]);
        }
        let errors = self.errors_of(&input);
        if errors.is_empty() {
            Ok(input)
        } else {
            Err(errors)
        }
    }

    fn is_too_large(&self, input: &Value) -> bool {
        self.size.saturating_mul(size_of(input)) > MOST_WORK
    }

    fn errors_of(&self, input: &Value) -> Vec<InputError> {
        let errors = self.validator.iter_errors(input);
        errors
            .flat_map(|error| errors_of(&error))
            .take(MOST_ERRORS)
            .collect()
    }
}

/// How many parts a schema has, if it asks for no more than a schema may.
fn bounded_size(schema: &Value) -> Result<usize, String> {
    let mut survey = Survey {
        root: schema,
        subschemas: 0,
        unevaluated: 0,
    };
    survey.visit(schema, 0)?;
    if let Some(Value::String(draft)) = schema.get("$schema")
        && !DRAFTS.contains(&draft.strip_suffix('#').unwrap_or(draft))
    {
        return Err(format!(
            "$schema ({:?}) is no draft of JSON Schema that is known here; leave it out, or name {}",
            shortened(draft),
            DRAFTS[DRAFTS.len() - 1]
        ));
    }
    Ok(survey.subschemas)
}

/// Where a schema departs from what JSON Schema is, each place once.
fn departures(schema: &Value) -> Vec<(String, String)> {
    let meta = match jsonschema::meta::validator_for(schema) {
        Ok(meta) => meta,
        Err(error) => return vec![(String::new(), shortened(&error.to_string()))],
    };
    let mut wrong: Vec<(String, String)> = Vec::new();
    for error in meta.iter_errors(schema).take(MOST_ERRORS) {
        let pointer = error.instance_path().to_string();
        if wrong.iter().any(|(known, _)| *known == pointer) {
            continue;
        }
        let message = match error.instance().as_str() {
            Some(name) if pointer.ends_with("/type") && !TYPES.contains(&name) => {
                format!("there is no type `{name}`")
            }
            _ => format!("this is no JSON Schema: {error}"),
        };
        wrong.push((pointer, shortened(&message)));
    }
    wrong
}

fn build(schema: &Value) -> Result<Validator, String> {
    jsonschema::options()
        .should_validate_formats(true)
        .with_pattern_options(PatternOptions::regex().size_limit(1 << 20))
        .build(schema)
        .map_err(|error| {
            format!(
                "this JSON Schema can't be used: {}",
                shortened(&error.to_string())
            )
        })
}

/// Walks through a schema as a validator would at most.
struct Survey<'a> {
    root: &'a Value,
    subschemas: usize,
    unevaluated: usize,
}

impl Survey<'_> {
    fn visit(&mut self, schema: &Value, depth: usize) -> Result<(), String> {
        if depth > DEEPEST {
            return Err(format!(
                "this schema is nested more than {DEEPEST} deep, or a reference leads round in a circle"
            ));
        }
        match schema {
            Value::Object(keywords) => {
                self.subschemas += 1;
                if self.subschemas > MOST_SUBSCHEMAS {
                    return Err(format!(
                        "this schema has more than {MOST_SUBSCHEMAS} parts, each reference counted as what it refers to"
                    ));
                }
                for (keyword, value) in keywords {
                    if keyword.starts_with("unevaluated") {
                        self.unevaluated += 1;
                    }
                    if let (true, Some(text)) =
                        (UNSUPPORTED.contains(&keyword.as_str()), value.as_str())
                    {
                        return Err(format!(
                            "{keyword} ({:?}) is not supported here",
                            shortened(text)
                        ));
                    }
                    match (keyword.as_str(), value) {
                        ("$ref", Value::String(reference)) => self.follow(reference, depth)?,
                        // They cost where they are referred to.
                        ("$defs" | "definitions", _) => {}
                        _ => self.visit(value, depth + 1)?,
                    }
                }
                if self.unevaluated > MOST_UNEVALUATED {
                    return Err(format!(
                        "this schema has more than {MOST_UNEVALUATED} unevaluatedProperties and unevaluatedItems"
                    ));
                }
                Ok(())
            }
            Value::Array(items) => items
                .iter()
                .try_for_each(|item| self.visit(item, depth + 1)),
            _ => Ok(()),
        }
    }

    fn follow(&mut self, reference: &str, depth: usize) -> Result<(), String> {
        let target = reference
            .strip_prefix('#')
            .and_then(|pointer| self.root.pointer(pointer));
        match target {
            Some(target) => self.visit(target, depth + 1),
            None => Err(format!(
                "the reference {:?} must be a JSON pointer into this schema, such as #/$defs/name",
                shortened(reference)
            )),
        }
    }
}

/// A field that is missing, and one that may not be there, has a place of its own.
fn errors_of(error: &ValidationError<'_>) -> Vec<InputError> {
    let place = error.instance_path().to_string();
    let of_field = |name: &str, message: &str| InputError {
        pointer: shortened(&format!(
            "{place}/{}",
            name.replace('~', "~0").replace('/', "~1")
        )),
        message: message.to_owned(),
    };
    match error.kind() {
        ValidationErrorKind::Required {
            property: Value::String(name),
        } => vec![of_field(name, "this field is missing")],
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let fields = unexpected.iter().take(MOST_ERRORS);
            fields
                .map(|name| of_field(name, "there is no such field"))
                .collect()
        }
        _ => vec![InputError {
            pointer: shortened(&place),
            message: shortened(&error.masked().to_string()),
        }],
    }
}

/// How many values an input holds, with long texts counted as several.
fn size_of(input: &Value) -> usize {
    match input {
        Value::Array(items) => 1 + items.iter().map(size_of).sum::<usize>(),
        Value::Object(fields) => {
            let size = |(name, value): (&String, &Value)| 1 + name.len() / 64 + size_of(value);
            1 + fields.iter().map(size).sum::<usize>()
        }
        Value::String(text) => 1 + text.len() / 64,
        _ => 1,
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(schema: &Value) -> String {
        let wrong = InputSchema::new(schema).expect_err("it must be refused");
        wrong[0].1.clone()
    }

    fn errors(schema: &InputSchema, input: Value) -> Vec<InputError> {
        schema.complete(input).expect_err("it must be refused")
    }

    #[test]
    fn an_input_is_checked_and_each_error_has_its_place_without_its_value() {
        let schema = InputSchema::new(&json!({
            "$defs": { "month": { "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$" } },
            "type": "object",
            "properties": { "months": { "type": "array", "items": { "$ref": "#/$defs/month" } } },
            "required": ["months"],
            "additionalProperties": false,
        }))
        .expect("a schema");
        let right = json!({ "months": ["2026-11"] });
        assert_eq!(schema.complete(right.clone()), Ok(right));
        let found = errors(
            &schema,
            json!({ "months": ["2026-11", "secret-looking", 7] }),
        );
        let places: Vec<&str> = found.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(places, ["/months/1", "/months/2"]);
        assert!(!format!("{found:?}").contains("secret-looking"));
        let found = errors(&schema, json!({ "year/s": 1 }));
        let places: Vec<&str> = found.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(places, ["/year~1s", "/months"]);
    }

    #[test]
    fn a_schema_that_multiplies_itself_is_refused_before_it_costs_anything() {
        let mut definitions = serde_json::Map::new();
        for level in 0..40 {
            let next = json!({ "$ref": format!("#/$defs/d{}", level + 1) });
            definitions.insert(format!("d{level}"), json!({ "allOf": [next, next] }));
        }
        definitions.insert("d40".to_owned(), json!({}));
        let schema = json!({ "$defs": definitions, "$ref": "#/$defs/d0" });
        assert!(
            refused(&schema).contains("more than"),
            "{}",
            refused(&schema)
        );
    }

    #[test]
    fn a_chain_of_references_and_a_circle_are_refused() {
        let mut definitions = serde_json::Map::new();
        for level in 0..3_000 {
            let next = format!("#/$defs/d{}", level + 1);
            definitions.insert(format!("d{level}"), json!({ "$ref": next }));
        }
        definitions.insert("d3000".to_owned(), json!({}));
        let chain = json!({ "$defs": definitions, "$ref": "#/$defs/d0" });
        assert!(refused(&chain).contains("deep"));
        assert!(refused(&json!({ "$ref": "#" })).contains("circle"));
        let tree = json!({ "properties": { "child": { "$ref": "#" } } });
        assert!(refused(&tree).contains("circle"));
    }

    #[test]
    fn a_reference_leads_nowhere_else() {
        for reference in [
            "https://example.com/schema.json",
            "other.json",
            "#name",
            "#/$defs/none",
        ] {
            let text = refused(&json!({ "$ref": reference }));
            assert!(
                text.contains("must be a JSON pointer"),
                "{reference}: {text}"
            );
        }
        assert!(refused(&json!({ "$id": "https://example.com/a" })).contains("$id"));
        for draft in ["https://example.com/draft", "https://json-schema.org/other"] {
            let text = refused(&json!({ "$schema": draft }));
            assert!(text.contains("no draft of JSON Schema"), "{text}");
        }
        for draft in DRAFTS {
            for end in ["", "#"] {
                InputSchema::new(&json!({ "$schema": format!("{draft}{end}") })).expect(draft);
            }
        }
        // A property may have such a name.
        InputSchema::new(&json!({ "properties": { "$id": { "type": "string" } } }))
            .expect("a schema");
    }

    #[test]
    fn what_is_said_about_a_wrong_input_is_bounded() {
        let parts: Vec<Value> = (0..100)
            .map(|length| json!({ "properties": { "a": { "maxLength": length } } }))
            .collect();
        let schema = InputSchema::new(&json!({ "allOf": parts })).expect("a schema");
        let found = errors(&schema, json!({ "a": "x".repeat(60_000) }));
        assert_eq!(found.len(), 100);
        assert!(format!("{found:?}").len() < 100_000);
        let found = errors(&schema, json!({ "a": vec![0; 1_000_000] }));
        assert_eq!(found.len(), 1, "{}", found[0].message);
        assert!(found[0].message.contains("too large"));
    }

    #[test]
    fn patterns_match_in_linear_time() {
        let schema =
            InputSchema::new(&json!({ "type": "string", "pattern": "^(a+)+$" })).expect("a schema");
        let text = json!(format!("{}!", "a".repeat(100_000)));
        assert_eq!(errors(&schema, text).len(), 1);
        assert!(refused(&json!({ "pattern": "(?=a)b" })).contains("can't be used"));
        assert!(refused(&json!({ "type": "sting" })).contains("no type `sting`"));
    }
}
