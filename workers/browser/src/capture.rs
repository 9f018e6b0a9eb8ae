//! Pictures and copies of the page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::deadline::Deadline;
use crate::page::{Page, QUESTION};
use crate::{Error, Locator};

/// Chromium can't make pictures higher than this, in pixels.
const MAX_HEIGHT: f64 = 16_384.0;

/// What a picture shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Screenshot {
    /// The whole document instead of the part in view.
    pub full_page: bool,
    /// Only this element.
    pub element: Option<Locator>,
    /// Elements that are covered with an opaque box, such as fields with secrets. What is not
    /// there is not covered.
    pub mask: Vec<Locator>,
}

impl Page {
    /// Takes a picture, as PNG.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the element is not there; otherwise as for every question.
    pub async fn screenshot(&self, screenshot: &Screenshot) -> Result<Vec<u8>, Error> {
        let deadline = Deadline::after(QUESTION);
        self.settled(deadline).await?;
        let mut masked = Vec::new();
        for locator in &screenshot.mask {
            match self
                .scope(locator, std::time::Duration::ZERO, deadline)
                .await
            {
                Ok(scope) => {
                    let done: Result<Value, Error> = self
                        .ask(&scope, "mask", &json!([[locator]]), deadline)
                        .await;
                    masked.push(scope);
                    done?;
                }
                Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let picture = self.capture(screenshot, deadline).await;
        for scope in masked {
            // A document that went away took its masks with it.
            drop(self.start(&scope, "unmask", &json!([])));
        }
        picture
    }

    async fn capture(&self, screenshot: &Screenshot, deadline: Deadline) -> Result<Vec<u8>, Error> {
        let mut params = json!({"format": "png", "optimizeForSpeed": true});
        let clip = if let Some(element) = &screenshot.element {
            Some(self.element_box(element, deadline).await?)
        } else if screenshot.full_page {
            let metrics = self
                .call("Page.getLayoutMetrics", json!({}), deadline)
                .await?;
            Some(metrics["cssContentSize"].clone())
        } else {
            None
        };
        if let Some(mut clip) = clip {
            let height = clip["height"].as_f64().unwrap_or_default();
            clip["height"] = height.min(MAX_HEIGHT).into();
            clip["scale"] = 1.into();
            params["clip"] = clip;
            params["captureBeyondViewport"] = true.into();
        }
        let answer = self
            .call("Page.captureScreenshot", params, deadline)
            .await?;
        bytes(&answer, "Page.captureScreenshot")
    }

    /// The page as it would be printed, as PDF.
    ///
    /// # Errors
    ///
    /// As for every question: the page or the browser has gone, or it does not answer.
    pub async fn pdf(&self) -> Result<Vec<u8>, Error> {
        let deadline = Deadline::after(QUESTION);
        self.readable(deadline).await?;
        let params = json!({"printBackground": true, "preferCSSPageSize": true});
        let answer = self.call("Page.printToPDF", params, deadline).await?;
        bytes(&answer, "Page.printToPDF")
    }

    /// The document's HTML as it is now. What was typed into fields is not in it, unless the page
    /// itself put it there.
    ///
    /// # Errors
    ///
    /// As for every question: the page or the browser has gone, or it does not answer.
    pub async fn dom_snapshot(&self) -> Result<String, Error> {
        let deadline = Deadline::after(QUESTION);
        self.settled(deadline).await?;
        self.ask_document("html", json!([]), deadline).await
    }

    async fn call(
        &self,
        method: &'static str,
        params: Value,
        deadline: Deadline,
    ) -> Result<Value, Error> {
        let target = &self.target;
        target
            .connection
            .call(&target.session, method, params, deadline)
            .await
    }
}

fn bytes(answer: &Value, method: &str) -> Result<Vec<u8>, Error> {
    STANDARD
        .decode(answer["data"].as_str().unwrap_or_default())
        .map_err(|error| Error::Protocol {
            method: method.to_owned(),
            message: error.to_string(),
        })
}
