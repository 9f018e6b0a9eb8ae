//! Files that a run gives to a site.

use std::path::{Path, PathBuf};
use std::time::Duration;

use browser::{Browser, LaunchOptions, Locator, find_or_install};
use engine::{Browser as _, Chromium, UploadedContent, UploadedFile};
use serde_json::json;

use crate::pages::{Site, html};

const PATIENCE: Duration = Duration::from_secs(20);

/// The files of this name below a folder.
fn named(name: &str, folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(named(name, &path));
        } else if path.ends_with(name) {
            found.push(path);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_uploaded_lies_in_the_browsers_folder_and_goes_with_it_whoever_removes_that() {
    let site = Site::start(|_| {
        Some(html(
            "<input type=file multiple><a href=/file download>File</a>",
        ))
    })
    .await;
    let executable = find_or_install(&mut |_| {}).await.expect("a browser");
    let scratch = tempfile::tempdir().expect("a folder");
    let browser = Browser::launch(&LaunchOptions::new(executable, scratch.path()))
        .await
        .expect("it starts");
    let mut tabs = Chromium::new(browser.page().await.expect("a page"));
    tabs.goto(&site.url, PATIENCE).await.expect("it opens");
    let download = tabs.download(&Locator::css("a"), PATIENCE).await;
    let file = |name: &str, content| UploadedFile {
        name: name.to_owned(),
        content,
    };
    let files = [
        file("made.txt", UploadedContent::Bytes(b"made".to_vec())),
        file(
            "had.html",
            UploadedContent::File(download.expect("a file").path),
        ),
    ];
    let field = Locator::css("input");
    let uploaded = tabs.upload(&field, &files, PATIENCE).await;
    uploaded.expect("it takes them");
    let seen = "async () => (await Promise.all([...document.querySelector('input').files].map((it) => it.text()))).map((text) => text.slice(0, 9))";
    let seen = tabs.evaluate(seen, json!(null), None, PATIENCE).await;
    assert_eq!(seen.expect("it reads them"), json!(["made", "<!doctype"]));
    for name in ["made.txt", "had.html"] {
        let found = named(name, scratch.path());
        assert_eq!(found.len(), 1, "{name}");
    }
    browser.close().await;
    let left = std::fs::read_dir(scratch.path()).expect("a folder");
    assert_eq!(left.count(), 0);
}
