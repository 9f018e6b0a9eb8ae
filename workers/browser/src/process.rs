//! One browser: its process group, its folder, and the way out, which is the same for all.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tokio::process::Child;
use tokio::task::JoinSet;

use crate::Error;
use crate::connection::Connection;
use crate::deadline::Deadline;
use crate::download::{self, Downloads};
use crate::emulation::{header_params, user_agent_override};
use crate::launch::{LaunchOptions, arguments, environment};
use crate::leftovers::{STEP, STEPS, folder_name, remember, remove_folder};
use crate::page::Page;
use crate::proc::members;
use crate::tabs::Tabs;

/// How long a browser may take to answer its first call.
const START: Duration = Duration::from_secs(30);

static LAST: AtomicU64 = AtomicU64::new(0);

/// One browser, with a process group and a folder of its own. Dropping it kills the group and
/// removes the folder.
pub struct Browser {
    connection: Connection,
    tabs: Arc<Tabs>,
    child: Child,
    group: Group,
    tasks: JoinSet<()>,
}

/// The processes and the folder of a browser. Dropping it ends both.
struct Group {
    id: Option<Pid>,
    folder: PathBuf,
}

impl Browser {
    /// Starts a browser and waits until it answers.
    ///
    /// # Errors
    ///
    /// [`Error::Launch`] with the end of what the browser wrote; [`Error::Io`] if its folder can't
    /// be made.
    pub async fn launch(options: &LaunchOptions) -> Result<Self, Error> {
        let folder = make_folder(&options.scratch_dir)?;
        // From here on the folder goes, whatever fails.
        let mut group = Group { id: None, folder };
        let folder = fs::canonicalize(&group.folder)?;
        for part in ["profile", download::FOLDER, "home", "tmp"] {
            fs::create_dir(folder.join(part))?;
        }
        remember(&folder, None)?;
        let (child, to_browser, from_browser) = spawn(options, &folder)?;
        group.id = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        remember(&folder, group.id)?;

        let mut tasks = JoinSet::new();
        let connection = Connection::open(to_browser, from_browser, &mut tasks)?;
        let downloads = Arc::new(Downloads::new(
            folder.clone(),
            options.max_download_bytes,
            options.max_total_download_bytes,
        ));
        let tabs = Arc::new(Tabs::new(connection.clone(), downloads, setup(options)));
        let mut browser = Self {
            connection,
            tabs,
            child,
            group,
            tasks,
        };
        browser.start(&folder).await?;
        Ok(browser)
    }

    /// The first calls: where downloads go, and that every page is attached.
    async fn start(&mut self, folder: &Path) -> Result<(), Error> {
        let params = json!({
            "behavior": "allowAndName",
            "downloadPath": folder.join(download::FOLDER),
            "eventsEnabled": true,
        });
        let deadline = Deadline::after(START);
        let attaching = self.tabs.attach_all();
        let answer = self
            .connection
            .call("", "Browser.setDownloadBehavior", params, deadline)
            .await;
        let answer = match answer {
            Ok(_) => attaching.wait(deadline).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::Launch {
                reason: format!("{error}; it wrote: {}", last_words(folder)),
            }),
        }
    }

    /// The browser's page, ready to be used: the first one that is open. If none is, one is made.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] if the browser has gone, [`Error::Protocol`] if it refuses.
    pub async fn page(&self) -> Result<Page, Error> {
        let deadline = Deadline::after(START);
        let first = match self.tabs.pages().into_iter().next() {
            Some(page) => page,
            None if self.tabs.last_number() == 0 => {
                self.tabs.opened_after(0, None, deadline).await?
            }
            None => self.tabs.open(deadline).await?,
        };
        Page::of(first, deadline).await
    }

    /// Ends the browser and waits until its processes and its folder are gone.
    pub async fn close(mut self) {
        self.connection.close();
        self.group.kill();
        // They hold our ends of the pipe.
        self.tasks.shutdown().await;
        if let Err(error) = self.child.wait().await {
            tracing::warn!(%error, "the browser's process could not be waited for");
        }
        for _ in 0..STEPS {
            if self.group.is_gone() {
                // Its number may be another's from now on.
                self.group.id = None;
                break;
            }
            tokio::time::sleep(STEP).await;
        }
    }

    /// What its pages have in common.
    pub(crate) fn tabs(&self) -> &Arc<Tabs> {
        &self.tabs
    }

    /// The id of the browser's main process, which is also that of its process group.
    pub fn process_id(&self) -> u32 {
        self.group
            .id
            .map_or(0, |id| id.as_raw_nonzero().get().cast_unsigned())
    }

    /// Waits until the browser has gone: killed, crashed, or closed.
    pub fn gone(&self) -> impl Future<Output = ()> + use<> {
        let tabs = Arc::clone(&self.tabs);
        async move { tabs.closed().await }
    }

    /// Whether the browser is still there.
    pub fn is_alive(&self) -> bool {
        !self.connection.is_closed()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.connection.close();
    }
}

impl Group {
    fn kill(&self) {
        if let Some(id) = self.id {
            // The only failure is that there is nobody left.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }

    fn is_gone(&self) -> bool {
        self.id.is_none_or(|id| members(id).next().is_none())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        // `close` has waited already, so this waits only on a way out in a hurry.
        if let Err(error) = remove_folder(&self.folder) {
            tracing::warn!(%error, folder = %self.folder.display(), "a browser's folder could not be removed");
        }
    }
}

/// Makes a new folder. One of the same name may be there, from an earlier process with this id.
fn make_folder(scratch_dir: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(scratch_dir)?;
    loop {
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let folder = scratch_dir.join(folder_name(number));
        match fs::create_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other.map(|()| folder),
        }
    }
}

/// What every session of a page is told, by the options.
fn setup(options: &LaunchOptions) -> Vec<(&'static str, Value)> {
    let mut setup = vec![(
        "Emulation.setFocusEmulationEnabled",
        json!({"enabled": true}),
    )];
    if let Some(locale) = &options.locale {
        setup.push(("Emulation.setLocaleOverride", json!({"locale": locale})));
    }
    if let Some(user_agent) = &options.user_agent {
        let params = user_agent_override(user_agent, options.locale.as_deref());
        setup.push(("Emulation.setUserAgentOverride", params));
    }
    if !options.extra_headers.is_empty() {
        let params = header_params(&options.extra_headers);
        setup.push(("Network.enable", json!({})));
        setup.push(("Network.setExtraHTTPHeaders", params));
    }
    setup
}

/// Starts the process; gives it with our ends of its pipes.
fn spawn(options: &LaunchOptions, folder: &Path) -> Result<(Child, OwnedFd, OwnedFd), Error> {
    let (commands, to_browser) = io::pipe()?;
    let (from_browser, events) = io::pipe()?;
    let mut command = Command::new(&options.executable);
    command
        .args(arguments(options, folder))
        .env_clear()
        .envs(environment(options, folder))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(folder.join("stderr"))?);
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
        .fd_mappings(vec![
            FdMapping {
                parent_fd: commands.into(),
                child_fd: 3,
            },
            FdMapping {
                parent_fd: events.into(),
                child_fd: 4,
            },
        ])
        .map_err(|error| Error::Launch {
            reason: error.to_string(),
        })?;
    let mut command = tokio::process::Command::from(command);
    let child = command.kill_on_drop(true).spawn();
    let child = child.map_err(|error| Error::Launch {
        reason: format!("{}: {error}", options.executable.display()),
    })?;
    Ok((child, to_browser.into(), from_browser.into()))
}

/// The end of what the browser wrote to its standard error.
fn last_words(folder: &Path) -> String {
    let written = fs::read(folder.join("stderr")).unwrap_or_default();
    let written = String::from_utf8_lossy(&written);
    let mut lines: Vec<&str> = written.lines().rev().take(5).collect();
    lines.reverse();
    if lines.is_empty() {
        return "nothing".to_owned();
    }
    lines.join(" | ")
}
