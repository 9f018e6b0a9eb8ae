//! The scenario as a user of this package writes it: locators, and every check of actionability.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use browser::{Browser, Field, LaunchOptions, Locator, Page, Read, Screenshot};
use tempfile::TempDir;

use crate::worker::{Opened, Steps, UPLOAD};

/// Longer than any step takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// One browser with its page.
pub(crate) struct Session {
    browser: Browser,
    page: Page,
    upload: PathBuf,
    _folder: TempDir,
}

impl Session {
    pub(crate) async fn open(executable: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let upload = folder.path().join("photo.txt");
        std::fs::write(&upload, UPLOAD)?;
        let options = LaunchOptions::new(executable, folder.path());
        let browser = Browser::launch(&options).await?;
        let page = browser.page().await?;
        Ok(Self {
            browser,
            page,
            upload,
            _folder: folder,
        })
    }

    pub(crate) fn opened(&self) -> Opened {
        Opened {
            process: self.browser.process_id(),
        }
    }

    pub(crate) async fn close(self) {
        self.browser.close().await;
    }

    pub(crate) async fn run(&self, site: &str) -> anyhow::Result<Steps> {
        let page = &self.page;
        let mut steps = Steps::begin();

        page.goto(&format!("{site}/login"), PATIENCE).await?;
        ensure!(page.title().await? == "Sign in");
        steps.end("goto");

        page.fill(&Locator::label("Email"), "hr@example.com", PATIENCE)
            .await?;
        page.fill(&Locator::label("Password"), "correct horse", PATIENCE)
            .await?;
        steps.end("fill twice");

        page.click(&Locator::role("button", "Sign in"), PATIENCE)
            .await?;
        steps.end("click sign in");

        let welcome = Locator::role("heading", "Welcome back");
        page.wait_for(&browser::Condition::Visible(welcome), PATIENCE)
            .await?;
        steps.end("wait 200 ms");

        page.click(&Locator::role("link", "Employees"), PATIENCE)
            .await?;
        let table = Locator::css("#employees");
        page.wait_for(&browser::Condition::Visible(table), PATIENCE)
            .await?;
        steps.end("click link");

        let fields: Vec<Field> = ["name", "email", "department", "since", "salary"]
            .iter()
            .enumerate()
            .map(|(index, name)| Field {
                name: (*name).to_owned(),
                locator: Some(Locator::css(format!("td:nth-child({})", index + 1))),
                read: Read::Text,
            })
            .collect();
        let rows = page
            .read_rows(&Locator::css("#employees tbody tr"), &fields)
            .await?;
        let sum: u64 = rows
            .cells
            .iter()
            .map(|row| row[4].as_deref()?.parse::<u64>().ok())
            .sum::<Option<u64>>()
            .context("each row has a salary")?;
        ensure!(rows.cells.len() == 100 && sum == 5_295_000);
        steps.end("extract");

        let download = page.expect_download();
        page.click(&Locator::role("link", "Export CSV"), PATIENCE)
            .await?;
        let download = download.wait(PATIENCE).await?;
        let csv = tokio::fs::read_to_string(&download.path).await?;
        ensure!(download.suggested_file_name == "employees.csv" && csv.lines().count() == 101);
        steps.end("download");

        let picture = page.screenshot(&Screenshot::default()).await?;
        ensure!(picture.starts_with(b"\x89PNG") && picture.len() > 10_000);
        steps.end("screenshot");

        page.click(&Locator::role("link", "Settings"), PATIENCE)
            .await?;
        page.select_option(&Locator::label("Department"), "Engineering", PATIENCE)
            .await?;
        let chosen = page.text(&Locator::css("#chosen"), PATIENCE).await?;
        ensure!(chosen == "eng");
        steps.end("click link, select");

        let files = [self.upload.as_path()];
        page.upload(&Locator::label("Photo"), &files, PATIENCE)
            .await?;
        let read = Locator::text("photo.txt, 13 characters");
        page.wait_for(&browser::Condition::Visible(read), PATIENCE)
            .await?;
        steps.end("upload");

        let frame = Locator::css("#consent");
        let agree = Locator::role("button", "I agree").in_frame(frame.clone());
        page.click(&agree, PATIENCE).await?;
        let state = Locator::css("#state").in_frame(frame);
        ensure!(page.text(&state, PATIENCE).await? == "agreed");
        steps.end("click in iframe");

        page.click(&Locator::role("button", "Delete everything"), PATIENCE)
            .await?;
        let deletion = page.text(&Locator::css("#deletion"), PATIENCE).await?;
        ensure!(deletion == "dismissed");
        steps.end("dialog");

        page.goto(&format!("{site}/report"), PATIENCE).await?;
        ensure!(page.text(&Locator::css("#sum"), PATIENCE).await? == "5295000");
        steps.end("goto");

        let pdf = page.pdf().await?;
        ensure!(pdf.starts_with(b"%PDF") && pdf.len() > 5_000);
        steps.end("PDF");
        Ok(steps)
    }
}
