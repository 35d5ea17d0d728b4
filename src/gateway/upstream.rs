//! The pooled client towards one MCP server. It sends what it is given to the one authority it was made for, follows no
//! redirect, and never sends a request again of which a byte was sent.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri, Version, header};
use hyper::body::Incoming;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tower_service::Service;

use super::body::{Body, BodyError};
use super::settings::{UpstreamSettings, UpstreamTls};
use super::tls::{self, Contents};
use crate::rejection::Failure;

/// Connections to one MCP server.
pub struct Upstream {
    client: Pool,
    scheme: Scheme,
    authority: Authority,
    answer_timeout: Duration,
    made_of: MadeOf,
}

/// Those to all of them, while routes are made. Routes to one server share its connections, and servers that are spoken to alike
/// the preparations for TLS: with thousands of routes these are what costs.
#[derive(Default)]
pub struct Upstreams {
    /// What the files of each setting hold, read once.
    contents: HashMap<UpstreamTls, Contents>,
    tls: HashMap<(bool, UpstreamTls), ClientConfig>,
    clients: HashMap<MadeOf, Pool>,
}

type Pool = Client<Within<HttpsConnector<HttpConnector>>, Body>;

/// What connections depend on.
#[derive(Clone, PartialEq, Eq, Hash)]
struct MadeOf {
    https: bool,
    authority: Authority,
    tls: UpstreamTls,
    files: Contents,
    connect_timeout: Duration,
}

/// Connects within a time limit that covers name resolution, TCP and TLS.
#[derive(Clone)]
pub(super) struct Within<C> {
    /// What connects.
    pub(super) connector: C,
    /// The limit.
    pub(super) timeout: Duration,
}

impl Upstreams {
    /// These go on serving where they would be made anew as they are: also the files that are named say what they said.
    pub(super) fn kept<'a>(before: impl Iterator<Item = &'a Upstream>) -> Self {
        let clients = before.map(|upstream| (upstream.made_of.clone(), upstream.client.clone())).collect();
        Self { clients, ..Self::default() }
    }

    /// The connections to this server. Reads CA and client certificate; connects to nothing.
    pub fn to(&mut self, settings: &UpstreamSettings) -> Result<Upstream, String> {
        if settings.authority.as_str().contains('@') {
            return Err(format!("{}: expected host and port, without user information", settings.authority.host()));
        }
        let files = self.contents.entry(settings.tls.clone()).or_insert_with(|| contents(&settings.tls));
        let made_of = MadeOf::new(settings, files.clone());
        let client = if let Some(client) = self.clients.get(&made_of) {
            client.clone()
        } else {
            let connector = https(settings, self.tls(settings)?)?;
            let client = client(Within { connector, timeout: settings.connect_timeout });
            self.clients.insert(made_of.clone(), client.clone());
            client
        };
        Ok(Upstream {
            client,
            scheme: if settings.https { Scheme::HTTPS } else { Scheme::HTTP },
            authority: settings.authority.clone(),
            answer_timeout: settings.answer_timeout,
            made_of,
        })
    }

    fn tls(&mut self, settings: &UpstreamSettings) -> Result<ClientConfig, String> {
        let key = (settings.https, settings.tls.clone());
        if let Some(config) = self.tls.get(&key) {
            return Ok(config.clone());
        }
        // Plain http needs no roots, and a minimal image has none.
        let config =
            if settings.https { tls::client_config(&settings.tls)? } else { tls::client_config_without_roots()? };
        self.tls.insert(key, config.clone());
        Ok(config)
    }
}

impl Upstream {
    /// Sends `request` (its URI is path and query alone; scheme and authority are added here) and returns the answer's head
    /// with its streaming body. Sent again only if none of it was sent. Dropping the future or the body closes the exchange.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, Failure> {
        let request = self.addressed(request)?;
        let answer = tokio::time::timeout(self.answer_timeout, self.client.request(request)).await;
        match answer {
            Err(_) => Err(Failure::UpstreamTimeout { detail: "no answer within the answer timeout" }),
            Ok(Err(error)) => Err(classify(&error)),
            // We asked for no upgrade, and what follows a 101 is no HTTP that could be filtered.
            Ok(Ok(answer)) if answer.status().is_informational() => Err(protocol("it answered with an upgrade")),
            Ok(Ok(mut answer)) => {
                // Nor does what the server speaks say how we answer: an HTTP/1.0 answer could end only with its connection,
                // and a client could not tell that end from a break.
                *answer.version_mut() = Version::HTTP_11;
                Ok(answer)
            }
        }
    }

    fn addressed(&self, request: Request<Body>) -> Result<Request<Body>, Failure> {
        let (mut head, body) = request.into_parts();
        let mut uri = head.uri.into_parts();
        uri.scheme = Some(self.scheme.clone());
        uri.authority = Some(self.authority.clone());
        head.uri = Uri::from_parts(uri).map_err(|_| Failure::Internal { detail: "a request without a path" })?;
        // The client's Host: the server would see two names, or refuse ours. The connection adds the authority's.
        head.headers.remove(header::HOST);
        // What the client spoke to us says nothing about what the server speaks; ALPN decides.
        head.version = Version::HTTP_11;
        // Extensions are instructions to the connection (`:protocol`, upgrades) that came from the client's.
        head.extensions.clear();
        Ok(Request::from_parts(head, body))
    }
}

impl MadeOf {
    fn new(settings: &UpstreamSettings, files: Contents) -> Self {
        Self {
            https: settings.https,
            authority: settings.authority.clone(),
            tls: settings.tls.clone(),
            files,
            connect_timeout: settings.connect_timeout,
        }
    }
}

fn contents(settings: &UpstreamTls) -> Contents {
    let UpstreamTls { ca, client, server_name: _ } = settings;
    let pair = client.iter().flat_map(|(certificate, private_key)| [certificate, private_key]);
    Contents::of(ca.iter().chain(pair).map(PathBuf::as_path))
}

impl<C> Service<Uri> for Within<C>
where
    C: Service<Uri, Error = BodyError>,
    C::Response: 'static,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BodyError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BodyError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connected = tokio::time::timeout(self.timeout, self.connector.call(uri));
        Box::pin(async move {
            match connected.await {
                Ok(connected) => connected,
                Err(_) => Err(ConnectTimeout.into()),
            }
        })
    }
}

/// The connect timeout passed.
#[derive(Debug)]
struct ConnectTimeout;

impl std::fmt::Display for ConnectTimeout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no connection within the connect timeout")
    }
}

impl Error for ConnectTimeout {}

fn https(settings: &UpstreamSettings, config: ClientConfig) -> Result<HttpsConnector<HttpConnector>, String> {
    let builder = HttpsConnectorBuilder::new().with_tls_config(config);
    let mut builder = if settings.https { builder.https_only() } else { builder.https_or_http() };
    if let Some(name) = &settings.tls.server_name {
        let name = ServerName::try_from(name.clone())
            .map_err(|_| format!("{name}: expected a DNS name or an IP address as server_name"))?;
        builder = builder.with_server_name_resolver(FixedServerNameResolver::new(name));
    }
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    // A server that vanished is noticed on a silent stream too.
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE));
    tcp.set_keepalive_retries(Some(3));
    Ok(builder.enable_all_versions().wrap_connector(tcp))
}

fn client(connector: Within<HttpsConnector<HttpConnector>>) -> Pool {
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        // hyper hands a request back only while it still waits in the connection's queue: none of it was sent.
        .retry_canceled_requests(true)
        .http1_max_buf_size(HEAD_BYTES_MAX as usize)
        .http2_max_header_list_size(HEAD_BYTES_MAX)
        .http2_initial_stream_window_size(H2_STREAM_WINDOW)
        .http2_initial_connection_window_size(H2_CONNECTION_WINDOW)
        .http2_max_send_buf_size(H2_SEND_BYTES_MAX)
        .http2_keep_alive_interval(KEEPALIVE)
        .http2_keep_alive_timeout(KEEPALIVE)
        .build(connector)
}

/// What an error of the exchange means to the client and the operator.
fn classify(error: &hyper_util::client::legacy::Error) -> Failure {
    if error.is_connect() {
        return not_connected(error);
    }
    let Some(error) = find::<hyper::Error>(error) else {
        return unreachable("the connection ended before it was used");
    };
    if error.is_parse_too_large() {
        protocol("the head of its answer is too large")
    } else if error.is_parse() {
        protocol("its answer is no valid HTTP")
    } else if error.is_canceled() || error.is_closed() {
        unreachable("the connection ended before it was used")
    } else if error.is_user() {
        Failure::Internal { detail: "a request that cannot be sent" }
    } else {
        protocol("the connection ended before the answer")
    }
}

fn not_connected(error: &(dyn Error + 'static)) -> Failure {
    if find::<ConnectTimeout>(error).is_some() {
        return Failure::UpstreamTimeout { detail: "no connection within the connect timeout" };
    }
    // rustls errors arrive inside io errors, whose source is that of what they wrap.
    if let Some(error) = find_in_io::<rustls::Error>(error) {
        let certificate = matches!(error, rustls::Error::InvalidCertificate(_));
        return unreachable(if certificate { "its certificate was not accepted" } else { "the TLS handshake failed" });
    }
    if chain(error).any(|cause| cause.to_string() == "dns error") {
        return unreachable("its name does not resolve");
    }
    unreachable(match find::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => "connection refused",
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => "no route to it",
        Some(_) | None => "no connection",
    })
}

fn unreachable(detail: &'static str) -> Failure {
    Failure::UpstreamUnreachable { detail }
}

fn protocol(detail: &'static str) -> Failure {
    Failure::UpstreamProtocol { detail, location: None }
}

/// The error and what caused it, outermost first.
pub(super) fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}

fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    chain(error).find_map(|cause| cause.downcast_ref())
}

fn find_in_io<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    chain(error).find_map(|cause| {
        let mut inner: &(dyn Error + 'static) = cause;
        while let Some(wrapped) = inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            inner = wrapped;
        }
        inner.downcast_ref()
    })
}

/// The head of an answer.
const HEAD_BYTES_MAX: u32 = 64 << 10;
/// An idle connection is closed after this time: before the server does, which stock ones (Node, uvicorn) do after five
/// seconds. A call that meets the server's close on its way is lost, and must not be sent again.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// Idle connections kept.
const IDLE_CONNECTIONS_MAX: usize = 256;
/// Silence before a connection is probed, and how long the probe may take.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// What one stream may have unread here.
const H2_STREAM_WINDOW: u32 = 64 << 10;
/// What all streams of a connection may have unread: a thousand clients that do not read must not stop the others, who
/// share the connection.
const H2_CONNECTION_WINDOW: u32 = 64 << 20;
/// What one stream may have unsent.
const H2_SEND_BYTES_MAX: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use http_body_util::BodyExt;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::mpsc;

    use super::super::body::{self, read_limited};
    use super::super::tls::tests::{Ca, Files};
    use super::*;

    impl Upstream {
        fn new(settings: &UpstreamSettings) -> Result<Self, String> {
            Upstreams::default().to(settings)
        }
    }

    const LONG: Duration = Duration::from_secs(30);
    const SHORT: Duration = Duration::from_millis(50);

    async fn listen() -> (TcpListener, UpstreamSettings) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = UpstreamSettings {
            https: false,
            authority: listener.local_addr().unwrap().to_string().parse().unwrap(),
            path: "/mcp".parse().unwrap(),
            tls: UpstreamTls::default(),
            identity: vec![],
            connect_timeout: LONG,
            answer_timeout: LONG,
        };
        (listener, settings)
    }

    fn post() -> Request<Body> {
        Request::post("/mcp?a=b").header("host", "gateway.example").body(body::full("{}")).unwrap()
    }

    /// Reads one request, whose body is `{}`, and returns all of it.
    async fn read_request(connection: &mut TcpStream) -> String {
        let mut read = Vec::new();
        while !read.ends_with(b"{}") {
            assert_ne!(connection.read_buf(&mut read).await.unwrap(), 0, "the connection ended");
        }
        String::from_utf8(read).unwrap()
    }

    /// A server that reads one request, writes `answer` and closes.
    async fn check_answer(answer: &str, expect: Failure) {
        let (listener, settings) = listen().await;
        let answer = answer.to_owned();
        tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            read_request(&mut connection).await;
            // The client may hang up on a bad answer before it is all written.
            drop(connection.write_all(answer.as_bytes()).await);
        });
        assert_eq!(Upstream::new(&settings).unwrap().send(post()).await.map(drop), Err(expect));
    }

    #[tokio::test]
    async fn the_request_names_the_upstream_and_nothing_else() {
        let (listener, settings) = listen().await;
        let upstream = Upstream::new(&settings).unwrap();
        let exchange = tokio::spawn(async move { upstream.send(post()).await.unwrap() });
        let (mut connection, _) = listener.accept().await.unwrap();
        let request = read_request(&mut connection).await;
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();

        assert!(request.starts_with("POST /mcp?a=b HTTP/1.1\r\n"), "{request}");
        assert_eq!(request.matches("host: ").count(), 1, "{request}");
        assert!(request.contains(&format!("host: {}\r\n", settings.authority)), "{request}");
        let mut answer = exchange.await.unwrap();
        assert_eq!(read_limited(answer.body_mut(), 2).await.unwrap(), "ok");
    }

    #[tokio::test]
    async fn bad_answers_are_told_apart() {
        check_answer("", protocol("the connection ended before the answer")).await;
        check_answer("HTTP/1.1 200 OK\r\n", protocol("the connection ended before the answer")).await;
        check_answer("nonsense\r\n\r\n", protocol("its answer is no valid HTTP")).await;
        check_answer("HTTP/1.1 101 Switching Protocols\r\n\r\n", protocol("it answered with an upgrade")).await;
        let bomb = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "a".repeat(256 << 10));
        check_answer(&bomb, protocol("the head of its answer is too large")).await;
        let bomb = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: a\r\n".repeat(101));
        check_answer(&bomb, protocol("the head of its answer is too large")).await;
    }

    #[tokio::test]
    async fn what_does_not_connect_is_unreachable_or_late() {
        let (listener, mut settings) = listen().await;
        settings.answer_timeout = SHORT;
        let late = Upstream::new(&settings).unwrap().send(post()).await.unwrap_err();
        assert_eq!(late, Failure::UpstreamTimeout { detail: "no answer within the answer timeout" });

        // TCP connects, TLS never answers.
        settings = UpstreamSettings { https: true, connect_timeout: SHORT, answer_timeout: LONG, ..settings };
        let files = Files::new();
        settings.tls.ca = Some(files.write("ca", &Ca::new().pem()));
        let late = Upstream::new(&settings).unwrap().send(post()).await.unwrap_err();
        assert_eq!(late, Failure::UpstreamTimeout { detail: "no connection within the connect timeout" });

        drop(listener);
        settings.connect_timeout = LONG;
        let refused = Upstream::new(&settings).unwrap().send(post()).await.unwrap_err();
        assert_eq!(refused, unreachable("connection refused"));

        // No name, and so none that anybody is asked for.
        settings = UpstreamSettings { https: false, authority: "a..b:80".parse().unwrap(), ..settings };
        let unknown = Upstream::new(&settings).unwrap().send(post()).await.unwrap_err();
        assert_eq!(unknown, unreachable("its name does not resolve"));
    }

    #[tokio::test]
    async fn what_was_sent_is_never_sent_again() {
        let (listener, settings) = listen().await;
        let upstream = Upstream::new(&settings).unwrap();
        let server = tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            read_request(&mut connection).await;
            connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            // The second request comes on the same connection, and dies there.
            read_request(&mut connection).await;
            drop(connection);
            // It does not come a third time.
            tokio::time::timeout(SHORT, listener.accept()).await.map(drop)
        });
        upstream.send(post()).await.unwrap();
        let lost = upstream.send(post()).await.unwrap_err();
        assert_eq!(lost, protocol("the connection ended before the answer"));
        assert!(server.await.unwrap().is_err(), "it was sent again");
    }

    #[tokio::test]
    async fn a_request_on_a_connection_that_is_gone_gets_a_new_one() {
        let (listener, settings) = listen().await;
        let upstream = Upstream::new(&settings).unwrap();
        for _ in 0..2 {
            let (answer, ()) = tokio::join!(upstream.send(post()), async {
                let (mut connection, _) = listener.accept().await.unwrap();
                read_request(&mut connection).await;
                connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                // Ends our side; the client's end follows when it has seen that.
                connection.shutdown().await.unwrap();
                assert_eq!(connection.read(&mut [0; 1]).await.unwrap(), 0);
            });
            answer.unwrap();
        }
    }

    /// Node and uvicorn close a connection that was idle for five seconds: a call sent at that moment is lost, and cannot be
    /// sent again.
    #[tokio::test]
    async fn a_connection_that_its_server_is_about_to_close_is_not_used_again() {
        let (listener, settings) = listen().await;
        let upstream = Upstream::new(&settings).unwrap();
        let mut connections = Vec::new();
        for _ in 0..2 {
            let (answer, connection) = tokio::join!(upstream.send(post()), async {
                let accepted = tokio::time::timeout(Duration::from_secs(5), listener.accept()).await;
                let (mut connection, _) = accepted.expect("the old connection was used").unwrap();
                read_request(&mut connection).await;
                connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                connection
            });
            answer.unwrap();
            connections.push(connection);
            tokio::time::pause();
            tokio::time::advance(Duration::from_millis(4900)).await;
            tokio::time::resume();
        }
    }

    #[tokio::test]
    async fn dropping_closes_an_h1_exchange_at_once() {
        let (listener, settings) = listen().await;
        let upstream = Arc::new(Upstream::new(&settings).unwrap());

        // The future, before an answer.
        let exchange = tokio::spawn({
            let upstream = Arc::clone(&upstream);
            async move { upstream.send(post()).await.map(drop) }
        });
        let (mut connection, _) = listener.accept().await.unwrap();
        read_request(&mut connection).await;
        exchange.abort();
        assert_eq!(connection.read(&mut [0; 1]).await.unwrap_or(0), 0);

        // The body, of a stream that is silent.
        let (answer, mut connection) = tokio::join!(upstream.send(post()), async {
            let (mut connection, _) = listener.accept().await.unwrap();
            read_request(&mut connection).await;
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n:\n\n\r\n";
            connection.write_all(head).await.unwrap();
            connection
        });
        let mut body = answer.unwrap().into_body();
        assert!(body.frame().await.unwrap().unwrap().is_data());
        drop(body);
        assert_eq!(connection.read(&mut [0; 1]).await.unwrap_or(0), 0);
    }

    /// Tells when it is dropped.
    struct Dropped(mpsc::Sender<&'static str>, &'static str);

    impl Drop for Dropped {
        fn drop(&mut self) {
            assert_eq!(self.0.try_send(self.1), Ok(()));
        }
    }

    /// An https server that never ends an exchange: `/head` gets no answer, any other path a silent stream.
    async fn silent_h2_server(files: &Files, ca: &Ca, name: &str) -> (UpstreamSettings, mpsc::Receiver<&'static str>) {
        let (listener, mut settings) = listen().await;
        let (certificate, key) = ca.issue(name);
        let config = tls::server_config(&files.write("crt", &certificate), &files.write("key", &key)).unwrap();
        settings.https = true;
        settings.tls.ca = Some(files.write("ca", &ca.pem()));
        let (tell, told) = mpsc::channel(8);
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let (config, tell) = (Arc::clone(&config), tell.clone());
                tokio::spawn(async move {
                    let Ok(tls) = tokio_rustls::TlsAcceptor::from(config).accept(tcp).await else { return };
                    let service = service_fn(move |request: Request<Incoming>| {
                        let tell = tell.clone();
                        async move {
                            assert_eq!(request.version(), Version::HTTP_2);
                            assert!(!request.headers().contains_key("host"));
                            if request.uri().path() == "/head" {
                                let _dropped = Dropped(tell.clone(), "request");
                                tell.send("waiting").await.unwrap();
                                std::future::pending::<()>().await;
                            }
                            Ok::<_, Infallible>(Response::new(Silent(Dropped(tell, "body"))))
                        }
                    });
                    drop(
                        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                            .serve_connection(TokioIo::new(tls), service)
                            .await,
                    );
                });
            }
        });
        (settings, told)
    }

    /// A body that never says anything, and tells when it is dropped.
    struct Silent(Dropped);

    impl http_body::Body for Silent {
        type Data = bytes::Bytes;
        type Error = Infallible;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, Infallible>>> {
            assert_eq!(self.0.1, "body");
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn dropping_resets_an_h2_stream_at_once() {
        let (files, ca) = (Files::new(), Ca::new());
        let (settings, mut told) = silent_h2_server(&files, &ca, "127.0.0.1").await;
        let upstream = Arc::new(Upstream::new(&settings).unwrap());

        let waiting = tokio::spawn({
            let upstream = Arc::clone(&upstream);
            let request = Request::post("/head").body(body::full("{}")).unwrap();
            async move { upstream.send(request).await.map(drop) }
        });
        assert_eq!(tokio::time::timeout(LONG, told.recv()).await, Ok(Some("waiting")));
        waiting.abort();
        assert_eq!(tokio::time::timeout(LONG, told.recv()).await, Ok(Some("request")));

        let answer = upstream.send(post()).await.unwrap();
        assert!(told.try_recv().is_err());
        drop(answer);
        assert_eq!(tokio::time::timeout(LONG, told.recv()).await, Ok(Some("body")));
    }

    #[tokio::test]
    async fn certificates_are_verified() {
        let (files, ca) = (Files::new(), Ca::new());
        let (settings, _told) = silent_h2_server(&files, &ca, "mcp.internal").await;
        let send = async |settings: &UpstreamSettings| Upstream::new(settings).unwrap().send(post()).await.map(drop);
        let refused = Err(unreachable("its certificate was not accepted"));

        assert_eq!(send(&settings).await, refused, "another name");
        let mut named = settings.clone();
        named.tls.server_name = Some("mcp.internal".to_owned());
        assert_eq!(send(&named).await, Ok(()));
        named.tls.ca = Some(files.write("other", &Ca::new().pem()));
        assert_eq!(send(&named).await, refused, "another CA");

        let (listener, plain) = listen().await;
        tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            connection.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        });
        let plain = UpstreamSettings { https: true, tls: named.tls.clone(), ..plain };
        assert_eq!(send(&plain).await, Err(unreachable("the TLS handshake failed")));
    }

    #[test]
    fn bad_settings_are_refused() {
        let settings = |authority: &str, name: Option<&str>| UpstreamSettings {
            https: false,
            authority: authority.parse().unwrap(),
            path: "/".parse().unwrap(),
            tls: UpstreamTls { server_name: name.map(str::to_owned), ..UpstreamTls::default() },
            identity: vec![],
            connect_timeout: LONG,
            answer_timeout: LONG,
        };
        assert!(Upstream::new(&settings("u:p@localhost", None)).is_err());
        assert!(Upstream::new(&settings("localhost", Some("no name"))).is_err());
    }
}
