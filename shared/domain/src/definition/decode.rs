//! The tree of a definition to types: the parts outside of steps, and the reading of single values.
//!
//! Decoding goes in the order of execution, so it knows at each expression which variables exist by then.

use std::collections::BTreeSet;
use std::time::Duration;

use indexmap::IndexMap;

use super::expression::{Expression, SecretName, is_name};
use super::node::{Entry, Kind, Node};
use super::problem::{Place, Problems, closest};
use super::template::Template;
use super::{BrowserSettings, Definition, Retry, State, Step, Verb, duration};
use crate::run::HISTORY_ENTRIES;

/// The working time of a run whose definition names none.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(15 * 60);
/// How often a run may be executed at most.
const MOST_ATTEMPTS: u64 = 10;
/// Names that variables can't have, as expressions read them otherwise.
const RESERVED: &[&str] = &[
    "input", "secrets", "answers", "outputs", "totp", "true", "false", "none", "True", "False",
    "None", "not", "and", "or", "in", "is", "if", "else", "self", "loop",
];

/// What the decoder knows so far.
pub(super) struct Decoder<'p> {
    problems: &'p mut Problems,
    /// The properties of the input, if its schema lists all of them.
    inputs: Option<BTreeSet<String>>,
    variables: BTreeSet<String>,
    answers: BTreeSet<String>,
    secrets: BTreeSet<String>,
    artifacts: BTreeSet<String>,
    /// Whether the states so far always end the run.
    always_ends: bool,
}

/// The keys of a map, each of which is taken at most once; what is left over is unknown.
pub(super) struct Fields<'n> {
    pub(super) place: &'n Place,
    entries: &'n [Entry],
    known: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// The value of a key, unless it was taken before.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'n Node> {
        if self.known.contains(&key) {
            return None;
        }
        self.known.push(key);
        self.entries
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.value)
    }

    /// Whether a key is there, without taking it.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }
}

/// Decodes a whole definition. What is wrong is reported; the answer is complete only if nothing was.
pub(super) fn definition(node: &Node, problems: &mut Problems) -> Option<Definition> {
    let mut decoder = Decoder {
        problems,
        inputs: None,
        variables: BTreeSet::new(),
        answers: BTreeSet::new(),
        secrets: BTreeSet::new(),
        artifacts: BTreeSet::new(),
        always_ends: false,
    };
    decoder.definition(node)
}

impl Decoder<'_> {
    fn definition(&mut self, node: &Node) -> Option<Definition> {
        let mut fields = self.fields(node, "a definition")?;
        let name = self
            .require(&mut fields, "name")
            .and_then(|node| self.title(node));
        let description = fields
            .take("description")
            .and_then(|node| self.text(node))
            .map(str::to_owned);
        let input = fields.take("input");
        if let Some(node) = input {
            self.input(node);
        }
        let allowed_origins = fields
            .take("allowedOrigins")
            .map(|node| self.list(node, Self::origin));
        let browser = fields.take("browser").and_then(|node| self.browser(node));
        let deadline = fields.take("deadline").map(|node| self.duration(node));
        let retry = fields.take("retry").map(|node| self.retry(node));
        let states_node = self.require(&mut fields, "states");
        let states = states_node.map(|node| self.states(node));
        let output = fields.take("output").map(|node| self.templates(node));
        self.finish(&fields, &[]);

        let definition = Definition {
            name: name?.to_owned(),
            description,
            input: input.map(Node::to_value),
            allowed_origins: allowed_origins.unwrap_or_default(),
            browser: browser.unwrap_or_default(),
            deadline: deadline.flatten().unwrap_or(DEFAULT_DEADLINE),
            retry: Retry {
                max_attempts: retry.flatten().unwrap_or(1),
            },
            states: states?,
            output: output.unwrap_or_default(),
            secrets: std::mem::take(&mut self.secrets),
            source: node.to_value(),
        };
        let entries = definition.max_history_entries();
        if entries > HISTORY_ENTRIES {
            let place = states_node.map_or(&node.place, |node| &node.place);
            self.report(
                place,
                format!("a run could need {entries} history entries, and at most {HISTORY_ENTRIES} are kept: use fewer states, questions or attempts"),
            );
        }
        Some(definition)
    }

    fn input(&mut self, node: &Node) {
        let Some(mut schema) = self.fields(node, "the input's JSON Schema") else {
            return;
        };
        if let Some(Node {
            kind: Kind::Mapping(properties),
            ..
        }) = schema.take("properties")
        {
            let is_open = matches!(
                schema.take("additionalProperties").map(|node| &node.kind),
                Some(Kind::Bool(true) | Kind::Mapping(_))
            ) || schema.has("patternProperties");
            self.inputs =
                (!is_open).then(|| properties.iter().map(|entry| entry.key.clone()).collect());
        }
    }

    fn origin(&mut self, node: &Node) -> Option<Template> {
        let origin = self.template(node)?;
        if let Some(text) = origin.literal() {
            let is_web =
                url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
            if !is_web {
                self.report(
                    &node.place,
                    format!("`{text}` is not an origin such as `https://example.com`"),
                );
                return None;
            }
        }
        Some(origin)
    }

    fn browser(&mut self, node: &Node) -> Option<BrowserSettings> {
        let mut fields = self.fields(node, "`browser`")?;
        let viewport = fields.take("viewport").and_then(|node| {
            let mut size = self.fields(node, "`viewport`")?;
            let width = self
                .require(&mut size, "width")
                .and_then(|node| self.count(node, 100, 10_000));
            let height = self
                .require(&mut size, "height")
                .and_then(|node| self.count(node, 100, 10_000));
            self.finish(&size, &[]);
            Some((u32::try_from(width?).ok()?, u32::try_from(height?).ok()?))
        });
        let mut text = |key| {
            fields
                .take(key)
                .and_then(|node| self.text(node))
                .map(str::to_owned)
        };
        let (locale, time_zone, user_agent) = (text("locale"), text("timeZone"), text("userAgent"));
        let headers = fields.take("headers").map(|node| {
            self.map(node, |decoder, _, node| {
                decoder.text(node).map(str::to_owned)
            })
        });
        self.finish(&fields, &["proxy"]);
        Some(BrowserSettings {
            viewport,
            locale,
            time_zone,
            user_agent,
            headers: headers.unwrap_or_default(),
        })
    }

    fn retry(&mut self, node: &Node) -> Option<u32> {
        let mut fields = self.fields(node, "`retry`")?;
        let attempts = self
            .require(&mut fields, "maxAttempts")
            .and_then(|node| self.count(node, 1, MOST_ATTEMPTS));
        self.finish(&fields, &["backoff"]);
        u32::try_from(attempts?).ok()
    }

    fn states(&mut self, node: &Node) -> Vec<State> {
        let mut names = BTreeSet::new();
        let states = self.list(node, |decoder, node| decoder.state(node, &mut names));
        if matches!(&node.kind, Kind::Sequence(items) if items.is_empty()) {
            self.report(&node.place, "a workflow has at least one state");
        }
        states
    }

    fn state(&mut self, node: &Node, names: &mut BTreeSet<String>) -> Option<State> {
        if self.always_ends {
            self.report(
                &node.place,
                "this state is never reached: one before it always ends the run",
            );
            self.always_ends = false;
        }
        let mut fields = self.fields(node, "a state")?;
        let name = self.require(&mut fields, "name").and_then(|node| {
            let name = self.text(node)?;
            if !is_state_name(name) {
                self.report(
                    &node.place,
                    format!("`{name}` is not a state's name: write it like `signing_in`"),
                );
                return None;
            }
            if !names.insert(name.to_owned()) {
                self.report(
                    &node.place,
                    format!("there is another state named `{name}`"),
                );
            }
            Some(name.to_owned())
        });
        let when = fields.take("when").and_then(|node| self.when(node));
        let timeout = fields.take("timeout").and_then(|node| self.duration(node));
        let steps_node = self.require(&mut fields, "steps");
        let steps = steps_node.map(|node| self.list(node, Self::step));
        if let Some(Node {
            kind: Kind::Sequence(items),
            place,
            ..
        }) = steps_node
            && items.is_empty()
        {
            self.report(place, "a state has at least one step");
        }
        if let (
            Some(steps),
            Some(Node {
                kind: Kind::Sequence(items),
                ..
            }),
        ) = (&steps, steps_node)
        {
            self.check_reach(steps, items, when.is_some());
        }
        self.finish(&fields, &["finally", "retry", "onError"]);
        Some(State {
            name: name?,
            when,
            timeout,
            steps: steps?,
        })
    }

    /// Reports steps and states that nothing can reach, as the run always ends before them.
    fn check_reach(&mut self, steps: &[Step], items: &[Node], is_conditional: bool) {
        // A step that could not be read is missing in the list, so the places would not fit.
        if steps.len() != items.len() {
            return;
        }
        let ends = |step: &Step| {
            step.when.is_none()
                && matches!(
                    step.verb,
                    Verb::Fail {
                        condition: None,
                        ..
                    } | Verb::EndWithNoAction {
                        condition: None,
                        ..
                    }
                )
        };
        let Some(end) = steps.iter().position(ends) else {
            return;
        };
        if let Some(unreached) = items.get(end + 1) {
            self.report(
                &unreached.place,
                "this step is never reached: the one before it always ends the run",
            );
        }
        self.always_ends = !is_conditional;
    }

    // Reading maps and lists.

    /// Reads a map whose keys are known.
    pub(super) fn fields<'n>(&mut self, node: &'n Node, what: &str) -> Option<Fields<'n>> {
        if let Kind::Mapping(entries) = &node.kind {
            return Some(Fields {
                place: &node.place,
                entries,
                known: Vec::new(),
            });
        }
        let message = match node.swallowed {
            Some(swallowed) => swallowed.to_owned(),
            None => format!("{what} is a map, and here is {}", node.describe()),
        };
        self.report(&node.place, message);
        None
    }

    /// Takes a key that must be there.
    pub(super) fn require<'n>(
        &mut self,
        fields: &mut Fields<'n>,
        key: &'static str,
    ) -> Option<&'n Node> {
        let node = fields.take(key);
        if node.is_none() {
            self.report(fields.place, format!("`{key}` is missing"));
        }
        node
    }

    /// Reports the keys that nobody took. `later` are those that the language will have.
    pub(super) fn finish(&mut self, fields: &Fields<'_>, later: &[&str]) {
        for entry in fields.entries {
            let key = entry.key.as_str();
            if later.contains(&key) {
                self.report(&entry.key_place, format!("`{key}` is not supported yet"));
            } else if !fields.known.contains(&key) {
                let suggestion = closest(key, fields.known.iter().copied());
                self.suggest(
                    &entry.key_place,
                    format!("`{key}` is not known here"),
                    suggestion,
                );
            }
        }
    }

    /// Reads a list.
    pub(super) fn list<T>(
        &mut self,
        node: &Node,
        mut item: impl FnMut(&mut Self, &Node) -> Option<T>,
    ) -> Vec<T> {
        if let Kind::Sequence(items) = &node.kind {
            return items.iter().filter_map(|node| item(self, node)).collect();
        }
        self.report(
            &node.place,
            format!("here must be a list, and there is {}", node.describe()),
        );
        Vec::new()
    }

    /// Reads a map whose keys are the definition's own.
    pub(super) fn map<T>(
        &mut self,
        node: &Node,
        mut value: impl FnMut(&mut Self, &Entry, &Node) -> Option<T>,
    ) -> IndexMap<String, T> {
        if let Kind::Mapping(entries) = &node.kind {
            return entries
                .iter()
                .filter_map(|entry| Some((entry.key.clone(), value(self, entry, &entry.value)?)))
                .collect();
        }
        self.report(
            &node.place,
            format!("here must be a map, and there is {}", node.describe()),
        );
        IndexMap::new()
    }

    fn templates(&mut self, node: &Node) -> IndexMap<String, Template> {
        self.map(node, |decoder, _, node| decoder.template(node))
    }

    // Reading single values.

    /// Reads a text.
    pub(super) fn text<'n>(&mut self, node: &'n Node) -> Option<&'n str> {
        if let Kind::String(text) = &node.kind {
            return Some(text);
        }
        let message = match (node.swallowed, &node.kind) {
            (Some(swallowed), _) => swallowed.to_owned(),
            (None, Kind::Number(_) | Kind::Bool(_)) => {
                format!(
                    "here must be a text, and this is {}: put it in quotes",
                    node.describe()
                )
            }
            _ => format!("here must be a text, and there is {}", node.describe()),
        };
        self.report(&node.place, message);
        None
    }

    fn title<'n>(&mut self, node: &'n Node) -> Option<&'n str> {
        let text = self.text(node)?;
        if text.trim().is_empty() || text.chars().count() > 200 {
            self.report(&node.place, "a name has 1 to 200 characters");
            return None;
        }
        Some(text)
    }

    /// Reads a template that may not hold secrets.
    pub(super) fn template(&mut self, node: &Node) -> Option<Template> {
        let template = self.sensitive_template(node)?;
        if template.is_secret() {
            self.report(
                &node.place,
                "a secret can't be used here: it may only be filled into a field",
            );
            return None;
        }
        Some(template)
    }

    /// Reads a template that may hold secrets.
    pub(super) fn sensitive_template(&mut self, node: &Node) -> Option<Template> {
        let text = self.text(node)?;
        match Template::parse(text) {
            Ok(template) => {
                for expression in template.expressions() {
                    self.check_names(expression, &node.place);
                }
                Some(template)
            }
            Err(message) => {
                self.report(&node.place, message);
                None
            }
        }
    }

    /// Reads a bare expression.
    pub(super) fn expression(&mut self, node: &Node) -> Option<Expression> {
        let text = self.text(node)?;
        let text = text.trim();
        let bare = text
            .strip_prefix("{{")
            .and_then(|text| text.strip_suffix("}}"))
            .unwrap_or(text);
        match Expression::parse(bare) {
            Ok(expression) if expression.secret().is_some() => {
                self.report(
                    &node.place,
                    "a secret can't be used here: it may only be filled into a field",
                );
                None
            }
            Ok(expression) => {
                self.check_names(&expression, &node.place);
                Some(expression)
            }
            Err(message) => {
                self.report(&node.place, message);
                None
            }
        }
    }

    /// Reports names that have no value at this point of the workflow.
    fn check_names(&mut self, expression: &Expression, place: &Place) {
        match expression.secret() {
            Some(SecretName::Stored(name)) => {
                self.secrets.insert(name.clone());
                return;
            }
            Some(SecretName::Answer(name)) => {
                if !self.answers.contains(name) {
                    let suggestion = closest(name, self.answers.iter().map(String::as_str))
                        .map(|name| format!("answers.{name}"));
                    let message = format!("nobody has been asked for `answers.{name}` by then");
                    self.problems
                        .report_with_suggestion(place, message, suggestion.as_deref());
                }
                return;
            }
            None => {}
        }
        for read in expression.reads() {
            let mut parts = read.split('.');
            let root = parts.next().unwrap_or(read);
            match (root, parts.next()) {
                ("input", Some(property)) => {
                    if let Some(inputs) = &self.inputs
                        && !inputs.contains(property)
                    {
                        let suggestion = closest(property, inputs.iter().map(String::as_str))
                            .map(|name| format!("input.{name}"));
                        let message = format!("the input has no property `{property}`");
                        self.problems
                            .report_with_suggestion(place, message, suggestion.as_deref());
                    }
                }
                ("input" | "outputs", _) => {}
                _ if self.variables.contains(root) => {}
                _ => {
                    let known = self
                        .variables
                        .iter()
                        .map(String::as_str)
                        .chain(["input", "outputs", "secrets", "answers"]);
                    let suggestion = closest(root, known);
                    let message = format!("there is no variable `{root}` by then");
                    self.problems
                        .report_with_suggestion(place, message, suggestion);
                }
            }
        }
    }

    /// Reads the name of a variable that exists from here on.
    pub(super) fn variable(&mut self, node: &Node) -> Option<String> {
        let name = self.name(node)?;
        self.define(&name);
        Some(name)
    }

    /// Makes a variable exist from here on.
    pub(super) fn define(&mut self, name: &str) {
        self.variables.insert(name.to_owned());
    }

    /// Reads the name of an answer that exists from here on.
    pub(super) fn answer(&mut self, node: &Node) -> Option<String> {
        let name = self.name(node)?;
        self.answers.insert(name.clone());
        Some(name)
    }

    fn name(&mut self, node: &Node) -> Option<String> {
        let name = self.text(node)?;
        self.check_name(name, &node.place).then(|| name.to_owned())
    }

    /// Whether this can be a variable's name; reports if not.
    pub(super) fn check_name(&mut self, name: &str, place: &Place) -> bool {
        let is_right = is_name(name) && !RESERVED.contains(&name);
        if !is_right {
            let why = if RESERVED.contains(&name) {
                "is a name of the language"
            } else {
                "is not a variable's name"
            };
            self.report(place, format!("`{name}` {why}: write it like `employees`"));
        }
        is_right
    }

    /// Reads an artifact's name. Names that are known beforehand must differ.
    pub(super) fn file_name(&mut self, node: &Node) -> Option<Template> {
        let template = self.template(node)?;
        if let Some(name) = template.literal() {
            if !is_file_name(name) {
                self.report(
                    &node.place,
                    format!("`{name}` is not a file's name: 1 to 200 bytes, without `/` and `\\`"),
                );
                return None;
            }
            self.claim_artifact(name, &node.place);
        }
        Some(template)
    }

    /// Reserves an artifact's name, and reports if another step has it.
    pub(super) fn claim_artifact(&mut self, name: &str, place: &Place) {
        if !self.artifacts.insert(name.to_owned()) {
            self.report(
                place,
                format!("another step makes an artifact named `{name}`"),
            );
        }
    }

    /// Reads `true` or `false`.
    pub(super) fn boolean(&mut self, node: &Node) -> Option<bool> {
        if let Kind::Bool(value) = node.kind {
            return Some(value);
        }
        self.report(
            &node.place,
            format!(
                "here must be true or false, and there is {}",
                node.describe()
            ),
        );
        None
    }

    /// Reads a whole number between two bounds, which belong to it.
    pub(super) fn count(&mut self, node: &Node, least: u64, most: u64) -> Option<u64> {
        if let Kind::Number(number) = &node.kind
            && let Some(count) = number.as_u64()
            && (least..=most).contains(&count)
        {
            return Some(count);
        }
        self.report(
            &node.place,
            format!("here must be a whole number from {least} to {most}"),
        );
        None
    }

    /// Reads a duration.
    pub(super) fn duration(&mut self, node: &Node) -> Option<Duration> {
        if let Kind::Number(number) = &node.kind {
            let message = format!("a duration has a unit: write `{number}s` or `{number}ms`");
            self.report(&node.place, message);
            return None;
        }
        let text = self.text(node)?;
        duration::parse(text)
            .map_err(|message| self.report(&node.place, message))
            .ok()
    }

    pub(super) fn report(&mut self, place: &Place, message: impl Into<String>) {
        self.problems.report(place, message);
    }

    pub(super) fn suggest(
        &mut self,
        place: &Place,
        message: impl Into<String>,
        suggestion: Option<&str>,
    ) {
        self.problems
            .report_with_suggestion(place, message, suggestion);
    }
}

fn is_state_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Whether this can be an artifact's name on every system.
#[must_use]
pub fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && !matches!(name, "." | "..")
        && !name.contains(|c: char| c.is_control() || matches!(c, '/' | '\\'))
}
