//! Text and keys, and what pages see of them.

use std::time::Duration;

use browser::{Error, Locator};

use crate::{PATIENCE, SOON, Stage};

#[tokio::test]
async fn text_is_typed_key_by_key_after_what_is_there() {
    let html = r#"<input aria-label="Code" value="A-"><script>
        window.keys = [];
        const input = document.querySelector('input');
        input.onkeydown = (event) => keys.push(event.key + (event.shiftKey ? '+' : ''));
        input.onkeyup = () => keys.push('^');
        </script>"#;
    let stage = Stage::at(&[("/", html)]).await;
    let code = Locator::label("Code");
    let type_text = |text, delay| stage.page.type_text(&code, text, delay, PATIENCE);
    type_text("x9?", Duration::ZERO).await.unwrap();
    type_text("Éé", Duration::from_millis(10)).await.unwrap();
    let value = stage.value("document.querySelector('input').value").await;
    assert_eq!(value, "A-x9?Éé");
    assert_eq!(stage.value("keys.join(' ')").await, "x ^ 9 ^ ?+ ^");
}

#[tokio::test]
async fn a_text_that_takes_too_long_to_type_ends_in_a_timeout() {
    let stage = Stage::at(&[("/", "<input>")]).await;
    let input = Locator::css("input");
    let long = Duration::from_millis(300);
    let failed = stage.page.type_text(&input, "secret", long, SOON).await;
    let failed = failed.unwrap_err();
    assert!(matches!(failed, Error::TimedOut { .. }), "{failed:?}");
    assert!(!failed.to_string().contains("secret"), "{failed}");
}

#[tokio::test]
async fn a_key_is_pressed_on_an_element_and_a_field_is_cleared_and_focused() {
    let html = r#"<input aria-label="a" value="x"><input aria-label="b" value="old" onkeydown="window.key = event.key">
        <div id="plain">no focus</div>"#;
    let stage = Stage::at(&[("/", html)]).await;
    let page = &stage.page;
    let b = Locator::label("b");
    page.press_on(&b, "ArrowDown", PATIENCE).await.unwrap();
    assert_eq!(stage.value("window.key").await, "ArrowDown");
    page.clear(&b, PATIENCE).await.unwrap();
    page.focus(&Locator::label("a"), PATIENCE).await.unwrap();
    page.press("Backspace", PATIENCE).await.unwrap();
    let values = "[...document.querySelectorAll('input')].map((input) => input.value).join()";
    assert_eq!(stage.value(values).await, ",");
    let failed = page.focus(&Locator::css("#plain"), SOON).await.unwrap_err();
    let message = failed.to_string();
    assert!(message.contains("it does not take the focus"), "{message}");
}

#[tokio::test]
async fn special_fields_take_what_is_theirs_and_refuse_what_is_not() {
    let html = r##"<input type="date" id="date"><input type="time" id="time"><input type="month" id="month">
        <input type="color" id="color"><input type="range" id="range" min="0" max="10"><input type="number" id="number">
        <script>window.changes = 0; for (const input of document.querySelectorAll('input')) input.onchange = () => changes++;</script>"##;
    let stage = Stage::at(&[("/", html)]).await;
    for (id, value) in [
        ("date", "2026-02-28"),
        ("time", "23:59"),
        ("month", "2026-02"),
        ("color", "#ff8800"),
        ("range", "7"),
        ("number", "-1.5"),
    ] {
        let field = Locator::css(format!("#{id}"));
        stage.page.fill(&field, value, PATIENCE).await.unwrap();
        let script = format!("document.querySelector('#{id}').value");
        assert_eq!(stage.value(&script).await, value);
    }
    assert_eq!(stage.value("changes").await, "5");
    for (id, value) in [("date", "28.2.2026"), ("range", "11"), ("number", "many")] {
        let field = Locator::css(format!("#{id}"));
        let failed = stage.page.fill(&field, value, PATIENCE).await.unwrap_err();
        assert!(matches!(failed, Error::NotActionable { .. }), "{failed:?}");
        assert!(!failed.to_string().contains(value), "{failed}");
    }
}

#[tokio::test]
async fn an_editor_of_rich_text_is_filled_and_typed_into() {
    let html = r#"<div contenteditable aria-label="Text"><p>old <b>bold</b></p></div>"#;
    let stage = Stage::at(&[("/", html)]).await;
    let text = Locator::css("[contenteditable]");
    stage.page.fill(&text, "new", PATIENCE).await.unwrap();
    stage
        .page
        .type_text(&text, " words", Duration::ZERO, PATIENCE)
        .await
        .unwrap();
    assert_eq!(stage.page.text(&text, PATIENCE).await.unwrap(), "new words");
}
