//! Parameters that have a type: written as such, or as a template that makes a value of that type in the run.

use std::time::Duration;

use serde_json::Value;

use super::duration;
use super::expression::EvaluationError;
use super::scope::{Scope, describe};
use super::template::Template;

/// A number, a duration or a yes-or-no that a step takes.
#[derive(Debug, Clone)]
pub enum Typed<T: Parameter> {
    /// It stands in the definition, and has been checked.
    Fixed(T),
    /// It is made in the run.
    Computed {
        /// What makes it.
        template: Template,
        /// The least and the most that it may be.
        limits: T::Limits,
    },
}

/// What a typed parameter can be.
pub trait Parameter: Copy {
    /// What bounds it.
    type Limits: Copy + std::fmt::Debug;

    /// Makes it of a value.
    ///
    /// # Errors
    /// What is wrong with the value.
    fn from_value(value: &Value, limits: Self::Limits) -> Result<Self, String>;
}

/// The bounds of a whole number, which belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The least.
    pub least: i64,
    /// The most.
    pub most: i64,
}

impl<T: Parameter> Typed<T> {
    /// Gives the value that it has in a scope.
    ///
    /// # Errors
    /// The template fails, or makes something else than is wanted here.
    pub fn get(&self, scope: &Scope) -> Result<T, EvaluationError> {
        match self {
            Self::Fixed(value) => Ok(*value),
            Self::Computed { template, limits } => {
                let value = template.value(scope)?;
                T::from_value(&value, *limits).map_err(|message| EvaluationError {
                    expression: template.source().to_owned(),
                    message,
                })
            }
        }
    }

    /// The value, if it is known beforehand.
    #[must_use]
    pub fn fixed(&self) -> Option<T> {
        match self {
            Self::Fixed(value) => Some(*value),
            Self::Computed { .. } => None,
        }
    }
}

impl Parameter for i64 {
    type Limits = Bounds;

    fn from_value(value: &Value, limits: Bounds) -> Result<Self, String> {
        // What was computed may be a float, and text comes from inputs and pages.
        let number = match value {
            Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number
            .filter(|number| (limits.least..=limits.most).contains(number))
            .ok_or_else(|| {
                format!(
                    "here must be a whole number from {} to {}",
                    limits.least, limits.most
                )
            })
    }
}

/// The whole number that a float is, if it is one.
fn whole(number: f64) -> Option<i64> {
    format!("{number:.0}")
        .parse()
        .ok()
        .filter(|_| number.fract() == 0.0)
}

impl Parameter for bool {
    type Limits = ();

    fn from_value(value: &Value, (): ()) -> Result<Self, String> {
        match value {
            Value::Bool(value) => Ok(*value),
            other => Err(format!(
                "here must be true or false, and this is {}",
                describe(other)
            )),
        }
    }
}

impl Parameter for Duration {
    type Limits = ();

    fn from_value(value: &Value, (): ()) -> Result<Self, String> {
        match value {
            Value::String(text) => duration::parse(text),
            other => Err(format!(
                "here must be a duration such as `30s`, and this is {}",
                describe(other)
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_computed_number_has_the_bounds_of_a_written_one() {
        let limits = Bounds { least: 1, most: 9 };
        for right in [json!(3), json!(3.0), json!("3")] {
            assert_eq!(i64::from_value(&right, limits), Ok(3), "{right}");
        }
        for wrong in [json!(0), json!(10), json!(2.5), json!(1e300), json!(null)] {
            assert!(i64::from_value(&wrong, limits).is_err(), "{wrong}");
        }
    }
}
