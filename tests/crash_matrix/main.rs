//! The crash matrix: each process of the service is killed, for real, at every call of AWS that it makes on the way of a
//! run, once before AWS has seen the call and once after AWS has done it, and is started again. Then the sweeper sweeps,
//! and everything must be as [`chaos::check`] says.
//!
//! `cargo test -p cli --test crash_matrix` kills after every effect; with `LEGWORK_CRASH_MATRIX=full` on both sides of
//! every call, reads too, and in all scenarios. Words after ` -- ` choose scenarios by name. The executable is its own
//! harness, since it is also the processes that are killed.
#![expect(clippy::print_stdout, reason = "the table of boundaries is the result")]

#[path = "../chaos/mod.rs"]
#[expect(dead_code, reason = "the soak test uses what this doesn't")]
mod chaos;

mod case;
mod debts;
mod matrix;
mod scenario;

use std::process::ExitCode;
use std::time::Instant;

use platform::configuration::{Environment, Logs};

use crate::chaos::roles;
use crate::matrix::Extent;
use crate::scenario::Scenario;

fn main() -> ExitCode {
    if let Some(ended) = roles::play_if_asked() {
        return ended;
    }
    let environment = Environment::from_process();
    if environment.get("LEGWORK_LOG").is_some()
        && let Ok(logs) = Logs::read(&environment)
    {
        let _ = platform::telemetry::init(&logs);
    }
    let extent = match environment.get("LEGWORK_CRASH_MATRIX") {
        Some("full") => Extent::Full,
        _ => Extent::Short,
    };
    // What cargo adds for its own harness says nothing to this one.
    let asked: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let is_asked = |scenario: Scenario| {
        if asked.is_empty() {
            return extent == Extent::Full || scenario.is_in_the_short_form();
        }
        asked.iter().any(|asked| scenario.name().contains(asked))
    };
    let began = Instant::now();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            println!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let failures = runtime.block_on(async {
        let mut failures = 0;
        for scenario in Scenario::ALL {
            if is_asked(scenario) {
                failures += matrix::go_through(scenario, extent).await;
            }
        }
        failures
    });
    println!("\n{:.0} s in all", began.elapsed().as_secs_f64());
    if failures == 0 {
        return ExitCode::SUCCESS;
    }
    println!("{failures} things do not hold");
    ExitCode::FAILURE
}
