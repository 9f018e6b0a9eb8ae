//! Logging as a whole process sees it: this test runs itself again and reads what it wrote.

use std::process::{Command, Output};

use platform::configuration::{Environment, Logs};
use platform::telemetry::metrics::{self, Measurement};
use platform::telemetry::{self, InitError};

#[test]
#[ignore = "only run by the other tests, as a child process"]
fn child() {
    let logs = Logs::read(&Environment::from_process()).expect("settings");
    telemetry::init(&logs).expect("the first time");
    assert!(matches!(telemetry::init(&logs), Err(InitError::Again(_))));
    let _run = tracing::info_span!("run", run_id = "r1").entered();
    tracing::info!("too little to be logged");
    tracing::warn!(took_ms = 5, "worth logging");
    Measurement::count("Unheard", 1).emit();
    metrics::to_standard_output();
    Measurement::count("Heard", 2).emit();
}

fn child_of(format: &str) -> Output {
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "child", "--ignored"])
        .env("LEGWORK_LOG", "warn")
        .env("LEGWORK_LOG_FORMAT", format)
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{output:?}");
    output
}

fn lines_of_child(format: &str) -> Vec<String> {
    let text = String::from_utf8(child_of(format).stderr).expect("text");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn json_goes_to_standard_error_with_its_ids_whatever_the_level_of_the_filter() {
    let lines = lines_of_child("json");
    let [line] = lines.as_slice() else {
        panic!("{lines:?}");
    };
    let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert_eq!(line["message"], "worth logging");
    assert_eq!(
        (&line["run_id"], &line["took_ms"]),
        (&"r1".into(), &5.into())
    );
}

#[test]
fn text_has_no_colours_where_nobody_looks() {
    let lines = lines_of_child("text");
    let [line] = lines.as_slice() else {
        panic!("{lines:?}");
    };
    assert!(line.ends_with("worth logging took_ms=5"), "{line}");
    assert!(line.contains("WARN run{run_id=\"r1\"}: "), "{line}");
}

#[test]
fn metrics_go_to_standard_output_alone_whatever_the_form_of_the_log_once_they_are_wanted() {
    for format in ["json", "text"] {
        let text = String::from_utf8(child_of(format).stdout).expect("text");
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("heard") || line.contains("Heard"))
            .collect();
        let [line] = lines.as_slice() else {
            panic!("{lines:?}");
        };
        // The test harness writes to the same place, and not always whole lines.
        let (_, line) = line.split_at(line.find(r#"{"_aws":"#).expect("a metric"));
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(line["Heard"], 2);
    }
}
