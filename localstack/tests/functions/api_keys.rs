//! API keys: made, listed, used and revoked.

use std::time::{Duration, Instant};

use domain::{ApiKeyId, OrganizationId, Timestamp};
use store::local::faults::sent_elsewhere;
use store::local::meter::metered;
use store::{
    ApiKey, CreatedApiKey, DeletedApiKey, IdempotencyKey, MOST_API_KEYS, NewApiKey, PageSize,
    Replay, Role, Store, fresh_id, now,
};
use tokio::net::TcpListener;

use crate::setting::Setting;

fn new(setting: &Setting, role: Role, at: Timestamp) -> NewApiKey {
    NewApiKey {
        id: fresh_id(ApiKeyId::new, at),
        organization_id: setting.organization_id,
        name: "nightly".to_owned(),
        role,
        user_id: "user".to_owned(),
        created_at: at,
    }
}

async fn created(setting: &Setting, role: Role) -> (ApiKeyId, String) {
    let new = new(setting, role, now());
    match setting.store.create_api_key(&new, None).await {
        Ok(CreatedApiKey::Created(made)) => (new.id, made.key),
        other => panic!("no key: {other:?}"),
    }
}

async fn holder(setting: &Setting, key: &str) -> Option<ApiKey> {
    setting.store.api_key(key).await.expect("the store answers")
}

async fn deleted(setting: &Setting, id: ApiKeyId) -> DeletedApiKey {
    setting
        .store
        .delete_api_key(setting.organization_id, id)
        .await
        .expect("the store answers")
}

async fn walk(setting: &Setting, organization_id: OrganizationId, entries: u32) -> Vec<ApiKeyId> {
    let size = PageSize::new(entries).expect("1 to 100");
    let mut ids = Vec::new();
    let mut after = None;
    loop {
        let page = setting
            .store
            .list_api_keys(organization_id, after, size)
            .await;
        let page = page.expect("the store answers");
        ids.extend(page.items.iter().map(|key| key.id));
        after = page.next;
        if after.is_none() {
            return ids;
        }
    }
}

#[tokio::test]
async fn a_key_says_who_holds_it_and_is_listed_without_itself() {
    let setting = Setting::start().await;
    let (id, key) = created(&setting, Role::Operator).await;
    let held = holder(&setting, &key).await.expect("the key is known");
    assert_eq!(
        (
            held.id,
            held.organization_id,
            held.role,
            held.user_id.as_str()
        ),
        (id, setting.organization_id, Role::Operator, "user")
    );
    let by_id = setting
        .store
        .api_key_by_id(setting.organization_id, id)
        .await
        .expect("the store answers");
    assert_eq!(by_id.as_ref(), Some(&held));
    assert!(!format!("{held:?}").contains(&key));
    assert_eq!(holder(&setting, &format!("{key}0")).await, None);
}

#[tokio::test]
async fn keys_are_listed_once_each_newest_first_and_only_to_their_organization() {
    let setting = Setting::start().await;
    let mut newest_first = Vec::new();
    for seconds in [10, 20, 30] {
        let new = new(&setting, Role::Viewer, setting.at(-seconds));
        newest_first.push(new.id);
        let made = setting.store.create_api_key(&new, None).await;
        assert!(matches!(made, Ok(CreatedApiKey::Created(_))), "{made:?}");
    }
    for entries in [1, 2, 3, 100] {
        assert_eq!(
            walk(&setting, setting.organization_id, entries).await,
            newest_first
        );
    }
    let other = fresh_id(OrganizationId::new, now());
    assert_eq!(walk(&setting, other, 10).await, []);
    let id = newest_first[0];
    let found = setting.store.api_key_by_id(other, id).await;
    assert_eq!(found.expect("the store answers"), None);
    let deleted = setting.store.delete_api_key(other, id).await;
    assert_eq!(deleted.expect("the store answers"), DeletedApiKey::Absent);
    assert_eq!(
        walk(&setting, setting.organization_id, 10).await,
        newest_first
    );
}

#[tokio::test]
async fn a_deleted_key_is_refused_from_then_on() {
    let setting = Setting::start().await;
    let (id, key) = created(&setting, Role::Viewer).await;
    assert_eq!(deleted(&setting, id).await, DeletedApiKey::Deleted);
    assert_eq!(holder(&setting, &key).await, None);
    assert_eq!(walk(&setting, setting.organization_id, 10).await, []);
    assert_eq!(deleted(&setting, id).await, DeletedApiKey::Absent);
}

#[tokio::test]
async fn the_last_key_of_an_admin_stays_also_when_the_last_two_are_deleted_at_once() {
    let setting = Setting::start().await;
    created(&setting, Role::Viewer).await;
    let (one, _) = created(&setting, Role::Admin).await;
    let (other, _) = created(&setting, Role::Admin).await;
    let (first, second) = tokio::join!(deleted(&setting, one), deleted(&setting, other));
    let mut both = [first, second].map(|deleted| format!("{deleted:?}"));
    both.sort_unstable();
    assert_eq!(both, ["Deleted", "LastAdmin"]);
    // Once there is another one, it may go.
    let (_, key) = created(&setting, Role::Admin).await;
    let left = if first == DeletedApiKey::Deleted {
        other
    } else {
        one
    };
    assert_eq!(deleted(&setting, left).await, DeletedApiKey::Deleted);
    assert!(holder(&setting, &key).await.is_some());
}

#[tokio::test]
async fn an_organization_has_a_bounded_number_of_keys_and_may_make_another_when_one_is_gone() {
    let setting = Setting::start().await;
    let (first, _) = created(&setting, Role::Viewer).await;
    for _ in 1..MOST_API_KEYS {
        created(&setting, Role::Viewer).await;
    }
    let make = async || {
        let new = new(&setting, Role::Viewer, now());
        setting
            .store
            .create_api_key(&new, None)
            .await
            .expect("the store answers")
    };
    assert!(matches!(make().await, CreatedApiKey::TooMany));
    assert_eq!(
        walk(&setting, setting.organization_id, 100).await.len(),
        MOST_API_KEYS as usize
    );
    assert_eq!(deleted(&setting, first).await, DeletedApiKey::Deleted);
    assert!(matches!(make().await, CreatedApiKey::Created(_)));
}

#[tokio::test]
async fn the_same_idempotency_key_makes_one_key_and_shows_it_once() {
    let setting = Setting::start().await;
    let idempotency =
        |body: &[u8]| IdempotencyKey::new(setting.organization_id, "POST /api-keys", "once", body);
    let first = new(&setting, Role::Viewer, now());
    let make = async |new: &NewApiKey, body: &[u8]| {
        setting
            .store
            .create_api_key(new, Some(&idempotency(body)))
            .await
            .expect("the store answers")
    };
    assert!(matches!(
        make(&first, b"a").await,
        CreatedApiKey::Created(_)
    ));
    let again = new(&setting, Role::Viewer, now());
    let CreatedApiKey::Replayed(replay) = make(&again, b"a").await else {
        panic!("a second key was made");
    };
    let resource_id = first.id.to_string();
    assert_eq!(replay, Replay::Same { resource_id });
    let other = make(&again, b"b").await;
    assert!(
        matches!(other, CreatedApiKey::Replayed(Replay::OtherBody)),
        "{other:?}"
    );
    assert_eq!(
        walk(&setting, setting.organization_id, 10).await,
        [first.id]
    );
}

/// Notes a use however long the table takes to answer.
async fn noted(store: &Store, key: &ApiKey, at: Timestamp) {
    let within = Duration::from_secs(600);
    store.note_api_key_use_within(key, at, within).await;
}

#[tokio::test]
async fn a_use_is_written_down_at_most_once_in_a_quarter_of_an_hour() {
    let setting = Setting::start().await;
    let (_, key) = created(&setting, Role::Viewer).await;
    let (store, meter) = metered(&setting.store);
    let writes = || {
        meter
            .usage()
            .requests
            .get("UpdateItem")
            .copied()
            .unwrap_or(0)
    };
    let at = now();
    let fresh = async || holder(&setting, &key).await.expect("the key is known");

    let never_used = fresh().await;
    assert_eq!(never_used.last_used_at, None);
    noted(&store, &never_used, at).await;
    assert_eq!(fresh().await.last_used_at, Some(at));
    assert_eq!(writes(), 1);

    // Who has read the key before that asks the table, and is refused.
    let soon = at.plus(Duration::from_secs(60));
    noted(&store, &never_used, soon).await;
    assert_eq!(fresh().await.last_used_at, Some(at));
    assert_eq!(writes(), 2);

    // Who has read it since doesn't even ask.
    let used = fresh().await;
    let sooner_than_that = at.plus(Duration::from_secs(14 * 60));
    noted(&store, &used, sooner_than_that).await;
    assert_eq!(writes(), 2);
    let later = at.plus(Duration::from_secs(15 * 60));
    noted(&store, &used, later).await;
    assert_eq!(fresh().await.last_used_at, Some(later));
    let listed = store
        .list_api_keys(setting.organization_id, None, PageSize::DEFAULT)
        .await
        .expect("the store answers");
    assert_eq!(listed.items[0].last_used_at, Some(later));
}

#[tokio::test]
async fn a_use_of_a_key_that_has_been_deleted_brings_nothing_back() {
    let setting = Setting::start().await;
    let (id, key) = created(&setting, Role::Viewer).await;
    let held = holder(&setting, &key).await.expect("the key is known");
    assert_eq!(deleted(&setting, id).await, DeletedApiKey::Deleted);
    noted(&setting.store, &held, now()).await;
    assert_eq!(holder(&setting, &key).await, None);
}

#[tokio::test]
async fn a_use_that_cannot_be_written_down_keeps_a_request_for_a_moment_only() {
    let setting = Setting::start().await;
    let (_, key) = created(&setting, Role::Viewer).await;
    let held = holder(&setting, &key).await.expect("the key is known");
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", silent.local_addr().expect("it has one"));
    let hanging = sent_elsewhere(&setting.store, "UpdateItem", &url);
    let began = Instant::now();
    hanging.note_api_key_use(&held, now()).await;
    // The call by itself is tried three times, each for ten seconds.
    let took = began.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!(holder(&setting, &key).await, Some(held));
}
