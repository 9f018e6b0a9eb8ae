//! The deliverer as a Lambda function behind the queue of deliveries.

use aws_lambda_events::event::sqs::SqsEvent;
use deliverer::{Context, EXCHANGE_TIMEOUT};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use platform::configuration::{Environment, Logs, Outgoing, Resources};
use platform::guarded_http::GuardedClient;
use store::{Connection, Store};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let environment = Environment::from_process();
    platform::telemetry::init(&Logs::read(&environment)?)?;
    platform::telemetry::metrics::to_standard_output();
    let store = Store::new(
        &Connection::from_environment().await,
        Resources::read(&environment)?,
    );
    let client = GuardedClient::new(
        Outgoing::read(&environment)?.allow_addresses,
        EXCHANGE_TIMEOUT,
    )?;
    let context = &Context { store, client };
    let handle = async |event: LambdaEvent<SqsEvent>| {
        Ok::<_, Error>(deliverer::handle(context, event.payload).await)
    };
    lambda_runtime::run(service_fn(handle)).await
}
