//! What routes share and what people are told: policies, the message of a rule, scopes from several claims.

use serde_json::{Value, json};

use crate::support::World;
use crate::support::gateway::{HEAD, PATH};

/// Two routes that share policies, one of which has a rule of its own before them.
const SHARED: &str = "
policies:
  readers:
    - tools: [get_*]
      scopes: [\"{route}:read\"]
    - tools: [list_*]
      scopes: [mcp]
      rate_per_principal: {requests: 1, per_secs: 3600}
  nobody:
    - tools: [\"*\"]
      deny: true
      message: Nobody deletes here, ask the platform team
routes:
  - name: standard
    path: /mcp
    upstream: {upstream}
    policies: [readers, nobody]
    rules:
      - tools: [get_secret]
        deny: true
  - name: second
    path: /second
    upstream: {upstream}
    policies: [readers]
";

fn line_of(text: &str, needle: &str) -> Value {
    let text = format!("{HEAD}{text}");
    json!(text.lines().position(|line| line.contains(needle)).expect(needle) + 1)
}

#[tokio::test]
async fn routes_share_rules_and_the_record_says_where_each_stands() {
    let mut world = World::start(&format!("{HEAD}{SHARED}")).await;
    let second = world.issuer.token().aud(world.url("/second")).scope("second:read").mint();
    let standard = world.token("standard:read");
    for (path, token, tool, allowed, rule, line) in [
        (PATH, &standard, "get_secret", false, "rules[0]", "tools: [get_secret]"),
        (PATH, &standard, "get_it", true, "policies.readers[0]", "tools: [get_*]"),
        (PATH, &standard, "wipe", false, "policies.nobody[0]", "tools: [\"*\"]"),
        ("/second", &second, "get_secret", true, "policies.readers[0]", "tools: [get_*]"),
    ] {
        world.mcp.permit(usize::from(allowed));
        let reply = world.client.tool(path, tool).token(token).send().await;
        let record = world.record().await;
        assert_eq!((&record["rule"], &record["rule_line"]), (&json!(rule), &line_of(SHARED, line)), "{record}");
        if allowed {
            reply.passed();
            assert_eq!(world.mcp.next().await.json()["params"]["name"], tool);
        } else {
            reply.refused(403, "not_permitted");
        }
    }
    // The same template, filled in by the name of each route.
    let reply = world.client.tool("/second", "get_it").token(&world.issuer.token().aud(world.url("/second")).mint());
    let (error, _) = world.refused(&reply.send().await, 403, "insufficient_scope").await;
    assert_eq!(error["data"]["scopes"], json!(["second:read"]));
    // A rule's rate is counted for each route by itself.
    for path in [PATH, "/second"] {
        let token = world.issuer.token().aud(world.url(path)).scope("mcp").mint();
        let call = || world.client.tool(path, "list_all").token(&token);
        world.mcp.permit(1);
        call().send().await.passed();
        call().send().await.refused(429, "rate_limited");
    }
    world.finish().await;
}

const TOLD: &str = "
routes:
  - name: standard
    path: /mcp
    upstream: {upstream}
    required_scopes: [mcp]
    rules:
      - tools: [wipe]
        deny: true
        message: \"Wiping needs a ticket: https://tickets.example/new?kind=wipe\"
      - tools: [\"get_*\"]
        scopes: [tools:read]
        message: Ask \"Büro 7\" for access
      - tools: [bare]
        deny: true
";

#[tokio::test]
async fn people_are_told_by_the_rule_that_refuses() {
    let mut world = World::start(&format!("{HEAD}{TOLD}")).await;
    let wipe = "Wiping needs a ticket: https://tickets.example/new?kind=wipe";
    let ask = "Ask \"Büro 7\" for access";
    for (scope, tool, reason, told) in [
        ("mcp", "wipe", "not_permitted", Some(wipe)),
        ("mcp", "get_it", "insufficient_scope", Some(ask)),
        // Not the rule, but what any request needs.
        ("tools:read", "get_it", "insufficient_scope", None),
        ("mcp", "bare", "not_permitted", None),
        ("mcp", "other", "not_permitted", None),
    ] {
        let reply = world.call_tool(scope, tool).await;
        let (error, record) = world.refused(&reply, 403, reason).await;
        let message = error["message"].as_str().unwrap();
        assert_eq!(error["data"].get("message"), told.map(|told| json!(told)).as_ref(), "{error}");
        match told {
            Some(told) => assert!(message.starts_with(&format!("{told}. ")), "{message}"),
            None => assert!(!message.contains("ticket") && !message.contains('7'), "{message}"),
        }
        assert!(
            message.contains("The access token lacks a scope") || message.contains("not permitted here"),
            "{message}"
        );
        // It may hold what no header holds, and is nothing that clients parse.
        let challenge = reply.header("www-authenticate").unwrap_or_default();
        assert!(!challenge.contains("ticket") && !challenge.contains("Ask"), "{challenge}");
        assert_eq!(reply.header("gatepost-reason"), Some(reason));
        assert!(!record.to_string().contains("ticket"), "{record}");
    }
    world.finish().await;
}

#[tokio::test]
async fn each_message_of_a_batch_is_told_its_own() {
    let mut world = World::start(&format!("{HEAD}{TOLD}")).await;
    let call =
        |id: u64, tool: &str| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool}});
    let body = json!([call(1, "wipe"), call(2, "get_it"), call(3, "bare")]).to_string();
    let reply = world.client.post(PATH, body).token(&world.token("mcp")).send().await;
    assert_eq!(world.record().await["reason"], "not_permitted");
    let errors = reply.json();
    let told: Vec<&Value> = errors.as_array().unwrap().iter().map(|error| &error["error"]["data"]["message"]).collect();
    let wipe = json!("Wiping needs a ticket: https://tickets.example/new?kind=wipe");
    assert_eq!(told, [&wipe, &json!("Ask \"Büro 7\" for access"), &Value::Null]);
    world.finish().await;
}

/// A policy with a message, taken in by a route that hides.
const HIDDEN: &str = "
policies:
  nobody:
    - tools: [wipe]
      deny: true
      message: Wiping needs a ticket
routes:
  - name: standard
    path: /mcp
    upstream: {upstream}
    visibility: granted
    denial: hide
    policies: [nobody]
";

#[tokio::test]
async fn what_is_hidden_tells_nobody_anything() {
    let mut world = World::start(&format!("{HEAD}{HIDDEN}")).await;
    let denied = world.call_tool("mcp", "wipe").await;
    let unknown = world.call_tool("mcp", "nothing_of_the_kind").await;
    assert_eq!(denied.body, unknown.body);
    assert!(!denied.text().contains("ticket"), "{denied:?}");
    assert_eq!((denied.status, denied.header("gatepost-reason")), (200, None));
    assert_eq!(world.record().await["rule"], "policies.nobody[0]");
    world.finish().await;
}

#[tokio::test]
async fn scopes_of_several_claims_count_together() {
    let file = crate::support::gateway::file("")
        .replace("  - issuer: {issuer}\n", "  - issuer: {issuer}\n    scope_claims: {merge: [scope, /realm/roles]}\n");
    let mut world = World::start(&file).await;
    let token = |world: &World, scope: Value, roles: Value| {
        world.good().without("scope").claim("scope", scope).claim("realm", json!({"roles": roles})).mint()
    };
    let both = token(&world, json!("mcp"), json!(["tools:read", "unrelated role"]));
    world.mcp.permit(1);
    world.client.tool(PATH, "get_x").token(&both).send().await.passed();
    assert_eq!(world.record().await["decision"], "allowed");
    for (scope, roles) in [
        // Neither alone is enough; and the roles are no one's where one claim has the wrong type.
        (json!("mcp"), json!([])),
        (json!(""), json!(["tools:read"])),
    ] {
        let reply = world.client.tool(PATH, "get_x").token(&token(&world, scope, roles)).send().await;
        world.refused(&reply, 403, "insufficient_scope").await;
    }
    for (scope, roles) in [
        (json!("mcp tools:read"), json!(5)),
        (json!("mcp tools:read"), json!([5])),
        (json!("mcp tools:read"), Value::Null),
        (json!({"mcp": true}), json!(["mcp", "tools:read"])),
    ] {
        let reply = world.client.tool(PATH, "get_x").token(&token(&world, scope, roles)).send().await;
        let (_, record) = world.refused(&reply, 401, "invalid_token").await;
        assert_eq!(record["detail"], "claim");
    }
    world.finish().await;
}
