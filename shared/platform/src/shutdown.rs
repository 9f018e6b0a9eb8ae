//! The wish to stop: SIGTERM from an orchestrator, or SIGINT from a person's Ctrl-C.
//!
//! It only tells; what to finish and what to give back is for whoever listens.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Listens for signals for as long as it lives. Keep it in `main`.
#[derive(Debug)]
pub struct Shutdown {
    token: CancellationToken,
    /// Ends with its owner.
    _listener: JoinSet<()>,
}

impl Shutdown {
    /// Starts to listen. From here on, SIGTERM and SIGINT no longer end the process by themselves.
    ///
    /// # Errors
    /// When the system refuses to install a signal handler.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn on_signals() -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let token = CancellationToken::new();
        let mut listener = JoinSet::new();
        listener.spawn({
            let token = token.clone();
            async move {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                tracing::info!(signal = name, "Was asked to stop");
                token.cancel();
            }
        });
        Ok(Self {
            token,
            _listener: listener,
        })
    }

    /// The token that is cancelled when the first signal arrives. Tokens outlive the listener, but
    /// are no longer cancelled then.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    // One test, because a signal reaches every listener of the process.
    #[tokio::test]
    async fn both_signals_cancel_the_token() {
        for wanted in [Signal::TERM, Signal::INT] {
            let shutdown = Shutdown::on_signals().expect("a signal handler");
            assert!(!shutdown.token().is_cancelled());
            kill_process(getpid(), wanted).expect("a signal to ourselves");
            shutdown.token().cancelled().await;
        }
    }
}
