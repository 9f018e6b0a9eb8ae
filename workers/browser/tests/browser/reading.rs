//! Tables, downloads, pictures.

use browser::{Error, Field, Locator, PdfOptions, Read, Screenshot};

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
        .unwrap()
        .cells;
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
    assert_eq!(
        rows.cells,
        [[Some("Ada".to_owned())], [Some("Bob".to_owned())]]
    );
}

/// Rows in each of which something is shown otherwise than it is written.
const ODD_ROWS: &str = r#"<style>.big { text-transform: uppercase } .none { display: none } .away { visibility: hidden }</style>
<table><tbody>
<tr><td>plain</td><td> in
        lines </td><td>two  spaces</td><td>&nbsp;a&nbsp; </td></tr>
<tr><td>Ada</td><td class=none>not shown</td><td class=away>kept place</td><td class=big>capitals</td></tr>
<tr class=none><td>all of</td><td> the  row </td><td>is</td><td>hidden</td></tr>
<tr class=big><td>all of</td><td>the row</td><td>is</td><td>large</td></tr>
<tr><td>br<br>eak</td><td><p>one</p><p>two</p></td><td><b>bo</b>ld</td><td>a <i class=none>b</i> c</td></tr>
<tr><td style="white-space: pre"> as
 it  is</td><td><pre>x
  y</pre></td><td><textarea>typed</textarea></td><td><select><option>one<option>two</select></td></tr>
<tr><td><table><tr><td>1</td><td>2</td></tr></table></td><td></td><td><svg><text>drawn</text></svg></td><td><!-- said -->un<wbr>said</td></tr>
<tr><td>A</td><td class=away>A</td><td><script>"code"</script></td><td>A</td></tr>
<tr style="display: contents"><td>no</td><td>box</td><td><details><summary>more</summary>less</details></td><td style="display: block">block</td></tr>
</tbody></table>"#;

#[tokio::test]
async fn a_text_is_read_as_it_is_shown_however_its_row_looks() {
    let stage = Stage::at(&[("/", ODD_ROWS)]).await;
    // At the end all letters are shown, as in most tables; before that, in all rows but one.
    let rows = ["none", "tbody > tr:nth-child(n + 3)", "tbody > tr + tr"];
    for removed in rows {
        let remove =
            format!("for (const row of document.querySelectorAll('{removed}')) row.remove()");
        stage.page.evaluate(&remove, PATIENCE).await.unwrap();
        for selectors in [
            ["td", "td + td", "td + td + td", "td + td + td + td"],
            ["b", "textarea", "option", "pre"],
            ["svg text", "script", "summary", ":scope > td:last-child"],
        ] {
            let fields = selectors.map(|selector| field(selector, Read::Text));
            let rows = Locator::css("tbody > tr");
            let read = stage.page.read_rows(&rows, &fields).await.unwrap();
            let shown = format!(
                "[...document.querySelectorAll('tbody > tr')].map((row) => {}.map((selector) => {{
                    const element = row.querySelector(selector);
                    return element && (element.innerText ?? element.textContent).trim();
                }}))",
                serde_json::json!(selectors)
            );
            let shown = stage.page.evaluate(&shown, PATIENCE).await.unwrap();
            assert_eq!(serde_json::json!(read.cells), shown, "{removed}");
        }
    }
}

#[tokio::test]
async fn half_a_character_is_read_as_a_sign_for_it() {
    let html = "<h1></h1><script>document.querySelector('h1').textContent = 'Hi \u{1f600}'.slice(0, 4)</script>";
    let stage = Stage::at(&[("/", html)]).await;
    let heading = Locator::css("h1");
    let text = stage.page.text(&heading, PATIENCE).await.unwrap();
    assert_eq!(text, "Hi \u{fffd}");
    let fields = [Field {
        name: "heading".to_owned(),
        locator: None,
        read: Read::Text,
    }];
    let rows = stage.page.read_rows(&heading, &fields).await.unwrap();
    assert_eq!(rows.cells, [[Some(text)]]);
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
    assert!(!dom.contains("typed"), "{dom}");
}

/// The sizes of the pages of a PDF, in points, as it says them itself.
fn paper_of(pdf: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(pdf);
    let boxes = text.split("/MediaBox [").skip(1);
    boxes
        .filter_map(|rest| Some(rest.split_once(']')?.0.to_owned()))
        .collect()
}

#[tokio::test]
async fn a_pdf_has_the_paper_the_pages_and_the_backgrounds_that_were_asked_for() {
    let html = "<body style='background: red'><p>1</p><p style='break-before: page'>2</p><p style='break-before: page'>3</p></body>";
    let stage = Stage::at(&[("/", html)]).await;
    let page = &stage.page;
    let usual = page.pdf().await.unwrap();
    assert_eq!(paper_of(&usual), ["0 0 612 792"; 3]);
    let a5 = PdfOptions {
        paper_inches: Some((5.0, 8.0)),
        landscape: true,
        margins_inches: Some([0.0; 4]),
        pages: "2-3".to_owned(),
        ..PdfOptions::default()
    };
    let turned = page.pdf_with(&a5).await.unwrap();
    assert_eq!(paper_of(&turned), ["0 0 576 360"; 2]);
    let plain = PdfOptions {
        background: false,
        ..a5.clone()
    };
    let plain = page.pdf_with(&plain).await.unwrap();
    assert!(plain.len() < turned.len());
    let impossible = PdfOptions { scale: 100.0, ..a5 };
    let failed = page.pdf_with(&impossible).await.unwrap_err();
    assert!(matches!(failed, Error::Protocol { .. }), "{failed:?}");
}

#[tokio::test]
async fn what_is_masked_is_invisible_on_paper_and_as_it_was_afterwards() {
    let html = "<input id=a style='color: red'><input id=b><script>
        const looks = () => [a, b].map((field) => getComputedStyle(field).visibility + field.getAttribute('style')).join();
        const printed = [looks()];
        onbeforeprint = () => printed.push(looks());
        </script>";
    let stage = Stage::at(&[("/", html)]).await;
    let options = PdfOptions {
        mask: vec![
            Locator::css("#a"),
            Locator::css("input"),
            Locator::css("#none"),
        ],
        ..PdfOptions::default()
    };
    stage.page.pdf_with(&options).await.unwrap();
    let script = "printed.push(looks()) && printed.join(' | ')";
    let looks = stage.page.evaluate(script, PATIENCE).await.unwrap();
    let hidden = "visibility: hidden !important;";
    assert_eq!(
        looks,
        format!(
            "visiblecolor: red,visiblenull | hiddencolor: red; {hidden},hidden{hidden} | visiblecolor: red,visiblenull"
        )
    );
}

#[tokio::test]
async fn an_element_inside_of_frames_can_be_pictured() {
    // Everything but the element is red; the page and the frame around it are scrolled.
    let page = "<body style='margin: 0; background: red; height: 5000px'><iframe style='margin: 2000px 0 0 50px; border: 7px solid red; padding: 3px; width: 300px; height: 200px' src='ELSEWHERE'></iframe></body>";
    let middle = "<body style='margin: 0; background: red; height: 3000px'><iframe style='margin-top: 900px; border: 0; height: 100px' src='/inner'></iframe></body>";
    let inner = "<body style='margin: 0; background: red'><p style='margin: 11px 0 0 13px; width: 40px; height: 30px; background: blue'></p></body>";
    let flat = "<body style='margin: 0'><p style='margin: 0; width: 40px; height: 30px; background: blue'></p></body>";
    let site = crate::site::Site::start(&[("/middle", middle), ("/inner", inner)]).await;
    let page = page.replace("ELSEWHERE", &site.url_elsewhere("/middle"));
    let stage = Stage::at(&[("/", &page), ("/flat", flat)]).await;
    let frame = Locator::css("iframe").in_frame(Locator::css("iframe"));
    let of = |element| Screenshot {
        element: Some(element),
        ..Screenshot::default()
    };
    let inside = of(Locator::css("p").in_frame(frame));
    let pictured = stage.page.screenshot(&inside).await.unwrap();
    assert_eq!(size_of(&pictured), (40, 30));
    let flat = stage.site.url("/flat");
    stage.page.goto(&flat, PATIENCE).await.unwrap();
    let alone = stage.page.screenshot(&of(Locator::css("p"))).await.unwrap();
    assert_eq!(pictured, alone);
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
