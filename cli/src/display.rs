//! What a person reads: on a terminal in colour and with the running state on the last line, elsewhere as plain lines.
//! The only place that prints.
#![expect(clippy::print_stdout, reason = "results are for standard output")]
#![expect(clippy::print_stderr, reason = "errors are for standard error")]

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Says one line.
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// Says something beside the result.
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

/// Asks something; the answer stands on the same line.
pub(crate) fn ask(text: &str) {
    eprint!("{text}");
}

/// Says what begins.
pub(crate) fn heading(text: &str) {
    if std::io::stdout().is_terminal() {
        println!("\n\u{1b}[1m{text}\u{1b}[0m");
    } else {
        println!("\n{text}");
    }
}

/// Says what went wrong, with all its causes.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
}

/// A check that held, or didn't.
pub(crate) fn check(what: &str, holds: bool) {
    let mark = if holds { "ok  " } else { "FAIL" };
    let colour = if holds { 32 } else { 31 };
    if std::io::stdout().is_terminal() {
        println!("  \u{1b}[{colour}m{mark}\u{1b}[0m {what}");
    } else {
        println!("  {mark} {what}");
    }
}

/// The states of a run as they happen.
pub(crate) struct Progress {
    spinner: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn begin() -> Self {
        let spinner = std::io::stdout().is_terminal().then(|| {
            let style = ProgressStyle::with_template("  {spinner} {msg} ({elapsed})");
            let spinner = ProgressBar::new_spinner();
            spinner.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            spinner.enable_steady_tick(Duration::from_millis(100));
            spinner
        });
        Self { spinner }
    }

    /// A change that has happened.
    pub(crate) fn say(&self, text: &str) {
        match &self.spinner {
            Some(spinner) => spinner.suspend(|| println!("{text}")),
            None => println!("{text}"),
        }
    }

    /// What is happening now.
    pub(crate) fn now(&self, text: &str) {
        if let Some(spinner) = &self.spinner {
            spinner.set_message(text.to_owned());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}
