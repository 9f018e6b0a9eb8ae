//! Locators and conditions of a definition to those of the browser, with their templates filled in.

use std::collections::BTreeMap;

use browser::{By, Condition, LoadState, Locator};
use domain::definition::{self, ElementState, EvaluationError, Load, Scope, Template};

/// A condition after its expressions have been evaluated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// The page has no part in it any more.
    Known(bool),
    /// The page decides.
    Page(Condition),
}

/// What names mean at one moment of a run.
pub(crate) struct Resolver<'r> {
    pub(crate) scope: &'r Scope,
    /// The present elements of the loops around the step.
    pub(crate) elements: &'r BTreeMap<String, Locator>,
    /// The iframe in which the step acts.
    pub(crate) frame: Option<&'r Locator>,
}

impl Resolver<'_> {
    pub(crate) fn locator(
        &self,
        locator: &definition::Locator,
    ) -> Result<Locator, EvaluationError> {
        let mut resolved = self.own_locator(locator)?;
        if let Some(frame) = self.frame {
            put_into(&mut resolved, frame);
        }
        Ok(resolved)
    }

    fn own_locator(&self, locator: &definition::Locator) -> Result<Locator, EvaluationError> {
        let text = |template: &Template| template.text(self.scope);
        let inner = |locator: &Option<Box<definition::Locator>>| {
            locator
                .as_ref()
                .map(|locator| self.own_locator(locator).map(Box::new))
                .transpose()
        };
        let by = match &locator.by {
            definition::By::Role { role, name } => By::Role {
                role: text(role)?,
                name: name.as_ref().map(text).transpose()?,
            },
            definition::By::Label(label) => By::Label(text(label)?),
            definition::By::Placeholder(placeholder) => By::Placeholder(text(placeholder)?),
            definition::By::Text(content) => By::Text(text(content)?),
            definition::By::TestId(id) => By::TestId(text(id)?),
            definition::By::Css(selector) => By::Css(text(selector)?),
            definition::By::Xpath(path) => By::Xpath(text(path)?),
            definition::By::Element(name) => {
                return self
                    .elements
                    .get(name)
                    .cloned()
                    .ok_or_else(|| EvaluationError {
                        expression: name.clone(),
                        message: "no loop over elements has this name here".to_owned(),
                    });
            }
            definition::By::AnyOf(alternatives) => By::AnyOf(
                alternatives
                    .iter()
                    .map(|locator| self.own_locator(locator))
                    .collect::<Result<_, _>>()?,
            ),
        };
        let exact = locator.exact.as_ref().map(|exact| exact.get(self.scope));
        let nth = locator.nth.as_ref().map(|nth| nth.get(self.scope));
        Ok(Locator {
            by,
            exact: exact.transpose()?.unwrap_or(false),
            nth: nth.transpose()?.and_then(|nth| usize::try_from(nth).ok()),
            within: inner(&locator.within)?,
            frame: inner(&locator.frame)?,
        })
    }

    pub(crate) fn condition(
        &self,
        condition: &definition::Condition,
    ) -> Result<Resolved, EvaluationError> {
        let page = |condition| Ok(Resolved::Page(condition));
        match condition {
            definition::Condition::Visible(locator) => {
                page(Condition::Visible(self.locator(locator)?))
            }
            definition::Condition::Hidden(locator) => {
                page(Condition::Hidden(self.locator(locator)?))
            }
            definition::Condition::State(state, locator) => {
                let locator = self.locator(locator)?;
                page(match state {
                    ElementState::Attached => Condition::Attached(locator),
                    ElementState::Detached => Condition::Detached(locator),
                    ElementState::Enabled => Condition::Enabled(locator),
                    ElementState::Disabled => Condition::Disabled(locator),
                    ElementState::Editable => Condition::Editable(locator),
                    ElementState::Checked => Condition::Checked(locator),
                    ElementState::Unchecked => Condition::Unchecked(locator),
                })
            }
            definition::Condition::Load(load) => page(Condition::Reached(match load {
                Load::DomContentLoaded => LoadState::DomContentLoaded,
                Load::Loaded => LoadState::Loaded,
                Load::NetworkIdle => LoadState::NetworkIdle,
            })),
            definition::Condition::HasText { text, within } => {
                let within = within.as_ref().map(|locator| self.locator(locator));
                // In a frame, the text of the page is that of the frame's document.
                let within = within.transpose()?.or_else(|| {
                    let body = Locator::css("body");
                    self.frame.map(|frame| body.in_frame(frame.clone()))
                });
                page(Condition::HasText {
                    text: text.text(self.scope)?,
                    within,
                })
            }
            definition::Condition::Url(pattern) => {
                page(Condition::UrlMatches(pattern.text(self.scope)?))
            }
            definition::Condition::Script(script) => page(Condition::Expression(script.clone())),
            definition::Condition::Expression(expression) => {
                self.scope.holds(expression).map(Resolved::Known)
            }
            definition::Condition::Any(conditions) => {
                self.combine(conditions, true, Condition::Any)
            }
            definition::Condition::All(conditions) => {
                self.combine(conditions, false, Condition::All)
            }
        }
    }

    /// Joins conditions. One whose value is `decisive` decides all of them; one that is known otherwise adds nothing.
    fn combine(
        &self,
        conditions: &[definition::Condition],
        decisive: bool,
        join: fn(Vec<Condition>) -> Condition,
    ) -> Result<Resolved, EvaluationError> {
        let mut open = Vec::new();
        for condition in conditions {
            match self.condition(condition)? {
                Resolved::Known(value) if value == decisive => {
                    return Ok(Resolved::Known(decisive));
                }
                Resolved::Known(_) => {}
                Resolved::Page(condition) => open.push(condition),
            }
        }
        Ok(if open.is_empty() {
            Resolved::Known(!decisive)
        } else {
            Resolved::Page(join(open))
        })
    }
}

/// Looks for a locator inside of an iframe: itself, or the outermost of what it is within.
fn put_into(locator: &mut Locator, frame: &Locator) {
    if let By::AnyOf(alternatives) = &mut locator.by {
        for alternative in alternatives {
            put_into(alternative, frame);
        }
    }
    match (&mut locator.frame, &mut locator.within) {
        (Some(outer), _) | (None, Some(outer)) => put_into(outer, frame),
        (None, None) => locator.frame = Some(Box::new(frame.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_that_a_definition_can_press_are_those_that_the_browser_knows() {
        for key in definition::KEYS {
            let held = format!("Control+Shift+{key}");
            assert!(definition::is_key(&held) && browser::is_key(&held), "{key}");
        }
        for text in [
            "a",
            "Ä",
            "+",
            "Control++",
            "Ctrl+A",
            "Shift",
            "enter",
            "",
            "ab",
            "Control+",
            "CapsLock",
            "F13",
            "Meta+€",
        ] {
            assert_eq!(definition::is_key(text), browser::is_key(text), "{text}");
        }
    }

    #[test]
    fn what_is_within_an_iframe_is_looked_for_in_it_however_deep_it_is() {
        let frame = Locator::css("iframe");
        let mut nested = Locator::css("b").within(Locator::css("a"));
        put_into(&mut nested, &frame);
        assert_eq!(
            nested.to_string(),
            "css=b within css=a in the frame css=iframe"
        );
        let mut framed = Locator::css("b").in_frame(Locator::css("#inner"));
        put_into(&mut framed, &frame);
        assert_eq!(
            framed.to_string(),
            "css=b in the frame css=#inner in the frame css=iframe"
        );
    }
}
