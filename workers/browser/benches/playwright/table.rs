//! The figures of all runs, as a table for people: medians, and what they are beside Playwright's.

use std::collections::BTreeMap;
use std::fmt;

use crate::CROWDS;
use crate::peer::Run;

/// The client that the others are compared with.
const MEASURE: &str = "Playwright";

/// In the order in which they are shown.
const CLIENTS: [&str; 3] = [MEASURE, "ours", "floor"];

#[derive(Default)]
pub(crate) struct Table {
    runs: BTreeMap<(&'static str, usize), Vec<Run>>,
    memory_kib: BTreeMap<&'static str, u64>,
}

impl Table {
    pub(crate) fn add(&mut self, client: &'static str, crowd: usize, run: Run) {
        self.runs.entry((client, crowd)).or_default().push(run);
    }

    pub(crate) fn add_memory(&mut self, client: &'static str, kib: u64) {
        self.memory_kib.insert(client, kib);
    }

    fn median(&self, client: &'static str, crowd: usize, figure: impl Fn(&Run) -> f64) -> f64 {
        let runs = self.runs.get(&(client, crowd)).into_iter().flatten();
        median(runs.map(figure).collect())
    }
}

fn ratio(figure: f64, beside: f64) -> String {
    if beside > 0.0 {
        format!("{:.2}", figure / beside)
    } else {
        "–".to_owned()
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        type Figure = (&'static str, fn(&Run) -> f64);
        let figures: [Figure; 4] = [
            ("wall", |run| run.wall_ms),
            ("CPU of client and browser", |run| run.cpu_ms),
            ("CPU of the client alone", |run| run.client_cpu_ms),
            ("start (not in the others)", |run| run.start_ms),
        ];
        writeln!(
            f,
            "\n| at once | figure | Playwright | ours | floor | ours ÷ Playwright | ours ÷ floor |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        for crowd in CROWDS {
            for (name, figure) in figures {
                let [theirs, ours, floor] =
                    CLIENTS.map(|client| self.median(client, crowd, figure));
                writeln!(
                    f,
                    "| {crowd} | {name} | {theirs:.0} ms | {ours:.0} ms | {floor:.0} ms | {} | {} |",
                    ratio(ours, theirs),
                    ratio(ours, floor)
                )?;
            }
        }
        write!(f, "| 1, then 4 | peak memory of the client |")?;
        for client in CLIENTS {
            let kib = self.memory_kib.get(client).copied().unwrap_or_default();
            write!(f, " {} MB |", kib / 1024)?;
        }
        writeln!(f, " | |")?;
        self.show_steps(f)
    }
}

impl Table {
    fn show_steps(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n| step, one at a time | Playwright | ours | floor |")?;
        writeln!(f, "|---|---|---|---|")?;
        let first = self.runs.get(&(MEASURE, 1)).and_then(|runs| runs.first());
        let names = first.map(|run| run.steps.iter().map(|(name, _)| name));
        for (index, name) in names.into_iter().flatten().enumerate() {
            write!(f, "| {} {name} |", index + 1)?;
            for client in CLIENTS {
                let ms = self.median(client, 1, |run| {
                    run.steps.get(index).map_or(f64::NAN, |(_, ms)| *ms)
                });
                write!(f, " {ms:.1} ms |")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
