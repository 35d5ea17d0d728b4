//! The token endpoint: what is exchanged once and by its owner, and what is not.

use super::*;

#[tokio::test]
async fn a_code_is_redeemed_by_its_client_alone() {
    let world = World::start().await;
    let (client, other) = (world.client().await, world.client().await);
    let check = async |changes: &[(&str, &str)], error: &str, burnt: bool| {
        let code = world.code(&client, "reader", &["notes:read"]).await;
        assert_eq!(world.redeem(&client, &code, changes).await.fault(), bad(error), "{changes:?}");
        let again = world.redeem(&client, &code, &[]).await;
        assert_eq!(again.status, if burnt { 400 } else { 200 }, "{changes:?}");
    };
    check(&[("code_verifier", &"a".repeat(43))], "invalid_grant", true).await;
    check(&[("code_verifier", &challenge(VERIFIER))], "invalid_grant", true).await;
    check(&[("code_verifier", "")], "invalid_request", false).await;
    check(&[("redirect_uri", "http://127.0.0.1:1/callback")], "invalid_grant", true).await;
    check(&[("redirect_uri", "")], "invalid_request", false).await;
    check(&[("client_id", &other)], "invalid_grant", true).await;
    check(&[("resource", "https://other.example/mcp")], "invalid_target", false).await;
    check(&[("code", "")], "invalid_request", false).await;
    check(&[("code", "guessed")], "invalid_grant", false).await;
    check(&[("code_verifier", VERIFIER), ("code_verifier", VERIFIER)], "invalid_request", false).await;
    check(&[("grant_type", "password")], "unsupported_grant_type", false).await;
    check(&[("grant_type", "")], "invalid_request", false).await;
    let code = world.code(&client, "reader", &["notes:read"]).await;
    world.later(120);
    assert_eq!(world.redeem(&client, &code, &[]).await.fault(), bad("invalid_grant"), "too old");
    let code = world.code(&client, "reader", &["notes:read"]).await;
    assert_eq!(world.redeem(&client, &code, &[("resource", "")]).await.status, 200);
}

#[tokio::test]
async fn a_code_that_comes_twice_ends_what_came_of_it() {
    let world = World::start().await;
    let client = world.client().await;
    let code = world.code(&client, "reader", &["notes:read"]).await;
    let refresh = world.redeem(&client, &code, &[]).await.text("refresh_token");
    let refresh = world.refresh(&client, &refresh, &[]).await.text("refresh_token");
    assert_eq!(world.redeem(&client, &code, &[]).await.fault(), bad("invalid_grant"));
    assert_eq!(world.refresh(&client, &refresh, &[]).await.fault(), bad("invalid_grant"), "revoked");
}

#[tokio::test]
async fn a_refresh_token_that_comes_twice_ends_its_family() {
    let world = World::start().await;
    let client = world.client().await;
    let code = world.code(&client, "writer", &["notes:read", "notes:write"]).await;
    let first = world.redeem(&client, &code, &[]).await.text("refresh_token");
    let reply = world.refresh(&client, &first, &[]).await;
    assert_eq!(reply.text("scope"), "notes:read notes:write");
    let second = reply.text("refresh_token");
    assert_ne!(first, second);
    let third = world.refresh(&client, &second, &[]).await.text("refresh_token");
    assert_eq!(world.refresh(&client, &first, &[]).await.fault(), bad("invalid_grant"), "an old one");
    assert_eq!(world.refresh(&client, &third, &[]).await.fault(), bad("invalid_grant"), "the last one as well");
}

#[tokio::test]
async fn refreshing_narrows_and_never_widens() {
    let world = World::start().await;
    let (client, other) = (world.client().await, world.client().await);
    let code = world.code(&client, "writer", &["notes:read", "notes:write"]).await;
    let token = world.redeem(&client, &code, &[]).await.text("refresh_token");
    for (changes, error) in [
        (("scope", "notes:read notes:admin"), "invalid_scope"),
        (("scope", "unknown"), "invalid_scope"),
        (("client_id", other.as_str()), "invalid_grant"),
        (("resource", "https://other.example/mcp"), "invalid_target"),
        (("refresh_token", "guessed.guessed"), "invalid_grant"),
        (("refresh_token", "guessed"), "invalid_grant"),
        (("refresh_token", ""), "invalid_request"),
    ] {
        // None of them uses the token up.
        assert_eq!(world.refresh(&client, &token, &[changes]).await.fault(), bad(error), "{changes:?}");
    }
    let narrowed = world.refresh(&client, &token, &[("scope", "notes:read"), ("resource", RESOURCE)]).await;
    assert_eq!(narrowed.text("scope"), "notes:read");
    let token = narrowed.text("refresh_token");
    let whole = world.refresh(&client, &token, &[]).await;
    assert_eq!(whole.text("scope"), "notes:read notes:write");
    world.later(24 * 3600);
    let token = whole.text("refresh_token");
    assert_eq!(world.refresh(&client, &token, &[]).await.fault(), bad("invalid_grant"), "too old");
}

#[tokio::test]
async fn refresh_tokens_are_for_clients_that_use_them() {
    let world = World::start().await;
    let mut metadata = public_client();
    metadata.as_object_mut().unwrap().remove("grant_types");
    let client = world.register(&metadata).await.json()["client_id"].as_str().unwrap().to_owned();
    let code = world.code(&client, "reader", &["notes:read"]).await;
    assert_eq!(world.redeem(&client, &code, &[]).await.json().get("refresh_token"), None);
}

#[tokio::test]
async fn a_confidential_client_shows_its_secret() {
    let world = World::start().await;
    let public = world.client().await;
    let (client, secret) = world.confidential().await;
    let grant = ("grant_type", "client_credentials");
    let check = async |parameters: &[(&str, &str)], authorization: &str, expect: Result<(), (u16, &str)>| {
        let headers = [("Authorization", authorization)];
        let headers = if authorization.is_empty() { &[][..] } else { &headers[..] };
        let reply = world.token(&[&[grant], parameters].concat(), headers).await;
        match expect {
            Ok(()) => assert_eq!(reply.text("scope"), "notes:read notes:write notes:admin"),
            Err((status, error)) => {
                assert_eq!(reply.fault(), (status, error.to_owned()), "{parameters:?} {authorization}");
            }
        }
        assert_eq!(reply.header("www-authenticate").is_empty(), reply.status != 401);
    };
    let unknown = Err((401, "invalid_client"));
    let good = basic(&client, &secret);
    check(&[], &good, Ok(())).await;
    check(&[("client_id", &client)], &good, Ok(())).await;
    check(&[("client_id", &client), ("client_secret", &secret)], "", Ok(())).await;
    check(&[("client_id", &client), ("client_secret", &secret)], &good, Err((400, "invalid_request"))).await;
    check(&[("client_id", &public)], &good, Err((400, "invalid_request"))).await;
    check(&[("client_id", &client)], "", unknown).await;
    check(&[("client_id", &client), ("client_secret", "wrong")], "", unknown).await;
    check(&[], &basic(&client, "wrong"), unknown).await;
    check(&[], &basic(&client, ""), unknown).await;
    check(&[], &basic("unknown", &secret), unknown).await;
    check(&[], "Bearer x", unknown).await;
    check(&[], "Basic *", unknown).await;
    check(&[], "", unknown).await;
    check(&[("client_id", &public), ("client_secret", "x")], "", unknown).await;
    check(&[("client_id", &public)], "", Err((400, "unauthorized_client"))).await;
    check(&[("scope", "unknown")], &good, Err((400, "invalid_scope"))).await;
    check(&[("resource", "https://other.example/mcp")], &good, Err((400, "invalid_target"))).await;
    check(&[("client_id", "https://client.example/metadata.json")], "", Err((400, "unauthorized_client"))).await;
    // Any page can register; none gets a token that nobody consented to.
    let page = world.token(&[grant], &[("Authorization", &good), ("Origin", "https://evil.example")]).await;
    assert_eq!(page.fault(), bad("unauthorized_client"));
    // A code of its own needs the secret as well.
    let code = world.code(&client, "reader", &["notes:read"]).await;
    assert_eq!(world.redeem(&client, &code, &[]).await.fault(), (401, "invalid_client".to_owned()));
    assert_eq!(world.redeem(&client, &code, &[("client_secret", &secret)]).await.status, 200);
}
