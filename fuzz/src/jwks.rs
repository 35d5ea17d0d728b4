//! JWK Sets: a token verifies only by a key that the document publishes for signatures, under this token's `kid` alone.

use std::sync::LazyLock;

use bytes::Bytes;
use gatepost::token::KeySource;

use super::tree::Tree;
use super::validator::{self, ISSUER, KEYS_URL, NOW, RESOURCE, World};

/// Takes the bytes for the issuer's keys, and validates tokens of one key with the `kid`s `a` and `b` and without any.
///
/// # Panics
/// Where a token is accepted that the document publishes no key for.
pub fn check(bytes: &[u8]) {
    static TOKENS: LazyLock<[(Option<&str>, String); 3]> = LazyLock::new(|| {
        let claims = format!(r#"{{"iss":"{ISSUER}","aud":"{RESOURCE}","sub":"ada","exp":{}}}"#, NOW + 60);
        [None, Some("a"), Some("b")].map(|kid| {
            let header = kid.map_or_else(String::new, |kid| format!(r#","kid":"{kid}""#));
            (kid, validator::sign(format!(r#"{{"alg":"EdDSA"{header}}}"#).as_bytes(), claims.as_bytes()))
        })
    });
    // A document without it costs the set-up of a validator and shows nothing.
    if !bytes.windows(4).any(|part| part == b"keys") {
        return;
    }
    let world = World::new(KeySource::Uri(KEYS_URL.to_owned()), [(KEYS_URL, Bytes::copy_from_slice(bytes))]);
    for (kid, token) in TOKENS.iter() {
        if world.validate(token.as_bytes()).expect("a header").is_ok() {
            check_accepted(bytes, *kid);
        }
    }
}

fn check_accepted(bytes: &[u8], kid: Option<&str>) {
    let document = Tree::read(bytes).expect("JSON");
    assert!(!document.has_twins() && document.depth() <= 16);
    let keys = document.get(&["keys"]).and_then(Tree::elements).expect("keys");
    assert!(keys.len() <= 100);
    let ours: Vec<&Tree> = keys.iter().filter(|key| verifies(key)).collect();
    let named = |key: &&&Tree| kid.is_none() || key.get(&["kid"]).and_then(Tree::text) == kid;
    assert!(ours.iter().any(|key| named(&key)), "{kid:?}");
}

/// Whether the document publishes this as our key, for verifying what we sign.
fn verifies(key: &Tree) -> bool {
    let text = |member: &str| key.get(&[member]).and_then(Tree::text);
    let says = |member: &str, value: &str| key.get(&[member]).is_none_or(|given| given.text() == Some(value));
    let operations = key.get(&["key_ops"]).map(|operations| operations.elements().unwrap_or_default());
    text("kty") == Some("OKP")
        && text("crv") == Some("Ed25519")
        && text("x") == Some(&validator::public_key())
        && says("use", "sig")
        && says("alg", "EdDSA")
        && operations.is_none_or(|operations| operations.iter().any(|operation| operation.text() == Some("verify")))
        && key.get(&["kid"]).is_none_or(|kid| kid.text().is_some_and(|kid| kid.len() <= 256))
        && ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().all(|member| key.get(&[member]).is_none())
}
