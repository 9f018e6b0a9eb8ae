//! The protocol of a run, explored exhaustively: two workers, a sweeper, a queue that delivers again and again or loses,
//! a network that loses requests, answers, or delivers after the sender has gone, clocks that differ and jump, workers
//! that stop at any moment or go on long after they should. Every order of all that, from a run's creation to its end.
//!
//! What changes the run is the real [`domain::run::Run::apply`]. Around it, the model does what `workers/runner`,
//! `functions/sweeper` and `store` do, one write at a time. Faults are not counted: any number of them may happen. All
//! that is asked for is that one sweep goes through in each tick.
//!
//! Everything at once would be too many states for a test; so each test turns on a part of it, and the parts overlap.
//!
//! What holds in every state that can be reached:
//!
//! - no two workers ever believe in the same attempt;
//! - a worker may go on believing in its attempt after another one has begun, but for no longer than clocks differ, and
//!   not at all where they don't; no write of it takes effect: that is what the fence promises;
//! - no lease is ended before it is over, but for as much as clocks differ;
//! - the site is acted on by at most as many attempts as the workflow allows;
//! - nothing finished changes; the sequence grows by one; a cancellation that comes first wins, a later one does nothing;
//! - a lost answer costs a worker nothing: it never leaves a run that is still its own;
//! - everything ends, and is then looked at by nobody any more: no state is stuck, and there is no way on which time
//!   passes for ever.
//!
//! How runs of one organization are let into the queue is a model of its own, in `admission.rs`.
//!
//! That the models can see a fault is tested too: with each piece of the protocol taken out, something of this breaks.

mod admission;
mod explorer;
mod stored;
mod world;

use admission::{Admission, OUT_OF_ORDER, TOO_MANY, WAITS_FOR_LONG, WAITS_FOR_THE_SWEEPER};
use explorer::{ENDLESS, Explored, explore};
use stored::{Code, Place};
use world::{ENDED_EARLY, Flaw, Protocol};

/// Two workers, nothing but crashes, losses and repetitions.
const PROTOCOL: Protocol = Protocol {
    workers: 2,
    sweepers: 1,
    skew: 0,
    sweeper_skew: 0,
    heartbeats: false,
    late: false,
    asks: false,
    max_attempts: 1,
    attempts_before: 3,
    flaw: None,
};

/// Time for five attempts, each with its time in the queue, its lease and the sweeps behind both, is far more than is
/// ever needed here.
const LONG: u32 = 20;

fn holds(protocol: Protocol) -> Explored<Protocol> {
    let explored = explore(&protocol).unwrap_or_else(|found| panic!("{found}"));
    assert!(
        explored.longest < LONG,
        "it took {} ticks",
        explored.longest
    );
    assert!(explored.ends_as(Place::Completed), "nothing completed");
    assert!(explored.ends_as(Place::Failed(Code::Canceled)));
    assert!(explored.ends_as(Place::Failed(Code::WorkerLost)));
    assert!(explored.ends_as(Place::Failed(Code::QueueTimeout)));
    explored
}

impl Explored<Protocol> {
    fn ends_as(&self, place: Place) -> bool {
        self.states
            .iter()
            .any(|world| world.run.is_settled() && world.run.place == place)
    }
}

#[test]
fn it_holds_when_requests_arrive_after_their_sender_has_gone() {
    holds(Protocol {
        late: true,
        ..PROTOCOL
    });
}

#[test]
fn it_holds_when_clocks_differ_and_jump() {
    let explored = holds(Protocol {
        skew: 1,
        sweeper_skew: 1,
        ..PROTOCOL
    });
    assert!(
        explored.states.iter().any(world::World::has_two_believers),
        "clocks that differ must let two workers believe, or the fence was not tried"
    );
}

#[test]
fn it_holds_when_a_run_may_be_executed_twice() {
    let explored = holds(Protocol {
        max_attempts: 2,
        attempts_before: 4,
        ..PROTOCOL
    });
    assert!(
        explored
            .states
            .iter()
            .any(|world| world.run.executions == 2)
    );
}

#[test]
fn it_holds_when_a_run_asks_a_person() {
    let explored = holds(Protocol {
        asks: true,
        ..PROTOCOL
    });
    assert!(explored.ends_as(Place::Failed(Code::UserInputTimeout)));
}

#[test]
fn it_holds_when_leases_are_renewed() {
    let explored = holds(Protocol {
        heartbeats: true,
        ..PROTOCOL
    });
    assert!(explored.ends_as(Place::Failed(Code::DeadlineExceeded)));
    assert!(!explored.states.iter().any(world::World::has_two_believers));
}

#[test]
fn it_holds_when_clocks_differ_and_leases_are_renewed() {
    holds(Protocol {
        sweeper_skew: 1,
        heartbeats: true,
        ..PROTOCOL
    });
}

#[test]
fn it_holds_when_heartbeats_arrive_late() {
    holds(Protocol {
        workers: 1,
        heartbeats: true,
        late: true,
        attempts_before: 4,
        ..PROTOCOL
    });
}

#[test]
fn it_holds_when_two_sweeps_go_on_at_once() {
    holds(Protocol {
        workers: 1,
        sweepers: 2,
        asks: true,
        attempts_before: 4,
        ..PROTOCOL
    });
}

#[test]
fn it_holds_when_all_of_it_comes_together_for_one_worker() {
    holds(Protocol {
        workers: 1,
        skew: 1,
        sweeper_skew: 1,
        asks: true,
        attempts_before: 4,
        ..PROTOCOL
    });
}

/// What breaks when a piece of the protocol is taken out.
#[track_caller]
fn breaks(protocol: Protocol, flaw: Flaw, promise: &str) {
    let flawed = Protocol {
        flaw: Some(flaw),
        ..protocol
    };
    match explore(&flawed) {
        Ok(_) => panic!("nothing breaks with {flaw:?}"),
        Err(found) => assert_eq!(found.broken.0, promise, "{found}"),
    }
}

#[test]
fn without_the_fence_a_worker_that_was_overtaken_writes() {
    breaks(
        Protocol {
            sweeper_skew: 1,
            ..PROTOCOL
        },
        Flaw::NoFence,
        "a write of a worker that was overtaken takes effect",
    );
}

#[test]
fn without_the_condition_two_workers_have_the_same_attempt() {
    breaks(
        PROTOCOL,
        Flaw::NoCondition,
        "a worker and the run disagree on whose attempt it is",
    );
}

#[test]
fn with_a_new_commit_id_for_each_try_a_lost_answer_costs_the_run() {
    breaks(
        Protocol {
            asks: true,
            ..PROTOCOL
        },
        Flaw::NewCommitIdForEachTry,
        "a worker leaves a run that is its own",
    );
}

const BELIEVES_TOO_LONG: &str =
    "a worker believes in its attempt for longer than clocks differ after another one has begun";

#[test]
fn if_an_old_renewal_replaces_a_later_one_a_lease_ends_early() {
    breaks(
        Protocol {
            heartbeats: true,
            late: true,
            ..PROTOCOL
        },
        Flaw::RenewalsOutOfOrder,
        ENDED_EARLY,
    );
}

#[test]
fn if_a_lease_can_be_renewed_after_it_was_ended_two_workers_believe() {
    breaks(
        Protocol {
            heartbeats: true,
            sweeper_skew: 1,
            ..PROTOCOL
        },
        Flaw::LeaseItemOutlivesLease,
        BELIEVES_TOO_LONG,
    );
}

#[test]
fn if_the_sweeper_forgets_heartbeats_a_lease_ends_early() {
    breaks(
        Protocol {
            heartbeats: true,
            ..PROTOCOL
        },
        Flaw::SweeperForgetsHeartbeats,
        ENDED_EARLY,
    );
}

#[test]
fn if_a_lease_that_was_renewed_meanwhile_is_ended_it_ends_early() {
    breaks(
        Protocol {
            heartbeats: true,
            sweeper_skew: 1,
            ..PROTOCOL
        },
        Flaw::LeaseEndsWithoutLooking,
        ENDED_EARLY,
    );
}

#[test]
fn without_a_look_at_the_queue_a_run_can_wait_for_ever() {
    breaks(PROTOCOL, Flaw::QueueIsNotSwept, ENDLESS.0);
}

/// One place for three runs, and nothing that goes wrong.
const ADMISSION: Admission = Admission {
    runs: 3,
    limit: 1,
    lags: false,
    faults: false,
    workers: 1,
    have_just_ended: false,
    flaw: None,
};

/// Two runs and two workers, before an index that lags.
const LAGGING: Admission = Admission {
    runs: 2,
    lags: true,
    workers: 2,
    ..ADMISSION
};

/// Two ends that the index does not show yet, and two runs that wait.
const ENDED_AT_ONCE: Admission = Admission {
    runs: 4,
    limit: 2,
    lags: true,
    have_just_ended: true,
    ..ADMISSION
};

/// Answers how many were in work at once, at most.
fn most_in_work(admission: Admission) -> u32 {
    let explored = explore(&admission).unwrap_or_else(|found| panic!("{found}"));
    assert!(
        explored.longest < LONG,
        "it took {} ticks",
        explored.longest
    );
    let in_work = explored.states.iter().map(admission::World::count_in_work);
    in_work.max().unwrap_or_default()
}

#[test]
fn nobody_waits_for_the_sweeper_while_there_is_room_and_no_more_than_may_are_in_work() {
    assert_eq!(most_in_work(ADMISSION), 1);
    let two_places = Admission {
        limit: 2,
        ..ADMISSION
    };
    assert_eq!(most_in_work(two_places), 2);
}

#[test]
fn every_run_is_let_in_at_last_whatever_dies_or_is_lost() {
    for limit in [1, 2] {
        let faulty = Admission {
            limit,
            faults: true,
            ..ADMISSION
        };
        assert_eq!(most_in_work(faulty) as usize, limit);
    }
}

#[test]
fn an_index_that_lags_lets_too_many_work_only_by_those_that_it_did_not_show() {
    // That there is one too many must be reached, or it was not tried whether it was seen.
    assert_eq!(most_in_work(LAGGING), 2);
    let faulty = Admission {
        faults: true,
        ..LAGGING
    };
    assert_eq!(most_in_work(faulty), 2);
}

/// What breaks when a piece of admission is taken out.
#[track_caller]
fn admission_breaks(admission: Admission, flaw: admission::Flaw, promise: &str) {
    let flawed = Admission {
        flaw: Some(flaw),
        ..admission
    };
    match explore(&flawed) {
        Ok(_) => panic!("nothing breaks with {flaw:?}"),
        Err(found) => assert_eq!(found.broken.0, promise, "{found}"),
    }
}

#[test]
fn if_the_index_is_believed_where_it_leaves_no_room_a_run_waits_for_the_sweeper() {
    let flaw = admission::Flaw::IndexIsBelieved;
    admission_breaks(LAGGING, flaw, WAITS_FOR_THE_SWEEPER);
}

#[test]
fn ends_that_the_index_does_not_show_yet_leave_no_place_unused() {
    assert!(most_in_work(ENDED_AT_ONCE) >= 2);
}

#[test]
fn if_those_shown_are_believed_where_they_leave_no_room_for_who_waits_a_place_stays_unused() {
    let flaw = admission::Flaw::ShownAreBelieved;
    admission_breaks(ENDED_AT_ONCE, flaw, WAITS_FOR_THE_SWEEPER);
    // And whoever waits may be looked at an hour later.
    let faulty = Admission {
        faults: true,
        ..ENDED_AT_ONCE
    };
    admission_breaks(faulty, flaw, WAITS_FOR_LONG);
}

#[test]
fn if_who_was_slower_does_not_look_again_a_place_stays_unused() {
    let flaw = admission::Flaw::SlowerOnesGiveUp;
    admission_breaks(ENDED_AT_ONCE, flaw, WAITS_FOR_THE_SWEEPER);
}

#[test]
fn if_who_writes_a_waiting_run_does_not_look_again_it_waits_for_the_sweeper() {
    let flaw = admission::Flaw::WritersDoNotLook;
    admission_breaks(ADMISSION, flaw, WAITS_FOR_THE_SWEEPER);
}

#[test]
fn if_new_runs_do_not_mind_those_that_wait_they_go_ahead() {
    let flaw = admission::Flaw::NewOnesGoAhead;
    admission_breaks(ADMISSION, flaw, OUT_OF_ORDER);
}

#[test]
fn if_workers_do_not_count_too_many_are_in_work() {
    let flaw = admission::Flaw::ClaimsAreNotCounted;
    admission_breaks(ADMISSION, flaw, TOO_MANY);
}

#[test]
fn without_a_look_at_those_that_wait_one_waits_although_there_is_room() {
    let faulty = Admission {
        faults: true,
        ..ADMISSION
    };
    admission_breaks(faulty, admission::Flaw::WaitingAreNotSwept, WAITS_FOR_LONG);
}
