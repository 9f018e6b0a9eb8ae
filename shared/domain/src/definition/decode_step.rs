//! Decodes a step: what stands beside the verb, which verb it is, and the verbs that act on the page.

use std::time::Duration;

use super::decode::Decoder;
use super::fields::Fields;
use super::grammar::{BESIDE, ON_ERROR, RETRY, RETRY_GROUP, STEP};
use super::grammar_steps::{
    CLICK, DISTANCE, DRAG, FILE, FILL, GOTO, PRESS, SCROLL, SELECT, TYPE, UPLOAD, VERBS,
};
use super::keys::{KEYS, is_key};
use super::names::Holds;
use super::node::{Kind, Node};
use super::problem::{Rule, closest};
use super::step::{
    ClickOptions, FileSource, Modifier, MouseButton, OnError, RetryPolicy, Scroll, ScrollTo, Step,
    Verb,
};
use super::template::Template;
use super::typed::Typed;
use crate::run::Backoff;

/// How long a second attempt waits if the policy doesn't say so.
const DEFAULT_DELAY: Duration = Duration::from_secs(1);
/// The longest wait between attempts if the policy doesn't say so.
const DEFAULT_MAX_DELAY: Duration = Duration::from_secs(30);
/// The variable that keeps an error if no other is named.
const ERROR: &str = "error";

impl Decoder<'_> {
    /// Reads a step.
    pub(super) fn step(&mut self, node: &Node) -> Option<Step> {
        let mut fields = self.fields(node, &STEP)?;
        let Kind::Mapping(entries) = &node.kind else {
            return None;
        };
        let verbs: Vec<_> = entries
            .iter()
            .filter(|entry| !BESIDE.iter().any(|key| key.name == entry.key))
            .collect();
        let is_retry_group = verbs.is_empty() && fields.has("retry");
        if verbs.len() != 1 && !is_retry_group {
            let message = match verbs.len() {
                0 => "a step has a verb, such as `click`".to_owned(),
                count => format!(
                    "a step has exactly one verb, and here are {count}: begin each with `- `"
                ),
            };
            self.report(&node.place, Rule::UnknownStep, message);
        }
        let id = fields
            .take("id")
            .and_then(|node| self.fixed_text(node, 100));
        let when_node = fields.take("when");
        let when = when_node.and_then(|node| self.when(node));
        self.refuse_never(when.as_ref(), when_node, "the step");
        let timeout_node = fields.take("timeout");
        let timeout = timeout_node.and_then(|node| self.time_limit(node));
        if let Some(node) = timeout_node
            && verbs.iter().any(|entry| entry.key == "askUser")
        {
            // Beside it, it would not count while a person is awaited, which is what it was written for.
            self.report(
                &node.place,
                Rule::KeysConflict,
                "`askUser` has a `timeout` of its own: write it inside",
            );
        }
        let retry_node = fields.take("retry");
        let on_error = fields.take("onError").and_then(|node| self.on_error(node));
        let mut retry = None;
        let mut verb = None;
        match (retry_node, is_retry_group) {
            (Some(node), true) => verb = self.retry_group(node),
            (Some(node), false) => retry = self.retry(node),
            (None, _) => {}
        }
        for entry in &verbs {
            verb = match VERBS.iter().find(|key| key.name == entry.key) {
                Some(key) => self.verb(key.name, &entry.value),
                None => None,
            };
        }
        if let Some(on_error) = &on_error {
            let holds = Holds::record(&["code", "message", "step"]);
            self.define(&on_error.variable, holds);
        }
        Some(Step {
            id,
            when,
            timeout,
            retry,
            on_error,
            verb: verb?,
        })
    }

    fn on_error(&mut self, node: &Node) -> Option<OnError> {
        let variable = if matches!(node.kind, Kind::Mapping(_)) {
            let mut fields = self.fields(node, &ON_ERROR)?;
            self.take_name(&mut fields, "as")?
        } else {
            self.word(node, &["continue"])?;
            ERROR.to_owned()
        };
        Some(OnError { variable })
    }

    fn retry(&mut self, node: &Node) -> Option<RetryPolicy> {
        let mut fields = self.fields(node, &RETRY)?;
        self.policy_in(&mut fields)
    }

    fn retry_group(&mut self, node: &Node) -> Option<Verb> {
        let mut fields = self.fields(node, &RETRY_GROUP)?;
        let policy = self.policy_in(&mut fields);
        let steps = fields.take("steps").map(|node| self.steps(node));
        Some(Verb::Retry {
            policy: policy?,
            steps: steps?,
        })
    }

    fn policy_in(&mut self, fields: &mut Fields<'_>) -> Option<RetryPolicy> {
        let max_attempts = self.take_count(fields, "maxAttempts");
        let delay = fields.take("delay").and_then(|node| self.duration(node));
        let backoff = self.take_word(fields, "backoff");
        let max_delay = fields.take("maxDelay").and_then(|node| self.duration(node));
        let delay = delay.unwrap_or(DEFAULT_DELAY);
        Some(RetryPolicy {
            max_attempts: u32::try_from(max_attempts?).ok()?,
            backoff: Backoff {
                delay,
                doubles: backoff != Some("fixed"),
                max_delay: max_delay.unwrap_or(DEFAULT_MAX_DELAY).max(delay),
            },
        })
    }

    fn verb(&mut self, name: &str, node: &Node) -> Option<Verb> {
        match name {
            "goto" => self.goto(node),
            "back" => self.nothing(node).map(|()| Verb::Back),
            "reload" => self.nothing(node).map(|()| Verb::Reload),
            "click" => self.click(node),
            "doubleClick" => self.locator(node).map(Verb::DoubleClick),
            "hover" => self.locator(node).map(Verb::Hover),
            "drag" => self.drag(node),
            "fill" => self.fill(node),
            "press" => self.press(node),
            "type" => self.type_text(node),
            "select" => self.select(node),
            "check" | "uncheck" => self.locator(node).map(|target| Verb::Check {
                target,
                is_checked: name == "check",
            }),
            "upload" => self.upload(node),
            "scroll" => self.scroll(node).map(Verb::Scroll),
            "waitFor" => self.wait_for(node),
            "extract" => self
                .extract(node)
                .map(|extract| Verb::Extract(Box::new(extract))),
            "get" => self.get(node),
            "set" => Some(Verb::Set(self.set(node))),
            "evaluate" => self.evaluate(node),
            "askUser" => self
                .ask_user(node)
                .map(|question| Verb::AskUser(Box::new(question))),
            "download" => self.download(node),
            "screenshot" => self.screenshot(node).map(Verb::Screenshot),
            "pdf" => self.pdf(node),
            "dialog" => self.dialog(node).map(Verb::Dialog),
            "frame" => self.frame(node),
            "tab" => self.tab(node).map(Verb::Tab),
            "if" => self.if_else(node),
            "forEach" => self
                .for_each(node)
                .map(|each| Verb::ForEach(Box::new(each))),
            "assert" => self.assert(node),
            "fail" => self.fail(node),
            "endWithNoAction" => self.end_with_no_action(node),
            other => unreachable!("the grammar has the verb {other}, and nobody reads it"),
        }
    }

    /// Reads the value of a verb that takes none: nothing, or an empty map.
    pub(super) fn nothing(&mut self, node: &Node) -> Option<()> {
        let is_nothing = match &node.kind {
            Kind::Null => node.swallowed.is_none(),
            Kind::Mapping(entries) => entries.is_empty(),
            _ => false,
        };
        if !is_nothing {
            self.wrong_kind(node, "nothing");
        }
        is_nothing.then_some(())
    }

    fn goto(&mut self, node: &Node) -> Option<Verb> {
        if !matches!(node.kind, Kind::Mapping(_)) {
            return self.url(node).map(|url| Verb::Goto { url });
        }
        let mut fields = self.fields(node, &GOTO)?;
        let url = fields.take("url").and_then(|node| self.url(node));
        Some(Verb::Goto { url: url? })
    }

    /// Reads an absolute URL, which is checked as far as it is known beforehand.
    pub(super) fn url(&mut self, node: &Node) -> Option<Template> {
        let url = self.template(node)?;
        if let Some(text) = url.literal() {
            let parsed = url::Url::parse(text).ok();
            let message = match parsed.filter(|url| matches!(url.scheme(), "http" | "https")) {
                None => Some(format!("`{text}` is not an absolute http or https URL")),
                Some(url) => self
                    .origins
                    .as_ref()
                    .filter(|origins| !origins.contains(&url.origin()))
                    .map(|_| {
                        let origin = url.origin().ascii_serialization();
                        format!("`{origin}` is not among the `allowedOrigins`")
                    }),
            };
            if let Some(message) = message {
                self.report(&node.place, Rule::BadUrl, message);
            }
        }
        Some(url)
    }

    fn click(&mut self, node: &Node) -> Option<Verb> {
        if !matches!(node.kind, Kind::Mapping(_)) {
            return self.locator(node).map(|target| Verb::Click {
                target,
                options: ClickOptions::default(),
            });
        }
        let mut fields = self.fields(node, &CLICK)?;
        let button = match self.take_word(&mut fields, "button") {
            Some("middle") => MouseButton::Middle,
            Some("right") => MouseButton::Right,
            _ => MouseButton::Left,
        };
        let words = fields.words("modifiers");
        let modifiers = fields.take("modifiers").map(|node| {
            self.list(node, |decoder, node| {
                Some(match decoder.word(node, words)? {
                    "Alt" => Modifier::Alt,
                    "Control" => Modifier::Control,
                    "Meta" => Modifier::Meta,
                    _ => Modifier::Shift,
                })
            })
        });
        Some(Verb::Click {
            target: self.locator_in(&mut fields)?,
            options: ClickOptions {
                button,
                modifiers: modifiers.unwrap_or_default(),
            },
        })
    }

    fn drag(&mut self, node: &Node) -> Option<Verb> {
        let mut fields = self.fields(node, &DRAG)?;
        let source = fields.take("source").and_then(|node| self.locator(node));
        let target = fields.take("target").and_then(|node| self.locator(node));
        Some(Verb::Drag {
            source: source?,
            target: target?,
        })
    }

    fn fill(&mut self, node: &Node) -> Option<Verb> {
        let mut fields = self.fields(node, &FILL)?;
        let value = fields
            .take("value")
            .and_then(|node| self.sensitive_template(node));
        let field = self.locator_in(&mut fields);
        Some(Verb::Fill {
            field: field?,
            value: value?,
        })
    }

    fn press(&mut self, node: &Node) -> Option<Verb> {
        if !matches!(node.kind, Kind::Mapping(_)) {
            return self.key(node).map(|key| Verb::Press {
                key,
                target: None,
                times: None,
            });
        }
        let mut fields = self.fields(node, &PRESS)?;
        let key = fields.take("key").and_then(|node| self.key(node));
        let times = self.take_typed_count(&mut fields, "times");
        let target = self.optional_locator_in(&mut fields);
        Some(Verb::Press {
            key: key?,
            target,
            times,
        })
    }

    /// Reads a key with its modifiers.
    fn key(&mut self, node: &Node) -> Option<Template> {
        let key = self.template(node)?;
        if let Some(text) = key.literal()
            && !is_key(text)
        {
            let name = text.rsplit('+').next().unwrap_or(text);
            let message = format!(
                "there is no key `{text}`: a key is one character or a name such as `Enter`, with modifiers as in `Control+A`"
            );
            let suggestion = closest(name, KEYS.iter().copied());
            self.suggest(&node.place, Rule::UnknownWord, message, suggestion);
        }
        Some(key)
    }

    fn type_text(&mut self, node: &Node) -> Option<Verb> {
        let mut fields = self.fields(node, &TYPE)?;
        let value = fields
            .take("value")
            .and_then(|node| self.sensitive_template(node));
        let delay = fields
            .take("delay")
            .and_then(|node| self.typed_duration(node));
        let field = self.locator_in(&mut fields);
        Some(Verb::Type {
            field: field?,
            value: value?,
            delay,
        })
    }

    fn select(&mut self, node: &Node) -> Option<Verb> {
        let mut fields = self.fields(node, &SELECT)?;
        let options = fields.take("option").map(|node| match &node.kind {
            Kind::Sequence(_) => self.some(node, "option", Self::template),
            _ => self.template(node).into_iter().collect(),
        });
        let list = self.locator_in(&mut fields);
        Some(Verb::Select {
            list: list?,
            options: options?,
        })
    }

    fn upload(&mut self, node: &Node) -> Option<Verb> {
        let mut fields = self.fields(node, &UPLOAD)?;
        let files = fields
            .take("files")
            .map(|node| self.some(node, "file", Self::file));
        let field = self.locator_in(&mut fields);
        Some(Verb::Upload {
            field: field?,
            files: files?,
        })
    }

    fn file(&mut self, node: &Node) -> Option<FileSource> {
        let mut fields = self.fields(node, &FILE)?;
        if let Some(node) = fields.take("artifact") {
            return self.made_artifact(node).map(FileSource::Artifact);
        }
        let mut template = |key| fields.take(key).and_then(|node| self.template(node));
        let name = template("fileName");
        if let Some(text) = template("content") {
            return Some(FileSource::Text { name: name?, text });
        }
        let base64 = template("base64")?;
        Some(FileSource::Base64 {
            name: name?,
            base64,
        })
    }

    fn scroll(&mut self, node: &Node) -> Option<Scroll> {
        if matches!(node.kind, Kind::String(_)) {
            let to = self.word(node, &["top", "bottom"])?;
            return Some(Scroll {
                target: None,
                to: Some(if to == "top" {
                    ScrollTo::Top
                } else {
                    ScrollTo::Bottom
                }),
            });
        }
        let mut fields = self.fields(node, &SCROLL)?;
        let to = match self.take_word(&mut fields, "to") {
            Some("top") => Some(ScrollTo::Top),
            Some(_) => Some(ScrollTo::Bottom),
            None => fields.take("by").and_then(|node| {
                let mut distance = self.fields(node, &DISTANCE)?;
                let mut axis = |key| {
                    self.take_typed_count(&mut distance, key)
                        .unwrap_or(Typed::Fixed(0))
                };
                let (x, y) = (axis("x"), axis("y"));
                Some(ScrollTo::By { x, y })
            }),
        };
        let target = self.optional_locator_in(&mut fields);
        if to.is_none() && target.is_none() {
            self.report(
                &node.place,
                Rule::KeysConflict,
                "`scroll` has `to`, `by` or a locator",
            );
        }
        Some(Scroll { target, to })
    }
}
