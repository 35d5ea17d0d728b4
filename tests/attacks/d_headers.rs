//! Section D: headers that mirror the body, versions, sessions, and the names of hosts and pages.

use serde_json::{Value, json};

use crate::exchange::Answers;
use crate::readings::FORBIDDEN;
use crate::run::rows;
use crate::scene::{Expect, Scene, Tally};
use crate::support::client::Request;
use crate::support::gateway::{HEAD, PATH, ROUTE};
use crate::support::mcp_server::{Answer, SESSION_ID};

rows![
    d1_mirrored_headers,
    d2_versions,
    d3_old_versions_with_mirrored_headers,
    d4_reserved_codes,
    d5_session_hijack,
    d6_session_ids,
    d7_cross_talk,
    d8_dns_rebinding,
];

const NEWEST: &str = "2026-07-28";

/// A call as 2026-07-28 has it, without the headers that mirror it.
fn newest(scene: &Scene, tool: &str) -> Request {
    let params = json!({"name": tool, "arguments": {}, "_meta": {"io.modelcontextprotocol/protocolVersion": NEWEST}});
    scene.world.client.call(PATH, "tools/call", &params).token(&scene.token).header("MCP-Protocol-Version", NEWEST)
}

fn code(answers: &Answers) -> i64 {
    let body: Value = serde_json::from_slice(&answers.first().body).unwrap_or_default();
    body["error"]["code"].as_i64().unwrap_or_default()
}

async fn d1_mirrored_headers() -> Tally {
    let mut scene = Scene::standard().await;
    let whole = newest(&scene, "get_x").header("Mcp-Method", "tools/call").header("Mcp-Name", "get_x");
    scene.control("the headers agree", &whole).await;
    for method in [
        "tools/list",
        "Tools/call",
        "TOOLS/CALL",
        "tools/call ",
        "ping",
        "",
        "tools/call,ping",
        "\"tools/call\"",
        "tools%2Fcall",
        "=?base64?dG9vbHMvbGlzdA==?=",
    ] {
        let lie = whole.clone().with("Mcp-Method", method);
        // A space at the end is no part of a header's value (RFC 9110 §5.5).
        let expect = if method.ends_with(' ') { Expect::Either(&[400]) } else { Expect::Refused(&[400]) };
        let answers = scene.fire(format!("Mcp-Method: {method}"), &lie.bytes(), expect).await;
        scene.expect(
            answers.status() == 200 || code(&answers) == -32020,
            format!("Mcp-Method: {method}: {}", code(&answers)),
        );
    }
    for name in [
        "get_y",
        "GET_X",
        "get_x,get_y",
        "open_to_all",
        "",
        "*",
        "=?base64?Z2V0X3k=?=",
        "=?base64?Z2V0X3g?=",
        "=?base64?Z2V0X3g=",
        "=?base64??=",
        "=?base64?!!!!?=",
        "=?base64?Z2V0X3h=?=",
        "=?BASE64?Z2V0X3g=?=x",
        "=?base64?Z2V0X3gA?=",
        "=?base64?/w==?=",
        "=?utf-8?B?Z2V0X3g=?=",
        "%67et_x",
        "\"get_x\"",
        "get_x;q=1",
    ] {
        let lie = whole.clone().with("Mcp-Name", name);
        let answers = scene.refused(format!("Mcp-Name: {name}"), &lie, &[400]).await;
        scene.expect(code(&answers) == -32020, format!("Mcp-Name: {name}: {}", code(&answers)));
    }
    for missing in ["Mcp-Method", "Mcp-Name"] {
        let answers = scene.refused(format!("no {missing}"), &whole.clone().without(missing), &[400]).await;
        scene.expect(code(&answers) == -32020, format!("no {missing}: {}", code(&answers)));
        let value = if missing == "Mcp-Name" { "get_x" } else { "tools/call" };
        for second in [value, "other"] {
            scene.refused(format!("{missing} twice"), &whole.clone().header(missing, second), &[400]).await;
        }
        let respelt = whole.clone().without(missing).header(&missing.replace('-', "_"), value);
        scene.refused(format!("{missing} with _"), &respelt, &[400]).await;
    }
    // The headers say what is permitted, the body what is not.
    for mirrored in ["get_x", FORBIDDEN] {
        let lie = newest(&scene, FORBIDDEN).header("Mcp-Method", "tools/call").header("Mcp-Name", mirrored);
        scene.refused(format!("the forbidden tool mirrored as {mirrored}"), &lie, &[400, 403]).await;
        let lie = newest(&scene, FORBIDDEN).header("Mcp-Method", "ping").header("Mcp-Name", mirrored);
        scene.refused(format!("the forbidden tool mirrored as ping {mirrored}"), &lie, &[400, 403]).await;
    }
    scene.end().await
}

async fn d2_versions() -> Tally {
    let mut scene = Scene::standard().await;
    let meta = |version: &Value| json!({"name": "get_x", "arguments": {}, "_meta": {"io.modelcontextprotocol/protocolVersion": version}});
    let call = |scene: &Scene, params: &Value| scene.world.client.call(PATH, "tools/call", params).token(&scene.token);
    for version in [
        "2099-01-01",
        "2026-07-29",
        "2026-7-28",
        "2026-07-28 x",
        "2024-10-07",
        "1.0",
        "latest",
        "",
        "2026-07-28,2025-06-18",
        "DRAFT-2026-v1",
        "2026\u{2010}07-28",
    ] {
        let header = call(&scene, &json!({"name": "get_x"})).header("MCP-Protocol-Version", version);
        let answers = scene.refused(format!("the header {version:?}"), &header, &[400]).await;
        scene.expect([-32022, -32020, 400].contains(&code(&answers)), format!("{version}: {}", code(&answers)));
        let body = call(&scene, &meta(&json!(version)));
        scene.refused(format!("_meta {version:?}"), &body, &[400]).await;
        let both = body.header("MCP-Protocol-Version", version);
        scene.refused(format!("both {version:?}"), &both, &[400]).await;
    }
    for (header, body) in [
        (Some("2025-06-18"), json!(NEWEST)),
        (None, json!(NEWEST)),
        (Some(NEWEST), json!("2025-06-18")),
        (Some(NEWEST), json!(null)),
        (Some(NEWEST), json!(20_260_728)),
        (Some(NEWEST), json!([NEWEST])),
        (Some("2025-03-26"), json!("2025-06-18")),
    ] {
        let mut request = call(&scene, &meta(&body)).header("Mcp-Method", "tools/call").header("Mcp-Name", "get_x");
        if let Some(header) = header {
            request = request.header("MCP-Protocol-Version", header);
        }
        scene.refused(format!("{header:?} beside {body}"), &request, &[400]).await;
    }
    let twice = newest(&scene, "get_x").header("MCP-Protocol-Version", NEWEST);
    scene.refused("the header twice", &twice, &[400]).await;
    let no_meta = call(&scene, &json!({"name": "get_x"}))
        .header("MCP-Protocol-Version", NEWEST)
        .header("Mcp-Method", "tools/call")
        .header("Mcp-Name", "get_x");
    scene.refused("no _meta", &no_meta, &[400]).await;
    let get = scene.world.client.get(PATH).token(&scene.token).header("MCP-Protocol-Version", "2099-01-01");
    scene.refused("GET of an unknown one", &get, &[400]).await;
    scene.end().await
}

async fn d3_old_versions_with_mirrored_headers() -> Tally {
    let mut scene = Scene::standard().await;
    for version in [None, Some("2024-11-05"), Some("2025-03-26"), Some("2025-06-18"), Some("2025-11-25")] {
        for (method, name) in [("tools/call", "get_x"), ("tools/list", "get_x"), ("ping", ""), ("initialize", "get_x")]
        {
            let mut request = scene
                .world
                .client
                .tool(PATH, FORBIDDEN)
                .token(&scene.token)
                .header("Mcp-Method", method)
                .header("Mcp-Name", name);
            if let Some(version) = version {
                request = request.header("MCP-Protocol-Version", version);
            }
            scene.refused(format!("{version:?} {method} {name}"), &request, &[400, 403]).await;
        }
    }
    scene.end().await
}

async fn d4_reserved_codes() -> Tally {
    let mut scene = Scene::standard().await;
    let call = scene.call().token(&scene.token);
    let newest = newest(&scene, "get_x");
    let resource = scene.world.client.call(PATH, "resources/read", &json!({"uri": "file:///x"})).token(&scene.token);
    for (what, request, own) in [
        ("no token", scene.call(), None),
        ("a bad token", scene.call().token("a.b.c"), None),
        ("no JSON", call.clone().body("{"), None),
        ("no message", call.clone().body("{}"), None),
        ("a denied tool", scene.world.client.tool(PATH, FORBIDDEN).token(&scene.token), None),
        ("an unknown resource", resource, None),
        ("an unknown session", call.clone().header("Mcp-Session-Id", "x"), None),
        ("an unknown host", call.clone().with("Host", "evil.example"), None),
        ("another page", call.clone().header("Origin", "https://evil.example"), None),
        ("an unknown version", call.clone().header("MCP-Protocol-Version", "2099-01-01"), Some(-32022)),
        ("a missing mirrored header", newest.clone(), Some(-32020)),
        ("an unknown method", scene.world.client.call(PATH, "x", &json!({})).token(&scene.token), None),
        ("another media type", call.clone().with("Content-Type", "text/plain"), None),
        ("another path", scene.world.client.tool("/x", "get_x"), None),
        ("a verb", scene.world.client.request("PUT", PATH), None),
    ] {
        let answers = scene.refused(what, &request, &[400, 401, 403, 404, 405, 415, 421]).await;
        let code = code(&answers);
        let reserved = (-32099..=-32000).contains(&code);
        scene.expect(own.map_or(!reserved, |own| code == own), format!("{what}: the code {code}"));
    }
    scene.end().await
}

/// Opens a session and returns its id.
async fn open(scene: &mut Scene, path: &str, token: &str) -> String {
    scene.permit(1);
    let initialize = scene.world.client.call(path, "initialize", &json!({"protocolVersion": "2025-06-18"}));
    let reply = initialize.token(token).send().await;
    let id = reply.header("mcp-session-id").expect("a session id").to_owned();
    drop(scene.recorder.take());
    scene.expect(!id.contains(SESSION_ID), "the server's own id came out");
    id
}

async fn d5_session_hijack() -> Tally {
    let second =
        ROUTE.replace("routes:\n", "").replace("name: standard", "name: second").replace("path: /mcp", "path: /second");
    let mut scene = Scene::start(&format!("{HEAD}{ROUTE}{second}")).await;
    let token = scene.token.clone();
    let id = open(&mut scene, PATH, &token).await;
    let client = scene.world.client.clone();
    let both = json!([scene.world.url(PATH), scene.world.url("/second")]);
    let strangers = [
        ("another subject", scene.good().subject("bob")),
        ("another client", scene.good().client("other")),
        ("no subject", scene.good().without("sub")),
        ("no client", scene.good().without("client_id")),
        ("the subject in another case", scene.good().subject("Alice")),
        ("the subject with a space", scene.good().subject("alice ")),
        ("subject and client changed about", scene.good().subject("inspector").client("alice")),
        ("both in the subject", scene.good().subject("alice\u{0}inspector").without("client_id")),
    ];
    for (what, stranger) in strangers {
        let stranger = stranger.mint();
        for (verb, request) in [
            ("POST", client.tool(PATH, "get_x")),
            ("GET", client.get(PATH)),
            ("DELETE", client.request("DELETE", PATH)),
            ("replay", client.get(PATH).header("Last-Event-ID", "1")),
        ] {
            let request = request.token(&stranger).header("Mcp-Session-Id", &id);
            scene.refused(format!("{what}: {verb}"), &request, &[404]).await;
        }
    }
    let elsewhere = scene.good().aud(both).mint();
    let request = client.tool("/second", "get_x").token(&elsewhere).header("Mcp-Session-Id", &id);
    scene.refused("on another route", &request, &[404]).await;
    let without = client.tool(PATH, "get_x").header("Mcp-Session-Id", &id);
    scene.refused("without a token", &without, &[401]).await;
    for own in [SESSION_ID, "", "0", "../1", "*"] {
        let request = client.tool(PATH, "get_x").token(&token).header("Mcp-Session-Id", own);
        scene.refused(format!("the id {own:?}"), &request, &[404]).await;
    }
    for at in [0, 5, id.len() / 2, id.len() - 1] {
        let mut changed = id.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        if changed != id {
            let request = client.tool(PATH, "get_x").token(&token).header("Mcp-Session-Id", &changed);
            scene.refused(format!("byte {at} changed"), &request, &[404]).await;
        }
    }
    // Stored answers open only beside the session they belong to.
    scene.permit(1);
    client.get(PATH).token(&token).header("Last-Event-ID", "f0rged").passed_through().send().await;
    scene.fired("Last-Event-ID without a session", 1).await;
    scene.end().await
}

async fn d6_session_ids() -> Tally {
    let mut scene = Scene::standard().await;
    let token = scene.token.clone();
    let id = open(&mut scene, PATH, &token).await;
    let call = scene.call().token(&token);
    for spoilt in [
        format!(" {id} x"),
        format!("{id},{id}"),
        format!("{id}, {id}"),
        format!("{id};x"),
        format!("\"{id}\""),
        format!("{id}="),
        format!("{id}\t{id}"),
        format!("{id}\u{e9}"),
        format!("{id}{id}"),
        "x".repeat(10_000),
    ] {
        let request = call.clone().header("Mcp-Session-Id", &spoilt);
        scene
            .refused(&spoilt[..spoilt.len().min(60)].replace(|char: char| !char.is_ascii(), "?"), &request, &[400, 404])
            .await;
    }
    for second in [id.as_str(), "x", ""] {
        let twice = call.clone().header("Mcp-Session-Id", &id).header("Mcp-Session-Id", second);
        scene.refused(format!("twice, then {:?}", &second[..second.len().min(9)]), &twice, &[400]).await;
    }
    for name in ["Mcp_Session_Id", "Mcp.Session.Id", "X-Mcp-Session-Id"] {
        let request = call.clone().header(name, SESSION_ID);
        scene.secrets = if name.starts_with("X-") { Vec::new() } else { vec![SESSION_ID.to_owned()] };
        scene.defused(name, &request).await;
    }
    scene.secrets = Vec::new();
    let twice = call.header("Last-Event-ID", "1").header("Last-Event-ID", "2");
    scene.refused("two event ids", &twice, &[400]).await;
    scene.end().await
}

async fn d7_cross_talk() -> Tally {
    let mut scene = Scene::standard().await;
    // Two principals, one JSON-RPC id, at the same time: each gets its own answer.
    for round in 0..5 {
        let mut calls = tokio::task::JoinSet::new();
        for n in 0..20 {
            let token = scene.good().subject(&format!("subject-{n}")).mint();
            let tool = format!("get_{round}_{n}");
            let request = scene.world.client.tool(PATH, &tool).token(&token);
            calls.spawn(async move { (request.send().await, tool) });
        }
        scene.permit(20);
        for (reply, tool) in calls.join_all().await {
            let text = reply.json()["result"]["content"][0]["text"].clone();
            scene.expect(text == json!(tool), format!("{tool} was answered {text}"));
        }
        scene.fired(format!("twenty callers of one id, round {round}"), 20).await;
    }
    // The same call is not answered out of the memory of another.
    scene.world.mcp.answer(Answer::json(&json!({"jsonrpc": "2.0", "id": 7, "result": {"of": "alice"}})));
    scene.permit(2);
    let first = scene.call().token(&scene.token).send().await;
    let bob = scene.good().subject("bob").mint();
    let other = scene.call().token(&bob).send().await;
    scene.expect(
        first.text().contains("alice") && !other.text().contains("alice"),
        "an answer was kept for somebody else",
    );
    scene.fired("the same call by another", 2).await;
    scene.end().await
}

async fn d8_dns_rebinding() -> Tally {
    let mut scene = Scene::standard().await;
    let port = scene.world.address.port();
    let call = scene.call().token(&scene.token);
    for host in [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        format!("localhost:{port}"),
        format!("127.0.0.2:{port}"),
        format!("127.0.0.1.evil.example:{port}"),
        format!("127.1:{port}"),
        format!("2130706433:{port}"),
        format!("0x7f000001:{port}"),
        format!("0.0.0.0:{port}"),
        format!("[::1]:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        "127.0.0.1".to_owned(),
        "127.0.0.1:1".to_owned(),
        format!("127.0.0.1:0{port}"),
        format!("127.0.0.1.:{port}"),
        format!("user@127.0.0.1:{port}"),
        format!("127.0.0.1:{port}@evil.example"),
        format!("127.0.0.1:{port},evil.example"),
        format!("127.0.0.1:{port} evil.example"),
        format!("127.0.0.1:{port}/"),
        format!("http://127.0.0.1:{port}"),
        String::new(),
    ] {
        let request = call.clone().with("Host", &host);
        scene.refused(format!("Host: {host}"), &request, &[400, 421]).await;
    }
    let own = scene.world.url("");
    for origin in [
        "https://evil.example".to_owned(),
        "null".to_owned(),
        "*".to_owned(),
        String::new(),
        format!("{own}/"),
        format!("{own}.evil.example"),
        format!("{own} https://evil.example"),
        format!("https://evil.example {own}"),
        format!("{own},https://evil.example"),
        own.replace("http:", "https:"),
        own.replace("127.0.0.1", "localhost"),
        own.to_uppercase(),
        "file://".to_owned(),
        "http://127.0.0.1".to_owned(),
        "http://localhost:3000".to_owned(),
        "chrome-extension://abc".to_owned(),
    ] {
        for request in [call.clone(), scene.world.client.get(PATH).token(&scene.token), scene.call()] {
            let answers = scene.refused(format!("Origin: {origin}"), &request.header("Origin", &origin), &[403]).await;
            let told = answers.first().header("access-control-allow-origin").is_some();
            scene.expect(!told, format!("Origin {origin} may read the answer"));
        }
    }
    let twice = call.header("Origin", &own).header("Origin", "https://evil.example");
    scene.refused("two origins", &twice, &[400, 403]).await;
    scene.end().await
}
