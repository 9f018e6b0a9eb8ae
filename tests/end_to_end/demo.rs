//! `legwork demo`.

use std::process::Stdio;

use crate::stack::{assert_nothing_is_left, legwork};

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

    assert_nothing_is_left(folder.path());
}
