//! Popups and tabs.

use browser::{Condition, Error, Locator};

use crate::{PATIENCE, SOON, Stage};

#[tokio::test]
async fn a_popup_is_a_page_of_its_own_that_an_action_can_be_waited_for() {
    let html = r#"<button onclick="window.open('/popup')">Open</button>
        <a href="/popup" target="_blank">Link</a><p>opener</p>"#;
    let popup = r#"<input aria-label="Code"><button onclick="
        opener?.postMessage('x', '*'); document.title = document.querySelector('input').value">Ok</button>"#;
    let stage = Stage::at(&[("/", html), ("/popup", popup)]).await;
    for (opening, has_opener) in [
        (Locator::role("button", "Open"), "true"),
        (Locator::role("link", "Link"), "false"),
    ] {
        let waiter = stage.page.expect_page();
        stage.page.click(&opening, PATIENCE).await.unwrap();
        let popup = waiter.wait(PATIENCE).await.unwrap();
        popup
            .fill(&Locator::label("Code"), "1234", PATIENCE)
            .await
            .unwrap();
        popup
            .click(&Locator::role("button", "Ok"), PATIENCE)
            .await
            .unwrap();
        assert_eq!(popup.title().await.unwrap(), "1234");
        assert_eq!(popup.url().await.unwrap(), stage.site.url("/popup"));
        let opener = popup.evaluate("opener !== null", PATIENCE).await.unwrap();
        assert_eq!(opener.to_string(), has_opener);
        assert!(popup.opener().unwrap().is_same_as(&stage.page));
        assert_eq!(stage.page.pages().await.unwrap().len(), 2);
        popup.close(PATIENCE).await.unwrap();
        popup.close(PATIENCE).await.unwrap();
        assert!(!popup.is_open());
        assert!(popup.is_closed() && !stage.page.is_closed());
        let failed = popup.title().await.unwrap_err();
        assert!(matches!(failed, Error::Detached), "{failed:?}");
        let failed = popup.bring_to_front().await.unwrap_err();
        assert!(matches!(failed, Error::Detached), "{failed:?}");
        let pages = stage.page.pages().await.unwrap();
        assert_eq!(pages.len(), 1);
        assert!(pages[0].is_same_as(&stage.page));
        let text = stage.page.text(&Locator::css("p"), PATIENCE).await.unwrap();
        assert_eq!(text, "opener");
    }
}

#[tokio::test]
async fn a_popup_that_is_slow_to_answer_is_waited_for_by_what_is_done_in_it() {
    let html = r#"<button onclick="window.open('/gated')">Open</button>"#;
    let stage = Stage::at(&[("/", html), ("/gated", "<h1>late</h1>")]).await;
    let waiter = stage.page.expect_page();
    stage
        .page
        .click(&Locator::css("button"), PATIENCE)
        .await
        .unwrap();
    let popup = waiter.wait(PATIENCE).await.unwrap();
    let heading = Locator::css("h1");
    let reading = popup.text(&heading, PATIENCE);
    tokio::pin!(reading);
    assert!(tokio::time::timeout(SOON, &mut reading).await.is_err());
    stage.site.gate.add_permits(1);
    assert_eq!(reading.await.unwrap(), "late");
}

#[tokio::test]
async fn a_popup_that_closes_itself_is_given_and_is_closed() {
    let html = r#"<button onclick="window.open('/popup')">Open</button><p>here</p>"#;
    let stage = Stage::at(&[("/", html), ("/popup", "<script>close()</script>")]).await;
    let waiter = stage.page.expect_page();
    stage
        .page
        .click(&Locator::css("button"), PATIENCE)
        .await
        .unwrap();
    let popup = waiter.wait(PATIENCE).await.unwrap();
    let never = Condition::Visible(Locator::css("h1"));
    let failed = popup.wait_for(&never, PATIENCE).await.unwrap_err();
    assert!(matches!(failed, Error::Detached), "{failed:?}");
    assert_eq!(
        stage.value("document.querySelector('p').innerText").await,
        "here"
    );
}

#[tokio::test]
async fn a_popup_that_does_not_open_is_a_timeout() {
    let stage = Stage::at(&[("/", "")]).await;
    let failed = stage.page.expect_page().wait(SOON).await.err().unwrap();
    assert_eq!(
        failed.to_string(),
        "waited 400 ms for a page to open; none opened"
    );
}

#[tokio::test]
async fn pages_side_by_side_are_used_in_turn() {
    let stage = Stage::at(&[(
        "/",
        "<title>One</title><button onclick='this.innerText = 1'>0</button>",
    )])
    .await;
    let second = stage.page.open_page().await.unwrap();
    second.goto(&stage.site.url("/"), PATIENCE).await.unwrap();
    for page in [&stage.page, &second, &stage.page] {
        page.bring_to_front().await.unwrap();
        page.click(&Locator::css("button"), PATIENCE).await.unwrap();
        let text = page.text(&Locator::css("button"), PATIENCE).await.unwrap();
        assert_eq!(text, "1");
    }
    assert!(second.opener().is_none());
    second.close(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_popup_opens_with_what_the_browser_was_started_with() {
    let html = "<button onclick=\"window.open('/popup')\">Open</button>";
    let site = crate::site::Site::start(&[("/", html), ("/popup", "<pre>{{request}}</pre>")]).await;
    let scratch = tempfile::tempdir().unwrap();
    let executable = browser::find_or_install(&mut |_| {}).await.unwrap();
    let mut options = browser::LaunchOptions::new(executable, scratch.path());
    options.extra_headers = vec![("X-Legwork".to_owned(), "yes".to_owned())];
    let browser = browser::Browser::launch(&options).await.unwrap();
    let page = browser.page().await.unwrap();
    page.goto(&site.url("/"), PATIENCE).await.unwrap();
    let waiter = page.expect_page();
    page.click(&Locator::css("button"), PATIENCE).await.unwrap();
    let popup = waiter.wait(PATIENCE).await.unwrap();
    let request = popup.text(&Locator::css("pre"), PATIENCE).await.unwrap();
    assert!(request.contains("X-Legwork: yes"), "{request}");
    browser.close().await;
}
