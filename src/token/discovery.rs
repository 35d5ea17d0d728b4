//! Finds an issuer's metadata and through it the place of its keys (RFC 8414 §3, OpenID Connect Discovery §4). The issuer
//! is the configured one, never one that a token names, and metadata that speaks for another issuer is refused.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::{Fetch, FetchError, Fetched, jwks};
use crate::mcp::strict;
use crate::oauth::ids::is_loopback_host;

/// What is said of metadata that speaks for somebody else.
pub(super) const OTHER_ISSUER: &str = "`issuer` of the metadata is not the configured issuer";
const DEPTH_MAX: usize = 16;
/// `Fetch` promises 3 s; a promise that is not kept must not stop refreshing for ever.
const GET_TIMEOUT: Duration = Duration::from_secs(5);

/// An issuer's metadata.
#[derive(Debug)]
pub(super) struct Metadata {
    /// Where it was found.
    pub(super) url: String,
    /// As the issuer sent it.
    pub(super) document: Bytes,
    /// `jwks_uri`; where keys are wanted it is present.
    pub(super) jwks_uri: Option<String>,
    /// How long the answer says that it may be kept.
    pub(super) max_age: Option<Duration>,
}

/// Fetches the issuer's metadata from the first well-known place that has it; where `keys_wanted`, from the first that also
/// names a `jwks_uri`.
pub(super) async fn discover(fetch: &dyn Fetch, issuer: &str, keys_wanted: bool) -> Result<Metadata, String> {
    let mut reasons = Vec::new();
    for url in well_known(issuer) {
        let found = match get(fetch, &url).await {
            Ok(answer) => read(&answer, &url, issuer).map_err(|reason| format!("{url}: {reason}")),
            Err(reason) => Err(reason),
        };
        match found {
            Ok(metadata) if metadata.jwks_uri.is_some() || !keys_wanted => return Ok(metadata),
            Ok(_) => reasons.push(format!("{url}: no `jwks_uri`")),
            Err(reason) => reasons.push(reason),
        }
    }
    Err(reasons.join("; "))
}

/// Fetches one document, or says why not. Only status 200 counts; a redirect would lead to a place that nobody configured.
pub(super) async fn get(fetch: &dyn Fetch, url: &str) -> Result<Fetched, String> {
    if !is_fetchable(url) {
        return Err("a URL to fetch is neither https nor http on loopback".to_owned());
    }
    let shown = shown(url);
    let answer = match tokio::time::timeout(GET_TIMEOUT, fetch.get(url)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(FetchError(reason))) => return Err(format!("{shown}: {reason}")),
        Err(_) => return Err(format!("{shown}: no answer in time")),
    };
    if answer.status != 200 {
        return Err(format!("{shown}: status {}", answer.status));
    }
    if answer.body.len() > jwks::DOCUMENT_BYTES_MAX {
        return Err(format!("{shown}: over 512 KiB"));
    }
    Ok(answer)
}

/// A URL as people are shown it: its query may hold what only the two ends should know.
pub(super) fn shown(url: &str) -> &str {
    url.split_once('?').map_or(url, |(before, _)| before)
}

/// Where metadata may be: RFC 8414 §3.1 puts the well-known part between host and path, OpenID Connect Discovery §4 after
/// the path. Both drop a slash at the end of the issuer first.
pub(super) fn well_known(issuer: &str) -> [String; 2] {
    let issuer = issuer.strip_suffix('/').unwrap_or(issuer);
    let after_scheme = issuer.find("://").map_or(0, |colon| colon + 3);
    let authority = issuer.get(after_scheme..).unwrap_or_default();
    let path_at = after_scheme + authority.find('/').unwrap_or(authority.len());
    let (origin, path) = issuer.split_at_checked(path_at).unwrap_or((issuer, ""));
    [
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{issuer}/.well-known/openid-configuration"),
    ]
}

fn read(answer: &Fetched, url: &str, issuer: &str) -> Result<Metadata, &'static str> {
    strict::check(&answer.body, DEPTH_MAX).map_err(|fault| fault.0)?;
    let document: Value = serde_json::from_slice(&answer.body).map_err(|_| "the metadata is not JSON")?;
    // Exact (RFC 8414 §3.3): metadata in another issuer's name would put that one's keys in this one's place.
    if document.get("issuer").and_then(Value::as_str) != Some(issuer) {
        return Err(OTHER_ISSUER);
    }
    let jwks_uri = match document.get("jwks_uri") {
        None => None,
        Some(Value::String(url)) if is_fetchable(url) => Some(url.clone()),
        Some(_) => return Err("`jwks_uri` is neither https nor http on loopback"),
    };
    Ok(Metadata { url: url.to_owned(), document: answer.body.clone(), jwks_uri, max_age: answer.max_age })
}

/// Whether a URL may be fetched: https, or http on loopback; no user information.
fn is_fetchable(url: &str) -> bool {
    let Ok(url) = url.parse::<http::Uri>() else { return false };
    let (Some(scheme), Some(authority)) = (url.scheme_str(), url.authority()) else { return false };
    if authority.as_str().contains('@') {
        return false;
    }
    scheme == "https" || (scheme == "http" && is_loopback_host(authority.host()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_where_the_standards_put_it() {
        let check = |issuer: &str, expect: [&str; 2]| assert_eq!(well_known(issuer), expect, "{issuer}");
        check(
            "https://as.example",
            [
                "https://as.example/.well-known/oauth-authorization-server",
                "https://as.example/.well-known/openid-configuration",
            ],
        );
        check(
            "https://as.example/",
            [
                "https://as.example/.well-known/oauth-authorization-server",
                "https://as.example/.well-known/openid-configuration",
            ],
        );
        check(
            "https://as.example:8443/realms/acme",
            [
                "https://as.example:8443/.well-known/oauth-authorization-server/realms/acme",
                "https://as.example:8443/realms/acme/.well-known/openid-configuration",
            ],
        );
        check(
            "https://as.example/acme/",
            [
                "https://as.example/.well-known/oauth-authorization-server/acme",
                "https://as.example/acme/.well-known/openid-configuration",
            ],
        );
    }

    #[test]
    fn only_https_and_loopback_are_fetched() {
        let check = |url: &str, expect: bool| assert_eq!(is_fetchable(url), expect, "{url}");
        check("https://as.example/jwks", true);
        check("http://127.0.0.1:8080/jwks", true);
        check("http://[::1]:8080/jwks", true);
        check("http://localhost/jwks", true);
        check("http://as.example/jwks", false);
        check("http://127.0.0.1.evil.example/jwks", false);
        check("http://localhost.evil.example/jwks", false);
        check("http://localhost@evil.example/jwks", false);
        check("https://as.example@evil.example/jwks", false);
        check("file:///etc/passwd", false);
        check("ftp://as.example/jwks", false);
        check("/jwks", false);
        check("", false);
    }

    #[test]
    fn metadata_speaks_for_the_configured_issuer_alone() {
        let check = |body: &'static str, ok: bool| {
            let answer = Fetched { status: 200, body: Bytes::from_static(body.as_bytes()), max_age: None };
            assert_eq!(read(&answer, "url", "https://as.example").is_ok(), ok, "{body}");
        };
        check(r#"{"issuer":"https://as.example","jwks_uri":"https://keys.example/jwks"}"#, true);
        check(r#"{"issuer":"https://as.example"}"#, true);
        check(r#"{"issuer":"https://as.example/"}"#, false);
        check(r#"{"issuer":"https://AS.example"}"#, false);
        check(r#"{"issuer":["https://as.example"]}"#, false);
        check(r#"{"jwks_uri":"https://keys.example/jwks"}"#, false);
        check(r#"{"issuer":"https://evil.example","issuer":"https://as.example"}"#, false);
        check(r#"{"issuer":"https://as.example","jwks_uri":"http://keys.example/jwks"}"#, false);
        check(r#"{"issuer":"https://as.example","jwks_uri":null}"#, false);
        check("", false);
        check("<html>", false);
    }
}
