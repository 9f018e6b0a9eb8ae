//! How elements are named, and how such a name is written for people.
//!
//! Nothing is looked up here: the helper script in the page does that.

use std::fmt;

use serde::Serialize;

/// A name for elements, resolved anew at each use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Locator {
    /// What is looked for.
    pub by: By,
    /// Whether names and texts must be equal, with case; otherwise they are contained, without it.
    pub exact: bool,
    /// Takes the match with this index, counted from zero.
    pub nth: Option<usize>,
    /// Looks only inside elements that this locator matches.
    pub within: Option<Box<Locator>>,
    /// Looks inside the document of the iframe that this locator matches.
    #[serde(skip)]
    pub frame: Option<Box<Locator>>,
}

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum By {
    /// An ARIA role, explicit or implied by the element, and an accessible name.
    Role {
        /// The role, such as `button`.
        role: String,
        /// The accessible name; any, if absent.
        name: Option<String>,
    },
    /// The control with this label (`label`, `aria-label`, `aria-labelledby`).
    Label(String),
    /// The field with this placeholder.
    Placeholder(String),
    /// The innermost element with this text.
    Text(String),
    /// The element with this `data-testid`.
    TestId(String),
    /// A CSS selector.
    Css(String),
    /// An XPath expression.
    Xpath(String),
    /// The first of these that matches anything.
    AnyOf(Vec<Locator>),
}

impl Locator {
    /// A locator with nothing but what is looked for.
    pub fn new(by: By) -> Self {
        Self {
            by,
            exact: false,
            nth: None,
            within: None,
            frame: None,
        }
    }

    /// A CSS selector.
    pub fn css(selector: impl Into<String>) -> Self {
        Self::new(By::Css(selector.into()))
    }

    /// A role with an accessible name.
    pub fn role(role: impl Into<String>, name: impl Into<String>) -> Self {
        Self::new(By::Role {
            role: role.into(),
            name: Some(name.into()),
        })
    }

    /// A label.
    pub fn label(label: impl Into<String>) -> Self {
        Self::new(By::Label(label.into()))
    }

    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(By::Text(text.into()))
    }

    /// The same locator inside what another one matches.
    #[must_use]
    pub fn within(mut self, outer: Locator) -> Self {
        self.within = Some(Box::new(outer));
        self
    }

    /// The same locator inside an iframe.
    #[must_use]
    pub fn in_frame(mut self, frame: Locator) -> Self {
        self.frame = Some(Box::new(frame));
        self
    }

    /// The iframe in whose document this locator is resolved: its own, or that of what it is
    /// within, or that of its alternatives, which all have the same.
    pub(crate) fn document(&self) -> Option<&Locator> {
        self.frame
            .as_deref()
            .or_else(|| self.within.as_deref().and_then(Locator::document))
            .or_else(|| match &self.by {
                By::AnyOf(alternatives) => alternatives.first().and_then(Locator::document),
                _ => None,
            })
    }

    /// Whether all parts of this locator live in one document, which is what one look needs.
    pub(crate) fn lives_in_one_document(&self) -> bool {
        match &self.by {
            By::AnyOf(alternatives) => alternatives.iter().all(|alternative| {
                alternative.document() == self.document() && alternative.lives_in_one_document()
            }),
            _ => true,
        }
    }
}

impl fmt::Display for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.by {
            By::Role { role, name: None } => write!(f, "role={role}")?,
            By::Role {
                role,
                name: Some(name),
            } => write!(f, "role={role}[name={name:?}]")?,
            By::Label(label) => write!(f, "label={label:?}")?,
            By::Placeholder(placeholder) => write!(f, "placeholder={placeholder:?}")?,
            By::Text(text) => write!(f, "text={text:?}")?,
            By::TestId(id) => write!(f, "testId={id:?}")?,
            By::Css(selector) => write!(f, "css={selector}")?,
            By::Xpath(expression) => write!(f, "xpath={expression}")?,
            By::AnyOf(alternatives) => {
                for (index, alternative) in alternatives.iter().enumerate() {
                    let separator = if index == 0 { "" } else { " or " };
                    write!(f, "{separator}{alternative}")?;
                }
            }
        }
        if self.exact {
            f.write_str(" exactly")?;
        }
        if let Some(nth) = self.nth {
            write!(f, " number {nth}")?;
        }
        if let Some(outer) = &self.within {
            write!(f, " within {outer}")?;
        }
        if let Some(frame) = &self.frame {
            write!(f, " in the frame {frame}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locator_reads_as_people_write_it() {
        let locator = Locator::role("button", "Sign in").within(Locator::css("form#login"));
        assert_eq!(
            locator.to_string(),
            "role=button[name=\"Sign in\"] within css=form#login"
        );
    }

    #[test]
    fn a_locator_within_something_in_a_frame_lives_in_that_frame() {
        let outer = Locator::css("form").in_frame(Locator::css("iframe"));
        let locator = Locator::text("Go").within(outer);
        assert_eq!(locator.document(), Some(&Locator::css("iframe")));
    }
}
