//! Normal forms: a resource URI that patterns are matched on, and the path of an endpoint, are what every other reader of
//! URLs makes of them.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use gatepost::config;
use gatepost::mcp::operation::Operation;
use gatepost::oauth::scope::{ScopeHierarchy, ScopeSet};
use gatepost::policy::pattern::{Dialect, Pattern};
use gatepost::policy::rule::{self, Effect, Mode, Rule, Target, Visibility};
use gatepost::policy::{Policy, PolicySettings};
use percent_encoding::percent_decode_str;

/// A URL as somebody reads it, decoded and normalised as they do.
#[derive(Debug, PartialEq, Eq)]
pub struct Url {
    /// In lower case.
    pub scheme: String,
    /// Whether there is a name or a password.
    pub has_credentials: bool,
    /// `None` or empty where there is none.
    pub host: Option<String>,
    /// Unless it is the default.
    pub port: Option<u16>,
    /// Up to query or fragment.
    pub path: String,
}

/// Takes the bytes for a resource URI and for an endpoint's path; `read` is another reader of URLs, `None` where it refuses.
///
/// # Panics
/// Where what is accepted has a second spelling.
pub fn check(bytes: &[u8], read: impl Fn(&str) -> Option<Url>) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if is_normal(text) {
        check_uri(text, &read);
    }
    if text.starts_with('/') {
        check_path(text, &read);
    }
}

/// Whether policy lets a rule decide by the URI.
fn is_normal(uri: &str) -> bool {
    // The pattern makes the normal form matter.
    static POLICY: LazyLock<Policy> = LazyLock::new(|| {
        let rule = |pattern: &str, effect| Rule {
            target: Target::Resources(vec![Pattern::parse(pattern, Dialect::Uri).expect("a pattern")]),
            effect,
            message: None,
            enforced: false,
            line: 0,
            file: "".into(),
            policy: None,
        };
        Policy::new(PolicySettings {
            route: "fuzz".into(),
            required_scopes: ScopeSet::default(),
            rules: vec![rule("none:none", Effect::Deny), rule("**", Effect::Allow)],
            default: rule::Default::Deny,
            visibility: Visibility::Granted,
            mode: Mode::Enforce,
            hides: false,
            hierarchy: Arc::new(ScopeHierarchy::default()),
        })
    });
    let operation = Operation::UseResource { method: "resources/read", uri: uri.to_owned() };
    POLICY.decide(&ScopeSet::default(), &operation).is_ok()
}

fn check_uri(uri: &str, read: impl Fn(&str) -> Option<Url>) {
    assert!(uri.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'));
    let decoded = percent_decode_str(uri).decode_utf8().expect("UTF-8");
    assert_eq!(decoded.matches(['/', '\\']).count(), uri.matches('/').count(), "decoding shows nothing new");
    assert!(!decoded.split(['/', '?', '#']).any(|segment| [".", ".."].contains(&segment)));
    assert!(!decoded.chars().any(char::is_control));
    if let Some(url) = read(uri) {
        let written = written(uri);
        // A host without path has a slash or has none: the one spelling that is left open (RFC 3986 §6.2.3).
        let path = if written.path.is_empty() { url.path.trim_end_matches('/').to_owned() } else { url.path.clone() };
        assert_eq!(Url { path, ..url }, written, "{uri}");
    }
}

/// The URI taken apart as it is written.
fn written(uri: &str) -> Url {
    let (scheme, rest) = uri.split_once(':').expect("a scheme");
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    };
    let host_end = authority.rfind(']').unwrap_or(0);
    let (host, port) = match authority[host_end..].rfind(':') {
        Some(colon) => (&authority[..host_end + colon], authority[host_end + colon + 1..].parse().ok()),
        None => (authority, None),
    };
    let host = (!host.is_empty()).then(|| host.to_owned());
    Url { scheme: scheme.to_owned(), has_credentials: authority.contains('@'), host, port, path: path.to_owned() }
}

/// Takes the text for the path of a route.
fn check_path(text: &str, read: impl Fn(&str) -> Option<Url>) {
    let path = serde_json::to_string(text).expect("text is JSON");
    let file = format!(
        "authorization_servers: [{{issuer: 'https://auth.example.com'}}]\n\
         routes: [{{name: a, path: {path}, upstream: 'http://127.0.0.1:1/', rules: [{{tools: ['*'], allow: true}}]}}]\n"
    );
    let Ok(settings) = config::parse(&file, "gatepost.yaml", Path::new("/nonexistent")) else { return };
    let [route] = settings.routes.as_slice() else { panic!("one route") };
    assert_eq!(&*route.path, text);
    let url = format!("http://127.0.0.1:8080{text}");
    assert_eq!(route.resource.as_str(), if text == "/" { "http://127.0.0.1:8080" } else { &url });
    assert_eq!(percent_decode_str(text).decode_utf8().ok().as_deref(), Some(text));
    assert!(!text.contains("//") && !text.split('/').any(|segment| [".", ".."].contains(&segment)));
    let http: http::Uri = url.parse().expect("a URI");
    assert_eq!((http.path(), http.query()), (text, None));
    if let Some(other) = read(&url) {
        assert_eq!((other.host.as_deref(), other.port, other.path.as_str()), (Some("127.0.0.1"), Some(8080), text));
    }
}
