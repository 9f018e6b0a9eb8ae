//! Pages that are nasty in ways that people don't see: each is acted on as a person would.

use std::time::Duration;

use browser::{Error, Locator, Screenshot};

use crate::{LATER, PATIENCE, Stage};

const COUNTING: &str =
    "<button onclick='this.innerText = event.isTrusted ? \"done\" : \"faked\"'>Go</button>";

fn inside(frame: &str, selector: &str) -> Locator {
    Locator::css(selector).in_frame(Locator::css(frame))
}

#[tokio::test]
async fn a_frame_that_is_shown_larger_or_smaller_than_life_is_clicked_at_its_place() {
    let html = "<iframe id=small src=/inner style='transform: scale(.5); transform-origin: 0 0; width: 600px; height: 400px; border: 9px solid'></iframe>
        <iframe id=large src=/inner style='zoom: 2; width: 300px; height: 200px; padding: 7px'></iframe>";
    let inner =
        format!("<div style='height: 200px'></div><div style='margin-left: 150px'>{COUNTING}");
    let stage = Stage::at(&[("/", html), ("/inner", &inner)]).await;
    let page = &stage.page;
    for zoom in ["1", "1.5"] {
        let script = format!("document.documentElement.style.zoom = {zoom}");
        page.evaluate(&script, PATIENCE).await.unwrap();
        for frame in ["#small", "#large"] {
            let button = inside(frame, "button");
            page.click(&button, PATIENCE).await.unwrap();
            assert_eq!(page.text(&button, PATIENCE).await.unwrap(), "done");
            let script = format!(
                "document.querySelector('{frame}').contentDocument.querySelector('button').innerText = 'Go'"
            );
            page.evaluate(&script, PATIENCE).await.unwrap();
        }
    }
    let width = |picture: Vec<u8>| u32::from_be_bytes(picture[16..20].try_into().unwrap());
    let mut widths = Vec::new();
    page.evaluate("document.documentElement.style.zoom = 1", PATIENCE)
        .await
        .unwrap();
    for frame in ["#small", "#large"] {
        let picture = Screenshot {
            element: Some(inside(frame, "button")),
            ..Screenshot::default()
        };
        widths.push(width(page.screenshot(&picture).await.unwrap()));
    }
    // One is shown at half its size, the other at twice that.
    assert!(widths[1].abs_diff(4 * widths[0]) <= 4, "{widths:?}");
}

#[tokio::test]
async fn what_is_far_down_in_a_long_frame_is_scrolled_to_and_clicked() {
    let html = "<div style='position: sticky; top: 0; height: 200px'>bar</div>
        <div style='height: 900px'></div><iframe src=/inner style='height: 4000px'></iframe>";
    let inner = format!("<div style='height: 3000px'></div>{COUNTING}");
    let stage = Stage::at(&[("/", html), ("/inner", &inner)]).await;
    let button = inside("iframe", "button");
    stage.page.click(&button, PATIENCE).await.unwrap();
    let text = stage.page.text(&button, PATIENCE).await.unwrap();
    assert_eq!(text, "done");
}

#[tokio::test]
async fn a_frame_that_is_covered_is_named_with_its_cover() {
    let html = "<iframe src=/inner></iframe><div id=wall style='position: fixed; inset: 0'></div>";
    let stage = Stage::at(&[("/", html), ("/inner", COUNTING)]).await;
    let button = inside("iframe", "button");
    let failed = stage.page.click(&button, LATER).await.unwrap_err();
    assert_eq!(
        failed.to_string(),
        "css=button in the frame css=iframe could not be acted on within 3000 ms: <div id=\"wall\"> covers the frame css=iframe there"
    );
}

#[tokio::test]
async fn what_closes_its_own_page_is_done() {
    let stage = Stage::at(&[
        ("/", ""),
        ("/click", "<button onclick='window.close()'>Close</button>"),
        (
            "/check",
            "<input type=checkbox onclick='setTimeout(() => window.close())'>",
        ),
        ("/key", "<input onkeydown='window.close()'>"),
        ("/text", "<input oninput='window.close()'>"),
    ])
    .await;
    for path in ["/click", "/check", "/key", "/text"] {
        let popup = stage.page.expect_page();
        let script = format!("void window.open('{path}')");
        stage.page.evaluate(&script, PATIENCE).await.unwrap();
        let popup = popup.wait(PATIENCE).await.unwrap();
        let input = Locator::css("input");
        let done = match path {
            "/click" => popup.click(&Locator::css("button"), PATIENCE).await,
            "/check" => popup.set_checked(&input, true, PATIENCE).await,
            "/key" => popup.press_on(&input, "Enter", PATIENCE).await,
            _ => popup.fill(&input, "x", PATIENCE).await,
        };
        assert!(done.is_ok(), "{path}: {done:?}");
    }
}

#[tokio::test]
async fn a_document_whose_scripts_are_switched_off_is_acted_in() {
    let html = "<iframe sandbox src=/inner></iframe>";
    let inner = "<label><input type=checkbox> Yes</label><input id=name>";
    let policy = "HTTP 200 OK\nContent-Type: text/html\nContent-Security-Policy: default-src 'none'; sandbox\n\n<input type=checkbox><input id=name><p>";
    let stage = Stage::at(&[("/", html), ("/inner", inner), ("/policy", policy)]).await;
    let page = &stage.page;
    let tick = inside("iframe", "[type=checkbox]");
    page.set_checked(&tick, true, PATIENCE).await.unwrap();
    let name = inside("iframe", "#name");
    page.fill(&name, "Ada", PATIENCE).await.unwrap();
    let failed = page.click(&inside("iframe", "b"), LATER).await.unwrap_err();
    assert!(matches!(failed, Error::NotFound { .. }), "{failed:?}");
    page.goto(&stage.site.url("/policy"), PATIENCE)
        .await
        .unwrap();
    let tick = Locator::css("[type=checkbox]");
    page.set_checked(&tick, true, PATIENCE).await.unwrap();
    page.click(&Locator::css("#name"), PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_button_that_each_move_of_the_mouse_replaces_is_clicked() {
    let html = "<div id=root></div><script>
        const draw = () => { root.innerHTML = '<button onclick=\"window.clicked = (window.clicked ?? 0) + 1\">Go</button>' };
        draw(); addEventListener('mousemove', draw, true)</script>";
    let stage = Stage::at(&[("/", html)]).await;
    let button = Locator::css("button");
    stage.page.click(&button, PATIENCE).await.unwrap();
    assert_eq!(stage.value("window.clicked").await, "1");
}

#[tokio::test]
async fn a_field_that_is_replaced_when_it_gets_the_focus_is_filled() {
    let html = "<div id=root><input></div><script>
        root.firstChild.addEventListener('focus', () => { root.innerHTML = '<input id=second>' })</script>";
    let stage = Stage::at(&[("/", html)]).await;
    let field = Locator::css("input");
    stage.page.fill(&field, "Ada", PATIENCE).await.unwrap();
    assert_eq!(stage.value("second.value").await, "Ada");
}

#[tokio::test]
async fn a_page_that_breaks_its_own_world_and_swallows_events_is_acted_on() {
    let html = format!(
        "<script>
        for (const name of ['pointerdown', 'mousedown', 'pointerup', 'mouseup'])
            window.addEventListener(name, (event) => event.stopImmediatePropagation(), true);
        document.querySelectorAll = Element.prototype.matches = Promise.prototype.then = null;
        window.setTimeout = window.requestAnimationFrame = window.MutationObserver = null;
        Array.prototype.flatMap = () => {{ throw 1 }};
        </script>{COUNTING}"
    );
    let stage = Stage::at(&[("/", &html)]).await;
    let button = Locator::css("button");
    stage.page.click(&button, PATIENCE).await.unwrap();
    let text = stage.page.text(&button, PATIENCE).await.unwrap();
    assert_eq!(text, "done");
}

#[tokio::test]
async fn a_page_that_swallows_every_event_is_not_clicked_again_and_again() {
    let html = format!(
        "<script>
        for (const name of ['pointerdown', 'mousedown', 'pointerup', 'mouseup', 'click'])
            window.addEventListener(name, (event) => {{
                window.heard = (window.heard ?? 0) + 1;
                event.stopImmediatePropagation();
            }}, true);
        </script>{COUNTING}"
    );
    let stage = Stage::at(&[("/", &html)]).await;
    let button = Locator::css("button");
    // A popup keeps the window that it had before its document.
    let popup = stage.page.expect_page();
    let opening = "window.open('/'); 0";
    stage.page.evaluate(opening, PATIENCE).await.unwrap();
    let popup = popup.wait(PATIENCE).await.unwrap();
    for page in [&stage.page, &popup] {
        page.click(&button, PATIENCE).await.unwrap();
        let heard = page.evaluate("window.heard", PATIENCE).await.unwrap();
        assert_eq!(heard, 5);
    }
}

#[tokio::test]
async fn what_keeps_its_events_to_itself_is_clicked_too() {
    let html = "<iframe src=/inner></iframe><div><button disabled>Go</button></div>";
    let inner = "<body onclick='document.title = 1'>inner";
    let stage = Stage::at(&[("/", html), ("/inner", inner)]).await;
    // The frame's document gets the events, or nobody.
    for selector in ["iframe", "div"] {
        let locator = Locator::css(selector);
        stage.page.click(&locator, PATIENCE).await.unwrap();
    }
    let title = "document.querySelector('iframe').contentDocument.title";
    assert_eq!(stage.value(title).await, "1");
}

#[tokio::test]
async fn a_document_that_is_written_anew_by_a_click_is_acted_on_again() {
    let html = "<button onclick='document.open(); document.write(`<p>new</p><button onclick=\"document.title = 1\">Again</button>`); document.close()'>Go</button>";
    let stage = Stage::at(&[("/", html)]).await;
    let page = &stage.page;
    page.click(&Locator::text("Go"), PATIENCE).await.unwrap();
    page.click(&Locator::text("Again"), PATIENCE).await.unwrap();
    assert_eq!(page.title().await.unwrap(), "1");
}

#[tokio::test]
async fn a_page_that_changes_all_the_time_is_acted_on() {
    let html = format!(
        "{COUNTING}<script>
        const channel = new MessageChannel();
        channel.port1.onmessage = () => {{
            document.body.append(document.createElement('i'));
            if (document.body.children.length > 500) document.body.lastChild.remove();
            channel.port2.postMessage(0);
        }};
        channel.port2.postMessage(0);</script>"
    );
    let stage = Stage::at(&[("/", &html)]).await;
    let button = Locator::css("button");
    stage.page.click(&button, PATIENCE).await.unwrap();
    let text = stage.page.text(&button, PATIENCE).await.unwrap();
    assert_eq!(text, "done");
}

#[tokio::test]
async fn text_is_typed_after_what_is_in_fields_that_tell_no_position() {
    let html = "<input type=email value='a@'><input type=number value=12>";
    let stage = Stage::at(&[("/", html)]).await;
    for (kind, text) in [("email", "b.c"), ("number", "34")] {
        let field = Locator::css(format!("[type={kind}]"));
        let typed = stage.page.type_text(&field, text, Duration::ZERO, PATIENCE);
        typed.await.unwrap();
    }
    let values = "[...document.querySelectorAll('input')].map((field) => field.value).join()";
    assert_eq!(stage.value(values).await, "a@b.c,1234");
}

#[tokio::test]
async fn selectors_reach_from_outside_of_shadow_roots_into_them() {
    let html = "<div class=outer><x-card></x-card></div><script>
        customElements.define('x-card', class extends HTMLElement {
            connectedCallback() {
                this.attachShadow({ mode: 'open' }).innerHTML =
                    `<div class=middle title='a > b, c'><i></i><b id=in>x</b></div>`;
            }
        })</script>";
    let stage = Stage::at(&[("/", html)]).await;
    for (selector, count) in [
        ("x-card b", 1),
        (".outer b", 1),
        ("x-card > .middle > b", 1),
        (".outer > b", 0),
        ("x-card > b", 0),
        (".outer i + b", 1),
        ("x-card > [title='a > b, c'] #in, nothing", 1),
        (".outer :is(i, b)", 2),
        (".other b", 0),
    ] {
        let found = stage.page.count(&Locator::css(selector)).await.unwrap();
        assert_eq!(found, count, "{selector}");
    }
}
