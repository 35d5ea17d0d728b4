//! How much one caller, one route and everybody may ask for: rates, and requests under way.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::gateway::{HEAD, PATH, ROUTE};
use crate::support::{Answer, End, Reply, World};

/// The standard file with these top-level lines and these of the route.
async fn world(lines: &str, of_route: &str) -> World {
    World::start(&format!("{HEAD}{lines}\n{ROUTE}    {of_route}\n")).await
}

/// A token of this caller. That of `World::token` asked once already: when the keys arrived.
fn token_of(world: &World, subject: &str) -> String {
    world.good().scope("mcp tools:read").claim("sub", subject).mint()
}

/// A call of this caller.
async fn call(world: &World, subject: &str, tool: &str) -> Reply {
    world.client.tool(PATH, tool).token(&token_of(world, subject)).send().await
}

/// A place is free again just after the client could see that an answer had ended.
async fn call_when_there_is_room(world: &World) -> Reply {
    for _ in 0..1000 {
        let reply = world.call_tool("mcp tools:read", "get_x").await;
        if reply.status != 503 {
            return reply;
        }
    }
    panic!("the place was never given back");
}

#[tokio::test]
async fn a_principal_has_a_rate_over_all_it_asks_for() {
    let mut world = world("limits: {rate_per_principal: {requests: 2, per_secs: 3600}}", "visibility: all").await;
    world.mcp.permit(1);
    call(&world, "ada", "get_x").await.passed();
    world.record().await;
    // What is refused by policy was asked for, too. Another token of the same caller is the same caller.
    let denied = call(&world, "ada", "delete_x").await;
    world.refused(&denied, 403, "not_permitted").await;
    let over = call(&world, "ada", "get_x").await;
    let (_, record) = world.refused(&over, 429, "rate_limited").await;
    assert_eq!(record["detail"], "limits.rate_per_principal");
    assert_eq!(record["decision"], "refused");
    let secs: u64 = over.header("retry-after").unwrap().parse().unwrap();
    assert!((1790..=1800).contains(&secs), "{secs}");
    // What needs no token is not counted, a token that is none neither, and others have their own.
    assert_eq!(world.client.get("/.well-known/oauth-protected-resource/mcp").send().await.status, 200);
    assert_eq!(world.client.tool(PATH, "get_x").token("none").send().await.status, 401);
    world.mcp.permit(1);
    call(&world, "bob", "get_x").await.passed();
    assert_eq!(world.mcp.arrived(), 2);
    world.finish().await;
}

#[tokio::test]
async fn a_route_has_a_rate_of_all_and_of_each() {
    // One of the four was asked for when the keys arrived.
    let limits = "limits: {rate: {requests: 4, per_secs: 3600}, rate_per_principal: {requests: 2, per_secs: 3600}}";
    let mut world = world("", limits).await;
    world.mcp.permit(3);
    for _ in 0..2 {
        call(&world, "ada", "get_x").await.passed();
        world.record().await;
    }
    let over = call(&world, "ada", "get_x").await;
    let (_, record) = world.refused(&over, 429, "rate_limited").await;
    assert_eq!(record["detail"], "routes[].limits.rate_per_principal");
    call(&world, "bob", "get_x").await.passed();
    world.record().await;
    let over = call(&world, "bob", "get_x").await;
    let (_, record) = world.refused(&over, 429, "rate_limited").await;
    assert_eq!(record["detail"], "routes[].limits.rate");
    assert_eq!(world.mcp.arrived(), 3);
    world.finish().await;
}

#[tokio::test]
async fn a_rule_has_a_rate_for_all_that_it_names() {
    let rules = "rules: [{tools: [get_a, get_b], allow: true, rate_per_principal: {requests: 2, per_secs: 3600}}, \
                 {tools: [\"*\"], allow: true}]";
    let head = ROUTE.split_once("    rules:").unwrap().0;
    let mut world = World::start(&format!("{HEAD}{head}    {rules}\n")).await;
    world.mcp.permit(3);
    for tool in ["get_a", "get_b", "other"] {
        world.call_tool("mcp", tool).await.passed();
        world.record().await;
    }
    let over = world.call_tool("mcp", "get_a").await;
    let (_, record) = world.refused(&over, 429, "rate_limited").await;
    assert_eq!(record["detail"], "routes[].rules[].rate_per_principal");
    assert_eq!((&record["decision"], &record["rule"]), (&json!("refused"), &json!("rules[0]")));
    assert_eq!(over.json()["id"], 7, "the answer is the request's");
    assert_eq!(world.mcp.arrived(), 3);
    world.finish().await;
}

#[tokio::test]
async fn each_message_of_a_batch_counts() {
    let mut world = world("limits: {rate_per_principal: {requests: 3, per_secs: 3600}}", "visibility: all").await;
    let message = |id: i64| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "get_x"}});
    let batch = |calls: std::ops::Range<i64>| serde_json::to_vec(&calls.map(message).collect::<Vec<_>>()).unwrap();
    let send = async |world: &World, subject: &str, body: Vec<u8>| {
        world.client.post(PATH, body).token(&token_of(world, subject)).send().await
    };
    world.mcp.permit(1);
    assert_eq!(send(&world, "ada", batch(0..2)).await.status, 202);
    world.record().await;
    let over = send(&world, "ada", batch(0..2)).await;
    assert_eq!((over.status, over.header("gatepost-reason")), (429, Some("rate_limited")));
    assert_eq!(world.record().await["reason"], "rate_limited");
    // More at once than there ever is room for, too.
    let over = send(&world, "bob", batch(0..9)).await;
    assert_eq!((over.status, over.header("gatepost-reason")), (429, Some("rate_limited")));
    assert_eq!(world.record().await["reason"], "rate_limited");
    assert_eq!(world.mcp.arrived(), 1);
    world.finish().await;
}

#[tokio::test]
async fn a_route_works_on_so_many_requests_and_streams_take_no_place() {
    let mut world = world("", "limits: {requests_max: 1}").await;
    let token = world.token("mcp tools:read");
    let (answer, stream) = Answer::stream();
    world.mcp.permit(1);
    world.mcp.answer(answer);
    let listening = world.client.get(PATH).token(&token).open().await;
    world.record().await;
    // Its head is here, and its answer has not ended.
    let (answer, slow) = Answer::stream();
    world.mcp.permit(1);
    world.mcp.answer(answer);
    let call = world.client.tool(PATH, "get_x").token(&token).open().await;
    world.record().await;
    let over = world.call_tool("mcp tools:read", "get_x").await;
    let (_, record) = world.refused(&over, 503, "overloaded").await;
    assert_eq!((&record["detail"], &record["decision"]), (&json!("routes[].limits.requests_max"), &json!("refused")));
    assert!(over.header("retry-after").is_some());
    assert_eq!(world.mcp.arrived(), 2);
    slow.end().await;
    assert_eq!(call.end().await, End::Clean);
    world.mcp.permit(1);
    call_when_there_is_room(&world).await.passed();
    drop((listening, stream));
    world.finish().await;
}

#[tokio::test]
async fn so_many_requests_are_under_way_at_a_time() {
    let mut world = world("limits: {requests_max: 1}", "visibility: all").await;
    let token = world.token("mcp tools:read");
    let held = world.client.tool(PATH, "get_x").token(&token).send_all_but(1).await;
    let over = world.call_tool("mcp tools:read", "get_x").await;
    let (_, record) = world.refused(&over, 503, "overloaded").await;
    assert_eq!(record["detail"], "limits.requests_max");
    assert_eq!(over.header("retry-after"), Some("1"));
    // Documents are still there for everybody.
    assert_eq!(world.client.get("/.well-known/oauth-protected-resource/mcp").send().await.status, 200);
    world.mcp.permit(2);
    held.finish().await.passed();
    call_when_there_is_room(&world).await.passed();
    world.finish().await;
}

#[tokio::test]
async fn an_address_has_so_many_connections_unless_a_proxy_has_it() {
    for (proxies, passes) in [("[]", false), ("[127.0.0.1]", true)] {
        let lines = format!("limits: {{connections_per_address_max: 1}}\ntrusted_proxies: {proxies}");
        let world = world(&lines, "visibility: all").await;
        let token = world.token("mcp tools:read");
        let held = world.client.tool(PATH, "get_x").token(&token).send_all_but(1).await;
        let mut another = TcpStream::connect(world.address).await.unwrap();
        another.write_all(b"GET /none HTTP/1.1\r\nHost: elsewhere\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let read = another.read_to_end(&mut answer).await;
        assert_eq!(answer.starts_with(b"HTTP/1.1 421 "), passes, "{proxies}: {read:?}");
        assert!(passes || answer.is_empty(), "closed without an answer");
        world.mcp.permit(1);
        held.finish().await.passed();
        world.finish_whatever_was_audited().await;
    }
}
