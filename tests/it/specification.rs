//! What the specification of MCP demands and no other file here holds, sentence by sentence: `tests/attacks/requirements/mcp`
//! names the sentences.

use serde_json::{Value, json};

use crate::support::client::Request;
use crate::support::gateway::{PATH, file};
use crate::support::mcp_server::{SESSION_ID, event};
use crate::support::{Answer, End, World};

/// A message of revision 2026-07-28, without the headers that mirror its method and name.
fn newest(world: &World, method: &str, mut params: Value) -> Request {
    params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
    world.client.call(PATH, method, &params).header("MCP-Protocol-Version", "2026-07-28")
}

#[tokio::test]
async fn a_connection_lends_no_identity_to_the_next_request() {
    let mut world = World::standard().await;
    let call = || world.client.tool(PATH, "get_x");
    let other_revision = call().header("MCP-Protocol-Version", "2025-11-25").token(&world.token("mcp tools:read"));
    world.mcp.permit(2);
    let replies = world
        .client
        .on_one_connection([
            other_revision,
            call(),
            call().token(&world.token("mcp")),
            call().token(&world.good().subject("bob").scope("mcp tools:read").mint()),
        ])
        .await;
    replies[0].passed();
    replies[1].refused(401, "missing_token");
    replies[2].refused(403, "insufficient_scope");
    replies[3].passed();
    let versions = [world.mcp.next().await, world.mcp.next().await]
        .map(|seen| seen.header("mcp-protocol-version").map(str::to_owned));
    assert_eq!(versions, [Some("2025-11-25".to_owned()), None]);
    let mut callers = Vec::new();
    for _ in &replies {
        callers.push(world.record().await["principal"]["subject"].clone());
    }
    assert_eq!(callers, [json!("alice"), Value::Null, json!("alice"), json!("bob")]);
    world.finish().await;
}

#[tokio::test]
async fn a_notification_that_is_refused_gets_a_status_and_no_response() {
    let world = World::standard().await;
    for (scope, body, status, reason) in [
        ("mcp", r#"{"jsonrpc":"2.0","method":"notifications/unheard_of"}"#, 403, "not_permitted"),
        ("", r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, 403, "insufficient_scope"),
        ("mcp", r#"{"jsonrpc":"2.0","method":"notifications/initialized","params":[]}"#, 400, "malformed_message"),
        ("mcp", r#"{"jsonrpc":"2.0","id":7,"method":"notifications/initialized"}"#, 400, "malformed_message"),
        ("", r#"{"jsonrpc":"2.0","id":7,"result":{}}"#, 403, "insufficient_scope"),
    ] {
        for revision in ["2025-06-18", "2025-11-25", "2026-07-28"] {
            if revision == "2026-07-28" && body.contains("result") {
                continue;
            }
            let request = world.client.post(PATH, body).token(&world.token(scope));
            let reply = request.header("MCP-Protocol-Version", revision).send().await;
            reply.refused(status, reason);
            let answers = body.contains("\"method\"") && body.contains("\"id\"");
            assert_eq!(reply.json().get("id").is_some(), answers, "{revision} {body} {}", reply.text());
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn headers_are_found_in_any_case_and_their_values_have_one() {
    let world = World::standard().await;
    let request = |version: &str, method: &str, name: &str, value: &str| {
        let params = json!({"name": "get_x", "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}});
        let request = world.client.call(PATH, "tools/call", &params).token(&world.token("mcp tools:read"));
        request.header(version, "2026-07-28").header(method, "tools/call").header(name, value)
    };
    for (version, method, name) in [
        ("mcp-protocol-version", "mcp-method", "mcp-name"),
        ("MCP-PROTOCOL-VERSION", "MCP-METHOD", "MCP-NAME"),
        ("Mcp-Protocol-Version", "mCP-mETHOD", "Mcp-name"),
    ] {
        world.mcp.permit(1);
        request(version, method, name, "get_x").send().await.passed();
        let lie = request(version, method, name, "GET_X").send().await.refused(400, "header_mismatch");
        assert_eq!(lie["code"], -32020);
    }
    world.finish().await;
}

/// Which tools mirror which arguments stands in their schemas, which are between client and server.
#[tokio::test]
async fn what_is_mirrored_of_arguments_goes_on_as_it_is() {
    let world = World::standard().await;
    let params = json!({"name": "get_x", "arguments": {"region": "us-west1", "text": " é "}});
    let request = newest(&world, "tools/call", params).header("Mcp-Method", "tools/call").header("Mcp-Name", "get_x");
    let mirrored = [
        ("Mcp-Param-Region", "us-west1"),
        ("mcp-param-Text", "=?base64?IMOpIA==?="),
        ("Mcp-Param-Unheard-Of", "42.0"),
        ("Mcp-Param-", "x"),
    ];
    let request = mirrored.iter().fold(request, |request, (name, value)| request.header(name, value));
    world.mcp.permit(1);
    request.token(&world.token("mcp tools:read")).send().await.passed();
    let seen = world.mcp.next().await;
    for (name, value) in mirrored {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    let standard = ["mcp-protocol-version", "mcp-method", "mcp-name", "accept"].map(|name| seen.header(name));
    let accept = "application/json, text/event-stream";
    assert_eq!(standard, [Some("2026-07-28"), Some("tools/call"), Some("get_x"), Some(accept)]);
    world.finish().await;
}

#[tokio::test]
async fn a_subscription_begins_and_ends_as_the_server_says() {
    let world = World::standard().await;
    let (answer, stream) = Answer::stream();
    world.mcp.permit(1);
    world.mcp.answer(answer);
    let listen = newest(&world, "subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
    let request = listen.header("Mcp-Method", "subscriptions/listen").token(&world.token("mcp"));
    let mut opened = request.open().await;
    assert_eq!(opened.head.header("content-type"), Some("text/event-stream"));
    assert_eq!(opened.head.header("x-accel-buffering"), Some("no"));
    let meta = json!({"io.modelcontextprotocol/subscriptionId": 7});
    let note = |method: &str| json!({"jsonrpc": "2.0", "method": method, "params": {"_meta": meta}});
    for message in [
        note("notifications/subscriptions/acknowledged"),
        note("notifications/tools/list_changed"),
        json!({"jsonrpc": "2.0", "id": 7, "result": {"resultType": "complete", "_meta": meta}}),
    ] {
        stream.event(&message).await;
        assert_eq!(opened.event().await.unwrap(), event(&message));
    }
    stream.end().await;
    assert_eq!(opened.end().await, End::Clean);
    world.finish().await;
}

#[tokio::test]
async fn a_list_depends_on_the_caller_alone() {
    let world = World::with_route("visibility: granted").await;
    let lists = json!({"jsonrpc": "2.0", "id": 7, "result": {
        "tools": [{"name": "get_b"}, {"name": "create_x"}, {"name": "get_a"}],
        "prompts": [{"name": "b"}, {"name": "a"}],
        "resources": [{"uri": "repo://b"}, {"uri": "file:///x"}, {"uri": "repo://a"}],
    }});
    let shown = json!({"jsonrpc": "2.0", "id": 7, "result": {
        "tools": [{"name": "get_b"}, {"name": "get_a"}], "prompts": [], "resources": [{"uri": "repo://b"}, {"uri": "repo://a"}],
    }});
    let all = || world.token("mcp tools:read tools:write prompts:read repo:read");
    for method in ["tools/list", "prompts/list", "resources/list"] {
        let list = |token: String| newest(&world, method, json!({})).header("Mcp-Method", method).token(&token);
        let listed = || list(world.token("mcp tools:read repo:read"));
        // On one connection with the list and the call of another caller, and on a connection of its own.
        world.mcp.permit(5);
        (0..5).for_each(|_| world.mcp.answer(Answer::json(&lists)));
        let call = world.client.tool(PATH, "create_x").token(&all());
        let mut replies = world.client.on_one_connection([listed(), list(all()), call, listed()]).await;
        replies.push(listed().send().await);
        for mine in [0, 3, 4] {
            assert_eq!(replies[mine].passed().json(), shown, "{method}");
        }
        assert_ne!(replies[1].passed().json(), shown, "{method}");
    }
    world.finish().await;
}

#[tokio::test]
async fn the_newest_revision_is_given_no_session() {
    let world = World::standard().await;
    let token = world.token("mcp tools:read");
    let named = || {
        let answer = json!({"jsonrpc": "2.0", "id": 7, "result": {"resultType": "complete"}});
        Answer::json(&answer).header("Mcp-Session-Id", SESSION_ID)
    };
    world.mcp.permit(2);
    world.mcp.answer(named());
    let request = newest(&world, "tools/list", json!({})).header("Mcp-Method", "tools/list").token(&token);
    assert_eq!(request.send().await.passed().header("mcp-session-id"), None);
    world.mcp.answer(named());
    let older = world.client.tool(PATH, "get_x").header("MCP-Protocol-Version", "2025-11-25").token(&token);
    assert!(older.send().await.passed().header("mcp-session-id").is_some());
    world.finish().await;
}

#[tokio::test]
async fn no_client_is_asked_for_offline_access() {
    let text = file("challenge_scopes: [offline_access, mcp]\nscopes_supported: [mcp, offline_access]")
        .replace("scopes: [tools:read]", "scopes: [tools:read, offline_access]");
    let world = World::start(&text).await;
    let metadata = format!("resource_metadata=\"{}\"", world.metadata_url(PATH));
    let login = world.client.tool(PATH, "get_x").send().await;
    assert_eq!(login.header("www-authenticate"), Some(format!("Bearer scope=\"mcp\", {metadata}").as_str()));
    let step_up = world.call_tool("mcp", "get_x").await;
    step_up.refused(403, "insufficient_scope");
    let challenge = step_up.header("www-authenticate").unwrap();
    assert!(challenge.ends_with(&format!("scope=\"mcp tools:read\", {metadata}")), "{challenge}");
    let document = world.client.get(&format!("/.well-known/oauth-protected-resource{PATH}")).send().await;
    assert_eq!(document.passed().json()["scopes_supported"], json!(["mcp"]));
    world.finish().await;
}
