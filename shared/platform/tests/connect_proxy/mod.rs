//! A small HTTP proxy that serves CONNECT, as the upstream proxy of tests.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What it wants to hear, if it wants anything: `me` and `hunter22`.
pub(crate) const AUTHORIZATION: &str = "Proxy-Authorization: Basic bWU6aHVudGVyMjI=";

pub(crate) struct ConnectProxy {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    _task: JoinSet<()>,
}

impl ConnectProxy {
    /// Starts one that wants to hear this header, if any. It refuses port 25, as many do.
    pub(crate) async fn start(wanted: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut task = JoinSet::new();
        let noted = asked.clone();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(serve(client, wanted, noted.clone()));
            }
        });
        Self {
            address,
            asked,
            _task: task,
        }
    }

    /// Where it was asked to connect to, each as it was written.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("a list").clone()
    }
}

async fn serve(mut client: TcpStream, wanted: Option<&str>, asked: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match client.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).expect("text");
    let mut lines = head.split("\r\n");
    let target = lines.next().and_then(|line| line.split(' ').nth(1));
    let target = target.expect("a target").to_owned();
    asked.lock().expect("a list").push(target.clone());
    let refusal = if !wanted.is_none_or(|wanted| lines.any(|line| line == wanted)) {
        "407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"test\""
    } else if target.ends_with(":25") {
        "403 Forbidden"
    } else if let Ok(mut server) = TcpStream::connect(&target).await {
        let answered = client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n");
        if answered.await.is_ok() {
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        }
        return;
    } else {
        "502 Bad Gateway"
    };
    let answer = format!("HTTP/1.1 {refusal}\r\nContent-Length: 0\r\n\r\n");
    let _ = client.write_all(answer.as_bytes()).await;
}
