//! Turns a host into the addresses that may be contacted: resolves, then checks what came out.
//!
//! A caller connects to exactly the addresses that it got from here and never resolves the name
//! again, so there is no gap between check and use in which a name could change its mind.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;

use crate::addresses::{AllowAddresses, Refused};

/// Why a host can't be contacted.
#[derive(Debug, Error)]
pub enum ResolutionError {
    /// The host has addresses, and none of them may be contacted: trying again is of no use.
    #[error("every address of {host} is refused")]
    Blocked {
        /// The host as it was asked for.
        host: String,
        /// The refusal of the first address.
        #[source]
        refused: Refused,
    },
    /// The host has no address, or the resolver failed: trying again later may help.
    #[error("{host} can't be resolved")]
    NotFound {
        /// The host as it was asked for.
        host: String,
        /// What the system's resolver said.
        #[source]
        source: io::Error,
    },
}

/// Resolves a host (a name, or a literal address in any notation that the system understands) and
/// returns the addresses that may be contacted, at least one, each with the given port. It has no
/// time-out of its own.
///
/// # Errors
/// See [`ResolutionError`].
pub async fn resolve_allowed(
    allow: AllowAddresses,
    host: &str,
    port: u16,
) -> Result<Vec<SocketAddr>, ResolutionError> {
    let not_found = |source| ResolutionError::NotFound {
        host: host.to_owned(),
        source,
    };
    let found = tokio::net::lookup_host((host, port))
        .await
        .map_err(not_found)?;

    let mut first_refused = None;
    let mut allowed = Vec::new();
    for address in found {
        match allow.check(address.ip()) {
            Ok(()) => allowed.push(address),
            Err(refused) => {
                first_refused.get_or_insert(refused);
            }
        }
    }
    match first_refused {
        _ if !allowed.is_empty() => Ok(allowed),
        Some(refused) => Err(ResolutionError::Blocked {
            host: host.to_owned(),
            refused,
        }),
        None => Err(not_found(io::ErrorKind::NotFound.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_for_loopback_is_blocked_unless_loopback_is_allowed() {
        // The last three are other notations of 127.0.0.1 that the system's resolver understands.
        for host in [
            "localhost",
            "127.0.0.1",
            "::1",
            "127.1",
            "2130706433",
            "0x7f.1",
        ] {
            let refused = resolve_allowed(AllowAddresses::PublicOnly, host, 80).await;
            assert!(
                matches!(refused, Err(ResolutionError::Blocked { .. })),
                "{host}: {refused:?}"
            );
            let allowed = resolve_allowed(AllowAddresses::AndLoopback, host, 80)
                .await
                .expect("loopback is allowed");
            assert!(
                allowed
                    .iter()
                    .all(|address| address.ip().is_loopback() && address.port() == 80),
                "{host}: {allowed:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_name_without_addresses_is_not_found() {
        let result = resolve_allowed(AllowAddresses::Any, "nowhere.invalid", 80).await;
        assert!(
            matches!(result, Err(ResolutionError::NotFound { .. })),
            "{result:?}"
        );
    }
}
