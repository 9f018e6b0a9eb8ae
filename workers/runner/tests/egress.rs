//! The browser behind the guarded proxy, as a runner starts it: what may not be reached isn't, by no way.

use std::sync::Arc;
use std::time::Duration;

use browser::{Browser, LaunchOptions, Page};
use platform::addresses::AllowAddresses;
use platform::socks_proxy::SocksProxy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Notify;
use tokio::task::JoinSet;

const PATIENCE: Duration = Duration::from_secs(30);

struct Guarded {
    browser: Browser,
    page: Page,
    _scratch: tempfile::TempDir,
}

async fn launch(proxy: &SocksProxy) -> Guarded {
    let scratch = tempfile::tempdir().expect("a folder");
    let executable = browser::find_or_install(&mut |_| {})
        .await
        .expect("a browser");
    let mut options = LaunchOptions::new(executable, scratch.path());
    options.socks_proxy = Some(proxy.address());
    let mut browser = Browser::launch(&options).await.expect("the browser starts");
    let page = browser.page().await.expect("a page");
    Guarded {
        browser,
        page,
        _scratch: scratch,
    }
}

/// Serves one page to whoever asks. The answer for `/gate` waits for a request for `/open`.
async fn serve_page(page: String) -> (u16, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let gate = Arc::new(Notify::new());
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(answer_one(stream, page.clone(), gate.clone()));
        }
    });
    (port, task)
}

async fn answer_one(mut stream: TcpStream, page: String, gate: Arc<Notify>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n")
        && stream
            .read_buf(&mut request)
            .await
            .is_ok_and(|read| read > 0)
    {}
    if request.starts_with(b"GET /gate ") {
        gate.notified().await;
    } else if request.starts_with(b"GET /open ") {
        gate.notify_one();
    }
    let length = page.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{page}"
    );
    let _ = stream.write_all(answer.as_bytes()).await;
}

#[tokio::test]
async fn the_browser_reaches_loopback_only_where_the_proxy_allows_it() {
    let (port, _task) = serve_page("<p>practice site</p>".to_owned()).await;
    let open = SocksProxy::start(AllowAddresses::AndLoopback)
        .await
        .expect("a proxy");
    let closed = SocksProxy::start(AllowAddresses::PublicOnly)
        .await
        .expect("a proxy");
    let allowed = launch(&open).await;
    let refused = launch(&closed).await;
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("http://{host}:{port}/");
        allowed
            .page
            .goto(&url, PATIENCE)
            .await
            .expect("loopback is allowed here");
        assert!(
            allowed
                .page
                .dom_snapshot()
                .await
                .expect("a document")
                .contains("practice site")
        );

        refused
            .page
            .goto(&url, PATIENCE)
            .await
            .expect_err("loopback is refused here");
        let blocked = closed.blocked();
        assert!(
            blocked
                .iter()
                .any(|blocked| blocked.host == host && blocked.port == port),
            "{blocked:?}"
        );
    }
    allowed.browser.close().await;
    refused.browser.close().await;
}

#[tokio::test]
async fn the_browser_sends_no_webrtc_packets_around_the_proxy() {
    let stun = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let stun_port = stun.local_addr().expect("an address").port();
    // The image keeps the page loading until WebRTC has found all the ways out that it may use.
    let page = format!(
        "<body><script>
        const peer = new RTCPeerConnection({{ iceServers: [{{ urls: 'stun:127.0.0.1:{stun_port}' }}] }});
        peer.onicecandidate = ({{ candidate }}) => {{
            if (!candidate) {{ document.body.dataset.ways = 'known'; fetch('/open'); }}
        }};
        peer.createDataChannel('x');
        peer.createOffer().then((offer) => peer.setLocalDescription(offer));
        </script><img src=/gate>"
    );
    let (port, _task) = serve_page(page).await;
    let proxy = SocksProxy::start(AllowAddresses::AndLoopback)
        .await
        .expect("a proxy");
    let guarded = launch(&proxy).await;
    let mut packet = [0; 64];
    let url = format!("http://127.0.0.1:{port}/");
    tokio::select! {
        biased;
        received = stun.recv(&mut packet) => panic!("a packet went around: {received:?}"),
        loaded = guarded.page.goto(&url, PATIENCE) => loaded.expect("the page loads"),
    }
    let dom = guarded.page.dom_snapshot().await.expect("a document");
    assert!(dom.contains("data-ways=\"known\""), "{dom}");
    guarded.browser.close().await;
}
