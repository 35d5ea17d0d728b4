// The conformance suite's fixtures (fixtures.json) on the TypeScript SDK, major version 1: revisions to 2025-11-25.
// It knows nothing of authorization. Arguments: PORT. See README.md.

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';

import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import * as schemas from '@modelcontextprotocol/sdk/types.js';

import { EventStore, contentsOf, fixtures, promptOf, record, resting } from './fixtures.mjs';

const sessions = new Map();

createServer(answer).listen(Number(process.argv[2]), '127.0.0.1');

async function answer(request, response) {
  const id = request.headers['mcp-session-id'];
  if (id !== undefined && !sessions.has(id)) {
    const error = { code: -32001, message: 'Session not found' };
    response.writeHead(404, { 'content-type': 'application/json' });
    return response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error }));
  }
  await (sessions.get(id) ?? await newSession()).handleRequest(request, response);
}

// One for each client. What is no initialize gets its refusal from one that nobody will ever ask again.
async function newSession() {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => { sessions.set(id, transport); },
    onsessionclosed: (id) => { sessions.delete(id); },
    eventStore: new EventStore(),
    retryInterval: 100,
  });
  await newServer().connect(transport);
  return transport;
}

function newServer() {
  const server = new Server({ name: 'ts-1', version: '1' }, {
    capabilities: {
      tools: { listChanged: true },
      prompts: { listChanged: true },
      resources: { subscribe: true },
      completions: {},
      logging: {},
    },
  });
  const on = (name, handle) => server.setRequestHandler(schemas[`${name}RequestSchema`], handle);
  on('ListTools', () => ({ tools: fixtures.tools }));
  on('CallTool', ({ params }, extra) => call(server, params, extra));
  on('ListPrompts', () => ({ prompts: fixtures.prompts }));
  on('GetPrompt', ({ params }) => promptOf(params) ?? refuse('no such prompt', params));
  on('ListResources', () => ({ resources: fixtures.resources }));
  on('ListResourceTemplates', () => ({ resourceTemplates: fixtures.templates }));
  on('ReadResource', ({ params }) => contentsOf(params.uri) ?? refuse('no such resource', params));
  on('Subscribe', () => ({}));
  on('Unsubscribe', () => ({}));
  on('Complete', () => ({ completion: { values: ['paris', 'park'], total: 2, hasMore: false } }));
  return server;
}

async function call(server, { name, arguments: given, _meta }, { sendNotification, sendRequest, closeSSEStream }) {
  record(name);
  const text = (words) => ({ content: [{ type: 'text', text: words }] });
  const notify = (method, params) => sendNotification({ method, params });
  const log = (data) => notify('notifications/message', { level: 'info', data });
  const elicit = (message) => {
    const params = { mode: 'form', message, requestedSchema: fixtures.elicitations[name] };
    return sendRequest({ method: 'elicitation/create', params }, schemas.ElicitResultSchema);
  };
  switch (name) {
    case 'test_tool_with_logging':
      await log('Tool execution started');
      await resting();
      await log('Tool processing data');
      await resting();
      await log('Tool execution completed');
      return text('logged');
    case 'test_logging_tool':
      await log('logging');
      return text('logged');
    case 'test_error_handling':
      return { ...text('This tool intentionally returns an error for testing'), isError: true };
    case 'test_tool_with_progress':
      for (const progress of [0, 50, 100]) {
        if (progress) await resting();
        const token = _meta?.progressToken;
        if (token !== undefined) await notify('notifications/progress', { progressToken: token, progress, total: 100 });
      }
      return text('done');
    case 'test_sampling': {
      const messages = [{ role: 'user', content: { type: 'text', text: given.prompt } }];
      const params = { messages, maxTokens: 100 };
      const result = await sendRequest({ method: 'sampling/createMessage', params }, schemas.CreateMessageResultSchema);
      return text(`LLM response: ${result.content.text}`);
    }
    case 'test_elicitation':
      return text(`User response: ${JSON.stringify(await elicit(given.message))}`);
    case 'test_elicitation_sep1034_defaults':
    case 'test_elicitation_sep1330_enums': {
      const { action, content } = await elicit('Please choose');
      return text(`Elicitation completed: action=${action}, content=${JSON.stringify(content)}`);
    }
    case 'test_reconnection':
      closeSSEStream?.();
      await resting();
      return text('reconnected');
    case 'test_trigger_tool_change':
      await server.sendToolListChanged();
      return text('changed');
    case 'test_trigger_prompt_change':
      await server.sendPromptListChanged();
      return text('changed');
    default:
      return fixtures.answers[name] ?? refuse('no such tool', { name });
  }
}

function refuse(why, data) {
  throw new schemas.McpError(schemas.ErrorCode.InvalidParams, why, data);
}
