//! Tabs that the site closes by itself: the browser lives, and the run goes on where it says.

use std::collections::BTreeMap;
use std::time::Duration;

use browser::{Browser, LaunchOptions, find_or_install};
use domain::definition::Definition;
use domain::{Failure, FailureCode};
use engine::{Chromium, Inputs, Outcome, execute};
use serde_json::json;
use tokio::process::Command;

use crate::pages::{Page, Site, html};
use crate::scripted::{RecordingHost, Story};
use crate::verbs::run;

/// Pages of which each opens the next one, and closes itself, or the one that opened it.
fn pages(path: &str) -> Option<Page> {
    let (heading, next) = match path {
        "/" => ("First", "/second"),
        "/second" => ("Second", "/third"),
        "/third" => ("Third", "/"),
        _ => return None,
    };
    Some(html(&format!(
        "<h1>{heading}</h1>
         <button onclick='window.open(\"{next}\")'>Open</button>
         <button onclick='window.close()'>Confirm</button>
         <button onclick='opener.close()'>Finish</button>
         <button onclick='document.querySelector(\"h1\").textContent = \"Signed out\"'>Sign out</button>"
    )))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tab_that_the_site_closes_fails_its_next_step_and_the_run_cleans_up_where_it_was_before()
{
    let site = Site::start(pages).await;
    let yaml = r#"
name: Confirming
states:
  - name: confirming
    steps:
      - goto: "{{ input.url }}/"
      - tab: { open: { role: button, name: Open } }
      - click: { role: button, name: Confirm }
      - click: { role: button, name: Open }
  - name: signing_out
    finally: true
    when: { hasText: First }
    steps:
      - click: { role: button, name: Sign out }
      - assert: { hasText: Signed out }
"#;
    let (outcome, host) = run(&site, yaml, [], []).await;
    let Outcome::Failed(failure) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(failure.code, FailureCode::ElementNotActionable);
    assert!(
        failure.message.starts_with("the tab was closed"),
        "{failure:?}"
    );
    assert!(!failure.retryable, "{failure:?}");
    assert_eq!(
        host.story.lines(),
        [
            "state confirming",
            "store failure.png",
            "store failure.html",
            "state signing_out",
            "store log.jsonl",
        ]
    );
    // What the run leaves is of the tab that is still there.
    assert!(host.text("failure.html").contains("First"));
    let log = host.text("log.jsonl");
    assert!(!log.contains("state_skipped"), "{log}");
    assert_eq!(log.matches("step_failed").count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_goes_back_over_tabs_that_the_site_has_closed() {
    let site = Site::start(pages).await;
    let yaml = r##"
name: Going back
states:
  - name: confirming
    steps:
      - goto: "{{ input.url }}/"
      - tab: { open: { role: button, name: Open } }
      - click: { role: button, name: Confirm }
      - get: { css: h1, as: second }
        onError: continue
      - tab: close
      - get: { css: h1, as: first }
      - tab: { open: { role: button, name: Open } }
      - tab: { open: { role: button, name: Open } }
      - click: { role: button, name: Finish }
      - get: { css: h1, as: third }
      - tab: close
      - get: { css: h1, as: again }
output: { error: "{{ error.code }}", first: "{{ first }}", third: "{{ third }}", again: "{{ again }}" }
"##;
    let (outcome, _) = run(&site, yaml, [], []).await;
    let output = json!({"error": "ELEMENT_NOT_ACTIONABLE", "first": "First", "third": "Third", "again": "First"});
    assert_eq!(
        outcome,
        Outcome::Completed {
            output: Some(output)
        }
    );
}

/// Runs a workflow whose browser gets a signal once the story has this line, or before all, and gives how it failed, with
/// the story.
async fn run_until(
    line: Option<&str>,
    signal: &str,
    site: &Site,
    yaml: &str,
) -> (Failure, Vec<String>) {
    let executable = find_or_install(&mut |_| {}).await.expect("a browser");
    let scratch = tempfile::tempdir().expect("a folder");
    let browser = Browser::launch(&LaunchOptions::new(executable, scratch.path()))
        .await
        .expect("it starts");
    let mut tabs = Chromium::new(browser.page().await.expect("a page"));
    let story = Story::default();
    let mut host = RecordingHost::new(&story);
    host.thinks_for = Duration::from_secs(20);
    let definition = Definition::parse_yaml(yaml).expect("a definition");
    let inputs = Inputs {
        input: json!({"url": site.url}),
        secrets: BTreeMap::new(),
        outputs: json!({}),
    };
    let ending = async {
        while !line.is_none_or(|line| story.lines().iter().any(|told| told == line)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let pid = browser.process_id().to_string();
        let mut kill = Command::new("kill");
        let told = kill.args(["-s", signal, "--", &pid]).status().await;
        assert!(told.expect("there is a kill").success());
        browser.gone().await;
    };
    let executed = async {
        let never = std::future::pending();
        execute(&definition, inputs, &mut tabs, &mut host, never).await
    };
    let report = if line.is_none() {
        ending.await;
        executed.await
    } else {
        tokio::join!(executed, ending).0
    };
    match report.expect("not interrupted").outcome {
        Outcome::Failed(failure) => (failure, story.lines()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_that_closes_its_tabs_because_it_ends_has_gone() {
    let site = Site::start(pages).await;
    let yaml = r##"
name: Waiting
states:
  - name: waiting
    steps:
      - goto: "{{ input.url }}/"
      - tab: { open: { role: button, name: Open } }
      - get: { css: h1, as: second }
      - screenshot:
      - waitFor: { hasText: Third }
"##;
    // As a machine that shuts down tells all of its processes.
    let line = Some("store screenshot.png");
    let (failure, _) = run_until(line, "TERM", &site, yaml).await;
    assert_eq!(failure.code, FailureCode::BrowserCrashed, "{failure:?}");
    assert!(failure.retryable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_answers_for_a_browser_that_has_gone() {
    let site = Site::start(pages).await;
    let yaml = r#"
name: Asking
states:
  - name: asking
    steps:
      - askUser: { prompt: Code, as: code, timeout: 2h }
        onError: continue
"#;
    for (line, asked) in [
        (Some("ask Code"), ["state asking", "ask Code"].as_slice()),
        (None, &["state asking"]),
    ] {
        let (failure, story) = run_until(line, "KILL", &site, yaml).await;
        assert_eq!(failure.code, FailureCode::BrowserCrashed, "{failure:?}");
        assert_eq!(failure.step.as_deref(), Some("asking/steps/0 (askUser)"));
        assert_eq!(story, [asked, &["store log.jsonl"]].concat());
    }
}
