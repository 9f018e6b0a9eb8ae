//! Finds the browser, or installs it after saying so, where this may install packages.

use std::path::PathBuf;

use anyhow::{Context, bail};
use tokio::process::Command;

const PACKAGE: &str = "chromium-headless-shell";

/// The browser's executable.
pub(crate) async fn ensure(say: &mut (dyn FnMut(&str) + Send)) -> anyhow::Result<PathBuf> {
    let missing = match browser::find_executable() {
        Ok(found) => return Ok(found),
        Err(missing) => missing,
    };
    let named_but_missing = platform::configuration::Environment::from_process().get("LEGWORK_CHROMIUM").is_some();
    let may_install = rustix::process::geteuid().is_root() && has_apt().await;
    if named_but_missing || !may_install {
        return Err(missing).context("the browser is missing");
    }
    say(&format!("Installing the browser (Debian package {PACKAGE})"));
    apt_get(&["update", "--quiet=2"]).await?;
    apt_get(&["install", "--quiet=2", "--yes", "--no-install-recommends", PACKAGE]).await?;
    browser::find_executable().context("the browser was installed, and still is not found")
}

async fn has_apt() -> bool {
    let asked = Command::new("apt-get").arg("--version").output().await;
    asked.is_ok_and(|output| output.status.success())
}

async fn apt_get(arguments: &[&str]) -> anyhow::Result<()> {
    let command = format!("apt-get {}", arguments.join(" "));
    let output = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .await
        .with_context(|| format!("{command} did not start"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{command}` ended with {}:\n{}", output.status, said.trim());
    }
    Ok(())
}
