//! The functions as they are deployed: each a zip file with an executable named `bootstrap`.
//!
//! `cargo test --workspace` builds them beside this test (tests/bootstrap sees to it). They are programs of this
//! machine and not of the one that template.yaml names: only the emulator runs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

/// The packages, which are also the names that template.yaml looks for.
pub(crate) const NAMES: [&str; 5] = ["api", "dispatcher", "deliverer", "sweeper", "job-trigger"];

/// Writes one zip file, without compressing what goes nowhere.
const ZIP: &str =
    "import sys, zipfile; zipfile.ZipFile(sys.argv[1], 'w').write(sys.argv[2], 'bootstrap')";

/// Packs each function, as it was built last, into a zip file in `folder`.
pub(crate) fn package(folder: &Path) -> anyhow::Result<Vec<(&'static str, PathBuf)>> {
    let built = Path::new(env!("CARGO_BIN_EXE_legwork"))
        .parent()
        .context("legwork lies in no folder")?;
    NAMES
        .into_iter()
        .map(|name| {
            let executable = built.join(name);
            ensure!(
                executable.exists(),
                "{} is missing: `cargo test --workspace` builds it, and so does `cargo build -p {name}`",
                executable.display()
            );
            Ok((name, pack(name, &executable, folder)?))
        })
        .collect()
}

fn pack(name: &str, executable: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let zip = folder.join(format!("{name}.zip"));
    let bootstrap = folder.join(name);
    // Without its symbols it is half as large. Where there is no `strip`, it goes as it is.
    if complete(
        Command::new("strip")
            .arg("-o")
            .arg(&bootstrap)
            .arg(executable),
    )
    .is_err()
    {
        fs::copy(executable, &bootstrap)
            .with_context(|| format!("{} can't be copied", executable.display()))?;
    }
    complete(
        Command::new("python3")
            .args(["-c", ZIP])
            .arg(&zip)
            .arg(&bootstrap),
    )?;
    Ok(zip)
}

fn complete(command: &mut Command) -> anyhow::Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{command:?} did not start"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{command:?} ended with {}:\n{complaint}",
        output.status
    );
    Ok(())
}
