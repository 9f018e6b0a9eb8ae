//! What a run's owner does for the engine: keeps its state, asks its person, stores its artifacts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use domain::definition::{QuestionField, Secret};
use domain::run::SkippedState;
use domain::wire::ArtifactType;

/// The owner of a run.
#[async_trait]
pub trait Host: Send {
    /// Commits that a state begins, and which ones were skipped before it. The engine calls it before the state's first
    /// step, and never for a skipped state.
    async fn enter_state(
        &mut self,
        name: &str,
        skipped: Vec<SkippedState>,
    ) -> Result<(), Interrupted>;

    /// Asks a person, and waits for the answer or for the end of the question's time. The picture shows the page; it is
    /// an artifact to be stored before the person is asked.
    async fn ask_user(
        &mut self,
        question: Question,
        screenshot: Option<NewArtifact>,
    ) -> Result<Answer, Interrupted>;

    /// Stores an artifact. A file in it exists at least until this returns.
    async fn store_artifact(&mut self, artifact: NewArtifact) -> Result<(), Interrupted>;

    /// Says why the guard of the browser's traffic refused a URL, if it did. Asked when a navigation failed.
    async fn explain_refusal(&mut self, _url: &str) -> Option<String> {
        None
    }

    /// Says why the guard of the browser's traffic could not reach a URL, if it was not refused: to the browser, all
    /// its failures look the same.
    async fn explain_failure(&mut self, _url: &str) -> Option<Unreached> {
        None
    }
}

/// Why a URL was not reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreached {
    /// For a person.
    pub reason: String,
    /// Whether it is the same on every try, until somebody changes a setting.
    pub is_lasting: bool,
}

/// Why a run must not go on here. The engine stops at once and passes it through.
#[derive(Debug, thiserror::Error)]
pub enum Interrupted {
    /// The lease ended, or another worker has the run: nothing more may be written.
    #[error("the run was taken away")]
    TakenAway,
    /// Somebody cancelled the run. What the workflow does in any case has been done.
    #[error("the run was cancelled")]
    Canceled,
    /// Something that the host needs does not work.
    #[error("the host can't go on")]
    Fault(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What ends a run from outside, whatever it is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Somebody cancelled it, or ended it at a deadline: it has ended, and nothing of it is stored any more.
    Canceled,
    /// Its working time is over: it fails, with all that a failure leaves.
    DeadlineExceeded,
    /// Its own host wants it to end: it fails as cancelled, with all that a failure leaves.
    Stopped,
}

/// What a person is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The question.
    pub prompt: String,
    /// What is to be answered.
    pub fields: Vec<QuestionField>,
    /// How long the person has.
    pub timeout: Duration,
    /// How often the person may still answer, this time included.
    pub tries_left: u32,
    /// What was wrong with the answer before, if this isn't the first try.
    pub message: Option<String>,
}

impl Question {
    /// What the person is shown beside one of the fields.
    #[must_use]
    pub fn label<'q>(&'q self, field: &'q QuestionField) -> &'q str {
        field.label.as_deref().unwrap_or(&self.prompt)
    }
}

/// What came of a question.
#[derive(Debug)]
pub enum Answer {
    /// The person answered: a value for the name of each field.
    Given(BTreeMap<String, Secret>),
    /// Nobody answered in time.
    TimedOut,
}

/// Bytes that a run produced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewArtifact {
    /// What it is.
    pub artifact_type: ArtifactType,
    /// Its file name, unique in the run.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// Its bytes.
    pub body: ArtifactBody,
    /// The state in which it was made, if one had begun.
    pub state: Option<String>,
}

/// Where an artifact's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArtifactBody {
    /// Here.
    Bytes(Vec<u8>),
    /// In a file of the browser's, which goes when the browser goes.
    File(PathBuf),
}
