//! Choosing: options of a select, boxes to check, files to hand over.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::deadline::Deadline;
use crate::page::Page;
use crate::{Error, Locator};

impl Page {
    /// Chooses the option of a `select` with this label, or else with this value, once the select
    /// is visible and enabled and has the option.
    ///
    /// # Errors
    ///
    /// As for [`Page::click`]; without such an option, [`Error::NotActionable`] lists those that
    /// are there.
    pub async fn select_option(
        &self,
        locator: &Locator,
        option: &str,
        timeout: Duration,
    ) -> Result<(), Error> {
        let deadline = Deadline::after(timeout);
        self.read_one(locator, "select", Some(option), deadline)
            .await
    }

    /// Checks or unchecks a box (or a radio button, which can only be checked), by a click if it
    /// is not as wanted already.
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
        self.click(locator, deadline.remaining()).await?;
        if is_checked().await? == checked {
            return Ok(());
        }
        Err(Error::NotActionable {
            locator: locator.to_string(),
            after: deadline.allowed(),
            reason: "the click did not change it".to_owned(),
        })
    }

    /// Hands files to a file input, which may be hidden, as many of them are.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Ambiguous`]; [`Error::Protocol`] if it is no file input.
    pub async fn upload(
        &self,
        locator: &Locator,
        files: &[&Path],
        timeout: Duration,
    ) -> Result<(), Error> {
        let deadline = Deadline::after(timeout);
        self.settled(deadline).await?;
        self.reached()?;
        let scope = self.scope(locator, deadline.allowed(), deadline).await?;
        let object = self
            .hold(&scope, locator, deadline.allowed(), deadline)
            .await?;
        let params = json!({"objectId": object, "files": files});
        self.target
            .connection
            .call(
                &scope.context.session,
                "DOM.setFileInputFiles",
                params,
                deadline,
            )
            .await
            .map(drop)
    }
}
