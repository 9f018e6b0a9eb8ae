//! The runner on real resources, with browsers that follow a script: what it does with what comes from the queue, with
//! people who answer, with what breaks, and with the wish to stop.

mod browsers;
mod gate;
#[path = "../../../../tests/chaos/http.rs"]
mod http;
#[path = "../../../../tests/chaos/scripted.rs"]
mod scripted;
mod setting;
mod site;

use std::time::{Duration, Instant};

use domain::FailureCode;
use domain::definition::BrowserSettings;
use domain::run::{Event, Phase, Rejected, Status};
use domain::webhook::{EventType, events_of};
use platform::upstream::Upstream;
use runner::{NoSession, Session, Sessions};
use serde_json::json;
use store::{JustNow, Lease, Queue, Transition, now};

use crate::setting::{Setting, failure_code};

/// What a runner reads the runs in its hands by, once a second; twice, if one of them waits for a person.
const LOOK: &str = "DynamoDB_20120810.BatchGetItem";

/// Goes to the site, where the test decides how long that takes.
const VISIT: &str = r#"{"name": "Visits", "states": [
    {"name": "visiting", "steps": [{"goto": "{{ input.url }}"}]}]}"#;

/// The same, and may be executed again, at once.
const VISIT_AGAIN: &str = r#"{"name": "Visits", "retry": {"maxAttempts": 3, "delay": "0s"}, "states": [
    {"name": "visiting", "steps": [{"goto": "{{ input.url }}"}]}]}"#;

/// The same, and may be executed again after a while.
const VISIT_LATER: &str = r#"{"name": "Visits", "retry": {"maxAttempts": 2, "delay": "3s"}, "states": [
    {"name": "visiting", "steps": [{"goto": "{{ input.url }}"}]}]}"#;

/// Goes to the site twice, the second time to clean up.
const VISIT_AND_CLEAN_UP: &str = r#"{"name": "Cleans up", "states": [
    {"name": "visiting", "steps": [{"goto": "{{ input.url }}"}]},
    {"name": "cleaning_up", "finally": true, "steps": [{"goto": "{{ input.url }}"}]}]}"#;

/// Fills in a secret, for which it must be decrypted first.
const USE_A_SECRET: &str = r#"{"name": "Uses a secret", "states": [{"name": "filling_in", "steps": [
    {"fill": {"label": "Password", "value": "{{ secrets.password }}"}}]}]}"#;

/// A script, about which the scripted browser knows nothing: it panics.
const PANIC: &str = r#"{"name": "Panics", "states": [
    {"name": "panicking", "steps": [{"evaluate": {"script": "() => 1", "as": "one"}}]}]}"#;

const ASK: &str = r#"{"name": "Asks", "states": [
    {"name": "asking", "steps": [{"askUser": {"prompt": "Code", "as": "code", "timeout": "10m"}}]}]}"#;

const ASK_AND_VISIT: &str = r#"{"name": "Asks and visits", "states": [
    {"name": "asking", "steps": [{"askUser": {"prompt": "Code", "as": "code", "timeout": "10m"}}]},
    {"name": "visiting", "steps": [{"goto": "{{ input.url }}"}]}]}"#;

const ASK_SHORTLY: &str = r#"{"name": "Asks", "states": [
    {"name": "asking", "steps": [{"askUser": {"prompt": "Code", "as": "code", "timeout": "1s"}}]}]}"#;

/// What a runner writes when a question's time is over, and nothing else that it writes before, has this in it.
const GOES_ON: (&str, &str) = ("DynamoDB_20120810.PutItem", "unanswered");

const ASK_SHORTLY_AND_CLEAN_UP: &str = r#"{"name": "Asks", "states": [
    {"name": "asking", "steps": [{"askUser": {"prompt": "Code", "as": "code", "timeout": "1s"}}]},
    {"name": "cleaning_up", "finally": true, "steps": [{"set": {"number": 7}}]}]}"#;

const ASK_SHORTLY_AND_GO_ON: &str = r#"{"name": "Asks", "states": [
    {"name": "asking", "steps": [
        {"askUser": {"prompt": "Code", "as": "code", "timeout": "1s"}, "onError": "continue"}]},
    {"name": "going_on", "steps": [
        {"askUser": {"prompt": "Code", "as": "code", "timeout": "1s"}, "onError": "continue"},
        {"askUser": {"prompt": "Again", "as": "again", "timeout": "1s"}, "onError": {"as": "second"}}]}],
    "output": {"first": "{{ error.code }}", "second": "{{ second.code }}"}}"#;

const RETURN: &str = r#"{"name": "Returns", "states": [
    {"name": "counting", "steps": [{"set": {"number": 7}}]}],
    "output": {"number": "{{ number }}"}}"#;

/// Returns what it can read of the earlier workflows of its job run.
const READ: &str = r#"{"name": "Reads", "states": [
    {"name": "reading", "steps": [{"set": {"read": "{{ outputs }}"}}]}],
    "output": {"read": "{{ read }}"}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_a_job_run_reads_what_the_groups_before_it_returned_and_so_do_its_retries() {
    let setting = Setting::start().await;
    let mut first = setting.planned(RETURN).await;
    let mut silent = setting.planned(VISIT).await;
    let mut second = setting.planned(READ).await;
    let mut foreign = setting.planned_by_another_organization(READ).await;
    setting
        .job_run(&mut [
            (&mut first, "counted"),
            (&mut silent, "visited"),
            (&mut second, "read"),
            (&mut foreign, "stolen"),
        ])
        .await;
    let runner = setting.runner(&[]);
    let first = setting.begin(first).await;
    assert_eq!(setting.ended(first).await.status(), Status::Completed);
    let silent = setting.begin(silent).await;
    setting.site.visit().await.let_go();
    assert_eq!(setting.ended(silent).await.status(), Status::Completed);

    let expected = Some(json!({ "read": { "counted": { "number": 7 } } }));
    let mut latest = setting.begin(second).await;
    assert_eq!(setting.ended(latest).await.status(), Status::Completed);
    assert_eq!(setting.output(latest).await, expected);
    for _ in 0..2 {
        let mut retry = setting.planned(READ).await;
        retry.retry_of_run_id = Some(latest);
        latest = setting.begin(retry).await;
        assert_eq!(setting.ended(latest).await.status(), Status::Completed);
        assert_eq!(setting.output(latest).await, expected);
    }

    // Neither a run of another organization, whatever it says of itself, nor one of no job run.
    for stranger in [foreign, setting.planned(READ).await] {
        let run = setting.begin(stranger).await;
        assert_eq!(setting.ended(run).await.status(), Status::Completed);
        assert_eq!(setting.output(run).await, Some(json!({ "read": {} })));
    }
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_frees_its_slot_fails_its_run_and_touches_no_other() {
    let setting = Setting::start().await;
    let runner = setting.runner(&[("LEGWORK_RUNNER_SLOTS", "2")]);
    let beside = setting.run(VISIT).await;
    let visit = setting.site.visit().await;
    // More than there are slots: each panic must have given its slot back.
    for _ in 0..3 {
        let panics = setting.run(PANIC).await;
        let ended = setting.ended(panics).await;
        assert_eq!(
            failure_code(&ended),
            Some(FailureCode::Internal),
            "{ended:?}"
        );
        assert_eq!(ended.current_state_name.as_deref(), Some("panicking"));
    }
    assert_eq!(setting.fresh(beside).await.status(), Status::InProgress);
    visit.let_go();
    assert_eq!(setting.ended(beside).await.status(), Status::Completed);
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_cannot_be_parsed_goes_to_the_dead_letter_queue_and_holds_nobody_up() {
    let setting = Setting::start().await;
    setting.send_to_run_queue("neither JSON nor a run").await;
    let runner = setting.runner(&[]);
    let run = setting.run(VISIT).await;
    setting.site.visit().await.let_go();
    assert_eq!(setting.ended(run).await.status(), Status::Completed);
    assert_eq!(setting.dead_letter().await, "neither JSON nor a run");
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_message_about_a_claimed_or_an_ended_run_does_nothing() {
    let setting = Setting::start().await;
    let runner = setting.runner(&[("LEGWORK_RUNNER_SLOTS", "2")]);
    let run = setting.run(VISIT).await;
    let visit = setting.site.visit().await;
    setting.enqueue(run).await;
    setting.until_the_queue_is_empty().await;
    visit.let_go();
    let ended = setting.ended(run).await;
    setting.enqueue(run).await;
    setting.until_the_queue_is_empty().await;
    assert_eq!(setting.fresh(run).await.history, ended.history);
    assert_eq!((ended.attempt, setting.site.visits()), (1, 1));
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_wakes_its_run_by_the_next_looks_and_the_code_is_kept_no_longer() {
    let setting = Setting::start().await;
    let gate = setting.gate().await;
    let runner = setting.runner_behind(&gate, &[]).await;
    let run = setting.run(ASK).await;
    let asked = setting
        .until(run, |run| run.status() == Status::AwaitingUserInput)
        .await;
    // A run that is woken reads its answer. Nothing else is read so meanwhile: the queue is empty.
    gate.hold_those_with("DynamoDB_20120810.GetItem", "ANSWER#");
    setting.answer(&asked, "123456").await;
    let looks = gate.passes(LOOK);
    gate.holds_one().await;
    // One of them sees the answer. How much time they take is no matter here, but each time that everything stands still
    // there may be one more.
    let looks = gate.passes(LOOK) - looks;
    assert!(looks <= 4, "{looks}");
    gate.open();
    assert_eq!(setting.ended(run).await.status(), Status::Completed);
    setting.has_no_answer_any_more(&asked).await;
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_there_before_its_runner_knows_that_it_has_asked_wakes_the_run_too() {
    let setting = Setting::start().await;
    let gate = setting.gate().await;
    let runner = setting.runner_behind(&gate, &[]).await;
    gate.lose_answers("DynamoDB_20120810.PutItem", "#STATUS#AWAITING_USER_INPUT");
    let run = setting.run(ASK).await;
    let asked = setting
        .until(run, |run| run.status() == Status::AwaitingUserInput)
        .await;
    setting.answer(&asked, "123456").await;
    gate.open();
    // The question itself has ten minutes.
    assert_eq!(setting.ended(run).await.status(), Status::Completed);
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_can_be_read_a_moment_later_than_its_run_is_used() {
    let setting = Setting::start().await;
    let gate = setting.gate().await;
    let runner = setting.runner_behind(&gate, &[]).await;
    let run = setting.run(ASK).await;
    let asked = setting
        .until(run, |run| run.status() == Status::AwaitingUserInput)
        .await;
    gate.hide("ANSWER#");
    setting.answer(&asked, "123456").await;
    gate.has_refused(1).await;
    gate.open();
    let ended = setting.ended(run).await;
    assert_eq!(ended.status(), Status::Completed, "{ended:?}");
    runner.stop().await;
}

/// No browser starts.
struct Broken;

#[async_trait::async_trait]
impl Sessions for Broken {
    async fn keep_ready(&self) {
        std::future::pending().await
    }

    async fn open(&self, _: &BrowserSettings, _: Option<Upstream>) -> Result<Session, NoSession> {
        Err(std::io::Error::other("no browser today").into())
    }

    async fn close(&self) {}
}

/// Browsers take longer to start than any test.
struct Starting;

#[async_trait::async_trait]
impl Sessions for Starting {
    async fn keep_ready(&self) {
        std::future::pending().await
    }

    async fn open(&self, _: &BrowserSettings, _: Option<Upstream>) -> Result<Session, NoSession> {
        std::future::pending().await
    }

    async fn close(&self) {}
}

/// Sends on which upstream proxy it is asked for, and starts no browser.
struct Noting(tokio::sync::mpsc::UnboundedSender<Option<Upstream>>);

#[async_trait::async_trait]
impl Sessions for Noting {
    async fn keep_ready(&self) {
        std::future::pending().await
    }

    async fn open(
        &self,
        _: &BrowserSettings,
        upstream: Option<Upstream>,
    ) -> Result<Session, NoSession> {
        self.0.send(upstream).expect("the test listens");
        Err(std::io::Error::other("no browser today").into())
    }

    async fn close(&self) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_has_the_proxy_of_its_input_and_its_organizations_secrets_or_fails() {
    let setting = Setting::start().await;
    setting.put_secret("proxy_password", "hunter22").await;
    let (sender, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let runner = setting.runner_with(Box::new(Noting(sender)), &[]);
    let behind = |url: &str| {
        format!(
            r#"{{"name": "Behind", "browser": {{"proxy":
            {{"url": "{url}", "username": "me", "password": "{{{{ secrets.proxy_password }}}}"}}}},
            "states": [{{"name": "a", "steps": [{{"goto": "{{{{ input.url }}}}"}}]}}]}}"#
        )
    };
    let wrong = setting.run(&behind("{{ input.url }}path")).await;
    let ended = setting.ended(wrong).await;
    assert_eq!(failure_code(&ended), Some(FailureCode::WorkflowInvalid));

    setting.run(&behind("{{ input.url }}")).await;
    let upstream = asked.recv().await.flatten().expect("a proxy");
    assert_eq!(
        format!("http://{}:{}", upstream.host, upstream.port),
        setting.site.url.trim_end_matches('/')
    );
    let credentials = upstream.credentials.expect("credentials");
    assert_eq!(
        (credentials.username.as_str(), credentials.password.as_str()),
        ("me", "hunter22")
    );
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_without_browsers_gives_a_run_back_and_leaves_it_to_others_for_a_while() {
    let setting = Setting::start().await;
    let broken = setting.runner_with(Box::new(Broken), &[]);
    let run = setting.run(VISIT).await;
    let given_back = setting
        .until(run, |run| {
            run.attempt > 0 && run.status() == Status::Pending
        })
        .await;
    assert_eq!(given_back.executions, 0);
    // Until it stops, it may take the run again.
    broken.begin_to_stop();
    let runner = setting.runner(&[]);
    setting.site.visit().await.let_go();
    let ended = setting.ended(run).await;
    assert_eq!(
        (ended.status(), ended.executions),
        (Status::Completed, 1),
        "{ended:?}"
    );
    assert!(ended.attempt > given_back.attempt, "{ended:?}");
    broken.stopped().await;
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_for_a_person_has_no_slot_up_to_the_bound_and_keeps_its_slot_over_it() {
    let setting = Setting::start().await;
    let slots = [
        ("LEGWORK_RUNNER_SLOTS", "1"),
        ("LEGWORK_RUNNER_WAITING_SLOTS", "1"),
    ];
    let runner = setting.runner(&slots);
    let awaits = |run| setting.until(run, |run| run.status() == Status::AwaitingUserInput);
    let first = setting.run(ASK).await;
    let first_asked = awaits(first).await;
    // The only slot is free again, so a second one is taken; it waits too, and keeps the slot.
    let second = setting.run(ASK).await;
    let second_asked = awaits(second).await;
    let third = setting.run(VISIT).await;
    assert_eq!(setting.fresh(third).await.status(), Status::Pending);
    setting.answer(&second_asked, "1").await;
    assert_eq!(setting.ended(second).await.status(), Status::Completed);
    setting.site.visit().await.let_go();
    assert_eq!(setting.ended(third).await.status(), Status::Completed);
    setting.answer(&first_asked, "1").await;
    assert_eq!(setting.ended(first).await.status(), Status::Completed);
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_found_no_place_to_wait_in_takes_the_next_one_and_frees_its_slot() {
    let setting = Setting::start().await;
    let slots = [
        ("LEGWORK_RUNNER_SLOTS", "1"),
        ("LEGWORK_RUNNER_WAITING_SLOTS", "1"),
    ];
    let runner = setting.runner(&slots);
    let awaits = |run| setting.until(run, |run| run.status() == Status::AwaitingUserInput);
    let first = awaits(setting.run(ASK).await).await;
    let second = awaits(setting.run(ASK).await).await;
    let third = setting.run(VISIT).await;
    setting.answer(&first, "1").await;
    assert_eq!(setting.ended(first.id).await.status(), Status::Completed);
    // The second one still waits, and the third one has its slot.
    setting.site.visit().await.let_go();
    assert_eq!(setting.ended(third).await.status(), Status::Completed);
    setting.answer(&second, "1").await;
    assert_eq!(setting.ended(second.id).await.status(), Status::Completed);
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_were_answered_count_against_the_bound() {
    let setting = Setting::start().await;
    let slots = [
        ("LEGWORK_RUNNER_SLOTS", "1"),
        ("LEGWORK_RUNNER_WAITING_SLOTS", "1"),
    ];
    let runner = setting.runner(&slots);
    let mut visits = Vec::new();
    for _ in 0..2 {
        let run = setting.run(ASK_AND_VISIT).await;
        let asked = setting
            .until(run, |run| run.status() == Status::AwaitingUserInput)
            .await;
        setting.answer(&asked, "1").await;
        visits.push((run, setting.site.visit().await));
    }
    // Both are in work, which is all that the runner may have.
    let third = setting.run(VISIT).await;
    let early = tokio::time::timeout(Duration::from_secs(1), setting.site.visit()).await;
    assert!(early.is_err(), "a third run is in work");
    assert_eq!(setting.fresh(third).await.status(), Status::Pending);
    for (run, visit) in visits {
        visit.let_go();
        assert_eq!(setting.ended(run).await.status(), Status::Completed);
    }
    setting.site.visit().await.let_go();
    assert_eq!(setting.ended(third).await.status(), Status::Completed);
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_ends_at_its_deadline_and_a_late_answer_is_refused() {
    let setting = Setting::start().await;
    let gate = setting.gate().await;
    let (operation, text) = GOES_ON;
    gate.hold_those_with(operation, text);
    let runner = setting.runner_behind(&gate, &[]).await;
    let run = setting.run(ASK_SHORTLY).await;
    let asked = setting
        .until(run, |run| run.status() == Status::AwaitingUserInput)
        .await;
    let Phase::AwaitingUserInput { request, .. } = &asked.phase else {
        panic!("{asked:?}")
    };
    // There is no sweeper here: it ends by the runner's own timer, or not at all.
    gate.holds_one().await;
    gate.open();
    let ended = setting.ended(run).await;
    assert_eq!(
        failure_code(&ended),
        Some(FailureCode::UserInputTimeout),
        "{ended:?}"
    );
    let unanswered = ended.history.iter().find(|entry| entry.is_unanswered);
    let at = unanswered.expect("it went on").at;
    assert!(at >= request.expires_at, "{ended:?}");
    let late = at.since(request.expires_at);
    assert!(late < Duration::from_secs(15), "{late:?}");
    setting.answer_is_refused(&ended, request.id).await;
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_nobody_answers_cleans_up_before_it_fails() {
    let setting = Setting::start().await;
    let runner = setting.runner(&[]);
    let run = setting.run(ASK_SHORTLY_AND_CLEAN_UP).await;
    let ended = setting.ended(run).await;
    let Phase::Failed(failure) = &ended.phase else {
        panic!("{ended:?}")
    };
    assert_eq!(failure.code, FailureCode::UserInputTimeout, "{ended:?}");
    assert_eq!(failure.state.as_deref(), Some("asking"));
    assert_eq!(ended.current_state_name.as_deref(), Some("cleaning_up"));
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_after_a_question_that_nobody_answers_where_its_workflow_says_so() {
    let setting = Setting::start().await;
    let runner = setting.runner(&[]);
    let run = setting.run(ASK_SHORTLY_AND_GO_ON).await;
    let ended = setting.ended(run).await;
    assert_eq!(ended.status(), Status::Completed, "{ended:?}");
    let code = "USER_INPUT_TIMEOUT";
    assert_eq!(
        setting.output(run).await,
        Some(json!({ "first": code, "second": code }))
    );
    // Each of the three is told as what it was.
    let unanswered = ended.history.iter().filter(|entry| entry.is_unanswered);
    assert_eq!(unanswered.count(), 3);
    let received = events_of(&ended)
        .into_iter()
        .filter(|event| event.event_type == EventType::RunUserInputReceived);
    assert_eq!(received.count(), 0);
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_taken_at_the_deadline_is_used() {
    let setting = Setting::start().await;
    let gate = setting.gate().await;
    let (operation, text) = GOES_ON;
    gate.hold_those_with(operation, text);
    let runner = setting.runner_behind(&gate, &[]).await;
    let run = setting.run(ASK_SHORTLY).await;
    let asked = setting
        .until(run, |run| run.status() == Status::AwaitingUserInput)
        .await;
    // Its time is over for the runner, which is about to go on.
    gate.holds_one().await;
    let answered = setting.answer_by_a_slow_clock(&asked).await;
    assert!(matches!(answered, Transition::Committed(_)), "{answered:?}");
    gate.open();
    assert_eq!(setting.ended(run).await.status(), Status::Completed);
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_after_the_run_has_gone_on_is_refused_by_every_clock() {
    let setting = Setting::start().await;
    let gate = setting.gate().await;
    let (operation, text) = GOES_ON;
    gate.hold_those_with(operation, text);
    let runner = setting.runner_behind(&gate, &[]).await;
    let run = setting.run(ASK_SHORTLY).await;
    let asked = setting
        .until(run, |run| run.status() == Status::AwaitingUserInput)
        .await;
    // It goes on, and doesn't know it.
    gate.lose_answers(operation, text);
    setting
        .until(run, |run| run.status() == Status::InProgress)
        .await;
    let answered = setting.answer_by_a_slow_clock(&asked).await;
    let Transition::Rejected { why, .. } = &answered else {
        panic!("{answered:?}")
    };
    assert_eq!(*why, Rejected::WrongStatus(Status::InProgress));
    gate.open();
    let ended = setting.ended(run).await;
    assert_eq!(
        failure_code(&ended),
        Some(FailureCode::UserInputTimeout),
        "{ended:?}"
    );
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_stops_finishes_what_fits_and_takes_nothing_new() {
    let setting = Setting::start().await;
    let settings = [
        ("LEGWORK_RUNNER_SLOTS", "2"),
        ("LEGWORK_STOP_TIMEOUT_SECONDS", "60"),
    ];
    let runner = setting.runner(&settings);
    let run = setting.run(VISIT).await;
    let visit = setting.site.visit().await;
    runner.begin_to_stop();
    let new = setting.run(VISIT).await;
    visit.let_go();
    assert_eq!(setting.ended(run).await.status(), Status::Completed);
    runner.stopped().await;
    assert_eq!(setting.fresh(new).await.status(), Status::Pending);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_stops_gives_back_by_the_retry_policy_what_does_not_fit() {
    let setting = Setting::start().await;
    let settings = [
        ("LEGWORK_RUNNER_SLOTS", "2"),
        ("LEGWORK_STOP_TIMEOUT_SECONDS", "0"),
    ];
    let runner = setting.runner(&settings);
    let once = setting.run(VISIT).await;
    let _visit = setting.site.visit().await;
    let again = setting.run(VISIT_AGAIN).await;
    let _another = setting.site.visit().await;
    runner.stop().await;
    let once = setting.fresh(once).await;
    assert_eq!(
        failure_code(&once),
        Some(FailureCode::WorkerLost),
        "{once:?}"
    );
    let again = setting.fresh(again).await;
    assert_eq!(
        (again.status(), again.executions),
        (Status::Pending, 1),
        "{again:?}"
    );

    let runner = setting.runner(&[]);
    setting.site.visit().await.let_go();
    let again = setting.ended(again.id).await;
    assert_eq!(
        (again.status(), again.executions),
        (Status::Completed, 2),
        "{again:?}"
    );
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_stops_gives_back_at_once_what_has_not_begun_its_first_step() {
    let setting = Setting::start().await;
    let settings = [
        ("LEGWORK_RUNNER_SLOTS", "1"),
        ("LEGWORK_STOP_TIMEOUT_SECONDS", "3600"),
    ];
    let stopping = setting.runner_with(Box::new(Starting), &settings);
    let run = setting.run(VISIT).await;
    setting
        .until(run, |run| run.status() == Status::InProgress)
        .await;
    stopping.stop().await;
    let given_back = setting.fresh(run).await;
    assert_eq!(
        (given_back.status(), given_back.executions),
        (Status::Pending, 0),
        "{given_back:?}"
    );
    // It may be executed once only, and has not been yet.
    let runner = setting.runner(&[]);
    setting.site.visit().await.let_go();
    let ended = setting.ended(run).await;
    assert_eq!(
        (ended.status(), ended.attempt, ended.executions),
        (Status::Completed, 2, 1),
        "{ended:?}"
    );
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_stops_lets_a_run_go_on_whose_first_state_is_about_to_be_entered() {
    let setting = Setting::start().await;
    let gate = setting.gate().await;
    let settings = [
        ("LEGWORK_RUNNER_SLOTS", "1"),
        ("LEGWORK_STOP_TIMEOUT_SECONDS", "60"),
    ];
    let stopping = setting.runner_behind(&gate, &settings).await;
    gate.lose_answers("DynamoDB_20120810.PutItem", "visiting");
    let run = setting.run(VISIT).await;
    gate.holds_one().await;
    stopping.begin_to_stop();
    gate.open();
    setting.site.visit().await.let_go();
    let ended = setting.ended(run).await;
    assert_eq!(ended.status(), Status::Completed, "{ended:?}");
    stopping.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_given_back_is_in_the_queue_at_once_also_where_its_runner_sees_it_before_the_answer()
 {
    let setting = Setting::start().await;
    let gate = setting.gate().await;
    let settings = [
        ("LEGWORK_RUNNER_SLOTS", "1"),
        ("LEGWORK_STOP_TIMEOUT_SECONDS", "3600"),
    ];
    let stopping = setting
        .runner_behind_with(&gate, Box::new(Starting), &settings)
        .await;
    let run = setting.run(VISIT).await;
    setting
        .until(run, |run| run.status() == Status::InProgress)
        .await;
    gate.lose_answers("DynamoDB_20120810.PutItem", "#STATUS#PENDING");
    stopping.begin_to_stop();
    gate.holds_one().await;
    // Once it looks for the second time, it has seen what the first look has brought.
    gate.has_passed(LOOK, gate.passes(LOOK) + 2).await;
    gate.open();
    stopping.stopped().await;
    assert_eq!(setting.fresh(run).await.status(), Status::Pending);
    let messages = setting
        .store
        .receive(Queue::Runs, 1, Duration::from_secs(5))
        .await;
    assert_eq!(messages.expect("the queue answers").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_waits_before_it_is_executed_again_and_a_message_that_comes_too_early_is_held_back() {
    let setting = Setting::start().await;
    // Its first message stays in the queue, and is there too early for its second execution.
    let run = setting.run(VISIT_LATER).await;
    let lost = setting.lost_in_its_first_state(run).await;
    let not_before = lost.history.last().expect("it was created").not_before;
    assert!(not_before > Some(lost.updated_at()));
    let runner = setting.runner(&[]);
    setting.site.visit().await.let_go();
    let ended = setting.ended(run).await;
    assert_eq!(
        (ended.status(), ended.executions),
        (Status::Completed, 2),
        "{ended:?}"
    );
    let claimed = ended.history.iter().find(|entry| entry.attempt == 2);
    assert!(claimed.map(|entry| entry.at) >= not_before, "{ended:?}");
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_gives_an_execution_back_enqueues_the_next_one_for_when_it_may_begin() {
    let setting = Setting::start().await;
    let settings = [("LEGWORK_STOP_TIMEOUT_SECONDS", "0")];
    let stopping = setting.runner(&settings);
    let run = setting.run(VISIT_LATER).await;
    let _visit = setting.site.visit().await;
    stopping.stop().await;
    let given_back = setting.fresh(run).await;
    assert!(
        !given_back
            .waits_for_retry(given_back.updated_at())
            .is_zero()
    );
    let runner = setting.runner(&[]);
    setting.site.visit().await.let_go();
    assert_eq!(setting.ended(run).await.executions, 2);
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_must_stop_while_a_run_waits_for_a_person_says_so_in_the_run() {
    let setting = Setting::start().await;
    let runner = setting.runner(&[("LEGWORK_STOP_TIMEOUT_SECONDS", "0")]);
    let run = setting.run(ASK).await;
    setting
        .until(run, |run| run.status() == Status::AwaitingUserInput)
        .await;
    runner.stop().await;
    let run = setting.fresh(run).await;
    let Phase::Failed(failure) = &run.phase else {
        panic!("{run:?}")
    };
    assert_eq!(failure.code, FailureCode::WorkerLost);
    assert!(
        failure
            .message
            .contains("while the run waited for a person"),
        "{}",
        failure.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_drains_takes_nothing_new_and_ends_what_it_has_whatever_the_stop_timeout() {
    let setting = Setting::start().await;
    let settings = [
        ("LEGWORK_RUNNER_SLOTS", "2"),
        ("LEGWORK_STOP_TIMEOUT_SECONDS", "0"),
    ];
    let runner = setting.runner(&settings);
    let run = setting.run(VISIT).await;
    let visit = setting.site.visit().await;
    let waits = setting.run(ASK).await;
    let asked = setting
        .until(waits, |run| run.status() == Status::AwaitingUserInput)
        .await;
    runner.begin_to_drain();
    let new = setting.run(VISIT).await;
    visit.let_go();
    assert_eq!(setting.ended(run).await.status(), Status::Completed);
    setting.answer(&asked, "1").await;
    assert_eq!(setting.ended(waits).await.status(), Status::Completed);
    runner.stopped().await;
    assert_eq!(setting.fresh(new).await.status(), Status::Pending);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_drains_by_itself_after_its_time_also_if_it_is_never_idle() {
    let setting = Setting::start().await;
    let runs = [setting.run(VISIT).await, setting.run(VISIT).await];
    let settings = [
        ("LEGWORK_RUNNER_DRAIN_AFTER_SECONDS", "3"),
        ("LEGWORK_RUNNER_SLOTS", "1"),
    ];
    let runner = setting.runner(&settings);
    // On a machine that is too slow for that, it drains before it has claimed a run.
    let visit = tokio::select! {
        visit = setting.site.visit() => Some(visit),
        () = runner.until_it_drains() => None,
    };
    runner.until_it_drains().await;
    let had_a_run = visit.is_some();
    if let Some(visit) = visit {
        visit.let_go();
    }
    // Or it was just claiming one.
    let visits = async {
        loop {
            setting.site.visit().await.let_go();
        }
    };
    tokio::select! {
        () = runner.stopped() => {}
        () = visits => {}
    }
    let mut ended = 0;
    for run in runs {
        let status = setting.fresh(run).await.status();
        assert!(
            matches!(status, Status::Completed | Status::Pending),
            "{status}"
        );
        ended += u32::from(status == Status::Completed);
    }
    assert!(ended < 2, "the one that was behind the first has ended too");
    assert!(ended == 1 || !had_a_run, "it has dropped the one it had");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_lost_its_lease_to_another_stops_and_changes_nothing() {
    let setting = Setting::start().await;
    let runner = setting.runner(&[]);
    let run = setting.run(VISIT_AGAIN).await;
    let visit = setting.site.visit().await;
    let held = setting.until(run, |run| run.executions == 1).await;
    // What the sweeper and another runner do when this one is thought dead.
    let taken = setting
        .commit(held, Event::LeaseExpired { attempt: 1 })
        .await;
    let claim = Event::Claimed {
        worker_id: "another".to_owned(),
        lease: Duration::from_secs(30),
    };
    let taken = setting.commit(taken, claim).await;
    let lease = Lease {
        attempt: taken.attempt,
        expires_at: now().plus(Duration::from_secs(30)),
    };
    assert!(
        setting
            .store
            .renew_lease(run, lease)
            .await
            .expect("the store answers")
    );
    // It lets the browser go before the page has answered.
    visit.given_up().await;
    runner.stop().await;
    assert_eq!(setting.fresh(run).await.history, taken.history);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_can_renew_no_lease_stops_the_run_by_itself_and_works_on_when_it_can() {
    let setting = Setting::start().await;
    let gate = setting.gate().await;
    let settings = [
        ("LEGWORK_RUNNER_SLOTS", "1"),
        // The second run has it too, and must not lose it because everything stands still for a moment.
        ("LEGWORK_LEASE_SECONDS", "8"),
        ("LEGWORK_HEARTBEAT_SECONDS", "2"),
    ];
    let runner = setting.runner_behind(&gate, &settings).await;
    let run = setting.run(VISIT_AGAIN).await;
    let visit = setting.site.visit().await;
    let held = setting.until(run, |run| run.executions == 1).await;
    gate.close_to("DynamoDB_20120810.PutItem");
    // It lets the browser go before the page has answered, although nobody has taken the run from it.
    visit.given_up().await;
    assert_eq!(setting.fresh(run).await, held);
    gate.open();
    let next = setting.run(VISIT).await;
    setting.site.visit().await.let_go();
    assert_eq!(setting.ended(next).await.status(), Status::Completed);
    runner.stop().await;
    assert_eq!(setting.fresh(run).await, held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_stops_when_its_runner_looks_next_and_frees_its_slot() {
    let setting = Setting::start().await;
    let gate = setting.gate().await;
    let runner = setting
        .runner_behind(&gate, &[("LEGWORK_RUNNER_SLOTS", "1")])
        .await;
    let run = setting.run(VISIT).await;
    let visit = setting.site.visit().await;
    let held = setting.until(run, |run| run.executions == 1).await;
    let canceled = setting.commit(held, Event::Canceled).await;
    let looks = gate.passes(LOOK);
    visit.given_up().await;
    // One sees it. How much time they take is no matter here, but each time that everything stands still there may be
    // one more.
    let looks = gate.passes(LOOK) - looks;
    assert!(looks <= 4, "{looks}");
    let next = setting.run(VISIT).await;
    setting.site.visit().await.let_go();
    assert_eq!(setting.ended(next).await.status(), Status::Completed);
    assert_eq!(setting.fresh(run).await.history, canceled.history);
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_the_sweeper_ended_at_its_deadline_cleans_up_and_nothing_of_it_is_committed() {
    let setting = Setting::start().await;
    let runner = setting.runner(&[]);
    let run = setting.run(VISIT_AND_CLEAN_UP).await;
    let visit = setting.site.visit().await;
    let held = setting.until(run, |run| run.executions == 1).await;
    let long_after = now().plus(Duration::from_secs(3600));
    let ended = setting
        .commit_at(held, Event::WorkDeadlinePassed, long_after)
        .await;
    let cleaning_up = setting.site.visit().await;
    visit.given_up().await;
    cleaning_up.let_go();
    // It holds its slot until it has cleaned up.
    runner.stop().await;
    assert_eq!(setting.fresh(run).await.history, ended.history);
    assert_eq!(setting.site.visits(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_refuses_while_a_run_is_prepared_costs_it_no_attempt() {
    let setting = Setting::start().await;
    setting.put_secret("password", "hunter22").await;
    let gate = setting.gate().await;
    gate.close_to("TrentService.Decrypt");
    let runner = setting.runner_behind(&gate, &[]).await;
    let run = setting.run(USE_A_SECRET).await;
    // The SDK itself tries a call three times.
    gate.has_refused(4).await;
    gate.open();
    let ended = setting.ended(run).await;
    assert_eq!(
        (ended.status(), ended.attempt),
        (Status::Completed, 1),
        "{ended:?}"
    );
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_input_is_gone_or_cannot_be_read_fails_at_once_and_visits_nothing() {
    let setting = Setting::start().await;
    let mut new = Vec::new();
    for _ in 0..2 {
        let planned = setting.planned(VISIT_AGAIN).await;
        new.push(setting.write(planned).await);
    }
    let partition = |index: usize| format!("RUN#{}", new[index].id);
    store::local::delete(&setting.store, &partition(0), "INPUT")
        .await
        .expect("the item is deleted");
    store::local::set_attribute(&setting.store, &partition(1), "INPUT", "json", "{")
        .await
        .expect("the item is written");
    let runner = setting.runner(&[]);
    for run in &new {
        setting.enqueue(run.id).await;
        let ended = setting.ended(run.id).await;
        assert_eq!(
            (failure_code(&ended), ended.attempt),
            (Some(FailureCode::Internal), 1),
            "{ended:?}"
        );
    }
    assert_eq!(setting.site.visits(), 0);
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_whose_claims_are_refused_leaves_the_queue_to_others_for_a_while() {
    let setting = Setting::start().await;
    for _ in 0..5 {
        setting.run(VISIT).await;
    }
    let gate = setting.gate().await;
    gate.deny("DynamoDB_20120810.GetItem");
    let runner = setting.runner_behind(&gate, &[]).await;
    gate.has_refused(1).await;
    let first = Instant::now();
    // Each refusal hides a message for half a minute, and the fifth one would take it out of the queue.
    gate.has_refused(3).await;
    assert!(
        first.elapsed() > Duration::from_secs(1),
        "{:?}",
        first.elapsed()
    );
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_cannot_be_read_make_no_other_one_wait() {
    let setting = Setting::start().await;
    for _ in 0..4 {
        let broken = setting.run(VISIT).await;
        let partition = format!("RUN#{broken}");
        store::local::set_attribute(&setting.store, &partition, "RUN", "phase", "broken")
            .await
            .expect("the item is written");
    }
    let run = setting.run(VISIT).await;
    let runner = setting.runner(&[]);
    let began = Instant::now();
    setting.site.visit().await.let_go();
    // It had to wait for 21 s if each of them meant that nothing can be claimed here.
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(setting.ended(run).await.status(), Status::Completed);
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_drains_hands_back_what_its_open_receive_still_brings() {
    let setting = Setting::start().await;
    let gate = setting.gate().await;
    let runner = setting.runner_behind(&gate, &[]).await;
    gate.has_passed("AmazonSQS.ReceiveMessage", 1).await;
    runner.begin_to_drain();
    let run = setting.run(VISIT).await;
    runner.stopped().await;
    assert_eq!(setting.fresh(run).await.attempt, 0);
    // Had it hung up, the message would be hidden for half a minute.
    let messages = setting
        .store
        .receive(Queue::Runs, 1, Duration::from_secs(5))
        .await;
    assert_eq!(messages.expect("the queue answers").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_is_told_to_drain_while_it_claims_a_run_receives_nothing_more() {
    let setting = Setting::start().await;
    let run = setting.run(VISIT).await;
    let gate = setting.gate().await;
    gate.hold("DynamoDB_20120810.GetItem");
    let runner = setting.runner_behind(&gate, &[]).await;
    gate.holds_one().await;
    let received = gate.passes("AmazonSQS.ReceiveMessage");
    runner.begin_to_drain();
    gate.open();
    setting.site.visit().await.let_go();
    runner.stopped().await;
    assert_eq!(setting.fresh(run).await.status(), Status::Completed);
    assert_eq!(gate.passes("AmazonSQS.ReceiveMessage"), received);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_is_told_to_stop_while_a_claim_hangs_is_gone_in_its_time() {
    let setting = Setting::start().await;
    setting.run(VISIT).await;
    let gate = setting.gate().await;
    gate.hold("DynamoDB_20120810.GetItem");
    let settings = [("LEGWORK_STOP_TIMEOUT_SECONDS", "0")];
    let runner = setting.runner_behind(&gate, &settings).await;
    gate.holds_one().await;
    let told = Instant::now();
    runner.stop().await;
    // Five seconds are for last writes. The claim would take half a minute.
    assert!(
        told.elapsed() < Duration::from_secs(15),
        "{:?}",
        told.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admission_that_loses_a_race_with_the_sweeper_lets_the_run_in_all_the_same() {
    let setting = Setting::start().await;
    let run = setting.waiting(VISIT).await;
    let gate = setting.gate().await;
    gate.hold("DynamoDB_20120810.PutItem");
    let store = setting.store_behind(&gate).await;
    let admission = store.admit_waiting(run.organization_id, JustNow::Nothing, now());
    let race = async {
        gate.holds_one().await;
        // What the sweeper writes about a run that goes on waiting.
        let looked_at = run.enqueued_again(now());
        let postponed = setting.store.postpone_run(&run, &looked_at).await;
        assert!(postponed.expect("the store answers"));
        gate.open();
    };
    let (admitted, ()) = tokio::join!(admission, race);
    assert_eq!(admitted.expect("the store answers"), 1);
    let runner = setting.runner(&[]);
    setting.site.visit().await.let_go();
    assert_eq!(setting.ended(run.id).await.status(), Status::Completed);
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_just_began_to_wait_is_let_in_although_the_index_does_not_show_it_yet() {
    let setting = Setting::start().await;
    let run = setting.waiting(VISIT).await;
    let pk = format!("RUN#{}", run.id);
    let held = format!("ORG#{}#STATUS#PENDING#HELD", run.organization_id);
    store::local::set_attribute(&setting.store, &pk, "RUN", "byStatus", &held)
        .await
        .expect("the attribute is written");
    for (just_now, admitted) in [(JustNow::Nothing, 0), (JustNow::Waits(run.id), 1)] {
        let found = setting
            .store
            .admit_waiting(run.organization_id, just_now, now())
            .await;
        assert_eq!(found.expect("the store answers"), admitted, "{just_now:?}");
    }
    assert!(!setting.fresh(run.id).await.waits_for_admission());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_organization_with_many_runs_does_not_starve_another() {
    let setting = Setting::start().await;
    let limit = [
        ("LEGWORK_CONCURRENT_RUNS", "2"),
        ("LEGWORK_RUNNER_SLOTS", "4"),
    ];
    // Their messages are all in the queue, as if they had been created at the same moment, before another one's.
    let mut many = Vec::new();
    for _ in 0..30 {
        many.push(setting.run(VISIT).await);
    }
    let other = setting.run_of_another_organization(VISIT).await;
    let runner = setting.runner(&limit);
    let visits = [
        setting.site.visit().await,
        setting.site.visit().await,
        setting.site.visit().await,
    ];
    assert_eq!(setting.fresh(other).await.status(), Status::InProgress);
    let mut in_work = 0;
    let mut waiting = 0;
    setting.until_the_queue_is_empty().await;
    for run in &many {
        let run = setting.fresh(*run).await;
        in_work += u32::from(run.status() == Status::InProgress);
        waiting += u32::from(run.waits_for_admission());
    }
    assert_eq!((in_work, waiting), (2, 28));
    for visit in visits {
        visit.let_go();
    }
    setting.ended(other).await;
    runner.stop().await;
}
