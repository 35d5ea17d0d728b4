//! The listener for operators: what it answers, to whom, and what it never shows.

use std::collections::BTreeSet;
use std::path::Path;

use gatepost::config;
use gatepost::gateway::admin::Described;
use gatepost::gateway::settings::Settings;
use gatepost::token::clock::Clock;
use serde_json::{Value, json};

use crate::support::gateway::{HEAD, PATH, file, write_file};
use crate::support::{AuthorizationServer, McpServer, Reply, World, within};

/// The standard file with an admin listener.
pub(crate) fn with_admin(lines: &str) -> String {
    format!("admin: {{listen: \"{{admin}}\"}}\n{}", file(lines))
}

async fn get(world: &World, path: &str) -> Reply {
    world.admin.get(path).passed_through().send().await
}

async fn get_as(world: &World, path: &str, host: &str) -> u16 {
    world.admin.get(path).with("Host", host).passed_through().send().await.status
}

/// What readiness says of the one issuer, once the first fetch of its keys has failed.
async fn until_failed(world: &World) -> Value {
    let failed = async {
        loop {
            let reply = get(world, "/readyz").await;
            let said = reply.json();
            assert_eq!((reply.status, &said["ready"], &said["draining"]), (503, &json!(false), &json!(false)));
            let lacking = said["issuers_without_keys"][0].clone();
            assert_eq!(lacking["issuer"], world.issuer.issuer());
            if !lacking["last_error"].is_null() {
                return lacking;
            }
            tokio::task::yield_now().await;
        }
    };
    within("the fetch fails", failed).await
}

/// What there is, and whether a web page must be kept from it.
const PATHS: [(&str, &str, bool); 10] = [
    ("/livez", "text/plain; charset=utf-8", false),
    ("/readyz", "application/json", false),
    ("/metrics", "text/plain; version=0.0.4; charset=utf-8", false),
    ("/config", "application/json", true),
    ("/policy.json", "application/json", true),
    ("/status.json", "application/json", true),
    ("/", "text/html; charset=utf-8", true),
    ("/page.css", "text/css; charset=utf-8", true),
    ("/page.js", "text/javascript; charset=utf-8", true),
    ("/icon.svg", "image/svg+xml", true),
];

#[tokio::test]
async fn everything_is_answered_with_its_type_and_for_nobody_to_keep() {
    let world = World::start(&with_admin("")).await;
    for (path, media_type, _) in PATHS {
        let whole = world.admin.get(path).header("Origin", "https://evil.example").passed_through().send().await;
        assert_eq!((whole.status, whole.header("content-type")), (200, Some(media_type)), "{path}");
        assert!(!whole.body.is_empty(), "{path}");
        let head = world.admin.request("HEAD", path).passed_through().send().await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        for reply in [&whole, &head] {
            assert_eq!(reply.header("cache-control"), Some("no-store"), "{path}");
            assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
            let policy = reply.header("content-security-policy").unwrap();
            assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
            assert!(policy.ends_with("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
            assert_eq!(reply.header("access-control-allow-origin"), None, "{path}");
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn nothing_but_reading_is_taken_and_nothing_else_is_there() {
    let world = World::start(&with_admin("")).await;
    for (path, ..) in PATHS {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"] {
            let reply = world.admin.request(method, path).passed_through().send().await;
            assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")), "{method} {path}");
        }
    }
    let beside =
        ["/healthz", "/livez/", "/Livez", "//livez", "/%6civez", "/page.js.map", "/.env", "/debug/pprof", PATH];
    for path in beside {
        assert_eq!(get(&world, path).await.status, 404, "{path}");
    }
    assert_eq!(get(&world, "/livez?verbose").await.status, 200);
    world.finish().await;
}

#[tokio::test]
async fn a_name_that_leads_here_gets_nothing_that_a_page_could_use() {
    let world = World::start(&with_admin("")).await;
    for (path, _, is_kept) in PATHS {
        assert_eq!(get_as(&world, path, "rebound.example").await, if is_kept { 421 } else { 200 }, "{path}");
        assert_eq!(get_as(&world, path, "localhost:9090").await, 200, "{path}");
        assert_eq!(get_as(&world, path, "10.0.0.7:9090").await, 200, "{path}");
        let by_h2 = world.admin.get(path).with("Host", "rebound.example").passed_through().send_h2().await;
        assert_eq!(by_h2.status, if is_kept { 421 } else { 200 }, "{path}");
    }
    world.finish().await;
}

/// THREATS B9.
#[tokio::test]
async fn the_public_listener_has_none_of_it_whoever_asks() {
    let mut world = World::start(&with_admin("")).await;
    for (path, ..) in PATHS {
        for agent in ["kube-probe/1.30", "GoogleHC/1.0", "ELB-HealthChecker/2.0", "Prometheus/3.0"] {
            let reply = world.client.get(path).header("User-Agent", agent).send().await;
            world.refused(&reply, 404, "no_route").await;
        }
    }
    world.finish().await;
}

/// THREATS R1.
#[tokio::test]
async fn readiness_names_the_issuer_without_keys_until_it_has_some() {
    let issuer = AuthorizationServer::down();
    let mut world = World::start_with(&with_admin(""), issuer, McpServer::up(), Clock::system()).await;
    assert_eq!(get(&world, "/livez").await.status, 200);
    let lacking = until_failed(&world).await;
    assert!(lacking["since"].as_str().unwrap().ends_with('Z'), "{lacking}");
    assert!(lacking["last_error"].as_str().unwrap().contains("/.well-known/"), "{lacking}");
    let status = get(&world, "/status.json").await.json();
    assert_eq!(status["issuers"][0]["usable"], 0);
    assert_eq!(status["issuers"][0]["last_error"], lacking["last_error"]);

    world.issuer.come_up();
    world.keys_arrived().await;
    let reply = get(&world, "/readyz").await;
    assert_eq!((reply.status, reply.json()["issuers_without_keys"].clone()), (200, json!([])));
    world.finish().await;
}

#[tokio::test]
async fn a_gateway_that_stops_is_alive_and_not_ready() {
    let world = World::start(&with_admin("")).await;
    assert_eq!(get(&world, "/readyz").await.status, 200);
    world.stop();
    let reply = get(&world, "/readyz").await;
    assert_eq!((reply.status, reply.json()["draining"].clone()), (503, json!(true)));
    assert_eq!(get(&world, "/livez").await.status, 200);
    world.finish().await;
}

#[tokio::test]
async fn the_configuration_shows_everything_but_what_is_secret() {
    let secret = "0123456789abcdef".repeat(4);
    let key = write_file(&secret);
    let key = key.display();
    let file = with_admin("")
        .replace("upstream: {upstream}", "upstream: \"{upstream}?api_key=hunter2\"")
        .replace("issuer: {issuer}\n", "issuer: {issuer}\n    jwks_uri: \"{issuer}/jwks?key=hunter2\"\n")
        + &format!("sessions: {{keys: [{{file: \"{key}\"}}]}}\n");
    // Its keys are nowhere: what is said of that names the URL without its query, too.
    let world = World::start_with(&file, AuthorizationServer::up(), McpServer::up(), Clock::system()).await;
    until_failed(&world).await;
    let shown = get(&world, "/config").await;
    let config = shown.json();
    assert_eq!(config["listen"], world.address.to_string());
    assert_eq!(config["sessions"]["keys"], json!(["(not shown)"]));
    assert_eq!(config["limits"]["body_bytes_max"], 4 << 20);
    assert_eq!(config["routes"][0]["rules"][2], json!({"tools": ["either"], "any_scope": ["a:first", "a:second"]}));
    for path in ["/config", "/policy.json", "/status.json", "/readyz", "/metrics"] {
        let text = get(&world, path).await.text().to_owned();
        assert!(!text.contains("hunter2") && !text.contains(&secret), "{path}: {text}");
    }
    world.finish().await;
}

/// What a file amounts to, as `/config` shows it.
fn described(settings: &Settings) -> Value {
    serde_json::from_slice(&Described::new(settings).config()).unwrap()
}

#[test]
fn what_is_shown_is_a_file_that_means_the_same() {
    for entry in std::fs::read_dir("config").unwrap() {
        let path = entry.unwrap().path();
        let is_table = path.to_str().unwrap().ends_with(".test.yaml");
        if is_table || path.extension().is_none_or(|ending| ending != "yaml") {
            continue;
        }
        let shown = described(&config::load(&path).unwrap());
        let mut file = shown.clone();
        file.as_object_mut().unwrap().remove("sessions");
        let again =
            config::parse(&file.to_string(), "again", Path::new("")).unwrap_or_else(|errors| panic!("{errors}"));
        let mut again = described(&again);
        again["sessions"] = shown["sessions"].clone();
        assert_eq!(again, shown, "{}", path.display());
    }
}

/// The keys of maps, all the way down; of lists, those of their entries.
fn keys(value: &Value, path: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                into.insert(format!("{path}.{key}"));
                keys(value, &format!("{path}.{key}"), into);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| keys(value, &format!("{path}[]"), into)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_key_of_the_file_is_shown() {
    let text = std::fs::read_to_string("config/full.yaml").unwrap();
    let (mut written, mut shown) = (BTreeSet::new(), BTreeSet::new());
    keys(&serde_yaml::from_str::<Value>(&text).unwrap(), "", &mut written);
    keys(&described(&config::load(Path::new("config/full.yaml")).unwrap()), "", &mut shown);
    // Without a collector there is nothing to show of it; and what policies say stands among the rules of each route.
    written.retain(|key| !key.starts_with(".telemetry") && !key.ends_with(".policies"));
    assert_eq!(written.difference(&shown).collect::<Vec<_>>(), [""; 0]);
}

#[tokio::test]
async fn the_status_shows_a_refused_call_with_its_reason_and_rule() {
    let mut world = World::start(&with_admin("")).await;
    let reply = world.call_tool("mcp tools:read", "create_issue").await;
    let (_, record) = world.refused(&reply, 403, "insufficient_scope").await;
    let status = get(&world, "/status.json").await.json();
    let shown = &status["decisions"][0];
    for field in
        ["time", "request_id", "route", "method", "name", "decision", "reason", "rule", "scopes_needed", "status"]
    {
        assert_eq!(shown[field], record[field], "{field}");
    }
    assert_eq!((&shown["rule"], &shown["subject"]), (&json!("rules[1]"), &record["principal"]["subject"]));
    let policies = get(&world, "/policy.json").await.json();
    let rule = &policies[0]["rules"][1];
    assert_eq!(
        (&rule["rule"], &rule["names"], &rule["scopes"]),
        (&json!("rules[1]"), &json!(["create_issue"]), &json!(["tools:write"]))
    );
    // The line where the rule stands in the file that was loaded.
    let file = format!("admin: x\n{HEAD}{}", crate::support::gateway::ROUTE);
    let line = file.lines().position(|line| line.contains("[create_issue]")).unwrap() + 1;
    assert_eq!(rule["line"], line);
    world.finish().await;
}

#[tokio::test]
async fn the_status_shows_each_message_and_each_stream_once_and_no_token() {
    let mut world = World::start(&with_admin("")).await;
    let before = get(&world, "/status.json").await.json()["decisions"].as_array().unwrap().len();
    let evil = "<img src=x onerror=alert(1)>\u{202e}";
    let call = |id: u32, tool: &str| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": {"secret": "hunter2"}}});
    let token = world.token("mcp tools:read");
    let body = json!([call(1, "get_x"), call(2, evil)]).to_string();
    let reply = world.client.post(PATH, body).header("MCP-Protocol-Version", "2025-03-26").token(&token).send().await;
    assert_eq!(reply.status, 403);
    world.record().await;
    world.client.get("/.well-known/oauth-protected-resource/mcp").send().await.passed();
    world.record().await;
    let reply = get(&world, "/status.json").await;
    let status = reply.json();
    let decisions = status["decisions"].as_array().unwrap();
    assert_eq!(decisions.len(), before + 2, "the parts of the batch, and no document");
    assert_eq!((&decisions[0]["name"], &decisions[0]["decision"]), (&json!(evil), &json!("refused")));
    assert_eq!((&decisions[1]["name"], &decisions[1]["decision"]), (&json!("get_x"), &json!("allowed")));
    assert!(!reply.text().contains("hunter2") && !reply.text().contains("eyJ"), "{}", reply.text());
    world.finish().await;
}

#[tokio::test]
async fn the_status_tells_a_server_that_fails_from_one_that_answers() {
    let mut world = World::start(&with_admin("")).await;
    assert_eq!(get(&world, "/status.json").await.json()["routes"][0]["state"], "unused");
    world.mcp.permit(1);
    world.call_tool("mcp tools:read", "get_x").await.passed();
    world.record().await;
    assert_eq!(get(&world, "/status.json").await.json()["routes"][0]["state"], "answers");
    world.mcp.permit(1);
    world.mcp.answer(crate::support::Answer::raw(b"nonsense\r\n\r\n"));
    let reply = world.call_tool("mcp tools:read", "get_x").await;
    world.refused(&reply, 502, "upstream_protocol").await;
    let route = get(&world, "/status.json").await.json()["routes"][0].clone();
    assert_eq!((&route["state"], &route["fault"]["reason"]), (&json!("fails"), &json!("upstream_protocol")));
    world.finish().await;
}

#[test]
fn the_page_loads_nothing_from_elsewhere_and_makes_no_markup() {
    let page = |name: &str| std::fs::read_to_string(format!("src/gateway/admin/page.{name}")).unwrap();
    for name in ["html", "css", "js"] {
        let text = page(name);
        for elsewhere in ["http://", "https://", "//cdn", "@import", "url("] {
            assert!(!text.contains(elsewhere), "page.{name}: {elsewhere}");
        }
    }
    let (html, script) = (page("html"), page("js"));
    assert!(!html.contains(" style=") && !html.contains("<style") && !html.contains(" onclick"), "the CSP forbids it");
    for markup in ["innerHTML =", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"] {
        assert!(!script.contains(markup), "page.js: {markup}");
    }
}
