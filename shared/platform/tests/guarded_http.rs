//! The guarded client against real sockets on loopback.

mod nobody;

use std::time::Duration;

use platform::addresses::{AllowAddresses, Class};
use platform::guarded_http::{BODY_START_LIMIT_BYTES, BlockedUrl, GuardedClient, SendError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use url::Url;

use nobody::closed_address;

const LONG: Duration = Duration::from_secs(20);

fn client(allow: AllowAddresses) -> GuardedClient {
    GuardedClient::new(allow, LONG).expect("a client")
}

/// Accepts one connection, reads one request and answers with the given bytes. Its task gives the
/// request back.
struct OneAnswer {
    port: u16,
    task: JoinSet<Vec<u8>>,
}

impl OneAnswer {
    async fn start(answer: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let request = read_request(&mut stream).await;
            // The client may leave before it has taken all.
            let _ = stream.write_all(&answer).await;
            request
        });
        Self { port, task }
    }

    fn url(&self, host: &str) -> Url {
        Url::parse(&format!("http://{host}:{}/hook?token=t0ken", self.port)).expect("a URL")
    }

    async fn request(mut self) -> String {
        let bytes = self.task.join_next().await.expect("a task");
        String::from_utf8(bytes.expect("no panic")).expect("text")
    }

    fn was_contacted(&mut self) -> bool {
        self.task.try_join_next().is_some()
    }
}

async fn read_request(stream: &mut TcpStream) -> Vec<u8> {
    let mut request = Vec::new();
    while !request.ends_with(b"{}") && stream.read_buf(&mut request).await.expect("bytes") > 0 {}
    request
}

#[tokio::test]
async fn a_post_brings_its_headers_and_body_and_the_answer_back() {
    let server = OneAnswer::start(
        b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 5\r\n\r\nlater".to_vec(),
    )
    .await;
    let answer = client(AllowAddresses::AndLoopback)
        .post(
            &server.url("127.0.0.1"),
            &[("webhook-id", "msg_1")],
            b"{}".to_vec(),
        )
        .await
        .expect("an answer");
    assert_eq!(answer.status, 503);
    assert_eq!(answer.headers["retry-after"], "7");
    assert_eq!(answer.body_start, b"later");
    let request = server.request().await;
    assert!(
        request.starts_with("POST /hook?token=t0ken HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(request.contains("webhook-id: msg_1\r\n"), "{request}");
}

#[tokio::test]
async fn a_name_for_loopback_is_reached_only_where_loopback_is_allowed() {
    let mut server = OneAnswer::start(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()).await;
    let https = Url::parse(&format!("https://localhost:{}/", server.port)).expect("a URL");
    let error = client(AllowAddresses::PublicOnly)
        .post(&https, &[], b"{}".to_vec())
        .await
        .expect_err("loopback is not public");
    let SendError::Blocked(BlockedUrl::Address { host, refused }) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(
        (host.as_str(), refused.class),
        ("localhost", Class::Loopback)
    );
    assert_eq!(error.code(), "ADDRESS_BLOCKED");
    assert!(!server.was_contacted());

    let answer = client(AllowAddresses::AndLoopback)
        .post(&server.url("localhost"), &[], b"{}".to_vec())
        .await
        .expect("loopback is allowed");
    assert_eq!(answer.status, 204);
}

#[tokio::test]
async fn a_literal_address_is_checked_in_every_notation() {
    let client = client(AllowAddresses::PublicOnly);
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "169.254.169.254",
        "[fd00:ec2::254]",
    ] {
        let url = Url::parse(&format!("https://{host}/")).expect("a URL");
        let error = client.post(&url, &[], Vec::new()).await.expect_err(host);
        assert!(
            matches!(error, SendError::Blocked(BlockedUrl::Address { .. })),
            "{host}: {error:?}"
        );
    }
}

#[tokio::test]
async fn plain_http_is_blocked_where_only_public_addresses_are_allowed() {
    let url = Url::parse("http://example.com/").expect("a URL");
    let error = client(AllowAddresses::PublicOnly)
        .post(&url, &[], Vec::new())
        .await
        .expect_err("no https");
    assert!(
        matches!(error, SendError::Blocked(BlockedUrl::Scheme)),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let mut elsewhere = OneAnswer::start(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()).await;
    let location = elsewhere.url("127.0.0.1");
    let server = OneAnswer::start(
        format!("HTTP/1.1 307 Go\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
            .into_bytes(),
    )
    .await;
    let answer = client(AllowAddresses::AndLoopback)
        .post(&server.url("127.0.0.1"), &[], b"{}".to_vec())
        .await
        .expect("an answer");
    assert_eq!(answer.status, 307);
    assert!(!elsewhere.was_contacted());
}

#[tokio::test]
async fn only_the_start_of_a_long_answer_is_read() {
    let mut endless = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n".to_vec();
    endless.resize(64 * 1024, b'x');
    let server = OneAnswer::start(endless).await;
    let answer = client(AllowAddresses::AndLoopback)
        .post(&server.url("127.0.0.1"), &[], b"{}".to_vec())
        .await
        .expect("an answer");
    assert_eq!(answer.body_start, vec![b'x'; BODY_START_LIMIT_BYTES]);
}

#[tokio::test]
async fn the_time_out_covers_the_body_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = Url::parse(&format!(
        "http://{}/",
        listener.local_addr().expect("an address")
    ))
    .expect("a URL");
    let timeout = Duration::from_millis(200);
    let client = GuardedClient::new(AllowAddresses::AndLoopback, timeout).expect("a client");
    let stalling_server = async {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        read_request(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
            .await
            .expect("written");
        std::future::pending::<()>().await;
    };
    let result = tokio::select! {
        result = client.post(&url, &[], b"{}".to_vec()) => result,
        () = stalling_server => unreachable!("it never ends"),
    };
    let error = result.expect_err("no whole answer");
    assert!(matches!(error, SendError::TimedOut { .. }), "{error:?}");
}

#[tokio::test]
async fn a_closed_port_is_a_failure_to_connect_that_hides_the_path() {
    let (_closed, address) = closed_address();
    let url = Url::parse(&format!("http://{address}/t0ken")).expect("a URL");
    let error = client(AllowAddresses::AndLoopback)
        .post(&url, &[], Vec::new())
        .await
        .expect_err("nobody listens");
    assert!(matches!(error, SendError::Connect { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("t0ken"), "{error:?}");
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_a_tls_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let mut server = JoinSet::new();
    server.spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        stream
            .write_all(b"HTTP/1.1 400 no\r\n\r\n")
            .await
            .expect("written");
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    });
    let url = Url::parse(&format!("https://127.0.0.1:{port}/")).expect("a URL");
    let error = client(AllowAddresses::AndLoopback)
        .post(&url, &[], Vec::new())
        .await
        .expect_err("no TLS");
    assert!(matches!(error, SendError::Tls { .. }), "{error:?}");
}

#[tokio::test]
async fn a_broken_exchange_is_neither_a_failure_to_connect_nor_an_answer() {
    let server = OneAnswer::start(b"no HTTP at all\r\n\r\n".to_vec()).await;
    let error = client(AllowAddresses::AndLoopback)
        .post(&server.url("127.0.0.1"), &[], b"{}".to_vec())
        .await
        .expect_err("no HTTP");
    assert!(matches!(error, SendError::Other { .. }), "{error:?}");
}
