//! Signing in and out: the login page, the page for the 2FA code, and the way between them.

use axum::Extension;
use axum::extract::{Form, Query};
use axum::http::StatusCode;
use axum::response::Response;
use minijinja::context;
use serde::Deserialize;

use crate::sessions::{SignIn, Verification};
use crate::visit::Visit;

/// The switches of a query, in the order in which they stand.
type SwitchQuery = Query<Vec<(String, String)>>;

/// What the login form sends.
#[derive(Deserialize)]
pub(crate) struct LoginForm {
    email: String,
    password: String,
}

/// What the form of the 2FA page sends.
#[derive(Deserialize)]
pub(crate) struct CodeForm {
    code: String,
}

/// Sends the browser to the roster, which sends a stranger on to the login page.
pub(crate) async fn go_to_start(Extension(visit): Extension<Visit>) -> Response {
    visit.redirect("/employees")
}

/// Shows the login page; the switches of its query stick to the session.
pub(crate) async fn show_login(
    Extension(mut visit): Extension<Visit>,
    query: SwitchQuery,
) -> Response {
    if let Err(reason) = stick(&mut visit, &query) {
        return crate::pages::problem(StatusCode::BAD_REQUEST, &reason);
    }
    login_page(&visit, StatusCode::OK, "", "")
}

/// Takes the login form.
pub(crate) async fn log_in(
    Extension(mut visit): Extension<Visit>,
    query: SwitchQuery,
    Form(form): Form<LoginForm>,
) -> Response {
    if let Err(reason) = stick(&mut visit, &query) {
        return crate::pages::problem(StatusCode::BAD_REQUEST, &reason);
    }
    let code_for_all = visit.switches.two_factor();
    let id = &visit.session_id;
    match visit
        .site
        .sign_in(id, &form.email, &form.password, code_for_all)
    {
        SignIn::Done(new_id) => visit.redirect_with_session("/employees", &new_id),
        SignIn::CodeSent => visit.redirect("/verify"),
        SignIn::Refused => {
            let alert = "Email or password was wrong";
            login_page(&visit, StatusCode::UNPROCESSABLE_ENTITY, &form.email, alert)
        }
    }
}

/// Asks for the code, if a sign-in awaits one.
pub(crate) async fn show_verify(Extension(visit): Extension<Visit>) -> Response {
    verify_page(&visit, StatusCode::OK, "")
}

/// Takes the code.
pub(crate) async fn verify(
    Extension(visit): Extension<Visit>,
    Form(form): Form<CodeForm>,
) -> Response {
    let refused = StatusCode::UNPROCESSABLE_ENTITY;
    match visit.site.verify(&visit.session_id, &form.code) {
        Verification::Done(new_id) => visit.redirect_with_session("/employees", &new_id),
        Verification::Wrong => verify_page(&visit, refused, "That code was wrong"),
        Verification::TooManyTries => login_page(
            &visit,
            refused,
            "",
            "Too many wrong codes. Please sign in again.",
        ),
        Verification::NotAwaited => visit.redirect("/login"),
    }
}

/// Forgets the session, with everything that stuck to it.
pub(crate) async fn log_out(Extension(visit): Extension<Visit>) -> Response {
    visit.site.close(&visit.session_id);
    let visit = Visit {
        email: None,
        ..visit
    };
    visit.page(
        StatusCode::OK,
        "signed_out.html",
        context! { title => "Signed out" },
    )
}

fn stick(visit: &mut Visit, query: &SwitchQuery) -> Result<(), String> {
    let changed = visit.site.with_session(&visit.session_id, |session| {
        let mut switches = session.switches;
        for (name, value) in &query.0 {
            switches.set(name, value)?;
        }
        session.switches = switches;
        Ok::<_, String>(switches)
    })?;
    visit.switches = visit.switches.overlaid_by(changed);
    Ok(())
}

fn login_page(visit: &Visit, status: StatusCode, typed_email: &str, alert: &str) -> Response {
    // The page is for somebody who isn't signed in, so it has no way to the other pages.
    let visit = Visit {
        email: None,
        ..visit.clone()
    };
    visit.page(
        status,
        "login.html",
        context! { title => "Sign in", typed_email, alert },
    )
}

fn verify_page(visit: &Visit, status: StatusCode, alert: &str) -> Response {
    let awaiting = visit.site.with_session(&visit.session_id, |session| {
        session.awaiting_code_for().map(str::to_owned)
    });
    match awaiting {
        Some(account) => {
            let values = context! { title => "Check your phone", account, alert };
            visit.page(status, "verify.html", values)
        }
        None => visit.redirect("/login"),
    }
}
