//! What the steps need of a browser. Chromium implements it; tests implement it with a script.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use browser::{
    Condition, DialogAnswer, Download, Error, Field, Locator, Redaction, ResponsePattern, Rows,
    Screenshot,
};
use domain::definition::{ClickOptions, Secret};
use serde_json::Value;

/// Tabs of a browser, one of which is the present one. Each call ends within its time-out; those without one end within
/// the browser's own.
#[async_trait]
pub trait Browser: Send {
    /// Lets the tabs, those to come too, go to these origins only, whatever leads them elsewhere.
    async fn allow_origins(&mut self, origins: &[String]) -> Result<(), Error>;
    /// Opens a URL and waits until it has loaded.
    async fn goto(&mut self, url: &str, timeout: Duration) -> Result<(), Error>;
    /// Goes back in the page's history and waits until that page has loaded.
    async fn back(&mut self, timeout: Duration) -> Result<(), Error>;
    /// Loads the page again and waits until it has loaded.
    async fn reload(&mut self, timeout: Duration) -> Result<(), Error>;
    /// Gives the page's URL.
    async fn url(&mut self) -> Result<String, Error>;
    /// Clicks an element, as soon as it can be clicked.
    async fn click(
        &mut self,
        target: &Locator,
        options: &ClickOptions,
        timeout: Duration,
    ) -> Result<(), Error>;
    /// Clicks an element twice.
    async fn double_click(&mut self, target: &Locator, timeout: Duration) -> Result<(), Error>;
    /// Moves the pointer over an element.
    async fn hover(&mut self, target: &Locator, timeout: Duration) -> Result<(), Error>;
    /// Drags an element to another.
    async fn drag(
        &mut self,
        source: &Locator,
        target: &Locator,
        timeout: Duration,
    ) -> Result<(), Error>;
    /// Replaces the text of a field.
    async fn fill(
        &mut self,
        target: &Locator,
        value: &Secret,
        timeout: Duration,
    ) -> Result<(), Error>;
    /// Presses a key where the focus is, or in an element that gets it first.
    async fn press(
        &mut self,
        key: &str,
        target: Option<&Locator>,
        timeout: Duration,
    ) -> Result<(), Error>;
    /// Types a text key by key, with this time between two keys.
    async fn type_text(
        &mut self,
        target: &Locator,
        text: &Secret,
        delay: Duration,
        timeout: Duration,
    ) -> Result<(), Error>;
    /// Chooses these options of a list, by label or value.
    async fn select(
        &mut self,
        list: &Locator,
        options: &[String],
        timeout: Duration,
    ) -> Result<(), Error>;
    /// Makes sure that a box is checked, or not.
    async fn set_checked(
        &mut self,
        target: &Locator,
        is_checked: bool,
        timeout: Duration,
    ) -> Result<(), Error>;
    /// Gives files to a field.
    async fn upload(
        &mut self,
        field: &Locator,
        files: &[UploadedFile],
        timeout: Duration,
    ) -> Result<(), Error>;
    /// Scrolls an element, or the page.
    async fn scroll(
        &mut self,
        target: Option<&Locator>,
        to: Scrolling,
        timeout: Duration,
    ) -> Result<(), Error>;
    /// Waits until a condition holds.
    async fn wait_for(&mut self, condition: &Condition, timeout: Duration) -> Result<(), Error>;
    /// Checks a condition once, after a pending navigation.
    async fn holds(&mut self, condition: &Condition) -> Result<bool, Error>;
    /// Reads fields of all rows at once. A field whose element is missing in a row is `None`.
    async fn read_rows(&mut self, rows: &Locator, fields: &[Field]) -> Result<Rows, Error>;
    /// Checks the syntax of a JavaScript expression, without evaluating it.
    async fn check_syntax(&mut self, expression: &str, timeout: Duration) -> Result<(), Error>;
    /// Calls a JavaScript function in the page, or in an iframe, and gives its value.
    async fn evaluate(
        &mut self,
        function: &str,
        argument: Value,
        frame: Option<&Locator>,
        timeout: Duration,
    ) -> Result<Value, Error>;
    /// Notes a response from here on, until what this gives is dropped.
    async fn expect_response(
        &mut self,
        pattern: ResponsePattern,
    ) -> Result<Box<dyn ExpectedResponse>, Error>;
    /// Clicks an element and waits for the whole file that this downloads.
    async fn download(&mut self, click: &Locator, timeout: Duration) -> Result<Download, Error>;
    /// Goes to a URL and waits for the whole file that this downloads.
    async fn download_url(&mut self, url: &str, timeout: Duration) -> Result<Download, Error>;
    /// Takes a download off the disk that nobody needs any more.
    fn discard(&mut self, _download: &Download) {}
    /// Takes a picture as PNG.
    async fn screenshot(&mut self, screenshot: &Screenshot) -> Result<Vec<u8>, Error>;
    /// Prints the page without these fields.
    async fn pdf(&mut self, mask: &[Locator]) -> Result<Vec<u8>, Error>;
    /// Gives the document's HTML.
    async fn dom_snapshot(&mut self) -> Result<String, Error>;
    /// Covers on pictures, from here on, whatever has a place in this redaction, and takes it out of what errors quote.
    fn conceal(&mut self, redaction: Redaction);
    /// Records the network's traffic from here on, each text as the redaction gives it.
    async fn begin_har(&mut self, redaction: Redaction);
    /// Ends that, and gives the traffic as HAR 1.2, if it was recorded.
    async fn end_har(&mut self) -> Option<Value>;
    /// Says how dialogs are answered from here on.
    async fn answer_dialogs(&mut self, answer: DialogAnswer) -> Result<(), Error>;
    /// Clicks an element that opens a tab, and goes on in it.
    async fn open_tab(&mut self, click: &Locator, timeout: Duration) -> Result<(), Error>;
    /// Goes on in the tab whose URL fits, in which `*` stands for anything.
    async fn switch_tab(&mut self, url: &str, timeout: Duration) -> Result<(), Error>;
    /// Closes the present tab, and goes on in the one before, or, where that was closed, in the one before that.
    async fn close_tab(&mut self, timeout: Duration) -> Result<(), Error>;
    /// Goes on in the last tab that is still there, if the present one was closed; [`Error::Closed`] if none is.
    async fn leave_closed_tab(&mut self) -> Result<(), Error> {
        Ok(())
    }
    /// Waits until the present tab has crashed or the browser has gone, and says which.
    async fn gone(&mut self) -> Error {
        std::future::pending().await
    }
}

/// A response that is expected.
#[async_trait]
pub trait ExpectedResponse: Send {
    /// Waits for it, and for its whole body if that is wanted.
    async fn receive(
        self: Box<Self>,
        wants_body: bool,
        timeout: Duration,
    ) -> Result<ReceivedResponse, Error>;
}

/// How far something is scrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scrolling {
    /// Until the element is in view.
    IntoView,
    /// To the beginning.
    Top,
    /// To the end.
    Bottom,
    /// By CSS pixels, to the right and down.
    By(i64, i64),
}

/// A file for a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadedFile {
    /// The name that the site sees.
    pub name: String,
    /// What is in it.
    pub content: UploadedContent,
}

/// What is in a file for a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadedContent {
    /// These bytes.
    Bytes(Vec<u8>),
    /// What is in this file of the browser's.
    File(PathBuf),
}

/// A response that was waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedResponse {
    /// Its URL.
    pub url: String,
    /// Its HTTP status.
    pub status: u16,
    /// Its body; nothing if there is none, or if it was not wanted.
    pub body: Vec<u8>,
}
