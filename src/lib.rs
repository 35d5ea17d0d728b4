//! Gatepost: an auth gateway in front of unmodified MCP servers.
//!
//! The modules form layers, and arrows only point down: `config` builds the settings of every layer below
//! it; `gateway` does the IO; `token` turns an access token into a principal; `policy` decides; `oauth`,
//! `mcp` and `rejection` hold the words of the standards as values. `ARCHITECTURE.md` has the picture.

pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
pub mod gateway;
pub mod mcp;
pub mod oauth;
pub mod policy;
pub mod rejection;
pub mod survey;
pub mod token;
