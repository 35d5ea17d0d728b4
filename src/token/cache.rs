//! Verified tokens, by SHA-256 of their bytes: the verdict on the signature and the claims. A token that was not verified
//! never enters. What is found here is no permission: issuer, audience and time are looked at on every request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest;

use super::claims::Verdict;
use super::jwks;

/// SHA-256 of a whole token.
pub(super) type TokenDigest = [u8; 32];

/// The digest of a token.
pub(super) fn token_digest(token: &str) -> TokenDigest {
    jwks::sha256_bytes(&digest::digest(&digest::SHA256, token.as_bytes()))
}

/// The cache. It does not hold tokens, so reading it yields none. With each verdict goes the number of the issuer for which
/// it was made.
#[derive(Debug, Clone)]
pub(super) struct TokenCache {
    verdicts: moka::sync::Cache<TokenDigest, (u64, Arc<Verdict>)>,
    bytes_max: u64,
    hits: Arc<AtomicU64>,
    misses: Arc<AtomicU64>,
}

/// How the cache of verified tokens does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheStanding {
    /// Tokens that were found.
    pub hits: u64,
    /// Tokens that were not.
    pub misses: u64,
    /// How many there are, about.
    pub entries: u64,
    /// What they take, estimated upwards.
    pub bytes: u64,
}

impl TokenCache {
    /// A cache of at most `bytes_max` bytes, estimated.
    pub(super) fn new(bytes_max: u64) -> Self {
        let weigh = |_: &TokenDigest, (_, verdict): &(u64, Arc<Verdict>)| {
            u32::try_from(verdict.weight_bytes()).unwrap_or(u32::MAX)
        };
        let verdicts = moka::sync::Cache::builder().max_capacity(bytes_max).weigher(weigh).build();
        Self { verdicts, bytes_max, hits: Arc::default(), misses: Arc::default() }
    }
    /// This cache; an empty one, if it must be of another size.
    pub(super) fn resized(&self, bytes_max: u64) -> Self {
        if self.bytes_max == bytes_max {
            return self.clone();
        }
        // The counts are of the process.
        Self { hits: Arc::clone(&self.hits), misses: Arc::clone(&self.misses), ..Self::new(bytes_max) }
    }
    /// The verdict on a token, if it was verified before, and the number of the issuer for which it was.
    pub(super) fn get(&self, token: &TokenDigest) -> Option<(u64, Arc<Verdict>)> {
        self.verdicts.get(token)
    }
    /// Keeps a verdict.
    pub(super) fn insert(&self, token: TokenDigest, issuer: u64, verdict: Arc<Verdict>) {
        self.verdicts.insert(token, (issuer, verdict));
    }
    /// Forgets a token.
    pub(super) fn remove(&self, token: &TokenDigest) {
        self.verdicts.invalidate(token);
    }
    /// Counts whether a verdict was found that could be used.
    pub(super) fn looked(&self, found: bool) {
        let count = if found { &self.hits } else { &self.misses };
        count.fetch_add(1, Ordering::Relaxed);
    }
    /// How it does.
    pub(super) fn standing(&self) -> CacheStanding {
        CacheStanding {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            entries: self.verdicts.entry_count(),
            bytes: self.verdicts.weighted_size(),
        }
    }
    /// How many tokens there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> u64 {
        self.verdicts.run_pending_tasks();
        self.verdicts.entry_count()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::oauth::ids::Issuer;
    use crate::token::claims::Claims;
    use crate::token::{IssuerSettings, KeySource};

    fn settings() -> IssuerSettings {
        IssuerSettings {
            issuer: Issuer::parse("https://as.example").unwrap(),
            keys: KeySource::Discovered,
            algorithms: Vec::new(),
            scope_claims: Vec::new(),
            scope_claims_merged: false,
            leeway_secs: 0,
            keys_stale_secs_max: 0,
            keys_cooldown_secs: 0,
        }
    }

    #[test]
    fn the_cache_is_bounded_in_bytes() {
        let payload = br#"{"iss":"https://as.example","sub":"ada","aud":"a","exp":1,"more":["x",{"y":"z"}]}"#;
        let verdict = Claims::read(payload).unwrap().into_verdict(&settings(), [0; 32]).unwrap();
        let verdict = Arc::new(verdict);
        let weight = verdict.weight_bytes() as u64;
        assert!(weight > 1024, "an estimate errs upwards: {weight}");
        let cache = TokenCache::new(10 * weight);
        for number in 0..1_000 {
            cache.insert(token_digest(&number.to_string()), 0, Arc::clone(&verdict));
        }
        assert!((1..=10).contains(&cache.count()), "{}", cache.count());
        let none = TokenCache::new(0);
        none.insert(token_digest("x"), 0, verdict);
        assert_eq!(none.count(), 0);
    }

    /// What a value takes at least: what it has allocated, without what the allocator adds.
    fn least_bytes(value: &Value) -> usize {
        let allocated = match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.capacity(),
            Value::Array(items) => {
                let spare = (items.capacity() - items.len()) * size_of::<Value>();
                spare + items.iter().map(least_bytes).sum::<usize>()
            }
            Value::Object(members) => {
                members.iter().map(|(name, value)| size_of::<String>() + name.capacity() + least_bytes(value)).sum()
            }
        };
        size_of::<Value>() + allocated
    }

    #[test]
    fn no_token_takes_more_than_it_is_estimated_at() {
        let check = |more: &str| {
            let payload = format!(r#"{{"iss":"https://as.example","aud":"a","exp":1,{more}}}"#);
            let claims = Claims::read(payload.as_bytes()).unwrap();
            let verdict = claims.into_verdict(&settings(), [0; 32]).unwrap();
            let names = verdict.verified.subject.as_ref().map_or(0, String::capacity)
                + verdict.verified.client.as_ref().map_or(0, String::capacity);
            let least = least_bytes(&verdict.verified.claims) + names;
            assert!(verdict.weight_bytes() >= least, "{} < {least}", verdict.weight_bytes());
        };
        check(r#""sub":"ada""#);
        check(&format!(r#""sub":"{0}","client_id":"{0}""#, "a".repeat(3_000)));
        check(&format!(r#""sub":"ada","zeros":[0{}]"#, ",0".repeat(2_048)));
        check(&format!(r#""sub":"ada","texts":["a"{}]"#, r#","a""#.repeat(1_024)));
        check(&format!(r#""sub":"ada","lists":[[0]{}]"#, ",[0]".repeat(1_024)));
        check(&format!(r#""sub":"ada","maps":[{{}}{}]"#, r#",{"":0}"#.repeat(512)));
    }
}
