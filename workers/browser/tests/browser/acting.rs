//! Clicking, filling, pressing, and what makes them wait or fail.

use browser::{Condition, Error, LoadState, Locator};

use crate::{LATER, PATIENCE, SOON, Stage};

const SIGN_IN: &str = r#"<form action="/welcome">
    <label>Email <input name="email" type="email"></label>
    <label for="p">Password</label><input id="p" name="password" type="password">
    <button>Sign in</button></form>"#;

#[tokio::test]
async fn a_sign_in_form_is_filled_and_sent() {
    let stage = Stage::at(&[("/", SIGN_IN), ("/welcome", "<h1>Welcome</h1>{{request}}")]).await;
    let page = &stage.page;
    page.fill(&Locator::label("Email"), "ada@example.com", PATIENCE)
        .await
        .unwrap();
    page.fill(&Locator::label("Password"), "söcret", PATIENCE)
        .await
        .unwrap();
    page.click(&Locator::role("button", "Sign in"), PATIENCE)
        .await
        .unwrap();
    let heading = page.text(&Locator::css("h1"), PATIENCE).await.unwrap();
    assert_eq!(heading, "Welcome");
    let url = page.url().await.unwrap();
    assert!(
        url.ends_with("?email=ada%40example.com&password=s%C3%B6cret"),
        "{url}"
    );
}

#[tokio::test]
async fn after_a_click_that_navigates_the_old_document_is_not_acted_on() {
    let old = r#"<a href="/gated">Next</a><p id="who">old</p>"#;
    let stage = Stage::at(&[("/", old), ("/gated", r#"<p id="who">new</p>"#)]).await;
    let page = stage.page.clone();
    page.click(&Locator::role("link", "Next"), PATIENCE)
        .await
        .unwrap();
    let who = Locator::css("#who");
    let reading = page.text(&who, PATIENCE);
    tokio::pin!(reading);
    // The old document has the element too; the answer for it would come at once.
    let early = tokio::time::timeout(SOON, &mut reading).await;
    assert!(early.is_err(), "it read {early:?}");
    stage.site.gate.add_permits(1);
    assert_eq!(reading.await.unwrap(), "new");
}

#[tokio::test]
async fn a_navigation_that_brings_no_document_does_not_hold_up_what_follows() {
    let stage = Stage::at(&[("/", r#"<a href="/nothing">Nothing</a><b>here</b>"#)]).await;
    stage
        .page
        .click(&Locator::text("Nothing"), PATIENCE)
        .await
        .unwrap();
    let text = stage.page.text(&Locator::css("b"), PATIENCE).await.unwrap();
    assert_eq!(text, "here");
}

#[tokio::test]
async fn filling_replaces_what_is_there_and_an_empty_value_clears_it() {
    let html = r#"<input aria-label="Name" value="old" oninput="window.inputs = (window.inputs ?? 0) + 1"
        onbeforeinput="window.trusted = event.isTrusted">"#;
    let stage = Stage::at(&[("/", html)]).await;
    let name = Locator::label("Name");
    stage.page.fill(&name, "new", PATIENCE).await.unwrap();
    assert_eq!(
        stage.value("document.querySelector('input').value").await,
        "new"
    );
    assert_eq!(
        stage.value("window.inputs + ' ' + window.trusted").await,
        "1 true"
    );
    stage.page.fill(&name, "", PATIENCE).await.unwrap();
    assert_eq!(
        stage.value("document.querySelector('input').value").await,
        ""
    );
}

#[tokio::test]
async fn text_areas_editable_elements_dates_and_numbers_can_be_filled() {
    let html = r#"<textarea aria-label="a">x</textarea><div aria-label="b" contenteditable>x</div>
        <input type="date" aria-label="c" onchange="window.changed = true">
        <input type="number" aria-label="d">"#;
    let stage = Stage::at(&[("/", html)]).await;
    let values = [
        ("a", "two\nlines"),
        ("b", "text"),
        ("c", "2026-08-01"),
        ("d", "42"),
    ];
    for (label, value) in values {
        let mut locator = Locator::label(label);
        locator.exact = true;
        stage.page.fill(&locator, value, PATIENCE).await.unwrap();
    }
    let script = "[...document.querySelectorAll('textarea, input')].map((e) => e.value).join('|')
        + '|' + document.querySelector('div').innerText + '|' + window.changed";
    assert_eq!(
        stage.value(script).await,
        "two\nlines|2026-08-01|42|text|true"
    );
}

#[tokio::test]
async fn a_read_only_field_is_not_filled() {
    let stage = Stage::at(&[("/", r#"<input aria-label="Id" value="7" readonly>"#)]).await;
    let failed = stage
        .page
        .fill(&Locator::label("Id"), "8", SOON)
        .await
        .unwrap_err();
    assert!(failed.to_string().contains("it is read-only"), "{failed}");
}

#[tokio::test]
async fn a_moving_button_is_clicked_when_it_stands_still() {
    let html = r#"<style>button { position: absolute; left: 0 }</style>
        <button onclick="window.clicked = getComputedStyle(this).left">Go</button>
        <script>
        const button = document.querySelector('button');
        let x = 0;
        const step = () => { x += 8; button.style.left = x + 'px'; if (x < 400) requestAnimationFrame(step); };
        step();
        </script>"#;
    let stage = Stage::at(&[("/", html)]).await;
    stage
        .page
        .click(&Locator::role("button", "Go"), PATIENCE)
        .await
        .unwrap();
    assert_eq!(stage.value("window.clicked").await, "400px");
}

#[tokio::test]
async fn a_button_that_an_animation_moves_on_and_on_is_not_clicked() {
    let html = r#"<style>@keyframes slide { to { margin-left: 300px } }</style>
        <button style="animation: slide 1s linear infinite">Catch me</button>"#;
    let stage = Stage::at(&[("/", html)]).await;
    // It is looked at some 25 times. About one frame in 20 is of the same moment as the one before it,
    // and in the first one the animation has not begun.
    moves_all_the_time(&stage, &Locator::css("button")).await;
}

#[tokio::test]
async fn a_button_that_an_animation_in_a_shadow_root_moves_on_and_on_is_not_clicked() {
    let html = r#"<div><template shadowrootmode="open"><style>@keyframes slide { to { margin-left: 300px } }</style>
        <p style="animation: slide 1s linear infinite"><slot></slot></p></template><button>Catch me</button></div>"#;
    let stage = Stage::at(&[("/", html)]).await;
    moves_all_the_time(&stage, &Locator::css("button")).await;
}

async fn moves_all_the_time(stage: &Stage, button: &Locator) {
    let clicked = stage.page.click(button, LATER).await;
    let failed = clicked.unwrap_err();
    assert!(failed.to_string().contains("it is moving"), "{failed}");
}

#[tokio::test]
async fn a_click_that_was_given_up_while_nothing_was_drawn_says_so_and_takes_no_later_key() {
    let html = r#"<head><script async blocking="render" src="/gated"></script></head><body>
        <button id="one">One</button><button id="two" onclick="window.clicked = true">Two</button>"#;
    let stage = Stage::at(&[("/", ""), ("/slow", html), ("/gated", "")]).await;
    let page = &stage.page;
    let slow = stage.site.url("/slow");
    let went = page.goto_until(&slow, LoadState::DomContentLoaded, PATIENCE);
    went.await.unwrap();
    let drawn = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))";
    let script = format!("window.drawn = {drawn}, document.visibilityState");
    assert_eq!(stage.value(&script).await, "visible");
    let failed = page.click(&Locator::css("#one"), SOON).await.unwrap_err();
    assert!(matches!(failed, Error::NotActionable { .. }), "{failed:?}");
    assert!(failed.to_string().contains("nothing was drawn"), "{failed}");
    stage.site.gate.add_permits(1);
    page.evaluate("drawn.then(() => 0)", PATIENCE)
        .await
        .unwrap();
    page.press_on(&Locator::css("#two"), "Enter", PATIENCE)
        .await
        .unwrap();
    assert_eq!(stage.value("window.clicked ?? false").await, "true");
}

#[tokio::test]
async fn a_covered_button_is_not_clicked_and_the_error_names_the_cover() {
    let html = r#"<button onclick="window.clicked = true">Pay</button>
        <div id="cookie-wall" style="position: fixed; inset: 0">We use cookies</div>"#;
    let stage = Stage::at(&[("/", html)]).await;
    let pay = Locator::role("button", "Pay");
    let failed = stage.page.click(&pay, SOON).await.unwrap_err();
    assert!(matches!(failed, Error::NotActionable { .. }), "{failed:?}");
    assert!(
        failed.to_string().contains(r#"<div id="cookie-wall">"#),
        "{failed}"
    );
    assert_eq!(stage.value("window.clicked ?? 'no'").await, "no");
    let script = "document.querySelector('#cookie-wall').remove()";
    stage.page.evaluate(script, PATIENCE).await.unwrap();
    stage.page.click(&pay, PATIENCE).await.unwrap();
    assert_eq!(stage.value("window.clicked").await, "true");
}

#[tokio::test]
async fn a_button_that_jumps_under_the_mouse_is_not_missed() {
    // It moves when the mouse comes over it, once; what is then at the point must not be clicked.
    let html = r#"<style>button { position: absolute; left: 10px; top: 10px }</style>
        <button onmouseover="this.style.top = '200px'" onclick="window.clicked = 'button'">Go</button>
        <div onclick="window.clicked = 'background'" style="position: absolute; inset: 0; z-index: -1"></div>"#;
    let stage = Stage::at(&[("/", html)]).await;
    stage
        .page
        .click(&Locator::role("button", "Go"), PATIENCE)
        .await
        .unwrap();
    assert_eq!(stage.value("window.clicked").await, "button");
}

#[tokio::test]
async fn a_button_is_clicked_when_the_form_becomes_valid() {
    let html = r#"<input aria-label="Name"><button disabled onclick="window.clicked = true">Send</button>
        <script>
        document.querySelector('input').oninput = (event) =>
            setTimeout(() => { document.querySelector('button').disabled = !event.target.value; }, 50);
        </script>"#;
    let stage = Stage::at(&[("/", html)]).await;
    let send = Locator::role("button", "Send");
    assert!(!stage.page.is_enabled(&send).await.unwrap());
    let failed = stage.page.click(&send, SOON).await.unwrap_err();
    assert!(failed.to_string().contains("it is disabled"), "{failed}");
    stage
        .page
        .fill(&Locator::label("Name"), "Ada", PATIENCE)
        .await
        .unwrap();
    stage.page.click(&send, PATIENCE).await.unwrap();
    assert_eq!(stage.value("window.clicked").await, "true");
}

#[tokio::test]
async fn a_button_far_below_under_a_sticky_bar_is_scrolled_to_and_clicked() {
    let html = r#"<div style="position: fixed; bottom: 0; height: 300px; left: 0; right: 0; background: red"></div>
        <div style="height: 5000px"></div><button onclick="window.clicked = true">Go</button>
        <div style="height: 400px"></div>"#;
    let stage = Stage::at(&[("/", html)]).await;
    stage
        .page
        .click(&Locator::role("button", "Go"), PATIENCE)
        .await
        .unwrap();
    assert_eq!(stage.value("window.clicked").await, "true");
}

#[tokio::test]
async fn a_double_click_hover_and_key_are_what_the_page_expects() {
    let html = r#"<button ondblclick="window.doubled = true" onmouseenter="window.hovered = true">B</button>
        <form onsubmit="window.sent = true; return false"><input aria-label="q"></form>"#;
    let stage = Stage::at(&[("/", html)]).await;
    let button = Locator::css("button");
    stage.page.hover(&button, PATIENCE).await.unwrap();
    assert_eq!(
        stage.value("window.hovered + ' ' + window.doubled").await,
        "true undefined"
    );
    stage.page.double_click(&button, PATIENCE).await.unwrap();
    stage
        .page
        .fill(&Locator::label("q"), "x", PATIENCE)
        .await
        .unwrap();
    stage.page.press("Enter", PATIENCE).await.unwrap();
    assert_eq!(
        stage.value("window.doubled + ' ' + window.sent").await,
        "true true"
    );
    stage.page.press("Control+A", PATIENCE).await.unwrap();
    stage.page.press("y", PATIENCE).await.unwrap();
    assert_eq!(
        stage.value("document.querySelector('input').value").await,
        "y"
    );
}

#[tokio::test]
async fn a_dialog_does_not_stop_the_page() {
    let html = r#"<button onclick="alert('Hello'); window.after = true">Hi</button>"#;
    let stage = Stage::at(&[("/", html)]).await;
    stage
        .page
        .click(&Locator::text("Hi"), PATIENCE)
        .await
        .unwrap();
    assert_eq!(stage.value("window.after").await, "true");
}

#[tokio::test]
async fn a_frame_of_the_same_origin_is_acted_in_at_its_place() {
    let html = r#"<div style="height: 900px"></div>
        <iframe title="Inner" src="/inner" style="margin-left: 77px; border: 5px solid; padding: 3px"></iframe>"#;
    let inner = r#"<div style="height: 300px"></div><input aria-label="Name">
        <button onclick="parent.clicked = document.querySelector('input').value">Go</button>"#;
    let stage = Stage::at(&[("/", html), ("/inner", inner)]).await;
    let frame = Locator::css("iframe[title=Inner]");
    let name = Locator::label("Name").in_frame(frame.clone());
    stage.page.fill(&name, "Ada", PATIENCE).await.unwrap();
    let go = Locator::role("button", "Go").in_frame(frame);
    stage.page.click(&go, PATIENCE).await.unwrap();
    assert_eq!(stage.value("window.clicked").await, "Ada");
}

#[tokio::test]
async fn a_frame_of_another_origin_is_acted_in_at_its_place() {
    let inner = r#"<h2>Elsewhere</h2><input aria-label="Name">
        <button onclick="document.querySelector('h2').textContent = document.querySelector('input').value">Go</button>"#;
    let stage = Stage::at(&[("/", "<p>outer</p>"), ("/inner", inner)]).await;
    let script = format!(
        "const frame = document.createElement('iframe'); frame.src = '{}'; frame.style.margin = '50px'; document.body.append(frame)",
        stage.site.url_elsewhere("/inner")
    );
    stage.page.evaluate(&script, PATIENCE).await.unwrap();
    let frame = Locator::css("iframe");
    let name = Locator::label("Name").in_frame(frame.clone());
    stage.page.fill(&name, "Ada", PATIENCE).await.unwrap();
    let go = Locator::role("button", "Go").in_frame(frame.clone());
    stage.page.click(&go, PATIENCE).await.unwrap();
    let heading = Locator::css("h2").in_frame(frame);
    let changed = Condition::HasText {
        text: "Ada".to_owned(),
        within: Some(heading),
    };
    stage.page.wait_for(&changed, PATIENCE).await.unwrap();
}

#[tokio::test]
async fn options_boxes_and_files_are_chosen() {
    let html = r#"<select aria-label="Month" onchange="window.month = this.value">
            <option value="4">April</option><option value="5">May</option></select>
        <label><input type="checkbox" onchange="window.boxed = this.checked">Box</label>
        <input type="file" hidden onchange="window.file = this.files[0].name">"#;
    let stage = Stage::at(&[("/", html)]).await;
    let page = &stage.page;
    let month = Locator::label("Month");
    page.select_option(&month, "May", PATIENCE).await.unwrap();
    assert_eq!(stage.value("window.month").await, "5");
    page.select_option(&month, "4", PATIENCE).await.unwrap();
    assert_eq!(stage.value("window.month").await, "4");
    let failed = page.select_option(&month, "June", SOON).await.unwrap_err();
    assert!(failed.to_string().contains("April, May"), "{failed}");

    let the_box = Locator::label("Box");
    for checked in [true, true, false] {
        page.set_checked(&the_box, checked, PATIENCE).await.unwrap();
        assert_eq!(stage.value("window.boxed").await, checked.to_string());
    }

    let file = stage.scratch.path().join("cv.txt");
    std::fs::write(&file, "words").unwrap();
    page.upload(&Locator::css("input[type=file]"), &[&file], PATIENCE)
        .await
        .unwrap();
    assert_eq!(stage.value("window.file").await, "cv.txt");
}
