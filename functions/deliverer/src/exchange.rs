//! One signed POST to a receiver, and what its answer means. It never touches the store.

use std::time::Duration;

use domain::Timestamp;
use platform::guarded_http::{Answer, GuardedClient, SendError, StatusCode};
use platform::webhook_signature::{Secret, header, sign};
use store::{Attempt, Delivery};
use url::Url;

use crate::retry_after;

/// How much of an answer that is no success is kept, in characters: enough for a person to see why.
const KEPT_CHARS: usize = 300;

/// What an answer means for the delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The receiver has it.
    Accepted,
    /// The receiver wants no more of it, for ever.
    Gone,
    /// It is to be tried again.
    Refused {
        /// How long the receiver wants to be left alone.
        retry_after: Option<Duration>,
    },
}

/// What happened, and what it means.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) attempt: Attempt,
    pub(crate) verdict: Verdict,
}

impl Exchange {
    /// Signs and sends the delivery's body as it is.
    pub(crate) async fn make(
        client: &GuardedClient,
        url: &Url,
        secret: &Secret,
        delivery: &Delivery,
        begun_at: Timestamp,
    ) -> Self {
        let id = delivery.id.to_string();
        let timestamp = begun_at.as_seconds();
        let signature = sign(
            std::slice::from_ref(secret),
            &id,
            timestamp,
            delivery.body.as_bytes(),
        );
        let headers = [
            ("content-type", "application/json"),
            (header::ID, &id),
            (header::TIMESTAMP, &timestamp.to_string()),
            (header::SIGNATURE, &signature),
        ];
        let started = std::time::Instant::now();
        let outcome = client
            .post(url, &headers, delivery.body.clone().into_bytes())
            .await;
        let (status_code, error, verdict) = match outcome {
            Ok(answer) => {
                let verdict = judge(&answer, begun_at);
                let error =
                    (verdict != Verdict::Accepted).then(|| beginning_of(&answer.body_start));
                (Some(answer.status.as_u16()), error, verdict)
            }
            Err(error) => (
                None,
                Some(explain(&error)),
                Verdict::Refused { retry_after: None },
            ),
        };
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Self {
            attempt: Attempt {
                at: begun_at.as_millis(),
                status_code,
                error,
                took_ms,
            },
            verdict,
        }
    }
}

fn judge(answer: &Answer, now: Timestamp) -> Verdict {
    if answer.status.is_success() {
        Verdict::Accepted
    } else if answer.status == StatusCode::GONE {
        Verdict::Gone
    } else {
        let text = answer
            .headers
            .get("retry-after")
            .and_then(|value| value.to_str().ok());
        Verdict::Refused {
            retry_after: text.and_then(|text| retry_after::parse(text, now)),
        }
    }
}

fn beginning_of(body: &[u8]) -> String {
    String::from_utf8_lossy(body)
        .chars()
        .take(KEPT_CHARS)
        .collect()
}

/// Names the failure for the customer: the code, and the host, but nothing of the rest of the URL.
fn explain(error: &SendError) -> String {
    match error {
        // Its text begins with the code.
        SendError::Blocked(_) => error.to_string(),
        _ => format!("{}: {error}", error.code()),
    }
}
