//! Connects to one of several addresses that were checked.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How long an address has for itself before the next one is tried beside it (RFC 8305).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// Connects to the first address that answers. The next one starts when the one before it has
/// failed or hesitates.
pub(crate) async fn connect_first(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    let mut connecting = JoinSet::new();
    let mut failure = io::Error::from(io::ErrorKind::HostUnreachable);
    loop {
        match waiting.next() {
            Some(address) => {
                connecting.spawn(TcpStream::connect(address));
            }
            None if connecting.is_empty() => return Err(failure),
            None => {}
        }
        let next_waits = waiting.len() > 0;
        tokio::select! {
            Some(ended) = connecting.join_next() => match ended {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failure = error,
                Err(error) => failure = io::Error::other(error),
            },
            () = sleep(NEXT_ADDRESS_AFTER), if next_waits => {}
        }
    }
}
