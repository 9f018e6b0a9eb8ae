//! What the soak has shown.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::FailureCode;
use domain::run::{Phase, Run, Status};

use crate::Asked;
use crate::chaos::check;
use crate::chaos::stage::Stage;
use crate::faults::Caused;

/// Prints the report; answers whether everything holds.
pub(crate) async fn print(
    stage: &Stage,
    asked: &[Asked],
    caused: &Caused,
    wrong: &[String],
    took: Duration,
    seed: u64,
) -> anyhow::Result<bool> {
    let runs = check::runs(stage.store()).await?;
    let visits = stage.world.visits();
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    let (mut lost, mut stuck, mut double, mut odd) = (0, 0, 0, Vec::new());
    for run in &runs {
        *outcomes.entry(outcome(run)).or_default() += 1;
        stuck += usize::from(!run.status().is_final() || run.due_at.is_some());
        if !is_expected(run) {
            odd.push(format!("run {} ended as {:?}", run.id, run.phase));
        }
    }
    for asked in asked {
        let Some(run) = runs.iter().find(|run| run.id == asked.run) else {
            lost += 1;
            continue;
        };
        let times = visits.iter().filter(|page| **page == asked.site).count();
        if times > usize::try_from(run.executions)? {
            double += 1;
            odd.push(format!(
                "run {}: its site was visited {times} times in {} executions",
                run.id, run.executions
            ));
        }
    }
    // A run that nobody asked for is one that was made twice.
    double += runs.len().saturating_sub(asked.len());
    println!(
        "\nseed {seed}, {} runs in {:.0} s",
        runs.len(),
        took.as_secs_f64()
    );
    for (outcome, count) in &outcomes {
        println!("  {count:>6}  {outcome}");
    }
    println!("faults");
    for (kind, count) in caused.all() {
        println!("  {count:>6}  {kind}");
    }
    let recoveries = recoveries(&runs);
    println!("lost {lost}, stuck {stuck}, double {double}");
    if let (Some(median), Some(worst)) = (recoveries.get(recoveries.len() / 2), recoveries.last()) {
        println!(
            "workers lost {}; from an attempt's last change to the change that took the run from it: median {:.1} s, worst {:.1} s",
            recoveries.len(),
            median.as_secs_f64(),
            worst.as_secs_f64()
        );
    }
    for what in wrong.iter().chain(&odd) {
        println!("  {what}");
    }
    Ok(lost + stuck + double == 0 && wrong.is_empty() && odd.is_empty())
}

fn outcome(run: &Run) -> String {
    match &run.phase {
        Phase::Failed(failure) => format!("FAILED, {}", failure.code.as_str()),
        _ => run.status().to_string(),
    }
}

/// How a run may end whose workers and browsers are killed. What AWS does to a call is no reason to fail.
fn is_expected(run: &Run) -> bool {
    match &run.phase {
        Phase::Completed => true,
        Phase::Failed(failure) => matches!(
            failure.code,
            FailureCode::WorkerLost | FailureCode::BrowserCrashed
        ),
        _ => false,
    }
}

/// How long each run that was taken from its attempt had stood still by then, shortest first.
fn recoveries(runs: &[Run]) -> Vec<Duration> {
    let mut recoveries = Vec::new();
    for run in runs {
        let is_lost =
            matches!(&run.phase, Phase::Failed(failure) if failure.code == FailureCode::WorkerLost);
        for pair in run.history.windows(2) {
            let [before, after] = pair else { continue };
            let is_taken = before.status != Status::Pending
                && (after.status == Status::Pending || (after.status.is_final() && is_lost));
            if is_taken {
                recoveries.push(after.at.since(before.at));
            }
        }
    }
    recoveries.sort_unstable();
    recoveries
}
