//! Definitions, expressions and recordings that a machine makes out of real ones: reading each of them ends soon, without
//! a panic, with something right or with an error that says where it is.
//!
//! `PROPTEST_CASES=100000 cargo test -p domain --test machine` tries more of them.

mod damage;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use damage::{mutate, mutation};
use domain::definition::{Definition, Scope, Verb};
use domain::input_schema::{InputSchema, wrong_defaults};
use domain::recording::{ImportError, import};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

/// How long anything may take here; it takes a few milliseconds, and the machine may be busy.
const SOON: Duration = Duration::from_secs(10);

const GUIDE: &str = include_str!("../../../docs/workflows.md");

/// The whole workflows of the guide, and the example.
static TEXTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let of_guide = GUIDE.split("```yaml\n").skip(1).map(|example| {
        let example = example.split("```").next().unwrap_or_default();
        if !example.starts_with("- ") {
            return example.to_owned();
        }
        let steps: String = example
            .lines()
            .map(|line| format!("      {line}\n"))
            .collect();
        format!("name: Test\nstates:\n  - name: testing\n    steps:\n{steps}")
    });
    let example = include_str!("../../../examples/employee-roster.yaml");
    of_guide.chain([example.to_owned()]).collect()
});

/// What is done to a text.
#[derive(Debug, Clone)]
enum Edit {
    Insert(Index, String),
    Remove(Index, usize),
    Repeat(Index, Index, usize),
    SwapLines(Index, Index),
    Indent(Index, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let piece = select(vec![
        "{{",
        "}}",
        "{",
        "}",
        "[",
        "]",
        "*",
        "*a",
        "&a ",
        "!t ",
        "#",
        " #",
        ": ",
        "- ",
        "\n",
        "\t",
        "\"",
        "'",
        "\\",
        "|",
        ">",
        "---\n",
        "...\n",
        "? ",
        "%YAML 1.1\n",
        "<<: ",
        "~",
        "null",
        "1e400",
        "0x",
        ".inf",
        "ä",
        "\u{feff}",
        "\u{2028}",
        "\u{0}",
        "\r",
        "| length",
        "secrets.a",
        "( ",
        "[[[[[[[[",
        "{a: {a: {a: ",
        "when: ",
        "steps:\n",
        "99999999999999999999",
    ])
    .prop_map(str::to_owned);
    prop_oneof![
        (any::<Index>(), piece).prop_map(|(at, piece)| Edit::Insert(at, piece)),
        (any::<Index>(), 1_usize..40).prop_map(|(at, length)| Edit::Remove(at, length)),
        (any::<Index>(), any::<Index>(), 1_usize..200)
            .prop_map(|(from, to, length)| Edit::Repeat(from, to, length)),
        (any::<Index>(), any::<Index>()).prop_map(|(left, right)| Edit::SwapLines(left, right)),
        (any::<Index>(), 0_usize..12).prop_map(|(line, spaces)| Edit::Indent(line, spaces)),
    ]
}

fn edited(text: &str, edits: Vec<Edit>) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for edit in edits {
        let place = |index: Index| index.index(text.len() + 1);
        match edit {
            Edit::Insert(at, piece) => {
                let at = place(at);
                text.splice(at..at, piece.chars());
            }
            Edit::Remove(at, length) => {
                let at = place(at);
                let end = (at + length).min(text.len());
                text.drain(at..end);
            }
            Edit::Repeat(from, to, length) => {
                let (from, to) = (place(from), place(to));
                let end = (from + length).min(text.len());
                let copy: Vec<char> = text[from..end].to_vec();
                text.splice(to..to, copy);
            }
            Edit::SwapLines(left, right) => {
                let whole: String = text.iter().collect();
                let mut lines: Vec<&str> = whole.split('\n').collect();
                let (left, right) = (left.index(lines.len()), right.index(lines.len()));
                lines.swap(left, right);
                text = lines.join("\n").chars().collect();
            }
            Edit::Indent(line, spaces) => {
                let whole: String = text.iter().collect();
                let mut lines: Vec<String> = whole.split('\n').map(str::to_owned).collect();
                let line = line.index(lines.len());
                lines[line] = format!("{}{}", " ".repeat(spaces), lines[line].trim_start());
                text = lines.join("\n").chars().collect();
            }
        }
    }
    text.into_iter().collect()
}

fn texts() -> impl Strategy<Value = String> {
    let edits = prop::collection::vec(edit(), 1..6);
    (any::<Index>(), edits)
        .prop_map(|(which, edits)| edited(&TEXTS[which.index(TEXTS.len())], edits))
}

/// Expressions out of all that the language has, and much that it hasn't.
fn expressions() -> impl Strategy<Value = String> {
    let leaf = select(vec![
        "x",
        "rows",
        "input.a",
        "rows[0].name",
        "'a'",
        "\"b\"",
        "1",
        "-1",
        "1.5",
        "1e308",
        "999999999999999999999",
        "true",
        "none",
        "[]",
        "[1, 2]",
        "{}",
        "{'a': 1}",
        "secrets.a",
        "answers.b",
        "nobody",
        "''",
        "'€' ",
        "100000",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(6, 48, 4, |inner| {
        let operator = select(vec![
            "+", "-", "*", "/", "//", "%", "**", "~", "and", "or", "==", "!=", "<", ">=", "in",
            "not in", "if", "|", ".", "(",
        ]);
        let filter = select(vec![
            "abs",
            "default(1)",
            "first",
            "float",
            "int",
            "items",
            "join('-')",
            "last",
            "length",
            "list",
            "lower",
            "map(attribute='name')",
            "max",
            "min",
            "replace('a', 'bb')",
            "reverse",
            "round(300)",
            "select",
            "sort",
            "split('a')",
            "string",
            "sum",
            "title",
            "trim",
            "unique",
            "upper",
            "rejectattr('name')",
            "lenght",
            "join(rows)",
            "map('upper')",
        ]);
        prop_oneof![
            (inner.clone(), operator, inner.clone())
                .prop_map(|(left, operator, right)| format!("({left} {operator} {right})")),
            (inner.clone(), filter).prop_map(|(value, filter)| format!("{value} | {filter}")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a} if {b} else {c})")),
            (inner.clone(), inner.clone()).prop_map(|(value, index)| format!("{value}[{index}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b}]")),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| format!("({a} * 1000 ~ {b} * 100000)")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{'k': {a}, 'l': {b}}}")),
            inner.clone().prop_map(|value| format!("not {value}")),
            inner.prop_map(|value| format!("{value} is defined")),
        ]
    })
}

/// Recordings with each kind of step.
static RECORDINGS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let all = json!({"title": "Portal", "timeout": 5000, "selectorAttribute": "data-qa", "steps": [
        {"type": "setViewport", "width": 1280, "height": 720, "deviceScaleFactor": 1, "isMobile": false, "hasTouch": false, "isLandscape": false},
        {"type": "navigate", "url": "https://a.test/login", "assertedEvents": [{"type": "navigation", "url": "https://a.test/login", "title": "Sign in"}]},
        {"type": "click", "target": "main", "selectors": [["aria/Email"], ["#email"], ["xpath///*[@id=\"email\"]"], ["pierce/#email"], ["text/Email"]], "offsetX": 3, "offsetY": 4.5, "duration": 1000, "deviceType": "touch"},
        {"type": "change", "value": "ada@a.test", "selectors": [["aria/Email"], "#email"], "target": "main"},
        {"type": "change", "value": "hunter22", "selectors": [["aria/Password"], ["#p"]], "frame": [0, 1]},
        {"type": "keyDown", "key": "Control"}, {"type": "keyDown", "key": "a"}, {"type": "keyUp", "key": "a"}, {"type": "keyUp", "key": "Control"},
        {"type": "doubleClick", "selectors": [["aria/Next", "aria/[role=\"generic\"]"]], "button": "secondary"},
        {"type": "hover", "selectors": [["host >>> .inner"]], "target": "https://a.test/popup"},
        {"type": "scroll", "selectors": ["#list"], "x": 0, "y": 10}, {"type": "scroll", "x": 1.5, "y": 1e9, "frame": [2]},
        {"type": "waitForElement", "selectors": ["a"], "operator": "<=", "count": 3, "visible": false, "properties": {"id": "b", "style": {"color": "red"}}, "attributes": {"class": "x"}},
        {"type": "waitForExpression", "expression": "window.ready"},
        {"type": "emulateNetworkConditions", "download": 1, "upload": 1, "latency": 1},
        {"type": "customStep", "name": "lighthouse", "parameters": {"x": 1}},
        {"type": "close", "target": "https://a.test/popup"},
    ]});
    vec![all]
});

/// Names that schemas and inputs share, some of which have to be written in another way in a pointer.
fn property() -> impl Strategy<Value = String> + Clone {
    select(vec!["a", "b", "a/b", "ü ~%"]).prop_map(str::to_owned)
}

/// Schemas of the kind that people write, and worse.
fn schemas() -> impl Strategy<Value = Value> {
    let leaf = select(vec![
        json!({}),
        json!({ "type": "string", "default": "x" }),
        json!({ "type": "integer", "default": 1.5 }),
        json!({ "default": null }),
        json!({ "default": { "a": {}, "b": [{}] } }),
        json!({ "$ref": "#/$defs/one" }),
        json!({ "$ref": "#/$defs/one", "default": { "a/b": 1 } }),
        json!({ "$ref": "#" }),
        json!(true),
    ]);
    let tree = leaf.prop_recursive(4, 24, 4, |inner| {
        let properties = prop::collection::btree_map(property(), inner.clone(), 0..4);
        prop_oneof![
            properties
                .clone()
                .prop_map(|all| json!({ "properties": all })),
            properties.prop_map(|all| json!({ "properties": all, "default": {} })),
            inner
                .clone()
                .prop_map(|of| json!({ "items": of, "default": [{}, {}] })),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| json!({ "prefixItems": [a], "items": b })),
            (inner.clone(), inner).prop_map(|(a, b)| json!({ "allOf": [a, b] })),
        ]
    });
    (tree.clone(), tree).prop_map(|(mut schema, one)| {
        if let Some(keywords) = schema.as_object_mut() {
            keywords.insert("$defs".to_owned(), json!({ "one": one }));
        }
        schema
    })
}

fn inputs() -> impl Strategy<Value = Value> {
    let leaf = select(vec![
        json!(null),
        json!(1),
        json!("x"),
        json!({}),
        json!([{}, {}]),
    ]);
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            prop::collection::btree_map(property(), inner.clone(), 0..4).prop_map(|all| json!(all)),
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
        ]
    })
}

/// Whether nothing of a value has changed or gone, whatever has come.
fn has_all_of(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part.iter().all(|(name, value)| {
            whole
                .get(name)
                .is_some_and(|whole| has_all_of(whole, value))
        }),
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len()
                && whole
                    .iter()
                    .zip(part)
                    .all(|(whole, part)| has_all_of(whole, part))
        }
        (whole, part) => whole == part,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_text_is_read_or_refused_where_it_is_wrong(text in texts()) {
        let began = Instant::now();
        match Definition::parse_yaml(&text) {
            Ok(definition) => prop_assert!(Definition::parse_json(definition.to_json()).is_ok()),
            Err(errors) => {
                prop_assert!(!errors.is_empty() && errors.len() <= 100);
                let lines = text.split(['\n', '\r']).count() + 1;
                for error in errors {
                    prop_assert!(error.place.line.is_none_or(|line| line <= lines), "{error:?}");
                    prop_assert!(!error.message.is_empty());
                }
            }
        }
        prop_assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    }

    #[test]
    fn an_expression_has_a_value_or_an_error_and_never_a_secret(expression in expressions()) {
        let began = Instant::now();
        let canary = "canary-4711";
        let definition = json!({"name": "T", "states": [{"name": "a", "steps": [
            {"set": {"x": "{{ input.x }}", "rows": "{{ input.rows }}"}},
            {"askUser": {"prompt": "Which?", "as": "b"}},
            {"set": {"value": format!("{{{{ {expression} }}}}"), "text": format!("a {{{{ {expression} }}}}")}},
        ]}]});
        let mut scope = Scope::new(
            &json!({"a": "text", "x": 7, "rows": []}),
            &Value::Null,
            [("a".to_owned(), domain::definition::Secret::new(canary))].into(),
        );
        scope.set_answer("b", domain::definition::Secret::new(canary));
        scope.set("x", &json!("ab"));
        scope.set("rows", &json!([{"name": "Ada"}, {"name": "Bo"}]));
        match Definition::parse_json(&definition) {
            Err(errors) => prop_assert!(!errors.is_empty()),
            Ok(definition) => {
                if let Verb::Set(values) = &definition.states[0].steps[2].verb {
                    for data in values.values() {
                        let value = data.value(&scope);
                        prop_assert!(!format!("{value:?}").contains(canary), "{expression}");
                    }
                }
            }
        }
        prop_assert!(began.elapsed() < SOON, "{:?}: {expression}", began.elapsed());
    }

    #[test]
    fn a_damaged_recording_becomes_a_workflow_or_is_refused(
        which in any::<Index>(),
        changes in prop::collection::vec((any::<Index>(), mutation()), 1..5),
    ) {
        let began = Instant::now();
        let mut recording = RECORDINGS[which.index(RECORDINGS.len())].clone();
        for (place, mutation) in changes {
            mutate(&mut recording, place, mutation);
        }
        match import(&recording.to_string()) {
            Ok(_)
            | Err(
                ImportError::Empty | ImportError::NothingLeft(_) | ImportError::NotARecording(_),
            ) => {}
            Err(error) => prop_assert!(false, "{error:#?}\n{recording:#}"),
        }
        prop_assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    }

    #[test]
    fn defaults_are_filled_in_once_and_change_nothing_that_was_given(
        schema in schemas(),
        input in inputs(),
    ) {
        let began = Instant::now();
        if let Ok(checked) = InputSchema::new(&schema) {
            for (pointer, _) in wrong_defaults(&schema) {
                prop_assert!(schema.pointer(&pointer).is_some(), "{pointer} in {schema:#}");
            }
            if let Ok(whole) = checked.complete(input.clone()) {
                prop_assert!(has_all_of(&whole, &input), "{input:#} became {whole:#}");
                prop_assert_eq!(checked.complete(whole.clone()), Ok(whole));
            }
        }
        prop_assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    }
}
