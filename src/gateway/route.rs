//! Which endpoint a request is for: its authority and its path, compared exactly. Everything that the gateway says of
//! itself is made here, once, from configuration; nothing derives from what a client sends.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, StatusCode, Version, header};

use super::settings::{RouteLimits, RouteSettings, Settings, Transport, UpstreamSettings};
use super::upstream::{Upstream, Upstreams};
use crate::oauth::ids::{Issuer, PublicOrigin};
use crate::oauth::metadata::{ResourceMetadata, well_known_path};
use crate::oauth::scope::ScopeSet;
use crate::policy::Policy;
use crate::rejection::Failure;
use crate::token::Recipient;

/// One MCP endpoint, ready to serve.
pub struct Route {
    /// Its name in the file.
    pub name: Arc<str>,
    /// The origin that clients reach it under, and no other.
    pub public_url: PublicOrigin,
    /// The exact path.
    pub path: Arc<str>,
    /// How its server speaks to clients.
    pub transport: Transport,
    /// What a token must be for.
    pub recipient: Recipient,
    /// What the rules demand.
    pub policy: Policy,
    /// `scope` of the 401.
    pub challenge_scopes: ScopeSet,
    /// The URL of the protected resource metadata, for challenges.
    pub metadata_url: String,
    /// The server.
    pub upstream: Upstream,
    /// Where on the server requests go, with which claims, and how long they may take.
    pub upstream_settings: UpstreamSettings,
    /// What it bears.
    pub limits: RouteLimits,
    /// Origins of browsers that may call, that of `public_url` first.
    pub allowed_origins: Vec<String>,
}

/// What stands at a path.
pub enum Endpoint {
    /// An MCP endpoint, or a part of one.
    Mcp(Arc<Route>, Part),
    /// The protected resource metadata document of a route (RFC 9728 §3), by the route's name.
    ResourceMetadata(Arc<str>, Bytes),
    /// The metadata of an authorization server, relayed for clients of MCP 2025-03-26.
    ServerMetadata(Issuer),
}

/// What of its transport an MCP endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it: Streamable HTTP.
    Whole,
    /// Of HTTP+SSE, where the stream is opened.
    Stream,
    /// Of HTTP+SSE, where messages are posted.
    Messages,
}

/// Every authority that is ours, and what stands there.
pub struct Table {
    /// The place of its site, by each authority in its canonical form.
    authorities: HashMap<String, usize>,
    /// The file's first.
    sites: Vec<Site>,
}

/// One `public_url`, and every path under it. What stands under another one is not found here: neither a route nor a document.
pub struct Site {
    origin: PublicOrigin,
    endpoints: HashMap<String, Endpoint>,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Route({})", self.name)
    }
}

impl Part {
    /// Its methods, as `Allow` names them.
    #[must_use]
    pub fn allow(self) -> &'static str {
        match self {
            Self::Whole => "POST, GET, DELETE, OPTIONS",
            Self::Stream => "GET, OPTIONS",
            Self::Messages => "POST, OPTIONS",
        }
    }

    /// Whether `method` is one of them.
    #[must_use]
    pub fn allows(self, method: &Method) -> bool {
        self.allow().split(", ").any(|allowed| allowed == method.as_str())
    }
}

impl Endpoint {
    /// What it is, and whose.
    fn described(&self) -> (&'static str, &str) {
        match self {
            Self::Mcp(route, Part::Whole) => ("MCP endpoint", &route.name),
            Self::Mcp(route, Part::Stream) => ("MCP endpoint (stream)", &route.name),
            Self::Mcp(route, Part::Messages) => ("MCP endpoint (messages)", &route.name),
            Self::ResourceMetadata(name, _) => ("protected resource metadata", name),
            Self::ServerMetadata(issuer) => ("authorization server metadata, relayed", issuer.as_str()),
        }
    }
}

impl Table {
    /// Builds the table. Reads the files that upstreams name; connects to nothing. Servers that are reached as in `before`
    /// keep their connections.
    pub fn new(settings: &Settings, before: Option<&Self>) -> Result<Self, String> {
        let mut table = Self { authorities: HashMap::new(), sites: Vec::new() };
        table.site(&settings.public_url)?;
        for host in &settings.hosts {
            table.authorities.entry(settings.public_url.canonical(host)).or_insert(0);
        }
        let mut upstreams = Upstreams::kept(before.into_iter().flat_map(Self::routes).map(|route| &route.upstream));
        let mut routes: Vec<Vec<&RouteSettings>> = Vec::new();
        for route in &settings.routes {
            let place = table.site(&route.public_url)?;
            routes.resize_with(table.sites.len(), Vec::new);
            if let (Some(site), Some(routes)) = (table.sites.get_mut(place), routes.get_mut(place)) {
                site.add(route, &mut upstreams)?;
                routes.push(route);
            }
        }
        for (site, routes) in table.sites.iter_mut().zip(&routes) {
            site.add_documents_without_slash(routes);
            site.add_root_documents(routes);
        }
        Ok(table)
    }

    /// The place of the site at `origin`, which is made where there is none.
    fn site(&mut self, origin: &PublicOrigin) -> Result<usize, String> {
        let place = self.sites.len();
        let place = *self.authorities.entry(origin.authority().to_owned()).or_insert(place);
        if place == self.sites.len() {
            self.sites.push(Site { origin: origin.clone(), endpoints: HashMap::new() });
        }
        // A request by this authority would be served as if it were the other's.
        let is_its_own = self.sites.get(place).is_some_and(|site| site.origin == *origin);
        is_its_own.then_some(place).ok_or_else(|| format!("{}: another public_url has this host", origin.as_str()))
    }

    /// Every route.
    pub fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.sites.iter().flat_map(|site| site.endpoints.values()).filter_map(|endpoint| match endpoint {
            Endpoint::Mcp(route, Part::Whole | Part::Stream) => Some(route),
            Endpoint::Mcp(_, Part::Messages) | Endpoint::ResourceMetadata(..) | Endpoint::ServerMetadata(_) => None,
        })
    }

    /// Every URL that clients find something at, in order, with what that is and whose.
    #[must_use]
    pub fn addresses(&self) -> Vec<(String, &'static str, &str)> {
        let mut all = Vec::new();
        for site in &self.sites {
            for (path, endpoint) in &site.endpoints {
                let (what, whose) = endpoint.described();
                all.push((format!("{}{path}", site.origin.as_str()), what, whose));
            }
        }
        all.sort_unstable();
        all
    }

    /// Whether a stream that `route` opened for a token of `issuer` may go on: the route is there, for the same resource, and
    /// takes this issuer's tokens.
    #[must_use]
    pub fn serves_on(&self, route: &Route, issuer: &Issuer) -> bool {
        let place = self.authorities.get(route.public_url.authority()).copied();
        let site = place.and_then(|place| self.sites.get(place)).filter(|site| site.origin == route.public_url);
        match site.and_then(|site| site.endpoints.get(&*route.path)) {
            Some(Endpoint::Mcp(now, Part::Whole | Part::Stream)) => {
                now.name == route.name
                    && now.transport == route.transport
                    && now.recipient.resource == route.recipient.resource
                    && now.recipient.issuers.contains(issuer)
                    // The address that its first event named is that server's own.
                    && (now.transport == Transport::StreamableHttp
                        || now.upstream_settings.authority == route.upstream_settings.authority
                            && now.upstream_settings.path == route.upstream_settings.path)
            }
            Some(Endpoint::Mcp(_, Part::Messages) | Endpoint::ResourceMetadata(..) | Endpoint::ServerMetadata(_))
            | None => false,
        }
    }

    /// The one authority of a request, as the client wrote it, and its site: in HTTP/1 the one `Host`, equal to that of an
    /// absolute-form target (RFC 9112 §3.2); in HTTP/2 `:authority`, equal to a `Host` beside it (RFC 9113 §8.3.1). It must
    /// be ours (DNS rebinding).
    pub fn authority(&self, parts: &Parts) -> Result<(String, &Site), Failure> {
        let target = parts.uri.authority().map(http::uri::Authority::as_str);
        let host = single(&parts.headers, &header::HOST, "more than one Host header")?;
        let authority = match (parts.version, target, host) {
            // Two names in one request: the server behind us may believe the other one.
            (_, Some(target), Some(host)) if self.canonical(target)? != self.canonical(host)? => {
                return Err(malformed("Host and the request target name different authorities"));
            }
            (Version::HTTP_2, Some(target), _) => target,
            (Version::HTTP_2, None, _) => return Err(malformed("no :authority")),
            (_, _, Some(host)) => host,
            (_, _, None) => return Err(malformed("no Host header")),
        };
        if !is_well_formed(authority) {
            return Err(malformed("the authority is no host with an optional port"));
        }
        let place = self.authorities.get(&self.canonical(authority)?).copied();
        let site = place.and_then(|place| self.sites.get(place)).ok_or(Failure::Misdirected)?;
        Ok((authority.to_owned(), site))
    }

    /// In the form in which two are equal: all sites have one scheme.
    fn canonical(&self, authority: &str) -> Result<String, Failure> {
        self.sites.first().map(|site| site.origin.canonical(authority)).ok_or(Failure::Misdirected)
    }
}

impl Site {
    /// What stands at `path`, compared byte for byte: a dot segment, `//` or an escape is a different path, and unknown.
    pub fn find(&self, path: &str) -> Result<&Endpoint, Failure> {
        self.endpoints.get(path).ok_or(Failure::NoRoute)
    }

    fn add(&mut self, route: &RouteSettings, upstreams: &mut Upstreams) -> Result<(), String> {
        let origin = &self.origin;
        let resource_path = route.resource.as_str().strip_prefix(origin.as_str()).unwrap_or_default();
        let metadata_path = well_known_path(resource_path);
        let upstream = upstreams.to(&route.upstream);
        let upstream = upstream.map_err(|error| format!("route {}: upstream: {error}", route.name))?;
        let mut allowed_origins = vec![origin.as_str().to_owned()];
        allowed_origins.extend(route.allowed_origins.iter().cloned());
        let served = Route {
            name: Arc::clone(&route.name),
            public_url: origin.clone(),
            path: Arc::clone(&route.path),
            transport: route.transport.clone(),
            recipient: Recipient {
                issuers: route.issuers.clone(),
                resource: route.resource.clone(),
                audiences: route.audiences.clone(),
            },
            policy: route.policy.clone(),
            challenge_scopes: route.challenge_scopes.clone(),
            metadata_url: format!("{}{metadata_path}", origin.as_str()),
            upstream,
            upstream_settings: route.upstream.clone(),
            limits: route.limits.clone(),
            allowed_origins,
        };
        self.endpoints.insert(metadata_path, resource_metadata(route));
        let served = Arc::new(served);
        let part = match &route.transport {
            Transport::StreamableHttp => Part::Whole,
            Transport::HttpSse { message_path } => {
                let messages = Endpoint::Mcp(Arc::clone(&served), Part::Messages);
                self.endpoints.insert(message_path.to_string(), messages);
                Part::Stream
            }
        };
        self.endpoints.insert(route.path.to_string(), Endpoint::Mcp(served, part));
        if let Some(first) = route.issuers.first() {
            for form in SERVER_METADATA_PATHS {
                self.endpoints.insert(format!("{form}{}", route.path), Endpoint::ServerMetadata(first.clone()));
            }
        }
        Ok(())
    }

    /// Some clients drop the slash at the end of a resource before they look for its document. They find it there, too, unless
    /// it is the place of another one.
    fn add_documents_without_slash(&mut self, routes: &[&RouteSettings]) {
        for route in routes {
            let resource = route.resource.as_str();
            if let Some(path) = resource.strip_prefix(self.origin.as_str()).and_then(|path| path.strip_suffix('/')) {
                self.endpoints.entry(well_known_path(path)).or_insert_with(|| resource_metadata(route));
            }
        }
    }

    /// The documents at the root of this origin: those of the one route there is, and of the issuer that all its routes begin
    /// with.
    fn add_root_documents(&mut self, routes: &[&RouteSettings]) {
        if let [only] = routes {
            self.endpoints.insert(well_known_path(""), resource_metadata(only));
        }
        let mut firsts = routes.iter().map(|route| route.issuers.first());
        if let Some(Some(first)) = firsts.next()
            && firsts.all(|other| other == Some(first))
        {
            for form in SERVER_METADATA_PATHS {
                self.endpoints.insert(form.to_owned(), Endpoint::ServerMetadata(first.clone()));
            }
        }
    }
}

fn resource_metadata(route: &RouteSettings) -> Endpoint {
    let metadata = ResourceMetadata {
        resource: &route.resource,
        authorization_servers: &route.issuers,
        scopes_supported: &route.scopes_supported,
        resource_name: &route.name,
    };
    Endpoint::ResourceMetadata(Arc::clone(&route.name), metadata.to_json().into())
}

/// Refuses a head whose framing two parsers could read differently, and what is singular but stands twice.
pub fn check_head(parts: &Parts, headers_max: usize) -> Result<(), Failure> {
    let headers = &parts.headers;
    if headers.len() > headers_max {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(Failure::MalformedRequest { status, detail: "too many headers" });
    }
    // `gzip, chunked`, a doubled or a misspelt coding: the parser takes it for chunked, a server may not.
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        let chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked");
        if !chunked || codings.next().is_some() || parts.version == Version::HTTP_10 {
            return Err(malformed("Transfer-Encoding must be exactly one chunked"));
        }
    }
    let mut expectations = headers.get_all(header::EXPECT).iter();
    if let Some(expectation) = expectations.next()
        && (!expectation.as_bytes().eq_ignore_ascii_case(b"100-continue") || expectations.next().is_some())
    {
        let status = StatusCode::EXPECTATION_FAILED;
        return Err(Failure::MalformedRequest { status, detail: "only one Expect: 100-continue is understood" });
    }
    for name in ["mcp-protocol-version", "mcp-session-id", "last-event-id"] {
        if headers.get_all(name).iter().count() > 1 {
            return Err(malformed("MCP-Protocol-Version, Mcp-Session-Id and Last-Event-ID occur at most once"));
        }
    }
    Ok(())
}

/// 400 `malformed_request`.
#[must_use]
pub fn malformed(detail: &'static str) -> Failure {
    Failure::MalformedRequest { status: StatusCode::BAD_REQUEST, detail }
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName, doubled: &'static str) -> Result<Option<&'a str>, Failure> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(malformed(doubled));
    }
    value.to_str().map(Some).map_err(|_| malformed("Host is not ASCII"))
}

fn is_well_formed(authority: &str) -> bool {
    let Ok(parsed) = http::uri::Authority::try_from(authority) else { return false };
    let port = authority.get(parsed.host().len()..);
    !authority.contains('@')
        && !parsed.host().is_empty()
        && (port == Some("") || parsed.port().is_some_and(|port| port.as_u16() > 0))
}

/// RFC 8414 §3 and OpenID Connect Discovery §4, as clients of MCP 2025-03-26 look for them on the server's own origin.
const SERVER_METADATA_PATHS: [&str; 2] =
    ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];
