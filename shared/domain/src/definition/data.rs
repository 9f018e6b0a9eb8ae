//! Values that are written as JSON, in which every text is a template.

use indexmap::IndexMap;
use serde_json::Value;

use super::expression::{EvaluationError, Scope};
use super::template::Template;

/// A value that is made in the run.
#[derive(Debug, Clone)]
pub enum Data {
    /// A text, or whatever its one expression gives.
    Template(Template),
    /// Nothing, a number, or true or false.
    Fixed(Value),
    /// A list.
    List(Vec<Data>),
    /// A map.
    Map(IndexMap<String, Data>),
}

impl Data {
    /// Gives the value that it has in a scope.
    ///
    /// # Errors
    /// An expression fails, or is a secret.
    pub fn value(&self, scope: &Scope) -> Result<Value, EvaluationError> {
        match self {
            Self::Template(template) => template.value(scope),
            Self::Fixed(value) => Ok(value.clone()),
            Self::List(items) => items.iter().map(|item| item.value(scope)).collect(),
            Self::Map(entries) => entries
                .iter()
                .map(|(name, value)| Ok((name.clone(), value.value(scope)?)))
                .collect::<Result<serde_json::Map<_, _>, _>>()
                .map(Value::Object),
        }
    }
}
