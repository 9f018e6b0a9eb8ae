//! What the engine costs beside the browser client alone: the scenario of the client's own benchmark, written as a
//! workflow and as direct calls; and an `extract` of 10,000 rows by 10 fields beside one bare `evaluate` that returns
//! the same cells. By turns, so that whatever else the machine does disturbs both.
//!
//! `cargo bench -p engine --bench overhead`, and `-- --rounds N` for more of them.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

#[expect(
    dead_code,
    reason = "only the client's benchmark looks at the browser's process"
)]
#[path = "../../browser/benches/playwright/ours.rs"]
mod ours;
#[path = "../../browser/benches/playwright/site.rs"]
mod site;

/// What the direct calls take from the client's benchmark, whose own worker is a process.
mod worker {
    pub(crate) const UPLOAD: &str = "Smile please!";

    pub(crate) struct Opened {
        #[expect(dead_code, reason = "only the client's benchmark looks at the process")]
        pub(crate) process: u32,
    }

    pub(crate) struct Steps;

    impl Steps {
        pub(crate) fn begin() -> Self {
            Self
        }

        #[expect(clippy::unused_self, reason = "the client's benchmark times each step")]
        pub(crate) fn end(&mut self, _: &str) {}
    }
}

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use async_trait::async_trait;
use browser::{Browser, LaunchOptions, Page, Script, find_or_install};
use domain::definition::{Definition, Secret};
use domain::run::SkippedState;
use engine::{
    Answer, ArtifactBody, Chromium, Host, Inputs, Interrupted, NewArtifact, Outcome, Question,
    Report, execute,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Each client does each scenario so often.
const ROUNDS: usize = 40;
/// The large table is slower, and steadier.
const EXTRACTIONS: usize = 10;
const ROWS: usize = 10_000;
const COLUMNS: usize = 10;
const PATIENCE: Duration = Duration::from_secs(60);

/// The scenario of the client's benchmark, with a check after each step, as there.
const SCENARIO: &str = r##"
name: The scenario of the client's benchmark
states:
  - name: all_of_it
    steps:
      - goto: "{{ input.site }}/login"
      - evaluate: { script: document.title, as: title }
      - assert: { expression: title == "Sign in" }
      - fill: { label: Email, value: hr@example.com }
      - fill: { label: Password, value: "{{ secrets.password }}" }
      - click: { role: button, name: Sign in }
      - waitFor: { visible: { role: heading, name: Welcome back } }
      - click: { role: link, name: Employees }
      - extract:
          ready: { css: "#employees" }
          rows: "#employees tbody tr"
          fields: { name: "td:nth-child(1)", email: "td:nth-child(2)", department: "td:nth-child(3)", since: "td:nth-child(4)", salary: { css: "td:nth-child(5)", type: number } }
          as: people
      - assert: { expression: people | length == 100 and people | map(attribute="salary") | sum == 5295000 }
      - download: { click: { role: link, name: Export CSV }, as: export }
      - assert: { expression: export.name == "employees.csv" }
      - screenshot:
      - click: { role: link, name: Settings }
      - select: { label: Department, option: Engineering }
      - get: { css: "#chosen", as: chosen }
      - assert: { expression: chosen == "eng" }
      - upload: { label: Photo, files: [{ fileName: photo.txt, content: Smile please! }] }
      - waitFor: { visible: { text: "photo.txt, 13 characters" } }
      - click: { role: button, name: I agree, frame: "#consent" }
      - get: { css: "#state", frame: "#consent", as: state }
      - assert: { expression: state == "agreed" }
      - click: { role: button, name: Delete everything }
      - get: { css: "#deletion", as: deletion }
      - assert: { expression: deletion == "dismissed" }
      - goto: "{{ input.site }}/report"
      - get: { css: "#sum", type: number, as: sum }
      - assert: { expression: sum == 5295000 }
      - pdf:
"##;

/// Reads the cells as an `extract` does, without anything around it.
const BARE: &str = "() => [...document.querySelectorAll('tbody tr')].map((row) => [...row.cells].map((cell) => cell.textContent.trim()))";

/// A host that keeps what it gets in memory.
#[derive(Default)]
struct Memory {
    artifacts: BTreeMap<String, Vec<u8>>,
}

#[async_trait]
impl Host for Memory {
    async fn enter_state(&mut self, _: &str, _: Vec<SkippedState>) -> Result<(), Interrupted> {
        Ok(())
    }

    async fn ask_user(
        &mut self,
        _: Question,
        _: Option<NewArtifact>,
    ) -> Result<Answer, Interrupted> {
        Ok(Answer::TimedOut)
    }

    async fn store_artifact(&mut self, artifact: NewArtifact) -> Result<(), Interrupted> {
        let bytes = match artifact.body {
            ArtifactBody::Bytes(bytes) => bytes,
            ArtifactBody::File(path) => tokio::fs::read(path)
                .await
                .map_err(|error| Interrupted::Fault(Box::new(error)))?,
        };
        self.artifacts.insert(artifact.name, bytes);
        Ok(())
    }
}

/// A browser with its page.
struct Session {
    browser: Browser,
    page: Page,
    _folder: TempDir,
}

impl Session {
    async fn open(executable: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let browser = Browser::launch(&LaunchOptions::new(executable, folder.path())).await?;
        let page = browser.page().await?;
        Ok(Self {
            browser,
            page,
            _folder: folder,
        })
    }

    async fn execute(
        &self,
        definition: &Definition,
        site: &str,
    ) -> anyhow::Result<(Report, Memory)> {
        let mut tabs = Chromium::new(self.page.clone());
        let mut host = Memory::default();
        let secrets = [("password".to_owned(), Secret::new("correct horse"))];
        let inputs = Inputs {
            input: json!({"site": site}),
            secrets: secrets.into(),
            outputs: json!({}),
        };
        let never = std::future::pending();
        let report = execute(definition, inputs, &mut tabs, &mut host, never).await?;
        match &report.outcome {
            Outcome::Completed { .. } => Ok((report, host)),
            other => bail!("{other:?}"),
        }
    }
}

fn definition(yaml: &str) -> anyhow::Result<Definition> {
    Definition::parse_yaml(yaml).map_err(|errors| anyhow::anyhow!("{errors:#?}"))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The scenario, by turns.
async fn scenario(executable: &str, rounds: usize) -> anyhow::Result<()> {
    let site = site::Site::start().await?;
    let workflow = definition(SCENARIO)?;
    let direct = ours::Session::open(executable).await?;
    let engine = Session::open(executable).await?;
    let (mut direct_ms, mut engine_ms, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    // The first round warms up both.
    for round in 0..=rounds {
        let run_direct = async || -> anyhow::Result<f64> {
            let began = Instant::now();
            direct.run(&site.url).await?;
            Ok(millis(began.elapsed()))
        };
        let run_engine = async || -> anyhow::Result<f64> {
            let began = Instant::now();
            engine.execute(&workflow, &site.url).await?;
            Ok(millis(began.elapsed()))
        };
        let (one, other) = if round % 2 == 0 {
            let one = run_direct().await?;
            (one, run_engine().await?)
        } else {
            let other = run_engine().await?;
            (run_direct().await?, other)
        };
        if round > 0 {
            direct_ms.push(one);
            engine_ms.push(other);
            ratios.push(other / one);
        }
    }
    direct.close().await;
    engine.browser.close().await;
    let (direct_ms, engine_ms) = (median(direct_ms), median(engine_ms));
    println!("scenario, {rounds} rounds:");
    println!("  direct calls    {direct_ms:7.1} ms");
    println!(
        "  as a workflow   {engine_ms:7.1} ms, {:.3} of it by medians, {:.3} by the median of the rounds' ratios",
        engine_ms / direct_ms,
        median(ratios)
    );
    Ok(())
}

/// The large table, by turns.
async fn extraction(executable: &str) -> anyhow::Result<()> {
    let rows: String = (0..ROWS)
        .map(|row| {
            let cells: String = (0..COLUMNS)
                .map(|column| format!("<td>Cell {column} of employee number {row}</td>"))
                .collect();
            format!("<tr>{cells}</tr>\n")
        })
        .collect();
    let table = format!("<table><tbody>\n{rows}</tbody></table>");
    let fields: String = (0..COLUMNS)
        .map(|column| format!("c{column}: 'td:nth-child({})', ", column + 1))
        .collect();
    let workflow = definition(&format!(
        "name: Table\nstates: [{{ name: reading, steps: [{{ extract: {{ rows: 'tbody tr', fields: {{ {fields} }}, as: cells }} }}] }}]\n"
    ))?;
    let session = Session::open(executable).await?;
    session.page.goto("about:blank", PATIENCE).await?;
    let mut fill = Script::new("(table) => { document.body.innerHTML = table }");
    fill.arguments = vec![json!(table)];
    session.page.run(&fill, PATIENCE).await?;

    let (mut bare_ms, mut engine_ms, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=EXTRACTIONS {
        let began = Instant::now();
        let cells = session.page.run(&Script::new(BARE), PATIENCE).await?;
        let bare = millis(began.elapsed());
        let began = Instant::now();
        let (_, host) = session.execute(&workflow, "").await?;
        let engine = millis(began.elapsed());
        if round == 0 {
            let kept = host.artifacts.get("cells.json").context("the records")?;
            let kept: Vec<serde_json::Map<String, Value>> = serde_json::from_slice(kept)?;
            let kept: Vec<Vec<Value>> = kept
                .into_iter()
                .map(|record| record.into_iter().map(|(_, value)| value).collect())
                .collect();
            ensure!(json!(kept) == cells, "both read the same cells");
        } else {
            bare_ms.push(bare);
            engine_ms.push(engine);
            ratios.push(engine / bare);
        }
    }
    session.browser.close().await;
    let (bare_ms, engine_ms) = (median(bare_ms), median(engine_ms));
    println!("{ROWS} rows by {COLUMNS} fields, {EXTRACTIONS} rounds:");
    println!("  one evaluate    {bare_ms:7.1} ms");
    println!(
        "  an extract      {engine_ms:7.1} ms with its JSON, CSV and schema, {:.2} times as long by medians, {:.2} by the median of the rounds' ratios",
        engine_ms / bare_ms,
        median(ratios)
    );
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let rounds = arguments
        .windows(2)
        .find(|pair| pair[0] == "--rounds")
        .map_or(Ok(ROUNDS), |pair| pair[1].parse())?;
    let executable = find_or_install(&mut |text| println!("{text}")).await?;
    let executable = executable.to_str().context("the browser's path is text")?;
    scenario(executable, rounds).await?;
    extraction(executable).await
}
