//! What every page request goes through: find or open the session, work out the switches, be
//! slow or refuse if they say so. It never decides what a page shows.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{OriginalUri, RawPathParams, Request, State};
use axum::http::header::{COOKIE, RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use minijinja::context;

use crate::sessions::Site;
use crate::switches::Switches;

const COOKIE_NAME: &str = "portal_session";

/// One request of one browser, as the page handlers see it.
#[derive(Clone)]
pub(crate) struct Visit {
    /// The portal's memory.
    pub(crate) site: Arc<Site>,
    /// The browser's session.
    pub(crate) session_id: String,
    /// What stands before every path of this visit: `/with/…`, or nothing.
    pub(crate) prefix: String,
    /// The switches that count for this visit.
    pub(crate) switches: Switches,
    /// Who is signed in, if anybody is.
    pub(crate) email: Option<String>,
}

impl Visit {
    /// Sends the browser to a path of the site, keeping the prefix.
    pub(crate) fn redirect(&self, path: &str) -> Response {
        Redirect::to(&format!("{}{path}", self.prefix)).into_response()
    }

    /// Sends the browser to a path, with another session from now on.
    pub(crate) fn redirect_with_session(&self, path: &str, session_id: &str) -> Response {
        let mut response = self.redirect(path);
        self.set_cookie(&mut response, session_id);
        response
    }

    /// Shows a page to this visitor.
    pub(crate) fn page(
        &self,
        status: StatusCode,
        template: &str,
        values: minijinja::Value,
    ) -> Response {
        let visit = context! { prefix => &self.prefix, email => &self.email };
        crate::pages::show(status, template, context! { ..values, ..visit })
    }

    fn set_cookie(&self, response: &mut Response, session_id: &str) {
        let path = if self.prefix.is_empty() {
            "/"
        } else {
            &self.prefix
        };
        let cookie = format!("{COOKIE_NAME}={session_id}; Path={path}; HttpOnly; SameSite=Lax");
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            response.headers_mut().insert(SET_COOKIE, cookie);
        }
    }
}

/// Receives a page request; the handler gets the [`Visit`] as an extension.
pub(crate) async fn receive(
    State(site): State<Arc<Site>>,
    OriginalUri(uri): OriginalUri,
    path_params: RawPathParams,
    mut request: Request,
    next: Next,
) -> Response {
    let prefix = prefix_of(uri.path());
    let prefix_switches = match prefix_switches(&path_params) {
        Ok(switches) => switches,
        Err(reason) => return crate::pages::problem(StatusCode::BAD_REQUEST, &reason),
    };
    let known = site.find(session_ids(request.headers()), prefix);
    let is_new = known.is_none();
    let session_id = known.unwrap_or_else(|| site.open(prefix));
    let (session_switches, count, email) = site.with_session(&session_id, |session| {
        session.requests += 1;
        (
            session.switches,
            session.requests,
            session.email().map(str::to_owned),
        )
    });
    let switches = site
        .switches()
        .overlaid_by(prefix_switches)
        .overlaid_by(session_switches);
    let visit = Visit {
        site,
        session_id,
        prefix: prefix.to_owned(),
        switches,
        email,
    };

    tokio::time::sleep(Duration::from_millis(switches.slow_ms())).await;
    let mut response = if switches.flaky() > 0 && count % switches.flaky() == 0 {
        refuse()
    } else {
        request.extensions_mut().insert(visit.clone());
        next.run(request).await
    };
    if is_new && !response.headers().contains_key(SET_COOKIE) {
        visit.set_cookie(&mut response, &visit.session_id);
    }
    response
}

/// The switches that count for a checker's call, which has no visit but may carry the cookie.
pub(crate) fn switches_for(
    site: &Site,
    path: &str,
    path_params: &RawPathParams,
    headers: &HeaderMap,
) -> Result<Switches, String> {
    let switches = site.switches().overlaid_by(prefix_switches(path_params)?);
    Ok(match site.find(session_ids(headers), prefix_of(path)) {
        Some(id) => switches.overlaid_by(site.with_session(&id, |session| session.switches)),
        None => switches,
    })
}

fn prefix_switches(path_params: &RawPathParams) -> Result<Switches, String> {
    path_params
        .iter()
        .find(|(name, _)| *name == "switches")
        .map_or(Ok(Switches::default()), |(_, text)| {
            Switches::parse_prefix(text)
        })
}

fn refuse() -> Response {
    let mut response = crate::pages::problem(
        StatusCode::SERVICE_UNAVAILABLE,
        "The portal is busy. Please try again.",
    );
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// The `/with/…` at the start of the path as the browser sent it, or nothing.
fn prefix_of(path: &str) -> &str {
    let Some(rest) = path.strip_prefix("/with/") else {
        return "";
    };
    let switches = rest.split('/').next().unwrap_or_default();
    &path[.."/with/".len() + switches.len()]
}

fn session_ids(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == COOKIE_NAME)
        .map(|(_, id)| id)
}
