//! The names of the keys that a step can press.

/// The keys that are not a character, by the names that the web platform gives them.
pub const KEYS: &[&str] = &[
    "ArrowDown",
    "ArrowLeft",
    "ArrowRight",
    "ArrowUp",
    "Backspace",
    "Delete",
    "End",
    "Enter",
    "Escape",
    "F1",
    "F10",
    "F11",
    "F12",
    "F2",
    "F3",
    "F4",
    "F5",
    "F6",
    "F7",
    "F8",
    "F9",
    "Home",
    "Insert",
    "PageDown",
    "PageUp",
    "Space",
    "Tab",
];
/// The keys that are held while another one is pressed.
const MODIFIERS: [&str; 4] = ["Alt", "Control", "Meta", "Shift"];

/// Whether this is a key that can be pressed: `Enter`, `a`, `Control+A`, `Control++`.
#[must_use]
pub fn is_key(text: &str) -> bool {
    let mut rest = text;
    while let Some(after) = MODIFIERS
        .iter()
        .find_map(|modifier| rest.strip_prefix(modifier)?.strip_prefix('+'))
    {
        rest = after;
    }
    rest.chars().count() == 1 || KEYS.contains(&rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_character_or_a_name_with_its_modifiers() {
        for key in [
            "Enter",
            "a",
            "Ä",
            "+",
            "Control+A",
            "Control++",
            "Shift+Alt+F12",
        ] {
            assert!(is_key(key), "{key}");
        }
        for other in [
            "", "enter", "Entr", "ab", "Ctrl+A", "Control+", "Shift", "+a",
        ] {
            assert!(!is_key(other), "{other}");
        }
    }
}
