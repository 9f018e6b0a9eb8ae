//! Downloads: each goes into the browser's own folder under a name of the browser's own making.
//!
//! A waiter is made before the action that starts the download, so that none can be missed. What
//! nobody waits for is kept until the browser goes, and never opened.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use crate::Error;
use crate::deadline::Deadline;

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
}

/// All downloads of one browser.
pub(crate) struct Downloads {
    folder: PathBuf,
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
    outcome: Option<Outcome>,
}

#[derive(Clone, Copy)]
enum Outcome {
    Completed,
    Canceled,
    TooLarge,
}

/// How large a download may be: a site that never stops sending must not fill the disk.
const LARGEST_BYTES: f64 = 1024.0 * 1024.0 * 1024.0;

impl Downloads {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            state: Mutex::default(),
            changed: watch::Sender::default(),
        }
    }

    /// Registers somebody who waits for the next download.
    pub(crate) fn expect(self: &Arc<Self>) -> DownloadWaiter {
        let mut state = self.state();
        state.last_waiter += 1;
        let id = state.last_waiter;
        state.waiters.push_back(id);
        DownloadWaiter {
            downloads: Arc::clone(self),
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
                outcome: None,
            },
        );
        drop(state);
        self.changed.send_replace(());
    }

    /// `Browser.downloadProgress`.
    pub(crate) fn progress(&self, params: &Value) {
        let outcome = match params["state"].as_str() {
            Some("completed") => Outcome::Completed,
            Some("canceled") => Outcome::Canceled,
            _ if params["receivedBytes"]
                .as_f64()
                .is_some_and(|bytes| bytes > LARGEST_BYTES) =>
            {
                Outcome::TooLarge
            }
            _ => return,
        };
        let guid = params["guid"].as_str().unwrap_or_default();
        if let Some(progress) = self.state().begun.get_mut(guid) {
            progress.outcome = Some(outcome);
        }
        self.changed.send_replace(());
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
    id: u64,
}

impl DownloadWaiter {
    /// Waits until the download is complete.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] says whether none began or one did not end; [`Error::Download`] that it
    /// was canceled or has no bytes; [`Error::Closed`] that the browser has gone.
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
            if tokio::time::timeout_at(deadline.at(), changes.changed())
                .await
                .is_err()
            {
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
            Some(Outcome::Canceled) => {
                let reason = format!("{name:?} was canceled");
                return Err(Error::Download { reason });
            }
            Some(Outcome::TooLarge) => {
                let reason =
                    format!("{name:?} is larger than 1 GiB, which is the most that is taken");
                return Err(Error::Download { reason });
            }
            Some(Outcome::Completed) | None => {}
        }
        let path = self.downloads.folder.join(guid);
        let size_bytes = match tokio::fs::metadata(&path).await {
            Ok(file) => file.len(),
            Err(error) => {
                return Err(Error::Download {
                    reason: format!("{:?}: {error}", progress.suggested_file_name),
                });
            }
        };
        Ok(Download {
            path,
            suggested_file_name: progress.suggested_file_name.clone(),
            url: progress.url.clone(),
            size_bytes,
        })
    }
}

impl Drop for DownloadWaiter {
    fn drop(&mut self) {
        let mut state = self.downloads.state();
        state.waiters.retain(|waiter| *waiter != self.id);
        state.taken.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_download_that_never_stops_is_given_up_while_it_still_comes() {
        let downloads = Arc::new(Downloads::new(PathBuf::new()));
        let waiter = downloads.expect();
        downloads.begin(&json!({ "guid": "g", "suggestedFilename": "endless.bin" }));
        let progress =
            |bytes: u64| json!({ "guid": "g", "state": "inProgress", "receivedBytes": bytes });
        downloads.progress(&progress(1 << 20));
        downloads.progress(&progress(1 << 31));
        let error = waiter
            .wait(Duration::from_secs(60))
            .await
            .expect_err("it is too large");
        assert!(error.to_string().contains("1 GiB"), "{error}");
    }
}
