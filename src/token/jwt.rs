//! A compact JWS, read strictly, and its signature (RFC 7515, RFC 8725 §3). Pure. Nothing here takes a key, or the place of
//! one, from the token: `jwk`, `jku`, `x5u` and `x5c` are never read.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::jwks::{self, Key, KeySet};
use crate::mcp::strict;
use crate::rejection::TokenFault;

/// How deep header and claims may nest.
const DEPTH_MAX: usize = 64;
/// At most so many keys are tried for a token that names none: each try costs a public-key operation.
const KEYS_TRIED_MAX: usize = 8;

/// A token taken apart. Nothing in it is to be believed before `verify`.
#[derive(Debug)]
pub(super) struct Jws<'a> {
    signed: &'a str,
    signature: &'a str,
    signature_bytes: usize,
    algorithm: Algorithm,
    kid: Option<String>,
    typ: Option<String>,
    payload: Vec<u8>,
}

impl<'a> Jws<'a> {
    /// Takes a token apart: exactly three parts (RFC 7515 §3.1), each base64url without padding and without spare bits,
    /// so that no token has two spellings. Extensions that would change what was signed are refused.
    pub(super) fn read(token: &'a str) -> Result<Self, TokenFault> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenFault::Malformed)?;
        if payload.contains('.') {
            return Err(TokenFault::Malformed);
        }
        let header = read_object(&decode(header)?)?;
        // Extensions we would have to understand (RFC 7515 §4.1.11), an unencoded payload (RFC 7797), compression: whoever
        // ignores one of them reads another token than the issuer signed.
        if ["crit", "b64", "zip"].iter().any(|extension| header.contains_key(*extension)) {
            return Err(TokenFault::Malformed);
        }
        let algorithm = header.get("alg").and_then(Value::as_str).and_then(jwks::algorithm);
        let kid = string(&header, "kid")?;
        if kid.as_ref().is_some_and(|kid| kid.len() > jwks::KID_BYTES_MAX) {
            return Err(TokenFault::Malformed);
        }
        Ok(Self {
            signed,
            signature,
            signature_bytes: decode(signature)?.len(),
            algorithm: algorithm.ok_or(TokenFault::Algorithm)?,
            kid,
            typ: string(&header, "typ")?,
            payload: decode(payload)?,
        })
    }

    /// `alg`.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
    /// `kid`.
    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }
    /// The payload, not verified.
    pub(super) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Refuses a `typ` that no access token has (RFC 9068 §4, RFC 8725 §3.11): else an ID token or a logout token of the
    /// same issuer would pass. Media types are compared without case.
    pub(super) fn check_type(&self) -> Result<(), TokenFault> {
        const ACCEPTED: [&str; 3] = ["at+jwt", "application/at+jwt", "JWT"];
        match &self.typ {
            Some(typ) if !ACCEPTED.iter().any(|accepted| typ.eq_ignore_ascii_case(accepted)) => Err(TokenFault::Type),
            Some(_) | None => Ok(()),
        }
    }

    /// Verifies the signature with `key`, if the key may be used for the token's algorithm.
    pub(super) fn verify(&self, key: &Key) -> Result<(), TokenFault> {
        // The key says which algorithms fit it, never the token: an RSA key must not become an HMAC secret.
        if !key.accepts(self.algorithm) {
            return Err(TokenFault::Algorithm);
        }
        if self.signature_bytes != key.signature_bytes() {
            return Err(TokenFault::Signature);
        }
        match jsonwebtoken::crypto::verify(self.signature, self.signed.as_bytes(), key.decoding(), self.algorithm) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(TokenFault::Signature),
        }
    }

    /// The key that verifies a token without `kid`: those that fit its algorithm are tried, eight at most.
    pub(super) fn verify_with_any<'k>(&self, keys: &'k KeySet) -> Result<&'k Key, TokenFault> {
        let mut fault = TokenFault::UnknownKey;
        for key in keys.fitting(self.algorithm).take(KEYS_TRIED_MAX) {
            match self.verify(key) {
                Ok(()) => return Ok(key),
                Err(other) => fault = other,
            }
        }
        Err(fault)
    }
}

/// The payload of a token that one of `keys` signed.
pub(super) fn verify_jws(token: &str, keys: &KeySet) -> Result<Vec<u8>, TokenFault> {
    let jws = Jws::read(token)?;
    match jws.kid() {
        Some(kid) => jws.verify(keys.by_kid(kid).ok_or(TokenFault::UnknownKey)?)?,
        None => {
            jws.verify_with_any(keys)?;
        }
    }
    Ok(jws.payload)
}

/// One strict JSON object: with two equal members, issuer and gateway may each have read another one.
pub(super) fn read_object(json: &[u8]) -> Result<Map<String, Value>, TokenFault> {
    strict::check(json, DEPTH_MAX).map_err(|_| TokenFault::Malformed)?;
    serde_json::from_slice(json).map_err(|_| TokenFault::Malformed)
}

fn decode(part: &str) -> Result<Vec<u8>, TokenFault> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Malformed)
}

/// A header member that is a string when present: null is not absent.
fn string(header: &Map<String, Value>, member: &str) -> Result<Option<String>, TokenFault> {
    match header.get(member) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(TokenFault::Malformed),
    }
}
