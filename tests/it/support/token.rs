//! Access tokens, good and bad: any header, any claims, any key. Nothing is checked here, so that a test can mint what an
//! attacker would.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gatepost::token::clock::Clock;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// An ES256 key.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) kid: String,
    pair: Arc<EcdsaKeyPair>,
}

/// A token in the making.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    signing: Signing,
}

#[derive(Debug, Clone)]
enum Signing {
    Es256(Key),
    Hs256(Vec<u8>),
    Nothing,
}

impl Key {
    pub(crate) fn generate(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { kid: kid.to_owned(), pair: Arc::new(pair) }
    }

    pub(crate) fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.kid,
            "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..65]),
        })
    }

    /// A token of exactly these texts, whatever they are.
    pub(crate) fn sign(&self, header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
        self.sign_text(&format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims)))
    }

    /// `text` and its signature behind a dot.
    pub(crate) fn sign_text(&self, text: &str) -> String {
        let signature = self.pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The public key as bytes: what an attacker signs with who confuses HMAC and ECDSA.
    pub(crate) fn public_bytes(&self) -> Vec<u8> {
        self.pair.public_key().as_ref().to_vec()
    }
}

impl Token {
    /// A good token of `issuer` for alice, for an hour, without audience and scope.
    pub(crate) fn new(issuer: &str, key: &Key) -> Self {
        let now = now();
        let Value::Object(header) = json!({"alg": "ES256", "typ": "at+jwt", "kid": key.kid}) else { unreachable!() };
        let Value::Object(claims) = json!({
            "iss": issuer, "sub": "alice", "client_id": "inspector", "iat": now, "exp": now + 3600, "jti": "t-1",
        }) else {
            unreachable!()
        };
        Self { header, claims, signing: Signing::Es256(key.clone()) }
    }

    pub(crate) fn scope(self, scope: &str) -> Self {
        self.claim("scope", scope)
    }

    pub(crate) fn aud(self, audience: impl Into<Value>) -> Self {
        self.claim("aud", audience)
    }

    pub(crate) fn subject(self, subject: &str) -> Self {
        self.claim("sub", subject)
    }

    pub(crate) fn client(self, client: &str) -> Self {
        self.claim("client_id", client)
    }

    pub(crate) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn without(mut self, claim: &str) -> Self {
        self.claims.remove(claim);
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn without_header(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    /// Expired this many seconds ago.
    pub(crate) fn expired(self, secs: u64) -> Self {
        let now = now();
        self.claim("iat", now - secs - 3600).claim("exp", now - secs)
    }

    /// Signed with another key, while `kid` goes on naming the first.
    pub(crate) fn forged_with(mut self, key: &Key) -> Self {
        self.signing = Signing::Es256(key.clone());
        self
    }

    /// `HS256` with `secret`.
    pub(crate) fn hs256(mut self, secret: &[u8]) -> Self {
        self.signing = Signing::Hs256(secret.to_vec());
        self.header("alg", "HS256")
    }

    /// `none`, with an empty signature.
    pub(crate) fn unsigned(mut self) -> Self {
        self.signing = Signing::Nothing;
        self.header("alg", "none")
    }

    /// Header and claims as JSON.
    pub(crate) fn texts(&self) -> (String, String) {
        (Value::Object(self.header.clone()).to_string(), Value::Object(self.claims.clone()).to_string())
    }

    pub(crate) fn mint(&self) -> String {
        let (header, claims) = self.texts();
        let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(&header), URL_SAFE_NO_PAD.encode(&claims));
        let signature = match &self.signing {
            Signing::Es256(key) => return key.sign(header, claims),
            Signing::Hs256(secret) => {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes()).as_ref().to_vec()
            }
            Signing::Nothing => Vec::new(),
        };
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Seconds since 1970, as the gateway reads them.
pub(crate) fn now() -> u64 {
    Clock::system().now()
}
