//! The browsers that a runner keeps started ahead: as many as its setting says, and none of them dead.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::definition::BrowserSettings;
use platform::addresses::AllowAddresses;
use platform::configuration::{Environment, Runner as Settings};
use runner::{Sessions, chromium};
use tokio::task::JoinSet;

const PATIENCE: Duration = Duration::from_secs(30);

struct Pool {
    sessions: Arc<dyn Sessions>,
    scratch: tempfile::TempDir,
    keeping: JoinSet<()>,
}

async fn pool(size: &str) -> Pool {
    let scratch = tempfile::tempdir().expect("a folder");
    let executable = browser::find_or_install(&mut |_| {})
        .await
        .expect("a browser");
    let settings = Settings::read(&Environment::from_iter([
        ("LEGWORK_BROWSER_POOL", size),
        (
            "LEGWORK_SCRATCH_DIR",
            scratch.path().to_str().expect("text"),
        ),
        ("LEGWORK_CHROMIUM", executable.to_str().expect("text")),
    ]))
    .expect("settings");
    let sessions = chromium(&settings, AllowAddresses::AndLoopback).expect("browsers");
    let sessions: Arc<dyn Sessions> = Arc::from(sessions);
    let mut keeping = JoinSet::new();
    let kept = Arc::clone(&sessions);
    keeping.spawn(async move { kept.keep_ready().await });
    Pool {
        sessions,
        scratch,
        keeping,
    }
}

/// The process groups of the browsers under a folder that have been told of, in the order in which they were started.
fn browsers(scratch: &Path) -> Vec<u32> {
    let folders = std::fs::read_dir(scratch).expect("a folder").flatten();
    let groups = folders.filter_map(|folder| {
        let name = folder.file_name().into_string().ok()?;
        let number: u64 = name.rsplit('-').next()?.parse().ok()?;
        let text = std::fs::read_to_string(folder.path().join("group")).ok()?;
        let group: u32 = text.split_whitespace().next()?.parse().ok()?;
        (group > 0).then_some((number, group))
    });
    let groups: BTreeMap<u64, u32> = groups.collect();
    groups.into_values().collect()
}

/// Waits until there are as many browsers, of which none is this one.
async fn until_there_are(pool: &Pool, count: usize, without: Option<u32>) -> Vec<u32> {
    let begun = Instant::now();
    loop {
        let found = browsers(pool.scratch.path());
        if found.len() == count && !found.iter().any(|group| Some(*group) == without) {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "there are {found:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn as_many_browsers_as_the_setting_says_are_ready_and_one_that_is_taken_is_followed_by_another()
 {
    let mut pool = pool("2").await;
    let ready = until_there_are(&pool, 2, None).await;
    let settings = BrowserSettings::default();
    let session = pool
        .sessions
        .open(&settings, None)
        .await
        .expect("a session");
    let all = until_there_are(&pool, 3, None).await;
    assert!(ready.iter().all(|group| all.contains(group)));
    drop(session.browser);
    session.held.close().await;
    until_there_are(&pool, 2, None).await;
    pool.keeping.shutdown().await;
    pool.sessions.close().await;
    let left = std::fs::read_dir(pool.scratch.path()).expect("a folder");
    assert_eq!(left.count(), 0);
}

#[tokio::test]
async fn without_a_pool_a_browser_is_started_when_it_is_needed() {
    let pool = pool("0").await;
    let settings = BrowserSettings::default();
    let session = pool
        .sessions
        .open(&settings, None)
        .await
        .expect("a session");
    until_there_are(&pool, 1, None).await;
    session.held.close().await;
    until_there_are(&pool, 0, None).await;
}

#[tokio::test]
async fn a_ready_browser_that_dies_is_replaced_before_anybody_takes_it() {
    let pool = pool("2").await;
    // They are started one after the other: once the second one is told of, the first one is ready.
    let dead = until_there_are(&pool, 2, None).await[0];
    let killed = tokio::process::Command::new("kill")
        .args(["-s", "KILL", "--", &dead.to_string()])
        .status()
        .await
        .expect("it is told");
    assert!(killed.success());
    until_there_are(&pool, 2, Some(dead)).await;
    pool.sessions.close().await;
}
