//! How much one organization may ask of the API.

use super::{Environment, SettingError};

/// Limits per organization, over all processes of the API together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// `LEGWORK_REQUESTS_PER_SECOND`: how many requests it may make, on the average of a minute.
    /// Default 100.
    pub requests_per_second: u32,
    /// `LEGWORK_RUNS_PER_SECOND`: how many workflow runs it may create, on the average of ten
    /// seconds. Default 50: each run writes a few times to the organization's keys in the indexes,
    /// and DynamoDB takes 1,000 writes a second for one key before it throttles the table.
    pub runs_per_second: u32,
}

impl Limits {
    /// Reads the settings.
    ///
    /// # Errors
    /// When a variable holds something else than it should.
    pub fn read(environment: &Environment) -> Result<Self, SettingError> {
        let number = |name, default| environment.number(name, 1..=100_000, default);
        Ok(Self {
            requests_per_second: number("LEGWORK_REQUESTS_PER_SECOND", 100)?,
            runs_per_second: number("LEGWORK_RUNS_PER_SECOND", 50)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_defaults_and_are_never_zero() {
        let limits = Limits::read(&Environment::default()).expect("defaults");
        assert_eq!(
            (limits.requests_per_second, limits.runs_per_second),
            (100, 50)
        );
        let environment = Environment::from_iter([("LEGWORK_RUNS_PER_SECOND", "0")]);
        let error = Limits::read(&environment).expect_err("nobody could work");
        assert!(
            error.to_string().starts_with("LEGWORK_RUNS_PER_SECOND is"),
            "{error}"
        );
    }
}
