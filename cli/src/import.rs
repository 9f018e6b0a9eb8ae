//! `legwork import`: a recording of the Chrome DevTools Recorder becomes a workflow.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use domain::recording;

use crate::{display, validate};

/// What `import` takes.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The recording, as JSON: "Export" in the Recorder of Chrome's DevTools.
    file: PathBuf,
    /// Where the workflow is written; standard output, if absent.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Translates a recording; what could not be translated is said on standard error, and stands in the workflow's comments.
pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let text = validate::read(&arguments.file)?;
    let imported = recording::import(&text)
        .with_context(|| format!("{} can't be imported", arguments.file.display()))?;
    for warning in &imported.warnings {
        display::note(&format!("warning: {warning}"));
    }
    if !imported.secrets.is_empty() {
        let names: Vec<_> = imported.secrets.iter().map(String::as_str).collect();
        display::note(&format!("It needs the secrets: {}", names.join(", ")));
    }
    match &arguments.out {
        Some(path) => {
            std::fs::write(path, imported.yaml)
                .with_context(|| format!("{} can't be written", path.display()))?;
        }
        None => display::line(imported.yaml.trim_end()),
    }
    Ok(ExitCode::SUCCESS)
}
