//! Batches (MCP 2025-03-26): each message is decided as if alone, one refusal refuses all, and no message travels hidden
//! among others.

use serde_json::{Value, json};

use crate::support::gateway::PATH;
use crate::support::mcp_server::event;
use crate::support::{Answer, Reply, World};

fn call(id: impl Into<Value>, tool: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id.into(), "method": "tools/call", "params": {"name": tool, "arguments": {}}})
}

fn note() -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/initialized"})
}

async fn send(world: &World, scope: &str, messages: &[Value], headers: &[(&str, &str)]) -> Reply {
    let request = world.client.post(PATH, json!(messages).to_string()).token(&world.token(scope));
    headers.iter().fold(request, |request, (name, value)| request.header(name, value)).send().await
}

/// Id and reason of each error of an array.
fn errors(reply: &Reply) -> Vec<(Value, Value)> {
    let body = reply.json();
    let parts = body.as_array().unwrap_or_else(|| panic!("an array: {body}"));
    parts.iter().map(|part| (part["id"].clone(), part["error"]["data"]["reason"].clone())).collect()
}

#[tokio::test]
async fn a_permitted_batch_arrives_byte_for_byte_and_is_one_record() {
    let mut world = World::standard().await;
    for headers in [&[][..], &[("MCP-Protocol-Version", "2025-03-26")]] {
        let body = format!("[ {} ,\n{},{}]\n", call(1, "get_x"), note(), call("b", "list_y"));
        let answer = json!([{"jsonrpc": "2.0", "id": 1, "result": {}}, {"jsonrpc": "2.0", "id": "b", "result": {}}]);
        world.mcp.permit(1);
        world.mcp.answer(Answer::json(&answer));
        let request = world.client.post(PATH, &body).token(&world.token("mcp tools:read"));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        assert_eq!(request.send().await.passed().json(), answer);
        assert_eq!(String::from_utf8(world.mcp.next().await.body).unwrap(), body);
        let record = world.record().await;
        assert_eq!((&record["decision"], &record["method"]), (&json!("allowed"), &json!("batch")));
        let part = |method: &str, rule: &str| json!({"method": method, "decision": "allowed", "rule": rule, "scopes_needed": "mcp"});
        let named = |name: &str| json!({"method": "tools/call", "name": name, "decision": "allowed", "rule": "rules[0]", "scopes_needed": "mcp tools:read"});
        let expect = json!([named("get_x"), part("notifications/initialized", "required_scopes"), named("list_y")]);
        let mut parts = record["operations"].clone();
        for part in parts.as_array_mut().unwrap() {
            // These have a test of their own.
            part.as_object_mut()
                .unwrap()
                .retain(|field, _| !["rule_line", "arguments_digest"].contains(&field.as_str()));
        }
        assert_eq!(parts, expect);
    }
    world.finish().await;
}

#[tokio::test]
async fn one_refusal_refuses_all_and_every_request_is_answered() {
    let mut world = World::standard().await;
    let reply = send(&world, "mcp tools:read", &[call(1, "get_x"), note(), call(2, "delete_everything")], &[]).await;
    assert_eq!((reply.status, reply.header("gatepost-reason")), (403, Some("not_permitted")));
    assert_eq!(reply.header("www-authenticate"), None);
    assert_eq!(errors(&reply), [(json!(1), json!("not_permitted")), (json!(2), json!("not_permitted"))]);
    let record = world.record().await;
    assert_eq!((&record["decision"], &record["reason"]), (&json!("refused"), &json!("not_permitted")));
    let decisions: Vec<_> = record["operations"].as_array().unwrap().iter().map(|part| &part["decision"]).collect();
    assert_eq!(decisions, ["allowed", "allowed", "refused"]);
    assert_eq!(record["operations"][2]["name"], "delete_everything");
    world.finish().await;
}

#[tokio::test]
async fn the_challenge_has_the_scopes_of_all_unless_one_is_never_permitted() {
    let world = World::standard().await;
    let reply = send(&world, "mcp a:first", &[call(1, "get_x"), call(2, "create_issue"), call(3, "either")], &[]).await;
    assert_eq!((reply.status, reply.header("gatepost-reason")), (403, Some("insufficient_scope")));
    let challenge = reply.header("www-authenticate").unwrap();
    let scope = challenge.split("scope=\"").nth(1).unwrap().split('"').next().unwrap();
    let mut scopes: Vec<_> = scope.split(' ').collect();
    scopes.sort_unstable();
    assert_eq!(scopes, ["a:first", "mcp", "tools:read", "tools:write"]);
    let own: Vec<_> =
        reply.json().as_array().unwrap().iter().map(|part| part["error"]["data"]["scopes"].clone()).collect();
    assert_eq!(own, [json!(["mcp", "tools:read", "a:first"]), json!(["mcp", "tools:write", "a:first"]), Value::Null]);
    // With these scopes it passes: no client is sent round twice.
    world.mcp.permit(1);
    world.mcp.answer(Answer::status(202));
    let messages = [call(1, "get_x"), call(2, "create_issue"), call(3, "either")];
    assert_eq!(send(&world, scope, &messages, &[]).await.status, 202);

    let reply = send(&world, "mcp", &[call(1, "get_x"), call(2, "delete_everything")], &[]).await;
    assert_eq!((reply.status, reply.header("www-authenticate")), (403, None));
    assert_eq!(errors(&reply), [(json!(1), json!("insufficient_scope")), (json!(2), json!("not_permitted"))]);
    world.finish().await;
}

#[tokio::test]
async fn a_batch_that_cannot_be_read_as_one_is_refused_whole() {
    let mut world = World::standard().await;
    let get = || call(1, "get_x");
    let mut check = async |messages: Vec<Value>, headers: &[(&str, &str)], reason: &str, code: i32| {
        let reply = send(&world, "mcp tools:read", &messages, headers).await;
        let (error, _) = world.refused(&reply, 400, reason).await;
        assert_eq!((&error["code"], reply.json()["id"].is_null()), (&json!(code), true), "{headers:?}");
    };
    check(vec![], &[], "malformed_message", -32600).await;
    check(vec![json!([get()])], &[], "malformed_message", -32600).await;
    check(vec![get(), json!([get()])], &[], "malformed_message", -32600).await;
    check(vec![get(), json!(1)], &[], "malformed_message", -32600).await;
    check(vec![get(); 51], &[], "malformed_message", -32600).await;
    check(
        vec![
            get(),
            call(2, "x")
                .as_object()
                .map(|call| {
                    json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": {"Name": call["params"]["name"]}})
                })
                .unwrap(),
        ],
        &[],
        "malformed_message",
        -32600,
    )
    .await;
    check(vec![get(), json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call"})], &[], "malformed_message", -32602)
        .await;
    check(
        vec![get(), json!({"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "get_x"}})],
        &[],
        "malformed_message",
        -32600,
    )
    .await;
    for version in ["2024-11-05", "2025-06-18", "2025-11-25", "2026-07-28"] {
        check(vec![get()], &[("MCP-Protocol-Version", version)], "malformed_message", -32600).await;
    }
    check(vec![get()], &[("MCP-Protocol-Version", "2031-01-01")], "unsupported_revision", -32022).await;
    check(vec![get()], &[("Mcp-Method", "tools/call")], "header_mismatch", -32020).await;
    check(vec![get()], &[("Mcp-Name", "get_x")], "header_mismatch", -32020).await;
    let modern = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params":
        {"name": "get_x", "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}});
    check(vec![get(), modern], &[], "header_mismatch", -32020).await;
    world.finish().await;
}

#[tokio::test]
async fn a_batch_of_responses_and_notifications_passes_and_of_unknown_ones_does_not() {
    let mut world = World::standard().await;
    let response = json!({"jsonrpc": "2.0", "id": 5, "result": {"roots": []}});
    world.mcp.permit(1);
    world.mcp.answer(Answer::status(202));
    assert_eq!(send(&world, "mcp", &[response.clone(), note()], &[]).await.status, 202);
    world.record().await;
    // No request in it: nothing has an id, and that it was refused is said once.
    let unknown = json!({"jsonrpc": "2.0", "method": "notifications/acme"});
    let reply = send(&world, "mcp", &[response, unknown], &[]).await;
    world.refused(&reply, 403, "not_permitted").await;
    world.finish().await;
}

#[tokio::test]
async fn a_failure_answers_every_request_of_a_batch() {
    let world = World::standard().await;
    let messages = [call(1, "get_x"), call(2, "get_y"), note()];
    let stolen = send(&world, "mcp tools:read", &messages, &[("Mcp-Session-Id", "forged")]).await;
    assert_eq!(stolen.status, 404);
    assert_eq!(errors(&stolen), [(json!(1), json!("session_not_found")), (json!(2), json!("session_not_found"))]);
    world.mcp.permit(1);
    world.mcp.answer(Answer::status(401));
    let broken = send(&world, "mcp tools:read", &messages, &[]).await;
    assert_eq!(broken.status, 502);
    assert_eq!(
        errors(&broken),
        [(json!(1), json!("upstream_unauthorized")), (json!(2), json!("upstream_unauthorized"))]
    );
    world.finish().await;
}

#[tokio::test]
async fn lists_in_the_answers_to_a_batch_are_filtered() {
    let world = World::standard().await;
    let list = |id: i64| json!({"jsonrpc": "2.0", "id": id, "result": {"tools": [{"name": "get_x"}, {"name": "unheard_of"}], "nextCursor": "c"}});
    let messages = [
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}),
    ];
    let whole = json!([list(1), list(2)]);
    for answer in
        [Answer::json(&whole), Answer::events(&[&event(&whole)]), Answer::events(&[&event(&list(2)), &event(&list(1))])]
    {
        world.mcp.permit(1);
        world.mcp.answer(answer);
        let reply = send(&world, "mcp", &messages, &[]).await;
        let text = reply.passed().text();
        assert_eq!((text.matches("get_x").count(), text.matches("unheard_of").count()), (2, 0), "{text}");
        assert_eq!(text.matches(r#""nextCursor":"c""#).count(), 2, "{text}");
    }
    world.finish().await;
}
