//! Connections, and the requests that go over them.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::HandshakeKind;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::{Failed, Specification};

/// How to connect.
pub(crate) struct Client {
    address: std::net::SocketAddr,
    tls: Option<TlsConnector>,
    http2: bool,
}

/// A connection that requests can be sent on.
pub(crate) enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// Makes requests, each with the next token.
pub(crate) struct Requests {
    method: Method,
    uris: Vec<Uri>,
    headers: HeaderMap,
    tokens: Vec<HeaderValue>,
    once: bool,
    body: Bytes,
    next: usize,
}

impl Client {
    pub(crate) fn new(specification: &Specification) -> Result<Self, Failed> {
        let Specification { address, ca, http2, resume, .. } = specification;
        let tls = ca.as_ref().map(|ca| gatepost_bench::tls::client(ca, *http2, *resume)).transpose();
        let tls = tls.map_err(|error| error.to_string())?.map(TlsConnector::from);
        Ok(Self { address: *address, tls, http2: *http2 })
    }

    /// A connection, and whether its TLS session is an earlier one resumed.
    pub(crate) async fn connect(&self) -> Result<(Sender, bool), Failed> {
        let tcp = TcpStream::connect(self.address).await?;
        tcp.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return Ok((self.open(tcp).await?, false)) };
        let name = ServerName::try_from("localhost")?;
        let tls = tls.connect(name, tcp).await?;
        let resumed = tls.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
        Ok((self.open(tls).await?, resumed))
    }

    async fn open<IO>(&self, io: IO) -> Result<Sender, Failed>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if self.http2 {
            let (sender, driver) = http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await?;
            tokio::spawn(driver);
            return Ok(Sender::Http2(sender));
        }
        let (sender, driver) = http1::handshake(TokioIo::new(io)).await?;
        tokio::spawn(driver);
        Ok(Sender::Http1(sender))
    }
}

impl Sender {
    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failed> {
        match self {
            Self::Http1(sender) => {
                sender.ready().await?;
                Ok(sender.send_request(request).await?)
            }
            Self::Http2(sender) => {
                sender.ready().await?;
                Ok(sender.send_request(request).await?)
            }
        }
    }

    /// The same connection once more, where it takes several requests at a time.
    pub(crate) fn share(&self) -> Option<Self> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(sender) => Some(Self::Http2(sender.clone())),
        }
    }
}

impl Requests {
    pub(crate) fn new(specification: &Specification) -> Result<Self, Failed> {
        let Specification { paths, authority, ca, http2, tokens, body, .. } = specification;
        let mut headers = HeaderMap::new();
        if !http2 {
            headers.insert(header::HOST, HeaderValue::from_str(authority)?);
        }
        let scheme = if ca.is_some() { "https" } else { "http" };
        let uri = |path: &String| if *http2 { format!("{scheme}://{authority}{path}").parse() } else { path.parse() };
        let uris = paths.iter().map(uri).collect::<Result<Vec<Uri>, _>>()?;
        let body = body.as_ref().map(std::fs::read).transpose()?;
        let accept = if body.is_some() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            "application/json, text/event-stream"
        } else {
            "text/event-stream"
        };
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        let mut bearers = Vec::new();
        if let Some(file) = tokens {
            let (from, count) = (specification.tokens_from, specification.tokens_count.unwrap_or(usize::MAX));
            for token in std::fs::read_to_string(file)?.lines().skip(from).take(count) {
                bearers.push(HeaderValue::try_from(format!("Bearer {token}"))?);
            }
            if bearers.is_empty() {
                return Err(format!("{}: no tokens from line {from}", file.display()).into());
            }
        }
        Ok(Self {
            method: if body.is_some() { Method::POST } else { Method::GET },
            uris,
            headers,
            tokens: bearers,
            once: specification.once,
            body: body.unwrap_or_default().into(),
            next: 0,
        })
    }

    /// The next request; none when each token was sent.
    pub(crate) fn make(&mut self) -> Option<Request<Full<Bytes>>> {
        let number = self.next;
        self.next += 1;
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uris.get(number % self.uris.len())?.clone();
        *request.headers_mut() = self.headers.clone();
        if !self.tokens.is_empty() {
            let place = if self.once { number } else { number % self.tokens.len() };
            request.headers_mut().insert(header::AUTHORIZATION, self.tokens.get(place)?.clone());
        }
        Some(request)
    }
}

/// One client for all tasks.
pub(crate) type Shared = Arc<Client>;
