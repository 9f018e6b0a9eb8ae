//! `askUser`: the question, the answer, what is done with it, and the next try.

use std::time::Duration;

use domain::FailureCode;
use domain::definition::{AskUser, QuestionField, QuestionKind};
use serde_json::Value;
use tokio::time::Instant;

use crate::execution::Execution;
use crate::failures::{Fault, Stop};
use crate::host::{Answer, Question};

impl Execution<'_> {
    pub(crate) async fn ask_user(
        &mut self,
        question: &AskUser,
        position: &str,
    ) -> Result<(), Stop> {
        let timeout = question.timeout.get(&self.scope)?;
        let mut message = None;
        for tries_left in (1..=question.tries).rev() {
            self.ask_once(question, timeout, tries_left, message)
                .await?;
            Box::pin(self.execute_steps(position, &question.steps)).await?;
            self.position = Some(position.to_owned());
            let Some(rejected) = &question.rejected else {
                return Ok(());
            };
            if !self.check(&rejected.when).await? {
                return Ok(());
            }
            message = Some(match &rejected.message {
                Some(message) => self.message(&message.text(&self.scope)?),
                None => "That was not accepted".to_owned(),
            });
            self.note.found = message.clone();
        }
        let message = format!(
            "the site refused what was answered, {} times",
            question.tries
        );
        Err(Fault::passing(FailureCode::UserInputRejected, message).into())
    }

    async fn ask_once(
        &mut self,
        question: &AskUser,
        timeout: Duration,
        tries_left: u32,
        message: Option<String>,
    ) -> Result<(), Stop> {
        let asked = Question {
            prompt: self.message(&question.prompt.text(&self.scope)?),
            fields: question.fields.clone(),
            timeout,
            tries_left,
            message,
        };
        if self.is_over {
            let message = "the run is over, and nobody can be asked any more";
            return Err(Fault::lasting(FailureCode::UserInputTimeout, message).into());
        }
        self.note.awaited = Some(format!("an answer to \"{}\"", asked.prompt));
        let screenshot = self.picture_for_question().await;
        let began = Instant::now();
        // Without the browser an answer is of no use, and a code can be used only once.
        let answer = tokio::select! {
            biased;
            error = self.browser.gone() => {
                Err(Fault::from_browser(&error, FailureCode::BrowserCrashed).into())
            }
            answer = self.host.ask_user(asked, screenshot) => answer.map_err(Stop::from),
        };
        self.awaiting_user += began.elapsed();
        let mut values = match answer? {
            Answer::Given(values) => values,
            Answer::TimedOut => {
                let message = format!("nobody answered within {} s", timeout.as_secs());
                return Err(Fault::passing(FailureCode::UserInputTimeout, message).into());
            }
        };
        for field in &question.fields {
            let Some(value) = values.remove(&field.name) else {
                let message = format!("the answer has no `{}`", field.name);
                return Err(Fault::lasting(FailureCode::UserInputRejected, message).into());
            };
            if !is_among_options(field, value.expose()) {
                let message = format!("the answer to `{}` is not one of its options", field.name);
                return Err(Fault::lasting(FailureCode::UserInputRejected, message).into());
            }
            match field.kind {
                QuestionKind::Choice => {
                    self.scope.set(&field.name, &Value::from(value.expose()));
                    self.scope.set_open_answer(&field.name, value);
                }
                QuestionKind::Confirmation => {
                    self.scope
                        .set(&field.name, &Value::from(value.expose() == "yes"));
                    self.scope.set_open_answer(&field.name, value);
                }
                QuestionKind::Code | QuestionKind::Password | QuestionKind::Text => {
                    self.scope.set_answer(&field.name, value);
                }
            }
        }
        self.renew_mask();
        Ok(())
    }
}

/// Whether an answer is one that the field offers; any is, where it offers none.
fn is_among_options(field: &QuestionField, answer: &str) -> bool {
    match field.kind {
        QuestionKind::Choice => field.options.iter().any(|option| option == answer),
        QuestionKind::Confirmation => matches!(answer, "yes" | "no"),
        QuestionKind::Code | QuestionKind::Password | QuestionKind::Text => true,
    }
}
