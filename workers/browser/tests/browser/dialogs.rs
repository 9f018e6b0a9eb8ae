//! Dialogs: answered by policy, noted, never in the way.

use browser::{Condition, DialogAnswer, DialogKind, DialogPolicy, Locator};

use crate::{PATIENCE, Stage};

const ASKING: &str = r#"<button onclick="
    alert('Hello'); window.answers = [confirm('Sure?'), prompt('Name?', 'Ada')].join(' ')">Ask</button>
    <a href="/next">Next</a>"#;

fn accept(answer: DialogAnswer) -> DialogPolicy {
    DialogPolicy {
        answer,
        may_leave: true,
    }
}

#[tokio::test]
async fn dialogs_are_dismissed_by_default_and_noted() {
    let stage = Stage::at(&[("/", ASKING)]).await;
    let page = &stage.page;
    page.click(&Locator::css("button"), PATIENCE).await.unwrap();
    assert_eq!(stage.value("window.answers").await, "false ");
    let dialogs = page.dialogs();
    let kinds: Vec<_> = dialogs.iter().map(|dialog| dialog.kind).collect();
    let expected = [DialogKind::Alert, DialogKind::Confirm, DialogKind::Prompt];
    assert_eq!(kinds, expected);
    assert_eq!(dialogs[1].message, "Sure?");
    assert_eq!(dialogs[1].url, stage.site.url("/"));
    assert!(dialogs.iter().all(|dialog| !dialog.was_accepted));
}

#[tokio::test]
async fn dialogs_are_answered_as_the_policy_says() {
    let stage = Stage::at(&[("/", ASKING)]).await;
    let page = &stage.page;
    for (answer, expected) in [
        (DialogAnswer::Accept, "true Ada"),
        (DialogAnswer::AcceptWith("Bob".to_owned()), "true Bob"),
        (DialogAnswer::AcceptWith(String::new()), "true "),
        (DialogAnswer::Dismiss, "false "),
    ] {
        page.set_dialog_policy(accept(answer));
        page.click(&Locator::css("button"), PATIENCE).await.unwrap();
        assert_eq!(stage.value("window.answers").await, expected);
    }
}

#[tokio::test]
async fn a_page_that_asks_before_it_is_left_is_left_only_by_permission() {
    let html = r#"<button>Change</button><a href="/next">Next</a>
        <script>addEventListener('beforeunload', (event) => event.preventDefault())</script>"#;
    let stage = Stage::at(&[("/", html), ("/next", "<h1>next</h1>")]).await;
    let page = &stage.page;
    // Without an action of the user's, Chromium does not ask.
    page.click(&Locator::css("button"), PATIENCE).await.unwrap();
    page.set_dialog_policy(DialogPolicy {
        may_leave: false,
        ..DialogPolicy::default()
    });
    page.click(&Locator::css("a"), PATIENCE).await.unwrap();
    assert_eq!(page.url().await.unwrap(), stage.site.url("/"));
    page.goto(&stage.site.url("/next"), PATIENCE)
        .await
        .unwrap_err();
    page.set_dialog_policy(DialogPolicy::default());
    page.click(&Locator::css("a"), PATIENCE).await.unwrap();
    let heading = Condition::Visible(Locator::css("h1"));
    page.wait_for(&heading, PATIENCE).await.unwrap();
    let answers: Vec<_> = page
        .dialogs()
        .iter()
        .map(|dialog| dialog.was_accepted)
        .collect();
    assert_eq!(answers, [false, false, true]);
}

#[tokio::test]
async fn dialogs_before_load_in_frames_and_in_popups_hold_nothing_up() {
    let html = r#"<script>alert('early')</script>
        <button onclick="window.open('/popup')">Open</button><p>here</p>"#;
    let popup = "<script>alert('in the popup')</script><h1>popup</h1>";
    let frame = "<script>alert('in the frame')</script><h1>frame</h1>";
    let stage = Stage::at(&[("/", html), ("/popup", popup), ("/frame", frame)]).await;
    let page = &stage.page;
    let waiter = page.expect_page();
    page.click(&Locator::css("button"), PATIENCE).await.unwrap();
    let popup = waiter.wait(PATIENCE).await.unwrap();
    assert_eq!(
        popup.text(&Locator::css("h1"), PATIENCE).await.unwrap(),
        "popup"
    );
    let script = format!(
        "const frame = document.createElement('iframe'); frame.src = '{}'; document.body.append(frame)",
        stage.site.url_elsewhere("/frame")
    );
    page.evaluate(&script, PATIENCE).await.unwrap();
    let heading = Locator::css("h1").in_frame(Locator::css("iframe"));
    assert_eq!(page.text(&heading, PATIENCE).await.unwrap(), "frame");
    let messages: Vec<_> = page
        .dialogs()
        .into_iter()
        .map(|dialog| dialog.message)
        .collect();
    assert_eq!(messages, ["early", "in the popup", "in the frame"]);
}
