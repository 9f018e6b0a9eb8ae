//! The workflow definition: YAML or JSON text to checked types, and the expressions in it. Never touches a browser.
//!
//! Both kinds of text become one tree of nodes (`node`), which one decoder turns into types, reporting every error
//! with its place. What has been decoded can be executed; what can't is refused here, before anything runs.

mod css;
mod data;
mod decode;
mod decode_extract;
mod decode_flow;
mod decode_locator;
mod decode_question;
mod decode_step;
mod duration;
mod expression;
mod extract;
mod fields;
mod grammar;
mod grammar_steps;
mod keys;
mod locator;
mod names;
mod node;
mod one_time_code;
mod problem;
mod proxy;
mod question;
mod roles;
mod schema;
mod scope;
mod secret;
mod shape;
mod step;
mod template;
mod typed;
mod values;
mod weight;
mod xpath;
mod yaml;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::Value;

use crate::input_schema::InputSchema;
use crate::run::ATTEMPTS_THAT_NEVER_BEGAN;

pub use data::Data;
pub use decode::{is_file_name, time_zones};
pub use expression::{EvaluationError, Expression, SecretName};
pub use extract::{Extract, FieldKind, FieldSpec, NumberStyle, PageNumber, Paging, Read};
pub use keys::{KEYS, is_key};
pub use locator::{By, Condition, ElementState, Load, Locator, When};
pub use problem::{Place, Rule, ValidationError};
pub use proxy::{Proxy, ProxyAddress, ProxyProtocol, RunProxy, WrongProxy};
pub use question::{AskUser, QuestionField, QuestionKind, Rejection};
pub use schema::json_schema;
pub use scope::Scope;
pub use secret::Secret;
pub use step::{
    ClickOptions, DialogAnswer, DownloadStart, FileSource, ForEach, Items, Modifier, MouseButton,
    OnError, ResponsePattern, RetryPolicy, Screenshot, Scroll, ScrollTo, Step, Tab, Verb,
};
pub use template::Template;
pub use typed::{Bounds, Parameter, Typed};

pub(crate) use css::check as check_css;
pub(crate) use roles::is_role;
pub(crate) use xpath::check as check_xpath;

use node::{MOST_BYTES, Node, size_message};
use problem::{Problems, Spot};

/// A workflow, checked and ready to be executed.
#[derive(Debug, Clone)]
pub struct Definition {
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The schema of a run's input.
    pub input: Option<Arc<InputSchema>>,
    /// The origins to which a run may go. Empty means: any.
    pub allowed_origins: Vec<Template>,
    /// How the browser presents itself.
    pub browser: BrowserSettings,
    /// The proxy behind which the browser is.
    pub proxy: Option<Proxy>,
    /// How long a run may work. Waiting for a person does not count.
    pub deadline: Duration,
    /// How often a run is executed if its worker or its browser is lost, and after how long.
    pub retry: RetryPolicy,
    /// Whether the network's traffic is kept.
    pub har: KeepHar,
    /// The states, in the order in which they are executed.
    pub states: Vec<State>,
    /// What the run's `output` holds.
    pub output: IndexMap<String, Data>,
    secrets: BTreeSet<String>,
    scripts: Vec<Script>,
    source: Value,
}

/// A script of a definition, whose syntax only a browser can check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Where it stands, as a JSON pointer into the definition.
    pub pointer: String,
    /// A JavaScript expression.
    pub text: String,
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

/// Whether the network's traffic is kept as an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepHar {
    /// It is not even recorded.
    Never,
    /// Of a run that failed.
    OnFailure,
    /// Of every run.
    Always,
}

/// A named part of a workflow.
#[derive(Debug, Clone)]
pub struct State {
    /// The name that clients see as `currentStateName`.
    pub name: String,
    /// The condition without which it is skipped.
    pub when: Option<When>,
    /// How long it may take.
    pub timeout: Option<Typed<Duration>>,
    /// Whether it is executed whatever happened before it.
    pub is_final: bool,
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
        let read = yaml::parse(text, &mut problems);
        let Some(broken) = read.broken else {
            return Self::decode(read.node, problems);
        };
        // JSON is YAML, but for the two escapes in which it writes a character beyond the first plane.
        if text.contains("\\u")
            && text.trim_start().starts_with('{')
            && text.len() <= MOST_BYTES
            && let Ok(json) = serde_json::from_str(text)
        {
            return Self::parse_json(&json);
        }
        // What comes before the place where the text breaks off is checked all the same.
        if let Some(node) = read.node {
            let mut found = Problems::default();
            decode::definition(&node, &mut found);
            found.retain(|problem| broken.is_certain(&problem.place));
            problems.append(found);
        }
        Err(problems.into_sorted())
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
            problems.report(&Spot::default(), Rule::TooLarge, size_message());
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

    /// Whether a step of it uploads an artifact that the run has made.
    #[must_use]
    pub fn uploads_artifacts(&self) -> bool {
        fn uploads(step: &Step) -> bool {
            matches!(&step.verb, Verb::Upload { files, .. }
                if files.iter().any(|file| matches!(file, FileSource::Artifact(_))))
                || step.verb.inner_steps().any(uploads)
        }
        let mut steps = self.states.iter().flat_map(|state| &state.steps);
        steps.any(uploads)
    }

    /// The names of all secrets that it uses.
    #[must_use]
    pub fn secret_names(&self) -> &BTreeSet<String> {
        &self.secrets
    }

    /// All its scripts, in the order of the text.
    #[must_use]
    pub fn scripts(&self) -> &[Script] {
        &self.scripts
    }

    /// How many entries a run's history can get: one for each state, two for each try of a question (in each turn of the loops around it) and two for the
    /// claim and its end, in each execution; two for each attempt that never began and after which the run goes on; and
    /// two for the run's creation and release.
    #[must_use]
    pub fn max_history_entries(&self) -> usize {
        let questions = self
            .states
            .iter()
            .map(|state| step::most_questions(&state.steps))
            .fold(0, usize::saturating_add);
        let never_began = ATTEMPTS_THAT_NEVER_BEGAN as usize - 1;
        let each_execution = questions
            .saturating_mul(2)
            .saturating_add(self.states.len() + 2);
        each_execution
            .saturating_mul(self.retry.max_attempts as usize)
            .saturating_add(2 * never_began + 2)
    }
}
