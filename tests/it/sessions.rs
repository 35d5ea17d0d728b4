//! Sessions: the client never learns the server's id, and what it gets instead is worthless to anybody else, anywhere else.

use serde_json::json;

use crate::support::gateway::{HEAD, PATH, ROUTE, file, write_file};
use crate::support::mcp_server::SESSION_ID;
use crate::support::{Answer, AuthorizationServer, McpServer, World};
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

#[tokio::test]
async fn a_replica_opens_what_its_key_sealed_and_no_other() {
    let key = |digit: &str| write_file(&digit.repeat(64)).display().to_string();
    let (old, new, other) = (key("1"), key("2"), key("3"));
    let with_keys = |keys: &[&str]| {
        let keys: Vec<_> = keys.iter().map(|key| format!("{{file: \"{key}\"}}")).collect();
        format!("{}sessions: {{keys: [{}]}}\n", file(""), keys.join(", "))
    };
    // Replicas share issuer and public URL in the field; here only the key matters, so each has its own audience.
    let first = World::start(&with_keys(&[&old])).await;
    let issuer = first.issuer.issuer().to_owned();
    let id = open(&first, PATH, &first.token("mcp tools:read")).await;
    for (keys, opens) in [(vec![&old], true), (vec![&new, &old], true), (vec![&new], false), (vec![&other], false)] {
        let keys: Vec<_> = keys.iter().map(|key| key.as_str()).collect();
        let text = with_keys(&keys).replace("{issuer}", &issuer);
        let mut replica = World::start_with(&text, AuthorizationServer::down(), McpServer::up(), Clock::system()).await;
        let token = first.issuer.token().aud(replica.url(PATH)).scope("mcp tools:read").mint();
        replica.keys_arrived_with(&token).await;
        let request = replica.client.tool(PATH, "get_x").token(&token).header("Mcp-Session-Id", &id);
        replica.mcp.permit(usize::from(opens));
        let reply = request.send().await;
        if opens {
            reply.passed();
            assert_eq!(replica.mcp.next().await.header("mcp-session-id"), Some(SESSION_ID));
        } else {
            reply.refused(404, "session_not_found");
        }
        replica.finish().await;
    }
    first.finish().await;
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
