//! The small HTTP client of the check: plain http to this machine, no redirects, every answer limited in size and time.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::at;
use crate::gateway::body::read_limited;
use crate::mcp::sse::{Event, Parser};

/// The client.
#[derive(Debug)]
pub(super) struct Http(Client<HttpConnector, Full<Bytes>>);

/// An answer, whole.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Http {
    pub(super) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build(HttpConnector::new()))
    }

    /// Sends a request and reads the whole answer.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Reply, String> {
        let whole = async {
            let (head, mut body) = self.0.request(request).await.map_err(|error| in_words(&error))?.into_parts();
            let body = read_limited(&mut body, BYTES_MAX)
                .await
                .map_err(|fault| format!("the answer's body could not be read: {fault:?}"))?;
            Ok(Reply { status: head.status, headers: head.headers, body })
        };
        within(whole).await
    }

    /// Sends a request and gives each event of the answer to `take` as it arrives, until the answer ends.
    pub(super) async fn stream(
        &self,
        request: Request<Full<Bytes>>,
        mut take: impl FnMut(Value),
    ) -> Result<(), String> {
        let whole = async {
            let response = self.0.request(request).await.map_err(|error| in_words(&error))?;
            expect_stream(&response)?;
            let mut body = response.into_body();
            let (mut parser, mut events) = (Parser::new(BYTES_MAX), Vec::new());
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| format!("the stream was cut short: {error}"))?;
                let Some(data) = frame.data_ref() else { continue };
                parser.push(data, &mut events).map_err(|_| "an event is too large".to_owned())?;
                for event in events.drain(..) {
                    message(&event)?.into_iter().for_each(&mut take);
                }
            }
            Ok(())
        };
        within(whole).await
    }

    /// A GET.
    pub(super) async fn get(&self, url: &str) -> Result<Reply, String> {
        let request = Request::get(uri(url)?).header("Accept", "application/json, text/html").body(Full::default());
        self.send(request.map_err(|error| error.to_string())?).await
    }

    /// A POST of a form.
    pub(super) async fn post_form(&self, url: &str, fields: &[(&str, &str)]) -> Result<Reply, String> {
        let body = super::url::form(fields);
        let request =
            Request::post(uri(url)?).header("Content-Type", "application/x-www-form-urlencoded").body(Full::from(body));
        self.send(request.map_err(|error| error.to_string())?).await
    }

    /// A POST of JSON.
    pub(super) async fn post_json(&self, url: &str, body: &Value) -> Result<Reply, String> {
        let request = Request::post(uri(url)?)
            .header("Content-Type", "application/json")
            .header("Accept", "application/json")
            .body(Full::from(body.to_string()));
        self.send(request.map_err(|error| error.to_string())?).await
    }
}

impl Reply {
    /// The status, or what came instead.
    pub(super) fn expect(&self, status: u16) -> Result<(), String> {
        if self.status.as_u16() == status {
            return Ok(());
        }
        Err(format!("expected status {status}, got {}: {}", self.status.as_u16(), self.excerpt()))
    }

    /// A header, or that it is absent.
    pub(super) fn header(&self, name: &str) -> Result<&str, String> {
        let value = self.headers.get(name).ok_or_else(|| format!("expected the header {name}, which is absent"))?;
        value.to_str().map_err(|_| format!("the header {name} is no text"))
    }

    /// The body as JSON.
    pub(super) fn json(&self) -> Result<Value, String> {
        serde_json::from_slice(&self.body).map_err(|error| format!("expected JSON ({error}), got: {}", self.excerpt()))
    }

    /// The JSON-RPC message with this id, from JSON or from an event stream.
    pub(super) fn message(&self, id: u64) -> Result<Value, String> {
        if !self.header("content-type")?.starts_with(EVENT_STREAM) {
            return self.json();
        }
        let (mut parser, mut events) = (Parser::new(BYTES_MAX), Vec::new());
        parser.push(&self.body, &mut events).map_err(|_| "an event is too large".to_owned())?;
        for event in &events {
            if let Some(message) = message(event)?
                && at(&message, "/id") == id
            {
                return Ok(message);
            }
        }
        Err(format!("expected an answer with the id {id}, got: {}", self.excerpt()))
    }

    /// The beginning of the body, on one line.
    fn excerpt(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(300).collect::<String>().escape_debug().to_string()
    }
}

fn expect_stream<B>(response: &Response<B>) -> Result<(), String> {
    let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or("none");
    if response.status() == StatusCode::OK && kind.starts_with(EVENT_STREAM) {
        return Ok(());
    }
    Err(format!("expected status 200 and {EVENT_STREAM}, got {} and {kind}", response.status().as_u16()))
}

/// The message in an event, if it has one.
fn message(event: &Event) -> Result<Option<Value>, String> {
    match &event.data {
        Some(data) if !data.is_empty() => {
            serde_json::from_slice(data).map(Some).map_err(|error| format!("an event holds no JSON: {error}"))
        }
        Some(_) | None => Ok(None),
    }
}

/// A URL of this machine: nothing that was read may send the check elsewhere.
fn uri(url: &str) -> Result<Uri, String> {
    let uri: Uri = url.parse().map_err(|error| format!("{url}: no valid URL: {error}"))?;
    let host = uri.host().map(|host| host.trim_start_matches('[').trim_end_matches(']'));
    let local = host.and_then(|host| host.parse::<std::net::IpAddr>().ok()).is_some_and(|ip| ip.is_loopback());
    if uri.scheme_str() == Some("http") && local { Ok(uri) } else { Err(format!("{url} is not on this machine")) }
}

async fn within<T>(doing: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    tokio::time::timeout(TIMEOUT, doing)
        .await
        .unwrap_or_else(|_| Err(format!("expected an answer within {} s, got none", TIMEOUT.as_secs())))
}

fn in_words(error: &hyper_util::client::legacy::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

const EVENT_STREAM: &str = "text/event-stream";
const BYTES_MAX: usize = 1 << 20;
const TIMEOUT: Duration = Duration::from_secs(20);
