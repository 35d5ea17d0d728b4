//! `authorization_servers`: who may issue tokens, and how their keys are found. Nothing is fetched here.

use super::checks::Checks;
use super::error::shown;
use super::place::KeyPath;
use super::raw;
use crate::oauth::ids::Issuer;
use crate::token::{self, ALGORITHMS, Algorithm, ClaimPath, IssuerSettings, KeySource};

/// Those that could be read; what is wrong with the others is reported.
pub(super) fn authorization_servers(
    written: &[raw::AuthorizationServer],
    checks: &mut Checks<'_>,
) -> Vec<IssuerSettings> {
    let list = KeyPath::default().key("authorization_servers");
    if written.is_empty() {
        let expected = "at least one `- issuer: https://auth.example.com`; without an issuer no token can be valid";
        checks.refuse(&list, "there is no authorization server", expected);
    }
    let mut servers: Vec<IssuerSettings> = Vec::new();
    for (index, server) in written.iter().enumerate() {
        let path = list.index(index);
        let at = path.key("issuer");
        if let Some(first) = written.iter().take(index).position(|earlier| earlier.issuer == server.issuer) {
            let line = checks.line(&list.index(first).key("issuer"), &at);
            let found = format!("{} is given twice (first in {line})", shown(&server.issuer));
            checks.refuse(&at, found, "each issuer once; remove one of the two");
        }
        servers.extend(authorization_server(server, &path, checks));
    }
    servers
}

fn authorization_server(
    server: &raw::AuthorizationServer,
    path: &KeyPath,
    checks: &mut Checks<'_>,
) -> Option<IssuerSettings> {
    let issuer = checks.value(&path.key("issuer"), &server.issuer, Issuer::parse(&server.issuer));
    let keys = key_source(server, path, checks);
    let algorithms = algorithms(server.algorithms.as_deref(), &path.key("algorithms"), checks);
    if let (Some(KeySource::File(file)), Some(algorithms)) = (&keys, &algorithms)
        && let Err(reason) = token::check_key_file(file, algorithms)
    {
        let found = format!("{} is not a key set that can be used: {reason}", shown(&file.display().to_string()));
        checks.refuse(&path.key("jwks_file"), found, "a JWK Set (RFC 7517) with a public key for `algorithms`");
    }
    let scope_claims = scope_claims(server.scope_claims.as_ref(), &path.key("scope_claims"), checks);
    let leeway_secs = checks.number(&path.key("leeway_secs"), server.leeway_secs, 0..=60).unwrap_or(30);
    let at = path.key("keys");
    // A month without one refresh is no outage; and without a cool-down a flood of unknown keys is one of fetches.
    let stale = checks.number(&at.key("stale_secs_max"), server.keys.stale_secs_max, 60..=2_592_000);
    let cooldown = checks.number(&at.key("cooldown_secs"), server.keys.cooldown_secs, 1..=3600);
    Some(IssuerSettings {
        issuer: issuer?,
        keys: keys?,
        algorithms: algorithms?,
        scope_claims: scope_claims?,
        scope_claims_merged: matches!(server.scope_claims, Some(raw::ScopeClaims::Merged(_))),
        leeway_secs,
        keys_stale_secs_max: stale.unwrap_or(86_400),
        keys_cooldown_secs: cooldown.unwrap_or(10),
    })
}

fn key_source(server: &raw::AuthorizationServer, path: &KeyPath, checks: &mut Checks<'_>) -> Option<KeySource> {
    match (&server.jwks_uri, &server.jwks_file) {
        (None, None) => Some(KeySource::Discovered),
        (Some(uri), None) => checks.value(&path.key("jwks_uri"), uri, jwks_uri(uri)),
        (None, Some(file)) => checks.file(&path.key("jwks_file"), file).map(KeySource::File),
        (Some(_), Some(file)) => {
            let found = format!("{} stands beside a jwks_uri", shown(file));
            checks.refuse(&path.key("jwks_file"), found, "one of `jwks_uri` and `jwks_file`; remove the other");
            None
        }
    }
}

/// The same rules as an issuer's URL but for the query, which some servers need.
fn jwks_uri(text: &str) -> Result<KeySource, &'static str> {
    let expected = "an https URL without user information and fragment; http is for loopback alone";
    let before_query = text.split_once('?').map_or(text, |(before, _)| before);
    let uri: http::Uri = text.parse().map_err(|_| expected)?;
    if text.contains('#') || uri.authority().is_none() || Issuer::parse(before_query).is_err() {
        return Err(expected);
    }
    Ok(KeySource::Uri(text.to_owned()))
}

fn algorithms(written: Option<&[String]>, path: &KeyPath, checks: &mut Checks<'_>) -> Option<Vec<Algorithm>> {
    let Some(names) = written else {
        return Some(ALGORITHMS.iter().map(|(_, algorithm)| *algorithm).collect());
    };
    if names.is_empty() {
        checks.refuse(path, "no algorithm is accepted", "at least one, or no `algorithms` for all that are asymmetric");
        return None;
    }
    checks.list(path, names, |name| {
        let known = ALGORITHMS.iter().find(|(known, _)| *known == name);
        known.map(|(_, algorithm)| *algorithm).ok_or(
            "an asymmetric algorithm: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA; `none` and HMAC \
             are never accepted",
        )
    })
}

fn scope_claims(written: Option<&raw::ScopeClaims>, path: &KeyPath, checks: &mut Checks<'_>) -> Option<Vec<ClaimPath>> {
    let default = ["scope".to_owned(), "scp".to_owned()];
    let (names, path): (&[String], _) = match written {
        None => (&default, path.clone()),
        Some(raw::ScopeClaims::First(names)) => (names, path.clone()),
        Some(raw::ScopeClaims::Merged(map)) => (&map.merge, path.key("merge")),
    };
    if names.is_empty() {
        checks.refuse(&path, "no claim can hold scopes", "at least one, or no `scope_claims` for [scope, scp]");
        return None;
    }
    checks.list(&path, names, ClaimPath::parse)
}
