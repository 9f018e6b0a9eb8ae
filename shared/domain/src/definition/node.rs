//! The tree that YAML and JSON texts become before they are decoded: values with the places where they stand.
//! Knows nothing of workflows.

use serde_json::{Map, Number, Value};

use super::problem::{Path, Problems, Rule, Spot};

/// How deep lists and maps may lie in each other.
pub(super) const MOST_DEPTH: usize = 64;
/// How many values a definition may have.
pub(super) const MOST_NODES: usize = 50_000;
/// How long a definition's text may be, in bytes.
pub(super) const MOST_BYTES: usize = 256 * 1024;

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) place: Spot,
    pub(super) kind: Kind,
    /// What YAML made of a value that was probably meant as text, said when text was expected here.
    pub(super) swallowed: Option<&'static str>,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// One key of a map.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_place: Spot,
    pub(super) value: Node,
}

impl Node {
    /// What a person calls this kind of value.
    pub(super) fn describe(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "a boolean",
            Kind::Number(_) => "a number",
            Kind::String(_) => "a text",
            Kind::Sequence(_) => "a list",
            Kind::Mapping(_) => "a map",
        }
    }

    /// Gives the same value without its places.
    pub(super) fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Number(value) => Value::Number(value.clone()),
            Kind::String(value) => Value::String(value.clone()),
            Kind::Sequence(items) => items.iter().map(Self::to_value).collect(),
            Kind::Mapping(entries) => Value::Object(
                entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.value.to_value()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    /// Finds what is inside, by a JSON pointer.
    pub(super) fn at(&self, pointer: &str) -> Option<&Self> {
        let mut tokens = pointer.split('/').skip(1);
        tokens.try_fold(self, |node, token| {
            let token = token.replace("~1", "/").replace("~0", "~");
            match &node.kind {
                Kind::Mapping(entries) => {
                    let mut entries = entries.iter();
                    Some(&entries.find(|entry| entry.key == token)?.value)
                }
                Kind::Sequence(items) => items.get(token.parse::<usize>().ok()?),
                Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::String(_) => None,
            }
        })
    }

    /// Makes the tree of a JSON value, or `None` after having reported why not.
    pub(super) fn from_value(value: &Value, problems: &mut Problems) -> Option<Self> {
        let mut budget = MOST_NODES;
        let node = build(value, Path::default(), 0, &mut budget);
        if node.is_none() {
            problems.report(&Spot::default(), Rule::TooLarge, size_message());
        }
        node
    }
}

/// Says that a definition is too deep or too large.
pub(super) fn size_message() -> String {
    format!(
        "a definition has at most {MOST_NODES} values, at most {MOST_DEPTH} deep, in at most {MOST_BYTES} bytes"
    )
}

fn build(value: &Value, path: Path, depth: usize, budget: &mut usize) -> Option<Node> {
    *budget = budget.checked_sub(1)?;
    if depth > MOST_DEPTH {
        return None;
    }
    let kind = match value {
        Value::Null => Kind::Null,
        Value::Bool(value) => Kind::Bool(*value),
        Value::Number(value) => Kind::Number(value.clone()),
        Value::String(value) => Kind::String(value.clone()),
        Value::Array(items) => Kind::Sequence(
            items
                .iter()
                .enumerate()
                .map(|(index, item)| build(item, path.to(index.to_string()), depth + 1, budget))
                .collect::<Option<_>>()?,
        ),
        Value::Object(map) => Kind::Mapping(
            map.iter()
                .map(|(key, value)| {
                    let inner = path.to(key);
                    let key_place = Spot {
                        path: inner.clone(),
                        ..Spot::default()
                    };
                    Some(Entry {
                        key: key.clone(),
                        key_place,
                        value: build(value, inner, depth + 1, budget)?,
                    })
                })
                .collect::<Option<_>>()?,
        ),
    };
    Some(Node {
        place: Spot {
            path,
            ..Spot::default()
        },
        kind,
        swallowed: None,
    })
}
