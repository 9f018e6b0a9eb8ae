//! The definition as its users see it: the sample is read, and what is wrong is explained where it stands.

use serde_json::json;

use super::*;

const SAMPLE: &str = include_str!("../../../../examples/employee-roster.yaml");

fn errors(text: &str) -> Vec<ValidationError> {
    Definition::parse_yaml(text).expect_err("this definition is wrong")
}

/// A workflow with these steps, indented by six spaces.
fn with_steps(steps: &str) -> String {
    format!("name: Test\nstates:\n  - name: testing\n    steps:\n{steps}")
}

fn error_of_step(step: &str) -> ValidationError {
    let errors = errors(&with_steps(&format!("      - {step}\n")));
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.into_iter().next().expect("one error")
}

#[test]
fn the_sample_is_a_definition() {
    let definition = Definition::parse_yaml(SAMPLE).expect("the sample");
    assert_eq!(definition.name, "Employee roster");
    let names: Vec<_> = definition
        .states
        .iter()
        .map(|state| state.name.as_str())
        .collect();
    assert_eq!(
        names[..3],
        [
            "signing_in",
            "entering_2fa_code",
            "extracting_employee_records"
        ]
    );
    assert_eq!(
        definition
            .secret_names()
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
        ["hr_password", "hr_user"]
    );
    assert_eq!(definition.max_history_entries(), names.len() + 2 + 12);
    let verbs: Vec<_> = definition.states[0]
        .steps
        .iter()
        .map(|step| step.verb.name())
        .collect();
    assert_eq!(verbs, ["goto", "fill", "fill", "click", "waitFor"]);
}

#[test]
fn a_definition_that_is_too_large_is_refused_in_whatever_way_it_came() {
    let saying = |problems: Vec<ValidationError>| problems[0].to_string();
    let of_value = |value: String| {
        Definition::parse_json(&json!({
            "name": "Test",
            "states": [{ "name": "testing", "steps": [{ "fill": { "css": "#a", "value": value } }] }],
        }))
    };
    assert!(of_value("x".repeat(200 * 1024)).is_ok());
    let json = saying(of_value("x".repeat(300 * 1024)).expect_err("too large"));
    assert!(json.contains("262144 bytes"), "{json}");
    // As JSON, each of these tabs is two bytes.
    let step = format!(
        "      - fill: {{ css: '#a', value: \"{}\" }}\n",
        "\t".repeat(200 * 1024)
    );
    let yaml = saying(errors(&with_steps(&step)));
    assert!(yaml.contains("262144 bytes"), "{yaml}");
}

#[test]
fn a_definition_is_the_same_after_it_was_stored_as_json() {
    let definition = Definition::parse_yaml(SAMPLE).expect("the sample");
    let text = definition.to_json().to_string();
    let stored = serde_json::from_str(&text).expect("JSON");
    let again = Definition::parse_json(&stored).expect("the stored definition");
    assert_eq!(again.to_json(), definition.to_json());
    assert_eq!(
        format!("{:?}", again.states),
        format!("{:?}", definition.states)
    );
}

#[test]
fn every_error_is_found_at_once_with_its_place_and_what_was_meant() {
    let errors = errors(
        "name: Test\ninputs: {}\nstates:\n  - name: Signing In\n    steps:\n      - clcik: a\n      - click: { rol: button }\n      - fill: { label: A, value: '{{ nobody }}' }\n  - name: done\n    steps: []\noutput: { n: '{{ rows | lenght }}' }\n",
    );
    let found: Vec<_> = errors
        .iter()
        .map(|error| {
            (
                error.place.line.unwrap_or(0),
                error.place.pointer.as_str(),
                error.suggestion.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (2, "/inputs", Some("input")),
            (4, "/states/0/name", None),
            (6, "/states/0/steps/0/clcik", Some("click")),
            (7, "/states/0/steps/1/click/rol", Some("role")),
            (8, "/states/0/steps/2/fill/value", None),
            (10, "/states/1/steps", None),
            (11, "/output/n", Some("length")),
        ],
        "{errors:#?}"
    );
    assert_eq!(
        errors[2].to_string(),
        "6:9: there is no step `clcik` (did you mean `click`?)"
    );
}

#[test]
fn json_errors_have_pointers() {
    let errors = Definition::parse_json(
        &json!({"name": "Test", "states": [{"name": "a", "steps": [{"hovr": "b"}]}]}),
    )
    .expect_err("wrong");
    assert_eq!(errors[0].place.pointer, "/states/0/steps/0/hovr");
    assert_eq!(errors[0].suggestion.as_deref(), Some("hover"));
    assert!(errors[0].place.line.is_none());
}

#[test]
fn values_that_yaml_swallows_are_explained() {
    for step in [
        "click: #submit",
        "click: { css: [x] }",
        "goto: {{ input.url }}",
        "goto: *",
        "fill: { label: A, value: {{ secrets.a }} }",
        "click: *all",
        "click: [href]",
        "endWithNoAction: { if: 1 == 1, reason: None in {{ input.month }} }",
        "waitFor: { css: #a }",
    ] {
        let errors = errors(&with_steps(&format!("      - {step}\n")));
        assert!(
            errors.iter().any(|error| error.message.contains("quotes")),
            "{step}: {errors:?}"
        );
    }
    let error = error_of_step("fill: { label: Zip, value: 01234 }");
    assert!(error.message.contains("put it in quotes"), "{error}");
    assert_eq!((error.place.line, error.place.column), (Some(5), Some(36)));
}

#[test]
fn duplicate_keys_aliases_anchors_tags_and_several_documents_are_refused() {
    let whole = with_steps("      - click: a\n");
    for (text, part) in [
        (format!("name: A\n{whole}"), "twice"),
        (whole.replace("Test", "&a Test"), "anchor"),
        (format!("{whole}output: {{ a: *x }}"), "alias"),
        (whole.replace("Test", "!!str Test"), "tag"),
        (format!("{whole}---\n{whole}"), "one YAML document"),
        (String::new(), "empty"),
        ("[".repeat(1_000), ""),
        (format!("name: {}", "x".repeat(300_000)), "at most"),
        (
            format!("a: {}1{}", "[".repeat(100), "]".repeat(100)),
            "deep",
        ),
    ] {
        let errors = errors(&text);
        assert!(
            errors.iter().any(|error| error.message.contains(part)),
            "{part}: {errors:?}"
        );
    }
}

#[test]
fn a_secret_may_only_be_filled_into_a_field() {
    for step in [
        "goto: 'https://a.test/{{ secrets.a }}'",
        "click: { text: '{{ secrets.a }}' }",
        "set: { x: '{{ secrets.a }}' }",
        "endWithNoAction: { reason: '{{ secrets.a }}' }",
        "endWithNoAction: { if: secrets.a, reason: x }",
        "download: { click: a, fileName: '{{ secrets.a }}.csv' }",
        "fill: { label: A, value: '{{ secrets.a | upper }}' }",
        "fill: { label: A, value: '{{ answers.code }}' }",
        "waitFor: { hasText: '{{ secrets.a }}' }",
        "askUser: { prompt: '{{ secrets.a }}', as: code }",
    ] {
        error_of_step(step);
    }
    let text = with_steps(
        "      - askUser: { prompt: Code, as: code }\n      - fill: { label: A, value: '{{ answers.code }}{{ secrets.b }}' }\n",
    );
    let definition = Definition::parse_yaml(&text).expect("a definition");
    assert!(definition.secret_names().contains("b"));
}

#[test]
fn names_must_be_defined_before_they_are_read_and_may_not_be_the_languages_own() {
    assert!(
        error_of_step("endWithNoAction: { if: rows | length == 0, reason: none }")
            .message
            .contains("`rows`")
    );
    error_of_step("set: { input: '1' }");
    error_of_step("set: { 'a-b': '1' }");
    let text = "name: Test\ninput: { properties: { baseUrl: {} } }\nstates: [{ name: a, steps: [{ goto: '{{ input.baseURL }}' }] }]";
    assert_eq!(errors(text)[0].suggestion.as_deref(), Some("input.baseUrl"));
}

#[test]
fn a_timeout_beside_a_question_is_found() {
    let error = error_of_step("{ askUser: { prompt: Code, as: code }, timeout: 5m }");
    assert_eq!(error.rule, Rule::KeysConflict);
    assert_eq!(error.place.pointer, "/states/0/steps/0/timeout");
}

#[test]
fn a_template_where_it_would_be_taken_for_text_is_found() {
    for step in [
        "{ id: 'a{{ input }}', click: a }",
        "get: { css: a, attribute: '{{ input.name }}', as: x }",
        "get: { css: a, type: date, format: '{{ input.format }}', as: x }",
        "askUser: { prompt: p, fields: [{ name: a, label: '{{ input }}' }] }",
        "askUser: { prompt: p, as: a, type: choice, options: [x, '{{ input }}'] }",
    ] {
        let errors = errors(&with_steps(&format!("      - {step}\n")));
        assert!(
            errors.iter().any(|error| error.rule == Rule::BadExpression),
            "{step}: {errors:?}"
        );
    }
    for browser in [
        "locale: '{{ input.locale }}'",
        "userAgent: 'Agent {{ input }}'",
        "headers: { X-Key: '{{ secrets.key }}' }",
    ] {
        let text = with_steps("      - click: a\n") + &format!("browser: {{ {browser} }}\n");
        let errors = errors(&text);
        assert!(
            errors.iter().any(|error| error.rule == Rule::BadExpression),
            "{browser}: {errors:?}"
        );
    }
}

#[test]
fn each_mistake_in_an_input_schema_is_an_error_at_its_place() {
    let text = with_steps("      - click: a\n")
        + "input:\n  type: object\n  properties: { url: { type: strin }, n: { minimum: low } }\n  required: url\n";
    let found = errors(&text);
    let of_pointer = |pointer: &str| {
        let error = found.iter().find(|error| error.place.pointer == pointer);
        let error = error.unwrap_or_else(|| panic!("{pointer}: {found:#?}"));
        assert_eq!(error.rule, Rule::BadInputSchema);
        (error.message.as_str(), error.suggestion.as_deref())
    };
    let (message, suggestion) = of_pointer("/input/properties/url/type");
    assert!(message.contains("there is no type `strin`"), "{message}");
    assert_eq!(suggestion, Some("string"));
    assert_eq!(of_pointer("/input/properties/n/minimum").1, None);
    assert_eq!(of_pointer("/input/required").1, None);
    assert_eq!(found.len(), 3, "{found:#?}");
}

#[test]
fn a_text_in_json_is_read_whatever_its_escapes() {
    let json =
        r#"{"name": "\ud83d\ude00 \u00fc", "states": [{"name": "a", "steps": [{"back": null}]}]}"#;
    let definition = Definition::parse_yaml(json).expect("a definition");
    assert_eq!(definition.name, "😀 ü");
    let found = errors(&json.replace("back", "bakc"));
    assert_eq!(
        (found.len(), found[0].rule, found[0].place.pointer.as_str()),
        (1, Rule::UnknownStep, "/states/0/steps/0/bakc"),
        "{found:?}"
    );
    errors(&json.replace("\\ude00", ""));
}

#[test]
fn a_default_that_its_own_schema_refuses_is_an_error_at_its_place() {
    let text = with_steps("      - click: a\n")
        + "input:\n  properties:\n    month: { type: string, default: May }\n    year: { type: integer, default: this }\n";
    let found = errors(&text);
    let place = &found[0].place;
    let line = text.lines().position(|line| line.contains("year"));
    assert_eq!(
        (found.len(), place.pointer.as_str(), place.line),
        (
            1,
            "/input/properties/year/default",
            line.map(|line| line + 1)
        ),
        "{found:?}"
    );
}

#[test]
fn a_step_has_exactly_one_verb_and_a_locator_one_way() {
    assert!(
        error_of_step("{ click: a, hover: b }")
            .message
            .contains("exactly one verb")
    );
    assert!(error_of_step("id: a").message.contains("has a verb"));
    error_of_step("click: { css: a, text: b }");
    error_of_step("click: { nth: 1 }");
    error_of_step("click: 'a[href=\"x]'");
    error_of_step("waitFor: { visible: a, hidden: b }");
    error_of_step("waitFor: { expression: 1 == 1 }");
}

#[test]
fn a_question_with_several_tries_says_how_it_sees_a_refusal() {
    let rejected = "rejected: { visible: alert }";
    error_of_step("askUser: { prompt: Code, as: code, tries: 3 }");
    error_of_step(&format!(
        "askUser: {{ prompt: Code, as: code, {rejected} }}"
    ));
    error_of_step(&format!(
        "askUser: {{ prompt: A, as: a, {rejected}, steps: [{{ askUser: {{ prompt: B, as: b }} }}] }}"
    ));
    let text = with_steps(&format!(
        "      - askUser: {{ prompt: Code, as: code, tries: 3, {rejected}, steps: [{{ fill: {{ css: a, value: '{{{{ answers.code }}}}' }} }}] }}\n"
    ));
    let definition = Definition::parse_yaml(&text).expect("a definition");
    assert_eq!(definition.max_history_entries(), 1 + 2 * 3 + 12);
}

#[test]
fn what_can_never_be_reached_is_refused() {
    let end = "      - endWithNoAction: { reason: x }\n";
    assert!(
        errors(&with_steps(&format!("{end}      - click: a\n")))[0]
            .message
            .contains("never reached")
    );
    let next =
        "  - { name: next, steps: [{ click: a }] }\n  - { name: last, steps: [{ click: a }] }\n";
    let found = errors(&(with_steps(end) + next));
    assert_eq!(
        (found.len(), found[0].place.pointer.as_str()),
        (1, "/states/1"),
        "{found:?}"
    );
    let conditional = with_steps(end).replace("    steps:", "    when: a\n    steps:");
    assert!(Definition::parse_yaml(&(conditional + next)).is_ok());
}

#[test]
fn two_states_or_artifacts_of_one_name_are_refused() {
    let text = "name: T\nstates:\n  - { name: a, steps: [{ click: b }] }\n  - { name: a, steps: [{ click: b }] }\n";
    assert!(errors(text)[0].message.contains("another state"));
    let text = with_steps(
        "      - screenshot: { fileName: a.png }\n      - screenshot: { fileName: a.png }\n",
    );
    assert!(errors(&text)[0].message.contains("another step"));
    error_of_step("screenshot: { fileName: '../a.png' }");
}

#[test]
fn a_definition_that_could_fill_the_history_is_refused() {
    let states: Vec<_> = (0..60)
        .map(|n| json!({"name": format!("state_{n}"), "steps": [{"click": "a"}]}))
        .collect();
    let definition = |attempts| json!({"name": "T", "states": states.clone(), "retry": {"maxAttempts": attempts}});
    assert!(
        Definition::parse_json(&definition(3)).is_ok(),
        "196 entries"
    );
    assert!(
        Definition::parse_json(&definition(4)).is_err(),
        "258 entries"
    );
}

#[test]
fn every_example_of_the_guide_is_a_definition() {
    let guide = include_str!("../../../../docs/workflows.md");
    let mut examples = 0;
    for example in guide.split("```yaml\n").skip(1) {
        let example = example.split("```").next().expect("an example");
        let text = if example.starts_with("- ") {
            let indented: String = example
                .lines()
                .map(|line| format!("      {line}\n"))
                .collect();
            with_steps(&indented)
        } else {
            example.to_owned()
        };
        Definition::parse_yaml(&text).unwrap_or_else(|errors| panic!("{example}\n{errors:#?}"));
        examples += 1;
    }
    assert!(examples > 12, "{examples} examples were found");
}

#[test]
fn the_guide_lists_the_filters_and_has_an_example_of_each_verb() {
    let guide = include_str!("../../../../docs/workflows.md");
    assert!(guide.contains(&format!("Filters: {}.", expression::FILTERS.join(", "))));
    for key in &grammar_steps::VERBS {
        assert!(guide.contains(&format!("- {}:", key.name)), "{}", key.name);
    }
}
