//! Expressions: what they may say, and how they are evaluated. Pure; bounded in time and memory by minijinja's fuel.
//!
//! Secrets never enter minijinja. An expression that is exactly `secrets.NAME` or `answers.NAME` names a secret, any
//! other mention of the two is refused when the definition is read, and the context of an evaluation holds neither.

mod arguments;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::LazyLock;

use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};
use thiserror::Error;

use super::problem::{Rule, closest};
use super::weight::{MOST_VALUE_BYTES, Room};

/// How long an expression may be, in bytes.
pub(super) const MOST_BYTES: usize = 4_096;
/// minijinja's measure of work: one for an instruction, and one for each 64 bytes that it makes or reads.
const FUEL: u64 = 1_000_000;
/// The same for an expression that is evaluated when a definition is checked, which can hold thousands of them.
const FUEL_OF_CHECKS: u64 = 500;

/// The filters of the language.
pub(super) const FILTERS: &[&str] = &[
    "abs",
    "bool",
    "default",
    "first",
    "float",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "trim",
    "unique",
    "upper",
];

/// The tests of the language, as in `x is defined`.
const TESTS: &[&str] = &[
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "even",
    "false",
    "in",
    "integer",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sequence",
    "startingwith",
    "string",
    "true",
    "undefined",
];

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| environment(FUEL));
static CHECKS: LazyLock<Environment<'static>> = LazyLock::new(|| environment(FUEL_OF_CHECKS));

fn environment(fuel: u64) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_fuel(Some(fuel));
    environment
}

/// A checked expression, such as `employees | length == 0`.
#[derive(Debug, Clone)]
pub struct Expression {
    source: String,
    secret: Option<SecretName>,
    reads: BTreeSet<String>,
}

/// What an expression that is a secret names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretName {
    /// `secrets.NAME`: a secret of the organization.
    Stored(String),
    /// `answers.NAME`: what a person answered.
    Answer(String),
    /// `totp(secrets.NAME)`: the one-time code that a secret of the organization makes at a time.
    OneTimeCode(String),
}

/// Why a text is not an expression, or not a template.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WrongExpression {
    pub(super) rule: Rule,
    pub(super) message: String,
    /// What was probably meant.
    pub(super) suggestion: Option<&'static str>,
}

pub(super) fn wrong(rule: Rule, message: impl Into<String>) -> WrongExpression {
    WrongExpression {
        rule,
        message: message.into(),
        suggestion: None,
    }
}

/// Why an expression or a template has no value in a scope.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{expression}`: {message}")]
pub struct EvaluationError {
    /// The expression as it was written.
    pub expression: String,
    /// What is wrong, without any value.
    pub message: String,
}

impl Expression {
    /// Reads an expression; the error says what is wrong with it.
    pub(super) fn parse(source: &str) -> Result<Self, WrongExpression> {
        let source = source.trim();
        if source.is_empty() {
            return Err(wrong(Rule::BadExpression, "the expression is empty"));
        }
        if source.len() > MOST_BYTES {
            return Err(wrong(
                Rule::OutOfBounds,
                format!("an expression has at most {MOST_BYTES} bytes"),
            ));
        }
        if let Some(secret) = secret_name(source) {
            return Ok(Self {
                source: source.to_owned(),
                secret: Some(secret),
                reads: BTreeSet::new(),
            });
        }
        check_names(source)?;
        let compiled = ENVIRONMENT
            .compile_expression_owned(source.to_owned())
            .map_err(|error| {
                let why = error.detail().unwrap_or("it can't be read");
                wrong(
                    Rule::BadExpression,
                    format!("`{source}` is not an expression: {why}"),
                )
            })?;
        let reads: BTreeSet<String> = compiled.undeclared_variables(true).into_iter().collect();
        let is_root_of_secrets = |read: &String| {
            let root = read.split('.').next();
            matches!(root, Some("secrets" | "answers" | "totp"))
        };
        if reads.iter().any(is_root_of_secrets) {
            let message = format!(
                "`{source}`: a secret can only be used as it is, as `{{{{ secrets.name }}}}`, `{{{{ totp(secrets.name) }}}}` or `{{{{ answers.name }}}}`"
            );
            return Err(wrong(Rule::SecretUse, message));
        }
        Ok(Self {
            source: source.to_owned(),
            secret: None,
            reads,
        })
    }

    /// The expression as it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The secret that this expression is, if it is one.
    #[must_use]
    pub fn secret(&self) -> Option<&SecretName> {
        self.secret.as_ref()
    }

    /// The value that it always has, or why it never has one, if it reads nothing.
    pub(super) fn constant(&self) -> Option<Result<serde_json::Value, EvaluationError>> {
        if self.secret.is_some() || !self.reads.is_empty() {
            return None;
        }
        let evaluated = self.run(&CHECKS, &BTreeMap::new());
        if is_out_of_fuel(&evaluated) {
            return None;
        }
        Some(self.read(evaluated, &mut Room::new(MOST_VALUE_BYTES)))
    }

    /// Whether it reads nothing, and takes more work than [`Expression::constant`] does.
    pub(super) fn is_laborious(&self) -> bool {
        self.secret.is_none()
            && self.reads.is_empty()
            && is_out_of_fuel(&self.run(&CHECKS, &BTreeMap::new()))
    }

    /// Why an expression that reads nothing fails, if it does, with all the work that a run would do.
    pub(super) fn failure(&self) -> Option<EvaluationError> {
        let evaluated = self.run(&ENVIRONMENT, &BTreeMap::new());
        evaluated.err().map(|error| self.failed(&error))
    }

    /// Gives its value with these variables, which takes from the room that is left.
    pub(super) fn evaluate(
        &self,
        variables: &BTreeMap<String, Value>,
        room: &mut Room,
    ) -> Result<serde_json::Value, EvaluationError> {
        self.read(self.run(&ENVIRONMENT, variables), room)
    }

    fn run(
        &self,
        environment: &'static Environment<'static>,
        variables: &BTreeMap<String, Value>,
    ) -> Result<Value, minijinja::Error> {
        environment
            .compile_expression_owned(self.source.clone())
            .and_then(|compiled| compiled.eval(Value::from(variables.clone())))
    }

    fn read(
        &self,
        evaluated: Result<Value, minijinja::Error>,
        room: &mut Room,
    ) -> Result<serde_json::Value, EvaluationError> {
        let value = evaluated.map_err(|error| self.failed(&error))?;
        if value.is_undefined() {
            return Err(self.fail("it has no value"));
        }
        room.read(&value).map_err(|why| self.fail(why))
    }

    fn failed(&self, error: &minijinja::Error) -> EvaluationError {
        match error.kind() {
            ErrorKind::OutOfFuel => self.fail("it takes too much work"),
            kind => self.fail(
                error
                    .detail()
                    .map_or_else(|| kind.to_string(), str::to_owned),
            ),
        }
    }

    /// The names that it reads, with the attributes that are known beforehand, such as `input.baseUrl`.
    pub(super) fn reads(&self) -> impl Iterator<Item = &str> {
        self.reads.iter().map(String::as_str)
    }

    /// The error that it has no value, or that its value can't be used.
    pub(super) fn fail(&self, message: impl Into<String>) -> EvaluationError {
        EvaluationError {
            expression: self.source.clone(),
            message: message.into(),
        }
    }
}

fn is_out_of_fuel(evaluated: &Result<Value, minijinja::Error>) -> bool {
    matches!(evaluated, Err(error) if error.kind() == ErrorKind::OutOfFuel)
}

/// Whether this is a name that expressions can read: a letter or `_`, then letters, digits and `_`.
pub(super) fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn secret_name(source: &str) -> Option<SecretName> {
    let code_of = source
        .strip_prefix("totp(")
        .and_then(|rest| rest.strip_suffix(')'));
    let (root, name) = code_of.unwrap_or(source).trim().split_once('.')?;
    let name = is_name(name).then(|| name.to_owned())?;
    match (root, code_of) {
        ("secrets", Some(_)) => Some(SecretName::OneTimeCode(name)),
        ("secrets", None) => Some(SecretName::Stored(name)),
        ("answers", None) => Some(SecretName::Answer(name)),
        _ => None,
    }
}

/// Refuses unknown filters, unknown tests, wrong numbers of arguments, and calls, which minijinja itself would notice
/// only while it runs.
fn check_names(source: &str) -> Result<(), WrongExpression> {
    let tokens: Vec<Token<'_>> = tokens(source).collect();
    let mut before = Token::Start;
    for (index, token) in tokens.iter().copied().enumerate() {
        let rest = tokens.get(index + 1..).unwrap_or_default();
        match (before, token) {
            (Token::Symbol('|'), Token::Word(name)) => {
                if !FILTERS.contains(&name) {
                    return Err(unknown("filter", name, FILTERS));
                }
                check_arguments("filter", name, arguments::of_filter(name), rest)?;
            }
            (Token::Word("is"), Token::Word(name)) if name != "not" => {
                if !TESTS.contains(&name) {
                    return Err(unknown("test", name, TESTS));
                }
                // The one argument of a test need not stand in parentheses.
                if matches!(rest.first(), Some(Token::Symbol('('))) {
                    check_arguments("test", name, arguments::of_test(name), rest)?;
                }
            }
            (Token::Word("totp"), Token::Symbol('(')) => {
                return Err(wrong(
                    Rule::SecretUse,
                    "`totp` takes a secret and nothing else, and stands alone: `{{ totp(secrets.name) }}`",
                ));
            }
            (Token::Word(name), Token::Symbol('('))
                if !FILTERS.contains(&name) && !TESTS.contains(&name) && !is_operator(name) =>
            {
                return Err(wrong(
                    Rule::UnknownFunction,
                    format!(
                        "`{name}(…)`: there are no functions in the language; filters are written `x | {name}`"
                    ),
                ));
            }
            (Token::Symbol(')' | ']'), Token::Symbol('(')) => {
                return Err(wrong(
                    Rule::UnknownFunction,
                    "there are no functions in the language",
                ));
            }
            _ => {}
        }
        before = match (before, token) {
            // `is not even`: the test's name follows the `not`.
            (Token::Word("is"), Token::Word("not")) => before,
            _ => token,
        };
    }
    Ok(())
}

fn check_arguments(
    what: &str,
    name: &str,
    takes: RangeInclusive<usize>,
    rest: &[Token<'_>],
) -> Result<(), WrongExpression> {
    let Some(given) = arguments::count(rest).filter(|given| !takes.contains(given)) else {
        return Ok(());
    };
    let (least, most) = (*takes.start(), *takes.end());
    let wanted = match (least, most) {
        (0, 0) => "no arguments".to_owned(),
        (1, 1) => "1 argument".to_owned(),
        (least, most) if least == most => format!("{least} arguments"),
        (least, usize::MAX) => format!("{least} or more arguments"),
        (least, most) => format!("{least} to {most} arguments"),
    };
    let message = format!("the {what} `{name}` takes {wanted}, and here are {given}");
    Err(wrong(Rule::BadExpression, message))
}

fn unknown(what: &str, name: &str, known: &'static [&'static str]) -> WrongExpression {
    let suggestion = closest(name, known.iter().copied());
    let message = match suggestion {
        Some(_) => format!("there is no {what} `{name}`"),
        None => format!(
            "there is no {what} `{name}`; there are {}",
            known.join(", ")
        ),
    };
    WrongExpression {
        suggestion,
        ..wrong(Rule::UnknownFunction, message)
    }
}

fn is_operator(word: &str) -> bool {
    matches!(word, "and" | "or" | "not" | "in" | "if" | "else" | "is")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token<'s> {
    Start,
    Word(&'s str),
    Symbol(char),
    Literal,
}

fn tokens(source: &str) -> impl Iterator<Item = Token<'_>> {
    let mut rest = source;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = rest.chars().next()?;
        let (token, length) = match first {
            '"' | '\'' => (Token::Literal, literal_length(rest, first)),
            c if c.is_alphabetic() || c == '_' => {
                let length = rest
                    .find(|c: char| !c.is_alphanumeric() && c != '_')
                    .unwrap_or(rest.len());
                (Token::Word(&rest[..length]), length)
            }
            c => (Token::Symbol(c), c.len_utf8()),
        };
        rest = &rest[length..];
        Some(token)
    })
}

/// The length in bytes of a string literal with its quotes; up to the end if it isn't closed.
pub(super) fn literal_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (index, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return index + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::scope::Scope;
    use super::super::secret::Secret;
    use super::*;

    fn scope() -> Scope {
        let secrets = BTreeMap::from([("token".to_owned(), Secret::new("hunter22"))]);
        let mut scope = Scope::new(&json!({"month": "May"}), &json!({}), secrets);
        scope.set("employees", &json!([{"name": "Ada"}, {"name": "Bo"}]));
        scope
    }

    fn evaluate(source: &str) -> Result<serde_json::Value, String> {
        scope()
            .evaluate(&Expression::parse(source).map_err(|wrong| wrong.message)?)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn an_expression_keeps_the_type_of_its_value() {
        assert_eq!(evaluate("employees | length"), Ok(json!(2)));
        assert_eq!(evaluate("employees | length == 0"), Ok(json!(false)));
        assert_eq!(evaluate("employees[0].name"), Ok(json!("Ada")));
        assert_eq!(
            evaluate("employees | map(attribute='name') | join(', ')"),
            Ok(json!("Ada, Bo"))
        );
        assert_eq!(
            evaluate("input.month is not none and (input.month in ['May'])"),
            Ok(json!(true))
        );
    }

    #[test]
    fn a_secret_can_only_be_named_as_it_is() {
        for source in [
            "secrets",
            "secrets.token | length",
            "secrets.token == 'x'",
            "secrets['token']",
            "secrets | items",
            "[secrets.token]",
            "{'a': secrets}",
            "secrets.token ~ ''",
            "'x' if secrets.token else 'y'",
            "answers.code | upper",
            "secrets.a.b",
            "secrets.token[0]",
            "input[secrets.token]",
            "secrets. token | list",
            "totp(secrets.token) | upper",
            "totp(secrets.token) ~ ''",
            "totp(answers.code)",
            "totp(input.month)",
            "totp(secrets.token, 8)",
            "totp",
        ] {
            assert!(Expression::parse(source).is_err(), "{source}");
        }
        let named = Expression::parse("secrets.token").expect("a secret");
        assert!(
            scope().evaluate(&named).is_err(),
            "a secret has no value as an expression"
        );
        assert_eq!(
            scope().reveal(&named, 0).expect("the secret").expose(),
            "hunter22"
        );
        assert!(!format!("{:?}", scope()).contains("hunter22"));
    }

    #[test]
    fn unknown_filters_tests_and_calls_are_refused_before_anything_runs() {
        assert!(
            Expression::parse("employees | lenght")
                .is_err_and(|error| error.suggestion == Some("length"))
        );
        assert!(
            Expression::parse("employees is definde")
                .is_err_and(|error| error.suggestion == Some("defined"))
        );
        assert!(Expression::parse("range(1000000)").is_err());
        assert!(Expression::parse("employees.append(1)").is_err());
        assert!(
            Expression::parse("'range(1) | nothing' == input.month").is_ok(),
            "what stands in quotes is text"
        );
    }

    #[test]
    fn an_expression_can_neither_run_nor_grow_without_bound() {
        assert!(Expression::parse(&"(".repeat(2_000)).is_err());
        assert!(evaluate("'x' * 100000000000").is_err());
        assert!(evaluate("(('x' * 100000) | list) * 100000").is_err());
    }

    #[test]
    fn a_name_that_has_no_value_is_an_error() {
        assert!(evaluate("input.year").is_err());
        assert!(evaluate("nobody | length").is_err());
    }
}
