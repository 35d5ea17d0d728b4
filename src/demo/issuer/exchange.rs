//! The token endpoint: codes, refresh tokens and client secrets in, access tokens out. A code or a refresh token that comes
//! a second time was stolen once: what it led to ends.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, Response, StatusCode, header};
use serde_json::{Value, json};

use super::answer::{self, Fault};
use super::authorize::Pending;
use super::client::{Client, Grants};
use super::form::{Form, decode};
use super::{Issuer, key, uri};
use crate::gateway::body::Body;

/// What a login granted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Grant {
    client_id: String,
    person: String,
    scopes: Vec<String>,
}

/// An authorization code.
pub(super) enum Code {
    /// Not used yet.
    Fresh(Fresh),
    /// Used; the refresh tokens that came of it.
    Used(Option<String>),
}

/// What a code stands for.
pub(super) struct Fresh {
    grant: Grant,
    redirect_uri: String,
    challenge: String,
    /// Whether the client gets a refresh token.
    refresh: bool,
}

/// All refresh tokens that follow from one login. A token is the family's name and a secret; only the last secret is good.
pub(super) struct Family {
    grant: Grant,
    secret: String,
}

/// Who asks.
struct Caller {
    id: String,
    /// What it registered for, and whether it has shown a secret. `None` for a client known by its document.
    registered: Option<(Grants, bool)>,
}

/// Answers a request for tokens (OAuth 2.1 §3.2).
pub(super) fn answer(issuer: &Issuer, headers: &HeaderMap, body: &[u8]) -> Response<Body> {
    match grant(issuer, headers, body) {
        Ok(tokens) => answer::json(StatusCode::OK, &tokens),
        Err(fault) => fault.to_json(),
    }
}

fn grant(issuer: &Issuer, headers: &HeaderMap, body: &[u8]) -> Result<Value, Fault> {
    let form = Form::parse(body)?;
    let caller = identify(issuer, headers, &form)?;
    let grant_type = form.required("grant_type", "grant_type is missing")?;
    match grant_type {
        "authorization_code" => redeem(issuer, &form, &caller),
        "refresh_token" => refresh(issuer, &form, &caller),
        "client_credentials" => credentials(issuer, headers, &form, &caller),
        _ => Err(Fault::new(
            "unsupported_grant_type",
            "expected authorization_code, refresh_token or client_credentials",
        )),
    }
}

impl Code {
    /// The code for what a person granted.
    pub(super) fn new(pending: &Pending, person: &str, scopes: Vec<String>) -> Self {
        let grant = Grant { client_id: pending.client.id.clone(), person: person.to_owned(), scopes };
        Self::Fresh(Fresh {
            grant,
            redirect_uri: pending.redirect_uri.clone(),
            challenge: pending.challenge.clone(),
            refresh: pending.client.grants.refresh,
        })
    }
}

/// The client: by its secret, or by its mere id where it has none (OAuth 2.1 §2.4).
fn identify(issuer: &Issuer, headers: &HeaderMap, form: &Form) -> Result<Caller, Fault> {
    let basic = basic(headers)?;
    let (named, secret) = (form.one("client_id")?, form.one("client_secret")?);
    let (id, secret) = match &basic {
        Some(_) if secret.is_some() => {
            return Err(Fault::new("invalid_request", "a client shows its secret in one way, not in two"));
        }
        Some((id, _)) if named.is_some_and(|named| named != id) => {
            return Err(Fault::new("invalid_request", "two clients are named"));
        }
        Some((id, secret)) => (id.as_str(), Some(secret.as_str())),
        None => (named.ok_or(Fault::new("invalid_client", "no client is named"))?, secret),
    };
    if uri::document_host(id).is_some() {
        return match secret {
            None => Ok(Caller { id: id.to_owned(), registered: None }),
            Some(_) => Err(Fault::new("invalid_client", "a client with a metadata document has no secret")),
        };
    }
    let state = issuer.state();
    let client: Option<&Client> = state.clients.get(id, issuer.clock.now());
    let client = client.ok_or(Fault::new("invalid_client", "the client is not registered"))?;
    let shown = match (&client.secret, secret) {
        (Some(secret), Some(shown)) => verify_slices_are_equal(secret.as_bytes(), shown.as_bytes()).is_ok(),
        // An empty secret beside the name is how some clients without one write it.
        (None, None | Some("")) => false,
        (Some(_), None) | (None, Some(_)) => return Err(BAD_SECRET),
    };
    if client.secret.is_some() && !shown {
        return Err(BAD_SECRET);
    }
    Ok(Caller { id: id.to_owned(), registered: Some((client.grants, shown)) })
}

/// Name and secret of `Authorization: Basic` (RFC 6749 §2.3.1: each form-encoded before).
fn basic(headers: &HeaderMap) -> Result<Option<(String, String)>, Fault> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let malformed = Fault::new("invalid_client", "expected one Authorization header with Basic credentials");
    let text = value.to_str().ok().filter(|_| values.next().is_none()).ok_or(malformed)?;
    let (scheme, encoded) = text.split_once(' ').ok_or(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed);
    }
    let decoded = STANDARD.decode(encoded.trim()).map_err(|_| malformed)?;
    let mut halves = decoded.splitn(2, |byte| *byte == b':');
    let (Some(id), Some(secret)) = (halves.next(), halves.next()) else { return Err(malformed) };
    Ok(Some((decode(id)?, decode(secret)?)))
}

/// A code for tokens (OAuth 2.1 §4.1.3).
fn redeem(issuer: &Issuer, form: &Form, caller: &Caller) -> Result<Value, Fault> {
    let code = form.required("code", "code is missing")?;
    let redirect_uri = form.required("redirect_uri", "redirect_uri is missing")?;
    let verifier = form.required("code_verifier", "code_verifier is missing")?;
    issuer.accept_resource(form)?;
    let now = issuer.clock.now();
    let (grant, refresh_token) = {
        let mut state = issuer.state();
        let fresh = match state.codes.take(code, now) {
            None => return Err(BAD_CODE),
            Some(Code::Used(family)) => {
                // Two have the code. Which of them stole it cannot be told, so neither goes on (RFC 6749 §4.1.2).
                if let Some(family) = family {
                    state.families.take(&family, now);
                }
                return Err(BAD_CODE);
            }
            Some(Code::Fresh(fresh)) => fresh,
        };
        // The code is gone by now: who guesses at the rest has one guess.
        let good = fresh.grant.client_id == caller.id
            && fresh.redirect_uri == redirect_uri
            && is_verifier_of(verifier, &fresh.challenge);
        if !good {
            return Err(BAD_CODE);
        }
        // Under the same lock: a second use must find the family that it ends.
        let until = now.saturating_add(REFRESH_SECS);
        let family = if fresh.refresh { Some((random()?, random()?)) } else { None };
        let refresh_token = family.as_ref().map(|(name, secret)| format!("{name}.{secret}"));
        state.codes.insert(code.to_owned(), Code::Used(family.as_ref().map(|(name, _)| name.clone())), until, now);
        if let Some((name, secret)) = family {
            state.families.insert(name, Family { grant: fresh.grant.clone(), secret }, until, now);
        }
        (fresh.grant, refresh_token)
    };
    issuer.tokens(&grant.person, &caller.id, &grant.scopes, refresh_token)
}

/// A refresh token for its successor and an access token (OAuth 2.1 §4.3). The scope may be narrowed, for this access token
/// alone.
fn refresh(issuer: &Issuer, form: &Form, caller: &Caller) -> Result<Value, Fault> {
    let token = form.required("refresh_token", "refresh_token is missing")?;
    issuer.accept_resource(form)?;
    let asked = form.one("scope")?;
    let now = issuer.clock.now();
    let bad = Fault::new("invalid_grant", "the refresh token is unknown, expired, used or somebody else's");
    let (name, secret) = token.split_once('.').ok_or(bad)?;
    let (grant, scopes, successor) = {
        let mut state = issuer.state();
        let family = state.families.get_mut(name, now).ok_or(bad)?;
        if family.grant.client_id != caller.id {
            return Err(bad);
        }
        if verify_slices_are_equal(family.secret.as_bytes(), secret.as_bytes()).is_err() {
            // An old token: the client and a thief both have this family, and neither goes on (RFC 9700 §4.14.2).
            state.families.take(name, now);
            return Err(bad);
        }
        let scopes = if asked.is_some() { issuer.scopes(asked) } else { Some(family.grant.scopes.clone()) };
        let scopes = scopes.filter(|scopes| scopes.iter().all(|scope| family.grant.scopes.contains(scope)));
        let scopes = scopes.ok_or(Fault::new("invalid_scope", "a scope is asked for that was not granted"))?;
        family.secret = random()?;
        (family.grant.clone(), scopes, format!("{name}.{}", family.secret))
    };
    issuer.tokens(&grant.person, &caller.id, &scopes, Some(successor))
}

/// A token for the client itself (OAuth 2.1 §4.2): `sub` is the client (RFC 9068 §2.2).
fn credentials(issuer: &Issuer, headers: &HeaderMap, form: &Form, caller: &Caller) -> Result<Value, Fault> {
    // Any page that a developer visits can register here; without this, it would have a token that nobody consented to.
    if headers.contains_key(header::ORIGIN) {
        return Err(Fault::new("unauthorized_client", "a page in a browser keeps no secret"));
    }
    match caller.registered {
        Some((Grants { credentials: true, .. }, true)) => {}
        Some(_) | None => {
            return Err(Fault::new("unauthorized_client", "the client did not register for client_credentials"));
        }
    }
    issuer.accept_resource(form)?;
    let scopes = issuer.scopes(form.one("scope")?);
    let scopes = scopes.ok_or(Fault::new("invalid_scope", "a scope is asked for that does not exist"))?;
    issuer.tokens(&caller.id, &caller.id, &scopes, None)
}

impl Issuer {
    /// The answer (RFC 6749 §5.1).
    fn tokens(&self, sub: &str, client: &str, scopes: &[String], refresh: Option<String>) -> Result<Value, Fault> {
        let access_token = self
            .access_token(sub, client, scopes, ACCESS_SECS)
            .map_err(|_| Fault::new("server_error", "the token cannot be signed"))?;
        let mut answer = json!({
            "access_token": access_token, "token_type": "Bearer", "expires_in": ACCESS_SECS, "scope": scopes.join(" "),
        });
        if let (Some(members), Some(refresh)) = (answer.as_object_mut(), refresh) {
            members.insert("refresh_token".to_owned(), Value::String(refresh));
        }
        Ok(answer)
    }
}

/// Whether the challenge was made of this verifier with S256 (RFC 7636 §4.6).
fn is_verifier_of(verifier: &str, challenge: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let hash = digest::digest(&digest::SHA256, verifier.as_bytes());
    let made = URL_SAFE_NO_PAD.encode(hash.as_ref());
    (43..=128).contains(&verifier.len())
        && verifier.bytes().all(allowed)
        && verify_slices_are_equal(made.as_bytes(), challenge.as_bytes()).is_ok()
}

fn random() -> Result<String, Fault> {
    key::secret().map_err(|_| Fault::new("server_error", "no random numbers"))
}

const BAD_CODE: Fault = Fault::new(
    "invalid_grant",
    "the code is unknown, expired, used, of another client or redirect, or its code_verifier is wrong",
);
const BAD_SECRET: Fault = Fault::new("invalid_client", "the client did not show its secret, or has none");
/// An access token's life.
const ACCESS_SECS: u64 = 600;
/// A family's life; rotation does not prolong it.
const REFRESH_SECS: u64 = 24 * 3600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verifiers() {
        let check = |verifier: &str, challenge: &str, expect: bool| {
            assert_eq!(is_verifier_of(verifier, challenge), expect, "{verifier}");
        };
        // RFC 7636, appendix B.
        let (verifier, challenge) =
            ("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        check(verifier, challenge, true);
        check(challenge, challenge, false);
        check(&verifier.to_lowercase(), challenge, false);
        check("", challenge, false);
        let made =
            |verifier: &str| URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()).as_ref());
        check(&"a".repeat(42), &made(&"a".repeat(42)), false);
        check(&"a".repeat(43), &made(&"a".repeat(43)), true);
        check(&"a".repeat(128), &made(&"a".repeat(128)), true);
        check(&"a".repeat(129), &made(&"a".repeat(129)), false);
        check(&"ä".repeat(30), &made(&"ä".repeat(30)), false);
    }

    #[test]
    fn basic_credentials() {
        let check = |value: &str, expect: Option<(&str, &str)>| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
            let read = basic(&headers).ok().flatten();
            assert_eq!(read.as_ref().map(|(id, secret)| (id.as_str(), secret.as_str())), expect, "{value}");
        };
        check(&format!("Basic {}", STANDARD.encode("id:secret")), Some(("id", "secret")));
        check(&format!("basic {}", STANDARD.encode("i%3Ad:se+cr:et")), Some(("i:d", "se cr:et")));
        check(&format!("Basic {}", STANDARD.encode("id")), None);
        check(&format!("Bearer {}", STANDARD.encode("id:secret")), None);
        check("Basic *", None);
        check("Basic", None);
        assert_eq!(basic(&HeaderMap::new()), Ok(None));
        let mut two = HeaderMap::new();
        two.append(header::AUTHORIZATION, "Basic YTpi".parse().unwrap());
        two.append(header::AUTHORIZATION, "Basic YTpi".parse().unwrap());
        assert!(basic(&two).is_err());
    }
}
