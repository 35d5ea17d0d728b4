//! Section C: JSON-RPC bodies. A handful for each row; what reached the server must hold no forbidden call in any reading.

use serde_json::json;

use crate::readings::FORBIDDEN;
use crate::run::rows;
use crate::scene::{Expect, Scene, Tally, forbidden_call};
use crate::support::gateway::{PATH, file};

rows![
    c1_members_given_twice,
    c2_members_by_another_name,
    c3_escapes,
    c4_names_of_tools,
    c5_names_of_methods,
    c6_batches,
    c7_no_one_json_value,
    c8_encodings_of_text,
    c9_content_types,
    c10_content_encodings,
    c11_deep_and_large,
    c12_over_the_limit,
    c13_ids,
    c14_hybrids,
    c15_responses,
    c16_false_positives,
    c17_other_roads_to_a_tool,
];

/// Each body, with a token that may do all that the rules allow, must be refused.
async fn refused(scene: &mut Scene, bodies: &[impl AsRef<[u8]>], statuses: &[u16]) {
    for body in bodies {
        let body = body.as_ref();
        let what = String::from_utf8_lossy(&body[..body.len().min(120)]).into_owned();
        let request = scene.post(body);
        scene.refused(what, &request, statuses).await;
    }
}

/// A permitted call with this in the place of the name and what follows it.
fn params(rest: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{rest}}}}}"#)
}

async fn c1_members_given_twice() -> Tally {
    let mut scene = Scene::standard().await;
    let bad = format!(r#""{FORBIDDEN}""#);
    refused(
        &mut scene,
        &[
            params(&format!(r#""name":"get_x","name":{bad}"#)),
            params(&format!(r#""name":{bad},"name":"get_x""#)),
            params(&format!(r#""name":"get_x","name":"get_x","arguments":{{"name":{bad}}}"#)),
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{{"name":{bad}}}}}"#),
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","method":"ping","params":{{"name":{bad}}}}}"#),
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"get_x"}},"params":{{"name":{bad}}}}}"#),
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":{bad}}},"params":{{"name":"get_x"}}}}"#),
            r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/call","params":{"name":"get_x"}}"#.to_owned(),
            r#"{"jsonrpc":"1.0","jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_x"}}"#.to_owned(),
            params(r#""name":"get_x","arguments":{"a":1,"a":2}"#),
            params(r#""name":"get_x","arguments":[[{"a":1,"b":2,"a":3}]]"#),
        ],
        &[400],
    )
    .await;
    scene.end().await
}

async fn c2_members_by_another_name() -> Tally {
    let mut scene = Scene::standard().await;
    let bad = format!(r#""{FORBIDDEN}""#);
    for name in [
        "Name",
        "NAME",
        "name\\u0000",
        "name\\u0000x",
        "name ",
        " name",
        "name\\u200b",
        "na\\u00adme",
        "name\u{feff}",
        "__proto__",
    ] {
        let with = params(&format!(r#""name":"get_x","{name}":{bad}"#));
        scene.fire(format!("{name} beside name"), &scene.post(with).bytes(), Expect::Refused(&[400])).await;
        let alone = params(&format!(r#""{name}":{bad}"#));
        scene.fire(format!("{name} alone"), &scene.post(alone).bytes(), Expect::Refused(&[400])).await;
    }
    for key in ["Params", "PARAMS", "param\u{17f}", "params\\u0000", "params ", "_params"] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"get_x"}},"{key}":{{"name":{bad}}}}}"#
        );
        scene.fire(format!("{key} beside params"), &scene.post(body).bytes(), Expect::Refused(&[400])).await;
    }
    for key in ["Method", "METHOD", "method\\u0000", "method ", "m\\u0065thod\\u0000x"] {
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","{key}":"tools/call","params":{{"name":{bad}}}}}"#);
        scene.fire(format!("{key} beside method"), &scene.post(body).bytes(), Expect::Refused(&[400])).await;
    }
    for key in ["JSONRPC", "Id", "ID", "Re\u{17f}ult", "jsonrpc\\u0000"] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","{key}":2}}"#);
        scene.fire(format!("{key} in the envelope"), &scene.post(body).bytes(), Expect::Refused(&[400])).await;
    }
    scene.end().await
}

async fn c3_escapes() -> Tally {
    let mut scene = Scene::standard().await;
    refused(
        &mut scene,
        &[
            params(r#""name":"\u0064elete_everything""#),
            params(r#""name":"delete\u005feverything""#),
            params(r#""n\u0061me":"delete_everything""#),
            r#"{"jsonrpc":"2.0","id":1,"\u006dethod":"tools/call","params":{"name":"delete_everything"}}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":1,"method":"tools\/call","params":{"name":"delete_everything"}}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":1,"method":"\u0074ools\u002fcall","params":{"name":"delete_everything"}}"#
                .to_owned(),
        ],
        &[403],
    )
    .await;
    refused(
        &mut scene,
        &[
            params(r#""name":"get_x","n\u0061me":"delete_everything""#),
            params(r#""name":"\x64elete_everything""#),
            params(r#""name":"\U00000064elete_everything""#),
            params(r#""name":"\144elete_everything""#),
            params(r#""name":"get_x\""#),
        ],
        &[400],
    )
    .await;
    scene.end().await
}

async fn c4_names_of_tools() -> Tally {
    let mut scene = Scene::standard().await;
    for name in [
        "delete_everything",
        "Delete_everything",
        "DELETE_EVERYTHING",
        "delete_everything ",
        " delete_everything",
        "delete_everything\u{0}",
        "get_x\u{0}delete_everything",
        "d\u{435}lete_everything",
        "\u{ff44}elete_everything",
        "delete\u{200d}_everything",
        "\u{202e}gnihtyreve_eteled",
        "delete_everything\u{301}",
        "delete-everything",
        "delete.everything",
        "delete/everything",
        "deleteEverything",
        "delete_everything\n",
        "delete_everything\t",
        "GET_X",
        "Get_x",
        " get_x",
        "get_x ",
        "get_x\n",
        "get_\u{445}",
        "get_x\u{200b}",
        "ge\u{74}\u{301}_x",
        "\u{ff47}et_x",
        "get_x delete_everything",
        "get_x,delete_everything",
        "get_x;delete_everything",
        "get_x\r\ndelete_everything",
        "get_\u{0}",
        "get_%00",
        "get_../delete_everything\u{7f}",
        "*",
        "get_*",
        ".*",
        "^.*$",
        "get_?",
        "[a-z]+",
        "",
        "__proto__",
        "constructor",
        "toString",
        "../delete_everything",
        "standard/delete_everything\u{a0}",
        "mcp:delete_everything",
        "create_issue\u{0}",
        "open_to_all ",
        "Open_to_all",
        "unknown",
    ] {
        let body =
            json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": {}}});
        let request = scene.post(body.to_string());
        scene.refused(format!("{name:?}"), &request, &[403]).await;
    }
    let long = format!("get_{}", "x".repeat(70_000));
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": long}}).to_string();
    refused(&mut scene, &[body], &[403]).await;
    let others = ["[\"get_x\"]", "{\"get_x\":1}", "1", "null", "true", "[[\"get_x\"]]", "1e400", "NaN"];
    let others: Vec<String> = others.iter().map(|name| params(&format!("\"name\":{name}"))).collect();
    refused(&mut scene, &others, &[400]).await;
    scene.end().await
}

async fn c5_names_of_methods() -> Tally {
    let mut scene = Scene::standard().await;
    for method in [
        "Tools/call",
        "TOOLS/CALL",
        "tools/Call",
        "tools/call ",
        " tools/call",
        "tools/call\u{0}",
        "tools//call",
        "tools/call/",
        "/tools/call",
        "tools.call",
        "tools_call",
        "tools\\call",
        "tools%2Fcall",
        "tools\u{2215}call",
        "t\u{43e}ols/call",
        "tools/\u{200b}call",
        "tools/call\n",
        "tools/list\u{0}",
        "\u{ff54}ools/call",
        "tools/call#",
        "tools/call?x",
        "*",
        "",
        "tools/execute",
        "tools/run",
        "rpc.discover",
        "system.listMethods",
        "admin/shutdown",
        "debug/eval",
        "sampling/createMessage",
        "roots/list",
        "elicitation/create",
        "__proto__",
        "acme/reindex",
        "notifications/tools/call",
        "tasks/result",
    ] {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"name": FORBIDDEN, "arguments": {}}});
        let request = scene.post(body.to_string());
        scene.refused(format!("{method:?}"), &request, &[400, 403]).await;
        let newest = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {
            "name": FORBIDDEN, "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}});
        let printable = method.bytes().all(|byte| (0x21..0x7f).contains(&byte)) && !method.is_empty();
        if printable {
            let request = scene
                .post(newest.to_string())
                .header("MCP-Protocol-Version", "2026-07-28")
                .header("Mcp-Method", method)
                .header("Mcp-Name", FORBIDDEN);
            scene.refused(format!("{method:?} in 2026-07-28"), &request, &[400, 403, 404]).await;
        }
    }
    scene.end().await
}

async fn c6_batches() -> Tally {
    let mut scene = Scene::standard().await;
    let good = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_x"}}"#;
    let bad = forbidden_call();
    for version in ["2025-06-18", "2025-11-25", "2026-07-28"] {
        for body in [format!("[{good}]"), format!("[{good},{bad}]"), "[]".to_owned()] {
            let request = scene.post(&body).header("MCP-Protocol-Version", version);
            scene.refused(format!("{version} {body}"), &request, &[400]).await;
        }
    }
    let many = vec![good; 51].join(",");
    for (body, statuses) in [
        (format!("[{good},{bad}]"), [403]),
        (format!("[{bad},{good}]"), [403]),
        (format!("[{bad}]"), [403]),
        ("[]".to_owned(), [400]),
        (format!("[[{bad}]]"), [400]),
        (format!("[[{good}]]"), [400]),
        (format!("[{good},[{bad}]]"), [400]),
        (format!("[{good},null]"), [400]),
        (format!("[{good},1]"), [400]),
        (format!("[{good},]"), [400]),
        (format!("[{good}"), [400]),
        (format!("[{good}]{bad}"), [400]),
        (format!("[{good}][{bad}]"), [400]),
        (format!("{good},{bad}"), [400]),
        (format!("[{many}]"), [400]),
        (format!("[{good},{good}]"), [400]),
    ] {
        for version in [None, Some("2025-03-26")] {
            let mut request = scene.post(&body);
            if let Some(version) = version {
                request = request.header("MCP-Protocol-Version", version);
            }
            // Two requests of one id are a fault only where they are: the server may take either.
            let expect =
                if body == format!("[{good},{good}]") { Expect::Either(&[400]) } else { Expect::Refused(&statuses) };
            scene.fire(format!("{version:?} {}", &body[..body.len().min(150)]), &request.bytes(), expect).await;
        }
    }
    scene.end().await
}

async fn c7_no_one_json_value() -> Tally {
    let mut scene = Scene::standard().await;
    let good = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_x"}}"#;
    let bad = forbidden_call();
    refused(
        &mut scene,
        &[
            format!("{good}{bad}"),
            format!("{good} {bad}"),
            format!("{good}\n{bad}"),
            format!("{good}\r\n{bad}\r\n"),
            format!("\u{1e}{good}\n\u{1e}{bad}\n"),
            format!("{good}\u{0}"),
            format!("{good}\u{0}{bad}"),
            format!("{good}}}"),
            format!("{good}]"),
            format!("{good},"),
            format!("{good};"),
            format!("{good}/*{bad}*/"),
            format!("{good}//{bad}"),
            format!("{good}#"),
            format!("/**/{good}"),
            format!("){{}}',{good}"),
            format!(")]}}',\n{good}"),
            format!("data: {good}\n\n"),
            good.replace('"', "'"),
            good.replace("\"method\"", "method"),
            good.replace('}', ",}"),
            good.replace(":1,", ":NaN,"),
            good.replace(":1,", ":0x1,"),
            good.replace(":1,", ":+1,"),
            good.replace(":1,", ":1.,"),
            good.replace(":1,", ":.5,"),
            good.replace(":1,", ":01,"),
            good.replace("get_x", "get\nx"),
            good.replace("get_x", "get\u{7}x"),
            good.replace("get_x", "get_x\\"),
            good[..good.len() - 1].to_owned(),
            good[..20].to_owned(),
            "{".to_owned(),
            String::new(),
            " ".to_owned(),
            format!("\u{b}{good}"),
            format!("\u{a0}{good}"),
            format!("{good}\u{c}"),
        ],
        &[400],
    )
    .await;
    scene.end().await
}

async fn c8_encodings_of_text() -> Tally {
    let mut scene = Scene::standard().await;
    let good = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_x"}}"#;
    let bad = forbidden_call();
    let utf16 = |text: &str, big: bool| -> Vec<u8> {
        text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    };
    let utf32 = |text: &str| -> Vec<u8> { text.chars().flat_map(|char| u32::from(char).to_be_bytes()).collect() };
    let within = |bytes: &[u8]| {
        let (before, after) = good.split_once("get_x").unwrap();
        [before.as_bytes(), b"get_", bytes, after.as_bytes()].concat()
    };
    refused(
        &mut scene,
        &[
            format!("\u{feff}{good}").into_bytes(),
            utf16(&bad, true),
            utf16(&bad, false),
            utf16(&format!("\u{feff}{bad}"), true),
            utf16(&format!("\u{feff}{bad}"), false),
            utf32(&bad),
            utf32(&format!("\u{feff}{bad}")),
            bad.replace('{', "+AHs-").into_bytes(),
            [b"\xff\xfe".as_slice(), good.as_bytes()].concat(),
            within(b"\xc0\xaf"),
            within(b"\xc1\xa1"),
            within(b"\xe0\x80\xaf"),
            within(b"\xed\xa0\x80"),
            within(b"\xed\xa0\xbd\xed\xb8\x80"),
            within(b"\xf4\x90\x80\x80"),
            within(b"\xf8\x88\x80\x80\x80"),
            within(b"\xff"),
            within(b"\x80"),
            within(b"\xe9"),
            within(b"\xc3"),
            within(br"\ud800"),
            within(br"\udc00"),
            within(br"\ud800\u0041"),
            within(br"\udc00\ud800"),
        ],
        &[400],
    )
    .await;
    for charset in
        ["utf-16", "utf-16le", "utf-32", "utf-7", "iso-8859-1", "us-ascii", "cesu-8", "x", "", "utf-8\u{0}", "utf8"]
    {
        let request = scene.post(good).with("Content-Type", &format!("application/json; charset={charset}"));
        scene.refused(format!("charset={charset:?}"), &request, &[400, 415]).await;
    }
    scene.end().await
}

async fn c9_content_types() -> Tally {
    let mut scene = Scene::standard().await;
    let call = scene.call().token(&scene.token);
    scene.refused("none", &call.clone().without("Content-Type"), &[415]).await;
    for kind in [
        "",
        "text/plain",
        "text/json",
        "application/json-rpc",
        "application/jsonrequest",
        "application/ld+json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/cbor",
        "application/xml",
        "application/json, text/plain",
        "text/plain, application/json",
        "application/json; charset=utf-8; charset=utf-7",
        "application/json; boundary=x",
        "application/json;",
        "\"application/json\"",
        "application/json\u{a0}",
        "json",
        "*/*",
        "application/*",
        "application/json text/plain",
        "application/jso\u{144}",
    ] {
        scene.refused(kind, &call.clone().with("Content-Type", kind), &[415]).await;
    }
    for second in ["application/json", "text/plain", "multipart/form-data"] {
        let twice = call.clone().header("Content-Type", second);
        scene.refused(format!("and {second}"), &twice, &[400, 415]).await;
    }
    scene.end().await
}

async fn c10_content_encodings() -> Tally {
    let mut scene = Scene::standard().await;
    let call = scene.call().token(&scene.token);
    for encoding in [
        "gzip",
        "x-gzip",
        "GZIP",
        "deflate",
        "br",
        "zstd",
        "compress",
        "identity, gzip",
        "gzip, gzip",
        "gzip, identity",
        "x",
        "",
        "*",
        "gzip;q=0",
        "aes128gcm",
        "dcb",
    ] {
        scene.refused(encoding, &call.clone().header("Content-Encoding", encoding), &[415]).await;
    }
    let twice = call.clone().header("Content-Encoding", "identity").header("Content-Encoding", "gzip");
    scene.refused("two headers", &twice, &[415]).await;
    // Really compressed, said so or not; and a bomb of 10 MB in 10 kB.
    let gzip = gzip_stored(forbidden_call().as_bytes());
    scene.refused("gzip and says so", &call.clone().body(&gzip).header("Content-Encoding", "gzip"), &[415]).await;
    scene.refused("gzip and does not say so", &call.clone().body(&gzip), &[400]).await;
    let zlib = [&[0x78, 0x01][..], &gzip[10..]].concat();
    scene.refused("zlib and does not say so", &call.clone().body(&zlib), &[400]).await;
    let bomb = [&gzip[..10], &[0x4b; 10_000][..]].concat();
    scene.refused("a bomb", &call.clone().body(&bomb).header("Content-Encoding", "gzip"), &[415]).await;
    let coded = call.header("TE", "gzip").header("Transfer-Encoding", "gzip, chunked").body("0\r\n\r\n");
    scene.refused("as a transfer coding", &coded, &[400]).await;
    scene.end().await
}

/// gzip in its simplest form: one stored block (the check sum is wrong, which lenient readers do not mind).
fn gzip_stored(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    [&head[..], &length.to_le_bytes(), &(!length).to_le_bytes(), bytes, &[0; 8]].concat()
}

async fn c11_deep_and_large() -> Tally {
    let mut scene = Scene::standard().await;
    let deep = |open: &str, close: &str, depth: usize| {
        params(&format!(r#""name":"get_x","arguments":{}1{}"#, open.repeat(depth), close.repeat(depth)))
    };
    for depth in [65, 200, 1000, 10_000, 100_000] {
        refused(&mut scene, &[deep("[", "]", depth), deep("{\"a\":", "}", depth), "[".repeat(depth)], &[400, 413])
            .await;
    }
    let keys = |equal: bool, count: usize| {
        let members: Vec<String> = (0..count).map(|n| format!("\"k{}\":1", if equal { 0 } else { n })).collect();
        params(&format!(r#""name":"{FORBIDDEN}","arguments":{{{}}}"#, members.join(",")))
    };
    refused(&mut scene, &[keys(true, 20_000)], &[400]).await;
    refused(&mut scene, &[keys(false, 40_000)], &[400, 403]).await;
    for number in ["1e400", "-1e400", "1e999999999", &"9".repeat(100_000), &format!("0.{}1", "0".repeat(100_000))] {
        let body = params(&format!(r#""name":"{FORBIDDEN}","arguments":{{"n":{number}}}"#));
        refused(&mut scene, &[body], &[400, 403]).await;
    }
    let escapes = params(&format!(r#""name":"{FORBIDDEN}","arguments":{{"a":"{}"}}"#, r"\u0041".repeat(100_000)));
    let spaces = params(&format!(r#""name":"{FORBIDDEN}"{}"#, " ".repeat(500_000)));
    refused(&mut scene, &[escapes, spaces], &[403]).await;
    scene.end().await
}

async fn c12_over_the_limit() -> Tally {
    let text = format!("{}limits: {{body_bytes_max: 2048}}\n", file(""));
    let mut scene = Scene::start(&text).await;
    let pad = |length: usize| " ".repeat(length);
    let good = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_x""#;
    let bodies = [
        (
            "the name behind the limit",
            format!("{good},\"arguments\":{{\"a\":\"{}\"}},\"name\":\"{FORBIDDEN}\"}}}}", pad(2000)),
        ),
        ("spaces before", format!("{}{}", pad(3000), forbidden_call())),
        ("spaces behind", format!("{good}}}}}{}{}", pad(3000), forbidden_call())),
        ("a good call of 2049 bytes", format!("{good}}}}}{}", pad(2049 - good.len() - 2))),
        ("a megabyte", pad(1 << 20)),
    ];
    for (what, body) in bodies {
        let whole = scene.post(&body);
        scene.refused(what, &whole, &[413]).await;
        let mut chunked = Vec::new();
        for piece in body.as_bytes().chunks(700) {
            chunked.extend(format!("{:x}\r\n", piece.len()).into_bytes());
            chunked.extend_from_slice(piece);
            chunked.extend_from_slice(b"\r\n");
        }
        chunked.extend_from_slice(b"0\r\n\r\n");
        let request = scene.post(&chunked).header("Transfer-Encoding", "chunked");
        scene.refused(format!("{what}, in chunks"), &request, &[413]).await;
        let expecting = scene.post(&body).header("Expect", "100-continue");
        scene.refused(format!("{what}, expecting leave"), &expecting, &[413]).await;
    }
    let lying = scene.post("{}").header("Content-Length", "99999999999");
    scene.refused("a length that says it is over", &lying, &[413]).await;
    scene.end().await
}

async fn c13_ids() -> Tally {
    let mut scene = Scene::standard().await;
    for id in [
        "null",
        "true",
        "false",
        "{}",
        "[]",
        "[1]",
        "1.5",
        "1.0",
        "1e2",
        "-0.0",
        "1E400",
        "\"\\ud800\"",
        "NaN",
        "undefined",
        "01",
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"get_x"}}}}"#);
        refused(&mut scene, &[body], &[400]).await;
    }
    let long =
        format!(r#"{{"jsonrpc":"2.0","id":{},"method":"tools/call","params":{{"name":"get_x"}}}}"#, "7".repeat(400));
    refused(&mut scene, &[long], &[400]).await;
    let bad = format!(r#"{{"jsonrpc":"2.0","method":"tools/call","params":{{"name":"{FORBIDDEN}"}}}}"#);
    let good = r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"get_x"}}"#.to_owned();
    let ping = r#"{"jsonrpc":"2.0","method":"ping"}"#.to_owned();
    refused(&mut scene, &[bad, good, ping], &[400]).await;
    scene.end().await
}

async fn c14_hybrids() -> Tally {
    let mut scene = Scene::standard().await;
    let bad = format!(r#""params":{{"name":"{FORBIDDEN}"}}"#);
    refused(
        &mut scene,
        &[
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{}},"method":"tools/call",{bad}}}"#),
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call",{bad},"result":{{}}}}"#),
            format!(r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":1,"message":"x"}},"method":"tools/call",{bad}}}"#),
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{}},"Method":"tools/call",{bad}}}"#),
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{}},"method\u0000":"tools/call",{bad}}}"#),
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{}},"__proto__":{{"method":"tools/call",{bad}}}}}"#),
            r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":"x"}}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","error":null}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":null}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":1}"#.to_owned(),
        ],
        &[400],
    )
    .await;
    scene.end().await
}

async fn c15_responses() -> Tally {
    let mut scene = Scene::standard().await;
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":"1","error":{"code":-32603,"message":"x"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#,
    ] {
        let newest = scene.post(body).header("MCP-Protocol-Version", "2026-07-28");
        scene.refused(format!("2026-07-28 {body}"), &newest, &[400]).await;
        let nobody = scene.world.client.post(PATH, body);
        scene.refused(format!("without a token {body}"), &nobody, &[401]).await;
    }
    for body in [
        r#"{"jsonrpc":"2.0","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":{},"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":true,"result":1}"#,
    ] {
        refused(&mut scene, &[body], &[400]).await;
    }
    scene.end().await
}

async fn c16_false_positives() -> Tally {
    let mut scene = Scene::standard().await;
    let deep = format!("{}1{}", "[".repeat(30), "]".repeat(30));
    let bodies = [
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "get_x", "arguments": {
            "name": "create_issue", "method": "tools/call", "Name": "x", "params": {"name": "y"}, "text": "drop table; <script>"}}})
        .to_string(),
        r#"{"params":{"arguments":{},"name":"get_x"},"method":"tools/call","id":"a","jsonrpc":"2.0"}"#.to_owned(),
        " \r\n\t{ \"jsonrpc\" : \"2.0\" , \"id\" : 1 ,\n\"method\" : \"tools/call\" , \"params\" : { \"name\" : \"get_x\" } }\n".to_owned(),
        params(&format!(r#""name":"get_x","arguments":{{"a":{deep}}}"#)),
        params(&format!(r#""name":"get_x","arguments":{{"a":"{}"}}"#, "x".repeat(64 << 10))),
        params("\"name\":\"get_x\",\"arguments\":{\"a\":\"\u{1f600} \u{5d0}\u{5d1} \u{202e}\u{0301}\",\"n\u{e4}me\":1}"),
        params(r#""name":"get_x","arguments":{"a":"\ud83d\ude00","b":1e300,"c":-0.0,"d":12345678901234567890}"#),
        params(r#""name":"get_x","_meta":{"progressToken":"t","x.example/y":{"name":"z"}}"#),
    ];
    for body in bodies {
        let request = scene.post(&body);
        scene.defused(body.chars().take(100).collect::<String>().escape_debug(), &request).await;
        let arrived = scene.world.mcp.next().await.body == body.as_bytes();
        scene.expect(arrived, "other bytes arrived than were sent");
        drop(scene.world.mcp.next().await);
    }
    scene.end().await
}

async fn c17_other_roads_to_a_tool() -> Tally {
    let mut scene = Scene::standard().await;
    let call = |extra: serde_json::Value| {
        let mut params = json!({"name": FORBIDDEN, "arguments": {}});
        params.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string()
    };
    let calls = [
        call(json!({"task": {"ttl": 1000}})),
        call(json!({"inputResponses": {"a": {}}, "requestState": "x"})),
        call(json!({"requestState": "x"})),
        call(json!({"_meta": {"progressToken": 1}})),
    ];
    refused(&mut scene, &calls, &[403]).await;
    for (method, params) in [
        ("tasks/get", json!({"taskId": FORBIDDEN})),
        ("tasks/result", json!({"taskId": "1"})),
        ("tasks/cancel", json!({"taskId": "1"})),
        ("tasks/list", json!({})),
        ("tasks/update", json!({"taskId": "1", "inputResponses": {}})),
        ("resources/read", json!({"uri": "file:///etc/passwd"})),
        ("resources/read", json!({"uri": "repo://a/../../b"})),
        ("resources/read", json!({"uri": "repo://a/%2e%2e/b"})),
        ("resources/read", json!({"uri": "REPO://a"})),
        ("resources/read", json!({"uri": "repo://user@a"})),
        ("resources/read", json!({"uri": "repo://a\u{0}"})),
        ("resources/subscribe", json!({"uri": "file:///etc/passwd"})),
        ("completion/complete", json!({"ref": {"type": "ref/resource", "uri": "file:///{x}"}, "argument": {}})),
        ("x.example/tools/call", json!({"name": FORBIDDEN})),
        ("extensions/run", json!({"tool": FORBIDDEN})),
    ] {
        let request = scene.world.client.call(PATH, method, &params).token(&scene.token);
        scene.refused(format!("{method} {params}"), &request, &[403]).await;
    }
    let prompts = scene.good().scope("mcp").mint();
    for (method, params) in [
        ("prompts/get", json!({"name": "greet"})),
        ("resources/read", json!({"uri": "repo://a"})),
        ("completion/complete", json!({"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {}})),
    ] {
        let request = scene.world.client.call(PATH, method, &params).token(&prompts);
        scene.refused(format!("{method} without its scope"), &request, &[403]).await;
    }
    scene.end().await
}
