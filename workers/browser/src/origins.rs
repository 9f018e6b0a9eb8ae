//! Where pages may go: origins that are allowed, and what keeps documents of others out.
//!
//! The browser asks before each request for a document, each hop of a redirect included, and it
//! asks only then: where nothing is said of origins, no request waits for a word from here. What is
//! in a page (pictures, scripts, frames) may come from anywhere.

use serde_json::{Value, json};

use crate::page::Page;
use crate::{Error, HttpCredentials};

impl Page {
    /// Lets pages, this and all others of the browser, those that will open too, go to these origins
    /// only; to any, if none is given. Each is written as `https://example.com`: scheme, host, and
    /// port if it isn't the scheme's own.
    ///
    /// A document of another origin, whatever leads there, is not asked for: the page shows the
    /// browser's error page instead (one that a service worker gives is left for an empty page), and the call during which that happens, or the next one, of
    /// whichever page, is [`Error::OriginRefused`]. Documents in frames are not looked at, nor are
    /// those that come without a request (`about:blank`, `data:`, `blob:`), nor what is there already.
    ///
    /// # Errors
    ///
    /// As for every question: the page or the browser has gone, or it does not answer.
    pub async fn allow_origins(&self, origins: &[String]) -> Result<(), Error> {
        self.target.tabs.set_origins(origins);
        self.intercept().await
    }

    /// Has the browser ask for what the settings need to be asked for, and for nothing else.
    pub(crate) async fn intercept(&self) -> Result<(), Error> {
        match self.target.tabs.interception() {
            Some(params) => self.apply("Fetch.enable", params).await,
            None => self.withdraw("Fetch.enable", "Fetch.disable").await,
        }
    }
}

/// Which requests wait for a word from here; none, if nothing needs that.
pub(crate) fn interception(
    origins: &[String],
    credentials: Option<&HttpCredentials>,
) -> Option<Value> {
    let mut patterns = Vec::new();
    if !origins.is_empty() {
        patterns.push(json!({"resourceType": "Document", "requestStage": "Request"}));
    }
    if let Some(credentials) = credentials {
        // Only this origin's requests take the way through here.
        patterns.push(json!({"urlPattern": format!("{}/*", credentials.origin)}));
    }
    (!patterns.is_empty())
        .then(|| json!({"handleAuthRequests": credentials.is_some(), "patterns": patterns}))
}

/// The origin of a document on the web, from a URL as the browser writes it; nothing for others.
pub(crate) fn origin_of(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    if !["http", "https"].contains(&scheme) {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    Some(format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_waits_unless_a_setting_needs_it_and_then_only_what_it_is_about() {
        let origins = ["https://a.example".to_owned()];
        let credentials = HttpCredentials {
            origin: "https://b.example".into(),
            username: "ada".into(),
            password: "canary".into(),
        };
        let documents = json!({"resourceType": "Document", "requestStage": "Request"});
        let asking = json!({"urlPattern": "https://b.example/*"});
        assert_eq!(interception(&[], None), None);
        assert_eq!(
            interception(&origins, None),
            Some(json!({"handleAuthRequests": false, "patterns": [documents]}))
        );
        assert_eq!(
            interception(&[], Some(&credentials)),
            Some(json!({"handleAuthRequests": true, "patterns": [asking]}))
        );
        assert_eq!(
            interception(&origins, Some(&credentials)),
            Some(json!({"handleAuthRequests": true, "patterns": [documents, asking]}))
        );
    }

    #[test]
    fn an_origin_is_read_without_what_only_looks_like_a_host() {
        let origin = |url| origin_of(url).unwrap_or_default();
        assert_eq!(origin("https://a.example/x?y#z"), "https://a.example");
        assert_eq!(
            origin("http://a.example:81?b.example/"),
            "http://a.example:81"
        );
        assert_eq!(origin("https://a.example@b.example/"), "https://b.example");
        assert_eq!(origin("http://[::1]:80/@a.example"), "http://[::1]:80");
        for none in [
            "about:blank",
            "data:text/html,https://x",
            "blob:https://a.example/1",
        ] {
            assert_eq!(origin_of(none), None);
        }
    }
}
