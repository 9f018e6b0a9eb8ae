//! Texts of a page in messages: they are cut, after what must not be seen was taken out of them.

use serde_json::Value;

use crate::Redaction;

/// The marks of the helper script: where a text begins that is to be cut, where that says how long it may be, where it
/// ends.
const MARKS: [char; 3] = ['\u{e0f0}', '\u{e0f1}', '\u{e0f2}'];

/// Cuts the texts that are marked.
pub(crate) fn shorten(value: &mut Value, redaction: &Redaction) {
    match value {
        Value::String(text) if text.contains(MARKS[0]) => *text = shortened(text, redaction),
        Value::Array(items) => items.iter_mut().for_each(|item| shorten(item, redaction)),
        Value::Object(entries) => entries
            .values_mut()
            .for_each(|entry| shorten(entry, redaction)),
        _ => {}
    }
}

fn shortened(text: &str, redaction: &Redaction) -> String {
    let mut pieces = text.split(MARKS[0]);
    let mut whole = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let marked = piece.split_once(MARKS[1]).and_then(|(length, rest)| {
            let (long, rest) = rest.split_once(MARKS[2])?;
            Some((length.parse::<usize>().ok()?, long, rest))
        });
        let Some((length, long, rest)) = marked else {
            // A mark of the page's own.
            whole.push_str(piece);
            continue;
        };
        let long = redaction.apply(long);
        if long.chars().count() > length {
            whole.extend(long.chars().take(length - 1).chain(['…']));
        } else {
            whole.push_str(&long);
        }
        whole.push_str(rest);
    }
    whole
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_is_cut_after_it_was_redacted_so_that_no_half_of_a_secret_is_left() {
        let redaction = Redaction::by(|text| text.replace("swordfish", "•••"));
        let mut value = json!({"many": ["<p>\u{e0f0}8\u{e0f1}my swordfish is long\u{e0f2}</p>", "\u{e0f0}x", 1]});
        shorten(&mut value, &redaction);
        assert_eq!(value, json!({"many": ["<p>my ••• …</p>", "x", 1]}));
        let mut value = json!("\u{e0f0}8\u{e0f1}swordfish\u{e0f2}");
        shorten(&mut value, &redaction);
        assert_eq!(value, json!("•••"));
    }
}
