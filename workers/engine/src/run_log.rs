//! A run's own log: one JSON line for each step and state. Whoever stores it masks the values of secrets in it.

use std::time::Duration;

use domain::FailureCode;
use serde::Serialize;
use tokio::time::Instant;

/// How large a log may become, in bytes; what comes after is counted, not kept.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// The log of one execution. Times are milliseconds since it began.
pub(crate) struct RunLog {
    began: Instant,
    lines: String,
    left_out: usize,
}

/// One line.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry<'e> {
    pub(crate) event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) step: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) duration_ms: Option<u64>,
    /// What the step acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<&'e str>,
    /// What it waited for, or checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) awaited: Option<&'e str>,
    /// What it found, or made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) found: Option<&'e str>,
    /// What kind of failure it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<FailureCode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<&'e str>,
}

/// What the log says about a step beside its time and its result.
#[derive(Debug, Default)]
pub(crate) struct Note {
    /// What it acted on.
    pub(crate) target: Option<String>,
    /// What it waited for, or checked.
    pub(crate) awaited: Option<String>,
    /// What it found, or made.
    pub(crate) found: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'e> {
    at_ms: u64,
    #[serde(flatten)]
    entry: Entry<'e>,
}

impl RunLog {
    pub(crate) fn begin() -> Self {
        Self {
            began: Instant::now(),
            lines: String::new(),
            left_out: 0,
        }
    }

    pub(crate) fn write(&mut self, entry: Entry<'_>) {
        if self.lines.len() > MOST_BYTES {
            self.left_out += 1;
            return;
        }
        let line = Line {
            at_ms: milliseconds(self.began.elapsed()),
            entry,
        };
        if let Ok(line) = serde_json::to_string(&line) {
            self.lines.push_str(&line);
            self.lines.push('\n');
        }
    }

    /// Gives the whole log as JSON lines.
    pub(crate) fn into_text(mut self) -> String {
        if self.left_out > 0 {
            self.lines.push_str(&format!(
                "{{\"event\":\"lines_left_out\",\"count\":{}}}\n",
                self.left_out
            ));
        }
        self.lines
    }
}

/// Whole milliseconds.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
