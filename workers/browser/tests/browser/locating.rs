//! Each way of naming elements.

use std::time::Instant;

use browser::{By, Error, Locator};

use crate::{AGES, PATIENCE, QUICK, SOON, Stage};

const NAMES: &str = r##"<nav><a href="#1" id="home">Home</a></nav>
    <h2 id="title">Staff <b>list</b></h2>
    <button id="icon" aria-label="Close"><svg></svg></button>
    <input id="submit" type="submit" value="Save all">
    <label>Accept <input id="box" type="checkbox"></label>
    <span id="lbl">Shoe size</span><input id="size" aria-labelledby="lbl">
    <img id="pic" alt="Company logo" src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">
    <input id="search" placeholder="Search staff">
    <div data-testid="total" id="total">12</div>
    <div role="button" id="fake" tabindex="0">Fake</div>
    <button id="hidden" style="display: none">Ghost</button>
    <select id="month" title="Month"><option>May</option></select>
    <table id="t"><caption>Pay</caption><tr><th>Name</th></tr><tr><td>Ada</td></tr></table>"##;

async fn id_of(stage: &Stage, locator: &Locator) -> String {
    let id = stage.page.attribute(locator, "id", PATIENCE).await;
    id.unwrap_or_else(|error| panic!("{error}"))
        .unwrap_or_default()
}

#[tokio::test]
async fn each_kind_of_locator_finds_its_element() {
    let stage = Stage::at(&[("/", NAMES)]).await;
    let cases = [
        (Locator::role("link", "home"), "home"),
        (Locator::role("heading", "Staff list"), "title"),
        (Locator::role("button", "Close"), "icon"),
        (Locator::role("button", "Save all"), "submit"),
        (Locator::role("checkbox", "Accept"), "box"),
        (Locator::role("textbox", "Shoe size"), "size"),
        (Locator::role("img", "logo"), "pic"),
        (Locator::role("button", "Fake"), "fake"),
        (Locator::role("combobox", "Month"), "month"),
        (Locator::role("table", "Pay"), "t"),
        (Locator::label("accept"), "box"),
        (Locator::label("Shoe size"), "size"),
        (Locator::new(By::Placeholder("search".to_owned())), "search"),
        (Locator::new(By::TestId("total".to_owned())), "total"),
        (Locator::text("Staff list"), "title"),
        (Locator::css("nav > a"), "home"),
        (
            Locator::new(By::Xpath("//table[caption='Pay']".to_owned())),
            "t",
        ),
    ];
    for (locator, id) in cases {
        assert_eq!(id_of(&stage, &locator).await, id, "{locator}");
    }
}

#[tokio::test]
async fn what_people_cannot_see_has_no_role() {
    let stage = Stage::at(&[("/", NAMES)]).await;
    let ghost = Locator::role("button", "Ghost");
    assert_eq!(stage.page.count(&ghost).await.unwrap(), 0);
    assert_eq!(stage.page.count(&Locator::css("#hidden")).await.unwrap(), 1);
}

#[tokio::test]
async fn exact_minds_case_and_the_whole_text() {
    let html = "<button>Save</button><button>Save all</button><button>save</button>";
    let stage = Stage::at(&[("/", html)]).await;
    let mut save = Locator::role("button", "Save");
    assert_eq!(stage.page.count(&save).await.unwrap(), 3);
    save.exact = true;
    assert_eq!(stage.page.count(&save).await.unwrap(), 1);
}

#[tokio::test]
async fn an_ambiguous_locator_is_an_error_that_lists_candidates() {
    let html = r#"<button id="a">Delete</button><button id="b">Delete</button>"#;
    let stage = Stage::at(&[("/", html)]).await;
    let mut delete = Locator::role("button", "Delete");
    let failed = stage.page.click(&delete, PATIENCE).await.unwrap_err();
    match failed {
        Error::Ambiguous {
            count, candidates, ..
        } => {
            assert_eq!(count, 2);
            assert_eq!(candidates[1], r#"<button id="b">Delete"#);
        }
        other => panic!("{other:?}"),
    }
    delete.nth = Some(1);
    assert_eq!(id_of(&stage, &delete).await, "b");
}

#[tokio::test]
async fn within_looks_only_inside() {
    let html = r#"<ul><li>Ada <button id="a">Edit</button></li><li>Bob <button id="b">Edit</button></li></ul>"#;
    let stage = Stage::at(&[("/", html)]).await;
    let row = Locator::new(By::Role {
        role: "listitem".to_owned(),
        name: None,
    });
    let mut second = row;
    second.nth = Some(1);
    let edit = Locator::role("button", "Edit").within(second);
    assert_eq!(id_of(&stage, &edit).await, "b");
}

#[tokio::test]
async fn alternatives_are_tried_in_order() {
    let stage = Stage::at(&[("/", NAMES)]).await;
    let any = Locator::new(By::AnyOf(vec![
        Locator::css("#no-such"),
        Locator::text("Staff list"),
        Locator::css("#home"),
    ]));
    assert_eq!(id_of(&stage, &any).await, "title");
}

#[tokio::test]
async fn open_shadow_roots_are_pierced() {
    let html = r#"<div id="host"></div><script>
        const outer = document.querySelector('#host').attachShadow({mode: 'open'});
        outer.innerHTML = '<p><span id="inner-host"></span></p>';
        const inner = outer.querySelector('#inner-host').attachShadow({mode: 'open'});
        inner.innerHTML = '<label>Name <input id="deep"></label><button id="go">Go <i>now</i></button>';
        inner.querySelector('button').onclick = () => { window.clicked = inner.querySelector('input').value };
        </script>"#;
    let stage = Stage::at(&[("/", html)]).await;
    assert_eq!(id_of(&stage, &Locator::css("button")).await, "go");
    assert_eq!(id_of(&stage, &Locator::text("Go now")).await, "go");
    stage
        .page
        .fill(&Locator::label("Name"), "Ada", PATIENCE)
        .await
        .unwrap();
    stage
        .page
        .click(&Locator::role("button", "Go now"), PATIENCE)
        .await
        .unwrap();
    assert_eq!(stage.value("window.clicked").await, "Ada");
}

#[tokio::test]
async fn a_broken_selector_is_an_error_at_once() {
    let stage = Stage::at(&[("/", "")]).await;
    for locator in [
        Locator::css("div >> ["),
        Locator::new(By::Xpath("//[".to_owned())),
    ] {
        let failed = stage.page.click(&locator, PATIENCE).await.unwrap_err();
        assert!(matches!(failed, Error::BadSelector { .. }), "{failed:?}");
    }
}

#[tokio::test]
async fn an_element_that_never_comes_is_not_found() {
    let stage = Stage::at(&[("/", "<title>Empty</title>")]).await;
    let failed = stage
        .page
        .click(&Locator::css("#no"), SOON)
        .await
        .unwrap_err();
    assert!(matches!(failed, Error::NotFound { .. }), "{failed:?}");
    assert!(failed.to_string().contains("(Empty)"), "{failed}");
}

#[tokio::test]
async fn an_error_says_where_the_page_is_without_the_tokens_in_its_url() {
    let stage = Stage::at(&[("/", "<title>Empty</title>")]).await;
    stage
        .value("history.replaceState(null, '', '/page?token=1234#5678')")
        .await;
    let failed = stage
        .page
        .click(&Locator::css("#no"), SOON)
        .await
        .unwrap_err()
        .to_string();
    assert!(failed.contains("/page?…#… (Empty)"), "{failed}");
    assert!(
        !failed.contains("1234") && !failed.contains("5678"),
        "{failed}"
    );
}

#[tokio::test]
async fn xpath_stays_outside_of_shadow_roots_and_says_so() {
    let html = "<div id=host></div><script>
        document.querySelector('#host').attachShadow({mode: 'open'}).innerHTML = '<b>in</b>';</script>";
    let stage = Stage::at(&[("/", html)]).await;
    let bold = Locator::new(By::Xpath("//b".to_owned()));
    let failed = stage.page.click(&bold, SOON).await.unwrap_err();
    let message = failed.to_string();
    assert!(message.contains("XPath does not look into"), "{message}");
}

#[tokio::test]
async fn alternatives_and_what_they_are_within_can_be_in_a_frame() {
    let inner = "<ul><li>One <button>Edit</button></li><li>Two <button>Edit</button></li></ul>";
    let stage = Stage::at(&[("/", "<iframe src=/inner></iframe>"), ("/inner", inner)]).await;
    let frame = Locator::css("iframe");
    let row = Locator::text("Two").in_frame(frame.clone());
    let either = Locator::new(By::AnyOf(vec![
        Locator::css("#no-such").in_frame(frame.clone()),
        Locator::role("button", "Edit").within(row),
    ]));
    stage.page.click(&either, PATIENCE).await.unwrap();
    let mixed = Locator::new(By::AnyOf(vec![
        Locator::css("p"),
        Locator::css("li").in_frame(frame),
    ]));
    let failed = stage.page.click(&mixed, PATIENCE).await.unwrap_err();
    assert!(matches!(failed, Error::BadSelector { .. }), "{failed:?}");
}

#[tokio::test]
async fn ten_thousand_rows_are_looked_through_in_time() {
    let html = "<table></table><script>document.querySelector('table').innerHTML = Array.from({length: 10000},
        (_, i) => `<tr><td>Name ${i}</td><td><button>Edit ${i}</button></td></tr>`).join('')</script>";
    let stage = Stage::at(&[("/", html)]).await;
    let page = &stage.page;
    let mut edit = Locator::role("button", "Edit 9876");
    edit.exact = true;
    let begun = Instant::now();
    assert_eq!(page.count(&Locator::css("tr")).await.unwrap(), 10_000);
    assert_eq!(page.count(&Locator::text("Name 9876")).await.unwrap(), 1);
    assert_eq!(page.count(&edit).await.unwrap(), 1);
    page.click(&edit, AGES).await.unwrap();
    assert!(begun.elapsed() < QUICK, "{:?}", begun.elapsed());
}
