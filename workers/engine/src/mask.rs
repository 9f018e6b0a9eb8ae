//! Takes the values of secrets out of text that leaves the engine.

use std::fmt::Write as _;
use std::sync::{Arc, PoisonError, RwLock};

use browser::Redaction;
use serde_json::Value;

/// What stands for a secret.
const MASKED: &str = "•••";
/// Shorter values are not masked: they would take ordinary text with them, and show where they were.
const LEAST_CHARS: usize = 4;

/// The characters of a value, each with all the shapes that it takes.
type Shapes = Vec<Vec<String>>;

/// Replaces the values of secrets, in each of the shapes that they take in text, HTML, JSON and URLs, in any letter case.
///
/// What is escaped, and how, differs from place to place (a URL's path and its query, say), so every character of a
/// value is looked for in each of its shapes, whatever shape its neighbours have.
pub struct Mask {
    /// Longest first.
    values: Vec<Shapes>,
    /// The bytes with which a value can begin: most texts have few of them, and most of those begin no value.
    beginnings: [bool; 256],
}

impl Mask {
    /// Makes a mask for these values.
    pub fn new<'v>(values: impl IntoIterator<Item = &'v str>) -> Self {
        let mut values: Vec<Shapes> = values
            .into_iter()
            .map(|value| value.chars().map(shapes).collect())
            .filter(|value: &Shapes| value.len() >= LEAST_CHARS)
            .collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        let mut beginnings = [false; 256];
        let firsts = values.iter().filter_map(|value| value.first()).flatten();
        for byte in firsts.filter_map(|shape| shape.bytes().next()) {
            beginnings[usize::from(byte)] = true;
        }
        Self { values, beginnings }
    }

    /// A mask that masks nothing.
    pub(crate) fn none() -> Self {
        Self::new([])
    }

    /// Gives a value of which no text, and no name in it, holds the values.
    #[must_use]
    pub fn apply_to_value(&self, value: Value) -> Value {
        if self.values.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.apply(&text)),
            Value::Array(items) => items
                .into_iter()
                .map(|item| self.apply_to_value(item))
                .collect(),
            Value::Object(entries) => Value::Object(
                entries
                    .into_iter()
                    .map(|(name, value)| (self.apply(&name), self.apply_to_value(value)))
                    .collect(),
            ),
            // A code of digits comes back as a number where a page or a script makes one of it.
            Value::Number(number) => {
                let text = number.to_string();
                let masked = self.apply(&text);
                if masked == text {
                    Value::Number(number)
                } else {
                    Value::String(masked)
                }
            }
            other => other,
        }
    }

    /// Gives the text without the values.
    #[must_use]
    pub fn apply(&self, text: &str) -> String {
        let mut masked = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = self.possible_beginning(rest) {
            let (before, after) = rest.split_at(start);
            masked.push_str(before);
            let secret = self
                .values
                .iter()
                .find_map(|value| prefix_bytes(after, value));
            let first = after.chars().next().map_or(0, char::len_utf8);
            match secret {
                Some(_) => masked.push_str(MASKED),
                None => masked.push_str(&after[..first]),
            }
            rest = &after[secret.unwrap_or(first)..];
        }
        masked.push_str(rest);
        masked
    }

    /// Gives a PDF without the values in what is plain text in it: its links, its title. What it shows is drawn, as in a
    /// picture. Nothing becomes longer or shorter: a PDF counts its bytes.
    pub(crate) fn apply_to_pdf(&self, mut pdf: Vec<u8>) -> Vec<u8> {
        let is_text = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
        let mut start = 0;
        while start < pdf.len() {
            let length = pdf[start..].iter().take_while(|byte| is_text(byte)).count();
            // Text of ASCII alone always is text.
            let text = String::from_utf8_lossy(&pdf[start..start + length]).into_owned();
            let mut at = 0;
            while let Some(next) = self.possible_beginning(&text[at..]) {
                at += next;
                let found = self
                    .values
                    .iter()
                    .find_map(|value| prefix_bytes(&text[at..], value));
                if let Some(found) = found {
                    pdf[start + at..start + at + found].fill(b'*');
                }
                at += found.unwrap_or(1);
            }
            start += length + 1;
        }
        pdf
    }

    /// Where a value could begin, at the earliest.
    fn possible_beginning(&self, text: &str) -> Option<usize> {
        text.bytes()
            .position(|byte| self.beginnings[usize::from(byte)])
    }
}

/// The mask of a run, which grows with the secrets that the run gets to know. Others may hold it too.
#[derive(Clone)]
pub(crate) struct Masking(Arc<RwLock<Arc<Mask>>>);

impl Default for Masking {
    fn default() -> Self {
        Self(Arc::new(RwLock::new(Arc::new(Mask::none()))))
    }
}

impl Masking {
    /// The mask as it is now.
    pub(crate) fn mask(&self) -> Arc<Mask> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set(&self, mask: Mask) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(mask);
    }

    /// What takes out of a recording what is masked at that moment.
    pub(crate) fn redaction(&self) -> Redaction {
        let masking = self.clone();
        Redaction::by(move |text| masking.mask().apply(text))
    }
}

/// How many bytes of the text's beginning are this value; `None` if it begins otherwise.
fn prefix_bytes(text: &str, value: &Shapes) -> Option<usize> {
    // Most places of a text don't begin a secret, and this is asked at each of them.
    if !value
        .first()?
        .iter()
        .any(|shape| text.starts_with(shape.as_str()))
    {
        return None;
    }
    // Several ends are possible where one shape of a character begins another, as `%` does `%25`.
    let mut ends = vec![0];
    for shapes in value {
        let mut next = Vec::new();
        for end in ends {
            let after = &text[end..];
            next.extend(
                shapes
                    .iter()
                    .filter(|shape| after.starts_with(shape.as_str()))
                    .map(|shape| end + shape.len()),
            );
        }
        next.sort_unstable();
        next.dedup();
        if next.is_empty() {
            return None;
        }
        ends = next;
    }
    ends.pop()
}

/// The shapes of a character, and of what it becomes in the other letter case: pages show text in capitals by their
/// style sheets alone.
fn shapes(character: char) -> Vec<String> {
    let mut shapes = shapes_in_its_case(character);
    for other in [
        character.to_lowercase().to_string(),
        character.to_uppercase().to_string(),
    ] {
        let mut characters = other.chars();
        match (characters.next(), characters.next()) {
            (Some(one), None) if one == character => {}
            (Some(one), None) => shapes.extend(shapes_in_its_case(one)),
            // Such as the two letters that a capital ß is.
            _ => shapes.push(other),
        }
    }
    shapes.sort_unstable();
    shapes.dedup();
    shapes
}

fn shapes_in_its_case(character: char) -> Vec<String> {
    let mut utf8 = [0; 4];
    let mut percent = String::new();
    for byte in character.encode_utf8(&mut utf8).bytes() {
        // Writing to a string can't fail.
        let _ = write!(percent, "%{byte:02X}");
    }
    let mut utf16 = [0; 2];
    let mut unicode = String::new();
    for unit in character.encode_utf16(&mut utf16) {
        let _ = write!(unicode, "\\u{unit:04x}");
    }
    let json = serde_json::Value::from(character.to_string()).to_string();
    let mut shapes = vec![
        character.to_string(),
        percent.to_lowercase(),
        percent,
        unicode.to_uppercase().replace('U', "u"),
        unicode,
        json[1..json.len() - 1].to_owned(),
        character.escape_debug().to_string(),
    ];
    let others: &[&str] = match character {
        ' ' => &["+", "&nbsp;"],
        '&' => &["&amp;"],
        '<' => &["&lt;"],
        '>' => &["&gt;"],
        '"' => &["&quot;", "&#34;"],
        '\'' => &["&#39;", "&#x27;", "&apos;"],
        '\u{a0}' => &["&nbsp;"],
        _ => &[],
    };
    shapes.extend(others.iter().map(ToString::to_string));
    // What can't be in a file's name, browsers replace when a site proposes it.
    if character.is_control() || "/\\:*?\"<>|~".contains(character) {
        shapes.push("_".to_owned());
    }
    shapes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_masked_in_every_shape_that_text_gives_it() {
        let mask = Mask::new(["p&ss \"w<rd'ä", "abc", "abcd"]);
        for shape in [
            "p&ss \"w<rd'ä",
            "p&amp;ss &quot;w&lt;rd'ä",
            "p&amp;ss \"w&lt;rd'ä",
            "p%26ss+%22w%3Crd%27%C3%A4",
            r#"p&ss \"w<rd'ä"#,
            // What a browser makes of it in a URL's query, and in a path.
            "p&ss%20%22w%3Crd%27%C3%A4",
            "p&ss%20%22w%3Crd'%c3%a4",
            r#"p\u0026ss \"w\u003Crd'\u00e4"#,
            // What a browser makes of it in a file's name.
            "p&ss _w_rd'ä",
        ] {
            assert_eq!(mask.apply(&format!("<{shape}>")), "<•••>", "{shape}");
        }
        assert_eq!(
            mask.apply("abcd abc"),
            "••• abc",
            "three characters are not masked"
        );
    }

    #[test]
    fn a_secret_is_masked_in_other_letter_cases_too() {
        let mask = Mask::new(["Geheim-Straße é"]);
        for shape in [
            "geheim-straße é",
            "GEHEIM-STRASSE É",
            "GEHEIM-STRA%C3%9FE+%C3%89",
            r"geheim-stra\u00dfe \u00c9",
        ] {
            assert_eq!(mask.apply(&format!("<{shape}>")), "<•••>", "{shape}");
        }
    }

    #[test]
    fn a_pdf_keeps_its_length_and_loses_the_values_in_its_text() {
        let mask = Mask::new(["p&ss wörd"]);
        let pdf = b"%PDF\xff/URI (http://a.test/?t=p%26ss+w%C3%B6rd&b=1)\n\xd3p&ss".to_vec();
        let masked = mask.apply_to_pdf(pdf.clone());
        assert_eq!(masked.len(), pdf.len());
        let text = String::from_utf8_lossy(&masked).into_owned();
        assert!(text.contains("?t=****************&b=1)"), "{text}");
        assert!(text.ends_with("p&ss"), "{text}");
    }

    #[test]
    fn a_value_that_looks_escaped_is_masked_raw_and_escaped() {
        let mask = Mask::new(["100%25"]);
        assert_eq!(mask.apply("a 100%25 b 100%2525 c"), "a ••• b ••• c");
        assert_eq!(
            mask.apply("100% 25"),
            "100% 25",
            "only the whole value is masked"
        );
    }
}
