//! POSTs to addresses that customers chose, such as webhook endpoints, without letting them reach
//! anything of ours.
//!
//! The check sits in the resolver that the connection uses, so there is no gap between check and
//! use. It never follows a redirect, never uses a proxy from the environment, never keeps a
//! connection for a later request (on Lambda it would be dead by then, and its address was checked
//! long ago), never sends a request twice by itself, and never reads more than a bounded part of
//! an answer.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;
use url::{Host, Url};

use crate::addresses::{AllowAddresses, Refused};
use crate::resolution::{ResolutionError, resolve_allowed};

pub use reqwest::StatusCode;
pub use reqwest::header::HeaderMap;

/// How much of an answer's body is read and kept, in bytes.
pub const BODY_START_LIMIT_BYTES: usize = 8 * 1024;

/// An HTTP client that contacts allowed addresses only. Cheap to clone.
#[derive(Clone, Debug)]
pub struct GuardedClient {
    http: reqwest::Client,
    allow: AllowAddresses,
    timeout: Duration,
}

/// What the other side answered, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status; a redirect is an answer like any other.
    pub status: StatusCode,
    /// The headers, `Retry-After` among them.
    pub headers: HeaderMap,
    /// The body's first [`BODY_START_LIMIT_BYTES`], or all of it if it is shorter.
    pub body_start: Vec<u8>,
    /// From the call to the end of reading.
    pub took: Duration,
}

/// Why there is no answer. The texts name the host and never the rest of the URL, which may hold
/// a customer's token.
#[derive(Debug, Error)]
pub enum SendError {
    /// The URL is one that we never contact. Trying again is of no use until the URL, or what its
    /// name resolves to, has changed.
    #[error("ADDRESS_BLOCKED: {0}")]
    Blocked(BlockedUrl),
    /// The name didn't resolve or nobody accepted the connection.
    #[error("could not connect to {host}")]
    Connect {
        /// The URL's host.
        host: String,
        /// What failed underneath.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Connecting, sending and the whole answer took longer than the client's time-out.
    #[error("{host} took longer than {} ms", timeout.as_millis())]
    TimedOut {
        /// The URL's host.
        host: String,
        /// The client's time-out.
        timeout: Duration,
    },
    /// The TLS handshake failed: an expired or unknown certificate, say.
    #[error("no TLS connection to {host}: {reason}")]
    Tls {
        /// The URL's host.
        host: String,
        /// What rustls found wrong.
        reason: rustls::Error,
    },
    /// Anything else: the connection broke, or the answer was no HTTP.
    #[error("the exchange with {host} failed")]
    Other {
        /// The URL's host.
        host: String,
        /// What failed underneath.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl SendError {
    /// A stable code for the record of an attempt.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Blocked(_) => "ADDRESS_BLOCKED",
            Self::Connect { .. } => "CONNECT_FAILED",
            Self::TimedOut { .. } => "TIMED_OUT",
            Self::Tls { .. } => "TLS_FAILED",
            Self::Other { .. } => "SEND_FAILED",
        }
    }
}

/// What is wrong with a URL that we never contact.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum BlockedUrl {
    /// Every address of the host is refused.
    #[error("{host}: {refused}")]
    Address {
        /// The URL's host.
        host: String,
        /// The first refusal.
        refused: Refused,
    },
    /// Only https goes out to the public Internet.
    #[error("the URL must begin with https://")]
    Scheme,
}

impl GuardedClient {
    /// Makes a client. Plain http is possible only where more than public addresses are allowed.
    /// `timeout` bounds a whole exchange, from the name's resolution to the end of the answer.
    ///
    /// # Errors
    /// When the system has no certificates to trust, or TLS can't be set up.
    pub fn new(allow: AllowAddresses, timeout: Duration) -> Result<Self, reqwest::Error> {
        #[expect(clippy::disallowed_methods, reason = "this is the guarded client")]
        let http = reqwest::Client::builder()
            .dns_resolver(GuardedResolver { allow })
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .https_only(allow == AllowAddresses::PublicOnly)
            .pool_max_idle_per_host(0)
            .timeout(timeout)
            .user_agent(concat!("Legwork/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            http,
            allow,
            timeout,
        })
    }

    /// Checks all of a URL that can be checked without resolving its name; for refusing an
    /// endpoint when a customer registers it.
    ///
    /// # Errors
    /// [`BlockedUrl`], when no request would ever be sent there.
    pub fn check_url(allow: AllowAddresses, url: &Url) -> Result<(), BlockedUrl> {
        match url.scheme() {
            "https" => {}
            "http" if allow != AllowAddresses::PublicOnly => {}
            _ => return Err(BlockedUrl::Scheme),
        }
        let address: IpAddr = match url.host() {
            Some(Host::Ipv4(address)) => address.into(),
            Some(Host::Ipv6(address)) => address.into(),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        allow.check(address).map_err(|refused| BlockedUrl::Address {
            host: address.to_string(),
            refused,
        })
    }

    /// Sends one POST and reads the start of the answer.
    ///
    /// # Errors
    /// See [`SendError`]. An answer with an error status is an [`Answer`].
    pub async fn post(
        &self,
        url: &Url,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, SendError> {
        // The connector asks no resolver about a literal address, so it is checked here.
        Self::check_url(self.allow, url).map_err(SendError::Blocked)?;

        let started = Instant::now();
        let explain = |error| self.explain(url, error);
        let mut request = self.http.post(url.clone()).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.send().await.map_err(explain)?;
        let mut body_start = Vec::new();
        while body_start.len() < BODY_START_LIMIT_BYTES {
            let Some(chunk) = response.chunk().await.map_err(explain)? else {
                break;
            };
            let wanted = chunk.len().min(BODY_START_LIMIT_BYTES - body_start.len());
            body_start.extend_from_slice(&chunk[..wanted]);
        }
        Ok(Answer {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body_start,
            took: started.elapsed(),
        })
    }

    fn explain(&self, url: &Url, error: reqwest::Error) -> SendError {
        let host = url.host_str().unwrap_or_default().to_owned();
        if error.is_timeout() {
            return SendError::TimedOut {
                host,
                timeout: self.timeout,
            };
        }
        if let Some(ResolutionError::Blocked { refused, .. }) = find_cause(&error) {
            let refused = *refused;
            return SendError::Blocked(BlockedUrl::Address { host, refused });
        }
        if let Some(reason) = find_cause::<rustls::Error>(&error) {
            let reason = reason.clone();
            return SendError::Tls { host, reason };
        }
        let connecting = error.is_connect();
        let source = error.without_url().into();
        if connecting {
            SendError::Connect { host, source }
        } else {
            SendError::Other { host, source }
        }
    }
}

/// Finds an error of one type among the causes of another, also inside an I/O error, which hides
/// what it wraps.
fn find_cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let wrapped = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

/// Gives the connector the allowed addresses of a name, and no others.
struct GuardedResolver {
    allow: AllowAddresses,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow = self.allow;
        Box::pin(async move {
            // Port 0 means that the connector takes the URL's.
            let addresses: Vec<SocketAddr> = resolve_allowed(allow, name.as_str(), 0).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
