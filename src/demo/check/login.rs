//! The login of the check, as an MCP client and a browser do it together: discovery, registration, authorization code
//! with PKCE. Everything that a careful client compares is compared.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::http::Http;
use super::url::{Form, form, on_origin, query};
use super::{at, expect};

/// What its metadata says (RFC 8414).
#[derive(Debug)]
pub(super) struct AuthorizationServer {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    registration_endpoint: String,
}

/// A registered client.
#[derive(Debug)]
pub(super) struct Client {
    id: String,
}

/// A code, and what proves that it is ours (RFC 7636 §4.1).
#[derive(Debug)]
pub(super) struct Code {
    code: String,
    verifier: String,
}

impl AuthorizationServer {
    /// Reads the metadata of the issuer that the resource names. It is at the origin: the demo's issuer has no path.
    pub(super) async fn discover(http: &Http, issuer: &str) -> Result<Self, String> {
        let reply = http.get(&on_origin(issuer, "/.well-known/oauth-authorization-server")?).await?;
        reply.expect(200)?;
        let document = reply.json()?;
        // RFC 8414 §3.3: else another server could pass for this one.
        expect("`issuer`", at(&document, "/issuer"), issuer)?;
        let has = |name: &str, value: &str| {
            let values = at(&document, &format!("/{name}"));
            let listed = values.as_array().is_some_and(|values| values.iter().any(|listed| listed == value));
            if listed { Ok(()) } else { Err(format!("expected {value} in `{name}`, got {values}")) }
        };
        has("code_challenge_methods_supported", "S256")?;
        has("response_types_supported", "code")?;
        let iss = "authorization_response_iss_parameter_supported";
        expect(iss, at(&document, &format!("/{iss}")), &true)?;
        let endpoint = |name: &str| text(&document, name);
        Ok(Self {
            issuer: issuer.to_owned(),
            authorization_endpoint: endpoint("authorization_endpoint")?,
            token_endpoint: endpoint("token_endpoint")?,
            registration_endpoint: endpoint("registration_endpoint")?,
        })
    }
}

impl Client {
    /// RFC 7591, as a public client.
    pub(super) async fn register(http: &Http, server: &AuthorizationServer) -> Result<Self, String> {
        let metadata = json!({
            "client_name": "Gatepost demo check",
            "redirect_uris": [REDIRECT_URI],
            "grant_types": ["authorization_code"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        });
        let reply = http.post_json(&server.registration_endpoint, &metadata).await?;
        reply.expect(201)?;
        let registered = reply.json()?;
        expect("`redirect_uris`", at(&registered, "/redirect_uris"), &json!([REDIRECT_URI]))?;
        Ok(Self { id: text(&registered, "client_id")? })
    }

    /// Asks for `scope`, and grants `granted` on the consent page as `person`.
    pub(super) async fn authorize(
        &self,
        http: &Http,
        server: &AuthorizationServer,
        resource: &str,
        person: &str,
        scope: &str,
        granted: &[&str],
    ) -> Result<Code, String> {
        let (verifier, state) = (random()?, random()?);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(digest);
        let request = form(&[
            ("response_type", "code"),
            ("client_id", &self.id),
            ("redirect_uri", REDIRECT_URI),
            ("scope", scope),
            ("state", &state),
            ("resource", resource),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let page = http.get(&format!("{}?{request}", server.authorization_endpoint)).await?;
        page.expect(200)?;
        let page = Form::read(&String::from_utf8_lossy(&page.body))?;
        let mut chosen = vec![("person", person), ("decision", "allow")];
        chosen.extend(granted.iter().map(|scope| ("scope", *scope)));
        let action = on_origin(&server.authorization_endpoint, &page.action)?;
        let answer = http.post_form(&action, &page.filled(&chosen)?).await?;
        answer.expect(302)?;

        let location = answer.header("location")?;
        if !location.starts_with(&format!("{REDIRECT_URI}?")) {
            return Err(format!("expected a redirect to {REDIRECT_URI}, got {location}"));
        }
        let parameters = query(location);
        let get = |name: &str| parameters.get(name).map(String::as_str).unwrap_or_default();
        // A state of somebody else's would log this client in to their account.
        expect("`state`", get("state"), state.as_str())?;
        // RFC 9207: else a code could be sent to another server than the one that made it.
        expect("`iss`", get("iss"), server.issuer.as_str())?;
        match get("code") {
            "" => Err(format!("expected a code, got {location}")),
            code => Ok(Code { code: code.to_owned(), verifier }),
        }
    }

    /// The access token for a code, with exactly the scopes `granted`.
    pub(super) async fn token(
        &self,
        http: &Http,
        server: &AuthorizationServer,
        resource: &str,
        code: &Code,
        granted: &[&str],
    ) -> Result<String, String> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code.code.as_str()),
            ("redirect_uri", REDIRECT_URI),
            ("client_id", self.id.as_str()),
            ("code_verifier", code.verifier.as_str()),
            ("resource", resource),
        ];
        let reply = http.post_form(&server.token_endpoint, &fields).await?;
        reply.expect(200)?;
        let answer = reply.json()?;
        if !at(&answer, "/token_type").as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
            return Err(format!("expected a bearer token, got {}", at(&answer, "/token_type")));
        }
        let mut scopes: Vec<&str> = at(&answer, "/scope").as_str().unwrap_or_default().split(' ').collect();
        scopes.sort_unstable();
        expect("`scope`", scopes.as_slice(), granted)?;
        text(&answer, "access_token")
    }
}

/// A parameter of the one `Bearer` challenge (RFC 9110 §11.2).
pub(super) fn parameter(challenge: &str, name: &str) -> Option<String> {
    let mut rest = challenge.strip_prefix("Bearer ")?;
    loop {
        let (found, after) = rest.trim_start_matches([' ', ',']).split_once("=\"")?;
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => value.push(chars.next()?.1),
                (_, char) => value.push(char),
            }
        };
        if found == name {
            return Some(value);
        }
        rest = after.get(end.saturating_add(1)..)?;
    }
}

fn text(document: &Value, name: &str) -> Result<String, String> {
    let found = at(document, &format!("/{name}")).as_str();
    found.map(str::to_owned).ok_or_else(|| format!("expected `{name}` in {document}"))
}

/// 256 random bits, as text.
fn random() -> Result<String, String> {
    let mut bytes = [0_u8; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "the system gives no random bytes".to_owned())?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// Nobody listens there: the check reads the code from the redirect itself.
const REDIRECT_URI: &str = "http://127.0.0.1:33418/callback";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_of_a_challenge_are_found() {
        let challenge = r#"Bearer error="insufficient_scope", error_description="a \"b\", scope=", scope="a b", x="""#;
        for (name, expected) in [
            ("error", Some("insufficient_scope")),
            ("error_description", Some("a \"b\", scope=")),
            ("scope", Some("a b")),
            ("x", Some("")),
            ("resource_metadata", None),
        ] {
            assert_eq!(parameter(challenge, name).as_deref(), expected);
        }
        for broken in ["", "Basic scope=\"a\"", "Bearer scope=\"a", "Bearer scope=\"a\\", "Bearer scope"] {
            assert_eq!(parameter(broken, "scope"), None, "{broken}");
        }
    }
}
