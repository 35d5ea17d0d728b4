//! The listener over real sockets: what it serves, and what ends a connection.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::{StatusCode, Version};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::client::conn::http2;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::body::{self, BodyError, read_limited};
use super::super::settings::UpstreamTls;
use super::super::shutdown::Trigger;
use super::super::tls;
use super::super::tls::tests::{Ca, Files};
use super::*;

/// A server on a port of its own, and what its service tells.
struct Server {
    address: SocketAddr,
    shutdown: Trigger,
    serving: JoinHandle<()>,
    told: mpsc::Receiver<&'static str>,
    release: Arc<Notify>,
}

/// Times that no test waits for, and those that it does.
const PATIENT: Timeouts = Timeouts {
    handshake: Duration::from_mins(1),
    head: Duration::from_mins(1),
    idle: Duration::from_mins(1),
    body: Duration::from_mins(1),
    write_stall: Duration::from_mins(1),
    keep_alive: None,
    connect: Duration::from_mins(1),
    answer: Duration::from_mins(1),
};
/// How long a test waits for what must happen.
const SOON: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(100);
const STRICT: Timeouts = Timeouts { handshake: SHORT, head: SHORT, idle: SHORT, write_stall: SHORT, ..PATIENT };

async fn start(tls: Option<Arc<ServerConfig>>, limits: Limits, timeouts: Timeouts) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (trigger, shutdown) = Shutdown::new();
    let (tell, told) = mpsc::channel(8);
    let release = Arc::new(Notify::new());
    let released = Arc::clone(&release);
    let service = move |request, peer| answer(request, peer, tell.clone(), Arc::clone(&released));
    let serving = tokio::spawn(serve(listener, Terms::new(tls, &limits, timeouts).for_ever(), shutdown, service));
    Server { address, shutdown: trigger, serving, told, release }
}

/// Tells when it is dropped.
struct Dropped(mpsc::Sender<&'static str>, &'static str);

impl Drop for Dropped {
    fn drop(&mut self) {
        assert_eq!(self.0.try_send(self.1), Ok(()));
    }
}

/// Endless; tells when it is dropped.
struct Flood(Dropped);

impl http_body::Body for Flood {
    type Data = bytes::Bytes;
    type Error = BodyError;
    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<bytes::Bytes>, BodyError>>> {
        static PIECE: [u8; 64 << 10] = [b'.'; 64 << 10];
        assert_eq!(self.0.1, "flood ends");
        Poll::Ready(Some(Ok(Frame::data(bytes::Bytes::from_static(&PIECE)))))
    }
}

async fn answer(
    request: Request<Incoming>,
    peer: Peer,
    tell: mpsc::Sender<&'static str>,
    release: Arc<Notify>,
) -> Response<Body> {
    assert!(peer.address.ip().is_loopback());
    match request.uri().path() {
        "/wait" => {
            let _dropped = Dropped(tell.clone(), "wait ends");
            tell.send("wait begins").await.unwrap();
            release.notified().await;
        }
        "/flood" => return Response::new(Flood(Dropped(tell, "flood ends")).boxed_unsync()),
        "/refuse" => {
            body::drain(request.into_body());
            let mut refusal = Response::new(body::full("refused"));
            *refusal.status_mut() = StatusCode::UNAUTHORIZED;
            return refusal;
        }
        "/panic" => panic!("asked to"),
        _ => {}
    }
    Response::new(body::full(if peer.tls { "over TLS" } else { "plain" }))
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn tells(&mut self, expect: &str) {
        let told = timeout(SOON, self.told.recv()).await;
        assert_eq!(told, Ok(Some(expect)));
    }

    /// Sends `bytes` on a new connection and reads to the end that the server makes.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let mut connection = self.connect().await;
        connection.write_all(bytes).await.unwrap();
        read_all(&mut connection).await
    }
}

/// Reads until the connection ends, however it does.
async fn read_all(connection: &mut (impl AsyncRead + Unpin)) -> String {
    let mut read = Vec::new();
    let end = timeout(SOON, async { while let Ok(1..) = connection.read_buf(&mut read).await {} });
    end.await.expect("the connection does not end");
    String::from_utf8_lossy(&read).into_owned()
}

/// One request on a connection that stays open; its answer is `plain`.
async fn get(connection: &mut TcpStream) {
    connection.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    read_to(connection, "\r\n\r\nplain").await;
}

/// Reads up to `end`, after which nothing may follow.
async fn read_to(connection: &mut TcpStream, end: &str) {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        let more = timeout(SOON, connection.read_buf(&mut read)).await.expect("no answer").unwrap();
        assert_ne!(more, 0, "{}", String::from_utf8_lossy(&read));
    }
}

struct Secure {
    server: Arc<ServerConfig>,
    client: ClientConfig,
}

fn secure() -> Secure {
    let (files, ca) = (Files::new(), Ca::new());
    let (certificate, key) = ca.issue("localhost");
    let server = tls::server_config(&files.write("crt", &certificate), &files.write("key", &key)).unwrap();
    let trust = UpstreamTls { ca: Some(files.write("ca", &ca.pem())), ..UpstreamTls::default() };
    Secure { server, client: tls::client_config(&trust).unwrap() }
}

impl Secure {
    async fn connect(&self, server: &Server, alpn: &[&str]) -> TlsStream<TcpStream> {
        let mut client = self.client.clone();
        client.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(client)).connect(name, server.connect().await).await.unwrap()
    }
}

/// An h2 client on `io`, with windows of `window` bytes. Its connection ends with the task.
async fn h2<IO>(io: IO, window: u32) -> (http2::SendRequest<Body>, JoinHandle<hyper::Result<()>>)
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (client, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(window)
        .handshake(TokioIo::new(io))
        .await
        .unwrap();
    (client, tokio::spawn(connection))
}

fn request(path: &str) -> Request<Body> {
    Request::get(format!("http://localhost{path}")).body(body::empty()).unwrap()
}

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let server = start(None, Limits::default(), STRICT).await;
    for (sent, expect) in [
        ("", ""),
        // Not known yet to be h1 or h2.
        ("P", ""),
        ("PRI * HTTP/2.0\r\n", ""),
        // h2 without streams: SETTINGS come from the server, then the end.
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\0"),
        ("GET / HTTP/1.1\r\nhost: a\r\n", ""),
        ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n"),
        ("GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HT", "HTTP/1.1 200 OK\r\n"),
    ] {
        let begun = Instant::now();
        let read = server.exchange(sent.as_bytes()).await;
        assert!(begun.elapsed() >= SHORT, "{sent}");
        assert!(begun.elapsed() < SHORT * 20, "{sent}");
        assert!(read.starts_with(expect) && read.is_empty() == expect.is_empty(), "{sent}: {read}");
    }
}

#[tokio::test]
async fn a_silent_connection_is_closed_before_and_after_its_handshake() {
    let secure = secure();
    let server = start(Some(Arc::clone(&secure.server)), Limits::default(), STRICT).await;
    assert_eq!(server.exchange(b"").await, "");
    for alpn in [&["h2"] as &[_], &["http/1.1"], &[]] {
        read_all(&mut secure.connect(&server, alpn).await).await;
    }
    let mut used = h2(secure.connect(&server, &["h2"]).await, 1 << 16).await;
    used.0.send_request(request("/")).await.unwrap();
    used.1.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_that_was_used_may_be_idle_and_what_begins_on_it_must_not_be_slow() {
    let server = start(None, Limits::default(), Timeouts { idle: PATIENT.idle, ..STRICT }).await;
    let mut connection = server.connect().await;
    get(&mut connection).await;
    assert!(timeout(SHORT * 5, connection.read_u8()).await.is_err(), "it was closed");
    get(&mut connection).await;
    assert!(timeout(SHORT * 5, connection.read_u8()).await.is_err(), "it was closed");
    connection.write_all(b"G").await.unwrap();
    let begun = Instant::now();
    assert_eq!(read_all(&mut connection).await, "");
    assert!(begun.elapsed() >= SHORT / 2);

    let (mut client, connection) = h2(server.connect().await, 1 << 16).await;
    for _ in 0..2 {
        client.send_request(request("/")).await.unwrap();
        assert!(timeout(SHORT * 5, client.ready()).await.is_ok());
    }
    assert!(!connection.is_finished());
}

#[tokio::test]
async fn plain_http_on_the_tls_port_gets_no_answer() {
    let server = start(Some(secure().server), Limits::default(), PATIENT).await;
    let read = server.exchange(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(!read.contains("HTTP"), "{read}");
}

#[tokio::test]
async fn a_head_over_the_limits_is_431() {
    async fn check(limits: Limits, head: String, expect: &str) {
        let server = start(None, limits, PATIENT).await;
        let head = format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{head}\r\n");
        let read = server.exchange(head.as_bytes()).await;
        assert!(read.starts_with(expect), "{read}");
    }
    let limits = Limits { head_bytes_max: 8 << 10, ..Limits::default() };
    check(limits, format!("a: {}\r\n", "a".repeat(7 << 10)), "HTTP/1.1 200").await;
    check(limits, format!("a: {}\r\n", "a".repeat(64 << 10)), "HTTP/1.1 431").await;
    for headers_max in [50, 100, 150] {
        let limits = Limits { headers_max, ..Limits::default() };
        check(limits, "a: a\r\n".repeat(headers_max - 2), "HTTP/1.1 200").await;
        check(limits, "a: a\r\n".repeat(headers_max - 1), "HTTP/1.1 431").await;
    }
}

#[tokio::test]
async fn both_versions_are_served_with_and_without_tls() {
    async fn check(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, expect: &str) {
        let (mut client, _connection) = h2(io, 1 << 16).await;
        let mut answer = client.send_request(request("/")).await.unwrap();
        assert_eq!(answer.version(), Version::HTTP_2);
        assert_eq!(read_limited(answer.body_mut(), 100).await.unwrap(), expect);
    }
    let plain = start(None, Limits::default(), PATIENT).await;
    get(&mut plain.connect().await).await;
    check(plain.connect().await, "plain").await;

    let secure = secure();
    let server = start(Some(Arc::clone(&secure.server)), Limits::default(), PATIENT).await;
    check(secure.connect(&server, &["h2", "http/1.1"]).await, "over TLS").await;
    for alpn in [&["http/1.1"] as &[_], &[]] {
        let mut connection = secure.connect(&server, alpn).await;
        connection.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        assert!(read_all(&mut connection).await.ends_with("over TLS"));
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut() {
    let timeouts = Timeouts { write_stall: SHORT, ..PATIENT };
    let mut server = start(None, Limits::default(), timeouts).await;
    let mut connection = server.connect().await;
    connection.write_all(b"GET /flood HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    server.tells("flood ends").await;

    // An h2 client that answers pings, and never opens the window of its stream.
    for window in [0, 100_000] {
        let (mut client, connection) = h2(server.connect().await, window).await;
        let answer = client.send_request(request("/flood")).await.unwrap();
        server.tells("flood ends").await;
        drop(connection.await.unwrap());
        drop(answer);
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_request() {
    let mut server = start(None, Limits::default(), PATIENT).await;
    let mut connection = server.connect().await;
    connection.write_all(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    server.tells("wait begins").await;
    drop(connection);
    server.tells("wait ends").await;

    let (mut client, _connection) = h2(server.connect().await, 1 << 16).await;
    let waiting = tokio::spawn(client.send_request(request("/wait")));
    server.tells("wait begins").await;
    waiting.abort();
    server.tells("wait ends").await;
    client.send_request(request("/")).await.unwrap();
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let server = start(None, Limits::default(), PATIENT).await;
    let mut connection = server.connect().await;
    connection.write_all(b"POST /refuse HTTP/1.1\r\nhost: a\r\ncontent-length: 200000\r\n\r\n").await.unwrap();
    read_to(&mut connection, "refused").await;
    for _ in 0..200 {
        connection.write_all(&[b'.'; 1000]).await.unwrap();
    }
    get(&mut connection).await;
}

#[tokio::test]
async fn shutdown_lets_requests_finish_and_waits_for_nothing_else() {
    let mut server = start(None, Limits::default(), PATIENT).await;
    let mut silent = server.connect().await;
    let mut idle = server.connect().await;
    get(&mut idle).await;
    let mut waiting = server.connect().await;
    waiting.write_all(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    server.tells("wait begins").await;
    let (mut client, connection) = h2(server.connect().await, 1 << 16).await;
    let streaming = tokio::spawn(client.send_request(request("/wait")));
    server.tells("wait begins").await;

    server.shutdown.request();
    assert_eq!(read_all(&mut silent).await, "");
    assert_eq!(read_all(&mut idle).await, "");
    assert!(TcpStream::connect(server.address).await.is_err(), "still accepting");
    assert!(!server.serving.is_finished());

    server.release.notify_waiters();
    let read = read_all(&mut waiting).await;
    assert!(read.contains("connection: close\r\n") && read.ends_with("plain"), "{read}");
    assert_eq!(streaming.await.unwrap().unwrap().status(), 200);
    connection.await.unwrap().unwrap();
    server.serving.await.unwrap();
}

#[tokio::test]
async fn dropping_the_server_cuts_every_connection() {
    let mut server = start(None, Limits::default(), PATIENT).await;
    let mut waiting = server.connect().await;
    waiting.write_all(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    server.tells("wait begins").await;
    server.serving.abort();
    server.tells("wait ends").await;
    assert_eq!(read_all(&mut waiting).await, "");
}

#[tokio::test]
async fn one_connection_over_the_limit_waits_for_the_end_of_another() {
    let server = start(None, Limits { connections_max: 1, ..Limits::default() }, PATIENT).await;
    let mut first = server.connect().await;
    get(&mut first).await;
    let mut second = server.connect().await;
    second.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    // Whatever the server would do for the second, it has done before these.
    for _ in 0..10 {
        get(&mut first).await;
    }
    assert_eq!(second.try_read(&mut [0; 1]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(first);
    assert!(read_all(&mut second).await.ends_with("plain"));
}

#[tokio::test]
async fn a_panic_ends_one_connection_only() {
    let server = start(None, Limits { connections_max: 1, ..Limits::default() }, PATIENT).await;
    assert_eq!(server.exchange(b"GET /panic HTTP/1.1\r\nhost: a\r\n\r\n").await, "");
    get(&mut server.connect().await).await;
}

#[tokio::test(start_paused = true)]
async fn failing_to_accept_is_retried_ever_more_rarely() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut failures = Failures::default();
    let begun = Instant::now();
    for _ in 0..20 {
        failures.another(&io::Error::from_raw_os_error(24));
        assert!(timeout(ACCEPT_PAUSE_MIN / 2, failures.accept(&listener)).await.is_err());
        sleep_until(failures.not_before.unwrap()).await;
    }
    assert!(begun.elapsed() > ACCEPT_PAUSE_MAX * 10);
    assert_eq!(failures.pause, ACCEPT_PAUSE_MAX);
    failures.over();
    assert_eq!(failures.not_before, None);
}
