//! The main job: which call reaches the server and how it arrives there, which is refused, and what lists show.

use serde_json::{Value, json};

use crate::support::client::Request;
use crate::support::gateway::{PATH, file};
use crate::support::mcp_server::event;
use crate::support::{Answer, Client, World};

#[tokio::test]
async fn a_permitted_call_arrives_byte_for_byte() {
    let mut world = World::standard().await;
    let bodies = [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_issue","arguments":{}}}"#.to_owned(),
        " {\n\t\"params\" : {\"arguments\":{\"n\":1E+2,\"x\":0.10,\"y\":\"\\u00e9\\/\"},\"name\":\"get\\u005fissue\"},\r\n \"method\":\"tools\\/call\",\"id\":\"\\u0031\",\"jsonrpc\":\"2.0\"} \n".to_owned(),
        json!({"jsonrpc": "2.0", "id": -9_007_199_254_740_993_i64, "method": "tools/call", "params":
            {"name": "list_x", "arguments": {"text": "é ſ K 🙂", "_meta": {"Name": "x"}}, "_meta": {"progressToken": 1}}})
        .to_string(),
    ];
    for body in bodies {
        world.mcp.permit(1);
        world.client.post(PATH, &body).token(&world.token("mcp tools:read")).send().await.passed();
        let seen = world.mcp.next().await;
        assert_eq!(String::from_utf8(seen.body.clone()).unwrap(), body);
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/upstream/mcp"));
        assert_eq!(seen.header("host"), Some(world.mcp.address().to_string().as_str()));
        assert_eq!(seen.header("content-length"), Some(body.len().to_string().as_str()));
        let record = world.record().await;
        assert_eq!((&record["decision"], &record["rule"]), (&json!("allowed"), &json!("rules[0]")));
        assert_eq!((&record["upstream_status"], &record["bytes_in"]), (&json!(200), &json!(body.len())));
    }
    world.finish().await;
}

#[tokio::test]
async fn the_answer_arrives_byte_for_byte() {
    let world = World::standard().await;
    let body = "{ \"id\":7,\n\"jsonrpc\":\"2.0\",\"result\":{\"content\":[],\"n\":1E+2,\"x\":\"\\u00e9\\/\"} }\n";
    world.mcp.permit(1);
    world.mcp.answer(Answer::text("application/json; charset=utf-8", body).header("X-Kept", "as it is"));
    let reply = world.call_tool("mcp tools:read", "get_x").await;
    assert_eq!(reply.passed().text(), body);
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(reply.header("x-kept"), Some("as it is"));
    world.finish().await;
}

#[tokio::test]
async fn the_trace_context_of_meta_reaches_the_server_as_headers_too() {
    let mut world = World::standard().await;
    let in_meta = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let in_header = "00-11111111111111111111111111111111-2222222222222222-01";
    let params = json!({"name": "get_x", "_meta": {"traceparent": in_meta, "tracestate": "a=1"}});
    let call = || world.client.call(PATH, "tools/call", &params).token(&world.token("mcp tools:read"));
    world.mcp.permit(2);
    call().send().await.passed();
    let seen = world.mcp.next().await;
    assert_eq!((seen.header("traceparent"), seen.header("tracestate")), (Some(in_meta), Some("a=1")));
    assert_eq!(seen.json()["params"], params);
    call().header("traceparent", in_header).send().await.passed();
    let seen = world.mcp.next().await;
    assert_eq!((seen.header("traceparent"), seen.header("tracestate")), (Some(in_header), None));
    for trace in ["0af7651916cd43dd8448eb211c80319c", "11111111111111111111111111111111"] {
        assert_eq!(world.record().await["trace_id"], trace);
    }
    world.finish().await;
}

/// The scopes that a caller with these scopes is asked for when calling a tool; empty when the call is permitted.
async fn call(world: &World, scope: &str, tool: &str) -> String {
    let before = world.mcp.arrived();
    let reply = world.call_tool(scope, tool).await;
    if reply.status == 200 {
        reply.passed();
        return String::new();
    }
    assert_eq!(world.mcp.arrived(), before, "nothing reached the server");
    let error = reply.refused(403, "insufficient_scope");
    let scopes: Vec<String> = serde_json::from_value(error["data"]["scopes"].clone()).unwrap();
    scopes.join(" ")
}

#[tokio::test]
async fn scopes_decide_which_tool_may_be_called() {
    let world = World::standard().await;
    world.mcp.permit(100);
    let check = async |scope: &str, tool: &str, expect: &str| {
        assert_eq!(call(&world, scope, tool).await, expect, "{scope:?} {tool}");
    };
    check("mcp tools:read", "get_issue", "").await;
    check("mcp tools:read", "get_", "").await;
    check("mcp", "get_issue", "mcp tools:read").await;
    check("tools:read", "get_issue", "mcp tools:read").await;
    check("", "get_issue", "mcp tools:read").await;
    check("mcp tools:read", "create_issue", "mcp tools:write tools:read").await;
    check("mcp tools:write", "create_issue", "").await;
    // The broader scope implies the narrower one, and not the other way round.
    check("mcp tools:write", "get_issue", "").await;
    check("mcp a:first", "either", "").await;
    check("mcp a:second", "either", "").await;
    check("mcp", "either", "mcp a:first").await;
    check("mcp", "open_to_all", "").await;
    check("a:first", "open_to_all", "mcp a:first").await;
    // No part of a scope, and no other spelling of it, is the scope.
    check("mcp tools:reader", "get_issue", "mcp tools:read").await;
    check("mcp Tools:Read", "get_issue", "mcp tools:read").await;
    check("mcp tools:*", "get_issue", "mcp tools:read").await;
    world.finish().await;
}

#[tokio::test]
async fn no_scope_opens_what_no_rule_names() {
    let world = World::standard().await;
    let all = "mcp tools:read tools:write a:first a:second prompts:read repo:read";
    for tool in
        ["delete_everything", "unheard_of", "", "GET_issue", "get_issue\n", "xget_issue", "get_\u{e9}", "get_a b"]
    {
        world.call_tool(all, tool).await.refused(403, "not_permitted");
    }
    for uri in ["file:///etc/passwd", "repo:x", "REPO://a", "repo://a/../b", "repo://a/%2e%2e/b", "repo://u@a/b"] {
        world.message(all, "resources/read", json!({"uri": uri})).await.refused(403, "not_permitted");
    }
    world.finish().await;
}

#[tokio::test]
async fn prompts_resources_and_completions_are_decided_like_tools() {
    let world = World::standard().await;
    let cases = [
        ("prompts/get", json!({"name": "review"}), "prompts:read"),
        ("resources/read", json!({"uri": "repo://a/b"}), "repo:read"),
        ("resources/subscribe", json!({"uri": "repo://a/b"}), "repo:read"),
        ("resources/unsubscribe", json!({"uri": "repo://a/b"}), "repo:read"),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "review"}, "argument": {}}),
            "prompts:read",
        ),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/resource", "uri": "repo://a/{b}"}, "argument": {}}),
            "repo:read",
        ),
    ];
    for (method, params, scope) in cases {
        let error = world.message("mcp", method, params.clone()).await.refused(403, "insufficient_scope");
        assert_eq!(error["data"]["scopes"], json!(["mcp", scope]), "{method}");
        world.mcp.permit(1);
        world.message(&format!("mcp {scope}"), method, params).await.passed();
    }
    world.finish().await;
}

#[tokio::test]
async fn the_core_methods_need_the_routes_scopes_alone() {
    let world = World::standard().await;
    for method in [
        "initialize",
        "ping",
        "logging/setLevel",
        "tools/list",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
    ] {
        let params = json!({"protocolVersion": "2025-06-18"});
        world.message("tools:read", method, params.clone()).await.refused(403, "insufficient_scope");
        world.mcp.permit(1);
        world.message("mcp", method, params).await.passed();
    }
    for method in ["notifications/initialized", "notifications/cancelled"] {
        world.mcp.permit(1);
        let body = json!({"jsonrpc": "2.0", "method": method}).to_string();
        let reply = world.client.post(PATH, body).token(&world.token("mcp")).send().await;
        assert_eq!((reply.status, reply.text()), (202, ""));
    }
    // The client's answer to a request of the server's.
    world.mcp.permit(1);
    let body = json!({"jsonrpc": "2.0", "id": 1, "result": {"roots": []}}).to_string();
    world.mcp.answer(Answer::status(202));
    let reply = world.client.post(PATH, body).token(&world.token("mcp")).send().await;
    assert_eq!(reply.status, 202);
    world.finish().await;
}

/// What `tools/list` shows with this `visibility` and scope.
async fn listed(visibility: &str, scope: &str, as_events: bool) -> Vec<String> {
    let mut world = World::with_route(&format!("visibility: {visibility}")).await;
    let tools: Vec<_> = TOOLS.iter().map(|name| json!({"name": name, "inputSchema": {"type": "object"}})).collect();
    let list = json!({"jsonrpc": "2.0", "id": 7, "result": {"tools": tools, "nextCursor": "c"}});
    world.mcp.permit(1);
    world.mcp.answer(if as_events { Answer::events(&[&event(&list)]) } else { Answer::json(&list) });
    let reply = world.message(scope, "tools/list", json!({})).await;
    let text = reply.passed().text();
    let shown: Value = if as_events {
        serde_json::from_str(text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap()).unwrap()
    } else {
        reply.json()
    };
    assert_eq!(shown["result"]["nextCursor"], "c");
    assert_eq!(world.mcp.next().await.header("accept-encoding").is_some(), visibility != "all");
    world.record().await;
    world.finish().await;
    let tools = shown["result"]["tools"].as_array().unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

const TOOLS: &[&str] = &["get_issue", "create_issue", "either", "delete_everything", "open_to_all", "unheard_of"];

#[tokio::test]
async fn lists_show_what_visibility_says() {
    for as_events in [false, true] {
        assert_eq!(listed("all", "mcp", as_events).await, TOOLS);
        let grantable = ["get_issue", "create_issue", "either", "open_to_all"];
        assert_eq!(listed("grantable", "mcp", as_events).await, grantable);
        assert_eq!(listed("granted", "mcp", as_events).await, ["open_to_all"]);
        assert_eq!(listed("granted", "mcp tools:read", as_events).await, ["get_issue", "open_to_all"]);
        assert_eq!(listed("granted", "mcp tools:write", as_events).await, ["get_issue", "create_issue", "open_to_all"]);
    }
}

#[tokio::test]
async fn a_filtered_list_keeps_every_other_byte() {
    let world = World::standard().await;
    let entry = |name: &str| format!("{{ \"name\":\"{name}\" , \"x\" : 1E+2, \"t\":\"\\u00e9\" }}");
    let list = |entries: &[String], scope: &str| {
        format!(
            "{{\"jsonrpc\":\"2.0\", \"id\" :7,\n \"result\":{{\"_meta\":{{\"a\":0.10}},\"tools\":[{}],\"cacheScope\":\"{scope}\"}} }}",
            entries.join(",")
        )
    };
    let (first, hidden, second) = (entry("get_a"), entry("unheard_of"), entry("get_b"));
    world.mcp.permit(1);
    let sent = list(&[first.clone(), hidden.clone(), second.clone()], "public");
    world.mcp.answer(Answer::text("application/json", &sent));
    let reply = world.message("mcp", "tools/list", json!({})).await;
    let text = reply.passed().text().to_owned();
    assert!(text.contains(&first) && text.contains(&second) && !text.contains("unheard_of"), "{text}");
    let expected: Value = serde_json::from_str(&list(&[], "private")).unwrap();
    let mut shown: Value = serde_json::from_str(&text).unwrap();
    shown["result"]["tools"] = json!([]);
    assert_eq!(shown, expected);
    assert_eq!(reply.header("content-length"), Some(text.len().to_string().as_str()));
    world.finish().await;
}

#[tokio::test]
async fn lists_are_filtered_in_any_answer_whatever_asked_for_them() {
    let world = World::standard().await;
    let list = json!({"jsonrpc": "2.0", "id": "of another request", "result": {
        "tools": [{"name": "unheard_of"}], "prompts": [{"name": "a prompt"}],
        "resources": [{"uri": "file:///etc/passwd"}, {"uri": "repo://a"}],
        "resourceTemplates": [{"uriTemplate": "file:///{x}"}, {"uriTemplate": "repo://a/{x}"}],
    }});
    let shown = json!({"jsonrpc": "2.0", "id": "of another request", "result": {
        "tools": [], "prompts": [], "resources": [{"uri": "repo://a"}], "resourceTemplates": [{"uriTemplate": "repo://a/{x}"}],
    }});
    let text = list.to_string();
    let (head, tail) = text.split_at(text.find(',').unwrap() + 1);
    let streams = [
        event(&list),
        event(&list).replace('\n', "\r\n"),
        event(&list).replace('\n', "\r"),
        format!("id: 1\ndata: {head}\ndata: {tail}\n\n"),
        event(&list).replace("data: ", "data:"),
    ];
    for stream in streams {
        world.mcp.permit(1);
        world.mcp.answer(Answer::events(&[&stream]));
        let reply = world.call_tool("mcp tools:read", "get_x").await;
        let text = reply.passed().text().to_owned();
        let data: Vec<_> = text.split(['\r', '\n']).filter_map(|line| line.strip_prefix("data:")).collect();
        assert_eq!(serde_json::from_str::<Value>(&data.join("\n")).unwrap(), shown, "{stream:?}");
    }
    world.mcp.permit(2);
    world.mcp.answer(Answer::json(&list));
    assert_eq!(world.call_tool("mcp tools:read", "get_x").await.passed().json(), shown);
    world.mcp.answer(Answer::json(&json!([list])));
    assert_eq!(world.call_tool("mcp tools:read", "get_x").await.passed().json(), json!([shown]));
    world.finish().await;
}

#[tokio::test]
async fn an_event_that_cannot_be_understood_never_passes() {
    let world = World::standard().await;
    world.mcp.permit(1);
    let good = event(&json!({"jsonrpc": "2.0", "id": 7, "result": {}}));
    let twice = "data: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"tools\":[{\"name\":\"get_x\",\"name\":\"unheard_of\"}]}}\n\n";
    world.mcp.answer(Answer::events(&[
        ": a comment\n\n",
        "data: no json\n\n",
        twice,
        &good,
        "data: {\"unterminated\":1}\n",
    ]));
    let reply = world.call_tool("mcp tools:read", "get_x").await;
    let text = reply.passed().text();
    assert!(!text.contains("no json") && !text.contains("unheard_of") && !text.contains("unterminated"), "{text}");
    assert!(text.ends_with(&good), "{text}");
    let errors: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .filter(|message: &Value| message["error"]["code"] == -32603)
        .collect();
    assert_eq!(errors.len(), 2, "{text}");
    assert!(errors.iter().all(|error| error["id"] == 7), "{text}");
    world.finish().await;
}

#[tokio::test]
async fn no_credential_and_no_borrowed_header_reaches_the_server() {
    // The fake server fails the test by itself for each of the names here that it sees with a value not ours.
    let mut world = World::start(&with_identity()).await;
    world.mcp.ours("x-auth-subject", "alice");
    world.mcp.ours("x-auth-client", "inspector");
    let mut request = world.client.tool(PATH, "get_x").token(&world.token("mcp tools:read"));
    for name in [
        "X-Auth-Subject",
        "x-auth-subject",
        "X_Auth_Subject",
        "X.Auth.Subject",
        "x-Auth_Subject",
        "X_Auth.Client",
        "Cookie",
        "Proxy-Authorization",
        "Proxy_Authorization",
        "Forwarded",
        "X-Forwarded-For",
        "X_Forwarded_For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "X-Forwarded-User",
        "X-Forwarded-Email",
        "X-Forwarded-Groups",
        "X-Forwarded-Preferred-Username",
        "X-Forwarded-Access-Token",
        "X-Real-IP",
        "X_Real_IP",
        "Keep-Alive",
        "Proxy-Connection",
        "TE",
        "X-Named",
    ] {
        request = request.header(name, "mallory");
    }
    let request = request
        .header("Connection", "X-Named, X-Auth-Subject, Content-Type, Content-Length, Host, X-Forwarded-For")
        .header("Origin", &world.url(""))
        .header("Upgrade", "h2c")
        .header("X-Other", "kept")
        .header("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    world.mcp.permit(1);
    request.send().await.passed();
    let seen = world.mcp.next().await;
    assert_eq!(seen.header("x-auth-subject"), Some("alice"));
    assert_eq!(seen.header("x-auth-client"), Some("inspector"));
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-host"), Some(world.address.to_string().as_str()));
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    assert!(seen.header("forwarded").is_some());
    assert_eq!(seen.header("x-named"), None, "named by Connection");
    assert_eq!(seen.header("x-other"), Some("kept"));
    assert_eq!(seen.header("content-type"), Some("application/json"), "no client can take it away");
    assert!(seen.header("traceparent").is_some());
    assert!(!format!("{:?}", seen.head).contains("mallory"), "{:?}", seen.head);
    world.record().await;
    world.finish().await;
}

#[tokio::test]
async fn identity_headers_are_visible_ascii_or_percent_encoded() {
    for (subject, expected) in [
        ("alice", "alice"),
        ("Zoë", "Zo%C3%AB"),
        ("a\r\nX-Evil: 1", "a%0D%0AX-Evil:%201"),
        ("100%", "100%25"),
        ("\u{0}", "%00"),
        ("auth0|x@y", "auth0|x@y"),
    ] {
        let world = World::start(&with_identity()).await;
        world.mcp.ours("x-auth-client", "inspector");
        // A space of the claim's own may stand as it is or encoded: both are one header value.
        let plain = expected.replace("%20", " ");
        world.mcp.ours("x-auth-subject", expected);
        world.mcp.ours("x-auth-subject", &plain);
        world.mcp.permit(1);
        let token = world.good().scope("mcp tools:read").subject(subject).mint();
        world.client.tool(PATH, "get_x").token(&token).send().await.passed();
        let seen = world.mcp.next().await;
        let value = seen.header("x-auth-subject").unwrap();
        assert!(value == expected || value == plain, "{subject:?}: {value:?}");
        world.finish().await;
    }
}

#[tokio::test]
async fn an_absent_claim_leaves_no_header_for_the_client_to_fill() {
    let world = World::start(&with_identity()).await;
    world.mcp.ours("x-auth-subject", "alice");
    world.mcp.never("x-auth-client");
    world.mcp.permit(1);
    let token = world.good().scope("mcp tools:read").without("client_id").mint();
    let request = world.client.tool(PATH, "get_x").token(&token).header("X-Auth-Client", "inspector");
    request.send().await.passed();
    assert_eq!(world.mcp.next().await.header("x-auth-client"), None);
    world.finish().await;
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_and_its_users_are_not() {
    let world = World::start(&format!("trusted_proxies: [127.0.0.0/8]\n{}", file(""))).await;
    world.mcp.ours("x-forwarded-for", "203.0.113.9, 127.0.0.1");
    world.mcp.ours("x-forwarded-proto", "https");
    world.mcp.permit(1);
    let request = world.client.tool(PATH, "get_x").token(&world.token("mcp tools:read"));
    let request = request.header("X-Forwarded-For", "203.0.113.9").header("X-Forwarded-Proto", "https");
    request.header("X-Forwarded-User", "mallory").send().await.passed();
    assert_eq!(world.mcp.next().await.header("x-forwarded-for"), Some("203.0.113.9, 127.0.0.1"));
    world.finish().await;
}

#[tokio::test]
async fn the_query_is_dropped() {
    let world = World::standard().await;
    world.mcp.permit(1);
    let target = format!("{PATH}?tool=delete_everything&x=%2F..%2F");
    world.client.tool(&target, "get_x").token(&world.token("mcp tools:read")).send().await.passed();
    assert_eq!(world.mcp.next().await.target, "/upstream/mcp");
    world.finish().await;
}

#[tokio::test]
async fn mirrored_headers_agree_with_the_body() {
    let world = World::standard().await;
    let token = world.token("mcp tools:read");
    let request = |client: &Client, revision: bool| {
        let meta = if revision { json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"}) } else { json!({}) };
        let params = json!({"name": "get_x", "arguments": {}, "_meta": meta});
        let request = client.call(PATH, "tools/call", &params).token(&token);
        if revision { request.header("MCP-Protocol-Version", "2026-07-28") } else { request }
    };
    let method = "Mcp-Method";
    let name = "Mcp-Name";
    let mismatches = [
        request(&world.client, true).header(method, "tools/call"),
        request(&world.client, true).header(name, "get_x"),
        request(&world.client, true).header(method, "tools/list").header(name, "get_x"),
        request(&world.client, true).header(method, "tools/call").header(name, "get_y"),
        request(&world.client, true).header(method, "tools/call").header(name, "get_x").header(name, "get_x"),
        request(&world.client, true)
            .header(method, "tools/call")
            .header(name, "get_x")
            .with("MCP-Protocol-Version", "2025-11-25"),
        request(&world.client, true).header(method, "tools/call").header(name, "get_x").without("MCP-Protocol-Version"),
        request(&world.client, false).header(method, "tools/list"),
        request(&world.client, false).header(name, "create_issue"),
    ];
    for request in mismatches {
        let error = request.send().await.refused(400, "header_mismatch");
        assert_eq!(error["code"], -32020);
    }
    world.mcp.permit(4);
    request(&world.client, true).header(method, "tools/call").header(name, "get_x").send().await.passed();
    request(&world.client, true).header(method, "tools/call").header(name, "=?base64?Z2V0X3g=?=").send().await.passed();
    request(&world.client, false).header(method, "tools/call").header(name, "get_x").send().await.passed();
    request(&world.client, false).send().await.passed();
    world.finish().await;
}

/// Node sends `writeHead(202).end()` as an empty chunked body.
#[tokio::test]
async fn an_empty_answer_may_be_chunked_and_labelled_as_json() {
    let world = World::standard().await;
    world.mcp.permit(1);
    let head = "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    world.mcp.answer(Answer::raw(format!("{head}0\r\n\r\n").as_bytes()));
    let body = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let reply = world.client.post(PATH, body).token(&world.token("mcp")).passed_through().send().await;
    assert_eq!((reply.status, reply.text()), (202, ""));
    world.finish().await;
}

#[tokio::test]
async fn unknown_revisions_are_refused_and_the_spoken_ones_pass() {
    let world = World::standard().await;
    let call = |revision: &str| {
        let request = world.client.tool(PATH, "get_x").token(&world.token("mcp tools:read"));
        request.header("MCP-Protocol-Version", revision)
    };
    for revision in ["2024-10-07", "draft", "2027-01-01", "2025-6-18", "2025-06-18, 2025-06-18"] {
        let error = call(revision).send().await.refused(400, "unsupported_revision");
        assert_eq!(error["code"], -32022);
        assert_eq!(error["data"]["supported"], json!(["2026-07-28"]));
        assert_eq!(error["data"]["requested"], revision);
    }
    // Beside a header that names another one, it is that they differ what counts (MCP 2026-07-28, Streamable HTTP).
    let unknown = json!({"name": "get_x", "_meta": {"io.modelcontextprotocol/protocolVersion": "2027-01-01"}});
    for revision in ["2025-11-25", "2026-07-28"] {
        let request = world.client.call(PATH, "tools/call", &unknown).token(&world.token("mcp tools:read"));
        let error = request.header("MCP-Protocol-Version", revision).send().await.refused(400, "header_mismatch");
        assert_eq!(error["code"], -32020);
    }
    let alone = world.client.call(PATH, "tools/call", &unknown).token(&world.token("mcp tools:read"));
    assert_eq!(alone.send().await.refused(400, "unsupported_revision")["code"], -32022);
    for revision in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        world.mcp.permit(1);
        call(revision).send().await.passed();
        assert_eq!(world.mcp.next().await.header("mcp-protocol-version"), Some(revision));
    }
    world.finish().await;
}

/// A message of revision 2026-07-28 with its mirrored headers, as clients send it.
fn newest(world: &World, method: &str, mut params: Value) -> Request {
    params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
    let request = world.client.call(PATH, method, &params).header("MCP-Protocol-Version", "2026-07-28");
    request.header("Mcp-Method", method)
}

#[tokio::test]
async fn the_newest_revision_says_itself_twice() {
    let world = World::standard().await;
    let token = world.token("mcp tools:read");
    // In the header alone.
    let request = world.client.tool(PATH, "get_x").header("MCP-Protocol-Version", "2026-07-28");
    let request = request.header("Mcp-Method", "tools/call").header("Mcp-Name", "get_x").token(&token);
    assert_eq!(request.send().await.refused(400, "malformed_message")["code"], -32602);
    // A response of the client's: this revision has none.
    let response = json!({"jsonrpc": "2.0", "id": 7, "result": {}}).to_string();
    let request = world.client.post(PATH, response).header("MCP-Protocol-Version", "2026-07-28").token(&token);
    request.send().await.refused(400, "malformed_message");
    // A notification needs neither the headers nor `_meta`.
    world.mcp.permit(1);
    let notification = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {}}).to_string();
    let request = world.client.post(PATH, notification).header("MCP-Protocol-Version", "2026-07-28").token(&token);
    assert_eq!(request.send().await.status, 202);
    world.mcp.permit(2);
    newest(&world, "server/discover", json!({})).token(&token).send().await.passed();
    newest(&world, "tools/list", json!({})).token(&token).send().await.passed();
    world.finish().await;
}

#[tokio::test]
async fn every_uri_that_is_listened_to_is_decided() {
    let world = World::standard().await;
    let listen = |uris: Value, scope: &str| {
        let params = json!({"notifications": {"toolsListChanged": true, "resourceSubscriptions": uris}});
        newest(&world, "subscriptions/listen", params).token(&world.token(scope))
    };
    listen(json!(["repo://a"]), "mcp").send().await.refused(403, "insufficient_scope");
    listen(json!(["repo://a", "file:///etc/passwd"]), "mcp repo:read").send().await.refused(403, "not_permitted");
    for broken in [json!("repo://a"), json!([["repo://a"]]), json!([null]), json!({"0": "repo://a"})] {
        listen(broken, "mcp repo:read").send().await.refused(400, "malformed_message");
    }
    world.mcp.permit(2);
    listen(json!(["repo://a", "repo://b/c"]), "mcp repo:read").send().await.passed();
    listen(json!([]), "mcp").send().await.passed();
    world.finish().await;
}

#[tokio::test]
async fn a_default_that_allows_does_not_allow_every_name() {
    let world = World::with_route("default: allow").await;
    world.mcp.permit(2);
    world.call_tool("mcp", "unheard_of").await.passed();
    world.message("mcp", "resources/read", json!({"uri": "file:///a"})).await.passed();
    world.call_tool("mcp tools:write", "delete_everything").await.refused(403, "not_permitted");
    world.call_tool("mcp", "get_issue").await.refused(403, "insufficient_scope");
    for name in ["", "a b", "\u{e9}", "a\n", "delete_everything\u{0}", &"x".repeat(129)] {
        world.call_tool("mcp tools:write", name).await.refused(403, "not_permitted");
    }
    world.message("mcp", "acme/reindex", json!({})).await.refused(403, "not_permitted");
    world.finish().await;
}

#[tokio::test]
async fn scopes_made_from_the_tools_name() {
    let text = file("").replace("        scopes: [tools:read]\n", "        scopes: [\"{route}:{tool}:execute\"]\n");
    let world = World::start(&text).await;
    let asked = world.call_tool("mcp", "get_issue").await.refused(403, "insufficient_scope");
    assert_eq!(asked["data"]["scopes"], json!(["mcp", "standard:get_issue:execute"]));
    world.call_tool("mcp standard:get_other:execute", "get_issue").await.refused(403, "insufficient_scope");
    world.mcp.permit(1);
    world.call_tool("mcp standard:get_issue:execute", "get_issue").await.passed();
    world.finish().await;
}

#[tokio::test]
async fn a_named_method_is_decided_by_its_rule() {
    let text = format!("{}      - methods: [acme/reindex, tasks/get]\n        scopes: [acme:admin]\n", file(""));
    let world = World::start(&text).await;
    world.message("mcp", "acme/reindex", json!({})).await.refused(403, "insufficient_scope");
    world.mcp.permit(2);
    world.message("mcp acme:admin", "acme/reindex", json!({})).await.passed();
    world.message("mcp acme:admin", "tasks/get", json!({"taskId": "1"})).await.passed();
    world.message("mcp acme:admin", "tasks/cancel", json!({"taskId": "1"})).await.refused(403, "not_permitted");
    world.finish().await;
}

/// The standard route with identity headers.
fn with_identity() -> String {
    file("").replace(
        "upstream: {upstream}",
        "upstream: {url: \"{upstream}\", identity: {headers: {X-Auth-Subject: sub, X-Auth-Client: client_id}}}",
    )
}
