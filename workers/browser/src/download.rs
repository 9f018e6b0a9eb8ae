//! Downloads: each goes into the browser's own folder under a name of the browser's own making.
//!
//! A waiter is made before the action that starts the download, so that none can be missed. What
//! nobody waits for is kept until the browser goes, and never opened.

use std::collections::{HashMap, VecDeque};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{Either, pending, select};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::Error;
use crate::deadline::Deadline;
use crate::target::Target;

/// A finished download.
#[derive(Clone, Debug)]
pub struct Download {
    /// Where the bytes are; the file goes away with the browser.
    pub path: PathBuf,
    /// The name that the site suggests. It is the site's: don't use it as a path.
    pub suggested_file_name: String,
    /// Where it came from.
    pub url: String,
    /// How many bytes it has.
    pub size_bytes: u64,
    /// The SHA-256 of the bytes, in hexadecimal.
    pub sha256: String,
}

/// All downloads of one browser.
pub(crate) struct Downloads {
    folder: PathBuf,
    /// How large one may be: a site that never stops sending must not fill the disk. The protocol
    /// counts in floating point.
    largest_bytes: f64,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    last_waiter: u64,
    /// Waiters that have no download yet, in the order in which they were made.
    waiters: VecDeque<u64>,
    /// Which download each waiter got.
    taken: HashMap<u64, String>,
    begun: HashMap<String, Progress>,
    closed: bool,
}

#[derive(Clone)]
struct Progress {
    url: String,
    suggested_file_name: String,
    /// Whether it is given up for that.
    is_too_large: bool,
    outcome: Option<Outcome>,
}

#[derive(Clone, Copy)]
enum Outcome {
    Completed,
    Canceled,
}

impl Downloads {
    pub(crate) fn new(folder: PathBuf, largest_bytes: u64) -> Self {
        Self {
            folder,
            #[expect(clippy::cast_precision_loss, reason = "a limit needs no last digit")]
            largest_bytes: largest_bytes as f64,
            state: Mutex::default(),
            changed: watch::Sender::default(),
        }
    }

    /// Registers somebody who waits for the next download.
    pub(crate) fn expect(self: &Arc<Self>, page: Arc<Target>) -> DownloadWaiter {
        let mut state = self.state();
        state.last_waiter += 1;
        let id = state.last_waiter;
        state.waiters.push_back(id);
        DownloadWaiter {
            downloads: Arc::clone(self),
            page,
            id,
        }
    }

    /// `Browser.downloadWillBegin`.
    pub(crate) fn begin(&self, params: &Value) {
        let text = |name: &str| params[name].as_str().unwrap_or_default().to_owned();
        let mut state = self.state();
        let guid = text("guid");
        if let Some(waiter) = state.waiters.pop_front() {
            state.taken.insert(waiter, guid.clone());
        }
        state.begun.insert(
            guid,
            Progress {
                url: text("url"),
                suggested_file_name: text("suggestedFilename"),
                is_too_large: false,
                outcome: None,
            },
        );
        drop(state);
        self.changed.send_replace(());
    }

    /// `Browser.downloadProgress`. Says whether the browser is to give this download up.
    #[must_use]
    pub(crate) fn progress(&self, params: &Value) -> bool {
        let guid = params["guid"].as_str().unwrap_or_default();
        let mut state = self.state();
        let Some(progress) = state.begun.get_mut(guid) else {
            return false;
        };
        match params["state"].as_str() {
            Some("completed") => progress.outcome = Some(Outcome::Completed),
            Some("canceled") => progress.outcome = Some(Outcome::Canceled),
            _ => {
                let received = params["receivedBytes"].as_f64().unwrap_or_default();
                let was_too_large = progress.is_too_large;
                progress.is_too_large = received > self.largest_bytes;
                return progress.is_too_large && !was_too_large;
            }
        }
        drop(state);
        self.changed.send_replace(());
        false
    }

    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.changed.send_replace(());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for one download that an action is about to start.
pub struct DownloadWaiter {
    downloads: Arc<Downloads>,
    /// Whose action is to start it.
    page: Arc<Target>,
    id: u64,
}

impl DownloadWaiter {
    /// Waits until the download is complete.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] says whether none began or one did not end; [`Error::Download`] that it
    /// was canceled, is too large or has no bytes; [`Error::Crashed`] that the page crashed before
    /// one began; [`Error::Closed`] that the browser has gone.
    pub async fn wait(self, timeout: Duration) -> Result<Download, Error> {
        let deadline = Deadline::after(timeout);
        let mut changes = self.downloads.changed.subscribe();
        loop {
            changes.mark_unchanged();
            let begun = {
                let state = self.downloads.state();
                let begun = state.taken.get(&self.id).cloned();
                let begun = begun.and_then(|guid| Some((state.begun.get(&guid)?.clone(), guid)));
                if state.closed {
                    return Err(Error::Closed);
                }
                begun
            };
            match &begun {
                Some((progress, guid)) if progress.outcome.is_some() => {
                    return self.finish(progress, guid).await;
                }
                _ => {}
            }
            let has_begun = begun.is_some();
            let trouble = async {
                if has_begun {
                    // What has begun goes on without its page.
                    pending::<()>().await;
                }
                self.page.trouble().await
            };
            let (changed, trouble) = (pin!(changes.changed()), pin!(trouble));
            let news = select(changed, trouble);
            let news = tokio::time::timeout_at(deadline.at(), news).await;
            if let Ok(Either::Right((trouble, _))) = news {
                return Err(trouble);
            }
            if news.is_err() {
                return Err(Error::TimedOut {
                    awaited: "a download".to_owned(),
                    after: deadline.allowed(),
                    found: match begun {
                        None => "none began".to_owned(),
                        Some((progress, _)) => {
                            format!("{:?} began and did not end", progress.suggested_file_name)
                        }
                    },
                });
            }
        }
    }

    async fn finish(&self, progress: &Progress, guid: &str) -> Result<Download, Error> {
        let name = &progress.suggested_file_name;
        match progress.outcome {
            Some(Outcome::Canceled) if progress.is_too_large => {
                let most = self.downloads.largest_bytes;
                let reason = format!(
                    "{name:?} is larger than {most} bytes, which is the most that is taken"
                );
                return Err(Error::Download { reason });
            }
            Some(Outcome::Canceled) => {
                let reason = format!("{name:?} was canceled");
                return Err(Error::Download { reason });
            }
            Some(Outcome::Completed) | None => {}
        }
        let path = self.downloads.folder.join(guid);
        let file = path.clone();
        let read = tokio::task::spawn_blocking(move || digest(&file)).await;
        let (size_bytes, sha256) = match read.map_err(std::io::Error::other).flatten() {
            Ok(read) => read,
            Err(error) => {
                let reason = format!("{name:?}: {error}");
                return Err(Error::Download { reason });
            }
        };
        Ok(Download {
            path,
            suggested_file_name: name.clone(),
            url: progress.url.clone(),
            size_bytes,
            sha256,
        })
    }
}

/// The length and the SHA-256 of a file.
fn digest(path: &Path) -> std::io::Result<(u64, String)> {
    let mut file = std::fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut size = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        size += read as u64;
    }
    let hex = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok((size, hex))
}

impl Drop for DownloadWaiter {
    fn drop(&mut self) {
        let mut state = self.downloads.state();
        state.waiters.retain(|waiter| *waiter != self.id);
        state.taken.remove(&self.id);
    }
}
