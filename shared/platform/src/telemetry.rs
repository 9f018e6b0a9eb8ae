//! Logs: JSON lines for machines, text for people, both on standard error (standard output is for
//! results). docs/logging.md says what a good event looks like and what is never logged.
//!
//! It never decides what is logged; it only gives it a form. [`metrics`] is the other half: numbers instead of events.

mod json_lines;
pub mod metrics;

use std::io::{self, IsTerminal};

use thiserror::Error;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::{FilterExt, LevelFilter, ParseError, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::configuration::{LogFormat, Logs};
use json_lines::JsonLines;

/// Why logging could not be set up.
#[derive(Debug, Error)]
pub enum InitError {
    /// The filter can't be parsed; it can't happen to [`Logs`] that were read from an environment.
    #[error("the log filter can't be parsed")]
    Filter(#[from] ParseError),
    /// Logging had been set up in this process already.
    #[error("logging is set up already")]
    Again(#[from] TryInitError),
}

/// Sets up logging for the whole process. Call it once, in `main`.
///
/// # Errors
/// See [`InitError`].
pub fn init(logs: &Logs) -> Result<(), InitError> {
    subscriber(logs)?.try_init()?;
    Ok(())
}

fn subscriber(logs: &Logs) -> Result<impl Subscriber + Send + Sync + use<>, ParseError> {
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match logs.format {
        LogFormat::Json => Box::new(JsonLines::new(io::stderr)),
        LogFormat::Text => Box::new(
            tracing_subscriber::fmt::layer()
                .with_writer(io::stderr)
                .with_ansi(logs.color && io::stderr().is_terminal()),
        ),
    };
    // Spans carry the ids, so the ones for units of work stay whatever the level of the events is.
    let ids = filter_fn(|metadata| metadata.is_span() && *metadata.level() <= Level::INFO)
        .with_max_level_hint(Level::INFO);
    // The AWS SDK writes whole requests and answers at the level below: what customers sent, and what runs returned.
    let filter = EnvFilter::try_new(&logs.filter)?
        .or(ids)
        .and(LevelFilter::DEBUG);
    Ok(Registry::default().with(lines.with_filter(filter)))
}
