//! The guarded SOCKS5 proxy through which a browser's whole traffic goes.
//!
//! A check on a URL is not enough, since a name can resolve to anything: here the name is resolved,
//! its addresses are checked, and the connection goes to exactly a checked one. The proxy speaks
//! CONNECT only, never looks into the traffic, and never logs where it goes.
//!
//! Chromium can't authenticate itself to a SOCKS proxy, so any process of the machine may use it.
//! That gives nobody more than they have: it listens on loopback, on a port that the system picks,
//! and reaches nothing that its user could not reach directly.
//!
//! Where a workflow names an upstream proxy, the target is resolved and checked here all the same, and the upstream is
//! given the checked address ([`crate::upstream`]).
//!
//! The browser package starts the browser so that nothing goes around it; workers/runner/tests/egress.rs tries.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fast_socks5::server::{Socks5ServerProtocol, states};
use fast_socks5::util::target_addr::TargetAddr;
use fast_socks5::{ReplyError, Socks5Command};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::addresses::{AllowAddresses, Refused};
use crate::connecting::connect_first;
use crate::resolution::{ResolutionError, resolve_allowed};
use crate::upstream::{Upstream, UpstreamFailure};

/// More than a browser opens (Chromium: 32 for each proxy, and as many for WebSockets). Whoever
/// comes then waits in the listener's backlog.
const MAX_CONNECTIONS: usize = 256;
/// From the accepted connection to the parsed request.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// From the parsed request to the open connection: resolving, and all addresses in turn.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// How many failures are kept.
const MAX_FAILURES: usize = 32;

/// A connection that was refused because of its address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Blocked {
    /// The host that the browser asked for.
    pub host: String,
    /// The port that the browser asked for.
    pub port: u16,
    /// Why its first address was refused.
    pub reason: Refused,
}

/// A connection that did not come about. To a browser all of these look the same.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failed {
    /// The host that the browser asked for.
    pub host: String,
    /// The port that the browser asked for.
    pub port: u16,
    /// Why.
    pub failure: Failure,
}

/// Why a connection did not come about.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Failure {
    /// Its address may not be contacted.
    #[error(transparent)]
    Blocked(#[from] Refused),
    /// There is no such host, or the resolver did not answer.
    #[error("there is no such host")]
    UnknownHost,
    /// Nobody listens there.
    #[error("the host refused the connection")]
    Refused,
    /// There is no way there.
    #[error("the host can't be reached")]
    Unreachable,
    /// It took too long.
    #[error("the host did not answer in time")]
    TimedOut,
    /// The upstream proxy did not bring it about.
    #[error(transparent)]
    Upstream(#[from] UpstreamFailure),
}

impl Failure {
    /// Whether an address was refused, the host's or the upstream proxy's: then another try is of no use.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Blocked(_) | Self::Upstream(UpstreamFailure::Blocked(_))
        )
    }

    /// Whether it is the same on every try until somebody changes a setting: the upstream proxy's address or credentials.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::Blocked(_) => true,
            Self::UnknownHost | Self::Refused | Self::Unreachable | Self::TimedOut => false,
            Self::Upstream(failure) => match failure {
                UpstreamFailure::Blocked(_)
                | UpstreamFailure::NotAProxy
                | UpstreamFailure::CredentialsMissing
                | UpstreamFailure::CredentialsRejected => true,
                UpstreamFailure::UnknownHost
                | UpstreamFailure::Refused
                | UpstreamFailure::Unreachable
                | UpstreamFailure::TimedOut
                | UpstreamFailure::Denied(_)
                | UpstreamFailure::HostUnreachable(_) => false,
            },
        }
    }

    fn reply(&self) -> ReplyError {
        match self {
            Self::Blocked(_) => ReplyError::ConnectionNotAllowed,
            Self::UnknownHost | Self::Unreachable => ReplyError::HostUnreachable,
            Self::Refused => ReplyError::ConnectionRefused,
            Self::TimedOut => ReplyError::TtlExpired,
            Self::Upstream(_) => ReplyError::GeneralFailure,
        }
    }
}

/// A running proxy. Dropping it ends its listener and its connections.
#[derive(Debug)]
pub struct SocksProxy {
    address: SocketAddr,
    failures: Failures,
    /// Ends with its owner.
    _listener: JoinSet<()>,
}

impl SocksProxy {
    /// Starts a proxy on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(allow: AllowAddresses) -> io::Result<Self> {
        Self::start_behind(allow, None).await
    }

    /// Starts a proxy that connects through an upstream one, if there is one.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start_behind(
        allow: AllowAddresses,
        upstream: Option<Upstream>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let failures = Failures::default();
        let mut task = JoinSet::new();
        let way = Way {
            allow,
            upstream: upstream.map(Arc::new),
        };
        task.spawn(accept_connections(listener, way, failures.clone()));
        Ok(Self {
            address,
            failures,
            _listener: task,
        })
    }

    /// Where the proxy listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The last connections that were refused because of their addresses, oldest first, at most 32.
    #[must_use]
    pub fn blocked(&self) -> Vec<Blocked> {
        let failures = self.failures.list().into_iter();
        failures
            .filter_map(
                |Failed {
                     host,
                     port,
                     failure,
                 }| match failure {
                    Failure::Blocked(reason) => Some(Blocked { host, port, reason }),
                    _ => None,
                },
            )
            .collect()
    }

    /// Why the last connection to this place did not come about, if it was among the last 32 that
    /// did not.
    #[must_use]
    pub fn failure_of(&self, host: &str, port: u16) -> Option<Failure> {
        let mut failures = self.failures.list().into_iter().rev();
        failures
            .find(|failed| failed.host == host && failed.port == port)
            .map(|failed| failed.failure)
    }
}

#[derive(Clone, Debug, Default)]
struct Failures(Arc<Mutex<VecDeque<Failed>>>);

impl Failures {
    fn add(&self, failed: Failed) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if list.len() == MAX_FAILURES {
            list.pop_front();
        }
        list.push_back(failed);
    }

    /// What failed before says nothing of what fails after a success.
    fn forget(&self, host: &str, port: u16) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.retain(|failed| failed.host != host || failed.port != port);
    }

    fn list(&self) -> Vec<Failed> {
        let list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.iter().cloned().collect()
    }
}

/// How a connection is made.
#[derive(Clone, Debug)]
struct Way {
    allow: AllowAddresses,
    upstream: Option<Arc<Upstream>>,
}

async fn accept_connections(listener: TcpListener, way: Way, failures: Failures) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((client, _)) => {
                let (way, failures) = (way.clone(), failures.clone());
                connections.spawn(async move {
                    serve(client, &way, &failures).await;
                    drop(slot);
                });
            }
            // Out of file descriptors, say: looping at once would only burn the processor.
            Err(error) => {
                tracing::warn!(%error, "the browser's proxy can't accept a connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

type Request = Socks5ServerProtocol<TcpStream, states::CommandRead>;

/// Serves one connection to its end. Failures are told to the browser, which tells the engine; so
/// they aren't logged here.
async fn serve(client: TcpStream, way: &Way, failures: &Failures) {
    let _ = client.set_nodelay(true);
    let Ok(Some((request, target))) = timeout(HANDSHAKE_TIMEOUT, read_request(client)).await else {
        return;
    };
    let (host, port) = target.into_string_and_port();
    let failure = match way.connect(&host, port).await {
        Ok(mut server) => {
            failures.forget(&host, port);
            let bound = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
            if let Ok(mut client) = request.reply_success(bound).await {
                // An end by error is an end like any other: the browser sees it.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            }
            return;
        }
        Err(failure) => failure,
    };
    let reply = failure.reply();
    failures.add(Failed {
        host,
        port,
        failure,
    });
    let _ = request.reply_error(&reply).await;
}

/// Reads the handshake and the request; nothing when it isn't one for CONNECT, which has been
/// answered then.
async fn read_request(client: TcpStream) -> Option<(Request, TargetAddr)> {
    let negotiated = Socks5ServerProtocol::accept_no_auth(client).await.ok()?;
    let (request, command, target) = negotiated.read_command().await.ok()?;
    match command {
        Socks5Command::TCPConnect => Some((request, target)),
        Socks5Command::TCPBind | Socks5Command::UDPAssociate => {
            let _ = request.reply_error(&ReplyError::CommandNotSupported).await;
            None
        }
    }
}

impl Way {
    /// Connects to a host, directly or through the upstream proxy, which has the same time for itself.
    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Failure> {
        let resolving = async {
            let resolved = resolve_allowed(self.allow, host, port).await;
            resolved.map_err(|error| match error {
                ResolutionError::Blocked { refused, .. } => Failure::Blocked(refused),
                ResolutionError::NotFound { .. } => Failure::UnknownHost,
            })
        };
        let Some(upstream) = &self.upstream else {
            let connecting = async {
                let server = connect_first(resolving.await?).await;
                server.map_err(|error| match error.kind() {
                    io::ErrorKind::ConnectionRefused => Failure::Refused,
                    _ => Failure::Unreachable,
                })
            };
            let server = timeout(CONNECT_TIMEOUT, connecting).await;
            let server = server.unwrap_or(Err(Failure::TimedOut))?;
            let _ = server.set_nodelay(true);
            return Ok(server);
        };
        let resolved = timeout(CONNECT_TIMEOUT, resolving).await;
        let addresses = resolved.unwrap_or(Err(Failure::TimedOut))?;
        let connecting = upstream.connect(self.allow, addresses, CONNECT_TIMEOUT);
        Ok(connecting.await?)
    }
}
