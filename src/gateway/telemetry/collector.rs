//! The way to the collector: OTLP over gRPC (HTTP/2) or over HTTP/1.1, one request for each batch. An unary gRPC call is a
//! POST with five bytes before the message and its status in the trailers; no more of gRPC is spoken.

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::otlp;
use crate::gateway::body::read_limited;
use crate::gateway::settings::{OtlpProtocol, Telemetry, UpstreamTls};
use crate::gateway::tls;
use crate::gateway::upstream::{Within, chain};

/// Where batches are sent.
pub(super) struct Collector {
    client: Client<Connector, Full<Bytes>>,
    connector: Connector,
    endpoint: Uri,
    protocol: OtlpProtocol,
    headers: HeaderMap,
    timeout: Duration,
}

type Connector = Within<HttpsConnector<HttpConnector>>;

/// Why a batch was not taken.
#[derive(Debug)]
pub(super) struct Fault {
    /// Whether it may be taken later (OTLP, Failures).
    pub(super) passing: bool,
    pub(super) words: String,
}

impl Collector {
    /// Prepares the client; reads `ca`. Connects to nothing.
    pub(super) fn new(settings: &Telemetry) -> Result<Self, String> {
        let https = settings.endpoint.scheme_str() == Some("https");
        let config = if https {
            tls::client_config(&UpstreamTls { ca: settings.ca.clone(), ..UpstreamTls::default() })?
        } else {
            // Plain http needs no roots, and a minimal image has none.
            tls::client_config_without_roots()?
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let builder = HttpsConnectorBuilder::new().with_tls_config(config);
        let builder = if https { builder.https_only() } else { builder.https_or_http() };
        let connector = match settings.protocol {
            OtlpProtocol::Grpc => builder.enable_http2().wrap_connector(tcp),
            OtlpProtocol::Http => builder.enable_http1().wrap_connector(tcp),
        };
        let connector = Within { connector, timeout: settings.timeout };
        let mut headers = settings.headers.clone();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("gatepost/", env!("CARGO_PKG_VERSION"))));
        let content_type = match settings.protocol {
            OtlpProtocol::Grpc => {
                headers.insert(header::TE, HeaderValue::from_static("trailers"));
                "application/grpc"
            }
            OtlpProtocol::Http => "application/x-protobuf",
        };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        let Telemetry { endpoint, protocol, timeout, .. } = settings.clone();
        Ok(Self { client: client(&connector, protocol), connector, endpoint, protocol, headers, timeout })
    }

    /// Where it is, for the log.
    pub(super) fn endpoint(&self) -> &Uri {
        &self.endpoint
    }

    /// Sends an `ExportTraceServiceRequest`; says how many spans of it the collector did not take.
    pub(super) async fn send(&mut self, message: &[u8]) -> Result<u64, Fault> {
        let body = match self.protocol {
            OtlpProtocol::Grpc => framed(message)?,
            OtlpProtocol::Http => Bytes::copy_from_slice(message),
        };
        let mut request = Request::post(self.endpoint.clone())
            .body(Full::new(body))
            .map_err(|error| Fault { passing: false, words: error.to_string() })?;
        request.headers_mut().clone_from(&self.headers);
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|error| {
                let causes: Vec<String> = chain(&error).map(ToString::to_string).collect();
                Fault { passing: true, words: causes.join(": ") }
            })?;
            let (head, body) = answer.into_parts();
            match self.protocol {
                OtlpProtocol::Grpc => grpc(head.status, head.headers, body).await,
                OtlpProtocol::Http => http(head.status, body).await,
            }
        };
        if let Ok(answered) = tokio::time::timeout(self.timeout, exchange).await {
            return answered;
        }
        // The other end may have vanished without a word: an HTTP/2 connection to it would be used for ever.
        self.client = client(&self.connector, self.protocol);
        Err(Fault { passing: true, words: format!("no answer within {} s", self.timeout.as_secs()) })
    }
}

/// With connections of its own.
fn client(connector: &Connector, protocol: OtlpProtocol) -> Client<Connector, Full<Bytes>> {
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(1)
        .http1_max_buf_size(HEAD_BYTES_MAX)
        .http2_only(protocol == OtlpProtocol::Grpc)
        .build(connector.clone())
}

/// One message, not compressed (gRPC over HTTP/2, Length-Prefixed-Message).
fn framed(message: &[u8]) -> Result<Bytes, Fault> {
    let length = u32::try_from(message.len())
        .map_err(|_| Fault { passing: false, words: "the batch is over 4 GiB".to_owned() })?;
    let mut framed = BytesMut::with_capacity(message.len() + FRAME_BYTES);
    framed.put_u8(0);
    framed.put_u32(length);
    framed.put_slice(message);
    Ok(framed.freeze())
}

/// The answer of OTLP/HTTP.
async fn http(status: StatusCode, mut body: Incoming) -> Result<u64, Fault> {
    if status != StatusCode::OK {
        return Err(Fault { passing: is_passing(status), words: format!("it answered {}", status.as_u16()) });
    }
    // What cannot be read says nothing against the 200.
    Ok(read_limited(&mut body, ANSWER_BYTES_MAX).await.map_or(0, |response| otlp::rejected(&response)))
}

/// The answer of a gRPC call. Its status stands behind the message, or in the head where there is none.
async fn grpc(status: StatusCode, mut end: HeaderMap, mut body: Incoming) -> Result<u64, Fault> {
    let mut message = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| Fault { passing: true, words: format!("its answer was cut short: {error}") })?;
        match frame.into_data() {
            Ok(data) if data.len() <= ANSWER_BYTES_MAX - message.len() => message.extend_from_slice(&data),
            Ok(_) => return Err(Fault { passing: false, words: "its answer is too long".to_owned() }),
            Err(frame) => end.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    match end.get("grpc-status").map(HeaderValue::as_bytes) {
        Some(b"0") => Ok(message.get(FRAME_BYTES..).map_or(0, otlp::rejected)),
        Some(code) => {
            let text = end.get("grpc-message").map(|text| String::from_utf8_lossy(text.as_bytes()));
            let text: String = text.unwrap_or_default().chars().take(TEXT_CHARS_MAX).collect();
            let code = String::from_utf8_lossy(code);
            Err(Fault { passing: GRPC_PASSING.contains(&&*code), words: format!("grpc-status {code} {text:?}") })
        }
        None => {
            let words = format!("it answered {} without a grpc-status: it may not speak gRPC", status.as_u16());
            Err(Fault { passing: is_passing(status), words })
        }
    }
}

/// OTLP/HTTP, Retryable Response Codes.
fn is_passing(status: StatusCode) -> bool {
    [429, 502, 503, 504].contains(&status.as_u16())
}

/// OTLP/gRPC, Failures: cancelled, deadline exceeded, aborted, out of range, unavailable, data loss.
const GRPC_PASSING: [&str; 6] = ["1", "4", "10", "11", "14", "15"];

/// What stands before a message.
const FRAME_BYTES: usize = 5;

/// An answer's body: a number and a sentence.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// An answer's head.
const HEAD_BYTES_MAX: usize = 32 << 10;

/// What is logged of a collector's words.
const TEXT_CHARS_MAX: usize = 200;
