//! The api as a Lambda function behind an HTTP API.

use std::sync::Arc;

use anyhow::Context;
use api::{Api, router};
use lambda_http::service_fn;
use platform::configuration::{Environment, Gateway, Limits, Logs, Outgoing, Resources};
use store::{Connection, Store};

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    let environment = Environment::from_process();
    platform::telemetry::init(&Logs::read(&environment)?)?;
    platform::telemetry::metrics::to_standard_output();
    let resources = Resources::read(&environment).context("the environment can't be used")?;
    let store = Store::new(&Connection::of_function(&environment), resources);
    let allow_addresses = Outgoing::read(&environment)?.allow_addresses;
    let limits = Limits::read(&environment)?;
    let gateway = Gateway::read(&environment)?;
    let router = router(Api::new(store, allow_addresses, limits));
    let mapping: Arc<str> = gateway.mapping_path.into();
    lambda_http::run(service_fn(move |request| {
        let (router, mapping) = (router.clone(), Arc::clone(&mapping));
        async move { api::gateway::answer(router, &mapping, request).await }
    }))
    .await
}
