//! The switches that make the portal behave differently: their names, values and bounds. They
//! know nothing of where they were set (site, path prefix or session).

use serde::Serialize;
use serde_json::{Map, Value, json};

/// The longest that `slow` and `late` may ask for, in milliseconds.
const MAX_DELAY_MS: u64 = 30_000;

/// The switches that one place has set; what is `None` was left alone there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Switches {
    two_factor: Option<bool>,
    empty: Option<bool>,
    slow_ms: Option<u64>,
    flaky: Option<u64>,
    late_ms: Option<u64>,
    next: Option<NextOnLastPage>,
}

/// What the last page of the roster has in place of the link to the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NextOnLastPage {
    /// No link at all.
    #[default]
    Absent,
    /// A link that is marked with `aria-disabled` and leads nowhere.
    Disabled,
}

/// Why a switch could not be set; the text is shown to the person who set it.
pub(crate) type BadSwitch = String;

impl Switches {
    /// Sets one switch from its text, as it stands in a query or in a path prefix.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), BadSwitch> {
        match name {
            "2fa" => self.two_factor = Some(on_or_off(name, value)?),
            "empty" => self.empty = Some(on_or_off(name, value)?),
            "slow" => self.slow_ms = Some(number(name, value, MAX_DELAY_MS)?),
            "late" => self.late_ms = Some(number(name, value, MAX_DELAY_MS)?),
            "flaky" => {
                let every = number(name, value, 1_000)?;
                if every == 1 {
                    return Err("flaky=1 would refuse every request: use 2 or more".to_owned());
                }
                self.flaky = Some(every);
            }
            "next" => {
                self.next = Some(match value {
                    "absent" => NextOnLastPage::Absent,
                    "disabled" => NextOnLastPage::Disabled,
                    _ => return Err(format!("next is absent or disabled, not {value:?}")),
                });
            }
            _ => return Err(format!("there is no switch named {name:?}")),
        }
        Ok(())
    }

    /// Reads the comma-separated form of a path prefix, such as `empty=on,slow=200`.
    pub(crate) fn parse_prefix(text: &str) -> Result<Self, BadSwitch> {
        let mut switches = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| format!("a switch is name=value, not {part:?}"))?;
            switches.set(name, value)?;
        }
        Ok(switches)
    }

    /// Takes a JSON object over these switches: `null` resets a switch, what is not named stays.
    pub(crate) fn with_json(mut self, changes: &Map<String, Value>) -> Result<Self, BadSwitch> {
        for (name, value) in changes {
            match value {
                Value::Null => self.reset(name)?,
                Value::Bool(on) => self.set(name, if *on { "on" } else { "off" })?,
                Value::Number(number) => self.set(name, &number.to_string())?,
                Value::String(text) => self.set(name, text)?,
                Value::Array(_) | Value::Object(_) => {
                    return Err(format!("{name} takes a text, a number or a boolean"));
                }
            }
        }
        Ok(self)
    }

    fn reset(&mut self, name: &str) -> Result<(), BadSwitch> {
        match name {
            "2fa" => self.two_factor = None,
            "empty" => self.empty = None,
            "slow" => self.slow_ms = None,
            "late" => self.late_ms = None,
            "flaky" => self.flaky = None,
            "next" => self.next = None,
            _ => return Err(format!("there is no switch named {name:?}")),
        }
        Ok(())
    }

    /// These switches, with those of a closer place put over them.
    pub(crate) fn overlaid_by(self, closer: Self) -> Self {
        Self {
            two_factor: closer.two_factor.or(self.two_factor),
            empty: closer.empty.or(self.empty),
            slow_ms: closer.slow_ms.or(self.slow_ms),
            flaky: closer.flaky.or(self.flaky),
            late_ms: closer.late_ms.or(self.late_ms),
            next: closer.next.or(self.next),
        }
    }

    /// Whether every account needs a code, not only the one that always does.
    pub(crate) fn two_factor(self) -> bool {
        self.two_factor.unwrap_or(false)
    }

    /// Whether the month has no employees.
    pub(crate) fn empty(self) -> bool {
        self.empty.unwrap_or(false)
    }

    /// How long each page takes, in milliseconds.
    pub(crate) fn slow_ms(self) -> u64 {
        self.slow_ms.unwrap_or(0)
    }

    /// Every how many requests one is refused; 0 is never.
    pub(crate) fn flaky(self) -> u64 {
        self.flaky.unwrap_or(0)
    }

    /// How long after the page the rows come, in milliseconds; 0 is with the page.
    pub(crate) fn late_ms(self) -> u64 {
        self.late_ms.unwrap_or(0)
    }

    /// What the last page has in place of the link to the next one.
    pub(crate) fn next(self) -> NextOnLastPage {
        self.next.unwrap_or_default()
    }

    /// All switches with their present values, as `GET /switches` shows them.
    pub(crate) fn to_json(self) -> Value {
        let word = |on: bool| if on { "on" } else { "off" };
        json!({
            "2fa": word(self.two_factor()),
            "empty": word(self.empty()),
            "slow": self.slow_ms(),
            "flaky": self.flaky(),
            "late": self.late_ms(),
            "next": self.next(),
        })
    }
}

fn on_or_off(name: &str, value: &str) -> Result<bool, BadSwitch> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("{name} is on or off, not {value:?}")),
    }
}

fn number(name: &str, value: &str, max: u64) -> Result<u64, BadSwitch> {
    value
        .parse()
        .ok()
        .filter(|number| *number <= max)
        .ok_or_else(|| format!("{name} is a whole number from 0 to {max}, not {value:?}"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_prefix_sets_what_it_names_and_nothing_else() {
        let switches = Switches::parse_prefix("empty=on,slow=200").unwrap();
        assert!(switches.empty());
        assert_eq!(switches.slow_ms(), 200);
        assert!(!switches.two_factor());
        assert_eq!(switches.flaky(), 0);
    }

    #[test]
    fn wrong_switches_are_refused() {
        for text in [
            "emtpy=on",
            "empty",
            "empty=yes",
            "slow=30001",
            "slow=-1",
            "flaky=1",
            "next=x",
        ] {
            assert!(Switches::parse_prefix(text).is_err(), "{text} was accepted");
        }
    }

    #[test]
    fn the_closer_place_wins_also_when_it_says_off() {
        let site = Switches::parse_prefix("empty=on,late=50").unwrap();
        let session = Switches::parse_prefix("empty=off").unwrap();
        let both = site.overlaid_by(session);
        assert!(!both.empty());
        assert_eq!(both.late_ms(), 50);
    }

    #[test]
    fn json_null_resets_a_switch_and_leaves_the_others() {
        let before = Switches::parse_prefix("empty=on,slow=10").unwrap();
        let changes = json!({"empty": null, "2fa": true, "flaky": 3});
        let after = before.with_json(changes.as_object().unwrap()).unwrap();
        assert_eq!(
            after.to_json(),
            json!({"2fa": "on", "empty": "off", "slow": 10, "flaky": 3, "late": 0, "next": "absent"})
        );
    }
}
