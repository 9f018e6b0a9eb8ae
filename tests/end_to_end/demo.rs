//! `legwork demo`.

use std::process::Stdio;

use crate::stack::{legwork, processes_of};

#[test]
fn the_demo_goes_the_whole_way_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = legwork(folder.path())
        .arg("demo")
        .stdin(Stdio::null())
        .output()
        .expect("legwork starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "the demo ended with {}:\n{said}\n{complained}",
        output.status
    );
    for line in [
        "COMPLETED                        downloading_csv",
        "AWAITING_USER_INPUT              entering_2fa_code",
        "COMPLETED_WITH_NO_ACTION_TAKEN",
        "ok   the 47 extracted records are what the site shows",
        "ok   the downloaded CSV has the site's 47 employees",
        "ok   each has a valid Standard Webhooks signature",
        "Everything was right",
    ] {
        assert!(
            said.contains(line),
            "the demo did not say {line:?}:\n{said}"
        );
    }
    assert!(!said.contains("FAIL"), "{said}");

    assert!(
        !folder.path().join(".legwork/local.json").exists(),
        "local.json goes when the stack stops"
    );
    assert_eq!(processes_of(folder.path()), Vec::<String>::new());
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .expect("the folder")
        .filter_map(Result::ok)
        .collect();
    let left: Vec<_> = left
        .iter()
        .map(std::fs::DirEntry::file_name)
        .filter(|name| name != ".legwork")
        .collect();
    assert_eq!(
        left,
        Vec::<std::ffi::OsString>::new(),
        "temporary folders are left"
    );
}
