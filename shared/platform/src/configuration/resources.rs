//! The names of what a deployment created, and the one limit that all of its parts must agree on.

use url::Url;

use super::{Environment, SettingError};

/// What template.yaml created, by name. Each process is told only what it may use, so a name is
/// missed only when somebody asks for it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Resources {
    table: Option<String>,
    run_queue_url: Option<Url>,
    delivery_queue_url: Option<Url>,
    artifact_bucket: Option<String>,
    secrets_key_id: Option<String>,
    webhook_key_id: Option<String>,
    concurrent_runs: Option<u32>,
}

const TABLE: &str = "LEGWORK_TABLE";
const RUN_QUEUE_URL: &str = "LEGWORK_RUN_QUEUE_URL";
const DELIVERY_QUEUE_URL: &str = "LEGWORK_DELIVERY_QUEUE_URL";
const ARTIFACT_BUCKET: &str = "LEGWORK_ARTIFACT_BUCKET";
const SECRETS_KEY_ID: &str = "LEGWORK_SECRETS_KEY_ID";
const WEBHOOK_KEY_ID: &str = "LEGWORK_WEBHOOK_KEY_ID";
const CONCURRENT_RUNS: &str = "LEGWORK_CONCURRENT_RUNS";

/// How many runs of one organization are queued or in work at the same time, where nobody says anything else.
const DEFAULT_CONCURRENT_RUNS: u32 = 10;

impl Resources {
    /// The most runs of one organization that may be queued or in work at the same time. Twice as many are counted with one
    /// query, whose answer has a megabyte at most; with more, what is over the limit would not be seen.
    pub const MOST_CONCURRENT_RUNS: u32 = 3_000;

    /// Reads the names that are set.
    ///
    /// # Errors
    /// When a variable that is set holds something else than it should.
    pub fn read(environment: &Environment) -> Result<Self, SettingError> {
        let text = |name| environment.get(name).map(str::to_owned);
        let queue = |name| {
            environment.parse(name, "the URL of a queue", |text| {
                let url = Url::parse(text).ok()?;
                matches!(url.scheme(), "http" | "https").then_some(url)
            })
        };
        Ok(Self {
            table: text(TABLE),
            run_queue_url: queue(RUN_QUEUE_URL)?,
            delivery_queue_url: queue(DELIVERY_QUEUE_URL)?,
            artifact_bucket: text(ARTIFACT_BUCKET),
            secrets_key_id: text(SECRETS_KEY_ID),
            webhook_key_id: text(WEBHOOK_KEY_ID),
            concurrent_runs: environment
                .get(CONCURRENT_RUNS)
                .map(|_| {
                    let possible = 1..=Self::MOST_CONCURRENT_RUNS;
                    environment.number(CONCURRENT_RUNS, possible, DEFAULT_CONCURRENT_RUNS)
                })
                .transpose()?,
        })
    }

    /// `LEGWORK_CONCURRENT_RUNS`: how many workflow runs of one organization may be queued or in work at the same time.
    /// Default 10. Those that are over it wait, so that one organization with many runs does not starve the others.
    #[must_use]
    pub fn concurrent_runs(&self) -> u32 {
        self.concurrent_runs.unwrap_or(DEFAULT_CONCURRENT_RUNS)
    }

    /// `LEGWORK_TABLE`: the name of the table.
    ///
    /// # Errors
    /// When it is not set.
    pub fn table(&self) -> Result<&str, SettingError> {
        need(self.table.as_deref(), TABLE, "the name of the table")
    }

    /// `LEGWORK_RUN_QUEUE_URL`: the URL of the queue of runs.
    ///
    /// # Errors
    /// When it is not set.
    pub fn run_queue_url(&self) -> Result<&str, SettingError> {
        let url = self.run_queue_url.as_ref().map(Url::as_str);
        need(url, RUN_QUEUE_URL, "the URL of the run queue")
    }

    /// `LEGWORK_DELIVERY_QUEUE_URL`: the URL of the queue of webhook deliveries.
    ///
    /// # Errors
    /// When it is not set.
    pub fn delivery_queue_url(&self) -> Result<&str, SettingError> {
        let url = self.delivery_queue_url.as_ref().map(Url::as_str);
        need(url, DELIVERY_QUEUE_URL, "the URL of the delivery queue")
    }

    /// `LEGWORK_ARTIFACT_BUCKET`: the name of the bucket of artifacts.
    ///
    /// # Errors
    /// When it is not set.
    pub fn artifact_bucket(&self) -> Result<&str, SettingError> {
        let name = self.artifact_bucket.as_deref();
        need(name, ARTIFACT_BUCKET, "the name of the artifact bucket")
    }

    /// `LEGWORK_SECRETS_KEY_ID`: the key that encrypts the secrets of workflows.
    ///
    /// # Errors
    /// When it is not set.
    pub fn secrets_key_id(&self) -> Result<&str, SettingError> {
        let id = self.secrets_key_id.as_deref();
        need(id, SECRETS_KEY_ID, "the id, ARN or alias of a KMS key")
    }

    /// `LEGWORK_WEBHOOK_KEY_ID`: the key that encrypts the secrets of webhook endpoints.
    ///
    /// # Errors
    /// When it is not set.
    pub fn webhook_key_id(&self) -> Result<&str, SettingError> {
        let id = self.webhook_key_id.as_deref();
        need(id, WEBHOOK_KEY_ID, "the id, ARN or alias of a KMS key")
    }
}

fn need<'a>(
    value: Option<&'a str>,
    name: &'static str,
    expected: &str,
) -> Result<&'a str, SettingError> {
    value.ok_or_else(|| SettingError::Missing {
        name,
        expected: expected.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_read_from_its_own_variable() {
        let resources = Resources::read(&Environment::from_iter([
            (TABLE, "table"),
            (RUN_QUEUE_URL, "http://127.0.0.1:4566/1/runs"),
            (DELIVERY_QUEUE_URL, "https://sqs.example/1/deliveries"),
            (ARTIFACT_BUCKET, "bucket"),
            (SECRETS_KEY_ID, "alias/secrets"),
            (WEBHOOK_KEY_ID, "alias/webhooks"),
        ]))
        .expect("all of it is right");
        assert_eq!(resources.table(), Ok("table"));
        assert_eq!(
            resources.run_queue_url(),
            Ok("http://127.0.0.1:4566/1/runs")
        );
        assert_eq!(
            resources.delivery_queue_url(),
            Ok("https://sqs.example/1/deliveries")
        );
        assert_eq!(resources.artifact_bucket(), Ok("bucket"));
        assert_eq!(resources.secrets_key_id(), Ok("alias/secrets"));
        assert_eq!(resources.webhook_key_id(), Ok("alias/webhooks"));
    }

    #[test]
    fn a_missing_name_is_an_error_only_when_it_is_needed_and_says_which() {
        let none = Resources::read(&Environment::default()).expect("nothing is needed yet");
        for (name, error) in [
            (TABLE, none.table()),
            (RUN_QUEUE_URL, none.run_queue_url()),
            (DELIVERY_QUEUE_URL, none.delivery_queue_url()),
            (ARTIFACT_BUCKET, none.artifact_bucket()),
            (SECRETS_KEY_ID, none.secrets_key_id()),
            (WEBHOOK_KEY_ID, none.webhook_key_id()),
        ] {
            let text = error.expect_err(name).to_string();
            assert!(
                text.starts_with(&format!("{name} is not set; expected the ")),
                "{text}"
            );
        }
    }

    #[test]
    fn a_queue_that_is_no_url_is_refused_by_name() {
        for wrong in ["runs", "arn:aws:sqs:eu-west-1:1:runs"] {
            let environment = Environment::from_iter([(RUN_QUEUE_URL, wrong)]);
            let error = Resources::read(&environment).expect_err(wrong);
            assert_eq!(
                error.to_string(),
                format!("{RUN_QUEUE_URL} is {wrong:?}; expected the URL of a queue")
            );
        }
    }

    #[test]
    fn the_limit_of_concurrent_runs_has_a_default_is_never_zero_and_can_be_counted() {
        let read =
            |limit: &str| Resources::read(&Environment::from_iter([(CONCURRENT_RUNS, limit)]));
        assert_eq!(Resources::default().concurrent_runs(), 10);
        assert_eq!(read("3").expect("a limit").concurrent_runs(), 3);
        for unusable in ["0", "3001"] {
            let error = read(unusable).expect_err("nobody could work, or nobody count");
            assert!(
                error.to_string().starts_with("LEGWORK_CONCURRENT_RUNS is"),
                "{error}"
            );
        }
    }
}
