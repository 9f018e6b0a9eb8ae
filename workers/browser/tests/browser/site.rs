//! A tiny web server with pages that a test gives it, and a gate that holds answers back.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::PATIENCE;

/// A page is HTML, or, where it begins with `HTTP `, a whole answer with status and headers.
/// `{{request}}` stands for the request in it, `{{elsewhere}}` for the site's other origin.
pub(crate) struct Site {
    port: u16,
    /// `/gated…` answers when a permit is added.
    pub(crate) gate: Arc<Semaphore>,
    /// How many requests have come to the gate.
    at_the_gate: watch::Sender<usize>,
    /// How many connections are open.
    open: watch::Sender<usize>,
    _serving: JoinSet<()>,
}

/// Counts a connection for as long as it lives.
struct Counted(watch::Sender<usize>);

impl Counted {
    fn new(open: watch::Sender<usize>) -> Self {
        open.send_modify(|count| *count += 1);
        Self(open)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Site {
    pub(crate) async fn start(pages: &[(&str, &str)]) -> Self {
        let pages: HashMap<String, String> = pages
            .iter()
            .map(|(path, body)| ((*path).to_owned(), (*body).to_owned()))
            .collect();
        let pages = Arc::new(pages);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let gate = Arc::new(Semaphore::new(0));
        let mut serving = JoinSet::new();
        let open = watch::Sender::new(0);
        let at_the_gate = watch::Sender::new(0);
        let come = at_the_gate.clone();
        let (held, counted) = (Arc::clone(&gate), open.clone());
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let counted = Counted::new(counted.clone());
                let answering = answer(stream, Arc::clone(&pages), Arc::clone(&held), come.clone());
                connections.spawn(async move {
                    answering.await;
                    drop(counted);
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            port,
            gate,
            at_the_gate,
            open,
            _serving: serving,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Waits until no connection is open. Those of a browser that has gone end by themselves.
    pub(crate) async fn quiet(&self) {
        let mut open = self.open.subscribe();
        let quiet = timeout(PATIENCE, open.wait_for(|open| *open == 0)).await;
        // The sender is this site's own.
        drop(quiet.unwrap().unwrap());
    }

    /// Waits until so many requests have come to the gate.
    pub(crate) async fn come_to_the_gate(&self, requests: usize) {
        let mut come = self.at_the_gate.subscribe();
        let come = timeout(PATIENCE, come.wait_for(|come| *come >= requests)).await;
        drop(come.unwrap().unwrap());
    }

    /// The same page under another origin.
    pub(crate) fn url_elsewhere(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }
}

async fn answer(
    mut stream: TcpStream,
    pages: Arc<HashMap<String, String>>,
    gate: Arc<Semaphore>,
    come: watch::Sender<usize>,
) {
    let mut request = Vec::new();
    while !request.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let whole = length(&request);
    while request.len() < whole {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split_whitespace().nth(1).unwrap_or("/");
    let path = path.split('?').next().unwrap_or("/");
    if path.starts_with("/gated") {
        come.send_modify(|come| *come += 1);
        match gate.acquire().await {
            Ok(permit) => permit.forget(),
            Err(_) => return,
        }
    }
    let extra = if path.ends_with(".csv") {
        "Content-Type: text/csv\r\nContent-Disposition: attachment; filename=\"employees.csv\"\r\n"
    } else {
        "Content-Type: text/html; charset=utf-8\r\n"
    };
    let Ok(address) = stream.local_addr() else {
        return;
    };
    let elsewhere = format!("http://localhost:{}", address.port());
    let page = pages
        .get(path)
        .map(|page| page.replace("{{elsewhere}}", &elsewhere));
    let answer = if let Some(raw) = page.as_deref().and_then(|page| page.strip_prefix("HTTP ")) {
        let (head, body) = raw.split_once("\n\n").unwrap_or((raw, ""));
        let body = body.replace("{{request}}", &request);
        let length = if head.contains("Content-Length") {
            String::new()
        } else {
            format!("\r\nContent-Length: {}", body.len())
        };
        let head = head.replace('\n', "\r\n");
        format!("HTTP/1.1 {head}\r\nConnection: close{length}\r\n\r\n{body}")
    } else if path == "/nothing" {
        "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".to_owned()
    } else if let Some(body) = page {
        let body = body.replace("{{request}}", &request);
        format!(
            "HTTP/1.1 200 OK\r\n{extra}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    } else {
        "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_owned()
    };
    // The browser may have gone: then nobody needs the answer.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// How long a request is, of which the head has come.
fn length(begun: &[u8]) -> usize {
    let begun = String::from_utf8_lossy(begun);
    let (head, _) = begun.split_once("\r\n\r\n").unwrap_or((&begun, ""));
    let body = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    head.len() + 4 + body.map_or(0, |length| length.parse().unwrap())
}
