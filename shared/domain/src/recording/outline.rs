//! What a recording becomes before it is written: states with steps and comments.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::names::{slug, slug_of_url, unique};

/// How many states a recording may become: what comes after stays in the last one.
const MOST_STATES: usize = 120;

/// A whole result.
pub(super) struct Outline {
    /// The workflow, if any step is left.
    pub(super) document: Option<Document>,
    pub(super) warnings: Vec<String>,
    pub(super) secrets: BTreeSet<String>,
}

/// The workflow as it is written.
pub(super) struct Document {
    pub(super) title: String,
    pub(super) origins: BTreeSet<String>,
    pub(super) viewport: Option<(u64, u64)>,
    pub(super) states: Vec<State>,
}

/// A state as it is written.
pub(super) struct State {
    pub(super) name: String,
    pub(super) items: Vec<Item>,
}

/// A line of a state.
pub(super) enum Item {
    /// A step.
    Step(Value),
    /// What could not be translated here.
    Comment(String),
}

/// The states so far.
#[derive(Default)]
pub(super) struct States {
    states: Vec<State>,
    names: BTreeSet<String>,
    /// What the next step's state is called, if it begins one.
    next: Option<String>,
}

impl States {
    /// Begins a state for a page, unless nothing has happened since the last one began.
    pub(super) fn begin(&mut self, title: Option<&str>, url: Option<&str>) {
        let name = title
            .and_then(slug)
            .or_else(|| url.and_then(slug_of_url))
            .unwrap_or_else(|| "page".to_owned());
        self.next = Some(name);
    }

    /// Adds a step to the present state.
    pub(super) fn push(&mut self, step: Value) {
        self.present().items.push(Item::Step(step));
    }

    /// Adds a comment where the present step would be.
    pub(super) fn comment(&mut self, text: &str) {
        let text = text.replace(['\n', '\r'], " ");
        match self.states.last_mut() {
            Some(state) if self.next.is_none() => state.items.push(Item::Comment(text)),
            _ => self.present().items.push(Item::Comment(text)),
        }
    }

    /// The last step, to look at or to change.
    pub(super) fn last_step(&mut self) -> Option<&mut Value> {
        match self.states.last_mut()?.items.last_mut()? {
            Item::Step(step) => Some(step),
            Item::Comment(_) => None,
        }
    }

    fn present(&mut self) -> &mut State {
        let wanted = match self.next.take() {
            Some(name) if self.states.len() < MOST_STATES => Some(name),
            _ if self.states.is_empty() => Some("recorded".to_owned()),
            _ => None,
        };
        if let Some(name) = wanted {
            let name = unique(&name, &self.names);
            self.names.insert(name.clone());
            self.states.push(State {
                name,
                items: Vec::new(),
            });
        }
        let last = self.states.len() - 1;
        &mut self.states[last]
    }

    /// Takes the values of secrets out of all that was made before they were known. Gives what is said instead.
    pub(super) fn hide(&mut self, secrets: &Secrets) -> Vec<String> {
        let mut said = Vec::new();
        for state in &mut self.states {
            if secrets.are_in(&state.name) {
                state.name = unique("page", &self.names);
                self.names.insert(state.name.clone());
            }
            for item in &mut state.items {
                match item {
                    Item::Step(step) => {
                        for key in ["fill", "select"] {
                            for key_of_value in ["value", "option"] {
                                let value = step
                                    .get_mut(key)
                                    .and_then(|options| options.get_mut(key_of_value));
                                if let Some(value) = value {
                                    secrets.replace(value);
                                }
                            }
                        }
                        if holds(step, secrets) {
                            let verb = step.as_object().and_then(|step| step.keys().next());
                            let verb = verb.map_or("step", String::as_str);
                            let text = format!(
                                "a `{verb}` of the state `{}` is left out, as it holds what was typed into a password field",
                                state.name
                            );
                            said.push(text.clone());
                            *item = Item::Comment(text);
                        }
                    }
                    Item::Comment(text) => {
                        if secrets.are_in(text) {
                            "What stood here held what was typed into a password field."
                                .clone_into(text);
                        }
                    }
                }
            }
        }
        said
    }

    /// Gives the states that have steps; comments of the others move to the one before.
    pub(super) fn finish(self) -> Vec<State> {
        let mut kept: Vec<State> = Vec::new();
        let mut homeless = Vec::new();
        for mut state in self.states {
            let has_steps = state.items.iter().any(|item| matches!(item, Item::Step(_)));
            match (has_steps, kept.last_mut()) {
                (true, _) => {
                    state.items.splice(0..0, homeless.drain(..));
                    kept.push(state);
                }
                (false, Some(before)) => before.items.append(&mut state.items),
                (false, None) => homeless.append(&mut state.items),
            }
        }
        kept
    }
}

/// The secrets that typed passwords become: the same text is the same secret.
#[derive(Default)]
pub(super) struct Secrets {
    by_value: BTreeMap<String, String>,
    pub(super) names: BTreeSet<String>,
}

impl Secrets {
    /// The template that stands for what was typed.
    pub(super) fn template(&mut self, value: &str, wanted_name: &str) -> Value {
        let name = match self.by_value.get(value) {
            Some(name) => name.clone(),
            None => {
                let name = unique(wanted_name, &self.names);
                self.by_value.insert(value.to_owned(), name.clone());
                self.names.insert(name.clone());
                name
            }
        };
        json!(format!("{{{{ secrets.{name} }}}}"))
    }

    /// The secret that has this value, if one has.
    pub(super) fn known(&self, value: &str) -> Option<&str> {
        self.by_value.get(value).map(String::as_str)
    }

    /// Whether the value of a secret is part of a text, or of what it says as a URL. A short one can be a part of
    /// anything, so it counts only as a whole.
    pub(super) fn are_in(&self, text: &str) -> bool {
        let decoded = decoded(text);
        self.by_value.keys().any(|value| {
            let is_long = value.chars().count() >= 6;
            text == value
                || is_long && (text.contains(value.as_str()) || decoded.contains(value.as_str()))
                || url::Url::parse(text)
                    .is_ok_and(|url| url.query_pairs().any(|(_, said)| said == value.as_str()))
        })
    }

    /// Puts the template that stands for a secret in place of its value.
    fn replace(&self, value: &mut Value) {
        if let Some(name) = value.as_str().and_then(|value| self.by_value.get(value)) {
            *value = json!(format!("{{{{ secrets.{name} }}}}"));
        }
    }
}

/// Whether a text of a step holds the value of a secret.
fn holds(value: &Value, secrets: &Secrets) -> bool {
    match value {
        Value::String(text) => secrets.are_in(text),
        Value::Array(items) => items.iter().any(|item| holds(item, secrets)),
        Value::Object(entries) => entries.values().any(|value| holds(value, secrets)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A text as it is in a URL, read as what it stands for.
fn decoded(text: &str) -> String {
    let parts = url::form_urlencoded::parse(text.as_bytes());
    parts
        .map(|(name, value)| format!("{name}={value}&"))
        .collect()
}
