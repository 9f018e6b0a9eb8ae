//! The figures that docs/performance.md keeps. `cargo bench -p cli --bench figures` prints all of them; names after ` -- `
//! choose some: `stack` (how soon it is ready, how soon a run is picked up, what it weighs when it is idle), `cold-start`
//! (how soon the api function answers), `lists` (what a page of runs costs), `creates` (runs created a second), `sweep`
//! (how soon 10,000 overdue items are dealt with), `fairness` (how long a run waits behind 10,000 of another organization),
//! `held` (what a runner weighs that holds runs which wait for a person), `recovery` (how soon it is noticed that a runner
//! was killed), `questions` (how soon an answer wakes its run, how exact a question's deadline is).
//! `--runs N` fills an organization of `lists` with fewer than 100,000 runs.
#![expect(clippy::print_stdout, reason = "the figures are the result")]

#[path = "../end_to_end/stack.rs"]
#[expect(dead_code, reason = "the tests use what this doesn't")]
mod stack;

#[path = "../chaos/http.rs"]
mod http;
#[path = "../chaos/scripted.rs"]
mod scripted;

mod cold_start;
mod creates;
mod fairness;
mod held;
mod in_process;
mod lists;
mod questions;
mod recovery;
mod runtime_api;
mod sweep;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::stack::Stack;

/// How many runs are timed, after one that warms up.
const RUNS: usize = 30;

/// A run that does nothing but begin: what is timed is the way to it.
const EMPTY: &str =
    "name: Empty\nstates:\n  - name: beginning\n    steps:\n      - set: { begun: true }\n";

/// How many runs the large organization of `lists` has, if nothing else is said.
const MANY: usize = 100_000;

fn main() {
    const NAMES: [&str; 9] = [
        "stack",
        "cold-start",
        "lists",
        "creates",
        "sweep",
        "fairness",
        "held",
        "recovery",
        "questions",
    ];
    // Cargo adds its own flag to what it was given.
    let mut arguments = std::env::args().skip(1).filter(|given| given != "--bench");
    let (mut asked, mut many) = (Vec::new(), MANY);
    while let Some(argument) = arguments.next() {
        if argument == "--runs" {
            let number = arguments.next().and_then(|text| text.parse().ok());
            many = number.expect("--runs needs a number");
        } else {
            assert!(
                NAMES.contains(&argument.as_str()),
                "there are no figures called {argument}; there are {NAMES:?}"
            );
            asked.push(argument);
        }
    }
    let is_asked = |name: &str| asked.is_empty() || asked.iter().any(|asked| asked == name);
    if is_asked("stack") {
        report_stack();
    }
    if is_asked("cold-start") {
        cold_start::report();
    }
    if is_asked("held") {
        held::report();
    }
    if is_asked("recovery") {
        recovery::report();
    }
    if is_asked("questions") {
        questions::report();
    }
    // The emulator that these use belongs to the runtime that it was started in.
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    if is_asked("lists") {
        runtime.block_on(lists::report(many));
    }
    if is_asked("creates") {
        runtime.block_on(creates::report());
    }
    if is_asked("sweep") {
        runtime.block_on(sweep::report());
    }
    if is_asked("fairness") {
        runtime.block_on(fairness::report());
    }
}

fn report_stack() {
    // The first start may install something; the second one is what counts.
    drop(Stack::start(&[]));
    let began = Instant::now();
    let mut stack = Stack::start(&[]);
    println!(
        "second start until local.json is there: {:.2} s",
        began.elapsed().as_secs_f64()
    );

    println!("idle memory of the stack in MB (PSS), browsers apart:");
    report_memory(&stack);

    let workflow = stack.register(EMPTY);
    let mut pick_ups = Vec::new();
    for number in 0..=RUNS {
        let (answered, picked_up, id) = time_pick_up(&stack, &workflow);
        stack.run_when(&id, "the run has ended", |run| {
            run["completedAt"] != Value::Null
        });
        if number > 0 {
            pick_ups.push(picked_up.duration_since(answered));
        }
    }
    let floor = queue_floor(&stack);
    let (p50, p95) = (percentile(&mut pick_ups, 50), percentile(&mut pick_ups, 95));
    println!(
        "from POST /workflow-runs answered to IN_PROGRESS, {RUNS} runs: p50 {p50:.0} ms, p95 {p95:.0} ms"
    );
    println!(
        "the emulator's own queue, from sent to received by a long poll, {RUNS} messages: p50 {floor:.0} ms"
    );
    assert!(stack.stop().success());
}

fn time_pick_up(stack: &Stack, workflow: &str) -> (Instant, Instant, String) {
    let (status, run) = stack.call(
        "apiKey",
        "POST",
        "/workflow-runs",
        Some(&json!({ "workflowId": workflow })),
    );
    let answered = Instant::now();
    assert_eq!(status, 201, "{run}");
    let id = run["id"].as_str().expect("an id").to_owned();
    loop {
        if stack.run(&id)["status"] != "PENDING" {
            return (answered, Instant::now(), id);
        }
    }
}

/// What nothing that polls this queue could be faster than.
fn queue_floor(stack: &Stack) -> f64 {
    let connection = stack.connection();
    tokio::runtime::Runtime::new()
        .expect("a runtime")
        .block_on(async {
            let mut took = store::local::queue_floor(&connection, RUNS)
                .await
                .expect("the emulator's queue works");
            percentile(&mut took, 50)
        })
}

/// In milliseconds.
fn percentile(durations: &mut [Duration], percent: usize) -> f64 {
    durations.sort_unstable();
    durations[(durations.len() - 1) * percent / 100].as_secs_f64() * 1000.0
}

fn report_memory(stack: &Stack) {
    let mut total = 0;
    let stack_pid = stack.local()["pid"]
        .as_u64()
        .and_then(|pid| u32::try_from(pid).ok())
        .expect("a process id");
    for (pid, command) in descendants(stack_pid) {
        if command.contains("chrom") || command.contains("headless") {
            continue;
        }
        let kilobytes = pss_kilobytes(pid);
        total += kilobytes;
        let name: String = command.chars().take(60).collect();
        println!("  {:>6.1}  {name}", kilobytes as f64 / 1024.0);
    }
    println!("  {:>6.1}  in all", total as f64 / 1024.0);
}

fn pss_kilobytes(pid: u32) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}

/// A process and all that it started, with their command lines.
fn descendants(root: u32) -> Vec<(u32, String)> {
    let mut found = vec![root];
    let mut next = 0;
    while next < found.len() {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", found[next]))
            .into_iter()
            .flatten();
        for task in tasks.filter_map(Result::ok) {
            let children =
                std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            found.extend(
                children
                    .split_whitespace()
                    .filter_map(|pid| pid.parse::<u32>().ok()),
            );
        }
        next += 1;
    }
    let command = |pid: u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ")
    };
    found.into_iter().map(|pid| (pid, command(pid))).collect()
}
