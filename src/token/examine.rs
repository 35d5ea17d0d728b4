//! What each check says of a token, in the order in which tokens are validated: for people who ask why one is refused. The
//! verdict is that of validation itself; the checks beside it are the same functions, which go on after the first fault.
//! Nothing here makes a principal or prints a token.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::claims::{self, Claims};
use super::jwt::Jws;
use super::{IssuerSettings, KnownIssuer, Principal, Recipient, TokenError, Validator, cache};
use crate::mcp::strict;
use crate::oauth::bearer::AccessToken;
use crate::oauth::scope::ScopeSet;
use crate::rejection::TokenFault;

/// What became of a token on one route.
#[derive(Debug)]
pub struct Examined {
    /// The verdict of validation.
    pub verdict: Result<Principal, TokenError>,
    /// Each check that could be made, in order.
    pub checks: Vec<(Check, Outcome)>,
    /// The scopes that the token claims for itself; `None` where nobody can say.
    pub claimed: Option<ScopeSet>,
    /// Seconds since 1970, as the checks of time had them.
    pub now: u64,
}

/// One check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Three parts of base64url, a strict header, an algorithm that is known.
    Form,
    /// `typ` of the header.
    HeaderType,
    /// The payload is one strict JSON object.
    Payload,
    /// `iss` is an issuer of the file, and of this route.
    Issuer,
    /// `alg` is one that this issuer may use.
    Algorithm,
    /// A key of this issuer, as the token names it.
    Key,
    /// The signature, by that key.
    Signature,
    /// It is an access token, and not bound to a key of the sender.
    Kind,
    /// It says whose it is.
    Caller,
    /// `exp`, `nbf` and `iat` are times, and `exp` is there.
    Times,
    /// `aud` is there, and is what an audience may be.
    AudienceForm,
    /// The scopes can be read.
    Scopes,
    /// `exp` is ahead.
    Expiry,
    /// `nbf` and `iat` have passed.
    Start,
    /// `aud` names the route's resource.
    Audience,
}

/// What a check said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing against the token.
    Passed,
    /// This, for which it is refused.
    Failed(TokenFault),
    /// It could not be made, for this reason: the issuer's keys are not to be had.
    Unknown(String),
}

/// Header and claims as the token has them, each as JSON if it is that, else as text, for people alone: nothing of it is
/// verified.
#[derive(Debug)]
pub struct Shown {
    /// The first part.
    pub header: Part,
    /// The second part.
    pub claims: Part,
}

/// A part of a token.
#[derive(Debug)]
pub enum Part {
    /// Strict JSON.
    Json(Value),
    /// Begins like JSON, and is none that can be relied on.
    Text(String),
    /// Not there, or nothing of the kind.
    Unreadable,
}

/// Header and claims of a token, as far as there are any. Nothing of a token that is no JWT: all of it is the secret.
#[must_use]
pub fn shown(token: &AccessToken) -> Shown {
    let parts: Vec<&str> = token.as_str().split('.').collect();
    match parts.as_slice() {
        [header, claims, _signature] => Shown { header: part(header), claims: part(claims) },
        // An encrypted one (RFC 7516 §7.1) still says so.
        [header, _, _, _, _] => Shown { header: part(header), claims: Part::Unreadable },
        _ => Shown { header: Part::Unreadable, claims: Part::Unreadable },
    }
}

/// The issuer that a token says it is of, unverified: to know whose keys are wanted.
#[must_use]
pub fn named_issuer(token: &AccessToken) -> Option<String> {
    let jws = Jws::read(token.as_str()).ok()?;
    Some(Claims::read(jws.payload()).ok()?.issuer().ok()?.to_owned())
}

/// The scopes that these claims, an object, amount to at this issuer: what a token with them would hold.
pub fn scopes_of(claims: &Value, issuer: &IssuerSettings) -> Result<ScopeSet, TokenFault> {
    claims::scopes_of(claims, issuer)
}

impl Validator {
    /// Validates `token` for `recipient`, once the keys of its issuer have come or failed to, and says what each check says.
    pub async fn examine(&self, token: &AccessToken, recipient: &Recipient) -> Examined {
        let known = named_issuer(token).and_then(|name| self.issuers.get(&name));
        if let Some(issuer) = known {
            issuer.keys.tried().await;
        }
        let verdict = self.judge(token, cache::token_digest(token.as_str()), recipient).await;
        let now = self.clock.now();
        let mut examined = Examined { verdict, checks: Vec::new(), claimed: None, now };
        match Jws::read(token.as_str()) {
            Ok(jws) => {
                examined.add(Check::Form, Ok(()));
                self.check_all(&jws, recipient, &mut examined).await;
            }
            Err(fault) => examined.add(Check::Form, Err(fault)),
        }
        examined
    }

    async fn check_all(&self, jws: &Jws<'_>, recipient: &Recipient, examined: &mut Examined) {
        examined.add(Check::HeaderType, jws.check_type());
        let claims = match Claims::read(jws.payload()) {
            Ok(claims) => claims,
            Err(fault) => return examined.add(Check::Payload, Err(fault)),
        };
        examined.add(Check::Payload, Ok(()));
        let named = claims.issuer().map(|name| self.issuers.get(name));
        let serves = |issuer: &KnownIssuer| recipient.issuers.contains(&issuer.settings.issuer);
        let issuer = match named {
            Ok(Some(issuer)) => {
                examined.add(Check::Issuer, if serves(issuer) { Ok(()) } else { Err(TokenFault::Issuer) });
                Some(issuer)
            }
            Ok(None) => {
                examined.add(Check::Issuer, Err(TokenFault::Issuer));
                None
            }
            Err(fault) => {
                examined.add(Check::Issuer, Err(fault));
                None
            }
        };
        if let Some(issuer) = issuer {
            let allowed = issuer.settings.algorithms.contains(&jws.algorithm());
            examined.add(Check::Algorithm, if allowed { Ok(()) } else { Err(TokenFault::Algorithm) });
            examined.check_signature(jws, issuer).await;
        }
        examined.add(Check::Kind, claims.refuse_other_kinds());
        examined.add(Check::Caller, claims.caller().map(drop));
        let (times, audience) = (claims.times(), claims.audience());
        examined.add(Check::Times, times.map(drop));
        examined.add(Check::AudienceForm, audience.as_ref().map(drop).map_err(|fault| *fault));
        if let Some(issuer) = issuer {
            let scopes = claims::scopes_of(&claims.into_value(), &issuer.settings);
            examined.add(Check::Scopes, scopes.as_ref().map(drop).map_err(|fault| *fault));
            examined.claimed = scopes.ok();
        }
        let leeway_secs = issuer.map_or(0, |issuer| issuer.settings.leeway_secs);
        if let Ok((expires_at, starts_at)) = times {
            let expired = claims::has_expired(expires_at, examined.now, leeway_secs);
            examined.add(Check::Expiry, if expired { Err(TokenFault::Expired) } else { Ok(()) });
            let early = claims::is_early(starts_at, examined.now, leeway_secs);
            examined.add(Check::Start, if early { Err(TokenFault::NotYetValid) } else { Ok(()) });
        }
        if let Ok(audience) = audience {
            examined.add(Check::Audience, claims::names(&audience, recipient));
        }
    }
}

impl Examined {
    fn add(&mut self, check: Check, said: Result<(), TokenFault>) {
        self.checks.push((check, said.map_or_else(Outcome::Failed, |()| Outcome::Passed)));
    }

    async fn check_signature(&mut self, jws: &Jws<'_>, issuer: &Arc<KnownIssuer>) {
        let signed = match jws.kid() {
            Some(kid) => issuer.keys.find(kid).await.map(|key| jws.verify(&key)),
            None => issuer.keys.current().map(|keys| jws.verify_with_any(&keys).map(drop)),
        };
        match signed {
            Ok(signed) => {
                // Without `kid` it is the trial of keys that finds none.
                let no_key = signed == Err(TokenFault::UnknownKey);
                self.add(Check::Key, if no_key { signed } else { Ok(()) });
                if !no_key {
                    self.add(Check::Signature, signed);
                }
            }
            Err(TokenError::Invalid(fault)) => self.add(Check::Key, Err(fault)),
            Err(TokenError::KeysUnavailable { .. }) => {
                let fault = issuer.keys.standing().fault.unwrap_or_else(|| "no answer in time".to_owned());
                self.checks.push((Check::Key, Outcome::Unknown(fault)));
            }
        }
    }
}

fn part(text: &str) -> Part {
    let Some(bytes) = URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.starts_with(b"{")) else {
        return Part::Unreadable;
    };
    let strict = strict::check(&bytes, DEPTH_MAX).is_ok();
    match serde_json::from_slice(&bytes).ok().filter(|_| strict) {
        Some(json) => Part::Json(json),
        // Not repaired: what two readers take differently is shown as it is.
        None => Part::Text(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// How deep header and claims may nest to be shown as JSON.
const DEPTH_MAX: usize = 64;
