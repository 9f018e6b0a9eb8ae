//! Pages that are awkward on purpose, for trying how a browser driver waits. They need no
//! sign-in, so that a driver's tests can go straight to them.

use axum::Extension;
use axum::body::Body;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use futures::stream;
use minijinja::context;
use serde::Deserialize;

use crate::visit::Visit;

/// The most rows of the big table.
const MAX_ROWS: usize = 100_000;

/// How many rows the big table shall have.
#[derive(Deserialize)]
pub(crate) struct Rows {
    rows: Option<usize>,
}

/// How long, in milliseconds, the obstacle stays.
#[derive(Deserialize)]
pub(crate) struct Lasting {
    ms: Option<u64>,
}

/// A table of as many rows as asked for, 10,000 by default.
pub(crate) async fn show_big_table(
    Extension(visit): Extension<Visit>,
    Query(query): Query<Rows>,
) -> Response {
    let rows = query.rows.unwrap_or(10_000).min(MAX_ROWS);
    visit.page(
        StatusCode::OK,
        "big.html",
        context! { title => "Big table", rows },
    )
}

/// A page whose first part comes at once and whose end never does.
pub(crate) async fn load_for_ever(Extension(visit): Extension<Visit>) -> Response {
    let start = crate::pages::bare("never.html", context! { prefix => &visit.prefix });
    let start = start.into_body().into_data_stream();
    let never = stream::pending::<Result<_, axum::Error>>();
    let body = Body::from_stream(start.chain(never));
    ([(CONTENT_TYPE, "text/html; charset=utf-8")], body).into_response()
}

/// A button that moves for a while before it stands still.
pub(crate) async fn show_moving_button(
    Extension(visit): Extension<Visit>,
    Query(query): Query<Lasting>,
) -> Response {
    let ms = query.ms.unwrap_or(1_000);
    visit.page(
        StatusCode::OK,
        "moving.html",
        context! { title => "Moving button", ms },
    )
}

/// A button under a veil that goes after a while; with 0 it stays until it is closed.
pub(crate) async fn show_overlay(
    Extension(visit): Extension<Visit>,
    Query(query): Query<Lasting>,
) -> Response {
    let ms = query.ms.unwrap_or(1_000);
    visit.page(
        StatusCode::OK,
        "overlay.html",
        context! { title => "Overlay", ms },
    )
}
