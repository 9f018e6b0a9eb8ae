//! JSON in which half of a character may stand: scripts cut texts anywhere, also in the middle of an emoji, and the
//! browser sends what is left as it is. No text of Rust's can hold it, so a replacement character comes in its place.

use serde::de::DeserializeOwned;

/// Reads JSON that the browser made.
pub(crate) fn read<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    // What is whole, as nearly all is, is not looked through.
    serde_json::from_slice(json).or_else(|_| serde_json::from_slice(&replaced(json)))
}

fn replaced(json: &[u8]) -> Vec<u8> {
    let mut replaced = json.to_vec();
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        at += match (byte, unit(json, at)) {
            (b'\\', Some(0xD800..=0xDBFF))
                if matches!(unit(json, at + 6), Some(0xDC00..=0xDFFF)) =>
            {
                12
            }
            (b'\\', Some(0xD800..=0xDFFF)) => {
                replaced[at..at + 6].copy_from_slice(br"\ufffd");
                6
            }
            (b'\\', _) => 2,
            _ => 1,
        };
    }
    replaced
}

/// The UTF-16 unit that is escaped at a place.
fn unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix(br"\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_halves_of_characters_are_replaced() {
        for (json, text) in [
            (r#""\ud83d\ude00 \u00e9""#, "\u{1f600} é"),
            (r#""a\ud83d""#, "a\u{fffd}"),
            (r#""\ude00\ud83d\ud83d\ude00""#, "\u{fffd}\u{fffd}\u{1f600}"),
            (r#""\\ud83d \ud83d\n""#, "\\ud83d \u{fffd}\n"),
        ] {
            assert_eq!(read::<String>(json.as_bytes()).ok().as_deref(), Some(text));
        }
        assert!(read::<String>(br#""\ud83d"#).is_err(), "it has no end");
    }
}
