//! The file: YAML in, the settings of every layer out. Everything wrong with it is reported at once, each with file,
//! line, column, value and what was expected. No socket is opened and nothing is decided here.

pub mod error;
pub mod expectations;

mod audit;
mod checks;
mod endpoints;
mod include;
mod limits;
mod place;
mod policies;
mod raw;
mod routes;
mod rules;
mod scalar;
mod secret;
mod servers;
mod telemetry;
mod transport;
mod yaml;

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use ipnet::IpNet;

use self::checks::{Checks, Source};
use self::error::{Problem, shown};
use self::place::{KeyPath, Place};
use self::policies::Policies;
use crate::gateway::reload::Watched;
use crate::gateway::secret::SecretKey;
use crate::gateway::settings::{Settings, Timeouts, Tls, UpstreamSettings};
use crate::oauth::ids::PublicOrigin;
use crate::oauth::scope::{Scope, ScopeHierarchy};

pub use error::ConfigErrors;
pub use secret::{SecretFrom, secret_header};

/// A file of this size is a mistake.
const FILE_BYTES_MAX: usize = 1 << 20;

/// Reads and checks a file, and the files that it names (keys, certificates). Names of files in it are relative to its
/// folder.
pub fn load(path: &Path) -> Result<Settings, ConfigErrors> {
    load_and_watch(path).0
}

/// The same, and which files were read, or should have been, also when they cannot be used: a file that is repaired must be
/// noticed.
pub fn load_and_watch(path: &Path) -> (Result<Settings, ConfigErrors>, Vec<Watched>) {
    let name = path.display().to_string();
    let mut files = vec![Watched::now(path)];
    let settings = match read_text(path, "a readable file; name another with --config") {
        Ok(text) => parse_and_watch(&text, &name, path.parent().unwrap_or_else(|| Path::new("")), &mut files),
        Err(problem) => Err(ConfigErrors::new(vec![name], vec![problem])),
    };
    (settings, files)
}

/// Reads and checks `text` as a file called `name`. Names of files in it are relative to `base`.
pub fn parse(text: &str, name: &str, base: &Path) -> Result<Settings, ConfigErrors> {
    parse_and_watch(text, name, base, &mut Vec::new())
}

/// What the URL of an MCP server amounts to, as `upstream` of a route without anything else.
pub fn upstream(url: &str) -> Result<UpstreamSettings, String> {
    routes::plain_upstream(url, &Timeouts::default(), None)
        .map_err(|expected| format!("{} is not accepted; expected {expected}", shown(url)))
}

/// Whether a route may have this name; the error says what was expected.
pub fn check_route_name(name: &str) -> Result<(), &'static str> {
    routes::route_name(name).map(drop)
}

fn parse_and_watch(text: &str, name: &str, base: &Path, files: &mut Vec<Watched>) -> Result<Settings, ConfigErrors> {
    let of_file = |problems| ConfigErrors::new(vec![name.to_owned()], problems);
    if text.len() > FILE_BYTES_MAX {
        return Err(of_file(vec![too_long()]));
    }
    let (file, tree) = yaml::read(text).map_err(of_file)?;
    let source = Source { name: name.to_owned(), base: base.to_owned(), tree: Some(tree) };
    let mut checks = Checks::new(source, files);
    let settings = settings(&file, &mut checks);
    match (settings, checks.into_problems()) {
        (Some(settings), (_, problems)) if problems.is_empty() => Ok(settings),
        (_, (names, problems)) => Err(ConfigErrors::new(names, problems)),
    }
}

fn read_text(path: &Path, expected: &str) -> Result<String, Problem> {
    let file = File::open(path).map_err(|error| unreadable(&error, expected))?;
    text_of(file, expected)
}

fn text_of(source: impl Read, expected: &str) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX);
    source.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| unreadable(&error, expected))?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(too_long());
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let lines = || before.split(|byte| *byte == b'\n');
        let in_line = lines().next_back().map_or(0, |last| String::from_utf8_lossy(last).chars().count());
        let place = Place { line: lines().count(), column: in_line.saturating_add(1) };
        Problem::at(place, KeyPath::default(), "this is not UTF-8", "a text in UTF-8; save it in that encoding")
    })
}

fn unreadable(error: &io::Error, expected: &str) -> Problem {
    Problem::of_file(format!("cannot be read: {error}"), expected)
}

fn too_long() -> Problem {
    Problem::of_file("is longer than 1 MiB", "a file of at most 1 MiB")
}

fn settings(file: &raw::File, checks: &mut Checks<'_>) -> Option<Settings> {
    let root = KeyPath::default();
    let listen = listen(file, checks);
    let admin = admin(file, listen, checks);
    let tls = tls(file, listen, checks);
    let public_url = public_url(file, listen, checks);
    let hosts = checks.list(&root.key("hosts"), &file.hosts, own_host);
    let threads = checks.number(&root.key("threads"), file.threads, 1..=1024);
    let authorization_servers = servers::authorization_servers(&file.authorization_servers, checks);
    let hierarchy = scope_hierarchy(file, checks);
    let common = routes::Common {
        public_url: public_url.as_ref(),
        hosts: hosts.as_deref().unwrap_or_default(),
        issuers: &authorization_servers,
        hierarchy: Arc::new(hierarchy.unwrap_or_default()),
        timeouts: limits::timeouts(&file.timeouts, checks),
        listen,
    };
    let timeouts = common.timeouts;
    let included = include::included(file.include.as_ref(), checks);
    let mut policies = Policies::read(&file.policies, checks);
    let routes = routes::routes(&include::all_routes(file, &included), &common, &mut policies, checks);
    policies.mention_unused(checks);
    let session_keys = session_keys(&file.sessions, checks);
    let limits = limits::limits(&file.limits, checks);
    let drain = limits::drain(&file.drain, checks);
    let trusted_proxies = checks.list(&root.key("trusted_proxies"), &file.trusted_proxies, network);
    let audit = audit::audit(&file.audit, checks);
    let telemetry = telemetry::telemetry(&file.telemetry, listen, checks);
    Some(Settings {
        listen: listen?,
        admin,
        tls: tls?,
        public_url: public_url?,
        hosts: hosts?,
        threads: threads.and_then(|threads| usize::try_from(threads).ok()),
        authorization_servers,
        routes,
        session_keys,
        limits,
        timeouts,
        drain,
        trusted_proxies: trusted_proxies?,
        audit,
        telemetry,
        warnings: checks.take_warnings(),
    })
}

fn listen(file: &raw::File, checks: &mut Checks<'_>) -> Option<SocketAddr> {
    let text = file.listen.as_deref().unwrap_or("127.0.0.1:8080");
    checks.value(&KeyPath::default().key("listen"), text, socket(text))
}

fn socket(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "an IP address and a port, such as 127.0.0.1:8080, 0.0.0.0:8443 or [::]:8443")
}

/// `None`, too, where it cannot be read, which is reported.
fn admin(file: &raw::File, listen: Option<SocketAddr>, checks: &mut Checks<'_>) -> Option<SocketAddr> {
    let text = &file.admin.as_ref()?.listen;
    let path = KeyPath::default().key("admin").key("listen");
    let admin = checks.value(&path, text, socket(text))?;
    let same = |listen: &SocketAddr| {
        let meet = admin.ip() == listen.ip() || admin.ip().is_unspecified() || listen.ip().is_unspecified();
        meet && admin.port() == listen.port() && admin.port() != 0
    };
    if listen.as_ref().is_some_and(same) {
        // What it shows is for operators alone, and what clients may ask is not for it to answer.
        let found = format!("{} is where clients are served (`listen`)", checks.shown(&path));
        checks.refuse(&path, found, "a port that `listen` does not have, such as 127.0.0.1:9090");
    }
    Some(admin)
}

fn tls(file: &raw::File, listen: Option<SocketAddr>, checks: &mut Checks<'_>) -> Option<Tls> {
    let root = KeyPath::default();
    let path = root.key("tls");
    let written = match &file.tls {
        Some(raw::Tls::External) => Tls::External,
        Some(raw::Tls::Files(files)) => {
            let certificate = checks.file(&path.key("certificate"), &files.certificate);
            let private_key = checks.file(&path.key("private_key"), &files.private_key);
            Tls::Files { certificate: certificate?, private_key: private_key? }
        }
        None => {
            if listen.is_some_and(|listen| !listen.ip().is_loopback()) {
                // Tokens would cross the network in the clear.
                let found =
                    format!("{} is reachable from outside, and there is no `tls`", checks.shown(&root.key("listen")));
                let expected = "`tls:` with certificate and private_key, `tls: external` where something in front ends \
                                TLS, or a loopback address";
                checks.refuse(&root.key("listen"), found, expected);
            }
            Tls::Off
        }
    };
    if let (Some(url), Tls::External | Tls::Files { .. }) = (&file.public_url, &written)
        && url.starts_with("http://")
    {
        let found = format!("{} is plain http, but `tls` says that clients come with TLS", shown(url));
        checks.refuse(&root.key("public_url"), found, "a public_url that begins with https://, or no `tls`");
    }
    Some(written)
}

fn public_url(file: &raw::File, listen: Option<SocketAddr>, checks: &mut Checks<'_>) -> Option<PublicOrigin> {
    let path = KeyPath::default().key("public_url");
    if let Some(text) = &file.public_url {
        return checks.value(&path, text, PublicOrigin::parse(text));
    }
    let listen = listen?;
    let external = matches!(file.tls, Some(raw::Tls::External));
    if !listen.ip().is_loopback() || listen.port() == 0 || external {
        // The Host header is the client's word: no identifier may come from it.
        let expected = "`public_url: https://…`, the origin that clients reach the gateway under";
        checks.refuse(
            &path,
            "the key \"public_url\" is missing, and `listen` does not tell how clients reach us",
            expected,
        );
        return None;
    }
    let (scheme, default_port) = if file.tls.is_some() { ("https", 443) } else { ("http", 80) };
    let text = match listen.to_string() {
        text if listen.port() == default_port => {
            format!("{scheme}://{}", text.rsplit_once(':').map_or(text.as_str(), |(host, _)| host))
        }
        text => format!("{scheme}://{text}"),
    };
    checks.value(&KeyPath::default().key("listen"), &text, PublicOrigin::parse(&text))
}

/// One of `hosts`: `host` or `host:port`.
fn own_host(text: &str) -> Result<String, &'static str> {
    let expected = "a host, or a host and a port, such as mcp.internal or mcp.internal:8443; without scheme and path";
    let authority: http::uri::Authority = text.parse().map_err(|_| expected)?;
    let host = authority.host();
    let is_name = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    let is_v6 = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|v6| v6.parse::<std::net::Ipv6Addr>().is_ok());
    let port_is_well = match authority.port_u16() {
        Some(port) => port > 0 && text == format!("{host}:{port}"),
        None => text == host,
    };
    if !(is_name || is_v6) || !port_is_well { Err(expected) } else { Ok(text.to_ascii_lowercase()) }
}

fn scope_hierarchy(file: &raw::File, checks: &mut Checks<'_>) -> Option<ScopeHierarchy> {
    let path = KeyPath::default().key("scope_hierarchy");
    let mut edges = Vec::new();
    for (broader, narrower) in &file.scope_hierarchy {
        let at = path.key(broader);
        let broader = checks.key(&at, broader, routes::token_scope(broader));
        let narrower = checks.list(&at, narrower, routes::token_scope);
        edges.extend(broader.zip(narrower));
    }
    match ScopeHierarchy::new(edges) {
        Ok(hierarchy) => Some(hierarchy),
        Err(cycle) => {
            let names: Vec<&str> = cycle.0.iter().map(Scope::as_str).collect();
            let first = names.first().copied().unwrap_or_default();
            let found = format!("{} implies itself: {} → {}", shown(first), names.join(" → "), first);
            let expected =
                "broader scopes that imply narrower ones, never the other way round; remove one of these steps";
            checks.refuse_key(&path.key(first), found, expected);
            None
        }
    }
}

/// Every key that can be read; the others are reported.
fn session_keys(sessions: &raw::Sessions, checks: &mut Checks<'_>) -> Vec<SecretKey> {
    let list = KeyPath::default().key("sessions").key("keys");
    let keys = sessions.keys.iter().enumerate();
    keys.filter_map(|(index, source)| secret_key(source, &list.index(index), checks)).collect()
}

/// The key that `source` names; one that cannot be read is reported.
fn secret_key(source: &raw::SecretSource, path: &KeyPath, checks: &mut Checks<'_>) -> Option<SecretKey> {
    let (path, source, read) = match (&source.file, &source.env) {
        (Some(file), None) => (path.key("file"), file, secret::key_from_file(&checks.resolve(path, file))),
        (None, Some(name)) => (path.key("env"), name, secret::key_from_env(name)),
        (Some(_), Some(_)) | (None, None) => {
            checks.refuse(path, "a key comes from one place", "exactly one of `file:` and `env:`");
            return None;
        }
    };
    match read {
        Ok(key) => return Some(key),
        Err(_) if secret::is_key(source) => {
            let expected = "the name of a file or of a variable that holds it; a new secret, since this one stood here";
            checks.refuse(&path, "this is the secret itself, which never stands in the file", expected);
        }
        Err(fault) => checks.refuse(&path, format!("{} {fault}", shown(source)), secret::KEY_FORMS),
    }
    None
}

/// One of `trusted_proxies`: a network or an address.
fn network(text: &str) -> Result<IpNet, &'static str> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.into());
    }
    let network: IpNet = text.parse().map_err(|_| "a network such as 10.0.0.0/8, or an address such as 10.1.2.3")?;
    if network.addr() == network.network() {
        Ok(network)
    } else {
        // 10.1.2.3/8 may have been meant as one host, and would believe sixteen million.
        Err("a network whose address ends where its prefix does (10.0.0.0/8), or an address without prefix")
    }
}

#[cfg(test)]
mod tests;
