//! Values that are written as JSON, in which every text is a template.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::expression::EvaluationError;
use super::scope::Scope;
use super::template::Template;
use super::weight::{MOST_VALUE_BYTES, Room};

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
    /// An expression fails, or is a secret, or the value is too large.
    pub fn value(&self, scope: &Scope) -> Result<Value, EvaluationError> {
        self.value_within(scope, &mut Room::new(MOST_VALUE_BYTES))
            .map_err(|Refused(error)| error)
    }

    fn value_within(&self, scope: &Scope, room: &mut Room) -> Result<Value, Refused> {
        Ok(match self {
            Self::Template(template) => template.value_within(scope, room).map_err(Refused)?,
            Self::Fixed(value) => value.clone(),
            Self::List(items) => room.inside(|room| {
                let items = items.iter().map(|item| item.value_within(scope, room));
                items.collect::<Result<_, Refused>>()
            })?,
            Self::Map(entries) => room
                .inside(|room| {
                    let entries = entries
                        .iter()
                        .map(|(name, value)| Ok((name.clone(), value.value_within(scope, room)?)));
                    entries.collect::<Result<Map<_, _>, Refused>>()
                })?
                .into(),
        })
    }
}

/// Why data has no value.
struct Refused(EvaluationError);

impl From<&'static str> for Refused {
    fn from(message: &'static str) -> Self {
        Self(EvaluationError {
            expression: "…".to_owned(),
            message: message.to_owned(),
        })
    }
}
