//! Section F, framing: HTTP/1.1 as bytes that two servers could take apart differently. Behind each attack stands a call of the
//! forbidden tool, which must stay a request of its own, or nothing.

use crate::exchange::Answers;
use crate::readings::FORBIDDEN;
use crate::run::rows;
use crate::scene::{Expect, Scene, Tally, forbidden_call};
use crate::support::gateway::{PATH, file};
use crate::support::wire::to_chunk;

rows![f1_smuggling_by_framing, f2_content_lengths, f3_chunks, f4_heads, f5_upgrades_and_tunnels, f6_expectations,];

/// What a parser that refuses may do: answer 400, or wait for what never comes. 505 is for versions.
const REFUSED: &[u16] = &[400, 408];

/// What stands in most attacks.
struct Parts {
    /// A request line and the headers of a permitted call, without framing and without the empty line.
    head: String,
    /// A permitted call.
    good: String,
    /// The same as a chunked body.
    chunked: String,
    /// A whole request that calls the forbidden tool, with a good token.
    smuggled: String,
}

impl Parts {
    fn of(scene: &Scene) -> Self {
        let good = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"get_x"}}"#.to_owned();
        let bad = forbidden_call();
        let head = |version: &str| {
            format!(
                "POST {PATH} HTTP/{version}\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n",
                scene.world.address, scene.token
            )
        };
        let smuggled = format!("{}Content-Length: {}\r\n\r\n{bad}", head("1.1"), bad.len());
        let chunked = String::from_utf8(to_chunk(good.as_bytes())).unwrap() + "0\r\n\r\n";
        Self { head: head("1.1"), good, chunked, smuggled }
    }

    /// A permitted call with these header lines, and this after the empty line.
    fn with(&self, lines: &str, body: &str) -> String {
        format!("{}{lines}\r\n{body}", self.head)
    }
}

async fn fire(scene: &mut Scene, what: &str, bytes: &str, expect: Expect<'_>) -> Answers {
    scene.fire(what.escape_debug(), bytes.as_bytes(), expect).await
}

#[expect(clippy::too_many_lines, reason = "a table: one attack a line")]
async fn f1_smuggling_by_framing() -> Tally {
    let mut scene = Scene::standard().await;
    let parts = Parts::of(&scene);
    let (good, chunked, smuggled) = (&parts.good, &parts.chunked, &parts.smuggled);
    let behind = format!("{chunked}{smuggled}");
    // CL.TE: whoever goes by the length takes the rest for the body.
    for lines in [
        format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", behind.len()),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {}\r\n", behind.len()),
        format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", behind.len()),
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n".to_owned(),
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n".to_owned(),
    ] {
        let answers =
            fire(&mut scene, &format!("CL.TE {lines}"), &parts.with(&lines, &behind), Expect::Either(REFUSED)).await;
        // RFC 9112 §6.1: whoever serves such a request closes the connection behind it.
        scene.expect(answers.all.len() == 1, format!("CL.TE {lines}: {:?}", answers.statuses()));
    }
    let empty = format!("0\r\n\r\n{smuggled}");
    let lines = format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", empty.len());
    fire(&mut scene, "CL.TE with an empty chunked body", &parts.with(&lines, &empty), Expect::Refused(REFUSED)).await;
    let lines = format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", good.len());
    fire(&mut scene, "CL.TE with a body that is not chunked", &parts.with(&lines, good), Expect::Refused(REFUSED))
        .await;
    // TE.CL: whoever goes by the length takes the chunk's content for the next request.
    for content in [smuggled.clone(), format!("{good}{smuggled}"), format!("0\r\n\r\n{smuggled}")] {
        let size = format!("{:x}", content.len());
        let lines = format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", size.len() + 2);
        let body = format!("{size}\r\n{content}\r\n0\r\n\r\n");
        fire(&mut scene, "TE.CL", &parts.with(&lines, &body), Expect::Refused(REFUSED)).await;
    }
    // TE.TE: a coding that one of two servers does not know.
    for coding in [
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunkedx",
        "Transfer-Encoding: x chunked",
        "Transfer-Encoding: chunked x",
        "Transfer-Encoding: chunked, x",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: chunked;ext=1",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: deflate, chunked",
        "Transfer-Encoding: cow, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: ,chunked",
        "Transfer-Encoding: chunked,",
        "Transfer-Encoding: , ,chunked",
        "Transfer-Encoding:",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: 'chunked'",
        "Transfer-Encoding: c\u{18d}unked",
        "Transfer-Encoding: chunke\u{301}d",
        "Transfer-Encoding: chun\u{212a}ed",
        "Transfer-Encoding: chunked\0",
        "Transfer-Encoding: \0chunked",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding: chunked\u{b}",
        "Transfer-Encoding: \u{c}chunked",
        "Transfer-Encoding: \u{a0}chunked",
        "Transfer-Encoding: chu\rnked",
        "Transfer-Encoding: chunked\rX: y",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        " Transfer-Encoding: chunked",
        "\tTransfer-Encoding: chunked",
        "X: y\r\n Transfer-Encoding: chunked",
        "X: y\rTransfer-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding: chunked\r\n x",
        "Transfer-Encoding\r\n: chunked",
        "Transfer-Encoding\0: chunked",
        "Transfer-\0Encoding: chunked",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\ntransfer-encoding: cow",
    ] {
        let without = parts.with(&format!("{coding}\r\n"), &behind);
        fire(&mut scene, coding, &without, Expect::Refused(REFUSED)).await;
        let with = parts.with(&format!("{coding}\r\nContent-Length: {}\r\n", behind.len()), &behind);
        fire(&mut scene, &format!("{coding} with a length"), &with, Expect::Refused(REFUSED)).await;
    }
    // Other names are other headers: they frame nothing here, and must frame nothing there.
    for name in [
        "Transfer_Encoding",
        "Transfer.Encoding",
        "TransferEncoding",
        "X-Transfer-Encoding",
        "Content_Length",
        "Transfer-Encoding-",
    ] {
        let lines = format!("{name}: chunked\r\nContent-Length: {}\r\n", good.len());
        fire(&mut scene, name, &parts.with(&lines, good), Expect::Either(REFUSED)).await;
        let none = parts.with(&format!("{name}: chunked\r\n"), &behind);
        fire(&mut scene, &format!("{name} alone"), &none, Expect::Refused(&[400, 408, 411])).await;
    }
    for spelling in [
        "Transfer-Encoding: Chunked",
        "TRANSFER-ENCODING: CHUNKED",
        "transfer-encoding:chunked",
        "Transfer-Encoding:\tchunked \t",
    ] {
        fire(&mut scene, spelling, &parts.with(&format!("{spelling}\r\n"), &behind), Expect::Either(REFUSED)).await;
    }
    let old = parts.with("Transfer-Encoding: chunked\r\n", &behind).replacen("HTTP/1.1", "HTTP/1.0", 1);
    fire(&mut scene, "HTTP/1.0 and chunked", &old, Expect::Refused(REFUSED)).await;
    let old = parts
        .with("Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n", &behind)
        .replacen("HTTP/1.1", "HTTP/1.0", 1);
    fire(&mut scene, "HTTP/1.0, kept alive and chunked", &old, Expect::Refused(REFUSED)).await;
    // A body where none belongs, which a server may pass over.
    for verb in ["GET", "DELETE", "OPTIONS"] {
        for framing in [format!("Content-Length: {}", smuggled.len()), "Transfer-Encoding: chunked".to_owned()] {
            let body = if framing.starts_with('C') {
                smuggled.clone()
            } else {
                format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len())
            };
            let bytes = parts.with(&format!("{framing}\r\n"), &body).replacen("POST", verb, 1);
            fire(&mut scene, &format!("{verb} with a body, {framing}"), &bytes, Expect::Refused(REFUSED)).await;
        }
    }
    let none = parts.with("", smuggled);
    fire(&mut scene, "POST without a framing", &none, Expect::Refused(&[400, 411])).await;
    scene.end().await
}

async fn f2_content_lengths() -> Tally {
    let mut scene = Scene::standard().await;
    let parts = Parts::of(&scene);
    let length = parts.good.len();
    let body = format!("{}{}", parts.good, parts.smuggled);
    for value in [
        format!("+{length}"),
        format!("-{length}"),
        "-1".to_owned(),
        "-0".to_owned(),
        format!("0x{length:x}"),
        format!("{length:#o}"),
        format!("{length:x}h"),
        format!("{length}.0"),
        format!("{length}e0"),
        format!("{length} {length}"),
        format!("{length} x"),
        format!("{length},"),
        format!(",{length}"),
        format!("{length}, {}", length + 1),
        format!("{length}, 0"),
        format!("0, {length}"),
        format!("{length};"),
        format!("{length}\0"),
        format!("\0{length}"),
        format!("\u{b}{length}"),
        format!("{length}\u{a0}"),
        format!("\u{ff17}{length}"),
        format!("\"{length}\""),
        format!("{length}_0"),
        String::new(),
        "NaN".to_owned(),
        "x".to_owned(),
        "18446744073709551616".to_owned(),
        format!("18446744073709551616{length}"),
        format!("{}", u128::from(u64::MAX) + 1 + u128::try_from(length).unwrap()),
        "9".repeat(400),
        format!("{length}\r\n {length}"),
        format!("{length}\rContent-Length: 0"),
    ] {
        fire(
            &mut scene,
            &format!("Content-Length: {value}"),
            &parts.with(&format!("Content-Length: {value}\r\n"), &body),
            Expect::Refused(REFUSED),
        )
        .await;
    }
    for lines in [
        format!("Content-Length: {length}\r\nContent-Length: {}\r\n", body.len()),
        format!("Content-Length: {}\r\nContent-Length: {length}\r\n", body.len()),
        format!("Content-Length: {length}\r\nContent-Length: 0\r\n"),
        format!("Content-Length: 0\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: {length}\r\nContent-Length: x\r\n"),
        format!("Content-Length: {length}\r\nContent-Length:\r\n"),
        format!("Content-Length: {length}\r\nContent-Length: -1\r\n"),
        format!("Content-Length : {length}\r\n"),
        format!("Content-Length\t: {length}\r\n"),
        format!("Content-Length\0: {length}\r\n"),
        format!(" Content-Length: {length}\r\n"),
        format!("X: y\r\n Content-Length: {length}\r\n"),
    ] {
        fire(&mut scene, &lines, &parts.with(&lines, &body), Expect::Refused(&[400, 408, 411])).await;
    }
    // Equal ones may be taken as one (RFC 9112 §6.3), if the server sees one.
    for lines in [
        format!("Content-Length: {length}\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: {length}, {length}\r\n"),
        format!("Content-Length: 000{length}\r\n"),
        format!("Content-Length:{length} \t\r\n"),
    ] {
        fire(&mut scene, &lines, &parts.with(&lines, &body), Expect::Either(REFUSED)).await;
    }
    for value in ["18446744073709551615", "9223372036854775807", "99999999999"] {
        fire(
            &mut scene,
            &format!("Content-Length: {value}"),
            &parts.with(&format!("Content-Length: {value}\r\n"), &body),
            Expect::Refused(&[400, 413, 431]),
        )
        .await;
    }
    fire(
        &mut scene,
        "a length too long",
        &parts.with(&format!("Content-Length: {}\r\n", length + 100_000), &parts.good),
        Expect::Refused(&[408]),
    )
    .await;
    fire(
        &mut scene,
        "a length too short",
        &parts.with(&format!("Content-Length: {}\r\n", length - 1), &parts.good),
        Expect::Refused(&[400]),
    )
    .await;
    scene.end().await
}

#[expect(clippy::too_many_lines, reason = "a table: one attack a line")]
async fn f3_chunks() -> Tally {
    let mut scene = Scene::standard().await;
    let parts = Parts::of(&scene);
    let (good, smuggled) = (&parts.good, &parts.smuggled);
    let size = format!("{:x}", good.len());
    let te = "Transfer-Encoding: chunked\r\n";
    let end = "\r\n0\r\n\r\n";
    for first in [
        format!("+{size}"),
        format!("-{size}"),
        format!("0x{size}"),
        format!("x{size}"),
        format!("{size}h"),
        format!("{size}g"),
        format!("{size} {size}"),
        format!("{size},"),
        format!(" {size}"),
        format!("\t{size}"),
        format!("\0{size}"),
        format!("{size}\0"),
        format!("{size}\u{b}"),
        format!("{size}."),
        format!("\u{ff14}{size}"),
        format!("1000000000000000000000{size}"),
        format!("ffffffffffffffff{size}"),
        format!("f0000000000000{size}"),
        "ffffffffffffffff".to_owned(),
        "-1".to_owned(),
        String::new(),
        ";".to_owned(),
        ";x".to_owned(),
        "x".to_owned(),
        format!("{size}\rx"),
        format!("{size}\r\r"),
        format!("{size};a\nb"),
        format!("{size};a\rb"),
    ] {
        let body = format!("{first}\r\n{good}{end}{smuggled}");
        fire(&mut scene, &format!("the size {first}"), &parts.with(te, &body), Expect::Refused(&[400, 408, 413])).await;
    }
    // Harmless forms, if what the server gets is framed anew.
    for first in [
        format!("{size};a=b"),
        format!("{size};\0"),
        format!("{size};a=\"b\""),
        format!("{size} ;a"),
        format!("{size};"),
        format!("{size};;;"),
        format!("{size};{FORBIDDEN}"),
        format!("{size};a=\"f0rged\""),
        format!("000000{size}"),
        size.to_uppercase(),
        format!("{size};{}", "a".repeat(2000)),
    ] {
        let body = format!("{first}\r\n{good}{end}");
        fire(
            &mut scene,
            &format!("the size {}", &first[..first.len().min(60)]),
            &parts.with(te, &body),
            Expect::Either(&[400, 408]),
        )
        .await;
    }
    for (what, body) in [
        ("a bare LF behind the size", format!("{size}\n{good}{end}{smuggled}")),
        ("a bare CR behind the size", format!("{size}\r{good}{end}{smuggled}")),
        ("no line end behind the chunk", format!("{size}\r\n{good}0\r\n\r\n{smuggled}")),
        ("a bare LF behind the chunk", format!("{size}\r\n{good}\n0\r\n\r\n{smuggled}")),
        ("a bare CR behind the chunk", format!("{size}\r\n{good}\r0\r\n\r\n{smuggled}")),
        ("two letters behind the chunk", format!("{size}\r\n{good}xx0\r\n\r\n{smuggled}")),
        ("a chunk longer than its size", format!("{size}\r\n{good} {end}{smuggled}")),
        ("a chunk shorter than its size", format!("{size}\r\n{}{end}{smuggled}", &good[..good.len() - 1])),
        ("a trailer without a colon", format!("{size}\r\n{good}\r\n0\r\nx\r\n\r\n{smuggled}")),
        ("an extension of 200 kB", format!("{size};{}\r\n{good}{end}", "a".repeat(200_000))),
        ("200 kB of trailers", format!("{size}\r\n{good}\r\n0\r\n{}\r\n", "X: y\r\n".repeat(33_000))),
        ("a trailer of 200 kB", format!("{size}\r\n{good}\r\n0\r\nX: {}\r\n\r\n", "y".repeat(200_000))),
        ("no last chunk", format!("{size}\r\n{good}\r\n")),
        ("half a last chunk", format!("{size}\r\n{good}\r\n0\r\n")),
    ] {
        fire(&mut scene, what, &parts.with(te, &body), Expect::Either(&[400, 408, 413])).await;
    }
    let many: String = (0..20_000).map(|_| "1;aaaaaaaaaa\r\n \r\n").collect();
    fire(
        &mut scene,
        "20 000 chunks with extensions",
        &parts.with(te, &format!("{many}{size}\r\n{good}{end}")),
        Expect::Either(&[400, 408, 413]),
    )
    .await;
    for trailer in [
        "Authorization: Bearer f0rged",
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
        "Host: f0rged.example",
        "X-Auth-Subject: f0rged",
        "X-Forwarded-For: f0rged",
        "Cookie: f0rged",
        "Mcp-Session-Id: f0rged",
        "Mcp-Name: f0rged",
        "Content-Type: f0rged",
        "X: f0rged",
    ] {
        let body = format!("{size}\r\n{good}\r\n0\r\n{trailer}\r\n\r\n");
        let named = trailer.split(':').next().unwrap();
        fire(&mut scene, &format!("the trailer {trailer}"), &parts.with(te, &body), Expect::Either(&[400])).await;
        let lines = format!("{te}Trailer: {named}\r\nTE: trailers\r\n");
        fire(
            &mut scene,
            &format!("the trailer {trailer}, announced"),
            &parts.with(&lines, &body),
            Expect::Either(&[400]),
        )
        .await;
    }
    scene.end().await
}

#[expect(clippy::too_many_lines, reason = "a table: one attack a line")]
async fn f4_heads() -> Tally {
    let mut scene = Scene::standard().await;
    let parts = Parts::of(&scene);
    let (good, smuggled) = (&parts.good, &parts.smuggled);
    let length = format!("Content-Length: {}\r\n", good.len());
    let body = format!("{good}{smuggled}");
    for line in [
        ": x",
        " : x",
        ":",
        "X",
        "X y",
        "X y: z",
        " X: y",
        "\tX: y",
        "X: y\r\n z",
        "X: y\r\n\tz",
        "X : y",
        "X\t: y",
        "X\0: y",
        "X: \0y",
        "X: y\0",
        "X: y\rZ: w",
        "X: y\r",
        "\r",
        "X\u{7f}: y",
        "X\u{e9}: y",
        "X(: y",
        "X,: y",
        "X/: y",
        "X[]: y",
        "X{}: y",
        "X\": y",
        "X@: y",
        "X\u{b}: y",
        "X: \u{1}y",
        "X: \u{7f}y",
        "GET / HTTP/1.1",
    ] {
        fire(
            &mut scene,
            &format!("the line {line}"),
            &parts.with(&format!("{line}\r\n{length}"), &body),
            Expect::Refused(REFUSED),
        )
        .await;
    }
    let host = scene.world.address.to_string();
    for (what, from, to) in [
        ("no Host", format!("Host: {host}\r\n"), String::new()),
        ("an empty Host", format!("Host: {host}"), "Host:".to_owned()),
        ("two Hosts", format!("Host: {host}"), format!("Host: {host}\r\nHost: {host}")),
        ("two different Hosts", format!("Host: {host}"), format!("Host: {host}\r\nHost: evil.example")),
        ("another Host first", format!("Host: {host}"), format!("Host: evil.example\r\nHost: {host}")),
        ("a list of Hosts", format!("Host: {host}"), format!("Host: {host}, evil.example")),
        ("a folded Host", format!("Host: {host}"), format!("Host:\r\n {host}")),
        ("a space before the colon", format!("Host: {host}"), format!("Host : {host}")),
        ("a path in the Host", format!("Host: {host}"), format!("Host: {host}/x")),
        ("a user in the Host", format!("Host: {host}"), format!("Host: x@{host}")),
        ("a NUL in the Host", format!("Host: {host}"), format!("Host: {host}\0")),
        ("HTTP/0.9", "HTTP/1.1".to_owned(), "HTTP/0.9".to_owned()),
        ("HTTP/1.2", "HTTP/1.1".to_owned(), "HTTP/1.2".to_owned()),
        ("HTTP/2.0", "HTTP/1.1".to_owned(), "HTTP/2.0".to_owned()),
        ("HTTP/3", "HTTP/1.1".to_owned(), "HTTP/3".to_owned()),
        ("HTTP/1.10", "HTTP/1.1".to_owned(), "HTTP/1.10".to_owned()),
        ("HTTP/11", "HTTP/1.1".to_owned(), "HTTP/11".to_owned()),
        ("http/1.1", "HTTP/1.1".to_owned(), "http/1.1".to_owned()),
        ("HTTPS/1.1", "HTTP/1.1".to_owned(), "HTTPS/1.1".to_owned()),
        ("no version", " HTTP/1.1".to_owned(), String::new()),
        ("a space behind the version", "HTTP/1.1".to_owned(), "HTTP/1.1 ".to_owned()),
        ("a tab before the version", " HTTP/1.1".to_owned(), "\tHTTP/1.1".to_owned()),
        ("two spaces before the version", " HTTP/1.1".to_owned(), "  HTTP/1.1".to_owned()),
        ("two spaces before the path", "POST ".to_owned(), "POST  ".to_owned()),
        ("a tab before the path", "POST ".to_owned(), "POST\t".to_owned()),
        ("two paths", format!("POST {PATH}"), format!("POST {PATH} {PATH}")),
        ("a space before the method", "POST".to_owned(), " POST".to_owned()),
        ("a NUL in the method", "POST".to_owned(), "PO\0ST".to_owned()),
        ("a colon in the method", "POST".to_owned(), "POST:".to_owned()),
        ("no method", "POST ".to_owned(), String::new()),
        ("a bare CR behind the request line", "HTTP/1.1\r\n".to_owned(), "HTTP/1.1\r".to_owned()),
    ] {
        let bytes = parts.with(&length, &body).replacen(&from, &to, 1);
        fire(&mut scene, what, &bytes, Expect::Refused(&[400, 404, 405, 421, 505])).await;
    }
    // Bare LF: harmless if the server gets it framed anew.
    let whole = parts.with(&length, good);
    let (head, rest) = whole.split_once("\r\n\r\n").unwrap();
    for (what, bytes) in [
        ("bare LF everywhere", format!("{}\n\n{rest}", head.replace("\r\n", "\n"))),
        ("a bare LF behind a header", format!("{}\r\n\r\n{rest}", head.replacen("\r\nHost", "\nHost", 1))),
        ("an empty line before", format!("\r\n{whole}")),
        ("empty lines before", format!("\r\n\r\n\n{whole}")),
        ("LF CR", format!("{}\n\r\n{rest}", head.replace("\r\n", "\n"))),
    ] {
        fire(&mut scene, what, &bytes, Expect::Either(&[400])).await;
    }
    for (what, bytes) in [
        ("a request of HTTP/0.9", format!("GET {PATH}\r\n")),
        ("a POST of HTTP/0.9", format!("POST {PATH}\r\n{smuggled}")),
        ("garbage", "\u{1}\u{2}\u{3}\u{4}\r\n\r\n".to_owned()),
        ("a TLS hello", "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\r\n\r\n".to_owned()),
        ("PROXY protocol", format!("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n{whole}")),
        ("an SSH greeting", "SSH-2.0-OpenSSH\r\n\r\n".to_owned()),
    ] {
        fire(&mut scene, what, &bytes, Expect::Refused(&[400, 405, 421, 505])).await;
    }
    scene.end().await
}

async fn f5_upgrades_and_tunnels() -> Tally {
    let mut scene = Scene::standard().await;
    let parts = Parts::of(&scene);
    let length = format!("Content-Length: {}\r\n", parts.good.len());
    for lines in [
        "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
        "Upgrade: h2c\r\nConnection: Upgrade\r\n",
        "Upgrade: h2c\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
        "Upgrade: TLS/1.2\r\nConnection: Upgrade\r\n",
        "Upgrade: HTTP/3.0, h2c\r\nConnection: upgrade\r\n",
        "Upgrade: \r\nConnection: Upgrade\r\n",
        "Upgrade: connect-udp\r\nCapsule-Protocol: ?1\r\nConnection: Upgrade\r\n",
    ] {
        let answers =
            fire(&mut scene, lines, &parts.with(&format!("{lines}{length}"), &parts.good), Expect::Either(&[400]))
                .await;
        scene.expect(answers.interim.is_empty(), format!("{lines}: {:?}", answers.interim));
        let get = parts.with(lines, &parts.smuggled).replacen("POST", "GET", 1);
        let answers = fire(&mut scene, &format!("GET {lines}"), &get, Expect::Either(&[400, 405])).await;
        scene.expect(answers.interim.is_empty(), format!("GET {lines}: {:?}", answers.interim));
    }
    let host = scene.world.address.to_string();
    let bearer = format!("Authorization: Bearer {}\r\n", scene.token);
    for target in [host.as_str(), "127.0.0.1:1", "evil.example:443", PATH, "*", "/", "127.0.0.1", ":80", "[::1]:443"] {
        for name in [host.as_str(), target] {
            let bytes = format!("CONNECT {target} HTTP/1.1\r\nHost: {name}\r\n{bearer}\r\n{}", parts.smuggled);
            fire(&mut scene, &format!("CONNECT {target} of {name}"), &bytes, Expect::Refused(&[400, 404, 405, 421]))
                .await;
        }
    }
    for verb in ["TRACE", "TRACK", "DEBUG", "PROPFIND", "PURGE", "BREW", "PRI", "M-SEARCH"] {
        let bytes = parts
            .with(&format!("Max-Forwards: 0\r\nX-Echo: f0rged\r\n{length}"), &parts.good)
            .replacen("POST", verb, 1);
        let answers = fire(&mut scene, verb, &bytes, Expect::Refused(&[400, 405])).await;
        let echoed = String::from_utf8_lossy(&answers.everything()).contains("f0rged");
        scene.expect(!echoed, format!("{verb} echoes"));
    }
    scene.end().await
}

async fn f6_expectations() -> Tally {
    let mut scene = Scene::start(&format!("{}limits: {{body_bytes_max: 2048}}\n", file(""))).await;
    let parts = Parts::of(&scene);
    let length = format!("Content-Length: {}\r\n", parts.good.len());
    for value in [
        "cake",
        "100-continue, cake",
        "100-continue; x",
        "200-ok",
        "",
        "\"100-continue\"",
        "100-continue\u{e9}",
        "100_continue",
        "100-continuex",
    ] {
        let bytes = parts.with(&format!("Expect: {value}\r\n{length}"), &parts.good);
        let answers = fire(&mut scene, &format!("Expect: {value}"), &bytes, Expect::Refused(&[400, 417])).await;
        scene.expect(answers.interim.is_empty(), format!("Expect: {value}: {:?}", answers.interim));
    }
    for lines in [
        "Expect: 100-continue\r\nExpect: 100-continue\r\n",
        "Expect: 100-continue\r\nExpect: cake\r\n",
        "Expect : 100-continue\r\n",
        "Expect:\r\n 100-continue\r\n",
    ] {
        let bytes = parts.with(&format!("{lines}{length}"), &parts.good);
        fire(&mut scene, lines, &bytes, Expect::Refused(&[400, 417])).await;
    }
    // Nobody is invited to send what is refused by its head: no token, another path, another host, too long.
    for (what, from, to, statuses) in [
        ("no token", format!("Authorization: Bearer {}\r\n", scene.token), String::new(), [401]),
        ("a bad token", scene.token.clone(), "a.b.c".to_owned(), [401]),
        ("another path", PATH.to_owned(), "/other".to_owned(), [404]),
        ("another host", format!("Host: {}", scene.world.address), "Host: evil.example".to_owned(), [421]),
        ("another media type", "application/json".to_owned(), "text/plain".to_owned(), [415]),
        ("too long", length.clone(), "Content-Length: 3000\r\n".to_owned(), [413]),
    ] {
        let bytes = parts.with(&format!("Expect: 100-continue\r\n{length}"), &parts.good).replacen(&from, &to, 1);
        let answers = fire(&mut scene, &format!("leave to send with {what}"), &bytes, Expect::Refused(&statuses)).await;
        scene.expect(answers.interim.is_empty(), format!("{what} got leave to send"));
    }
    scene.end().await
}
