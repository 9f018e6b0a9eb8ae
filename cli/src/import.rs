//! `legwork import`: a recording of the Chrome DevTools Recorder becomes a workflow.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use domain::recording;

use crate::{display, validate};

/// What `import` takes.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The recording, as JSON: "Export" in the Recorder of Chrome's DevTools.
    file: PathBuf,
    /// Where the workflow is written: a new file; standard output, if absent.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replaces the file that `--out` names, if there is one.
    #[arg(long, requires = "out")]
    force: bool,
}

/// Writes a file, which must not replace another one unawares: somebody may have worked on that.
fn write(path: &Path, force: bool, text: &str) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let name = path.display();
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!("{name} exists already; `--force` replaces it")
        }
        written => written.with_context(|| format!("{name} can't be written")),
    }
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
        Some(path) => write(path, arguments.force, &imported.yaml)?,
        None => display::line(imported.yaml.trim_end()),
    }
    Ok(ExitCode::SUCCESS)
}
