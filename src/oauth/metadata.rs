//! The protected resource metadata document and the path it is served at (RFC 9728 §2, §3.1). It is made of
//! configuration alone: nothing that a request says gets into it.

use serde::Serialize;

use super::ids::{Issuer, ResourceUri};
use super::scope::{Scope, ScopeSet};

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

/// The document as JSON has it. Arrays without elements are left out (RFC 9728 §3.2).
#[derive(Serialize)]
struct Document<'a> {
    resource: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    authorization_servers: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<&'a str>,
    bearer_methods_supported: [&'static str; 1],
    resource_name: &'a str,
}

impl ResourceMetadata<'_> {
    /// The JSON document.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let document = Document {
            resource: self.resource.as_str(),
            authorization_servers: self.authorization_servers.iter().map(Issuer::as_str).collect(),
            scopes_supported: self
                .scopes_supported
                .iter()
                .filter(|scope| !scope.is_offline_access())
                .map(Scope::as_str)
                .collect(),
            // Never the query or the body, where tokens end in logs.
            bearer_methods_supported: ["header"],
            resource_name: self.resource_name,
        };
        // Strings and arrays of them: nothing here can fail to be written.
        serde_json::to_vec(&document).unwrap_or_default()
    }
}

/// `/.well-known/oauth-protected-resource` followed by the resource's path; a resource that is a bare origin, with its
/// slash or without, has the root form (RFC 9728 §3.1).
#[must_use]
pub fn well_known_path(resource_path: &str) -> String {
    let path = if resource_path == "/" { "" } else { resource_path };
    format!("/.well-known/oauth-protected-resource{path}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::oauth::ids::PublicOrigin;

    fn check(path: &str, issuers: &[&str], scopes: &str, name: &str, expect: &Value) {
        let origin = PublicOrigin::parse("https://mcp.example.com").unwrap();
        let issuers: Vec<Issuer> = issuers.iter().map(|issuer| Issuer::parse(issuer).unwrap()).collect();
        let metadata = ResourceMetadata {
            resource: &ResourceUri::of(&origin, path),
            authorization_servers: &issuers,
            scopes_supported: &scopes.split_whitespace().map(|scope| Scope::parse(scope).unwrap()).collect(),
            resource_name: name,
        };
        assert_eq!(serde_json::from_slice::<Value>(&metadata.to_json()).unwrap(), *expect);
    }

    #[test]
    fn documents() {
        check(
            "/github/mcp",
            &["https://auth.example.com/realms/acme", "https://b.example/"],
            "mcp github:read offline_access github:write",
            "github",
            &json!({
                "resource": "https://mcp.example.com/github/mcp",
                "authorization_servers": ["https://auth.example.com/realms/acme", "https://b.example/"],
                "scopes_supported": ["mcp", "github:read", "github:write"],
                "bearer_methods_supported": ["header"],
                "resource_name": "github",
            }),
        );
        check(
            "",
            &["https://a.example"],
            "offline_access",
            "the \"one\" \\ \n",
            &json!({
                "resource": "https://mcp.example.com",
                "authorization_servers": ["https://a.example"],
                "bearer_methods_supported": ["header"],
                "resource_name": "the \"one\" \\ \n",
            }),
        );
    }

    #[test]
    fn paths() {
        let check = |path: &str, expect: &str| assert_eq!(well_known_path(path), expect);
        check("", "/.well-known/oauth-protected-resource");
        check("/", "/.well-known/oauth-protected-resource");
        check("/mcp", "/.well-known/oauth-protected-resource/mcp");
        check("/a/mcp", "/.well-known/oauth-protected-resource/a/mcp");
        check("/a/", "/.well-known/oauth-protected-resource/a/");
    }
}
