//! An address at which nobody listens.

use std::net::SocketAddr;

use tokio::net::TcpSocket;

/// The address, and the socket that keeps others from being given it as long as it lives.
pub(crate) fn closed_address() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().expect("a socket");
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(any_port).expect("a port");
    let address = socket.local_addr().expect("an address");
    (socket, address)
}
