"""A client on the Python SDK (1.x or 2.x) in a session that goes both ways: see session-ts.mjs.

Arguments: the URL of the MCP server. Prints what it saw as one line of JSON, judging nothing (see session.mjs).
"""

import json
import sys
from contextlib import asynccontextmanager
from importlib.metadata import version

import anyio
from mcp.client.streamable_http import streamable_http_client

FIRST_VERSION = version("mcp").startswith("1.")
if FIRST_VERSION:
    from mcp import ClientSession, types
else:
    import mcp_types as types
    from mcp.client.client import Client

SLOW = "trigger-long-running-operation"
asked = []


async def sample(context, params):
    asked.append("sampling/createMessage")
    content = types.TextContent(type="text", text="the model says hello")
    return types.CreateMessageResult(role="assistant", content=content, model="none")


async def elicit(context, params):
    asked.append("elicitation/create")
    return types.ElicitResult(action="accept", content={"name": "Ada Lovelace"})


@asynccontextmanager
async def connected():
    transport = streamable_http_client(sys.argv[1])
    asking = {"sampling_callback": sample, "elicitation_callback": elicit}
    if FIRST_VERSION:
        async with transport as (read, write, _), ClientSession(read, write, **asking) as session:
            await session.initialize()
            yield session
    else:
        async with Client(transport, **asking) as client:
            yield client


async def call(client, name, args, cancel=False):
    """Calls a tool; with `cancel` the call is given up as soon as it reports progress."""
    progress = []
    with anyio.CancelScope() as scope:

        async def reported(step, total, _):
            progress.append(f"{step:g}/{total:g}")
            if cancel:
                scope.cancel()

        try:
            result = await client.call_tool(name, args, progress_callback=reported)
            text = "\n".join(getattr(content, "text", "") for content in result.content)
            return {"text": text, "progress": progress}
        except Exception as error:
            return {"error": repr(error), "progress": progress}
    return {"error": "cancelled", "progress": progress}


async def main():
    async with connected() as client:
        seen = {
            "sampled": await call(client, "trigger-sampling-request", {"prompt": "hello"}),
            "elicited": await call(client, "trigger-elicitation-request", {}),
            "reported": await call(client, SLOW, {"duration": 0.4, "steps": 4}),
            "resumed": await call(client, SLOW, {"duration": 0.4, "steps": 4}),
            "cancelled": await call(client, SLOW, {"duration": 4, "steps": 20}, cancel=True),
            "after": await call(client, "echo", {"message": "still here"}),
        }
    print(json.dumps({"asked": asked, **seen}))


anyio.run(main)
