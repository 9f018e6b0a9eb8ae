//! Where a runner's browser sessions come from. The runner has Chromium's ([`crate::chromium`]); tests that are about
//! runs, and not about pages, bring sessions that follow a script.

use async_trait::async_trait;
use domain::definition::BrowserSettings;
use platform::socks_proxy::Failure;
use platform::upstream::Upstream;

/// A source of sessions.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Keeps sessions ready, so that a run does not wait for a start; never returns.
    async fn keep_ready(&self);

    /// A session that no run has had, whose connections go through the upstream proxy if there is one.
    async fn open(
        &self,
        settings: &BrowserSettings,
        upstream: Option<Upstream>,
    ) -> Result<Session, NoSession>;

    /// Closes the sessions that nobody took.
    async fn close(&self);
}

/// A browser for one run, with whatever keeps it alive. Dropping it ends it.
pub struct Session {
    /// What the engine drives.
    pub browser: Box<dyn engine::Browser>,
    /// What stands behind it.
    pub held: Box<dyn Held>,
}

/// What stands behind a session's browser: its process, and the guard of its traffic.
#[async_trait]
pub trait Held: Send + Sync {
    /// Why a connection of the browser did not come about, if the guard knows.
    fn failure_of(&self, host: &str, port: u16) -> Option<Failure>;

    /// Ends it, so that nothing of it is left.
    async fn close(self: Box<Self>);
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum NoSession {
    /// The browser, or its first page.
    #[error("the browser did not start")]
    Browser(#[from] browser::Error),
    /// The guard of its traffic.
    #[error("the guarded proxy did not start")]
    Proxy(#[from] std::io::Error),
}
