//! What is logged, and how it looks.

use tracing_subscriber::EnvFilter;

use super::{Environment, SettingError};

/// Settings of [`crate::telemetry`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Logs {
    /// `LEGWORK_LOG`: which events are logged, as directives of tracing-subscriber's `EnvFilter`;
    /// checked when it is read. Default `info`.
    pub filter: String,
    /// `LEGWORK_LOG_FORMAT`: `json` (the default) or `text`.
    pub format: LogFormat,
    /// Whether text may be coloured: not when `NO_COLOR` is set (<https://no-color.org>).
    pub color: bool,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// One JSON object, for machines.
    Json,
    /// One line of text, for people.
    Text,
}

impl Logs {
    /// Reads the settings.
    ///
    /// # Errors
    /// When a variable holds something else than it should.
    pub fn read(environment: &Environment) -> Result<Self, SettingError> {
        let filter = environment.parse(
            "LEGWORK_LOG",
            "log levels, such as info or info,store=debug (default info)",
            |text| EnvFilter::try_new(text).ok().map(|_| text.to_owned()),
        )?;
        let format = environment.parse(
            "LEGWORK_LOG_FORMAT",
            "json or text (default json)",
            |text| match text {
                "json" => Some(LogFormat::Json),
                "text" => Some(LogFormat::Text),
                _ => None,
            },
        )?;
        Ok(Self {
            filter: filter.unwrap_or_else(|| "info".to_owned()),
            format: format.unwrap_or(LogFormat::Json),
            color: environment.get("NO_COLOR").is_none(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, value: &str) -> Result<Logs, SettingError> {
        Logs::read(&Environment::from_iter([(name, value)]))
    }

    #[test]
    fn defaults_are_info_as_json() {
        let logs = Logs::read(&Environment::default()).expect("defaults");
        assert_eq!(logs.filter, "info");
        assert_eq!(logs.format, LogFormat::Json);
    }

    #[test]
    fn a_filter_that_cannot_be_parsed_is_refused_by_name() {
        assert!(read("LEGWORK_LOG", "warn,store=debug").is_ok());
        let error = read("LEGWORK_LOG", "store=loud").expect_err("no such level");
        assert!(
            error
                .to_string()
                .starts_with("LEGWORK_LOG is \"store=loud\""),
            "{error}"
        );
    }

    #[test]
    fn a_format_is_json_or_text() {
        let format = |text| read("LEGWORK_LOG_FORMAT", text).map(|logs| logs.format);
        assert_eq!(format("text"), Ok(LogFormat::Text));
        assert_eq!(format("json"), Ok(LogFormat::Json));
        let error = format("xml").expect_err("no such format");
        assert_eq!(
            error.to_string(),
            r#"LEGWORK_LOG_FORMAT is "xml"; expected json or text (default json)"#
        );
    }
}
