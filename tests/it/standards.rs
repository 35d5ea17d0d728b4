//! Sentences of the RFCs that a protected resource must keep and that no other test holds to the letter. The tables of
//! `tests/attacks/requirements` name them one by one.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gatepost::token::clock::Clock;
use serde_json::{Value, json};

use crate::support::gateway::{HEAD, PATH, file};
use crate::support::{AuthorizationServer, McpServer, World};

/// The parameters of the one challenge `text`, which is of the scheme Bearer and has nothing that a reader of RFC 6750 §3
/// could stumble over: no escape, no parameter twice, no character that the section does not allow.
fn parameters(text: &str) -> Vec<(&str, &str)> {
    let mut parameters: Vec<(&str, &str)> = Vec::new();
    let mut rest = text.strip_prefix("Bearer ").unwrap_or_else(|| panic!("no Bearer with parameters: {text}"));
    loop {
        let (name, value) = rest.split_once("=\"").unwrap_or_else(|| panic!("no parameter: {text}"));
        let (value, after) = value.split_once('"').unwrap_or_else(|| panic!("an open quote: {text}"));
        let known = ["realm", "scope", "error", "error_description", "error_uri", "resource_metadata"];
        assert!(known.contains(&name), "{name} in {text}");
        assert!(parameters.iter().all(|(other, _)| *other != name), "{name} twice in {text}");
        assert!(!value.is_empty(), "{name} is empty in {text}");
        // %x20-21 / %x23-5B / %x5D-7E
        assert!(value.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\'), "{text}");
        if name == "scope" {
            assert!(value.split(' ').all(|scope| !scope.is_empty()), "{text}");
        }
        parameters.push((name, value));
        match after {
            "" => return parameters,
            more => rest = more.strip_prefix(", ").unwrap_or_else(|| panic!("{more:?} in {text}")),
        }
    }
}

/// RFC 6750 §3 and §3.1, for every refusal that a token or its absence is the reason for.
#[tokio::test]
async fn every_challenge_is_one_of_rfc_6750() {
    // Every character that a scope may have, and none at all.
    let odd: String = (0x21..0x7f_u8).filter(|byte| !b"\"\\'{}".contains(byte)).map(char::from).collect();
    for lines in [format!("challenge_scopes: [mcp, '{odd}']"), "challenge_scopes: []".to_owned(), String::new()] {
        let world = World::with_route(&lines).await;
        let (call, good) = (world.client.tool(PATH, "get_x"), world.token("mcp tools:read"));
        let lacking = world.token("mcp");
        let (expired, bound) = (world.good().expired(120).mint(), world.good().claim("cnf", json!({})).mint());
        let batch = json!([
            {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "get_x"}},
            {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "create_issue"}},
        ]);
        let refusals = [
            (call.clone(), 401, None),
            (call.clone().header("Authorization", "Basic YWxpY2U6c2VjcmV0"), 401, None),
            (call.clone().header("Authorization", &format!("DPoP {good}")), 401, None),
            (world.client.get(PATH), 401, None),
            (world.client.request("DELETE", PATH), 401, None),
            (call.clone().token(&good).token(&good), 400, Some("invalid_request")),
            (call.clone().header("Authorization", "Bearer"), 400, Some("invalid_request")),
            (
                call.clone().header("Authorization", &format!("Bearer {good}, Bearer {good}")),
                400,
                Some("invalid_request"),
            ),
            (call.clone().token("no-token-of-ours"), 401, Some("invalid_token")),
            (call.clone().token(&expired), 401, Some("invalid_token")),
            (call.clone().token(&bound), 401, Some("invalid_token")),
            (world.client.get(PATH).token(&expired), 401, Some("invalid_token")),
            (call.clone().token(&lacking), 403, Some("insufficient_scope")),
            (world.client.post(PATH, batch.to_string()).token(&lacking), 403, Some("insufficient_scope")),
            (call.token(&world.token("tools:read")), 403, Some("insufficient_scope")),
        ];
        for (request, status, error) in refusals {
            for reply in [request.clone().send().await, request.send_h2().await] {
                let challenges: Vec<_> = reply.head.all("www-authenticate").collect();
                let [challenge] = challenges[..] else { panic!("{challenges:?} in {reply:?}") };
                let said = parameters(challenge);
                let of = |name: &str| said.iter().find(|(each, _)| *each == name).map(|(_, value)| *value);
                assert_eq!((reply.status, of("error")), (status, error), "{challenge}");
                // Who did not try to authenticate learns of no error.
                assert!(error.is_some() || of("error_description").is_none(), "{challenge}");
                assert!(error != Some("insufficient_scope") || of("scope").is_some(), "{challenge}");
            }
        }
        world.finish().await;
    }
}

/// RFC 9728 §3.1 and §3.3: a client compares `resource` with the URL that it asked, and must not use what differs.
#[tokio::test]
async fn a_challenge_leads_to_the_document_of_what_was_asked_for() {
    let paths = [PATH, "/mcp/nested", "/other/mcp", "/slash/", "/both/", "/both"];
    let route = |(n, path): (usize, &&str)| {
        format!("  - {{name: r{n}, path: {path}, upstream: \"{{upstream}}\", default: allow}}\n")
    };
    let routes: Vec<String> = paths.iter().enumerate().map(route).collect();
    let text = format!("{HEAD}routes:\n{}", routes.concat());
    let world = World::start(&text).await;
    for path in paths {
        let refusal = world.client.tool(path, "get_x").send().await;
        let said = parameters(refusal.header("www-authenticate").unwrap());
        let (_, url) = said.into_iter().find(|(name, _)| *name == "resource_metadata").unwrap();
        assert_eq!(url, world.url(&format!("/.well-known/oauth-protected-resource{path}")));
        let document = world.client.get(url.strip_prefix(&world.url("")).unwrap()).send().await;
        assert_eq!(document.passed().json()["resource"], world.url(path));
    }
    // Where clients look that drop the last slash.
    let dropped = world.client.get("/.well-known/oauth-protected-resource/slash").send().await;
    assert_eq!(dropped.passed().json()["resource"], world.url("/slash/"));
    world.finish().await;
}

/// RFC 9728 §6: escapes of JSON are undone, nothing else is, and code points are compared.
#[tokio::test]
async fn texts_are_compared_by_their_code_points() {
    let text = file("audiences: [\"api://caf\u{e9}\"]");
    let mut world = World::start_with(&text, AuthorizationServer::up(), McpServer::up(), Clock::system()).await;
    world.keys_arrived().await;
    let key = world.issuer.key();
    let (header, claims) = world.good().scope("mcp tools:read").texts();
    let escaped = |text: &str| {
        let escapes: Vec<String> = text.chars().map(|c| format!("\\u{:04X}", u32::from(c))).collect();
        escapes.concat()
    };
    let issuer = world.issuer.issuer();
    for (header, claims) in [
        // As PHP writes it.
        (header.clone(), claims.replace('/', "\\/")),
        (header.clone(), claims.replace(issuer, &escaped(issuer))),
        (header.clone(), claims.replace("\"aud\"", &format!("\"{}\"", escaped("aud")))),
        (header.replace("ES256", &escaped("ES256")), claims.replace("mcp tools:read", &escaped("mcp tools:read"))),
    ] {
        world.mcp.permit(1);
        world.client.tool(PATH, "get_x").token(&key.sign(&header, &claims)).send().await.passed();
    }
    let to = |audience: &str| world.good().aud(audience).scope("mcp tools:read").mint();
    world.mcp.permit(1);
    world.client.tool(PATH, "get_x").token(&to("api://caf\u{e9}")).send().await.passed();
    // What a normal form, or a second undoing of escapes, would make the same.
    let ours = world.url(PATH);
    for other in ["api://cafe\u{301}", "api://CAF\u{c9}", "api://caf\\u00e9", "api://caf%C3%A9", &escaped(&ours)] {
        world.client.tool(PATH, "get_x").token(&to(other)).send().await.refused(401, "invalid_token");
    }
    world.finish().await;
}

/// RFC 9068 §2.1 asks for RS256; RFC 8725 §3.1 for one algorithm to a key, also where the key names none.
#[tokio::test]
async fn rs256_is_accepted_and_a_key_is_used_with_one_algorithm() {
    let encodings: [(&str, &'static dyn RsaEncoding); 3] =
        [("RS256", &RSA_PKCS1_SHA256), ("RS512", &RSA_PKCS1_SHA512), ("PS256", &RSA_PSS_SHA256)];
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    for (named, first, accepted) in
        [(None, "", "RS256"), (Some("RS256"), "", "RS256"), (Some("PS256"), "", "PS256"), (None, "PS256", "PS256")]
    {
        let issuer = AuthorizationServer::up();
        issuer.publish(jwk(&pair, named));
        let list = if first.is_empty() { String::new() } else { format!("\n    algorithms: [{first}, RS256, ES256]") };
        let text = file("").replace("issuer: {issuer}\n", &format!("issuer: {{issuer}}{list}\n"));
        let mut world = World::start_with(&text, issuer, McpServer::up(), Clock::system()).await;
        world.keys_arrived().await;
        for kid in [true, false] {
            for (alg, encoding) in encodings {
                let mut token = world.good().scope("mcp tools:read").header("alg", alg).header("kid", "rsa");
                if !kid {
                    token = token.without_header("kid");
                }
                let token = signed(&pair, encoding, token.texts());
                let request = world.client.tool(PATH, "get_x").token(&token);
                if alg == accepted {
                    world.mcp.permit(1);
                    request.send().await.passed();
                } else {
                    request.send().await.refused(401, "invalid_token");
                }
            }
        }
        world.finish().await;
    }
}

/// The public key; 2048 bits and 65537, so its DER has fixed places.
fn jwk(pair: &RsaKeyPair, alg: Option<&str>) -> Value {
    let der = pair.public_key().as_ref();
    assert_eq!((der.len(), &der[265..]), (270, &[2, 3, 1, 0, 1][..]));
    let mut jwk =
        json!({"kty": "RSA", "kid": "rsa", "use": "sig", "e": "AQAB", "n": URL_SAFE_NO_PAD.encode(&der[9..265])});
    if let Some(alg) = alg {
        jwk["alg"] = json!(alg);
    }
    jwk
}

fn signed(pair: &RsaKeyPair, encoding: &'static dyn RsaEncoding, (header, claims): (String, String)) -> String {
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}
