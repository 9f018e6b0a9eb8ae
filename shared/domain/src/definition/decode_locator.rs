//! Decodes locators and conditions.

use super::css;
use super::decode::Decoder;
use super::fields::Fields;
use super::grammar::{BY, CONDITION, CONDITIONS, LOCATOR, WHEN};
use super::locator::{By, Condition, ElementState, Load, Locator, When};
use super::node::{Kind, Node};
use super::problem::{Rule, Spot, closest};
use super::roles::ROLES;
use super::template::Template;
use super::xpath;

impl Decoder<'_> {
    /// Reads a locator: a CSS selector, a map, or a list of alternatives.
    pub(super) fn locator(&mut self, node: &Node) -> Option<Locator> {
        match &node.kind {
            Kind::String(_) => self
                .selector(node, css::check)
                .map(|css| plain(By::Css(css))),
            Kind::Sequence(items) if node.swallowed.is_none() || items.len() > 1 => {
                Some(plain(By::AnyOf(self.some(node, "locator", Self::locator))))
            }
            Kind::Mapping(_) => {
                let mut fields = self.fields(node, &LOCATOR)?;
                self.locator_in(&mut fields)
            }
            _ => {
                self.wrong_kind(node, "a locator: a CSS selector, a map or a list");
                None
            }
        }
    }

    /// Takes a locator's keys out of a map that also holds others.
    pub(super) fn locator_in(&mut self, fields: &mut Fields<'_>) -> Option<Locator> {
        let mut by = None;
        for key in BY {
            let Some(node) = fields.take(key) else {
                continue;
            };
            by = match *key {
                "role" => {
                    let name = fields.take("name").and_then(|node| self.template(node));
                    self.role(node).map(|role| By::Role { role, name })
                }
                "label" => self.template(node).map(By::Label),
                "placeholder" => self.template(node).map(By::Placeholder),
                "text" => self.template(node).map(By::Text),
                "testId" => self.template(node).map(By::TestId),
                "css" => self.selector(node, css::check).map(By::Css),
                "xpath" => self.selector(node, xpath::check).map(By::Xpath),
                "element" => self.element(node).map(By::Element),
                _ => Some(By::AnyOf(self.some(node, "locator", Self::locator))),
            };
        }
        let exact = fields.take("exact").and_then(|node| self.typed_flag(node));
        let nth = self.take_typed_count(fields, "nth");
        let within = fields.take("within").and_then(|node| self.locator(node));
        let frame = fields.take("frame").and_then(|node| self.locator(node));
        if matches!(by, Some(By::Element(_)))
            && (exact.is_some() || nth.is_some() || within.is_some() || frame.is_some())
        {
            self.report(
                fields.place,
                Rule::KeysConflict,
                "`element` is one element already: nothing stands beside it",
            );
        }
        Some(Locator {
            by: by?,
            exact,
            nth,
            within: within.map(Box::new),
            frame: frame.map(Box::new),
        })
    }

    /// Takes a locator's keys, if there are any.
    pub(super) fn optional_locator_in(&mut self, fields: &mut Fields<'_>) -> Option<Locator> {
        let mut beside = ["name", "exact", "nth", "within", "frame"].into_iter();
        if Self::has_locator(fields) {
            return self.locator_in(fields);
        }
        if let Some(key) = beside.find(|key| fields.is_open(key)) {
            let message = format!("`{key}` says which element, and none is named beside it");
            self.report(fields.place, Rule::KeysConflict, message);
        }
        None
    }

    /// Whether a map has a locator's keys.
    pub(super) fn has_locator(fields: &Fields<'_>) -> bool {
        BY.iter().any(|key| fields.has(key))
    }

    fn role(&mut self, node: &Node) -> Option<Template> {
        let role = self.template(node)?;
        if let Some(text) = role.literal()
            && !ROLES.contains(&text)
        {
            let message = format!("there is no ARIA role `{text}`");
            let suggestion = closest(text, ROLES.iter().copied());
            self.suggest(&node.place, Rule::UnknownWord, message, suggestion);
        }
        Some(role)
    }

    /// Reads a selector and checks its syntax, as far as it is known beforehand.
    fn selector(&mut self, node: &Node, check: fn(&str) -> Result<(), String>) -> Option<Template> {
        let template = self.template(node)?;
        if let Some(text) = template.literal()
            && let Err(why) = check(text)
        {
            let message = format!("the selector `{text}` can't be read: {why}");
            self.report(&node.place, Rule::BadSelector, message);
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
        let mut fields = self.fields(node, &WHEN)?;
        self.when_in(&mut fields)
    }

    /// Takes the keys of a condition and its `within` out of a map that also holds others.
    pub(super) fn when_in(&mut self, fields: &mut Fields<'_>) -> Option<When> {
        let within = fields
            .take("within")
            .and_then(|node| self.typed_duration(node));
        self.condition_in(fields)
            .map(|condition| When { condition, within })
    }

    /// Reads a condition.
    pub(super) fn condition(&mut self, node: &Node) -> Option<Condition> {
        if matches!(node.kind, Kind::String(_)) {
            return self.locator(node).map(Condition::Visible);
        }
        let mut fields = self.fields(node, &CONDITION)?;
        self.condition_in(&mut fields)
    }

    /// Reads a condition that is waited for.
    pub(super) fn awaited(&mut self, node: &Node) -> Option<Condition> {
        let condition = self.condition(node)?;
        self.refuse_expressions(&condition, &node.place);
        Some(condition)
    }

    /// Takes a condition's keys out of a map that also holds others. A locator's keys mean that it is visible.
    fn condition_in(&mut self, fields: &mut Fields<'_>) -> Option<Condition> {
        let has_locator = Self::has_locator(fields);
        let Some(key) = CONDITIONS.iter().copied().find(|key| fields.has(key)) else {
            return self.locator_in(fields).map(Condition::Visible);
        };
        if has_locator && key != "hasText" {
            let message =
                format!("`{key}` and a locator are two conditions: put them into `all` or `any`");
            self.report(fields.place, Rule::KeysConflict, message);
            return None;
        }
        let within = if has_locator {
            Some(self.locator_in(fields)?)
        } else {
            self.optional_locator_in(fields)
        };
        let node = fields.take(key)?;
        match key {
            "visible" => self.locator(node).map(Condition::Visible),
            "hidden" => self.locator(node).map(Condition::Hidden),
            "hasText" => self
                .template(node)
                .map(|text| Condition::HasText { text, within }),
            "url" => self.template(node).map(Condition::Url),
            "load" => self
                .word(node, &["domContentLoaded", "loaded", "networkIdle"])
                .map(|word| {
                    Condition::Load(match word {
                        "domContentLoaded" => Load::DomContentLoaded,
                        "loaded" => Load::Loaded,
                        _ => Load::NetworkIdle,
                    })
                }),
            "script" => self.script_condition(node),
            "expression" => self.expression(node).map(Condition::Expression),
            "any" => Some(Condition::Any(self.some(
                node,
                "condition",
                Self::condition,
            ))),
            "all" => Some(Condition::All(self.some(
                node,
                "condition",
                Self::condition,
            ))),
            state => {
                let state = ElementState::named(state)?;
                self.locator(node)
                    .map(|locator| Condition::State(state, locator))
            }
        }
    }

    fn script_condition(&mut self, node: &Node) -> Option<Condition> {
        if self.is_in_frame {
            self.report(
                &node.place,
                Rule::KeysConflict,
                "a script of a condition sees the page, not the frame: use a locator, or `evaluate`",
            );
        }
        self.script(node).map(Condition::Script)
    }

    /// Reads JavaScript. It is text as it is: values come as arguments, never as parts of the code.
    pub(super) fn script(&mut self, node: &Node) -> Option<String> {
        let script = self.text(node)?;
        if script.trim().is_empty() {
            self.report(&node.place, Rule::Empty, "the script is empty");
            return None;
        }
        if script.contains("{{") && script.contains("}}") {
            self.report(
                &node.place,
                Rule::BadExpression,
                "a script is text as it is: give it values as `args`, and read `args.name` in it",
            );
            return None;
        }
        self.scripts.push(super::Script {
            pointer: node.place.place().pointer,
            text: script.to_owned(),
        });
        Some(script.to_owned())
    }

    /// Reports expressions in a condition that is waited for: nothing on the page can change them.
    fn refuse_expressions(&mut self, condition: &Condition, place: &Spot) {
        match condition {
            Condition::Expression(_) => self.report(
                place,
                Rule::KeysConflict,
                "an expression doesn't change while a step waits: use `when` or `assert`",
            ),
            Condition::Any(conditions) | Condition::All(conditions) => {
                for condition in conditions {
                    self.refuse_expressions(condition, place);
                }
            }
            Condition::Visible(_)
            | Condition::Hidden(_)
            | Condition::HasText { .. }
            | Condition::State(..)
            | Condition::Url(_)
            | Condition::Load(_)
            | Condition::Script(_) => {}
        }
    }
}

impl Condition {
    /// What it always is, if the page and the variables have no part in it.
    pub(super) fn constant(&self) -> Option<bool> {
        match self {
            Self::Expression(expression) => expression.constant()?.ok()?.as_bool(),
            Self::Any(conditions) => joined(conditions, true),
            Self::All(conditions) => joined(conditions, false),
            Self::Visible(_)
            | Self::Hidden(_)
            | Self::HasText { .. }
            | Self::State(..)
            | Self::Url(_)
            | Self::Load(_)
            | Self::Script(_) => None,
        }
    }
}

/// What joined conditions always are, where one that is `decisive` decides all of them.
fn joined(conditions: &[Condition], decisive: bool) -> Option<bool> {
    let mut constants = conditions.iter().map(Condition::constant);
    if constants.clone().any(|constant| constant == Some(decisive)) {
        return Some(decisive);
    }
    constants
        .all(|constant| constant == Some(!decisive))
        .then_some(!decisive)
}

fn plain(by: By) -> Locator {
    Locator {
        by,
        exact: None,
        nth: None,
        within: None,
        frame: None,
    }
}
