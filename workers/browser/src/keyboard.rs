//! The keys of a keyboard, by the names that the web platform gives them.

use serde_json::{Value, json};

use crate::Error;

/// Keys that are not a character: name, virtual key code, text that they type.
const NAMED: [(&str, u32, &str); 27] = [
    ("Enter", 13, "\r"),
    ("Tab", 9, ""),
    ("Escape", 27, ""),
    ("Backspace", 8, ""),
    ("Delete", 46, ""),
    ("Insert", 45, ""),
    ("Space", 32, " "),
    ("ArrowLeft", 37, ""),
    ("ArrowUp", 38, ""),
    ("ArrowRight", 39, ""),
    ("ArrowDown", 40, ""),
    ("Home", 36, ""),
    ("End", 35, ""),
    ("PageUp", 33, ""),
    ("PageDown", 34, ""),
    ("F1", 112, ""),
    ("F2", 113, ""),
    ("F3", 114, ""),
    ("F4", 115, ""),
    ("F5", 116, ""),
    ("F6", 117, ""),
    ("F7", 118, ""),
    ("F8", 119, ""),
    ("F9", 120, ""),
    ("F10", 121, ""),
    ("F11", 122, ""),
    ("F12", 123, ""),
];

const MODIFIERS: [(&str, u32); 4] = [("Alt", 1), ("Control", 2), ("Meta", 4), ("Shift", 8)];

/// Modifiers under which a key types nothing.
const SILENCING: u32 = 1 | 2 | 4;

/// One key, with the modifiers that are held.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KeyPress {
    modifiers: u32,
    key: String,
    code: String,
    virtual_key: u32,
    text: String,
}

impl KeyPress {
    /// Reads `Enter`, `a`, `Control+A`, `Control++`.
    pub(crate) fn parse(name: &str) -> Result<Self, Error> {
        let mut modifiers = 0;
        let mut rest = name;
        while let Some((modifier, bit)) = MODIFIERS
            .iter()
            .find(|(modifier, _)| rest.starts_with(&format!("{modifier}+")))
        {
            modifiers |= bit;
            rest = &rest[modifier.len() + 1..];
        }
        let silent = modifiers & SILENCING != 0;
        let typed = |text: &str| {
            if silent {
                String::new()
            } else {
                text.to_owned()
            }
        };
        if let Some((named, virtual_key, text)) = NAMED.iter().find(|(named, ..)| *named == rest) {
            return Ok(Self {
                modifiers,
                key: if *named == "Space" { " " } else { named }.to_owned(),
                code: (*named).to_owned(),
                virtual_key: *virtual_key,
                text: typed(text),
            });
        }
        let mut characters = rest.chars();
        let (Some(character), None) = (characters.next(), characters.next()) else {
            return Err(Error::BadSelector {
                selector: name.to_owned(),
                message: "there is no such key; use a character or a name such as Enter, Tab, ArrowDown, Control+A".to_owned(),
            });
        };
        let upper = character.to_ascii_uppercase();
        let code = match upper {
            'A'..='Z' => format!("Key{upper}"),
            '0'..='9' => format!("Digit{upper}"),
            _ => String::new(),
        };
        let virtual_key = if code.is_empty() { 0 } else { u32::from(upper) };
        Ok(Self {
            modifiers,
            key: character.to_string(),
            code,
            virtual_key,
            text: typed(rest),
        })
    }

    /// Down and up.
    pub(crate) fn events(&self) -> [(&'static str, Value); 2] {
        let event = |kind: &str, text: &str| {
            let params = json!({
                "type": kind,
                "modifiers": self.modifiers,
                "key": self.key,
                "code": self.code,
                "windowsVirtualKeyCode": self.virtual_key,
                "text": text,
            });
            ("Input.dispatchKeyEvent", params)
        };
        let down = if self.text.is_empty() {
            "rawKeyDown"
        } else {
            "keyDown"
        };
        [event(down, &self.text), event("keyUp", "")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_with_control_types_nothing() {
        let press = KeyPress::parse("Control+A").expect("a key");
        assert_eq!((press.modifiers, press.text.as_str()), (2, ""));
        assert_eq!(press.virtual_key, 65);
    }

    #[test]
    fn a_plus_is_a_key_too() {
        let press = KeyPress::parse("Control++").expect("a key");
        assert_eq!(press.key, "+");
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(matches!(
            KeyPress::parse("Entr"),
            Err(Error::BadSelector { .. })
        ));
    }
}
