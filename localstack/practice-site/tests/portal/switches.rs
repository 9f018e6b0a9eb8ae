//! Where a switch counts and what it does.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use tokio::time::Instant;

use crate::browser::Browser;

const PLAIN: &str = "hr@example.com";

#[tokio::test]
async fn an_empty_month_has_a_table_without_rows() {
    let site = practice_site::router();
    let mut browser = Browser::on(&site);
    browser.open("/login?empty=on").await;
    let page = browser.sign_in("", PLAIN).await;
    assert_eq!(page.path, "/employees");
    assert!(page.text.contains("<table id=\"employees\""));
    assert!(page.text.contains("No employees listed"));
    assert!(page.rows().is_empty());
    assert_eq!(page.link("Next"), None);
    let export = browser.open("/employees/export.csv").await;
    assert_eq!(export.text, "Name,Email,Department,Start date,Salary\r\n");
    assert_eq!(browser.open("/api/employees.json").await.json(), json!([]));
}

#[tokio::test]
async fn switches_of_a_login_stick_to_their_session_only() {
    let site = practice_site::router();
    let (mut switched, mut plain) = (Browser::on(&site), Browser::on(&site));
    switched.open("/login?empty=on&2fa=on").await;
    assert_eq!(plain.sign_in("", PLAIN).await.rows().len(), 10);
    assert_eq!(switched.sign_in("", PLAIN).await.path, "/verify");
    assert_eq!(plain.open("/switches").await.json()["empty"], "off");
}

#[tokio::test]
async fn a_prefix_switches_what_is_under_it_and_its_links_stay_there() {
    let site = practice_site::router();
    let mut browser = Browser::on(&site);
    let prefix = "/with/next=disabled,late=40";
    let page = browser.sign_in(prefix, PLAIN).await;
    assert_eq!(page.path, format!("{prefix}/employees"));
    assert!(page.text.contains("aria-busy=\"true\""));
    let next = page.link("Next").expect("the first page has a next one");
    assert_eq!(next, format!("{prefix}/employees?page=2"));
    assert_eq!(browser.open(&next).await.status, StatusCode::OK);
    let last = browser.open(&format!("{prefix}/employees?page=5")).await;
    assert!(last.text.contains("aria-disabled=\"true\">Next</a>"));
    assert_eq!(
        browser.open("/employees").await.path,
        "/login",
        "signed in outside of the prefix"
    );
}

#[tokio::test]
async fn no_page_links_out_of_its_prefix() {
    let prefix = "/with/2fa=off";
    let mut browser = Browser::on(&practice_site::router());
    browser.sign_in(prefix, PLAIN).await;
    for path in [
        "/login",
        "/employees?page=2",
        "/documents",
        "/documents/feedback",
        "/documents/payslip",
        "/documents/upload",
        "/big?rows=1",
    ] {
        let page = browser.open(&format!("{prefix}{path}")).await;
        let html = page.text.replace("&#x2f;", "/");
        let mut links = 0;
        for attribute in ["href=\"/", "src=\"/", "action=\"/", "data-url=\"/"] {
            for link in html.split(attribute).skip(1) {
                assert!(
                    link.starts_with(&prefix[1..]),
                    "{path} links to /{link:.30}"
                );
                links += 1;
            }
        }
        assert!(links > 0, "{path} has no links at all");
    }
}

#[tokio::test]
async fn sign_ins_under_two_prefixes_do_not_disturb_each_other() {
    let site = practice_site::router();
    let mut browser = Browser::on(&site);
    browser.sign_in("", PLAIN).await;
    assert_eq!(
        browser.open("/with/empty=on/employees").await.path,
        "/with/empty=on/login"
    );
    browser.sign_in("/with/empty=on", PLAIN).await;
    assert!(
        browser
            .open("/with/empty=on/employees")
            .await
            .rows()
            .is_empty()
    );
    assert_eq!(browser.open("/employees").await.rows().len(), 10);
}

#[tokio::test]
async fn an_encoded_prefix_means_the_same() {
    let mut browser = Browser::on(&practice_site::router());
    let page = browser.sign_in("/with/empty%3Don%2C2fa%3Doff", PLAIN).await;
    assert!(page.text.contains("No employees listed"));
}

#[tokio::test]
async fn the_json_truth_follows_the_prefix() {
    let mut browser = Browser::on(&practice_site::router());
    let truth = browser.open("/with/empty=on/api/employees.json").await;
    assert_eq!(truth.json(), json!([]));
}

#[tokio::test]
async fn site_switches_count_for_everybody_and_a_session_may_differ() {
    let site = practice_site::router();
    let mut checker = Browser::on(&site);
    let body = json!({"empty": "on"}).to_string().into_bytes();
    let answer = checker.post("/switches", "application/json", body).await;
    assert_eq!(answer.json()["empty"], "on");
    assert!(
        Browser::on(&site)
            .sign_in("", PLAIN)
            .await
            .rows()
            .is_empty()
    );
    let mut differing = Browser::on(&site);
    differing.open("/login?empty=off").await;
    assert_eq!(differing.sign_in("", PLAIN).await.rows().len(), 10);
}

#[tokio::test]
async fn a_wrong_switch_is_refused_and_changes_nothing() {
    let site = practice_site::router();
    let mut browser = Browser::on(&site);
    for path in [
        "/login?emtpy=on",
        "/login?empty=on&slow=soon",
        "/with/empty/login",
    ] {
        assert_eq!(
            browser.open(path).await.status,
            StatusCode::BAD_REQUEST,
            "{path}"
        );
    }
    let body = br#"{"empty": "on", "flaky": 1}"#.to_vec();
    let answer = browser.post("/switches", "application/json", body).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(browser.sign_in("", PLAIN).await.rows().len(), 10);
}

#[tokio::test]
async fn every_third_request_of_a_browser_is_refused_once() {
    let site = practice_site::router();
    let mut browser = Browser::on(&site);
    let mut statuses = Vec::new();
    for _ in 0..7 {
        statuses.push(browser.open("/with/flaky=3/login").await.status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 503, 200, 200, 503, 200]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_page_takes_as_long_as_it_was_told() {
    let site = practice_site::router();
    let mut browser = Browser::on(&site);
    let before = Instant::now();
    browser.open("/login?slow=700").await;
    assert_eq!(
        before.elapsed(),
        Duration::ZERO,
        "the page that sets the switch is not slow"
    );
    browser.open("/login").await;
    assert!(before.elapsed() >= Duration::from_millis(700));
    let before = Instant::now();
    browser.open("/health").await;
    assert_eq!(
        before.elapsed(),
        Duration::ZERO,
        "checkers are not slowed down"
    );
}
