//! The steps of a workflow: one verb each.

use std::time::Duration;

use indexmap::IndexMap;

use super::expression::Expression;
use super::locator::{Condition, Locator, When};
use super::template::Template;

/// One step of a state.
#[derive(Debug, Clone)]
pub struct Step {
    /// A name of its own, if it has one.
    pub id: Option<String>,
    /// The condition without which it is skipped.
    pub when: Option<When>,
    /// How long it may take. The engine has a default.
    pub timeout: Option<Duration>,
    /// What it does.
    pub verb: Verb,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Verb {
    /// Opens a URL and waits until it has loaded.
    Goto {
        /// The absolute URL.
        url: Template,
    },
    /// Goes back in the page's history.
    Back,
    /// Loads the page again.
    Reload,
    /// Clicks an element.
    Click(Locator),
    /// Clicks an element twice.
    DoubleClick(Locator),
    /// Moves the pointer over an element.
    Hover(Locator),
    /// Replaces the text of a field. May take a secret.
    Fill {
        /// The field.
        field: Locator,
        /// The new text.
        value: Template,
    },
    /// Presses a key, such as `Enter`, where the focus is.
    Press {
        /// The key's name.
        key: Template,
    },
    /// Waits until a condition holds.
    WaitFor(Condition),
    /// Waits for a time.
    Pause(Duration),
    /// Reads records from the page.
    Extract(Box<Extract>),
    /// Reads one value from the page into a variable.
    Get {
        /// What is read, and as which type.
        field: FieldSpec,
        /// The variable.
        variable: String,
    },
    /// Gives variables values.
    Set(IndexMap<String, Template>),
    /// Asks a person.
    AskUser(AskUser),
    /// Clicks an element and keeps the file that this downloads.
    Download {
        /// The element that is clicked.
        click: Locator,
        /// The artifact's name; by default the one that the site gives.
        file_name: Option<Template>,
    },
    /// Keeps a picture of the page as an artifact.
    Screenshot(Screenshot),
    /// Fails the run unless a condition holds.
    Assert {
        /// The condition.
        when: When,
        /// What the failure says.
        message: Option<Template>,
    },
    /// Ends the run as failed.
    Fail {
        /// The workflow's own code for it.
        code: String,
        /// What the failure says.
        message: Template,
        /// Only if this is true.
        condition: Option<Expression>,
    },
    /// Ends the run as completed, with no action taken.
    EndWithNoAction {
        /// Why there was nothing to do.
        reason: Template,
        /// Only if this is true.
        condition: Option<Expression>,
    },
}

/// The names of the verbs that can be written, with whether they can be executed yet.
pub(super) const VERBS: &[(&str, bool)] = &[
    ("goto", true),
    ("back", true),
    ("reload", true),
    ("click", true),
    ("doubleClick", true),
    ("hover", true),
    ("drag", false),
    ("fill", true),
    ("press", true),
    ("type", false),
    ("select", false),
    ("check", false),
    ("uncheck", false),
    ("upload", false),
    ("scroll", false),
    ("waitFor", true),
    ("extract", true),
    ("get", true),
    ("set", true),
    ("evaluate", false),
    ("download", true),
    ("screenshot", true),
    ("pdf", false),
    ("dialog", false),
    ("frame", false),
    ("tab", false),
    ("if", false),
    ("forEach", false),
    ("askUser", true),
    ("assert", true),
    ("fail", true),
    ("endWithNoAction", true),
];

impl Verb {
    /// The verb as it is written.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Goto { .. } => "goto",
            Self::Back => "back",
            Self::Reload => "reload",
            Self::Click(_) => "click",
            Self::DoubleClick(_) => "doubleClick",
            Self::Hover(_) => "hover",
            Self::Fill { .. } => "fill",
            Self::Press { .. } => "press",
            Self::WaitFor(_) | Self::Pause(_) => "waitFor",
            Self::Extract(_) => "extract",
            Self::Get { .. } => "get",
            Self::Set(_) => "set",
            Self::AskUser(_) => "askUser",
            Self::Download { .. } => "download",
            Self::Screenshot(_) => "screenshot",
            Self::Assert { .. } => "assert",
            Self::Fail { .. } => "fail",
            Self::EndWithNoAction { .. } => "endWithNoAction",
        }
    }
}

/// How records are read from a page, and from those that follow it.
#[derive(Debug, Clone)]
pub struct Extract {
    /// What must hold before the rows are read, also when there are none.
    pub ready: Option<Condition>,
    /// One element for each record.
    pub rows: Locator,
    /// The fields of a record, in their order.
    pub fields: IndexMap<String, FieldSpec>,
    /// What is clicked for the next page; the last page has none, or a disabled one.
    pub next_page: Option<Locator>,
    /// How many pages there may be.
    pub max_pages: usize,
    /// The variable that gets the records; also the name of the artifacts.
    pub variable: String,
    /// The name of the artifacts, without its ending, if it is not the variable's.
    pub file_name: Option<Template>,
}

/// How one value is read.
#[derive(Debug, Clone)]
pub struct FieldSpec {
    /// The element, in a row or on the page. Without it, the row itself.
    pub locator: Option<Locator>,
    /// What is read of the element.
    pub read: Read,
    /// What it becomes.
    pub kind: FieldKind,
    /// Whether it must have a value.
    pub required: bool,
}

/// What is read of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// Its text, as a reader sees it.
    Text,
    /// Its HTML.
    Html,
    /// The value of an attribute.
    Attribute(String),
    /// The value of a form field.
    Value,
    /// Whether it is checked.
    Checked,
}

/// The type of an extracted value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// Text.
    Text,
    /// A number, such as `$84,250.00`, with a decimal point and commas between thousands.
    Number,
    /// `true` or `false`, from words such as `yes` and `no`, or from whether a box is checked.
    Boolean,
    /// An absolute URL.
    Link,
}

/// A question to a person.
#[derive(Debug, Clone)]
pub struct AskUser {
    /// What is asked.
    pub prompt: Template,
    /// What is to be answered; each becomes `answers.NAME`.
    pub fields: Vec<QuestionField>,
    /// How long the person has, for each try.
    pub timeout: Duration,
    /// How often the person may answer.
    pub tries: u32,
    /// What is done with each answer. None of these asks again.
    pub steps: Vec<Step>,
    /// How the site shows that it refused an answer, after the steps.
    pub rejected: Option<Rejection>,
}

/// How a site shows that it refused an answer.
#[derive(Debug, Clone)]
pub struct Rejection {
    /// What holds then.
    pub when: When,
    /// What the person is told at the next try.
    pub message: Option<Template>,
}

/// One thing to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuestionField {
    /// The name in `answers`.
    pub name: String,
    /// How it is entered.
    pub kind: QuestionKind,
    /// What the person is shown beside it.
    pub label: String,
}

/// How an answer is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuestionKind {
    /// A short code, such as one for two-factor authentication.
    Code,
    /// Something that must not be seen while it is typed.
    Password,
    /// Any text.
    Text,
}

impl QuestionKind {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Password => "password",
            Self::Text => "text",
        }
    }
}

/// A picture of the page, or of an element.
#[derive(Debug, Clone)]
pub struct Screenshot {
    /// The artifact's name.
    pub file_name: Option<Template>,
    /// Whether the page is shown whole, rather than the part that fits the window.
    pub full_page: bool,
    /// The element, if it is not the page.
    pub element: Option<Locator>,
    /// Elements that are covered.
    pub mask: Vec<Locator>,
}
