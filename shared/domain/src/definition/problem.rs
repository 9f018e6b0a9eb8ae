//! What is wrong with a definition, where, and what was probably meant. Never stops at the first error.

use std::fmt;
use std::rc::Rc;

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

/// Where something stands, as long as nobody has to be told: the way to it is shared with all that is around it, so that
/// long keys cost their length once.
#[derive(Debug, Clone, Default)]
pub(super) struct Spot {
    pub(super) path: Path,
    pub(super) line: Option<usize>,
    pub(super) column: Option<usize>,
}

/// The keys and indexes that lead to a value.
#[derive(Debug, Clone, Default)]
pub(super) struct Path(Option<Rc<Link>>);

#[derive(Debug)]
struct Link {
    before: Path,
    token: String,
}

impl Path {
    /// The way to what is inside, under a key or an index.
    pub(super) fn to(&self, token: impl Into<String>) -> Self {
        Self(Some(Rc::new(Link {
            before: self.clone(),
            token: token.into(),
        })))
    }

    /// The way as a JSON pointer.
    fn pointer(&self) -> String {
        let Some(link) = &self.0 else {
            return String::new();
        };
        let token = link.token.replace('~', "~0").replace('/', "~1");
        format!("{}/{token}", link.before.pointer())
    }
}

impl Spot {
    /// The place as it is told.
    pub(super) fn place(&self) -> Place {
        Place {
            pointer: self.path.pointer(),
            line: self.line,
            column: self.column,
        }
    }
}

/// The rules of the language. Their names on the wire stay the same, whatever becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = DefinitionRule))]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The text is not YAML.
    YamlSyntax,
    /// The text is YAML, with a part of it that definitions don't have: aliases, anchors, tags, several documents.
    YamlFeature,
    /// YAML reads this value otherwise than it looks.
    SwallowedByYaml,
    /// A key stands twice in one map.
    DuplicateKey,
    /// The definition is too large or too deep.
    TooLarge,
    /// A value is of another kind than it must be here.
    WrongKind,
    /// A key is not known here.
    UnknownKey,
    /// A key is missing.
    MissingKey,
    /// Keys stand together of which only one may, or one lacks another.
    KeysConflict,
    /// There is no such step, or not exactly one.
    UnknownStep,
    /// A list or a map is empty, and may not be.
    Empty,
    /// A word is not among those that can stand here.
    UnknownWord,
    /// A number, a length or a time is outside of its bounds.
    OutOfBounds,
    /// A duration is not written as one.
    BadDuration,
    /// A name is not written as it must be.
    BadName,
    /// A name is used twice.
    DuplicateName,
    /// The input's schema is no JSON Schema, or costs more than one may.
    BadInputSchema,
    /// A URL or an origin is not one.
    BadUrl,
    /// A date's format can't be used.
    BadFormat,
    /// A CSS selector or an XPath expression can't be read.
    BadSelector,
    /// An expression can't be read.
    BadExpression,
    /// An expression names a filter, a test or a function that the language lacks.
    UnknownFunction,
    /// A variable has no value at this point.
    UnknownVariable,
    /// The input has no such property.
    UnknownInput,
    /// Nobody has been asked for this by then.
    UnknownAnswer,
    /// A secret is used where none may be, or otherwise than as it is.
    SecretUse,
    /// A step or a state can never be reached.
    Unreachable,
    /// A run could need more entries in its history than are kept.
    HistoryBound,
}

/// One error in a definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ValidationError {
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
    /// Which rule is broken.
    pub rule: Rule,
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

/// The errors found so far, each once. Bounded, so that a hostile text can't make the answer larger than itself.
#[derive(Debug, Default)]
pub(super) struct Problems {
    errors: Vec<ValidationError>,
    /// How long their texts are together.
    bytes: usize,
}

/// How many errors of one definition are reported.
const MOST_PROBLEMS: usize = 100;
/// How long their texts may become together: no more are kept after that.
const MOST_BYTES: usize = 256 * 1024;
/// How long a message may be, in characters, as it repeats what was written.
const LONGEST_MESSAGE_CHARS: usize = 600;

impl Problems {
    pub(super) fn report(&mut self, place: &Spot, rule: Rule, message: impl Into<String>) {
        self.suggest(place, rule, message, None);
    }

    pub(super) fn suggest(
        &mut self,
        place: &Spot,
        rule: Rule,
        message: impl Into<String>,
        suggestion: Option<&str>,
    ) {
        if !self.are_full() {
            self.add(ValidationError {
                place: place.place(),
                rule,
                message: message.into(),
                suggestion: suggestion.map(str::to_owned),
            });
        }
    }

    /// Adds an error, unless it is told already: what YAML made of a value is seen when the text is read, and again
    /// where something else was wanted.
    fn add(&mut self, mut problem: ValidationError) {
        if let Some((end, _)) = problem.message.char_indices().nth(LONGEST_MESSAGE_CHARS) {
            problem.message.truncate(end);
            problem.message.push('…');
        }
        let is_told =
            |told: &ValidationError| told.place == problem.place && told.message == problem.message;
        if !self.are_full() && !self.errors.iter().any(is_told) {
            self.bytes += problem.place.pointer.len() + problem.message.len();
            self.errors.push(problem);
        }
    }

    /// Adds errors that were found apart.
    pub(super) fn append(&mut self, other: Self) {
        for problem in other.errors {
            self.add(problem);
        }
    }

    /// Forgets errors.
    pub(super) fn retain(&mut self, is_kept: impl Fn(&ValidationError) -> bool) {
        self.errors.retain(is_kept);
    }

    /// Whether no more errors are kept: then nobody needs to look for more.
    pub(super) fn are_full(&self) -> bool {
        self.errors.len() >= MOST_PROBLEMS || self.bytes > MOST_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// Gives the errors in the order in which they stand in the text.
    pub(super) fn into_sorted(mut self) -> Vec<ValidationError> {
        self.errors
            .sort_by_key(|problem| (problem.place.line, problem.place.column));
        self.errors
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
