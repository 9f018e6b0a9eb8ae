//! Finds the boundaries of a scenario by going through it once unharmed, then goes through it once for each of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::case;
use crate::chaos::call::Call;
use crate::chaos::policy::{Boundary, Side};
use crate::chaos::proxy::Seen;
use crate::scenario::Scenario;

/// How many cases go on at a time: most of each is waiting for a queue or for a stream.
const AT_ONCE: usize = 8;

/// How much is gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// After each effect: what comes next has not happened then, so that this is also before the next one.
    Short,
    /// On both sides of every call, reads included.
    Full,
}

/// Goes through a scenario, prints what it covered and what did not hold, and answers how much that was.
pub(crate) async fn go_through(scenario: Scenario, extent: Extent) -> usize {
    let began = Instant::now();
    let unharmed = match case::go(scenario, None).await {
        Ok(calls) => calls,
        Err(error) => {
            println!("\n{}, unharmed: {error:#}", scenario.name());
            return 1;
        }
    };
    let boundaries = boundaries(scenario, &unharmed, extent);
    println!(
        "\n{}: killed at {} boundaries",
        scenario.name(),
        boundaries.len()
    );
    let mut table: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for boundary in &boundaries {
        table.entry(&boundary.call).or_default()[boundary.side as usize] += 1;
    }
    println!("  before   after");
    for (call, [before, after]) in &table {
        println!("  {before:>6}  {after:>6}  {call}");
    }
    let mut failures = Vec::new();
    for call in scenario.must_cover() {
        if !table.contains_key(call) {
            failures.push(format!(
                "{}: {call} is not among the boundaries any more",
                scenario.name()
            ));
        }
    }
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut cases = JoinSet::new();
    for boundary in boundaries {
        let places = Arc::clone(&places);
        cases.spawn(async move {
            let _place = places.acquire_owned().await;
            let outcome = case::go(scenario, Some(boundary.clone())).await;
            outcome
                .err()
                .map(|error| format!("{}, killed {boundary}: {error:#}", scenario.name()))
        });
    }
    failures.extend(cases.join_all().await.into_iter().flatten());
    for failure in &failures {
        println!("{failure}");
    }
    println!("  {:.0} s", began.elapsed().as_secs_f64());
    failures.len()
}

fn boundaries(scenario: Scenario, seen: &[Seen], extent: Extent) -> Vec<Boundary> {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    let mut found = Vec::new();
    for Seen { name, .. } in seen.iter().filter(|seen| !Call::is_poll(&seen.name)) {
        let nth = times.entry(name).or_default();
        *nth += 1;
        // Deliveries are gone through in the scenarios of a single run.
        let is_of_a_delivery = name.contains("DLV#") || name.ends_with(" deliveries");
        if scenario == Scenario::DispatcherOfAJob && extent == Extent::Short && is_of_a_delivery {
            continue;
        }
        let is_receive = name.starts_with("SQS ReceiveMessage");
        // One heartbeat is like the next, and how many messages one receive brings is a matter of time.
        if (is_receive || name == "DynamoDB PutItem LEASE") && *nth > 1 {
            continue;
        }
        for side in [Side::Before, Side::After] {
            let is_wanted = match (extent, side) {
                (Extent::Full, Side::Before) => !is_receive,
                (Extent::Full, Side::After) => true,
                // Between a delivery's last read and its write is the POST, which no call of AWS stands for.
                (Extent::Short, Side::Before) => {
                    scenario == Scenario::Deliverer && name.starts_with("DynamoDB PutItem DLV")
                }
                (Extent::Short, Side::After) => Call::is_effect(name),
            };
            if is_wanted {
                found.push(Boundary {
                    call: name.clone(),
                    nth: *nth,
                    side,
                });
            }
        }
    }
    found
}
