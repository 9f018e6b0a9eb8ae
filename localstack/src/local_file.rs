//! `.legwork/local.json`: where everything is while the stack runs. It appears whole when everything is ready, and
//! goes when the stack stops.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// Where everything is. docs/local-stack.md describes each field.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalFile {
    /// The process that runs the stack.
    pub pid: u32,
    /// The API.
    pub api_url: String,
    /// An admin's key.
    pub api_key: String,
    /// A viewer's key of the same organization.
    pub viewer_api_key: String,
    /// An admin's key of another organization.
    pub second_org_api_key: String,
    /// The emulator, or what `AWS_ENDPOINT_URL` named.
    pub aws_endpoint_url: String,
    /// The region.
    pub aws_region: String,
    /// Credentials for it.
    pub aws_access_key_id: String,
    /// Credentials for it.
    pub aws_secret_access_key: String,
    /// The table.
    pub table_name: String,
    /// The queue of runs.
    pub run_queue_url: String,
    /// The queue of webhook deliveries.
    pub delivery_queue_url: String,
    /// The bucket of artifacts.
    pub artifact_bucket: String,
    /// The practice site.
    pub practice_site_url: String,
    /// What receives webhooks; `GET /received` lists them.
    pub webhook_receiver_url: String,
    /// The runners' processes.
    pub worker_pids: Vec<u32>,
}

/// The file while it is there. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Published {
    path: PathBuf,
    content: LocalFile,
}

impl LocalFile {
    /// Where it is in a project's folder.
    #[must_use]
    pub fn path(project_dir: &Path) -> PathBuf {
        project_dir.join(".legwork/local.json")
    }

    /// Reads what a running stack has written.
    ///
    /// # Errors
    /// When no stack runs in this folder.
    pub fn read(project_dir: &Path) -> anyhow::Result<Self> {
        let path = Self::path(project_dir);
        let text = fs::read(&path).with_context(|| {
            format!(
                "no stack runs here: {} is missing; start one with `cargo run -- up`",
                path.display()
            )
        })?;
        serde_json::from_slice(&text).with_context(|| format!("{} can't be read", path.display()))
    }
}

impl Published {
    pub(crate) fn publish(project_dir: &Path, content: LocalFile) -> anyhow::Result<Self> {
        let published = Self {
            path: LocalFile::path(project_dir),
            content,
        };
        published.write()?;
        Ok(published)
    }

    /// Removes the file of a stack that was killed, so that whoever waits for this stack's does not read that.
    pub(crate) fn remove_stale(project_dir: &Path) {
        // There is none, as a rule.
        let _ = fs::remove_file(LocalFile::path(project_dir));
    }

    pub(crate) fn content(&self) -> &LocalFile {
        &self.content
    }

    pub(crate) fn set_worker_pids(&mut self, pids: Vec<u32>) -> anyhow::Result<()> {
        self.content.worker_pids = pids;
        self.write()
    }

    /// Writes it beside and renames it, so that a reader finds it whole or not at all. It holds keys, so only its
    /// owner may read it.
    fn write(&self) -> anyhow::Result<()> {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;
        let beside = self.path.with_extension("json.new");
        let failed = || format!("{} can't be written", self.path.display());
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)
            .with_context(failed)?;
        file.write_all(&serde_json::to_vec_pretty(&self.content)?)
            .with_context(failed)?;
        fs::rename(&beside, &self.path).with_context(failed)
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        // Nobody can be told at this point; a file that stays names a process that is gone.
        let _ = fs::remove_file(&self.path);
    }
}
