//! The table, the CSV export and the JSON truth say the same.

use axum::Router;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde_json::{Value, json};

use crate::browser::{Browser, Page};

async fn signed_in(site: &Router) -> Browser {
    let mut browser = Browser::on(site);
    browser.sign_in("", "hr@example.com").await;
    browser
}

/// Walks all pages by their link.
async fn pages(browser: &mut Browser) -> Vec<Page> {
    let mut pages = vec![browser.open("/employees").await];
    while let Some(next) = pages.last().and_then(|page| page.link("Next")) {
        assert!(pages.len() < 100, "the pages never end");
        pages.push(browser.open(&next).await);
    }
    pages
}

/// A table row as the JSON truth writes it.
fn record(cells: &[String]) -> Value {
    let salary: f64 = cells[4]
        .replace(['$', ','], "")
        .parse()
        .expect("the salary is a number");
    json!({
        "name": cells[0],
        "email": cells[1],
        "department": cells[2],
        "startDate": cells[3],
        "salary": salary,
    })
}

#[tokio::test]
async fn paging_gives_each_employee_once() {
    let site = practice_site::router();
    let mut browser = signed_in(&site).await;
    let pages = pages(&mut browser).await;
    let sizes: Vec<_> = pages.iter().map(|page| page.rows().len()).collect();
    assert_eq!(sizes, [10, 10, 10, 10, 7]);
    let records: Vec<_> = pages
        .iter()
        .flat_map(Page::rows)
        .map(|cells| record(&cells))
        .collect();
    assert_eq!(
        Value::Array(records),
        browser.open("/api/employees.json").await.json()
    );
}

#[tokio::test]
async fn the_csv_says_what_the_json_says() {
    let site = practice_site::router();
    let mut browser = signed_in(&site).await;
    let page = browser.open("/employees").await;
    let export = page
        .link("Export CSV")
        .expect("the roster has a link to its export");
    let file = browser.open(&export).await;
    assert_eq!(file.headers[CONTENT_TYPE], "text/csv; charset=utf-8");
    assert_eq!(
        file.headers[CONTENT_DISPOSITION],
        "attachment; filename=\"employees.csv\""
    );
    assert_eq!(file.text.matches("\r\n").count(), 48);
    let mut reader = csv::Reader::from_reader(file.text.as_bytes());
    let headers: Vec<_> = reader
        .headers()
        .expect("the file has a first line")
        .iter()
        .collect();
    assert_eq!(
        headers,
        ["Name", "Email", "Department", "Start date", "Salary"]
    );
    let records: Vec<_> = reader
        .records()
        .map(|line| line.expect("the line is well-formed"))
        .map(|line| record(&line.iter().map(str::to_owned).collect::<Vec<_>>()))
        .collect();
    assert_eq!(
        Value::Array(records),
        browser.open("/api/employees.json").await.json()
    );
}

#[tokio::test]
async fn names_are_escaped() {
    let site = practice_site::router();
    let mut browser = signed_in(&site).await;
    let all: String = pages(&mut browser)
        .await
        .into_iter()
        .map(|page| page.text)
        .collect();
    assert!(!all.contains("<b>Bold"));
    assert!(!all.contains("<script>alert"));
    assert!(all.contains("&lt;b&gt;Bold&lt;"));
    assert!(all.contains("Amp &amp;amp; Literal"));
    assert!(all.contains("{{ 7 * 7 }}"));
}

#[tokio::test]
async fn the_last_page_has_no_next_link() {
    let site = practice_site::router();
    let mut browser = signed_in(&site).await;
    assert!(
        browser
            .open("/employees?page=4")
            .await
            .text
            .contains(">Next</a>")
    );
    assert!(
        !browser
            .open("/employees?page=5")
            .await
            .text
            .contains(">Next</a>")
    );
}

#[tokio::test]
async fn a_page_that_does_not_exist_is_not_found() {
    let site = practice_site::router();
    let mut browser = signed_in(&site).await;
    for page in ["0", "6", "-1", "x"] {
        let status = browser
            .open(&format!("/employees?page={page}"))
            .await
            .status;
        assert_eq!(status, 404, "page {page}");
    }
}
