//! The owner of a run that has no table and no bucket: its artifacts are files, its person sits at the prompt.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use async_trait::async_trait;
use domain::run::SkippedState;
use engine::{Answer, ArtifactBody, Host, Interrupted, NewArtifact, Question, Unreached};
use platform::socks_proxy::Failure;
use runner::Held;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::prompt;
use super::record::Artifact;
use crate::display;

/// Where a run's record and its artifacts are.
pub(super) struct Folder {
    path: PathBuf,
    artifacts: PathBuf,
}

impl Folder {
    /// A new folder, or an empty one: what an earlier run left must not be taken for this one's.
    pub(super) fn make(path: &Path) -> anyhow::Result<Self> {
        let name = path.display();
        let artifacts = path.join("artifacts");
        if std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()) {
            bail!("{name} is not empty; `--out` names another folder");
        }
        std::fs::create_dir_all(&artifacts).with_context(|| format!("{name} can't be made"))?;
        Ok(Self {
            path: path.to_owned(),
            artifacts,
        })
    }

    pub(super) fn write_record(&self, record: &Value) -> anyhow::Result<()> {
        std::fs::write(self.path.join("run.json"), format!("{record:#}\n"))
            .context("the run's record can't be written")
    }

    /// What does for the engine what a run's owner does.
    pub(super) fn host<'r>(
        &self,
        held: &'r dyn Held,
        is_asking: watch::Sender<bool>,
    ) -> FolderHost<'r> {
        FolderHost {
            artifacts: self.artifacts.clone(),
            held,
            is_asking,
            kept: Vec::new(),
            state: None,
        }
    }
}

/// The host of the one run.
pub(super) struct FolderHost<'r> {
    artifacts: PathBuf,
    held: &'r dyn Held,
    /// Whether somebody is being asked: that is not the run's working time.
    is_asking: watch::Sender<bool>,
    kept: Vec<Artifact>,
    state: Option<String>,
}

impl FolderHost<'_> {
    /// What was stored, and the state that was entered last.
    pub(super) fn into_parts(self) -> (Vec<Artifact>, Option<String>) {
        (self.kept, self.state)
    }

    async fn store(&mut self, artifact: NewArtifact) -> std::io::Result<PathBuf> {
        let path = self.artifacts.join(&artifact.name);
        let bytes = match artifact.body {
            ArtifactBody::Bytes(bytes) => bytes,
            ArtifactBody::File(from) => tokio::fs::read(from).await?,
        };
        tokio::fs::write(&path, &bytes).await?;
        self.kept.push(Artifact {
            artifact_type: artifact.artifact_type,
            name: artifact.name,
            content_type: artifact.content_type,
            size_bytes: bytes.len() as u64,
            sha256: hex(&Sha256::digest(&bytes)),
            state_name: artifact.state,
        });
        Ok(path)
    }

    fn failure_of(&self, url: &str) -> Option<Failure> {
        let url = url::Url::parse(url).ok()?;
        // An IPv6 address has brackets in a URL, and none for the proxy.
        let host = url.host_str()?.trim_matches(['[', ']']);
        self.held.failure_of(host, url.port_or_known_default()?)
    }
}

#[async_trait]
impl Host for FolderHost<'_> {
    async fn enter_state(
        &mut self,
        name: &str,
        skipped: Vec<SkippedState>,
    ) -> Result<(), Interrupted> {
        for state in skipped {
            display::note(&format!("  {} (skipped: {})", state.name, state.reason));
        }
        display::note(&format!("  {name}"));
        self.state = Some(name.to_owned());
        Ok(())
    }

    async fn ask_user(
        &mut self,
        question: Question,
        screenshot: Option<NewArtifact>,
    ) -> Result<Answer, Interrupted> {
        if let Some(picture) = screenshot {
            let path = self.store(picture).await.map_err(fault)?;
            display::note(&format!("The page is pictured in {}", path.display()));
        }
        self.is_asking.send_replace(true);
        let answered = tokio::time::timeout(question.timeout, prompt::answers(&question)).await;
        self.is_asking.send_replace(false);
        match answered {
            Ok(Ok(answers)) => Ok(Answer::Given(answers)),
            Ok(Err(error)) => Err(Interrupted::Fault(error.into_boxed_dyn_error())),
            Err(_) => Ok(Answer::TimedOut),
        }
    }

    async fn store_artifact(&mut self, artifact: NewArtifact) -> Result<(), Interrupted> {
        self.store(artifact).await.map(drop).map_err(fault)
    }

    async fn explain_refusal(&mut self, url: &str) -> Option<String> {
        let failure = self.failure_of(url)?;
        failure.is_refusal().then(|| failure.to_string())
    }

    async fn explain_failure(&mut self, url: &str) -> Option<Unreached> {
        self.failure_of(url).map(|failure| Unreached {
            reason: failure.to_string(),
            is_lasting: failure.is_lasting(),
        })
    }
}

fn fault(error: std::io::Error) -> Interrupted {
    Interrupted::Fault(Box::new(error))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
