//! What tests stand on: one emulator for each test binary, and for each test resources of its own, made from
//! template.yaml as everywhere else.
//!
//! It starts nothing but the emulator: no function, no poller, no runner. Tests call the functions themselves, one
//! explicit step after the other.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use platform::configuration::{Environment, Resources};
use store::{Connection, Store};
use tokio::sync::OnceCell;

use crate::TEMPLATE;
use crate::emulator::{Emulator, Installation, StartOptions};
use crate::resources::settings_of;

/// The emulator of this process. Nothing ends it here: its standard input does, when this process ends in whatever way.
static EMULATOR: OnceCell<Emulator> = OnceCell::const_new();

const REGION: &str = "eu-central-1";

/// Resources that belong to one test.
#[derive(Debug)]
pub struct Fixture {
    /// The store on them.
    pub store: Store,
    /// The way to the emulator, for what the store doesn't do.
    pub connection: Connection,
    /// The outputs of the test's own stack.
    pub outputs: BTreeMap<String, String>,
}

impl Fixture {
    /// Starts the emulator if this process has none yet, and creates all resources, without functions and runners.
    ///
    /// # Errors
    /// When the emulator can't be installed or started, or the template can't be deployed.
    pub async fn start() -> anyhow::Result<Self> {
        let emulator = EMULATOR.get_or_try_init(start_emulator).await?;
        let connection =
            Connection::to_emulator(emulator.endpoint_url(), REGION, "test", "test").await;
        let stack = format!("test-{:016x}", u64::from_be_bytes(store::fresh_random()));
        let parameters = [("DeployFunctions", "false")];
        let outputs =
            store::local::deploy::deploy(connection.sdk_config(), &stack, TEMPLATE, &parameters)
                .await?;
        let resources =
            Resources::read(&settings_of(&outputs).into_iter().collect::<Environment>())?;
        Ok(Self {
            store: Store::new(&connection, resources),
            connection,
            outputs,
        })
    }
}

async fn start_emulator() -> anyhow::Result<Emulator> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.legwork");
    let installation = Installation::ensure(&project.join("emulator"), &mut |line| {
        tracing::info!("{line}")
    })
    .await?;
    let log_file = tempfile::Builder::new()
        .prefix("legwork-test-emulator-")
        .suffix(".log")
        .tempfile()?;
    // The emulator holds the file open; nobody needs its name once the start has succeeded.
    let options = StartOptions {
        data_dir: None,
        log_file: log_file.path().to_owned(),
    };
    Emulator::start(&installation, &options)
        .await
        .context("no emulator for the tests")
}
