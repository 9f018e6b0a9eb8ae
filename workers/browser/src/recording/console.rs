//! What pages write to the console, and exceptions that they don't catch.

use jiff::Timestamp;
use serde_json::Value;

use super::Redaction;
use super::network::cut;
use crate::feed::Event;

/// Longer texts are cut, in characters.
const LONGEST: usize = 10_000;

/// A line of the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleMessage {
    /// When it was written.
    pub at: Timestamp,
    /// The console's method (`log`, `info`, `warning`, `error`, `debug`, …), or the level with which
    /// the browser itself wrote it.
    pub level: String,
    /// The arguments, as the console shows them.
    pub text: String,
    /// The script, or what the browser complains about; empty if that is unknown.
    pub url: String,
    /// The line in it, counted from one.
    pub line: Option<u64>,
}

/// An exception that nobody in the page caught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageError {
    /// When it was thrown.
    pub at: Timestamp,
    /// The exception with its stack, as the browser describes it.
    pub text: String,
    /// The script it was thrown in; empty if that is unknown.
    pub url: String,
    /// The line in it, counted from one.
    pub line: Option<u64>,
}

pub(super) struct Console {
    redaction: Redaction,
    most: usize,
    pub(super) messages: Vec<ConsoleMessage>,
    pub(super) errors: Vec<PageError>,
    pub(super) left_out: u64,
}

impl Console {
    pub(super) fn new(redaction: Redaction, most: usize) -> Self {
        Self {
            redaction,
            most,
            messages: Vec::new(),
            errors: Vec::new(),
            left_out: 0,
        }
    }

    pub(super) fn hear(&mut self, event: &Event) {
        let params = &event.params;
        match event.method.as_str() {
            "Runtime.consoleAPICalled" => {
                let arguments = params["args"].as_array().into_iter().flatten();
                let words: Vec<String> = arguments.map(shown).collect();
                let frame = &params["stackTrace"]["callFrames"][0];
                self.write(params, &params["type"], &words.join(" "), frame);
            }
            "Log.entryAdded" => {
                let entry = &params["entry"];
                self.write(entry, &entry["level"], text(&entry["text"]), entry);
            }
            _ => {
                let details = &params["exceptionDetails"];
                let thrown = &details["exception"];
                let described = thrown["description"].as_str();
                let described = described.map_or_else(
                    || format!("{} {}", text(&details["text"]), shown(thrown)),
                    str::to_owned,
                );
                if self.errors.len() == self.most {
                    self.left_out += 1;
                    return;
                }
                self.errors.push(PageError {
                    at: at(&params["timestamp"]),
                    text: self.kept(&described),
                    url: self.kept(text(&details["url"])),
                    line: line(details),
                });
            }
        }
    }

    fn write(&mut self, when: &Value, level: &Value, said: &str, place: &Value) {
        if self.messages.len() == self.most {
            self.left_out += 1;
            return;
        }
        self.messages.push(ConsoleMessage {
            at: at(&when["timestamp"]),
            level: text(level).to_owned(),
            text: self.kept(said),
            url: self.kept(text(&place["url"])),
            line: line(place),
        });
    }

    fn kept(&self, text: &str) -> String {
        cut(self.redaction.apply(text), LONGEST)
    }
}

/// A value as the console shows it.
fn shown(value: &Value) -> String {
    match &value["value"] {
        Value::String(text) => text.clone(),
        Value::Null => {
            let described = value["unserializableValue"]
                .as_str()
                .or_else(|| value["description"].as_str())
                .or_else(|| value["subtype"].as_str())
                .or_else(|| value["type"].as_str());
            described.unwrap_or_default().to_owned()
        }
        other => other.to_string(),
    }
}

fn line(place: &Value) -> Option<u64> {
    place["lineNumber"].as_u64().map(|line| line + 1)
}

/// Milliseconds since 1970, as the protocol gives them.
fn at(millis: &Value) -> Timestamp {
    time(millis.as_f64().unwrap_or_default() / 1000.0)
}

/// Seconds since 1970; what is out of range is its beginning.
pub(super) fn time(seconds: f64) -> Timestamp {
    let since = jiff::SignedDuration::try_from_secs_f64(seconds).unwrap_or_default();
    Timestamp::from_duration(since).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
