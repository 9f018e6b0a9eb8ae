//! A site of the test's own, whose pages stand in the test.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What a path answers.
pub(crate) type Answer = fn(path: &str) -> Option<Page>;

/// An answer.
pub(crate) struct Page {
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
    /// Further header lines, each with its end. `Transfer-Encoding: chunked` leaves it to the body to say where it ends.
    pub(crate) headers: &'static str,
}

/// What a stream's `content_type` is: it has no length, and never ends.
pub(crate) const STREAM: &str = "text/event-stream";

/// A page of HTML.
pub(crate) fn html(body: &str) -> Page {
    Page {
        content_type: "text/html; charset=utf-8",
        body: format!("<!doctype html><title>Test</title><body>{body}</body>"),
        headers: "",
    }
}

/// A server that ends with it.
pub(crate) struct Site {
    pub(crate) url: String,
    _server: JoinSet<()>,
}

impl Site {
    pub(crate) async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut server = JoinSet::new();
        server.spawn(async move {
            let answer = Arc::new(answer);
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let answer = Arc::clone(&answer);
                connections.spawn(async move {
                    // A browser that closes a connection early is no failure of the test's.
                    let _ = serve(stream, *answer).await;
                });
            }
        });
        Self {
            url: format!("http://{address}"),
            _server: server,
        }
    }
}

async fn serve(mut stream: TcpStream, answer: Answer) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        request.extend_from_slice(&buffer[..length]);
    }
    let request = String::from_utf8_lossy(&request);
    let path = request.split(' ').nth(1).unwrap_or("/");
    let (status, page) = match answer(path) {
        Some(page) => ("200 OK", page),
        None => ("404 Not Found", html("nothing here")),
    };
    let length = match page.content_type {
        STREAM => String::new(),
        _ if page.headers.contains("Transfer-Encoding") => String::new(),
        _ => format!("Content-Length: {}\r\n", page.body.len()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {}\r\n{length}{}Connection: close\r\n\r\n",
        page.content_type, page.headers,
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(page.body.as_bytes()).await?;
    if page.content_type == STREAM {
        std::future::pending::<()>().await;
    }
    stream.shutdown().await
}
