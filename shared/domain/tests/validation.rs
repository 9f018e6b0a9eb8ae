//! What is known of a definition before anything runs, all of it at once.

use domain::definition::{Definition, Rule, ValidationError};

fn errors_of(text: &str) -> Vec<ValidationError> {
    Definition::parse_yaml(text).err().unwrap_or_default()
}

/// A workflow of these steps, one on each line.
fn workflow(steps: &[&str]) -> String {
    let steps: String = steps
        .iter()
        .map(|step| format!("      - {step}\n"))
        .collect();
    format!("name: Test\nstates:\n  - name: testing\n    steps:\n{steps}")
}

/// The one error of these steps: its rule and what it suggests.
fn only_error_of(steps: &[&str]) -> (Rule, Option<String>) {
    let errors = errors_of(&workflow(steps));
    assert_eq!(errors.len(), 1, "{steps:?}: {errors:#?}");
    let error = errors.into_iter().next().expect("one");
    (error.rule, error.suggestion)
}

fn assert_right(steps: &[&str]) {
    let errors = errors_of(&workflow(steps));
    assert!(errors.is_empty(), "{steps:?}: {errors:#?}");
}

fn suggesting(rule: Rule, suggestion: &str) -> (Rule, Option<String>) {
    (rule, Some(suggestion.to_owned()))
}

#[test]
fn what_yaml_refuses_hides_no_other_error() {
    let text = "\
name: &n Test
states:
  - name: !!str a
    steps:
      - click: *x
      - goto: *
      - clik: a
      - goto: {{ input.url }}
      - set: { a: {{ b }}, c: *all }
      - *steps
      - hovr: a
---
name: Another
";
    let found: Vec<_> = errors_of(text)
        .iter()
        .map(|error| (error.place.line.unwrap_or(0), error.rule))
        .collect();
    assert_eq!(
        found,
        [
            (1, Rule::YamlFeature),
            (3, Rule::YamlFeature),
            (5, Rule::YamlFeature),
            (6, Rule::YamlFeature),
            (7, Rule::UnknownStep),
            (8, Rule::SwallowedByYaml),
            (9, Rule::SwallowedByYaml),
            (9, Rule::YamlFeature),
            (10, Rule::YamlFeature),
            (11, Rule::UnknownStep),
            (12, Rule::YamlFeature),
        ]
    );
}

#[test]
fn a_text_that_breaks_off_is_checked_up_to_there() {
    let text = "\
nmae: Test
states:
  - name: a
    steps:
      - clik: a
  - name: b
    steps:
      - waitFor: { css: #a }
      - hovr: a
";
    let found: Vec<_> = errors_of(text)
        .iter()
        .map(|error| (error.place.line.unwrap_or(0), error.rule))
        .collect();
    assert_eq!(
        found,
        [
            (1, Rule::UnknownKey),
            (5, Rule::UnknownStep),
            (9, Rule::YamlSyntax),
        ],
        "neither the name nor the state's steps are missing"
    );
}

#[test]
fn a_misspelt_key_is_one_error_and_not_a_missing_one_too() {
    assert_eq!(
        only_error_of(&["click: { rol: button }"]),
        suggesting(Rule::UnknownKey, "role")
    );
    assert_eq!(
        only_error_of(&["waitFor: { visble: a }"]),
        suggesting(Rule::UnknownKey, "visible")
    );
    assert_eq!(
        only_error_of(&["fill: { label: A, vlaue: x }"]),
        suggesting(Rule::UnknownKey, "value")
    );
}

#[test]
fn what_never_holds_and_what_is_never_done_is_found() {
    for steps in [
        &["{ click: a, when: { expression: 1 == 2 } }"][..],
        &["{ click: a, when: { all: [b, { expression: 1 == 2 }] } }"],
        &["if: { expression: 1 == 1, then: [{ back: }], else: [{ back: }] }"],
        &["if: { any: [{ expression: 1 == 2 }, { expression: not true }], then: [{ back: }] }"],
        &["forEach: { in: [], as: x, steps: [{ back: }] }"],
        &["fail: { if: 1 == 2, code: A, message: a }"],
        &["endWithNoAction: { if: 1 == 1, reason: a }", "back:"],
    ] {
        assert_eq!(only_error_of(steps), (Rule::Unreachable, None), "{steps:?}");
    }
    assert_right(&["if: { any: [b, { expression: 1 == 2 }], then: [{ back: }] }"]);
}

#[test]
fn an_expression_that_always_fails_is_found() {
    for (step, rule) in [
        ("set: { x: \"{{ 1 / 0 }}\" }", Rule::BadExpression),
        ("set: { x: \"{{ 'a' + 1 }}\" }", Rule::BadExpression),
        (
            "fail: { if: 1 + 1, code: A, message: a }",
            Rule::BadExpression,
        ),
        ("click: { css: a, nth: \"{{ 1 + 1.5 }}\" }", Rule::WrongKind),
        ("{ click: a, timeout: \"{{ 'soon' }}\" }", Rule::WrongKind),
        ("{ click: a, timeout: 0s }", Rule::OutOfBounds),
    ] {
        assert_eq!(only_error_of(&[step]), (rule, None), "{step}");
    }
    assert_right(&[
        "click: { css: a, nth: \"{{ 1 + 1 }}\" }",
        "waitFor: { time: 0s }",
    ]);
}

#[test]
fn a_url_outside_of_the_allowed_origins_is_found() {
    let with = |origins: &str| {
        format!(
            "{}allowedOrigins: {origins}\n",
            workflow(&["goto: https://a.test/x"])
        )
    };
    let errors = errors_of(&with("[https://b.test, 'http://a.test']"));
    assert_eq!(
        (errors.len(), errors[0].rule),
        (1, Rule::BadUrl),
        "{errors:#?}"
    );
    for right in [
        "[https://b.test, https://a.test:443/any]",
        "[https://b.test, '{{ input.url }}']",
        "[]",
    ] {
        assert!(errors_of(&with(right)).is_empty(), "{right}");
    }
}

#[test]
fn a_key_that_no_keyboard_has_is_found() {
    assert_eq!(
        only_error_of(&["press: Entr"]),
        suggesting(Rule::UnknownWord, "Enter")
    );
    assert_eq!(
        only_error_of(&["press: { key: Control+pagedown }"]),
        suggesting(Rule::UnknownWord, "PageDown")
    );
    assert_right(&["press: Control+A", "press: \"{{ input.key }}\"", "press: ä"]);
}

#[test]
fn an_artifact_that_nothing_makes_is_found() {
    let upload = "upload: { css: input, files: [{ artifact: emplyees.csv }] }";
    assert_eq!(
        only_error_of(&["download: { click: a, fileName: employees.csv }", upload]),
        suggesting(Rule::UnknownVariable, "employees.csv")
    );
    assert_right(&["download: { click: a }", upload]);
    assert_right(&[
        "extract: { rows: tr, fields: { a: td }, as: rows }",
        "upload: { css: input, files: [{ artifact: rows.csv }] }",
    ]);
}

#[test]
fn properties_that_a_variable_can_not_have_are_found() {
    let extract = "extract: { rows: tr, fields: { name: td, salary: td }, as: rows }";
    for (steps, suggestion) in [
        (
            [
                "download: { click: a, as: file }",
                "set: { x: \"{{ file.nmae }}\" }",
            ],
            Some("file.name"),
        ),
        (
            [
                "waitFor: { response: a, as: reply }",
                "set: { x: \"{{ reply.staus }}\" }",
            ],
            Some("reply.status"),
        ),
        (
            [
                "{ click: a, onError: continue }",
                "set: { x: \"{{ error.mesage }}\" }",
            ],
            Some("error.message"),
        ),
        (
            [
                extract,
                "forEach: { in: \"{{ rows }}\", as: row, steps: [{ press: \"{{ row.nmae }}\" }] }",
            ],
            Some("row.name"),
        ),
        ([extract, "set: { x: \"{{ rows.name }}\" }"], None),
        (
            [
                "back:",
                "forEach: { elements: tr, as: row, steps: [{ press: \"{{ row.txt }}\" }] }",
            ],
            Some("row.text"),
        ),
    ] {
        let (rule, suggested) = only_error_of(&steps);
        assert_eq!(
            (rule, suggested.as_deref()),
            (Rule::UnknownVariable, suggestion),
            "{steps:?}"
        );
    }
    // What has got another value since can have other properties.
    assert_right(&[
        "download: { click: a, as: file }",
        "set: { file: \"{{ input.file }}\" }",
        "set: { x: \"{{ file.other }}\" }",
    ]);
}

#[test]
fn properties_that_the_input_lacks_are_found_however_deep() {
    let text = |schema: &str, read: &str| {
        format!(
            "input: {schema}\n{}",
            workflow(&[&format!("press: \"{{{{ {read} }}}}\"")])
        )
    };
    let schema = "{ type: object, properties: { person: { type: object, properties: { name: { type: string } } }, any: {} } }";
    let errors = errors_of(&text(schema, "input.person.nmae"));
    assert_eq!(
        (
            errors.len(),
            errors[0].rule,
            errors[0].suggestion.as_deref()
        ),
        (1, Rule::UnknownInput, Some("input.person.name"))
    );
    for right in ["input.person.name", "input.any.thing", "input.person"] {
        assert!(errors_of(&text(schema, right)).is_empty(), "{right}");
    }
    // A schema that is made of others can have properties that it doesn't list itself.
    let open = "{ properties: { a: {} }, allOf: [{ properties: { b: {} } }] }";
    assert!(errors_of(&text(open, "input.b")).is_empty());
}

#[test]
fn values_can_neither_grow_nor_nest_without_bound() {
    use domain::definition::{Scope, Verb};
    use serde_json::{Value, json};

    let run = |set: &str, turns: usize| -> Result<Value, String> {
        let text = workflow(&["set: { x: [] }", &format!("set: {{ x: {set} }}")]);
        let definition = Definition::parse_yaml(&text).map_err(|errors| format!("{errors:?}"))?;
        let mut scope = Scope::new(&Value::Null, &Value::Null, Default::default());
        scope.set("x", &json!("ab"));
        let Verb::Set(values) = &definition.states[0].steps[1].verb else {
            return Err("another step".to_owned());
        };
        let mut value = Value::Null;
        for _ in 0..turns {
            value = values["x"]
                .value(&scope)
                .map_err(|error| error.to_string())?;
            scope.set("x", &value);
        }
        Ok(value)
    };
    for (set, turns) in [
        ("\"{{ x ~ x }}\"", 60),
        ("\"{{ x }}{{ x }}{{ x }}\"", 60),
        ("[\"{{ x }}\", \"{{ x }}\"]", 60),
        ("\"{{ [x] }}\"", 100_000),
        ("[\"{{ x }}\"]", 100_000),
        ("{ a: \"{{ x }}\" }", 100_000),
        ("\"{{ [('x' * 1000000) ~ (x | length)] * 100000 }}\"", 1),
        (
            "\"{{ x | replace('', 'y' * 1000000) | replace('y', 'z' * 1000000) }}\"",
            1,
        ),
    ] {
        let error = run(set, turns).expect_err(set);
        let is_clear = ["too large", "too deep", "too much work"]
            .iter()
            .any(|why| error.contains(why));
        assert!(is_clear, "{set}: {error}");
    }
    assert_eq!(run("\"{{ x ~ x }}\"", 2), Ok(json!("abababab")));
}

#[test]
fn a_time_zone_that_there_is_not_is_found_with_what_was_meant() {
    let errors_in = |zone: &str| {
        errors_of(&format!(
            "{}browser: {{ timeZone: {zone} }}\n",
            workflow(&["back:"])
        ))
    };
    for right in [
        "Europe/Berlin",
        "UTC",
        "America/Argentina/Buenos_Aires",
        "Etc/GMT+5",
    ] {
        assert_eq!(errors_in(right), [], "{right}");
    }
    for (wrong, meant) in [
        ("Europe/Berln", Some("Europe/Berlin")),
        ("europe/berlin", Some("Europe/Berlin")),
        ("Mars/Phobos", None),
        ("+02:00", None),
    ] {
        let errors = errors_in(wrong);
        assert_eq!(errors.len(), 1, "{wrong}: {errors:?}");
        assert_eq!(errors[0].suggestion.as_deref(), meant, "{wrong}");
        assert_eq!(errors[0].place.pointer, "/browser/timeZone");
        assert!(errors[0].message.contains("there is no time zone"));
    }
}

#[test]
fn an_expression_that_takes_too_much_work_whatever_happens_is_found() {
    for expression in [
        "'x' * 10 ** 9",
        "('ab' * 100000) | replace('a', 'b' * 100000)",
    ] {
        let text = workflow(&[&format!("set: {{ x: \"{{{{ {expression} }}}}\" }}")]);
        let errors = errors_of(&text);
        assert_eq!(errors.len(), 1, "{expression}: {errors:?}");
        assert_eq!(errors[0].rule, Rule::BadExpression);
        assert!(errors[0].message.contains("too much work"), "{errors:?}");
    }
    assert_right(&["set: { x: \"{{ ('a,' * 10000) | split(',') | length }}\" }"]);
    // Finding out has a bound, too.
    let many = vec!["set: { x: \"{{ ('x' * 20000000) | length }}\" }"; 500];
    let began = std::time::Instant::now();
    assert_right(&many);
    assert!(
        began.elapsed() < std::time::Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
}
