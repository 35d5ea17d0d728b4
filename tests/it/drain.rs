//! The way to the end, of the program itself: ready no more, then closed, then empty, and nobody who honours `Connection:
//! close` or GOAWAY loses a request.

use serde_json::json;
use tokio::net::TcpStream;

use crate::support::gateway::{PATH, file};
use crate::support::mcp_server::event;
use crate::support::{Answer, End, Program, within};

async fn program(drain: &str) -> Program {
    Program::start(&format!("{}drain: {{{drain}}}\n", file(""))).await
}

/// Waits until nobody is accepted any more.
async fn refused(program: &Program) {
    let refused = async { while TcpStream::connect(program.address).await.is_ok() {} };
    within("connections are refused", refused).await;
}

#[tokio::test]
async fn while_it_drains_everybody_is_answered_and_told_to_go() {
    let mut program = program("delay_secs: 2, grace_secs: 10").await;
    let token = program.token("mcp tools:read");
    program.mcp.permit(3);
    let call = || program.client.tool(PATH, "get_x").token(&token);
    let (reply, idle) = call().send_on(program.client.wire().await).await;
    assert_eq!(reply.passed().header("connection"), None);
    assert_eq!(reply.header("keep-alive"), Some("timeout=73"), "two seconds less than it may be idle");
    let (streamed, messages) = Answer::stream();
    let (answered, progress) = Answer::stream();
    program.mcp.answer(streamed);
    let lasting = program.client.get(PATH).token(&token).open().await;
    program.mcp.answer(answered);
    let mut answering = call().open().await;

    program.signal("TERM");
    program.logged("stopping: ").await;
    // On a connection that was idle when the signal came, and on a new one; then each is closed.
    program.mcp.permit(2);
    for wire in [idle, program.client.wire().await] {
        let (reply, mut wire) = program.client.tool(PATH, "get_x").token(&token).send_on(wire).await;
        assert_eq!(reply.passed().header("connection"), Some("close"));
        assert_eq!(reply.header("keep-alive"), None);
        assert_eq!(within("the end", wire.fill()).await.unwrap(), 0);
    }
    let unused = program.client.wire().await;
    refused(&program).await;
    let mut unused = unused;
    assert_eq!(within("the end", unused.fill()).await.unwrap(), 0);
    // What waits for nothing ends cleanly; an answer is still delivered.
    assert_eq!(lasting.end().await, End::Clean);
    let result = json!({"jsonrpc": "2.0", "id": 7, "result": {"content": []}});
    progress.event(&result).await;
    assert_eq!(answering.event().await.unwrap(), event(&result));
    progress.end().await;
    assert_eq!(answering.end().await, End::Clean);
    drop(messages);
    let (code, audit) = program.ended().await;
    assert_eq!(code, Some(0));
    let ends: Vec<_> = audit.iter().filter(|record| record["event"] == "closed").map(|record| &record["end"]).collect();
    assert_eq!(ends, ["shutting_down", "complete"]);
}

#[tokio::test]
async fn by_h2_goaway_comes_after_the_first_request_and_streams_finish() {
    let mut program = program("delay_secs: 2, grace_secs: 10").await;
    let token = program.token("mcp tools:read");
    program.mcp.permit(3);
    let (answer, stream) = Answer::stream();
    program.mcp.answer(answer);
    let mut opened = program.client.tool(PATH, "get_x").token(&token).open_h2().await;
    program.signal("TERM");
    program.logged("stopping: ").await;
    within("GOAWAY", opened.told_to_go()).await;
    // A new connection is served, and told the same.
    let reply = program.client.tool(PATH, "get_x").token(&token).send_h2().await;
    assert_eq!(reply.header("keep-alive"), None);
    assert_eq!((reply.status, reply.end), (200, End::Clean));
    let mut second = program.client.tool(PATH, "get_x").token(&token).open_h2().await;
    within("GOAWAY", second.told_to_go()).await;
    while second.piece().await.unwrap().is_some() {}
    refused(&program).await;
    let result = json!({"jsonrpc": "2.0", "id": 7, "result": {"content": []}});
    stream.event(&result).await;
    assert_eq!(opened.piece().await.unwrap().unwrap(), event(&result));
    stream.end().await;
    while let Some(rest) = opened.piece().await.unwrap() {
        assert_eq!(rest, "");
    }
    assert_eq!(program.ended().await.0, Some(0));
}

#[tokio::test]
async fn what_does_not_end_by_itself_is_ended_after_the_grace() {
    let program = program("delay_secs: 0, grace_secs: 1").await;
    let token = program.token("mcp tools:read");
    program.mcp.permit(2);
    let (answer, _endless) = Answer::stream();
    program.mcp.answer(answer);
    let mut opened = program.client.tool(PATH, "get_x").token(&token).open().await;
    program.mcp.answer(Answer::hang());
    let hanging = program.client.tool(PATH, "get_x").token(&token).send_all_but(0).await;
    program.mcp.next().await;
    program.mcp.next().await;
    program.signal("INT");
    assert_eq!(opened.event().await, None);
    assert_eq!(opened.end().await, End::Clean, "with its last chunk");
    hanging.expect_cut().await;
    let (code, audit) = program.ended().await;
    assert_eq!(code, Some(0));
    let ends: Vec<_> = audit.iter().filter_map(|record| record["end"].as_str()).collect();
    assert!(ends.contains(&"shutting_down") && ends.contains(&"client_gone"), "{ends:?}");
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut program = program("delay_secs: 300, grace_secs: 3600").await;
    program.mcp.permit(1);
    program.mcp.answer(Answer::hang());
    let hanging = program.client.tool(PATH, "get_x").token(&program.token("mcp tools:read")).send_all_but(0).await;
    program.mcp.next().await;
    program.signal("TERM");
    program.logged("stopping: ").await;
    program.signal("TERM");
    program.logged("a second signal").await;
    hanging.expect_cut().await;
    assert_eq!(program.ended().await.0, Some(0));
}
