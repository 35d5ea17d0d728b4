//! Who is calling, after validation, and how a claim is named. A `Principal` is made in `token` alone, from a token whose
//! signature and claims were verified; nothing here decides what a principal may do.

use std::sync::Arc;

use serde_json::Value;

use crate::oauth::ids::Issuer;
use crate::oauth::scope::ScopeSet;

/// A caller after validation: issuer, subject, client, and the scopes of the token. Its fields are private and only
/// `token` makes one, so code that holds a principal knows that a token was validated:
///
/// ```compile_fail
/// use gatepost::token::Principal;
/// fn handed_on(principal: Principal) -> Principal {
///     Principal { ..principal }
/// }
/// ```
///
/// while handing one on compiles:
///
/// ```
/// use gatepost::token::Principal;
/// fn handed_on(principal: Principal) -> Principal {
///     principal
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Principal {
    claims: Arc<Verified>,
}

/// A claim by name or by JSON pointer (RFC 6901; begins with `/`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath(String);

/// What a verified token says; shared with the cache.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) issuer: Issuer,
    pub(super) subject: Option<String>,
    pub(super) client: Option<String>,
    pub(super) scopes: ScopeSet,
    pub(super) expires_at: u64,
    /// All claims; an object.
    pub(super) claims: Value,
}

impl Principal {
    pub(super) fn new(claims: Arc<Verified>) -> Self {
        Self { claims }
    }
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
    /// `jti`, where it is a string.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.claims.claims.get("jti")?.as_str()
    }
    /// The token's scopes, as written, without the hierarchy.
    #[must_use]
    pub fn scopes(&self) -> &ScopeSet {
        &self.claims.scopes
    }
    /// `exp`, in seconds since 1970, rounded down; at most the end of the year 9999.
    #[must_use]
    pub fn expires_at(&self) -> u64 {
        self.claims.expires_at
    }
    /// The texts of a claim, one for each element of an array: strings as they are, numbers and booleans as JSON. `None` when
    /// absent, null, an object, or an array that holds anything else.
    #[must_use]
    pub fn claim(&self, path: &ClaimPath) -> Option<Vec<String>> {
        match path.find(&self.claims.claims)? {
            Value::Array(items) => items.iter().map(scalar).collect(),
            single @ (Value::String(_) | Value::Number(_) | Value::Bool(_)) => scalar(single).map(|text| vec![text]),
            Value::Null | Value::Object(_) => None,
        }
    }
}

impl ClaimPath {
    /// Reads a claim name, or a JSON pointer when it begins with `/`; a `~` of a pointer is followed by `0` or `1`
    /// (RFC 6901 §3).
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("a claim name or a JSON pointer");
        }
        let escapes_are_whole = || text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if text.starts_with('/') && !escapes_are_whole() {
            return Err("a JSON pointer, in which `~` is written `~0` and `/` within a name `~1` (RFC 6901 §3)");
        }
        Ok(Self(text.to_owned()))
    }
    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The claim, if present, be it null.
    pub(super) fn find<'a>(&self, claims: &'a Value) -> Option<&'a Value> {
        if self.0.starts_with('/') { claims.pointer(&self.0) } else { claims.get(self.0.as_str()) }
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claim_paths_are_names_or_json_pointers() {
        let check = |text: &str, valid: bool| assert_eq!(ClaimPath::parse(text).is_ok(), valid, "{text:?}");
        check("scope", true);
        check("https://claims.example/roles", true);
        check("a~2", true);
        check("/", true);
        check("/realm_access/roles", true);
        check("/a~0b~1c", true);
        check("", false);
        check("/a~", false);
        check("/a~2", false);
        check("/a~~0", false);
    }

    #[test]
    fn claims_are_read_as_texts() {
        let claims = serde_json::json!({
            "sub": "ada", "n": 7, "f": 1.5, "t": true, "null": null, "o": {"a/b": "deep", "list": ["x", 2, false]},
            "objects": [{}], "nested": [["x"]], "empty": [], "/odd": "never by name",
        });
        let check = |path: &str, expect: Option<&str>| {
            let verified = Verified {
                issuer: Issuer::parse("https://as.example").unwrap(),
                subject: None,
                client: None,
                scopes: ScopeSet::default(),
                expires_at: 0,
                claims: claims.clone(),
            };
            let claim = Principal::new(Arc::new(verified)).claim(&ClaimPath::parse(path).unwrap());
            assert_eq!(claim.map(|texts| texts.join("+")).as_deref(), expect, "{path}");
        };
        check("sub", Some("ada"));
        check("n", Some("7"));
        check("f", Some("1.5"));
        check("t", Some("true"));
        check("/o/list", Some("x+2+false"));
        check("/o/list/0", Some("x"));
        check("/o/a~1b", Some("deep"));
        check("empty", Some(""));
        check("null", None);
        check("o", None);
        check("objects", None);
        check("nested", None);
        check("absent", None);
        check("/odd", None);
    }
}
