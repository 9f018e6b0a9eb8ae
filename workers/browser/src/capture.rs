//! Pictures and copies of the page.

use std::pin::pin;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::{Either, select};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::deadline::Deadline;
use crate::frame::Found;
use crate::page::{Page, QUESTION, millis};
use crate::{Error, Locator};

/// Chromium can't make pictures higher than this, in pixels.
const MAX_HEIGHT: f64 = 16_384.0;

/// How long a picture may take to come after its document was replaced.
const TELLING_OF_A_PICTURE: Duration = Duration::from_millis(500);

/// What a picture shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Screenshot {
    /// The whole document instead of the part in view.
    pub full_page: bool,
    /// Only this element; of one inside a frame, what its frame shows of it.
    pub element: Option<Locator>,
    /// Elements that are covered with an opaque box, such as fields with secrets. What is not
    /// there is not covered.
    pub mask: Vec<Locator>,
}

/// How a page is printed.
#[derive(Clone, Debug, PartialEq)]
pub struct PdfOptions {
    /// Width and height of the paper; what the page's style sheet says, or else US Letter, if
    /// absent.
    pub paper_inches: Option<(f64, f64)>,
    /// Whether the paper is turned.
    pub landscape: bool,
    /// Whether backgrounds are printed.
    pub background: bool,
    /// The margins above, on the right, below and on the left; about 0.4 each, if absent. A page's
    /// style sheet may overrule them.
    pub margins_inches: Option<[f64; 4]>,
    /// How much larger than life, from 0.1 to 2.
    pub scale: f64,
    /// The pages that are printed, such as `1-3, 5`; all, if empty.
    pub pages: String,
    /// Elements that are not printed, such as fields with secrets.
    pub mask: Vec<Locator>,
}

impl Default for PdfOptions {
    fn default() -> Self {
        Self {
            paper_inches: None,
            landscape: false,
            background: true,
            margins_inches: None,
            scale: 1.0,
            pages: String::new(),
            mask: Vec::new(),
        }
    }
}

/// Where an element is, in the visible part of a document, and how far that is scrolled; of a frame,
/// how much larger than life its document is shown.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    x: f64,
    y: f64,
    #[serde(default)]
    width: f64,
    #[serde(default)]
    height: f64,
    #[serde(default = "life_size")]
    scale_x: f64,
    #[serde(default = "life_size")]
    scale_y: f64,
    scroll_x: f64,
    scroll_y: f64,
}

fn life_size() -> f64 {
    1.0
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
        loop {
            let taken = self
                .covered(false, &screenshot.mask, deadline, async || {
                    self.capture(screenshot, deadline).await
                })
                .await;
            if let Some(taken) = self.unless_replaced(taken, &"a picture", deadline).await {
                return taken;
            }
            self.settled(deadline).await?;
        }
    }

    /// Does something while elements are covered, and whatever must not be seen. What is not there is not covered.
    async fn covered<T>(
        &self,
        is_printed: bool,
        elements: &[Locator],
        deadline: Deadline,
        action: impl AsyncFnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut scopes = Vec::new();
        let mut covered = self.cover_found(is_printed, &mut scopes, deadline).await;
        for element in elements {
            if covered.is_err() {
                break;
            }
            covered = match self.scope(element, Duration::ZERO, deadline).await {
                Ok(scope) => {
                    let arguments = json!([[element], is_printed]);
                    let done: Result<Value, Error> =
                        self.ask(&scope, "cover", &arguments, deadline).await;
                    scopes.push(scope);
                    done.map(drop)
                }
                Err(Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(error),
            };
        }
        let result = match covered {
            Ok(()) => action().await,
            Err(error) => Err(error),
        };
        for scope in scopes {
            // A document that went away took its masks with it.
            drop(self.start(&scope, "unmask", &json!([])));
        }
        result
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
        let document = self.document();
        let answer = pin!(self.call("Page.captureScreenshot", params, deadline));
        let replaced = pin!(self.replaced(document, deadline));
        match select(answer, replaced).await {
            Either::Left((answer, _)) => bytes(&answer?, "Page.captureScreenshot"),
            Either::Right((Ok(()), answer)) => {
                // Chromium may never answer for a document that has gone.
                match tokio::time::timeout(TELLING_OF_A_PICTURE, answer).await {
                    Ok(answer) => bytes(&answer?, "Page.captureScreenshot"),
                    Err(_) => Err(Error::DocumentReplaced),
                }
            }
            Either::Right((Err(Error::TimedOut { .. }), answer)) => {
                bytes(&answer.await?, "Page.captureScreenshot")
            }
            Either::Right((Err(error), _)) => Err(error),
        }
    }

    /// Waits until the page has another document than this one.
    async fn replaced(&self, document: Option<String>, deadline: Deadline) -> Result<(), Error> {
        let main = &self.target.main_frame;
        self.target
            .until(deadline, "another document", |state| {
                (state.frame(main)?.document() != document).then_some(())
            })
            .await
    }

    /// The box of one element in the coordinates of the page's whole document.
    async fn element_box(&self, locator: &Locator, deadline: Deadline) -> Result<Value, Error> {
        let scope = self.scope(locator, deadline.allowed(), deadline).await?;
        let arguments = json!([locator, millis(deadline.remaining())]);
        let found: Found<Place> = self.ask(&scope, "box", &arguments, deadline).await?;
        let mut place = found.one(locator, deadline)?;
        for origin in self.origins::<Place>(&scope, deadline).await? {
            place = Place {
                x: origin.x + place.x * origin.scale_x,
                y: origin.y + place.y * origin.scale_y,
                width: place.width * origin.scale_x,
                height: place.height * origin.scale_y,
                ..origin
            };
        }
        Ok(json!({
            "x": place.x + place.scroll_x,
            "y": place.y + place.scroll_y,
            "width": place.width,
            "height": place.height,
        }))
    }

    /// The page as it would be printed, as PDF.
    ///
    /// # Errors
    ///
    /// As for every question: the page or the browser has gone, or it does not answer.
    pub async fn pdf(&self) -> Result<Vec<u8>, Error> {
        self.pdf_with(&PdfOptions::default()).await
    }

    /// The page printed in some other way than on paper of the usual size, upright, with its
    /// backgrounds, as PDF.
    ///
    /// # Errors
    ///
    /// As for [`Page::pdf`]; [`Error::Protocol`] for sizes, a scale or pages that can't be.
    pub async fn pdf_with(&self, options: &PdfOptions) -> Result<Vec<u8>, Error> {
        let deadline = Deadline::after(QUESTION);
        self.readable(deadline).await?;
        let mut params = json!({
            "printBackground": options.background,
            "landscape": options.landscape,
            "scale": options.scale,
            "pageRanges": options.pages,
            "preferCSSPageSize": options.paper_inches.is_none(),
        });
        if let Some((width, height)) = options.paper_inches {
            params["paperWidth"] = width.into();
            params["paperHeight"] = height.into();
        }
        if let Some([top, right, bottom, left]) = options.margins_inches {
            params["marginTop"] = top.into();
            params["marginRight"] = right.into();
            params["marginBottom"] = bottom.into();
            params["marginLeft"] = left.into();
        }
        self.covered(true, &options.mask, deadline, async || {
            let answer = self.call("Page.printToPDF", params, deadline).await?;
            bytes(&answer, "Page.printToPDF")
        })
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
