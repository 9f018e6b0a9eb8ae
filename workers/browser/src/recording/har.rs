//! A recording of the network as HAR 1.2 (<http://www.softwareishard.com/blog/har-12-spec/>).
//!
//! Fields of our own begin with an underscore, as the format wants it.

use serde_json::{Value, json};

use super::console::time;
use super::network::{Entry, Network};

pub(super) fn write(network: &Network) -> Value {
    let mut pages: Vec<Value> = Vec::new();
    for entry in &network.entries {
        if !pages.iter().any(|page| page["id"] == *entry.page) {
            pages.push(json!({
                "startedDateTime": time(entry.wall_time).to_string(),
                "id": entry.page,
                "title": entry.url,
                "pageTimings": {},
            }));
        }
    }
    let entries: Vec<Value> = network.entries.iter().map(entry).collect();
    json!({"log": {
        "version": "1.2",
        "creator": {"name": "Legwork", "version": env!("CARGO_PKG_VERSION")},
        "comment": "Values of cookies and credentials are withheld. What went through WebSockets is not recorded.",
        "pages": pages,
        "entries": entries,
    }})
}

fn entry(entry: &Entry) -> Value {
    let timings = timings(entry);
    let time_ms: f64 = ["blocked", "dns", "connect", "send", "wait", "receive"]
        .iter()
        .filter_map(|part| timings[*part].as_f64())
        .filter(|part| *part > 0.0)
        .sum();
    let response = entry.response.as_ref();
    let version = response.map_or("", |response| version(&response.protocol));
    let mut written = json!({
        "pageref": entry.page,
        "startedDateTime": time(entry.wall_time).to_string(),
        "time": time_ms,
        "request": request(entry, version),
        "response": answer(entry, version),
        "cache": {},
        "timings": timings,
        "_resourceType": entry.kind.to_ascii_lowercase(),
    });
    let address = response.map_or("", |response| response.address.as_str());
    if !address.is_empty() {
        written["serverIPAddress"] = address.into();
    }
    if entry.is_from_cache {
        written["_fromCache"] = true.into();
    }
    written
}

fn request(entry: &Entry, version: &str) -> Value {
    let query = entry.url.split('#').next().unwrap_or_default();
    let query = query.split_once('?').map_or("", |(_, query)| query);
    let query: Vec<Value> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            json!({"name": name, "value": value})
        })
        .collect();
    let mut request = json!({
        "method": entry.method,
        "url": entry.url,
        "httpVersion": version,
        "cookies": [],
        "headers": headers(&entry.request_headers),
        "queryString": query,
        "headersSize": -1,
        "bodySize": entry.posted.as_ref().map_or(0, String::len),
    });
    if let Some(posted) = &entry.posted {
        let mut kinds = entry.request_headers.iter();
        let kind = kinds.find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        request["postData"] = json!({
            "mimeType": kind.map_or("", |(_, value)| value.as_str()),
            "text": posted,
        });
    }
    request
}

fn answer(entry: &Entry, version: &str) -> Value {
    let response = entry.response.as_ref();
    let mut content = json!({
        "size": entry.content_bytes,
        "mimeType": response.map_or("x-unknown", |response| response.mime_type.as_str()),
    });
    if let Some(body) = &entry.body {
        content["text"] = body.as_str().into();
    }
    let none = Vec::new();
    let transferred = response.and_then(|response| response.transferred_bytes);
    let mut answer = json!({
        "status": response.map_or(0, |response| response.status),
        "statusText": response.map_or("", |response| response.status_text.as_str()),
        "httpVersion": version,
        "cookies": [],
        "headers": headers(response.map_or(&none, |response| &response.headers)),
        "content": content,
        "redirectURL": entry.redirect_url,
        "headersSize": -1,
        "bodySize": -1,
        "_transferSize": transferred,
    });
    if let Some(failure) = &entry.failure {
        answer["_error"] = failure.as_str().into();
    } else if entry.ended.is_none() {
        answer["_error"] = "the recording ended before the answer".into();
    }
    answer
}

fn headers(headers: &[(String, String)]) -> Vec<Value> {
    headers
        .iter()
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect()
}

/// What took how long, in milliseconds; -1 is what did not happen.
fn timings(entry: &Entry) -> Value {
    let ended = entry.ended.unwrap_or(entry.began);
    let timing = entry.response.as_ref().map(|response| &response.timing);
    let Some(timing) = timing.filter(|timing| timing.is_object()) else {
        let all = (ended - entry.began).max(0.0) * 1000.0;
        return json!({"blocked": -1, "dns": -1, "connect": -1, "ssl": -1, "send": 0, "wait": all, "receive": 0});
    };
    let at = |name: &str| timing[name].as_f64().unwrap_or(-1.0);
    let span = |from: &str, to: &str| {
        if at(from) < 0.0 {
            -1.0
        } else {
            (at(to) - at(from)).max(0.0)
        }
    };
    let asked = at("requestTime");
    let first = ["dnsStart", "connectStart", "sendStart"]
        .into_iter()
        .map(at)
        .find(|start| *start >= 0.0)
        .unwrap_or(0.0);
    let headers_end = at("receiveHeadersEnd");
    json!({
        "blocked": ((asked - entry.began).max(0.0) * 1000.0) + first,
        "dns": span("dnsStart", "dnsEnd"),
        "connect": span("connectStart", "connectEnd"),
        "ssl": span("sslStart", "sslEnd"),
        "send": span("sendStart", "sendEnd").max(0.0),
        "wait": (headers_end - at("sendEnd")).max(0.0),
        "receive": ((ended - asked) * 1000.0 - headers_end).max(0.0),
    })
}

/// A protocol as HAR names it.
fn version(protocol: &str) -> &str {
    match protocol {
        "http/1.0" => "HTTP/1.0",
        "http/1.1" => "HTTP/1.1",
        "h2" => "HTTP/2",
        "h3" => "HTTP/3",
        other => other,
    }
}
