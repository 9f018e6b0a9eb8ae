//! What holds for a run whatever happens to it: random events, by workers with old and new attempts, with answers to
//! other questions, and by clocks that jump. It tests [`Run::apply`] only from outside.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::definition::Definition;
use domain::run::{
    ATTEMPTS_THAT_NEVER_BEGAN, Backoff, CommitId, Event, Finish, HISTORY_ENTRIES, InputField,
    InputRequest, NewRun, Phase, Policy, Rejected, Run, Status, Timings,
};
use domain::webhook::{EventType, body_of, events_of};
use domain::wire::RunView;
use domain::{
    Failure, FailureCode, InputRequestId, JobRunId, OrganizationId, RunId, Timestamp, WorkflowId,
};
use proptest::prelude::*;
use serde_json::json;

const FIRST_MILLIS: i64 = 1_795_424_400_000;
const LEASE: Duration = Duration::from_secs(30);
const TIME_FOR_AN_ANSWER: Duration = Duration::from_secs(300);

/// What happens next, as far as that can be said without the run.
#[derive(Debug, Clone)]
struct Move {
    kind: Kind,
    /// Added to the run's attempt: 0 is the worker that has it.
    attempt_offset: i32,
    /// Whether it names the question that is open, if one is.
    right_question: bool,
    /// How far the clock jumps before it.
    jump_millis: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Release,
    Claim,
    Enter,
    Ask,
    Answer,
    Complete,
    TakeNoAction,
    Fail,
    GiveBack,
    LoseLease,
    GoOnUnanswered,
    ExpireQuestion,
    PassWorkDeadline,
    PassQueueDeadline,
    Cancel,
    StopJobRun,
}

const KINDS: [Kind; 16] = [
    Kind::Release,
    Kind::Claim,
    Kind::Enter,
    Kind::Ask,
    Kind::Answer,
    Kind::Complete,
    Kind::TakeNoAction,
    Kind::Fail,
    Kind::GiveBack,
    Kind::LoseLease,
    Kind::GoOnUnanswered,
    Kind::ExpireQuestion,
    Kind::PassWorkDeadline,
    Kind::PassQueueDeadline,
    Kind::Cancel,
    Kind::StopJobRun,
];

fn kinds() -> impl Strategy<Value = Kind> {
    // What keeps a run alive comes more often than what ends it, or no run would get far.
    prop_oneof![
        12 => Just(Kind::Claim),
        8 => Just(Kind::Enter),
        6 => Just(Kind::Ask),
        6 => Just(Kind::Answer),
        2 => Just(Kind::GoOnUnanswered),
        4 => Just(Kind::Release),
        4 => prop_oneof![Just(Kind::GiveBack), Just(Kind::LoseLease)],
        3 => proptest::sample::select(KINDS.as_slice()),
    ]
}

fn jumps() -> impl Strategy<Value = i64> {
    prop_oneof![
        12 => 0..20_000_i64,
        2 => 0..600_000_i64,
        1 => 0..90_000_000_i64,
        3 => -60_000..0_i64,
        1 => -7_200_000..0_i64,
    ]
}

fn moves(most: usize) -> impl Strategy<Value = Vec<Move>> {
    let attempt_offsets = prop_oneof![8 => Just(0), 1 => -2..0_i32, 1 => Just(1)];
    let one = (
        kinds(),
        attempt_offsets,
        proptest::bool::weighted(0.9),
        jumps(),
    )
        .prop_map(|(kind, attempt_offset, right_question, jump_millis)| Move {
            kind,
            attempt_offset,
            right_question,
            jump_millis,
        });
    proptest::collection::vec(one, 1..most)
}

fn policies() -> impl Strategy<Value = Policy> {
    (1..4_u32, 1..1_200_000_u64, 1..86_400_000_u64).prop_map(
        |(max_attempts, work_millis, queue_millis)| Policy {
            max_attempts,
            backoff: Backoff::default(),
            work_time: Duration::from_millis(work_millis),
            queue_time: Duration::from_millis(queue_millis),
        },
    )
}

/// A run that somebody asked for, or one that a job run manages.
fn new_run(policy: Policy, is_managed: bool) -> Run {
    let now = Timestamp::from_millis(FIRST_MILLIS);
    let new = NewRun {
        id: RunId::new(now, [1; 10]),
        organization_id: OrganizationId::new(now, [2; 10]),
        workflow_id: WorkflowId::new(now, [3; 10]),
        workflow_version: 7,
        job_run_id: is_managed.then(|| JobRunId::new(now, [4; 10])),
        retry_of_run_id: None,
        created_by_user_id: "user-1".to_owned(),
        metadata: BTreeMap::from([("customer".to_owned(), "42".to_owned())]),
        secret_bindings: BTreeMap::from([("hr_user".to_owned(), "acme_hr_user".to_owned())]),
        policy,
        trace_parent: None,
    };
    Run::create(new, now, CommitId(0))
}

/// When a run may be claimed: now, if it does not wait to be executed again.
fn may_be_claimed_at(run: &Run) -> Timestamp {
    run.updated_at().plus(run.waits_for_retry(run.updated_at()))
}

fn runs() -> impl Strategy<Value = Run> {
    (policies(), proptest::bool::weighted(0.2))
        .prop_map(|(policy, is_managed)| new_run(policy, is_managed))
}

fn question(seed: u32, now: Timestamp) -> InputRequest {
    let mut random = [9; 10];
    random[..4].copy_from_slice(&seed.to_be_bytes());
    InputRequest {
        id: InputRequestId::new(now, random),
        prompt: "Code sent to your phone".to_owned(),
        message: None,
        screenshot_artifact_id: None,
        fields: vec![InputField {
            name: "code".to_owned(),
            kind: "code".to_owned(),
            label: "Code".to_owned(),
            options: Vec::new(),
        }],
        expires_at: now.plus(TIME_FOR_AN_ANSWER),
        tries_left: 1,
    }
}

fn open_question(run: &Run) -> Option<InputRequestId> {
    match &run.phase {
        Phase::AwaitingUserInput { request, .. } => Some(request.id),
        _ => None,
    }
}

/// The event of a kind, by a worker that has an attempt, about a question.
fn event(kind: Kind, attempt: u32, request_id: InputRequestId, seed: u32, now: Timestamp) -> Event {
    let finished = |finish| Event::Finished {
        attempt,
        finish,
        timings: Timings::default(),
        skipped: Vec::new(),
    };
    match kind {
        Kind::Release => Event::Released,
        Kind::Claim => Event::Claimed {
            worker_id: "worker-1".to_owned(),
            lease: LEASE,
        },
        Kind::Enter => Event::EnteredState {
            attempt,
            name: format!("state_{}", seed % 3),
            skipped: Vec::new(),
        },
        Kind::Ask => Event::AskedUser {
            attempt,
            request: question(seed, now),
        },
        Kind::Answer => Event::Answered { request_id },
        Kind::Complete => finished(Finish::Completed),
        Kind::TakeNoAction => finished(Finish::NoActionTaken {
            reason: "No employees listed".to_owned(),
        }),
        Kind::Fail => finished(Finish::Failed(Failure::outside_of_steps(
            FailureCode::NavigationFailed,
            "no answer",
        ))),
        Kind::GiveBack => Event::GaveBack { attempt },
        Kind::LoseLease => Event::LeaseExpired { attempt },
        Kind::GoOnUnanswered => Event::WentOnUnanswered {
            attempt,
            request_id,
        },
        Kind::ExpireQuestion => Event::QuestionExpired { request_id },
        Kind::PassWorkDeadline => Event::WorkDeadlinePassed,
        Kind::PassQueueDeadline => Event::QueueDeadlinePassed,
        Kind::Cancel => Event::Canceled,
        Kind::StopJobRun => Event::JobRunStopped,
    }
}

/// The attempt that an event names. It has no wildcard, so that a new event can't be forgotten here.
fn named_attempt(event: &Event) -> Option<u32> {
    match event {
        Event::EnteredState { attempt, .. }
        | Event::AskedUser { attempt, .. }
        | Event::WentOnUnanswered { attempt, .. }
        | Event::Finished { attempt, .. }
        | Event::GaveBack { attempt }
        | Event::LeaseExpired { attempt } => Some(*attempt),
        Event::Released
        | Event::Claimed { .. }
        | Event::Answered { .. }
        | Event::QuestionExpired { .. }
        | Event::WorkDeadlinePassed
        | Event::QueueDeadlinePassed
        | Event::Canceled
        | Event::JobRunStopped => None,
    }
}

/// One event that was applied.
#[derive(Debug)]
struct Step {
    before: Run,
    event: Event,
    now: Timestamp,
    after: Result<Run, Rejected>,
}

/// Lets everything happen to a run, one after the other.
fn walk(run: &Run, moves: &[Move]) -> Vec<Step> {
    let mut run = run.clone();
    let mut millis = FIRST_MILLIS;
    let mut steps = Vec::with_capacity(moves.len());
    for (seed, next) in (1..).zip(moves) {
        millis += next.jump_millis;
        let now = Timestamp::from_millis(millis);
        let attempt = run.attempt.saturating_add_signed(next.attempt_offset);
        let other = question(seed, now).id;
        let request_id = open_question(&run)
            .filter(|_| next.right_question)
            .unwrap_or(other);
        let event = event(next.kind, attempt, request_id, seed, now);
        let after = run.apply(&event, now, CommitId(seed));
        let before = run.clone();
        if let Ok(after) = &after {
            run = after.clone();
        }
        steps.push(Step {
            before,
            event,
            now,
            after,
        });
    }
    steps
}

/// Every run that a walk comes by, with the time at which it was so.
fn runs_on_the_way(run: &Run, moves: &[Move]) -> Vec<(Run, Timestamp)> {
    let start = (run.clone(), run.created_at);
    let committed = walk(run, moves)
        .into_iter()
        .filter_map(|step| Some((step.after.ok()?, step.now)));
    std::iter::once(start).chain(committed).collect()
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn a_finished_run_never_changes_again(run in runs(), moves in moves(80)) {
        for (run, now) in runs_on_the_way(&run, &moves).into_iter().filter(|(run, _)| run.status().is_final()) {
            for kind in KINDS {
                let event = event(kind, run.attempt, question(1, now).id, 1, now);
                prop_assert_eq!(run.apply(&event, now, CommitId(1)), Err(Rejected::Ended(run.status())));
            }
        }
    }

    #[test]
    fn each_change_adds_one_entry_and_the_timeline_never_runs_backwards(run in runs(), moves in moves(80)) {
        for step in walk(&run, &moves) {
            let Ok(after) = step.after else { continue };
            prop_assert_eq!(after.sequence, step.before.sequence + 1);
            prop_assert_eq!(&after.history[..step.before.history.len()], &step.before.history[..]);
            prop_assert_eq!(after.history.len(), step.before.history.len() + 1);
            prop_assert!(after.history.iter().zip(1..).all(|(entry, sequence)| entry.sequence == sequence));
            prop_assert!(after.history.is_sorted_by_key(|entry| entry.at));
            let last = after.history.last().expect("an entry was added");
            prop_assert_eq!((last.status, last.attempt), (after.status(), after.attempt));
            prop_assert_eq!(&last.state_name, &after.current_state_name);
        }
    }

    #[test]
    fn a_stale_attempt_can_do_nothing(run in runs(), moves in moves(60)) {
        for (run, now) in runs_on_the_way(&run, &moves) {
            let request_id = open_question(&run).unwrap_or(question(1, now).id);
            let others = [run.attempt.wrapping_sub(1), run.attempt + 1, u32::MAX];
            for (kind, attempt) in KINDS.into_iter().flat_map(|kind| others.map(|attempt| (kind, attempt))) {
                let event = event(kind, attempt, request_id, 1, now);
                if named_attempt(&event).is_some() {
                    let rejected = run.apply(&event, now, CommitId(1));
                    let expected = if run.status().is_final() {
                        Rejected::Ended(run.status())
                    } else {
                        Rejected::StaleAttempt { given: attempt, current: run.attempt }
                    };
                    prop_assert_eq!(rejected, Err(expected));
                }
            }
        }
    }

    #[test]
    fn a_held_run_can_be_released_stopped_or_cancelled_and_nothing_else(policy in policies(), millis in 0..1_000_000_i64) {
        let run = new_run(policy, true);
        prop_assert_eq!(run.due_at, None);
        let now = Timestamp::from_millis(FIRST_MILLIS + millis);
        for kind in KINDS {
            let event = event(kind, run.attempt, question(1, now).id, 1, now);
            let may = matches!(kind, Kind::Release | Kind::StopJobRun | Kind::Cancel);
            prop_assert_eq!(run.apply(&event, now, CommitId(1)).is_ok(), may, "{:?}", kind);
        }
    }

    #[test]
    fn attempts_only_grow_and_executions_are_bounded(run in runs(), moves in moves(120)) {
        for step in walk(&run, &moves) {
            let Ok(after) = step.after else { continue };
            let claims = u32::from(matches!(step.event, Event::Claimed { .. }));
            prop_assert_eq!(after.attempt, step.before.attempt + claims);
            prop_assert!(after.executions >= step.before.executions);
            prop_assert!(after.executions <= after.policy.max_attempts);
            prop_assert!(after.attempt <= after.executions + ATTEMPTS_THAT_NEVER_BEGAN);
            // What a person was asked for is part of an execution: a step asked.
            let has_begun = match after.phase {
                Phase::InProgress { has_begun, .. } => has_begun,
                Phase::AwaitingUserInput { .. } => true,
                _ => false,
            };
            prop_assert!(!has_begun || after.executions >= 1);
        }
    }

    #[test]
    fn whatever_is_open_and_not_held_is_due_and_can_be_ended_by_the_clock_alone(run in runs(), moves in moves(80)) {
        for (run, now) in runs_on_the_way(&run, &moves) {
            let long_after = now.plus(Duration::from_secs(1_000_000_000));
            let (deadline, its_end) = match &run.phase {
                Phase::Held => {
                    prop_assert_eq!(run.due_at, None);
                    continue;
                }
                Phase::Ready { since, .. } => (since.plus(run.policy.queue_time), Event::QueueDeadlinePassed),
                Phase::InProgress { work_deadline, .. } => (*work_deadline, Event::WorkDeadlinePassed),
                Phase::AwaitingUserInput { request, .. } => {
                    (request.expires_at, Event::QuestionExpired { request_id: request.id })
                }
                Phase::Completed | Phase::CompletedWithNoActionTaken { .. } | Phase::Failed(_) => {
                    let soon = run.updated_at().plus(Duration::from_secs(30));
                    prop_assert!(run.due_at.is_some_and(|due_at| due_at <= soon), "its events are still owed");
                    continue;
                }
            };
            if let Phase::InProgress { .. } | Phase::AwaitingUserInput { .. } = run.phase {
                // At the end of the lease it was claimed with, and no sooner: what was due at a deadline that moved on since
                // would make a living worker's lease seem to be over.
                let claimed = run.history.iter().find(|entry| entry.attempt == run.attempt);
                prop_assert_eq!(run.due_at, claimed.map(|entry| entry.at.plus(LEASE)), "{:?}", run);
            } else {
                prop_assert!(run.due_at.is_some_and(|due_at| due_at <= deadline), "{:?}", run);
            }
            // A message that got lost is sent again after a minute, however the run came to be ready.
            if let Phase::Ready { since, .. } = run.phase {
                prop_assert!(since >= run.updated_at());
                prop_assert_eq!(run.due_at, Some(deadline.min(since.plus(Duration::from_secs(60)))));
                prop_assert!(run.enqueued_again(now).due_at.is_some_and(|due_at| due_at <= deadline));
            }
            let ended = run.apply(&its_end, long_after, CommitId(1)).map(|run| run.status());
            prop_assert_eq!(ended, Ok(Status::Failed));
        }
    }

    #[test]
    fn work_over_all_attempts_never_exceeds_what_the_policy_allows(run in runs(), moves in moves(120)) {
        for (run, _) in runs_on_the_way(&run, &moves) {
            // Counted anew, from nothing but the timeline.
            let worked: Duration = run
                .history
                .windows(2)
                .filter(|pair| pair[0].status == Status::InProgress)
                .map(|pair| pair[1].at.since(pair[0].at))
                .sum();
            let left = run.policy.work_time.saturating_sub(worked);
            match &run.phase {
                Phase::InProgress { work_deadline, .. } => prop_assert_eq!(work_deadline.since(run.updated_at()), left),
                Phase::AwaitingUserInput { work_left, .. } => prop_assert_eq!(*work_left, left),
                Phase::Ready { .. } => {
                    prop_assert_eq!(run.policy.work_time.saturating_sub(run.work_used), left);
                    prop_assert!(!left.is_zero(), "nobody could work on it");
                }
                _ => {}
            }
        }
    }

    #[test]
    fn an_answer_that_is_late_or_to_another_question_is_refused(run in runs(), moves in moves(80), late_millis in 0..10_000_i64) {
        for (run, now) in runs_on_the_way(&run, &moves) {
            let answer = |request_id| Event::Answered { request_id };
            let other = run.apply(&answer(question(0, now).id), now, CommitId(1));
            prop_assert!(other.is_err());
            let Phase::AwaitingUserInput { request, .. } = &run.phase else { continue };
            prop_assert_eq!(other, Err(Rejected::OtherQuestion));
            for late_millis in [0, late_millis] {
                let late = Timestamp::from_millis(request.expires_at.as_millis() + late_millis);
                prop_assert_eq!(run.apply(&answer(request.id), late, CommitId(1)), Err(Rejected::NotDue));
            }
            let in_time = Timestamp::from_millis(request.expires_at.as_millis() - 1);
            // The clock that asked may be so far behind the run's that its question was over when it came.
            if in_time < run.updated_at() {
                continue;
            }
            let answered = run.apply(&answer(request.id), in_time, CommitId(1)).map(|run| run.status());
            prop_assert_eq!(answered, Ok(Status::InProgress));
        }
    }

    #[test]
    fn each_change_is_told_once_and_derived_again_it_is_the_same(run in runs(), moves in moves(80)) {
        let mut expected = vec![(EventType::RunCreated, 1)];
        let mut latest = run.clone();
        for step in walk(&run, &moves) {
            let Ok(after) = step.after else { continue };
            let told = match (&step.event, after.status()) {
                (_, Status::Completed) => EventType::RunCompleted,
                (_, Status::CompletedWithNoActionTaken) => EventType::RunCompletedWithNoActionTaken,
                (_, Status::Failed) => EventType::RunFailed,
                (Event::Claimed { .. }, _) if after.attempt == 1 => EventType::RunStarted,
                (Event::AskedUser { .. }, _) => EventType::RunAwaitingUserInput,
                (Event::Answered { .. }, _) => EventType::RunUserInputReceived,
                _ => EventType::RunStateChanged,
            };
            expected.push((told, after.sequence));
            latest = after;
        }
        let events = events_of(&latest);
        let found: Vec<_> = events.iter().map(|event| (event.event_type, event.sequence)).collect();
        prop_assert_eq!(found, expected);
        for event in events {
            let body = serde_json::to_value(body_of(&latest, event)).expect("a body is JSON");
            prop_assert_eq!(&body["type"], event.event_type.as_str());
            prop_assert_eq!(&body["data"]["sequence"], event.sequence);
            prop_assert_eq!(&body["data"]["updatedAt"], &body["timestamp"]);
            prop_assert!(body["data"].get("input").is_none() && body["data"].get("output").is_none());
        }
    }

    #[test]
    fn a_view_of_an_earlier_change_is_what_the_run_was_then(run in runs(), moves in moves(80)) {
        let way = runs_on_the_way(&run, &moves);
        let (latest, _) = way.last().expect("a way has a start");
        for (then, _) in way.iter().filter(|(then, _)| then.sequence < latest.sequence) {
            let mut at_that_time = RunView::at(then, then.sequence);
            // The question is not part of the history: only who asks at the time sees it.
            at_that_time.summary.input_request = None;
            prop_assert_eq!(RunView::at(latest, then.sequence), at_that_time);
        }
    }
}

proptest! {
    #![proptest_config(config(32))]

    #[test]
    fn the_history_has_a_bound_and_keeps_room_for_the_end(asks in proptest::collection::vec(any::<bool>(), 250)) {
        let policy = Policy { work_time: Duration::from_secs(10_000), ..Policy::default() };
        let mut run = new_run(policy, false);
        let mut refused = 0;
        for (seed, asks) in (1..).zip(asks) {
            let now = Timestamp::from_millis(FIRST_MILLIS + i64::from(seed) * 1_000);
            let kind = match run.phase {
                Phase::Ready { .. } => Kind::Claim,
                Phase::AwaitingUserInput { .. } => Kind::Answer,
                _ if asks && run.executions > 0 => Kind::Ask,
                _ => Kind::Enter,
            };
            let request_id = open_question(&run).unwrap_or(question(seed, now).id);
            match run.apply(&event(kind, run.attempt, request_id, seed, now), now, CommitId(seed)) {
                Ok(after) => run = after,
                Err(why) => {
                    prop_assert_eq!(why, Rejected::HistoryFull);
                    refused += 1;
                }
            }
            prop_assert!(run.history.len() < HISTORY_ENTRIES);
        }
        prop_assert!(refused > 0, "the bound was never met");
        let end = run.apply(&Event::Canceled, run.updated_at(), CommitId(9_999)).expect("a run can always end");
        prop_assert_eq!(end.history.len(), HISTORY_ENTRIES);
    }

    #[test]
    fn a_run_that_loses_its_worker_before_its_first_step_ends_after_five_attempts(given_back in any::<[bool; 5]>()) {
        let mut run = new_run(Policy::default(), false);
        for (attempt, given_back) in (1..).zip(given_back) {
            let now = Timestamp::from_millis(FIRST_MILLIS + i64::from(attempt) * 1_000);
            let claim = Event::Claimed { worker_id: "worker-1".to_owned(), lease: LEASE };
            run = run.apply(&claim, now, CommitId(1)).expect("a ready run can be claimed");
            let lost = if given_back { Event::GaveBack { attempt } } else { Event::LeaseExpired { attempt } };
            run = run.apply(&lost, now, CommitId(2)).expect("a worker can be lost");
            prop_assert_eq!(run.status(), if attempt < 5 { Status::Pending } else { Status::Failed });
        }
        let Phase::Failed(failure) = &run.phase else { return Err(TestCaseError::fail("it goes on")) };
        prop_assert_eq!((failure.code, failure.retryable), (FailureCode::WorkerLost, true));
    }
}

#[test]
fn a_run_whose_first_step_has_begun_is_executed_again_only_as_often_as_its_workflow_says() {
    for max_attempts in 1..=3 {
        let mut run = new_run(
            Policy {
                max_attempts,
                ..Policy::default()
            },
            false,
        );
        for attempt in 1..=max_attempts {
            let now = may_be_claimed_at(&run);
            let request_id = question(1, now).id;
            for kind in [Kind::Claim, Kind::Enter, Kind::LoseLease] {
                let event = event(kind, attempt, request_id, 1, now);
                run = run
                    .apply(&event, now, CommitId(attempt))
                    .expect("each of these is legal here");
            }
            assert_eq!(run.status().is_final(), attempt == max_attempts);
        }
        assert_eq!(run.executions, max_attempts);
    }
}

/// A run that may be executed five times, during its first execution.
fn in_its_first_execution(backoff: Backoff) -> Run {
    let policy = Policy {
        max_attempts: 5,
        backoff,
        ..Policy::default()
    };
    execute(&new_run(policy, false))
}

/// Claims a ready run as soon as it may be claimed, and begins its first step.
fn execute(run: &Run) -> Run {
    let now = may_be_claimed_at(run);
    let request_id = question(1, now).id;
    let claimed = run
        .apply(&event(Kind::Claim, 0, request_id, 1, now), now, CommitId(1))
        .expect("a ready run can be claimed");
    let enter = event(Kind::Enter, claimed.attempt, request_id, 1, now);
    claimed
        .apply(&enter, now, CommitId(2))
        .expect("whoever claimed it may begin")
}

/// Loses a run's worker at once.
fn lose(run: &Run) -> Run {
    let lost = Event::LeaseExpired {
        attempt: run.attempt,
    };
    run.apply(&lost, run.updated_at(), CommitId(3))
        .expect("a worker can be lost")
}

#[test]
fn each_execution_waits_longer_than_the_one_before_and_not_longer_than_the_workflow_says() {
    let waits = |backoff| {
        let mut run = in_its_first_execution(backoff);
        let mut waits = Vec::new();
        for _ in 1..5 {
            run = lose(&run);
            let wait = run.waits_for_retry(run.updated_at());
            let entry = run.history.last().expect("it was created");
            assert_eq!(entry.not_before, Some(run.updated_at().plus(wait)));
            waits.push(wait.as_secs());
            run = execute(&run);
            assert_eq!(run.waits_for_retry(run.updated_at()), Duration::ZERO);
        }
        waits
    };
    assert_eq!(waits(Backoff::default()), [10, 20, 40, 80]);
    let seconds = Duration::from_secs;
    let bounded = |doubles| Backoff {
        delay: seconds(40),
        doubles,
        max_delay: seconds(100),
    };
    assert_eq!(waits(bounded(true)), [40, 80, 100, 100]);
    assert_eq!(waits(bounded(false)), [40, 40, 40, 40]);
    let endless = Backoff {
        delay: Duration::MAX,
        doubles: true,
        max_delay: Duration::MAX,
    };
    assert_eq!(endless.after(u32::MAX), Backoff::LONGEST);
}

#[test]
fn a_definition_says_how_long_a_run_waits_and_the_default_gives_way_to_what_it_says() {
    let backoff = |retry| {
        let definition = json!({
            "name": "T",
            "retry": retry,
            "states": [{"name": "first", "steps": [{"click": "a"}]}],
        });
        let definition = Definition::parse_json(&definition).expect("it is a definition");
        Policy::of(&definition).backoff
    };
    let seconds = |delay, doubles, max_delay| Backoff {
        delay: Duration::from_secs(delay),
        doubles,
        max_delay: Duration::from_secs(max_delay),
    };
    assert_eq!(backoff(json!({"maxAttempts": 2})), Backoff::default());
    let whole = json!({"maxAttempts": 2, "delay": "0s", "backoff": "fixed", "maxDelay": "15m"});
    assert_eq!(backoff(whole), seconds(0, false, 900));
    let short = json!({"maxAttempts": 2, "maxDelay": "5s"});
    assert_eq!(backoff(short), seconds(5, true, 5));
    let long = json!({"maxAttempts": 2, "delay": "10m"});
    assert_eq!(backoff(long), seconds(600, true, 600));
}

#[test]
fn a_run_that_waits_for_its_next_execution_is_not_claimed_before() {
    let run = lose(&in_its_first_execution(Backoff::default()));
    let at = may_be_claimed_at(&run);
    let just_before = Timestamp::from_millis(at.as_millis() - 1);
    let request_id = question(1, at).id;
    for (now, may) in [(run.updated_at(), false), (just_before, false), (at, true)] {
        let claim = event(Kind::Claim, 0, request_id, 1, now);
        let claimed = run.apply(&claim, now, CommitId(4));
        assert_eq!(claimed.is_ok(), may, "{now}");
        if !may {
            assert_eq!(claimed, Err(Rejected::NotDue));
        }
    }
    // Should its message get lost, it is looked at a minute after that.
    assert_eq!(run.due_at, Some(at.plus(Duration::from_secs(60))));
    // The wait is none of its time in the queue.
    let queue_deadline = at.plus(run.policy.queue_time);
    assert_eq!(run.queue_deadline(), Some(queue_deadline));
}

#[test]
fn what_an_attempt_wrote_is_shown_up_to_its_end_and_all_of_it_where_its_worker_ended_the_run() {
    let run = in_its_first_execution(Backoff::default());
    let end = run.updated_at().plus(Duration::from_secs(60));
    let later = end.plus(Duration::from_secs(1));
    let shown = |run: &Run| [end, later].map(|at| run.shows_artifact_of(1, at));
    assert_eq!(shown(&run), [true, true]);
    for from_outside in [Event::Canceled, Event::LeaseExpired { attempt: 1 }] {
        let ended = run.apply(&from_outside, end, CommitId(3));
        assert_eq!(shown(&ended.expect("it is legal")), [true, false]);
    }
    // Its worker's clock may have been put back before the last write.
    let finished = event(Kind::Complete, 1, question(1, end).id, 1, end);
    let ended = run.apply(&finished, end, CommitId(3));
    assert_eq!(shown(&ended.expect("it is legal")), [true, true]);
}

#[test]
fn the_wait_for_the_next_execution_is_no_working_time() {
    let run = execute(&lose(&in_its_first_execution(Backoff::default())));
    assert_eq!(run.work_used, Duration::ZERO);
}

#[test]
fn a_run_whose_browser_died_is_executed_again_as_if_its_worker_were_lost_and_no_other_failure_is() {
    let fail = |run: &Run, code| {
        let failure = Failure {
            retryable: true,
            ..Failure::outside_of_steps(code, "it went wrong")
        };
        let finished = Event::Finished {
            attempt: run.attempt,
            finish: Finish::Failed(failure),
            timings: Timings::default(),
            skipped: Vec::new(),
        };
        run.apply(&finished, run.updated_at(), CommitId(5))
            .expect("whoever has it may end it")
    };
    let mut run = in_its_first_execution(Backoff::default());
    let failed = fail(&run, FailureCode::ElementNotFound);
    assert_eq!(failed.status(), Status::Failed);
    for execution in 1..5 {
        let crashed = fail(&run, FailureCode::BrowserCrashed);
        let mut lost = lose(&run);
        lost.history.last_mut().expect("it was created").commit = CommitId(5);
        assert_eq!(crashed, lost);
        assert_eq!(crashed.executions, execution);
        run = execute(&crashed);
    }
    let crashed = fail(&run, FailureCode::BrowserCrashed);
    let Phase::Failed(failure) = &crashed.phase else {
        panic!("{:?}", crashed.phase)
    };
    assert_eq!(failure.code, FailureCode::BrowserCrashed);
}

#[test]
fn the_most_entries_that_a_definition_counts_are_what_the_longest_run_has() {
    let definition = Definition::parse_json(&json!({
        "name": "T",
        "retry": {"maxAttempts": 2},
        "states": [
            {"name": "first", "steps": [{"askUser": {"prompt": "Code", "as": "code"}}]},
            {"name": "second", "steps": [{"click": "a"}]},
        ],
    }))
    .expect("it is a definition");
    let never_begun = [Kind::Claim, Kind::LoseLease].repeat(ATTEMPTS_THAT_NEVER_BEGAN as usize - 1);
    let execution = [
        Kind::Claim,
        Kind::Enter,
        Kind::Ask,
        Kind::Answer,
        Kind::Enter,
        Kind::GiveBack,
    ];
    let mut run = new_run(Policy::of(&definition), true);
    for kind in [vec![Kind::Release], never_begun, execution.repeat(2)].concat() {
        let now = may_be_claimed_at(&run);
        let request_id = open_question(&run).unwrap_or(question(1, now).id);
        run = run
            .apply(
                &event(kind, run.attempt, request_id, 1, now),
                now,
                CommitId(1),
            )
            .expect("each of these is legal");
        if run.waits_for_admission() {
            run = run.admitted(true, now);
        }
    }
    assert_eq!(run.status(), Status::Failed);
    assert_eq!(run.history.len(), definition.max_history_entries());
}

#[test]
fn a_run_that_lost_its_worker_without_any_working_time_left_fails_at_its_deadline() {
    let mut run = new_run(
        Policy {
            max_attempts: 3,
            work_time: Duration::from_secs(60),
            ..Policy::default()
        },
        false,
    );
    let start = run.created_at;
    let claim = Event::Claimed {
        worker_id: "worker-1".to_owned(),
        lease: LEASE,
    };
    run = run
        .apply(&claim, start, CommitId(1))
        .expect("a ready run can be claimed");
    run = run
        .apply(
            &Event::LeaseExpired { attempt: 1 },
            start.plus(Duration::from_secs(60)),
            CommitId(2),
        )
        .expect("a worker can be lost");
    let Phase::Failed(failure) = run.phase else {
        panic!("{:?}", run.phase)
    };
    assert_eq!(failure.code, FailureCode::DeadlineExceeded);
}
