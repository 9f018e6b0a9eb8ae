//! The documents pages, and the pages that are awkward on purpose.

use std::future::Future;
use std::io;

use axum::http::StatusCode;
use axum::http::header::CONTENT_DISPOSITION;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::browser::{Browser, Page};

async fn signed_in() -> Browser {
    let mut browser = Browser::on(&practice_site::router());
    browser.sign_in("", "hr@example.com").await;
    browser
}

fn upload<'a>(
    browser: &'a mut Browser,
    name: &str,
    bytes: &[u8],
) -> impl Future<Output = Page> + use<'a> {
    let mut body = format!(
        "--cut\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(bytes);
    body.extend_from_slice(b"\r\n--cut--\r\n");
    browser.post(
        "/documents/upload",
        "multipart/form-data; boundary=cut",
        body,
    )
}

#[tokio::test]
async fn an_upload_tells_name_size_and_hash() {
    let mut browser = signed_in().await;
    let page = upload(&mut browser, "a <b> & c.txt", b"abc").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.text
            .contains("id=\"received-name\">a &lt;b&gt; &amp; c.txt<")
    );
    assert!(page.text.contains("id=\"received-size\">3<"));
    let of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert!(page.text.contains(of_abc));
}

#[tokio::test]
async fn an_upload_ends_at_ten_megabytes() {
    let mut browser = signed_in().await;
    let ten_mb = vec![b'x'; 10 * 1024 * 1024];
    assert_eq!(
        upload(&mut browser, "big", &ten_mb).await.status,
        StatusCode::OK
    );
    let more = [ten_mb.as_slice(), b"x"].concat();
    let page = upload(&mut browser, "bigger", &more).await;
    assert_eq!(page.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(page.alert(), Some("The file is larger than 10 MB"));
}

#[tokio::test]
async fn an_upload_without_a_file_says_so() {
    let mut browser = signed_in().await;
    let page = upload(&mut browser, "", b"").await;
    assert_eq!(page.alert(), Some("Choose a file first"));
}

#[tokio::test]
async fn documents_are_filtered_and_deleted_for_this_browser_only() {
    let site = practice_site::router();
    let (mut browser, mut other) = (Browser::on(&site), Browser::on(&site));
    browser.sign_in("", "hr@example.com").await;
    other.sign_in("", "hr@example.com").await;
    assert_eq!(browser.open("/documents").await.rows().len(), 3);
    assert_eq!(
        browser.open("/documents?type=contract").await.rows().len(),
        1
    );
    assert_eq!(
        browser
            .open("/documents?type=contract&archived=on")
            .await
            .rows()
            .len(),
        2
    );
    let page = browser.submit("/documents/delete", "id=0").await;
    assert!(page.text.contains("Deleted Employee handbook"));
    assert_eq!(page.rows().len(), 2);
    assert_eq!(other.open("/documents").await.rows().len(), 3);
}

#[tokio::test]
async fn the_unnamed_download_has_no_file_name() {
    let mut browser = signed_in().await;
    let file = browser.open("/documents/unnamed").await;
    assert_eq!(file.headers[CONTENT_DISPOSITION], "attachment");
}

#[tokio::test]
async fn every_page_renders() {
    let mut browser = signed_in().await;
    for path in [
        "/documents",
        "/documents/feedback?comment=hi",
        "/documents/payslip",
        "/documents/upload",
        "/moving",
        "/overlay",
        "/overlay?ms=0",
    ] {
        let page = browser.open(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text);
        assert_eq!(page.path, path);
    }
    assert_eq!(browser.open("/big").await.rows().len(), 10_000);
    assert_eq!(browser.open("/big?rows=3").await.rows().len(), 3);
}

#[tokio::test]
async fn a_page_that_never_ends_starts_and_does_not_hold_up_the_shutdown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("the listener has an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let server = practice_site::serve(listener, async {
        stopped.await.ok();
    });
    let visitor = async {
        let mut connection = TcpStream::connect(address).await?;
        let request = b"GET /never HTTP/1.1\r\nHost: portal\r\n\r\n";
        connection.write_all(request).await?;
        let mut seen = String::new();
        while !seen.contains("The first part of this page is here") {
            let mut bytes = [0; 4096];
            let count = connection.read(&mut bytes).await?;
            assert_ne!(count, 0, "the page ended");
            seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        stop.send(()).expect("the server waits for its shutdown");
        // The connection stays open until the server has ended.
        io::Result::Ok(connection)
    };
    let (served, visited) = tokio::join!(server, visitor);
    served.expect("the server ends without an error");
    visited.expect("the page starts");
}
