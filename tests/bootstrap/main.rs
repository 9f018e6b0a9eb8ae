//! The executable of a function, started as Lambda starts it. One file for all functions: each package names it as a
//! test of its own, so that `cargo test --workspace` builds the executables that tests/deployment deploys.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The executable of the package that this test belongs to.
fn executable() -> PathBuf {
    let test = std::env::current_exe().expect("this test is a file");
    let built = test.ancestors().nth(2).expect("a folder of a profile");
    built.join(env!("CARGO_PKG_NAME"))
}

#[test]
fn a_setting_that_cannot_be_used_ends_the_function_and_is_named() {
    let output = Command::new(executable())
        .env_clear()
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("LEGWORK_RUN_QUEUE_URL", "no URL")
        .stdin(Stdio::null())
        .output()
        .expect("the function starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("LEGWORK_RUN_QUEUE_URL"), "{said}");
    assert!(said.contains("the URL of a queue"), "{said}");
}
