//! What was read from a page, to typed values. Pure.

use std::collections::HashSet;

use domain::definition::{FieldKind, FieldSpec, NumberStyle};
use serde_json::{Number, Value};
use url::Url;

/// Makes the typed value of a cell; the error says what is wrong. `base` is the URL that links are relative to.
pub(crate) fn convert(cell: Option<String>, spec: &FieldSpec, base: &str) -> Result<Value, String> {
    let is_there = cell.is_some();
    let value = match cell {
        Some(cell) if spec.is_list => list(&cell, spec, base)?,
        Some(cell) => single(cell, &spec.kind, base)?,
        None => Value::Null,
    };
    let is_missing = match &value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    if !is_missing {
        return Ok(value);
    }
    if let Some(default) = &spec.default {
        return Ok(default.clone());
    }
    if spec.required {
        return Err(if !is_there || spec.is_list {
            "its element is missing"
        } else {
            "it is empty"
        }
        .to_owned());
    }
    Ok(value)
}

/// The values of all elements that match: the browser gives their texts as a JSON list.
fn list(cell: &str, spec: &FieldSpec, base: &str) -> Result<Value, String> {
    let texts: Vec<Option<String>> =
        serde_json::from_str(cell).map_err(|_| "it is not a list".to_owned())?;
    texts
        .into_iter()
        .enumerate()
        .map(|(index, text)| match text {
            Some(text) => {
                single(text, &spec.kind, base).map_err(|why| format!("item {}: {why}", index + 1))
            }
            None => Ok(Value::Null),
        })
        .collect()
}

fn single(cell: String, kind: &FieldKind, base: &str) -> Result<Value, String> {
    let text = cell.trim();
    Ok(match kind {
        // Most texts come without white space around them, and there are many.
        FieldKind::Text if text.len() == cell.len() => Value::String(cell),
        FieldKind::Text => Value::from(text),
        _ if text.is_empty() => Value::Null,
        FieldKind::Number(style) => Value::Number(number(text, *style)?),
        FieldKind::Date { format } => Value::from(date(text, format)?),
        FieldKind::Boolean => Value::Bool(boolean(text)?),
        FieldKind::Link => Value::from(link(text, base)?),
    })
}

/// Whether a date's format also has a time.
pub(crate) fn has_time(format: &str) -> bool {
    ["%H", "%I", "%T", "%R", "%k", "%l", "%c", "%r", "%X"]
        .iter()
        .any(|directive| format.contains(directive))
}

/// Reads a date in a notation of strptime, and writes it as ISO 8601 does.
fn date(text: &str, format: &str) -> Result<String, String> {
    let refuse = || format!("`{}` is not a date like `{format}`", shorten(text));
    let read = jiff::fmt::strtime::parse(format, text).map_err(|_| refuse())?;
    if has_time(format) {
        let time = read.to_datetime().map_err(|_| refuse())?;
        return Ok(time.to_string());
    }
    let date = read.to_date().map_err(|_| refuse())?;
    Ok(date.to_string())
}

/// Reads `$84,250.00`, `-3`, `(1,200.50)`, `EUR 7`, `12 €`, or with a comma before the fraction `1.200,50 €` and
/// `1 200,50 zł`: a sign, groups of three, a fraction, a currency.
fn number(text: &str, style: NumberStyle) -> Result<Number, String> {
    let refuse = || format!("`{}` is not a number", shorten(text));
    let is_negative_in_brackets = text.starts_with('(') && text.ends_with(')');
    let inner = if is_negative_in_brackets {
        &text[1..text.len() - 1]
    } else {
        text
    };
    let is_sign = |c: char| matches!(c, '-' | '\u{2212}');
    let is_negative = is_negative_in_brackets || inner.contains(is_sign);
    if inner.matches(is_sign).count() > 1 {
        return Err(refuse());
    }
    let digits = inner
        .trim_matches(|c: char| c.is_whitespace() || is_sign(c) || c == '+' || is_currency(c))
        .trim_start_matches(|c: char| c.is_ascii_uppercase())
        .trim_end_matches(|c: char| c.is_ascii_uppercase())
        .trim_matches(|c: char| c.is_whitespace() || is_sign(c) || is_currency(c));
    let letters = inner.chars().filter(char::is_ascii_uppercase).count();
    let (point, group) = match style {
        NumberStyle::Point => ('.', ','),
        NumberStyle::Comma => (',', '.'),
    };
    let (whole, fraction) = digits.split_once(point).unwrap_or((digits, ""));
    let is_separator = |c: char| c == group || c.is_whitespace() || matches!(c, '\'' | '\u{2019}');
    let separators: HashSet<char> = whole.chars().filter(|c| is_separator(*c)).collect();
    let mut groups = whole.split(is_separator);
    let first = groups.next().unwrap_or_default();
    let is_grouped = separators.is_empty()
        || separators.len() == 1
            && (1..=3).contains(&first.len())
            && groups.all(|group| group.len() == 3);
    let are_digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let whole = whole.replace(is_separator, "");
    if !is_grouped
        || whole.is_empty()
        || !are_digits(&whole)
        || !are_digits(fraction)
        || !matches!(letters, 0 | 3)
    {
        return Err(refuse());
    }
    let sign = if is_negative { "-" } else { "" };
    if fraction.trim_end_matches('0').is_empty()
        && let Ok(integer) = format!("{sign}{whole}").parse::<i64>()
    {
        return Ok(Number::from(integer));
    }
    format!("{sign}{whole}.{fraction}0")
        .parse()
        .ok()
        .and_then(Number::from_f64)
        .ok_or_else(refuse)
}

fn is_currency(c: char) -> bool {
    matches!(
        c,
        '$' | '¢' | '£' | '¤' | '¥' | '฿' | '\u{20A0}'..='\u{20CF}'
    )
}

fn boolean(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "y" | "on" | "1" | "✓" | "✔" => Ok(true),
        "false" | "no" | "n" | "off" | "0" | "✗" | "✘" => Ok(false),
        _ => Err(format!("`{}` is neither true nor false", shorten(text))),
    }
}

/// Makes a link absolute. It is done here and not in the page, since both must be masked before: a joined URL spells some
/// things otherwise.
fn link(text: &str, base: &str) -> Result<String, String> {
    let base = Url::parse(base).ok();
    let options = Url::options().base_url(base.as_ref());
    options
        .parse(text)
        .map(String::from)
        .map_err(|_| format!("`{}` is not a link", shorten(text)))
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= 40 {
        text.to_owned()
    } else {
        text.chars().take(39).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use domain::definition::Read;
    use serde_json::json;

    use super::*;

    fn read(text: &str, kind: FieldKind) -> Result<Value, String> {
        let spec = FieldSpec {
            locator: None,
            read: Read::Text,
            kind,
            is_list: false,
            required: false,
            default: None,
        };
        convert(Some(text.to_owned()), &spec, "https://a.test/list/")
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, value) in [
            ("$84,250.00", json!(84250)),
            ("84250.5", json!(84250.5)),
            ("-3", json!(-3)),
            ("(1,200.50)", json!(-1200.5)),
            ("EUR 7", json!(7)),
            ("12 €", json!(12)),
            ("-$5", json!(-5)),
            ("$-5", json!(-5)),
            (" 0 ", json!(0)),
            ("−4", json!(-4)),
            ("", Value::Null),
        ] {
            assert_eq!(
                read(text, FieldKind::Number(NumberStyle::Point)),
                Ok(value),
                "{text}"
            );
        }
        for text in [
            "abc", "1.234,56", "12,34", "1.2.3", "1-2", "5 of 7", "$", "--5", "KM7", "1e5",
        ] {
            assert!(
                read(text, FieldKind::Number(NumberStyle::Point)).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn numbers_are_read_as_other_countries_write_them() {
        for (text, value) in [
            ("1.234,56", json!(1234.56)),
            ("1 234,5 zł", Value::Null),
            ("1\u{202f}234,50 €", json!(1234.5)),
            ("12,5", json!(12.5)),
            ("1.234", json!(1234)),
        ] {
            let read = read(text, FieldKind::Number(NumberStyle::Comma));
            match value {
                // A currency's word in small letters is no number to be sure of.
                Value::Null => assert!(read.is_err(), "{text}"),
                value => assert_eq!(read, Ok(value), "{text}"),
            }
        }
        assert_eq!(
            read("1'234.50", FieldKind::Number(NumberStyle::Point)),
            Ok(json!(1234.5))
        );
        assert!(read("1.2,3", FieldKind::Number(NumberStyle::Comma)).is_err());
    }

    #[test]
    fn dates_are_written_as_iso_8601_and_what_is_none_is_refused() {
        let read = |text, format: &str| {
            let format = format.to_owned();
            read(text, FieldKind::Date { format })
        };
        assert_eq!(read("31.05.2026", "%d.%m.%Y"), Ok(json!("2026-05-31")));
        assert_eq!(read("May 3, 2026", "%B %d, %Y"), Ok(json!("2026-05-03")));
        assert_eq!(
            read("2026-05-31 14:05", "%Y-%m-%d %H:%M"),
            Ok(json!("2026-05-31T14:05:00"))
        );
        for wrong in ["31.02.2026", "soon", "2026-05-31", "31.05.2026 x"] {
            assert!(read(wrong, "%d.%m.%Y").is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_list_has_a_value_for_each_element_and_a_default_stands_for_none() {
        let mut spec = FieldSpec {
            locator: None,
            read: Read::Text,
            kind: FieldKind::Number(NumberStyle::Point),
            is_list: true,
            required: false,
            default: None,
        };
        assert_eq!(
            convert(Some(r#"["1", " 2 ", null]"#.to_owned()), &spec, ""),
            Ok(json!([1, 2, null]))
        );
        assert!(
            convert(Some(r#"["1", "x"]"#.to_owned()), &spec, "")
                .is_err_and(|why| why.contains("item 2"))
        );
        spec.default = Some(json!([0]));
        assert_eq!(convert(Some("[]".to_owned()), &spec, ""), Ok(json!([0])));
        spec.is_list = false;
        assert_eq!(convert(Some("".to_owned()), &spec, ""), Ok(json!([0])));
    }

    #[test]
    fn booleans_and_links_are_read_and_what_is_neither_is_refused() {
        assert_eq!(read("Yes", FieldKind::Boolean), Ok(json!(true)));
        assert!(read("maybe", FieldKind::Boolean).is_err());
        assert_eq!(
            read("../x?y=1", FieldKind::Link),
            Ok(json!("https://a.test/x?y=1"))
        );
        // A document that has no place, such as one that a script has written, may still have whole links.
        assert_eq!(
            link("https://b.test", "about:blank"),
            Ok("https://b.test/".to_owned())
        );
        assert_eq!(
            link("x", "about:blank"),
            Err("`x` is not a link".to_owned())
        );
    }

    #[test]
    fn a_required_cell_must_have_a_value() {
        let spec = FieldSpec {
            locator: None,
            read: Read::Text,
            kind: FieldKind::Text,
            is_list: false,
            required: true,
            default: None,
        };
        assert!(convert(Some("  ".to_owned()), &spec, "").is_err());
        assert!(convert(None, &spec, "").is_err());
        assert_eq!(convert(Some(" x ".to_owned()), &spec, ""), Ok(json!("x")));
    }
}
