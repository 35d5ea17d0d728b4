//! Verified tokens, by SHA-256 of their bytes: the verdict on the signature and the claims. A token that was not verified
//! never enters. What is found here is no permission: issuer, audience and time are looked at on every request.

use std::sync::Arc;

use aws_lc_rs::digest;

use super::claims::Verdict;
use super::jwks;

/// SHA-256 of a whole token.
pub(super) type TokenDigest = [u8; 32];

/// The digest of a token.
pub(super) fn token_digest(token: &str) -> TokenDigest {
    jwks::sha256_bytes(&digest::digest(&digest::SHA256, token.as_bytes()))
}

/// The cache. It does not hold tokens, so reading it yields none.
#[derive(Debug)]
pub(super) struct TokenCache(moka::sync::Cache<TokenDigest, Arc<Verdict>>);

impl TokenCache {
    /// A cache of at most `bytes_max` bytes, estimated.
    pub(super) fn new(bytes_max: u64) -> Self {
        let weigh = |_: &TokenDigest, verdict: &Arc<Verdict>| u32::try_from(verdict.weight_bytes()).unwrap_or(u32::MAX);
        Self(moka::sync::Cache::builder().max_capacity(bytes_max).weigher(weigh).build())
    }
    /// The verdict on a token, if it was verified before.
    pub(super) fn get(&self, token: &TokenDigest) -> Option<Arc<Verdict>> {
        self.0.get(token)
    }
    /// Keeps a verdict.
    pub(super) fn insert(&self, token: TokenDigest, verdict: Arc<Verdict>) {
        self.0.insert(token, verdict);
    }
    /// Forgets a token.
    pub(super) fn remove(&self, token: &TokenDigest) {
        self.0.invalidate(token);
    }
}
