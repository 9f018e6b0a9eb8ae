//! The environment as a value, so that tests give their own and never change the process's.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use thiserror::Error;

/// The names and values of an environment. A variable that is set but empty counts as not set,
/// because templates can't leave one out. `Debug` shows names only: values may be credentials.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

/// A setting that a process can't start, or go on, without.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum SettingError {
    /// The variable is needed and not set.
    #[error("{name} is not set; expected {expected}")]
    Missing {
        /// The variable.
        name: &'static str,
        /// What it should hold.
        expected: String,
    },
    /// The variable holds something else than it should.
    #[error("{name} is {found:?}; expected {expected}")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: String,
    },
}

impl Environment {
    /// The environment of this process. Bytes that are no UTF-8 are replaced, so that the setting
    /// that they are in says what is wrong with it.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    pub fn from_process() -> Self {
        let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
        Self(
            std::env::vars_os()
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
        )
    }

    /// The value of a variable, unless it is not set or empty. For names that aren't settings of
    /// ours, such as `AWS_ENDPOINT_URL`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Reads a setting by a parser; nothing when it is not set.
    pub(super) fn parse<T>(
        &self,
        name: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, SettingError> {
        let Some(found) = self.get(name) else {
            return Ok(None);
        };
        match parse(found) {
            Some(value) => Ok(Some(value)),
            None => Err(SettingError::Invalid {
                name,
                found: found.to_owned(),
                expected: expected.to_owned(),
            }),
        }
    }

    /// Reads a whole number within bounds, or takes the default.
    pub(super) fn number(
        &self,
        name: &'static str,
        bounds: RangeInclusive<u32>,
        default: u32,
    ) -> Result<u32, SettingError> {
        let expected = format!(
            "a whole number from {} to {} (default {default})",
            bounds.start(),
            bounds.end()
        );
        let number = self.parse(name, &expected, |text| {
            text.parse().ok().filter(|number| bounds.contains(number))
        })?;
        Ok(number.unwrap_or(default))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let own = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        Self(own.collect())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_counts_as_not_set() {
        let environment = Environment::from_iter([("A", ""), ("B", "b")]);
        assert_eq!(environment.get("A"), None);
        assert_eq!(environment.get("B"), Some("b"));
        assert_eq!(environment.number("A", 1..=9, 4), Ok(4));
    }

    #[test]
    fn the_process_environment_is_seen() {
        assert!(Environment::from_process().get("PATH").is_some());
    }

    #[test]
    fn debug_output_shows_names_and_no_values() {
        let environment = Environment::from_iter([("AWS_SECRET_ACCESS_KEY", "canary")]);
        assert_eq!(format!("{environment:?}"), r#"{"AWS_SECRET_ACCESS_KEY"}"#);
    }

    #[test]
    fn a_number_keeps_to_its_bounds_and_the_error_says_them() {
        let read = |value: &str| Environment::from_iter([("N", value)]).number("N", 1..=9, 4);
        assert_eq!(read("9"), Ok(9));
        for wrong in ["0", "10", "-1", "2.5", "two", " 3"] {
            let error = read(wrong).expect_err(wrong);
            assert_eq!(
                error.to_string(),
                format!("N is {wrong:?}; expected a whole number from 1 to 9 (default 4)")
            );
        }
    }
}
