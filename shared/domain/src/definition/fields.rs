//! Reads maps by the tables of the grammar: unknown, missing and clashing keys are reported here, for every map alike.

use super::decode::Decoder;
use super::grammar::{BESIDE, STEP};
use super::grammar_steps::VERBS;
use super::node::{Entry, Kind, Node};
use super::problem::{Rule, Spot, closest};
use super::shape::{Choice, Form, Shape};
use super::typed::Bounds;

/// The keys of a map, each of which is taken at most once.
pub(super) struct Fields<'n> {
    pub(super) place: &'n Spot,
    entries: &'n [Entry],
    shape: &'static Shape,
    taken: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// The value of a key, unless it was taken before.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'n Node> {
        debug_assert!(
            self.shape.key(key).is_some(),
            "{} has no key {key} in the grammar",
            self.shape.what
        );
        if self.taken.contains(&key) {
            return None;
        }
        self.taken.push(key);
        self.get(key)
    }

    /// Whether a key is there, without taking it.
    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Whether a key is there that nobody took yet.
    pub(super) fn is_open(&self, key: &str) -> bool {
        self.has(key) && !self.taken.contains(&key)
    }

    /// The bounds that the grammar gives a number.
    pub(super) fn bounds(&self, key: &str) -> Bounds {
        match self.shape.key(key).map(|key| &key.form) {
            Some(Form::Count(bounds) | Form::TypedCount(bounds)) => *bounds,
            _ => Bounds {
                least: i64::MIN,
                most: i64::MAX,
            },
        }
    }

    /// The words that the grammar allows for a key, or for the items of its list.
    pub(super) fn words(&self, key: &str) -> &'static [&'static str] {
        match self.shape.key(key).map(|key| &key.form) {
            Some(Form::Words(words) | Form::List(Form::Words(words), _)) => words,
            _ => &[],
        }
    }

    fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.value)
    }
}

impl Decoder<'_> {
    /// Reads a map whose keys are known, and reports which keys are wrong.
    pub(super) fn fields<'n>(
        &mut self,
        node: &'n Node,
        shape: &'static Shape,
    ) -> Option<Fields<'n>> {
        let Kind::Mapping(entries) = &node.kind else {
            let (rule, message) = match node.swallowed {
                Some(swallowed) => (Rule::SwallowedByYaml, swallowed.to_owned()),
                None => (
                    Rule::WrongKind,
                    format!("{} is a map, and here is {}", shape.what, node.describe()),
                ),
            };
            self.report(&node.place, rule, message);
            return None;
        };
        let fields = Fields {
            place: &node.place,
            entries,
            shape,
            taken: Vec::new(),
        };
        let mut meant = Vec::new();
        for entry in entries {
            if self.has_seen_enough() {
                break;
            }
            if shape.key(&entry.key).is_none() {
                meant.extend(self.report_unknown_key(entry, shape));
            }
        }
        self.check_keys(&fields, shape, &meant);
        Some(fields)
    }

    /// Reports a key that is not known, and gives the one that was probably meant.
    fn report_unknown_key(&mut self, entry: &Entry, shape: &Shape) -> Option<&'static str> {
        let key = entry.key.as_str();
        let (rule, message, suggestion) = if std::ptr::eq(shape, &STEP) {
            let known = VERBS.iter().chain(&BESIDE).map(|key| key.name);
            let message = format!("there is no step `{key}`");
            (Rule::UnknownStep, message, closest(key, known))
        } else {
            let known = shape.all_keys().map(|key| key.name);
            let message = format!("{} has no key `{key}`", shape.what);
            (Rule::UnknownKey, message, closest(key, known))
        };
        self.suggest(&entry.key_place, rule, message, suggestion);
        suggestion
    }

    /// Reports what is missing and what clashes. What was `meant` by a misspelt key is not missing.
    fn check_keys(&mut self, fields: &Fields<'_>, shape: &'static Shape, meant: &[&str]) {
        for key in shape.keys {
            if key.is_required && !fields.has(key.name) && !meant.contains(&key.name) {
                let message = format!("{} lacks `{}`", fields.shape.what, key.name);
                self.report(fields.place, Rule::MissingKey, message);
            }
        }
        for choice in shape.choices {
            let count = |keys: &[&str]| {
                let is_there = |key: &&&str| fields.has(key) || meant.contains(*key);
                keys.iter().filter(is_there).count()
            };
            let message = match choice {
                Choice::One(keys) if count(keys) != 1 => {
                    format!("{} has exactly one of {}", shape.what, keys.join(", "))
                }
                Choice::AtMostOne(keys) if count(keys) > 1 => {
                    format!("{} has at most one of {}", shape.what, keys.join(", "))
                }
                Choice::Some(keys) if count(keys) == 0 => {
                    format!("{} has one of {}", shape.what, keys.join(", "))
                }
                Choice::Needs(key, other) if fields.has(key) && !fields.has(other) => {
                    format!("`{key}` needs `{other}` beside it")
                }
                _ => continue,
            };
            self.report(fields.place, Rule::KeysConflict, message);
        }
        for included in shape.includes {
            self.check_keys(fields, included, meant);
        }
    }
}
