//! Reading bodies: the media type, the size, the syntax and the fields, each with an error of its own.

use std::collections::HashSet;
use std::fmt;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, Request};
use axum::http::header;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::problem::{FieldError, pointer_token};
use crate::{BODY_BYTES, Code, Problem};

/// How many wrong fields of one body are told.
const MOST_ERRORS: usize = 100;

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
                    BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
                        Problem::new(
                            Code::BodyTooLarge,
                            format!("a body may have at most {BODY_BYTES} bytes"),
                        )
                    }
                    _ => Problem::new(Code::BadRequest, "the body could not be read"),
                })?;
        Ok(Self { media_type, bytes })
    }
}

impl Body {
    /// Reads a JSON body. Unknown fields are errors, if the type says so.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        if self.media_type != "application/json" {
            return Err(self.unsupported("application/json"));
        }
        parse_json(&self.bytes)
    }

    /// Reads the body of a call that takes none. An empty object, or null, is none too: some clients can't send less.
    pub(crate) fn nothing(&self) -> Result<(), Problem> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Nothing {}

        if matches!(self.bytes.trim_ascii(), b"" | b"null") {
            return Ok(());
        }
        self.json::<Nothing>().map(|_| ())
    }

    /// The error of a body that has another media type than those expected.
    pub(crate) fn unsupported(&self, expected: &str) -> Problem {
        let found = if self.media_type.is_empty() {
            "none"
        } else {
            &self.media_type
        };
        let detail = format!("expected the content type {expected}, found {found}");
        Problem::new(Code::UnsupportedMediaType, detail)
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
    // A key that is given twice would silently lose its first value where the type is a map.
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize::<_, Unambiguous>(&mut deserializer).map_err(|error| {
        let pointer = pointer_of(error.path());
        of_json_error(error.inner(), pointer)
    })?;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        if error.inner().is_data()
            && let Ok(body) = serde_json::from_slice(bytes)
        {
            return Problem::of_fields(all_errors_of::<T>(body));
        }
        let pointer = pointer_of(error.path());
        of_json_error(error.inner(), pointer)
    })?;
    deserializer
        .end()
        .map_err(|error| of_json_error(&error, String::new()))?;
    Ok(value)
}

/// What is wrong with each of a body's fields. Serde stops at the first, so that one is taken out and the rest is read
/// again; it is over where nothing can be taken out, because a field is missing.
fn all_errors_of<T: DeserializeOwned>(mut body: Map<String, Value>) -> Vec<FieldError> {
    let mut errors: Vec<FieldError> = Vec::new();
    let mut taken_out = HashSet::new();
    while let Err(error) = serde_path_to_error::deserialize::<_, T>(Value::Object(body.clone())) {
        let error = of_value_error(error.inner(), pointer_of(error.path()));
        let pointer = error.pointer.clone().unwrap_or_default();
        let field = pointer.split('/').nth(1).unwrap_or_default();
        let field = field.replace("~1", "/").replace("~0", "~");
        // What is missing now was there, and wrong.
        if !taken_out.contains(&field) {
            errors.push(error);
        }
        if body.shift_remove(&field).is_none() || errors.len() == MOST_ERRORS {
            break;
        }
        taken_out.insert(field);
    }
    errors
}

/// JSON in which no object has a key twice. It keeps nothing.
struct Unambiguous;

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Unambiguous {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if keys.contains(&key) {
                return Err(serde::de::Error::custom(format!("duplicate field `{key}`")));
            }
            keys.insert(key);
            map.next_value::<Self>()?;
        }
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }
}

fn of_json_error(error: &serde_json::Error, pointer: String) -> Problem {
    if error.is_data() {
        return Problem::of_fields(vec![of_value_error(error, pointer)]);
    }
    Problem::new(Code::InvalidJson, error.to_string())
}

fn of_value_error(error: &serde_json::Error, pointer: String) -> FieldError {
    // serde_json appends the place, which the pointer says better.
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or(&text);
    of_data_error(pointer, message)
}

/// Serde names the field in its words; the pointer is the better place for it.
fn of_data_error(pointer: String, message: &str) -> FieldError {
    let quoted = |prefix: &str| {
        let (name, rest) = message.strip_prefix(prefix)?.split_once('`')?;
        Some((name, rest))
    };
    let place = |name: &str| {
        let token = format!("/{}", pointer_token(name));
        if pointer.ends_with(&token) {
            pointer.clone()
        } else {
            format!("{pointer}{token}")
        }
    };
    if let Some((name, _)) = quoted("missing field `") {
        return FieldError::new(place(name), "this field is missing");
    }
    if let Some((name, known)) = quoted("unknown field `") {
        let known = known.trim_start_matches(", ").replace('`', "");
        return FieldError::new(place(name), format!("there is no such field; {known}"));
    }
    if let Some((name, _)) = quoted("duplicate field `") {
        return FieldError::new(place(name), "this field is given twice");
    }
    // What was found is said without its value, which may be a secret.
    let found_and_expected = ["invalid type: ", "invalid value: "]
        .iter()
        .find_map(|prefix| {
            let (found, expected) = message.strip_prefix(prefix)?.rsplit_once(", expected ")?;
            let kind = found.split(['`', '"']).next().unwrap_or(found).trim();
            Some((kind, expected))
        });
    let Some((found, expected)) = found_and_expected else {
        return FieldError::new(pointer, message);
    };
    let expected = match expected {
        "u32" => "a whole number from 0 to 4294967295",
        other => other,
    };
    FieldError::new(pointer, format!("expected {expected}, found {found}"))
}

fn pointer_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter().fold(String::new(), |mut pointer, segment| {
        pointer.push('/');
        match segment {
            Segment::Seq { index } => pointer.push_str(&index.to_string()),
            Segment::Map { key } => pointer.push_str(&pointer_token(key)),
            Segment::Enum { variant } => pointer.push_str(variant),
            Segment::Unknown => pointer.push('?'),
        }
        pointer
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    #[expect(dead_code, reason = "only errors are read")]
    struct Outer {
        workflow_id: domain::WorkflowId,
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only errors are read")]
    struct Inner {
        number: u32,
    }

    #[track_caller]
    fn check(body: &str, pointer: &str, message: &str) {
        let problem = parse_json::<Outer>(body.as_bytes()).expect_err("it is wrong");
        let document = format!("{problem:?}");
        assert!(
            document.contains(&format!("pointer: Some({pointer:?})")) && document.contains(message),
            "{document}"
        );
    }

    #[test]
    fn an_error_points_to_the_field_that_is_wrong() {
        let id = "019ab0c8-7e10-7d3a-9c52-0f6f4c1b2a3d";
        check("{}", "/workflowId", "this field is missing");
        check("[]", "", "the body must be a JSON object");
        check(
            r#"{"workflowId": "x"}"#,
            "/workflowId",
            "expected a UUID such as",
        );
        check(
            r#"{"workflowId": 7}"#,
            "/workflowId",
            "expected a string, found integer",
        );
        check(
            &format!(
                r#"{{"workflowId": "{id}", "inner": {{"number": 1, "a": [{{"b~": 1, "b~": 2}}]}}}}"#
            ),
            "/inner/a/0/b~0",
            "this field is given twice",
        );
        check(
            &format!(r#"{{"workflowId": "{id}", "inptu": 1}}"#),
            "/inptu",
            "there is no such field; expected workflowId or inner",
        );
        check(
            &format!(r#"{{"workflowId": "{id}", "inner": {{}}}}"#),
            "/inner/number",
            "this field is missing",
        );
        check(
            &format!(r#"{{"workflowId": "{id}", "inner": {{"number": -1}}}}"#),
            "/inner/number",
            "expected a whole number from 0 to 4294967295, found integer",
        );
    }

    #[test]
    fn every_wrong_field_is_told_at_once() {
        let body = r#"{"inptu": 1, "inner": {"number": "x"}, "workflowId": 7, "a/b": null}"#;
        let problem = parse_json::<Outer>(body.as_bytes()).expect_err("it is wrong");
        assert_eq!(
            problem.pointers(),
            ["/inptu", "/inner/number", "/workflowId", "/a~1b"]
        );
        let missing = parse_json::<Outer>(br#"{"inner": 7}"#).expect_err("it is wrong");
        assert_eq!(missing.pointers(), ["/inner", "/workflowId"]);
    }

    #[test]
    fn what_is_no_json_is_told_with_its_line_and_column() {
        let problem = parse_json::<Outer>(b"{\n  \"workflowId\": }").expect_err("no JSON");
        assert!(
            format!("{problem:?}").contains("at line 2 column 17"),
            "{problem:?}"
        );
    }
}
