//! Which keys of a document are usable, which are ignored, and which documents are refused.

use super::super::ALGORITHMS;
use super::super::jwks::{Import, read};
use super::*;

fn import(keys: &Value) -> Import {
    read(json!({"keys": keys}).to_string().as_bytes(), &issuer(ISSUER).algorithms, None).unwrap()
}

const RSA_MODULUS: &str = "kqGboBfAWttWPCA-0cGRgsY6SaYoIARt0B_PkaEcIq9HPYNdu9n6UuWHuuTHrjF_ZoQW97r5HaAorNvrMEGTGdxCHZdEtkHvN\
    VVmrtxTBLiQCbCozXhFoIrVcr3qUBrdGnNn_M3jJi7Wg7p_-x62nS5gNG875oyheRkutHsQXikFZwsN3q_TsPNOVlCiHy8mxzaFTUQGm-X8UYexFyAivlDSjg\
    DJLAZSWfxd7k9Gxuwa3AUfQqQcVcegmgKGCaErQ3qQbh1x7WB6iopE3_-GZ8HMAVtR9AmrVscqYsnjhaCehfAI0iKKs8zXr8tISc0ORbaalrkk03H1ZrsEnDK\
    EWQ";

#[test]
fn one_unusable_key_does_not_spoil_the_others() {
    let ec = || Signer::es256("ec").jwk();
    let ed = || Signer::ed25519("ed").jwk();
    let rsa = || json!({"kty": "RSA", "kid": "rsa", "n": RSA_MODULUS, "e": "AQAB"});
    let check = |base: Value, patch: Value, usable: bool| {
        let key = patched(base, &patch);
        let import = import(&json!([key, Signer::es256("beside").jwk()]));
        assert!(import.set.by_kid("beside").is_some(), "{key}");
        assert_eq!(import.set.len(), if usable { 2 } else { 1 }, "{key}");
        assert_eq!(import.ignored.len(), usize::from(!usable), "{key}");
    };
    check(ec(), json!({}), true);
    check(ed(), json!({}), true);
    check(rsa(), json!({}), true);
    check(ec(), json!({"kid": ABSENT}), true);
    check(ec(), json!({"use": "sig", "key_ops": ["verify"], "alg": "ES256"}), true);
    check(ec(), json!({"x5c": ["not read"], "x5u": 1}), true);
    check(rsa(), json!({"alg": "RS256"}), true);
    check(rsa(), json!({"alg": "PS256"}), true);
    check(rsa(), json!({"n": format!("AAAA{RSA_MODULUS}")}), true);
    // Not for signatures.
    check(ec(), json!({"use": "enc"}), false);
    check(ec(), json!({"use": "SIG"}), false);
    check(ec(), json!({"use": null}), false);
    check(ec(), json!({"key_ops": ["sign"]}), false);
    check(ec(), json!({"key_ops": []}), false);
    check(ec(), json!({"key_ops": "verify"}), false);
    check(ec(), json!({"key_ops": ["verify", 1]}), false);
    // Algorithms that do not fit, or that this issuer may not use.
    check(ec(), json!({"alg": "ES384"}), false);
    check(ec(), json!({"alg": "RS256"}), false);
    check(ec(), json!({"alg": "HS256"}), false);
    check(ec(), json!({"alg": "none"}), false);
    check(ec(), json!({"alg": null}), false);
    check(rsa(), json!({"alg": "RS512"}), false);
    check(rsa(), json!({"alg": "RSA-OAEP"}), false);
    check(ed(), json!({"alg": "ES256"}), false);
    // Key types and curves.
    check(ec(), json!({"kty": "oct", "k": "AAAA"}), false);
    check(ec(), json!({"kty": "ec"}), false);
    check(ec(), json!({"kty": "AKP"}), false);
    check(ec(), json!({"kty": 1}), false);
    check(ec(), json!({"kty": ABSENT}), false);
    check(ec(), json!({"kty": "RSA"}), false);
    check(ec(), json!({"crv": "P-384"}), false);
    check(ec(), json!({"crv": "P-521"}), false);
    check(ec(), json!({"crv": "secp256k1"}), false);
    check(ec(), json!({"crv": "p-256"}), false);
    check(ec(), json!({"crv": ABSENT}), false);
    check(ed(), json!({"crv": "Ed448"}), false);
    check(ed(), json!({"crv": "X25519"}), false);
    // Private, identified wrongly, or broken.
    check(ec(), json!({"d": "AAAA"}), false);
    check(rsa(), json!({"p": "AAAA"}), false);
    check(ec(), json!({"k": ""}), false);
    check(ec(), json!({"kid": 1}), false);
    check(ec(), json!({"kid": null}), false);
    check(ec(), json!({"kid": "k".repeat(256)}), true);
    check(ec(), json!({"kid": "k".repeat(257)}), false);
    check(ec(), json!({"x": "AAAA"}), false);
    check(ec(), json!({"x": ABSENT}), false);
    check(ec(), json!({"y": 1}), false);
    check(ec(), json!({"y": Signer::es256("other").jwk()["y"]}), false);
    check(ec(), json!({"x": format!("{}=", ec()["x"].as_str().unwrap())}), false);
    check(ed(), json!({"x": ""}), false);
    check(rsa(), json!({"e": "AQ"}), false);
    check(rsa(), json!({"e": "Aw"}), false);
    check(rsa(), json!({"e": "AQAC"}), false);
    check(rsa(), json!({"n": &RSA_MODULUS[..170]}), false);
    check(json!("not an object"), json!({}), false);
}

/// `patched` leaves what is no object alone.
fn patched(base: Value, patch: &Value) -> Value {
    if base.is_object() { super::patched(base, patch) } else { base }
}

/// RFC 8725 §3.1: what a key names, else the first that fits it of those that the issuer may use.
#[test]
fn a_key_is_used_with_one_algorithm() {
    let check = |key: Value, allowed: &[Algorithm], expect: &[Algorithm]| {
        let set = read(json!({"keys": [key]}).to_string().as_bytes(), allowed, None).unwrap().set;
        let accepted = ALGORITHMS.iter().filter(|(_, algorithm)| set.fitting(*algorithm).next().is_some());
        assert_eq!(accepted.map(|(_, algorithm)| *algorithm).collect::<Vec<_>>(), expect, "{key} {allowed:?}");
    };
    let all = ALGORITHMS.map(|(_, algorithm)| algorithm);
    let rsa = |alg: &str| json!({"kty": "RSA", "n": RSA_MODULUS, "e": "AQAB", "alg": alg});
    let nameless = || json!({"kty": "RSA", "n": RSA_MODULUS, "e": "AQAB"});
    check(nameless(), &all, &[Algorithm::RS256]);
    check(nameless(), &[Algorithm::ES256, Algorithm::PS512, Algorithm::RS256], &[Algorithm::PS512]);
    check(nameless(), &[Algorithm::ES256], &[]);
    check(rsa("PS384"), &all, &[Algorithm::PS384]);
    check(rsa("PS384"), &[Algorithm::RS256], &[]);
    check(Signer::es256("k").jwk(), &all, &[Algorithm::ES256]);
    check(Signer::ed25519("k").jwk(), &all, &[Algorithm::EdDSA]);
}

#[test]
fn two_keys_of_one_identifier_are_both_ignored() {
    let (one, two, other) = (Signer::es256("same"), Signer::es256("same"), Signer::es256("other"));
    let import = import(&json!([one.jwk(), two.jwk(), other.jwk()]));
    assert_eq!(import.set.len(), 1);
    assert!(import.set.by_kid("same").is_none());
    assert_eq!(import.ignored.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn the_same_key_twice_is_one_key() {
    let key = Signer::es256("same");
    let import = import(&json!([key.jwk(), key.jwk()]));
    assert_eq!((import.set.len(), import.ignored.len()), (1, 0));
}

#[test]
fn a_key_for_encryption_does_not_shadow_one_for_signatures() {
    let key = Signer::es256("same");
    let import = import(&json!([patched(Signer::es256("same").jwk(), &json!({"use": "enc"})), key.jwk()]));
    assert!(import.set.by_kid("same").is_some());
}

#[test]
fn documents() {
    let check = |document: &str, ok: bool| {
        let import = read(document.as_bytes(), &issuer(ISSUER).algorithms, None);
        assert_eq!(import.is_ok(), ok, "{}", &document[..document.len().min(60)]);
    };
    let keys = |count: usize| json!({"keys": vec![Signer::es256("k").jwk(); count]}).to_string();
    check(r#"{"keys":[]}"#, true);
    check(&keys(100), true);
    check(&keys(101), false);
    check(&format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(512 * 1024 - 18)), true);
    check(&format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(512 * 1024)), false);
    check("", false);
    check("[]", false);
    check("{}", false);
    check(r#"{"keys":{}}"#, false);
    check(r#"{"keys":null}"#, false);
    check(r#"{"keys":[],"keys":[]}"#, false);
    check(r#"{"keys":[]}x"#, false);
    check("<html>", false);
}

#[test]
fn unchanged_keys_are_kept_as_they_are() {
    let (old, new) = (Signer::es256("old"), Signer::es256("new"));
    let algorithms = issuer(ISSUER).algorithms;
    let before = read(jwks(&[&old]).as_bytes(), &algorithms, None).unwrap().set;
    let after = read(jwks(&[&new, &old]).as_bytes(), &algorithms, Some(&before)).unwrap().set;
    let (before, after) = (before.by_kid("old").unwrap(), after.by_kid("old").unwrap());
    assert!(Arc::ptr_eq(before, after));
}

#[test]
fn a_key_is_another_key_under_another_name() {
    let key = Signer::es256("name");
    let mut renamed = key.jwk();
    renamed["kid"] = json!("other name");
    let import = import(&json!([key.jwk(), renamed]));
    let prints: Vec<_> = ["name", "other name"].map(|kid| import.set.by_kid(kid).unwrap().fingerprint()).into();
    assert_ne!(prints[0], prints[1]);
}
