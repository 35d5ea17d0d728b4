//! The MCP server behind every proxy, as cheap as can be: each call has one answer, `tools/list` names 200 tools, and GET is a
//! stream with an event each second that says when it was sent. It also serves the key sets in a folder.
//!
//! `server LISTEN JWKS_FOLDER`. One thread.

use std::convert::Infallible;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpSocket;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

type Answer = Response<Either<Full<Bytes>, Events>>;

struct Server {
    keys: PathBuf,
    list: Bytes,
    streams: AtomicU64,
    began: Instant,
}

/// An event each second.
struct Events(Interval);

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(listen), Some(keys)) = (arguments.next(), arguments.next()) else {
        return Err("server LISTEN JWKS_FOLDER".into());
    };
    let server = Arc::new(Server {
        keys: Path::new(&keys).to_owned(),
        list: list(),
        streams: AtomicU64::new(0),
        began: Instant::now(),
    });
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(listen.parse()?)?;
    let listener = socket.listen(4096)?;
    loop {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        let server = Arc::clone(&server);
        let service = service_fn(move |request| {
            let server = Arc::clone(&server);
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(tcp), service));
    }
}

impl Server {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        if request.method() == Method::POST {
            return self.post(request.into_body()).await;
        }
        match request.uri().path().strip_prefix("/jwks/") {
            Some(name) => match std::fs::read(self.keys.join(name)) {
                Ok(document) => json(document.into()),
                Err(_) => empty(StatusCode::NOT_FOUND),
            },
            None if request.uri().path() == "/mcp" => self.stream(),
            None => empty(StatusCode::NOT_FOUND),
        }
    }

    async fn post(&self, mut body: Incoming) -> Answer {
        let mut first = None;
        while let Some(frame) = body.frame().await {
            match frame.map(Frame::into_data) {
                Ok(Ok(data)) => _ = first.get_or_insert(data),
                Ok(Err(_)) => {}
                Err(_) => return empty(StatusCode::BAD_REQUEST),
            }
        }
        let first = first.unwrap_or_default();
        let method = first.get(..first.len().min(METHOD_WITHIN)).unwrap_or_default();
        json(if method.windows(LIST.len()).any(|part| part == LIST) {
            self.list.clone()
        } else {
            Bytes::from_static(CALLED)
        })
    }

    /// Streams begin one by one over the second, so that their events do, too.
    fn stream(&self) -> Answer {
        let number = self.streams.fetch_add(1, Ordering::Relaxed);
        let phase = Duration::from_millis(number.wrapping_mul(PHASE_MILLIS) % 1000);
        let into_second = self.began.elapsed().subsec_nanos();
        let next_second = Instant::now() + Duration::from_nanos(u64::from(1_000_000_000 - into_second));
        let mut ticks = interval_at(next_second + phase, Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut answer = Response::new(Either::Right(Events(ticks)));
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        answer
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_tick(cx).map(|_| {
            let sent = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
            let event = format!(
                "data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{{\"level\":\"info\",\
                 \"data\":{{\"sent_ns\":{sent}}}}}}}\n\n"
            );
            Some(Ok(Frame::data(event.into())))
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

fn json(body: Bytes) -> Answer {
    let mut answer = Response::new(Either::Left(Full::new(body)));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Either::Left(Full::default()));
    *answer.status_mut() = status;
    answer
}

/// 200 tools with a short description and a schema of two members each: 60 KiB.
fn list() -> Bytes {
    let mut tools = String::new();
    for number in 0..200 {
        let kind = if number % 2 == 0 { "get" } else { "put" };
        let comma = if number == 0 { "" } else { "," };
        _ = write!(
            tools,
            "{comma}{{\"name\":\"{kind}_thing_{number}\",\"description\":\"Does thing number {number} to the place that is \
             named, and says what came of it.\",\"inputSchema\":{{\"type\":\"object\",\"properties\":{{\"place\":\
             {{\"type\":\"string\",\"description\":\"where\"}},\"count\":{{\"type\":\"integer\"}}}},\
             \"required\":[\"place\"]}}}}"
        );
    }
    format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{\"tools\":[{tools}]}}}}").into()
}

const CALLED: &[u8] = br#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"done"}]}}"#;
const LIST: &[u8] = b"\"tools/list\"";
/// The method stands at the beginning of every message that `load` sends.
const METHOD_WITHIN: usize = 80;
/// Coprime to 1000: neighbours do not send together.
const PHASE_MILLIS: u64 = 617;
