//! Identifiers that are compared byte for byte: issuer, resource identifier, audience, the public origin.
//! They keep the text they were written with; nothing here may normalise one.

use std::fmt;
use std::sync::Arc;

/// An authorization server's issuer identifier (RFC 8414 §2): https (http only on loopback), no query, no
/// fragment. Compared as an exact string.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Issuer(Arc<str>);

/// The resource identifier of one route (RFC 8707 §2, RFC 9728 §1.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ResourceUri(Arc<str>);

/// A value accepted in a token's `aud`, compared as an exact string.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Audience(Arc<str>);

/// The origin that clients reach the gateway under: scheme, host, optional non-default port; lower case, no
/// path. Every URL that the gateway hands out begins with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PublicOrigin(Arc<str>);

/// Why a text is no such identifier; `Display` says what was expected, without repeating the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdError(pub &'static str);

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for IdError {}

impl Issuer {
    /// Reads an issuer identifier as written.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        Ok(Self(text.into()))
    }
    /// The exact text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PublicOrigin {
    /// Reads an origin (`https://mcp.example.com`, `http://127.0.0.1:8080`): no path, not even `/`, no user
    /// information, query or fragment; lower case; no default port; http only on loopback.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        Ok(Self(text.into()))
    }
    /// The exact text; also the value of a browser's `Origin` header for this origin.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// `host` or `host:port` as written.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.0.split_once("://").map_or("", |(_, authority)| authority)
    }
    /// Whether the scheme is https.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

impl ResourceUri {
    /// The identifier of the resource at `path` (begins with `/`, or is empty for the bare origin).
    #[must_use]
    pub fn of(origin: &PublicOrigin, path: &str) -> Self {
        Self(format!("{}{path}", origin.as_str()).into())
    }
    /// The exact text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Audience {
    /// Reads a further audience; any non-empty text without control characters.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        Ok(Self(text.into()))
    }
    /// The exact text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
