//! YAML 1.2 text to a tree of nodes, without the parts of YAML that surprise people: no aliases, no tags,
//! no duplicate keys, one document. Explains values that YAML reads otherwise than they look.

use std::collections::HashSet;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span};
use serde_json::Number;

use super::node::{Entry, Kind, MOST_BYTES, MOST_DEPTH, MOST_NODES, Node, size_message};
use super::problem::{Path, Problems, Rule, Spot};

const COMMENT: &str =
    "YAML reads `#` after a space as the start of a comment: put the value in quotes";
const LIST: &str = "YAML reads `[…]` as a list: put the value in quotes";
const MAP: &str = "YAML reads `{…}` as a map: put the value in quotes";
const TEMPLATE: &str = "YAML reads `{{ … }}` without quotes as a map: put the value in quotes";
const ALIAS: &str = "`*` starts an alias in YAML, and aliases are not part of a definition: put the value in quotes";

/// Makes the tree of a YAML text, or `None` after having reported why not.
pub(super) fn parse(text: &str, problems: &mut Problems) -> Option<Node> {
    if text.len() > MOST_BYTES {
        problems.report(&Spot::default(), Rule::TooLarge, size_message());
        return None;
    }
    let mut builder = Builder {
        parser: Parser::new_from_str(text),
        lines: text.lines().collect(),
        nodes: 0,
        problems,
    };
    match builder.document() {
        Ok(node) => node,
        Err(Stop::Reported) => None,
        Err(Stop::Syntax(error)) => {
            let place = place(Path::default(), *error.marker());
            let message = explain_syntax(&error, &builder.lines);
            problems.report(&place, Rule::YamlSyntax, message);
            None
        }
    }
}

/// Why the text is not read any further.
enum Stop {
    Syntax(ScanError),
    Reported,
}

impl From<ScanError> for Stop {
    fn from(error: ScanError) -> Self {
        Self::Syntax(error)
    }
}

struct Builder<'t, 'p> {
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    lines: Vec<&'t str>,
    nodes: usize,
    problems: &'p mut Problems,
}

impl<'t> Builder<'t, '_> {
    fn next(&mut self) -> Result<(Event<'t>, Span), Stop> {
        match self.parser.next_event() {
            Some(event) => Ok(event?),
            None => Err(Stop::Reported),
        }
    }

    fn stop<T>(&mut self, place: &Spot, rule: Rule, message: impl Into<String>) -> Result<T, Stop> {
        self.problems.report(place, rule, message);
        Err(Stop::Reported)
    }

    fn document(&mut self) -> Result<Option<Node>, Stop> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentEnd | Event::Nothing => {}
                Event::DocumentStart(_) if root.is_some() => {
                    return self.stop(
                        &place(Path::default(), span.start),
                        Rule::YamlFeature,
                        "a definition is one YAML document",
                    );
                }
                Event::DocumentStart(_) => {
                    let (event, span) = self.next()?;
                    root = Some(self.node(event, span, Path::default(), 0)?);
                }
                Event::StreamEnd => break,
                _ => return Err(Stop::Reported),
            }
        }
        if root.is_none() {
            self.problems
                .report(&Spot::default(), Rule::Empty, "the definition is empty");
        }
        Ok(root)
    }

    fn node(
        &mut self,
        event: Event<'t>,
        span: Span,
        path: Path,
        depth: usize,
    ) -> Result<Node, Stop> {
        let place = place(path, span.start);
        self.nodes += 1;
        if depth > MOST_DEPTH || self.nodes > MOST_NODES {
            return self.stop(&place, Rule::TooLarge, size_message());
        }
        let mut swallowed = None;
        let kind = match event {
            Event::Alias(_) => return self.stop(&place, Rule::YamlFeature, ALIAS),
            Event::Scalar(_, _, anchor, _)
            | Event::SequenceStart(anchor, _)
            | Event::MappingStart(anchor, _)
                if anchor > 0 =>
            {
                return self.stop(
                    &place,
                    Rule::YamlFeature,
                    "`&` starts an anchor in YAML, and anchors are not part of a definition",
                );
            }
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                return self.stop(
                    &place,
                    Rule::YamlFeature,
                    "`!` starts a tag in YAML, and tags are not part of a definition",
                );
            }
            Event::Scalar(text, style, _, _) => {
                let kind = if style == ScalarStyle::Plain {
                    resolve(&text)
                } else {
                    Kind::String(text.into_owned())
                };
                if matches!(kind, Kind::Null) && self.is_followed_by_comment(span.start) {
                    swallowed = Some(COMMENT);
                }
                kind
            }
            Event::SequenceStart(..) => {
                if self.text_at(span.start).starts_with('[') {
                    swallowed = Some(LIST);
                }
                self.sequence(&place.path, depth)?
            }
            Event::MappingStart(..) => {
                if self.text_at(span.start).starts_with('{') {
                    swallowed = Some(MAP);
                }
                self.mapping(&place, depth)?
            }
            _ => return Err(Stop::Reported),
        };
        Ok(Node {
            place,
            kind,
            swallowed,
        })
    }

    fn sequence(&mut self, path: &Path, depth: usize) -> Result<Kind, Stop> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Kind::Sequence(items));
            }
            items.push(self.node(event, span, path.to(items.len().to_string()), depth + 1)?);
        }
    }

    fn mapping(&mut self, map_place: &Spot, depth: usize) -> Result<Kind, Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen = HashSet::new();
        loop {
            let (event, key_span) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(Kind::Mapping(entries)),
                Event::Scalar(text, _, 0, None) => text.into_owned(),
                Event::Alias(_) => {
                    return self.stop(
                        &place(map_place.path.clone(), key_span.start),
                        Rule::YamlFeature,
                        ALIAS,
                    );
                }
                Event::MappingStart(..) => {
                    return self.stop(map_place, Rule::SwallowedByYaml, TEMPLATE);
                }
                _ => {
                    return self.stop(
                        &place(map_place.path.clone(), key_span.start),
                        Rule::WrongKind,
                        "a key must be plain text",
                    );
                }
            };
            let path = map_place.path.to(key.as_str());
            let key_place = place(path.clone(), key_span.start);
            if !seen.insert(key.clone()) {
                self.problems.report(
                    &key_place,
                    Rule::DuplicateKey,
                    format!("`{key}` stands here twice"),
                );
            }
            let (event, span) = self.next()?;
            let mut value = self.node(event, span, path, depth + 1)?;
            if matches!(value.kind, Kind::Null)
                && value.swallowed.is_none()
                && self.is_followed_by_comment(key_span.end)
            {
                value.swallowed = Some(COMMENT);
            }
            entries.push(Entry {
                key,
                key_place,
                value,
            });
        }
    }

    /// The rest of the line from a marker on.
    fn text_at(&self, marker: Marker) -> &'t str {
        let Some(line) = marker
            .line()
            .checked_sub(1)
            .and_then(|index| self.lines.get(index))
        else {
            return "";
        };
        line.char_indices()
            .nth(marker.col())
            .map_or("", |(start, _)| &line[start..])
    }

    /// Whether nothing but a comment follows on this line, as in `css: #id`.
    fn is_followed_by_comment(&self, marker: Marker) -> bool {
        let rest = self.text_at(marker).trim_start();
        rest.strip_prefix(':')
            .unwrap_or(rest)
            .trim_start()
            .starts_with('#')
    }
}

fn place(path: Path, marker: Marker) -> Spot {
    Spot {
        path,
        line: Some(marker.line()),
        column: Some(marker.col() + 1),
    }
}

/// Says in the language of this page what the YAML scanner stumbled over.
fn explain_syntax(error: &ScanError, lines: &[&str]) -> String {
    let at = error.marker().line().min(lines.len());
    let line = at
        .checked_sub(1)
        .and_then(|index| lines.get(index))
        .copied()
        .unwrap_or("");
    let value = line.trim_start().trim_start_matches("- ");
    let value = value
        .split_once(": ")
        .map_or(value, |(_, value)| value)
        .trim_start();
    let is_bare = !value.starts_with(['"', '\'', '{', '[']);
    let hint = match value.chars().next() {
        _ if error.info().contains("unknown anchor") => Some(ALIAS),
        Some('*') => Some(ALIAS),
        _ if lines[..at]
            .iter()
            .rev()
            .take(2)
            .any(|line| hides_bracket(line)) =>
        {
            Some(COMMENT)
        }
        _ if has_bare_template(line) => Some(TEMPLATE),
        Some('[') => {
            Some("a value that starts with `[` is a list in YAML: put it in quotes if it is text")
        }
        Some('@' | '`' | '%') => {
            Some("a value can't start with this character in YAML: put it in quotes")
        }
        _ if is_bare && value.contains(": ") => {
            Some("a value with a colon and a space in it must be put in quotes")
        }
        _ => None,
    };
    match hint {
        Some(hint) => format!("the YAML can't be read: {}; {hint}", error.info()),
        None => format!("the YAML can't be read: {}", error.info()),
    }
}

/// Whether `{{` stands on this line outside of quotes.
fn has_bare_template(line: &str) -> bool {
    line.find("{{").is_some_and(|at| {
        ['"', '\'']
            .iter()
            .all(|quote| line[..at].matches(*quote).count() % 2 == 0)
    })
}

/// Whether a comment hides the end of a `{…}` or `[…]` that begins on this line, as in `{ css: #id }`.
fn hides_bracket(line: &str) -> bool {
    line.split_once(" #")
        .is_some_and(|(before, after)| before.contains(['{', '[']) && after.contains(['}', ']']))
}

/// Gives a plain scalar the type of YAML 1.2's core schema. What isn't finite stays text.
fn resolve(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" | "True" | "TRUE" => return Kind::Bool(true),
        "false" | "False" | "FALSE" => return Kind::Bool(false),
        _ => {}
    }
    number(text).map_or_else(|| Kind::String(text.to_owned()), Kind::Number)
}

fn number(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok().map(Number::from);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return u64::from_str_radix(digits, 8).ok().map(Number::from);
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        || !unsigned.contains(|c: char| c.is_ascii_digit())
        || !unsigned
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+'))
    {
        return None;
    }
    if let Ok(integer) = text.parse::<i64>() {
        return Some(Number::from(integer));
    }
    if let Ok(integer) = text.parse::<u64>() {
        return Some(Number::from(integer));
    }
    text.parse::<f64>().ok().and_then(Number::from_f64)
}
