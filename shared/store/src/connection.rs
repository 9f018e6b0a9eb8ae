//! The clients, built once, and the names of the resources.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use platform::configuration::{Environment, Resources};

use crate::StoreError;

/// How long a call may take, each try of it: a connection that leads nowhere must not hold anybody for ever.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The same for a queue, whose long poll takes up to 20 s by itself.
const LONG_POLL_WITHIN: Duration = Duration::from_secs(30);

/// The same for an object of the bucket, which may be large.
const OBJECT_WITHIN: Duration = Duration::from_secs(5 * 60);

/// How to reach AWS, or what stands in for it.
#[derive(Debug, Clone)]
pub struct Connection {
    config: SdkConfig,
    has_own_endpoint: bool,
}

impl Connection {
    /// As the environment says (`AWS_REGION`, credentials, `AWS_ENDPOINT_URL` and what else the SDK reads).
    pub async fn from_environment() -> Self {
        let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
        let has_own_endpoint = config.endpoint_url().is_some();
        Self {
            config,
            has_own_endpoint,
        }
    }

    /// Of a function: its region, its credentials and perhaps `AWS_ENDPOINT_URL` are in its environment, and nowhere
    /// else. Looking for them in all the places that [`Self::from_environment`] knows would cost each cold start the
    /// code that does it, and find nothing.
    #[must_use]
    pub fn of_function(environment: &Environment) -> Self {
        let region = environment.get("AWS_REGION").map(str::to_owned);
        let endpoint_url = environment.get("AWS_ENDPOINT_URL").map(str::to_owned);
        let has_own_endpoint = endpoint_url.is_some();
        let credentials = EnvironmentVariableCredentialsProvider::new();
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(region.map(Region::new))
            .credentials_provider(SharedCredentialsProvider::new(credentials));
        config.set_endpoint_url(endpoint_url);
        Self {
            config: config.build(),
            has_own_endpoint,
        }
    }

    /// To an emulator at a URL, with credentials that mean nothing elsewhere.
    pub async fn to_emulator(
        endpoint_url: &str,
        region: &str,
        access_key_id: &str,
        secret_access_key: &str,
    ) -> Self {
        let credentials =
            Credentials::new(access_key_id, secret_access_key, None, None, "emulator");
        let config = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(endpoint_url)
            .region(Region::new(region.to_owned()))
            .credentials_provider(credentials)
            .load()
            .await;
        Self {
            config,
            has_own_endpoint: true,
        }
    }

    /// The SDK's own configuration.
    #[must_use]
    pub fn sdk_config(&self) -> &SdkConfig {
        &self.config
    }
}

fn each_try(within: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(within)
        .build()
}

/// The store. Cloning it is cheap.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) dynamo: aws_sdk_dynamodb::Client,
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) kms: aws_sdk_kms::Client,
    pub(crate) resources: Resources,
}

impl Store {
    /// Builds the clients; opens no connection yet.
    #[must_use]
    pub fn new(connection: &Connection, resources: Resources) -> Self {
        let config = &connection.config;
        Self {
            dynamo: aws_sdk_dynamodb::Client::from_conf(
                aws_sdk_dynamodb::config::Builder::from(config)
                    .timeout_config(each_try(ANSWER_WITHIN))
                    .build(),
            ),
            sqs: aws_sdk_sqs::Client::from_conf(
                aws_sdk_sqs::config::Builder::from(config)
                    .timeout_config(each_try(LONG_POLL_WITHIN))
                    .build(),
            ),
            s3: aws_sdk_s3::Client::from_conf(
                aws_sdk_s3::config::Builder::from(config)
                    // Only AWS itself answers for a bucket as a host name.
                    .force_path_style(connection.has_own_endpoint)
                    .timeout_config(each_try(OBJECT_WITHIN))
                    .build(),
            ),
            kms: aws_sdk_kms::Client::from_conf(
                aws_sdk_kms::config::Builder::from(config)
                    .timeout_config(each_try(ANSWER_WITHIN))
                    .build(),
            ),
            resources,
        }
    }

    pub(crate) fn table(&self) -> Result<&str, StoreError> {
        Ok(self.resources.table()?)
    }

    pub(crate) fn bucket(&self) -> Result<&str, StoreError> {
        Ok(self.resources.artifact_bucket()?)
    }

    pub(crate) fn secrets_key(&self) -> Result<&str, StoreError> {
        Ok(self.resources.secrets_key_id()?)
    }

    pub(crate) fn webhook_key(&self) -> Result<&str, StoreError> {
        Ok(self.resources.webhook_key_id()?)
    }
}
