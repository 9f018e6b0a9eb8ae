use std::time::{Duration, Instant};

use domain::FailureCode;
use domain::run::{Backoff, Event, Finish, InputRequest, Phase, Policy, Run, Status};
use domain::webhook::EventType;
use domain::{InputRequestId, RunId, Timestamp};
use store::local::faults::sent_elsewhere;
use store::{Lease, Queue, fresh_id, now};
use sweeper::{Report, Time};
use tokio::net::TcpListener;

use crate::setting::{LEASE, Setting, just_before};

async fn sweep(setting: &Setting, at: Timestamp) -> Report {
    sweeper::handle(&setting.store, at).await
}

fn failure_code(run: &Run) -> Option<FailureCode> {
    match &run.phase {
        Phase::Failed(failure) => Some(failure.code),
        _ => None,
    }
}

#[tokio::test]
async fn a_run_whose_message_was_lost_is_enqueued_again_and_each_time_later() {
    let setting = Setting::start().await;
    let run = setting
        .run_created_at(setting.at(-61), Policy::default())
        .await;
    assert_eq!(
        sweep(&setting, setting.at(0)).await,
        Report {
            runs_enqueued: 1,
            ..Report::default()
        }
    );
    assert_eq!(setting.take_runs().await, [run.id]);

    assert_eq!(sweep(&setting, setting.at(4 * 60)).await, Report::default());
    assert_eq!(
        sweep(&setting, setting.at(6 * 60)).await,
        Report {
            runs_enqueued: 1,
            ..Report::default()
        }
    );
    assert_eq!(
        sweep(&setting, setting.at(20 * 60)).await,
        Report::default()
    );
    let fresh = setting.fresh(&run).await;
    assert_eq!((fresh.sequence, fresh.status()), (1, Status::Pending));
}

#[tokio::test]
async fn a_run_that_is_not_due_yet_is_left_alone() {
    let setting = Setting::start().await;
    setting
        .run_created_at(setting.at(0), Policy::default())
        .await;
    assert_eq!(sweep(&setting, setting.at(0)).await, Report::default());
    assert_eq!(setting.take_runs().await, []);
}

#[tokio::test]
async fn a_sweep_whose_time_is_over_begins_nothing_and_says_what_it_left_to_the_next_one() {
    let setting = Setting::start().await;
    for _ in 0..3 {
        setting
            .run_created_at(setting.at(-61), Policy::default())
            .await;
    }
    let time = Time {
        to_begin: Duration::ZERO,
        to_end: Duration::from_secs(60),
    };
    let over = sweeper::handle_within(&setting.store, setting.at(0), time).await;
    assert_eq!(
        over,
        Report {
            left_over: 3,
            ..Report::default()
        }
    );
    assert_eq!(setting.take_runs().await, []);
    assert_eq!(sweep(&setting, setting.at(0)).await.runs_enqueued, 3);
}

#[tokio::test]
async fn a_call_that_hangs_ends_with_its_sweep_and_the_next_one_does_not_begin_with_it() {
    let setting = Setting::start().await;
    let run = setting
        .run_created_at(setting.at(-61), Policy::default())
        .await;
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", silent.local_addr().expect("it has one"));
    let hanging = sent_elsewhere(&setting.store, "PutItem", &url);
    let began = Instant::now();
    // All the time that a sweep has passes once the call hangs, however long the machine took to get there.
    let time_passes = async {
        let connection = silent.accept().await.expect("a connection");
        tokio::time::pause();
        tokio::time::advance(sweeper::ENDS_WITHIN).await;
        tokio::time::resume();
        connection
    };
    let swept = sweeper::handle(&hanging, setting.at(0));
    let (report, _connection) = tokio::join!(swept, time_passes);
    // By itself the call would go on: it is tried twice more, each time for ten seconds.
    let took = began.elapsed();
    assert!(took < Duration::from_secs(18), "{took:?}");
    // So is what it had asked of other shards, and was not answered yet.
    let cut = Report {
        failed: report.failed.max(1),
        ..Report::default()
    };
    assert_eq!(report, cut);
    assert_eq!(setting.take_runs().await, [run.id]);
    assert_eq!(sweep(&setting, setting.at(0)).await, Report::default());
    assert_eq!(sweep(&setting, setting.at(190)).await.runs_enqueued, 1);
}

#[tokio::test]
async fn a_run_that_no_worker_took_in_time_fails() {
    let setting = Setting::start().await;
    let policy = Policy {
        queue_time: Duration::from_secs(100),
        ..Policy::default()
    };
    let at = setting.at(-101);
    let queued = setting.run_created_at(at, policy.clone()).await;
    // One that its organization's limit keeps out of the queue waits no longer.
    let waiting = setting.run_created_at(at, policy).await;
    let left_out = setting
        .store
        .postpone_run(&waiting, &waiting.admitted(false, at))
        .await;
    assert!(left_out.expect("the store answers"));
    assert_eq!(sweep(&setting, setting.at(0)).await.queue_deadlines, 2);
    for run in [queued, waiting] {
        assert_eq!(
            failure_code(&setting.fresh(&run).await),
            Some(FailureCode::QueueTimeout)
        );
    }
}

#[tokio::test]
async fn a_dead_lease_before_the_first_step_makes_the_run_ready_again() {
    let setting = Setting::start().await;
    let at = setting.at(-40);
    let run = setting.run_created_at(at, Policy::default()).await;
    let run = setting.claimed(run, at).await;
    assert_eq!(
        sweep(&setting, setting.at(0)).await,
        Report {
            leases_expired: 1,
            ..Report::default()
        }
    );
    let fresh = setting.fresh(&run).await;
    assert!(
        matches!(fresh.phase, Phase::Ready { .. }),
        "{:?}",
        fresh.phase
    );
    assert_eq!(setting.take_runs().await, [run.id]);
}

#[tokio::test]
async fn a_dead_lease_after_the_first_step_ends_the_run_as_worker_lost() {
    let setting = Setting::start().await;
    let at = setting.at(-40);
    let run = setting.run_created_at(at, Policy::default()).await;
    let run = setting.begun(run, at).await;
    // It was renewed once, and is over.
    let lease = Lease {
        attempt: run.attempt,
        expires_at: setting.at(-1),
    };
    assert!(
        setting
            .store
            .renew_lease(run.id, lease)
            .await
            .expect("the store answers")
    );
    assert_eq!(
        sweep(&setting, setting.at(0)).await,
        Report {
            leases_expired: 1,
            ..Report::default()
        }
    );
    let fresh = setting.fresh(&run).await;
    assert_eq!(failure_code(&fresh), Some(FailureCode::WorkerLost));
    assert_eq!(setting.take_runs().await, []);
}

#[tokio::test]
async fn a_lost_execution_is_in_the_queue_again_only_when_it_has_waited() {
    let setting = Setting::start().await;
    let at = setting.at(-40);
    let policy = Policy {
        max_attempts: 2,
        backoff: Backoff {
            delay: Duration::from_secs(2),
            ..Backoff::default()
        },
        ..Policy::default()
    };
    let run = setting.run_created_at(at, policy).await;
    let run = setting.begun(run, at).await;
    let lost_at = now();
    assert_eq!(sweep(&setting, lost_at).await.leases_expired, 1);
    let fresh = setting.fresh(&run).await;
    let not_before = lost_at.plus(Duration::from_secs(2));
    assert_eq!(
        fresh.history.last().and_then(|entry| entry.not_before),
        Some(not_before)
    );
    let wait = Duration::from_secs(20);
    let messages = setting.store.receive(Queue::Runs, 1, wait).await;
    assert_eq!(messages.expect("the queue answers").len(), 1);
    assert!(now() >= not_before, "the message came too early");
    // Had it been lost, a sweep would send another one, a minute after the run might have been claimed.
    let a_minute_later = not_before.plus(Duration::from_secs(60));
    assert_eq!(
        sweep(&setting, just_before(a_minute_later)).await,
        Report::default()
    );
    assert_eq!(sweep(&setting, a_minute_later).await.runs_enqueued, 1);
}

#[tokio::test]
async fn a_live_lease_is_left_alone_until_it_ends() {
    let setting = Setting::start().await;
    let at = setting.at(-40);
    let run = setting.run_created_at(at, Policy::default()).await;
    let run = setting.begun(run, at).await;
    let lease = Lease {
        attempt: run.attempt,
        expires_at: setting.at(25),
    };
    assert!(
        setting
            .store
            .renew_lease(run.id, lease)
            .await
            .expect("the store answers")
    );
    assert_eq!(
        sweep(&setting, setting.at(0)).await,
        Report {
            leases_alive: 1,
            ..Report::default()
        }
    );
    let fresh = setting.fresh(&run).await;
    assert_eq!(
        (fresh.status(), fresh.sequence),
        (Status::InProgress, run.sequence)
    );
    assert_eq!(fresh.due_at, Some(lease.expires_at));
    assert_eq!(sweep(&setting, setting.at(20)).await, Report::default());
    assert_eq!(sweep(&setting, setting.at(26)).await.leases_expired, 1);
}

#[tokio::test]
async fn the_lease_of_an_earlier_attempt_keeps_no_later_one_alive() {
    let setting = Setting::start().await;
    let at = setting.at(-40);
    let run = setting.run_created_at(at, Policy::default()).await;
    let run = setting.claimed(run, at).await;
    let run = setting
        .commit(run, Event::GaveBack { attempt: 1 }, at)
        .await;
    let run = setting.claimed(run, at).await;
    let earlier = Lease {
        attempt: 1,
        expires_at: setting.at(25),
    };
    assert!(
        setting
            .store
            .renew_lease(run.id, earlier)
            .await
            .expect("the store answers")
    );
    assert_eq!(sweep(&setting, setting.at(0)).await.leases_expired, 1);
}

#[tokio::test]
async fn a_run_that_has_used_up_its_working_time_fails_although_its_worker_lives() {
    let setting = Setting::start().await;
    let at = setting.at(-40);
    let policy = Policy {
        work_time: Duration::from_secs(35),
        ..Policy::default()
    };
    let run = setting.run_created_at(at, policy).await;
    let run = setting.begun(run, at).await;
    let lease = Lease {
        attempt: run.attempt,
        expires_at: setting.at(60),
    };
    assert!(
        setting
            .store
            .renew_lease(run.id, lease)
            .await
            .expect("the store answers")
    );
    // It has a while to say so itself.
    assert_eq!(sweep(&setting, setting.at(0)).await.leases_alive, 1);
    assert_eq!(sweep(&setting, setting.at(53)).await, Report::default());
    assert_eq!(sweep(&setting, setting.at(56)).await.work_deadlines, 1);
    assert_eq!(
        failure_code(&setting.fresh(&run).await),
        Some(FailureCode::DeadlineExceeded)
    );
}

#[tokio::test]
async fn a_question_that_nobody_answers_in_time_fails_the_run_although_its_worker_lives() {
    let setting = Setting::start().await;
    let at = setting.at(-40);
    let run = setting.run_created_at(at, Policy::default()).await;
    let run = setting.begun(run, at).await;
    let request = InputRequest {
        id: fresh_id(InputRequestId::new, at),
        prompt: "Code".to_owned(),
        message: None,
        screenshot_artifact_id: None,
        fields: Vec::new(),
        expires_at: at.plus(LEASE * 2),
        tries_left: 1,
    };
    let attempt = run.attempt;
    let run = setting
        .commit(run, Event::AskedUser { attempt, request }, at)
        .await;
    let lease = Lease {
        attempt,
        expires_at: setting.at(90),
    };
    assert!(
        setting
            .store
            .renew_lease(run.id, lease)
            .await
            .expect("the store answers")
    );
    assert_eq!(
        sweep(&setting, setting.at(0)).await,
        Report {
            leases_alive: 1,
            ..Report::default()
        }
    );
    // Its workflow may say how to go on, so the worker has a while to do so.
    assert_eq!(sweep(&setting, setting.at(78)).await, Report::default());
    assert_eq!(sweep(&setting, setting.at(81)).await.questions_expired, 1);
    assert_eq!(
        failure_code(&setting.fresh(&run).await),
        Some(FailureCode::UserInputTimeout)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sweeps_at_the_same_time_do_each_thing_once() {
    let mut setting = Setting::start().await;
    setting
        .endpoint("http://127.0.0.1:9/", &EventType::ALL)
        .await;
    let at = setting.at(-40);
    let again = Policy {
        max_attempts: 2,
        backoff: Backoff {
            delay: Duration::ZERO,
            ..Backoff::default()
        },
        ..Policy::default()
    };
    let queue_time = Duration::from_secs(35);
    let work_time = queue_time;
    let mut lost = Vec::new();
    let mut over = Vec::new();
    let mut owing = Vec::new();
    for _ in 0..4 {
        let run = setting.run_created_at(at, again.clone()).await;
        lost.push(setting.begun(run, at).await);
        let brief = Policy {
            queue_time,
            ..Policy::default()
        };
        over.push(setting.run_created_at(at, brief).await);
        let brief = Policy {
            work_time,
            ..Policy::default()
        };
        let run = setting.run_created_at(at, brief).await;
        over.push(setting.begun(run, at).await);
        let run = setting.run_created_at(at, Policy::default()).await;
        let run = setting.begun(run, at).await;
        owing.push(setting.finished(run, Finish::Completed, at).await);
    }
    setting.lose_stream_records().await;

    let when = setting.at(0);
    let sweeps = [(); 5].map(|()| sweep(&setting, when));
    let reports = futures::future::join_all(sweeps).await;
    let sum = |of: fn(&Report) -> u32| reports.iter().map(of).sum::<u32>();
    assert_eq!(
        (
            sum(|report| report.leases_expired),
            sum(|report| report.queue_deadlines),
            sum(|report| report.work_deadlines),
            sum(|report| report.failed),
        ),
        (4, 4, 4, 0),
        "{reports:?}"
    );
    for run in &lost {
        let fresh = setting.fresh(run).await;
        assert_eq!(fresh.sequence, run.sequence + 1);
        assert!(matches!(fresh.phase, Phase::Ready { .. }), "{fresh:?}");
    }
    for run in &over {
        let fresh = setting.fresh(run).await;
        assert_eq!(fresh.sequence, run.sequence + 1);
        assert_eq!(fresh.status(), Status::Failed);
    }
    // All that the ended runs owe, and each once.
    sweep(&setting, setting.at(40)).await;
    let mut told = Vec::new();
    for delivery in setting.take_deliveries().await {
        told.push((delivery.key.run_id, delivery.key.key));
    }
    told.sort();
    let all = told.len();
    told.dedup();
    assert_eq!(all, told.len(), "a delivery is in the queue twice");
    for run in owing.iter().chain(&over) {
        let changes = setting.fresh(run).await.history.len();
        let of_run = told.iter().filter(|(id, _)| *id == run.id).count();
        assert_eq!(of_run, changes);
    }
}

#[tokio::test]
async fn lost_stream_records_lose_no_event() {
    let mut setting = Setting::start().await;
    setting
        .endpoint("http://127.0.0.1:9/", &EventType::ALL)
        .await;
    let at = setting.at(-10);
    let run = setting.run_created_at(at, Policy::default()).await;
    let run = setting.begun(run, at).await;
    let run = setting.finished(run, Finish::Completed, at).await;
    setting.lose_stream_records().await;
    assert_eq!(setting.take_deliveries().await.len(), 0);

    // It stays due when its lease would have ended.
    let later = setting.at(21);
    assert_eq!(
        sweep(&setting, later).await,
        Report {
            runs_concluded: 1,
            ..Report::default()
        }
    );
    let mut sequences: Vec<String> = setting
        .take_deliveries()
        .await
        .into_iter()
        .map(|delivery| delivery.key.key)
        .collect();
    sequences.sort();
    let told: Vec<&str> = sequences
        .iter()
        .filter_map(|key| key.split('#').nth(1))
        .collect();
    assert_eq!(told, ["000001", "000002", "000003", "000004"]);
    assert_eq!(setting.fresh(&run).await.due_at, None);
    assert_eq!(sweep(&setting, later).await, Report::default());
}

#[tokio::test]
async fn a_question_whose_stream_record_was_lost_is_told_of_while_it_is_still_open() {
    let mut setting = Setting::start().await;
    let told = [EventType::RunAwaitingUserInput];
    setting.endpoint("http://127.0.0.1:9/", &told).await;
    let at = setting.at(-40);
    let run = setting.run_created_at(at, Policy::default()).await;
    let run = setting.begun(run, at).await;
    let attempt = run.attempt;
    let request = InputRequest {
        id: fresh_id(InputRequestId::new, at),
        prompt: "Code".to_owned(),
        message: None,
        fields: Vec::new(),
        screenshot_artifact_id: None,
        expires_at: setting.at(300),
        tries_left: 1,
    };
    let asked = Event::AskedUser { attempt, request };
    let run = setting.commit(run, asked, at).await;
    let lease = Lease {
        attempt,
        expires_at: setting.at(20),
    };
    assert!(setting.store.renew_lease(run.id, lease).await.is_ok());
    setting.lose_stream_records().await;

    assert_eq!(sweep(&setting, setting.at(0)).await.leases_alive, 1);
    assert_eq!(setting.take_deliveries().await.len(), 1);
    assert_eq!(
        setting.fresh(&run).await.status(),
        Status::AwaitingUserInput
    );
    // Once is enough.
    assert_eq!(sweep(&setting, setting.at(21)).await.leases_expired, 1);
    assert_eq!(setting.take_deliveries().await.len(), 0);
}

#[tokio::test]
async fn what_cannot_be_dealt_with_hides_nothing_that_is_due_behind_it() {
    // More than the sweeper reads at once.
    const CORRUPT: u32 = 251;
    let setting = Setting::start().await;
    let in_one_shard = |seconds: i64| {
        let at = setting.at(-seconds);
        let mut random: [u8; 10] = store::fresh_random();
        random[9] = 0;
        setting.run_of(RunId::new(at, random), at, Policy::default())
    };
    let behind = in_one_shard(61).await;
    for _ in 0..CORRUPT {
        let pk = format!("RUN#{}", in_one_shard(90).await.id);
        setting.set_attribute(&pk, "RUN", "status", "NONE").await;
    }
    assert_eq!(
        sweep(&setting, setting.at(0)).await,
        Report {
            runs_enqueued: 1,
            failed: CORRUPT,
            set_aside: CORRUPT,
            ..Report::default()
        }
    );
    assert_eq!(setting.take_runs().await, [behind.id]);
    // Nor does the next sweep begin with it; but it is not forgotten.
    assert_eq!(sweep(&setting, setting.at(170)).await, Report::default());
    assert_eq!(sweep(&setting, setting.at(190)).await.failed, CORRUPT);
}

#[tokio::test]
async fn what_cannot_be_dealt_with_is_tried_again_each_time_later_and_in_each_hour_until_it_is_mended()
 {
    let mut setting = Setting::start().await;
    let (endpoint, _) = setting
        .endpoint("http://127.0.0.1:9/", &EventType::DEFAULT)
        .await;
    let pk = format!("ORG#{}", setting.organization_id);
    let sk = format!("ENDPOINT#{endpoint}");
    setting.set_attribute(&pk, &sk, "id", "no id").await;
    let at = setting.at(0);
    let run = setting.run_created_at(at, Policy::default()).await;
    let run = setting.begun(run, at).await;
    let run = setting.finished(run, Finish::Completed, at).await;
    setting.lose_stream_records().await;

    let mut tried = Vec::new();
    for minutes in 1..240 {
        let report = sweep(&setting, setting.at(minutes * 60)).await;
        assert_eq!(report.failed, report.set_aside);
        if report.failed > 0 {
            tried.push(minutes);
        }
    }
    assert_eq!(tried, [1, 4, 8, 16, 32, 64, 109, 154, 199]);
    setting
        .set_attribute(&pk, &sk, "id", &endpoint.to_string())
        .await;
    assert_eq!(
        sweep(&setting, setting.at(243 * 60)).await,
        Report::default()
    );
    assert_eq!(
        sweep(&setting, setting.at(244 * 60)).await.runs_concluded,
        1
    );
    assert_eq!(setting.take_deliveries().await.len(), 1);
    assert_eq!(setting.fresh(&run).await.due_at, None);
}

#[tokio::test]
async fn a_delivery_whose_message_was_lost_is_enqueued_again_and_each_time_later() {
    let mut setting = Setting::start().await;
    setting
        .endpoint("http://127.0.0.1:9/", &[EventType::RunCreated])
        .await;
    setting
        .run_created_at(setting.at(0), Policy::default())
        .await;
    setting.dispatch().await;
    let lost = setting.take_deliveries().await;
    assert_eq!(lost.len(), 1);
    let mut due_at = lost[0].due_at.expect("it is due");
    assert_eq!(due_at, lost[0].created_at.plus(Duration::from_secs(60)));
    for minutes in [5, 15, 60, 60] {
        assert_eq!(
            sweep(&setting, just_before(due_at))
                .await
                .deliveries_enqueued,
            0
        );
        assert_eq!(sweep(&setting, due_at).await.deliveries_enqueued, 1);
        assert_eq!(setting.take_deliveries().await[0].id, lost[0].id);
        due_at = due_at.plus(Duration::from_secs(minutes * 60));
        let again = setting.delivery(&lost[0].key).await;
        assert_eq!(again.due_at, Some(due_at), "{minutes} min");
    }
}
