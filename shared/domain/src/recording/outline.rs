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

    /// Whether the value of a secret is part of a text.
    pub(super) fn are_in(&self, text: &str) -> bool {
        self.by_value
            .keys()
            .any(|value| value.chars().count() >= 4 && text.contains(value.as_str()))
    }
}
