//! The shell that does IO: listeners, the pipeline, forwarding, streams. It decides nothing that `token` and `policy`
//! decide, and knows no file format.

pub mod body;
pub mod fetch;
pub mod filter;
pub mod listener;
pub mod session;
pub mod settings;
pub mod shutdown;
pub mod tls;
pub mod upstream;
