//! Lists on every road from the server to the client: whatever the answer's status, labels and framing, an entry that policy
//! hides does not pass, and an answer that holds nothing passes as it is.

use serde_json::{Value, json};

use crate::support::gateway::{HEAD, PATH};
use crate::support::mcp_server::{SESSION_ID, event};
use crate::support::{Answer, End, Reply, World};

/// A route with rules for every list: what is called `shown…`, and nothing else.
const ROUTE: &str = r#"
routes:
  - name: standard
    path: /mcp
    upstream: {upstream}
    required_scopes: [mcp]
    rules:
      - tools: ["shown*"]
        allow: true
      - prompts: ["shown*"]
        allow: true
      - resources: ["shown://**"]
        allow: true
"#;

/// One of MCP's four lists.
struct List {
    method: &'static str,
    member: &'static str,
    /// Of an entry: the member that rules decide by, and a value of it that is shown, and one that is hidden.
    key: &'static str,
    shown: &'static str,
    hidden: &'static str,
}

const LISTS: [List; 4] = [
    List { method: "tools/list", member: "tools", key: "name", shown: "shown_a", hidden: "hidden_a" },
    List { method: "prompts/list", member: "prompts", key: "n\\u0061me", shown: "shown\\u005fa", hidden: "hidden_a" },
    List { method: "resources/list", member: "resources", key: "uri", shown: "shown:\\/\\/a", hidden: "hidden://a" },
    List {
        method: "resources/templates/list",
        member: "resource\\u0054emplates",
        key: "uriTemplate",
        shown: "shown://{a}/é",
        hidden: "hidden://{a}",
    },
];

/// What servers say with an entry, in spellings that JSON written anew would lose.
const MORE: &str = r#" "_meta" : {"tools":[ {"name":"hidden_b"} ],"big":123456789012345678901234567890,"n":[1.0e+10,-0 , 1E400]},
"description":"cut off \ud83d", "x\/y":"\u00e9\"}],""#;

/// Cursors are opaque: each page's, as it is written.
const CURSORS: [&str; 3] = [r#""b\/\u0041= \"}],\t\ud83d\ude42""#, r#"  """#, r#""eyJ \n\\""#];

impl List {
    fn entry(&self, value: &str) -> String {
        format!("{{{MORE},\n\"{}\" : \"{value}\" }}", self.key)
    }

    /// A page with these entries, the white space about them included.
    fn page(&self, id: &str, cursor: &str, entries: &str, scope: &str) -> String {
        format!(
            "{{ \"jsonrpc\" : \"2.0\",\"id\":{id}, \"result\":{{\n\"ttlMs\" :6.0E4,\"cacheScope\":  {scope} ,\"{}\":\t[{entries}],\n\
             \"_meta\":{{\"cacheScope\":\"public\"}},\"nextCursor\":{cursor},\"acme/x\":{{{MORE}}} }} }}",
            self.member
        )
    }

    /// Pages as the server sends them, and as the client may see them: hidden entries first and last, between, alone, none.
    fn pages(&self, id: &str) -> [(String, String); 3] {
        let (shown, hidden) = (self.entry(self.shown), self.entry(self.hidden));
        let page = |cursor: usize, sent: &str, seen: &str| {
            let sent = self.page(id, CURSORS[cursor], sent, "\"public\"");
            (sent, self.page(id, CURSORS[cursor], seen, "\"private\""))
        };
        [
            page(
                0,
                &format!(" {hidden}, {shown} , {hidden} ,\n{shown}\n,{hidden}\t"),
                &format!(" {shown} ,\n{shown}\t"),
            ),
            page(1, &format!(" {hidden} , {hidden} "), "  "),
            page(2, &format!("{shown},\n {shown} "), &format!("{shown},\n {shown} ")),
        ]
    }
}

/// A message in more than one line as an event of a stream that can be resumed.
fn lines(message: &str) -> String {
    format!(": c\nid: e-1\nevent: message\ndata: {}\nretry: 5\n\n", message.replace('\n', "\ndata: "))
}

/// A message of the server's among events that hold none.
fn among(event: &str) -> String {
    let note = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1E400, "tools":[1]}}"#;
    format!("id: e-0\ndata:\n\n: c\n\ndata: {note}\n\n{event}data: {note}\n\n")
}

#[tokio::test]
async fn on_every_road_nothing_changes_but_hidden_entries_and_the_cache_scope() {
    let world = World::start(&format!("{HEAD}{ROUTE}")).await;
    let token = world.token("mcp");
    world.mcp.permit(1);
    let opened = world.message("mcp", "initialize", json!({"protocolVersion": "2025-11-25"})).await;
    let session = opened.passed().header("mcp-session-id").expect("a session id").to_owned();
    world.mcp.next().await;
    for (at, list) in LISTS.iter().enumerate() {
        let call = |id: &str, list: &List, cursor: &str| {
            format!(r#"{{"jsonrpc":"2.0","id":{id}, "method":"{}","params":{{"cursor": {cursor} }}}}"#, list.method)
        };
        let other = &LISTS[(at + 1) % LISTS.len()];
        let pages = list.pages("7").into_iter().zip(other.pages(r#""\u0062""#)).zip(CURSORS);
        for (((sent, seen), (sent_too, seen_too)), cursor) in pages {
            let single = world.client.post(PATH, call("7", list, cursor));
            let both = format!("[{},{}]", call("7", list, cursor), call(r#""b""#, other, cursor));
            let batch = world.client.post(PATH, &both);
            let get = world.client.get(PATH);
            let resumed = get.clone().header("Last-Event-ID", "e-0").header("Mcp-Session-Id", &session);
            let json = |text: &str| text.to_owned();
            let event = |text: &str| among(&lines(text));
            let array = |one: &str, two: &str| format!("\n[ {one}\n,{two}] ");
            let array_event = |one: &str, two: &str| among(&lines(&array(one, two)));
            let two_events = |one: &str, two: &str| among(&format!("{}{}", lines(two), lines(one)));
            let roads = [
                (single.clone(), "application/json", json(&sent), json(&seen)),
                (single, "text/event-stream", event(&sent), event(&seen)),
                (batch.clone(), "application/json", array(&sent, &sent_too), array(&seen, &seen_too)),
                (batch.clone(), "text/event-stream", array_event(&sent, &sent_too), array_event(&seen, &seen_too)),
                (batch, "text/event-stream", two_events(&sent, &sent_too), two_events(&seen, &seen_too)),
                (get, "text/event-stream", event(&sent), event(&seen)),
                (resumed, "text/event-stream", two_events(&sent, &sent_too), two_events(&seen, &seen_too)),
            ];
            for (road, (request, kind, sent, seen)) in roads.into_iter().enumerate() {
                world.mcp.permit(1);
                world.mcp.answer(Answer::text(kind, &sent));
                let reply = request.token(&token).send().await;
                assert_eq!(reply.passed().text(), seen, "{} on road {road}", list.method);
                let arrived = world.mcp.next().await;
                let body = match road {
                    0 | 1 => call("7", list, cursor),
                    2..=4 => both.clone(),
                    _ => String::new(),
                };
                assert_eq!(String::from_utf8_lossy(&arrived.body), body);
                let from = (arrived.header("mcp-session-id"), arrived.header("last-event-id"));
                assert_eq!(from, if road == 6 { (Some(SESSION_ID), Some("e-0")) } else { (None, None) });
            }
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn a_stream_in_single_bytes_shows_the_same() {
    let world = World::start(&format!("{HEAD}{ROUTE}")).await;
    let lists = |seen: bool| {
        let pages = LISTS.iter().enumerate().map(|(at, list)| {
            let [(sent_page, seen_page), ..] = list.pages("7");
            let event = lines(if seen { &seen_page } else { &sent_page });
            [event.clone(), event.replace('\n', "\r\n"), event.replace('\n', "\r"), event][at].clone()
        });
        format!("\u{feff}{}", pages.collect::<String>())
    };
    let (answer, stream) = Answer::stream();
    world.mcp.permit(1);
    world.mcp.answer(answer);
    let request = world.client.call(PATH, "tools/list", &json!({})).token(&world.token("mcp"));
    let feed = async {
        for character in lists(false).chars() {
            stream.send(character.encode_utf8(&mut [0; 4])).await;
        }
        stream.end().await;
    };
    let (reply, ()) = tokio::join!(request.send(), feed);
    assert_eq!(reply.passed().text(), lists(true));
    world.finish().await;
}

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
    // A member twice, an entry without a name.
    for result in [r#"{"a":1,"a":2}"#, r#"{"tools":[1]}"#] {
        stream.send(&format!("data: {{\"jsonrpc\":\"2.0\",\"id\":8,\"result\":{result}}}\n\n")).await;
        let got = opened.event().await.unwrap();
        assert!(got.contains("\"id\":8,\"error\":{\"code\":-32603"), "{result} {got}");
    }
    stream.end().await;
    assert_eq!(opened.end().await, End::Clean);
    world.finish().await;
}
