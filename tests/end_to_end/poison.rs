//! What kills whoever takes it, and what nobody can read.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use platform::configuration::{Environment, Resources};
use rustix::process::Signal;
use serde_json::{Value, json};
use store::local::{everything, messages};

use crate::stack::{Stack, signal};

/// Leases that end soon, but not because a machine that is busy stands still for a few seconds, and no browser before there
/// is a run.
const SETTINGS: [(&str, &str); 3] = [
    ("LEGWORK_LEASE_SECONDS", "6"),
    ("LEGWORK_HEARTBEAT_SECONDS", "1"),
    ("LEGWORK_BROWSER_POOL", "0"),
];

const EMPTY: &str =
    "name: Empty\nstates:\n  - name: beginning\n    steps:\n      - set: { begun: true }\n";

/// In the place of a browser: it kills the runner that starts it. That is looked at first, so that nothing else is ever
/// killed.
const KILLER: &str = r#"#!/bin/sh
runner=$(tr '\0' ' ' < "/proc/$PPID/cmdline")
case "$runner" in
  *"legwork runner "*)
    echo "$PPID" >> "${0%/*}/killed"
    kill -KILL "$PPID"
    ;;
esac
"#;

/// A stack whose queues soon give back what was received and not deleted: the emulator gives a dead receiver's open poll
/// one more message, and a function's queue waits for six of the function's time-outs.
fn start(settings: &[(&str, &str)]) -> Stack {
    let stack = Stack::start(settings);
    let connection = stack.connection();
    for queue in ["runQueueUrl", "deliveryQueueUrl"] {
        let url = stack.setting(queue);
        let set = messages::set_visibility(&connection, &url, 1);
        stack.block_on(set).expect("the queue takes it");
    }
    stack
}

fn create(stack: &Stack, workflow: &str) -> String {
    let body = json!({ "workflowId": workflow });
    let (status, run) = stack.call("apiKey", "POST", "/workflow-runs", Some(&body));
    assert_eq!(status, 201, "{run}");
    run["id"].as_str().expect("an id").to_owned()
}

fn has_ended(run: &Value) -> bool {
    run["completedAt"] != Value::Null
}

fn assert_sequence_is_whole(run: &Value) {
    let history = run["stateHistory"].as_array().expect("a history");
    let sequences = history.iter().map(|entry| entry["sequence"].as_u64());
    let expected = 1..=run["sequence"].as_u64().expect("a number");
    assert!(sequences.eq(expected.map(Some)), "{run:#}");
}

#[test]
fn a_run_that_kills_its_worker_each_time_at_the_browsers_start_ends_at_its_attempt_limit() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let killer = folder.path().join("killer");
    fs::write(&killer, KILLER).expect("a script");
    fs::set_permissions(&killer, Permissions::from_mode(0o755)).expect("an executable");
    let mut settings = SETTINGS.to_vec();
    settings.push(("LEGWORK_CHROMIUM", killer.to_str().expect("text")));
    let mut stack = start(&settings);
    let workflow = stack.register(EMPTY);
    let id = create(&stack, &workflow);

    // Five leases must end.
    let run = stack.run_within(
        Duration::from_secs(180),
        &id,
        "the run has ended",
        has_ended,
    );
    assert_eq!(run["status"], "FAILED");
    assert_eq!(run["failure"]["code"], "WORKER_LOST");
    assert_eq!(run["currentStateName"], Value::Null, "it never began");
    assert_eq!(run["attempt"], 5);
    assert_sequence_is_whole(&run);
    let killed = fs::read_to_string(folder.path().join("killed")).expect("runners were killed");
    assert_eq!(killed.lines().count(), 5, "one runner for each attempt");
}

#[test]
fn a_run_that_kills_its_worker_each_time_in_a_step_ends_at_the_limit_of_its_workflow() {
    let mut stack = start(&SETTINGS);
    let workflow = stack.register(
        "name: Killing\nretry: { maxAttempts: 3, delay: 0s }\nstates:\n  - name: killing\n    steps:\n      \
         - waitFor: { time: 5m }\n",
    );
    let id = create(&stack, &workflow);
    let mut killed = 0;
    for attempt in 1..=3 {
        stack.run_when(&id, "the next attempt is in its step", |run| {
            let history = run["stateHistory"].as_array().expect("a history");
            let of_it = history.iter().filter(|entry| entry["attempt"] == attempt);
            // The claim, and the state.
            of_it.count() == 2 && run["status"] == "IN_PROGRESS"
        });
        let runner = stack.until("local.json names the runner that has it", |stack| {
            stack
                .workers()
                .first()
                .copied()
                .filter(|pid| *pid != killed)
        });
        signal(runner, Signal::KILL);
        killed = runner;
    }
    let run = stack.run_when(&id, "the run has ended", has_ended);
    assert_eq!(run["status"], "FAILED");
    assert_eq!(run["failure"]["code"], "WORKER_LOST");
    assert_eq!(run["failure"]["state"], "killing");
    assert_eq!(run["attempt"], 3);
    assert_sequence_is_whole(&run);

    // Whoever is started last still works.
    let next = stack.register(EMPTY);
    let next = create(&stack, &next);
    let next = stack.run_when(&next, "the next run has ended", has_ended);
    assert_eq!(next["status"], "COMPLETED");
}

#[test]
fn what_nobody_can_read_goes_to_the_dead_letter_queue_and_redriving_that_is_harmless() {
    const UNREADABLE: &str = "neither JSON nor anything else";
    let mut stack = start(&[]);
    let hook = json!({ "url": format!("{}/hook", stack.setting("webhookReceiverUrl")) });
    let (status, _) = stack.call("apiKey", "POST", "/webhook-endpoints", Some(&hook));
    assert_eq!(status, 201);
    let workflow = stack.register(EMPTY);
    let id = create(&stack, &workflow);
    let run = stack.run_when(&id, "the run has ended", has_ended);
    stack.until("its end is told", |stack| {
        (!stack.webhooks().is_empty()).then_some(())
    });

    let connection = stack.connection();
    let queues = [
        stack.setting("runQueueUrl"),
        stack.setting("deliveryQueueUrl"),
    ];
    let dead = queues.clone().map(|queue| {
        let of_it = messages::dead_letter_queue_of(&connection, &queue);
        stack.block_on(of_it).expect("the queue names it")
    });
    let count = |stack: &Stack, queue: &str| {
        let counted = stack.block_on(messages::count(&connection, queue));
        counted.expect("the queue answers")
    };
    let send = |stack: &Stack, queue: &str, body: &str| {
        let sent = stack.block_on(messages::send(&connection, queue, body));
        sent.expect("the queue takes it");
    };
    for queue in &queues {
        send(&stack, queue, UNREADABLE);
    }
    let only_the_unreadable_is_dead = |stack: &mut Stack| {
        stack.until("only what nobody can read is left, and given up", |stack| {
            let lives = queues.iter().map(|queue| count(stack, queue)).sum::<u32>();
            let given_up = dead.each_ref().map(|queue| count(stack, queue));
            (lives == 0 && given_up == [1, 1]).then_some(())
        });
    };
    only_the_unreadable_is_dead(&mut stack);

    // Beside it, what some trouble of the past could have left there: messages about what is long done.
    let resources = Environment::from_iter([("LEGWORK_TABLE", stack.setting("tableName"))]);
    let resources = Resources::read(&resources).expect("a table's name");
    let store = store::Store::new(&connection, resources);
    let items = stack.block_on(everything::items(&store));
    let items = items.expect("the table can be read");
    let about_the_run = format!("RUN#{id}");
    let of_the_run = |sort: &str| {
        let is_it = |item: &&Value| {
            item["pk"] == about_the_run.as_str()
                && item["sk"].as_str().is_some_and(|key| key.starts_with(sort))
        };
        items.iter().find(is_it).expect("the run has it").clone()
    };
    let organization = &of_the_run("RUN")["organizationId"];
    let stale = [
        json!({ "runId": id, "orgId": organization }),
        json!({ "runId": id, "key": of_the_run("DLV#")["sk"] }),
    ];
    for (queue, body) in dead.iter().zip(&stale) {
        send(&stack, queue, &body.to_string());
    }
    let told = stack.webhooks();

    for queue in &queues {
        let moved = stack.block_on(messages::redrive(&connection, queue));
        assert_eq!(moved.expect("the queues answer"), 2);
    }
    only_the_unreadable_is_dead(&mut stack);
    assert_eq!(stack.run(&id), run, "a finished run never changes again");
    assert_eq!(stack.webhooks(), told, "what arrived is not sent again");
    let next = create(&stack, &workflow);
    let next = stack.run_when(&next, "the next run has ended", has_ended);
    assert_eq!(next["status"], "COMPLETED");
}
