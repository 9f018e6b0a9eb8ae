//! A small employee portal that workflows are practised on: sign-in, 2FA, a paged roster, a CSV
//! export, and pages that are awkward on purpose. docs/practice-site.md describes it from outside.
//!
//! It keeps everything in memory, never contacts another host, and its people are invented.

mod checks;
mod documents;
mod employees;
mod obstacles;
mod pages;
mod people;
mod roster;
mod sessions;
mod sign_in;
mod switches;
mod visit;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::sessions::Site;

/// How long answers that are under way may take to end after the shutdown began.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// Serves a fresh portal on the listener until `shutdown` completes.
///
/// Answers that are under way get one second to end; a page that loads for ever doesn't hold the
/// shutdown up for longer.
///
/// # Errors
///
/// Returns the error of the listener if the server can't run on it.
pub async fn serve(
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stop, mut stopped) = watch::channel(false);
    let server = axum::serve(listener, router()).with_graceful_shutdown(async move {
        shutdown.await;
        stop.send_replace(true);
    });
    let out_of_patience = async move {
        if stopped.wait_for(|stopped| *stopped).await.is_err() {
            // The server dropped the sender with its shutdown future: it ends by itself.
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(SHUTDOWN_GRACE).await;
    };
    tokio::select! {
        served = server => served,
        () = out_of_patience => Ok(()),
    }
}

/// Builds a portal with a memory of its own: two routers share neither sessions nor switches.
pub fn router() -> Router {
    let site = Arc::new(Site::default());
    let portal = pages_for_browsers(&site).merge(calls_for_checkers());
    Router::new()
        .nest("/with/{switches}", portal.clone())
        .merge(portal)
        .with_state(site)
}

/// The pages that a browser visits: they have a session, and the switches work on them.
fn pages_for_browsers(site: &Arc<Site>) -> Router<Arc<Site>> {
    Router::new()
        .route("/", get(sign_in::go_to_start))
        .route("/login", get(sign_in::show_login).post(sign_in::log_in))
        .route("/verify", get(sign_in::show_verify).post(sign_in::verify))
        .route("/logout", post(sign_in::log_out))
        .route("/employees", get(roster::show_employees))
        .route("/employees/export.csv", get(roster::export_csv))
        .route("/documents", get(documents::show_documents))
        .route("/documents/delete", post(documents::delete))
        .route("/documents/feedback", get(documents::show_feedback))
        .route("/documents/payslip", get(documents::show_payslip))
        .route("/documents/unnamed", get(documents::download_unnamed))
        .route(
            "/documents/upload",
            get(documents::show_upload)
                .post(documents::upload)
                .layer(DefaultBodyLimit::max(documents::MAX_REQUEST_BYTES)),
        )
        .route("/big", get(obstacles::show_big_table))
        .route("/never", get(obstacles::load_for_ever))
        .route("/moving", get(obstacles::show_moving_button))
        .route("/overlay", get(obstacles::show_overlay))
        .route_layer(from_fn_with_state(Arc::clone(site), visit::receive))
}

/// What a checker or a pretend phone calls: no session needed, never slow, never flaky.
fn calls_for_checkers() -> Router<Arc<Site>> {
    Router::new()
        .route("/health", get(checks::health))
        .route(
            "/switches",
            get(checks::show_switches).post(checks::set_switches),
        )
        .route("/phone/{email}", get(checks::show_phone))
        .route("/api/employees.json", get(checks::employees))
        .route("/style.css", get(pages::style))
}
