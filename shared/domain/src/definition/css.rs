//! The syntax of CSS selectors (Selectors level 4, as far as Chromium has it). Checks, and builds nothing.

/// The pseudo-classes without arguments.
const CLASSES: &[&str] = &[
    "active",
    "any-link",
    "autofill",
    "checked",
    "default",
    "defined",
    "disabled",
    "empty",
    "enabled",
    "first",
    "first-child",
    "first-of-type",
    "focus",
    "focus-visible",
    "focus-within",
    "fullscreen",
    "future",
    "has-slotted",
    "host",
    "hover",
    "in-range",
    "indeterminate",
    "invalid",
    "last-child",
    "last-of-type",
    "left",
    "link",
    "modal",
    "muted",
    "only-child",
    "only-of-type",
    "open",
    "optional",
    "out-of-range",
    "past",
    "paused",
    "picture-in-picture",
    "placeholder-shown",
    "playing",
    "popover-open",
    "read-only",
    "read-write",
    "required",
    "right",
    "root",
    "scope",
    "seeking",
    "stalled",
    "target",
    "user-invalid",
    "user-valid",
    "valid",
    "visited",
    "-webkit-any-link",
    "-webkit-autofill",
    "-webkit-full-screen",
];
/// The pseudo-classes that take selectors.
const OF_SELECTORS: &[&str] = &[
    "has",
    "host",
    "host-context",
    "is",
    "not",
    "where",
    "-webkit-any",
    "matches",
];
/// The pseudo-classes that take `an+b`.
const OF_COUNTS: &[&str] = &[
    "nth-child",
    "nth-last-child",
    "nth-last-of-type",
    "nth-of-type",
];
/// The pseudo-classes that take words.
const OF_WORDS: &[&str] = &["dir", "lang", "state"];
/// How deep selectors may lie in each other.
const MOST_DEPTH: usize = 16;

/// Checks a list of selectors; the error says what is wrong.
pub(crate) fn check(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    let mut reader = Reader { rest: text };
    reader.list(0, false)?;
    match reader.rest.chars().next() {
        None => Ok(()),
        Some(c) => Err(format!(
            "`{c}` can't stand here, before `{}`",
            shorten(&reader.rest[c.len_utf8()..])
        )),
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(20).collect()
}

struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn eat(&mut self, c: char) -> bool {
        let is_next = self.peek() == Some(c);
        if is_next {
            self.bump();
        }
        is_next
    }

    fn space(&mut self) -> bool {
        let before = self.rest.len();
        loop {
            self.rest = self
                .rest
                .trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']);
            match self
                .rest
                .strip_prefix("/*")
                .and_then(|rest| rest.split_once("*/"))
            {
                Some((_, rest)) => self.rest = rest,
                None => break,
            }
        }
        self.rest.len() != before
    }

    /// Selectors with commas between them. A relative one may begin with a combinator.
    fn list(&mut self, depth: usize, is_relative: bool) -> Result<(), String> {
        if depth > MOST_DEPTH {
            return Err("selectors lie too deep in each other".to_owned());
        }
        loop {
            self.space();
            if is_relative && matches!(self.peek(), Some('>' | '+' | '~')) {
                self.bump();
                self.space();
            }
            self.complex(depth)?;
            if !self.eat(',') {
                return Ok(());
            }
        }
    }

    fn complex(&mut self, depth: usize) -> Result<(), String> {
        loop {
            self.compound(depth)?;
            let has_space = self.space();
            match self.peek() {
                None | Some(',' | ')') => return Ok(()),
                Some(c @ ('>' | '+' | '~')) => {
                    self.bump();
                    self.space();
                    if matches!(self.peek(), None | Some(',' | ')')) {
                        return Err(format!("something must follow `{c}`"));
                    }
                }
                Some('|') if self.rest.starts_with("||") => {
                    return Err("`||` is not supported by browsers".to_owned());
                }
                Some(_) if has_space => {}
                // What a compound left over can't begin another one.
                Some(_) => return Ok(()),
            }
        }
    }

    fn compound(&mut self, depth: usize) -> Result<(), String> {
        let mut parts = 0;
        if self.type_selector()? {
            parts += 1;
        }
        loop {
            match self.peek() {
                Some('#') => {
                    self.bump();
                    if !self.name() {
                        return Err("an id must follow `#`".to_owned());
                    }
                }
                Some('.') => {
                    self.bump();
                    if !self.identifier() {
                        return Err(
                            "a class must follow `.`, and one can't begin with a digit".to_owned()
                        );
                    }
                }
                Some('[') => {
                    self.bump();
                    self.attribute()?;
                }
                Some(':') => {
                    self.bump();
                    self.pseudo(depth)?;
                }
                _ if parts == 0 => {
                    return Err(match self.peek() {
                        None => "it ends where an element must be named".to_owned(),
                        Some(c) => format!("`{c}` can't begin a selector"),
                    });
                }
                _ => return Ok(()),
            }
            parts += 1;
        }
    }

    /// `div`, `*`, `svg|path`, `*|*`, `|div`.
    fn type_selector(&mut self) -> Result<bool, String> {
        let mut is_there = self.eat('*') || self.identifier();
        if self.peek() == Some('|') && !self.rest.starts_with("||") && !self.rest.starts_with("|=")
        {
            self.bump();
            if !(self.eat('*') || self.identifier()) {
                return Err("an element must follow `|`".to_owned());
            }
            is_there = true;
        }
        Ok(is_there)
    }

    fn attribute(&mut self) -> Result<(), String> {
        let unclosed = || "a `[` is not closed".to_owned();
        self.space();
        let has_prefix = self.eat('*') || self.identifier();
        if self.peek() == Some('|') && !self.rest.starts_with("|=") {
            self.bump();
            if !self.identifier() {
                return Err("an attribute must follow `|`".to_owned());
            }
        } else if !has_prefix {
            return Err(if self.peek().is_none() {
                unclosed()
            } else {
                "an attribute's name must follow `[`".to_owned()
            });
        }
        self.space();
        if self.eat(']') {
            return Ok(());
        }
        if matches!(self.peek(), Some('~' | '|' | '^' | '$' | '*')) {
            self.bump();
        }
        if !self.eat('=') {
            return Err(match self.peek() {
                None => unclosed(),
                Some(c) => format!("`{c}` can't follow an attribute's name"),
            });
        }
        self.space();
        match self.peek() {
            Some('"' | '\'') => self.string()?,
            None => return Err(unclosed()),
            Some(_) => {
                if !self.identifier() {
                    return Err("the value of an attribute must be put in quotes".to_owned());
                }
            }
        }
        if self.space() && matches!(self.peek(), Some('i' | 'I' | 's' | 'S')) {
            self.bump();
            self.space();
        }
        if self.eat(']') {
            Ok(())
        } else {
            Err(unclosed())
        }
    }

    fn pseudo(&mut self, depth: usize) -> Result<(), String> {
        let is_element = self.eat(':');
        let name = self.word();
        if name.is_empty() {
            return Err("a name must follow `:`".to_owned());
        }
        let has_arguments = self.eat('(');
        if is_element {
            // What a pseudo-element is called differs from browser to browser; only its brackets count.
            return if has_arguments {
                self.balanced()
            } else {
                Ok(())
            };
        }
        let lower = name.to_ascii_lowercase();
        let name = lower.as_str();
        if !has_arguments {
            let is_known = CLASSES.contains(&name)
                || matches!(name, "before" | "after" | "first-line" | "first-letter");
            return if is_known {
                Ok(())
            } else if OF_SELECTORS
                .iter()
                .chain(OF_COUNTS)
                .chain(OF_WORDS)
                .any(|known| *known == name)
            {
                Err(format!("`:{name}` needs something in brackets"))
            } else {
                Err(unknown(name))
            };
        }
        if OF_SELECTORS.contains(&name) {
            self.space();
            // `:is()` and `:where()` may be empty.
            if !(self.peek() == Some(')') && matches!(name, "is" | "where")) {
                self.list(depth + 1, name == "has")?;
            }
        } else if OF_COUNTS.contains(&name) {
            self.count(depth)?;
        } else if OF_WORDS.contains(&name) {
            return self.balanced();
        } else {
            return Err(unknown(name));
        }
        self.space();
        if self.eat(')') {
            return Ok(());
        }
        Err(match self.peek() {
            None => format!("the bracket of `:{name}(` is not closed"),
            Some(c) => format!("`{c}` can't stand in `:{name}(…)`"),
        })
    }

    /// `odd`, `even`, `3`, `2n+1`, and `of S` after it.
    fn count(&mut self, depth: usize) -> Result<(), String> {
        self.space();
        let end = self.rest.find([')', 'f']).unwrap_or(self.rest.len());
        let (formula, of) = match self.rest.get(..end) {
            Some(before) if self.rest[end..].starts_with('f') && before.ends_with('o') => {
                (&before[..before.len() - 1], true)
            }
            Some(before) => (before, false),
            None => return Err("it ends within `:nth…(`".to_owned()),
        };
        let formula: String = formula.to_ascii_lowercase().split_whitespace().collect();
        if !is_formula(&formula) {
            return Err(format!(
                "`{formula}` is not a count such as `2`, `odd` or `2n+1`"
            ));
        }
        self.rest = &self.rest[end..];
        if of {
            self.bump();
            self.list(depth + 1, false)?;
        }
        Ok(())
    }

    /// Everything up to the bracket that closes this one.
    fn balanced(&mut self) -> Result<(), String> {
        let mut open = 1;
        while let Some(c) = self.peek() {
            match c {
                '"' | '\'' => {
                    self.string()?;
                    continue;
                }
                '(' => open += 1,
                ')' => open -= 1,
                '\\' => {
                    self.bump();
                }
                _ => {}
            }
            self.bump();
            if open == 0 {
                return Ok(());
            }
        }
        Err("a bracket is not closed".to_owned())
    }

    fn string(&mut self) -> Result<(), String> {
        let quote = self.bump();
        while let Some(c) = self.bump() {
            match c {
                '\\' => {
                    self.bump();
                }
                '\n' => break,
                c if Some(c) == quote => return Ok(()),
                _ => {}
            }
        }
        Err("a quote is not closed".to_owned())
    }

    /// A word of letters, digits and `-`, without escapes: the name of a pseudo-class.
    fn word(&mut self) -> String {
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_'))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_owned()
    }

    /// An identifier: it doesn't begin with a digit, nor with `-` and a digit.
    fn identifier(&mut self) -> bool {
        let mut chars = self.rest.chars();
        let first = chars.next();
        let is_start = |c: char| c.is_alphabetic() || c == '_' || c == '\\' || !c.is_ascii();
        let begins = match first {
            Some('-') => chars.next().is_some_and(|c| is_start(c) || c == '-'),
            Some(c) => is_start(c),
            None => false,
        };
        begins && self.name()
    }

    /// Letters, digits, `-`, `_`, what isn't ASCII, and escapes.
    fn name(&mut self) -> bool {
        let before = self.rest.len();
        while let Some(c) = self.peek() {
            match c {
                '\\' => {
                    self.bump();
                    if !self.escaped() {
                        return false;
                    }
                }
                c if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') || !c.is_ascii() => {
                    self.bump();
                }
                _ => break,
            }
        }
        self.rest.len() != before
    }

    /// What follows a backslash: a character, or up to six hexadecimal digits, to which one space belongs.
    fn escaped(&mut self) -> bool {
        let digits = self
            .rest
            .chars()
            .take(6)
            .take_while(char::is_ascii_hexdigit)
            .count();
        if digits == 0 {
            return !matches!(self.bump(), None | Some('\n'));
        }
        self.rest = &self.rest[digits..];
        if matches!(self.peek(), Some(' ' | '\t' | '\n')) {
            self.bump();
        }
        true
    }
}

fn unknown(name: &str) -> String {
    let known = CLASSES
        .iter()
        .chain(OF_SELECTORS)
        .chain(OF_COUNTS)
        .chain(OF_WORDS);
    match super::problem::closest(name, known.copied()) {
        Some(near) => format!("there is no `:{name}`; did you mean `:{near}`?"),
        None if matches!(
            name,
            "contains" | "has-text" | "text" | "text-is" | "visible"
        ) =>
        {
            format!("`:{name}` is not CSS: use the locator `text`, or the condition `visible`")
        }
        None => format!("there is no `:{name}`"),
    }
}

/// Whether this is `an+b`, without spaces.
fn is_formula(text: &str) -> bool {
    let is_integer = |text: &str, needs_sign: bool| {
        let digits = text.strip_prefix(['+', '-']);
        if needs_sign && digits.is_none() {
            return false;
        }
        let digits = digits.unwrap_or(text);
        !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit())
    };
    match text.split_once('n') {
        _ if matches!(text, "odd" | "even") => true,
        None => is_integer(text, false),
        Some((step, offset)) => {
            (matches!(step, "" | "+" | "-") || is_integer(step, false))
                && (offset.is_empty() || is_integer(offset, true))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_that_browsers_take_are_taken() {
        for text in [
            "a",
            "*",
            "#id",
            ".a.b",
            "table#employees tbody tr",
            "td:nth-child(1)",
            "td:nth-child( 2n + 1 )",
            "li:nth-child(even of .x, .y)",
            "li:nth-child(-n+3)",
            "a[href]",
            "a[href^=\"https://x\"]",
            "a[data-x='a]b' i]",
            "input[type=password]",
            "svg|path",
            "div > p + p ~ span",
            ":is(h1, h2):not(.x)",
            "article:has(> img)",
            "::before",
            "p::part(x y)",
            "a:hover",
            ":root",
            "#\\31 23",
            "#über",
            ".-x",
            ".--x",
            "a,\n b",
            "div:lang(de)",
            "input:not([type=hidden]):not(:disabled)",
            "a/* c */b",
            "[aria-busy=false]",
            "::-webkit-scrollbar",
            "html > body:nth-of-type(1)",
            "div.\\[a\\]",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn selectors_that_browsers_refuse_are_refused() {
        for text in [
            "",
            " ",
            "a[",
            "a[href=\"x]",
            "a[href=x",
            "a[=x]",
            "a[x=1]",
            "a >",
            "> a",
            "a,,b",
            "a,",
            "..a",
            ".1a",
            "#",
            "a:",
            "a:contains('x')",
            "a:hoover",
            "a:nth-child(x)",
            "a:nth-child()",
            "a:not(",
            "a:not()",
            "a)",
            "a]",
            "{a}",
            "a:is(.x",
            "//a",
            "text=Sign in",
            "a || b",
            "a!b",
            "a >> b",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
        assert!(check("a:hoover").is_err_and(|why| why.contains("`:hover`")));
        assert!(check(&":is(".repeat(5_000)).is_err());
    }
}
