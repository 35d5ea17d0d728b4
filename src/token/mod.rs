//! Access token in, principal out: keys, their cache, the checks of RFC 9068, RFC 8725 and RFC 8707. A
//! `Principal` is made here and nowhere else; nothing here decides what a principal may do.

pub mod cache;
pub mod clock;
pub mod jwks;
pub mod jwt;
pub mod keys;
pub mod principal;

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub use principal::Principal;

use crate::oauth::bearer::AccessToken;
use crate::oauth::ids::{Audience, Issuer, ResourceUri};
use crate::rejection::TokenFault;
use clock::Clock;

/// One authorization server, as configured.
#[derive(Debug, Clone)]
pub struct IssuerSettings {
    /// The issuer identifier.
    pub issuer: Issuer,
    /// Where its keys come from.
    pub keys: KeySource,
    /// The algorithms accepted; never empty, never `none` or HMAC.
    pub algorithms: Vec<jsonwebtoken::Algorithm>,
    /// The claims that may hold scopes, names or JSON pointers; the first present one counts.
    pub scope_claims: Vec<ClaimPath>,
    /// Clock leeway for `exp`, `nbf`, `iat`; at most 60.
    pub leeway_secs: u64,
    /// How long keys are kept through failures of refreshing.
    pub keys_stale_secs_max: u64,
    /// At most one refresh for an unknown key in this time.
    pub keys_cooldown_secs: u64,
}

/// Where an issuer's keys come from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// Metadata of the issuer (RFC 8414, then OpenID Connect Discovery) names the JWKS.
    Discovered,
    /// `jwks_uri`: as configured; the metadata is fetched for the relay alone.
    Uri(String),
    /// `jwks_file`: read at start (and after a change); nothing is fetched.
    File(PathBuf),
}

/// A claim by name or by JSON pointer (RFC 6901; begins with `/`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath(String);

impl ClaimPath {
    /// Reads a claim name, or a JSON pointer when it begins with `/`.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() { Err("a claim name or a JSON pointer") } else { Ok(Self(text.to_owned())) }
    }
    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a token must be for on one route. Looked at on every request, whatever is cached.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// The issuers that serve this route.
    pub issuers: Vec<Issuer>,
    /// The route's resource identifier; a bare origin is accepted with and without its slash.
    pub resource: ResourceUri,
    /// Further audiences.
    pub audiences: Vec<Audience>,
}

/// Why there is no principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    /// 401.
    Invalid(TokenFault),
    /// 503: no usable key of this issuer, or a refresh that failed.
    KeysUnavailable {
        /// For Retry-After.
        retry_after_secs: u64,
    },
}

/// What fetching needs from the world. GET only, no redirects, at most 512 KiB, 2 s to connect, 3 s in all; the
/// implementation is the gateway's, the policy about failures is ours.
pub trait Fetch: Send + Sync + 'static {
    /// Fetches `url`.
    fn get<'a>(&'a self, url: &'a str) -> Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'a>>;
}

/// An answer to a fetch.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The HTTP status.
    pub status: u16,
    /// The body, whole.
    pub body: Bytes,
    /// `Cache-Control: max-age`, if any.
    pub max_age: Option<Duration>,
}

/// Why a fetch failed, in words for the log.
#[derive(Debug, Clone)]
pub struct FetchError(pub String);

/// Validates access tokens.
pub struct Validator {}

impl Validator {
    /// Prepares validation, proves with a self-test that signatures are really checked, reads key files, and starts
    /// fetching keys in the background (must be called within a tokio runtime). Verified tokens are cached in at most
    /// `cache_bytes_max` bytes. An issuer that is down is no error.
    pub fn start(
        issuers: Vec<IssuerSettings>,
        fetch: Arc<dyn Fetch>,
        clock: Clock,
        cache_bytes_max: u64,
    ) -> Result<Self, String> {
        let _ = (issuers, fetch, clock, cache_bytes_max);
        Ok(Self {})
    }

    /// The principal that `token` stands for on a route that asks for `recipient`.
    pub async fn validate(&self, token: AccessToken, recipient: &Recipient) -> Result<Principal, TokenError> {
        let _ = (token, recipient);
        Err(TokenError::Invalid(TokenFault::Malformed))
    }

    /// The issuer's metadata document as fetched in the background, unchanged: for the relay.
    #[must_use]
    pub fn metadata(&self, issuer: &Issuer) -> Option<Bytes> {
        let _ = issuer;
        None
    }
}
