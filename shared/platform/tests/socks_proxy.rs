//! The guarded proxy against real sockets and a SOCKS5 client. workers/runner tests it with the browser.

mod nobody;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fast_socks5::client::{Config, Socks5Stream};
use fast_socks5::{ReplyError, SocksError};
use platform::addresses::{AllowAddresses, Class};
use platform::socks_proxy::{Failure, SocksProxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use nobody::closed_address;

/// Accepts connections, counts them, and sends back what comes until its end.
struct EchoServer {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl EchoServer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let accepted = Arc::new(AtomicUsize::new(0));
        let mut task = JoinSet::new();
        let count = accepted.clone();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                connections.spawn(async move {
                    let (mut reader, mut writer) = stream.split();
                    let _ = tokio::io::copy(&mut reader, &mut writer).await;
                });
            }
        });
        Self {
            address,
            accepted,
            _task: task,
        }
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

async fn connect(
    proxy: &SocksProxy,
    host: &str,
    port: u16,
) -> Result<Socks5Stream<TcpStream>, SocksError> {
    Socks5Stream::connect(proxy.address(), host.to_owned(), port, Config::default()).await
}

fn reply_of(result: Result<Socks5Stream<TcpStream>, SocksError>) -> ReplyError {
    match result {
        Err(SocksError::ReplyError(reply)) => reply,
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("it was connected"),
    }
}

#[tokio::test]
async fn an_allowed_connection_carries_bytes_both_ways_until_its_end() {
    let server = EchoServer::start().await;
    let proxy = SocksProxy::start(AllowAddresses::AndLoopback)
        .await
        .expect("a proxy");
    for host in ["localhost", "127.0.0.1"] {
        let mut stream = connect(&proxy, host, server.address.port())
            .await
            .expect(host);
        let sent = vec![7; 100_000];
        let (mut reader, mut writer) = tokio::io::split(&mut stream);
        let mut received = Vec::new();
        let (written, read) = tokio::join!(
            async {
                writer.write_all(&sent).await?;
                writer.shutdown().await
            },
            reader.read_to_end(&mut received)
        );
        written.expect("sent");
        read.expect("received");
        assert!(received == sent, "{host}: {} bytes", received.len());
    }
    assert_eq!(proxy.blocked(), []);
}

#[tokio::test]
async fn a_refused_address_is_not_contacted_and_the_refusal_is_kept() {
    let server = EchoServer::start().await;
    let port = server.address.port();
    let proxy = SocksProxy::start(AllowAddresses::PublicOnly)
        .await
        .expect("a proxy");
    for (host, class) in [
        ("localhost", Class::Loopback),
        ("127.0.0.1", Class::Loopback),
        ("2130706433", Class::Loopback),
        ("::1", Class::Loopback),
        ("::ffff:127.0.0.1", Class::Loopback),
        ("0.0.0.0", Class::Unspecified),
        ("169.254.170.2", Class::LinkLocal),
        ("10.0.0.1", Class::Private),
    ] {
        let reply = reply_of(connect(&proxy, host, port).await);
        assert!(matches!(reply, ReplyError::ConnectionNotAllowed), "{host}");
        let blocked = proxy.blocked().pop().expect("a refusal");
        assert_eq!(
            (blocked.host.as_str(), blocked.port, blocked.reason.class),
            (host, port, class)
        );
    }
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn a_target_given_as_bytes_of_an_address_is_checked_too() {
    let server = EchoServer::start().await;
    let proxy = SocksProxy::start(AllowAddresses::PublicOnly)
        .await
        .expect("a proxy");
    let mut stream = TcpStream::connect(proxy.address())
        .await
        .expect("connected");
    let mut request = vec![5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1];
    request.extend(server.address.port().to_be_bytes());
    stream.write_all(&request).await.expect("sent");
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(answer, [5, 0, 5, 2], "method chosen, then not allowed");
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn a_site_that_is_down_is_told_from_a_blocked_one() {
    let (_closed, closed) = closed_address();
    let closed = closed.port();
    let proxy = SocksProxy::start(AllowAddresses::AndLoopback)
        .await
        .expect("a proxy");
    let refused = reply_of(connect(&proxy, "127.0.0.1", closed).await);
    assert!(
        matches!(refused, ReplyError::ConnectionRefused),
        "{refused}"
    );
    let unknown = reply_of(connect(&proxy, "nowhere.invalid", 80).await);
    assert!(matches!(unknown, ReplyError::HostUnreachable), "{unknown}");
    assert_eq!(proxy.blocked(), []);
    let of = |host, port| proxy.failure_of(host, port);
    assert_eq!(of("127.0.0.1", closed), Some(Failure::Refused));
    assert_eq!(of("nowhere.invalid", 80), Some(Failure::UnknownHost));
    assert_eq!(of("nowhere.invalid", 81), None);
}

#[tokio::test]
async fn only_connect_is_served() {
    let proxy = SocksProxy::start(AllowAddresses::Any)
        .await
        .expect("a proxy");
    for command in [2, 3] {
        let mut stream = TcpStream::connect(proxy.address())
            .await
            .expect("connected");
        let request = [5, 1, 0, 5, command, 0, 1, 127, 0, 0, 1, 0, 80];
        stream.write_all(&request).await.expect("sent");
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(answer, [5, 0, 5, 7], "method chosen, then not supported");
    }
}

#[tokio::test]
async fn the_list_of_refusals_is_bounded_and_keeps_the_last() {
    let proxy = SocksProxy::start(AllowAddresses::PublicOnly)
        .await
        .expect("a proxy");
    for port in 1..=40 {
        reply_of(connect(&proxy, "127.0.0.1", port).await);
    }
    let ports: Vec<u16> = proxy.blocked().iter().map(|blocked| blocked.port).collect();
    assert_eq!(ports, (9..=40).collect::<Vec<u16>>());
}

#[tokio::test]
async fn dropping_the_proxy_ends_its_listener_and_its_connections() {
    let server = EchoServer::start().await;
    let proxy = SocksProxy::start(AllowAddresses::AndLoopback)
        .await
        .expect("a proxy");
    let address = proxy.address();
    let mut open = connect(&proxy, "127.0.0.1", server.address.port())
        .await
        .expect("connected");
    drop(proxy);
    let mut rest = Vec::new();
    // An end or a reset: both are ends.
    let _ = open.read_to_end(&mut rest).await;
    assert!(TcpStream::connect(address).await.is_err());
}
