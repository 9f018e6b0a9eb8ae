//! The variable segments of a path, such as an id or a name.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::{Api, Code, Problem};

/// The one variable segment of a path, decoded.
pub(crate) struct Segment(pub(crate) String);

impl FromRequestParts<Api> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Segments(segment) = Segments::from_request_parts(parts, api).await?;
        Ok(Self(segment))
    }
}

/// All variable segments of a path, decoded.
pub(crate) struct Segments<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Api> for Segments<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let segments = Path::<T>::from_request_parts(parts, api).await;
        let Path(segments) = segments.map_err(|_| {
            let detail = "the path's percent-encoding is not that of UTF-8 text";
            Problem::new(Code::BadRequest, detail)
        })?;
        Ok(Self(segments))
    }
}
