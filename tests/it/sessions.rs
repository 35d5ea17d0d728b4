//! Sessions: the client never learns the server's id, and what it gets instead is worthless to anybody else, anywhere else.

use serde_json::json;

use crate::support::client::Request;
use crate::support::gateway::{HEAD, PATH, ROUTE, file, write_file};
use crate::support::mcp_server::SESSION_ID;
use crate::support::{Answer, AuthorizationServer, McpServer, Reply, World};
use gatepost::token::clock::Clock;

/// Opens a session on `path` and returns its id as the client gets it.
async fn open(world: &World, path: &str, token: &str) -> String {
    world.mcp.permit(1);
    let reply =
        world.client.call(path, "initialize", &json!({"protocolVersion": "2025-06-18"})).token(token).send().await;
    let id = reply.passed().header("mcp-session-id").expect("a session id").to_owned();
    assert!(!id.contains(SESSION_ID), "the server's own id: {id}");
    assert!(id.bytes().all(|byte| byte.is_ascii_graphic()), "visible ASCII: {id}");
    world.mcp.next().await;
    id
}

#[tokio::test]
async fn the_server_gets_its_own_id_back() {
    let world = World::standard().await;
    let token = world.token("mcp tools:read");
    let id = open(&world, PATH, &token).await;
    world.mcp.permit(3);
    for request in [world.client.tool(PATH, "get_x"), world.client.request("DELETE", PATH)] {
        request.token(&token).header("Mcp-Session-Id", &id).send().await;
        assert_eq!(world.mcp.next().await.header("mcp-session-id"), Some(SESSION_ID));
    }
    // The server names the session again: for the client it is the id that it has.
    world
        .mcp
        .answer(Answer::json(&json!({"jsonrpc": "2.0", "id": 7, "result": {}})).header("Mcp-Session-Id", SESSION_ID));
    let reply = world.client.tool(PATH, "get_x").token(&token).header("Mcp-Session-Id", &id).send().await;
    assert_eq!(reply.passed().header("mcp-session-id"), Some(id.as_str()));
    world.finish().await;
}

#[tokio::test]
async fn anybody_else_gets_404() {
    let world = World::standard().await;
    let good = || world.good().scope("mcp tools:read");
    let id = open(&world, PATH, &good().mint()).await;
    let strangers = [
        good().subject("bob").mint(),
        good().client("other").mint(),
        good().without("sub").mint(),
        good().without("client_id").mint(),
    ];
    for token in strangers {
        for request in [world.client.tool(PATH, "get_x"), world.client.get(PATH), world.client.request("DELETE", PATH)]
        {
            let reply = request.token(&token).header("Mcp-Session-Id", &id).send().await;
            reply.refused(404, "session_not_found");
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn an_id_that_was_tampered_with_is_unknown() {
    let world = World::standard().await;
    let token = world.token("mcp tools:read");
    let id = open(&world, PATH, &token).await;
    let other = |byte: u8| if byte == b'A' { 'B' } else { 'A' };
    let mut ids: Vec<String> = (0..id.len())
        .map(|at| format!("{}{}{}", &id[..at], other(id.as_bytes()[at]), &id[at + 1..]))
        .filter(|changed| *changed != id)
        .collect();
    ids.extend([
        SESSION_ID.to_owned(),
        format!("{id}A"),
        format!("{id}="),
        id[1..].to_owned(),
        id[..id.len() - 1].to_owned(),
        format!("{id}, {id}"),
    ]);
    let requests = ids.iter().map(|id| world.client.tool(PATH, "get_x").token(&token).header("Mcp-Session-Id", id));
    for reply in world.client.on_one_connection(requests).await {
        reply.refused(404, "session_not_found");
    }
    world
        .client
        .tool(PATH, "get_x")
        .token(&token)
        .header("Mcp-Session-Id", "")
        .send()
        .await
        .refused(404, "session_not_found");
    world.finish().await;
}

#[tokio::test]
async fn a_session_survives_a_step_up() {
    let world = World::standard().await;
    let id = open(&world, PATH, &world.token("mcp")).await;
    let request =
        |scope: &str| world.client.tool(PATH, "get_x").token(&world.token(scope)).header("Mcp-Session-Id", &id);
    request("mcp").send().await.refused(403, "insufficient_scope");
    world.mcp.permit(1);
    request("mcp tools:read").send().await.passed();
    assert_eq!(world.mcp.next().await.header("mcp-session-id"), Some(SESSION_ID));
    world.finish().await;
}

#[tokio::test]
async fn a_session_of_one_route_is_unknown_on_another() {
    let second =
        ROUTE.replace("routes:\n", "").replace("name: standard", "name: second").replace("path: /mcp", "path: /second");
    let world = World::start(&format!("{HEAD}{ROUTE}{second}")).await;
    let id = open(&world, PATH, &world.token("mcp tools:read")).await;
    let token = world.good().aud(json!([world.url(PATH), world.url("/second")])).scope("mcp tools:read").mint();
    let elsewhere = world.client.tool("/second", "get_x").token(&token).header("Mcp-Session-Id", &id).send().await;
    elsewhere.refused(404, "session_not_found");
    world.mcp.permit(1);
    world.client.tool(PATH, "get_x").token(&token).header("Mcp-Session-Id", &id).send().await.passed();
    world.finish().await;
}

/// All that an answer says but when it was given.
fn said(reply: &Reply) -> (String, Vec<(String, String)>, Vec<u8>) {
    let headers = reply.head.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("date")).cloned().collect();
    (reply.head.start.clone(), headers, reply.body.clone())
}

/// Each kind of request that can name a session.
fn requests(world: &World, path: &str) -> [Request; 4] {
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
    [
        world.client.tool(path, "get_x"),
        world.client.post(path, initialized),
        world.client.get(path),
        world.client.request("DELETE", path),
    ]
}

/// With this token and session id every kind of request gets the very answer of a session that never was.
async fn is_unknown(world: &World, path: &str, token: &str, id: &str) {
    let never_was = "AZ2lf3kXsYTBsYH3oJ6fU0dFzqkJvFNUjNRaBJHwGZc";
    let forwarded = world.mcp.arrived();
    for request in requests(world, path) {
        let reply = request.clone().token(token).header("Mcp-Session-Id", id).send().await;
        reply.refused(404, "session_not_found");
        let unknown = request.token(token).header("Mcp-Session-Id", never_was).send().await;
        assert_eq!(said(&reply), said(&unknown));
    }
    assert_eq!(world.mcp.arrived(), forwarded, "nothing reached the server");
}

/// Every kind of request in this session goes on to the server, under the server's own id.
async fn is_open(world: &World, token: &str, id: &str) {
    for request in requests(world, PATH) {
        world.mcp.permit(1);
        request.token(token).header("Mcp-Session-Id", id).passed_through().send().await;
        assert_eq!(world.mcp.next().await.header("mcp-session-id"), Some(SESSION_ID));
    }
}

#[tokio::test]
async fn a_stolen_session_is_answered_like_one_that_never_was() {
    let second =
        ROUTE.replace("routes:\n", "").replace("name: standard", "name: second").replace("path: /mcp", "path: /second");
    let other_issuer = AuthorizationServer::up();
    let two_issuers = format!("  - issuer: {{issuer}}\n  - issuer: {}\n", other_issuer.issuer());
    let mut world =
        World::start(&format!("{HEAD}{ROUTE}{second}").replace("  - issuer: {issuer}\n", &two_issuers)).await;
    let both = json!([world.url(PATH), world.url("/second")]);
    let elsewhere = other_issuer.token().aud(both.clone()).scope("mcp tools:read").mint();
    world.keys_arrived_with(&elsewhere).await;
    let good = || world.good().aud(both.clone()).scope("mcp tools:read");
    let id = open(&world, PATH, &good().mint()).await;
    for thief in [
        good().subject("bob").mint(),
        good().subject("inspector").client("alice").mint(),
        good().client("other").mint(),
        good().without("sub").mint(),
        good().without("client_id").mint(),
        elsewhere,
    ] {
        is_unknown(&world, PATH, &thief, &id).await;
    }
    // The caller's own, but on another route; and the other way round.
    is_unknown(&world, "/second", &good().mint(), &id).await;
    is_unknown(&world, PATH, &good().mint(), &open(&world, "/second", &good().mint()).await).await;
    // It is as good as it was.
    is_open(&world, &good().mint(), &id).await;
    world.finish().await;
}

#[tokio::test]
async fn replicas_share_sessions_until_the_key_is_rotated_out() {
    let key = |digit: &str| write_file(&digit.repeat(64)).display().to_string();
    let (old, new, other) = (key("1"), key("2"), key("3"));
    let with_keys = |keys: &[&String]| {
        let keys: Vec<_> = keys.iter().map(|key| format!("{{file: \"{key}\"}}")).collect();
        format!("{}sessions: {{keys: [{}]}}\n", file(""), keys.join(", "))
    };
    let first = World::start(&with_keys(&[&old])).await;
    let token = first.token("mcp tools:read");
    let replica = async |keys: &[&String]| {
        // Reached by way of the same public URL, and trusting the same issuer.
        let text = with_keys(keys).replace("{issuer}", first.issuer.issuer());
        let text = text
            .replace("public_url: http://{listen}", &format!("public_url: {}\nhosts: [\"{{listen}}\"]", first.url("")));
        let mut world = World::start_with(&text, AuthorizationServer::down(), McpServer::up(), Clock::system()).await;
        world.keys_arrived_with(&token).await;
        world
    };
    let twin = replica(&[&old]).await;
    let rotating = replica(&[&new, &old]).await;
    let rotated = replica(&[&new]).await;
    let stranger = replica(&[&other]).await;

    let by_old = open(&first, PATH, &token).await;
    for world in [&first, &twin, &rotating] {
        is_open(world, &token, &by_old).await;
    }
    let by_new = open(&rotating, PATH, &token).await;
    for world in [&rotating, &rotated] {
        is_open(world, &token, &by_new).await;
    }
    for (world, id) in
        [(&rotated, &by_old), (&stranger, &by_old), (&stranger, &by_new), (&first, &by_new), (&twin, &by_new)]
    {
        is_unknown(world, PATH, &token, id).await;
    }
    // On a replica, too, it is nobody else's.
    is_unknown(&twin, PATH, &first.good().subject("bob").scope("mcp tools:read").mint(), &by_old).await;
    for world in [twin, rotating, rotated, stranger, first] {
        world.finish().await;
    }
}

#[tokio::test]
async fn an_event_id_goes_on_only_beside_its_session() {
    let world = World::standard().await;
    let token = world.token("mcp");
    let id = open(&world, PATH, &token).await;
    world.mcp.permit(2);
    for (session, expected) in [(Some(&id), Some("e-1")), (None, None)] {
        let mut request = world.client.get(PATH).token(&token).header("Last-Event-ID", "e-1").passed_through();
        if let Some(session) = session {
            request = request.header("Mcp-Session-Id", session);
        }
        request.send().await;
        assert_eq!(world.mcp.next().await.header("last-event-id"), expected);
    }
    world.finish().await;
}

#[tokio::test]
async fn the_newest_revision_has_no_sessions() {
    let world = World::standard().await;
    let token = world.token("mcp tools:read");
    let params = json!({"name": "get_x", "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}});
    world.mcp.permit(1);
    world
        .client
        .call(PATH, "tools/call", &params)
        .token(&token)
        .header("MCP-Protocol-Version", "2026-07-28")
        .header("Mcp-Method", "tools/call")
        .header("Mcp-Name", "get_x")
        .header("Mcp-Session-Id", "anything")
        .header("Last-Event-ID", "e-1")
        .send()
        .await
        .passed();
    let seen = world.mcp.next().await;
    assert_eq!((seen.header("mcp-session-id"), seen.header("last-event-id")), (None, None));
    world.finish().await;
}
