//! Answers of servers: the status and the way of a navigation, responses that are waited for.

use browser::{Arrival, Error, LoadState, Locator, Redirect, ResponsePattern, UrlPattern};

use crate::{LATER, PATIENCE, SOON, Stage};

#[tokio::test]
async fn a_navigation_tells_its_status_and_its_redirects() {
    let stage = Stage::at(&[
        ("/", "start"),
        ("/a", "HTTP 302 Found\nLocation: /b"),
        ("/b", "HTTP 307 Temporary Redirect\nLocation: /c?x=1"),
        (
            "/c",
            "HTTP 404 Not Found\nContent-Type: text/html\n\n<p>gone",
        ),
    ])
    .await;
    let url = |path: &str| stage.site.url(path);
    let arrival = stage.page.goto(&url("/a"), PATIENCE).await.unwrap();
    let redirect = |path: &str, status| Redirect {
        url: url(path),
        status,
    };
    let expected = Arrival {
        url: url("/c?x=1"),
        status: Some(404),
        redirects: vec![redirect("/a", 302), redirect("/b", 307)],
    };
    assert_eq!(arrival, expected);
    let arrival = stage.page.reload(PATIENCE).await.unwrap();
    assert_eq!((arrival.status, arrival.redirects.len()), (Some(404), 0));
    let arrival = stage.page.back(PATIENCE).await.unwrap();
    assert_eq!(arrival.url, url("/"));
    let arrival = stage.page.forward(PATIENCE).await.unwrap();
    assert_eq!(arrival.url, url("/c?x=1"));
}

#[tokio::test]
async fn a_navigation_can_be_over_before_the_document_has_come() {
    let html = r#"<p>here</p><script>addEventListener("DOMContentLoaded", () => { document.title = "parsed" })</script>
        <img src="/gated.gif"><script async src="/gated.js"></script>"#;
    let stage = Stage::at(&[("/", ""), ("/slow", html)]).await;
    let page = &stage.page;
    let url = stage.site.url("/slow");
    let failed = page.goto(&url, LATER).await.unwrap_err().to_string();
    assert!(failed.contains("the load event of"), "{failed}");
    for (state, expected) in [
        (LoadState::Committed, None),
        (LoadState::DomContentLoaded, Some("parsed")),
    ] {
        let arrival = page.goto_until(&url, state, PATIENCE).await.unwrap();
        assert_eq!(arrival.status, Some(200));
        if let Some(title) = expected {
            assert_eq!(page.title().await.unwrap(), title);
        }
    }
    stage.site.gate.add_permits(100);
    let begun = std::time::Instant::now();
    page.goto_until(&url, LoadState::NetworkIdle, PATIENCE)
        .await
        .unwrap();
    assert!(begun.elapsed().as_millis() >= 500);
}

#[tokio::test]
async fn a_response_is_waited_for_with_its_status_headers_and_body() {
    let html = r#"<button onclick="
        fetch('/api/other'); fetch('/api/save?n=1', {method: 'POST'}).then(() => fetch('/api/save?n=2'))">Save</button>"#;
    let stage = Stage::at(&[
        ("/", html),
        ("/api/other", "HTTP 500 Oh No\n\nbroken"),
        (
            "/api/save",
            "HTTP 201 Created\nX-Number: seven\nContent-Type: application/json\n\n{\"saved\": true}",
        ),
    ])
    .await;
    let save = ResponsePattern {
        status: Some(201),
        ..ResponsePattern::from(UrlPattern::glob("*/api/save*"))
    };
    let get = ResponsePattern {
        method: Some("GET".to_owned()),
        ..save.clone()
    };
    let first = stage.page.expect_response(save).unwrap();
    let second = stage.page.expect_response(get).unwrap();
    stage
        .page
        .click(&Locator::css("button"), PATIENCE)
        .await
        .unwrap();
    let mut first = first.wait(PATIENCE).await.unwrap();
    assert_eq!(first.url, stage.site.url("/api/save?n=1"));
    let header = first.headers.iter().find(|(name, _)| name == "X-Number");
    assert_eq!(header.map(|(_, value)| value.as_str()), Some("seven"));
    assert!(!format!("{first:?}").contains("seven"), "{first:?}");
    assert_eq!(first.body(PATIENCE).await.unwrap(), br#"{"saved": true}"#);
    let second = second.wait(PATIENCE).await.unwrap();
    assert_eq!(second.url, stage.site.url("/api/save?n=2"));
}

#[tokio::test]
async fn the_answer_to_a_preflight_is_no_response_to_what_the_page_asks() {
    let stage = Stage::at(&[
        ("/", "<p>Here</p>"),
        (
            "/api",
            "HTTP 200 OK\nAccess-Control-Allow-Origin: *\nAccess-Control-Allow-Headers: *\n\n42",
        ),
    ])
    .await;
    let url = stage.site.url_elsewhere("/api");
    let pattern = ResponsePattern::from(UrlPattern::glob(&url));
    let waiter = stage.page.expect_response(pattern).unwrap();
    let script = format!("void fetch('{url}', {{headers: {{'X-Own': '1'}}}})");
    stage.page.evaluate(&script, PATIENCE).await.unwrap();
    let mut response = waiter.wait(PATIENCE).await.unwrap();
    assert_eq!(response.body(PATIENCE).await.unwrap(), b"42");
}

#[tokio::test]
async fn a_response_without_a_body_has_an_empty_one_and_one_that_broke_off_has_none() {
    let stage = Stage::at(&[
        ("/", "<p>Here</p>"),
        ("/empty", "HTTP 200 OK\n\n"),
        ("/text", "text"),
        ("/moved", "HTTP 302 Found\nLocation: /text?moved\n\nmoved"),
        ("/cut", "HTTP 200 OK\nContent-Length: 100\n\nbegun"),
    ])
    .await;
    for (request, body) in [
        ("'/nothing'", Some("")),
        ("'/empty'", Some("")),
        ("'/text', {method: 'HEAD'}", Some("")),
        ("'/moved'", Some("")),
        ("'/text'", Some("text")),
        ("'/cut'", None),
    ] {
        let path = request.split('\'').nth(1).unwrap();
        let pattern = ResponsePattern::from(UrlPattern::glob(format!("*{path}")));
        let waiter = stage.page.expect_response(pattern).unwrap();
        // The page itself reads none of them.
        let script = format!("void fetch({request})");
        stage.page.evaluate(&script, PATIENCE).await.unwrap();
        let mut response = waiter.wait(PATIENCE).await.unwrap();
        match (response.body(PATIENCE).await, body) {
            (Ok(bytes), Some(body)) => assert_eq!(bytes, body.as_bytes(), "{request}"),
            (Err(Error::NoBody { reason }), None) => {
                assert!(reason.contains("broke off"), "{reason}")
            }
            (other, _) => panic!("{request}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_response_that_does_not_come_is_a_timeout_that_lists_what_came() {
    let html = r#"<button onclick="fetch('/api?token=secret')">Save</button>"#;
    let stage = Stage::at(&[("/", html), ("/api", "HTTP 500 Oh No\n\nbroken")]).await;
    let pattern = ResponsePattern {
        status: Some(200),
        ..ResponsePattern::from(UrlPattern::glob("*/api*"))
    };
    let waiter = stage.page.expect_response(pattern).unwrap();
    let any = ResponsePattern::from(UrlPattern::glob("*/api*"));
    let any = stage.page.expect_response(any).unwrap();
    stage
        .page
        .click(&Locator::css("button"), PATIENCE)
        .await
        .unwrap();
    any.wait(PATIENCE).await.unwrap();
    let failed = waiter.wait(SOON).await.unwrap_err();
    assert!(matches!(failed, Error::TimedOut { .. }), "{failed:?}");
    let message = failed.to_string();
    let what = format!(
        "waited 400 ms for a response with status 200 from */api*; what came: 500 from {}",
        stage.site.url("/api")
    );
    assert_eq!(message, what);
}

#[tokio::test]
async fn a_response_to_a_frame_of_another_origin_is_heard_too() {
    let stage = Stage::at(&[
        ("/", "<p>outer</p>"),
        (
            "/inner",
            "<script>setTimeout(() => fetch('/data'), 100)</script>",
        ),
        ("/data", "42"),
    ])
    .await;
    let waiter = stage
        .page
        .expect_response(ResponsePattern::from(UrlPattern::glob("*/data")))
        .unwrap();
    let script = format!(
        "const frame = document.createElement('iframe'); frame.src = '{}'; document.body.append(frame)",
        stage.site.url_elsewhere("/inner")
    );
    stage.page.evaluate(&script, PATIENCE).await.unwrap();
    let mut response = waiter.wait(PATIENCE).await.unwrap();
    assert_eq!(response.url, stage.site.url_elsewhere("/data"));
    assert_eq!(response.body(PATIENCE).await.unwrap(), b"42");
}

#[tokio::test]
async fn no_url_shows_a_file_of_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret.txt");
    std::fs::write(&file, "canary").unwrap();
    let path = file.display().to_string();
    let link = format!("<a href='file://{path}'>File</a>");
    let stage = Stage::at(&[("/", &link)]).await;
    for before in [
        "file://",
        " FILE://",
        "f\tile://",
        "view-source:file://",
        "file:",
        "",
    ] {
        let url = format!("{before}{path}");
        let failed = stage.page.goto(&url, PATIENCE).await.unwrap_err();
        assert!(matches!(failed, Error::Navigation { .. }), "{failed:?}");
    }
    // Nor can a page get there: Chromium itself sees to that.
    let link = Locator::css("a");
    stage.page.click(&link, PATIENCE).await.unwrap();
    for way in [
        "location.href = url",
        "open(url)",
        "document.body.append(Object.assign(document.createElement('iframe'), { src: url }))",
    ] {
        let script = format!("{{ const url = 'file://{path}'; {way}; }}");
        let _ = stage.page.evaluate(&script, PATIENCE).await;
    }
    let dom = stage.page.dom_snapshot().await.unwrap();
    assert!(dom.contains("File") && !dom.contains("canary"), "{dom}");
}

#[tokio::test]
async fn frames_of_a_page_that_was_left_do_not_keep_the_next_one_busy() {
    let stage = Stage::at(&[
        ("/", "<iframe src=/inner></iframe>"),
        ("/inner", "<script>fetch('/gated')</script>"),
        ("/next", "<p>next</p>"),
    ])
    .await;
    let url = stage.site.url("/next");
    stage
        .page
        .goto_until(&url, LoadState::NetworkIdle, PATIENCE)
        .await
        .unwrap();
}
