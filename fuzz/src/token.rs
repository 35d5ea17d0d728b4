//! Access tokens: a token that is accepted has one spelling, a header that asks for nothing else, and every claim that it
//! must have (RFC 9068 §2, §4).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use gatepost::oauth::scope::Scope;
use gatepost::token::{KeySource, Principal, TokenError};

use super::tree::Tree;
use super::validator::{self, ISSUER, KEYS_URL, NOW, RESOURCE, World};

/// A header and claims, parted by a line feed, are signed with the issuer's key; bytes that do not begin with a brace are a
/// token as they are.
///
/// # Panics
/// Where a token is accepted that must not be, or read as another.
pub fn check(bytes: &[u8]) {
    thread_local! {
        static WORLD: World = {
            let keys = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"k","x":"{}"}}]}}"#, validator::public_key());
            World::new(KeySource::Uri(KEYS_URL.to_owned()), [(KEYS_URL, Bytes::from(keys))])
        };
    }
    let token = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) if bytes.starts_with(b"{") => {
            let (header, claims) = bytes.split_at(end);
            validator::sign(header, claims.get(1..).unwrap_or_default()).into_bytes()
        }
        Some(_) | None => bytes.to_vec(),
    };
    WORLD.with(|world| {
        let Some(outcome) = world.validate(&token) else { return };
        if let Ok(principal) = &outcome {
            check_accepted(&token, principal);
        }
        // The second time it comes from the cache.
        let again = world.validate(&token).expect("the same header");
        assert_eq!(fault(&outcome), fault(&again));
    });
}

fn fault(outcome: &Result<Principal, TokenError>) -> Option<TokenError> {
    outcome.as_ref().err().copied()
}

fn check_accepted(token: &[u8], principal: &Principal) {
    let token = std::str::from_utf8(token).expect("ASCII");
    let parts: Vec<Vec<u8>> =
        token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).expect("base64url without padding")).collect();
    let [header, claims, signature] = parts.as_slice() else { panic!("three parts") };
    assert_eq!(signature.len(), 64);
    assert_eq!(token, validator::sign(header, claims), "a token has one spelling");

    let header = read(header);
    assert_eq!(header.get(&["alg"]).and_then(Tree::text), Some("EdDSA"));
    assert!(["crit", "b64", "zip"].iter().all(|name| header.get(&[name]).is_none()));
    assert!(header.get(&["kid"]).is_none_or(|kid| kid.text() == Some("k")));
    let types = ["at+jwt", "application/at+jwt", "jwt"];
    let is_access = |typ: &Tree| typ.text().is_some_and(|typ| types.contains(&typ.to_ascii_lowercase().as_str()));
    assert!(header.get(&["typ"]).is_none_or(is_access));

    let claims = read(claims);
    assert_eq!(claims.get(&["iss"]).and_then(Tree::text), Some(ISSUER));
    let audience = claims.get(&["aud"]).expect("an audience");
    let audiences = audience.elements().unwrap_or(std::slice::from_ref(audience));
    assert!(audiences.iter().all(|audience| audience.text().is_some()));
    assert!(audiences.iter().any(|audience| audience.text() == Some(RESOURCE)));
    #[expect(clippy::cast_precision_loss, reason = "the time is far below 2^52")]
    let now = NOW as f64;
    assert!(seconds(&claims, "exp").expect("an end") > now - 30.0);
    assert!(["nbf", "iat"].iter().filter_map(|claim| seconds(&claims, claim)).all(|start| start <= now + 30.0));
    assert!(["cnf", "events", "at_hash", "c_hash"].iter().all(|claim| claims.get(&[claim]).is_none()));

    let name = |claim: &str| claims.get(&[claim]).map(|name| name.text().expect("text"));
    assert_eq!(principal.issuer().as_str(), ISSUER);
    assert_eq!(principal.subject(), name("sub"));
    assert_eq!(principal.client(), ["client_id", "azp", "cid", "appid"].into_iter().find_map(name));
    assert!([principal.subject(), principal.client()].iter().any(Option::is_some));
    assert!(![principal.subject(), principal.client()].contains(&Some("")));
    let mut scopes = Vec::new();
    match claims.get(&["scope"]).or_else(|| claims.get(&["realm", "scp"])) {
        None => {}
        Some(Tree::Text(text)) => scopes.extend(text.split(' ')),
        Some(list) => scopes.extend(list.elements().expect("a list").iter().map(|scope| scope.text().expect("text"))),
    }
    scopes.retain(|scope| Scope::parse(scope).is_ok());
    let granted: Vec<&str> = principal.scopes().iter().map(Scope::as_str).collect();
    assert!(granted.iter().all(|scope| scopes.contains(scope)) && scopes.iter().all(|scope| granted.contains(scope)));
}

fn read(part: &[u8]) -> Tree {
    let document = Tree::read(part).expect("JSON");
    assert!(document.members().is_some() && !document.has_twins());
    document
}

/// A time, which must be a number that is not negative.
fn seconds(claims: &Tree, claim: &str) -> Option<f64> {
    let value = claims.get(&[claim])?;
    let Tree::Number(number) = value else { panic!("{claim}: {value:?}") };
    number.as_f64().filter(|seconds| *seconds >= 0.0).or_else(|| panic!("{claim}: {value:?}"))
}
