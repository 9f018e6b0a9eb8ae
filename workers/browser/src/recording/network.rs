//! Requests and their answers, put together from the events of the network.
//!
//! Cookies and credentials in headers are never kept, whatever the redaction says.

use std::collections::{HashMap, VecDeque};

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

/// How many requests may have headers without anything else being known of them: those of workers
/// and those that did not fit stay so.
const MOST_STRAYS: usize = 64;

pub(super) struct Network {
    options: RecordingOptions,
    pub(super) entries: Vec<Entry>,
    exchanges: HashMap<Key, Exchange>,
    /// Exchanges that only have headers, the oldest first.
    strays: VecDeque<Key>,
    body_bytes: usize,
    pub(super) left_out: u64,
}

/// A request as the browser names it: its session and its id, which redirects keep.
type Key = (String, String);

/// What is on its way for one id.
///
/// The headers as they went over the wire come from another process of the browser than everything
/// else: in order among themselves, but before or after what they belong to, and even after its end.
/// Whether there will be any is told with the answer, by
/// [`hasExtraInfo`](https://chromedevtools.github.io/devtools-protocol/tot/Network/#event-responseReceived).
#[derive(Default)]
struct Exchange {
    /// The entry that it is at: a redirect begins a new one. None before its request and after its end.
    current: Option<usize>,
    requests: Raw<Vec<(String, String)>>,
    responses: Raw<RawHeaders>,
}

impl Exchange {
    /// Whether there is no entry in it, or none any more.
    fn has_ended(&self) -> bool {
        self.current.is_none()
            && self.requests.entries.is_empty()
            && self.responses.entries.is_empty()
    }
}

/// Headers as they went over the wire, and the entries that they belong to, each in its own order.
struct Raw<T> {
    entries: VecDeque<usize>,
    headers: VecDeque<T>,
}

impl<T> Default for Raw<T> {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            headers: VecDeque::new(),
        }
    }
}

impl<T> Raw<T> {
    /// The next entry with its headers, once both are there.
    fn next(&mut self) -> Option<(usize, T)> {
        if self.entries.is_empty() || self.headers.is_empty() {
            return None;
        }
        self.entries.pop_front().zip(self.headers.pop_front())
    }
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
    pub(super) is_from_cache: bool,
}

/// Headers of an answer as they went over the wire.
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
    /// The protocol's `ResourceTiming`.
    pub(super) timing: Value,
}

impl Network {
    pub(super) fn new(options: RecordingOptions) -> Self {
        Self {
            options,
            entries: Vec::new(),
            exchanges: HashMap::new(),
            strays: VecDeque::new(),
            body_bytes: 0,
            left_out: 0,
        }
    }

    /// Takes an event. Gives the entry whose body is to be fetched now, if any.
    pub(super) fn hear(&mut self, event: &Event) -> Option<usize> {
        let params = &event.params;
        if event.method == "Target.detachedFromTarget" {
            let gone = text(&params["sessionId"]);
            self.exchanges.retain(|(session, _), _| session != gone);
            return None;
        }
        let key = (event.session.clone(), text(&params["requestId"]).to_owned());
        let body = match event.method.as_str() {
            "Network.requestWillBeSent" => {
                self.begin(event, &key);
                None
            }
            "Network.requestWillBeSentExtraInfo" => {
                let headers = self.headers(&params["headers"]);
                self.exchange(&key).requests.headers.push_back(headers);
                None
            }
            "Network.responseReceivedExtraInfo" => {
                let raw = RawHeaders {
                    status: params["statusCode"].as_u64().unwrap_or_default(),
                    headers: self.headers(&params["headers"]),
                };
                self.exchange(&key).responses.headers.push_back(raw);
                None
            }
            _ => {
                let at = self.exchanges.get(&key)?.current?;
                self.go_on(event, &key, at)
            }
        };
        self.settle(&key);
        body
    }

    /// Whether headers of answers are still on their way.
    pub(super) fn is_waiting(&self) -> bool {
        let mut exchanges = self.exchanges.values();
        exchanges.any(|exchange| !exchange.responses.entries.is_empty())
    }

    /// Requests without an answer get the headers that they were sent with, if those are known.
    pub(super) fn finish(&mut self) {
        let keys: Vec<Key> = self.exchanges.keys().cloned().collect();
        for key in keys {
            let exchange = self.exchange(&key);
            exchange.requests.entries.extend(exchange.current.take());
            self.settle(&key);
        }
    }

    fn go_on(&mut self, event: &Event, key: &Key, at: usize) -> Option<usize> {
        let params = &event.params;
        match event.method.as_str() {
            "Network.responseReceived" => {
                self.answer(at, key, &params["response"], &params["hasExtraInfo"]);
                text(&params["type"]).clone_into(&mut self.entries[at].kind);
            }
            "Network.requestServedFromCache" => self.entries[at].is_from_cache = true,
            "Network.dataReceived" => {
                let length = params["dataLength"].as_u64().unwrap_or_default();
                self.entries[at].content_bytes += length;
            }
            "Network.loadingFinished" => {
                self.exchange(key).current = None;
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
                self.exchange(key).current = None;
                let failure = text(&params["errorText"]);
                let blocked = text(&params["blockedReason"]);
                let entry = &mut self.entries[at];
                entry.ended = params["timestamp"].as_f64();
                entry.failure = Some(match (failure, blocked) {
                    ("", "") => "unknown".to_owned(),
                    (failure, "") => failure.to_owned(),
                    (failure, blocked) => format!("{failure} ({blocked})"),
                });
                // It may have been sent, or not.
                if entry.response.is_none() {
                    self.exchange(key).requests.entries.push_back(at);
                }
            }
        }
        None
    }

    fn begin(&mut self, event: &Event, key: &Key) {
        let params = &event.params;
        let request = &params["request"];
        let url = text(&request["url"]);
        if let Some(at) = self.exchange(key).current.take() {
            if !params["redirectResponse"].is_null() {
                let response = &params["redirectResponse"];
                self.answer(at, key, response, &params["redirectHasExtraInfo"]);
                let redirect_url = self.kept(url);
                let entry = &mut self.entries[at];
                entry.redirect_url = redirect_url;
                if let Some(answer) = &mut entry.response {
                    answer.transferred_bytes = whole(&response["encodedDataLength"]);
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
        self.entries.push(Entry {
            page: event.page.clone(),
            wall_time: params["wallTime"].as_f64().unwrap_or_default(),
            began: params["timestamp"].as_f64().unwrap_or_default(),
            url: self.kept(url),
            method: text(&request["method"]).to_owned(),
            request_headers: self.headers(&request["headers"]),
            posted: request["postData"].as_str().map(|text| self.kept(text)),
            kind: text(&params["type"]).to_owned(),
            ..Entry::default()
        });
        self.exchange(key).current = Some(self.entries.len() - 1);
    }

    fn answer(&mut self, at: usize, key: &Key, response: &Value, has_raw_headers: &Value) {
        let is_from_cache =
            response["fromDiskCache"] == true || response["fromServiceWorker"] == true;
        let response = self.response(response);
        let entry = &mut self.entries[at];
        // Of what is in the page's memory the browser promises headers that never come
        // (https://crbug.com/1340398).
        let has_raw_headers = *has_raw_headers == true && !entry.is_from_cache;
        entry.is_from_cache |= is_from_cache;
        entry.response = Some(response);
        if has_raw_headers {
            let exchange = self.exchange(key);
            exchange.requests.entries.push_back(at);
            exchange.responses.entries.push_back(at);
        }
    }

    fn exchange(&mut self, key: &Key) -> &mut Exchange {
        self.exchanges.entry(key.clone()).or_default()
    }

    /// Gives each entry its raw headers, and forgets exchanges that nothing more belongs to.
    fn settle(&mut self, key: &Key) {
        let Some(exchange) = self.exchanges.get_mut(key) else {
            return;
        };
        while let Some((at, headers)) = exchange.requests.next() {
            self.entries[at].request_headers = headers;
        }
        while let Some((at, raw)) = exchange.responses.next() {
            // The answer that a copy was validated with (304) is not the one that the page got.
            if let Some(response) = &mut self.entries[at].response
                && response.status == raw.status
            {
                response.headers = raw.headers;
            }
        }
        if !exchange.has_ended() {
            return;
        }
        if exchange.requests.headers.is_empty() && exchange.responses.headers.is_empty() {
            self.exchanges.remove(key);
        } else if !self.strays.contains(key) {
            self.strays.push_back(key.clone());
            if self.strays.len() > MOST_STRAYS
                && let Some(oldest) = self.strays.pop_front()
                && self.exchanges.get(&oldest).is_some_and(Exchange::has_ended)
            {
                self.exchanges.remove(&oldest);
            }
        }
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::recording::har;

    fn event(method: &str, mut params: Value) -> Event {
        params["requestId"] = "1".into();
        Event {
            page: "page".to_owned(),
            session: "session".to_owned(),
            method: format!("Network.{method}"),
            params,
        }
    }

    /// A request that is redirected once, as the page tells of it.
    fn told_by_the_page() -> Vec<Event> {
        let request = |url: &str| json!({"url": url, "method": "GET", "headers": {"A": "?"}});
        let response = |status: u16| json!({"status": status, "headers": {"B": "?"}});
        vec![
            event(
                "requestWillBeSent",
                json!({"request": request("http://a/1"), "redirectHasExtraInfo": false}),
            ),
            event(
                "requestWillBeSent",
                json!({
                    "request": request("http://a/2"),
                    "redirectResponse": response(302),
                    "redirectHasExtraInfo": true,
                }),
            ),
            event(
                "responseReceived",
                json!({"response": response(200), "hasExtraInfo": true}),
            ),
            event("loadingFinished", json!({"timestamp": 1.0})),
        ]
    }

    /// The same request as it went over the wire.
    fn told_by_the_network() -> Vec<Event> {
        let sent = |value: &str| {
            event(
                "requestWillBeSentExtraInfo",
                json!({"headers": {"A": value}}),
            )
        };
        let came = |status: u16, value: &str| {
            let params = json!({"statusCode": status, "headers": {"B": value, "Set-Cookie": "c"}});
            event("responseReceivedExtraInfo", params)
        };
        vec![sent("1"), came(302, "1"), sent("2"), came(200, "2")]
    }

    /// Every order of two series that each keep their own.
    fn orders<'a>(one: &'a [Event], other: &'a [Event]) -> Vec<Vec<&'a Event>> {
        let mut all = Vec::new();
        for (first, rest, others) in [(one, one.get(1..), other), (other, other.get(1..), one)] {
            if let Some(rest) = rest {
                let with_first = |mut order: Vec<&'a Event>| {
                    order.insert(0, &first[0]);
                    order
                };
                all.extend(orders(rest, others).into_iter().map(with_first));
            }
        }
        if all.is_empty() {
            all.push(Vec::new());
        }
        all
    }

    fn heard(events: &[&Event]) -> Network {
        let mut network = Network::new(RecordingOptions::default());
        for event in events {
            network.hear(event);
        }
        network
    }

    #[test]
    fn raw_headers_belong_to_their_hop_in_whatever_order_they_come() {
        let (page, wire) = (told_by_the_page(), told_by_the_network());
        let orders = orders(&page, &wire);
        assert_eq!(orders.len(), 70);
        for order in orders {
            let mut network = heard(&order);
            let methods: Vec<&str> = order.iter().map(|event| event.method.as_str()).collect();
            assert!(!network.is_waiting(), "{methods:?}");
            assert!(network.exchanges.is_empty(), "{methods:?}");
            network.finish();
            let har = har::write(&network);
            for (at, expected) in [(0, "1"), (1, "2")] {
                let entry = &har["log"]["entries"][at];
                let sent = json!([{"name": "A", "value": expected}]);
                assert_eq!(entry["request"]["headers"], sent, "{methods:?}");
                let came = json!([
                    {"name": "B", "value": expected},
                    {"name": "Set-Cookie", "value": WITHHELD},
                ]);
                assert_eq!(entry["response"]["headers"], came, "{methods:?}");
            }
        }
    }

    #[test]
    fn an_answer_is_waited_for_until_its_raw_headers_or_the_end_of_its_session() {
        let page = told_by_the_page();
        let mut network = heard(&page.iter().collect::<Vec<_>>());
        assert!(network.is_waiting());
        let mut gone = event("", json!({"sessionId": "session"}));
        gone.method = "Target.detachedFromTarget".to_owned();
        network.hear(&gone);
        assert!(!network.is_waiting());

        let mut cached = told_by_the_page();
        cached.remove(1);
        cached.insert(1, event("requestServedFromCache", json!({})));
        let network = heard(&cached.iter().collect::<Vec<_>>());
        assert!(!network.is_waiting());
        assert!(network.entries[0].is_from_cache);
    }

    #[test]
    fn a_request_without_an_answer_has_the_headers_that_it_was_sent_with() {
        let (page, wire) = (told_by_the_page(), told_by_the_network());
        let failed = event("loadingFailed", json!({"errorText": "net::ERR_FAILED"}));
        for order in [
            [&page[0], &wire[0], &failed],
            [&wire[0], &page[0], &failed],
            [&page[0], &failed, &wire[0]],
        ] {
            let network = heard(&order);
            let sent = vec![("A".to_owned(), "1".to_owned())];
            assert_eq!(network.entries[0].request_headers, sent);
            assert!(network.exchanges.is_empty());
        }
        let mut network = heard(&[&page[0], &wire[0]]);
        network.finish();
        assert_eq!(network.entries[0].request_headers[0].1, "1");
    }

    #[test]
    fn headers_of_nothing_are_kept_within_bounds() {
        let mut network = heard(&[]);
        for number in 0..1000 {
            let mut stray = told_by_the_network().remove(0);
            stray.params["requestId"] = number.to_string().into();
            network.hear(&stray);
        }
        assert_eq!(network.exchanges.len(), MOST_STRAYS);
        assert_eq!(network.strays.len(), MOST_STRAYS);
    }
}
