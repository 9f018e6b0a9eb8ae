//! Turns the templates of the folder `pages` into answers. It escapes every value, and knows
//! nothing of what the values mean.

use std::sync::LazyLock;

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};
use minijinja::{Environment, UndefinedBehavior, Value, context};

const TEMPLATES: [(&str, &str); 14] = [
    ("layout.html", include_str!("../pages/layout.html")),
    ("login.html", include_str!("../pages/login.html")),
    ("verify.html", include_str!("../pages/verify.html")),
    ("employees.html", include_str!("../pages/employees.html")),
    ("documents.html", include_str!("../pages/documents.html")),
    ("feedback.html", include_str!("../pages/feedback.html")),
    ("payslip.html", include_str!("../pages/payslip.html")),
    ("upload.html", include_str!("../pages/upload.html")),
    ("big.html", include_str!("../pages/big.html")),
    ("moving.html", include_str!("../pages/moving.html")),
    ("overlay.html", include_str!("../pages/overlay.html")),
    ("never.html", include_str!("../pages/never.html")),
    ("problem.html", include_str!("../pages/problem.html")),
    ("signed_out.html", include_str!("../pages/signed_out.html")),
];

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    for (name, source) in TEMPLATES {
        environment
            .add_template(name, source)
            .expect("the template has no syntax error");
    }
    environment
});

/// Renders a template inside the layout. The values must have `title`, `prefix` and `email`.
pub(crate) fn show(status: StatusCode, template: &str, values: Value) -> Response {
    match in_layout(template, values) {
        Ok(html) => (status, [(CACHE_CONTROL, "no-store")], Html(html)).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")).into_response(),
    }
}

/// Renders a template as it stands, for a page that brings its own frame.
pub(crate) fn bare(template: &str, values: Value) -> Response {
    match render(template, &values) {
        Ok(html) => ([(CACHE_CONTROL, "no-store")], Html(html)).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")).into_response(),
    }
}

/// A page that says what went wrong, for a visitor of whom nothing is known.
pub(crate) fn problem(status: StatusCode, message: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("Something went wrong");
    let values = context! { title, message, prefix => "", email => () };
    show(status, "problem.html", values)
}

/// The style sheet.
pub(crate) async fn style() -> impl IntoResponse {
    let css = include_str!("../pages/style.css");
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], css)
}

fn in_layout(template: &str, values: Value) -> Result<String, minijinja::Error> {
    let body = Value::from_safe_string(render(template, &values)?);
    render("layout.html", &context! { body, ..values })
}

fn render(template: &str, values: &Value) -> Result<String, minijinja::Error> {
    ENVIRONMENT.get_template(template)?.render(values)
}
