//! Damage that a machine does to JSON trees, in places of its choice.

use proptest::prelude::*;
use serde_json::{Value, json};

/// Something that is wrong in a place where something else stood.
fn replacement() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        Just(json!(true)),
        Just(json!(7)),
        Just(json!(-1)),
        Just(json!(1e300)),
        Just(json!("")),
        Just(json!("x")),
        Just(json!("{{ nobody }}")),
        Just(json!("{{ secrets.a }}")),
        Just(json!("a[")),
        Just(json!([])),
        Just(json!({})),
        Just(json!({"css": "a"})),
        Just(json!([{"click": "a"}])),
        Just(json!({"steps": [{"back": null}], "maxAttempts": 3})),
    ]
}

/// What is done to a definition in one of its places.
#[derive(Debug, Clone)]
pub(crate) enum Mutation {
    /// Something else stands there.
    Replace(Value),
    /// Nothing stands there.
    Remove,
    /// It has another key.
    Rename(String),
    /// Something stands beside it.
    Add(String, Value),
    /// It stands there twice.
    Repeat,
}

/// Any mutation.
pub(crate) fn mutation() -> impl Strategy<Value = Mutation> {
    let key = prop::sample::select(vec![
        "name", "steps", "css", "text", "as", "when", "value", "click", "fill", "retry", "onError",
        "nth", "within", "frame", "if", "then", "maxItems", "type", "default", "element", "nmae",
    ])
    .prop_map(str::to_owned);
    prop_oneof![
        replacement().prop_map(Mutation::Replace),
        Just(Mutation::Remove),
        key.clone().prop_map(Mutation::Rename),
        (key, replacement()).prop_map(|(key, value)| Mutation::Add(key, value)),
        Just(Mutation::Repeat),
    ]
}

/// All places of a value.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, &format!("{at}/{index}"), found);
            }
        }
        Value::Object(entries) => {
            for (key, item) in entries {
                let key = key.replace('~', "~0").replace('/', "~1");
                pointers(item, &format!("{at}/{key}"), found);
            }
        }
        _ => {}
    }
}

/// Does it in the place that an index picks.
pub(crate) fn mutate(workflow: &mut Value, place: prop::sample::Index, mutation: Mutation) {
    let mut places = Vec::new();
    pointers(workflow, "", &mut places);
    let place = &places[place.index(places.len())];
    match mutation {
        Mutation::Replace(value) => {
            if let Some(target) = workflow.pointer_mut(place) {
                *target = value;
            }
        }
        Mutation::Add(key, value) => {
            if let Some(Value::Object(map)) = workflow.pointer_mut(place) {
                map.insert(key, value);
            }
        }
        Mutation::Remove | Mutation::Rename(_) | Mutation::Repeat => {
            let Some((parent, last)) = place.rsplit_once('/') else {
                return;
            };
            let last = last.replace("~1", "/").replace("~0", "~");
            match (workflow.pointer_mut(parent), mutation) {
                (Some(Value::Object(map)), Mutation::Remove) => {
                    map.shift_remove(&last);
                }
                (Some(Value::Object(map)), Mutation::Rename(key)) => {
                    if let Some(value) = map.shift_remove(&last) {
                        map.insert(key, value);
                    }
                }
                (Some(Value::Array(items)), Mutation::Remove) => {
                    items.remove(last.parse().expect("an index"));
                }
                (Some(Value::Array(items)), Mutation::Repeat) => {
                    let item = items[last.parse::<usize>().expect("an index")].clone();
                    items.push(item);
                }
                _ => {}
            }
        }
    }
}
