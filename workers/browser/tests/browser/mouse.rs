//! What the mouse can do, and what pages see of it.

use browser::{Click, Error, Locator, Modifier, MouseButton, ScrollTo};

use crate::{LATER, PATIENCE, Stage};

#[tokio::test]
async fn a_click_has_its_button_its_modifiers_its_count_and_its_place() {
    let html = r#"<body style="margin: 0"><div id="d" style="width: 200px; height: 100px; border: 3px solid"></div><script>
        window.seen = [];
        const note = (event) => {
            event.preventDefault();
            const held = ['alt', 'ctrl', 'meta', 'shift'].filter((key) => event[key + 'Key']);
            seen.push([event.type, event.button, event.detail, ...held, event.offsetX, event.offsetY, event.isTrusted].join(' '));
        };
        for (const name of ['click', 'auxclick', 'contextmenu', 'dblclick'])
            document.querySelector('div').addEventListener(name, note);
        </script>"#;
    let stage = Stage::at(&[("/", html)]).await;
    let div = Locator::css("#d");
    let click = |button, count, modifiers: &[Modifier]| Click {
        button,
        count,
        modifiers: modifiers.to_vec(),
        position: Some((13.0, 23.0)),
    };
    let cases = [
        (
            click(MouseButton::Left, 1, &[Modifier::Control, Modifier::Shift]),
            "click 0 1 ctrl shift 10 20 true",
        ),
        (
            click(MouseButton::Right, 1, &[]),
            "contextmenu 2 0 10 20 true|auxclick 2 1 10 20 true",
        ),
        (
            click(MouseButton::Middle, 1, &[Modifier::Alt]),
            "auxclick 1 1 alt 10 20 true",
        ),
        (
            click(MouseButton::Left, 2, &[]),
            "click 0 1 10 20 true|click 0 2 10 20 true|dblclick 0 2 10 20 true",
        ),
    ];
    for (click, expected) in cases {
        stage.page.click_with(&div, &click, PATIENCE).await.unwrap();
        let seen = stage.value("seen.splice(0).join('|')").await;
        assert_eq!(seen, expected, "{click:?}");
    }
}

const BOARD: &str = r#"<style>div { width: 80px; height: 80px; margin: 30px; background: silver }</style>
    <div id="from">card</div><p style="height: 900px"></p><div id="to"></div>"#;

#[tokio::test]
async fn an_element_is_dragged_with_the_mouse_alone() {
    let html = format!(
        "{BOARD}<script>
        let held = false;
        const seen = [];
        const at = (event) => document.elementFromPoint(event.clientX, event.clientY)?.id;
        addEventListener('mousedown', (event) => {{ held = at(event) === 'from'; }});
        addEventListener('mousemove', (event) => {{ if (held && event.buttons === 1) seen.push('move'); }});
        addEventListener('mouseup', (event) => {{ window.dropped = `${{held}} ${{at(event)}} ${{seen.length >= 3}}`; }});
        </script>"
    );
    let stage = Stage::at(&[("/", &html)]).await;
    stage
        .page
        .drag(&Locator::css("#from"), &Locator::css("#to"), PATIENCE)
        .await
        .unwrap();
    assert_eq!(stage.value("window.dropped").await, "true to true");
}

#[tokio::test]
async fn an_element_is_dragged_with_the_events_of_the_browsers_own_dragging() {
    let html = format!(
        "{BOARD}<script>
        const [from, to] = [document.querySelector('#from'), document.querySelector('#to')];
        from.draggable = true;
        window.seen = [];
        from.ondragstart = (event) => {{ event.dataTransfer.setData('text/plain', 'card 7'); seen.push('start'); }};
        to.ondragenter = (event) => {{ event.preventDefault(); seen.push('enter'); }};
        to.ondragover = (event) => event.preventDefault();
        to.ondrop = (event) => {{ event.preventDefault(); seen.push('drop ' + event.dataTransfer.getData('text/plain')); }};
        from.ondragend = () => seen.push('end');
        </script>"
    );
    let stage = Stage::at(&[("/", &html)]).await;
    let (from, to) = (Locator::css("#from"), Locator::css("#to"));
    for _ in 0..2 {
        stage.page.drag(&from, &to, PATIENCE).await.unwrap();
        let seen = stage.value("seen.splice(0).join(', ')").await;
        assert_eq!(seen, "start, enter, drop card 7, end");
    }
}

#[tokio::test]
async fn a_drag_without_a_target_lets_the_mouse_go() {
    let html = format!(
        "{BOARD}<script>addEventListener('mouseup', () => {{ window.released = true }})</script>"
    );
    let stage = Stage::at(&[("/", &html)]).await;
    let failed = stage
        .page
        .drag(&Locator::css("#from"), &Locator::css("#no"), LATER)
        .await
        .unwrap_err();
    assert!(matches!(failed, Error::NotFound { .. }), "{failed:?}");
    assert_eq!(stage.value("window.released").await, "true");
}

#[tokio::test]
async fn what_scrolls_inside_of_what_scrolls_is_scrolled_to() {
    let html = r#"<div style="height: 2000px"></div>
        <div id="outer" style="height: 200px; overflow: auto"><div style="height: 1000px"></div>
        <div id="inner" style="height: 100px; overflow: auto"><div style="height: 1000px"></div>
        <button onclick="window.clicked = true">Deep</button></div></div>"#;
    let stage = Stage::at(&[("/", html)]).await;
    stage
        .page
        .click(&Locator::css("button"), PATIENCE)
        .await
        .unwrap();
    assert_eq!(stage.value("window.clicked").await, "true");
}

#[tokio::test]
async fn pages_and_boxes_are_scrolled_by_the_wheel_and_to_their_ends() {
    let html = r#"<body style="margin: 0"><div id="box" style="height: 200px; width: 300px; overflow: auto"><p style="height: 1000px">x</p></div>
        <div style="height: 3000px"></div><i>end</i>"#;
    let stage = Stage::at(&[("/", html)]).await;
    let page = &stage.page;
    let tops = "[scrollY, document.querySelector('#box').scrollTop].join(' ')";
    let the_box = Locator::css("#box");
    page.scroll_by(Some(&the_box), 0.0, 120.0, PATIENCE)
        .await
        .unwrap();
    assert_eq!(stage.value(tops).await, "0 120");
    page.scroll_by(None, 0.0, 300.0, PATIENCE).await.unwrap();
    assert_eq!(stage.value(tops).await, "300 120");
    page.scroll_to(None, ScrollTo::Bottom, PATIENCE)
        .await
        .unwrap();
    let at_the_end = "String(scrollY + innerHeight >= document.documentElement.scrollHeight - 1)";
    assert_eq!(stage.value(at_the_end).await, "true");
    page.scroll_to(None, ScrollTo::Top, PATIENCE).await.unwrap();
    page.scroll_to(Some(&the_box), ScrollTo::Bottom, PATIENCE)
        .await
        .unwrap();
    let end = stage
        .value("document.querySelector('#box').scrollHeight - 200")
        .await;
    assert_eq!(stage.value(tops).await, format!("0 {end}"));
    page.scroll_to(Some(&Locator::css("i")), ScrollTo::View, PATIENCE)
        .await
        .unwrap();
    assert_ne!(stage.value("scrollY").await, "0");
}

#[tokio::test]
async fn a_click_in_a_frame_that_goes_away_and_comes_back_is_done_in_the_new_one() {
    let html = r#"<iframe src="/inner"></iframe><script>
        setTimeout(() => document.querySelector('iframe').remove(), 100);
        setTimeout(() => { const frame = document.createElement('iframe'); frame.src = '/inner?second'; document.body.append(frame); }, 300);
        addEventListener('message', (event) => { window.clicked = event.data; });
        </script>"#;
    let inner = r#"<button disabled onclick="parent.postMessage(location.search, '*')">Go</button><script>
        if (location.search) setTimeout(() => { document.querySelector('button').disabled = false; }, 100);</script>"#;
    let stage = Stage::at(&[("/", html), ("/inner", inner)]).await;
    let go = Locator::css("button").in_frame(Locator::css("iframe"));
    stage.page.click(&go, PATIENCE).await.unwrap();
    assert_eq!(stage.value("window.clicked").await, "?second");
}

#[tokio::test]
async fn a_button_in_a_frame_of_another_origin_in_another_is_clicked_at_its_place() {
    let stage = Stage::at(&[
        ("/", "<p>outer</p>"),
        ("/deep", r#"<div style="height: 700px"></div><button onclick="this.innerText = 'clicked ' + event.isTrusted">Deep</button>"#),
        ("/middle", "HTTP 200 OK\nContent-Type: text/html\n\n<div style='height: 900px'></div><iframe id=deep style='margin: 20px; height: 300px'></iframe>
            <script>document.querySelector('iframe').src = location.href.includes('localhost') ? '//127.0.0.1:' + location.port + '/deep' : ''</script>"),
    ])
    .await;
    let script = format!(
        "{{ const frame = document.createElement('iframe'); frame.id = 'middle'; frame.style.cssText = 'margin: 900px 40px; height: 400px'; frame.src = '{}'; document.body.append(frame) }}",
        stage.site.url_elsewhere("/middle")
    );
    stage.page.evaluate(&script, PATIENCE).await.unwrap();
    let middle = Locator::css("#middle");
    let deep = Locator::css("#deep").in_frame(middle);
    let button = Locator::css("button").in_frame(deep);
    stage.page.click(&button, PATIENCE).await.unwrap();
    let text = stage.page.text(&button, PATIENCE).await.unwrap();
    assert_eq!(text, "clicked true");
}
