//! Takes the values of secrets out of text that leaves the engine, in whatever shape text gives them.
//!
//! What is escaped, and how, differs from place to place (a URL's path and its query, say), so a text is read character
//! by character, each in every way that it can be read ([`readings`]), and compared without letter case to what is
//! looked for ([`needle`]). Where nothing of it can begin is found by a table of pairs of bytes: most text is passed
//! over at that speed.

mod entities;
mod needle;
mod readings;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use browser::Redaction;
use serde_json::Value;

use needle::{Needle, fold, is_replaced_in_names, needles_of};
use readings::{begins_escape, each_reading};

/// What stands for a secret.
const MASKED: &str = "•••";

/// Replaces the values of secrets.
pub struct Mask {
    needles: Vec<Needle>,
    /// What may begin with a character; those of ASCII have places of their own.
    by_first: HashMap<char, Vec<usize>>,
    by_first_byte: Vec<Vec<usize>>,
    beginnings: Beginnings,
}

impl Mask {
    /// Makes a mask for these values.
    pub fn new<'v>(values: impl IntoIterator<Item = &'v str>) -> Self {
        Self::of(values.into_iter().flat_map(needles_of).collect())
    }

    /// Makes a mask for these values, of which some were typed key by key: a page that listens to keys has seen how they
    /// begin, too.
    pub(crate) fn with_typed<'v>(
        values: impl IntoIterator<Item = &'v str>,
        typed: impl IntoIterator<Item = &'v str>,
    ) -> Self {
        let whole = values.into_iter().flat_map(needles_of);
        let begun = typed.into_iter().filter_map(Needle::beginning);
        Self::of(whole.chain(begun).collect())
    }

    fn of(needles: Vec<Needle>) -> Self {
        let mut by_first: HashMap<char, Vec<usize>> = HashMap::new();
        for (index, needle) in needles.iter().enumerate() {
            by_first.entry(needle.first()).or_default().push(index);
        }
        let of_byte = |byte: u8| {
            let character = char::from(byte);
            let lower = character.to_ascii_lowercase();
            let mut found = by_first.get(&character).cloned().unwrap_or_default();
            if lower != character {
                found.extend(by_first.get(&lower).into_iter().flatten());
            }
            found
        };
        Self {
            by_first_byte: (0..128).map(of_byte).collect(),
            beginnings: Beginnings::of(&needles),
            needles,
            by_first,
        }
    }

    /// A mask that masks nothing.
    pub(crate) fn none() -> Self {
        Self::new([])
    }

    /// Gives a value of which no text, no number, and no name in it, holds the values.
    #[must_use]
    pub fn apply_to_value(&self, value: Value) -> Value {
        self.apply_to_parts(value, true)
    }

    /// Gives a recording of which no text, and no name in it, holds the values. Its numbers are measures of its own.
    pub(crate) fn apply_to_recording(&self, value: Value) -> Value {
        self.apply_to_parts(value, false)
    }

    fn apply_to_parts(&self, value: Value, with_numbers: bool) -> Value {
        if self.needles.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.apply(&text)),
            Value::Array(items) => items
                .into_iter()
                .map(|item| self.apply_to_parts(item, with_numbers))
                .collect(),
            Value::Object(entries) => Value::Object(
                entries
                    .into_iter()
                    .map(|(name, value)| {
                        (self.apply(&name), self.apply_to_parts(value, with_numbers))
                    })
                    .collect(),
            ),
            // A code of digits comes back as a number where a page or a script makes one of it.
            Value::Number(number) if with_numbers => {
                let text = number.to_string();
                if self.next(&text, 0).is_some() {
                    Value::String(self.apply(&text))
                } else {
                    Value::Number(number)
                }
            }
            other => other,
        }
    }

    /// The same for a value that a page or a script gave, in which a secret may also be cut into parts.
    pub(crate) fn apply_to_read(&self, value: Value) -> Value {
        let mut value = self.apply_to_value(value);
        if self.knows_parts() {
            let mut parts = Vec::new();
            push_parts(&mut value, &mut parts);
            self.apply_over(&mut parts);
        }
        value
    }

    /// Masks what is cut into parts over the cells of a row, or of a column. The cells themselves went through it before.
    pub(crate) fn apply_to_records(&self, records: &mut [Vec<Value>]) {
        if !self.knows_parts() {
            return;
        }
        let mut rows = Vec::new();
        for cell in records.iter_mut().flatten() {
            push_parts(cell, &mut rows);
        }
        self.apply_over(&mut rows);
        for column in 0..records.first().map_or(0, Vec::len) {
            let mut cells = Vec::new();
            for record in records.iter_mut() {
                push_parts(&mut record[column], &mut cells);
            }
            self.apply_over(&mut cells);
        }
    }

    fn knows_parts(&self) -> bool {
        self.needles.iter().any(|needle| needle.is_strong)
    }

    /// Masks the values of which several parts, one behind the other, hold something of each.
    fn apply_over(&self, parts: &mut [&mut Value]) {
        let mut joined = String::new();
        let mut ends = Vec::with_capacity(parts.len());
        for part in parts.iter() {
            match &**part {
                Value::String(text) => joined.push_str(text),
                other => joined.push_str(&other.to_string()),
            }
            ends.push(joined.len());
        }
        let found = self.ranges(&joined).into_iter();
        let mut found = found
            .filter(|(_, needle)| self.needles[*needle].is_strong)
            .peekable();
        let mut start = 0;
        for (part, end) in parts.iter_mut().zip(ends) {
            let mut left = String::new();
            let mut at = start;
            while let Some((range, _)) = found.peek()
                && range.start < end
            {
                left.push_str(&joined[at..range.start.max(at)]);
                left.push_str(MASKED);
                at = range.end.min(end);
                if range.end > end {
                    break;
                }
                found.next();
            }
            if at > start {
                left.push_str(&joined[at..end]);
                **part = Value::String(left);
            }
            start = end;
        }
    }

    /// Gives the text without the values. Tags that stand between the characters of one stay.
    #[must_use]
    pub fn apply(&self, text: &str) -> String {
        self.apply_except(text, |_| false)
    }

    /// Gives JSON lines of the run's own without the values in their texts. Their numbers are times and counts.
    pub(crate) fn apply_to_log(&self, lines: &str) -> String {
        self.apply_except(lines, |found| {
            let is_digit = |c: char| c.is_ascii_digit();
            let before = lines[..found.start].trim_end_matches(is_digit);
            let name = before.strip_suffix("\":");
            lines[found.clone()].chars().all(is_digit)
                && name.is_some_and(|name| name.ends_with(|c: char| c.is_ascii_alphabetic()))
        })
    }

    fn apply_except(&self, text: &str, is_kept: impl Fn(&Range<usize>) -> bool) -> String {
        let mut masked = String::with_capacity(text.len());
        let mut at = 0;
        while let Some((found, needle)) = self.next(text, at) {
            if is_kept(&found) {
                masked.push_str(&text[at..found.end]);
                at = found.end;
                continue;
            }
            masked.push_str(&text[at..found.start]);
            masked.push_str(MASKED);
            if !self.needles[needle].has_brackets {
                for tag in tags(&text[found.clone()]) {
                    masked.push_str(&self.apply(tag));
                }
            }
            at = found.end;
        }
        masked.push_str(&text[at..]);
        masked
    }

    /// Where the values are in a text.
    pub(crate) fn find(&self, text: &str) -> Vec<Range<usize>> {
        self.ranges(text)
            .into_iter()
            .map(|(range, _)| range)
            .collect()
    }

    /// Where the values are, in order, and of which needle.
    fn ranges(&self, text: &str) -> Vec<(Range<usize>, usize)> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some((range, needle)) = self.next(text, at) {
            at = range.end;
            found.push((range, needle));
        }
        found
    }

    /// Whether it masks nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.needles.is_empty()
    }

    /// Gives a file without the values, if it is text and has some: in UTF-8 or UTF-16, or one byte for each letter.
    pub(crate) fn apply_to_file(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let units = |unit: fn([u8; 2]) -> u16| {
            let pairs = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
            String::from_utf16_lossy(&pairs.collect::<Vec<_>>())
        };
        let (text, write): (_, fn(&str) -> Vec<u8>) = match bytes {
            [0xFF, 0xFE, ..] => (units(u16::from_le_bytes), |text| {
                text.encode_utf16().flat_map(u16::to_le_bytes).collect()
            }),
            [0xFE, 0xFF, ..] => (units(u16::from_be_bytes), |text| {
                text.encode_utf16().flat_map(u16::to_be_bytes).collect()
            }),
            _ => match std::str::from_utf8(bytes) {
                Ok(text) => (text.to_owned(), |text| text.as_bytes().to_vec()),
                Err(_) if bytes.contains(&0) => return None,
                Err(_) => (bytes.iter().copied().map(char::from).collect(), |text| {
                    // The sign for what is masked is the only one that is none of Latin-1.
                    let letters = text.chars().map(|c| u8::try_from(c).unwrap_or(b'*'));
                    letters.collect()
                }),
            },
        };
        let is_masked = self.next(&text, 0).is_some();
        is_masked.then(|| write(&self.apply(&text)))
    }

    /// Gives a PDF without the values in what is plain text in it: its links, its title. What it shows is drawn, as in a
    /// picture. Nothing becomes longer or shorter: a PDF counts its bytes.
    pub(crate) fn apply_to_pdf(&self, mut pdf: Vec<u8>) -> Vec<u8> {
        // A title with other letters than those of ASCII is written in UTF-16: each of those has a zero before it.
        for step in [1, 2] {
            let mut start = 0;
            while start < pdf.len() {
                let text: String = pdf[start..]
                    .iter()
                    .step_by(step)
                    .take_while(|byte| byte.is_ascii_graphic() || **byte == b' ')
                    .map(|byte| char::from(*byte))
                    .collect();
                for (found, _) in self.ranges(&text) {
                    // Numbers outside of strings are the PDF's own: places of its parts, lengths, sizes.
                    let is_own = |byte: u8| byte.is_ascii_digit() || b" .-".contains(&byte);
                    let is_own = text[found.clone()].bytes().all(is_own);
                    if step == 1 && is_own && !is_in_string(&text[..found.start]) {
                        continue;
                    }
                    for index in found {
                        pdf[start + index * step] = b'*';
                    }
                }
                start += text.len() * step + 1;
            }
        }
        pdf
    }

    /// The first value at or after a place, and what of it was found.
    fn next(&self, text: &str, from: usize) -> Option<(Range<usize>, usize)> {
        let mut at = from;
        loop {
            at = self.beginnings.next(text.as_bytes(), at)?;
            if !text.is_char_boundary(at) {
                at += 1;
                continue;
            }
            let mut best: Option<(Range<usize>, usize)> = None;
            let mut look = |index: usize| {
                if let Some((start, end)) = self.needles[index].found_at(text, at)
                    && best.as_ref().is_none_or(|(range, _)| range.end < end)
                {
                    best = Some((start.max(from)..end, index));
                }
            };
            let byte = text.as_bytes()[at];
            if byte.is_ascii_alphanumeric() {
                self.by_first_byte[usize::from(byte)]
                    .iter()
                    .copied()
                    .for_each(&mut look);
            } else {
                self.each_of_other_beginnings(text, at, &mut look);
            }
            if best.is_some() {
                return best;
            }
            at += 1;
        }
    }
}

impl Mask {
    /// Gives what may begin at a place that is no plain letter or digit.
    fn each_of_other_beginnings(&self, text: &str, at: usize, look: &mut dyn FnMut(usize)) {
        let mut look = |first: char| {
            let found = self.by_first.get(&first);
            found.into_iter().flatten().copied().for_each(&mut *look);
        };
        each_reading(text, at, &mut |character, _| {
            look(character);
            let folded = fold(character).next();
            folded
                .filter(|folded| *folded != character)
                .into_iter()
                .for_each(&mut look);
        });
        if text[at..].starts_with('_') {
            let firsts = self.by_first.keys();
            let replaced = firsts.filter(|first| is_replaced_in_names(**first));
            replaced.for_each(|first| look(*first));
        }
    }
}

/// Adds the texts and numbers of a value, in order.
fn push_parts<'v>(value: &'v mut Value, parts: &mut Vec<&'v mut Value>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| push_parts(item, parts)),
        Value::Object(entries) => entries
            .values_mut()
            .for_each(|entry| push_parts(entry, parts)),
        Value::String(_) | Value::Number(_) => parts.push(value),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Whether what follows this text of a PDF is inside of the brackets of a string.
fn is_in_string(before: &str) -> bool {
    let bracket = before.rfind(['(', ')']);
    bracket.is_some_and(|at| before[at..].starts_with('(') || before[..at].ends_with('\\'))
}

/// The tags in a text.
fn tags(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find('<')?;
        let length = rest[start..].find('>')? + 1;
        let tag = &rest[start..start + length];
        rest = &rest[start + length..];
        Some(tag)
    })
}

/// The pairs of bytes with which something can begin.
struct Beginnings(Vec<u64>);

impl Beginnings {
    fn of(needles: &[Needle]) -> Self {
        let mut table = Self(vec![0; if needles.is_empty() { 0 } else { 1024 }]);
        let all = 0..=u8::MAX;
        for needle in needles {
            let [firsts, seconds] = needle.beginnings();
            for first in all.clone().filter(|byte| firsts[usize::from(*byte)]) {
                for second in all.clone() {
                    // An escape, and a letter beyond ASCII, is longer than its first byte; quotes are doubled.
                    let is_longer = !first.is_ascii() || begins_escape(first) || first == second;
                    if is_longer || seconds[usize::from(second)] {
                        table.set(first, second);
                    }
                }
            }
        }
        table
    }

    fn set(&mut self, first: u8, second: u8) {
        self.0[usize::from(first) * 4 + usize::from(second) / 64] |= 1 << (second % 64);
    }

    /// The first place at or after this one where something can begin.
    fn next(&self, text: &[u8], from: usize) -> Option<usize> {
        if self.0.is_empty() {
            return None;
        }
        let pairs = text.get(from..)?.windows(2);
        let is_possible = |pair: &[u8]| {
            self.0[usize::from(pair[0]) * 4 + usize::from(pair[1]) / 64] >> (pair[1] % 64) & 1 == 1
        };
        let found = pairs.into_iter().position(is_possible);
        found.map(|index| from + index)
    }
}

/// The mask of a run, which grows with the secrets that the run gets to know. Others may hold it too.
#[derive(Clone)]
pub(crate) struct Masking(Arc<RwLock<Arc<Mask>>>);

impl Default for Masking {
    fn default() -> Self {
        Self(Arc::new(RwLock::new(Arc::new(Mask::none()))))
    }
}

impl Masking {
    /// The mask as it is now.
    pub(crate) fn mask(&self) -> Arc<Mask> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set(&self, mask: Mask) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(mask);
    }

    /// What takes out of a recording what is masked at that moment.
    pub(crate) fn redaction(&self) -> Redaction {
        let masking = self.clone();
        let finding = self.clone();
        Redaction::by(move |text| masking.mask().apply(text))
            .with_places(move |text| finding.mask().find(text))
    }
}
