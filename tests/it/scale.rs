//! Ten thousand routes: found by name, path, host and server, never searched. There is no limit of time here, but a step that
//! compares each with each other would take minutes; `tests/scale/run` has the limit.

use std::fmt::Write as _;

use serde_json::json;

use crate::support::World;
use crate::support::gateway::{HEAD, PATH};

const ROUTES: usize = 10_000;

/// So many routes after the standard one: each its path, every tenth a host of its own, on few servers.
fn routes(changed: usize) -> String {
    let mut file = format!("{HEAD}policies: {{s: [{{tools: [get_*], scopes: [\"{{route}}:read\"]}}]}}\nroutes:\n");
    file.push_str("- {name: s, path: /mcp, upstream: '{upstream}', required_scopes: [mcp], policies: [s]}\n");
    for number in 1..ROUTES {
        let host = if number % 10 == 0 { "public_url: 'http://localhost:{port}', " } else { "" };
        let tail = if number == changed { ", default: allow" } else { "" };
        writeln!(file, "- {{name: r{number}, {host}path: /r{number}, upstream: '{{upstream}}'{tail}, policies: [s]}}")
            .unwrap();
    }
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_routes_load_serve_and_reload() {
    let mut world = World::start(&routes(0)).await;
    let last = format!("/r{}", ROUTES - 1);
    let token = |scope: &str| world.issuer.token().aud(world.url(&last)).scope(scope).mint();
    let (reader, nobody) = (token(&format!("r{}:read", ROUTES - 1)), token(""));
    world.mcp.permit(1);
    world.client.tool(&last, "get_x").token(&reader).send().await.passed();
    world.record().await;
    // Each tenth one has another host.
    let reply = world.client.tool(&format!("/r{}", ROUTES - 10), "get_x").token(&reader).send().await;
    world.refused(&reply, 404, "no_route").await;
    let reply = world.client.tool(&last, "other").token(&nobody).send().await;
    world.refused(&reply, 403, "not_permitted").await;

    assert_eq!(world.reload(&routes(ROUTES - 1)).await, Ok(()));
    world.mcp.permit(1);
    world.client.tool(&last, "other").token(&nobody).send().await.passed();
    assert_eq!(world.record().await["route"], json!(format!("r{}", ROUTES - 1)));
    world.mcp.permit(1);
    let standard = world.token("mcp s:read");
    world.client.tool(PATH, "get_x").token(&standard).send().await.passed();
    world.finish().await;
}
