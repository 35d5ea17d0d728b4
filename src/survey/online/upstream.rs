//! What a server answers without credentials, against what its route says of it; and whether it can be reached round the
//! gateway, as far as that can be seen from here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use http::HeaderMap;
use tokio::net::TcpStream;

use super::Findings;
use crate::gateway::settings::{RouteSettings, Transport, UpstreamSettings};
use crate::policy::pattern::{Dialect, Pattern};
use crate::policy::rule::{Default as Otherwise, Target, Visibility};
use crate::survey::server::{Fault, Inventory, Server};
use crate::survey::text;

/// What was seen of one server.
#[derive(Debug, Clone, Default)]
pub(super) struct Probe {
    /// What it has, or why that is not known; `None` where there was no time.
    pub(super) inventory: Option<Result<Inventory, Fault>>,
    /// Whether it opens a stream of HTTP+SSE.
    pub(super) is_http_sse: bool,
    /// Whether it answers without the session id that it gave.
    pub(super) ignores_sessions: bool,
    /// What its name resolves to.
    pub(super) addresses: Vec<IpAddr>,
    /// Other addresses of this machine that accept connections on its port.
    pub(super) also_at: Vec<SocketAddr>,
    /// Other addresses of this machine that were tried.
    pub(super) tried: usize,
}

/// Asks it, without a credential.
pub(super) async fn probe(route: &RouteSettings) -> Probe {
    let (asked, reached) = tokio::join!(ask(route), reach(&route.upstream));
    let (inventory, is_http_sse, ignores_sessions) = asked;
    let (addresses, also_at, tried) = reached;
    Probe { inventory: Some(inventory), is_http_sse, ignores_sessions, addresses, also_at, tried }
}

async fn ask(route: &RouteSettings) -> (Result<Inventory, Fault>, bool, bool) {
    let mut server = match Server::new(&route.upstream, HeaderMap::new()) {
        Ok(server) => server,
        Err(error) => return (Err(Fault::Unreachable(error)), false, false),
    };
    if matches!(route.transport, Transport::HttpSse { .. }) && server.is_http_sse().await {
        return (Ok(Inventory::default()), true, false);
    }
    let inventory = server.inventory().await;
    let answers = matches!(inventory, Err(Fault::Status(..) | Fault::NotMcp(_) | Fault::Refused(..)));
    let is_http_sse = answers && server.is_http_sse().await;
    let has_session = inventory.as_ref().is_ok_and(|inventory| inventory.has_session && !inventory.tools.is_empty());
    let ignores_sessions = has_session && server.ignores_sessions().await;
    (inventory, is_http_sse, ignores_sessions)
}

/// What its name resolves to; and, where that is loopback, at which other addresses of this machine its port answers.
async fn reach(upstream: &UpstreamSettings) -> (Vec<IpAddr>, Vec<SocketAddr>, usize) {
    let host = upstream.authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = upstream.authority.port_u16().unwrap_or(if upstream.https { 443 } else { 80 });
    let found = tokio::net::lookup_host((host, port)).await;
    let addresses: Vec<IpAddr> = found.map(|found| found.map(|address| address.ip()).collect()).unwrap_or_default();
    let mut also_at = Vec::new();
    let own = if addresses.iter().all(IpAddr::is_loopback) { own_addresses() } else { Vec::new() };
    let tried = own.len();
    for address in own {
        let address = SocketAddr::new(address, port);
        if matches!(tokio::time::timeout(CONNECT_MAX, TcpStream::connect(address)).await, Ok(Ok(_))) {
            also_at.push(address);
        }
    }
    (addresses, also_at, tried)
}

/// The addresses that this machine would send from; no packet is sent to find them.
fn own_addresses() -> Vec<IpAddr> {
    // Addresses for documentation (RFC 5737, RFC 3849): a way out, and nobody there.
    let out: [(IpAddr, IpAddr); 2] = [
        (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into()),
        (Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()),
    ];
    let own = out.into_iter().filter_map(|(from, to)| {
        let socket = UdpSocket::bind((from, 0)).ok()?;
        socket.connect((to, 9)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    });
    own.filter(|address| !address.is_loopback() && !address.is_unspecified()).collect()
}

/// What it means for the route.
pub(super) fn judge(route: &RouteSettings, probe: &Probe) -> Findings {
    let (name, upstream) = (&route.name, &route.upstream);
    let mut found = Findings::default();
    let scheme = if upstream.https { "https" } else { "http" };
    // A query may hold a key for the server.
    found.line(format!("route {name}: server {scheme}://{}{}", upstream.authority, upstream.path.path()));
    round_the_gateway(route, probe, &mut found);
    let wants_sse = matches!(route.transport, Transport::HttpSse { .. });
    match (&probe.inventory, wants_sse, probe.is_http_sse) {
        (None, _, _) => found.fail(format!("route {name}: the server does not answer in time")),
        (Some(_), true, true) => found.line("  speaks HTTP+SSE, as `transport` says; what it has is not asked"),
        (Some(_), false, true) => found.fail(format!(
            "route {name}: the server speaks HTTP+SSE (2024-11-05), and `transport` says streamable_http; write `transport: http_sse`"
        )),
        (Some(Ok(_)), true, false) => found.fail(format!(
            "route {name}: the server speaks Streamable HTTP, and `transport` says http_sse; leave `transport` out"
        )),
        (Some(Ok(inventory)), false, false) => answers(route, inventory, probe.ignores_sessions, &mut found),
        (Some(Err(Fault::Unauthorized)), _, false) => refused(route, "asks for credentials (401)", &mut found),
        (Some(Err(Fault::Forbidden)), _, false) => refused(route, "refuses (403)", &mut found),
        (Some(Err(fault)), _, false) => {
            found.fail(format!("route {name}: the server {fault}; {}", remedy(fault)));
        }
    }
    found
}

fn remedy(fault: &Fault) -> &'static str {
    match fault {
        Fault::Redirect(_) => "a redirect is never followed: write the URL that it really answers at",
        Fault::Unreachable(_)
        | Fault::Late
        | Fault::Unauthorized
        | Fault::Forbidden
        | Fault::Status(..)
        | Fault::NotMcp(_)
        | Fault::Refused(..) => fault.remedy(),
    }
}

/// It does not let in who shows nothing, and the gateway shows it no token.
fn refused(route: &RouteSettings, how: &str, found: &mut Findings) {
    let name = &route.name;
    if route.upstream.identity.is_empty() && route.upstream.tls.client.is_none() {
        found.fail(format!(
            "route {name}: the server {how} without a token, and the gateway passes none on: calls will be 502 \
             (upstream_unauthorized); turn its own login off, since the gateway stands before it"
        ));
    } else {
        found.warn(format!(
            "route {name}: the server {how} to who names no caller; whether it lets in what `identity` says cannot be seen here"
        ));
    }
}

fn round_the_gateway(route: &RouteSettings, probe: &Probe, found: &mut Findings) {
    let name = &route.name;
    let outside: Vec<String> =
        probe.addresses.iter().filter(|address| !address.is_loopback()).map(ToString::to_string).collect();
    if !outside.is_empty() {
        let at = outside.join(", ");
        if route.upstream.tls.client.is_some() {
            found.line(format!(
                "  is at {at}, not on loopback; whether it asks everybody for a certificate cannot be seen from here"
            ));
        } else {
            found.warn(format!(
                "route {name}: its server is at {at}, not on loopback: whoever reaches it goes round the gateway. Let it listen on \
                 127.0.0.1 beside the gateway, or let nobody else through to it (a network policy, or client certificates); \
                 whether one keeps others away cannot be seen from here"
            ));
        }
    } else if !probe.also_at.is_empty() {
        let at: Vec<String> = probe.also_at.iter().map(ToString::to_string).collect();
        found.warn(format!(
            "route {name}: its port answers at {} too, not on loopback alone: whoever reaches this machine goes round the gateway. \
             Let the server listen on 127.0.0.1",
            at.join(", ")
        ));
    } else if probe.tried > 0 {
        found.line("  on loopback; its port does not answer at this machine's other addresses");
    } else if !probe.addresses.is_empty() {
        found.line("  on loopback; this machine has no other address to try");
    }
}

fn answers(route: &RouteSettings, inventory: &Inventory, ignores_sessions: bool, found: &mut Findings) {
    let name = &route.name;
    let session = match (inventory.has_session, ignores_sessions) {
        (false, _) => "no session",
        (true, false) => "sessions",
        (true, true) => "sessions, which it does not insist on",
    };
    found.line(format!(
        "  speaks MCP {} ({session}); {} tools, {} prompts, {} resources",
        inventory.revision,
        inventory.tools.len(),
        inventory.prompts.len(),
        inventory.resources.len()
    ));
    if ignores_sessions {
        found.warn(format!(
            "route {name}: the server gives session ids and answers without them too: what it keeps by session may be anybody's"
        ));
    }
    for missing in &inventory.missing {
        found.warn(format!("route {name}: {}", text::line(missing, 300)));
    }
    for (what, entries, dialect) in
        [("tool", &inventory.tools, Dialect::Name), ("prompt", &inventory.prompts, Dialect::Name)]
    {
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        compare(route, what, &names, dialect, found);
    }
}

/// What no rule names, and what rules name and the server lacks.
fn compare(route: &RouteSettings, what: &str, names: &[&str], dialect: Dialect, found: &mut Findings) {
    let policy = route.policy.settings();
    let patterns: Vec<&Pattern> = policy
        .rules
        .iter()
        .flat_map(|rule| match (&rule.target, what) {
            (Target::Tools(patterns), "tool") | (Target::Prompts(patterns), "prompt") => patterns.as_slice(),
            (Target::Tools(_) | Target::Prompts(_) | Target::Resources(_) | Target::Methods(_), _) => &[],
        })
        .collect();
    let unnamed: Vec<&str> =
        names.iter().copied().filter(|name| !patterns.iter().any(|pattern| pattern.matches(name))).collect();
    if !unnamed.is_empty() {
        let odd = unnamed.iter().any(|name| !dialect.admits(name));
        let fate = match (policy.default, policy.visibility) {
            (Otherwise::Allow, _) if odd => {
                "are everybody's (`default: allow`), but for names of odd characters, which are denied"
            }
            (Otherwise::Allow, _) => "are everybody's (`default: allow`)",
            (Otherwise::Deny, Visibility::All) => "are denied, and shown in lists (`visibility: all`)",
            (Otherwise::Deny, Visibility::Grantable | Visibility::Granted) => "are denied and hidden",
        };
        found.warn(format!(
            "route {}: no rule names these {what}s of the server, which {fate}: {}",
            route.name,
            list(&unnamed)
        ));
    }
    let absent: Vec<&str> = patterns
        .iter()
        .filter(|pattern| !names.iter().any(|name| pattern.matches(name)))
        .map(|pattern| pattern.as_str())
        .collect();
    if !absent.is_empty() {
        found.warn(format!(
            "route {}: rules name {what}s that the server lacks (a typing mistake, or it hides them from strangers): {}",
            route.name,
            list(&absent)
        ));
    }
}

fn list(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(LISTED_MAX).map(|name| text::line(name, 80)).collect();
    let more = names.len().saturating_sub(LISTED_MAX);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

const CONNECT_MAX: Duration = Duration::from_secs(1);
const LISTED_MAX: usize = 20;
