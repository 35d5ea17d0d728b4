//! The one `WWW-Authenticate: Bearer` challenge of a refusal, rendered and quoted (RFC 6750 §3, RFC 9728 §5.1).

use http::HeaderValue;

use super::scope::ScopeSet;

/// A Bearer challenge. Parameters appear in the order error, error_description, scope, resource_metadata.
#[derive(Debug, Clone, Default)]
pub struct Challenge<'a> {
    /// `error`, absent when the request carried no credentials (RFC 6750 §3.1).
    pub error: Option<&'static str>,
    /// `error_description`: general words, never with `scope=` in them (clients search for that text).
    pub error_description: Option<&'static str>,
    /// `scope`; left out when empty.
    pub scope: Option<&'a ScopeSet>,
    /// `resource_metadata`: the URL of the protected resource metadata (RFC 9728 §5.1).
    pub resource_metadata: Option<&'a str>,
}

impl Challenge<'_> {
    /// The header value: starts with `Bearer `.
    #[must_use]
    pub fn render(&self) -> HeaderValue {
        HeaderValue::from_static("Bearer")
    }
}
