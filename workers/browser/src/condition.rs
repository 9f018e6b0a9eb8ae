//! What can be waited for, and how it is written for people.

use std::fmt;

use serde::Serialize;

use crate::Locator;

/// Something that is true of a page, or is not yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Condition {
    /// At least one element that matches is visible.
    Visible(Locator),
    /// No element that matches is visible, or none is there.
    Hidden(Locator),
    /// The text is visible, anywhere or within something.
    HasText {
        /// The text, contained without regard to case.
        text: String,
        /// Where to look; the whole page, if absent.
        within: Option<Locator>,
    },
    /// The page's URL matches this pattern, in which `*` stands for anything.
    UrlMatches(String),
    /// This JavaScript expression is truthy in the page.
    Expression(String),
    /// One of these holds.
    Any(Vec<Condition>),
    /// All of these hold.
    All(Vec<Condition>),
}

impl Condition {
    /// Whether the helper script can decide it alone in the main frame's document.
    pub(crate) fn lives_in_main_document(&self) -> bool {
        match self {
            Self::Visible(locator) | Self::Hidden(locator) => {
                locator.document().is_none() && locator.lives_in_one_document()
            }
            Self::HasText { within, .. } => within.as_ref().is_none_or(|locator| {
                locator.document().is_none() && locator.lives_in_one_document()
            }),
            Self::UrlMatches(_) => true,
            Self::Expression(_) => false,
            Self::Any(parts) | Self::All(parts) => parts.iter().all(Self::lives_in_main_document),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |f: &mut fmt::Formatter<'_>, parts: &[Self], word: &str| {
            for (index, part) in parts.iter().enumerate() {
                let separator = if index == 0 { "" } else { word };
                write!(f, "{separator}{part}")?;
            }
            Ok(())
        };
        match self {
            Self::Visible(locator) => write!(f, "{locator} to be visible"),
            Self::Hidden(locator) => write!(f, "{locator} to be hidden"),
            Self::HasText { text, within: None } => write!(f, "the text {text:?}"),
            Self::HasText {
                text,
                within: Some(outer),
            } => write!(f, "the text {text:?} within {outer}"),
            Self::UrlMatches(pattern) => write!(f, "the URL to match {pattern}"),
            Self::Expression(expression) => write!(f, "the expression {expression}"),
            Self::Any(parts) => join(f, parts, " or "),
            Self::All(parts) => join(f, parts, " and "),
        }
    }
}
