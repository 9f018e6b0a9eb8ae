//! What docs/operations.md must say: each metric, each alarm, each setting. An alarm on a metric that nobody writes would
//! never be heard of.

use std::collections::{BTreeMap, BTreeSet};

use platform::configuration::{Environment, Limits, LogFormat, Logs, Resources, Runner};
use platform::telemetry::metrics::NAMESPACE;
use serde_json::Value;

use crate::cloudformation::template;
use crate::repository::{read, sources};

const PAGE: &str = "docs/operations.md";

/// The alarms of the template: their properties by logical id.
fn alarms() -> BTreeMap<String, Value> {
    let template = template();
    let resources = template["Resources"].as_object().expect("a map");
    let alarms: BTreeMap<_, _> = resources
        .iter()
        .filter(|(_, resource)| resource["Type"] == "AWS::CloudWatch::Alarm")
        .map(|(name, resource)| (name.clone(), resource["Properties"].clone()))
        .collect();
    assert!(!alarms.is_empty(), "there are no alarms");
    alarms
}

/// The texts that stand between two others.
fn between<'t>(text: &'t str, before: &str, after: char) -> BTreeSet<&'t str> {
    text.split(before)
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(after)?.0))
        .collect()
}

/// What the code calls its metrics.
fn metrics_that_are_written() -> BTreeSet<String> {
    let folders = ["functions", "shared/store/src", "workers/runner/src"];
    let mut names = BTreeSet::new();
    for source in folders.into_iter().flat_map(sources) {
        let code: String = source.code.split_whitespace().collect();
        for call in [
            "Measurement::count(\"",
            "Measurement::duration(\"",
            ".and_count(\"",
            ".and_duration(\"",
        ] {
            names.extend(between(&code, call, '"').into_iter().map(str::to_owned));
        }
    }
    assert!(names.len() > 10, "{names:?}");
    names
}

/// The text of a section of the page.
fn section(name: &str) -> String {
    let page = read(PAGE);
    let (_, rest) = page
        .split_once(&format!("\n## {name}\n"))
        .unwrap_or_else(|| panic!("{PAGE} has no section {name}"));
    rest.split("\n## ").next().unwrap_or_default().to_owned()
}

/// The first cells of the rows of a section's table, each cell's names in backticks; with the second cell.
fn rows(name: &str) -> BTreeMap<String, String> {
    let text = section(name);
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let mut cells = line.trim_matches('|').split(" | ").map(str::trim);
        let (names, second) = (cells.next(), cells.next());
        for name in names.unwrap_or_default().split(", ") {
            let second = second.unwrap_or_default().trim_matches('`');
            rows.insert(name.trim_matches('`').to_owned(), second.to_owned());
        }
    }
    rows
}

#[test]
fn every_metric_is_listed_and_every_alarm_watches_one_that_is_written() {
    let written = metrics_that_are_written();
    let listed: BTreeSet<String> = rows("Metrics").into_keys().collect();
    assert_eq!(listed, written);
    let own = alarms()
        .into_iter()
        .filter(|(_, alarm)| alarm["Namespace"] == NAMESPACE);
    let mut watched = 0;
    for (name, alarm) in own {
        let metric = alarm["MetricName"].as_str().expect("a name");
        assert!(written.contains(metric), "{name} watches {metric}");
        watched += 1;
    }
    assert!(watched > 0, "no alarm watches a metric of ours");
}

#[test]
fn every_alarm_has_an_entry_that_says_what_to_do() {
    let text = section("Alarms");
    let entries = between(&text, "\n### ", '\n');
    let alarms = alarms();
    let names: BTreeSet<&str> = alarms.keys().map(String::as_str).collect();
    assert_eq!(entries, names);
    for entry in text.split("\n### ").skip(1) {
        for part in ["\n**Means** ", "\n**Check** ", "\n**Do** "] {
            assert!(entry.contains(part), "{part}is missing: {entry}");
        }
    }
}

#[test]
fn every_setting_is_listed_with_its_default() {
    let nothing = Environment::default();
    let runner = Runner::read(&nothing).expect("defaults");
    let limits = Limits::read(&nothing).expect("defaults");
    let logs = Logs::read(&nothing).expect("defaults");
    let format = match logs.format {
        LogFormat::Json => "json",
        LogFormat::Text => "text",
    };
    let number = |number: u32| number.to_string();
    let seconds = |duration: std::time::Duration| duration.as_secs().to_string();
    let defaults = [
        ("LEGWORK_RUNNER_SLOTS", number(runner.slots)),
        ("LEGWORK_RUNNER_WAITING_SLOTS", number(runner.waiting_slots)),
        ("LEGWORK_BROWSER_POOL", number(runner.browser_pool)),
        (
            "LEGWORK_BROWSER_SANDBOX",
            if runner.sandbox_is_off { "off" } else { "auto" }.to_owned(),
        ),
        ("LEGWORK_LEASE_SECONDS", seconds(runner.lease)),
        ("LEGWORK_HEARTBEAT_SECONDS", seconds(runner.heartbeat)),
        ("LEGWORK_STOP_TIMEOUT_SECONDS", seconds(runner.stop_timeout)),
        (
            "LEGWORK_RUNNER_DRAIN_AFTER_SECONDS",
            seconds(runner.drain_after.unwrap_or_default()),
        ),
        (
            "LEGWORK_SCRATCH_DIR",
            runner.scratch_dir.display().to_string(),
        ),
        (
            "LEGWORK_REQUESTS_PER_SECOND",
            number(limits.requests_per_second),
        ),
        ("LEGWORK_RUNS_PER_SECOND", number(limits.runs_per_second)),
        (
            "LEGWORK_CONCURRENT_RUNS",
            number(Resources::default().concurrent_runs()),
        ),
        ("LEGWORK_LOG", logs.filter),
        ("LEGWORK_LOG_FORMAT", format.to_owned()),
    ];
    let listed = rows("Settings");
    for (name, default) in &defaults {
        assert_eq!(listed.get(*name), Some(default), "{name}");
    }
    let configuration: String = sources("shared/platform/src/configuration")
        .into_iter()
        .map(|source| source.code)
        .collect();
    let read: BTreeSet<String> = between(&configuration, "\"LEGWORK_", '"')
        .into_iter()
        .map(|name| format!("LEGWORK_{name}"))
        .collect();
    let names: BTreeSet<String> = listed.keys().cloned().collect();
    assert_eq!(names, read);
    let without = read
        .iter()
        .filter(|name| !defaults.iter().any(|(known, _)| known == name));
    for name in without {
        assert_eq!(
            listed[name], "none",
            "{name} has a default that is not held"
        );
    }
}
