//! The file as written: one type for each map, one field for each key. The doc comments are the reference of the keys:
//! what each does, its unit and its default. Nothing is checked here but that a key is known and its value of the
//! right kind; what it means is said in the other files of this folder.

mod either;

use std::collections::BTreeMap;

use serde::Deserialize;

#[cfg(test)]
use super::tests::schema::{algorithms, external, of_a_rule, one_of};

/// The top level of the file.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// The IP address and port to listen on. An address off loopback needs `public_url` and `tls`; a change needs a
    /// restart. Default: `127.0.0.1:8080`.
    pub(super) listen: Option<String>,
    /// The listener for operators. Default: none.
    pub(super) admin: Option<Admin>,
    /// How clients reach the gateway: scheme, host and, where it is not the scheme's own, port; no path. Resource
    /// identifiers and every URL that the gateway hands out begin with it. Plain http is for loopback alone. Default:
    /// `http://` (with `tls` `https://`) and `listen`, on loopback; elsewhere it must be given.
    pub(super) public_url: Option<String>,
    /// The certificate and key to end TLS with, or the word `external` where something in front of the gateway ends
    /// it. Default: plain http, on loopback alone.
    pub(super) tls: Option<Tls>,
    /// Further `Host` values that are the gateway's own, `host` or `host:port`; case does not matter. Identifiers stay
    /// those of `public_url`, and routes with a `public_url` of their own are not found by them. Default: `[]`.
    #[serde(default)]
    pub(super) hosts: Vec<String>,
    /// Worker threads, `1` to `1024`. Default: one per core.
    pub(super) threads: Option<u64>,
    /// Who may issue access tokens. At least one.
    #[serde(default)]
    pub(super) authorization_servers: Vec<AuthorizationServer>,
    /// Which scopes a broader scope implies, transitively: a map from the broader scope to a list of narrower ones. A
    /// cycle is refused. Default: `{}`.
    #[serde(default)]
    pub(super) scope_hierarchy: BTreeMap<String, Vec<String>>,
    /// Rules that routes share: a map from a name (letters, digits, `-` and `_`) to a list of rules. A route takes them in by
    /// its own `policies`. Default: `{}`.
    #[serde(default)]
    #[cfg_attr(test, schemars(extend("propertyNames" = {"pattern": "^[A-Za-z0-9_-]{1,64}$"})))]
    pub(super) policies: BTreeMap<String, Vec<Rule>>,
    /// The MCP endpoints. At least one, here or in what `include` names.
    #[serde(default)]
    pub(super) routes: Vec<Route>,
    /// A folder of files with further `routes` and nothing else, or a list of such folders and files. Of a folder every `*.yaml` and
    /// `*.yml` is read, in the order of their names, but for names that begin with `.`. What such a file names is relative to its
    /// own folder. Default: none.
    pub(super) include: Option<Include>,
    /// The seal of session ids. Default: a key that is made at start, and that outlives reloads.
    #[serde(default)]
    pub(super) sessions: Sessions,
    /// Sizes and counts.
    #[serde(default)]
    pub(super) limits: Limits,
    /// Times, in seconds.
    #[serde(default)]
    pub(super) timeouts: Timeouts,
    /// How the process ends after SIGTERM or SIGINT. A second signal ends it at once.
    #[serde(default)]
    pub(super) drain: Drain,
    /// The networks (`10.0.0.0/8`) or addresses of proxies whose `Forwarded`, `X-Forwarded-*` and `X-Real-IP` are
    /// believed. Default: `[]`, nobody's.
    #[serde(default)]
    pub(super) trusted_proxies: Vec<String>,
    /// Traces of requests, for OpenTelemetry.
    #[serde(default)]
    pub(super) telemetry: Telemetry,
    /// The audit log.
    #[serde(default)]
    pub(super) audit: Audit,
}

/// A file that is included.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Included {
    /// Its routes.
    #[serde(default)]
    pub(super) routes: Vec<Route>,
}

/// `include`.
#[derive(Debug)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(untagged))]
pub(super) enum Include {
    /// A text.
    One(String),
    /// A list.
    List(Vec<String>),
}

/// `admin`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Admin {
    /// The IP address and port for `/livez`, `/readyz`, `/metrics`, `/config` and the status page, in plain http. Whoever
    /// reaches it is shown all of it, so it should be loopback, or a network of the operators' own. A change needs a
    /// restart.
    pub(super) listen: String,
}

/// `tls`.
#[derive(Debug)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(untagged))]
pub(super) enum Tls {
    /// The word `external`.
    #[cfg_attr(test, schemars(schema_with = "external"))]
    External,
    /// A map of files.
    Files(TlsFiles),
}

/// `tls`, as a map.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct TlsFiles {
    /// A PEM file with the certificate chain, the gateway's own first.
    pub(super) certificate: String,
    /// A PEM file with its private key.
    pub(super) private_key: String,
}

/// One of `authorization_servers`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct AuthorizationServer {
    /// The issuer identifier, byte for byte as the authorization server writes it into `iss`: https, or http on
    /// loopback.
    pub(super) issuer: String,
    /// The URL of its keys (JWKS): https, or http on loopback. Default: discovered from its metadata.
    pub(super) jwks_uri: Option<String>,
    /// A file with its keys (JWKS), for closed networks; not together with `jwks_uri`. Default: none.
    pub(super) jwks_file: Option<String>,
    /// The signature algorithms that are accepted, all asymmetric. A key that names no `alg` is used with the first of
    /// them that fits it, and with no other. Default: `RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, `ES256`,
    /// `ES384`, `EdDSA`.
    #[cfg_attr(test, schemars(extend("items" = algorithms())))]
    pub(super) algorithms: Option<Vec<String>>,
    /// The claims that may hold scopes, by name or by JSON pointer (`/realm_access/roles`); the first present one
    /// counts. Or a map with `merge`: then all of them count together. Default: `[scope, scp]`.
    pub(super) scope_claims: Option<ScopeClaims>,
    /// How far clocks may differ, in seconds, `0` to `60`. Default: `30`.
    pub(super) leeway_secs: Option<u64>,
    /// How its keys are kept.
    #[serde(default)]
    pub(super) keys: Keys,
}

/// `authorization_servers[].scope_claims`.
#[derive(Debug)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(untagged))]
pub(super) enum ScopeClaims {
    /// A list: the first present one counts.
    First(Vec<String>),
    /// A map: all of them count.
    Merged(MergedClaims),
}

/// `authorization_servers[].scope_claims`, as a map.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct MergedClaims {
    /// The claims whose scopes count together, those of each that is present.
    pub(super) merge: Vec<String>,
}

/// `authorization_servers[].keys`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    /// How long keys are used while refreshing them fails, in seconds, `60` to `2592000`. Default: `86400`.
    pub(super) stale_secs_max: Option<u64>,
    /// The shortest time between two fetches for unknown keys, in seconds, `1` to `3600`. Default: `10`.
    pub(super) cooldown_secs: Option<u64>,
}

/// One of `routes`: an MCP endpoint.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    /// The word for this route in logs, metrics, metadata (`resource_name`) and `{route}`: letters, digits, `-`, `_`
    /// and `.`, 64 at most; not `none`.
    #[cfg_attr(test, schemars(extend("pattern" = "^[A-Za-z0-9_.-]{1,64}$")))]
    pub(super) name: String,
    /// The exact path of the MCP endpoint on `public_url`.
    #[cfg_attr(test, schemars(extend("pattern" = "^/")))]
    pub(super) path: String,
    /// How clients reach this route, in the place of the file's `public_url`: an origin, of the same scheme. Only requests
    /// to this host find the route, and `hosts` are none of its names; a certificate must be for each such host. Default:
    /// the file's.
    pub(super) public_url: Option<String>,
    /// The MCP server: its URL, or a map that begins with `url`.
    pub(super) upstream: Upstream,
    /// How this server speaks to clients. Default: `streamable_http`.
    #[serde(default)]
    pub(super) transport: Transport,
    /// With `http_sse`: the exact path that clients post their messages to, on `public_url`. Default: `path` and
    /// `/message`.
    pub(super) message_path: Option<String>,
    /// `scope` of the 401 challenge; `[]` leaves it out. Default: `required_scopes`. No challenge and no metadata names
    /// `offline_access`.
    pub(super) challenge_scopes: Option<Vec<String>>,
    /// `scopes_supported` of the metadata. Default: every scope that `required_scopes` and the rules name; of one with
    /// `{tool}`, those of exactly named tools.
    pub(super) scopes_supported: Option<Vec<String>>,
    /// The issuers whose tokens this route accepts, each one of the file's. Default: all of them.
    pub(super) authorization_servers: Option<Vec<String>>,
    /// The resource identifier: `public_url` and the path, or its first segments. Default: `public_url` and `path`.
    pub(super) resource: Option<String>,
    /// Further values of `aud` that are accepted, for issuers that cannot do RFC 8707. Default: `[]`.
    #[serde(default)]
    pub(super) audiences: Vec<String>,
    /// The origins of browser pages that may call this route, besides `public_url`. Default: `[]`.
    #[serde(default)]
    pub(super) allowed_origins: Vec<String>,
    /// The scopes that any request on this route needs. Default: `[]`.
    #[serde(default)]
    pub(super) required_scopes: Vec<String>,
    /// Whether what the rules refuse is refused, or recorded alone (`would_deny` in the audit log) and passed on.
    /// Default: `enforce`.
    #[serde(default)]
    pub(super) mode: Mode,
    /// How a refused tool, prompt or resource is answered; `hide` needs `visibility: granted`, `default: deny` and
    /// `mode: enforce`. Default: `challenge`.
    #[serde(default)]
    pub(super) denial: Denial,
    /// What lists show. Default: `grantable`.
    #[serde(default)]
    pub(super) visibility: Visibility,
    /// What becomes of tools, prompts and resources that no rule names. Default: `deny`.
    #[serde(default)]
    pub(super) default: Otherwise,
    /// What it bears. Default: `{}`, no less than the whole gateway.
    #[serde(default)]
    pub(super) limits: RouteLimits,
    /// The rules; the first one that matches decides. Default: `[]`, which with `default: deny` permits nothing.
    #[serde(default)]
    pub(super) rules: Vec<Rule>,
    /// The names of `policies` whose rules follow after this route's own, in this order. Default: `[]`.
    #[serde(default)]
    pub(super) policies: Vec<String>,
}

/// `routes[].limits`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RouteLimits {
    /// Requests that its server works on at a time, `1` to `1000000`; those above are answered 503 `overloaded`. Streams that
    /// last (GET, `subscriptions/listen`) are not counted. Default: no limit but `limits.requests_max`.
    pub(super) requests_max: Option<u64>,
    /// How often all principals together may ask; more is answered 429 `rate_limited`. Default: no limit.
    pub(super) rate: Option<Rate>,
    /// How often each principal may ask. Default: no limit but the whole file's.
    pub(super) rate_per_principal: Option<Rate>,
}

/// A rate: so many requests in so long a time. Each message of a batch counts.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Rate {
    /// How many requests, `1` to `1000000`.
    pub(super) requests: u64,
    /// In how long a time, in seconds, `1` to `86400`. Default: `1`.
    pub(super) per_secs: Option<u64>,
    /// How many of them may come at once, `1` to `1000000`, but no more than `requests`. Default: `requests`.
    pub(super) burst: Option<u64>,
}

/// `routes[].transport`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum Transport {
    /// One endpoint for everything (MCP 2025-03-26 and later).
    #[default]
    StreamableHttp,
    /// A stream and a path for messages (MCP 2024-11-05, HTTP with SSE).
    HttpSse,
}

/// `routes[].mode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    /// Refused.
    #[default]
    Enforce,
    /// Recorded and passed on; lists are not filtered.
    Report,
}

/// `routes[].denial`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum Denial {
    /// With 403, and with the scopes to ask for where they would help.
    #[default]
    Challenge,
    /// As if it did not exist.
    Hide,
}

/// `routes[].rules[].mode`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum RuleMode {
    /// Refused, on a route that only reports too.
    Enforce,
}

/// `routes[].visibility`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum Visibility {
    /// What the caller may use now or after a step-up.
    #[default]
    Grantable,
    /// What the caller may use now.
    Granted,
    /// Everything: lists are not filtered.
    All,
}

/// `routes[].default`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum Otherwise {
    /// Refused.
    #[default]
    Deny,
    /// Permitted with `required_scopes` alone.
    Allow,
}

/// One of `routes[].rules`, or of the rules of a policy: exactly one of `tools`, `prompts`, `resources`, `methods`, and exactly
/// one of `scopes`, `any_scope`, `allow`, `deny`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(extend("allOf" = of_a_rule())))]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    /// Tools by name; `*` stands for any run of characters.
    pub(super) tools: Option<Vec<String>>,
    /// Prompts by name; `*` stands for any run of characters.
    pub(super) prompts: Option<Vec<String>>,
    /// MCP resources by URI; `*` stands for any run of characters without `/`, `**` for any run.
    pub(super) resources: Option<Vec<String>>,
    /// JSON-RPC methods that no other kind of rule decides, by exact name.
    pub(super) methods: Option<Vec<String>>,
    /// The scopes needed, all of them, besides `required_scopes`. `{tool}` and `{route}` stand for the names.
    pub(super) scopes: Option<Vec<String>>,
    /// The scopes of which one is needed, besides `required_scopes`; the first is the one a challenge names.
    pub(super) any_scope: Option<Vec<String>>,
    /// `true`: permitted with `required_scopes` alone.
    pub(super) allow: Option<bool>,
    /// `true`: refused, whatever the scopes.
    pub(super) deny: Option<bool>,
    /// How often each principal may ask for what this rule permits, all of it together. Default: no limit.
    pub(super) rate_per_principal: Option<Rate>,
    /// What people whom this rule refuses are told before the standard words, 500 visible characters at most: whom to ask, for
    /// example. Everybody with a token may read it. Not beside `allow`. Default: the standard words alone.
    #[cfg_attr(test, schemars(length(min = 1, max = 500)))]
    pub(super) message: Option<String>,
    /// `enforce`: what this rule refuses is refused with `mode: report` too. Default: the route's `mode`.
    pub(super) mode: Option<RuleMode>,
}

/// `routes[].upstream`.
#[derive(Debug)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(untagged))]
pub(super) enum Upstream {
    /// A URL.
    Url(String),
    /// A map.
    Map(Box<UpstreamMap>),
}

/// `routes[].upstream`, as a map.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct UpstreamMap {
    /// The URL of the MCP server, `http://` or `https://`.
    pub(super) url: String,
    /// How its TLS is checked and what it is shown; for https.
    #[serde(default)]
    pub(super) tls: UpstreamTls,
    /// How long to wait for this server.
    #[serde(default)]
    pub(super) timeouts: UpstreamTimeouts,
    /// What this server is told of the caller.
    #[serde(default)]
    pub(super) identity: Identity,
}

/// `routes[].upstream.tls`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct UpstreamTls {
    /// A PEM file with the certificates to trust. Default: the system's.
    pub(super) ca: Option<String>,
    /// A PEM file with the certificate chain that the server is shown; together with `private_key`. Default: none.
    pub(super) certificate: Option<String>,
    /// A PEM file with its private key; together with `certificate`. Default: none.
    pub(super) private_key: Option<String>,
    /// The name that the server's certificate must be for. Default: the URL's host.
    pub(super) server_name: Option<String>,
}

/// `routes[].upstream.timeouts`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct UpstreamTimeouts {
    /// Until connected, in seconds, `1` to `60`. Default: `timeouts.connect_secs`.
    pub(super) connect_secs: Option<u64>,
    /// Until the head of the answer, and from there to the end of one that is read whole, in seconds, `1` to `86400`. Default:
    /// `timeouts.answer_secs`.
    pub(super) answer_secs: Option<u64>,
}

/// `routes[].upstream.identity`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {
    /// Request headers and the claim that each carries, by name or by JSON pointer. Default: `{}`.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
}

/// `sessions`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Sessions {
    /// The keys of the seal; the first one seals, all of them open. Replicas share them. Default: `[]`, one that is made
    /// at start.
    #[serde(default)]
    pub(super) keys: Vec<SecretSource>,
}

/// Where a secret is. A secret itself never stands in the file.
#[derive(Debug)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, extend("oneOf" = one_of(&["file", "env"]))))]
pub(super) struct SecretSource {
    /// A file that holds nothing else. For a session key: 32 random bytes, or 64 hexadecimal digits, or 32 bytes in
    /// base64; white space at the end of the two text forms is ignored. `openssl rand -hex 32` writes one. For a header:
    /// its value; white space at the end is ignored.
    pub(super) file: Option<String>,
    /// An environment variable. For a session key: one of the two text forms. For a header: its value.
    pub(super) env: Option<String>,
}

/// `limits`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    /// The head of a request, in bytes, `8192` to `1048576`. Default: `32768`.
    pub(super) head_bytes_max: Option<u64>,
    /// The headers of a request, `16` to `1000`. Default: `100`.
    pub(super) headers_max: Option<u64>,
    /// The body of a request, in bytes, `1024` to `1073741824`. Default: `4194304`.
    pub(super) body_bytes_max: Option<u64>,
    /// All bodies that are being read or sent on, in bytes, `1024` to `68719476736`. Default: `67108864`.
    pub(super) bodies_in_flight_bytes_max: Option<u64>,
    /// How deep the JSON of a message may nest, `8` to `128`. Default: `64`.
    pub(super) json_depth_max: Option<u64>,
    /// The messages of a batch, `1` to `1000`. Default: `50`.
    pub(super) batch_messages_max: Option<u64>,
    /// An access token, in bytes, `256` to `65536`. Default: `8192`.
    pub(super) token_bytes_max: Option<u64>,
    /// A JSON answer that must be filtered, and one event of a stream, in bytes, `1024` to `1073741824`. Default: `16777216`.
    pub(super) answer_bytes_max: Option<u64>,
    /// Connections of clients, `1` to `1000000`. Default: `10000`.
    pub(super) connections_max: Option<u64>,
    /// Connections from one address, `1` to `1000000`; peers in `trusted_proxies` are not counted. Default: `10000`.
    pub(super) connections_per_address_max: Option<u64>,
    /// Requests to MCP endpoints that are under way, `1` to `1000000`, but for streams that last (GET,
    /// `subscriptions/listen`); those above are answered 503 `overloaded`. Default: `10000`.
    pub(super) requests_max: Option<u64>,
    /// How often each principal may ask, over all routes; more is answered 429 `rate_limited`. Default: no limit.
    pub(super) rate_per_principal: Option<Rate>,
    /// Streams that one principal may have open (GET, `subscriptions/listen`), over all routes, `1` to `1000000`. Default: `64`.
    pub(super) streams_per_principal_max: Option<u64>,
    /// Requests at a time on one HTTP/2 connection, `1` to `10000`. Default: `100`.
    pub(super) h2_streams_max: Option<u64>,
    /// The cache of verified tokens, in bytes, `0` to `68719476736`; `0` keeps none. Default: `33554432`.
    pub(super) token_cache_bytes_max: Option<u64>,
}

/// `timeouts`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the unit ends the name of every key")]
pub(super) struct Timeouts {
    /// Until a client has finished the TLS handshake, in seconds, `1` to `300`. Default: `10`.
    pub(super) handshake_secs: Option<u64>,
    /// Until the head of a request is there, also on a connection that says nothing, in seconds, `1` to `300`. Default: `10`.
    pub(super) head_secs: Option<u64>,
    /// A connection on which nothing goes on, after its first request, in seconds, `1` to `3600`. Longer than what stands in front
    /// keeps its own idle (nginx and many load balancers: 60), or one may be closed with a call on its way. Default: `75`.
    pub(super) idle_secs: Option<u64>,
    /// Until the body of a request is there, in seconds, `1` to `3600`. Default: `30`.
    pub(super) body_secs: Option<u64>,
    /// How long a client may read nothing of what is written to it, in seconds, `1` to `3600`. Default: `30`.
    pub(super) write_stall_secs: Option<u64>,
    /// Silence on an event stream before a comment is sent to the client, in seconds, `0` to `3600`; `0`: never. Default: `15`.
    pub(super) keep_alive_secs: Option<u64>,
    /// Until connected to an MCP server, in seconds, `1` to `60`. Default: `2`.
    pub(super) connect_secs: Option<u64>,
    /// Until the head of an MCP server's answer, and from there to the end of one that is read whole, in seconds, `1` to
    /// `86400`. Default: `60`.
    pub(super) answer_secs: Option<u64>,
}

/// `telemetry`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Telemetry {
    /// The collector that spans are sent to. Default: none, and no request leaves a span.
    pub(super) otlp: Option<Otlp>,
    /// `service.name` of what is sent, 255 characters at most. Default: `gatepost`.
    pub(super) service_name: Option<String>,
}

/// `telemetry.otlp`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Otlp {
    /// The URL of the collector, `http://` or `https://`: with `grpc` without a path, with `http` without `/v1/traces`,
    /// which is added.
    pub(super) endpoint: String,
    /// How the collector is spoken to. Default: `grpc`.
    #[serde(default)]
    pub(super) protocol: OtlpProtocol,
    /// Headers of each batch, by name, and where the value of each is. Off loopback they need an `https://` endpoint.
    /// Default: `{}`.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, SecretSource>,
    /// How many of the traces that begin at the gateway are recorded, `0` to `1`; of one that a caller began, its
    /// `traceparent` says so. Default: `1`, all of them.
    pub(super) sample_ratio: Option<f64>,
    /// Until the collector has taken a batch, in seconds, `1` to `60`. Default: `10`.
    pub(super) timeout_secs: Option<u64>,
    /// A PEM file with the certificates to trust; for https. Default: the system's.
    pub(super) ca: Option<String>,
}

/// `telemetry.otlp.protocol`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum OtlpProtocol {
    /// OTLP/gRPC.
    #[default]
    Grpc,
    /// OTLP/HTTP, with protobuf.
    Http,
}

/// `drain`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Drain {
    /// How long clients are still accepted and answered, and told to come elsewhere next, in seconds: what stands in front
    /// must have learned by then that this process is not ready. `0` to `300`. Default: `5`.
    pub(super) delay_secs: Option<u64>,
    /// How long requests and streams may then take to end, in seconds; what still runs is cut. `1` to `3600`. Default: `20`.
    pub(super) grace_secs: Option<u64>,
}

/// `audit`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Audit {
    /// Where records go. Default: `stdout`.
    #[serde(default)]
    pub(super) sink: AuditSink,
    /// With `file` and `both`: the file that they are appended to. Where there is none it is made, for its owner alone. One
    /// that was renamed or removed is made anew within a second, and at once with SIGHUP. Default: none.
    pub(super) file: Option<String>,
    /// Whether records hold the arguments of calls, the first 16 KiB of them, besides their digest. Default: `false`.
    #[serde(default)]
    pub(super) arguments: bool,
    /// What becomes of requests while an output takes no records and `queue_records_max` wait for it. Default: `block`.
    #[serde(default)]
    pub(super) on_stall: OnStall,
    /// Records that may wait for an output, `16` to `1000000`; those of 32 MiB in any case. Default: `4096`.
    pub(super) queue_records_max: Option<u64>,
    /// The key of the digest of arguments, in the forms of a session key. With the same one the digests of replicas, and
    /// those of before a restart, agree. Default: one that is made at start.
    pub(super) digest_key: Option<SecretSource>,
}

/// `audit.sink`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum AuditSink {
    /// Standard output.
    #[default]
    Stdout,
    /// `file`.
    File,
    /// Both.
    Both,
}

/// `audit.on_stall`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum OnStall {
    /// They wait, and are refused after five seconds.
    #[default]
    Block,
    /// They go on without a record, which is counted.
    Drop,
}
