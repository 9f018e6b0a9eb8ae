//! Decodes the verbs that wait, decide, repeat, compute and end.

use indexmap::IndexMap;
use serde_json::Value;

use super::data::Data;
use super::decode::Decoder;
use super::expression::Expression;
use super::fields::Fields;
use super::grammar_steps::{
    ASSERT, AWAIT_RESPONSE, END, EVALUATE, FAIL, FOR_EACH, FRAME, IF, PAUSE, RESPONSE, TAB,
};
use super::names::Holds;
use super::node::{Kind, Node};
use super::problem::Rule;
use super::step::{ForEach, Items, ResponsePattern, Tab, Verb};

/// How many items a loop may have if it doesn't say so.
const DEFAULT_MAX_ITEMS: i64 = 1_000;

impl Decoder<'_> {
    /// Reads a `waitFor`.
    pub(super) fn wait_for(&mut self, node: &Node) -> Option<Verb> {
        let has = |key: &str| matches!(&node.kind, Kind::Mapping(entries) if entries.iter().any(|entry| entry.key == key));
        if has("time") {
            let mut fields = self.fields(node, &PAUSE)?;
            let time = fields
                .take("time")
                .and_then(|node| self.typed_duration(node));
            return time.map(Verb::Pause);
        }
        if has("response") {
            return self.await_response(node);
        }
        self.awaited(node).map(Verb::WaitFor)
    }

    fn await_response(&mut self, node: &Node) -> Option<Verb> {
        let mut fields = self.fields(node, &AWAIT_RESPONSE)?;
        let pattern = fields.take("response").and_then(|node| self.response(node));
        let during = fields.take("during").map(|node| self.steps(node));
        let holds = Holds::record(&["url", "status", "body"]);
        let variable = self.take_variable(&mut fields, "as", holds);
        Some(Verb::AwaitResponse {
            pattern: pattern?,
            during: during.unwrap_or_default(),
            variable,
        })
    }

    fn response(&mut self, node: &Node) -> Option<ResponsePattern> {
        if !matches!(node.kind, Kind::Mapping(_)) {
            let url = self.template(node)?;
            return Some(ResponsePattern {
                url,
                method: None,
                status: None,
            });
        }
        let mut fields = self.fields(node, &RESPONSE)?;
        let url = fields.take("url").and_then(|node| self.template(node));
        let method = self.take_word(&mut fields, "method");
        let status = self.take_typed_count(&mut fields, "status");
        Some(ResponsePattern {
            url: url?,
            method,
            status,
        })
    }

    /// Reads a `set`. Each variable exists for those after it.
    pub(super) fn set(&mut self, node: &Node) -> IndexMap<String, Data> {
        if matches!(&node.kind, Kind::Mapping(entries) if entries.is_empty()) {
            self.report(&node.place, Rule::Empty, "`set` sets at least one variable");
        }
        self.map(node, |decoder, entry, node| {
            let data = decoder.data(node);
            if decoder.check_name(&entry.key, &entry.key_place) {
                decoder.define(&entry.key, Holds::Anything);
            }
            data
        })
    }

    /// Reads an `evaluate`.
    pub(super) fn evaluate(&mut self, node: &Node) -> Option<Verb> {
        if !matches!(node.kind, Kind::Mapping(_)) {
            return self.script(node).map(|script| Verb::Evaluate {
                script,
                arguments: IndexMap::new(),
                variable: None,
            });
        }
        let mut fields = self.fields(node, &EVALUATE)?;
        let script = fields.take("script").and_then(|node| self.script(node));
        let arguments = fields
            .take("args")
            .map(|node| self.map(node, |decoder, _, node| decoder.data(node)));
        let variable = self.take_variable(&mut fields, "as", Holds::Anything);
        Some(Verb::Evaluate {
            script: script?,
            arguments: arguments.unwrap_or_default(),
            variable,
        })
    }

    /// Reads a `frame`.
    pub(super) fn frame(&mut self, node: &Node) -> Option<Verb> {
        let mut fields = self.fields(node, &FRAME)?;
        let frame = self.locator_in(&mut fields);
        let was_in_frame = std::mem::replace(&mut self.is_in_frame, true);
        let steps = fields.take("steps").map(|node| self.steps(node));
        self.is_in_frame = was_in_frame;
        Some(Verb::Frame {
            frame: frame?,
            steps: steps?,
        })
    }

    /// Reads a `tab`.
    pub(super) fn tab(&mut self, node: &Node) -> Option<Tab> {
        if matches!(node.kind, Kind::String(_)) {
            return self.word(node, &["close"]).map(|_| Tab::Close);
        }
        let mut fields = self.fields(node, &TAB)?;
        match fields.take("open") {
            Some(node) => self.locator(node).map(Tab::Open),
            None => {
                let pattern = fields.take("switch")?;
                self.template(pattern).map(Tab::Switch)
            }
        }
    }

    /// Reads an `if`.
    pub(super) fn if_else(&mut self, node: &Node) -> Option<Verb> {
        let mut fields = self.fields(node, &IF)?;
        let when = self.when_in(&mut fields);
        let constant = when.as_ref().and_then(|when| when.condition.constant());
        let (then, otherwise) = (fields.take("then"), fields.take("else"));
        let never = match constant {
            Some(true) => otherwise.map(|node| (node, "the condition always holds")),
            Some(false) => then.map(|node| (node, "the condition never holds")),
            None => None,
        };
        if let Some((node, why)) = never {
            let message = format!("these steps are never reached: {why}");
            self.report(&node.place, Rule::Unreachable, message);
        }
        let then = then.map(|node| self.steps(node));
        let otherwise = otherwise.map(|node| self.steps(node));
        Some(Verb::If {
            when: when?,
            then: then?,
            otherwise: otherwise.unwrap_or_default(),
        })
    }

    /// Reads a `forEach`. Its variables exist in its steps only.
    pub(super) fn for_each(&mut self, node: &Node) -> Option<ForEach> {
        let mut fields = self.fields(node, &FOR_EACH)?;
        let elements = fields.take("elements");
        let is_elements = elements.is_some();
        let max_items = self
            .take_count(&mut fields, "maxItems")
            .unwrap_or(DEFAULT_MAX_ITEMS);
        let max_items = u32::try_from(max_items).ok()?;
        let items = match elements {
            Some(node) => self.locator(node).map(Items::Elements),
            None => fields
                .take("in")
                .and_then(|node| self.items(node, max_items as usize)),
        };
        let names = ["as", "index"].map(|key| {
            let node = fields.take(key)?;
            let name = self.text(node)?.to_owned();
            if !self.check_name(&name, &node.place) {
                return None;
            }
            if self.is_variable(&name) {
                let message = format!("there is already a variable `{name}`");
                self.report(&node.place, Rule::DuplicateName, message);
            }
            Some(name)
        });
        let [variable, index] = names;
        let holds = match &items {
            Some(Items::Elements(_)) => Holds::record(&["index", "text"]),
            Some(Items::List(Data::Template(list))) => list
                .only_expression()
                .map_or(Holds::Anything, |list| self.names.items_of(list)),
            _ => Holds::Anything,
        };
        let steps_node = fields.take("steps");
        let steps = self.with_variable(variable.as_deref(), holds, |decoder| {
            decoder.with_variable(index.as_deref(), Holds::Anything, |decoder| {
                let element = variable.as_deref().filter(|_| is_elements);
                decoder.with_element(element, |decoder| {
                    steps_node.map(|node| decoder.steps(node))
                })
            })
        });
        Some(ForEach {
            items: items?,
            variable: variable?,
            index,
            max_items,
            steps: steps?,
        })
    }

    fn items(&mut self, node: &Node, max_items: usize) -> Option<Items> {
        let data = self.data(node)?;
        let can_be_a_list = match &data {
            Data::Template(template) => template.only_expression().is_some(),
            Data::List(_) => true,
            Data::Fixed(_) | Data::Map(_) => false,
        };
        if !can_be_a_list {
            self.report(
                &node.place,
                Rule::WrongKind,
                "here must be a list, or exactly one expression that gives one, as `{{ employees }}`",
            );
        }
        if let Data::List(items) = &data {
            if items.is_empty() {
                self.report(
                    &node.place,
                    Rule::Unreachable,
                    "the list is empty, so the steps are never reached",
                );
            }
            if items.len() > max_items {
                let message = format!(
                    "the list has {} items, and the loop takes {max_items}: raise `maxItems`",
                    items.len()
                );
                self.report(&node.place, Rule::OutOfBounds, message);
            }
        }
        Some(Items::List(data))
    }

    /// Reads an `assert`.
    pub(super) fn assert(&mut self, node: &Node) -> Option<Verb> {
        let mut fields = self.fields(node, &ASSERT)?;
        let message = fields.take("message").and_then(|node| self.template(node));
        let when = self.when_in(&mut fields);
        Some(Verb::Assert {
            when: when?,
            message,
        })
    }

    /// Reads a `fail`.
    pub(super) fn fail(&mut self, node: &Node) -> Option<Verb> {
        let mut fields = self.fields(node, &FAIL)?;
        let code = fields.take("code").and_then(|node| {
            let code = self.text(node)?;
            let is_code = (1..=64).contains(&code.len())
                && code
                    .chars()
                    .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
            if !is_code {
                let message = format!("`{code}` is not a code: write it like `ACCOUNT_LOCKED`");
                self.report(&node.place, Rule::BadName, message);
            }
            is_code.then(|| code.to_owned())
        });
        let message = fields.take("message").and_then(|node| self.template(node));
        let condition = self.end_if(&mut fields);
        Some(Verb::Fail {
            code: code?,
            message: message?,
            condition: written(condition)?,
        })
    }

    /// Reads an `endWithNoAction`.
    pub(super) fn end_with_no_action(&mut self, node: &Node) -> Option<Verb> {
        let mut fields = self.fields(node, &END)?;
        let reason = fields.take("reason").and_then(|node| self.template(node));
        let condition = self.end_if(&mut fields);
        Some(Verb::EndWithNoAction {
            reason: reason?,
            condition: written(condition)?,
        })
    }

    /// Takes the `if` of a step that ends the run.
    #[expect(clippy::option_option, reason = "not written, wrong, and right")]
    fn end_if(&mut self, fields: &mut Fields<'_>) -> Option<Option<Expression>> {
        let node = fields.take("if")?;
        let condition = self.expression(node);
        let constant = condition.as_ref().and_then(Expression::constant);
        if let Some(Ok(Value::Bool(false))) = constant {
            self.report(
                &node.place,
                Rule::Unreachable,
                "this never holds, so the step never ends the run",
            );
        }
        Some(condition)
    }
}

/// Tells "not written" (`Some(None)`) from "written, and wrong" (`None`).
#[expect(clippy::option_option, reason = "the three cases are what it is about")]
fn written<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(value) => value.map(Some),
    }
}
