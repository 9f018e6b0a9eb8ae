//! template.yaml as one JSON value: `!Ref X` becomes `{"Ref": "X"}`, as in a template that is written in JSON.

use saphyr_parser::{Event, Parser, ScalarStyle, StrInput, Tag};
use serde_json::{Map, Value, json};

use crate::repository::read;

/// The template.
pub(crate) fn template() -> Value {
    parse(&read("template.yaml"))
}

fn parse(text: &str) -> Value {
    let mut parser = Parser::new_from_str(text);
    loop {
        if matches!(next(&mut parser), Event::DocumentStart(_)) {
            let first = next(&mut parser);
            return node(&mut parser, first);
        }
    }
}

fn next<'t>(parser: &mut Parser<'t, StrInput<'t>>) -> Event<'t> {
    let (event, _) = parser
        .next_event()
        .expect("the document goes on")
        .expect("the template is YAML");
    event
}

fn node<'t>(parser: &mut Parser<'t, StrInput<'t>>, event: Event<'t>) -> Value {
    let (value, tag) = match event {
        Event::Scalar(text, ScalarStyle::Plain, _, tag) => (plain(&text), tag),
        Event::Scalar(text, _, _, tag) => (Value::String(text.into_owned()), tag),
        Event::SequenceStart(_, tag) => {
            let mut items = Vec::new();
            loop {
                match next(parser) {
                    Event::SequenceEnd => break,
                    event => items.push(node(parser, event)),
                }
            }
            (Value::Array(items), tag)
        }
        Event::MappingStart(_, tag) => {
            let mut entries = Map::new();
            loop {
                let key = match next(parser) {
                    Event::MappingEnd => break,
                    Event::Scalar(key, ..) => key.into_owned(),
                    other => panic!("{other:?} is no key"),
                };
                let event = next(parser);
                let earlier = entries.insert(key.clone(), node(parser, event));
                assert!(earlier.is_none(), "{key} is there twice");
            }
            (Value::Object(entries), tag)
        }
        other => panic!("{other:?} has no place in a template"),
    };
    match tag.as_deref() {
        Some(Tag { suffix, .. }) if suffix == "Ref" || suffix == "Condition" => {
            json!({ suffix: value })
        }
        Some(Tag { suffix, .. }) => json!({ format!("Fn::{suffix}"): value }),
        None => value,
    }
}

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => text
            .parse::<i64>()
            .map_or_else(|_| Value::String(text.to_owned()), Value::from),
    }
}

#[test]
fn short_forms_become_long_ones() {
    let found = parse("A: !Ref B\nC: [!GetAtt D.Arn, 5, \"5\", !If [E, [F], !Ref G]]\n");
    let expected = json!({
        "A": {"Ref": "B"},
        "C": [{"Fn::GetAtt": "D.Arn"}, 5, "5", {"Fn::If": ["E", ["F"], {"Ref": "G"}]}],
    });
    assert_eq!(found, expected);
}
