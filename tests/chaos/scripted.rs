//! A browser that follows a script: for tests that are about runs, and not about pages. Going to a URL is a real request
//! for it, so that whoever serves the site knows how often each step was taken.

use std::time::Duration;

use async_trait::async_trait;
use browser::{
    Condition, DialogAnswer, Download, Error, Field, Locator, Redaction, ResponsePattern,
    Screenshot,
};
use domain::definition::{BrowserSettings, ClickOptions, Secret};
use engine::{Browser, ExpectedResponse, Scrolling, UploadedFile};
use platform::socks_proxy::Failure;
use platform::upstream::Upstream;
use runner::{Held, NoSession, Session, Sessions};
use serde_json::Value;

use super::http;

/// What each row of each table says.
const CELL: &str = "Ada";

/// A source of browsers that follow the script.
#[derive(Debug)]
pub(crate) struct Scripted {
    http: reqwest::Client,
}

struct Nothing;

struct ScriptedBrowser {
    http: reqwest::Client,
    url: String,
}

impl Scripted {
    pub(crate) fn new() -> Self {
        Self {
            http: http::client(),
        }
    }
}

#[async_trait]
impl Sessions for Scripted {
    async fn keep_ready(&self) {
        std::future::pending().await
    }

    async fn open(&self, _: &BrowserSettings, _: Option<Upstream>) -> Result<Session, NoSession> {
        Ok(Session {
            browser: Box::new(ScriptedBrowser {
                http: self.http.clone(),
                url: "about:blank".to_owned(),
            }),
            held: Box::new(Nothing),
        })
    }

    async fn close(&self) {}
}

#[async_trait]
impl Held for Nothing {
    fn failure_of(&self, _: &str, _: u16) -> Option<Failure> {
        None
    }

    async fn close(self: Box<Self>) {}
}

fn unscripted<T>(what: &str) -> Result<T, Error> {
    panic!("the script has nothing about {what}")
}

#[async_trait]
impl Browser for ScriptedBrowser {
    async fn allow_origins(&mut self, _: &[String]) -> Result<(), Error> {
        Ok(())
    }

    fn conceal(&mut self, _: Redaction) {}

    async fn goto(&mut self, url: &str, timeout: Duration) -> Result<(), Error> {
        self.url = url.to_owned();
        match self.http.get(url).timeout(timeout).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::TimedOut {
                awaited: url.to_owned(),
                after: timeout,
                found: error.to_string(),
            }),
        }
    }

    async fn back(&mut self, _: Duration) -> Result<(), Error> {
        unscripted("going back")
    }

    async fn reload(&mut self, timeout: Duration) -> Result<(), Error> {
        let url = self.url.clone();
        self.goto(&url, timeout).await
    }

    async fn url(&mut self) -> Result<String, Error> {
        Ok(self.url.clone())
    }

    async fn click(&mut self, _: &Locator, _: &ClickOptions, _: Duration) -> Result<(), Error> {
        Ok(())
    }

    async fn double_click(&mut self, _: &Locator, _: Duration) -> Result<(), Error> {
        Ok(())
    }

    async fn hover(&mut self, _: &Locator, _: Duration) -> Result<(), Error> {
        Ok(())
    }

    async fn drag(&mut self, _: &Locator, _: &Locator, _: Duration) -> Result<(), Error> {
        Ok(())
    }

    async fn fill(&mut self, _: &Locator, _: &Secret, _: Duration) -> Result<(), Error> {
        Ok(())
    }

    async fn press(&mut self, _: &str, _: Option<&Locator>, _: Duration) -> Result<(), Error> {
        Ok(())
    }

    async fn type_text(
        &mut self,
        _: &Locator,
        _: &Secret,
        _: Duration,
        _: Duration,
    ) -> Result<(), Error> {
        Ok(())
    }

    async fn select(&mut self, _: &Locator, _: &[String], _: Duration) -> Result<(), Error> {
        Ok(())
    }

    async fn set_checked(&mut self, _: &Locator, _: bool, _: Duration) -> Result<(), Error> {
        Ok(())
    }

    async fn upload(&mut self, _: &Locator, _: &[UploadedFile], _: Duration) -> Result<(), Error> {
        Ok(())
    }

    async fn scroll(
        &mut self,
        _: Option<&Locator>,
        _: Scrolling,
        _: Duration,
    ) -> Result<(), Error> {
        Ok(())
    }

    async fn wait_for(&mut self, _: &Condition, _: Duration) -> Result<(), Error> {
        Ok(())
    }

    async fn holds(&mut self, _: &Condition) -> Result<bool, Error> {
        Ok(true)
    }

    async fn read_rows(&mut self, _: &Locator, fields: &[Field]) -> Result<browser::Rows, Error> {
        Ok(browser::Rows {
            cells: vec![vec![Some(CELL.to_owned()); fields.len()]],
            ..browser::Rows::default()
        })
    }

    async fn check_syntax(&mut self, _: &str, _: Duration) -> Result<(), Error> {
        Ok(())
    }

    async fn evaluate(
        &mut self,
        _: &str,
        _: Value,
        _: Option<&Locator>,
        _: Duration,
    ) -> Result<Value, Error> {
        unscripted("scripts")
    }

    async fn expect_response(
        &mut self,
        _: ResponsePattern,
    ) -> Result<Box<dyn ExpectedResponse>, Error> {
        unscripted("responses")
    }

    async fn download(&mut self, _: &Locator, _: Duration) -> Result<Download, Error> {
        unscripted("downloads")
    }

    async fn download_url(&mut self, _: &str, _: Duration) -> Result<Download, Error> {
        unscripted("downloads")
    }

    async fn screenshot(&mut self, _: &Screenshot) -> Result<Vec<u8>, Error> {
        Ok(b"a picture".to_vec())
    }

    async fn pdf(&mut self, _: &[Locator]) -> Result<Vec<u8>, Error> {
        Ok(b"a print".to_vec())
    }

    async fn dom_snapshot(&mut self) -> Result<String, Error> {
        Ok("<html></html>".to_owned())
    }

    async fn begin_har(&mut self, _: Redaction) {}

    async fn end_har(&mut self) -> Option<Value> {
        None
    }

    async fn answer_dialogs(&mut self, _: DialogAnswer) -> Result<(), Error> {
        Ok(())
    }

    async fn open_tab(&mut self, _: &Locator, _: Duration) -> Result<(), Error> {
        unscripted("tabs")
    }

    async fn switch_tab(&mut self, _: &str, _: Duration) -> Result<(), Error> {
        unscripted("tabs")
    }

    async fn close_tab(&mut self, _: Duration) -> Result<(), Error> {
        unscripted("tabs")
    }
}
