//! The browser behind the guarded proxy, as a runner starts it: what may not be reached isn't, by no way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use browser::{Browser, LaunchOptions, Page};
use platform::addresses::AllowAddresses;
use platform::socks_proxy::{Failure, SocksProxy};
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
    let browser = Browser::launch(&options).await.expect("the browser starts");
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
        loaded = guarded.page.goto(&url, PATIENCE) => drop(loaded.expect("the page loads")),
    }
    let dom = guarded.page.dom_snapshot().await.expect("a document");
    assert!(dom.contains("data-ways=\"known\""), "{dom}");
    guarded.browser.close().await;
}

/// Serves what each path has: a content type and a body, or, without a type, a place to go to. Counts who came.
async fn serve_paths(
    paths: Vec<(&'static str, &'static str, String)>,
) -> (u16, Arc<AtomicUsize>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let mut task = JoinSet::new();
    task.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n")
                && stream.read_buf(&mut request).await.is_ok_and(|read| read > 0)
            {}
            let request = String::from_utf8_lossy(&request).into_owned();
            let asked = request.split_whitespace().nth(1).unwrap_or_default();
            let answer = match paths.iter().find(|(path, ..)| *path == asked) {
                Some((_, "", place)) => {
                    format!("HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                }
                Some((_, kind, body)) => {
                    let length = body.len();
                    format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
                }
                None => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
            };
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, count, task)
}

/// Tries to reach an origin by everything that a page has, and gives which tries succeeded.
const EVERY_WAY: &str = "async (origin) => {
    const element = (name, attributes) => new Promise((resolve) => {
        const element = Object.assign(document.createElement(name), attributes);
        element.onload = () => resolve(true);
        element.onerror = () => resolve(false);
        document.documentElement.append(element);
    });
    const ways = {
        fetch: () => fetch(origin + '/fetch', { mode: 'no-cors' }).then(() => true, () => false),
        image: () => element('img', { src: origin + '/image' }),
        script: () => element('script', { src: origin + '/script' }),
        style: () => element('link', { rel: 'stylesheet', href: origin + '/style' }),
        socket: () => new Promise((resolve) => {
            const socket = new WebSocket(origin.replace('http', 'ws'));
            socket.onopen = () => resolve(true);
            socket.onerror = () => resolve(false);
        }),
        events: () => new Promise((resolve) => {
            const source = new EventSource(origin + '/events');
            source.onopen = () => resolve(true);
            source.onerror = () => { source.close(); resolve(false); };
        }),
        beacon: async () => { navigator.sendBeacon(origin + '/beacon', 'x'); return false; },
    };
    const reached = [];
    for (const [name, go] of Object.entries(ways)) if (await go()) reached.push(name);
    return reached;
}";

#[tokio::test]
async fn no_way_out_of_a_page_leads_to_a_refused_address() {
    let (port, count, _task) = serve_paths(Vec::new()).await;
    let proxy = SocksProxy::start(AllowAddresses::PublicOnly)
        .await
        .expect("a proxy");
    let guarded = launch(&proxy).await;
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    for (host, asked) in [
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "localhost"),
        // Names of this machine, which resolve to loopback or to a private address.
        (machine.trim(), machine.trim()),
        ("[::1]", "::1"),
        ("2130706433", "127.0.0.1"),
        ("169.254.169.254", "169.254.169.254"),
        ("10.0.0.1", "10.0.0.1"),
    ] {
        let script = browser::Script {
            arguments: vec![format!("http://{host}:{port}").into()],
            ..browser::Script::new(EVERY_WAY)
        };
        let reached = guarded
            .page
            .run(&script, PATIENCE)
            .await
            .expect("an answer");
        assert_eq!(reached, serde_json::json!([]), "{host}");
        let failure = proxy.failure_of(asked, port);
        assert!(
            matches!(failure, Some(Failure::Blocked(_))),
            "{host}: {failure:?}"
        );
    }
    assert_eq!(count.load(Ordering::SeqCst), 0);
    guarded.browser.close().await;
}

#[tokio::test]
async fn a_redirect_to_a_refused_address_names_it_and_is_not_followed() {
    let refused = "http://169.254.169.254/latest/meta-data/";
    let paths = vec![
        ("/", "text/html", "<a href=/away>Away</a>".to_owned()),
        ("/away", "", "/further".to_owned()),
        ("/further", "", refused.to_owned()),
    ];
    let (port, _, _task) = serve_paths(paths).await;
    let proxy = SocksProxy::start(AllowAddresses::AndLoopback)
        .await
        .expect("a proxy");
    let guarded = launch(&proxy).await;
    let url = format!("http://127.0.0.1:{port}/away");
    let failed = guarded
        .page
        .goto(&url, PATIENCE)
        .await
        .expect_err("refused");
    let browser::Error::Navigation { url, .. } = &failed else {
        panic!("{failed:?}");
    };
    assert_eq!(url, refused);
    let failure = proxy.failure_of("169.254.169.254", 80);
    assert!(matches!(failure, Some(Failure::Blocked(_))), "{failure:?}");
    let failed = guarded.page.goto("http://nowhere.invalid/", PATIENCE).await;
    failed.expect_err("there is no such host");
    let failure = proxy.failure_of("nowhere.invalid", 80);
    assert_eq!(failure, Some(Failure::UnknownHost));
    guarded.browser.close().await;
}

#[tokio::test]
async fn workers_of_either_kind_do_not_reach_a_refused_address() {
    let worker = "onmessage = async ({ data, source }) => {
        const tried = data.map((url) => fetch(url, { mode: 'no-cors' }).then(() => url, () => null));
        (source ?? self).postMessage((await Promise.all(tried)).filter(Boolean));
    };";
    let paths = vec![
        ("/", "text/html", "<p>site</p>".to_owned()),
        ("/worker.js", "text/javascript", worker.to_owned()),
    ];
    let (port, _, _task) = serve_paths(paths).await;
    let proxy = SocksProxy::start(AllowAddresses::AndLoopback)
        .await
        .expect("a proxy");
    let guarded = launch(&proxy).await;
    let page = &guarded.page;
    let site = format!("http://127.0.0.1:{port}");
    page.goto(&site, PATIENCE)
        .await
        .expect("loopback is allowed here");
    let script = browser::Script {
        arguments: vec![serde_json::json!([
            format!("{site}/allowed"),
            format!("http://169.254.169.254:{port}/"),
            format!("http://10.0.0.1:{port}/"),
        ])],
        ..browser::Script::new(
            "async (urls) => {
                const heard = (from) => new Promise((resolve) => { from.onmessage = ({ data }) => resolve(data); });
                const fromService = heard(navigator.serviceWorker);
                await navigator.serviceWorker.register('/worker.js');
                const { active } = await navigator.serviceWorker.ready;
                active.postMessage(urls);
                const dedicated = new Worker('/worker.js');
                const fromDedicated = heard(dedicated);
                dedicated.postMessage(urls);
                return [await fromService, await fromDedicated];
            }",
        )
    };
    let reached = page.run(&script, PATIENCE).await.expect("an answer");
    let allowed = format!("{site}/allowed");
    assert_eq!(reached, serde_json::json!([[allowed], [allowed]]));
    for host in ["169.254.169.254", "10.0.0.1"] {
        let failure = proxy.failure_of(host, port);
        assert!(matches!(failure, Some(Failure::Blocked(_))), "{failure:?}");
    }
    guarded.browser.close().await;
}
