"""An ordinary client on the Python SDK (1.x or 2.x, whichever is installed): logs in, lists the tools, calls them.

Arguments: `sse` to use HTTP+SSE, the URL of the MCP server, and the calls to make as JSON. It is given nothing else to find its way. BROWSER
opens authorization URLs. Prints what it saw as one line of JSON, judging nothing (see interop.mjs).
"""

import json
import os
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from importlib.metadata import version
from urllib.parse import parse_qs, urlsplit

import anyio
from mcp.client.auth import OAuthClientProvider
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

FIRST_VERSION = version("mcp").startswith("1.")
if FIRST_VERSION:
    import httpx
    from mcp import ClientSession
else:
    import httpx2 as httpx
    from mcp.client.client import Client
    from mcp.shared.auth import AuthorizationCodeResult

SSE, URL, CALLS = "sse" in sys.argv[1:-2], sys.argv[-2], json.loads(sys.argv[-1])
# By HTTP+SSE a refusal does not reach the call: it waits for an answer on the stream.
TIMEOUT = (timedelta(seconds=5) if FIRST_VERSION else 5) if SSE else None
exchanges = []


class Store:
    """Keeps tokens and the registration for as long as the process lives."""

    tokens = client = callback = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client

    async def open(self, page):
        async with httpx.AsyncClient(timeout=30) as browser:
            answer = await browser.get(os.environ["BROWSER"], params={"open": page})
            answer.raise_for_status()
            self.callback = {name: values[0] for name, values in parse_qs(urlsplit(answer.text).query).items()}

    async def called_back(self):
        if FIRST_VERSION:
            return self.callback["code"], self.callback.get("state")
        return AuthorizationCodeResult(**{name: self.callback.get(name) for name in ("code", "state", "iss")})


async def record(answer):
    """Writes an exchange down as soon as its answer's head is there."""
    sent = answer.request
    body = sent.content.decode() if sent.method == "POST" else ""
    message = json.loads(body) if body.startswith("{") else {}
    refused = answer.status_code >= 400 and (SSE or str(sent.url) == URL)
    exchanges.append(
        {
            "method": sent.method,
            "url": str(sent.url),
            "rpc": message.get("method"),
            "name": message.get("params", {}).get("name"),
            "session": sent.headers.get("mcp-session-id"),
            "status": answer.status_code,
            "challenge": answer.headers.get("www-authenticate"),
            "reason": answer.headers.get("gatepost-reason"),
            "body": (await answer.aread()).decode() if refused else None,
        }
    )


@asynccontextmanager
async def connected():
    store = Store()
    metadata = OAuthClientMetadata(
        client_name="interop python",
        redirect_uris=["http://127.0.0.1:9/callback"],
        grant_types=["authorization_code"],
        response_types=["code"],
        token_endpoint_auth_method="none",
    )
    auth = OAuthClientProvider(URL, metadata, store, store.open, store.called_back)
    hooks = {"response": [record]}
    async with AsyncExitStack() as stack:
        if SSE:
            http = lambda **options: httpx.AsyncClient(**options, event_hooks=hooks)
            transport = sse_client(URL, auth=auth, httpx_client_factory=http)
        else:
            http = await stack.enter_async_context(httpx.AsyncClient(auth=auth, timeout=30, event_hooks=hooks))
            transport = streamable_http_client(URL, http_client=http)
        if FIRST_VERSION:
            read, write, *_ = await stack.enter_async_context(transport)
            session = await stack.enter_async_context(ClientSession(read, write))
            await session.initialize()
            yield session
        else:
            # Asked for the newest revision, which HTTP+SSE has no headers for, it is refused and gives up.
            yield await stack.enter_async_context(Client(transport, mode="legacy" if SSE else "auto"))


def now():
    return time.time() * 1000


async def call(client, name, args):
    progress = []

    async def reported(step, total, _):
        progress.append({"step": step, "total": total, "at": now()})

    try:
        result = await client.call_tool(name, args, TIMEOUT, progress_callback=reported)
        return {"text": result.content[0].text, "progress": progress, "at": now()}
    except Exception as error:
        return {"error": repr(error)}


async def main():
    tools, results = [], {}
    try:
        async with connected() as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            for each in CALLS:
                results[each["tool"]] = {"error": "the session ended"}
                results[each["tool"]] = await call(client, each["tool"], each["args"])
    except BaseExceptionGroup as group:
        # Version 1 ends the whole session when a call is refused for good.
        results[each["tool"]] = {"error": repr(group.exceptions)}
    print(json.dumps({"tools": tools, "results": results, "exchanges": exchanges}))


anyio.run(main)
