//! Reading bodies: the media type, the size, the syntax and the fields, each with an error of its own.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::problem::FieldError;
use crate::{BODY_BYTES, Code, Problem};

/// A body's bytes with the media type that it says to have.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) media_type: String,
    pub(crate) bytes: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let content_type = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let media_type = content_type
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default();
        let media_type = media_type.trim().to_ascii_lowercase();
        let bytes =
            Bytes::from_request(request, state)
                .await
                .map_err(|rejection| match rejection {
                    BytesRejection::FailedToBufferBody(_) => Problem::new(
                        Code::BodyTooLarge,
                        format!("a body may have at most {BODY_BYTES} bytes"),
                    ),
                    _ => Problem::new(Code::BadRequest, "the body could not be read"),
                })?;
        Ok(Self { media_type, bytes })
    }
}

impl Body {
    /// Reads a JSON body. Unknown fields are errors, if the type says so.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        if self.media_type != "application/json" {
            let found = if self.media_type.is_empty() {
                "none"
            } else {
                &self.media_type
            };
            let detail = format!("expected the content type application/json, found {found}");
            return Err(Problem::new(Code::UnsupportedMediaType, detail));
        }
        parse_json(&self.bytes)
    }
}

fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Serde would also fill the fields in their order from an array, and name our types where it can't.
    if bytes.trim_ascii_start().first() != Some(&b'{')
        && serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
    {
        return Err(Problem::of_fields(vec![FieldError::new(
            "",
            "the body must be a JSON object",
        )]));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer_of(error.path());
        of_json_error(error.inner(), pointer)
    })?;
    deserializer
        .end()
        .map_err(|error| of_json_error(&error, String::new()))?;
    Ok(value)
}

fn of_json_error(error: &serde_json::Error, pointer: String) -> Problem {
    if error.is_data() {
        // serde_json appends the place, which the pointer says better.
        let text = error.to_string();
        let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
        return Problem::of_fields(vec![FieldError::new(pointer, message)]);
    }
    Problem::new(Code::InvalidJson, error.to_string())
}

fn pointer_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter().fold(String::new(), |mut pointer, segment| {
        pointer.push('/');
        match segment {
            Segment::Seq { index } => pointer.push_str(&index.to_string()),
            Segment::Map { key } => pointer.push_str(&key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => pointer.push_str(variant),
            Segment::Unknown => pointer.push('?'),
        }
        pointer
    })
}
