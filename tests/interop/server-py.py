"""An ordinary MCP server on the Python SDK. It knows nothing of authorization. Arguments: PORT."""

import sys

import anyio
from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("notes")
notes = ["buy milk"]


@server.tool()
def list_notes() -> str:
    """Reads every note."""
    return ", ".join(notes)


@server.tool()
def add_note(text: str) -> str:
    """Writes a note."""
    return f"added {text}"


@server.tool()
def delete_notes() -> str:
    """Deletes every note."""
    notes.clear()
    return "deleted"


@server.tool()
async def count_words(steps: int, seconds: float, context: Context) -> str:
    """Takes its time and reports its progress."""
    for step in range(1, steps + 1):
        await anyio.sleep(seconds / steps)
        await context.report_progress(step, steps)
    return f"counted in {steps} steps"


server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
