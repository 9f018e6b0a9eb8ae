//! What the steps need of a browser. Chromium implements it; tests implement it with a script.

use std::time::Duration;

use async_trait::async_trait;
use browser::{Condition, Download, Error, Field, Locator, Screenshot};
use domain::definition::Secret;

/// A page in a browser. Each call ends within its time-out; those without one end within the browser's own.
#[async_trait]
pub trait Browser: Send {
    /// Opens a URL and waits until it has loaded.
    async fn goto(&mut self, url: &str, timeout: Duration) -> Result<(), Error>;
    /// Goes back in the page's history and waits until that page has loaded.
    async fn back(&mut self, timeout: Duration) -> Result<(), Error>;
    /// Loads the page again and waits until it has loaded.
    async fn reload(&mut self, timeout: Duration) -> Result<(), Error>;
    /// Gives the page's URL.
    async fn url(&mut self) -> Result<String, Error>;
    /// Clicks an element, as soon as it can be clicked.
    async fn click(&mut self, target: &Locator, timeout: Duration) -> Result<(), Error>;
    /// Clicks an element twice.
    async fn double_click(&mut self, target: &Locator, timeout: Duration) -> Result<(), Error>;
    /// Moves the pointer over an element.
    async fn hover(&mut self, target: &Locator, timeout: Duration) -> Result<(), Error>;
    /// Replaces the text of a field.
    async fn fill(
        &mut self,
        target: &Locator,
        value: &Secret,
        timeout: Duration,
    ) -> Result<(), Error>;
    /// Presses a key where the focus is.
    async fn press(&mut self, key: &str, timeout: Duration) -> Result<(), Error>;
    /// Waits until a condition holds.
    async fn wait_for(&mut self, condition: &Condition, timeout: Duration) -> Result<(), Error>;
    /// Checks a condition once, after a pending navigation.
    async fn holds(&mut self, condition: &Condition) -> Result<bool, Error>;
    /// Whether an element can be used.
    async fn is_enabled(&mut self, target: &Locator) -> Result<bool, Error>;
    /// Reads fields of all rows at once. A field whose element is missing in a row is `None`.
    async fn read_rows(
        &mut self,
        rows: &Locator,
        fields: &[Field],
    ) -> Result<Vec<Vec<Option<String>>>, Error>;
    /// Clicks an element and waits for the whole file that this downloads.
    async fn download(&mut self, click: &Locator, timeout: Duration) -> Result<Download, Error>;
    /// Takes a picture as PNG.
    async fn screenshot(&mut self, screenshot: &Screenshot) -> Result<Vec<u8>, Error>;
    /// Gives the document's HTML.
    async fn dom_snapshot(&mut self) -> Result<String, Error>;
}
