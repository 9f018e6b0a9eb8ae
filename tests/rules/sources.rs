//! What stands in the sources, or must not.

use crate::repository::{files, root, sources};

#[test]
fn domain_does_no_io_and_reads_no_clock() {
    let modules = ["env", "fs", "io", "net", "os", "process", "thread"];
    for source in sources("shared/domain/src") {
        let code: String = source.code.split_whitespace().collect();
        let path = source.path.display();
        for clock in [
            "SystemTime",
            "Instant::now",
            "Timestamp::now(",
            "Zoned::now(",
        ] {
            assert!(!code.contains(clock), "{path} reads a clock: {clock}");
        }
        for module in modules {
            assert!(
                !code.contains(&format!("std::{module}::")),
                "{path} uses std::{module}"
            );
            assert!(
                !code.contains(&format!("usestd::{module};")),
                "{path} uses std::{module}"
            );
        }
        // What a group imports would escape the look at its whole path.
        assert!(
            !code.contains("std::{"),
            "{path} imports from std in a group: write one `use` for each module"
        );
    }
}

/// `function` in `file`, for each function of store that contains a text.
fn functions_of_store_with(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources("shared/store/src") {
        let file = source
            .path
            .file_name()
            .expect("a file has a name")
            .to_string_lossy()
            .into_owned();
        found.extend(
            source
                .functions_with(text)
                .iter()
                .map(|function| format!("{file}: {function}")),
        );
    }
    found
}

#[test]
fn one_function_commits_the_transitions_of_a_run() {
    // A run becomes an item where it is created, where its transition is committed, and where only its due time moves.
    let writers = [
        "runs.rs: create_run",
        "runs.rs: commit_run",
        "runs.rs: postpone_run",
    ];
    assert_eq!(functions_of_store_with("encode_run("), writers);
    assert_eq!(
        functions_of_store_with("commit_run("),
        ["runs.rs: transition_with"]
    );
    // Only the commit is conditional on an earlier sequence than the one that it writes.
    let runs = sources("shared/store/src/runs.rs").remove(0);
    assert_eq!(runs.functions_with("#sequence = :from"), ["commit_run"]);
    // Nothing changes a run's item in place, but what takes it out of the due index.
    assert_eq!(runs.functions_with(".update_item()"), ["settle_run"]);
    let changers: Vec<_> = functions_of_store_with(".update_item()");
    let on_a_run = functions_of_store_with("keys::run(");
    assert_eq!(
        changers
            .iter()
            .filter(|function| on_a_run.contains(function))
            .collect::<Vec<_>>(),
        ["runs.rs: settle_run"]
    );
}

#[test]
fn the_dispatcher_opens_no_connection_to_customers() {
    for source in sources("functions/dispatcher") {
        for way in [
            "guarded_http",
            "socks_proxy",
            "reqwest",
            "TcpStream",
            "TcpSocket",
        ] {
            assert!(
                !source.code.contains(way),
                "{} uses {way}",
                source.path.display()
            );
        }
    }
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    // Put together here, so that this file isn't one of them.
    let folders = ["root", "home", "Users"].map(|folder| format!("/{folder}/"));
    let mut found = Vec::new();
    for path in files() {
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else {
            continue;
        };
        let lines = (1..).zip(text.lines());
        found.extend(
            lines
                .filter(|(_, line)| folders.iter().any(|folder| line.contains(folder.as_str())))
                .map(|(number, line)| format!("{}:{number}: {line}", path.display())),
        );
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
