//! The names that a definition gives and uses: variables, answers, secrets, inputs, artifacts, elements. Each use is
//! checked against what exists by then.

use std::collections::BTreeSet;

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
    /// The properties of the input, if its schema lists all of them.
    pub(super) inputs: Option<BTreeSet<String>>,
    variables: BTreeSet<String>,
    answers: BTreeSet<String>,
    secrets: BTreeSet<String>,
    artifacts: BTreeSet<String>,
    /// The loops over elements around the present step.
    elements: Vec<String>,
}

impl Names {
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
        match (root, parts.next()) {
            ("input", Some(property)) => {
                if let Some(inputs) = &self.names.inputs
                    && !inputs.contains(property)
                {
                    let near = closest(property, inputs.iter().map(String::as_str))
                        .map(|name| format!("input.{name}"));
                    let message = format!("the input has no property `{property}`");
                    self.suggest(place, Rule::UnknownInput, message, near.as_deref());
                }
            }
            ("input" | "outputs", _) => {}
            _ if self.names.variables.contains(root) => {}
            _ => {
                let known = self.names.variables.iter().map(String::as_str);
                let near = closest(
                    root,
                    known.chain(["input", "outputs", "secrets", "answers"]),
                )
                .map(str::to_owned);
                let message = format!("there is no variable `{root}` by then");
                self.suggest(place, Rule::UnknownVariable, message, near.as_deref());
            }
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

    /// Takes the name of a variable that exists from here on.
    pub(super) fn take_variable(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
    ) -> Option<String> {
        let name = self.take_name(fields, key)?;
        self.define(&name);
        Some(name)
    }

    /// Makes a variable exist from here on.
    pub(super) fn define(&mut self, name: &str) {
        self.names.variables.insert(name.to_owned());
    }

    /// Reads something in which a variable exists that exists nowhere else.
    pub(super) fn with_variable<T>(
        &mut self,
        name: Option<&str>,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let is_new = name.is_some_and(|name| self.names.variables.insert(name.to_owned()));
        let value = read(self);
        if let (Some(name), true) = (name, is_new) {
            self.names.variables.remove(name);
        }
        value
    }

    /// Whether a variable exists.
    pub(super) fn is_variable(&self, name: &str) -> bool {
        self.names.variables.contains(name)
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

    /// Reads an artifact's name. Names that are known beforehand must differ.
    pub(super) fn file_name(&mut self, node: &Node) -> Option<Template> {
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
