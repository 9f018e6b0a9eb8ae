//! Real browsers that die under a run.

use std::path::Path;

use domain::FailureCode;
use domain::run::{Phase, Status};
use platform::addresses::AllowAddresses;
use platform::configuration::{Environment, Runner as Settings};
use runner::{Sessions, chromium};

use crate::setting::{Setting, failure_code};
use crate::{ASK, VISIT};

async fn real_browsers(scratch: &Path) -> Box<dyn Sessions> {
    let executable = browser::find_or_install(&mut |_| {})
        .await
        .expect("a browser");
    let settings = Settings::read(&Environment::from_iter([
        ("LEGWORK_BROWSER_POOL", "0"),
        ("LEGWORK_SCRATCH_DIR", scratch.to_str().expect("text")),
        ("LEGWORK_CHROMIUM", executable.to_str().expect("text")),
    ]))
    .expect("settings");
    chromium(&settings, AllowAddresses::AndLoopback).expect("browsers")
}

/// Kills the one browser that has its folder here.
async fn kill_the_browser(scratch: &Path) {
    let mut folders = std::fs::read_dir(scratch).expect("a folder").flatten();
    let group = folders.next().expect("a browser").path().join("group");
    let group = std::fs::read_to_string(group).expect("it is told of");
    let process = group.split_whitespace().next().expect("its number");
    let killed = tokio::process::Command::new("kill")
        .args(["-s", "KILL", "--", process])
        .status()
        .await
        .expect("it is told");
    assert!(killed.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_browser_dies_while_it_waits_for_a_person_fails_at_once() {
    let setting = Setting::start().await;
    let scratch = tempfile::tempdir().expect("a folder");
    let slots = [
        ("LEGWORK_RUNNER_SLOTS", "1"),
        ("LEGWORK_RUNNER_WAITING_SLOTS", "1"),
    ];
    let runner = setting.runner_with(real_browsers(scratch.path()).await, &slots);
    let awaits = |run| setting.until(run, |run| run.status() == Status::AwaitingUserInput);
    let asked = awaits(setting.run(ASK).await).await;
    kill_the_browser(scratch.path()).await;
    let ended = setting.ended(asked.id).await;
    assert_eq!(failure_code(&ended), Some(FailureCode::BrowserCrashed));
    let Phase::AwaitingUserInput { request, .. } = &asked.phase else {
        panic!("{asked:?}")
    };
    setting.answer_is_refused(&ended, request.id).await;
    // Neither its slot nor its place among those that wait is lost.
    awaits(setting.run(ASK).await).await;
    let visits = setting.run(VISIT).await;
    setting.site.visit().await.let_go();
    assert_eq!(setting.ended(visits).await.status(), Status::Completed);
    runner.stop().await;
}
