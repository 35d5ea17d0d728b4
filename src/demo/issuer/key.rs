//! The signing key: made when the server starts, gone when it stops. It signs access tokens (RFC 9068) and nothing else.

use aws_lc_rs::rand;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use serde_json::{Value, json};

/// An ES256 key.
pub(super) struct SigningKey {
    key: EncodingKey,
    kid: String,
    jwks: Value,
}

/// What an access token says (RFC 9068 §2.2).
#[derive(Debug, Serialize)]
pub(super) struct Claims<'a> {
    pub(super) iss: &'a str,
    pub(super) sub: &'a str,
    pub(super) aud: &'a str,
    pub(super) client_id: &'a str,
    pub(super) iat: u64,
    pub(super) exp: u64,
    pub(super) jti: &'a str,
    pub(super) scope: &'a str,
}

impl SigningKey {
    pub(super) fn generate() -> Result<Self, String> {
        let failed = |_| "a signing key cannot be made".to_owned();
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?;
        let key = EncodingKey::from_ec_der(pair.to_pkcs8v1().map_err(failed)?.as_ref());
        // An uncompressed point: 4, x, y (SEC 1 §2.3.3).
        let point = pair.public_key().as_ref();
        let (Some(x), Some(y)) = (point.get(1..33), point.get(33..65)) else {
            return Err("the public key has an unknown form".to_owned());
        };
        let kid = secret()?;
        let jwks = json!({"keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": kid,
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        }]});
        Ok(Self { key, kid, jwks })
    }

    /// The public half (RFC 7517 §5).
    pub(super) fn jwks(&self) -> &Value {
        &self.jwks
    }

    /// The token, of type `at+jwt` (RFC 9068 §2.1).
    pub(super) fn sign(&self, claims: &Claims<'_>) -> Result<String, String> {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.key).map_err(|error| error.to_string())
    }
}

/// A text that nobody guesses: 256 bits.
pub(super) fn secret() -> Result<String, String> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| "the system gives no random numbers".to_owned())?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
