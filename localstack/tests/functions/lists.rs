//! Lists of runs: every run once, whatever happens beside, at a cost that doesn't depend on how many there are.

use std::collections::{BTreeMap, BTreeSet};

use domain::job_run::{JobRun, ManagedRun, OnFailure};
use domain::run::{Event, Finish, NewRun, Policy, Run, Status};
use domain::{JobId, JobRunId, OrganizationId, RunId, Timestamp, WorkflowId};
use serde_json::Value;
use store::local::meter::metered;
use store::local::partial_answers::answering_in_parts;
use store::{Page, PageSize, RunFilter, Store, TimeWindow, fresh_commit, fresh_id, now};

use crate::setting::Setting;

const ALWAYS: TimeWindow = TimeWindow {
    created_after: None,
    created_before: None,
};

fn size(entries: u32) -> PageSize {
    PageSize::new(entries).expect("1 to 100")
}

async fn page(
    setting: &Setting,
    filter: RunFilter,
    window: TimeWindow,
    after: Option<RunId>,
    entries: u32,
) -> Page<Run, RunId> {
    setting
        .store
        .list_runs(
            setting.organization_id,
            &filter,
            window,
            after,
            size(entries),
        )
        .await
        .expect("the store answers")
}

/// The ids of a whole list, page by page.
async fn walk(
    setting: &Setting,
    filter: RunFilter,
    window: TimeWindow,
    entries: u32,
) -> Vec<RunId> {
    let mut ids = Vec::new();
    let mut after = None;
    loop {
        let page = page(setting, filter, window, after, entries).await;
        ids.extend(page.items.iter().map(|run| run.id));
        if page.next.is_none() {
            return ids;
        }
        after = page.next;
    }
}

fn ids(runs: &[&Run]) -> Vec<RunId> {
    runs.iter().map(|run| run.id).collect()
}

async fn run_of_workflow(setting: &Setting, workflow_id: WorkflowId, id: RunId) -> Run {
    let new = NewRun {
        id,
        organization_id: setting.organization_id,
        workflow_id,
        workflow_version: 1,
        job_run_id: None,
        retry_of_run_id: None,
        created_by_user_id: "user".to_owned(),
        metadata: BTreeMap::new(),
        secret_bindings: BTreeMap::new(),
        policy: Policy::default(),
        trace_parent: None,
    };
    let run = Run::create(new, now(), fresh_commit());
    setting
        .store
        .create_run(&run, &Value::Null, None)
        .await
        .expect("the run is written");
    run
}

#[tokio::test]
async fn a_walk_gives_each_run_once_while_others_are_created_and_finished_beside_it() {
    let setting = Setting::start().await;
    let mut there_before = Vec::new();
    for seconds in 0..30 {
        let run = setting.run_created_at(setting.at(seconds - 100), Policy::default());
        there_before.push(run.await);
    }
    // Between any two pages one run is created and one that is there is claimed and finished.
    let mut walked = Vec::new();
    let mut after = None;
    let mut to_finish = there_before.iter().cloned();
    loop {
        let page = page(&setting, RunFilter::All, ALWAYS, after, 3).await;
        walked.extend(page.items.iter().map(|run| run.id));
        let Some(next) = page.next else { break };
        after = Some(next);
        setting.run_created_at(now(), Policy::default()).await;
        if let Some(run) = to_finish.next() {
            let run = setting.claimed(run, now()).await;
            setting.finished(run, Finish::Completed, now()).await;
        }
    }
    let newest_first: Vec<RunId> = there_before.iter().rev().map(|run| run.id).collect();
    assert_eq!(walked, newest_first);
}

#[tokio::test]
async fn a_walk_beside_tasks_that_create_and_finish_runs_shows_none_twice() {
    let setting = Setting::start().await;
    let mut there_before = BTreeSet::new();
    for seconds in 0..20 {
        let run = setting.run_created_at(setting.at(seconds - 100), Policy::default());
        there_before.insert(run.await.id);
    }
    let walks = async {
        for _ in 0..5 {
            let walked = walk(&setting, RunFilter::All, ALWAYS, 4).await;
            let distinct: BTreeSet<RunId> = walked.iter().copied().collect();
            assert_eq!(distinct.len(), walked.len(), "a run was shown twice");
            assert!(distinct.is_superset(&there_before), "a run was left out");
        }
    };
    let changes = async {
        loop {
            let run = setting.run_created_at(now(), Policy::default()).await;
            let run = setting.claimed(run, now()).await;
            setting.finished(run, Finish::Completed, now()).await;
        }
    };
    tokio::select! {
        () = walks => {}
        () = changes => {}
    }
}

#[tokio::test]
async fn a_list_shows_what_its_filter_names() {
    let setting = Setting::start().await;
    let pending = setting
        .run_created_at(setting.at(-30), Policy::default())
        .await;
    let claimed = setting
        .run_created_at(setting.at(-20), Policy::default())
        .await;
    let claimed = setting.claimed(claimed, now()).await;
    let workflow_id = fresh_id(WorkflowId::new, now());
    let of_workflow = run_of_workflow(&setting, workflow_id, fresh_id(RunId::new, now())).await;

    let listed = async |filter| walk(&setting, filter, ALWAYS, 100).await;
    assert_eq!(
        listed(RunFilter::All).await,
        ids(&[&of_workflow, &claimed, &pending])
    );
    assert_eq!(
        listed(RunFilter::Status(Status::Pending)).await,
        ids(&[&of_workflow, &pending])
    );
    assert_eq!(
        listed(RunFilter::Status(Status::InProgress)).await,
        ids(&[&claimed])
    );
    assert_eq!(listed(RunFilter::Status(Status::Failed)).await, []);
    assert_eq!(
        listed(RunFilter::Workflow(workflow_id)).await,
        ids(&[&of_workflow])
    );
}

#[tokio::test]
async fn a_window_begins_with_its_first_millisecond_and_ends_before_its_last() {
    let setting = Setting::start().await;
    let begins_at = setting.at(-60);
    let at = |millis: i64| Timestamp::from_millis(begins_at.as_millis() + millis);
    let mut runs = Vec::new();
    for millis in 0..4 {
        runs.push(setting.run_created_at(at(millis), Policy::default()).await);
    }
    let window = |created_after, created_before| TimeWindow {
        created_after,
        created_before,
    };
    let listed = async |window| walk(&setting, RunFilter::All, window, 1).await;
    assert_eq!(
        listed(window(Some(at(1)), Some(at(3)))).await,
        ids(&[&runs[2], &runs[1]])
    );
    assert_eq!(
        listed(window(Some(at(2)), None)).await,
        ids(&[&runs[3], &runs[2]])
    );
    assert_eq!(listed(window(None, Some(at(1)))).await, ids(&[&runs[0]]));
    assert_eq!(listed(window(Some(at(3)), Some(at(3)))).await, []);
    assert_eq!(listed(window(Some(at(3)), Some(at(1)))).await, []);
}

#[tokio::test]
async fn a_page_goes_on_strictly_after_a_position_whether_a_run_has_that_id_or_not() {
    let setting = Setting::start().await;
    let older = setting
        .run_created_at(setting.at(-30), Policy::default())
        .await;
    let newer = setting
        .run_created_at(setting.at(-10), Policy::default())
        .await;
    let listed = async |after| {
        let page = page(&setting, RunFilter::All, ALWAYS, Some(after), 10).await;
        assert_eq!(page.next, None);
        page.items.iter().map(|run| run.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(newer.id).await, [older.id]);
    assert_eq!(
        listed(fresh_id(RunId::new, setting.at(-20))).await,
        [older.id]
    );
    assert_eq!(listed(older.id).await, []);
    let first_of_all = "00000000-0000-0000-0000-000000000000";
    assert_eq!(listed(fresh_id(RunId::new, setting.at(-90))).await, []);
    assert_eq!(listed(first_of_all.parse().expect("an id")).await, []);
}

#[tokio::test]
async fn a_run_that_is_no_longer_what_the_index_says_is_left_out_and_the_next_page_is_found() {
    let setting = Setting::start().await;
    let mut runs = Vec::new();
    for seconds in 0..4 {
        let run = setting.run_created_at(setting.at(seconds - 60), Policy::default());
        runs.push(run.await);
    }
    // What the index still says of a run whose status has changed: the old partition with the new item.
    let stale = setting.claimed(runs[2].clone(), now()).await;
    let partition = format!("ORG#{}#STATUS#PENDING", setting.organization_id);
    setting
        .set_attribute(&format!("RUN#{}", stale.id), "RUN", "byStatus", &partition)
        .await;

    let pending = RunFilter::Status(Status::Pending);
    let first = page(&setting, pending, ALWAYS, None, 2).await;
    assert_eq!(ids(&first.items.iter().collect::<Vec<_>>()), [runs[3].id]);
    assert_eq!(
        first.next,
        Some(stale.id),
        "the last one that was looked at"
    );
    let second = page(&setting, pending, ALWAYS, first.next, 2).await;
    assert_eq!(
        ids(&second.items.iter().collect::<Vec<_>>()),
        [runs[1].id, runs[0].id]
    );
    assert_eq!(second.next, None);
}

#[tokio::test]
async fn a_run_that_cannot_be_read_hides_no_other() {
    let setting = Setting::start().await;
    let older = setting
        .run_created_at(setting.at(-30), Policy::default())
        .await;
    let broken = setting
        .run_created_at(setting.at(-20), Policy::default())
        .await;
    setting
        .set_attribute(&format!("RUN#{}", broken.id), "RUN", "status", "FAILED")
        .await;
    assert_eq!(walk(&setting, RunFilter::All, ALWAYS, 10).await, [older.id]);
}

#[tokio::test]
async fn a_job_runs_list_shows_its_runs_newest_first_and_only_to_its_organization() {
    let setting = Setting::start().await;
    let id = fresh_id(JobRunId::new, now());
    let mut runs = Vec::new();
    for seconds in [50, 40, 30] {
        let new = NewRun {
            id: fresh_id(RunId::new, setting.at(-seconds)),
            organization_id: setting.organization_id,
            workflow_id: fresh_id(WorkflowId::new, now()),
            workflow_version: 1,
            job_run_id: Some(id),
            retry_of_run_id: None,
            created_by_user_id: "user".to_owned(),
            metadata: BTreeMap::new(),
            secret_bindings: BTreeMap::new(),
            policy: Policy::default(),
            trace_parent: None,
        };
        runs.push(Run::create(new, setting.at(-seconds), fresh_commit()));
    }
    let managed = |run: &Run| ManagedRun {
        run_id: run.id,
        workflow_id: run.workflow_id,
        workflow_version: 1,
        order: 1,
        input: "null".to_owned(),
        output_name: None,
    };
    let job_run = JobRun {
        id,
        organization_id: setting.organization_id,
        job_id: fresh_id(JobId::new, now()),
        created_by_user_id: "user".to_owned(),
        scheduled_at: None,
        on_failure: OnFailure::Stop,
        runs: runs.iter().map(managed).collect(),
        status: Status::Pending,
        current_workflow_run_id: None,
        sequence: 1,
        created_at: now(),
        updated_at: now(),
        due_at: None,
    };
    setting
        .store
        .create_job_run(&job_run)
        .await
        .expect("the job run is written");
    // One that is planned and not there yet.
    for run in &runs[..2] {
        setting
            .store
            .create_run(run, &Value::Null, None)
            .await
            .expect("the run is written");
    }
    let filter = RunFilter::JobRun(id);
    assert_eq!(
        walk(&setting, filter, ALWAYS, 1).await,
        ids(&[&runs[1], &runs[0]])
    );
    let window = TimeWindow {
        created_after: None,
        created_before: Some(setting.at(-45)),
    };
    assert_eq!(walk(&setting, filter, window, 10).await, ids(&[&runs[0]]));
    assert_eq!(
        list_of(&setting.store, fresh_id(OrganizationId::new, now()), filter).await,
        []
    );
}

async fn list_of(store: &Store, organization_id: OrganizationId, filter: RunFilter) -> Vec<RunId> {
    let page = store
        .list_runs(organization_id, &filter, ALWAYS, None, PageSize::DEFAULT)
        .await
        .expect("the store answers");
    page.items.iter().map(|run| run.id).collect()
}

#[tokio::test]
async fn another_organization_sees_no_run_in_any_list() {
    let setting = Setting::start().await;
    let run = setting.run_created_at(now(), Policy::default()).await;
    let other = fresh_id(OrganizationId::new, now());
    for filter in [
        RunFilter::All,
        RunFilter::Status(Status::Pending),
        RunFilter::Workflow(run.workflow_id),
    ] {
        assert_eq!(
            list_of(&setting.store, setting.organization_id, filter).await,
            [run.id]
        );
        assert_eq!(list_of(&setting.store, other, filter).await, []);
    }
    // Not even if the index were wrong about whose it is.
    setting
        .set_attribute(
            &format!("RUN#{}", run.id),
            "RUN",
            "byOrganization",
            &format!("ORG#{other}"),
        )
        .await;
    assert_eq!(list_of(&setting.store, other, RunFilter::All).await, []);
}

#[tokio::test]
async fn a_page_costs_the_same_however_many_runs_there_are() {
    let setting = Setting::start().await;
    let (store, meter) = metered(&setting.store);
    let mut costs = Vec::new();
    for runs in [10, 50] {
        for _ in 0..runs {
            setting.run_created_at(now(), Policy::default()).await;
        }
        meter.reset();
        let page = store
            .list_runs(
                setting.organization_id,
                &RunFilter::All,
                ALWAYS,
                None,
                size(10),
            )
            .await
            .expect("the store answers");
        assert_eq!(page.items.len(), 10);
        costs.push(meter.usage());
    }
    let requests = BTreeMap::from([("Query", 1), ("BatchGetItem", 1)]);
    assert_eq!(costs[0].requests, requests);
    assert_eq!(costs[1].requests, requests);
    // Ten runs of less than 4 KB, and half a unit for their keys.
    assert!(
        (costs[1].read_units - 10.5).abs() < f64::EPSILON,
        "{costs:?}"
    );
}

#[tokio::test]
async fn a_page_is_whole_and_in_order_also_when_the_table_answers_in_parts() {
    let setting = Setting::start().await;
    let mut newest_first = Vec::new();
    for seconds in 0..8 {
        let run = setting.run_created_at(setting.at(-10 - seconds), Policy::default());
        newest_first.push(run.await.id);
    }
    let (store, meter) = metered(&answering_in_parts(&setting.store));
    let listed = list_of(&store, setting.organization_id, RunFilter::All).await;
    assert_eq!(listed, newest_first);
    assert_eq!(meter.usage().requests["BatchGetItem"], 8);
}

#[tokio::test]
async fn a_transition_is_metered_with_its_indexes() {
    let setting = Setting::start().await;
    let run = setting.run_created_at(now(), Policy::default()).await;
    let (store, meter) = metered(&setting.store);
    store
        .transition(
            run,
            &Event::Claimed {
                worker_id: "worker".to_owned(),
                lease: crate::setting::LEASE,
            },
            now(),
        )
        .await
        .expect("the store answers");
    let usage = meter.usage();
    assert_eq!(usage.requests, BTreeMap::from([("PutItem", 1)]));
    assert!(usage.write_units >= 5.0, "{usage:?}");
}
