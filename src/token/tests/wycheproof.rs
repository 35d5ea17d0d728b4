//! The public test vectors of Project Wycheproof, driven through reading of key sets and verification of signatures.

use std::path::Path;

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::super::{jwks, jwt};

const ALLOWED: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Every vector of a file: an invalid one is refused, a valid one under an algorithm that is allowed is accepted, and a
/// valid one under any other is refused. Returns how many were accepted and refused; `None` when there is no such file.
fn drive(file: &str) -> Option<(usize, usize)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora").join(file);
    let Ok(text) = std::fs::read(&path) else {
        eprintln!("{} is absent: nothing tested", path.display());
        return None;
    };
    let corpus: Value = serde_json::from_slice(&text).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for group in corpus["testGroups"].as_array().unwrap() {
        let key = group.get("public").unwrap_or(&group["private"]);
        let document = if key.get("keys").is_some() { key.clone() } else { json!({"keys": [key]}) };
        let keys = jwks::read(document.to_string().as_bytes(), &ALLOWED, None).unwrap().set;
        for test in group["tests"].as_array().unwrap() {
            // A vector in JSON serialisation is an object: as a bearer token it would come as text.
            let vector = test.get("jws").or_else(|| test.get("jwe")).unwrap();
            let token = vector.as_str().map_or_else(|| vector.to_string(), str::to_owned);
            let verified = jwt::verify_jws(&token, &keys).is_ok();
            assert_eq!(verified, is_ours_to_accept(key, test, &token), "{file} {}: {}", test["tcId"], test["comment"]);
            if verified { accepted += 1 } else { refused += 1 }
        }
    }
    Some((accepted, refused))
}

fn is_ours_to_accept(key: &Value, test: &Value, token: &str) -> bool {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let header = token.split('.').next().and_then(|header| URL_SAFE_NO_PAD.decode(header).ok()).unwrap_or_default();
    let header: Value = serde_json::from_slice(&header).unwrap_or_default();
    let Some(alg) = header["alg"].as_str() else { return false };
    // The corpus contradicts itself about a token whose algorithm is not the one its key names: valid for two examples
    // of RFC 7520, invalid everywhere else. The key decides.
    let key_names_it = |key: &Value| key.get("alg").is_none_or(|named| named == alg);
    let named = key["keys"].as_array().map_or_else(|| key_names_it(key), |keys| keys.iter().any(key_names_it));
    test["result"] == "valid" && jwks::algorithm(alg).is_some() && named
}

fn check(file: &str, expect: (usize, usize)) {
    if let Some(counts) = drive(file) {
        assert_eq!(counts, expect, "accepted and refused in {file}");
    }
}

#[test]
fn signature_vectors() {
    check("wycheproof_json_web_signature_test.json", (32, 369));
}

#[test]
fn key_vectors() {
    check("wycheproof_json_web_key_test.json", (1, 25));
}

#[test]
fn crypto_vectors() {
    check("wycheproof_json_web_crypto_test.json", (2, 81));
}
