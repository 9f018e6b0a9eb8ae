//! What a page is told of the machine that it runs on: size, language, place, network, user agent.
//!
//! Everything here is for all pages of a browser, those that will open too, and takes effect at
//! once; a document that is already there keeps what it has read.

use std::time::Duration;

use serde_json::{Value, json};

use crate::deadline::Deadline;
use crate::page::{Page, QUESTION};
use crate::{Error, Script, World};

/// The part of the page that is in view.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Viewport {
    /// In CSS pixels.
    pub width: u32,
    /// In CSS pixels.
    pub height: u32,
    /// How many pixels of a picture a CSS pixel has on each side.
    pub device_scale_factor: f64,
}

/// A place on earth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Geolocation {
    /// In degrees, north is positive.
    pub latitude: f64,
    /// In degrees, east is positive.
    pub longitude: f64,
    /// In meters.
    pub accuracy: f64,
}

/// A name and a password for HTTP authentication, for one origin and no other. Its `Debug` leaves
/// out the password.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpCredentials {
    /// Such as `https://example.com`: scheme, host, and port if it isn't the scheme's own.
    pub origin: String,
    /// The name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for HttpCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpCredentials")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

impl Page {
    /// Sets the size of the part in view.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] for a size that the browser does not take.
    pub async fn set_viewport(&self, viewport: Viewport) -> Result<(), Error> {
        let params = json!({
            "width": viewport.width,
            "height": viewport.height,
            "deviceScaleFactor": viewport.device_scale_factor,
            "mobile": false,
        });
        self.apply("Emulation.setDeviceMetricsOverride", params)
            .await
    }

    /// Sets the language (a BCP 47 tag, such as `de-DE`) of pages and of requests, and the user
    /// agent; the browser's own stays where one is absent. Client hints say the same as the user
    /// agent, and are not sent for one that isn't Chromium's.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] for a tag that the browser does not take.
    pub async fn set_identity(
        &self,
        locale: Option<&str>,
        user_agent: Option<&str>,
    ) -> Result<(), Error> {
        let own;
        let user_agent = match user_agent {
            Some(user_agent) => user_agent,
            None => {
                let connection = &self.target.connection;
                let deadline = Deadline::after(QUESTION);
                let version = connection
                    .call("", "Browser.getVersion", json!({}), deadline)
                    .await?;
                own = version["userAgent"].as_str().unwrap_or_default().to_owned();
                &own
            }
        };
        let params = user_agent_override(user_agent, locale);
        self.apply("Emulation.setUserAgentOverride", params).await?;
        let params = json!({"locale": locale.unwrap_or_default()});
        self.apply("Emulation.setLocaleOverride", params).await
    }

    /// Sets the time zone, by its IANA name.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] for a name that the browser does not know.
    pub async fn set_time_zone(&self, time_zone: &str) -> Result<(), Error> {
        let method = "Emulation.setTimezoneOverride";
        // The browser itself would take any name, and mean UTC.
        let script = Script {
            arguments: vec![time_zone.into()],
            world: World::Isolated,
            ..Script::new("(timeZone) => void new Intl.DateTimeFormat('en', { timeZone })")
        };
        match self.run(&script, QUESTION).await {
            Err(Error::Script { message }) => {
                return Err(Error::Protocol {
                    method: method.to_owned(),
                    message,
                });
            }
            other => drop(other?),
        }
        self.apply(method, json!({"timezoneId": time_zone})).await
    }

    /// Sends these headers with every request, to whatever origin, in place of those given before.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] for headers that the browser does not take.
    pub async fn set_extra_headers(&self, headers: &[(String, String)]) -> Result<(), Error> {
        self.apply("Network.enable", json!({})).await?;
        self.apply("Network.setExtraHTTPHeaders", header_params(headers))
            .await
    }

    /// Answers when this origin asks for a name and a password, once for each request; if they are
    /// wrong, the page gets the refusal. Other origins are not answered.
    ///
    /// # Errors
    ///
    /// As for every question: the page or the browser has gone, or it does not answer.
    pub async fn set_http_credentials(
        &self,
        credentials: Option<HttpCredentials>,
    ) -> Result<(), Error> {
        self.target.tabs.set_credentials(credentials);
        self.intercept().await
    }

    /// Cuts the network, or gives it back.
    ///
    /// # Errors
    ///
    /// As for every question: the page or the browser has gone, or it does not answer.
    pub async fn set_offline(&self, offline: bool) -> Result<(), Error> {
        let params = json!({
            "offline": offline,
            "latency": 0,
            "downloadThroughput": -1,
            "uploadThroughput": -1,
        });
        self.apply("Network.enable", json!({})).await?;
        self.apply("Network.emulateNetworkConditions", params).await
    }

    /// Sets the place that pages are told when they ask and may know
    /// (see [`Page::grant_permissions`]).
    ///
    /// # Errors
    ///
    /// As for every question: the page or the browser has gone, or it does not answer.
    pub async fn set_geolocation(&self, place: Geolocation) -> Result<(), Error> {
        let params = json!({
            "latitude": place.latitude,
            "longitude": place.longitude,
            "accuracy": place.accuracy,
        });
        self.apply("Emulation.setGeolocationOverride", params).await
    }

    /// Grants an origin, or all if none is named, exactly these permissions, by the names of the
    /// DevTools protocol (`geolocation`, `notifications`, `clipboardReadWrite`).
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] for a name that the browser does not know.
    pub async fn grant_permissions(
        &self,
        permissions: &[&str],
        origin: Option<&str>,
    ) -> Result<(), Error> {
        let mut params = json!({"permissions": permissions});
        if let Some(origin) = origin {
            params["origin"] = origin.into();
        }
        self.call_browser("Browser.grantPermissions", params).await
    }

    /// Takes all permissions back.
    ///
    /// # Errors
    ///
    /// As for every question: the page or the browser has gone, or it does not answer.
    pub async fn reset_permissions(&self) -> Result<(), Error> {
        self.call_browser("Browser.resetPermissions", json!({}))
            .await
    }

    async fn call_browser(&self, method: &str, params: Value) -> Result<(), Error> {
        let deadline = Deadline::after(QUESTION);
        let connection = &self.target.connection;
        connection
            .call("", method, params, deadline)
            .await
            .map(drop)
    }

    pub(crate) async fn apply(&self, method: &'static str, params: Value) -> Result<(), Error> {
        let deadline = Deadline::after(QUESTION);
        self.target.tabs.apply(method, params, deadline).await
    }

    pub(crate) async fn withdraw(&self, method: &'static str, opposite: &str) -> Result<(), Error> {
        let deadline = Deadline::after(Duration::from_secs(5));
        let tabs = &self.target.tabs;
        tabs.withdraw(method, opposite, deadline).await
    }
}

/// The parameters of `Network.setExtraHTTPHeaders`.
pub(crate) fn header_params(headers: &[(String, String)]) -> Value {
    let headers: serde_json::Map<String, Value> = headers
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect();
    json!({"headers": headers})
}

/// The parameters of `Emulation.setUserAgentOverride`.
pub(crate) fn user_agent_override(user_agent: &str, locale: Option<&str>) -> Value {
    let mut params = json!({"userAgent": user_agent});
    if let Some(locale) = locale {
        params["acceptLanguage"] = locale.into();
    }
    if let Some(hints) = client_hints(user_agent) {
        params["platform"] = match hints["platform"].as_str() {
            Some("Windows") => "Win32".into(),
            Some("macOS") => "MacIntel".into(),
            Some("Android") => "Linux armv81".into(),
            _ => "Linux x86_64".into(),
        };
        params["userAgentMetadata"] = hints;
    }
    params
}

/// The client hints that a Chromium of this user agent sends; nothing for other browsers, which
/// send none.
fn client_hints(user_agent: &str) -> Option<Value> {
    let after = |mark: &str, ends: &[char]| {
        let (_, rest) = user_agent.split_once(mark)?;
        rest.split(ends).next()
    };
    let full = after("Chrome/", &[' ']).or_else(|| after("HeadlessChrome/", &[' ']))?;
    let major = full.split('.').next()?;
    let (platform, version) = if user_agent.contains("Android") {
        ("Android", after("Android ", &[';', ')']))
    } else if user_agent.contains("Windows NT") {
        ("Windows", after("Windows NT ", &[';', ')']))
    } else if user_agent.contains("Mac OS X") {
        ("macOS", after("Mac OS X ", &[';', ')']))
    } else {
        ("Linux", None)
    };
    let brands = |version: &str, other: &str| {
        json!([
            {"brand": "Chromium", "version": version},
            {"brand": "Google Chrome", "version": version},
            {"brand": "Not;A=Brand", "version": other},
        ])
    };
    Some(json!({
        "brands": brands(major, "24"),
        "fullVersionList": brands(full, "24.0.0.0"),
        "platform": platform,
        "platformVersion": version.unwrap_or_default().replace('_', "."),
        "architecture": if user_agent.contains("arm") || platform == "Android" { "arm" } else { "x86" },
        "bitness": "64",
        "model": "",
        "mobile": user_agent.contains("Mobile"),
        "wow64": false,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_hints_say_what_the_user_agent_says() {
        let windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.7390.37 Safari/537.36";
        let hints = client_hints(windows).expect("a Chromium");
        assert_eq!(hints["platform"], "Windows");
        assert_eq!(hints["platformVersion"], "10.0");
        assert_eq!(hints["brands"][1]["version"], "141");
        assert_eq!(hints["fullVersionList"][0]["version"], "141.0.7390.37");
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        assert!(client_hints(firefox).is_none());
    }

    #[test]
    fn a_password_is_not_written_for_debugging() {
        let credentials = HttpCredentials {
            origin: "https://a.example".into(),
            username: "ada".into(),
            password: "canary".into(),
        };
        assert!(!format!("{credentials:?}").contains("canary"));
    }
}
