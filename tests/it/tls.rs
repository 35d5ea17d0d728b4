//! https on both sides: the gateway ends TLS for its clients and begins it towards the server, whose certificate it checks.

use gatepost::token::clock::Clock;

use crate::support::gateway::{PATH, file};
use crate::support::tls::Identity;
use crate::support::{AuthorizationServer, McpServer, World};

#[tokio::test]
async fn everything_that_is_said_begins_with_https() {
    let (own, upstream) = (Identity::new(), Identity::new());
    let mcp = McpServer::up();
    let behind = upstream.in_front_of(mcp.address()).await;
    let text = file("").replace("http://{listen}", "https://{listen}").replace(
        "upstream: {upstream}",
        &format!(
            "upstream: {{url: \"https://{}/mcp\", tls: {{ca: \"{}\"}}}}",
            behind.address,
            upstream.certificate.display()
        ),
    );
    let files =
        format!("{{certificate: \"{}\", private_key: \"{}\"}}", own.certificate.display(), own.private_key.display());
    let text = format!("{text}tls: {files}\n");
    let mut world = World::start_with(&text, AuthorizationServer::up(), mcp, Clock::system()).await;
    let front = own.towards(world.address).await;
    world.client = world.client.through(front.address);
    world.mcp.ours("x-forwarded-proto", "https");
    world.mcp.ours("forwarded", &format!("for=127.0.0.1;host=\"{}\";proto=https", world.address));
    let origin = format!("https://{}", world.address);
    let token = world.issuer.token().aud(format!("{origin}{PATH}")).scope("mcp tools:read").mint();
    world.keys_arrived_with(&token).await;

    let challenge = format!("resource_metadata=\"{origin}/.well-known/oauth-protected-resource{PATH}\"");
    let refusal = world.client.tool(PATH, "get_x").send().await;
    assert!(refusal.header("www-authenticate").unwrap().ends_with(&challenge), "{refusal:?}");
    world.mcp.permit(1);
    world.client.tool(PATH, "get_x").token(&token).send().await.passed();
    let seen = world.mcp.next().await;
    assert_eq!((seen.header("x-forwarded-proto"), seen.target.as_str()), (Some("https"), "/mcp"));
    assert_eq!(seen.header("host"), Some(behind.address.to_string().as_str()));
    // The same token, for the same path on plain http, is for another resource.
    let other = world.issuer.token().aud(world.url(PATH)).scope("mcp tools:read").mint();
    world.client.tool(PATH, "get_x").token(&other).send().await.refused(401, "invalid_token");
    world.finish().await;
}

#[tokio::test]
async fn a_server_with_a_certificate_of_somebody_else_gets_nothing() {
    let (upstream, trusted) = (Identity::new(), Identity::new());
    let mcp = McpServer::up();
    let behind = upstream.in_front_of(mcp.address()).await;
    let text = file("").replace(
        "upstream: {upstream}",
        &format!(
            "upstream: {{url: \"https://{}/mcp\", tls: {{ca: \"{}\"}}}}",
            behind.address,
            trusted.certificate.display()
        ),
    );
    let mut world = World::start_with(&text, AuthorizationServer::up(), mcp, Clock::system()).await;
    world.keys_arrived().await;
    let reply = world.call_tool("mcp tools:read", "get_x").await;
    let reason = reply.header("gatepost-reason").unwrap().to_owned();
    assert!(["upstream_unreachable", "upstream_protocol"].contains(&reason.as_str()), "{reason}");
    world.refused(&reply, 502, &reason).await;
    world.finish().await;
}
