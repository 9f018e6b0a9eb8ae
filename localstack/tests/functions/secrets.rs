//! Secrets: what a list shows of them, and what is left after a deletion.

use domain::OrganizationId;
use store::local::{attribute, set_attribute};
use store::{PageSize, fresh_id, now};

use crate::setting::Setting;

async fn names(setting: &Setting, organization_id: OrganizationId, entries: u32) -> Vec<String> {
    let size = PageSize::new(entries).expect("1 to 100");
    let mut names = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = setting
            .store
            .list_secrets(organization_id, after.as_deref(), size)
            .await
            .expect("the store answers");
        names.extend(page.items.into_iter().map(|secret| secret.name));
        after = page.next;
        if after.is_none() {
            return names;
        }
    }
}

async fn put(setting: &Setting, name: &str) {
    setting
        .store
        .put_secret(setting.organization_id, name, "value")
        .await
        .expect("the secret is set");
}

#[tokio::test]
async fn secrets_are_listed_by_name_once_each_whatever_the_names_begin_with() {
    let setting = Setting::start().await;
    for name in ["b", "ab", "a", "A9", "a_b", "a1", "zz"] {
        put(&setting, name).await;
    }
    let sorted = ["A9", "a", "a1", "a_b", "ab", "b", "zz"];
    for entries in [1, 2, 7, 100] {
        assert_eq!(
            names(&setting, setting.organization_id, entries).await,
            sorted
        );
    }
    let beyond = setting
        .store
        .list_secrets(setting.organization_id, Some("~~"), PageSize::DEFAULT)
        .await
        .expect("the store answers");
    assert_eq!((beyond.items.len(), beyond.next), (0, None));
}

#[tokio::test]
async fn a_list_of_secrets_says_when_each_was_set_last() {
    let setting = Setting::start().await;
    let before = now();
    put(&setting, "hr_user").await;
    let page = setting
        .store
        .list_secrets(setting.organization_id, None, PageSize::DEFAULT)
        .await
        .expect("the store answers");
    let updated_at = page.items[0].updated_at;
    assert!(before <= updated_at && updated_at <= now(), "{updated_at}");
}

#[tokio::test]
async fn a_deleted_secret_is_neither_listed_nor_opened() {
    let setting = Setting::start().await;
    put(&setting, "hr_user").await;
    let other = fresh_id(OrganizationId::new, now());
    assert_eq!(names(&setting, other, 10).await, [""; 0]);
    let delete = async |organization_id| {
        setting
            .store
            .delete_secret(organization_id, "hr_user")
            .await
            .expect("the store answers")
    };
    assert!(!delete(other).await, "another organization deleted it");
    assert!(delete(setting.organization_id).await);
    assert!(!delete(setting.organization_id).await);
    assert_eq!(names(&setting, setting.organization_id, 10).await, [""; 0]);
    let opened = setting
        .store
        .open_secrets(setting.organization_id, &["hr_user".to_owned()])
        .await
        .expect("the store answers");
    assert!(opened.is_empty());
}

#[tokio::test]
async fn a_sealed_value_opens_in_its_own_place_only() {
    let setting = Setting::start().await;
    let other = fresh_id(OrganizationId::new, now());
    put(&setting, "mine").await;
    put(&setting, "another").await;
    let put_there = setting.store.put_secret(other, "mine", "theirs").await;
    put_there.expect("the secret is set");
    let place = |organization_id: OrganizationId, name: &str| {
        (format!("ORG#{organization_id}"), format!("SECRET#{name}"))
    };
    let (pk, sk) = place(setting.organization_id, "mine");
    let sealed = attribute(&setting.store, &pk, &sk, "sealed").await;
    let sealed = sealed.expect("the store answers").expect("a sealed value");

    let open = async |organization_id: OrganizationId, name: &str| {
        let names = [name.to_owned()];
        setting.store.open_secrets(organization_id, &names).await
    };
    let opened = open(setting.organization_id, "mine").await;
    assert_eq!(opened.expect("it opens")["mine"], "value");
    for (organization_id, name) in [(other, "mine"), (setting.organization_id, "another")] {
        open(organization_id, name).await.expect("it opens");
        let (pk, sk) = place(organization_id, name);
        set_attribute(&setting.store, &pk, &sk, "sealed", &sealed)
            .await
            .expect("the item is changed");
        let error = open(organization_id, name).await.expect_err("it must not");
        assert!(!format!("{error:?}").contains("value"), "{error:?}");
    }
}
