//! The JSON Schema of a definition, made of the grammar's tables: what the decoder reads, and nothing else.
//!
//! It says what can be said without knowing names, expressions and selectors; validation says the rest. Draft 7, which
//! is what editors complete YAML by.

use serde_json::{Map, Value, json};

use super::expression::MOST_BYTES as MOST_EXPRESSION_BYTES;
use super::grammar::{CONDITION, DEFINITION, LOCATOR, RETRY, RETRY_GROUP, STEP, WHEN};
use super::grammar_steps::VERBS;
use super::roles::ROLES;
use super::shape::{Choice, Form, Shape};
use super::typed::Bounds;

/// The JSON Schema (draft 7) of a definition.
#[must_use]
pub fn json_schema() -> Value {
    let mut schemas = Schemas {
        definitions: Map::new(),
    };
    let root = schemas.shape(&DEFINITION);
    schemas.refer(&LOCATOR);
    schemas.refer(&CONDITION);
    schemas.refer(&WHEN);
    schemas.refer(&STEP);
    let mut definitions = schemas.definitions;
    let mut also = |name: &str, about: &str, others: Value| {
        definitions.insert(
            name.to_owned(),
            json!({"description": about, "anyOf": others}),
        );
    };
    also(
        "locator",
        "Names elements: a CSS selector, a map, or a list of alternatives, in order.",
        json!([
            {"type": "string"},
            {"$ref": "#/definitions/locatorMap"},
            {"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/locator"}},
        ]),
    );
    also(
        "role",
        "An ARIA role, or a template that makes one.",
        json!([{"enum": ROLES}, template()]),
    );
    for (name, map) in [("condition", "conditionMap"), ("when", "whenMap")] {
        also(
            name,
            "A condition: a map, or the CSS selector of an element that is visible.",
            json!([{"type": "string"}, {"$ref": format!("#/definitions/{map}")}]),
        );
    }
    definitions.sort_keys();
    let mut schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Legwork workflow",
    });
    if let (Value::Object(schema), Value::Object(root)) = (&mut schema, root) {
        schema.extend(root);
        schema.insert("definitions".to_owned(), Value::Object(definitions));
    }
    schema
}

struct Schemas {
    definitions: Map<String, Value>,
}

impl Schemas {
    /// A reference to a shape, which is defined if it isn't yet.
    fn refer(&mut self, shape: &'static Shape) -> Value {
        if !self.definitions.contains_key(shape.name) {
            // The place is taken first, as shapes hold each other.
            self.definitions.insert(shape.name.to_owned(), Value::Null);
            let schema = self.shape(shape);
            self.definitions.insert(shape.name.to_owned(), schema);
        }
        json!({"$ref": format!("#/definitions/{}", shape.name)})
    }

    fn shape(&mut self, shape: &'static Shape) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for key in shape.all_keys() {
            if properties.contains_key(key.name) {
                continue;
            }
            let mut schema = self.form(&key.form);
            if let Value::Object(schema) = &mut schema {
                schema.insert("description".to_owned(), key.about.into());
            }
            properties.insert(key.name.to_owned(), schema);
            if key.is_required {
                required.push(key.name);
            }
        }
        let mut choices = Vec::new();
        if std::ptr::eq(shape, &STEP) {
            choices.push(one_verb());
        }
        collect_choices(shape, &mut choices);
        let mut schema = json!({
            "description": shape.about,
            "type": "object",
            "additionalProperties": false,
        });
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        if !choices.is_empty() {
            schema["allOf"] = choices.into();
        }
        schema["properties"] = Value::Object(properties);
        schema
    }

    fn form(&mut self, form: &'static Form) -> Value {
        match form {
            Form::Text | Form::Template => json!({"type": "string"}),
            Form::Role => json!({"$ref": "#/definitions/role"}),
            Form::Expression => {
                json!({"type": "string", "minLength": 1, "maxLength": MOST_EXPRESSION_BYTES + 4})
            }
            Form::Duration => duration(),
            Form::TypedDuration => json!({"anyOf": [duration(), template()]}),
            Form::Count(bounds) => count(bounds),
            Form::TypedCount(bounds) => json!({"anyOf": [count(bounds), template()]}),
            Form::Flag => json!({"type": "boolean"}),
            Form::TypedFlag => json!({"anyOf": [{"type": "boolean"}, template()]}),
            Form::Words(words) => json!({"enum": words}),
            Form::Name(pattern) => json!({"type": "string", "pattern": pattern}),
            Form::Nothing => json!({"type": ["null", "object"], "maxProperties": 0}),
            Form::Anything | Form::Data => json!({}),
            Form::Locator => json!({"$ref": "#/definitions/locator"}),
            Form::Condition => json!({"$ref": "#/definitions/condition"}),
            Form::When => json!({"$ref": "#/definitions/when"}),
            Form::Steps => {
                json!({"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/step"}})
            }
            Form::List(items, least) => {
                let items = self.form(items);
                let mut schema = json!({"type": "array", "items": items});
                if *least > 0 {
                    schema["minItems"] = (*least).into();
                }
                schema
            }
            Form::Map(values, least) => {
                let values = self.form(values);
                let mut schema = json!({"type": "object", "additionalProperties": values});
                if *least > 0 {
                    schema["minProperties"] = (*least).into();
                }
                schema
            }
            Form::Of(shape) => self.refer(shape),
            Form::Any(forms) => {
                let forms: Vec<_> = forms.iter().map(|form| self.form(form)).collect();
                json!({"anyOf": forms})
            }
        }
    }
}

fn collect_choices(shape: &Shape, choices: &mut Vec<Value>) {
    choices.extend(shape.choices.iter().map(choice));
    for included in shape.includes {
        collect_choices(included, choices);
    }
}

fn requires(key: &str) -> Value {
    json!({"required": [key]})
}

fn choice(choice: &Choice) -> Value {
    let each = |keys: &[&str]| -> Vec<Value> { keys.iter().map(|key| requires(key)).collect() };
    match choice {
        Choice::One(keys) => json!({"oneOf": each(keys)}),
        Choice::Some(keys) => json!({"anyOf": each(keys)}),
        Choice::AtMostOne(keys) => {
            let mut cases = each(keys);
            cases.push(json!({"not": {"anyOf": each(keys)}}));
            json!({"oneOf": cases})
        }
        Choice::Needs(key, other) => json!({"dependencies": {*key: [other]}}),
    }
}

/// Exactly one verb; or none, and a `retry` that holds steps.
fn one_verb() -> Value {
    let verbs: Vec<_> = VERBS.iter().map(|key| requires(key.name)).collect();
    let retry = |shape: &str| json!({"retry": {"$ref": format!("#/definitions/{shape}")}});
    json!({
        "if": {"anyOf": verbs.clone()},
        "then": {"oneOf": verbs, "properties": retry(RETRY.name)},
        "else": {"required": ["retry"], "properties": retry(RETRY_GROUP.name)},
    })
}

fn template() -> Value {
    json!({"type": "string", "pattern": "\\{\\{"})
}

fn count(bounds: &Bounds) -> Value {
    json!({"type": "integer", "minimum": bounds.least, "maximum": bounds.most})
}

fn duration() -> Value {
    json!({"type": "string", "pattern": "^\\s*([0-9]+(ms|s|m|h|d))+\\s*$"})
}
