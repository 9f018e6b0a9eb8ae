//! The sweeper as a Lambda function that a schedule invokes each minute.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use platform::configuration::{Environment, Logs, Resources};
use serde_json::Value;
use store::{Connection, Store};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let environment = Environment::from_process();
    platform::telemetry::init(&Logs::read(&environment)?)?;
    platform::telemetry::metrics::to_standard_output();
    let store = &Store::new(
        &Connection::from_environment().await,
        Resources::read(&environment)?,
    );
    let handle =
        async |_: LambdaEvent<Value>| Ok::<_, Error>(sweeper::handle(store, store::now()).await);
    lambda_runtime::run(service_fn(handle)).await
}
