//! What the tests stand on: the fakes, the gateway, the client, and the invariants that each of them checks in every test.
//! Nothing here sleeps; every wait is for an event, under one overall limit.

pub(crate) mod authorization_server;
pub(crate) mod client;
pub(crate) mod collector;
pub(crate) mod gateway;
pub(crate) mod mcp_server;
pub(crate) mod port;
pub(crate) mod program;
pub(crate) mod schema;
pub(crate) mod tls;
pub(crate) mod token;
pub(crate) mod wire;

use std::time::Duration;

pub(crate) use authorization_server::{AuthorizationServer, Mode};
pub(crate) use client::{Client, End, Reply};
pub(crate) use gateway::World;
pub(crate) use mcp_server::{Answer, McpServer};
pub(crate) use program::Program;

/// Waits for `future`, and fails the test that would otherwise wait for ever.
pub(crate) async fn within<F: Future>(what: &str, future: F) -> F::Output {
    let waited = tokio::time::timeout(WAIT_MAX, future).await;
    waited.unwrap_or_else(|_| panic!("{what}: nothing after {WAIT_MAX:?}"))
}

/// Far above what any step takes on a loaded machine: it bounds a broken test and decides nothing.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(30);
