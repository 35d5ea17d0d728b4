//! Several `public_url`s behind one listener: a route is found by its own host alone, and nothing that is meant for one host
//! (token, session, page, document) is worth anything at another. The Host header selects, and is never believed beyond that.

use serde_json::json;

use crate::support::gateway::{HEAD, PATH, file};
use crate::support::{Answer, Reply, World};

const DOCUMENT: &str = "/.well-known/oauth-protected-resource";

/// The standard route, one of the same path at `localhost` and one of its own there, each before the same server.
fn three_routes() -> String {
    let own = |name: &str, path: &str| {
        format!(
            "  - name: {name}\n    public_url: http://localhost:{{port}}\n    path: {path}\n    upstream: {{upstream}}\n    \
             required_scopes: [mcp]\n    rules: [{{tools: [\"*\"], scopes: [tools:read]}}]\n"
        )
    };
    format!("{}{}{}", file(""), own("same-path", PATH), own("other-path", "/other"))
}

/// What the other host is called, and a URL there.
fn localhost(world: &World, path: &str) -> (String, String) {
    let host = format!("localhost:{}", world.address.port());
    let url = format!("http://{host}{path}");
    (host, url)
}

/// The standard world with all three, whose server may see either host.
async fn world() -> World {
    let world = World::start(&three_routes()).await;
    let (host, _) = localhost(&world, "");
    // As the client wrote it.
    for host in [host.to_uppercase(), host] {
        world.mcp.ours("x-forwarded-host", &host);
        world.mcp.ours("forwarded", &format!("for=127.0.0.1;host=\"{host}\";proto=http"));
    }
    world
}

fn refusal(reply: &Reply) -> String {
    reply.header("www-authenticate").unwrap_or_default().to_owned()
}

#[tokio::test]
async fn one_path_on_two_hosts_is_two_routes() {
    let mut world = world().await;
    let (host, url) = localhost(&world, PATH);
    let here = world.token("mcp tools:read");
    let there = world.issuer.token().aud(url.clone()).scope("mcp tools:read").mint();
    // Its rules let everything pass, those of the route here do not.
    let client = world.client.clone();
    let call = || client.tool(PATH, "anything");
    world.mcp.permit(1);
    call().with("Host", &host).token(&there).send().await.passed();
    assert_eq!(world.mcp.next().await.header("x-forwarded-host"), Some(host.as_str()));
    assert_eq!(world.record().await["route"], "same-path");
    world.refused(&call().token(&here).send().await, 403, "not_permitted").await;

    // Each token at the other host, by the same path: nothing reaches the server.
    for (host, token) in [(world.address.to_string(), &there), (host.clone(), &here)] {
        let reply = call().with("Host", &host).token(token).send().await;
        let (_, record) = world.refused(&reply, 401, "invalid_token").await;
        assert_eq!(record["detail"], "audience");
        let own = format!("resource_metadata=\"http://{host}{DOCUMENT}{PATH}\"");
        assert!(refusal(&reply).contains(&own), "{reply:?}");
    }
    // By HTTP/2, too.
    let reply = world.client.tool(PATH, "anything").with("Host", &host).token(&here).send_h2().await;
    world.refused(&reply, 401, "invalid_token").await;
    world.mcp.permit(1);
    world.client.tool(PATH, "anything").with("Host", &host).token(&there).send_h2().await.passed();
    world.finish().await;
}

#[tokio::test]
async fn a_route_is_not_found_by_another_host() {
    let mut world = world().await;
    let (host, url) = localhost(&world, "/other");
    let token = world.issuer.token().aud(url.clone()).scope("mcp tools:read").mint();
    let client = world.client.clone();
    let call = || client.tool("/other", "x").token(&token);
    world.mcp.permit(1);
    call().with("Host", &host.to_uppercase()).send().await.passed();
    assert_eq!(world.mcp.next().await.header("x-forwarded-host"), Some(host.to_uppercase().as_str()));
    world.record().await;

    // Ours, but not its own.
    world.refused(&call().send().await, 404, "no_route").await;
    world.refused(&call().send_h2().await, 404, "no_route").await;
    // Nobody's.
    for host in ["localhost".to_owned(), host.replace(':', ".:"), format!("x.{host}"), "evil.example".to_owned()] {
        world.refused(&call().with("Host", &host).send().await, 421, "misdirected").await;
    }
    world.finish().await;
}

#[tokio::test]
async fn nothing_but_the_one_authority_says_which_host() {
    // A trusted proxy's word for the host is for the server, and selects nothing.
    let mut world = World::start(&format!("trusted_proxies: [127.0.0.1]\n{}", three_routes())).await;
    let (host, url) = localhost(&world, "/other");
    let token = world.issuer.token().aud(url.clone()).scope("mcp tools:read").mint();
    let client = world.client.clone();
    let call = || client.tool("/other", "x").token(&token);
    let own = world.address.to_string();
    for name in ["X-Forwarded-Host", "X-Host", "X-Original-Host", "X-HTTP-Host-Override"] {
        world.refused(&call().header(name, &host).send().await, 404, "no_route").await;
    }
    let reply = call().header("Forwarded", &format!("host=\"{host}\"")).send().await;
    world.refused(&reply, 404, "no_route").await;
    // Two names in one request: whichever somebody behind would believe.
    for (first, second) in [(&host, &own), (&own, &host)] {
        let reply = call().with("Host", first).header("Host", second).send().await;
        world.refused(&reply, 400, "malformed_request").await;
        let reply = call().with("Host", first).header("host", second).send_h2().await;
        world.refused(&reply, 400, "malformed_request").await;
    }
    let reply = world.client.tool(&url, "x").token(&token).send().await;
    world.refused(&reply, 400, "malformed_request").await;
    world.finish().await;
}

#[tokio::test]
async fn each_host_has_its_own_documents() {
    let world = world().await;
    let (host, url) = localhost(&world, "");
    let document =
        async |host: &str, path: &str| world.client.get(&format!("{DOCUMENT}{path}")).with("Host", host).send().await;
    let own = world.address.to_string();
    assert_eq!(document(&own, PATH).await.passed().json()["resource"], world.url(PATH));
    assert_eq!(document(&host, PATH).await.passed().json()["resource"], format!("{url}{PATH}"));
    assert_eq!(document(&host, "/other").await.passed().json()["resource"], format!("{url}/other"));
    document(&own, "/other").await.refused(404, "no_route");
    // One route stands here alone, two stand there.
    assert_eq!(document(&own, "").await.passed().json()["resource"], world.url(PATH));
    document(&host, "").await.refused(404, "no_route");
    world.issuer.fetched("the metadata is fetched", |fetches| fetches.metadata > 0).await;
    let relay = |path: &str| world.client.get(&format!("/.well-known/oauth-authorization-server{path}"));
    relay("").with("Host", &host).send().await.passed();
    relay("/other").with("Host", &host).send().await.passed();
    relay("/other").send().await.refused(404, "no_route");
    world.finish().await;
}

#[tokio::test]
async fn a_page_of_one_host_is_foreign_at_the_other() {
    let mut world = world().await;
    let (host, theirs) = localhost(&world, "");
    let ours = world.url("");
    let token = world.issuer.token().aud(format!("{theirs}{PATH}")).scope("mcp tools:read").mint();
    let client = world.client.clone();
    let call = || client.tool(PATH, "x").with("Host", &host).token(&token);
    let preflight = |host: &str, origin: &str| {
        let request = client.request("OPTIONS", PATH).with("Host", host).header("Origin", origin);
        request.header("Access-Control-Request-Method", "POST")
    };
    world.mcp.permit(1);
    let reply = call().header("Origin", &theirs).send().await;
    assert_eq!(reply.passed().header("access-control-allow-origin"), Some(theirs.as_str()));
    let allowed = preflight(&host, &theirs).send().await;
    assert_eq!(allowed.header("access-control-allow-origin"), Some(theirs.as_str()));
    world.record().await;
    world.record().await;
    let reply = call().header("Origin", &ours).send().await;
    world.refused(&reply, 403, "origin_not_allowed").await;
    for (host, origin) in [(host.as_str(), &ours), (world.address.to_string().as_str(), &theirs)] {
        preflight(host, origin).send().await.refused(403, "origin_not_allowed");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_session_of_one_host_is_unknown_at_the_other() {
    let mut world = world().await;
    let (host, url) = localhost(&world, PATH);
    let both = json!([url, world.url(PATH)]);
    let token = world.issuer.token().aud(both).scope("mcp tools:read").mint();
    world.mcp.permit(1);
    let params = json!({"protocolVersion": "2025-06-18"});
    let opened = world.client.call(PATH, "initialize", &params).token(&token).send().await;
    let session = opened.passed().header("mcp-session-id").unwrap().to_owned();
    world.record().await;
    let request = world.client.tool(PATH, "get_x").header("Mcp-Session-Id", &session).token(&token);
    let reply = request.clone().with("Host", &host).send().await;
    world.refused(&reply, 404, "session_not_found").await;
    world.mcp.permit(1);
    request.send().await.passed();
    world.finish().await;
}

#[tokio::test]
async fn further_names_are_those_of_the_files_public_url_alone() {
    let world = World::start(&format!("hosts: [mcp.internal]\n{}", three_routes())).await;
    let document = |path: &str| world.client.get(&format!("{DOCUMENT}{path}")).with("Host", "mcp.internal");
    assert_eq!(document(PATH).send().await.passed().json()["resource"], world.url(PATH));
    document("/other").send().await.refused(404, "no_route");
    world.finish().await;
}

#[tokio::test]
async fn messages_of_http_sse_are_posted_where_the_stream_was_opened() {
    let both = three_routes().replace("path: /other", "path: /other\n    transport: http_sse");
    let mut world = World::start(&both).await;
    let (_, url) = localhost(&world, "/other");
    let token = world.issuer.token().aud(url).scope("mcp").mint();
    let reply = world.client.post("/other/message?session=x", "{}").token(&token).send().await;
    world.refused(&reply, 404, "no_route").await;
    world.finish().await;
}

#[tokio::test]
async fn a_stream_ends_when_its_route_moves_to_another_host() {
    let mut world = World::standard().await;
    world.mcp.permit(1);
    let (answer, _control) = Answer::stream();
    world.mcp.answer(answer);
    let mut stream = world.client.get(PATH).token(&world.token("mcp")).open().await;
    assert_eq!(world.record().await["event"], "opened");
    let moved = file("public_url: http://localhost:{port}");
    assert_eq!(world.reload(&moved).await, Ok(()));
    assert_eq!(stream.event().await, None);
    assert_eq!(world.record().await["end"], "reloaded");
    let reply = world.client.tool(PATH, "get_x").token(&world.token("mcp")).send().await;
    world.refused(&reply, 404, "no_route").await;
    world.finish().await;
}

#[test]
fn the_same_file_with_one_host_twice_is_one_site() {
    // Written out or left to the file: the same origin, so the same path is a duplicate.
    let text = format!(
        "{HEAD}routes:\n  - {{name: a, path: /a, upstream: http://127.0.0.1:1/}}\n  - {{name: b, public_url: \
         \"http://{{listen}}\", path: /a, upstream: http://127.0.0.1:1/}}\n"
    );
    let text = text.replace("{listen}", "127.0.0.1:8080").replace("{issuer}", "https://auth.example.com");
    let errors = gatepost::config::parse(&text, "t.yaml", std::path::Path::new("")).unwrap_err().to_string();
    assert!(errors.contains("routes[1].path: \"/a\" is the path of an earlier route"), "{errors}");
}
