//! What an organization may do in a window of time.

use domain::{OrganizationId, Timestamp};
use futures::future::join_all;
use store::{Allowance, AllowanceKind, fresh_id, now};

use crate::setting::Setting;

async fn take(setting: &Setting, window_start: Timestamp, amount: u32, limit: u32) -> Allowance {
    setting
        .store
        .take_allowance(
            setting.organization_id,
            AllowanceKind::Requests,
            window_start,
            amount,
            limit,
        )
        .await
        .expect("the store answers")
}

#[tokio::test]
async fn a_share_is_taken_whole_or_not_at_all_and_what_is_left_is_said() {
    let setting = Setting::start().await;
    let at = now();
    assert_eq!(take(&setting, at, 6, 10).await, Allowance::Taken);
    assert_eq!(
        take(&setting, at, 5, 10).await,
        Allowance::Exhausted { left: 4 }
    );
    assert_eq!(take(&setting, at, 4, 10).await, Allowance::Taken);
    assert_eq!(
        take(&setting, at, 1, 10).await,
        Allowance::Exhausted { left: 0 }
    );
    assert_eq!(
        take(&setting, at, 11, 10).await,
        Allowance::Exhausted { left: 0 }
    );
    // A limit that was lowered in the meantime.
    assert_eq!(
        take(&setting, at, 1, 5).await,
        Allowance::Exhausted { left: 0 }
    );
}

#[tokio::test]
async fn takers_at_once_never_get_more_than_the_limit() {
    let setting = Setting::start().await;
    let at = now();
    let takers = (0..20).map(|_| take(&setting, at, 3, 30));
    let taken = join_all(takers).await;
    let whole = taken.iter().filter(|taken| **taken == Allowance::Taken);
    assert_eq!(whole.count(), 10);
}

#[tokio::test]
async fn windows_kinds_and_organizations_are_counted_apart() {
    let setting = Setting::start().await;
    let at = now();
    let next = Timestamp::from_millis(at.as_millis() + 1000);
    let other = fresh_id(OrganizationId::new, at);
    let asked = [
        (setting.organization_id, AllowanceKind::Requests, at),
        (setting.organization_id, AllowanceKind::Creates, at),
        (setting.organization_id, AllowanceKind::Requests, next),
        (other, AllowanceKind::Requests, at),
    ];
    for (organization_id, kind, window_start) in asked {
        let taken = setting
            .store
            .take_allowance(organization_id, kind, window_start, 1, 1)
            .await;
        assert_eq!(taken.expect("the store answers"), Allowance::Taken);
    }
}
