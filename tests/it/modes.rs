//! Routes that report, and routes that hide: what is passed on all the same, what is refused all the same, and what cannot
//! be told apart.

use serde_json::{Value, json};

use crate::support::gateway::{HEAD, PATH};
use crate::support::{Answer, Reply, World};

const REPORT: &str = "
routes:
  - name: standard
    path: /mcp
    upstream: {upstream}
    required_scopes: [mcp]
    mode: report
    rules:
      - tools: [get_*]
        scopes: [tools:read]
      - tools: [wipe_*]
        deny: true
        mode: enforce
";

const HIDE: &str = "
routes:
  - name: standard
    path: /mcp
    upstream: {upstream}
    required_scopes: [mcp]
    visibility: granted
    denial: hide
    rules:
      - tools: [get_x]
        scopes: [tools:read]
      - tools: [wipe]
        deny: true
      - prompts: [review]
        scopes: [prompts:read]
      - resources: [\"repo://a/*\"]
        scopes: [repo:read]
";

#[tokio::test]
async fn what_a_reporting_route_would_deny_passes_and_is_recorded() {
    let mut world = World::start(&format!("{HEAD}{REPORT}")).await;
    let mut check = async |scope: &str, tool: &str, would_deny: Value, rule: &str| {
        world.mcp.permit(1);
        world.call_tool(scope, tool).await.passed();
        assert_eq!(world.mcp.next().await.json()["params"]["name"], tool);
        let record = world.record().await;
        assert_eq!((&record["decision"], &record["would_deny"]), (&json!("allowed"), &would_deny), "{record}");
        assert_eq!((&record["rule"], &record["reason"]), (&json!(rule), &Value::Null));
    };
    check("mcp tools:read", "get_x", Value::Null, "rules[0]").await;
    check("mcp", "get_x", json!("insufficient_scope"), "rules[0]").await;
    check("", "get_x", json!("insufficient_scope"), "required_scopes").await;
    check("mcp", "other", json!("not_permitted"), "default").await;
    world.finish().await;
}

#[tokio::test]
async fn a_reporting_route_filters_no_list() {
    let world = World::start(&format!("{HEAD}{REPORT}")).await;
    let list = json!({"jsonrpc": "2.0", "id": 7, "result": {"tools": [{"name": "get_x"}, {"name": "wipe_x"}]}});
    world.mcp.permit(1);
    world.mcp.answer(Answer::json(&list));
    assert_eq!(world.message("", "tools/list", json!({})).await.passed().json(), list);
    world.finish().await;
}

#[tokio::test]
async fn a_reporting_route_still_refuses_all_but_what_policy_decides() {
    let mut world = World::start(&format!("{HEAD}{REPORT}")).await;
    let token = world.token("mcp");
    let call = || world.client.tool(PATH, "get_x");
    let other = world.good().aud("https://elsewhere.example").mint();
    let replies = [
        (call().send().await, 401, "missing_token"),
        (call().token(&other).send().await, 401, "invalid_token"),
        (call().token(&token).header("Origin", "https://evil.example").send().await, 403, "origin_not_allowed"),
        (call().token(&token).with("Host", "evil.example").send().await, 421, "misdirected"),
        (call().token(&token).header("Mcp-Session-Id", "forged").send().await, 404, "session_not_found"),
        (call().token(&token).header("Mcp-Method", "tools/list").send().await, 400, "header_mismatch"),
        (call().token(&token).body("{}").send().await, 400, "malformed_message"),
        (world.call_tool("mcp", "wipe_all").await, 403, "not_permitted"),
        // Meant to get round the rule that is enforced.
        (world.call_tool("mcp", "wipe_\u{430}ll").await, 403, "not_permitted"),
    ];
    for (reply, status, reason) in replies {
        world.refused(&reply, status, reason).await;
    }
    world.finish().await;
}

#[tokio::test]
async fn an_enforced_rule_holds_for_a_call_that_the_revision_does_not_define() {
    let rules =
        REPORT.to_owned() + "      - resources: [\"repo://secret/**\"]\n        deny: true\n        mode: enforce\n";
    let mut world = World::start(&format!("{HEAD}{rules}")).await;
    let params = json!({"uri": "repo://secret/x", "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}});
    for method in ["resources/subscribe", "resources/unsubscribe"] {
        let request = world.client.call(PATH, method, &params).token(&world.token("mcp"));
        let reply = request.header("MCP-Protocol-Version", "2026-07-28").header("Mcp-Method", method).send().await;
        world.refused(&reply, 404, "not_permitted").await;
    }
    let reply = world.message("mcp", "Tools/Call", json!({"name": "wipe_all"})).await;
    world.refused(&reply, 403, "not_permitted").await;
    world.finish().await;
}

#[tokio::test]
async fn a_batch_that_a_reporting_route_would_deny_is_recorded_by_its_worst_message() {
    let mut world = World::start(&format!("{HEAD}{REPORT}")).await;
    let call =
        |id: i64, tool: &str| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool}});
    world.mcp.permit(1);
    world.mcp.answer(Answer::status(202));
    let body = json!([call(1, "get_x"), call(2, "other")]).to_string();
    assert_eq!(world.client.post(PATH, body).token(&world.token("mcp")).send().await.status, 202);
    let record = world.record().await;
    assert_eq!((&record["decision"], &record["would_deny"]), (&json!("allowed"), &json!("not_permitted")));
    let parts = [0, 1].map(|place| record["operations"][place]["would_deny"].clone());
    assert_eq!(parts, ["insufficient_scope", "not_permitted"]);
    world.finish().await;
}

/// Everything of an answer that an observer sees, but for the time.
fn seen(reply: &Reply) -> (String, String) {
    let head = format!("{:?}", reply.head);
    let date = reply.header("date").expect("a date").to_owned();
    (head.replace(&date, "DATE"), reply.text().to_owned())
}

#[tokio::test]
async fn a_denied_name_cannot_be_told_from_one_that_does_not_exist() {
    let mut world = World::start(&format!("{HEAD}{HIDE}")).await;
    let uri = |uri: &str| json!({"uri": uri});
    let name = |name: &str| json!({"name": name});
    let reference = |kind: &str, key: &str, value: &str| json!({"ref": {"type": kind, key: value}, "argument": {"name": "a", "value": ""}});
    let cases = [
        // Denied by scope, denied by rule, never heard of.
        ("tools/call", vec![name("get_x"), name("wipe"), name("no_such_tool"), name("odd n\u{e4}me")], "Unknown tool"),
        ("prompts/get", vec![name("review"), name("no_such")], "Unknown prompt"),
        ("resources/read", vec![uri("repo://a/b"), uri("repo://z/b"), uri("repo://a/../b")], "Resource not found"),
        ("resources/subscribe", vec![uri("repo://a/b"), uri("file:///x")], "Resource not found"),
        (
            "completion/complete",
            vec![reference("ref/prompt", "name", "review"), reference("ref/prompt", "name", "none")],
            "Unknown prompt",
        ),
        (
            "completion/complete",
            vec![reference("ref/resource", "uri", "repo://a/{b}"), reference("ref/resource", "uri", "x:y")],
            "Resource not found",
        ),
    ];
    for (method, params, message) in cases {
        let mut answers = Vec::new();
        for params in params {
            let reply = world.message("mcp", method, params.clone()).await;
            assert_eq!(reply.status, 200, "{method} {params}");
            let expect = json!({"jsonrpc": "2.0", "id": 7, "error": {"code": -32602, "message": message}});
            assert_eq!(reply.json(), expect, "{method} {params}");
            assert_eq!((reply.header("gatepost-reason"), reply.header("www-authenticate")), (None, None));
            answers.push(seen(&reply));
            // The operator is told.
            let record = world.record().await;
            assert_eq!((&record["decision"], &record["status"]), (&json!("refused"), &json!(200)), "{record}");
            assert!(["insufficient_scope", "not_permitted"].map(Value::from).contains(&record["reason"]), "{record}");
        }
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:#?}");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_hiding_route_passes_what_is_granted_and_challenges_for_itself() {
    let mut world = World::start(&format!("{HEAD}{HIDE}")).await;
    world.mcp.permit(1);
    world.call_tool("mcp tools:read", "get_x").await.passed();
    world.record().await;
    // The route is no secret, nor are methods: no list shows them.
    let reply = world.message("", "tools/list", json!({})).await;
    world.refused(&reply, 403, "insufficient_scope").await;
    let reply = world.message("mcp", "acme/x", json!({})).await;
    world.refused(&reply, 403, "not_permitted").await;
    world.finish().await;
}

#[tokio::test]
async fn a_batch_hides_too() {
    let world = World::start(&format!("{HEAD}{HIDE}")).await;
    let call =
        |id: i64, tool: &str| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool}});
    let mut answers = Vec::new();
    for tool in ["wipe", "no_such_tool"] {
        let body = json!([call(1, "get_x"), call(2, tool)]).to_string();
        let reply = world.client.post(PATH, body).token(&world.token("mcp tools:read")).send().await;
        assert_eq!((reply.status, reply.header("gatepost-reason")), (200, None));
        assert_eq!(reply.json()[1]["error"], json!({"code": -32602, "message": "Unknown tool"}));
        answers.push(seen(&reply));
    }
    assert_eq!(answers[0], answers[1]);
    world.finish().await;
}
