//! A collector of traces: OTLP over gRPC and over HTTP on one port. It reads with OpenTelemetry's own definitions, and fails the
//! test that sends it a token, an attribute that the documentation lacks, or another framing than the protocol's.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use gatepost::gateway::telemetry::ATTRIBUTES;
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::port::Port;
use super::within;

/// The collector.
#[derive(Debug)]
pub(crate) struct Collector {
    port: Port,
    batches: mpsc::Receiver<Batch>,
    spans: Vec<Seen>,
    verdicts: Arc<Mutex<VecDeque<Verdict>>>,
    sender: mpsc::Sender<Batch>,
    task: Option<JoinHandle<()>>,
}

/// What it says of a batch; without one it takes it whole.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verdict {
    /// Not now: 503, or `UNAVAILABLE`.
    Later,
    /// Never: 400, or `INVALID_ARGUMENT`.
    No,
    /// Nothing, ever.
    Hang,
    /// All but this many spans.
    AllBut(i64),
}

/// A batch as it came.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) headers: HeaderMap,
    /// The number of the connection it came on.
    pub(crate) connection: usize,
    /// Of its resource.
    pub(crate) resource: BTreeMap<String, String>,
    spans: Vec<Seen>,
}

/// A span as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) trace_id: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) name: String,
    /// `SPAN_KIND_…` without that.
    pub(crate) kind: &'static str,
    pub(crate) state: String,
    pub(crate) flags: u32,
    pub(crate) times: (u64, u64),
    pub(crate) attributes: BTreeMap<String, String>,
    /// The message of an error.
    pub(crate) error: Option<String>,
}

impl Collector {
    pub(crate) fn up() -> Self {
        let mut collector = Self::down();
        collector.come_up();
        collector
    }

    /// Its port is reserved and refuses connections.
    pub(crate) fn down() -> Self {
        let (sender, batches) = mpsc::channel(10_000);
        Self { port: Port::reserve(), batches, spans: Vec::new(), verdicts: Arc::default(), sender, task: None }
    }

    pub(crate) fn come_up(&mut self) {
        self.task = Some(tokio::spawn(serve(self.port.listen(), Arc::clone(&self.verdicts), self.sender.clone())));
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// What the next batch gets.
    pub(crate) fn answer(&self, verdict: Verdict) {
        self.verdicts.lock().unwrap().push_back(verdict);
    }

    /// `telemetry` of a file that sends to it, with these further keys of `otlp`.
    pub(crate) fn telemetry(&self, protocol: &str, keys: &str) -> String {
        let endpoint = self.address();
        format!("telemetry: {{otlp: {{endpoint: \"http://{endpoint}\", protocol: {protocol}{keys}}}}}\n")
    }

    /// The next batch.
    pub(crate) async fn batch(&mut self) -> Batch {
        let batch = within("a batch of spans", self.batches.recv()).await.unwrap();
        self.spans.extend(batch.spans.iter().cloned());
        batch
    }

    /// The spans of this trace, the request's own first; waits for it.
    pub(crate) async fn trace(&mut self, id: &str) -> Vec<Seen> {
        loop {
            let found: Vec<Seen> = self.spans.iter().filter(|span| span.trace_id == id).cloned().collect();
            if !found.is_empty() {
                return found;
            }
            self.batch().await;
        }
    }

    /// The ids of the traces that came so far, each once.
    pub(crate) fn traces(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = self.spans.iter().map(|span| span.trace_id.as_str()).collect();
        ids.dedup();
        ids
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Seen {
    /// The attribute, or nothing.
    pub(crate) fn says(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }
}

async fn serve(listener: TcpListener, verdicts: Arc<Mutex<VecDeque<Verdict>>>, sender: mpsc::Sender<Batch>) {
    let mut connections = tokio::task::JoinSet::new();
    for connection in 0.. {
        let (stream, _) = listener.accept().await.unwrap();
        let (verdicts, sender) = (Arc::clone(&verdicts), sender.clone());
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let (verdicts, sender) = (Arc::clone(&verdicts), sender.clone());
                async move { Ok::<_, Infallible>(take(request, connection, &verdicts, &sender).await) }
            });
            // Whoever exports may leave as it likes.
            drop(auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

async fn take(
    request: Request<Incoming>,
    connection: usize,
    verdicts: &Mutex<VecDeque<Verdict>>,
    sender: &mpsc::Sender<Batch>,
) -> Answer {
    let (head, mut body) = request.into_parts();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        bytes.extend_from_slice(frame.unwrap().data_ref().unwrap());
    }
    let is_grpc = head.version == Version::HTTP_2;
    let message = if is_grpc {
        assert_eq!(head.uri.path(), "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
        assert_eq!(head.headers["content-type"], "application/grpc");
        assert_eq!(head.headers["te"], "trailers");
        let (frame, message) = bytes.split_at(5);
        assert_eq!(frame, [&[0], &u32::try_from(message.len()).unwrap().to_be_bytes()[..]].concat());
        message
    } else {
        assert!(head.uri.path().ends_with("/v1/traces"), "{}", head.uri);
        assert_eq!(head.headers["content-type"], "application/x-protobuf");
        &bytes
    };
    assert!(!bytes.windows(3).any(|window| window == b"eyJ"), "a token among spans");
    let verdict = verdicts.lock().unwrap().pop_front();
    let mut response = ExportTraceServiceResponse::default();
    let (status, code) = match verdict {
        Some(Verdict::Later) => (503, "14"),
        Some(Verdict::No) => (400, "3"),
        Some(Verdict::Hang) => (0, ""),
        Some(Verdict::AllBut(rejected_spans)) => {
            let error_message = "no room".to_owned();
            response.partial_success = Some(ExportTracePartialSuccess { rejected_spans, error_message });
            (200, "0")
        }
        None => (200, "0"),
    };
    let request = ExportTraceServiceRequest::decode(message).unwrap();
    sender.try_send(batch(head.headers, connection, request)).unwrap();
    if status == 0 {
        return std::future::pending().await;
    }
    answer(is_grpc, status, code, &response.encode_to_vec())
}

fn answer(is_grpc: bool, status: u16, code: &'static str, message: &[u8]) -> Answer {
    if !is_grpc {
        let body = Full::new(Bytes::copy_from_slice(message)).boxed_unsync();
        return Response::builder().status(status).body(body).unwrap();
    }
    let framed = [&[0], &u32::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat();
    let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static(code))]);
    let body = Full::new(Bytes::from(framed)).with_trailers(async { Some(Ok(trailers)) }).boxed_unsync();
    Response::builder().header("content-type", "application/grpc").body(body).unwrap()
}

fn batch(headers: HeaderMap, connection: usize, request: ExportTraceServiceRequest) -> Batch {
    let mut read = Batch { headers, connection, resource: BTreeMap::new(), spans: Vec::new() };
    for of_resource in request.resource_spans {
        read.resource = attributes(of_resource.resource.unwrap().attributes);
        for of_scope in of_resource.scope_spans {
            read.spans.extend(of_scope.spans.into_iter().map(seen));
        }
    }
    read
}

fn seen(span: Span) -> Seen {
    let kind = span.kind().as_str_name().strip_prefix("SPAN_KIND_").unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let attributes = attributes(span.attributes);
    for key in attributes.keys() {
        assert!(ATTRIBUTES.iter().any(|(known, _, _)| known == key), "{key} is not documented");
    }
    let error = span.status.map(|status| {
        assert_eq!(status.code(), StatusCode::Error);
        status.message
    });
    Seen {
        trace_id: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        name: span.name,
        kind,
        state: span.trace_state,
        flags: span.flags,
        times: (span.start_time_unix_nano, span.end_time_unix_nano),
        attributes,
        error,
    }
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    let count = pairs.len();
    let text = |pair: KeyValue| {
        let value = pair.value.unwrap().value.unwrap();
        if let any_value::Value::IntValue(number) = value {
            return (pair.key, number.to_string());
        }
        let any_value::Value::StringValue(text) = value else { panic!("{}: {value:?}", pair.key) };
        (pair.key, text)
    };
    let read: BTreeMap<String, String> = pairs.into_iter().map(text).collect();
    assert_eq!(read.len(), count, "a key twice: {read:?}");
    read
}
