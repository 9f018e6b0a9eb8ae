//! Installs the browser where that is possible, after saying so. Used by what runs on a developer's machine; a
//! container has its browser built in.

use std::path::PathBuf;

use tokio::process::Command;
use tokio::sync::Mutex;

use crate::Error;
use crate::launch::{PACKAGE, find_executable, is_named};

/// Tests start side by side; one of them installs.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// Finds the browser as [`find_executable`] does. Where it is missing, and this process is root on a machine with
/// `apt-get`, installs Debian's package, after telling `say`.
///
/// # Errors
///
/// [`Error::NoExecutable`] with the command that a person can run; [`Error::Install`] if that command failed here.
pub async fn find_or_install(say: &mut (dyn FnMut(&str) + Send)) -> Result<PathBuf, Error> {
    let _alone = ONE_AT_A_TIME.lock().await;
    let missing = match find_executable() {
        Ok(found) => return Ok(found),
        Err(missing) => missing,
    };
    let may_install = !is_named() && rustix::process::geteuid().is_root() && has_apt().await;
    if !may_install {
        return Err(missing);
    }
    say(&format!(
        "Installing the browser (Debian package {PACKAGE})"
    ));
    apt_get(&["update", "--quiet=2"]).await?;
    apt_get(&[
        "install",
        "--quiet=2",
        "--yes",
        "--no-install-recommends",
        PACKAGE,
    ])
    .await?;
    find_executable()
}

async fn has_apt() -> bool {
    let asked = Command::new("apt-get").arg("--version").output().await;
    asked.is_ok_and(|output| output.status.success())
}

async fn apt_get(arguments: &[&str]) -> Result<(), Error> {
    let command = format!("apt-get {}", arguments.join(" "));
    let output = Command::new("apt-get")
        // Another installation on the machine, such as another test's, is waited for.
        .args(["-o", "DPkg::Lock::Timeout=300"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .await?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::Install {
        command,
        status: output.status,
        said,
    })
}
