//! Artifacts: bytes in the bucket, then an item beside the run. An item is only there when its bytes are.

use std::path::PathBuf;
use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use domain::run::Run;
use domain::wire::ArtifactType;
use domain::{ArtifactId, OrganizationId, RunId, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

use crate::idempotency::hex;
use crate::item::{decode, encode};
use crate::lists::Between;
use crate::pages::Span;
use crate::run_item::decode_run;
use crate::{Page, PageSize, Result, Store, StoreError, TimeWindow, keys, now};

/// What a run produced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Its id.
    pub id: ArtifactId,
    /// The run that produced it.
    pub run_id: RunId,
    /// The tenant.
    pub organization_id: OrganizationId,
    /// The attempt that produced it.
    pub attempt: u32,
    /// What it is.
    pub artifact_type: ArtifactType,
    /// Its file name, unique in the run.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// Its length.
    pub size_bytes: u64,
    /// Its hash, in hexadecimal.
    pub sha256: String,
    /// The state that produced it.
    pub state_name: Option<String>,
    /// When it was stored.
    pub created_at: Timestamp,
    object_key: String,
}

/// An artifact to be stored.
#[derive(Debug)]
pub struct NewArtifact {
    /// Its id. The same one for every try, so that a try whose answer got lost leaves no second artifact.
    pub id: ArtifactId,
    /// What it is.
    pub artifact_type: ArtifactType,
    /// Its file name.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// Its bytes.
    pub body: ArtifactBody,
    /// The state that produced it.
    pub state_name: Option<String>,
}

/// Where an artifact's bytes are.
#[derive(Debug)]
pub enum ArtifactBody {
    /// In memory.
    Bytes(Vec<u8>),
    /// In a file, which is read in pieces.
    File(PathBuf),
}

/// A URL that anybody may read for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresignedUrl {
    /// The URL.
    pub url: String,
    /// Until when it works.
    pub expires_at: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactItem {
    id: ArtifactId,
    run_id: RunId,
    organization_id: OrganizationId,
    attempt: u32,
    artifact_type: ArtifactType,
    name: String,
    content_type: String,
    size_bytes: u64,
    sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state_name: Option<String>,
    created_at: i64,
    object_key: String,
}

/// Where an artifact is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PointerItem {
    run_id: RunId,
}

impl Store {
    /// Stores an artifact of a run's attempt: the bytes first, then the item.
    ///
    /// # Errors
    /// [`StoreError`]; readers then see nothing of it.
    pub async fn put_artifact(
        &self,
        run: &Run,
        attempt: u32,
        new: NewArtifact,
    ) -> Result<Artifact> {
        let id = new.id;
        let object_key = keys::artifact_object(run, attempt, id);
        let (size_bytes, sha256, body) = match new.body {
            ArtifactBody::Bytes(bytes) => (
                bytes.len() as u64,
                hex(&Sha256::digest(&bytes)),
                ByteStream::from(bytes),
            ),
            ArtifactBody::File(path) => {
                let unreadable = |error: std::io::Error| StoreError::Corrupt {
                    what: format!("the file of artifact {}", new.name),
                    reason: error.to_string(),
                };
                let (size_bytes, sha256) = hash_file(&path).await.map_err(unreadable)?;
                let body =
                    ByteStream::from_path(&path)
                        .await
                        .map_err(|error| StoreError::Corrupt {
                            what: new.name.clone(),
                            reason: error.to_string(),
                        })?;
                (size_bytes, sha256, body)
            }
        };
        self.put_object(&object_key, &new.content_type, body)
            .await?;
        let created_at = now();
        let item = ArtifactItem {
            id,
            run_id: run.id,
            organization_id: run.organization_id,
            attempt,
            artifact_type: new.artifact_type,
            name: new.name,
            content_type: new.content_type,
            size_bytes,
            sha256,
            state_name: new.state_name,
            created_at: created_at.as_millis(),
            object_key,
        };
        // The pointer first: an artifact that can be seen can be found by its id, and a pointer to nothing shows nothing.
        let pointer = PointerItem { run_id: run.id };
        self.put(encode(&keys::artifact_pointer(id), pointer)?)
            .await?;
        self.put(encode(&keys::artifact(run.id, id), &item)?)
            .await?;
        Ok(Artifact::from(item))
    }

    pub(crate) async fn put_object(
        &self,
        key: &str,
        content_type: &str,
        body: ByteStream,
    ) -> Result<()> {
        self.s3
            .put_object()
            .bucket(self.bucket()?)
            .key(key)
            .content_type(content_type)
            .body(body)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("PutObject", &error))?;
        Ok(())
    }

    /// The bytes of an object; none if it is not there, which S3 tells only those that may list the bucket.
    pub(crate) async fn get_object(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let answer = self
            .s3
            .get_object()
            .bucket(self.bucket()?)
            .key(key)
            .send()
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                return match error.as_service_error() {
                    Some(refusal) if refusal.is_no_such_key() => Ok(None),
                    _ => Err(StoreError::from_sdk("GetObject", &error)),
                };
            }
        };
        let bytes = answer
            .body
            .collect()
            .await
            .map_err(|error| StoreError::Busy {
                operation: "GetObject",
                reason: error.to_string(),
            })?;
        Ok(Some(bytes.to_vec()))
    }

    /// A page of what a run has produced, newest first, from what is older than `after`. What an attempt wrote after it
    /// had ended is left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_artifacts(
        &self,
        run: &Run,
        after: Option<ArtifactId>,
        size: PageSize,
    ) -> Result<Page<Artifact, ArtifactId>> {
        let after = after.map(|id| id.as_uuid());
        let Some(span) = Span::older_than(after, TimeWindow::default()) else {
            return Ok(Page::empty());
        };
        let span = span.behind(keys::ARTIFACT_PREFIX);
        let found: Vec<ArtifactItem> = self
            .items_between(
                &keys::run_partition(run.id),
                Between::descending(&span),
                size,
            )
            .await?;
        let page = Page::cut(found, size, |item| item.id);
        Ok(page.show(|item| shown(run, item)))
    }

    /// Finds an artifact for a caller by its id alone: another tenant's artifact is none, and neither is what its run's
    /// list leaves out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn artifact_of(
        &self,
        organization_id: OrganizationId,
        id: ArtifactId,
    ) -> Result<Option<Artifact>> {
        let Some(PointerItem { run_id }) = self.get(&keys::artifact_pointer(id)).await? else {
            return Ok(None);
        };
        let (run, artifact) = (keys::run(run_id), keys::artifact(run_id, id));
        let mut items = self.batch_get([&run, &artifact].into_iter()).await?;
        let (Some(run), Some(artifact)) = (items.remove(&run), items.remove(&artifact)) else {
            return Ok(None);
        };
        let run = decode_run(run)?;
        if run.organization_id != organization_id {
            return Ok(None);
        }
        Ok(shown(&run, decode(artifact)?))
    }

    /// Makes a URL that reads an artifact's bytes for a while, under its own name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn presign_artifact(
        &self,
        artifact: &Artifact,
        valid_for: Duration,
    ) -> Result<PresignedUrl> {
        let fault = |reason: String| StoreError::Fault {
            operation: "presigning GetObject",
            reason,
        };
        let presigning =
            PresigningConfig::expires_in(valid_for).map_err(|error| fault(error.to_string()))?;
        let expires_at = now().plus(valid_for);
        let request = self
            .s3
            .get_object()
            .bucket(self.bucket()?)
            .key(&artifact.object_key)
            .response_content_type(&artifact.content_type)
            .response_content_disposition(content_disposition(&artifact.name))
            .presigned(presigning)
            .await
            .map_err(|error| fault(error.to_string()))?;
        Ok(PresignedUrl {
            url: request.uri().to_owned(),
            expires_at,
        })
    }
}

/// What an attempt wrote after it had ended is nothing.
fn shown(run: &Run, item: ArtifactItem) -> Option<Artifact> {
    let artifact = Artifact::from(item);
    run.shows_artifact_of(artifact.attempt, artifact.created_at)
        .then_some(artifact)
}

/// RFC 6266: the name as it is for clients that know RFC 8187, and a plain one for those that don't.
fn content_disposition(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "._- ".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    let encoded: String = name
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

async fn hash_file(path: &std::path::Path) -> std::io::Result<(u64, String)> {
    let mut file = tokio::fs::File::open(path).await?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut size = 0;
    loop {
        let read = file.read(&mut buffer).await?;
        if read == 0 {
            return Ok((size, hex(&hash.finalize())));
        }
        size += read as u64;
        hash.update(&buffer[..read]);
    }
}

impl From<ArtifactItem> for Artifact {
    fn from(item: ArtifactItem) -> Self {
        Self {
            id: item.id,
            run_id: item.run_id,
            organization_id: item.organization_id,
            attempt: item.attempt,
            artifact_type: item.artifact_type,
            name: item.name,
            content_type: item.content_type,
            size_bytes: item.size_bytes,
            sha256: item.sha256,
            state_name: item.state_name,
            created_at: Timestamp::from_millis(item.created_at),
            object_key: item.object_key,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::content_disposition;

    #[test]
    fn a_download_keeps_its_name_and_cannot_add_a_header() {
        assert_eq!(
            content_disposition("Gehälter \"Mai\"\r\n.csv"),
            "attachment; filename=\"Geh_lter _Mai___.csv\"; filename*=UTF-8''Geh%C3%A4lter%20%22Mai%22%0D%0A.csv"
        );
    }
}
