//! Section I: slow clients, and those that want everything. Every timeout is a second here; the time that a connection may last
//! is far above that, and far below what a slow client would like.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::exchange::to_the_end;
use crate::h2::{DATA, END_HEADERS, H2, HEADERS, Outcome, block, frame_of};
use crate::run::rows;
use crate::scene::{Expect, Scene, TIMEOUTS, Tally};
use crate::support::gateway::{HEAD, PATH, file};
use crate::support::mcp_server::{Answer, event};
use crate::support::within;

rows![
    i1_slow_heads,
    i2_slow_bodies,
    i3_body_budget,
    i4_connections,
    i5_unread_answers,
    i6_idle_streams,
    i7_patterns,
    i8_names_that_clients_choose,
];

/// What a slow client may last at most.
const LONG: Duration = Duration::from_secs(15);

async fn i1_slow_heads() -> Tally {
    let mut scene = Scene::standard().await;
    let head = format!("POST {PATH} HTTP/1.1\r\nHost: {}\r\nX: ", scene.world.address);
    let hello = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = String::from_utf8(frame_of(4, 0, 0, &[])).unwrap();
    let half_headers = String::from_utf8(frame_of(HEADERS, 0, 1, &[])).unwrap();
    let get = format!("GET /unknown HTTP/1.1\r\nHost: {}\r\n\r\n", scene.world.address);
    let silent = [
        ("nothing", String::new()),
        ("one byte", "P".to_owned()),
        ("an empty line", "\r\n".to_owned()),
        ("half a method", "PO".to_owned()),
        ("half a request line", format!("POST {PATH} HT")),
        ("half a head", head.clone()),
        ("all but the last byte", format!("{head}y\r\n\r")),
        ("half the h2 preface", hello[..10].to_owned()),
        ("the h2 preface", hello.to_owned()),
        ("the h2 preface and SETTINGS", format!("{hello}{settings}")),
        ("an h2 head without its end", format!("{hello}{settings}{half_headers}")),
        ("a request, then nothing", get.clone()),
        ("a request, then half of another", format!("{get}POST")),
    ];
    let begun = Instant::now();
    let mut attackers = JoinSet::new();
    for _ in 0..20 {
        for (what, bytes) in silent.clone() {
            let front = scene.front;
            attackers.spawn(async move { (what, to_the_end(front, bytes.as_bytes()).await) });
        }
    }
    // One byte at a time, for ever.
    for (what, first) in [
        ("a head byte by byte", head.clone()),
        ("a request line byte by byte", "POST /".to_owned()),
        ("an h2 head byte by byte", format!("{hello}{settings}")),
    ] {
        let front = scene.front;
        attackers.spawn(async move {
            drip(front, first.as_bytes(), b"a").await;
            (what, crate::exchange::Answers::default())
        });
    }
    scene.served("slow heads").await;
    for (what, answers) in within("slow heads end", attackers.join_all()).await {
        let refused = answers.all.iter().all(|answer| (400..500).contains(&answer.status));
        scene.expect(refused && !answers.open, format!("{what}: {:?} open={}", answers.statuses(), answers.open));
        scene.settle(what, 0);
    }
    scene.expect(begun.elapsed() < LONG, format!("slow heads lasted {:?}", begun.elapsed()));
    scene.served("slow heads, afterwards").await;
    scene.end().await
}

/// Sends `first` and then `byte` again and again, until the other end has enough.
async fn drip(front: std::net::SocketAddr, first: &[u8], byte: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(front).await.unwrap();
    stream.set_nodelay(true).unwrap();
    drop(stream.write_all(first).await);
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    let mut read = Vec::new();
    loop {
        tokio::select! {
            _ = pace.tick() => if stream.write_all(byte).await.is_err() { return read },
            got = stream.read_buf(&mut read) => if !matches!(got, Ok(1..)) { return read },
        }
    }
}

async fn i2_slow_bodies() -> Tally {
    let mut scene = Scene::standard().await;
    let front = scene.front;
    let bodies = |token: Option<&str>, framing: &str| {
        let mut head = format!(
            "POST {PATH} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n{framing}\r\n",
            scene.world.address
        );
        if let Some(token) = token {
            write!(head, "Authorization: Bearer {token}\r\n").unwrap();
        }
        head + "\r\n"
    };
    let token = scene.token.clone();
    let mut attackers = JoinSet::new();
    let mut count = 0;
    for (what, head, byte, expected) in [
        ("nothing of a body", bodies(Some(&token), "Content-Length: 1000"), "", 408),
        ("a body byte by byte", bodies(Some(&token), "Content-Length: 100000"), " ", 408),
        ("chunks byte by byte", bodies(Some(&token), "Transfer-Encoding: chunked"), "1\r\n \r\n", 408),
        ("a chunk's size byte by byte", bodies(Some(&token), "Transfer-Encoding: chunked") + "1;", "a", 408),
        ("no last chunk", bodies(Some(&token), "Transfer-Encoding: chunked") + "2\r\n{}\r\n", "", 408),
        ("no token, nothing of a body", bodies(None, "Content-Length: 1000"), "", 401),
        ("no token, byte by byte", bodies(None, "Content-Length: 100000"), " ", 401),
        ("no token, chunks", bodies(None, "Transfer-Encoding: chunked"), "1\r\n \r\n", 401),
    ] {
        for _ in 0..10 {
            let head = head.clone();
            count += 1;
            attackers.spawn(async move {
                let read = drip(front, head.as_bytes(), byte.as_bytes()).await;
                (what, crate::exchange::Answers::parse(&read, false), expected)
            });
        }
    }
    let begun = Instant::now();
    scene.served("slow bodies").await;
    for (what, answers, expected) in within("slow bodies end", attackers.join_all()).await {
        // One that is closed in the middle of a chunk's line may get no answer.
        let fine = answers.status() == expected || (what.contains("size") && [0, 400].contains(&answers.status()));
        scene.expect(fine, format!("{what}: {:?}", answers.statuses()));
        scene.settle(what, 0);
    }
    scene.expect(count > 0 && begun.elapsed() < LONG, format!("slow bodies lasted {:?}", begun.elapsed()));
    let headers = [
        (":method", "POST".to_owned()),
        (":scheme", "http".to_owned()),
        (":authority", scene.world.address.to_string()),
        (":path", PATH.to_owned()),
        ("content-type", "application/json".to_owned()),
        ("authorization", format!("Bearer {token}")),
    ];
    for (what, piece) in [("nothing of a body by h2", &b""[..]), ("a part of a body by h2", b"{\"jsonrpc\"")] {
        let mut attacker = H2::connect(front, &[]).await;
        attacker.send(&frame_of(HEADERS, END_HEADERS, 1, &block(&headers))).await;
        attacker.send(&frame_of(DATA, 0, 1, piece)).await;
        let outcome = attacker.outcome(1).await;
        scene.expect(outcome == Outcome::Status(408), format!("{what}: {outcome:?}"));
        scene.fired(what, 0).await;
    }
    scene.end().await
}

async fn i3_body_budget() -> Tally {
    let text = format!("{}limits: {{body_bytes_max: 8192, bodies_in_flight_bytes_max: 8192}}\n{TIMEOUTS}", file(""));
    let mut scene = Scene::start(&text.replace("body_secs: 1", "body_secs: 2")).await;
    // They announce much: what they do not send takes nothing from the others.
    let announce = scene.post(" ".repeat(8000));
    let mut announced = Vec::new();
    for _ in 0..20 {
        announced.push(announce.clone().send_all_but(8000).await);
    }
    scene.fired("20 bodies that are announced", 0).await;
    drop(announced);
    // They send much, and never the end.
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(scene.post(" ".repeat(3500)).send_all_but(10).await);
    }
    scene.fired("7 kB of unfinished bodies", 0).await;
    let more = scene.post(" ".repeat(8000));
    let answers = scene.refused("a body beyond the budget", &more, &[503, 400]).await;
    let fine = answers.status() != 503 || answers.first().header("retry-after").is_some();
    scene.expect(fine, "503 without Retry-After");
    for unfinished in held {
        let reply = unfinished.give_up().await;
        scene.expect(reply.status == 408, format!("an unfinished body: {}", reply.status));
    }
    // The budget comes back.
    let large = scene.post(" ".repeat(8000));
    scene.refused("a large body afterwards", &large, &[400]).await;
    scene.end().await
}

async fn i4_connections() -> Tally {
    let text = format!("{}limits: {{connections_max: 8}}\n", file(""));
    let mut scene = Scene::start(&text).await;
    for what in ["silent connections", "half a head", "h2 without streams"] {
        let mut attackers = Vec::new();
        for _ in 0..30 {
            let mut stream = TcpStream::connect(scene.front).await.unwrap();
            let bytes: &[u8] = match what {
                "half a head" => b"POST / HTTP/1.1\r\nX",
                "h2 without streams" => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                _ => b"",
            };
            stream.write_all(bytes).await.unwrap();
            attackers.push(stream);
        }
        // Behind thirty that say nothing, and served when their time is over.
        let begun = Instant::now();
        scene.fired(format!("30 {what} where 8 may be"), 0).await;
        scene.expect(begun.elapsed() < LONG, format!("{what}: served after {:?}", begun.elapsed()));
        drop(attackers);
    }
    scene.end().await
}

async fn i5_unread_answers() -> Tally {
    let mut scene = Scene::standard().await;
    let large = "x".repeat(12 << 20);
    let answers = [
        ("a large answer", Answer::json(&json!({"jsonrpc": "2.0", "id": 7, "result": {"content": [large]}}))),
        (
            "many events",
            Answer::events(&[
                &event(&json!({"jsonrpc": "2.0", "method": "x", "params": {"a": "y".repeat(1000)}})).repeat(12_000)
            ]),
        ),
    ];
    for (what, answer) in answers {
        scene.permit(1);
        scene.world.mcp.answer(answer);
        // It takes little, and reads none of it.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut attacker = socket.connect(scene.front).await.unwrap();
        attacker.write_all(&scene.call().token(&scene.token).bytes()).await.unwrap();
        // It reads nothing, for thrice as long as it may.
        drop(tokio::time::timeout(Duration::from_secs(3), std::future::pending::<()>()).await);
        let mut read = Vec::new();
        drop(within("the connection ends", attacker.read_to_end(&mut read)).await);
        scene.expect(read.len() < 12 << 20, format!("{what}: all {} bytes came", read.len()));
        scene.fired(what, 1).await;
    }
    scene.end().await
}

async fn i6_idle_streams() -> Tally {
    let times = TIMEOUTS.replace("{handshake_secs", "{keep_alive_secs: 1, handshake_secs");
    let mut scene = Scene::start(&format!("{}limits: {{streams_per_principal_max: 3}}\n{times}", file(""))).await;
    let get = scene.world.client.get(PATH).token(&scene.token);
    let mut idle = Vec::new();
    for _ in 0..3 {
        let (answer, control) = Answer::stream();
        scene.permit(1);
        scene.world.mcp.answer(answer);
        idle.push((get.clone().open().await, control));
    }
    drop(scene.recorder.take());
    // Each says that it lives, which a peer that is gone does not answer.
    for (opened, _) in &mut idle {
        let said = opened.bytes().await;
        scene.expect(said == ":\n\n", format!("an idle stream says {said:?}"));
    }
    for n in 4..8 {
        scene.refused(format!("stream {n} of a principal that may have 3"), &get, &[429]).await;
        let other = scene.good().claim("jti", n).mint();
        let again = scene.world.client.get(PATH).token(&other);
        scene.refused(format!("stream {n}, by another token of the same"), &again, &[429]).await;
    }
    let (answer, control) = Answer::stream();
    scene.permit(1);
    scene.world.mcp.answer(answer);
    let bob = scene.good().subject("bob").mint();
    let opened = scene.world.client.get(PATH).token(&bob).open().await;
    scene.expect(opened.status == 200, format!("another principal's stream: {}", opened.status));
    drop((opened, control, idle));
    scene.fired("a stream of another principal", 1).await;
    scene.end().await
}

async fn i7_patterns() -> Tally {
    let text = format!(
        "{HEAD}
routes:
  - name: standard
    path: {PATH}
    upstream: {{upstream}}
    rules:
      - tools: [\"*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b\", \"get_*\"]
        allow: true
      - resources: [\"repo://**/a/**/a/**/a/**/a/**/a/**/a/**/b\"]
        allow: true
"
    );
    let mut scene = Scene::start(&text).await;
    let begun = Instant::now();
    for length in [20, 64, 127, 128, 1000, 100_000] {
        let tool = scene.world.client.tool(PATH, &"a".repeat(length)).token(&scene.token);
        scene.refused(format!("a name of {length} letters"), &tool, &[403]).await;
        let uri = format!("repo://{}", "a/".repeat(length));
        let resource = scene.world.client.call(PATH, "resources/read", &json!({"uri": uri})).token(&scene.token);
        scene.refused(format!("a URI of {length} segments"), &resource, &[403]).await;
    }
    scene.expect(begun.elapsed() < LONG, format!("patterns took {:?}", begun.elapsed()));
    scene.end().await
}

async fn i8_names_that_clients_choose() -> Tally {
    let mut scene = Scene::start(&crate::h_keys::with_keys("{cooldown_secs: 3600}")).await;
    let fetches = scene.world.issuer.fetches().keys;
    for n in 0..60 {
        let call = scene.call().token(&scene.token);
        scene.refused("a session id of its own", &call.header("Mcp-Session-Id", &format!("own-{n}")), &[404]).await;
        let unknown = scene.good().header("kid", format!("own-{n}")).mint();
        scene.bad_token("a kid of its own", &unknown).await;
        let issuer = scene.good().claim("iss", format!("https://own-{n}.example")).mint();
        scene.bad_token("an issuer of its own", &issuer).await;
        let tool = scene.world.client.tool(PATH, &format!("own_{n}")).token(&scene.token);
        scene.refused("a tool of its own", &tool, &[403]).await;
        let path = scene.world.client.get(&format!("/own-{n}"));
        scene.refused("a path of its own", &path, &[404]).await;
        let subject = scene.good().subject(&format!("own-{n}")).claim("jti", n).mint();
        scene.fire("a subject of its own", &scene.call().token(&subject).bytes(), Expect::Defused).await;
    }
    let spent = scene.world.issuer.fetches().keys - fetches;
    scene.expect(spent <= 1, format!("{spent} fetches"));
    scene.end().await
}
