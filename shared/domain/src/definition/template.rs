//! Templates: text with `{{ expressions }}` in it. One that is exactly one expression keeps its value's type.

use serde_json::Value;

use super::expression::{EvaluationError, Expression, WrongExpression, literal_length, wrong};
use super::problem::Rule;
use super::scope::{Scope, describe};
use super::secret::Secret;
use super::weight::{MOST_VALUE_BYTES, Room};

/// A checked template.
#[derive(Debug, Clone)]
pub struct Template {
    source: String,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone)]
enum Segment {
    Text(String),
    Expression(Expression),
}

impl Template {
    /// Reads a template; the error says what is wrong with it.
    pub(super) fn parse(source: &str) -> Result<Self, WrongExpression> {
        let mut segments = Vec::new();
        let mut rest = source;
        if source.contains("{%") {
            return Err(wrong(
                Rule::BadExpression,
                "`{% … %}` is not part of the language, only `{{ … }}`",
            ));
        }
        while let Some(start) = rest.find("{{") {
            if start > 0 {
                segments.push(Segment::Text(rest[..start].to_owned()));
            }
            let inner = &rest[start + 2..];
            let end = end_of_expression(inner)
                .ok_or_else(|| wrong(Rule::BadExpression, "`{{` without its `}}`"))?;
            segments.push(Segment::Expression(Expression::parse(&inner[..end])?));
            rest = &inner[end + 2..];
        }
        if !rest.is_empty() || segments.is_empty() {
            segments.push(Segment::Text(rest.to_owned()));
        }
        Ok(Self {
            source: source.to_owned(),
            segments,
        })
    }

    /// The template as it was written: what messages and logs show instead of its value.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text of a template without expressions.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        match self.segments.as_slice() {
            [Segment::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The expressions in it.
    pub(super) fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Expression(expression) => Some(expression),
            Segment::Text(_) => None,
        })
    }

    /// The one expression that it is, if it is nothing else.
    #[must_use]
    pub fn only_expression(&self) -> Option<&Expression> {
        match self.segments.as_slice() {
            [Segment::Expression(expression)] => Some(expression),
            _ => None,
        }
    }

    /// Whether a secret is part of it.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.expressions()
            .any(|expression| expression.secret().is_some())
    }

    /// Gives the value: that of its expression with its type if it is exactly one, text otherwise.
    ///
    /// # Errors
    /// An expression fails, or a secret is part of it.
    pub fn value(&self, scope: &Scope) -> Result<Value, EvaluationError> {
        self.value_within(scope, &mut Room::new(MOST_VALUE_BYTES))
    }

    /// Gives the value as a part of something whose size is bounded.
    pub(super) fn value_within(
        &self,
        scope: &Scope,
        room: &mut Room,
    ) -> Result<Value, EvaluationError> {
        match self.segments.as_slice() {
            [Segment::Expression(expression)] => scope.evaluate_within(expression, room),
            _ => self.text_within(scope, room).map(Value::String),
        }
    }

    /// Gives the value as text.
    ///
    /// # Errors
    /// An expression fails, is a list, a map or nothing, or a secret is part of it.
    pub fn text(&self, scope: &Scope) -> Result<String, EvaluationError> {
        self.text_within(scope, &mut Room::new(MOST_VALUE_BYTES))
    }

    fn text_within(&self, scope: &Scope, room: &mut Room) -> Result<String, EvaluationError> {
        let mut text = String::new();
        for segment in &self.segments {
            match segment {
                Segment::Text(part) => text.push_str(part),
                Segment::Expression(expression) => {
                    text.push_str(&text_of(expression, scope, room)?);
                }
            }
        }
        Ok(text)
    }

    /// Gives the value as text that may hold secrets: for the few places that may take one. `unix_seconds` is the
    /// time now, of which `totp()` makes its code; the codes that were made are concealed in the scope.
    ///
    /// # Errors
    /// As [`Template::text`], or the run has no such secret.
    pub fn sensitive_text(
        &self,
        scope: &mut Scope,
        unix_seconds: u64,
    ) -> Result<Secret, EvaluationError> {
        let mut text = String::new();
        let mut room = Room::new(MOST_VALUE_BYTES);
        for segment in &self.segments {
            match segment {
                Segment::Text(part) => text.push_str(part),
                Segment::Expression(expression) if expression.secret().is_some() => {
                    let secret = scope.reveal(expression, unix_seconds)?;
                    room.take(secret.expose().len())
                        .map_err(|why| expression.fail(why))?;
                    text.push_str(secret.expose());
                }
                Segment::Expression(expression) => {
                    text.push_str(&text_of(expression, scope, &mut room)?);
                }
            }
        }
        Ok(Secret::new(text))
    }
}

fn text_of(
    expression: &Expression,
    scope: &Scope,
    room: &mut Room,
) -> Result<String, EvaluationError> {
    match scope.evaluate_within(expression, room)? {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(value) => Ok(value.to_string()),
        other => Err(EvaluationError {
            expression: expression.source().to_owned(),
            message: format!("{} can't be put into text", describe(&other)),
        }),
    }
}

/// Where the `}}` stands that ends an expression: outside of quotes, and outside of the maps that it may hold.
fn end_of_expression(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    let mut index = 0;
    while let Some(c) = text[index..].chars().next() {
        match c {
            '"' | '\'' => {
                index += literal_length(&text[index..], c);
                continue;
            }
            '{' => open += 1,
            '}' if open > 0 => open -= 1,
            '}' if text[index..].starts_with("}}") => return Some(index),
            _ => {}
        }
        index += c.len_utf8();
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn scope() -> Scope {
        let secrets = BTreeMap::from([("token".to_owned(), Secret::new("hunter22"))]);
        Scope::new(
            &json!({"baseUrl": "https://a.test", "page": 3}),
            &json!({}),
            secrets,
        )
    }

    fn parse(source: &str) -> Template {
        Template::parse(source).expect("a template")
    }

    #[test]
    fn exactly_one_expression_keeps_its_type_and_anything_else_makes_text() {
        assert_eq!(parse("{{ input.page }}").value(&scope()), Ok(json!(3)));
        assert_eq!(parse("p{{ input.page }}").value(&scope()), Ok(json!("p3")));
        assert_eq!(
            parse("{{ input.baseUrl }}/login").text(&scope()),
            Ok("https://a.test/login".to_owned())
        );
        assert_eq!(parse("").text(&scope()), Ok(String::new()));
    }

    #[test]
    fn braces_and_quotes_inside_of_an_expression_do_not_end_it() {
        assert_eq!(parse("{{ '}}' }}").text(&scope()), Ok("}}".to_owned()));
        assert_eq!(
            parse("{{ {'a': {'b': 1}}.a.b }}").value(&scope()),
            Ok(json!(1))
        );
        assert!(Template::parse("{{ input.page").is_err());
    }

    #[test]
    fn a_secret_is_only_given_where_it_may_be() {
        let template = parse("Bearer {{ secrets.token }}");
        assert!(template.is_secret());
        assert!(template.text(&scope()).is_err());
        assert!(template.value(&scope()).is_err());
        assert_eq!(
            template
                .sensitive_text(&mut scope(), 0)
                .expect("the text")
                .expose(),
            "Bearer hunter22"
        );
    }
}
