//! What the gateway is told: the values that `config` makes of the file. Plain data, no behaviour.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use http::uri::{Authority, PathAndQuery};
use ipnet::IpNet;

use crate::oauth::ids::{Audience, Issuer, PublicOrigin, ResourceUri};
use crate::oauth::scope::ScopeSet;
use crate::policy::Policy;
use crate::token::{ClaimPath, IssuerSettings};

/// Everything, as meant.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where operators look: health, metrics, the status page; `None`: nowhere.
    pub admin: Option<SocketAddr>,
    /// How.
    pub tls: Tls,
    /// How clients reach us.
    pub public_url: PublicOrigin,
    /// Further `Host` values that are ours, `host` or `host:port`, lower case.
    pub hosts: Vec<String>,
    /// Worker threads; `None`: one per core.
    pub threads: Option<usize>,
    /// Who may issue tokens.
    pub authorization_servers: Vec<IssuerSettings>,
    /// The MCP endpoints.
    pub routes: Vec<RouteSettings>,
    /// Keys of the session seal, the first seals, all open; empty: one is made at start.
    pub session_keys: Vec<SessionKey>,
    /// Sizes and counts.
    pub limits: Limits,
    /// Times.
    pub timeouts: Timeouts,
    /// Peers whose `Forwarded` and `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<IpNet>,
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
#[derive(Debug, Clone)]
pub struct RouteSettings {
    /// `name`.
    pub name: Arc<str>,
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
    /// Browser origins, besides `public_url`'s.
    pub allowed_origins: Vec<String>,
    /// What it demands.
    pub policy: Policy,
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
#[derive(Debug, Clone)]
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpstreamTls {
    /// PEM bundle to trust instead of the system's roots.
    pub ca: Option<PathBuf>,
    /// Our certificate chain and key, PEM.
    pub client: Option<(PathBuf, PathBuf)>,
    /// The name its certificate must have, when not the URL's host.
    pub server_name: Option<String>,
}

/// A key of the session seal: 32 bytes.
#[derive(Clone)]
pub struct SessionKey(pub [u8; 32]);

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(…)")
    }
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
            body: Duration::from_secs(30),
            write_stall: Duration::from_secs(30),
            keep_alive: Some(Duration::from_secs(15)),
            connect: Duration::from_secs(2),
            answer: Duration::from_mins(1),
        }
    }
}
