//! What the kernel tells of processes under `/proc`. A process that has ended but was not waited
//! for yet counts as gone: it does nothing any more.

use std::fs;

use rustix::process::Pid;

/// The fields of `/proc/PID/stat` that are used here, counted from the state.
const STATE: usize = 0;
const GROUP: usize = 2;
const STARTED: usize = 19;

/// The living processes of a group.
pub(crate) fn members(group: Pid) -> impl Iterator<Item = i32> {
    let group = group.as_raw_nonzero().to_string();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(move |process| {
            stat(*process)
                .is_some_and(|fields| fields.get(GROUP).is_some_and(|field| *field == group))
        })
}

/// When a process was started, in the kernel's ticks; nothing if it does not live.
pub(crate) fn started(process: i32) -> Option<u64> {
    stat(process)?.get(STARTED)?.parse().ok()
}

/// The fields of a living process, from its state on.
fn stat(process: i32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<String> = rest.split_whitespace().map(str::to_owned).collect();
    let is_dead = matches!(
        fields.get(STATE).map(String::as_str),
        Some("Z" | "X") | None
    );
    (!is_dead).then_some(fields)
}
