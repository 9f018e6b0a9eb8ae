//! The dispatcher as a Lambda function behind the table's stream.

use aws_lambda_events::event::dynamodb::Event;
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
    let handle = async |event: LambdaEvent<Event>| {
        Ok::<_, Error>(dispatcher::handle(store, event.payload).await)
    };
    lambda_runtime::run(service_fn(handle)).await
}
