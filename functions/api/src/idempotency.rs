//! The `Idempotency-Key` header.

use axum::http::HeaderMap;
use store::{IdempotencyKey, Replay};

use crate::caller::Caller;
use crate::{Code, Problem};

const HEADER: &str = "idempotency-key";
const LONGEST: usize = 255;

/// The idempotency key of a request, if it has one.
pub(crate) fn key_of(
    headers: &HeaderMap,
    caller: &Caller,
    operation: &str,
    body: &[u8],
) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(value) = headers.get(HEADER) else {
        return Ok(None);
    };
    // A header that is text may also have tabs.
    let is_printable = |key: &str| key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    match value.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= LONGEST && is_printable(key) => Ok(Some(
            IdempotencyKey::new(caller.organization_id, operation, key, body),
        )),
        _ => {
            let detail =
                format!("Idempotency-Key must have 1 to {LONGEST} printable ASCII characters");
            Err(Problem::new(Code::BadRequest, detail))
        }
    }
}

/// The id of the resource that an earlier request with the same key made.
pub(crate) fn replayed<Id: std::str::FromStr>(replay: Replay) -> Result<Id, Problem> {
    match replay {
        Replay::Same { resource_id } => resource_id.parse().map_err(|_| Problem::internal()),
        Replay::OtherBody => Err(Problem::new(
            Code::IdempotencyKeyReused,
            "a request with this Idempotency-Key and another body was made within the last 24 hours",
        )),
    }
}
