//! Authorization requests and requests at all that are refused.

use super::*;

#[tokio::test]
async fn nothing_is_sent_to_where_the_client_did_not_say() {
    let world = World::start().await;
    let client = world.client().await;
    let check = async |changes: &[(&str, &str)], words: &str| world.ask(&client, changes).await.refused_with(words);
    let unknown = "did not register this redirect_uri";
    check(&[("redirect_uri", "https://evil.example/callback")], unknown).await;
    check(&[("redirect_uri", "http://127.0.0.1:33418/callback/")], unknown).await;
    check(&[("redirect_uri", "http://127.0.0.1:33418/callback?x=1")], unknown).await;
    check(&[("redirect_uri", "http://localhost:33418/callback")], unknown).await;
    check(&[("redirect_uri", "http://127.0.0.1:33418@evil.example/callback")], unknown).await;
    check(&[("redirect_uri", "javascript:alert(1)")], unknown).await;
    // Whatever else is wrong with the request.
    check(&[("redirect_uri", "https://evil.example/"), ("scope", "unknown")], unknown).await;
    check(&[("redirect_uri", "")], "does not say where it leads to").await;
    check(&[("redirect_uri", REDIRECT), ("redirect_uri", "https://evil.example/")], "more than once").await;
    check(&[("client_id", "")], "names no client").await;
    check(&[("client_id", "unknown")], "No client of this id").await;
    check(&[("client_id", "<script>")], "No client of this id").await;
    // A native app has another port each time (RFC 8252 §7.3).
    let page = world.ask(&client, &[("redirect_uri", "http://127.0.0.1:50001/callback")]).await;
    let reply = world.answer(&page, "reader", &["notes:read"], "allow").await;
    assert!(reply.header("location").starts_with("http://127.0.0.1:50001/callback?code="), "{reply:?}");
}

#[tokio::test]
async fn errors_lead_back_with_state_and_issuer() {
    let world = World::start().await;
    let client = world.client().await;
    let check = async |changes: &[(&str, &str)], error: &str| {
        let answer = world.ask(&client, changes).await.led_back();
        assert_eq!(answer.get("error").map(String::as_str), Some(error), "{changes:?}");
        assert_eq!((answer["state"].as_str(), answer["iss"].as_str()), ("s t&1", world.origin()), "{changes:?}");
        assert!(!answer.contains_key("code"));
    };
    check(&[("response_type", "token")], "unsupported_response_type").await;
    check(&[("response_type", "code id_token")], "unsupported_response_type").await;
    check(&[("response_type", "")], "invalid_request").await;
    check(&[("code_challenge", "")], "invalid_request").await;
    check(&[("code_challenge", ""), ("code_challenge_method", "")], "invalid_request").await;
    check(&[("code_challenge_method", "plain")], "invalid_request").await;
    check(&[("code_challenge_method", "")], "invalid_request").await;
    check(&[("code_challenge_method", "s256")], "invalid_request").await;
    check(&[("code_challenge", "short")], "invalid_request").await;
    check(&[("code_challenge", &"=".repeat(43))], "invalid_request").await;
    check(&[("resource", "https://other.example/mcp")], "invalid_target").await;
    check(&[("resource", &format!("{RESOURCE}/"))], "invalid_target").await;
    check(&[("resource", RESOURCE), ("resource", "https://other.example/mcp")], "invalid_target").await;
    check(&[("scope", "unknown")], "invalid_scope").await;
    check(&[("scope", "notes:read unknown")], "invalid_scope").await;
    check(&[("scope", "NOTES:READ")], "invalid_scope").await;
    check(&[("scope", "notes:read"), ("scope", "notes:write")], "invalid_request").await;
    check(&[("response_mode", "fragment")], "invalid_request").await;
    check(&[("request", "e30.e30.")], "request_not_supported").await;
    check(&[("request_uri", "https://evil.example/")], "request_uri_not_supported").await;
    let twice = world.ask(&client, &[("state", "1"), ("state", "2")]).await.led_back();
    assert_eq!((twice["error"].as_str(), twice.contains_key("state")), ("invalid_request", false));
    // The one resource is meant when none is named, or when it is named twice.
    assert_eq!(world.ask(&client, &[("resource", "")]).await.status, 200);
    assert_eq!(world.ask(&client, &[("resource", RESOURCE), ("resource", RESOURCE)]).await.status, 200);
}

#[tokio::test]
async fn the_consent_page_is_answered_once_and_by_nobody_else() {
    let world = World::start().await;
    let client = world.client().await;
    let page = world.ask(&client, &[]).await;
    let request = page.input("request");
    let good = form(&[("request", &request), ("person", "reader"), ("scope", "notes:read"), ("decision", "allow")]);
    for headers in [
        [("Origin", "https://evil.example")],
        [("Origin", "null")],
        [("Origin", "http://127.0.0.1:1")],
        [("Sec-Fetch-Site", "cross-site")],
        [("Sec-Fetch-Site", "same-site")],
    ] {
        world.decide(&good, &headers).await.refused_with("another site");
    }
    let json = world.post("/authorize", &[JSON], "{}").await;
    assert_eq!(json.fault(), bad("invalid_request"));
    // A client that is no browser sends neither header.
    assert!(world.decide(&good, &[]).await.led_back().contains_key("code"));
    world.decide(&good, &[]).await.refused_with("answered already");
    world.decide("", &[]).await.refused_with("answered already");
    world.decide(&form(&[("request", "guessed"), ("decision", "allow")]), &[]).await.refused_with("answered already");

    let late = world.ask(&client, &[]).await;
    world.later(600);
    world.answer(&late, "reader", &["notes:read"], "allow").await.refused_with("too old");
    for (person, decision) in [("nobody", "allow"), ("", "allow"), ("reader", ""), ("reader", "maybe")] {
        let page = world.ask(&client, &[]).await;
        world.answer(&page, person, &["notes:read"], decision).await.refused_with("Choose a person");
    }
}

#[tokio::test]
async fn requests_for_another_host_reach_nothing() {
    let world = World::start().await;
    let port = world.address.port();
    let own = world.address.to_string();
    let check = async |target: &str, hosts: &[&str], expect: u16| {
        let headers: Vec<_> = hosts.iter().map(|host| ("Host", *host)).collect();
        assert_eq!(world.raw(&format!("GET {target}"), &headers, "").await.status, expect, "{target} {hosts:?}");
    };
    check("/jwks", &[&own], 200).await;
    check(&format!("http://{own}/jwks"), &[&own], 200).await;
    check("/jwks", &["evil.example"], 421).await;
    check("/jwks", &[&format!("evil.example:{port}")], 421).await;
    check("/jwks", &[&format!("localhost:{port}")], 421).await;
    check("/jwks", &["127.0.0.1"], 421).await;
    check("/jwks", &[&own, "evil.example"], 421).await;
    check("/jwks", &["evil.example", &own], 421).await;
    check("/jwks", &[""], 421).await;
    check("/jwks", &[], 421).await;
    check("http://evil.example/jwks", &[&own], 421).await;
    check(&format!("http://{own}/jwks"), &["evil.example"], 421).await;
    check("/authorize", &["evil.example"], 421).await;
    check("/", &[&own], 404).await;
    check("/.well-known/oauth-authorization-server/mcp", &[&own], 404).await;
    check("/token", &[&own], 405).await;
    check("/register", &[&own], 405).await;
}

#[tokio::test]
async fn bodies_and_heads_have_limits() {
    let world = World::start().await;
    let full = format!("a={}", "b".repeat((64 << 10) - 2));
    assert_eq!(world.post("/token", &[FORM], &full).await.fault(), (401, "invalid_client".to_owned()));
    let large = full + "b";
    for (path, kind) in [("/token", FORM), ("/register", JSON), ("/authorize", FORM)] {
        assert_eq!(world.post(path, &[kind], &large).await.status, 413, "{path}");
    }
    let chunked = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    let host = world.address.to_string();
    let headers = [("Host", host.as_str()), FORM, ("Transfer-Encoding", "chunked")];
    assert_eq!(world.raw("POST /token", &headers, &chunked).await.status, 413);
    assert_eq!(world.post("/token", &[FORM], "a=%ff").await.fault(), bad("invalid_request"));
    assert_eq!(world.post("/token", &[], "a=b").await.fault(), bad("invalid_request"));
    let long = "a".repeat(40 << 10);
    let status = world.get(&format!("/authorize?state={long}")).await.status;
    assert!(status == 431 || status == 414, "{status}");
}
