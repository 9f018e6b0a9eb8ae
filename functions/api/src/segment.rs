//! The one variable segment of a path, such as an id or a name.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use crate::{Api, Code, Problem};

/// The segment, decoded.
pub(crate) struct Segment(pub(crate) String);

impl FromRequestParts<Api> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let segment = Path::<String>::from_request_parts(parts, api).await;
        let Path(segment) = segment.map_err(|_| {
            Problem::new(
                Code::BadRequest,
                "the path's percent-encoding is not that of UTF-8 text",
            )
        })?;
        Ok(Self(segment))
    }
}
