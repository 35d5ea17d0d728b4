//! Lists on every road from the server to the client: whatever the answer's status, labels and framing, an entry that policy
//! hides does not pass, and an answer that holds nothing passes as it is.

use serde_json::{Value, json};

use crate::support::gateway::PATH;
use crate::support::mcp_server::event;
use crate::support::{Answer, End, Reply, World};

fn list() -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "result": {"tools": [{"name": "get_x"}, {"name": "unheard_of"}]}})
}

/// What comes of `tools/list` when the server answers so, and the gateway passes that on.
async fn passed(world: &World, answer: Answer) -> Reply {
    world.mcp.permit(1);
    world.mcp.answer(answer);
    world.client.call(PATH, "tools/list", &json!({})).token(&world.token("mcp")).passed_through().send().await
}

/// The gateway must not pass this answer on.
async fn refused(world: &World, answer: Answer) {
    world.mcp.permit(1);
    let what = format!("{answer:?}");
    world.mcp.answer(answer);
    let reply = world.client.call(PATH, "tools/list", &json!({})).token(&world.token("mcp")).send().await;
    assert_eq!(reply.status, 502, "{what} gave {reply:?}");
    reply.refused(502, "upstream_protocol");
}

#[tokio::test]
async fn no_status_and_no_label_opens_a_list() {
    let world = World::standard().await;
    let text = list().to_string();
    for status in [200, 203, 299, 400, 403, 404, 500, 599] {
        let labelled = |kind: &str| Answer::status(status).header("Content-Type", kind).body(text.as_bytes());
        for kind in
            ["application/json", "Application/JSON ;charset=utf-8", "application/json;", "application/json; x=y"]
        {
            let reply = passed(&world, labelled(kind)).await;
            assert_eq!(reply.status, status, "{kind}");
            assert_eq!(reply.json()["result"]["tools"], json!([{"name": "get_x"}]), "{status} {kind}");
        }
        let events =
            Answer::status(status).header("Content-Type", "Text/Event-Stream; x").body(event(&list()).as_bytes());
        let reply = passed(&world, events).await;
        assert!(reply.text().contains("get_x") && !reply.text().contains("unheard_of"), "{status} {reply:?}");
        let unreadable = [
            labelled("application/json").header("Content-Type", "application/json"),
            labelled("text/plain").header("Content-Type", "application/json"),
            labelled("application/json, text/plain"),
            labelled("text/event-stream").header("Content-Type", "text/plain"),
            labelled("application/json").header("Content-Encoding", "gzip"),
            labelled("application/json").header("Content-Encoding", "identity").header("Content-Encoding", "br"),
            labelled("text/event-stream").header("Content-Encoding", "gzip"),
            Answer::status(status)
                .header("Content-Type", "application/json")
                .body(format!("\u{feff}{text}").as_bytes()),
        ];
        for answer in unreadable {
            refused(&world, answer).await;
        }
    }
    for answer in [
        Answer::text("text/plain", &text),
        Answer::text("text/json", &text),
        Answer::text("\"application/json\"", &text),
        Answer::status(200).body(text.as_bytes()),
    ] {
        refused(&world, answer).await;
    }
    world.finish().await;
}

#[tokio::test]
async fn an_answer_without_a_body_passes_whatever_its_label() {
    let mut world = World::standard().await;
    for kind in ["application/json", "text/event-stream", "text/plain"] {
        for status in [200, 202, 204, 404] {
            let (chunked, stream) = Answer::status(status).header("Content-Type", kind).streamed();
            stream.end().await;
            let with_length = Answer::status(status).header("Content-Type", kind);
            for answer in if status == 204 { vec![with_length] } else { vec![with_length, chunked] } {
                let what = format!("{answer:?}");
                let reply = passed(&world, answer).await;
                assert_eq!((reply.status, reply.text(), reply.end), (status, "", End::Clean), "{what}");
                let mut record = world.record().await;
                if record["event"] == "opened" {
                    record = world.record().await;
                }
                assert_eq!(record["end"], "complete", "{what} {record}");
            }
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn no_part_of_a_list_can_be_asked_for() {
    let world = World::standard().await;
    let token = world.token("mcp");
    // Out of the middle of a list, a part that is a whole JSON document: the filter would see no list in it.
    let part = "[{\"name\":\"unheard_of\"}]";
    for (status, expected) in [(206, 502), (304, 502)] {
        world.mcp.permit(1);
        let answer = Answer::status(status).header("Content-Type", "application/json");
        world.mcp.answer(if status == 206 { answer.body(part.as_bytes()) } else { answer });
        let request = world.client.call(PATH, "tools/list", &json!({})).token(&token);
        let request = request.header("Range", "bytes=37-60").header("If-Range", "\"v1\"");
        let request = request.header("If-None-Match", "*").header("If-Modified-Since", "Mon, 01 Jan 2035 00:00:00 GMT");
        request.send().await.refused(expected, "upstream_protocol");
        let seen = world.mcp.next().await;
        for name in ["range", "if-range", "if-none-match", "if-modified-since"] {
            assert_eq!(seen.header(name), None, "{name}");
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn no_result_is_anybody_elses_to_cache() {
    let world = World::standard().await;
    let result = json!({"jsonrpc": "2.0", "id": 7, "result": {"contents": [], "ttlMs": 60000, "cacheScope": "public"}});
    world.mcp.permit(1);
    world.mcp.answer(Answer::json(&result));
    let reply = world.message("mcp repo:read", "resources/read", json!({"uri": "repo://a"})).await;
    assert_eq!(reply.passed().json()["result"]["cacheScope"], "private");
    world.finish().await;
}

#[tokio::test]
async fn trailers_do_not_pass() {
    for visibility in ["grantable", "all"] {
        let world = World::with_route(&format!("visibility: {visibility}")).await;
        world.mcp.permit(1);
        world.mcp.answer(Answer::raw(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nTrailer: Set-Cookie, WWW-Authenticate\r\n\r\n\
              2\r\n{}\r\n0\r\nSet-Cookie: a=b\r\nWWW-Authenticate: Bearer\r\n\r\n",
        ));
        let reply = world.client.tool(PATH, "get_x").token(&world.token("mcp tools:read")).send_h2().await;
        assert_eq!(reply.passed().text(), "{}");
        assert_eq!(reply.header("www-authenticate"), None);
        world.finish().await;
    }
}

#[tokio::test]
async fn what_is_not_understood_on_a_listening_stream_is_an_error_with_the_id_of_its_response() {
    let world = World::standard().await;
    let (answer, stream) = Answer::stream();
    world.mcp.permit(1);
    world.mcp.answer(answer);
    let mut opened = world.client.get(PATH).token(&world.token("mcp")).open().await;
    // An emoji cut in two, a number that no double holds, a member twice.
    for result in [r#"{"text":"\ud83d"}"#, r#"{"n":1e400}"#, r#"{"a":1,"a":2}"#, r#"{"tools":[1]}"#] {
        stream.send(&format!("data: {{\"jsonrpc\":\"2.0\",\"id\":8,\"result\":{result}}}\n\n")).await;
        let got = opened.event().await.unwrap();
        assert!(got.contains("\"id\":8,\"error\":{\"code\":-32603"), "{result} {got}");
    }
    stream.end().await;
    assert_eq!(opened.end().await, End::Clean);
    world.finish().await;
}
