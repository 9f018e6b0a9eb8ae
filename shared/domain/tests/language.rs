//! The language as its files show it: the published schema, the guide, the examples, and what a machine makes of them.

mod damage;

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use damage::{mutate, mutation};

use domain::definition::{Definition, Rule, ValidationError, json_schema};
use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};

const PUBLISHED: &str = include_str!("../../../docs/workflow.schema.json");
const GUIDE: &str = include_str!("../../../docs/workflows.md");
const EXAMPLES: &[&str] = &[include_str!("../../../examples/employee-roster.yaml")];

static SCHEMA: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::draft7::new(&json_schema()).expect("a JSON Schema"));

/// Each workflow of the guide and of the examples, as JSON.
static WORKFLOWS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let of_guide = GUIDE.split("```yaml\n").skip(1).map(|example| {
        let example = example.split("```").next().expect("an end");
        if !example.starts_with("- ") {
            return example.to_owned();
        }
        let steps: String = example
            .lines()
            .map(|line| format!("      {line}\n"))
            .collect();
        format!("name: Test\nstates:\n  - name: testing\n    steps:\n{steps}")
    });
    of_guide
        .chain(EXAMPLES.iter().map(ToString::to_string))
        .map(|text| {
            let definition = Definition::parse_yaml(&text)
                .unwrap_or_else(|errors| panic!("{text}\n{errors:#?}"));
            definition.to_json().clone()
        })
        .collect()
});

#[test]
fn the_published_schema_is_what_the_grammar_says() {
    let published: Value = serde_json::from_str(PUBLISHED).expect("JSON");
    assert!(
        published == json_schema(),
        "write it again: cargo run -p domain --example schema > docs/workflow.schema.json"
    );
}

#[test]
fn the_schema_accepts_every_workflow_of_the_guide_and_the_examples() {
    for workflow in WORKFLOWS.iter() {
        let errors: Vec<_> = SCHEMA
            .iter_errors(workflow)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{workflow:#}\n{errors:#?}");
    }
}

#[test]
fn the_schema_is_itself_valid_and_refuses_what_is_wrong() {
    jsonschema::meta::validate(&json_schema()).expect("a JSON Schema");
    let step = |step: Value| json!({"name": "T", "states": [{"name": "a", "steps": [step]}]});
    assert!(SCHEMA.is_valid(&step(json!({"click": "a"}))));
    assert!(SCHEMA.is_valid(&step(json!({"click": {"role": "{{ input.role }}"}}))));
    assert!(!SCHEMA.is_valid(&step(json!({"click": {"role": "buton"}}))));
    for wrong in [
        json!([]),
        json!({"name": "T"}),
        json!({"name": "T", "states": []}),
        json!({"name": "T", "states": [{"name": "Signing in", "steps": [{"back": null}]}]}),
        json!({"name": "T", "states": [{"name": "a", "steps": []}]}),
        json!({"name": "T", "states": [{"name": "a", "steps": [{"back": null}]}], "stats": 1}),
        step(json!({"clcik": "a"})),
        step(json!({"click": "a", "hover": "b"})),
        step(json!({"id": "a"})),
        step(json!({"click": {"css": "a", "text": "b"}})),
        step(json!({"click": {"nth": 1}})),
        step(json!({"click": {"css": "a", "nth": -1}})),
        step(json!({"click": {"text": "a", "name": "b"}})),
        step(json!({"click": "a", "timeout": "soon"})),
        step(json!({"click": "a", "retry": {"maxAttempts": 1}})),
        step(json!({"click": "a", "onError": "stop"})),
        step(json!({"retry": {"maxAttempts": 3}})),
        step(json!({"fill": {"label": "A"}})),
        step(json!({"extract": {"rows": "tr", "fields": {}, "as": "x"}})),
        step(json!({"extract": {"rows": "tr", "fields": {"a": {"type": "nubmer"}}, "as": "x"}})),
        step(
            json!({"extract": {"rows": "tr", "fields": {"a": "b"}, "as": "x", "scroll": true, "nextPage": "c"}}),
        ),
        step(json!({"askUser": {"prompt": "Code", "as": "a", "fields": [{"name": "b"}]}})),
        step(json!({"askUser": {"prompt": "Code", "as": "a b"}})),
        step(json!({"fail": {"code": "lower", "message": "x"}})),
        step(json!({"endWithNoAction": {}})),
        step(json!({"waitFor": {"visible": "a", "hidden": "b"}})),
    ] {
        assert!(!SCHEMA.is_valid(&wrong), "{wrong}");
        assert!(Definition::parse_json(&wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_guide_explains_every_key_of_the_schema() {
    let schema = json_schema();
    let definitions = schema["definitions"].as_object().expect("definitions");
    let keys = definitions
        .values()
        .chain([&schema])
        .filter_map(|definition| definition["properties"].as_object())
        .flat_map(serde_json::Map::keys);
    for key in keys {
        let is_there = GUIDE
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| word == key);
        assert!(is_there, "the guide says nothing of `{key}`");
    }
}

#[test]
fn each_key_of_the_schema_stands_in_an_example() {
    fn collect(value: &Value, keys: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    keys.insert(key.clone());
                    collect(value, keys);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, keys)),
            _ => {}
        }
    }
    let mut written = BTreeSet::new();
    for workflow in WORKFLOWS.iter() {
        collect(workflow, &mut written);
    }
    let schema = json_schema();
    let definitions = schema["definitions"].as_object().expect("definitions");
    let missing: BTreeSet<_> = definitions
        .values()
        .chain([&schema])
        .filter_map(|definition| definition["properties"].as_object())
        .flat_map(serde_json::Map::keys)
        .filter(|key| !written.contains(*key))
        .collect();
    assert!(missing.is_empty(), "no example shows {missing:?}");
}

#[test]
fn hostile_definitions_are_refused_soon_and_say_why() {
    let nested = |depth: usize| {
        let mut steps = json!([{"click": "a"}]);
        for _ in 0..depth {
            steps = json!([{"forEach": {"in": [1], "as": "x", "steps": steps}}]);
        }
        json!({"name": "T", "states": [{"name": "a", "steps": steps}]})
    };
    let question = json!({"askUser": {"prompt": "Code", "as": "code"}});
    let step = |step: Value| json!({"name": "T", "states": [{"name": "a", "steps": [step]}]});
    let cases = [
        (nested(40), Rule::TooLarge),
        (
            step(json!({"forEach": {"in": [1], "as": "x", "steps": [question.clone()]}})),
            Rule::HistoryBound,
        ),
        (
            step(
                json!({"retry": {"maxAttempts": 20, "steps": [{"forEach": {"in": [1], "as": "x", "maxItems": 10, "steps": [question]}}]}}),
            ),
            Rule::HistoryBound,
        ),
        (
            step(
                json!({"forEach": {"in": [1], "as": "x", "maxItems": 10_000_000_000_u64, "steps": [{"back": null}]}}),
            ),
            Rule::OutOfBounds,
        ),
        (
            step(json!({"click": {"css": "a", "nth": -1}})),
            Rule::OutOfBounds,
        ),
        (
            step(json!({"click": {"css": "a", "nth": 1e300}})),
            Rule::OutOfBounds,
        ),
        (
            step(json!({"back": null, "timeout": "99999999999999999999h"})),
            Rule::BadDuration,
        ),
        (
            json!({"name": "T", "retry": {"maxAttempts": 2, "delay": "16m"}, "states": [{"name": "a", "steps": [{"back": null}]}]}),
            Rule::OutOfBounds,
        ),
        (
            json!({"name": "T", "retry": {"maxAttempts": 2, "maxDelay": "16m"}, "states": [{"name": "a", "steps": [{"back": null}]}]}),
            Rule::OutOfBounds,
        ),
        (
            step(json!({"click": ":is(".repeat(30_000)})),
            Rule::BadSelector,
        ),
        (
            step(json!({"click": {"xpath": "(".repeat(60_000)}})),
            Rule::BadSelector,
        ),
        (
            step(json!({"set": {"x": format!("{{{{ {} }}}}", "(".repeat(60_000))}})),
            Rule::OutOfBounds,
        ),
    ];
    for (definition, rule) in cases {
        let errors = Definition::parse_json(&definition).expect_err("hostile");
        assert!(
            errors.iter().any(|error| error.rule == rule),
            "{rule:?}: {errors:?}"
        );
    }
    // All of these are refused without work for each of their errors, and without a copy of a long key for each value.
    let wrong: Vec<_> = (0..12_000).map(|_| json!({"clcik": "a"})).collect();
    let long = json!({ "k".repeat(100_000): vec![1; 40_000] });
    for hostile in [
        json!({"name": "T", "states": [{"name": "a", "steps": wrong}]}),
        step(json!({ "set": long })),
        step(json!({"nowhere": long})),
        step(json!({"click": ":is(".repeat(50_000)})),
        json!({"name": "T", "states": {"k".repeat(200_000): 1}}),
    ] {
        let errors = Definition::parse_json(&hostile).expect_err("hostile");
        assert!(errors.len() <= 100, "{}", errors.len());
        let bytes: usize = errors
            .iter()
            .map(|error| error.place.pointer.len() + error.message.len())
            .sum();
        assert!(bytes < 512 * 1024, "{bytes}");
    }
    // What is constant is evaluated when it is checked, with little work for each.
    let costly = json!({"set": {"x": "{{ ('x' * 20000) | list | sort | length }}"}});
    let states = json!([{"name": "a", "steps": vec![costly; 3_000]}]);
    let began = Instant::now();
    let read = Definition::parse_json(&json!({"name": "T", "states": states}));
    assert!(read.is_ok(), "{:?}", read.err());
    assert!(
        began.elapsed() < Duration::from_secs(30),
        "{:?}",
        began.elapsed()
    );
    let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
    let errors = Definition::parse_yaml(bomb).expect_err("hostile");
    let features = errors
        .iter()
        .filter(|error| error.rule == Rule::YamlFeature);
    assert_eq!(features.count(), 6, "{errors:?}");
}

fn mutated() -> impl Strategy<Value = Value> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), mutation()), 1..4);
    (any::<prop::sample::Index>(), changes).prop_map(|(which, changes)| {
        let mut workflow = WORKFLOWS[which.index(WORKFLOWS.len())].clone();
        for (place, mutation) in changes {
            mutate(&mut workflow, place, mutation);
        }
        workflow
    })
}

/// Whether the schema can see an error: one of form, not of names or of what a text says.
fn is_of_form(error: &ValidationError) -> bool {
    matches!(
        error.rule,
        Rule::UnknownKey | Rule::MissingKey | Rule::UnknownStep
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_schema_refuses_the_validator_refuses_too(workflow in mutated()) {
        let read = Definition::parse_json(&workflow);
        let schema_refuses = SCHEMA.iter_errors(&workflow).next().map(|error| error.to_string());
        match (&read, &schema_refuses) {
            (Ok(_), Some(error)) => prop_assert!(false, "only the schema refuses: {error}\n{workflow:#}"),
            (Err(errors), None) => {
                prop_assert!(!errors.is_empty());
                prop_assert!(!errors.iter().any(is_of_form), "only the validator refuses: {errors:#?}\n{workflow:#}");
            }
            _ => {}
        }
        if let Err(errors) = &read {
            for error in errors {
                prop_assert!(workflow.pointer(&error.place.pointer).is_some(), "{error:?} is nowhere");
            }
        }
    }

    #[test]
    fn a_workflow_that_is_accepted_is_accepted_again_as_it_was_stored(workflow in mutated()) {
        if let Ok(definition) = Definition::parse_json(&workflow) {
            let again = Definition::parse_json(definition.to_json());
            prop_assert!(again.is_ok());
            prop_assert!(definition.max_history_entries() <= 200);
        }
    }
}
