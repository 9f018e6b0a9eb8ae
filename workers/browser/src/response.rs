//! Waiting for an answer of a server, with its status, headers and body.
//!
//! A waiter is made before the action that causes the request, so that none can be missed. Nothing
//! is kept of answers that nobody waits for.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::deadline::Deadline;
use crate::feed::{Event, Subscription};
use crate::page::Page;
use crate::tabs::Domain;
use crate::target::Target;
use crate::{Error, UrlPattern};

/// What a waiter hears.
const INTERESTS: &[&str] = &[
    "Network.requestWillBeSent",
    "Network.responseReceived",
    "Network.loadingFinished",
    "Network.loadingFailed",
];

/// How many events a waiter may fall behind.
const MAILBOX: usize = 4096;

/// Which answer is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponsePattern {
    /// The URL that was asked for.
    pub url: UrlPattern,
    /// The request's method, such as `POST`; any, if absent.
    pub method: Option<String>,
    /// The answer's status; any, if absent.
    pub status: Option<u16>,
}

/// An answer of a server. Its body is still on its way, maybe. Its `Debug` leaves out the values
/// of headers, which may be secrets.
pub struct Response {
    /// The URL that was asked for.
    pub url: String,
    /// The HTTP status.
    pub status: u16,
    /// The headers, as the browser shows them to its tools (without `Set-Cookie`).
    pub headers: Vec<(String, String)>,
    target: Arc<Target>,
    session: String,
    request: String,
    has_body: bool,
    subscription: Subscription,
    _network: Domain,
}

/// Waits for one answer to a request that an action is about to cause.
pub struct ResponseWaiter {
    pattern: ResponsePattern,
    url: regex_lite::Regex,
    target: Arc<Target>,
    subscription: Subscription,
    network: Domain,
}

impl ResponsePattern {
    /// Any answer from such a URL.
    pub fn from(url: UrlPattern) -> Self {
        Self {
            url,
            method: None,
            status: None,
        }
    }
}

impl fmt::Display for ResponsePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a response")?;
        if let Some(status) = self.status {
            write!(f, " with status {status}")?;
        }
        if let Some(method) = &self.method {
            write!(f, " to {method}")?;
        }
        write!(f, " from {}", self.url)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Response")
            .field("url", &self.url)
            .field("status", &self.status)
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

impl Page {
    /// Registers for the next answer that fits, to this page or a frame in it. Call it before the
    /// action that causes the request, and wait on what it gives after it.
    ///
    /// # Errors
    ///
    /// [`Error::BadSelector`] for a pattern that can't be read.
    pub fn expect_response(&self, pattern: ResponsePattern) -> Result<ResponseWaiter, Error> {
        let tabs = &self.target.tabs;
        Ok(ResponseWaiter {
            url: pattern.url.compile()?,
            pattern,
            target: Arc::clone(&self.target),
            subscription: tabs
                .feed
                .subscribe(Some(&self.target.main_frame), INTERESTS, MAILBOX),
            network: tabs.switch_on("Network.enable"),
        })
    }
}

impl ResponseWaiter {
    /// Waits for the status and the headers of the answer.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] says which other answers came; others, that the page or the browser has
    /// gone.
    pub async fn wait(mut self, timeout: Duration) -> Result<Response, Error> {
        let deadline = Deadline::after(timeout);
        let mut methods = HashMap::new();
        let mut others = Vec::new();
        loop {
            let event = tokio::select! {
                event = self.subscription.next() => event.ok_or(Error::Closed)?,
                Err(error) = self.target.until(deadline, "", |_| None::<()>) => {
                    return Err(match error {
                        Error::TimedOut { after, .. } => Error::TimedOut {
                            awaited: self.pattern.to_string(),
                            after,
                            found: self.found(&others),
                        },
                        error => error,
                    });
                }
            };
            let Some((seen, is_redirect)) = answer(&event, &mut methods) else {
                continue;
            };
            let (status, url) = (status_of(seen), text(&seen["url"]));
            let method = methods
                .get(text(&event.params["requestId"]))
                .map(String::as_str);
            let fits = self.url.is_match(url)
                && self.pattern.status.is_none_or(|wanted| wanted == status)
                && (self.pattern.method.is_none() || self.pattern.method.as_deref() == method);
            if fits {
                let headers = headers(&seen["headers"]);
                return Ok(Response {
                    url: url.to_owned(),
                    status,
                    has_body: !is_redirect && has_body(status, method, &headers),
                    headers,
                    session: event.session.clone(),
                    request: text(&event.params["requestId"]).to_owned(),
                    target: self.target,
                    subscription: self.subscription,
                    _network: self.network,
                });
            }
            if others.len() < 5 {
                // Without query and fragment, in which tokens travel.
                let place = url.split(['?', '#']).next().unwrap_or_default();
                others.push(format!("{status} from {place}"));
            }
        }
    }

    fn found(&self, others: &[String]) -> String {
        let mut found = match others {
            [] => "no response came".to_owned(),
            others => format!("what came: {}", others.join(", ")),
        };
        if self.subscription.missed() > 0 {
            found += "; there were too many to look at all of them";
        }
        found
    }
}

impl Response {
    /// Waits for the end of the body and gives its bytes: none for a redirect, and where HTTP says
    /// that there are none. The browser keeps bodies up to some megabytes; larger ones are
    /// downloads.
    ///
    /// # Errors
    ///
    /// [`Error::NoBody`] if it broke off or the browser did not keep it.
    pub async fn body(&mut self, timeout: Duration) -> Result<Vec<u8>, Error> {
        let deadline = Deadline::after(timeout);
        // Chromium calls it broken off where the page does not look at what is not there.
        if !self.has_body {
            return Ok(Vec::new());
        }
        let refused = |reason: String| Error::NoBody { reason };
        let params = json!({"requestId": self.request});
        loop {
            let event = tokio::select! {
                event = self.subscription.next() => event.ok_or(Error::Closed)?,
                Err(error) = self.target.until(deadline, "the end of the body", |_| None::<()>) => {
                    return Err(error);
                }
            };
            if text(&event.params["requestId"]) != self.request {
                continue;
            }
            match event.method.as_str() {
                "Network.loadingFinished" => break,
                "Network.loadingFailed" => {
                    let why = text(&event.params["errorText"]);
                    return Err(refused(format!("it broke off ({why})")));
                }
                _ => {}
            }
        }
        let answer = self
            .target
            .connection
            .call(&self.session, "Network.getResponseBody", params, deadline)
            .await
            .map_err(|error| match error {
                Error::Protocol { message, .. } => refused(message),
                error => error,
            })?;
        let body = text(&answer["body"]);
        if answer["base64Encoded"].as_bool() == Some(true) {
            return STANDARD
                .decode(body)
                .map_err(|error| refused(error.to_string()));
        }
        Ok(body.as_bytes().to_vec())
    }
}

/// The answer in an event, if there is one, and whether it sent the browser elsewhere.
fn answer<'a>(
    event: &'a Event,
    methods: &mut HashMap<String, String>,
) -> Option<(&'a Value, bool)> {
    let request = text(&event.params["requestId"]);
    match event.method.as_str() {
        "Network.requestWillBeSent" => {
            let redirect = event.params.get("redirectResponse");
            if redirect.is_none() {
                let method = text(&event.params["request"]["method"]);
                methods.insert(request.to_owned(), method.to_owned());
            }
            redirect.map(|redirect| (redirect, true))
        }
        // The browser itself asks whether the page may.
        "Network.responseReceived" if text(&event.params["type"]) == "Preflight" => None,
        "Network.responseReceived" => Some((&event.params["response"], false)),
        _ => {
            methods.remove(request);
            None
        }
    }
}

/// Whether a response has a body, as far as its head says.
fn has_body(status: u16, method: Option<&str>, headers: &[(String, String)]) -> bool {
    let is_empty = |(name, value): &(String, String)| {
        name.eq_ignore_ascii_case("content-length") && value.trim() == "0"
    };
    !matches!(status, 204 | 205 | 304) && method != Some("HEAD") && !headers.iter().any(is_empty)
}

fn headers(headers: &Value) -> Vec<(String, String)> {
    let headers = headers.as_object().into_iter().flatten();
    headers
        .map(|(name, value)| (name.clone(), text(value).to_owned()))
        .collect()
}

/// The HTTP status in a response of the protocol's.
pub(crate) fn status_of(response: &Value) -> u16 {
    let status = response["status"].as_u64().unwrap_or_default();
    u16::try_from(status).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
