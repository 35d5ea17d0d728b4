//! Streaming: events pass one by one, an end is told from a break, and whoever leaves is noticed at the other end at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gatepost::token::clock::Clock;
use serde_json::{Value, json};

use crate::support::gateway::{PATH, file};
use crate::support::mcp_server::{StreamControl, event};
use crate::support::token::now;
use crate::support::{Answer, End, World, client::Opened};

/// The two ways an answer takes: through the filter and past it.
const VISIBILITIES: [&str; 2] = ["visibility: grantable", "visibility: all"];

fn progress(n: usize) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": n}})
}

/// A call whose answer is a stream, opened by both sides.
async fn open(world: &World) -> (Opened, StreamControl) {
    let (answer, stream) = Answer::stream();
    world.mcp.permit(1);
    world.mcp.answer(answer);
    let opened = world.client.tool(PATH, "get_x").token(&world.token("mcp tools:read")).open().await;
    assert_eq!(opened.status, 200);
    assert_eq!(opened.head.header("content-type"), Some("text/event-stream"));
    (opened, stream)
}

#[tokio::test]
async fn progress_events_arrive_one_by_one() {
    for visibility in VISIBILITIES {
        let mut world = World::with_route(visibility).await;
        let (mut opened, stream) = open(&world).await;
        let record = world.record().await;
        assert_eq!((&record["event"], &record["decision"]), (&json!("opened"), &json!("allowed")));
        // Event n+1 is sent only after the client has event n: anything that collects events would wait for ever.
        for n in 0..20 {
            stream.event(&progress(n)).await;
            assert_eq!(opened.event().await.unwrap(), event(&progress(n)));
        }
        let last = json!({"jsonrpc": "2.0", "id": 7, "result": {"content": []}});
        stream.event(&last).await;
        assert_eq!(opened.event().await.unwrap(), event(&last));
        stream.end().await;
        assert_eq!(opened.end().await, End::Clean);
        let record = world.record().await;
        assert_eq!((&record["event"], &record["end"]), (&json!("closed"), &json!("complete")));
        assert!(record["bytes_out"].as_u64().unwrap() > 0);
        world.finish().await;
    }
}

#[tokio::test]
async fn an_event_passes_however_it_was_cut_into_pieces() {
    let world = World::standard().await;
    let (mut opened, stream) = open(&world).await;
    let text = event(&progress(1));
    for byte in text.chars() {
        stream.send(&byte.to_string()).await;
    }
    assert_eq!(opened.event().await.unwrap(), text);
    drop(stream);
    assert_eq!(opened.end().await, End::Clean);
    world.finish().await;
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_by_the_server() {
    for visibility in VISIBILITIES {
        let mut world = World::with_route(visibility).await;
        let (mut opened, stream) = open(&world).await;
        stream.event(&progress(1)).await;
        opened.event().await.unwrap();
        drop(opened);
        world.mcp.left(1).await;
        world.record().await;
        let record = world.record().await;
        assert_eq!((&record["event"], &record["end"]), (&json!("closed"), &json!("client_gone")));
        drop(stream);
        world.finish().await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_is_noticed_too() {
    let mut world = World::standard().await;
    world.mcp.permit(1);
    world.mcp.answer(Answer::hang());
    let request = world.client.tool(PATH, "get_x").token(&world.token("mcp tools:read"));
    let held = request.send_all_but(0).await;
    world.mcp.next().await;
    drop(held);
    world.mcp.left(1).await;
    let record = world.record().await;
    assert_eq!((&record["event"], &record["end"]), (&json!("request"), &json!("client_gone")));
    assert_eq!(record["decision"], "allowed", "the server has seen it");
    world.finish().await;
}

#[tokio::test]
async fn a_stream_that_dies_is_no_clean_end() {
    for visibility in VISIBILITIES {
        let mut world = World::with_route(visibility).await;
        let (mut opened, stream) = open(&world).await;
        stream.event(&progress(1)).await;
        opened.event().await.unwrap();
        stream.die().await;
        assert_eq!(opened.end().await, End::Cut);
        world.record().await;
        let record = world.record().await;
        assert_eq!((&record["event"], &record["end"]), (&json!("closed"), &json!("upstream_cut")));
        world.finish().await;
    }
}

/// An HTTP/1.0 answer ends with its connection. Were ours to do so too, no client could tell its end from a break.
#[tokio::test]
async fn an_http_1_0_server_makes_no_http_1_0_answer() {
    for visibility in VISIBILITIES {
        let world = World::with_route(visibility).await;
        world.mcp.permit(1);
        world.mcp.answer(Answer::raw(b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {}\n\n"));
        let mut opened = world.client.tool(PATH, "get_x").token(&world.token("mcp tools:read")).open().await;
        assert_eq!(opened.head.header("transfer-encoding"), Some("chunked"), "{:?}", opened.head);
        opened.event().await.unwrap();
        assert_eq!(opened.end().await, End::Clean);
        world.finish().await;
    }
}

#[tokio::test]
async fn a_plain_answer_that_dies_is_no_clean_end() {
    let world = World::with_route("visibility: all").await;
    world.mcp.permit(1);
    world.mcp.answer(Answer::text("application/json", "{\"jsonrpc\":\"2.0\",").cut_short());
    let reply = world.call_tool("mcp tools:read", "get_x").await;
    assert_eq!((reply.status, reply.end), (200, End::Cut));
    world.finish().await;
}

#[tokio::test]
async fn a_get_stream_carries_the_servers_own_messages() {
    let mut world = World::standard().await;
    let (answer, stream) = Answer::stream();
    world.mcp.permit(1);
    world.mcp.answer(answer);
    let mut opened =
        world.client.get(PATH).header("Accept", "text/event-stream").token(&world.token("mcp")).open().await;
    let seen = world.mcp.next().await;
    assert_eq!((seen.method.as_str(), seen.target.as_str(), seen.body.len()), ("GET", "/upstream/mcp", 0));
    assert_eq!((seen.header("content-length"), seen.header("transfer-encoding")), (None, None));
    assert_eq!(seen.header("accept"), Some("text/event-stream"));
    stream.send(": keep-alive\n\n").await;
    stream.event(&progress(1)).await;
    assert_eq!(opened.event().await.unwrap(), event(&progress(1)));
    // A replayed list is filtered like any other.
    stream.event(&json!({"jsonrpc": "2.0", "id": 3, "result": {"tools": [{"name": "unheard_of"}]}})).await;
    assert!(!opened.event().await.unwrap().contains("unheard_of"));
    stream.end().await;
    assert_eq!(opened.end().await, End::Clean);
    let record = world.record().await;
    assert_eq!((&record["event"], &record["method"]), (&json!("opened"), &json!("GET")));
    world.finish().await;
}

#[tokio::test]
async fn a_get_stream_ends_with_its_token_and_an_answer_does_not() {
    let time = Arc::new(AtomicU64::new(now()));
    let clock = Clock::from_fn({
        let time = Arc::clone(&time);
        move || time.load(Ordering::SeqCst)
    });
    let mut world = World::start_at(&file(""), clock).await;
    let expires = time.load(Ordering::SeqCst) + 100;
    let token = world.good().scope("mcp tools:read").claim("exp", expires).mint();
    // Within the leeway the token is still good, and a stream opened with it has no time left.
    time.store(expires + 5, Ordering::SeqCst);
    let (answer, stream) = Answer::stream();
    world.mcp.permit(2);
    world.mcp.answer(answer);
    let opened = world.client.get(PATH).token(&token).open().await;
    assert_eq!(opened.end().await, End::Clean);
    world.mcp.left(1).await;
    world.record().await;
    let record = world.record().await;
    assert_eq!((&record["event"], &record["end"]), (&json!("closed"), &json!("token_expired")));
    drop(stream);

    let (answer, stream) = Answer::stream();
    world.mcp.answer(answer);
    let mut opened = world.client.tool(PATH, "get_x").token(&token).open().await;
    stream.event(&progress(1)).await;
    assert_eq!(opened.event().await.unwrap(), event(&progress(1)), "the answer to a permitted request is delivered");
    stream.end().await;
    assert_eq!(opened.end().await, End::Clean);

    // Its signature is cached; its time is looked at on every request.
    time.store(expires + 60, Ordering::SeqCst);
    let reply = world.client.tool(PATH, "get_x").token(&token).send().await;
    reply.refused(401, "invalid_token");
    world.finish().await;
}

#[tokio::test]
async fn no_label_and_no_encoding_lets_a_stream_outlive_its_token() {
    let time = Arc::new(AtomicU64::new(now()));
    let clock = Clock::from_fn({
        let time = Arc::clone(&time);
        move || time.load(Ordering::SeqCst)
    });
    let mut world = World::start_at(&file("visibility: all"), clock).await;
    let expires = time.load(Ordering::SeqCst) + 100;
    let token = world.good().scope("mcp").claim("exp", expires).mint();
    time.store(expires + 5, Ordering::SeqCst);
    let typed = |kind: &str| Answer::status(200).header("Content-Type", kind);
    let answers = [
        (typed("text/event-stream").header("Content-Encoding", "gzip"), true),
        (typed("text/event-stream").header("Content-Type", "text/plain"), true),
        (typed("text/event-stream, text/plain"), true),
        (typed("application/x-ndjson"), false),
        (Answer::status(200), false),
    ];
    for (ended, (answer, is_stream)) in answers.into_iter().enumerate() {
        let (answer, stream) = answer.streamed();
        world.mcp.permit(1);
        world.mcp.answer(answer);
        let opened = world.client.get(PATH).header("Accept-Encoding", "gzip").token(&token).open().await;
        assert_eq!(opened.end().await, End::Clean);
        world.mcp.left(ended + 1).await;
        if is_stream {
            assert_eq!(world.record().await["event"], "opened");
        }
        assert_eq!(world.record().await["end"], "token_expired");
        drop(stream);
    }
    // What is one answer and no stream is delivered.
    let error = json!({"jsonrpc": "2.0", "id": 7, "error": {"code": -32603, "message": "no stream"}});
    for status in [200, 405] {
        world.mcp.permit(1);
        world.mcp.answer(
            Answer::status(status).header("Content-Type", "application/json").body(error.to_string().as_bytes()),
        );
        let reply = world.client.get(PATH).token(&token).passed_through().send().await;
        assert_eq!((reply.status, reply.end, reply.json()), (status, End::Clean, error.clone()));
        assert_eq!(world.record().await["end"], "complete");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_get_stream_ends_cleanly_when_the_gateway_stops_and_an_answer_is_waited_for() {
    let mut world = World::standard().await;
    let (mut answering, stream) = open(&world).await;
    let (answer, _endless) = Answer::stream();
    world.mcp.permit(1);
    world.mcp.answer(answer);
    let endless = world.client.get(PATH).token(&world.token("mcp")).open().await;
    world.stop();
    assert_eq!(endless.end().await, End::Clean);
    stream.event(&progress(1)).await;
    assert_eq!(answering.event().await.unwrap(), event(&progress(1)), "the answer to a permitted request is delivered");
    stream.end().await;
    assert_eq!(answering.end().await, End::Clean);
    let records = [world.record().await, world.record().await, world.record().await, world.record().await];
    let ends: Vec<_> = records.iter().map(|record| &record["end"]).collect();
    assert_eq!(ends, [&json!(null), &json!(null), &json!("shutting_down"), &json!("complete")]);
    world.finish().await;
}

#[tokio::test]
async fn a_server_without_a_get_stream_says_so_itself() {
    let world = World::standard().await;
    world.mcp.permit(1);
    let reply = world.client.get(PATH).token(&world.token("mcp")).passed_through().send().await;
    assert_eq!(reply.status, 405);
    world.finish().await;
}

#[tokio::test]
async fn delete_passes_without_a_body() {
    let mut world = World::standard().await;
    world.mcp.permit(1);
    let reply = world.client.request("DELETE", PATH).token(&world.token("mcp")).send().await;
    assert_eq!((reply.status, reply.text()), (204, ""));
    let seen = world.mcp.next().await;
    assert_eq!((seen.method.as_str(), seen.body.len()), ("DELETE", 0));
    assert_eq!(seen.header("transfer-encoding"), None);
    assert_eq!(world.record().await["method"], "DELETE");
    world.client.request("DELETE", PATH).token(&world.token("")).send().await.refused(403, "insufficient_scope");
    world.finish().await;
}

#[tokio::test]
async fn large_bodies_pass_both_ways() {
    for visibility in VISIBILITIES {
        let world = World::with_route(visibility).await;
        let text = "x".repeat(4_000_000);
        let body = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "get_x", "arguments": {"text": text}}});
        let answer =
            json!({"jsonrpc": "2.0", "id": 7, "result": {"content": [{"type": "text", "text": text.repeat(2)}]}});
        for (sent, expected) in
            [(Answer::json(&answer), answer.to_string()), (Answer::events(&[&event(&answer)]), event(&answer))]
        {
            world.mcp.permit(1);
            world.mcp.answer(sent);
            let request = world.client.post(PATH, body.to_string()).token(&world.token("mcp tools:read"));
            let reply = request.send().await;
            assert!(reply.passed().text() == expected, "{} bytes of {}", reply.body.len(), expected.len());
            assert!(world.mcp.next().await.body == body.to_string().as_bytes());
        }
        world.finish().await;
    }
}

#[tokio::test]
async fn many_streams_are_open_at_once_and_do_not_mix() {
    let world = World::standard().await;
    let mut streams = Vec::new();
    for _ in 0..50 {
        streams.push(open(&world).await);
    }
    for round in 0..3 {
        for (n, (_, stream)) in streams.iter().enumerate() {
            stream.event(&progress(round * 100 + n)).await;
        }
        for (n, (opened, _)) in streams.iter_mut().enumerate() {
            assert_eq!(opened.event().await.unwrap(), event(&progress(round * 100 + n)));
        }
    }
    for (opened, stream) in streams {
        stream.end().await;
        assert_eq!(opened.end().await, End::Clean);
    }
    world.finish().await;
}

#[tokio::test]
async fn a_body_sent_in_pieces_is_one_body() {
    let world = World::standard().await;
    world.mcp.permit(2);
    let token = world.token("mcp tools:read");
    // As Python clients do: the head in one packet, the body in another.
    let request = world.client.tool(PATH, "get_x").token(&token);
    let length = request.bytes().len();
    let body = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "get_x", "arguments": {}}})
        .to_string();
    let held = request.send_all_but(body.len()).await;
    assert!(length > body.len());
    let reply = held.finish().await;
    assert_eq!((reply.status, reply.end), (200, End::Clean));
    assert_eq!(world.mcp.next().await.json()["params"]["name"], "get_x");
    // Chunked, and with the length the server is given in the end.
    let (first, second) = body.split_at(body.len() / 2);
    let chunked = format!("{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n", first.len(), second.len());
    let request = world.client.post(PATH, chunked).token(&token).header("Transfer-Encoding", "chunked");
    request.send().await.passed();
    let seen = world.mcp.next().await;
    assert_eq!(seen.body, body.as_bytes());
    world.finish().await;
}

#[tokio::test]
async fn by_h2_events_arrive_one_by_one_and_a_reset_is_noticed() {
    let mut world = World::standard().await;
    let (answer, stream) = Answer::stream();
    world.mcp.permit(2);
    world.mcp.answer(answer);
    let request = world.client.tool(PATH, "get_x").token(&world.token("mcp tools:read"));
    let mut opened = request.clone().open_h2().await;
    assert_eq!(opened.status, 200);
    for n in 0..10 {
        stream.event(&progress(n)).await;
        let mut text = String::new();
        while text.len() < event(&progress(n)).len() {
            text += std::str::from_utf8(&opened.piece().await.unwrap().expect("the stream goes on")).unwrap();
        }
        assert_eq!(text, event(&progress(n)));
    }
    drop(opened);
    world.mcp.left(1).await;
    world.record().await;
    let record = world.record().await;
    assert_eq!((&record["event"], &record["end"]), (&json!("closed"), &json!("client_gone")));
    drop(stream);

    let (answer, stream) = Answer::stream();
    world.mcp.answer(answer);
    let mut opened = request.open_h2().await;
    stream.event(&progress(1)).await;
    opened.piece().await.unwrap().expect("an event");
    stream.die().await;
    assert!(opened.piece().await.is_err(), "a stream that dies is no clean end");
    drop(opened);
    world.finish().await;
}

#[tokio::test]
async fn an_event_or_answer_over_the_limit_never_passes() {
    let mut world = World::start(&format!("{}limits: {{answer_bytes_max: 4096}}\n", file(""))).await;
    let large = json!({"jsonrpc": "2.0", "id": 7, "result": {"text": "x".repeat(5000)}});
    world.mcp.permit(2);
    world.mcp.answer(Answer::json(&large));
    let reply = world.call_tool("mcp tools:read", "get_x").await;
    world.refused(&reply, 502, "upstream_protocol").await;
    let (mut opened, stream) = open(&world).await;
    stream.event(&progress(1)).await;
    opened.event().await.unwrap();
    stream.event(&large).await;
    assert_eq!(opened.end().await, End::Cut);
    drop(stream);
    world.finish().await;
}

#[tokio::test]
async fn a_byte_order_mark_hides_no_event_from_the_filter() {
    let world = World::standard().await;
    let (mut opened, stream) = open(&world).await;
    let list = json!({"jsonrpc": "2.0", "id": 7, "result": {"tools": [{"name": "unheard_of"}]}});
    stream.send(&format!("\u{feff}data: {list}\n\n")).await;
    stream.end().await;
    while let Some(event) = opened.event().await {
        assert!(!event.contains("unheard_of"), "{event}");
    }
    world.finish().await;
}
