//! Section G: HTTP/2 frame by frame, and TLS.

use std::sync::Arc;

use rustls::pki_types::{ServerName, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::exchange;
use crate::h2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, H2, HEADERS, Outcome, PING, PRIORITY, PUSH_PROMISE, RST_STREAM,
    WINDOW_UPDATE, block, frame_of, settings_frame,
};
use crate::readings::FORBIDDEN;
use crate::run::rows;
use crate::scene::{Scene, TIMEOUTS, Tally, forbidden_call};
use crate::support::gateway::{PATH, file};
use crate::support::mcp_server::Answer;
use crate::support::tls::Identity;
use crate::support::within;

rows![g1_floods, g2_headers, g3_tls, g5_names_of_hosts];

type Headers = Vec<(Vec<u8>, Vec<u8>)>;

fn pair(name: &str, value: &str) -> (Vec<u8>, Vec<u8>) {
    (name.as_bytes().to_vec(), value.as_bytes().to_vec())
}

/// A POST of a permitted call, whole but for its body.
fn post(scene: &Scene, token: bool) -> Headers {
    let mut headers = vec![
        pair(":method", "POST"),
        pair(":scheme", "http"),
        pair(":authority", &scene.world.address.to_string()),
        pair(":path", PATH),
        pair("content-type", "application/json"),
    ];
    if token {
        headers.push(pair("authorization", &format!("Bearer {}", scene.token)));
    }
    headers
}

fn good_call() -> Vec<u8> {
    json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "get_x"}}).to_string().into_bytes()
}

fn open(stream: u32, headers: &Headers, flags: u8) -> Vec<u8> {
    frame_of(HEADERS, flags | END_HEADERS, stream, &block(headers))
}

/// A whole request on stream 1.
fn whole(headers: &Headers, body: &[u8]) -> Vec<u8> {
    [open(1, headers, 0), frame_of(DATA, END_STREAM, 1, body)].concat()
}

#[expect(clippy::too_many_lines, reason = "a table: one attack a line")]
async fn g1_floods() -> Tally {
    let mut scene = Scene::standard().await;
    let (nobody, somebody) = (post(&scene, false), post(&scene, true));
    let body = good_call();
    let streams = |count: u32| (0..count).map(|n| 2 * n + 1);
    let reset = |stream| frame_of(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
    let rapid: Vec<u8> = streams(5000).flat_map(|n| [open(n, &nobody, END_STREAM), reset(n)].concat()).collect();
    let half: Vec<u8> = streams(2000).flat_map(|n| [open(n, &somebody, 0), reset(n)].concat()).collect();
    // Errors that make the server reset (CVE-2025-8671).
    let made: Vec<u8> = streams(2000)
        .flat_map(|n| [open(n, &somebody, 0), frame_of(WINDOW_UPDATE, 0, n, &0_u32.to_be_bytes())].concat())
        .collect();
    let made_by_window: Vec<u8> = streams(2000)
        .flat_map(|n| [open(n, &nobody, 0), frame_of(WINDOW_UPDATE, 0, n, &0x7fff_ffff_u32.to_be_bytes())].concat())
        .collect();
    let made_by_data: Vec<u8> =
        streams(2000).flat_map(|n| [open(n, &nobody, END_STREAM), frame_of(DATA, 0, n, b"x")].concat()).collect();
    let made_by_priority: Vec<u8> = streams(2000)
        .flat_map(|n| {
            [open(n, &nobody, 0), frame_of(PRIORITY, 0, n, &[n.to_be_bytes().as_slice(), &[1]].concat())].concat()
        })
        .collect();
    let more = block(&[("x", "y")]);
    let continuations: Vec<u8> = [
        frame_of(HEADERS, END_STREAM, 1, &block(&nobody)),
        (0..20_000).flat_map(|_| frame_of(CONTINUATION, 0, 1, &more)).collect(),
    ]
    .concat();
    let empty: Vec<u8> = [
        frame_of(HEADERS, END_STREAM, 1, &block(&nobody)),
        (0..50_000).flat_map(|_| frame_of(CONTINUATION, 0, 1, &[])).collect(),
    ]
    .concat();
    // One entry of 4 kB in the table, and 16 000 references to it in one head (CVE-2016-6581).
    let mut entry = vec![0x40];
    entry.extend(&block(&[("x", "y".repeat(3900))])[1..]);
    let bomb = frame_of(HEADERS, END_STREAM | END_HEADERS, 1, &[block(&nobody), entry, vec![0xbe; 12_000]].concat());
    let many: Headers = nobody.iter().cloned().chain((0..500).map(|n| pair(&format!("x-{n}"), ""))).collect();
    let large: Headers =
        nobody.iter().cloned().chain([pair("x", &"y".repeat(15_000)), pair("z", &"y".repeat(500))]).collect();
    let settings: Vec<u8> = (0..50_000).flat_map(|n| settings_frame(&[(4, 65_535 + n % 2)])).collect();
    let large_settings: Vec<u8> = (0..200).flat_map(|_| settings_frame(&[(3, 1); 2000])).collect();
    let pings: Vec<u8> = (0..50_000).flat_map(|_| frame_of(PING, 0, 0, &[0; 8])).collect();
    let priorities: Vec<u8> =
        (0..50_000_u32).flat_map(|n| frame_of(PRIORITY, 0, 2 * (n % 1000) + 1, &[0, 0, 0, 0, 1])).collect();
    let windows: Vec<u8> = (0..50_000).flat_map(|_| frame_of(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes())).collect();
    let empty_data: Vec<u8> =
        [open(1, &somebody, 0), (0..50_000).flat_map(|_| frame_of(DATA, 0, 1, &[])).collect()].concat();
    let padded_data: Vec<u8> = [
        open(1, &somebody, 0),
        (0..5000).flat_map(|_| frame_of(DATA, 8, 1, &[[255].as_slice(), &[0; 255]].concat())).collect(),
    ]
    .concat();
    let unknown: Vec<u8> = (0..50_000).flat_map(|_| frame_of(0xb7, 0, 0, &[])).collect();
    let open_streams: Vec<u8> = streams(5000).flat_map(|n| open(n, &somebody, 0)).collect();
    let open_bodies: Vec<u8> =
        streams(90).flat_map(|n| [open(n, &somebody, 0), frame_of(DATA, 0, n, &body[..10])].concat()).collect();
    let push = frame_of(PUSH_PROMISE, END_HEADERS, 1, &[&2_u32.to_be_bytes()[..], &block(&nobody)].concat());
    let overflow = frame_of(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes());
    let huge = [&[0xff, 0xff, 0xff, HEADERS, END_HEADERS, 0, 0, 0, 1][..], vec![0; 100_000].as_slice()].concat();
    for (what, bytes) in [
        ("rapid reset", rapid),
        ("rapid reset before the body", half),
        ("made to reset, by a window update of nothing", made),
        ("made to reset, by a window that overflows", made_by_window),
        ("made to reset, by data behind the end", made_by_data),
        ("made to reset, by a stream that depends on itself", made_by_priority),
        ("20 000 CONTINUATIONs", continuations),
        ("50 000 empty CONTINUATIONs", empty),
        ("an HPACK bomb", bomb),
        ("500 headers", open(1, &many, END_STREAM)),
        ("a head of 15 kB", open(1, &large, END_STREAM)),
        ("50 000 SETTINGS", settings),
        ("200 SETTINGS of 12 kB", large_settings),
        ("50 000 PINGs", pings),
        ("50 000 PRIORITYs", priorities),
        ("50 000 WINDOW_UPDATEs", windows),
        ("50 000 empty DATA", empty_data),
        ("5000 DATA of padding", padded_data),
        ("50 000 unknown frames", unknown),
        ("5000 streams", open_streams),
        ("90 bodies that do not come", open_bodies),
        ("a push", push),
        ("a window that overflows", overflow),
        ("a frame of 16 MB", huge),
        ("half a frame", open(1, &somebody, 0)[..20].to_vec()),
        ("data on a stream that was not opened", frame_of(DATA, END_STREAM, 1, &body)),
        ("a stream of an even number", open(2, &nobody, END_STREAM)),
        ("stream 0", open(0, &nobody, END_STREAM)),
    ] {
        let mut attacker = H2::connect(scene.front, &[]).await;
        let sent = attacker.send(&bytes).await;
        // While the attack goes on, others are served; in the end the connection is closed, by force or for its silence.
        scene.served(what).await;
        let (frames, goaway) = within(what, attacker.ended()).await;
        scene.expect(frames < 60_000, format!("{what}: {frames} frames came back ({sent}, {goaway:?})"));
        let ended_for_it = goaway.is_some_and(|code| code != 0);
        scene.expect(ended_for_it || COSTS_NOTHING.contains(&what), format!("{what}: not ended for it: {goaway:?}"));
        scene.fired(what, 0).await;
    }
    // Answered one by one, and by nobody read: then no more of them is read here either, and the connection ends.
    for (what, frame) in [
        ("PINGs whose answers are not read", frame_of(PING, 0, 0, &[0; 8])),
        ("SETTINGS whose answers are not read", settings_frame(&[(4, 65_535)])),
    ] {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut attacker = socket.connect(scene.front).await.unwrap();
        attacker.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        attacker.write_all(&settings_frame(&[])).await.unwrap();
        let many = frame.repeat(1000);
        let flood = async {
            for _ in 0..10_000 {
                if attacker.write_all(&many).await.is_err() {
                    return true;
                }
            }
            false
        };
        let ended = within(what, flood).await;
        scene.expect(ended, format!("{what}: taken without end"));
        scene.fired(what, 0).await;
    }
    // A client that opens no window: its answers wait, and no longer than the stall's timeout.
    let large =
        json!({"jsonrpc": "2.0", "id": 7, "result": {"content": [{"type": "text", "text": "x".repeat(200_000)}]}});
    for (what, settings) in
        [("a stream window of zero", &[(4_u16, 0_u32)][..]), ("a stream window of one byte", &[(4, 1)])]
    {
        scene.permit(1);
        scene.world.mcp.answer(Answer::json(&large));
        let mut attacker = H2::connect(scene.front, settings).await;
        attacker.send(&whole(&somebody, &body)).await;
        let (_, goaway) = within(what, attacker.ended()).await;
        scene.expect(attacker.frame().await.is_none(), format!("{what}: still open, {goaway:?}"));
        scene.fired(what, 1).await;
    }
    let mut good = H2::connect(scene.front, &[]).await;
    scene.permit(1);
    good.send(&whole(&somebody, &body)).await;
    let outcome = good.outcome(1).await;
    scene.expect(outcome == Outcome::Status(200), format!("a good client by h2: {outcome:?}"));
    drop(scene.recorder.take());
    scene.end().await
}

/// What is answered, or passed over, at no more cost than it is sent at; the connection ends when it falls silent.
const COSTS_NOTHING: &[&str] = &[
    "500 headers",
    "a head of 15 kB",
    "50 000 SETTINGS",
    "200 SETTINGS of 12 kB",
    "50 000 PINGs",
    "50 000 PRIORITYs",
    "50 000 WINDOW_UPDATEs",
    "50 000 unknown frames",
    "90 bodies that do not come",
    "half a frame",
];

/// One request by h2. It must be reset or refused, or what arrives must be harmless.
async fn fire(scene: &mut Scene, what: &str, headers: &Headers, body: &[u8], may_pass: bool) {
    let before = scene.world.mcp.arrived();
    scene.permit(usize::from(may_pass));
    let mut attacker = H2::connect(scene.front, &[]).await;
    attacker.send(&whole(headers, body)).await;
    let outcome = within(what, attacker.outcome(1)).await;
    let refused = match outcome {
        Outcome::Status(status) => (400..500).contains(&status),
        Outcome::Reset(_) => true,
        Outcome::Closed(code) => code != u32::MAX,
    };
    let passed = outcome == Outcome::Status(200);
    scene.expect(refused || (may_pass && passed), format!("{what}: {outcome:?}"));
    if may_pass && scene.world.mcp.arrived() == before {
        scene.unused(1);
    }
    scene.fired(what, usize::from(may_pass)).await;
}

#[expect(clippy::too_many_lines, reason = "a table: one attack a line")]
async fn g2_headers() -> Tally {
    let mut scene = Scene::standard().await;
    let base = post(&scene, true);
    let body = good_call();
    let host = scene.world.address.to_string();
    let with = |name: &str, value: &str| -> Headers { base.iter().cloned().chain([pair(name, value)]).collect() };
    let without =
        |name: &str| -> Headers { base.iter().filter(|(each, _)| each != name.as_bytes()).cloned().collect() };
    let changed = |name: &str, value: &str| -> Headers {
        base.iter()
            .map(|(each, old)| {
                (each.clone(), if each == name.as_bytes() { value.as_bytes().to_vec() } else { old.clone() })
            })
            .collect()
    };
    let before = |name: &str, value: &str| -> Headers { [pair(name, value)].into_iter().chain(base.clone()).collect() };
    fire(&mut scene, "the request that all these are variations of", &base, &body, true).await;
    let smuggled = format!("x\r\n\r\nPOST /upstream/mcp HTTP/1.1\r\nHost: x\r\n\r\n{}", forbidden_call());
    for (what, headers) in [
        ("no :method", without(":method")),
        ("no :path", without(":path")),
        ("no :scheme", without(":scheme")),
        ("no :authority", without(":authority")),
        ("two :method", with(":method", "GET")),
        ("two :path", with(":path", "/other")),
        ("two :authority", before(":authority", "evil.example")),
        ("two :scheme", before(":scheme", "https")),
        (":method behind headers", [without(":method"), vec![pair(":method", "POST")]].concat()),
        (":status", before(":status", "200")),
        ("an unknown pseudo-header", before(":f0rged", "x")),
        (":protocol", before(":protocol", "websocket")),
        ("an empty :path", changed(":path", "")),
        ("an empty :method", changed(":method", "")),
        ("a :path without its slash", changed(":path", "mcp")),
        (":path *", changed(":path", "*")),
        ("an absolute :path", changed(":path", &format!("http://{host}/mcp"))),
        ("a :path with a space", changed(":path", "/mcp HTTP/1.1")),
        ("a :path with CRLF", changed(":path", "/mcp HTTP/1.1\r\nX: f0rged")),
        ("a :path with a NUL", changed(":path", "/mcp\0")),
        ("a :path with a fragment of another", changed(":path", "/other#/mcp")),
        (":path //mcp", changed(":path", "//mcp")),
        (":path /x/../mcp", changed(":path", "/x/../mcp")),
        ("a :method with a space", changed(":method", "POST /x HTTP/1.1\r\nX: y\r\n\r\nGET")),
        ("a :method with CRLF", changed(":method", "POST\r\n")),
        ("a :scheme with a path", changed(":scheme", "http://evil.example/x?")),
        ("an :authority of others", changed(":authority", "evil.example")),
        ("an :authority with a path", changed(":authority", &format!("{host}/x"))),
        ("an :authority with a user", changed(":authority", &format!("x@{host}"))),
        ("an :authority with CRLF", changed(":authority", &format!("{host}\r\nX: f0rged"))),
        ("an empty :authority", changed(":authority", "")),
        ("a Host of others", with("host", "evil.example")),
        ("two Hosts", [with("host", &host), vec![pair("host", "evil.example")]].concat()),
        ("a Host alone", [without(":authority"), vec![pair("host", &host)]].concat()),
        ("CRLF in a value", with("x", "y\r\nx-auth-subject: f0rged")),
        ("CRLF and a request in a value", with("x", &smuggled)),
        ("LF in a value", with("x", "y\nf0rged: z")),
        ("CR in a value", with("x", "y\rf0rged: z")),
        ("a NUL in a value", with("x", "y\0f0rged")),
        ("CRLF in a name", with("x: y\r\nf0rged", "z")),
        ("a colon in a name", with("transfer-encoding: chunked", "f0rged")),
        ("a space in a name", with("x f0rged", "y")),
        ("an upper case name", with("X-Upper", "f0rged")),
        ("an empty name", with("", "f0rged")),
        ("a name of NULs", with("\0", "f0rged")),
        ("Connection", with("connection", "x-f0rged")),
        ("Connection: close", with("connection", "close")),
        ("Keep-Alive", with("keep-alive", "timeout=5")),
        ("Proxy-Connection", with("proxy-connection", "keep-alive")),
        ("Transfer-Encoding", with("transfer-encoding", "chunked")),
        ("Transfer-Encoding in another form", with("transfer-encoding", "gzip, chunked")),
        ("Upgrade", with("upgrade", "h2c")),
        ("TE of something else", with("te", "gzip")),
        ("a length too short", with("content-length", "3")),
        ("a length too long", with("content-length", "1000")),
        ("a length of 0", with("content-length", "0")),
        ("a length with a plus", with("content-length", &format!("+{}", body.len()))),
        ("two lengths", [with("content-length", &body.len().to_string()), vec![pair("content-length", "3")]].concat()),
        ("a list of lengths", with("content-length", &format!("{0}, {0}", body.len()))),
        (
            "CONNECT",
            [without(":path"), Vec::new()]
                .concat()
                .into_iter()
                .filter(|(name, _)| name != b":scheme")
                .map(|(name, value)| if name == b":method" { pair(":method", "CONNECT") } else { (name, value) })
                .collect(),
        ),
        ("an extended CONNECT", [vec![pair(":protocol", "websocket")], changed(":method", "CONNECT")].concat()),
        ("TRACE", changed(":method", "TRACE")),
        ("two tokens", with("authorization", &format!("Bearer {}", scene.token))),
        ("two tokens, one of nothing", with("authorization", "Bearer f0rged")),
        ("an unknown Expect", with("expect", "f0rged")),
    ] {
        fire(&mut scene, what, &headers, &body, false).await;
    }
    // These may pass, without what is odd about them.
    for (what, headers) in [
        ("TE: trailers", with("te", "trailers")),
        ("the right length", with("content-length", &body.len().to_string())),
        (
            "two equal lengths",
            [with("content-length", &body.len().to_string()), vec![pair("content-length", &body.len().to_string())]]
                .concat(),
        ),
        ("https as :scheme", changed(":scheme", "https")),
        ("cookies in pieces", [with("cookie", "a=f0rged"), vec![pair("cookie", "b=f0rged")]].concat()),
        ("an identity header", with("x-forwarded-user", "f0rged")),
        ("another spelling of it", with("x_forwarded_user", "f0rged")),
        ("X-Forwarded-For", with("x-forwarded-for", "f0rged")),
        ("HTTP2-Settings", with("http2-settings", "f0rged")),
        ("a query", changed(":path", "/mcp?x=f0rged")),
        ("Expect: 100-continue", with("expect", "100-continue")),
        ("the Host again", with("host", &host)),
        ("a priority", with("priority", "u=0")),
    ] {
        fire(&mut scene, what, &headers, &body, true).await;
    }
    // The body of one stream is no other's, and no trailer is a header.
    let trailers = [
        open(1, &base, 0),
        frame_of(DATA, 0, 1, &body),
        open(1, &vec![pair("authorization", "Bearer f0rged"), pair("x-auth-subject", "f0rged")], END_STREAM),
    ]
    .concat();
    let pseudo_trailers =
        [open(1, &base, 0), frame_of(DATA, 0, 1, &body), open(1, &vec![pair(":path", "/f0rged")], END_STREAM)].concat();
    for (what, bytes) in [("trailers", trailers), ("pseudo-headers as trailers", pseudo_trailers)] {
        scene.permit(1);
        let before = scene.world.mcp.arrived();
        let mut attacker = H2::connect(scene.front, &[]).await;
        attacker.send(&bytes).await;
        let outcome = within(what, attacker.outcome(1)).await;
        let fine = matches!(outcome, Outcome::Status(200 | 400..=499) | Outcome::Reset(_) | Outcome::Closed(_));
        scene.expect(fine, format!("{what}: {outcome:?}"));
        if scene.world.mcp.arrived() == before {
            scene.unused(1);
        }
        scene.fired(what, 1).await;
    }
    let forbidden = forbidden_call().into_bytes();
    fire(&mut scene, "the forbidden tool by h2", &base, &forbidden, false).await;
    fire(&mut scene, "a request of HTTP/1.1 as the body", &base, smuggled.as_bytes(), false).await;
    fire(&mut scene, "a name with the forbidden tool", &with("mcp-name", FORBIDDEN), &body, false).await;
    let nobody = post(&scene, false);
    fire(&mut scene, "no token by h2", &nobody, &body, false).await;
    scene.end().await
}

/// A scene behind TLS, and a client's configuration that trusts it.
async fn secured() -> (Scene, Arc<ClientConfig>) {
    let own = Identity::new();
    let files = format!(
        "tls: {{certificate: \"{}\", private_key: \"{}\"}}\n",
        own.certificate.display(),
        own.private_key.display()
    );
    let text = format!("{}{files}{TIMEOUTS}", file("").replace("http://{listen}", "https://{listen}"));
    let scene = Scene::secured(&text, &own).await;
    let mut roots = RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_file(&own.certificate).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (scene, Arc::new(config))
}

/// A hello of TLS up to 1.2 that offers this version and these suites.
fn hello(version: [u8; 2], suites: &[[u8; 2]]) -> Vec<u8> {
    let mut body = version.to_vec();
    body.extend([7; 32]);
    body.push(0);
    body.extend(u16::try_from(suites.len() * 2).unwrap().to_be_bytes());
    body.extend(suites.concat());
    body.extend([1, 0]);
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let handshake = [&[1, length[1], length[2], length[3]], body.as_slice()].concat();
    let record = u16::try_from(handshake.len()).unwrap().to_be_bytes();
    [&[22, 3, 1], record.as_slice(), &handshake].concat()
}

async fn g3_tls() -> Tally {
    let (mut scene, _) = secured().await;
    let address = scene.world.address;
    let call = scene.call().token(&scene.token).bytes();
    let cbc = [[0xc0, 0x09], [0xc0, 0x13], [0x00, 0x2f], [0x00, 0x35]];
    let gcm = [[0xc0, 0x2b], [0xc0, 0x2f]];
    let random: Vec<u8> = (0..5000_u32).map(|n| u8::try_from(n * 7919 % 251).unwrap()).collect();
    for (what, bytes) in [
        ("plain http", call.clone()),
        ("plain h2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("SSL 2", [&[0x80, 0x2e, 1, 0, 2][..], &[0; 41]].concat()),
        ("SSL 3", hello([3, 0], &gcm)),
        ("TLS 1.0", hello([3, 1], &cbc)),
        ("TLS 1.1", hello([3, 2], &cbc)),
        ("TLS 1.2 without AEAD", hello([3, 3], &cbc)),
        ("TLS 1.2 with keys sent by RSA", hello([3, 3], &[[0x00, 0x9c], [0x00, 0x9d]])),
        ("TLS 1.2 without encryption", hello([3, 3], &[[0, 1], [0, 2], [0xc0, 0x06]])),
        ("TLS 1.2 with RC4 and 3DES", hello([3, 3], &[[0, 5], [0, 10], [0xc0, 0x11]])),
        ("no cipher suite", hello([3, 3], &[])),
        ("application data before the handshake", [&[23, 3, 3, 0, 5][..], b"GET /"].concat()),
        ("a heartbeat of 16 kB", vec![24, 3, 2, 0, 3, 1, 0x40, 0]),
        ("an alert", vec![21, 3, 3, 0, 2, 2, 40]),
        ("a record of 64 kB", [&[22, 3, 1, 0xff, 0xff][..], vec![1; 65_535].as_slice()].concat()),
        ("empty records", [22, 3, 1, 0, 0].repeat(5000)),
        ("garbage", random),
        ("half a hello", hello([3, 3], &gcm)[..20].to_vec()),
        ("nothing", Vec::new()),
    ] {
        let answers = exchange::to_the_end(address, &bytes).await;
        let spoken = String::from_utf8_lossy(&answers.rest).contains("HTTP/");
        // An alert may come, a server's hello (22, then 2 in it) may not.
        let greeted = answers.rest.first() == Some(&22);
        scene.expect(answers.all.is_empty() && !spoken && !greeted && !answers.open, format!("{what}: {answers:?}"));
        scene.fired(what, 0).await;
    }
    // Half-open handshakes hold no place for longer than their timeout, and meanwhile others are served.
    let mut half_open = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&hello([3, 3], &gcm)[..11]).await.unwrap();
        half_open.push(stream);
    }
    scene.served("200 half-open handshakes").await;
    for mut stream in half_open {
        let ended = within("a half-open handshake ends", stream.read(&mut [0; 100])).await;
        scene.expect(matches!(ended, Ok(0) | Err(_)) || ended.is_ok(), "a half-open handshake");
    }
    scene.fired("200 half-open handshakes", 0).await;
    scene.end().await
}

async fn g5_names_of_hosts() -> Tally {
    let (mut scene, config) = secured().await;
    let connector = tokio_rustls::TlsConnector::from(config);
    let port = scene.world.address.port();
    for host in [
        "evil.example".to_owned(),
        format!("localhost:{port}"),
        "internal".to_owned(),
        format!("127.0.0.2:{port}"),
        "127.0.0.1".to_owned(),
    ] {
        let stream = TcpStream::connect(scene.world.address).await.unwrap();
        let mut secured = connector.connect(ServerName::try_from("127.0.0.1").unwrap(), stream).await.unwrap();
        let bytes = scene.call().token(&scene.token).with("Host", &host).header("Connection", "close").bytes();
        secured.write_all(&bytes).await.unwrap();
        let mut read = Vec::new();
        drop(within("an answer", secured.read_to_end(&mut read)).await);
        let status = exchange::Answers::parse(&read, false).status();
        scene.expect(status == 421, format!("Host {host} behind our certificate: {status}"));
        scene.fired(format!("Host {host} behind our certificate"), 0).await;
    }
    // A name that the certificate does not have: a client that checks it goes no further; one that does not gets 421.
    for name in ["evil.example", "internal.example"] {
        let stream = TcpStream::connect(scene.world.address).await.unwrap();
        let refused = connector.connect(ServerName::try_from(name).unwrap(), stream).await.is_err();
        scene.expect(refused, format!("the certificate covers {name}"));
        scene.fired(format!("the name {name} in the handshake"), 0).await;
    }
    scene.end().await
}
