//! A validator of access tokens whose issuer answers with given documents, and a key that signs anything.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use gatepost::oauth::bearer::AccessToken;
use gatepost::oauth::ids::{Issuer, PublicOrigin, ResourceUri};
use gatepost::token::clock::Clock;
use gatepost::token::{
    Algorithm, ClaimPath, Fetch, FetchError, Fetched, IssuerSettings, KeySource, Principal, Recipient, TokenError,
    Validator,
};
use http::{HeaderMap, HeaderValue, header};
use tokio::runtime::{Builder, Runtime};

pub(super) const ISSUER: &str = "https://auth.example.com";
pub(super) const RESOURCE: &str = "https://mcp.example.com/mcp";
/// Where keys are, if the issuer's metadata does not say.
pub(super) const KEYS_URL: &str = "https://auth.example.com/keys";
/// What the clock says.
pub(super) const NOW: u64 = 1_800_000_000;

/// A validator with its issuer.
pub(super) struct World {
    runtime: Runtime,
    validator: Validator,
    issuer: Arc<Documents>,
}

/// Answers with the document at a URL, and remembers what was asked for.
struct Documents {
    documents: HashMap<String, Bytes>,
    asked: Mutex<Vec<String>>,
}

impl Fetch for Documents {
    fn get<'a>(&'a self, url: &'a str) -> Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'a>> {
        self.asked.lock().expect("one thread").push(url.to_owned());
        let body = self.documents.get(url).cloned();
        Box::pin(async {
            body.map(|body| Fetched { status: 200, body, max_age: None }).ok_or(FetchError(String::new()))
        })
    }
}

impl World {
    /// A validator that may fetch these documents.
    pub(super) fn new(keys: KeySource, documents: impl IntoIterator<Item = (&'static str, Bytes)>) -> Self {
        let documents = documents.into_iter().map(|(url, document)| (url.to_owned(), document)).collect();
        let issuer = Arc::new(Documents { documents, asked: Mutex::default() });
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let settings = IssuerSettings {
            issuer: Issuer::parse(ISSUER).expect("an issuer"),
            keys,
            algorithms: vec![Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256],
            scope_claims: ["scope", "/realm/scp"].map(|path| ClaimPath::parse(path).expect("a path")).to_vec(),
            scope_claims_merged: false,
            leeway_secs: 30,
            keys_stale_secs_max: 3600,
            keys_cooldown_secs: 1,
        };
        let fetch = Arc::clone(&issuer);
        let entered = runtime.enter();
        let validator = Validator::start(vec![settings], fetch, Clock::from_fn(|| NOW), 1 << 20).expect("it starts");
        drop(entered);
        Self { runtime, validator, issuer }
    }

    /// The principal of a token that arrives as a header of these bytes, if it can arrive.
    pub(super) fn validate(&self, token: &[u8]) -> Option<Result<Principal, TokenError>> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_bytes(&[b"Bearer ", token].concat()).ok()?);
        let token = AccessToken::take(&mut headers, 16 << 10);
        assert!(headers.is_empty(), "the token is gone from the headers");
        let origin = PublicOrigin::parse("https://mcp.example.com").expect("an origin");
        let recipient = Recipient {
            issuers: vec![Issuer::parse(ISSUER).expect("an issuer")],
            resource: ResourceUri::of(&origin, "/mcp"),
            audiences: Vec::new(),
        };
        Some(self.runtime.block_on(self.validator.validate(token.ok()?, &recipient)))
    }

    /// Lets the background tasks run until they wait, and returns what they have asked for.
    pub(super) fn asked(&self) -> Vec<String> {
        self.runtime.block_on(async {
            for _ in 0..16 {
                tokio::task::yield_now().await;
            }
        });
        self.issuer.asked.lock().expect("one thread").clone()
    }

    /// The metadata that is relayed.
    pub(super) fn metadata(&self) -> Option<Bytes> {
        self.validator.metadata(&Issuer::parse(ISSUER).expect("an issuer"))
    }
}

/// The token of this header and these claims, correctly signed.
pub(super) fn sign(header: &[u8], claims: &[u8]) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = key().sign(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// `x` of the key that signs.
pub(super) fn public_key() -> String {
    URL_SAFE_NO_PAD.encode(key().public_key())
}

fn key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed")
}
