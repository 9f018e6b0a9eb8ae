//! `legwork validate`: checks definitions, and runs nothing.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use domain::definition::{Definition, ValidationError};
use serde::Serialize;

use crate::{display, excerpt};

/// What `validate` takes.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Workflow definitions, in YAML or JSON.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// How errors are shown.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How errors are shown.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Each with its line, for a person.
    Text,
    /// A JSON document for each file, on a line.
    Json,
}

/// The result for one file, as programs read it.
#[derive(Serialize)]
struct Checked<'c> {
    file: String,
    valid: bool,
    errors: &'c [ValidationError],
}

/// Checks each file. Exit code 0: all are right; 1: one is wrong; 2, by an error: one can't be read.
pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut are_valid = true;
    for file in &arguments.files {
        let text = read(file)?;
        let errors = Definition::parse_yaml(&text).err().unwrap_or_default();
        are_valid &= errors.is_empty();
        let name = file.display().to_string();
        match arguments.format {
            Format::Json => {
                let checked = Checked {
                    file: name,
                    valid: errors.is_empty(),
                    errors: &errors,
                };
                display::line(&serde_json::to_string(&checked)?);
            }
            Format::Text => {
                for error in &errors {
                    display::note(&excerpt::show(error, &name, &text));
                }
                let result = match errors.len() {
                    0 => "is a workflow definition".to_owned(),
                    1 => "has an error".to_owned(),
                    count => format!("has {count} errors"),
                };
                display::line(&format!("{name} {result}"));
            }
        }
    }
    Ok(if are_valid {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Reads a definition's text.
pub(crate) fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("{} can't be read", file.display()))
}
