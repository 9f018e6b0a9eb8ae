//! The steps of a workflow: one verb each. What an `extract` and an `askUser` hold has modules of its own.

use std::time::Duration;

use indexmap::IndexMap;

use super::data::Data;
use super::expression::Expression;
use super::extract::{Extract, FieldSpec};
use super::locator::{Condition, Locator, When};
use super::question::AskUser;
use super::template::Template;
use super::typed::Typed;
use crate::run::Backoff;

/// One step of a state.
#[derive(Debug, Clone)]
pub struct Step {
    /// A name of its own, if it has one.
    pub id: Option<String>,
    /// The condition without which it is skipped.
    pub when: Option<When>,
    /// How long it may take. The engine has a default.
    pub timeout: Option<Typed<Duration>>,
    /// Whether it is done again when it failed.
    pub retry: Option<RetryPolicy>,
    /// Whether the run goes on when it failed.
    pub on_error: Option<OnError>,
    /// What it does.
    pub verb: Verb,
}

/// How often something is done again when it failed, and after how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often it is done at most, the first time included.
    pub max_attempts: u32,
    /// How long to wait between them.
    pub backoff: Backoff,
}

/// The run goes on after a failed step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnError {
    /// The variable that keeps the error: `{code, message, step}`, or nothing if there was none.
    pub variable: String,
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
    Click {
        /// The element.
        target: Locator,
        /// How it is clicked.
        options: ClickOptions,
    },
    /// Clicks an element twice.
    DoubleClick(Locator),
    /// Moves the pointer over an element.
    Hover(Locator),
    /// Drags an element to another.
    Drag {
        /// What is dragged.
        source: Locator,
        /// Where it is dropped.
        target: Locator,
    },
    /// Replaces the text of a field. May take a secret.
    Fill {
        /// The field.
        field: Locator,
        /// The new text.
        value: Template,
    },
    /// Presses a key, such as `Enter`.
    Press {
        /// The key's name, with its modifiers: `Control+A`.
        key: Template,
        /// The element that gets the focus first; else the key goes where the focus is.
        target: Option<Locator>,
        /// How often.
        times: Option<Typed<i64>>,
    },
    /// Types a text key by key. May take a secret.
    Type {
        /// The field.
        field: Locator,
        /// The text.
        value: Template,
        /// The time between two keys.
        delay: Option<Typed<Duration>>,
    },
    /// Chooses options of a list.
    Select {
        /// The list.
        list: Locator,
        /// The labels or values of what is chosen.
        options: Vec<Template>,
    },
    /// Makes sure that a box is checked, or that it is not.
    Check {
        /// The box.
        target: Locator,
        /// Whether it is to be checked.
        is_checked: bool,
    },
    /// Gives files to a field that takes them.
    Upload {
        /// The field.
        field: Locator,
        /// The files.
        files: Vec<FileSource>,
    },
    /// Scrolls the page, or an element.
    Scroll(Scroll),
    /// Waits until a condition holds.
    WaitFor(Condition),
    /// Waits for a response.
    AwaitResponse {
        /// Which one.
        pattern: ResponsePattern,
        /// The steps that cause it.
        during: Vec<Step>,
        /// The variable that gets it.
        variable: Option<String>,
    },
    /// Waits for a time.
    Pause(Typed<Duration>),
    /// Reads records from the page.
    Extract(Box<Extract>),
    /// Reads one value from the page into a variable.
    Get {
        /// What is read, and as which type.
        field: Box<FieldSpec>,
        /// The variable.
        variable: String,
    },
    /// Gives variables values.
    Set(IndexMap<String, Data>),
    /// Evaluates JavaScript in the page.
    Evaluate {
        /// An expression, in which `args` holds the arguments.
        script: String,
        /// What the script gets.
        arguments: IndexMap<String, Data>,
        /// The variable that gets its value.
        variable: Option<String>,
    },
    /// Asks a person.
    AskUser(Box<AskUser>),
    /// Keeps a file that a click, or a URL, downloads.
    Download {
        /// What starts it.
        start: DownloadStart,
        /// The artifact's name; by default the one that the site gives.
        file_name: Option<Template>,
        /// The variable that gets `{name, sizeBytes}`.
        variable: Option<String>,
    },
    /// Keeps a picture of the page as an artifact.
    Screenshot(Screenshot),
    /// Keeps the page as a PDF artifact.
    Pdf {
        /// The artifact's name.
        file_name: Option<Template>,
    },
    /// Says how the dialogs of the page are answered from here on.
    Dialog(DialogAnswer),
    /// Does steps inside of an iframe.
    Frame {
        /// The iframe.
        frame: Locator,
        /// The steps.
        steps: Vec<Step>,
    },
    /// Goes to another tab.
    Tab(Tab),
    /// Does one list of steps or the other.
    If {
        /// What decides.
        when: When,
        /// What is done if it holds.
        then: Vec<Step>,
        /// What is done if it doesn't.
        otherwise: Vec<Step>,
    },
    /// Does steps once for each item of a list, or for each element.
    ForEach(Box<ForEach>),
    /// Does steps again, all of them, when one failed.
    Retry {
        /// How often, and after how long.
        policy: RetryPolicy,
        /// The steps.
        steps: Vec<Step>,
    },
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

/// Which response is meant.
#[derive(Debug, Clone)]
pub struct ResponsePattern {
    /// Its URL's pattern, in which `*` stands for anything.
    pub url: Template,
    /// The method of its request, if that matters.
    pub method: Option<&'static str>,
    /// Its HTTP status, if that matters.
    pub status: Option<Typed<i64>>,
}

/// How an element is clicked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClickOptions {
    /// Which button of the mouse.
    pub button: MouseButton,
    /// The keys that are held down meanwhile.
    pub modifiers: Vec<Modifier>,
}

/// A button of the mouse.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MouseButton {
    /// The main one.
    #[default]
    Left,
    /// The one in the middle.
    Middle,
    /// The one that opens menus.
    Right,
}

/// A key that is held down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modifier {
    /// `Alt`.
    Alt,
    /// `Control`.
    Control,
    /// `Meta`.
    Meta,
    /// `Shift`.
    Shift,
}

/// Where a file comes from that is uploaded.
#[derive(Debug, Clone)]
pub enum FileSource {
    /// An artifact that the run has made, by its name.
    Artifact(Template),
    /// A text.
    Text {
        /// The file's name.
        name: Template,
        /// What is in it.
        text: Template,
    },
    /// Bytes.
    Base64 {
        /// The file's name.
        name: Template,
        /// What is in it, in Base64.
        base64: Template,
    },
}

/// What is scrolled, and how far.
#[derive(Debug, Clone)]
pub struct Scroll {
    /// The element; else the page. Without a distance, it is brought into view.
    pub target: Option<Locator>,
    /// How far.
    pub to: Option<ScrollTo>,
}

/// How far something is scrolled.
#[derive(Debug, Clone)]
pub enum ScrollTo {
    /// To its beginning.
    Top,
    /// To its end.
    Bottom,
    /// By CSS pixels.
    By {
        /// To the right.
        x: Typed<i64>,
        /// Down.
        y: Typed<i64>,
    },
}

/// What starts a download.
#[derive(Debug, Clone)]
pub enum DownloadStart {
    /// A click on this element.
    Click(Locator),
    /// Going to this URL.
    Url(Template),
}

/// A picture of the page, or of an element.
#[derive(Debug, Clone)]
pub struct Screenshot {
    /// The artifact's name.
    pub file_name: Option<Template>,
    /// Whether the page is shown whole, rather than the part that fits the window.
    pub full_page: Option<Typed<bool>>,
    /// The element, if it is not the page.
    pub element: Option<Locator>,
    /// Elements that are covered.
    pub mask: Vec<Locator>,
}

/// How a dialog is answered.
#[derive(Debug, Clone)]
pub enum DialogAnswer {
    /// With OK, and with this text if it asks for one.
    Accept {
        /// The text.
        text: Option<Template>,
    },
    /// With Cancel.
    Dismiss,
}

/// How a run comes to another tab.
#[derive(Debug, Clone)]
pub enum Tab {
    /// By clicking an element that opens it.
    Open(Locator),
    /// By the pattern of its URL, in which `*` stands for anything.
    Switch(Template),
    /// By closing the present one, and going back to the one before.
    Close,
}

/// A loop.
#[derive(Debug, Clone)]
pub struct ForEach {
    /// Over what it goes.
    pub items: Items,
    /// The variable that holds the present item.
    pub variable: String,
    /// The variable that holds its number, counted from 0.
    pub index: Option<String>,
    /// How many items there may be.
    pub max_items: u32,
    /// What is done with each.
    pub steps: Vec<Step>,
}

/// Over what a loop goes.
#[derive(Debug, Clone)]
pub enum Items {
    /// The items of a list.
    List(Data),
    /// The elements of the page that match now.
    Elements(Locator),
}

impl Verb {
    /// The verb as it is written.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Goto { .. } => "goto",
            Self::Back => "back",
            Self::Reload => "reload",
            Self::Click { .. } => "click",
            Self::DoubleClick(_) => "doubleClick",
            Self::Hover(_) => "hover",
            Self::Drag { .. } => "drag",
            Self::Fill { .. } => "fill",
            Self::Press { .. } => "press",
            Self::Type { .. } => "type",
            Self::Select { .. } => "select",
            Self::Check {
                is_checked: true, ..
            } => "check",
            Self::Check {
                is_checked: false, ..
            } => "uncheck",
            Self::Upload { .. } => "upload",
            Self::Scroll(_) => "scroll",
            Self::WaitFor(_) | Self::AwaitResponse { .. } | Self::Pause(_) => "waitFor",
            Self::Extract(_) => "extract",
            Self::Get { .. } => "get",
            Self::Set(_) => "set",
            Self::Evaluate { .. } => "evaluate",
            Self::AskUser(_) => "askUser",
            Self::Download { .. } => "download",
            Self::Screenshot(_) => "screenshot",
            Self::Pdf { .. } => "pdf",
            Self::Dialog(_) => "dialog",
            Self::Frame { .. } => "frame",
            Self::Tab(_) => "tab",
            Self::If { .. } => "if",
            Self::ForEach(_) => "forEach",
            Self::Retry { .. } => "retry",
            Self::Assert { .. } => "assert",
            Self::Fail { .. } => "fail",
            Self::EndWithNoAction { .. } => "endWithNoAction",
        }
    }

    /// The steps that it holds itself.
    pub fn inner_steps(&self) -> impl Iterator<Item = &Step> {
        let (first, second): (&[Step], &[Step]) = match self {
            Self::AskUser(question) => (&question.steps, &[]),
            Self::Frame { steps, .. } | Self::Retry { steps, .. } => (steps, &[]),
            Self::If {
                then, otherwise, ..
            } => (then, otherwise),
            Self::ForEach(each) => (&each.steps, &[]),
            Self::AwaitResponse { during, .. } => (during, &[]),
            _ => (&[], &[]),
        };
        first.iter().chain(second)
    }
}

impl Step {
    /// How many questions to a person it may need, counting each try, and each turn of the loops around them.
    #[must_use]
    pub fn max_questions(&self) -> usize {
        let inner = match &self.verb {
            Verb::If {
                then, otherwise, ..
            } => most_questions(then).max(most_questions(otherwise)),
            verb => verb
                .inner_steps()
                .map(Self::max_questions)
                .fold(0, usize::saturating_add),
        };
        let turns = match &self.verb {
            Verb::AskUser(question) => question.tries as usize,
            Verb::ForEach(each) => each.max_items as usize,
            Verb::Retry { policy, .. } => policy.max_attempts as usize,
            _ => 1,
        };
        let own = usize::from(matches!(self.verb, Verb::AskUser(_)));
        let attempts = self.retry.map_or(1, |policy| policy.max_attempts as usize);
        inner
            .saturating_add(own)
            .saturating_mul(turns)
            .saturating_mul(attempts)
    }
}

/// How many questions to a person these steps may need.
pub(super) fn most_questions(steps: &[Step]) -> usize {
    steps
        .iter()
        .map(Step::max_questions)
        .fold(0, usize::saturating_add)
}
