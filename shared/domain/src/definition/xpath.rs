//! The syntax of XPath 1.0, the one that browsers have. Checks, and builds nothing.

use super::problem::closest;

/// The functions of XPath 1.0.
const FUNCTIONS: &[&str] = &[
    "boolean",
    "ceiling",
    "concat",
    "contains",
    "count",
    "false",
    "floor",
    "id",
    "lang",
    "last",
    "local-name",
    "name",
    "namespace-uri",
    "normalize-space",
    "not",
    "number",
    "position",
    "round",
    "starts-with",
    "string",
    "string-length",
    "substring",
    "substring-after",
    "substring-before",
    "sum",
    "translate",
    "true",
];
/// What can be tested of a node instead of its name.
const NODE_TYPES: &[&str] = &["comment", "text", "processing-instruction", "node"];
/// The axes.
const AXES: &[&str] = &[
    "ancestor",
    "ancestor-or-self",
    "attribute",
    "child",
    "descendant",
    "descendant-or-self",
    "following",
    "following-sibling",
    "namespace",
    "parent",
    "preceding",
    "preceding-sibling",
    "self",
];
/// How deep expressions may lie in each other.
const MOST_DEPTH: usize = 32;

/// Checks an expression; the error says what is wrong.
pub(crate) fn check(text: &str) -> Result<(), String> {
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Err("it is empty".to_owned());
    }
    let mut reader = Reader {
        tokens: &tokens,
        at: 0,
    };
    reader.expression(0)?;
    match reader.peek() {
        None => Ok(()),
        Some(token) => Err(format!("`{token}` can't stand here")),
    }
}

/// Splits a text into literals (with their quotes), numbers, names and signs.
fn tokens(text: &str) -> Result<Vec<&str>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' | '\'' => match rest[1..].find(first) {
                Some(end) => end + 2,
                None => return Err("a quote is not closed".to_owned()),
            },
            c if c.is_ascii_digit()
                || c == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit()) =>
            {
                rest.find(|c: char| !c.is_ascii_digit() && c != '.')
                    .unwrap_or(rest.len())
            }
            c if is_name_start(c) => rest
                .find(|c: char| !is_name_start(c) && !c.is_ascii_digit() && !matches!(c, '-' | '.'))
                .unwrap_or(rest.len()),
            _ if ["//", "::", "..", "!=", "<=", ">="]
                .iter()
                .any(|sign| rest.starts_with(sign)) =>
            {
                2
            }
            c if "()[]@,|+-*=<>/.:$".contains(c) => 1,
            c => return Err(format!("`{c}` has no meaning in XPath")),
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn is_name_start(c: char) -> bool {
    c.is_alphabetic() || c == '_' || !c.is_ascii()
}

struct Reader<'t> {
    tokens: &'t [&'t str],
    at: usize,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<&'t str> {
        self.tokens.get(self.at).copied()
    }

    fn after(&self) -> Option<&'t str> {
        self.tokens.get(self.at + 1).copied()
    }

    fn eat(&mut self, token: &str) -> bool {
        let is_next = self.peek() == Some(token);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.eat(token) {
            return Ok(());
        }
        Err(match self.peek() {
            None => format!("it ends where `{token}` must be"),
            Some(found) => format!("`{found}` stands where `{token}` must be"),
        })
    }

    /// Paths and values with operators between them. Which binds closer doesn't matter to what is correct.
    fn expression(&mut self, depth: usize) -> Result<(), String> {
        if depth > MOST_DEPTH {
            return Err("expressions lie too deep in each other".to_owned());
        }
        loop {
            while self.eat("-") {}
            self.operand(depth)?;
            match self.peek() {
                Some(
                    "or" | "and" | "div" | "mod" | "=" | "!=" | "<" | "<=" | ">" | ">=" | "+" | "-"
                    | "*" | "|",
                ) => self.at += 1,
                _ => return Ok(()),
            }
        }
    }

    fn operand(&mut self, depth: usize) -> Result<(), String> {
        let Some(token) = self.peek() else {
            return Err("it ends where something must follow".to_owned());
        };
        let is_call = self.after() == Some("(")
            && token.starts_with(is_name_start)
            && !NODE_TYPES.contains(&token);
        let first = token.chars().next().unwrap_or(' ');
        if token == "(" {
            self.at += 1;
            self.expression(depth + 1)?;
            self.expect(")")?;
        } else if is_call {
            self.call(token, depth)?;
        } else if matches!(first, '"' | '\'')
            || first.is_ascii_digit()
            || token.len() > 1 && first == '.' && token != ".."
        {
            self.at += 1;
            return Ok(());
        } else if token == "$" {
            return Err("there are no variables".to_owned());
        } else {
            return self.path(depth);
        }
        self.predicates(depth)?;
        if self.eat("/") || self.eat("//") {
            return self.steps(depth);
        }
        Ok(())
    }

    fn call(&mut self, name: &str, depth: usize) -> Result<(), String> {
        if !FUNCTIONS.contains(&name) {
            return Err(match closest(name, FUNCTIONS.iter().copied()) {
                Some(near) => format!("there is no function `{name}`; did you mean `{near}`?"),
                None => format!("there is no function `{name}` in XPath 1.0"),
            });
        }
        self.at += 2;
        if self.eat(")") {
            return Ok(());
        }
        loop {
            self.expression(depth + 1)?;
            if !self.eat(",") {
                return self.expect(")");
            }
        }
    }

    fn path(&mut self, depth: usize) -> Result<(), String> {
        if self.eat("//") {
            return self.steps(depth);
        }
        if self.eat("/") && !self.begins_step() {
            return Ok(());
        }
        self.steps(depth)
    }

    fn begins_step(&self) -> bool {
        self.peek().is_some_and(|token| {
            matches!(token, "." | ".." | "@" | "*") || token.starts_with(is_name_start)
        })
    }

    fn steps(&mut self, depth: usize) -> Result<(), String> {
        loop {
            self.step(depth)?;
            if !(self.eat("/") || self.eat("//")) {
                return Ok(());
            }
        }
    }

    fn step(&mut self, depth: usize) -> Result<(), String> {
        if self.eat(".") || self.eat("..") {
            return Ok(());
        }
        if !self.eat("@")
            && self.after() == Some("::")
            && let Some(axis) = self.peek()
        {
            if !AXES.contains(&axis) {
                return Err(match closest(axis, AXES.iter().copied()) {
                    Some(near) => format!("there is no axis `{axis}`; did you mean `{near}`?"),
                    None => format!("there is no axis `{axis}`"),
                });
            }
            self.at += 2;
        }
        self.node_test()?;
        self.predicates(depth)
    }

    fn node_test(&mut self) -> Result<(), String> {
        match self.peek() {
            Some("*") => self.at += 1,
            Some(name) if name.starts_with(is_name_start) => {
                self.at += 1;
                if NODE_TYPES.contains(&name) && self.eat("(") {
                    if name == "processing-instruction" && self.peek() != Some(")") {
                        self.at += 1;
                    }
                    return self.expect(")");
                }
                if self.eat(":") && !self.eat("*") {
                    match self.peek() {
                        Some(local) if local.starts_with(is_name_start) => self.at += 1,
                        _ => return Err(format!("a name must follow `{name}:`")),
                    }
                }
            }
            Some(other) => return Err(format!("`{other}` stands where an element must be named")),
            None => return Err("it ends where an element must be named".to_owned()),
        }
        Ok(())
    }

    fn predicates(&mut self, depth: usize) -> Result<(), String> {
        while self.eat("[") {
            self.expression(depth + 1)?;
            self.expect("]")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_that_browsers_take_are_taken() {
        for text in [
            "//a",
            "/",
            "/html/body/div[2]",
            "//*[@id=\"x\"]/span[1]",
            "//button[contains(text(), 'Sign in') and not(@disabled)]",
            "(//tr)[last()]/td[position() > 2]",
            "//div[@class='a' or @class=\"b\"]//following-sibling::p",
            "ancestor-or-self::node()",
            ".//a/@href",
            "../..",
            "count(//tr) = 3",
            "//svg:path",
            "//*[local-name()='svg']",
            "//a | //b",
            "-1 + 2.5 * .5",
            "id('x')/td",
            "//td[normalize-space(.)='Ada']",
            "//*[@data-testid=\"a-b.c\"]",
            "string(//a)",
            "//text()",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn expressions_that_browsers_refuse_are_refused() {
        for text in [
            "",
            "//",
            "//a[",
            "//a[@id='x]",
            "//a[@id='x'",
            "//a]",
            "//a[]",
            "//a[contain(text(), 'x')]",
            "//a/",
            "childs::a",
            "//a[matches(., 'x')]",
            "a b",
            "//a{1}",
            "$x",
            "#id",
            "//a[1",
            "//a:",
            "count(//a",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
        assert!(check(&"(".repeat(5_000)).is_err());
        assert!(check("contain(., 'x')").is_err_and(|why| why.contains("`contains`")));
    }
}
