//! The words of the errors that people see most, whole.

use browser::{By, Condition, Error, Locator};

use crate::{LATER, PATIENCE, SOON, Stage};

/// A message with its times taken out, and the site's address.
fn plain(stage: &Stage, error: &Error) -> String {
    let message = error
        .to_string()
        .replace(&stage.site.url(""), "http://site");
    let times = regex_lite::Regex::new(r"\(\d+ ms\)").unwrap();
    times.replace_all(&message, "(… ms)").into_owned()
}

async fn click(stage: &Stage, locator: &Locator) -> String {
    let failed = stage.page.click(locator, SOON).await.unwrap_err();
    plain(stage, &failed)
}

#[tokio::test]
async fn an_element_that_is_not_there_is_reported_with_what_is() {
    let html = r#"<title>Staff</title><button>Save</button><button aria-label="Close">x</button>
        <div id="box"></div><iframe></iframe>"#;
    let stage = Stage::at(&[("/", html)]).await;
    let save = Locator::role("button", "Send");
    assert_eq!(
        click(&stage, &save).await,
        r#"no element matches role=button[name="Send"] after 400 ms; the page is http://site/ (Staff); 2 with this role: "Save", "Close"; 1 frame not looked into"#
    );
    let mut exact = Locator::text("save");
    exact.exact = true;
    assert_eq!(
        click(&stage, &exact).await,
        r#"no element matches text="save" exactly after 400 ms; the page is http://site/ (Staff); 1 matches if not exactly; 1 frame not looked into"#
    );
    let within = Locator::css("button").within(Locator::css("#box"));
    assert_eq!(
        click(&stage, &within).await,
        "no element matches css=button within css=#box after 400 ms; the page is http://site/ (Staff); 2 match elsewhere; 1 frame not looked into"
    );
    let mut third = Locator::css("button");
    third.nth = Some(2);
    assert_eq!(
        click(&stage, &third).await,
        "no element matches css=button number 2 after 400 ms; the page is http://site/ (Staff); only 2 match without the index; 1 frame not looked into"
    );
    let framed = Locator::css("p").in_frame(Locator::css("#no"));
    assert_eq!(
        click(&stage, &framed).await,
        "no element matches css=#no after 400 ms; the page is http://site/ (Staff); 1 frame not looked into"
    );
}

#[tokio::test]
async fn several_elements_are_listed() {
    let html = r#"<button id="a">Edit</button><button class="big" name="edit">Edit</button>"#;
    let stage = Stage::at(&[("/", html)]).await;
    let edit = Locator::role("button", "Edit");
    let failed = stage.page.click(&edit, PATIENCE).await.unwrap_err();
    assert_eq!(
        plain(&stage, &failed),
        r#"2 elements match role=button[name="Edit"]: <button id="a">Edit, <button class="big" name="edit">Edit"#
    );
}

#[tokio::test]
async fn an_element_that_is_not_ready_says_why_and_what_was_before() {
    let html = r#"<button id="dead" disabled>Save</button><button id="ghost" style="visibility: hidden">x</button>
        <div style="display: none" class="panel"><button id="inner">x</button></div><button id="flat" style="width: 0; height: 0; padding: 0; border: 0; overflow: hidden">x</button>
        <button id="through" style="pointer-events: none">x</button><input id="told" aria-readonly="true">
        <button id="under">Pay</button><div id="wall" style="position: fixed; inset: 0">Cookies?</div>
        <style>@keyframes slide { to { margin-left: 300px } }</style><button id="moving" style="position: relative; z-index: 1; animation: slide 1s linear infinite">Catch me</button>"#;
    let stage = Stage::at(&[("/", html)]).await;
    let cases = [
        ("#dead", "it is disabled"),
        ("#ghost", "it is not visible: it has visibility: hidden"),
        (
            "#inner",
            r#"it is not visible: <div class="panel">x has display: none"#,
        ),
        ("#flat", "it is not visible: it has no size (0 by 0 pixels)"),
        (
            "#through",
            "it has pointer-events: none, and clicks go through it",
        ),
        (
            "#under",
            r#"<div id="wall">Cookies? covers it and would get the click"#,
        ),
        ("#moving", "it is moving"),
    ];
    for (selector, reason) in cases {
        assert_eq!(
            click(&stage, &Locator::css(selector)).await,
            format!("css={selector} could not be acted on within 400 ms: {reason}")
        );
    }
    let told = Locator::css("#told");
    let failed = stage.page.fill(&told, "x", SOON).await.unwrap_err();
    assert_eq!(
        plain(&stage, &failed),
        "css=#told could not be acted on within 400 ms: it is read-only"
    );
    let script = "document.querySelector('#moving').remove();
        window.button = document.querySelector('#dead');
        button.remove();
        const frame = () => new Promise(requestAnimationFrame);";
    stage.page.evaluate(script, PATIENCE).await.unwrap();
    // The click is polled first, so that the page looks for the button before it has one; a change
    // is looked at in the next frame at the latest.
    let phases = "(async () => {
        document.body.append(button);
        await frame();
        await frame();
        button.disabled = false;
    })()";
    let dead = Locator::css("#dead");
    let (clicked, phases) = tokio::join!(
        stage.page.click(&dead, LATER),
        stage.page.evaluate(phases, PATIENCE)
    );
    phases.unwrap();
    assert_eq!(
        plain(&stage, &clicked.unwrap_err()),
        r#"css=#dead could not be acted on within 3000 ms: <div id="wall">Cookies? covers it and would get the click; before that: no element matched (… ms), then it is disabled (… ms)"#
    );
}

#[tokio::test]
async fn a_wait_says_what_it_waited_for_and_what_was_there() {
    let stage = Stage::at(&[("/", "<title>Staff</title><p hidden>x</p>")]).await;
    let cases = [
        (
            Condition::Visible(Locator::css("p")),
            "waited 400 ms for css=p to be visible; 1 match, none visible: <p>x: it has display: none",
        ),
        (
            Condition::HasText {
                text: "Done".to_owned(),
                within: None,
            },
            r#"waited 400 ms for the text "Done"; it is not there"#,
        ),
        (
            Condition::UrlMatches("*/done".to_owned()),
            "waited 400 ms for the URL to match */done; the URL is http://site/",
        ),
        (
            Condition::Expression("window.done".to_owned()),
            "waited 400 ms for the expression window.done; it was not true",
        ),
        (
            Condition::Visible(Locator::css("p").in_frame(Locator::css("iframe"))),
            "waited 400 ms for css=p in the frame css=iframe to be visible; there is no frame css=iframe",
        ),
    ];
    for (condition, message) in cases {
        let failed = stage.page.wait_for(&condition, SOON).await.unwrap_err();
        assert_eq!(plain(&stage, &failed), message);
    }
}

#[tokio::test]
async fn what_was_typed_is_in_no_message() {
    let html = r#"<label>Pin <input value=""></label><button disabled>Go <input aria-label="n"></button>
        <form><input type="password" aria-label="Password"></form>"#;
    let stage = Stage::at(&[("/", html)]).await;
    let page = &stage.page;
    page.fill(&Locator::label("Pin"), "canary", PATIENCE)
        .await
        .unwrap();
    page.fill(&Locator::label("Password"), "canary", PATIENCE)
        .await
        .unwrap();
    for locator in [
        Locator::css("input"),
        Locator::role("textbox", "No such"),
        Locator::role("button", "No such"),
        Locator::css("button"),
        Locator::new(By::Placeholder("No such".to_owned())),
    ] {
        let message = click(&stage, &locator).await;
        assert!(!message.contains("canary"), "{message}");
    }
}
