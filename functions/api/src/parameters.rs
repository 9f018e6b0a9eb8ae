//! The query parameters of a request, read one by one, so that every wrong one is reported, with its name.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::Timestamp;
use store::{PageSize, TimeWindow};
use utoipa::IntoParams;

use crate::problem::FieldError;
use crate::{Api, Problem};

/// The parameters of every list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it only describes the parameters")]
pub(crate) struct PageParameters {
    /// How many entries a page has at most.
    #[param(minimum = 1, maximum = 100, default = 20, example = 50)]
    limit: Option<u32>,
    /// The `nextCursor` of the page before. It belongs to the list and the filters that gave it.
    cursor: Option<String>,
}

/// The parameters of a list that can be narrowed to a time.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "it only describes the parameters")]
pub(crate) struct WindowParameters {
    /// Only what was created at this time or later.
    created_after: Option<Timestamp>,
    /// Only what was created before this time.
    created_before: Option<Timestamp>,
}

/// How many parameters are looked at: more than any call has.
const MOST_PARAMETERS: usize = 32;

/// What stands behind the `?`, with the errors found so far.
pub(crate) struct Parameters {
    given: Vec<(String, String)>,
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl FromRequestParts<Api> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self::parse(query))
    }
}

impl Parameters {
    fn parse(query: &str) -> Self {
        let mut pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned();
        let given = pairs.by_ref().take(MOST_PARAMETERS).collect();
        let mut parameters = Self {
            given,
            known: Vec::new(),
            errors: Vec::new(),
        };
        if let Some((name, _)) = pairs.next() {
            let message =
                format!("is one too many: a request has at most {MOST_PARAMETERS} parameters");
            parameters
                .errors
                .push(FieldError::of_parameter(name, message));
        }
        parameters
    }

    /// A parameter's text, if it is there. Given twice it is an error: which one is meant can't be known.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let mut values = self.given.iter().filter(|(given, _)| given == name);
        let first = values.next().map(|(_, value)| value.clone());
        if values.next().is_some() {
            self.refuse(name, "is given more than once");
        }
        first
    }

    /// A parameter's value, if it is there and can be read.
    pub(crate) fn value<T: FromStr>(&mut self, name: &'static str) -> Option<T>
    where
        T::Err: Display,
    {
        let text = self.text(name)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) if text.contains(' ') => {
                self.refuse(
                    name,
                    format!("{error} (a + in a URL is a space; write it as %2B)"),
                );
                None
            }
            Err(error) => {
                self.refuse(name, error.to_string());
                None
            }
        }
    }

    /// `limit`: 1 to 100, by default 20.
    pub(crate) fn limit(&mut self) -> PageSize {
        let Some(text) = self.text("limit") else {
            return PageSize::DEFAULT;
        };
        let number: Option<u32> = text.parse().ok();
        // One number has one spelling.
        let number = number.filter(|number| number.to_string() == text);
        let size = number.and_then(PageSize::new);
        size.unwrap_or_else(|| {
            self.refuse("limit", "must be a whole number from 1 to 100");
            PageSize::DEFAULT
        })
    }

    /// `createdAfter` and `createdBefore`.
    pub(crate) fn window(&mut self) -> TimeWindow {
        TimeWindow {
            created_after: self.value::<Timestamp>("createdAfter"),
            created_before: self.value::<Timestamp>("createdBefore"),
        }
    }

    /// Notes what is wrong with a parameter.
    pub(crate) fn refuse(&mut self, name: &'static str, message: impl Into<String>) {
        self.errors.push(FieldError::of_parameter(name, message));
    }

    /// Ends the reading: what was found wrong, and what nobody has asked for, is an error. A misspelt filter would
    /// otherwise be no filter.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        for (name, _) in &self.given {
            let is_reported = |error: &FieldError| error.parameter.as_ref() == Some(name);
            if !self.known.contains(&name.as_str()) && !self.errors.iter().any(is_reported) {
                let message = format!("is not known here; known are {}", self.known.join(", "));
                self.errors.push(FieldError::of_parameter(name, message));
            }
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::of_parameters(self.errors))
        }
    }
}
