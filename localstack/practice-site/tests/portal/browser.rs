//! A browser as far as these tests need one: it keeps cookies under their paths, follows
//! redirects and reads the table. It runs no scripts.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt;

/// The password of every account.
pub(crate) const PASSWORD: &str = "correct-horse-battery";

/// One browser on one portal.
#[derive(Clone)]
pub(crate) struct Browser {
    site: Router,
    cookies: BTreeMap<String, String>,
}

/// An answer, read to its end.
pub(crate) struct Page {
    pub(crate) path: String,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Browser {
    pub(crate) fn on(site: &Router) -> Self {
        Self {
            site: site.clone(),
            cookies: BTreeMap::new(),
        }
    }

    pub(crate) async fn open(&mut self, path: &str) -> Page {
        self.send(Method::GET, path, "", Vec::new()).await
    }

    pub(crate) async fn submit(&mut self, path: &str, form: &str) -> Page {
        let kind = "application/x-www-form-urlencoded";
        self.send(Method::POST, path, kind, form.into()).await
    }

    pub(crate) async fn post(&mut self, path: &str, kind: &str, body: Vec<u8>) -> Page {
        self.send(Method::POST, path, kind, body).await
    }

    /// Sends the login form; the plus sign of a tagged address is encoded.
    pub(crate) async fn sign_in(&mut self, prefix: &str, email: &str) -> Page {
        let email = email.replace('+', "%2B");
        let form = format!("email={email}&password={PASSWORD}");
        self.submit(&format!("{prefix}/login"), &form).await
    }

    async fn send(&mut self, method: Method, path: &str, kind: &str, body: Vec<u8>) -> Page {
        let (mut method, mut path, mut body) = (method, path.to_owned(), body);
        for _ in 0..5 {
            let page = self.send_once(&method, &path, kind, body).await;
            match page.headers.get(LOCATION) {
                Some(location) => {
                    path = location.to_str().expect("a location is text").to_owned();
                    (method, body) = (Method::GET, Vec::new());
                }
                None => return page,
            }
        }
        panic!("more than five redirects, the last to {path}");
    }

    async fn send_once(&mut self, method: &Method, path: &str, kind: &str, body: Vec<u8>) -> Page {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(CONTENT_TYPE, kind)
            .header(COOKIE, self.cookies_for(path))
            .body(Body::from(body))
            .expect("the request is well-formed");
        let answer = self.site.clone().oneshot(request).await;
        let (head, body) = answer.expect("a router always answers").into_parts();
        for cookie in head.headers.get_all(SET_COOKIE) {
            self.keep(cookie.to_str().expect("a cookie is text"));
        }
        let bytes = to_bytes(body, usize::MAX).await.expect("the body arrives");
        Page {
            path: path.to_owned(),
            status: head.status,
            headers: head.headers,
            text: String::from_utf8(bytes.to_vec()).expect("the body is text"),
        }
    }

    fn keep(&mut self, cookie: &str) {
        assert!(cookie.contains("; HttpOnly"), "{cookie}");
        assert!(cookie.contains("; SameSite=Lax"), "{cookie}");
        let pair = cookie.split(';').next().unwrap_or_default();
        let path = cookie.split("Path=").nth(1).expect("the cookie has a path");
        let path = path.split(';').next().unwrap_or_default();
        self.cookies.insert(path.to_owned(), pair.to_owned());
    }

    /// All cookies whose path is above this one, the longest path first, as browsers send them.
    fn cookies_for(&self, path: &str) -> String {
        let matching =
            |cookie_path: &str| cookie_path == "/" || path.starts_with(&format!("{cookie_path}/"));
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .rev()
            .filter(|(cookie_path, _)| matching(cookie_path))
            .map(|(_, pair)| pair.as_str())
            .collect();
        cookies.join("; ")
    }
}

impl Page {
    /// The cells of the table's body, one list for each row.
    pub(crate) fn rows(&self) -> Vec<Vec<String>> {
        let rows = self.text.split("<tr>").filter(|row| row.contains("<td"));
        rows.map(|row| {
            row.split("<td")
                .skip(1)
                .map(|cell| {
                    let from = cell.find('>').expect("the tag of the cell ends") + 1;
                    let to = cell.find("</td>").expect("the cell ends");
                    unescape(&cell[from..to])
                })
                .collect()
        })
        .collect()
    }

    /// The text of the alert, if there is one.
    pub(crate) fn alert(&self) -> Option<&str> {
        self.text.split("role=\"alert\">").nth(1)?.split('<').next()
    }

    /// Where the link of this name leads; nothing for a link that leads nowhere.
    pub(crate) fn link(&self, name: &str) -> Option<String> {
        let before = self.text.split(&format!(">{name}</a>")).next()?;
        let tag = before
            .rsplit("<a ")
            .next()
            .filter(|_| before != self.text)?;
        Some(unescape(tag.split("href=\"").nth(1)?.split('"').next()?))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("the answer is JSON")
    }
}

fn unescape(html: &str) -> String {
    html.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#x27;", "'")
        .replace("&#x2f;", "/")
        .replace("&amp;", "&")
}
