//! What is written for clients: the challenge is one header line that reads back as it was meant, the protected resource
//! metadata a JSON document that does.

use gatepost::oauth::challenge::Challenge;
use gatepost::oauth::ids::{Issuer, PublicOrigin, ResourceUri};
use gatepost::oauth::metadata::ResourceMetadata;
use gatepost::oauth::scope::{Scope, ScopeSet};

use super::tree::Tree;

const ERRORS: [Option<&str>; 4] = [None, Some("invalid_token"), Some("insufficient_scope"), Some("a \"b\" \\")];

/// The first byte chooses the error; two texts follow, parted by 0xFF: scopes, and a URL or name.
///
/// # Panics
/// Where what is written reads as something else.
pub fn check(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let mut texts = rest.split(|byte| *byte == 0xFF).map(String::from_utf8_lossy);
    let (scopes, text) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
    let scopes: ScopeSet = scopes.split(' ').filter_map(|scope| Scope::parse(scope).ok()).collect();
    let error = ERRORS[usize::from(*choice) % ERRORS.len()];
    let description = ERRORS[usize::from(*choice / 4) % ERRORS.len()];

    let challenge =
        Challenge { error, error_description: description, scope: Some(&scopes), resource_metadata: Some(&text) };
    let rendered = challenge.render();
    assert_eq!(rendered, challenge.render());
    let line = std::str::from_utf8(rendered.as_bytes()).expect("ASCII");
    assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line:?}");
    let mut expect = Vec::new();
    expect.extend(error.map(|error| ("error", error.to_owned())));
    expect.extend(description.map(|description| ("error_description", description.to_owned())));
    let named = named(&scopes).join(" ");
    expect.extend((!named.is_empty()).then_some(("scope", named)));
    expect.push(("resource_metadata", text.chars().filter(|letter| (' '..='~').contains(letter)).collect()));
    assert_eq!(read(line), expect);

    check_metadata(&scopes, &text);
}

fn check_metadata(scopes: &ScopeSet, name: &str) {
    let origin = PublicOrigin::parse("https://mcp.example.com").expect("an origin");
    let issuers: Vec<Issuer> = Issuer::parse(name).into_iter().collect();
    let metadata = ResourceMetadata {
        resource: &ResourceUri::of(&origin, "/mcp"),
        authorization_servers: &issuers,
        scopes_supported: scopes,
        resource_name: name,
    };
    let document = Tree::read(&metadata.to_json()).expect("JSON");
    assert!(!document.has_twins());
    let texts = |member: &str| -> Vec<&str> {
        document.get(&[member]).and_then(Tree::elements).unwrap_or_default().iter().filter_map(Tree::text).collect()
    };
    assert_eq!(document.get(&["resource"]).and_then(Tree::text), Some("https://mcp.example.com/mcp"));
    assert_eq!(document.get(&["resource_name"]).and_then(Tree::text), Some(name));
    assert_eq!(texts("authorization_servers"), issuers.iter().map(Issuer::as_str).collect::<Vec<_>>());
    assert_eq!(texts("scopes_supported"), named(scopes));
}

/// The scopes that clients are told of.
fn named(scopes: &ScopeSet) -> Vec<&str> {
    scopes.iter().map(Scope::as_str).filter(|scope| *scope != "offline_access").collect()
}

/// Reads a challenge as RFC 9110 §11.6.1 says, quoted strings only.
fn read(line: &str) -> Vec<(&str, String)> {
    let mut rest = line.strip_prefix("Bearer ").expect("the scheme");
    let mut parameters = Vec::new();
    loop {
        let (name, after) = rest.split_once("=\"").expect("a parameter");
        let mut content = String::new();
        let mut letters = after.char_indices();
        let end = loop {
            match letters.next().expect("the quotes end") {
                (_, '\\') => content.push(letters.next().expect("a letter after the backslash").1),
                (place, '"') => break place,
                (_, letter) => content.push(letter),
            }
        };
        parameters.push((name, content));
        match after.get(end + 1..).unwrap_or_default() {
            "" => return parameters,
            more => rest = more.strip_prefix(", ").expect("a comma"),
        }
    }
}
