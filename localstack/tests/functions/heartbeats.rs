//! What a heartbeat costs: nothing but one small write.

use std::collections::BTreeMap;

use domain::run::Policy;
use platform::configuration::{Environment, Runner};
use store::local::meter::metered;
use store::{Lease, now};

use crate::setting::Setting;

#[tokio::test]
async fn a_minute_of_heartbeats_costs_six_write_units_and_reaches_neither_an_index_nor_a_function()
{
    let mut setting = Setting::start().await;
    let run = setting.run_created_at(now(), Policy::default()).await;
    let run = setting.begun(run, now()).await;
    setting.lose_stream_records().await;
    let (store, meter) = metered(&setting.store);

    let settings = Runner::read(&Environment::default()).expect("defaults");
    let beats = 60 / settings.heartbeat.as_secs();
    for _ in 0..beats {
        let lease = Lease {
            attempt: run.attempt,
            expires_at: now().plus(settings.lease),
        };
        let renewed = store.renew_lease(run.id, lease).await;
        assert!(renewed.expect("the store answers"));
    }
    let usage = meter.usage();
    assert_eq!(usage.requests, BTreeMap::from([("PutItem", beats)]));
    // What an index wrote would be in it too.
    assert!(usage.write_units <= 6.0, "{usage:?}");
    assert_eq!(setting.unheard_changes().await, 0);
}
