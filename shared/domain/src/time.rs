//! Points in time, to the millisecond.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time in UTC, to the millisecond. On the wire: RFC 3339 with exactly three digits of fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The last millisecond of the year 9999, the last one that RFC 3339 can write.
const LAST_MILLIS: i64 = 253_402_300_799_999;

impl Timestamp {
    /// Milliseconds since 1970-01-01T00:00:00Z, kept within the years 1970 to 9999.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(0, LAST_MILLIS))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    #[must_use]
    pub fn as_seconds(self) -> i64 {
        self.0 / 1000
    }

    /// The point in time that lies this much later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(LAST_MILLIS);
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// How long it is since an earlier point; zero if that one is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or_default())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_millisecond(self.0).map_err(|_| fmt::Error)?;
        write!(f, "{time:.3}")
    }
}

/// A text that was given as a time and is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a time: expected RFC 3339, such as 2026-11-23T09:00:00.000Z")]
pub struct InvalidTimestamp;

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        // The library takes more than RFC 3339, section 5.6: other separators, and names of time zones.
        if text.as_bytes().get(10) != Some(&b'T') || text.ends_with(']') {
            return Err(InvalidTimestamp);
        }
        let time: jiff::Timestamp = text.parse().map_err(|_| InvalidTimestamp)?;
        Ok(Self::from_millis(time.as_millisecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_has_three_digits_of_fraction() {
        assert_eq!(
            Timestamp::from_millis(1_763_872_869_000).to_string(),
            "2025-11-23T04:41:09.000Z"
        );
        assert_eq!(
            "2025-11-23T05:41:09.1234+01:00".parse(),
            Ok(Timestamp::from_millis(1_763_872_869_123))
        );
        for other in [
            "2025-11-23 04:41:09Z",
            "2025-11-23T04:41:09Z[UTC]",
            "2025-11-23",
            "2025-11-23T04:41:09",
        ] {
            assert_eq!(other.parse::<Timestamp>(), Err(InvalidTimestamp), "{other}");
        }
    }
}
