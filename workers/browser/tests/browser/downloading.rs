//! Downloads: their bytes and names, however they are started.

use browser::{Error, Locator};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::{LATER, PATIENCE, SOON, Stage};

const ATTACHED: &str =
    "HTTP 200 OK\nContent-Disposition: attachment\nContent-Type: application/octet-stream\n\nabc";

#[tokio::test]
async fn a_download_has_its_hash_and_a_name_even_if_the_site_gives_none() {
    let stage = Stage::at(&[
        ("/", r#"<a href="/export">Export</a>"#),
        ("/export", ATTACHED),
    ])
    .await;
    let waiter = stage.page.expect_download();
    stage
        .page
        .click(&Locator::css("a"), PATIENCE)
        .await
        .unwrap();
    let download = waiter.wait(PATIENCE).await.unwrap();
    assert_eq!(download.suggested_file_name, "export");
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(download.sha256, abc);
}

#[tokio::test]
async fn a_download_by_navigation_leaves_the_page_where_it_was() {
    let stage = Stage::at(&[("/", "<p>here</p>"), ("/export", ATTACHED)]).await;
    let waiter = stage.page.expect_download();
    stage
        .page
        .goto(&stage.site.url("/export"), PATIENCE)
        .await
        .unwrap();
    let download = waiter.wait(PATIENCE).await.unwrap();
    assert_eq!(download.size_bytes, 3);
    assert_eq!(stage.page.url().await.unwrap(), stage.site.url("/"));
    let text = stage.page.text(&Locator::css("p"), PATIENCE).await.unwrap();
    assert_eq!(text, "here");
}

#[tokio::test]
async fn a_download_that_a_popup_turns_out_to_be_is_had_too() {
    let html = r#"<button onclick="window.open('/export')">Open</button>
        <a href="/export" target="_blank">Link</a><p>here</p>"#;
    let stage = Stage::at(&[("/", html), ("/export", ATTACHED)]).await;
    for selector in ["button", "a"] {
        let waiter = stage.page.expect_download();
        stage
            .page
            .click(&Locator::css(selector), PATIENCE)
            .await
            .unwrap();
        let download = waiter.wait(PATIENCE).await.unwrap();
        assert_eq!(download.size_bytes, 3);
    }
    assert_eq!(
        stage.value("document.querySelector('p').innerText").await,
        "here"
    );
}

#[tokio::test]
async fn a_download_that_the_page_makes_itself_is_had() {
    let html = r#"<button>Save</button><script>
        document.querySelector('button').onclick = () => {
            const link = document.createElement('a');
            link.href = URL.createObjectURL(new Blob(['x,y\n']));
            link.download = '../../made.csv';
            link.click();
        };</script>"#;
    let stage = Stage::at(&[("/", html)]).await;
    let waiter = stage.page.expect_download();
    stage
        .page
        .click(&Locator::css("button"), PATIENCE)
        .await
        .unwrap();
    let download = waiter.wait(PATIENCE).await.unwrap();
    assert_eq!(std::fs::read(&download.path).unwrap(), b"x,y\n");
    assert!(!download.suggested_file_name.contains('/'), "{download:?}");
    assert!(
        download
            .path
            .starts_with(stage.scratch.path().canonicalize().unwrap())
    );
}

#[tokio::test]
async fn a_download_that_breaks_off_is_an_error() {
    // The server promises more than it sends.
    let broken = "HTTP 200 OK\nContent-Disposition: attachment; filename=half.bin\nContent-Length: 1000\n\nabc";
    let stage = Stage::at(&[("/", r#"<a href="/half">Half</a>"#), ("/half", broken)]).await;
    let waiter = stage.page.expect_download();
    stage
        .page
        .click(&Locator::css("a"), PATIENCE)
        .await
        .unwrap();
    let failed = waiter.wait(PATIENCE).await.unwrap_err();
    assert!(matches!(failed, Error::Download { .. }), "{failed:?}");
    assert!(failed.to_string().contains("half.bin"), "{failed}");
}

#[tokio::test]
async fn a_waiter_that_is_dropped_takes_no_download() {
    let stage = Stage::at(&[
        ("/", r#"<a href="/export">Export</a>"#),
        ("/export", ATTACHED),
    ])
    .await;
    let page = &stage.page;
    let failed = page.expect_download().wait(SOON).await.unwrap_err();
    assert!(matches!(failed, Error::TimedOut { .. }), "{failed:?}");
    drop(page.expect_download());
    let waiter = page.expect_download();
    page.click(&Locator::css("a"), PATIENCE).await.unwrap();
    waiter.wait(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_download_for_which_nothing_comes_is_canceled() {
    let stage = Stage::at(&[("/", r#"<a href="/nothing" download>Nothing</a>"#)]).await;
    let waiter = stage.page.expect_download();
    let link = Locator::css("a");
    stage.page.click(&link, PATIENCE).await.unwrap();
    let failed = waiter.wait(PATIENCE).await.unwrap_err();
    assert!(matches!(failed, Error::Download { .. }), "{failed:?}");
    assert!(failed.to_string().contains("was canceled"), "{failed}");
}

#[tokio::test]
async fn a_download_that_is_too_large_is_given_up_and_removed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endless = format!("http://{}/", listener.local_addr().unwrap());
    let stage = Stage::with(&[("/", "<p>here</p>")], |options| {
        options.max_download_bytes = 1 << 20;
    })
    .await;
    let waiter = stage.page.expect_download();
    let page = stage.page.clone();
    let mut going = JoinSet::new();
    going.spawn(async move { page.goto(&endless, PATIENCE).await.map(drop) });
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await.unwrap();
    let head = "HTTP/1.1 200 OK\r\nContent-Disposition: attachment; filename=endless.bin\r\nContent-Length: 1099511627776\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    // Without an end, unless the browser hangs up.
    while stream.write_all(&[0; 65536]).await.is_ok() {}
    let failed = waiter.wait(PATIENCE).await.unwrap_err();
    assert!(matches!(failed, Error::DownloadExcess { .. }), "{failed:?}");
    assert!(failed.to_string().contains("1048576 bytes"), "{failed}");
    going.join_next().await.unwrap().unwrap().unwrap();
    only(&stage, &[]).await;
}

/// The files in the folder of the stage's downloads.
fn files(stage: &Stage) -> Vec<std::path::PathBuf> {
    let own = std::fs::read_dir(stage.scratch.path()).unwrap();
    let own = own.flatten().next().unwrap().path();
    let files = std::fs::read_dir(own.join("downloads")).unwrap();
    files.flatten().map(|file| file.path()).collect()
}

/// Waits until these files alone are in the folder of the stage's downloads.
async fn only(stage: &Stage, expected: &[&std::path::Path]) {
    let begun = std::time::Instant::now();
    while files(stage) != expected {
        assert!(begun.elapsed() < PATIENCE, "{:?}", files(stage));
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_download_that_nobody_waits_for_is_given_up() {
    let html = "<a href=/export download>Export</a><script>
        function save(count) { for (; count; count--) document.querySelector('a').click() }</script>";
    let stage = Stage::at(&[("/", html), ("/export", ATTACHED)]).await;
    stage.value("save(20)").await;
    // Whichever of all these it gets.
    let waiter = stage.page.expect_download();
    let link = Locator::css("a");
    stage.page.click(&link, PATIENCE).await.unwrap();
    let download = waiter.wait(PATIENCE).await.unwrap();
    only(&stage, &[&download.path]).await;
}

#[tokio::test]
async fn a_download_that_nobody_waits_for_any_more_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let slow = format!("http://{}/", listener.local_addr().unwrap());
    let stage = Stage::at(&[("/", "<p>here</p>")]).await;
    let waiter = stage.page.expect_download();
    let answering = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await.unwrap();
        let head = "HTTP/1.1 200 OK\r\nContent-Disposition: attachment; filename=slow.bin\r\nContent-Length: 1000000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&[0; 65536]).await.unwrap();
        stream
    };
    let (went, mut stream) = tokio::join!(stage.page.goto(&slow, PATIENCE), answering);
    went.unwrap();
    let failed = waiter.wait(LATER).await.unwrap_err();
    assert!(failed.to_string().contains("did not end"), "{failed}");
    // The browser hangs up.
    let end = tokio::time::timeout(PATIENCE, stream.read(&mut [0; 16])).await;
    assert!(matches!(end, Ok(Ok(0) | Err(_))), "{end:?}");
    only(&stage, &[]).await;
}

#[tokio::test]
async fn downloads_are_bounded_together_too() {
    let file = format!("{ATTACHED}{}", "d".repeat(100_000));
    let stage = Stage::with(
        &[("/", "<a href=/export>Export</a>"), ("/export", &file)],
        |options| options.max_total_download_bytes = 250_000,
    )
    .await;
    let mut kept = 0;
    let failed = loop {
        let waiter = stage.page.expect_download();
        let link = Locator::css("a");
        stage.page.click(&link, PATIENCE).await.unwrap();
        match waiter.wait(PATIENCE).await {
            Ok(download) => kept += download.size_bytes,
            Err(failed) => break failed,
        }
    };
    assert!(matches!(failed, Error::DownloadExcess { .. }), "{failed:?}");
    assert!(failed.to_string().contains("250000 bytes"), "{failed}");
    assert_eq!(kept, 200_006);
}

#[tokio::test]
async fn a_download_that_nobody_needs_any_more_makes_room_for_others() {
    let file = format!("{ATTACHED}{}", "d".repeat(100_000));
    let stage = Stage::with(
        &[("/", "<a href=/export>Export</a>"), ("/export", &file)],
        |options| options.max_total_download_bytes = 250_000,
    )
    .await;
    for _ in 0..5 {
        let waiter = stage.page.expect_download();
        let link = Locator::css("a");
        stage.page.click(&link, PATIENCE).await.unwrap();
        let download = waiter.wait(PATIENCE).await.unwrap();
        only(&stage, &[&download.path]).await;
        stage.page.discard(&download);
        assert!(files(&stage).is_empty());
    }
}

#[tokio::test]
async fn a_download_goes_to_who_waits_for_it_in_that_page_or_in_one_that_led_to_it() {
    let html = "<title>One</title><button onclick=\"window.open('/popup')\">Open</button>";
    let popup = "<button onclick=\"opener.location = '/export'; close()\">Confirm</button>
        <iframe srcdoc='<a href=/export>Export</a>'></iframe>";
    let stage = Stage::at(&[("/", html), ("/popup", popup), ("/export", ATTACHED)]).await;
    let (first, button) = (&stage.page, Locator::css("button"));
    let mut popups = Vec::new();
    for _ in 0..2 {
        let waiter = first.expect_page();
        first.click(&button, PATIENCE).await.unwrap();
        popups.push(waiter.wait(PATIENCE).await.unwrap());
    }
    let link = Locator::css("a").in_frame(Locator::css("iframe"));
    // The other one has registered first, and did not cause it.
    let not_its = popups[0].expect_download();
    let waiter = popups[1].expect_download();
    popups[1].click(&link, PATIENCE).await.unwrap();
    assert_eq!(waiter.wait(PATIENCE).await.unwrap().size_bytes, 3);
    let waiter = first.expect_download();
    drop(not_its);
    popups[0].click(&link, PATIENCE).await.unwrap();
    assert_eq!(waiter.wait(PATIENCE).await.unwrap().size_bytes, 3);
    let waiter = popups[0].expect_download();
    popups[0].click(&button, PATIENCE).await.unwrap();
    assert_eq!(waiter.wait(PATIENCE).await.unwrap().size_bytes, 3);
}

#[tokio::test]
async fn one_download_follows_at_once_upon_another() {
    let html = "<label>Month <select><option>April</option><option>May</option></select></label><a href=/export.csv>Export</a>";
    let file = "HTTP 200 OK\nContent-Type: text/csv\nContent-Disposition: attachment; filename=export.csv\n\na,b";
    let stage = Stage::at(&[("/", html), ("/export.csv", file)]).await;
    let page = &stage.page;
    let (link, month) = (Locator::role("link", "Export"), Locator::label("Month"));
    for number in 0..30 {
        let option = ["April", "May"][number % 2];
        page.select_option(&month, option, PATIENCE).await.unwrap();
        let waiter = page.expect_download();
        page.click(&link, PATIENCE).await.unwrap();
        let download = waiter.wait(PATIENCE).await.unwrap();
        assert_eq!(download.size_bytes, 3, "{number}");
    }
}
