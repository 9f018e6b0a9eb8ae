//! Requests and their answers, put together from the events of the network.
//!
//! Cookies and credentials in headers are never kept, whatever the redaction says.

use std::collections::HashMap;

use serde_json::Value;

use super::RecordingOptions;
use crate::feed::Event;

/// Longer texts (URLs, headers, what was posted) are cut, in characters.
const LONGEST: usize = 64 * 1024;

/// Headers whose values open doors.
const CREDENTIALS: [&str; 5] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "set-cookie",
    "x-api-key",
];

/// What stands where a credential was.
const WITHHELD: &str = "(withheld)";

pub(super) struct Network {
    options: RecordingOptions,
    pub(super) entries: Vec<Entry>,
    /// The entry that each request is at: a redirect begins a new one.
    current: HashMap<(String, String), usize>,
    /// What came before the request it belongs to.
    early: HashMap<(String, String), Vec<(String, String)>>,
    body_bytes: usize,
    pub(super) left_out: u64,
}

/// One request with its answer.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) page: String,
    /// Seconds since 1970.
    pub(super) wall_time: f64,
    /// Seconds of the browser's own clock.
    pub(super) began: f64,
    pub(super) ended: Option<f64>,
    pub(super) url: String,
    pub(super) method: String,
    pub(super) request_headers: Vec<(String, String)>,
    pub(super) posted: Option<String>,
    pub(super) kind: String,
    pub(super) response: Option<Response>,
    pub(super) redirect_url: String,
    pub(super) content_bytes: u64,
    pub(super) body: Option<String>,
    /// Why there is no answer, or no end of it.
    pub(super) failure: Option<String>,
    raw_headers: Option<RawHeaders>,
}

/// Headers of an answer as they went over the wire. They come by themselves, before or after it.
struct RawHeaders {
    status: u64,
    headers: Vec<(String, String)>,
}

pub(super) struct Response {
    pub(super) status: u64,
    pub(super) status_text: String,
    pub(super) protocol: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) mime_type: String,
    pub(super) transferred_bytes: Option<u64>,
    pub(super) address: String,
    pub(super) is_from_cache: bool,
    /// The protocol's `ResourceTiming`.
    pub(super) timing: Value,
}

impl Network {
    pub(super) fn new(options: RecordingOptions) -> Self {
        Self {
            options,
            entries: Vec::new(),
            current: HashMap::new(),
            early: HashMap::new(),
            body_bytes: 0,
            left_out: 0,
        }
    }

    /// Takes an event. Gives the entry whose body is to be fetched now, if any.
    pub(super) fn hear(&mut self, event: &Event) -> Option<usize> {
        let params = &event.params;
        let key = (event.session.clone(), text(&params["requestId"]).to_owned());
        if event.method == "Network.requestWillBeSent" {
            self.begin(event, key);
            return None;
        }
        if event.method == "Network.requestWillBeSentExtraInfo" {
            // It comes before or after the request.
            let headers = self.headers(&params["headers"]);
            match self.current.get(&key).map(|at| &mut self.entries[*at]) {
                Some(entry) => entry.request_headers = headers,
                None if self.early.len() < 64 => {
                    self.early.insert(key, headers);
                }
                None => {}
            }
            return None;
        }
        let at = *self.current.get(&key)?;
        match event.method.as_str() {
            "Network.responseReceived" => {
                let response = self.response(&params["response"]);
                self.answer(at, response);
                text(&params["type"]).clone_into(&mut self.entries[at].kind);
            }
            "Network.responseReceivedExtraInfo" => {
                let raw = RawHeaders {
                    status: params["statusCode"].as_u64().unwrap_or_default(),
                    headers: self.headers(&params["headers"]),
                };
                let entry = &mut self.entries[at];
                match &mut entry.response {
                    Some(response) => response.take_headers(raw),
                    // The answer itself follows.
                    None => entry.raw_headers = Some(raw),
                }
            }
            "Network.requestServedFromCache" => {
                if let Some(response) = &mut self.entries[at].response {
                    response.is_from_cache = true;
                }
            }
            "Network.dataReceived" => {
                let length = params["dataLength"].as_u64().unwrap_or_default();
                self.entries[at].content_bytes += length;
            }
            "Network.loadingFinished" => {
                self.current.remove(&key);
                let entry = &mut self.entries[at];
                entry.ended = params["timestamp"].as_f64();
                if let Some(response) = &mut entry.response {
                    response.transferred_bytes = whole(&params["encodedDataLength"]);
                }
                let most = self.options.max_body_bytes;
                let fits = usize::try_from(entry.content_bytes).is_ok_and(|bytes| bytes <= most);
                return (most > 0 && fits).then_some(at);
            }
            _ => {
                self.current.remove(&key);
                let failure = text(&params["errorText"]);
                let blocked = text(&params["blockedReason"]);
                let entry = &mut self.entries[at];
                entry.ended = params["timestamp"].as_f64();
                entry.failure = Some(match (failure, blocked) {
                    ("", "") => "unknown".to_owned(),
                    (failure, "") => failure.to_owned(),
                    (failure, blocked) => format!("{failure} ({blocked})"),
                });
            }
        }
        None
    }

    fn begin(&mut self, event: &Event, key: (String, String)) {
        let params = &event.params;
        let request = &params["request"];
        let url = text(&request["url"]);
        if let Some(at) = self.current.remove(&key) {
            if !params["redirectResponse"].is_null() {
                let response = self.response(&params["redirectResponse"]);
                let transferred = whole(&params["redirectResponse"]["encodedDataLength"]);
                self.answer(at, response);
                let redirect_url = self.kept(url);
                let entry = &mut self.entries[at];
                entry.redirect_url = redirect_url;
                if let Some(response) = &mut entry.response {
                    response.transferred_bytes = transferred;
                }
            }
            self.entries[at].ended = params["timestamp"].as_f64();
        }
        // What is in the page's own URL is no request to anybody.
        if url.starts_with("data:") || url.starts_with("blob:") {
            return;
        }
        if self.entries.len() == self.options.max_requests {
            self.left_out += 1;
            return;
        }
        let headers = self.early.remove(&key);
        let headers = headers.unwrap_or_else(|| self.headers(&request["headers"]));
        self.entries.push(Entry {
            page: event.page.clone(),
            wall_time: params["wallTime"].as_f64().unwrap_or_default(),
            began: params["timestamp"].as_f64().unwrap_or_default(),
            url: self.kept(url),
            method: text(&request["method"]).to_owned(),
            request_headers: headers,
            posted: request["postData"].as_str().map(|text| self.kept(text)),
            kind: text(&params["type"]).to_owned(),
            ..Entry::default()
        });
        self.current.insert(key, self.entries.len() - 1);
    }

    fn answer(&mut self, at: usize, mut response: Response) {
        let entry = &mut self.entries[at];
        if let Some(raw) = entry.raw_headers.take() {
            response.take_headers(raw);
        }
        entry.response = Some(response);
    }

    /// The browser gives an empty text for a body that it has forgotten.
    pub(super) fn keep_body(&mut self, at: usize, body: &str) {
        if body.is_empty() && self.entries[at].content_bytes > 0 {
            return;
        }
        let body = self.options.redaction.apply(body);
        if self.body_bytes + body.len() <= self.options.max_total_body_bytes {
            self.body_bytes += body.len();
            self.entries[at].body = Some(body);
        }
    }

    fn response(&self, response: &Value) -> Response {
        Response {
            status: response["status"].as_u64().unwrap_or_default(),
            status_text: text(&response["statusText"]).to_owned(),
            protocol: text(&response["protocol"]).to_owned(),
            headers: self.headers(&response["headers"]),
            mime_type: text(&response["mimeType"]).to_owned(),
            transferred_bytes: None,
            address: text(&response["remoteIPAddress"])
                .trim_matches(['[', ']'])
                .to_owned(),
            is_from_cache: response["fromDiskCache"] == true
                || response["fromServiceWorker"] == true,
            timing: response["timing"].clone(),
        }
    }

    fn headers(&self, headers: &Value) -> Vec<(String, String)> {
        let headers = headers.as_object().into_iter().flatten();
        headers
            .flat_map(|(name, values)| {
                // Several headers of one name come as lines of one value.
                let lines = text(values).split('\n');
                lines.map(move |value| {
                    let is_credential = CREDENTIALS.contains(&name.to_ascii_lowercase().as_str());
                    let value = if is_credential {
                        WITHHELD.to_owned()
                    } else {
                        self.kept(value)
                    };
                    (name.clone(), value)
                })
            })
            .collect()
    }

    fn kept(&self, text: &str) -> String {
        cut(self.options.redaction.apply(text), LONGEST)
    }
}

impl Response {
    /// Raw headers are better than those that scripts may see. Where they came late, they are those
    /// of the answer before, which sent the browser here.
    fn take_headers(&mut self, raw: RawHeaders) {
        if raw.status == self.status {
            self.headers = raw.headers;
        }
    }
}

/// The beginning of a text, as many characters.
pub(super) fn cut(text: String, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// A number of bytes, which the protocol gives as a float.
fn whole(value: &Value) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float that is no number of bytes becomes the nearest one"
    )]
    value.as_f64().map(|bytes| bytes.max(0.0) as u64)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
