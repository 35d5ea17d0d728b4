//! Keys: an authorization server that is down, slow, broken or changing its keys costs as little as it can.

use std::collections::BTreeMap;

use gatepost::token::clock::Clock;
use serde_json::{Value, json};

use crate::support::gateway::{PATH, file};
use crate::support::token::Key;
use crate::support::{AuthorizationServer, McpServer, Mode, Reply, World};

/// The standard file with these settings of the issuer's keys.
fn with_keys(settings: &str) -> String {
    file("").replace("issuer: {issuer}\n", &format!("issuer: {{issuer}}\n    keys: {settings}\n"))
}

/// A world whose issuer is as given; its keys have not arrived.
async fn with_issuer(issuer: AuthorizationServer) -> World {
    World::start_with(&file(""), issuer, McpServer::up(), Clock::system()).await
}

/// Calls a tool with a token of the key that signs now, which must be accepted.
async fn accepted(world: &World) {
    world.mcp.permit(1);
    world.call_tool("mcp tools:read", "get_x").await.passed();
}

/// A call with a token whose key nobody knows.
async fn unknown(world: &World, kid: &str) -> Reply {
    let token = world.good().scope("mcp tools:read").header("kid", kid).mint();
    world.client.tool(PATH, "get_x").token(&token).send().await
}

#[tokio::test]
async fn an_issuer_that_is_down_at_the_start_is_waited_for() {
    let mut world = with_issuer(AuthorizationServer::down()).await;
    let path = format!("/.well-known/oauth-protected-resource{PATH}");
    world.client.get(&path).send().await.passed();
    world.record().await;
    let reply = world.call_tool("mcp tools:read", "get_x").await;
    world.refused(&reply, 503, "keys_unavailable").await;
    assert!(reply.header("retry-after").is_some());
    world.client.tool(PATH, "get_x").send().await.refused(401, "missing_token");
    world.record().await;
    world.issuer.come_up();
    world.keys_arrived().await;
    accepted(&world).await;
    world.finish().await;
}

#[tokio::test]
async fn an_issuer_that_goes_down_later_changes_nothing() {
    let mut world = World::standard().await;
    world.issuer.go_down().await;
    for n in 0..3 {
        // Each token is new: what is kept is the key, not the verdict.
        let token = world.good().scope("mcp tools:read").claim("jti", n).mint();
        world.mcp.permit(1);
        world.client.tool(PATH, "get_x").token(&token).send().await.passed();
    }
    world.finish().await;
}

#[tokio::test]
async fn the_first_token_of_a_new_key_is_accepted() {
    let world = World::standard().await;
    accepted(&world).await;
    let fetches = world.issuer.fetches().keys;
    world.issuer.rotate("k-2");
    accepted(&world).await;
    assert_eq!(world.issuer.fetches().keys, fetches + 1);
    world.finish().await;
}

#[tokio::test]
async fn a_removed_key_is_refused_after_the_next_refresh() {
    let world = World::standard().await;
    let old = world.token("mcp tools:read");
    world.mcp.permit(1);
    world.client.tool(PATH, "get_x").token(&old).send().await.passed();
    world.issuer.rotate("k-2");
    world.issuer.withdraw("k-1");
    // The token with the new key makes the gateway look; the verdict on the old one was cached.
    accepted(&world).await;
    world.client.tool(PATH, "get_x").token(&old).send().await.refused(401, "invalid_token");
    world.finish().await;
}

#[tokio::test]
async fn a_key_that_changes_under_its_name_takes_its_tokens_with_it() {
    let world = World::standard().await;
    let old = world.token("mcp tools:read");
    world.mcp.permit(1);
    world.client.tool(PATH, "get_x").token(&old).send().await.passed();
    world.issuer.withdraw("k-1");
    world.issuer.publish(Key::generate("k-1").jwk());
    world.issuer.rotate("k-2");
    accepted(&world).await;
    world.client.tool(PATH, "get_x").token(&old).send().await.refused(401, "invalid_token");
    world.finish().await;
}

#[tokio::test]
async fn ten_thousand_unknown_keys_cost_one_fetch() {
    // However slow the machine is, all of it falls into one cool-down.
    let world = World::start(&with_keys("{cooldown_secs: 3600}")).await;
    let fetches = world.issuer.fetches().keys;
    let token = world.good().scope("mcp tools:read").header("kid", "none-of-ours").mint();
    let signature = token.rsplit('.').next().unwrap();
    let claims = token.split('.').nth(1).unwrap();
    let requests = (0..10_000).map(|n| {
        let header = world.good().header("kid", format!("unknown-{n}")).mint();
        let header = header.split('.').next().unwrap();
        world.client.get(PATH).token(&format!("{header}.{claims}.{signature}"))
    });
    for reply in world.client.on_one_connection(requests).await {
        reply.refused(401, "invalid_token");
    }
    assert_eq!(world.issuer.fetches().keys, fetches + 1);
    // Known keys go on being accepted.
    accepted(&world).await;
    world.finish().await;
}

#[tokio::test]
async fn unknown_keys_at_once_share_one_fetch() {
    let world = World::standard().await;
    let fetches = world.issuer.fetches().keys;
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..50 {
        let token = world.good().scope("mcp").header("kid", format!("unknown-{n}")).mint();
        calls.spawn(world.client.get(PATH).token(&token).send());
    }
    for reply in calls.join_all().await {
        reply.refused(401, "invalid_token");
    }
    assert_eq!(world.issuer.fetches().keys, fetches + 1);
    world.finish().await;
}

#[tokio::test]
async fn an_unknown_key_is_503_while_its_refresh_fails() {
    for mode in [Mode::Status(500), Mode::Garbage, Mode::Redirect] {
        let world = World::standard().await;
        let fetches = world.issuer.fetches();
        world.issuer.answer(mode);
        for n in 0..5 {
            let reply = unknown(&world, &format!("unknown-{n}")).await;
            reply.refused(503, "keys_unavailable");
            assert!(reply.header("retry-after").is_some());
        }
        let spent = world.issuer.fetches();
        assert!(spent.keys + spent.metadata <= fetches.keys + fetches.metadata + 3, "{fetches:?} {spent:?}");
        accepted(&world).await;
        world.finish().await;
    }
}

#[tokio::test]
async fn an_unknown_key_waits_for_an_issuer_that_hangs_and_not_for_ever() {
    let world = World::standard().await;
    world.issuer.answer(Mode::Hang);
    unknown(&world, "unknown").await.refused(503, "keys_unavailable");
    accepted(&world).await;
    world.finish().await;
}

#[tokio::test]
async fn after_the_cool_down_the_next_unknown_key_is_looked_for() {
    let world = World::start(&with_keys("{cooldown_secs: 1}")).await;
    unknown(&world, "unknown").await.refused(401, "invalid_token");
    world.issuer.rotate("k-2");
    // Refused at once until the cool-down is over; then accepted, without any help.
    let arrival = async {
        loop {
            world.mcp.permit(1);
            let reply = world.call_tool("mcp tools:read", "get_x").await;
            if reply.status == 200 {
                break;
            }
            reply.refused(401, "invalid_token");
        }
    };
    crate::support::within("the new key is found", arrival).await;
    world.finish().await;
}

#[tokio::test]
async fn an_empty_set_does_not_replace_a_good_one() {
    let world = World::standard().await;
    world.issuer.answer(Mode::NoKeys);
    let refused = unknown(&world, "unknown").await;
    assert!(refused.status == 401 || refused.status == 503, "{refused:?}");
    accepted(&world).await;
    world.finish().await;
}

#[tokio::test]
async fn a_token_without_kid_is_tried_and_never_starts_a_fetch() {
    let world = World::standard().await;
    let fetches = world.issuer.fetches();
    let nameless = world.good().scope("mcp tools:read").without_header("kid");
    world.mcp.permit(1);
    world.client.tool(PATH, "get_x").token(&nameless.mint()).send().await.passed();
    let forged = nameless.forged_with(&Key::generate("k-1")).mint();
    world.client.tool(PATH, "get_x").token(&forged).send().await.refused(401, "invalid_token");
    assert_eq!(world.issuer.fetches(), fetches);
    world.finish().await;
}

#[tokio::test]
async fn one_unusable_key_does_not_spoil_the_others() {
    let issuer = AuthorizationServer::up();
    let key = |kid: &str, change: &dyn Fn(&mut Value)| {
        let mut jwk = Key::generate(kid).jwk();
        change(&mut jwk);
        jwk
    };
    let secret = json!({"kty": "oct", "kid": "symmetric", "alg": "HS256", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"});
    issuer.publish(secret);
    issuer.publish(key("encrypting", &|jwk| jwk["use"] = json!("enc")));
    issuer.publish(key("no-curve", &|jwk| jwk["crv"] = json!("P-257")));
    issuer.publish(key("not-on-curve", &|jwk| jwk["y"] = jwk["x"].clone()));
    issuer.publish(json!({"kty": "unheard-of", "kid": "unheard-of"}));
    issuer.publish(json!("no object"));
    let mut world = with_issuer(issuer).await;
    world.keys_arrived().await;
    accepted(&world).await;
    for kid in ["symmetric", "encrypting", "no-curve", "not-on-curve", "unheard-of"] {
        unknown(&world, kid).await.refused(401, "invalid_token");
    }
    let secret = b"secret-secret-secret-secret-secret";
    let token = world.good().scope("mcp tools:read").header("kid", "symmetric").hs256(secret).mint();
    world.client.tool(PATH, "get_x").token(&token).send().await.refused(401, "invalid_token");
    world.finish().await;
}

#[tokio::test]
async fn a_key_of_one_issuer_verifies_nothing_of_another() {
    let other = AuthorizationServer::up();
    let text = file("")
        .replace("  - issuer: {issuer}\n", &format!("  - issuer: {{issuer}}\n  - issuer: {}\n", other.issuer()));
    let mut world = World::start(&text).await;
    let of_other = other.token().aud(world.url(PATH)).scope("mcp tools:read");
    world.keys_arrived_with(&of_other.mint()).await;
    world.mcp.permit(1);
    world.client.tool(PATH, "get_x").token(&of_other.mint()).send().await.passed();
    for token in [
        of_other.clone().forged_with(&world.issuer.key()).mint(),
        of_other.claim("iss", world.issuer.issuer()).mint(),
        world.good().scope("mcp tools:read").forged_with(&other.key()).mint(),
    ] {
        world.client.tool(PATH, "get_x").token(&token).send().await.refused(401, "invalid_token");
    }
    world.finish().await;
}

#[tokio::test]
async fn metadata_is_believed_only_from_the_issuer_itself() {
    let issuer = AuthorizationServer::up();
    issuer.change_metadata(|metadata| metadata["issuer"] = json!("https://auth.example"));
    let mut world = with_issuer(issuer).await;
    world.issuer.fetched("the metadata is looked at", |fetches| fetches.metadata > 0).await;
    let reply = world.call_tool("mcp tools:read", "get_x").await;
    world.refused(&reply, 503, "keys_unavailable").await;
    world.client.get("/.well-known/oauth-authorization-server").send().await.refused(404, "no_route");
    world.finish().await;
}

#[tokio::test]
async fn keys_are_never_fetched_by_plain_http_from_elsewhere() {
    let issuer = AuthorizationServer::up();
    issuer.change_metadata(|metadata| metadata["jwks_uri"] = json!("http://keys.example/jwks"));
    let world = with_issuer(issuer).await;
    world.issuer.fetched("the metadata is looked at", |fetches| fetches.metadata > 0).await;
    world.call_tool("mcp tools:read", "get_x").await.refused(503, "keys_unavailable");
    world.finish().await;
}

#[tokio::test]
async fn either_form_of_metadata_leads_to_the_keys() {
    for (oauth, openid) in [(true, false), (false, true)] {
        let issuer = AuthorizationServer::up();
        issuer.serve_metadata(oauth, openid);
        let mut world = with_issuer(issuer).await;
        world.keys_arrived().await;
        accepted(&world).await;
        world.finish().await;
    }
}

#[tokio::test]
async fn keys_from_a_configured_place_need_no_metadata() {
    let issuer = AuthorizationServer::up();
    issuer.serve_metadata(false, false);
    let text = file("").replace("issuer: {issuer}\n", "issuer: {issuer}\n    jwks_uri: \"{issuer}/jwks\"\n");
    let mut world = World::start_with(&text, issuer, McpServer::up(), Clock::system()).await;
    world.keys_arrived().await;
    accepted(&world).await;
    world.client.get("/.well-known/oauth-authorization-server").send().await.refused(404, "no_route");
    world.finish().await;
}

#[tokio::test]
async fn headers_that_name_a_key_are_never_followed() {
    let world = World::standard().await;
    let attacker = AuthorizationServer::up();
    let key = attacker.key();
    let uri = format!("{}/jwks", attacker.issuer());
    let forged = world.good().scope("mcp tools:read").forged_with(&key);
    let mut headers: BTreeMap<&str, Value> = BTreeMap::new();
    headers.insert("jku", json!(uri));
    headers.insert("x5u", json!(uri));
    headers.insert("jwk", key.jwk());
    headers.insert("x5c", json!(["MIIB"]));
    for (name, value) in headers {
        let token = forged.clone().header(name, value.clone()).mint();
        world.client.tool(PATH, "get_x").token(&token).send().await.refused(401, "invalid_token");
        let nameless = forged.clone().without_header("kid").header(name, value).mint();
        world.client.tool(PATH, "get_x").token(&nameless).send().await.refused(401, "invalid_token");
    }
    assert_eq!((attacker.fetches().keys, attacker.fetches().metadata), (0, 0), "no connection anywhere");
    world.finish().await;
}
