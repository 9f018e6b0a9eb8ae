//! An answer to every request, whatever becomes of it: a handler that panics, and one that waits too long for what it
//! needs, are answered as problems. On AWS the function would otherwise be ended, and its caller told nothing.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;

use crate::Problem;

/// How long a request may take. The function's own time-out, which nobody gets an answer after, is longer.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(8);

/// Answers a request in time. What it has written by then stays; it writes in an order in which that does no harm.
pub(crate) async fn answer(request: Request, next: Next) -> Response {
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(ANSWER_WITHIN, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            // What it said went to standard error, with the place.
            tracing::error!("A request made the service panic");
            Problem::internal().into_response()
        }
        Err(_) => {
            tracing::warn!(
                limit_ms = ANSWER_WITHIN.as_millis(),
                "A request took too long and was given up"
            );
            Problem::unavailable().into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::routing::get;
    use lambda_http::tower::ServiceExt;

    use super::*;

    async fn answered(path: &str) -> (u16, String, String) {
        async fn panic() -> &'static str {
            panic!("canary")
        }
        let router = Router::new()
            .route("/waits", get(std::future::pending::<&'static str>))
            .route("/panics", get(panic))
            .layer(axum::middleware::from_fn(answer));
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let answer = router.oneshot(request).await.expect("always an answer");
        let retry_after = answer.headers().get("retry-after");
        let retry_after = retry_after.map_or("", |value| value.to_str().expect("text"));
        let (status, retry_after) = (answer.status().as_u16(), retry_after.to_owned());
        let body = to_bytes(answer.into_body(), usize::MAX).await;
        let body = String::from_utf8(body.expect("a body").to_vec()).expect("text");
        (status, retry_after, body)
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_told_to_ask_again() {
        let began = tokio::time::Instant::now();
        let (status, retry_after, body) = answered("/waits").await;
        assert_eq!((status, retry_after.as_str()), (503, "1"));
        assert!(body.contains("\"unavailable\""), "{body}");
        assert!(began.elapsed() < ANSWER_WITHIN + Duration::from_secs(1));
    }

    #[tokio::test]
    async fn a_panic_is_an_answer_that_does_not_say_what_it_was_about() {
        let (status, _, body) = answered("/panics").await;
        assert_eq!(status, 500);
        assert!(
            body.contains("\"internal\"") && !body.contains("canary"),
            "{body}"
        );
    }
}
