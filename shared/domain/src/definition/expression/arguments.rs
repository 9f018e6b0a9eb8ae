//! How many arguments filters and tests take, beside the value that they are applied to, and how many they are given.

use std::ops::RangeInclusive;

use super::Token;

/// How many arguments without a name a filter of the language takes.
pub(super) fn of_filter(name: &str) -> RangeInclusive<usize> {
    match name {
        "default" | "int" | "join" | "round" | "split" | "sum" => 0..=2,
        "float" | "trim" => 0..=1,
        "replace" => 2..=2,
        "map" | "reject" | "select" => 0..=usize::MAX,
        "rejectattr" | "selectattr" => 1..=usize::MAX,
        _ => 0..=0,
    }
}

/// The same for a test.
pub(super) fn of_test(name: &str) -> RangeInclusive<usize> {
    match name {
        "divisibleby" | "endingwith" | "eq" | "in" | "ne" | "startingwith" => 1..=1,
        _ => 0..=0,
    }
}

/// How many arguments without a name stand after a filter or a test; nothing where that can't be known.
pub(super) fn count(rest: &[Token<'_>]) -> Option<usize> {
    let Some((Token::Symbol('('), rest)) = rest.split_first() else {
        return Some(0);
    };
    let mut depth = 0_usize;
    let mut given = 0;
    let mut is_first_of_argument = true;
    for (index, token) in rest.iter().enumerate() {
        match token {
            Token::Symbol(')') if depth == 0 => return Some(given),
            Token::Symbol(',') if depth == 0 => {
                is_first_of_argument = true;
                continue;
            }
            // A list or a map whose items become arguments.
            Token::Symbol('*') if is_first_of_argument => return None,
            Token::Symbol('(' | '[' | '{') => depth += 1,
            Token::Symbol(')' | ']' | '}') => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if is_first_of_argument {
            is_first_of_argument = false;
            let is_named = matches!(token, Token::Word(_))
                && rest.get(index + 1) == Some(&Token::Symbol('='))
                && rest.get(index + 2) != Some(&Token::Symbol('='));
            given += usize::from(!is_named);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use minijinja::{Environment, ErrorKind};

    use super::super::{Expression, FILTERS, TESTS, tokens};
    use super::*;

    /// How minijinja itself takes so many arguments.
    fn kind_of_error(source: &str) -> Option<ErrorKind> {
        let environment = Environment::new();
        let compiled = environment.compile_expression(source).expect(source);
        compiled.eval(()).err().map(|error| error.kind())
    }

    #[test]
    fn filters_and_tests_take_as_many_arguments_as_minijinja_gives_them() {
        let is_of_number = |kind: Option<ErrorKind>| {
            matches!(
                kind,
                Some(ErrorKind::MissingArgument | ErrorKind::TooManyArguments)
            )
        };
        let filters = FILTERS.iter().map(|name| (*name, " | ", of_filter(name)));
        let tests = TESTS.iter().map(|name| (*name, " is ", of_test(name)));
        for (name, operator, takes) in filters.chain(tests) {
            for value in ["'a'", "[1]", "1"] {
                for given in 0..5 {
                    let arguments = vec!["'a'"; given].join(", ");
                    let source = format!("{value}{operator}{name}({arguments})");
                    let kind = kind_of_error(&source);
                    if takes.contains(&given) {
                        assert!(!is_of_number(kind), "{source}: {kind:?}");
                        assert!(Expression::parse(&source).is_ok(), "{source}");
                    } else {
                        assert!(kind.is_some(), "{source}");
                        let wrong = Expression::parse(&source).expect_err(&source);
                        assert!(wrong.message.contains(" takes "), "{}", wrong.message);
                    }
                }
            }
        }
    }

    #[test]
    fn arguments_are_counted_as_they_stand() {
        for (source, given) in [
            ("", Some(0)),
            ("| upper", Some(0)),
            ("()", Some(0)),
            ("(1)", Some(1)),
            ("('a, b', [1, 2], {'c': 3}, (4, 5))", Some(4)),
            ("(1, 2,)", Some(2)),
            ("(attribute='name', 1)", Some(1)),
            ("(a == b, a)", Some(2)),
            ("(x | replace('a', 'b'))", Some(1)),
            ("(*rows)", None),
            ("(1, 2", None),
            ("(1]", None),
        ] {
            let tokens: Vec<_> = tokens(source).collect();
            assert_eq!(count(&tokens), given, "{source}");
        }
    }
}
