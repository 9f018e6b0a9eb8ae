//! Artifacts, by run and by id.

use domain::run::{Event, Finish, Policy, Run};
use domain::wire::ArtifactType;
use domain::{ArtifactId, OrganizationId};
use store::{Artifact, ArtifactBody, NewArtifact, PageSize, fresh_id, now};

use crate::setting::Setting;

async fn stored(setting: &Setting, run: &Run, attempt: u32, name: &str) -> Artifact {
    let new = NewArtifact {
        id: fresh_id(ArtifactId::new, now()),
        artifact_type: ArtifactType::Download,
        name: name.to_owned(),
        content_type: "text/plain".to_owned(),
        body: ArtifactBody::Bytes(name.as_bytes().to_vec()),
        state_name: None,
    };
    setting
        .store
        .put_artifact(run, attempt, new)
        .await
        .expect("it is stored")
}

async fn find(
    setting: &Setting,
    organization_id: OrganizationId,
    id: ArtifactId,
) -> Option<Artifact> {
    setting
        .store
        .artifact_of(organization_id, id)
        .await
        .expect("the store answers")
}

/// The names of a run's artifacts, page by page.
async fn walk(setting: &Setting, run: &Run, entries: u32) -> Vec<String> {
    let size = PageSize::new(entries).expect("1 to 100");
    let mut names = Vec::new();
    let mut after = None;
    loop {
        let page = setting.store.list_artifacts(run, after, size).await;
        let page = page.expect("the store answers");
        names.extend(page.items.into_iter().map(|artifact| artifact.name));
        after = page.next;
        if after.is_none() {
            return names;
        }
    }
}

#[tokio::test]
async fn an_artifact_is_found_by_its_id_by_its_organization_only() {
    let setting = Setting::start().await;
    let run = setting.run_created_at(now(), Policy::default()).await;
    let run = setting.begun(run, now()).await;
    let artifact = stored(&setting, &run, 1, "one.txt").await;
    assert_eq!(
        find(&setting, setting.organization_id, artifact.id).await,
        Some(artifact.clone())
    );
    let other = fresh_id(OrganizationId::new, now());
    assert_eq!(find(&setting, other, artifact.id).await, None);
    let unknown = fresh_id(ArtifactId::new, now());
    assert_eq!(find(&setting, setting.organization_id, unknown).await, None);
}

#[tokio::test]
async fn what_an_attempt_wrote_after_it_had_ended_is_shown_neither_in_the_list_nor_by_its_id() {
    let setting = Setting::start().await;
    let run = setting
        .run_created_at(setting.at(-60), Policy::default())
        .await;
    let run = setting.claimed(run, setting.at(-50)).await;
    let given_back = Event::GaveBack { attempt: 1 };
    let run = setting.commit(run, given_back, setting.at(-40)).await;
    let run = setting.claimed(run, setting.at(-30)).await;
    let late = stored(&setting, &run, 1, "late.txt").await;
    let current = stored(&setting, &run, 2, "current.txt").await;
    assert_eq!(walk(&setting, &run, 1).await, ["current.txt"]);
    let organization_id = setting.organization_id;
    assert_eq!(find(&setting, organization_id, late.id).await, None);
    assert_eq!(
        find(&setting, organization_id, current.id).await,
        Some(current)
    );
}

#[tokio::test]
async fn a_runs_artifacts_are_listed_once_each_newest_first() {
    let setting = Setting::start().await;
    let run = setting.run_created_at(now(), Policy::default()).await;
    let run = setting.begun(run, now()).await;
    let mut stored_names = Vec::new();
    for number in 0..5 {
        let artifact = stored(&setting, &run, 1, &format!("{number}.txt")).await;
        stored_names.push((artifact.id, artifact.name));
    }
    let run = setting.finished(run, Finish::Completed, now()).await;
    // Two of the same millisecond are in the order of their ids.
    stored_names.sort_unstable();
    let newest_first: Vec<String> = stored_names
        .into_iter()
        .rev()
        .map(|(_, name)| name)
        .collect();
    assert_eq!(walk(&setting, &run, 2).await, newest_first);
    assert_eq!(walk(&setting, &run, 100).await, newest_first);
}
