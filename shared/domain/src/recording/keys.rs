//! Keys that go down and up, to presses with their modifiers.

/// The modifiers, in the order in which a press names them.
const MODIFIERS: [&str; 4] = ["Control", "Alt", "Shift", "Meta"];

/// The keys that are held.
#[derive(Default)]
pub(super) struct Keyboard {
    held: Vec<&'static str>,
    /// A modifier that went down, and nothing since.
    lonely: Option<&'static str>,
}

impl Keyboard {
    /// A key goes down. Gives the press that this is, if it isn't a modifier.
    pub(super) fn down(&mut self, key: &str) -> Option<String> {
        if let Some(modifier) = MODIFIERS.into_iter().find(|known| *known == key) {
            if !self.held.contains(&modifier) {
                self.held.push(modifier);
            }
            self.lonely = Some(modifier);
            return None;
        }
        self.lonely = None;
        let mut press = String::new();
        for modifier in MODIFIERS {
            // A capital letter already says that Shift is held.
            let is_said = modifier == "Shift" && key.chars().count() == 1;
            if self.held.contains(&modifier) && !is_said {
                press.push_str(modifier);
                press.push('+');
            }
        }
        press.push_str(if key == " " { "Space" } else { key });
        Some(press)
    }

    /// The modifiers that are held, for a click. It is what they went down for.
    pub(super) fn hold_for_click(&mut self) -> &[&'static str] {
        self.lonely = None;
        &self.held
    }

    /// A key goes up. Gives the press that this is, if it is a modifier that was pressed alone.
    pub(super) fn up(&mut self, key: &str) -> Option<String> {
        let modifier = MODIFIERS.into_iter().find(|known| *known == key)?;
        self.held.retain(|held| *held != modifier);
        self.lonely
            .take_if(|lonely| *lonely == modifier)
            .map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modifiers_go_with_the_key_that_they_are_held_for() {
        let mut keyboard = Keyboard::default();
        assert_eq!(keyboard.down("Control"), None);
        assert_eq!(keyboard.down("a").as_deref(), Some("Control+a"));
        assert_eq!(keyboard.up("a"), None);
        assert_eq!(keyboard.up("Control"), None);
        assert_eq!(keyboard.down("Enter").as_deref(), Some("Enter"));
        assert_eq!(keyboard.down("Shift"), None);
        assert_eq!(keyboard.up("Shift").as_deref(), Some("Shift"));
    }
}
