//! What a schema says of what is left out: `default` of a property, in nested objects, in the items of lists, behind a
//! `$ref` and in `allOf`. Elsewhere (`anyOf`, `if`, …) it would depend on what is given, and is not applied.
//!
//! Only schemas come here that [`super::InputSchema`] accepts, so that no way through one is endless.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{build, errors_of, shortened};

/// How large all defaults together may make an input, as JSON in bytes.
const MOST_BYTES: usize = 1 << 20;

/// How many defaults a schema has at most.
const MOST_DEFAULTS: usize = 200;

/// Where a schema may be in a document that has it whole.
const ROOT: &str = "#/$defs/root";

/// Puts the defaults where nothing was given; `false` if they would make the input too large.
pub(super) fn fill(schema: &Value, input: &mut Value) -> bool {
    let mut filling = Filling {
        root: schema,
        room: MOST_BYTES,
    };
    filling.fill(schema, input).is_some()
}

struct Filling<'s> {
    root: &'s Value,
    room: usize,
}

impl Filling<'_> {
    fn fill(&mut self, schema: &Value, value: &mut Value) -> Option<()> {
        if let Some(target) = referred(self.root, schema) {
            self.fill(target, value)?;
        }
        for part in list(schema, "allOf") {
            self.fill(part, value)?;
        }
        match value {
            Value::Object(fields) => {
                for (name, of_field) in map(schema, "properties") {
                    match fields.get_mut(name) {
                        Some(given) => self.fill(of_field, given)?,
                        None => {
                            let Some(default) = default_of(self.root, of_field) else {
                                continue;
                            };
                            let size = name.len() + default.to_string().len();
                            self.room = self.room.checked_sub(size)?;
                            let mut default = default.clone();
                            self.fill(of_field, &mut default)?;
                            fields.insert(name.clone(), default);
                        }
                    }
                }
            }
            Value::Array(items) => {
                let first = list(schema, "prefixItems");
                for (of_item, item) in first.iter().zip(items.iter_mut()) {
                    self.fill(of_item, item)?;
                }
                if let Some(of_item) = schema.get("items") {
                    for item in items.iter_mut().skip(first.len()) {
                        self.fill(of_item, item)?;
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        Some(())
    }
}

/// The defaults that are not what their own schema asks for, each with its JSON pointer into the schema and what is
/// wrong. The schema must be one that inputs can be checked against.
#[must_use]
pub fn wrong_defaults(schema: &Value) -> Vec<(String, String)> {
    let mut found = BTreeMap::new();
    collect(schema, schema, String::new(), &mut found);
    if found.len() > MOST_DEFAULTS {
        let message = format!("this schema has more than {MOST_DEFAULTS} defaults");
        return vec![(String::new(), message)];
    }
    let mut wrong = Vec::new();
    // A part of a schema means what it means in the whole of it: its references lead there.
    let mut document = json!({ "$defs": { "root": moved(schema) } });
    if let Some(draft) = document["$defs"]["root"]
        .as_object_mut()
        .and_then(|root| root.remove("$schema"))
    {
        document["$schema"] = draft;
    }
    for (pointer, default) in found {
        document["allOf"] = json!([{ "$ref": format!("{ROOT}{}", escaped(&pointer)) }]);
        let mut completed = default.clone();
        let mut filling = Filling {
            root: schema,
            room: MOST_BYTES,
        };
        let part = schema.pointer(&pointer).unwrap_or(&Value::Null);
        let message = match build(&document) {
            Err(message) => Some(message),
            Ok(_) if filling.fill(part, &mut completed).is_none() => {
                Some("the defaults inside of it make it too large".to_owned())
            }
            Ok(validator) => validator
                .iter_errors(&completed)
                .flat_map(|error| errors_of(&error))
                .next()
                .map(|error| match error.pointer.as_str() {
                    "" => error.message,
                    inner => format!("{inner}: {}", error.message),
                }),
        };
        if let Some(message) = message {
            let message = format!("this default is not what its schema asks for: {message}");
            wrong.push((format!("{pointer}/default"), shortened(&message)));
        }
    }
    wrong
}

fn collect<'s>(
    root: &'s Value,
    schema: &'s Value,
    pointer: String,
    found: &mut BTreeMap<String, &'s Value>,
) {
    if found.len() > MOST_DEFAULTS {
        return;
    }
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str)
        && let Some(target) = referred(root, schema)
    {
        // Pointers in references are written as parts of URLs.
        let to = reference.trim_start_matches('#').to_owned();
        collect(root, target, to, found);
    }
    for (index, part) in list(schema, "allOf").iter().enumerate() {
        collect(root, part, format!("{pointer}/allOf/{index}"), found);
    }
    for (name, of_field) in map(schema, "properties") {
        let name = name.replace('~', "~0").replace('/', "~1");
        let pointer = format!("{pointer}/properties/{name}");
        if let Some(default) = of_field.get("default") {
            found.insert(pointer.clone(), default);
        }
        collect(root, of_field, pointer, found);
    }
    for (index, part) in list(schema, "prefixItems").iter().enumerate() {
        collect(root, part, format!("{pointer}/prefixItems/{index}"), found);
    }
    if let Some(of_item) = schema.get("items") {
        collect(root, of_item, format!("{pointer}/items"), found);
    }
}

/// The default of a property, or of what it refers to.
fn default_of<'s>(root: &'s Value, schema: &'s Value) -> Option<&'s Value> {
    match schema.get("default") {
        Some(default) => Some(default),
        None => default_of(root, referred(root, schema)?),
    }
}

fn referred<'s>(root: &'s Value, schema: &Value) -> Option<&'s Value> {
    let reference = schema.get("$ref")?.as_str()?;
    root.pointer(reference.strip_prefix('#')?)
}

/// A schema whose references lead to the same places when it is [`ROOT`].
fn moved(schema: &Value) -> Value {
    match schema {
        Value::Object(keywords) => keywords
            .iter()
            .map(|(keyword, value)| {
                let value = match (keyword.as_str(), value) {
                    ("$ref", Value::String(reference)) => {
                        let pointer = reference.trim_start_matches('#');
                        Value::from(format!("{ROOT}{pointer}"))
                    }
                    _ => moved(value),
                };
                (keyword.clone(), value)
            })
            .collect(),
        Value::Array(items) => items.iter().map(moved).collect(),
        other => other.clone(),
    }
}

/// A JSON pointer as it is written in a reference, which is a part of a URL.
fn escaped(pointer: &str) -> String {
    let mut escaped = String::with_capacity(pointer.len());
    for byte in pointer.bytes() {
        if byte.is_ascii_alphanumeric() || b"/~._-".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

fn list<'s>(schema: &'s Value, keyword: &str) -> &'s [Value] {
    schema
        .get(keyword)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn map<'s>(schema: &'s Value, keyword: &str) -> impl Iterator<Item = (&'s String, &'s Value)> {
    schema
        .get(keyword)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input_schema::InputSchema;

    fn completed(schema: &Value, input: Value) -> Value {
        let schema = InputSchema::new(schema).expect("a schema");
        schema.complete(input).expect("a right input")
    }

    #[test]
    fn what_is_left_out_has_its_default_however_deep_and_what_is_given_is_kept() {
        let schema = json!({
            "$defs": { "page": { "type": "object", "properties": { "size": { "type": "integer", "default": 20 } } } },
            "type": "object",
            "required": ["month", "page"],
            "properties": {
                "month": { "type": "string", "default": "May" },
                "page": { "$ref": "#/$defs/page", "default": {} },
                "deep": { "properties": { "a": { "properties": { "b": { "default": [1] } } } } },
                "rows": { "items": { "properties": { "name": { "default": "-" } } } },
                "plain": { "type": "string" },
            },
            "allOf": [{ "properties": { "also": { "default": null } } }],
            "anyOf": [{ "properties": { "perhaps": { "default": 1 } } }],
        });
        assert_eq!(wrong_defaults(&schema), []);
        assert_eq!(
            completed(&schema, json!({})),
            json!({ "month": "May", "page": { "size": 20 }, "also": null })
        );
        let given = json!({
            "month": "June", "page": { "size": 5 }, "deep": { "a": {} }, "also": 2,
            "rows": [{}, { "name": "Ada" }],
        });
        assert_eq!(
            completed(&schema, given),
            json!({
                "month": "June", "page": { "size": 5 }, "deep": { "a": { "b": [1] } }, "also": 2,
                "rows": [{ "name": "-" }, { "name": "Ada" }],
            })
        );
        // Nothing is a value, where it may be one.
        let schema =
            json!({ "properties": { "a": { "type": ["string", "null"], "default": "x" } } });
        assert_eq!(
            completed(&schema, json!({ "a": null })),
            json!({ "a": null })
        );
    }

    #[test]
    fn a_default_must_be_what_its_own_schema_asks_for() {
        for draft in [None, Some("http://json-schema.org/draft-07/schema#")] {
            let mut schema = json!({
                "definitions": {
                    "month": { "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$" },
                    "wrong": { "properties": { "n": { "type": "integer", "default": 1.5 } } },
                },
                "properties": {
                    "right": { "allOf": [{ "$ref": "#/definitions/month" }], "default": "2026-05" },
                    "a/b ü%": { "allOf": [{ "$ref": "#/definitions/month" }], "default": "May" },
                    "inner": { "$ref": "#/definitions/wrong" },
                    "map": { "properties": { "n": { "type": "number" } }, "default": { "n": "x" } },
                    "list": { "items": { "properties": { "n": { "minimum": 3, "default": 2 } } } },
                    "partly": { "required": ["n"], "properties": { "n": { "default": 1 } }, "default": {} },
                },
            });
            if let Some(draft) = draft {
                schema["$schema"] = draft.into();
            }
            InputSchema::new(&schema).expect("a schema");
            let wrong = wrong_defaults(&schema);
            let places: Vec<&str> = wrong.iter().map(|(place, _)| place.as_str()).collect();
            assert_eq!(
                places,
                [
                    "/definitions/wrong/properties/n/default",
                    "/properties/a~1b ü%/default",
                    "/properties/list/items/properties/n/default",
                    "/properties/map/default",
                ],
                "{wrong:?}"
            );
            assert!(wrong[3].1.contains("/n: "), "{wrong:?}");
        }
    }

    #[test]
    fn defaults_can_not_make_an_input_grow_without_bound() {
        let schema = json!({
            "items": { "properties": { "a": { "default": "x".repeat(100_000) } } },
        });
        let schema = InputSchema::new(&schema).expect("a schema");
        let small = schema.complete(json!([{}, {}]));
        assert!(small.is_ok());
        let errors = schema
            .complete(json!(vec![json!({}); 100]))
            .expect_err("too large");
        assert!(errors[0].message.contains("too large"), "{errors:?}");
        let properties: serde_json::Map<_, _> = (0..300)
            .map(|n| (format!("p{n}"), json!({ "default": n })))
            .collect();
        let many = json!({ "properties": properties });
        assert!(wrong_defaults(&many)[0].1.contains("more than"));
    }
}
