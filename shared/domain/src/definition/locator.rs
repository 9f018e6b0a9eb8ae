//! How a definition names elements and states of a page.

use std::time::Duration;

use super::expression::Expression;
use super::template::Template;

/// Names elements of a page.
#[derive(Debug, Clone)]
pub struct Locator {
    /// By what they are found.
    pub by: By,
    /// Whether a text must be equal, rather than be contained without regard to case.
    pub exact: bool,
    /// Which one of several, counted from 0.
    pub nth: Option<usize>,
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
    /// A text is on the page, or in an element.
    HasText {
        /// The text.
        text: Template,
        /// The element, if it is not the whole page.
        within: Option<Locator>,
    },
    /// The page's URL matches a pattern, in which `*` stands for anything.
    Url(Template),
    /// An expression over the run's variables is true. The page has no part in it.
    Expression(Expression),
    /// At least one of these holds.
    Any(Vec<Condition>),
    /// Each of these holds.
    All(Vec<Condition>),
}

/// A condition on which a state or a step depends.
#[derive(Debug, Clone)]
pub struct When {
    /// What must hold.
    pub condition: Condition,
    /// How long it may take to become true. Without it, it is checked once, after a pending navigation.
    pub within: Option<Duration>,
}
