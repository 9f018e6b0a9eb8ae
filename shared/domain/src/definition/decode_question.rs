//! Decodes `askUser`.

use std::time::Duration;

use super::decode::Decoder;
use super::fields::Fields;
use super::grammar_steps::{ASK_USER, QUESTION_FIELD, REJECTED};
use super::names::Holds;
use super::node::{Kind, Node};
use super::problem::Rule;
use super::question::{AskUser, QuestionField, QuestionKind, Rejection};
use super::step::most_questions;
use super::typed::Typed;

/// How long a person has to answer if the step doesn't say so.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// How long a label or an option may be, in characters.
const MOST_LABEL_CHARS: usize = 200;

impl Decoder<'_> {
    /// Reads an `askUser`. Its answers exist from its own steps on.
    pub(super) fn ask_user(&mut self, node: &Node) -> Option<AskUser> {
        let mut fields = self.fields(node, &ASK_USER)?;
        let prompt = fields.take("prompt").and_then(|node| self.template(node));
        let timeout = fields
            .take("timeout")
            .and_then(|node| self.time_limit(node));
        let answer = fields.take("as");
        let kind = self.question_kind_in(&mut fields, QuestionKind::Code);
        let options = self.options_in(&mut fields, kind);
        let questions: Vec<QuestionField> = match (answer, fields.take("fields")) {
            (Some(node), _) => self
                .answer(node)
                .into_iter()
                .map(|name| QuestionField {
                    label: None,
                    name,
                    kind,
                    options: options.clone(),
                })
                .collect(),
            (None, Some(node)) => {
                if fields.has("type") || fields.has("options") {
                    self.report(
                        &node.place,
                        Rule::KeysConflict,
                        "`type` and `options` stand in each of the `fields`",
                    );
                }
                let questions = self.some(node, "field", Self::question_field);
                self.check_question_names(node, &questions);
                questions
            }
            (None, None) => Vec::new(),
        };
        for question in questions.iter().filter(|question| question.kind.is_open()) {
            self.define(&question.name, Holds::Anything);
        }
        let tries = self.take_count(&mut fields, "tries");
        let steps = fields
            .take("steps")
            .map(|node| self.steps(node))
            .unwrap_or_default();
        let rejected = fields.take("rejected").map(|node| self.rejection(node));
        if most_questions(&steps) > 0 {
            self.report(
                &node.place,
                Rule::KeysConflict,
                "the steps of a question can't ask another one",
            );
        }
        if tries.is_some_and(|tries| tries > 1) && rejected.is_none() {
            self.report(
                &node.place,
                Rule::KeysConflict,
                "`tries` needs `rejected`: what the page shows when the answer was wrong",
            );
        }
        Some(AskUser {
            prompt: prompt?,
            fields: questions,
            timeout: timeout.unwrap_or(Typed::Fixed(DEFAULT_TIMEOUT)),
            tries: u32::try_from(tries.unwrap_or(1)).ok()?,
            steps,
            rejected: match rejected {
                None => None,
                Some(rejected) => Some(rejected?),
            },
        })
    }

    fn check_question_names(&mut self, node: &Node, questions: &[QuestionField]) {
        for (index, question) in questions.iter().enumerate() {
            if questions[..index]
                .iter()
                .any(|other| other.name == question.name)
            {
                let message = format!("two fields are named `{}`", question.name);
                self.report(&node.place, Rule::DuplicateName, message);
            }
        }
    }

    fn rejection(&mut self, node: &Node) -> Option<Rejection> {
        let mut fields = self.fields(node, &REJECTED)?;
        let message = fields.take("message").and_then(|node| self.template(node));
        let when = self.when_in(&mut fields);
        Some(Rejection {
            when: when?,
            message,
        })
    }

    fn question_field(&mut self, node: &Node) -> Option<QuestionField> {
        let mut fields = self.fields(node, &QUESTION_FIELD)?;
        let name = fields.take("name").and_then(|node| self.answer(node));
        let kind = self.question_kind_in(&mut fields, QuestionKind::Text);
        let label = fields
            .take("label")
            .and_then(|node| self.fixed_text(node, MOST_LABEL_CHARS));
        let options = self.options_in(&mut fields, kind);
        let name = name?;
        Some(QuestionField {
            label: Some(label.unwrap_or_else(|| name.clone())),
            kind,
            options,
            name,
        })
    }

    fn question_kind_in(&mut self, fields: &mut Fields<'_>, default: QuestionKind) -> QuestionKind {
        let word = self.take_word(fields, "type");
        QuestionKind::ALL
            .into_iter()
            .find(|kind| Some(kind.name()) == word)
            .unwrap_or(default)
    }

    fn options_in(&mut self, fields: &mut Fields<'_>, kind: QuestionKind) -> Vec<String> {
        let place = fields.place;
        let options = fields.take("options").map(|node| {
            let options = self.list(node, |decoder, node| {
                decoder.fixed_text(node, MOST_LABEL_CHARS)
            });
            if matches!(&node.kind, Kind::Sequence(items) if items.len() < 2) {
                self.report(
                    &node.place,
                    Rule::OutOfBounds,
                    "a choice is among at least two options",
                );
            }
            options
        });
        match (&options, kind) {
            (None, QuestionKind::Choice) => self.report(
                place,
                Rule::KeysConflict,
                "a `choice` needs `options`: among what the person chooses",
            ),
            (Some(_), kind) if kind != QuestionKind::Choice => {
                self.report(place, Rule::KeysConflict, "`options` are for a `choice`");
            }
            _ => {}
        }
        options.unwrap_or_default()
    }
}
