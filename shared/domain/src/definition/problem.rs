//! What is wrong with a definition, where, and what was probably meant. Never stops at the first error.

use std::fmt;

use serde::Serialize;

/// Where something stands in a definition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// A JSON pointer (RFC 6901) into the definition, such as `/states/0/steps/1/fill`. Empty for the whole of it.
    pub pointer: String,
    /// The line in the YAML text, counted from 1. JSON over the API has none.
    pub line: Option<usize>,
    /// The column in the YAML text in characters, counted from 1. JSON over the API has none.
    pub column: Option<usize>,
}

/// One error in a definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ValidationError {
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
    /// What is wrong, for a person, as one sentence without a full stop.
    pub message: String,
    /// What was probably meant, such as the name of a known step next to a misspelt one.
    pub suggestion: Option<String>,
}

impl fmt::Display for ValidationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.place.line, self.place.column) {
            (Some(line), Some(column)) => write!(f, "{line}:{column}: ")?,
            _ if self.place.pointer.is_empty() => {}
            _ => write!(f, "{}: ", self.place.pointer)?,
        }
        f.write_str(&self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, " (did you mean `{suggestion}`?)"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ValidationError {}

/// The errors found so far. Bounded, so that a hostile text can't make the answer larger than itself.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<ValidationError>);

/// How many errors of one definition are reported.
const MOST_PROBLEMS: usize = 100;

impl Problems {
    pub(super) fn report(&mut self, place: &Place, message: impl Into<String>) {
        self.push(place, message.into(), None);
    }

    pub(super) fn report_with_suggestion(
        &mut self,
        place: &Place,
        message: impl Into<String>,
        suggestion: Option<&str>,
    ) {
        self.push(place, message.into(), suggestion.map(str::to_owned));
    }

    fn push(&mut self, place: &Place, message: String, suggestion: Option<String>) {
        if self.0.len() < MOST_PROBLEMS {
            self.0.push(ValidationError {
                place: place.clone(),
                message,
                suggestion,
            });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives the errors in the order in which they stand in the text.
    pub(super) fn into_sorted(mut self) -> Vec<ValidationError> {
        self.0
            .sort_by_key(|problem| (problem.place.line, problem.place.column));
        self.0
    }
}

/// Finds the known name that a misspelt one most probably stands for.
pub(super) fn closest<'n>(
    written: &str,
    known: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    if written.chars().count() > 64 {
        return None;
    }
    let written = written.to_lowercase();
    let bound = (written.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|name| (distance(&written, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The edit distance with transpositions (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let mut best = (last[j] + usize::from(a != b))
                .min(last[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_its_neighbour_and_a_foreign_one_finds_none() {
        assert_eq!(closest("clcik", ["fill", "click"]), Some("click"));
        assert_eq!(closest("waitfor", ["waitFor", "fill"]), Some("waitFor"));
        assert_eq!(closest("teleport", ["fill", "click"]), None);
    }
}
