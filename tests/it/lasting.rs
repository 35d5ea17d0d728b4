//! Streams that last: idle ones are kept alive, no time but the token's ends them, one caller has so many and no more, and a
//! client that does not read is cut.

use serde_json::{Value, json};

use crate::support::client::Opened;
use crate::support::gateway::{HEAD, PATH, ROUTE};
use crate::support::mcp_server::{StreamControl, event};
use crate::support::{Answer, End, World, within};

/// The standard file with these top-level lines and these of the route.
async fn world(lines: &str, of_route: &str) -> World {
    World::start(&format!("{HEAD}{lines}\n{ROUTE}    {of_route}\n")).await
}

fn note(n: i64) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": n}})
}

/// A GET stream of this caller, opened by both sides.
async fn listen(world: &World, token: &str) -> (Opened, StreamControl) {
    let (answer, stream) = Answer::stream();
    world.mcp.permit(1);
    world.mcp.answer(answer);
    let opened = world.client.get(PATH).token(token).open().await;
    assert_eq!(opened.status, 200);
    (opened, stream)
}

#[tokio::test]
async fn an_idle_stream_is_kept_alive_between_events_and_outlives_every_timeout() {
    let times = "timeouts: {keep_alive_secs: 1, answer_secs: 1, body_secs: 1, head_secs: 1, write_stall_secs: 1}";
    for visibility in ["visibility: grantable", "visibility: all", "mode: report"] {
        let world = world(times, visibility).await;
        let (mut opened, stream) = listen(&world, &world.token("mcp")).await;
        assert_eq!(opened.head.header("x-accel-buffering"), Some("no"), "{visibility}");
        assert_eq!(opened.bytes().await, ":\n\n", "{visibility}");
        assert_eq!(opened.bytes().await, ":\n\n");
        stream.event(&note(1)).await;
        assert_eq!(opened.event().await.unwrap(), event(&note(1)));
        // Half an event: what comes next is the other half.
        let text = event(&note(2));
        let (half, rest) = text.split_at(20);
        stream.send(half).await;
        let (mut answering, other) = listen(&world, &world.token("mcp")).await;
        for _ in 0..2 {
            assert_eq!(answering.bytes().await, ":\n\n");
        }
        stream.send(rest).await;
        let mut got = String::new();
        while !got.ends_with("\n\n") || got.ends_with(":\n\n") {
            got.push_str(&opened.bytes().await);
        }
        // The filter holds half an event back: there, comments come before it.
        assert_eq!(got.trim_start_matches(":\n\n"), text, "{visibility}");
        drop(other);
        stream.end().await;
        assert_eq!(opened.end().await, End::Clean);
        world.finish().await;
    }
}

#[tokio::test]
async fn a_stream_that_answers_a_call_is_kept_alive_too_and_other_answers_are_left_alone() {
    let world = world("timeouts: {keep_alive_secs: 1}", "visibility: all").await;
    let (answer, stream) = Answer::stream();
    world.mcp.permit(1);
    world.mcp.answer(answer);
    let mut opened = world.client.tool(PATH, "get_x").token(&world.token("mcp tools:read")).open().await;
    assert_eq!(opened.bytes().await, ":\n\n");
    stream.end().await;
    assert_eq!(opened.end().await, End::Clean);

    let (answer, slow) = Answer::status(200).header("Content-Type", "application/json").streamed();
    world.mcp.permit(1);
    world.mcp.answer(answer);
    let call = world.client.tool(PATH, "get_x").token(&world.token("mcp tools:read")).open().await;
    assert_eq!(call.head.header("x-accel-buffering"), None);
    // Meanwhile another stream sees two comments go by.
    let (mut other, _stream) = listen(&world, &world.token("mcp")).await;
    for _ in 0..2 {
        assert_eq!(other.bytes().await, ":\n\n");
    }
    slow.send("{}").await;
    slow.end().await;
    assert_eq!(call.whole().await.text(), "{}");
    drop(other);
    world.finish().await;
}

#[tokio::test]
async fn one_principal_has_so_many_streams_and_gets_a_place_back_however_one_ends() {
    let mut world = world("limits: {streams_per_principal_max: 2}", "visibility: all").await;
    let token = world.token("mcp");
    let (first, first_stream) = listen(&world, &token).await;
    let (second, second_stream) = listen(&world, &token).await;
    world.record().await;
    world.record().await;
    let over = world.client.get(PATH).token(&token).send().await;
    world.refused(&over, 429, "rate_limited").await;
    assert_eq!(over.header("retry-after"), Some("10"));
    let listen_over = world.message("mcp", "subscriptions/listen", json!({"notifications": {}})).await;
    world.refused(&listen_over, 429, "rate_limited").await;
    assert_eq!(world.mcp.arrived(), 2, "nothing more reached the server");

    // Another caller, and calls of this one, have their own.
    let (others, _stream) = listen(&world, &world.good().scope("mcp").claim("sub", "somebody else").mint()).await;
    world.mcp.permit(1);
    world.call_tool("mcp tools:read", "get_x").await.passed();

    // The client leaves; the server ends it; the server dies.
    drop(first);
    world.mcp.left(1).await;
    drop(first_stream);
    let (third, third_stream) = listen_when_there_is_a_place(&world, &token).await;
    second_stream.end().await;
    assert_eq!(second.end().await, End::Clean);
    let (fourth, fourth_stream) = listen_when_there_is_a_place(&world, &token).await;
    third_stream.die().await;
    assert_eq!(third.end().await, End::Cut);
    let (fifth, _fifth_stream) = listen_when_there_is_a_place(&world, &token).await;
    drop((fourth, fourth_stream, fifth, others));
    world.finish().await;
}

/// The gateway frees a place just after the other side could see the stream end.
async fn listen_when_there_is_a_place(world: &World, token: &str) -> (Opened, StreamControl) {
    let (answer, stream) = Answer::stream();
    world.mcp.permit(1);
    world.mcp.answer(answer);
    let opened = within("a place", async {
        loop {
            let opened = world.client.get(PATH).token(token).open().await;
            match opened.status {
                200 => return opened,
                429 => drop(opened.whole().await),
                status => panic!("{status}"),
            }
        }
    });
    (opened.await, stream)
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_and_the_server_waits_meanwhile() {
    for visibility in ["visibility: grantable", "visibility: all"] {
        let mut world = world("timeouts: {write_stall_secs: 1}", visibility).await;
        let (opened, stream) = listen(&world, &world.token("mcp")).await;
        assert_eq!(world.record().await["event"], "opened");
        let piece = format!("data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/{}\"}}\n\n", "x".repeat(60_000));
        let sent = stream.flood(&piece).await;
        world.mcp.left(1).await;
        // What the buffers of two connections hold, and not what the server would have liked to send.
        assert!(sent < 64 << 20, "{sent} bytes were taken from the server");
        let closed = world.record().await;
        assert_eq!((&closed["event"], &closed["end"]), (&json!("closed"), &json!("client_gone")));
        drop(opened);
        world.finish().await;
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_client_that_vanished_is_noticed_by_what_is_sent_to_it() {
    let mut world = world("timeouts: {keep_alive_secs: 1, write_stall_secs: 1}", "visibility: grantable").await;
    let (mut opened, stream) = listen(&world, &world.token("mcp")).await;
    stream.event(&note(1)).await;
    assert_eq!(opened.event().await.unwrap(), event(&note(1)));
    // The server says nothing more; the connection ends by no word of the client's.
    opened.vanish();
    world.mcp.left(1).await;
    world.record().await;
    let closed = world.record().await;
    assert_eq!((&closed["event"], &closed["end"]), (&json!("closed"), &json!("client_gone")));
    drop((opened, stream));
    world.finish().await;
}
