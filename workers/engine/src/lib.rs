//! The engine: executes a workflow definition over a browser.
//!
//! A pure interpreter: what happens next depends only on the definition, the variables and the browser's answers.
//! It knows neither queues nor storage nor the run's status; what a run's owner must do for it goes through [`Host`],
//! what a page must do goes through [`Browser`]. Nothing that leaves it (messages, logs, DOM) holds a secret's value.

mod artifacts;
mod cells;
mod chromium;
mod execution;
mod extraction;
mod failures;
mod flow;
mod host;
mod mask;
mod origins;
mod paging;
mod questions;
mod resolution;
mod run_log;
mod seam;
mod steps;

pub use chromium::Chromium;
pub use execution::{CLEANING_UP, Inputs, Outcome, Report, execute};
pub use host::{Answer, ArtifactBody, Cut, Host, Interrupted, NewArtifact, Question, Unreached};
pub use mask::Mask;
pub use seam::{
    Browser, ExpectedResponse, ReceivedResponse, Scrolling, UploadedContent, UploadedFile,
};
