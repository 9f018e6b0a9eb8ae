//! Errors of a definition as compilers show them: where, the line, what on it, what was probably meant. Prints nothing.

use std::fmt::Write as _;

use domain::definition::ValidationError;

/// How much of a long line is shown, in characters.
const MOST_LINE_CHARS: usize = 160;

/// Shows an error of a file whose text this is. Writing to a text can't fail.
pub(crate) fn show(error: &ValidationError, file: &str, text: &str) -> String {
    let mut shown = String::new();
    let rule = serde_json::to_value(error.rule).unwrap_or_default();
    let rule = rule.as_str().unwrap_or_default();
    let _ = writeln!(shown, "error[{rule}]: {}", error.message);
    match (error.place.line, error.place.column) {
        (Some(line), Some(column)) => {
            let margin = " ".repeat(line.to_string().len());
            let _ = writeln!(shown, "{margin}--> {file}:{line}:{column}");
            if let Some(source) = line_of(text, line) {
                let (source, column) = window(source, column);
                let _ = writeln!(shown, "{margin} |\n{line} | {source}");
                let before: String = source
                    .chars()
                    .take(column - 1)
                    .map(|c| if c == '\t' { '\t' } else { ' ' })
                    .collect();
                let rest: String = source.chars().skip(column - 1).collect();
                let _ = writeln!(shown, "{margin} | {before}{}", "^".repeat(marked(&rest)));
            }
            if let Some(suggestion) = &error.suggestion {
                let _ = writeln!(shown, "{margin} = help: did you mean `{suggestion}`?");
            }
        }
        _ => {
            let pointer = match error.place.pointer.as_str() {
                "" => "the whole of it",
                pointer => pointer,
            };
            let _ = writeln!(shown, " --> {file}: {pointer}");
            if let Some(suggestion) = &error.suggestion {
                let _ = writeln!(shown, "  = help: did you mean `{suggestion}`?");
            }
        }
    }
    shown
}

/// A line as YAML counts them: a carriage return ends one, too.
fn line_of(text: &str, line: usize) -> Option<&str> {
    let mut lines = text.split_inclusive('\n').flat_map(|line| {
        let line = line.trim_end_matches('\n');
        line.strip_suffix('\r').unwrap_or(line).split('\r')
    });
    lines.nth(line.checked_sub(1)?)
}

/// The part of a line around a column, and where the column is in it.
fn window(line: &str, column: usize) -> (String, usize) {
    let column = column.max(1);
    let skipped = column.saturating_sub(MOST_LINE_CHARS / 2);
    if line.chars().count() <= MOST_LINE_CHARS {
        return (line.to_owned(), column);
    }
    let shown = line.chars().skip(skipped).take(MOST_LINE_CHARS).collect();
    (shown, column - skipped)
}

/// How many characters of what begins here are meant: a quoted text, a word, or a value up to what ends it.
fn marked(rest: &str) -> usize {
    let mut chars = rest.chars();
    let length = match chars.next() {
        None => 1,
        Some(quote @ ('"' | '\'')) => chars
            .position(|c| c == quote)
            .map_or(rest.chars().count(), |end| end + 2),
        Some('{' | '[') => 1,
        Some(_) => {
            let end = rest
                .char_indices()
                .find(|(index, c)| {
                    let after = rest[index + c.len_utf8()..].chars().next();
                    matches!(c, ',' | '}' | ']')
                        || *c == ':' && after.is_none_or(char::is_whitespace)
                        || *c == ' ' && after == Some('#')
                })
                .map_or(rest.len(), |(index, _)| index);
            rest[..end].trim_end().chars().count()
        }
    };
    length.max(1)
}

#[cfg(test)]
mod tests {
    use domain::definition::Definition;

    use super::*;

    fn shown(text: &str) -> String {
        let errors = Definition::parse_yaml(text).expect_err("it is wrong");
        errors
            .iter()
            .map(|error| show(error, "a.yaml", text))
            .collect()
    }

    #[test]
    fn an_error_is_shown_with_its_line_and_what_was_meant() {
        let text = "name: T\nstates:\n  - name: a\n    steps:\n      - clcik: a\n      - click: { text: 'x', nht: 1 }\n";
        assert_eq!(
            shown(text),
            "error[unknown-step]: there is no step `clcik`\n --> a.yaml:5:9\n  |\n5 |       - clcik: a\n  |         ^^^^^\n  = help: did you mean `click`?\nerror[unknown-key]: `click` has no key `nht`\n --> a.yaml:6:29\n  |\n6 |       - click: { text: 'x', nht: 1 }\n  |                             ^^^\n  = help: did you mean `nth`?\n"
        );
    }

    #[test]
    fn lines_are_those_that_yaml_counts() {
        for text in ["a\nb\nc", "a\r\nb\r\nc\r\n", "a\rb\r\nc"] {
            let lines = [1, 2, 3].map(|line| line_of(text, line));
            assert_eq!(lines, [Some("a"), Some("b"), Some("c")], "{text:?}");
        }
        let text = "name: T\rstates:\r  - name: a\r    steps:\r      - clcik: a\r";
        assert!(shown(text).contains("5 |       - clcik: a\n"));
    }

    #[test]
    fn what_is_marked_ends_where_the_value_ends() {
        assert_eq!(marked("clcik: a"), 5);
        assert_eq!(marked("'a, b' }"), 6);
        assert_eq!(marked("https://x.test # c"), 14);
        assert_eq!(marked("a, b"), 1);
        assert_eq!(marked(""), 1);
        let long = format!("name: \"{}\" # ä", "ä".repeat(300));
        let (line, column) = window(&long, 200);
        assert_eq!((line.chars().count(), column), (160, 80));
    }
}
