//! The commands that need no stack, as a shell sees them: what they print, what they write, how they end.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

fn legwork(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_legwork"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("it starts and ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn validate_shows_each_error_and_ends_with_what_it_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let write =
        |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    write(
        "right.yaml",
        "name: T\nstates: [{ name: a, steps: [{ back: }] }]\n",
    );
    write(
        "wrong.yaml",
        "name: T\nstates: [{ name: a, steps: [{ bakc: }] }]\n",
    );

    let right = legwork(&["validate", "right.yaml"], folder.path());
    assert_eq!(right.status.code(), Some(0), "{right:?}");
    let wrong = legwork(&["validate", "right.yaml", "wrong.yaml"], folder.path());
    assert_eq!(wrong.status.code(), Some(1));
    let shown = text(&wrong.stderr);
    assert!(
        shown.contains("--> wrong.yaml:2:31") && shown.contains("did you mean `back`?"),
        "{shown}"
    );
    let json = legwork(
        &["validate", "--format", "json", "wrong.yaml"],
        folder.path(),
    );
    let checked: Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(checked["valid"], false);
    assert_eq!(checked["errors"][0]["rule"], "unknown-step");
    assert_eq!(checked["errors"][0]["pointer"], "/states/0/steps/0/bakc");
    let missing = legwork(&["validate", "nowhere.yaml"], folder.path());
    assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn import_writes_a_workflow_that_validates_and_says_what_it_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let recording = json!({"title": "T", "steps": [
        {"type": "navigate", "url": "https://a.test/"},
        {"type": "change", "value": "hunter22", "selectors": [["#password"]]},
        {"type": "customStep", "name": "lighthouse"},
    ]});
    std::fs::write(folder.path().join("r.json"), recording.to_string()).expect("written");
    let imported = legwork(&["import", "r.json", "-o", "w.yaml"], folder.path());
    assert_eq!(imported.status.code(), Some(0), "{imported:?}");
    let said = text(&imported.stderr);
    assert!(
        said.contains("lighthouse") && said.contains("password") && !said.contains("hunter22"),
        "{said}"
    );
    let valid = legwork(&["validate", "w.yaml"], folder.path());
    assert_eq!(valid.status.code(), Some(0), "{valid:?}");

    // What was made of it since is not lost.
    let path = folder.path().join("w.yaml");
    std::fs::write(&path, "by hand").expect("written");
    let again = legwork(&["import", "r.json", "-o", "w.yaml"], folder.path());
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("`--force`"), "{again:?}");
    let kept = std::fs::read_to_string(&path).expect("the file");
    assert_eq!(kept, "by hand");
    let forced = legwork(
        &["import", "r.json", "-o", "w.yaml", "--force"],
        folder.path(),
    );
    assert_eq!(forced.status.code(), Some(0), "{forced:?}");
    let valid = legwork(&["validate", "w.yaml"], folder.path());
    assert_eq!(valid.status.code(), Some(0), "{valid:?}");
}

#[test]
fn import_says_of_a_recording_without_steps_that_it_is_empty() {
    let folder = tempfile::tempdir().expect("a folder");
    let recording = json!({"title": "T", "steps": []});
    std::fs::write(folder.path().join("r.json"), recording.to_string()).expect("written");
    let imported = legwork(&["import", "r.json", "-o", "w.yaml"], folder.path());
    assert_eq!(imported.status.code(), Some(2));
    let said = text(&imported.stderr);
    assert!(said.contains("has no steps: record"), "{said}");
    assert!(!folder.path().join("w.yaml").exists());
}
