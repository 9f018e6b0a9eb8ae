//! Dialogs of pages (alert, confirm, prompt, the question before leaving): answered at once by a
//! policy that was set before, and noted. A dialog stops its page until it is answered, so nobody
//! is asked.

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::page::Page;

/// How many dialogs are remembered, and how much of a message.
const REMEMBERED: usize = 100;
const MESSAGE_CHARACTERS: usize = 1000;

/// How dialogs are answered, in all pages of a browser. By default they are dismissed, and pages
/// may be left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialogPolicy {
    /// The answer to alerts, confirms and prompts.
    pub answer: DialogAnswer,
    /// Whether a page that asks before it is left (`beforeunload`) is left.
    pub may_leave: bool,
}

/// The answer to a dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialogAnswer {
    /// As with its button "Cancel".
    Dismiss,
    /// As with its button "OK"; a prompt has its default text.
    Accept,
    /// As with "OK" after typing this text into a prompt.
    AcceptWith(String),
}

/// What kind a dialog was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialogKind {
    /// `alert`.
    Alert,
    /// `confirm`.
    Confirm,
    /// `prompt`.
    Prompt,
    /// The question before a page is left.
    BeforeUnload,
}

/// A dialog that came, and how it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialog {
    /// What kind it was.
    pub kind: DialogKind,
    /// What it said, up to 1,000 characters.
    pub message: String,
    /// Where the page was, without query and fragment.
    pub url: String,
    /// Whether it was accepted.
    pub was_accepted: bool,
}

impl Default for DialogPolicy {
    fn default() -> Self {
        Self {
            answer: DialogAnswer::Dismiss,
            may_leave: true,
        }
    }
}

impl Page {
    /// From now on, dialogs are answered like this, in all pages of the browser, also in those
    /// that have not opened yet.
    pub fn set_dialog_policy(&self, policy: DialogPolicy) {
        self.target.tabs.dialogs().policy = policy;
    }

    /// The last hundred dialogs of all pages of the browser, oldest first.
    pub fn dialogs(&self) -> Vec<Dialog> {
        self.target.tabs.dialogs().seen.iter().cloned().collect()
    }
}

/// The policy and the dialogs of one browser.
#[derive(Default)]
pub(crate) struct Dialogs {
    policy: DialogPolicy,
    seen: VecDeque<Dialog>,
}

impl Dialogs {
    /// Notes a dialog that has opened, and gives the answer for `Page.handleJavaScriptDialog`.
    pub(crate) fn answer(&mut self, opening: &Value) -> Value {
        let text = |name: &str| opening[name].as_str().unwrap_or_default();
        let kind = match text("type") {
            "confirm" => DialogKind::Confirm,
            "prompt" => DialogKind::Prompt,
            "beforeunload" => DialogKind::BeforeUnload,
            _ => DialogKind::Alert,
        };
        let accept = match kind {
            DialogKind::BeforeUnload => self.policy.may_leave,
            DialogKind::Alert | DialogKind::Confirm | DialogKind::Prompt => {
                self.policy.answer != DialogAnswer::Dismiss
            }
        };
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        let url = text("url").split(['?', '#']).next().unwrap_or_default();
        self.seen.push_back(Dialog {
            kind,
            message: text("message").chars().take(MESSAGE_CHARACTERS).collect(),
            url: url.to_owned(),
            was_accepted: accept,
        });
        let mut answer = json!({"accept": accept});
        if kind == DialogKind::Prompt {
            let typed = match &self.policy.answer {
                DialogAnswer::AcceptWith(text) => text,
                DialogAnswer::Accept | DialogAnswer::Dismiss => text("defaultPrompt"),
            };
            answer["promptText"] = typed.into();
        }
        answer
    }
}
