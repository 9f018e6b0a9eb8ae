//! What stands in front of the API.

use super::{Environment, SettingError};

/// Settings of the API behind API Gateway.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Gateway {
    /// `LEGWORK_MAPPING_PATH`: the path of the domain's API mapping, such as `/v1`. By default empty: the
    /// API is at the root of its domain, or behind a stage, which it knows by itself.
    pub mapping_path: String,
}

impl Gateway {
    /// Reads the settings.
    ///
    /// # Errors
    /// When a variable holds something else than it should.
    pub fn read(environment: &Environment) -> Result<Self, SettingError> {
        let mapping_path = environment.parse(
            "LEGWORK_MAPPING_PATH",
            "a path that begins with / and doesn't end with it, such as /v1",
            |text| (text.starts_with('/') && !text.ends_with('/')).then(|| text.to_owned()),
        )?;
        Ok(Self {
            mapping_path: mapping_path.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_begins_with_a_slash_and_does_not_end_with_one() {
        let read = |value: &str| {
            let environment = Environment::from_iter([("LEGWORK_MAPPING_PATH", value)]);
            Gateway::read(&environment).map(|gateway| gateway.mapping_path)
        };
        assert_eq!(read(""), Ok(String::new()));
        assert_eq!(read("/v1"), Ok("/v1".to_owned()));
        for wrong in ["v1", "/v1/", "/"] {
            read(wrong).expect_err(wrong);
        }
    }
}
