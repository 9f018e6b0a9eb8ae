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
    /// Where the bytes are; the file goes away with the browser, or by
    /// [`Page::discard`](crate::Page::discard).
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

/// The part of a browser's folder in which they are.
pub(crate) const FOLDER: &str = "downloads";

/// All downloads of one browser.
pub(crate) struct Downloads {
    browser_folder: PathBuf,
    /// How large one may be, and all together: a site that never stops sending must not fill the
    /// disk. The protocol counts in floating point.
    most_bytes: f64,
    most_bytes_together: f64,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    last_waiter: u64,
    /// Waiters that have no download yet, in the order in which they were made, with whose action
    /// is to start it.
    waiters: VecDeque<(u64, Arc<Target>)>,
    /// Which download each waiter got.
    taken: HashMap<u64, String>,
    begun: HashMap<String, Progress>,
    closed: bool,
}

#[derive(Clone)]
struct Progress {
    url: String,
    suggested_file_name: String,
    received_bytes: f64,
    /// Why it is given up, if it is.
    excess: Option<String>,
    outcome: Option<Outcome>,
}

#[derive(Clone, Copy)]
enum Outcome {
    Completed,
    Canceled,
}

impl State {
    /// How much has come of all downloads but this one.
    fn received_beside(&self, guid: &str) -> f64 {
        let others = self.begun.iter().filter(|(other, _)| *other != guid);
        others.map(|(_, progress)| progress.received_bytes).sum()
    }
}

impl Downloads {
    #[expect(clippy::cast_precision_loss, reason = "a limit needs no last digit")]
    pub(crate) fn new(browser_folder: PathBuf, most_bytes: u64, most_bytes_together: u64) -> Self {
        Self {
            browser_folder,
            most_bytes: most_bytes as f64,
            most_bytes_together: most_bytes_together as f64,
            state: Mutex::default(),
            changed: watch::Sender::default(),
        }
    }

    pub(crate) fn browser_folder(&self) -> &Path {
        &self.browser_folder
    }

    /// Registers somebody who waits for the next download.
    pub(crate) fn expect(self: &Arc<Self>, page: Arc<Target>) -> DownloadWaiter {
        let mut state = self.state();
        state.last_waiter += 1;
        let id = state.last_waiter;
        state.waiters.push_back((id, Arc::clone(&page)));
        DownloadWaiter {
            downloads: Arc::clone(self),
            page,
            id,
        }
    }

    /// `Browser.downloadWillBegin`, with who may have caused it. Says whether the browser is to give
    /// this download up: one that nobody waits for would only fill the disk.
    #[must_use]
    pub(crate) fn begin(&self, params: &Value, may_be_of: impl Fn(&Target) -> bool) -> bool {
        let text = |name: &str| params[name].as_str().unwrap_or_default().to_owned();
        let mut state = self.state();
        let awaited = state.waiters.iter().position(|(_, page)| may_be_of(page));
        let Some((waiter, _)) = awaited.and_then(|at| state.waiters.remove(at)) else {
            return true;
        };
        let guid = text("guid");
        state.taken.insert(waiter, guid.clone());
        state.begun.insert(
            guid,
            Progress {
                url: text("url"),
                suggested_file_name: text("suggestedFilename"),
                received_bytes: 0.0,
                excess: None,
                outcome: None,
            },
        );
        drop(state);
        self.changed.send_replace(());
        false
    }

    /// `Browser.downloadProgress`. Says whether the browser is to give this download up.
    #[must_use]
    pub(crate) fn progress(&self, params: &Value) -> bool {
        let guid = params["guid"].as_str().unwrap_or_default();
        let received = params["receivedBytes"].as_f64().unwrap_or_default();
        let is_complete = params["state"] == "completed";
        let mut state = self.state();
        let beside = state.received_beside(guid);
        let Some(progress) = state.begun.get_mut(guid) else {
            if is_complete {
                self.remove(guid);
            }
            return false;
        };
        progress.received_bytes = received;
        let is_new = progress.excess.is_none();
        if is_new {
            progress.excess = self.excess(received, beside);
        }
        let is_given_up = progress.excess.is_some();
        if is_complete && !is_given_up {
            progress.outcome = Some(Outcome::Completed);
        } else if is_complete || params["state"] == "canceled" {
            progress.received_bytes = 0.0;
            progress.outcome = Some(Outcome::Canceled);
        } else {
            return is_given_up && is_new;
        }
        drop(state);
        if is_complete && is_given_up {
            self.remove(guid);
        }
        self.changed.send_replace(());
        false
    }

    /// Removes what came of a download that was complete before the browser could give it up.
    fn remove(&self, guid: &str) {
        let path = self.browser_folder.join(FOLDER).join(guid);
        if let Err(error) = std::fs::remove_file(path) {
            tracing::warn!(%error, "a download that nobody wants could not be removed");
        }
    }

    /// Takes a finished download off the disk, and off what all of them may have together.
    pub(crate) fn discard(&self, download: &Download) {
        let guid = download.path.file_name().and_then(|name| name.to_str());
        if let Some(guid) = guid
            && self.state().begun.remove(guid).is_some()
        {
            self.remove(guid);
        }
    }

    /// Why a download of which so much has come is too much, beside what has come of others.
    fn excess(&self, received_bytes: f64, beside_bytes: f64) -> Option<String> {
        let (most, together) = (self.most_bytes, self.most_bytes_together);
        if received_bytes > most {
            return Some(format!(
                "is larger than {most} bytes, which is the most that is taken"
            ));
        }
        (received_bytes + beside_bytes > together).then(|| {
            format!("is too much beside those before it: all together may have {together} bytes")
        })
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
    /// was canceled or has no bytes, [`Error::DownloadExcess`] that it is too large; [`Error::Crashed`] that the page crashed before
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
            let news = deadline.wait(news).await;
            if let Some(Either::Right((trouble, _))) = news {
                return Err(trouble);
            }
            if news.is_none() {
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
                return Err(match &progress.excess {
                    Some(excess) => Error::DownloadExcess {
                        reason: format!("{name:?} {excess}"),
                    },
                    None => Error::Download {
                        reason: format!("{name:?} was canceled"),
                    },
                });
            }
            Some(Outcome::Completed) | None => {}
        }
        let path = self.downloads.browser_folder.join(FOLDER).join(guid);
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
        state.waiters.retain(|(waiter, _)| *waiter != self.id);
        let Some(guid) = state.taken.remove(&self.id) else {
            return;
        };
        // What is still on its way comes for nobody.
        if state
            .begun
            .get(&guid)
            .is_some_and(|it| it.outcome.is_none())
        {
            state.begun.remove(&guid);
            drop(state);
            self.page.tabs.cancel_download(&guid);
        }
    }
}
