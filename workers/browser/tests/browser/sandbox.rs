//! Chromium's own sandbox, for a user who isn't root. Root's tests become such a user first.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use browser::{Browser, Error, LaunchOptions, Sandbox, find_or_install};

use crate::PATIENCE;
use crate::processes::write_program;

const NOBODY: [&str; 3] = ["--reuid=65534", "--regid=65534", "--clear-groups"];

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt;
        own.uid() == 0
    })
}

/// What starts the browser as an ordinary user: the browser itself, or a script around it.
async fn as_ordinary_user(executable: &Path, folder: &Path) -> PathBuf {
    if !is_root() {
        return executable.to_owned();
    }
    let text = format!(
        "chown -R 65534:65534 . && exec setpriv {} '{}' \"$@\"",
        NOBODY.join(" "),
        executable.display()
    );
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    write_program(folder, &text).await
}

/// Whether this machine lets an ordinary user have namespaces of their own, which the sandbox is
/// made of.
async fn has_namespaces() -> bool {
    let mut command = if is_root() {
        let mut command = tokio::process::Command::new("setpriv");
        command.args(NOBODY).arg("unshare");
        command
    } else {
        tokio::process::Command::new("unshare")
    };
    let tried = command.args(["--user", "true"]).output().await;
    tried.is_ok_and(|output| output.status.success())
}

/// The renderers in a process group.
fn renderers(group: u32) -> Vec<PathBuf> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .map(|entry| entry.path())
        .filter(|process| {
            let read = |file| std::fs::read_to_string(process.join(file)).unwrap_or_default();
            let stat = read("stat");
            let in_group = stat
                .rsplit_once(") ")
                .and_then(|(_, fields)| fields.split_whitespace().nth(2))
                .is_some_and(|field| field == group.to_string());
            in_group && read("cmdline").contains("--type=renderer")
        })
        .collect()
}

#[tokio::test]
async fn an_ordinary_users_browser_runs_in_its_sandbox_or_not_at_all() {
    let scratch = tempfile::tempdir().unwrap();
    let executable = find_or_install(&mut |_| {}).await.unwrap();
    let executable = as_ordinary_user(&executable, scratch.path()).await;
    let mut options = LaunchOptions::new(executable, scratch.path());
    options.sandbox = Sandbox::On;
    let launched = Browser::launch(&options).await;
    if !has_namespaces().await {
        // No quiet way around: the caller must say `Sandbox::Off`.
        let failed = launched.err().unwrap();
        assert!(matches!(failed, Error::Launch { .. }), "{failed:?}");
        return;
    }
    let browser = launched.unwrap();
    let page = browser.page().await.unwrap();
    assert_eq!(page.evaluate("6 * 7", PATIENCE).await.unwrap(), 42);
    let renderers = renderers(browser.process_id());
    assert!(!renderers.is_empty());
    for renderer in renderers {
        let begun = Instant::now();
        // One that is only just starting, for a page to come, is not in it yet.
        loop {
            let status = std::fs::read_to_string(renderer.join("status")).unwrap();
            if status.contains("Seccomp:\t2") {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{status}");
            tokio::task::yield_now().await;
        }
        let command = std::fs::read_to_string(renderer.join("cmdline")).unwrap();
        assert!(!command.contains("--no-sandbox"), "{command}");
        let namespace = |process: &Path| std::fs::read_link(process.join("ns/user")).unwrap();
        assert_ne!(namespace(&renderer), namespace(Path::new("/proc/self")));
    }
    browser.close().await;
}
