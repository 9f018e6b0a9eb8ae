//! What a killed process left behind: browsers without an owner, and their folders.
//!
//! A folder's name says which process made it. Nothing is touched while that process lives.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::Error;
use crate::proc::{members, started};

/// How long killed processes may take to be gone, in steps of [`STEP`].
pub(crate) const STEPS: u32 = 400;
pub(crate) const STEP: Duration = Duration::from_millis(5);

/// The file that names the process group, inside a browser's folder.
const GROUP: &str = "group";

/// The name of the folder of this process's browser with this number.
pub(crate) fn folder_name(number: u64) -> String {
    format!("browser-{}-{number}", std::process::id())
}

/// Writes down which process group belongs to a folder, as soon as there is one, and when its
/// owner was started.
pub(crate) fn remember(folder: &Path, group: Option<Pid>) -> io::Result<()> {
    let group = group.map_or(0, |group| group.as_raw_nonzero().get());
    let owner = started(std::process::id().cast_signed()).unwrap_or_default();
    fs::write(folder.join(GROUP), format!("{group} {owner}\n"))
}

/// Removes what browsers of dead processes left under this folder: their process groups, if they
/// still live, and their folders. Gives how many folders it removed.
///
/// # Errors
///
/// [`Error::Io`] if the folder can't be read. A folder that can't be removed is left, with a
/// warning.
pub fn remove_leftovers(scratch_dir: &Path) -> Result<usize, Error> {
    let entries = match fs::read_dir(scratch_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other?,
    };
    let mut removed = 0;
    for entry in entries {
        let folder = entry?.path();
        let Some(owner) = owner(&folder) else {
            continue;
        };
        let (group, owner_started) = remembered(&folder);
        if is_owner_alive(owner, owner_started) {
            continue;
        }
        if let Some(group) = group {
            end_group(group, &folder);
        }
        match remove_folder(&folder) {
            Ok(()) => removed += 1,
            Err(error) => {
                tracing::warn!(%error, folder = %folder.display(), "a dead process's browser folder could not be removed");
            }
        }
    }
    Ok(removed)
}

/// Removes a folder in which killed processes may write for another moment.
#[expect(
    clippy::disallowed_methods,
    reason = "a drop can't await, nor does a program's start; nearly always the first try is the last"
)]
pub(crate) fn remove_folder(folder: &Path) -> io::Result<()> {
    let mut tries = 0;
    loop {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(_) if tries < STEPS => thread::sleep(STEP),
            other => return other,
        }
        tries += 1;
    }
}

/// Whose folder this is, if it is one of ours.
fn owner(folder: &Path) -> Option<i32> {
    let name = folder.file_name()?.to_str()?;
    let (owner, number) = name.strip_prefix("browser-")?.split_once('-')?;
    number.parse::<u64>().ok()?;
    owner.parse().ok()
}

fn remembered(folder: &Path) -> (Option<Pid>, Option<u64>) {
    let text = fs::read_to_string(folder.join(GROUP)).unwrap_or_default();
    let mut words = text.split_whitespace();
    let group = words.next().and_then(|word| word.parse().ok());
    let started = words.next().and_then(|word| word.parse().ok());
    (group.and_then(Pid::from_raw), started)
}

/// Whether the owner lives. A process with its id that was started at another time is another.
fn is_owner_alive(owner: i32, owner_started: Option<u64>) -> bool {
    match (started(owner), owner_started) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(now), Some(then)) => now == then,
    }
}

/// Kills a process group, if a process in it really is the browser of this folder.
fn end_group(group: Pid, folder: &Path) {
    let Ok(folder) = fs::canonicalize(folder) else {
        return;
    };
    let mark = folder.display().to_string();
    let is_ours = members(group).any(|process| {
        ["environ", "cmdline"].iter().any(|file| {
            let text = fs::read(format!("/proc/{process}/{file}")).unwrap_or_default();
            String::from_utf8_lossy(&text).contains(&format!("{mark}/"))
        })
    });
    if is_ours {
        tracing::warn!(
            group = group.as_raw_nonzero().get(),
            "a browser without an owner is ended"
        );
        // The only failure is that there is nobody left.
        let _ = kill_process_group(group, Signal::KILL);
    }
}
