//! What the kernel tells of processes: CPU time and memory. It starts and ends none.

use std::collections::HashMap;
use std::fs;

use anyhow::Context as _;
use rustix::param::clock_ticks_per_second;

struct Stat {
    parent: u32,
    own_ticks: u64,
    /// Own time and that of children that have ended and were waited for, in the kernel's ticks.
    ticks: u64,
}

/// The CPU time of a process and of all its descendants, those that have ended included, in milliseconds.
///
/// What has ended counts by what its parent was told when it waited for it: a browser waits for its renderers. The
/// kernel tells whole ticks of 10 ms for each process, so single differences are blurred; medians are not.
pub(crate) fn cpu_ms(root: u32) -> anyhow::Result<f64> {
    let mut all: HashMap<u32, Stat> = HashMap::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        if let Some(process) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
            && let Some(stat) = stat(process)
        {
            all.insert(process, stat);
        }
    }
    let mut ticks = 0;
    let mut next = vec![root];
    while let Some(process) = next.pop() {
        ticks += all.get(&process).map_or(0, |stat| stat.ticks);
        let children = all.iter().filter(|(_, stat)| stat.parent == process);
        next.extend(children.map(|(child, _)| *child));
    }
    Ok(milliseconds(ticks))
}

/// The CPU time of one process alone, in milliseconds.
pub(crate) fn own_cpu_ms(process: u32) -> anyhow::Result<f64> {
    let stat = stat(process).context("the process lives")?;
    Ok(milliseconds(stat.own_ticks))
}

fn milliseconds(ticks: u64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "the ticks since a process began are far below 2^52"
    )]
    let seconds = ticks as f64 / clock_ticks_per_second() as f64;
    seconds * 1000.0
}

/// The most memory that a process has had resident, in KiB.
pub(crate) fn peak_memory_kib(process: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
        .context("the kernel tells the peak of a living process")
}

/// The words of a process's command line.
pub(crate) fn command_line(process: u32) -> anyhow::Result<Vec<String>> {
    let words = fs::read_to_string(format!("/proc/{process}/cmdline"))?;
    // Chromium joins its command line with spaces when it sets its title.
    let separator = if words.trim_end_matches('\0').contains('\0') {
        '\0'
    } else {
        ' '
    };
    Ok(words
        .split(separator)
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect())
}

fn stat(process: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may hold anything. After it: state, parent, …, and from the twelfth on the times.
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |from: usize, to: usize| -> Option<u64> {
        let fields = fields.get(from..to)?.iter();
        fields.map(|field| field.parse::<u64>().ok()).sum()
    };
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        own_ticks: ticks(11, 13)?,
        ticks: ticks(11, 15)?,
    })
}
