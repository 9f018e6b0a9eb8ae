//! Chromium, each a process of its own with a guarded proxy of its own, some started ahead so that a run does not
//! wait for a start. A browser serves one run and is never given to another.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use browser::{Browser, LaunchOptions, Sandbox};
use domain::definition::BrowserSettings;
use platform::addresses::AllowAddresses;
use platform::configuration::Runner as Settings;
use platform::socks_proxy::{Failure, SocksProxy};
use platform::telemetry::metrics::Measurement;
use platform::upstream::Upstream;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::sessions::{Held, NoSession, Session, Sessions};

/// How long to wait after a browser failed to start, before the next one is started ahead.
const START_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// A browser with the proxy through which all of its traffic goes.
struct GuardedBrowser {
    browser: Browser,
    proxy: SocksProxy,
}

#[async_trait]
impl Held for GuardedBrowser {
    fn failure_of(&self, host: &str, port: u16) -> Option<Failure> {
        self.proxy.failure_of(host, port)
    }

    async fn close(self: Box<Self>) {
        self.browser.close().await;
    }
}

/// The browsers that are ready.
struct Browsers {
    executable: PathBuf,
    scratch_dir: PathBuf,
    size: usize,
    sandbox: Sandbox,
    allow_addresses: AllowAddresses,
    ready: Mutex<Vec<GuardedBrowser>>,
    taken: Notify,
}

/// Browsers of the executable that the settings name, or that packages install, after what a dead runner's browsers left
/// in the scratch folder has been removed.
///
/// # Errors
/// When there is no browser, or no scratch folder.
pub fn chromium(
    settings: &Settings,
    allow_addresses: AllowAddresses,
) -> anyhow::Result<Box<dyn Sessions>> {
    let executable = match &settings.chromium {
        Some(path) => path.clone(),
        None => browser::find_executable()?,
    };
    let scratch_dir = settings.scratch_dir.clone();
    std::fs::create_dir_all(&scratch_dir)
        .with_context(|| format!("the scratch folder {} can't be made", scratch_dir.display()))?;
    let removed = browser::remove_leftovers(&scratch_dir)?;
    if removed > 0 {
        tracing::info!(removed, "Removed what a dead runner's browsers had left");
    }
    Ok(Box::new(Browsers {
        executable,
        scratch_dir,
        size: settings.browser_pool as usize,
        sandbox: if settings.sandbox_is_off {
            Sandbox::Off
        } else {
            Sandbox::Auto
        },
        allow_addresses,
        ready: Mutex::new(Vec::new()),
        taken: Notify::new(),
    }))
}

#[async_trait]
impl Sessions for Browsers {
    async fn keep_ready(&self) {
        loop {
            if self.lock().len() >= self.size {
                tokio::select! {
                    () = self.taken.notified() => {}
                    () = self.one_dies() => self.bury_the_dead().await,
                }
                continue;
            }
            match self.start(&BrowserSettings::default(), None).await {
                Ok(started) => self.lock().push(started),
                Err(error) => {
                    let error = format!("{:#}", anyhow::Error::from(error));
                    tracing::error!(error, "No browser could be started ahead");
                    tokio::time::sleep(START_AGAIN_AFTER).await;
                }
            }
        }
    }

    async fn open(
        &self,
        settings: &BrowserSettings,
        upstream: Option<Upstream>,
    ) -> Result<Session, NoSession> {
        let guarded = self.take(settings, upstream).await?;
        let page = guarded.browser.page().await?;
        Ok(Session {
            browser: Box::new(engine::Chromium::new(page)),
            held: Box::new(guarded),
        })
    }

    async fn close(&self) {
        while let Some(ready) = self.pop() {
            ready.browser.close().await;
        }
    }
}

impl Browsers {
    /// Waits until one of those that are ready now dies.
    async fn one_dies(&self) {
        let mut deaths = JoinSet::new();
        for ready in self.lock().iter() {
            deaths.spawn(ready.browser.gone());
        }
        match deaths.join_next().await {
            Some(_) => {}
            // There is none to die.
            None => std::future::pending().await,
        }
    }

    /// Closes those that died before a run could take them.
    async fn bury_the_dead(&self) {
        let dead: Vec<_> = {
            let mut ready = self.lock();
            let is_dead = |ready: &mut GuardedBrowser| !ready.browser.is_alive();
            ready.extract_if(.., is_dead).collect()
        };
        for dead in dead {
            Measurement::count("BrowserCrashes", 1).emit();
            tracing::warn!("A browser died before a run could take it");
            dead.browser.close().await;
        }
    }

    /// One that is ready, if the run asks for nothing special.
    async fn take(
        &self,
        settings: &BrowserSettings,
        upstream: Option<Upstream>,
    ) -> Result<GuardedBrowser, NoSession> {
        if *settings == BrowserSettings::default() && upstream.is_none() {
            while let Some(ready) = self.pop() {
                if ready.browser.is_alive() {
                    return Ok(ready);
                }
                Measurement::count("BrowserCrashes", 1).emit();
                tracing::warn!("A browser died before a run could take it");
            }
        }
        self.start(settings, upstream).await
    }

    fn pop(&self) -> Option<GuardedBrowser> {
        let popped = self.lock().pop();
        if popped.is_some() {
            self.taken.notify_one();
        }
        popped
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<GuardedBrowser>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn start(
        &self,
        settings: &BrowserSettings,
        upstream: Option<Upstream>,
    ) -> Result<GuardedBrowser, NoSession> {
        let started = self.try_to_start(settings, upstream).await;
        if started.is_err() {
            Measurement::count("BrowserStartsFailed", 1).emit();
        }
        started
    }

    async fn try_to_start(
        &self,
        settings: &BrowserSettings,
        upstream: Option<Upstream>,
    ) -> Result<GuardedBrowser, NoSession> {
        let proxy = SocksProxy::start_behind(self.allow_addresses, upstream).await?;
        let mut options = LaunchOptions::new(&self.executable, &self.scratch_dir);
        options.socks_proxy = Some(proxy.address());
        options.sandbox = self.sandbox;
        if let Some(viewport) = settings.viewport {
            options.viewport = viewport;
        }
        options.locale.clone_from(&settings.locale);
        options.time_zone.clone_from(&settings.time_zone);
        options.user_agent.clone_from(&settings.user_agent);
        options.extra_headers = settings
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let browser = Browser::launch(&options).await?;
        Ok(GuardedBrowser { browser, proxy })
    }
}
