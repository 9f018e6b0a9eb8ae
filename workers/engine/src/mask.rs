//! Takes the values of secrets out of text that leaves the engine.

use std::fmt::Write as _;

/// What stands for a secret.
const MASKED: &str = "•••";
/// Shorter values are not masked: they would take ordinary text with them, and show where they were.
const LEAST_CHARS: usize = 4;

/// Replaces the values of secrets, in each of the shapes that they take in text, HTML, JSON and URLs.
pub struct Mask {
    needles: Vec<String>,
}

impl Mask {
    /// Makes a mask for these values.
    pub fn new<'v>(values: impl IntoIterator<Item = &'v str>) -> Self {
        let mut needles = Vec::new();
        for value in values
            .into_iter()
            .filter(|value| value.chars().count() >= LEAST_CHARS)
        {
            let json = serde_json::Value::from(value).to_string();
            let text = value
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;");
            needles.extend([
                value.to_owned(),
                text.replace('"', "&quot;"),
                text.replace('"', "&quot;").replace('\'', "&#39;"),
                text.clone(),
                json[1..json.len() - 1].to_owned(),
                percent_encode(value),
                percent_encode(value).replace("%20", "+"),
                format!("{value:?}").trim_matches('"').to_owned(),
            ]);
        }
        needles.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        needles.dedup();
        Self { needles }
    }

    /// Gives the text without the values.
    #[must_use]
    pub fn apply(&self, text: &str) -> String {
        self.needles.iter().fold(text.to_owned(), |text, needle| {
            if text.contains(needle.as_str()) {
                text.replace(needle.as_str(), MASKED)
            } else {
                text
            }
        })
    }
}

fn percent_encode(value: &str) -> String {
    let mut encoded = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
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
        ] {
            assert_eq!(mask.apply(&format!("<{shape}>")), "<•••>", "{shape}");
        }
        assert_eq!(
            mask.apply("abcd abc"),
            "••• abc",
            "three characters are not masked"
        );
    }
}
