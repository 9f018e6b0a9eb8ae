//! Writes a workflow as YAML: plain keys, quoted texts, one line for what is small.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::outline::{Document, Item};

/// How long a value may be that stands on one line.
const MOST_INLINE_CHARS: usize = 100;

impl Document {
    /// The whole text. Writing to a text can't fail.
    pub(super) fn to_text(&self, warnings: &[String], secrets: &BTreeSet<String>) -> String {
        let mut text = String::from("# Made of a recording of the Chrome DevTools Recorder.\n");
        if !secrets.is_empty() {
            let names: Vec<_> = secrets.iter().map(String::as_str).collect();
            let _ = writeln!(text, "# It needs the secrets: {}.", names.join(", "));
        }
        if !warnings.is_empty() {
            text.push_str("# Not translated, or not wholly; each stands below where it belongs:\n");
            for warning in warnings {
                let _ = writeln!(text, "#   {}", one_line(warning));
            }
        }
        let _ = writeln!(text, "name: {}", inline(&json!(self.title)));
        if !self.origins.is_empty() {
            let origins: Vec<_> = self.origins.iter().collect();
            let _ = writeln!(text, "allowedOrigins: {}", inline(&json!(origins)));
        }
        if let Some((width, height)) = self.viewport {
            let _ = writeln!(
                text,
                "browser: {{ viewport: {{ width: {width}, height: {height} }} }}"
            );
        }
        text.push_str("states:\n");
        for state in &self.states {
            let _ = writeln!(text, "  - name: {}\n    steps:", state.name);
            for item in &state.items {
                match item {
                    Item::Comment(comment) => {
                        let _ = writeln!(text, "      # {}", one_line(comment));
                    }
                    Item::Step(step) => {
                        text.push_str("      - ");
                        block(step, 8, &mut text);
                    }
                }
            }
        }
        text
    }
}

/// What is said in a comment stays in it.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') {
                ' '
            } else {
                c
            }
        })
        .collect()
}

/// Writes a map whose first key follows on the present line, and ends the line.
fn block(value: &Value, indent: usize, text: &mut String) {
    let Value::Object(entries) = value else {
        let _ = writeln!(text, "{}", inline(value));
        return;
    };
    for (index, (key, value)) in entries.iter().enumerate() {
        if index > 0 {
            let _ = write!(text, "{:indent$}", "");
        }
        let flat = inline(value);
        match value {
            Value::Null => {
                let _ = writeln!(text, "{key}:");
            }
            Value::Array(items) if flat.chars().count() > MOST_INLINE_CHARS => {
                let _ = writeln!(text, "{key}:");
                for item in items {
                    let _ = write!(text, "{:1$}- ", "", indent + 2);
                    let flat = inline(item);
                    if flat.chars().count() > MOST_INLINE_CHARS {
                        block(item, indent + 4, text);
                    } else {
                        let _ = writeln!(text, "{flat}");
                    }
                }
            }
            Value::Object(entries)
                if flat.chars().count() > MOST_INLINE_CHARS && !entries.is_empty() =>
            {
                let _ = write!(text, "{key}:\n{:1$}", "", indent + 2);
                block(value, indent + 2, text);
            }
            _ => {
                let _ = writeln!(text, "{key}: {flat}");
            }
        }
    }
}

/// Writes a value on one line. A JSON text is a double-quoted text of YAML.
fn inline(value: &Value) -> String {
    match value {
        Value::Object(entries) if entries.is_empty() => "{}".to_owned(),
        Value::Object(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|(key, value)| format!("{key}: {}", inline(value)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Value::String(text) if is_plain(text) => text.clone(),
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

/// Whether YAML reads this text, without quotes, as the same text wherever it stands.
fn is_plain(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' ' | '/'))
        && !text.ends_with(' ')
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
        )
}

/// A text in double quotes. What JSON leaves as it is and YAML doesn't take is escaped.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control()
                || matches!(
                    c,
                    '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
                ) =>
            {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
