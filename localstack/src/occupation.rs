//! One stack at a time in a folder, and its temporary folder, which goes even if the stack is killed: with the stack
//! if it ends in order, else with the next start.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, bail};
use tempfile::TempDir;

/// Says, while a stack holds its lock, where that stack's temporary folder is.
const LOCK_FILE: &str = "stack.lock";
const SCRATCH_PREFIX: &str = "legwork-";

/// A folder that belongs to this stack until this is dropped, or the process ends in whatever way.
#[derive(Debug)]
pub(crate) struct Occupation {
    lock: File,
}

impl Occupation {
    /// Takes the folder, and makes it if it isn't there.
    ///
    /// # Errors
    /// When another stack has it.
    pub(crate) fn of(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(LOCK_FILE);
        let failed = || format!("{} can't be locked", path.display());
        fs::create_dir_all(folder).with_context(failed)?;
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .with_context(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { lock }),
            Err(TryLockError::WouldBlock) => {
                bail!("another stack uses {}; stop it first", folder.display())
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(failed),
        }
    }

    /// Makes the stack's temporary folder, after having removed that of a stack that was killed.
    ///
    /// # Errors
    /// When the operating system refuses a folder.
    pub(crate) fn make_scratch(&mut self) -> anyhow::Result<TempDir> {
        let mut left = String::new();
        self.lock.read_to_string(&mut left)?;
        remove_left(Path::new(left.trim()));
        let scratch = tempfile::Builder::new().prefix(SCRATCH_PREFIX).tempdir()?;
        self.lock.set_len(0)?;
        std::io::Seek::rewind(&mut self.lock)?;
        self.lock
            .write_all(scratch.path().as_os_str().as_encoded_bytes())?;
        Ok(scratch)
    }
}

impl Drop for Occupation {
    fn drop(&mut self) {
        // Closing the file isn't enough: a child that is being started at this moment has it as well until it executes its
        // program.
        let _ = self.lock.unlock();
    }
}

/// Removes the browsers and the temporary folder of a stack that is no more. What a runner that still lives has in it
/// stays; the runner sees that its stack is gone, and removes it itself.
fn remove_left(scratch: &Path) {
    let is_ours = scratch.is_absolute()
        && scratch
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(SCRATCH_PREFIX));
    if !is_ours || !scratch.exists() {
        return;
    }
    if let Err(error) = browser::remove_leftovers(scratch) {
        tracing::warn!(%error, "What a killed stack's browsers left could not be removed");
    }
    // Not empty while a runner lives.
    let _ = fs::remove_dir(scratch);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_stack_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Occupation::of(folder.path()).expect("a free folder");
        let refused = Occupation::of(folder.path()).expect_err("it is taken");
        assert!(refused.to_string().contains("another stack"), "{refused}");
        drop(first);
        Occupation::of(folder.path()).expect("it is free again");
    }

    #[test]
    fn a_folder_is_free_again_also_while_a_child_that_is_being_started_has_its_lock_in_hand() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Occupation::of(folder.path()).expect("a free folder");
        // What a child has between its fork and its exec.
        let _copy = first.lock.try_clone().expect("a copy");
        drop(first);
        Occupation::of(folder.path()).expect("it is free again");
    }

    #[test]
    fn the_temporary_folder_of_a_killed_stack_goes_with_the_next_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut killed = Occupation::of(folder.path()).expect("a free folder");
        let left = killed.make_scratch().expect("a temporary folder").keep();
        // No process has this id: the largest is 4,194,304.
        fs::create_dir(left.join("browser-4194305-0")).expect("a browser's folder");
        drop(killed);

        let mut next = Occupation::of(folder.path()).expect("a free folder");
        let scratch = next.make_scratch().expect("a temporary folder");
        assert!(!left.exists());
        assert!(scratch.path().exists());
    }
}
