//! Choosing: options of a select, boxes to check, files to hand over.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::action::Prepare;
use crate::deadline::Deadline;
use crate::frame::{Found, Scope};
use crate::mouse::{Click, click_events};
use crate::page::{Page, millis};
use crate::{Error, Locator};

/// Which option of a select is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Choice {
    /// The one with this label, or else with this value.
    Any(String),
    /// The one with this label.
    Label(String),
    /// The one with this value.
    Value(String),
    /// The one with this index, counted from zero.
    Index(usize),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileInput {
    is_input: bool,
    takes_several: bool,
    is_disabled: bool,
}

impl Page {
    /// Chooses the option of a `select` with this label, or else with this value, once the select
    /// is visible and enabled and has the option.
    ///
    /// # Errors
    ///
    /// As for [`Page::select_options`].
    pub async fn select_option(
        &self,
        locator: &Locator,
        option: &str,
        timeout: Duration,
    ) -> Result<(), Error> {
        let choice = Choice::Any(option.to_owned());
        self.select_options(locator, &[choice], timeout)
            .await
            .map(drop)
    }

    /// Chooses exactly these options of a `select`, once it is visible and enabled and has them
    /// all. Gives the values that are chosen then.
    ///
    /// # Errors
    ///
    /// As for [`Page::click`]; without such an option, [`Error::NotActionable`] lists those that
    /// are there.
    pub async fn select_options(
        &self,
        locator: &Locator,
        choices: &[Choice],
        timeout: Duration,
    ) -> Result<Vec<String>, Error> {
        let deadline = Deadline::after(timeout);
        self.read_one(locator, "select", Some(json!(choices)), deadline)
            .await
    }

    /// Checks or unchecks a box (or a radio button, which can only be checked), by a click if it
    /// is not as wanted already. A box that is styled away is clicked by its label.
    ///
    /// # Errors
    ///
    /// As for [`Page::click`]; [`Error::NotActionable`] if the click did not change it.
    pub async fn set_checked(
        &self,
        locator: &Locator,
        checked: bool,
        timeout: Duration,
    ) -> Result<(), Error> {
        let deadline = Deadline::after(timeout);
        let is_checked = || self.read_one::<bool>(locator, "isChecked", None, deadline);
        if is_checked().await? == checked {
            return Ok(());
        }
        let prepare = Prepare::mouse("check", None);
        let events = |x, y| click_events(x, y, &Click::default());
        self.act(locator, prepare, events, deadline).await?;
        let became = match is_checked().await {
            // A click that closed its page did what it was to do.
            Err(Error::Detached) => checked,
            other => other?,
        };
        if became == checked {
            return Ok(());
        }
        Err(Error::NotActionable {
            locator: locator.to_string(),
            after: deadline.allowed(),
            reason: "the click did not change it".to_owned(),
        })
    }

    /// Hands files over. To a file input (which may be hidden, as many of them are) or its label,
    /// directly, in place of those that it has; any other element is clicked, and the file chooser
    /// that opens gets the files.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Ambiguous`]; [`Error::NotActionable`] for an input that is
    /// disabled or takes only one file; [`Error::TimedOut`] if no file chooser opens;
    /// [`Error::Io`] if a file is not there.
    pub async fn upload(
        &self,
        locator: &Locator,
        files: &[&Path],
        timeout: Duration,
    ) -> Result<(), Error> {
        let deadline = Deadline::after(timeout);
        for file in files {
            tokio::fs::metadata(file).await?;
        }
        self.settled(deadline).await?;
        self.reached()?;
        let scope = self.scope(locator, deadline.allowed(), deadline).await?;
        let arguments = json!([locator, millis(deadline.remaining())]);
        let found: Found<FileInput> = self
            .ask(&scope, "holdFileInput", &arguments, deadline)
            .await?;
        let input = found.one(locator, deadline)?;
        if !input.is_input {
            return self.upload_by_chooser(locator, files, deadline).await;
        }
        let refuse = |reason: &str| Error::NotActionable {
            locator: locator.to_string(),
            after: deadline.allowed(),
            reason: reason.to_owned(),
        };
        if input.is_disabled {
            return Err(refuse("it is disabled"));
        }
        if files.len() > 1 && !input.takes_several {
            return Err(refuse("it takes only one file"));
        }
        if files.is_empty() {
            let none = json!([]);
            return self.ask(&scope, "clearFiles", &none, deadline).await;
        }
        let object = self.held(&scope, deadline).await?;
        let params = json!({"objectId": object, "files": files});
        self.set_files(&scope, params, deadline).await
    }

    async fn set_files(
        &self,
        scope: &Scope,
        params: serde_json::Value,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let connection = &self.target.connection;
        let session = &scope.context.session;
        connection
            .call(session, "DOM.setFileInputFiles", params, deadline)
            .await
            .map(drop)
    }

    async fn upload_by_chooser(
        &self,
        locator: &Locator,
        files: &[&Path],
        deadline: Deadline,
    ) -> Result<(), Error> {
        let target = &self.target;
        let mut choosers =
            target
                .tabs
                .feed
                .subscribe(Some(&target.main_frame), &["Page.fileChooserOpened"], 4);
        let intercept = |enabled: bool| {
            let calls: Vec<_> = target
                .sessions()
                .iter()
                .map(|session| {
                    let params = json!({"enabled": enabled});
                    target
                        .connection
                        .start(session, "Page.setInterceptFileChooserDialog", params)
                })
                .collect();
            calls
        };
        for call in intercept(true) {
            call.wait(deadline).await?;
        }
        let clicked = self.click(locator, deadline.remaining()).await;
        let opened = match clicked {
            Ok(()) => deadline
                .wait(choosers.next())
                .await
                .ok_or_else(|| Error::TimedOut {
                    awaited: format!("{locator} to open a file chooser"),
                    after: deadline.allowed(),
                    found: "it was clicked, and none opened".to_owned(),
                }),
            Err(error) => Err(error),
        };
        drop(intercept(false));
        let opened = opened?.ok_or(Error::Closed)?;
        if files.len() > 1 && opened.params["mode"] != "selectMultiple" {
            return Err(Error::NotActionable {
                locator: locator.to_string(),
                after: deadline.allowed(),
                reason: "its file chooser takes only one file".to_owned(),
            });
        }
        let params = json!({
            "backendNodeId": opened.params["backendNodeId"],
            "files": files,
        });
        target
            .connection
            .call(&opened.session, "DOM.setFileInputFiles", params, deadline)
            .await
            .map(drop)
    }
}
