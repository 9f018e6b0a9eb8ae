//! What the soak has shown.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::run::{Phase, Run, Status};
use domain::{FailureCode, RunId};

use crate::chaos::check;
use crate::chaos::stage::Stage;
use crate::faults::Caused;
use crate::{Asked, Workflows};

/// Prints the report; answers whether everything holds.
pub(crate) async fn print(
    stage: &Stage,
    workflows: Workflows,
    asked: &[Asked],
    created: &[RunId],
    caused: &Caused,
    wrong: &[String],
) -> anyhow::Result<bool> {
    let runs = check::runs(stage.store()).await?;
    let (visits, answers) = (stage.world.visits(), stage.world.answers());
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    let (mut stuck, mut double, mut unanswered, mut odd) = (0, 0, 0, Vec::new());
    for run in &runs {
        *outcomes.entry(outcome(run)).or_default() += 1;
        stuck += usize::from(!run.status().is_final() || run.due_at.is_some());
        if !is_expected(run, workflows) {
            odd.push(format!("run {} ended as {:?}", run.id, run.phase));
        }
        unanswered += run
            .history
            .iter()
            .filter(|entry| entry.is_unanswered)
            .count();
        let id = run.id.to_string();
        if run.workflow_id == workflows.hurried
            && run.status() == Status::Completed
            && !answers.iter().any(|answer| answer.run_id == id)
        {
            odd.push(format!("run {id} completed, and nobody had answered"));
        }
    }
    for asked in asked {
        let of_it: Vec<&Run> = runs
            .iter()
            .filter(|run| asked.runs.contains(&run.id))
            .collect();
        let executions: u32 = of_it.iter().map(|run| run.executions).sum();
        let times = visits.get(&asked.page).copied().unwrap_or_default();
        if times > executions {
            double += 1;
            odd.push(format!(
                "runs {:?}: their page was visited {times} times in {executions} executions",
                asked.runs
            ));
        }
    }
    let is_lost = |id: &&RunId| !runs.iter().any(|run| run.id == **id);
    let lost = created.iter().filter(is_lost).count();
    // A run that nobody asked for is one that was made twice.
    double += runs.len().saturating_sub(created.len());
    println!(
        "{} runs, {} of them of jobs; at most {} were in work at the same time",
        runs.len(),
        runs.iter().filter(|run| run.job_run_id.is_some()).count(),
        most_in_work(&runs)
    );
    for (outcome, count) in &outcomes {
        println!("  {count:>6}  {outcome}");
    }
    println!(
        "{} answers accepted, {} refused or accepted unheard; runs went on unanswered {unanswered} times",
        answers.iter().filter(|answer| answer.is_accepted).count(),
        answers.iter().filter(|answer| !answer.is_accepted).count(),
    );
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

/// How many runs were in some worker's hands at the same time, as their histories say, by clocks that differ.
fn most_in_work(runs: &[Run]) -> i32 {
    let mut changes = Vec::new();
    for run in runs {
        let mut is_in_work = false;
        for entry in &run.history {
            let was = is_in_work;
            is_in_work = entry.status != Status::Pending && !entry.status.is_final();
            changes.push((entry.at, i32::from(is_in_work) - i32::from(was)));
        }
    }
    // Of what happened at the same time, ends come first.
    changes.sort_unstable();
    let in_work = changes.iter().scan(0, |count, (_, change)| {
        *count += change;
        Some(*count)
    });
    in_work.max().unwrap_or_default()
}

/// How a run may end whose workers and browsers are killed, whose job run is stopped by such an end, and whose questions
/// nobody may have answered in time. What AWS does to a call is no reason to fail.
fn is_expected(run: &Run, workflows: Workflows) -> bool {
    match &run.phase {
        Phase::Completed => true,
        Phase::Failed(failure) => {
            matches!(
                failure.code,
                FailureCode::WorkerLost | FailureCode::BrowserCrashed
            ) || (failure.code == FailureCode::JobRunStopped && run.job_run_id.is_some())
                || (failure.code == FailureCode::UserInputTimeout
                    && run.workflow_id == workflows.hurried)
        }
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
