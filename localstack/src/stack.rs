//! Starts everything in its order, says where it is, and stops it again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use api::{Api, router};
use platform::addresses::AllowAddresses;
use platform::configuration::{Environment, Limits, Resources};
use platform::guarded_http::GuardedClient;
use store::local::{deploy, stream::StreamReader};
use store::{Connection, Role, Store};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::emulator::{Emulator, Installation, StartOptions};
use crate::local_file::{LocalFile, Published};
use crate::occupation::Occupation;
use crate::runners::{RunnerCommand, Runners};
use crate::{TEMPLATE, default_keys, pollers, resources, webhook_receiver};

const STACK_NAME: &str = "legwork-local";

/// The organizations of every local stack, so that kept data stays theirs. On AWS nothing has these ids.
const FIRST_ORGANIZATION: &str = "00000000-0000-7000-8000-000000000001";
const SECOND_ORGANIZATION: &str = "00000000-0000-7000-8000-000000000002";

/// What loopback needs: the practice site and the receiver are there.
const ALLOW_ADDRESSES: AllowAddresses = AllowAddresses::AndLoopback;

/// What a stack is started with.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// Where `.legwork` is.
    pub project_dir: PathBuf,
    /// How many runners.
    pub workers: usize,
    /// The API's port; 0 for any that is free.
    pub port: u16,
    /// Where data is kept over restarts; without it, it goes with the stack.
    pub data_dir: Option<PathBuf>,
    /// How a runner is started.
    pub runner: RunnerCommand,
    /// How often the sweeper runs; each minute on AWS.
    pub sweep_every: Duration,
    /// More settings for the runners.
    pub runner_environment: Vec<(String, String)>,
}

impl StackOptions {
    /// A stack as `legwork up` starts it.
    #[must_use]
    pub fn new(project_dir: impl Into<PathBuf>, runner: RunnerCommand) -> Self {
        Self {
            project_dir: project_dir.into(),
            workers: 1,
            port: 0,
            data_dir: None,
            runner,
            sweep_every: Duration::from_secs(60),
            runner_environment: Vec::new(),
        }
    }
}

/// A stack that runs.
#[derive(Debug)]
pub struct Stack {
    published: Published,
    store: Store,
    runners: Runners,
    tasks: JoinSet<()>,
    stop_serving: CancellationToken,
    emulator: Option<Emulator>,
    scratch: tempfile::TempDir,
    /// Of `.legwork`, and of the folder of kept data.
    _occupied: (Occupation, Option<Occupation>),
}

/// What stands in for AWS.
struct Aws {
    endpoint_url: String,
    region: String,
    access_key_id: String,
    secret_access_key: String,
}

impl Stack {
    /// Starts everything. `say` is told of what is installed, and of nothing else.
    ///
    /// # Errors
    /// What is missing, with the command that installs it; what did not start, with where its log is.
    pub async fn start(
        options: StackOptions,
        say: &mut (dyn FnMut(&str) + Send),
    ) -> anyhow::Result<Self> {
        let legwork_dir = options.project_dir.join(".legwork");
        let log_dir = legwork_dir.join("logs");
        fs::create_dir_all(&log_dir)
            .with_context(|| format!("{} can't be made", log_dir.display()))?;
        let mut occupation = Occupation::of(&legwork_dir)?;
        let data_occupation = options
            .data_dir
            .as_deref()
            .map(Occupation::of)
            .transpose()?;
        Published::remove_stale(&options.project_dir);
        // The runners' are in their logs, as on AWS; the functions are in this process, whose output is for people.
        let metrics = log_dir.join("metrics.log");
        let metrics = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&metrics)
            .with_context(|| format!("{} can't be written", metrics.display()))?;
        platform::telemetry::metrics::to(metrics);
        let listener = TcpListener::bind(("127.0.0.1", options.port))
            .await
            .with_context(|| {
                format!(
                    "port {} is taken; choose another one with --port",
                    options.port
                )
            })?;
        let chromium = browser::find_or_install(say).await?;
        let scratch = occupation.make_scratch()?;

        let (aws, emulator) = start_aws(&options, &legwork_dir, &log_dir, say).await?;
        let connection = Connection::to_emulator(
            &aws.endpoint_url,
            &aws.region,
            &aws.access_key_id,
            &aws.secret_access_key,
        )
        .await;
        let outputs = deploy::deploy(
            connection.sdk_config(),
            STACK_NAME,
            TEMPLATE,
            &[("DeployFunctions", "false")],
        )
        .await?;
        let output = |name: &str| {
            outputs
                .get(name)
                .cloned()
                .with_context(|| format!("template.yaml has no output {name}"))
        };
        let mut settings = resources::settings_of(&outputs);
        if let Some(limit) = Environment::from_process().get("LEGWORK_CONCURRENT_RUNS") {
            settings.push(("LEGWORK_CONCURRENT_RUNS".to_owned(), limit.to_owned()));
        }
        let resources = Resources::read(&settings.iter().cloned().collect::<Environment>())?;
        let store = Store::new(&connection, resources);

        let mut tasks = JoinSet::new();
        let stop_serving = CancellationToken::new();
        let api_url = format!("http://{}", listener.local_addr()?);
        let limits = Limits::read(&Environment::from_process())?;
        let api = router(Api::new(store.clone(), ALLOW_ADDRESSES, limits));
        serve(&mut tasks, listener, api, &stop_serving);
        let site = TcpListener::bind("127.0.0.1:0").await?;
        let practice_site_url = format!("http://{}", site.local_addr()?);
        let stop_site = stop_serving.clone();
        tasks.spawn(async move {
            if let Err(error) = practice_site::serve(site, stop_site.cancelled_owned()).await {
                tracing::error!(%error, "The practice site failed");
            }
        });
        let receiver = TcpListener::bind("127.0.0.1:0").await?;
        let webhook_receiver_url = format!("http://{}", receiver.local_addr()?);
        serve(
            &mut tasks,
            receiver,
            webhook_receiver::router(),
            &stop_serving,
        );

        let reader = StreamReader::new(&connection, &output("TableStreamArn")?);
        let client = GuardedClient::new(ALLOW_ADDRESSES, deliverer::EXCHANGE_TIMEOUT)?;
        let context = deliverer::Context {
            store: store.clone(),
            client,
        };
        let pollers: [std::pin::Pin<Box<dyn Future<Output = ()> + Send>>; 3] = [
            Box::pin(pollers::feed_dispatcher(store.clone(), reader)),
            Box::pin(pollers::feed_deliverer(context)),
            Box::pin(pollers::feed_sweeper(store.clone(), options.sweep_every)),
        ];
        for poller in pollers {
            let stop = stop_serving.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = poller => {}
                    () = stop.cancelled() => {}
                }
            });
        }

        let mut environment = settings;
        environment.extend(
            [
                ("AWS_ENDPOINT_URL", aws.endpoint_url.as_str()),
                ("AWS_REGION", &aws.region),
                ("AWS_ACCESS_KEY_ID", &aws.access_key_id),
                ("AWS_SECRET_ACCESS_KEY", &aws.secret_access_key),
                ("AWS_EC2_METADATA_DISABLED", "true"),
                ("LEGWORK_ALLOW_ADDRESSES", "loopback"),
                // What isn't kept need not be finished.
                (
                    "LEGWORK_STOP_TIMEOUT_SECONDS",
                    if options.data_dir.is_some() {
                        "10"
                    } else {
                        "0"
                    },
                ),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let path = |path: &Path| path.to_string_lossy().into_owned();
        environment.push(("LEGWORK_CHROMIUM".to_owned(), path(&chromium)));
        environment.push(("LEGWORK_SCRATCH_DIR".to_owned(), path(scratch.path())));
        environment.extend(options.runner_environment.clone());
        let runners = Runners::start(options.runner, environment, &log_dir, options.workers)?;

        let key = async |organization: &str, user: &str, role: Role| -> anyhow::Result<String> {
            default_keys::renew(&store, organization.parse()?, user, role).await
        };
        let content = LocalFile {
            pid: std::process::id(),
            api_url,
            api_key: key(FIRST_ORGANIZATION, "local-admin", Role::Admin).await?,
            viewer_api_key: key(FIRST_ORGANIZATION, "local-viewer", Role::Viewer).await?,
            second_org_api_key: key(SECOND_ORGANIZATION, "other-admin", Role::Admin).await?,
            aws_endpoint_url: aws.endpoint_url,
            aws_region: aws.region,
            aws_access_key_id: aws.access_key_id,
            aws_secret_access_key: aws.secret_access_key,
            table_name: output("TableName")?,
            run_queue_url: output("RunQueueUrl")?,
            delivery_queue_url: output("DeliveryQueueUrl")?,
            artifact_bucket: output("ArtifactBucketName")?,
            practice_site_url,
            webhook_receiver_url,
            worker_pids: runners.pids(),
        };
        let published = Published::publish(&options.project_dir, content)?;
        Ok(Self {
            published,
            store,
            runners,
            tasks,
            stop_serving,
            emulator,
            scratch,
            _occupied: (occupation, data_occupation),
        })
    }

    /// Where everything is.
    #[must_use]
    pub fn local(&self) -> &LocalFile {
        self.published.content()
    }

    /// The stack's own store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Watches over the stack until it is to stop: starts dead runners again.
    ///
    /// # Errors
    /// When a part that can't be started again has ended.
    pub async fn watch(&mut self, stop: &CancellationToken) -> anyhow::Result<()> {
        loop {
            let emulator = async {
                match &mut self.emulator {
                    Some(emulator) => emulator.ended().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                status = emulator => anyhow::bail!("the AWS emulator ended ({}); see .legwork/logs/emulator.log", status?),
                Some(ended) = self.tasks.join_next() => {
                    let how = ended.map_or_else(|error| error.to_string(), |()| "no error".to_owned());
                    anyhow::bail!("a part of the stack ended by itself ({how}); its logs are above");
                }
                replaced = self.runners.replace_a_dead_one() => {
                    replaced?;
                    self.published.set_worker_pids(self.runners.pids())?;
                }
            }
        }
    }

    /// Stops everything, in the reverse order.
    pub async fn stop(mut self) {
        self.runners.stop().await;
        self.stop_serving.cancel();
        while self.tasks.join_next().await.is_some() {}
        if let Some(emulator) = self.emulator
            && let Err(error) = emulator.stop().await
        {
            tracing::warn!(%error, "The AWS emulator did not stop as it should");
        }
        drop(self.published);
        if let Err(error) = self.scratch.close() {
            tracing::warn!(%error, "The stack's temporary folder could not be removed");
        }
    }
}

async fn start_aws(
    options: &StackOptions,
    legwork_dir: &Path,
    log_dir: &Path,
    say: &mut (dyn FnMut(&str) + Send),
) -> anyhow::Result<(Aws, Option<Emulator>)> {
    let environment = Environment::from_process();
    let or = |name: &str, default: &str| environment.get(name).unwrap_or(default).to_owned();
    let (endpoint_url, emulator) = match environment.get("AWS_ENDPOINT_URL") {
        Some(url) => (url.to_owned(), None),
        None => {
            let directory = environment.get("LEGWORK_EMULATOR_DIR").map(PathBuf::from);
            let directory = directory.unwrap_or_else(|| legwork_dir.join("emulator"));
            let installation = Installation::ensure(&directory, say).await?;
            let start = StartOptions {
                data_dir: options.data_dir.clone(),
                log_file: log_dir.join("emulator.log"),
            };
            let emulator = Emulator::start(&installation, &start).await?;
            (emulator.endpoint_url().to_owned(), Some(emulator))
        }
    };
    let aws = Aws {
        endpoint_url,
        region: or("AWS_REGION", "us-east-1"),
        access_key_id: or("AWS_ACCESS_KEY_ID", "test"),
        secret_access_key: or("AWS_SECRET_ACCESS_KEY", "test"),
    };
    Ok((aws, emulator))
}

fn serve(
    tasks: &mut JoinSet<()>,
    listener: TcpListener,
    router: axum::Router,
    stop: &CancellationToken,
) {
    let stop = stop.clone();
    tasks.spawn(async move {
        let ended = stop.clone().cancelled_owned();
        let served = axum::serve(listener, router).with_graceful_shutdown(ended);
        tokio::select! {
            served = served => {
                if let Err(error) = served {
                    tracing::error!(%error, "A server failed");
                }
            }
            // A client that keeps its connection open must not keep the stack from stopping.
            () = async {
                stop.cancelled().await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            } => {}
        }
    });
}
