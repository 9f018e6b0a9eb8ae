//! Recordings as Chrome makes them, and as nobody makes them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn import_steps(steps: Value) -> Imported {
    let recording = json!({"title": "Portal", "steps": steps});
    import(&recording.to_string()).unwrap_or_else(|error| panic!("{error:#?}"))
}

/// The steps of all states of a result, as JSON.
fn steps_of(imported: &Imported) -> Vec<Value> {
    let definition = Definition::parse_yaml(&imported.yaml).expect("it validates");
    let states = definition.to_json()["states"].as_array().cloned();
    states
        .unwrap_or_default()
        .iter()
        .flat_map(|state| state["steps"].as_array().cloned().unwrap_or_default())
        .collect()
}

fn names_of(imported: &Imported) -> Vec<String> {
    let definition = Definition::parse_yaml(&imported.yaml).expect("it validates");
    definition
        .states
        .into_iter()
        .map(|state| state.name)
        .collect()
}

#[test]
fn a_sign_in_becomes_states_named_from_pages_with_a_secret_for_the_password() {
    let imported = import_steps(json!([
        {"type": "setViewport", "width": 1280, "height": 720, "deviceScaleFactor": 1, "isMobile": false, "hasTouch": false, "isLandscape": false},
        {"type": "navigate", "url": "https://portal.test/login", "assertedEvents": [{"type": "navigation", "url": "https://portal.test/login", "title": "Sign in – Portal"}]},
        {"type": "click", "target": "main", "selectors": [["aria/Email"], ["#email"]], "offsetX": 3, "offsetY": 4},
        {"type": "change", "value": "ada@portal.test", "selectors": [["aria/Email"], ["#email"], ["xpath///*[@id=\"email\"]"], ["pierce/#email"]], "target": "main"},
        {"type": "keyDown", "target": "main", "key": "Tab"},
        {"type": "keyUp", "target": "main", "key": "Tab"},
        {"type": "change", "value": "hunter22", "selectors": [["aria/Password"], ["#p"]], "target": "main"},
        {"type": "click", "target": "main", "selectors": [["aria/Sign in[role=\"button\"]"], ["form > button"], ["text/Sign in"]], "assertedEvents": [{"type": "navigation", "url": "https://portal.test/employees?page=1", "title": "Employees"}]},
        {"type": "click", "target": "main", "selectors": [["aria/Next", "aria/[role=\"generic\"]"], ["#next"]]},
    ]));
    assert_eq!(names_of(&imported), ["sign_in_portal", "employees"]);
    assert!(imported.warnings.is_empty(), "{:?}", imported.warnings);
    assert_eq!(imported.secrets, BTreeSet::from(["password".to_owned()]));
    assert!(!imported.yaml.contains("hunter22"));
    let steps = steps_of(&imported);
    assert_eq!(
        steps[2],
        json!({"fill": {"anyOf": [{"label": "Email", "exact": true}, {"placeholder": "Email", "exact": true}, {"css": "#email"}, {"xpath": "//*[@id=\"email\"]"}], "value": "ada@portal.test"}})
    );
    assert_eq!(steps[3], json!({"press": "Tab"}));
    assert_eq!(steps[4]["fill"]["value"], json!("{{ secrets.password }}"));
    assert_eq!(
        steps[5],
        json!({"click": [{"role": "button", "name": "Sign in", "exact": true}, {"css": "form > button"}, {"text": "Sign in"}]})
    );
    assert_eq!(
        steps[6],
        json!({"waitFor": {"url": "https://portal.test/employees*"}})
    );
    assert_eq!(
        steps[7]["click"][0],
        json!({"role": "generic", "within": {"role": "button", "name": "Next", "exact": true}})
    );
    let definition = Definition::parse_yaml(&imported.yaml).expect("it validates");
    assert_eq!(definition.browser.viewport, Some((1280, 720)));
    assert_eq!(
        definition.to_json()["allowedOrigins"],
        json!(["https://portal.test"])
    );
}

#[test]
fn every_kind_of_step_is_translated_or_named_in_a_warning() {
    let imported = import_steps(json!([
        {"type": "navigate", "url": "https://a.test/"},
        {"type": "doubleClick", "selectors": ["#a"], "timeout": 5000},
        {"type": "click", "selectors": [["#a"]], "button": "secondary"},
        {"type": "hover", "selectors": [["text/More {{x}}"]], "frame": [1, 0]},
        {"type": "keyDown", "key": "Control"},
        {"type": "keyDown", "key": "a"},
        {"type": "keyUp", "key": "a"},
        {"type": "click", "selectors": [["#c"]]},
        {"type": "keyUp", "key": "Control"},
        {"type": "keyDown", "key": "ArrowDown"},
        {"type": "keyDown", "key": "ArrowDown"},
        {"type": "change", "value": "optionB", "selectors": [["div > select"]]},
        {"type": "scroll", "x": 0, "y": 400.5},
        {"type": "scroll", "selectors": [["#list"]], "x": 0, "y": 0},
        {"type": "waitForElement", "selectors": ["button"], "count": 2},
        {"type": "waitForElement", "selectors": ["#b"], "visible": true, "properties": {"id": "b"}, "attributes": {"class": "x"}},
        {"type": "waitForElement", "selectors": ["#gone"], "operator": "<=", "count": 0},
        {"type": "waitForExpression", "expression": "window.ready"},
        {"type": "click", "target": "https://a.test/popup", "selectors": [["#in-popup"]]},
        {"type": "close", "target": "https://a.test/popup"},
        {"type": "emulateNetworkConditions", "download": 1, "upload": 1, "latency": 1},
        {"type": "customStep", "name": "lighthouse", "parameters": {"x": 1}},
        {"type": "teleport"},
        {"type": "click", "selectors": [["::-p-text(x)"], ["#ok"]]},
        {"type": "click", "selectors": [["a["]]},
        {"type": "click", "selectors": [["host-element >>> .inner"]]},
    ]));
    let steps = steps_of(&imported);
    let expected = json!([
        {"goto": "https://a.test/"},
        {"doubleClick": {"css": "#a"}, "timeout": "5s"},
        {"click": {"css": "#a", "button": "right"}},
        {"hover": {"text": "More {{ '{' }}{x}}", "frame": {"css": "iframe, frame", "nth": 0, "frame": {"css": "iframe, frame", "nth": 1}}}},
        {"press": "Control+a"},
        {"click": {"css": "#c", "modifiers": ["Control"]}},
        {"press": {"key": "ArrowDown", "times": 2}},
        {"select": {"css": "div > select", "option": "optionB"}},
        {"scroll": "top"},
        {"scroll": {"by": {"x": 0, "y": 400}}},
        {"scroll": {"css": "#list", "to": "top"}},
        {"waitFor": {"script": "(document.querySelectorAll(\"button\").length >= 2)"}},
    ]);
    assert_eq!(steps[..12], expected.as_array().expect("a list")[..]);
    assert_eq!(
        steps[12]["waitFor"]["all"].as_array().map(Vec::len),
        Some(3)
    );
    let rest = json!([
        {"waitFor": {"detached": {"css": "#gone"}}},
        {"waitFor": {"script": "window.ready"}},
        {"tab": {"switch": "https://a.test/popup*"}},
        {"click": {"css": "#in-popup"}},
        {"tab": "close"},
        {"click": {"css": "#ok"}},
        {"click": {"css": ".inner", "within": {"css": "host-element"}}},
    ]);
    assert_eq!(steps[13..], rest.as_array().expect("a list")[..]);
    for (number, word) in [
        (20, "slow network"),
        (21, "lighthouse"),
        (22, "not known"),
        (23, "alternative"),
        (24, "whole step"),
    ] {
        let is_said = |text: &str| text.contains(&format!("step {number} ")) && text.contains(word);
        assert!(
            imported.warnings.iter().any(|warning| is_said(warning)),
            "{number}: {:#?}",
            imported.warnings
        );
        assert!(imported.yaml.lines().any(is_said), "{}", imported.yaml);
    }
    assert_eq!(imported.warnings.len(), 5, "{:#?}", imported.warnings);
}

#[test]
fn what_was_typed_into_a_password_field_is_nowhere() {
    let imported = import_steps(json!([
        {"type": "navigate", "url": "https://a.test/"},
        {"type": "change", "value": "s3cret-value", "selectors": [["input[type=password]"], ["a["]]},
        {"type": "change", "value": "s3cret-value", "selectors": [["aria/Repeat it"]]},
        {"type": "change", "value": "other-one", "selectors": [["#pwd2"]]},
        {"type": "customStep", "name": "log", "parameters": {"typed": "s3cret-value"}},
        {"type": "click", "selectors": [["#password"]], "assertedEvents": [{"type": "navigation", "url": "https://a.test/?p=s3cret-value"}]},
        {"type": "keyDown", "key": "h"},
    ]));
    assert!(!imported.yaml.contains("s3cret-value") && !imported.yaml.contains("other-one"));
    assert!(!format!("{:?}", imported.warnings).contains("s3cret-value"));
    let steps = steps_of(&imported);
    assert_eq!(steps[1]["fill"]["value"], steps[2]["fill"]["value"]);
    assert_eq!(steps[3]["fill"]["value"], "{{ secrets.password_2 }}");
    assert!(steps.iter().all(|step| step.get("press").is_none()));
}

#[test]
fn a_secret_that_was_shown_before_it_was_typed_is_nowhere_either() {
    let imported = import_steps(json!([
        {"type": "navigate", "url": "https://a.test/?key=s3cret%2Bvalue"},
        {"type": "change", "value": "s3cret+value", "selectors": [["#hint"]]},
        {"type": "click", "selectors": [["text/Use s3cret+value"], ["#use"]]},
        {"type": "customStep", "name": "log", "parameters": "s3cret+value"},
        {"type": "change", "value": "s3cret+value", "selectors": [["#password"]]},
        {"type": "change", "value": "1234", "selectors": [["#pin"]]},
        {"type": "change", "value": "12345", "selectors": [["#amount"]]},
        {"type": "click", "selectors": [["#send"]]},
    ]));
    for text in [&imported.yaml, &format!("{:?}", imported.warnings)] {
        assert!(!text.contains("s3cret"), "{text}");
    }
    let secret = json!("{{ secrets.password }}");
    let steps = steps_of(&imported);
    assert_eq!(steps.len(), 5, "{steps:#?}");
    assert_eq!(steps[0]["fill"]["value"], secret);
    assert_eq!(steps[1]["fill"]["value"], secret);
    assert_eq!(steps[3]["fill"]["value"], "12345", "no part of it is meant");
    let left_out = |warning: &&String| warning.contains("left out");
    assert_eq!(
        imported.warnings.iter().filter(left_out).count(),
        3,
        "{:#?}",
        imported.warnings
    );
}

#[test]
fn a_field_is_secret_by_the_words_that_its_selectors_say() {
    let value_in = |selector: &str| {
        let imported = import_steps(json!([
            {"type": "change", "value": "12345", "selectors": [[selector]]},
        ]));
        steps_of(&imported)[0]["fill"]["value"].clone()
    };
    for secret in [
        "#user_password",
        "#pwd2",
        "aria/PIN",
        "aria/Verification code",
        "#otpField",
        "#loginToken",
        "aria/Kennwort",
        "#mfaCode",
        "aria/Mot de passe",
    ] {
        assert_ne!(value_in(secret), "12345", "{secret}");
    }
    for open in [
        "aria/Postal code",
        "#zipCode",
        "#shipping",
        "#hotpink",
        "aria/Promo code",
        "#countryCode",
        "#pinboard",
    ] {
        assert_eq!(value_in(open), "12345", "{open}");
    }
}

#[test]
fn where_a_step_led_is_waited_for_without_what_belongs_to_one_session() {
    let led_to = |urls: &[&str]| {
        let mut steps = vec![json!({"type": "navigate", "url": "https://a.test/start"})];
        steps.extend(urls.iter().map(|url| {
            json!({"type": "click", "selectors": [["#a"]], "assertedEvents": [{"type": "navigation", "url": url}]})
        }));
        let imported = import_steps(json!(steps));
        let steps = steps_of(&imported);
        steps.last().map(|step| step["waitFor"]["url"].clone())
    };
    for (urls, pattern) in [
        (
            &["https://a.test/list?guid=b3540d8f"][..],
            "https://a.test/list*",
        ),
        (
            &[
                "https://a.test/list?page=1",
                "https://a.test/list?page=2#top",
            ],
            "https://a.test/list?page=2*",
        ),
        (
            &["https://a.test/orders/83915/b3540d8f-b5db-4141-a507-074c45307776/edit"],
            "https://a.test/orders/*/*/edit*",
        ),
        (&["https://a.test/v2/faded"], "https://a.test/v2/faded*"),
    ] {
        assert_eq!(led_to(urls), Some(json!(pattern)), "{urls:?}");
    }
}

#[test]
fn elements_are_waited_for_as_the_recorder_does() {
    let condition = |step: Value| {
        let mut step = step;
        step["type"] = json!("waitForElement");
        step["selectors"] = json!(["#a"]);
        let imported = import_steps(json!([{"type": "navigate", "url": "https://a.test/"}, step]));
        (
            steps_of(&imported)[1]["waitFor"].clone(),
            imported.warnings.len(),
        )
    };
    let script = |text: &str| json!({ "script": text });
    for (step, expected) in [
        (json!({}), json!({"attached": {"css": "#a"}})),
        (
            json!({"visible": false}),
            json!({"detached": {"css": "#a"}}),
        ),
        (
            json!({"operator": "==", "count": 0}),
            json!({"detached": {"css": "#a"}}),
        ),
        (
            json!({"operator": "==", "count": 1}),
            script("(document.querySelectorAll(\"#a\").length == 1)"),
        ),
        (
            json!({"count": 3, "visible": false}),
            script("!(document.querySelectorAll(\"#a\").length >= 3)"),
        ),
    ] {
        assert_eq!(condition(step.clone()), (expected, 0), "{step}");
    }
    let (all, _) = condition(json!({"properties": {"style": {"color": "red"}}}));
    assert!(
        all["all"][1]["script"]
            .as_str()
            .is_some_and(|script| script.contains("{\"style\":{\"color\":\"red\"}}"))
    );
    assert_eq!(
        condition(json!({"visible": false, "attributes": {"a": "b"}})).1,
        1
    );
}

#[test]
fn what_has_no_counterpart_is_said() {
    for (step, word) in [
        (
            json!({"type": "click", "selectors": [["#a"]], "duration": 1500}),
            "long press",
        ),
        (
            json!({"type": "click", "selectors": [["#a"]], "button": "back"}),
            "button `back`",
        ),
        (
            json!({"type": "click", "selectors": [["#a"]], "deviceType": "touch"}),
            "touch",
        ),
        (
            json!({"type": "keyDown", "key": "CapsLock"}),
            "key `CapsLock`",
        ),
        (
            json!({"type": "click", "selectors": [["#a"]], "assertedEvents": [{"type": "download"}]}),
            "asserted event",
        ),
    ] {
        let imported = import_steps(json!([{"type": "navigate", "url": "https://a.test/"}, step]));
        assert_eq!(imported.warnings.len(), 1, "{:?}", imported.warnings);
        assert!(
            imported.warnings[0].contains(word),
            "{:?}",
            imported.warnings
        );
    }
    let popup = import_steps(json!([
        {"type": "navigate", "url": "https://a.test/"},
        {"type": "click", "selectors": [["#a"]], "target": "https://b.test/pay?id=1"},
    ]));
    assert_eq!(
        steps_of(&popup)[1],
        json!({"tab": {"switch": "https://b.test/pay*"}})
    );
    assert!(popup.yaml.contains("iframe of another origin"));
}

#[test]
fn what_is_no_recording_is_refused() {
    assert!(matches!(import("{"), Err(ImportError::NotJson(_))));
    assert!(matches!(import("[]"), Err(ImportError::NotARecording(_))));
    assert!(matches!(import("{}"), Err(ImportError::NotARecording(_))));
    let nothing = json!({"title": "x", "steps": [{"type": "customStep", "name": "y"}]}).to_string();
    assert!(
        matches!(import(&nothing), Err(ImportError::NothingLeft(warnings)) if warnings.len() == 1)
    );
    assert!(matches!(
        import(&" ".repeat(5_000_000)),
        Err(ImportError::TooLarge)
    ));
}

/// Texts that are hard to write and to read again.
fn texts() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-z]{1,6}",
        any::<char>().prop_map(String::from),
        prop::sample::select(vec![
            "{{",
            "}}",
            "{%",
            "{",
            "#",
            "\"",
            "'",
            "\\",
            "\n",
            ": ",
            "- ",
            "[",
            "]",
            "\u{2028}",
            "\u{feff}",
            "\u{85}",
            "aria/",
            "text/",
            "xpath/",
            "pierce/",
            ">>>",
            "[role=\"button\"]",
            "password",
            "*",
            "&",
            "!",
            "%",
            "@",
            "`",
            "\u{0}",
            "\u{7f}",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

fn recorded_steps() -> impl Strategy<Value = Value> {
    let kind = prop::sample::select(vec![
        "change",
        "click",
        "close",
        "customStep",
        "doubleClick",
        "emulateNetworkConditions",
        "hover",
        "keyDown",
        "keyUp",
        "navigate",
        "scroll",
        "setViewport",
        "waitForElement",
        "waitForExpression",
        "",
    ]);
    let selectors = prop::collection::vec(prop::collection::vec(texts(), 0..3), 0..3);
    let url = prop_oneof![texts(), "https://[a-z]{1,5}\\.test/[a-z?=#{%]{0,8}"];
    (
        kind,
        selectors,
        texts(),
        url,
        (any::<i32>(), any::<f64>()),
        prop::option::of(prop::collection::vec(0_u32..5, 0..3)),
    )
        .prop_map(|(kind, selectors, text, url, (integer, float), frame)| {
            let mut step = json!({
                "type": kind, "selectors": selectors, "value": text.clone(), "url": url.clone(), "key": text.clone(),
                "expression": text.clone(), "name": text.clone(), "width": integer, "height": float, "x": integer, "y": float,
                "count": integer.rem_euclid(4), "timeout": integer, "parameters": {text.clone(): text.clone()},
                "properties": {text.clone(): text.clone()},
                "assertedEvents": [{"type": "navigation", "url": url.clone(), "title": text}],
                "target": if integer % 5 == 0 { url } else { "main".to_owned() },
            });
            if let Some(frame) = frame {
                step["frame"] = json!(frame);
            }
            step
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_was_recorded_becomes_a_workflow_that_validates(
        title in texts(),
        steps in prop::collection::vec(recorded_steps(), 1..8),
    ) {
        let recording = json!({"title": title, "steps": steps});
        match import(&recording.to_string()) {
            Ok(_) | Err(ImportError::NothingLeft(_)) => {}
            Err(error) => prop_assert!(false, "{error:#?}\n{recording:#}"),
        }
    }

    #[test]
    fn whatever_is_imported_is_read_or_refused(text in texts()) {
        let _ = import(&text);
        let _ = import(&format!("{{\"steps\": [{}]}}", json!(text)));
    }
}
