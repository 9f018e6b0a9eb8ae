//! The seam on real pages: the tabs of one browser.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use browser::{
    Choice, Click, Condition, DialogAnswer, DialogPolicy, Download, Error, Field, Locator,
    Modifier, MouseButton, Page, PdfOptions, Recording, RecordingOptions, Redaction,
    ResponsePattern, ResponseWaiter, Screenshot, Script, ScrollTo, UrlPattern,
};
use domain::definition::{self, ClickOptions, Secret};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::seam::{
    Browser, ExpectedResponse, ReceivedResponse, Scrolling, UploadedContent, UploadedFile,
};

/// How often the URLs of the tabs are looked at while one is awaited.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The tabs of a browser.
pub struct Chromium {
    /// The present tab.
    page: Page,
    /// The tabs from which the run came to the present one, the last one last.
    before: Vec<Page>,
    recording: Option<Recording>,
    /// What was uploaded: the browser reads it when the site asks for it.
    uploaded: Vec<TempDir>,
}

impl Chromium {
    /// A browser that shows this page.
    #[must_use]
    pub fn new(page: Page) -> Self {
        Self {
            page,
            before: Vec::new(),
            recording: None,
            uploaded: Vec::new(),
        }
    }

    /// Puts a file where the browser can read it under its name.
    async fn place(folder: &TempDir, file: &UploadedFile) -> std::io::Result<PathBuf> {
        let path = folder.path().join(&file.name);
        match &file.content {
            UploadedContent::Bytes(bytes) => tokio::fs::write(&path, bytes).await?,
            // It lies in the browser's folder, too, and nothing changes it any more: a second name will do.
            UploadedContent::File(from) => tokio::fs::hard_link(from, &path).await?,
        }
        Ok(path)
    }
}

fn modifier(modifier: definition::Modifier) -> Modifier {
    match modifier {
        definition::Modifier::Alt => Modifier::Alt,
        definition::Modifier::Control => Modifier::Control,
        definition::Modifier::Meta => Modifier::Meta,
        definition::Modifier::Shift => Modifier::Shift,
    }
}

#[async_trait]
impl ExpectedResponse for ResponseWaiter {
    async fn receive(
        self: Box<Self>,
        wants_body: bool,
        timeout: Duration,
    ) -> Result<ReceivedResponse, Error> {
        let began = Instant::now();
        let mut response = self.wait(timeout).await?;
        let left = timeout.saturating_sub(began.elapsed());
        let body = if wants_body {
            response.body(left).await?
        } else {
            // A stream has none for as long as it lasts.
            Vec::new()
        };
        Ok(ReceivedResponse {
            url: response.url,
            status: response.status,
            body,
        })
    }
}

/// Pixels of a definition, which are within a million.
fn pixels(number: i64) -> f64 {
    i32::try_from(number).map_or(0.0, f64::from)
}

#[async_trait]
impl Browser for Chromium {
    async fn allow_origins(&mut self, origins: &[String]) -> Result<(), Error> {
        self.page.allow_origins(origins).await
    }

    async fn goto(&mut self, url: &str, timeout: Duration) -> Result<(), Error> {
        self.page.goto(url, timeout).await.map(drop)
    }

    async fn back(&mut self, timeout: Duration) -> Result<(), Error> {
        self.page.back(timeout).await.map(drop)
    }

    async fn reload(&mut self, timeout: Duration) -> Result<(), Error> {
        self.page.reload(timeout).await.map(drop)
    }

    async fn url(&mut self) -> Result<String, Error> {
        self.page.url().await
    }

    async fn click(
        &mut self,
        target: &Locator,
        options: &ClickOptions,
        timeout: Duration,
    ) -> Result<(), Error> {
        let click = Click {
            button: match options.button {
                definition::MouseButton::Left => MouseButton::Left,
                definition::MouseButton::Middle => MouseButton::Middle,
                definition::MouseButton::Right => MouseButton::Right,
            },
            modifiers: options.modifiers.iter().copied().map(modifier).collect(),
            ..Click::default()
        };
        self.page.click_with(target, &click, timeout).await
    }

    async fn double_click(&mut self, target: &Locator, timeout: Duration) -> Result<(), Error> {
        self.page.double_click(target, timeout).await
    }

    async fn hover(&mut self, target: &Locator, timeout: Duration) -> Result<(), Error> {
        self.page.hover(target, timeout).await
    }

    async fn drag(
        &mut self,
        source: &Locator,
        target: &Locator,
        timeout: Duration,
    ) -> Result<(), Error> {
        self.page.drag(source, target, timeout).await
    }

    async fn fill(
        &mut self,
        target: &Locator,
        value: &Secret,
        timeout: Duration,
    ) -> Result<(), Error> {
        self.page.fill(target, value.expose(), timeout).await
    }

    async fn press(
        &mut self,
        key: &str,
        target: Option<&Locator>,
        timeout: Duration,
    ) -> Result<(), Error> {
        match target {
            Some(target) => self.page.press_on(target, key, timeout).await,
            None => self.page.press(key, timeout).await,
        }
    }

    async fn type_text(
        &mut self,
        target: &Locator,
        text: &Secret,
        delay: Duration,
        timeout: Duration,
    ) -> Result<(), Error> {
        let typed = self.page.type_text(target, text.expose(), delay, timeout);
        typed.await
    }

    async fn select(
        &mut self,
        list: &Locator,
        options: &[String],
        timeout: Duration,
    ) -> Result<(), Error> {
        let choices: Vec<_> = options.iter().cloned().map(Choice::Any).collect();
        self.page
            .select_options(list, &choices, timeout)
            .await
            .map(drop)
    }

    async fn set_checked(
        &mut self,
        target: &Locator,
        is_checked: bool,
        timeout: Duration,
    ) -> Result<(), Error> {
        self.page.set_checked(target, is_checked, timeout).await
    }

    async fn upload(
        &mut self,
        field: &Locator,
        files: &[UploadedFile],
        timeout: Duration,
    ) -> Result<(), Error> {
        let folder = TempDir::new_in(self.page.folder())?;
        let mut paths = Vec::new();
        for file in files {
            paths.push(Self::place(&folder, file).await?);
        }
        self.uploaded.push(folder);
        let paths: Vec<_> = paths.iter().map(PathBuf::as_path).collect();
        self.page.upload(field, &paths, timeout).await
    }

    async fn scroll(
        &mut self,
        target: Option<&Locator>,
        to: Scrolling,
        timeout: Duration,
    ) -> Result<(), Error> {
        let to = match to {
            Scrolling::IntoView => ScrollTo::View,
            Scrolling::Top => ScrollTo::Top,
            Scrolling::Bottom => ScrollTo::Bottom,
            Scrolling::By(x, y) => {
                return self
                    .page
                    .scroll_by(target, pixels(x), pixels(y), timeout)
                    .await;
            }
        };
        self.page.scroll_to(target, to, timeout).await
    }

    async fn wait_for(&mut self, condition: &Condition, timeout: Duration) -> Result<(), Error> {
        self.page.wait_for(condition, timeout).await
    }

    async fn holds(&mut self, condition: &Condition) -> Result<bool, Error> {
        self.page.holds(condition).await
    }

    async fn read_rows(
        &mut self,
        rows: &Locator,
        fields: &[Field],
    ) -> Result<browser::Rows, Error> {
        self.page.read_rows(rows, fields).await
    }

    async fn check_syntax(&mut self, expression: &str, timeout: Duration) -> Result<(), Error> {
        self.page.check_syntax(expression, timeout).await
    }

    async fn evaluate(
        &mut self,
        function: &str,
        argument: Value,
        frame: Option<&Locator>,
        timeout: Duration,
    ) -> Result<Value, Error> {
        let script = Script {
            arguments: vec![argument],
            frame: frame.cloned(),
            ..Script::new(function)
        };
        self.page.run(&script, timeout).await
    }

    async fn expect_response(
        &mut self,
        pattern: ResponsePattern,
    ) -> Result<Box<dyn ExpectedResponse>, Error> {
        Ok(Box::new(self.page.expect_response(pattern)?))
    }

    async fn download(&mut self, click: &Locator, timeout: Duration) -> Result<Download, Error> {
        let waiter = self.page.expect_download();
        let began = Instant::now();
        self.page.click(click, timeout).await?;
        waiter.wait(timeout.saturating_sub(began.elapsed())).await
    }

    async fn download_url(&mut self, url: &str, timeout: Duration) -> Result<Download, Error> {
        let waiter = self.page.expect_download();
        let began = Instant::now();
        match self.page.goto(url, timeout).await {
            // A URL that downloads ends its navigation without a document.
            Ok(_) | Err(Error::Navigation { .. }) => {}
            Err(error) => return Err(error),
        }
        waiter.wait(timeout.saturating_sub(began.elapsed())).await
    }

    fn discard(&mut self, download: &Download) {
        self.page.discard(download);
    }

    async fn screenshot(&mut self, screenshot: &Screenshot) -> Result<Vec<u8>, Error> {
        self.page.screenshot(screenshot).await
    }

    async fn pdf(&mut self, mask: &[Locator]) -> Result<Vec<u8>, Error> {
        let options = PdfOptions {
            mask: mask.to_vec(),
            ..PdfOptions::default()
        };
        self.page.pdf_with(&options).await
    }

    async fn dom_snapshot(&mut self) -> Result<String, Error> {
        self.page.dom_snapshot().await
    }

    fn conceal(&mut self, redaction: Redaction) {
        self.page.redact(redaction);
    }

    async fn begin_har(&mut self, redaction: Redaction) {
        self.recording = Some(self.page.record(RecordingOptions {
            redaction,
            ..RecordingOptions::default()
        }));
    }

    async fn end_har(&mut self) -> Option<Value> {
        self.recording.take()?.finish().await.har
    }

    async fn answer_dialogs(&mut self, answer: DialogAnswer) -> Result<(), Error> {
        self.page.set_dialog_policy(DialogPolicy {
            answer,
            ..DialogPolicy::default()
        });
        Ok(())
    }

    async fn open_tab(&mut self, click: &Locator, timeout: Duration) -> Result<(), Error> {
        let waiter = self.page.expect_page();
        let began = Instant::now();
        self.page.click(click, timeout).await?;
        let opened = waiter.wait(timeout.saturating_sub(began.elapsed())).await?;
        self.before.push(std::mem::replace(&mut self.page, opened));
        Ok(())
    }

    async fn switch_tab(&mut self, url: &str, timeout: Duration) -> Result<(), Error> {
        let pattern = UrlPattern::glob(url);
        let deadline = Instant::now() + timeout;
        loop {
            let mut found = Vec::new();
            for page in self.page.pages().await? {
                let present = match page.url().await {
                    Ok(present) => present,
                    // It was closed a moment ago.
                    Err(Error::Detached) => continue,
                    Err(error) => return Err(error),
                };
                if pattern.is_match(&present)? {
                    page.bring_to_front().await?;
                    self.before.push(std::mem::replace(&mut self.page, page));
                    return Ok(());
                }
                let place = present.split(['?', '#']).next().unwrap_or_default();
                found.push(place.to_owned());
            }
            if Instant::now() >= deadline {
                return Err(Error::TimedOut {
                    awaited: format!("a tab whose URL matches {pattern}"),
                    after: timeout,
                    found: format!("the open tabs are {}", found.join(", ")),
                });
            }
            // The tab that a click opens is on its way, and no event tells of the URL of every tab.
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn close_tab(&mut self, timeout: Duration) -> Result<(), Error> {
        if self.before.is_empty() {
            return Err(Error::Script {
                message: "the only tab can't be closed".to_owned(),
            });
        }
        self.page.close(timeout).await?;
        self.leave_closed_tab().await
    }

    async fn leave_closed_tab(&mut self) -> Result<(), Error> {
        if !self.page.is_closed() {
            return Ok(());
        }
        while let Some(previous) = self.before.pop() {
            self.page = previous;
            match self.page.bring_to_front().await {
                Err(Error::Detached) => {}
                brought => return brought,
            }
        }
        // No site can close the last tab, but a browser that is told to end closes them all before it does.
        Err(Error::Closed)
    }

    async fn gone(&mut self) -> Error {
        self.page.gone().await
    }
}
