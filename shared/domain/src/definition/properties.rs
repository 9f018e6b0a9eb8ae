//! What holds for every text and every JSON value: reading them ends, without a panic, with a definition or with errors.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::template::Template;
use super::{Definition, Scope};

/// Words of the language, and what surrounds them.
fn fragments() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        Just("name: "),
        Just("states:\n"),
        Just("  - "),
        Just("    "),
        Just("\n"),
        Just("steps:\n"),
        Just("click: "),
        Just("fill: { "),
        Just("label: "),
        Just(" }"),
        Just("{{ "),
        Just(" }}"),
        Just("secrets.a"),
        Just("answers.b"),
        Just(" | "),
        Just("length"),
        Just("\""),
        Just("'"),
        Just("\\"),
        Just("#"),
        Just("*a"),
        Just("&a "),
        Just("!!str "),
        Just("["),
        Just("]"),
        Just(", "),
        Just("ä"),
        Just("🦀"),
        Just("\u{a0}"),
        Just("---\n"),
        Just("0x"),
        Just("-1e999"),
        Just("when: "),
        Just("any: "),
        Just("("),
        Just(")"),
        Just("is not "),
        Just("\t"),
        Just("\r\n"),
        Just("<<: "),
        Just("? "),
        Just("|\n"),
        Just(">-\n"),
        Just("%"),
        Just("@"),
        Just("`"),
        Just("\u{0}"),
    ];
    prop::collection::vec(fragment, 0..60).prop_map(|fragments| fragments.concat())
}

/// JSON values whose keys are mostly words of the language.
fn values() -> impl Strategy<Value = Value> {
    let keys = prop::sample::select(vec![
        "name",
        "states",
        "steps",
        "click",
        "fill",
        "value",
        "when",
        "within",
        "visible",
        "any",
        "extract",
        "fields",
        "rows",
        "as",
        "askUser",
        "prompt",
        "tries",
        "rejected",
        "css",
        "role",
        "nth",
        "timeout",
        "output",
        "input",
        "properties",
        "retry",
        "maxAttempts",
        "waitFor",
        "time",
        "hasText",
        "expression",
        "if",
        "reason",
        "browser",
        "viewport",
        "proxy",
        "url",
        "username",
        "x/~y",
        "",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        fragments().prop_map(Value::from),
        Just(Value::from("a")),
        Just(Value::from("30s")),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys.clone(), inner), 0..5).prop_map(|entries| {
                Value::Object(
                    entries
                        .into_iter()
                        .map(|(key, value)| (key.to_owned(), value))
                        .collect::<Map<_, _>>(),
                )
            }),
        ]
    })
}

proptest! {
    #[test]
    fn every_yaml_text_is_read_or_refused(text in fragments()) {
        if let Err(errors) = Definition::parse_yaml(&text) {
            prop_assert!(!errors.is_empty());
        }
    }

    #[test]
    fn every_json_value_is_read_or_refused(value in values()) {
        if let Err(errors) = Definition::parse_json(&value) {
            prop_assert!(!errors.is_empty());
        }
        let wrapped = serde_json::json!({"name": "A", "states": [{"name": "a", "steps": [value]}]});
        if let Err(errors) = Definition::parse_json(&wrapped) {
            prop_assert!(!errors.is_empty());
            prop_assert!(errors.iter().all(|error| wrapped.pointer(&error.place.pointer).is_some()), "{errors:?}");
        }
    }

    #[test]
    fn every_template_is_read_or_refused_and_evaluated_without_a_secret(text in fragments()) {
        let canary = "canary-4711";
        let secrets = [("a".to_owned(), super::Secret::new(canary))];
        let scope = Scope::new(&serde_json::json!({"b": [1, "x"]}), &Value::Null, secrets.into_iter().collect());
        if let Ok(template) = Template::parse(&text) {
            let seen = format!("{:?} {:?} {template:?} {scope:?}", template.text(&scope), template.value(&scope));
            prop_assert!(!seen.contains(canary));
        }
    }
}
