//! How the grammar's tables are built: maps with known keys, and the forms of their values. The decoder reads maps by
//! these tables and the JSON Schema is made of them, so neither can know a key that the other doesn't.

use super::typed::Bounds;

/// A map whose keys are known.
pub(super) struct Shape {
    /// Its name in the JSON Schema.
    pub(super) name: &'static str,
    /// What messages call it.
    pub(super) what: &'static str,
    /// What it is, for a person who writes one.
    pub(super) about: &'static str,
    /// Its own keys.
    pub(super) keys: &'static [Key],
    /// Maps whose keys stand in it, too.
    pub(super) includes: &'static [&'static Shape],
    /// Which of the keys go together.
    pub(super) choices: &'static [Choice],
}

/// A key of a map.
pub(super) struct Key {
    /// The key.
    pub(super) name: &'static str,
    /// What its value can be.
    pub(super) form: Form,
    /// Whether it must be there.
    pub(super) is_required: bool,
    /// What it means, for a person who writes it.
    pub(super) about: &'static str,
}

/// What a value can be.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// A text as it is.
    Text,
    /// A text that may hold `{{ expressions }}`.
    Template,
    /// An ARIA role, or a template that makes one.
    Role,
    /// A bare expression.
    Expression,
    /// A duration, written out.
    Duration,
    /// A duration, or a template that makes one.
    TypedDuration,
    /// A whole number, written out.
    Count(Bounds),
    /// A whole number, or a template that makes one.
    TypedCount(Bounds),
    /// `true` or `false`, written out.
    Flag,
    /// `true` or `false`, or a template that makes one.
    TypedFlag,
    /// One of these words.
    Words(&'static [&'static str]),
    /// A name that matches this regular expression.
    Name(&'static str),
    /// Nothing, or an empty map.
    Nothing,
    /// Any JSON.
    Anything,
    /// Any JSON, in which texts are templates.
    Data,
    /// A locator: CSS, a map, or a list of alternatives.
    Locator,
    /// A condition, which a CSS selector can be.
    Condition,
    /// A condition with the time that it may take.
    When,
    /// Steps; at least one.
    Steps,
    /// A list of these, with at least so many.
    List(&'static Form, usize),
    /// A map from names to these, with at least so many.
    Map(&'static Form, usize),
    /// A map with known keys.
    Of(&'static Shape),
    /// Any of these.
    Any(&'static [Form]),
}

/// Which keys of a map go together.
pub(super) enum Choice {
    /// Exactly one of these.
    One(&'static [&'static str]),
    /// At most one of these.
    AtMostOne(&'static [&'static str]),
    /// At least one of these.
    Some(&'static [&'static str]),
    /// If the first is there, so is the second.
    Needs(&'static str, &'static str),
}

impl Shape {
    /// All keys that can stand in it.
    pub(super) fn all_keys(&self) -> impl Iterator<Item = &'static Key> {
        let included = self.includes.iter().flat_map(|shape| {
            let inner: Box<dyn Iterator<Item = &'static Key>> = Box::new(shape.all_keys());
            inner
        });
        self.keys.iter().chain(included)
    }

    /// The key of this name.
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys
            .iter()
            .find(|key| key.name == name)
            .or_else(|| self.includes.iter().find_map(|shape| shape.key(name)))
    }
}

/// A key that may be there.
pub(super) const fn may(name: &'static str, form: Form, about: &'static str) -> Key {
    Key {
        name,
        form,
        is_required: false,
        about,
    }
}

/// A key that must be there.
pub(super) const fn must(name: &'static str, form: Form, about: &'static str) -> Key {
    Key {
        name,
        form,
        is_required: true,
        about,
    }
}

/// Whole numbers from `least` to `most`.
pub(super) const fn from_to(least: i64, most: i64) -> Bounds {
    Bounds { least, most }
}
