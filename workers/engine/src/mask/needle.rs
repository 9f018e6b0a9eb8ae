//! What is looked for: a value, and what its bytes are in Base64 and in hexadecimal digits. Pure.

use std::collections::{BTreeSet, HashMap};
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::readings::{begins_escape, each_reading};

/// Shorter values are not masked: they would take ordinary text with them, and show where they were.
const LEAST_CHARS: usize = 4;
/// Shorter values, in characters, are not looked for backwards, in groups, or in parts.
const LEAST_CHARS_IN_PARTS: usize = 8;
/// So long are the values, in characters, that people write in groups.
const CHARS_IN_GROUPS: RangeInclusive<usize> = LEAST_CHARS_IN_PARTS..=64;
/// Shorter values, in bytes, are not looked for in Base64, where few letters are left of them.
const LEAST_BYTES_IN_BASE64: usize = 6;
/// Shorter lines of a value, in characters, are not looked for by themselves.
const LEAST_LINE_CHARS: usize = 16;
/// Numbers of fewer digits are not looked for without the zeros that they begin with.
const LEAST_DIGITS_OF_NUMBER: usize = 6;
/// How much may stand between two characters of a value: so many tags and spaces, and so many bytes in a tag.
const MOST_GAPS: usize = 32;
const MOST_TAG_BYTES: usize = 2_000;

/// What may stand between two characters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Between {
    /// Nothing at all.
    Never,
    /// Nothing: in Base64, only the end of a line.
    Nothing,
    /// Tags, and what has no width.
    Tags,
    /// White space too: there was some.
    Space,
    /// What people write between groups of digits, too.
    Groups,
}

/// One thing to look for.
pub(super) struct Needle {
    /// Without white space. Folded, unless only this letter case counts.
    chars: Vec<char>,
    /// How many of them there must be at least.
    least: usize,
    /// For each character, what may stand before it.
    before: Vec<Between>,
    is_folded: bool,
    /// Whether one character of Base64 on each side may hold a part of the value.
    has_ragged_ends: bool,
    /// Whether it may be found over the ends of several texts.
    pub(super) is_strong: bool,
    /// Whether it has brackets of its own, so that those in what was found need not be tags.
    pub(super) has_brackets: bool,
}

/// All that is looked for because of a value.
pub(super) fn needles_of(value: &str) -> Vec<Needle> {
    let mut needles = Vec::new();
    let Some(plain) = Needle::plain(value) else {
        return needles;
    };
    let is_number = plain.chars.iter().all(char::is_ascii_digit);
    let significant = value.trim().trim_start_matches('0');
    if is_number && significant.len() >= LEAST_DIGITS_OF_NUMBER && significant != value.trim() {
        needles.extend(Needle::plain(significant));
    }
    if plain.chars.len() >= LEAST_CHARS_IN_PARTS {
        let reversed: String = value.chars().rev().collect();
        needles.extend(Needle::plain(&reversed));
    }
    needles.push(plain);
    if value.trim().lines().count() > 1 {
        let lines = value
            .lines()
            .filter(|line| line.trim().chars().count() >= LEAST_LINE_CHARS);
        needles.extend(lines.filter_map(Needle::plain));
    }
    // Pages show the key of an authenticator by itself.
    if let Some((_, parameters)) = value.trim().split_once('?')
        && value.trim().starts_with("otpauth:")
    {
        let keys = parameters
            .split('&')
            .filter_map(|it| it.strip_prefix("secret="));
        needles.extend(keys.flat_map(needles_of));
    }
    let mut forms: Vec<Vec<u8>> = vec![value.as_bytes().to_vec()];
    forms.extend(latin1(value));
    forms.push(percent_encoded(value));
    let json = serde_json::Value::from(value).to_string();
    forms.push(json.as_bytes()[1..json.len() - 1].to_vec());
    forms.sort_unstable();
    forms.dedup();
    for form in &forms {
        needles.push(Needle::hexadecimal(form));
        if form.len() >= LEAST_BYTES_IN_BASE64 {
            needles.extend(Needle::base64(form));
        }
    }
    needles
}

/// What `btoa` makes its Base64 of, where that differs from UTF-8.
fn latin1(value: &str) -> Option<Vec<u8>> {
    let bytes = value.chars().map(|c| u8::try_from(u32::from(c)));
    bytes.collect::<Result<_, _>>().ok()
}

/// What `encodeURIComponent` makes of it.
fn percent_encoded(value: &str) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            encoded.push(byte);
        } else {
            encoded.extend(format!("%{byte:02X}").bytes());
        }
    }
    encoded
}

/// A character without its letter case, as those are equal that anything takes for the same letter: `ß` is `ss`, `ς` is
/// `σ`.
pub(super) fn fold(character: char) -> impl Iterator<Item = char> {
    // The capital `ẞ` becomes `ß` first, and only that becomes `SS`.
    let lower = character.to_lowercase();
    let upper = lower.flat_map(char::to_uppercase);
    upper.flat_map(char::to_lowercase)
}

impl Needle {
    fn plain(value: &str) -> Option<Self> {
        let has_digit = value.chars().any(|c| c.is_ascii_digit());
        let mut chars = Vec::new();
        let mut before = Vec::new();
        let mut kind = Between::Tags;
        let has_groups = has_digit && CHARS_IN_GROUPS.contains(&value.chars().count());
        for character in value.chars() {
            if character.is_whitespace() {
                kind = Between::Space;
                continue;
            }
            for folded in fold(character) {
                chars.push(folded);
                before.push(if has_groups { Between::Groups } else { kind });
                kind = Between::Tags;
            }
        }
        let is_number = chars.iter().all(char::is_ascii_digit);
        let least_in_parts = if is_number { 12 } else { LEAST_CHARS_IN_PARTS };
        (chars.len() >= LEAST_CHARS).then(|| Self {
            least: chars.len(),
            is_strong: chars.len() >= least_in_parts,
            has_brackets: chars.iter().any(|c| matches!(c, '<' | '>')),
            chars,
            before,
            is_folded: true,
            has_ragged_ends: false,
        })
    }

    /// How a value begins, from half of it on.
    pub(super) fn beginning(value: &str) -> Option<Self> {
        let mut needle = Self::plain(value)?;
        needle.least = needle.chars.len().div_ceil(2).max(LEAST_CHARS);
        needle.is_strong = false;
        // One beginning stands behind the other, and the first letter of the next may be what this one lacks.
        let mut kind = Between::Never;
        needle.before.clear();
        for character in value.chars() {
            if character.is_whitespace() {
                kind = Between::Space;
                continue;
            }
            for _ in fold(character) {
                needle.before.push(kind);
                kind = Between::Never;
            }
        }
        Some(needle)
    }

    /// Each byte as two digits.
    fn hexadecimal(bytes: &[u8]) -> Self {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut needle = Self::encoded(&digits, true, false);
        for before in needle.before.iter_mut().step_by(2) {
            *before = Between::Groups;
        }
        needle
    }

    /// Base64 of something that the bytes are a part of: at each of the three places where they can begin.
    fn base64(bytes: &[u8]) -> Vec<Self> {
        let mut needles = Vec::new();
        for offset in 0..3 {
            let padded = [&vec![0; offset], bytes].concat();
            let whole_chars = padded.len() * 8 / 6;
            let own = [0, 2, 3][offset]..whole_chars;
            let standard = &STANDARD_NO_PAD.encode(&padded)[own.clone()];
            let url_safe = &URL_SAFE_NO_PAD.encode(&padded)[own];
            needles.push(Self::encoded(standard, false, true));
            if url_safe != standard {
                needles.push(Self::encoded(url_safe, false, true));
            }
        }
        needles
    }

    fn encoded(text: &str, is_folded: bool, has_ragged_ends: bool) -> Self {
        let chars: Vec<char> = text.chars().collect();
        Self {
            before: vec![Between::Nothing; chars.len()],
            least: chars.len(),
            is_strong: false,
            has_brackets: false,
            chars,
            is_folded,
            has_ragged_ends,
        }
    }

    pub(super) fn first(&self) -> char {
        self.chars[0]
    }

    /// The bytes with which it can begin, and those that can follow such a one if that is a character of its own.
    pub(super) fn beginnings(&self) -> [[bool; 256]; 2] {
        let firsts = self.bytes_of(self.chars[0], |_| false);
        let seconds = self.bytes_of(self.chars[1], |byte| self.before[1].may_begin_with(byte));
        [firsts, seconds]
    }

    /// The bytes with which a character can begin, and others.
    fn bytes_of(&self, character: char, is_other: impl Fn(u8) -> bool) -> [bool; 256] {
        let mut table = [false; 256];
        for byte in 0..=u8::MAX {
            table[usize::from(byte)] = begins_escape(byte) || is_other(byte);
        }
        table[usize::from(first_byte(character))] = true;
        if self.is_folded {
            for written in ALIKE.get(&character).into_iter().flatten() {
                table[usize::from(*written)] = true;
            }
            if is_replaced_in_names(character) {
                table[usize::from(b'_')] = true;
            }
        }
        table
    }

    /// Where it is in the text if it begins at `at`: the end is the last one possible.
    pub(super) fn found_at(&self, text: &str, at: usize) -> Option<(usize, usize)> {
        let end = match self.plain_prefix(text, at) {
            ControlFlow::Break(end) => end?,
            ControlFlow::Continue((index, end)) => self.rest(text, index, end)?,
        };
        if !self.has_ragged_ends {
            return Some((at, end));
        }
        let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
        let bytes = text.as_bytes();
        let start = at - usize::from(at > 0 && is_base64(&bytes[at - 1]));
        let end = end + usize::from(bytes.get(end).is_some_and(is_base64));
        let padding = bytes[end..]
            .iter()
            .take(2)
            .take_while(|byte| **byte == b'=')
            .count();
        Some((start, end + padding))
    }

    /// Compares as long as both are plain, which is the common case: gives the end or that there is none, or how far it
    /// came.
    fn plain_prefix(&self, text: &str, at: usize) -> ControlFlow<Option<usize>, (usize, usize)> {
        let bytes = text.as_bytes();
        for (index, wanted) in self.chars.iter().enumerate() {
            let end = at + index;
            let ends_here = ControlFlow::Break((index >= self.least).then_some(end));
            let Some(byte) = bytes.get(end).copied() else {
                return ends_here;
            };
            let is_plain = byte.is_ascii() && !begins_escape(byte) && byte != b'"' && byte != b'\'';
            let is_wanted = |byte: u8| {
                if self.is_folded {
                    char::from(byte.to_ascii_lowercase()) == *wanted
                } else {
                    char::from(byte) == *wanted
                }
            };
            if is_plain && is_wanted(byte) {
                continue;
            }
            let between = self.before[index];
            let is_white = byte.is_ascii_whitespace();
            // Most words that end as a value begins are followed by other words.
            if is_white
                && let Some(next) = bytes[end..].trim_ascii_start().first()
                && next.is_ascii_alphanumeric()
                && !is_wanted(*next)
            {
                return ends_here;
            }
            let may_go_on = !is_plain
                || (byte == b'_' && is_replaced_in_names(*wanted))
                || (index > 0 && between.may_begin_with(byte))
                    && !(is_white && between == Between::Tags && !stands_at_tag(text, end));
            return if may_go_on {
                ControlFlow::Continue((index, end))
            } else {
                ends_here
            };
        }
        ControlFlow::Break(Some(at + self.chars.len()))
    }

    /// Goes all ways from where `index` characters were found.
    fn rest(&self, text: &str, index: usize, end: usize) -> Option<usize> {
        let mut open = BTreeSet::from([(index, end)]);
        let mut last = None;
        // Each way only leads on, so what is first in order is reached by no other way any more.
        while let Some((index, end)) = open.pop_first() {
            if index >= self.least {
                last = last.max(Some(end));
            }
            if index == self.chars.len() {
                continue;
            }
            let mut go = |index: usize, end: usize| {
                open.insert((index, end));
            };
            self.step(text, index, end, &mut go);
            if index > 0 {
                each_gap(text, end, self.before[index], &mut |behind| {
                    self.step(text, index, behind, &mut go);
                });
            }
        }
        last
    }

    /// Reads one character in each way that the text can be read.
    fn step(&self, text: &str, index: usize, at: usize, go: &mut impl FnMut(usize, usize)) {
        each_reading(text, at, &mut |character, end| {
            if !self.is_folded {
                if character == self.chars[index] {
                    go(index + 1, end);
                }
                return;
            }
            let mut next = index;
            let is_same = fold(character).all(|c| {
                let is_same = self.chars.get(next) == Some(&c);
                next += 1;
                is_same
            });
            if is_same {
                go(next, end);
            }
        });
        // What can't be in a file's name, browsers replace when a site proposes it.
        if self.is_folded && is_replaced_in_names(self.chars[index]) && text[at..].starts_with('_')
        {
            go(index + 1, at + 1);
        }
    }
}

/// Whether a character is one that browsers replace by `_` in a file's name.
pub(super) fn is_replaced_in_names(character: char) -> bool {
    character.is_control() || "/\\:*?\"<>|~".contains(character)
}

/// The first bytes of the characters that are a folded one in another letter case, or another letter for the same.
static ALIKE: LazyLock<HashMap<char, Vec<u8>>> = LazyLock::new(|| {
    let mut alike: HashMap<char, Vec<u8>> = HashMap::new();
    let alphabets = [
        '\0'..'\u{600}',
        '\u{1e00}'..'\u{2200}',
        '\u{fb00}'..'\u{fb20}',
    ];
    for character in alphabets.into_iter().flatten() {
        if let Some(folded) = fold(character).next() {
            alike.entry(folded).or_default().push(first_byte(character));
        }
    }
    alike
});

fn first_byte(character: char) -> u8 {
    let mut utf8 = [0; 4];
    character.encode_utf8(&mut utf8).as_bytes()[0]
}

impl Between {
    /// Whether a byte can begin something that may stand between two characters.
    fn may_begin_with(self, byte: u8) -> bool {
        let is_line_end = matches!(byte, b'\n' | b'\r');
        match self {
            Self::Never => false,
            Self::Nothing => is_line_end || begins_escape(byte),
            Self::Tags => {
                byte.is_ascii_whitespace()
                    || byte == b'<'
                    || begins_escape(byte)
                    || !byte.is_ascii()
            }
            Self::Space => Self::Tags.may_begin_with(byte) || byte == b'+',
            Self::Groups => Self::Space.may_begin_with(byte) || b"-.,:/_|".contains(&byte),
        }
    }
}

/// Gives each place to which one can go over what may stand between two characters.
fn each_gap(text: &str, at: usize, between: Between, take: &mut dyn FnMut(usize)) {
    let mut at = at;
    let mut signs = 0;
    for _ in 0..MOST_GAPS {
        let Some(next) = behind_gap(text, at, between, &mut signs) else {
            return;
        };
        at = next;
        take(at);
    }
}

/// The end of one tag, of white space, or of one sign.
fn behind_gap(text: &str, at: usize, between: Between, signs: &mut u32) -> Option<usize> {
    let first = text.as_bytes().get(at)?;
    if !between.may_begin_with(*first) {
        return None;
    }
    let mut behind = None;
    each_reading(text, at, &mut |character, end| {
        let end = match (character, between) {
            ('\n' | '\r', Between::Nothing) => Some(end),
            (_, Between::Nothing) => None,
            ('<', _) => end_of_tag(text, at, end),
            ('\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}', _) => Some(end),
            (c, Between::Space | Between::Groups) if c.is_whitespace() => Some(end),
            (c, Between::Tags) if c.is_whitespace() && stands_at_tag(text, at) => Some(end),
            // One sign, as in `12-34`, and not a range of them.
            (
                '-' | '.' | ',' | ':' | '/' | '_' | '|' | '·' | '\u{2010}'..='\u{2013}',
                Between::Groups,
            ) if *signs == 0 => {
                *signs += 1;
                Some(end)
            }
            _ => None,
        };
        behind = behind.max(end);
    });
    let mut behind = behind?;
    if between != Between::Nothing && text[at..].starts_with(char::is_whitespace) {
        behind = text.len() - text[behind..].trim_start().len();
    }
    Some(behind)
}

/// Whether a tag is before or behind the white space here: that may be nothing but how the HTML is written.
fn stands_at_tag(text: &str, at: usize) -> bool {
    let behind = text[at..].trim_start();
    let before = &text[..at];
    before.ends_with('>')
        || behind.starts_with('<')
        || before.ends_with("&gt;")
        || behind.starts_with("&lt;")
}

/// Where a tag ends that begins with `<`, however that is written: its `>` is written alike.
fn end_of_tag(text: &str, start: usize, at: usize) -> Option<usize> {
    let written = &text[start..at];
    let inside = inside_of_tag(text, at, written);
    if !inside
        .starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '\\' | '&' | '%'))
    {
        return None;
    }
    let closing = match written {
        "<" => ">".to_owned(),
        other => other
            .replace("lt", "gt")
            .replace("LT", "GT")
            .replace("3c", "3e")
            .replace("3C", "3E")
            .replace("60", "62"),
    };
    Some(at + inside.find(&closing)? + closing.len())
}

/// What may be inside of a tag that has begun before `at`: nothing behind where another one begins, so that a text that is
/// full of beginnings is looked through once, and not from each of them.
pub(super) fn inside_of_tag<'t>(text: &'t str, at: usize, opening: &str) -> &'t str {
    let most = text.floor_char_boundary(at + MOST_TAG_BYTES);
    let inside = &text[at..most];
    inside.split(opening).next().unwrap_or(inside)
}
