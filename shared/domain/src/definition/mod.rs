//! The workflow definition: YAML or JSON text to checked types, and the expressions in it. Never touches a browser.
//!
//! Both kinds of text become one tree of nodes (`node`), which one decoder turns into types, reporting every error
//! with its place. What has been decoded can be executed; what can't is refused here, before anything runs.

mod decode;
mod decode_locator;
mod decode_step;
mod duration;
mod expression;
mod locator;
mod node;
mod problem;
mod secret;
mod step;
mod template;
mod yaml;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::Value;

use crate::run::ATTEMPTS_THAT_NEVER_BEGAN;

pub use decode::is_file_name;
pub use expression::{EvaluationError, Expression, Scope, SecretName};
pub use locator::{By, Condition, Locator, When};
pub use problem::{Place, ValidationError};
pub use secret::Secret;
pub use step::{
    AskUser, Extract, FieldKind, FieldSpec, QuestionField, QuestionKind, Read, Rejection,
    Screenshot, Step, Verb,
};
pub use template::Template;

use node::{MOST_BYTES, Node, size_message};
use problem::Problems;

/// A workflow, checked and ready to be executed.
#[derive(Debug, Clone)]
pub struct Definition {
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The JSON Schema of a run's input.
    pub input: Option<Value>,
    /// The origins to which a run may go. Empty means: any.
    pub allowed_origins: Vec<Template>,
    /// How the browser presents itself.
    pub browser: BrowserSettings,
    /// How long a run may work. Waiting for a person does not count.
    pub deadline: Duration,
    /// Whether a run is executed again after its worker was lost.
    pub retry: Retry,
    /// The states, in the order in which they are executed.
    pub states: Vec<State>,
    /// What the run's `output` holds.
    pub output: IndexMap<String, Template>,
    secrets: BTreeSet<String>,
    source: Value,
}

/// How the browser presents itself. What is `None` is the runner's to decide.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrowserSettings {
    /// Width and height of the window in CSS pixels.
    pub viewport: Option<(u32, u32)>,
    /// A BCP 47 language tag, such as `de-DE`.
    pub locale: Option<String>,
    /// An IANA time zone, such as `Europe/Berlin`.
    pub time_zone: Option<String>,
    /// The `User-Agent`.
    pub user_agent: Option<String>,
    /// Headers that are sent with every request.
    pub headers: IndexMap<String, String>,
}

/// Whether a run may be executed more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How often a run is executed at most; 1 means never again.
    pub max_attempts: u32,
}

/// A named part of a workflow.
#[derive(Debug, Clone)]
pub struct State {
    /// The name that clients see as `currentStateName`.
    pub name: String,
    /// The condition without which it is skipped.
    pub when: Option<When>,
    /// How long it may take.
    pub timeout: Option<Duration>,
    /// Its steps, in order.
    pub steps: Vec<Step>,
}

impl Definition {
    /// Reads a definition in YAML 1.2. Each error says where it is, with line and column.
    ///
    /// # Errors
    /// All that is wrong with it, in the order of the text; never an empty list.
    pub fn parse_yaml(text: &str) -> Result<Self, Vec<ValidationError>> {
        let mut problems = Problems::default();
        let node = yaml::parse(text, &mut problems);
        Self::decode(node, problems)
    }

    /// Reads a definition from JSON. Each error says where it is, with a JSON pointer.
    ///
    /// # Errors
    /// All that is wrong with it; never an empty list.
    pub fn parse_json(value: &Value) -> Result<Self, Vec<ValidationError>> {
        let mut problems = Problems::default();
        let node = Node::from_value(value, &mut problems);
        Self::decode(node, problems)
    }

    fn decode(node: Option<Node>, mut problems: Problems) -> Result<Self, Vec<ValidationError>> {
        let definition = node.and_then(|node| decode::definition(&node, &mut problems));
        // What is stored is the JSON, which escapes can make longer than a YAML text.
        if definition
            .as_ref()
            .is_some_and(|definition| definition.source.to_string().len() > MOST_BYTES)
        {
            problems.report(&Place::default(), size_message());
        }
        match definition {
            Some(definition) if problems.is_empty() => Ok(definition),
            _ => Err(problems.into_sorted()),
        }
    }

    /// The definition as JSON: what is stored, what the API shows, and what [`Definition::parse_json`] reads again.
    #[must_use]
    pub fn to_json(&self) -> &Value {
        &self.source
    }

    /// The names of all secrets that it uses.
    #[must_use]
    pub fn secret_names(&self) -> &BTreeSet<String> {
        &self.secrets
    }

    /// How many entries a run's history can get: one for each state, two for each try of a question and two for the
    /// claim and its end, in each execution; two for each attempt that never began and after which the run goes on; and
    /// two for the run's creation and release.
    #[must_use]
    pub fn max_history_entries(&self) -> usize {
        let steps = self.states.iter().flat_map(|state| &state.steps);
        let questions: usize = steps
            .map(|step| match &step.verb {
                Verb::AskUser(question) => question.tries as usize,
                _ => 0,
            })
            .sum();
        let never_began = ATTEMPTS_THAT_NEVER_BEGAN as usize - 1;
        (self.states.len() + 2 * questions + 2) * self.retry.max_attempts as usize
            + 2 * never_began
            + 2
    }
}
