//! Access token in, principal out: keys, their cache, the checks of RFC 9068, RFC 8725 and RFC 8707. A
//! `Principal` is made here and nowhere else; nothing here decides what a principal may do.

mod cache;
mod claims;
pub mod clock;
mod discovery;
pub mod examine;
mod jwks;
mod jwt;
mod keys;
pub mod look;
pub mod principal;
mod refresh;
mod rsa;
mod selftest;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

pub use cache::CacheStanding;
pub use jsonwebtoken::Algorithm;
pub use keys::KeyStanding;
pub use principal::{ClaimPath, Principal};

use crate::oauth::bearer::AccessToken;
use crate::oauth::ids::{Audience, Issuer, ResourceUri};
use crate::rejection::{Failure, TokenFault};
use cache::TokenCache;
use claims::{Claims, Verdict};
use clock::Clock;
use jwt::Jws;
use keys::IssuerKeys;
use refresh::Refresher;

/// All algorithms that are accepted, with their names (RFC 7518 §3.1, RFC 8037 §3.1). Neither `none` nor HMAC is among them:
/// with HMAC the public key would be the secret, and everyone could sign (RFC 8725 §3.1).
pub const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// One authorization server, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerSettings {
    /// The issuer identifier.
    pub issuer: Issuer,
    /// Where its keys come from.
    pub keys: KeySource,
    /// The algorithms accepted; never empty, never `none` or HMAC.
    pub algorithms: Vec<Algorithm>,
    /// The claims that may hold scopes, names or JSON pointers.
    pub scope_claims: Vec<ClaimPath>,
    /// Whether all of them count that are present; else the first one.
    pub scope_claims_merged: bool,
    /// Clock leeway for `exp`, `nbf`, `iat`; at most 60.
    pub leeway_secs: u64,
    /// How long keys are kept through failures of refreshing.
    pub keys_stale_secs_max: u64,
    /// At most one refresh for an unknown key in this time.
    pub keys_cooldown_secs: u64,
}

/// Whether a key file can be used now: it is read and holds a key for one of `algorithms`. The error says why not.
pub fn check_key_file(path: &Path, algorithms: &[Algorithm]) -> Result<(), String> {
    refresh::check_file(path, algorithms)
}

/// Where an issuer's keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// Metadata of the issuer (RFC 8414, then OpenID Connect Discovery) names the JWKS.
    Discovered,
    /// `jwks_uri`: as configured; the metadata is fetched for the relay alone.
    Uri(String),
    /// `jwks_file`: read at start (and after a change); nothing is fetched.
    File(PathBuf),
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

/// Why a fetch failed, in words for the log; the URL is not among them.
#[derive(Debug, Clone)]
pub struct FetchError(pub String);

/// An access token, and its digest, which is made once.
#[derive(Debug)]
pub struct Presented {
    token: AccessToken,
    digest: cache::TokenDigest,
}

impl From<AccessToken> for Presented {
    fn from(token: AccessToken) -> Self {
        Self { digest: cache::token_digest(token.as_str()), token }
    }
}

impl Presented {
    /// The first 16 hexadecimal digits of the SHA-256 of the token: which token it was, for who has it, and nothing for
    /// others.
    #[must_use]
    pub fn digest_prefix(&self) -> String {
        format!("{:016x}", self.digest.iter().take(8).fold(0_u64, |prefix, byte| prefix << 8 | u64::from(*byte)))
    }
}

/// Validates access tokens. The background tasks of its issuers end with the last validator that knows them.
pub struct Validator {
    /// By issuer identifier. A token only ever meets the keys of the issuer that it names.
    issuers: HashMap<String, Arc<KnownIssuer>>,
    cache: TokenCache,
    clock: Clock,
    fetch: Arc<dyn Fetch>,
}

/// An issuer as it was configured at some time. One that is configured otherwise later is another one.
#[derive(Debug)]
struct KnownIssuer {
    /// No other one ever has this number: what was verified for this one is good for no other.
    number: u64,
    settings: IssuerSettings,
    keys: Arc<IssuerKeys>,
    /// Refreshes the keys; ended when dropped.
    refresher: AbortHandle,
}

impl Validator {
    /// Prepares validation, proves with a self-test that signatures are really checked, reads key files, and starts
    /// fetching keys in the background (must be called within a tokio runtime). Verified tokens are cached in at most
    /// `cache_bytes_max` bytes. An issuer that is down is no error; a key file that cannot be used is.
    pub fn start(
        issuers: Vec<IssuerSettings>,
        fetch: Arc<dyn Fetch>,
        clock: Clock,
        cache_bytes_max: u64,
    ) -> Result<Self, String> {
        selftest::run()?;
        let before = Self { issuers: HashMap::new(), cache: TokenCache::new(cache_bytes_max), clock, fetch };
        before.renewed(issuers, cache_bytes_max)
    }

    /// A validator of `issuers`. Those that are configured as before keep their keys and the tokens that were verified; so does
    /// the cache, unless its size is another. Those of which only something else changed than where their keys come from, and
    /// which algorithms they are for, begin with the keys that they had.
    pub fn renewed(&self, issuers: Vec<IssuerSettings>, cache_bytes_max: u64) -> Result<Self, String> {
        let runtime = Handle::try_current().map_err(|error| error.to_string())?;
        let mut known = HashMap::new();
        for settings in issuers {
            let name = settings.issuer.as_str().to_owned();
            let issuer = match self.issuers.get(&name) {
                Some(before) if before.settings == settings => Arc::clone(before),
                before => Arc::new(KnownIssuer::start(settings, before, Arc::clone(&self.fetch), &runtime)?),
            };
            if known.insert(name.clone(), issuer).is_some() {
                return Err(format!("issuer {name} twice"));
            }
        }
        let cache = self.cache.resized(cache_bytes_max);
        Ok(Self { issuers: known, cache, clock: self.clock.clone(), fetch: Arc::clone(&self.fetch) })
    }

    /// Has key files read again, soon.
    pub fn read_key_files(&self) {
        for issuer in self.issuers.values() {
            if matches!(issuer.settings.keys, KeySource::File(_)) {
                issuer.keys.want();
            }
        }
    }

    /// The principal that `token` stands for on a route that asks for `recipient`.
    pub async fn validate(&self, token: impl Into<Presented>, recipient: &Recipient) -> Result<Principal, TokenError> {
        let Presented { token, digest } = token.into();
        self.judge(&token, digest, recipient).await
    }

    /// `digest` is that of `token`.
    async fn judge(
        &self,
        token: &AccessToken,
        digest: cache::TokenDigest,
        recipient: &Recipient,
    ) -> Result<Principal, TokenError> {
        let cached = self.cached(&digest);
        self.cache.looked(cached.is_some());
        if let Some((verdict, issuer)) = cached {
            // A token that was verified on one route proves nothing on another, nor a second later.
            let fault = verdict.check(recipient, self.clock.now(), issuer.settings.leeway_secs);
            if fault == Err(TokenFault::Expired) {
                self.cache.remove(&digest);
            }
            return fault.map(|()| Principal::new(Arc::clone(&verdict.verified))).map_err(TokenError::Invalid);
        }
        let (verdict, issuer) = self.verify(token.as_str(), recipient).await?;
        let checked = verdict.check(recipient, self.clock.now(), issuer.settings.leeway_secs);
        let verdict = Arc::new(verdict);
        if checked != Err(TokenFault::Expired) {
            self.cache.insert(digest, issuer.number, Arc::clone(&verdict));
        }
        checked.map(|()| Principal::new(Arc::clone(&verdict.verified))).map_err(TokenError::Invalid)
    }

    /// The issuer's metadata document as fetched in the background, unchanged: for the relay.
    #[must_use]
    pub fn metadata(&self, issuer: &Issuer) -> Option<Bytes> {
        self.issuers.get(issuer.as_str())?.keys.metadata()
    }

    /// How the keys of each issuer stand, by issuer.
    #[must_use]
    pub fn keys(&self) -> Vec<(&Issuer, KeyStanding)> {
        let standing = |known: &'_ KnownIssuer| known.keys.standing();
        let mut all: Vec<_> = self.issuers.values().map(|known| (&known.settings.issuer, standing(known))).collect();
        all.sort_unstable_by_key(|(issuer, _)| issuer.as_str());
        all
    }

    /// How the cache of verified tokens does.
    #[must_use]
    pub fn cache(&self) -> CacheStanding {
        self.cache.standing()
    }

    /// The cached verdict on a token, while its key is still among the usable keys of its issuer.
    fn cached(&self, digest: &cache::TokenDigest) -> Option<(Arc<Verdict>, &KnownIssuer)> {
        let (number, verdict) = self.cache.get(digest)?;
        match self.issuers.get(verdict.verified.issuer.as_str()) {
            Some(issuer) if issuer.number == number && issuer.keys.holds(&verdict.key) => Some((verdict, issuer)),
            // The issuer withdrew the key, perhaps because it was stolen, or is configured otherwise now: other algorithms, other
            // claims. The token is validated from the beginning.
            Some(_) | None => {
                self.cache.remove(digest);
                None
            }
        }
    }

    /// Verifies signature and claims. Everything that costs nothing is checked before a key is asked for.
    async fn verify(&self, token: &str, recipient: &Recipient) -> Result<(Verdict, &KnownIssuer), TokenError> {
        let jws = Jws::read(token)?;
        jws.check_type()?;
        let claims = Claims::read(jws.payload())?;
        let issuer = self.issuers.get(claims.issuer()?).ok_or(TokenFault::Issuer)?;
        if !recipient.issuers.contains(&issuer.settings.issuer) {
            return Err(TokenFault::Issuer.into());
        }
        if !issuer.settings.algorithms.contains(&jws.algorithm()) {
            return Err(TokenFault::Algorithm.into());
        }
        let key = match jws.kid() {
            Some(kid) => {
                let key = issuer.keys.find(kid).await?;
                jws.verify(&key)?;
                key.fingerprint()
            }
            None => jws.verify_with_any(issuer.keys.current()?.as_ref())?.fingerprint(),
        };
        Ok((claims.into_verdict(&issuer.settings, key)?, issuer))
    }
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validator").field("issuers", &self.issuers).finish_non_exhaustive()
    }
}

impl KnownIssuer {
    fn start(
        settings: IssuerSettings,
        before: Option<&Arc<Self>>,
        fetch: Arc<dyn Fetch>,
        runtime: &Handle,
    ) -> Result<Self, String> {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let cooldown = Duration::from_secs(settings.keys_cooldown_secs);
        let stale_max = Duration::from_secs(settings.keys_stale_secs_max);
        let keys = Arc::new(IssuerKeys::new(cooldown, stale_max));
        if let Some(before) = before
            && (&before.settings.keys, &before.settings.algorithms) == (&settings.keys, &settings.algorithms)
        {
            keys.take_over(&before.keys);
        }
        let refresher = Refresher::new(settings.clone(), Arc::clone(&keys), fetch)?;
        let refresher = runtime.spawn(refresher.run()).abort_handle();
        Ok(Self { number: NUMBERS.fetch_add(1, Ordering::Relaxed), settings, keys, refresher })
    }
}

impl Drop for KnownIssuer {
    fn drop(&mut self) {
        self.refresher.abort();
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Invalid(fault) => Self::InvalidToken(fault),
            TokenError::KeysUnavailable { retry_after_secs } => Self::KeysUnavailable { retry_after_secs },
        }
    }
}

impl From<TokenFault> for TokenError {
    fn from(fault: TokenFault) -> Self {
        Self::Invalid(fault)
    }
}

#[cfg(test)]
mod tests;
