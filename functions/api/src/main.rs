//! The api as a Lambda function behind an HTTP API.

use anyhow::Context;
use api::{Api, router};
use platform::configuration::{Environment, Logs, Outgoing, Resources};
use store::{Connection, Store};

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    let environment = Environment::from_process();
    platform::telemetry::init(&Logs::read(&environment)?)?;
    let resources = Resources::read(&environment).context("the environment can't be used")?;
    let store = Store::new(&Connection::from_environment().await, resources);
    let allow_addresses = Outgoing::read(&environment)?.allow_addresses;
    lambda_http::run(router(Api {
        store,
        allow_addresses,
    }))
    .await
}
