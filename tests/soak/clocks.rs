//! Clocks that differ from process to process.

use std::path::Path;
use std::process::Stdio;

use anyhow::Context;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::dice::Dice;

const SOURCE: &str = include_str!("clock.c");

/// By how far a clock is ahead or behind at most.
pub(crate) const OFF_BY_MILLIS: i64 = 1000;

/// By how far a clock is moved to see whether it can be, in seconds.
const PROBED_BY: i64 = 3600;

/// What moves the clock of a process.
#[derive(Debug, Clone)]
pub(crate) struct Clocks {
    library: String,
}

impl Clocks {
    /// Builds it with the compiler that Rust links with, and sees that it moves a clock.
    pub(crate) async fn build(folder: &Path) -> anyhow::Result<Self> {
        let library = folder.join("clock.so");
        let mut compiler = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-x", "c", "-", "-o"])
            .arg(&library)
            .stdin(Stdio::piped())
            .spawn()
            .context("there is no C compiler")?;
        let mut stdin = compiler.stdin.take().context("the input is piped")?;
        stdin.write_all(SOURCE.as_bytes()).await?;
        drop(stdin);
        let compiled = compiler.wait().await?;
        anyhow::ensure!(compiled.success(), "the clock could not be compiled");
        let clocks = Self {
            library: library.display().to_string(),
        };
        let moved = Command::new("date")
            .arg("+%s")
            .envs(clocks.ahead_by(PROBED_BY * 1000))
            .output()
            .await?;
        let moved: i64 = String::from_utf8(moved.stdout)?.trim().parse()?;
        let ahead = moved - store::now().as_millis() / 1000;
        anyhow::ensure!(
            (ahead - PROBED_BY).abs() < 60,
            "a clock that should be {PROBED_BY} s ahead is {ahead} s ahead"
        );
        Ok(clocks)
    }

    /// The environment of a process whose clock is off by chance.
    pub(crate) fn off_by_chance(&self, dice: &mut Dice) -> [(String, String); 2] {
        let range = u64::try_from(2 * OFF_BY_MILLIS).unwrap_or_default();
        let ahead = i64::try_from(dice.below(range)).unwrap_or_default() - OFF_BY_MILLIS;
        self.ahead_by(ahead)
    }

    fn ahead_by(&self, millis: i64) -> [(String, String); 2] {
        [
            ("LD_PRELOAD".to_owned(), self.library.clone()),
            ("SOAK_CLOCK_AHEAD_MILLIS".to_owned(), millis.to_string()),
        ]
    }
}
