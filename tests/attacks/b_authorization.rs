//! Section B: the Authorization header, and who a client says that it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::run::rows;
use crate::scene::{Expect, Scene, Tally, forbidden_call};
use crate::support::client::Request;
use crate::support::gateway::{PATH, file};
use crate::support::token::Token;

rows![
    b1_no_credentials,
    b2_tokens_elsewhere,
    b3_two_readings_of_the_header,
    b4_case_of_the_scheme,
    b5_passthrough,
    b6_identity_headers,
    b7_connection_names_headers,
    b8_path_and_method_in_headers,
    b9_health_checks,
    b10_trusted_proxies,
];

/// The standard route with claims sent as headers.
fn with_identity() -> String {
    file("").replace(
        "upstream: {upstream}",
        "upstream: {url: \"{upstream}\", identity: {headers: {X-Auth-Subject: sub, X-Auth-Client: client_id}}}",
    )
}

async fn identity_scene(text: &str) -> Scene {
    let scene = Scene::start(text).await;
    scene.world.mcp.ours("x-auth-subject", "alice");
    scene.world.mcp.ours("x-auth-client", "inspector");
    scene
}

async fn b1_no_credentials() -> Tally {
    let mut scene = Scene::standard().await;
    let client = scene.world.client.clone();
    let methods = [
        "initialize",
        "ping",
        "server/discover",
        "tools/list",
        "tools/call",
        "prompts/list",
        "prompts/get",
        "resources/list",
        "resources/read",
        "resources/templates/list",
        "completion/complete",
        "logging/setLevel",
        "notifications/initialized",
        "tasks/list",
        "health",
        "rpc.discover",
        "",
    ];
    let mut requests: Vec<(String, Request)> = methods
        .iter()
        .map(|method| (format!("POST {method}"), client.call(PATH, method, &json!({"name": "get_x"}))))
        .collect();
    for verb in ["GET", "DELETE"] {
        requests.push((verb.to_owned(), client.request(verb, PATH)));
        requests.push((
            format!("{verb} with a session and an event"),
            client.request(verb, PATH).header("Mcp-Session-Id", "x").header("Last-Event-ID", "1"),
        ));
    }
    for body in ["", "{", "null", "[]", "\u{0}", "access_token=x"] {
        requests.push((format!("POST {body:?}"), client.post(PATH, body)));
    }
    requests.push((
        "a notification".to_owned(),
        client.post(PATH, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
    ));
    requests.push(("a response".to_owned(), client.post(PATH, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#)));
    requests.push(("a batch".to_owned(), client.post(PATH, format!("[{}]", forbidden_call()))));
    requests.push(("an empty header".to_owned(), client.tool(PATH, "get_x").header("Authorization", "")));
    for scheme in
        ["Basic YWxpY2U6c2VjcmV0", "Digest username=\"alice\"", "Negotiate YII=", "Token abc", "ApiKey abc", "null"]
    {
        requests.push((scheme.to_owned(), client.tool(PATH, "get_x").header("Authorization", scheme)));
    }
    let metadata = scene.world.metadata_url(PATH);
    for (what, request) in requests {
        let answers = scene.refused(&what, &request, &[401]).await;
        let challenge = answers.first().header("www-authenticate").unwrap_or_default().to_owned();
        let right = challenge.starts_with("Bearer ")
            && challenge.contains(&format!("resource_metadata=\"{metadata}\""))
            && !challenge.contains("error=");
        scene.expect(right, format!("{what}: the challenge is {challenge:?}"));
    }
    for verb in ["PUT", "PATCH", "HEAD", "TRACE", "FOO", "get", "Post"] {
        scene.refused(verb, &client.request(verb, PATH), &[405]).await;
    }
    scene.end().await
}

async fn b2_tokens_elsewhere() -> Tally {
    let mut scene = Scene::standard().await;
    let token = scene.token.clone();
    let client = scene.world.client.clone();
    let bearer = format!("Bearer {token}");
    for name in ["access_token", "token", "bearer_token", "Authorization", "api_key", "id_token", "code"] {
        let query = client.tool(&format!("{PATH}?{name}={token}"), "get_x");
        scene.refused(format!("?{name}="), &query, &[401]).await;
        let form =
            client.post(PATH, format!("{name}={token}")).with("Content-Type", "application/x-www-form-urlencoded");
        scene.refused(format!("{name} in a form"), &form, &[401]).await;
        let cookie = client.tool(PATH, "get_x").header("Cookie", &format!("{name}={token}"));
        scene.refused(format!("{name} in a cookie"), &cookie, &[401]).await;
    }
    for name in [
        "X-Authorization",
        "X-Access-Token",
        "X-Auth-Token",
        "X-Api-Key",
        "X-Forwarded-Access-Token",
        "X-Forwarded-Authorization",
        "X-Original-Authorization",
        "X-Amzn-Oidc-Accesstoken",
        "Proxy-Authorization",
        "Authentication",
        "Authorization2",
        "Authorisation",
        "HTTP_AUTHORIZATION",
        "X_Authorization",
        "Sec-WebSocket-Protocol",
        "Mcp-Session-Id",
    ] {
        let request = client.tool(PATH, "get_x").header(name, &bearer);
        scene.refused(format!("in {name}"), &request, &[400, 401]).await;
    }
    let fragment = client.tool(&format!("{PATH}#access_token={token}"), "get_x");
    scene.refused("in a fragment", &fragment, &[400, 401, 404]).await;
    let user = client.tool(&format!("http://{token}@{}{PATH}", scene.world.address), "get_x");
    scene.refused("as user information of an absolute target", &user, &[400, 401]).await;
    let body = client.call(PATH, "tools/call", &json!({"name": "get_x", "_meta": {"authorization": bearer}}));
    scene.refused("in _meta", &body, &[401]).await;
    let content = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
    let trailer = format!(
        "POST {PATH} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nTrailer: Authorization\r\n\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{content}\r\n0\r\nAuthorization: {bearer}\r\n\r\n",
        scene.world.address,
        content.len()
    );
    scene.fire("in a trailer", trailer.as_bytes(), Expect::Refused(&[401])).await;
    scene.end().await
}

async fn b3_two_readings_of_the_header() -> Tally {
    let mut scene = Scene::standard().await;
    let token = scene.token.clone();
    let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "get_x"}}).to_string();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        scene.world.address,
        call.len()
    );
    let basic = "Authorization: Basic YWxpY2U6c2VjcmV0\r\n";
    let good = format!("Authorization: Bearer {token}\r\n");
    let bad = "Authorization: Bearer a.b.c\r\n";
    for (what, lines) in [
        ("twice the same", format!("{good}{good}")),
        ("good, then bad", format!("{good}{bad}")),
        ("bad, then good", format!("{bad}{good}")),
        ("basic, then good", format!("{basic}{good}")),
        ("good, then basic", format!("{good}{basic}")),
        ("good, then empty", format!("{good}Authorization:\r\n")),
        ("empty, then good", format!("Authorization: \r\n{good}")),
        ("good, then in another case", format!("{good}AUTHORIZATION: Bearer a.b.c\r\n")),
        ("joined by a comma", format!("Authorization: Bearer {token}, Bearer a.b.c\r\n")),
        ("basic joined by a comma", format!("Authorization: Basic YTpi, Bearer {token}\r\n")),
        ("folded", format!("Authorization: Bearer\r\n {token}\r\n")),
        ("folded by a tab", format!("Authorization:\r\n\tBearer {token}\r\n")),
        ("folded after it", format!("Authorization: Bearer {token}\r\n x\r\n")),
        ("a space before the colon", format!("Authorization : Bearer {token}\r\n")),
        ("a tab before the colon", format!("Authorization\t: Bearer {token}\r\n")),
        ("a space before the name", format!("X: y\r\n Authorization: Bearer {token}\r\n")),
        ("a NUL in the name", format!("Authorization\0: Bearer {token}\r\n")),
        ("a NUL before the token", format!("Authorization: Bearer \0{token}\r\n")),
        ("a NUL after the token", format!("Authorization: Bearer {token}\0\r\n")),
        ("a CR within", format!("Authorization: Bearer\r{token}\r\n")),
        ("no colon", format!("Authorization Bearer {token}\r\n")),
        ("glued to the scheme", format!("Authorization: Bearer{token}\r\n")),
        ("a colon after the scheme", format!("Authorization: Bearer: {token}\r\n")),
        ("an equals sign", format!("Authorization: Bearer={token}\r\n")),
        ("a tab", format!("Authorization: Bearer\t{token}\r\n")),
        ("quoted", format!("Authorization: Bearer \"{token}\"\r\n")),
        ("as a parameter", format!("Authorization: Bearer token=\"{token}\"\r\n")),
        ("two words", format!("Authorization: Bearer {token} a.b.c\r\n")),
        ("the scheme twice", format!("Authorization: Bearer Bearer {token}\r\n")),
        ("no token", "Authorization: Bearer\r\n".to_owned()),
        ("no token but a space", "Authorization: Bearer \r\n".to_owned()),
        ("no scheme", format!("Authorization: {token}\r\n")),
        ("no-break space", format!("Authorization: Bearer\u{a0}{token}\r\n")),
        ("the scheme in look-alikes", format!("Authorization: B\u{435}arer {token}\r\n")),
        ("quoted scheme", format!("Authorization: \"Bearer\" {token}\r\n")),
    ] {
        let bytes = format!("{head}{lines}\r\n{call}");
        scene.fire(what, bytes.as_bytes(), Expect::Refused(&[400, 401])).await;
    }
    scene.end().await
}

async fn b4_case_of_the_scheme() -> Tally {
    let mut scene = Scene::standard().await;
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer  ", "Bearer      "] {
        let separator = if scheme.ends_with(' ') { "" } else { " " };
        let request = scene.call().header("Authorization", &format!("{scheme}{separator}{}", scene.token));
        scene.defused(format!("{scheme:?}"), &request).await;
    }
    for name in ["authorization", "AUTHORIZATION", "aUTHORIZATION"] {
        let request = scene.call().header(name, &format!("Bearer {}", scene.token));
        scene.defused(name, &request).await;
    }
    scene.end().await
}

async fn b5_passthrough() -> Tally {
    let mut scene = Scene::standard().await;
    let secret = "f0rged-secret-of-the-client";
    let encoded = STANDARD.encode(secret);
    scene.secrets.push(secret.to_owned());
    for (name, value) in [
        ("Cookie", format!("session={secret}")),
        ("Proxy-Authorization", format!("Basic {encoded}")),
        ("Proxy_Authorization", format!("Basic {encoded}")),
        ("Proxy.Authorization", format!("Basic {encoded}")),
        ("HTTP2-Settings", "f0rged".to_owned()),
        ("X-Forwarded-Access-Token", secret.to_owned()),
        ("X-Forwarded-Authorization", secret.to_owned()),
        ("X_Forwarded_Access_Token", secret.to_owned()),
    ] {
        let request = scene.call().token(&scene.token).header(name, &value);
        scene.defused(name, &request).await;
    }
    // The token itself, by every road that it may come.
    for case in ["authorization", "AUTHORIZATION", "Authorization"] {
        let request = scene.call().header(case, &format!("Bearer {}", scene.token));
        scene.defused(case, &request).await;
    }
    let query = scene.world.client.tool(&format!("{PATH}?access_token={}", scene.token), "get_x").token(&scene.token);
    scene.defused("also in the query", &query).await;
    let cookie = scene.call().token(&scene.token).header("Cookie", &format!("access_token={}", scene.token));
    scene.defused("also in a cookie", &cookie).await;
    let get = scene.world.client.get(PATH).token(&scene.token);
    scene.fire("GET", &get.bytes(), Expect::Either(&[405])).await;
    let delete = scene.world.client.request("DELETE", PATH).token(&scene.token);
    scene.defused("DELETE", &delete).await;
    scene.end().await
}

async fn b6_identity_headers() -> Tally {
    let mut scene = identity_scene(&with_identity()).await;
    let names = [
        "X-Auth-Subject",
        "x-auth-subject",
        "X_Auth_Subject",
        "X_AUTH_SUBJECT",
        "X-Auth_Subject",
        "X.Auth.Subject",
        "X-Auth.Subject",
        "X!Auth!Subject",
        "X~Auth~Subject",
        "X*Auth-Subject",
        "X-Auth-Client",
        "X_Auth.Client",
        "X-Forwarded-User",
        "X_Forwarded_User",
        "X.Forwarded.User",
        "X-Forwarded-Email",
        "X-Forwarded-Groups",
        "X-Forwarded-Preferred-Username",
        "X-Forwarded-For",
        "X_Forwarded_For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Real-IP",
        "X_Real_IP",
        "Forwarded",
        "Mcp_Session_Id",
        "Mcp.Session.Id",
        "Content_Length",
        "Transfer_Encoding",
        "Content_Type",
        "Last_Event_ID",
    ];
    for name in names {
        let request = scene.call().token(&scene.token).header(name, "f0rged");
        scene.fire(format!("{name}: f0rged"), &request.bytes(), Expect::Either(&[400, 404])).await;
        let twice = request.header(name, "f0rged");
        scene.fire(format!("{name} twice"), &twice.bytes(), Expect::Either(&[400, 404])).await;
    }
    // A claim must not become two headers, nor another value.
    let values: [(&str, &dyn Fn(Token) -> Token); 4] = [
        ("CRLF", &|token| token.subject("alice\r\nX-Auth-Client: mallory")),
        ("NUL", &|token| token.subject("alice\u{0}")),
        ("a space at the end", &|token| token.subject("alice ")),
        ("full width", &|token| token.subject("\u{ff41}lice")),
    ];
    for (what, change) in values {
        let subject = change(scene.good()).texts().1;
        let subject: serde_json::Value = serde_json::from_str(&subject).unwrap();
        let text = subject["sub"].as_str().unwrap();
        let encoded = percent_encoded(text);
        scene.world.mcp.ours("x-auth-subject", &encoded);
        let token = change(scene.good()).mint();
        scene.permit(1);
        let reply = scene.call().token(&token).send().await;
        scene.expect(reply.status == 200, format!("{what}: {}", reply.status));
        let sent = scene.recorder.take().concat();
        let lines = String::from_utf8_lossy(&sent).to_lowercase();
        scene.expect(lines.matches("\r\nx-auth-").count() == 2, format!("{what}: {lines}"));
        scene.fired(what, 1).await;
    }
    // Without the claim there is no header, and none of the client's.
    let nobody = scene.good().without("sub").mint();
    let request = scene.call().token(&nobody).header("X-Auth-Subject", "f0rged").header("X_Auth_Subject", "f0rged");
    scene.defused("an absent claim", &request).await;
    scene.end().await
}

/// Visible ASCII but `%`; the rest encoded.
fn percent_encoded(text: &str) -> String {
    let encoded = |byte: u8| match byte {
        b'%' => "%25".to_owned(),
        0x21..=0x7e => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encoded).collect()
}

async fn b7_connection_names_headers() -> Tally {
    let mut scene = identity_scene(&with_identity()).await;
    for value in [
        "X-Auth-Subject",
        "x-auth-subject, x-auth-client",
        "close, X-Auth-Subject",
        "X-Auth-Subject, close",
        "keep-alive, X-Auth-Subject",
        "host",
        "Host, Content-Length",
        "content-length",
        "content-type",
        "transfer-encoding",
        "authorization",
        "Authorization, Cookie",
        "X-Forwarded-For",
        "X-Forwarded-Host, X-Forwarded-Proto, Forwarded",
        "mcp-session-id",
        "mcp-method, mcp-name, mcp-protocol-version",
        "accept, accept-encoding",
        "te, upgrade, trailer",
        ",,,X-Auth-Subject,,",
        "\"X-Auth-Subject\"",
        "*",
        "X-Auth-Subject;q=1",
    ] {
        let request = scene.call().token(&scene.token).header("Connection", value).header("X-Auth-Subject", "f0rged");
        scene.defused(format!("Connection: {value}"), &request).await;
        let first = scene.world.mcp.next().await;
        // That of the good client.
        drop(scene.world.mcp.next().await);
        let whole = first.header("x-auth-subject") == Some("alice")
            && first.header("x-auth-client") == Some("inspector")
            && first.header("x-forwarded-for") == Some("127.0.0.1")
            && first.header("content-length").is_some()
            && first.header("content-type") == Some("application/json")
            && first.header("host").is_some()
            && first.header("connection").is_none();
        scene.expect(whole, format!("Connection: {value}: {:?}", first.head));
    }
    let several =
        scene.call().token(&scene.token).header("Connection", "X-Auth-Subject").header("Connection", "X-Auth-Client");
    scene.defused("two Connection headers", &several).await;
    scene.end().await
}

async fn b8_path_and_method_in_headers() -> Tally {
    let mut scene = Scene::standard().await;
    let names = [
        "X-Forwarded-Uri",
        "X-Forwarded-Path",
        "X-Forwarded-Prefix",
        "X-Forwarded-Method",
        "X-Original-URL",
        "X-Original-URI",
        "X-Original-Method",
        "X-Rewrite-URL",
        "X-Envoy-Original-Path",
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
        "X-Accel-Redirect",
        "X-Original-Host",
        "X-Host",
        "Base-Url",
    ];
    for name in names {
        for value in [PATH, "/.well-known/oauth-protected-resource", "GET", "/healthz"] {
            let unknown = scene.world.client.tool("/other", "get_x").header(name, value);
            scene.refused(format!("{name}: {value} on an unknown path"), &unknown, &[404]).await;
            let without = scene.call().header(name, value);
            scene.refused(format!("{name}: {value} without a token"), &without, &[401]).await;
        }
        let put = scene.world.client.request("PUT", PATH).token(&scene.token).header(name, "POST");
        scene.refused(format!("{name} with PUT"), &put, &[405]).await;
    }
    for name in [
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Envoy-Original-Path",
    ] {
        let passed = scene.call().token(&scene.token).header(name, "f0rged");
        scene.defused(format!("{name} on its way to the server"), &passed).await;
    }
    let override_in_query = scene.world.client.tool(&format!("{PATH}?_method=DELETE"), "get_x").token(&scene.token);
    scene.defused("_method in the query", &override_in_query).await;
    scene.end().await
}

async fn b9_health_checks() -> Tally {
    let mut scene = Scene::standard().await;
    for agent in [
        "GoogleHC/1.0",
        "ELB-HealthChecker/2.0",
        "kube-probe/1.31",
        "Prometheus/2.55",
        "curl/8.5.0",
        "Envoy/HC",
        "oauth2-proxy",
        "",
    ] {
        let request = scene.call().header("User-Agent", agent);
        scene.refused(format!("User-Agent {agent:?}"), &request, &[401]).await;
    }
    for path in [
        "/",
        "/healthz",
        "/health",
        "/livez",
        "/readyz",
        "/ready",
        "/ping",
        "/metrics",
        "/config",
        "/debug/pprof/",
        "/stats",
        "/admin",
        "/server-status",
        "/favicon.ico",
        "/robots.txt",
        "/mcp/healthz",
        "/healthz/../mcp",
        "/ping?/mcp",
        "/.well-known/",
        "/.well-known/security.txt",
        "/.well-known/jwks.json",
        "/.well-known/oauth-protected-resource/x",
    ] {
        for verb in ["GET", "POST"] {
            let request = scene.world.client.request(verb, path);
            scene.refused(format!("{verb} {path}"), &request, &[404]).await;
        }
    }
    scene.end().await
}

async fn b10_trusted_proxies() -> Tally {
    let mut scene = Scene::standard().await;
    // The peer is 127.0.0.1, which nothing trusts unless the file says so.
    for (name, value) in [
        ("X-Forwarded-For", "f0rged"),
        ("X-Forwarded-For", "203.0.113.7, f0rged"),
        ("X-Forwarded-Host", "f0rged.example"),
        ("X-Forwarded-Proto", "f0rged"),
        ("X-Forwarded-Port", "f0rged"),
        ("X-Forwarded-Server", "f0rged"),
        ("X-Forwarded-Prefix", "/f0rged"),
        ("X-Forwarded-Client-Cert", "Subject=f0rged"),
        ("X-Forwarded-Ssl", "f0rged"),
        ("X-Real-IP", "f0rged"),
        ("Forwarded", "for=f0rged"),
        ("Forwarded", "for=192.0.2.1;host=f0rged.example"),
        ("X-Forwarded-Anything", "f0rged"),
    ] {
        let request = scene.call().token(&scene.token).header(name, value);
        scene.defused(format!("{name}: {value}"), &request).await;
        let refusal = scene.refused(format!("{name} without a token"), &scene.call().header(name, value), &[401]).await;
        let echoed = format!("{}{}", refusal.first().head, refusal.first().text()).contains("f0rged");
        scene.expect(!echoed, format!("{name} comes back"));
    }
    let mut other = Scene::start(&format!("{}trusted_proxies: [10.0.0.0/8]\n", file(""))).await;
    let request = other
        .call()
        .token(&other.token)
        .header("X-Forwarded-For", "10.1.1.1, f0rged")
        .header("X-Forwarded-User", "f0rged");
    other.defused("a trusted network that is not the peer's", &request).await;
    let mut trusting = Scene::start(&format!("{}trusted_proxies: [127.0.0.0/8]\n", file(""))).await;
    for name in ["X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X_Forwarded_For"] {
        let request = trusting.call().token(&trusting.token).header(name, "f0rged");
        trusting.defused(format!("{name} from a trusted proxy"), &request).await;
    }
    scene.end().await.and(other.end().await).and(trusting.end().await)
}
