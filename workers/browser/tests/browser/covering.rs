//! What must not be seen on pictures: two pages that differ in nothing else look the same.

use std::ops::Range;

use browser::{Field, Locator, PdfOptions, Read, Redaction, Screenshot};

use crate::site::Site;
use crate::{PATIENCE, Stage};

/// Secrets of the same size in a font whose letters are all equally wide.
const SECRETS: [&str; 2] = ["swordfish-1", "cuttlefish2"];

/// Finds both secrets, also where only spaces are between their letters.
fn redaction() -> Redaction {
    let places = |text: &str| -> Vec<Range<usize>> {
        let mut places: Vec<_> = SECRETS
            .iter()
            .flat_map(|secret| text.match_indices(secret))
            .map(|(start, secret)| start..start + secret.len())
            .collect();
        places.sort_by_key(|place| place.start);
        places
    };
    Redaction::by(|text| {
        SECRETS
            .iter()
            .fold(text.to_owned(), |text, secret| text.replace(secret, "•••"))
    })
    .with_places(places)
}

/// Nothing that differs from picture to picture, such as a caret, or the round corners of what has the focus: Chromium
/// does not always draw their edges in the same shade.
const STYLE: &str = "<!doctype html><style>
    * { font: 16px monospace; caret-color: transparent; outline: none }</style>";

/// The pictures of a page: in view, whole, and on paper without its dates.
async fn pictures(stage: &Stage) -> [Vec<u8>; 3] {
    let whole = Screenshot {
        full_page: true,
        ..Screenshot::default()
    };
    let html = "document.documentElement.outerHTML";
    let before = stage.value(html).await;
    let mut pdf = stage.page.pdf_with(&PdfOptions::default()).await.unwrap();
    without_dates(&mut pdf);
    let pictures = [
        stage.page.screenshot(&Screenshot::default()).await.unwrap(),
        stage.page.screenshot(&whole).await.unwrap(),
        pdf,
    ];
    assert_eq!(before, stage.value(html).await, "nothing stays in the page");
    pictures
}

fn without_dates(pdf: &mut [u8]) {
    let dates: Vec<usize> = (0..pdf.len() - 30)
        .filter(|at| pdf[*at..].starts_with(b"Date (D:"))
        .collect();
    for date in dates {
        pdf[date..date + 30].fill(b' ');
    }
}

#[tokio::test]
async fn what_must_not_be_seen_is_covered_wherever_a_page_shows_it() {
    let cases = [
        ("a text", "<p>It is SECRET, it is</p>"),
        ("several", "<p>SECRET and SECRET</p><b>SECRET</b>"),
        (
            "a text in pieces",
            "<p id=p></p><script>for (const c of 'SECRET') { const b = document.createElement('b'); b.textContent = c; p.append(b, '\\n') }</script>",
        ),
        ("a field", "<input id=i><script>i.value = 'SECRET'</script>"),
        (
            "a field in pieces",
            "<script>for (const c of 'SECRET') { const i = document.createElement('input'); i.size = 1; i.value = c; document.body.append(i) }</script>",
        ),
        ("a long field", "<textarea>and SECRET too</textarea>"),
        ("a button", "<input type=button value='SECRET'>"),
        ("a hint", "<input placeholder='SECRET'>"),
        ("a list", "<select><option>SECRET</select>"),
        (
            "an open list",
            "<select size=3><option>a<option>SECRET</select>",
        ),
        ("an editor", "<div contenteditable>SECRET</div>"),
        (
            "a shadow root",
            "<div id=d></div><script>d.attachShadow({mode: 'open'}).innerHTML = '<p>SECRET</p><input value=SECRET>'</script>",
        ),
        (
            "a closed shadow root",
            "<div id=d></div><script>d.attachShadow({mode: 'closed'}).innerHTML = '<p>SECRET</p><input value=SECRET>'</script>",
        ),
        (
            "a closed root with content",
            "<p id=d>words that nobody sees</p><script>d.attachShadow({mode: 'closed'}).innerHTML = 'SECRET'</script>",
        ),
        (
            "closed roots in roots",
            "<div id=d></div><script>
            const inner = document.createElement('x-inner');
            inner.attachShadow({mode: 'closed'}).innerHTML = '<i>SECRET</i>';
            const open = document.createElement('div');
            open.attachShadow({mode: 'open'}).append('words', inner);
            d.attachShadow({mode: 'closed'}).append(open);</script>",
        ),
        (
            "a page that wants no boxes",
            "<p>SECRET</p><script>addEventListener('beforetoggle', (event) => event.preventDefault(), true)</script>",
        ),
        (
            "a root's own text",
            "<div id=d></div><script>d.attachShadow({mode: 'open'}).textContent = 'SECRET'</script>",
        ),
        (
            "a dialog on top",
            "<dialog id=d><p>SECRET</p></dialog><script>d.showModal()</script>",
        ),
        (
            "a popover",
            "<div popover id=d>SECRET</div><script>d.showPopover()</script>",
        ),
        (
            "a drawing",
            "<svg width=300 height=50><text y=20>SECRET</text></svg>",
        ),
        ("below the fold", "<p style='margin-top: 2000px'>SECRET</p>"),
        (
            "scrolled",
            "<div style='height: 50px; overflow: auto' id=d><p style='margin-top: 100px'>SECRET</p></div><script>d.scrollTop = 500</script>",
        ),
        (
            "on top",
            "<p style='position: fixed; z-index: 2147483647; background: white'>SECRET</p>",
        ),
        (
            "turned",
            "<p style='transform: rotate(20deg) scale(1.5); margin: 100px'>SECRET</p>",
        ),
        (
            "a page that is turned",
            "<style>html { transform: translate(30px, 40px); position: relative }</style><p>SECRET</p>",
        ),
        ("an image's words", "<img alt='SECRET' src=/none>"),
        ("a frame", "<iframe src=ELSEWHERE></iframe>"),
        (
            "a frame without a site",
            "<iframe srcdoc=\"<p style='font: 16px monospace'>SECRET</p>\"></iframe>",
        ),
    ];
    let framed = SECRETS.map(|secret| format!("{STYLE}<p>{secret}</p>"));
    let frames = Site::start(&[("/0", &framed[0]), ("/1", &framed[1])]).await;
    let mut pages = Vec::new();
    for (number, (_, html)) in cases.iter().enumerate() {
        for (index, secret) in SECRETS.iter().enumerate() {
            let frame = frames.url_elsewhere(&format!("/{index}"));
            let html = html.replace("SECRET", secret).replace("ELSEWHERE", &frame);
            pages.push((format!("/{number}/{index}"), format!("{STYLE}{html}")));
        }
    }
    let pages: Vec<_> = pages
        .iter()
        .map(|(path, html)| (path.as_str(), html.as_str()))
        .collect();
    let stage = Stage::at(&[&[("/", "")], pages.as_slice()].concat()).await;
    stage.page.redact(redaction());
    for (number, (what, _)) in cases.iter().enumerate() {
        let mut taken = Vec::new();
        for index in 0..SECRETS.len() {
            let url = stage.site.url(&format!("/{number}/{index}"));
            stage.page.goto(&url, PATIENCE).await.unwrap();
            taken.push(pictures(&stage).await);
        }
        for (kind, name) in ["in view", "whole", "on paper"].iter().enumerate() {
            assert!(taken[0][kind] == taken[1][kind], "{what} {name}");
        }
    }
}

#[tokio::test]
async fn a_field_stays_covered_whatever_the_page_makes_of_what_was_entered() {
    let html = "<input id=i oninput='change()'><script>
        // The page shows the end of it only, and nothing that the field was found by stays.
        function change() { i.value = i.value.slice(-1); i.id = 'other' }</script>";
    let mut pictures = Vec::new();
    for secret in SECRETS {
        let stage = Stage::at(&[("/", &format!("{STYLE}{html}"))]).await;
        stage.page.redact(redaction());
        stage
            .page
            .fill(&Locator::css("#i"), secret, PATIENCE)
            .await
            .unwrap();
        assert_eq!(
            stage.value("document.querySelector('input').value").await,
            secret[10..]
        );
        pictures.push(stage.page.screenshot(&Screenshot::default()).await.unwrap());
    }
    assert!(pictures[0] == pictures[1]);
}

#[tokio::test]
async fn what_is_left_of_it_in_its_field_is_not_read_until_something_else_is_entered() {
    let html = "<input maxlength=5><div contenteditable></div>";
    let stage = Stage::at(&[("/", html)]).await;
    let page = &stage.page;
    page.redact(redaction());
    let read = async |css: &str, read: Read| {
        let field = Field {
            name: "value".to_owned(),
            locator: None,
            read,
        };
        let rows = page.read_rows(&Locator::css(css), &[field]).await.unwrap();
        rows.cells[0][0].clone().unwrap()
    };
    let (field, editor) = (Locator::css("input"), Locator::css("div"));
    assert_eq!(read("input", Read::Value).await, "");
    page.fill(&field, SECRETS[0], PATIENCE).await.unwrap();
    assert_eq!(
        stage.value("document.querySelector('input').value").await,
        "sword"
    );
    assert_eq!(read("input", Read::Value).await, "•••");
    page.type_text(&editor, SECRETS[0], std::time::Duration::ZERO, PATIENCE)
        .await
        .unwrap();
    for _ in 0..4 {
        page.press("Backspace", PATIENCE).await.unwrap();
    }
    for read in [read("div", Read::Text).await, read("div", Read::Html).await] {
        assert_eq!(read, "•••");
    }
    page.fill(&field, "other", PATIENCE).await.unwrap();
    assert_eq!(read("input", Read::Value).await, "other");
}

#[tokio::test]
async fn messages_quote_no_half_of_what_must_not_be_seen() {
    let html = "<title>A title that is cut at sixty characters in messages, so SECRET</title>
        <button>Here is a long text, of which SECRET is cut</button><button>Another</button>
        <button disabled id='thirty-letters-and-some-before-SECRET'>x</button>";
    let html = html.replace("SECRET", SECRETS[0]);
    let stage = Stage::at(&[("/", &html)]).await;
    let soon = std::time::Duration::from_millis(100);
    let messages = async || {
        let mut messages = String::new();
        for locator in ["button", "#none", "button[disabled]"] {
            let failed = stage
                .page
                .click(&Locator::css(locator), soon)
                .await
                .unwrap_err();
            messages.push_str(&failed.to_string());
        }
        messages
    };
    let before = messages().await;
    assert!(
        before.contains("Here is a long text, of which swordfish…"),
        "{before}"
    );
    stage.page.redact(redaction());
    let after = messages().await;
    assert!(
        after.contains("Here is a long text, of which ••• is cut"),
        "{after}"
    );
    assert!(!after.contains("swor"), "{after}");
}

#[tokio::test]
async fn frames_without_a_document_of_their_own_keep_no_picture_from_being_taken() {
    let html = "<p>swordfish-1</p><iframe></iframe><iframe src='http://127.0.0.1:1/'></iframe><iframe sandbox srcdoc='<p>swordfish-1</p>'></iframe>
        <iframe loading=lazy style='margin-top: 9000px' src='/late'></iframe><iframe src='javascript:1'></iframe><iframe src='data:text/html,swordfish-1'></iframe>
        <iframe src='/none.pdf'></iframe><object data='/none'></object><embed src='/none.pdf'><iframe src='/gone' id=gone></iframe><script>onload = () => gone.remove()</script>";
    let stage = Stage::at(&[("/", html)]).await;
    let plain = stage.page.screenshot(&Screenshot::default()).await.unwrap();
    stage.page.redact(redaction());
    let covered = stage.page.screenshot(&Screenshot::default()).await.unwrap();
    assert_ne!(plain, covered);
    stage.page.pdf().await.unwrap();
}
