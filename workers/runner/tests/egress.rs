//! The browser behind the guarded proxy, as a runner starts it: what may not be reached isn't, by no way.

use std::net::SocketAddr;
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
    launch_behind(proxy.address()).await
}

async fn launch_behind(proxy: SocketAddr) -> Guarded {
    let scratch = tempfile::tempdir().expect("a folder");
    let executable = browser::find_or_install(&mut |_| {})
        .await
        .expect("a browser");
    let mut options = LaunchOptions::new(executable, scratch.path());
    options.socks_proxy = Some(proxy);
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
            let found = |place: &str| {
                format!("HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            };
            let answer = match paths.iter().find(|(path, ..)| *path == asked) {
                _ if asked.starts_with("/to?") => found(&asked["/to?".len()..]),
                Some((_, "", place)) => found(place),
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

/// Stands before the guarded proxy and lets one site through, which would be refused as well: so that there is a page
/// to try from. Whatever else is asked for goes on to the guarded proxy as it came.
async fn let_through(
    site: &'static str,
    port: u16,
    proxy: &SocksProxy,
) -> (SocketAddr, JoinSet<()>) {
    let guarded = proxy.address();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((client, _)) = listener.accept().await {
            connections.spawn(async move {
                // However it ends, the browser sees it.
                let _ = pass_on(client, site, port, guarded).await;
            });
        }
    });
    (address, task)
}

async fn pass_on(
    mut client: TcpStream,
    site: &str,
    port: u16,
    guarded: SocketAddr,
) -> std::io::Result<()> {
    let mut greeting = [0; 2];
    client.read_exact(&mut greeting).await?;
    let mut methods = vec![0; greeting[1].into()];
    client.read_exact(&mut methods).await?;
    client.write_all(&[5, 0]).await?;
    // Version, command, reserved, kind of address; the address; the port.
    let mut request = vec![0; 5];
    client.read_exact(&mut request).await?;
    let rest = match request[3] {
        1 => 3,
        3 => request[4].into(),
        _ => 15,
    };
    let mut more = vec![0; rest + 2];
    client.read_exact(&mut more).await?;
    request.extend(more);
    let asked = [site.as_bytes(), &port.to_be_bytes()].concat();
    let mut server = if request[3] == 3 && request[5..] == asked {
        client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
        TcpStream::connect(("127.0.0.1", port)).await?
    } else {
        let mut server = TcpStream::connect(guarded).await?;
        server.write_all(&[5, 1, 0]).await?;
        server.read_exact(&mut [0; 2]).await?;
        server.write_all(&request).await?;
        server
    };
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// Tries to reach a URL by everything that a page has, each by a URL of its own, and gives which tries succeeded.
const EVERY_WAY: &str = "async (urls) => {
    const element = (name, attributes) => new Promise((resolve) => {
        const element = Object.assign(document.createElement(name), attributes);
        element.onload = () => resolve(true);
        element.onerror = () => resolve(false);
        document.documentElement.append(element);
    });
    const fetched = (url) => fetch(url, { mode: 'no-cors' }).then(() => true, () => false);
    const ways = {
        fetch: fetched,
        image: (url) => element('img', { src: url }),
        script: (url) => element('script', { src: url }),
        style: (url) => element('link', { rel: 'stylesheet', href: url }),
        socket: (url) => new Promise((resolve) => {
            const socket = new WebSocket(url.replace('http', 'ws'));
            socket.onopen = () => resolve(true);
            socket.onerror = () => resolve(false);
        }),
        events: (url) => new Promise((resolve) => {
            const source = new EventSource(url);
            source.onopen = () => resolve(true);
            source.onerror = () => { source.close(); resolve(false); };
        }),
        // Nobody is told how it ended; that the proxy refused it says enough.
        beacon: async (url) => { navigator.sendBeacon(url, 'x'); return false; },
        frame: async (url) => { await element('iframe', { src: url }); return false; },
        redirectedFetch: (url) => fetched(`/to?${url}`),
        redirectedImage: (url) => element('img', { src: `/to?${url}` }),
        redirectedFrame: async (url) => { await element('iframe', { src: `/to?${url}` }); return false; },
        serviceWorker: async (url) => {
            await navigator.serviceWorker.register('/worker.js');
            const { active } = await navigator.serviceWorker.ready;
            const heard = new Promise((resolve) => { navigator.serviceWorker.onmessage = ({ data }) => resolve(data); });
            active.postMessage([url]);
            return (await heard).length > 0;
        },
        worker: async (url) => {
            const worker = new Worker('/worker.js');
            const heard = new Promise((resolve) => { worker.onmessage = ({ data }) => resolve(data); });
            worker.postMessage([url]);
            return (await heard).length > 0;
        },
        // Over QUIC, which no proxy of this kind can take.
        transport: (url) => new WebTransport(url.replace('http', 'https')).ready.then(() => true, () => false),
    };
    const reached = [];
    for (const [name, url] of Object.entries(urls)) if (await ways[name](url)) reached.push(name);
    return reached;
}";

/// The ways of a page, and those of whoever sends it somewhere.
const WAYS: [&str; 16] = [
    "fetch",
    "image",
    "script",
    "style",
    "socket",
    "events",
    "beacon",
    "frame",
    "redirectedFetch",
    "redirectedImage",
    "redirectedFrame",
    "serviceWorker",
    "worker",
    "transport",
    "navigation",
    "redirectedNavigation",
];

/// What workers of either kind do: they fetch the URLs that they are sent, and say which came.
const WORKER: &str = "onmessage = async ({ data, source }) => {
    const tried = data.map((url) => fetch(url, { mode: 'no-cors' }).then(() => url, () => null));
    (source ?? self).postMessage((await Promise.all(tried)).filter(Boolean));
};";

/// Why a connection did not come about, as soon as the proxy knows it.
async fn failure_in_time(proxy: &SocksProxy, host: &str, port: u16) -> Option<Failure> {
    let known = async {
        loop {
            if let Some(failure) = proxy.failure_of(host, port) {
                return failure;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, known).await.ok()
}

#[tokio::test]
async fn no_way_leads_to_a_loopback_port_a_link_local_address_or_a_name_for_one() {
    let paths = vec![
        ("/", "text/html", "<p>site</p>".to_owned()),
        ("/worker.js", "text/javascript", WORKER.to_owned()),
        ("/allowed", "text/html", String::new()),
    ];
    let (site_port, _, _site) = serve_paths(paths).await;
    // Each way has a port of its own, so that the proxy can tell which of them it refused.
    let mut doors = Vec::new();
    for way in WAYS {
        // Somebody else may have the same number for UDP.
        let (port, count, udp, task) = loop {
            let (port, count, task) = serve_paths(Vec::new()).await;
            if let Ok(udp) = UdpSocket::bind(("127.0.0.1", port)).await {
                break (port, count, udp, task);
            }
        };
        doors.push((way, port, count, udp, task));
    }
    let proxy = SocksProxy::start(AllowAddresses::PublicOnly)
        .await
        .expect("a proxy");
    // A page of this name may have service workers.
    let site_host = "app.localhost";
    let (front, _front) = let_through(site_host, site_port, &proxy).await;
    let guarded = launch_behind(front).await;
    let page = &guarded.page;
    let site = format!("http://{site_host}:{site_port}");
    let try_from_page = async |urls: serde_json::Map<String, serde_json::Value>| {
        page.goto(&site, PATIENCE).await.expect("the site");
        let script = browser::Script {
            arguments: vec![urls.into()],
            ..browser::Script::new(EVERY_WAY)
        };
        page.run(&script, PATIENCE).await.expect("an answer")
    };

    // The ways do lead somewhere, where it is allowed.
    let open = [
        "fetch",
        "image",
        "redirectedFetch",
        "serviceWorker",
        "worker",
    ];
    let urls = open.map(|way| (way.to_owned(), format!("{site}/allowed").into()));
    let reached = try_from_page(urls.into_iter().collect()).await;
    assert_eq!(
        reached,
        serde_json::json!(["fetch", "redirectedFetch", "serviceWorker", "worker"])
    );

    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    for (host, asked) in [
        ("127.0.0.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("[::1]", "::1"),
        ("[::ffff:127.0.0.1]", "::ffff:7f00:1"),
        // Names of this machine, which resolve to loopback or to a private address.
        ("localhost", "localhost"),
        (machine.trim(), machine.trim()),
        ("169.254.169.254", "169.254.169.254"),
        ("[fe80::1]", "fe80::1"),
        ("10.0.0.1", "10.0.0.1"),
    ] {
        let url = |port: &u16| format!("http://{host}:{port}/");
        let by_page = doors.iter().filter(|(way, ..)| !way.ends_with("avigation"));
        let urls = by_page.map(|(way, port, ..)| ((*way).to_owned(), url(port).into()));
        let reached = try_from_page(urls.collect()).await;
        assert_eq!(reached, serde_json::json!([]), "{host}");
        for (way, port, ..) in &doors {
            let place = match *way {
                "navigation" => url(port),
                "redirectedNavigation" => format!("{site}/to?{}", url(port)),
                _ => continue,
            };
            let failed = page.goto(&place, PATIENCE).await.expect_err("refused");
            assert!(
                matches!(failed, browser::Error::Navigation { .. }),
                "{place}: {failed:?}"
            );
        }
        for (way, port, ..) in &doors {
            // The browser itself knows that this way doesn't go through a proxy.
            if *way == "transport" {
                continue;
            }
            // It goes its own way, also when its page has gone, and nobody hears when it has arrived.
            let failure = if *way == "beacon" {
                failure_in_time(&proxy, asked, *port).await
            } else {
                proxy.failure_of(asked, *port)
            };
            assert!(
                matches!(failure, Some(Failure::Blocked(_))),
                "{host} by {way}: {failure:?}"
            );
        }
    }
    for (way, _, count, udp, _) in &doors {
        assert_eq!(count.load(Ordering::SeqCst), 0, "{way}");
        let packet = udp.try_recv(&mut [0; 8]);
        let none = packet.expect_err("a packet went around");
        assert_eq!(none.kind(), std::io::ErrorKind::WouldBlock, "{way}");
    }
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
