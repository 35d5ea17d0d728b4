//! Every reason word, each with its whole answer: status, headers, challenge, JSON-RPC error, audit record, and that nothing
//! reached the MCP server (for the `upstream_*` words: what did). The MCP server fails the test by itself when a request
//! arrives that was not permitted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gatepost::token::clock::Clock;
use serde_json::{Value, json};

use crate::support::gateway::{HEAD, PATH, ROUTE, file};
use crate::support::token::{Key, now};
use crate::support::{Answer, AuthorizationServer, McpServer, Mode, Reply, World};

/// What an answer says besides status and reason.
struct Says {
    code: i64,
    challenge: Option<String>,
    id: Option<Value>,
    decision: &'static str,
}

/// The code is the status, nothing is challenged, no id was read, and it is a refusal.
const fn says(code: i64) -> Says {
    Says { code, challenge: None, id: None, decision: "refused" }
}

/// Checks the whole answer and its record, and returns both.
async fn answered(world: &mut World, reply: &Reply, status: u16, reason: &str, says: Says) -> (Value, Value) {
    let (error, record) = world.refused(reply, status, reason).await;
    let got = (&error["code"], reply.header("www-authenticate"), reply.json().get("id").cloned());
    assert_eq!(got, (&json!(says.code), says.challenge.as_deref(), says.id), "{reply:?}");
    assert_eq!(record["decision"], says.decision, "{record}");
    (error, record)
}

/// The login challenge of the standard route, with what stands before it.
fn challenge(world: &World, error: &str) -> String {
    format!("Bearer {error}scope=\"mcp\", resource_metadata=\"{}\"", world.metadata_url(PATH))
}

#[tokio::test]
async fn malformed_request() {
    let mut world = World::standard().await;
    let token = world.token("mcp");
    let doubled = world.client.tool(PATH, "get_x").header("Host", &world.address.to_string());
    let doubled = doubled.token(&token).send().await;
    answered(&mut world, &doubled, 400, "malformed_request", says(400)).await;
    let expecting = world.client.tool(PATH, "get_x").header("Expect", "cake").token(&token).send().await;
    answered(&mut world, &expecting, 417, "malformed_request", says(417)).await;
    for method in ["GET", "DELETE", "OPTIONS"] {
        let with_body = world.client.request(method, PATH).token(&token).body("{}").send().await;
        let (_, record) = answered(&mut world, &with_body, 400, "malformed_request", says(400)).await;
        assert_eq!(record["http_method"], method);
        let chunked = world.client.request(method, PATH).token(&token).header("Transfer-Encoding", "chunked");
        let chunked = chunked.body("0\r\n\r\n").send().await;
        answered(&mut world, &chunked, 400, "malformed_request", says(400)).await;
    }
    for once in ["MCP-Protocol-Version", "Mcp-Session-Id", "Last-Event-ID"] {
        let twice = world.client.tool(PATH, "get_x").header(once, "2025-06-18").header(once, "2025-06-18");
        let twice = twice.token(&token).send().await;
        answered(&mut world, &twice, 400, "malformed_request", says(400)).await;
    }
    world.finish().await;
}

#[tokio::test]
async fn misdirected() {
    let mut world = World::standard().await;
    let reply = world.client.tool(PATH, "get_x").with("Host", "rebound.example").send().await;
    let (_, record) = answered(&mut world, &reply, 421, "misdirected", says(421)).await;
    assert_eq!(record.get("route"), None, "{record}");
    world.finish().await;
}

#[tokio::test]
async fn no_route() {
    let mut world = World::standard().await;
    let token = world.token("mcp tools:read");
    for path in
        ["/", "/mcp/", "/MCP", "/mcp/x", "//mcp", "/./mcp", "/x/../mcp", "/mcp;x", "/%6dcp", "/mcp%2f", "/mcp%00"]
    {
        let reply = world.client.tool(path, "get_x").token(&token).send().await;
        let (_, record) = answered(&mut world, &reply, 404, "no_route", says(404)).await;
        assert_eq!(record.get("route"), None, "{record}");
    }
    world.finish().await;
}

#[tokio::test]
async fn method_not_allowed() {
    let mut world = World::standard().await;
    let token = world.token("mcp");
    for method in ["PUT", "PATCH", "HEAD", "TRACE", "QUERY", "post"] {
        let reply = world.client.request(method, PATH).token(&token).send().await;
        assert_eq!(reply.header("allow"), Some("POST, GET, DELETE, OPTIONS"));
        if method == "HEAD" {
            assert_eq!((reply.status, world.record().await["reason"].as_str()), (405, Some("method_not_allowed")));
        } else {
            answered(&mut world, &reply, 405, "method_not_allowed", says(405)).await;
        }
    }
    let path = format!("/.well-known/oauth-protected-resource{PATH}");
    let reply = world.client.post(&path, "{}").send().await;
    assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS"));
    answered(&mut world, &reply, 405, "method_not_allowed", says(405)).await;
    world.finish().await;
}

#[tokio::test]
async fn origin_not_allowed() {
    let mut world = World::standard().await;
    let token = world.token("mcp tools:read");
    let own = world.url("");
    let others =
        ["https://evil.example".to_owned(), "null".to_owned(), "*".to_owned(), format!("{own}/"), own.to_uppercase()];
    for origin in others {
        let reply = world.client.tool(PATH, "get_x").header("Origin", &origin).token(&token).send().await;
        answered(&mut world, &reply, 403, "origin_not_allowed", says(403)).await;
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
    world.finish().await;
}

#[tokio::test]
async fn missing_token() {
    let mut world = World::standard().await;
    let login = challenge(&world, "");
    let token = world.token("mcp tools:read");
    let bearer = format!("Bearer {token}");
    let bare = world.client.tool(PATH, "get_x");
    let requests = [
        bare.clone(),
        bare.clone().header("Authorization", "Basic YWxpY2U6c2VjcmV0"),
        bare.clone().header("Authorization", "DPoP abc"),
        bare.clone().header("X-Access-Token", &token).header("Proxy-Authorization", &bearer),
        bare.header("Cookie", &format!("access_token={token}")),
        world.client.post(PATH, "this is no JSON"),
        world.client.call(PATH, "initialize", &json!({})),
        world.client.call(PATH, "ping", &json!({})),
        world.client.get(PATH),
        world.client.request("DELETE", PATH),
        world.client.tool(&format!("{PATH}?access_token={token}"), "get_x"),
        world
            .client
            .post(PATH, format!("access_token={token}"))
            .with("Content-Type", "application/x-www-form-urlencoded"),
    ];
    for request in requests {
        let reply = request.send().await;
        let says = Says { challenge: Some(login.clone()), ..says(401) };
        let (_, record) = answered(&mut world, &reply, 401, "missing_token", says).await;
        assert_eq!(record["route"], "standard");
        assert_eq!(record.get("principal"), None);
    }
    world.finish().await;
}

#[tokio::test]
async fn invalid_request() {
    let mut world = World::standard().await;
    let token = world.token("mcp tools:read");
    let bare = world.client.tool(PATH, "get_x");
    let requests = [
        bare.clone().token(&token).token(&token),
        bare.clone().token(&token).header("Authorization", "Basic YQ=="),
        bare.clone().header("Authorization", "Bearer"),
        bare.clone().header("Authorization", &format!("Bearer {token} {token}")),
        bare.clone().header("Authorization", &format!("Bearer {token}, Bearer {token}")),
        bare.header("Authorization", "Bearer \"quoted\""),
    ];
    for request in requests {
        let reply = request.send().await;
        let (error, _) = world.refused(&reply, 400, "invalid_request").await;
        assert_eq!(error["code"], 400);
        let challenge = reply.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer error=\"invalid_request\""), "{challenge}");
    }
    world.finish().await;
}

#[tokio::test]
async fn invalid_token() {
    let mut world = World::standard().await;
    let good = || world.good().scope("mcp tools:read");
    let (other_key, mcp) = (Key::generate("k-1"), world.url(PATH));
    let faults = [
        ("malformed", "no.token".to_owned()),
        ("malformed", "opaque-token-of-another-kind".to_owned()),
        ("malformed", "x".repeat(8193)),
        ("malformed", good().header("crit", json!(["b64"])).mint()),
        ("algorithm", good().unsigned().mint()),
        ("algorithm", good().hs256(&world.issuer.key().public_bytes()).mint()),
        ("algorithm", good().header("alg", "ES384").mint()),
        ("signature", good().forged_with(&other_key).mint()),
        ("expired", good().expired(120).mint()),
        ("not_yet_valid", good().claim("nbf", now() + 600).mint()),
        ("issuer", good().claim("iss", "https://other.example").mint()),
        ("issuer", good().claim("iss", format!("{}/", world.issuer.issuer())).mint()),
        ("audience", good().aud(world.url("/other")).mint()),
        ("audience", good().aud(world.url("")).mint()),
        ("audience", good().aud(format!("{mcp}/")).mint()),
        ("type", good().header("typ", "dpop+jwt").mint()),
        ("type", good().claim("at_hash", "x").mint()),
        ("claim", good().without("exp").mint()),
        ("claim", good().claim("exp", "9999999999").mint()),
        ("type", good().claim("cnf", json!({"jkt": "x"})).mint()),
        ("claim", good().without("sub").without("client_id").mint()),
    ];
    let mut challenges = Vec::new();
    for (fault, token) in faults {
        let reply = world.client.tool(PATH, "get_x").token(&token).send().await;
        let (error, record) = world.refused(&reply, 401, "invalid_token").await;
        assert_eq!(error["code"], 401);
        assert_eq!(record["detail"], fault, "{token}");
        assert_eq!(record.get("principal"), None);
        challenges.push(reply.header("www-authenticate").unwrap().to_owned());
    }
    // Whoever forges tokens learns nothing from the answer.
    challenges.dedup();
    let [challenge] = challenges.as_slice() else { panic!("the challenges differ: {challenges:#?}") };
    assert!(challenge.starts_with("Bearer error=\"invalid_token\""), "{challenge}");
    let login = format!("scope=\"mcp\", resource_metadata=\"{}\"", world.metadata_url(PATH));
    assert!(challenge.ends_with(&login), "{challenge}");
    assert_eq!(challenge.matches("scope=").count(), 1, "{challenge}");
    world.finish().await;
}

#[tokio::test]
async fn invalid_token_of_an_unknown_key() {
    let mut world = World::standard().await;
    let stranger = Key::generate("never-published");
    let token = world.good().scope("mcp").header("kid", "never-published").forged_with(&stranger).mint();
    let reply = world.client.tool(PATH, "get_x").token(&token).send().await;
    let (_, record) = world.refused(&reply, 401, "invalid_token").await;
    assert_eq!(record["detail"], "unknown_key");
    world.finish().await;
}

#[tokio::test]
async fn session_not_found() {
    let mut world = World::standard().await;
    let token = world.token("mcp tools:read");
    let unsealed = world.client.tool(PATH, "get_x").token(&token).header("Mcp-Session-Id", "invented");
    let reply = unsealed.send().await;
    let says = Says { id: Some(json!(7)), ..says(404) };
    let (_, record) = answered(&mut world, &reply, 404, "session_not_found", says).await;
    assert_eq!(record["principal"]["subject"], "alice");
    world.finish().await;
}

#[tokio::test]
async fn body_too_large() {
    let mut world = World::start(&format!("{}limits: {{body_bytes_max: 1024}}\n", file(""))).await;
    let request = world.client.post(PATH, "x".repeat(1025)).token(&world.token("mcp tools:read"));
    let reply = request.send().await;
    let (_, record) = answered(&mut world, &reply, 413, "body_too_large", says(413)).await;
    assert_eq!((&record["route"], &record["principal"]["subject"]), (&json!("standard"), &json!("alice")));
    world.finish().await;
}

#[tokio::test]
async fn body_timeout() {
    let mut world = World::start(&format!("{}timeouts: {{body_secs: 1}}\n", file(""))).await;
    let request = world.client.tool(PATH, "get_x").token(&world.token("mcp tools:read"));
    let reply = request.send_all_but(1).await.give_up().await;
    answered(&mut world, &reply, 408, "body_timeout", says(408)).await;
    world.finish().await;
}

#[tokio::test]
async fn media_type() {
    let mut world = World::standard().await;
    let request = world.client.tool(PATH, "get_x").token(&world.token("mcp tools:read"));
    let reply = request.with("Content-Type", "text/plain").send().await;
    let (_, record) = answered(&mut world, &reply, 415, "media_type", says(415)).await;
    assert!(record["detail"].is_string(), "{record}");
    world.finish().await;
}

#[tokio::test]
async fn malformed_message() {
    let mut world = World::standard().await;
    for (body, code, id) in [
        ("no json", -32700, None),
        (r#"[{"jsonrpc":"2.0","id":7,"method":"ping"},7]"#, -32600, None),
        (r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{}}"#, -32602, Some(json!(7))),
    ] {
        let reply = world.client.post(PATH, body).token(&world.token("mcp")).send().await;
        let (_, record) = answered(&mut world, &reply, 400, "malformed_message", Says { id, ..says(code) }).await;
        assert!(record["detail"].is_string(), "{record}");
        assert_eq!(record["bytes_in"], body.len());
    }
    world.finish().await;
}

#[tokio::test]
async fn header_mismatch() {
    let mut world = World::standard().await;
    let request = world.client.tool(PATH, "get_x").token(&world.token("mcp tools:read"));
    let reply = request.header("Mcp-Name", "create_issue").send().await;
    let says = Says { id: Some(json!(7)), ..says(-32020) };
    answered(&mut world, &reply, 400, "header_mismatch", says).await;
    world.finish().await;
}

#[tokio::test]
async fn unsupported_revision() {
    let mut world = World::standard().await;
    let request = world.client.tool(PATH, "get_x").token(&world.token("mcp tools:read"));
    let reply = request.header("MCP-Protocol-Version", "1999-12-31").send().await;
    let says = Says { id: Some(json!(7)), ..says(-32022) };
    let (error, _) = answered(&mut world, &reply, 400, "unsupported_revision", says).await;
    assert_eq!(error["data"]["supported"], json!(["2026-07-28"]));
    assert_eq!(error["data"]["requested"], "1999-12-31");
    world.finish().await;
}

#[tokio::test]
async fn insufficient_scope() {
    let mut world = World::standard().await;
    let reply = world.call_tool("mcp tools:read unrelated", "create_issue").await;
    let asked = format!("scope=\"mcp tools:write tools:read\", resource_metadata=\"{}\"", world.metadata_url(PATH));
    let (error, record) = world.refused(&reply, 403, "insufficient_scope").await;
    let challenge = reply.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Bearer error=\"insufficient_scope\""), "{challenge}");
    assert!(challenge.ends_with(&asked), "{challenge}");
    assert_eq!((&error["code"], &reply.json()["id"]), (&json!(403), &json!(7)));
    assert_eq!(error["data"]["scopes"], json!(["mcp", "tools:write", "tools:read"]));
    assert_eq!(record["decision"], "refused");
    assert_eq!(record["rule"], "rules[1]");
    assert_eq!(record["name"], "create_issue");
    assert_eq!(record["method"], "tools/call");
    assert_eq!(record["scopes_held"], "mcp tools:read unrelated");
    assert_eq!(record["scopes_needed"], "mcp tools:write");
    assert_eq!(
        record["principal"],
        json!({"issuer": world.issuer.issuer(), "subject": "alice", "client": "inspector"})
    );
    // The same refusal is the same string: clients detect loops by it.
    let again = world.call_tool("mcp tools:read unrelated", "create_issue").await;
    assert_eq!(again.header("www-authenticate"), reply.header("www-authenticate"));
    world.finish().await;
}

#[tokio::test]
async fn not_permitted() {
    let mut world = World::standard().await;
    for (scope, tool, rule) in
        [("mcp tools:write", "delete_everything", "rules[3]"), ("mcp tools:write", "unheard_of", "default")]
    {
        let reply = world.call_tool(scope, tool).await;
        let says = Says { id: Some(json!(7)), ..says(403) };
        let (_, record) = answered(&mut world, &reply, 403, "not_permitted", says).await;
        assert_eq!((&record["rule"], &record["name"]), (&json!(rule), &json!(tool)));
    }
    for method in ["tasks/get", "acme/reindex", "Tools/call", "tools/call "] {
        let reply = world.message("mcp tools:write", method, json!({"name": "get_x", "taskId": "1"})).await;
        let says = Says { id: Some(json!(7)), ..says(403) };
        answered(&mut world, &reply, 403, "not_permitted", says).await;
    }
    world.finish().await;
}

#[tokio::test]
async fn not_permitted_where_the_revision_lacks_the_method() {
    let mut world = World::standard().await;
    let params = json!({"uri": 17, "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}});
    for method in ["resources/subscribe", "acme/reindex"] {
        let request = world.client.call(PATH, method, &params).token(&world.token("mcp"));
        let reply = request.header("MCP-Protocol-Version", "2026-07-28").header("Mcp-Method", method).send().await;
        let says = Says { id: Some(json!(7)), ..says(-32601) };
        answered(&mut world, &reply, 404, "not_permitted", says).await;
    }
    world.finish().await;
}

#[tokio::test]
async fn rate_limited() {
    let text = format!("{HEAD}limits: {{streams_per_principal_max: 1}}\n{ROUTE}");
    let mut world = World::start(&text).await;
    let token = world.token("mcp");
    let (answer, _stream) = Answer::stream();
    world.mcp.permit(1);
    world.mcp.answer(answer);
    let opened = world.client.get(PATH).token(&token).open().await;
    world.record().await;
    let reply = world.client.get(PATH).token(&token).send().await;
    answered(&mut world, &reply, 429, "rate_limited", says(429)).await;
    assert_eq!(reply.header("retry-after"), Some("10"));
    drop(opened);
    world.finish().await;
}

#[tokio::test]
async fn keys_unavailable() {
    let mut world = World::start_with(&file(""), AuthorizationServer::down(), McpServer::up(), Clock::system()).await;
    let reply = world.call_tool("mcp tools:read", "get_x").await;
    answered(&mut world, &reply, 503, "keys_unavailable", says(503)).await;
    let seconds: u64 = reply.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    world.finish().await;
}

#[tokio::test]
async fn upstream_unreachable() {
    let mut mcp = McpServer::up();
    mcp.go_down().await;
    let mut world = World::start_with(&file(""), AuthorizationServer::up(), mcp, Clock::system()).await;
    world.keys_arrived().await;
    let reply = world.call_tool("mcp tools:read", "get_x").await;
    let says = Says { id: Some(json!(7)), decision: "allowed", ..says(502) };
    let (_, record) = answered(&mut world, &reply, 502, "upstream_unreachable", says).await;
    assert_eq!(record.get("upstream_status"), None);
    world.finish().await;
}

#[tokio::test]
async fn upstream_timeout() {
    let text = file("").replace("upstream: {upstream}", "upstream: {url: \"{upstream}\", timeouts: {answer_secs: 1}}");
    let mut world = World::start(&text).await;
    world.mcp.permit(1);
    world.mcp.answer(Answer::hang());
    let reply = world.call_tool("mcp tools:read", "get_x").await;
    let allowed = || Says { id: Some(json!(7)), decision: "allowed", ..says(504) };
    answered(&mut world, &reply, 504, "upstream_timeout", allowed()).await;
    world.mcp.left(1).await;
    // A document that is read whole must end in time, too.
    let json = Answer::json(&json!({"jsonrpc": "2.0", "id": 7, "result": {}}));
    let (unended, control) = json.streamed();
    world.mcp.permit(1);
    world.mcp.answer(unended);
    let reply = world.call_tool("mcp tools:read", "get_x").await;
    answered(&mut world, &reply, 504, "upstream_timeout", allowed()).await;
    drop(control);
    world.finish().await;
}

#[tokio::test]
async fn upstream_protocol() {
    let mut world = World::standard().await;
    let json = || Answer::json(&json!({"jsonrpc": "2.0", "id": 7, "result": {}}));
    let answers = [
        Answer::status(307).header("Location", "https://elsewhere.example/mcp"),
        Answer::status(302).header("Location", "/login"),
        Answer::text("text/html", "<p>Hello</p>"),
        Answer::text("text/plain", "{}"),
        Answer::text("application/json", "this is no JSON"),
        Answer::text("application/json", r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"a","name":"b"}]}}"#),
        json().header("Content-Encoding", "gzip"),
        json().cut_short(),
        json().header("Content-Type", "application/json"),
        json().header("Mcp-Session-Id", "first").header("Mcp-Session-Id", "second"),
        Answer::raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
        Answer::raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"),
        Answer::raw(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        ),
    ];
    for answer in answers {
        world.mcp.permit(1);
        let answered_with = format!("{answer:?}");
        world.mcp.answer(answer);
        let reply = world.call_tool("mcp tools:read", "get_x").await;
        let says = Says { id: Some(json!(7)), decision: "allowed", ..says(502) };
        let (_, record) = answered(&mut world, &reply, 502, "upstream_protocol", says).await;
        assert_eq!(reply.header("location"), None, "{answered_with}");
        if answered_with.contains("elsewhere.example") {
            assert_eq!(record["location"], "https://elsewhere.example/mcp");
        }
        assert!(!reply.text().contains("Hello"), "{answered_with}");
        world.mcp.next().await;
    }
    world.finish().await;
}

#[tokio::test]
async fn upstream_that_ends_the_connection_without_an_answer() {
    let mut world = World::standard().await;
    world.mcp.permit(1);
    world.mcp.answer(Answer::vanish());
    let reply = world.call_tool("mcp tools:read", "get_x").await;
    let reason = reply.header("gatepost-reason").unwrap().to_owned();
    assert!(["upstream_unreachable", "upstream_protocol"].contains(&reason.as_str()), "{reason}");
    world.refused(&reply, 502, &reason).await;
    // The server has seen the call: sending it again could make it happen twice.
    assert_eq!(world.mcp.arrived(), 1);
    world.finish().await;
}

#[tokio::test]
async fn upstream_unauthorized() {
    let mut world = World::standard().await;
    world.mcp.permit(1);
    let foreign = "Bearer resource_metadata=\"https://evil.example/\"";
    world.mcp.answer(Answer::status(401).header("WWW-Authenticate", foreign));
    let reply = world.call_tool("mcp tools:read", "get_x").await;
    let says = Says { id: Some(json!(7)), decision: "allowed", ..says(502) };
    let (_, record) = answered(&mut world, &reply, 502, "upstream_unauthorized", says).await;
    assert_eq!(record["upstream_status"], 401);
    world.finish().await;
}

#[tokio::test]
async fn internal() {
    let armed = Arc::new(AtomicBool::new(false));
    let clock = Clock::from_fn({
        let armed = Arc::clone(&armed);
        move || {
            assert!(!armed.load(Ordering::SeqCst), "a bug that a test stands in for");
            now()
        }
    });
    let mut world = World::start_at(&file(""), clock).await;
    armed.store(true, Ordering::SeqCst);
    let reply = world.call_tool("mcp tools:read", "get_x").await;
    armed.store(false, Ordering::SeqCst);
    answered(&mut world, &reply, 500, "internal", says(500)).await;
    // It ended that one request.
    world.mcp.permit(1);
    world.call_tool("mcp tools:read", "get_x").await.passed();
    world.finish().await;
}

#[tokio::test]
async fn what_the_server_refuses_itself_passes_as_it_is() {
    let mut world = World::standard().await;
    for status in [400, 403, 404, 409, 422, 429, 500, 501, 503] {
        world.mcp.permit(1);
        let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{{\"code\":-32000,\"message\":\"{status}\"}}}}");
        world.mcp.answer(Answer::status(status).header("Content-Type", "application/json").body(body.as_bytes()));
        let request = world.client.call(PATH, "server/discover", &json!({})).token(&world.token("mcp"));
        let reply = request.passed_through().send().await;
        assert_eq!((reply.status, reply.text()), (status, body.as_str()));
        let record = world.record().await;
        assert_eq!((&record["decision"], &record["upstream_status"]), (&json!("allowed"), &json!(status)));
        assert_eq!(record.get("reason"), None);
    }
    world.finish().await;
}

#[tokio::test]
async fn an_issuer_that_fails_in_any_way_is_keys_unavailable() {
    for mode in [Mode::Status(500), Mode::Garbage, Mode::NoKeys, Mode::Redirect] {
        let issuer = AuthorizationServer::up();
        issuer.answer(mode);
        let mut world = World::start_with(&file(""), issuer, McpServer::up(), Clock::system()).await;
        let reply = world.call_tool("mcp tools:read", "get_x").await;
        answered(&mut world, &reply, 503, "keys_unavailable", says(503)).await;
        world.finish().await;
    }
}

#[tokio::test]
async fn shutting_down() {
    let mut world = World::standard().await;
    // The first half of its head is there when the gateway is told to stop; one that is not is nobody's to answer.
    let request = world.client.tool(PATH, "get_x").token(&world.token("mcp tools:read"));
    let half = request.bytes().len() - 20;
    let half = request.send_all_but(half).await;
    let mut read = world.client.get("/nothing").send_on(world.client.wire().await).await.0;
    assert_eq!(read.status, 404);
    world.record().await;
    world.stop();
    read = half.finish().await;
    answered(&mut world, &read, 503, "shutting_down", says(503)).await;
    assert_eq!((read.header("retry-after"), read.header("connection")), (Some("1"), Some("close")));
    world.finish().await;
}
