//! What the gateway is told: the values that `config` makes of the file. Plain data, no behaviour.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderName, Uri};
use ipnet::IpNet;

use super::secret::SecretKey;
use crate::oauth::ids::{Audience, Issuer, PublicOrigin, ResourceUri};
use crate::oauth::scope::ScopeSet;
use crate::policy::Policy;
use crate::token::{ClaimPath, IssuerSettings};

/// Everything, as meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where operators look: health, metrics, the status page; `None`: nowhere.
    pub admin: Option<SocketAddr>,
    /// How.
    pub tls: Tls,
    /// How clients reach us, where a route says nothing else. All such origins have its scheme.
    pub public_url: PublicOrigin,
    /// Further `Host` values of `public_url`, `host` or `host:port`, lower case.
    pub hosts: Vec<String>,
    /// Worker threads; `None`: one per core.
    pub threads: Option<usize>,
    /// Who may issue tokens.
    pub authorization_servers: Vec<IssuerSettings>,
    /// The MCP endpoints.
    pub routes: Vec<RouteSettings>,
    /// Keys of the session seal, the first seals, all open; empty: one that is made at start.
    pub session_keys: Vec<SecretKey>,
    /// Sizes and counts.
    pub limits: Limits,
    /// Times.
    pub timeouts: Timeouts,
    /// The way to the end.
    pub drain: Drain,
    /// Peers whose `Forwarded` and `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The audit log.
    pub audit: AuditSettings,
    /// Where spans go; `None`: nowhere.
    pub telemetry: Option<Telemetry>,
    /// What stands in the file and does nothing, a line each, for whoever runs it.
    pub warnings: Vec<String>,
}

/// Where spans go, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// `service.name` of the resource.
    pub service_name: String,
    /// The whole URL that batches are posted to.
    pub endpoint: Uri,
    /// How.
    pub protocol: OtlpProtocol,
    /// Headers of each batch; their values are sensitive.
    pub headers: HeaderMap,
    /// A trace that begins here is recorded if 63 bits of its id are below: 0 records none, 2⁶³ all.
    pub sample_below: u64,
    /// For a batch, from connecting to the answer.
    pub timeout: Duration,
    /// PEM bundle to trust instead of the system's roots.
    pub ca: Option<PathBuf>,
}

impl Telemetry {
    /// Which part of the traces that begin here is recorded, 0 to 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for a text: the first digits of a fraction")]
    pub fn sample_ratio(&self) -> f64 {
        self.sample_below as f64 / (1_u64 << 63) as f64
    }
}

/// The two transports of OTLP that are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// gRPC.
    Grpc,
    /// Protobuf over HTTP/1.1.
    Http,
}

/// How the listener speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// Plain http; on loopback only.
    Off,
    /// Something in front of us ends TLS.
    External,
    /// We do.
    Files {
        /// PEM chain.
        certificate: PathBuf,
        /// PEM key.
        private_key: PathBuf,
    },
}

/// One MCP endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSettings {
    /// `name`.
    pub name: Arc<str>,
    /// The origin that clients reach it under.
    pub public_url: PublicOrigin,
    /// The exact path.
    pub path: Arc<str>,
    /// How the server speaks to clients.
    pub transport: Transport,
    /// The MCP server.
    pub upstream: UpstreamSettings,
    /// Its resource identifier.
    pub resource: ResourceUri,
    /// Further audiences.
    pub audiences: Vec<Audience>,
    /// The issuers that serve it, in order; never empty.
    pub issuers: Vec<Issuer>,
    /// `scope` of the 401; empty: left out.
    pub challenge_scopes: ScopeSet,
    /// `scopes_supported` of the metadata.
    pub scopes_supported: ScopeSet,
    /// Browser origins, besides that of `public_url`.
    pub allowed_origins: Vec<String>,
    /// What it demands.
    pub policy: Policy,
    /// What it bears.
    pub limits: RouteLimits,
}

/// So many requests in so long a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub requests: NonZeroU32,
    /// In which time; a day at most.
    pub per: Duration,
    /// How many of them at once.
    pub burst: NonZeroU32,
}

/// What one route bears; `None`: as much as the whole gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouteLimits {
    /// Requests that its server works on at a time, but for the streams that `limits.streams_per_principal_max` is about.
    pub requests_max: Option<usize>,
    /// Requests of all principals together.
    pub rate: Option<Rate>,
    /// Requests of each principal.
    pub rate_per_principal: Option<Rate>,
    /// Operations of each principal under each rule.
    pub rules: Vec<Option<Rate>>,
}

/// How clients and server speak with one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// One endpoint for everything (MCP 2025-03-26 and later).
    StreamableHttp,
    /// GET on `path` opens a stream, messages are posted elsewhere (MCP 2024-11-05, HTTP with SSE).
    HttpSse {
        /// The exact path that they are posted to.
        message_path: Arc<str>,
    },
}

/// An MCP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Whether its URL is https.
    pub https: bool,
    /// Host and port.
    pub authority: Authority,
    /// Path (and query) of its URL.
    pub path: PathAndQuery,
    /// How its TLS is checked and what we show it.
    pub tls: UpstreamTls,
    /// Headers that carry claims.
    pub identity: Vec<(HeaderName, ClaimPath)>,
    /// Until connected.
    pub connect_timeout: Duration,
    /// Until the head of its answer; and, for an answer that is read whole to be filtered, from there to its end.
    pub answer_timeout: Duration,
}

/// TLS towards an MCP server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct UpstreamTls {
    /// PEM bundle to trust instead of the system's roots.
    pub ca: Option<PathBuf>,
    /// Our certificate chain and key, PEM.
    pub client: Option<(PathBuf, PathBuf)>,
    /// The name its certificate must have, when not the URL's host.
    pub server_name: Option<String>,
}

/// The audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSettings {
    /// Where records go.
    pub to: AuditTo,
    /// Whether they hold the arguments of calls.
    pub arguments: bool,
    /// What becomes of requests while an output takes nothing.
    pub on_stall: OnStall,
    /// Records that may wait for an output (4096).
    pub queue_records_max: usize,
    /// The key of the digest of arguments; `None`: one is made at start.
    pub digest_key: Option<SecretKey>,
}

/// Where audit records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditTo {
    /// Standard output.
    Stdout,
    /// A file, which is appended to.
    File(PathBuf),
    /// Both.
    Both(PathBuf),
}

/// What becomes of requests while the audit log takes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStall {
    /// They wait, and are refused after a while.
    Block,
    /// They go on, and their records are dropped and counted.
    Drop,
}

/// Sizes and counts; every field has a key of the same name under `limits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Request head, bytes (32 KiB).
    pub head_bytes_max: usize,
    /// Request headers (100).
    pub headers_max: usize,
    /// Request body, bytes (4 MiB).
    pub body_bytes_max: usize,
    /// All request bodies in flight, bytes (64 MiB).
    pub bodies_in_flight_bytes_max: usize,
    /// JSON depth (64).
    pub json_depth_max: usize,
    /// Messages of a batch (50).
    pub batch_messages_max: usize,
    /// Access token, bytes (8 KiB).
    pub token_bytes_max: usize,
    /// A JSON answer that must be filtered, and one SSE event, bytes (16 MiB).
    pub answer_bytes_max: usize,
    /// Connections (10000).
    pub connections_max: usize,
    /// Connections from one address (10000); peers of `trusted_proxies` are not counted.
    pub connections_per_address_max: usize,
    /// Requests to MCP endpoints under way, but for lasting streams (10000).
    pub requests_max: usize,
    /// Requests of each principal, over all routes; `None`: as many as it likes.
    pub rate_per_principal: Option<Rate>,
    /// Streams from server to client that one principal may have open (64).
    pub streams_per_principal_max: usize,
    /// Streams of one h2 connection (100).
    pub h2_streams_max: u32,
    /// Cache of verified tokens, bytes (32 MiB).
    pub token_cache_bytes_max: u64,
}

/// Times; every field has a key `…_secs` under `timeouts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// TLS handshake (10 s).
    pub handshake: Duration,
    /// Request head, and a connection that says nothing (10 s).
    pub head: Duration,
    /// A connection on which nothing goes on, after its first request.
    pub idle: Duration,
    /// Request body, whole (30 s).
    pub body: Duration,
    /// A client that reads nothing of what we write (30 s).
    pub write_stall: Duration,
    /// Silence on an event stream before a comment is sent (15 s); `None`: never.
    pub keep_alive: Option<Duration>,
    /// Default of `upstream.timeouts.connect_secs` (2 s).
    pub connect: Duration,
    /// Default of `upstream.timeouts.answer_secs` (60 s).
    pub answer: Duration,
}

/// How the process ends; every field has a key `…_secs` under `drain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// From the signal until nobody is accepted any more (5 s).
    pub delay: Duration,
    /// From there until what is still under way is cut (20 s).
    pub grace: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self { delay: Duration::from_secs(5), grace: Duration::from_secs(20) }
    }
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self {
            to: AuditTo::Stdout,
            arguments: false,
            on_stall: OnStall::Block,
            queue_records_max: 4096,
            digest_key: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes_max: 32 << 10,
            headers_max: 100,
            body_bytes_max: 4 << 20,
            bodies_in_flight_bytes_max: 64 << 20,
            json_depth_max: 64,
            batch_messages_max: 50,
            streams_per_principal_max: 64,
            token_bytes_max: 8 << 10,
            answer_bytes_max: 16 << 20,
            connections_max: 10_000,
            connections_per_address_max: 10_000,
            requests_max: 10_000,
            rate_per_principal: None,
            h2_streams_max: 100,
            token_cache_bytes_max: 32 << 20,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            body: Duration::from_secs(30),
            write_stall: Duration::from_secs(30),
            keep_alive: Some(Duration::from_secs(15)),
            connect: Duration::from_secs(2),
            answer: Duration::from_mins(1),
        }
    }
}
