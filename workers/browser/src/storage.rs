//! Cookies and local storage: taken out, put in, cleared. The format is that of Playwright's
//! `storageState`, so that sessions can be carried from there and to there.
//!
//! Values are secrets: whoever has them is signed in. Nothing here writes them anywhere.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Error;
use crate::deadline::Deadline;
use crate::page::{Page, QUESTION, value};

/// A cookie. Its `Debug` leaves out the value.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The domain that it is sent to; with a dot in front, to subdomains too.
    pub domain: String,
    /// The path that it is sent to.
    pub path: String,
    /// When it ends, in seconds since 1970; `-1` for one that ends with the browser.
    #[serde(default = "session")]
    pub expires: f64,
    /// Whether it is hidden from scripts.
    #[serde(default)]
    pub http_only: bool,
    /// Whether it is sent over HTTPS only.
    #[serde(default)]
    pub secure: bool,
    /// Whether other sites' requests carry it.
    #[serde(default)]
    pub same_site: SameSite,
}

fn session() -> f64 {
    -1.0
}

/// Whether a cookie goes with requests that other sites cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SameSite {
    /// Never.
    Strict,
    /// Only when they navigate.
    #[default]
    Lax,
    /// Always.
    None,
}

/// What a browser remembers of sites, as far as sign-ins go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StorageState {
    /// All cookies.
    #[serde(default)]
    pub cookies: Vec<Cookie>,
    /// Local storage, by origin.
    #[serde(default)]
    pub origins: Vec<OriginState>,
}

/// The local storage of one origin. Its `Debug` leaves out the values.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OriginState {
    /// Such as `https://example.com`.
    pub origin: String,
    /// What is in it.
    #[serde(default)]
    pub local_storage: Vec<StoredItem>,
}

/// One item of local storage.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredItem {
    /// Its key.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cookie")
            .field("name", &self.name)
            .field("domain", &self.domain)
            .field("path", &self.path)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for OriginState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OriginState")
            .field("origin", &self.origin)
            .field("items", &self.local_storage.len())
            .finish()
    }
}

impl Page {
    /// All cookies of the browser.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] if the browser has gone.
    pub async fn cookies(&self) -> Result<Vec<Cookie>, Error> {
        let answer = self.ask_browser("Storage.getCookies", json!({})).await?;
        let cookies = answer["cookies"].as_array().into_iter().flatten();
        Ok(cookies.map(cookie).collect())
    }

    /// Puts cookies into the browser, over those of the same name, domain and path.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] if the browser refuses one of them: then none is set.
    pub async fn set_cookies(&self, cookies: &[Cookie]) -> Result<(), Error> {
        let cookies: Vec<Value> = cookies
            .iter()
            .map(|cookie| {
                let mut params = json!(cookie);
                if cookie.expires < 0.0
                    && let Some(params) = params.as_object_mut()
                {
                    params.remove("expires");
                }
                params
            })
            .collect();
        self.ask_browser("Storage.setCookies", json!({"cookies": cookies}))
            .await
            .map(drop)
    }

    /// Removes all cookies.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] if the browser has gone.
    pub async fn clear_cookies(&self) -> Result<(), Error> {
        self.ask_browser("Storage.clearCookies", json!({}))
            .await
            .map(drop)
    }

    /// What the browser remembers: all cookies, and the local storage of all origins that a page
    /// or a frame was at since it started. Partitioned cookies and storage are not among it.
    ///
    /// # Errors
    ///
    /// As for every question: the page or the browser has gone, or it does not answer.
    pub async fn storage_state(&self) -> Result<StorageState, Error> {
        let mut state = StorageState {
            cookies: self.cookies().await?,
            origins: Vec::new(),
        };
        let origins = self.target.tabs.visited();
        if origins.is_empty() {
            return Ok(state);
        }
        let room = self.back_room().await?;
        for origin in origins {
            let script = "Object.entries(localStorage).map(([name, value]) => ({ name, value }))";
            let items = room.visit(&origin, script).await?;
            let local_storage: Vec<StoredItem> =
                serde_json::from_value(items).map_err(|error| Error::Protocol {
                    method: "localStorage".to_owned(),
                    message: error.to_string(),
                })?;
            if !local_storage.is_empty() {
                state.origins.push(OriginState {
                    origin,
                    local_storage,
                });
            }
        }
        room.leave().await?;
        Ok(state)
    }

    /// Puts cookies and local storage into the browser. What is there already and not in the state
    /// stays. No site is contacted.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] if the browser refuses a cookie, [`Error::Script`] if an origin's items
    /// don't fit into its storage.
    pub async fn set_storage_state(&self, state: &StorageState) -> Result<(), Error> {
        self.set_cookies(&state.cookies).await?;
        if state.origins.is_empty() {
            return Ok(());
        }
        let room = self.back_room().await?;
        for OriginState {
            origin,
            local_storage,
        } in &state.origins
        {
            let script = format!(
                "for (const {{ name, value }} of {}) localStorage.setItem(name, value)",
                json!(local_storage)
            );
            room.visit(origin, &script).await?;
            self.target.tabs.visit(origin);
        }
        room.leave().await
    }

    async fn ask_browser(&self, method: &str, params: Value) -> Result<Value, Error> {
        let deadline = Deadline::after(QUESTION);
        let connection = &self.target.connection;
        connection.call("", method, params, deadline).await
    }

    async fn back_room(&self) -> Result<BackRoom, Error> {
        let deadline = Deadline::after(QUESTION);
        let target = self.target.tabs.open_hidden(deadline).await?;
        let page = Page::of(target, deadline).await?;
        let patterns = json!({"patterns": [{"urlPattern": "*"}]});
        page.call("Fetch.enable", patterns, deadline).await?;
        page.call("Network.enable", json!({}), deadline).await?;
        let bypass = json!({"bypass": true});
        page.call("Network.setBypassServiceWorker", bypass, deadline)
            .await?;
        Ok(BackRoom { page })
    }
}

/// A page that nobody sees. It is at an origin without having asked its server: every request of
/// it gets an empty document.
struct BackRoom {
    page: Page,
}

impl BackRoom {
    /// What a script gives at an origin.
    async fn visit(&self, origin: &str, script: &str) -> Result<Value, Error> {
        let deadline = Deadline::after(QUESTION);
        let url = format!("{origin}/");
        self.page.goto(&url, QUESTION).await?;
        let params = json!({"expression": script, "returnByValue": true});
        let answer = self.page.call("Runtime.evaluate", params, deadline).await?;
        value(answer)
    }

    async fn leave(self) -> Result<(), Error> {
        self.page.close(QUESTION).await
    }
}

fn cookie(answer: &Value) -> Cookie {
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    let is = |name: &str| answer[name].as_bool().unwrap_or_default();
    Cookie {
        name: text("name"),
        value: text("value"),
        domain: text("domain"),
        path: text("path"),
        expires: answer["expires"]
            .as_f64()
            .filter(|_| !is("session"))
            .unwrap_or(-1.0),
        http_only: is("httpOnly"),
        secure: is("secure"),
        same_site: match answer["sameSite"].as_str() {
            Some("Strict") => SameSite::Strict,
            Some("None") => SameSite::None,
            _ => SameSite::Lax,
        },
    }
}
