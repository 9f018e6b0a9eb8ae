//! Decodes steps: one function for each verb that takes more than a locator.

use std::time::Duration;

use indexmap::IndexMap;

use super::decode::{Decoder, Fields};
use super::node::{Entry, Kind, Node};
use super::problem::closest;
use super::step::{
    AskUser, Extract, FieldKind, FieldSpec, QuestionField, QuestionKind, Read, Rejection,
    Screenshot, Step, VERBS, Verb,
};

/// How many pages an `extract` reads if it doesn't say so.
const DEFAULT_PAGES: u64 = 100;
/// How many pages an `extract` may ask for.
const MOST_PAGES: u64 = 10_000;
/// How long a person has to answer if the step doesn't say so.
const DEFAULT_QUESTION_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// How often a person may answer one question.
const MOST_TRIES: u64 = 10;
/// What stands beside a verb.
const BESIDE: &[&str] = &["id", "when", "timeout"];
/// What will stand beside a verb.
const BESIDE_LATER: &[&str] = &["retry", "onError"];

impl Decoder<'_> {
    /// Reads a step.
    pub(super) fn step(&mut self, node: &Node) -> Option<Step> {
        let mut fields = self.fields(node, "a step")?;
        let id = fields
            .take("id")
            .and_then(|node| self.text(node))
            .map(str::to_owned);
        let when = fields.take("when").and_then(|node| self.when(node));
        let timeout = fields.take("timeout").and_then(|node| self.duration(node));
        let Kind::Mapping(entries) = &node.kind else {
            return None;
        };
        let mut verb = None;
        let mut verbs = 0;
        for entry in entries {
            let key = entry.key.as_str();
            if BESIDE.contains(&key) {
                continue;
            }
            if BESIDE_LATER.contains(&key) {
                self.report(&entry.key_place, format!("`{key}` is not supported yet"));
                continue;
            }
            verbs += 1;
            verb = self.verb(entry);
        }
        if verbs != 1 {
            let message = match verbs {
                0 => "a step has a verb, such as `click`".to_owned(),
                _ => format!(
                    "a step has exactly one verb, and here are {verbs}: begin each with `- `"
                ),
            };
            self.report(&node.place, message);
        }
        Some(Step {
            id,
            when,
            timeout,
            verb: verb?,
        })
    }

    fn verb(&mut self, entry: &Entry) -> Option<Verb> {
        let node = &entry.value;
        match entry.key.as_str() {
            "goto" => self
                .template_or_map(node, "url")
                .map(|url| Verb::Goto { url }),
            "back" => self.nothing(node).map(|()| Verb::Back),
            "reload" => self.nothing(node).map(|()| Verb::Reload),
            "click" => self.locator(node).map(Verb::Click),
            "doubleClick" => self.locator(node).map(Verb::DoubleClick),
            "hover" => self.locator(node).map(Verb::Hover),
            "press" => self
                .template_or_map(node, "key")
                .map(|key| Verb::Press { key }),
            "fill" => self.fill(node),
            "waitFor" => self.wait_for(node),
            "extract" => self
                .extract(node)
                .map(|extract| Verb::Extract(Box::new(extract))),
            "get" => self.get(node),
            "set" => Some(Verb::Set(self.set(node))),
            "askUser" => self.ask_user(node).map(Verb::AskUser),
            "download" => self.download(node),
            "screenshot" => self.screenshot(node).map(Verb::Screenshot),
            "assert" => self.assert(node),
            "fail" => self.fail(node),
            "endWithNoAction" => self.end_with_no_action(node),
            unknown => {
                if VERBS.iter().any(|(name, _)| *name == unknown) {
                    self.report(
                        &entry.key_place,
                        format!("the step `{unknown}` is not supported yet"),
                    );
                } else {
                    let known = VERBS
                        .iter()
                        .filter(|(_, is_ready)| *is_ready)
                        .map(|(name, _)| *name);
                    let suggestion = closest(unknown, known.chain(BESIDE.iter().copied()));
                    self.suggest(
                        &entry.key_place,
                        format!("there is no step `{unknown}`"),
                        suggestion,
                    );
                }
                None
            }
        }
    }

    /// Reads a text, or a map with that text under a key.
    fn template_or_map(&mut self, node: &Node, key: &'static str) -> Option<super::Template> {
        if !matches!(node.kind, Kind::Mapping(_)) || node.swallowed.is_some() && !has_key(node, key)
        {
            return self.template(node);
        }
        let mut fields = self.fields(node, "this step")?;
        let template = self
            .require(&mut fields, key)
            .and_then(|node| self.template(node));
        self.finish(&fields, &[]);
        template
    }

    /// Reads the value of a verb that takes none: nothing, or an empty map.
    fn nothing(&mut self, node: &Node) -> Option<()> {
        if matches!(&node.kind, Kind::Null) {
            return Some(());
        }
        let fields = self.fields(node, "what this step takes")?;
        self.finish(&fields, &[]);
        Some(())
    }

    fn fill(&mut self, node: &Node) -> Option<Verb> {
        let mut fields = self.fields(node, "`fill`")?;
        let value = self
            .require(&mut fields, "value")
            .and_then(|node| self.sensitive_template(node));
        let field = self.locator_in(&mut fields);
        self.finish(&fields, &[]);
        Some(Verb::Fill {
            field: field?,
            value: value?,
        })
    }

    fn wait_for(&mut self, node: &Node) -> Option<Verb> {
        if has_key(node, "time") {
            let mut fields = self.fields(node, "`waitFor`")?;
            let time = fields.take("time").and_then(|node| self.duration(node));
            self.finish(&fields, &[]);
            return time.map(Verb::Pause);
        }
        let condition = self.condition(node)?;
        self.refuse_expressions(&condition, &node.place);
        Some(Verb::WaitFor(condition))
    }

    fn extract(&mut self, node: &Node) -> Option<Extract> {
        let mut fields = self.fields(node, "`extract`")?;
        let ready = fields.take("ready").and_then(|node| {
            let condition = self.condition(node)?;
            self.refuse_expressions(&condition, &node.place);
            Some(condition)
        });
        let rows = self
            .require(&mut fields, "rows")
            .and_then(|node| self.locator(node));
        let columns = self.require(&mut fields, "fields").map(|node| {
            if matches!(&node.kind, Kind::Mapping(entries) if entries.is_empty()) {
                self.report(&node.place, "a record has at least one field");
            }
            self.map(node, |decoder, _, node| decoder.field(node))
        });
        let next_page = fields.take("nextPage").and_then(|node| self.locator(node));
        let max_pages = fields
            .take("maxPages")
            .and_then(|node| self.count(node, 1, MOST_PAGES));
        let file_name = fields
            .take("fileName")
            .and_then(|node| self.file_name(node));
        let variable_node = self.require(&mut fields, "as");
        let variable = variable_node.and_then(|node| self.variable(node));
        if let (Some(node), Some(name), None) = (variable_node, &variable, &file_name) {
            for ending in ["json", "csv"] {
                self.claim_artifact(&format!("{name}.{ending}"), &node.place);
            }
        }
        self.finish(
            &fields,
            &["pages", "scroll", "loadMore", "unique", "uniqueBy"],
        );
        Some(Extract {
            ready,
            rows: rows?,
            fields: columns?,
            next_page,
            max_pages: usize::try_from(max_pages.unwrap_or(DEFAULT_PAGES)).ok()?,
            variable: variable?,
            file_name,
        })
    }

    /// Reads a field: a CSS selector, or a map of a locator and what is read of the element.
    fn field(&mut self, node: &Node) -> Option<FieldSpec> {
        if !matches!(node.kind, Kind::Mapping(_)) {
            let locator = Some(self.locator(node)?);
            return Some(FieldSpec {
                locator,
                read: Read::Text,
                kind: FieldKind::Text,
                required: false,
            });
        }
        let mut fields = self.fields(node, "a field")?;
        let field = self.field_in(&mut fields);
        self.finish(&fields, &["default", "format", "locale", "list"]);
        field
    }

    /// Takes the keys of a field out of a map that also holds others.
    fn field_in(&mut self, fields: &mut Fields<'_>) -> Option<FieldSpec> {
        let attribute = fields
            .take("attribute")
            .and_then(|node| self.text(node))
            .map(str::to_owned);
        let kind = match fields.take("type") {
            None => Some((
                attribute.clone().map_or(Read::Text, Read::Attribute),
                FieldKind::Text,
            )),
            Some(node) => self.field_type(node, attribute.clone()),
        };
        let required = fields
            .take("required")
            .and_then(|node| self.boolean(node))
            .unwrap_or(false);
        let locator = if Self::has_locator(fields) {
            Some(self.locator_in(fields)?)
        } else {
            None
        };
        let (read, kind) = kind?;
        Some(FieldSpec {
            locator,
            read,
            kind,
            required,
        })
    }

    fn field_type(&mut self, node: &Node, attribute: Option<String>) -> Option<(Read, FieldKind)> {
        const TYPES: &[&str] = &[
            "string", "number", "boolean", "link", "html", "value", "checked",
        ];
        let name = self.text(node)?;
        let text = || attribute.clone().map_or(Read::Text, Read::Attribute);
        let field = match name {
            "string" => (text(), FieldKind::Text),
            "number" => (text(), FieldKind::Number),
            "boolean" => (text(), FieldKind::Boolean),
            "link" => (
                Read::Attribute(attribute.clone().unwrap_or_else(|| "href".to_owned())),
                FieldKind::Link,
            ),
            "html" => (Read::Html, FieldKind::Text),
            "value" => (Read::Value, FieldKind::Text),
            "checked" => (Read::Checked, FieldKind::Boolean),
            "date" | "list" => {
                self.report(
                    &node.place,
                    format!("the type `{name}` is not supported yet"),
                );
                return None;
            }
            _ => {
                let message = format!("there is no type `{name}`, there are {}", TYPES.join(", "));
                self.suggest(&node.place, message, closest(name, TYPES.iter().copied()));
                return None;
            }
        };
        if attribute.is_some() && matches!(name, "html" | "value" | "checked") {
            self.report(
                &node.place,
                format!("the type `{name}` doesn't read an attribute"),
            );
            return None;
        }
        Some(field)
    }

    fn get(&mut self, node: &Node) -> Option<Verb> {
        let mut fields = self.fields(node, "`get`")?;
        let variable_node = self.require(&mut fields, "as");
        let field = self.field_in(&mut fields);
        if let Some(FieldSpec { locator: None, .. }) = field {
            self.report(&node.place, "`get` needs a locator");
        }
        self.finish(&fields, &["default", "format", "locale"]);
        let variable = variable_node.and_then(|node| self.variable(node));
        Some(Verb::Get {
            field: field?,
            variable: variable?,
        })
    }

    fn set(&mut self, node: &Node) -> IndexMap<String, super::Template> {
        self.map(node, |decoder, entry, node| {
            let template = decoder.template(node);
            if decoder.check_name(&entry.key, &entry.key_place) {
                decoder.define(&entry.key);
            }
            template
        })
    }

    fn ask_user(&mut self, node: &Node) -> Option<AskUser> {
        let mut fields = self.fields(node, "`askUser`")?;
        let prompt_node = self.require(&mut fields, "prompt");
        let prompt = prompt_node.and_then(|node| self.template(node));
        let timeout = fields.take("timeout").and_then(|node| self.duration(node));
        let answer = fields.take("as");
        let kind = fields
            .take("type")
            .and_then(|node| self.question_kind(node));
        let questions = match (answer, fields.take("fields")) {
            (Some(node), None) => self
                .answer(node)
                .into_iter()
                .map(|name| QuestionField {
                    label: prompt_node
                        .and_then(|node| {
                            if let Kind::String(text) = &node.kind {
                                Some(text.clone())
                            } else {
                                None
                            }
                        })
                        .unwrap_or_default(),
                    name,
                    kind: kind.unwrap_or(QuestionKind::Code),
                })
                .collect(),
            (None, Some(node)) => self.list(node, Self::question_field),
            _ => {
                self.report(
                    &node.place,
                    "`askUser` has either `as`, for one answer, or `fields`, for several",
                );
                Vec::new()
            }
        };
        let tries = fields
            .take("tries")
            .and_then(|node| self.count(node, 1, MOST_TRIES));
        let steps_node = fields.take("steps");
        let steps = steps_node
            .map(|node| self.list(node, Self::step))
            .unwrap_or_default();
        let rejected = fields.take("rejected").map(|node| self.rejection(node));
        if steps
            .iter()
            .any(|step| matches!(step.verb, Verb::AskUser(_)))
        {
            self.report(&node.place, "the steps of a question can't ask another one");
        }
        if tries.is_some_and(|tries| tries > 1) && rejected.is_none() {
            self.report(
                &node.place,
                "`tries` needs `rejected`: what the page shows when the answer was wrong",
            );
        }
        if rejected.is_some() && steps_node.is_none() {
            self.report(
                &node.place,
                "`rejected` needs `steps`: what is done with the answer before it is looked at",
            );
        }
        self.finish(&fields, &[]);
        Some(AskUser {
            prompt: prompt?,
            fields: questions,
            timeout: timeout.unwrap_or(DEFAULT_QUESTION_TIMEOUT),
            tries: u32::try_from(tries.unwrap_or(1)).ok()?,
            steps,
            rejected: required(rejected)?,
        })
    }

    fn rejection(&mut self, node: &Node) -> Option<Rejection> {
        let mut fields = self.fields(node, "`rejected`")?;
        let message = fields.take("message").and_then(|node| self.template(node));
        let when = self.when_in(&mut fields);
        self.finish(&fields, &["response"]);
        Some(Rejection {
            when: when?,
            message,
        })
    }

    fn question_field(&mut self, node: &Node) -> Option<QuestionField> {
        let mut fields = self.fields(node, "a field")?;
        let name = self
            .require(&mut fields, "name")
            .and_then(|node| self.answer(node));
        let kind = fields
            .take("type")
            .and_then(|node| self.question_kind(node));
        let label = fields
            .take("label")
            .and_then(|node| self.text(node))
            .map(str::to_owned);
        self.finish(&fields, &["options"]);
        let name = name?;
        Some(QuestionField {
            label: label.unwrap_or_else(|| name.clone()),
            kind: kind.unwrap_or(QuestionKind::Text),
            name,
        })
    }

    fn question_kind(&mut self, node: &Node) -> Option<QuestionKind> {
        let kinds = [
            QuestionKind::Code,
            QuestionKind::Password,
            QuestionKind::Text,
        ];
        let name = self.text(node)?;
        let kind = kinds.into_iter().find(|kind| kind.name() == name);
        match (kind, name) {
            (None, "choice" | "confirmation") => self.report(
                &node.place,
                format!("the type `{name}` is not supported yet"),
            ),
            (None, _) => {
                let suggestion = closest(name, kinds.map(QuestionKind::name));
                self.suggest(
                    &node.place,
                    format!("there is no type `{name}`, there are code, password, text"),
                    suggestion,
                );
            }
            _ => {}
        }
        kind
    }

    fn download(&mut self, node: &Node) -> Option<Verb> {
        let mut fields = self.fields(node, "`download`")?;
        let click = self
            .require(&mut fields, "click")
            .and_then(|node| self.locator(node));
        let file_name = fields
            .take("fileName")
            .and_then(|node| self.file_name(node));
        self.finish(&fields, &["url", "as"]);
        Some(Verb::Download {
            click: click?,
            file_name,
        })
    }

    fn screenshot(&mut self, node: &Node) -> Option<Screenshot> {
        if matches!(node.kind, Kind::Null) && node.swallowed.is_none() {
            return Some(Screenshot {
                file_name: None,
                full_page: false,
                element: None,
                mask: Vec::new(),
            });
        }
        let mut fields = self.fields(node, "`screenshot`")?;
        let file_name = fields
            .take("fileName")
            .and_then(|node| self.file_name(node));
        let full_page = fields
            .take("fullPage")
            .and_then(|node| self.boolean(node))
            .unwrap_or(false);
        let mask = fields
            .take("mask")
            .map(|node| self.list(node, Self::locator))
            .unwrap_or_default();
        let element = if Self::has_locator(&fields) {
            Some(self.locator_in(&mut fields)?)
        } else {
            None
        };
        self.finish(&fields, &[]);
        Some(Screenshot {
            file_name,
            full_page,
            element,
            mask,
        })
    }

    fn assert(&mut self, node: &Node) -> Option<Verb> {
        let mut fields = self.fields(node, "`assert`")?;
        let message = fields.take("message").and_then(|node| self.template(node));
        let when = self.when_in(&mut fields);
        self.finish(&fields, &["response"]);
        Some(Verb::Assert {
            when: when?,
            message,
        })
    }

    fn fail(&mut self, node: &Node) -> Option<Verb> {
        let mut fields = self.fields(node, "`fail`")?;
        let code = self.require(&mut fields, "code").and_then(|node| {
            let code = self.text(node)?;
            let is_code = (1..=64).contains(&code.len())
                && code
                    .chars()
                    .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
            if !is_code {
                self.report(
                    &node.place,
                    format!("`{code}` is not a code: write it like `ACCOUNT_LOCKED`"),
                );
            }
            is_code.then(|| code.to_owned())
        });
        let message = self
            .require(&mut fields, "message")
            .and_then(|node| self.template(node));
        let condition = fields.take("if").map(|node| self.expression(node));
        self.finish(&fields, &[]);
        Some(Verb::Fail {
            code: code?,
            message: message?,
            condition: required(condition)?,
        })
    }

    fn end_with_no_action(&mut self, node: &Node) -> Option<Verb> {
        let mut fields = self.fields(node, "`endWithNoAction`")?;
        let reason = self
            .require(&mut fields, "reason")
            .and_then(|node| self.template(node));
        let condition = fields.take("if").map(|node| self.expression(node));
        self.finish(&fields, &[]);
        Some(Verb::EndWithNoAction {
            reason: reason?,
            condition: required(condition)?,
        })
    }
}

/// Tells "not written" (`Some(None)`) from "written, and wrong" (`None`).
fn required<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(None) => None,
        Some(Some(value)) => Some(Some(value)),
    }
}

fn has_key(node: &Node, key: &str) -> bool {
    matches!(&node.kind, Kind::Mapping(entries) if entries.iter().any(|entry| entry.key == key))
}
