//! The one `WWW-Authenticate: Bearer` challenge of a refusal, rendered and quoted (RFC 6750 §3, RFC 9728 §5.1). What a
//! value holds never ends its quotes, and the same refusal gives the same bytes: clients detect loops by them.

use http::HeaderValue;

use super::scope::{Scope, ScopeSet};

/// A Bearer challenge. Parameters appear in the order of the fields.
#[derive(Debug, Clone, Default)]
pub struct Challenge<'a> {
    /// `error`, absent when the request carried no credentials (RFC 6750 §3.1).
    pub error: Option<&'static str>,
    /// `error_description`: general words, never with `scope=` in them (clients search for that text).
    pub error_description: Option<&'static str>,
    /// `scope`, without `offline_access`; left out when empty.
    pub scope: Option<&'a ScopeSet>,
    /// `resource_metadata`: the URL of the protected resource metadata (RFC 9728 §5.1).
    pub resource_metadata: Option<&'a str>,
}

impl Challenge<'_> {
    /// The header value: `Bearer `, then the parameters, each a quoted string; the scheme alone where there is none.
    #[must_use]
    pub fn render(&self) -> HeaderValue {
        let named = self.scope.into_iter().flat_map(ScopeSet::iter).filter(|scope| !scope.is_offline_access());
        let scope = Some(named.map(Scope::as_str).collect::<Vec<_>>().join(" ")).filter(|scope| !scope.is_empty());
        let parameters = [
            ("error", self.error),
            ("error_description", self.error_description),
            ("scope", scope.as_deref()),
            ("resource_metadata", self.resource_metadata),
        ];
        let mut text = String::from("Bearer");
        let mut separator = " ";
        for (name, value) in parameters {
            if let Some(value) = value {
                text.push_str(separator);
                text.push_str(name);
                text.push('=');
                push_quoted(&mut text, value);
                separator = ", ";
            }
        }
        // Only visible ASCII and spaces got in, which every header value may hold.
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Bearer"))
    }
}

/// Adds a quoted-string (RFC 9110 §5.6.4). What no header may hold is left out: a line break in a value must not begin a
/// header of its own.
fn push_quoted(text: &mut String, value: &str) {
    text.push('"');
    for letter in value.chars().filter(|letter| matches!(letter, ' '..='~')) {
        if matches!(letter, '"' | '\\') {
            text.push('\\');
        }
        text.push(letter);
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(text: &str) -> ScopeSet {
        text.split_whitespace().map(|scope| Scope::parse(scope).unwrap()).collect()
    }

    /// Reads a challenge as RFC 9110 §11.6.1 says, quoted strings only.
    fn read(value: &HeaderValue) -> Vec<(String, String)> {
        let mut rest = value.to_str().unwrap().strip_prefix("Bearer ").unwrap();
        let mut parameters = Vec::new();
        loop {
            let (name, after) = rest.split_once("=\"").unwrap();
            let mut content = String::new();
            let mut letters = after.char_indices();
            let end = loop {
                match letters.next().unwrap() {
                    (_, '\\') => content.push(letters.next().unwrap().1),
                    (place, '"') => break place,
                    (_, letter) => content.push(letter),
                }
            };
            parameters.push((name.to_owned(), content));
            match &after[end + 1..] {
                "" => return parameters,
                more => rest = more.strip_prefix(", ").unwrap(),
            }
        }
    }

    #[test]
    fn challenges() {
        let check = |challenge: Challenge<'_>, expect: &str| assert_eq!(challenge.render(), expect);
        let metadata = Some("https://mcp.example.com/.well-known/oauth-protected-resource/mcp");
        check(
            Challenge { scope: Some(&set("mcp")), resource_metadata: metadata, ..Challenge::default() },
            "Bearer scope=\"mcp\", \
             resource_metadata=\"https://mcp.example.com/.well-known/oauth-protected-resource/mcp\"",
        );
        check(
            Challenge {
                error: Some("insufficient_scope"),
                error_description: Some("The access token lacks a scope"),
                scope: Some(&set("mcp github:write")),
                resource_metadata: metadata,
            },
            "Bearer error=\"insufficient_scope\", error_description=\"The access token lacks a scope\", \
             scope=\"mcp github:write\", \
             resource_metadata=\"https://mcp.example.com/.well-known/oauth-protected-resource/mcp\"",
        );
        check(Challenge { error: Some("invalid_request"), ..Challenge::default() }, "Bearer error=\"invalid_request\"");
        check(Challenge { scope: Some(&set("")), ..Challenge::default() }, "Bearer");
        check(
            Challenge { resource_metadata: Some("a\"b\\c\r\nX: d\u{e9}\u{7f}"), ..Challenge::default() },
            "Bearer resource_metadata=\"a\\\"b\\\\cX: d\"",
        );
    }

    proptest! {
        #[test]
        fn reads_back_as_it_was_meant(
            scopes in prop::collection::vec("[!#-\\[\\]-~]{1,12}", 0..6),
            url in "[ -~]{0,40}",
            error in prop::option::of(prop::sample::select(vec!["invalid_token", "say \"no\"\\"])),
        ) {
            let scopes: ScopeSet = scopes.iter().map(|scope| Scope::parse(scope).unwrap()).collect();
            let challenge =
                Challenge { error, error_description: None, scope: Some(&scopes), resource_metadata: Some(&url) };
            let mut expect = Vec::new();
            expect.extend(error.map(|error| ("error".to_owned(), error.to_owned())));
            if !scopes.is_empty() {
                expect.push(("scope".to_owned(), scopes.to_string()));
            }
            expect.push(("resource_metadata".to_owned(), url.clone()));
            let rendered = challenge.render();
            prop_assert_eq!(read(&rendered), expect);
            prop_assert_eq!(challenge.render(), rendered);
        }

        #[test]
        fn nothing_breaks_out_of_the_header(url in any::<String>()) {
            let rendered = Challenge { resource_metadata: Some(&url), ..Challenge::default() }.render();
            prop_assert!(rendered.as_bytes().iter().all(|byte| (b' '..=b'~').contains(byte)));
            prop_assert_eq!(read(&rendered).len(), 1);
        }
    }
}
