//! Section F, what stands behind the framing: paths, queries, hosts, sizes, pages, documents, and the audit log.

use serde_json::{Value, json};

use crate::exchange::Answers;
use crate::readings::FORBIDDEN;
use crate::run::rows;
use crate::scene::{Expect, Scene, Tally};
use crate::support::gateway::{PATH, file};

rows![f7_paths, f8_queries, f9_reflected_hosts, f10_header_bombs, f11_pages_of_others, f12_metadata, f13_log_injection,];

#[expect(clippy::too_many_lines, reason = "a table: one attack a line")]
async fn f7_paths() -> Tally {
    let mut scene = Scene::standard().await;
    let host = scene.world.address.to_string();
    for path in [
        "/",
        "//",
        "/mcp/",
        "/mcp//",
        "//mcp",
        "///mcp",
        "/./mcp",
        "/mcp/.",
        "/mcp/..",
        "/x/../mcp",
        "/../mcp",
        "/mcp/../mcp",
        "/%2e/mcp",
        "/%2e%2e/mcp",
        "/x/%2e%2e/mcp",
        "/x/.%2e/mcp",
        "/x/..%2fmcp",
        "/x%2f..%2fmcp",
        "/..;/mcp",
        "/x/..;/mcp",
        "/mcp;",
        "/mcp;x",
        "/mcp;x=y",
        "/;/mcp",
        "/mcp/;",
        "/;x/mcp",
        "/mcp%3b",
        "/%6dcp",
        "/m%63p",
        "/%6D%63%70",
        "/%256dcp",
        "/mcp%",
        "/mcp%2",
        "/mcp%zz",
        "/mcp%00",
        "/mcp%00.json",
        "/mcp%0a",
        "/mcp%0d%0aX:y",
        "/mcp%20",
        "/mcp%09",
        "/mcp%2f",
        "/mcp%5c",
        "/mcp%23",
        "/mcp%3f",
        "/mcp%3fx",
        "/mcp%252f",
        "/mcp%c0%af",
        "/mcp%c0%ae",
        "/mcp%e0%80%af",
        "/MCP",
        "/Mcp",
        "/mcP",
        "/mcp.",
        "/mcp.json",
        "/mcp~",
        "/mcp:",
        "/mcp,",
        "/mcp!",
        "/mcp'",
        "/mcp*",
        "/mcp$",
        "/mcp&x",
        "/mcp=x",
        "/mcp@x",
        "/mcp+",
        "/xmcp",
        "/mcpx",
        "/mcp/x",
        "/upstream/mcp",
        "/api/mcp",
        "/mcp/mcp",
        "/mcp/sse",
        "/mcp/message",
        "/.well-known/../mcp",
        "/.well-known/oauth-protected-resource/../../mcp",
        "/.well-known/oauth-protected-resource/mcp/x",
        "/.well-known//oauth-protected-resource",
        "/.%77ell-known/oauth-protected-resource",
    ] {
        let request = scene.world.client.tool(path, "get_x").token(&scene.token);
        scene.refused(path, &request, &[404, 405]).await;
    }
    for target in [
        "\\mcp",
        "/\\mcp",
        "/mcp\\",
        "/x\\..\\mcp",
        "/mcp\u{e9}",
        "/mcp\u{212a}",
        "/mcp\u{ff0f}x",
        "/mcp\u{7f}",
        "/mcp\u{1}",
        "mcp",
        "./mcp",
        "*",
        "",
        "?",
        "#",
        "/mcp#x",
        "/mcp\"",
        "/mcp<x>",
        "/mcp{}",
        "/mcp|",
        "/mcp^",
        "/mcp`",
    ] {
        let request = scene.world.client.tool(target, "get_x").token(&scene.token);
        // A fragment is none of the target's; whoever cuts it off sees the path.
        let expect = if target == "/mcp#x" { Expect::Either(&[400, 404]) } else { Expect::Refused(&[400, 404, 405]) };
        scene.fire(format!("{target:?}"), &request.bytes(), expect).await;
    }
    for target in [
        "http://evil.example/mcp".to_owned(),
        format!("http://evil.example@{host}/mcp"),
        format!("http://{host}@evil.example/mcp"),
        format!("http://{host}.evil.example/mcp"),
        format!("http://{host}//mcp"),
        format!("http://{host}/x/../mcp"),
        format!("http://{host}"),
        format!("http://{host}?/mcp"),
        format!("//{host}/mcp"),
        "//evil.example/mcp".to_owned(),
        format!("http:///{host}/mcp"),
        "http:/mcp".to_owned(),
        "http:mcp".to_owned(),
        "http://".to_owned(),
        "file:///mcp".to_owned(),
        "javascript:alert(1)".to_owned(),
        "ftp://evil.example/mcp".to_owned(),
    ] {
        let request = scene.world.client.tool(&target, "get_x").token(&scene.token);
        scene.refused(&target, &request, &[400, 404, 405, 421]).await;
    }
    for (target, name) in [
        (format!("http://{host}/mcp"), "evil.example".to_owned()),
        ("http://evil.example/mcp".to_owned(), host.clone()),
        (format!("HTTP://{}/mcp", "EVIL.example"), host.clone()),
    ] {
        let request = scene.world.client.tool(&target, "get_x").with("Host", &name).token(&scene.token);
        scene.refused(format!("{target} of {name}"), &request, &[400, 421]).await;
    }
    for target in [
        format!("http://{host}/mcp"),
        format!("https://{host}/mcp"),
        format!("ftp://{host}/mcp"),
        format!("HTTP://{host}/mcp"),
    ] {
        let request = scene.world.client.tool(&target, "get_x").token(&scene.token);
        scene.fire(&target, &request.bytes(), Expect::Either(&[400, 404, 421])).await;
        let forbidden = scene.world.client.tool(&target, FORBIDDEN).token(&scene.token);
        scene.refused(format!("the forbidden tool by {target}"), &forbidden, &[400, 403, 404, 421]).await;
    }
    let long = format!("/mcp/{}", "x".repeat(8000));
    let request = scene.world.client.tool(&long, "get_x").token(&scene.token);
    scene.refused("8 kB of path", &request, &[404, 414]).await;
    scene.end().await
}

async fn f8_queries() -> Tally {
    let mut scene = Scene::standard().await;
    for query in [
        "?name=get_x",
        "?method=ping",
        "?tool=get_x&method=tools/list",
        "?_method=GET",
        "?jsonrpc=2.0&id=1&method=ping",
        "?params.name=get_x",
        "?scope=mcp+tools:read",
        "?sub=alice",
        "?;x",
        "??",
        "?/.well-known/oauth-protected-resource",
    ] {
        let target = format!("{PATH}{query}");
        let denied = scene.world.client.tool(&target, FORBIDDEN).token(&scene.token);
        scene.refused(format!("the forbidden tool with {query}"), &denied, &[403]).await;
        let nobody = scene.world.client.tool(&target, "get_x");
        scene.refused(format!("no token with {query}"), &nobody, &[401]).await;
    }
    for query in
        ["?x=f0rged", "?name=delete_everything", "?access_token=f0rged", "?%66%30rged", "?a=b HTTP/1.1", "?x=f0rged#y"]
    {
        let request = scene.world.client.tool(&format!("{PATH}{query}"), "get_x").token(&scene.token);
        scene.fire(format!("{query} on its way to the server"), &request.bytes(), Expect::Either(&[400])).await;
    }
    scene.end().await
}

fn says(answers: &Answers, word: &str) -> bool {
    String::from_utf8_lossy(&answers.everything()).to_ascii_lowercase().contains(word)
}

async fn f9_reflected_hosts() -> Tally {
    let mut scene = Scene::standard().await;
    let documents = [
        format!("/.well-known/oauth-protected-resource{PATH}"),
        "/.well-known/oauth-protected-resource".to_owned(),
        "/.well-known/oauth-authorization-server".to_owned(),
        "/.well-known/openid-configuration".to_owned(),
        PATH.to_owned(),
    ];
    for document in documents {
        for (name, value) in [
            ("X-Forwarded-Host", "f0rged.example"),
            ("X-Forwarded-Proto", "f0rged"),
            ("X-Forwarded-Prefix", "/f0rged"),
            ("X-Forwarded-Port", "f0rged"),
            ("Forwarded", "host=f0rged.example;proto=https"),
            ("X-Host", "f0rged.example"),
            ("X-Original-URL", "/f0rged"),
            ("X-Original-Host", "f0rged.example"),
            ("Referer", "https://f0rged.example/"),
            ("Via", "1.1 f0rged"),
        ] {
            let request = scene.world.client.get(&document).header(name, value);
            let answers = scene.refused(format!("{document} with {name}"), &request, &[200, 401]).await;
            scene.expect(!says(&answers, "f0rged"), format!("{document} reflects {name}"));
        }
        let other = scene.world.client.get(&document).with("Host", "f0rged.example");
        let answers = scene.refused(format!("{document} of another host"), &other, &[421]).await;
        scene.expect(!says(&answers, "f0rged"), format!("{document} reflects Host"));
        let query = scene.world.client.get(&format!("{document}?resource=https://f0rged.example"));
        let answers = scene.refused(format!("{document} with a query"), &query, &[200, 401]).await;
        scene.expect(!says(&answers, "f0rged"), format!("{document} reflects its query"));
    }
    scene.end().await
}

async fn f10_header_bombs() -> Tally {
    let mut scene = Scene::standard().await;
    let call = scene.call().token(&scene.token);
    let mut many = call.clone();
    for n in 0..2000 {
        many = many.header(&format!("X-{n}"), "x");
    }
    let mut equal = call.clone();
    for _ in 0..2000 {
        equal = equal.header("X", "x");
    }
    let mut cookies = call.clone();
    for n in 0..5000 {
        cookies = cookies.header("Cookie", &format!("a{n}=b"));
    }
    let mut just = call.clone();
    for n in 0..101 {
        just = just.header(&format!("X-{n}"), "x");
    }
    for (what, request) in [
        ("2000 headers", many),
        ("2000 equal headers", equal),
        ("5000 cookies", cookies),
        ("101 headers too many", just),
        ("a header of 1 MB", call.clone().header("X", &"x".repeat(1 << 20))),
        ("a header of 40 kB", call.clone().header("X", &"x".repeat(40_000))),
        ("a name of 1 MB", call.clone().header(&"x".repeat(1 << 20), "x")),
        ("a name of 70 kB", call.clone().header(&"x".repeat(70_000), "x")),
        ("a cookie of 1 MB", call.clone().header("Cookie", &"a=b; ".repeat(200_000))),
        ("a target of 1 MB", scene.world.client.tool(&format!("{PATH}?{}", "x".repeat(1 << 20)), "get_x")),
        ("a path of 1 MB", scene.world.client.tool(&format!("/{}", "x".repeat(1 << 20)), "get_x")),
        ("a method of 1 MB", scene.world.client.request(&"X".repeat(1 << 20), PATH)),
        ("2000 Connection words", call.clone().header("Connection", &"x,".repeat(20_000))),
        ("2000 Transfer-Encodings", call.clone().header("Transfer-Encoding", &"chunked,".repeat(5000))),
    ] {
        scene.refused(what, &request, &[400, 414, 431]).await;
    }
    scene.end().await
}

async fn f11_pages_of_others() -> Tally {
    let mut scene = Scene::start(&file("allowed_origins: [\"https://inspector.example\"]")).await;
    let client = scene.world.client.clone();
    let preflight = client
        .request("OPTIONS", PATH)
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "authorization, content-type");
    for origin in [
        "https://evil.example",
        "null",
        "https://inspector.example.evil.example",
        "http://inspector.example",
        "https://Inspector.example",
        "https://inspector.example/",
        "https://inspector.example:443",
    ] {
        for request in [
            preflight.clone(),
            client.tool(PATH, "get_x"),
            client.tool(PATH, "get_x").token(&scene.token),
            client.get(PATH),
        ] {
            let answers = scene.refused(format!("the page {origin}"), &request.header("Origin", origin), &[403]).await;
            scene.expect(!says(&answers, "access-control-allow"), format!("{origin} is told to go on"));
        }
    }
    let origin = "https://inspector.example";
    for request in [preflight, client.tool(PATH, "get_x"), client.tool(PATH, "get_x").token(&scene.token)] {
        let answers =
            scene.fire("a listed page", &request.header("Origin", origin).bytes(), Expect::Either(&[401])).await;
        let answer = answers.first();
        let fine = answer.header("access-control-allow-origin") == Some(origin)
            && answer.header("access-control-allow-credentials").is_none()
            && answer.header("vary").is_some_and(|vary| vary.to_ascii_lowercase().contains("origin"));
        scene.expect(fine, format!("a listed page: {}", answer.head));
    }
    for document in ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-authorization-server"] {
        let request = client.get(document).header("Origin", "https://evil.example");
        let answers = scene.refused(document, &request, &[200]).await;
        let fine = answers.first().header("access-control-allow-origin") == Some("*")
            && answers.first().header("access-control-allow-credentials").is_none();
        scene.expect(fine, format!("{document}: {}", answers.first().head));
    }
    scene.end().await
}

async fn f12_metadata() -> Tally {
    let mut scene = Scene::standard().await;
    let client = scene.world.client.clone();
    for path in [
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp?resource=https://evil.example",
    ] {
        let answers = scene.refused(path, &client.get(path), &[200]).await;
        let document: Value = serde_json::from_slice(&answers.first().body).unwrap();
        let scopes = document["scopes_supported"].as_array().cloned().unwrap_or_default();
        let fine = document["resource"] == json!(scene.world.url(PATH))
            && document["authorization_servers"] == json!([scene.world.issuer.issuer()])
            && !scopes.contains(&json!("offline_access"));
        scene.expect(fine, format!("{path}: {document}"));
    }
    for path in [
        "/.well-known/oauth-protected-resource/",
        "/.well-known/oauth-protected-resource/mcp/",
        "/.well-known/oauth-protected-resource/other",
        "/.well-known/oauth-protected-resource//mcp",
        "/.well-known/oauth-protected-resource/MCP",
        "/.well-known/oauth-protected-resource/%6dcp",
        "/.well-known/oauth-protected-resource/mcp/../mcp",
        "/.well-known/oauth-protected-resource;x",
        "/.well-known/oauth-protected-resource%2fmcp",
        "/.Well-Known/oauth-protected-resource",
        "/mcp/.well-known/oauth-protected-resource",
        "/.well-known/oauth-authorization-server/other",
    ] {
        scene.refused(path, &client.get(path), &[404]).await;
    }
    for verb in ["POST", "PUT", "DELETE", "PATCH", "TRACE"] {
        let request = client.request(verb, "/.well-known/oauth-protected-resource/mcp");
        scene.refused(verb, &request, &[405]).await;
    }
    scene.end().await
}

async fn f13_log_injection() -> Tally {
    let mut scene = Scene::standard().await;
    let bad = [
        "x\r\n{\"event\":\"request\",\"reason\":\"f0rged\"}",
        "x\n{\"event\":\"request\"}",
        "\u{1b}[2J\u{1b}[31m",
        "\",\"decision\":\"allowed\",\"x\":\"",
        "\\\",\"reason\":\"f0rged",
        "\u{0}",
        "\u{7f}\u{9b}31m",
        "\u{2028}\u{2029}\u{85}",
        "${jndi:ldap://127.0.0.1:1/x}",
        "%0d%0a%s%n",
        "\u{202e}gnikool-dab",
        "<script>alert(1)</script>",
    ];
    let long = "x".repeat(5000);
    for text in bad.iter().copied().chain([long.as_str()]) {
        let what = text.escape_debug().to_string().chars().take(40).collect::<String>();
        let tool = scene.world.client.tool(PATH, text).token(&scene.token);
        scene.refused(format!("the tool {what}"), &tool, &[403]).await;
        let method = scene.world.client.call(PATH, text, &json!({})).token(&scene.token);
        scene.refused(format!("the method {what}"), &method, &[403]).await;
        let prompt = scene.world.client.call(PATH, "resources/read", &json!({"uri": text})).token(&scene.token);
        scene.refused(format!("the resource {what}"), &prompt, &[403]).await;
        let kid = scene.good().header("kid", text).mint();
        scene.bad_token(format!("the kid {what}"), &kid).await;
        let denied = scene.good().subject(text).client(text).scope("mcp").mint();
        let request = scene.call().token(&denied);
        // A long one makes a token that is too long.
        scene.refused(format!("the subject {what}"), &request, &[401, 403]).await;
        if text.bytes().all(|byte| byte >= 0x20 && byte != 0x7f) {
            let headers = scene.call().header("User-Agent", text).header("Referer", text).header("X-Request-Id", text);
            scene.refused(format!("the headers {what}"), &headers, &[401]).await;
            let origin = scene.call().header("Origin", text);
            scene.refused(format!("the origin {what}"), &origin, &[403]).await;
            let version = scene.call().token(&scene.token).header("MCP-Protocol-Version", text);
            scene.refused(format!("the version {what}"), &version, &[400]).await;
            let trace = scene.call().header("traceparent", text).header("tracestate", text);
            scene.refused(format!("the trace {what}"), &trace, &[401]).await;
        }
    }
    let secret = scene.world.client.tool(&format!("{PATH}?access_token=f0rged-secret"), "get_x");
    scene.refused("a secret in the query", &secret, &[401]).await;
    // Every record is one line of JSON (the harness takes them apart), says what happened, and holds no long text.
    let records = scene.tally.attacks.len();
    for _ in 0..records {
        let record = scene.world.record().await;
        let text = record.to_string();
        let longest = strings(&record).iter().map(|text| text.chars().count()).max().unwrap_or_default();
        let fine = record["reason"] != "f0rged" && !text.contains("f0rged-secret") && longest <= 300;
        scene.expect(fine, format!("a record: {text}"));
    }
    scene.end().await
}

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(members) => members.values().flat_map(strings).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}
