"""The conformance suite's fixtures (fixtures.json) on the Python SDK, major version 1: revisions to 2025-11-25.

It knows nothing of authorization. Arguments: PORT. See README.md.
"""

import base64
import sys
from contextlib import asynccontextmanager

import uvicorn
from mcp import types
from mcp.server.fastmcp.server import StreamableHTTPASGIApp
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import McpError
from starlette.applications import Starlette
from starlette.routing import Route

from fixtures import FIXTURES, Events, contents_of, messages_of, record, resting

server = Server("py-1")


def capabilities(options=None, experimental=None, of=server.get_capabilities):
    found = of(NotificationOptions(prompts_changed=True, tools_changed=True), experimental or {})
    found.resources.subscribe = True
    return found


server.get_capabilities = capabilities


@server.list_tools()
async def list_tools():
    return [types.Tool.model_validate(tool) for tool in FIXTURES["tools"]]


@server.call_tool()
async def call_tool(name, given):
    record(name)
    context = server.request_context
    session, request = context.session, context.request_id

    async def log(words):
        await session.send_log_message("info", words, related_request_id=request)

    async def elicit(message):
        return await session.elicit_form(message, FIXTURES["elicitations"][name], related_request_id=request)

    match name:
        case "test_tool_with_logging":
            await log("Tool execution started")
            await resting()
            await log("Tool processing data")
            await resting()
            await log("Tool execution completed")
            return text("logged")
        case "test_logging_tool":
            await log("logging")
            return text("logged")
        case "test_error_handling":
            raise RuntimeError("This tool intentionally returns an error for testing")
        case "test_tool_with_progress":
            token = context.meta.progressToken if context.meta else None
            for progress in (0, 50, 100):
                if progress:
                    await resting()
                if token is not None:
                    await session.send_progress_notification(token, progress, 100, related_request_id=str(request))
            return text("done")
        case "test_sampling":
            question = types.SamplingMessage(role="user", content=types.TextContent(type="text", text=given["prompt"]))
            answer = await session.create_message([question], max_tokens=100, related_request_id=request)
            return text(f"LLM response: {answer.content.text}")
        case "test_elicitation":
            answer = await elicit(given["message"])
            return text(f"User response: action={answer.action}, content={answer.content}")
        case "test_elicitation_sep1034_defaults" | "test_elicitation_sep1330_enums":
            answer = await elicit("Please choose")
            return text(f"Elicitation completed: action={answer.action}, content={answer.content}")
        case "test_reconnection":
            if context.close_sse_stream:
                await context.close_sse_stream()
            await resting()
            return text("reconnected")
        case "test_trigger_tool_change":
            await session.send_tool_list_changed()
            return text("changed")
        case "test_trigger_prompt_change":
            await session.send_prompt_list_changed()
            return text("changed")
        case _ if name in FIXTURES["answers"]:
            return types.CallToolResult.model_validate(FIXTURES["answers"][name])
    raise ValueError("no such tool")


@server.list_prompts()
async def list_prompts():
    return [types.Prompt.model_validate(prompt) for prompt in FIXTURES["prompts"]]


@server.get_prompt()
async def get_prompt(name, given):
    return types.GetPromptResult.model_validate({"messages": messages_of(name, given) or refuse("no such prompt")})


@server.list_resources()
async def list_resources():
    return [types.Resource.model_validate(resource) for resource in FIXTURES["resources"]]


@server.list_resource_templates()
async def list_resource_templates():
    return [types.ResourceTemplate.model_validate(template) for template in FIXTURES["templates"]]


@server.read_resource()
async def read_resource(uri):
    found = contents_of(str(uri)) or refuse("no such resource", {"uri": str(uri)})
    content = base64.b64decode(found["blob"]) if "blob" in found else found["text"]
    return [ReadResourceContents(content, found["mimeType"])]


@server.subscribe_resource()
async def subscribe_resource(uri):
    pass


@server.unsubscribe_resource()
async def unsubscribe_resource(uri):
    pass


@server.completion()
async def complete(ref, argument, context):
    return types.Completion(values=["paris", "park"], total=2, hasMore=False)


@server.set_logging_level()
async def set_logging_level(level):
    pass


def text(words):
    return [types.TextContent(type="text", text=words)]


def refuse(why, data=None):
    raise McpError(types.ErrorData(code=types.INVALID_PARAMS, message=why, data=data))


manager = StreamableHTTPSessionManager(server, event_store=Events(), retry_interval=100)


@asynccontextmanager
async def running(app):
    async with manager.run():
        yield


app = Starlette(routes=[Route("/mcp", StreamableHTTPASGIApp(manager))], lifespan=running)
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
