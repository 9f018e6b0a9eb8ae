//! The seam on a real page.

use std::time::Duration;

use async_trait::async_trait;
use browser::{Condition, Download, Error, Field, Locator, Page, Screenshot};
use domain::definition::Secret;

use crate::seam::Browser;

#[async_trait]
impl Browser for Page {
    async fn goto(&mut self, url: &str, timeout: Duration) -> Result<(), Error> {
        Page::goto(self, url, timeout).await
    }

    async fn back(&mut self, timeout: Duration) -> Result<(), Error> {
        Page::back(self, timeout).await
    }

    async fn reload(&mut self, timeout: Duration) -> Result<(), Error> {
        Page::reload(self, timeout).await
    }

    async fn url(&mut self) -> Result<String, Error> {
        Page::url(self).await
    }

    async fn click(&mut self, target: &Locator, timeout: Duration) -> Result<(), Error> {
        Page::click(self, target, timeout).await
    }

    async fn double_click(&mut self, target: &Locator, timeout: Duration) -> Result<(), Error> {
        Page::double_click(self, target, timeout).await
    }

    async fn hover(&mut self, target: &Locator, timeout: Duration) -> Result<(), Error> {
        Page::hover(self, target, timeout).await
    }

    async fn fill(
        &mut self,
        target: &Locator,
        value: &Secret,
        timeout: Duration,
    ) -> Result<(), Error> {
        Page::fill(self, target, value.expose(), timeout).await
    }

    async fn press(&mut self, key: &str, timeout: Duration) -> Result<(), Error> {
        Page::press(self, key, timeout).await
    }

    async fn wait_for(&mut self, condition: &Condition, timeout: Duration) -> Result<(), Error> {
        Page::wait_for(self, condition, timeout).await
    }

    async fn holds(&mut self, condition: &Condition) -> Result<bool, Error> {
        Page::holds(self, condition).await
    }

    async fn is_enabled(&mut self, target: &Locator) -> Result<bool, Error> {
        Page::is_enabled(self, target).await
    }

    async fn read_rows(
        &mut self,
        rows: &Locator,
        fields: &[Field],
    ) -> Result<Vec<Vec<Option<String>>>, Error> {
        Page::read_rows(self, rows, fields).await
    }

    async fn download(&mut self, click: &Locator, timeout: Duration) -> Result<Download, Error> {
        let waiter = self.expect_download();
        let began = tokio::time::Instant::now();
        Page::click(self, click, timeout).await?;
        waiter.wait(timeout.saturating_sub(began.elapsed())).await
    }

    async fn screenshot(&mut self, screenshot: &Screenshot) -> Result<Vec<u8>, Error> {
        Page::screenshot(self, screenshot).await
    }

    async fn dom_snapshot(&mut self) -> Result<String, Error> {
        Page::dom_snapshot(self).await
    }
}
