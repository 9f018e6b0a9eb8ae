//! The names that a definition gives and uses: variables, answers, secrets, inputs, artifacts, elements. Each use is
//! checked against what exists by then.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::decode::{Decoder, is_file_name};
use super::expression::{Expression, SecretName, is_name};
use super::fields::Fields;
use super::node::Node;
use super::problem::{Rule, Spot, closest};
use super::template::Template;

/// Names that variables can't have, as expressions read them otherwise.
const RESERVED: &[&str] = &[
    "input", "secrets", "answers", "outputs", "totp", "true", "false", "none", "True", "False",
    "None", "not", "and", "or", "in", "is", "if", "else", "self", "loop",
];

/// What exists so far.
#[derive(Default)]
pub(super) struct Names {
    /// The input's schema.
    pub(super) input: Option<Value>,
    variables: BTreeMap<String, Holds>,
    answers: BTreeSet<String>,
    secrets: BTreeSet<String>,
    /// The artifacts whose names are known beforehand.
    artifacts: BTreeSet<String>,
    /// Whether there are artifacts whose names only the run knows.
    has_other_artifacts: bool,
    /// The loops over elements around the present step.
    elements: Vec<String>,
}

/// What a variable holds, as far as the step says so that made it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Holds {
    /// Something.
    #[default]
    Anything,
    /// A map that has these properties and no others.
    Record(Vec<String>),
    /// A list of such maps.
    Records(Vec<String>),
}

impl Holds {
    /// A map with these properties.
    pub(super) fn record(properties: &[&str]) -> Self {
        Self::Record(properties.iter().map(ToString::to_string).collect())
    }
}

impl Names {
    /// What is in a list, if an expression is nothing but a variable that holds one.
    pub(super) fn items_of(&self, expression: &Expression) -> Holds {
        match self.variables.get(expression.source()) {
            Some(Holds::Records(properties)) => Holds::Record(properties.clone()),
            _ => Holds::Anything,
        }
    }

    /// The secrets that were named.
    pub(super) fn take_secrets(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.secrets)
    }
}

impl Decoder<'_> {
    /// Reports names that have no value at this point of the workflow.
    pub(super) fn check_names(&mut self, expression: &Expression, place: &Spot) {
        match expression.secret() {
            Some(SecretName::Stored(name) | SecretName::OneTimeCode(name)) => {
                self.names.secrets.insert(name.clone());
            }
            Some(SecretName::Answer(name)) => {
                if !self.names.answers.contains(name) {
                    let near = closest(name, self.names.answers.iter().map(String::as_str))
                        .map(|name| format!("answers.{name}"));
                    let message = format!("nobody has been asked for `answers.{name}` by then");
                    self.suggest(place, Rule::UnknownAnswer, message, near.as_deref());
                }
            }
            None => {
                for read in expression.reads() {
                    self.check_read(read, place);
                }
            }
        }
    }

    fn check_read(&mut self, read: &str, place: &Spot) {
        let mut parts = read.split('.');
        let root = parts.next().unwrap_or(read);
        match root {
            "input" => self.check_input(parts, place),
            "outputs" => {}
            _ => match (self.names.variables.get(root), parts.next()) {
                (Some(Holds::Record(properties)), Some(property))
                    if !properties.iter().any(|known| known == property) =>
                {
                    let near = closest(property, properties.iter().map(String::as_str));
                    let near = near.map(|name| format!("{root}.{name}"));
                    let message = format!(
                        "`{root}` has no `{property}`; it has {}",
                        properties.join(", ")
                    );
                    self.suggest(place, Rule::UnknownVariable, message, near.as_deref());
                }
                (Some(Holds::Records(_)), Some(property)) => {
                    let message = format!(
                        "`{root}` is a list, and has no `{property}`: its first item is `{root}[0]`"
                    );
                    self.report(place, Rule::UnknownVariable, message);
                }
                (Some(_), _) => {}
                (None, _) => {
                    let known = self.names.variables.keys().map(String::as_str);
                    let near = closest(
                        root,
                        known.chain(["input", "outputs", "secrets", "answers"]),
                    )
                    .map(str::to_owned);
                    let message = format!("there is no variable `{root}` by then");
                    self.suggest(place, Rule::UnknownVariable, message, near.as_deref());
                }
            },
        }
    }

    /// Reports a property that no input has, as far as its schema lists them.
    fn check_input<'r>(&mut self, path: impl Iterator<Item = &'r str>, place: &Spot) {
        let Some(mut schema) = self.names.input.as_ref() else {
            return;
        };
        let mut at = "input".to_owned();
        for property in path {
            let Some(properties) = all_properties(schema) else {
                return;
            };
            match properties.get(property) {
                Some(inner) => schema = inner,
                None => {
                    let near = closest(property, properties.keys().map(String::as_str));
                    let near = near.map(|name| format!("{at}.{name}"));
                    let what = at
                        .strip_prefix("input.")
                        .map(|inner| format!("`{inner}` of "));
                    let message = format!(
                        "{}the input has no property `{property}`",
                        what.unwrap_or_default()
                    );
                    self.suggest(place, Rule::UnknownInput, message, near.as_deref());
                    return;
                }
            }
            at = format!("{at}.{property}");
        }
    }

    /// Takes the name of a variable, which does not exist yet.
    pub(super) fn take_name(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
    ) -> Option<String> {
        fields.take(key).and_then(|node| self.name(node))
    }

    /// Takes the name of a variable that exists from here on, and holds this.
    pub(super) fn take_variable(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
        holds: Holds,
    ) -> Option<String> {
        let name = self.take_name(fields, key)?;
        self.define(&name, holds);
        Some(name)
    }

    /// Makes a variable exist from here on. What several steps give a value of several kinds can hold anything.
    pub(super) fn define(&mut self, name: &str, holds: Holds) {
        let known = self.names.variables.entry(name.to_owned());
        known
            .and_modify(|before| {
                if *before != holds {
                    *before = Holds::Anything;
                }
            })
            .or_insert(holds);
    }

    /// Reads something in which a variable exists that exists nowhere else.
    pub(super) fn with_variable<T>(
        &mut self,
        name: Option<&str>,
        holds: Holds,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let Some(name) = name.filter(|name| !self.is_variable(name)) else {
            return read(self);
        };
        self.names.variables.insert(name.to_owned(), holds);
        let value = read(self);
        self.names.variables.remove(name);
        value
    }

    /// Whether a variable exists.
    pub(super) fn is_variable(&self, name: &str) -> bool {
        self.names.variables.contains_key(name)
    }

    /// Reads something in which the present element of a loop can be located.
    pub(super) fn with_element<T>(
        &mut self,
        name: Option<&str>,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let Some(name) = name else { return read(self) };
        self.names.elements.push(name.to_owned());
        let value = read(self);
        self.names.elements.pop();
        value
    }

    /// Reads the name of a loop over elements around this step.
    pub(super) fn element(&mut self, node: &Node) -> Option<String> {
        let name = self.text(node)?;
        if !self.names.elements.iter().any(|known| known == name) {
            let near = closest(name, self.names.elements.iter().map(String::as_str));
            let near = near.map(str::to_owned);
            let message = format!("no `forEach` over elements around this has `as: {name}`");
            self.suggest(&node.place, Rule::UnknownVariable, message, near.as_deref());
            return None;
        }
        Some(name.to_owned())
    }

    /// Reads the name of an answer that exists from here on.
    pub(super) fn answer(&mut self, node: &Node) -> Option<String> {
        let name = self.name(node)?;
        self.names.answers.insert(name.clone());
        Some(name)
    }

    fn name(&mut self, node: &Node) -> Option<String> {
        let name = self.text(node)?;
        self.check_name(name, &node.place).then(|| name.to_owned())
    }

    /// Whether this can be a variable's name; reports if not.
    pub(super) fn check_name(&mut self, name: &str, place: &Spot) -> bool {
        let is_right = is_name(name) && !RESERVED.contains(&name);
        if !is_right {
            let why = if RESERVED.contains(&name) {
                "is a name of the language"
            } else {
                "is not a variable's name"
            };
            let message = format!("`{name}` {why}: write it like `employees`");
            self.report(place, Rule::BadName, message);
        }
        is_right
    }

    /// Takes an artifact's name, if there is one. Names that are known beforehand must differ.
    pub(super) fn take_file_name(&mut self, fields: &mut Fields<'_>) -> Option<Template> {
        let name = fields
            .take("fileName")
            .and_then(|node| self.file_name(node));
        self.names.has_other_artifacts |= name.as_ref().and_then(Template::literal).is_none();
        name
    }

    /// Makes an artifact exist whose name only the run knows.
    pub(super) fn make_other_artifact(&mut self) {
        self.names.has_other_artifacts = true;
    }

    /// Reads the name of an artifact that a step before has made.
    pub(super) fn made_artifact(&mut self, node: &Node) -> Option<Template> {
        let template = self.template(node)?;
        if let Some(name) = template.literal()
            && !self.names.has_other_artifacts
            && !self.names.artifacts.contains(name)
        {
            let near = closest(name, self.names.artifacts.iter().map(String::as_str));
            let near = near.map(str::to_owned);
            let message = format!("no step before makes an artifact named `{name}`");
            self.suggest(&node.place, Rule::UnknownVariable, message, near.as_deref());
        }
        Some(template)
    }

    fn file_name(&mut self, node: &Node) -> Option<Template> {
        let template = self.template(node)?;
        if let Some(name) = template.literal() {
            if !is_file_name(name) {
                let message =
                    format!("`{name}` is not a file's name: 1 to 200 bytes, without `/` and `\\`");
                self.report(&node.place, Rule::BadName, message);
                return None;
            }
            self.claim_artifact(name, &node.place);
        }
        Some(template)
    }

    /// Reserves an artifact's name, and reports if another step has it.
    pub(super) fn claim_artifact(&mut self, name: &str, place: &Spot) {
        if !self.names.artifacts.insert(name.to_owned()) {
            let message = format!("another step makes an artifact named `{name}`");
            self.report(place, Rule::DuplicateName, message);
        }
    }
}

/// The properties of what a schema describes, if it lists all of them.
fn all_properties(schema: &Value) -> Option<&serde_json::Map<String, Value>> {
    const OPEN: &[&str] = &[
        "$ref",
        "allOf",
        "anyOf",
        "dependentSchemas",
        "if",
        "oneOf",
        "patternProperties",
    ];
    let is_open = OPEN.iter().any(|key| schema.get(key).is_some())
        || matches!(
            schema.get("additionalProperties"),
            Some(Value::Bool(true) | Value::Object(_))
        );
    let properties = schema.get("properties")?.as_object()?;
    (!is_open).then_some(properties)
}
