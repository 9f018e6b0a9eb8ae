//! How one character of a text may be written: as itself, or escaped as URLs, HTML, JSON, JavaScript, CSS, CSV or forms
//! do it, also several times over. Pure.

use super::entities::named;

/// How often an escape may have been escaped again.
const MOST_LAYERS: usize = 3;

/// Gives each character that the text at `at` may stand for, with the place behind it.
pub(super) fn each_reading(text: &str, at: usize, take: &mut dyn FnMut(char, usize)) {
    let Some(first) = text[at..].chars().next() else {
        return;
    };
    take(first, at + first.len_utf8());
    match first {
        '%' => percent(text.as_bytes(), at, take),
        '&' => entity(text.as_bytes(), at, take),
        '\\' => backslash(text, at, take),
        '+' => take(' ', at + 1),
        '"' | '\'' if text[at + 1..].starts_with(first) => take(first, at + 2),
        _ => {}
    }
}

/// Whether this byte begins an escape that any character may have.
pub(super) fn begins_escape(byte: u8) -> bool {
    matches!(byte, b'%' | b'&' | b'\\')
}

/// `%68`, `%2568`, the bytes of UTF-8 as `%C3%BC`, and what the old `escape` of JavaScript made: `%FC`, `%u20AC`.
fn percent(text: &[u8], at: usize, take: &mut dyn FnMut(char, usize)) {
    for layers in 0..=MOST_LAYERS {
        let Some(inner) = behind_percent(text, at, layers) else {
            return;
        };
        if text.get(inner) == Some(&b'u')
            && let Some(unit) = hex(text, inner + 1, 4)
        {
            utf16(unit, inner + 5, take, |next| {
                let inner = behind_percent(text, next, layers)?;
                (text.get(inner) == Some(&b'u'))
                    .then(|| Some((hex(text, inner + 1, 4)?, inner + 5)))?
            });
        }
        bytes(at, take, |at| {
            let inner = behind_percent(text, at, layers)?;
            Some((hex(text, inner, 2)?, inner + 2))
        });
    }
}

/// What is behind a `%` that was escaped so many times.
fn behind_percent(text: &[u8], at: usize, layers: usize) -> Option<usize> {
    let mut inner = at + 1;
    if text.get(at) != Some(&b'%') {
        return None;
    }
    for _ in 0..layers {
        if text.get(inner..inner + 2) != Some(b"25") {
            return None;
        }
        inner += 2;
    }
    Some(inner)
}

/// A character that is written byte by byte: in UTF-8, or one of Latin-1.
fn bytes(
    at: usize,
    take: &mut dyn FnMut(char, usize),
    byte: impl Fn(usize) -> Option<(u32, usize)>,
) {
    let Some((first, mut end)) = byte(at) else {
        return;
    };
    let Ok(first) = u8::try_from(first) else {
        return;
    };
    take(char::from(first), end);
    let length = match first {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return,
    };
    let mut utf8 = [first, 0, 0, 0];
    for slot in &mut utf8[1..length] {
        let Some((next, after)) = byte(end) else {
            return;
        };
        let Ok(next) = u8::try_from(next) else { return };
        *slot = next;
        end = after;
    }
    if let Some(character) = std::str::from_utf8(&utf8[..length])
        .ok()
        .and_then(|text| text.chars().next())
    {
        take(character, end);
    }
}

/// A character of which the first unit of UTF-16 was read; `next` reads another one.
fn utf16(
    unit: u32,
    end: usize,
    take: &mut dyn FnMut(char, usize),
    next: impl FnOnce(usize) -> Option<(u32, usize)>,
) {
    if let Some(character) = char::from_u32(unit) {
        return take(character, end);
    }
    if let Some((low, end)) = next(end)
        && (0xD800..0xDC00).contains(&unit)
        && (0xDC00..0xE000).contains(&low)
        && let Some(character) = char::from_u32(0x1_0000 + ((unit - 0xD800) << 10) + low - 0xDC00)
    {
        take(character, end);
    }
}

/// `&amp;`, `&#104;`, `&#x68;`, `&AMP;`, and the same after `&` became `&amp;` once more.
fn entity(text: &[u8], at: usize, take: &mut dyn FnMut(char, usize)) {
    let mut inner = at + 1;
    for _ in 0..=MOST_LAYERS {
        if text.get(inner) == Some(&b'#') {
            let is_hex = matches!(text.get(inner + 1), Some(b'x' | b'X'));
            let (radix, digits) = if is_hex {
                (16, inner + 2)
            } else {
                (10, inner + 1)
            };
            let length = run(text, digits, 8, |byte| char::from(byte).is_digit(radix));
            if let Some(character) = number(text, digits, length, radix).and_then(char::from_u32) {
                take(character, end_of_entity(text, digits + length));
            }
            return;
        }
        let length = run(text, inner, 10, |byte| byte.is_ascii_alphanumeric());
        let name = std::str::from_utf8(&text[inner..inner + length]).unwrap_or_default();
        let end = end_of_entity(text, inner + length);
        if let Some(character) = named(name).filter(|_| end > inner + length) {
            take(character, end);
        }
        // Some are read without their semicolon, too, whatever follows.
        for name in ["amp", "lt", "gt", "quot", "nbsp", "AMP", "LT", "GT", "QUOT"] {
            if text[inner..].starts_with(name.as_bytes())
                && let Some(character) = named(name)
            {
                take(character, inner + name.len());
            }
        }
        if !text[inner..].starts_with(b"amp;") {
            return;
        }
        inner += 4;
    }
}

fn end_of_entity(text: &[u8], at: usize) -> usize {
    at + usize::from(text.get(at) == Some(&b';'))
}

/// `\"`, `\n`, `\x68`, `\u0068`, `\u{68}`, the `\68 ` of style sheets, and the same with each `\` doubled.
fn backslash(text: &str, at: usize, take: &mut dyn FnMut(char, usize)) {
    let bytes_of = text.as_bytes();
    let count = run(bytes_of, at, 1 << MOST_LAYERS, |byte| byte == b'\\');
    for layers in 1..=MOST_LAYERS {
        if 1 << layers <= count {
            take('\\', at + (1 << layers));
        }
    }
    let inner = at + count;
    let Some(escaped) = text[inner..].chars().next() else {
        return;
    };
    let after = inner + escaped.len_utf8();
    let unit = |at: usize| {
        let slashes = run(bytes_of, at, 1 << MOST_LAYERS, |byte| byte == b'\\');
        let is_unit = slashes > 0 && bytes_of.get(at + slashes) == Some(&b'u');
        let end = at + slashes + 5;
        is_unit.then(|| Some((hex(bytes_of, end - 4, 4)?, end)))?
    };
    match escaped {
        'n' => take('\n', after),
        't' => take('\t', after),
        'r' => take('\r', after),
        'b' => take('\u{8}', after),
        'f' => take('\u{c}', after),
        'v' => take('\u{b}', after),
        'x' => bytes(at, take, |at| {
            let slashes = run(bytes_of, at, 1 << MOST_LAYERS, |byte| byte == b'\\');
            let is_byte = slashes > 0 && bytes_of.get(at + slashes) == Some(&b'x');
            let end = at + slashes + 3;
            is_byte.then(|| Some((hex(bytes_of, end - 2, 2)?, end)))?
        }),
        'u' if bytes_of.get(after) == Some(&b'{') => {
            let length = run(bytes_of, after + 1, 6, |byte| byte.is_ascii_hexdigit());
            let end = after + 1 + length;
            if let Some(character) =
                number(bytes_of, after + 1, length, 16).and_then(char::from_u32)
                && bytes_of.get(end) == Some(&b'}')
            {
                take(character, end + 1);
            }
        }
        'u' => {
            if let Some((first, end)) = unit(at) {
                utf16(first, end, take, unit);
            }
        }
        other if !other.is_ascii_alphanumeric() => take(other, after),
        _ => {}
    }
    // Style sheets: up to six digits, and a space that ends them.
    let length = run(bytes_of, inner, 6, |byte| byte.is_ascii_hexdigit());
    if let Some(character) = number(bytes_of, inner, length, 16).and_then(char::from_u32) {
        let end = inner + length;
        take(
            character,
            end + usize::from(bytes_of.get(end) == Some(&b' ')),
        );
    }
}

/// How many bytes are of this kind, at most so many.
fn run(text: &[u8], at: usize, most: usize, is_part: impl Fn(u8) -> bool) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    rest.iter()
        .take(most)
        .take_while(|byte| is_part(**byte))
        .count()
}

/// Exactly so many hexadecimal digits.
fn hex(text: &[u8], at: usize, length: usize) -> Option<u32> {
    let is_whole = run(text, at, length, |byte| byte.is_ascii_hexdigit()) == length;
    is_whole.then(|| number(text, at, length, 16))?
}

fn number(text: &[u8], at: usize, length: usize, radix: u32) -> Option<u32> {
    let digits = std::str::from_utf8(text.get(at..at + length)?).ok()?;
    u32::from_str_radix(digits, radix).ok()
}
