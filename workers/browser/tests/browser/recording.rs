//! Recordings of real pages: console, errors, HAR, copies of the DOM, screencasts.

use std::time::Duration;

use browser::{
    Condition, Error, Locator, Recorded, RecordingOptions, Redaction, ResponsePattern,
    ScreencastOptions, UrlPattern,
};
use serde_json::{Map, Value};

use crate::{PATIENCE, Stage};

/// Every secret of these tests begins like this.
const CANARY: &str = "canary";

fn redaction() -> Redaction {
    Redaction::by(|text| text.replace(CANARY, "***"))
}

/// Does something and waits until the browser has told of the end of the answer from `last`.
async fn record(stage: &Stage, options: RecordingOptions, script: &str, last: &str) -> Recorded {
    let recording = stage.browser.record(options);
    let pattern = ResponsePattern::from(UrlPattern::glob(format!("*{last}")));
    let answer = stage.page.expect_response(pattern).unwrap();
    stage.page.evaluate(script, PATIENCE).await.unwrap();
    let mut answer = answer.wait(PATIENCE).await.unwrap();
    answer.body(PATIENCE).await.unwrap();
    recording.finish().await
}

/// The entries with this URL path, in order.
fn entries<'a>(recorded: &'a Recorded, path: &str) -> Vec<&'a Value> {
    let har = recorded.har.as_ref().unwrap();
    let entries = har["log"]["entries"].as_array().unwrap().iter();
    entries
        .filter(|entry| {
            let url = entry["request"]["url"].as_str().unwrap();
            url.split('?').next().unwrap().ends_with(path)
        })
        .collect()
}

#[tokio::test]
async fn what_a_page_writes_without_measure_is_passed_over() {
    let stage = Stage::at(&[("/", "")]).await;
    let recording = stage.browser.record(RecordingOptions::default());
    // Each of these characters needs six bytes in the message.
    let script = "console.log('\\x01'.repeat(3e6)); setTimeout(() => { throw 'x'.repeat(17e6) }); alert('x'.repeat(17e6)); new Promise((resolve) => setTimeout(() => resolve(console.log('small')), 10))";
    stage.page.evaluate(script, PATIENCE).await.unwrap();
    let recorded = recording.finish().await;
    let written: Vec<&str> = recorded.console.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(written, ["small"]);
    assert_eq!(recorded.page_errors, []);
    assert_eq!(stage.page.dialogs().len(), 1);
    let failed = stage.page.evaluate("'x'.repeat(135e6)", PATIENCE).await;
    assert!(matches!(failed, Err(Error::Protocol { .. })), "{failed:?}");
    assert_eq!(stage.value("1 + 1").await, "2");
}

#[tokio::test]
async fn console_messages_and_uncaught_errors_are_kept_with_their_place() {
    let stage = Stage::at(&[("/", "")]).await;
    let recording = stage.browser.record(RecordingOptions {
        redaction: redaction(),
        ..RecordingOptions::default()
    });
    let script = "console.log('hello', 1, {a: 1}, null); console.warn('canary'); setTimeout(() => { throw new Error('canary broke') }); new Promise((resolve) => setTimeout(resolve, 10))";
    stage.page.evaluate(script, PATIENCE).await.unwrap();
    let recorded = recording.finish().await;
    let written: Vec<(&str, &str)> = recorded
        .console
        .iter()
        .map(|message| (message.level.as_str(), message.text.as_str()))
        .collect();
    assert_eq!(
        written,
        [("log", "hello 1 Object null"), ("warning", "***")]
    );
    let [error] = recorded.page_errors.as_slice() else {
        panic!("{:?}", recorded.page_errors);
    };
    assert!(error.text.starts_with("Error: *** broke"), "{error:?}");
    let age = jiff::Timestamp::now().duration_since(error.at);
    assert!(age.abs() < jiff::SignedDuration::from_mins(1), "{age:?}");
    assert_eq!(recorded.left_out, 0);
}

#[tokio::test]
async fn what_does_not_fit_into_a_recording_is_counted() {
    let stage = Stage::at(&[("/", ""), ("/a", "a"), ("/b", "b")]).await;
    let options = RecordingOptions {
        max_messages: 2,
        max_requests: 1,
        ..RecordingOptions::default()
    };
    let script = "for (let i = 0; i < 5; i++) console.log(i); fetch('/a').then((a) => a.text()).then(() => fetch('/b'))";
    let recorded = record(&stage, options, script, "/b").await;
    assert_eq!(recorded.console.len(), 2);
    assert_eq!(entries(&recorded, "/a").len(), 1);
    assert_eq!(entries(&recorded, "/b").len(), 0);
    assert_eq!(recorded.left_out, 4);
}

#[tokio::test]
async fn a_har_has_redirects_bodies_timings_and_failures_but_no_secrets() {
    let moved = "HTTP 302 Found\nLocation: /data.json?token=canary1\nSet-Cookie: a=canary2\n\n";
    let data = "HTTP 200 OK\nContent-Type: application/json\nX-Key: canary3\nSet-Cookie: b=cookie\n\n{\"key\": \"canary4\"}";
    let picture = "HTTP 200 OK\nContent-Type: image/png\n\nnot really canary";
    let stage = Stage::at(&[
        ("/", ""),
        ("/moved", moved),
        ("/data.json", data),
        ("/picture.png", picture),
        ("/posted", "thanks"),
    ])
    .await;
    let options = RecordingOptions {
        redaction: redaction(),
        max_body_bytes: 1000,
        ..RecordingOptions::default()
    };
    let script = "(async () => {
        await (await fetch('/moved', {headers: {Authorization: 'Bearer open', 'X-Mine': 'canary5'}})).text();
        await fetch('http://127.0.0.1:1/refused').catch(() => {});
        await (await fetch('/picture.png')).arrayBuffer();
        await (await fetch('/posted', {method: 'POST', body: 'password=canary6'})).text();
    })()";
    let recorded = record(&stage, options, script, "/posted").await;
    let har = recorded.har.as_ref().unwrap();
    check_har(har);

    let text = har.to_string();
    for secret in [CANARY, "Bearer open", "b=cookie"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let [moved] = entries(&recorded, "/moved")[..] else {
        panic!("{har}");
    };
    assert_eq!(moved["response"]["status"], 302);
    let target = moved["response"]["redirectURL"].as_str().unwrap();
    assert!(target.ends_with("/data.json?token=***1"), "{target}");
    let [data] = entries(&recorded, "/data.json")[..] else {
        panic!("{har}");
    };
    assert_eq!(data["response"]["status"], 200);
    assert_eq!(data["response"]["content"]["text"], "{\"key\": \"***4\"}");
    assert_eq!(data["response"]["content"]["size"], 18);
    assert_eq!(data["request"]["queryString"][0]["value"], "***1");
    assert!(data["time"].as_f64().unwrap() > 0.0);
    assert!(data["timings"]["wait"].as_f64().unwrap() > 0.0);
    assert_eq!(data["serverIPAddress"], "127.0.0.1");
    let header = |name: &str| {
        let headers = data["response"]["headers"].as_array().unwrap();
        let mut found = headers.iter().filter(|header| header["name"] == name);
        found.next().map(|header| header["value"].clone())
    };
    assert_eq!(header("X-Key"), Some("***3".into()));
    assert_eq!(header("Set-Cookie"), Some("(withheld)".into()));
    let [refused] = entries(&recorded, "/refused")[..] else {
        panic!("{har}");
    };
    assert_eq!(refused["response"]["status"], 0);
    let why = refused["response"]["_error"].as_str().unwrap();
    assert!(why.contains("net::ERR_"), "{why}");
    // A body that is no text can't be redacted, so it is not kept.
    let [picture] = entries(&recorded, "/picture.png")[..] else {
        panic!("{har}");
    };
    assert_eq!(picture["response"]["content"]["text"], Value::Null);
    let [posted] = entries(&recorded, "/posted")[..] else {
        panic!("{har}");
    };
    assert_eq!(posted["request"]["postData"]["text"], "password=***6");
}

#[tokio::test]
async fn bodies_are_left_out_unless_asked_for_and_when_they_are_too_large() {
    let large = "x".repeat(2000);
    let pages = [("/", ""), ("/large", large.as_str()), ("/small", "small")];
    let script = "fetch('/large').then((a) => a.text()).then(() => fetch('/small'))";
    for (most, expected) in [(0, Value::Null), (1000, "small".into())] {
        let stage = Stage::at(&pages).await;
        let options = RecordingOptions {
            max_body_bytes: most,
            ..RecordingOptions::default()
        };
        let recorded = record(&stage, options, script, "/small").await;
        let text = |path: &str| entries(&recorded, path)[0]["response"]["content"]["text"].clone();
        assert_eq!(text("/small"), expected);
        assert_eq!(text("/large"), Value::Null);
    }
}

#[tokio::test]
async fn a_recording_ends_with_its_browser_and_keeps_what_it_has() {
    let stage = Stage::at(&[("/", "")]).await;
    let recording = stage.browser.record(RecordingOptions::default());
    let said = stage.page.evaluate("console.log('last words')", PATIENCE);
    said.await.unwrap();
    stage.browser.close().await;
    let recorded = recording.finish().await;
    assert_eq!(recorded.console[0].text, "last words");
}

#[tokio::test]
async fn a_copy_of_the_dom_has_frames_shadow_roots_and_values_but_no_passwords_and_no_scripts() {
    let html = "<!DOCTYPE html><title>Copy</title>
        <input id=name value=before><input type=password value=canary1><input type=checkbox id=box>
        <input autocomplete=one-time-code value=canary2>
        <textarea id=area></textarea><select><option>One<option id=two>Two</select>
        <p id=host onclick='alert(1)' title='a \"b\" & canary3'>light canary4 &lt;b&gt;</p>
        <iframe src='/inner'></iframe><iframe id=elsewhere></iframe>
        <script>
            host.attachShadow({mode: 'open'}).innerHTML = '<i>in the shadow</i><slot></slot>';
            document.querySelector('#name').value = 'typed \"x\"';
            box.checked = true; area.value = 'lines < here'; two.selected = true;
        </script>";
    let stage = Stage::at(&[
        ("/", html),
        ("/inner", "<b title='\"'>same origin canary5</b>"),
        ("/other", "<b>other origin</b>"),
    ])
    .await;
    let elsewhere = stage.site.url_elsewhere("/other");
    let script = format!("document.querySelector('#elsewhere').src = '{elsewhere}'");
    stage.page.evaluate(&script, PATIENCE).await.unwrap();
    let there = Locator::text("other origin").in_frame(Locator::css("#elsewhere"));
    let there = Condition::Visible(there);
    stage.page.wait_for(&there, PATIENCE).await.unwrap();
    let copy = stage.page.dom_copy(&redaction()).await.unwrap();
    assert!(!copy.contains(CANARY), "{copy}");
    assert!(
        !copy.contains("<script") && !copy.contains("onclick"),
        "{copy}"
    );

    // It shows the same when it is opened.
    let opened = Stage::at(&[("/", &copy)]).await;
    let script = "JSON.stringify([
        document.title,
        document.querySelector('#name').value,
        document.querySelector('[type=password]').value,
        document.querySelector('#box').checked,
        document.querySelector('#area').value,
        document.querySelector('select').value,
        document.querySelector('#host').title,
        document.querySelector('#host').textContent,
        document.querySelector('#host').shadowRoot.querySelector('i').textContent,
        frames[0].document.querySelector('b').textContent,
        frames[1].document.querySelector('b').textContent,
    ])";
    assert_eq!(
        opened.value(script).await,
        r#"["Copy","typed \"x\"","",true,"lines < here","Two","a \"b\" & ***3","light ***4 <b>","in the shadow","same origin ***5","other origin"]"#
    );
}

#[tokio::test]
async fn a_screencast_keeps_the_last_frames_in_order() {
    let stage = Stage::at(&[("/", "<h1>0</h1>")]).await;
    let options = ScreencastOptions {
        max_frames: 3,
        ..ScreencastOptions::default()
    };
    let screencast = stage.page.screencast(options).await.unwrap();
    let script = "(async () => {
        for (let i = 1; i <= 20; i++) {
            document.querySelector('h1').textContent = i;
            await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
        }
    })()";
    stage.page.evaluate(script, PATIENCE).await.unwrap();
    let frames = screencast.finish().await;
    assert!((1..=3).contains(&frames.len()), "{} frames", frames.len());
    assert!(
        frames
            .iter()
            .all(|frame| frame.jpeg.starts_with(b"\xff\xd8\xff"))
    );
    assert!(frames.is_sorted_by_key(|frame| frame.at));
    // The page is still itself.
    assert_eq!(
        stage
            .value("document.querySelector('h1').textContent")
            .await,
        "20"
    );
}

#[tokio::test]
async fn a_screencast_that_ends_at_once_has_a_frame_unless_its_page_has_gone() {
    let stage = Stage::at(&[("/", "<h1>0</h1>")]).await;
    let page = stage.page.open_page().await.unwrap();
    let options = ScreencastOptions::default();
    let screencast = page.screencast(options.clone()).await.unwrap();
    assert_ne!(screencast.finish().await.len(), 0);
    let screencast = page.screencast(options).await.unwrap();
    page.close(PATIENCE).await.unwrap();
    // Half of what a first frame is waited for.
    let most = Duration::from_secs(5);
    let finished = tokio::time::timeout(most, screencast.finish()).await;
    assert!(finished.is_ok());
}

/// Holds a value against the HAR 1.2 format: what must be there, of which type, and nothing else
/// but fields of our own.
fn check_har(har: &Value) {
    let log = object(&har["log"]);
    fields(
        log,
        &[("version", 's'), ("creator", 'o'), ("entries", 'a')],
        &[("pages", 'a'), ("comment", 's')],
    );
    fields(
        object(&log["creator"]),
        &[("name", 's'), ("version", 's')],
        &[],
    );
    for page in list(&log["pages"]) {
        let required = [
            ("startedDateTime", 't'),
            ("id", 's'),
            ("title", 's'),
            ("pageTimings", 'o'),
        ];
        fields(object(page), &required, &[]);
    }
    for entry in list(&log["entries"]) {
        let entry = object(entry);
        fields(
            entry,
            &[
                ("startedDateTime", 't'),
                ("time", 'n'),
                ("request", 'o'),
                ("response", 'o'),
                ("cache", 'o'),
                ("timings", 'o'),
            ],
            &[("pageref", 's'), ("serverIPAddress", 's')],
        );
        let common = [
            ("httpVersion", 's'),
            ("cookies", 'a'),
            ("headers", 'a'),
            ("headersSize", 'i'),
            ("bodySize", 'i'),
        ];
        let request = object(&entry["request"]);
        let own = [("method", 's'), ("url", 's'), ("queryString", 'a')];
        fields(request, &[&common[..], &own].concat(), &[("postData", 'o')]);
        let response = object(&entry["response"]);
        let own = [
            ("status", 'i'),
            ("statusText", 's'),
            ("content", 'o'),
            ("redirectURL", 's'),
        ];
        fields(response, &[&common[..], &own].concat(), &[]);
        fields(
            object(&response["content"]),
            &[("size", 'i'), ("mimeType", 's')],
            &[("text", 's')],
        );
        if let Some(posted) = request.get("postData") {
            fields(object(posted), &[("mimeType", 's'), ("text", 's')], &[]);
        }
        for header in [
            &request["headers"],
            &response["headers"],
            &request["queryString"],
        ] {
            for pair in list(header) {
                fields(object(pair), &[("name", 's'), ("value", 's')], &[]);
            }
        }
        let timings = object(&entry["timings"]);
        let required = [("send", 'n'), ("wait", 'n'), ("receive", 'n')];
        fields(
            timings,
            &required,
            &[
                ("blocked", 'n'),
                ("dns", 'n'),
                ("connect", 'n'),
                ("ssl", 'n'),
            ],
        );
        assert!(
            required
                .iter()
                .all(|(name, _)| timings[*name].as_f64() >= Some(0.0)),
            "{timings:?}"
        );
    }
}

fn fields(object: &Map<String, Value>, required: &[(&str, char)], optional: &[(&str, char)]) {
    for (name, kind) in required {
        assert!(
            object.contains_key(*name),
            "{name} is missing in {object:?}"
        );
        assert!(is(&object[*name], *kind), "{name} in {object:?}");
    }
    for (name, value) in object {
        let mut known = required.iter().chain(optional);
        let known = known.find(|(known, _)| known == name);
        assert!(
            name.starts_with('_') || known.is_some(),
            "{name} in {object:?}"
        );
        assert!(
            known.is_none_or(|(_, kind)| is(value, *kind)),
            "{name} in {object:?}"
        );
    }
}

fn is(value: &Value, kind: char) -> bool {
    match kind {
        's' => value.is_string(),
        't' => value
            .as_str()
            .is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()),
        'n' => value.is_number(),
        'i' => value.is_i64() || value.is_u64(),
        'a' => value.is_array(),
        _ => value.is_object(),
    }
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}
