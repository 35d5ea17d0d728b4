//! A loopback port that stays ours while nothing listens on it: connecting to it is refused until `listen`, and again after
//! the listener is gone. No other test can get it meanwhile.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// A reserved port.
#[derive(Debug)]
pub(crate) struct Port {
    address: SocketAddr,
    _reservation: TcpSocket,
}

impl Port {
    pub(crate) fn reserve() -> Self {
        let reservation = socket();
        reservation.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self { address: reservation.local_addr().unwrap(), _reservation: reservation }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn listen(&self) -> TcpListener {
        let socket = socket();
        socket.bind(self.address).unwrap();
        socket.listen(1024).unwrap()
    }
}

fn socket() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    // The reservation is bound and never listens: the kernel gives every connection to the one listener, or refuses it.
    socket.set_reuseport(true).unwrap();
    socket
}
