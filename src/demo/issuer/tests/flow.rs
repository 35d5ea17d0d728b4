//! A login that goes well, from metadata to a token that the gateway accepts, and the consent page in it.

use super::*;
use crate::gateway::fetch::HttpFetch;
use crate::oauth::bearer::AccessToken;
use crate::oauth::ids::{self, ResourceUri};
use crate::token::{Algorithm, ClaimPath, IssuerSettings, KeySource, Principal, Recipient, TokenError, Validator};

/// The gateway's own validation, which finds the keys by itself.
fn validator(world: &World) -> Validator {
    let now = Arc::clone(&world.now);
    let settings = IssuerSettings {
        issuer: ids::Issuer::parse(world.origin()).unwrap(),
        keys: KeySource::Discovered,
        algorithms: vec![Algorithm::ES256],
        scope_claims: vec![ClaimPath::parse("scope").unwrap()],
        scope_claims_merged: false,
        leeway_secs: 0,
        keys_stale_secs_max: 60,
        keys_cooldown_secs: 1,
    };
    let clock = Clock::from_fn(move || now.load(Ordering::Relaxed));
    Validator::start(vec![settings], Arc::new(HttpFetch::new().unwrap()), clock, 1 << 20).unwrap()
}

async fn validate(world: &World, validator: &Validator, token: &str) -> Result<Principal, TokenError> {
    let origin = PublicOrigin::parse("http://127.0.0.1:8080").unwrap();
    let recipient = Recipient {
        issuers: vec![ids::Issuer::parse(world.origin()).unwrap()],
        resource: ResourceUri::of(&origin, "/mcp"),
        audiences: vec![],
    };
    let header = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    let mut headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, header)]);
    validator.validate(AccessToken::take(&mut headers, 8192).unwrap(), &recipient).await
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[tokio::test]
async fn tokens_are_valid_at_the_gateway() {
    let world = World::start().await;
    let validator = validator(&world);
    let client = world.client().await;
    let code = world.code(&client, "writer", &["notes:read", "notes:write", "notes:admin"]).await;
    let reply = world.redeem(&client, &code, &[]).await;
    assert_eq!((reply.text("token_type").as_str(), reply.json()["expires_in"].as_u64()), ("Bearer", Some(600)));
    // Checked, asked for, and the person's to grant.
    assert_eq!(reply.text("scope"), "notes:read notes:write");
    let token = reply.text("access_token");
    let principal = validate(&world, &validator, &token).await.unwrap();
    assert_eq!((principal.subject(), principal.client()), (Some("writer"), Some(client.as_str())));
    assert_eq!(principal.scopes().to_string(), "notes:read notes:write");

    let header: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap();
    assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("ES256")));
    let claims = claims(&token);
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(world.origin()), &json!(RESOURCE)));
    assert_eq!((&claims["iat"], &claims["exp"]), (&json!(NOW), &json!(NOW + 600)));
    assert!(claims["jti"].as_str().unwrap().len() > 20);

    for (person, scopes) in [("reader", "notes:read"), ("admin", "notes:read notes:write notes:admin")] {
        let token = world.issuer.token_for(person).unwrap();
        let principal = validate(&world, &validator, &token).await.unwrap();
        assert_eq!((principal.subject(), principal.scopes().to_string().as_str()), (Some(person), scopes));
    }
    assert!(world.issuer.token_for("nobody").is_err());
    world.later(601);
    assert!(validate(&world, &validator, &token).await.is_err(), "it expires");
}

#[tokio::test]
async fn the_answer_leads_back_with_state_and_issuer() {
    let world = World::start().await;
    let client = world.client().await;
    let page = world.ask(&client, &[]).await;
    let answer = world.answer(&page, "reader", &["notes:read"], "allow").await.led_back();
    assert_eq!((answer["state"].as_str(), answer["iss"].as_str()), ("s t&1", world.origin()));
    assert!(answer["code"].len() > 40 && !answer.contains_key("error"));
    let page = world.ask(&client, &[("state", "")]).await;
    let answer = world.answer(&page, "reader", &["notes:read"], "allow").await.led_back();
    assert!(!answer.contains_key("state"));
}

#[tokio::test]
async fn a_person_grants_what_is_checked_asked_for_and_theirs() {
    let world = World::start().await;
    let client = world.client().await;
    let check = async |asked: &str, person: &str, checked: &[&str], expect: Option<&str>| {
        let page = world.ask(&client, &[("scope", asked)]).await;
        let answer = world.answer(&page, person, checked, "allow").await.led_back();
        match expect {
            Some(scopes) => assert_eq!(world.redeem(&client, &answer["code"], &[]).await.text("scope"), scopes),
            None => assert_eq!((answer["error"].as_str(), answer.contains_key("code")), ("access_denied", false)),
        }
    };
    check("notes:write notes:read", "admin", &["notes:read", "notes:write"], Some("notes:read notes:write")).await;
    check("notes:read", "admin", &["notes:read", "notes:admin"], Some("notes:read")).await;
    check("", "admin", &["notes:admin"], Some("notes:admin")).await;
    check("", "reader", &["notes:read", "notes:write"], Some("notes:read")).await;
    check("", "admin", &["other"], None).await;
    check("", "reader", &["notes:admin"], None).await;
    check("", "admin", &[], None).await;
    let page = world.ask(&client, &[]).await;
    let answer = world.answer(&page, "admin", &["notes:read"], "deny").await.led_back();
    assert_eq!((answer["error"].as_str(), answer["state"].as_str()), ("access_denied", "s t&1"));
}

#[tokio::test]
async fn the_consent_page() {
    let world = World::start().await;
    let hostile = "<script>alert(1)</script>\"' onload=x \u{202e}";
    let mut metadata = public_client();
    metadata["client_name"] = json!(hostile);
    let client = world.register(&metadata).await.json()["client_id"].as_str().unwrap().to_owned();
    let page = world.ask(&client, &[("scope", "notes:read notes:admin")]).await;
    assert!(page.body.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39; onload=x </bdi>"), "{}", page.body);
    assert!(!page.body.contains("<script") && !page.body.contains('\u{202e}'));
    for part in [
        "<meta name=\"viewport\"",
        "For development only",
        "<b>127.0.0.1:33418</b>: a program on this machine",
        "<form method=\"post\" action=\"/authorize\">",
        "<input type=\"radio\" name=\"person\" value=\"reader\" checked>",
        "<input type=\"radio\" name=\"person\" value=\"writer\">",
        "<input type=\"radio\" name=\"person\" value=\"admin\">",
        "<input type=\"checkbox\" name=\"scope\" value=\"notes:read\" checked>",
        "<input type=\"checkbox\" name=\"scope\" value=\"notes:admin\" checked>",
        "<small>&lt;notes:admin&gt;</small>",
        "<button name=\"decision\" value=\"allow\">",
        "<button name=\"decision\" value=\"deny\">",
    ] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    assert!(!page.body.contains("value=\"notes:write\""), "it was not asked for");
    let policy = page.header("content-security-policy");
    let nonce = page.body.split_once("<style nonce=\"").unwrap().1.split_once('"').unwrap().0;
    assert_eq!(
        policy,
        format!(
            "default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self' http://127.0.0.1:33418; \
             frame-ancestors 'none'; base-uri 'none'"
        )
    );
    assert!(nonce.len() > 40 && !world.ask(&client, &[]).await.body.contains(nonce));
    let headers = ["x-frame-options", "cache-control", "referrer-policy", "x-content-type-options"];
    assert_eq!(headers.map(|name| page.header(name)), ["DENY", "no-store", "same-origin", "nosniff"]);
    assert_eq!(page.header("access-control-allow-origin"), "", "not for other pages");
}

#[tokio::test]
async fn metadata_and_keys_are_for_every_page() {
    let world = World::start().await;
    let own = world.origin();
    let first = world.get("/.well-known/oauth-authorization-server").await;
    assert_eq!(first.body, world.get("/.well-known/openid-configuration").await.body);
    let metadata = first.json();
    for (name, path) in [
        ("issuer", ""),
        ("authorization_endpoint", "/authorize"),
        ("token_endpoint", "/token"),
        ("registration_endpoint", "/register"),
        ("jwks_uri", "/jwks"),
    ] {
        assert_eq!(metadata[name], format!("{own}{path}"));
    }
    assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
    assert_eq!(metadata["client_id_metadata_document_supported"], true);
    assert_eq!(metadata["scopes_supported"], json!(["notes:read", "notes:write", "notes:admin"]));
    let keys = world.get("/jwks").await;
    assert_eq!((keys.json()["keys"][0]["alg"].as_str(), keys.json()["keys"][0].get("d")), (Some("ES256"), None));
    assert_eq!(keys.header("access-control-allow-origin"), "*");
    let host = world.address.to_string();
    let head = world.raw("HEAD /jwks", &[("Host", &host)], "").await;
    assert_eq!(
        (head.status, head.header("content-length"), head.body.as_str()),
        (200, keys.header("content-length"), "")
    );
    for (path, methods) in [("/jwks", "GET, HEAD"), ("/register", "POST"), ("/token", "POST")] {
        let preflight =
            world.raw(&format!("OPTIONS {path}"), &[("Host", &host), ("Origin", "https://x.example")], "").await;
        assert_eq!((preflight.status, preflight.header("access-control-allow-methods")), (204, methods));
        assert_eq!(preflight.header("access-control-allow-origin"), "*");
        assert!(preflight.header("access-control-allow-headers").contains("MCP-Protocol-Version"));
    }
}
