//! A process of the service, behind its proxy.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use anyhow::Context;
use rustix::process::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use crate::chaos::proxy::Proxy;
use crate::chaos::roles::Role;

/// A process that plays a part. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// While this is open, the process goes on.
    _stdin: Option<ChildStdin>,
    /// Where an API serves.
    pub(crate) url: Option<String>,
}

impl Process {
    /// Starts a part of the service that reaches AWS through `proxy` alone. Its log is appended to a file.
    pub(crate) async fn start(
        role: &Role,
        settings: &[(String, String)],
        proxy: &Proxy,
        log_file: &PathBuf,
    ) -> anyhow::Result<Self> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log_file)
            .with_context(|| format!("{} can't be written", log_file.display()))?;
        proxy.await_client();
        let mut child = Command::new(std::env::current_exe()?)
            .args(role.arguments())
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .env("AWS_ENDPOINT_URL", proxy.url())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("a part of the service did not start")?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        proxy.client_is(pid.context("a process that was just started has an id")?);
        let stdin = child.stdin.take();
        let url = match role {
            Role::Api => {
                let stdout = child.stdout.take().context("the output is piped")?;
                let line = BufReader::new(stdout).lines().next_line().await?;
                Some(line.context("the API ended before it served")?)
            }
            _ => None,
        };
        Ok(Self {
            child,
            _stdin: stdin,
            url,
        })
    }

    /// Its id, while it lives.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for its end, by whatever cause.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        Ok(self.child.wait().await?)
    }
}
