//! The corpus of `tests/smuggling/`: requests that two readers take differently, each by real sockets through the gateway and
//! straight to a server without one. Whatever reaches the server is read in every way there is: no reading may run what is
//! forbidden, and every refusal is whole.

mod bytes;
mod corpus;
mod json;
mod readers;

use std::collections::BTreeMap;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::gateway::{HEAD, PATH};
use crate::support::{End, Reply, World, within};
use corpus::{Expected, Route, Row, families};
use readers::{Arrived, READERS};

#[tokio::test]
async fn without_a_gateway_the_corpus_hurts_as_it_says() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (mut faults, mut hurt, mut sent) = (Vec::new(), BTreeMap::<&str, usize>::new(), BTreeMap::new());
    let families = families();
    for (row, family) in families.iter().flat_map(|(family, rows)| rows.iter().map(move |row| (row, family))) {
        let request = row.request(&address.to_string(), PATH, "t");
        let arrived = within("a request straight to the readers", exchange(&listener, &request)).await;
        let runs = runs(&Arrived::parse(&arrived));
        for reader in runs.iter().filter(|(_, ran)| is_forbidden(ran)).map(|(reader, _)| *reader) {
            *hurt.entry(reader).or_default() += 1;
        }
        let views = views(runs);
        if views != row.views {
            faults.push(format!("{family} {}: the readers see {}", row.id, serde_json::to_string(&views).unwrap()));
        }
        let hurts = views.values().any(|ran| is_forbidden(ran));
        *hurt.entry("any").or_default() += usize::from(hurts);
        let differ = views.len() > 2 || views["strict"] != views["ordinary"];
        if !hurts && !differ && row.answer != Expected::Passed && row.note.is_empty() {
            faults.push(format!("{family} {}: there is nothing to tell readers apart, nor a note of it", row.id));
        }
        if let Some(other) = sent.insert(request, &row.id) {
            faults.push(format!("{family} {}: the bytes are those of {other}", row.id));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    println!("{} rows straight to the readers; so many made them run what is forbidden: {hurt:?}", sent.len());
    assert!(sent.len() >= 250 && hurt["any"] * 10 >= sent.len() * 9, "{hurt:?} of {}", sent.len());
    let idle: Vec<_> = READERS.iter().map(|reader| reader.name).filter(|name| !hurt.contains_key(name)).collect();
    assert!(idle.is_empty(), "no row hurts these readers: {idle:?}");
}

#[tokio::test]
async fn nothing_forbidden_gets_through_the_gateway() {
    let mut world = World::start(&format!("{HEAD}{ROUTES}")).await;
    world.mcp.permit(100_000);
    let (mut faults, mut reasons) = (Vec::new(), BTreeMap::<String, usize>::new());
    for (family, rows) in &families() {
        for (row, route) in rows.iter().flat_map(|row| row.routes().map(move |route| (row, route))) {
            match replay(&mut world, row, route).await {
                Ok(reason) => *reasons.entry(reason).or_default() += 1,
                Err(fault) => faults.push(format!("{family} {} on {route:?}: {fault}", row.id)),
            }
        }
    }
    println!("{reasons:?}");
    assert!(faults.is_empty(), "{} of them:\n{}", faults.len(), faults.join("\n"));
    world.finish().await;
}

/// Sends one row to the gateway. Returns the reason word of its refusal, or what is wrong with its answer, its audit record or
/// what reached the server.
async fn replay(world: &mut World, row: &Row, route: Route) -> Result<String, String> {
    let path = if route == Route::Closed { PATH } else { OPEN };
    let token = world.good().aud(world.url(path)).scope("mcp").mint();
    let before = world.mcp.arrived();
    let request = row.request(&world.address.to_string(), path, &token);
    let client = world.client.clone();
    let sent = tokio::spawn(async move { client.raw_to_whomever(&request, &token).await });
    let (reply, stood) = sent.await.map_err(|_| "there was no proper answer: see above".to_owned())?;

    let audited = reply.status < 400 || reply.header("gatepost-reason").is_some();
    let record = if audited { Some(world.record().await) } else { None };
    for _ in before..world.mcp.arrived() {
        let seen = world.mcp.next().await;
        // What arrived was framed by the gateway, and is whole.
        let framing =
            |name: &str| ["content-length", "transfer-encoding"].contains(&name.to_ascii_lowercase().as_str());
        let headers = seen.head.headers.into_iter().filter(|(name, _)| !framing(name)).collect();
        let arrived = Arrived { method: seen.method, target: seen.target, headers, wire: seen.body };
        if let Some((reader, ran)) = runs(&arrived).into_iter().find(|(_, ran)| is_forbidden(ran)) {
            return Err(format!("reached the server, where {reader} runs {ran:?}; the answer was {}", reply.status));
        }
    }
    let reached = world.mcp.arrived() - before;
    if row.answer == Expected::Passed {
        let fine = reply.status < 300 && reply.end == End::Clean && reached == 1;
        return if fine { Ok("passed".to_owned()) } else { Err(format!("did not pass: {reply:?}")) };
    }
    if reached > 0 {
        return Err(format!("reached the server, which answered {}", reply.status));
    }
    if !stood && row.answer != Expected::Broken {
        return Err(format!("the connection was reset before all was sent: {reply:?}"));
    }
    refusal(row, &reply, record.as_ref())
}

/// The reason word of a refusal that is whole.
fn refusal(row: &Row, reply: &Reply, record: Option<&serde_json::Value>) -> Result<String, String> {
    if !(400..500).contains(&reply.status) || reply.end != End::Clean {
        return Err(format!("no clean 4xx: {reply:?}"));
    }
    let (Some(record), Some(reason)) = (record, reply.header("gatepost-reason")) else {
        let fine = row.answer == Expected::Broken && reply.body.is_empty();
        return if fine { Ok("(HTTP parser)".to_owned()) } else { Err(format!("no reason: {reply:?}")) };
    };
    let known =
        gatepost::rejection::REASONS.iter().any(|(word, statuses)| *word == reason && statuses.contains(&reply.status));
    let body: serde_json::Value =
        serde_json::from_slice(&reply.body).map_err(|error| format!("{error} in {reply:?}"))?;
    // A batch is answered with an array, one error for each request in it.
    let errors = body.as_array().map_or(std::slice::from_ref(&body), Vec::as_slice);
    let whole = !errors.is_empty()
        && reply.header("content-type") == Some("application/json")
        && errors.iter().all(|body| {
            body["jsonrpc"] == "2.0"
                && body["error"]["code"].is_i64()
                && body["error"]["message"].is_string()
                && body["error"]["data"]["reason"] == reason
                && body.get("result").is_none()
        });
    let audited = record["reason"] == reason && record["status"] == reply.status && record["decision"] != "allowed";
    // A refusal for the sake of the token would say nothing about the row.
    let for_the_row =
        !["missing_token", "invalid_token", "insufficient_scope", "no_route", "misdirected"].contains(&reason);
    if known && whole && audited && for_the_row {
        Ok(reason.to_owned())
    } else {
        Err(format!("{} {:?} {} {record}", reply.status, reply.head.headers, String::from_utf8_lossy(&reply.body)))
    }
}

/// Sends `request` to `listener`, answers, and returns what arrived, to its end.
async fn exchange(listener: &TcpListener, request: &[u8]) -> Vec<u8> {
    let client = async {
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        stream.write_all(request).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
    };
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut arrived = Vec::new();
        stream.read_to_end(&mut arrived).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 Fine\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        arrived
    };
    tokio::join!(client, server).1
}

/// What every reader runs. On a thread of its own: rows are nested deeper than a test's stack.
fn runs(request: &Arrived) -> BTreeMap<&'static str, Vec<String>> {
    std::thread::scope(|scope| {
        let read = || READERS.iter().map(|reader| (reader.name, reader.runs(request))).collect();
        std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, read).unwrap().join().unwrap()
    })
}

/// The same as a row states it: `strict` and `ordinary` always, any other that differs from `ordinary`.
fn views(runs: BTreeMap<&'static str, Vec<String>>) -> BTreeMap<String, Vec<String>> {
    let ordinary = runs["ordinary"].clone();
    let stated = runs.into_iter().filter(|(name, ran)| ["strict", "ordinary"].contains(name) || *ran != ordinary);
    stated.map(|(name, ran)| (name.to_owned(), ran)).collect()
}

fn is_forbidden(ran: &[String]) -> bool {
    ran.iter().any(|name| name.contains("forbidden"))
}

/// Enough for the deepest row in every reader.
const STACK_BYTES: usize = 256 << 20;

/// The path of the route that permits all but what is forbidden.
const OPEN: &str = "/open";

const ROUTES: &str = "
timeouts: {body_secs: 2}
routes:
  - name: closed
    path: /mcp
    upstream: {upstream}
    required_scopes: [mcp]
    rules:
      - tools: [allowed_tool]
        allow: true
      - prompts: [allowed_prompt]
        allow: true
      - resources: [\"note://allowed\"]
        allow: true
  - name: open
    path: /open
    upstream: {upstream}
    required_scopes: [mcp]
    default: allow
    rules:
      - tools: [forbidden_tool]
        deny: true
      - prompts: [forbidden_prompt]
        deny: true
      - resources: [\"note://forbidden\"]
        deny: true
";
