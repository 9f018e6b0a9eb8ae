//! Tables, downloads, pictures.

use browser::{Error, Field, Locator, Read, Screenshot};

use crate::{PATIENCE, SOON, Stage};

fn field(selector: &str, read: Read) -> Field {
    Field {
        name: selector.to_owned(),
        locator: Some(Locator::css(selector)),
        read,
    }
}

#[tokio::test]
async fn a_table_of_a_hundred_rows_is_read_whole() {
    let rows: String = (0..100)
        .map(|i| format!("<tr><td> Name {i} </td><td><a href='/e/{i}'>more</a></td><td><input type=checkbox {}></td></tr>", if i % 2 == 0 { "checked" } else { "" }))
        .collect();
    let html = format!("<table><tbody>{rows}</tbody></table>");
    let stage = Stage::at(&[("/", &html)]).await;
    let fields = [
        field("td:nth-child(1)", Read::Text),
        field("a", Read::Attribute("href".to_owned())),
        field("input", Read::Checked),
        field("b", Read::Text),
    ];
    let table = stage
        .page
        .read_rows(&Locator::css("tbody tr"), &fields)
        .await
        .unwrap();
    assert_eq!(table.len(), 100);
    let cell = |text: &str| Some(text.to_owned());
    assert_eq!(
        table[7],
        [cell("Name 7"), cell("/e/7"), cell("false"), None]
    );
    assert_eq!(table[98][2], cell("true"));
}

#[tokio::test]
async fn rows_and_fields_can_be_in_shadow_roots() {
    let html = "<div id=host></div><script>
        document.querySelector('#host').attachShadow({mode: 'open'}).innerHTML =
            '<ul><li><b>Ada</b></li><li><b>Bob</b></li></ul>';</script>";
    let stage = Stage::at(&[("/", html)]).await;
    let rows = stage
        .page
        .read_rows(&Locator::css("li"), &[field("b", Read::Html)])
        .await
        .unwrap();
    assert_eq!(rows, [[Some("Ada".to_owned())], [Some("Bob".to_owned())]]);
}

#[tokio::test]
async fn a_download_has_its_bytes_and_the_suggested_name() {
    let csv = "name,salary\nAda,100\n";
    let html = r#"<a href="/export.csv">Export CSV</a><p>still here</p>"#;
    let stage = Stage::at(&[("/", html), ("/export.csv", csv)]).await;
    for _ in 0..2 {
        let waiter = stage.page.expect_download();
        stage
            .page
            .click(&Locator::role("link", "Export CSV"), PATIENCE)
            .await
            .unwrap();
        let download = waiter.wait(PATIENCE).await.unwrap();
        assert_eq!(std::fs::read_to_string(&download.path).unwrap(), csv);
        assert_eq!(download.suggested_file_name, "employees.csv");
        assert_eq!(download.size_bytes, 20);
        assert_eq!(download.url, stage.site.url("/export.csv"));
        let text = stage.page.text(&Locator::css("p"), PATIENCE).await.unwrap();
        assert_eq!(text, "still here");
    }
}

#[tokio::test]
async fn a_download_that_does_not_begin_ends_in_a_timeout() {
    let stage = Stage::at(&[("/", "")]).await;
    let failed = stage.page.expect_download().wait(SOON).await.unwrap_err();
    assert!(failed.to_string().contains("none began"), "{failed}");
}

fn size_of(png: &[u8]) -> (u32, u32) {
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[tokio::test]
async fn a_screenshot_is_a_png_of_the_view_the_page_or_an_element() {
    let html = r#"<body style="margin: 0"><div style="height: 3000px; background: red"></div>
        <p id="p" style="margin: 0; width: 30px; height: 20px"></p></body>"#;
    let stage = Stage::at(&[("/", html)]).await;
    let picture = Screenshot::default();
    let png = stage.page.screenshot(&picture).await.unwrap();
    assert_eq!(size_of(&png), (1280, 800));
    let picture = Screenshot {
        full_page: true,
        ..Screenshot::default()
    };
    let png = stage.page.screenshot(&picture).await.unwrap();
    assert_eq!(size_of(&png), (1280, 3020));
    let picture = Screenshot {
        element: Some(Locator::css("#p")),
        ..Screenshot::default()
    };
    let png = stage.page.screenshot(&picture).await.unwrap();
    assert_eq!(size_of(&png), (30, 20));
}

#[tokio::test]
async fn a_masked_element_does_not_show_in_a_screenshot() {
    let html = r#"<body style="margin: 0"><div id="s" style="width: 40px; height: 40px; background: COLOR"></div></body>"#;
    let stage = Stage::at(&[
        ("/", &html.replace("COLOR", "red")),
        ("/blue", &html.replace("COLOR", "blue")),
    ])
    .await;
    let plain = Screenshot {
        element: Some(Locator::css("#s")),
        ..Screenshot::default()
    };
    let masked = Screenshot {
        mask: vec![Locator::css("#s")],
        ..plain.clone()
    };
    let red = stage.page.screenshot(&plain).await.unwrap();
    let hidden = stage.page.screenshot(&masked).await.unwrap();
    let red_again = stage.page.screenshot(&plain).await.unwrap();
    stage
        .page
        .goto(&stage.site.url("/blue"), PATIENCE)
        .await
        .unwrap();
    let hidden_blue = stage.page.screenshot(&masked).await.unwrap();
    assert_ne!(red, hidden);
    assert_eq!(red, red_again, "the mask stayed");
    assert_eq!(hidden, hidden_blue);
}

#[tokio::test]
async fn a_pdf_and_a_copy_of_the_document_can_be_had() {
    let html = "<!DOCTYPE html><p>words</p><input><script>document.querySelector('input').value = 'typed'</script>";
    let stage = Stage::at(&[("/", html)]).await;
    let pdf = stage.page.pdf().await.unwrap();
    assert_eq!(&pdf[..5], b"%PDF-");
    let dom = stage.page.dom_snapshot().await.unwrap();
    assert!(dom.starts_with("<!DOCTYPE html>"), "{dom}");
    assert!(dom.contains("<p>words</p><input>"), "{dom}");
}

#[tokio::test]
async fn a_script_gives_its_value_its_exception_or_a_timeout() {
    let stage = Stage::at(&[("/", "<script>var mine = {a: [1, 'x']}</script>")]).await;
    let page = &stage.page;
    let value = page
        .evaluate("Promise.resolve(mine)", PATIENCE)
        .await
        .unwrap();
    assert_eq!(value.to_string(), r#"{"a":[1,"x"]}"#);
    let failed = page.evaluate("nothing.there", PATIENCE).await.unwrap_err();
    assert!(
        matches!(&failed, Error::Script { message } if message.contains("nothing is not defined")),
        "{failed:?}"
    );
    let failed = page.evaluate("while (true);", SOON).await.unwrap_err();
    assert!(matches!(failed, Error::TimedOut { .. }), "{failed:?}");
    // The loop was stopped, and the page lives.
    assert_eq!(stage.value("1 + 1").await, "2");
}
