//! Browsers, each a process of its own with a guarded proxy of its own, some started ahead so that a run does not
//! wait for a start. A browser serves one run and is never given to another.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use browser::{Browser, LaunchOptions};
use domain::definition::BrowserSettings;
use platform::addresses::AllowAddresses;
use platform::socks_proxy::SocksProxy;
use tokio::sync::Notify;

/// How long to wait after a browser failed to start, before the next one is started ahead.
const START_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// A browser with the proxy through which all of its traffic goes.
pub(crate) struct GuardedBrowser {
    pub(crate) browser: Browser,
    pub(crate) proxy: SocksProxy,
}

/// Why there is no browser.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoBrowser {
    #[error("the browser did not start")]
    Browser(#[from] browser::Error),
    #[error("the guarded proxy did not start")]
    Proxy(#[from] std::io::Error),
}

/// The browsers that are ready.
pub(crate) struct Browsers {
    executable: PathBuf,
    scratch_dir: PathBuf,
    size: usize,
    allow_addresses: AllowAddresses,
    ready: Mutex<Vec<GuardedBrowser>>,
    taken: Notify,
}

impl Browsers {
    pub(crate) fn new(
        executable: PathBuf,
        scratch_dir: PathBuf,
        size: u32,
        allow_addresses: AllowAddresses,
    ) -> Self {
        Self {
            executable,
            scratch_dir,
            size: size as usize,
            allow_addresses,
            ready: Mutex::new(Vec::new()),
            taken: Notify::new(),
        }
    }

    /// Starts browsers ahead, whenever there are too few.
    pub(crate) async fn keep_ready(&self) {
        loop {
            if self.lock().len() >= self.size {
                self.taken.notified().await;
                continue;
            }
            match self.start(&BrowserSettings::default()).await {
                Ok(started) => self.lock().push(started),
                Err(error) => {
                    let error = format!("{:#}", anyhow::Error::from(error));
                    tracing::error!(error, "No browser could be started ahead");
                    tokio::time::sleep(START_AGAIN_AFTER).await;
                }
            }
        }
    }

    /// A browser for one run: one that is ready, if the run asks for nothing special.
    pub(crate) async fn take(
        &self,
        settings: &BrowserSettings,
    ) -> Result<GuardedBrowser, NoBrowser> {
        if *settings == BrowserSettings::default() {
            while let Some(ready) = self.pop() {
                if ready.browser.is_alive() {
                    return Ok(ready);
                }
                tracing::warn!("A browser died before a run could take it");
            }
        }
        self.start(settings).await
    }

    /// Closes those that nobody took.
    pub(crate) async fn close(&self) {
        while let Some(ready) = self.pop() {
            ready.browser.close().await;
        }
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

    async fn start(&self, settings: &BrowserSettings) -> Result<GuardedBrowser, NoBrowser> {
        let proxy = SocksProxy::start(self.allow_addresses).await?;
        let mut options = LaunchOptions::new(&self.executable, &self.scratch_dir);
        options.socks_proxy = Some(proxy.address());
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
