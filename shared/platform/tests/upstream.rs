//! The guarded proxy behind other proxies, of both kinds: what they are told, and what becomes of what they answer.

mod connect_proxy;
mod nobody;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use fast_socks5::client::{Config, Socks5Stream};
use fast_socks5::server::Socks5ServerProtocol;
use fast_socks5::{ReplyError, Result};
use platform::addresses::{AllowAddresses, Class};
use platform::socks_proxy::{Failure, SocksProxy};
use platform::upstream::{Credentials, Protocol, Upstream, UpstreamFailure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use connect_proxy::{AUTHORIZATION, ConnectProxy};
use nobody::closed_address;

/// Does the same with each connection until it is dropped.
async fn serve<T>(each: impl Fn(TcpStream) -> T + Send + 'static) -> (SocketAddr, JoinSet<()>)
where
    T: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(each(stream));
        }
    });
    (address, task)
}

async fn echo(mut stream: TcpStream) {
    let (mut reader, mut writer) = stream.split();
    let _ = tokio::io::copy(&mut reader, &mut writer).await;
}

/// A SOCKS5 proxy that wants `me` and `hunter22`, and notes where it was asked to connect to.
async fn socks_proxy() -> (SocketAddr, Arc<Mutex<Vec<String>>>, JoinSet<()>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = asked.clone();
    let (address, task) = serve(move |client| {
        let noted = noted.clone();
        async move {
            let _: Result<()> = serve_socks(client, &noted).await;
        }
    })
    .await;
    (address, asked, task)
}

async fn serve_socks(client: TcpStream, noted: &Mutex<Vec<String>>) -> Result<()> {
    let is_right = |user: String, password: String| user == "me" && password == "hunter22";
    let (request, _) = Socks5ServerProtocol::accept_password_auth(client, is_right).await?;
    let (request, _, target) = request.read_command().await?;
    noted.lock().expect("a list").push(target.to_string());
    let (host, port) = target.into_string_and_port();
    if port == 25 {
        request
            .reply_error(&ReplyError::ConnectionNotAllowed)
            .await?;
        return Ok(());
    }
    match TcpStream::connect((host, port)).await {
        Ok(mut server) => {
            let bound = server.local_addr()?;
            let mut client = request.reply_success(bound).await?;
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        }
        Err(_) => request.reply_error(&ReplyError::ConnectionRefused).await?,
    }
    Ok(())
}

fn upstream(protocol: Protocol, address: SocketAddr, password: Option<&str>) -> Upstream {
    Upstream {
        protocol,
        host: address.ip().to_string(),
        port: address.port(),
        credentials: password.map(|password| Credentials {
            username: "me".to_owned(),
            password: password.to_owned(),
        }),
    }
}

async fn behind(allow: AllowAddresses, upstream: Upstream) -> SocksProxy {
    let started = SocksProxy::start_behind(allow, Some(upstream)).await;
    started.expect("a proxy")
}

async fn connect(proxy: &SocksProxy, host: &str, port: u16) -> Result<Socks5Stream<TcpStream>> {
    Socks5Stream::connect(proxy.address(), host.to_owned(), port, Config::default()).await
}

/// Why a connection to this place does not come about.
async fn failure(proxy: &SocksProxy, host: &str, port: u16) -> Failure {
    connect(proxy, host, port).await.expect_err("a failure");
    proxy.failure_of(host, port).expect("its failure")
}

#[tokio::test]
async fn through_either_kind_bytes_go_both_ways_and_the_proxy_is_given_the_checked_address() {
    let (site, _site_task) = serve(echo).await;
    let http = ConnectProxy::start(Some(AUTHORIZATION)).await;
    let (socks, socks_asked, _socks_task) = socks_proxy().await;
    for (protocol, address) in [(Protocol::Http, http.address), (Protocol::Socks5, socks)] {
        let upstream = upstream(protocol, address, Some("hunter22"));
        let proxy = behind(AllowAddresses::AndLoopback, upstream).await;
        let mut stream = connect(&proxy, "localhost", site.port())
            .await
            .expect("connected");
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
        assert!(received == sent, "{protocol:?}: {} bytes", received.len());
    }
    let checked = vec![format!("127.0.0.1:{}", site.port())];
    assert_eq!(http.asked(), checked);
    assert_eq!(*socks_asked.lock().expect("a list"), checked);
}

#[tokio::test]
async fn an_upstream_is_never_told_of_an_address_that_is_refused() {
    let http = ConnectProxy::start(None).await;
    let (socks, socks_asked, _task) = socks_proxy().await;
    for (protocol, address) in [(Protocol::Http, http.address), (Protocol::Socks5, socks)] {
        let upstream = upstream(protocol, address, Some("hunter22"));
        let proxy = behind(AllowAddresses::AndLoopback, upstream).await;
        for (host, class) in [
            ("169.254.169.254", Class::LinkLocal),
            ("10.0.0.1", Class::Private),
            ("::ffff:10.0.0.1", Class::Private),
        ] {
            let failure = failure(&proxy, host, 80).await;
            assert!(failure.is_refusal(), "{failure}");
            assert!(
                matches!(&failure, Failure::Blocked(refused) if refused.class == class),
                "{host}: {failure}"
            );
        }
        let unknown = failure(&proxy, "nowhere.invalid", 80).await;
        assert_eq!(unknown, Failure::UnknownHost);
    }
    assert!(http.asked().is_empty());
    assert!(socks_asked.lock().expect("a list").is_empty());
}

#[tokio::test]
async fn the_upstreams_own_address_is_checked_too() {
    let http = ConnectProxy::start(None).await;
    let upstream = upstream(Protocol::Http, http.address, None);
    let proxy = behind(AllowAddresses::PublicOnly, upstream).await;
    let failure = failure(&proxy, "93.184.215.14", 80).await;
    assert!(failure.is_refusal(), "{failure}");
    assert!(
        matches!(&failure, Failure::Upstream(UpstreamFailure::Blocked(refused)) if refused.class == Class::Loopback),
        "{failure}"
    );
    assert!(http.asked().is_empty());
}

#[tokio::test]
async fn each_failure_of_an_upstream_is_told_from_the_others_without_credentials() {
    let (_closed, closed) = closed_address();
    let closed = closed.port();
    let (_ended, ended) = closed_address();
    let http_proxy = ConnectProxy::start(Some(AUTHORIZATION)).await;
    let http = http_proxy.address;
    let (socks, _, _socks_task) = socks_proxy().await;
    for (protocol, address, password, port, expected) in [
        (
            Protocol::Http,
            http,
            None,
            closed,
            UpstreamFailure::CredentialsMissing,
        ),
        (
            Protocol::Http,
            http,
            Some("wrong-one"),
            closed,
            UpstreamFailure::CredentialsRejected,
        ),
        (
            Protocol::Http,
            http,
            Some("hunter22"),
            25,
            UpstreamFailure::Denied(403),
        ),
        (
            Protocol::Http,
            http,
            Some("hunter22"),
            closed,
            UpstreamFailure::HostUnreachable(502),
        ),
        (
            Protocol::Http,
            ended,
            Some("hunter22"),
            closed,
            UpstreamFailure::Refused,
        ),
        (
            Protocol::Socks5,
            socks,
            None,
            closed,
            UpstreamFailure::CredentialsMissing,
        ),
        (
            Protocol::Socks5,
            socks,
            Some("wrong-one"),
            closed,
            UpstreamFailure::CredentialsRejected,
        ),
        (
            Protocol::Socks5,
            socks,
            Some("hunter22"),
            25,
            UpstreamFailure::Denied(2),
        ),
        (
            Protocol::Socks5,
            socks,
            Some("hunter22"),
            closed,
            UpstreamFailure::HostUnreachable(5),
        ),
        (
            Protocol::Socks5,
            ended,
            Some("hunter22"),
            closed,
            UpstreamFailure::Refused,
        ),
    ] {
        let what = format!("{protocol:?} {password:?} {port}");
        let proxy = behind(
            AllowAddresses::AndLoopback,
            upstream(protocol, address, password),
        )
        .await;
        let failure = failure(&proxy, "127.0.0.1", port).await;
        let text = failure.to_string();
        assert_eq!(failure, Failure::Upstream(expected), "{what}");
        for secret in ["hunter22", "wrong-one", "me:"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    let nowhere = Upstream {
        host: "nowhere.invalid".to_owned(),
        ..upstream(Protocol::Http, http, None)
    };
    let proxy = behind(AllowAddresses::AndLoopback, nowhere).await;
    assert_eq!(
        failure(&proxy, "127.0.0.1", closed).await,
        Failure::Upstream(UpstreamFailure::UnknownHost)
    );
}

#[tokio::test]
async fn whatever_an_upstream_answers_is_a_failure_that_says_so() {
    let endless = [b"HTTP/1.1 200 OK\r\nA: ".as_slice(), &[b'a'; 20_000]].concat();
    for (protocol, answer, expected) in [
        (
            Protocol::Http,
            b"SSH-2.0-OpenSSH\r\n".to_vec(),
            UpstreamFailure::NotAProxy,
        ),
        (
            Protocol::Http,
            b"HTTP/1.1 what\r\n\r\n".to_vec(),
            UpstreamFailure::NotAProxy,
        ),
        (Protocol::Http, endless, UpstreamFailure::NotAProxy),
        (
            Protocol::Http,
            b"HTTP/1.1 200".to_vec(),
            UpstreamFailure::Unreachable,
        ),
        (
            Protocol::Socks5,
            b"HTTP/1.1 400 Bad\r\n\r\n".to_vec(),
            UpstreamFailure::NotAProxy,
        ),
        (
            Protocol::Socks5,
            vec![5, 255],
            UpstreamFailure::CredentialsMissing,
        ),
        (
            Protocol::Socks5,
            vec![5, 0, 5, 99, 0, 1],
            UpstreamFailure::HostUnreachable(99),
        ),
        (
            Protocol::Socks5,
            vec![5, 0, 5, 0, 0, 9],
            UpstreamFailure::NotAProxy,
        ),
        (
            Protocol::Socks5,
            vec![5, 0, 5],
            UpstreamFailure::Unreachable,
        ),
    ] {
        let what = format!("{protocol:?} {:?}", &answer[..answer.len().min(20)]);
        let (address, _task) = serve(move |mut client: TcpStream| {
            let answer = answer.clone();
            async move {
                let _ = client.write_all(&answer).await;
                let _ = client.shutdown().await;
                // Until the other side has gone: an unread request would make a reset of the end.
                let _ = tokio::io::copy(&mut client, &mut tokio::io::sink()).await;
            }
        })
        .await;
        let proxy = behind(
            AllowAddresses::AndLoopback,
            upstream(protocol, address, None),
        )
        .await;
        let failure = failure(&proxy, "127.0.0.1", 80).await;
        assert_eq!(failure, Failure::Upstream(expected), "{what}");
    }
}

#[tokio::test]
async fn what_a_host_says_at_once_comes_after_the_upstreams_answer() {
    for (protocol, answer) in [
        (Protocol::Http, b"HTTP/1.1 200 OK\r\n\r\n220 hello".to_vec()),
        (
            Protocol::Socks5,
            [
                [5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0].as_slice(),
                b"220 hello",
            ]
            .concat(),
        ),
    ] {
        let (address, _task) = serve(move |mut client: TcpStream| {
            let answer = answer.clone();
            async move {
                let _ = client.write_all(&answer).await;
                let _ = tokio::io::copy(&mut client, &mut tokio::io::sink()).await;
            }
        })
        .await;
        let proxy = behind(
            AllowAddresses::AndLoopback,
            upstream(protocol, address, None),
        )
        .await;
        let mut stream = connect(&proxy, "127.0.0.1", 80).await.expect("connected");
        let mut said = [0; 9];
        stream.read_exact(&mut said).await.expect("it is said");
        assert_eq!(&said, b"220 hello");
    }
}
