"""The conformance suite's fixtures (fixtures.json) on the Python SDK, major version 2: 2026-07-28 and those before it.

It knows nothing of authorization. Arguments: PORT. See README.md.
"""

import json
import sys
import warnings

import mcp_types as types
import uvicorn
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp.shared.subscriptions import PromptsListChanged, ToolsListChanged

from fixtures import FIXTURES, Events, contents_of, messages_of, record, resting

PORT = int(sys.argv[1])
ROUNDS = FIXTURES["rounds"]
NEWEST = "2026-07-28"

warnings.simplefilter("ignore", MCPDeprecationWarning)
bus = InMemorySubscriptionBus()


async def list_tools(context, params):
    asking = [name for name, fixture in ROUNDS.items() if not fixture.get("prompt")]
    described = [
        {"name": name, "description": "Asks before it answers.", "inputSchema": {"type": "object"}} for name in asking
    ]
    return types.ListToolsResult(
        tools=[types.Tool.model_validate(tool, by_name=False) for tool in FIXTURES["tools"] + described]
    )


async def call_tool(context: ServerRequestContext, params):
    name, given = params.name, params.arguments or {}
    record(name)
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
            return text("This tool intentionally returns an error for testing", is_error=True)
        case "test_tool_with_progress":
            for progress in (0, 50, 100):
                if progress:
                    await resting()
                await session.report_progress(progress, 100)
            return text("done")
        case "test_sampling":
            question = types.SamplingMessage(role="user", content=types.TextContent(text=given["prompt"]))
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
            await bus.publish(ToolsListChanged())
            if context.protocol_version != NEWEST:
                await session.send_tool_list_changed()
            return text("changed")
        case "test_trigger_prompt_change":
            await bus.publish(PromptsListChanged())
            if context.protocol_version != NEWEST:
                await session.send_prompt_list_changed()
            return text("changed")
        case _ if name in ROUNDS:
            return asked(name, context, params, text)
        case _ if name in FIXTURES["answers"]:
            return types.CallToolResult.model_validate(FIXTURES["answers"][name], by_name=False)
    raise MCPError(types.INVALID_PARAMS, "no such tool")


async def list_prompts(context, params):
    asking = [{"name": name, "description": "Asks first."} for name in ROUNDS if ROUNDS[name].get("prompt")]
    prompts = [types.Prompt.model_validate(prompt, by_name=False) for prompt in FIXTURES["prompts"] + asking]
    return types.ListPromptsResult(prompts=prompts)


async def get_prompt(context, params):
    def answered(words):
        return prompt([{"role": "user", "content": {"type": "text", "text": words}}])

    def prompt(messages):
        return types.GetPromptResult.model_validate({"messages": messages}, by_name=False)

    if params.name in ROUNDS:
        return asked(params.name, context, params, answered)
    if messages := messages_of(params.name, params.arguments):
        return prompt(messages)
    raise MCPError(types.INVALID_PARAMS, "no such prompt")


async def list_resources(context, params):
    resources = [types.Resource.model_validate(resource, by_name=False) for resource in FIXTURES["resources"]]
    return types.ListResourcesResult(resources=resources)


async def list_resource_templates(context, params):
    templates = [types.ResourceTemplate.model_validate(each, by_name=False) for each in FIXTURES["templates"]]
    return types.ListResourceTemplatesResult(resource_templates=templates)


async def read_resource(context, params):
    if found := contents_of(str(params.uri)):
        return types.ReadResourceResult.model_validate({"contents": [found]}, by_name=False)
    raise MCPError(types.INVALID_PARAMS, "Resource not found", {"uri": str(params.uri)})


async def complete(context, params):
    return types.CompleteResult(completion=types.Completion(values=["paris", "park"], total=2, has_more=False))


async def nothing(context, params):
    return types.EmptyResult()


def asked(name, context, params, answered):
    """Asks, round after round, for what the fixture says; `answered` makes the result of the last answers."""
    fixture = ROUNDS[name]
    asks = fixture["asks"]
    at = json.loads(params.request_state)["round"] if params.request_state else 0
    given = params.input_responses or {}
    if all(is_answer(given.get(key)) for key in asks[at]):
        at += 1
    if at == len(asks):
        return answered(f"{'state-ok ' if fixture.get('sealed') else ''}{sorted(given)}")

    declared = context.session.client_capabilities
    can = declared.model_dump(by_alias=True, exclude_none=True) if declared else {}
    missing = {need(ask) for ask in asks[at].values() if need(ask) not in can}
    if missing and not fixture.get("declared"):
        data = {"requiredCapabilities": {each: {} for each in sorted(missing)}}
        raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, "a capability is missing", data)
    asked_for = {key: ask for key, ask in asks[at].items() if need(ask) in can}
    state = {"requestState": json.dumps({"round": at})} if fixture.get("sealed") else {}
    return types.InputRequiredResult.model_validate({"inputRequests": asked_for, **state}, by_name=False)


def need(ask):
    return ask["method"].split("/")[0]


def is_answer(response):
    match response:
        case types.ElicitResult():
            return response.action == "accept" and response.content is not None
        case None:
            return False
    return True


def text(words, is_error=False):
    return types.CallToolResult(content=[types.TextContent(text=words)], is_error=is_error)


server = Server(
    "py-2",
    version="1",
    on_list_tools=list_tools,
    on_call_tool=call_tool,
    on_list_prompts=list_prompts,
    on_get_prompt=get_prompt,
    on_list_resources=list_resources,
    on_list_resource_templates=list_resource_templates,
    on_read_resource=read_resource,
    on_subscribe_resource=nothing,
    on_unsubscribe_resource=nothing,
    on_subscriptions_listen=ListenHandler(bus),
    on_completion=complete,
    on_set_logging_level=nothing,
)
server.middleware.append(RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience=server.name))


def capabilities(options=None, experimental=None, *rest, of=server.get_capabilities, **more):
    return of(NotificationOptions(prompts_changed=True, tools_changed=True), experimental, *rest, **more)


server.get_capabilities = capabilities

app = server.streamable_http_app(event_store=Events(), retry_interval=100)
uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
