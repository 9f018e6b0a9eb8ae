//! One organization with many runs does not starve another: what is over its limit waits outside the queue, and each
//! end lets the oldest in.

use std::time::Duration;

use domain::run::{Event, Finish, Policy, Run, Status};
use domain::{RunId, Timestamp};
use store::local::set_attribute;
use store::{JustNow, PageSize, Queue, RunFilter, RunMessage, Store, TimeWindow, Transition, now};

use crate::api::{Answer, Caller};
use crate::setting::{LEASE, Setting};

/// The default.
const LIMIT: usize = 10;

impl Setting {
    /// A run that waits to be admitted, as the API writes one that is over the limit.
    async fn run_waiting_since(&self, at: Timestamp) -> Run {
        let run = self.run_created_at(at, Policy::default()).await;
        let waiting = run.admitted(false, at);
        assert!(
            self.store
                .postpone_run(&run, &waiting)
                .await
                .expect("the store answers")
        );
        waiting
    }

    /// As many runs in work as the organization may have.
    async fn busy(&self) -> Vec<Run> {
        let mut busy = Vec::new();
        for _ in 0..LIMIT {
            let run = self.run_created_at(now(), Policy::default()).await;
            busy.push(self.begun(run, now()).await);
        }
        busy
    }
}

/// Has the index show a run as in work, as it does for a moment after its end.
async fn shown_in_work(store: &Store, run: &Run) {
    shown_as(store, run, "IN_PROGRESS").await;
}

async fn shown_as(store: &Store, run: &Run, standing: &str) {
    let standing = format!("ORG#{}#STATUS#{standing}", run.organization_id);
    let pk = format!("RUN#{}", run.id);
    set_attribute(store, &pk, "RUN", "byStatus", &standing)
        .await
        .expect("the attribute is written");
}

fn id_of(answer: &Answer) -> RunId {
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.body["id"]
        .as_str()
        .and_then(|id| id.parse().ok())
        .expect("an id")
}

async fn taken_from(store: &Store) -> Vec<RunId> {
    let mut taken = Vec::new();
    loop {
        let messages = store
            .receive(Queue::Runs, 10, Duration::ZERO)
            .await
            .expect("the queue answers");
        if messages.is_empty() {
            taken.sort_unstable();
            return taken;
        }
        for message in messages {
            let named: RunMessage =
                serde_json::from_str(&message.body).expect("a message about a run");
            taken.push(named.run_id);
        }
    }
}

#[tokio::test]
async fn runs_over_the_limit_are_written_and_not_enqueued_and_others_are() {
    let caller = Caller::start().await;
    let workflow = caller.workflow().await;
    let mut created = Vec::new();
    for _ in 0..LIMIT + 3 {
        created.push(id_of(&caller.run(&workflow).await));
    }
    let queued = taken_from(&caller.store).await;
    assert_eq!(queued.len(), LIMIT);
    assert!(queued.iter().all(|id| created[..LIMIT].contains(id)));
    // Clients see no difference: all of them are PENDING, and listed as such, page by page.
    let mut listed = Vec::new();
    let mut after = None;
    loop {
        let page = caller
            .store
            .list_runs(
                caller.organization_id,
                &RunFilter::Status(Status::Pending),
                TimeWindow::default(),
                after,
                PageSize::new(4).expect("a size"),
            )
            .await
            .expect("the store answers");
        listed.extend(page.items.into_iter().map(|run| run.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    created.reverse();
    assert_eq!(listed, created);

    let other = caller.another().await;
    let run = id_of(&other.run(&other.workflow().await).await);
    assert_eq!(taken_from(&other.store).await, [run]);
}

#[tokio::test]
async fn each_end_admits_the_oldest_that_waits() {
    let mut setting = Setting::start().await;
    let mut busy = setting.busy().await;
    let waiting = [
        setting.run_waiting_since(now()).await,
        setting.run_waiting_since(now()).await,
    ];
    setting.dispatch().await;
    assert_eq!(setting.take_runs().await, []);

    let ended = busy.remove(0);
    setting.finished(ended, Finish::Completed, now()).await;
    setting.dispatch().await;
    assert_eq!(setting.take_runs().await, [waiting[0].id]);
    // It counts from now on, although nobody has claimed it.
    setting.dispatch().await;
    assert_eq!(setting.take_runs().await, []);
    let admitted = setting.fresh(&waiting[0]).await;
    assert_eq!(
        (admitted.sequence, admitted.waits_for_admission()),
        (1, false)
    );

    // A cancelled one frees its place too.
    let canceled = busy.remove(0);
    setting.commit(canceled, Event::Canceled, now()).await;
    setting.dispatch().await;
    assert_eq!(setting.take_runs().await, [waiting[1].id]);
}

#[tokio::test]
async fn a_run_that_waits_to_be_admitted_cannot_be_claimed() {
    let setting = Setting::start().await;
    let waiting = setting.run_waiting_since(now()).await;
    let claim = Event::Claimed {
        worker_id: "worker".to_owned(),
        lease: LEASE,
    };
    let answer = setting.store.transition(waiting, &claim, now()).await;
    assert!(
        matches!(answer, Ok(Transition::Rejected { .. })),
        "{answer:?}"
    );
}

#[tokio::test]
async fn the_sweeper_admits_those_whose_turn_went_unheard_and_leaves_the_others_for_later() {
    let setting = Setting::start().await;
    let waiting = setting.run_waiting_since(setting.at(-61)).await;
    let report = sweeper::handle(&setting.store, setting.at(0)).await;
    assert_eq!(report.runs_admitted, 1, "{report:?}");
    assert_eq!(setting.take_runs().await, [waiting.id]);

    setting.busy().await;
    let behind = setting.run_waiting_since(setting.at(-61)).await;
    let report = sweeper::handle(&setting.store, setting.at(0)).await;
    assert_eq!(
        (report.runs_admitted, report.still_waiting),
        (0, 1),
        "{report:?}"
    );
    assert!(setting.fresh(&behind).await.waits_for_admission());
    assert_eq!(setting.take_runs().await, []);
    // It has been looked at; one of an organization's is looked at each minute. Until then the leases of the others last.
    let report = sweeper::handle(&setting.store, setting.at(25)).await;
    assert_eq!(report, sweeper::Report::default());
}

#[tokio::test]
async fn two_that_admit_at_once_admit_the_same_runs() {
    let setting = Setting::start().await;
    let mut waiting = Vec::new();
    for _ in 0..LIMIT + 5 {
        waiting.push(setting.run_waiting_since(now()).await.id);
    }
    let admit = || {
        setting
            .store
            .admit_waiting(setting.organization_id, JustNow::Nothing, now())
    };
    let (one, other) = tokio::join!(admit(), admit());
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
    let mut admitted = setting.take_runs().await;
    admitted.sort_unstable();
    admitted.dedup();
    assert_eq!(admitted, waiting[..LIMIT]);
}

#[tokio::test]
async fn an_index_that_lags_keeps_no_run_out_of_a_place_that_is_free() {
    let setting = Setting::start().await;
    let mut busy = setting.busy().await;
    let may_work = || setting.store.may_work(setting.organization_id);
    assert!(matches!(may_work().await, Ok(false)));
    let waiting = setting.run_waiting_since(now()).await;

    let ended = busy.remove(0);
    let ended = setting.finished(ended, Finish::Completed, now()).await;
    shown_in_work(&setting.store, &ended).await;
    assert!(matches!(may_work().await, Ok(true)));
    let admitted = setting
        .store
        .admit_waiting(setting.organization_id, JustNow::Nothing, now())
        .await;
    assert!(matches!(admitted, Ok(1)), "{admitted:?}");
    assert_eq!(setting.take_runs().await, [waiting.id]);
}

/// Two runs of a busy organization that have ended, and that the index still shows as in work; and two that wait.
async fn two_ends_and_two_that_wait(setting: &Setting) -> ([Run; 2], [Run; 2]) {
    let mut busy = setting.busy().await;
    let waiting = [
        setting.run_waiting_since(now()).await,
        setting.run_waiting_since(now()).await,
    ];
    let mut end = async || {
        let run = busy.remove(0);
        let run = setting.finished(run, Finish::Completed, now()).await;
        shown_in_work(&setting.store, &run).await;
        run
    };
    ([end().await, end().await], waiting)
}

#[tokio::test]
async fn two_ends_that_the_index_does_not_show_yet_let_two_in() {
    let setting = Setting::start().await;
    let (ended, waiting) = two_ends_and_two_that_wait(&setting).await;
    // Each is heard while the other one is still shown in work, and whom the first one lets in is shown waiting.
    for (ended, waiting) in ended.iter().zip(&waiting) {
        let just_now = JustNow::Ended(ended.id);
        let admitted = setting
            .store
            .admit_waiting(setting.organization_id, just_now, now())
            .await;
        assert!(matches!(admitted, Ok(1)), "{admitted:?}");
        assert_eq!(setting.take_runs().await, [waiting.id]);
        shown_as(&setting.store, waiting, "PENDING#WAITING").await;
    }
}

#[tokio::test]
async fn two_ends_that_are_heard_at_once_let_two_in() {
    let setting = Setting::start().await;
    let (ended, waiting) = two_ends_and_two_that_wait(&setting).await;
    let [one, other] = ended.each_ref().map(|ended| {
        let just_now = JustNow::Ended(ended.id);
        setting
            .store
            .admit_waiting(setting.organization_id, just_now, now())
    });
    let (one, other) = tokio::join!(one, other);
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
    let mut admitted = setting.take_runs().await;
    admitted.sort_unstable();
    assert_eq!(admitted, waiting.map(|run| run.id));
}

#[tokio::test]
async fn a_run_created_just_after_the_last_end_goes_into_the_queue_at_once() {
    let caller = Caller::start().await;
    let workflow = caller.workflow().await;
    for _ in 0..LIMIT {
        let id = id_of(&caller.run(&workflow).await);
        let run = caller.store.run(id).await.expect("the store answers");
        let canceled = caller
            .store
            .transition(run.expect("the run exists"), &Event::Canceled, now())
            .await;
        let Ok(Transition::Committed(run)) = canceled else {
            panic!("{canceled:?}");
        };
        shown_in_work(&caller.store, &run).await;
    }
    taken_from(&caller.store).await;
    // They have ended, and nobody will hear of it again: should it wait, it would do so until the sweeper looks.
    let run = id_of(&caller.run(&workflow).await);
    assert_eq!(taken_from(&caller.store).await, [run]);
}

#[tokio::test]
async fn a_new_run_does_not_go_ahead_of_one_that_waits() {
    let caller = Caller::start().await;
    let workflow = caller.workflow().await;
    let mut created = Vec::new();
    for _ in 0..LIMIT {
        created.push(id_of(&caller.run(&workflow).await));
    }
    taken_from(&caller.store).await;
    let oldest = caller
        .store
        .run(created[0])
        .await
        .expect("the store answers")
        .expect("the run exists");
    let waits = caller
        .store
        .postpone_run(&oldest, &oldest.admitted(false, now()))
        .await;
    assert!(matches!(waits, Ok(true)), "{waits:?}");

    // There is room for one, and it is the other's, whoever lets that in.
    id_of(&caller.run(&workflow).await);
    assert_eq!(taken_from(&caller.store).await, []);
    let admitted = caller
        .store
        .admit_waiting(oldest.organization_id, JustNow::Nothing, now())
        .await;
    assert!(matches!(admitted, Ok(1)), "{admitted:?}");
    assert_eq!(taken_from(&caller.store).await, [oldest.id]);
}

#[tokio::test]
async fn a_waiting_run_that_cannot_be_read_keeps_out_none_that_is_behind_it() {
    let mut setting = Setting::start().await;
    let mut busy = setting.busy().await;
    for _ in 0..15 {
        let pk = format!("RUN#{}", setting.run_waiting_since(now()).await.id);
        setting.set_attribute(&pk, "RUN", "status", "NONE").await;
    }
    let behind = setting.run_waiting_since(now()).await;
    setting.lose_stream_records().await;

    let ended = busy.remove(0);
    setting.finished(ended, Finish::Completed, now()).await;
    setting.dispatch().await;
    assert_eq!(setting.take_runs().await, [behind.id]);
}
