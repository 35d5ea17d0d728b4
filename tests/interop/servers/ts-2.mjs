// The conformance suite's fixtures (fixtures.json) on the TypeScript SDK, major version 2: revision 2026-07-28, and those
// before it with sessions. It knows nothing of authorization. Arguments: PORT. See README.md.

import { randomBytes, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';

import * as node from '@modelcontextprotocol/node';
import * as mcp from '@modelcontextprotocol/server';

import { EventStore, contentsOf, fixtures, promptOf, record, resting } from './fixtures.mjs';

const port = Number(process.argv[2]);
const isOurHost = node.localhostHostValidation();
const isOurOrigin = node.localhostOriginValidation();
const codec = mcp.createRequestStateCodec({ key: randomBytes(32) });
const newest = mcp.createMcpHandler(newServer, { legacy: 'reject' });
const answerNewest = node.toNodeHandler(newest);
const sessions = new Map();
// Read once, so that each server that is made has the same.
const schemas = new Map(fixtures.tools.map(({ name, inputSchema }) => [name, mcp.fromJsonSchema(inputSchema)]));

createServer(answer).listen(port, '127.0.0.1');

async function answer(request, response) {
  if (!isOurHost(request, response) || !isOurOrigin(request, response)) return;
  const id = request.headers['mcp-session-id'];
  if (sessions.has(id)) return sessions.get(id).handleRequest(request, response);
  const body = await bodyOf(request);
  const web = await node.toWebRequest(request, body);
  if (!(await mcp.isLegacyRequest(web, body))) return answerNewest(request, response, body);
  if (id === undefined) return (await newSession()).handleRequest(request, response, body);
  const error = { code: -32001, message: 'Session not found' };
  response.writeHead(404, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error }));
}

// The message; the text itself when it is none, undefined when there is no body.
async function bodyOf(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  const text = Buffer.concat(pieces).toString();
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    return text;
  }
}

async function newSession() {
  const transport = new node.NodeStreamableHTTPServerTransport({
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
  const server = new mcp.McpServer({ name: 'ts-2', version: '1' }, {
    capabilities: {
      tools: { listChanged: true },
      prompts: { listChanged: true },
      resources: { subscribe: true },
      completions: {},
      logging: {},
    },
    requestState: { verify: codec.verify },
  });
  for (const { name, description } of fixtures.tools) {
    const inputSchema = schemas.get(name);
    server.registerTool(name, { description, inputSchema }, (given, context) => call(server, name, given, context));
  }
  const asking = Object.entries(fixtures.rounds);
  for (const [name] of asking.filter(([, { prompt }]) => !prompt)) {
    server.registerTool(name, { description: 'Asks before it answers.' }, (context) => {
      record(name);
      return asked(name, context, (words) => ({ content: [{ type: 'text', text: words }] }));
    });
  }
  const prompts = asking.filter(([, { prompt }]) => prompt).map(([name]) => ({ name, description: 'Asks first.' }));
  const on = (method, handle) => server.server.setRequestHandler(method, handle);
  on('prompts/list', () => ({ prompts: [...fixtures.prompts, ...prompts] }));
  on('prompts/get', ({ params }, context) => {
    const answered = (words) => ({ messages: [{ role: 'user', content: { type: 'text', text: words } }] });
    if (params.name in fixtures.rounds) return asked(params.name, context, answered);
    return promptOf(params) ?? refuse('no such prompt', params);
  });
  on('resources/list', () => ({ resources: fixtures.resources }));
  on('resources/templates/list', () => ({ resourceTemplates: fixtures.templates }));
  on('resources/read', ({ params }) => contentsOf(params.uri) ?? notFound(params.uri));
  on('resources/subscribe', () => ({}));
  on('resources/unsubscribe', () => ({}));
  on('completion/complete', () => ({ completion: { values: ['paris', 'park'], total: 2, hasMore: false } }));
  return server;
}

async function call(server, name, given, { mcpReq, http }) {
  record(name);
  const text = (words) => ({ content: [{ type: 'text', text: words }] });
  const elicit = (message) =>
    mcpReq.elicitInput({ mode: 'form', message, requestedSchema: fixtures.elicitations[name] });
  switch (name) {
    case 'test_tool_with_logging':
      await mcpReq.log('info', 'Tool execution started');
      await resting();
      await mcpReq.log('info', 'Tool processing data');
      await resting();
      await mcpReq.log('info', 'Tool execution completed');
      return text('logged');
    case 'test_logging_tool':
      await mcpReq.log('info', 'logging');
      return text('logged');
    case 'test_error_handling':
      throw new Error('This tool intentionally returns an error for testing');
    case 'test_tool_with_progress':
      for (const progress of [0, 50, 100]) {
        if (progress) await resting();
        const progressToken = mcpReq._meta?.progressToken;
        const params = { progressToken, progress, total: 100 };
        if (progressToken !== undefined) await mcpReq.notify({ method: 'notifications/progress', params });
      }
      return text('done');
    case 'test_sampling': {
      const messages = [{ role: 'user', content: { type: 'text', text: given.prompt } }];
      const { content } = await mcpReq.requestSampling({ messages, maxTokens: 100 });
      return text(`LLM response: ${content.text}`);
    }
    case 'test_elicitation':
      return text(`User response: ${JSON.stringify(await elicit(given.message))}`);
    case 'test_elicitation_sep1034_defaults':
    case 'test_elicitation_sep1330_enums': {
      const { action, content } = await elicit('Please choose');
      return text(`Elicitation completed: action=${action}, content=${JSON.stringify(content)}`);
    }
    case 'test_reconnection':
      http?.closeSSE?.();
      await resting();
      return text('reconnected');
    case 'test_trigger_tool_change':
      newest.notify.toolsChanged();
      if (mcpReq.envelope === undefined) await server.sendToolListChanged();
      return text('changed');
    case 'test_trigger_prompt_change':
      newest.notify.promptsChanged();
      if (mcpReq.envelope === undefined) await server.sendPromptListChanged();
      return text('changed');
    default:
      return fixtures.answers[name];
  }
}

// Asks, round after round, for what the fixture says; `answered` makes the result of the last answers.
async function asked(name, { mcpReq }, answered) {
  const { asks, sealed, declared } = fixtures.rounds[name];
  let round = mcpReq.requestState()?.round ?? 0;
  const given = mcpReq.inputResponses ?? {};
  if (Object.keys(asks[round]).every((key) => isAnswer(given[key]))) round += 1;
  if (round === asks.length) return answered(`${sealed ? 'state-ok ' : ''}${JSON.stringify(given)}`);

  const can = mcpReq.envelope?.['io.modelcontextprotocol/clientCapabilities'] ?? {};
  const isDeclared = ([, { method }]) => !declared || method.split('/')[0] in can;
  const inputRequests = Object.fromEntries(Object.entries(asks[round]).filter(isDeclared));
  const requestState = sealed && (await codec.mint({ round }));
  return mcp.inputRequired({ inputRequests, ...(requestState && { requestState }) });
}

function isAnswer(response) {
  if (response?.action !== undefined) return response.action === 'accept' && typeof response.content === 'object';
  return response?.content !== undefined || Array.isArray(response?.roots);
}

function notFound(uri) {
  throw new mcp.ResourceNotFoundError(uri);
}

function refuse(why, data) {
  throw new mcp.ProtocolError(mcp.ProtocolErrorCode.InvalidParams, why, data);
}
