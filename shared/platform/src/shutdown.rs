//! The wish to stop: SIGTERM from an orchestrator, or SIGINT from a person's Ctrl-C. And the milder wish to take nothing
//! new, and to stop when all that was begun has ended: SIGUSR1.
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
    drain: CancellationToken,
    /// Ends with its owner.
    _listener: JoinSet<()>,
}

impl Shutdown {
    /// Starts to listen. From here on, SIGTERM, SIGINT and SIGUSR1 no longer end the process by themselves.
    ///
    /// # Errors
    /// When the system refuses to install a signal handler.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn on_signals() -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut user = signal(SignalKind::user_defined1())?;
        let token = CancellationToken::new();
        let drain = token.child_token();
        let mut listener = JoinSet::new();
        listener.spawn({
            let (token, drain) = (token.clone(), drain.clone());
            async move {
                loop {
                    let name = tokio::select! {
                        _ = terminate.recv() => "SIGTERM",
                        _ = interrupt.recv() => "SIGINT",
                        _ = user.recv() => {
                            tracing::info!(signal = "SIGUSR1", "Was asked to drain");
                            drain.cancel();
                            continue;
                        }
                    };
                    tracing::info!(signal = name, "Was asked to stop");
                    token.cancel();
                    return;
                }
            }
        });
        Ok(Self {
            token,
            drain,
            _listener: listener,
        })
    }

    /// The token that is cancelled when SIGUSR1 arrives, or the wish to stop.
    #[must_use]
    pub fn drain_token(&self) -> CancellationToken {
        self.drain.clone()
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
    async fn each_signal_says_what_it_should() {
        for wanted in [Signal::TERM, Signal::INT] {
            let shutdown = Shutdown::on_signals().expect("a signal handler");
            assert!(!shutdown.token().is_cancelled());
            kill_process(getpid(), wanted).expect("a signal to ourselves");
            shutdown.token().cancelled().await;
            assert!(shutdown.drain_token().is_cancelled());
        }
        let shutdown = Shutdown::on_signals().expect("a signal handler");
        kill_process(getpid(), Signal::USR1).expect("a signal to ourselves");
        shutdown.drain_token().cancelled().await;
        assert!(!shutdown.token().is_cancelled());
        kill_process(getpid(), Signal::TERM).expect("a signal to ourselves");
        shutdown.token().cancelled().await;
    }
}
