//! Another proxy through which the guarded one connects: HTTP CONNECT, or SOCKS5 (RFC 1928) with a user name and a
//! password (RFC 1929).
//!
//! It is given addresses that were checked, never names: what it would resolve for itself, nobody could check. Both
//! handshakes are written out here, because what answers may be anything: the client of `fast_socks5` panics on a reply
//! that it doesn't know, and says user names in its errors. No error here holds what was sent or received.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::addresses::{AllowAddresses, Refused};
use crate::connecting::connect_first;
use crate::resolution::{ResolutionError, resolve_allowed};

/// How long the head of an answer to CONNECT may be, in bytes.
const MOST_HEAD_BYTES: usize = 16 * 1024;

/// A proxy of somebody else's, and what it is told.
#[derive(Clone)]
pub struct Upstream {
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Its name or its address, which is checked at each connection.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What it is told of who asks. Without them it must do without.
    pub credentials: Option<Credentials>,
}

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protocol {
    /// HTTP's CONNECT.
    Http,
    /// SOCKS5.
    Socks5,
}

/// A user name and a password, of at most 255 bytes each for SOCKS5, and the name without a colon for HTTP.
#[derive(Clone)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password, which may be empty.
    pub password: String,
}

/// Where it is may be a customer's secret, and its credentials are: neither is shown.
impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(•••)")
    }
}

/// Why a connection through an upstream proxy did not come about.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UpstreamFailure {
    /// The proxy's own address may not be contacted.
    #[error("the upstream proxy can't be used: {0}")]
    Blocked(Refused),
    /// There is no such host as the proxy's, or the resolver did not answer.
    #[error("there is no such host as the upstream proxy's")]
    UnknownHost,
    /// Nobody listens there.
    #[error("the upstream proxy's host refused the connection")]
    Refused,
    /// There is no way there, or the connection broke off.
    #[error("the upstream proxy can't be reached")]
    Unreachable,
    /// It, or the host behind it, took too long.
    #[error("the upstream proxy did not connect in time")]
    TimedOut,
    /// What answered speaks another protocol.
    #[error("what answered at the upstream proxy's address speaks another protocol")]
    NotAProxy,
    /// It wants credentials, and there are none, or of another kind.
    #[error("the upstream proxy asks for credentials")]
    CredentialsMissing,
    /// It does not take the credentials.
    #[error("the upstream proxy did not accept the credentials")]
    CredentialsRejected,
    /// It does not want to connect there: the status of HTTP, or the reply of SOCKS5.
    #[error("the upstream proxy refused to connect to the host (it answered {0})")]
    Denied(u16),
    /// It could not connect there: the status of HTTP, or the reply of SOCKS5.
    #[error("the upstream proxy could not reach the host (it answered {0})")]
    HostUnreachable(u16),
}

impl UpstreamFailure {
    /// Whether another address of the same host may do better.
    fn is_of_the_address(&self) -> bool {
        matches!(self, Self::Denied(_) | Self::HostUnreachable(_))
    }
}

impl Upstream {
    /// Connects to the first of these addresses, all of them checked, that the proxy reaches; at least one is given.
    pub(crate) async fn connect(
        &self,
        allow: AllowAddresses,
        mut targets: Vec<SocketAddr>,
        time: Duration,
    ) -> Result<TcpStream, UpstreamFailure> {
        // Many proxies have no IPv6 of their own, whatever this machine has.
        targets.sort_by_key(SocketAddr::is_ipv6);
        let in_turn = async {
            let mut failure = UpstreamFailure::Unreachable;
            for target in targets {
                match self.connect_to(allow, target).await {
                    Err(error) if error.is_of_the_address() => failure = error,
                    ended => return ended,
                }
            }
            Err(failure)
        };
        timeout(time, in_turn)
            .await
            .unwrap_or(Err(UpstreamFailure::TimedOut))
    }

    async fn connect_to(
        &self,
        allow: AllowAddresses,
        target: SocketAddr,
    ) -> Result<TcpStream, UpstreamFailure> {
        let addresses = resolve_allowed(allow, &self.host, self.port)
            .await
            .map_err(|error| match error {
                ResolutionError::Blocked { refused, .. } => UpstreamFailure::Blocked(refused),
                ResolutionError::NotFound { .. } => UpstreamFailure::UnknownHost,
            })?;
        let mut stream = connect_first(addresses).await.map_err(broken)?;
        let _ = stream.set_nodelay(true);
        match self.protocol {
            Protocol::Http => self.ask_by_http(&mut stream, target).await?,
            Protocol::Socks5 => self.ask_by_socks(&mut stream, target).await?,
        }
        Ok(stream)
    }

    async fn ask_by_http(
        &self,
        stream: &mut TcpStream,
        target: SocketAddr,
    ) -> Result<(), UpstreamFailure> {
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(Credentials { username, password }) = &self.credentials {
            // In base64, nothing in them can end the line.
            let both = STANDARD.encode(format!("{username}:{password}"));
            request += &format!("Proxy-Authorization: Basic {both}\r\n");
        }
        request += "\r\n";
        stream.write_all(request.as_bytes()).await.map_err(broken)?;
        // One byte at a time: what follows the head is the host's, and must stay in the stream.
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() == MOST_HEAD_BYTES || !b"HTTP/1.".starts_with(&head[..head.len().min(7)])
            {
                return Err(UpstreamFailure::NotAProxy);
            }
            head.push(stream.read_u8().await.map_err(broken)?);
        }
        let status = head.split(|byte| *byte == b' ').nth(1);
        let status = status.and_then(|status| status.get(..3));
        let status = status.and_then(|digits| str::from_utf8(digits).ok()?.parse::<u16>().ok());
        match status.ok_or(UpstreamFailure::NotAProxy)? {
            200..=299 => Ok(()),
            407 if self.credentials.is_some() => Err(UpstreamFailure::CredentialsRejected),
            407 => Err(UpstreamFailure::CredentialsMissing),
            status @ 500..=599 => Err(UpstreamFailure::HostUnreachable(status)),
            status => Err(UpstreamFailure::Denied(status)),
        }
    }

    async fn ask_by_socks(
        &self,
        stream: &mut TcpStream,
        target: SocketAddr,
    ) -> Result<(), UpstreamFailure> {
        const WITHOUT: u8 = 0;
        const PASSWORD: u8 = 2;
        let methods: &[u8] = match &self.credentials {
            None => &[5, 1, WITHOUT],
            Some(_) => &[5, 2, WITHOUT, PASSWORD],
        };
        stream.write_all(methods).await.map_err(broken)?;
        let [version, method] = read(stream).await?;
        if version != 5 {
            return Err(UpstreamFailure::NotAProxy);
        }
        match (method, &self.credentials) {
            (WITHOUT, _) => {}
            (PASSWORD, Some(credentials)) => {
                let message = credentials
                    .in_socks()
                    .ok_or(UpstreamFailure::CredentialsRejected)?;
                stream.write_all(&message).await.map_err(broken)?;
                let [_, status] = read(stream).await?;
                if status != 0 {
                    return Err(UpstreamFailure::CredentialsRejected);
                }
            }
            _ => return Err(UpstreamFailure::CredentialsMissing),
        }
        let mut request = vec![5, 1, 0];
        match target.ip() {
            IpAddr::V4(address) => {
                request.push(1);
                request.extend(address.octets());
            }
            IpAddr::V6(address) => {
                request.push(4);
                request.extend(address.octets());
            }
        }
        request.extend(target.port().to_be_bytes());
        stream.write_all(&request).await.map_err(broken)?;
        let [version, reply, _, kind] = read(stream).await?;
        match (version, reply) {
            (5, 0) => {}
            (5, 2 | 7 | 8) => return Err(UpstreamFailure::Denied(reply.into())),
            (5, _) => return Err(UpstreamFailure::HostUnreachable(reply.into())),
            _ => return Err(UpstreamFailure::NotAProxy),
        }
        // From where it connected; nobody needs it, but it stands before what the host says.
        let length = match kind {
            1 => 4,
            3 => stream.read_u8().await.map_err(broken)?.into(),
            4 => 16,
            _ => return Err(UpstreamFailure::NotAProxy),
        };
        let mut bound = vec![0; length + 2];
        stream.read_exact(&mut bound).await.map_err(broken)?;
        Ok(())
    }
}

impl Credentials {
    /// The message of RFC 1929; nothing if they are too long for it.
    fn in_socks(&self) -> Option<Vec<u8>> {
        let mut message = vec![1];
        for text in [&self.username, &self.password] {
            message.push(u8::try_from(text.len()).ok()?);
            message.extend(text.as_bytes());
        }
        Some(message)
    }
}

async fn read<const N: usize>(stream: &mut TcpStream) -> Result<[u8; N], UpstreamFailure> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await.map_err(broken)?;
    Ok(bytes)
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn broken(error: io::Error) -> UpstreamFailure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => UpstreamFailure::Refused,
        _ => UpstreamFailure::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_proxy_that_accepts_and_says_nothing_has_timed_out() {
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = silent.local_addr().expect("an address");
        for protocol in [Protocol::Http, Protocol::Socks5] {
            let upstream = Upstream {
                protocol,
                host: "127.0.0.1".to_owned(),
                port: address.port(),
                credentials: None,
            };
            let targets = vec![address];
            let allow = AllowAddresses::AndLoopback;
            let connecting = upstream.connect(allow, targets, Duration::from_millis(100));
            assert_eq!(
                connecting.await.expect_err("nothing is said"),
                UpstreamFailure::TimedOut
            );
        }
    }

    #[test]
    fn neither_where_it_is_nor_what_it_is_told_is_shown() {
        let upstream = Upstream {
            protocol: Protocol::Http,
            host: "proxy.test".to_owned(),
            port: 3128,
            credentials: Some(Credentials {
                username: "somebody".to_owned(),
                password: "hunter22".to_owned(),
            }),
        };
        let shown = format!("{upstream:?} {:?}", upstream.credentials);
        for secret in ["proxy.test", "somebody", "hunter22"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
