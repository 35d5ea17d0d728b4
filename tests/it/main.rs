//! Integration tests: one binary. The gateway runs inside the test on a real socket, between a client that shows the bytes
//! and fakes of the authorization server and the MCP server. What must hold in every test is checked by `support`.

#[cfg(test)]
mod support;

#[cfg(test)]
mod harness; // the harness itself sees what it promises to see
