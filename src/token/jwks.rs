//! Which keys of a JWK Set may verify tokens (RFC 7517, RFC 7518 §6, RFC 8037). A key that is weak, not for signatures,
//! symmetric, private or ambiguous is left out with a reason and does not spoil the others. Nothing here fetches, and
//! `x5u`, `x5c` are never read.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use super::{ALGORITHMS, Algorithm, rsa};
use crate::mcp::strict;

/// The largest document read.
pub(super) const DOCUMENT_BYTES_MAX: usize = 512 * 1024;
/// The longest key identifier, in a key set and in a token.
pub(super) const KID_BYTES_MAX: usize = 256;
const KEYS_MAX: usize = 100;
const DEPTH_MAX: usize = 16;

/// SHA-256 of everything that decides what a key verifies.
pub(super) type Fingerprint = [u8; 32];

/// One public key that may verify tokens of one issuer.
#[derive(Debug)]
pub(super) struct Key {
    kid: Option<Box<str>>,
    /// The one algorithm it is used with (RFC 8725 §3.1), whatever a token's `alg` says.
    algorithm: Algorithm,
    signature_bytes: usize,
    decoding: DecodingKey,
    fingerprint: Fingerprint,
}

/// The usable keys of one issuer. Every issuer has its own set, so that no issuer's key verifies another's token.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    keys: Vec<Arc<Key>>,
    by_kid: HashMap<Box<str>, Arc<Key>>,
}

/// A document, read.
#[derive(Debug)]
pub(super) struct Import {
    /// The usable keys; perhaps none.
    pub(super) set: KeySet,
    /// The other keys: place in the document and reason, for one log line. The reason holds nothing of the document.
    pub(super) ignored: Vec<(usize, &'static str)>,
}

impl Key {
    /// Whether the key may verify a signature of this algorithm.
    pub(super) fn accepts(&self, algorithm: Algorithm) -> bool {
        self.algorithm == algorithm
    }
    /// How long a signature is, exactly.
    pub(super) fn signature_bytes(&self) -> usize {
        self.signature_bytes
    }
    /// For verifying; made once.
    pub(super) fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }
    /// Identifies the key together with its `kid` and algorithm.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

impl KeySet {
    /// The key of this identifier, compared byte for byte.
    pub(super) fn by_kid(&self, kid: &str) -> Option<&Arc<Key>> {
        self.by_kid.get(kid)
    }
    /// The keys that may verify this algorithm, in the document's order.
    pub(super) fn fitting(&self, algorithm: Algorithm) -> impl Iterator<Item = &Arc<Key>> {
        self.keys.iter().filter(move |key| key.accepts(algorithm))
    }
    /// Whether the set still holds the key.
    pub(super) fn holds(&self, fingerprint: &Fingerprint) -> bool {
        self.keys.iter().any(|key| key.fingerprint == *fingerprint)
    }
    /// Whether there is no usable key.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
    /// The algorithm of each key, in the document's order.
    pub(super) fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.keys.iter().map(|key| key.algorithm)
    }
    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}

/// Reads a JWK Set (RFC 7517 §5) for an issuer that may use `allowed`. Keys that `previous` holds unchanged are kept as
/// they are. The document as a whole is refused when it is no strict JSON, has no array `keys`, or is too large: then the
/// keys that were known stay.
pub(super) fn read(document: &[u8], allowed: &[Algorithm], previous: Option<&KeySet>) -> Result<Import, &'static str> {
    if document.len() > DOCUMENT_BYTES_MAX {
        return Err("the key set is over 512 KiB");
    }
    strict::check(document, DEPTH_MAX).map_err(|fault| fault.0)?;
    let document: Value = serde_json::from_slice(document).map_err(|_| "the key set is not JSON")?;
    let entries = document.get("keys").and_then(Value::as_array).ok_or("the key set has no array `keys`")?;
    if entries.len() > KEYS_MAX {
        return Err("the key set has over 100 keys");
    }
    let mut usable: Vec<(usize, Arc<Key>)> = Vec::new();
    let mut ignored = Vec::new();
    for (place, entry) in entries.iter().enumerate() {
        match read_key(entry, allowed) {
            Err(reason) => ignored.push((place, reason)),
            // The very same key twice says nothing new.
            Ok(key) if usable.iter().any(|(_, other)| other.fingerprint == key.fingerprint) => {}
            Ok(key) => usable.push((place, kept(previous, &key).unwrap_or_else(|| Arc::new(key)))),
        }
    }
    Ok(Import { set: distinct(usable, &mut ignored), ignored })
}

fn kept(previous: Option<&KeySet>, key: &Key) -> Option<Arc<Key>> {
    previous?.keys.iter().find(|old| old.fingerprint == key.fingerprint).cloned()
}

/// Two different keys of one identifier: an issuer would not know which of them verified, so neither is used.
fn distinct(usable: Vec<(usize, Arc<Key>)>, ignored: &mut Vec<(usize, &'static str)>) -> KeySet {
    let mut uses: HashMap<Box<str>, usize> = HashMap::new();
    for kid in usable.iter().filter_map(|(_, key)| key.kid.clone()) {
        *uses.entry(kid).or_default() += 1;
    }
    let mut set = KeySet::default();
    for (place, key) in usable {
        match &key.kid {
            Some(kid) if uses.get(kid).is_some_and(|&count| count > 1) => {
                ignored.push((place, "another key has the same `kid`"));
                continue;
            }
            Some(kid) => {
                set.by_kid.insert(kid.clone(), Arc::clone(&key));
            }
            None => {}
        }
        set.keys.push(key);
    }
    set
}

/// What a key is made of.
struct Material {
    fits: &'static [Algorithm],
    decoding: DecodingKey,
    signature_bytes: usize,
    fingerprint: Vec<u8>,
}

fn read_key(entry: &Value, allowed: &[Algorithm]) -> Result<Key, &'static str> {
    const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    let entry = entry.as_object().ok_or("not an object")?;
    let kty = entry.get("kty").and_then(Value::as_str).ok_or("`kty` is not a string")?;
    if kty == "oct" {
        return Err("a symmetric key: who can verify with it can also sign");
    }
    // A published private key belongs to everybody.
    if PRIVATE.iter().any(|member| entry.contains_key(*member)) {
        return Err("a private key");
    }
    if entry.get("use").is_some_and(|purpose| purpose.as_str() != Some("sig")) {
        return Err("`use` is not `sig`");
    }
    if entry.get("key_ops").is_some_and(|operations| !lists_verify(operations)) {
        return Err("`key_ops` without `verify`");
    }
    let kid = match entry.get("kid") {
        None => None,
        Some(Value::String(kid)) if kid.len() <= KID_BYTES_MAX => Some(kid.as_str()),
        Some(_) => return Err("`kid` is not a string of at most 256 bytes"),
    };
    let material = match (kty, entry.get("crv").and_then(Value::as_str)) {
        ("RSA", _) => read_rsa(entry),
        ("EC", Some("P-256")) => read_ec(entry, 32),
        ("EC", Some("P-384")) => read_ec(entry, 48),
        ("OKP", Some("Ed25519")) => read_ed25519(entry),
        ("EC" | "OKP", _) => Err("a curve that is not supported"),
        _ => Err("a key type that is not supported"),
    }?;
    let named = match entry.get("alg") {
        None => None,
        Some(name) => Some(name.as_str().and_then(algorithm).ok_or("an `alg` that is not supported")?),
    };
    if named.is_some_and(|named| !material.fits.contains(&named)) {
        return Err("`alg` does not fit the key");
    }
    // A key that names none is used with the first of the issuer's algorithms that fits it, and with no other.
    let usable = |allowed: &&Algorithm| material.fits.contains(allowed) && named.is_none_or(|named| named == **allowed);
    let algorithm = *allowed.iter().find(usable).ok_or("no algorithm that is allowed for this issuer")?;
    Ok(Key {
        kid: kid.map(Into::into),
        algorithm,
        fingerprint: fingerprint(kid, algorithm, &material.fingerprint),
        signature_bytes: material.signature_bytes,
        decoding: material.decoding,
    })
}

/// The asymmetric algorithm of this name, exactly.
pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    ALGORITHMS.iter().find(|(supported, _)| *supported == name).map(|(_, algorithm)| *algorithm)
}

fn lists_verify(operations: &Value) -> bool {
    operations.as_array().is_some_and(|operations| {
        operations.iter().all(Value::is_string) && operations.iter().any(|operation| operation == "verify")
    })
}

fn read_rsa(entry: &Map<String, Value>) -> Result<Material, &'static str> {
    const FITS: [Algorithm; 6] =
        [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];
    let modulus = bytes(entry, "n")?;
    let exponent = bytes(entry, "e")?;
    // Leading zeros are wrong (RFC 7518 §6.3.1.1) but common; without them, a short modulus cannot pass for a long one.
    let (modulus, exponent) = (rsa::without_leading_zeros(&modulus), rsa::without_leading_zeros(&exponent));
    rsa::check(modulus, exponent)?;
    Ok(Material {
        fits: &FITS,
        decoding: DecodingKey::from_rsa_raw_components(modulus, exponent),
        signature_bytes: modulus.len(),
        fingerprint: [b"RSA".as_slice(), modulus, b"/", exponent].concat(),
    })
}

fn read_ec(entry: &Map<String, Value>, coordinate_bytes: usize) -> Result<Material, &'static str> {
    let (x, y) = (bytes(entry, "x")?, bytes(entry, "y")?);
    if x.len() != coordinate_bytes || y.len() != coordinate_bytes {
        return Err("a coordinate of the wrong length for the curve");
    }
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    let (fits, verification): (&'static [Algorithm], _) = if coordinate_bytes == 32 {
        (&[Algorithm::ES256], &ECDSA_P256_SHA256_FIXED)
    } else {
        (&[Algorithm::ES384], &ECDSA_P384_SHA384_FIXED)
    };
    ParsedPublicKey::new(verification, &point).map_err(|_| "a point that is not on the curve")?;
    Ok(Material {
        fits,
        decoding: DecodingKey::from_ec_der(&point),
        signature_bytes: coordinate_bytes * 2,
        fingerprint: [b"EC".as_slice(), point.as_slice()].concat(),
    })
}

fn read_ed25519(entry: &Map<String, Value>) -> Result<Material, &'static str> {
    let x = bytes(entry, "x")?;
    if x.len() != 32 {
        return Err("an Ed25519 key that is not 32 bytes");
    }
    Ok(Material {
        fits: &[Algorithm::EdDSA],
        decoding: DecodingKey::from_ed_der(&x),
        signature_bytes: 64,
        fingerprint: [b"Ed25519".as_slice(), x.as_slice()].concat(),
    })
}

/// A member as RFC 7518 §2 writes bytes: base64url without padding.
fn bytes(entry: &Map<String, Value>, member: &str) -> Result<Vec<u8>, &'static str> {
    let text = entry.get(member).and_then(Value::as_str).ok_or("a part of the key is missing or not a string")?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| "a part of the key is not base64url without padding")
}

fn fingerprint(kid: Option<&str>, algorithm: Algorithm, material: &[u8]) -> Fingerprint {
    // Every part is preceded by its length, so that no two keys have the same text.
    let algorithm = format!("{algorithm:?}");
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&[u8::from(kid.is_some())]);
    for part in [kid.unwrap_or_default().as_bytes(), algorithm.as_bytes(), material] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    sha256_bytes(&context.finish())
}

/// The bytes of a SHA-256 digest.
pub(super) fn sha256_bytes(digest: &digest::Digest) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    bytes
}
