//! What an `askUser` asks a person.

use std::time::Duration;

use super::locator::When;
use super::step::Step;
use super::template::Template;
use super::typed::Typed;

/// A question to a person.
#[derive(Debug, Clone)]
pub struct AskUser {
    /// What is asked.
    pub prompt: Template,
    /// What is to be answered; each becomes `answers.NAME`.
    pub fields: Vec<QuestionField>,
    /// How long the person has, for each try.
    pub timeout: Typed<Duration>,
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
    /// What the person is shown beside it; the question itself, if there is nothing else.
    pub label: Option<String>,
    /// Among what the person chooses, for a choice.
    pub options: Vec<String>,
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
    /// One of several.
    Choice,
    /// `yes` or `no`.
    Confirmation,
}

impl QuestionKind {
    /// All kinds.
    pub(super) const ALL: [Self; 5] = [
        Self::Code,
        Self::Password,
        Self::Text,
        Self::Choice,
        Self::Confirmation,
    ];

    /// Whether the answer is no secret, and also a variable of its name: the definition shows all that it can be.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Choice | Self::Confirmation)
    }

    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Password => "password",
            Self::Text => "text",
            Self::Choice => "choice",
            Self::Confirmation => "confirmation",
        }
    }
}
