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

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header};
    use proptest::prelude::*;

    use super::*;
    use crate::oauth::ids::{Issuer, PublicOrigin, ResourceUri};
    use crate::token::clock::Clock;
    use crate::token::{Fetch, FetchError, Fetched, KeySource};

    /// Nothing can be fetched.
    struct Nowhere;

    impl Fetch for Nowhere {
        fn get<'a>(
            &'a self,
            _: &'a str,
        ) -> std::pin::Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'a>> {
            Box::pin(async { Err(FetchError("there is no network".to_owned())) })
        }
    }

    fn token(text: &str) -> AccessToken {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {text}")).unwrap());
        AccessToken::take(&mut headers, 1 << 20).unwrap()
    }

    fn jwt(header: &str, claims: &str) -> String {
        format!("{}.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    }

    fn examined(text: &str) -> Examined {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let settings = IssuerSettings {
                issuer: Issuer::parse("https://as.example").unwrap(),
                keys: KeySource::Uri("https://as.example/jwks".to_owned()),
                algorithms: vec![jsonwebtoken::Algorithm::ES256],
                scope_claims_merged: false,
                scope_claims: vec![super::super::ClaimPath::parse("scope").unwrap()],
                leeway_secs: 0,
                keys_stale_secs_max: 60,
                keys_cooldown_secs: 10,
            };
            let recipient = Recipient {
                issuers: vec![settings.issuer.clone()],
                resource: ResourceUri::of(&PublicOrigin::parse("https://mcp.example").unwrap(), "/mcp"),
                audiences: Vec::new(),
            };
            let clock = Clock::from_fn(|| 1000);
            let validator = Validator::start(vec![settings], Arc::new(Nowhere), clock, 1 << 20).unwrap();
            validator.examine(&token(text), &recipient).await
        })
    }

    fn faults(examined: &Examined) -> Vec<(Check, TokenFault)> {
        let fault = |(check, outcome): &(Check, Outcome)| match outcome {
            Outcome::Failed(fault) => Some((*check, *fault)),
            Outcome::Passed | Outcome::Unknown(_) => None,
        };
        examined.checks.iter().filter_map(fault).collect()
    }

    #[test]
    fn every_fault_is_named_and_the_first_is_the_verdict() {
        let check = |header: &str, claims: &str, expect: &[(Check, TokenFault)]| {
            let examined = examined(&jwt(header, claims));
            assert_eq!(faults(&examined), expect, "{header} {claims}");
            let first = expect.first().map(|(_, fault)| TokenError::Invalid(*fault));
            match examined.verdict {
                // Faults behind the keys are not seen without them.
                Err(TokenError::KeysUnavailable { .. }) => {
                    assert!(examined.checks.iter().any(|(_, outcome)| matches!(outcome, Outcome::Unknown(_))));
                }
                verdict => assert_eq!(verdict.err(), first, "{header} {claims}"),
            }
        };
        let good = r#"{"alg":"ES256","typ":"at+jwt","kid":"k"}"#;
        check(r#"{"alg":"none"}"#, "{}", &[(Check::Form, TokenFault::Algorithm)]);
        check("{", "{}", &[(Check::Form, TokenFault::Malformed)]);
        check(r#"{"alg":"ES256","alg":"RS256"}"#, "{}", &[(Check::Form, TokenFault::Malformed)]);
        check(good, r#"{"iss":"a","iss":"b"}"#, &[(Check::Payload, TokenFault::Malformed)]);
        check(
            r#"{"alg":"RS256","typ":"logout+jwt"}"#,
            r#"{"iss":"https://as.example","sub":"","exp":"soon","aud":7,"scope":1,"cnf":{}}"#,
            &[
                (Check::HeaderType, TokenFault::Type),
                (Check::Algorithm, TokenFault::Algorithm),
                (Check::Kind, TokenFault::Type),
                (Check::Caller, TokenFault::Claim),
                (Check::Times, TokenFault::Claim),
                (Check::AudienceForm, TokenFault::Claim),
                (Check::Scopes, TokenFault::Claim),
            ],
        );
        check(
            good,
            r#"{"iss":"https://other.example","sub":"a","exp":1000,"nbf":2000,"aud":"https://mcp.example/other"}"#,
            &[
                (Check::Issuer, TokenFault::Issuer),
                (Check::Expiry, TokenFault::Expired),
                (Check::Start, TokenFault::NotYetValid),
                (Check::Audience, TokenFault::Audience),
            ],
        );
        check(
            good,
            r#"{"iss":"https://as.example","sub":"a","exp":1,"aud":"https://mcp.example/mcp"}"#,
            &[(Check::Expiry, TokenFault::Expired)],
        );
    }

    #[test]
    fn without_keys_it_says_what_the_token_claims_and_why_there_are_none() {
        let claims =
            r#"{"iss":"https://as.example","sub":"a","exp":2000,"aud":"https://mcp.example/mcp","scope":"a b"}"#;
        let examined = examined(&jwt(r#"{"alg":"ES256","kid":"k"}"#, claims));
        assert!(matches!(examined.verdict, Err(TokenError::KeysUnavailable { .. })));
        assert_eq!(examined.claimed.unwrap().to_string(), "a b");
        let unknown = examined.checks.iter().find(|(check, _)| *check == Check::Key).unwrap();
        assert!(matches!(&unknown.1, Outcome::Unknown(why) if why.contains("no network")), "{unknown:?}");
    }

    #[test]
    fn what_is_no_jwt_is_not_shown() {
        for text in ["c2VjcmV0", "c2VjcmV0.c2VjcmV0", "c2VjcmV0.c2VjcmV0.c2VjcmV0", "e30", "e30.e30", "a.b.c.d"] {
            let Shown { header, claims } = shown(&token(text));
            assert!(matches!((header, claims), (Part::Unreadable, Part::Unreadable)), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever stands there: no panic, and the first fault is the verdict.
        #[test]
        fn any_token_can_be_examined(
            text in "[A-Za-z0-9._~+/-]{1,60}={0,2}",
            header in r#"\{("(alg|typ|kid|crit)":("ES256"|"JWT"|7|null)(,"(typ|kid)":("x"|\[\]))?)?\}"#,
            claims in r#"\{("iss":("https://as.example"|1)(,"(sub|exp|aud|nbf|scope)":("a"|1|-1|1e300|null|\["b",2\])){0,4})?\}"#,
        ) {
            for text in [text, jwt(&header, &claims)] {
                let (examined, token) = (examined(&text), token(&text));
                let first = faults(&examined).first().map(|(_, fault)| TokenError::Invalid(*fault));
                if let Err(error @ TokenError::Invalid(_)) = examined.verdict {
                    prop_assert_eq!(Some(error), first);
                }
                drop(shown(&token));
            }
        }
    }
}
