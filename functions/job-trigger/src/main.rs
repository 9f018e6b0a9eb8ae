//! The job-trigger as a Lambda function that the schedules of jobs invoke.

use job_trigger::Occurrence;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use platform::configuration::{Environment, Logs, Resources};
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
    let handle = async |event: LambdaEvent<Occurrence>| {
        job_trigger::handle(store, event.payload)
            .await
            .map_err(Error::from)
    };
    lambda_runtime::run(service_fn(handle)).await
}
