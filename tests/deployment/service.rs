//! Legwork as it is deployed, on the emulator: all of template.yaml with its functions, a runner, and around it what a
//! customer has: a site and a receiver of webhooks.
//!
//! It calls no function's code. What happens, happens because API Gateway, the queues, the table's stream or the
//! schedule of the emulator invoked a `bootstrap`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use domain::OrganizationId;
use localstack::emulator::{Emulator, Installation, StartOptions};
use localstack::{ReceivedWebhook, TEMPLATE, settings_of};
use platform::configuration::{Environment, Resources};
use reqwest::{Method, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use store::local::deploy::{deploy, package};
use store::{Connection, Store};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinSet;

use crate::functions;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(90);

/// What the emulator takes for its own when a request, as ours, names no region.
const REGION: &str = "us-east-1";

const STACK: &str = "deployment-test";
const CODE_BUCKET: &str = "deployment-test-code";

/// The sweep of each minute would come after the test. The emulator fires for a time that has passed within ten seconds.
const EACH_MINUTE: &str = "ScheduleExpression: rate(1 minute)";
const AT_ONCE: &str = "ScheduleExpression: at(2020-01-01T00:00:00)";

/// A lease that ends soon after its runner was killed, but not while a busy machine renews it late.
const SHORT_LEASE: [(&str, &str); 2] = [
    ("LEGWORK_LEASE_SECONDS", "15"),
    ("LEGWORK_HEARTBEAT_SECONDS", "1"),
];

/// The service, while it runs.
pub(crate) struct Service {
    /// For what the API can't do yet, or never will: the first key, jobs.
    pub(crate) store: Store,
    /// An admin's key.
    pub(crate) key: String,
    /// Where the practice site is.
    pub(crate) site_url: String,
    /// Where webhooks are received.
    pub(crate) receiver_url: String,
    api_url: String,
    endpoint_url: String,
    settings: Vec<(String, String)>,
    http: reqwest::Client,
    runner: Option<(Child, Option<ChildStdin>)>,
    _tasks: JoinSet<()>,
    emulator: Emulator,
    folder: tempfile::TempDir,
}

impl Service {
    /// Deploys everything, with one runner.
    pub(crate) async fn deploy(say: &mut impl FnMut(&str)) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("legwork-deployment-")
            .tempdir()?;
        let zips = functions::package(folder.path())?;
        say("the functions are built and packed");

        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.legwork/emulator");
        let installation = Installation::ensure(&project, &mut |_| ()).await?;
        let log_file = folder.path().join("emulator.log");
        let emulator = Emulator::start(
            &installation,
            &StartOptions {
                data_dir: None,
                log_file,
            },
        )
        .await?;
        let endpoint_url = emulator.endpoint_url().to_owned();
        let connection = Connection::to_emulator(&endpoint_url, REGION, "test", "test").await;
        let http = client()?;
        upload(&http, &format!("{endpoint_url}/{CODE_BUCKET}"), &zips).await?;
        let template = package(TEMPLATE, CODE_BUCKET).replace(EACH_MINUTE, AT_ONCE);
        ensure!(
            template.contains(AT_ONCE),
            "template.yaml does not say {EACH_MINUTE:?} any more"
        );
        let parameters = [
            ("DeployFunctions", "true"),
            ("AllowAddresses", "loopback"),
            ("LogFilter", "info"),
        ];
        let outputs = deploy(connection.sdk_config(), STACK, &template, &parameters).await?;
        say("template.yaml is deployed");

        let mut tasks = JoinSet::new();
        let site = TcpListener::bind("127.0.0.1:0").await?;
        let site_url = format!("http://{}", site.local_addr()?);
        tasks.spawn(async move {
            practice_site::serve(site, std::future::pending())
                .await
                .expect("the practice site serves");
        });
        let receiver = TcpListener::bind("127.0.0.1:0").await?;
        let receiver_url = format!("http://{}", receiver.local_addr()?);
        tasks.spawn(async move {
            axum::serve(receiver, localstack::webhook_receiver())
                .await
                .expect("the receiver serves");
        });

        let settings = settings_of(&outputs);
        let store = Store::new(
            &connection,
            Resources::read(&settings.iter().cloned().collect::<Environment>())?,
        );
        let mut service = Self {
            store,
            key: String::new(),
            site_url,
            receiver_url,
            api_url: api_url(&endpoint_url, &outputs)?,
            endpoint_url,
            settings,
            http,
            runner: None,
            _tasks: tasks,
            emulator,
            folder,
        };
        service.start_runner().await?;
        say("the runner is started");
        Ok(service)
    }

    async fn start_runner(&mut self) -> anyhow::Result<()> {
        let chromium = browser::find_or_install(&mut |_| ()).await?;
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.runner_log())?;
        let mut child = self
            .legwork()
            .arg("runner")
            .env("LEGWORK_ALLOW_ADDRESSES", "loopback")
            .env("LEGWORK_CHROMIUM", chromium)
            .env("LEGWORK_SCRATCH_DIR", self.folder.path().join("scratch"))
            .envs(SHORT_LEASE)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("the runner did not start")?;
        // Waiting for the child closes a standard input that is still the child's, and then it stops.
        let stdin = child.stdin.take();
        self.runner = Some((child, stdin));
        Ok(())
    }

    /// The command line, where an operator has it: with credentials, and the names of the resources.
    fn legwork(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_legwork"));
        command
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .env("AWS_ENDPOINT_URL", &self.endpoint_url)
            .env("AWS_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    /// Makes the first key, as an operator does. Answers with the organization that it made, and the key.
    pub(crate) async fn make_first_key(&self) -> anyhow::Result<(OrganizationId, String)> {
        let mut command = self.legwork();
        let made = command
            .args(["api-key", "--user", "deployer"])
            .output()
            .await?;
        ensure!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let said = String::from_utf8(made.stdout)?;
        let word = |name: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::trim)
                .with_context(|| format!("no {name} in {said}"))
        };
        Ok((word("organization")?.parse()?, word("key")?.to_owned()))
    }

    /// Kills the runner, as a machine does that loses power.
    pub(crate) async fn kill_runner(&mut self) -> anyhow::Result<()> {
        if let Some((mut child, _stdin)) = self.runner.take() {
            child.kill().await.context("the runner can't be killed")?;
        }
        Ok(())
    }

    /// Calls the API through API Gateway, and answers with the body when the status is the expected one.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Body<'_>,
        status: u16,
    ) -> anyhow::Result<Value> {
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.api_url))
            .bearer_auth(&self.key);
        request = match body {
            Body::None => request,
            Body::Json(body) => request.json(&body),
            Body::Yaml(yaml) => request
                .header("content-type", "application/yaml")
                .body(yaml.to_owned()),
        };
        let began = Instant::now();
        let answer = loop {
            let again = request.try_clone().context("a body can be sent again")?;
            let answer = again.send().await?;
            // As the API says: on a machine that stands still it answers that it is busy, and when to ask again.
            let is_busy = answer.status() == StatusCode::SERVICE_UNAVAILABLE
                && answer.headers().contains_key(header::RETRY_AFTER);
            if method != Method::GET || !is_busy || began.elapsed() > PATIENCE {
                break answer;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
        let (found, text) = (answer.status(), answer.text().await?);
        ensure!(
            found.as_u16() == status,
            "{method} {path} answered {found} instead of {status}: {text}"
        );
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text)
            .with_context(|| format!("{method} {path} answered no JSON: {text}"))
    }

    /// Gets something from the site, the receiver or the bucket.
    pub(crate) async fn fetch(&self, url: &str) -> anyhow::Result<Vec<u8>> {
        let answer = self.http.get(url).send().await?.error_for_status()?;
        Ok(answer.bytes().await?.to_vec())
    }

    /// All webhooks so far.
    pub(crate) async fn webhooks(&self) -> anyhow::Result<Vec<ReceivedWebhook>> {
        #[derive(Deserialize)]
        struct Received {
            data: Vec<ReceivedWebhook>,
        }
        let received: Received = serde_json::from_slice(
            &self
                .fetch(&format!("{}/received", self.receiver_url))
                .await?,
        )?;
        Ok(received.data)
    }

    /// Invokes a function of the template by itself, as its trigger would, and answers with what it answered.
    pub(crate) async fn invoke(&self, logical_name: &str, event: &Value) -> anyhow::Result<Value> {
        let functions = format!("{}/2015-03-31/functions", self.endpoint_url);
        let list: Value = serde_json::from_slice(&self.fetch(&format!("{functions}/")).await?)?;
        let names = list["Functions"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|one| one["FunctionName"].as_str());
        let name = names.into_iter().find(|name| name.contains(logical_name));
        let name =
            name.with_context(|| format!("{logical_name} is not deployed; there are {list}"))?;
        let answer = self
            .http
            .post(format!("{functions}/{name}/invocations"))
            .json(event)
            .send()
            .await?;
        let failed = answer.status() != StatusCode::OK
            || answer.headers().contains_key("x-amz-function-error");
        let text = answer.text().await?;
        ensure!(!failed, "{logical_name} failed: {text}");
        serde_json::from_str(&text)
            .with_context(|| format!("{logical_name} answered no JSON: {text}"))
    }

    /// Looks until something is there; fails when that takes too long.
    pub(crate) async fn until<T>(
        &self,
        what: &str,
        mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let began = Instant::now();
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            if began.elapsed() > PATIENCE {
                bail!("waited {} s in vain until {what}", PATIENCE.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The messages in the log group of a function, the oldest first.
    pub(crate) async fn function_log(&self, group: &str) -> anyhow::Result<Vec<String>> {
        let group = format!("/aws/cloudformation/{STACK}/{group}");
        let events = self
            .logs("FilterLogEvents", &json!({ "logGroupName": group }))
            .await?;
        let events = events["events"].as_array().cloned().unwrap_or_default();
        Ok(events
            .iter()
            .filter_map(|event| event["message"].as_str())
            .map(str::to_owned)
            .collect())
    }

    /// What the parts logged last, for a failure's message.
    pub(crate) async fn logs_of_all(&self) -> String {
        let mut text = String::new();
        for function in ["Api", "Dispatcher", "Deliverer", "Sweeper", "JobTrigger"] {
            let messages = match self.function_log(&format!("{function}LogGroup")).await {
                Ok(messages) => messages,
                Err(error) => vec![format!("its log can't be read: {error:#}")],
            };
            text.push_str(&section(function, messages.iter().map(String::as_str)));
        }
        for (part, file) in [
            ("runner", self.runner_log()),
            ("emulator", self.folder.path().join("emulator.log")),
        ] {
            let log = fs::read_to_string(file).unwrap_or_default();
            text.push_str(&section(part, log.lines()));
        }
        text
    }

    /// Stops everything.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.kill_runner().await?;
        self.emulator.stop().await?;
        self.folder
            .close()
            .context("the test's folder can't be removed")
    }

    fn runner_log(&self) -> PathBuf {
        self.folder.path().join("runner.log")
    }

    async fn logs(&self, action: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self
            .http
            .post(&self.endpoint_url)
            .header("x-amz-target", format!("Logs_20140328.{action}"));
        let request = request
            .header("content-type", "application/x-amz-json-1.1")
            .body(body.to_string());
        Ok(request.send().await?.error_for_status()?.json().await?)
    }
}

/// What a call sends.
pub(crate) enum Body<'a> {
    /// Nothing.
    None,
    /// JSON.
    Json(Value),
    /// A workflow, as people write it.
    Yaml(&'a str),
}

/// API Gateway's way to the API on the emulator, which knows the API's own host name only where names under
/// `localhost` are resolved.
fn api_url(endpoint_url: &str, outputs: &BTreeMap<String, String>) -> anyhow::Result<String> {
    let url = outputs
        .get("ApiUrl")
        .context("template.yaml has no output ApiUrl")?;
    let host = url.split_once("//").map_or("", |(_, host)| host);
    let (id, _) = host
        .split_once('.')
        .with_context(|| format!("{url} has no API id"))?;
    Ok(format!("{endpoint_url}/_aws/execute-api/{id}/$default"))
}

/// Puts the functions where the packaged template looks for them. The emulator asks for no signature, and signing this
/// much takes a build without optimization many seconds.
async fn upload(
    http: &reqwest::Client,
    bucket: &str,
    zips: &[(&str, PathBuf)],
) -> anyhow::Result<()> {
    http.put(bucket).send().await?.error_for_status()?;
    for (name, zip) in zips {
        http.put(format!("{bucket}/{name}.zip"))
            .body(fs::read(zip)?)
            .send()
            .await?
            .error_for_status()?;
    }
    Ok(())
}

fn section<'a>(part: &str, lines: impl Iterator<Item = &'a str>) -> String {
    const KEPT: usize = 30;
    let of_lambda = |line: &str| {
        ["START ", "END ", "REPORT "]
            .iter()
            .any(|mark| line.starts_with(mark))
    };
    let lines: Vec<&str> = lines.filter(|line| !of_lambda(line)).collect();
    let last = &lines[lines.len().saturating_sub(KEPT)..];
    format!(
        "\n== {part}, the last {} of {} lines of its log\n{}\n",
        last.len(),
        lines.len(),
        last.join("\n")
    )
}

#[expect(clippy::disallowed_methods, reason = "this is a customer's side")]
fn client() -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(60))
        .build()?)
}
