//! What the expressions of a run can see, secrets apart from all else.

use std::collections::BTreeMap;

use minijinja::Value;
use minijinja::value::{Serde, ValueKind};

use super::expression::{EvaluationError, Expression, SecretName};
use super::one_time_code;
use super::secret::Secret;
use super::weight::{BYTES_OF_A_VALUE, MOST_VALUE_BYTES, Room, weight};

/// How much memory all variables of a run may take together, in bytes.
const MOST_VARIABLES_BYTES: usize = 256 << 20;

/// Everything that the expressions of a run can see at one moment.
#[derive(Debug, Clone)]
pub struct Scope {
    variables: BTreeMap<String, Value>,
    secrets: BTreeMap<String, Secret>,
    answers: BTreeMap<String, Secret>,
    /// Answers that are no secrets, which can be entered like those that are.
    open_answers: BTreeMap<String, Secret>,
    /// One-time codes that were made of secrets, and what was answered before.
    concealed: Vec<Secret>,
    /// How much memory each variable takes.
    weights: BTreeMap<String, usize>,
}

impl Scope {
    /// Makes the scope with which a run begins. `outputs` are those of the earlier workflows of the job run.
    #[must_use]
    pub fn new(
        input: &serde_json::Value,
        outputs: &serde_json::Value,
        secrets: BTreeMap<String, Secret>,
    ) -> Self {
        let variables = BTreeMap::from([
            ("input".to_owned(), Value::from(Serde(input))),
            ("outputs".to_owned(), Value::from(Serde(outputs))),
        ]);
        Self {
            variables,
            secrets,
            answers: BTreeMap::new(),
            open_answers: BTreeMap::new(),
            concealed: Vec::new(),
            weights: BTreeMap::new(),
        }
    }

    /// Stores what a step made under its `as` name.
    pub fn set(&mut self, name: &str, value: &serde_json::Value) {
        self.weights.insert(name.to_owned(), weight(value));
        self.variables
            .insert(name.to_owned(), Value::from(Serde(value)));
    }

    /// Stores records under a name: a list of maps, all with these fields.
    pub fn set_records(&mut self, name: &str, fields: &[&str], records: &[Vec<serde_json::Value>]) {
        let names: usize = fields.iter().map(|field| field.len()).sum();
        let of_record =
            |record: &Vec<_>| BYTES_OF_A_VALUE + names + record.iter().map(weight).sum::<usize>();
        let weight = BYTES_OF_A_VALUE + records.iter().map(of_record).sum::<usize>();
        let fields: Vec<Value> = fields.iter().map(|field| Value::from(*field)).collect();
        let maps = records.iter().map(|record| {
            let values = record.iter().map(|value| Value::from(Serde(value)));
            Value::from_pairs(fields.iter().cloned().zip(values))
        });
        self.variables.insert(name.to_owned(), maps.collect());
        self.weights.insert(name.to_owned(), weight);
    }

    /// Forgets a variable, if there is one of this name.
    pub fn forget(&mut self, name: &str) {
        self.weights.remove(name);
        self.variables.remove(name);
    }

    /// Stores a person's answer, as a secret.
    pub fn set_answer(&mut self, name: &str, answer: Secret) {
        self.open_answers.remove(name);
        if let Some(before) = self.answers.insert(name.to_owned(), answer) {
            self.conceal(before);
        }
    }

    /// Stores a person's answer that is no secret, and is not masked: the definition shows all that it can be.
    pub fn set_open_answer(&mut self, name: &str, answer: Secret) {
        self.open_answers.insert(name.to_owned(), answer);
        if let Some(before) = self.answers.remove(name) {
            self.conceal(before);
        }
    }

    /// Makes a value one that must be masked, too.
    pub fn conceal(&mut self, value: Secret) {
        let is_known = self.secret_values().any(|known| known == value.expose());
        if !is_known {
            self.concealed.push(value);
        }
    }

    /// All secret values of the run: what must be masked wherever text leaves it.
    pub fn secret_values(&self) -> impl Iterator<Item = &str> {
        self.secrets
            .values()
            .chain(self.answers.values())
            .chain(&self.concealed)
            .map(Secret::expose)
    }

    /// Evaluates an expression that isn't a secret.
    ///
    /// # Errors
    /// The expression fails, takes too long, has no value, or is a secret.
    pub fn evaluate(&self, expression: &Expression) -> Result<serde_json::Value, EvaluationError> {
        self.evaluate_within(expression, &mut Room::new(MOST_VALUE_BYTES))
    }

    /// Whether all variables together are small enough to go on.
    #[must_use]
    pub fn is_within_bounds(&self) -> bool {
        self.weights.values().sum::<usize>() <= MOST_VARIABLES_BYTES
    }

    /// Evaluates an expression that isn't a secret, as a part of something whose size is bounded.
    pub(super) fn evaluate_within(
        &self,
        expression: &Expression,
        room: &mut Room,
    ) -> Result<serde_json::Value, EvaluationError> {
        if expression.secret().is_some() {
            return Err(expression.fail("a secret can't be used here"));
        }
        if !self.is_within_bounds() {
            return Err(expression.fail("the run's variables together are too large"));
        }
        expression.evaluate(&self.variables, room)
    }

    /// Evaluates a condition.
    ///
    /// # Errors
    /// As [`Scope::evaluate`], or the value is not a boolean.
    pub fn holds(&self, expression: &Expression) -> Result<bool, EvaluationError> {
        match self.evaluate(expression)? {
            serde_json::Value::Bool(value) => Ok(value),
            other => Err(expression.fail(format!(
                "a condition must be true or false, and this is {}",
                describe(&other)
            ))),
        }
    }

    /// Says what an expression has read, for a person who wonders about its value: `total is 3, rows is a list of 2`.
    #[must_use]
    pub fn explain(&self, expression: &Expression) -> String {
        let said = expression.reads().map(|read| {
            let mut parts = read.split('.');
            let root = parts.next().and_then(|root| self.variables.get(root));
            let value = parts.try_fold(root?.clone(), |value, part| value.get_attr(part).ok())?;
            Some(format!("{read} is {}", shown(&value)))
        });
        said.flatten().collect::<Vec<_>>().join(", ")
    }

    /// Gives the secret that an expression names; a one-time code for this time.
    ///
    /// # Errors
    /// The run has no such secret or answer, the secret makes no codes, or the expression isn't one.
    pub(super) fn reveal(
        &mut self,
        expression: &Expression,
        unix_seconds: u64,
    ) -> Result<Secret, EvaluationError> {
        let missing = || expression.fail("the run has no secret of this name");
        match expression.secret() {
            Some(SecretName::Stored(name)) => self.secrets.get(name).cloned().ok_or_else(missing),
            Some(SecretName::Answer(name)) => self
                .answers
                .get(name)
                .or_else(|| self.open_answers.get(name))
                .cloned()
                .ok_or_else(|| expression.fail("nobody has answered this yet")),
            Some(SecretName::OneTimeCode(name)) => {
                let secret = self.secrets.get(name).ok_or_else(missing)?;
                let code = one_time_code::of(secret, unix_seconds)
                    .map_err(|message| expression.fail(message))?;
                self.conceal(code.clone());
                Ok(code)
            }
            None => Err(expression.fail("this is not a secret")),
        }
    }
}

/// A value as a message shows it: short, whatever its size.
fn shown(value: &Value) -> String {
    const MOST_CHARS: usize = 100;
    if value.is_undefined() {
        return "not defined".to_owned();
    }
    match (value.kind(), value.len()) {
        (ValueKind::None, _) => "nothing".to_owned(),
        (ValueKind::Seq | ValueKind::Iterable, Some(length)) => format!("a list of {length}"),
        (ValueKind::Map, _) => "a map".to_owned(),
        (ValueKind::String, _) => {
            let text = value.as_str().unwrap_or_default();
            // As JSON writes it, which masks know.
            match text.char_indices().nth(MOST_CHARS) {
                Some((end, _)) => format!("{}…", serde_json::Value::from(&text[..end])),
                None => serde_json::Value::from(text).to_string(),
            }
        }
        _ => value.to_string(),
    }
}

/// What a person calls a value of this kind.
pub(super) fn describe(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "nothing",
        serde_json::Value::Bool(_) => "a boolean",
        serde_json::Value::Number(_) => "a number",
        serde_json::Value::String(_) => "a text",
        serde_json::Value::Array(_) => "a list",
        serde_json::Value::Object(_) => "a map",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn records_are_the_list_of_maps_that_they_stand_for() {
        let mut scope = Scope::new(&json!({}), &json!({}), BTreeMap::new());
        let records = [
            vec![json!("Ada"), json!(7)],
            vec![json!(null), json!(["x"])],
        ];
        scope.set_records("records", &["name", "of"], &records);
        let maps = json!([{"name": "Ada", "of": 7}, {"name": null, "of": ["x"]}]);
        scope.set("maps", &maps);
        let [records, alike] = ["records", "maps"].map(|name| &scope.variables[name]);
        assert_eq!(records, alike);
        assert_eq!(serde_json::to_value(records).ok(), Some(maps));
        assert_eq!(scope.weights["records"], scope.weights["maps"]);
    }

    #[test]
    fn what_an_expression_has_read_is_told_shortly() {
        let mut scope = Scope::new(
            &json!({ "a": { "b": 1.5 } }),
            &json!({}),
            BTreeMap::from([("token".to_owned(), Secret::new("hunter22"))]),
        );
        scope.set("text", &json!("x\"y".repeat(100)));
        scope.set("rows", &json!([1, 2]));
        scope.set("nobody", &json!(null));
        let told = |source: &str| {
            let expression = Expression::parse(source).expect("an expression");
            scope.explain(&expression)
        };
        assert_eq!(
            told("rows | length > input.a.b and nobody and input.a.c"),
            "input.a.b is 1.5, input.a.c is not defined, nobody is nothing, rows is a list of 2"
        );
        assert_eq!(told("input.a"), "input.a is a map");
        let text = told("text");
        assert!(text.starts_with(r#"text is "x\"yx"#), "{text}");
        assert!(text.ends_with("\"…") && text.len() < 250, "{text}");
        assert_eq!(told("1 == 2"), "");
        assert_eq!(told("secrets.token"), "");
    }
}
