//! `gatepost demo`: everything in one process, to see it work: a development authorization server, a demo MCP server, and
//! the gateway before it, from a file that the demo prints. Loopback only, never for production; not in a container image.

pub mod check;
pub mod issuer;
pub mod notes;
pub mod terminal;
