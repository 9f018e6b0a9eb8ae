//! What was read from a page, to typed values. Pure.

use domain::definition::{FieldKind, FieldSpec};
use serde_json::{Number, Value};
use url::Url;

/// Makes the typed value of a cell. `page` is the URL that links are relative to; the error says what is wrong.
pub(crate) fn convert(
    cell: Option<&str>,
    spec: &FieldSpec,
    page: Option<&Url>,
) -> Result<Value, String> {
    let text = cell.map(str::trim);
    let value = match (text, spec.kind) {
        (None, _) => Value::Null,
        (Some(""), FieldKind::Number | FieldKind::Boolean | FieldKind::Link) => Value::Null,
        (Some(text), FieldKind::Text) => Value::from(text),
        (Some(text), FieldKind::Number) => Value::Number(number(text)?),
        (Some(text), FieldKind::Boolean) => Value::Bool(boolean(text)?),
        (Some(text), FieldKind::Link) => Value::from(link(text, page)?),
    };
    let is_missing = value.is_null() || value == "";
    if spec.required && is_missing {
        return Err(if cell.is_none() {
            "its element is missing"
        } else {
            "it is empty"
        }
        .to_owned());
    }
    Ok(value)
}

/// Reads `$84,250.00`, `-3`, `(1,200.50)`, `EUR 7`, `12 €`: a decimal point, commas between thousands, a currency.
fn number(text: &str) -> Result<Number, String> {
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
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let is_grouped = groups.clone().count() == 0
        || (1..=3).contains(&first.len()) && groups.all(|group| group.len() == 3);
    let are_digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let whole = whole.replace(',', "");
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

fn link(text: &str, page: Option<&Url>) -> Result<String, String> {
    let url = page.map_or_else(|| Url::parse(text), |page| page.join(text));
    url.map(String::from)
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
            required: false,
        };
        convert(
            Some(text),
            &spec,
            Url::parse("https://a.test/list/").ok().as_ref(),
        )
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
            assert_eq!(read(text, FieldKind::Number), Ok(value), "{text}");
        }
        for text in [
            "abc", "1.234,56", "12,34", "1.2.3", "1-2", "5 of 7", "$", "--5", "KM7", "1e5",
        ] {
            assert!(read(text, FieldKind::Number).is_err(), "{text}");
        }
    }

    #[test]
    fn booleans_and_links_are_read_and_what_is_neither_is_refused() {
        assert_eq!(read("Yes", FieldKind::Boolean), Ok(json!(true)));
        assert!(read("maybe", FieldKind::Boolean).is_err());
        assert_eq!(
            read("../x?y=1", FieldKind::Link),
            Ok(json!("https://a.test/x?y=1"))
        );
    }

    #[test]
    fn a_required_cell_must_have_a_value() {
        let spec = FieldSpec {
            locator: None,
            read: Read::Text,
            kind: FieldKind::Text,
            required: true,
        };
        assert!(convert(Some("  "), &spec, None).is_err());
        assert!(convert(None, &spec, None).is_err());
        assert_eq!(convert(Some(" x "), &spec, None), Ok(json!("x")));
    }
}
