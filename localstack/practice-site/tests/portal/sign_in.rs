//! Signing in, with and without a code.

use axum::Router;
use axum::http::StatusCode;

use crate::browser::{Browser, PASSWORD, Page};

const WITH_CODE: &str = "hr-2fa@example.com";

async fn code_sent_to(site: &Router, email: &str) -> String {
    let phone = Browser::on(site)
        .open(&format!("/phone/{email}"))
        .await
        .json();
    phone["code"]
        .as_str()
        .expect("the phone shows a code")
        .to_owned()
}

async fn enter(browser: &mut Browser, code: &str) -> Page {
    browser.submit("/verify", &format!("code={code}")).await
}

/// A code that is certainly another one.
fn other_than(code: &str) -> String {
    let number: u32 = code.parse().expect("a code is a number");
    format!("{:06}", (number + 1) % 1_000_000)
}

#[tokio::test]
async fn the_right_password_leads_to_the_roster() {
    let mut browser = Browser::on(&practice_site::router());
    let login = browser.open("/").await;
    assert_eq!(login.path, "/login");
    assert!(login.text.contains(">Email</label>"));
    assert!(login.text.contains(">Password</label>"));
    let page = browser.sign_in("", "hr@example.com").await;
    assert_eq!(page.path, "/employees");
    assert_eq!(page.rows().len(), 10);
}

#[tokio::test]
async fn a_wrong_password_shows_an_alert_and_signs_nobody_in() {
    let mut browser = Browser::on(&practice_site::router());
    let page = browser
        .submit("/login", "email=hr@example.com&password=guess")
        .await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(page.alert(), Some("Email or password was wrong"));
    assert_eq!(browser.open("/employees").await.path, "/login");
    let form = format!("email=nobody@example.com&password={PASSWORD}");
    let page = browser.submit("/login", &form).await;
    assert_eq!(page.alert(), Some("Email or password was wrong"));
}

#[tokio::test]
async fn the_right_code_finishes_the_sign_in() {
    let site = practice_site::router();
    let mut browser = Browser::on(&site);
    let page = browser.sign_in("", WITH_CODE).await;
    assert_eq!(page.path, "/verify");
    assert!(page.text.contains(">Verification code</label>"));
    assert_eq!(
        browser.open("/employees").await.path,
        "/login",
        "signed in without the code"
    );
    let code = code_sent_to(&site, WITH_CODE).await;
    assert_eq!(code.len(), 6);
    assert_eq!(enter(&mut browser, &code).await.path, "/employees");
}

#[tokio::test]
async fn a_wrong_code_may_be_corrected() {
    let site = practice_site::router();
    let mut browser = Browser::on(&site);
    browser.sign_in("", WITH_CODE).await;
    let code = code_sent_to(&site, WITH_CODE).await;
    let page = enter(&mut browser, &other_than(&code)).await;
    assert_eq!(page.alert(), Some("That code was wrong"));
    assert!(page.text.contains(">Verification code</label>"));
    assert_eq!(enter(&mut browser, &code).await.path, "/employees");
}

#[tokio::test]
async fn three_wrong_codes_end_the_sign_in() {
    let site = practice_site::router();
    let mut browser = Browser::on(&site);
    browser.sign_in("", WITH_CODE).await;
    let code = code_sent_to(&site, WITH_CODE).await;
    for _ in 0..2 {
        let page = enter(&mut browser, &other_than(&code)).await;
        assert_eq!(page.alert(), Some("That code was wrong"));
    }
    let page = enter(&mut browser, &other_than(&code)).await;
    assert!(
        page.text.contains(">Password</label>"),
        "not back at the login page"
    );
    assert_eq!(
        enter(&mut browser, &code).await.path,
        "/login",
        "the code was still good"
    );
}

#[tokio::test]
async fn a_code_is_good_once() {
    let site = practice_site::router();
    let mut browser = Browser::on(&site);
    browser.sign_in("", WITH_CODE).await;
    let mut copy = browser.clone();
    let code = code_sent_to(&site, WITH_CODE).await;
    assert_eq!(enter(&mut browser, &code).await.path, "/employees");
    assert_eq!(
        enter(&mut copy, &code).await.path,
        "/login",
        "used twice in one sign-in"
    );
    copy.sign_in("", WITH_CODE).await;
    let page = enter(&mut copy, &code).await;
    assert_eq!(
        page.alert(),
        Some("That code was wrong"),
        "used in the next sign-in"
    );
}

#[tokio::test]
async fn a_code_belongs_to_its_sign_in() {
    let site = practice_site::router();
    let (mut first, mut second) = (Browser::on(&site), Browser::on(&site));
    first.sign_in("", "hr-2fa+first@example.com").await;
    second.sign_in("", "hr-2fa+second@example.com").await;
    let of_first = code_sent_to(&site, "hr-2fa+first@example.com").await;
    let of_second = code_sent_to(&site, "hr-2fa+second@example.com").await;
    if of_first != of_second {
        let page = enter(&mut second, &of_first).await;
        assert_eq!(page.alert(), Some("That code was wrong"));
    }
    assert_eq!(enter(&mut first, &of_first).await.path, "/employees");
    assert_eq!(enter(&mut second, &of_second).await.path, "/employees");
}

#[tokio::test]
async fn the_phone_counts_its_codes_and_shows_none_before_the_first() {
    let site = practice_site::router();
    let mut browser = Browser::on(&site);
    let path = format!("/phone/{WITH_CODE}");
    assert_eq!(browser.open(&path).await.status, StatusCode::NOT_FOUND);
    for count in 1..=2 {
        browser.sign_in("", WITH_CODE).await;
        assert_eq!(browser.open(&path).await.json()["count"], count);
    }
}

#[tokio::test]
async fn browsers_and_routers_share_no_session() {
    let site = practice_site::router();
    let mut browser = Browser::on(&site);
    browser.sign_in("", "hr@example.com").await;
    assert_eq!(browser.open("/employees").await.path, "/employees");
    assert_eq!(Browser::on(&site).open("/employees").await.path, "/login");
    let mut elsewhere = Browser::on(&practice_site::router());
    assert_eq!(elsewhere.open("/employees").await.path, "/login");
}

#[tokio::test]
async fn a_session_id_from_before_the_sign_in_is_worth_nothing() {
    let site = practice_site::router();
    let mut browser = Browser::on(&site);
    browser.open("/login").await;
    let mut thief = browser.clone();
    browser.sign_in("", "hr@example.com").await;
    assert_eq!(thief.open("/employees").await.path, "/login");
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let site = practice_site::router();
    let mut browser = Browser::on(&site);
    browser.sign_in("", "hr@example.com").await;
    assert!(
        browser
            .submit("/logout", "")
            .await
            .text
            .contains("Signed out")
    );
    assert_eq!(browser.open("/employees").await.path, "/login");
    assert_eq!(browser.open("/employees/export.csv").await.path, "/login");
}
