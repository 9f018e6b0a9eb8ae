//! Decodes locators and conditions.

use super::decode::{Decoder, Fields};
use super::locator::{By, Condition, Locator, When};
use super::node::{Kind, Node};
use super::problem::Place;
use super::template::Template;

/// The keys of which a locator has exactly one.
const BY: &[&str] = &[
    "role",
    "label",
    "placeholder",
    "text",
    "testId",
    "css",
    "xpath",
];
/// The keys of which a condition has exactly one, unless it is a locator.
const CONDITIONS: &[&str] = &[
    "visible",
    "hidden",
    "hasText",
    "url",
    "expression",
    "any",
    "all",
];

impl Decoder<'_> {
    /// Reads a locator: a CSS selector, a map, or a list of alternatives.
    pub(super) fn locator(&mut self, node: &Node) -> Option<Locator> {
        match &node.kind {
            Kind::String(_) => self.selector(node, true).map(|css| plain(By::Css(css))),
            Kind::Sequence(items) if node.swallowed.is_none() || items.len() > 1 => {
                let alternatives = self.list(node, Self::locator);
                if items.is_empty() {
                    self.report(
                        &node.place,
                        "a list of alternatives has at least one locator",
                    );
                }
                Some(plain(By::AnyOf(alternatives)))
            }
            Kind::Mapping(_) => {
                let mut fields = self.fields(node, "a locator")?;
                let locator = self.locator_in(&mut fields);
                self.finish(&fields, &[]);
                locator
            }
            _ => {
                let message = match node.swallowed {
                    Some(swallowed) => swallowed.to_owned(),
                    None => format!(
                        "a locator is a CSS selector, a map or a list, and here is {}",
                        node.describe()
                    ),
                };
                self.report(&node.place, message);
                None
            }
        }
    }

    /// Takes a locator's keys out of a map that also holds others.
    pub(super) fn locator_in(&mut self, fields: &mut Fields<'_>) -> Option<Locator> {
        let written = BY.iter().filter(|key| fields.has(key)).count();
        if written != 1 {
            self.report(
                fields.place,
                format!("a locator has exactly one of {}", BY.join(", ")),
            );
        }
        let mut by = None;
        for key in BY {
            let Some(node) = fields.take(key) else {
                continue;
            };
            by = match *key {
                "role" => {
                    let name = fields.take("name").and_then(|node| self.template(node));
                    self.template(node).map(|role| By::Role { role, name })
                }
                "label" => self.template(node).map(By::Label),
                "placeholder" => self.template(node).map(By::Placeholder),
                "text" => self.template(node).map(By::Text),
                "testId" => self.template(node).map(By::TestId),
                "css" => self.selector(node, true).map(By::Css),
                _ => self.selector(node, false).map(By::Xpath),
            };
        }
        let exact = fields.take("exact").and_then(|node| self.boolean(node));
        let nth = fields
            .take("nth")
            .and_then(|node| self.count(node, 0, 100_000));
        let within = fields.take("within").and_then(|node| self.locator(node));
        let frame = fields.take("frame").and_then(|node| self.locator(node));
        (written == 1).then_some(Locator {
            by: by?,
            exact: exact.unwrap_or(false),
            nth: nth.and_then(|nth| usize::try_from(nth).ok()),
            within: within.map(Box::new),
            frame: frame.map(Box::new),
        })
    }

    /// Whether a map has a locator's keys.
    pub(super) fn has_locator(fields: &Fields<'_>) -> bool {
        BY.iter().any(|key| fields.has(key))
    }

    /// Reads a CSS selector or an XPath expression, and finds what is certainly wrong with it.
    fn selector(&mut self, node: &Node, has_escapes: bool) -> Option<Template> {
        let template = self.template(node)?;
        if let Some(text) = template.literal()
            && let Some(message) = selector_error(text, has_escapes)
        {
            self.report(&node.place, message);
            return None;
        }
        Some(template)
    }

    /// Reads what a state or a step depends on.
    pub(super) fn when(&mut self, node: &Node) -> Option<When> {
        if matches!(node.kind, Kind::String(_)) {
            return self.condition(node).map(|condition| When {
                condition,
                within: None,
            });
        }
        let mut fields = self.fields(node, "a condition")?;
        let when = self.when_in(&mut fields);
        self.finish(&fields, &["response"]);
        when
    }

    /// Takes the keys of a condition and its `within` out of a map that also holds others.
    pub(super) fn when_in(&mut self, fields: &mut Fields<'_>) -> Option<When> {
        let within = fields.take("within").and_then(|node| self.duration(node));
        self.condition_in(fields)
            .map(|condition| When { condition, within })
    }

    /// Reads a condition.
    pub(super) fn condition(&mut self, node: &Node) -> Option<Condition> {
        if matches!(node.kind, Kind::String(_)) {
            return self.locator(node).map(Condition::Visible);
        }
        let mut fields = self.fields(node, "a condition")?;
        let condition = self.condition_in(&mut fields);
        self.finish(&fields, &["response"]);
        condition
    }

    /// Takes a condition's keys out of a map that also holds others. A locator's keys mean that it is visible.
    pub(super) fn condition_in(&mut self, fields: &mut Fields<'_>) -> Option<Condition> {
        let has_locator = Self::has_locator(fields);
        let written: Vec<_> = CONDITIONS
            .iter()
            .copied()
            .filter(|key| fields.has(key))
            .collect();
        let is_right = match written.as_slice() {
            [] => has_locator,
            ["hasText"] => true,
            [_] => !has_locator,
            _ => false,
        };
        if !is_right {
            let message = format!(
                "a condition has exactly one of {}, or is a locator",
                CONDITIONS.join(", ")
            );
            self.report(fields.place, message);
        }
        let mut condition = None;
        for key in CONDITIONS {
            let Some(node) = fields.take(key) else {
                continue;
            };
            condition = match *key {
                "visible" => self.locator(node).map(Condition::Visible),
                "hidden" => self.locator(node).map(Condition::Hidden),
                "hasText" => {
                    let within = if has_locator {
                        Some(self.locator_in(fields)?)
                    } else {
                        None
                    };
                    self.template(node)
                        .map(|text| Condition::HasText { text, within })
                }
                "url" => self.template(node).map(Condition::Url),
                "expression" => self.expression(node).map(Condition::Expression),
                "any" => Some(Condition::Any(self.conditions(node))),
                _ => Some(Condition::All(self.conditions(node))),
            };
        }
        if written.is_empty() && has_locator {
            condition = self.locator_in(fields).map(Condition::Visible);
        }
        condition.filter(|_| is_right)
    }

    fn conditions(&mut self, node: &Node) -> Vec<Condition> {
        if matches!(&node.kind, Kind::Sequence(items) if items.is_empty()) {
            self.report(&node.place, "here must be at least one condition");
        }
        self.list(node, Self::condition)
    }

    /// Reports expressions in a condition that is waited for: nothing on the page can change them.
    pub(super) fn refuse_expressions(&mut self, condition: &Condition, place: &Place) {
        match condition {
            Condition::Expression(_) => {
                self.report(
                    place,
                    "an expression doesn't change while a step waits: use `when` or `assert`",
                );
            }
            Condition::Any(conditions) | Condition::All(conditions) => {
                conditions
                    .iter()
                    .for_each(|condition| self.refuse_expressions(condition, place));
            }
            Condition::Visible(_)
            | Condition::Hidden(_)
            | Condition::HasText { .. }
            | Condition::Url(_) => {}
        }
    }
}

fn plain(by: By) -> Locator {
    Locator {
        by,
        exact: false,
        nth: None,
        within: None,
        frame: None,
    }
}

/// Says what is wrong with a selector whatever its language: something is empty, or isn't closed.
fn selector_error(text: &str, has_escapes: bool) -> Option<String> {
    if text.trim().is_empty() {
        return Some("the selector is empty".to_owned());
    }
    let mut open = Vec::new();
    let mut quote = None;
    let mut escaped = false;
    for c in text.chars() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (_, '\\') if has_escapes => escaped = true,
            (Some(q), c) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '(') => open.push(')'),
            (None, '[') => open.push(']'),
            (None, ')' | ']') if open.pop() != Some(c) => {
                return Some(format!("the selector `{text}` has a `{c}` too many"));
            }
            _ => {}
        }
    }
    match (quote, open.pop()) {
        (Some(quote), _) => Some(format!(
            "the selector `{text}` has a {quote} that isn't closed"
        )),
        (None, Some(missing)) => Some(format!("the selector `{text}` lacks a `{missing}`")),
        (None, None) => None,
    }
}
