//! The pooled client towards one MCP server.

use http::{Request, Response};
use hyper::body::Incoming;

use super::body::Body;
use super::settings::UpstreamSettings;
use crate::rejection::Failure;

/// Connections to one MCP server.
pub struct Upstream {}

impl Upstream {
    /// Prepares the client; reads CA and client certificate. Connects to nothing.
    pub fn new(settings: &UpstreamSettings) -> Result<Self, String> {
        let _ = settings;
        Ok(Self {})
    }
    /// Sends `request` (its URI is path and query alone; scheme and authority are added here) and returns the answer's head
    /// with its streaming body. Sent again only if none of it was sent. Dropping the future or the body closes the exchange.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, Failure> {
        drop(request);
        Err(Failure::UpstreamUnreachable { detail: "skeleton" })
    }
}
