//! Questions at the prompt: on standard error, so that standard output has the result alone; answers from standard
//! input, hidden while they are typed where they should be.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal};

use anyhow::Context;
use domain::definition::{QuestionField, QuestionKind, Secret};
use engine::Question;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::{Mutex, mpsc};

use crate::display;

/// Nobody can answer.
#[derive(Debug, thiserror::Error)]
#[error("the workflow asks a question, and standard input has ended")]
pub(super) struct NobodyThere;

/// The lines of standard input. A thread of its own reads them, because a read can't be given up: what is typed too
/// late for one question must not hold up the end of the program.
static LINES: Mutex<Option<mpsc::UnboundedReceiver<String>>> = Mutex::const_new(None);

/// Asks for a secret.
pub(super) async fn hidden(name: &str) -> anyhow::Result<Secret> {
    let line = ask(&format!("Secret {name}: "), true).await?;
    Ok(Secret::new(line))
}

/// Asks for each of a question's fields, again where the answer can't be one.
pub(super) async fn answers(question: &Question) -> anyhow::Result<BTreeMap<String, Secret>> {
    if let Some(message) = &question.message {
        display::note(message);
    }
    display::note(&question.prompt);
    let mut answers = BTreeMap::new();
    for field in &question.fields {
        let answer = loop {
            let line = ask(
                &line_for(field, question.label(field)),
                field.kind == QuestionKind::Password,
            )
            .await?;
            match answer(field, line.trim()) {
                Some(answer) => break answer,
                None => display::note("That can't be an answer."),
            }
        };
        answers.insert(field.name.clone(), Secret::new(answer));
    }
    Ok(answers)
}

/// What stands before the answer to a field.
fn line_for(field: &QuestionField, label: &str) -> String {
    match field.kind {
        QuestionKind::Choice => {
            let options: Vec<_> = field
                .options
                .iter()
                .enumerate()
                .map(|(index, option)| format!("  {}. {option}", index + 1))
                .collect();
            format!("{label}\n{}\n{}: ", options.join("\n"), field.name)
        }
        QuestionKind::Confirmation => format!("{label} (yes/no): "),
        QuestionKind::Code | QuestionKind::Password | QuestionKind::Text => {
            format!("{label}: ")
        }
    }
}

/// What a line answers, if it does.
fn answer(field: &QuestionField, line: &str) -> Option<String> {
    match field.kind {
        QuestionKind::Choice => {
            let number = line.parse::<usize>().ok();
            let by_number = number.and_then(|number| field.options.get(number.checked_sub(1)?));
            let by_text = field.options.iter().find(|option| *option == line);
            by_text.or(by_number).cloned()
        }
        QuestionKind::Confirmation => match line.to_lowercase().as_str() {
            "y" | "yes" => Some("yes".to_owned()),
            "n" | "no" => Some("no".to_owned()),
            _ => None,
        },
        QuestionKind::Code | QuestionKind::Password | QuestionKind::Text => {
            (!line.is_empty()).then(|| line.to_owned())
        }
    }
}

async fn ask(label: &str, is_hidden: bool) -> anyhow::Result<String> {
    let _echo = if is_hidden { Echo::off()? } else { None };
    display::ask(label);
    let line = line().await?;
    if is_hidden {
        // The line's end was hidden, too.
        display::note("");
    }
    Ok(line)
}

async fn line() -> anyhow::Result<String> {
    let mut lines = LINES.lock().await;
    let lines = lines.get_or_insert_with(|| {
        let (sender, receiver) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        receiver
    });
    Ok(lines.recv().await.ok_or(NobodyThere)?)
}

/// A terminal that doesn't show what is typed, until this is dropped.
struct Echo(Termios);

impl Echo {
    /// Nothing, where standard input is no terminal.
    fn off() -> anyhow::Result<Option<Self>> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(&stdin).context("the terminal can't be asked")?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Now, &hidden)
            .context("the terminal would show what is typed")?;
        Ok(Some(Self(before)))
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // A terminal that has gone needs none.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_what_its_field_takes() {
        let field = |kind, options: &[&str]| QuestionField {
            name: "a".to_owned(),
            kind,
            label: None,
            options: options.iter().map(ToString::to_string).collect(),
        };
        let choice = field(QuestionKind::Choice, &["Payroll", "2"]);
        assert_eq!(answer(&choice, "1").as_deref(), Some("Payroll"));
        assert_eq!(answer(&choice, "2").as_deref(), Some("2"));
        assert_eq!(answer(&choice, "0"), None);
        assert_eq!(answer(&choice, "payroll"), None);
        let sure = field(QuestionKind::Confirmation, &[]);
        assert_eq!(answer(&sure, "Y").as_deref(), Some("yes"));
        assert_eq!(answer(&sure, "maybe"), None);
        assert_eq!(answer(&field(QuestionKind::Code, &[]), ""), None);
    }
}
