//! YAML 1.2 text to a tree of nodes, without the parts of YAML that surprise people: no aliases, no tags,
//! no duplicate keys, one document. Explains values that YAML reads otherwise than they look.

use std::collections::HashSet;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span};
use serde_json::Number;

use super::node::{Entry, Kind, MOST_BYTES, MOST_DEPTH, MOST_NODES, Node, size_message};
use super::problem::{Path, Place, Problems, Rule, Spot};

const COMMENT: &str =
    "YAML reads `#` after a space as the start of a comment: put the value in quotes";
const LIST: &str = "YAML reads `[…]` as a list: put the value in quotes";
const MAP: &str = "YAML reads `{…}` as a map: put the value in quotes";
const TEMPLATE: &str = "YAML reads `{{ … }}` without quotes as a map: put the value in quotes";
const ALIAS: &str = "`*` starts an alias in YAML, and aliases are not part of a definition: put the value in quotes";

/// How many aliases are blanked out at most, to find what else is wrong with a text that has them.
const MOST_ALIASES: usize = 16;

/// What could be made of a text.
pub(super) struct Read {
    /// The tree, as far as the text can be read.
    pub(super) node: Option<Node>,
    /// Where it breaks off, if it can't be read to its end.
    pub(super) broken: Option<Broken>,
}

/// Where a text can't be read any further.
pub(super) struct Broken {
    /// The line from which on nothing is certain.
    line: usize,
    /// The maps and lists that were begun before, and have no end.
    open: Vec<Place>,
}

impl Broken {
    /// Whether something that seems wrong is so whatever follows.
    pub(super) fn is_certain(&self, place: &Place) -> bool {
        place.line.is_some_and(|line| line < self.line) && !self.open.contains(place)
    }
}

/// Makes the tree of a YAML text, and reports what is wrong with it as YAML.
pub(super) fn parse(text: &str, problems: &mut Problems) -> Read {
    if text.len() > MOST_BYTES {
        problems.report(&Spot::default(), Rule::TooLarge, size_message());
        return Read {
            node: None,
            broken: None,
        };
    }
    // A lone carriage return ends a line of YAML, too.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    // The scanner stops at an alias, which is what a `*` without quotes looks like. So that it hides no other error,
    // the text is read once more without it.
    let mut readable = text.clone();
    let mut aliases = Vec::new();
    loop {
        let mut builder = Builder {
            parser: Parser::new_from_str(&readable),
            lines: text.lines().collect(),
            nodes: 0,
            problems: Problems::default(),
            aliases: &aliases,
            syntax_error: None,
            open: Vec::new(),
        };
        let node = builder.document().unwrap_or_default();
        let Builder {
            lines,
            problems: found,
            syntax_error,
            open,
            ..
        } = builder;
        let Some(error) = syntax_error else {
            problems.append(found);
            return Read { node, broken: None };
        };
        let marker = *error.marker();
        if let Some(blanked) = without_alias(&readable, marker)
            && aliases.len() < MOST_ALIASES
        {
            readable = blanked;
            aliases.push((marker.line(), marker.col()));
            continue;
        }
        problems.append(found);
        let at = place(Path::default(), marker);
        problems.report(&at, Rule::YamlSyntax, explain_syntax(&error, &lines));
        // Within `{` or `[` that is not closed, what follows may be read otherwise than it was meant.
        let flow = open.iter().filter(|open| open.is_flow);
        let line = flow.filter_map(|open| open.place.line).min();
        let broken = Broken {
            line: line.unwrap_or(marker.line()),
            open: open.into_iter().map(|open| open.place).collect(),
        };
        return Read {
            node,
            broken: Some(broken),
        };
    }
}

/// The text with nothing in place of the alias at a marker, if there is one.
fn without_alias(text: &str, marker: Marker) -> Option<String> {
    let line_start = text
        .split_inclusive('\n')
        .take(marker.line().checked_sub(1)?)
        .map(str::len)
        .sum::<usize>();
    let line = text[line_start..].split('\n').next()?;
    let (at, _) = line.char_indices().nth(marker.col())?;
    let alias = line[at..].strip_prefix('*')?;
    let length = alias
        .find([' ', '\t', ',', ']', '}'])
        .unwrap_or(alias.len());
    let start = line_start + at;
    // One sign for each that is taken out, so that all others stay in their columns.
    let blank: String = alias[..length].chars().map(|_| ' ').collect();
    Some(format!(
        "{}~{blank}{}",
        &text[..start],
        &text[start + 1 + length..]
    ))
}

/// The text is not read any further: it is too large, and that has been reported.
struct Stop;

/// A map or a list that was begun when the text broke off.
struct Open {
    place: Place,
    is_flow: bool,
}

struct Builder<'t, 'o> {
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    /// The lines as they were written.
    lines: Vec<&'o str>,
    nodes: usize,
    problems: Problems,
    /// Where aliases were blanked out.
    aliases: &'t [(usize, usize)],
    /// Why the text can't be read to its end.
    syntax_error: Option<ScanError>,
    /// What was begun when it broke off.
    open: Vec<Open>,
}

impl<'t, 'o> Builder<'t, 'o> {
    /// The next event; `None` where the text breaks off.
    fn next(&mut self) -> Option<(Event<'t>, Span)> {
        if self.syntax_error.is_some() {
            return None;
        }
        match self.parser.next_event()? {
            Ok(event) => Some(event),
            Err(error) => {
                self.syntax_error = Some(error);
                None
            }
        }
    }

    fn document(&mut self) -> Result<Option<Node>, Stop> {
        let mut root = None;
        while let Some((event, span)) = self.next() {
            match event {
                Event::StreamStart | Event::DocumentEnd | Event::Nothing => {}
                Event::DocumentStart(_) if root.is_some() => {
                    self.problems.report(
                        &place(Path::default(), span.start),
                        Rule::YamlFeature,
                        "a definition is one YAML document",
                    );
                    break;
                }
                Event::DocumentStart(_) => {
                    if let Some((event, span)) = self.next() {
                        root = self.node(event, span, Path::default(), 0)?;
                    }
                }
                _ => break,
            }
        }
        if root.is_none() && self.syntax_error.is_none() {
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
    ) -> Result<Option<Node>, Stop> {
        let place = place(path, span.start);
        self.nodes += 1;
        if depth > MOST_DEPTH || self.nodes > MOST_NODES {
            self.problems.report(&place, Rule::TooLarge, size_message());
            return Err(Stop);
        }
        let mut is_flow = false;
        self.refuse_features(&event, &place);
        let mut swallowed = None;
        let kind = match event {
            Event::Alias(_) => {
                swallowed = Some(ALIAS);
                Kind::Null
            }
            Event::Scalar(..) if self.is_blanked_alias(span.start) => {
                self.problems.report(&place, Rule::YamlFeature, ALIAS);
                swallowed = Some(ALIAS);
                Kind::Null
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
                is_flow = self.text_at(span.start).starts_with('[');
                if is_flow {
                    swallowed = Some(LIST);
                }
                self.sequence(&place.path, depth)?
            }
            Event::MappingStart(..) => {
                is_flow = self.text_at(span.start).starts_with('{');
                if is_flow {
                    swallowed = Some(MAP);
                }
                match self.mapping(&place, depth)? {
                    Some(entries) => Kind::Mapping(entries),
                    None => {
                        swallowed = Some(TEMPLATE);
                        Kind::Null
                    }
                }
            }
            _ => return Ok(None),
        };
        if self.syntax_error.is_some() && matches!(kind, Kind::Sequence(_) | Kind::Mapping(_)) {
            self.open.push(Open {
                place: place.place(),
                is_flow,
            });
        }
        Ok(Some(Node {
            place,
            kind,
            swallowed,
        }))
    }

    /// Reports the parts of YAML that definitions don't have.
    fn refuse_features(&mut self, event: &Event<'t>, place: &Spot) {
        let (anchor, has_tag) = match event {
            Event::Alias(_) => {
                self.problems.report(place, Rule::YamlFeature, ALIAS);
                return;
            }
            Event::Scalar(_, _, anchor, tag)
            | Event::SequenceStart(anchor, tag)
            | Event::MappingStart(anchor, tag) => (*anchor, tag.is_some()),
            _ => return,
        };
        if anchor > 0 {
            self.problems.report(
                place,
                Rule::YamlFeature,
                "`&` starts an anchor in YAML, and anchors are not part of a definition",
            );
        }
        if has_tag {
            self.problems.report(
                place,
                Rule::YamlFeature,
                "`!` starts a tag in YAML, and tags are not part of a definition",
            );
        }
    }

    fn is_blanked_alias(&self, marker: Marker) -> bool {
        self.aliases.contains(&(marker.line(), marker.col()))
    }

    fn sequence(&mut self, path: &Path, depth: usize) -> Result<Kind, Stop> {
        let mut items = Vec::new();
        while let Some((event, span)) = self.next() {
            if event == Event::SequenceEnd {
                break;
            }
            items.extend(self.node(event, span, path.to(items.len().to_string()), depth + 1)?);
        }
        Ok(Kind::Sequence(items))
    }

    /// Reads the entries of a map; `None` if it is what YAML makes of a template without quotes.
    fn mapping(&mut self, map_place: &Spot, depth: usize) -> Result<Option<Vec<Entry>>, Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen = HashSet::new();
        let mut is_template = false;
        while let Some((event, key_span)) = self.next() {
            let key_place = place(map_place.path.clone(), key_span.start);
            let key = match event {
                Event::MappingEnd => break,
                Event::Scalar(text, _, anchor, tag) => {
                    self.refuse_features(
                        &Event::Scalar("".into(), ScalarStyle::Plain, anchor, tag),
                        &key_place,
                    );
                    text.into_owned()
                }
                other => {
                    // What it holds is read and forgotten, to find what else is wrong after it.
                    if matches!(other, Event::MappingStart(..))
                        && self.text_at(key_span.start).starts_with('{')
                    {
                        is_template = true;
                        self.problems
                            .report(map_place, Rule::SwallowedByYaml, TEMPLATE);
                    } else if !matches!(other, Event::Alias(_)) {
                        self.problems.report(
                            &key_place,
                            Rule::WrongKind,
                            "a key must be plain text",
                        );
                    }
                    self.node(other, key_span, map_place.path.clone(), depth + 1)?;
                    if let Some((event, span)) = self.next() {
                        self.node(event, span, map_place.path.clone(), depth + 1)?;
                    }
                    continue;
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
            let Some((event, span)) = self.next() else {
                break;
            };
            let Some(mut value) = self.node(event, span, path, depth + 1)? else {
                break;
            };
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
        Ok((!is_template).then_some(entries))
    }

    /// The rest of the line from a marker on.
    fn text_at(&self, marker: Marker) -> &'o str {
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
