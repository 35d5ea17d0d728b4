//! HTTP+SSE, the transport of MCP 2024-11-05: the stream says where messages are posted, and that address is sealed to its
//! caller; what is posted there goes through every stage, and answers are filtered on the stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gatepost::token::clock::Clock;
use serde_json::{Value, json};

use crate::support::client::Opened;
use crate::support::gateway::{HEAD, PATH, ROUTE, file, write_file};
use crate::support::mcp_server::{StreamControl, event};
use crate::support::token::now;
use crate::support::{Answer, AuthorizationServer, End, McpServer, Reply, World};

const MESSAGES: &str = "/mcp/message";
/// Where the fake takes messages.
const TARGET: &str = "/messages/?sessionId=s-1";
const SSE: &str = "transport: http_sse";

/// A stream that is open on both sides, and where its client posts.
struct Stream {
    opened: Opened,
    server: StreamControl,
    address: String,
}

/// Opens a stream with this token.
async fn open_as(world: &World, token: &str) -> Stream {
    let (answer, server) = Answer::sse(TARGET);
    world.mcp.permit(1);
    world.mcp.answer(answer);
    let mut opened = world.client.get(PATH).header("Accept-Encoding", "gzip, br").token(token).open().await;
    assert_eq!((opened.status, opened.head.header("content-type")), (200, Some("text/event-stream")));
    let first = opened.event().await.expect("an endpoint event");
    let address = first.strip_prefix("event: endpoint\ndata: ").and_then(|rest| rest.strip_suffix("\n\n"));
    let address = address.unwrap_or_else(|| panic!("{first:?}")).to_owned();
    assert_eq!(world.mcp.next().await.header("accept-encoding"), Some("identity"), "we must read the stream");
    Stream { opened, server, address }
}

async fn open(world: &World, scope: &str) -> Stream {
    open_as(world, &world.token(scope)).await
}

/// Posts a tool call that the server takes.
async fn accepted(world: &World, stream: &Stream, scope: &str) {
    world.mcp.permit(1);
    world.mcp.answer(Answer::accepted());
    let reply = world.client.tool(&stream.address, "get_x").token(&world.token(scope)).send().await;
    assert_eq!((reply.status, reply.text(), reply.end), (202, "", End::Clean));
}

/// The answer to `accepted`.
fn answer() -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "result": {"content": []}})
}

fn at(time: &Arc<AtomicU64>) -> Clock {
    let time = Arc::clone(time);
    Clock::from_fn(move || time.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_call_is_posted_and_its_answer_comes_on_the_stream() {
    let mut world = World::with_route(SSE).await;
    let mut stream = open(&world, "mcp").await;
    let record = world.record().await;
    assert_eq!(
        (&record["event"], &record["decision"], &record["method"]),
        (&json!("opened"), &json!("allowed"), &json!("GET"))
    );
    // Path-absolute: whatever a client resolves it against, it stays on our origin.
    let sealed = stream.address.strip_prefix("/mcp/message?session=").expect("the message path");
    assert!(sealed.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{sealed}");
    assert!(!stream.address.contains("s-1"), "the server's own address");

    let request = world.client.tool(&stream.address, "get_x").token(&world.token("mcp tools:read"));
    world.mcp.permit(1);
    world.mcp.answer(Answer::accepted());
    let reply = request.clone().header("Cookie", "a=b").header("X-Custom", "1").send().await;
    assert_eq!((reply.status, reply.text(), reply.header("content-type")), (202, "", None));
    let seen = world.mcp.next().await;
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", TARGET));
    assert!(request.bytes().ends_with(&seen.body), "the bytes that were inspected");
    assert_eq!(seen.header("x-custom"), Some("1"));
    let record = world.record().await;
    let got = (&record["event"], &record["decision"], &record["method"], &record["name"], &record["status"]);
    assert_eq!(got, (&json!("request"), &json!("allowed"), &json!("tools/call"), &json!("get_x"), &json!(202)));
    stream.server.event(&answer()).await;
    assert_eq!(stream.opened.event().await.unwrap(), event(&answer()));

    // By rules, by scopes, by strictness: what is refused does not reach the server.
    let post = |tool: &str, scope: &str| world.client.tool(&stream.address, tool).token(&world.token(scope));
    let reply = post("get_x", "mcp").send().await;
    let error = reply.refused(403, "insufficient_scope");
    assert_eq!(error["data"]["scopes"], json!(["mcp", "tools:read"]));
    let challenge = reply.header("www-authenticate").unwrap();
    assert!(challenge.contains(&format!("resource_metadata=\"{}\"", world.metadata_url(PATH))), "{challenge}");
    post("delete_everything", "mcp tools:write").send().await.refused(403, "not_permitted");
    post("get_x", "tools:read").send().await.refused(403, "insufficient_scope");
    let twice =
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"get_x","name":"delete_everything"}}"#;
    let token = world.token("mcp tools:read");
    world.client.post(&stream.address, twice).token(&token).send().await.refused(400, "malformed_message");
    post("get_x", "mcp tools:read").header("Mcp-Name", "get_y").send().await.refused(400, "header_mismatch");
    post("get_x", "mcp tools:read").with("Content-Type", "text/plain").send().await.refused(415, "media_type");
    world.client.tool(&stream.address, "get_x").send().await.refused(401, "missing_token");

    // With more scopes by then: the address is bound to the caller, not to the token.
    accepted(&world, &stream, "mcp tools:read").await;
    stream.server.end().await;
    assert_eq!(stream.opened.end().await, End::Clean);
    world.finish().await;
}

#[tokio::test]
async fn the_stream_is_opened_and_closed_like_any() {
    let mut world = World::with_route(SSE).await;
    world.client.get(PATH).send().await.refused(401, "missing_token");
    world.client.get(PATH).token(&world.token("")).send().await.refused(403, "insufficient_scope");
    world
        .client
        .get(PATH)
        .token(&world.token("mcp"))
        .header("Origin", "https://evil.example")
        .send()
        .await
        .refused(403, "origin_not_allowed");
    for _ in 0..3 {
        world.record().await;
    }
    let (answer, server) = Answer::sse(TARGET);
    world.mcp.permit(1);
    world.mcp.answer(answer);
    let opened = world.client.get(&format!("{PATH}?key=1&session=x")).token(&world.token("mcp")).open().await;
    let seen = world.mcp.next().await;
    assert_eq!((seen.method.as_str(), seen.target.as_str(), seen.body.len()), ("GET", "/upstream/mcp", 0));
    assert_eq!(world.record().await["event"], "opened");
    drop(opened);
    world.mcp.left(1).await;
    let record = world.record().await;
    assert_eq!((&record["event"], &record["end"]), (&json!("closed"), &json!("client_gone")));
    drop(server);

    let mut stream = open(&world, "mcp").await;
    assert_eq!(world.record().await["event"], "opened");
    stream.server.send(": ping\n\n").await;
    stream.server.event(&json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})).await;
    assert!(stream.opened.event().await.unwrap().contains("list_changed"));
    stream.server.die().await;
    assert_eq!(stream.opened.end().await, End::Cut);
    assert_eq!(world.record().await["end"], "upstream_cut");
    world.finish().await;
}

#[tokio::test]
async fn each_path_takes_its_own_methods() {
    let world = World::with_route(&format!("{SSE}\nallowed_origins: [https://inspector.example]")).await;
    let token = world.token("mcp tools:read");
    for (path, methods, allow) in
        [(PATH, ["POST", "DELETE", "PUT"], "GET, OPTIONS"), (MESSAGES, ["GET", "DELETE", "HEAD"], "POST, OPTIONS")]
    {
        for method in methods {
            // With or without a token: a client that tries Streamable HTTP first goes on to GET.
            for request in [world.client.request(method, path), world.client.request(method, path).token(&token)] {
                let reply = request.header("Origin", "https://inspector.example").send().await;
                assert_eq!((reply.status, reply.header("gatepost-reason")), (405, Some("method_not_allowed")));
                assert_eq!(reply.header("allow"), Some(allow), "{method} {path}");
                assert_eq!(reply.header("access-control-allow-origin"), Some("https://inspector.example"));
            }
            let foreign = world.client.request(method, path).header("Origin", "https://evil.example").send().await;
            assert_eq!((foreign.status, foreign.header("access-control-allow-origin")), (405, None));
        }
        let preflight = world.client.request("OPTIONS", path).header("Origin", "https://inspector.example");
        let reply = preflight.header("Access-Control-Request-Method", "POST").send().await;
        assert_eq!((reply.status, reply.header("allow")), (204, Some(allow)));
        assert_eq!(reply.header("access-control-allow-origin"), Some("https://inspector.example"));
        assert!(reply.header("access-control-allow-headers").unwrap().contains("Authorization"));
        let foreign = world.client.request("OPTIONS", path).header("Origin", "https://evil.example").send().await;
        foreign.refused(403, "origin_not_allowed");
    }
    let posted = world.client.tool(MESSAGES, "get_x").token(&token).header("Origin", "https://evil.example");
    posted.send().await.refused(403, "origin_not_allowed");
    // One resource: the message path has no metadata of its own, and neither path is the other with a slash.
    let login = world.client.tool(MESSAGES, "get_x").send().await;
    let challenge = login.header("www-authenticate").unwrap();
    assert!(challenge.contains(&format!("\"{}\"", world.metadata_url(PATH))), "{challenge}");
    for path in ["/.well-known/oauth-protected-resource/mcp/message", "/mcp/message/", "/mcp/", "/mcp//message"] {
        world.client.get(path).send().await.refused(404, "no_route");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_stream_that_does_not_begin_with_an_endpoint_of_its_server_is_refused() {
    let mut world = World::with_route(SSE).await;
    let port = world.mcp.address().port();
    let other = format!("http://127.0.0.1:{}/m", port ^ 1);
    let endpoint = |reference: &str| format!("event: endpoint\ndata: {reference}\n\n");
    let long = format!("/{}", "x".repeat(1024));
    let mut begins: Vec<String> = [
        "http://evil.example/m",
        "//evil.example/m",
        "https://127.0.0.1/m",
        "ftp://127.0.0.1/m",
        other.as_str(),
        "/\\evil.example/m",
        "/m m",
        "/m\u{e9}",
        "/m\ndata: /n",
        "",
        long.as_str(),
    ]
    .map(endpoint)
    .to_vec();
    begins.extend(
        [
            "",
            ": c\n\n",
            "event: endpoint\ndata: /m\n",
            "event: endpoint\n\n",
            "event: message\ndata: {}\n\nevent: endpoint\ndata: /m\n\n",
            "data: /m\n\n",
            "event: message\n\nevent: endpoint\ndata: /m\n\n",
            "event: endpoints\ndata: /m\n\n",
            "not even an event\n\nevent: message\ndata: {}\n\n",
        ]
        .map(str::to_owned),
    );
    begins.push(format!(": {}\n\n", "x".repeat(1000)).repeat(100));
    for begin in begins {
        world.mcp.permit(1);
        world.mcp.answer(Answer::events(&[&begin]));
        let reply = world.client.get(PATH).token(&world.token("mcp")).send().await;
        assert_eq!(reply.status, 502, "{begin:?} {reply:?}");
        let (_, record) = world.refused(&reply, 502, "upstream_protocol").await;
        assert!(record["detail"].as_str().unwrap().contains("endpoint event"), "{record}");
    }
    for answer in [
        Answer::text("application/json", "{}"),
        Answer::text("text/plain", &endpoint("/m")),
        Answer::text("text/event-stream", &endpoint("/m")).header("Content-Encoding", "gzip"),
        Answer::text("text/event-stream", &endpoint("/m")).header("Content-Type", "text/plain"),
        Answer::status(204),
        Answer::status(200),
        Answer::text("text/event-stream", &endpoint("//evil.example/")).cut_short(),
        // No client goes by this, but none must be able to.
        Answer::status(404).header("Content-Type", "text/event-stream").body(endpoint("//evil.example/").as_bytes()),
    ] {
        world.mcp.permit(1);
        world.mcp.answer(answer);
        let reply = world.client.get(PATH).token(&world.token("mcp")).send().await;
        world.refused(&reply, 502, "upstream_protocol").await;
    }
    // Other refusals of the server's are its own.
    world.mcp.permit(1);
    world.mcp.answer(Answer::status(404).header("Content-Type", "text/plain").body(b"no such thing"));
    let reply = world.client.get(PATH).token(&world.token("mcp")).passed_through().send().await;
    assert_eq!((reply.status, reply.text()), (404, "no such thing"));
    world.finish().await;
}

#[tokio::test]
async fn the_answer_waits_for_the_endpoint_event_but_not_for_ever() {
    let text = file(SSE).replace("upstream: {upstream}", "upstream: {url: \"{upstream}\", timeouts: {answer_secs: 1}}");
    let mut world = World::start(&text).await;
    let (answer, server) = Answer::stream();
    world.mcp.permit(1);
    world.mcp.answer(answer);
    server.send(": keep-alive\n\n").await;
    let reply = world.client.get(PATH).token(&world.token("mcp")).send().await;
    world.refused(&reply, 504, "upstream_timeout").await;
    world.mcp.left(1).await;
    drop(server);
    world.finish().await;
}

#[tokio::test]
async fn comments_may_come_first_and_the_endpoint_in_any_pieces() {
    let own = |world: &World| format!("http://{}/m?a=b#c", world.mcp.address());
    for (begin, target) in [
        (": hello\r\n\r\nretry: 5\r\n\r\nevent: endpoint\r\ndata: /m\r\n\r\n: bye\r\n\r\n".to_owned(), "/m"),
        ("\u{feff}data:messages?x=1\nid: 3\nevent:endpoint\n\n".to_owned(), "/upstream/messages?x=1"),
        ("event: endpoint\ndata: {own}\n\n".to_owned(), "/m?a=b"),
        ("event: endpoint\rdata: ?x\r\r".to_owned(), "/upstream/mcp?x"),
    ] {
        let world = World::with_route(&format!("{SSE}\nmessage_path: /post")).await;
        let begin = begin.replace("{own}", &own(&world));
        let (answer, server) = Answer::stream();
        world.mcp.permit(2);
        world.mcp.answer(answer);
        world.mcp.answer(Answer::accepted());
        let opening = world.client.get(PATH).token(&world.token("mcp")).open();
        let (opened, ()) = tokio::join!(opening, async {
            for letter in begin.chars() {
                server.send(&letter.to_string()).await;
            }
        });
        server.end().await;
        let whole = opened.whole().await;
        let got = whole.text();
        let at = got.find("/post?session=").unwrap_or_else(|| panic!("{got:?}"));
        let address: String = got[at..].chars().take_while(|letter| !letter.is_ascii_control()).collect();
        // All but the data of the one event stays as it was.
        let data = begin.split("data:").nth(1).unwrap().split(['\r', '\n']).next().unwrap().trim();
        assert_eq!(got, begin.replace(data, &address), "{begin:?}");
        let ping = world.client.call(&address, "ping", &json!({})).token(&world.token("mcp")).send().await;
        assert_eq!(ping.status, 202);
        world.mcp.next().await;
        assert_eq!(world.mcp.next().await.target, target);
        world.finish().await;
    }
}

#[tokio::test]
async fn a_second_endpoint_ends_the_stream() {
    for visibility in ["visibility: grantable", "visibility: all"] {
        for second in [
            "event: endpoint\ndata: //evil.example/m\n\n",
            "event: endpoint\ndata: /elsewhere\n\n",
            "event:Endpoint \ndata: /elsewhere\n\n",
            "event: message\nevent: endpoint\ndata: /elsewhere\n\n",
            "event: endpoint\n\n",
        ] {
            let mut world = World::with_route(&format!("{SSE}\n{visibility}")).await;
            let stream = open(&world, "mcp").await;
            let Stream { mut opened, server, .. } = stream;
            server.event(&answer()).await;
            assert_eq!(opened.event().await.unwrap(), event(&answer()));
            server.send(&format!("{second}{}", event(&answer()))).await;
            assert_eq!(opened.end().await, End::Cut);
            world.mcp.left(1).await;
            drop(server);
            world.record().await;
            assert_eq!(world.record().await["end"], "upstream_cut");
            // Nor in one piece with the first.
            let both = format!("event: endpoint\ndata: /m\n\n{second}{}", event(&answer()));
            world.mcp.permit(1);
            world.mcp.answer(Answer::events(&[&both]));
            let reply = world.client.get(PATH).token(&world.token("mcp")).send().await;
            reply.refused(502, "upstream_protocol");
            world.finish().await;
        }
    }
}

#[tokio::test]
async fn nobody_else_posts_to_a_stream() {
    let second =
        ROUTE.replace("routes:\n", "").replace("name: standard", "name: second").replace("path: /mcp", "path: /second");
    let world = World::start(&format!("{HEAD}{ROUTE}    {SSE}\n{second}    {SSE}\n")).await;
    let both = json!([world.url(PATH), world.url("/second")]);
    let good = || world.good().aud(both.clone()).scope("mcp tools:read");
    let stream = open_as(&world, &good().mint()).await;
    let sealed = stream.address.strip_prefix("/mcp/message?session=").unwrap();
    let post = |target: &str| world.client.tool(target, "get_x");
    let mut refusals: Vec<Reply> = Vec::new();
    for stranger in [
        good().subject("bob").mint(),
        good().client("other").mint(),
        good().without("sub").mint(),
        good().without("client_id").mint(),
    ] {
        refusals.push(post(&stream.address).token(&stranger).send().await);
    }
    let token = good().mint();
    refusals.push(post(&format!("/second/message?session={sealed}")).token(&token).send().await);
    let flipped = if sealed.starts_with('A') { "B" } else { "A" };
    for target in [
        MESSAGES.to_owned(),
        format!("{MESSAGES}?"),
        format!("{MESSAGES}?session="),
        format!("{MESSAGES}?session"),
        format!("{MESSAGES}?session={sealed}&session={sealed}"),
        format!("{MESSAGES}?session&session={sealed}"),
        format!("{MESSAGES}?session={flipped}{}", &sealed[1..]),
        format!("{MESSAGES}?session={sealed}A"),
        format!("{MESSAGES}?session={sealed}="),
        format!("{MESSAGES}?session=%{:02x}{}", sealed.as_bytes()[0], &sealed[1..]),
        format!("{MESSAGES}?Session={sealed}"),
        format!("{MESSAGES}?sessionId=s-1"),
        format!("{MESSAGES}?session={TARGET}"),
        format!("{MESSAGES}?session={}", "A".repeat(5000)),
    ] {
        refusals.push(post(&target).token(&token).send().await);
    }
    for reply in &refusals {
        reply.refused(404, "session_not_found");
        // Whether it is another's or was never there is nobody's business.
        assert_eq!(reply.body, refusals[0].body);
    }
    // The address is no session id, and beside one that is not the caller's it does not count.
    post(&stream.address).token(&token).header("Mcp-Session-Id", sealed).send().await.refused(404, "session_not_found");
    // What else stands in the query is nobody's.
    world.mcp.permit(1);
    world.mcp.answer(Answer::accepted());
    let reply = post(&format!("{MESSAGES}?a=b&session={sealed}&sessionId=s-2")).token(&token).send().await;
    assert_eq!(reply.status, 202);
    assert_eq!(world.mcp.next().await.target, TARGET);
    drop(stream);
    world.finish().await;
}

#[tokio::test]
async fn a_session_id_is_no_address() {
    let world = World::with_route(SSE).await;
    let token = world.token("mcp tools:read");
    let (answer, server) = Answer::sse(TARGET);
    world.mcp.permit(1);
    world.mcp.answer(answer.header("Mcp-Session-Id", "/admin?delete=all"));
    let opened = world.client.get(PATH).token(&token).open().await;
    let id = opened.head.header("mcp-session-id").unwrap().to_owned();
    let target = format!("{MESSAGES}?session={id}");
    world.client.tool(&target, "get_x").token(&token).send().await.refused(404, "session_not_found");
    drop((opened, server));
    world.finish().await;
}

#[tokio::test]
async fn a_replica_takes_messages_for_a_stream_that_another_holds() {
    let key = write_file(&"1".repeat(64)).display().to_string();
    let text = format!("{}sessions: {{keys: [{{file: \"{key}\"}}]}}\n", file(SSE));
    let first = World::start(&text).await;
    let stream = open(&first, "mcp").await;
    let text = text.replace("{issuer}", first.issuer.issuer());
    let mut replica = World::start_with(&text, AuthorizationServer::down(), McpServer::up(), Clock::system()).await;
    let token = first.issuer.token().aud(replica.url(PATH)).scope("mcp tools:read").mint();
    replica.keys_arrived_with(&token).await;
    replica.mcp.permit(1);
    replica.mcp.answer(Answer::accepted());
    let reply = replica.client.tool(&stream.address, "get_x").token(&token).send().await;
    assert_eq!(reply.status, 202);
    assert_eq!(replica.mcp.next().await.target, TARGET);
    replica.finish().await;
    drop(stream);
    first.finish().await;
}

#[tokio::test]
async fn lists_on_the_stream_show_what_policy_shows() {
    let list = json!({"jsonrpc": "2.0", "id": 7, "result": {"tools": [{"name": "get_x"}, {"name": "unheard_of"}]}});
    let world = World::with_route(SSE).await;
    let mut stream = open(&world, "mcp").await;
    stream.server.event(&list).await;
    let got = stream.opened.event().await.unwrap();
    assert!(got.contains("get_x") && !got.contains("unheard_of"), "{got}");
    stream.server.send("event: message\ndata: {\"result\": {\"tools\": [\"x\"]}, \"id\": 8}\n\n").await;
    let got = stream.opened.event().await.unwrap();
    assert!(got.contains("-32603") && got.contains("\"id\":8"), "{got}");
    stream.server.end().await;
    // In one piece with the endpoint event, too.
    world.mcp.permit(1);
    world.mcp.answer(Answer::events(&[&format!("event: endpoint\ndata: /m\n\n{}", event(&list))]));
    let mut opened = world.client.get(PATH).token(&world.token("mcp")).open().await;
    assert!(opened.event().await.unwrap().contains(MESSAGES));
    assert!(!opened.event().await.unwrap().contains("unheard_of"));
    assert_eq!(opened.end().await, End::Clean);
    world.finish().await;

    let world = World::with_route(&format!("{SSE}\nvisibility: all")).await;
    let mut stream = open(&world, "mcp").await;
    for text in [event(&list), "event: message\ndata: nonsense\n\n".to_owned()] {
        stream.server.send(&text).await;
        assert_eq!(stream.opened.event().await.unwrap(), text);
    }
    drop(stream);
    world.finish().await;
}

#[tokio::test]
async fn the_answer_to_a_post_is_its_status() {
    let list = json!({"jsonrpc": "2.0", "id": 7, "result": {"tools": [{"name": "get_x"}, {"name": "unheard_of"}]}});
    let shown = json!({"jsonrpc": "2.0", "id": 7, "result": {"tools": [{"name": "get_x"}]}});
    let text =
        |status: u16, kind: &str, body: &str| Answer::status(status).header("Content-Type", kind).body(body.as_bytes());
    let world = World::with_route(SSE).await;
    let mut stream = open(&world, "mcp").await;
    for (answer, status, expected) in [
        (Answer::accepted(), 202, String::new()),
        (Answer::status(202).body(b"Accepted"), 202, String::new()),
        (Answer::status(202), 202, String::new()),
        (Answer::status(204), 204, String::new()),
        (Answer::json(&list), 200, shown.to_string()),
        (Answer::events(&[&event(&list)]), 200, event(&shown)),
        (text(202, "application/json", "Accepted"), 202, String::new()),
        (text(200, "application/json", "{\"result\":{\"tools\":[1]}}"), 200, String::new()),
        (text(202, "application/json", "{\"result\":").cut_short(), 202, String::new()),
        (text(202, "text/html", &list.to_string()), 202, String::new()),
        (text(202, "application/json", &list.to_string()).header("Content-Encoding", "gzip"), 202, String::new()),
        (text(400, "text/plain", "Invalid message"), 400, "Invalid message".to_owned()),
        (text(404, "text/plain", "Could not find session"), 404, "Could not find session".to_owned()),
    ] {
        world.mcp.permit(1);
        world.mcp.answer(answer);
        let request = world.client.call(&stream.address, "tools/list", &json!({})).token(&world.token("mcp"));
        let reply = request.passed_through().send().await;
        assert_eq!((reply.status, reply.text(), reply.end), (status, expected.as_str(), End::Clean));
    }
    for (answer, status, reason) in [
        (Answer::status(401), 502, "upstream_unauthorized"),
        (Answer::status(307).header("Location", "http://evil.example/"), 502, "upstream_protocol"),
        (Answer::vanish(), 502, "upstream_protocol"),
    ] {
        world.mcp.permit(1);
        world.mcp.answer(answer);
        let request = world.client.call(&stream.address, "tools/list", &json!({})).token(&world.token("mcp"));
        request.send().await.refused(status, reason);
    }
    stream.server.event(&answer()).await;
    stream.opened.event().await.unwrap();
    drop(stream);
    world.finish().await;

    let world = World::with_route(&format!("{SSE}\nvisibility: all")).await;
    let stream = open(&world, "mcp").await;
    world.mcp.permit(1);
    world.mcp.answer(Answer::accepted());
    let reply = world.client.call(&stream.address, "ping", &json!({})).token(&world.token("mcp")).send().await;
    assert_eq!((reply.status, reply.text()), (202, "Accepted"));
    drop(stream);
    world.finish().await;
}

#[tokio::test]
async fn the_server_asks_and_the_client_answers() {
    let world = World::with_route(SSE).await;
    let mut stream = open(&world, "mcp").await;
    let ask = json!({"jsonrpc": "2.0", "id": 7, "method": "roots/list"});
    stream.server.event(&ask).await;
    assert_eq!(stream.opened.event().await.unwrap(), event(&ask));
    let messages = [
        json!({"jsonrpc": "2.0", "id": 7, "result": {"roots": []}}),
        json!({"jsonrpc": "2.0", "id": 8, "error": {"code": -1, "message": "no"}}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
    ];
    for message in messages {
        world.mcp.permit(1);
        world.mcp.answer(Answer::accepted());
        let reply = world.client.post(&stream.address, message.to_string()).token(&world.token("mcp")).send().await;
        assert_eq!(reply.status, 202);
        let seen = world.mcp.next().await;
        assert_eq!((seen.target.as_str(), seen.json()), (TARGET, message));
    }
    // Not even those without the scopes of the route.
    let pong = json!({"jsonrpc": "2.0", "id": 7, "result": {}}).to_string();
    world.client.post(&stream.address, pong).token(&world.token("")).send().await.refused(403, "insufficient_scope");
    drop(stream);
    world.finish().await;
}

#[tokio::test]
async fn the_newest_revision_keeps_its_rules_but_for_headers_that_the_transport_lacks() {
    let world = World::with_route(SSE).await;
    let stream = open(&world, "mcp").await;
    let params = json!({"name": "get_x", "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}});
    let request = || {
        let call = world.client.call(&stream.address, "tools/call", &params).token(&world.token("mcp tools:read"));
        call.header("MCP-Protocol-Version", "2026-07-28").header("Mcp-Method", "tools/call")
    };
    request().send().await.refused(400, "header_mismatch");
    // A client that probes for it learns from the server that there is no such thing.
    world.mcp.permit(1);
    world.mcp.answer(Answer::accepted());
    let probe = world.client.call(&stream.address, "tools/call", &params).token(&world.token("mcp tools:read"));
    assert_eq!(probe.send().await.status, 202);
    world.mcp.next().await;
    world.mcp.permit(1);
    world.mcp.answer(Answer::accepted());
    assert_eq!(request().header("Mcp-Name", "get_x").send().await.status, 202);
    assert_eq!(world.mcp.next().await.target, TARGET);
    drop(stream);
    world.finish().await;
}

#[tokio::test]
async fn a_stream_without_debts_ends_with_its_token() {
    let time = Arc::new(AtomicU64::new(now()));
    let mut world = World::start_at(&file(SSE), at(&time)).await;
    let expires = time.load(Ordering::SeqCst) + 100;
    let token = world.good().scope("mcp").claim("exp", expires).mint();
    // Within the leeway the token is still good, and a stream opened with it has no time left.
    time.store(expires + 5, Ordering::SeqCst);
    let (answer, server) = Answer::sse(TARGET);
    world.mcp.permit(1);
    world.mcp.answer(answer);
    let opened = world.client.get(PATH).token(&token).open().await;
    assert_eq!(opened.whole().await.end, End::Clean);
    world.mcp.left(1).await;
    world.record().await;
    assert_eq!(world.record().await["end"], "token_expired");
    drop(server);
    time.store(expires + 60, Ordering::SeqCst);
    for request in [world.client.get(PATH), world.client.tool(MESSAGES, "get_x")] {
        request.token(&token).send().await.refused(401, "invalid_token");
    }
    world.finish().await;
}

#[tokio::test]
async fn answers_that_are_owed_are_delivered_before_a_stream_ends() {
    let time = Arc::new(AtomicU64::new(now()));
    let mut world = World::start_at(&file(SSE), at(&time)).await;
    let token = world.good().scope("mcp").claim("exp", time.load(Ordering::SeqCst) + 2).mint();
    let mut stream = open_as(&world, &token).await;
    let post = |id: usize| {
        let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "get_x"}});
        world.client.post(&stream.address, call.to_string()).token(&world.token("mcp tools:read"))
    };
    world.mcp.permit(1);
    world.mcp.answer(Answer::accepted());
    let first = post(8);
    assert_eq!(first.clone().send().await.status, 202);
    // With another token of the same caller, until the stream's has expired: from then on it takes no request whose answer
    // would be lost.
    let next = post(7);
    loop {
        world.mcp.permit(1);
        world.mcp.answer(Answer::accepted());
        let reply = next.clone().send().await;
        if reply.status != 202 {
            reply.refused(404, "session_not_found");
            break;
        }
        stream.server.event(&answer()).await;
        assert_eq!(stream.opened.event().await, Some(event(&answer())));
    }
    // What the answers may need still passes.
    let cancelled =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 9}}).to_string();
    assert_eq!(world.client.post(&stream.address, cancelled).token(&world.token("mcp")).send().await.status, 202);
    stream.server.event(&json!({"jsonrpc": "2.0", "id": 7, "method": "roots/list"})).await;
    assert!(stream.opened.event().await.unwrap().contains("roots/list"), "that is no answer");
    let last = json!({"jsonrpc": "2.0", "id": 8, "result": {"content": []}});
    stream.server.event(&last).await;
    assert_eq!(stream.opened.event().await, Some(event(&last)));
    assert_eq!(stream.opened.end().await, End::Clean);
    let closed = loop {
        let record = world.record().await;
        assert_eq!(record["reason"] == "session_not_found", record["decision"] == "refused", "{record}");
        if record["event"] == "closed" {
            break record;
        }
    };
    assert_eq!(closed["end"], "token_expired");
    drop(stream.server);
    world.finish().await;
}

#[tokio::test]
async fn an_answer_that_never_comes_keeps_a_stream_for_the_answer_timeout() {
    let text = file(SSE).replace("upstream: {upstream}", "upstream: {url: \"{upstream}\", timeouts: {answer_secs: 1}}");
    let mut world = World::start(&text).await;
    let stream = open(&world, "mcp").await;
    accepted(&world, &stream, "mcp tools:read").await;
    world.stop();
    assert_eq!(stream.opened.end().await, End::Clean);
    for _ in 0..2 {
        world.record().await;
    }
    assert_eq!(world.record().await["end"], "shutting_down");
    drop(stream.server);
    world.finish().await;
}

#[tokio::test]
async fn a_gateway_that_stops_delivers_what_is_owed() {
    let mut world = World::with_route(SSE).await;
    let mut stream = open(&world, "mcp").await;
    accepted(&world, &stream, "mcp tools:read").await;
    let batch = json!([
        {"jsonrpc": "2.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "ping"},
    ]);
    world.mcp.permit(1);
    world.mcp.answer(Answer::accepted());
    let batch = world.client.post(&stream.address, batch.to_string()).token(&world.token("mcp")).send().await;
    assert_eq!(batch.status, 202);
    // Refused by the server: no answer is owed.
    world.mcp.permit(1);
    world.mcp.answer(Answer::status(400));
    let call = world.client.tool(&stream.address, "get_x").token(&world.token("mcp tools:read"));
    assert_eq!(call.passed_through().send().await.status, 400);
    world.stop();
    stream.server.event(&answer()).await;
    assert_eq!(stream.opened.event().await.unwrap(), event(&answer()));
    let batch = json!([{"jsonrpc": "2.0", "id": 2, "result": {}}, {"jsonrpc": "2.0", "id": 1, "result": {}}]);
    stream.server.event(&batch).await;
    assert_eq!(stream.opened.event().await.unwrap(), event(&batch));
    assert_eq!(stream.opened.end().await, End::Clean);
    for _ in 0..4 {
        world.record().await;
    }
    assert_eq!(world.record().await["end"], "shutting_down");
    drop(stream.server);
    world.finish().await;
}
