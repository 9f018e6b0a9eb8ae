//! What this client costs beside Playwright, and how far both are from the floor: one scenario on one browser binary
//! with the same flags, by three clients, interleaved. `cargo bench -p browser --bench playwright` prints the table.
//!
//! It decides nothing and keeps nothing: docs/performance.md has the figures that were taken with it.

mod floor;
mod ours;
mod peer;
mod processes;
mod site;
mod table;
mod worker;

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use browser::find_or_install;

use crate::peer::Peer;
use crate::site::Site;
use crate::table::Table;

/// How many browsers do the scenario at once.
const CROWDS: [usize; 2] = [1, 4];

/// Rounds that are not counted: the first ones fill caches and compile JavaScript.
const WARM_UP_ROUNDS: usize = 2;

/// Rounds that are counted, unless `--rounds` says otherwise.
const ROUNDS: usize = 15;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, kind, site, executable, flags @ ..] = arguments.as_slice()
        && command == "client"
    {
        return worker::serve(kind, site, executable, flags).await;
    }
    let rounds = match arguments.iter().position(|word| word == "--rounds") {
        None => ROUNDS,
        Some(at) => arguments
            .get(at + 1)
            .context("--rounds needs a number")?
            .parse()?,
    };
    measure(rounds).await
}

async fn measure(rounds: usize) -> anyhow::Result<()> {
    let playwright = install_playwright().await?;
    let executable = find_or_install(&mut say).await?;
    let executable = executable.to_str().context("a path of text")?;
    let site = Site::start().await?;

    let own = std::env::current_exe()?;
    let own = own.to_str().context("a path of text")?;
    let mut ours = Peer::start("ours", own, &["client", "ours", &site.url, executable]).await?;
    let flags = flags_of(&mut ours).await?;
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let node = [
        &[playwright.as_str(), &site.url, executable],
        flags.as_slice(),
    ]
    .concat();
    let bare = [
        &["client", "floor", &site.url, executable],
        flags.as_slice(),
    ]
    .concat();
    let mut peers = [
        Peer::start("Playwright", "node", &node).await?,
        ours,
        Peer::start("floor", own, &bare).await?,
    ];

    let mut table = Table::default();
    for round in 0..WARM_UP_ROUNDS + rounds {
        say(&format!(
            "round {} of {}",
            round + 1,
            WARM_UP_ROUNDS + rounds
        ));
        for crowd in CROWDS {
            for turn in 0..peers.len() {
                // Whoever is first is another one each time.
                let peer = (turn + round) % peers.len();
                let run = peers[peer].run(crowd).await?;
                if round >= WARM_UP_ROUNDS {
                    table.add(peers[peer].name, crowd, run);
                }
            }
        }
    }
    for peer in &mut peers {
        table.add_memory(peer.name, peer.peak_memory_kib()?);
    }
    show(&table.to_string());
    Ok(())
}

/// The flags with which this package starts a browser, so that the others start it with the same ones.
async fn flags_of(ours: &mut Peer) -> anyhow::Result<Vec<String>> {
    let opened = ours.open(1).await?;
    let [first] = opened.as_slice() else {
        bail!("one browser was to be started");
    };
    let flags = processes::command_line(first.process)?;
    ours.close().await?;
    Ok(flags
        .into_iter()
        .skip(1)
        .filter(|flag| flag.starts_with("--") && !flag.starts_with("--user-data-dir="))
        .collect())
}

/// Installs the pinned Playwright beside its client, unless it is there.
async fn install_playwright() -> anyhow::Result<String> {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../tests/peers/playwright"]
        .iter()
        .collect();
    let folder = folder.canonicalize()?;
    let version = tokio::process::Command::new("node")
        .arg("--version")
        .output()
        .await;
    if !version.is_ok_and(|version| version.status.success()) {
        bail!("Playwright needs Node.js 20 or newer, and there is no `node` on the PATH");
    }
    if !folder.join("node_modules/playwright-core").is_dir() {
        say("installing Playwright (npm ci)");
        let installed = tokio::process::Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(&folder)
            .stdout(std::process::Stdio::null())
            .status()
            .await
            .context("npm can't be started")?;
        if !installed.success() {
            bail!("npm ci failed in tests/peers/playwright");
        }
    }
    let client = folder.join("client.mjs");
    Ok(client.to_str().context("a path of text")?.to_owned())
}

#[expect(clippy::print_stderr, reason = "a benchmark says what it is doing")]
fn say(what: &str) {
    eprintln!("{what}");
}

#[expect(clippy::print_stdout, reason = "the table is what a benchmark is for")]
fn show(table: &str) {
    print!("{table}");
}
