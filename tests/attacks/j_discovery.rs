//! Section J: the confused deputy, and what discovery says. The gateway is a resource server and nothing else.

use serde_json::json;

use crate::run::rows;
use crate::scene::{Scene, Tally};
use crate::support::AuthorizationServer;
use crate::support::gateway::{HEAD, PATH, ROUTE, file};
use gatepost::token::clock::Clock;

rows![
    j1_no_authorization_server,
    j2_named_by_the_file_alone,
    j3_several_authorization_servers,
    j4_relayed_metadata,
    j5_mirrored_metadata,
];

async fn j1_no_authorization_server() -> Tally {
    let mut scene = Scene::standard().await;
    let before = scene.world.issuer.fetches();
    for path in [
        "/authorize",
        "/token",
        "/register",
        "/revoke",
        "/introspect",
        "/callback",
        "/oauth/callback",
        "/oauth/authorize",
        "/oauth2/token",
        "/consent",
        "/login",
        "/logout",
        "/jwks",
        "/.well-known/jwks.json",
        "/userinfo",
        "/device",
        "/authorize?client_id=x&redirect_uri=https://evil.example&response_type=code&state=1",
        "/callback?code=x&state=1",
        "/mcp/authorize",
        "/mcp/callback?code=x",
    ] {
        for verb in ["GET", "POST"] {
            let mut request = scene.world.client.request(verb, path);
            if verb == "POST" {
                request = request
                    .header("Content-Type", "application/x-www-form-urlencoded")
                    .body("grant_type=authorization_code&code=f0rged&redirect_uri=https://evil.example");
            }
            let answers = scene.refused(format!("{verb} {path}"), &request, &[404]).await;
            let leads = answers.first().header("location").is_some();
            scene.expect(!leads, format!("{verb} {path} leads somewhere"));
        }
    }
    scene.expect(scene.world.issuer.fetches() == before, "the authorization server was visited for a client");
    scene.end().await
}

async fn j2_named_by_the_file_alone() -> Tally {
    let mut scene = Scene::standard().await;
    let issuer = scene.world.issuer.issuer().to_owned();
    for (name, value) in [
        ("X-Forwarded-Host", "evil.example"),
        ("Forwarded", "host=evil.example"),
        ("X-Authorization-Server", "https://evil.example"),
        ("Authorization", "Bearer a.b.c"),
        ("Origin", "https://evil.example"),
        ("MCP-Protocol-Version", "2025-03-26"),
    ] {
        let request = scene.world.client.get("/.well-known/oauth-protected-resource/mcp").header(name, value);
        let answers = scene.refused(name, &request, &[200]).await;
        let document: serde_json::Value = serde_json::from_slice(&answers.first().body).unwrap();
        let fine = document["authorization_servers"] == json!([issuer]);
        scene.expect(fine, format!("{name}: {document}"));
    }
    let token = scene.good().claim("iss", "https://evil.example").mint();
    let answers = scene.bad_token("a token of another issuer", &token).await;
    let named = String::from_utf8_lossy(&answers.everything()).contains("evil.example");
    scene.expect(!named, "the challenge names the token's issuer");
    scene.end().await
}

async fn j3_several_authorization_servers() -> Tally {
    let other = AuthorizationServer::up();
    let second = ROUTE
        .replace("routes:\n", "")
        .replace("name: standard", "name: second")
        .replace("path: /mcp", &format!("path: /second\n    authorization_servers: [{}]", other.issuer()));
    let first = ROUTE.replace("path: /mcp", "path: /mcp\n    authorization_servers: [{issuer}]");
    let head =
        HEAD.replace("  - issuer: {issuer}\n", &format!("  - issuer: {{issuer}}\n  - issuer: {}\n", other.issuer()));
    let mut scene = Scene::start(&format!("{head}{first}{second}")).await;
    let (ours, theirs) = (scene.world.url(PATH), scene.world.url("/second"));
    let both = json!([ours, theirs]);
    let of_other = other.token().aud(both.clone()).scope("mcp tools:read").mint();
    let of_ours = scene.good().aud(both).mint();
    let client = scene.world.client.clone();
    // Each is good, for the other route alone.
    scene
        .refused("an issuer that does not serve the first route", &client.tool(PATH, "get_x").token(&of_other), &[401])
        .await;
    scene
        .refused(
            "an issuer that does not serve the second route",
            &client.tool("/second", "get_x").token(&of_ours),
            &[401],
        )
        .await;
    for (path, issuer) in [(PATH, scene.world.issuer.issuer().to_owned()), ("/second", other.issuer().to_owned())] {
        let request = client.get(&format!("/.well-known/oauth-protected-resource{path}"));
        let answers = scene.refused(format!("the document of {path}"), &request, &[200]).await;
        let document: serde_json::Value = serde_json::from_slice(&answers.first().body).unwrap();
        scene.expect(document["authorization_servers"] == json!([issuer]), format!("{path}: {document}"));
    }
    // Where routes differ in their issuers, the root answers for none.
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-protected-resource",
    ] {
        scene.refused(format!("{path} of two issuers"), &client.get(path), &[404]).await;
    }
    scene.end().await
}

async fn j4_relayed_metadata() -> Tally {
    let mut scene = Scene::standard().await;
    scene.world.issuer.fetched("the metadata is fetched", |fetches| fetches.metadata > 0).await;
    let before = scene.world.issuer.fetches();
    for form in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        for path in [form.to_owned(), format!("{form}{PATH}")] {
            let answers = scene.refused(&path, &scene.world.client.get(&path), &[200]).await;
            let same = answers.first().text() == scene.world.issuer.metadata();
            scene.expect(same, format!("{path} was changed on its way"));
        }
        for path in [
            format!("{form}/other"),
            format!("{form}/"),
            format!("{form}{PATH}/"),
            format!("{form}/..{PATH}"),
            format!("{form}/http://127.0.0.1:1"),
        ] {
            scene.refused(&path, &scene.world.client.get(&path), &[404]).await;
        }
    }
    scene.expect(scene.world.issuer.fetches() == before, "a client's request became a fetch");
    // Metadata of somebody else, or none: nothing is invented.
    let mut all = scene.end().await;
    for (what, metadata) in [
        (
            "metadata of another issuer",
            json!({"issuer": "https://evil.example", "authorization_endpoint": "https://evil.example/$(id)"}),
        ),
        ("metadata without an issuer", json!({"authorization_endpoint": "https://evil.example"})),
        ("metadata that is an array", json!([])),
        ("metadata that is a text", json!("https://evil.example")),
    ] {
        let issuer = AuthorizationServer::up();
        issuer.change_metadata(|old| *old = metadata);
        let mut scene = Scene::unready(&file(""), issuer, Clock::system()).await;
        scene.world.issuer.fetched("the metadata is looked at", |fetches| fetches.metadata > 0).await;
        for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
            let reply = scene.world.client.get(path).send().await;
            scene.expect(reply.status == 404, format!("{what}: {}", reply.status));
            scene.settle(what, 0);
        }
        all = all.and(scene.end().await);
    }
    all
}

async fn j5_mirrored_metadata() -> Tally {
    let mut scene = Scene::standard().await;
    scene.world.issuer.fetched("the metadata is fetched", |fetches| fetches.metadata > 0).await;
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-protected-resource",
    ] {
        for origin in ["https://evil.example", "null"] {
            let request = scene.world.client.get(path).header("Origin", origin).header("Cookie", "a=b");
            let answers = scene.refused(format!("{path} for {origin}"), &request, &[200]).await;
            let answer = answers.first();
            let age = answer
                .header("cache-control")
                .and_then(|control| control.split("max-age=").nth(1)?.split(',').next()?.trim().parse::<u64>().ok());
            let fine = age.is_some_and(|age| age <= 3600)
                && answer.header("access-control-allow-credentials").is_none()
                && answer.header("set-cookie").is_none();
            scene.expect(fine, format!("{path}: {}", answer.head));
        }
    }
    scene.end().await
}
