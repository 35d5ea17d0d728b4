//! Bodies: the one response body type, and reading a request body within limits. A body is never collected without one.

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;

/// What a body ends with when it cannot be completed; the connection is then cut, never ended cleanly.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A response body.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;
