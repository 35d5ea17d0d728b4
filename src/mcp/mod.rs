//! The words of MCP and JSON-RPC as values: strict reading of a message, what it asks for, the mirrored
//! headers, revisions, server-sent events, list results. Pure: no IO, no clock, no configuration.

pub mod arguments;
pub mod headers;
pub mod listing;
pub mod message;
mod names;
pub mod operation;
mod reading;
pub mod revision;
pub mod sample;
pub mod sse;
pub mod strict;
pub mod trace;
