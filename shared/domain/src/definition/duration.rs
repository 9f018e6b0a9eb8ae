//! Durations as people write them: `500ms`, `30s`, `5m`, `1h`, `1m30s`.

use std::time::Duration;

/// The longest duration that a definition may name.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Reads a duration. The error says how one is written.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let refuse = || {
        format!(
            "`{text}` is not a duration: write `500ms`, `30s`, `5m`, `1h` or `1m30s`, at most 7 days"
        )
    };
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(refuse());
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let amount: u64 = rest[..digits].parse().map_err(|_| refuse())?;
        rest = &rest[digits..];
        let (unit_ms, length) = match rest.as_bytes() {
            [b'm', b's', ..] => (1, 2),
            [b's', ..] => (1_000, 1),
            [b'm', ..] => (60_000, 1),
            [b'h', ..] => (3_600_000, 1),
            [b'd', ..] => (86_400_000, 1),
            _ => return Err(refuse()),
        };
        rest = &rest[length..];
        let part = Duration::from_millis(amount.checked_mul(unit_ms).ok_or_else(refuse)?);
        total = total
            .checked_add(part)
            .filter(|total| *total <= LONGEST)
            .ok_or_else(refuse)?;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("5m"), Ok(Duration::from_secs(300)));
        for wrong in [
            "",
            "5",
            "m",
            "-1s",
            "5 minutes",
            "99999999999999999999s",
            "8d",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
