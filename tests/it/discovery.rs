//! Discovery and what comes before a token: the documents of RFC 9728, the relayed metadata, CORS, `Origin`, `Host`. All of it
//! follows from `public_url`, byte for byte, whatever a request says.

use serde_json::json;

use crate::support::gateway::{HEAD, PATH, file};
use crate::support::{AuthorizationServer, McpServer, World};
use gatepost::token::clock::Clock;

const DOCUMENT: &str = "/.well-known/oauth-protected-resource";

#[tokio::test]
async fn the_document_says_what_clients_need() {
    let world = World::standard().await;
    for path in [format!("{DOCUMENT}{PATH}"), DOCUMENT.to_owned()] {
        let reply = world.client.get(&path).send().await;
        let expected = json!({
            "resource": world.url(PATH),
            "authorization_servers": [world.issuer.issuer()],
            "scopes_supported":
                ["mcp", "tools:read", "tools:write", "a:first", "a:second", "prompts:read", "repo:read"],
            "bearer_methods_supported": ["header"],
            "resource_name": "standard",
        });
        assert_eq!(reply.passed().json(), expected);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        let cache = reply.header("cache-control").expect("cacheable");
        assert!(cache.contains("max-age=") && !cache.contains("no-store"), "{cache}");
        let head = world.client.request("HEAD", &path).send().await;
        assert_eq!((head.status, head.text()), (200, ""));
        assert_eq!(head.header("content-length"), Some(reply.body.len().to_string().as_str()));
        assert_eq!(head.header("content-type"), reply.header("content-type"));
    }
    world.finish().await;
}

#[tokio::test]
async fn discovery_needs_no_token_and_is_audited() {
    let mut world = World::standard().await;
    world.client.get(&format!("{DOCUMENT}{PATH}")).send().await.passed();
    let record = world.record().await;
    assert_eq!((&record["decision"], &record["status"]), (&json!("allowed"), &json!(200)));
    assert_eq!((&record["surface"], &record["route"]), (&json!("metadata"), &json!("standard")));
    // A bad token there is nobody's business.
    world.client.get(&format!("{DOCUMENT}{PATH}")).token("garbage-that-is-no-token").send().await.passed();
    world.finish().await;
}

#[tokio::test]
async fn unknown_documents_are_404() {
    let world = World::standard().await;
    for path in [
        "/.well-known/oauth-protected-resource/",
        "/.well-known/oauth-protected-resource/mcp/",
        "/.well-known/oauth-protected-resource/other",
        "/.well-known/oauth-protected-resource/mcp/../mcp",
        "/.well-known/OAuth-protected-resource/mcp",
        "/mcp/.well-known/oauth-protected-resource",
        "/.well-known/",
        "/healthz",
        "/metrics",
        "/livez",
        "/readyz",
    ] {
        world.client.get(path).send().await.refused(404, "no_route");
    }
    world.finish().await;
}

#[tokio::test]
async fn with_two_routes_the_root_answers_for_none() {
    let world = World::start(&two_routes()).await;
    world.client.get(DOCUMENT).send().await.refused(404, "no_route");
    for path in [PATH, "/second/mcp"] {
        let reply = world.client.get(&format!("{DOCUMENT}{path}")).send().await;
        assert_eq!(reply.passed().json()["resource"], world.url(path));
        let refusal = world.client.tool(path, "x").send().await;
        let challenge = refusal.header("www-authenticate").unwrap().to_owned();
        assert_eq!(challenge, format!("Bearer resource_metadata=\"{}\"", world.metadata_url(path)));
    }
    world.finish().await;
}

#[tokio::test]
async fn a_token_for_one_route_is_worthless_on_another() {
    let mut world = World::start(&two_routes()).await;
    let token = world.issuer.token().aud(world.url(PATH)).scope("mcp").mint();
    world.mcp.permit(1);
    world.client.tool(PATH, "x").token(&token).send().await.passed();
    assert_eq!(world.record().await["decision"], "allowed");
    // Its signature is known to be good by now.
    let reply = world.client.tool("/second/mcp", "x").token(&token).send().await;
    let (_, record) = world.refused(&reply, 401, "invalid_token").await;
    assert_eq!(record["detail"], "audience");
    world.finish().await;
}

#[tokio::test]
async fn the_authorization_servers_metadata_is_relayed_unchanged() {
    let world = World::standard().await;
    world.issuer.fetched("the metadata is fetched", |fetches| fetches.metadata > 0).await;
    let fetches = world.issuer.fetches();
    for form in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        for path in [form.to_owned(), format!("{form}{PATH}")] {
            let reply = world.client.get(&path).send().await;
            assert_eq!(reply.passed().text(), world.issuer.metadata());
            assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        }
        world.client.get(&format!("{form}/other")).send().await.refused(404, "no_route");
    }
    assert_eq!(world.issuer.fetches(), fetches, "relayed from the copy, never by a request");
    world.finish().await;
}

#[tokio::test]
async fn without_metadata_the_relay_is_404_and_never_5xx() {
    let world = World::start_with(&file(""), AuthorizationServer::down(), McpServer::up(), Clock::system()).await;
    for form in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        world.client.get(form).send().await.refused(404, "no_route");
        world.client.get(&format!("{form}{PATH}")).send().await.refused(404, "no_route");
    }
    world.client.get(&format!("{DOCUMENT}{PATH}")).send().await.passed();
    world.finish().await;
}

#[tokio::test]
async fn a_preflight_is_answered_before_authentication() {
    let world = World::with_route("allowed_origins: [https://inspector.example]").await;
    for origin in [world.url(""), "https://inspector.example".to_owned()] {
        let reply = world
            .client
            .request("OPTIONS", PATH)
            .header("Origin", &origin)
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "authorization,content-type,mcp-param-region,x-other")
            .send()
            .await;
        assert!(reply.status == 204 || reply.status == 200, "{reply:?}");
        assert_eq!(reply.header("access-control-allow-origin"), Some(origin.as_str()));
        let allowed = reply.header("access-control-allow-headers").unwrap().to_ascii_lowercase();
        let allowed: Vec<_> = allowed.split(',').map(str::trim).collect();
        for name in [
            "authorization",
            "content-type",
            "accept",
            "last-event-id",
            "mcp-protocol-version",
            "mcp-session-id",
            "mcp-method",
            "mcp-name",
            "traceparent",
            "tracestate",
            "mcp-param-region",
        ] {
            assert!(allowed.contains(&name), "{name} in {allowed:?}");
        }
        assert!(!allowed.contains(&"x-other") && !allowed.contains(&"*"), "{allowed:?}");
        let methods = reply.header("access-control-allow-methods").unwrap();
        assert!(["POST", "GET", "DELETE"].iter().all(|method| methods.contains(method)), "{methods}");
        assert_eq!(reply.header("access-control-allow-credentials"), None);
    }
    let foreign = world.client.request("OPTIONS", PATH).header("Origin", "https://evil.example").send().await;
    foreign.refused(403, "origin_not_allowed");
    assert_eq!(foreign.header("access-control-allow-headers"), None);
    world.finish().await;
}

/// Clients in a browser ask for the document with the headers of their MCP requests, such as the `Content-Type` of a body
/// that a GET has not.
#[tokio::test]
async fn a_page_may_read_the_document_whatever_it_sends_along() {
    let world = World::standard().await;
    let reply = world
        .client
        .request("OPTIONS", &format!("{DOCUMENT}{PATH}"))
        .header("Origin", "https://anywhere.example")
        .header("Access-Control-Request-Method", "GET")
        .header("Access-Control-Request-Headers", "authorization,content-type,mcp-protocol-version")
        .send()
        .await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (204, Some("*")));
    let allowed = reply.header("access-control-allow-headers").unwrap().to_ascii_lowercase();
    for name in ["authorization", "content-type", "accept", "mcp-protocol-version", "mcp-session-id", "last-event-id"] {
        assert!(allowed.split(", ").any(|each| each == name), "{name} in {allowed}");
    }
    assert_eq!(reply.header("access-control-allow-credentials"), None);
    world.finish().await;
}

#[tokio::test]
async fn pages_read_the_challenge_and_the_session() {
    let world = World::standard().await;
    let own = world.url("");
    world.mcp.permit(1);
    let page =
        |scope: &str, tool: &str| world.client.tool(PATH, tool).header("Origin", &own).token(&world.token(scope));
    for reply in [
        world.client.tool(PATH, "get_x").header("Origin", &own).send().await,
        page("mcp", "get_x").send().await,
        page("mcp tools:read", "get_x").send().await,
    ] {
        assert_eq!(reply.header("access-control-allow-origin"), Some(own.as_str()), "{reply:?}");
        let exposed = reply.header("access-control-expose-headers").unwrap().to_ascii_lowercase();
        for name in ["www-authenticate", "mcp-session-id", "mcp-protocol-version"] {
            assert!(exposed.contains(name), "{name} in {exposed}");
        }
        assert!(reply.head.all("vary").any(|vary| vary.eq_ignore_ascii_case("origin")), "{reply:?}");
    }
    world.finish().await;
}

#[tokio::test]
async fn the_servers_own_cors_headers_do_not_pass() {
    let world = World::standard().await;
    let own = world.url("");
    world.mcp.permit(1);
    world.mcp.answer(
        crate::support::Answer::json(&json!({"jsonrpc": "2.0", "id": 7, "result": {}}))
            .header("Access-Control-Allow-Origin", "*")
            .header("Access-Control-Allow-Credentials", "true")
            .header("Set-Cookie", "session=1")
            .header("WWW-Authenticate", "Bearer realm=\"server\"")
            .header("Gatepost-Reason", "invented")
            .header("X-Other", "kept"),
    );
    let reply =
        world.client.tool(PATH, "get_x").header("Origin", &own).token(&world.token("mcp tools:read")).send().await;
    assert_eq!(reply.header("access-control-allow-origin"), Some(own.as_str()));
    assert_eq!(reply.header("access-control-allow-credentials"), None);
    assert_eq!(reply.header("www-authenticate"), None);
    assert_eq!(reply.header("x-other"), Some("kept"));
    world.finish().await;
}

#[tokio::test]
async fn the_host_is_one_of_ours() {
    let world = World::start(&format!("hosts: [\"mcp.internal\", \"other.internal:8443\"]\n{}", file(""))).await;
    let port = world.address.port();
    let document = format!("{DOCUMENT}{PATH}");
    for host in ["mcp.internal", "MCP.Internal", "mcp.internal:80", "other.internal:8443"] {
        let reply = world.client.get(&document).with("Host", host).send().await;
        assert_eq!(reply.passed().json()["resource"], world.url(PATH), "identifiers stay those of public_url");
    }
    for host in [
        "evil.example".to_owned(),
        "127.0.0.1".to_owned(),
        format!("localhost:{port}"),
        format!("127.0.0.1.:{port}"),
        format!("127.0.0.1:{}", port - 1),
        format!("x127.0.0.1:{port}"),
        "other.internal".to_owned(),
    ] {
        world.client.get(&document).with("Host", &host).send().await.refused(421, "misdirected");
    }
    for host in
        ["", "a b", "alice@mcp.internal", "mcp.internal:", "mcp.internal:x", "mcp.internal/x", "mcp.internal, evil"]
    {
        let reply = world.client.get(&document).with("Host", host).send().await;
        reply.refused(400, "malformed_request");
    }
    world.client.get(&document).without("Host").send().await.refused(400, "malformed_request");
    world.finish().await;
}

#[tokio::test]
async fn an_absolute_target_agrees_with_the_host() {
    let world = World::standard().await;
    let absolute = world.metadata_url(PATH);
    let own = world.address.to_string();
    world.client.get(&absolute).send().await.passed();
    let other = world.client.get(&absolute).with("Host", "evil.example").send().await;
    other.refused(400, "malformed_request");
    let foreign = format!("http://evil.example{DOCUMENT}{PATH}");
    world.client.get(&foreign).send().await.refused(400, "malformed_request");
    world.client.get(&foreign).with("Host", "evil.example").send().await.refused(421, "misdirected");
    world.client.get(&absolute).with("Host", &own.to_uppercase()).send().await.passed();
    world.finish().await;
}

#[tokio::test]
async fn a_resource_above_the_path_and_further_audiences_are_accepted() {
    let text = file("resource: \"http://{listen}\"\naudiences: [api://mcp]\nchallenge_scopes: []");
    let mut world = World::start_with(&text, AuthorizationServer::up(), McpServer::up(), Clock::system()).await;
    let good = world.issuer.token().scope("mcp tools:read");
    world.keys_arrived_with(&good.clone().aud(world.url("")).mint()).await;
    let document = world.client.get(DOCUMENT).send().await;
    let resource = document.passed().json()["resource"].as_str().unwrap().to_owned();
    assert_eq!(resource.trim_end_matches('/'), world.url(""));
    let refusal = world.client.tool(PATH, "get_x").send().await;
    assert_eq!(
        refusal.header("www-authenticate"),
        Some(format!("Bearer resource_metadata=\"{}\"", world.url(DOCUMENT)).as_str()),
        "challenge_scopes: [] leaves the scope out"
    );
    // Clients disagree about the slash of a bare origin; about nothing else.
    for audience in
        [json!(world.url("")), json!(world.url("/")), json!("api://mcp"), json!(["https://other.example", "api://mcp"])]
    {
        world.mcp.permit(1);
        world.client.tool(PATH, "get_x").token(&good.clone().aud(audience).mint()).send().await.passed();
    }
    for audience in [
        json!(world.url(PATH)),
        json!("api://mcp/"),
        json!("API://mcp"),
        json!([["api://mcp"]]),
        json!({"api://mcp": 1}),
        json!([]),
    ] {
        let reply = world.client.tool(PATH, "get_x").token(&good.clone().aud(audience).mint()).send().await;
        reply.refused(401, "invalid_token");
    }
    world.finish().await;
}

#[tokio::test]
async fn everything_is_the_same_by_h2() {
    let mut world = World::standard().await;
    let document = format!("{DOCUMENT}{PATH}");
    assert_eq!(world.client.get(&document).send_h2().await.json()["resource"], world.url(PATH));
    world.record().await;
    let reply = world.client.get(&document).with("Host", "evil.example").send_h2().await;
    world.refused(&reply, 421, "misdirected").await;
    let beside = world.client.get(&document).header("host", "evil.example").send_h2().await;
    world.refused(&beside, 400, "malformed_request").await;
    let reply = world.client.tool(PATH, "get_x").send_h2().await;
    world.refused(&reply, 401, "missing_token").await;
    assert!(reply.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer ")));
    world.mcp.permit(1);
    let request = world.client.tool(PATH, "get_x").token(&world.token("mcp tools:read"));
    request.send_h2().await.passed();
    assert_eq!(world.mcp.next().await.json()["params"]["name"], "get_x");
    let reply = world.client.tool(PATH, "create_issue").token(&world.token("mcp")).send_h2().await;
    reply.refused(403, "insufficient_scope");
    world.finish().await;
}

/// Two routes to one server, neither with a challenge scope.
fn two_routes() -> String {
    let route = |name: &str, path: &str| {
        format!("  - name: {name}\n    path: {path}\n    upstream: {{upstream}}\n    default: allow\n")
    };
    format!("{HEAD}routes:\n{}{}", route("first", PATH), route("second", "/second/mcp"))
}
