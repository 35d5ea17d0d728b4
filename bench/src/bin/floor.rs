//! The floor: a reverse proxy that checks nothing, on the libraries of the gateway. What it costs is the cost of two HTTP
//! exchanges with hyper; what another proxy on hyper costs more, it costs for what it does.
//!
//! `floor LISTEN UPSTREAM [CERTIFICATE PRIVATE_KEY]`: HTTP/1.1 and h2 in front, pooled HTTP/1.1 behind, bodies stream. One
//! thread.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

type Failed = Box<dyn Error + Send + Sync>;

/// Connections to the server that wait to be used, the last used first.
struct Upstream {
    address: SocketAddr,
    host: HeaderValue,
    idle: Mutex<Vec<SendRequest<Incoming>>>,
}

/// The body of an answer. At its end the connection that it came on is used again.
struct Answer {
    body: Option<Incoming>,
    connection: Option<SendRequest<Incoming>>,
    upstream: Arc<Upstream>,
}

fn main() -> Result<(), Failed> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run())
}

async fn run() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (listen, address, tls) = match arguments.as_slice() {
        [listen, address] => (listen, address, None),
        [listen, address, certificate, key] => {
            let config =
                gatepost_bench::tls::server(Path::new(certificate), Path::new(key)).map_err(|e| e.to_string())?;
            (listen, address, Some(TlsAcceptor::from(config)))
        }
        _ => return Err("floor LISTEN UPSTREAM [CERTIFICATE PRIVATE_KEY]".into()),
    };
    let upstream =
        Arc::new(Upstream { address: address.parse()?, host: HeaderValue::from_str(address)?, idle: Mutex::default() });
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(listen.parse()?)?;
    let listener: TcpListener = socket.listen(4096)?;
    loop {
        let (tcp, _) = listener.accept().await?;
        let (upstream, tls) = (Arc::clone(&upstream), tls.clone());
        tokio::spawn(async move {
            tcp.set_nodelay(true)?;
            match tls {
                None => serve(tcp, upstream).await,
                Some(tls) => serve(tls.accept(tcp).await?, upstream).await,
            }
        });
    }
}

async fn serve<IO>(io: IO, upstream: Arc<Upstream>) -> Result<(), Failed>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let upstream = Arc::clone(&upstream);
        async move {
            let answer = forward(request, upstream.clone()).await;
            Ok::<_, Infallible>(answer.unwrap_or_else(|_| {
                let mut failed = Response::new(Answer { body: None, connection: None, upstream });
                *failed.status_mut() = StatusCode::BAD_GATEWAY;
                failed
            }))
        }
    });
    auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(io), service).await
}

async fn forward(mut request: Request<Incoming>, upstream: Arc<Upstream>) -> Result<Response<Answer>, Failed> {
    if let Some(path) = request.uri().path_and_query()
        && request.version() == Version::HTTP_2
    {
        *request.uri_mut() = Uri::from(path.clone());
        *request.version_mut() = Version::HTTP_11;
    }
    request.headers_mut().insert(header::HOST, upstream.host.clone());
    let mut connection = upstream.connection().await?;
    let answer = connection.send_request(request).await?;
    Ok(answer.map(|body| {
        let mut answer = Answer { body: Some(body), connection: Some(connection), upstream };
        answer.ended();
        answer
    }))
}

impl Upstream {
    /// A connection that can be used at once.
    async fn connection(&self) -> Result<SendRequest<Incoming>, Failed> {
        while let Some(mut idle) = self.pop() {
            // Its last answer has just been read to the end: it is ready now, or it was closed.
            if idle.ready().await.is_ok() {
                return Ok(idle);
            }
        }
        let tcp = TcpStream::connect(self.address).await?;
        tcp.set_nodelay(true)?;
        let (mut connection, driver) = http1::handshake(TokioIo::new(tcp)).await?;
        tokio::spawn(driver);
        connection.ready().await?;
        Ok(connection)
    }

    fn pop(&self) -> Option<SendRequest<Incoming>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn push(&self, connection: SendRequest<Incoming>) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

impl Answer {
    fn ended(&mut self) {
        if self.is_end_stream()
            && let Some(connection) = self.connection.take()
        {
            self.upstream.push(connection);
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(cx);
        match &frame {
            Poll::Ready(None) => {
                self.body = None;
                self.ended();
            }
            Poll::Ready(Some(Ok(_))) => self.ended(),
            Poll::Ready(Some(Err(_))) => self.connection = None,
            Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
