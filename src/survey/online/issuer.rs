//! What an issuer shows, against what clients and this file need of it. Pure: what was fetched is given.

use serde_json::Value;

use super::Findings;
use crate::gateway::settings::RouteSettings;
use crate::oauth::scope::{Scope, ScopeSet};
use crate::survey::text;
use crate::token::look::{Look, name};
use crate::token::{IssuerSettings, KeySource};

/// Judges one issuer, which these routes take tokens of.
pub(super) fn judge(settings: &IssuerSettings, routes: &[RouteSettings], look: &Look) -> Findings {
    let issuer = settings.issuer.as_str();
    let mut found = Findings::default();
    found.line(format!("issuer {issuer}:"));
    // Where the metadata is to name the keys, its absence says it all.
    if look.metadata.is_ok() || settings.keys != KeySource::Discovered {
        keys(settings, look, &mut found);
    }
    match &look.metadata {
        Ok((url, document)) => {
            found.line(format!("  metadata: {url}"));
            let document = Document(document);
            clients(issuer, document, &mut found);
            algorithms(settings, document, &mut found);
            scopes(issuer, routes, document, &mut found);
            resource_indicators(issuer, routes, document, &mut found);
        }
        Err(reason) => no_metadata(settings, look, reason, &mut found),
    }
    found
}

/// A member of metadata is believed where it has the right type.
#[derive(Debug, Clone, Copy)]
struct Document<'a>(&'a Value);

impl<'a> Document<'a> {
    fn text(self, member: &str) -> Option<&'a str> {
        self.0.get(member).and_then(Value::as_str)
    }

    fn is_true(self, member: &str) -> bool {
        self.0.get(member).and_then(Value::as_bool) == Some(true)
    }

    fn list(self, member: &str) -> Option<Vec<&'a str>> {
        Some(self.0.get(member)?.as_array()?.iter().filter_map(Value::as_str).collect())
    }
}

fn keys(settings: &IssuerSettings, look: &Look, found: &mut Findings) {
    let issuer = settings.issuer.as_str();
    let keys = match &look.keys {
        Ok(keys) => keys,
        Err(reason) => {
            found.fail(format!("issuer {issuer}: no keys: {}; every token of it is refused (503)", line(reason)));
            return;
        }
    };
    let ignored: Vec<String> = keys.ignored.iter().map(|(place, why)| format!("keys[{place}]: {why}")).collect();
    let beside = if ignored.is_empty() { String::new() } else { format!("; not used: {}", ignored.join("; ")) };
    if keys.usable.is_empty() {
        let accepted: Vec<&str> = settings.algorithms.iter().map(|algorithm| name(*algorithm)).collect();
        found.fail(format!(
            "issuer {issuer}: no key of {} can be used with {}{beside}; every token of it is refused (503)",
            line(&keys.place),
            accepted.join(", ")
        ));
        return;
    }
    found.line(format!(
        "  keys: {} ({}) from {}{beside}",
        keys.usable.len(),
        keys.usable.join(", "),
        line(&keys.place)
    ));
}

fn no_metadata(settings: &IssuerSettings, look: &Look, reason: &str, found: &mut Findings) {
    let issuer = settings.issuer.as_str();
    let (what, remedy) = match &look.other_issuer {
        Some(other) => (
            format!("its metadata speaks for {}", text::quoted(&text_cut(other))),
            "write `issuer` exactly so, if that is yours: clients and tokens are compared with it byte for byte"
                .to_owned(),
        ),
        None => (format!("no metadata: {}", line(reason)), "clients find no way to log in without it".to_owned()),
    };
    let message = format!("issuer {issuer}: {what}; {remedy}");
    // With keys from elsewhere tokens are validated all the same, and clients may reach what this machine does not.
    match settings.keys {
        KeySource::Discovered => found.fail(format!("{message}; without its keys every token of it is refused (503)")),
        KeySource::Uri(_) | KeySource::File(_) => found.warn(message),
    }
}

/// What MCP clients refuse to do without.
fn clients(issuer: &str, document: Document<'_>, found: &mut Findings) {
    for endpoint in ["authorization_endpoint", "token_endpoint"] {
        if document.text(endpoint).is_none() {
            found.warn(format!("issuer {issuer}: its metadata has no `{endpoint}`: nobody can log in by it"));
        }
    }
    let pkce = document.list("code_challenge_methods_supported");
    if !pkce.as_ref().is_some_and(|methods| methods.contains(&"S256")) {
        let has = pkce.map_or("has no `code_challenge_methods_supported`", |_| "names no S256 for PKCE");
        found.warn(format!(
            "issuer {issuer}: its metadata {has}: MCP clients refuse to go on, whatever it really does (MCP, Authorization)"
        ));
    }
    let (dynamic, document_id) =
        (document.text("registration_endpoint").is_some(), document.is_true("client_id_metadata_document_supported"));
    match (document_id, dynamic) {
        (true, _) => found.line("  registration: client ID metadata documents"),
        (false, true) => found.line("  registration: dynamic (RFC 7591)"),
        (false, false) => found.warn(format!(
            "issuer {issuer}: no registration (neither `registration_endpoint` nor client ID metadata documents): register \
             each client by hand, and give its client_id to whoever uses it"
        )),
    }
}

fn algorithms(settings: &IssuerSettings, document: Document<'_>, found: &mut Findings) {
    let Some(signs) = document.list("id_token_signing_alg_values_supported").filter(|signs| !signs.is_empty()) else {
        return;
    };
    let accepted: Vec<&str> = settings.algorithms.iter().map(|algorithm| name(*algorithm)).collect();
    if !signs.iter().any(|signs| accepted.contains(signs)) {
        found.warn(format!(
            "issuer {}: it says that it signs with {}, and `algorithms` accepts {}: access tokens probably do not fit",
            settings.issuer.as_str(),
            list(&signs),
            accepted.join(", ")
        ));
    }
}

fn scopes(issuer: &str, routes: &[RouteSettings], document: Document<'_>, found: &mut Findings) {
    let Some(known) = document.list("scopes_supported") else {
        found.line("  scopes: its metadata does not say which it knows");
        return;
    };
    let mut wanted = ScopeSet::default();
    for route in routes {
        wanted.extend(route.policy.scopes_named().iter());
    }
    let unknown: Vec<&str> = wanted.iter().map(Scope::as_str).filter(|scope| !known.contains(scope)).collect();
    if unknown.is_empty() {
        found.line("  scopes: it knows all that the rules name");
    } else {
        found.warn(format!(
            "issuer {issuer}: its `scopes_supported` does not name {}: a client that asks for them may be refused \
             (invalid_scope); register them there",
            list(&unknown)
        ));
    }
}

/// Whether tokens will be for the resource that a client asked for (RFC 8707). No standard member of metadata says so; some
/// issuers are known by their shape not to do it.
fn resource_indicators(issuer: &str, routes: &[RouteSettings], document: Document<'_>, found: &mut Findings) {
    if document.is_true("resource_indicators_supported") {
        found.line("  RFC 8707: its metadata says that it does resource indicators");
        return;
    }
    let Some((who, instead)) = without_indicators(issuer, document) else {
        found.line(
            "  RFC 8707: no standard member of metadata says whether it does resource indicators; a token whose `aud` is not \
             the resource is refused (invalid_token, detail audience): then name its `aud` in `audiences`",
        );
        return;
    };
    let uncovered: Vec<&str> =
        routes.iter().filter(|route| route.audiences.is_empty()).map(|route| &*route.name).collect();
    if uncovered.is_empty() {
        found.line(format!(
            "  RFC 8707: this is {who} (by the shape of its metadata), and `audiences` says what its tokens are for"
        ));
    } else {
        found.warn(format!(
            "issuer {issuer}: this is {who} (by the shape of its metadata), which puts no resource that a client asks for into \
             `aud` by itself: {instead}; without that, tokens for {} are refused (invalid_token, detail audience)",
            list(&uncovered)
        ));
    }
}

/// Who it is, and what to do there instead.
fn without_indicators(issuer: &str, document: Document<'_>) -> Option<(&'static str, &'static str)> {
    let host = issuer.split("://").nth(1).unwrap_or_default().split(['/', ':']).next().unwrap_or_default();
    let is = |suffix: &str| host.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let has = |member: &str| document.0.get(member).is_some();
    if is("login.microsoftonline.com") || is("sts.windows.net") || has("tenant_region_scope") || has("msgraph_host") {
        return Some(("Microsoft Entra ID", "name the application's ID (or ID URI) in `audiences`"));
    }
    if ["okta.com", "oktapreview.com", "okta-emea.com"].into_iter().any(is) {
        return Some(("Okta", "name the audience of the custom authorization server in `audiences`"));
    }
    if is("auth0.com") {
        return Some((
            "Auth0",
            "turn on its Resource Parameter Compatibility Profile and make the resource an API there, or name the API's \
             identifier in `audiences`",
        ));
    }
    if is("accounts.google.com") {
        return Some((
            "Google",
            "its access tokens are no JWT, so no route can take them: put an authorization server before it",
        ));
    }
    let token_endpoint = document.text("token_endpoint").unwrap_or_default();
    if issuer.contains("/realms/") && token_endpoint.contains("/protocol/openid-connect/") {
        return Some((
            "Keycloak",
            "add an audience mapper for the resource to a client scope, or name what it puts there in `audiences`",
        ));
    }
    None
}

fn list(words: &[&str]) -> String {
    let shown: Vec<String> = words.iter().take(LISTED_MAX).map(|word| text::line(word, 80)).collect();
    let more = words.len().saturating_sub(LISTED_MAX);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

fn line(text: &str) -> String {
    text::line(text, 400)
}

fn text_cut(text: &str) -> String {
    text.chars().take(200).collect()
}

const LISTED_MAX: usize = 20;
