//! What the claims of a token must be (RFC 9068 §2.2 and §4, RFC 7519 §4, RFC 8707). A claim of the wrong JSON type is
//! invalid, never absent. Pure: `now` is an argument. Nothing here verifies a signature, so nothing here makes a
//! principal.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::jwks::Fingerprint;
use super::principal::Verified;
use super::{IssuerSettings, Recipient, jwt};
use crate::oauth::ids::{Audience, ResourceUri};
use crate::oauth::scope::{Scope, ScopeSet};
use crate::rejection::TokenFault;

/// The end of the year 9999: later times are cut to it, so that nobody's arithmetic overflows.
const TIME_MAX: u64 = 253_402_300_799;

/// Claims as read, not to be believed before the signature is verified.
#[derive(Debug)]
pub(super) struct Claims(Map<String, Value>);

/// What a verified token says, and what is looked at again on every request. This is what the cache holds.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) verified: Arc<Verified>,
    /// `aud`.
    audience: Vec<String>,
    /// The later of `nbf` and `iat`.
    starts_at: u64,
    /// The key that verified the signature.
    pub(super) key: Fingerprint,
}

impl Claims {
    /// Reads a payload: one strict JSON object.
    pub(super) fn read(payload: &[u8]) -> Result<Self, TokenFault> {
        jwt::read_object(payload).map(Self)
    }

    /// All of them, an object.
    pub(super) fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    /// `iss`.
    pub(super) fn issuer(&self) -> Result<&str, TokenFault> {
        match self.0.get("iss") {
            None => Err(TokenFault::Issuer),
            Some(Value::String(issuer)) => Ok(issuer),
            // An array that holds a good issuer is no issuer.
            Some(_) => Err(TokenFault::Claim),
        }
    }

    /// The verdict on a token of `issuer` whose signature was verified by `key`. The time, the audience and the route's
    /// issuers are still to be looked at.
    pub(super) fn into_verdict(self, issuer: &IssuerSettings, key: Fingerprint) -> Result<Verdict, TokenFault> {
        if self.issuer()? != issuer.issuer.as_str() {
            return Err(TokenFault::Issuer);
        }
        self.refuse_other_kinds()?;
        let (subject, client) = self.caller()?;
        let (expires_at, starts_at) = self.times()?;
        let audience = self.audience()?;
        let claims = self.into_value();
        let scopes = scopes_of(&claims, issuer)?;
        let issuer = issuer.issuer.clone();
        let verified = Arc::new(Verified { issuer, subject, client, scopes, expires_at, claims });
        Ok(Verdict { verified, audience, starts_at, key })
    }

    /// Tokens of the same issuer that are no access tokens (RFC 8725 §3.11, RFC 9068 §5), and those that are bound to a
    /// key of the sender: as a plain bearer token, such a one may have been stolen (RFC 9449 §7.1, RFC 8705 §3).
    pub(super) fn refuse_other_kinds(&self) -> Result<(), TokenFault> {
        if ["at_hash", "c_hash", "events", "cnf"].iter().any(|claim| self.0.contains_key(*claim)) {
            return Err(TokenFault::Type);
        }
        let says = |claim, kinds: &[&str]| {
            let kind = self.text(claim)?;
            Ok(kind.is_some_and(|kind| kinds.iter().any(|other| kind.eq_ignore_ascii_case(other))))
        };
        if says("token_use", &["id"])? || says("typ", &["ID", "Refresh", "Logout"])? {
            return Err(TokenFault::Type);
        }
        Ok(())
    }

    /// `sub`, and the client: the first of `client_id`, `azp`, `cid`, `appid`.
    pub(super) fn caller(&self) -> Result<(Option<String>, Option<String>), TokenFault> {
        let subject = self.name("sub")?;
        let mut client = None;
        for claim in ["client_id", "azp", "cid", "appid"] {
            client = client.or(self.name(claim)?);
        }
        // With neither there is nobody to name in the audit record and to bind a session to.
        if subject.is_none() && client.is_none() {
            return Err(TokenFault::Claim);
        }
        Ok((subject, client))
    }

    /// `exp`, and the later of `nbf` and `iat`.
    pub(super) fn times(&self) -> Result<(u64, u64), TokenFault> {
        let expires_at = self.time("exp", Rounding::Down)?.ok_or(TokenFault::Claim)?;
        let starts_at = self.time("nbf", Rounding::Up)?.max(self.time("iat", Rounding::Up)?).unwrap_or(0);
        Ok((expires_at, starts_at))
    }

    /// A string when present.
    fn text(&self, claim: &str) -> Result<Option<&str>, TokenFault> {
        match self.0.get(claim) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(TokenFault::Claim),
        }
    }

    /// A string that names somebody when present: an empty one would be everybody's.
    fn name(&self, claim: &str) -> Result<Option<String>, TokenFault> {
        match self.text(claim)? {
            Some("") => Err(TokenFault::Claim),
            text => Ok(text.map(str::to_owned)),
        }
    }

    /// A `NumericDate` (RFC 7519 §2) when present: a number, not negative, perhaps with a fraction.
    fn time(&self, claim: &str, rounding: Rounding) -> Result<Option<u64>, TokenFault> {
        let Some(value) = self.0.get(claim) else { return Ok(None) };
        let seconds = match (value.as_u64(), value.as_f64()) {
            (Some(whole), _) => whole,
            (None, Some(seconds)) if seconds.is_finite() && seconds >= 0.0 => rounding.round(seconds),
            (None, _) => return Err(TokenFault::Claim),
        };
        Ok(Some(seconds.min(TIME_MAX)))
    }

    pub(super) fn audience(&self) -> Result<Vec<String>, TokenFault> {
        match self.0.get("aud") {
            None => Err(TokenFault::Audience),
            Some(Value::String(one)) => Ok(vec![one.clone()]),
            Some(Value::Array(several)) => strings(several).map(|several| several.map(str::to_owned).collect()),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => Err(TokenFault::Claim),
        }
    }
}

impl Verdict {
    /// Whether the token is for `recipient`, from an issuer that serves it, and good at `now`.
    pub(super) fn check(&self, recipient: &Recipient, now: u64, leeway_secs: u64) -> Result<(), TokenFault> {
        if !recipient.issuers.contains(&self.verified.issuer) {
            return Err(TokenFault::Issuer);
        }
        if has_expired(self.verified.expires_at, now, leeway_secs) {
            return Err(TokenFault::Expired);
        }
        if is_early(self.starts_at, now, leeway_secs) {
            return Err(TokenFault::NotYetValid);
        }
        names(&self.audience, recipient)
    }

    /// An estimate of the memory that the verdict takes.
    pub(super) fn weight_bytes(&self) -> usize {
        let audience: usize = self.audience.iter().map(|audience| audience.len() + 24).sum();
        let scopes: usize = self.verified.scopes.iter().map(|scope| scope.as_str().len() + 64).sum();
        let names = [&self.verified.subject, &self.verified.client];
        let names: usize = names.into_iter().flatten().map(String::len).sum();
        512 + audience + scopes + names + weight_bytes(&self.verified.claims)
    }
}

/// Whether a token that expires then is of no use any more.
pub(super) fn has_expired(expires_at: u64, now: u64, leeway_secs: u64) -> bool {
    now >= expires_at.saturating_add(leeway_secs)
}

/// Whether a token that starts then is of no use yet.
pub(super) fn is_early(starts_at: u64, now: u64, leeway_secs: u64) -> bool {
    now.saturating_add(leeway_secs) < starts_at
}

/// Whether an audience names `recipient`. A token that was issued for another resource is how a malicious server would act as
/// its caller elsewhere.
pub(super) fn names(audience: &[String], recipient: &Recipient) -> Result<(), TokenFault> {
    if audience.iter().any(|audience| is_for(audience, recipient)) { Ok(()) } else { Err(TokenFault::Audience) }
}

/// The scopes of `claims`, an object, as this issuer writes them.
pub(super) fn scopes_of(claims: &Value, issuer: &IssuerSettings) -> Result<ScopeSet, TokenFault> {
    let present = issuer.scope_claims.iter().filter_map(|path| path.find(claims));
    scopes(present.take(if issuer.scope_claims_merged { usize::MAX } else { 1 }))
}

/// A fraction of a second is never in the token's favour.
#[derive(Clone, Copy)]
enum Rounding {
    Down,
    Up,
}

impl Rounding {
    fn round(self, seconds: f64) -> u64 {
        let whole = match self {
            Self::Down => seconds.floor(),
            Self::Up => seconds.ceil(),
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the caller refused negative numbers, and the cast saturates"
        )]
        let whole = whole as u64;
        whole
    }
}

/// Exact comparison (RFC 8707 §2): no prefix, no case, no normal form.
fn is_for(audience: &str, recipient: &Recipient) -> bool {
    audience == recipient.resource.as_str()
        || bare_origin(&recipient.resource)
            .is_some_and(|origin| audience.strip_suffix('/').unwrap_or(audience) == origin)
        || recipient.audiences.iter().map(Audience::as_str).any(|further| further == audience)
}

/// The resource without its last slash if it is a bare origin: clients disagree about the slash there, and there alone.
fn bare_origin(resource: &ResourceUri) -> Option<&str> {
    let origin = resource.as_str().strip_suffix('/').unwrap_or(resource.as_str());
    let (_, authority) = origin.split_once("://")?;
    (!authority.contains(['/', '?', '#'])).then_some(origin)
}

/// The scopes of all of these claims: a string split on U+0020 alone, or an array of one scope each. A text that is no scope
/// token (RFC 6749 §3.3), an empty one among them, can equal no scope of a rule; it is left out and grants nothing.
fn scopes<'a>(claims: impl Iterator<Item = &'a Value>) -> Result<ScopeSet, TokenFault> {
    let mut scopes = ScopeSet::default();
    for claim in claims {
        let texts: Vec<&str> = match claim {
            Value::String(text) => text.split(' ').collect(),
            Value::Array(items) => strings(items)?.collect(),
            // One of the wrong type spoils the token, whatever the others say.
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return Err(TokenFault::Claim),
        };
        texts.into_iter().filter_map(|text| Scope::parse(text).ok()).for_each(|scope| scopes.insert(scope));
    }
    Ok(scopes)
}

fn strings(items: &[Value]) -> Result<impl Iterator<Item = &str>, TokenFault> {
    if !items.iter().all(Value::is_string) {
        return Err(TokenFault::Claim);
    }
    Ok(items.iter().filter_map(Value::as_str))
}

/// An estimate that errs upwards: the nodes of a map are allocated for several members at a time, and an array for up to
/// twice as many items as it has, four at least.
fn weight_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 32,
        Value::String(text) => 32 + text.len(),
        Value::Array(items) => 160 + items.iter().map(|item| 32 + weight_bytes(item)).sum::<usize>(),
        Value::Object(members) => {
            let members: usize = members.iter().map(|(name, value)| 64 + name.len() + weight_bytes(value)).sum();
            768 + members
        }
    }
}
