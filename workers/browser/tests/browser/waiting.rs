//! Conditions, and navigations under way.

use browser::{Condition, Error, LoadState, Locator, ResponsePattern, UrlPattern};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

use crate::{PATIENCE, SOON, Stage};

fn visible(selector: &str) -> Condition {
    Condition::Visible(Locator::css(selector))
}

#[tokio::test]
async fn an_element_that_comes_late_is_waited_for() {
    let html = r#"<script>setTimeout(() => { document.body.innerHTML = '<p id="late">now</p>' }, 200)</script><body></body>"#;
    let stage = Stage::at(&[("/", html)]).await;
    stage
        .page
        .wait_for(&visible("#late"), PATIENCE)
        .await
        .unwrap();
    assert_eq!(stage.page.count(&Locator::css("#late")).await.unwrap(), 1);
}

#[tokio::test]
async fn an_element_that_becomes_visible_without_a_mutation_is_noticed() {
    let html = "<style>@keyframes show { to { visibility: visible } }
        p { visibility: hidden; animation: show 1ms 200ms forwards }</style><p>now</p>";
    let stage = Stage::at(&[("/", html)]).await;
    stage.page.wait_for(&visible("p"), PATIENCE).await.unwrap();
}

#[tokio::test]
async fn each_kind_of_condition_is_decided() {
    let html = r#"<p id="a">Some <b>bold</b> words</p><p id="b" hidden>ghost</p>"#;
    let stage = Stage::at(&[("/", html)]).await;
    let text = |text: &str, within: Option<&str>| Condition::HasText {
        text: text.to_owned(),
        within: within.map(Locator::css),
    };
    let expression = |script: &str| Condition::Expression(script.to_owned());
    let cases = [
        (visible("#a"), true),
        (visible("#b"), false),
        (Condition::Hidden(Locator::css("#b")), true),
        (Condition::Hidden(Locator::css("#none")), true),
        (Condition::Hidden(Locator::css("#a")), false),
        (text("some bold words", None), true),
        (text("bold", Some("#a")), true),
        (text("bold", Some("#b")), false),
        (text("ghost", None), false),
        (Condition::UrlMatches("http://*/".to_owned()), true),
        (Condition::UrlMatches("http://*/x".to_owned()), false),
        (
            expression("document.querySelectorAll('p').length === 2"),
            true,
        ),
        (expression("Promise.resolve(0)"), false),
        (
            Condition::Any(vec![visible("#b"), expression("true")]),
            true,
        ),
        (Condition::Any(vec![visible("#b"), visible("#none")]), false),
        (
            Condition::All(vec![visible("#a"), expression("true")]),
            true,
        ),
        (
            Condition::All(vec![visible("#a"), expression("false")]),
            false,
        ),
    ];
    for (condition, expected) in cases {
        assert_eq!(
            stage.page.holds(&condition).await.unwrap(),
            expected,
            "{condition}"
        );
        let patience = if expected { PATIENCE } else { SOON };
        let waited = stage.page.wait_for(&condition, patience).await;
        assert_eq!(waited.is_ok(), expected, "{condition}: {waited:?}");
    }
}

#[tokio::test]
async fn a_wait_goes_on_over_navigations() {
    let html = "<script>setTimeout(() => { location = '/second' }, 100)</script>first";
    let second = "<script>setTimeout(() => { location = '/third' }, 100)</script>second";
    let stage = Stage::at(&[
        ("/", html),
        ("/second", second),
        ("/third", "<h1>third</h1>"),
    ])
    .await;
    let mixed = Condition::Any(vec![
        visible("#never"),
        Condition::Expression("document.querySelector('h1')".to_owned()),
    ]);
    stage.page.wait_for(&mixed, PATIENCE).await.unwrap();
    stage.page.wait_for(&visible("h1"), PATIENCE).await.unwrap();
    let url = Condition::UrlMatches("*/third".to_owned());
    assert!(stage.page.holds(&url).await.unwrap());
}

#[tokio::test]
async fn a_wait_that_ends_says_what_was_there_instead() {
    let html = r#"<div style="display: none"><p id="p">x</p></div>"#;
    let stage = Stage::at(&[("/", html)]).await;
    let failed = stage.page.wait_for(&visible("#p"), SOON).await.unwrap_err();
    let message = failed.to_string();
    assert!(matches!(failed, Error::TimedOut { .. }), "{failed:?}");
    assert!(message.contains("css=#p to be visible"), "{message}");
    assert!(message.contains("<div>x has display: none"), "{message}");
}

#[tokio::test]
async fn an_address_that_refuses_is_a_navigation_error_with_its_reason() {
    // Nobody listens at a port that is only bound, and nobody else gets it.
    let silent = TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let dead = format!("http://{}/", silent.local_addr().unwrap());
    let html = format!(r#"<a href="{dead}">Dead</a>"#);
    let stage = Stage::at(&[("/", &html)]).await;
    let page = &stage.page;
    let failed = page.goto(&dead, PATIENCE).await.unwrap_err();
    match &failed {
        Error::Navigation { reason, .. } => {
            assert_eq!(reason, "net::ERR_CONNECTION_REFUSED");
        }
        other => panic!("{other:?}"),
    }
    // The next page is not mistaken for the error page, nor the other way round.
    page.goto(&stage.site.url("/"), PATIENCE).await.unwrap();
    page.click(&Locator::text("Dead"), PATIENCE).await.unwrap();
    let failed = page.wait_for(&visible("h1"), PATIENCE).await.unwrap_err();
    assert!(matches!(failed, Error::Navigation { .. }), "{failed:?}");
}

#[tokio::test]
async fn a_page_that_does_not_answer_ends_in_a_timeout() {
    let stage = Stage::at(&[("/", "")]).await;
    let failed = stage
        .page
        .goto(&stage.site.url("/gated"), SOON)
        .await
        .unwrap_err();
    assert!(matches!(failed, Error::TimedOut { .. }), "{failed:?}");
}

#[tokio::test]
async fn the_page_can_be_loaded_again_and_left_backwards() {
    let stage = Stage::at(&[("/", "<title>One</title>"), ("/two", "<title>Two</title>")]).await;
    let page = &stage.page;
    page.goto(&stage.site.url("/two"), PATIENCE).await.unwrap();
    page.evaluate("window.mark = 1", PATIENCE).await.unwrap();
    page.reload(PATIENCE).await.unwrap();
    assert_eq!(stage.value("window.mark ?? 'new'").await, "new");
    page.back(PATIENCE).await.unwrap();
    assert_eq!(page.title().await.unwrap(), "One");
}

#[tokio::test]
async fn each_state_of_an_element_is_decided_and_waited_for() {
    let html = r#"<input id="on" checked type="checkbox"><input id="off" type="radio">
        <input id="fixed" readonly><button id="dead" disabled>x</button><p id="ghost" hidden>x</p>
        <input id="late" disabled><script>setTimeout(() => {
            document.querySelector('#late').disabled = false; document.querySelector('#ghost').remove(); }, 150)</script>"#;
    let stage = Stage::at(&[("/", html)]).await;
    let css = |selector: &str| Locator::css(selector);
    for condition in [
        Condition::Attached(css("#on")),
        Condition::Checked(css("#on")),
        Condition::Unchecked(css("#off")),
        Condition::Enabled(css("#fixed")),
        Condition::Disabled(css("#dead")),
        Condition::Enabled(css("#late")),
        Condition::Editable(css("#late")),
        Condition::Detached(css("#ghost")),
    ] {
        stage.page.wait_for(&condition, PATIENCE).await.unwrap();
        assert!(stage.page.holds(&condition).await.unwrap(), "{condition}");
    }
    for (condition, found) in [
        (Condition::Attached(css("#no")), "no element matches"),
        (
            Condition::Detached(css("#on")),
            r#"still there: <input id="on""#,
        ),
        (Condition::Checked(css("#off")), "is not checked"),
        (Condition::Unchecked(css("#on")), "is not unchecked"),
        (Condition::Editable(css("#fixed")), "it is read-only"),
        (
            Condition::Enabled(css("#dead")),
            r#"<button id="dead" disabled>x is not enabled"#,
        ),
    ] {
        let failed = stage.page.wait_for(&condition, SOON).await.unwrap_err();
        assert!(matches!(failed, Error::TimedOut { .. }), "{failed:?}");
        assert!(failed.to_string().contains(found), "{failed}");
    }
}

#[tokio::test]
async fn urls_are_waited_for_exactly_by_glob_and_by_regular_expression() {
    let html =
        "<script>setTimeout(() => history.pushState(null, '', '/runs/42?tab=log'), 100)</script>";
    let stage = Stage::at(&[("/", html)]).await;
    let url = stage.site.url("/runs/42?tab=log");
    for pattern in [
        UrlPattern::Exact(url.clone()),
        UrlPattern::glob("*/runs/*"),
        UrlPattern::Regex(r"/runs/\d+\?".to_owned()),
    ] {
        let condition = Condition::Url(pattern);
        stage.page.wait_for(&condition, PATIENCE).await.unwrap();
    }
    let other = Condition::Url(UrlPattern::Exact(stage.site.url("/runs/42")));
    assert!(!stage.page.holds(&other).await.unwrap());
    let broken = Condition::Url(UrlPattern::Regex("(".to_owned()));
    let failed = stage.page.wait_for(&broken, PATIENCE).await.unwrap_err();
    assert!(matches!(failed, Error::BadSelector { .. }), "{failed:?}");
}

#[tokio::test]
async fn what_happens_and_what_holds_are_waited_for_together() {
    let html = r#"<p>busy</p><script>
        const work = async () => {
            await fetch('/api/done');
            document.querySelector('p').innerText = 'idle';
        };
        </script>"#;
    let stage = Stage::at(&[("/", html), ("/api/done", "HTTP 202 Accepted\n\n")]).await;
    let response = |url: &str| Condition::Response(ResponsePattern::from(UrlPattern::glob(url)));
    let idle = Condition::HasText {
        text: "idle".to_owned(),
        within: None,
    };
    let both = Condition::All(vec![
        idle.clone(),
        response("*/api/done"),
        Condition::Reached(LoadState::Loaded),
    ]);
    // The wait is polled first, and then listens: the page works only after that.
    let (waited, worked) = tokio::join!(
        stage.page.wait_for(&both, PATIENCE),
        stage.page.evaluate("void work()", PATIENCE)
    );
    waited.unwrap();
    worked.unwrap();
    let either = Condition::Any(vec![response("*/never"), Condition::Download, idle]);
    stage.page.wait_for(&either, PATIENCE).await.unwrap();
    let never = Condition::Any(vec![response("*/never"), Condition::Download]);
    let failed = stage.page.wait_for(&never, SOON).await.unwrap_err();
    let expected =
        "waited 400 ms for a response from */never or a download; no response came; none began";
    assert_eq!(failed.to_string(), expected);
    let quiet = Condition::Reached(LoadState::NetworkIdle);
    stage.page.wait_for(&quiet, PATIENCE).await.unwrap();
}

#[tokio::test]
async fn back_at_once_after_a_click_that_navigates_comes_back_from_where_it_led() {
    let html = "<title>first</title><a href=/second>Next</a>";
    let second = "<title>second</title><a href=/third>Next</a>";
    let pages = [("/", html), ("/second", second), ("/third", "<p>third</p>")];
    let stage = Stage::at(&pages).await;
    let (page, site) = (&stage.page, &stage.site);
    let link = Locator::role("link", "Next");
    page.click(&link, PATIENCE).await.unwrap();
    for _ in 0..20 {
        page.click(&link, PATIENCE).await.unwrap();
        let arrival = page.back(PATIENCE).await.unwrap();
        assert_eq!(arrival.url, site.url("/second"));
        let arrival = page.back(PATIENCE).await.unwrap();
        assert_eq!(arrival.url, site.url("/"));
        page.click(&link, PATIENCE).await.unwrap();
        page.reload(PATIENCE).await.unwrap();
        assert_eq!(page.title().await.unwrap(), "second");
        page.back(PATIENCE).await.unwrap();
        page.click(&link, PATIENCE).await.unwrap();
    }
}

#[tokio::test]
async fn a_goto_wins_over_where_the_page_itself_goes_at_the_same_moment() {
    let pages = [
        ("/", "first"),
        ("/other", "other"),
        ("/gated-trigger", "now"),
        ("/gated", "<title>wanted</title>"),
    ];
    for (elsewhere, requests) in [("/other", 3), ("/gated", 4)] {
        let stage = Stage::at(&pages).await;
        let (page, site) = (stage.page.clone(), &stage.site);
        // As after a click, while the page is on the way to where it was told to go.
        let leave =
            format!("void fetch('/gated-trigger').then(() => {{ location.href = '{elsewhere}' }})");
        page.evaluate(&leave, PATIENCE).await.unwrap();
        site.come_to_the_gate(1).await;
        let url = site.url("/gated");
        let mut going = JoinSet::new();
        going.spawn(async move { page.goto(&url, PATIENCE).await });
        site.come_to_the_gate(2).await;
        site.gate.add_permits(1);
        // Those who came first go first, also those for whom nobody waits any more.
        site.come_to_the_gate(requests).await;
        site.gate.add_permits(requests - 1);
        let arrival = going.join_next().await.unwrap().unwrap().unwrap();
        assert_eq!(arrival.url, site.url("/gated"));
        assert_eq!(stage.page.title().await.unwrap(), "wanted");
    }
}

#[tokio::test]
async fn an_answer_without_a_document_is_asked_for_once() {
    let stage = Stage::at(&[("/", "")]).await;
    let failed = stage.page.goto(&stage.site.url("/nothing"), PATIENCE).await;
    let Err(Error::Navigation { reason, .. }) = failed else {
        panic!("{failed:?}")
    };
    assert_eq!(reason, "net::ERR_ABORTED");
}

#[tokio::test]
async fn back_to_a_place_within_a_document_arrives_there() {
    let html = "<title>first</title><a href='#there'>There</a><p id=there>here</p>";
    let pages = [("/", html), ("/second", "<title>second</title>")];
    let stage = Stage::at(&pages).await;
    let (page, site) = (&stage.page, &stage.site);
    page.click(&Locator::css("a"), PATIENCE).await.unwrap();
    page.goto(&site.url("/second#nowhere"), PATIENCE)
        .await
        .unwrap();
    page.goto(&site.url("/second"), PATIENCE).await.unwrap();
    page.evaluate("history.pushState(null, '', '/pushed#a')", PATIENCE)
        .await
        .unwrap();
    for path in ["/second", "/second#nowhere", "/#there", "/"] {
        let arrival = page.back(PATIENCE).await.unwrap();
        assert_eq!(arrival.url, site.url(path));
        assert_eq!(page.url().await.unwrap(), site.url(path));
    }
    for path in ["/#there", "/second#nowhere"] {
        let arrival = page.forward(PATIENCE).await.unwrap();
        assert_eq!(arrival.url, site.url(path));
    }
}

/// A site whose first page leads elsewhere from its second visit on.
async fn moving() -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut visits = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let length = stream.read(&mut request).await.unwrap_or(0);
            let is_first = request[..length].starts_with(b"GET /first ");
            visits += usize::from(is_first);
            let answer = if is_first && visits > 1 {
                "HTTP/1.1 302 Found\r\nLocation: /moved\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            } else {
                "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: 4\r\n\r\nhere"
            };
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (url, serving)
}

#[tokio::test]
async fn back_to_a_page_that_has_moved_meanwhile_arrives_where_it_leads() {
    let stage = Stage::at(&[("/", "")]).await;
    let (site, _serving) = moving().await;
    let page = &stage.page;
    page.goto(&format!("{site}/first"), PATIENCE).await.unwrap();
    page.goto(&format!("{site}/second"), PATIENCE)
        .await
        .unwrap();
    let arrival = page.back(PATIENCE).await.unwrap();
    assert_eq!(arrival.url, format!("{site}/moved"));
}
