//! The client against the real browser, on pages of its own.
#![expect(
    clippy::unwrap_used,
    reason = "a test that can't go on is a test that fails"
)]

mod accessibility;
mod acting;
mod choosing;
mod covering;
mod dialogs;
mod downloading;
mod emulating;
mod faults;
mod faults_pages;
mod faults_processes;
mod isolated;
mod locating;
mod messages;
mod mouse;
mod nasty;
mod network;
mod origins;
mod pages;
mod processes;
mod reading;
mod recording;
mod sandbox;
mod scripts;
mod site;
mod typing;
mod waiting;

use std::time::Duration;

use browser::{Browser, LaunchOptions, Page, find_or_install};
use tempfile::TempDir;

use crate::site::Site;

/// More than anything here needs; reaching it is a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The time-out of what must end by itself long before it.
pub(crate) const AGES: Duration = Duration::from_secs(60);

/// How soon that is: far less than any time-out that is given with it.
pub(crate) const QUICK: Duration = Duration::from_secs(10);

/// For what is not going to happen.
pub(crate) const SOON: Duration = Duration::from_millis(400);

/// For what is not going to happen, where something else must have happened before it is missed.
pub(crate) const LATER: Duration = Duration::from_secs(3);

/// How much later than its deadline an operation may be seen to end. The client gives a page a second
/// more to answer; the rest is for a machine that has other things to do.
pub(crate) const MARGIN: Duration = Duration::from_secs(4);

/// A browser, its page, and the site that it is at.
pub(crate) struct Stage {
    pub(crate) page: Page,
    pub(crate) site: Site,
    pub(crate) browser: Browser,
    pub(crate) scratch: TempDir,
}

impl Stage {
    /// A browser at `/` of a site with these pages.
    pub(crate) async fn at(pages: &[(&str, &str)]) -> Self {
        Self::with(pages, |_| {}).await
    }

    /// The same with a browser that is started in some other way.
    pub(crate) async fn with(
        pages: &[(&str, &str)],
        change: impl FnOnce(&mut LaunchOptions),
    ) -> Self {
        let site = Site::start(pages).await;
        let scratch = tempfile::tempdir().unwrap();
        let mut options =
            LaunchOptions::new(find_or_install(&mut |_| {}).await.unwrap(), scratch.path());
        change(&mut options);
        let browser = Browser::launch(&options).await.unwrap();
        let page = browser.page().await.unwrap();
        page.goto(&site.url("/"), PATIENCE).await.unwrap();
        Self {
            page,
            site,
            browser,
            scratch,
        }
    }

    /// The value of an expression in the page, as text.
    pub(crate) async fn value(&self, expression: &str) -> String {
        let value = self.page.evaluate(expression, PATIENCE).await.unwrap();
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    }
}
