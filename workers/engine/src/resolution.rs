//! Locators and conditions of a definition to those of the browser, with their templates filled in.

use browser::{By, Condition, Locator};
use domain::definition::{self, EvaluationError, Scope, Template};

/// A condition after its expressions have been evaluated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// The page has no part in it any more.
    Known(bool),
    /// The page decides.
    Page(Condition),
}

pub(crate) fn resolve_locator(
    locator: &definition::Locator,
    scope: &Scope,
) -> Result<Locator, EvaluationError> {
    let text = |template: &Template| template.text(scope);
    let inner = |locator: &Option<Box<definition::Locator>>| {
        locator
            .as_ref()
            .map(|locator| resolve_locator(locator, scope).map(Box::new))
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
        definition::By::AnyOf(alternatives) => By::AnyOf(
            alternatives
                .iter()
                .map(|locator| resolve_locator(locator, scope))
                .collect::<Result<_, _>>()?,
        ),
    };
    Ok(Locator {
        by,
        exact: locator.exact,
        nth: locator.nth,
        within: inner(&locator.within)?,
        frame: inner(&locator.frame)?,
    })
}

pub(crate) fn resolve_condition(
    condition: &definition::Condition,
    scope: &Scope,
) -> Result<Resolved, EvaluationError> {
    let page = |condition| Ok(Resolved::Page(condition));
    match condition {
        definition::Condition::Visible(locator) => {
            page(Condition::Visible(resolve_locator(locator, scope)?))
        }
        definition::Condition::Hidden(locator) => {
            page(Condition::Hidden(resolve_locator(locator, scope)?))
        }
        definition::Condition::HasText { text, within } => page(Condition::HasText {
            text: text.text(scope)?,
            within: within
                .as_ref()
                .map(|locator| resolve_locator(locator, scope))
                .transpose()?,
        }),
        definition::Condition::Url(pattern) => page(Condition::UrlMatches(pattern.text(scope)?)),
        definition::Condition::Expression(expression) => {
            scope.holds(expression).map(Resolved::Known)
        }
        definition::Condition::Any(conditions) => combine(conditions, scope, true, Condition::Any),
        definition::Condition::All(conditions) => combine(conditions, scope, false, Condition::All),
    }
}

/// Joins conditions. One whose value is `decisive` decides all of them; one that is known otherwise adds nothing.
fn combine(
    conditions: &[definition::Condition],
    scope: &Scope,
    decisive: bool,
    join: fn(Vec<Condition>) -> Condition,
) -> Result<Resolved, EvaluationError> {
    let mut open = Vec::new();
    for condition in conditions {
        match resolve_condition(condition, scope)? {
            Resolved::Known(value) if value == decisive => return Ok(Resolved::Known(decisive)),
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
