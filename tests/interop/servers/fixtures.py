"""What both servers in Python need: the fixtures, and what is done with them."""

import json
import os
import re
from pathlib import Path

import anyio
from mcp.server.streamable_http import EventMessage, EventStore

FIXTURES = json.loads(Path(__file__).with_name("fixtures.json").read_text())


def record(tool):
    """Writes down that a tool runs."""
    if path := os.environ.get("CALLS_FILE"):
        with open(path, "a") as calls:
            calls.write(f"{tool}\n")


async def resting():
    """The pause that some fixtures make between two steps."""
    await anyio.sleep(0.05)


def messages_of(name, given):
    """The messages of a prompt; None when there is no such prompt."""
    messages = FIXTURES["messages"].get(name)
    return messages and [{"role": "user", "content": content} for content in filled(messages, given or {})]


def contents_of(uri):
    """The contents of a resource; None when there is no such resource."""
    template = re.fullmatch(r"test://template/([^/]+)/data", uri)
    contents = FIXTURES["contents"].get("test://template/${id}/data" if template else uri)
    return contents and {"uri": uri, **filled(contents, {"id": template and template[1]})}


def filled(value, given):
    """The value with each ${name} in its strings replaced."""
    if isinstance(value, str):
        return re.sub(r"\$\{(\w+)\}", lambda name: given[name[1]], value)
    if isinstance(value, list):
        return [filled(each, given) for each in value]
    if isinstance(value, dict):
        return {name: filled(each, given) for name, each in value.items()}
    return value


class Events(EventStore):
    """Keeps every event, so that a stream can be taken up again."""

    def __init__(self):
        self.events = []

    async def store_event(self, stream_id, message):
        self.events.append((stream_id, message))
        return str(len(self.events))

    async def replay_events_after(self, last_event_id, send_callback):
        after = int(last_event_id)
        stream = self.events[after - 1][0]
        for at, (stream_id, message) in enumerate(self.events[after:], start=after + 1):
            if stream_id == stream and message is not None:
                await send_callback(EventMessage(message, str(at)))
        return stream
