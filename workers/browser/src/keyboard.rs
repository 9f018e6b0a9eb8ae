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

/// The keys of a US keyboard that type a sign: its code, its virtual key, what it types alone and
/// with Shift.
const SIGNS: [(&str, u32, &str); 21] = [
    ("Backquote", 192, "`~"),
    ("Minus", 189, "-_"),
    ("Equal", 187, "=+"),
    ("BracketLeft", 219, "[{"),
    ("BracketRight", 221, "]}"),
    ("Backslash", 220, "\\|"),
    ("Semicolon", 186, ";:"),
    ("Quote", 222, "'\""),
    ("Comma", 188, ",<"),
    ("Period", 190, ".>"),
    ("Slash", 191, "/?"),
    ("Digit1", 49, "1!"),
    ("Digit2", 50, "2@"),
    ("Digit3", 51, "3#"),
    ("Digit4", 52, "4$"),
    ("Digit5", 53, "5%"),
    ("Digit6", 54, "6^"),
    ("Digit7", 55, "7&"),
    ("Digit8", 56, "8*"),
    ("Digit9", 57, "9("),
    ("Digit0", 48, "0)"),
];

/// A key that is held while something else is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modifier {
    /// `Alt`.
    Alt,
    /// `Control`.
    Control,
    /// `Meta`, the key of the operating system.
    Meta,
    /// `Shift`.
    Shift,
}

impl Modifier {
    const ALL: [(&'static str, Self); 4] = [
        ("Alt", Self::Alt),
        ("Control", Self::Control),
        ("Meta", Self::Meta),
        ("Shift", Self::Shift),
    ];

    /// The number that the protocol gives to these held together.
    pub(crate) fn bits(held: &[Self]) -> u32 {
        held.iter().fold(0, |bits, modifier| bits | modifier.bit())
    }

    fn bit(self) -> u32 {
        match self {
            Self::Alt => 1,
            Self::Control => 2,
            Self::Meta => 4,
            Self::Shift => 8,
        }
    }
}

/// Modifiers under which a key types nothing: Alt, Control, Meta.
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

/// Whether [`Page::press`](crate::Page::press) knows a key of this name.
#[must_use]
pub fn is_key(name: &str) -> bool {
    KeyPress::parse(name).is_ok()
}

impl KeyPress {
    /// Reads `Enter`, `a`, `Control+A`, `Control++`.
    pub(crate) fn parse(name: &str) -> Result<Self, Error> {
        let mut modifiers = 0;
        let mut rest = name;
        while let Some((after, modifier)) = Modifier::ALL.iter().find_map(|(name, modifier)| {
            let after = rest.strip_prefix(name)?.strip_prefix('+')?;
            Some((after, modifier))
        }) {
            modifiers |= modifier.bit();
            rest = after;
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
        let (code, virtual_key) = key_of(character).unwrap_or_default();
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

/// The code and the virtual key of the key that types a character on a US keyboard.
fn key_of(character: char) -> Option<(String, u32)> {
    if character.is_ascii_alphabetic() {
        let upper = character.to_ascii_uppercase();
        return Some((format!("Key{upper}"), u32::from(upper)));
    }
    let sign = SIGNS.iter().find(|(.., types)| types.contains(character));
    sign.map(|(code, virtual_key, _)| ((*code).to_owned(), *virtual_key))
}

/// The events that type one character: those of its key, with Shift where the keyboard needs it,
/// or the bare text if no key has it.
pub(crate) fn keys_of(character: char) -> Vec<(&'static str, Value)> {
    let name = match character {
        '\n' | '\r' => "Enter".to_owned(),
        '\t' => "Tab".to_owned(),
        ' ' => "Space".to_owned(),
        other if key_of(other).is_some() => other.to_string(),
        other => {
            let text = json!({"text": other.to_string()});
            return vec![("Input.insertText", text)];
        }
    };
    let is_shifted = character.is_ascii_uppercase()
        || SIGNS.iter().any(|(.., types)| types.ends_with(character));
    match KeyPress::parse(&name) {
        Ok(mut press) => {
            press.modifiers |= if is_shifted { Modifier::Shift.bit() } else { 0 };
            press.events().into()
        }
        // Each name above is a key.
        Err(_) => Vec::new(),
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
    fn a_character_is_typed_by_its_key_or_inserted() {
        let shifted = keys_of('?');
        assert_eq!(shifted[0].1["code"], "Slash");
        assert_eq!(shifted[0].1["modifiers"], 8);
        assert_eq!(shifted[0].1["text"], "?");
        assert_eq!(keys_of('7')[0].1["modifiers"], 0);
        assert_eq!(keys_of('\n')[0].1["key"], "Enter");
        assert_eq!(keys_of('é'), [("Input.insertText", json!({"text": "é"}))]);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(matches!(
            KeyPress::parse("Entr"),
            Err(Error::BadSelector { .. })
        ));
    }
}
