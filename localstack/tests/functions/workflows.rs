//! Workflows and their versions, as the store keeps them.

use domain::{OrganizationId, WorkflowId};
use store::local::faults::losing_an_answer;
use store::{NewVersion, NewWorkflow, PageSize, SavedVersion, TimeWindow, Workflow, fresh_id, now};

use crate::setting::Setting;

fn version(name: &str, definition: &str) -> NewVersion {
    NewVersion {
        name: name.to_owned(),
        definition: definition.to_owned(),
        user_id: "editor".to_owned(),
        at: now(),
    }
}

async fn saved(setting: &Setting, seconds: i64, definition: &str) -> Workflow {
    let at = setting.at(-seconds);
    let workflow = Workflow {
        id: fresh_id(WorkflowId::new, at),
        organization_id: setting.organization_id,
        name: "first".to_owned(),
        version: 1,
        created_at: at,
        updated_at: at,
        created_by_user_id: "author".to_owned(),
    };
    let new = NewWorkflow {
        workflow: workflow.clone(),
        definition: definition.to_owned(),
    };
    let replay = setting.store.create_workflow(&new, None).await;
    assert_eq!(replay.expect("the store answers"), None);
    workflow
}

async fn save(
    setting: &Setting,
    id: WorkflowId,
    expected: Option<u32>,
    new: &NewVersion,
) -> SavedVersion {
    setting
        .store
        .save_workflow_version(setting.organization_id, id, expected, new)
        .await
        .expect("the store answers")
}

async fn find(setting: &Setting, id: WorkflowId) -> Option<Workflow> {
    setting
        .store
        .workflow_of(setting.organization_id, id)
        .await
        .expect("the store answers")
}

async fn definition(setting: &Setting, id: WorkflowId, version: u32) -> Option<String> {
    setting
        .store
        .workflow_version(id, version)
        .await
        .expect("the store answers")
        .map(|version| version.definition)
}

/// The numbers of a workflow's versions, page by page.
async fn versions(setting: &Setting, id: WorkflowId, entries: u32) -> Vec<u32> {
    let size = PageSize::new(entries).expect("1 to 100");
    let mut numbers = Vec::new();
    let mut before = None;
    loop {
        let page = setting
            .store
            .list_workflow_versions(setting.organization_id, id, before, size)
            .await
            .expect("the store answers")
            .expect("the workflow exists");
        numbers.extend(page.items.iter().map(|version| version.version));
        before = page.next;
        if before.is_none() {
            return numbers;
        }
    }
}

#[tokio::test]
async fn a_version_is_added_and_the_ones_before_it_stay_as_they_were() {
    let setting = Setting::start().await;
    let first = saved(&setting, 60, "{\"n\":1}").await;
    let new = version("second", "{\"n\":2}");
    let SavedVersion::Saved(second) = save(&setting, first.id, Some(1), &new).await else {
        panic!("it was not saved");
    };
    assert_eq!(
        second,
        Workflow {
            name: "second".to_owned(),
            version: 2,
            updated_at: new.at,
            ..first.clone()
        }
    );
    assert_eq!(find(&setting, first.id).await, Some(second));
    assert_eq!(
        definition(&setting, first.id, 1).await.as_deref(),
        Some("{\"n\":1}")
    );
    assert_eq!(
        definition(&setting, first.id, 2).await.as_deref(),
        Some("{\"n\":2}")
    );
    assert_eq!(definition(&setting, first.id, 3).await, None);
}

#[tokio::test]
async fn a_save_on_an_older_version_is_stale_and_changes_nothing() {
    let setting = Setting::start().await;
    let workflow = saved(&setting, 60, "{}").await;
    save(&setting, workflow.id, None, &version("second", "{\"n\":2}")).await;
    let late = save(
        &setting,
        workflow.id,
        Some(1),
        &version("late", "{\"n\":0}"),
    )
    .await;
    assert_eq!(late, SavedVersion::Stale { version: 2 });
    let ahead = save(&setting, workflow.id, Some(3), &version("ahead", "{}")).await;
    assert_eq!(ahead, SavedVersion::Stale { version: 2 });
    assert_eq!(
        definition(&setting, workflow.id, 2).await.as_deref(),
        Some("{\"n\":2}")
    );
    assert_eq!(versions(&setting, workflow.id, 10).await, [2, 1]);
}

#[tokio::test]
async fn two_versions_that_are_saved_at_once_are_both_kept_one_after_the_other() {
    let setting = Setting::start().await;
    let workflow = saved(&setting, 60, "{}").await;
    let (left, right) = (version("left", "\"left\""), version("right", "\"right\""));
    let (one, other) = tokio::join!(
        save(&setting, workflow.id, None, &left),
        save(&setting, workflow.id, None, &right)
    );
    let (SavedVersion::Saved(one), SavedVersion::Saved(other)) = (one, other) else {
        panic!("one of them was not saved");
    };
    let mut numbers = [one.version, other.version];
    numbers.sort_unstable();
    assert_eq!(numbers, [2, 3]);
    for saved in [&one, &other] {
        let kept = definition(&setting, workflow.id, saved.version).await;
        assert_eq!(kept, Some(format!("\"{}\"", saved.name)));
    }
    assert_eq!(versions(&setting, workflow.id, 10).await, [3, 2, 1]);
}

#[tokio::test]
async fn of_two_that_expect_the_same_version_one_is_saved() {
    let setting = Setting::start().await;
    let workflow = saved(&setting, 60, "{}").await;
    let (left, right) = (version("left", "1"), version("right", "2"));
    let (one, other) = tokio::join!(
        save(&setting, workflow.id, Some(1), &left),
        save(&setting, workflow.id, Some(1), &right)
    );
    let stale = SavedVersion::Stale { version: 2 };
    assert_eq!(
        [&one, &other]
            .into_iter()
            .filter(|saved| **saved == stale)
            .count(),
        1
    );
    assert_eq!(
        find(&setting, workflow.id)
            .await
            .expect("it is there")
            .version,
        2
    );
}

#[tokio::test]
async fn the_list_of_versions_goes_page_by_page_and_says_who_saved_them() {
    let setting = Setting::start().await;
    let workflow = saved(&setting, 60, "{}").await;
    for _ in 0..4 {
        save(&setting, workflow.id, None, &version("next", "{}")).await;
    }
    assert_eq!(versions(&setting, workflow.id, 2).await, [5, 4, 3, 2, 1]);
    let list = async |before| {
        let size = PageSize::DEFAULT;
        let page = setting
            .store
            .list_workflow_versions(setting.organization_id, workflow.id, before, size)
            .await;
        page.expect("the store answers").expect("it exists")
    };
    let last = list(Some(2)).await;
    assert_eq!(last.items[0].created_by_user_id, "author");
    assert_eq!(list(None).await.items[0].created_by_user_id, "editor");
    assert_eq!(list(Some(1)).await.items, []);
    assert_eq!(list(Some(0)).await.items, []);
    assert_eq!(list(Some(u32::MAX)).await.items.len(), 5);
}

#[tokio::test]
async fn the_list_of_workflows_shows_each_once_newest_first_and_within_a_window() {
    let setting = Setting::start().await;
    let mut ids = Vec::new();
    for seconds in [10, 20, 30] {
        ids.push(saved(&setting, seconds, "{}").await.id);
    }
    let list = async |window, after| {
        let size = PageSize::new(1).expect("1 to 100");
        setting
            .store
            .list_workflows(setting.organization_id, window, after, size)
            .await
            .expect("the store answers")
    };
    let mut walked = Vec::new();
    let mut after = None;
    loop {
        let page = list(TimeWindow::default(), after).await;
        walked.extend(page.items.iter().map(|workflow| workflow.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(walked, ids);
    let window = TimeWindow {
        created_after: Some(setting.at(-25)),
        created_before: Some(setting.at(-15)),
    };
    let page = list(window, None).await;
    assert_eq!((page.items[0].id, page.next), (ids[1], None));
}

#[tokio::test]
async fn a_deletion_that_was_not_answered_is_found_to_be_done() {
    let setting = Setting::start().await;
    let workflow = saved(&setting, 60, "{}").await;
    let store = losing_an_answer(&setting.store, "UpdateItem");
    let delete = async |of| {
        let deleted = store.delete_workflow(of, workflow.id).await;
        deleted.expect("the store answers")
    };
    assert!(delete(setting.organization_id).await);
    assert_eq!(find(&setting, workflow.id).await, None);
    assert!(
        !delete(setting.organization_id).await,
        "it was deleted twice"
    );
}

#[tokio::test]
async fn a_deleted_workflow_is_absent_for_everybody_but_its_versions_stay_for_its_runs() {
    let setting = Setting::start().await;
    let workflow = saved(&setting, 60, "{\"n\":1}").await;
    let delete = async || {
        setting
            .store
            .delete_workflow(setting.organization_id, workflow.id)
            .await
            .expect("the store answers")
    };
    assert!(delete().await);
    assert!(!delete().await, "it was deleted twice");
    assert_eq!(find(&setting, workflow.id).await, None);
    let absent = save(&setting, workflow.id, None, &version("more", "{}")).await;
    assert_eq!(absent, SavedVersion::Absent);
    let size = PageSize::DEFAULT;
    let organization_id = setting.organization_id;
    let listed = setting
        .store
        .list_workflows(organization_id, TimeWindow::default(), None, size)
        .await
        .expect("the store answers");
    assert_eq!(listed.items, []);
    let versions = setting
        .store
        .list_workflow_versions(organization_id, workflow.id, None, size)
        .await;
    assert_eq!(versions.expect("the store answers"), None);
    assert_eq!(
        definition(&setting, workflow.id, 1).await.as_deref(),
        Some("{\"n\":1}")
    );
}

#[tokio::test]
async fn a_deletion_and_a_save_at_once_leave_a_workflow_that_is_deleted() {
    let setting = Setting::start().await;
    let workflow = saved(&setting, 60, "{}").await;
    let new = version("late", "{}");
    let (deleted, _) = tokio::join!(
        setting
            .store
            .delete_workflow(setting.organization_id, workflow.id),
        save(&setting, workflow.id, None, &new)
    );
    assert!(deleted.expect("the store answers"));
    assert_eq!(find(&setting, workflow.id).await, None);
}

#[tokio::test]
async fn another_organization_neither_sees_nor_changes_a_workflow() {
    let setting = Setting::start().await;
    let workflow = saved(&setting, 60, "{}").await;
    let other = fresh_id(OrganizationId::new, now());
    let (store, id, size) = (&setting.store, workflow.id, PageSize::DEFAULT);
    let found = store.workflow_of(other, id).await;
    assert_eq!(found.expect("the store answers"), None);
    let listed = store
        .list_workflows(other, TimeWindow::default(), None, size)
        .await;
    assert_eq!(listed.expect("the store answers").items, []);
    let versions = store.list_workflow_versions(other, id, None, size).await;
    assert_eq!(versions.expect("the store answers"), None);
    let saved = store
        .save_workflow_version(other, id, None, &version("theirs", "{}"))
        .await;
    assert_eq!(saved.expect("the store answers"), SavedVersion::Absent);
    let deleted = store.delete_workflow(other, id).await;
    assert!(!deleted.expect("the store answers"));
    assert_eq!(find(&setting, id).await, Some(workflow));
}

#[tokio::test]
async fn the_longest_definition_fits_and_its_list_stays_cheap() {
    let setting = Setting::start().await;
    // What domain::definition takes at most.
    let longest = format!("\"{}\"", "x".repeat(256 * 1024 - 2));
    let workflow = saved(&setting, 60, &longest).await;
    save(&setting, workflow.id, None, &version("longest", &longest)).await;
    assert_eq!(definition(&setting, workflow.id, 2).await, Some(longest));
    let (store, meter) = store::local::meter::metered(&setting.store);
    let page = store
        .list_workflow_versions(
            setting.organization_id,
            workflow.id,
            None,
            PageSize::DEFAULT,
        )
        .await;
    let page = page.expect("the store answers").expect("it exists");
    assert_eq!(page.items.len(), 2);
    assert!(meter.usage().read_units <= 2.0, "{:?}", meter.usage());
}
