//! Tests of validation as a whole, with keys and tokens made here and an issuer that is a table of answers. No test waits
//! for real time.

mod key_sets;
mod renewal;
mod rotation;
mod tokens;
mod wycheproof;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::*;
use crate::oauth::ids::PublicOrigin;

const ISSUER: &str = "https://as.example";
const OTHER_ISSUER: &str = "https://other.example";
const RESOURCE: &str = "https://mcp.example/github/mcp";
const NOW: u64 = 1_800_000_000;

/// A signing key of the fake issuer.
struct Signer {
    kid: &'static str,
    key: SigningKey,
}

enum SigningKey {
    Es256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    fn es256(kid: &'static str) -> Self {
        Self { kid, key: SigningKey::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()) }
    }
    fn ed25519(kid: &'static str) -> Self {
        Self { kid, key: SigningKey::Ed25519(Ed25519KeyPair::generate().unwrap()) }
    }
    fn alg(&self) -> &'static str {
        match self.key {
            SigningKey::Es256(_) => "ES256",
            SigningKey::Ed25519(_) => "EdDSA",
        }
    }
    fn jwk(&self) -> Value {
        match &self.key {
            SigningKey::Es256(key) => {
                let point = key.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "kid": self.kid, "x": b64(&point[1..33]), "y": b64(&point[33..])})
            }
            SigningKey::Ed25519(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": b64(key.public_key().as_ref())})
            }
        }
    }
    /// A token of any header and payload, correctly signed.
    fn sign(&self, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", b64(header), b64(payload));
        let signature = self.signature(signed.as_bytes());
        format!("{signed}.{}", b64(signature))
    }
    fn signature(&self, message: &[u8]) -> Vec<u8> {
        match &self.key {
            SigningKey::Es256(key) => key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            SigningKey::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }
    /// A good token, but for what `header` and `claims` change in it.
    fn token(&self, header: &Value, claims: &Value) -> String {
        let base = json!({"alg": self.alg(), "typ": "at+jwt", "kid": self.kid});
        self.sign(&patched(base, header).to_string(), &patched(good_claims(), claims).to_string())
    }
    fn good(&self) -> String {
        self.token(&json!({}), &json!({}))
    }
}

fn good_claims() -> Value {
    json!({"iss": ISSUER, "sub": "ada", "client_id": "cli", "aud": RESOURCE, "exp": NOW + 300, "nbf": NOW - 5,
        "iat": NOW - 5, "scope": "mcp github:read"})
}

/// In a patch: the member is left out.
const ABSENT: &str = "(absent)";

fn patched(mut base: Value, patch: &Value) -> Value {
    for (name, value) in patch.as_object().unwrap() {
        if value == ABSENT {
            base.as_object_mut().unwrap().remove(name);
        } else {
            base[name] = value.clone();
        }
    }
    base
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn jwks(keys: &[&Signer]) -> String {
    json!({"keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()}).to_string()
}

/// What the fake world answers at a URL.
#[derive(Clone)]
enum Answer {
    Body(String),
    Aged(String, Duration),
    Slow(String, Duration),
    Status(u16, String),
    Down,
    Hangs,
}

/// A table of answers that counts what is asked of it. What is not in the table is 404.
#[derive(Default)]
struct FakeFetch {
    answers: Mutex<HashMap<String, Answer>>,
    fetched: Mutex<Vec<String>>,
}

impl FakeFetch {
    fn answer(&self, url: &str, answer: Answer) {
        self.answers.lock().unwrap().insert(url.to_owned(), answer);
    }
    fn count(&self, url: &str) -> usize {
        self.fetched.lock().unwrap().iter().filter(|fetched| *fetched == url).count()
    }
    fn fetched(&self) -> Vec<String> {
        self.fetched.lock().unwrap().clone()
    }
}

impl Fetch for FakeFetch {
    fn get<'a>(&'a self, url: &'a str) -> Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'a>> {
        self.fetched.lock().unwrap().push(url.to_owned());
        let answer = self.answers.lock().unwrap().get(url).cloned();
        let fetched = |status, body: String, max_age| Ok(Fetched { status, body: Bytes::from(body), max_age });
        Box::pin(async move {
            match answer {
                Some(Answer::Body(body)) => fetched(200, body, None),
                Some(Answer::Aged(body, max_age)) => fetched(200, body, Some(max_age)),
                Some(Answer::Slow(body, delay)) => {
                    tokio::time::sleep(delay).await;
                    fetched(200, body, None)
                }
                Some(Answer::Status(status, body)) => fetched(status, body, None),
                Some(Answer::Down) => Err(FetchError("connection refused".to_owned())),
                Some(Answer::Hangs) => std::future::pending().await,
                None => fetched(404, String::new(), None),
            }
        })
    }
}

/// A validator before a fake issuer, and a clock that the test sets.
struct World {
    validator: Validator,
    fetch: Arc<FakeFetch>,
    now: Arc<AtomicU64>,
    recipient: Recipient,
}

impl World {
    fn start(issuers: Vec<IssuerSettings>, answers: &[(&str, Answer)]) -> Self {
        Self::try_start(issuers, answers).unwrap()
    }
    fn try_start(issuers: Vec<IssuerSettings>, answers: &[(&str, Answer)]) -> Result<Self, String> {
        let fetch = Arc::new(FakeFetch::default());
        for (url, answer) in answers {
            fetch.answer(url, answer.clone());
        }
        let now = Arc::new(AtomicU64::new(NOW));
        let clock = Arc::clone(&now);
        let clock = Clock::from_fn(move || clock.load(Ordering::Relaxed));
        let names = issuers.iter().map(|settings| settings.issuer.clone()).collect();
        let validator = Validator::start(issuers, Arc::clone(&fetch) as Arc<dyn Fetch>, clock, 1 << 20)?;
        Ok(Self { validator, fetch, now, recipient: recipient(names, "/github/mcp", &[]) })
    }
    /// One issuer whose key set is at `<issuer>/jwks` and holds these keys.
    fn with_keys(keys: &[&Signer]) -> Self {
        Self::start(vec![issuer(ISSUER)], &[(JWKS_URL, Answer::Body(jwks(keys)))])
    }
    async fn say(&self, token: &str) -> Result<Principal, TokenError> {
        self.say_to(token, &self.recipient).await
    }
    async fn say_to(&self, token: &str, recipient: &Recipient) -> Result<Principal, TokenError> {
        self.validator.validate(access_token(token), recipient).await
    }
    async fn fault(&self, token: &str) -> Option<TokenError> {
        self.say(token).await.err()
    }
}

const JWKS_URL: &str = "https://as.example/jwks";

fn access_token(token: &str) -> AccessToken {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
    AccessToken::take(&mut headers, 8192).unwrap()
}

fn recipient(issuers: Vec<Issuer>, path: &str, audiences: &[&str]) -> Recipient {
    Recipient {
        issuers,
        resource: ResourceUri::of(&PublicOrigin::parse("https://mcp.example").unwrap(), path),
        audiences: audiences.iter().map(|audience| Audience::parse(audience).unwrap()).collect(),
    }
}

fn issuer(name: &str) -> IssuerSettings {
    IssuerSettings {
        issuer: Issuer::parse(name).unwrap(),
        keys: KeySource::Uri(format!("{name}/jwks")),
        algorithms: vec![Algorithm::ES256, Algorithm::ES384, Algorithm::RS256, Algorithm::PS256, Algorithm::EdDSA],
        scope_claims: vec![ClaimPath::parse("scope").unwrap(), ClaimPath::parse("scp").unwrap()],
        scope_claims_merged: false,
        leeway_secs: 30,
        keys_stale_secs_max: 86_400,
        keys_cooldown_secs: 10,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with what `World::fault` gives")]
fn invalid(fault: TokenFault) -> Option<TokenError> {
    Some(TokenError::Invalid(fault))
}
