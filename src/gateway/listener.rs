//! Accepts connections and serves HTTP/1.1 and h2 on them, within the limits of the file. Knows nothing of MCP.
//!
//! What ends a connection by force: silence for `timeouts.head` (before the first request, within the head of any), nothing
//! to do for `timeouts.idle`, a client that reads nothing for `timeouts.write_stall`, and a panic of its task, which ends no
//! other.
//! Upgrades and CONNECT tunnels do not exist here.

mod exchange;
mod heard;
mod stall;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Request, Response, Version, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use ipnet::IpNet;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use super::body::Body;
use super::places::{Place, Places};
use super::settings::{Limits, Timeouts};
use super::shutdown::Shutdown;
use exchange::{Exchanges, State, Times};
use heard::Heard;
use stall::Unstalled;

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Whether the connection is TLS.
    pub tls: bool,
}

/// Listens on `address`. The kernel's queue of clients that nobody has accepted yet is long: where it overflows, a client
/// believes that it is connected and is never served.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE_MAX)
}

/// Serves until `shutdown`; then stops accepting, lets requests finish, and returns. How long they may take is the
/// caller's to bound: dropping the future cuts every connection.
///
/// While it drains, everybody is still accepted and answered, and told to come elsewhere with the next request: `Connection:
/// close` in HTTP/1, GOAWAY in HTTP/2.
///
/// A connection keeps the terms that it was accepted under. The service's future is dropped when its client leaves.
pub async fn serve<S, F>(listener: TcpListener, mut terms: watch::Receiver<Arc<Terms>>, shutdown: Shutdown, service: S)
where
    S: Fn(Request<Incoming>, Peer) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    let addresses = Places::default();
    let mut failures = Failures::default();
    loop {
        // At the limit nobody is accepted: clients wait in the kernel's queue, and one that is served keeps its memory.
        let current = Arc::clone(&terms.borrow_and_update());
        let room = connections.len() < current.connections_max;
        tokio::select! {
            () = shutdown.closed() => break,
            Some(ended) = connections.join_next() => report(ended),
            // Whoever gave the terms is gone: they stay.
            Ok(()) = terms.changed() => {}
            accepted = failures.accept(&listener), if room => match accepted {
                Ok((tcp, address)) => {
                    failures.over();
                    if let Some(place) = current.place(&addresses, address) {
                        let connection = connection(tcp, address, current, shutdown.clone(), service.clone());
                        connections.spawn(holding(place, connection));
                    }
                }
                // That client left while it waited; the next one may be there.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => failures.another(&error),
            },
        }
    }
    // Who waits in the queue believes to be connected, and may have sent a request.
    let current = Arc::clone(&terms.borrow());
    for (tcp, address) in waiting(listener) {
        if connections.len() < current.connections_max
            && let Some(place) = current.place(&addresses, address)
        {
            let connection = connection(tcp, address, Arc::clone(&current), shutdown.clone(), service.clone());
            connections.spawn(holding(place, connection));
        }
    }
    while let Some(ended) = connections.join_next().await {
        report(ended);
    }
}

/// Those who wait to be accepted; then nobody can connect any more.
fn waiting(listener: TcpListener) -> Vec<(TcpStream, SocketAddr)> {
    let Ok(listener) = listener.into_std() else { return Vec::new() };
    let next = || {
        loop {
            match listener.accept() {
                // That client left; the next one may be there.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                accepted => return accepted.ok(),
            }
        }
    };
    let accepted = std::iter::from_fn(next).take(QUEUE_MAX as usize);
    let stream = |(tcp, address): (std::net::TcpStream, _)| {
        tcp.set_nonblocking(true).and_then(|()| TcpStream::from_std(tcp)).ok().map(|tcp| (tcp, address))
    };
    accepted.filter_map(stream).collect()
}

/// A connection that holds the place of its address until it has ended.
async fn holding(place: Option<Place<IpAddr>>, connection: impl Future<Output = ()>) {
    connection.await;
    drop(place);
}

/// What holds for a connection from when it is accepted.
pub struct Terms {
    tls: Option<TlsAcceptor>,
    versions: Versions,
    timeouts: Timeouts,
    /// What answers of HTTP/1 say of how long their connection may be idle.
    keep_alive: HeaderValue,
    connections_max: usize,
    connections_per_address_max: usize,
    /// Whose connections are not counted by address: those of proxies are their clients'.
    proxies: Vec<IpNet>,
}

impl Terms {
    /// Of these settings.
    #[must_use]
    pub fn new(tls: Option<Arc<ServerConfig>>, limits: &Limits, timeouts: Timeouts) -> Self {
        let timeouts = Timeouts {
            head: timeouts.head.min(TIMEOUT_MAX),
            idle: timeouts.idle.min(TIMEOUT_MAX),
            write_stall: timeouts.write_stall.min(TIMEOUT_MAX),
            ..timeouts
        };
        let versions = Versions::new(limits);
        Self {
            tls: tls.map(TlsAcceptor::from),
            versions,
            keep_alive: keep_alive(timeouts.idle),
            timeouts,
            connections_max: limits.connections_max,
            connections_per_address_max: limits.connections_per_address_max,
            proxies: Vec::new(),
        }
    }

    /// With proxies whose connections are not counted by address.
    #[must_use]
    pub fn behind(mut self, proxies: Vec<IpNet>) -> Self {
        self.proxies = proxies;
        self
    }

    /// The place of a connection from `peer`: none where proxies need none, and no connection without one.
    #[expect(clippy::option_option, reason = "no place is needed, or none is left")]
    fn place(&self, addresses: &Places<IpAddr>, peer: SocketAddr) -> Option<Option<Place<IpAddr>>> {
        let address = peer.ip().to_canonical();
        if self.proxies.iter().any(|proxies| proxies.contains(&address)) {
            return Some(None);
        }
        addresses.take(address, self.connections_per_address_max).map(Some)
    }

    /// For a listener whose terms never change.
    #[must_use]
    pub fn for_ever(self) -> watch::Receiver<Arc<Self>> {
        watch::channel(Arc::new(self)).1
    }
}

/// The same limits for each way of telling the protocol.
struct Versions {
    /// By the h2 preface ("prior knowledge"); without TLS there is no other way.
    detected: auto::Builder<TokioExecutor>,
    http1: auto::Builder<TokioExecutor>,
    http2: auto::Builder<TokioExecutor>,
}

impl Versions {
    fn new(limits: &Limits) -> Self {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            // What it would bound is the silence between requests, too, for which there is a time of its own.
            .header_read_timeout(None)
            .max_buf_size(limits.head_bytes_max.max(H1_HEAD_BYTES_MIN))
            // A client that closes is gone: the request that waits for an answer is then dropped, and with it its upstream.
            .half_close(false);
        // Setting hyper's own default costs an allocation for each request.
        if limits.headers_max != H1_HEADERS_MAX {
            builder.http1().max_headers(limits.headers_max);
        }
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
            .max_concurrent_streams(limits.h2_streams_max)
            .initial_stream_window_size(H2_STREAM_WINDOW)
            .initial_connection_window_size(H2_CONNECTION_WINDOW)
            .max_send_buf_size(H2_SEND_BYTES_MAX)
            .keep_alive_interval(H2_PING)
            .keep_alive_timeout(H2_PING)
            // Rapid reset (CVE-2023-44487) and its mirror image MadeYouReset (CVE-2025-8671).
            .max_pending_accept_reset_streams(H2_PENDING_RESETS_MAX)
            .max_local_error_reset_streams(H2_ERROR_RESETS_MAX);
        Self { http1: builder.clone().http1_only(), http2: builder.clone().http2_only(), detected: builder }
    }
}

/// One connection, from accept to its end. What goes wrong on it is the client's affair, and no news.
async fn connection<S, F>(tcp: TcpStream, address: SocketAddr, terms: Arc<Terms>, shutdown: Shutdown, service: S)
where
    S: Fn(Request<Incoming>, Peer) -> F,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    if tcp.set_nodelay(true).is_err() || give_up_after(&tcp, terms.timeouts.write_stall).is_err() {
        return;
    }
    let tcp = Unstalled::new(tcp, terms.timeouts.write_stall);
    let Some(acceptor) = &terms.tls else {
        return http(tcp, Peer { address, tls: false }, &terms.versions.detected, &terms, shutdown, service).await;
    };
    let tls = tokio::select! {
        () = shutdown.requested() => return,
        done = timeout(terms.timeouts.handshake, acceptor.accept(tcp)) => match done {
            Ok(Ok(tls)) => tls,
            Ok(Err(_)) | Err(_) => return,
        },
    };
    let version =
        if tls.get_ref().1.alpn_protocol() == Some(b"h2") { &terms.versions.http2 } else { &terms.versions.http1 };
    http(tls, Peer { address, tls: true }, version, &terms, shutdown, service).await;
}

/// What is sent must be acknowledged within this time. A client that vanished without a word acknowledges nothing; the
/// system would send it the same bytes for a quarter of an hour, into a buffer that takes more, so that no write stalls.
#[cfg(target_os = "linux")]
fn give_up_after(tcp: &TcpStream, unacknowledged_max: Duration) -> io::Result<()> {
    socket2::SockRef::from(tcp).set_tcp_user_timeout(Some(unacknowledged_max))
}

/// Elsewhere there is no such setting.
#[cfg(not(target_os = "linux"))]
fn give_up_after(_: &TcpStream, _: Duration) -> io::Result<()> {
    Ok(())
}

/// HTTP on an established connection.
async fn http<IO, S, F>(
    io: IO,
    peer: Peer,
    version: &auto::Builder<TokioExecutor>,
    terms: &Terms,
    shutdown: Shutdown,
    service: S,
) where
    IO: AsyncRead + AsyncWrite + Unpin + 'static,
    S: Fn(Request<Incoming>, Peer) -> F,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let Timeouts { head, idle, write_stall, .. } = terms.timeouts;
    let times = Times { head, idle, write_stall };
    let keep_alive = terms.keep_alive.clone();
    let exchanges = Exchanges::new();
    let (begun, draining) = (exchanges.clone(), shutdown.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let http2 = request.version() == Version::HTTP_2;
        let exchange = begun.begin(http2);
        let (answer, draining, keep_alive) = (service(request, peer), draining.clone(), keep_alive.clone());
        async move {
            let mut answer = answer.await.map(|body| exchange.answer(body));
            if !http2 {
                let headers = answer.headers_mut();
                if draining.is_draining() {
                    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
                } else if !headers.contains_key(header::CONNECTION) {
                    headers.insert(KEEP_ALIVE, keep_alive);
                }
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let io = Heard::new(io, exchanges.clone());
    let mut connection = pin!(version.serve_connection(TokioIo::new(io), service));
    let mut ending = false;
    // hyper bounds neither the silence before a connection is known to be h1 or h2, nor an h2 connection without streams, nor
    // an h2 stream whose window stays shut, and would bound the head of a request by the time that a connection may be idle.
    let mut look_again = Instant::now() + head.min(write_stall);
    loop {
        tokio::select! {
            // First of all, so that a request which is there already is seen before anything is ended.
            biased;
            _ = connection.as_mut() => return,
            // An idle connection of HTTP/1 stays: closed now, it could meet a request on its way.
            () = going_away(&shutdown, &exchanges), if !ending => {
                ending = true;
                connection.as_mut().graceful_shutdown();
            }
            () = shutdown.requested(), if !ending => {
                // A request that has begun to come is still answered.
                if exchanges.is_unheard() {
                    return;
                }
                ending = true;
                connection.as_mut().graceful_shutdown();
            }
            () = sleep_until(look_again) => match exchanges.state(&times) {
                State::Busy { until } => look_again = until,
                // The second time: the client has not read the rest of its answers since the first.
                State::Idle if ending => return,
                State::Idle => {
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                    look_again = Instant::now() + write_stall;
                }
                State::Silent | State::Stalled => return,
            },
        }
    }
}

/// A client that keeps to it never sends on a connection that is just being closed: a call that is lost so cannot be sent
/// again, since nobody knows whether it was begun.
fn keep_alive(idle_max: Duration) -> HeaderValue {
    let told = idle_max.saturating_sub(KEEP_ALIVE_MARGIN).as_secs().max(1);
    HeaderValue::try_from(format!("timeout={told}")).unwrap_or(HeaderValue::from_static("timeout=1"))
}

/// Waits until a connection of HTTP/2 can be told that the gateway drains: before its first request hyper would just close it.
async fn going_away(shutdown: &Shutdown, exchanges: &Exchanges) {
    shutdown.draining().await;
    exchanges.http2_begun().await;
}

/// Accepting fails: again and again at once when file descriptors are used up. Then it is tried ever more rarely, so that it
/// takes no processor from the connections whose end would help.
#[derive(Default)]
struct Failures {
    pause: Duration,
    not_before: Option<Instant>,
}

impl Failures {
    async fn accept(&self, listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
        if let Some(instant) = self.not_before {
            sleep_until(instant).await;
        }
        listener.accept().await
    }

    fn another(&mut self, error: &io::Error) {
        if self.pause.is_zero() {
            tracing::warn!(%error, "connections cannot be accepted; trying again until they can");
        }
        self.pause = (self.pause * 2).clamp(ACCEPT_PAUSE_MIN, ACCEPT_PAUSE_MAX);
        self.not_before = Some(Instant::now() + self.pause);
    }

    fn over(&mut self) {
        if !self.pause.is_zero() {
            tracing::info!("connections are accepted again");
        }
        *self = Self::default();
    }
}

/// A panic ended one connection; the others go on. It is a bug, and said so.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task failed");
    }
}

/// For how long the client may leave its connection idle (RFC 2068 §19.7.1.1).
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// An idle connection is closed so much later than its client is told.
const KEEP_ALIVE_MARGIN: Duration = Duration::from_secs(2);
/// Clients that wait to be accepted; the kernel has a limit of its own (`net.core.somaxconn`, 4096).
const QUEUE_MAX: u32 = 4096;
/// More is as good as for ever, and would overflow the clock.
const TIMEOUT_MAX: Duration = Duration::from_hours(24);
/// hyper's least buffer for a head.
const H1_HEAD_BYTES_MIN: usize = 8 << 10;
/// hyper's own limit of headers.
const H1_HEADERS_MAX: usize = 100;
/// What a client may send on one stream before we read it.
const H2_STREAM_WINDOW: u32 = 64 << 10;
/// What a client may send on all streams of a connection before we read it.
const H2_CONNECTION_WINDOW: u32 = 1 << 20;
/// What waits unsent for one stream.
const H2_SEND_BYTES_MAX: usize = 64 << 10;
/// How often a quiet client must show that it lives, and how soon.
const H2_PING: Duration = Duration::from_secs(20);
/// Streams reset by the client that we have not looked at yet.
const H2_PENDING_RESETS_MAX: usize = 20;
/// Streams reset by us for the client's errors, in a connection's life.
const H2_ERROR_RESETS_MAX: usize = 128;
/// Pause after the first failure to accept.
const ACCEPT_PAUSE_MIN: Duration = Duration::from_millis(10);
/// Pause after many.
const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);
