//! Section E: what a server sends, and what of it reaches a client that may not see it. Here `reached` means the client.

use serde_json::{Value, json};

use crate::exchange::{self, Answers};
use crate::readings::{FORBIDDEN, marks};
use crate::run::rows;
use crate::scene::{Scene, Tally};
use crate::support::client::Request;
use crate::support::gateway::{PATH, file};
use crate::support::mcp_server::{Answer, event};

rows![
    e1_one_policy_for_lists_and_calls,
    e2_hidden_tools_in_answers,
    e3_replayed_streams,
    e4_shared_caches,
    e5_cut_answers,
    e6_the_servers_own_challenges,
    e7_response_splitting,
    e8_held_back_events,
    e9_clients_that_leave,
];

/// One answer of the server's, and what the client gets of it. The forbidden name must not be in it.
async fn answered(scene: &mut Scene, what: &str, request: &Request, answer: Answer, statuses: &[u16]) -> Answers {
    scene.permit(1);
    scene.world.mcp.answer(answer);
    let host = scene.world.address.to_string();
    let answers = exchange::exchange(scene.front, &host, &request.bytes()).await;
    for mark in marks(&answers.everything()) {
        let text = String::from_utf8_lossy(&answers.everything()).into_owned();
        scene.tally.reached.push(format!("{what}: {mark} reached the client: {text}"));
    }
    let fine = statuses.contains(&answers.status());
    scene.expect(fine, format!("{what}: {statuses:?} gave {:?} {:?}", answers.statuses(), answers.rest));
    scene.fired(what, 1).await;
    answers
}

fn tools_list(scene: &Scene) -> Request {
    scene.world.client.call(PATH, "tools/list", &json!({})).token(&scene.token)
}

/// A list with one tool that everybody may see and one that nobody may.
fn list() -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "result": {"tools": [{"name": "get_x"}, {"name": FORBIDDEN}]}})
}

async fn e1_one_policy_for_lists_and_calls() -> Tally {
    let mut scene = Scene::start(&file("visibility: granted")).await;
    let names = [
        "get_x",
        "list_x",
        "create_issue",
        "either",
        FORBIDDEN,
        "open_to_all",
        "unknown",
        "GET_X",
        "get_x\u{0}",
        "get_\u{435}",
    ];
    for scope in ["mcp", "mcp tools:read", "mcp tools:write", "mcp a:first"] {
        let token = scene.world.token(scope);
        let tools: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        scene.permit(1);
        scene.world.mcp.answer(Answer::json(&json!({"jsonrpc": "2.0", "id": 7, "result": {"tools": tools}})));
        let shown = scene.world.client.call(PATH, "tools/list", &json!({})).token(&token).send().await.json();
        let shown: Vec<String> = shown["result"]["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tool| tool["name"].as_str().unwrap().to_owned())
            .collect();
        drop(scene.recorder.take());
        for name in names {
            let call = scene.world.client.tool(PATH, name).token(&token);
            if shown.iter().any(|each| each == name) {
                scene.defused(format!("{scope}: {name:?} is shown"), &call).await;
            } else {
                scene.refused(format!("{scope}: {name:?} is hidden"), &call, &[403]).await;
            }
        }
    }
    scene.end().await
}

#[expect(clippy::too_many_lines, reason = "a table: one attack a line")]
async fn e2_hidden_tools_in_answers() -> Tally {
    let mut scene = Scene::standard().await;
    let request = tools_list(&scene);
    let text = list().to_string();
    let data = event(&list());
    let (before, after) = text.split_at(40);
    let stream = |body: &str| Answer::text("text/event-stream", body);
    let json_body = |body: &str| Answer::text("application/json", body);
    let answers = [
        ("JSON", json_body(&text)),
        ("an event", stream(&data)),
        ("CR", stream(&data.replace('\n', "\r"))),
        ("CRLF", stream(&data.replace('\n', "\r\n"))),
        ("mixed line ends", stream(&format!("event: message\rdata: {text}\r\n\n"))),
        ("a byte order mark", stream(&format!("\u{feff}{data}"))),
        ("two byte order marks", stream(&format!("\u{feff}\u{feff}{data}"))),
        ("several data lines", stream(&format!("data: {before}\ndata: {after}\n\n"))),
        ("data without a space", stream(&format!("data:{text}\n\n"))),
        ("data with two spaces", stream(&format!("data:  {text}\n\n"))),
        ("unterminated", stream(&format!("data: {text}"))),
        ("unterminated, one line end", stream(&format!("data: {text}\n"))),
        ("another event type", stream(&format!("event: other\ndata: {text}\n\n"))),
        ("a NUL", stream(&format!("data: {text}\0\n\n"))),
        ("broken JSON in an event", stream(&format!("data: {}\n\n", &text[..text.len() - 1]))),
        ("a batch in an event", stream(&format!("data: [{text}]\n\n"))),
        ("broken JSON", json_body(&text[..text.len() - 1])),
        ("two values", json_body(&format!("{text}{text}"))),
        ("a batch", json_body(&format!("[{text}]"))),
        ("a nested batch", json_body(&format!("[[{text}]]"))),
        (
            "tools twice",
            json_body(&format!(
                r#"{{"jsonrpc":"2.0","id":7,"result":{{"tools":[],"tools":[{{"name":"{FORBIDDEN}"}}]}}}}"#
            )),
        ),
        (
            "tools twice, escaped",
            json_body(&format!(
                r#"{{"jsonrpc":"2.0","id":7,"result":{{"tools":[],"t\u006fols":[{{"name":"{FORBIDDEN}"}}]}}}}"#
            )),
        ),
        (
            "result twice",
            json_body(&format!(
                r#"{{"jsonrpc":"2.0","id":7,"result":{{}},"result":{{"tools":[{{"name":"{FORBIDDEN}"}}]}}}}"#
            )),
        ),
        ("Tools", json_body(&format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"Tools":[{{"name":"{FORBIDDEN}"}}]}}}}"#))),
        (
            "Result",
            json_body(&format!(r#"{{"jsonrpc":"2.0","id":7,"Result":{{"tools":[{{"name":"{FORBIDDEN}"}}]}}}}"#)),
        ),
        ("an escaped name", json_body(&text.replace("delete", r"\u0064elete"))),
        (
            "the name twice",
            json_body(&format!(
                r#"{{"jsonrpc":"2.0","id":7,"result":{{"tools":[{{"name":"get_x","name":"{FORBIDDEN}"}}]}}}}"#
            )),
        ),
        (
            "Name",
            json_body(&format!(
                r#"{{"jsonrpc":"2.0","id":7,"result":{{"tools":[{{"name":"get_x","Name":"{FORBIDDEN}"}}]}}}}"#
            )),
        ),
        (
            "an entry that is no object",
            json_body(&format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"tools":["{FORBIDDEN}"]}}}}"#)),
        ),
        ("another id", json_body(&text.replace("\"id\":7", "\"id\":8"))),
        ("no id", json_body(&text.replace("\"id\":7,", ""))),
        ("a BOM before JSON", json_body(&format!("\u{feff}{text}"))),
        (
            "UTF-16",
            Answer::status(200)
                .header("Content-Type", "application/json")
                .body(&text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()),
        ),
        ("text/plain", Answer::text("text/plain", &text)),
        ("text/html", Answer::text("text/html", &text)),
        ("no type", Answer::status(200).body(text.as_bytes())),
        ("two types", json_body(&text).header("Content-Type", "text/plain")),
        ("says gzip", json_body(&text).header("Content-Encoding", "gzip")),
        ("an event stream that says gzip", stream(&data).header("Content-Encoding", "gzip")),
        ("an error status", Answer::status(500).header("Content-Type", "application/json").body(text.as_bytes())),
        ("201", Answer::status(201).header("Content-Type", "application/json").body(text.as_bytes())),
        ("a part", Answer::status(206).header("Content-Type", "application/json").body(text.as_bytes())),
        ("JSON that says event stream", stream(&text)),
        ("an event stream that says JSON", json_body(&data)),
    ];
    for (what, answer) in answers {
        answered(&mut scene, what, &request, answer, &[200, 201, 500, 502]).await;
    }
    let hidden_elsewhere = scene.call().token(&scene.token);
    answered(&mut scene, "as the answer to a call", &hidden_elsewhere, json_body(&text), &[200, 502]).await;
    answered(&mut scene, "as an event after a call", &hidden_elsewhere, stream(&data), &[200, 502]).await;
    // An event cut at every byte.
    let (answer, control) = Answer::stream();
    scene.permit(1);
    scene.world.mcp.answer(answer);
    let mut opened = request.open().await;
    for char in data.chars() {
        control.send(&char.to_string()).await;
    }
    let seen = opened.event().await.unwrap_or_default();
    if !marks(seen.as_bytes()).is_empty() {
        scene.tally.reached.push(format!("an event in pieces: {seen}"));
    }
    control.end().await;
    drop(opened);
    scene.fired("an event in pieces", 1).await;
    scene.end().await
}

async fn e3_replayed_streams() -> Tally {
    let mut scene = Scene::standard().await;
    scene.permit(1);
    let initialize = scene.world.client.call(PATH, "initialize", &json!({"protocolVersion": "2025-06-18"}));
    let id = initialize.token(&scene.token).send().await.header("mcp-session-id").unwrap().to_owned();
    drop(scene.recorder.take());
    let text = list().to_string();
    let streams = [
        ("a stored list", event(&list())),
        ("with its id", format!("id: 7\n{}", event(&list()))),
        ("after others", format!("id: 1\ndata: {{\"jsonrpc\":\"2.0\",\"method\":\"x\"}}\n\nid: 2\n{}", event(&list()))),
        ("twice", format!("{}{}", event(&list()), event(&list()))),
        ("with retry", format!("retry: 1\nid: 3\ndata: {text}\n\n")),
        ("of another request", event(&list()).replace("\"id\":7", "\"id\":\"of-another\"")),
        (
            "prompts",
            event(
                &json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": [], "prompts": [], "resources": [{"uri": format!("file:///{FORBIDDEN}")}]}}),
            ),
        ),
        (
            "templates",
            event(
                &json!({"jsonrpc": "2.0", "id": 1, "result": {"resourceTemplates": [{"uriTemplate": format!("file:///{FORBIDDEN}")}]}}),
            ),
        ),
        ("in a batch", format!("data: [{text}]\n\n")),
    ];
    for (what, body) in streams {
        for event_id in [Some("e-1"), None] {
            let mut request = scene.world.client.get(PATH).token(&scene.token).header("Mcp-Session-Id", &id);
            if let Some(event_id) = event_id {
                request = request.header("Last-Event-ID", event_id);
            }
            let answer = Answer::text("text/event-stream", &body);
            answered(&mut scene, &format!("{what}, from {event_id:?}"), &request, answer, &[200, 502]).await;
        }
    }
    scene.end().await
}

async fn e4_shared_caches() -> Tally {
    let mut scene = Scene::standard().await;
    let request = tools_list(&scene);
    for scope in ["public", "PUBLIC", "private", "shared", ""] {
        let mut answer = list();
        answer["result"]["cacheScope"] = json!(scope);
        answer["result"]["ttlMs"] = json!(600_000);
        for events in [false, true] {
            let answer = if events { Answer::events(&[&event(&answer)]) } else { Answer::json(&answer) };
            let answers =
                answered(&mut scene, &format!("cacheScope {scope}, events {events}"), &request, answer, &[200]).await;
            let text = answers.first().text();
            scene.expect(text.contains(r#""cacheScope":"private""#), format!("cacheScope {scope}: {text}"));
        }
    }
    for control in [
        "public",
        "public, max-age=600",
        "s-maxage=600",
        "PUBLIC",
        "must-revalidate",
        "max-age=0, Must-Revalidate",
        "private=\"x\", public",
    ] {
        let answer =
            Answer::json(&list()).header("Cache-Control", control).header("Expires", "Thu, 01 Jan 2099 00:00:00 GMT");
        let answers = answered(&mut scene, &format!("Cache-Control: {control}"), &request, answer, &[200]).await;
        let told = answers.first().header("cache-control").unwrap_or_default().to_ascii_lowercase();
        // What lets a shared cache keep the answer to a request with a token (RFC 9111 §3.5).
        let shared = ["public", "s-maxage", "must-revalidate"].iter().any(|word| told.contains(word));
        scene.expect(!shared, format!("Cache-Control: {control} became {told:?}"));
    }
    for request in
        [scene.call(), scene.call().token("a.b.c"), scene.world.client.tool(PATH, FORBIDDEN).token(&scene.token)]
    {
        let answers = scene.refused("a refusal", &request, &[401, 403]).await;
        let kept = answers.first().header("cache-control") != Some("no-store");
        scene.expect(!kept, "a refusal may be kept");
    }
    scene.end().await
}

async fn e5_cut_answers() -> Tally {
    let mut scene = Scene::standard().await;
    let call = scene.call().token(&scene.token);
    let half = event(&json!({"jsonrpc": "2.0", "method": "notifications/progress"}));
    let result = json!({"jsonrpc": "2.0", "id": 7, "result": {}}).to_string();
    for (what, answer) in [
        ("JSON cut short", Answer::text("application/json", &result).cut_short()),
        ("no answer", Answer::vanish()),
        ("half a head", Answer::raw(b"HTTP/1.1 200 OK\r\nContent-Type: appl")),
        (
            "half a chunk",
            Answer::raw(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{",
            ),
        ),
        (
            "no last chunk",
            Answer::raw(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
            ),
        ),
        ("no body", Answer::raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n")),
    ] {
        answered(&mut scene, what, &call, answer, &[502]).await;
    }
    for (what, answer) in [
        ("an event stream cut short", Answer::events(&[&half]).cut_short()),
        (
            "an event stream without its last chunk",
            Answer::raw(
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{half}\r\n",
                    half.len()
                )
                .as_bytes(),
            ),
        ),
    ] {
        // No clean end: the last chunk never comes, and so there is no whole answer.
        let answers = answered(&mut scene, what, &call, answer, &[0]).await;
        scene.expect(!answers.rest.is_empty(), format!("{what}: nothing arrived"));
    }
    scene.end().await
}

async fn e6_the_servers_own_challenges() -> Tally {
    let mut scene = Scene::standard().await;
    let call = scene.call().token(&scene.token);
    let body = json!({"jsonrpc": "2.0", "id": 7, "result": {}});
    let challenge = "Bearer resource_metadata=\"https://f0rged.example\"";
    for (what, answer, statuses) in [
        ("401", Answer::status(401).header("WWW-Authenticate", challenge), [502]),
        ("401 without a challenge", Answer::status(401), [502]),
        ("407", Answer::status(407).header("Proxy-Authenticate", "Basic realm=f0rged"), [407]),
        ("403 with a challenge", Answer::status(403).header("WWW-Authenticate", challenge), [403]),
        ("200 with a challenge", Answer::json(&body).header("WWW-Authenticate", challenge), [200]),
        ("a cookie", Answer::json(&body).header("Set-Cookie", "f0rged=1"), [200]),
        ("301", Answer::status(301).header("Location", "https://f0rged.example"), [502]),
        ("302", Answer::status(302).header("Location", "https://f0rged.example"), [502]),
        ("303", Answer::status(303).header("Location", "https://f0rged.example"), [502]),
        ("307", Answer::status(307).header("Location", "https://f0rged.example"), [502]),
        ("308", Answer::status(308).header("Location", "/f0rged"), [502]),
        ("304", Answer::status(304), [502]),
        ("CORS", Answer::json(&body).header("Access-Control-Allow-Origin", "https://f0rged.example"), [200]),
        ("CORS with credentials", Answer::json(&body).header("Access-Control-Allow-Credentials", "f0rged"), [200]),
        ("our own reason", Answer::json(&body).header("Gatepost-Reason", "f0rged"), [200]),
    ] {
        // The mark in the answer would show that the header passed.
        answered(&mut scene, what, &call, answer, &statuses).await;
    }
    scene.end().await
}

async fn e7_response_splitting() -> Tally {
    let mut scene = Scene::standard().await;
    let call = scene.call().token(&scene.token);
    let body = json!({"jsonrpc": "2.0", "id": 7, "result": {}}).to_string();
    let second = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 6\r\n\r\nf0rged";
    let head = |lines: &str| format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{lines}\r\n");
    let length = body.len();
    for (what, bytes) in [
        (
            "a second answer behind the first",
            format!("{}{body}{second}", head(&format!("Content-Length: {length}\r\n"))),
        ),
        ("two lengths", format!("{}{body}", head(&format!("Content-Length: {length}\r\nContent-Length: 3\r\n")))),
        ("a list of lengths", format!("{}{body}", head(&format!("Content-Length: {length}, 3\r\n")))),
        ("a negative length", format!("{}{body}", head("Content-Length: -1\r\n"))),
        ("a hexadecimal length", format!("{}{body}", head("Content-Length: 0x2a\r\n"))),
        (
            "CL and TE",
            format!(
                "{}{length:x}\r\n{body}\r\n0\r\n\r\n{second}",
                head("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n")
            ),
        ),
        ("an unknown coding", format!("{}{body}", head("Transfer-Encoding: f0rged\r\n"))),
        (
            "chunked twice",
            format!("{}{length:x}\r\n{body}\r\n0\r\n\r\n", head("Transfer-Encoding: chunked, chunked\r\n")),
        ),
        ("a header without a colon", format!("{}{body}", head(&format!("f0rged\r\nContent-Length: {length}\r\n")))),
        (
            "a bare CR in a header",
            format!("{}{body}", head(&format!("X: a\rf0rged: b\r\nContent-Length: {length}\r\n"))),
        ),
        ("a folded header", format!("{}{body}", head(&format!("X: a\r\n f0rged: b\r\nContent-Length: {length}\r\n")))),
        ("a NUL in a header", format!("{}{body}", head(&format!("X: a\0f0rged\r\nContent-Length: {length}\r\n")))),
        (
            "hop-by-hop headers",
            format!(
                "{}{body}",
                head(&format!(
                    "Connection: X-Own, keep-alive\r\nX-Own: f0rged\r\nKeep-Alive: f0rged\r\nProxy-Connection: f0rged\r\nUpgrade: f0rged\r\nContent-Length: {length}\r\n"
                ))
            ),
        ),
        (
            "trailers",
            format!(
                "{}{length:x}\r\n{body}\r\n0\r\nX-Own: f0rged\r\n\r\n",
                head("Trailer: X-Own\r\nTransfer-Encoding: chunked\r\n")
            ),
        ),
        ("101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: f0rged\r\nConnection: upgrade\r\n\r\nf0rged".to_owned()),
        (
            "103 before",
            format!(
                "HTTP/1.1 103 Early Hints\r\nLink: f0rged\r\n\r\n{}{body}",
                head(&format!("Content-Length: {length}\r\n"))
            ),
        ),
        ("HTTP/0.9", "f0rged".to_owned()),
        ("HTTP/2.0", format!("HTTP/2.0 200 OK\r\nContent-Length: {length}\r\n\r\n{body}f0rged")),
        ("a status of four digits", format!("HTTP/1.1 2000 f0rged\r\nContent-Length: {length}\r\n\r\n{body}")),
        ("a status of letters", format!("HTTP/1.1 abc f0rged\r\nContent-Length: {length}\r\n\r\n{body}")),
        (
            "5000 headers",
            format!("{}{body}", head(&format!("{}Content-Length: {length}\r\n", "X: f0rged\r\n".repeat(5000)))),
        ),
    ] {
        answered(&mut scene, what, &call, Answer::raw(bytes.as_bytes()), &[200, 502]).await;
    }
    scene.end().await
}

async fn e8_held_back_events() -> Tally {
    let mut scene = Scene::standard().await;
    let progress = |n: usize| json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": n}});
    for request in [scene.call().token(&scene.token), tools_list(&scene)] {
        let (answer, control) = Answer::stream();
        scene.permit(1);
        scene.world.mcp.answer(answer);
        let mut opened = request.open().await;
        // The next one is sent when the one before is there: what waits for more waits for ever.
        for n in 0..10 {
            control.event(&progress(n)).await;
            let seen = opened.event().await;
            scene.expect(seen == Some(event(&progress(n))), format!("event {n}: {seen:?}"));
        }
        control.end().await;
        drop(opened);
        scene.fired("events one by one", 1).await;
    }
    scene.end().await
}

async fn e9_clients_that_leave() -> Tally {
    let mut scene = Scene::standard().await;
    let mut left = 0;
    for _ in 0..5 {
        let (answer, control) = Answer::stream();
        scene.permit(1);
        scene.world.mcp.answer(answer);
        let mut opened = scene.call().token(&scene.token).open().await;
        control.event(&json!(1)).await;
        opened.event().await;
        drop(opened);
        left += 1;
        scene.world.mcp.left(left).await;
        scene.fired("in the middle of a stream", 1).await;

        scene.permit(1);
        scene.world.mcp.answer(Answer::hang());
        let before = scene.world.mcp.arrived();
        let mut attacker = tokio::net::TcpStream::connect(scene.front).await.unwrap();
        let bytes = scene.call().token(&scene.token).bytes();
        tokio::io::AsyncWriteExt::write_all(&mut attacker, &bytes).await.unwrap();
        while scene.world.mcp.arrived() == before {
            tokio::task::yield_now().await;
        }
        drop(attacker);
        left += 1;
        scene.world.mcp.left(left).await;
        scene.fired("before the answer", 1).await;
    }
    scene.end().await
}
