//! How a definition names elements and states of a page.

use std::time::Duration;

use super::expression::Expression;
use super::template::Template;
use super::typed::Typed;

/// Names elements of a page.
#[derive(Debug, Clone)]
pub struct Locator {
    /// By what they are found.
    pub by: By,
    /// Whether a text must be equal, rather than be contained without regard to case.
    pub exact: Option<Typed<bool>>,
    /// Which one of several, counted from 0.
    pub nth: Option<Typed<i64>>,
    /// The element in which they are looked for.
    pub within: Option<Box<Locator>>,
    /// The iframe in which they are looked for.
    pub frame: Option<Box<Locator>>,
}

/// By what elements are found.
#[derive(Debug, Clone)]
pub enum By {
    /// Their ARIA role and, with it, their accessible name.
    Role {
        /// Such as `button`.
        role: Template,
        /// Such as `Sign in`.
        name: Option<Template>,
    },
    /// The text of their label.
    Label(Template),
    /// Their placeholder.
    Placeholder(Template),
    /// Their text.
    Text(Template),
    /// Their `data-testid`.
    TestId(Template),
    /// A CSS selector.
    Css(Template),
    /// An XPath expression.
    Xpath(Template),
    /// The present element of a `forEach` over elements, by the name that it has there.
    Element(String),
    /// The first of these locators that matches.
    AnyOf(Vec<Locator>),
}

/// Something that is true of a page, or is not.
#[derive(Debug, Clone)]
pub enum Condition {
    /// An element is visible.
    Visible(Locator),
    /// No such element is visible.
    Hidden(Locator),
    /// An element is in this state.
    State(ElementState, Locator),
    /// A text is on the page, or in an element.
    HasText {
        /// The text.
        text: Template,
        /// The element, if it is not the whole page.
        within: Option<Locator>,
    },
    /// The page's URL matches a pattern, in which `*` stands for anything.
    Url(Template),
    /// The page's document has come this far.
    Load(Load),
    /// A JavaScript expression is truthy in the page.
    Script(String),
    /// An expression over the run's variables is true. The page has no part in it.
    Expression(Expression),
    /// At least one of these holds.
    Any(Vec<Condition>),
    /// Each of these holds.
    All(Vec<Condition>),
}

impl Condition {
    /// The expressions in it, which the run's variables decide.
    #[must_use]
    pub fn expressions(&self) -> Vec<&Expression> {
        match self {
            Self::Expression(expression) => vec![expression],
            Self::Any(conditions) | Self::All(conditions) => {
                conditions.iter().flat_map(Self::expressions).collect()
            }
            Self::Visible(_)
            | Self::Hidden(_)
            | Self::State(..)
            | Self::HasText { .. }
            | Self::Url(_)
            | Self::Load(_)
            | Self::Script(_) => Vec::new(),
        }
    }
}

/// A condition on which a state or a step depends.
#[derive(Debug, Clone)]
pub struct When {
    /// What must hold.
    pub condition: Condition,
    /// How long it may take to become true. Without it, it is checked once, after a pending navigation.
    pub within: Option<Typed<Duration>>,
}

/// What an element can be, beside visible and hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementState {
    /// In the document, visible or not.
    Attached,
    /// Not in the document.
    Detached,
    /// Enabled.
    Enabled,
    /// Disabled.
    Disabled,
    /// Enabled, and not read-only.
    Editable,
    /// Checked.
    Checked,
    /// Not checked.
    Unchecked,
}

impl ElementState {
    /// The state of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "attached" => Self::Attached,
            "detached" => Self::Detached,
            "enabled" => Self::Enabled,
            "disabled" => Self::Disabled,
            "editable" => Self::Editable,
            "checked" => Self::Checked,
            "unchecked" => Self::Unchecked,
            _ => return None,
        })
    }
}

/// How far a document can have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// It has been parsed.
    DomContentLoaded,
    /// Its pictures and frames are there.
    Loaded,
    /// The network has been idle for half a second.
    NetworkIdle,
}
