//! A recording of the Chrome DevTools Recorder becomes a workflow: the JSON that `@puppeteer/replay` 3.1 describes, to
//! YAML that validates. What has no counterpart is listed, in comments and as warnings; what was typed into a password
//! field appears nowhere. Runs nothing.

mod keys;
mod names;
mod outline;
mod selectors;
mod steps;
#[cfg(test)]
mod tests;
mod yaml;

use std::collections::BTreeSet;

use serde_json::Value;
use thiserror::Error;

use crate::definition::{Definition, ValidationError};
use outline::Outline;
use steps::Translation;

/// How long a recording may be, in bytes.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// A workflow that was made of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The workflow, with comments where something could not be translated.
    pub yaml: String,
    /// What could not be translated, and where in the recording it stands.
    pub warnings: Vec<String>,
    /// The secrets that it needs: what was typed into password fields.
    pub secrets: BTreeSet<String>,
}

/// Why a recording does not become a workflow.
#[derive(Debug, Error)]
pub enum ImportError {
    /// It is too long.
    #[error("a recording has at most {MOST_BYTES} bytes")]
    TooLarge,
    /// It is not JSON.
    #[error("the recording is not JSON (line {}, column {})", .0.line(), .0.column())]
    NotJson(#[source] serde_json::Error),
    /// It is JSON, and not a recording.
    #[error("this is not a recording of the Chrome DevTools Recorder: {0}")]
    NotARecording(&'static str),
    /// Nothing was recorded.
    #[error(
        "the recording has no steps: record what is to be done, end the recording, and export it again"
    )]
    Empty,
    /// Nothing in it can be translated.
    #[error("nothing of the recording can be translated: {}", .0.join("; "))]
    NothingLeft(Vec<String>),
    /// What it became does not validate: the recording is larger or stranger than a workflow may be.
    #[error("the recording becomes no workflow: {}", .0.first().map(ToString::to_string).unwrap_or_default())]
    NotAWorkflow(Vec<ValidationError>),
}

/// Makes a workflow of a recording.
///
/// # Errors
/// The text is no recording, or nothing of it can be translated.
pub fn import(text: &str) -> Result<Imported, ImportError> {
    if text.len() > MOST_BYTES {
        return Err(ImportError::TooLarge);
    }
    let recording: Value = serde_json::from_str(text).map_err(ImportError::NotJson)?;
    let Value::Object(recording) = &recording else {
        return Err(ImportError::NotARecording("it is not a map"));
    };
    let Some(Value::Array(steps)) = recording.get("steps") else {
        return Err(ImportError::NotARecording("it has no list `steps`"));
    };
    if steps.is_empty() {
        return Err(ImportError::Empty);
    }
    let title = recording.get("title").and_then(Value::as_str);
    let timeout = recording.get("timeout").and_then(Value::as_u64);
    let mut translation = Translation::new(timeout);
    for (index, step) in steps.iter().enumerate() {
        translation.translate(index, step);
    }
    let Outline {
        document,
        warnings,
        secrets,
    } = translation.finish(title.unwrap_or_default());
    let Some(document) = document else {
        return Err(ImportError::NothingLeft(warnings));
    };
    let yaml = document.to_text(&warnings, &secrets);
    Definition::parse_yaml(&yaml).map_err(ImportError::NotAWorkflow)?;
    Ok(Imported {
        yaml,
        warnings,
        secrets,
    })
}
