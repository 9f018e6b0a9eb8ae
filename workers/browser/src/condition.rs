//! What can be waited for, and how it is written for people.

use std::fmt;

use serde::Serialize;

use crate::{LoadState, Locator, ResponsePattern, UrlPattern};

/// Something that is true of a page, or is not yet; or something that happens.
///
/// A state of elements holds if at least one element that matches is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Condition {
    /// At least one element that matches is visible.
    Visible(Locator),
    /// No element that matches is visible, or none is there.
    Hidden(Locator),
    /// An element that matches is in the document, visible or not.
    Attached(Locator),
    /// No element that matches is in the document.
    Detached(Locator),
    /// An element that matches is enabled.
    Enabled(Locator),
    /// An element that matches is disabled.
    Disabled(Locator),
    /// A field that matches is enabled and not read-only.
    Editable(Locator),
    /// A box that matches is checked.
    Checked(Locator),
    /// A box that matches is not checked.
    Unchecked(Locator),
    /// The text is visible, anywhere or within something.
    HasText {
        /// The text, contained without regard to case.
        text: String,
        /// Where to look; the whole page, if absent.
        within: Option<Locator>,
    },
    /// The page's URL matches this pattern, in which `*` stands for anything.
    UrlMatches(String),
    /// The page's URL fits.
    Url(UrlPattern),
    /// The page's document has come this far.
    #[serde(skip)]
    Reached(LoadState),
    /// A response that fits comes from now on. What causes it must come later: see also
    /// [`Page::expect_response`](crate::Page::expect_response).
    #[serde(skip)]
    Response(ResponsePattern),
    /// A download is complete that begins from now on. To get it, use
    /// [`Page::expect_download`](crate::Page::expect_download).
    #[serde(skip)]
    Download,
    /// This JavaScript expression is truthy in the page.
    Expression(String),
    /// One of these holds.
    Any(Vec<Condition>),
    /// All of these hold.
    All(Vec<Condition>),
}

impl Condition {
    /// The locator whose document decides, if it is the only one.
    pub(crate) fn locator(&self) -> Option<&Locator> {
        match self {
            Self::Visible(locator)
            | Self::Hidden(locator)
            | Self::Attached(locator)
            | Self::Detached(locator)
            | Self::Enabled(locator)
            | Self::Disabled(locator)
            | Self::Editable(locator)
            | Self::Checked(locator)
            | Self::Unchecked(locator) => Some(locator),
            Self::HasText { within, .. } => within.as_ref(),
            _ => None,
        }
    }

    /// Whether it holds where there is no element.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Self::Hidden(_) | Self::Detached(_))
    }

    /// Whether it happens at some moment, rather than hold for a while.
    pub(crate) fn is_event(&self) -> bool {
        match self {
            Self::Response(_) | Self::Download => true,
            Self::Any(parts) | Self::All(parts) => parts.iter().any(Self::is_event),
            _ => false,
        }
    }

    /// Whether the helper script can decide it alone in the main frame's document.
    pub(crate) fn lives_in_main_document(&self) -> bool {
        match self {
            Self::Any(parts) | Self::All(parts) => parts.iter().all(Self::lives_in_main_document),
            Self::Expression(_) | Self::Reached(_) | Self::Response(_) | Self::Download => false,
            _ => self.locator().is_none_or(|locator| {
                locator.document().is_none() && locator.lives_in_one_document()
            }),
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
            Self::Attached(locator) => write!(f, "{locator} to be in the document"),
            Self::Detached(locator) => write!(f, "{locator} to be gone from the document"),
            Self::Enabled(locator) => write!(f, "{locator} to be enabled"),
            Self::Disabled(locator) => write!(f, "{locator} to be disabled"),
            Self::Editable(locator) => write!(f, "{locator} to be editable"),
            Self::Checked(locator) => write!(f, "{locator} to be checked"),
            Self::Unchecked(locator) => write!(f, "{locator} to be unchecked"),
            Self::HasText { text, within: None } => write!(f, "the text {text:?}"),
            Self::HasText {
                text,
                within: Some(outer),
            } => write!(f, "the text {text:?} within {outer}"),
            Self::UrlMatches(pattern) => write!(f, "the URL to match {pattern}"),
            Self::Url(pattern) => write!(f, "the URL to match {pattern}"),
            Self::Reached(state) => write!(f, "{state}"),
            Self::Response(pattern) => write!(f, "{pattern}"),
            Self::Download => f.write_str("a download"),
            Self::Expression(expression) => write!(f, "the expression {expression}"),
            Self::Any(parts) => join(f, parts, " or "),
            Self::All(parts) => join(f, parts, " and "),
        }
    }
}
