//! The protected resource metadata document and the path it is served at (RFC 9728 §2, §3.1).

use super::ids::{Issuer, ResourceUri};
use super::scope::ScopeSet;

/// What the document says.
#[derive(Debug, Clone)]
pub struct ResourceMetadata<'a> {
    /// `resource`.
    pub resource: &'a ResourceUri,
    /// `authorization_servers`; never empty.
    pub authorization_servers: &'a [Issuer],
    /// `scopes_supported`; `offline_access` is left out.
    pub scopes_supported: &'a ScopeSet,
    /// `resource_name`.
    pub resource_name: &'a str,
}

impl ResourceMetadata<'_> {
    /// The JSON document.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        Vec::new()
    }
}

/// `/.well-known/oauth-protected-resource` followed by the resource's path; a resource that is a bare origin has
/// the root form (RFC 9728 §3.1).
#[must_use]
pub fn well_known_path(resource_path: &str) -> String {
    format!("/.well-known/oauth-protected-resource{resource_path}")
}
