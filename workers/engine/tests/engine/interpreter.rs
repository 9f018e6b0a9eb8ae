//! What the interpreter does, in which order, and what it leaves behind.

use std::collections::BTreeMap;
use std::time::Duration;

use browser::Error;
use domain::definition::Secret;
use domain::run::SkippedState;
use domain::wire::ArtifactType;
use domain::{Failure, FailureCode};
use engine::{Answer, Cut, Interrupted, Outcome};
use serde_json::{Value, json};

use crate::scripted::{SECRET, Stage, rows};

const SAMPLE: &str = include_str!("../../../../examples/employee-roster.yaml");

/// A workflow with one state and these steps, each on its line.
fn steps(steps: &[&str]) -> String {
    let steps: String = steps
        .iter()
        .map(|step| format!("      - {step}\n"))
        .collect();
    format!("name: Test\nstates:\n  - name: testing\n    steps:\n{steps}")
}

const EXTRACT: &str = "extract: { ready: table, rows: tr, fields: { name: td, salary: { css: td, type: number } }, nextPage: { role: link, name: Next }, as: people }";

/// A stage with pages of rows of names and salaries.
fn stage_with_pages(pages: &[&[&[&str]]]) -> Stage {
    let mut stage = Stage::new();
    stage
        .browser
        .visible
        .insert(browser::Locator::css("table").to_string());
    stage.browser.next = Some(browser::Locator::role("link", "Next").to_string());
    stage.browser.pages = pages.iter().map(|page| rows(page)).collect();
    stage
}

fn failure(outcome: Outcome) -> Failure {
    match outcome {
        Outcome::Failed(failure) => failure,
        other => panic!("it did not fail: {other:?}"),
    }
}

#[tokio::test]
async fn the_sample_runs_through_its_states_in_order() {
    let mut stage = stage_with_pages(&[
        &[&["Ada", "ada@x.test", "IT", "2020-01-01", "$84,250.00"]],
        &[&["Bö \"B\"", "bo@x.test", "HR, PR", "2021-01-01", "$1.50"]],
    ]);
    stage.browser.visible.clear();
    stage.host.answers.push_back(Answer::Given(BTreeMap::from([(
        "code".to_owned(),
        Secret::new("424242"),
    )])));
    let label = browser::Locator::label("Verification code").to_string();
    let button = |name: &str| browser::Locator::role("button", name).to_string();
    let mut next = browser::Locator::role("link", "Next");
    next.exact = true;
    stage.browser.next = Some(next.to_string());
    let table = browser::Locator::css("table#employees").to_string();
    stage
        .browser
        .visible
        .insert(browser::Locator::css("table#employees[aria-busy=false]").to_string());
    stage.browser.reveals = [
        (button("Sign in"), label.clone()),
        (button("Verify"), table.clone()),
    ]
    .into_iter()
    .collect();

    let report = stage.try_run(SAMPLE).await.expect("not interrupted");
    assert_eq!(
        report.outcome,
        Outcome::Completed {
            output: Some(json!({"count": 2}))
        }
    );
    let states: Vec<_> = report
        .state_timings
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        states,
        [
            "signing_in",
            "entering_2fa_code",
            "extracting_employee_records",
            "downloading_csv"
        ]
    );
    let story = stage.story.lines();
    let order = |line: &str| {
        story
            .iter()
            .position(|told| told == line)
            .unwrap_or_else(|| panic!("{line}: {story:#?}"))
    };
    assert!(order("state signing_in") < order("goto https://portal.test/login"));
    assert!(
        order("ask Enter the code that was sent to your phone") < order(&format!("fill {label}"))
    );
    assert!(order("state extracting_employee_records") < order("read page 2"));
    assert_eq!(stage.browser.filled[&label], "424242");
    assert_eq!(
        stage.host.names(),
        [
            "employees.png",
            "employees.json",
            "employees.csv",
            "employees.schema.json",
            "employees-export.csv",
            "log.jsonl"
        ]
    );
    let csv = stage.host.text("employees.csv");
    assert_eq!(
        csv.lines().next(),
        Some("name,email,department,startDate,salary")
    );
    assert_eq!(
        csv.lines().last(),
        Some("\"Bö \"\"B\"\"\",bo@x.test,\"HR, PR\",2021-01-01,1.5")
    );
    let records: Value = serde_json::from_str(&stage.host.text("employees.json")).expect("JSON");
    assert_eq!(records[0]["salary"], json!(84250));
    assert!(
        stage
            .host
            .artifacts
            .iter()
            .any(|artifact| artifact.artifact_type == ArtifactType::Download)
    );
}

#[tokio::test]
async fn a_state_whose_condition_does_not_hold_is_never_entered() {
    let mut stage = Stage::new();
    let yaml = "name: T\nstates:\n  - { name: first, when: { visible: a }, steps: [{ click: b }] }\n  - { name: second, when: { expression: input.month == 'May' }, steps: [{ click: c, when: { visible: a } }, { click: d }] }\n";
    assert_eq!(stage.run(yaml).await, Outcome::Completed { output: None });
    let d = browser::Locator::css("d");
    assert_eq!(
        stage.story.lines(),
        [
            "state second".to_owned(),
            format!("click {d}"),
            "store log.jsonl".to_owned()
        ]
    );
    let log = stage.host.text("log.jsonl");
    assert!(
        log.contains("state_skipped") && log.contains("step_skipped"),
        "{log}"
    );
    let a = browser::Condition::Visible(browser::Locator::css("a"));
    let why = format!("does not hold: {a}");
    assert!(log.matches(&why).count() == 2, "{log}");
    assert_eq!(stage.host.skipped, [SkippedState::new("first", &why)]);
}

#[tokio::test]
async fn the_log_says_what_a_step_acted_on_what_it_waited_for_and_what_it_found() {
    let mut stage = stage_with_pages(&[&[&["a", "1"]]]);
    let go = browser::Locator::role("button", "Go");
    let table = browser::Condition::Visible(browser::Locator::css("table"));
    let yaml = steps(&[
        "goto: 'https://portal.test/start?token=1'",
        "click: { role: button, name: Go }",
        "waitFor: { any: [{ visible: '#never' }, { visible: table }] }",
        EXTRACT,
        "if: { expression: people | length == 2, then: [{ click: b }], else: [{ click: c }] }",
    ]);
    assert_eq!(stage.run(&yaml).await, Outcome::Completed { output: None });
    let log = stage.host.text("log.jsonl");
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let step = |position: &str| {
        let position = format!("testing/steps/{position}");
        lines
            .iter()
            .find(|line| line["step"] == position.as_str())
            .unwrap_or_else(|| panic!("{position}: {log}"))
    };
    assert_eq!(step("0 (goto)")["target"], "https://portal.test/start");
    assert_eq!(step("1 (click)")["target"], go.to_string());
    assert!(step("1 (click)")["durationMs"].is_u64());
    let awaited = step("2 (waitFor)")["awaited"].as_str().expect("text");
    assert!(awaited.contains("#never"), "{awaited}");
    assert_eq!(step("2 (waitFor)")["found"], table.to_string());
    assert_eq!(step("3 (extract)")["found"], "1 records");
    let branch = step("4 (if)");
    assert_eq!(branch["awaited"], "people | length == 2");
    assert_eq!(branch["found"], "else");
    assert!(!step("4 (if)/else/steps/0 (click)").is_null());
}

/// A workflow that cleans up at the end, and pauses before.
fn pausing() -> String {
    "name: T
states:
  - { name: signing_in, steps: [{ click: in }] }
  - { name: working, steps: [{ waitFor: { time: 1h } }] }
  - { name: never, steps: [{ click: never }] }
  - { name: signing_out, finally: true, steps: [{ screenshot: }, { click: out }, { askUser: { prompt: Sure, as: code } }] }
"
    .to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_cleans_up_and_nothing_of_it_is_committed_or_stored() {
    let mut stage = Stage::new();
    let canceled = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        Cut::Canceled
    };
    let result = stage.run_until(&pausing(), canceled).await;
    assert!(matches!(result, Err(Interrupted::Canceled)), "{result:?}");
    let click = |css| format!("click {}", browser::Locator::css(css));
    assert_eq!(
        stage.story.lines(),
        [
            "state signing_in".to_owned(),
            click("in"),
            "state working".to_owned(),
            "screenshot".to_owned(),
            click("out"),
        ]
    );
    assert!(stage.host.artifacts.is_empty() && stage.host.asked.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_time_is_over_fails_with_all_that_a_failure_leaves_and_cleans_up() {
    fails_and_cleans_up(Cut::DeadlineExceeded, FailureCode::DeadlineExceeded).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_its_host_stops_fails_as_cancelled_with_all_that_a_failure_leaves() {
    fails_and_cleans_up(Cut::Stopped, FailureCode::Canceled).await;
}

async fn fails_and_cleans_up(cut: Cut, code: FailureCode) {
    let mut stage = Stage::new();
    let over = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        cut
    };
    let report = stage
        .run_until(&pausing(), over)
        .await
        .expect("a failure is no interruption");
    let found = failure(report.outcome);
    assert_eq!(found.code, code);
    assert_eq!(found.state.as_deref(), Some("working"));
    assert_eq!(found.step.as_deref(), Some("working/steps/0 (waitFor)"));
    assert_eq!(
        stage.host.names(),
        ["failure.png", "failure.html", "log.jsonl"]
    );
    let states: Vec<_> = report
        .state_timings
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(states, ["signing_in", "working"]);
    let out = format!("click {}", browser::Locator::css("out"));
    assert!(
        stage.story.lines().contains(&out),
        "{:?}",
        stage.story.lines()
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_final_state_has_done_is_not_done_again_when_the_run_is_cut_in_a_later_one() {
    let yaml = "name: T
states:
  - { name: working, steps: [{ click: work }] }
  - { name: paying, finally: true, steps: [{ click: pay }] }
  - { name: failing, finally: true, steps: [{ click: fail }, { fail: { code: NO, message: no } }] }
  - { name: signing_out, finally: true, steps: [{ click: out }, { waitFor: { time: 1h } }] }
  - { name: telling, finally: true, steps: [{ click: tell }] }
";
    for cut in [Cut::Canceled, Cut::Stopped, Cut::DeadlineExceeded] {
        let mut stage = Stage::new();
        let over = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            cut
        };
        // How such a run ends, other tests say.
        let _ = stage.run_until(yaml, over).await;
        let lines = stage.story.lines();
        let clicks = ["work", "pay", "fail", "out", "tell"].map(|css| {
            let click = format!("click {}", browser::Locator::css(css));
            lines.iter().filter(|line| **line == click).count()
        });
        // The one that was cut is begun again; it lasts until there is no time left.
        assert_eq!(clicks, [1, 1, 1, 2, 0], "{lines:?}");
    }
}

#[tokio::test]
async fn loops_that_wait_for_nothing_are_cut_all_the_same() {
    let mut step = "set: { sum: '{{ a ~ b }}' }".to_owned();
    for variable in ["d", "c", "b", "a"] {
        step = format!("forEach: {{ in: '{{{{ xs }}}}', as: {variable}, steps: [{{ {step} }}] }}");
    }
    let yaml = steps(&["set: { xs: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] }", &step]);
    let over = async {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        Cut::DeadlineExceeded
    };
    let mut stage = Stage::new();
    let report = stage.run_until(&yaml, over).await.expect("a failure");
    let found = failure(report.outcome);
    assert_eq!(found.code, FailureCode::DeadlineExceeded);
    let step = found.step.expect("a step");
    assert!(step.starts_with("testing/steps/1 (forEach)[0]"), "{step}");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_cut_before_its_first_state_touches_nothing() {
    let mut stage = Stage::new();
    let result = stage
        .run_until(&pausing(), std::future::ready(Cut::Canceled))
        .await;
    assert!(matches!(result, Err(Interrupted::Canceled)), "{result:?}");
    assert!(stage.story.lines().is_empty());
}

#[tokio::test]
async fn all_pages_are_read_until_the_next_link_is_gone_or_disabled() {
    for is_disabled in [false, true] {
        let mut stage =
            stage_with_pages(&[&[&["a", "1"]], &[&["b", "2"], &["c", "3"]], &[&["d", "4"]]]);
        stage.browser.next_is_disabled_at_the_end = is_disabled;
        assert_eq!(
            stage.run(&steps(&[EXTRACT])).await,
            Outcome::Completed { output: None }
        );
        let csv = stage.host.text("people.csv");
        assert_eq!(csv, "name,salary\r\na,1\r\nb,2\r\nc,3\r\nd,4\r\n");
    }
}

#[tokio::test(start_paused = true)]
async fn pages_that_are_drawn_bit_by_bit_are_read_whole_and_to_the_last() {
    let mut stage = stage_with_pages(&[
        &[&["a", "1"], &["b", "2"]],
        &[&["c", "3"], &["d", "4"]],
        &[&["e", "5"], &["f", "6"]],
    ]);
    // The link comes later than the rows, but within half a second.
    stage.browser.next_is_late = Duration::from_millis(450);
    let drawing: [(usize, &[&[&[&str]]]); 3] = [
        (1, &[&[&["a", "1"]]]),
        // The old rows go one by one, before the new ones come.
        (
            2,
            &[
                &[&["a", "1"], &["b", "2"]],
                &[&["b", "2"]],
                &[],
                &[],
                &[&["c", "3"]],
            ],
        ),
        // The last row comes when there is no link any more.
        (3, &[&[&["e", "5"]]]),
    ];
    let drawing = drawing.map(|(page, drawn)| (page, drawn.iter().map(|it| rows(it)).collect()));
    stage.browser.drawing = drawing.into();
    let outcome = stage.run(&steps(&[EXTRACT])).await;
    assert_eq!(outcome, Outcome::Completed { output: None });
    assert_eq!(
        stage.host.text("people.csv"),
        "name,salary\r\na,1\r\nb,2\r\nc,3\r\nd,4\r\ne,5\r\nf,6\r\n"
    );
}

/// A stage whose page has one row and then, after so many more reads that find only this one, two.
fn stage_that_grows_after(reads: usize) -> Stage {
    let mut stage = stage_with_pages(&[&[&["a", "1"]], &[&["a", "1"], &["b", "2"]]]);
    let unchanged = vec![rows(&[&["a", "1"]]); reads];
    stage.browser.drawing.insert(2, unchanged.into());
    stage
}

#[tokio::test(start_paused = true)]
async fn the_last_rows_are_read_although_they_come_late_and_what_loads_more_goes_with_them() {
    // The rows are read 20 times a second. For two seconds, a button that is gone does not mean the end.
    let mut stage = stage_that_grows_after(60);
    stage.browser.next_goes_with_the_last_rows = true;
    let load_more = EXTRACT.replace("nextPage", "loadMore");
    let outcome = stage.run(&steps(&[&load_more])).await;
    assert_eq!(outcome, Outcome::Completed { output: None });
    assert_eq!(
        stage.host.text("people.csv"),
        "name,salary\r\na,1\r\nb,2\r\n"
    );
}

#[tokio::test(start_paused = true)]
async fn rows_that_scrolling_brings_are_read_although_a_read_before_took_all_the_time_for_them() {
    let mut stage = stage_that_grows_after(1);
    stage.browser.reading_takes = Duration::from_secs(3);
    let scroll = EXTRACT.replace("nextPage: { role: link, name: Next }", "scroll: true");
    let outcome = stage.run(&steps(&[&scroll])).await;
    assert_eq!(outcome, Outcome::Completed { output: None });
    assert_eq!(
        stage.host.text("people.csv"),
        "name,salary\r\na,1\r\nb,2\r\n"
    );
}

#[tokio::test]
async fn a_page_that_comes_again_and_one_too_many_are_errors() {
    let mut stage = stage_with_pages(&[&[&["a", "1"]], &[&["b", "2"]], &[&["a", "1"]]]);
    let found = failure(stage.run(&steps(&[EXTRACT])).await);
    assert_eq!(found.code, FailureCode::ExtractionFailed);
    assert!(found.message.contains("page 3"), "{}", found.message);

    let mut stage = stage_with_pages(&[&[&["a", "1"]], &[&["b", "2"]], &[&["c", "3"]]]);
    let found = failure(
        stage
            .run(&steps(&[&EXTRACT.replace("as:", "maxPages: 2, as:")]))
            .await,
    );
    assert!(found.message.contains("maxPages"), "{}", found.message);
}

#[tokio::test(start_paused = true)]
async fn rows_that_never_change_after_the_next_page_are_an_error() {
    let mut stage = stage_with_pages(&[&[&["a", "1"]], &[&["a", "1"]]]);
    let found = failure(
        stage
            .run(&steps(&[&format!("{{ {EXTRACT}, timeout: 120ms }}")]))
            .await,
    );
    assert!(
        found.message.contains("did not change"),
        "{}",
        found.message
    );
}

#[tokio::test]
async fn bad_cells_are_reported_with_page_row_and_field() {
    let mut stage = stage_with_pages(&[&[&["a", "1"], &["b", "many"]]]);
    let found = failure(stage.run(&steps(&[EXTRACT])).await);
    assert_eq!(found.code, FailureCode::ExtractionFailed);
    assert_eq!(
        found.message,
        "1 bad cell: page 1, row 2, salary: `many` is not a number"
    );
}

#[tokio::test]
async fn no_rows_count_only_where_the_page_was_ready() {
    let mut stage = stage_with_pages(&[&[]]);
    let end =
        "endWithNoAction: { if: people | length == 0, reason: 'Nobody in {{ input.month }}' }";
    assert_eq!(
        stage.run(&steps(&[EXTRACT, end, "click: never"])).await,
        Outcome::NoAction {
            reason: "Nobody in May".to_owned()
        }
    );
    assert_eq!(stage.host.text("people.json"), "[]\n");
    assert!(
        !stage
            .story
            .lines()
            .iter()
            .any(|line| line.contains("never"))
    );

    let mut stage = stage_with_pages(&[&[]]);
    let found = failure(
        stage
            .run(&steps(&[&EXTRACT.replace("ready: table, ", "")]))
            .await,
    );
    assert_eq!(found.code, FailureCode::ExtractionFailed);
}

#[tokio::test]
async fn a_failing_step_says_where_and_why_and_leaves_picture_dom_and_log() {
    let mut stage = Stage::new();
    let target = browser::Locator::role("button", "Go");
    let error = Error::NotFound {
        locator: target.to_string(),
        after: Duration::from_secs(30),
        found: "a button \"Stop\"".to_owned(),
    };
    stage
        .browser
        .errors
        .insert(format!("click {target}"), error);
    let found = failure(
        stage
            .run(&steps(&[
                "goto: https://portal.test",
                "{ id: start, click: { role: button, name: Go } }",
            ]))
            .await,
    );
    assert_eq!(found.code, FailureCode::ElementNotFound);
    assert_eq!(found.state.as_deref(), Some("testing"));
    assert_eq!(found.step.as_deref(), Some("testing/steps/1 start (click)"));
    assert!(
        found.message.contains("Stop") && found.retryable,
        "{found:?}"
    );
    assert_eq!(
        stage.host.names(),
        ["failure.png", "failure.html", "log.jsonl"]
    );
    let log = stage.host.text("log.jsonl");
    for event in ["step_failed", "failed"] {
        let line = log
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
            .find(|line| line["event"] == event)
            .unwrap_or_else(|| panic!("{event}: {log}"));
        assert_eq!(line["code"], "ELEMENT_NOT_FOUND");
        assert_eq!(line["state"], "testing");
        assert_eq!(line["step"], "testing/steps/1 start (click)");
    }
}

#[tokio::test]
async fn a_crashed_browser_is_asked_for_nothing_more() {
    let mut stage = Stage::new();
    stage
        .browser
        .errors
        .insert("press Enter".to_owned(), Error::Crashed);
    let found = failure(stage.run(&steps(&["press: Enter"])).await);
    assert_eq!(found.code, FailureCode::BrowserCrashed);
    assert!(found.retryable);
    assert_eq!(stage.host.names(), ["log.jsonl"]);
}

#[tokio::test]
async fn no_secret_leaves_with_a_failure_a_log_or_a_dom() {
    let mut stage = Stage::new();
    let escaped = SECRET.replace('&', "&amp;");
    stage.browser.dom = format!("<input value=\"{escaped}\"> {SECRET} 424242");
    stage.host.answers.push_back(Answer::Given(BTreeMap::from([(
        "code".to_owned(),
        Secret::new("424242"),
    )])));
    let field = browser::Locator::label("Pin");
    let outcome = stage
        .run(&steps(&[
            "askUser: { prompt: Code, as: code }",
            "fill: { label: Pin, value: 'a{{ secrets.token }}b' }",
            "waitFor: { css: '#never' }",
        ]))
        .await;
    let found = failure(outcome);
    assert_eq!(found.code, FailureCode::AssertionFailed);
    assert_eq!(
        stage.browser.filled[&field.to_string()],
        format!("a{SECRET}b")
    );
    assert!(
        stage.browser.masks.contains(&field.to_string()),
        "the picture covers the field"
    );
    let left = [
        found.message,
        stage.host.text("failure.html"),
        stage.host.text("log.jsonl"),
    ]
    .concat();
    for canary in [SECRET, &escaped, "424242"] {
        assert!(!left.contains(canary), "{left}");
    }
    assert!(left.contains("•••"));
}

#[tokio::test]
async fn the_traffic_is_kept_masked_where_the_definition_says_so() {
    let fails = "fail: { code: NO, message: no }";
    for (har, step, is_kept) in [
        ("", fails, false),
        ("har: never\n", fails, false),
        ("har: onFailure\n", "press: Enter", false),
        ("har: onFailure\n", fails, true),
        ("har: always\n", "press: Enter", true),
    ] {
        let mut stage = Stage::new();
        stage.run(&(steps(&[step]) + har)).await;
        let is_recorded = stage.story.lines().contains(&"record".to_owned());
        assert_eq!(is_recorded, !matches!(har, "" | "har: never\n"));
        assert_eq!(
            stage.host.names().contains(&"network.har"),
            is_kept,
            "{har} {step}"
        );
        if is_kept {
            let har = stage.host.text("network.har");
            assert!(har.contains("https://a.test/?•••"), "{har}");
        }
    }
}

#[tokio::test]
async fn a_question_that_nobody_answers_fails_the_run() {
    let mut stage = Stage::new();
    let found = failure(
        stage
            .run(&steps(&[
                "askUser: { prompt: Code, as: code, timeout: 5m }",
            ]))
            .await,
    );
    assert_eq!(found.code, FailureCode::UserInputTimeout);
    assert_eq!(found.message, "nobody answered within 300 s");
}

const QUESTION: &str = "askUser: { prompt: Code, as: code, tries: 2, steps: [{ fill: { css: input, value: '{{ answers.code }}' } }, { click: verify }], rejected: { visible: alert, message: That code was wrong } }";

fn answer(code: &str) -> Answer {
    Answer::Given(BTreeMap::from([("code".to_owned(), Secret::new(code))]))
}

#[tokio::test]
async fn a_refused_answer_is_asked_for_again_as_often_as_the_step_says() {
    let alert = browser::Locator::css("alert").to_string();
    let click = format!("click {}", browser::Locator::css("verify"));

    let mut stage = Stage::new();
    stage.browser.visible.insert(alert.clone());
    stage
        .host
        .answers
        .extend([answer("111111"), answer("222222"), answer("333333")]);
    let found = failure(stage.run(&steps(&[QUESTION])).await);
    assert_eq!(found.code, FailureCode::UserInputRejected);
    assert_eq!(found.step.as_deref(), Some("testing/steps/0 (askUser)"));
    assert_eq!(
        stage.host.asked,
        [(2, None), (1, Some("That code was wrong".to_owned()))]
    );
    assert_eq!(
        stage
            .story
            .lines()
            .iter()
            .filter(|line| **line == click)
            .count(),
        2
    );

    let mut stage = Stage::new();
    stage.host.answers.push_back(answer("111111"));
    assert_eq!(
        stage.run(&steps(&[QUESTION])).await,
        Outcome::Completed { output: None }
    );
    assert_eq!(stage.host.asked.len(), 1);

    let mut stage = Stage::new();
    stage
        .run(&steps(&[
            "askUser: { prompt: 'The code of {{ input.month }}', as: code, timeout: 1s }",
        ]))
        .await;
    let log = stage.host.text("log.jsonl");
    assert!(
        log.contains(r#""awaited":"an answer to \"The code of May\"""#),
        "{log}"
    );

    let mut stage = Stage::new();
    stage.host.answers.push_back(answer("111111"));
    stage.browser.errors.insert(click, Error::Crashed);
    let found = failure(stage.run(&steps(&[QUESTION])).await);
    assert_eq!(
        found.step.as_deref(),
        Some("testing/steps/0 (askUser)/steps/1 (click)")
    );
}

#[tokio::test]
async fn a_choice_and_a_confirmation_are_no_secrets_and_mask_nothing() {
    let mut stage = Stage::new();
    let given = [("account", "Payroll"), ("sure", "yes"), ("pin", "pin-4711")]
        .map(|(name, value)| (name.to_owned(), Secret::new(value)));
    stage.host.answers.push_back(Answer::Given(given.into()));
    let yaml = steps(&[
        "askUser: { prompt: Which, fields: [{ name: account, type: choice, options: [Payroll, Staff] }, { name: sure, type: confirmation }, { name: pin, type: password }] }",
        "fill: { label: Account, value: '{{ answers.account }}' }",
    ]) + "output: { read: Payroll of May, chosen: '{{ account }}', sure: '{{ sure }}', pin: pin-4711 }\n";
    assert_eq!(
        stage.run(&yaml).await,
        Outcome::Completed {
            output: Some(json!({
                "read": "Payroll of May", "chosen": "Payroll", "sure": true, "pin": "•••"
            }))
        }
    );
    assert_eq!(
        stage.browser.filled[&browser::Locator::label("Account").to_string()],
        "Payroll"
    );
}

#[tokio::test]
async fn an_answer_without_a_label_is_labelled_by_the_question_as_the_person_reads_it() {
    let mut stage = Stage::new();
    stage.host.answers.push_back(answer("424242"));
    let yaml = steps(&["askUser: { prompt: 'Code for {{ input.baseUrl }}?', as: code }"]);
    stage.run(&yaml).await;
    assert_eq!(stage.host.labels, ["Code for https://portal.test?"]);
}

#[tokio::test]
async fn a_run_goes_nowhere_else_and_gives_no_secret_to_another_origin() {
    let origins = "allowedOrigins: ['{{ input.baseUrl }}/login']\n";
    let mut stage = Stage::new();
    let yaml = steps(&["goto: 'https://portal.test.evil.test/'"]) + origins;
    assert_eq!(
        failure(stage.run(&yaml).await).code,
        FailureCode::AddressBlocked
    );
    // The browser is told too, for the ways that no step names.
    assert_eq!(stage.story.lines()[0], "keep to https://portal.test");
    assert!(
        !stage
            .story
            .lines()
            .iter()
            .any(|line| line.starts_with("goto"))
    );

    let mut stage = Stage::new();
    stage.browser.url = "https://evil.test/login".to_owned();
    let yaml = steps(&[
        "goto: '{{ input.baseUrl }}'",
        "fill: { css: a, value: '{{ secrets.token }}' }",
    ]) + origins;
    assert_eq!(
        failure(stage.run(&yaml).await).code,
        FailureCode::AddressBlocked
    );
    assert!(stage.browser.filled.is_empty());

    for url in ["file:///etc/passwd", "javascript:alert(1)", "/relative"] {
        let mut stage = Stage::new();
        assert_eq!(
            failure(
                stage
                    .run(&steps(&[
                        &format!("set: {{ url: '{url}' }}"),
                        "goto: '{{ url }}'"
                    ]))
                    .await
            )
            .code,
            FailureCode::AddressBlocked
        );
    }
}

#[tokio::test]
async fn a_navigation_that_the_guard_refused_says_so() {
    let mut stage = Stage::new();
    stage.host.refusal = Some("10.0.0.1 is a private address".to_owned());
    let error = Error::Navigation {
        url: "https://in.test".to_owned(),
        reason: "net::ERR_SOCKS_CONNECTION_FAILED".to_owned(),
    };
    stage
        .browser
        .errors
        .insert("goto https://in.test".to_owned(), error);
    let found = failure(stage.run(&steps(&["goto: https://in.test"])).await);
    assert_eq!(
        (found.code, found.message.as_str()),
        (FailureCode::AddressBlocked, "10.0.0.1 is a private address")
    );
}

#[tokio::test]
async fn an_interrupted_run_stores_nothing_more() {
    let mut stage = Stage::new();
    stage.host.interrupt_at = Some("testing");
    let result = stage.try_run(&steps(&["click: a"])).await;
    assert!(matches!(result, Err(Interrupted::TakenAway)), "{result:?}");
    assert!(stage.story.lines().is_empty());
}

#[tokio::test]
async fn get_reads_a_list_of_all_that_match_and_otherwise_only_one() {
    let read = async |kind: &str| {
        let mut stage = stage_with_pages(&[&[&["$1,200"], &["$3"]]]);
        let get = format!("get: {{ css: table, {kind}, as: prices }}");
        let yaml = steps(&[&get]) + "output: { prices: '{{ prices }}' }\n";
        stage.run(&yaml).await
    };
    let output = |prices: Value| Outcome::Completed {
        output: Some(json!({ "prices": prices })),
    };
    assert_eq!(
        read("type: list, of: number").await,
        output(json!([1200, 3]))
    );
    assert_eq!(read("type: list").await, output(json!(["$1,200", "$3"])));
    let found = failure(read("type: number").await);
    assert_eq!(
        found.message,
        "2 elements match css=table, and `get` reads one: add `nth`, or `type: list` for all"
    );
    let found = failure(read("type: list, of: date").await);
    assert!(
        found.message.contains("css=table: item 1: `$1,200` is not"),
        "{}",
        found.message
    );
}

#[tokio::test]
async fn set_get_assert_and_fail_do_what_they_say() {
    let mut stage = stage_with_pages(&[&[&["$1,234.50"]]]);
    let total = "get: { css: table, type: number, as: total }";
    let yaml = steps(&[
        total,
        "set: { double: '{{ total * 2 }}' }",
        "assert: { expression: double > 2000 }",
    ]) + "output: { double: '{{ double }}', text: 'sum {{ total }}' }\n";
    assert_eq!(
        stage.run(&yaml).await,
        Outcome::Completed {
            output: Some(json!({"double": 2469.0, "text": "sum 1234.5"}))
        }
    );

    let mut stage = Stage::new();
    let found = failure(
        stage
            .run(&steps(&[
                "assert: { visible: a, message: 'no {{ input.month }}' }",
            ]))
            .await,
    );
    assert_eq!(
        (found.code, found.message.as_str()),
        (FailureCode::AssertionFailed, "no May")
    );

    let mut stage = Stage::new();
    let found = failure(
        stage
            .run(&steps(&[
                "set: { rows: [1, 2], total: 3 }",
                "assert: { any: [{ expression: rows | length > total }, { expression: input.month == 'June' }] }",
            ]))
            .await,
    );
    assert_eq!(
        found.message,
        "what the step asserts is not so: rows | length > total, input.month == 'June'; \
         rows is a list of 2, total is 3, input.month is \"May\""
    );
    let mut stage = Stage::new();
    let found = failure(stage.run(&steps(&["assert: { visible: '#never' }"])).await);
    assert!(
        found.message.contains("not so: ") && found.message.contains("#never"),
        "{}",
        found.message
    );

    let mut stage = Stage::new();
    let found = failure(
        stage
            .run(&steps(&[
                "fail: { if: input.month == 'June', code: NEVER, message: x }",
                "fail: { code: LOCKED, message: y }",
            ]))
            .await,
    );
    assert_eq!(
        (found.code, found.custom_code.as_deref()),
        (FailureCode::WorkflowFailed, Some("LOCKED"))
    );
}

#[tokio::test]
async fn artifacts_of_one_name_get_numbers_and_the_sites_name_is_kept() {
    let mut stage = Stage::new();
    let outcome = stage
        .run(&steps(&[
            "screenshot: {}",
            "screenshot:",
            "download: { click: a }",
        ]))
        .await;
    assert_eq!(outcome, Outcome::Completed { output: None });
    assert_eq!(
        stage.host.names(),
        [
            "screenshot.png",
            "screenshot-2.png",
            "from site.csv",
            "log.jsonl"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_state_that_takes_too_long_fails_but_waiting_for_a_person_does_not_count() {
    let yaml = |first: &str| {
        steps(&[first, "click: b"]).replace("    steps:", "    timeout: 300ms\n    steps:")
    };
    let mut stage = Stage::new();
    let found = failure(stage.run(&yaml("waitFor: { time: 350ms }")).await);
    assert_eq!(found.code, FailureCode::DeadlineExceeded);
    assert_eq!(found.step.as_deref(), Some("testing/steps/1 (click)"));

    let mut stage = Stage::new();
    stage.host.thinks_for = Duration::from_millis(350);
    stage.host.answers.push_back(answer("424242"));
    let outcome = stage
        .run(&yaml("askUser: { prompt: Code, as: code }"))
        .await;
    assert_eq!(outcome, Outcome::Completed { output: None });
}

#[tokio::test]
async fn a_group_that_takes_too_long_is_passed_over_by_itself_and_by_nothing_in_it() {
    let group = |inner: &str, beside: &str| {
        format!(
            "{{ timeout: 50ms{beside}, if: {{ expression: 1 == 1, then: [{{ waitFor: {{ time: 60ms }} }}, {{ click: a{inner} }}] }} }}"
        )
    };
    let mut stage = Stage::new();
    let passed_over = group("", ", onError: { as: late }");
    let yaml = steps(&[&passed_over, "click: b"]) + "output: { code: '{{ late.code }}' }\n";
    let outcome = stage.run(&yaml).await;
    let output = Some(json!({"code": "DEADLINE_EXCEEDED"}));
    assert_eq!(outcome, Outcome::Completed { output });
    let clicked = |name: &str| format!("click {}", browser::Locator::css(name));
    let lines = stage.story.lines();
    assert!(lines.contains(&clicked("b")), "{lines:?}");
    assert!(!lines.contains(&clicked("a")), "{lines:?}");

    let mut stage = Stage::new();
    let found = failure(
        stage
            .run(&steps(&[&group(", onError: continue", "")]))
            .await,
    );
    assert_eq!(found.code, FailureCode::DeadlineExceeded);
}

#[tokio::test]
async fn a_response_is_awaited_no_longer_than_its_step_and_its_state_may_take() {
    let waiting = |timeout: &str| {
        let during = "[{ click: a }, { waitFor: { time: 50ms } }]";
        steps(&[&format!(
            "{{ waitFor: {{ response: {{ url: '*' }}, during: {during} }}{timeout} }}"
        )])
    };
    let in_state = waiting(", timeout: 10m").replace("    steps:", "    timeout: 10s\n    steps:");
    for (yaml, most) in [
        (waiting(", timeout: 10s"), Duration::from_millis(9_950)),
        (in_state, Duration::from_millis(9_950)),
    ] {
        let mut stage = Stage::new();
        stage.run(&yaml).await;
        let waited = stage.browser.patience.lock().expect("nobody else has it");
        let [waited] = waited[..] else {
            panic!("{waited:?}")
        };
        assert!(waited <= most, "{waited:?}, and not {most:?}");
    }
}

#[tokio::test]
async fn a_download_that_is_too_much_is_so_each_time() {
    let download = steps(&["{ download: { click: a }, retry: { maxAttempts: 3, delay: 1ms } }"]);
    let reason = || "\"all.zip\" is larger".to_owned();
    for (error, times) in [
        (Error::DownloadExcess { reason: reason() }, 1),
        (Error::Download { reason: reason() }, 2),
    ] {
        let mut stage = Stage::new();
        stage
            .browser
            .errors
            .insert("download css=a".to_owned(), error);
        let outcome = stage.run(&download).await;
        let lines = stage.host.story.lines();
        let tried = lines.iter().filter(|line| *line == "download css=a");
        assert_eq!(tried.count(), times, "{lines:?}");
        if times == 1 {
            let failure = failure(outcome);
            assert_eq!(failure.code, FailureCode::DownloadFailed);
            assert!(!failure.retryable);
        }
    }
}

#[tokio::test]
async fn a_downloaded_file_stays_only_where_a_step_may_upload_it() {
    let upload = "upload: { css: file, files: [{ artifact: a.csv }] }";
    let download = "download: { click: a, fileName: a.csv }";
    for (yaml, discarded) in [
        (steps(&[download, "download: { click: b }"]), 2),
        (steps(&[download, upload]), 0),
    ] {
        let mut stage = Stage::new();
        let outcome = stage.run(&yaml).await;
        assert_eq!(outcome, Outcome::Completed { output: None });
        assert_eq!(stage.browser.discarded, discarded);
    }
}

#[tokio::test]
async fn what_the_item_of_a_run_keeps_for_a_person_is_cut_to_2000_characters() {
    let long = "\"{{ 'ä' * 300000 }}\"";
    let cut = "ä".repeat(1_999) + "…";

    let mut stage = Stage::new();
    let ends = steps(&[&format!("endWithNoAction: {{ reason: {long} }}")]);
    let reason = cut.clone();
    assert_eq!(stage.run(&ends).await, Outcome::NoAction { reason });

    let mut stage = Stage::new();
    let fails = steps(&[&format!("fail: {{ code: LONG, message: {long} }}")]);
    assert_eq!(failure(stage.run(&fails).await).message, cut);

    let mut stage = Stage::new();
    let alert = browser::Locator::css("alert").to_string();
    stage.browser.visible.insert(alert);
    stage
        .host
        .answers
        .extend([answer("111111"), answer("222222")]);
    let asks = format!(
        "askUser: {{ prompt: {long}, as: code, tries: 2, steps: [{{ click: verify }}], rejected: {{ visible: alert, message: {long} }} }}"
    );
    stage.run(&steps(&[&asks])).await;
    assert_eq!(stage.host.asked, [(2, None), (1, Some(cut.clone()))]);
    assert_eq!(stage.host.labels, [cut.clone(), cut]);
}

#[tokio::test]
async fn an_output_that_is_too_large_is_refused() {
    let mut stage = Stage::new();
    let yaml = steps(&["click: a"]) + "output: { text: \"{{ 'x' * 70000 }}\" }\n";
    let found = failure(stage.run(&yaml).await);
    assert_eq!(
        (found.code, found.step.as_deref()),
        (FailureCode::WorkflowInvalid, Some("output/text"))
    );
}

#[tokio::test]
async fn a_navigation_whose_document_goes_away_is_a_navigation_that_failed() {
    for (step, line) in [
        ("back:", "back"),
        ("reload:", "reload"),
        ("goto: https://hr.example", "goto https://hr.example"),
    ] {
        let mut stage = Stage::new();
        let replaced = Error::DocumentReplaced;
        stage.browser.errors.insert(line.to_owned(), replaced);
        let found = failure(stage.run(&steps(&[step])).await);
        assert_eq!(found.code, FailureCode::NavigationFailed, "{step}");
        assert!(found.retryable, "{step}");
    }
}

#[tokio::test]
async fn what_steps_keep_is_bounded_also_where_nothing_is_evaluated() {
    let mut stage = Stage::new();
    stage.browser.evaluates_to = Value::from("x".repeat(1_000_000));
    let reads: Vec<_> = (0..300)
        .map(|n| format!("evaluate: {{ script: text, as: text_{n} }}"))
        .collect();
    let reads: Vec<_> = reads.iter().map(String::as_str).collect();
    let found = failure(stage.run(&steps(&reads)).await);
    assert_eq!(
        (found.code, found.message.as_str()),
        (
            FailureCode::WorkflowInvalid,
            "the run's variables together are too large"
        )
    );
}
