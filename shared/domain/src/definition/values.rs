//! Reads single values: texts, templates, numbers, durations, words, lists and maps.

use std::time::Duration;

use indexmap::IndexMap;

use super::data::Data;
use super::decode::Decoder;
use super::duration;
use super::expression::Expression;
use super::fields::Fields;
use super::node::{Entry, Kind, Node};
use super::problem::{Rule, closest};
use super::scope::describe;
use super::template::Template;
use super::typed::{Bounds, Parameter, Typed};

impl Decoder<'_> {
    /// Reads a list.
    pub(super) fn list<T>(
        &mut self,
        node: &Node,
        mut item: impl FnMut(&mut Self, &Node) -> Option<T>,
    ) -> Vec<T> {
        if let Kind::Sequence(items) = &node.kind {
            let mut read = Vec::with_capacity(items.len().min(1_000));
            for node in items {
                if self.has_seen_enough() {
                    break;
                }
                read.extend(item(self, node));
            }
            return read;
        }
        self.wrong_kind(node, "a list");
        Vec::new()
    }

    /// Reads a list that isn't empty.
    pub(super) fn some<T>(
        &mut self,
        node: &Node,
        what: &str,
        item: impl FnMut(&mut Self, &Node) -> Option<T>,
    ) -> Vec<T> {
        if matches!(&node.kind, Kind::Sequence(items) if items.is_empty()) {
            self.report(
                &node.place,
                Rule::Empty,
                format!("here must be at least one {what}"),
            );
        }
        self.list(node, item)
    }

    /// Reads a map whose keys are the definition's own.
    pub(super) fn map<T>(
        &mut self,
        node: &Node,
        mut value: impl FnMut(&mut Self, &Entry, &Node) -> Option<T>,
    ) -> IndexMap<String, T> {
        if let Kind::Mapping(entries) = &node.kind {
            let mut read = IndexMap::new();
            for entry in entries {
                if self.has_seen_enough() {
                    break;
                }
                if let Some(value) = value(self, entry, &entry.value) {
                    read.insert(entry.key.clone(), value);
                }
            }
            return read;
        }
        self.wrong_kind(node, "a map");
        IndexMap::new()
    }

    /// Reads a text.
    pub(super) fn text<'n>(&mut self, node: &'n Node) -> Option<&'n str> {
        if let Kind::String(text) = &node.kind {
            return Some(text);
        }
        if node.swallowed.is_none() && matches!(node.kind, Kind::Number(_) | Kind::Bool(_)) {
            let message = format!(
                "here must be a text, and this is {}: put it in quotes",
                node.describe()
            );
            self.report(&node.place, Rule::WrongKind, message);
            return None;
        }
        self.wrong_kind(node, "a text");
        None
    }

    /// Reads a text whose length is bounded.
    pub(super) fn short_text(&mut self, node: &Node, most_chars: usize) -> Option<String> {
        let text = self.text(node)?;
        if text.trim().is_empty() || text.chars().count() > most_chars {
            self.report(
                &node.place,
                Rule::OutOfBounds,
                format!("here must be 1 to {most_chars} characters"),
            );
            return None;
        }
        Some(text.to_owned())
    }

    /// Reads a text of bounded length that is the same in every run.
    pub(super) fn fixed_text(&mut self, node: &Node, most_chars: usize) -> Option<String> {
        let text = self.short_text(node, most_chars)?;
        self.refuse_template(node, &text);
        Some(text)
    }

    /// Reports a template where it would be taken for text.
    pub(super) fn refuse_template(&mut self, node: &Node, text: &str) {
        if text.contains("{{") {
            self.report(
                &node.place,
                Rule::BadExpression,
                "this can't be a template: it is the same in every run",
            );
        }
    }

    /// Reads a template that may not hold secrets.
    pub(super) fn template(&mut self, node: &Node) -> Option<Template> {
        let template = self.sensitive_template(node)?;
        if template.is_secret() {
            self.refuse_secret(node);
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
                    if let Some(Err(error)) = expression.constant() {
                        self.report(&node.place, Rule::BadExpression, error.to_string());
                    }
                    self.check_labour(expression, node);
                }
                Some(template)
            }
            Err(wrong) => {
                self.suggest(&node.place, wrong.rule, wrong.message, wrong.suggestion);
                None
            }
        }
    }

    /// Reports a constant expression that takes much work, and fails all the same.
    fn check_labour(&mut self, expression: &Expression, node: &Node) {
        if self.laborious > 0 && expression.is_laborious() {
            self.laborious -= 1;
            if let Some(error) = expression.failure() {
                self.report(&node.place, Rule::BadExpression, error.to_string());
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
                self.refuse_secret(node);
                None
            }
            Ok(expression) => {
                self.check_names(&expression, &node.place);
                match expression.constant() {
                    Some(Err(error)) => {
                        self.report(&node.place, Rule::BadExpression, error.to_string());
                    }
                    Some(Ok(value)) if !value.is_boolean() => {
                        let message = format!(
                            "a condition must be true or false, and `{}` is {}",
                            expression.source(),
                            describe(&value)
                        );
                        self.report(&node.place, Rule::BadExpression, message);
                    }
                    Some(Ok(_)) | None => {}
                }
                self.check_labour(&expression, node);
                Some(expression)
            }
            Err(wrong) => {
                self.suggest(&node.place, wrong.rule, wrong.message, wrong.suggestion);
                None
            }
        }
    }

    /// Reads JSON in which texts are templates.
    pub(super) fn data(&mut self, node: &Node) -> Option<Data> {
        if let (Some(swallowed), Kind::Null) = (node.swallowed, &node.kind) {
            self.report(&node.place, Rule::SwallowedByYaml, swallowed);
            return None;
        }
        Some(match &node.kind {
            Kind::Null | Kind::Bool(_) | Kind::Number(_) => Data::Fixed(node.to_value()),
            Kind::String(_) => Data::Template(self.template(node)?),
            Kind::Sequence(_) => Data::List(self.list(node, Self::data)),
            Kind::Mapping(_) => Data::Map(self.map(node, |decoder, _, node| decoder.data(node))),
        })
    }

    /// Reads one of several words.
    pub(super) fn word(
        &mut self,
        node: &Node,
        words: &'static [&'static str],
    ) -> Option<&'static str> {
        let text = self.text(node)?;
        let word = words.iter().find(|word| **word == text);
        if word.is_none() {
            let message = format!("`{text}` is not one of {}", words.join(", "));
            let suggestion = closest(text, words.iter().copied());
            self.suggest(&node.place, Rule::UnknownWord, message, suggestion);
        }
        word.copied()
    }

    /// Takes one of the words that the grammar allows.
    pub(super) fn take_word(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
    ) -> Option<&'static str> {
        let words = fields.words(key);
        fields.take(key).and_then(|node| self.word(node, words))
    }

    /// Reads `true` or `false`, written out.
    pub(super) fn flag(&mut self, node: &Node) -> Option<bool> {
        if let Kind::Bool(value) = node.kind {
            return Some(value);
        }
        self.wrong_kind(node, "true or false");
        None
    }

    /// Reads `true` or `false`, or a template that makes one.
    pub(super) fn typed_flag(&mut self, node: &Node) -> Option<Typed<bool>> {
        match self.computed(node) {
            Some(template) => self.typed(node, template?, ()),
            None => self.flag(node).map(Typed::Fixed),
        }
    }

    /// Reads a whole number, written out.
    pub(super) fn count(&mut self, node: &Node, bounds: Bounds) -> Option<i64> {
        if let Kind::Number(number) = &node.kind
            && let Some(count) = number.as_i64()
            && (bounds.least..=bounds.most).contains(&count)
        {
            return Some(count);
        }
        let rule = if matches!(node.kind, Kind::Number(_)) {
            Rule::OutOfBounds
        } else {
            Rule::WrongKind
        };
        let message = format!(
            "here must be a whole number from {} to {}",
            bounds.least, bounds.most
        );
        self.report(&node.place, rule, message);
        None
    }

    /// Takes a whole number that is written out.
    pub(super) fn take_count(&mut self, fields: &mut Fields<'_>, key: &'static str) -> Option<i64> {
        let bounds = fields.bounds(key);
        fields.take(key).and_then(|node| self.count(node, bounds))
    }

    /// Takes a whole number, or a template that makes one.
    pub(super) fn take_typed_count(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
    ) -> Option<Typed<i64>> {
        let bounds = fields.bounds(key);
        let node = fields.take(key)?;
        match self.computed(node) {
            Some(template) => self.typed(node, template?, bounds),
            None => self.count(node, bounds).map(Typed::Fixed),
        }
    }

    /// Reads a duration, written out.
    pub(super) fn duration(&mut self, node: &Node) -> Option<Duration> {
        if let Kind::Number(number) = &node.kind {
            let message = format!("a duration has a unit: write `{number}s` or `{number}ms`");
            self.report(&node.place, Rule::BadDuration, message);
            return None;
        }
        let text = self.text(node)?;
        duration::parse(text)
            .map_err(|message| self.report(&node.place, Rule::BadDuration, message))
            .ok()
    }

    /// Reads a duration, or a template that makes one.
    pub(super) fn typed_duration(&mut self, node: &Node) -> Option<Typed<Duration>> {
        match self.computed(node) {
            Some(template) => self.typed(node, template?, ()),
            None => self.duration(node).map(Typed::Fixed),
        }
    }

    /// Reads how long something may take: longer than no time at all.
    pub(super) fn time_limit(&mut self, node: &Node) -> Option<Typed<Duration>> {
        let limit = self.typed_duration(node)?;
        if limit.fixed() == Some(Duration::ZERO) {
            self.refuse_no_time(node);
        }
        Some(limit)
    }

    /// Reports that something may take no time at all.
    pub(super) fn refuse_no_time(&mut self, node: &Node) {
        self.report(
            &node.place,
            Rule::OutOfBounds,
            "nothing can be done in no time: here must be at least `1ms`",
        );
    }

    /// Reads the template that stands instead of a typed value; `None` if there is none.
    fn computed(&mut self, node: &Node) -> Option<Option<Template>> {
        match &node.kind {
            Kind::String(text) if text.contains("{{") => Some(self.template(node)),
            _ => None,
        }
    }

    /// Makes a parameter of a template, and checks its value if it is known beforehand.
    fn typed<T: Parameter>(
        &mut self,
        node: &Node,
        template: Template,
        limits: T::Limits,
    ) -> Option<Typed<T>> {
        let constant = template.only_expression().and_then(Expression::constant);
        if let Some(Ok(value)) = constant
            && let Err(message) = T::from_value(&value, limits)
        {
            self.report(&node.place, Rule::WrongKind, message);
            return None;
        }
        Some(Typed::Computed { template, limits })
    }

    /// Reports that a value is of another kind than `wanted`.
    pub(super) fn wrong_kind(&mut self, node: &Node, wanted: &str) {
        match node.swallowed {
            Some(swallowed) => self.report(&node.place, Rule::SwallowedByYaml, swallowed),
            None => {
                let message = format!("here must be {wanted}, and there is {}", node.describe());
                self.report(&node.place, Rule::WrongKind, message);
            }
        }
    }

    fn refuse_secret(&mut self, node: &Node) {
        self.report(
            &node.place,
            Rule::SecretUse,
            "a secret can't be used here: it may only be filled or typed into a field, or told to the browser's proxy",
        );
    }
}
