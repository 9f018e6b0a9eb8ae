//! Many runs one after another, each with a browser of its own, leave nothing behind. It is a test
//! binary of its own, because it counts what its process has.
//!
//! `cargo test -p browser` does [`SHORT`] runs; all [`LONG`] of them are one command:
//! `cargo test -p browser --test endurance -- --ignored --nocapture`
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that can't go on is a test that fails; this one also says what it counted"
)]

// What these have for other tests is not used here.
#[expect(dead_code, reason = "shared with the tests in tests/browser")]
#[path = "../browser/processes.rs"]
mod processes;
#[expect(dead_code, reason = "shared with the tests in tests/browser")]
#[path = "../browser/site.rs"]
mod site;

use std::time::Duration;

use browser::{Browser, LaunchOptions, Locator, RecordingOptions, Screenshot, find_or_install};

use crate::processes::{members_of, processes_with};
use crate::site::Site;

/// More than anything here needs; reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many runs fill caches before what the process has is taken as its measure, and how many
/// there are in all: in every test run, and in the long form.
const SHORT: (usize, usize) = (5, 15);
const LONG: (usize, usize) = (50, 200);

/// What a process may grow by, in KiB. A run that leaked its page's smallest picture would exceed
/// it in the long form.
const GROWTH_KIB: u64 = 2048;

/// What this process has now.
#[derive(Debug)]
struct Holdings {
    /// Without the pages of files, which come and go with the machine's memory.
    resident_kib: u64,
    descriptors: usize,
    zombies: usize,
}

impl Holdings {
    fn now() -> Self {
        let own = std::process::id();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let resident = resident.unwrap().trim().trim_end_matches(" kB");
        let stats = std::fs::read_dir("/proc").unwrap().flatten();
        let stats =
            stats.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
        let zombie = format!("Z {own} ");
        Self {
            resident_kib: resident.parse().unwrap(),
            descriptors: std::fs::read_dir("/proc/self/fd").unwrap().count(),
            zombies: stats
                .filter(|stat| {
                    stat.rsplit_once(") ")
                        .is_some_and(|(_, rest)| rest.starts_with(&zombie))
                })
                .count(),
        }
    }
}

async fn run(options: &LaunchOptions, site: &Site) {
    let browser = Browser::launch(options).await.unwrap();
    let page = browser.page().await.unwrap();
    let recording = browser.record(RecordingOptions::default());
    page.goto(&site.url("/"), PATIENCE).await.unwrap();
    page.fill(&Locator::css("input"), "text", PATIENCE)
        .await
        .unwrap();
    page.click(&Locator::role("button", "Go"), PATIENCE)
        .await
        .unwrap();
    let inner = Locator::css("p").in_frame(Locator::css("iframe"));
    assert_eq!(page.text(&inner, PATIENCE).await.unwrap(), "inner");
    let download = page.expect_download();
    page.click(&Locator::css("a"), PATIENCE).await.unwrap();
    download.wait(PATIENCE).await.unwrap();
    page.screenshot(&Screenshot::default()).await.unwrap();
    assert!(recording.finish().await.har.is_some());
    let group = browser.process_id();
    browser.close().await;
    assert_eq!(members_of(group), Vec::<u32>::new());
    // The site is in this process: its sockets are none of the browser's.
    site.quiet().await;
}

async fn endure((warm_up, runs): (usize, usize)) {
    let html = "<input><button>Go</button><a href=/list.csv>Export</a><iframe src=/inner></iframe>";
    let pages = [
        ("/", html),
        ("/inner", "<p>inner</p>"),
        ("/list.csv", "a,b\n"),
    ];
    let site = Site::start(&pages).await;
    let scratch = tempfile::tempdir().unwrap();
    let options = LaunchOptions::new(find_or_install(&mut |_| {}).await.unwrap(), scratch.path());
    for _ in 0..warm_up {
        run(&options, &site).await;
    }
    let before = Holdings::now();
    for _ in warm_up..runs {
        run(&options, &site).await;
    }
    let after = Holdings::now();
    let mark = scratch.path().to_str().unwrap();
    assert_eq!(processes_with(mark), Vec::<u32>::new());
    assert_eq!(std::fs::read_dir(mark).unwrap().count(), 0);
    println!("after {warm_up} runs: {before:?}; after {runs}: {after:?}");
    assert_eq!(
        after.descriptors, before.descriptors,
        "{before:?} {after:?}"
    );
    assert_eq!(after.zombies, 0, "{before:?} {after:?}");
    let most = before.resident_kib + GROWTH_KIB;
    assert!(after.resident_kib <= most, "{before:?} {after:?}");
}

#[tokio::test]
async fn some_runs_leave_no_process_no_folder_no_descriptor_and_no_memory() {
    endure(SHORT).await;
}

#[tokio::test]
#[ignore = "takes minutes; the short form of it runs always"]
async fn many_runs_leave_no_process_no_folder_no_descriptor_and_no_memory() {
    endure(LONG).await;
}
