//! Bodies that two readers could understand differently, that are too large, too slow, or no JSON: none of them reaches the
//! server, which fails the test by itself if one does.

use serde_json::json;

use crate::support::World;
use crate::support::gateway::{PATH, file};

/// A body and the JSON-RPC code of its refusal.
type Case<'a> = (&'a str, i64);

/// Sends each body with a token that could call everything the rules allow; each must be refused before anything is sent on.
async fn refused(cases: &[Case<'_>]) {
    let world = World::standard().await;
    let token = world.token("mcp tools:read tools:write prompts:read repo:read");
    let requests = cases.iter().map(|(body, _)| world.client.post(PATH, body).token(&token));
    for (reply, (body, code)) in world.client.on_one_connection(requests).await.iter().zip(cases) {
        assert_eq!(reply.status, 400, "{body} gave {reply:?}");
        let error = reply.refused(400, "malformed_message");
        assert_eq!(error["code"], *code, "{body} gave {error}");
    }
    assert_eq!(world.mcp.arrived(), 0);
    world.finish().await;
}

#[tokio::test]
async fn members_that_occur_twice() {
    refused(&[
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","method":"ping","params":{"name":"get_x"}}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_x","name":"delete_everything"}}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_x"},"params":{"name":"delete_everything"}}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"n\u0061me":"get_x","name":"delete_everything"}}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_x","arguments":{"a":1,"a":2}}}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_x","arguments":[{"a":{"b":1,"\u0062":2}}]}}"#, -32600),
    ])
    .await;
}

#[tokio::test]
async fn members_that_some_reader_takes_for_another() {
    refused(&[
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_x","Name":"delete_everything"}}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_x","NAME":"delete_everything"}}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"Method":"ping","method":"tools/call","params":{"name":"get_x"}}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","Params":{"name":"delete_everything"},"params":{"name":"get_x"}}"#, -32600),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"param\u{17f}\":{\"name\":\"x\"},\"params\":{\"name\":\"get_x\"}}", -32600),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"get_x\",\"_meta\":{\"progressTo\u{212a}en\":1}}}", -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_x","name\u0000":"delete_everything"}}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_x","name\u0000x":"delete_everything"}}"#, -32600),
        (r#"{"JSONRPC":"2.0","jsonrpc":"2.0","id":1,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"ID":2,"method":"ping"}"#, -32600),
    ])
    .await;
}

#[tokio::test]
async fn members_that_some_reader_knows_by_another_spelling() {
    let listen = |notifications: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{{"notifications":{notifications}}}}}"#
        )
    };
    let (by_field, by_words, tasks) = (
        listen(r#"{"resource_subscriptions":["file:///etc/passwd"]}"#),
        listen(r#"{"resourceSubscriptions":["repo://a"],"Resource-Subscriptions":["file:///etc/passwd"]}"#),
        listen(r#"{"task_ids":["1"]}"#),
    );
    refused(&[
        (&by_field, -32600),
        (&by_words, -32600),
        (&tasks, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_x","meta":{"a":1}}}"#, -32600),
    ])
    .await;
}

#[tokio::test]
async fn members_that_some_reader_takes_out_of_a_prototype() {
    let listen = r#"{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"__proto__":{"resourceSubscriptions":["file:///etc/passwd"]}}}}"#;
    let response = r#"{"jsonrpc":"2.0","id":1,"result":{},"__proto__":{"method":"tools/call","params":{"name":"delete_everything"}}}"#;
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_x","__proto__":{"name":"delete_everything"}}}"#;
    refused(&[(listen, -32600), (response, -32600), (call, -32600)]).await;
}

#[tokio::test]
async fn what_is_not_one_json_value() {
    let deep = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"get_x","arguments":{{"a":{open}{close}}}}}}}"#
        )
    };
    let (too_deep, far_too_deep) = (deep(65), deep(100_000));
    refused(&[
        ("", -32700),
        (" ", -32700),
        ("{", -32700),
        ("{}}", -32700),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"} {"jsonrpc":"2.0","id":2,"method":"ping"}"#, -32700),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}x"#, -32700),
        ("\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}", -32700),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping",}"#, -32700),
        (r"{'jsonrpc':'2.0','id':1,'method':'ping'}", -32700),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"/* */}"#, -32700),
        (r#"{"jsonrpc":"2.0","id":NaN,"method":"ping"}"#, -32700),
        (r#"{"jsonrpc":"2.0","id":01,"method":"ping"}"#, -32700),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"\ud800"}}"#, -32700),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"\udc00":1}}"#, -32700),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"pi\u{1}ng\"}", -32700),
        (&too_deep, -32600),
        (&far_too_deep, -32600),
    ])
    .await;
}

#[tokio::test]
async fn bytes_that_are_no_utf8() {
    let world = World::standard().await;
    let token = world.token("mcp tools:read");
    let text = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf32: Vec<u8> = text.chars().flat_map(|char| u32::from(char).to_be_bytes()).collect();
    let latin = [&text.as_bytes()[..text.len() - 1], b",\"a\":\"\xe9\"}"].concat();
    let overlong = [&text.as_bytes()[..text.len() - 1], b",\"a\":\"\xc0\xaf\"}"].concat();
    for body in [utf16, utf32, latin, overlong] {
        let reply = world.client.post(PATH, &body).token(&token).send().await;
        assert_eq!(reply.refused(400, "malformed_message")["code"], -32700);
    }
    world.finish().await;
}

#[tokio::test]
async fn json_that_is_no_message() {
    refused(&[
        ("null", -32600),
        ("17", -32600),
        (r#""tools/call""#, -32600),
        ("[]", -32600),
        (r#"[[{"jsonrpc":"2.0","id":1,"method":"ping"}]]"#, -32600),
        ("{}", -32600),
        (r#"{"id":1,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":17}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1e2,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"get_x"}}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","error":{}}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#, -32600),
    ])
    .await;
}

#[tokio::test]
async fn a_message_without_what_a_rule_decides_by() {
    refused(&[
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["get_x"]}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":"get_x"}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":["get_x"]}}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":null}}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{}}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":1}}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{}}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{}}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt"}}}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/other","name":"x"}}}"#, -32602),
    ])
    .await;
}

#[tokio::test]
async fn the_id_is_returned_where_it_was_read() {
    let world = World::standard().await;
    let token = world.token("mcp");
    for (id, expected) in
        [("1", json!(1)), ("\"a\\u0062\"", json!("ab")), ("-9007199254740993", json!(-9_007_199_254_740_993_i64))]
    {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{}}}}"#);
        let reply = world.client.post(PATH, body).token(&token).send().await;
        reply.refused(400, "malformed_message");
        assert_eq!(reply.json()["id"], expected);
    }
    let reply = world.client.post(PATH, "no json").token(&token).send().await;
    reply.refused(400, "malformed_message");
    assert_eq!(reply.json().get("id"), None, "{}", reply.text());
    world.finish().await;
}

#[tokio::test]
async fn other_media_types() {
    let mut world = World::standard().await;
    let token = world.token("mcp tools:read");
    let client = world.client.clone();
    let call = || client.tool(PATH, "get_x").token(&token);
    let refused = [
        call().without("Content-Type"),
        call().with("Content-Type", "text/plain"),
        call().with("Content-Type", "application/json-rpc"),
        call().with("Content-Type", "application/json; charset=utf-16"),
        call().with("Content-Type", "application/json; charset=utf-8; x=y"),
        call().with("Content-Type", "application/json; profile=x"),
        call().with("Content-Type", "application/json, text/plain"),
        call().header("Content-Type", "application/json"),
        call().with("Content-Type", "application/x-www-form-urlencoded"),
        call().header("Content-Encoding", "gzip"),
        call().header("Content-Encoding", "identity, gzip"),
        call().header("Content-Encoding", "identity").header("Content-Encoding", "br"),
    ];
    for request in refused {
        let reply = request.send().await;
        let (error, _) = world.refused(&reply, 415, "media_type").await;
        assert_eq!(error["code"], 415);
    }
    let accepted = [
        call().with("Content-Type", "Application/JSON"),
        call().with("Content-Type", "application/json;charset=utf-8"),
        call().with("Content-Type", "application/json; charset=UTF-8"),
        call().with("Content-Type", "application/json; Charset=\"utf-8\""),
        call().header("Content-Encoding", "identity"),
    ];
    world.mcp.permit(accepted.len());
    for request in accepted {
        request.send().await.passed();
    }
    world.finish().await;
}

#[tokio::test]
async fn bodies_that_are_too_large() {
    let mut world = World::start(&format!("{}limits: {{body_bytes_max: 2000}}\n", file(""))).await;
    let token = world.token("mcp tools:read");
    let body = |length: usize| {
        let frame = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "get_x", "arguments": {"a": ""}}}).to_string();
        frame.replace("\"a\":\"\"", &format!("\"a\":\"{}\"", "x".repeat(length - frame.len())))
    };
    assert_eq!(body(2000).len(), 2000);
    for length in [2001, 5000, 300_000, 2_000_000] {
        let reply = world.client.post(PATH, body(length)).token(&token).send().await;
        let (error, _) = world.refused(&reply, 413, "body_too_large").await;
        assert_eq!(error["code"], 413);
        let chunked = format!("{length:x}\r\n{}\r\n0\r\n\r\n", body(length));
        let reply = world.client.post(PATH, chunked).header("Transfer-Encoding", "chunked").token(&token).send().await;
        world.refused(&reply, 413, "body_too_large").await;
    }
    world.mcp.permit(1);
    world.client.post(PATH, body(2000)).token(&token).send().await.passed();
    world.finish().await;
}

#[tokio::test]
async fn a_body_that_does_not_come() {
    let mut world = World::start(&format!("{}timeouts: {{body_secs: 1}}\n", file(""))).await;
    let request = world.client.tool(PATH, "get_x").token(&world.token("mcp tools:read"));
    let reply = request.send_all_but(10).await.give_up().await;
    let (error, _) = world.refused(&reply, 408, "body_timeout").await;
    assert_eq!(error["code"], 408);
    world.finish().await;
}

#[tokio::test]
async fn a_body_that_ends_too_early_reaches_nobody() {
    let mut world = World::standard().await;
    let request = world.client.tool(PATH, "get_x").token(&world.token("mcp tools:read"));
    drop(request.send_all_but(10).await);
    let record = world.record().await;
    assert_ne!(record["decision"], "allowed", "{record}");
    world.finish().await;
}

#[tokio::test]
async fn nothing_of_the_body_is_read_for_who_has_no_token() {
    let world = World::standard().await;
    // The answer comes although the body never does.
    let request = world.client.tool(PATH, "get_x");
    let reply = request.send_all_but(10).await.give_up().await;
    reply.refused(401, "missing_token");
    world.finish().await;
}

#[tokio::test]
async fn framings_that_two_servers_could_read_differently() {
    let world = World::standard().await;
    let token = world.token("mcp tools:read");
    let body = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "get_x"}}).to_string();
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let head = |framing: &str| {
        format!(
            "POST {PATH} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n{framing}\r\n\r\n",
            world.address
        )
    };
    for framing in [
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: ,chunked",
        "Transfer-Encoding : chunked",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: +5",
        "Content-Length: 0x5",
        "Content-Length: 5, 6",
        "Content-Length: -1",
    ] {
        let reply = world.client.raw(format!("{}{chunked}", head(framing)).as_bytes(), false).await;
        assert!((400..500).contains(&reply.status), "{framing}: {reply:?}");
    }
    assert_eq!(world.mcp.arrived(), 0);
    world.finish_whatever_was_audited().await;
}

#[tokio::test]
async fn a_refused_body_is_never_read_as_a_request() {
    let world = World::standard().await;
    let token = world.token("mcp tools:read");
    let smuggled = world.client.tool(PATH, "get_x").token(&token).bytes();
    let next = world.client.request("OPTIONS", PATH);
    for request in [
        world.client.post(PATH, &smuggled),
        world.client.post(PATH, &smuggled).with("Host", "evil.example"),
        world.client.post("/unknown", &smuggled),
        world.client.request("PUT", PATH).body(&smuggled),
        world.client.get(PATH).token(&token).body(&smuggled),
        world.client.post(PATH, &smuggled).header("Origin", "https://evil.example"),
        world.client.post(PATH, &smuggled).token("no.good.token-at-all"),
        world.client.post(PATH, &smuggled).token(&token).with("Content-Type", "text/plain"),
        world.client.post(PATH, &smuggled).token(&token),
    ] {
        // Both at once: what comes after the answer, if the connection is kept, is the answer to the second one.
        let (reply, second) = request.clone().followed_by(&next).await;
        assert!((400..500).contains(&reply.status), "{reply:?}");
        assert!(second.is_none_or(|second| second.status == 204), "{request:?}");
    }
    assert_eq!(world.mcp.arrived(), 0);
    world.finish().await;
}

#[tokio::test]
async fn a_body_that_comes_after_its_refusal_resets_nothing() {
    let world = World::standard().await;
    // Clients that send head and body apart take a reset for a network error and never see the challenge.
    let request = world.client.post(PATH, "x".repeat(100_000));
    let (reply, second) =
        request.send_all_but(100_000).await.answered_first(&world.client.request("OPTIONS", PATH)).await;
    reply.refused(401, "missing_token");
    assert_eq!(second.expect("the connection was kept").status, 204);
    world.finish().await;
}

#[tokio::test]
async fn a_client_that_waits_for_leave_to_send_gets_it() {
    let world = World::standard().await;
    world.mcp.permit(1);
    let request = world.client.tool(PATH, "get_x").header("Expect", "100-continue");
    let permitted = request.clone().token(&world.token("mcp tools:read")).send_all_but(10).await;
    permitted.after_leave().await.passed();
    assert_eq!(world.mcp.next().await.header("expect"), None);
    // Whoever is refused is told so instead.
    request.send_all_but(10).await.give_up().await.refused(401, "missing_token");
    world.finish().await;
}

#[tokio::test]
async fn heads_that_are_too_large() {
    let world = World::standard().await;
    let token = world.token("mcp tools:read");
    let mut many = world.client.tool(PATH, "get_x").token(&token);
    for n in 0..101 {
        many = many.header(&format!("X-{n}"), "x");
    }
    let long = world.client.tool(PATH, "get_x").token(&token).header("X-Long", &"x".repeat(40_000));
    let target = world.client.tool(&format!("{PATH}?{}", "x".repeat(40_000)), "get_x").token(&token);
    for request in [many, long, target] {
        let reply = world.client.raw(&request.bytes(), false).await;
        assert!(reply.status == 431 || reply.status == 414, "{reply:?}");
    }
    assert_eq!(world.mcp.arrived(), 0);
    world.finish_whatever_was_audited().await;
}
