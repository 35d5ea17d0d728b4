//! `init`, `check --online` and `suggest` as a person runs them, before the fakes: what is asked, what is written, what is said.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use gatepost::config;
use serde_json::{Value, json};

use crate::support::gateway::{PATH, file, filled, write_file};
use crate::support::mcp_server::{SESSION_ID, event};
use crate::support::{Answer, AuthorizationServer, McpServer, Mode, World};

/// How a command ended, and what it wrote.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

/// Runs the binary with this on its standard input, and `SECRET` in its environment.
async fn gatepost(arguments: &[&str], input: &str) -> Said {
    let (arguments, input) = (arguments.iter().map(ToString::to_string).collect::<Vec<_>>(), input.to_owned());
    let run = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
        command.args(&arguments).current_dir(env!("CARGO_TARGET_TMPDIR")).env("SECRET", "hunter2-of-env");
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A command that refuses its arguments reads none of it.
        drop(process.stdin.take().unwrap().write_all(input.as_bytes()));
        let output = process.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    });
    crate::support::within("the command ends", run).await.unwrap()
}

impl Said {
    fn has(&self, code: i32, texts: &[&str]) -> &Self {
        assert_eq!(self.code, code, "{self:#?}");
        for text in texts {
            assert!(self.out.contains(text) || self.err.contains(text), "{text:?} is not in {self:#?}");
        }
        self
    }

    fn lacks(&self, texts: &[&str]) -> &Self {
        for text in texts {
            assert!(!self.out.contains(text) && !self.err.contains(text), "{text:?} is in {self:#?}");
        }
        self
    }
}

/// A name for a file that is not there.
fn no_file() -> PathBuf {
    static FILES: AtomicUsize = AtomicUsize::new(0);
    let name = format!("survey-{}-{}.yaml", std::process::id(), FILES.fetch_add(1, Ordering::SeqCst));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    drop(std::fs::remove_file(&path));
    path
}

fn result(id: u64, result: Value) -> Answer {
    let mut message = json!({"jsonrpc": "2.0", "id": id});
    message["result"] = result;
    Answer::json(&message)
}

fn error(id: u64, status: u16, code: i64) -> Answer {
    let body = json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": "no"}}).to_string();
    Answer::status(status).header("Content-Type", "application/json").body(body.as_bytes())
}

/// What a server of 2025-11-25 answers before it is asked for lists. It gives a session.
fn hello(mcp: &McpServer, capabilities: Value) {
    mcp.answer(error(1, 400, -32_600));
    let mut said = json!({"protocolVersion": "2025-11-25", "serverInfo": {"name": "acme/notes", "version": "1.0"}});
    said["capabilities"] = capabilities;
    mcp.answer(result(2, said).header("Mcp-Session-Id", SESSION_ID));
    mcp.answer(Answer::status(202));
}

fn tool(name: &str, annotations: Value) -> Value {
    let mut tool = json!({"name": name, "description": format!("Does {name}."), "inputSchema": {"type": "object"}});
    tool["annotations"] = annotations;
    tool
}

fn read_only() -> Value {
    json!({"readOnlyHint": true})
}

#[tokio::test]
async fn init_asks_an_older_server_for_all_it_has() {
    let mcp = McpServer::up();
    mcp.permit(9);
    hello(&mcp, json!({"tools": {}, "prompts": {}, "resources": {}}));
    let page = json!({"tools": [tool("list_notes", read_only()), tool("get_note", Value::Null)], "nextCursor": "p2"});
    let noise =
        event(&json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": 1}}));
    let asks = event(&json!({"jsonrpc": "2.0", "id": 3, "method": "ping"}));
    mcp.answer(Answer::events(&[&noise, &asks, &event(&json!({"jsonrpc": "2.0", "id": 3, "result": page}))]));
    let more =
        json!([tool("add_note", json!({"readOnlyHint": false, "destructiveHint": false})), tool("*", read_only())]);
    mcp.answer(result(4, json!({"tools": more})));
    mcp.answer(result(5, json!({"prompts": [{"name": "summarize"}]})));
    mcp.answer(result(6, json!({"resources": [{"uri": "note://1", "name": "one"}]})));
    mcp.answer(error(7, 200, -32_601));
    mcp.answer(Answer::status(204));

    let path = no_file();
    let file = path.to_str().unwrap();
    let said = gatepost(&["init", "--upstream", &mcp.url(), "--output", file], "").await;
    said.has(0, &["tools: 3 (1 read, 1 write, 1 destroy); prompts: 1; resources: 1", "1 left out", "is written", file]);
    assert_eq!(said.out, "");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("#   tool \"*\": `*` in a rule is a pattern"), "{text}");
    let settings = config::load(&path).unwrap();
    assert_eq!(&*settings.routes[0].name, "notes");

    let mut methods = Vec::new();
    for place in 0..9 {
        let seen = mcp.next().await;
        let session = (place > 1).then_some(SESSION_ID);
        assert_eq!(seen.header("mcp-session-id"), session, "{seen:?}");
        let revision = ["2026-07-28"].get(place).copied().or((place > 1).then_some("2025-11-25"));
        assert_eq!(seen.header("mcp-protocol-version"), revision, "{seen:?}");
        let method =
            if seen.method == "POST" { seen.json()["method"].as_str().unwrap().to_owned() } else { seen.method };
        methods.push(method);
    }
    let expect = [
        "server/discover",
        "initialize",
        "notifications/initialized",
        "tools/list",
        "tools/list",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "DELETE",
    ];
    assert_eq!(methods, expect);
}

#[tokio::test]
async fn init_asks_a_stateless_server_for_what_it_says_it_has() {
    let mcp = McpServer::up();
    mcp.permit(2);
    let said = json!({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, "resultType": "complete",
        "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "Acme", "version": "2"}}});
    mcp.answer(result(1, said));
    mcp.answer(result(2, json!({"tools": [tool("search", json!({"readOnlyHint": true, "openWorldHint": true}))]})));
    let said = gatepost(&["init", "--upstream", &mcp.url(), "--issuer", "https://as.example/"], "").await;
    said.has(
        0,
        &["(MCP 2026-07-28)", "scopes: [\"acme:read-open\"]", "issuer: \"https://as.example/\"", "1 read-open"],
    );
    config::parse(&said.out, "file", Path::new("")).unwrap();
    for method in ["server/discover", "tools/list"] {
        let seen = mcp.next().await;
        assert_eq!((seen.header("mcp-method"), seen.header("mcp-session-id")), (Some(method), None));
        assert_eq!(seen.header("mcp-protocol-version"), Some("2026-07-28"));
        let version = &seen.json()["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"];
        assert_eq!(version, "2026-07-28");
    }
}

#[tokio::test]
async fn init_overwrites_no_file_and_asks_nobody_for_one_that_is_there() {
    let mcp = McpServer::up();
    let path = write_file("mine");
    let said = gatepost(&["init", "--upstream", &mcp.url(), "--output", path.to_str().unwrap()], "").await;
    said.has(2, &["exists already", "--output"]);
    assert_eq!((std::fs::read_to_string(&path).unwrap().as_str(), mcp.arrived()), ("mine", 0));
}

#[tokio::test]
async fn init_says_what_is_wrong_and_what_to_do() {
    let html = || Answer::text("text/html; charset=utf-8", "<!doctype html>");
    let long = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n";
    let redirect = || Answer::status(307).header("Location", "http://127.0.0.1:1/login?state=hunter2");
    let cases: Vec<(Vec<Answer>, &[&str])> = vec![
        (vec![Answer::status(401)], &["asks for credentials (401)", "--token -"]),
        (vec![redirect()], &["redirects to http://127.0.0.1:1/login, which is not followed", "really answers"]),
        (vec![html(), html(), Answer::status(404)], &["web page", "MCP endpoint"]),
        (vec![Answer::status(404), Answer::status(404), Answer::status(404)], &["answers 404", "MCP endpoint"]),
        (vec![error(1, 400, 1), Answer::raw(long), Answer::status(405)], &["answers with more than 16 MiB"]),
        (vec![error(1, 400, 1), Answer::status(403)], &["refuses (403)"]),
        (vec![error(1, 400, 1), error(2, 500, -7), Answer::status(405)], &["answers with the error -7: no"]),
        (
            vec![error(1, 400, 1), Answer::text("application/json", "{\"id\":2,\"id\":2}"), Answer::status(405)],
            &["no JSON"],
        ),
        (vec![error(1, 400, 1), result(9, json!({})), Answer::status(405)], &["answers another request"]),
        (vec![error(1, 400, 1), Answer::events(&[": hi\n\n"]), Answer::status(405)], &["ends its stream without"]),
        (
            vec![error(1, 400, 1), result(2, json!({"protocolVersion": "1999-01-01"})), Answer::status(405)],
            &["1999-01-01"],
        ),
        (vec![Answer::vanish()], &["cannot be reached", "start the server"]),
        (
            vec![Answer::status(404), Answer::status(405), Answer::sse("/message").0],
            &["HTTP+SSE", "transport: http_sse"],
        ),
    ];
    for (answers, expect) in cases {
        let mcp = McpServer::up();
        mcp.permit(answers.len());
        for answer in answers {
            mcp.answer(answer);
        }
        let path = no_file();
        let said = gatepost(&["init", "--upstream", &mcp.url(), "-o", path.to_str().unwrap()], "").await;
        said.has(1, expect).lacks(&["hunter2"]);
        assert!(!path.exists(), "{said:?}");
    }
    let down = McpServer::down();
    gatepost(&["init", "--upstream", &down.url()], "").await.has(1, &["connection refused", "start the server"]);
}

#[tokio::test]
async fn lists_without_an_end_are_ended() {
    let mcp = McpServer::up();
    mcp.permit(7);
    hello(&mcp, json!({"tools": {}}));
    for id in [3, 4] {
        mcp.answer(result(
            id,
            json!({"tools": [tool(&format!("t{id}"), read_only()), {"name": 7}], "nextCursor": "same"}),
        ));
    }
    let said = gatepost(&["init", "--upstream", &mcp.url()], "").await;
    said.has(0, &["the list has no end; 2 entries were read", "2 entries have no `name` that is a text"]);
    config::parse(&said.out, "file", Path::new("")).unwrap();
    assert_eq!(mcp.arrived(), 6, "two pages, and the end of the session");
}

#[tokio::test]
async fn secrets_reach_the_server_and_nothing_else() {
    let secret = write_file("hunter2-of-file\n");
    let secret = secret.to_str().unwrap();
    let by_file = format!("X-Api-Key: file:{secret}");
    for (more, input, credential, key) in [
        (vec!["--token", "-"], "hunter2-of-stdin\n", Some("Bearer hunter2-of-stdin"), None),
        (vec!["--token-file", secret], "", Some("Bearer hunter2-of-file"), None),
        (vec!["--token", "env:SECRET"], "", Some("Bearer hunter2-of-env"), None),
        (vec!["--header", "X-Api-Key: env:SECRET", "--header", "X-Team: red"], "", None, Some("hunter2-of-env")),
        (vec!["--header", &by_file], "", None, Some("hunter2-of-file")),
    ] {
        let mcp = McpServer::up();
        mcp.permit(5);
        if let Some(credential) = credential {
            mcp.admits(credential);
        }
        hello(&mcp, json!({}));
        let url = mcp.url();
        let arguments = [vec!["init", "--upstream", &url], more].concat();
        gatepost(&arguments, input).await.has(0, &["tools: 0"]).lacks(&["hunter2"]);
        for _ in 0..4 {
            let seen = mcp.next().await;
            assert_eq!((seen.header("authorization"), seen.header("x-api-key")), (credential, key));
        }
    }
    for (more, expect) in [
        (["--token", "hunter2"], "never the token itself"),
        (["--token", "env:NO_SUCH_VARIABLE"], "NO_SUCH_VARIABLE is not set"),
        (["--token-file", "/nonexistent"], "cannot be read"),
        (["--header", "Authorization: Bearer hunter2"], "env:VARIABLE"),
        (["--header", "X-Api-Key: hunter2"], "env:VARIABLE"),
        (["--header", "no colon"], "Name: value"),
        (["--header", "Mcp-Session-Id: hunter2"], "for HTTP and MCP"),
        (["--issuer", "http://as.example"], "--issuer"),
        (["--public-url", "https://a/b"], "--public-url"),
        (["--name", "a b"], "--name"),
    ] {
        let arguments = ["init", "--upstream", "http://127.0.0.1:1/mcp", more[0], more[1]];
        gatepost(&arguments, "").await.has(2, &[expect]).lacks(&["hunter2"]);
    }
    let clear = ["init", "--upstream", "http://mcp.example/mcp", "--token", "env:SECRET"];
    gatepost(&clear, "").await.has(2, &["in the clear", "https"]);
    let bad = ["init", "--upstream", "http://joe:hunter2@127.0.0.1/mcp"];
    gatepost(&bad, "").await.has(2, &["--upstream", "user information"]).lacks(&["hunter2"]);
    gatepost(&["init", "--help"], "")
        .await
        .has(0, &["--upstream", "--token-file", "counts as destructive", "never over"]);
}

/// The demo's server, a gateway with the file that `init` writes for it, and who may call what.
#[cfg(feature = "demo")]
#[tokio::test]
async fn a_gateway_with_the_file_of_the_demos_server_opens_no_more_than_it_says() {
    use gatepost::demo::notes;
    use gatepost::gateway::shutdown::Shutdown;

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}{}", listener.local_addr().unwrap(), notes::PATH);
    let (stop, shutdown) = Shutdown::new();
    let serving = tokio::spawn(notes::serve(listener, shutdown));
    let path = no_file();
    let file = path.to_str().unwrap();
    let said = gatepost(&["init", "--upstream", &url, "--name", "notes", "--output", file], "").await;
    said.has(0, &["tools: 8 (4 read, 1 write, 3 destroy); prompts: 1; resources: 3; resource templates: 1"]);
    gatepost(&["check", "--config", file], "").await.has(0, &["ok; listen 127.0.0.1:8080"]);

    let text = std::fs::read_to_string(&path).unwrap();
    let text = text
        .replace("listen: 127.0.0.1:8080", "listen: {listen}\npublic_url: http://{listen}")
        .replace("https://auth.example.com", "{issuer}")
        .replace("path: \"/notes/mcp\"", &format!("path: {PATH}"));
    let world = World::start(&text).await;
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let calls = [
        ("tools/call", "list_notes", "notes:read"),
        ("tools/call", "get_note", "notes:read"),
        ("tools/call", "search_notes", "notes:read"),
        ("tools/call", "export_notes", "notes:read"),
        ("prompts/get", "summarize", "notes:prompts"),
        ("resources/read", "note://1", "notes:resources"),
        ("tools/call", "create_note", "notes:write"),
        ("tools/call", "edit_note", "notes:destroy"),
        ("tools/call", "delete_note", "notes:destroy"),
        ("tools/call", "purge_notes", "notes:destroy"),
        ("tools/call", "other", ""),
    ];
    let scopes =
        ["", "notes:read", "notes:read-open", "notes:prompts", "notes:resources", "notes:write", "notes:destroy"];
    for (method, name, needs) in calls {
        for held in scopes {
            let key = if method == "resources/read" { "uri" } else { "name" };
            let arguments = json!({"id": 1, "text": "x", "title": "x"});
            let params = json!({key: name, "arguments": arguments, "_meta": meta});
            let request = world.client.call(PATH, method, &params).token(&world.token(held));
            let request = request
                .header("MCP-Protocol-Version", "2026-07-28")
                .header("Mcp-Method", method)
                .header("Mcp-Name", name);
            let reply = request.send().await;
            let expect = if needs.is_empty() || needs != held { 403 } else { 200 };
            assert_eq!(reply.status, expect, "{name} with {held:?}: {}", reply.text());
        }
    }
    world.finish().await;
    stop.request();
    serving.await.unwrap();
}

/// A file whose last route goes on with these lines.
fn with_lines(head: &str, lines: &str) -> String {
    let mut text = head.to_owned();
    lines.lines().for_each(|line| text.extend(["    ", line, "\n"]));
    text
}

/// The standard route before a server with these tools, as `check --online` meets it.
async fn online(file: &str, issuer: &AuthorizationServer, mcp: &McpServer) -> Said {
    let path = write_file(&filled(file, "127.0.0.1:18080".parse().unwrap(), issuer, mcp));
    gatepost(&["check", "--online", "--config", path.to_str().unwrap()], "").await
}

/// A server with these tools; it gives sessions, and does not answer without.
fn server_with(tools: &[&str]) -> McpServer {
    let mcp = McpServer::up();
    mcp.permit(6);
    hello(&mcp, json!({"tools": {}}));
    mcp.answer(result(3, json!({"tools": tools.iter().map(|name| tool(name, Value::Null)).collect::<Vec<_>>()})));
    mcp.answer(Answer::status(204));
    mcp.answer(Answer::status(400));
    mcp
}

#[tokio::test]
async fn online_says_what_clients_see_and_that_all_is_well() {
    let (issuer, mcp) = (AuthorizationServer::up(), server_with(&["get_x", "list_x", "create_x"]));
    let said = online(&file(""), &issuer, &mcp).await;
    let metadata = format!("metadata: {}/.well-known/oauth-authorization-server", issuer.issuer());
    said.has(
        0,
        &[
            "http://127.0.0.1:18080/mcp  MCP endpoint of",
            "http://127.0.0.1:18080/.well-known/oauth-protected-resource/mcp  protected resource metadata",
            "http://127.0.0.1:18080/.well-known/openid-configuration  authorization server metadata, relayed",
            "http://127.0.0.1:18080/mcp  resource identifier",
            &metadata,
            "keys: 1 (ES256)",
            "registration: dynamic",
            "RFC 8707: no standard member",
            "speaks MCP 2025-11-25 (sessions); 3 tools",
        ],
    );
    said.lacks(&["failure:", "does not insist"]);
}

#[tokio::test]
async fn online_warns_of_issuers_that_will_bite() {
    type Change = fn(&mut Value);
    let cases: [(Change, i32, &str); 9] = [
        (
            |metadata| drop(metadata.as_object_mut().unwrap().remove("code_challenge_methods_supported")),
            0,
            "MCP clients refuse",
        ),
        (|metadata| metadata["code_challenge_methods_supported"] = json!(["plain"]), 0, "names no S256"),
        (|metadata| drop(metadata.as_object_mut().unwrap().remove("registration_endpoint")), 0, "no registration"),
        (|metadata| drop(metadata.as_object_mut().unwrap().remove("authorization_endpoint")), 0, "nobody can log in"),
        (|metadata| metadata["scopes_supported"] = json!(["openid", "mcp"]), 0, "does not name tools:read"),
        (|metadata| metadata["id_token_signing_alg_values_supported"] = json!(["HS256"]), 0, "do not fit"),
        (|metadata| metadata["tenant_region_scope"] = json!("EU"), 0, "Microsoft Entra ID"),
        (
            |metadata| metadata["issuer"] = json!("https://other\u{1b}[31m.example"),
            1,
            "speaks for \"https://other\\U0000001B",
        ),
        (|metadata| metadata["jwks_uri"] = json!("http://elsewhere.example/keys"), 1, "`jwks_uri` is neither https"),
    ];
    for (change, code, expect) in cases {
        let (issuer, mcp) = (AuthorizationServer::up(), server_with(&["get_x"]));
        issuer.change_metadata(change);
        online(&file(""), &issuer, &mcp).await.has(code, &[expect]).lacks(&["\u{1b}"]);
    }
    for (mode, expect) in [
        (Mode::NoKeys, "no key of"),
        (Mode::Status(503), "status 503"),
        (Mode::Garbage, "no metadata"),
        (Mode::Redirect, "status 307"),
        (Mode::Keys(r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#), "a symmetric key"),
    ] {
        let (issuer, mcp) = (AuthorizationServer::up(), server_with(&["get_x"]));
        issuer.answer(mode);
        online(&file(""), &issuer, &mcp).await.has(1, &["failure: issuer", expect]);
    }
}

#[tokio::test]
async fn online_warns_of_servers_that_will_bite() {
    let route = "rules:\n  - tools: [get_x, gone_x]\n    scopes: [s]";
    let file = |more: &str| {
        let text = crate::support::gateway::file("");
        let (head, _) = text.split_once("    rules:").unwrap();
        with_lines(head, &format!("{route}\n{more}"))
    };
    let issuer = AuthorizationServer::up();
    let mcp = server_with(&["get_x", "new\u{1b}_x"]);
    let said = online(&file(""), &issuer, &mcp).await;
    said.has(
        0,
        &["no rule names these tools of the server, which are denied and hidden: new?_x", "the server lacks", "gone_x"],
    );

    // It answers the last question, without a session, too.
    let mcp = McpServer::up();
    mcp.permit(6);
    hello(&mcp, json!({"tools": {}}));
    mcp.answer(result(3, json!({"tools": [tool("get_x", Value::Null)]})));
    mcp.answer(Answer::status(204));
    mcp.answer(result(4, json!({"tools": []})));
    online(&file(""), &issuer, &mcp).await.has(0, &["sessions, which it does not insist on", "without them too"]);

    for (answers, more, expect) in [
        (vec![Answer::status(401)], "", "the gateway passes none on: calls will be 502"),
        (vec![Answer::status(308).header("Location", "/mcp/")], "", "redirects to /mcp/"),
        (vec![Answer::status(404), Answer::status(404), Answer::sse("/m").0], "", "write `transport: http_sse`"),
        (vec![Answer::status(404), Answer::status(404), Answer::status(404)], "", "answers 404"),
        (
            vec![Answer::status(405), Answer::status(400), Answer::status(500), Answer::status(405)],
            "transport: http_sse",
            "500",
        ),
    ] {
        let mcp = McpServer::up();
        mcp.permit(answers.len());
        for answer in answers {
            mcp.answer(answer);
        }
        online(&file(more), &issuer, &mcp).await.has(1, &["failure: route", expect]);
    }
    let down = McpServer::down();
    online(&file(""), &issuer, &down).await.has(1, &["failure: route", "connection refused", "start the server"]);

    // The transport of 2024-11-05, as the file says; and the newer one, which it does not say.
    let mcp = McpServer::up();
    mcp.permit(1);
    mcp.answer(Answer::sse("/m").0);
    online(&file("transport: http_sse"), &issuer, &mcp).await.has(0, &["speaks HTTP+SSE, as `transport` says"]);
    let mcp = McpServer::up();
    mcp.permit(6);
    mcp.answer(Answer::status(405));
    hello(&mcp, json!({}));
    online(&file("transport: http_sse"), &issuer, &mcp).await.has(1, &["leave `transport` out"]);
}

#[tokio::test]
async fn suggest_proposes_rules_that_can_be_pasted_and_nothing_wider() {
    let report = "mode: report\nrules:\n  - tools: [get_x]\n    scopes: [x:read]\n  - tools: [wipe]\n    deny: true\n  - tools: [never]\n    scopes: [x:never]";
    let text = file("");
    let (head, _) = text.split_once("    rules:").unwrap();
    let text = with_lines(head, report);
    let mut world = World::start(&text).await;
    let injected = "x\"]\n        allow: true\n      - tools: [\"*\"]\n        allow: true";
    let mut log = "not JSON\n{\"schema\":2}\n\n{\"schema\":1}\n".to_owned();
    for (scope, tool) in [
        ("mcp", "get_x"),
        ("mcp x:read", "get_x"),
        ("mcp", "wipe"),
        ("mcp a", "create_x"),
        ("mcp b", "create_x"),
        ("mcp", "read"),
        ("mcp", "a*"),
        ("mcp", injected),
        ("mcp", "Überweisung"),
        ("mcp", "\u{202e}x"),
        ("mcp", "null"),
    ] {
        world.mcp.permit(1);
        world.call_tool(scope, tool).await.passed();
        log.extend([world.record().await.to_string().as_str(), "\n"]);
    }
    for (method, params) in [
        ("prompts/get", json!({"name": "summary"})),
        ("resources/read", json!({"uri": "note://1"})),
        ("resources/read", json!({"uri": "note://**"})),
        ("acme/reindex", json!({})),
    ] {
        world.mcp.permit(1);
        world.message("mcp standard:new-prompts", method, params).await.passed();
        log.extend([world.record().await.to_string().as_str(), "\n"]);
    }
    let path = world.path.clone();
    let said = gatepost(&["suggest", "--config", path.to_str().unwrap(), "-"], &log).await;
    said.has(
        0,
        &[
            "From 15 audit records; 3 other lines were passed over",
            "needed mcp x:read: once, 1 caller; all of them hold mcp",
            "rules[1] (line",
            "          # 2 times, 1 caller; all of them hold mcp\n          - \"create_x\"",
            "scopes: [\"standard:tool:{tool}\"]",
            "scopes: [\"standard:new-prompts-2\"]",
            "#   tool \"a*\" (once, 1 caller; all of them hold mcp): `*` in a rule is a pattern",
            "#   method \"acme/reindex\"",
            "#   resource \"note://**\"",
            "rules[2] (line",
        ],
    );
    said.lacks(&["allow: true\n", "- \"wipe\"", "- \"get_x\"", "\u{202e}"]);

    let rules = said.out.split_inclusive('\n').filter(|line| line.starts_with("      ")).collect::<String>();
    let whole = format!("{}{rules}", std::fs::read_to_string(&path).unwrap());
    let settings = config::parse(&whole, "file", Path::new("")).unwrap_or_else(|errors| panic!("{errors}\n{whole}"));
    let tools: Vec<&str> = settings.routes[0].policy.exact_tools().collect();
    assert_eq!(tools, ["get_x", "wipe", "never", "create_x", "null", "read"]);
    world.finish().await;

    let path = write_file(&log);
    let said = gatepost(&["suggest", path.to_str().unwrap()], "").await;
    said.has(0, &["Without a routing file (--config FILE)", "- \"create_x\""]);
    gatepost(&["suggest", "/nonexistent"], "").await.has(1, &["/nonexistent cannot be read"]);
    gatepost(&["suggest", "--config", "/nonexistent"], "").await.has(78, &["/nonexistent"]);
    gatepost(&["suggest"], "").await.has(0, &["nothing to propose", "mode: report"]);
}
