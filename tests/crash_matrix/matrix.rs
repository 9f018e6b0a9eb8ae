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

/// Of so many boundaries, the call of one may not come at all in the case that is about it.
const MAY_NOT_COME_ONE_OF: usize = 10;

/// Of so many boundaries, one may be only where another case kills.
const MAY_BE_ANOTHER_ONE_OF: usize = 4;

/// How much is gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// After effects: what comes next has not happened then, so that this is also before the next one. Of many that are
    /// alike, three.
    Short,
    /// On both sides of every call, reads included.
    Full,
}

/// Goes through a scenario, prints what it covered and what did not hold, and answers how much that was.
pub(crate) async fn go_through(scenario: Scenario, extent: Extent) -> usize {
    let began = Instant::now();
    let unharmed = match case::go(scenario, None).await {
        Ok(went) => went.calls,
        Err(error) => {
            println!("\n{}, unharmed: {error:#}", scenario.name());
            return 1;
        }
    };
    let boundaries = boundaries(scenario, &unharmed, extent);
    println!(
        "\n{}: to be killed at {} boundaries",
        scenario.name(),
        boundaries.len()
    );
    let count = boundaries.len();
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
    let all = Arc::new(boundaries);
    let mut cases = JoinSet::new();
    for boundary in all.iter().cloned() {
        let (places, all) = (Arc::clone(&places), Arc::clone(&all));
        cases.spawn(async move {
            let _place = places.acquire_owned().await;
            go_to(scenario, boundary, &all).await
        });
    }
    let (mut killed, mut as_another, mut passed_by) = (0, 0, 0);
    for (boundary, outcome) in cases.join_all().await {
        let wrong = match outcome {
            Ok(Came::Yes) => {
                killed += 1;
                continue;
            }
            Ok(Came::AsAnother) => {
                as_another += 1;
                continue;
            }
            Ok(Came::No) if !scenario.must_cover().contains(&boundary.call.as_str()) => {
                passed_by += 1;
                println!("  {boundary} did not come");
                continue;
            }
            Ok(Came::No) => "it was never reached".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        failures.push(format!("{}, killed {boundary}: {wrong}", scenario.name()));
    }
    println!("  killed at {killed} of {count}, {as_another} were another's");
    if as_another > count.div_ceil(MAY_BE_ANOTHER_ONE_OF) {
        failures.push(format!(
            "{}: {as_another} of {count} boundaries were another's",
            scenario.name()
        ));
    }
    if passed_by > count.div_ceil(MAY_NOT_COME_ONE_OF) {
        failures.push(format!(
            "{}: {passed_by} of {count} boundaries did not come",
            scenario.name()
        ));
    }
    for failure in &failures {
        println!("{failure}");
    }
    println!("  {:.0} s", began.elapsed().as_secs_f64());
    failures.len()
}

/// Whether the process was killed where it was to be.
enum Came {
    Yes,
    /// There were fewer calls of its kind this time, and the last of them is another case's boundary.
    AsAnother,
    /// There was no call of its kind.
    No,
}

/// Goes through a case for a boundary. What goes on side by side makes now one call more of a kind, now one less: where
/// there were fewer this time, its boundary is the last of them, and it is gone through again with that.
async fn go_to(
    scenario: Scenario,
    mut boundary: Boundary,
    all: &[Boundary],
) -> (Boundary, anyhow::Result<Came>) {
    loop {
        let went = match case::go(scenario, Some(boundary.clone())).await {
            Ok(went) if went.has_died => return (boundary, Ok(Came::Yes)),
            Ok(went) => went,
            Err(error) => return (boundary, Err(error)),
        };
        let times = times(scenario, &went.calls);
        let nth = match times.get(boundary.call.as_str()) {
            None | Some([_, 0]) => return (boundary, Ok(Came::No)),
            Some([passed, times]) => passed + times,
        };
        if nth >= boundary.nth {
            let error = anyhow::anyhow!("it came, and nothing died");
            return (boundary, Err(error));
        }
        println!("  {boundary} did not come, there were {nth}");
        boundary.nth = nth;
        if all.contains(&boundary) {
            return (boundary, Ok(Came::AsAnother));
        }
    }
}

/// How often each call was made, polls aside: before the way of the scenario begins, and on it.
fn times(scenario: Scenario, seen: &[Seen]) -> BTreeMap<&str, [usize; 2]> {
    let mut times: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    let mut has_begun = scenario.begins_after().is_none();
    for Seen { name, .. } in seen.iter().filter(|seen| !Call::is_poll(&seen.name)) {
        times.entry(name).or_default()[usize::from(has_begun)] += 1;
        has_begun |= scenario.begins_after() == Some(name);
    }
    times
}

/// The places at which the process is killed, among the calls that it made unharmed.
fn boundaries(scenario: Scenario, seen: &[Seen], extent: Extent) -> Vec<Boundary> {
    let mut found = Vec::new();
    for (name, [passed, times]) in times(scenario, seen) {
        for side in [Side::Before, Side::After] {
            if times == 0 || !scenario.kills_at(name, side, extent) {
                continue;
            }
            let sampled = sample(name, times, extent).into_iter();
            found.extend(sampled.map(|nth| Boundary {
                call: name.to_owned(),
                nth: passed + nth,
                side,
            }));
        }
    }
    found
}

/// Which of so many calls of one name are boundaries: all of them, or, in the short form, the first, the last and one in
/// the middle.
fn sample(name: &str, times: usize, extent: Extent) -> Vec<usize> {
    // One heartbeat is like the next, and how many messages one receive brings is a matter of time.
    if name.starts_with("SQS ReceiveMessage") || name == "DynamoDB PutItem LEASE" {
        return vec![1];
    }
    match extent {
        Extent::Full => (1..=times).collect(),
        Extent::Short => {
            let mut sampled = vec![1, times.div_ceil(2), times];
            sampled.dedup();
            sampled
        }
    }
}
