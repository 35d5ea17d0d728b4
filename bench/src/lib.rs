//! What the programs of the benchmark share: a proxy that checks nothing (`floor`), a client (`load`) and an MCP server
//! (`server`). None of them knows anything of the gateway.

pub mod account;
pub mod histogram;
pub mod tls;
